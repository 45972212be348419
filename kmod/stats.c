// SPDX-License-Identifier: GPL-2.0
/*
 * Counters: each vCPU has its own, written by its owner alone; the VM has atomics for what has
 * no vCPU.
 */
#include <linux/uaccess.h>

#include "stats.h"

static int vmm_stats_out(const u64 *stat, struct vmm_stats *arg)
{
	unsigned int nr = min_t(unsigned int, arg->nr, VMM_STAT_NR);

	if (arg->flags)
		return -EINVAL;
	arg->nr = VMM_STAT_NR;
	return copy_to_user(u64_to_user_ptr(arg->counters), stat, nr * sizeof(*stat)) ? -EFAULT : 0;
}

static void vmm_stats_add(u64 *sum, const struct vmm_vcpu *vcpu)
{
	unsigned int i;

	for (i = 0; i < VMM_STAT_NR; i++)
		sum[i] += READ_ONCE(vcpu->stat[i]);
}

/**
 * vmm_vm_get_stats - VMM_GET_STATS of a VM: its own counters and its vCPUs' sum. Context:
 * process; vCPUs may run.
 * @vm: the VM
 * @arg: argument
 *
 * Return: 0, -EINVAL or -EFAULT.
 */
int vmm_vm_get_stats(struct vmm_vm *vm, struct vmm_stats *arg)
{
	u64 sum[VMM_STAT_NR];
	struct vmm_vcpu *vcpu;
	unsigned int i;

	for (i = 0; i < VMM_STAT_NR; i++)
		sum[i] = atomic64_read(&vm->stat[i]);
	vmm_vm_for_each_vcpu(i, vcpu, vm)
		vmm_stats_add(sum, vcpu);
	return vmm_stats_out(sum, arg);
}

/**
 * vmm_vcpu_get_stats - VMM_GET_STATS of a vCPU. Context: process; it may run.
 * @vcpu: the vCPU
 * @arg: argument
 *
 * Return: 0, -EINVAL or -EFAULT.
 */
int vmm_vcpu_get_stats(struct vmm_vcpu *vcpu, struct vmm_stats *arg)
{
	u64 sum[VMM_STAT_NR] = {};

	vmm_stats_add(sum, vcpu);
	return vmm_stats_out(sum, arg);
}
