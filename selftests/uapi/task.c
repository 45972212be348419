// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware task switches: by JMP, CALL, IRET, through task gates, by exceptions and interrupts, to
 * TSSes of both kinds. Where the processor hands them to the hypervisor, this is about kmod/task.c;
 * else about what stands around it.
 */
#include "harness.h"

/* more descriptors, behind those of mode.c */
#define SEL_NEW		0x80	/* TSS of 32 bits */
#define SEL_NEW16	0x88
#define SEL_LDT		0x90
#define SEL_GATE	0x98	/* task gate to SEL_NEW */
#define SEL_ABSENT	0xa0	/* data that is not present */
#define SEL_GONE	0xa8	/* TSS that is not present */
#define SEL_SMALL	0xb0	/* TSS whose limit is too low */
#define GDT_LIMIT	0xff

#define NEW		(T_DATA + 0x1000)
#define NEW16		(T_DATA + 0x2000)
#define NEW_LDT		(T_DATA + 0x3000)
#define COUNT		(T_DATA + 0x4000)
#define NEW_STACK	(T_DATA + 0x6000)
#define NEW_CODE	0x9000
#define OTHER_PD	0x2b000		/* a page directory as T_PD32 */

#define F_NT	0x4000
#define F_VM	0x20000

FIXTURE(task)
{
	struct t_vm *vm;
	struct t_vcpu *v;
};

FIXTURE_SETUP(task)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
}

FIXTURE_TEARDOWN(task)
{
}

static void put(struct t_vm *vm, uint64_t gpa, uint64_t value, unsigned int len)
{
	memcpy(t_gpa(vm, gpa, len), &value, len);
}

static uint32_t get(struct t_vm *vm, uint64_t gpa, unsigned int len)
{
	uint32_t value = 0;

	memcpy(&value, t_gpa(vm, gpa, len), len);
	return value;
}

static void descriptor(struct t_vm *vm, unsigned int selector, uint32_t base, uint32_t limit,
		       unsigned int access)
{
	put(vm, T_GDT + selector, (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
				  (uint64_t)access << 40 | (uint64_t)(base >> 24) << 56, 8);
}

static unsigned int access_of(struct t_vm *vm, unsigned int selector)
{
	return get(vm, T_GDT + selector + 5, 1);
}

/* a task gate to SEL_NEW for @vector */
static void idt_gate(struct t_vm *vm, unsigned int vector)
{
	put(vm, T_IDT32 + 8 * vector, (uint64_t)SEL_NEW << 16 | 0x85ull << 40, 8);
}

/* @code runs in the old task, @new in the task of SEL_NEW; nothing has run yet */
static void prepare(struct t_vcpu *v, enum t_mode mode, const char *code, const char *code_end,
		    const char *new, const char *new_end)
{
	struct t_vm *vm = v->vm;
	struct vmm_sregs s;
	unsigned int i;

	t_tables(vm);
	t_blob(v, mode, code, code_end);
	t_load(vm, NEW_CODE, new, new_end - new);
	memset(t_gpa(vm, T_DATA, 0x8000), 0, 0x8000);
	descriptor(vm, SEL_NEW, NEW, 0x67, 0x89);
	descriptor(vm, SEL_NEW16, NEW16, 0x2b, 0x81);
	descriptor(vm, SEL_LDT, NEW_LDT, 0xf, 0x82);
	put(vm, T_GDT + SEL_GATE, (uint64_t)SEL_NEW << 16 | 0x85ull << 40, 8);
	descriptor(vm, SEL_ABSENT, 0, 0xffff, 0x13);
	descriptor(vm, SEL_GONE, NEW, 0x67, 0x09);
	descriptor(vm, SEL_SMALL, NEW, 0x66, 0x89);

	put(vm, NEW + 0x1c, T_PD32, 4);
	put(vm, NEW + 0x20, NEW_CODE, 4);
	put(vm, NEW + 0x24, 2, 4);
	for (i = 0; i < 8; i++)
		put(vm, NEW + 0x28 + 4 * i, 0xa0000000 + i, 4);
	put(vm, NEW + 0x38, NEW_STACK, 4);
	for (i = 0; i < 6; i++)
		put(vm, NEW + 0x48 + 4 * i, i == VMM_SEG_CS ? T_CS32 : T_DS, 2);

	put(vm, NEW16 + 0x0e, NEW_CODE, 2);
	put(vm, NEW16 + 0x10, 2, 2);
	for (i = 0; i < 8; i++)
		put(vm, NEW16 + 0x12 + 2 * i, 0xb000 + i, 2);
	put(vm, NEW16 + 0x1a, T_STACK, 2);
	for (i = 0; i < 4; i++)
		put(vm, NEW16 + 0x22 + 2 * i, i == VMM_SEG_CS ? T_CS16 : T_DS16, 2);

	t_get_sregs(v, &s);
	s.gdt.limit = GDT_LIMIT;
	t_set_sregs(v, &s);
}

#define PREPARE(v, mode, code, new) prepare(v, mode, code, code##_end, new, new##_end)

T_BLOB(jmp_new, 32, "mov $0x11, %eax; mov $0x22, %ebx; std; ljmp $0x80, $0; hlt");
T_BLOB(call_new, 32, "mov $0x11, %eax; lcall $0x80, $0; hlt");
T_BLOB(call_gate, 32, "mov $0x11, %eax; lcall $0x98, $0; hlt");
T_BLOB(call_twice, 32, "lcall *1f - call_twice + 0x8000; lcall $0x80, $0; hlt; 1: .long 0; .word 0x80");
T_BLOB(jmp_16, 32, "ljmp $0x88, $0; hlt");
T_BLOB(int_50, 32, "int $0x50; hlt");
T_BLOB(bad_ltr, 32, "mov $0xfff8, %eax; ltr %ax; hlt");
T_BLOB(spin, 32, "sti; 1: jmp 1b");
T_BLOB(spin_out, 32, "1: out %al, $0x80; jmp 1b");

T_BLOB(halt, 32, "hlt");
T_BLOB(back, 32, "1: incl 0x14000; iret; jmp 1b");
T_BLOB(out_back, 32, "1: incl 0x14000; out %al, $0x81; iret; jmp 1b");
T_BLOB(pop_halt, 32, "pop %eax; hlt");
T_BLOB(halt_16, 16, "hlt");
T_BLOB(int_16, 16, "int $0x21; hlt");

TEST_F(task, jmp)
{
	struct vmm_sregs s;
	struct vmm_regs r;
	unsigned int i;

	PREPARE(self->v, T_PM32, jmp_new, halt);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	t_get_regs(self->v, &r);
	t_get_sregs(self->v, &s);
	/* the new task */
	EXPECT_EQ(NEW_CODE + 1, r.rip);
	EXPECT_EQ(2, r.rflags);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(i == VMM_RSP ? NEW_STACK : 0xa0000000 + i, r.gpr[i]);
	EXPECT_EQ(SEL_NEW, s.seg[VMM_SEG_TR].selector);
	EXPECT_EQ(NEW, s.seg[VMM_SEG_TR].base);
	/* QEMU leaves the busy bit out of the hidden part */
	EXPECT_EQ(0xb, s.seg[VMM_SEG_TR].type | 2);
	EXPECT_EQ(0x8, s.cr0 & 0x8);
	/* the old task */
	EXPECT_EQ(T_CODE + 18, get(self->vm, T_TSS32 + 0x20, 4));
	EXPECT_EQ(0x402, get(self->vm, T_TSS32 + 0x24, 4));
	EXPECT_EQ(0x11, get(self->vm, T_TSS32 + 0x28, 4));
	EXPECT_EQ(0x22, get(self->vm, T_TSS32 + 0x34, 4));
	EXPECT_EQ(T_STACK, get(self->vm, T_TSS32 + 0x38, 4));
	EXPECT_EQ(T_CS32, get(self->vm, T_TSS32 + 0x4c, 2));
	EXPECT_EQ(T_DS, get(self->vm, T_TSS32 + 0x5c, 2));
	EXPECT_EQ(0x89, access_of(self->vm, T_TR32));
	EXPECT_EQ(0x8b, access_of(self->vm, SEL_NEW));
	EXPECT_EQ(0, get(self->vm, NEW, 2));
}

static void call_and_return(struct __test_metadata *_metadata, struct t_vcpu *v, unsigned int next)
{
	struct vmm_sregs s;
	struct vmm_regs r;

	ASSERT_TRUE(t_exits(v, VMM_EXIT_HALT));
	t_get_regs(v, &r);
	t_get_sregs(v, &s);
	EXPECT_EQ(T_CODE + next + 1, r.rip);
	EXPECT_EQ(0x11, r.gpr[VMM_RAX]);
	EXPECT_EQ(T_STACK, r.gpr[VMM_RSP]);
	EXPECT_EQ(0, r.rflags & F_NT);
	EXPECT_EQ(T_TR32, s.seg[VMM_SEG_TR].selector);
	EXPECT_EQ(1, get(v->vm, COUNT, 4));
	EXPECT_EQ(T_TR32, get(v->vm, NEW, 2));
	EXPECT_EQ(NEW_CODE + 7, get(v->vm, NEW + 0x20, 4));
	EXPECT_EQ(0, get(v->vm, NEW + 0x24, 4) & F_NT);
	EXPECT_EQ(0x89, access_of(v->vm, SEL_NEW));
	EXPECT_EQ(0x8b, access_of(v->vm, T_TR32));
}

TEST_F(task, call_and_iret)
{
	PREPARE(self->v, T_PM32, call_new, back);
	call_and_return(_metadata, self->v, 12);
}

TEST_F(task, gate_in_the_gdt)
{
	PREPARE(self->v, T_PM32, call_gate, back);
	call_and_return(_metadata, self->v, 12);
}

/* each call goes on behind the last IRET; one of them through memory */
TEST_F(task, called_again)
{
	PREPARE(self->v, T_PM32, call_twice, back);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	EXPECT_EQ(2, get(self->vm, COUNT, 4));
	EXPECT_EQ(NEW_CODE + 7, get(self->vm, NEW + 0x20, 4));
}

TEST_F(task, software_interrupt)
{
	struct vmm_regs r;

	PREPARE(self->v, T_PM32, int_50, back);
	idt_gate(self->vm, 0x50);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	t_get_regs(self->v, &r);
	EXPECT_EQ(T_CODE + 3, r.rip);
	EXPECT_EQ(1, get(self->vm, COUNT, 4));
	EXPECT_EQ(T_TR32, get(self->vm, NEW, 2));
}

/* a fault by a gate: its error code is on the new stack, the old task stands at the instruction */
TEST_F(task, fault_with_error_code)
{
	struct vmm_regs r;

	PREPARE(self->v, T_PM32, bad_ltr, pop_halt);
	idt_gate(self->vm, 13);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	t_get_regs(self->v, &r);
	EXPECT_EQ(NEW_CODE + 2, r.rip);
	EXPECT_EQ(0xfff8, r.gpr[VMM_RAX]);
	EXPECT_EQ(NEW_STACK, r.gpr[VMM_RSP]);
	EXPECT_EQ(F_NT, r.rflags & F_NT);
	EXPECT_EQ(T_CODE + 5, get(self->vm, T_TSS32 + 0x20, 4));
	EXPECT_EQ(0x8b, access_of(self->vm, T_TR32));
}

/* the same by an exception that the hypervisor injects */
TEST_F(task, injected_fault)
{
	struct vmm_events ev = { .flags = VMM_EV_EXC_PENDING | VMM_EV_EXC_ERROR_CODE,
				 .exc_vector = 13, .exc_error_code = 0x50 };
	struct vmm_regs r;

	PREPARE(self->v, T_PM32, halt, pop_halt);
	idt_gate(self->vm, 13);
	t_set_events(self->v, &ev);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	t_get_regs(self->v, &r);
	EXPECT_EQ(NEW_CODE + 2, r.rip);
	EXPECT_EQ(0x50, r.gpr[VMM_RAX]);
	EXPECT_EQ(T_CODE, get(self->vm, T_TSS32 + 0x20, 4));
	t_get_events(self->v, &ev);
	EXPECT_EQ(0, ev.flags) TH_LOG("something is left");
}

TEST_F(task, interrupt)
{
	struct vmm_events ev;
	struct vmm_regs r;

	PREPARE(self->v, T_PM32, spin, halt);
	t_apic_enable(self->v);
	idt_gate(self->vm, 0x61);
	ASSERT_OK(t_irq(self->vm, 0, 0x61));
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	t_get_regs(self->v, &r);
	EXPECT_EQ(NEW_CODE + 1, r.rip);
	EXPECT_EQ(F_NT | 2, r.rflags);
	EXPECT_EQ(T_CODE + 1, get(self->vm, T_TSS32 + 0x20, 4));
	EXPECT_EQ(0x202, get(self->vm, T_TSS32 + 0x24, 4) & 0x202);
	t_get_events(self->v, &ev);
	EXPECT_EQ(0, ev.flags) TH_LOG("the interrupt is delivered and waits, too");
}

/* NMIs are blocked in the task that one began, until its IRET */
TEST_F(task, nmi)
{
	struct vmm_events ev;
	struct vmm_regs r;
	unsigned int i;
	int e;

	PREPARE(self->v, T_PM32, spin_out, out_back);
	idt_gate(self->vm, 2);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_IO));
	ASSERT_OK(t_nmi(self->vm, 0));
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_IO));
	ASSERT_EQ(0x81, self->v->run->u.io.port) TH_LOG("no NMI came");
	t_get_events(self->v, &ev);
	EXPECT_NE(0, ev.flags & VMM_EV_NMI_BLOCKED);
	EXPECT_EQ(0, ev.flags & VMM_EV_NMI_REINJECT);
	ASSERT_OK(t_nmi(self->vm, 0));
	e = t_run(self->v);
	t_get_regs(self->v, &r);
	if (e == VMM_EXIT_HALT && t_trap_of(r.rip) == 1 && t_emulated())
		SKIP(return, "this processor switches tasks itself, and saves the hypervisor's TF (QEMU)");
	for (i = 0; i < 3 && self->v->run->u.io.port != 0x81; i++)
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_IO));
	ASSERT_EQ(0x81, self->v->run->u.io.port) TH_LOG("the second NMI is lost");
	EXPECT_EQ(2, get(self->vm, COUNT, 4));
	for (i = 0; i < 3; i++)
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_IO));
	EXPECT_EQ(0x80, self->v->run->u.io.port);
	EXPECT_EQ(2, get(self->vm, COUNT, 4));
	t_get_events(self->v, &ev);
	EXPECT_EQ(0, ev.flags & VMM_EV_NMI_BLOCKED);
}

TEST_F(task, sixteen_bits)
{
	struct vmm_sregs s;
	struct vmm_regs r;
	unsigned int i;

	PREPARE(self->v, T_PM32, jmp_16, halt_16);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	t_get_regs(self->v, &r);
	t_get_sregs(self->v, &s);
	EXPECT_EQ(NEW_CODE + 1, r.rip);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(i == VMM_RSP ? T_STACK : 0xb000 + i, r.gpr[i] & 0xffff);
	EXPECT_EQ(SEL_NEW16, s.seg[VMM_SEG_TR].selector);
	EXPECT_EQ(3, s.seg[VMM_SEG_TR].type | 2);
	EXPECT_EQ(T_CS16, s.seg[VMM_SEG_CS].selector);
	EXPECT_EQ(0, s.seg[VMM_SEG_FS].selector);
	EXPECT_EQ(0x83, access_of(self->vm, SEL_NEW16));
	EXPECT_EQ(T_CODE + 7, get(self->vm, T_TSS32 + 0x20, 4));
}

TEST_F(task, ldt)
{
	struct vmm_sregs s;

	PREPARE(self->v, T_PM32, jmp_new, halt);
	put(self->vm, NEW_LDT + 8, 0x1234ull << 16 | 0xffff | 0x93ull << 40, 8);
	put(self->vm, NEW + 0x60, SEL_LDT, 2);
	put(self->vm, NEW + 0x54, 0xc, 2);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	t_get_sregs(self->v, &s);
	EXPECT_EQ(SEL_LDT, s.seg[VMM_SEG_LDTR].selector);
	EXPECT_EQ(NEW_LDT, s.seg[VMM_SEG_LDTR].base);
	EXPECT_EQ(0xc, s.seg[VMM_SEG_DS].selector);
	EXPECT_EQ(0x1234, s.seg[VMM_SEG_DS].base);
}

/* the new task sees its own memory from its first instruction on */
T_BLOB(read_window, 32, "mov 0x3fc00000, %eax; hlt");

TEST_F(task, cr3)
{
	struct vmm_sregs s;
	struct vmm_regs r;
	unsigned int i;

	PREPARE(self->v, T_PG32, call_new, read_window);
	for (i = 0; i < 1024; i++)
		put(self->vm, OTHER_PD + 4 * i, get(self->vm, T_PD32 + 4 * i, 4), 4);
	/* T_WINDOW leads to the first 4 MiB there */
	put(self->vm, OTHER_PD + 4 * (T_WINDOW >> 22), 0x87, 4);
	put(self->vm, NEW + 0x1c, OTHER_PD, 4);
	put(self->vm, T_WINDOW & 0x3fffff, 0xcafe, 4);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	t_get_sregs(self->v, &s);
	t_get_regs(self->v, &r);
	EXPECT_EQ(OTHER_PD, s.cr3);
	EXPECT_EQ(NEW_CODE + 6, r.rip);
	EXPECT_EQ(0xcafe, r.gpr[VMM_RAX]);
}

/* in virtual-8086 mode, INT goes to the protected-mode handler */
TEST_F(task, virtual_8086)
{
	struct vmm_regs r;
	unsigned int i;

	PREPARE(self->v, T_PM32, jmp_new, int_16);
	put(self->vm, NEW + 4, T_STACK0, 4);
	put(self->vm, NEW + 8, T_DS, 4);
	put(self->vm, NEW + 0x24, F_VM | 2, 4);
	put(self->vm, NEW + 0x20, 0x10, 4);
	for (i = 0; i < 6; i++)
		put(self->vm, NEW + 0x48 + 4 * i, (NEW_CODE - 0x10) >> 4, 2);
	put(self->vm, NEW + 0x38, 0x800, 4);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	t_get_regs(self->v, &r);
	EXPECT_EQ(13, t_trap_of(r.rip)) TH_LOG("rip 0x%llx", r.rip);
	/* error code, EIP, CS, EFLAGS, ESP, SS, ES, DS, FS, GS */
	EXPECT_EQ(T_STACK0 - 40, r.gpr[VMM_RSP]);
	EXPECT_EQ(0x10, get(self->vm, r.gpr[VMM_RSP] + 4, 4));
	EXPECT_EQ((NEW_CODE - 0x10) >> 4, get(self->vm, r.gpr[VMM_RSP] + 8, 2));
	EXPECT_EQ(F_VM, get(self->vm, r.gpr[VMM_RSP] + 12, 4) & F_VM);
}

/* exceptions of the old task: it stands at its instruction, and is in no TSS */
TEST_F(task, faults_before)
{
	static const struct {
		uint16_t selector;
		int vector;
	} c[] = {
		{ T_TR32, 13 }, { T_DS, 13 }, { SEL_GONE, 11 }, { SEL_SMALL, 10 }, { 0x100, 13 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		struct vmm_sregs s;
		struct vmm_regs r;

		PREPARE(self->v, T_PM32, jmp_new, halt);
		put(self->vm, T_CODE + 16, c[i].selector, 2);
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT)) TH_LOG("0x%x", c[i].selector);
		t_get_regs(self->v, &r);
		t_get_sregs(self->v, &s);
		EXPECT_EQ(c[i].vector, t_trap_of(r.rip)) TH_LOG("0x%x", c[i].selector);
		EXPECT_EQ(c[i].selector, get(self->vm, r.gpr[VMM_RSP], 4));
		EXPECT_EQ(T_CODE + 11, get(self->vm, r.gpr[VMM_RSP] + 4, 4));
		EXPECT_EQ(T_TR32, s.seg[VMM_SEG_TR].selector);
		EXPECT_EQ(0, get(self->vm, T_TSS32 + 0x20, 4));
		EXPECT_EQ(0x8b, access_of(self->vm, T_TR32));
	}
}

/* exceptions of the new task, on its stack, at its first instruction */
TEST_F(task, faults_behind)
{
	static const struct {
		uint16_t at, selector;
		int vector;
	} c[] = {
		{ 0x54, SEL_ABSENT, 11 }, { 0x48, T_TR32, 10 }, { 0x5c, 0x100, 10 },
		{ 0x54, T_DS | 3, 10 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		struct vmm_sregs s;
		struct vmm_regs r;

		PREPARE(self->v, T_PM32, jmp_new, halt);
		put(self->vm, NEW + c[i].at, c[i].selector, 2);
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT)) TH_LOG("0x%x", c[i].selector);
		t_get_regs(self->v, &r);
		t_get_sregs(self->v, &s);
		EXPECT_EQ(c[i].vector, t_trap_of(r.rip)) TH_LOG("0x%x", c[i].selector);
		EXPECT_EQ(NEW_STACK - 16, r.gpr[VMM_RSP]);
		EXPECT_EQ(c[i].selector & ~3, get(self->vm, r.gpr[VMM_RSP], 4));
		/* QEMU adds where the instruction was in the old task's page */
		EXPECT_EQ(NEW_CODE, get(self->vm, r.gpr[VMM_RSP] + 4, 4) & (t_emulated() ? ~15 : ~0))
		TH_LOG("0x%x", c[i].selector);
		EXPECT_EQ(SEL_NEW, s.seg[VMM_SEG_TR].selector);
		EXPECT_EQ(T_CODE + 18, get(self->vm, T_TSS32 + 0x20, 4));
	}
}

/* the T bit: a debug exception before the first instruction */
TEST_F(task, debug_trap)
{
	struct vmm_debugregs d = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	struct vmm_regs r;

	PREPARE(self->v, T_PM32, jmp_new, halt);
	put(self->vm, NEW + 0x64, 1, 2);
	ASSERT_OK(t_set(self->v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d)));
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	t_get_regs(self->v, &r);
	if (r.rip == NEW_CODE + 1 && t_emulated())
		SKIP(return, "this processor switches tasks itself and ignores the T bit (QEMU)");
	EXPECT_EQ(1, t_trap_of(r.rip)) TH_LOG("rip 0x%llx", r.rip);
	EXPECT_EQ(NEW_CODE, get(self->vm, r.gpr[VMM_RSP], 4));
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d)));
	EXPECT_EQ(0x8000, d.dr6 & 0xe00f);
}

VMM_TEST_MAIN
