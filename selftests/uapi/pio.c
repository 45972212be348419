// SPDX-License-Identifier: GPL-2.0
/*
 * Port accesses: IN, OUT, INS, OUTS in every width, mode and with every prefix; data, order and the next instruction.
 */
#include "exec.h"
#include "harness.h"

#define PORT	0x3f8

/* what the guest did to ports, and what it is given to read */
struct ports {
	struct {
		uint16_t port;
		uint8_t size;
		uint8_t out;
		uint32_t data;
	} log[600];
	unsigned int nr;
	uint32_t in;		/* answer to the first IN; the n-th gets in + n * in_step */
	uint32_t in_step;
};

static bool answer(struct t_vcpu *v, struct t_exec *x)
{
	struct ports *p = x->opaque;
	volatile struct vmm_run *run = v->run;

	if (x->exit != VMM_EXIT_IO || p->nr >= 600)
		return false;
	p->log[p->nr].port = run->u.io.port;
	p->log[p->nr].size = run->u.io.size;
	p->log[p->nr].out = run->u.io.direction;
	p->log[p->nr].data = run->u.io.data;
	if (run->u.io.direction == VMM_IO_IN)
		run->u.io.data = p->in + p->in_step * p->nr;
	p->nr++;
	return true;
}

FIXTURE(pio)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	struct ports *p;
};

FIXTURE_VARIANT(pio)
{
	enum t_mode mode;
};

FIXTURE_VARIANT_ADD(pio, real) { .mode = T_REAL };
FIXTURE_VARIANT_ADD(pio, pm16) { .mode = T_PM16 };
FIXTURE_VARIANT_ADD(pio, pm32) { .mode = T_PM32 };
FIXTURE_VARIANT_ADD(pio, pae) { .mode = T_PAE };
FIXTURE_VARIANT_ADD(pio, long64) { .mode = T_LONG };

FIXTURE_SETUP(pio)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	self->p = calloc(1, sizeof(*self->p));
}

FIXTURE_TEARDOWN(pio)
{
}

static bool is16(enum t_mode mode)
{
	return mode == T_REAL || mode == T_PM16;
}

static uint32_t low(uint32_t value, unsigned int size)
{
	return size == 4 ? value : value & ((1u << size * 8) - 1);
}

/* IN and OUT, by DX and by immediate, with every prefix */
TEST_F(pio, in_out)
{
	static const uint8_t opcode[] = { 0xec, 0xed, 0xee, 0xef, 0xe4, 0xe5, 0xe6, 0xe7 };
	struct t_prefix prefix[T_MAX_PREFIXES];
	unsigned int n = t_prefixes(variant->mode, prefix), i, j, bad = 0;

	for (i = 0; i < ARRAY_SIZE(opcode); i++) {
		bool imm = opcode[i] < 0xec, out = opcode[i] & 2;

		for (j = 0; j < n && bad < 8; j++) {
			struct t_exec x = { .mode = variant->mode, .answer = answer, .opaque = self->p };
			uint8_t op[2] = { opcode[i], 0x92 };
			unsigned int size = !(opcode[i] & 1) ? 1 : is16(variant->mode) ^ prefix[j].opsize ? 2 : 4;
			uint64_t old = variant->mode == T_LONG ? 0x1122334455667788 : 0x55667788, want;
			struct ports *p = self->p;
			const char *wrong = NULL;

			if (prefix[j].rex && (prefix[j].byte[prefix[j].len - 1] & 8))
				continue;	/* REX.W takes the effect of 66 away; see rex_w */
			if (prefix[j].len >= 2 && prefix[j].byte[0] == 0x48)
				continue;
			if (prefix[j].len + 1 + imm > 15)
				continue;
			memset(p, 0, sizeof(*p));
			p->in = 0xa1b2c3d4;
			t_exec_set(&x, &prefix[j], op, 1 + imm);
			x.gpr[VMM_RAX] = old;
			x.gpr[VMM_RDX] = variant->mode == T_LONG ? 0xffff00000000 | PORT : 0xffff0000 | PORT;
			t_exec(self->v, &x);
			want = out ? old : size == 4 ? p->in : (old & ~(uint64_t)low(~0u, size)) | low(p->in, size);
			if (!t_exec_completed(&x))
				wrong = "did not complete";
			else if (p->nr != 1)
				wrong = "not one access";
			else if (p->log[0].port != (imm ? 0x92 : PORT) || p->log[0].size != size || p->log[0].out != out)
				wrong = "wrong port, size or direction";
			else if (out && p->log[0].data != low(old, size))
				wrong = "wrong data";
			else if (x.out.gpr[VMM_RAX] != want)
				wrong = "wrong RAX afterwards";
			EXPECT_EQ(NULL, wrong) {
				TH_LOG("%s: %s; port 0x%x size %u %s data 0x%x, rax 0x%llx", wrong, t_exec_text(&x), p->log[0].port,
				       p->log[0].size, p->log[0].out ? "out" : "in", p->log[0].data, x.out.gpr[VMM_RAX]);
				bad++;
			}
		}
	}
}

/* REX.W has no 64-bit access: four bytes, also with 66 */
TEST(rex_w)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	struct ports *p = calloc(1, sizeof(*p));
	struct t_exec x = { .mode = T_LONG, .answer = answer, .opaque = p, .bytes = { 0x48, 0xed }, .len = 2 };

	p->in = 0x12345678;
	x.gpr[VMM_RAX] = ~0ull;
	x.gpr[VMM_RDX] = PORT;
	t_exec(v, &x);
	EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("%s", t_exec_text(&x));
	EXPECT_EQ(4, p->log[0].size);
	EXPECT_EQ(0x12345678, x.out.gpr[VMM_RAX]);
}

/* where a string instruction's memory is */
#define STR_OFF	0x6100
#define SI_OFF	0x6800

/*
 * INS and OUTS, all widths, with REP and without, both directions, both address sizes, with segment overrides for OUTS.
 */
TEST_F(pio, strings)
{
	static const uint8_t opcode[] = { 0x6c, 0x6d, 0x6e, 0x6f };
	unsigned int i, rep, df, seg, addr, opsize, bad = 0;
	uint8_t *mem = t_gpa(self->vm, T_XDATA, T_XDATA_SIZE);

	for (i = 0; i < ARRAY_SIZE(opcode); i++) {
		for (rep = 0; rep < 3; rep++) {			/* none, F3, F2 */
			for (df = 0; df < 2; df++) {
				for (seg = 0; seg < 7; seg++) {
					for (addr = 0; addr < 2; addr++) {
						for (opsize = 0; opsize < 2; opsize++) {
							static const uint8_t segs[] = { 0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
							struct t_exec x = { .mode = variant->mode, .answer = answer, .opaque = self->p };
							struct ports *p = self->p;
							bool out = opcode[i] & 2;
							unsigned int size = !(opcode[i] & 1) ? 1 : is16(variant->mode) ^ opsize ? 2 : 4;
							unsigned int n = 0, count = rep ? 5 : 1, k, b;
							int64_t step = df ? -(int)size : (int)size;
							const char *wrong = NULL;

							if (seg > 1 && (df || opsize))
								continue;	/* enough */
							if (rep == 2 && seg)
								continue;
							if (opsize)
								x.bytes[n++] = 0x66;
							if (seg)
								x.bytes[n++] = segs[seg];
							if (addr)
								x.bytes[n++] = 0x67;
							if (rep)
								x.bytes[n++] = rep == 1 ? 0xf3 : 0xf2;
							x.bytes[n++] = opcode[i];
							x.len = n;
							memset(p, 0, sizeof(*p));
							p->in = 0x04030201;
							p->in_step = 0x10101010;
							for (k = 0; k < T_XDATA_SIZE; k++)
								mem[k] = k * 5 + 1;
							x.gpr[VMM_RDX] = PORT;
							x.gpr[VMM_RCX] = 5;
							x.gpr[VMM_RDI] = STR_OFF;
							x.gpr[VMM_RSI] = SI_OFF;
							x.rflags = df ? 0x400 : 0;
							t_exec(self->v, &x);

							if (!t_exec_completed(&x))
								wrong = "did not complete";
							else if (p->nr != count)
								wrong = "wrong number of accesses";
							else if (x.out.gpr[VMM_RCX] != (rep ? 0 : 5))
								wrong = "wrong RCX";
							else if (x.out.gpr[VMM_RDI] != (uint64_t)(STR_OFF + (out ? 0 : step * count)))
								wrong = "wrong RDI";
							else if (x.out.gpr[VMM_RSI] != (uint64_t)(SI_OFF + (out ? step * count : 0)))
								wrong = "wrong RSI";
							for (k = 0; k < count && !wrong; k++) {
								uint32_t want = 0, in = p->in + p->in_step * k;

								if (p->log[k].port != PORT || p->log[k].size != size || p->log[k].out != out)
									wrong = "wrong port, size or direction";
								if (out) {
									for (b = 0; b < size; b++)
										want |= (uint32_t)(uint8_t)((SI_OFF - T_XDATA + step * k + b) * 5 + 1) << 8 * b;
									if (p->log[k].data != want)
										wrong = "wrong data written";
								} else if (memcmp(mem + STR_OFF - T_XDATA + step * k, &in, size)) {
									wrong = "wrong data in memory";
								}
							}
							EXPECT_EQ(NULL, wrong) {
								TH_LOG("%s: %s; %u accesses, first port 0x%x size %u data 0x%x; rcx %llx rsi %llx rdi %llx",
								       wrong, t_exec_text(&x), p->nr, p->log[0].port, p->log[0].size, p->log[0].data,
								       x.out.gpr[VMM_RCX], x.out.gpr[VMM_RSI], x.out.gpr[VMM_RDI]);
								if (++bad > 8)
									return;
							}
						}
					}
				}
			}
		}
	}
}

/* no count, no access; in 16-bit and 32-bit addressing only CX or ECX counts */
TEST_F(pio, count_zero)
{
	static const uint8_t opcode[] = { 0x6c, 0x6f };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct t_exec x = { .mode = variant->mode, .answer = answer, .opaque = self->p, .bytes = { 0xf3, opcode[i] }, .len = 2 };

		x.gpr[VMM_RDI] = x.gpr[VMM_RSI] = STR_OFF;
		x.gpr[VMM_RDX] = PORT;
		x.gpr[VMM_RCX] = is16(variant->mode) ? 0x10000 : 0;
		t_exec(self->v, &x);
		EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("%s", t_exec_text(&x));
		EXPECT_EQ(0, self->p->nr);
		EXPECT_EQ(STR_OFF, x.out.gpr[VMM_RDI]);
		EXPECT_EQ(STR_OFF, x.out.gpr[VMM_RSI]);
	}
	if (variant->mode == T_LONG) {
		struct t_exec x = { .mode = T_LONG, .answer = answer, .opaque = self->p, .bytes = { 0x67, 0xf3, 0x6c }, .len = 3 };

		x.gpr[VMM_RDI] = STR_OFF;
		x.gpr[VMM_RCX] = 1ull << 32;
		t_exec(self->v, &x);
		EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("%s", t_exec_text(&x));
		EXPECT_EQ(0, self->p->nr);
	}
}

/* 16-bit addressing wraps within the segment */
TEST(wrap_16)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	struct ports *p = calloc(1, sizeof(*p));
	struct t_exec x = { .mode = T_REAL, .answer = answer, .opaque = p, .bytes = { 0xf3, 0x6c }, .len = 2, .data_base = T_DATA };
	uint8_t *mem = t_gpa(vm, T_DATA, 0x10000);

	p->in = 1;
	p->in_step = 1;
	memset(mem, 0, 0x10000);
	x.gpr[VMM_RDI] = 0xfffe;
	x.gpr[VMM_RCX] = 4;
	x.gpr[VMM_RDX] = PORT;
	t_exec(v, &x);
	EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("%s", t_exec_text(&x));
	EXPECT_EQ(1, mem[0xfffe]);
	EXPECT_EQ(2, mem[0xffff]);
	EXPECT_EQ(3, mem[0]);
	EXPECT_EQ(4, mem[1]);
	EXPECT_EQ(2, x.out.gpr[VMM_RDI]);
}

FIXTURE(pio64)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	struct ports *p;
};

FIXTURE_SETUP(pio64)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	self->p = calloc(1, sizeof(*self->p));
	t_tables(self->vm);
}

FIXTURE_TEARDOWN(pio64)
{
}

/* the caller answers an IN without entering the guest */
TEST_F(pio64, completion_without_entry)
{
	struct t_exec x = { .mode = T_LONG, .bytes = { 0xec }, .len = 1, .gpr[VMM_RDX] = PORT, .gpr[VMM_RAX] = 0x1100 };
	struct vmm_regs r;

	t_exec(self->v, &x);
	ASSERT_EQ(VMM_EXIT_IO, x.exit);
	ASSERT_EQ(VMM_IO_IN, self->v->run->u.io.direction);
	self->v->run->u.io.data = 0xffffff5a;	/* beyond its size: no matter */
	self->v->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, t_run(self->v));
	self->v->run->immediate_exit = 0;
	t_get_regs(self->v, &r);
	EXPECT_EQ(0x115a, r.gpr[VMM_RAX]);
	EXPECT_EQ(T_XCODE + 1, r.rip);
	EXPECT_EQ(VMM_EXIT_HALT, t_run(self->v));
}

/* an OUT is complete for the guest as well */
TEST_F(pio64, out_completion_without_entry)
{
	struct t_exec x = { .mode = T_LONG, .bytes = { 0x66, 0xef }, .len = 2, .gpr[VMM_RDX] = PORT, .gpr[VMM_RAX] = 0x1234 };
	struct vmm_regs r;

	t_exec(self->v, &x);
	ASSERT_EQ(VMM_EXIT_IO, x.exit);
	self->v->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, t_run(self->v));
	EXPECT_EQ(-EINTR, t_run(self->v));
	self->v->run->immediate_exit = 0;
	t_get_regs(self->v, &r);
	EXPECT_EQ(T_XCODE + 2, r.rip);
	EXPECT_EQ(VMM_EXIT_HALT, t_run(self->v));
}

/* a long REP is left between two accesses, and goes on exactly there */
TEST_F(pio64, repeat_is_restartable)
{
	struct t_exec x = { .mode = T_LONG, .bytes = { 0xf3, 0x66, 0x6f }, .len = 3 };
	struct vmm_regs r;
	unsigned int i, n = 0;
	uint16_t *mem = t_gpa(self->vm, T_DATA, 1024);

	for (i = 0; i < 512; i++)
		mem[i] = i * 3;
	x.gpr[VMM_RSI] = T_DATA;
	x.gpr[VMM_RCX] = 500;
	x.gpr[VMM_RDX] = PORT;
	t_exec(self->v, &x);
	while (x.exit == VMM_EXIT_IO && n < 500) {
		ASSERT_EQ(n * 3, self->v->run->u.io.data) TH_LOG("access %u", n);
		n++;
		self->v->run->immediate_exit = 1;
		x.exit = t_run(self->v);
		self->v->run->immediate_exit = 0;
		if (x.exit == VMM_EXIT_IO)
			continue;
		ASSERT_EQ(-EINTR, x.exit);
		t_get_regs(self->v, &r);
		ASSERT_EQ(500 - n, r.gpr[VMM_RCX]);
		ASSERT_EQ(T_DATA + 2 * n, r.gpr[VMM_RSI]);
		ASSERT_TRUE(r.rip == T_XCODE || (n == 500 && r.rip == T_XCODE + 3)) TH_LOG("rip 0x%llx", r.rip);
		x.exit = t_run(self->v);
	}
	EXPECT_EQ(500, n);
	EXPECT_EQ(VMM_EXIT_HALT, x.exit);
}

/* memory of a string access crosses a page; with paging the pages are not neighbours */
TEST_F(pio64, strings_across_pages)
{
	struct t_exec x = { .mode = T_LONG, .answer = answer, .opaque = self->p, .bytes = { 0xf3, 0x6d }, .len = 2 };
	uint8_t *a = t_gpa(self->vm, T_FREE, 4096), *b = t_gpa(self->vm, T_FREE + 0x3000, 4096);
	unsigned int i;

	t_pte(self->vm, 0, T_FREE | 3);
	t_pte(self->vm, 1, (T_FREE + 0x3000) | 3);
	self->p->in = 0x04030201;
	self->p->in_step = 0x04040404;
	x.gpr[VMM_RDI] = T_WINDOW + 0x1000 - 6;
	x.gpr[VMM_RCX] = 3;
	x.gpr[VMM_RDX] = PORT;
	t_exec(self->v, &x);
	EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("%s", t_exec_text(&x));
	for (i = 0; i < 6; i++)
		EXPECT_EQ(i + 1, a[4096 - 6 + i]);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(i + 7, b[i]);
}

/* INS to where the guest may not write faults before the port is read; OUTS likewise; the count tells how far it came */
TEST_F(pio64, strings_fault)
{
	static const struct {
		uint8_t op;
		uint32_t error;
	} c[] = { { 0x6d, 2 }, { 0x6f, 0 } };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct t_exec x = { .mode = T_LONG, .answer = answer, .opaque = self->p, .bytes = { 0xf3, c[i].op }, .len = 2 };

		memset(self->p, 0, sizeof(*self->p));
		t_pte(self->vm, 0, T_FREE | 3);
		t_pte(self->vm, 1, 0);
		x.gpr[VMM_RDI] = x.gpr[VMM_RSI] = T_WINDOW + 0x1000 - 8;
		x.gpr[VMM_RCX] = 5;
		x.gpr[VMM_RDX] = PORT;
		t_exec(self->v, &x);
		EXPECT_EQ(14, x.vector) TH_LOG("%s", t_exec_text(&x));
		EXPECT_EQ(c[i].error, x.error) TH_LOG("%s", t_exec_text(&x));
		EXPECT_EQ(T_WINDOW + 0x1000, x.sout.cr2);
		EXPECT_EQ(T_XCODE, x.fault_rip);
		EXPECT_EQ(3, x.out.gpr[VMM_RCX]);
		EXPECT_EQ(2, self->p->nr) TH_LOG("%s: the port was touched before the fault", t_exec_text(&x));
	}
}

/* strings between a port and a device in memory */
static bool both(struct t_vcpu *v, struct t_exec *x)
{
	struct ports *p = x->opaque;
	unsigned int i;

	if (x->exit == VMM_EXIT_IO)
		return answer(v, x);
	if (x->exit != VMM_EXIT_MMIO || p->nr >= 600)
		return false;
	p->log[p->nr].port = v->run->u.mmio.gpa & 0xffff;
	p->log[p->nr].size = v->run->u.mmio.len;
	p->log[p->nr].out = 0x10 | v->run->u.mmio.is_write;
	p->log[p->nr].data = 0;
	for (i = 0; i < v->run->u.mmio.len; i++) {
		if (!v->run->u.mmio.is_write)
			v->run->u.mmio.data[i] = i + p->nr;
		p->log[p->nr].data |= (uint32_t)v->run->u.mmio.data[i] << 8 * i;
	}
	p->nr++;
	return true;
}

TEST_F(pio64, strings_to_device)
{
	struct t_exec x = { .mode = T_LONG, .answer = both, .opaque = self->p, .bytes = { 0xf3, 0x6d }, .len = 2 };
	struct ports *p = self->p;
	unsigned int i;

	p->in = 100;
	p->in_step = 1;
	x.gpr[VMM_RDI] = 0xd0000000;
	x.gpr[VMM_RCX] = 3;
	x.gpr[VMM_RDX] = PORT;
	t_exec(self->v, &x);
	EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("%s", t_exec_text(&x));
	ASSERT_EQ(6, p->nr);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(PORT, p->log[2 * i].port);
		EXPECT_EQ(0x11, p->log[2 * i + 1].out);
		EXPECT_EQ(4 * i, p->log[2 * i + 1].port);
		EXPECT_EQ(100 + 2 * i, p->log[2 * i + 1].data) TH_LOG("what came from the port is written");
	}

	memset(p, 0, sizeof(*p));
	x.bytes[1] = 0x6f;
	x.gpr[VMM_RSI] = 0xd0000000;
	t_exec(self->v, &x);
	EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("%s", t_exec_text(&x));
	ASSERT_EQ(6, p->nr);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0x10, p->log[2 * i].out);
		EXPECT_EQ(VMM_IO_OUT, p->log[2 * i + 1].out);
		EXPECT_EQ(p->log[2 * i].data, p->log[2 * i + 1].data);
	}
}

/* at CPL 3 with IOPL 0 and no I/O bitmap: #GP(0), no exit; with IOPL 3: an access */
TEST_F(pio64, permission)
{
	static const enum t_mode mode[] = { T_PM32, T_LONG };
	static const uint8_t op[] = { 0xec, 0xef, 0x6c, 0x6f };
	unsigned int m, i;

	for (m = 0; m < 2; m++) {
		for (i = 0; i < ARRAY_SIZE(op); i++) {
			struct t_exec x = { .mode = mode[m], .user = true, .answer = answer, .opaque = self->p, .bytes = { op[i] }, .len = 1 };

			memset(self->p, 0, sizeof(*self->p));
			x.gpr[VMM_RDX] = PORT;
			x.gpr[VMM_RSI] = x.gpr[VMM_RDI] = T_XDATA;
			t_exec(self->v, &x);
			EXPECT_EQ(13, x.vector) TH_LOG("%s", t_exec_text(&x));
			EXPECT_EQ(0, self->p->nr) TH_LOG("%s", t_exec_text(&x));

			x.rflags = 0x3000;
			x.bytes[1] = 0x0f;	/* then #UD: HLT is not for CPL 3 */
			x.bytes[2] = 0x0b;
			x.len = 3;
			t_exec(self->v, &x);
			EXPECT_EQ(6, x.vector) TH_LOG("IOPL 3: %s", t_exec_text(&x));
			EXPECT_EQ(T_XCODE + 1, x.fault_rip) TH_LOG("IOPL 3: %s", t_exec_text(&x));
			EXPECT_EQ(1, self->p->nr) TH_LOG("IOPL 3: %s", t_exec_text(&x));
		}
	}
}

/* the I/O permission bitmap opens single ports */
TEST_F(pio64, permission_bitmap)
{
	struct t_exec x = { .mode = T_LONG, .user = true, .answer = answer, .opaque = self->p, .bytes = { 0xec, 0x0f, 0x0b }, .len = 3 };
	uint8_t *bitmap = t_gpa(self->vm, T_TSS64 + 0x68, 0x100);
	unsigned int port;

	bitmap[PORT / 8] &= ~(1 << PORT % 8);
	for (port = PORT - 1; port <= PORT + 1; port++) {
		memset(self->p, 0, sizeof(*self->p));
		x.gpr[VMM_RDX] = port;
		t_exec(self->v, &x);
		EXPECT_EQ(port == PORT ? 6 : 13, x.vector) TH_LOG("port 0x%x: %s", port, t_exec_text(&x));
		EXPECT_EQ(port == PORT, self->p->nr) TH_LOG("port 0x%x: %s", port, t_exec_text(&x));
	}
}

/* a trap behind the access, with RFLAGS.TF */
TEST_F(pio64, single_step)
{
	static const uint8_t op[] = { 0xec, 0xee, 0x6c, 0x6e };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(op); i++) {
		struct t_exec x = { .mode = T_LONG, .answer = answer, .opaque = self->p, .bytes = { op[i] }, .len = 1, .rflags = 0x100 };

		x.gpr[VMM_RDX] = PORT;
		x.gpr[VMM_RSI] = x.gpr[VMM_RDI] = T_XDATA;
		t_exec(self->v, &x);
		EXPECT_EQ(1, x.vector) TH_LOG("%s", t_exec_text(&x));
		EXPECT_EQ(T_XCODE + 1, x.fault_rip) TH_LOG("%s", t_exec_text(&x));
	}
}

/* port 0xffff and accesses that reach beyond the last port */
TEST_F(pio64, last_port)
{
	struct t_exec x = { .mode = T_LONG, .answer = answer, .opaque = self->p, .bytes = { 0xee }, .len = 1, .gpr[VMM_RDX] = 0xffff,
			    .gpr[VMM_RAX] = 0x7e };

	t_exec(self->v, &x);
	EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("%s", t_exec_text(&x));
	EXPECT_EQ(0xffff, self->p->log[0].port);
	EXPECT_EQ(0x7e, self->p->log[0].data);
	x.bytes[0] = 0xef;
	t_exec(self->v, &x);	/* what a processor does with it is not told: some end, in time */
	EXPECT_EQ(VMM_EXIT_HALT, x.exit) TH_LOG("%s", t_exec_text(&x));
}

VMM_TEST_MAIN
