// SPDX-License-Identifier: GPL-2.0
/*
 * An entry failed: which of the processor's checks was it (SDM vol. 3, 27.2 and 27.3)? It does not
 * say; the checks that state set by userland can fail are made again here, in its order. The VMCS
 * is printed by dynamic debug. Both are rate limited, for a user can make entries fail at will.
 */
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <asm/msr.h>
#include <asm/processor-flags.h>

#include "vmx.h"

struct vmx_check {
	const char *name;
	bool (*ok)(struct vmx_vcpu *vmx);
};

static bool vmx_ia32e(struct vmx_vcpu *vmx)
{
	return vmx->entry_ctls & VM_ENTRY_IA32E_MODE;
}

static bool vmx_canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16) == address;
}

static u32 vmx_rights(struct vmx_vcpu *vmx, unsigned int seg)
{
	return vmx_read(vmx, GUEST_ES_AR_BYTES + 2 * seg);
}

static u64 vmx_base(struct vmx_vcpu *vmx, unsigned int seg)
{
	return vmx_read(vmx, GUEST_ES_BASE + 2 * seg);
}

static u32 vmx_limit(struct vmx_vcpu *vmx, unsigned int seg)
{
	return vmx_read(vmx, GUEST_ES_LIMIT + 2 * seg);
}

static bool vmx_vm86(struct vmx_vcpu *vmx)
{
	return vmx_read(vmx, GUEST_RFLAGS) & X86_EFLAGS_VM;
}

static bool vmx_protected(struct vmx_vcpu *vmx)
{
	return vmx_read(vmx, GUEST_CR0) & X86_CR0_PE;
}

static bool vmx_check_cr0(struct vmx_vcpu *vmx)
{
	u64 cr0 = vmx_read(vmx, GUEST_CR0);

	return (cr0 & vmx_caps.cr0_fixed) == vmx_caps.cr0_fixed &&
	       (!(cr0 & X86_CR0_PG) || (cr0 & X86_CR0_PE));
}

static bool vmx_check_cr4(struct vmx_vcpu *vmx)
{
	u64 cr4 = vmx_read(vmx, GUEST_CR4), may;

	rdmsrl(MSR_IA32_VMX_CR4_FIXED1, may);
	return !(cr4 & ~may) && (cr4 & vmx_caps.cr4_fixed) == vmx_caps.cr4_fixed;
}

static bool vmx_check_mode(struct vmx_vcpu *vmx)
{
	u64 cr0 = vmx_read(vmx, GUEST_CR0), cr4 = vmx_read(vmx, GUEST_CR4);

	if (vmx_ia32e(vmx))
		return (cr0 & X86_CR0_PG) && (cr4 & X86_CR4_PAE);
	return !(cr4 & X86_CR4_PCIDE);
}

static bool vmx_check_efer(struct vmx_vcpu *vmx)
{
	bool lma = vmx->efer & EFER_LMA, lme = vmx->efer & EFER_LME;

	return lma == vmx_ia32e(vmx) &&
	       (!(vmx_read(vmx, GUEST_CR0) & X86_CR0_PG) || lma == lme);
}

static bool vmx_check_vm86(struct vmx_vcpu *vmx)
{
	unsigned int i;

	if (!vmx_vm86(vmx))
		return true;
	for (i = VMM_SEG_ES; i <= VMM_SEG_GS; i++)
		if (vmx_base(vmx, i) != vmx_read(vmx, GUEST_ES_SELECTOR + 2 * i) << 4 ||
		    vmx_limit(vmx, i) != 0xffff || vmx_rights(vmx, i) != 0xf3)
			return false;
	return true;
}

static bool vmx_check_cs(struct vmx_vcpu *vmx)
{
	u32 cs = vmx_rights(vmx, VMM_SEG_CS), ss = vmx_rights(vmx, VMM_SEG_SS);

	if (vmx_vm86(vmx))
		return true;
	if ((cs & VMX_AR_UNUSABLE_MASK) || !(cs & VMX_AR_S_MASK) || !(cs & VMX_AR_P_MASK))
		return false;
	if (vmx_ia32e(vmx) && (cs & VMX_AR_L_MASK) && (cs & VMX_AR_DB_MASK))
		return false;
	switch (cs & VMX_AR_TYPE_MASK) {
	case 3:
		return !VMX_AR_DPL(cs);
	case 9: case 11:
		return VMX_AR_DPL(cs) == VMX_AR_DPL(ss);
	case 13: case 15:
		return VMX_AR_DPL(cs) <= VMX_AR_DPL(ss);
	default:
		return false;
	}
}

static bool vmx_check_ss(struct vmx_vcpu *vmx)
{
	u32 cs = vmx_rights(vmx, VMM_SEG_CS), ss = vmx_rights(vmx, VMM_SEG_SS);
	u32 type = ss & VMX_AR_TYPE_MASK;

	if (vmx_vm86(vmx))
		return true;
	if (((cs & VMX_AR_TYPE_MASK) == 3 || !vmx_protected(vmx)) && VMX_AR_DPL(ss))
		return false;
	if (ss & VMX_AR_UNUSABLE_MASK)
		return true;
	return (type == 3 || type == 7) && (ss & VMX_AR_S_MASK) && (ss & VMX_AR_P_MASK);
}

static bool vmx_check_data(struct vmx_vcpu *vmx)
{
	static const u8 segs[] = { VMM_SEG_DS, VMM_SEG_ES, VMM_SEG_FS, VMM_SEG_GS };
	unsigned int i;

	if (vmx_vm86(vmx))
		return true;
	for (i = 0; i < ARRAY_SIZE(segs); i++) {
		u32 rights = vmx_rights(vmx, segs[i]);

		if (rights & VMX_AR_UNUSABLE_MASK)
			continue;
		if (!(rights & VMX_AR_TYPE_ACCESSES_MASK) || !(rights & VMX_AR_S_MASK) ||
		    !(rights & VMX_AR_P_MASK))
			return false;
		/* code must be readable */
		if ((rights & VMX_AR_TYPE_CODE_MASK) && !(rights & VMX_AR_TYPE_READABLE_MASK))
			return false;
	}
	return true;
}

static bool vmx_check_tr(struct vmx_vcpu *vmx)
{
	u32 tr = vmx_rights(vmx, VMM_SEG_TR), type = tr & VMX_AR_TYPE_MASK;

	return (type == VMX_AR_TYPE_BUSY_64_TSS ||
		(type == VMX_AR_TYPE_BUSY_16_TSS && !vmx_ia32e(vmx))) &&
	       !(tr & VMX_AR_S_MASK) && (tr & VMX_AR_P_MASK) && !(tr & VMX_AR_UNUSABLE_MASK);
}

static bool vmx_check_ldtr(struct vmx_vcpu *vmx)
{
	u32 ldtr = vmx_rights(vmx, VMM_SEG_LDTR);

	return (ldtr & VMX_AR_UNUSABLE_MASK) ||
	       ((ldtr & VMX_AR_TYPE_MASK) == VMX_AR_TYPE_LDT && !(ldtr & VMX_AR_S_MASK) &&
		(ldtr & VMX_AR_P_MASK));
}

/* granularity and limit have to agree */
static bool vmx_check_limits(struct vmx_vcpu *vmx)
{
	unsigned int i;

	if (vmx_vm86(vmx))
		return true;
	for (i = 0; i < VMM_NR_SEGS; i++) {
		u32 rights = vmx_rights(vmx, i), limit = vmx_limit(vmx, i);

		if (rights & VMX_AR_UNUSABLE_MASK)
			continue;
		if ((limit & 0xfff) != 0xfff && (rights & VMX_AR_G_MASK))
			return false;
		if ((limit & 0xfff00000) && !(rights & VMX_AR_G_MASK))
			return false;
		if (rights & VMX_AR_RESERVD_MASK)
			return false;
	}
	return true;
}

static bool vmx_check_bases(struct vmx_vcpu *vmx)
{
	unsigned int i;

	for (i = 0; i < VMM_NR_SEGS; i++) {
		bool usable = !(vmx_rights(vmx, i) & VMX_AR_UNUSABLE_MASK);
		u64 base = vmx_base(vmx, i);

		if (i == VMM_SEG_CS ? base >> 32 : i < VMM_SEG_FS && usable && base >> 32)
			return false;
		if (i >= VMM_SEG_FS && (i != VMM_SEG_LDTR || usable) && !vmx_canonical(base))
			return false;
	}
	return vmx_canonical(vmx_read(vmx, GUEST_GDTR_BASE)) &&
	       vmx_canonical(vmx_read(vmx, GUEST_IDTR_BASE));
}

static bool vmx_check_rip(struct vmx_vcpu *vmx)
{
	u64 rip = vmx_read(vmx, GUEST_RIP);

	if (vmx_ia32e(vmx) && (vmx_rights(vmx, VMM_SEG_CS) & VMX_AR_L_MASK))
		return vmx_canonical(rip);
	return !(rip >> 32);
}

static bool vmx_check_rflags(struct vmx_vcpu *vmx)
{
	u64 rflags = vmx_read(vmx, GUEST_RFLAGS);
	u32 info = vmx_read(vmx, VM_ENTRY_INTR_INFO_FIELD);

	if ((rflags & X86_EFLAGS_VM) && (vmx_ia32e(vmx) || !vmx_protected(vmx)))
		return false;
	return (rflags & X86_EFLAGS_IF) || !(info & INTR_INFO_VALID_MASK) ||
	       (info & INTR_INFO_INTR_TYPE_MASK) != INTR_TYPE_EXT_INTR;
}

static bool vmx_check_shadow(struct vmx_vcpu *vmx)
{
	u32 state = vmx_read(vmx, GUEST_INTERRUPTIBILITY_INFO);
	u32 info = vmx_read(vmx, VM_ENTRY_INTR_INFO_FIELD);
	u32 type = info & INTR_INFO_INTR_TYPE_MASK;
	bool sti = state & GUEST_INTR_STATE_STI, mov_ss = state & GUEST_INTR_STATE_MOV_SS;

	if ((sti && mov_ss) || (sti && !(vmx_read(vmx, GUEST_RFLAGS) & X86_EFLAGS_IF)))
		return false;
	if (!(info & INTR_INFO_VALID_MASK))
		return true;
	if (type == INTR_TYPE_EXT_INTR && (sti || mov_ss))
		return false;
	return type != INTR_TYPE_NMI_INTR ||
	       (!mov_ss && !(state & GUEST_INTR_STATE_NMI));
}

static const struct vmx_check vmx_checks[] = {
	{ "CR0 (27.3.1.1)", vmx_check_cr0 },
	{ "CR4 (27.3.1.1)", vmx_check_cr4 },
	{ "CR0, CR4 and IA-32e mode (27.3.1.1)", vmx_check_mode },
	{ "EFER (27.3.1.1)", vmx_check_efer },
	{ "segments of virtual-8086 mode (27.3.1.2)", vmx_check_vm86 },
	{ "CS (27.3.1.2)", vmx_check_cs },
	{ "SS (27.3.1.2)", vmx_check_ss },
	{ "DS, ES, FS or GS (27.3.1.2)", vmx_check_data },
	{ "TR (27.3.1.2)", vmx_check_tr },
	{ "LDTR (27.3.1.2)", vmx_check_ldtr },
	{ "limit and granularity of a segment (27.3.1.2)", vmx_check_limits },
	{ "base of a segment or descriptor table (27.3.1.2, 27.3.1.3)", vmx_check_bases },
	{ "RIP (27.3.1.4)", vmx_check_rip },
	{ "RFLAGS (27.3.1.4)", vmx_check_rflags },
	{ "interrupt shadow or blocked NMI (27.3.1.5)", vmx_check_shadow },
};

static const char *vmx_failed_check(struct vmx_vcpu *vmx)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vmx_checks); i++)
		if (!vmx_checks[i].ok(vmx))
			return vmx_checks[i].name;
	return "none of those known";
}

/* fields to print, a name each */
#define FIELD(name)	{ #name, name }
static const struct {
	const char *name;
	u32 field;
} vmx_fields[] = {
	FIELD(PIN_BASED_VM_EXEC_CONTROL), FIELD(CPU_BASED_VM_EXEC_CONTROL),
	FIELD(SECONDARY_VM_EXEC_CONTROL), FIELD(VM_EXIT_CONTROLS), FIELD(VM_ENTRY_CONTROLS),
	FIELD(VM_ENTRY_INTR_INFO_FIELD), FIELD(VM_ENTRY_EXCEPTION_ERROR_CODE),
	FIELD(VM_ENTRY_INSTRUCTION_LEN), FIELD(EXIT_QUALIFICATION), FIELD(VM_EXIT_INTR_INFO),
	FIELD(IDT_VECTORING_INFO_FIELD), FIELD(VM_INSTRUCTION_ERROR), FIELD(EPT_POINTER),
	FIELD(GUEST_CR0), FIELD(GUEST_CR3), FIELD(GUEST_CR4), FIELD(CR0_READ_SHADOW),
	FIELD(CR4_READ_SHADOW), FIELD(GUEST_IA32_EFER), FIELD(GUEST_IA32_PAT),
	FIELD(GUEST_RIP), FIELD(GUEST_RSP), FIELD(GUEST_RFLAGS), FIELD(GUEST_DR7),
	FIELD(GUEST_INTERRUPTIBILITY_INFO), FIELD(GUEST_ACTIVITY_STATE),
	FIELD(GUEST_PENDING_DBG_EXCEPTIONS), FIELD(GUEST_IA32_DEBUGCTL),
	FIELD(GUEST_GDTR_BASE), FIELD(GUEST_GDTR_LIMIT), FIELD(GUEST_IDTR_BASE),
	FIELD(GUEST_IDTR_LIMIT), FIELD(GUEST_PDPTR0), FIELD(GUEST_PDPTR1), FIELD(GUEST_PDPTR2),
	FIELD(GUEST_PDPTR3), FIELD(HOST_CR0), FIELD(HOST_CR3), FIELD(HOST_CR4), FIELD(HOST_RSP),
	FIELD(HOST_IA32_EFER), FIELD(HOST_IA32_PAT), FIELD(HOST_TR_SELECTOR),
};

#undef FIELD

static const char * const vmx_seg_names[VMM_NR_SEGS] = {
	"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR",
};

static void vmx_dump(struct vmx_vcpu *vmx)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vmx_fields); i++)
		pr_debug("vmm:   %s %#lx\n", vmx_fields[i].name,
			 vmx_read(vmx, vmx_fields[i].field));
	for (i = 0; i < VMM_NR_SEGS; i++)
		pr_debug("vmm:   %s selector %#lx base %#llx limit %#x rights %#x\n",
			 vmx_seg_names[i], vmx_read(vmx, GUEST_ES_SELECTOR + 2 * i),
			 vmx_base(vmx, i), vmx_limit(vmx, i), vmx_rights(vmx, i));
}

/**
 * vmx_check_report - say why an entry failed, or what the exit was that nobody expects
 * @vmx: the vCPU
 *
 * Context: the owner.
 */
void vmx_check_report(struct vmx_vcpu *vmx)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL, 3);

	if (!__ratelimit(&limit))
		return;
	if (vmx->exit_reason == VMX_EXIT_NO_ENTRY)
		pr_info("vmm: vCPU %u: VM entry refused, instruction error %lu\n", vmx->vcpu.id,
			vmx_read(vmx, VM_INSTRUCTION_ERROR));
	else if (vmx->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY)
		pr_info("vmm: vCPU %u: VM entry failed, reason %#x; check of guest state: %s\n",
			vmx->vcpu.id, vmx->exit_reason, vmx_failed_check(vmx));
	else
		pr_info("vmm: vCPU %u: unexpected exit %#x, qualification %#lx\n", vmx->vcpu.id,
			vmx->exit_reason, vmx_read(vmx, EXIT_QUALIFICATION));
	vmx_dump(vmx);
}
