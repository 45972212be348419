// SPDX-License-Identifier: GPL-2.0
/*
 * ACPI fixed hardware, keyboard controller, small ports.
 */
#include "machine.h"

#include "../../../vmmctl/dev/acpi_pm.h"
#include "../../../vmmctl/dev/host.h"
#include "../../../vmmctl/dev/legacy.h"
#include "../../../vmmctl/irq.h"

static int status(void)
{
	return atomic_load(&vm.status);
}

UNIT_TEST(pm_power_button)
{
	machine_start(1, 64 << 20);
	ioapic_route(SCI_GSI, 1 << 15 | 0x39);
	/* always in ACPI mode */
	EXPECT_EQ(inw(PORT_PM1_CNT), 1);
	acpi_power_button(&vm);
	EXPECT_EQ(inw(PORT_PM1_EVT) & ~1, 0x100);
	EXPECT_EQ(kernel.nr_msi, 0);
	outw(PORT_PM1_EVT + 2, 0x100);
	EXPECT_EQ(kernel.nr_msi, 1);
	EXPECT_EQ(kernel.msi[0].data, 0xc039);
	/* level: until the status is cleared */
	irq_eoi(&vm, 0x39);
	EXPECT_EQ(kernel.nr_msi, 2);
	outw(PORT_PM1_EVT, 0x100);
	irq_eoi(&vm, 0x39);
	EXPECT_EQ(kernel.nr_msi, 2);
	EXPECT_EQ(inw(PORT_PM1_EVT) & 0x100, 0);
	acpi_power_button(&vm);
	EXPECT_EQ(kernel.nr_msi, 3);
	/* reserved bits stay zero */
	outw(PORT_PM1_EVT + 2, 0xffff);
	EXPECT_EQ(inw(PORT_PM1_EVT + 2), 0x721);
	machine_end();
}

UNIT_TEST(pm_soft_off)
{
	machine_start(1, 64 << 20);
	outw(PORT_PM1_CNT, 1 << 13 | 1 << 10);
	EXPECT_EQ(status(), -1);
	outw(PORT_PM1_CNT, 5 << 10);
	EXPECT_EQ(status(), -1);
	EXPECT_EQ(inw(PORT_PM1_CNT), 5 << 10 | 1);
	outw(PORT_PM1_CNT, 1 << 13 | 5 << 10);
	EXPECT_EQ(status(), STATUS_POWER_OFF);
	machine_end();

	/* by bytes */
	machine_start(1, 64 << 20);
	outb(PORT_PM1_CNT + 1, 0x34);
	EXPECT_EQ(status(), STATUS_POWER_OFF);
	machine_end();
}

UNIT_TEST(pm_timer)
{
	uint32_t a, b;

	machine_start(1, 64 << 20);
	ioapic_route(SCI_GSI, 1 << 15 | 0x39);
	a = inl(PORT_PM_TMR);
	fake_mono += SEC;
	b = inl(PORT_PM_TMR);
	EXPECT(b - a >= 3579544 && b - a <= 3579546);
	outl(PORT_PM_TMR, 0);
	EXPECT(inl(PORT_PM_TMR) - b < 10);
	/* the top bit changes after about 600 s */
	outw(PORT_PM1_EVT + 2, 1);
	advance(590 * SEC, SEC);
	EXPECT_EQ(inw(PORT_PM1_EVT) & 1, 0);
	EXPECT_EQ(kernel.nr_msi, 0);
	advance(15 * SEC, SEC);
	EXPECT_EQ(kernel.nr_msi, 1);
	EXPECT_EQ(inw(PORT_PM1_EVT) & 1, 1);
	EXPECT(inl(PORT_PM_TMR) >> 31);
	outw(PORT_PM1_EVT, 1);
	irq_eoi(&vm, 0x39);
	advance(605 * SEC, SEC);
	EXPECT_EQ(kernel.nr_msi, 2);
	EXPECT(!(inl(PORT_PM_TMR) >> 31));
	machine_end();
}

UNIT_TEST(reset_ports)
{
	static const struct {
		uint16_t port;
		uint8_t first, then;
		bool resets;
	} t[] = {
		{ 0x64, 0xaa, 0xfe, true },
		{ 0x64, 0xaa, 0xfc, true },
		{ 0x64, 0xaa, 0xff, false },
		{ 0x92, 0x02, 0x03, true },
		{ 0x92, 0x00, 0x02, false },
		{ PORT_ACPI_RESET, 0x02, 0x06, true },
		{ PORT_ACPI_RESET, 0x00, 0x02, false },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		machine_start(1, 64 << 20);
		outb(t[i].port, t[i].first);
		EXPECT_EQ(status(), -1);
		outb(t[i].port, t[i].then);
		EXPECT_EQ(status(), t[i].resets ? STATUS_REBOOT : -1);
		machine_end();
	}

	/* output port of the 8042: reset line low */
	machine_start(1, 64 << 20);
	outb(0x64, 0xd1);
	outb(0x60, 0x03);
	EXPECT_EQ(status(), -1);
	outb(0x64, 0xd1);
	outb(0x60, 0xfe);
	EXPECT_EQ(status(), STATUS_REBOOT);
	machine_end();
}

UNIT_TEST(i8042_has_nothing_plugged_in)
{
	machine_start(1, 64 << 20);
	EXPECT_EQ(inb(0x64) & 3, 0);
	outb(0x64, 0xaa);
	EXPECT_EQ(inb(0x64) & 1, 1);
	EXPECT_EQ(inb(0x60), 0x55);
	EXPECT_EQ(inb(0x64) & 1, 0);
	outb(0x64, 0xab);
	EXPECT_EQ(inb(0x60), 0x00);
	outb(0x64, 0xa9);
	EXPECT(inb(0x60) != 0x00);
	outb(0x64, 0x60);
	outb(0x60, 0x45);
	outb(0x64, 0x20);
	EXPECT_EQ(inb(0x60), 0x45);
	outb(0x64, 0xae);
	outb(0x64, 0xa7);
	outb(0x64, 0x20);
	EXPECT_EQ(inb(0x60), 0x65);
	/* a command to the keyboard times out */
	outb(0x60, 0xff);
	EXPECT_EQ(inb(0x64) & 0x41, 0x41);
	EXPECT_EQ(inb(0x60), 0xfe);
	outb(0x64, 0xd0);
	EXPECT_EQ(inb(0x60), 0x03);
	EXPECT(inb(0x92) & 2);
	outb(0x80, 0x37);
	EXPECT_EQ(inb(0x80), 0x37);
	machine_end();
}

UNIT_TEST(debug_exit)
{
	machine_start(1, 64 << 20);
	EXPECT_EQ(debug_exit_create(&vm, 0x3f), (unsigned long long)-17);
	EXPECT_EQ(debug_exit_create(&vm, 0xf4), 0);
	EXPECT_EQ(inl(0xf4), 0);
	EXPECT_EQ(status(), -1);
	outl(0xf4, 0x10);
	EXPECT_EQ(status(), 0x21);
	outl(0xf4, 0);
	EXPECT_EQ(status(), 0x21);
	machine_end();

	machine_start(1, 64 << 20);
	EXPECT_EQ(debug_exit_create(&vm, 0xf4), 0);
	outl(0xf4, 0xffffffff);
	EXPECT_EQ(status(), 0xff);
	machine_end();
}
