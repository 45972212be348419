// SPDX-License-Identifier: GPL-2.0
/*
 * The timer: SDM vol. 3, 11.5.4. One tick of the APIC's clock is 1 ns.
 */
#include "world.h"

#define LVT_ONESHOT	0xe0
#define LVT_PERIODIC	0x200e0
#define LVT_DEADLINE	0x400e0
#define DIVIDE_1	0xb
#define MSEC		1000000ull
#define MSR_DEADLINE	0x6e0

static void start(u32 lvt, u32 divide)
{
	world_start(1);
	enable(0);
	wr(0, LAPIC_TIMER_DIVIDE, divide);
	wr(0, LAPIC_LVT, lvt);
}

static u32 current_count(void)
{
	return rd(0, LAPIC_TIMER_CURRENT);
}

/* Was there an expiry? It is ended. */
static bool expired(void)
{
	if (take(0) != 0xe0)
		return false;
	wr(0, LAPIC_EOI, 0);
	return true;
}

static bool armed(void)
{
	return cpu(0)->lapic->timer.hrt.queued;
}

static u64 deadline(void)
{
	u64 v = ~0ull;

	EXPECT_EQ(rdmsr(0, MSR_DEADLINE, &v), 0);
	return v;
}

static u64 tsc(void)
{
	return vmm_guest_tsc(cpu(0));
}

UNIT_TEST(timer_divisors)
{
	static const u8 code[] = { 0xb, 0, 1, 2, 3, 8, 9, 0xa };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(code); i++) {
		u64 length = 1000000ull << i;

		start(LVT_ONESHOT, code[i]);
		wr(0, LAPIC_TIMER_COUNT, 1000000);
		clock_advance(length - 1);
		EXPECT_EQ(current_count(), 1);
		EXPECT(!expired());
		clock_advance(1);
		EXPECT_EQ(current_count(), 0);
		EXPECT(expired());
		clock_advance(10 * length);
		EXPECT(!expired());
		EXPECT(!armed());
		EXPECT_EQ(rd(0, LAPIC_TIMER_COUNT), 1000000);
	}
}

UNIT_TEST(timer_longest)
{
	start(LVT_ONESHOT, 0xa);
	wr(0, LAPIC_TIMER_COUNT, ~0u);
	clock_advance((~0u * 128ull) - 1);
	EXPECT(!expired());
	clock_advance(1);
	EXPECT(expired());
}

UNIT_TEST(timer_count_down)
{
	u32 last, now;
	int i;

	start(LVT_ONESHOT, 2);		/* by 8 */
	wr(0, LAPIC_TIMER_COUNT, 5000);
	EXPECT_EQ(current_count(), 5000);
	clock_advance(7);
	EXPECT_EQ(current_count(), 5000);
	clock_advance(1);
	EXPECT_EQ(current_count(), 4999);
	last = 4999;
	for (i = 0; i < 2000; i++) {
		clock_advance(37);
		now = current_count();
		EXPECT(now <= last && (now || !i || last <= 5));
		last = now;
	}
	EXPECT_EQ(last, 0);
}

UNIT_TEST(timer_zero_stops)
{
	start(LVT_PERIODIC, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 1000000);
	EXPECT(armed());
	wr(0, LAPIC_TIMER_COUNT, 0);
	EXPECT(!armed());
	EXPECT_EQ(current_count(), 0);
	clock_advance(5 * MSEC);
	EXPECT(!expired());
}

UNIT_TEST(timer_periodic)
{
	int i;

	start(LVT_PERIODIC, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 1000000);
	for (i = 0; i < 10; i++) {
		clock_advance(MSEC - 1);
		EXPECT(!expired());
		clock_advance(1);
		EXPECT(expired());
		EXPECT_EQ(current_count(), 1000000);
	}
	clock_advance(10 * MSEC + MSEC / 4);
	EXPECT_EQ(current_count(), 750000);
	EXPECT(expired());
	EXPECT(!expired());		/* what nobody took is one */
}

UNIT_TEST(timer_periodic_floor)
{
	unsigned int n = 0, i;
	u32 count;

	start(LVT_PERIODIC, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 10);
	for (i = 0; i < 1000; i++) {
		clock_advance(10000);
		count = current_count();
		EXPECT(count >= 1 && count <= 10);
		n += expired();
	}
	EXPECT_EQ(n, 10 * MSEC / LAPIC_MIN_PERIOD_NS);
	/* one-shot has no floor */
	wr(0, LAPIC_LVT, LVT_ONESHOT);
	wr(0, LAPIC_TIMER_COUNT, 10);
	clock_advance(10);
	EXPECT(expired());
}

UNIT_TEST(timer_masked)
{
	start(LVT_ONESHOT, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 1000000);
	clock_advance(MSEC / 2);
	wr(0, LAPIC_LVT, LVT_ONESHOT | LAPIC_LVT_MASKED);
	EXPECT(!armed());		/* nothing would come of it */
	EXPECT_EQ(current_count(), 500000);
	wr(0, LAPIC_LVT, LVT_ONESHOT);
	EXPECT(armed());
	wr(0, LAPIC_LVT, LVT_ONESHOT | LAPIC_LVT_MASKED);
	clock_advance(MSEC);
	wr(0, LAPIC_LVT, LVT_ONESHOT);
	clock_advance(MSEC);
	EXPECT(!expired());		/* it passed while masked */

	start(LVT_PERIODIC | LAPIC_LVT_MASKED, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 1000000);
	clock_advance(5 * MSEC + MSEC / 4);
	EXPECT_EQ(current_count(), 750000);
	wr(0, LAPIC_LVT, LVT_PERIODIC);
	EXPECT(!expired());
	clock_advance(MSEC * 3 / 4);
	EXPECT(expired());		/* in phase */
	/* software disabling masks, too */
	wr(0, LAPIC_SVR, 0xff);
	EXPECT(!armed());
}

UNIT_TEST(timer_oneshot_periodic_switch)
{
	start(LVT_ONESHOT, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 1000000);
	clock_advance(MSEC / 4);
	wr(0, LAPIC_LVT, LVT_PERIODIC);
	EXPECT_EQ(current_count(), 750000);
	clock_advance(MSEC * 3 / 4);
	EXPECT(expired());
	clock_advance(MSEC);
	EXPECT(expired());
	clock_advance(MSEC / 2);
	wr(0, LAPIC_LVT, LVT_ONESHOT);
	clock_advance(MSEC / 2);
	EXPECT(expired());
	clock_advance(5 * MSEC);
	EXPECT(!expired());
	/* an expired one-shot is not revived */
	wr(0, LAPIC_LVT, LVT_PERIODIC);
	EXPECT_EQ(current_count(), 0);
	clock_advance(5 * MSEC);
	EXPECT(!expired());
}

UNIT_TEST(timer_divide_while_running)
{
	start(LVT_ONESHOT, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 1000000);
	clock_advance(MSEC / 2);
	wr(0, LAPIC_TIMER_DIVIDE, 0);		/* by 2: half the rate */
	EXPECT_EQ(current_count(), 500000);
	clock_advance(MSEC - 1);
	EXPECT(!expired());
	clock_advance(1);
	EXPECT(expired());
	wr(0, LAPIC_TIMER_DIVIDE, DIVIDE_1);
	EXPECT_EQ(current_count(), 0);
	/* a stretched period stays one */
	start(LVT_PERIODIC, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 10);
	clock_advance(LAPIC_MIN_PERIOD_NS / 2);
	wr(0, LAPIC_TIMER_DIVIDE, 0);
	EXPECT_EQ(current_count(), 5);
	clock_advance(LAPIC_MIN_PERIOD_NS);
	EXPECT(expired());
}

UNIT_TEST(timer_mode_3)
{
	start(0x600e0, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 1000);
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, tsc() + 1000), 0);
	EXPECT_EQ(rd(0, LAPIC_TIMER_COUNT), 0);
	EXPECT_EQ(deadline(), 0);
	EXPECT(!armed());
}

UNIT_TEST(deadline_never_early)
{
	static const u64 khz[] = { 1, 999, 1000000, 2000000, 2893437, 3999999, 5123456 };
	static const u64 delta[] = { 1, 2, 3, 999, 1000003, 123456789, 98765432109ull };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(khz); i++) {
		for (j = 0; j < ARRAY_SIZE(delta); j++) {
			u64 limit, at;

			start(LVT_DEADLINE, DIVIDE_1);
			w.tsc_khz = khz[i];
			at = tsc() + delta[j];
			EXPECT_EQ(wrmsr(0, MSR_DEADLINE, at), 0);
			EXPECT_EQ(deadline(), at);
			EXPECT(!expired());
			/* step from expiry to expiry of the hrtimer */
			for (limit = 0; armed() && limit < 2000; limit++) {
				u64 next = cpu(0)->lapic->timer.hrt.expires;

				EXPECT(next > clock_ns);
				if (next - clock_ns > 1) {
					clock_advance(next - clock_ns - 1);
					if (expired() && tsc() < at)
						FAIL("early: %llu kHz, %llu", khz[i], delta[j]);
				}
				clock_advance(1);
			}
			EXPECT(expired());
			EXPECT(tsc() >= at);
			/* and at most one tick of the ns clock late */
			EXPECT(tsc() - at <= khz[i] / 1000000 + 1);
			EXPECT_EQ(deadline(), 0);
		}
	}
}

UNIT_TEST(deadline_past_and_zero)
{
	start(LVT_DEADLINE, DIVIDE_1);
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, tsc()), 0);
	EXPECT(expired());
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, 1), 0);
	EXPECT(expired());
	EXPECT(!armed());
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, tsc() + 2000000), 0);
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, 0), 0);
	EXPECT(!armed());
	clock_advance(5 * MSEC);
	EXPECT(!expired());
	/* as far as it goes */
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, ~0ull), 0);
	clock_advance(400ull * 86400 * 1000 * MSEC);
	EXPECT(!expired());
	EXPECT_EQ(deadline(), ~0ull);
	EXPECT(armed());
}

UNIT_TEST(deadline_masked)
{
	start(LVT_DEADLINE | LAPIC_LVT_MASKED, DIVIDE_1);
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, tsc() + 2000000), 0);
	EXPECT(!armed());
	clock_advance(MSEC / 2);
	wr(0, LAPIC_LVT, LVT_DEADLINE);
	EXPECT(armed());
	wr(0, LAPIC_LVT, LVT_DEADLINE | LAPIC_LVT_MASKED);
	clock_advance(MSEC);
	EXPECT_EQ(deadline(), 0);
	wr(0, LAPIC_LVT, LVT_DEADLINE);
	clock_advance(MSEC);
	EXPECT(!expired());
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, 1), 0);
	EXPECT(expired());
}

UNIT_TEST(deadline_mode_switch_disarms)
{
	start(LVT_ONESHOT, DIVIDE_1);
	/* the other modes ignore the MSR */
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, tsc() + 10), 0);
	EXPECT_EQ(deadline(), 0);
	wr(0, LAPIC_TIMER_COUNT, 1000000);
	wr(0, LAPIC_LVT, LVT_DEADLINE);
	EXPECT(!armed());
	EXPECT_EQ(current_count(), 0);
	wr(0, LAPIC_TIMER_COUNT, 1000);		/* ignored */
	EXPECT_EQ(rd(0, LAPIC_TIMER_COUNT), 0);
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, tsc() + 2000000), 0);
	wr(0, LAPIC_LVT, LVT_DEADLINE + 1);	/* same mode: stays armed */
	EXPECT(armed());
	wr(0, LAPIC_LVT, LVT_ONESHOT);
	EXPECT(!armed());
	wr(0, LAPIC_LVT, LVT_DEADLINE);
	EXPECT_EQ(deadline(), 0);
	clock_advance(5 * MSEC);
	EXPECT(!expired());
}

UNIT_TEST(deadline_tsc_jumps)
{
	start(LVT_DEADLINE, DIVIDE_1);
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, tsc() + 20000000), 0);	/* 10 ms */
	w.tsc_offset -= 10000000;				/* back by 5 ms */
	vmm_lapic_tsc_changed(cpu(0));
	clock_advance(15 * MSEC - 1);
	EXPECT(!expired());
	clock_advance(1);
	EXPECT(expired());
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, tsc() + 20000000), 0);
	w.tsc_offset += 20000000;
	vmm_lapic_tsc_changed(cpu(0));
	EXPECT(expired());
	/* nobody told: late is allowed, early is not */
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, tsc() + 20000000), 0);
	w.tsc_offset -= 10000000;
	clock_advance(10 * MSEC);
	EXPECT(!expired());
	clock_advance(5 * MSEC);
	EXPECT(expired());
}

/* The owner comes between the expiry and the callback. */
UNIT_TEST(timer_late_callback)
{
	start(LVT_ONESHOT, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 1000);
	clock_ns += 2000;
	EXPECT_EQ(current_count(), 0);
	wr(0, LAPIC_LVT, LVT_ONESHOT | LAPIC_LVT_MASKED);
	EXPECT(expired());			/* it was due before the mask */
	start(LVT_PERIODIC, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 1000000);
	clock_ns += 2 * MSEC + MSEC / 2;
	wr(0, LAPIC_TIMER_DIVIDE, 0);
	EXPECT(expired());
	EXPECT_EQ(current_count(), 500000);
	start(LVT_DEADLINE, DIVIDE_1);
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, tsc() + 1000), 0);
	clock_ns += 2000;
	EXPECT_EQ(wrmsr(0, MSR_DEADLINE, tsc() + 2000000), 0);
	EXPECT(expired());
	EXPECT(armed());
	clock_advance(MSEC);
	EXPECT(expired());
}

UNIT_TEST(timer_reset_stops)
{
	start(LVT_PERIODIC, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 1000000);
	vmm_lapic_reset(cpu(0), true);
	EXPECT(!armed());
	EXPECT_EQ(rd(0, LAPIC_TIMER_COUNT), 0);
	start(LVT_PERIODIC, DIVIDE_1);
	wr(0, LAPIC_TIMER_COUNT, 1000000);
	EXPECT_EQ(set_mode(0, 0), 0);
	EXPECT(!armed());
}
