// SPDX-License-Identifier: GPL-2.0
/*
 * Counters: each counts what it says, no more and no less.
 */
#include "harness.h"

FIXTURE(stats)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	uint64_t before[VMM_STAT_NR];
};

FIXTURE_SETUP(stats)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	t_kicks();
}

FIXTURE_TEARDOWN(stats)
{
}

static void all(int fd, uint64_t c[VMM_STAT_NR])
{
	struct vmm_stats s = { .nr = VMM_STAT_NR, .counters = (uintptr_t)c };

	if (t_ioctl(fd, VMM_GET_STATS, &s) < 0)
		t_die("VMM_GET_STATS failed");
}

static uint64_t since(struct t_vcpu *v, const uint64_t *before, enum vmm_stat which)
{
	return t_stat(v->fd, which) - before[which];
}

/* so many of each, between two port writes */
T_BLOB(mixture, 64,
	"out %al, $0x80\n"
	"mov $7, %ebx\n"
	"1: xor %eax, %eax; cpuid; dec %ebp; jnz 1b\n"
	"mov $5, %ebx; mov $0x12345678, %ecx\n"
	"mov $3, %ebp\n"
	"2: mov $0x1b, %ecx; rdmsr; dec %ebp; jnz 2b\n"
	"mov $4, %ebp\n"
	"3: mov %al, 0xd0000000; dec %ebp; jnz 3b\n"
	"out %al, $0x80; hlt");

TEST_F(stats, exact)
{
	struct vmm_regs r;
	uint64_t vm0[VMM_STAT_NR], vm1[VMM_STAT_NR];
	int e, i;

	t_blob(self->v, T_LONG, mixture, mixture_end);
	t_get_regs(self->v, &r);
	r.gpr[VMM_RBP] = 7;
	t_set_regs(self->v, &r);
	ASSERT_EQ(VMM_EXIT_IO, t_run(self->v));
	all(self->v->fd, self->before);
	all(self->vm->fd, vm0);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(VMM_EXIT_MMIO, t_run(self->v));
	ASSERT_EQ(VMM_EXIT_IO, t_run(self->v));
	EXPECT_EQ(7, since(self->v, self->before, VMM_STAT_EXIT_CPUID));
	EXPECT_EQ(3, since(self->v, self->before, VMM_STAT_EXIT_MSR));
	EXPECT_EQ(4, since(self->v, self->before, VMM_STAT_EXIT_MMIO));
	EXPECT_EQ(1, since(self->v, self->before, VMM_STAT_EXIT_IO));
	EXPECT_EQ(5, since(self->v, self->before, VMM_STAT_TO_USER));
	EXPECT_EQ(0, since(self->v, self->before, VMM_STAT_EXIT_HLT));
	EXPECT_LE(7 + 3 + 4 + 1, since(self->v, self->before, VMM_STAT_EXITS));
	e = t_run(self->v);
	EXPECT_EQ(VMM_EXIT_HALT, e);
	EXPECT_EQ(1, since(self->v, self->before, VMM_STAT_EXIT_HLT));
	/* the VM's are its vCPUs' */
	all(self->vm->fd, vm1);
	EXPECT_EQ(7, vm1[VMM_STAT_EXIT_CPUID] - vm0[VMM_STAT_EXIT_CPUID]);
	EXPECT_EQ(4, vm1[VMM_STAT_EXIT_MMIO] - vm0[VMM_STAT_EXIT_MMIO]);
}

TEST_F(stats, exits_add_up)
{
	static const enum vmm_stat kinds[] = {
		VMM_STAT_EXIT_IO,	 VMM_STAT_EXIT_NPF,   VMM_STAT_EXIT_HLT, VMM_STAT_EXIT_INTR,
		VMM_STAT_EXIT_WINDOW,	 VMM_STAT_EXIT_CPUID, VMM_STAT_EXIT_MSR, VMM_STAT_EXIT_CR,
		VMM_STAT_EXIT_HYPERCALL, VMM_STAT_EXIT_OTHER,
	};
	uint64_t c[VMM_STAT_NR], sum = 0;
	unsigned int i;

	t_start(self->v, guest_apic_self_ipi, 0);
	ASSERT_TRUE(t_done(self->v));
	all(self->v->fd, c);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		sum += c[kinds[i]];
	EXPECT_EQ(c[VMM_STAT_EXITS], sum) {
		for (i = 0; i < VMM_STAT_NR; i++)
			TH_LOG("%s %lu", t_stat_name(i), c[i]);
	}
	EXPECT_LT(0, c[VMM_STAT_IRQ_INJECTED]);
}

TEST_F(stats, interrupts)
{
	struct t_thread t;
	unsigned int i;

	t_start(self->v, guest_apic_idle, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	t_spawn(&t, self->v);
	t_sleep_ms(100);
	all(self->v->fd, self->before);
	for (i = 0; i < 20; i++) {
		t_irq(self->vm, 0, 0x50);
		/* taken, and halted again: else the next one might find it running */
		while ((T_G(self->vm, g_log).nr <= i ||
			since(self->v, self->before, VMM_STAT_EXIT_HLT) <= i) && !t.ended)
			t_sleep_ms(1);
	}
	EXPECT_EQ(20, since(self->v, self->before, VMM_STAT_IRQ_INJECTED));
	EXPECT_LE(20, since(self->v, self->before, VMM_STAT_EXIT_HLT));
	EXPECT_LE(1, t_stat(self->vm->fd, VMM_STAT_WAKE));
	EXPECT_LE(20, t_stat(self->vm->fd, VMM_STAT_MSI));
	T_G(self->vm, g_apic_stop) = 1;
	t_irq(self->vm, 0, 0xf0);
	t_join(&t);
}

/* an idle guest makes fewer than 5 exits a second, and its thread uses next to no time */
TEST_F(stats, idle)
{
	struct t_thread t;
	uint64_t exits;

	t_start(self->v, guest_apic_idle, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	t_spawn(&t, self->v);
	t_sleep_ms(500);
	exits = t_stat(self->v->fd, VMM_STAT_EXITS);
	t_sleep_ms(4000);
	exits = t_stat(self->v->fd, VMM_STAT_EXITS) - exits;
	EXPECT_GT(20, exits);
	T_G(self->vm, g_apic_stop) = 1;
	t_irq(self->vm, 0, 0xf0);
	EXPECT_EQ(T_DONE, t_join(&t));
}

/* reading counters does not wait for a vCPU that runs */
TEST_F(stats, while_running)
{
	struct t_thread t;
	uint64_t start;
	unsigned int i;

	t_load(self->vm, T_CODE, T_SPIN, T_SPIN_LEN);
	t_set_mode(self->v, T_LONG);
	t_spawn(&t, self->v);
	t_sleep_ms(100);
	start = t_now_ns();
	for (i = 0; i < 100; i++)
		t_stat(self->v->fd, VMM_STAT_EXITS);
	EXPECT_GT(5000000000ull, t_now_ns() - start);
	EXPECT_FALSE(t.ended);
	self->v->run->immediate_exit = 1;
	t_kick(&t);
	t_join(&t);
}

VMM_TEST_MAIN
