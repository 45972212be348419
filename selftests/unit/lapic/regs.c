// SPDX-License-Identifier: GPL-2.0
/*
 * Modes, registers and accesses: SDM vol. 3, 11.4, 11.5.3, 11.12.
 */
#include "world.h"

#define EN	LAPIC_BASE_EN
#define X2	(LAPIC_BASE_EN | LAPIC_BASE_EXTD)
#define MSR(_offset)	(0x800 + (_offset) / 16)

UNIT_TEST(regs_after_power_on)
{
	int i;

	world_start(3);
	EXPECT_EQ(vmm_lapic_get_base(cpu(0)), 0xfee00900);
	EXPECT_EQ(vmm_lapic_get_base(cpu(2)), 0xfee00800);
	EXPECT_EQ(rd(2, LAPIC_ID), 2u << 24);
	EXPECT_EQ(rd(0, LAPIC_VERSION), 0x50014);
	EXPECT_EQ(rd(0, LAPIC_SVR), 0xff);
	EXPECT_EQ(rd(0, LAPIC_DFR), 0xffffffff);
	EXPECT_EQ(rd(0, LAPIC_LDR), 0);
	EXPECT_EQ(rd(0, LAPIC_TPR), 0);
	EXPECT_EQ(rd(0, LAPIC_PPR), 0);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(rd(0, LAPIC_LVT + i * 16), 0x10000);
	EXPECT_EQ(rd(0, LAPIC_TIMER_DIVIDE), 0);
	EXPECT_EQ(vmm_lapic_pending(cpu(0)), -1);
}

UNIT_TEST(base_state_transitions)
{
	static const u64 mode[] = { 0, EN, X2 };
	/* SDM figure 11-27: from (row) to (column) */
	static const bool valid[3][3] = {
		{ true, true, false },
		{ true, true, true },
		{ true, false, true },
	};
	unsigned int from, to;

	for (from = 0; from < 3; from++) {
		for (to = 0; to < 3; to++) {
			world_start(1);
			if (from != 1 && set_mode(0, mode[from]))
				FAIL("cannot enter mode %u", from);
			if (set_mode(0, mode[to]) != !valid[from][to])
				FAIL("from %u to %u", from, to);
			EXPECT_EQ(vmm_lapic_get_base(cpu(0)) & X2,
				  mode[valid[from][to] ? to : from]);
			EXPECT_EQ(set_mode(0, LAPIC_BASE_EXTD), 1);
		}
	}
}

UNIT_TEST(base_reserved_bits)
{
	world_start(2);
	EXPECT_EQ(vmm_lapic_set_base(cpu(0), 0xfee00800 | BIT_ULL(40), false), 1);
	EXPECT_EQ(vmm_lapic_set_base(cpu(0), 0xfee00800 | 1, false), 1);
	EXPECT_EQ(vmm_lapic_set_base(cpu(0), 0xfee00800 | BIT(9), false), 1);
	/* the BSP flag cannot be changed */
	EXPECT_EQ(vmm_lapic_set_base(cpu(0), 0xfee00800, false), 0);
	EXPECT_EQ(vmm_lapic_get_base(cpu(0)), 0xfee00900);
	EXPECT_EQ(vmm_lapic_set_base(cpu(1), 0xfee00900, false), 0);
	EXPECT_EQ(vmm_lapic_get_base(cpu(1)), 0xfee00800);
	EXPECT_EQ(vmm_lapic_set_base(cpu(1), 0xfee00900, true), 1);
	/* x2APIC only where CPUID has it; the host restores state in any order */
	w.no_x2apic = true;
	EXPECT_EQ(set_mode(0, X2), 1);
	EXPECT_EQ(vmm_lapic_set_base(cpu(0), 0xfee00d00, true), 0);
	EXPECT_EQ(vmm_lapic_set_base(cpu(0), 0xfee00900, true), 0);
}

UNIT_TEST(base_moves_the_page)
{
	world_start(1);
	EXPECT(vmm_lapic_covers(cpu(0), 0xfee00000));
	EXPECT(vmm_lapic_covers(cpu(0), 0xfee00fff));
	EXPECT(!vmm_lapic_covers(cpu(0), 0xfee01000));
	EXPECT(!vmm_lapic_covers(cpu(0), 0x1fee00000));
	EXPECT_EQ(vmm_lapic_set_base(cpu(0), 0x12345000 | EN, false), 0);
	EXPECT(!vmm_lapic_covers(cpu(0), 0xfee00000));
	EXPECT(vmm_lapic_covers(cpu(0), 0x12345080));
	EXPECT_EQ(set_mode(0, X2), 0);
	EXPECT(!vmm_lapic_covers(cpu(0), 0xfee00000));
	EXPECT_EQ(set_mode(0, 0), 0);
	EXPECT(!vmm_lapic_covers(cpu(0), 0xfee00000));
}

UNIT_TEST(disable_resets)
{
	u64 v;

	world_start(2);
	enable(1);
	wr(1, LAPIC_TPR, 0x35);
	wr(1, LAPIC_LDR, 0x02000000);
	wr(1, LAPIC_ID, 0x77000000);
	vmm_lapic_accept(cpu(1)->lapic, 0x61, false);
	EXPECT_EQ(take(1), 0x61);
	vmm_lapic_accept(cpu(1)->lapic, 0x51, false);
	EXPECT_EQ(set_mode(1, 0), 0);
	EXPECT_EQ(vmm_lapic_pending(cpu(1)), -1);
	EXPECT_EQ(set_mode(1, EN), 0);
	EXPECT_EQ(rd(1, LAPIC_TPR), 0);
	EXPECT_EQ(rd(1, LAPIC_LDR), 0);
	EXPECT_EQ(rd(1, LAPIC_ID), 1u << 24);
	EXPECT_EQ(rd(1, LAPIC_SVR), 0xff);
	EXPECT_EQ(rd(1, LAPIC_ISR + 0x30), 0);
	EXPECT_EQ(rd(1, LAPIC_IRR + 0x20), 0);
	/* xAPIC to x2APIC keeps the registers, except for the ids */
	enable(1);
	wr(1, LAPIC_ID, 0x77000000);
	wr(1, LAPIC_TPR, 0x20);
	wr(1, LAPIC_LVT + 0x50, 0x31);
	EXPECT_EQ(set_mode(1, X2), 0);
	EXPECT_EQ(rdmsr(1, MSR(LAPIC_ID), &v) | v, 1);
	EXPECT_EQ(rdmsr(1, MSR(LAPIC_TPR), &v) | v, 0x20);
	EXPECT_EQ(rdmsr(1, MSR(LAPIC_LVT + 0x50), &v) | v, 0x31);
	EXPECT_EQ(rdmsr(1, MSR(LAPIC_SVR), &v) | v, 0x1ff);
}

UNIT_TEST(init_keeps_id_and_mode)
{
	u64 v;

	world_start(2);
	wr(1, LAPIC_ID, 0x09000000);
	enable(1);
	vmm_lapic_reset(cpu(1), true);
	EXPECT_EQ(rd(1, LAPIC_ID), 0x09000000);
	EXPECT_EQ(rd(1, LAPIC_SVR), 0xff);
	EXPECT_EQ(set_mode(1, X2), 0);
	vmm_lapic_reset(cpu(1), true);
	EXPECT_EQ(vmm_lapic_get_base(cpu(1)) & X2, X2);
	EXPECT_EQ(rdmsr(1, MSR(LAPIC_LDR), &v), 0);
	EXPECT_EQ(v, 2);
	vmm_lapic_reset(cpu(1), false);
	EXPECT_EQ(vmm_lapic_get_base(cpu(1)), 0xfee00800);
	EXPECT_EQ(rd(1, LAPIC_ID), 0x01000000);
}

UNIT_TEST(mmio_other_widths)
{
	u8 buf[16];
	u64 q;
	u32 d = 0x55;

	world_start(1);
	enable(0);
	wr(0, LAPIC_ICR_HIGH, 0xab000000);
	memset(buf, 0xee, sizeof(buf));
	vmm_lapic_mmio(cpu(0), LAPIC_ICR_HIGH + 3, false, buf, 1);
	EXPECT_EQ(buf[0], 0xab);
	EXPECT_EQ(buf[1], 0xee);
	vmm_lapic_mmio(cpu(0), LAPIC_ICR_HIGH + 2, false, buf, 2);
	EXPECT_EQ(buf[1], 0xab);
	/* bytes 4 to 15 are nothing */
	q = ~0ull;
	vmm_lapic_mmio(cpu(0), LAPIC_SVR, false, &q, 8);
	EXPECT_EQ(q, 0x1ff);
	q = ~0ull;
	vmm_lapic_mmio(cpu(0), LAPIC_SVR + 4, false, &q, 8);
	EXPECT_EQ(q, 0);
	q = ~0ull;
	vmm_lapic_mmio(cpu(0), LAPIC_SVR + 1, false, &q, 8);
	EXPECT_EQ(q, 0x01);
	/* only aligned writes of four bytes count */
	vmm_lapic_mmio(cpu(0), LAPIC_TPR, true, &d, 1);
	vmm_lapic_mmio(cpu(0), LAPIC_TPR, true, &d, 2);
	vmm_lapic_mmio(cpu(0), LAPIC_TPR + 4, true, &d, 4);
	q = 0x55;
	vmm_lapic_mmio(cpu(0), LAPIC_TPR, true, &q, 8);
	EXPECT_EQ(rd(0, LAPIC_TPR), 0);
	wr(0, LAPIC_TPR, 0x155);
	EXPECT_EQ(rd(0, LAPIC_TPR), 0x55);
	/* the last bytes of the page, and read-only registers */
	vmm_lapic_mmio(cpu(0), 0xff8, false, buf, 8);
	vmm_lapic_mmio(cpu(0), 0xfff, false, buf, 8);
	wr(0, LAPIC_VERSION, 0);
	EXPECT_EQ(rd(0, LAPIC_VERSION), 0x50014);
	wr(0, LAPIC_IRR, ~0u);
	EXPECT_EQ(rd(0, LAPIC_IRR), 0);
}

UNIT_TEST(mmio_every_offset)
{
	unsigned int offset, len;
	u8 buf[8];

	world_start(2);
	enable(0);
	for (offset = 0; offset < 0x1000; offset++) {
		for (len = 1; len <= 8; len++) {
			memset(buf, offset ^ len, sizeof(buf));
			vmm_lapic_mmio(cpu(0), offset, len & 1, buf, len);
			vmm_lapic_mmio(cpu(0), offset, !(len & 1), buf, len);
		}
	}
}

UNIT_TEST(lvt_masked_while_disabled)
{
	world_start(1);
	wr(0, LAPIC_LVT + 0x50, 0x31);
	EXPECT_EQ(rd(0, LAPIC_LVT + 0x50), 0x10031);
	enable(0);
	EXPECT_EQ(rd(0, LAPIC_LVT + 0x50), 0x10031);
	wr(0, LAPIC_LVT + 0x50, 0x31);
	EXPECT_EQ(rd(0, LAPIC_LVT + 0x50), 0x31);
	wr(0, LAPIC_SVR, 0xff);
	EXPECT_EQ(rd(0, LAPIC_LVT + 0x50), 0x10031);
	/* reserved bits are not kept */
	enable(0);
	wr(0, LAPIC_LVT, ~0u);
	EXPECT_EQ(rd(0, LAPIC_LVT), 0x700ff);
	wr(0, LAPIC_LVT + 0x10, ~0u);
	EXPECT_EQ(rd(0, LAPIC_LVT + 0x10), 0x107ff);
	wr(0, LAPIC_LVT + 0x30, ~0u);
	EXPECT_EQ(rd(0, LAPIC_LVT + 0x30), 0x1a7ff);
	wr(0, LAPIC_LVT + 0x50, ~0u);
	EXPECT_EQ(rd(0, LAPIC_LVT + 0x50), 0x100ff);
	w.no_deadline = true;
	wr(0, LAPIC_LVT, ~0u);
	EXPECT_EQ(rd(0, LAPIC_LVT), 0x300ff);
}

UNIT_TEST(dfr_and_divide)
{
	world_start(1);
	wr(0, LAPIC_DFR, 0);
	EXPECT_EQ(rd(0, LAPIC_DFR), 0x0fffffff);
	wr(0, LAPIC_DFR, 0xf0000000);
	EXPECT_EQ(rd(0, LAPIC_DFR), 0xffffffff);
	wr(0, LAPIC_TIMER_DIVIDE, ~0u);
	EXPECT_EQ(rd(0, LAPIC_TIMER_DIVIDE), 0xb);
}

UNIT_TEST(esr_latch_and_interrupt)
{
	world_start(1);
	enable(0);
	wr(0, LAPIC_LVT + 0x50, 0x35);
	rd(0, 0x400);
	EXPECT(irr(0, 0x35));
	EXPECT_EQ(rd(0, LAPIC_ESR), 0);		/* only a write shows them */
	EXPECT_EQ(take(0), 0x35);
	wr(0, LAPIC_EOI, 0);
	rd(0, 0x2f0);				/* not armed: no second interrupt */
	EXPECT_EQ(vmm_lapic_pending(cpu(0)), -1);
	wr(0, LAPIC_ESR, 0);
	EXPECT_EQ(rd(0, LAPIC_ESR), 0x80);
	wr(0, LAPIC_ESR, 0);
	EXPECT_EQ(rd(0, LAPIC_ESR), 0);
	wr(0, LAPIC_ICR, 0x4000f | 1 << 14);	/* to self, vector 15 */
	EXPECT_EQ(take(0), 0x35);
	wr(0, LAPIC_ESR, 0x1234);
	EXPECT_EQ(rd(0, LAPIC_ESR), 0x20);
	wr(0, LAPIC_EOI, 0);
	vmm_lapic_accept(cpu(0)->lapic, 3, false);
	wr(0, LAPIC_ESR, 0);
	EXPECT_EQ(rd(0, LAPIC_ESR), 0x40);
	/* an error vector that is itself illegal: an error, and no end without return */
	wr(0, LAPIC_LVT + 0x50, 0x05);
	rd(0, 0x400);
	wr(0, LAPIC_ESR, 0);
	EXPECT_EQ(rd(0, LAPIC_ESR), 0xc0);
	/* masked: collected, no interrupt; unmasked, the next one raises it */
	wr(0, LAPIC_LVT + 0x50, 0x10035);
	while (take(0) >= 0)
		wr(0, LAPIC_EOI, 0);
	rd(0, 0x400);
	EXPECT_EQ(vmm_lapic_pending(cpu(0)), -1);
	wr(0, LAPIC_LVT + 0x50, 0x35);
	rd(0, 0x400);
	EXPECT_EQ(take(0), 0x35);
}

UNIT_TEST(x2apic_access_rights)
{
	/* r = RDMSR, w = WRMSR of zero; SDM table 11-6. What is not named has neither. */
	static const struct { u32 first, last; const char *how; } rights[] = {
		{ 0x802, 0x803, "r" }, { 0x808, 0x808, "rw" }, { 0x80a, 0x80a, "r" },
		{ 0x80b, 0x80b, "w" }, { 0x80d, 0x80d, "r" }, { 0x80f, 0x80f, "rw" },
		{ 0x810, 0x827, "r" }, { 0x828, 0x828, "rw" }, { 0x830, 0x830, "rw" },
		{ 0x832, 0x838, "rw" }, { 0x839, 0x839, "r" }, { 0x83e, 0x83e, "rw" },
		{ 0x83f, 0x83f, "w" },
	};
	const char *how;
	u32 msr;
	u64 v;
	int i;

	world_start(1);
	for (msr = 0x800; msr < 0x900; msr++) {
		EXPECT_EQ(rdmsr(0, msr, &v), 1);	/* xAPIC mode: none */
		EXPECT_EQ(wrmsr(0, msr, 0), 1);
	}
	EXPECT_EQ(set_mode(0, X2), 0);
	for (msr = 0x800; msr < 0x900; msr++) {
		how = "";
		for (i = 0; i < (int)ARRAY_SIZE(rights); i++)
			if (msr >= rights[i].first && msr <= rights[i].last)
				how = rights[i].how;
		if (rdmsr(0, msr, &v) != !strchr(how, 'r'))
			FAIL("read of %#x", msr);
		if (wrmsr(0, msr, 0) != !strchr(how, 'w'))
			FAIL("write of %#x", msr);
	}
	EXPECT_EQ(rdmsr(0, 0x7ff, &v), 1);
	EXPECT_EQ(rdmsr(0, 0x900, &v), 1);
}

UNIT_TEST(x2apic_reserved_bits)
{
	static const struct { u32 msr; u64 bits; } writable[] = {
		{ 0x808, 0xff }, { 0x80b, 0 }, { 0x80f, 0x3ff }, { 0x828, 0 },
		{ 0x830, 0xffffffff000cdfff }, { 0x832, 0x710ff }, { 0x833, 0x117ff },
		{ 0x834, 0x117ff }, { 0x835, 0x1f7ff }, { 0x836, 0x1f7ff }, { 0x837, 0x110ff },
		{ 0x838, 0xffffffff }, { 0x83e, 0xb }, { 0x83f, 0xff },
	};
	int i, bit;

	for (i = 0; i < (int)ARRAY_SIZE(writable); i++) {
		for (bit = 0; bit < 64; bit++) {
			bool ok = writable[i].bits >> bit & 1;

			world_start(1);
			EXPECT_EQ(set_mode(0, X2), 0);
			if (wrmsr(0, writable[i].msr, 1ull << bit) != !ok)
				FAIL("msr %#x bit %d", writable[i].msr, bit);
		}
	}
	world_start(1);
	w.no_deadline = true;
	EXPECT_EQ(set_mode(0, X2), 0);
	EXPECT_EQ(wrmsr(0, 0x832, BIT(18)), 1);
	EXPECT_EQ(wrmsr(0, 0x6e0, 1), 1);
}

UNIT_TEST(x2apic_values)
{
	u64 v;

	world_start(3);
	EXPECT_EQ(set_mode(2, X2), 0);
	EXPECT_EQ(rdmsr(2, 0x802, &v), 0);
	EXPECT_EQ(v, 2);
	EXPECT_EQ(rdmsr(2, 0x80d, &v), 0);
	EXPECT_EQ(v, 4);
	EXPECT_EQ(wrmsr(2, 0x830, 0x0000123400001000 | 0x4040), 0);
	EXPECT_EQ(rdmsr(2, 0x830, &v), 0);
	EXPECT_EQ(v, 0x0000123400004040);	/* the busy bit is never seen */
}

UNIT_TEST(self_ipi)
{
	u64 v;

	world_start(1);
	EXPECT_EQ(set_mode(0, X2), 0);
	EXPECT_EQ(wrmsr(0, 0x83f, 0x41), 0);
	EXPECT(!irr(0, 0x41));			/* software disabled */
	EXPECT_EQ(wrmsr(0, 0x80f, 0x1ff), 0);
	EXPECT_EQ(wrmsr(0, 0x83f, 0x41), 0);
	EXPECT_EQ(take(0), 0x41);
	EXPECT_EQ(wrmsr(0, 0x83f, 0x0f), 0);
	EXPECT_EQ(wrmsr(0, 0x828, 0), 0);
	EXPECT_EQ(rdmsr(0, 0x828, &v), 0);
	EXPECT_EQ(v, 0x20);
	EXPECT_EQ(wrmsr(0, 0x80b, 0), 0);
	EXPECT_EQ(vmm_lapic_pending(cpu(0)), -1);
}
