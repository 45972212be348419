// SPDX-License-Identifier: GPL-2.0
/*
 * Lines and the I/O APIC, down to the messages.
 */
#include "machine.h"

#include <errno.h>

#include "../../../vmmctl/dev/host.h"
#include "../../../vmmctl/dev/ioapic.h"
#include "../../../vmmctl/irq.h"

#define LEVEL	(1ull << 15)
#define MASKED	(1ull << 16)
#define RIRR	(1ull << 14)

static void irq(unsigned int gsi, bool level)
{
	irq_set_level(&vm, gsi, level);
}

UNIT_TEST(ioapic_registers)
{
	machine_start(1, 64 << 20);
	mmio_write(MAP_IOAPIC, 1, 4);
	EXPECT_EQ(mmio_read(MAP_IOAPIC + 0x10, 4), 0x00170011);
	mmio_write(MAP_IOAPIC, 0, 4);
	mmio_write(MAP_IOAPIC + 0x10, 0xffffffff, 4);
	EXPECT_EQ(mmio_read(MAP_IOAPIC + 0x10, 4), 0x0f000000);
	EXPECT_EQ(ioapic_entry(23), MASKED);
	/* read-only and reserved bits stay zero */
	ioapic_route(5, ~0ull & ~LEVEL);
	EXPECT_EQ(ioapic_entry(5), 0xff00000000012fffull);
	/* what is not there */
	mmio_write(MAP_IOAPIC, 0x40, 4);
	mmio_write(MAP_IOAPIC + 0x10, 0x12345678, 4);
	EXPECT_EQ(mmio_read(MAP_IOAPIC + 0x10, 4), 0);
	mmio_write(MAP_IOAPIC, 0x0f, 4);
	EXPECT_EQ(mmio_read(MAP_IOAPIC + 0x10, 4), 0);
	/* the window takes dwords only */
	mmio_write(MAP_IOAPIC, 0x10, 1);
	mmio_write(MAP_IOAPIC + 0x10, 0x31, 1);
	EXPECT_EQ(ioapic_entry(0), MASKED);
	machine_end();
}

UNIT_TEST(ioapic_message_encoding)
{
	static const struct {
		uint64_t entry, addr;
		uint32_t data;
	} t[] = {
		{ 0x0000000000000031, 0xfee00000, 0x0031 },	/* fixed, physical 0 */
		{ 0x0300000000000031, 0xfee03000, 0x0031 },
		{ 0xff00000000000831, 0xfeeff004, 0x0031 },	/* logical, all */
		{ 0x0100000000000931, 0xfee0100c, 0x0131 },	/* lowest priority */
		{ 0x0200000000008031, 0xfee02000, 0xc031 },	/* level */
		{ 0x020000000000a031, 0xfee02000, 0xc031 },	/* active low: the same */
		{ 0x0000000000000400, 0xfee00000, 0x0400 },	/* NMI */
		{ 0x0000000000008400, 0xfee00000, 0x0400 },	/* knows no level */
		{ 0x0000000000000500, 0xfee00000, 0x0500 },	/* INIT */
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t addr;
		uint32_t data;

		ioapic_message(t[i].entry, &addr, &data);
		EXPECT_EQ(addr, t[i].addr);
		EXPECT_EQ(data, t[i].data);
	}
}

UNIT_TEST(ioapic_edge)
{
	machine_start(1, 64 << 20);
	irq(4, true);
	/* masked: lost */
	ioapic_route(4, 0x34);
	EXPECT_EQ(kernel.nr_msi, 0);
	irq(4, true);
	EXPECT_EQ(kernel.nr_msi, 0);
	irq(4, false);
	irq(4, true);
	ASSERT_EQ(kernel.nr_msi, 1);
	EXPECT_EQ(kernel.msi[0].addr, 0xfee00000);
	EXPECT_EQ(kernel.msi[0].data, 0x34);
	EXPECT_EQ(ioapic_entry(4) & RIRR, 0);
	irq_eoi(&vm, 0x34);
	EXPECT_EQ(kernel.nr_msi, 1);
	machine_end();
}

UNIT_TEST(ioapic_level)
{
	machine_start(1, 64 << 20);
	irq(16, true);
	ioapic_route(16, LEVEL | MASKED | 0x40);
	EXPECT_EQ(kernel.nr_msi, 0);
	/* unmasking an asserted line sends */
	ioapic_route(16, LEVEL | 0x40);
	ASSERT_EQ(kernel.nr_msi, 1);
	EXPECT_EQ(kernel.msi[0].data, 0xc040);
	EXPECT(ioapic_entry(16) & RIRR);
	/* not twice while in service */
	irq(16, false);
	irq(16, true);
	EXPECT_EQ(kernel.nr_msi, 1);
	/* another vector's EOI */
	irq_eoi(&vm, 0x41);
	EXPECT(ioapic_entry(16) & RIRR);
	/* still asserted: again */
	irq_eoi(&vm, 0x40);
	EXPECT_EQ(kernel.nr_msi, 2);
	irq(16, false);
	irq_eoi(&vm, 0x40);
	EXPECT_EQ(kernel.nr_msi, 2);
	EXPECT_EQ(ioapic_entry(16) & RIRR, 0);
	machine_end();
}

UNIT_TEST(ioapic_level_ended_by_hand)
{
	machine_start(1, 64 << 20);
	ioapic_route(16, LEVEL | 0x40);
	irq(16, true);
	EXPECT_EQ(kernel.nr_msi, 1);
	/* mask and edge clear remote IRR; back to level, and the line asks again */
	ioapic_route(16, MASKED | 0x40);
	EXPECT_EQ(ioapic_entry(16) & RIRR, 0);
	ioapic_route(16, LEVEL | 0x40);
	EXPECT_EQ(kernel.nr_msi, 2);
	machine_end();
}

UNIT_TEST(ioapic_refused_message)
{
	machine_start(1, 64 << 20);
	kernel.msi_error = EINVAL;
	ioapic_route(16, LEVEL | 0x05);
	irq(16, true);
	EXPECT_EQ(ioapic_entry(16) & RIRR, 0);
	kernel.msi_error = 0;
	ioapic_route(16, LEVEL | 0x45);
	EXPECT_EQ(kernel.nr_msi, 1);
	machine_end();
}

UNIT_TEST(ioapic_extint_is_not_wired)
{
	machine_start(1, 64 << 20);
	ioapic_route(4, 0x700);
	irq(4, true);
	EXPECT_EQ(kernel.nr_msi, 0);
	machine_end();
}

UNIT_TEST(line_counts_its_sources)
{
	struct irq_source a, b;

	machine_start(1, 64 << 20);
	ioapic_route(17, LEVEL | 0x50);
	irq_source_init(&a, &vm, 17);
	irq_source_init(&b, &vm, 17);
	irq_source_set(&a, true);
	irq_source_set(&a, true);
	irq_source_set(&b, true);
	EXPECT_EQ(kernel.nr_msi, 1);
	irq_source_set(&a, false);
	irq_eoi(&vm, 0x50);
	EXPECT_EQ(kernel.nr_msi, 2);
	irq_source_set(&b, false);
	irq_eoi(&vm, 0x50);
	EXPECT_EQ(kernel.nr_msi, 2);
	irq_source_set(&b, false);
	irq_source_set(&a, true);
	EXPECT_EQ(kernel.nr_msi, 3);
	machine_end();
}

UNIT_TEST(line_pci_reaches_the_8259s)
{
	struct irq_source a, b;

	machine_start(1, 64 << 20);
	pics_init();
	irq_source_init(&a, &vm, 17);
	irq_source_init(&b, &vm, 19);
	irq_source_set(&a, true);
	irq_source_set(&b, true);
	irq_source_set(&a, false);
	/* 17 and 19 share input 11 */
	EXPECT(kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), 0x2b);
	irq_source_set(&b, false);
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
	EXPECT(!kernel.lint0);
	machine_end();
}

UNIT_TEST(line_deliverable)
{
	machine_start(1, 64 << 20);
	EXPECT(!irq_deliverable(&vm, 2));
	pics_init();
	EXPECT(irq_deliverable(&vm, 2));
	outb(0x21, 0x01);
	EXPECT(!irq_deliverable(&vm, 2));
	ioapic_route(2, 0x30);
	EXPECT(irq_deliverable(&vm, 2));
	EXPECT(!irq_deliverable(&vm, 0));
	EXPECT(irq_deliverable(&vm, 12));
	outb(0x21, 0x05);
	EXPECT(!irq_deliverable(&vm, 12));
	/* out of range does nothing */
	irq_set_level(&vm, 24, true);
	irq_set_level(&vm, ~0u, true);
	machine_end();
}
