// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder against Zydis: on random bytes and on every instruction of a kernel's text they agree
 * on length and operands, or the decoder refuses.
 *
 *	EM_RANDOM=N	random inputs (default 10^7)
 *	EM_SEED=N	seed (default 1)
 *	KERNEL_IMAGE=F	bzImage or ELF file (default: those under build/kernels and /boot)
 */
#include <glob.h>
#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "../unit.h"
#include "emulate.h"

#if __has_include(<Zydis/Zydis.h>)
#include <Zydis/Zydis.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static ZydisDecoder decoders[5];

static struct {
	unsigned long ok, ud, too_long, more, unknown;
	unsigned long by_op[VMM_EM_OP_COUNT];
} count;

static const char *hex(const u8 *bytes, unsigned int len)
{
	static char buf[64];
	unsigned int i;

	for (i = 0; i < len && i < 16; i++)
		sprintf(buf + 3 * i, "%02x ", bytes[i]);
	return buf;
}

static void init_decoders(void)
{
	ZydisDecoderInit(&decoders[VMM_EM_REAL], ZYDIS_MACHINE_MODE_REAL_16,
			 ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&decoders[VMM_EM_VM86], ZYDIS_MACHINE_MODE_REAL_16,
			 ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&decoders[VMM_EM_PROT16], ZYDIS_MACHINE_MODE_LEGACY_16,
			 ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&decoders[VMM_EM_PROT32], ZYDIS_MACHINE_MODE_LEGACY_32,
			 ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&decoders[VMM_EM_LONG64], ZYDIS_MACHINE_MODE_LONG_64,
			 ZYDIS_STACK_WIDTH_64);
}

#define N(_name) ZYDIS_MNEMONIC_##_name

/* The op of a mnemonic; NONE for those that the decoder need not know */
static unsigned int op_of(ZydisMnemonic m)
{
	static const struct {
		ZydisMnemonic m;
		u8 op;
	} map[] = {
#define S(_name) { N(_name), VMM_EM_OP_##_name }
		S(ADD), S(OR), S(ADC), S(SBB), S(AND), S(SUB), S(XOR), S(CMP), S(TEST), S(NOT),
		S(NEG), S(INC), S(DEC), S(ROL), S(ROR), S(RCL), S(RCR), S(SHL), S(SHR), S(SAR),
		S(BT), S(BTS), S(BTR), S(BTC), S(MOVZX), S(MOVSX), S(MOVBE), S(XCHG), S(XADD),
		S(CMPXCHG), S(CMPXCHG8B), S(PUSH), S(POP), S(IN), S(OUT), S(NOP), S(CLFLUSH),
		S(PAUSE), S(CPUID), S(RDMSR), S(WRMSR), S(RDTSC), S(RDTSCP), S(RDPMC), S(RDRAND),
		S(RDSEED), S(HLT), S(INVD), S(WBINVD), S(MONITOR), S(MWAIT), S(MONITORX), S(MWAITX),
		S(XGETBV), S(XSETBV), S(RSM), S(CLTS), S(LMSW), S(SMSW), S(LGDT), S(LIDT), S(SGDT),
		S(SIDT), S(LLDT), S(LTR), S(SLDT), S(STR), S(INVLPG), S(INVLPGA), S(INVPCID),
		S(INVEPT), S(INVVPID), S(VMMCALL), S(VMRUN), S(VMLOAD), S(VMSAVE), S(STGI), S(CLGI),
		S(SKINIT), S(VMCALL), S(VMLAUNCH), S(VMRESUME), S(VMXOFF), S(VMXON), S(VMCLEAR),
		S(VMPTRLD), S(VMPTRST), S(VMREAD), S(VMWRITE), S(VMFUNC), S(INT), S(INT3), S(INTO),
		S(IRET), S(PUSHF), S(POPF), S(CLAC), S(STAC), S(SWAPGS),
#undef S
		{ N(MOV), VMM_EM_OP_MOV }, { N(MOVNTI), VMM_EM_OP_MOV },
		{ N(MOVSXD), VMM_EM_OP_MOVSX }, { N(CMPXCHG16B), VMM_EM_OP_CMPXCHG8B },
		{ N(MOVSB), VMM_EM_OP_MOVS }, { N(MOVSW), VMM_EM_OP_MOVS },
		{ N(MOVSD), VMM_EM_OP_MOVS }, { N(MOVSQ), VMM_EM_OP_MOVS },
		{ N(CMPSB), VMM_EM_OP_CMPS }, { N(CMPSW), VMM_EM_OP_CMPS },
		{ N(CMPSD), VMM_EM_OP_CMPS }, { N(CMPSQ), VMM_EM_OP_CMPS },
		{ N(STOSB), VMM_EM_OP_STOS }, { N(STOSW), VMM_EM_OP_STOS },
		{ N(STOSD), VMM_EM_OP_STOS }, { N(STOSQ), VMM_EM_OP_STOS },
		{ N(LODSB), VMM_EM_OP_LODS }, { N(LODSW), VMM_EM_OP_LODS },
		{ N(LODSD), VMM_EM_OP_LODS }, { N(LODSQ), VMM_EM_OP_LODS },
		{ N(SCASB), VMM_EM_OP_SCAS }, { N(SCASW), VMM_EM_OP_SCAS },
		{ N(SCASD), VMM_EM_OP_SCAS }, { N(SCASQ), VMM_EM_OP_SCAS },
		{ N(INSB), VMM_EM_OP_INS }, { N(INSW), VMM_EM_OP_INS },
		{ N(INSD), VMM_EM_OP_INS }, { N(OUTSB), VMM_EM_OP_OUTS },
		{ N(OUTSW), VMM_EM_OP_OUTS }, { N(OUTSD), VMM_EM_OP_OUTS },
		{ N(PREFETCH), VMM_EM_OP_PREFETCH }, { N(PREFETCHW), VMM_EM_OP_PREFETCH },
		{ N(PREFETCHWT1), VMM_EM_OP_PREFETCH }, { N(PREFETCHNTA), VMM_EM_OP_PREFETCH },
		{ N(PREFETCHT0), VMM_EM_OP_PREFETCH }, { N(PREFETCHT1), VMM_EM_OP_PREFETCH },
		{ N(PREFETCHT2), VMM_EM_OP_PREFETCH }, { N(CLFLUSHOPT), VMM_EM_OP_CLFLUSH },
		{ N(CLWB), VMM_EM_OP_CLFLUSH }, { N(INT1), VMM_EM_OP_ICEBP },
		{ N(IRETD), VMM_EM_OP_IRET }, { N(IRETQ), VMM_EM_OP_IRET },
		{ N(PUSHFD), VMM_EM_OP_PUSHF }, { N(PUSHFQ), VMM_EM_OP_PUSHF },
		{ N(POPFD), VMM_EM_OP_POPF }, { N(POPFQ), VMM_EM_OP_POPF },
		{ N(UD0), VMM_EM_OP_UD }, { N(UD1), VMM_EM_OP_UD }, { N(UD2), VMM_EM_OP_UD },
		{ N(SETO), VMM_EM_OP_SETCC }, { N(SETNO), VMM_EM_OP_SETCC },
		{ N(SETB), VMM_EM_OP_SETCC }, { N(SETNB), VMM_EM_OP_SETCC },
		{ N(SETZ), VMM_EM_OP_SETCC }, { N(SETNZ), VMM_EM_OP_SETCC },
		{ N(SETBE), VMM_EM_OP_SETCC }, { N(SETNBE), VMM_EM_OP_SETCC },
		{ N(SETS), VMM_EM_OP_SETCC }, { N(SETNS), VMM_EM_OP_SETCC },
		{ N(SETP), VMM_EM_OP_SETCC }, { N(SETNP), VMM_EM_OP_SETCC },
		{ N(SETL), VMM_EM_OP_SETCC }, { N(SETNL), VMM_EM_OP_SETCC },
		{ N(SETLE), VMM_EM_OP_SETCC }, { N(SETNLE), VMM_EM_OP_SETCC },
		{ N(CMOVO), VMM_EM_OP_CMOV }, { N(CMOVNO), VMM_EM_OP_CMOV },
		{ N(CMOVB), VMM_EM_OP_CMOV }, { N(CMOVNB), VMM_EM_OP_CMOV },
		{ N(CMOVZ), VMM_EM_OP_CMOV }, { N(CMOVNZ), VMM_EM_OP_CMOV },
		{ N(CMOVBE), VMM_EM_OP_CMOV }, { N(CMOVNBE), VMM_EM_OP_CMOV },
		{ N(CMOVS), VMM_EM_OP_CMOV }, { N(CMOVNS), VMM_EM_OP_CMOV },
		{ N(CMOVP), VMM_EM_OP_CMOV }, { N(CMOVNP), VMM_EM_OP_CMOV },
		{ N(CMOVL), VMM_EM_OP_CMOV }, { N(CMOVNL), VMM_EM_OP_CMOV },
		{ N(CMOVLE), VMM_EM_OP_CMOV }, { N(CMOVNLE), VMM_EM_OP_CMOV },
	};
	static u8 table[ZYDIS_MNEMONIC_MAX_VALUE + 1];
	unsigned int i;

	if (!table[map[0].m])
		for (i = 0; i < ARRAY_SIZE(map); i++)
			table[map[i].m] = map[i].op;
	return table[m];
}

/* Condition code of the mnemonics with one, in the order of the opcode */
static unsigned int cond_of(ZydisMnemonic m)
{
	static const ZydisMnemonic set[16] = {
		N(SETO), N(SETNO), N(SETB), N(SETNB), N(SETZ), N(SETNZ), N(SETBE), N(SETNBE),
		N(SETS), N(SETNS), N(SETP), N(SETNP), N(SETL), N(SETNL), N(SETLE), N(SETNLE),
	};
	static const ZydisMnemonic cmov[16] = {
		N(CMOVO), N(CMOVNO), N(CMOVB), N(CMOVNB), N(CMOVZ), N(CMOVNZ), N(CMOVBE),
		N(CMOVNBE), N(CMOVS), N(CMOVNS), N(CMOVP), N(CMOVNP), N(CMOVL), N(CMOVNL),
		N(CMOVLE), N(CMOVNLE),
	};
	unsigned int i;

	for (i = 0; i < 16; i++)
		if (set[i] == m || cmov[i] == m)
			return i;
	return 0;
}

static u64 mask(unsigned int size)
{
	return size >= 8 ? ~0ull : (1ull << 8 * size) - 1;
}

static ZydisRegister gpr(unsigned int reg, unsigned int size)
{
	static const ZydisRegister first[9] = {
		[2] = ZYDIS_REGISTER_AX, [4] = ZYDIS_REGISTER_EAX, [8] = ZYDIS_REGISTER_RAX,
	};

	if (reg == VMM_EM_NO_REG)
		return ZYDIS_REGISTER_NONE;
	if (reg == VMM_EM_RIP)
		return size == 8 ? ZYDIS_REGISTER_RIP : ZYDIS_REGISTER_EIP;
	if (size != 1)
		return first[size] + reg;
	if (reg < 4)
		return ZYDIS_REGISTER_AL + reg;
	return reg < 8 ? ZYDIS_REGISTER_SPL + reg - 4 : ZYDIS_REGISTER_R8B + reg - 8;
}

static ZydisRegister sreg(unsigned int seg)
{
	return ZYDIS_REGISTER_ES + seg;
}

/* jumps and calls to another segment have their own operations here, the near ones none */
static bool is_far(const ZydisDecodedInstruction *z, u8 op)
{
	return z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR &&
	       z->mnemonic == (op == VMM_EM_OP_JMPF ? N(JMP) : N(CALL));
}

/* What differs in one operand, or NULL */
static const char *operand_differs(const struct vmm_em_insn *insn, const struct vmm_em_operand *o,
				   const ZydisDecodedOperand *z)
{
	ZydisRegister reg = ZYDIS_REGISTER_NONE;

	switch (o->kind) {
	case VMM_EM_K_GPR:
		reg = gpr(o->reg, o->size);
		break;
	case VMM_EM_K_GPR_HI:
		reg = ZYDIS_REGISTER_AH + o->reg;
		break;
	case VMM_EM_K_SREG:
		reg = sreg(o->reg);
		break;
	case VMM_EM_K_CR:
		reg = ZYDIS_REGISTER_CR0 + o->reg;
		break;
	case VMM_EM_K_DR:
		reg = ZYDIS_REGISTER_DR0 + o->reg;
		break;
	case VMM_EM_K_IMM:
		if (z->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
			return "not an immediate";
		return (z->imm.value.u ^ insn->imm) & mask(o->size) ? "immediate" : NULL;
	case VMM_EM_K_SI:
	case VMM_EM_K_DI:
		if (z->type != ZYDIS_OPERAND_TYPE_MEMORY)
			return "not string memory";
		if (z->mem.base != gpr(o->reg, insn->addr_size))
			return "string base";
		if (z->mem.segment != sreg(o->kind == VMM_EM_K_DI ? VMM_EM_ES : insn->seg))
			return "string segment";
		return z->size != 8 * o->size ? "string size" : NULL;
	case VMM_EM_K_MEM:
		if (z->type != ZYDIS_OPERAND_TYPE_MEMORY)
			return "not memory";
		if (z->mem.segment != sreg(insn->seg))
			return "segment";
		/*
		 * Zydis 4.0.0 takes r13d for the base of disp32 where SIB.base is 5 and REX.B is
		 * set; the processor does not (tested in cpu.c).
		 */
		if (z->mem.base == ZYDIS_REGISTER_R13D && insn->base == VMM_EM_NO_REG)
			return NULL;
		if (z->mem.base != gpr(insn->base, insn->addr_size))
			return "base";
		if (z->mem.index != gpr(insn->index, insn->addr_size))
			return "index";
		if (insn->index != VMM_EM_NO_REG && (z->mem.scale ?: 1) != 1 << insn->scale)
			return "scale";
		if (((z->mem.disp.has_displacement ? (u64)z->mem.disp.value : 0) ^ insn->disp) &
		    mask(insn->addr_size))
			return "displacement";
		return o->size && z->size != 8 * o->size ? "memory size" : NULL;
	}

	if (z->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return "not a register";
	return z->reg.value != reg ? "register" : NULL;
}

static const char *operands_differ(const struct vmm_em_insn *insn,
				   const ZydisDecodedInstruction *z,
				   const ZydisDecodedOperand *operands)
{
	const struct vmm_em_operand *ours[2] = { &insn->dst, &insn->src };
	/* string operands are hidden ones there, DI first */
	bool hidden = insn->op >= VMM_EM_OP_MOVS && insn->op <= VMM_EM_OP_OUTS;
	unsigned int i, k = 0;
	const char *what;

	for (i = 0; i < 2; i++) {
		if (ours[i]->kind == VMM_EM_K_NONE)
			continue;
		while (k < z->operand_count && !hidden &&
		       operands[k].visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
			k++;
		if (k >= z->operand_count)
			return "operand missing";
		what = operand_differs(insn, ours[i], &operands[k++]);
		if (what)
			return what;
	}
	/* NOP has a register operand there, UD0 and UD1 have operands, a far pointer is one */
	if (insn->op == VMM_EM_OP_NOP || insn->op == VMM_EM_OP_UD ||
	    insn->op == VMM_EM_OP_JMPF || insn->op == VMM_EM_OP_CALLF)
		return NULL;
	for (; k < z->operand_count; k++)
		if (operands[k].visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
			return "operand not decoded";
	return NULL;
}

/* Sizes that no explicit operand shows */
static const char *sizes_differ(const struct vmm_em_insn *insn, const ZydisDecodedInstruction *z)
{
	unsigned int size = 0;

	if (z->address_width != 8 * insn->addr_size)
		return "address size";
	switch (z->mnemonic) {
	case N(IRET):
	case N(PUSHF):
	case N(POPF):
		size = 2;
		break;
	case N(IRETD):
	case N(PUSHFD):
	case N(POPFD):
		size = 4;
		break;
	case N(IRETQ):
	case N(PUSHFQ):
	case N(POPFQ):
		size = 8;
		break;
	default:
		break;
	}
	return size && size != insn->op_size ? "operand size" : NULL;
}

/* Registers of the same numbers, and moves of constants, that no guest access can fault on */
static bool may_refuse(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *operands)
{
	unsigned int i;

	switch (op_of(z->mnemonic)) {
	case VMM_EM_OP_NONE:
		return true;
	case VMM_EM_OP_MOVS:		/* and SSE's MOVSD, CMPSD */
	case VMM_EM_OP_CMPS:
		return z->opcode_map == ZYDIS_OPCODE_MAP_0F;
	case VMM_EM_OP_INC:
	case VMM_EM_OP_DEC:
	case VMM_EM_OP_PUSH:
	case VMM_EM_OP_POP:
	case VMM_EM_OP_XCHG:
	case VMM_EM_OP_MOV:
		for (i = 0; i < z->operand_count; i++)
			if (operands[i].visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT &&
			    operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
				return false;
		return true;
	case VMM_EM_OP_PAUSE:		/* with REX.B it is XCHG, as cpu.c found */
		return z->raw.rex.B;
	case VMM_EM_OP_NOP:		/* 0F 0D, 0F 18-1E */
		return z->opcode_map == ZYDIS_OPCODE_MAP_0F;
	default:
		return false;
	}
}

static void compare(const u8 *bytes, unsigned int len, unsigned int mode)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	const char *what = NULL;
	ZydisDecodedInstruction z;
	struct vmm_em_insn insn;
	ZyanStatus status;
	int got;

	got = vmm_em_decode(&insn, bytes, len, mode);
	status = ZydisDecoderDecodeFull(&decoders[mode], bytes, len, &z, operands);

	switch (got) {
	case VMM_EM_OK:
		count.ok++;
		count.by_op[insn.op]++;
		if (insn.op == VMM_EM_OP_MOV_CR && insn.lock)
			return;		/* AMD's CR8; Zydis knows no LOCK there */
		if (ZYAN_FAILED(status)) {
			what = "Zydis cannot decode it";
			break;
		}
		if (z.length != insn.length)
			what = "length";
		else if (insn.op == VMM_EM_OP_MOV_CR || insn.op == VMM_EM_OP_MOV_DR)
			what = z.mnemonic != N(MOV) ? "instruction" : NULL;
		else if (insn.op == VMM_EM_OP_JMPF || insn.op == VMM_EM_OP_CALLF)
			what = is_far(&z, insn.op) ? NULL : "instruction";
		else if (op_of(z.mnemonic) != insn.op)
			what = "instruction";
		what = what ?: operands_differ(&insn, &z, operands) ?: sizes_differ(&insn, &z);
		if (!what && cond_of(z.mnemonic) != insn.cond)
			what = "condition";
		break;
	case VMM_EM_UD:
		count.ud++;
		/* in real mode it refuses VMWRITE from memory, but not from a register */
		if (!ZYAN_FAILED(status) && z.mnemonic != N(VMWRITE))
			what = "#UD";
		break;
	case VMM_EM_TOO_LONG:
		count.too_long++;
		if (!ZYAN_FAILED(status) || status == ZYDIS_STATUS_NO_MORE_DATA)
			what = "too long";
		break;
	case VMM_EM_MORE:
		count.more++;
		if (!ZYAN_FAILED(status))
			what = "more bytes";
		break;
	default:
		count.unknown++;
		if (!ZYAN_FAILED(status) && !may_refuse(&z, operands))
			what = "refused";
		break;
	}

	if (what)
		FAIL("mode %u: %s: %s: got %d op %u length %u; Zydis %#x %s length %u", mode,
		     hex(bytes, len > 16 ? 16 : len), what, got, insn.op, insn.length, status,
		     ZYAN_FAILED(status) ? "-" : ZydisMnemonicGetString(z.mnemonic),
		     ZYAN_FAILED(status) ? 0 : z.length);
}

static u64 random_state;

static u64 random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull;
}

/* Mostly some prefixes and an opcode of the maps at hand, sometimes anything */
static void random_bytes(u8 *bytes, unsigned int size)
{
	static const u8 prefixes[] = {
		0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x66, 0x66, 0x67, 0x67, 0xf0, 0xf0, 0xf2,
		0xf3, 0xf3, 0x40, 0x41, 0x42, 0x44, 0x48, 0x49, 0x4c, 0x4f,
	};
	u64 r = random_u64(), words[3] = { random_u64(), random_u64(), random_u64() };
	unsigned int n = 0, np = r & 7;

	memcpy(bytes, words, size);
	if (!(r >> 60))
		return;
	/* 0..4 prefixes, rarely many */
	np = np > 4 ? np - 4 : np;
	if (!(r >> 8 & 0xff))
		np = 10 + np;
	for (r >>= 16; n < np; n++)
		bytes[n] = prefixes[random_u64() % sizeof(prefixes)];
	if ((r & 7) < 3) {
		bytes[n++] = 0x0f;
		if (!(r >> 8 & 7)) {
			bytes[n++] = r >> 16 & 1 ? 0x01 : 0xc7;
		} else if (!(r >> 12 & 15)) {
			bytes[n++] = 0x38;
			bytes[n] = r >> 16 & 1 ? 0x80 | (bytes[n] & 3) : 0xf0 | (bytes[n] & 1);
		}
	}
}

static void show_count(void)
{
	unsigned int i, absent = 0;

	unit_note("decoded %lu, #UD %lu, too long %lu, cut short %lu, refused %lu", count.ok,
		  count.ud, count.too_long, count.more, count.unknown);
	for (i = 1; i < VMM_EM_OP_COUNT; i++)
		absent += !count.by_op[i];
	unit_note("%u of %u instructions never seen", absent, VMM_EM_OP_COUNT - 1);
}

UNIT_TEST(random_bytes_as_zydis)
{
	unsigned long n = getenv("EM_RANDOM") ? strtoul(getenv("EM_RANDOM"), NULL, 0) : 10000000;
	unsigned long i;

	random_state = 0x9e3779b97f4a7c15ull *
		       (getenv("EM_SEED") ? strtoul(getenv("EM_SEED"), NULL, 0) : 1);
	random_state = random_state ?: 1;
	init_decoders();
	memset(&count, 0, sizeof(count));
	for (i = 0; i < n; i++) {
		u8 bytes[24];
		u64 r = random_u64();

		random_bytes(bytes, sizeof(bytes));
		/* 64-bit mode half of the time; cut short now and then */
		compare(bytes, r & 0xf00 ? 16 : r >> 12 & 15,
			r & 1 ? VMM_EM_LONG64 : (r >> 1 & 0x7f) % 4);
	}
	show_count();
	if (n >= 1000000) {
		for (i = 1; i < VMM_EM_OP_COUNT; i++)
			if (!count.by_op[i] && i != VMM_EM_OP_SHL2)
				FAIL("instruction %lu never seen", i);
		EXPECT(count.too_long && count.more && count.ud);
	}
}

/* The output of a command, up to 256 MiB */
static u8 *read_command(const char *command, size_t *size)
{
	FILE *pipe = popen(command, "r");
	size_t room = 256u << 20, n = 0, got;
	u8 *buf = malloc(room);

	if (pipe && buf)
		while (n < room && (got = fread(buf + n, 1, room - n, pipe)))
			n += got;
	if (pipe)
		pclose(pipe);
	*size = n;
	return buf;
}

static u32 le32(const u8 *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24;
}

/* Command that writes the ELF file inside a bzImage (boot protocol 2.08: payload_offset, length) */
static bool payload_command(const char *image, char *command, size_t room)
{
	static const struct {
		u8 magic[4];
		u8 len;
		const char *tool;
	} formats[] = {
		{ { 0x1f, 0x8b }, 2, "gzip -dc" }, { { 0xfd, '7', 'z', 'X' }, 4, "xz -dc" },
		{ { 0x28, 0xb5, 0x2f, 0xfd }, 4, "zstd -dc" },
		{ { 'B', 'Z', 'h' }, 3, "bzip2 -dc" },
		{ { 0x02, 0x21, 0x4c, 0x18 }, 4, "lz4 -dc" }, { { 0x5d, 0, 0 }, 3, "lzma -dc" },
	};
	FILE *f = fopen(image, "r");
	unsigned int i, payload;
	u8 head[0x260], magic[4];
	bool found = false;

	if (!f || fread(head, 1, sizeof(head), f) != sizeof(head))
		goto out;
	if (!memcmp(head, ELFMAG, SELFMAG)) {
		found = snprintf(command, room, "cat '%s'", image) < (int)room;
		goto out;
	}
	if (memcmp(head + 0x202, "HdrS", 4))
		goto out;
	payload = (head[0x1f1] + 1) * 512 + le32(head + 0x248);
	if (fseek(f, payload, SEEK_SET) || fread(magic, 1, 4, f) != 4)
		goto out;
	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (!memcmp(magic, formats[i].magic, formats[i].len))
			found = snprintf(command, room,
					 "tail -c +%u '%s' | head -c %u | %s 2>/dev/null",
					 payload + 1, image, le32(head + 0x24c),
					 formats[i].tool) < (int)room;
out:
	if (f)
		fclose(f);
	return found;
}

/* Every instruction of the executable sections */
static unsigned long compare_elf(const u8 *elf, size_t size)
{
	const Elf64_Ehdr *eh = (const void *)elf;
	unsigned long n = 0;
	unsigned int i;

	if (size < sizeof(*eh) || memcmp(elf, ELFMAG, SELFMAG) ||
	    eh->e_shoff > size || eh->e_shnum * sizeof(Elf64_Shdr) > size - eh->e_shoff)
		return 0;
	for (i = 0; i < eh->e_shnum; i++) {
		const Elf64_Shdr *sh = (const void *)(elf + eh->e_shoff + i * sizeof(*sh));
		const u8 *p = elf + sh->sh_offset, *end = p + sh->sh_size;

		if (sh->sh_type != SHT_PROGBITS || !(sh->sh_flags & SHF_EXECINSTR) ||
		    sh->sh_offset > size || sh->sh_size > size - sh->sh_offset)
			continue;
		while (p < end) {
			unsigned int left = end - p > 16 ? 16 : end - p;
			ZydisDecodedInstruction z;
			ZyanStatus status;

			compare(p, left, VMM_EM_LONG64);
			status = ZydisDecoderDecodeInstruction(&decoders[VMM_EM_LONG64], NULL, p,
							       left, &z);
			p += ZYAN_FAILED(status) ? 1 : z.length;
			n++;
		}
	}
	return n;
}

UNIT_TEST(kernel_text_as_zydis)
{
	static const char *const patterns[] = {
		"build/kernels/*/vmlinuz", "../../build/kernels/*/vmlinuz", "/boot/vmlinuz-*",
	};
	const char *named = getenv("KERNEL_IMAGE");
	unsigned long total = 0;
	glob_t images = {};
	size_t i;

	init_decoders();
	memset(&count, 0, sizeof(count));
	for (i = 0; i < ARRAY_SIZE(patterns) && !named && !images.gl_pathc; i++)
		glob(patterns[i], 0, NULL, &images);

	for (i = 0; i < (named ? 1 : images.gl_pathc); i++) {
		const char *image = named ?: images.gl_pathv[i];
		char command[1024];
		unsigned long n = 0;
		size_t size;
		u8 *elf;

		if (!payload_command(image, command, sizeof(command))) {
			FAIL("%s: not a kernel image", image);
			continue;
		}
		elf = read_command(command, &size);
		if (elf)
			n = compare_elf(elf, size);
		free(elf);
		unit_note("%s: %lu instructions", image, n);
		if (n < 1000000)
			FAIL("%s: %lu instructions found, by: %s", image, n, command);
		total += n;
	}
	globfree(&images);
	if (!total && !named && !unit_state.failed)
		UNIT_SKIP("no kernel image; name one by KERNEL_IMAGE=");
	show_count();
}

#else

UNIT_TEST(random_bytes_as_zydis)
{
	UNIT_SKIP("built without libzydis-dev");
}

UNIT_TEST(kernel_text_as_zydis)
{
	UNIT_SKIP("built without libzydis-dev");
}

#endif

UNIT_MAIN()
