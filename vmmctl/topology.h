/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMMCTL_TOPOLOGY_H
#define VMMCTL_TOPOLOGY_H

#include <linux/vmm_x86.h>

/** cpuid_fn - execute CPUID: eax, ebx, ecx, edx of @leaf and @subleaf to @regs */
typedef void (*cpuid_fn)(__u32 leaf, __u32 subleaf, __u32 *regs);

/** cpuid_native() - this processor's */
void cpuid_native(__u32 leaf, __u32 subleaf, __u32 *regs);

/**
 * cpuid_topology() - say in a CPUID table which of the VM's processors this is
 * @e: the table that the kernel offers, VMM_MAX_CPUID_ENTRIES long
 * @nr: entries in it
 * @id: the vCPU's number and local APIC id, below @cpus
 * @cpus: vCPUs in all: they are the cores, of one thread each, of one package
 * @native: where sizes of caches come from
 *
 * The kernel leaves the leaves that describe caches and topology to us; they are added as far as
 * the table's highest leaves and its feature bits announce them. Feature bits that it does not
 * offer (HTT, CmpLegacy) are never set.
 *
 * Return: entries now.
 */
unsigned int cpuid_topology(struct vmm_cpuid_entry *e, unsigned int nr, unsigned int id,
			    unsigned int cpus, cpuid_fn native);

#endif /* VMMCTL_TOPOLOGY_H */
