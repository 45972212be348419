// SPDX-License-Identifier: GPL-2.0
/*
 * The pair of 8259A interrupt controllers.
 *
 * Initialisation, at each chip:
 *
 *	ICW1 (even port, bit 4) -> ICW2 -> ICW3 unless single -> ICW4 if ICW1 asked -> ready
 *
 * An edge stays in IRR until it is acknowledged even if the line drops before: the chip would
 * answer with a spurious vector then, and a guest that is slow to take the PIT's square wave would
 * lose its tick. A level input that drops takes its request away; an acknowledge that finds nothing
 * gives no vector at all.
 */
#include "pic.h"

#include <string.h>

#define ICW1_ICW4	0x01
#define ICW1_SINGLE	0x02
#define ICW1_SELECT	0x10
#define ICW4_AUTO_EOI	0x02
#define ICW4_NESTED	0x10
#define OCW3_SELECT	0x08
#define OCW3_READ_ISR	0x01
#define OCW3_READ	0x02
#define OCW3_POLL	0x04
#define OCW3_SMM	0x20
#define OCW3_SET_SMM	0x40

#define POLL_REQUEST	0x80
#define SPURIOUS	7

void pic_init(struct pic *pic)
{
	unsigned int i;

	memset(pic, 0, sizeof(*pic));
	for (i = 0; i < 2; i++) {
		pic->chip[i].imr = 0xff;
		pic->chip[i].lowest = 7;
		pic->chip[i].base = i ? 0x70 : 0x08;
	}
	/* timer, keyboard, cascade; RTC and FPU: edges for ever */
	pic->chip[0].elcr_mask = 0xf8;
	pic->chip[1].elcr_mask = 0xde;
	/* what firmware would set: SCI, and the PCI interrupts */
	pic->chip[1].elcr = 1 << (9 - 8) | 1 << (10 - 8) | 1 << (11 - 8);
}

/* the request to be served next, -1 = none */
static int pending(const struct pic_chip *c)
{
	uint8_t requests = c->irr & ~c->imr, in_service = c->isr;
	unsigned int i;

	if (c->icw)
		return -1;
	if (c->special_mask)
		in_service &= ~c->imr;
	for (i = 1; i <= 8; i++) {
		unsigned int input = (c->lowest + i) & 7;
		uint8_t bit = 1 << input;

		if (in_service & bit) {
			/* fully nested at the master: the slave may interrupt itself */
			if (c->nested && input == PIC_CASCADE && (requests & bit))
				return input;
			return -1;
		}
		if (requests & bit)
			return input;
	}
	return -1;
}

/* the slave's INT is the master's input 2, and is followed like a level */
static void cascade(struct pic *pic)
{
	if (pending(&pic->chip[1]) >= 0)
		pic->chip[0].irr |= 1 << PIC_CASCADE;
	else
		pic->chip[0].irr &= ~(1 << PIC_CASCADE);
}

void pic_set_line(struct pic *pic, unsigned int input, bool level)
{
	struct pic_chip *c = &pic->chip[input >> 3 & 1];
	uint8_t bit = 1 << (input & 7);

	if (level) {
		if (!(c->lines & bit) || (c->elcr & bit))
			c->irr |= bit;
		c->lines |= bit;
	} else {
		c->lines &= ~bit;
		if (c->elcr & bit)
			c->irr &= ~bit;
	}
	cascade(pic);
}

bool pic_output(const struct pic *pic)
{
	return pending(&pic->chip[0]) >= 0;
}

static void acknowledge(struct pic_chip *c, unsigned int input)
{
	uint8_t bit = 1 << input;

	if (!(c->elcr & bit))
		c->irr &= ~bit;
	if (!c->auto_eoi)
		c->isr |= bit;
	else if (c->rotate_aeoi)
		c->lowest = input;
}

int pic_ack(struct pic *pic)
{
	struct pic_chip *master = &pic->chip[0], *slave = &pic->chip[1];
	int input = pending(master), vector;

	if (input < 0)
		return -1;
	acknowledge(master, input);
	if (input != PIC_CASCADE) {
		vector = master->base + input;
	} else {
		input = pending(slave);
		if (input >= 0)
			acknowledge(slave, input);
		else
			input = SPURIOUS;
		vector = slave->base + input;
	}
	cascade(pic);
	return vector;
}

static uint8_t poll_read(struct pic *pic, struct pic_chip *c)
{
	int input = pending(c);

	c->poll = false;
	if (input < 0)
		return 0;
	acknowledge(c, input);
	cascade(pic);
	return POLL_REQUEST | input;
}

uint8_t pic_read(struct pic *pic, unsigned int chip, unsigned int port)
{
	struct pic_chip *c = &pic->chip[chip & 1];

	if (c->poll)
		return poll_read(pic, c);
	if (port)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

static void write_icw1(struct pic_chip *c, uint8_t value)
{
	/* edges start anew, levels still ask. LTIM is dead in a PC: ELCR rules. */
	c->irr = c->lines & c->elcr;
	c->isr = 0;
	c->imr = 0;
	c->lowest = 7;
	c->need_icw4 = value & ICW1_ICW4;
	c->single = value & ICW1_SINGLE;
	c->auto_eoi = false;
	c->nested = false;
	c->rotate_aeoi = false;
	c->special_mask = false;
	c->poll = false;
	c->read_isr = false;
	c->icw = 2;
}

static void write_icw(struct pic_chip *c, uint8_t value)
{
	switch (c->icw) {
	case 2:
		c->base = value & 0xf8;
		c->icw = !c->single ? 3 : c->need_icw4 ? 4 : 0;
		break;
	case 3:
		/* the cascade is soldered: input 2 */
		c->icw = c->need_icw4 ? 4 : 0;
		break;
	case 4:
		c->auto_eoi = value & ICW4_AUTO_EOI;
		c->nested = value & ICW4_NESTED;
		c->icw = 0;
		break;
	}
}

/* the level that a non-specific EOI ends, -1 = none */
static int highest_in_service(const struct pic_chip *c)
{
	uint8_t in_service = c->isr;
	unsigned int i;

	if (c->special_mask)
		in_service &= ~c->imr;
	for (i = 1; i <= 8; i++)
		if (in_service & 1 << ((c->lowest + i) & 7))
			return (c->lowest + i) & 7;
	return -1;
}

static void write_ocw2(struct pic_chip *c, uint8_t value)
{
	bool rotate = value & 0x80, specific = value & 0x40, eoi = value & 0x20;
	int input = specific ? value & 7 : highest_in_service(c);

	if (!eoi) {
		if (!specific)
			c->rotate_aeoi = rotate;
		else if (rotate)
			c->lowest = input;	/* set priority; without rotate: no operation */
		return;
	}
	if (input < 0)
		return;
	c->isr &= ~(1 << input);
	if (rotate)
		c->lowest = input;
}

static void write_ocw3(struct pic_chip *c, uint8_t value)
{
	if (value & OCW3_POLL)
		c->poll = true;
	else if (value & OCW3_READ)
		c->read_isr = value & OCW3_READ_ISR;
	if (value & OCW3_SET_SMM)
		c->special_mask = value & OCW3_SMM;
}

void pic_write(struct pic *pic, unsigned int chip, unsigned int port, uint8_t value)
{
	struct pic_chip *c = &pic->chip[chip & 1];

	if (port) {
		if (c->icw)
			write_icw(c, value);
		else
			c->imr = value;
	} else if (value & ICW1_SELECT) {
		write_icw1(c, value);
	} else if (value & OCW3_SELECT) {
		write_ocw3(c, value);
	} else {
		write_ocw2(c, value);
	}
	cascade(pic);
}

uint8_t pic_read_elcr(const struct pic *pic, unsigned int chip)
{
	return pic->chip[chip & 1].elcr;
}

void pic_write_elcr(struct pic *pic, unsigned int chip, uint8_t value)
{
	struct pic_chip *c = &pic->chip[chip & 1];

	c->elcr = value & c->elcr_mask;
	c->irr = (c->irr & ~c->elcr) | (c->lines & c->elcr);
	cascade(pic);
}

bool pic_masked(const struct pic *pic, unsigned int input)
{
	const struct pic_chip *c = &pic->chip[input >> 3 & 1];

	if (c->imr & 1 << (input & 7))
		return true;
	return input >= 8 && (pic->chip[0].imr & 1 << PIC_CASCADE);
}
