// SPDX-License-Identifier: GPL-2.0
/*
 * The hardware task switch (kmod/task.c) against tables made by hand: all ways into a task, both
 * kinds of TSS, each check with its exception and its context, faults in the midst.
 */
#include <stdlib.h>

#include "unit.h"
#include "task.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define GDT	0x1000u
#define LDT	0x3000u
#define OLD	0x4000u		/* TSSes, each on a page of its own */
#define NEW	0x5000u
#define NEW16	0x6000u

/* selectors */
#define CODE	0x08
#define DATA	0x10
#define LDTR	0x18
#define TR_OLD	0x20
#define TR_NEW	0x28
#define TR_16	0x30
#define UCODE	0x3b	/* level 3 */
#define UDATA	0x43
#define ABSENT	0x48	/* data */
#define EXONLY	0x50	/* code that cannot be read */
#define TR_SMALL 0x58	/* limit too low */
#define TR_GONE	0x60	/* not present */
#define CONFORM	0x68
#define RODATA	0x70
#define NOCODE	0x78	/* code that is not present */
#define GDT_END	0x80

#define A_CODE	0x49a	/* B, P, S, code, readable; not accessed yet */
#define A_DATA	0x492

#define F_NT	0x4000u
#define F_RF	0x10000u
#define F_VM	0x20000u

static u8 mem[0x10000];
static u32 hole, hole_end;	/* no access passes */
static u32 cr3, nr_cr3;

static bool in_hole(struct vmm_task *t, u32 linear, unsigned int len, u32 error)
{
	if (linear >= hole_end || linear + len <= hole)
		return false;
	t->fault = (struct vmm_em_fault) {
		.vector = 14, .has_error = true, .error_code = error,
		.cr2 = linear > hole ? linear : hole,
	};
	return true;
}

static int mem_read(struct vmm_task *t, u32 linear, void *buf, unsigned int len)
{
	if (in_hole(t, linear, len, 0))
		return 1;
	if (linear + len > sizeof(mem))
		return -14;
	memcpy(buf, mem + linear, len);
	return 0;
}

static int mem_write(struct vmm_task *t, u32 linear, const void *buf, unsigned int len, bool user)
{
	if (in_hole(t, linear, len, user ? 6 : 2))
		return 1;
	if (linear + len > sizeof(mem))
		return -14;
	memcpy(mem + linear, buf, len);
	return 0;
}

static int mem_probe(struct vmm_task *t, u32 linear, unsigned int len)
{
	return in_hole(t, linear, len, 2) ? 1 : linear + len > sizeof(mem) ? -14 : 0;
}

static void note_cr3(struct vmm_task *t, u32 value)
{
	cr3 = value;
	nr_cr3++;
}

static const struct vmm_task_ops ops = { mem_read, mem_write, mem_probe, note_cr3 };

static void put(u32 at, u32 value, unsigned int len)
{
	memcpy(mem + at, &value, len);
}

static u32 get(u32 at, unsigned int len)
{
	u32 value = 0;

	memcpy(&value, mem + at, len);
	return value;
}

static void descriptor(u32 at, u32 base, u32 limit, unsigned int attr)
{
	put(at, limit, 2);
	put(at + 2, base, 2);
	mem[at + 4] = base >> 16;
	mem[at + 5] = attr;
	mem[at + 6] = (limit >> 16 & 0xf) | (attr >> 4 & 0xf0);
	mem[at + 7] = base >> 24;
}

static u8 access_of(unsigned int selector)
{
	return mem[GDT + (selector & ~7) + 5];
}

/* a TSS of 32 bits that runs in CODE and DATA */
static void new_32(u32 at)
{
	unsigned int i;

	put(at + 0x1c, 0x77000, 4);
	put(at + 0x20, 0x1234, 4);
	put(at + 0x24, 0x202, 4);
	for (i = 0; i < 8; i++)
		put(at + 0x28 + 4 * i, 0xa0000000 + i, 4);
	put(at + 0x38, 0x8000, 4);
	for (i = 0; i < 6; i++)
		put(at + 0x48 + 4 * i, i == VMM_EM_CS ? CODE : DATA, 2);
}

static void new_16(u32 at)
{
	unsigned int i;

	put(at + 0x0e, 0x4321, 2);
	put(at + 0x10, 0x0246, 2);
	for (i = 0; i < 8; i++)
		put(at + 0x12 + 2 * i, 0xb000 + i, 2);
	put(at + 0x1a, 0x8000, 2);
	for (i = 0; i < 4; i++)
		put(at + 0x22 + 2 * i, i == VMM_EM_CS ? CODE : DATA, 2);
}

static void prepare(struct vmm_task *t)
{
	unsigned int i;

	memset(mem, 0, sizeof(mem));
	hole = hole_end = 0;
	cr3 = nr_cr3 = 0;
	descriptor(GDT + CODE, 0, 0xfffff, A_CODE);
	descriptor(GDT + DATA, 0, 0xfffff, A_DATA);
	descriptor(GDT + LDTR, LDT, 0x1f, 0x82);
	descriptor(GDT + TR_OLD, OLD, 0x67, 0x8b);
	descriptor(GDT + TR_NEW, NEW, 0x67, 0x89);
	descriptor(GDT + TR_16, NEW16, 0x2b, 0x81);
	descriptor(GDT + (UCODE & ~7), 0, 0xfffff, A_CODE | 0x60);
	descriptor(GDT + (UDATA & ~7), 0, 0xfffff, A_DATA | 0x60);
	descriptor(GDT + ABSENT, 0, 0xfffff, A_DATA & ~0x80);
	descriptor(GDT + EXONLY, 0, 0xfffff, A_CODE & ~2);
	descriptor(GDT + TR_SMALL, NEW, 0x66, 0x89);
	descriptor(GDT + TR_GONE, NEW, 0x67, 0x09);
	descriptor(GDT + CONFORM, 0, 0xfffff, A_CODE | 4);
	descriptor(GDT + RODATA, 0, 0xfffff, A_DATA & ~2);
	descriptor(GDT + NOCODE, 0, 0xfffff, A_CODE & ~0x80);
	descriptor(LDT + 8, 0x100, 0xffff, A_DATA);
	new_32(NEW);
	new_16(NEW16);
	put(OLD + 0x4a, 0xbeef, 2);	/* between two selectors: stays */

	*t = (struct vmm_task) {
		.eip = 0x1000,
		.eflags = 0x246 | F_NT | F_RF,
		.gdt_base = GDT,
		.gdt_limit = GDT_END - 1,
		.paging = true,
		.ops = &ops,
		.tr = { OLD, 0x67, 0x8b, TR_OLD },
	};
	for (i = 0; i < 8; i++)
		t->regs[i] = 0xc0000000 + i;
	for (i = 0; i < VMM_EM_SREGS; i++)
		t->seg[i] = (struct vmm_em_seg) { 0, 0xffffffff, 0xc93, DATA };
	t->seg[VMM_EM_CS] = (struct vmm_em_seg) { 0, 0xffffffff, 0xc9b, CODE };
}

static void expect_saved(u32 eip, u32 eflags)
{
	unsigned int i;

	EXPECT_EQ(get(OLD + 0x20, 4), eip);
	EXPECT_EQ(get(OLD + 0x24, 4), eflags);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(get(OLD + 0x28 + 4 * i, 4), 0xc0000000 + i);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(get(OLD + 0x48 + 4 * i, 2), i == VMM_EM_CS ? CODE : DATA);
	EXPECT_EQ(get(OLD + 0x4a, 2), 0xbeef);
	EXPECT_EQ(get(OLD + 0x1c, 4), 0);
	EXPECT_EQ(get(OLD + 0x60, 4), 0);
}

static void expect_loaded(const struct vmm_task *t, u32 eflags)
{
	unsigned int i;

	EXPECT_EQ(t->eip, 0x1234);
	EXPECT_EQ(t->eflags, eflags);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(t->regs[i], i == VMM_EM_RSP ? 0x8000 : 0xa0000000 + i);
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(t->seg[i].selector, i == VMM_EM_CS ? CODE : DATA);
		EXPECT_EQ(t->seg[i].attr, (i == VMM_EM_CS ? A_CODE : A_DATA) | 1);
		EXPECT_EQ(t->seg[i].limit, 0xfffff);
	}
	EXPECT_EQ(t->tr.selector, TR_NEW);
	EXPECT_EQ(t->tr.base, NEW);
	EXPECT_EQ(t->tr.attr & 0xff, 0x8b);
	EXPECT_EQ(t->cpl, 0);
	EXPECT_EQ(nr_cr3, 1);
	EXPECT_EQ(cr3, 0x77000);
	/* the descriptors are accessed now */
	EXPECT_EQ(access_of(CODE), 0x9b);
	EXPECT_EQ(access_of(DATA), 0x93);
}

UNIT_TEST(jmp)
{
	struct vmm_task_switch ts = { .selector = TR_NEW, .source = VMM_TASK_JMP, .insn_len = 7 };
	struct vmm_task t;

	prepare(&t);
	ASSERT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	expect_saved(0x1007, 0x246 | F_NT);
	expect_loaded(&t, 0x202);
	EXPECT_EQ(access_of(TR_OLD), 0x89);
	EXPECT_EQ(access_of(TR_NEW), 0x8b);
	EXPECT_EQ(get(NEW, 2), 0);
	EXPECT(!t.debug_trap);
}

UNIT_TEST(call)
{
	struct vmm_task_switch ts = { .selector = TR_NEW, .source = VMM_TASK_CALL, .insn_len = 2 };
	struct vmm_task t;

	prepare(&t);
	ASSERT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	expect_saved(0x1002, 0x246 | F_NT);
	expect_loaded(&t, 0x202 | F_NT);
	EXPECT_EQ(access_of(TR_OLD), 0x8b);
	EXPECT_EQ(access_of(TR_NEW), 0x8b);
	EXPECT_EQ(get(NEW, 2), TR_OLD);
}

UNIT_TEST(iret)
{
	struct vmm_task_switch ts = { .selector = TR_NEW, .source = VMM_TASK_IRET, .insn_len = 1 };
	struct vmm_task t;

	prepare(&t);
	mem[GDT + TR_NEW + 5] = 0x8b;
	ASSERT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	expect_saved(0x1001, 0x246);
	expect_loaded(&t, 0x202);
	EXPECT_EQ(access_of(TR_OLD), 0x89);
	EXPECT_EQ(access_of(TR_NEW), 0x8b);
	EXPECT_EQ(get(NEW, 2), 0);
}

UNIT_TEST(gate_with_error_code)
{
	struct vmm_task_switch ts = {
		.selector = TR_NEW, .source = VMM_TASK_GATE, .external = true, .rf = true,
		.has_error = true, .error = 0x12345678,
	};
	struct vmm_task t;

	prepare(&t);
	ASSERT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	expect_saved(0x1000, 0x246 | F_NT | F_RF);
	EXPECT_EQ(t.eflags, 0x202 | F_NT);
	EXPECT_EQ(t.regs[VMM_EM_RSP], 0x7ffc);
	EXPECT_EQ(get(0x7ffc, 4), 0x12345678);
	EXPECT_EQ(get(NEW, 2), TR_OLD);
	EXPECT_EQ(access_of(TR_OLD), 0x8b);
}

UNIT_TEST(sixteen_bits)
{
	struct vmm_task_switch ts = {
		.selector = TR_16, .source = VMM_TASK_GATE, .insn_len = 2,
		.has_error = true, .error = 0x12345678,
	};
	struct vmm_task t;
	unsigned int i;

	/* into one, whose stack has 16 bits, too */
	prepare(&t);
	descriptor(GDT + DATA, 0, 0xffff, 0x92);
	ASSERT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	expect_saved(0x1002, 0x246 | F_NT);
	EXPECT_EQ(t.eip, 0x4321);
	EXPECT_EQ(t.eflags, 0x246 | F_NT);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(t.regs[i] & 0xffff, i == VMM_EM_RSP ? 0x7ffe : 0xb000 + i);
	EXPECT_EQ(t.seg[VMM_EM_CS].selector, CODE);
	EXPECT_EQ(t.seg[VMM_EM_DS].selector, DATA);
	EXPECT_EQ(t.seg[VMM_EM_FS].selector, 0);
	EXPECT_EQ(t.seg[VMM_EM_FS].attr & 0x80, 0);
	EXPECT_EQ(nr_cr3, 0);
	EXPECT_EQ(access_of(TR_16), 0x83);

	/* out of one */
	prepare(&t);
	ts = (struct vmm_task_switch) {
		.selector = TR_NEW, .source = VMM_TASK_JMP, .insn_len = 5,
	};
	mem[GDT + TR_16 + 5] = 0x83;
	t.tr = (struct vmm_em_seg) { NEW16, 0x2b, 0x83, TR_16 };
	t.regs[VMM_EM_RSP] = 0x9000;
	ASSERT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	expect_loaded(&t, 0x202);
	EXPECT_EQ(get(NEW16 + 0x0e, 2), 0x1005);
	EXPECT_EQ(get(NEW16 + 0x10, 2), 0x246 | F_NT);
	EXPECT_EQ(get(NEW16 + 0x1a, 2), 0x9000);
	EXPECT_EQ(get(NEW16 + 0x24, 2), CODE);
	EXPECT_EQ(get(NEW16 + 0x2a, 2), 0);
	EXPECT_EQ(access_of(TR_16), 0x81);
}

UNIT_TEST(ldt)
{
	struct vmm_task_switch ts = { .selector = TR_NEW, .source = VMM_TASK_JMP };
	struct vmm_task t;

	prepare(&t);
	put(NEW + 0x60, LDTR, 2);
	put(NEW + 0x54, 0x0c, 2);
	ASSERT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	EXPECT_EQ(t.ldt.selector, LDTR);
	EXPECT_EQ(t.ldt.base, LDT);
	EXPECT_EQ(t.ldt.limit, 0x1f);
	EXPECT_EQ(t.seg[VMM_EM_DS].selector, 0x0c);
	EXPECT_EQ(t.seg[VMM_EM_DS].base, 0x100);
	EXPECT_EQ(mem[LDT + 8 + 5], 0x93);
}

UNIT_TEST(user_task)
{
	struct vmm_task_switch ts = { .selector = TR_NEW, .source = VMM_TASK_JMP };
	struct vmm_task t;
	unsigned int i;

	prepare(&t);
	for (i = 0; i < 6; i++)
		put(NEW + 0x48 + 4 * i, i == VMM_EM_CS ? UCODE : UDATA, 2);
	put(NEW + 0x54, 0, 2);		/* a null selector is no fault */
	put(NEW + 0x5c, CONFORM, 2);	/* of level 0, and data to level 3 all the same */
	ASSERT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	EXPECT_EQ(t.cpl, 3);
	EXPECT_EQ(t.seg[VMM_EM_DS].attr & 0x80, 0);
	EXPECT_EQ(t.seg[VMM_EM_GS].selector, CONFORM);
}

UNIT_TEST(virtual_8086)
{
	struct vmm_task_switch ts = { .selector = TR_NEW, .source = VMM_TASK_JMP };
	struct vmm_task t;
	unsigned int i;

	prepare(&t);
	put(NEW + 0x24, 0x202 | F_VM, 4);
	for (i = 0; i < 6; i++)
		put(NEW + 0x48 + 4 * i, 0x1230 + i, 2);
	ASSERT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	EXPECT_EQ(t.cpl, 3);
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(t.seg[i].selector, 0x1230 + i);
		EXPECT_EQ(t.seg[i].base, (0x1230 + i) << 4);
		EXPECT_EQ(t.seg[i].limit, 0xffff);
		EXPECT_EQ(t.seg[i].attr, 0xf3);
	}
}

UNIT_TEST(debug_trap)
{
	struct vmm_task_switch ts = { .selector = TR_NEW, .source = VMM_TASK_JMP };
	struct vmm_task t;

	prepare(&t);
	put(NEW + 0x64, 1, 2);
	ASSERT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	EXPECT(t.debug_trap);
}

/* a task that returns to itself finds what it has just saved */
UNIT_TEST(to_itself)
{
	struct vmm_task_switch ts = { .selector = TR_OLD, .source = VMM_TASK_IRET, .insn_len = 1 };
	struct vmm_task t;
	unsigned int i;

	prepare(&t);
	ASSERT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	EXPECT_EQ(t.eip, 0x1001);
	EXPECT_EQ(t.eflags, 0x246);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(t.regs[i], 0xc0000000 + i);
	EXPECT_EQ(access_of(TR_OLD), 0x8b);
}

/* exceptions of the old task: nothing has changed */
UNIT_TEST(faults_of_the_old_task)
{
	static const struct {
		u16 selector;
		u8 source;
		u8 vector;
		u16 error;
	} c[] = {
		{ 0, VMM_TASK_JMP, 13, 0 },
		{ 0, VMM_TASK_IRET, 10, 0 },
		{ TR_NEW | 4, VMM_TASK_CALL, 13, TR_NEW | 4 },
		{ TR_NEW | 4, VMM_TASK_IRET, 10, TR_NEW | 4 },
		{ GDT_END, VMM_TASK_JMP, 13, GDT_END },
		{ GDT_END, VMM_TASK_IRET, 10, GDT_END },
		{ TR_OLD, VMM_TASK_JMP, 13, TR_OLD },		/* busy */
		{ TR_OLD, VMM_TASK_GATE, 13, TR_OLD },
		{ TR_NEW, VMM_TASK_IRET, 10, TR_NEW },		/* not busy */
		{ CODE, VMM_TASK_JMP, 13, CODE },
		{ LDTR, VMM_TASK_CALL, 13, LDTR },
		{ TR_GONE, VMM_TASK_JMP, 11, TR_GONE },
		{ TR_SMALL, VMM_TASK_JMP, 10, TR_SMALL },
		{ TR_NEW | 3, VMM_TASK_IRET, 10, TR_NEW },
	};
	static u8 before[sizeof(mem)];
	struct vmm_task t, old;
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(c); i++) {
		struct vmm_task_switch ts = {
			.selector = c[i / 2].selector, .source = c[i / 2].source,
			.external = i & 1,
		};

		prepare(&t);
		old = t;
		memcpy(before, mem, sizeof(mem));
		EXPECT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_FAULT_OLD);
		EXPECT_EQ(t.fault.vector, c[i / 2].vector);
		EXPECT(t.fault.has_error);
		EXPECT_EQ(t.fault.error_code, c[i / 2].error | ts.external);
		t.fault = old.fault;
		EXPECT_MEMEQ(&t, &old, sizeof(t));
		EXPECT_MEMEQ(mem, before, sizeof(mem));
		if (unit_state.failed) {
			unit_note("case %u", i);
			return;
		}
	}
}

/* any page that is missing is the old task's page fault, with nothing changed */
UNIT_TEST(page_faults_of_the_old_task)
{
	static const struct {
		u32 start, end;
		u8 source;
		u32 cr2, error;
	} c[] = {
		{ NEW, NEW + 0x1000, VMM_TASK_JMP, NEW, 0 },
		{ NEW + 0x60, NEW + 0x1000, VMM_TASK_CALL, NEW + 0x60, 0 },
		{ OLD, OLD + 0x1000, VMM_TASK_JMP, OLD + 0x20, 2 },
		{ OLD + 0x50, OLD + 0x1000, VMM_TASK_CALL, OLD + 0x50, 2 },
		{ GDT, GDT + 0x1000, VMM_TASK_JMP, GDT + TR_NEW, 0 },
		{ GDT, GDT + TR_NEW, VMM_TASK_JMP, GDT + TR_OLD + 5, 2 },
	};
	static u8 before[sizeof(mem)];
	struct vmm_task t, old;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		struct vmm_task_switch ts = { .selector = TR_NEW, .source = c[i].source };

		prepare(&t);
		hole = c[i].start;
		hole_end = c[i].end;
		old = t;
		memcpy(before, mem, sizeof(mem));
		EXPECT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_FAULT_OLD);
		EXPECT_EQ(t.fault.vector, 14);
		EXPECT_EQ(t.fault.cr2, c[i].cr2);
		EXPECT_EQ(t.fault.error_code, c[i].error);
		t.fault = old.fault;
		EXPECT_MEMEQ(&t, &old, sizeof(t));
		EXPECT_MEMEQ(mem, before, sizeof(mem));
		if (unit_state.failed) {
			unit_note("case %u", i);
			return;
		}
	}
}

/* what is wrong with the contents of the new TSS is the new task's exception */
UNIT_TEST(faults_of_the_new_task)
{
	static const struct {
		u16 at, value;
		u8 vector;
		u16 error;
	} c[] = {
		{ 0x60, DATA, 10, DATA },		/* LDTR: no LDT */
		{ 0x60, GDT_END, 10, GDT_END },
		{ 0x60, 0x0c, 10, 0x0c },
		{ 0x4c, 0, 10, 0 },			/* CS */
		{ 0x4c, DATA, 10, DATA },
		{ 0x4c, UCODE & ~3, 10, UCODE & ~3 },	/* DPL is not RPL */
		{ 0x4c, CODE | 3, 10, CODE },
		{ 0x4c, NOCODE, 11, NOCODE },
		{ 0x4c, GDT_END, 10, GDT_END },
		{ 0x4c, 0x0c, 10, 0x0c },		/* there is no LDT */
		{ 0x50, 0, 10, 0 },			/* SS */
		{ 0x50, CODE, 10, CODE },
		{ 0x50, RODATA, 10, RODATA },
		{ 0x50, UDATA, 10, UDATA & ~3 },
		{ 0x50, ABSENT, 12, ABSENT },
		{ 0x48, EXONLY, 10, EXONLY },		/* ES, DS, FS, GS */
		{ 0x54, LDTR, 10, LDTR },
		{ 0x54, DATA | 3, 10, DATA },
		{ 0x58, ABSENT, 11, ABSENT },
		{ 0x5c, GDT_END, 10, GDT_END },
	};
	struct vmm_task t;
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(c); i++) {
		struct vmm_task_switch ts = {
			.selector = TR_NEW, .source = i & 1 ? VMM_TASK_GATE : VMM_TASK_CALL,
			.external = i & 1,
		};

		prepare(&t);
		put(NEW + c[i / 2].at, c[i / 2].value, 2);
		EXPECT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_FAULT_NEW);
		EXPECT_EQ(t.fault.vector, c[i / 2].vector);
		EXPECT_EQ(t.fault.error_code, c[i / 2].error | ts.external);
		/* the new task has the processor, at its first instruction */
		EXPECT_EQ(t.eip, 0x1234);
		EXPECT_EQ(t.tr.selector, TR_NEW);
		EXPECT_EQ(cr3, 0x77000);
		EXPECT_EQ(t.regs[VMM_EM_RSP], 0x8000);
		EXPECT_EQ(access_of(TR_NEW), 0x8b);
		EXPECT_EQ(get(OLD + 0x20, 4), 0x1000);
		if (unit_state.failed) {
			unit_note("case %u", i);
			return;
		}
	}
}

UNIT_TEST(beyond_the_code_segment)
{
	struct vmm_task_switch ts = { .selector = TR_NEW, .source = VMM_TASK_JMP };
	struct vmm_task t;

	prepare(&t);
	put(NEW + 0x20, 0x100000, 4);
	EXPECT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_FAULT_NEW);
	EXPECT_EQ(t.fault.vector, 13);
	EXPECT_EQ(t.fault.error_code, 0);
	EXPECT_EQ(t.seg[VMM_EM_CS].limit, 0xfffff);
}

UNIT_TEST(no_room_for_the_error_code)
{
	struct vmm_task_switch ts = {
		.selector = TR_NEW, .source = VMM_TASK_GATE, .external = true, .has_error = true,
	};
	struct vmm_task t;

	prepare(&t);
	put(NEW + 0x38, 0x2, 4);	/* wraps */
	EXPECT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_FAULT_NEW);
	EXPECT_EQ(t.fault.vector, 12);
	EXPECT_EQ(t.fault.error_code, 1);
	EXPECT_EQ(t.regs[VMM_EM_RSP], 2);

	/* a page fault of the new stack */
	prepare(&t);
	hole = 0x7000;
	hole_end = 0x8000;
	EXPECT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_FAULT_NEW);
	EXPECT_EQ(t.fault.vector, 14);
	EXPECT_EQ(t.fault.cr2, 0x7ffc);
	EXPECT_EQ(t.fault.error_code, 2);

	/* expand-down: above the limit there is room */
	prepare(&t);
	descriptor(GDT + DATA, 0, 0x7fff, A_DATA | 4);
	put(NEW + 0x38, 0x8004, 4);
	EXPECT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_DONE);
	prepare(&t);
	descriptor(GDT + DATA, 0, 0x7fff, A_DATA | 4);
	put(NEW + 0x38, 0x8003, 4);
	EXPECT_EQ(vmm_task_execute(&t, &ts), VMM_TASK_FAULT_NEW);
	EXPECT_EQ(t.fault.vector, 12);
}

/* nothing that a guest can put into its tables does anything but this */
UNIT_TEST(random_tables)
{
	struct vmm_task t;
	unsigned int i, n;

	srandom(1);
	for (i = 0; i < 200000; i++) {
		struct vmm_task_switch ts = {
			.selector = random() % 0x88, .source = random() % 4,
			.insn_len = random() % 16, .external = random() % 2,
			.has_error = random() % 2, .rf = random() % 2,
		};

		prepare(&t);
		for (n = random() % 8; n; n--)
			mem[GDT + random() % GDT_END] = random();
		for (n = random() % 8; n; n--)
			mem[NEW + random() % 0x68] = random();
		if (random() % 2) {
			t.tr.limit = random() % 0x80;
			t.gdt_limit = random() % 0x100;
		}
		n = vmm_task_execute(&t, &ts);
		if (n == VMM_TASK_FAULT_OLD || n == VMM_TASK_FAULT_NEW)
			EXPECT(t.fault.vector >= 10 && t.fault.vector <= 14);
		if (n != VMM_TASK_DONE)
			continue;
		EXPECT(t.cpl == 3 || t.cpl == (t.seg[VMM_EM_CS].selector & 3));
		EXPECT(t.seg[VMM_EM_CS].attr & 0x80 && t.seg[VMM_EM_SS].attr & 0x80);
		EXPECT((t.seg[VMM_EM_SS].attr >> 5 & 3) == t.cpl);
		EXPECT(t.eip <= t.seg[VMM_EM_CS].limit);
	}
}

UNIT_MAIN()
