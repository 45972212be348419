// SPDX-License-Identifier: GPL-2.0
/*
 * Guest virtual to guest physical, for a vCPU: its registers and memory handed to the walk.
 */
#include <linux/build_bug.h>
#include <linux/cpufeature.h>
#include <linux/minmax.h>

#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "mmu.h"
#include "walk.h"

static_assert(VMM_WALK_WRITE == VMM_ACC_WRITE && VMM_WALK_EXEC == VMM_ACC_EXEC);
static_assert(VMM_WALK_USER == VMM_ACC_USER && VMM_WALK_IMPLICIT == VMM_ACC_IMPLICIT);

static int walk_read(void *opaque, u64 gpa, void *entry, unsigned int len)
{
	return vmm_guest_read(opaque, gpa, entry, len);
}

static int walk_cmpxchg(void *opaque, u64 gpa, u64 old, u64 new, unsigned int len)
{
	/* little-endian: the first @len bytes are the entry */
	return vmm_guest_cmpxchg(opaque, gpa, &old, &new, len);
}

/**
 * vmm_walk_gva - translate a guest virtual address as this vCPU would for an access
 * @vcpu: the vCPU
 * @gva: linear address
 * @access: VMM_ACC_*; VMM_ACC_USER for an access at CPL 3, VMM_ACC_IMPLICIT for one to a descriptor
 *	table
 * @gpa: result, for this byte and the rest of its 4 KiB page
 * @fault: the exception, if 1 is returned: #PF with error code and address, or #GP(0) for an
 *	address that is not canonical
 *
 * Sets accessed and dirty bits as the processor does.
 *
 * Context: the owner, outside the guest, current->mm == vm->mm, vm->srcu held for reading; may
 * sleep.
 *
 * Return: 0; 1: @fault is to be injected; -EAGAIN: the guest keeps changing its tables, resume it
 *	and let it try again;
 *	-ENXIO: a table is not in memory; -EFAULT: the memory behind a table cannot be had.
 */
int vmm_walk_gva(struct vmm_vcpu *vcpu, gva_t gva, u32 access, gpa_t *gpa,
		 struct vmm_exception *fault)
{
	u64 efer = vmm_get_efer(vcpu);
	struct vmm_walk walk = {
		.cr0 = vmm_get_cr0(vcpu),
		.cr3 = vmm_get_cr3(vcpu),
		.cr4 = vmm_get_cr4(vcpu),
		.lma = efer & EFER_LMA,
		.nxe = efer & EFER_NX,
		.ac = vcpu->rflags & X86_EFLAGS_AC,
		/* whatever CPUID told the guest: the processor walks so */
		.gbpages = boot_cpu_has(X86_FEATURE_GBPAGES),
		.maxphyaddr = clamp(vmm_guest_maxphyaddr(vcpu), 32U, 52U),
		.pkru = vmm_guest_has_pku(vcpu) ? vcpu->pkru : 0,
		.read = walk_read,
		.cmpxchg = walk_cmpxchg,
		.opaque = vcpu->vm,
	};
	u32 error;
	int ret;

	ret = vmm_walk(&walk, gva, access, gpa, &error);
	switch (ret) {
	case VMM_WALK_PF:
		*fault = (struct vmm_exception) {
			.vector = X86_TRAP_PF, .has_error = true, .error = error,
			.payload = gva,
		};
		return 1;
	case VMM_WALK_GP:
		*fault = (struct vmm_exception) { .vector = X86_TRAP_GP, .has_error = true };
		return 1;
	default:
		return ret;
	}
}
