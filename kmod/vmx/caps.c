// SPDX-License-Identifier: GPL-2.0
/*
 * The capability MSRs of VT-x, read once, and the controls derived from them (SDM vol. 3,
 * appendix A): what vmm cannot do without is required, what it can use is taken where it is there
 * and its module parameter lets it.
 */
#include <linux/bits.h>
#include <linux/math64.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor-flags.h>
#include <asm/tsc.h>
#include <asm/vmx.h>

#include "caps.h"

static bool vmx_vpid = true;
module_param(vmx_vpid, bool, 0444);
MODULE_PARM_DESC(vmx_vpid, "VT-x: tag the TLB with VPIDs");

static bool vmx_ept_ad = true;
module_param(vmx_ept_ad, bool, 0444);
MODULE_PARM_DESC(vmx_ept_ad, "VT-x: use EPT's accessed and dirty flags");

static bool vmx_tpr_shadow = true;
module_param(vmx_tpr_shadow, bool, 0444);
MODULE_PARM_DESC(vmx_tpr_shadow, "VT-x: let the processor keep CR8");

static bool vmx_apic_regs = true;
module_param(vmx_apic_regs, bool, 0444);
MODULE_PARM_DESC(vmx_apic_regs, "VT-x: let the processor answer reads of the x2APIC's registers");

/*
 * Off unless asked for: no machine has run it that gets it right. Bochs tells of a stale event when
 * an exit interrupts the delivery of such an interrupt.
 */
static bool vmx_vid;
module_param(vmx_vid, bool, 0444);
MODULE_PARM_DESC(vmx_vid, "VT-x: let the processor deliver the local APIC's interrupts");

#define VMX_PROC2_APIC		(SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | \
				 SECONDARY_EXEC_APIC_REGISTER_VIRT | \
				 SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)

static unsigned int vmx_preempt_us;
module_param(vmx_preempt_us, uint, 0444);
MODULE_PARM_DESC(vmx_preempt_us, "VT-x: end a stay in the guest after so many microseconds, for an emulator where the host's interrupts do not; 0 = never");

/* IA32_VMX_BASIC (SDM vol. 3, appendix A.1) */
#define BASIC_TRUE_CTLS		BIT_ULL(55)
#define BASIC_MEMTYPE(x)	(((x) >> 50) & 0xf)
#define MEMTYPE_WB		6

struct vmx_caps vmx_caps __read_mostly;

/**
 * struct vmx_ctl - one word of controls
 * @name: for messages
 * @msr: capability MSR: low half, bits that must be 1; high half, bits that may be
 * @required: bits without which vmm does not work
 * @optional: bits that are set where they may be
 * @allowed: bits that must only be possible, to be set at times
 * @result: where the value goes
 */
struct vmx_ctl {
	const char *name;
	u32 msr;
	u32 required;
	u32 optional;
	u32 allowed;
	u32 *result;
};

static int vmx_derive(const struct vmx_ctl *c)
{
	u32 must, may, missing;

	rdmsr(c->msr, must, may);
	missing = (c->required | c->allowed) & ~may;
	if (missing) {
		pr_err("vmm: this processor's VT-x is too old: of the %s controls it lacks %#x\n",
		       c->name, missing);
		return -EOPNOTSUPP;
	}
	*c->result = ((c->required | c->optional) & may) | must;
	return 0;
}

static int vmx_derive_controls(void)
{
	const struct vmx_ctl ctls[] = {
		{
			.name = "pin-based",
			.msr = MSR_IA32_VMX_TRUE_PINBASED_CTLS,
			.required = PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING |
				    PIN_BASED_VIRTUAL_NMIS,
			.optional = vmx_preempt_us ? PIN_BASED_VMX_PREEMPTION_TIMER : 0,
			.result = &vmx_caps.pin,
		}, {
			.name = "primary execution",
			.msr = MSR_IA32_VMX_TRUE_PROCBASED_CTLS,
			.required = CPU_BASED_HLT_EXITING | CPU_BASED_USE_TSC_OFFSETTING |
				    CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING |
				    CPU_BASED_RDPMC_EXITING | CPU_BASED_MOV_DR_EXITING |
				    CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_USE_MSR_BITMAPS |
				    CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING |
				    CPU_BASED_ACTIVATE_SECONDARY_CONTROLS,
			.optional = vmx_tpr_shadow ? CPU_BASED_TPR_SHADOW : 0,
			.allowed = CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING,
			.result = &vmx_caps.proc,
		}, {
			.name = "secondary execution",
			.msr = MSR_IA32_VMX_PROCBASED_CTLS2,
			.required = SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST,
			.optional = (vmx_vpid ? SECONDARY_EXEC_ENABLE_VPID : 0) |
				    SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_ENABLE_INVPCID |
				    SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_ENCLS_EXITING |
				    VMX_PROC2_ENCLV_EXITING |
				    SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE |
				    (vmx_apic_regs ? SECONDARY_EXEC_APIC_REGISTER_VIRT : 0) |
				    (vmx_vid ? SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY : 0),
			.result = &vmx_caps.proc2,
		}, {
			.name = "exit",
			.msr = MSR_IA32_VMX_TRUE_EXIT_CTLS,
			.required = VM_EXIT_SAVE_DEBUG_CONTROLS | VM_EXIT_HOST_ADDR_SPACE_SIZE |
				    VM_EXIT_LOAD_IA32_PAT | VM_EXIT_LOAD_IA32_EFER,
			.result = &vmx_caps.exit,
		}, {
			.name = "entry",
			.msr = MSR_IA32_VMX_TRUE_ENTRY_CTLS,
			.required = VM_ENTRY_LOAD_DEBUG_CONTROLS | VM_ENTRY_LOAD_IA32_PAT |
				    VM_ENTRY_LOAD_IA32_EFER,
			.allowed = VM_ENTRY_IA32E_MODE,
			.result = &vmx_caps.entry,
		},
	};
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(ctls); i++) {
		ret = vmx_derive(&ctls[i]);
		if (ret)
			return ret;
	}
	return 0;
}

/* EPT and unrestricted guest by name, for these are what older processors lack */
static int vmx_check_secondary(void)
{
	u64 ctls;
	u32 may = 0;

	rdmsrl(MSR_IA32_VMX_TRUE_PROCBASED_CTLS, ctls);
	if ((ctls >> 32) & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS) {
		rdmsrl(MSR_IA32_VMX_PROCBASED_CTLS2, ctls);
		may = ctls >> 32;
	}
	if (!(may & SECONDARY_EXEC_ENABLE_EPT)) {
		pr_err("vmm: this processor has no nested paging (EPT): vmm does not support it\n");
		return -EOPNOTSUPP;
	}
	if (!(may & SECONDARY_EXEC_UNRESTRICTED_GUEST)) {
		pr_err("vmm: this processor's VT-x cannot run real mode (no unrestricted guest): vmm does not support it\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int vmx_check_ept(void)
{
	u64 cap;

	rdmsrl(MSR_IA32_VMX_EPT_VPID_CAP, cap);
	if (!(cap & VMX_EPT_PAGE_WALK_4_BIT) || !(cap & VMX_EPTP_WB_BIT) ||
	    !(cap & VMX_EPT_INVEPT_BIT) || !(cap & VMX_EPT_EXTENT_GLOBAL_BIT)) {
		pr_err("vmm: this processor's EPT lacks what vmm needs (%#llx)\n", cap);
		return -EOPNOTSUPP;
	}
	vmx_caps.ept_2m = cap & VMX_EPT_2MB_PAGE_BIT;
	vmx_caps.ept_1g = vmx_caps.ept_2m && (cap & VMX_EPT_1GB_PAGE_BIT);
	vmx_caps.ept_ad = vmx_ept_ad && (cap & VMX_EPT_AD_BIT);
	vmx_caps.invept_single = cap & VMX_EPT_EXTENT_CONTEXT_BIT;
	vmx_caps.invvpid_single = (cap >> 32) & VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT;

	/* a VPID is never given anew without this one */
	if (!((cap >> 32) & VMX_VPID_INVVPID_BIT) ||
	    !((cap >> 32) & VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT))
		vmx_caps.proc2 &= ~SECONDARY_EXEC_ENABLE_VPID;
	return 0;
}

/* the hardware's demands on CR0 and CR4 (SDM vol. 3, appendix A.7 and A.8) */
static int vmx_check_cr_fixed(void)
{
	u64 cr0, cr4, cr4_may;

	rdmsrl(MSR_IA32_VMX_CR0_FIXED0, cr0);
	rdmsrl(MSR_IA32_VMX_CR4_FIXED0, cr4);
	rdmsrl(MSR_IA32_VMX_CR4_FIXED1, cr4_may);
	/* an unrestricted guest may have PE and PG clear */
	vmx_caps.cr0_fixed = cr0 & ~(u64)(X86_CR0_PE | X86_CR0_PG);
	vmx_caps.cr4_fixed = cr4;
	return cr4_may & X86_CR4_MCE ? 0 : -EOPNOTSUPP;
}

/* each of these builds on the one before (SDM vol. 3, 27.2.1.1) */
static void vmx_choose_apic(void)
{
	u32 *proc2 = &vmx_caps.proc2;

	vmx_caps.tpr_shadow = vmx_caps.proc & CPU_BASED_TPR_SHADOW;
	if (vmx_caps.tpr_shadow)
		vmx_caps.proc &= ~(CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING);
	else
		*proc2 &= ~VMX_PROC2_APIC;
	vmx_caps.x2apic = *proc2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	vmx_caps.apic_regs = *proc2 & SECONDARY_EXEC_APIC_REGISTER_VIRT;
	vmx_caps.vid = *proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
}

/* the preemption timer counts once in 2^n ticks of the TSC (SDM vol. 3, 26.5.1) */
static void vmx_choose_preemption(void)
{
	u64 misc;

	if (!(vmx_caps.pin & PIN_BASED_VMX_PREEMPTION_TIMER))
		return;
	rdmsrl(MSR_IA32_VMX_MISC, misc);
	vmx_caps.preempt_ticks = div_u64((u64)vmx_preempt_us * tsc_khz, 1000) >>
				 vmx_misc_preemption_timer_rate(misc);
}

/* the bits alone do not promise the MSR: the host may be a guest itself */
static void vmx_find_pebs(void)
{
	u64 value;

	vmx_caps.pebs = boot_cpu_has(X86_FEATURE_DTES64) && boot_cpu_has(X86_FEATURE_PEBS) &&
			!rdmsrl_safe(MSR_IA32_PEBS_ENABLE, &value);
}

/**
 * vmx_caps_init - read the capability MSRs. Context: module load.
 *
 * Return: 0, or -EOPNOTSUPP when something is missing that vmm needs; it was named.
 */
int vmx_caps_init(void)
{
	u64 basic;
	int ret;

	rdmsrl(MSR_IA32_VMX_BASIC, basic);
	if (!(basic & BASIC_TRUE_CTLS) || vmx_basic_vmcs_size(basic) > PAGE_SIZE ||
	    BASIC_MEMTYPE(basic) != MEMTYPE_WB) {
		pr_err("vmm: this processor's VT-x is too old (%#llx)\n", basic);
		return -EOPNOTSUPP;
	}
	vmx_caps.revision = vmx_basic_vmcs_revision_id(basic);
	ret = vmx_check_secondary();
	if (!ret)
		ret = vmx_derive_controls();
	if (!ret)
		ret = vmx_check_ept();
	if (!ret)
		ret = vmx_check_cr_fixed();
	if (ret)
		return ret;

	vmx_choose_apic();
	vmx_choose_preemption();
	vmx_find_pebs();
	return 0;
}
