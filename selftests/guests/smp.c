// SPDX-License-Identifier: GPL-2.0
/*
 * More than one vCPU: start-up, interrupts between them, shared memory. APIC ids are 0 .. vcpus
 * - 1.
 */
#include "guest.h"

struct g_smp g_smp;

static u32 my_id(void)
{
	return g_smp.x2 ? (u32)g_rdmsr(MSR_X2(APIC_ID)) : g_apic(APIC_ID) >> 24;
}

static void took(struct g_frame *f)
{
	(void)f;
	__atomic_fetch_add(&g_smp.got[my_id()], 1, __ATOMIC_SEQ_CST);
	if (g_smp.x2)
		g_wrmsr(MSR_X2(APIC_EOI), 0);
	else
		g_apic_write(APIC_EOI, 0);
}

static void took_nmi(struct g_frame *f)
{
	(void)f;
	__atomic_fetch_add(&g_smp.nmis[my_id()], 1, __ATOMIC_SEQ_CST);
}

static void apic_on(void)
{
	if (g_smp.x2)
		g_x2apic_on();
	else
		g_apic_on();
}

static void ipi(u32 dest, u32 low)
{
	if (g_smp.x2) {
		g_wrmsr(MSR_X2(APIC_ICR), (u64)dest << 32 | low);
		return;
	}
	g_apic_write(APIC_ICR2, dest << 24);
	g_apic_write(APIC_ICR, low);
}

static void pause_for(u64 ticks)
{
	u64 end = g_rdtsc() + ticks;

	while (g_rdtsc() < end)
		g_pause();
}

static void count_up(void)
{
	u32 i;

	for (i = 0; i < 20000; i++)
		__atomic_fetch_add(&g_smp.counter, 1, __ATOMIC_SEQ_CST);
}

static void lock(void)
{
	while (__atomic_exchange_n(&g_smp.lock, 1, __ATOMIC_ACQUIRE))
		g_spin();
}

static void unlock(void)
{
	__atomic_store_n(&g_smp.lock, 0, __ATOMIC_RELEASE);
}

/* no vCPU reads a time that is before one that another has read already */
static void compare_clocks(u32 id)
{
	u64 now;
	u32 i;

	g_clock_on(id);
	for (i = 0; i < 3000; i++) {
		lock();
		now = g_clock_read(id);
		if (now < g_smp.clock_last)
			g_smp.clock_back = g_smp.clock_last - now;
		else
			g_smp.clock_last = now;
		unlock();
	}
}

void g_smp_ap(u64 id)
{
	u32 done = 0;

	g_smp.starts[id]++;
	apic_on();
	if (!g_smp.x2)
		g_apic_write(APIC_LDR, 1u << (id + 24));
	__atomic_fetch_add(&g_smp.online, 1, __ATOMIC_SEQ_CST);
	while (!g_smp.stop) {
		if (g_smp.go == 1 && !done) {
			done = 1;
			count_up();
			__atomic_fetch_add(&g_smp.online, 1, __ATOMIC_SEQ_CST);
		}
		if (g_smp.go == 2 && !done) {
			done = 1;
			compare_clocks((u32)id);
			__atomic_fetch_add(&g_smp.online, 1, __ATOMIC_SEQ_CST);
		}
		if (g_smp.go == 3)
			g_hlt();	/* interrupts off: only NMI or INIT */
		else if (g_smp.go == 4)
			g_sti_hlt();
		else
			g_sti_nop_cli();
	}
}

/* INIT and start-up IPI to each, as a BIOS does */
static void start_all(u64 vcpus)
{
	u32 i;

	g_smp.vcpus = (u32)vcpus;
	g_handler[0x50] = took;
	g_handler[0x51] = took;
	g_handler[2] = took_nmi;
	g_ap_entry = g_smp_ap;
	apic_on();
	if (!g_smp.x2)
		g_apic_write(APIC_LDR, 1u << 24);
	for (i = 1; i < vcpus; i++) {
		ipi(i, APIC_DM_INIT | APIC_ASSERT | APIC_LEVEL);
		ipi(i, APIC_DM_INIT | APIC_LEVEL);
		pause_for(1000000);
		ipi(i, APIC_DM_SIPI | T_CODE >> 12);
		pause_for(100000);
		ipi(i, APIC_DM_SIPI | T_CODE >> 12);
	}
	while (g_smp.online < vcpus - 1)
		g_spin();
}

static void stop_all(void)
{
	g_smp.stop = 1;
	ipi(0, APIC_OTHERS | 0x51);
}

void guest_smp_start(u64 vcpus)
{
	u32 i;

	start_all(vcpus);
	pause_for(10000000);
	for (i = 1; i < vcpus; i++)
		G_EXPECT_EQ(g_smp.starts[i], 1);	/* the second SIPI has no effect */
	stop_all();
}

void guest_smp_counter(u64 vcpus)
{
	start_all(vcpus);
	g_smp.online = 0;
	g_smp.go = 1;
	count_up();
	while (g_smp.online < vcpus - 1)
		g_spin();
	G_EXPECT_EQ(g_smp.counter, 20000 * vcpus);
	stop_all();
}

void guest_smp_ipis(u64 vcpus)
{
	u32 i, n;

	start_all(vcpus);
	for (n = 0; n < 2; n++) {
		g_smp.go = n ? 4 : 0;	/* spinning, then halted */
		for (i = 0; i < 100; i++) {
			u32 to = 1 + i % ((u32)vcpus - 1), before = g_smp.got[to];

			ipi(to, 0x50);
			while (g_smp.got[to] == before)
				g_spin();
			G_EXPECT_EQ(g_smp.got[to], before + 1);
		}
	}
	stop_all();
}

static void wait_got(u32 from, u64 vcpus, u32 want)
{
	u32 i;

	for (i = from; i < vcpus; i++) {
		while (g_smp.got[i] < want)
			g_sti_nop_cli();
		G_EXPECT_EQ(g_smp.got[i], want);
	}
}

void guest_smp_broadcast(u64 vcpus)
{
	u32 i;

	start_all(vcpus);
	for (i = 0; i < 20; i++) {
		ipi(0, APIC_OTHERS | 0x50);
		wait_got(1, vcpus, 2 * i + 1);
		G_EXPECT_EQ(g_smp.got[0], i);
		ipi(0, APIC_ALL | 0x50);
		wait_got(1, vcpus, 2 * i + 2);
		wait_got(0, 1, i + 1);
	}
	stop_all();
}

static u32 sum_got(u64 vcpus)
{
	u32 sum = 0, i;

	for (i = 0; i < vcpus; i++)
		sum += g_smp.got[i];
	return sum;
}

void guest_smp_logical(u64 vcpus)
{
	u32 i, before;

	start_all(vcpus);
	/* each alone, then vCPUs 0 and 1 together */
	for (i = 1; i < vcpus; i++) {
		before = g_smp.got[i];
		ipi(1u << i, APIC_LOGICAL | 0x50);
		while (g_smp.got[i] == before)
			g_spin();
	}
	wait_got(1, vcpus, 1);
	G_EXPECT_EQ(g_smp.got[0], 0);
	ipi(3, APIC_LOGICAL | 0x50);
	while (g_smp.got[0] < 1 || g_smp.got[1] < 2)
		g_sti_nop_cli();
	for (i = 2; i < vcpus; i++)
		G_EXPECT_EQ(g_smp.got[i], 1);
	/* lowest priority: exactly one of them */
	if (!g_smp.x2) {
		u32 want = 1 + 2 + ((u32)vcpus - 2) + 1;

		ipi(0x0e, APIC_LOGICAL | 0x100 | 0x50);
		while (sum_got(vcpus) < want)
			g_spin();
		pause_for(50000000);
		G_EXPECT_EQ(sum_got(vcpus), want);
	}
	stop_all();
}

void guest_smp_nmi(u64 vcpus)
{
	u32 i, n;

	start_all(vcpus);
	for (n = 1; n <= 10; n++) {
		g_smp.go = n > 5 ? 3 : 0;
		for (i = 1; i < vcpus; i++) {
			ipi(i, APIC_DM_NMI);
			while (g_smp.nmis[i] < n)
				g_spin();
			G_EXPECT_EQ(g_smp.nmis[i], n);
		}
	}
	G_EXPECT_EQ(g_smp.nmis[0], 0);
	g_smp.stop = 1;
	for (i = 1; i < vcpus; i++)
		ipi(i, APIC_DM_NMI);
}

/* INIT stops a running vCPU; it starts again where the start-up IPI says */
void guest_smp_init(u64 vcpus)
{
	u32 i, n;

	start_all(vcpus);
	for (n = 2; n < 12; n++) {
		g_smp.go = n & 1 ? 4 : n & 2 ? 3 : 0;
		for (i = 1; i < vcpus; i++) {
			u32 online = g_smp.online;

			ipi(i, APIC_DM_INIT | APIC_ASSERT | APIC_LEVEL);
			pause_for(1000000);
			/* while it waits for its start-up IPI an interrupt has no effect */
			ipi(i, 0x50);
			pause_for(1000000);
			G_EXPECT_EQ(g_smp.starts[i], n - 1);
			ipi(i, APIC_DM_SIPI | T_CODE >> 12);
			while (g_smp.online == online)
				g_spin();
			G_EXPECT_EQ(g_smp.starts[i], n);
		}
	}
	g_smp.stop = 1;
	for (i = 1; i < vcpus; i++) {
		ipi(i, APIC_DM_NMI);
		ipi(i, 0x50);
	}
}

void guest_smp_clock(u64 vcpus)
{
	start_all(vcpus);
	g_smp.online = 0;
	g_smp.go = 2;
	compare_clocks(0);
	while (g_smp.online < vcpus - 1)
		g_spin();
	G_EXPECT_EQ(g_smp.clock_back, 0);
	G_EXPECT(g_smp.clock_last > 0);
	stop_all();
}
