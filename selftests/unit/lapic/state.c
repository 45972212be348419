// SPDX-License-Identifier: GPL-2.0
/*
 * VMM_STATE_LAPIC.
 */
#include "world.h"

#define X2	(LAPIC_BASE_EN | LAPIC_BASE_EXTD)

static struct vmm_lapic_state s, t;

static void put(struct vmm_lapic_state *state, unsigned int offset, u32 value)
{
	memcpy(state->regs + offset, &value, sizeof(value));
}

static u32 get(const struct vmm_lapic_state *state, unsigned int offset)
{
	u32 value;

	memcpy(&value, state->regs + offset, sizeof(value));
	return value;
}

/* Carries the state of vCPU 1 to a new VM, whose clock has another value. */
static void move(void)
{
	u64 base = vmm_lapic_get_base(cpu(1));

	vmm_lapic_get_state(cpu(1), &s);
	world_start(2);
	clock_ns = 777000000000ull;
	EXPECT_EQ(vmm_lapic_set_base(cpu(1), base, true), 0);
	EXPECT_EQ(vmm_lapic_set_state(cpu(1), &s), 0);
	vmm_lapic_get_state(cpu(1), &t);
	EXPECT_MEMEQ(&s, &t, sizeof(s));
}

UNIT_TEST(state_round_trip)
{
	struct vmm_lint lint = { .vcpu_id = 1, .pin = 0, .level = 1 };

	world_start(2);
	move();					/* as after power-on */
	enable(1);
	wr(1, LAPIC_ID, 0x21000000);
	wr(1, LAPIC_LDR, 0x14000000);
	wr(1, LAPIC_DFR, 0);
	wr(1, LAPIC_TPR, 0x2a);
	wr(1, LAPIC_LVT + 0x30, 0x8061);
	vmm_set_lint(&w.vm, &lint);		/* remote IRR */
	vmm_lapic_accept(cpu(1)->lapic, 0x91, true);
	EXPECT_EQ(take(1), 0x91);
	vmm_lapic_accept(cpu(1)->lapic, 0xa2, false);
	vmm_lapic_accept(cpu(1)->lapic, 0x35, false);
	wr(1, LAPIC_ICR_HIGH, 0x99000000);
	wr(1, LAPIC_ICR, 0x4044);
	rd(1, 0x500);
	wr(1, LAPIC_ESR, 0);
	vmm_lapic_accept(cpu(1)->lapic, 4, false);
	move();
	EXPECT_EQ(get(&s, LAPIC_LVT + 0x30), 0xc061);
	EXPECT_EQ(s.errors, 0x40);
	EXPECT_EQ(get(&s, LAPIC_ESR), 0x80);
	EXPECT(request(1, VMM_REQ_EVENT));
	EXPECT_EQ(take(1), 0xa2);
	wr(1, LAPIC_EOI, 0);
	wr(1, LAPIC_EOI, 0);
	EXPECT_EQ(w.v[1].last_eoi, 0x91);
	EXPECT_EQ(take(1), 0x61);
	wr(1, LAPIC_EOI, 0);
	EXPECT_EQ(take(1), 0x61);		/* the pin is still up */
	EXPECT(w.vm.apic_ids_changed);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee21000, 0xb0), 1);
}

UNIT_TEST(state_x2apic)
{
	u64 v;

	world_start(2);
	EXPECT_EQ(set_mode(1, X2), 0);
	EXPECT_EQ(wrmsr(1, 0x80f, 0x1ff), 0);
	EXPECT_EQ(wrmsr(1, 0x830, 0x1234567800004045), 0);
	move();
	EXPECT_EQ(get(&s, LAPIC_ID), 1);
	EXPECT_EQ(get(&s, LAPIC_LDR), 2);
	EXPECT_EQ(get(&s, LAPIC_ICR_HIGH), 0x12345678);
	EXPECT_EQ(rdmsr(1, 0x830, &v), 0);
	EXPECT_EQ(v, 0x1234567800004045);
	put(&s, LAPIC_ID, 5);
	EXPECT_EQ(vmm_lapic_set_state(cpu(1), &s), -EINVAL);
}

UNIT_TEST(state_timer)
{
	world_start(2);
	enable(1);
	wr(1, LAPIC_TIMER_DIVIDE, 0xb);
	wr(1, LAPIC_LVT, 0xe0);
	wr(1, LAPIC_TIMER_COUNT, 1000000);
	clock_advance(400000);
	move();
	EXPECT_EQ(s.timer_elapsed_ns, 400000);
	EXPECT_EQ(get(&s, LAPIC_TIMER_CURRENT), 600000);
	clock_advance(599999);
	EXPECT_EQ(take(1), -1);
	clock_advance(1);
	EXPECT_EQ(take(1), 0xe0);
	move();					/* expired */
	clock_advance(5000000);
	EXPECT(!irr(1, 0xe0));
	wr(1, LAPIC_EOI, 0);

	wr(1, LAPIC_LVT, 0x200e0);
	wr(1, LAPIC_TIMER_COUNT, 1000000);
	clock_advance(2300000);
	EXPECT_EQ(take(1), 0xe0);
	wr(1, LAPIC_EOI, 0);
	move();
	EXPECT_EQ(s.timer_elapsed_ns, 300000);
	clock_advance(699999);
	EXPECT_EQ(take(1), -1);
	clock_advance(1);
	EXPECT_EQ(take(1), 0xe0);
	wr(1, LAPIC_EOI, 0);

	/* due and not yet delivered: it is in IRR then, once */
	clock_ns += 1000000;
	move();
	EXPECT_EQ(take(1), 0xe0);
	wr(1, LAPIC_EOI, 0);
	EXPECT_EQ(take(1), -1);
}

UNIT_TEST(state_deadline)
{
	u64 v;

	world_start(2);
	enable(1);
	wr(1, LAPIC_LVT, 0x400e0);
	EXPECT_EQ(wrmsr(1, 0x6e0, 5000), 0);
	EXPECT_EQ(take(1), 0xe0);
	wr(1, LAPIC_EOI, 0);
	EXPECT_EQ(wrmsr(1, 0x6e0, vmm_guest_tsc(cpu(1)) + 2000000), 0);
	vmm_lapic_get_state(cpu(1), &s);
	EXPECT_EQ(vmm_lapic_set_state(cpu(1), &s), 0);
	EXPECT_EQ(rdmsr(1, 0x6e0, &v), 0);
	EXPECT_EQ(v, s.timer_deadline);
	clock_advance(1000000);
	EXPECT_EQ(take(1), 0xe0);
	wr(1, LAPIC_EOI, 0);
	/* one that has passed by the time of the set */
	EXPECT_EQ(vmm_lapic_set_state(cpu(1), &s), 0);
	EXPECT_EQ(take(1), 0xe0);
}

UNIT_TEST(state_refused)
{
	static const struct { unsigned int offset; u32 value; } bad[] = {
		{ LAPIC_ID, 1 }, { LAPIC_VERSION, 0x50015 }, { LAPIC_VERSION, 0 },
		{ LAPIC_TPR, 0x100 }, { LAPIC_EOI, 1 }, { LAPIC_LDR, 1 }, { LAPIC_DFR, 0 },
		{ LAPIC_DFR, 0x1fffffff }, { LAPIC_SVR, 0x1000 }, { LAPIC_ISR, 1 },
		{ LAPIC_IRR, 0x8000 },
		{ LAPIC_TMR, 2 }, { LAPIC_ESR, 1 }, { LAPIC_ESR, 0x100 }, { LAPIC_ICR, BIT(12) },
		{ LAPIC_ICR, BIT(20) }, { LAPIC_ICR_HIGH, 1 }, { LAPIC_LVT, 0x80000 },
		{ LAPIC_LVT + 0x50, 0x10100 }, { LAPIC_LVT + 0x40, BIT(14) },
		{ LAPIC_TIMER_DIVIDE, 4 },
		{ 0x2f0, 0x10000 }, { 0x000, 1 }, { 0x090, 1 }, { 0x3f0, 1 }, { 0x024, 1 },
		{ LAPIC_TPR + 12, 1 },
	};
	struct vmm_lapic_state good;
	unsigned int i;

	world_start(2);
	enable(1);
	wr(1, LAPIC_TPR, 0x33);
	vmm_lapic_get_state(cpu(1), &good);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		s = good;
		put(&s, LAPIC_TPR, 0x44);
		put(&s, bad[i].offset, bad[i].value);
		if (vmm_lapic_set_state(cpu(1), &s) != -EINVAL)
			FAIL("%#x in %#x was taken", bad[i].value, bad[i].offset);
		vmm_lapic_get_state(cpu(1), &t);
		EXPECT_MEMEQ(&good, &t, sizeof(t));
	}
	s = good;
	s.lint = 4;
	EXPECT_EQ(vmm_lapic_set_state(cpu(1), &s), -EINVAL);
	s = good;
	s.pad[1] = 1;
	EXPECT_EQ(vmm_lapic_set_state(cpu(1), &s), -EINVAL);
	s = good;
	s.errors = 1;
	EXPECT_EQ(vmm_lapic_set_state(cpu(1), &s), -EINVAL);
	s = good;
	s.timer_deadline = 1;
	EXPECT_EQ(vmm_lapic_set_state(cpu(1), &s), -EINVAL);
	s = good;
	put(&s, LAPIC_LVT, 0x400e0);
	put(&s, LAPIC_TIMER_COUNT, 1);
	EXPECT_EQ(vmm_lapic_set_state(cpu(1), &s), -EINVAL);
	/* software disabled with an unmasked entry */
	s = good;
	put(&s, LAPIC_SVR, 0xff);
	put(&s, LAPIC_LVT + 0x50, 0x31);
	EXPECT_EQ(vmm_lapic_set_state(cpu(1), &s), -EINVAL);
}

/* Whatever bytes come, they are refused or taken; nothing else happens. */
UNIT_TEST(state_random)
{
	unsigned int i, n, taken = 0;

	world_start(2);
	enable(1);
	srandom(1);
	for (i = 0; i < 200000; i++) {
		vmm_lapic_get_state(cpu(1), &s);
		for (n = random() % 4; n; n--)
			put(&s, (random() % 64) * 16, random() & random());
		s.timer_elapsed_ns = (u64)random() << (random() % 33);
		s.lint = random() & 7;
		taken += !vmm_lapic_set_state(cpu(1), &s);
		if (i % 3)
			clock_advance(random() % 1000000);
		vmm_lapic_pending(cpu(1));
	}
	EXPECT(taken > 1000 && taken < 200000);
}
