// SPDX-License-Identifier: GPL-2.0
/*
 * What the TLB may keep of a guest (SDM vol. 3, 29.4).
 *
 * A VPID tags translations of linear addresses in one CPU's TLB. A CPU hands VPIDs out in rising
 * order; a vCPU keeps its own while it stays on that CPU and the CPU's generation lasts:
 *
 *	next: 1, 2, ... 65535 --(none left)--> generation + 1, flush all, start again at 1
 *
 * What the processor keeps of guest physical addresses has another tag, the EPT's root, which the
 * VM's vCPUs share. A vCPU may have missed any number of flushes on the CPUs where it is not, and
 * the root may have been another VM's before. So it flushes its root on each CPU that it comes to,
 * and gets a fresh VPID there. Without VPIDs every entry and exit flushes what has to do with
 * linear addresses, and the root is left to do.
 */
#include <linux/bug.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <asm/asm.h>

#include "../x86_ops.h"
#include "vmx.h"

#define VMX_MAX_VPID	(VMX_NR_VPIDS - 1)

/**
 * struct vmx_vpids - a physical CPU's; used by that CPU alone, interrupts off
 * @generation: grows
 * @next: to be given next
 */
struct vmx_vpids {
	u64 generation;
	u32 next;
};

static DEFINE_PER_CPU(struct vmx_vpids, vmx_vpids);

static void vmx_invvpid(unsigned long type, u16 vpid)
{
	struct {
		u64 vpid;
		u64 address;
	} desc = { .vpid = vpid };

	asm volatile("1: invvpid %[desc], %[type]\n2:" _ASM_EXTABLE(1b, 2b)
		     :
		     : [desc] "m"(desc), [type] "r"(type)
		     : "cc", "memory");
}

static void vmx_invept(unsigned long type, u64 eptp)
{
	struct {
		u64 eptp;
		u64 reserved;
	} desc = { .eptp = eptp };

	asm volatile("1: invept %[desc], %[type]\n2:" _ASM_EXTABLE(1b, 2b)
		     :
		     : [desc] "m"(desc), [type] "r"(type)
		     : "cc", "memory");
}

/**
 * vmx_vpid_cpu_reset - VMX goes on here: no VPID that was given before counts. Context: interrupts
 * off.
 */
void vmx_vpid_cpu_reset(void)
{
	/* the first use starts a generation, with a full flush; and that is the next entry */
	this_cpu_write(vmx_vpids.next, VMX_MAX_VPID + 1);
	this_cpu_inc(vmx_vpids.generation);
}

static void vmx_vpid_new(struct vmx_vcpu *vmx, struct vmx_vpids *vpids)
{
	if (vpids->next > VMX_MAX_VPID) {
		vpids->generation++;
		vpids->next = 1;
		vmx_invvpid(VMX_VPID_EXTENT_ALL_CONTEXT, 0);
	}
	vmx->vpid_generation = vpids->generation;
	vmx->vpid = vpids->next++;
	vmx_write(vmx, VIRTUAL_PROCESSOR_ID, vmx->vpid);
}

static void vmx_ept_flush(struct vmx_vcpu *vmx)
{
	if (vmx_caps.invept_single)
		vmx_invept(VMX_EPT_EXTENT_CONTEXT, vmx_read(vmx, EPT_POINTER));
	else
		vmx_invept(VMX_EPT_EXTENT_GLOBAL, 0);
	vmx_debug_flushed(vmx);
}

/**
 * vmx_vpid_prepare_irqoff - the vCPU enters here: flush what it must not use
 * @vmx: the vCPU, its VMCS current
 *
 * Context: interrupts off.
 */
void vmx_vpid_prepare_irqoff(struct vmx_vcpu *vmx)
{
	struct vmx_vpids *vpids = this_cpu_ptr(&vmx_vpids);
	int cpu = smp_processor_id();

	if (vmx->vpid_cpu != cpu || vmx->flush_ept)
		vmx_ept_flush(vmx);
	if (vmx->proc2 & SECONDARY_EXEC_ENABLE_VPID) {
		if (vmx->vpid_cpu != cpu || vmx->vpid_generation != vpids->generation)
			vmx_vpid_new(vmx, vpids);
		else if (vmx->flush_linear && vmx_caps.invvpid_single)
			vmx_invvpid(VMX_VPID_EXTENT_SINGLE_CONTEXT, vmx->vpid);
		else if (vmx->flush_linear)
			vmx_vpid_new(vmx, vpids);
	}
	vmx->vpid_cpu = cpu;
	vmx->flush_ept = false;
	vmx->flush_linear = false;
}

/**
 * vmx_flush_tlb_irqoff - use no second-level translation of this guest that was made before now
 * @vcpu: the vCPU, about to enter
 *
 * Those of linear addresses to host physical ones are tagged with the root, too, and go with it.
 *
 * Context: interrupts off.
 */
void vmx_flush_tlb_irqoff(struct vmm_vcpu *vcpu)
{
	to_vmx(vcpu)->flush_ept = true;
}
