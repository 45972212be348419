// SPDX-License-Identifier: GPL-2.0
/*
 * The paravirtual clock: what the guest reads against what the host knows.
 */
#include <pthread.h>
#include <time.h>

#include "harness.h"

FIXTURE(clock)
{
	struct t_vm *vm;
	struct t_vcpu *v;
};

FIXTURE_SETUP(clock)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	t_kicks();
}

FIXTURE_TEARDOWN(clock)
{
}

static uint64_t guest_ns(struct t_vm *vm)
{
	struct vmm_clock c;

	if (t_vm_get(vm, VMM_STATE_CLOCK, &c, sizeof(c)))
		t_die("no clock state");
	return c.guest_ns;
}

static uint64_t realtime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void settle_outs(struct __test_metadata *_metadata, struct t_vcpu *v)
{
	enum t_out out;

	while ((out = t_guest(v)) == T_EXIT) {
		ASSERT_EQ(VMM_EXIT_IO, v->run->exit_reason) t_describe(v, v->run->exit_reason);
		ASSERT_EQ(0x80, v->run->u.io.port);
	}
	ASSERT_EQ(T_DONE, out);
}

TEST_F(clock, agrees_with_the_host)
{
	uint64_t before, after, real_before, real_after, guest_real;
	struct t_vcpu *v = self->v;

	t_start(v, guest_clock, 0);
	before = guest_ns(self->vm);
	real_before = realtime();
	settle_outs(_metadata, v);
	after = guest_ns(self->vm);
	real_after = realtime();
	ASSERT_EQ(4, v->nr_report);
	/* 1 ms for what the scaling of the TSC rounds */
	EXPECT_LE(before, v->report[0] + 1000000);
	EXPECT_LE(v->report[0], v->report[1]);
	EXPECT_LE(v->report[1], after + 1000000);
	/* wall clock plus system time is now */
	guest_real = v->report[2] + v->report[3];
	EXPECT_LE(real_before, guest_real + 50000000)
	TH_LOG("host %lu, guest %lu", real_before, guest_real);
	EXPECT_LE(guest_real, real_after + 50000000)
	TH_LOG("host %lu, guest %lu", real_after, guest_real);
}

/* it keeps pace over a second, to a thousandth */
TEST_F(clock, pace)
{
	uint64_t a, b, host;
	struct t_thread t;

	t_start(self->v, guest_clock_loop, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	a = guest_ns(self->vm);
	host = t_now_ns();
	t_spawn(&t, self->v);
	t_sleep_ms(1500);
	T_G(self->vm, g_apic_stop) = 1;
	ASSERT_EQ(T_DONE, t_join(&t));
	b = guest_ns(self->vm);
	host = t_now_ns() - host;
	EXPECT_LE(self->v->report[0], b + 1000000);
	EXPECT_LE(a + 1400000000, self->v->report[0]);
	EXPECT_LE(b - a, host + host / 1000 + 10000000);
	EXPECT_LE(host, b - a + host / 1000 + 10000000);
}

TEST_F(clock, off)
{
	t_start(self->v, guest_clock_off, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	t_sleep_ms(50);
	ASSERT_TRUE(t_synced(self->v, 2));
	t_sleep_ms(50);
	EXPECT_TRUE(t_done(self->v));
}

TEST_F(clock, bad_pages)
{
	enum t_out out;

	t_start(self->v, guest_clock_bad, 0);
	while ((out = t_guest(self->v)) == T_EXIT && self->v->run->exit_reason == VMM_EXIT_IO)
		;
	EXPECT_EQ(T_DONE, out) t_describe(self->v, self->v->run->exit_reason);
}

/* the page is unmapped, moved and mapped again while the guest reads it */
TEST_F(clock, page_under_pressure)
{
	struct t_thread t;
	unsigned int i;

	t_start(self->v, guest_clock_loop, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	t_spawn(&t, self->v);
	for (i = 0; i < 50 && !t.ended; i++) {
		t_write_file("/proc/sys/vm/compact_memory", "1");
		madvise(self->vm->mem, self->vm->mem_size, 21 /* MADV_PAGEOUT */);
		t_sleep_ms(5);
	}
	T_G(self->vm, g_apic_stop) = 1;
	EXPECT_EQ(T_DONE, t_join(&t));
}

/* set to another time: the guest reads it at once, and it never stops */
TEST_F(clock, set)
{
	struct vmm_clock c;

	t_start(self->v, guest_clock_loop, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
	ASSERT_OK(t_vm_get(self->vm, VMM_STATE_CLOCK, &c, sizeof(c)));
	c.guest_ns += 3600000000000;
	ASSERT_OK(t_vm_set(self->vm, VMM_STATE_CLOCK, &c, sizeof(c)));
	T_G(self->vm, g_apic_stop) = 0;
	{
		struct t_thread t;

		t_spawn(&t, self->v);
		t_sleep_ms(300);
		T_G(self->vm, g_apic_stop) = 1;
		ASSERT_EQ(T_DONE, t_join(&t));
	}
	EXPECT_LE(c.guest_ns, self->v->report[0]);
	EXPECT_GE(c.guest_ns + 60000000000, self->v->report[0]);
}

VMM_TEST_MAIN
