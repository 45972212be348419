// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC, as the guest sees it and as it is driven from outside: messages, pins, EOI
 * reports.
 */
#include "harness.h"

FIXTURE(apic)
{
	struct t_vm *vm;
	struct t_vcpu *v;
};

FIXTURE_SETUP(apic)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	t_kicks();
}

FIXTURE_TEARDOWN(apic)
{
}

/* what a guest tests by itself */
#define GUEST_TEST(name, fn, arg)			\
	TEST_F(apic, name)				\
	{						\
		t_limit_s = 200;			\
		t_start(self->v, fn, arg);		\
		EXPECT_TRUE(t_done(self->v));		\
	}

GUEST_TEST(reset_values, guest_apic_reset_values, 0)
GUEST_TEST(software_disabled, guest_apic_software_disabled, 0)
GUEST_TEST(self_ipi, guest_apic_self_ipi, 0)
GUEST_TEST(priority, guest_apic_priority, 0)
GUEST_TEST(tpr, guest_apic_tpr, 0)
GUEST_TEST(cr8, guest_apic_cr8, 0)
GUEST_TEST(ppr, guest_apic_ppr, 0)
GUEST_TEST(nested, guest_apic_nested, 0)
GUEST_TEST(error, guest_apic_error, 0)
GUEST_TEST(x2apic_regs, guest_x2apic_regs, 0)
GUEST_TEST(x2apic_transitions, guest_x2apic_transitions, 0)
GUEST_TEST(x2apic_ipi, guest_x2apic_ipi, 0)
GUEST_TEST(timer_one_shot, guest_timer_one_shot, 0)
GUEST_TEST(timer_one_shot_x2apic, guest_timer_one_shot, 1)
GUEST_TEST(timer_periodic, guest_timer_periodic, 0)
GUEST_TEST(timer_periodic_x2apic, guest_timer_periodic, 1)
GUEST_TEST(timer_masked, guest_timer_masked, 0)
GUEST_TEST(timer_divide, guest_timer_divide, 0)
GUEST_TEST(timer_hlt, guest_timer_hlt, 0)
GUEST_TEST(timer_short, guest_timer_short, 0)

TEST_F(apic, timer_deadline)
{
	if (!t_cap(VMM_CAP_TSC_DEADLINE))
		SKIP(return, "no VMM_CAP_TSC_DEADLINE");
	t_limit_s = 200;
	t_start(self->v, guest_timer_deadline, 0);
	EXPECT_TRUE(t_done(self->v));
}

TEST_F(apic, timer_deadline_x2apic)
{
	if (!t_cap(VMM_CAP_TSC_DEADLINE))
		SKIP(return, "no VMM_CAP_TSC_DEADLINE");
	t_limit_s = 200;
	t_start(self->v, guest_timer_deadline, 1);
	EXPECT_TRUE(t_done(self->v));
}

TEST_F(apic, timer_modes)
{
	if (!t_cap(VMM_CAP_TSC_DEADLINE))
		SKIP(return, "no VMM_CAP_TSC_DEADLINE");
	t_limit_s = 200;
	t_start(self->v, guest_timer_modes, 0);
	EXPECT_TRUE(t_done(self->v));
}

/* a timer under way goes through a round trip of the state: it fires, once */
TEST_F(apic, timer_state)
{
	struct vmm_lapic_state s;

	t_limit_s = 200;
	t_start(self->v, guest_timer_armed, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	t_sleep_ms(30);
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)));
	EXPECT_LT(0, s.timer_elapsed_ns);
	ASSERT_OK(t_set(self->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)));
	EXPECT_TRUE(t_done(self->v));
}

/* ... also to another VM, after the first is gone */
TEST_F(apic, timer_fires_without_a_thread)
{
	/* the vCPU is not run while the timer expires: the interrupt waits */
	t_limit_s = 200;
	t_start(self->v, guest_timer_armed, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	t_sleep_ms(1500);
	EXPECT_TRUE(t_done(self->v));
}

TEST_F(apic, nmi)
{
	t_start(self->v, guest_apic_nmi, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	ASSERT_OK(t_lint(self->vm, 0, 1, 1));
	ASSERT_OK(t_lint(self->vm, 0, 1, 0));
	ASSERT_TRUE(t_synced(self->v, 2));
	ASSERT_OK(t_lint(self->vm, 0, 1, 1));
	EXPECT_TRUE(t_done(self->v));
	ASSERT_OK(t_lint(self->vm, 0, 1, 0));
}

static void is_mmio(struct __test_metadata *_metadata, struct t_vcpu *v, uint64_t gpa)
{
	ASSERT_TRUE(t_exits(v, VMM_EXIT_MMIO));
	EXPECT_EQ(gpa, v->run->u.mmio.gpa);
	EXPECT_EQ(0, v->run->u.mmio.is_write);
}

TEST_F(apic, base_moved)
{
	t_start(self->v, guest_apic_base_moved, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	is_mmio(_metadata, self->v, 0xfee00030);
	EXPECT_TRUE(t_done(self->v));
}

TEST_F(apic, disabled)
{
	t_start(self->v, guest_apic_disabled, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	t_irq(self->vm, 0, 0x55);
	is_mmio(_metadata, self->v, 0xfee00030);
	EXPECT_TRUE(t_done(self->v));
}

TEST_F(apic, x2apic_faults)
{
	t_start(self->v, guest_x2apic_faults, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	is_mmio(_metadata, self->v, 0xfee00030);
	EXPECT_TRUE(t_done(self->v));
}

static bool log_reaches(struct t_vm *vm, uint32_t n)
{
	unsigned int ms;

	for (ms = 0; ms < 20000 && T_G(vm, g_log).nr < n; ms++)
		t_sleep_ms(1);
	return T_G(vm, g_log).nr >= n;
}

static void stop(struct t_vm *vm, struct t_thread *t)
{
	T_G(vm, g_apic_stop) = 1;
	t_irq(vm, 0, 0xf0);
	t_join(t);
}

/* a message wakes a vCPU up that waits in HLT, from another thread, many times */
TEST_F(apic, message_wakes)
{
	struct t_thread t;
	unsigned int i;

	t_start(self->v, guest_apic_idle, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	t_spawn(&t, self->v);
	for (i = 0; i < 100; i++) {
		if (i % 10 == 0)
			t_sleep_ms(20);
		ASSERT_OK(t_irq(self->vm, 0, 0x40 + i));
		ASSERT_TRUE(log_reaches(self->vm, i + 1)) TH_LOG("message %u is lost", i);
		EXPECT_EQ(0x40 + i, T_G(self->vm, g_log).vector[i]);
	}
	stop(self->vm, &t);
	EXPECT_EQ(T_DONE, t.out);
}

/* messages that come while the guest computes are all taken: each vector before the next */
TEST_F(apic, messages_to_a_busy_guest)
{
	struct t_thread t;
	unsigned int i;

	t_start(self->v, guest_apic_count, 0);
	T_G(self->vm, g_apic_want) = 200;
	ASSERT_TRUE(t_synced(self->v, 1));
	t_spawn(&t, self->v);
	for (i = 0; i < 200; i++) {
		ASSERT_OK(t_irq(self->vm, 0, 0x20 + i));
		ASSERT_TRUE(log_reaches(self->vm, i + 1)) TH_LOG("message %u is lost", i);
	}
	EXPECT_EQ(T_DONE, t_join(&t));
	for (i = 0; i < 200; i++)
		EXPECT_EQ(0x20 + i, T_G(self->vm, g_log).vector[i]);
}

/* forms of messages: destinations and delivery modes */
TEST_F(apic, message_forms)
{
	static const struct {
		const char *what;
		uint64_t addr;
		uint32_t data;
		bool comes;
	} c[] = {
		{ "fixed, physical 0", 0xfee00000, 0x50, true },
		{ "fixed, physical 1", 0xfee01000, 0x51, false },
		{ "fixed, broadcast", 0xfeeff000, 0x52, true },
		{ "lowest priority", 0xfee00008, 0x153, true },
		{ "logical, no bit in common", 0xfee02004, 0x54, false },
		{ "logical, flat", 0xfee01004, 0x55, true },
		{ "logical, with redirection hint", 0xfee0100c, 0x156, true },
		{ "logical, broadcast", 0xfeeff004, 0x57, true },
		{ "vector below 16", 0xfee00000, 0x0f, false },
		{ "level, assert", 0xfee00000, 0xc058, true },
	};
	struct t_thread t;
	unsigned int i, n = 0;

	t_start(self->v, guest_apic_idle, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	{
		struct vmm_lapic_state s;

		ASSERT_OK(t_get(self->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)));
		s.regs[0xd3] = 1;	/* logical id, flat */
		ASSERT_OK(t_set(self->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)));
	}
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		t_spawn(&t, self->v);
		t_msi(self->vm, c[i].addr, c[i].data);
		if (c[i].comes) {
			EXPECT_TRUE(log_reaches(self->vm, n + 1))
			TH_LOG("%s does not come", c[i].what);
			EXPECT_EQ(c[i].data & 0xff, T_G(self->vm, g_log).vector[n])
			TH_LOG("%s", c[i].what);
			n = T_G(self->vm, g_log).nr;
		} else {
			t_sleep_ms(100);
			EXPECT_EQ(n, T_G(self->vm, g_log).nr) TH_LOG("%s comes", c[i].what);
			n = T_G(self->vm, g_log).nr;
		}
		if (c[i].data & 0x8000) {	/* its end is reported */
			EXPECT_TRUE(t_ended_within(&t, 10000));
			EXPECT_EQ(VMM_EXIT_EOI, self->v->run->exit_reason);
			t_join(&t);
			continue;
		}
		self->v->run->immediate_exit = 1;
		t_kick(&t);
		t_join(&t);
		self->v->run->immediate_exit = 0;
	}
}

/* the end of a level-triggered interrupt exits, the end of an edge-triggered one does not */
TEST_F(apic, eoi_exit)
{
	unsigned int i;

	t_start(self->v, guest_apic_idle, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	for (i = 0; i < 10; i++) {
		uint8_t level = 0x60 + i, edge = 0x90 + i;

		ASSERT_OK(t_irq(self->vm, 0, edge));
		ASSERT_OK(t_msi(self->vm, 0xfee00000, 0x8000 | 0x4000 | level));
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_EOI));
		EXPECT_EQ(level, self->v->run->u.eoi.vector);
		EXPECT_EQ(2 * i + 2, T_G(self->vm, g_log).nr);
	}
	/* once level, then edge: the trigger mode is that of the last message */
	ASSERT_OK(t_msi(self->vm, 0xfee00000, 0xc0a5));
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_EOI));
	ASSERT_OK(t_irq(self->vm, 0, 0xa5));
	ASSERT_OK(t_msi(self->vm, 0xfee00000, 0xc0a0));
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_EOI));
	EXPECT_EQ(0xa0, self->v->run->u.eoi.vector);
}

/* ExtINT through LINT0: an exit asks for the vector when the vCPU can take it */
TEST_F(apic, extint)
{
	struct t_thread t;
	unsigned int i;

	t_start(self->v, guest_apic_lint, 0x10000ull << 32 | 0x700);
	ASSERT_TRUE(t_synced(self->v, 1));
	for (i = 0; i < 5; i++) {
		/* asserted while it waits in HLT */
		t_spawn(&t, self->v);
		t_sleep_ms(50);
		EXPECT_FALSE(t.ended);
		ASSERT_OK(t_lint(self->vm, 0, 0, 1));
		ASSERT_TRUE(t_ended_within(&t, 10000)) TH_LOG("the pin does not wake it up");
		ASSERT_EQ(T_EXIT, t_join(&t));
		ASSERT_EQ(VMM_EXIT_INTACK, self->v->run->exit_reason);
		ASSERT_OK(t_lint(self->vm, 0, 0, 0));
		self->v->run->u.intack.vector = 0x38 + i;
		t_spawn(&t, self->v);
		EXPECT_TRUE(log_reaches(self->vm, i + 1)) TH_LOG("the vector does not come");
		EXPECT_EQ(0x38 + i, T_G(self->vm, g_log).vector[i]);
		self->v->run->immediate_exit = 1;
		t_kick(&t);
		t_join(&t);
		self->v->run->immediate_exit = 0;
	}
	/* it asks again as long as the pin is asserted; -1 is none */
	ASSERT_OK(t_lint(self->vm, 0, 0, 1));
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_INTACK));
	self->v->run->u.intack.vector = -1;
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_INTACK));
	self->v->run->u.intack.vector = 0x44;
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_INTACK));
	ASSERT_EQ(6, T_G(self->vm, g_log).nr);
	/* nonsense is refused or taken for none */
	ASSERT_OK(t_lint(self->vm, 0, 0, 0));
	self->v->run->u.intack.vector = 1000;
	self->v->run->immediate_exit = 1;
	t_run(self->v);
	self->v->run->immediate_exit = 0;
	ASSERT_EQ(6, T_G(self->vm, g_log).nr);
}

/* with interrupts off, or the pin masked, nothing is asked */
TEST_F(apic, extint_waits)
{
	t_start(self->v, guest_apic_window, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	{
		struct vmm_lapic_state s;

		ASSERT_OK(t_get(self->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)));
		*(uint32_t *)(s.regs + 0x350) = 0x700;
		ASSERT_OK(t_set(self->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)));
	}
	ASSERT_OK(t_lint(self->vm, 0, 0, 1));
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_INTACK));
	ASSERT_OK(t_lint(self->vm, 0, 0, 0));
	self->v->run->u.intack.vector = 0x77;
	ASSERT_TRUE(t_synced(self->v, 2));
	EXPECT_EQ(1, T_G(self->vm, g_log).nr);
	EXPECT_EQ(0x77, T_G(self->vm, g_log).vector[0]);
	/* masked */
	t_vcpu_free(self->v);
	t_vm_free(self->vm);
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	t_start(self->v, guest_apic_window, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	ASSERT_OK(t_lint(self->vm, 0, 0, 1));
	ASSERT_TRUE(t_synced(self->v, 2));
}

/* LINT0 as a fixed interrupt: an edge each time it is asserted */
TEST_F(apic, lint_fixed)
{
	struct t_thread t;
	unsigned int i;

	t_start(self->v, guest_apic_lint, 0x4full << 32 | 0x4e);
	ASSERT_TRUE(t_synced(self->v, 1));
	t_spawn(&t, self->v);
	for (i = 0; i < 4; i++) {
		ASSERT_OK(t_lint(self->vm, 0, i & 1, 1));
		EXPECT_TRUE(log_reaches(self->vm, i + 1));
		EXPECT_EQ(0x4e + (i & 1), T_G(self->vm, g_log).vector[i]);
		t_sleep_ms(20);
		EXPECT_EQ(i + 1, T_G(self->vm, g_log).nr);
		ASSERT_OK(t_lint(self->vm, 0, i & 1, 0));
	}
	stop(self->vm, &t);
}

/* before the guest does anything, LINT0 passes to the processor: virtual wire mode of a disabled
 * APIC */
TEST_F(apic, extint_with_apic_off)
{
	struct vmm_sregs s;
	struct vmm_regs r;

	t_load(self->vm, T_CODE, "\x90\x90\x90\xf4", 4);
	t_set_mode(self->v, T_REAL);
	t_get_sregs(self->v, &s);
	s.apic_base &= ~0x800ull;
	t_set_sregs(self->v, &s);
	t_get_regs(self->v, &r);
	r.rflags |= 0x200;
	t_set_regs(self->v, &r);
	ASSERT_OK(t_lint(self->vm, 0, 0, 1));
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_INTACK));
	ASSERT_OK(t_lint(self->vm, 0, 0, 0));
	self->v->run->u.intack.vector = 0x08;
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	t_get_regs(self->v, &r);
	EXPECT_EQ(8, t_trap_of(r.rip));
}

VMM_TEST_MAIN
