// SPDX-License-Identifier: GPL-2.0
/*
 * IPIs, messages and pins: SDM vol. 3, 11.5.1, 11.6, 11.11, 11.12.9.
 */
#include "world.h"

#define X2	(LAPIC_BASE_EN | LAPIC_BASE_EXTD)
#define LOGICAL	LAPIC_ICR_LOGICAL
#define ALL	(2u << 18)
#define OTHERS	(3u << 18)
#define SELF	BIT(18)

static void start(unsigned int n, bool x2apic)
{
	unsigned int i;

	world_start(n);
	for (i = 0; i < n; i++) {
		enable(i);
		if (x2apic && set_mode(i, X2))
			abort();
	}
}

/* Which vCPUs have @vector requested; the requests are taken back */
static unsigned int who(u8 vector)
{
	unsigned int i, set = 0;

	for (i = 0; i < w.vm.nr_vcpus; i++)
		if (test_and_clear_bit(vector, cpu(i)->lapic->irr))
			set |= 1u << i;
	return set;
}

static unsigned int ipi(unsigned int from, u8 dest, u32 icr)
{
	wr(from, LAPIC_ICR_HIGH, (u32)dest << 24);
	wr(from, LAPIC_ICR, icr);
	return who(icr & 0xff);
}

static unsigned int x2_ipi(unsigned int from, u32 dest, u32 icr)
{
	EXPECT_EQ(wrmsr(from, 0x830, (u64)dest << 32 | icr), 0);
	return who(icr & 0xff);
}

UNIT_TEST(ipi_physical)
{
	start(8, false);
	EXPECT_EQ(ipi(0, 3, 0x40), 1 << 3);
	EXPECT_EQ(ipi(3, 3, 0x40), 1 << 3);
	EXPECT_EQ(ipi(0, 9, 0x40), 0);
	EXPECT_EQ(ipi(0, 0xff, 0x40), 0xff);
	/* ids changed by the guest */
	wr(3, LAPIC_ID, 0x20000000);
	EXPECT_EQ(ipi(0, 3, 0x40), 0);
	EXPECT_EQ(ipi(0, 0x20, 0x40), 1 << 3);
	wr(4, LAPIC_ID, 0x05000000);
	EXPECT_EQ(ipi(0, 5, 0x40), 3 << 4);
	EXPECT_EQ(ipi(0, 4, 0x40), 0);
	wr(4, LAPIC_ID, 0xe1000000);
	EXPECT_EQ(ipi(0, 0xe1, 0x40), 1 << 4);
}

UNIT_TEST(ipi_shorthand)
{
	start(4, false);
	EXPECT_EQ(ipi(2, 0, SELF | 0x41), 1 << 2);
	EXPECT_EQ(ipi(2, 0, ALL | 0x41), 0xf);
	EXPECT_EQ(ipi(2, 0, OTHERS | 0x41), 0xb);
	wr(2, LAPIC_ICR, OTHERS | 0x400);
	EXPECT_EQ(w.v[0].nmis + w.v[1].nmis + w.v[3].nmis, 3);
	EXPECT_EQ(w.v[2].nmis, 0);
}

UNIT_TEST(ipi_flat)
{
	unsigned int i;

	start(8, false);
	for (i = 0; i < 8; i++)
		wr(i, LAPIC_LDR, 1u << (24 + i));
	EXPECT_EQ(ipi(0, 0x5a, LOGICAL | 0x50), 0x5a);
	EXPECT_EQ(ipi(0, 0xff, LOGICAL | 0x50), 0xff);
	EXPECT_EQ(ipi(0, 0, LOGICAL | 0x50), 0);
}

UNIT_TEST(ipi_cluster)
{
	unsigned int i;

	start(8, false);
	for (i = 0; i < 8; i++) {
		wr(i, LAPIC_DFR, 0x0fffffff);
		wr(i, LAPIC_LDR, ((i / 4) << 4 | 1u << (i % 4)) << 24);
	}
	EXPECT_EQ(ipi(0, 0x05, LOGICAL | 0x50), 0x05);
	EXPECT_EQ(ipi(0, 0x1a, LOGICAL | 0x50), 0xa0);
	EXPECT_EQ(ipi(0, 0x2f, LOGICAL | 0x50), 0);
	EXPECT_EQ(ipi(0, 0xff, LOGICAL | 0x50), 0xff);
}

UNIT_TEST(ipi_x2apic)
{
	start(8, true);
	EXPECT_EQ(x2_ipi(0, 6, 0x60), 1 << 6);
	EXPECT_EQ(x2_ipi(0, 0xff, 0x60), 0);		/* not a broadcast here */
	EXPECT_EQ(x2_ipi(0, 0xffffffff, 0x60), 0xff);
	EXPECT_EQ(x2_ipi(0, 0x000000c1, LOGICAL | 0x60), 0xc1);
	EXPECT_EQ(x2_ipi(0, 0x000100ff, LOGICAL | 0x60), 0);
	EXPECT_EQ(x2_ipi(0, 0xffffffff, LOGICAL | 0x60), 0xff);
	EXPECT_EQ(x2_ipi(5, 0, OTHERS | 0x60), 0xdf);
	EXPECT_EQ(x2_ipi(5, 0, ALL | 0x60), 0xff);
	EXPECT_EQ(x2_ipi(5, 0, SELF | 0x60), 1 << 5);
	EXPECT_EQ(lapic_x2apic_ldr(0x35), 0x00030020);
}

UNIT_TEST(ipi_mixed_modes)
{
	start(4, false);
	EXPECT_EQ(set_mode(1, X2), 0);
	EXPECT_EQ(ipi(0, 1, 0x70), 1 << 1);
	EXPECT_EQ(x2_ipi(1, 2, 0x70), 1 << 2);
	EXPECT_EQ(x2_ipi(1, 0xffffffff, 0x70), 0xf);
	EXPECT_EQ(ipi(0, 0xff, 0x70), 0xf);
	wr(2, LAPIC_LDR, 0x04000000);
	EXPECT_EQ(x2_ipi(1, 0x10004, LOGICAL | 0x70), 0);	/* no xAPIC has such a logical id */
}

UNIT_TEST(ipi_disabled_receivers)
{
	start(3, false);
	wr(1, LAPIC_SVR, 0xff);
	EXPECT_EQ(set_mode(2, 0), 0);
	EXPECT_EQ(ipi(0, 0xff, 0x40), 1);
	/* software disabled still takes NMI, INIT, SIPI; disabled takes nothing */
	wr(0, LAPIC_ICR, OTHERS | 0x400);
	EXPECT_EQ(w.v[1].nmis, 1);
	EXPECT_EQ(w.v[2].nmis, 0);
	wr(0, LAPIC_ICR, OTHERS | 0x500);
	EXPECT(vmm_lapic_take_init(cpu(1)));
	EXPECT(!vmm_lapic_take_init(cpu(2)));
	/* a software-disabled APIC can send */
	wr(0, LAPIC_SVR, 0xff);
	wr(1, LAPIC_SVR, 0x1ff);
	EXPECT_EQ(ipi(0, 1, 0x40), 1 << 1);
}

UNIT_TEST(ipi_lowest_priority)
{
	unsigned int i, v, seen = 0;

	start(4, false);
	for (i = 0; i < 4; i++)
		wr(i, LAPIC_LDR, 1u << (24 + i));
	wr(0, LAPIC_TPR, 0x40);
	wr(1, LAPIC_TPR, 0x20);
	wr(2, LAPIC_TPR, 0x20);
	wr(3, LAPIC_TPR, 0x60);
	for (v = 0x80; v < 0x90; v++) {
		unsigned int got = ipi(0, 0x0f, LOGICAL | 0x100 | v);

		EXPECT(got == 2 || got == 4);
		EXPECT_EQ(ipi(0, 0x0f, LOGICAL | 0x100 | v), got);
		seen |= got;
	}
	EXPECT_EQ(seen, 6);
	EXPECT_EQ(ipi(0, 0x09, LOGICAL | 0x190), 1);
	EXPECT_EQ(ipi(0, 0x08, LOGICAL | 0x190), 8);
	/* an interrupt in service counts as priority */
	vmm_lapic_accept(cpu(1)->lapic, 0x91, false);
	EXPECT_EQ(take(1), 0x91);
	EXPECT_EQ(ipi(0, 0x0a, LOGICAL | 0x1a0), 8);
	/* software disabled: not a candidate */
	wr(3, LAPIC_SVR, 0xff);
	EXPECT_EQ(ipi(0, 0x0a, LOGICAL | 0x1a0), 2);
	EXPECT_EQ(ipi(0, 0x00, LOGICAL | 0x1a0), 0);
	/* all but the sender, who would be the one */
	EXPECT_EQ(ipi(2, 0, OTHERS | 0x1a1), 1);
}

UNIT_TEST(ipi_reserved_modes)
{
	unsigned int mode;

	start(2, false);
	for (mode = 0; mode < 8; mode++) {
		request(1, VMM_REQ_EVENT);
		wr(0, LAPIC_ICR_HIGH, 1u << 24);
		wr(0, LAPIC_ICR, mode << 8 | 0x4077);
		if (mode != LAPIC_DM_FIXED && mode != LAPIC_DM_LOWEST && who(0x77))
			FAIL("mode %u raised a vector", mode);
		EXPECT_EQ(rd(0, LAPIC_ICR), mode << 8 | 0x4077);
		who(0x77);
	}
	EXPECT_EQ(w.v[1].nmis, 1);
	EXPECT(vmm_lapic_take_init(cpu(1)));
}

UNIT_TEST(init_and_sipi)
{
	bool init;
	u32 sipi;

	start(2, false);
	wr(0, LAPIC_ICR_HIGH, 1u << 24);
	wr(0, LAPIC_ICR, 0x4612);			/* SIPI while running */
	EXPECT(request(1, VMM_REQ_INIT_SIPI));
	EXPECT_EQ(vmm_lapic_take_sipi(cpu(1)), 0x12);	/* for the caller to drop */
	EXPECT_EQ(vmm_lapic_take_sipi(cpu(1)), -1);

	wr(0, LAPIC_ICR, 0x4613);
	wr(0, LAPIC_ICR, 0xc500);			/* INIT forgets the SIPI before it */
	wr(0, LAPIC_ICR, 0x8500);			/* level de-assert: nothing */
	wr(0, LAPIC_ICR, 0x469a);
	wr(0, LAPIC_ICR, 0x469b);			/* the second SIPI does not count */
	vmm_lapic_get_sipi(cpu(1), &init, &sipi);
	EXPECT(init);
	EXPECT_EQ(sipi, 0x9a);
	EXPECT_EQ(vmm_lapic_take_sipi(cpu(1)), -1);	/* the INIT is first */
	EXPECT(vmm_lapic_take_init(cpu(1)));
	EXPECT(!vmm_lapic_take_init(cpu(1)));
	vmm_lapic_reset(cpu(1), true);
	EXPECT_EQ(vmm_lapic_take_sipi(cpu(1)), 0x9a);
	vmm_lapic_get_sipi(cpu(1), &init, &sipi);
	EXPECT(!init);
	EXPECT_EQ(sipi, ~0u);

	EXPECT_EQ(vmm_lapic_set_sipi(cpu(1), true, 0x100), -EINVAL);
	EXPECT_EQ(vmm_lapic_set_sipi(cpu(1), true, 0x20), 0);
	EXPECT(request(1, VMM_REQ_INIT_SIPI));
	EXPECT(vmm_lapic_take_init(cpu(1)));
	EXPECT_EQ(vmm_lapic_take_sipi(cpu(1)), 0x20);
}

UNIT_TEST(msi_decoding)
{
	unsigned int i;

	start(8, false);
	for (i = 0; i < 8; i++)
		wr(i, LAPIC_LDR, 1u << (24 + i));
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee05000, 0x4045), 1);
	EXPECT_EQ(who(0x45), 1 << 5);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee06004, 0x45), 2);		/* logical */
	EXPECT_EQ(who(0x45), 6);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee0600c, 0x45), 1);		/* with redirection hint */
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee0600c, 0x45), 1);
	i = who(0x45);
	EXPECT(i == 2 || i == 4);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfeeff000, 0x46), 8);
	EXPECT_EQ(who(0x46), 0xff);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee09000, 0x45), 0);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee06004, 0x145), 1);	/* lowest priority */
	who(0x45);
	/* level, with and without bit 14 */
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee01000, 0xc045), 1);
	EXPECT_EQ(rd(1, LAPIC_TMR + 0x20), 1u << 5);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee02000, 0x8045), 1);
	EXPECT_EQ(rd(2, LAPIC_TMR + 0x20), 1u << 5);
	EXPECT_EQ(who(0x45), 6);

	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee01000, 0x400), 1);
	EXPECT_EQ(w.v[1].nmis, 1);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee01000, 0x500), 1);
	EXPECT(vmm_lapic_take_init(cpu(1)));
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee01000, 0x745), 0);	/* ExtINT */
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee01000, 0x245), 0);	/* SMI */
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee01000, 0x345), -EINVAL);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee01000, 0x645), -EINVAL);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfec01000, 0x45), -EINVAL);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0x1fee01000, 0x45), -EINVAL);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee01000, 0x0f), 0);		/* illegal vector */
	wr(1, LAPIC_ESR, 0);
	EXPECT_EQ(rd(1, LAPIC_ESR), 0x40);
}

UNIT_TEST(msi_to_x2apic)
{
	start(4, true);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee03000, 0x45), 1);
	EXPECT_EQ(who(0x45), 8);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfeeff000, 0x45), 4);
}

static int lint(unsigned int i, u32 pin, u32 level)
{
	struct vmm_lint l = { .vcpu_id = i, .pin = pin, .level = level };

	return vmm_set_lint(&w.vm, &l);
}

UNIT_TEST(lint_arguments)
{
	struct vmm_lint l = { .pad = 1 };

	world_start(2);
	EXPECT_EQ(lint(0, 2, 0), -EINVAL);
	EXPECT_EQ(lint(0, 0, 2), -EINVAL);
	EXPECT_EQ(lint(2, 0, 1), -ENOENT);
	EXPECT_EQ(lint(~0u, 0, 1), -ENOENT);
	EXPECT_EQ(vmm_set_lint(&w.vm, &l), -EINVAL);
}

UNIT_TEST(lint_extint)
{
	world_start(1);
	/* software disabled after power-on: the INTR pin */
	EXPECT(!vmm_lapic_extint(cpu(0)));
	request(0, VMM_REQ_EVENT);
	w.v[0].kicks = 0;
	EXPECT_EQ(lint(0, 0, 1), 0);
	EXPECT(vmm_lapic_extint(cpu(0)));
	EXPECT(request(0, VMM_REQ_EVENT));
	EXPECT_EQ(w.v[0].kicks, 1);
	enable(0);
	EXPECT(!vmm_lapic_extint(cpu(0)));		/* masked */
	request(0, VMM_REQ_EVENT);
	wr(0, LAPIC_LVT + 0x30, 0x700);
	EXPECT(vmm_lapic_extint(cpu(0)));
	EXPECT(request(0, VMM_REQ_EVENT));
	wr(0, LAPIC_TPR, 0xff);				/* no matter */
	EXPECT(vmm_lapic_extint(cpu(0)));
	lint(0, 0, 0);
	EXPECT(!vmm_lapic_extint(cpu(0)));
	lint(0, 0, 1);
	wr(0, LAPIC_LVT + 0x30, 0x10700);
	EXPECT(!vmm_lapic_extint(cpu(0)));
	wr(0, LAPIC_LVT + 0x30, 0x31);			/* fixed, edge: the pin was up already */
	EXPECT(!vmm_lapic_extint(cpu(0)));
	EXPECT(!irr(0, 0x31));
	EXPECT_EQ(set_mode(0, 0), 0);
	EXPECT(vmm_lapic_extint(cpu(0)));
}

UNIT_TEST(lint_fixed_edge)
{
	world_start(1);
	enable(0);
	wr(0, LAPIC_LVT + 0x30, 0x2031);		/* polarity has no effect */
	lint(0, 0, 1);
	lint(0, 0, 1);
	EXPECT_EQ(take(0), 0x31);
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(take(0), -1);
	lint(0, 0, 0);
	lint(0, 0, 1);
	EXPECT_EQ(take(0), 0x31);
	EXPECT_EQ(w.v[0].eois, 0);
}

UNIT_TEST(lint_fixed_level)
{
	world_start(1);
	enable(0);
	lint(0, 0, 1);
	wr(0, LAPIC_LVT + 0x30, 0x8031);		/* unmasking finds the pin up */
	EXPECT_EQ(rd(0, LAPIC_LVT + 0x30), 0xc031);
	EXPECT_EQ(take(0), 0x31);
	lint(0, 0, 0);
	lint(0, 0, 1);					/* not before the EOI */
	EXPECT(!irr(0, 0x31));
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(w.v[0].last_eoi, 0x31);
	EXPECT_EQ(take(0), 0x31);			/* still up */
	lint(0, 0, 0);
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(take(0), -1);
	EXPECT_EQ(rd(0, LAPIC_LVT + 0x30), 0x8031);
	/* LINT1 knows edges only */
	wr(0, LAPIC_LVT + 0x40, 0x8032);
	lint(0, 1, 1);
	EXPECT_EQ(take(0), 0x32);
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(take(0), -1);
}

UNIT_TEST(lint_nmi_and_init)
{
	world_start(1);
	lint(0, 1, 1);					/* disabled: the NMI pin */
	EXPECT_EQ(w.v[0].nmis, 1);
	lint(0, 1, 0);
	enable(0);
	lint(0, 1, 1);
	EXPECT_EQ(w.v[0].nmis, 1);			/* masked */
	lint(0, 1, 0);
	wr(0, LAPIC_LVT + 0x40, 0x400);
	lint(0, 1, 1);
	lint(0, 1, 1);
	EXPECT_EQ(w.v[0].nmis, 2);
	lint(0, 1, 0);
	wr(0, LAPIC_LVT + 0x40, 0x500);
	lint(0, 1, 1);
	EXPECT(vmm_lapic_take_init(cpu(0)));
	wr(0, LAPIC_LVT + 0x30, 0x400);
	lint(0, 0, 1);
	EXPECT_EQ(w.v[0].nmis, 3);
}
