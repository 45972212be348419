// SPDX-License-Identifier: GPL-2.0
/*
 * The 8254 programmable interval timer.
 *
 * A counter is not stepped: its count and its output are functions of the clock and of the moment
 * at which it was loaded. Channel 0's output is the PIT's line. Only its rising edges matter there,
 * and they are produced at the latest when somebody could see them:
 *
 *	pit_sync()	looks which edges are past and drives the line, on every register access, on
 *			every change of the masks in front of the line, and when the timer rings
 *	pit_arm()	sets the timer to the next edge, unless the line is masked everywhere
 *
 * so that a guest that has left channel 0 ticking behind a masked pin wakes nobody up.
 *
 * Locks: [p] pit->lock.
 */
#include "pit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../irq.h"
#include "host.h"
#include "loop.h"

#define PORT_PIT	0x40
#define PORT_CONTROL	0x61
#define REG_MODE	3

#define MODE_ONESHOT	0	/* interrupt on terminal count */
#define MODE_HW_ONESHOT	1
#define MODE_RATE	2
#define MODE_SQUARE	3
#define MODE_STROBE	4
#define MODE_HW_STROBE	5

#define RW_LATCH	0
#define RW_LOW		1
#define RW_HIGH		2
#define RW_BOTH		3

#define READ_BACK	3
#define READ_BACK_NO_COUNT	0x20
#define READ_BACK_NO_STATUS	0x10
#define STATUS_OUT	0x80
#define STATUS_NULL	0x40

#define CONTROL_GATE2	0x01
#define CONTROL_WRITABLE 0x0f
#define CONTROL_REFRESH	0x10
#define CONTROL_OUT2	0x20
#define REFRESH_NS	15085

#define TICK_NEVER	UINT64_MAX

/* a guest may ask for a tick every microsecond; it gets them no faster than this */
#define MIN_PERIOD_NS	50000

/**
 * struct channel - one counter; all fields [p]
 * @mode: 0..5
 * @rw: RW_*: which bytes of the count are read and written
 * @bcd: counts in decimal
 * @loaded: a count was written since the mode was
 * @triggered: modes 1 and 5: the gate rose since
 * @gate: input
 * @reload: ticks of one period, 1..65536
 * @start: tick at which counting began
 * @held: ticks that had passed when the gate fell (modes 0, 2, 3, 4)
 * @next_reload: modes 2 and 3: count that takes effect at the end of this period, 0 = none
 * @next_start: tick at which it does
 * @low: low byte of a count whose high byte is awaited
 * @write_high: the next write is the high byte
 * @read_high: the next read is the high byte
 * @latch: latched count, @latched: bytes of it still to be read: 0, or RW_*
 * @status: latched status, valid with @status_latched
 */
struct channel {
	unsigned int mode, rw;
	bool bcd, loaded, triggered, gate;
	uint32_t reload;
	uint64_t start, held;
	uint32_t next_reload;
	uint64_t next_start;
	uint8_t low;
	bool write_high, read_high;
	uint16_t latch;
	unsigned int latched;
	uint8_t status;
	bool status_latched;
};

struct pit {
	struct vm *vm;			/* [I] */
	uint64_t origin;		/* [I] clock_ns() of tick 0 */
	struct io_region region, control_region;	/* [I] */
	struct loop_timer timer;

	pthread_mutex_t lock;
	struct channel channel[3];	/* [p] */
	uint64_t synced;		/* [p] edges up to this tick were produced */
	uint64_t last_ring;		/* [p] clock_ns() of the last edge produced */
	uint8_t control;		/* [p] writable bits of port 0x61 */
};

static uint64_t now_tick(const struct pit *pit)
{
	return scale(clock_ns() - pit->origin, PIT_HZ, NSEC_PER_SEC);
}

/* the first nanosecond at which now_tick() says @tick */
static uint64_t tick_to_ns(const struct pit *pit, uint64_t tick)
{
	return pit->origin + scale(tick, NSEC_PER_SEC, PIT_HZ) + 1;
}

static bool hw_triggered(const struct channel *c)
{
	return c->mode == MODE_HW_ONESHOT || c->mode == MODE_HW_STROBE;
}

static bool periodic(const struct channel *c)
{
	return c->mode == MODE_RATE || c->mode == MODE_SQUARE;
}

static bool counting(const struct channel *c)
{
	if (hw_triggered(c))
		return c->loaded && c->triggered;
	return c->loaded && c->gate;
}

static uint64_t elapsed(const struct channel *c, uint64_t tick)
{
	if (hw_triggered(c))
		return tick - c->start;
	return c->gate ? tick - c->start : c->held;
}

/* a new count of the periodic modes waits for the end of the period */
static void take_reload(struct channel *c, uint64_t tick)
{
	if (!c->next_reload || tick < c->next_start)
		return;
	c->reload = c->next_reload;
	c->start = c->next_start;
	c->next_reload = 0;
}

static bool output(const struct channel *c, uint64_t tick)
{
	uint64_t e;

	if (!c->loaded)
		return c->mode != MODE_ONESHOT;
	if (hw_triggered(c) && !c->triggered)
		return true;
	e = elapsed(c, tick);
	switch (c->mode) {
	case MODE_ONESHOT:
	case MODE_HW_ONESHOT:
		return e >= c->reload;
	case MODE_RATE:
		return !c->gate || e % c->reload != c->reload - 1;
	case MODE_SQUARE:
		return !c->gate || e % c->reload < (c->reload + 1) / 2;
	default:
		return e != c->reload;
	}
}

static uint16_t to_bcd(uint32_t value)
{
	return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
}

static uint32_t from_bcd(uint16_t value)
{
	return (value & 15) + (value >> 4 & 15) * 10 + (value >> 8 & 15) * 100 +
	       (value >> 12) * 1000;
}

static uint16_t count(const struct channel *c, uint64_t tick)
{
	uint32_t modulus = c->bcd ? 10000 : 65536, half, value;
	uint64_t e;

	if (!c->loaded || (hw_triggered(c) && !c->triggered))
		return c->bcd ? to_bcd(c->reload % modulus) : c->reload;
	e = elapsed(c, tick);
	switch (c->mode) {
	case MODE_RATE:
		value = c->reload - e % c->reload;
		break;
	case MODE_SQUARE:
		/* counts down by two, twice a period */
		half = (c->reload + 1) / 2;
		e %= c->reload;
		value = (c->reload & ~1u) - 2 * (e < half ? e : e - half);
		break;
	default:
		value = (c->reload + modulus - e % modulus) % modulus;
		break;
	}
	return c->bcd ? to_bcd(value % modulus) : value;
}

/* the first tick after @tick at which the output rises */
static uint64_t next_rise(const struct channel *c, uint64_t tick)
{
	uint64_t rise;

	if (!counting(c))
		return TICK_NEVER;
	if (periodic(c)) {
		rise = c->start + ((tick - c->start) / c->reload + 1) * c->reload;
		return c->next_reload && c->next_start < rise ? c->next_start : rise;
	}
	rise = c->start + c->reload;
	if (c->mode == MODE_STROBE || c->mode == MODE_HW_STROBE)
		rise++;
	return rise > tick ? rise : TICK_NEVER;
}

/* what the line shows between edges: its short lows are left out */
static bool resting_level(const struct channel *c, uint64_t tick)
{
	return c->mode == MODE_ONESHOT ? output(c, tick) : true;
}

static void pit_sync(struct pit *pit, uint64_t tick)
{
	struct channel *c = &pit->channel[0];
	unsigned int i;

	if (next_rise(c, pit->synced) <= tick) {
		pit->last_ring = clock_ns();
		irq_set_level(pit->vm, IRQ_PIT_GSI, false);
		irq_set_level(pit->vm, IRQ_PIT_GSI, true);
	}
	pit->synced = tick;
	for (i = 0; i < ARRAY_SIZE(pit->channel); i++)
		take_reload(&pit->channel[i], tick);
	irq_set_level(pit->vm, IRQ_PIT_GSI, resting_level(c, tick));
}

static void pit_arm(struct pit *pit)
{
	uint64_t rise = next_rise(&pit->channel[0], pit->synced), when = LOOP_NEVER;

	if (rise != TICK_NEVER && irq_deliverable(pit->vm, IRQ_PIT_GSI)) {
		when = tick_to_ns(pit, rise);
		if (when < pit->last_ring + MIN_PERIOD_NS)
			when = pit->last_ring + MIN_PERIOD_NS;
	}
	loop_timer_set(&pit->timer, when);
}

/* the timer rang, or a mask in front of the line changes */
static void pit_update(void *opaque)
{
	struct pit *pit = opaque;

	pthread_mutex_lock(&pit->lock);
	pit_sync(pit, now_tick(pit));
	pit_arm(pit);
	pthread_mutex_unlock(&pit->lock);
}

static void set_gate(struct channel *c, bool gate, uint64_t tick)
{
	if (gate == c->gate)
		return;
	if (!gate) {
		if (!hw_triggered(c))
			c->held = tick - c->start;
		c->gate = false;
		return;
	}
	c->gate = true;
	if (hw_triggered(c)) {
		c->start = tick;
		c->triggered = true;
	} else if (periodic(c)) {
		/* a rising gate starts a new period */
		if (c->next_reload)
			c->reload = c->next_reload;
		c->next_reload = 0;
		c->start = tick;
	} else {
		c->start = tick - c->held;
	}
}

static void load(struct channel *c, uint16_t value, uint64_t tick)
{
	uint32_t reload = c->bcd ? from_bcd(value) : value;

	if (!reload)
		reload = c->bcd ? 10000 : 65536;
	if (periodic(c) && counting(c)) {
		c->next_reload = reload;
		c->next_start = c->start + ((tick - c->start) / c->reload + 1) * c->reload;
		return;
	}
	c->reload = reload;
	c->loaded = true;
	c->next_reload = 0;
	if (!hw_triggered(c)) {
		c->start = tick;
		c->held = 0;
	}
}

static void write_count(struct channel *c, uint8_t value, uint64_t tick)
{
	switch (c->rw) {
	case RW_LOW:
		load(c, value, tick);
		break;
	case RW_HIGH:
		load(c, value << 8, tick);
		break;
	case RW_BOTH:
		if (c->write_high) {
			load(c, value << 8 | c->low, tick);
		} else {
			c->low = value;
			/* half a count stops the one-shot, its output low */
			if (c->mode == MODE_ONESHOT)
				c->loaded = false;
		}
		c->write_high = !c->write_high;
		break;
	}
}

static void latch_count(struct channel *c, uint64_t tick)
{
	/* the first latch holds until it was read */
	if (c->latched)
		return;
	c->latch = count(c, tick);
	c->latched = c->rw;
}

static void latch_status(struct channel *c, uint64_t tick)
{
	if (c->status_latched)
		return;
	c->status = c->rw << 4 | c->mode << 1 | c->bcd;
	if (output(c, tick))
		c->status |= STATUS_OUT;
	if (!c->loaded || c->next_reload)
		c->status |= STATUS_NULL;
	c->status_latched = true;
}

static void set_mode(struct channel *c, uint8_t value)
{
	c->rw = value >> 4 & 3;
	c->mode = value >> 1 & 7;
	if (c->mode > MODE_HW_STROBE)
		c->mode -= 4;	/* bit 2 does not matter for modes 2 and 3 */
	c->bcd = value & 1;
	c->loaded = false;
	c->triggered = false;
	c->next_reload = 0;
	c->held = 0;
	c->write_high = false;
	c->read_high = false;
	c->latched = 0;
	c->status_latched = false;
}

static void read_back(struct pit *pit, uint8_t value, uint64_t tick)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		if (!(value & 2 << i))
			continue;
		if (!(value & READ_BACK_NO_COUNT))
			latch_count(&pit->channel[i], tick);
		if (!(value & READ_BACK_NO_STATUS))
			latch_status(&pit->channel[i], tick);
	}
}

static void write_mode(struct pit *pit, uint8_t value, uint64_t tick)
{
	unsigned int nr = value >> 6;

	if (nr == READ_BACK)
		read_back(pit, value, tick);
	else if ((value >> 4 & 3) == RW_LATCH)
		latch_count(&pit->channel[nr], tick);
	else
		set_mode(&pit->channel[nr], value);
}

static uint8_t read_latch(struct channel *c)
{
	uint8_t value = c->latched == RW_HIGH ? c->latch >> 8 : c->latch;

	/* of two bytes the high one is left */
	c->latched = c->latched == RW_BOTH ? RW_HIGH : 0;
	return value;
}

static uint8_t read_count(struct channel *c, uint64_t tick)
{
	uint16_t value;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->latched)
		return read_latch(c);
	value = count(c, tick);
	switch (c->rw) {
	case RW_HIGH:
		return value >> 8;
	case RW_BOTH:
		c->read_high = !c->read_high;
		return c->read_high ? value : value >> 8;
	default:
		return value;
	}
}

static uint8_t pit_read(void *opaque, unsigned int offset)
{
	struct pit *pit = opaque;

	/* the mode register cannot be read */
	if (offset == REG_MODE)
		return 0;
	return read_count(&pit->channel[offset], now_tick(pit));
}

static void pit_write(void *opaque, unsigned int offset, uint8_t value)
{
	struct pit *pit = opaque;
	uint64_t tick = now_tick(pit);

	if (offset == REG_MODE)
		write_mode(pit, value, tick);
	else
		write_count(&pit->channel[offset], value, tick);
	/* what the counter did before it was told anew was produced already */
	pit->synced = tick;
}

static uint8_t control_read(void *opaque, unsigned int offset)
{
	struct pit *pit = opaque;
	uint8_t value = pit->control;

	(void)offset;
	if (clock_ns() / REFRESH_NS & 1)
		value |= CONTROL_REFRESH;
	if (output(&pit->channel[2], now_tick(pit)))
		value |= CONTROL_OUT2;
	return value;
}

static void control_write(void *opaque, unsigned int offset, uint8_t value)
{
	struct pit *pit = opaque;

	(void)offset;
	pit->control = value & CONTROL_WRITABLE;
	set_gate(&pit->channel[2], value & CONTROL_GATE2, now_tick(pit));
}

static void locked_access(struct pit *pit, uint64_t offset, bool is_write, void *data,
			  unsigned int len, byte_read_fn rd, byte_write_fn wr)
{
	pthread_mutex_lock(&pit->lock);
	pit_sync(pit, now_tick(pit));
	access_bytes(pit, offset, is_write, data, len, rd, wr);
	if (is_write) {
		pit_sync(pit, now_tick(pit));
		pit_arm(pit);
	}
	pthread_mutex_unlock(&pit->lock);
}

static void pit_access(void *opaque, uint64_t offset, bool is_write, void *data,
		       unsigned int len)
{
	locked_access(opaque, offset, is_write, data, len, pit_read, pit_write);
}

static void control_access(void *opaque, uint64_t offset, bool is_write, void *data,
			   unsigned int len)
{
	locked_access(opaque, offset, is_write, data, len, control_read, control_write);
}

struct pit *pit_create(struct vm *vm, struct loop *loop)
{
	struct pit *pit = xcalloc(1, sizeof(*pit));
	unsigned int i;
	int err;

	pit->vm = vm;
	pit->origin = clock_ns();
	pthread_mutex_init(&pit->lock, NULL);
	for (i = 0; i < ARRAY_SIZE(pit->channel); i++) {
		pit->channel[i].mode = MODE_SQUARE;
		pit->channel[i].rw = RW_BOTH;
		pit->channel[i].reload = 65536;
		pit->channel[i].gate = i != 2;
	}
	loop_timer_init(&pit->timer, loop, pit_update, pit);
	pit->region = (struct io_region){ PORT_PIT, 4, pit_access, pit };
	pit->control_region = (struct io_region){ PORT_CONTROL, 1, control_access, pit };
	irq_set_mask_hook(vm, pit_update, pit);
	err = bus_add(&vm->pio, &pit->region);
	err = err ?: bus_add(&vm->pio, &pit->control_region);
	if (err) {
		pit_free(pit);
		errno = -err;
		return NULL;
	}
	return pit;
}

void pit_free(struct pit *pit)
{
	if (!pit)
		return;
	irq_set_mask_hook(pit->vm, NULL, NULL);
	loop_timer_remove(&pit->timer);
	bus_remove(&pit->vm->pio, &pit->region);
	bus_remove(&pit->vm->pio, &pit->control_region);
	pthread_mutex_destroy(&pit->lock);
	free(pit);
}
