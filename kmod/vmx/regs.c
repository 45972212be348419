// SPDX-License-Identifier: GPL-2.0
/*
 * Registers that VT-x keeps in the VMCS (SDM vol. 3, 25.4 and 27.3).
 *
 * CR0: the guest changes TS, EM, MP, AM and WP by itself; a change of another bit exits. CD and
 * NW never reach the processor, for they would switch the host's caches off; NE is always on, as
 * VT-x wants it. CR4: what changes neither paging nor what CPUID says is the guest's. VMXE and MCE
 * are always on, the latter so that a machine check reaches the host. Reads never exit: a read
 * shadow holds what the guest does not own.
 *
 * PAE paging: the processor takes the four top-level entries from the VMCS at entry, and keeps
 * them up to date while the guest runs. What is changed here marks them stale, and they are read
 * from the guest's memory before the next entry.
 */
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor-flags.h>

#include "../x86.h"
#include "vmx.h"

#define VMX_CR0_OWNED	(X86_CR0_TS | X86_CR0_EM | X86_CR0_MP | X86_CR0_AM | X86_CR0_WP)
#define VMX_CR0_HIDDEN	(X86_CR0_CD | X86_CR0_NW)
#define VMX_CR4_OWNED	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PGE | \
			 X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_FSGSBASE)

/* the four fields of segment register @seg; the processor's order is ours */
#define VMX_SEG_SELECTOR(seg)	(GUEST_ES_SELECTOR + 2 * (seg))
#define VMX_SEG_LIMIT(seg)	(GUEST_ES_LIMIT + 2 * (seg))
#define VMX_SEG_RIGHTS(seg)	(GUEST_ES_AR_BYTES + 2 * (seg))
#define VMX_SEG_BASE(seg)	(GUEST_ES_BASE + 2 * (seg))
static_assert(VMX_SEG_BASE(VMM_SEG_TR) == GUEST_TR_BASE);
static_assert(VMX_SEG_RIGHTS(VMM_SEG_LDTR) == GUEST_LDTR_AR_BYTES);

/**
 * vmx_get_segment - a segment register with its hidden part
 * @vcpu: the vCPU
 * @seg: enum vmm_seg
 * @s: result
 */
void vmx_get_segment(struct vmm_vcpu *vcpu, unsigned int seg, struct vmm_segment *s)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 rights = vmx_read(vmx, VMX_SEG_RIGHTS(seg));

	*s = (struct vmm_segment) {
		.base = vmx_read(vmx, VMX_SEG_BASE(seg)),
		.limit = vmx_read(vmx, VMX_SEG_LIMIT(seg)),
		.selector = vmx_read(vmx, VMX_SEG_SELECTOR(seg)),
		.type = rights & VMX_AR_TYPE_MASK,
		.s = !!(rights & VMX_AR_S_MASK),
		.dpl = VMX_AR_DPL(rights),
		.present = (rights & VMX_AR_P_MASK) && !(rights & VMX_AR_UNUSABLE_MASK),
		.avl = (rights >> 12) & 1,
		.l = !!(rights & VMX_AR_L_MASK),
		.db = !!(rights & VMX_AR_DB_MASK),
		.g = !!(rights & VMX_AR_G_MASK),
		.unusable = !!(rights & VMX_AR_UNUSABLE_MASK),
	};
}

/*
 * Access rights as VM entry wants them: code and data segments have been accessed, the task state
 * segment is there and busy (SDM vol. 3, 27.3.1.2).
 */
static u32 vmx_segment_rights(unsigned int seg, const struct vmm_segment *s)
{
	bool unusable = s->unusable || !s->present;
	u32 type = s->type;

	if (seg == VMM_SEG_TR) {
		type = unusable ? VMX_AR_TYPE_BUSY_64_TSS : type | 2;
		unusable = false;
	} else if (s->s && !unusable) {
		type |= VMX_AR_TYPE_ACCESSES_MASK;
	}
	if (unusable)
		return type | s->s << 4 | s->dpl << VMX_AR_DPL_SHIFT | VMX_AR_UNUSABLE_MASK;
	return type | (seg == VMM_SEG_TR ? 0 : s->s << 4) | s->dpl << VMX_AR_DPL_SHIFT |
	       VMX_AR_P_MASK | s->avl << 12 | s->l << 13 | s->db << 14 | s->g << 15;
}

/**
 * vmx_set_segment - load a segment register with its hidden part
 * @vcpu: the vCPU
 * @seg: enum vmm_seg
 * @s: value; the DPL of SS is the CPL
 */
void vmx_set_segment(struct vmm_vcpu *vcpu, unsigned int seg, const struct vmm_segment *s)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx_write(vmx, VMX_SEG_BASE(seg), s->base);
	vmx_write(vmx, VMX_SEG_LIMIT(seg), s->limit);
	vmx_write(vmx, VMX_SEG_SELECTOR(seg), s->selector);
	vmx_write(vmx, VMX_SEG_RIGHTS(seg), vmx_segment_rights(seg, s));
}

/**
 * vmx_get_dtable - GDTR or IDTR
 * @vcpu: the vCPU
 * @idt: IDTR
 * @dt: result
 */
void vmx_get_dtable(struct vmm_vcpu *vcpu, bool idt, struct vmm_dtable *dt)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	*dt = (struct vmm_dtable) {
		.base = vmx_read(vmx, idt ? GUEST_IDTR_BASE : GUEST_GDTR_BASE),
		.limit = vmx_read(vmx, idt ? GUEST_IDTR_LIMIT : GUEST_GDTR_LIMIT),
	};
}

/**
 * vmx_set_dtable - load GDTR or IDTR
 * @vcpu: the vCPU
 * @idt: IDTR
 * @dt: value
 */
void vmx_set_dtable(struct vmm_vcpu *vcpu, bool idt, const struct vmm_dtable *dt)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx_write(vmx, idt ? GUEST_IDTR_BASE : GUEST_GDTR_BASE, dt->base);
	vmx_write(vmx, idt ? GUEST_IDTR_LIMIT : GUEST_GDTR_LIMIT, dt->limit);
}

unsigned int vmx_get_cpl(struct vmm_vcpu *vcpu)
{
	return VMX_AR_DPL(vmx_read(to_vmx(vcpu), GUEST_SS_AR_BYTES));
}

/* the guest uses PAE paging, whose top-level entries are part of the VMCS */
bool vmx_pae_paging(struct vmx_vcpu *vmx)
{
	return !(vmx->efer & EFER_LMA) && (vmx_get_cr0(&vmx->vcpu) & X86_CR0_PG) &&
	       (vmx_get_cr4(&vmx->vcpu) & X86_CR4_PAE);
}

/* paging is not what it was */
static void vmx_paging_changed(struct vmx_vcpu *vmx)
{
	vmx->flush_linear = true;
	vmx->pdptes_stale = vmx_pae_paging(vmx);
}

u64 vmx_get_cr0(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!(vmx->cached & VMX_CACHED_CR0)) {
		vmx->cr0 = (vmx->cr0 & ~VMX_CR0_OWNED) |
			   (vmx_read(vmx, GUEST_CR0) & VMX_CR0_OWNED);
		vmx->cached |= VMX_CACHED_CR0;
	}
	return vmx->cr0;
}

/**
 * vmx_set_cr0 - load CR0, and with it EFER.LMA (SDM vol. 3, 10.8.5)
 * @vcpu: the vCPU
 * @cr0: a value that vmm_set_cr0() has checked
 */
void vmx_set_cr0(struct vmm_vcpu *vcpu, u64 cr0)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u64 changed = vmx_get_cr0(vcpu) ^ cr0;

	vmx->cr0 = cr0;
	vmx_write(vmx, CR0_READ_SHADOW, cr0);
	vmx_write(vmx, GUEST_CR0, (cr0 & ~(u64)VMX_CR0_HIDDEN) | vmx_caps.cr0_fixed);
	if ((changed & X86_CR0_PG) && (vmx->efer & EFER_LME))
		vmx_set_efer(vcpu, cr0 & X86_CR0_PG ? vmx->efer | EFER_LMA
						    : vmx->efer & ~(u64)EFER_LMA);
	vmx_paging_changed(vmx);
}

u64 vmx_get_cr3(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!(vmx->cached & VMX_CACHED_CR3)) {
		vmx->cr3 = vmx_read(vmx, GUEST_CR3);
		vmx->cached |= VMX_CACHED_CR3;
	}
	return vmx->cr3;
}

void vmx_set_cr3(struct vmm_vcpu *vcpu, u64 cr3)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->cr3 = cr3;
	vmx->cached |= VMX_CACHED_CR3;
	vmx_write(vmx, GUEST_CR3, cr3);
	vmx_paging_changed(vmx);
}

u64 vmx_get_cr4(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!(vmx->cached & VMX_CACHED_CR4)) {
		vmx->cr4 = (vmx->cr4 & ~vmx->cr4_owned) |
			   (vmx_read(vmx, GUEST_CR4) & vmx->cr4_owned);
		vmx->cached |= VMX_CACHED_CR4;
	}
	return vmx->cr4;
}

/**
 * vmx_set_cr4 - load CR4
 * @vcpu: the vCPU
 * @cr4: a value that vmm_set_cr4() has checked
 */
void vmx_set_cr4(struct vmm_vcpu *vcpu, u64 cr4)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->cr4 = cr4;
	vmx->cached |= VMX_CACHED_CR4;
	vmx_write(vmx, CR4_READ_SHADOW, cr4);
	vmx_write(vmx, GUEST_CR4, cr4 | vmx_caps.cr4_fixed | X86_CR4_MCE);
	vmx_paging_changed(vmx);
}

u64 vmx_get_efer(struct vmm_vcpu *vcpu)
{
	return to_vmx(vcpu)->efer;
}

/**
 * vmx_set_efer - load EFER; LMA is also an entry control
 * @vcpu: the vCPU
 * @efer: a value that vmm_set_efer() has checked
 */
void vmx_set_efer(struct vmm_vcpu *vcpu, u64 efer)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u64 changed = vmx->efer ^ efer;
	struct vmm_segment tr;

	vmx->efer = efer;
	vmx_write(vmx, GUEST_IA32_EFER, efer);
	if (!(changed & (EFER_LMA | EFER_NX)))
		return;
	if (efer & EFER_LMA) {
		vmx->entry_ctls |= VM_ENTRY_IA32E_MODE;
		/* a 16-bit task state segment cannot be in TR then (SDM vol. 3, 27.3.1.2) */
		vmx_get_segment(vcpu, VMM_SEG_TR, &tr);
		if (tr.type != VMX_AR_TYPE_BUSY_64_TSS) {
			tr.type = VMX_AR_TYPE_BUSY_64_TSS;
			vmx_set_segment(vcpu, VMM_SEG_TR, &tr);
		}
	} else {
		vmx->entry_ctls &= ~VM_ENTRY_IA32E_MODE;
	}
	vmx_write(vmx, VM_ENTRY_CONTROLS, vmx->entry_ctls);
	vmx_paging_changed(vmx);
}

void vmx_set_pat(struct vmm_vcpu *vcpu, u64 pat)
{
	vmx_write(to_vmx(vcpu), GUEST_IA32_PAT, pat);
}

void vmx_set_tsc_offset(struct vmm_vcpu *vcpu, u64 offset)
{
	vmx_write(to_vmx(vcpu), TSC_OFFSET, offset);
}

/* an instruction that a control of @vmx enables: on only if the guest was told of it */
static void vmx_enable_insn(struct vmx_vcpu *vmx, u32 control, bool offered)
{
	if (offered)
		vmx->proc2 |= control & vmx_caps.proc2;
	else
		vmx->proc2 &= ~control;
}

/**
 * vmx_cpuid_changed - which instructions are #UD, and which bits of CR4 are the guest's, follows
 * from what it was told
 * @vcpu: the vCPU
 */
void vmx_cpuid_changed(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u64 cr4 = vmx_get_cr4(vcpu);

	/* RDTSCP and RDPID have one control */
	vmx_enable_insn(vmx, SECONDARY_EXEC_ENABLE_RDTSCP,
			vmm_guest_has(vcpu, 0x80000001, 0, VMM_RDX, 27) ||
			vmm_guest_has(vcpu, 7, 0, VMM_RCX, 22));
	vmx_enable_insn(vmx, SECONDARY_EXEC_ENABLE_INVPCID,
			vmm_guest_has(vcpu, 7, 0, VMM_RBX, 10));
	vmx_write(vmx, SECONDARY_VM_EXEC_CONTROL, vmx->proc2);

	vmx->cr4_owned = VMX_CR4_OWNED & vmm_guest_cr4_mask(vcpu);
	vmx_write(vmx, CR0_GUEST_HOST_MASK, ~(u64)VMX_CR0_OWNED);
	vmx_write(vmx, CR4_GUEST_HOST_MASK, ~vmx->cr4_owned);
	vmx_set_cr4(vcpu, cr4);
}
