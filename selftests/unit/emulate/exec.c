// SPDX-License-Identifier: GPL-2.0
/*
 * What the processor cannot show in userland: the contract with the caller (order of accesses,
 * PENDING and its replay, faults that leave no trace, lost races), ports, real and virtual-8086
 * mode, canonical addresses.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../unit.h"
#include "emulate.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define MEM_SIZE	0x20000u
#define F_CF		0x001ull
#define F_ZF		0x040ull
#define F_DF		0x400ull
#define F_RF		0x10000ull

enum kind { READ, WRITE, CMPXCHG, PROBE, IN, OUT };

struct call {
	enum kind kind;
	u64 addr;
	unsigned int len;
	unsigned int intent;
	u8 buf[16];		/* what was read, written, or the new value */
	bool ok;
};

/* A caller that keeps a replay log. Memory wraps at MEM_SIZE, so that any address is good. */
static struct world {
	u8 mem[MEM_SIZE];
	struct call log[16];
	unsigned int logged;	/* completed accesses of this iteration */
	unsigned int pos;	/* accesses so far in this attempt */
	int stop_at;		/* attempt to refuse this access, or -1 */
	enum vmm_em_result stop_with;
	bool lose_race;
	bool differs;		/* a replayed access was not the logged one */
	unsigned int sequence;	/* what ports return */
} w;

/* DONE: go on and fill in @c; else the attempt ends. *replayed: @c was logged, do nothing. */
static enum vmm_em_result step(struct vmm_em_ctx *ctx, struct call *c, bool *replayed)
{
	unsigned int pos = w.pos++;

	*replayed = false;
	c->intent = ctx->intent;
	if (pos >= ARRAY_SIZE(w.log))
		return VMM_EM_UNHANDLEABLE;
	if (pos < w.logged) {
		const struct call *l = &w.log[pos];

		if (l->kind != c->kind || l->addr != c->addr || l->len != c->len ||
		    l->intent != c->intent ||
		    ((c->kind == WRITE || c->kind == OUT || c->kind == CMPXCHG) &&
		     memcmp(l->buf, c->buf, c->len)))
			w.differs = true;
		*replayed = true;
		return VMM_EM_DONE;
	}
	if (w.stop_at == (int)pos) {
		if (w.stop_with == VMM_EM_FAULT)
			ctx->fault = (struct vmm_em_fault){ .vector = 14, .cr2 = c->addr };
		return w.stop_with;
	}
	return VMM_EM_DONE;
}

static void keep(const struct call *c)
{
	w.log[w.logged++] = *c;
}

static enum vmm_em_result op_read(struct vmm_em_ctx *ctx, u64 linear, void *buf, unsigned int len)
{
	struct call c = { .kind = READ, .addr = linear, .len = len };
	enum vmm_em_result ret;
	bool replayed;
	unsigned int i;

	if (len > 16)
		return VMM_EM_UNHANDLEABLE;
	ret = step(ctx, &c, &replayed);
	if (ret != VMM_EM_DONE)
		return ret;
	if (replayed) {
		memcpy(buf, w.log[w.pos - 1].buf, len);
		return ret;
	}
	for (i = 0; i < len; i++)
		c.buf[i] = w.mem[(linear + i) % MEM_SIZE];
	memcpy(buf, c.buf, len);
	keep(&c);
	return ret;
}

static enum vmm_em_result op_write(struct vmm_em_ctx *ctx, u64 linear, const void *buf,
				   unsigned int len)
{
	struct call c = { .kind = WRITE, .addr = linear, .len = len };
	enum vmm_em_result ret;
	bool replayed;
	unsigned int i;

	memcpy(c.buf, buf, len);
	ret = step(ctx, &c, &replayed);
	if (ret != VMM_EM_DONE || replayed)
		return ret;
	for (i = 0; i < len; i++)
		w.mem[(linear + i) % MEM_SIZE] = c.buf[i];
	keep(&c);
	return ret;
}

static enum vmm_em_result op_cmpxchg(struct vmm_em_ctx *ctx, u64 linear, const void *old,
				     const void *new, unsigned int len, bool *ok)
{
	struct call c = { .kind = CMPXCHG, .addr = linear, .len = len };
	enum vmm_em_result ret;
	bool replayed;
	unsigned int i;

	memcpy(c.buf, new, len);
	ret = step(ctx, &c, &replayed);
	if (ret != VMM_EM_DONE)
		return ret;
	if (replayed) {
		*ok = w.log[w.pos - 1].ok;
		return ret;
	}
	c.ok = !w.lose_race;
	for (i = 0; i < len; i++)
		c.ok = c.ok && w.mem[(linear + i) % MEM_SIZE] == ((const u8 *)old)[i];
	for (i = 0; c.ok && i < len; i++)
		w.mem[(linear + i) % MEM_SIZE] = c.buf[i];
	*ok = c.ok;
	keep(&c);
	return ret;
}

static enum vmm_em_result op_probe(struct vmm_em_ctx *ctx, u64 linear, unsigned int len)
{
	struct call c = { .kind = PROBE, .addr = linear, .len = len };
	enum vmm_em_result ret;
	bool replayed;

	ret = step(ctx, &c, &replayed);
	if (ret == VMM_EM_DONE && !replayed)
		keep(&c);
	return ret;
}

static enum vmm_em_result op_in(struct vmm_em_ctx *ctx, u16 port, unsigned int size, u32 *val)
{
	struct call c = { .kind = IN, .addr = port, .len = size };
	enum vmm_em_result ret;
	bool replayed;

	ret = step(ctx, &c, &replayed);
	if (ret != VMM_EM_DONE)
		return ret;
	if (replayed) {
		memcpy(val, w.log[w.pos - 1].buf, 4);
		return ret;
	}
	*val = 0x81828384 + 0x01010101 * w.sequence++;
	memcpy(c.buf, val, 4);
	keep(&c);
	return ret;
}

static enum vmm_em_result op_out(struct vmm_em_ctx *ctx, u16 port, unsigned int size, u32 val)
{
	struct call c = { .kind = OUT, .addr = port, .len = size };
	enum vmm_em_result ret;
	bool replayed;

	memcpy(c.buf, &val, 4);
	ret = step(ctx, &c, &replayed);
	if (ret == VMM_EM_DONE && !replayed)
		keep(&c);
	return ret;
}

static const struct vmm_em_ops ops = {
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.probe = op_probe,
	.in = op_in,
	.out = op_out,
};

static u64 random_state = 0x1234567;

static u64 rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull;
}

static void reset(void)
{
	unsigned int i;

	memset(&w, 0, sizeof(w));
	w.stop_at = -1;
	for (i = 0; i < MEM_SIZE; i++)
		w.mem[i] = (i * 7 + (i >> 8)) ^ 0x5a;
}

/* Flat segments, or those of real mode at 0x1000 * n */
static struct vmm_em_ctx make_ctx(unsigned int mode)
{
	struct vmm_em_ctx ctx = {
		.mode = mode, .va_bits = 48, .rflags = 2, .rip = 0x100, .ops = &ops,
	};
	bool real = mode == VMM_EM_REAL || mode == VMM_EM_VM86;
	unsigned int i;

	for (i = 0; i < VMM_EM_SREGS; i++) {
		ctx.segs[i].base = real ? 0x1000 * i : 0;
		ctx.segs[i].selector = real ? 0x100 * i : 8;
		ctx.segs[i].limit = real ? 0xffff : 0xffffffff;
		ctx.segs[i].attr = real ? 0x93 : i == VMM_EM_CS ? 0xc9b : 0xc93;
	}
	return ctx;
}

#define RUN(_ctx, ...)	run(_ctx, (u8[]){ __VA_ARGS__ }, sizeof((u8[]){ __VA_ARGS__ }))

static enum vmm_em_result run(struct vmm_em_ctx *ctx, const u8 *bytes, unsigned int len)
{
	struct vmm_em_insn insn;

	w.logged = 0;
	w.pos = 0;
	if (vmm_em_decode(&insn, bytes, len, ctx->mode) || insn.length != len) {
		FAIL("cannot decode a test's instruction");
		return VMM_EM_UNHANDLEABLE;
	}
	return vmm_em_execute(ctx, &insn);
}

static u64 mem(u64 at, unsigned int size)
{
	u64 val = 0;

	memcpy(&val, w.mem + at % MEM_SIZE, size);
	return val;
}

static bool same_state(const struct vmm_em_ctx *a, const struct vmm_em_ctx *b)
{
	return !memcmp(a->regs, b->regs, sizeof(a->regs)) && a->rip == b->rip &&
	       a->rflags == b->rflags;
}

UNIT_TEST(access_across_a_page_is_one_call)
{
	struct vmm_em_ctx ctx = make_ctx(VMM_EM_LONG64);

	reset();
	ctx.regs[VMM_EM_RDI] = 0x1ffd;
	EXPECT_EQ(RUN(&ctx, 0x48, 0x8b, 0x07), VMM_EM_DONE);
	EXPECT_EQ(w.logged, 1);
	EXPECT_EQ(w.log[0].addr, 0x1ffd);
	EXPECT_EQ(w.log[0].len, 8);
	EXPECT_EQ(ctx.regs[VMM_EM_RAX], mem(0x1ffd, 8));
	EXPECT_EQ(ctx.rip, 0x103);
}

UNIT_TEST(canonical_addresses)
{
	static const struct {
		u64 addr;
		u8 va_bits;
		bool good;
	} t[] = {
		{ 0x00007ffffffffff8, 48, true },
		{ 0x00007ffffffffff9, 48, false },
		{ 0x0000800000000000, 48, false },
		{ 0xffff7fffffffffff, 48, false },
		{ 0xffff800000000000, 48, true },
		{ 0x0000800000000000, 57, true },
		{ 0x00fffffffffffff8, 57, true },
		{ 0x00fffffffffffff9, 57, false },
		{ 0xff00000000000000, 57, true },
		{ 0xfeffffffffffffff, 57, false },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct vmm_em_ctx ctx = make_ctx(VMM_EM_LONG64);

		reset();
		ctx.va_bits = t[i].va_bits;
		ctx.regs[VMM_EM_RDI] = t[i].addr;
		ctx.regs[VMM_EM_RBP] = t[i].addr;
		EXPECT_EQ(RUN(&ctx, 0x48, 0x8b, 0x07), t[i].good ? VMM_EM_DONE : VMM_EM_FAULT);
		if (!t[i].good) {
			EXPECT_EQ(ctx.fault.vector, 13);
			EXPECT(ctx.fault.has_error && !ctx.fault.error_code);
			EXPECT_EQ(w.pos, 0);
		}
		/* rBP means SS, unless overridden */
		EXPECT_EQ(RUN(&ctx, 0x48, 0x8b, 0x45, 0x00),
			  t[i].good ? VMM_EM_DONE : VMM_EM_FAULT);
		if (!t[i].good)
			EXPECT_EQ(ctx.fault.vector, 12);
		EXPECT_EQ(RUN(&ctx, 0x64, 0x48, 0x8b, 0x45, 0x00),
			  t[i].good ? VMM_EM_DONE : VMM_EM_FAULT);
		if (!t[i].good)
			EXPECT_EQ(ctx.fault.vector, 13);
	}
}

UNIT_TEST(real_mode_addresses)
{
	struct vmm_em_ctx ctx;
	unsigned int mode;

	for (mode = VMM_EM_REAL; mode <= VMM_EM_VM86; mode++) {
		reset();
		ctx = make_ctx(mode);
		ctx.regs[VMM_EM_RBX] = 0xffffffff00018000;	/* only BX counts */
		ctx.regs[VMM_EM_RSI] = 0x9000;
		/* mov ax, [bx+si-0x80]: 0x10f80 wraps to 0x0f80, in DS */
		EXPECT_EQ(RUN(&ctx, 0x8b, 0x40, 0x80), VMM_EM_DONE);
		EXPECT_EQ(w.log[0].addr, 0x3000 + 0x0f80);
		EXPECT_EQ(ctx.regs[VMM_EM_RAX], mem(0x3f80, 2));
		EXPECT_EQ(ctx.rip, 0x103);

		/* mov [bp+2], eax: SS, whatever its type; code segments can be written, too */
		ctx.segs[VMM_EM_SS].attr = 0x9b;
		ctx.regs[VMM_EM_RBP] = 0x10;
		EXPECT_EQ(RUN(&ctx, 0x66, 0x89, 0x46, 0x02), VMM_EM_DONE);
		EXPECT_EQ(w.log[0].addr, 0x2012);
		EXPECT_EQ(w.log[0].len, 4);
		EXPECT_EQ(RUN(&ctx, 0x2e, 0x89, 0x07), VMM_EM_DONE);
		EXPECT_EQ(w.log[0].addr, 0x1000 + 0x8000);

		/* word at 0xffff, and 32-bit offset beyond the limit */
		ctx.regs[VMM_EM_RDI] = 0xffff;
		EXPECT_EQ(RUN(&ctx, 0x8b, 0x05), VMM_EM_FAULT);
		EXPECT_EQ(ctx.fault.vector, 13);
		EXPECT_EQ(ctx.fault.has_error, mode == VMM_EM_VM86);
		EXPECT_EQ(RUN(&ctx, 0x8a, 0x05), VMM_EM_DONE);
		ctx.regs[VMM_EM_RDI] = 0x10000;
		EXPECT_EQ(RUN(&ctx, 0x67, 0x8a, 0x07), VMM_EM_FAULT);
		EXPECT_EQ(ctx.fault.vector, 13);
		ctx.regs[VMM_EM_RBP] = 0x10000;
		EXPECT_EQ(RUN(&ctx, 0x67, 0x8a, 0x45, 0x00), VMM_EM_FAULT);
		EXPECT_EQ(ctx.fault.vector, 12);
		EXPECT_EQ(ctx.fault.has_error, mode == VMM_EM_VM86);

		/* push word [di]: SP wraps, the rest of ESP stays */
		ctx.regs[VMM_EM_RDI] = 0x20;
		ctx.regs[VMM_EM_RSP] = 0x50000;
		EXPECT_EQ(RUN(&ctx, 0xff, 0x35), VMM_EM_DONE);
		EXPECT_EQ(ctx.regs[VMM_EM_RSP], 0x5fffe);
		EXPECT_EQ(mem(0x2000 + 0xfffe, 2), mem(0x3020, 2));
	}
}

UNIT_TEST(protected_mode_segments)
{
	static const struct {
		u16 attr;
		u32 limit, offset;
		bool read, write;
	} t[] = {
		{ 0xc93, 0xffffffff, 0xfffffffc, true, true },
		{ 0xc93, 0xffffffff, 0xfffffffd, false, false },
		{ 0x093, 0xfff, 0xffc, true, true },
		{ 0x093, 0xfff, 0xffd, false, false },
		{ 0x091, 0xfff, 0, true, false },	/* read-only */
		{ 0x097, 0xfff, 0xfff, false, false },	/* expand-down */
		{ 0x097, 0xfff, 0x1000, true, true },
		{ 0x097, 0xfff, 0xfffc, true, true },
		{ 0x097, 0xfff, 0xfffd, false, false },
		{ 0x497, 0xfff, 0xfffd, true, true },
		{ 0x095, 0xfff, 0x1000, true, false },
		{ 0x09b, 0xfff, 0, true, false },	/* code */
		{ 0x099, 0xfff, 0, false, false },	/* execute-only */
		{ 0x09f, 0xfff, 0xffc, true, false },	/* conforming: limit is not inverted */
		{ 0x013, 0xfff, 0, false, false },	/* absent or null */
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct vmm_em_ctx ctx = make_ctx(VMM_EM_PROT32);

		reset();
		ctx.segs[VMM_EM_DS].attr = t[i].attr;
		ctx.segs[VMM_EM_DS].limit = t[i].limit;
		ctx.segs[VMM_EM_DS].base = 0x80000000;
		ctx.regs[VMM_EM_RDI] = t[i].offset;
		if (RUN(&ctx, 0x8b, 0x07) != (t[i].read ? VMM_EM_DONE : VMM_EM_FAULT))
			FAIL("case %u: read", i);
		if (t[i].read)
			EXPECT_EQ(w.log[0].addr, (u32)(0x80000000 + t[i].offset));
		if (RUN(&ctx, 0x89, 0x07) != (t[i].write ? VMM_EM_DONE : VMM_EM_FAULT))
			FAIL("case %u: write", i);
		if (RUN(&ctx, 0x01, 0x07) != (t[i].write ? VMM_EM_DONE : VMM_EM_FAULT))
			FAIL("case %u: read and write", i);
		if (RUN(&ctx, 0x39, 0x07) != (t[i].read ? VMM_EM_DONE : VMM_EM_FAULT))
			FAIL("case %u: compare", i);
	}
}

UNIT_TEST(intent)
{
	struct vmm_em_ctx ctx = make_ctx(VMM_EM_PROT32);

	reset();
	ctx.regs[VMM_EM_RDI] = 0x100;
	ctx.regs[VMM_EM_RSI] = 0x200;
	ctx.regs[VMM_EM_RSP] = 0x300;
	RUN(&ctx, 0x01, 0x07);		/* add [edi], eax */
	EXPECT_EQ(w.logged, 2);
	EXPECT_EQ(w.log[0].kind, READ);
	EXPECT_EQ(w.log[0].intent, VMM_EM_ACC_READ | VMM_EM_ACC_WRITE);
	EXPECT_EQ(w.log[1].kind, WRITE);
	RUN(&ctx, 0x39, 0x07);		/* cmp */
	EXPECT_EQ(w.logged, 1);
	EXPECT_EQ(w.log[0].intent, VMM_EM_ACC_READ);
	RUN(&ctx, 0x89, 0x07);		/* mov */
	EXPECT_EQ(w.log[0].kind, WRITE);
	EXPECT_EQ(w.log[0].intent, VMM_EM_ACC_WRITE);
	RUN(&ctx, 0xa5);		/* movsd */
	EXPECT_EQ(w.logged, 3);
	EXPECT_EQ(w.log[0].kind, PROBE);
	EXPECT_EQ(w.log[0].addr, 0x100);
	EXPECT_EQ(w.log[0].intent, VMM_EM_ACC_WRITE);
	EXPECT_EQ(w.log[1].kind, READ);
	EXPECT_EQ(w.log[1].addr, 0x200);
	EXPECT_EQ(w.log[1].intent, VMM_EM_ACC_READ);
	EXPECT_EQ(w.log[2].kind, WRITE);
	EXPECT_EQ(w.log[2].intent, VMM_EM_ACC_WRITE);
	RUN(&ctx, 0xff, 0x37);		/* push [edi] */
	EXPECT_EQ(w.log[0].kind, PROBE);
	EXPECT_EQ(w.log[0].addr, 0x2fc);
	EXPECT_EQ(w.log[0].intent, VMM_EM_ACC_WRITE);
	EXPECT_EQ(w.log[1].kind, READ);
	EXPECT_EQ(w.log[1].intent, VMM_EM_ACC_READ);
	EXPECT_EQ(w.log[2].addr, 0x2fc);
	EXPECT_EQ(w.log[2].intent, VMM_EM_ACC_WRITE);
	RUN(&ctx, 0x8f, 0x07);		/* pop [edi] */
	EXPECT_EQ(w.log[0].intent, VMM_EM_ACC_READ);
	EXPECT_EQ(w.log[1].intent, VMM_EM_ACC_WRITE);
	RUN(&ctx, 0x6d);		/* insd: the destination before the port */
	EXPECT_EQ(w.log[0].kind, PROBE);
	EXPECT_EQ(w.log[0].intent, VMM_EM_ACC_WRITE);
	EXPECT_EQ(w.log[1].kind, IN);
	EXPECT_EQ(w.log[2].kind, WRITE);
	EXPECT_EQ(w.log[2].intent, VMM_EM_ACC_WRITE);
}

UNIT_TEST(locked_instructions_swap)
{
	static const u8 t[][6] = {
		{ 0xf0, 0x01, 0x07 }, { 0xf0, 0xff, 0x07 }, { 0xf0, 0xf7, 0x17 },
		{ 0xf0, 0x0f, 0xab, 0x07 }, { 0xf0, 0x0f, 0xb1, 0x07 }, { 0xf0, 0x0f, 0xc1, 0x07 },
		{ 0xf0, 0x0f, 0xc7, 0x0f }, { 0x87, 0x07 }, { 0x86, 0x07 },
	};
	static const u8 len[] = { 3, 3, 3, 4, 4, 4, 4, 2, 2 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct vmm_em_ctx ctx = make_ctx(VMM_EM_PROT32), before;
		u8 bytes[8];

		reset();
		memcpy(bytes, t[i], sizeof(t[i]));
		ctx.regs[VMM_EM_RDI] = 0x100;
		ctx.regs[VMM_EM_RAX] = mem(0x100, 4) ^ (i & 1);
		before = ctx;
		w.lose_race = true;
		EXPECT_EQ(run(&ctx, bytes, len[i]), VMM_EM_AGAIN);
		EXPECT(same_state(&ctx, &before));
		EXPECT_EQ(w.logged, 2);
		EXPECT_EQ(w.log[1].kind, CMPXCHG);
		w.lose_race = false;
		EXPECT_EQ(run(&ctx, bytes, len[i]), VMM_EM_DONE);
		EXPECT_EQ(ctx.rip, 0x100 + len[i]);
	}
}

/* A failed comparison writes what is there */
UNIT_TEST(cmpxchg_always_writes)
{
	struct vmm_em_ctx ctx = make_ctx(VMM_EM_PROT32);
	u64 was;

	reset();
	ctx.regs[VMM_EM_RDI] = 0x100;
	was = mem(0x100, 4);
	ctx.regs[VMM_EM_RAX] = was + 1;
	ctx.regs[VMM_EM_RCX] = 5;
	EXPECT_EQ(RUN(&ctx, 0x0f, 0xb1, 0x0f), VMM_EM_DONE);
	EXPECT_EQ(w.logged, 2);
	EXPECT_EQ(w.log[1].kind, WRITE);
	EXPECT_EQ(mem(0x100, 4), was);
	EXPECT_EQ(ctx.regs[VMM_EM_RAX], was);
	EXPECT(!(ctx.rflags & F_ZF));
	EXPECT_EQ(RUN(&ctx, 0x0f, 0xb1, 0x0f), VMM_EM_DONE);
	EXPECT(ctx.rflags & F_ZF);
	EXPECT_EQ(mem(0x100, 4), 5);
}

UNIT_TEST(rep_count_zero)
{
	static const u8 op[] = { 0x6c, 0x6d, 0x6e, 0x6f, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac,
				 0xad, 0xae, 0xaf };
	unsigned int i, rep, mode;

	for (mode = VMM_EM_REAL; mode <= VMM_EM_LONG64; mode++) {
		for (i = 0; i < ARRAY_SIZE(op); i++) {
			for (rep = 0xf2; rep <= 0xf3; rep++) {
				struct vmm_em_ctx ctx = make_ctx(mode), before;

				reset();
				ctx.regs[VMM_EM_RSI] = 0x123456789abcdef0;
				ctx.regs[VMM_EM_RDI] = 0x0fedcba987654321;
				if (mode < VMM_EM_PROT32)
					ctx.regs[VMM_EM_RCX] = 0x10000;
				else if (mode == VMM_EM_PROT32)
					ctx.regs[VMM_EM_RCX] = 0x100000000;
				ctx.rflags |= F_ZF | F_RF;
				before = ctx;
				EXPECT_EQ(RUN(&ctx, rep, op[i]), VMM_EM_DONE);
				EXPECT_EQ(w.pos, 0);
				before.rip += 2;
				before.rflags &= ~F_RF;
				EXPECT(same_state(&ctx, &before));
			}
		}
	}
}

UNIT_TEST(rep_one_iteration_a_call)
{
	struct vmm_em_ctx ctx = make_ctx(VMM_EM_LONG64);

	reset();
	ctx.regs[VMM_EM_RCX] = 3;
	ctx.regs[VMM_EM_RSI] = 0x1000;
	ctx.regs[VMM_EM_RDI] = 0x2000;
	ctx.rflags |= F_DF | F_RF;
	EXPECT_EQ(RUN(&ctx, 0xf3, 0x48, 0xa5), VMM_EM_AGAIN);
	EXPECT_EQ(ctx.regs[VMM_EM_RCX], 2);
	EXPECT_EQ(ctx.regs[VMM_EM_RSI], 0xff8);
	EXPECT_EQ(ctx.regs[VMM_EM_RDI], 0x1ff8);
	EXPECT_EQ(ctx.rip, 0x100);
	EXPECT_EQ(ctx.rflags, 2 | F_DF | F_RF);
	EXPECT_EQ(RUN(&ctx, 0xf3, 0x48, 0xa5), VMM_EM_AGAIN);
	EXPECT_EQ(RUN(&ctx, 0xf3, 0x48, 0xa5), VMM_EM_DONE);
	EXPECT_EQ(ctx.regs[VMM_EM_RCX], 0);
	EXPECT_EQ(ctx.rip, 0x103);
	EXPECT_EQ(ctx.rflags, 2 | F_DF);
	EXPECT_EQ(mem(0x2000, 8), mem(0x1000, 8));
	EXPECT_EQ(mem(0x1ff0, 8), mem(0xff0, 8));
}

UNIT_TEST(string_pointers_wrap_at_the_address_size)
{
	struct vmm_em_ctx ctx = make_ctx(VMM_EM_REAL);

	reset();
	ctx.regs[VMM_EM_RDI] = 0xabcdffff;
	ctx.regs[VMM_EM_RCX] = 0xabcd0002;
	EXPECT_EQ(RUN(&ctx, 0xf3, 0xaa), VMM_EM_AGAIN);
	EXPECT_EQ(ctx.regs[VMM_EM_RDI], 0xabcd0000);
	EXPECT_EQ(ctx.regs[VMM_EM_RCX], 0xabcd0001);

	/* 32-bit addresses in 64-bit mode clear the upper halves */
	ctx = make_ctx(VMM_EM_LONG64);
	ctx.regs[VMM_EM_RDI] = 0xabcd0000ffffffff;
	ctx.regs[VMM_EM_RCX] = 0xabcd000000000001;
	EXPECT_EQ(RUN(&ctx, 0x67, 0xf3, 0xaa), VMM_EM_DONE);
	EXPECT_EQ(w.log[0].addr, 0xffffffff);
	EXPECT_EQ(ctx.regs[VMM_EM_RDI], 0);
	EXPECT_EQ(ctx.regs[VMM_EM_RCX], 0);
}

UNIT_TEST(ports)
{
	struct vmm_em_ctx ctx = make_ctx(VMM_EM_LONG64);

	reset();
	ctx.regs[VMM_EM_RAX] = 0x1122334455667788;
	ctx.regs[VMM_EM_RDX] = 0xffff03f8;
	EXPECT_EQ(RUN(&ctx, 0xec), VMM_EM_DONE);
	EXPECT_EQ(ctx.regs[VMM_EM_RAX], 0x1122334455667784);
	EXPECT_EQ(w.log[0].addr, 0x3f8);
	EXPECT_EQ(RUN(&ctx, 0x66, 0xe5, 0x70), VMM_EM_DONE);
	EXPECT_EQ(ctx.regs[VMM_EM_RAX], 0x1122334455668385 + 0x100);
	EXPECT_EQ(w.log[0].addr, 0x70);
	EXPECT_EQ(RUN(&ctx, 0xed), VMM_EM_DONE);
	EXPECT_EQ(ctx.regs[VMM_EM_RAX], 0x83848586);
	EXPECT_EQ(RUN(&ctx, 0x48, 0xef), VMM_EM_DONE);
	EXPECT_EQ(w.log[0].kind, OUT);
	EXPECT_EQ(w.log[0].len, 4);
	EXPECT_MEMEQ(w.log[0].buf, &ctx.regs[VMM_EM_RAX], 4);
	EXPECT_EQ(RUN(&ctx, 0xe6, 0x80), VMM_EM_DONE);
	EXPECT_EQ(w.log[0].buf[0], 0x86);
	EXPECT_EQ(w.log[0].buf[1], 0);

	ctx.regs[VMM_EM_RDI] = 0x500;
	ctx.regs[VMM_EM_RCX] = 2;
	EXPECT_EQ(RUN(&ctx, 0xf3, 0x66, 0x6d), VMM_EM_AGAIN);
	EXPECT_EQ(ctx.regs[VMM_EM_RDI], 0x502);
	EXPECT_EQ(mem(0x500, 2), 0x8687);
	ctx.regs[VMM_EM_RSI] = 0x500;
	EXPECT_EQ(RUN(&ctx, 0x6e), VMM_EM_DONE);
	EXPECT_EQ(w.log[1].kind, OUT);
	EXPECT_EQ(w.log[1].buf[0], 0x87);
}

UNIT_TEST(bit_offsets_reach_outside_the_operand)
{
	struct vmm_em_ctx ctx = make_ctx(VMM_EM_LONG64);

	reset();
	ctx.regs[VMM_EM_RDI] = 0x1000;
	ctx.regs[VMM_EM_RAX] = (u64)-1;
	EXPECT_EQ(RUN(&ctx, 0x48, 0x0f, 0xab, 0x07), VMM_EM_DONE);
	EXPECT_EQ(w.log[0].addr, 0xff8);
	EXPECT(w.mem[0xfff] & 0x80);
	EXPECT_EQ(RUN(&ctx, 0x48, 0x0f, 0xa3, 0x07), VMM_EM_DONE);
	EXPECT(ctx.rflags & F_CF);
	ctx.regs[VMM_EM_RAX] = 0x8000 + 35;	/* 16-bit: negative */
	EXPECT_EQ(RUN(&ctx, 0x66, 0x0f, 0xa3, 0x07), VMM_EM_DONE);
	EXPECT_EQ(w.log[0].addr, 0x1000 - 0x1000 + 4);
	EXPECT_EQ(RUN(&ctx, 0x0f, 0xba, 0x27, 0xff), VMM_EM_DONE);
	EXPECT_EQ(w.log[0].addr, 0x1000);
}

UNIT_TEST(no_access_instructions)
{
	struct vmm_em_ctx ctx = make_ctx(VMM_EM_LONG64);

	reset();
	ctx.regs[VMM_EM_RDI] = 0x1000;
	EXPECT_EQ(RUN(&ctx, 0x0f, 0x18, 0x0f), VMM_EM_DONE);
	EXPECT_EQ(RUN(&ctx, 0x0f, 0x0d, 0x0f), VMM_EM_DONE);
	EXPECT_EQ(RUN(&ctx, 0x0f, 0x1f, 0x07), VMM_EM_DONE);
	EXPECT_EQ(RUN(&ctx, 0x0f, 0xae, 0x3f), VMM_EM_DONE);
	EXPECT_EQ(RUN(&ctx, 0x66, 0x0f, 0xae, 0x37), VMM_EM_DONE);
	EXPECT_EQ(ctx.rip, 0x100 + 3 * 4 + 4);
	EXPECT_EQ(w.logged + w.pos, 0);
}

UNIT_TEST(rip_wraps_by_mode)
{
	struct vmm_em_ctx ctx = make_ctx(VMM_EM_PROT32);

	reset();
	ctx.rip = 0xffffffff;
	EXPECT_EQ(RUN(&ctx, 0x90), VMM_EM_DONE);
	EXPECT_EQ(ctx.rip, 0);
	ctx = make_ctx(VMM_EM_LONG64);
	ctx.rip = 0xffffffff;
	EXPECT_EQ(RUN(&ctx, 0x90), VMM_EM_DONE);
	EXPECT_EQ(ctx.rip, 0x100000000);
	/* eip-relative: 32 bits */
	EXPECT_EQ(RUN(&ctx, 0x67, 0x8b, 0x05, 0x10, 0, 0, 0), VMM_EM_DONE);
	EXPECT_EQ(w.log[0].addr, 0x17);
}

UNIT_TEST(decoded_only_is_unhandleable)
{
	struct vmm_em_ctx ctx = make_ctx(VMM_EM_LONG64), before = ctx;

	reset();
	EXPECT_EQ(RUN(&ctx, 0x0f, 0xa2), VMM_EM_UNHANDLEABLE);
	EXPECT_EQ(RUN(&ctx, 0x0f, 0x01, 0x17), VMM_EM_UNHANDLEABLE);
	EXPECT_EQ(RUN(&ctx, 0x8e, 0x1f), VMM_EM_UNHANDLEABLE);
	EXPECT_EQ(RUN(&ctx, 0x9c), VMM_EM_UNHANDLEABLE);
	EXPECT_EQ(w.pos, 0);
	EXPECT(same_state(&ctx, &before));
}

/* Random instruction that can be executed; mostly with memory */
static bool random_insn(struct vmm_em_insn *insn, unsigned int mode)
{
	static const u8 first[] = { 0x66, 0x67, 0xf0, 0xf3, 0x64, 0x48 };
	u8 bytes[16];
	u64 a = rnd(), b = rnd();
	unsigned int n = rnd() >> 9 & 1;

	memcpy(bytes, &a, 8);
	memcpy(bytes + 8, &b, 8);
	if (n)
		bytes[0] = first[(rnd() >> 9) % sizeof(first)];
	if (!(rnd() >> 9 & 3)) {
		bytes[n++] = 0x0f;
		if (!(rnd() >> 9 & 15)) {
			bytes[n] = 0x38;
			bytes[n + 1] = 0xf0 | (bytes[n + 1] & 1);
		}
	}
	if (bytes[n] >= 0x40 && bytes[n] < 0x60 && n < 2)
		bytes[n] = 0x6c + (bytes[n] & 3);
	return !vmm_em_decode(insn, bytes, sizeof(bytes), mode) &&
	       insn->op <= VMM_EM_OP_PAUSE && insn->dst.kind != VMM_EM_K_SREG;
}

static void random_regs(struct vmm_em_ctx *ctx)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		ctx->regs[i] = rnd() & 0xffff;
	ctx->regs[VMM_EM_RCX] = rnd() >> 20 & 3;
	ctx->rflags |= rnd() & 0x8d5;
}

static unsigned int access_of(const struct call *c)
{
	switch (c->kind) {
	case READ:
		return VMM_EM_ACC_READ | VMM_EM_ACC_STACK_READ;
	case WRITE:
	case PROBE:
	case CMPXCHG:
		return VMM_EM_ACC_WRITE | VMM_EM_ACC_STACK_WRITE;
	case IN:
		return VMM_EM_ACC_PORT_IN;
	default:
		return VMM_EM_ACC_PORT_OUT;
	}
}

/*
 * For random instructions: stopped before each access in turn by PENDING and answered from the log,
 * the same accesses come in the same order, once each, and the result is the same as without stops.
 * Stopped by FAULT or UNHANDLEABLE, nothing has changed. vmm_em_access() names all accesses.
 */
UNIT_TEST(pending_and_faults_leave_no_trace)
{
	static struct world plain, start;
	unsigned long n = 0, stops = 0, op_stops[VMM_EM_OP_COUNT] = {};
	unsigned int k, i;

	reset();
	while (n < 30000) {
		unsigned int mode = (rnd() >> 8) % 5;
		struct vmm_em_ctx before = make_ctx(mode), done, ctx;
		enum vmm_em_result want, got;
		struct vmm_em_insn insn;

		if (!random_insn(&insn, mode))
			continue;
		random_regs(&before);
		if (!(n & 0xff))
			reset();
		n++;
		w.logged = 0;
		w.pos = 0;
		w.stop_at = -1;
		start = w;
		done = before;
		want = vmm_em_execute(&done, &insn);
		if (want != VMM_EM_DONE && want != VMM_EM_AGAIN) {
			EXPECT_EQ(want, VMM_EM_FAULT);
			EXPECT(same_state(&done, &before));
			continue;
		}
		EXPECT_EQ(w.pos, w.logged);
		for (i = 0; i < w.logged; i++)
			if (!(access_of(&w.log[i]) & vmm_em_access(&insn)))
				FAIL("op %u: access %u is not told", insn.op, i);
		plain = w;

		/* pending at every access in turn, one after the other */
		w = start;
		w.stop_with = VMM_EM_PENDING;
		for (k = 0; k < plain.logged; k++) {
			ctx = before;
			w.stop_at = k;
			w.pos = 0;
			got = vmm_em_execute(&ctx, &insn);
			if (got != VMM_EM_PENDING || !same_state(&ctx, &before) || w.logged != k)
				FAIL("op %u: pending at %u: %u", insn.op, k, got);
			/* the access completes: the next attempt passes it */
			w.stop_at = k + 1;
			stops++;
			op_stops[insn.op]++;
		}
		ctx = before;
		w.stop_at = -1;
		w.pos = 0;
		got = vmm_em_execute(&ctx, &insn);
		if (got != want || !same_state(&ctx, &done) || w.differs ||
		    w.logged != plain.logged ||
		    memcmp(w.log, plain.log, plain.logged * sizeof(w.log[0])) ||
		    memcmp(w.mem, plain.mem, MEM_SIZE))
			FAIL("op %u: replay differs", insn.op);

		for (k = 0; k < 2 * plain.logged; k++) {
			w = start;
			w.stop_with = k & 1 ? VMM_EM_FAULT : VMM_EM_UNHANDLEABLE;
			w.stop_at = k / 2;
			ctx = before;
			got = vmm_em_execute(&ctx, &insn);
			if (got != w.stop_with || !same_state(&ctx, &before))
				FAIL("op %u: stopped at %u: %u", insn.op, k / 2, got);
		}
		w = plain;
	}
	unit_note("%lu instructions, %lu stops", n, stops);
	for (i = VMM_EM_OP_ADD; i <= VMM_EM_OP_OUT; i++)
		if (i != VMM_EM_OP_SHL2 && !op_stops[i])
			FAIL("op %u was never stopped", i);
}

UNIT_MAIN()
