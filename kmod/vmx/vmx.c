// SPDX-License-Identifier: GPL-2.0
/*
 * The VT-x backend: is the processor good enough, what is intercepted, the contents of a fresh
 * VMCS, and the vendor table.
 */
#include <linux/bits.h>
#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <asm/cpufeature.h>
#include <asm/io.h>
#include <asm/processor.h>
#include <asm/trapnr.h>

#include "../debug.h"
#include "../mmu/mmu.h"
#include "../x86.h"
#include "../x86_ops.h"
#include "vmx.h"

#define VMX_CPUID_1_ECX		BIT(5)
#define VMX_EPT_LEAF		BIT_ULL(7)
#define VMX_EPT_MEMTYPE_WB	6ull
#define VMX_EPT_LEVELS		4

static bool vmx_nx_huge;
module_param(vmx_nx_huge, bool, 0444);
MODULE_PARM_DESC(vmx_nx_huge, "VT-x: execute from 4 KiB pages only, on every processor");

/*
 * Some processors stop with a machine check when code changes the size of the page that it is
 * fetched from ("iTLB multihit", CVE-2018-12207), which a guest does in its own tables. With EPT's
 * part of the translation at 4 KiB, all of it is.
 */
static bool vmx_needs_nx_huge(void)
{
	return vmx_nx_huge || (boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) && !cpu_mitigations_off());
}

/* EPT entries (SDM vol. 3, 29.3.2). The host's memory types rule: guests' PATs are ignored. */
static int vmx_mmu_init(void)
{
	struct vmm_mmu_format ept = {
		.levels = VMX_EPT_LEVELS,
		.max_level = vmx_caps.ept_1g ? 3 : vmx_caps.ept_2m ? 2 : 1,
		.present = VMX_EPT_READABLE_MASK,
		.table = VMX_EPT_WRITABLE_MASK | VMX_EPT_EXECUTABLE_MASK,
		.leaf = VMX_EPT_LEAF,
		.writable = VMX_EPT_WRITABLE_MASK,
		.exec = VMX_EPT_EXECUTABLE_MASK,
		.accessed = vmx_caps.ept_ad ? VMX_EPT_ACCESS_BIT : 0,
		.dirty = vmx_caps.ept_ad ? VMX_EPT_DIRTY_BIT : 0,
		.memtype = VMX_EPT_MEMTYPE_WB << VMX_EPT_MT_EPTE_SHIFT | VMX_EPT_IPAT_BIT,
		.nx_huge = vmx_needs_nx_huge(),
	};

	return vmm_mmu_module_init(&ept);
}

static u64 vmx_eptp(const struct vmm_vm *vm)
{
	return vm->mmu.root | VMX_EPTP_MT_WB | VMX_EPTP_PWL_4 |
	       (vmx_caps.ept_ad ? VMX_EPTP_AD_ENABLE_BIT : 0);
}

/* what host.c and msr.c give back when a vCPU leaves its CPU only */
static void vmx_debug_setup(void)
{
#ifdef VMM_DEBUG
	static const u32 msrs[] = { MSR_STAR, MSR_LSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE };
	static const u8 regs[] = {
		VMM_DEBUG_GDT_LIMIT, VMM_DEBUG_IDT_LIMIT, VMM_DEBUG_LDT, VMM_DEBUG_DS,
		VMM_DEBUG_ES, VMM_DEBUG_FS, VMM_DEBUG_GS,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		vmm_debug_lazy_msr(msrs[i]);
	for (i = 0; i < ARRAY_SIZE(regs); i++)
		vmm_debug_lazy_reg(regs[i]);
#endif
}

static int vmx_setup(void)
{
	int ret;

	if (!boot_cpu_has(X86_FEATURE_VMX)) {
		if (!(cpuid_ecx(1) & VMX_CPUID_1_ECX))
			return -ENODEV;
		pr_err("vmm: VT-x is disabled by the firmware: enable it in the firmware's set-up (\"Virtualization Technology\")\n");
		return -EOPNOTSUPP;
	}
	ret = vmx_caps_init();
	if (ret)
		return ret;
	ret = vmx_mmu_init();
	if (ret)
		return ret;
	ret = vmx_msr_init();
	if (ret)
		goto err_mmu;
	ret = vmx_apicv_init();
	if (ret)
		goto err_msr;
	ret = vmx_cpus_init();
	if (ret)
		goto err_apicv;
	vmx_debug_setup();
	if (boot_cpu_has_bug(X86_BUG_L1TF) && !boot_cpu_has(X86_FEATURE_FLUSH_L1D))
		pr_warn("vmm: without a microcode update guests can read the host's L1 data cache (L1TF): install intel-microcode and reboot\n");
	return 0;

err_apicv:
	vmx_apicv_exit();
err_msr:
	vmx_msr_exit();
err_mmu:
	vmm_mmu_module_exit();
	return ret;
}

static void vmx_cleanup(void)
{
	vmx_cpus_exit();
	vmx_apicv_exit();
	vmx_msr_exit();
	vmm_mmu_module_exit();
}

static void vmx_vcpu_free(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx_forget(vmx);
	vmx_vmcs_free(vmx);
	free_page((unsigned long)vmx->apic_page);
	vmx->apic_page = NULL;
}

static int vmx_vcpu_create(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (vmx_caps.tpr_shadow) {
		vmx->apic_page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!vmx->apic_page)
			return -ENOMEM;
	}
	vcpu->irq_by_cpu = vmx_caps.vid;
	vmx->entry.gpr = vcpu->gpr;
	vmx->vpid_cpu = -1;
	return vmx_vmcs_alloc(vmx);
}

/*
 * Not intercepted are: CR3; the bits of CR0 and CR4 that are the guest's (regs.c); INVLPG, INVPCID;
 * RDTSC and RDTSCP; PAUSE; descriptor-table and segment loads; all exceptions but #DB and #AC,
 * whose delivery a guest could make loop for ever inside the processor, and #MC. A task switch
 * exits always, as do CPUID, GETSEC, INVD, XSETBV and VT-x's own instructions.
 */
static void vmx_write_controls(struct vmx_vcpu *vmx)
{
	vmx_write(vmx, PIN_BASED_VM_EXEC_CONTROL, vmx_caps.pin);
	vmx_write(vmx, CPU_BASED_VM_EXEC_CONTROL, vmx->proc);
	vmx_write(vmx, SECONDARY_VM_EXEC_CONTROL, vmx->proc2);
	vmx_write(vmx, VM_EXIT_CONTROLS, vmx_caps.exit);
	vmx_write(vmx, VM_ENTRY_CONTROLS, vmx->entry_ctls);
	vmx_write(vmx, EXCEPTION_BITMAP, BIT(X86_TRAP_DB) | BIT(X86_TRAP_AC) | BIT(X86_TRAP_MC));
	vmx_write(vmx, PAGE_FAULT_ERROR_CODE_MASK, 0);
	vmx_write(vmx, PAGE_FAULT_ERROR_CODE_MATCH, 0);
	vmx_write(vmx, CR3_TARGET_COUNT, 0);
	vmx_write(vmx, MSR_BITMAP, vmx_msr_bitmap());
	vmx_write(vmx, EPT_POINTER, vmx_eptp(vmx->vcpu.vm));
	vmx_write(vmx, VM_EXIT_MSR_STORE_COUNT, 0);
	vmx_write(vmx, VM_EXIT_MSR_LOAD_COUNT, 0);
	vmx_write(vmx, VM_ENTRY_MSR_LOAD_COUNT, 0);
	vmx_write(vmx, VM_ENTRY_INTR_INFO_FIELD, 0);
	if (vmx->proc2 & SECONDARY_EXEC_ENCLS_EXITING)
		vmx_write(vmx, ENCLS_EXITING_BITMAP, ~0ul);
	if (vmx->proc2 & VMX_PROC2_ENCLV_EXITING)
		vmx_write(vmx, VMX_ENCLV_EXITING_BITMAP, ~0ul);
}

/* what is in the VMCS only, and never changes */
static void vmx_write_guest_constants(struct vmx_vcpu *vmx)
{
	vmx_write(vmx, VMCS_LINK_POINTER, ~0ul);
	vmx_write(vmx, GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmx_write(vmx, GUEST_IA32_DEBUGCTL, 0);
	vmx_write(vmx, GUEST_PENDING_DBG_EXCEPTIONS, 0);
}

/**
 * vmx_vcpu_reset - what is intercepted, and a VMCS that the shared code can fill in
 * @vcpu: the vCPU, loaded
 */
static void vmx_vcpu_reset(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->proc = vmx_caps.proc;
	vmx->proc2 = vmx_caps.proc2;
	vmx->entry_ctls = vmx_caps.entry;
	vmx_apicv_reset(vmx);
	vmx_write_controls(vmx);
	vmx_write_guest_constants(vmx);
	vmx_host_constant(vmx);

	vmx->cached = VMX_CACHED_CR0 | VMX_CACHED_CR3 | VMX_CACHED_CR4 | VMX_CACHED_SHADOW;
	vmx->cr0 = 0;
	vmx->cr3 = 0;
	vmx->cr4 = 0;
	vmx->efer = 0;
	vmx->shadow = 0;
	vmx_write(vmx, GUEST_INTERRUPTIBILITY_INFO, 0);
	vmx_write(vmx, GUEST_IA32_EFER, 0);
	vmx->entry.spec_guest = 0;
	vmx->vpid_cpu = -1;

	/* as if other values were there, so that the next entry writes all */
	vmx->vmcs_rip = ~0ull;
	vmx->vmcs_rsp = ~0ull;
	vmx->vmcs_rflags = ~0ull;
	vmx->vmcs_dr7 = ~0ull;
	vmx_cpuid_changed(vcpu);
}

static u64 vmx_exit_code(struct vmm_vcpu *vcpu)
{
	return to_vmx(vcpu)->exit_reason;
}

const struct vmm_x86_vendor vmx_vendor = {
	.name = "Intel VT-x",
	.vcpu_size = sizeof(struct vmx_vcpu),
	.setup = vmx_setup,
	.cleanup = vmx_cleanup,
	.emergency_disable = vmx_emergency_disable,

	.hardware_enable = vmx_hardware_enable,
	.hardware_disable = vmx_hardware_disable,
	.vcpu_create = vmx_vcpu_create,
	.vcpu_free = vmx_vcpu_free,
	.vcpu_reset = vmx_vcpu_reset,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_put = vmx_vcpu_put,
	.flush_tlb_irqoff = vmx_flush_tlb_irqoff,
	.enter_irqoff = vmx_enter_irqoff,
	.exit_irqoff = vmx_exit_irqoff,
	.handle_exit = vmx_handle_exit,
	.exit_code = vmx_exit_code,
	.inject_exception = vmx_inject_exception,
	.inject_nmi = vmx_inject_nmi,
	.inject_irq = vmx_inject_irq,
	.cancel_injection = vmx_cancel_injection,
	.irq_allowed = vmx_irq_allowed,
	.nmi_allowed = vmx_nmi_allowed,
	.irq_window = vmx_irq_window,
	.nmi_window = vmx_nmi_window,
	.tpr_window = vmx_tpr_window,
	.get_shadow = vmx_get_shadow,
	.set_shadow = vmx_set_shadow,
	.get_nmi_blocked = vmx_get_nmi_blocked,
	.set_nmi_blocked = vmx_set_nmi_blocked,
	.get_cr0 = vmx_get_cr0,
	.get_cr3 = vmx_get_cr3,
	.get_cr4 = vmx_get_cr4,
	.get_efer = vmx_get_efer,
	.set_cr0 = vmx_set_cr0,
	.set_cr3 = vmx_set_cr3,
	.set_cr4 = vmx_set_cr4,
	.set_efer = vmx_set_efer,
	.get_cpl = vmx_get_cpl,
	.get_segment = vmx_get_segment,
	.set_segment = vmx_set_segment,
	.get_dtable = vmx_get_dtable,
	.set_dtable = vmx_set_dtable,
	.set_pat = vmx_set_pat,
	.get_msr = vmx_get_msr,
	.set_msr = vmx_set_msr,
	.set_tsc_offset = vmx_set_tsc_offset,
	.cpuid_changed = vmx_cpuid_changed,
};
