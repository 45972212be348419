/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VM: opening /dev/vmm, creating the VM and its memory, and ending it.
 */
#ifndef VMMCTL_VM_H
#define VMMCTL_VM_H

#include "error.h"
#include "options.h"
#include "vmmctl.h"

/**
 * vmm_open() - open /dev/vmm and see that module and tool agree
 * @need_devices: bit mask of (1 << VMM_DEVICE_*) that will be created
 * @e: what is wrong and what to do
 *
 * Return: the file descriptor, -1 on an error.
 */
int vmm_open(unsigned int need_devices, struct error *e);

/**
 * vm_create() - create the VM and give it its memory
 * @vm: filled; the buses are empty, there are no vCPUs and no devices yet
 * @dev_fd: by vmm_open()
 * @opt: cpus and mem are used
 * @e: what is wrong and what to do
 *
 * Return: 0 or -1.
 */
int vm_create(struct vm *vm, int dev_fd, const struct options *opt, struct error *e);

/**
 * vm_alloc_ram() - the memory of a VM, without telling the kernel; for vm_create() and tests.
 * Return: 0 or -errno.
 */
int vm_alloc_ram(struct vm *vm, uint64_t size);

#endif /* VMMCTL_VM_H */
