// SPDX-License-Identifier: GPL-2.0
/*
 * x86 instruction decoder: prefixes, opcode maps, ModRM, SIB, displacement, immediate.
 *
 *	[legacy prefixes]* [REX] opcode(1..3) [ModRM [SIB] [disp]] [imm]
 *
 * All bytes are consumed before legality is judged, so that an instruction that runs into an absent
 * page or over 15 bytes is told first, as the processor does. What is not in the tables
 * (emulate_tables.h) is refused, never guessed.
 */
#include "emulate.h"
#include "emulate_tables.h"

#define EM_REX_B	0x1
#define EM_REX_X	0x2
#define EM_REX_R	0x4
#define EM_REX_W	0x8

struct em_cursor {
	const u8 *bytes;
	unsigned int len;	/* at most VMM_EM_MAX_LEN + 1, so that the 16th byte is seen */
	unsigned int pos;
	struct vmm_em_insn *insn;
	u8 rex;			/* 0, or 0x40..0x4f */
	u8 seg;			/* override, or VMM_EM_NO_REG */
	bool opsize;		/* 66 */
	bool addrsize;		/* 67 */
};

static int em_fetch(struct em_cursor *c, unsigned int size, u64 *val)
{
	unsigned int i;

	*val = 0;
	for (i = 0; i < size; i++) {
		if (c->pos >= VMM_EM_MAX_LEN)
			return VMM_EM_TOO_LONG;
		if (c->pos >= c->len)
			return VMM_EM_MORE;
		*val |= (u64)c->bytes[c->pos++] << (i * 8);
	}
	return VMM_EM_OK;
}

static int em_fetch_byte(struct em_cursor *c, u8 *val)
{
	u64 byte = 0;
	int ret = em_fetch(c, 1, &byte);

	*val = byte;
	return ret;
}

static int em_fetch_signed(struct em_cursor *c, unsigned int size, u64 *val)
{
	int ret = em_fetch(c, size, val);

	if (size == 1)
		*val = (s64)(s8)*val;
	else if (size == 2)
		*val = (s64)(s16)*val;
	else if (size == 4)
		*val = (s64)(s32)*val;
	return ret;
}

static bool em_64bit(const struct em_cursor *c)
{
	return c->insn->mode == VMM_EM_LONG64;
}

/*
 * Prefixes, up to and including the first opcode byte. REX counts only right before the opcode. Of
 * segment overrides the last one holds; in 64-bit mode those of ES, CS, SS and DS are null
 * prefixes.
 */
static int em_prefixes(struct em_cursor *c, u8 *opcode)
{
	struct vmm_em_insn *insn = c->insn;
	int ret;
	u8 b;

	for (;;) {
		ret = em_fetch_byte(c, &b);
		if (ret)
			return ret;

		switch (b) {
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			if (!em_64bit(c))
				c->seg = (b >> 3) & 3;
			break;
		case 0x64:
		case 0x65:
			c->seg = b & 7;
			break;
		case 0x66:
			c->opsize = true;
			break;
		case 0x67:
			c->addrsize = true;
			break;
		case 0xf0:
			insn->lock = true;
			break;
		case 0xf2:
		case 0xf3:
			insn->rep = b;
			break;
		default:
			if (em_64bit(c) && (b & 0xf0) == 0x40) {
				c->rex = b;
				continue;
			}
			*opcode = b;
			return VMM_EM_OK;
		}
		c->rex = 0;
	}
}

static unsigned int em_op_size(const struct em_cursor *c, u32 flags)
{
	if (flags & EM_BYTE)
		return 1;
	if (flags & EM_NATIVE)
		return em_64bit(c) ? 8 : 4;
	if (flags & EM_MIN4)
		return c->rex & EM_REX_W ? 8 : 4;
	if (em_64bit(c)) {
		if (c->rex & EM_REX_W)
			return flags & EM_MAX4 ? 4 : 8;
		if (c->opsize)
			return 2;
		return flags & EM_D64 ? 8 : 4;
	}
	return (c->insn->mode == VMM_EM_PROT32) != c->opsize ? 4 : 2;
}

static unsigned int em_addr_size(const struct em_cursor *c)
{
	if (em_64bit(c))
		return c->addrsize ? 4 : 8;
	return (c->insn->mode == VMM_EM_PROT32) != c->addrsize ? 4 : 2;
}

/* General register operand. Without REX the byte registers 4-7 are AH, CH, DH, BH. */
static struct vmm_em_operand em_gpr(const struct em_cursor *c, unsigned int reg, unsigned int size)
{
	struct vmm_em_operand o = { .kind = VMM_EM_K_GPR, .reg = reg, .size = size };

	if (size == 1 && !c->rex && reg >= 4) {
		o.kind = VMM_EM_K_GPR_HI;
		o.reg = reg - 4;
	}
	return o;
}

static struct vmm_em_operand em_operand(u8 kind, u8 reg, u8 size)
{
	return (struct vmm_em_operand){ .kind = kind, .reg = reg, .size = size };
}

static unsigned int em_modrm_reg(const struct em_cursor *c)
{
	return ((c->insn->modrm >> 3) & 7) | (c->rex & EM_REX_R ? 8 : 0);
}

static unsigned int em_modrm_rm(const struct em_cursor *c)
{
	return (c->insn->modrm & 7) | (c->rex & EM_REX_B ? 8 : 0);
}

static bool em_is_mem(const struct em_cursor *c)
{
	return c->insn->modrm < 0xc0;
}

static int em_mem16(struct em_cursor *c)
{
	static const u8 base[8] = {
		VMM_EM_RBX, VMM_EM_RBX, VMM_EM_RBP, VMM_EM_RBP,
		VMM_EM_RSI, VMM_EM_RDI, VMM_EM_RBP, VMM_EM_RBX,
	};
	struct vmm_em_insn *insn = c->insn;
	unsigned int mod = insn->modrm >> 6;
	unsigned int rm = insn->modrm & 7;

	if (mod == 0 && rm == 6)
		return em_fetch_signed(c, 2, &insn->disp);

	insn->base = base[rm];
	if (rm < 4)
		insn->index = rm & 1 ? VMM_EM_RDI : VMM_EM_RSI;
	if (insn->base == VMM_EM_RBP)
		insn->seg = VMM_EM_SS;
	return mod ? em_fetch_signed(c, mod, &insn->disp) : VMM_EM_OK;
}

static int em_mem32(struct em_cursor *c)
{
	struct vmm_em_insn *insn = c->insn;
	unsigned int mod = insn->modrm >> 6;
	unsigned int low = insn->modrm & 7;
	unsigned int disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	insn->base = em_modrm_rm(c);
	if (low == 4) {
		u8 sib, index;
		int ret = em_fetch_byte(c, &sib);

		if (ret)
			return ret;
		low = sib & 7;
		insn->base = low | (c->rex & EM_REX_B ? 8 : 0);
		index = ((sib >> 3) & 7) | (c->rex & EM_REX_X ? 8 : 0);
		if (index != VMM_EM_RSP) {
			insn->index = index;
			insn->scale = sib >> 6;
		}
		if (low == 5 && mod == 0) {
			insn->base = VMM_EM_NO_REG;
			disp_size = 4;
		}
	} else if (low == 5 && mod == 0) {
		insn->base = em_64bit(c) ? VMM_EM_RIP : VMM_EM_NO_REG;
		disp_size = 4;
	}

	if (insn->base == VMM_EM_RSP || insn->base == VMM_EM_RBP)
		insn->seg = VMM_EM_SS;
	return disp_size ? em_fetch_signed(c, disp_size, &insn->disp) : VMM_EM_OK;
}

/* Operand ModRM.rm, register or memory. SIB and displacement are consumed. */
static int em_rm(struct em_cursor *c, u32 flags, struct vmm_em_operand *o)
{
	unsigned int size = c->insn->op_size;
	int ret;

	if ((flags & EM_WORD) || ((flags & EM_MEMWORD) && em_is_mem(c)))
		size = 2;
	else if (flags & EM_BYTESRC)
		size = 1;
	else if ((flags & EM_SRC4) && (em_is_mem(c) || size > 4))
		size = 4;
	if (!em_is_mem(c)) {
		*o = em_gpr(c, em_modrm_rm(c), size);
		return VMM_EM_OK;
	}

	*o = em_operand(VMM_EM_K_MEM, 0, size);
	c->insn->seg = VMM_EM_DS;
	ret = c->insn->addr_size == 2 ? em_mem16(c) : em_mem32(c);
	if (c->seg != VMM_EM_NO_REG)
		c->insn->seg = c->seg;
	return ret;
}

/* Offset of MOV moffs: as long as an address */
static int em_moffs(struct em_cursor *c, struct vmm_em_operand *o)
{
	*o = em_operand(VMM_EM_K_MEM, 0, c->insn->op_size);
	c->insn->seg = c->seg != VMM_EM_NO_REG ? c->seg : VMM_EM_DS;
	return em_fetch(c, c->insn->addr_size, &c->insn->disp);
}

static int em_imm(struct em_cursor *c, unsigned int size, struct vmm_em_operand *o)
{
	*o = em_operand(VMM_EM_K_IMM, 0, c->insn->op_size);
	return em_fetch_signed(c, size > 4 ? 4 : size, &c->insn->imm);
}

static int em_imm_u8(struct em_cursor *c, struct vmm_em_operand *o)
{
	*o = em_operand(VMM_EM_K_IMM, 0, 1);
	return em_fetch(c, 1, &c->insn->imm);
}

static int em_string_operands(struct em_cursor *c, u8 form)
{
	struct vmm_em_insn *insn = c->insn;
	unsigned int size = insn->op_size;
	struct vmm_em_operand acc = em_operand(VMM_EM_K_GPR, VMM_EM_RAX, size);
	struct vmm_em_operand dx = em_operand(VMM_EM_K_GPR, VMM_EM_RDX, 2);
	struct vmm_em_operand si = em_operand(VMM_EM_K_SI, VMM_EM_RSI, size);
	struct vmm_em_operand di = em_operand(VMM_EM_K_DI, VMM_EM_RDI, size);

	insn->seg = c->seg != VMM_EM_NO_REG ? c->seg : VMM_EM_DS;
	switch (form) {
	case EM_F_DI_SI:
		insn->dst = di;
		insn->src = si;
		break;
	case EM_F_SI_DI:
		insn->dst = si;
		insn->src = di;
		break;
	case EM_F_DI_ACC:
		insn->dst = di;
		insn->src = acc;
		break;
	case EM_F_ACC_SI:
		insn->dst = acc;
		insn->src = si;
		break;
	case EM_F_ACC_DI:
		insn->dst = acc;
		insn->src = di;
		break;
	case EM_F_DI_DX:
		insn->dst = di;
		insn->src = dx;
		break;
	case EM_F_DX_SI:
		insn->dst = dx;
		insn->src = si;
		break;
	}
	return VMM_EM_OK;
}

static int em_operands(struct em_cursor *c, const struct em_opcode *d)
{
	struct vmm_em_insn *insn = c->insn;
	unsigned int size = insn->op_size;
	struct vmm_em_operand acc = em_operand(VMM_EM_K_GPR, VMM_EM_RAX, size);
	struct vmm_em_operand dx = em_operand(VMM_EM_K_GPR, VMM_EM_RDX, 2);
	unsigned int reg = em_modrm_reg(c);
	int ret;

	switch (d->form) {
	case EM_F_NONE:
		return VMM_EM_OK;
	case EM_F_RM:
		return em_rm(c, d->flags, &insn->dst);
	case EM_F_RM_SRC:
		return em_rm(c, d->flags, &insn->src);
	case EM_F_RM_REG:
		insn->src = em_gpr(c, reg, size);
		return em_rm(c, d->flags, &insn->dst);
	case EM_F_REG_RM:
		insn->dst = em_gpr(c, reg, size);
		return em_rm(c, d->flags, &insn->src);
	case EM_F_RM_IMM:
		ret = em_rm(c, d->flags, &insn->dst);
		return ret ?: em_imm(c, size, &insn->src);
	case EM_F_RM_IMM8:
		ret = em_rm(c, d->flags, &insn->dst);
		return ret ?: em_imm(c, 1, &insn->src);
	case EM_F_RM_U8:
		ret = em_rm(c, d->flags, &insn->dst);
		return ret ?: em_imm_u8(c, &insn->src);
	case EM_F_RM_ONE:
		insn->imm = 1;
		insn->src = em_operand(VMM_EM_K_IMM, 0, 1);
		return em_rm(c, d->flags, &insn->dst);
	case EM_F_RM_CL:
		insn->src = em_operand(VMM_EM_K_GPR, VMM_EM_RCX, 1);
		return em_rm(c, d->flags, &insn->dst);
	case EM_F_ACC_IMM:
		insn->dst = acc;
		return em_imm(c, size, &insn->src);
	case EM_F_ACC_MOFFS:
		insn->dst = acc;
		return em_moffs(c, &insn->src);
	case EM_F_MOFFS_ACC:
		insn->src = acc;
		return em_moffs(c, &insn->dst);
	case EM_F_RM_SREG:
		insn->src = em_operand(VMM_EM_K_SREG, reg & 7, 2);
		return em_rm(c, d->flags, &insn->dst);
	case EM_F_SREG_RM:
		insn->dst = em_operand(VMM_EM_K_SREG, reg & 7, 2);
		return em_rm(c, d->flags, &insn->src);
	case EM_F_GPR_CR:
		insn->dst = em_operand(VMM_EM_K_GPR, em_modrm_rm(c), size);
		insn->src = em_operand(VMM_EM_K_CR, reg, size);
		return VMM_EM_OK;
	case EM_F_CR_GPR:
		insn->dst = em_operand(VMM_EM_K_CR, reg, size);
		insn->src = em_operand(VMM_EM_K_GPR, em_modrm_rm(c), size);
		return VMM_EM_OK;
	case EM_F_GPR_DR:
		insn->dst = em_operand(VMM_EM_K_GPR, em_modrm_rm(c), size);
		insn->src = em_operand(VMM_EM_K_DR, reg, size);
		return VMM_EM_OK;
	case EM_F_DR_GPR:
		insn->dst = em_operand(VMM_EM_K_DR, reg, size);
		insn->src = em_operand(VMM_EM_K_GPR, em_modrm_rm(c), size);
		return VMM_EM_OK;
	case EM_F_IMM8:
		return em_imm_u8(c, &insn->src);
	case EM_F_ACC_PORT8:
		insn->dst = acc;
		return em_imm_u8(c, &insn->src);
	case EM_F_PORT8_ACC:
		insn->src = acc;
		return em_imm_u8(c, &insn->dst);
	case EM_F_ACC_DX:
		insn->dst = acc;
		insn->src = dx;
		return VMM_EM_OK;
	case EM_F_DX_ACC:
		insn->dst = dx;
		insn->src = acc;
		return VMM_EM_OK;
	case EM_F_FAR:
		ret = em_fetch(c, size, &insn->imm);
		return ret ?: em_fetch(c, 2, &insn->disp);
	case EM_F_FAR_MEM:
		ret = em_rm(c, d->flags, &insn->src);
		insn->src.size = 0;
		return ret;
	default:
		return em_string_operands(c, d->form);
	}
}

static bool em_has_modrm(u8 form, u32 flags)
{
	return (flags & EM_GROUP) || (form >= EM_F_RM_REG && form <= EM_F_RM_CL) ||
	       (form >= EM_F_RM_SREG && form <= EM_F_DR_GPR);
}

/*
 * Replace a group by the instruction that ModRM selects. What the group says of operands and
 * flags holds unless the member says more.
 */
static int em_group(struct em_cursor *c, struct em_opcode *d)
{
	unsigned int modrm = c->insn->modrm;
	unsigned int reg = (modrm >> 3) & 7;
	const struct em_opcode *m = NULL;
	u8 group = d->op;

	d->op = VMM_EM_OP_NONE;
	d->flags &= ~EM_GROUP;

	switch (group) {
	case EM_G_ALU:
		d->op = VMM_EM_OP_ADD + reg;
		return VMM_EM_OK;
	case EM_G_SHIFT:
		d->op = VMM_EM_OP_ROL + reg;
		if (d->op == VMM_EM_OP_SHL2)
			d->op = VMM_EM_OP_SHL;
		return VMM_EM_OK;
	case EM_G_BT:
		if (reg < 4)
			return VMM_EM_UD;
		d->op = VMM_EM_OP_BT + reg - 4;
		if (d->op != VMM_EM_OP_BT)
			d->flags |= EM_LOCK;
		return VMM_EM_OK;
	case EM_G_POP:		/* other values of reg are XOP prefixes */
		d->op = reg ? VMM_EM_OP_NONE : VMM_EM_OP_POP;
		return VMM_EM_OK;
	case EM_G_MOV:		/* reg 7 is XABORT, XBEGIN */
		d->op = reg ? VMM_EM_OP_NONE : VMM_EM_OP_MOV;
		return VMM_EM_OK;
	case EM_G_PREFETCH:
		d->op = reg < 4 && em_is_mem(c) ? VMM_EM_OP_PREFETCH : VMM_EM_OP_NONE;
		return VMM_EM_OK;
	case EM_G_NOP:
		d->op = reg ? VMM_EM_OP_NONE : VMM_EM_OP_NOP;
		return VMM_EM_OK;
	case EM_G_0FAE:
		/* CLFLUSH, CLFLUSHOPT (66), CLWB (66); all else is floating point, fences, CET */
		if (!em_is_mem(c) || c->insn->rep)
			return VMM_EM_OK;
		if (reg == 7 || (reg == 6 && c->opsize))
			d->op = VMM_EM_OP_CLFLUSH;
		return VMM_EM_OK;
	case EM_G_UNARY:
		m = &em_group_unary[reg];
		break;
	case EM_G_INCDEC8:
		if (reg > 1)
			return VMM_EM_UD;
		m = &em_group_incdec[reg];
		break;
	case EM_G_INCDEC:
		if (reg == 7)
			return VMM_EM_UD;
		m = &em_group_incdec[reg];
		break;
	case EM_G_0F00:
		m = &em_group_0f00[reg];
		break;
	case EM_G_0F01:
		m = em_is_mem(c) ? &em_group_0f01_mem[reg] : &em_group_0f01_reg[modrm & 0x3f];
		/* MCOMMIT is MONITORX with F3 */
		if (m->op == VMM_EM_OP_MONITORX && c->insn->rep == 0xf3)
			return VMM_EM_OK;
		break;
	case EM_G_0FC7:
		m = em_is_mem(c) ? &em_group_0fc7_mem[reg] : &em_group_0fc7_reg[reg];
		/* SENDUIPI and RDPID are RDRAND and RDSEED with F3 */
		if (!em_is_mem(c) && c->insn->rep == 0xf3)
			return VMM_EM_OK;
		break;
	default:
		return VMM_EM_OK;
	}

	d->op = m->op;
	d->form = m->form;
	d->flags |= m->flags;
	return VMM_EM_OK;
}

/* Find the opcode's description, all opcode bytes and ModRM consumed */
static int em_lookup(struct em_cursor *c, u8 opcode, struct em_opcode *d)
{
	int ret;

	if (opcode < 0x40 && (opcode & 7) < 6) {
		*d = em_alu_forms[opcode & 7];
		d->op = VMM_EM_OP_ADD + (opcode >> 3);
	} else if (opcode != 0x0f) {
		*d = em_map_1[opcode];
	} else {
		ret = em_fetch_byte(c, &opcode);
		if (ret)
			return ret;
		*d = em_map_0f[opcode];
		c->insn->cond = opcode & 15;
		if (opcode == 0x38) {
			ret = em_fetch_byte(c, &opcode);
			if (ret)
				return ret;
			if (opcode >= 0x80 && opcode <= 0x83)
				*d = em_map_0f38_8x[opcode & 3];
			else if ((opcode == 0xf0 || opcode == 0xf1) && c->insn->rep != 0xf2)
				*d = em_map_0f38_fx[opcode & 1];
		}
	}

	if (!em_has_modrm(d->form, d->flags))
		return VMM_EM_OK;
	ret = em_fetch_byte(c, &c->insn->modrm);
	if (ret)
		return ret;
	return d->flags & EM_GROUP ? em_group(c, d) : VMM_EM_OK;
}

/* What depends on the instruction and not on its encoding's shape */
static int em_adjust(struct em_cursor *c, struct em_opcode *d)
{
	struct vmm_em_insn *insn = c->insn;

	if (d->op != VMM_EM_OP_SETCC && d->op != VMM_EM_OP_CMOV)
		insn->cond = 0;

	switch (d->op) {
	case VMM_EM_OP_NOP:
		if (d->form != EM_F_NONE)
			break;
		/* with REX.B it is XCHG, F3 or not */
		if (c->rex & EM_REX_B)
			return VMM_EM_UNKNOWN;
		if (insn->rep == 0xf3)
			d->op = VMM_EM_OP_PAUSE;
		break;
	case VMM_EM_OP_PREFETCH:
		if (!em_is_mem(c))
			return VMM_EM_UNKNOWN;
		break;
	case VMM_EM_OP_VMREAD:
	case VMM_EM_OP_VMWRITE:
		if (c->opsize || insn->rep)
			return VMM_EM_UNKNOWN;
		break;
	case VMM_EM_OP_MOVSX:
		if ((d->flags & EM_SRC4) && !em_64bit(c))
			return VMM_EM_UNKNOWN;
		break;
	case VMM_EM_OP_VMPTRLD:
		if (insn->rep == 0xf2)
			return VMM_EM_UD;
		if (insn->rep == 0xf3)
			d->op = VMM_EM_OP_VMXON;
		else if (c->opsize)
			d->op = VMM_EM_OP_VMCLEAR;
		break;
	case VMM_EM_OP_MOVBE:
		if (insn->rep)
			return VMM_EM_UD;
		break;
	}
	return VMM_EM_OK;
}

/* Sizes of memory operands that are not the operand size */
static void em_memory_size(struct vmm_em_insn *insn)
{
	struct vmm_em_operand *o = insn->dst.kind == VMM_EM_K_MEM ? &insn->dst : &insn->src;

	switch (insn->op) {
	case VMM_EM_OP_CMPXCHG8B:
		insn->dst.size = insn->op_size * 2;
		return;
	case VMM_EM_OP_SGDT:
	case VMM_EM_OP_SIDT:
	case VMM_EM_OP_LGDT:
	case VMM_EM_OP_LIDT:
		o->size = insn->op_size + 2;
		return;
	case VMM_EM_OP_VMPTRLD:
	case VMM_EM_OP_VMPTRST:
	case VMM_EM_OP_VMCLEAR:
	case VMM_EM_OP_VMXON:
		o->size = 8;
		return;
	case VMM_EM_OP_INVPCID:
	case VMM_EM_OP_INVEPT:
	case VMM_EM_OP_INVVPID:
		o->size = 16;
		return;
	case VMM_EM_OP_INVLPG:
	case VMM_EM_OP_NOP:
	case VMM_EM_OP_PREFETCH:
	case VMM_EM_OP_CLFLUSH:
		o->size = 0;
		return;
	case VMM_EM_OP_UD:	/* whatever ModRM says */
		insn->dst.kind = VMM_EM_K_NONE;
		return;
	}
}

static bool em_lock_legal(const struct vmm_em_insn *insn, u32 flags)
{
	if (insn->op == VMM_EM_OP_CMP || insn->dst.kind != VMM_EM_K_MEM)
		return false;
	return flags & EM_LOCK;
}

/* #UD for reasons of mode, prefix or operand */
static int em_legal(struct em_cursor *c, const struct em_opcode *d)
{
	struct vmm_em_insn *insn = c->insn;
	bool real = insn->mode == VMM_EM_REAL || insn->mode == VMM_EM_VM86;
	const struct vmm_em_operand *o;

	if (em_64bit(c) ? d->flags & EM_NO64 : d->flags & EM_ONLY64)
		return VMM_EM_UD;
	if (real && (d->flags & EM_PROT))
		return VMM_EM_UD;
	if ((d->flags & EM_NP) && (c->opsize || insn->rep))
		return VMM_EM_UD;
	if ((d->flags & EM_P66) && (!c->opsize || insn->rep))
		return VMM_EM_UD;
	if ((d->flags & EM_NOREP) && insn->rep)
		return VMM_EM_UD;
	if ((d->flags & EM_MEM) && !em_is_mem(c))
		return VMM_EM_UD;

	switch (insn->op) {
	case VMM_EM_OP_MOV_CR:
		o = insn->dst.kind == VMM_EM_K_CR ? &insn->dst : &insn->src;
		if (insn->lock) {
			if (o->reg)
				return VMM_EM_UD;
			if (insn->dst.kind == VMM_EM_K_CR)
				insn->dst.reg = 8;
			else
				insn->src.reg = 8;
			return VMM_EM_OK;
		}
		if (o->reg != 0 && o->reg != 8 && (o->reg < 2 || o->reg > 4))
			return VMM_EM_UD;
		return VMM_EM_OK;
	case VMM_EM_OP_MOV_DR:
		o = insn->dst.kind == VMM_EM_K_DR ? &insn->dst : &insn->src;
		if (o->reg > 7)
			return VMM_EM_UD;
		break;
	case VMM_EM_OP_MOV:
		if (insn->src.kind == VMM_EM_K_SREG && insn->src.reg >= VMM_EM_SREGS)
			return VMM_EM_UD;
		if (insn->dst.kind == VMM_EM_K_SREG &&
		    (insn->dst.reg >= VMM_EM_SREGS || insn->dst.reg == VMM_EM_CS))
			return VMM_EM_UD;
		break;
	}

	if (insn->lock && !em_lock_legal(insn, d->flags))
		return VMM_EM_UD;
	return VMM_EM_OK;
}

int vmm_em_decode(struct vmm_em_insn *insn, const u8 *bytes, unsigned int len,
		  enum vmm_em_mode mode)
{
	struct em_cursor c = {
		.bytes = bytes,
		.len = len,
		.insn = insn,
		.seg = VMM_EM_NO_REG,
	};
	struct em_opcode d;
	u8 opcode;
	int ret;

	*insn = (struct vmm_em_insn){
		.mode = mode,
		.seg = VMM_EM_DS,
		.base = VMM_EM_NO_REG,
		.index = VMM_EM_NO_REG,
	};

	ret = em_prefixes(&c, &opcode);
	if (ret)
		return ret;
	ret = em_lookup(&c, opcode, &d);
	if (ret)
		return ret;
	if (d.op == VMM_EM_OP_NONE)
		return VMM_EM_UNKNOWN;

	insn->op_size = em_op_size(&c, d.flags);
	insn->addr_size = em_addr_size(&c);
	ret = em_adjust(&c, &d);
	if (ret)
		return ret;
	insn->op = d.op;
	ret = em_operands(&c, &d);
	if (ret)
		return ret;
	em_memory_size(insn);

	insn->length = c.pos;
	return em_legal(&c, &d);
}

unsigned int vmm_em_access(const struct vmm_em_insn *insn)
{
	const unsigned int rw = VMM_EM_ACC_READ | VMM_EM_ACC_WRITE;
	bool dst_mem = insn->dst.kind == VMM_EM_K_MEM;
	bool src_mem = insn->src.kind == VMM_EM_K_MEM;

	switch (insn->op) {
	case VMM_EM_OP_ADD ... VMM_EM_OP_XOR:
	case VMM_EM_OP_NOT ... VMM_EM_OP_SAR:
	case VMM_EM_OP_BTS ... VMM_EM_OP_BTC:
	case VMM_EM_OP_XCHG:
	case VMM_EM_OP_XADD:
	case VMM_EM_OP_CMPXCHG:
	case VMM_EM_OP_CMPXCHG8B:
		return dst_mem ? rw : src_mem ? VMM_EM_ACC_READ : 0;
	case VMM_EM_OP_CMP:
	case VMM_EM_OP_TEST:
	case VMM_EM_OP_BT:
		return dst_mem || src_mem ? VMM_EM_ACC_READ : 0;
	case VMM_EM_OP_PUSH:
		return VMM_EM_ACC_STACK_WRITE | (src_mem ? VMM_EM_ACC_READ : 0);
	case VMM_EM_OP_POP:
		return VMM_EM_ACC_STACK_READ | (dst_mem ? VMM_EM_ACC_WRITE : 0);
	case VMM_EM_OP_MOVS:
		return rw;
	case VMM_EM_OP_CMPS:
	case VMM_EM_OP_LODS:
	case VMM_EM_OP_SCAS:
		return VMM_EM_ACC_READ;
	case VMM_EM_OP_STOS:
		return VMM_EM_ACC_WRITE;
	case VMM_EM_OP_INS:
		return VMM_EM_ACC_PORT_IN | VMM_EM_ACC_WRITE;
	case VMM_EM_OP_OUTS:
		return VMM_EM_ACC_PORT_OUT | VMM_EM_ACC_READ;
	case VMM_EM_OP_IN:
		return VMM_EM_ACC_PORT_IN;
	case VMM_EM_OP_OUT:
		return VMM_EM_ACC_PORT_OUT;
	case VMM_EM_OP_PUSHF:
	case VMM_EM_OP_INT:
	case VMM_EM_OP_INT3:
	case VMM_EM_OP_INTO:
	case VMM_EM_OP_ICEBP:
		return VMM_EM_ACC_STACK_WRITE;
	case VMM_EM_OP_POPF:
	case VMM_EM_OP_IRET:
		return VMM_EM_ACC_STACK_READ;
	default:
		/* moves and system instructions: a memory operand of size 0 is only addressed */
		if (dst_mem && insn->dst.size)
			return VMM_EM_ACC_WRITE;
		return src_mem && insn->src.size ? VMM_EM_ACC_READ : 0;
	}
}
