// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC without its timer (SDM vol. 3, 11; APM vol. 2, 16): xAPIC, then x2APIC.
 */
#include "guest.h"

volatile u32 g_apic_stop, g_apic_want;

static void log_all(void (*fn)(struct g_frame *f))
{
	int i;

	for (i = 32; i < 256; i++)
		g_handler[i] = fn;
}

static void self_ipi(u32 vector)
{
	g_apic_write(APIC_ICR, APIC_SELF | vector);
}

static u32 bit_of(u32 reg, u32 vector)
{
	return g_apic(reg + (vector >> 5) * 16) >> (vector & 31) & 1;
}

/* a moment with interrupts on */
static void breathe(void)
{
	int i;

	for (i = 0; i < 10; i++)
		g_sti_nop_cli();
}

void guest_apic_reset_values(u64 arg)
{
	static const u32 lvt[] = { APIC_LVTT, APIC_LVT0, APIC_LVT1, APIC_LVTERR };
	u32 i;

	(void)arg;
	G_EXPECT_EQ(g_apic(APIC_ID), 0);
	G_EXPECT_EQ(g_apic(APIC_VERSION) & 0xf0, 0x10);
	G_EXPECT((g_apic(APIC_VERSION) >> 16 & 0xff) >= 3);
	G_EXPECT_EQ(g_apic(APIC_TPR), 0);
	G_EXPECT_EQ(g_apic(APIC_PPR), 0);
	G_EXPECT_EQ(g_apic(APIC_LDR), 0);
	G_EXPECT_EQ(g_apic(APIC_DFR), 0xffffffff);
	G_EXPECT_EQ(g_apic(APIC_SVR), 0xff);
	for (i = 0; i < 8; i++) {
		G_EXPECT_EQ(g_apic(APIC_ISR + 16 * i), 0);
		G_EXPECT_EQ(g_apic(APIC_TMR + 16 * i), 0);
		G_EXPECT_EQ(g_apic(APIC_IRR + 16 * i), 0);
	}
	for (i = 0; i < 4; i++)
		G_EXPECT_EQ(g_apic(lvt[i]), APIC_MASKED);
	G_EXPECT_EQ(g_apic(APIC_TMICT), 0);
	G_EXPECT_EQ(g_apic(APIC_TMCCT), 0);
	G_EXPECT_EQ(g_apic(APIC_ESR), 0);
	/* read-only */
	g_apic_write(APIC_VERSION, 0);
	G_EXPECT_EQ(g_apic(APIC_VERSION) & 0xf0, 0x10);
	g_apic_write(APIC_PPR, 0x50);
	G_EXPECT_EQ(g_apic(APIC_PPR), 0);
	g_apic_write(APIC_IRR, 0xffff0000);
	G_EXPECT_EQ(g_apic(APIC_IRR), 0);
	/* logical destination: only the top byte, and the format's top nibble */
	g_apic_write(APIC_LDR, 0x12345678);
	G_EXPECT_EQ(g_apic(APIC_LDR), 0x12000000);
	g_apic_write(APIC_DFR, 0);
	G_EXPECT_EQ(g_apic(APIC_DFR), 0x0fffffff);
	g_apic_write(APIC_TPR, 0xffffff35);
	G_EXPECT_EQ(g_apic(APIC_TPR), 0x35);
}

/* while disabled by software, LVT entries stay masked and fixed interrupts are not taken */
void guest_apic_software_disabled(u64 arg)
{
	(void)arg;
	log_all(g_log_vector);
	g_apic_write(APIC_LVTT, 0x40);
	G_EXPECT_EQ(g_apic(APIC_LVTT), APIC_MASKED | 0x40);
	self_ipi(0x50);
	G_EXPECT_EQ(bit_of(APIC_IRR, 0x50), 0);
	breathe();
	G_EXPECT_EQ(g_log.nr, 0);
	g_apic_on();
	g_apic_write(APIC_LVTT, 0x40);
	G_EXPECT_EQ(g_apic(APIC_LVTT), 0x40);
	g_apic_write(APIC_SVR, 0xff);
	G_EXPECT_EQ(g_apic(APIC_LVTT), APIC_MASKED | 0x40);
}

static u32 in_service;

static void look_at_isr(struct g_frame *f)
{
	in_service = bit_of(APIC_ISR, (u32)f->vector);
	g_log_vector(f);
}

void guest_apic_self_ipi(u64 arg)
{
	u32 vector;

	(void)arg;
	log_all(look_at_isr);
	g_apic_on();
	for (vector = 0x20; vector < 0x100; vector += 0x13) {
		g_log.nr = 0;
		self_ipi(vector);
		G_EXPECT_EQ(bit_of(APIC_IRR, vector), 1);
		G_EXPECT_EQ(g_log.nr, 0);
		breathe();
		G_EXPECT_EQ(g_log.nr, 1);
		G_EXPECT_EQ(g_log.vector[0], vector);
		G_EXPECT_EQ(in_service, 1);
		G_EXPECT_EQ(bit_of(APIC_ISR, vector), 0);
		G_EXPECT_EQ(bit_of(APIC_IRR, vector), 0);
	}
	/* twice before it is taken is once */
	g_log.nr = 0;
	self_ipi(0x45);
	self_ipi(0x45);
	breathe();
	G_EXPECT_EQ(g_log.nr, 1);
	/* vectors below 32 are vectors, too */
	g_log.nr = 0;
	g_handler[0x1f] = g_log_vector;
	self_ipi(0x1f);
	breathe();
	G_EXPECT_EQ(g_log.nr, 1);
	G_EXPECT_EQ(g_log.vector[0], 0x1f);
}

void guest_apic_priority(u64 arg)
{
	static const u32 want[] = { 0xef, 0x91, 0x90, 0x7f, 0x61, 0x51, 0x30 };
	static const u32 sent[] = { 0x51, 0x7f, 0x30, 0x90, 0x61, 0xef, 0x91 };
	u32 i;

	(void)arg;
	log_all(g_log_vector);
	g_apic_on();
	for (i = 0; i < 7; i++)
		self_ipi(sent[i]);
	breathe();
	G_EXPECT_EQ(g_log.nr, 7);
	for (i = 0; i < 7; i++)
		G_EXPECT_EQ(g_log.vector[i], want[i]);
}

void guest_apic_tpr(u64 arg)
{
	(void)arg;
	log_all(g_log_vector);
	g_apic_on();
	g_apic_write(APIC_TPR, 0x60);
	self_ipi(0x51);
	self_ipi(0x61);
	self_ipi(0x6f);
	self_ipi(0x71);
	G_EXPECT_EQ(g_apic(APIC_PPR), 0x60);
	breathe();
	G_EXPECT_EQ(g_log.nr, 1);
	G_EXPECT_EQ(g_log.vector[0], 0x71);
	g_apic_write(APIC_TPR, 0x5f);
	breathe();
	G_EXPECT_EQ(g_log.nr, 3);
	G_EXPECT_EQ(g_log.vector[1], 0x6f);
	G_EXPECT_EQ(g_log.vector[2], 0x61);
	/* lowered with interrupts on: it comes at once */
	g_sti();
	g_apic_write(APIC_TPR, 0);
	g_pause();
	g_pause();
	g_cli();
	G_EXPECT_EQ(g_log.nr, 4);
	G_EXPECT_EQ(g_log.vector[3], 0x51);
}

void guest_apic_cr8(u64 arg)
{
	u32 i;

	(void)arg;
	log_all(g_log_vector);
	g_apic_on();
	for (i = 0; i < 16; i++) {
		g_write_cr8(i);
		G_EXPECT_EQ(g_apic(APIC_TPR), i << 4);
		G_EXPECT_EQ(g_read_cr8(), i);
		g_apic_write(APIC_TPR, (i << 4) | 7);
		G_EXPECT_EQ(g_read_cr8(), i);
	}
	g_write_cr8(8);
	self_ipi(0x81);
	breathe();
	G_EXPECT_EQ(g_log.nr, 0);
	/* lowered by CR8 with interrupts on: it comes at once */
	g_sti();
	g_write_cr8(7);
	g_pause();
	g_pause();
	g_cli();
	G_EXPECT_EQ(g_log.nr, 1);
	/* pending behind CR8 = 15, many times: each comes once */
	for (i = 0; i < 50; i++) {
		g_log.nr = 0;
		g_write_cr8(15);
		g_sti();
		self_ipi(0xe0 - i);
		g_pause();
		G_EXPECT_EQ(g_log.nr, 0);
		g_write_cr8(0);
		g_pause();
		g_pause();
		g_cli();
		G_EXPECT_EQ(g_log.nr, 1);
		G_EXPECT_EQ(g_log.vector[0], 0xe0 - i);
	}
	/* first behind an interrupt in service, then, after its EOI, behind CR8 only */
	g_log.nr = 0;
	g_write_cr8(6);
	self_ipi(0x51);
	self_ipi(0x91);
	breathe();
	G_EXPECT_EQ(g_log.nr, 1);
	G_EXPECT_EQ(g_log.vector[0], 0x91);
	g_sti();
	g_write_cr8(0);
	g_pause();
	g_pause();
	g_cli();
	G_EXPECT_EQ(g_log.nr, 2);
	G_EXPECT_EQ(g_log.vector[1], 0x51);
}

static u32 ppr_seen[2];

static void look_at_ppr(struct g_frame *f)
{
	ppr_seen[0] = g_apic(APIC_PPR);
	g_apic_write(APIC_TPR, 0x6a);
	ppr_seen[1] = g_apic(APIC_PPR);
	g_log_vector(f);
}

void guest_apic_ppr(u64 arg)
{
	(void)arg;
	g_apic_on();
	g_handler[0x65] = look_at_ppr;
	g_apic_write(APIC_TPR, 0x12);
	G_EXPECT_EQ(g_apic(APIC_PPR), 0x12);
	self_ipi(0x65);
	breathe();
	G_EXPECT_EQ(g_log.nr, 1);
	G_EXPECT_EQ(ppr_seen[0], 0x60);
	G_EXPECT_EQ(ppr_seen[1], 0x6a);
	G_EXPECT_EQ(g_apic(APIC_PPR), 0x6a);
}

static u32 depth, max_depth;

static void nest(struct g_frame *f)
{
	u32 n = g_log.nr;

	g_log.vector[n] = (u32)f->vector;
	g_log.nr = n + 1;
	if (++depth > max_depth)
		max_depth = depth;
	if (n < 2) {
		self_ipi((u32)f->vector + 0x10);	/* higher: comes at once */
		self_ipi((u32)f->vector - 0x10);	/* lower: waits */
		breathe();
	}
	depth--;
	g_apic_write(APIC_EOI, 0);
}

void guest_apic_nested(u64 arg)
{
	static const u32 want[] = { 0x60, 0x70, 0x80, 0x60, 0x50 };
	u32 i;

	(void)arg;
	g_handler[0x40] = g_log_vector;
	g_handler[0x50] = g_log_vector;
	g_handler[0x60] = nest;
	g_handler[0x70] = nest;
	g_handler[0x80] = nest;
	g_apic_on();
	self_ipi(0x60);
	breathe();
	G_EXPECT_EQ(max_depth, 3);
	G_EXPECT_EQ(g_log.nr, 5);
	for (i = 0; i < 5; i++)
		G_EXPECT_EQ(g_log.vector[i], want[i]);
	G_EXPECT_EQ(depth, 0);
	for (i = 0; i < 8; i++)
		G_EXPECT_EQ(g_apic(APIC_ISR + 16 * i), 0);
}

/* an IPI with a vector below 16: an error, told in ESR after a write to it, and by the error
 * interrupt */
void guest_apic_error(u64 arg)
{
	(void)arg;
	log_all(g_log_vector);
	g_apic_on();
	g_apic_write(APIC_LVTERR, 0x33);
	g_apic_write(APIC_ESR, 0);
	self_ipi(5);
	breathe();
	g_apic_write(APIC_ESR, 0);
	G_EXPECT_EQ(g_apic(APIC_ESR) & 0x20, 0x20);
	G_EXPECT_EQ(g_log.nr, 1);
	G_EXPECT_EQ(g_log.vector[0], 0x33);
	g_apic_write(APIC_ESR, 0);
	G_EXPECT_EQ(g_apic(APIC_ESR), 0);
}

static volatile u32 nmis;

static void count_nmi(struct g_frame *f)
{
	(void)f;
	nmis++;
}

void guest_apic_nmi(u64 arg)
{
	(void)arg;
	g_handler[2] = count_nmi;
	g_apic_on();
	/* to itself, as physical destination; interrupts are off */
	g_apic_write(APIC_ICR2, 0);
	g_apic_write(APIC_ICR, APIC_DM_NMI);
	while (!nmis)
		g_pause();
	G_EXPECT_EQ(nmis, 1);
	g_sync(1);	/* the test asserts LINT1, first masked, then as an NMI */
	G_EXPECT_EQ(nmis, 1);
	g_apic_write(APIC_LVT1, APIC_DM_NMI);
	g_sync(2);
	while (nmis < 2)
		g_pause();
	G_EXPECT_EQ(nmis, 2);
}

void guest_apic_base_moved(u64 arg)
{
	u64 base = g_rdmsr(MSR_APIC_BASE);

	(void)arg;
	G_EXPECT_EQ(base, T_LAPIC | APIC_BASE_EN | APIC_BASE_BSP);
	g_wrmsr(MSR_APIC_BASE, 0xd0000000 | APIC_BASE_EN | APIC_BASE_BSP);
	G_EXPECT_EQ(g_read32(0xd0000000 + APIC_SVR), 0xff);
	g_sync(1);
	g_apic(APIC_VERSION);	/* the test sees this as MMIO */
	g_wrmsr(MSR_APIC_BASE, base);
	G_EXPECT_EQ(g_apic(APIC_SVR), 0xff);
}

/* switched off in the MSR: registers are not there, interrupts do not come */
void guest_apic_disabled(u64 arg)
{
	u64 base = g_rdmsr(MSR_APIC_BASE);
	u32 r[4];

	(void)arg;
	log_all(g_log_vector);
	g_cpuid(1, 0, r);
	G_EXPECT_EQ(r[3] >> 9 & 1, 1);
	g_apic_on();
	g_wrmsr(MSR_APIC_BASE, base & ~(u64)APIC_BASE_EN);
	g_cpuid(1, 0, r);
	G_EXPECT_EQ(r[3] >> 9 & 1, 0);
	g_sync(1);
	g_apic(APIC_VERSION);	/* MMIO */
	breathe();
	G_EXPECT_EQ(g_log.nr, 0);
	g_wrmsr(MSR_APIC_BASE, base);
	/* back, as after a reset */
	G_EXPECT_EQ(g_apic(APIC_SVR), 0xff);
	g_cpuid(1, 0, r);
	G_EXPECT_EQ(r[3] >> 9 & 1, 1);
}

void guest_apic_idle(u64 arg)
{
	(void)arg;
	log_all(g_log_vector);
	g_apic_on();
	g_sync(1);
	while (!g_apic_stop)
		g_sti_hlt();
	g_cli();
}

void guest_apic_count(u64 vector)
{
	(void)vector;
	log_all(g_log_vector);
	g_apic_on();
	g_sync(1);
	g_wait_log(g_apic_want);
}

void guest_apic_lint(u64 lvt)
{
	log_all(g_log_vector);
	g_apic_on();
	g_apic_write(APIC_LVT0, (u32)lvt);
	g_apic_write(APIC_LVT1, (u32)(lvt >> 32));
	g_sync(1);
	while (!g_apic_stop)
		g_sti_hlt();
	g_cli();
}

void guest_apic_window(u64 arg)
{
	(void)arg;
	log_all(g_log_vector);
	g_apic_on();
	g_sync(1);
	breathe();
	g_sync(2);
}

void guest_x2apic_regs(u64 id)
{
	u32 i;

	g_x2apic_on();
	G_EXPECT_EQ(g_rdmsr(MSR_X2(APIC_ID)), id);
	G_EXPECT_EQ(g_rdmsr(MSR_X2(APIC_VERSION)) & 0xf0, 0x10);
	G_EXPECT_EQ(g_rdmsr(MSR_X2(APIC_LDR)), (id >> 4) << 16 | 1u << (id & 15));
	G_EXPECT_EQ(g_rdmsr(MSR_X2(APIC_SVR)), 0x1ff);
	g_wrmsr(MSR_X2(APIC_TPR), 0x45);
	G_EXPECT_EQ(g_rdmsr(MSR_X2(APIC_TPR)), 0x45);
	G_EXPECT_EQ(g_rdmsr(MSR_X2(APIC_PPR)), 0x45);
	G_EXPECT_EQ(g_read_cr8(), 4);
	g_wrmsr(MSR_X2(APIC_TPR), 0);
	for (i = 0; i < 8; i++) {
		G_EXPECT_EQ(g_rdmsr(MSR_X2(APIC_ISR) + i), 0);
		G_EXPECT_EQ(g_rdmsr(MSR_X2(APIC_IRR) + i), 0);
	}
	g_wrmsr(MSR_X2(APIC_LVT0), APIC_MASKED | 0x700);
	G_EXPECT_EQ(g_rdmsr(MSR_X2(APIC_LVT0)), APIC_MASKED | 0x700);
	g_wrmsr(MSR_X2(APIC_TMICT), 0);
	G_EXPECT_EQ(g_rdmsr(MSR_X2(APIC_TMCCT)), 0);
}

void guest_x2apic_faults(u64 arg)
{
	static const u32 absent[] = {0x800, 0x801, 0x804, 0x807, 0x809, 0x80c, 0x80e,
				     0x829, 0x82e, 0x831, 0x83a, 0x83d, 0x840, 0x8ff};
	static const u32 read_only[] = {0x802, 0x803, 0x80a, 0x80d, 0x810,
					0x817, 0x818, 0x820, 0x827, 0x839};
	static const u32 write_only[] = { 0x80b, 0x83f };
	static const struct {
		u32 msr;
		u64 bad;
	} reserved[] = {
		{0x808, 0x100},	   {0x80b, 1},		{0x80f, 1ull << 32},
		{0x832, 1u << 20}, {0x835, 1ull << 32}, {0x828, 1},
		{0x83e, 0x10},	   {0x838, 1ull << 32}, {0x83f, 0x100},
	};
	u64 v;
	u32 i;

	(void)arg;
	/* in xAPIC mode there are no such MSRs at all */
	G_EXPECT_EQ(g_try_rdmsr(0x802, &v), 13);
	G_EXPECT_EQ(g_try_wrmsr(0x80b, 0), 13);
	g_x2apic_on();
	for (i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		g_vector = -1;
		if (g_try_rdmsr(absent[i], &v) != 13)
			g_fail(__LINE__, "read of an absent x2APIC MSR: #GP", absent[i], 13);
		if (g_try_wrmsr(absent[i], 0) != 13)
			g_fail(__LINE__, "write of an absent x2APIC MSR: #GP", absent[i], 13);
	}
	for (i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++) {
		if (g_try_rdmsr(read_only[i], &v) != -1)
			g_fail(__LINE__, "read of a read-only x2APIC MSR", read_only[i], 0);
		if (g_try_wrmsr(read_only[i], 0) != 13)
			g_fail(__LINE__, "write of a read-only x2APIC MSR: #GP", read_only[i], 13);
	}
	for (i = 0; i < sizeof(write_only) / sizeof(write_only[0]); i++)
		if (g_try_rdmsr(write_only[i], &v) != 13)
			g_fail(__LINE__, "read of a write-only x2APIC MSR: #GP", write_only[i], 13);
	for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (g_try_wrmsr(reserved[i].msr, reserved[i].bad) != 13)
			g_fail(__LINE__, "reserved bits of an x2APIC MSR: #GP", reserved[i].msr,
			       reserved[i].bad);
	/* the page is not decoded any more: the test sees MMIO */
	g_sync(1);
	g_apic(APIC_VERSION);
}

void guest_x2apic_transitions(u64 arg)
{
	u64 x1 = g_rdmsr(MSR_APIC_BASE), x2 = x1 | APIC_BASE_X2,
	    off = x1 & ~(u64)(APIC_BASE_EN | APIC_BASE_X2);

	(void)arg;
	/* SDM vol. 3, figure 11-27 */
	G_EXPECT_EQ(g_try_wrmsr(MSR_APIC_BASE, off | APIC_BASE_X2), 13);
	G_EXPECT_EQ(g_try_wrmsr(MSR_APIC_BASE, x2), -1);
	G_EXPECT_EQ(g_rdmsr(MSR_APIC_BASE), x2);
	G_EXPECT_EQ(g_try_wrmsr(MSR_APIC_BASE, x1), 13);
	G_EXPECT_EQ(g_try_wrmsr(MSR_APIC_BASE, off | APIC_BASE_X2), 13);
	G_EXPECT_EQ(g_try_wrmsr(MSR_APIC_BASE, off), -1);
	G_EXPECT_EQ(g_try_wrmsr(MSR_APIC_BASE, x2), 13);
	G_EXPECT_EQ(g_try_wrmsr(MSR_APIC_BASE, x1), -1);
	G_EXPECT_EQ(g_apic(APIC_SVR), 0xff);
	/* reserved bits */
	G_EXPECT_EQ(g_try_wrmsr(MSR_APIC_BASE, x1 | 1), 13);
	G_EXPECT_EQ(g_try_wrmsr(MSR_APIC_BASE, x1 | 1ull << 60), 13);
}

void guest_x2apic_ipi(u64 arg)
{
	(void)arg;
	log_all(g_log_vector_x2);
	g_x2apic_on();
	g_wrmsr(MSR_X2(APIC_SELF_IPI), 0x61);
	g_wrmsr(MSR_X2(APIC_ICR), APIC_SELF | 0x71);
	g_wrmsr(MSR_X2(APIC_ICR), 0x81);	/* physical destination 0 */
	g_wrmsr(MSR_X2(APIC_ICR), 1ull << 32 | APIC_LOGICAL | 0x91);
	G_EXPECT_EQ(g_rdmsr(MSR_X2(APIC_ICR)), 1ull << 32 | APIC_LOGICAL | 0x91);
	breathe();
	G_EXPECT_EQ(g_log.nr, 4);
	G_EXPECT_EQ(g_log.vector[0], 0x91);
	G_EXPECT_EQ(g_log.vector[1], 0x81);
	G_EXPECT_EQ(g_log.vector[2], 0x71);
	G_EXPECT_EQ(g_log.vector[3], 0x61);
}
