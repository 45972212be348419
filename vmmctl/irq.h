/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupt lines, and the chips between them and the local APICs.
 *
 *	device -- irq_source -- line (gsi 0..23) --+-- IOAPIC pin -- message --> VMM_SIGNAL_MSI
 *	                                           +-- 8259 input -- INT ------> VMM_SET_LINT
 *	                                                                         (LINT0, vCPU 0)
 *
 * A line is asserted while any of its sources is. What hangs where:
 *
 *	gsi 0		nothing (the IOAPIC pin that a PC gives to the 8259's output is left open)
 *	gsi 2		the PIT: IOAPIC pin 2, 8259 input 0
 *	gsi 1, 3..15	ISA interrupts: IOAPIC pin and 8259 input of the same number
 *	gsi 16..23	PCI: IOAPIC pin of that number; even ones 8259 input 10, odd ones 11
 */
#ifndef VMMCTL_IRQ_H
#define VMMCTL_IRQ_H

#include "vmmctl.h"

#define IRQ_NR_GSIS	24
#define IRQ_PIT_GSI	2
#define IRQ_PCI_GSI	16
#define IRQ_NR_PCI_GSIS	8

/**
 * struct irq_source - one device's end of a line
 * @vm: [I]
 * @gsi: [I] the line
 * @level: [i] irqchip->lock: what the device drives
 */
struct irq_source {
	struct vm *vm;
	unsigned int gsi;
	bool level;
};

/**
 * irqchip_create - make lines, IOAPIC and 8259s, and put them on the buses
 * @vm: its buses exist, its vCPU 0 exists before a line is first driven
 *
 * Return: 0 or a negative errno.
 */
int irqchip_create(struct vm *vm);
void irqchip_free(struct vm *vm);

void irq_source_init(struct irq_source *source, struct vm *vm, unsigned int gsi);
void irq_source_set(struct irq_source *source, bool level);	/* any thread */

/* the 8259 input behind a gsi, -1 = none; what the PCI interrupt line register tells */
int irq_pic_input(unsigned int gsi);

/**
 * irq_deliverable - would an edge on this line reach a vCPU now?
 * @vm: the VM
 * @gsi: the line
 *
 * False while it is masked at the IOAPIC and at the 8259s: nobody needs the ticks then.
 */
bool irq_deliverable(struct vm *vm, unsigned int gsi);

/**
 * irq_set_mask_hook - be told when irq_deliverable() may change for the PIT's line
 * @vm: the VM
 * @fn: called before and after each such register write, without the chip's lock. Before, so that
 *	edges of the past meet the mask of the past.
 * @opaque: its argument
 */
void irq_set_mask_hook(struct vm *vm, void (*fn)(void *opaque), void *opaque);

#endif /* VMMCTL_IRQ_H */
