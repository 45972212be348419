// SPDX-License-Identifier: GPL-2.0
/*
 * The page in which a processor keeps registers of the local APIC: put before an entry, taken
 * after the exit. The processor's part is played by the tests (SDM vol. 3, 30.2).
 */
#include <stdlib.h>

#include "world.h"

static u32 page[1024];

static u32 *reg(unsigned int offset)
{
	return &page[offset / 4];
}

static bool in_page(unsigned int offset, u8 vector)
{
	return *reg(offset + (vector >> 5) * 16) >> (vector & 31) & 1;
}

static void page_set(unsigned int offset, u8 vector, bool value)
{
	u32 *r = reg(offset + (vector >> 5) * 16);

	*r = value ? *r | 1u << (vector & 31) : *r & ~(1u << (vector & 31));
}

static void accept(u8 vector, bool level)
{
	vmm_lapic_accept(cpu(0)->lapic, vector, level);
}

static void start(void)
{
	world_start(1);
	memset(page, 0xff, sizeof(page));	/* whatever was there before */
	enable(0);
}

static u16 put(void)
{
	vmm_lapic_page_put_tpr(cpu(0), page);
	vmm_lapic_page_put_regs(cpu(0), page);
	return vmm_lapic_page_put_irqs(cpu(0), page);
}

static void take_back(void)
{
	vmm_lapic_page_take_tpr(cpu(0), page);
	vmm_lapic_page_take_irqs(cpu(0), page);
}

/* what the processor does when it delivers @vector, and when the guest ends it */
static void deliver(u8 vector)
{
	page_set(LAPIC_IRR, vector, false);
	page_set(LAPIC_ISR, vector, true);
}

static void end(u8 vector)
{
	page_set(LAPIC_ISR, vector, false);
}

UNIT_TEST(page_nothing_requested)
{
	unsigned int vector;

	start();
	ASSERT_EQ(put(), 0);
	for (vector = 0; vector < 256; vector++) {
		ASSERT(!in_page(LAPIC_IRR, vector));
		ASSERT(!in_page(LAPIC_ISR, vector));
	}
	take_back();
	EXPECT_EQ(vmm_lapic_pending(cpu(0)), -1);
	EXPECT_EQ(cpu(0)->lapic->isr_top, -1);
}

UNIT_TEST(page_every_vector_there_and_back)
{
	unsigned int vector;

	for (vector = 16; vector < 256; vector++) {
		start();
		accept(vector, false);
		ASSERT_EQ(put(), vector);
		ASSERT(in_page(LAPIC_IRR, vector));
		ASSERT(!irr(0, vector));	/* so that another one is seen to come */
		take_back();
		ASSERT(irr(0, vector));
		ASSERT_EQ(vmm_lapic_pending(cpu(0)), vector);
	}
}

UNIT_TEST(page_delivered_and_ended)
{
	unsigned int vector;

	for (vector = 16; vector < 256; vector++) {
		start();
		accept(vector, false);
		put();
		deliver(vector);
		take_back();
		ASSERT(!irr(0, vector));
		ASSERT_EQ(cpu(0)->lapic->isr_top, vector);
		ASSERT_EQ(rd(0, LAPIC_PPR), vector & 0xf0);
		/* in service, and nothing requested */
		ASSERT_EQ(put(), vector << 8);
		ASSERT(in_page(LAPIC_ISR, vector));
		end(vector);
		take_back();
		ASSERT_EQ(cpu(0)->lapic->isr_top, -1);
		ASSERT_EQ(rd(0, LAPIC_PPR), 0);
	}
}

UNIT_TEST(page_nested)
{
	start();
	accept(0x31, false);
	accept(0x52, false);
	EXPECT_EQ(put(), 0x52);
	deliver(0x52);
	take_back();
	EXPECT_EQ(vmm_lapic_pending(cpu(0)), -1);
	accept(0xe0, false);
	EXPECT_EQ(put(), 0x52 << 8 | 0xe0);
	deliver(0xe0);
	take_back();
	EXPECT_EQ(put(), 0xe0 << 8 | 0x31);
	/* the guest ends one, the emulator the other: both find the same state */
	end(0xe0);
	take_back();
	EXPECT_EQ(rd(0, LAPIC_PPR), 0x50);
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(put(), 0x31);
	EXPECT(!in_page(LAPIC_ISR, 0x52));
	take_back();
	EXPECT_EQ(take(0), 0x31);
}

/* what comes while the guest runs is not lost, and kicks, even if the page has the vector */
UNIT_TEST(page_requested_meanwhile)
{
	unsigned int kicks;

	start();
	accept(0x40, false);
	put();
	kicks = w.v[0].kicks;
	accept(0x40, false);
	accept(0x80, false);
	EXPECT_EQ(w.v[0].kicks, kicks + 2);
	deliver(0x40);
	take_back();
	/* delivered once, which is counted, and once more requested */
	EXPECT_EQ(cpu(0)->stat[VMM_STAT_IRQ_INJECTED], 1);
	EXPECT(irr(0, 0x40));
	EXPECT_EQ(cpu(0)->lapic->isr_top, 0x40);
	EXPECT_EQ(put(), 0x40 << 8 | 0x80);
}

UNIT_TEST(page_tpr)
{
	unsigned int tpr;

	for (tpr = 0; tpr < 256; tpr++) {
		start();
		wr(0, LAPIC_TPR, tpr);
		put();
		ASSERT_EQ(*reg(LAPIC_TPR), tpr);
		*reg(LAPIC_TPR) = 255 - tpr;
		take_back();
		ASSERT_EQ(rd(0, LAPIC_TPR), 255 - tpr);
		ASSERT_EQ(rd(0, LAPIC_PPR), 255 - tpr);
	}
}

/* the guest lowered TPR without an exit of its own: what that lets through is not overlooked */
UNIT_TEST(page_tpr_lets_through)
{
	start();
	wr(0, LAPIC_TPR, 0x50);
	accept(0x40, false);
	request(0, VMM_REQ_EVENT);
	vmm_lapic_page_put_tpr(cpu(0), page);
	*reg(LAPIC_TPR) = 0x30;
	vmm_lapic_page_take_tpr(cpu(0), page);
	EXPECT(request(0, VMM_REQ_EVENT));
	EXPECT_EQ(vmm_lapic_pending(cpu(0)), 0x40);
}

UNIT_TEST(page_level)
{
	start();
	accept(0x61, true);
	accept(0x62, false);
	EXPECT_EQ(vmm_lapic_level_vectors(cpu(0), 1), 1ull << 0x21);
	EXPECT_EQ(put(), 0x62);
	EXPECT(in_page(LAPIC_TMR, 0x61));
	EXPECT(!in_page(LAPIC_TMR, 0x62));
	deliver(0x61);
	end(0x61);
	take_back();
	vmm_lapic_eoi_seen(cpu(0), 0x61);
	EXPECT_EQ(w.v[0].eois, 1);
	EXPECT_EQ(w.v[0].last_eoi, 0x61);
	vmm_lapic_eoi_seen(cpu(0), 0x62);
	EXPECT_EQ(w.v[0].eois, 1);
}

/* every register that the processor may answer for reads as it does by an exit */
UNIT_TEST(page_registers)
{
	unsigned int i, n;
	int offset;
	u64 value;

	start();
	wr(0, LAPIC_LVT, 0x20030);
	wr(0, LAPIC_LVT + 0x30, 0x10700);
	wr(0, LAPIC_TIMER_DIVIDE, 0xb);
	ASSERT_EQ(set_mode(0, LAPIC_BASE_MODE | LAPIC_BASE_BSP), 0);
	put();
	for (i = 0; (offset = vmm_lapic_page_reg(i)) >= 0; i++) {
		ASSERT_EQ(rdmsr(0, LAPIC_MSR_X2APIC + offset / 16, &value), 0);
		ASSERT_EQ(*reg(offset), value);
	}
	ASSERT(i > 10);
	for (n = 0; n < 8; n++)
		ASSERT_EQ(*reg(LAPIC_TMR + n * 16), 0);
}

/* a disabled APIC delivers nothing, and forgets nothing of it */
UNIT_TEST(page_disabled)
{
	start();
	ASSERT_EQ(set_mode(0, LAPIC_BASE_BSP), 0);
	set_bit(0x40, cpu(0)->lapic->irr);
	EXPECT_EQ(put(), 0);
	EXPECT(!in_page(LAPIC_IRR, 0x40));
	take_back();
	EXPECT(irr(0, 0x40));
}
