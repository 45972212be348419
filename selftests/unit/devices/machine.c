// SPDX-License-Identifier: GPL-2.0
/*
 * The machine under test; see machine.h.
 */
#include "machine.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../vmmctl/dev/devices.h"
#include "../../../vmmctl/dev/loop.h"
#include "wrap.h"

struct vm vm;
uint64_t fake_mono, fake_wall;

static bool real_time;
static struct options opt;
static struct error error;

uint64_t __wrap_clock_ns(void)
{
	return real_time ? __real_clock_ns() : fake_mono;
}

uint64_t __wrap_wall_ns(void)
{
	return real_time ? __real_wall_ns() : fake_wall;
}

/* with virtual time the test turns the loop itself, so that nothing happens in between */
int __wrap_loop_start(struct loop *loop)
{
	return real_time ? __real_loop_start(loop) : 0;
}

static void start(unsigned int cpus, uint64_t mem)
{
	kernel_reset();
	opt = (struct options){ .cpus = cpus, .mem = mem };
	if (vm_create(&vm, -1, &opt, &error) || devices_create(&vm)) {
		printf("Bail out! no machine: %s\n", error.text);
		exit(1);
	}
	vm.nr_vcpus = cpus;
}

void machine_start(unsigned int cpus, uint64_t mem)
{
	real_time = false;
	fake_mono = 1000 * SEC;
	/* 2024-02-28 23:59:58 UTC */
	fake_wall = 1709164798 * SEC;
	start(cpus, mem);
}

void machine_start_real(unsigned int cpus, uint64_t mem)
{
	real_time = true;
	start(cpus, mem);
}

void machine_end(void)
{
	devices_end(&vm);
	munmap(vm.ram[0].hva, vm.mem_size);
	free(vm.pio.regions);
	free(vm.mmio.regions);
	close(vm.end_fd);
	close(vm.fd);
}

void turn_loop(void)
{
	loop_poll(vm.devices->loop, 0);
}

void advance(uint64_t ns, uint64_t step)
{
	while (ns) {
		uint64_t n = ns < step ? ns : step;

		fake_mono += n;
		fake_wall += n;
		ns -= n;
		turn_loop();
	}
}

static uint32_t in(uint16_t port, unsigned int len)
{
	uint32_t value = 0;

	bus_access(&vm.pio, port, false, &value, len);
	return value;
}

static void out(uint16_t port, uint32_t value, unsigned int len)
{
	bus_access(&vm.pio, port, true, &value, len);
}

uint8_t inb(uint16_t port)
{
	return in(port, 1);
}

uint16_t inw(uint16_t port)
{
	return in(port, 2);
}

uint32_t inl(uint16_t port)
{
	return in(port, 4);
}

void outb(uint16_t port, uint8_t value)
{
	out(port, value, 1);
}

void outw(uint16_t port, uint16_t value)
{
	out(port, value, 2);
}

void outl(uint16_t port, uint32_t value)
{
	out(port, value, 4);
}

uint64_t mmio_read(uint64_t addr, unsigned int len)
{
	uint64_t value = 0;

	bus_access(&vm.mmio, addr, false, &value, len);
	return value;
}

void mmio_write(uint64_t addr, uint64_t value, unsigned int len)
{
	bus_access(&vm.mmio, addr, true, &value, len);
}

void ioapic_route(unsigned int pin, uint64_t entry)
{
	mmio_write(MAP_IOAPIC, 0x11 + 2 * pin, 4);
	mmio_write(MAP_IOAPIC + 0x10, entry >> 32, 4);
	mmio_write(MAP_IOAPIC, 0x10 + 2 * pin, 4);
	mmio_write(MAP_IOAPIC + 0x10, entry, 4);
}

uint64_t ioapic_entry(unsigned int pin)
{
	uint64_t entry;

	mmio_write(MAP_IOAPIC, 0x10 + 2 * pin, 4);
	entry = mmio_read(MAP_IOAPIC + 0x10, 4);
	mmio_write(MAP_IOAPIC, 0x11 + 2 * pin, 4);
	return entry | mmio_read(MAP_IOAPIC + 0x10, 4) << 32;
}

void pics_init(void)
{
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 0x04);
	outb(0x21, 0x01);
	outb(0xa0, 0x11);
	outb(0xa1, 0x28);
	outb(0xa1, 0x02);
	outb(0xa1, 0x01);
	outb(0x21, 0x00);
	outb(0xa1, 0x00);
}

UNIT_MAIN()
