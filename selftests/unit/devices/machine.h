/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A machine of the real devices on the real buses, without a kernel below: ioctls go to kernel.c,
 * clocks stand where a test puts them. Everything else is vmmctl's own.
 */
#ifndef UNIT_DEVICES_MACHINE_H
#define UNIT_DEVICES_MACHINE_H

#include "../../../vmmctl/vm.h"
#include "kernel.h"
#include "unit.h"

#define MS	1000000ull
#define SEC	1000000000ull

extern struct vm vm;

/**
 * machine_start - a new machine with virtual clocks; the event loop runs only in advance()
 * @cpus: vCPUs
 * @mem: bytes of memory
 */
void machine_start(unsigned int cpus, uint64_t mem);

/* the same with the real clock and the loop's thread */
void machine_start_real(unsigned int cpus, uint64_t mem);
void machine_end(void);

/* let virtual time pass, and what is due happen, in steps of at most @step ns */
void advance(uint64_t ns, uint64_t step);

/* turn the loop for descriptors that are ready */
void turn_loop(void);

/* virtual clocks */
extern uint64_t fake_mono, fake_wall;

uint8_t inb(uint16_t port);
uint16_t inw(uint16_t port);
uint32_t inl(uint16_t port);
void outb(uint16_t port, uint8_t value);
void outw(uint16_t port, uint16_t value);
void outl(uint16_t port, uint32_t value);
uint64_t mmio_read(uint64_t addr, unsigned int len);
void mmio_write(uint64_t addr, uint64_t value, unsigned int len);

/* IOAPIC entry of a pin */
void ioapic_route(unsigned int pin, uint64_t entry);
uint64_t ioapic_entry(unsigned int pin);

/* both 8259s, as a PC sets them up: vectors 0x20 and 0x28, everything open */
void pics_init(void);

#endif /* UNIT_DEVICES_MACHINE_H */
