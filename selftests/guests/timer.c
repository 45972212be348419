// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's timer (SDM vol. 3, 11.5.4). Time is the TSC's. An emulated machine is late
 * as it likes, so there is an upper bound for nothing; what may never be is an interrupt that
 * is early, twice, or lost.
 */
#include "guest.h"

static u32 x2;		/* through MSRs */
static volatile u64 fired_at[64];

static u32 reg(u32 r)
{
	return x2 ? (u32)g_rdmsr(MSR_X2(r)) : g_apic(r);
}

static void set(u32 r, u32 v)
{
	if (x2)
		g_wrmsr(MSR_X2(r), v);
	else
		g_apic_write(r, v);
}

static void fired(struct g_frame *f)
{
	u32 n = g_log.nr;

	if (n < 64)
		fired_at[n] = g_rdtsc();
	g_log.vector[n & 255] = (u32)f->vector;
	g_log.nr = n + 1;
	set(APIC_EOI, 0);
}

static u64 tsc_per_count;	/* TSC ticks that 1024 counts take, at least */

/* interrupts on for so many TSC ticks */
static void wait_ticks(u64 ticks)
{
	u64 end = g_rdtsc() + ticks;

	g_sti();
	while (g_rdtsc() < end)
		g_pause();
	g_cli();
}

static void start(u64 arg)
{
	u64 t0, t1;
	u32 c0, c1;

	x2 = (u32)arg & 1;
	g_handler[0x40] = fired;
	g_handler[0x48] = fired;
	if (x2)
		g_x2apic_on();
	else
		g_apic_on();
	/* how fast does it count? the read of the counter lies inside both reads of the TSC */
	set(APIC_TDCR, 0xb);
	set(APIC_LVTT, APIC_MASKED | 0x40);
	set(APIC_TMICT, 0xffffffff);
	c0 = reg(APIC_TMCCT);
	t0 = g_rdtsc();
	while (g_rdtsc() - t0 < 20000000)
		;
	t1 = g_rdtsc();
	c1 = reg(APIC_TMCCT);
	set(APIC_TMICT, 0);
	G_EXPECT(c0 > c1);
	tsc_per_count = (t1 - t0) * 1024 / (c0 - c1);
	G_EXPECT(tsc_per_count > 0);
	g_log.nr = 0;
}

/* counts of about so many milliseconds, if the TSC makes 1 to 5 GHz; enough to be told apart from
 * noise */
static u32 counts(u32 ms)
{
	return (u32)((u64)ms * 2000000 * 1024 / tsc_per_count);
}

static u64 ticks(u32 count)
{
	return (u64)count * tsc_per_count / 1024;
}

void guest_timer_one_shot(u64 arg)
{
	u32 n, last, now;
	u64 t0;
	int i;

	start(arg);
	n = counts(20);
	for (i = 0; i < 5; i++) {
		g_log.nr = 0;
		set(APIC_LVTT, 0x40);
		t0 = g_rdtsc();
		set(APIC_TMICT, n);
		G_EXPECT_EQ(reg(APIC_TMICT), n);
		/* the counter only falls */
		for (last = n; g_rdtsc() - t0 < ticks(n) / 2; last = now) {
			now = reg(APIC_TMCCT);
			G_EXPECT(now <= last);
		}
		g_wait_log(1);
		G_EXPECT_EQ(g_log.vector[0], 0x40);
		/* not early: 2 % for the calibration */
		G_EXPECT(fired_at[0] - t0 >= ticks(n) / 50 * 49);
		G_EXPECT_EQ(reg(APIC_TMCCT), 0);
		wait_ticks(ticks(n) * 2);
		G_EXPECT_EQ(g_log.nr, 1);
	}
	/* written anew before it expires: counts from the new value, once */
	g_log.nr = 0;
	set(APIC_TMICT, n);
	set(APIC_TMICT, n / 2);
	g_wait_log(1);
	wait_ticks(ticks(n));
	G_EXPECT_EQ(g_log.nr, 1);
	/* stopped by 0 */
	set(APIC_TMICT, n);
	set(APIC_TMICT, 0);
	G_EXPECT_EQ(reg(APIC_TMCCT), 0);
	wait_ticks(ticks(n) * 2);
	G_EXPECT_EQ(g_log.nr, 1);
}

void guest_timer_periodic(u64 arg)
{
	u32 n, i, late;
	u64 t0;

	start(arg);
	n = counts(10);
	set(APIC_LVTT, APIC_PERIODIC | 0x48);
	t0 = g_rdtsc();
	set(APIC_TMICT, n);
	g_wait_log(20);
	for (i = 0; i < 20; i++) {
		G_EXPECT_EQ(g_log.vector[i], 0x48);
		/* the n-th never before its time */
		G_EXPECT(fired_at[i] - t0 >= ticks(n) / 50 * 49 * (i + 1));
	}
	set(APIC_TMICT, 0);
	/* what was under way may still come, no more */
	wait_ticks(ticks(n));
	late = g_log.nr;
	wait_ticks(ticks(n) * 3);
	G_EXPECT_EQ(g_log.nr, late);
	G_EXPECT(late <= 22);
}

void guest_timer_masked(u64 arg)
{
	u32 n;

	start(arg);
	n = counts(10);
	set(APIC_LVTT, APIC_MASKED | 0x40);
	set(APIC_TMICT, n);
	wait_ticks(ticks(n) * 2);
	G_EXPECT_EQ(g_log.nr, 0);
	G_EXPECT_EQ(reg(APIC_TMCCT), 0);
	/* unmasked too late: it is over */
	set(APIC_LVTT, 0x40);
	wait_ticks(ticks(n) * 2);
	G_EXPECT_EQ(g_log.nr, 0);
	/* unmasked in time */
	set(APIC_LVTT, APIC_MASKED | 0x40);
	set(APIC_TMICT, n);
	set(APIC_LVTT, 0x48);
	g_wait_log(1);
	G_EXPECT_EQ(g_log.vector[0], 0x48);
}

void guest_timer_divide(u64 arg)
{
	static const u32 code[] = { 0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa };
	u32 i, n;
	u64 t0;

	start(arg);
	n = counts(4);
	for (i = 0; i < 8; i++) {	/* by 1, 2, 4 ... 128 */
		g_log.nr = 0;
		set(APIC_TDCR, code[i]);
		G_EXPECT_EQ(reg(APIC_TDCR), code[i]);
		set(APIC_LVTT, 0x40);
		t0 = g_rdtsc();
		set(APIC_TMICT, n >> (i > 4 ? 4 : 0));
		g_wait_log(1);
		if (fired_at[0] - t0 < (ticks(n >> (i > 4 ? 4 : 0)) << i) / 50 * 49)
			g_fail(__LINE__, "the divided timer is early; got ticks, wanted at least",
			       fired_at[0] - t0, ticks(n >> (i > 4 ? 4 : 0)) << i);
	}
}

void guest_timer_deadline(u64 arg)
{
	u64 t;
	int i;

	start(arg);
	set(APIC_LVTT, APIC_DEADLINE | 0x40);
	G_EXPECT_EQ(g_rdmsr(MSR_TSC_DEADLINE), 0);
	for (i = 0; i < 20; i++) {
		g_log.nr = 0;
		/* the late ones far off: they are to be read back before they pass */
		t = g_rdtsc() + (i % 5 > 2 ? 200000000 : 5000000) * (1 + i % 5);
		g_wrmsr(MSR_TSC_DEADLINE, t);
		if (i % 5 > 2)
			G_EXPECT_EQ(g_rdmsr(MSR_TSC_DEADLINE), t);
		g_wait_log(1);
		G_EXPECT(fired_at[0] >= t);
		G_EXPECT_EQ(g_rdmsr(MSR_TSC_DEADLINE), 0);
		wait_ticks(5000000);
		G_EXPECT_EQ(g_log.nr, 1);
	}
	/* in the past: at once */
	g_log.nr = 0;
	g_wrmsr(MSR_TSC_DEADLINE, 1);
	g_wait_log(1);
	wait_ticks(5000000);
	G_EXPECT_EQ(g_log.nr, 1);
	/* disarmed */
	g_wrmsr(MSR_TSC_DEADLINE, g_rdtsc() + 500000000);
	g_wrmsr(MSR_TSC_DEADLINE, 0);
	wait_ticks(600000000);
	G_EXPECT_EQ(g_log.nr, 1);
	/* the count registers have no effect in this mode */
	set(APIC_TMICT, 1000);
	G_EXPECT_EQ(reg(APIC_TMCCT), 0);
	wait_ticks(20000000);
	G_EXPECT_EQ(g_log.nr, 1);
}

/* a change of mode disarms what was under way */
void guest_timer_modes(u64 arg)
{
	u32 n;

	start(arg);
	n = counts(10);
	/* the deadline has no effect in the other modes */
	set(APIC_LVTT, 0x40);
	g_wrmsr(MSR_TSC_DEADLINE, g_rdtsc() + 1000000);
	G_EXPECT_EQ(g_rdmsr(MSR_TSC_DEADLINE), 0);
	wait_ticks(5000000);
	G_EXPECT_EQ(g_log.nr, 0);
	set(APIC_TMICT, n);
	set(APIC_LVTT, APIC_DEADLINE | 0x40);
	wait_ticks(ticks(n) * 2);
	G_EXPECT_EQ(g_log.nr, 0);
	/* far enough for a slow machine to get to the change before it */
	g_wrmsr(MSR_TSC_DEADLINE, g_rdtsc() + 500000000);
	set(APIC_LVTT, 0x40);
	wait_ticks(600000000);
	G_EXPECT_EQ(g_log.nr, 0);
}

void guest_timer_hlt(u64 arg)
{
	u32 i, n;
	u64 t0;

	start(arg);
	n = counts(10);
	set(APIC_LVTT, 0x40);
	for (i = 0; i < 10; i++) {
		g_log.nr = 0;
		t0 = g_rdtsc();
		set(APIC_TMICT, n);
		while (!g_log.nr)
			g_sti_hlt();
		g_cli();
		G_EXPECT(fired_at[0] - t0 >= ticks(n) / 50 * 49);
	}
}

void guest_timer_short(u64 arg)
{
	u64 t0;

	start(arg);
	set(APIC_LVTT, APIC_PERIODIC | 0x40);
	set(APIC_TMICT, 1);
	t0 = g_rdtsc();
	while (g_rdtsc() - t0 < 1000000000)
		g_sti_nop_cli();
	set(APIC_TMICT, 0);
	G_EXPECT(g_log.nr > 0);
}

void guest_timer_armed(u64 arg)
{
	start(arg);
	set(APIC_LVTT, 0x40);
	set(APIC_TMICT, counts(200));
	g_sync(1);
	g_wait_log(1);
	G_EXPECT_EQ(g_log.vector[0], 0x40);
	wait_ticks(ticks(counts(300)));
	G_EXPECT_EQ(g_log.nr, 1);
}
