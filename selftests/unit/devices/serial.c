// SPDX-License-Identifier: GPL-2.0
/*
 * The 16550 between ports and pipes.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../../vmmctl/dev/serial.h"

#define COM	0x3f8
#define IER	(COM + 1)
#define IIR	(COM + 2)
#define FCR	(COM + 2)
#define LCR	(COM + 3)
#define MCR	(COM + 4)
#define LSR	(COM + 5)
#define MSR	(COM + 6)
#define SCR	(COM + 7)

static struct serial *port;
static int out[2];

static void start(int fd)
{
	machine_start_real(1, 64 << 20);
	port = serial_create(&vm, fd);
}

static void start_piped(void)
{
	if (pipe(out))
		FAIL("pipe: %s", strerror(errno));
	start(out[1]);
}

static void end(void)
{
	serial_end(port);
	machine_end();
}

static void end_piped(void)
{
	end();
	close(out[0]);
	close(out[1]);
}

/* within two seconds */
static bool eventually(bool (*cond)(void))
{
	unsigned int i;

	for (i = 0; i < 2000 && !cond(); i++)
		usleep(1000);
	return cond();
}

static bool another_message(void)
{
	return kernel_msis() == 1;
}

static bool transmitter_empty(void)
{
	return (inb(LSR) & 0x60) == 0x60;
}

UNIT_TEST(serial_registers)
{
	start(-1);
	/* what drivers look for */
	outb(IER, 0xff);
	EXPECT_EQ(inb(IER), 0x0f);
	outb(IER, 0x00);
	EXPECT_EQ(inb(IER), 0x00);
	outb(SCR, 0xa5);
	EXPECT_EQ(inb(SCR), 0xa5);
	outb(LCR, 0x83);
	outb(COM, 0x34);
	outb(IER, 0x12);
	EXPECT_EQ(inb(COM), 0x34);
	EXPECT_EQ(inb(IER), 0x12);
	outb(LCR, 0x03);
	EXPECT_EQ(inb(IER), 0x00);
	EXPECT_EQ(inb(LCR), 0x03);
	EXPECT_EQ(inb(IIR), 0x01);
	outb(FCR, 0x01);
	EXPECT_EQ(inb(IIR), 0xc1);
	/* no 64 byte FIFO */
	outb(LCR, 0x80);
	outb(FCR, 0x21);
	EXPECT_EQ(inb(IIR), 0xc1);
	outb(LCR, 0x03);
	outb(FCR, 0x00);
	EXPECT_EQ(inb(IIR), 0x01);
	EXPECT_EQ(inb(LSR), 0x60);
	EXPECT_EQ(inb(MSR), 0xb0);
	outb(MCR, 0xff & ~0x10);
	EXPECT_EQ(inb(MCR), 0x0f);
	/* wider accesses are byte accesses */
	outw(COM + 6, 0x7700);
	EXPECT_EQ(inb(SCR), 0x77);
	end();
}

UNIT_TEST(serial_loopback)
{
	unsigned int i;

	start_piped();
	outb(FCR, 0x01);
	outb(MCR, 0x1a);
	/* RTS -> CTS, OUT2 -> DCD: what Linux's autoconfig asks for */
	EXPECT_EQ(inb(MSR) & 0xf0, 0x90);
	EXPECT_EQ(inb(MSR) & 0x0f, 0x00);
	outb(MCR, 0x15);
	EXPECT_EQ(inb(MSR), 0x60 | 0x01 | 0x02 | 0x08);
	outb(MCR, 0x11);
	EXPECT_EQ(inb(MSR), 0x20 | 0x04);
	for (i = 0; i < 18; i++)
		outb(COM, 'a' + i);
	EXPECT_EQ(inb(LSR), 0x63);
	EXPECT_EQ(inb(LSR), 0x61);
	for (i = 0; i < 16; i++)
		EXPECT_EQ(inb(COM), 'a' + i);
	EXPECT_EQ(inb(LSR), 0x60);
	outb(FCR, 0x00);
	outb(COM, 'x');
	outb(COM, 'y');
	EXPECT_EQ(inb(LSR), 0x63);
	EXPECT_EQ(inb(COM), 'y');
	/* input waits outside meanwhile */
	EXPECT_EQ(serial_input(port, "z", 1), 1);
	EXPECT_EQ(inb(LSR), 0x60);
	outb(MCR, 0x00);
	EXPECT_EQ(inb(LSR), 0x61);
	EXPECT_EQ(inb(COM), 'z');
	/* nothing got out */
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	usleep(20000);
	EXPECT_EQ(read(out[0], &i, 1), (unsigned long long)-1);
	end_piped();
}

UNIT_TEST(serial_receive_interrupts)
{
	start(-1);
	ioapic_route(4, 0x34);
	outb(FCR, 0x81);
	outb(IER, 0x05);
	EXPECT_EQ(kernel.nr_msi, 0);
	EXPECT_EQ(serial_input(port, "abc", 3), 3);
	EXPECT_EQ(kernel.nr_msi, 1);
	/* below the trigger of 8: time-out */
	EXPECT_EQ(inb(IIR), 0xcc);
	EXPECT_EQ(serial_input(port, "defgh", 5), 5);
	EXPECT_EQ(inb(IIR), 0xc4);
	EXPECT_EQ(inb(COM), 'a');
	EXPECT_EQ(inb(IIR), 0xcc);
	while (inb(LSR) & 1)
		inb(COM);
	EXPECT_EQ(inb(IIR), 0xc1);
	EXPECT_EQ(kernel.nr_msi, 1);
	serial_input(port, "i", 1);
	EXPECT_EQ(kernel.nr_msi, 2);
	/* clearing the FIFO takes it away */
	outb(FCR, 0x83);
	EXPECT_EQ(inb(LSR) & 1, 0);
	EXPECT_EQ(inb(IIR), 0xc1);
	end();
}

UNIT_TEST(serial_interrupt_priorities)
{
	start(-1);
	outb(FCR, 0x01);
	outb(MCR, 0x10);
	inb(MSR);
	outb(IER, 0x0f);
	outb(MCR, 0x12);
	EXPECT_EQ(inb(IIR), 0xc2);
	/* reading it as the reason acknowledges the transmitter's */
	EXPECT_EQ(inb(IIR), 0xc0);
	outb(COM, 'a');
	EXPECT_EQ(inb(IIR), 0xc4);
	for (unsigned int i = 0; i < 16; i++)
		outb(COM, 'b');
	EXPECT_EQ(inb(IIR), 0xc6);
	inb(LSR);
	EXPECT_EQ(inb(IIR), 0xc4);
	for (unsigned int i = 0; i < 16; i++)
		inb(COM);
	EXPECT_EQ(inb(IIR), 0xc2);
	EXPECT_EQ(inb(IIR), 0xc0);
	inb(MSR);
	EXPECT_EQ(inb(IIR), 0xc1);
	end();
}

UNIT_TEST(serial_transmit_interrupt)
{
	unsigned int i;
	char c;

	start_piped();
	ioapic_route(4, 0x34);
	outb(FCR, 0x01);
	/* at once when it is enabled, again when it is enabled anew: Linux tests for that */
	outb(IER, 0x02);
	EXPECT_EQ(kernel.nr_msi, 1);
	EXPECT_EQ(inb(IIR), 0xc2);
	EXPECT_EQ(inb(IIR), 0xc1);
	outb(IER, 0x00);
	outb(IER, 0x02);
	EXPECT_EQ(kernel.nr_msi, 2);
	EXPECT_EQ(inb(IIR), 0xc2);
	/* one for all that fits into a FIFO, and it is there when the handler looks again */
	for (i = 0; i < 16; i++)
		outb(COM, 'x');
	EXPECT_EQ(kernel_msis(), 3);
	EXPECT_EQ(inb(IIR), 0xc2);
	EXPECT_EQ(inb(IIR), 0xc1);
	EXPECT_EQ(read(out[0], &c, 1), 1);
	EXPECT_EQ(c, 'x');
	usleep(20000);
	EXPECT_EQ(kernel_msis(), 3);
	end_piped();
}

UNIT_TEST(serial_transmit_interrupt_waits_for_room)
{
	static uint8_t buf[65536];
	size_t taken = 0;

	start_piped();
	ioapic_route(4, 0x34);
	outb(FCR, 0x01);
	while (inb(LSR) & 0x20)
		outb(COM, 'x');
	/* the writer has taken what the pipe takes */
	usleep(50000);
	while (inb(LSR) & 0x20)
		outb(COM, 'x');
	kernel.nr_msi = 0;
	outb(IER, 0x02);
	EXPECT_EQ(inb(IIR), 0xc1);
	EXPECT_EQ(kernel_msis(), 0);
	while (taken < 100000)
		taken += read(out[0], buf, sizeof(buf));
	EXPECT(eventually(another_message));
	EXPECT_EQ(inb(IIR), 0xc2);
	EXPECT_EQ(inb(LSR), 0x60);
	end_piped();
}

#define STREAM	300000u

static uint8_t stream_byte(unsigned int i)
{
	return i * 7 + (i >> 8) * 13 + (i >> 16);
}

static void *slow_reader(void *arg)
{
	unsigned int i = 0, bad = 0;
	uint8_t buf[700];
	ssize_t n, k;

	while ((n = read(out[0], buf, sizeof(buf))) > 0) {
		for (k = 0; k < n; k++)
			bad += buf[k] != stream_byte(i++);
		usleep(700);
	}
	*(unsigned int *)arg = bad ? 0 : i;
	return NULL;
}

/* a driver that looks at THRE and writes a FIFO's worth then */
UNIT_TEST(serial_slow_reader_loses_nothing)
{
	unsigned int i = 0, k, seen = 0, waited = 0;
	pthread_t reader;

	start_piped();
	outb(FCR, 0x01);
	while (i < STREAM) {
		if (!(inb(LSR) & 0x20)) {
			/* it comes late, too */
			if (!waited++)
				pthread_create(&reader, NULL, slow_reader, &seen);
			usleep(100);
			continue;
		}
		for (k = 0; k < 16 && i < STREAM; k++)
			outb(COM, stream_byte(i++));
	}
	ASSERT(waited);
	/* what is in the buffer goes out at the end */
	serial_end(port);
	close(out[1]);
	pthread_join(reader, NULL);
	EXPECT_EQ(seen, STREAM);
	machine_end();
	close(out[0]);
}

/* one that does not look, as a kernel's console that is tired of waiting */
UNIT_TEST(serial_impatient_driver_loses_nothing)
{
	unsigned int i, seen = 0;
	pthread_t reader;

	start_piped();
	pthread_create(&reader, NULL, slow_reader, &seen);
	for (i = 0; i < STREAM; i++)
		outb(COM, stream_byte(i));
	serial_end(port);
	close(out[1]);
	pthread_join(reader, NULL);
	EXPECT_EQ(seen, STREAM);
	machine_end();
	close(out[0]);
}

UNIT_TEST(serial_dead_reader)
{
	struct timespec a, b;
	unsigned int i;

	start_piped();
	/* until the pipe's and our own buffer are full, and stay so */
	for (i = 0; i < 400000;) {
		for (; i < 400000 && (inb(LSR) & 0x20); i++)
			outb(COM, 'x');
		usleep(300000);
		if (!(inb(LSR) & 0x20))
			break;
	}
	EXPECT(i > 65536 && i < 400000);
	EXPECT_EQ(inb(LSR), 0x00);
	/* it holds the vCPU for a while, once, and drops then */
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < 1000; i++)
		outb(COM, 'y');
	clock_gettime(CLOCK_MONOTONIC, &b);
	EXPECT(b.tv_sec - a.tv_sec >= 1 && b.tv_sec - a.tv_sec <= 20);
	end_piped();
}

UNIT_TEST(serial_reader_gone)
{
	unsigned int i;

	start_piped();
	close(out[0]);
	for (i = 0; i < 200000; i++)
		outb(COM, 'x');
	EXPECT(eventually(transmitter_empty));
	end();
	close(out[1]);
}

static void on_room(void *opaque)
{
	++*(unsigned int *)opaque;
}

UNIT_TEST(serial_input_room)
{
	static uint8_t buf[8192];
	unsigned int rooms = 0, i;
	size_t taken;

	start(-1);
	serial_set_room(port, on_room, &rooms);
	for (i = 0; i < sizeof(buf); i++)
		buf[i] = stream_byte(i);
	outb(FCR, 0x01);
	taken = serial_input(port, buf, sizeof(buf));
	EXPECT(taken >= 1024 && taken < sizeof(buf));
	taken += serial_input(port, buf + taken, sizeof(buf) - taken);
	EXPECT_EQ(rooms, 0);
	for (i = 0; i < sizeof(buf); i++) {
		if (!(inb(LSR) & 1)) {
			FAIL("empty at %u", i);
			break;
		}
		EXPECT_EQ(inb(COM), stream_byte(i));
		if (rooms && taken < sizeof(buf)) {
			rooms = 0;
			taken += serial_input(port, buf + taken, sizeof(buf) - taken);
		}
	}
	EXPECT_EQ(taken, sizeof(buf));
	EXPECT_EQ(inb(LSR) & 1, 0);
	end();
}
