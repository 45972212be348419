/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An I/O APIC of version 0x11 with 24 pins (Intel 82093AA data sheet, order number 290566).
 *
 * No lock of its own: the caller holds irqchip->lock.
 */
#ifndef VMMCTL_DEV_IOAPIC_H
#define VMMCTL_DEV_IOAPIC_H

#include "../vmmctl.h"

#define IOAPIC_PINS	24
#define IOAPIC_SIZE	0x1000

/**
 * struct ioapic - all fields [i] unless said otherwise
 * @vm: [I]
 * @select: IOREGSEL
 * @id: IOAPICID bits 24..27
 * @entry: the redirection table
 * @lines: the pins' levels, one bit each
 */
struct ioapic {
	struct vm *vm;
	uint8_t select;
	uint8_t id;
	uint64_t entry[IOAPIC_PINS];
	uint32_t lines;
};

void ioapic_init(struct ioapic *io, struct vm *vm);
void ioapic_set_line(struct ioapic *io, unsigned int pin, bool level);
void ioapic_eoi(struct ioapic *io, uint8_t vector);
void ioapic_access(struct ioapic *io, uint64_t offset, bool is_write, void *data,
		   unsigned int len);
bool ioapic_masked(const struct ioapic *io, unsigned int pin);

/**
 * ioapic_message - what the chip puts on the bus for a redirection entry
 * @entry: the entry
 * @addr: destination, as the address of an MSI (SDM vol. 3, 11.11.1)
 * @data: vector, delivery mode, level and trigger mode, as its data (11.11.2)
 */
void ioapic_message(uint64_t entry, uint64_t *addr, uint32_t *data);

#endif /* VMMCTL_DEV_IOAPIC_H */
