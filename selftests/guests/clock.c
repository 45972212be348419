// SPDX-License-Identifier: GPL-2.0
/*
 * The paravirtual clock with KVM's interface (Linux, Documentation/virt/kvm/x86/msr.rst).
 */
#include "guest.h"

#define MSR_WALL_CLOCK	0x4b564d00
#define MSR_SYSTEM_TIME	0x4b564d01

struct time_page {
	u32 version;
	u32 pad0;
	u64 tsc_timestamp;
	u64 system_time;
	u32 tsc_to_system_mul;
	signed char tsc_shift;
	u8 flags;
	u8 pad[2];
};

static volatile struct time_page page[8] __attribute__((aligned(4096)));

static volatile struct {
	u32 version;
	u32 sec;
	u32 nsec;
} wall __attribute__((aligned(64)));

void g_clock_on(u32 id)
{
	g_wrmsr(MSR_SYSTEM_TIME, (u64)&page[id] | 1);
}

u64 g_clock_read(u32 id)
{
	volatile struct time_page *p = &page[id];
	u32 version, n = 0;
	u64 delta, ns;

	do {
		while ((version = p->version) & 1) {
			if (++n > 10000000)
				g_fail(__LINE__, "the clock page's version stays odd", version, 0);
		}
		barrier();
		delta = g_rdtsc() - p->tsc_timestamp;
		if (p->tsc_shift < 0)
			delta >>= -p->tsc_shift;
		else
			delta <<= p->tsc_shift;
		ns = p->system_time + (u64)((unsigned __int128)delta * p->tsc_to_system_mul >> 32);
		barrier();
	} while (version != p->version);
	return ns;
}

void guest_clock(u64 arg)
{
	u64 first, last, now;
	u32 i;

	(void)arg;
	G_EXPECT_EQ(page[0].version, 0);
	g_clock_on(0);
	G_EXPECT_EQ(g_rdmsr(MSR_SYSTEM_TIME), (u64)&page[0] | 1);
	G_EXPECT(page[0].version);
	G_EXPECT(page[0].tsc_to_system_mul);
	first = last = g_clock_read(0);
	g_report64(first);
	for (i = 0; i < 5000; i++) {
		now = g_clock_read(0);
		G_EXPECT(now >= last);
		last = now;
		if (i % 500 == 0)
			g_outb(0x80, 0);	/* exits in between */
	}
	g_report64(last);
	g_wrmsr(MSR_WALL_CLOCK, (u64)&wall);
	G_EXPECT_EQ(wall.version & 1, 0);
	G_EXPECT(wall.version);
	G_EXPECT(wall.nsec < 1000000000);
	g_report64((u64)wall.sec * 1000000000 + wall.nsec);
	g_report64(g_clock_read(0));
}

/* switched off, the page is left alone */
void guest_clock_off(u64 arg)
{
	u32 version;

	(void)arg;
	g_clock_on(0);
	g_sync(1);
	g_wrmsr(MSR_SYSTEM_TIME, 0);
	G_EXPECT_EQ(g_rdmsr(MSR_SYSTEM_TIME), 0);
	version = page[0].version;
	g_sync(2);
	G_EXPECT_EQ(page[0].version, version);
}

/* pages that are not there: no harm, whatever the answer */
void guest_clock_bad(u64 arg)
{
	static const u64 bad[] = {0xd0000001, 0xfee00001,     0xfffffffffffff001,
				  0x1ffffff1, 0x7fffffffff01, 3};
	u32 i;

	(void)arg;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		g_try_wrmsr(MSR_SYSTEM_TIME, bad[i]);
		g_outb(0x80, (u8)i);
		g_try_wrmsr(MSR_WALL_CLOCK, bad[i] & ~1ull);
	}
	/* across two pages of memory */
	g_try_wrmsr(MSR_SYSTEM_TIME, 0xa00ff1);
	g_outb(0x80, 0);
	g_wrmsr(MSR_SYSTEM_TIME, 0);
}

void guest_clock_loop(u64 arg)
{
	u64 last = 0, now;

	(void)arg;
	g_clock_on(0);
	g_sync(1);
	while (!g_apic_stop) {
		g_spin();
		now = g_clock_read(0);
		G_EXPECT(now >= last);
		last = now;
	}
	g_report64(last);
}
