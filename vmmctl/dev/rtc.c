// SPDX-License-Identifier: GPL-2.0
/*
 * The real-time clock. Its time is the host's UTC plus an offset that the guest may change:
 *
 *	             SET = 1, or divider stopped: time is copied to the registers
 *	RUNNING ------------------------------------------------------------------> FROZEN
 *	   ^                                                                           |
 *	   +---- SET = 0 and divider on: the offset is computed from the registers ----+
 *
 * Nothing ticks: the flags of register C are found out from the clock when somebody looks, and a
 * timer is set only for an interrupt that is enabled and whose flag is not raised yet.
 *
 * Locks: [r] rtc->lock.
 */
#include "rtc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../irq.h"
#include "host.h"
#include "loop.h"

#define PORT_RTC	0x70
#define RTC_GSI		8
#define RTC_SIZE	128

#define REG_SEC		0
#define REG_SEC_ALARM	1
#define REG_MIN		2
#define REG_MIN_ALARM	3
#define REG_HOUR	4
#define REG_HOUR_ALARM	5
#define REG_WDAY	6
#define REG_MDAY	7
#define REG_MONTH	8
#define REG_YEAR	9
#define REG_A		10
#define REG_B		11
#define REG_C		12
#define REG_D		13

#define A_UIP		0x80
#define A_DIVIDER	0x70
#define A_DIVIDER_ON	0x20	/* 32768 Hz */
#define A_DIVIDER_RESET	0x60	/* 0x60 and 0x70 */
#define A_RATE		0x0f
#define B_SET		0x80
#define B_24H		0x02
#define B_BINARY	0x04
#define C_IRQ		0x80
#define FLAG_PERIODIC	0x40	/* the same bits enable in B and tell in C */
#define FLAG_ALARM	0x20
#define FLAG_UPDATE	0x10
#define FLAGS		(FLAG_PERIODIC | FLAG_ALARM | FLAG_UPDATE)
#define D_VALID		0x80
#define HOUR_PM		0x80
#define ALARM_ANY	0xc0
#define INDEX_MASK	0x7f	/* bit 7 masks NMIs in a PC; we have no source of them */

/* conventions of PC firmware for the size of memory */
#define CMOS_BASE_KIB	0x15	/* 2 bytes: below 1 MiB */
#define CMOS_EXT_KIB	0x17	/* 2 bytes: above 1 MiB, 65535 KiB at most; again at 0x30 */
#define CMOS_EXT_KIB2	0x30
#define CMOS_EXT_64K	0x34	/* 2 bytes: above 16 MiB, below 4 GiB */
#define CMOS_HIGH_64K	0x5b	/* 3 bytes: above 4 GiB */

#define UIP_NS		244000
#define SEC_PER_DAY	86400u

struct rtc {
	struct vm *vm;			/* [I] */
	struct io_region region;	/* [I] */
	struct loop_timer timer;

	pthread_mutex_t lock;
	uint8_t index;			/* [r] */
	uint8_t reg[RTC_SIZE];		/* [r] time registers valid while frozen only */
	bool frozen;			/* [r] */
	int64_t offset;			/* [r] ns to add to the host's time */
	uint64_t synced;		/* [r] guest ns up to which the flags were raised */
};

static uint64_t guest_ns(const struct rtc *rtc)
{
	return wall_ns() + rtc->offset;
}

static uint8_t encode(const struct rtc *rtc, unsigned int value)
{
	if (rtc->reg[REG_B] & B_BINARY)
		return value;
	return value / 10 % 10 << 4 | value % 10;
}

static unsigned int decode(const struct rtc *rtc, uint8_t value)
{
	if (rtc->reg[REG_B] & B_BINARY)
		return value;
	return (value >> 4) * 10 + (value & 15);
}

static uint8_t encode_hour(const struct rtc *rtc, unsigned int hour)
{
	if (rtc->reg[REG_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned int decode_hour(const struct rtc *rtc, uint8_t value)
{
	unsigned int hour;

	if (rtc->reg[REG_B] & B_24H)
		return decode(rtc, value);
	hour = decode(rtc, value & ~HOUR_PM) % 12;
	return value & HOUR_PM ? hour + 12 : hour;
}

static bool is_time_register(unsigned int index)
{
	switch (index) {
	case REG_SEC:
	case REG_MIN:
	case REG_HOUR:
	case REG_WDAY:
	case REG_MDAY:
	case REG_MONTH:
	case REG_YEAR:
	case RTC_CENTURY:
		return true;
	}
	return false;
}

/* the registers as they stand at @ns */
static void time_to_registers(struct rtc *rtc, uint64_t ns)
{
	time_t sec = ns / NSEC_PER_SEC;
	struct tm tm;
	unsigned int year;

	gmtime_r(&sec, &tm);
	year = tm.tm_year + 1900;
	rtc->reg[REG_SEC] = encode(rtc, tm.tm_sec);
	rtc->reg[REG_MIN] = encode(rtc, tm.tm_min);
	rtc->reg[REG_HOUR] = encode_hour(rtc, tm.tm_hour);
	rtc->reg[REG_WDAY] = encode(rtc, tm.tm_wday + 1);
	rtc->reg[REG_MDAY] = encode(rtc, tm.tm_mday);
	rtc->reg[REG_MONTH] = encode(rtc, tm.tm_mon + 1);
	rtc->reg[REG_YEAR] = encode(rtc, year % 100);
	/* in decimal whatever the data mode: that is how firmware has always kept it */
	rtc->reg[RTC_CENTURY] = year / 100 / 10 << 4 | year / 100 % 10;
}

/* seconds since 1970 of the registers; nonsense is carried over, not refused */
static int64_t registers_to_time(const struct rtc *rtc)
{
	uint8_t century = rtc->reg[RTC_CENTURY];
	struct tm tm = {
		.tm_sec = decode(rtc, rtc->reg[REG_SEC]),
		.tm_min = decode(rtc, rtc->reg[REG_MIN]),
		.tm_hour = decode_hour(rtc, rtc->reg[REG_HOUR]),
		.tm_mday = decode(rtc, rtc->reg[REG_MDAY]),
		.tm_mon = (int)decode(rtc, rtc->reg[REG_MONTH]) - 1,
	};
	int64_t sec;

	tm.tm_year = ((century >> 4) * 10 + (century & 15)) * 100 +
		     (int)decode(rtc, rtc->reg[REG_YEAR]) - 1900;
	sec = timegm(&tm);
	/* the clock counts from 1970, in 64 bits of ns */
	if (sec < 0)
		return 0;
	return sec < 0x200000000ll ? sec : 0x200000000ll;
}

static uint64_t period_ns(const struct rtc *rtc)
{
	unsigned int rate = rtc->reg[REG_A] & A_RATE;

	if (!rate)
		return 0;
	/* 1 and 2 are the rates of 8 and 9 */
	if (rate <= 2)
		rate += 7;
	return NSEC_PER_SEC >> (16 - rate);
}

static bool alarm_any(const struct rtc *rtc, unsigned int index)
{
	return (rtc->reg[index] & ALARM_ANY) == ALARM_ANY;
}

/* the first second after @sec that the alarm registers name, or UINT64_MAX */
static uint64_t next_alarm(const struct rtc *rtc, uint64_t sec)
{
	unsigned int want_hour = decode_hour(rtc, rtc->reg[REG_HOUR_ALARM]);
	unsigned int want_min = decode(rtc, rtc->reg[REG_MIN_ALARM]);
	unsigned int want_sec = decode(rtc, rtc->reg[REG_SEC_ALARM]);
	uint64_t end = ++sec + SEC_PER_DAY;

	while (sec < end) {
		unsigned int of_day = sec % SEC_PER_DAY;

		if (!alarm_any(rtc, REG_HOUR_ALARM) && of_day / 3600 != want_hour)
			sec += 3600 - of_day % 3600;
		else if (!alarm_any(rtc, REG_MIN_ALARM) && of_day / 60 % 60 != want_min)
			sec += 60 - of_day % 60;
		else if (!alarm_any(rtc, REG_SEC_ALARM) && of_day % 60 != want_sec)
			sec++;
		else
			return sec;
	}
	return UINT64_MAX;
}

static void update_line(struct rtc *rtc)
{
	bool level = rtc->reg[REG_C] & rtc->reg[REG_B] & FLAGS;

	if (level)
		rtc->reg[REG_C] |= C_IRQ;
	else
		rtc->reg[REG_C] &= ~C_IRQ;
	irq_set_level(rtc->vm, RTC_GSI, level);
}

/* raise the flags of what happened since the last time */
static void rtc_sync(struct rtc *rtc)
{
	uint64_t now, sec, last, period = period_ns(rtc);

	if (!rtc->frozen) {
		now = guest_ns(rtc);
		/* the host's clock was set back: start over */
		if (now < rtc->synced)
			rtc->synced = now;
		sec = now / NSEC_PER_SEC;
		last = rtc->synced / NSEC_PER_SEC;
		if (sec != last) {
			rtc->reg[REG_C] |= FLAG_UPDATE;
			if (next_alarm(rtc, last) <= sec)
				rtc->reg[REG_C] |= FLAG_ALARM;
		}
		if (period && now / period != rtc->synced / period)
			rtc->reg[REG_C] |= FLAG_PERIODIC;
		rtc->synced = now;
	}
	update_line(rtc);
}

static void rtc_arm(struct rtc *rtc)
{
	uint8_t wanted = rtc->reg[REG_B] & FLAGS & ~rtc->reg[REG_C];
	uint64_t now = rtc->synced, next = UINT64_MAX, sec = now / NSEC_PER_SEC, t;
	uint64_t period = period_ns(rtc);

	/* an interrupt that is already asserted stays so until register C is read */
	if (rtc->frozen || (rtc->reg[REG_C] & C_IRQ)) {
		loop_timer_set(&rtc->timer, LOOP_NEVER);
		return;
	}
	if ((wanted & FLAG_PERIODIC) && period)
		next = (now / period + 1) * period;
	if (wanted & FLAG_UPDATE) {
		t = (sec + 1) * NSEC_PER_SEC;
		next = t < next ? t : next;
	}
	if (wanted & FLAG_ALARM) {
		t = next_alarm(rtc, sec);
		if (t != UINT64_MAX)
			next = t * NSEC_PER_SEC < next ? t * NSEC_PER_SEC : next;
	}
	if (next != UINT64_MAX) {
		now = guest_ns(rtc);
		next = clock_ns() + (next > now ? next - now : 0);
	}
	loop_timer_set(&rtc->timer, next);
}

static void rtc_ring(void *opaque)
{
	struct rtc *rtc = opaque;

	pthread_mutex_lock(&rtc->lock);
	rtc_sync(rtc);
	rtc_arm(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

/*
 * A or B changed. A divider that comes out of reset makes its first update half a second later;
 * otherwise the fraction of the second goes on.
 */
static void update_frozen(struct rtc *rtc, bool after_reset)
{
	bool frozen = (rtc->reg[REG_B] & B_SET) ||
		      (rtc->reg[REG_A] & A_DIVIDER) != A_DIVIDER_ON;
	uint64_t now = guest_ns(rtc);
	int64_t delta;

	if (frozen == rtc->frozen)
		return;
	rtc->frozen = frozen;
	if (frozen) {
		time_to_registers(rtc, now);
		return;
	}
	delta = registers_to_time(rtc) - (int64_t)(now / NSEC_PER_SEC);
	rtc->offset += delta * (int64_t)NSEC_PER_SEC;
	if (after_reset)
		rtc->offset += (int64_t)(NSEC_PER_SEC / 2) - (int64_t)(now % NSEC_PER_SEC);
	rtc->synced = guest_ns(rtc);
}

static void write_a(struct rtc *rtc, uint8_t value)
{
	bool was_reset = (rtc->reg[REG_A] & A_DIVIDER) >= A_DIVIDER_RESET;

	rtc->reg[REG_A] = value & ~A_UIP;
	update_frozen(rtc, was_reset);
}

static void write_b(struct rtc *rtc, uint8_t value)
{
	/* setting the time ends the wait for its update */
	if (value & B_SET)
		value &= ~FLAG_UPDATE;
	/* frozen registers keep the guest's bytes: it must set mode and time together */
	rtc->reg[REG_B] = value;
	update_frozen(rtc, false);
}

static void write_time(struct rtc *rtc, unsigned int index, uint8_t value)
{
	uint64_t now = guest_ns(rtc);

	if (rtc->frozen) {
		rtc->reg[index] = value;
		return;
	}
	time_to_registers(rtc, now);
	rtc->reg[index] = value;
	rtc->offset += (registers_to_time(rtc) - (int64_t)(now / NSEC_PER_SEC)) *
		       (int64_t)NSEC_PER_SEC;
	rtc->synced = guest_ns(rtc);
}

static void write_register(struct rtc *rtc, uint8_t value)
{
	unsigned int index = rtc->index;

	if (is_time_register(index)) {
		write_time(rtc, index, value);
		return;
	}
	switch (index) {
	case REG_A:
		write_a(rtc, value);
		break;
	case REG_B:
		write_b(rtc, value);
		break;
	case REG_C:
	case REG_D:
		break;
	default:
		rtc->reg[index] = value;
		break;
	}
}

static uint8_t read_register(struct rtc *rtc)
{
	unsigned int index = rtc->index;
	uint8_t value;

	if (is_time_register(index) && !rtc->frozen)
		time_to_registers(rtc, guest_ns(rtc));
	switch (index) {
	case REG_A:
		value = rtc->reg[REG_A];
		if (!rtc->frozen && guest_ns(rtc) % NSEC_PER_SEC >= NSEC_PER_SEC - UIP_NS)
			value |= A_UIP;
		return value;
	case REG_C:
		value = rtc->reg[REG_C];
		rtc->reg[REG_C] = 0;
		return value;
	case REG_D:
		return D_VALID;
	}
	return rtc->reg[index];
}

static uint8_t rtc_read(void *opaque, unsigned int offset)
{
	/* the index port is write-only */
	return offset ? read_register(opaque) : 0xff;
}

static void rtc_write(void *opaque, unsigned int offset, uint8_t value)
{
	struct rtc *rtc = opaque;

	if (offset)
		write_register(rtc, value);
	else
		rtc->index = value & INDEX_MASK;
}

static void rtc_access(void *opaque, uint64_t offset, bool is_write, void *data,
		       unsigned int len)
{
	struct rtc *rtc = opaque;

	pthread_mutex_lock(&rtc->lock);
	/* choosing a register changes nothing */
	if (offset || len > 1)
		rtc_sync(rtc);
	access_bytes(rtc, offset, is_write, data, len, rtc_read, rtc_write);
	if (offset || len > 1) {
		update_line(rtc);
		rtc_arm(rtc);
	}
	pthread_mutex_unlock(&rtc->lock);
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void describe_memory(struct rtc *rtc)
{
	const uint64_t mib = 1 << 20, low_end = MAP_LOW_RAM_END;
	uint64_t low = min64(rtc->vm->mem_size, low_end), high = rtc->vm->mem_size - low;
	uint64_t ext = low > mib ? (low - mib) >> 10 : 0;
	uint64_t above16 = low > 16 * mib ? (low - 16 * mib) >> 16 : 0;

	store_le(&rtc->reg[CMOS_BASE_KIB], 640, 2);
	store_le(&rtc->reg[CMOS_EXT_KIB], min64(ext, 0xffff), 2);
	store_le(&rtc->reg[CMOS_EXT_KIB2], min64(ext, 0xffff), 2);
	store_le(&rtc->reg[CMOS_EXT_64K], min64(above16, 0xffff), 2);
	store_le(&rtc->reg[CMOS_HIGH_64K], min64(high >> 16, 0xffffff), 3);
}

struct rtc *rtc_create(struct vm *vm, struct loop *loop)
{
	struct rtc *rtc = xcalloc(1, sizeof(*rtc));
	int err;

	rtc->vm = vm;
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->reg[REG_A] = A_DIVIDER_ON | 6;
	rtc->reg[REG_B] = B_24H;
	rtc->synced = guest_ns(rtc);
	describe_memory(rtc);
	loop_timer_init(&rtc->timer, loop, rtc_ring, rtc);
	rtc->region = (struct io_region){ PORT_RTC, 2, rtc_access, rtc };
	err = bus_add(&vm->pio, &rtc->region);
	if (err) {
		rtc_free(rtc);
		errno = -err;
		return NULL;
	}
	return rtc;
}

void rtc_free(struct rtc *rtc)
{
	if (!rtc)
		return;
	loop_timer_remove(&rtc->timer);
	bus_remove(&rtc->vm->pio, &rtc->region);
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}
