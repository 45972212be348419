// SPDX-License-Identifier: GPL-2.0
/*
 * The real-time clock, by virtual time. A machine starts on 2024-02-28 23:59:58 UTC, a Wednesday.
 */
#include "machine.h"

static uint8_t rd(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void wr(uint8_t reg, uint8_t value)
{
	outb(0x70, reg);
	outb(0x71, value);
}

static void expect_time(uint8_t century, uint8_t year, uint8_t month, uint8_t day, uint8_t hour,
			uint8_t min, uint8_t sec)
{
	EXPECT_EQ(rd(0x32), century);
	EXPECT_EQ(rd(9), year);
	EXPECT_EQ(rd(8), month);
	EXPECT_EQ(rd(7), day);
	EXPECT_EQ(rd(4), hour);
	EXPECT_EQ(rd(2), min);
	EXPECT_EQ(rd(0), sec);
}

UNIT_TEST(rtc_shows_utc)
{
	machine_start(1, 64 << 20);
	EXPECT_EQ(rd(0x0d), 0x80);
	expect_time(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x58);
	EXPECT_EQ(rd(6), 4);
	advance(2 * SEC, SEC);
	expect_time(0x20, 0x24, 0x02, 0x29, 0x00, 0x00, 0x00);
	EXPECT_EQ(rd(6), 5);
	machine_end();
}

UNIT_TEST(rtc_modes)
{
	machine_start(1, 64 << 20);
	/* binary, 24 hours */
	wr(0x0b, 0x06);
	EXPECT_EQ(rd(9), 24);
	EXPECT_EQ(rd(4), 23);
	EXPECT_EQ(rd(2), 59);
	/* binary, 12 hours */
	wr(0x0b, 0x04);
	EXPECT_EQ(rd(4), 0x80 | 11);
	advance(2 * SEC, SEC);
	EXPECT_EQ(rd(4), 12);
	/* decimal, 12 hours */
	wr(0x0b, 0x00);
	EXPECT_EQ(rd(4), 0x12);
	machine_end();
}

UNIT_TEST(rtc_set)
{
	machine_start(1, 64 << 20);
	wr(0x0b, 0x82);
	wr(0, 0x30);
	wr(2, 0x59);
	wr(4, 0x07);
	wr(7, 0x31);
	wr(8, 0x12);
	wr(9, 0x99);
	wr(0x32, 0x19);
	/* frozen */
	advance(5 * SEC, SEC);
	EXPECT_EQ(rd(0), 0x30);
	wr(0x0b, 0x02);
	expect_time(0x19, 0x99, 0x12, 0x31, 0x07, 0x59, 0x30);
	advance(SEC, SEC);
	EXPECT_EQ(rd(0), 0x31);
	EXPECT_EQ(rd(6), 6);
	/* while it runs */
	wr(4, 0x23);
	wr(0, 0x59);
	wr(2, 0x59);
	advance(SEC, SEC);
	expect_time(0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00);
	machine_end();
}

/* mach_set_cmos_time() of Linux resets the divider, too: the next second is half a second off */
UNIT_TEST(rtc_divider_reset)
{
	uint8_t a;

	machine_start(1, 64 << 20);
	advance(300 * MS, SEC);
	wr(0x0b, 0x82);
	a = rd(0x0a);
	wr(0x0a, a | 0x70);
	wr(0, 0x10);
	wr(0x0b, 0x02);
	EXPECT_EQ(rd(0), 0x10);
	advance(3 * SEC, SEC);
	EXPECT_EQ(rd(0), 0x10);
	wr(0x0a, a);
	EXPECT_EQ(rd(0), 0x10);
	advance(499 * MS, SEC);
	EXPECT_EQ(rd(0), 0x10);
	advance(2 * MS, SEC);
	EXPECT_EQ(rd(0), 0x11);
	machine_end();
}

UNIT_TEST(rtc_update_in_progress)
{
	machine_start(1, 64 << 20);
	EXPECT_EQ(rd(0x0a), 0x26);
	advance(999800000, SEC);
	EXPECT_EQ(rd(0x0a) & 0x80, 0x80);
	advance(200000, SEC);
	EXPECT_EQ(rd(0x0a) & 0x80, 0);
	EXPECT_EQ(rd(0), 0x59);
	machine_end();
}

UNIT_TEST(rtc_update_interrupt)
{
	machine_start(1, 64 << 20);
	ioapic_route(8, 0x38);
	advance(2 * SEC, 100 * MS);
	/* not enabled: the flag is there, the interrupt is not */
	EXPECT_EQ(rd(0x0c), 0x70);
	EXPECT_EQ(rd(0x0c), 0x00);
	EXPECT_EQ(kernel.nr_msi, 0);
	wr(0x0b, 0x12);
	advance(SEC + MS, 100 * MS);
	EXPECT_EQ(kernel.nr_msi, 1);
	/* asserted until C is read */
	advance(5 * SEC, 100 * MS);
	EXPECT_EQ(kernel.nr_msi, 1);
	EXPECT_EQ(rd(0x0c) & 0x90, 0x90);
	advance(SEC, 100 * MS);
	EXPECT_EQ(kernel.nr_msi, 2);
	machine_end();
}

UNIT_TEST(rtc_alarm)
{
	machine_start(1, 64 << 20);
	ioapic_route(8, 0x38);
	wr(1, 0x05);
	wr(3, 0x01);
	wr(5, 0x00);
	rd(0x0c);
	wr(0x0b, 0x22);
	advance(66 * SEC, SEC);
	EXPECT_EQ(kernel.nr_msi, 0);
	advance(SEC, SEC);
	EXPECT_EQ(kernel.nr_msi, 1);
	EXPECT_EQ(rd(0x0c) & 0xa0, 0xa0);
	/* not again today, but tomorrow */
	advance(86399 * SEC, 1000 * SEC);
	EXPECT_EQ(kernel.nr_msi, 1);
	advance(SEC, SEC);
	EXPECT_EQ(kernel.nr_msi, 2);
	rd(0x0c);
	/* every minute */
	wr(3, 0xff);
	wr(5, 0xc0);
	advance(60 * SEC, SEC);
	EXPECT_EQ(kernel.nr_msi, 3);
	machine_end();
}

UNIT_TEST(rtc_alarm_that_never_comes)
{
	machine_start(1, 64 << 20);
	wr(5, 0x77);
	wr(1, 0xbf);
	wr(0x0b, 0x22);
	advance(200000 * SEC, 10000 * SEC);
	EXPECT_EQ(rd(0x0c) & 0x20, 0);
	machine_end();
}

UNIT_TEST(rtc_periodic_interrupt)
{
	unsigned int n = 0;

	machine_start(1, 64 << 20);
	ioapic_route(8, 0x38);
	/* 64 Hz */
	wr(0x0a, 0x2a);
	rd(0x0c);
	wr(0x0b, 0x42);
	while (n < 1000) {
		advance(MS, MS);
		rd(0x0c);
		n++;
	}
	EXPECT(kernel.nr_msi >= 63 && kernel.nr_msi <= 65);
	kernel.nr_msi = 0;
	/* no rate: none */
	wr(0x0a, 0x20);
	rd(0x0c);
	advance(SEC, MS);
	EXPECT_EQ(kernel.nr_msi, 0);
	machine_end();
}

UNIT_TEST(rtc_cmos)
{
	machine_start(1, 64 << 20);
	EXPECT_EQ(rd(0x15) | rd(0x16) << 8, 640);
	EXPECT_EQ(rd(0x17) | rd(0x18) << 8, 63 * 1024);
	EXPECT_EQ(rd(0x34) | rd(0x35) << 8, 48 * 16);
	EXPECT_EQ(rd(0x5b) | rd(0x5c) << 8 | rd(0x5d) << 16, 0);
	wr(0x40, 0xa5);
	/* the NMI mask is not part of the index */
	EXPECT_EQ(rd(0x40 | 0x80), 0xa5);
	/* both ports in one access */
	outw(0x70, 0x5a40);
	EXPECT_EQ(rd(0x40), 0x5a);
	wr(0x0d, 0x00);
	EXPECT_EQ(rd(0x0d), 0x80);
	machine_end();

	machine_start(1, 5ull << 30);
	EXPECT_EQ(rd(0x17) | rd(0x18) << 8, 0xffff);
	EXPECT_EQ(rd(0x34) | rd(0x35) << 8, (3072 - 16) * 16);
	EXPECT_EQ(rd(0x5b) | rd(0x5c) << 8 | rd(0x5d) << 16, 2048 * 16);
	machine_end();
}

/* every register with every value, in every mode: nothing but nonsense comes of it */
UNIT_TEST(rtc_nonsense)
{
	unsigned int b, reg, value;

	machine_start(1, 64 << 20);
	for (b = 0; b < 256; b += 2) {
		wr(0x0b, b);
		for (reg = 0; reg < 0x33; reg++) {
			if (reg == 0x0b)
				continue;
			for (value = 0; value < 256; value += 17) {
				wr(reg, value);
				rd(reg);
			}
		}
		advance(SEC, SEC);
	}
	wr(0x0a, 0x26);
	wr(0x0b, 0x02);
	EXPECT_EQ(rd(0x0d), 0x80);
	EXPECT((rd(0) & 15) < 10);
	machine_end();
}
