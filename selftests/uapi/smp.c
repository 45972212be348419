// SPDX-License-Identifier: GPL-2.0
/*
 * Several vCPUs, each in its thread: start-up, interrupts between them, shared memory, one
 * clock.
 */
#include "harness.h"

#define VCPUS	4

static void run_smp(struct __test_metadata *_metadata, void (*fn)(uint64_t), unsigned int vcpus,
		    bool x2)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v[VCPUS];
	struct t_thread t[VCPUS];
	unsigned int i;

	t_kicks();
	t_limit_s = 200;
	for (i = 0; i < vcpus; i++) {
		v[i] = t_vcpu_new(vm, i);
		v[i]->run_on = true;
	}
	t_start(v[0], fn, vcpus);
	T_G(vm, g_smp).x2 = x2;
	for (i = 1; i < vcpus; i++)
		t_spawn(&t[i], v[i]);
	EXPECT_TRUE(t_done(v[0])) {
		struct g_smp *s = &T_G(vm, g_smp);

		TH_LOG("online %u, interrupts %u %u %u %u, NMIs %u %u %u %u, starts %u %u %u",
		       s->online, s->got[0], s->got[1], s->got[2], s->got[3], s->nmis[0],
		       s->nmis[1], s->nmis[2], s->nmis[3], s->starts[1], s->starts[2],
		       s->starts[3]);
	}
	for (i = 1; i < vcpus; i++) {
		if (!t_ended_within(&t[i], 20000)) {
			TH_LOG("vCPU %u did not come to its end", i);
			v[i]->run->immediate_exit = 1;
			t_kick(&t[i]);
		}
		EXPECT_EQ(T_DONE, t_join(&t[i])) TH_LOG("vCPU %u", i);
	}
}

#define SMP_TEST(name, fn)						\
	TEST(name) { run_smp(_metadata, fn, VCPUS, false); }		\
	TEST(name##_two) { run_smp(_metadata, fn, 2, false); }

/* the trampoline takes its number from the xAPIC register page, and then changes to x2APIC */
#define SMP_TEST_X2(name, fn)						\
	TEST(name##_x2apic) { run_smp(_metadata, fn, VCPUS, true); }

SMP_TEST(start, guest_smp_start)
SMP_TEST(counter, guest_smp_counter)
SMP_TEST(ipis, guest_smp_ipis)
SMP_TEST_X2(ipis, guest_smp_ipis)
SMP_TEST(broadcast, guest_smp_broadcast)
SMP_TEST_X2(broadcast, guest_smp_broadcast)
SMP_TEST(logical, guest_smp_logical)
SMP_TEST_X2(logical, guest_smp_logical)
SMP_TEST(nmi, guest_smp_nmi)
SMP_TEST(init, guest_smp_init)
SMP_TEST(clock, guest_smp_clock)

/* vCPUs made after the first has run come up like the others */
TEST(late_vcpu)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0), *late;
	struct t_thread t, boot;

	t_kicks();
	t_load(vm, T_CODE, "\xe6\x11\xf4", 3);
	t_set_mode(v, T_LONG);
	ASSERT_TRUE(t_done(v));
	late = t_vcpu_new(vm, 1);
	t_start(v, guest_smp_start, 2);
	t_spawn(&boot, v);
	t_sleep_ms(100);
	t_spawn(&t, late);
	EXPECT_EQ(T_DONE, t_join(&boot));
	EXPECT_EQ(T_DONE, t_join(&t));
}

/* an application processor can be given its state from outside, without INIT and SIPI */
TEST(direct_start)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v[2] = { t_vcpu_new(vm, 0), t_vcpu_new(vm, 1) };

	t_load(vm, T_CODE, "\xe6\x11\xf4", 3);
	t_set_mode(v[1], T_LONG);
	EXPECT_TRUE(t_done(v[1]));
	EXPECT_EQ(VMM_MP_RUNNING, t_get_mp(v[1]));
}

/* INIT as a message, SIPI as state; the state in between; the segment that the vector stands
 * for */
TEST(init_sipi_state)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *ap;
	struct vmm_events ev = { 0 };
	struct vmm_sregs s;
	struct vmm_regs r;
	struct t_thread t;

	t_kicks();
	t_vcpu_new(vm, 0);
	ap = t_vcpu_new(vm, 1);
	t_load(vm, 0x9a000, "\x8c\xc8\xe7\x10\xe6\x11\xf4", 7);	/* mov %cs, %ax; out; done */
	t_spawn(&t, ap);
	EXPECT_FALSE(t_ended_within(&t, 200));
	/* a message cannot start a processor (SDM vol. 3, 11.11.2), but it can initialise it */
	EXPECT_EQ(-EINVAL, t_msi(vm, 0xfee01000, 0x69a));
	ASSERT_LE(0, t_msi(vm, 0xfee01000, 0x4500));
	t_sleep_ms(200);
	EXPECT_FALSE(t.ended);
	ap->run->immediate_exit = 1;
	t_kick(&t);
	t_join(&t);
	ap->run->immediate_exit = 0;
	EXPECT_EQ(VMM_MP_WAIT_SIPI, t_get_mp(ap));
	t_get_sregs(ap, &s);
	EXPECT_EQ(0x60000010, s.cr0);
	EXPECT_EQ(0xfee00800, s.apic_base);
	ev.flags = VMM_EV_SIPI_PENDING;
	ev.sipi_vector = 0x9a;
	t_set_events(ap, &ev);
	t_spawn(&t, ap);
	ASSERT_TRUE(t_ended_within(&t, 10000)) TH_LOG("the start-up IPI has no effect");
	EXPECT_EQ(T_DONE, t_join(&t));
	EXPECT_EQ(0x9a00, ap->report[0] & 0xffff);
	t_get_regs(ap, &r);
	t_get_sregs(ap, &s);
	EXPECT_EQ(0x9a000, s.seg[VMM_SEG_CS].base);
	EXPECT_EQ(VMM_MP_RUNNING, t_get_mp(ap));
}

VMM_TEST_MAIN
