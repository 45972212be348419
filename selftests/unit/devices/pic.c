// SPDX-License-Identifier: GPL-2.0
/*
 * 8259s behind their ports, down to LINT0 and the acknowledge.
 */
#include "machine.h"

static void irq(unsigned int gsi, bool level)
{
	irq_set_level(&vm, gsi, level);
}

static uint8_t read_irr(uint16_t port)
{
	outb(port, 0x0a);
	return inb(port);
}

static uint8_t read_isr(uint16_t port)
{
	outb(port, 0x0b);
	return inb(port);
}

UNIT_TEST(pic_masked_until_set_up)
{
	machine_start(1, 64 << 20);
	EXPECT_EQ(inb(0x21), 0xff);
	EXPECT_EQ(inb(0xa1), 0xff);
	irq(4, true);
	EXPECT(!kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), -1);
	machine_end();
}

UNIT_TEST(pic_edge_is_delivered_once)
{
	machine_start(1, 64 << 20);
	pics_init();
	irq(4, true);
	EXPECT(kernel.lint0);
	EXPECT_EQ(read_irr(0x20), 0x10);
	EXPECT_EQ(irq_intack(&vm), 0x24);
	EXPECT(!kernel.lint0);
	EXPECT_EQ(read_isr(0x20), 0x10);
	EXPECT_EQ(read_irr(0x20), 0);
	outb(0x20, 0x20);
	EXPECT_EQ(read_isr(0x20), 0);
	/* the line is still high: no second edge */
	EXPECT(!kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), -1);
	irq(4, false);
	irq(4, true);
	EXPECT(kernel.lint0);
	machine_end();
}

UNIT_TEST(pic_edge_outlives_its_line)
{
	machine_start(1, 64 << 20);
	pics_init();
	irq(4, true);
	irq(4, false);
	EXPECT(kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), 0x24);
	machine_end();
}

UNIT_TEST(pic_priorities)
{
	machine_start(1, 64 << 20);
	pics_init();
	irq(4, true);
	irq(3, true);
	EXPECT_EQ(irq_intack(&vm), 0x23);
	/* 4 waits for 3's end */
	EXPECT(!kernel.lint0);
	irq(1, true);
	EXPECT(kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), 0x21);
	EXPECT_EQ(read_isr(0x20), 0x0a);
	outb(0x20, 0x20);
	EXPECT_EQ(read_isr(0x20), 0x08);
	outb(0x20, 0x63);
	EXPECT_EQ(read_isr(0x20), 0);
	EXPECT(kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), 0x24);
	machine_end();
}

UNIT_TEST(pic_mask_holds_back)
{
	machine_start(1, 64 << 20);
	pics_init();
	outb(0x21, 0x10);
	irq(4, true);
	EXPECT(!kernel.lint0);
	EXPECT_EQ(read_irr(0x20), 0x10);
	outb(0x21, 0x00);
	EXPECT(kernel.lint0);
	outb(0x21, 0x10);
	EXPECT(!kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), -1);
	machine_end();
}

UNIT_TEST(pic_cascade)
{
	machine_start(1, 64 << 20);
	pics_init();
	irq(12, true);
	EXPECT(kernel.lint0);
	EXPECT_EQ(read_irr(0x20), 0x04);
	EXPECT_EQ(irq_intack(&vm), 0x2c);
	EXPECT_EQ(read_isr(0x20), 0x04);
	EXPECT_EQ(read_isr(0xa0), 0x10);
	/* two at the slave, the second comes while the first is in service */
	irq(14, true);
	EXPECT(!kernel.lint0);
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
	EXPECT(kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), 0x2e);
	/* masked at the master: the slave is cut off */
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
	outb(0x21, 0x04);
	irq(8, true);
	EXPECT(!kernel.lint0);
	outb(0x21, 0x00);
	EXPECT_EQ(irq_intack(&vm), 0x28);
	machine_end();
}

UNIT_TEST(pic_special_fully_nested)
{
	machine_start(1, 64 << 20);
	pics_init();
	irq(14, true);
	EXPECT_EQ(irq_intack(&vm), 0x2e);
	/* higher at the slave, but the master's input 2 is in service */
	irq(8, true);
	EXPECT(!kernel.lint0);
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 0x04);
	outb(0x21, 0x11);
	EXPECT_EQ(irq_intack(&vm), 0x28);
	irq(1, true);
	EXPECT_EQ(irq_intack(&vm), 0x21);
	machine_end();
}

UNIT_TEST(pic_level_follows_line)
{
	machine_start(1, 64 << 20);
	pics_init();
	EXPECT_EQ(inb(0x4d0), 0x00);
	EXPECT_EQ(inb(0x4d1), 0x0e);
	outb(0x4d0, 0xff);
	outb(0x4d1, 0xff);
	/* timer, keyboard, cascade, RTC and FPU stay edges */
	EXPECT_EQ(inb(0x4d0), 0xf8);
	EXPECT_EQ(inb(0x4d1), 0xde);
	irq(5, true);
	EXPECT(kernel.lint0);
	irq(5, false);
	EXPECT(!kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), -1);
	irq(5, true);
	EXPECT_EQ(irq_intack(&vm), 0x25);
	/* still asserted: again after the EOI */
	outb(0x20, 0x20);
	EXPECT(kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), 0x25);
	irq(5, false);
	outb(0x20, 0x20);
	EXPECT(!kernel.lint0);
	machine_end();
}

UNIT_TEST(pic_spurious_slave)
{
	machine_start(1, 64 << 20);
	pics_init();
	/* the master in poll mode takes the cascade; the slave's request goes meanwhile */
	irq(10, true);
	EXPECT(kernel.lint0);
	outb(0xa1, 0x04);
	EXPECT(!kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), -1);
	EXPECT_EQ(read_isr(0x20), 0);
	machine_end();
}

UNIT_TEST(pic_automatic_eoi_rotates)
{
	machine_start(1, 64 << 20);
	pics_init();
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 0x04);
	outb(0x21, 0x03);
	outb(0x20, 0x80);
	irq(3, true);
	EXPECT_EQ(irq_intack(&vm), 0x23);
	EXPECT_EQ(read_isr(0x20), 0);
	/* 3 is the lowest now */
	irq(3, false);
	irq(3, true);
	irq(5, true);
	EXPECT_EQ(irq_intack(&vm), 0x25);
	EXPECT_EQ(irq_intack(&vm), 0x23);
	machine_end();
}

UNIT_TEST(pic_rotation)
{
	machine_start(1, 64 << 20);
	pics_init();
	/* set priority: 4 lowest, 5 highest */
	outb(0x20, 0xc4);
	irq(1, true);
	irq(5, true);
	EXPECT_EQ(irq_intack(&vm), 0x25);
	/* rotate on non-specific EOI: 5 lowest */
	outb(0x20, 0xa0);
	irq(5, false);
	irq(5, true);
	EXPECT_EQ(irq_intack(&vm), 0x21);
	/* rotate on specific EOI: 1 lowest */
	outb(0x20, 0xe1);
	irq(1, false);
	irq(1, true);
	EXPECT_EQ(irq_intack(&vm), 0x25);
	machine_end();
}

UNIT_TEST(pic_special_mask)
{
	machine_start(1, 64 << 20);
	pics_init();
	irq(3, true);
	EXPECT_EQ(irq_intack(&vm), 0x23);
	irq(6, true);
	EXPECT(!kernel.lint0);
	outb(0x21, 0x08);
	EXPECT(!kernel.lint0);
	outb(0x20, 0x68);
	EXPECT(kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), 0x26);
	/* a non-specific EOI leaves the masked level alone */
	outb(0x20, 0x20);
	EXPECT_EQ(read_isr(0x20), 0x08);
	outb(0x20, 0x48);
	EXPECT(!kernel.lint0);
	machine_end();
}

UNIT_TEST(pic_poll)
{
	machine_start(1, 64 << 20);
	pics_init();
	outb(0x20, 0x0c);
	EXPECT_EQ(inb(0x20), 0x00);
	irq(6, true);
	outb(0x20, 0x0c);
	EXPECT_EQ(inb(0x20), 0x86);
	EXPECT_EQ(read_isr(0x20), 0x40);
	EXPECT(!kernel.lint0);
	machine_end();
}

UNIT_TEST(pic_restart)
{
	machine_start(1, 64 << 20);
	pics_init();
	irq(4, true);
	irq(11, true);
	EXPECT(kernel.lint0);
	outb(0x20, 0x11);
	/* half initialised: silent, the mask register is not reached yet */
	EXPECT(!kernel.lint0);
	outb(0x21, 0x40);
	outb(0x21, 0x04);
	EXPECT(!kernel.lint0);
	outb(0x21, 0x01);
	/* the edge is forgotten, the slave's level is not */
	EXPECT_EQ(read_irr(0x20), 0x04);
	EXPECT_EQ(irq_intack(&vm), 0x2b);
	/* single and without ICW4: two words */
	outb(0x20, 0x12);
	outb(0x21, 0x48);
	outb(0x21, 0xfe);
	EXPECT_EQ(inb(0x21), 0xfe);
	machine_end();
}

UNIT_TEST(pic_lint_told_on_change_only)
{
	unsigned int i;

	machine_start(1, 64 << 20);
	pics_init();
	for (i = 0; i < 10; i++) {
		irq(4, true);
		irq(4, false);
		read_irr(0x20);
	}
	EXPECT_EQ(kernel.lint_changes, 1);
	machine_end();
}
