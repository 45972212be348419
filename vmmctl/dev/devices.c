// SPDX-License-Identifier: GPL-2.0
/*
 * The machine: everything on its buses.
 */
#include "devices.h"

#include <errno.h>
#include <stdlib.h>

#include "../irq.h"
#include "acpi_pm.h"
#include "legacy.h"
#include "loop.h"
#include "pci.h"
#include "pit.h"
#include "rtc.h"
#include "virtio_pci.h"

int devices_create(struct vm *vm)
{
	struct devices *d = xcalloc(1, sizeof(*d));
	int ret;

	vm->devices = d;
	d->loop = loop_create();
	if (!d->loop)
		return -errno;
	ret = irqchip_create(vm);
	if (ret)
		return ret;
	d->pit = pit_create(vm, d->loop);
	if (!d->pit)
		return -errno;
	d->rtc = rtc_create(vm, d->loop);
	if (!d->rtc)
		return -errno;
	d->pm = acpi_pm_create(vm, d->loop);
	if (!d->pm)
		return -errno;
	d->legacy = legacy_create(vm);
	if (!d->legacy)
		return -errno;
	ret = pci_create(vm);
	if (ret)
		return ret;
	return loop_start(d->loop);
}

void devices_end(struct vm *vm)
{
	struct devices *d = vm->devices;
	int hung = 0;

	if (!d)
		return;
	if (d->loop)
		loop_stop(d->loop);
	d->console = NULL;
	while (d->virtio) {
		struct virtio_dev *v = d->virtio;

		d->virtio = v->next;
		hung |= virtio_pci_end(v);
	}
	if (hung) {
		warn("a disk does not answer: its requests are left to the kernel");
		return;
	}
	pci_free(vm);
	legacy_free(d->legacy);
	acpi_pm_free(d->pm);
	rtc_free(d->rtc);
	pit_free(d->pit);
	irqchip_free(vm);
	loop_free(d->loop);
	free(d);
	vm->devices = NULL;
}
