// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that writes anything anywhere. The sanitizers are the judge; afterwards a well-behaved
 * driver must find a working device.
 */
#include "driver.h"

#include <linux/virtio_pci.h>
#include <unistd.h>

#include "../../../vmmctl/dev/host.h"
#include "../../../vmmctl/dev/serial.h"
#include "../../../vmmctl/dev/virtio_console.h"

#define ROUNDS	300000u

static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t rnd_value(void)
{
	switch (rnd() % 6) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return 1ull << (rnd() % 64);
	case 3:
		return rnd() % 16;
	default:
		return rnd();
	}
}

static unsigned int rnd_len(void)
{
	return 1 << (rnd() % 4);
}

static void touch(struct bus *bus, uint64_t addr, unsigned int len)
{
	uint64_t value = rnd_value();

	bus_access(bus, addr, rnd() & 1, &value, len);
}

static uint64_t where(const struct driver *d)
{
	switch (rnd() % 6) {
	case 0:
		return d->common + rnd() % 64;
	case 1:
		return d->isr + rnd() % 0x200;
	case 2:
		return d->msix + rnd() % 4096;
	case 3:
		return MAP_ECAM + (rnd() % 4 << 15) + rnd() % 256;
	case 4:
		return MAP_IOAPIC + rnd() % 0x20;
	default:
		return MAP_ECAM + rnd() % MAP_ECAM_SIZE;
	}
}

static uint16_t port(void)
{
	static const uint16_t ports[] = {
		0x20, 0xa0, 0x40, 0x60, 0x70, 0x3f8, 0x4d0, 0x600, 0xcf8, 0xcfc, 0xc000,
	};

	return ports[rnd() % ARRAY_SIZE(ports)] + rnd() % 8;
}

static void storm(struct driver *d, unsigned int rounds)
{
	while (rounds--) {
		if (rnd() & 1)
			touch(&vm.mmio, where(d), rnd_len());
		else
			touch(&vm.pio, port(), 1 << (rnd() % 3));
		if (!(rnd() % 64)) {
			fake_mono += rnd() % SEC;
			fake_wall += rnd() % SEC;
			turn_loop();
		}
		if (!(rnd() % 256))
			irq_eoi(&vm, rnd() % 300);
		if (!(rnd() % 256))
			irq_intack(&vm);
		if (!(rnd() % 1024))
			kernel_break_queue(&kernel.device[0], rnd(), rnd());
		if (!(rnd() % 1024))
			kernel_interrupt(&kernel.device[0]);
		/* the device's own registers, where the storm blew them */
		if (!(rnd() % 4096))
			driver_scan(d, 1);
	}
}

static void settle(void)
{
	struct driver d = { .slot = 1 };
	unsigned int i;

	cfg_set(&d, 4, 0, 2);
	for (i = 0; i < 3; i++)
		cfg_set(&d, 0x10 + 4 * i, i ? 0xd0000000 + i * 0x10000 : 0xd000, 4);
	cfg_set(&d, 4, 7, 2);
}

UNIT_TEST(hostile_registers)
{
	static const uint64_t seeds[] = { 0x9e3779b97f4a7c15ull, 1, 0xdeadbeefcafef00dull };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct serial *serial;
		struct driver d;

		seed = seeds[i];
		unit_note("seed %#llx", (unsigned long long)seed);
		machine_start(2, 64 << 20);
		serial = serial_create(&vm, -1);
		EXPECT_EQ(virtio_console_create(&vm, -1, -1), 0);
		driver_find(&d, 1);
		storm(&d, ROUNDS);
		settle();
		driver_find(&d, 1);
		driver_negotiate(&d);
		driver_queue(&d, 0, 0x100000, 0xffff);
		set(&d, VIRTIO_PCI_COMMON_STATUS, 15, 1);
		EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_STATUS, 1), 15);
		EXPECT_EQ(kernel.device[0].state, VMM_DEV_RUNNING);
		serial_end(serial);
		machine_end();
	}
}

static void *storm_thread(void *arg)
{
	unsigned int i, *state = arg;

	for (i = 0; i < 40000; i++) {
		uint64_t value = *state = *state * 1664525 + 1013904223;
		uint64_t addr;

		switch (*state >> 28 & 3) {
		case 0:
			addr = MAP_ECAM + (1 << 15) + (*state >> 8 & 0xff);
			break;
		case 1:
			addr = MAP_PCI_MMIO + (*state >> 8 & 0x1fff);
			break;
		case 2:
			addr = MAP_IOAPIC + (*state >> 8 & 0x1f);
			break;
		default:
			bus_access(&vm.pio, 0xc000 + (*state >> 8 & 3), *state & 1, &value, 2);
			continue;
		}
		bus_access(&vm.mmio, addr, *state & 1, &value, 1 << (*state >> 4 & 3));
	}
	return NULL;
}

/* several vCPUs at once, the loop's thread beside them */
UNIT_TEST(hostile_concurrency)
{
	unsigned int i, state[4] = { 1, 2, 3, 4 };
	pthread_t thread[4];
	struct driver d;

	machine_start_real(4, 64 << 20);
	EXPECT_EQ(virtio_console_create(&vm, -1, -1), 0);
	for (i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, storm_thread, &state[i]);
	for (i = 0; i < 200; i++) {
		kernel_break_queue(&kernel.device[0], 0, VMM_VQ_ORDER);
		kernel_interrupt(&kernel.device[0]);
		usleep(500);
	}
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	settle();
	driver_find(&d, 1);
	driver_negotiate(&d);
	set(&d, VIRTIO_PCI_COMMON_STATUS, 15, 1);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_STATUS, 1) & 15, 15);
	machine_end();
}
