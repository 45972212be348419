// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses to a device in memory: what the emulator makes of instructions.
 *
 * The processor is the judge: each instruction is first run on memory, then with the same
 * values on a device that this test plays. Registers, flags and contents must be the same
 * afterwards, and the device must have seen the accesses that the instruction makes, in order.
 */
#include <signal.h>

#include "exec.h"
#include "harness.h"

#define DEV		0xa0000 /* no memory from here to 0xfffff: reachable in every mode */
#define PAGE		4096

/* a device of one page, and what was done to it */
struct dev {
	uint8_t byte[PAGE];
	char log[512];
	unsigned int accesses;
	const char *wrong;
};

static void dev_log(struct dev *d, char kind, unsigned int len)
{
	size_t n = strlen(d->log);

	snprintf(d->log + n, sizeof(d->log) - n, "%c%u", kind, len);
	d->accesses++;
}

/* serves one MMIO exit */
static bool dev_answer(struct t_vcpu *v, struct dev *d)
{
	volatile struct vmm_run *run = v->run;
	uint64_t off = run->u.mmio.gpa - DEV;
	uint32_t len = run->u.mmio.len, i;

	if (run->exit_reason != VMM_EXIT_MMIO) {
		d->wrong = "an exit that is not MMIO";
		return false;
	}
	if (len < 1 || len > 8 || off >= PAGE || len > PAGE - off || run->u.mmio.is_write > 1) {
		d->wrong = "access outside the device or of a strange size";
		return false;
	}
	dev_log(d, run->u.mmio.is_write ? 'w' : 'r', len);
	for (i = 0; i < 8; i++) {
		if (run->u.mmio.is_write && i < len)
			d->byte[off + i] = run->u.mmio.data[i];
		else if (!run->u.mmio.is_write)
			run->u.mmio.data[i] = i < len ? d->byte[off + i]
						      : 0xa5; /* what is beyond must not matter */
	}
	return true;
}

static bool exec_answer(struct t_vcpu *v, struct t_exec *x)
{
	return dev_answer(v, x->opaque);
}

/* memory everywhere but at [DEV, 1 MiB) */
static struct t_vm *vm_with_hole(void)
{
	struct t_vm *vm = t_vm_new();

	if (t_region(vm, 0, 0, 0, 0, NULL) || t_region(vm, 0, 0, 0, DEV, vm->mem) ||
	    t_region(vm, 1, 0, 0x100000, vm->mem_size - 0x100000, vm->mem + 0x100000))
		t_die("cannot make a hole in guest memory");
	return vm;
}

static uint64_t rnd(void)
{
	static uint64_t s = 0x9e3779b97f4a7c15;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s * 0x2545f4914f6cdd1d;
}

/* values that make flags interesting */
static uint64_t value(void)
{
	static const uint64_t edge[] = {0,	    1,	    0x7f,	0x80,
					0xff,	    0x7fff, 0x8000,	0x7fffffff,
					0x80000000, ~0ull,  1ull << 63, ~(1ull << 63)};

	return rnd() % 3 ? rnd() : edge[rnd() % ARRAY_SIZE(edge)];
}

/* which of rDI/rBX and rSI point into the device; the rest points into memory */
struct place {
	bool di, si;
};

/* one instruction with one set of values: on memory, then on the device; NULL or what differs */
static const char *compare(struct t_vcpu *v, enum t_mode mode, const struct mmio_insn *in,
			   struct place place, struct t_exec *got, struct dev *d, bool mixed)
{
	struct t_vm *vm = v->vm;
	struct t_exec x = { .mode = mode, .answer = exec_answer, .opaque = d };
	uint64_t base_di, base_si, delta;
	uint8_t *ram = t_gpa(vm, T_DATA, 2 * PAGE), stack[64];
	uint8_t before[2 * PAGE], after[2 * PAGE];
	struct t_exec m;
	unsigned int i;

	for (i = 0; i < sizeof(before); i++)
		before[i] = !i || rnd() & 1 ? rnd() : before[i / 2];
	x.len = in->end - in->code;
	memcpy(x.bytes, in->code, x.len);
	for (i = 0; i < 16; i++)
		x.gpr[i] = value();
	if (rnd() & 1)	/* let CMPXCHG and comparisons succeed at times */
		memcpy(&x.gpr[VMM_RAX], before + 0x400, 8);
	if (mode != T_LONG)
		for (i = 0; i < 16; i++)
			x.gpr[i] &= i < 8 ? 0xffffffff : 0;
	x.gpr[VMM_RSP] = T_STACK - 32;
	x.gpr[VMM_RCX] = rnd() % 10;
	x.gpr[VMM_R9] = mode == T_LONG ? 8 : 0;
	x.gpr[VMM_R11] = mode == T_LONG ? (rnd() % 2048) - 512 : 0;
	x.rflags = rnd() & 0xcd5;	/* CF PF AF ZF SF DF OF */
	x.rflags &= ~0x300ull;

	/* on memory; in long mode registers hold the whole address, else DS and ES have the base */
	memcpy(ram, before, sizeof(before));
	memset(t_gpa(vm, T_STACK - 64, 64), 0x11, 64);
	if (mode == T_LONG) {
		x.gpr[VMM_RDI] = x.gpr[VMM_RBX] = T_DATA + 0x400;
		x.gpr[VMM_RSI] = T_DATA + (mixed ? PAGE : 0) + 0x800;
	} else {
		x.gpr[VMM_RDI] = x.gpr[VMM_RBX] = 0x400;
		x.gpr[VMM_RSI] = 0x800;
		x.data_base = T_DATA;
	}
	m = x;
	t_exec(v, &m);
	*got = m;
	if (!t_exec_completed(&m))
		return "did not complete on memory";
	memcpy(after, ram, sizeof(after));
	memcpy(stack, t_gpa(vm, T_STACK - 64, 64), 64);

	/* on the device; where only one operand is in it, memory serves the other */
	memcpy(ram, before, sizeof(before));
	memset(t_gpa(vm, T_STACK - 64, 64), 0x11, 64);
	memset(d, 0, sizeof(*d));
	memcpy(d->byte, place.di ? before : before + PAGE, PAGE);
	delta = DEV - T_DATA;
	base_di = base_si = 0;
	if (mode == T_LONG) {
		base_di = place.di ? delta : 0;
		base_si = place.si ? mixed ? delta - PAGE : delta : 0;
		x.gpr[VMM_RDI] += base_di;
		x.gpr[VMM_RBX] += base_di;
		x.gpr[VMM_RSI] += base_si;
	} else {
		x.data_base = DEV;
	}
	t_exec(v, &x);
	*got = x;
	if (d->wrong)
		return d->wrong;
	if (!t_exec_completed(&x))
		return "did not complete on the device";
	for (i = 0; i < 16; i++) {
		uint64_t diff = x.out.gpr[i] - m.out.gpr[i];

		if (diff && !(i == VMM_RDI && diff == base_di) &&
		    !(i == VMM_RBX && diff == base_di) && !(i == VMM_RSI && diff == base_si)) {
			t_say("register %u: 0x%llx on memory, 0x%llx on the device", i,
			      m.out.gpr[i], x.out.gpr[i]);
			return "a register differs";
		}
	}
	if ((x.out.rflags ^ m.out.rflags) & ~in->undefined) {
		t_say("flags 0x%lx before, 0x%llx on memory, 0x%llx on the device", x.rflags,
		      m.out.rflags, x.out.rflags);
		return "flags differ";
	}
	if (memcmp(place.di ? d->byte : ram, after, PAGE) ||
	    (mixed && memcmp(place.si ? d->byte : ram + PAGE, after + PAGE, PAGE)))
		return "contents differ";
	if (memcmp(stack, t_gpa(vm, T_STACK - 64, 64), 64))
		return "the stack differs";
	if (in->accesses[0] != '*' && strcmp(in->accesses, d->log))
		return "the device saw other accesses";
	return NULL;
}

static unsigned int run_list(struct __test_metadata *_metadata, enum t_mode mode,
			     const struct mmio_insn *from, const struct mmio_insn *to)
{
	struct t_vm *vm = vm_with_hole();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	struct dev *d = t_alloc(sizeof(*d), PAGE);
	const struct place both = { true, true };
	unsigned int n = 0, round, bad;
	const struct mmio_insn *in;

	for (in = from; in < to; in++) {
		for (round = 0, bad = 0; round < 12 && !bad; round++, n++) {
			struct t_exec x;
			const char *wrong = compare(v, mode, in, both, &x, d, false);

			EXPECT_EQ(NULL, wrong) {
				TH_LOG("'%s' (wanted accesses %s, saw %s): %s: %s", in->text,
				       in->accesses, d->log, wrong, t_exec_text(&x));
				if (x.exit != VMM_EXIT_HALT)
					t_describe(v, x.exit);
				bad++;
			}
		}
	}
	t_vcpu_free(v);
	t_vm_free(vm);
	return n;
}

TEST(long_mode)
{
	EXPECT_LT(1000, run_list(_metadata, T_LONG, mmio_insns64, mmio_insns64_end));
}

TEST(protected_mode_32)
{
	EXPECT_LT(100, run_list(_metadata, T_PM32, mmio_insns32, mmio_insns32_end));
	EXPECT_LT(100, run_list(_metadata, T_PAE, mmio_insns32, mmio_insns32_end));
}

TEST(protected_mode_16)
{
	EXPECT_LT(100, run_list(_metadata, T_PM16, mmio_insns16, mmio_insns16_end));
}

TEST(real_mode)
{
	EXPECT_LT(100, run_list(_metadata, T_REAL, mmio_insns16, mmio_insns16_end));
}

/* string instructions with one operand in memory and the other in the device */
TEST(strings_between)
{
	static const struct place places[] = { { true, false }, { false, true } };
	struct t_vm *vm = vm_with_hole();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	struct dev *d = t_alloc(sizeof(*d), PAGE);
	const struct mmio_insn *in;
	unsigned int p, round, n = 0;

	for (in = mmio_insns64; in < mmio_insns64_end; in++) {
		if (!strstr(in->text, "movs") && !strstr(in->text, "cmps"))
			continue;
		if (strchr(in->text, '('))
			continue;
		for (p = 0; p < 2; p++) {
			for (round = 0; round < 12; round++, n++) {
				struct t_exec x;
				const char *wrong = compare(v, T_LONG, in, places[p], &x, d, true);

				EXPECT_EQ(NULL, wrong) {
					TH_LOG("'%s', device is the %s: %s: %s", in->text,
					       p ? "source" : "destination", wrong,
					       t_exec_text(&x));
					round = 100;
				}
			}
		}
	}
	EXPECT_LT(50, n);
}

FIXTURE(dev)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	struct dev *d;
};

FIXTURE_SETUP(dev)
{
	unsigned int i;

	self->vm = vm_with_hole();
	self->v = t_vcpu_new(self->vm, 0);
	self->d = t_alloc(sizeof(*self->d), PAGE);
	for (i = 0; i < PAGE; i++)
		self->d->byte[i] = i * 7 + 3;
}

FIXTURE_TEARDOWN(dev)
{
}

/* the exit itself: address, length and data of a plain read and write */
TEST_F(dev, exit_fields)
{
	struct t_exec x = {.mode = T_LONG,
			   .bytes = {0x48, 0x89, 0x07},
			   .len = 3,
			   .gpr[VMM_RDI] = 0xd0001238,
			   .gpr[VMM_RAX] = 0x1122334455667788};
	uint64_t data;

	t_exec(self->v, &x);	/* mov %rax, (%rdi) */
	ASSERT_EQ(VMM_EXIT_MMIO, x.exit) TH_LOG("%s", t_exec_text(&x));
	EXPECT_EQ(0xd0001238, self->v->run->u.mmio.gpa);
	EXPECT_EQ(8, self->v->run->u.mmio.len);
	EXPECT_EQ(1, self->v->run->u.mmio.is_write);
	memcpy(&data, (void *)self->v->run->u.mmio.data, 8);
	EXPECT_EQ(0x1122334455667788, data);
	ASSERT_EQ(VMM_EXIT_HALT, t_run(self->v));

	x.bytes[1] = 0x8b;
	t_exec(self->v, &x);
	ASSERT_EQ(VMM_EXIT_MMIO, x.exit) TH_LOG("%s", t_exec_text(&x));
	EXPECT_EQ(0, self->v->run->u.mmio.is_write);
	EXPECT_EQ(0xd0001238, self->v->run->u.mmio.gpa);
	EXPECT_EQ(8, self->v->run->u.mmio.len);
	data = 0xcafebabe12345678;
	memcpy((void *)self->v->run->u.mmio.data, &data, 8);
	ASSERT_EQ(VMM_EXIT_HALT, t_run(self->v));
	t_get_regs(self->v, &x.out);
	EXPECT_EQ(data, x.out.gpr[VMM_RAX]);
}

/* an answered read is completed by VMM_RUN with immediate_exit, before the guest runs on */
TEST_F(dev, completion_without_entry)
{
	struct t_exec x = {
		.mode = T_LONG, .bytes = {0x48, 0x8b, 0x07}, .len = 3, .gpr[VMM_RDI] = DEV};
	struct vmm_regs r;
	uint64_t data = 0x0102030405060708;

	t_exec(self->v, &x);
	ASSERT_EQ(VMM_EXIT_MMIO, x.exit);
	memcpy((void *)self->v->run->u.mmio.data, &data, 8);
	self->v->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, t_run(self->v));
	self->v->run->immediate_exit = 0;
	t_get_regs(self->v, &r);
	EXPECT_EQ(data, r.gpr[VMM_RAX]);
	EXPECT_EQ(T_XCODE + 3, r.rip);
	ASSERT_EQ(VMM_EXIT_HALT, t_run(self->v));
	t_get_regs(self->v, &r);
	EXPECT_EQ(T_XCODE + 4, r.rip);
}

/* a write is done when it is reported, also if the vCPU never runs again; its state is behind it
 * after completion */
TEST_F(dev, write_completion_without_entry)
{
	struct t_exec x = {.mode = T_LONG, .bytes = {0x89, 0x07}, .len = 2, .gpr[VMM_RDI] = DEV};
	struct vmm_regs r;

	t_exec(self->v, &x);
	ASSERT_EQ(VMM_EXIT_MMIO, x.exit);
	self->v->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, t_run(self->v));
	self->v->run->immediate_exit = 0;
	t_get_regs(self->v, &r);
	EXPECT_EQ(T_XCODE + 2, r.rip);
}

/* a repeated move that is left in the middle: registers tell how far it came, and it goes on from
 * there */
TEST_F(dev, repeat_is_restartable)
{
	struct t_exec x = { .mode = T_LONG, .bytes = { 0xf3, 0xa4 }, .len = 2 };
	struct vmm_regs r;
	unsigned int i, n;
	uint8_t *ram = t_gpa(self->vm, T_DATA, 64);

	memset(ram, 0, 64);
	x.gpr[VMM_RSI] = DEV + 0x10;
	x.gpr[VMM_RDI] = T_DATA;
	x.gpr[VMM_RCX] = 20;
	t_exec(self->v, &x);
	for (n = 0; x.exit == VMM_EXIT_MMIO && n < 40; n++) {
		ASSERT_TRUE(dev_answer(self->v, self->d)) TH_LOG("%s", self->d->wrong);
		self->v->run->immediate_exit = 1;
		x.exit = t_run(self->v);
		self->v->run->immediate_exit = 0;
		if (x.exit ==
		    VMM_EXIT_MMIO) /* the next access is made known without an entry in between */
			continue;
		ASSERT_EQ(-EINTR, x.exit);
		t_get_regs(self->v, &r);
		ASSERT_EQ(19 - n, r.gpr[VMM_RCX]);
		ASSERT_EQ(T_DATA + 1 + n, r.gpr[VMM_RDI]);
		ASSERT_EQ(DEV + 0x11 + n, r.gpr[VMM_RSI]);
		t_set_regs(self->v, &r);	/* a round trip changes nothing */
		x.exit = t_run(self->v);
	}
	EXPECT_EQ(20, n);
	EXPECT_EQ(VMM_EXIT_HALT, x.exit);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(self->d->byte[0x10 + i], ram[i]);
}

/* an access across a page boundary comes in pieces, none of which crosses it, low addresses first
 */
TEST_F(dev, across_device_pages)
{
	static const uint8_t op[2] = { 0x89, 0x8b };
	unsigned int w, cut;

	for (w = 0; w < 2; w++) {
		for (cut = 1; cut < 8; cut++) {
			struct t_exec x = {.mode = T_LONG, .bytes = {0x48, op[w], 0x07}, .len = 3};
			const uint64_t data = 0x8877665544332211, start = 0xd0001000 - cut;
			volatile struct vmm_run *run = self->v->run;
			unsigned int done = 0, i;

			x.gpr[VMM_RDI] = start;
			x.gpr[VMM_RAX] = data;
			t_exec(self->v, &x);
			while (x.exit == VMM_EXIT_MMIO && done < 8) {
				uint32_t len = run->u.mmio.len;

				ASSERT_EQ(start + done, run->u.mmio.gpa) TH_LOG("cut %u", cut);
				ASSERT_EQ(!w, run->u.mmio.is_write);
				ASSERT_TRUE(len >= 1 && len <= 8 - done)
				TH_LOG("cut %u, %u bytes done, len %u", cut, done, len);
				ASSERT_EQ(start >> 12 == (start + done) >> 12,
					  start >> 12 == (start + done + len - 1) >> 12)
				TH_LOG("cut %u: a piece crosses the page boundary", cut);
				for (i = 0; i < len; i++) {
					if (w)
						run->u.mmio.data[i] = 0x11 * (done + i + 1);
					else
						EXPECT_EQ(0x11 * (done + i + 1),
							  run->u.mmio.data[i])
						TH_LOG("cut %u", cut);
				}
				done += len;
				x.exit = t_run(self->v);
			}
			EXPECT_EQ(8, done);
			ASSERT_EQ(VMM_EXIT_HALT, x.exit);
			t_get_regs(self->v, &x.out);
			EXPECT_EQ(data, x.out.gpr[VMM_RAX]) TH_LOG("cut %u", cut);
		}
	}
}

/* half in memory, half in the device, both ways round */
TEST_F(dev, across_memory_and_device)
{
	struct t_exec x = {.mode = T_LONG,
			   .bytes = {0x48, 0x89, 0x07},
			   .len = 3,
			   .answer = exec_answer,
			   .opaque = self->d};
	uint8_t *end = t_gpa(self->vm, DEV - 8, 8), *start = t_gpa(self->vm, 0x100000, 8);
	unsigned int i;

	memset(end, 0xee, 8);
	x.gpr[VMM_RDI] = DEV - 3;
	x.gpr[VMM_RAX] = 0x8877665544332211;
	t_exec(self->v, &x);
	EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("%s; %s", t_exec_text(&x), self->d->wrong ?: "");
	EXPECT_EQ(0xee, end[4]);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0x11 * (i + 1), end[5 + i]);
	for (i = 3; i < 8; i++)
		EXPECT_EQ(0x11 * (i + 1), self->d->byte[i - 3]);

	/* the device below, memory above: the top of the hole is not the device's page, so play it
	 * here */
	memset(start, 0xee, 8);
	x.answer = NULL;
	x.gpr[VMM_RDI] = 0x100000 - 5;
	t_exec(self->v, &x);
	for (i = 0; i < 5 && x.exit == VMM_EXIT_MMIO;) {
		ASSERT_EQ(0x100000 - 5 + i, self->v->run->u.mmio.gpa);
		i += self->v->run->u.mmio.len;
		x.exit = t_run(self->v);
	}
	EXPECT_EQ(5, i);
	ASSERT_EQ(VMM_EXIT_HALT, x.exit);
	for (i = 5; i < 8; i++)
		EXPECT_EQ(0x11 * (i + 1), start[i - 5]);
	EXPECT_EQ(0xee, start[3]);

	/* a read across */
	x.bytes[1] = 0x8b;
	x.answer = exec_answer;
	x.gpr[VMM_RDI] = DEV - 3;
	for (i = 0; i < 5; i++)
		self->d->byte[i] = 0x11 * (i + 4);
	t_exec(self->v, &x);
	EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("%s", t_exec_text(&x));
	EXPECT_EQ(0x8877665544332211, x.out.gpr[VMM_RAX]);
}

/* read-only regions: reads do not exit, writes do and do not change memory */
TEST_F(dev, read_only_region)
{
	static const struct {
		const char *name;
		uint8_t op[4];
		unsigned int len, size;
		uint64_t want;
	} in[] = {
		{ "mov %eax, (%rdi)", { 0x89, 0x07 }, 2, 4, 0x1000 },
		{ "add %eax, (%rdi)", { 0x01, 0x07 }, 2, 4, 0x12346678 },
		{ "lock xadd %eax, (%rdi)", { 0xf0, 0x0f, 0xc1, 0x07 }, 4, 4, 0x12346678 },
		{ "stosb", { 0xaa }, 1, 1, 0 },
	};
	uint32_t *rom = t_alloc(PAGE, PAGE);
	unsigned int i;

	if (!t_cap(VMM_CAP_READONLY_MEM))
		SKIP(return, "no VMM_CAP_READONLY_MEM");
	ASSERT_OK(t_region(self->vm, 2, VMM_MEM_READONLY, 0xd0000000, PAGE, rom));
	for (i = 0; i < ARRAY_SIZE(in); i++) {
		struct t_exec x = {.mode = T_LONG,
				   .len = in[i].len,
				   .gpr[VMM_RDI] = 0xd0000010,
				   .gpr[VMM_RAX] = 0x1000};
		uint64_t data = 0;

		rom[4] = 0x12345678;
		memcpy(x.bytes, in[i].op, x.len);
		t_exec(self->v, &x);
		ASSERT_EQ(VMM_EXIT_MMIO, x.exit) TH_LOG("%s: %s", in[i].name, t_exec_text(&x));
		EXPECT_EQ(1, self->v->run->u.mmio.is_write) TH_LOG("%s", in[i].name);
		EXPECT_EQ(in[i].size, self->v->run->u.mmio.len) TH_LOG("%s", in[i].name);
		EXPECT_EQ(0xd0000010, self->v->run->u.mmio.gpa) TH_LOG("%s", in[i].name);
		memcpy(&data, (void *)self->v->run->u.mmio.data, in[i].size);
		EXPECT_EQ(in[i].want, data) TH_LOG("%s", in[i].name);
		ASSERT_EQ(VMM_EXIT_HALT, t_run(self->v));
		EXPECT_EQ(0x12345678, rom[4])
		TH_LOG("%s wrote to the read-only region", in[i].name);
	}
	{
		struct t_exec x = {.mode = T_LONG,
				   .bytes = {0x8b, 0x07},
				   .len = 2,
				   .gpr[VMM_RDI] = 0xd0000010};

		t_exec(self->v, &x);
		EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("read: %s", t_exec_text(&x));
		EXPECT_EQ(0x12345678, x.out.gpr[VMM_RAX]);
	}
}

/* code runs from a read-only region, as firmware does */
TEST_F(dev, code_in_read_only_region)
{
	uint8_t *rom = t_alloc(PAGE, PAGE);
	struct vmm_regs r;

	if (!t_cap(VMM_CAP_READONLY_MEM))
		SKIP(return, "no VMM_CAP_READONLY_MEM");
	memcpy(rom, "\xb8\x78\x56\x34\x12\xe7\x10\xe6\x11", 9);	/* mov; out %eax; out done */
	ASSERT_OK(t_region(self->vm, 2, VMM_MEM_READONLY, 0xd0000000, PAGE, rom));
	t_set_mode(self->v, T_LONG);
	t_get_regs(self->v, &r);
	r.rip = 0xd0000000;
	t_set_regs(self->v, &r);
	EXPECT_TRUE(t_done(self->v));
	EXPECT_EQ(0x12345678, self->v->report[0]);
}

/* faults of the guest's own tables come before the device sees anything */
TEST_F(dev, page_faults_first)
{
	static const struct {
		const char *name;
		uint8_t op[4];
		unsigned int len;
		uint64_t pte0, pte1;
		uint64_t off;
		bool user;
		uint32_t error;
		uint64_t cr2;
		bool may_read;
	} c[] = {
		{"write, not present", {0x89, 0x07}, 2, 0, 0, 0x10, false, 2, 0x10, false},
		{"write, read-only page", {0x89, 0x07}, 2, DEV | 1, 0, 0x10, false, 3, 0x10, false},
		{"add, read-only page", {0x01, 0x07}, 2, DEV | 1, 0, 0x10, false, 3, 0x10, false},
		{"read at CPL 3 of a supervisor page",
		 {0x8b, 0x07},
		 2,
		 DEV | 3,
		 0,
		 0x10,
		 true,
		 5,
		 0x10,
		 false},
		{"write across, second page missing",
		 {0x89, 0x07},
		 2,
		 DEV | 3,
		 0,
		 0xffe,
		 false,
		 2,
		 0x1000,
		 false},
		{"movsl from the device to a missing page",
		 {0xa5},
		 1,
		 DEV | 3,
		 0,
		 0x1000,
		 false,
		 2,
		 0x1000,
		 false},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		struct t_exec x = {
			.mode = T_LONG, .len = c[i].len, .user = c[i].user, .cr0_set = 1u << 16};

		memcpy(x.bytes, c[i].op, x.len);
		x.gpr[VMM_RDI] = T_WINDOW + c[i].off;
		x.gpr[VMM_RSI] = T_WINDOW + 0x10;
		if (!self->vm->tables)
			t_tables(self->vm);
		t_pte(self->vm, 0, c[i].pte0);
		t_pte(self->vm, 1, c[i].pte1);
		t_exec(self->v, &x);
		EXPECT_EQ(14, x.vector) {
			TH_LOG("%s: %s", c[i].name, t_exec_text(&x));
			if (x.exit != VMM_EXIT_HALT)
				t_describe(self->v, x.exit);
		}
		EXPECT_EQ(c[i].error, x.error) TH_LOG("%s", c[i].name);
		EXPECT_EQ(T_WINDOW + c[i].cr2, x.sout.cr2) TH_LOG("%s", c[i].name);
		EXPECT_EQ(T_XCODE, x.fault_rip) TH_LOG("%s", c[i].name);
	}
}

/* a trap after the instruction, with RFLAGS.TF */
TEST_F(dev, single_step)
{
	struct t_exec x = {.mode = T_LONG,
			   .bytes = {0x01, 0x07},
			   .len = 2,
			   .gpr[VMM_RDI] = DEV,
			   .rflags = 0x100,
			   .answer = exec_answer,
			   .opaque = self->d};

	t_exec(self->v, &x);
	EXPECT_EQ(1, x.vector) TH_LOG("%s", t_exec_text(&x));
	EXPECT_EQ(T_XCODE + 2, x.fault_rip);
}

/* what the emulator cannot execute is reported with its bytes, and can be done by the caller */
TEST_F(dev, unknown_is_reported)
{
	struct t_exec x = {.mode = T_LONG,
			   .bytes = {0xdd, 0x07},
			   .len = 2,
			   .gpr[VMM_RDI] = DEV}; /* fldl (%rdi) */
	volatile struct vmm_run *run = self->v->run;
	struct vmm_regs r;

	t_exec(self->v, &x);
	ASSERT_EQ(VMM_EXIT_EMULATION, x.exit) TH_LOG("%s", t_exec_text(&x));
	EXPECT_EQ(T_XCODE, run->u.emulation.rip);
	EXPECT_EQ(DEV, run->u.emulation.gpa);
	EXPECT_LE(2, run->u.emulation.len);
	EXPECT_GE(15, run->u.emulation.len);
	EXPECT_EQ(0xdd, run->u.emulation.bytes[0]);
	EXPECT_EQ(0x07, run->u.emulation.bytes[1]);
	t_get_regs(self->v, &r);
	EXPECT_EQ(T_XCODE, r.rip);
	/* without a change it comes again; behind it the guest goes on */
	EXPECT_EQ(VMM_EXIT_EMULATION, t_run(self->v));
	r.rip += 2;
	t_set_regs(self->v, &r);
	EXPECT_EQ(VMM_EXIT_HALT, t_run(self->v));
}

/* a jump to where no memory is: some exit, soon */
TEST_F(dev, fetch_from_nothing)
{
	struct vmm_regs r;
	int e;

	t_set_mode(self->v, T_LONG);
	t_get_regs(self->v, &r);
	r.rip = 0xd0000000;
	t_set_regs(self->v, &r);
	e = t_run(self->v);
	EXPECT_TRUE(e == VMM_EXIT_EMULATION || e == VMM_EXIT_MEMORY_FAULT || e == VMM_EXIT_SHUTDOWN)
	t_describe(self->v, e);
}

/* page tables in nothing, stack in nothing: never a hang */
TEST_F(dev, structures_in_nothing)
{
	struct vmm_sregs s;
	struct vmm_regs r;
	int e;

	t_limit_s = 20;
	t_load(self->vm, T_CODE, "\x0f\x0b", 2);
	t_set_mode(self->v, T_LONG);
	t_get_sregs(self->v, &s);
	s.cr3 = 0xd0000000;
	t_set_sregs(self->v, &s);
	e = t_run(self->v);
	TH_LOG("page table in nothing: %s", t_exit_name(e));
	EXPECT_NE(VMM_EXIT_HALT, e);
	EXPECT_NE(VMM_EXIT_IO, e);

	t_set_mode(self->v, T_LONG);
	t_get_regs(self->v, &r);
	r.gpr[VMM_RSP] = 0xd0001000;	/* the exception's frame goes to nothing */
	t_set_regs(self->v, &r);
	e = t_run(self->v);
	TH_LOG("stack in nothing: %s", t_exit_name(e));
	EXPECT_NE(VMM_EXIT_HALT, e);

	t_set_mode(self->v, T_LONG);
	t_get_sregs(self->v, &s);
	s.idt.base = 0xd0000000;
	t_set_sregs(self->v, &s);
	e = t_run(self->v);
	TH_LOG("IDT in nothing: %s", t_exit_name(e));
	EXPECT_NE(VMM_EXIT_HALT, e);
}

VMM_TEST_MAIN
