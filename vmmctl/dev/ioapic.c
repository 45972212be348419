// SPDX-License-Identifier: GPL-2.0
/*
 * The I/O APIC. A pin, seen from its redirection entry:
 *
 *	edge:	rising line --- not masked ---> message		(masked: the edge is lost)
 *
 *	level:	            line asserted, not masked: message
 *		IDLE ------------------------------------------> SERVICE (remote IRR)
 *		  ^                                                 |
 *		  +---- EOI of the vector, or trigger mode = edge --+   and again, if still asserted
 *
 * The polarity bit is stored and means nothing: lines are asserted or not, no voltage is modelled.
 */
#include "ioapic.h"

#include <string.h>

#include "host.h"

#define REG_SELECT	0x00
#define REG_WINDOW	0x10

#define INDEX_ID	0x00
#define INDEX_VERSION	0x01
#define INDEX_ARB	0x02
#define INDEX_TABLE	0x10

/* without an EOI register: who must end an interrupt by hand switches the pin to edge and back */
#define VERSION		0x11u

#define RTE_VECTOR	0xffull
#define RTE_DELIVERY	(7ull << 8)
#define RTE_LOGICAL	(1ull << 11)
#define RTE_REMOTE_IRR	(1ull << 14)
#define RTE_LEVEL	(1ull << 15)
#define RTE_MASKED	(1ull << 16)
/* vector, delivery mode, destination mode, polarity, trigger mode, mask */
#define RTE_LOW_WRITABLE  (RTE_VECTOR | RTE_DELIVERY | RTE_LOGICAL | 1ull << 13 | RTE_LEVEL | \
			   RTE_MASKED)
#define RTE_DEST_SHIFT	56

#define DELIVERY_FIXED	0u
#define DELIVERY_LOWEST	1u
#define DELIVERY_EXTINT	7u

#define MSI_ADDR	0xfee00000ull
#define MSI_ADDR_DEST	12
#define MSI_ADDR_LOGICAL 0x4
#define MSI_ADDR_HINT	0x8
#define MSI_DATA_ASSERT	(1u << 14)
#define MSI_DATA_LEVEL	(1u << 15)

void ioapic_init(struct ioapic *io, struct vm *vm)
{
	unsigned int i;

	memset(io, 0, sizeof(*io));
	io->vm = vm;
	for (i = 0; i < IOAPIC_PINS; i++)
		io->entry[i] = RTE_MASKED;
}

static unsigned int delivery(uint64_t entry)
{
	return (entry & RTE_DELIVERY) >> 8;
}

/* NMI, SMI, INIT and ExtINT are edges whatever the trigger bit says: they know no EOI */
static bool is_level(uint64_t entry)
{
	return (entry & RTE_LEVEL) && delivery(entry) <= DELIVERY_LOWEST;
}

void ioapic_message(uint64_t entry, uint64_t *addr, uint32_t *data)
{
	*addr = MSI_ADDR | entry >> RTE_DEST_SHIFT << MSI_ADDR_DEST;
	if (entry & RTE_LOGICAL)
		*addr |= MSI_ADDR_LOGICAL;
	if (delivery(entry) == DELIVERY_LOWEST)
		*addr |= MSI_ADDR_HINT;
	*data = entry & (RTE_VECTOR | RTE_DELIVERY);
	if (is_level(entry))
		*data |= MSI_DATA_LEVEL | MSI_DATA_ASSERT;
}

static int send(struct ioapic *io, uint64_t entry)
{
	uint64_t addr;
	uint32_t data;

	/* the 8259s are wired to LINT0, not to a pin: nobody would answer the acknowledge */
	if (delivery(entry) == DELIVERY_EXTINT)
		return 0;
	ioapic_message(entry, &addr, &data);
	return msi_send(io->vm, addr, data);
}

/* send what a level-triggered pin has to say, if anything */
static void service_level(struct ioapic *io, unsigned int pin)
{
	uint64_t *entry = &io->entry[pin];

	if (!is_level(*entry) || (*entry & (RTE_MASKED | RTE_REMOTE_IRR)) ||
	    !(io->lines & 1u << pin))
		return;
	/* before the message: its EOI may come at once */
	*entry |= RTE_REMOTE_IRR;
	/* what was refused nobody ends: the next change of line or entry tries again */
	if (send(io, *entry) < 0)
		*entry &= ~RTE_REMOTE_IRR;
}

void ioapic_set_line(struct ioapic *io, unsigned int pin, bool level)
{
	uint32_t bit = 1u << pin;
	bool rising = level && !(io->lines & bit);

	if (level)
		io->lines |= bit;
	else
		io->lines &= ~bit;
	if (is_level(io->entry[pin]))
		service_level(io, pin);
	else if (rising && !(io->entry[pin] & RTE_MASKED))
		send(io, io->entry[pin]);
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
	unsigned int pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t *entry = &io->entry[pin];

		if (!(*entry & RTE_REMOTE_IRR) || (*entry & RTE_VECTOR) != vector)
			continue;
		*entry &= ~RTE_REMOTE_IRR;
		service_level(io, pin);
	}
}

bool ioapic_masked(const struct ioapic *io, unsigned int pin)
{
	return io->entry[pin] & RTE_MASKED;
}

static uint32_t read_window(const struct ioapic *io)
{
	unsigned int i;

	switch (io->select) {
	case INDEX_ID:
	case INDEX_ARB:
		return (uint32_t)io->id << 24;
	case INDEX_VERSION:
		return VERSION | (IOAPIC_PINS - 1) << 16;
	}
	i = io->select - INDEX_TABLE;
	if (io->select < INDEX_TABLE || i >= 2 * IOAPIC_PINS)
		return 0;
	return io->entry[i / 2] >> (i & 1 ? 32 : 0);
}

static void write_window(struct ioapic *io, uint32_t value)
{
	uint64_t *entry;
	unsigned int i;

	if (io->select == INDEX_ID) {
		io->id = value >> 24 & 0xf;
		return;
	}
	i = io->select - INDEX_TABLE;
	if (io->select < INDEX_TABLE || i >= 2 * IOAPIC_PINS)
		return;
	entry = &io->entry[i / 2];
	if (i & 1) {
		*entry = (uint32_t)*entry | (uint64_t)(value >> 24) << RTE_DEST_SHIFT;
		return;
	}
	*entry = (*entry & ~RTE_LOW_WRITABLE) | (value & RTE_LOW_WRITABLE);
	if (!is_level(*entry))
		*entry &= ~RTE_REMOTE_IRR;
	service_level(io, i / 2);
}

void ioapic_access(struct ioapic *io, uint64_t offset, bool is_write, void *data,
		   unsigned int len)
{
	uint32_t value = 0;

	if (is_write) {
		value = load_le(data, len < 4 ? len : 4);
		if (offset == REG_SELECT)
			io->select = value;
		else if (offset == REG_WINDOW && len >= 4)
			write_window(io, value);
		return;
	}
	if (offset == REG_SELECT)
		value = io->select;
	else if (offset == REG_WINDOW)
		value = read_window(io);
	memset(data, 0, len);
	store_le(data, value, len < 4 ? len : 4);
}
