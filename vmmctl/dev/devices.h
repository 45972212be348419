/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The machine: everything on its buses.
 */
#ifndef VMMCTL_DEV_DEVICES_H
#define VMMCTL_DEV_DEVICES_H

#include "../vmmctl.h"

/**
 * struct devices - the machine's parts; all fields [I] once the VM runs
 * @loop: the thread that waits for them
 * @pit: timer
 * @rtc: clock and CMOS
 * @pm: ACPI fixed hardware
 * @legacy: small ports
 * @virtio: list of the virtio devices, the last one made first
 * @console: the virtio console among them, or NULL
 */
struct devices {
	struct loop *loop;
	struct pit *pit;
	struct rtc *rtc;
	struct acpi_pm *pm;
	struct legacy *legacy;
	struct virtio_dev *virtio;
	struct virtio_dev *console;
};

/**
 * devices_create - make the platform's devices and the PCI bus
 * @vm: its fd, buses, memory and number of vCPUs are set; vm->irqchip, pci and devices get set
 *
 * Afterwards virtio devices, the serial port and the debug exit can be added, then the VM may run.
 *
 * Return: 0 or a negative errno; devices_end() cleans up.
 */
int devices_create(struct vm *vm);

/**
 * devices_end - stop every device and free it
 * @vm: no vCPU runs any more; the serial port was ended
 */
void devices_end(struct vm *vm);

#endif /* VMMCTL_DEV_DEVICES_H */
