// SPDX-License-Identifier: GPL-2.0
/*
 * The emulator against the processor that this runs on: random instructions with random registers,
 * flags and memory are executed by both; registers, flags, memory and faults must be the same.
 * 64-bit mode directly, 32- and 16-bit protected mode by a far jump to a segment of that size,
 * with segments from the LDT: limits, expand-down, read-only, execute-only, bases.
 *
 *	EM_CPU=N	instructions per mode (default 300000)
 *	EM_SEED=N	seed (default 1)
 *	EM_EXACT=1	flags that the manuals leave undefined must be the same, too
 *
 * Memory, all below 4 GiB:
 *
 *	CODE	 entry | exit after a fault | exit | instruction
 *	STATE	 struct state
 *	DATA	 64 KiB that instructions are aimed at, with unmapped room on both sides
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "../unit.h"
#include "emulate.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define CODE		0x10000000u
#define CODE_FAULT	(CODE + 0x400)
#define CODE_EXIT	(CODE + 0x600)
#define CODE_INSN	(CODE + 0x800)
#define STATE		0x10010000u
#define DATA		0x20000000u
#define DATA_SIZE	0x10000u
#define ROOM		0x10000u

#define ARITH		0x8d5ull	/* OF SF ZF AF PF CF */
#define F_CF		0x001ull
#define F_AF		0x010ull
#define F_OF		0x800ull
#define F_SF		0x080ull
#define F_PF		0x004ull
#define F_DF		0x400ull

/* What entry and exit load and store, by absolute addresses */
struct state {
	u64 regs[16];
	u64 rflags;
	u64 out_regs[16];
	u64 out_rflags;
	u64 host_rsp;
	struct {
		u32 offset;
		u16 selector;
	} far;
};

static struct state *const state = (void *)(unsigned long)STATE;
static u8 *const data = (void *)(unsigned long)DATA;
static u8 *const code = (void *)(unsigned long)CODE;
static u8 model[DATA_SIZE];
static u64 fs_base, gs_base;

/* What the last run ended with */
static volatile struct {
	bool happened;
	unsigned int vector;
	u64 error;
	u64 cr2;
	u64 regs[16];
	u64 rflags;
	u64 rip;
} fault;

static u64 random_state;

static u64 rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull;
}

static bool one_in(unsigned int n)
{
	return (rnd() >> 20) % n == 0;
}

/* Values with interesting signs and carries */
static u64 rnd_value(void)
{
	static const u64 edge[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
		0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
	};

	return one_in(4) ? edge[(rnd() >> 8) % ARRAY_SIZE(edge)] : rnd();
}

/* ---- segments ---- */

struct seg_kind {
	const char *name;
	u16 selector;
	struct vmm_em_seg seg;
	u8 contents;		/* of modify_ldt: 0 data, 1 expand-down, 2 code */
};

#define LDT(n)		((n) << 3 | 7)
#define ATTR(t, big)	((t) | 0x10 | 0x60 | 0x80 | ((big) ? 0x400 : 0))
#define RW		3
#define RO		1
#define DOWN		7
#define XR		0xb
#define XO		9

static const struct seg_kind null_seg = { "null", 0, {}, 0 };
static const struct seg_kind flat = { "flat", 0x2b, { 0, 0xffffffff, ATTR(RW, 1), 0x2b }, 0 };
static const struct seg_kind code64 = { "code64", 0x33, { 0, 0xffffffff, ATTR(XR, 0), 0x33 }, 2 };
static const struct seg_kind code32 = { "code32", 0x23, { 0, 0xffffffff, ATTR(XR, 1), 0x23 }, 2 };

static const struct seg_kind ldt_segs[] = {
	{ "code16", LDT(1), { CODE, 0xffff, ATTR(XR, 0), LDT(1) }, 2 },
	{ "code32b", LDT(2), { CODE, 0xfffff, ATTR(XR, 1), LDT(2) }, 2 },
	{ "data16", LDT(3), { DATA, 0xffff, ATTR(RW, 0), LDT(3) }, 0 },
	{ "data32", LDT(4), { DATA - 0x80000, 0x87fff, ATTR(RW, 1), LDT(4) }, 0 },
	{ "short", LDT(5), { DATA, 0x7fff, ATTR(RW, 1), LDT(5) }, 0 },
	{ "read-only", LDT(6), { DATA, 0xffff, ATTR(RO, 1), LDT(6) }, 0 },
	{ "down16", LDT(7), { DATA, 0x3fff, ATTR(DOWN, 0), LDT(7) }, 1 },
	{ "down32", LDT(8), { DATA + 0x8000, 0xfff, ATTR(DOWN, 1), LDT(8) }, 1 },
	{ "code32x", LDT(9), { CODE, 0xfffff, ATTR(XO, 1), LDT(9) }, 2 },
};

#define CODE16		(&ldt_segs[0])
#define CODE32B		(&ldt_segs[1])
#define CODE32X		(&ldt_segs[8])	/* execute-only: for CS alone */

static bool make_ldt(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ldt_segs); i++) {
		const struct seg_kind *k = &ldt_segs[i];
		struct user_desc d = {
			.entry_number = k->selector >> 3,
			.base_addr = k->seg.base,
			.limit = k->seg.limit,
			.seg_32bit = !!(k->seg.attr & 0x400),
			.contents = k->contents,
			.read_exec_only = !(k->seg.attr & 2),
			.useable = 1,
		};

		if (syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)))
			return false;
	}
	return true;
}

/* ---- running on the processor ---- */

static u8 *emit_abs(u8 *p, u8 rex, u8 opcode, u8 reg, u32 addr)
{
	if (rex)
		*p++ = rex;
	*p++ = opcode;
	*p++ = (reg & 7) << 3 | 4;
	*p++ = 0x25;
	memcpy(p, &addr, 4);
	return p + 4;
}

static u8 *emit(u8 *p, const void *bytes, unsigned int len)
{
	memcpy(p, bytes, len);
	return p + len;
}

/* mov reg, [addr] or mov [addr], reg */
static u8 *emit_mov(u8 *p, bool load, unsigned int reg, u32 addr)
{
	return emit_abs(p, 0x48 | (reg >> 3) << 2, load ? 0x8b : 0x89, reg, addr);
}

#define AT(_field)	(STATE + (u32)offsetof(struct state, _field))

/* cld; mov eax, 0x2b; mov ss, eax; pop r15 r14 r13 r12 rbp rbx; ret */
static const u8 code_leave[] = {
	0xfc, 0xb8, 0x2b, 0, 0, 0, 0x8e, 0xd0, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c,
	0x5d, 0x5b, 0xc3,
};

static void make_code(void)
{
	/* push rbx rbp r12 r13 r14 r15 */
	static const u8 save[] = { 0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57 };
	unsigned int i;
	u8 *p;

	p = emit(code, save, sizeof(save));
	p = emit_mov(p, false, VMM_EM_RSP, AT(host_rsp));
	p = emit_abs(p, 0, 0xff, 6, AT(rflags));		/* push [] */
	*p++ = 0x9d;						/* popf */
	for (i = 0; i < 16; i++)
		p = emit_mov(p, true, i, AT(regs) + 8 * i);
	p = emit_abs(p, 0, 0xff, 5, AT(far));			/* ljmp [] */

	p = emit_mov(code + (CODE_FAULT - CODE), true, VMM_EM_RSP, AT(host_rsp));
	emit(p, code_leave, sizeof(code_leave));

	p = code + (CODE_EXIT - CODE);
	for (i = 0; i < 16; i++)
		p = emit_mov(p, false, i, AT(out_regs) + 8 * i);
	p = emit_mov(p, true, VMM_EM_RSP, AT(host_rsp));
	*p++ = 0x9c;						/* pushf */
	p = emit_abs(p, 0, 0x8f, 0, AT(out_rflags));		/* pop [] */
	emit(p, code_leave, sizeof(code_leave));
}

/* The instruction, then a jump out */
static void place(const struct vmm_em_insn *insn, const u8 *bytes)
{
	static const u8 out32[] = { 0xea, CODE_EXIT & 0xff, CODE_EXIT >> 8 & 0xff,
				    CODE_EXIT >> 16 & 0xff, CODE_EXIT >> 24, 0x33, 0 };
	u8 *p = emit(code + (CODE_INSN - CODE), bytes, insn->length);

	if (insn->mode == VMM_EM_LONG64) {
		s32 rel = (s32)(CODE_EXIT - (CODE + (u32)(p - code) + 5));

		*p++ = 0xe9;
		emit(p, &rel, 4);
		return;
	}
	if (insn->mode == VMM_EM_PROT16)
		*p++ = 0x66;
	emit(p, out32, sizeof(out32));
}

static void on_fault(int sig, siginfo_t *info, void *uc)
{
	static const int order[16] = {
		REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	};
	greg_t *g = ((ucontext_t *)uc)->uc_mcontext.gregs;
	unsigned int i;

	if (fault.happened || !state->host_rsp) {
		/* not ours */
		signal(sig, SIG_DFL);
		return;
	}
	fault.happened = true;
	fault.vector = g[REG_TRAPNO];
	fault.error = g[REG_ERR];
	fault.cr2 = g[REG_CR2];
	for (i = 0; i < 16; i++)
		fault.regs[i] = g[order[i]];
	fault.rflags = g[REG_EFL];
	fault.rip = g[REG_RIP];

	g[REG_RIP] = CODE_FAULT;
	g[REG_CSGSFS] = (g[REG_CSGSFS] & 0x0000ffffffff0000) | 0x33 | 0x2bull << 48;
	g[REG_EFL] = 0x202;
}

/*
 * A hypervisor that runs this machine's kernel at CPL 3, with a descriptor table of its own, emulates
 * part of what is to be compared with, and far jumps through that table have brought such a kernel
 * down. Linux' table is at the end of the address space; with UMIP it tells a place there, too.
 */
static bool deprivileged(void)
{
	struct __attribute__((packed)) {
		u16 limit;
		u64 base;
	} gdt;

	asm volatile("sgdt %0" : "=m"(gdt));
	return gdt.base < 0xfffffe0000000000ull;
}

static bool prepare(void)
{
	static bool done, ok;
	static u8 stack[65536];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	unsigned int i;

	if (done)
		return ok;
	done = true;

	/* the room on both sides is taken, too, so that nothing else moves in */
	if (mmap(code, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0) != (void *)code ||
	    mmap(state, 4096, PROT_READ | PROT_WRITE, flags, -1, 0) != (void *)state ||
	    mmap(data - ROOM, DATA_SIZE + 2 * ROOM, PROT_NONE, flags, -1, 0) != data - ROOM ||
	    mprotect(data, DATA_SIZE, PROT_READ | PROT_WRITE))
		return false;
	make_code();

	if (sigaltstack(&alt, NULL))
		return false;
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigaction(signals[i], &sa, NULL))
			return false;
	syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base);
	ok = make_ldt();
	return ok;
}

/* Segment registers in, then the code, then back to what the C library expects */
static void run_cpu(const struct vmm_em_ctx *in)
{
	bool legacy = in->mode != VMM_EM_LONG64;
	u16 ds = in->segs[VMM_EM_DS].selector, es = in->segs[VMM_EM_ES].selector;
	u16 gs = in->segs[VMM_EM_GS].selector, ss = in->segs[VMM_EM_SS].selector;

	memcpy(state->regs, in->regs, sizeof(state->regs));
	state->rflags = in->rflags;
	state->far.selector = in->segs[VMM_EM_CS].selector;
	state->far.offset = in->rip;
	fault.happened = false;

	if (legacy)
		asm volatile("mov %0, %%ds; mov %1, %%es; mov %2, %%gs; mov %3, %%ss"
			     :: "r"(ds), "r"(es), "r"(gs), "r"(ss) : "memory");
	asm volatile("call *%0"
		     :: "a"((unsigned long)CODE)
		     : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	state->host_rsp = 0;
	if (legacy)
		asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" :: "r"(0) : "memory");
}

/* ---- running in the emulator ---- */

static enum vmm_em_result page_fault(struct vmm_em_ctx *ctx, u64 linear)
{
	ctx->fault = (struct vmm_em_fault){
		.vector = 14,
		.has_error = true,
		.error_code = 4 | (ctx->intent & VMM_EM_ACC_WRITE ? 2 : 0),
		.cr2 = linear,
	};
	return VMM_EM_FAULT;
}

static u8 *model_byte(u64 linear)
{
	if (linear >= DATA && linear < DATA + DATA_SIZE)
		return &model[linear - DATA];
	if (linear >= CODE && linear < CODE + 4096)
		return &code[linear - CODE];
	return NULL;
}

static enum vmm_em_result check_access(struct vmm_em_ctx *ctx, u64 linear, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < len; i++) {
		u64 at = linear + i;

		if (ctx->mode != VMM_EM_LONG64)
			at &= 0xffffffff;
		if (!model_byte(at))
			return page_fault(ctx, at);
	}
	return VMM_EM_DONE;
}

static enum vmm_em_result model_read(struct vmm_em_ctx *ctx, u64 linear, void *buf,
				     unsigned int len)
{
	enum vmm_em_result ret = check_access(ctx, linear, len);
	unsigned int i;

	for (i = 0; ret == VMM_EM_DONE && i < len; i++)
		((u8 *)buf)[i] = *model_byte(linear + i);
	return ret;
}

static enum vmm_em_result model_write(struct vmm_em_ctx *ctx, u64 linear, const void *buf,
				      unsigned int len)
{
	enum vmm_em_result ret = check_access(ctx, linear, len);
	unsigned int i;

	for (i = 0; ret == VMM_EM_DONE && i < len; i++)
		*model_byte(linear + i) = ((const u8 *)buf)[i];
	return ret;
}

static enum vmm_em_result model_cmpxchg(struct vmm_em_ctx *ctx, u64 linear, const void *old,
					const void *new, unsigned int len, bool *ok)
{
	u8 now[16];
	enum vmm_em_result ret = model_read(ctx, linear, now, len);

	if (ret != VMM_EM_DONE)
		return ret;
	*ok = !memcmp(now, old, len);
	return *ok ? model_write(ctx, linear, new, len) : VMM_EM_DONE;
}

static const struct vmm_em_ops model_ops = {
	.read = model_read,
	.write = model_write,
	.cmpxchg = model_cmpxchg,
};

static enum vmm_em_result run_model(struct vmm_em_ctx *ctx, const struct vmm_em_insn *insn)
{
	enum vmm_em_result ret;
	unsigned int i = 0;

	do
		ret = vmm_em_execute(ctx, insn);
	while (ret == VMM_EM_AGAIN && ++i < 1000);
	return ret;
}

/* ---- making instructions ---- */

struct sample {
	struct vmm_em_insn insn;
	u8 bytes[32];
	unsigned int disp_at, disp_len;		/* of operands without base register */
};

/* Opcodes; REG() fixes ModRM.reg, MEM asks for memory */
#define MODRM		0x100
#define REG(n)		(MODRM | ((n) + 1) << 12)
#define MEM		(MODRM | 0x200)

static const u32 opcodes_1[] = {
	0x63 | MODRM, 0x80 | MODRM, 0x81 | MODRM, 0x82 | MODRM, 0x83 | MODRM, 0x84 | MODRM,
	0x85 | MODRM, 0x86 | MODRM, 0x87 | MODRM, 0x88 | MODRM, 0x89 | MODRM, 0x8a | MODRM,
	0x8b | MODRM, 0x8c | MODRM, 0x8f | REG(0), 0x90, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6,
	0xa7, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xae, 0xaf,
	0xc0 | MODRM, 0xc1 | MODRM, 0xc6 | REG(0), 0xc7 | REG(0), 0xd0 | MODRM, 0xd1 | MODRM,
	0xd2 | MODRM, 0xd3 | MODRM, 0xf6 | REG(0), 0xf6 | REG(1), 0xf6 | REG(2), 0xf6 | REG(3),
	0xf7 | REG(0), 0xf7 | REG(1), 0xf7 | REG(2), 0xf7 | REG(3), 0xfe | REG(0), 0xfe | REG(1),
	0xff | REG(0), 0xff | REG(1), 0xff | REG(6), 0xff | REG(6),
};

static const u32 opcodes_0f[] = {
	0x18 | MEM | REG(1), 0x1f | REG(0), 0xa3 | MODRM, 0xab | MODRM, 0xae | MEM | REG(7),
	0xb0 | MODRM, 0xb1 | MODRM, 0xb3 | MODRM, 0xb6 | MODRM, 0xb7 | MODRM, 0xba | REG(4),
	0xba | REG(5), 0xba | REG(6), 0xba | REG(7), 0xbb | MODRM, 0xbe | MODRM, 0xbf | MODRM,
	0xc0 | MODRM, 0xc1 | MODRM, 0xc3 | MEM, 0xc7 | MEM | REG(1), 0xc7 | MEM | REG(1),
};

static u32 make_opcode(u8 *bytes, unsigned int *n)
{
	u32 op;

	switch (rnd() >> 12 & 15) {
	case 0 ... 3:			/* ADD..CMP */
		op = (rnd() >> 8 & 0x38) | (rnd() >> 3) % 6;
		op |= (op & 7) < 4 ? MODRM : 0;
		break;
	case 4 ... 9:
		op = opcodes_1[(rnd() >> 3) % ARRAY_SIZE(opcodes_1)];
		break;
	case 10 ... 13:
		bytes[(*n)++] = 0x0f;
		op = opcodes_0f[(rnd() >> 3) % ARRAY_SIZE(opcodes_0f)];
		break;
	case 14:			/* SETcc, CMOVcc */
		bytes[(*n)++] = 0x0f;
		op = (rnd() & 1 ? 0x40 : 0x90) | (rnd() >> 8 & 15) | MODRM;
		break;
	default:			/* MOVBE */
		bytes[(*n)++] = 0x0f;
		bytes[(*n)++] = 0x38;
		op = 0xf0 | (rnd() & 1) | MEM;
	}
	bytes[(*n)++] = op;
	return op;
}

static unsigned int make_prefixes(u8 *bytes, unsigned int mode, unsigned int *addr_size)
{
	static const u8 segs[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	bool addr = one_in(5);
	unsigned int n = 0;

	if (one_in(5))
		bytes[n++] = segs[(rnd() >> 4) % 6];
	if (one_in(20) && mode == VMM_EM_LONG64)
		bytes[n++] = 0x4f;			/* void: not the last */
	if (one_in(4))
		bytes[n++] = 0x66;
	if (addr)
		bytes[n++] = 0x67;
	if (one_in(8))
		bytes[n++] = 0xf0;
	if (one_in(4))
		bytes[n++] = 0xf2 | (rnd() >> 9 & 1);
	if (one_in(20))
		bytes[n++] = segs[(rnd() >> 4) % 6];
	if (mode == VMM_EM_LONG64 && one_in(2))
		bytes[n++] = 0x40 | (rnd() >> 11 & 15);

	if (mode == VMM_EM_LONG64)
		*addr_size = addr ? 4 : 8;
	else
		*addr_size = (mode == VMM_EM_PROT32) != addr ? 4 : 2;
	return n;
}

/* Random instruction that the decoder accepts and userland may execute */
static bool make_sample(struct sample *s, unsigned int mode)
{
	unsigned int addr_size, n, mod, rm;
	u32 op;

	memset(s, 0, sizeof(*s));
	n = make_prefixes(s->bytes, mode, &addr_size);
	op = make_opcode(s->bytes, &n);

	if (op & MODRM) {
		u8 modrm = rnd() >> 5;

		if (op & 0x200 || !one_in(4))
			modrm = (modrm & 0x3f) | ((rnd() >> 7) % 3) << 6;
		if (op >> 12)
			modrm = (modrm & 0xc7) | ((op >> 12) - 1) << 3;
		s->bytes[n++] = modrm;
		mod = modrm >> 6;
		rm = modrm & 7;
		if (mod != 3 && addr_size != 2 && rm == 4) {
			u8 sib = rnd() >> 6;

			s->bytes[n++] = sib;
			if ((sib & 7) == 5 && mod == 0)
				rm = 5;
		}
		s->disp_at = n;
		if (mod == 0 && rm == (addr_size == 2 ? 6 : 5))
			s->disp_len = addr_size == 2 ? 2 : 4;
	} else if ((op & 0xfc) == 0xa0) {
		s->disp_at = n;
		s->disp_len = addr_size;
	}
	for (; n < sizeof(s->bytes); n++)
		s->bytes[n] = rnd() >> 13;

	if (vmm_em_decode(&s->insn, s->bytes, VMM_EM_MAX_LEN, mode))
		return false;
	return s->insn.op <= VMM_EM_OP_PAUSE && s->insn.op != VMM_EM_OP_IN &&
	       s->insn.op != VMM_EM_OP_OUT && s->insn.op != VMM_EM_OP_INS &&
	       s->insn.op != VMM_EM_OP_OUTS && s->insn.dst.kind != VMM_EM_K_SREG;
}

static u64 size_mask(unsigned int size)
{
	return ~0ull >> (64 - 8 * size);
}

/* A linear address in DATA, mostly; sometimes at its ends */
static u64 pick_target(unsigned int size)
{
	u64 at = DATA + (rnd() >> 17) % (DATA_SIZE - 0x2000) + 0x1000;

	if (one_in(16))
		at = DATA + DATA_SIZE - (rnd() >> 9) % (size + 8) - 1;
	else if (one_in(16))
		at = DATA - size + (rnd() >> 9) % (size + 8);
	else if (one_in(8))
		at = (at & ~0xfffull) - (rnd() >> 9) % size;
	return at;
}

static bool is_locked(const struct vmm_em_insn *insn)
{
	return insn->lock || insn->op == VMM_EM_OP_XCHG;
}

/* Offset that segment @seg maps to @linear */
static u64 to_offset(const struct vmm_em_ctx *ctx, unsigned int seg, u64 linear)
{
	if (ctx->mode == VMM_EM_LONG64 && seg != VMM_EM_FS && seg != VMM_EM_GS)
		return linear;
	return linear - ctx->segs[seg].base;
}

/* Set registers or the displacement so that the memory operand lies at @linear */
static bool aim_operand(struct vmm_em_ctx *ctx, struct sample *s, u64 linear)
{
	struct vmm_em_insn *insn = &s->insn;
	u64 mask = size_mask(insn->addr_size);
	u64 offset = to_offset(ctx, insn->seg, linear), disp;

	if (insn->base != VMM_EM_NO_REG && insn->base != VMM_EM_RIP) {
		u64 index = 0;

		if (insn->index == insn->base)
			return false;
		if (insn->index != VMM_EM_NO_REG)
			index = ctx->regs[insn->index] << insn->scale;
		offset = (offset - insn->disp - index) & mask;
		/* bits beyond the address size are noise */
		if (ctx->mode == VMM_EM_LONG64 || insn->addr_size == 2)
			offset |= ctx->regs[insn->base] & ~mask;
		ctx->regs[insn->base] = offset;
		if (ctx->mode != VMM_EM_LONG64)
			ctx->regs[insn->base] &= 0xffffffff;
		return ((vmm_em_offset(ctx, insn) ^ to_offset(ctx, insn->seg, linear)) & mask) == 0;
	}

	if (!s->disp_len)
		return false;
	if (insn->index != VMM_EM_NO_REG) {
		ctx->regs[insn->index] = (s64)(s16)rnd();
		if (ctx->mode != VMM_EM_LONG64)
			ctx->regs[insn->index] &= 0xffffffff;
		offset -= ctx->regs[insn->index] << insn->scale;
	}
	if (insn->base == VMM_EM_RIP)
		offset -= ctx->rip + insn->length;
	disp = offset;
	memcpy(s->bytes + s->disp_at, &disp, s->disp_len);
	if (vmm_em_decode(insn, s->bytes, VMM_EM_MAX_LEN, ctx->mode))
		return false;
	return ((vmm_em_offset(ctx, insn) ^ to_offset(ctx, insn->seg, linear)) & mask) == 0;
}

static void set_low(struct vmm_em_ctx *ctx, unsigned int reg, unsigned int size, u64 val)
{
	u64 mask = size_mask(size);

	ctx->regs[reg] = (ctx->regs[reg] & ~mask) | (val & mask);
	if (ctx->mode != VMM_EM_LONG64)
		ctx->regs[reg] &= 0xffffffff;
}

static bool uses(const struct vmm_em_insn *insn, unsigned int reg)
{
	return insn->base == reg || insn->index == reg;
}

/* Everything that addresses memory is aimed at DATA; false: try another sample */
static bool aim(struct vmm_em_ctx *ctx, struct sample *s)
{
	struct vmm_em_insn *insn = &s->insn;
	const struct vmm_em_operand *mem = insn->dst.kind == VMM_EM_K_MEM ? &insn->dst :
					   insn->src.kind == VMM_EM_K_MEM ? &insn->src : NULL;
	unsigned int size = insn->op_size;
	u64 linear;

	/* MOVSXD r16, m: whether it reads two bytes or four is the processor's choice */
	if (insn->op == VMM_EM_OP_MOVSX && insn->op_size == 2 && insn->src.size == 4)
		return false;
	if (insn->op >= VMM_EM_OP_MOVS && insn->op <= VMM_EM_OP_SCAS) {
		unsigned int a = insn->addr_size;
		u64 si = pick_target(size), di = pick_target(size);

		if (one_in(4))
			di = si + (rnd() >> 8) % 16 - 8;
		set_low(ctx, VMM_EM_RSI, a, to_offset(ctx, insn->seg, si));
		set_low(ctx, VMM_EM_RDI, a, to_offset(ctx, VMM_EM_ES, di));
		set_low(ctx, VMM_EM_RCX, a, (rnd() >> 9) % 24);
		return true;
	}

	if (insn->op == VMM_EM_OP_PUSH || insn->op == VMM_EM_OP_POP) {
		unsigned int width = ctx->mode == VMM_EM_LONG64 ? 8 :
				     ctx->segs[VMM_EM_SS].attr & VMM_EM_SEG_BIG ? 4 : 2;

		set_low(ctx, VMM_EM_RSP, width, to_offset(ctx, VMM_EM_SS, pick_target(size)));
		/* aimed at already, if the rest is small */
		if (uses(insn, VMM_EM_RSP)) {
			if (insn->index != VMM_EM_NO_REG)
				ctx->regs[insn->index] = rnd() & 0xff;
			return insn->seg == VMM_EM_SS && (s64)insn->disp < 0x800 &&
			       (s64)insn->disp > -0x800;
		}
	}
	if (!mem)
		return true;

	if (mem->size)
		size = mem->size;
	linear = pick_target(size);
	if (is_locked(insn) || insn->op == VMM_EM_OP_CMPXCHG8B)
		linear &= ~(u64)(size - 1);
	if (insn->op == VMM_EM_OP_CMPXCHG8B && !insn->lock && one_in(10))
		linear += 8;
	if (insn->op == VMM_EM_OP_CLFLUSH)
		linear = DATA + 0x1000 + (rnd() & 0xfff);

	if (insn->op >= VMM_EM_OP_BT && insn->op <= VMM_EM_OP_BTC &&
	    insn->src.kind == VMM_EM_K_GPR) {
		/* keep the bit near */
		if (uses(insn, insn->src.reg))
			return false;
		set_low(ctx, insn->src.reg, insn->op_size, (s64)(s16)rnd());
	}

	/* not canonical; mostly too large for the displacement or without a base */
	if (ctx->mode == VMM_EM_LONG64 && insn->addr_size == 8 && one_in(50) &&
	    insn->op != VMM_EM_OP_CLFLUSH && insn->seg != VMM_EM_FS)
		linear = rnd() & 1 ? linear | 1ull << 63 : 0x0000800000000000ull - (rnd() & 7);
	return aim_operand(ctx, s, linear);
}

/* Half of the comparisons come true */
static void favour_equality(struct vmm_em_ctx *ctx, const struct vmm_em_insn *insn)
{
	struct vmm_em_ctx probe = *ctx;
	u64 linear, lo = 0, hi = 0;

	if (insn->dst.kind != VMM_EM_K_MEM || rnd() & 1 || uses(insn, VMM_EM_RAX) ||
	    uses(insn, VMM_EM_RDX))
		return;
	if (vmm_em_linear(&probe, insn->seg, vmm_em_offset(ctx, insn), insn->dst.size,
			  VMM_EM_ACC_READ, &linear) != VMM_EM_DONE ||
	    check_access(&probe, linear, insn->dst.size) != VMM_EM_DONE)
		return;
	if (insn->op == VMM_EM_OP_CMPXCHG) {
		model_read(&probe, linear, &lo, insn->dst.size);
		set_low(ctx, VMM_EM_RAX, insn->dst.size, lo);
	} else if (insn->op == VMM_EM_OP_CMPXCHG8B) {
		model_read(&probe, linear, &lo, insn->op_size);
		model_read(&probe, linear + insn->op_size, &hi, insn->op_size);
		set_low(ctx, VMM_EM_RAX, insn->op_size, lo);
		set_low(ctx, VMM_EM_RDX, insn->op_size, hi);
	}
}

/* ---- comparing ---- */

/* Flags that the manuals leave undefined */
static u64 undefined_flags(const struct vmm_em_insn *insn, const struct vmm_em_ctx *in)
{
	unsigned int limit = insn->op_size == 8 ? 0x3f : 0x1f;
	unsigned int count = (insn->src.kind == VMM_EM_K_IMM ? insn->imm : in->regs[1]) & limit;
	u64 undefined = 0;

	if (getenv("EM_EXACT"))
		return 0;
	switch (insn->op) {
	case VMM_EM_OP_AND:
	case VMM_EM_OP_OR:
	case VMM_EM_OP_XOR:
	case VMM_EM_OP_TEST:
		return F_AF;
	case VMM_EM_OP_BT ... VMM_EM_OP_BTC:
		return F_OF | F_SF | F_AF | F_PF;
	case VMM_EM_OP_ROL ... VMM_EM_OP_RCR:
		return count > 1 ? F_OF : 0;
	case VMM_EM_OP_SHL ... VMM_EM_OP_SAR:
		if (count)
			undefined |= F_AF;
		if (count > 1)
			undefined |= F_OF;
		if (count >= 8u * insn->op_size && insn->op != VMM_EM_OP_SAR)
			undefined |= F_CF;
		return undefined;
	default:
		return 0;
	}
}

static struct {
	unsigned long runs, faults[32];
	unsigned long by_op[VMM_EM_OP_COUNT];
} count;

static const char *describe(const struct sample *s, const struct vmm_em_ctx *in)
{
	static char buf[256];
	char *p = buf;
	unsigned int i;

	for (i = 0; i < s->insn.length; i++)
		p += sprintf(p, "%02x ", s->bytes[i]);
	sprintf(p, "(op %u, cs %x ds %x es %x ss %x gs %x)", s->insn.op,
		in->segs[VMM_EM_CS].selector, in->segs[VMM_EM_DS].selector,
		in->segs[VMM_EM_ES].selector, in->segs[VMM_EM_SS].selector,
		in->segs[VMM_EM_GS].selector);
	return buf;
}

/*
 * The upper half of a register is the processor's choice outside 64-bit mode; and in it where a
 * repeated string instruction with 32-bit addresses completes no iteration, by its count or by a
 * fault: some processors clear the halves of the counter and the pointers then, some leave them.
 */
static bool only_low_half(const struct sample *s, const struct vmm_em_ctx *in,
			  const struct vmm_em_ctx *out, unsigned int reg)
{
	if (in->mode != VMM_EM_LONG64)
		return true;
	return s->insn.rep && s->insn.addr_size == 4 &&
	       (u32)in->regs[VMM_EM_RCX] == (u32)out->regs[VMM_EM_RCX] &&
	       (reg == VMM_EM_RCX || reg == VMM_EM_RSI || reg == VMM_EM_RDI);
}

static void compare_regs(const struct sample *s, const struct vmm_em_ctx *in,
			 const struct vmm_em_ctx *out, const u64 *regs)
{
	unsigned int i, n = in->mode == VMM_EM_LONG64 ? 16 : 8;

	for (i = 0; i < n; i++)
		if ((regs[i] ^ out->regs[i]) &
		    (only_low_half(s, in, out, i) ? 0xffffffff : ~0ull))
			FAIL("%s: register %u was %llx, processor %llx, emulator %llx",
			     describe(s, in), i, in->regs[i], regs[i], out->regs[i]);
}

static void compare_fault(const struct sample *s, const struct vmm_em_ctx *in,
			  const struct vmm_em_ctx *out, enum vmm_em_result ret)
{
	const struct vmm_em_insn *insn = &s->insn;
	bool compares = insn->op == VMM_EM_OP_CMPS || insn->op == VMM_EM_OP_SCAS;
	u64 regs[16];

	count.faults[fault.vector & 31]++;
	if (ret != VMM_EM_FAULT) {
		FAIL("%s: processor faults (vector %u, error %llx, cr2 %llx), emulator: %u",
		     describe(s, in), fault.vector, fault.error, fault.cr2, ret);
		return;
	}
	/* which of two faults comes first is the processor's choice */
	if (fault.vector != out->fault.vector && insn->op != VMM_EM_OP_MOVS &&
	    insn->op != VMM_EM_OP_CMPS && insn->op != VMM_EM_OP_PUSH && insn->op != VMM_EM_OP_POP)
		FAIL("%s: vector %u, emulator %u", describe(s, in), fault.vector,
		     out->fault.vector);
	if (fault.vector == 14 && out->fault.vector == 14 && !compares &&
	    insn->op != VMM_EM_OP_MOVS && insn->op != VMM_EM_OP_PUSH &&
	    insn->op != VMM_EM_OP_POP) {
		if (fault.cr2 != out->fault.cr2)
			FAIL("%s: cr2 %llx, emulator %llx", describe(s, in), fault.cr2,
			     out->fault.cr2);
		if (fault.error != out->fault.error_code)
			FAIL("%s: page fault error %llx, emulator %x", describe(s, in), fault.error,
			     out->fault.error_code);
	}
	if (fault.vector != 14 && fault.error != out->fault.error_code)
		FAIL("%s: vector %u error %llx", describe(s, in), fault.vector, fault.error);
	if (fault.rip != in->rip)
		FAIL("%s: fault at %llx", describe(s, in), fault.rip);
	memcpy(regs, (const void *)fault.regs, sizeof(regs));
	compare_regs(s, in, out, regs);
	/* a fault within REPE CMPS may show the flags of any iteration */
	if (((fault.rflags ^ out->rflags) & ARITH) && !(compares && insn->rep))
		FAIL("%s: flags after fault %llx, emulator %llx", describe(s, in), fault.rflags,
		     out->rflags);
}

static void compare(const struct sample *s, const struct vmm_em_ctx *in,
		    const struct vmm_em_ctx *out, enum vmm_em_result ret)
{
	u64 differ;

	count.runs++;
	count.by_op[s->insn.op]++;
	if (fault.happened) {
		compare_fault(s, in, out, ret);
	} else if (ret != VMM_EM_DONE) {
		FAIL("%s: processor executes it, emulator: %u (vector %u, cr2 %llx)",
		     describe(s, in), ret, out->fault.vector, out->fault.cr2);
	} else {
		compare_regs(s, in, out, state->out_regs);
		differ = (state->out_rflags ^ out->rflags) & (ARITH | F_DF);
		if (differ & ~undefined_flags(&s->insn, in))
			FAIL("%s: flags %llx -> processor %llx, emulator %llx", describe(s, in),
			     in->rflags, state->out_rflags, out->rflags);
		if (out->rip != in->rip + s->insn.length)
			FAIL("%s: rip %llx", describe(s, in), out->rip);
	}
	if (memcmp(data, model, DATA_SIZE)) {
		unsigned int i = 0;

		while (data[i] == model[i])
			i++;
		FAIL("%s: memory at %#x: processor %02x, emulator %02x", describe(s, in), DATA + i,
		     data[i], model[i]);
		memcpy(model, data, DATA_SIZE);
	}
}

/* ---- the tests ---- */

static void set_seg(struct vmm_em_ctx *ctx, unsigned int reg, const struct seg_kind *k)
{
	ctx->segs[reg] = k->seg;
}

static const struct seg_kind *pick_seg(bool stack)
{
	for (;;) {
		unsigned int i = (rnd() >> 7) % (ARRAY_SIZE(ldt_segs) + 2);
		const struct seg_kind *k = i < ARRAY_SIZE(ldt_segs) ? &ldt_segs[i] : &flat;

		/* what could not be loaded: a stack must be writable data */
		if (k == CODE32X)
			continue;
		if (!stack || ((k->seg.attr & VMM_EM_SEG_WRITE) &&
			       !(k->seg.attr & VMM_EM_SEG_CODE)))
			return k;
	}
}

static void make_segments(struct vmm_em_ctx *ctx, const struct seg_kind *cs)
{
	set_seg(ctx, VMM_EM_CS, cs);
	if (cs == &code64) {
		set_seg(ctx, VMM_EM_DS, &null_seg);
		set_seg(ctx, VMM_EM_ES, &null_seg);
		set_seg(ctx, VMM_EM_SS, &flat);
		set_seg(ctx, VMM_EM_GS, &null_seg);
	} else {
		set_seg(ctx, VMM_EM_DS, pick_seg(false));
		set_seg(ctx, VMM_EM_ES, pick_seg(false));
		set_seg(ctx, VMM_EM_SS, pick_seg(true));
		set_seg(ctx, VMM_EM_GS, one_in(20) ? &null_seg : pick_seg(false));
	}
	set_seg(ctx, VMM_EM_FS, &null_seg);
	if (cs == &code64) {
		ctx->segs[VMM_EM_FS].base = fs_base;
		ctx->segs[VMM_EM_GS].base = gs_base;
	}
}

/* Bytes that CMPS and SCAS find equal often enough */
static void fill_data(void)
{
	unsigned int i;

	for (i = 0; i < DATA_SIZE; i++)
		model[i] = one_in(2) ? 0x5a : rnd() >> 11;
	memcpy(data, model, DATA_SIZE);
}

static void run_mode(unsigned int mode, const struct seg_kind *cs)
{
	unsigned long n = getenv("EM_CPU") ? strtoul(getenv("EM_CPU"), NULL, 0) : 300000;
	unsigned long seed = getenv("EM_SEED") ? strtoul(getenv("EM_SEED"), NULL, 0) : 1;
	unsigned int i;

	random_state = 0x9e3779b97f4a7c15ull * (2 * seed + 1) + mode + cs->selector;
	memset(&count, 0, sizeof(count));
	gs_base = 0x12340000;
	fill_data();

	while (count.runs < n && unit_state.shown < UNIT_MAX_SHOWN) {
		struct vmm_em_ctx in = { .mode = mode, .cpl = 3, .va_bits = 48,
					 .ops = &model_ops }, out, probe;
		enum vmm_em_result ret;
		struct sample s;
		u64 linear;

		if (!(count.runs & 0xfff))
			fill_data();
		make_segments(&in, cs);
		if (mode == VMM_EM_LONG64)
			syscall(SYS_arch_prctl, ARCH_SET_GS, gs_base);
		for (i = 0; i < 16; i++)
			in.regs[i] = mode == VMM_EM_LONG64 ? rnd_value() : (u32)rnd_value();
		if (one_in(3))
			in.regs[VMM_EM_RAX] = 0x5a5a5a5a5a5a5a5a;
		if (mode != VMM_EM_LONG64)
			in.regs[VMM_EM_RAX] &= 0xffffffff;
		in.rflags = 0x202 | (rnd() & (ARITH | F_DF));
		in.rip = CODE_INSN - cs->seg.base;

		if (!make_sample(&s, mode) || !aim(&in, &s))
			continue;
		probe = in;
		favour_equality(&in, &s.insn);
		place(&s.insn, s.bytes);
		out = in;
		ret = run_model(&out, &s.insn);
		/* an address elsewhere might be this program's own memory */
		if (ret == VMM_EM_FAULT && out.fault.vector == 14 &&
		    out.fault.cr2 - (DATA - ROOM) >= DATA_SIZE + 2 * ROOM) {
			memcpy(model, data, DATA_SIZE);
			continue;
		}
		/* the emulator leaves page faults of CLFLUSH out */
		if (s.insn.op == VMM_EM_OP_CLFLUSH && ret == VMM_EM_DONE &&
		    (vmm_em_linear(&probe, s.insn.seg, vmm_em_offset(&in, &s.insn), 1,
				   0, &linear) != VMM_EM_DONE ||
		     !model_byte(linear)))
			continue;
		run_cpu(&in);
		compare(&s, &in, &out, ret);
	}
	unit_note("%lu instructions; faults: #UD %lu, #SS %lu, #GP %lu, #PF %lu", count.runs,
		  count.faults[6], count.faults[12], count.faults[13], count.faults[14]);
	if (count.runs < 100000)
		return;
	for (i = VMM_EM_OP_ADD; i <= VMM_EM_OP_PAUSE; i++)
		if (!count.by_op[i] && i != VMM_EM_OP_SHL2 &&
		    (i < VMM_EM_OP_INS || i > VMM_EM_OP_OUT))
			FAIL("instruction %u never ran", i);
	EXPECT(!count.faults[6]);
	EXPECT(count.faults[13]);
	EXPECT(count.faults[14]);
	if (mode != VMM_EM_LONG64)
		EXPECT(count.faults[12]);
}

#define NEED_PROCESSOR()							\
	do {									\
		if (deprivileged())						\
			UNIT_SKIP("a hypervisor stands in for parts of this processor");	\
		if (!prepare())							\
			UNIT_SKIP("no fixed mappings or no modify_ldt here");	\
	} while (0)

UNIT_TEST(long64_as_the_processor)
{
	NEED_PROCESSOR();
	run_mode(VMM_EM_LONG64, &code64);
}

UNIT_TEST(prot32_as_the_processor)
{
	NEED_PROCESSOR();
	run_mode(VMM_EM_PROT32, &code32);
	run_mode(VMM_EM_PROT32, CODE32B);
	run_mode(VMM_EM_PROT32, CODE32X);
}

UNIT_TEST(prot16_as_the_processor)
{
	NEED_PROCESSOR();
	run_mode(VMM_EM_PROT16, CODE16);
}

/* SIB.base 5 with mod 0 is disp32 without base, REX.B or not, 67 or not */
UNIT_TEST(sib_without_base_has_no_base)
{
	static const u8 bytes[] = { 0x67, 0x41, 0x8b, 0x04, 0x25, 0x00, 0x20, 0x00, 0x20 };
	struct vmm_em_ctx in = { .mode = VMM_EM_LONG64, .va_bits = 48, .ops = &model_ops }, out;
	struct sample s = {};

	NEED_PROCESSOR();
	fill_data();
	memcpy(s.bytes, bytes, sizeof(bytes));
	ASSERT_EQ(vmm_em_decode(&s.insn, bytes, sizeof(bytes), VMM_EM_LONG64), 0);
	make_segments(&in, &code64);
	in.rip = CODE_INSN;
	in.rflags = 0x202;
	in.regs[13] = 0x1000;
	place(&s.insn, s.bytes);
	out = in;
	ASSERT_EQ(run_model(&out, &s.insn), VMM_EM_DONE);
	run_cpu(&in);
	compare(&s, &in, &out, VMM_EM_DONE);
	EXPECT_MEMEQ(&state->out_regs[0], data + 0x2000, 4);
}

UNIT_MAIN()
