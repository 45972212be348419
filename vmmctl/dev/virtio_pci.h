/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio over PCI, modern only (virtio 1.2, 4.1).
 */
#ifndef VMMCTL_DEV_VIRTIO_PCI_H
#define VMMCTL_DEV_VIRTIO_PCI_H

#include "virtio_dev.h"

/**
 * virtio_pci_create - make a PCI function of an open device and run it
 * @v: opened by virtio_dev_open(), with configuration space and offered features; on the heap
 * @vm: the VM
 * @class: PCI class code, 24 bits
 * @blocking: see virtio_dev_run()
 *
 * It belongs to the VM's list of devices then, until devices_end().
 *
 * Return: 0 or a negative errno; @v is not the caller's any more in either case.
 */
int virtio_pci_create(struct virtio_dev *v, struct vm *vm, uint32_t class, unsigned int blocking);

/**
 * virtio_pci_end - take a device off the bus, end its threads and free it
 * @v: the device; no vCPU runs any more and the loop is stopped
 *
 * Return: 0; -ETIMEDOUT: a thread hangs in the kernel and may still use the device, the bus and the
 * interrupt chips. They must stay; the end of the process ends it.
 */
int virtio_pci_end(struct virtio_dev *v);

#endif /* VMMCTL_DEV_VIRTIO_PCI_H */
