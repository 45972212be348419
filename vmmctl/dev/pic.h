/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The PC's pair of 8259A interrupt controllers (Intel 8259A data sheet, order number 231468).
 *
 * No lock of its own: the caller holds irqchip->lock.
 */
#ifndef VMMCTL_DEV_PIC_H
#define VMMCTL_DEV_PIC_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct pic_chip - one 8259A; all fields [i]
 * @irr: requests; for a level input the line itself
 * @isr: in service
 * @imr: masked
 * @lines: the inputs' levels
 * @elcr: level-triggered inputs (port 0x4d0, 0x4d1)
 * @elcr_mask: inputs that can be
 * @base: vector of input 0
 * @icw: the next ICW that is expected at the odd port (2, 3, 4), 0 = none
 * @lowest: the input of lowest priority
 * @need_icw4: ICW1 asked for ICW4
 * @single: ICW1: not cascaded
 * @auto_eoi: ICW4
 * @nested: ICW4: special fully nested mode
 * @rotate_aeoi: rotate at an automatic EOI
 * @special_mask: a masked level in service does not hold back lower ones
 * @poll: the next read is an acknowledge
 * @read_isr: the even port shows ISR, not IRR
 */
struct pic_chip {
	uint8_t irr, isr, imr, lines, elcr, elcr_mask, base, icw, lowest;
	bool need_icw4, single, auto_eoi, nested, rotate_aeoi, special_mask, poll, read_isr;
};

struct pic {
	struct pic_chip chip[2];	/* master, slave at its input 2 */
};

#define PIC_CASCADE	2

void pic_init(struct pic *pic);
void pic_set_line(struct pic *pic, unsigned int input, bool level);	/* 0..15, not 2 */
bool pic_output(const struct pic *pic);				/* the INT pin */
int pic_ack(struct pic *pic);					/* vector, -1 = no request */
uint8_t pic_read(struct pic *pic, unsigned int chip, unsigned int port);
void pic_write(struct pic *pic, unsigned int chip, unsigned int port, uint8_t value);
uint8_t pic_read_elcr(const struct pic *pic, unsigned int chip);
void pic_write_elcr(struct pic *pic, unsigned int chip, uint8_t value);
bool pic_masked(const struct pic *pic, unsigned int input);

#endif /* VMMCTL_DEV_PIC_H */
