// SPDX-License-Identifier: GPL-2.0
/*
 * Self-checks of VMM_DEBUG builds, VT-x's part: translations that the processor may keep from the
 * last run, against what changed since, and the copies that save accesses to the VMCS, against the
 * VMCS. Emulators flush at every entry.
 */
#include <linux/smp.h>

#include "../debug.h"
#include "vmx.h"

/**
 * vmx_debug_flushed - no translation of guest physical addresses from before now is used on this
 * CPU
 * @vmx: the vCPU
 *
 * Context: interrupts off.
 */
void vmx_debug_flushed(struct vmx_vcpu *vmx)
{
	vmx->debug.cpu = smp_processor_id();
	vmx->debug.tlb_gen = vmx->vcpu.tlb_gen;
}

static void check_translations(struct vmx_vcpu *vmx)
{
	const struct vmx_debug *d = &vmx->debug;

	if (d->cpu != smp_processor_id())
		vmm_debug_fail(vmx->vcpu.vm, "translations: vCPU %u enters on CPU %d, not CPU %d",
			       vmx->vcpu.id, smp_processor_id(), d->cpu);
	else if (d->tlb_gen != vmx->vcpu.tlb_gen)
		vmm_debug_fail(vmx->vcpu.vm, "translations: vCPU %u enters with %llu, not %llu",
			       vmx->vcpu.id, d->tlb_gen, vmx->vcpu.tlb_gen);
}

static void check_copies(struct vmx_vcpu *vmx)
{
	const struct {
		u32 field;
		u64 copy;
	} copies[] = {
		{ GUEST_RIP, vmx->vcpu.rip },
		{ GUEST_RSP, vmx->vcpu.gpr[VMM_RSP] },
		{ GUEST_RFLAGS, vmx->vcpu.rflags },
		{ GUEST_DR7, vmx->vcpu.dr7 },
		{ GUEST_IA32_EFER, vmx->efer },
		{ HOST_CR3, vmx->host_cr3 },
		{ HOST_CR4, vmx->host_cr4 },
		{ CPU_BASED_VM_EXEC_CONTROL, vmx->proc },
		{ SECONDARY_VM_EXEC_CONTROL, vmx->proc2 },
		{ VM_ENTRY_CONTROLS, vmx->entry_ctls },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(copies); i++) {
		u64 value = vmx_read(vmx, copies[i].field);

		if (unlikely(value != copies[i].copy))
			vmm_debug_fail(vmx->vcpu.vm,
				       "control block: vCPU %u: 0x%x is 0x%llx, not 0x%llx",
				       vmx->vcpu.id, copies[i].field, value, copies[i].copy);
	}
}

/**
 * vmx_debug_enter_irqoff - the VMCS is as the entry will find it
 * @vmx: the vCPU
 *
 * Context: interrupts off.
 */
void vmx_debug_enter_irqoff(struct vmx_vcpu *vmx)
{
	check_translations(vmx);
	check_copies(vmx);
}
