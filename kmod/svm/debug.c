// SPDX-License-Identifier: GPL-2.0
/*
 * Self-checks of VMM_DEBUG builds, AMD-V's part: what the processor is told that it may keep from
 * the VMCB's last run (clean bits, ASID), against what changed since. Emulators reload everything
 * and flush at every entry.
 */
#include <linux/mm.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "../debug.h"
#include "svm.h"

/**
 * struct svm_group - bytes of the VMCB that a clean bit speaks for (APM vol. 2, 15.15.3)
 * @bit: SVM_CLEAN_*
 * @offset: in the VMCB
 * @len: bytes
 */
struct svm_group {
	u32 bit;
	u16 offset;
	u16 len;
};

#define FIELDS(bit, first, last) \
	{ bit, offsetof(struct vmcb, first), offsetofend(struct vmcb, last) - \
					     offsetof(struct vmcb, first) }

static const struct svm_group groups[] = {
	FIELDS(SVM_CLEAN_INTERCEPTS, control.intercept_cr_read, control.intercept_misc3),
	FIELDS(SVM_CLEAN_INTERCEPTS, control.pause_threshold, control.pause_count),
	FIELDS(SVM_CLEAN_INTERCEPTS, control.tsc_offset, control.tsc_offset),
	FIELDS(SVM_CLEAN_PERMISSIONS, control.iopm_base_pa, control.msrpm_base_pa),
	FIELDS(SVM_CLEAN_ASID, control.asid, control.asid),
	FIELDS(SVM_CLEAN_TPR, control.int_ctl, control.int_vector),
	FIELDS(SVM_CLEAN_NP, control.nested_cr3, control.nested_cr3),
	FIELDS(SVM_CLEAN_NP, save.g_pat, save.g_pat),
	FIELDS(SVM_CLEAN_CR, save.efer, save.efer),
	FIELDS(SVM_CLEAN_CR, save.cr4, save.cr0),
	FIELDS(SVM_CLEAN_DR, save.dr7, save.dr6),
	FIELDS(SVM_CLEAN_DT, save.gdtr, save.gdtr),
	FIELDS(SVM_CLEAN_DT, save.idtr, save.idtr),
	FIELDS(SVM_CLEAN_SEG, save.es, save.ds),
	FIELDS(SVM_CLEAN_SEG, save.cpl, save.cpl),
	FIELDS(SVM_CLEAN_CR2, save.cr2, save.cr2),
	FIELDS(SVM_CLEAN_LBR, save.dbgctl, save.last_excp_to),
};

/* Return: 0 or -ENOMEM */
int svm_debug_create(struct svm_vcpu *svm)
{
	svm->debug.last = (struct vmcb *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	svm->debug.cpu = -1;
	return svm->debug.last ? 0 : -ENOMEM;
}

void svm_debug_free(struct svm_vcpu *svm)
{
	free_page((unsigned long)svm->debug.last);
	svm->debug.last = NULL;
}

static void check_clean(struct svm_vcpu *svm)
{
	const u8 *now = (const u8 *)svm->vmcb, *last = (const u8 *)svm->debug.last;
	u32 clean = svm->vmcb->control.clean;
	struct vmm_vm *vm = svm->vcpu.vm;
	unsigned int i;

	if (!clean)
		return;
	if (svm->debug.cpu != smp_processor_id()) {
		vmm_debug_fail(vm, "control block: vCPU %u keeps 0x%x clean from CPU %d on CPU %d",
			       svm->vcpu.id, clean, svm->debug.cpu, smp_processor_id());
		return;
	}
	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		const struct svm_group *g = &groups[i];

		if ((clean & g->bit) && memcmp(now + g->offset, last + g->offset, g->len))
			vmm_debug_fail(vm, "control block: vCPU %u keeps 0x%x clean, 0x%x changed",
				       svm->vcpu.id, g->bit, g->offset);
	}
}

/* the same ASID, without a flush, means the translations of the last run */
static void check_asid(struct svm_vcpu *svm)
{
	const struct svm_debug *d = &svm->debug;
	const struct vmcb_control *c = &svm->vmcb->control;

	if (d->cpu != smp_processor_id() || d->asid_generation != svm->asid_generation ||
	    d->last->control.asid != c->asid || c->tlb_control != SVM_TLB_KEEP)
		return;
	if (d->tlb_gen != svm->vcpu.tlb_gen)
		vmm_debug_fail(svm->vcpu.vm, "translations: vCPU %u enters with %llu, not %llu",
			       svm->vcpu.id, d->tlb_gen, svm->vcpu.tlb_gen);
}

/**
 * svm_debug_enter_irqoff - the VMCB is as VMRUN will find it
 * @svm: the vCPU
 *
 * Context: interrupts off.
 */
void svm_debug_enter_irqoff(struct svm_vcpu *svm)
{
	check_clean(svm);
	check_asid(svm);
}

/**
 * svm_debug_exit_irqoff - the VMCB is as the exit left it, and so is what the processor may keep
 * @svm: the vCPU
 *
 * Context: interrupts off.
 */
void svm_debug_exit_irqoff(struct svm_vcpu *svm)
{
	struct svm_debug *d = &svm->debug;

	memcpy(d->last, svm->vmcb, sizeof(*d->last));
	d->cpu = (u32)svm->vmcb->control.exit_code == SVM_EXIT_INVALID ? -1 : smp_processor_id();
	d->asid_generation = svm->asid_generation;
	d->tlb_gen = svm->vcpu.tlb_gen;
}
