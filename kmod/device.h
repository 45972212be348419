/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What vmm.ko offers to modules that implement devices (vmm_virtio.ko). Everything here is
 * exported to GPL modules.
 */
#ifndef KMOD_DEVICE_H
#define KMOD_DEVICE_H

#include "io/bus.h"
#include "irq/irq.h"
#include "mmu/mmu.h"
#include "vmm.h"

/**
 * struct vmm_device_type - a kind of device that VMM_CREATE_DEVICE can make
 * @type: VMM_DEVICE_*
 * @owner: module
 * @create: makes one and returns its file descriptor, or an error. The device holds the VM by
 *	vmm_vm_get(), the module by its file's fops->owner. Context: vm->lock held, current->mm
 *	== vm->mm.
 * @node: list of the registered types
 */
struct vmm_device_type {
	u32 type;
	struct module *owner;
	int (*create)(struct vmm_vm *vm, const struct vmm_create_device *arg);
	struct list_head node;
};

int vmm_register_device_type(struct vmm_device_type *type);	/* -EEXIST */
void vmm_unregister_device_type(struct vmm_device_type *type);
int vmm_create_device(struct vmm_vm *vm, const struct vmm_create_device *arg);
u32 vmm_device_types(void);	/* bit mask for VMM_CAP_VIRTIO */

/* -EIO unless the caller runs in the address space that created the VM */
static inline int vmm_check_mm(const struct vmm_vm *vm)
{
	return current->mm == vm->mm ? 0 : -EIO;
}

#endif /* KMOD_DEVICE_H */
