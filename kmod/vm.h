/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files of VMs and vCPUs.
 */
#ifndef KMOD_VM_H
#define KMOD_VM_H

#include "vmm.h"

int vmm_vm_create(const struct vmm_create_vm *arg);
int vmm_vcpu_module_init(void);
void vmm_vcpu_module_exit(void);

#endif /* KMOD_VM_H */
