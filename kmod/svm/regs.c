// SPDX-License-Identifier: GPL-2.0
/*
 * Registers that AMD-V keeps in the VMCB (APM vol. 2, 15.5.1 and table B-2).
 *
 * CR0: the guest may change TS and MP by itself; any other change exits (selective write
 * intercept). CD and NW never reach the processor, for they would switch the host's caches off;
 * while they are set, the guest's reads exit too. CR4: every write exits. MCE is always on, so
 * that a machine check reaches the host; while the guest thinks it off, its reads exit.
 */
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor-flags.h>

#include "../x86.h"
#include "svm.h"

#define SVM_CR0_HIDDEN	(X86_CR0_CD | X86_CR0_NW)

static struct vmcb_seg *svm_seg(struct svm_vcpu *svm, unsigned int seg)
{
	struct vmcb_save *save = &svm->vmcb->save;

	switch (seg) {
	case VMM_SEG_ES: return &save->es;
	case VMM_SEG_CS: return &save->cs;
	case VMM_SEG_SS: return &save->ss;
	case VMM_SEG_DS: return &save->ds;
	case VMM_SEG_FS: return &save->fs;
	case VMM_SEG_GS: return &save->gs;
	case VMM_SEG_LDTR: return &save->ldtr;
	default: return &save->tr;
	}
}

/**
 * svm_get_segment - a segment register with its hidden part
 * @vcpu: the vCPU
 * @seg: enum vmm_seg
 * @s: result
 */
void svm_get_segment(struct vmm_vcpu *vcpu, unsigned int seg, struct vmm_segment *s)
{
	const struct vmcb_seg *v = svm_seg(to_svm(vcpu), seg);

	*s = (struct vmm_segment) {
		.base = v->base,
		.limit = v->limit,
		.selector = v->selector,
		.type = v->attrib & 0xf,
		.s = (v->attrib >> 4) & 1,
		.dpl = (v->attrib >> 5) & 3,
		.present = (v->attrib >> 7) & 1,
		.avl = (v->attrib >> 8) & 1,
		.l = (v->attrib >> 9) & 1,
		.db = (v->attrib >> 10) & 1,
		.g = (v->attrib >> 11) & 1,
		.unusable = !((v->attrib >> 7) & 1),
	};
	/* the DPL of SS is the CPL, which the processor keeps apart and up to date */
	if (seg == VMM_SEG_SS)
		s->dpl = to_svm(vcpu)->vmcb->save.cpl;
}

/**
 * svm_set_segment - load a segment register with its hidden part
 * @vcpu: the vCPU
 * @seg: enum vmm_seg
 * @s: value; SS sets the CPL by its DPL
 */
void svm_set_segment(struct vmm_vcpu *vcpu, unsigned int seg, const struct vmm_segment *s)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_seg *v = svm_seg(svm, seg);

	v->base = s->base;
	v->limit = s->limit;
	v->selector = s->selector;
	v->attrib = s->type | s->s << 4 | s->dpl << 5 | (s->present && !s->unusable) << 7 |
		    s->avl << 8 | s->l << 9 | s->db << 10 | s->g << 11;
	if (seg == VMM_SEG_SS)
		svm->vmcb->save.cpl = s->dpl;
	svm_mark_dirty(svm, SVM_CLEAN_SEG);
}

/**
 * svm_get_dtable - GDTR or IDTR
 * @vcpu: the vCPU
 * @idt: IDTR
 * @dt: result
 */
void svm_get_dtable(struct vmm_vcpu *vcpu, bool idt, struct vmm_dtable *dt)
{
	const struct vmcb_save *save = &to_svm(vcpu)->vmcb->save;
	const struct vmcb_seg *v = idt ? &save->idtr : &save->gdtr;

	*dt = (struct vmm_dtable) { .base = v->base, .limit = v->limit };
}

/**
 * svm_set_dtable - load GDTR or IDTR
 * @vcpu: the vCPU
 * @idt: IDTR
 * @dt: value
 */
void svm_set_dtable(struct vmm_vcpu *vcpu, bool idt, const struct vmm_dtable *dt)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_seg *v = idt ? &svm->vmcb->save.idtr : &svm->vmcb->save.gdtr;

	v->base = dt->base;
	v->limit = dt->limit;
	svm_mark_dirty(svm, SVM_CLEAN_DT);
}

unsigned int svm_get_cpl(struct vmm_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->save.cpl;
}

u64 svm_get_cr0(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	return (svm->vmcb->save.cr0 & ~SVM_CR0_HIDDEN) | (svm->cr0 & SVM_CR0_HIDDEN);
}

/**
 * svm_set_cr0 - load CR0, and with it EFER.LMA (APM vol. 2, 14.6.1)
 * @vcpu: the vCPU
 * @cr0: a value that vmm_set_cr0() has checked
 */
void svm_set_cr0(struct vmm_vcpu *vcpu, u64 cr0)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	u64 changed = svm_get_cr0(vcpu) ^ cr0;

	if ((changed & X86_CR0_PG) && (svm_get_efer(vcpu) & EFER_LME))
		svm_set_efer(vcpu, cr0 & X86_CR0_PG ? svm_get_efer(vcpu) | EFER_LMA
						    : svm_get_efer(vcpu) & ~EFER_LMA);

	svm->cr0 = cr0;
	vmcb->save.cr0 = cr0 & ~SVM_CR0_HIDDEN;
	if (cr0 & SVM_CR0_HIDDEN)
		vmcb->control.intercept_cr_read |= BIT(0);
	else
		vmcb->control.intercept_cr_read &= ~BIT(0);
	svm_mark_dirty(svm, SVM_CLEAN_CR | SVM_CLEAN_INTERCEPTS);
	if (changed & (X86_CR0_PG | X86_CR0_WP | X86_CR0_PE))
		svm->asid_cpu = -1;
}

u64 svm_get_cr3(struct vmm_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->save.cr3;
}

void svm_set_cr3(struct vmm_vcpu *vcpu, u64 cr3)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb->save.cr3 = cr3;
	svm_mark_dirty(svm, SVM_CLEAN_CR);
	svm->asid_cpu = -1;
}

u64 svm_get_cr4(struct vmm_vcpu *vcpu)
{
	const struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	/* reads exit exactly while the guest's MCE is off */
	return vmcb->control.intercept_cr_read & BIT(4) ? vmcb->save.cr4 & ~X86_CR4_MCE
							: vmcb->save.cr4;
}

/**
 * svm_set_cr4 - load CR4
 * @vcpu: the vCPU
 * @cr4: a value that vmm_set_cr4() has checked
 */
void svm_set_cr4(struct vmm_vcpu *vcpu, u64 cr4)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	u64 changed = svm_get_cr4(vcpu) ^ cr4;

	vmcb->save.cr4 = cr4 | X86_CR4_MCE;
	if (cr4 & X86_CR4_MCE)
		vmcb->control.intercept_cr_read &= ~BIT(4);
	else
		vmcb->control.intercept_cr_read |= BIT(4);
	svm_mark_dirty(svm, SVM_CLEAN_CR | SVM_CLEAN_INTERCEPTS);
	if (changed & (X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PCIDE | X86_CR4_SMEP |
		       X86_CR4_SMAP | X86_CR4_LA57 | X86_CR4_PKE))
		svm->asid_cpu = -1;
}

u64 svm_get_efer(struct vmm_vcpu *vcpu)
{
	return to_svm(vcpu)->efer;
}

void svm_set_efer(struct vmm_vcpu *vcpu, u64 efer)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if ((svm->efer ^ efer) & (EFER_NX | EFER_LMA))
		svm->asid_cpu = -1;
	svm->efer = efer;
	svm->vmcb->save.efer = efer | EFER_SVME;
	svm_mark_dirty(svm, SVM_CLEAN_CR);
}

void svm_set_pat(struct vmm_vcpu *vcpu, u64 pat)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb->save.g_pat = pat;
	svm_mark_dirty(svm, SVM_CLEAN_NP);
}

void svm_set_tsc_offset(struct vmm_vcpu *vcpu, u64 offset)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb->control.tsc_offset = offset;
	svm_mark_dirty(svm, SVM_CLEAN_INTERCEPTS);
}

/* the VMCB's field of an MSR that VMLOAD, VMSAVE or VMRUN switches; NULL if it is none */
static u64 *svm_msr_field(struct svm_vcpu *svm, u32 index)
{
	struct vmcb_save *save = &svm->vmcb->save;

	switch (index) {
	case MSR_STAR: return &save->star;
	case MSR_LSTAR: return &save->lstar;
	case MSR_CSTAR: return &save->cstar;
	case MSR_SYSCALL_MASK: return &save->sfmask;
	case MSR_KERNEL_GS_BASE: return &save->kernel_gs_base;
	case MSR_FS_BASE: return &save->fs.base;
	case MSR_GS_BASE: return &save->gs.base;
	case MSR_IA32_SYSENTER_CS: return &save->sysenter_cs;
	case MSR_IA32_SYSENTER_ESP: return &save->sysenter_esp;
	case MSR_IA32_SYSENTER_EIP: return &save->sysenter_eip;
	case MSR_IA32_DEBUGCTLMSR: return &save->dbgctl;
	default: return NULL;
	}
}

/**
 * svm_get_msr - read an MSR that the processor switches
 * @vcpu: the vCPU
 * @index: which
 * @data: result
 *
 * Return: 0, or 1 when it is not one of those.
 */
int svm_get_msr(struct vmm_vcpu *vcpu, u32 index, u64 *data)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	const u64 *field = svm_msr_field(svm, index);

	if (index == MSR_IA32_SPEC_CTRL) {
		*data = svm->entry.spec_guest;
		return 0;
	}
	if (!field)
		return 1;
	*data = *field;
	return 0;
}

/**
 * svm_set_msr - write an MSR that the processor switches
 * @vcpu: the vCPU
 * @index: which
 * @data: a value that msr.c has checked
 *
 * Return: 0, or 1 when it is not one of those.
 */
int svm_set_msr(struct vmm_vcpu *vcpu, u32 index, u64 data)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u64 *field = svm_msr_field(svm, index);

	if (index == MSR_IA32_SPEC_CTRL) {
		svm->entry.spec_guest = data;
		return 0;
	}
	if (!field)
		return 1;
	*field = data;
	if (index == MSR_FS_BASE || index == MSR_GS_BASE)
		svm_mark_dirty(svm, SVM_CLEAN_SEG);
	if (index == MSR_IA32_DEBUGCTLMSR)
		svm_mark_dirty(svm, SVM_CLEAN_LBR);
	return 0;
}

void svm_cpuid_changed(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	/*
	 * INVPCID is the guest's own business under nested paging; where CPUID hides it, it
	 * must be #UD
	 */
	if (boot_cpu_has(X86_FEATURE_INVPCID) && !vmm_guest_has(vcpu, 7, 0, VMM_RBX, 10))
		svm->vmcb->control.intercept_misc3 |= SVM_INTERCEPT_INVPCID;
	else
		svm->vmcb->control.intercept_misc3 &= ~SVM_INTERCEPT_INVPCID;
	svm_mark_dirty(svm, SVM_CLEAN_INTERCEPTS);
}
