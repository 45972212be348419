/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KMOD_STATS_H
#define KMOD_STATS_H

#include "vmm.h"

int vmm_vm_get_stats(struct vmm_vm *vm, struct vmm_stats *arg);
int vmm_vcpu_get_stats(struct vmm_vcpu *vcpu, struct vmm_stats *arg);

#endif /* KMOD_STATS_H */
