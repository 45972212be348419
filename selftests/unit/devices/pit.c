// SPDX-License-Identifier: GPL-2.0
/*
 * The 8254 and port 0x61, by virtual time.
 */
#include "machine.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define HZ	1193182ull

static uint64_t ticks(uint64_t n)
{
	return (n * SEC + HZ - 1) / HZ;
}

static void program(unsigned int channel, unsigned int mode, uint16_t count)
{
	outb(0x43, channel << 6 | 0x30 | mode << 1);
	outb(0x40 + channel, count);
	outb(0x40 + channel, count >> 8);
}

static uint16_t latched(unsigned int channel)
{
	uint16_t low;

	outb(0x43, channel << 6);
	low = inb(0x40 + channel);
	return low | inb(0x40 + channel) << 8;
}

static uint8_t status(unsigned int channel)
{
	outb(0x43, 0xe0 | 2 << channel);
	return inb(0x40 + channel);
}

static void pit_to_ioapic(void)
{
	ioapic_route(2, 0x30);
}

/* how Linux measures its TSC (native_calibrate_tsc, quick_pit_calibrate) */
UNIT_TEST(pit_calibration)
{
	uint64_t start;

	machine_start(1, 64 << 20);
	outb(0x61, (inb(0x61) & ~2) | 1);
	outb(0x43, 0xb0);
	outb(0x42, 59659 & 0xff);
	outb(0x42, 59659 >> 8);
	start = fake_mono;
	while (!(inb(0x61) & 0x20) && fake_mono - start < SEC)
		fake_mono += 1000;
	/* 50 ms */
	EXPECT(fake_mono - start >= 49999 * 1000);
	EXPECT(fake_mono - start <= 50002 * 1000);

	outb(0x43, 0xb0);
	outb(0x42, 0xff);
	outb(0x42, 0xff);
	EXPECT_EQ(inb(0x42), 0xff);
	EXPECT_EQ(inb(0x42), 0xff);
	fake_mono += ticks(256);
	EXPECT_EQ(inb(0x42), 0xff);
	EXPECT_EQ(inb(0x42), 0xfe);
	machine_end();
}

UNIT_TEST(pit_gate_stops_counting)
{
	machine_start(1, 64 << 20);
	outb(0x61, 1);
	program(2, 0, 10000);
	fake_mono += ticks(1000);
	EXPECT_EQ(latched(2), 9000);
	outb(0x61, 0);
	fake_mono += ticks(5000);
	EXPECT_EQ(latched(2), 9000);
	outb(0x61, 1);
	fake_mono += ticks(1000);
	EXPECT_EQ(latched(2), 8000);
	EXPECT_EQ(inb(0x61) & 0x2f, 0x01);
	fake_mono += ticks(8000);
	EXPECT_EQ(inb(0x61) & 0x2f, 0x21);
	/* counts on below zero */
	EXPECT_EQ(latched(2), 0);
	fake_mono += ticks(1);
	EXPECT_EQ(latched(2), 0xffff);
	/* the bits that software owns; channel 2 starts with its gate closed */
	outb(0x61, 0xff);
	EXPECT_EQ(inb(0x61) & 0x0f, 0x0f);
	machine_end();
}

UNIT_TEST(pit_hardware_one_shot)
{
	machine_start(1, 64 << 20);
	outb(0x61, 0);
	program(2, 1, 100);
	EXPECT(inb(0x61) & 0x20);
	outb(0x61, 1);
	EXPECT(!(inb(0x61) & 0x20));
	fake_mono += ticks(50);
	/* retriggered */
	outb(0x61, 0);
	outb(0x61, 1);
	fake_mono += ticks(99);
	EXPECT(!(inb(0x61) & 0x20));
	fake_mono += ticks(2);
	EXPECT(inb(0x61) & 0x20);
	machine_end();
}

UNIT_TEST(pit_modes_and_status)
{
	machine_start(1, 64 << 20);
	EXPECT(status(0) & 0x40);
	program(0, 2, 1000);
	EXPECT_EQ(status(0), 0xb4);
	fake_mono += ticks(999);
	EXPECT_EQ(status(0), 0x34);
	fake_mono += ticks(1);
	EXPECT_EQ(status(0), 0xb4);
	EXPECT_EQ(latched(0), 1000);
	/* mode bits 6 and 7 are 2 and 3 */
	outb(0x43, 0x3c);
	EXPECT_EQ(status(0) & 0x3f, 0x34);

	program(0, 3, 1000);
	EXPECT_EQ(latched(0), 1000);
	fake_mono += ticks(100);
	EXPECT_EQ(latched(0), 800);
	EXPECT(status(0) & 0x80);
	fake_mono += ticks(400);
	EXPECT(!(status(0) & 0x80));
	EXPECT_EQ(latched(0), 1000);

	/* the new count waits for the end of the period */
	program(0, 2, 1000);
	fake_mono += ticks(10);
	outb(0x40, 0xd0);
	outb(0x40, 0x07);
	EXPECT(status(0) & 0x40);
	EXPECT_EQ(latched(0), 990);
	fake_mono += ticks(990);
	EXPECT_EQ(latched(0), 2000);

	/* decimal */
	outb(0x43, 0x31);
	outb(0x40, 0x00);
	outb(0x40, 0x10);
	fake_mono += ticks(1);
	EXPECT_EQ(latched(0), 0x0999);

	/* one byte only */
	outb(0x43, 0x10);
	outb(0x40, 200);
	fake_mono += ticks(5);
	EXPECT_EQ(inb(0x40), 195);
	outb(0x43, 0x20);
	outb(0x40, 2);
	fake_mono += ticks(1);
	EXPECT_EQ(inb(0x40), 1);
	machine_end();
}

UNIT_TEST(pit_latches_hold)
{
	machine_start(1, 64 << 20);
	program(0, 2, 10000);
	fake_mono += ticks(100);
	outb(0x43, 0x00);
	fake_mono += ticks(100);
	/* a second latch is ignored until the first is read */
	outb(0x43, 0x00);
	EXPECT_EQ(inb(0x40), 9900 & 0xff);
	fake_mono += ticks(100);
	EXPECT_EQ(inb(0x40), 9900 >> 8);
	/* status first, then count */
	outb(0x43, 0xc2);
	EXPECT_EQ(inb(0x40), 0xb4);
	EXPECT_EQ(inb(0x40), 9700 & 0xff);
	EXPECT_EQ(inb(0x40), 9700 >> 8);
	EXPECT_EQ(inb(0x43), 0);
	machine_end();
}

UNIT_TEST(pit_periodic_interrupts)
{
	machine_start(1, 64 << 20);
	pit_to_ioapic();
	program(0, 2, 11932);
	advance(SEC, MS);
	EXPECT(kernel.nr_msi == 99 || kernel.nr_msi == 100);
	kernel.nr_msi = 0;
	program(0, 3, 1193);
	advance(SEC, MS / 10);
	EXPECT(kernel.nr_msi >= 999 && kernel.nr_msi <= 1001);
	machine_end();
}

UNIT_TEST(pit_one_shots)
{
	unsigned int mode;

	for (mode = 0; mode <= 4; mode += 4) {
		machine_start(1, 64 << 20);
		pit_to_ioapic();
		program(0, mode, 11932);
		kernel.nr_msi = 0;
		advance(9 * MS, MS);
		EXPECT_EQ(kernel.nr_msi, 0);
		advance(2 * MS, MS);
		EXPECT_EQ(kernel.nr_msi, 1);
		advance(SEC, MS);
		EXPECT_EQ(kernel.nr_msi, 1);
		program(0, mode, 1193);
		advance(2 * MS, MS / 10);
		EXPECT_EQ(kernel.nr_msi, 2);
		machine_end();
	}
}

UNIT_TEST(pit_masked_edges)
{
	machine_start(1, 64 << 20);
	program(0, 2, 11932);
	advance(SEC, MS);
	EXPECT_EQ(kernel.nr_msi, 0);
	/* what passed behind the I/O APIC's mask is lost, and the phase goes on */
	pit_to_ioapic();
	EXPECT_EQ(kernel.nr_msi, 0);
	advance(100 * MS, MS);
	EXPECT(kernel.nr_msi >= 9 && kernel.nr_msi <= 11);
	machine_end();

	/* an 8259 remembers one edge behind its mask */
	machine_start(1, 64 << 20);
	pics_init();
	outb(0x21, 0x01);
	program(0, 2, 11932);
	advance(SEC, MS);
	EXPECT(!kernel.lint0);
	outb(0x21, 0x00);
	EXPECT(kernel.lint0);
	EXPECT_EQ(irq_intack(&vm), 0x20);
	outb(0x20, 0x20);
	EXPECT(!kernel.lint0);
	advance(11 * MS, MS);
	EXPECT(kernel.lint0);
	machine_end();
}

UNIT_TEST(pit_fastest_rate_is_bounded)
{
	machine_start(1, 64 << 20);
	pit_to_ioapic();
	program(0, 2, 1);
	advance(10 * MS, 10000);
	EXPECT(kernel.nr_msi <= 201);
	program(0, 2, 2);
	kernel.nr_msi = 0;
	advance(10 * MS, 10000);
	EXPECT(kernel.nr_msi >= 100 && kernel.nr_msi <= 201);
	machine_end();
}

/* times that the loop's thread went to sleep */
static long loop_sleeps(void)
{
	char path[300], line[128];
	struct dirent *e;
	long sleeps = -1;
	DIR *d = opendir("/proc/self/task");

	while (d && (e = readdir(d))) {
		bool found = false;
		FILE *f;

		if (!isdigit(e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f)) {
			found |= !strcmp(line, "Name:\tdevices\n") &&
				 strtol(e->d_name, NULL, 10) != getpid();
			if (found && !strncmp(line, "voluntary_ctxt_switches:", 24))
				sleeps = strtol(line + 24, NULL, 10);
		}
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return sleeps;
}

UNIT_TEST(pit_masked_wakes_nobody)
{
	long before, after;

	machine_start_real(1, 64 << 20);
	program(0, 2, 1193);
	usleep(20000);
	before = loop_sleeps();
	ASSERT(before >= 0);
	usleep(300000);
	EXPECT(loop_sleeps() - before <= 3);

	pit_to_ioapic();
	usleep(300000);
	/* the test of the test: unmasked it ticks */
	EXPECT(kernel_msis() > 5);
	ioapic_route(2, 1 << 16);
	usleep(20000);
	before = loop_sleeps();
	usleep(300000);
	after = loop_sleeps();
	EXPECT(after - before <= 3);
	machine_end();
}
