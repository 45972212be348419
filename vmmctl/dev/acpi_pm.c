// SPDX-License-Identifier: GPL-2.0
/*
 * ACPI fixed hardware. The machine is always in ACPI mode (the FADT names no SMI command port), so
 * that SCI_EN reads one and the SCI is asserted while an enabled event's status bit is set.
 *
 * Locks: [m] pm->lock.
 */
#include "acpi_pm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../irq.h"
#include "devices.h"
#include "host.h"
#include "loop.h"

#define PM_TIMER_HZ	3579545u
#define PM_TIMER_CARRY	(1ull << 31)	/* TMR_STS: the top bit of 32 changed */

#define EVT_TIMER	(1u << 0)
#define EVT_GLOBAL	(1u << 5)
#define EVT_POWER	(1u << 8)
#define EVT_SLEEP	(1u << 9)
#define EVT_RTC		(1u << 10)
/* sleep button and RTC never happen, but software reads back what it enabled */
#define EVT_ENABLES	(EVT_TIMER | EVT_GLOBAL | EVT_POWER | EVT_SLEEP | EVT_RTC)

#define CNT_SCI_EN	(1u << 0)
#define CNT_BM_RLD	(1u << 1)
#define CNT_SLP_TYP	(7u << 10)
#define CNT_SLP_EN	(1u << 13)

struct acpi_pm {
	struct vm *vm;			/* [I] */
	uint64_t origin;		/* [I] clock_ns() of timer value 0 */
	struct io_region evt_region, cnt_region, tmr_region;	/* [I] */
	struct loop_timer timer;

	pthread_mutex_t lock;
	uint16_t status, enable;	/* [m] PM1a_EVT */
	uint16_t control;		/* [m] PM1a_CNT without SLP_EN */
	uint64_t synced;		/* [m] timer value up to which TMR_STS was raised */
};

static uint64_t timer_value(const struct acpi_pm *pm)
{
	return scale(clock_ns() - pm->origin, PM_TIMER_HZ, NSEC_PER_SEC);
}

static void update_sci(struct acpi_pm *pm)
{
	irq_set_level(pm->vm, SCI_GSI, pm->status & pm->enable & EVT_ENABLES);
}

static void pm_sync(struct acpi_pm *pm)
{
	uint64_t now = timer_value(pm);

	if (now / PM_TIMER_CARRY != pm->synced / PM_TIMER_CARRY)
		pm->status |= EVT_TIMER;
	pm->synced = now;
	update_sci(pm);
}

/* the carry is waited for only by a guest that enabled its event */
static void pm_arm(struct acpi_pm *pm)
{
	uint64_t when = LOOP_NEVER, carry;

	if ((pm->enable & EVT_TIMER) && !(pm->status & EVT_TIMER)) {
		carry = (pm->synced / PM_TIMER_CARRY + 1) * PM_TIMER_CARRY;
		when = pm->origin + scale(carry, NSEC_PER_SEC, PM_TIMER_HZ) + 1;
	}
	loop_timer_set(&pm->timer, when);
}

static void pm_ring(void *opaque)
{
	struct acpi_pm *pm = opaque;

	pthread_mutex_lock(&pm->lock);
	pm_sync(pm);
	pm_arm(pm);
	pthread_mutex_unlock(&pm->lock);
}

static uint8_t evt_read(void *opaque, unsigned int offset)
{
	struct acpi_pm *pm = opaque;
	uint16_t reg = offset < 2 ? pm->status : pm->enable;

	return reg >> (offset & 1) * 8;
}

static void evt_write(void *opaque, unsigned int offset, uint8_t value)
{
	struct acpi_pm *pm = opaque;
	unsigned int shift = (offset & 1) * 8;

	if (offset < 2)
		pm->status &= ~(value << shift);	/* write one to clear */
	else
		pm->enable = ((pm->enable & ~(0xff << shift)) | value << shift) & EVT_ENABLES;
}

static uint8_t cnt_read(void *opaque, unsigned int offset)
{
	struct acpi_pm *pm = opaque;

	return (pm->control | CNT_SCI_EN) >> offset * 8;
}

static void cnt_write(void *opaque, unsigned int offset, uint8_t value)
{
	struct acpi_pm *pm = opaque;
	unsigned int shift = offset * 8;
	uint16_t control = (pm->control & ~(0xff << shift)) | value << shift;

	pm->control = control & (CNT_BM_RLD | CNT_SLP_TYP);
	/* there is no other sleep: SLP_EN with another type does nothing */
	if ((control & CNT_SLP_EN) && (control & CNT_SLP_TYP) >> 10 == ACPI_SLP_TYP_S5)
		vm_end(pm->vm, STATUS_POWER_OFF);
}

static void evt_access(void *opaque, uint64_t offset, bool is_write, void *data,
		       unsigned int len)
{
	struct acpi_pm *pm = opaque;

	pthread_mutex_lock(&pm->lock);
	pm_sync(pm);
	access_bytes(pm, offset, is_write, data, len, evt_read, evt_write);
	if (is_write) {
		update_sci(pm);
		pm_arm(pm);
	}
	pthread_mutex_unlock(&pm->lock);
}

static void cnt_access(void *opaque, uint64_t offset, bool is_write, void *data,
		       unsigned int len)
{
	struct acpi_pm *pm = opaque;

	pthread_mutex_lock(&pm->lock);
	access_bytes(pm, offset, is_write, data, len, cnt_read, cnt_write);
	pthread_mutex_unlock(&pm->lock);
}

static void tmr_access(void *opaque, uint64_t offset, bool is_write, void *data,
		       unsigned int len)
{
	/* one reading for all bytes; the timer cannot be written */
	if (!is_write)
		store_le(data, (uint32_t)timer_value(opaque) >> offset * 8, len);
}

void acpi_power_button(struct vm *vm)
{
	struct acpi_pm *pm = vm->devices->pm;

	pthread_mutex_lock(&pm->lock);
	pm->status |= EVT_POWER;
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
}

struct acpi_pm *acpi_pm_create(struct vm *vm, struct loop *loop)
{
	struct acpi_pm *pm = xcalloc(1, sizeof(*pm));
	int err;

	pm->vm = vm;
	pm->origin = clock_ns();
	pthread_mutex_init(&pm->lock, NULL);
	loop_timer_init(&pm->timer, loop, pm_ring, pm);
	pm->evt_region = (struct io_region){ PORT_PM1_EVT, 4, evt_access, pm };
	pm->cnt_region = (struct io_region){ PORT_PM1_CNT, 2, cnt_access, pm };
	pm->tmr_region = (struct io_region){ PORT_PM_TMR, 4, tmr_access, pm };
	err = bus_add(&vm->pio, &pm->evt_region);
	err = err ?: bus_add(&vm->pio, &pm->cnt_region);
	err = err ?: bus_add(&vm->pio, &pm->tmr_region);
	if (err) {
		acpi_pm_free(pm);
		errno = -err;
		return NULL;
	}
	return pm;
}

void acpi_pm_free(struct acpi_pm *pm)
{
	if (!pm)
		return;
	loop_timer_remove(&pm->timer);
	bus_remove(&pm->vm->pio, &pm->evt_region);
	bus_remove(&pm->vm->pio, &pm->cnt_region);
	bus_remove(&pm->vm->pio, &pm->tmr_region);
	pthread_mutex_destroy(&pm->lock);
	free(pm);
}
