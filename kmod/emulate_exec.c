// SPDX-License-Identifier: GPL-2.0
/*
 * Execution of decoded instructions: addresses, accesses, registers.
 *
 * Every handler goes through the same steps, so that FAULT and PENDING leave no trace:
 *
 *	addresses with their checks -> reads -> compute -> writes -> registers, flags, rip
 *
 * A locked read-modify-write is a read and a compare-and-swap; if it loses the race, the guest
 * executes the instruction again: there is no loop here.
 */
#include "emulate_alu.h"

#define EM_SS_FAULT	12
#define EM_GP_FAULT	13

/* One execution; linear is valid once em_begin() returned DONE and there is a memory operand */
struct em_run {
	struct vmm_em_ctx *ctx;
	const struct vmm_em_insn *insn;
	u64 linear;
};

static bool em_real(const struct vmm_em_ctx *ctx)
{
	return ctx->mode == VMM_EM_REAL || ctx->mode == VMM_EM_VM86;
}

/* Segmentation faults: error code 0, none in real mode */
static enum vmm_em_result em_seg_fault(struct vmm_em_ctx *ctx, unsigned int seg)
{
	ctx->fault = (struct vmm_em_fault){
		.vector = seg == VMM_EM_SS ? EM_SS_FAULT : EM_GP_FAULT,
		.has_error = ctx->mode != VMM_EM_REAL,
	};
	return VMM_EM_FAULT;
}

static u64 em_reg(const struct vmm_em_ctx *ctx, unsigned int reg, unsigned int size)
{
	return ctx->regs[reg & 15] & vmm_em_mask(size);
}

/* Writes of 4 bytes clear the upper half of the register, narrower ones keep the rest */
static void em_set_reg(struct vmm_em_ctx *ctx, unsigned int reg, unsigned int size, u64 val)
{
	u64 mask = size == 4 ? ~0ull : vmm_em_mask(size);

	val &= vmm_em_mask(size);
	ctx->regs[reg & 15] = (ctx->regs[reg & 15] & ~mask) | val;
}

static u64 em_offset(const struct vmm_em_ctx *ctx, const struct vmm_em_insn *insn, u64 rsp)
{
	u64 offset = insn->disp;

	if (insn->base == VMM_EM_RIP)
		offset += ctx->rip + insn->length;
	else if (insn->base == VMM_EM_RSP)
		offset += rsp;
	else if (insn->base != VMM_EM_NO_REG)
		offset += ctx->regs[insn->base & 15];

	if (insn->index != VMM_EM_NO_REG)
		offset += ctx->regs[insn->index & 15] << (insn->scale & 3);

	return offset & vmm_em_mask(insn->addr_size);
}

u64 vmm_em_offset(const struct vmm_em_ctx *ctx, const struct vmm_em_insn *insn)
{
	return em_offset(ctx, insn, ctx->regs[VMM_EM_RSP]);
}

static bool em_canonical(const struct vmm_em_ctx *ctx, u64 linear)
{
	unsigned int shift = ctx->va_bits == 57 ? 64 - 57 : 64 - 48;

	return (u64)((s64)(linear << shift) >> shift) == linear;
}

static bool em_seg_type_ok(const struct vmm_em_seg *s, unsigned int access)
{
	if (!(s->attr & VMM_EM_SEG_PRESENT))
		return false;
	if (s->attr & VMM_EM_SEG_CODE)
		return !(access & VMM_EM_ACC_WRITE) &&
		       (!(access & VMM_EM_ACC_READ) || (s->attr & VMM_EM_SEG_WRITE));
	return !(access & VMM_EM_ACC_WRITE) || (s->attr & VMM_EM_SEG_WRITE);
}

/* Offsets are at most 32 bits wide here, so that adding a length does not wrap */
static bool em_seg_limit_ok(const struct vmm_em_seg *s, bool real, u64 first, u64 last)
{
	u64 top;

	if (real || (s->attr & (VMM_EM_SEG_CODE | VMM_EM_SEG_DOWN)) != VMM_EM_SEG_DOWN)
		return last <= s->limit;
	top = s->attr & VMM_EM_SEG_BIG ? 0xffffffff : 0xffff;
	return first > s->limit && last <= top;
}

enum vmm_em_result vmm_em_linear(struct vmm_em_ctx *ctx, unsigned int seg, u64 offset,
				 unsigned int len, unsigned int access, u64 *linear)
{
	const struct vmm_em_seg *s;

	if (seg >= VMM_EM_SREGS || !len)
		return VMM_EM_UNHANDLEABLE;
	s = &ctx->segs[seg];

	if (ctx->mode == VMM_EM_LONG64) {
		if (seg == VMM_EM_FS || seg == VMM_EM_GS)
			offset += s->base;
		*linear = offset;
		if (!em_canonical(ctx, offset) || !em_canonical(ctx, offset + len - 1))
			return em_seg_fault(ctx, seg);
		return VMM_EM_DONE;
	}

	offset &= 0xffffffff;
	if (!em_real(ctx) && !em_seg_type_ok(s, access))
		return em_seg_fault(ctx, seg);
	if (!em_seg_limit_ok(s, em_real(ctx), offset, offset + len - 1))
		return em_seg_fault(ctx, seg);
	*linear = (s->base + offset) & 0xffffffff;
	return VMM_EM_DONE;
}

/* Address of the memory operand. @rsp and @delta serve POP and BT, whose address is not plain. */
static enum vmm_em_result em_address(struct em_run *run, const struct vmm_em_operand *o, u64 rsp,
				     u64 delta)
{
	const struct vmm_em_insn *insn = run->insn;
	unsigned int access = vmm_em_access(insn) & (VMM_EM_ACC_READ | VMM_EM_ACC_WRITE);
	u64 offset = em_offset(run->ctx, insn, rsp) + delta;

	offset &= vmm_em_mask(insn->addr_size);
	run->ctx->intent = access;
	return vmm_em_linear(run->ctx, insn->seg, offset, o->size, access, &run->linear);
}

/* Address of the memory operand, if there is one */
static enum vmm_em_result em_begin(struct em_run *run)
{
	u64 rsp = run->ctx->regs[VMM_EM_RSP];

	if (run->insn->dst.kind == VMM_EM_K_MEM)
		return em_address(run, &run->insn->dst, rsp, 0);
	if (run->insn->src.kind == VMM_EM_K_MEM)
		return em_address(run, &run->insn->src, rsp, 0);
	return VMM_EM_DONE;
}

static enum vmm_em_result em_read(struct em_run *run, u64 linear, unsigned int size, u64 *val)
{
	*val = 0;
	return run->ctx->ops->read(run->ctx, linear, val, size);
}

static enum vmm_em_result em_write(struct em_run *run, u64 linear, unsigned int size, u64 val)
{
	return run->ctx->ops->write(run->ctx, linear, &val, size);
}

static enum vmm_em_result em_probe(struct em_run *run, u64 linear, unsigned int size)
{
	return run->ctx->ops->probe ? run->ctx->ops->probe(run->ctx, linear, size) : VMM_EM_DONE;
}

/* Value of an operand */
static enum vmm_em_result em_get(struct em_run *run, const struct vmm_em_operand *o, u64 *val)
{
	const struct vmm_em_ctx *ctx = run->ctx;

	switch (o->kind) {
	case VMM_EM_K_GPR:
		*val = em_reg(ctx, o->reg, o->size);
		return VMM_EM_DONE;
	case VMM_EM_K_GPR_HI:
		*val = (ctx->regs[o->reg & 3] >> 8) & 0xff;
		return VMM_EM_DONE;
	case VMM_EM_K_IMM:
		*val = run->insn->imm;
		return VMM_EM_DONE;
	case VMM_EM_K_SREG:
		if (o->reg >= VMM_EM_SREGS)
			return VMM_EM_UNHANDLEABLE;
		*val = ctx->segs[o->reg].selector;
		return VMM_EM_DONE;
	case VMM_EM_K_MEM:
		return em_read(run, run->linear, o->size, val);
	default:
		return VMM_EM_UNHANDLEABLE;
	}
}

static bool em_is_reg(const struct vmm_em_operand *o)
{
	return o->kind == VMM_EM_K_GPR || o->kind == VMM_EM_K_GPR_HI;
}

static void em_put_reg(struct em_run *run, const struct vmm_em_operand *o, u64 val)
{
	struct vmm_em_ctx *ctx = run->ctx;

	if (o->kind == VMM_EM_K_GPR_HI)
		ctx->regs[o->reg & 3] = (ctx->regs[o->reg & 3] & ~0xff00ull) | (val & 0xff) << 8;
	else
		em_set_reg(ctx, o->reg, o->size, val);
}

/* Write the destination, register or memory. With a register this is part of the commit. */
static enum vmm_em_result em_put(struct em_run *run, const struct vmm_em_operand *o, u64 val)
{
	if (o->kind == VMM_EM_K_MEM)
		return em_write(run, run->linear, o->size, val);
	if (!em_is_reg(o))
		return VMM_EM_UNHANDLEABLE;
	em_put_reg(run, o, val);
	return VMM_EM_DONE;
}

static enum vmm_em_result em_swap(struct em_run *run, const void *old, const void *new,
				  unsigned int size)
{
	/* not called by its name: cmpxchg() is a macro of the kernel's */
	typeof(run->ctx->ops->cmpxchg) swap = run->ctx->ops->cmpxchg;
	enum vmm_em_result ret;
	bool ok = false;

	ret = swap(run->ctx, run->linear, old, new, size, &ok);
	return ret == VMM_EM_DONE && !ok ? VMM_EM_AGAIN : ret;
}

/* Second half of a read-modify-write of the destination */
static enum vmm_em_result em_replace(struct em_run *run, u64 old, u64 new, bool locked)
{
	const struct vmm_em_operand *o = &run->insn->dst;

	if (o->kind == VMM_EM_K_MEM && locked)
		return em_swap(run, &old, &new, o->size);
	return em_put(run, o, new);
}

/* The instruction is complete */
static enum vmm_em_result em_retire(struct em_run *run, u64 flags)
{
	struct vmm_em_ctx *ctx = run->ctx;

	ctx->rflags = flags & ~VMM_EM_RF;
	ctx->rip += run->insn->length;
	if (ctx->mode != VMM_EM_LONG64)
		ctx->rip &= 0xffffffff;
	return VMM_EM_DONE;
}

/*
 * CLFLUSH is checked as an access to one byte, which may lie in an execute-only segment, and does
 * nothing: devices are not cached.
 */
static enum vmm_em_result em_exec_clflush(struct em_run *run)
{
	struct vmm_em_ctx *ctx = run->ctx;
	enum vmm_em_result ret;

	ret = vmm_em_linear(ctx, run->insn->seg, vmm_em_offset(ctx, run->insn), 1, 0,
			    &run->linear);
	return ret == VMM_EM_DONE ? em_retire(run, ctx->rflags) : ret;
}

static enum vmm_em_result em_exec_alu(struct em_run *run)
{
	const struct vmm_em_insn *insn = run->insn;
	u64 flags = run->ctx->rflags;
	u64 dst, src = 0, res;
	enum vmm_em_result ret;

	ret = em_get(run, &insn->dst, &dst);
	if (ret == VMM_EM_DONE && insn->src.kind != VMM_EM_K_NONE)
		ret = em_get(run, &insn->src, &src);
	if (ret != VMM_EM_DONE)
		return ret;

	if (insn->op >= VMM_EM_OP_ROL && insn->op <= VMM_EM_OP_SAR)
		res = vmm_em_shift(insn->op, dst, src, insn->op_size, &flags);
	else
		res = vmm_em_alu(insn->op, dst, src, insn->op_size, &flags);

	if (insn->op != VMM_EM_OP_CMP && insn->op != VMM_EM_OP_TEST) {
		ret = em_replace(run, dst, res, insn->lock);
		if (ret != VMM_EM_DONE)
			return ret;
	}
	return em_retire(run, flags);
}

/* With a register as bit offset and a memory operand, the offset is signed and reaches anywhere. */
static enum vmm_em_result em_exec_bit(struct em_run *run)
{
	const struct vmm_em_insn *insn = run->insn;
	unsigned int size = insn->op_size;
	u64 flags = run->ctx->rflags;
	u64 val, offset, bit, res;
	enum vmm_em_result ret;

	ret = em_get(run, &insn->src, &offset);
	if (ret == VMM_EM_DONE && insn->dst.kind == VMM_EM_K_MEM) {
		s64 step = insn->src.kind == VMM_EM_K_IMM ? 0 : (s64)vmm_em_sext(offset, size);

		step = size == 8 ? step >> 6 : size == 4 ? step >> 5 : step >> 4;
		ret = em_address(run, &insn->dst, run->ctx->regs[VMM_EM_RSP], (u64)step * size);
	}
	if (ret == VMM_EM_DONE)
		ret = em_get(run, &insn->dst, &val);
	if (ret != VMM_EM_DONE)
		return ret;

	bit = 1ull << (offset & (8 * size - 1));
	flags = val & bit ? flags | VMM_EM_CF : flags & ~VMM_EM_CF;
	if (insn->op == VMM_EM_OP_BT)
		return em_retire(run, flags);

	if (insn->op == VMM_EM_OP_BTS)
		res = val | bit;
	else if (insn->op == VMM_EM_OP_BTR)
		res = val & ~bit;
	else
		res = val ^ bit;
	ret = em_replace(run, val, res, insn->lock);
	return ret == VMM_EM_DONE ? em_retire(run, flags) : ret;
}

static u64 em_byteswap(u64 val, unsigned int size)
{
	u64 res = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		res |= ((val >> (8 * i)) & 0xff) << (8 * (size - 1 - i));
	return res;
}

/* MOV, MOVZX, MOVSX, MOVBE, CMOVcc, SETcc */
static enum vmm_em_result em_exec_move(struct em_run *run)
{
	const struct vmm_em_insn *insn = run->insn;
	struct vmm_em_ctx *ctx = run->ctx;
	enum vmm_em_result ret = VMM_EM_DONE;
	u64 val = 0;

	if (insn->op == VMM_EM_OP_SETCC)
		val = vmm_em_condition(insn->cond, ctx->rflags);
	else
		ret = em_get(run, &insn->src, &val);
	if (ret != VMM_EM_DONE)
		return ret;

	switch (insn->op) {
	case VMM_EM_OP_MOVSX:
		val = vmm_em_sext(val, insn->src.size);
		break;
	case VMM_EM_OP_MOVBE:
		val = em_byteswap(val, insn->op_size);
		break;
	case VMM_EM_OP_CMOV:
		/* a false condition still writes the register: 4 bytes clear its upper half */
		if (!vmm_em_condition(insn->cond, ctx->rflags))
			val = em_reg(ctx, insn->dst.reg, insn->dst.size);
		break;
	}

	ret = em_put(run, &insn->dst, val);
	return ret == VMM_EM_DONE ? em_retire(run, ctx->rflags) : ret;
}

/* XCHG with memory is locked without LOCK */
static enum vmm_em_result em_exec_xchg(struct em_run *run)
{
	const struct vmm_em_insn *insn = run->insn;
	bool xadd = insn->op == VMM_EM_OP_XADD;
	u64 flags = run->ctx->rflags;
	enum vmm_em_result ret;
	u64 dst, src, res;

	ret = em_get(run, &insn->dst, &dst);
	if (ret == VMM_EM_DONE)
		ret = em_get(run, &insn->src, &src);
	if (ret != VMM_EM_DONE)
		return ret;

	res = xadd ? vmm_em_alu(VMM_EM_OP_ADD, dst, src, insn->op_size, &flags) : src;
	if (insn->dst.kind == VMM_EM_K_MEM) {
		ret = em_replace(run, dst, res, !xadd || insn->lock);
		if (ret != VMM_EM_DONE)
			return ret;
		em_put_reg(run, &insn->src, dst);
	} else {
		/* the destination last: both may be the same register */
		em_put_reg(run, &insn->src, dst);
		em_put_reg(run, &insn->dst, res);
	}
	return em_retire(run, flags);
}

/* Memory gets a write cycle even if the comparison fails: its own value. A register does not. */
static enum vmm_em_result em_exec_cmpxchg(struct em_run *run)
{
	const struct vmm_em_insn *insn = run->insn;
	struct vmm_em_ctx *ctx = run->ctx;
	unsigned int size = insn->op_size;
	u64 acc = em_reg(ctx, VMM_EM_RAX, size);
	u64 flags = ctx->rflags;
	enum vmm_em_result ret;
	u64 dst, src;

	ret = em_get(run, &insn->dst, &dst);
	if (ret == VMM_EM_DONE)
		ret = em_get(run, &insn->src, &src);
	if (ret != VMM_EM_DONE)
		return ret;

	vmm_em_alu(VMM_EM_OP_CMP, acc, dst, size, &flags);
	if (acc == dst || !em_is_reg(&insn->dst)) {
		ret = em_replace(run, dst, acc == dst ? src : dst, insn->lock);
		if (ret != VMM_EM_DONE)
			return ret;
	}
	if (acc != dst)
		em_set_reg(ctx, VMM_EM_RAX, size, dst);
	return em_retire(run, flags);
}

static enum vmm_em_result em_exec_cmpxchg8b(struct em_run *run)
{
	const struct vmm_em_insn *insn = run->insn;
	struct vmm_em_ctx *ctx = run->ctx;
	unsigned int half = insn->op_size;
	u8 old[16] = {}, new[16] = {};
	u64 lo = 0, hi = 0, flags = ctx->rflags;
	enum vmm_em_result ret;
	bool equal;

	if (insn->dst.kind != VMM_EM_K_MEM || (half != 4 && half != 8))
		return VMM_EM_UNHANDLEABLE;
	/* alignment first: #GP(0) even if the address is not canonical and in SS */
	ret = em_begin(run);
	if (half == 8 && (run->linear & 15))
		return em_seg_fault(ctx, VMM_EM_DS);
	if (ret != VMM_EM_DONE)
		return ret;

	ret = ctx->ops->read(ctx, run->linear, old, 2 * half);
	if (ret != VMM_EM_DONE)
		return ret;

	memcpy(&lo, old, half);
	memcpy(&hi, old + half, half);
	equal = lo == em_reg(ctx, VMM_EM_RAX, half) && hi == em_reg(ctx, VMM_EM_RDX, half);
	if (equal) {
		memcpy(new, &ctx->regs[VMM_EM_RBX], half);
		memcpy(new + half, &ctx->regs[VMM_EM_RCX], half);
	} else {
		memcpy(new, old, sizeof(new));
	}

	if (insn->lock)
		ret = em_swap(run, old, new, 2 * half);
	else
		ret = ctx->ops->write(ctx, run->linear, new, 2 * half);
	if (ret != VMM_EM_DONE)
		return ret;

	if (equal) {
		flags |= VMM_EM_ZF;
	} else {
		em_set_reg(ctx, VMM_EM_RAX, half, lo);
		em_set_reg(ctx, VMM_EM_RDX, half, hi);
		flags &= ~VMM_EM_ZF;
	}
	return em_retire(run, flags);
}

/* Bytes of the stack pointer in use */
static unsigned int em_stack_size(const struct vmm_em_ctx *ctx)
{
	if (ctx->mode == VMM_EM_LONG64)
		return 8;
	return ctx->segs[VMM_EM_SS].attr & VMM_EM_SEG_BIG ? 4 : 2;
}

/* rSP moved by @delta; only the part in use moves, and without a carry into the rest */
static u64 em_stack_pointer(const struct vmm_em_ctx *ctx, u64 delta)
{
	u64 mask = vmm_em_mask(em_stack_size(ctx));
	u64 rsp = ctx->regs[VMM_EM_RSP];

	return (rsp & ~mask) | ((rsp + delta) & mask);
}

static enum vmm_em_result em_exec_push(struct em_run *run)
{
	const struct vmm_em_insn *insn = run->insn;
	struct vmm_em_ctx *ctx = run->ctx;
	unsigned int size = insn->op_size;
	u64 rsp = em_stack_pointer(ctx, -(u64)size);
	enum vmm_em_result ret;
	u64 val, linear;

	ret = vmm_em_linear(ctx, VMM_EM_SS, rsp & vmm_em_mask(em_stack_size(ctx)), size,
			    VMM_EM_ACC_WRITE, &linear);
	if (ret != VMM_EM_DONE)
		return ret;

	ctx->intent = VMM_EM_ACC_WRITE;
	ret = em_probe(run, linear, size);
	if (ret != VMM_EM_DONE)
		return ret;
	ctx->intent = VMM_EM_ACC_READ;
	ret = em_get(run, &insn->src, &val);
	if (ret != VMM_EM_DONE)
		return ret;
	ctx->intent = VMM_EM_ACC_WRITE;
	ret = em_write(run, linear, size, val);
	if (ret != VMM_EM_DONE)
		return ret;

	em_set_reg(ctx, VMM_EM_RSP, em_stack_size(ctx), rsp);
	return em_retire(run, ctx->rflags);
}

/* A destination based on rSP is addressed with rSP after the increment. */
static enum vmm_em_result em_exec_pop(struct em_run *run)
{
	const struct vmm_em_insn *insn = run->insn;
	struct vmm_em_ctx *ctx = run->ctx;
	unsigned int size = insn->op_size;
	u64 rsp = em_stack_pointer(ctx, size);
	enum vmm_em_result ret;
	u64 val, linear;

	ret = vmm_em_linear(ctx, VMM_EM_SS, em_reg(ctx, VMM_EM_RSP, em_stack_size(ctx)), size,
			    VMM_EM_ACC_READ, &linear);
	if (ret == VMM_EM_DONE && insn->dst.kind == VMM_EM_K_MEM)
		ret = em_address(run, &insn->dst, rsp, 0);
	if (ret != VMM_EM_DONE)
		return ret;

	ctx->intent = VMM_EM_ACC_READ;
	ret = em_read(run, linear, size, &val);
	if (ret != VMM_EM_DONE)
		return ret;

	if (insn->dst.kind == VMM_EM_K_MEM) {
		ctx->intent = VMM_EM_ACC_WRITE;
		ret = em_write(run, run->linear, size, val);
		if (ret != VMM_EM_DONE)
			return ret;
		em_set_reg(ctx, VMM_EM_RSP, em_stack_size(ctx), rsp);
	} else {
		em_set_reg(ctx, VMM_EM_RSP, em_stack_size(ctx), rsp);
		em_put_reg(run, &insn->dst, val);
	}
	return em_retire(run, ctx->rflags);
}

static enum vmm_em_result em_exec_port(struct em_run *run)
{
	const struct vmm_em_insn *insn = run->insn;
	bool in = insn->op == VMM_EM_OP_IN;
	const struct vmm_em_operand *p = in ? &insn->src : &insn->dst;
	struct vmm_em_ctx *ctx = run->ctx;
	unsigned int size = insn->op_size;
	enum vmm_em_result ret;
	u32 val = 0;
	u16 port;

	port = p->kind == VMM_EM_K_IMM ? insn->imm : em_reg(ctx, VMM_EM_RDX, 2);
	if (in)
		ret = ctx->ops->in(ctx, port, size, &val);
	else
		ret = ctx->ops->out(ctx, port, size, em_reg(ctx, VMM_EM_RAX, size));
	if (ret != VMM_EM_DONE)
		return ret;

	if (in)
		em_set_reg(ctx, VMM_EM_RAX, size, val);
	return em_retire(run, ctx->rflags);
}

/* Accesses of one iteration. @si and @di are the linear addresses of the operands there are. */
static enum vmm_em_result em_string_step(struct em_run *run, u64 si, u64 di, u64 *flags)
{
	const struct vmm_em_insn *insn = run->insn;
	struct vmm_em_ctx *ctx = run->ctx;
	unsigned int size = insn->op_size;
	enum vmm_em_result ret;
	u64 a, b;
	u32 port = 0;

	switch (insn->op) {
	case VMM_EM_OP_MOVS:
		ctx->intent = VMM_EM_ACC_WRITE;
		ret = em_probe(run, di, size);
		if (ret != VMM_EM_DONE)
			return ret;
		ctx->intent = VMM_EM_ACC_READ;
		ret = em_read(run, si, size, &a);
		if (ret != VMM_EM_DONE)
			return ret;
		ctx->intent = VMM_EM_ACC_WRITE;
		return em_write(run, di, size, a);
	case VMM_EM_OP_STOS:
		ctx->intent = VMM_EM_ACC_WRITE;
		return em_write(run, di, size, em_reg(ctx, VMM_EM_RAX, size));
	case VMM_EM_OP_LODS:
		ctx->intent = VMM_EM_ACC_READ;
		ret = em_read(run, si, size, &a);
		if (ret == VMM_EM_DONE)
			em_set_reg(ctx, VMM_EM_RAX, size, a);
		return ret;
	case VMM_EM_OP_CMPS:
		ctx->intent = VMM_EM_ACC_READ;
		ret = em_read(run, si, size, &a);
		if (ret == VMM_EM_DONE)
			ret = em_read(run, di, size, &b);
		if (ret == VMM_EM_DONE)
			vmm_em_alu(VMM_EM_OP_CMP, a, b, size, flags);
		return ret;
	case VMM_EM_OP_SCAS:
		ctx->intent = VMM_EM_ACC_READ;
		ret = em_read(run, di, size, &b);
		if (ret == VMM_EM_DONE)
			vmm_em_alu(VMM_EM_OP_CMP, em_reg(ctx, VMM_EM_RAX, size), b, size, flags);
		return ret;
	case VMM_EM_OP_INS:
		ctx->intent = VMM_EM_ACC_WRITE;
		ret = em_probe(run, di, size);
		if (ret == VMM_EM_DONE)
			ret = ctx->ops->in(ctx, em_reg(ctx, VMM_EM_RDX, 2), size, &port);
		if (ret != VMM_EM_DONE)
			return ret;
		return em_write(run, di, size, port);
	case VMM_EM_OP_OUTS:
		ctx->intent = VMM_EM_ACC_READ;
		ret = em_read(run, si, size, &a);
		if (ret != VMM_EM_DONE)
			return ret;
		return ctx->ops->out(ctx, em_reg(ctx, VMM_EM_RDX, 2), size, a);
	default:
		return VMM_EM_UNHANDLEABLE;
	}
}

/*
 * One iteration of a string instruction. The count is tested before and after it; a zero count
 * accesses nothing and changes nothing but rip.
 */
static enum vmm_em_result em_exec_string(struct em_run *run)
{
	const struct vmm_em_insn *insn = run->insn;
	struct vmm_em_ctx *ctx = run->ctx;
	unsigned int size = insn->op_size, width = insn->addr_size;
	bool has_si = insn->dst.kind == VMM_EM_K_SI || insn->src.kind == VMM_EM_K_SI;
	bool has_di = insn->dst.kind == VMM_EM_K_DI || insn->src.kind == VMM_EM_K_DI;
	u64 count = em_reg(ctx, VMM_EM_RCX, width);
	u64 rsi = em_reg(ctx, VMM_EM_RSI, width), rdi = em_reg(ctx, VMM_EM_RDI, width);
	u64 flags = ctx->rflags, si = 0, di = 0, step;
	enum vmm_em_result ret = VMM_EM_DONE;
	bool again;

	if (insn->rep && !count)
		return em_retire(run, flags);

	if (has_si)
		ret = vmm_em_linear(ctx, insn->seg, rsi, size, VMM_EM_ACC_READ, &si);
	if (ret == VMM_EM_DONE && has_di)
		ret = vmm_em_linear(ctx, VMM_EM_ES, rdi, size, vmm_em_access(insn) &
				    VMM_EM_ACC_WRITE ?: VMM_EM_ACC_READ, &di);
	if (ret == VMM_EM_DONE)
		ret = em_string_step(run, si, di, &flags);
	if (ret != VMM_EM_DONE)
		return ret;

	step = flags & VMM_EM_DF ? -(u64)size : size;
	if (has_si)
		em_set_reg(ctx, VMM_EM_RSI, width, rsi + step);
	if (has_di)
		em_set_reg(ctx, VMM_EM_RDI, width, rdi + step);
	if (!insn->rep)
		return em_retire(run, flags);

	em_set_reg(ctx, VMM_EM_RCX, width, count - 1);
	again = count != 1;
	if (insn->op == VMM_EM_OP_CMPS || insn->op == VMM_EM_OP_SCAS)
		again = again && !(flags & VMM_EM_ZF) == (insn->rep == 0xf2);
	if (!again)
		return em_retire(run, flags);
	ctx->rflags = flags;
	return VMM_EM_AGAIN;
}

enum vmm_em_result vmm_em_execute(struct vmm_em_ctx *ctx, const struct vmm_em_insn *insn)
{
	struct em_run run = { .ctx = ctx, .insn = insn };
	enum vmm_em_result ret;

	if (insn->mode != ctx->mode)
		return VMM_EM_UNHANDLEABLE;
	ctx->intent = 0;

	/* those that do not begin with the plain address of the memory operand */
	switch (insn->op) {
	case VMM_EM_OP_NOP:
	case VMM_EM_OP_PREFETCH:
	case VMM_EM_OP_PAUSE:
		return em_retire(&run, ctx->rflags);
	case VMM_EM_OP_CLFLUSH:
		return em_exec_clflush(&run);
	case VMM_EM_OP_IN:
	case VMM_EM_OP_OUT:
		return em_exec_port(&run);
	case VMM_EM_OP_MOVS ... VMM_EM_OP_OUTS:
		return em_exec_string(&run);
	case VMM_EM_OP_BT ... VMM_EM_OP_BTC:
		return em_exec_bit(&run);
	case VMM_EM_OP_POP:
		return em_exec_pop(&run);
	case VMM_EM_OP_CMPXCHG8B:
		return em_exec_cmpxchg8b(&run);
	case VMM_EM_OP_MOV:
		if (insn->dst.kind == VMM_EM_K_SREG)
			return VMM_EM_UNHANDLEABLE;
		break;
	default:
		if (insn->op == VMM_EM_OP_NONE || insn->op > VMM_EM_OP_PAUSE)
			return VMM_EM_UNHANDLEABLE;
	}

	ret = em_begin(&run);
	if (ret != VMM_EM_DONE)
		return ret;

	switch (insn->op) {
	case VMM_EM_OP_ADD ... VMM_EM_OP_SAR:
		return em_exec_alu(&run);
	case VMM_EM_OP_MOV ... VMM_EM_OP_SETCC:
		return em_exec_move(&run);
	case VMM_EM_OP_XCHG:
	case VMM_EM_OP_XADD:
		return em_exec_xchg(&run);
	case VMM_EM_OP_CMPXCHG:
		return em_exec_cmpxchg(&run);
	case VMM_EM_OP_PUSH:
		return em_exec_push(&run);
	default:
		return VMM_EM_UNHANDLEABLE;
	}
}
