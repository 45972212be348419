// SPDX-License-Identifier: GPL-2.0
/*
 * The AMD-V backend: is the processor good enough, what is intercepted, the life of a control
 * block, and the vendor table.
 */
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <asm/cpufeature.h>
#include <asm/io.h>
#include <asm/msr.h>
#include <asm/pgtable.h>
#include <asm/trapnr.h>

#include "../mmu/mmu.h"
#include "../x86.h"
#include "../x86_ops.h"
#include "svm.h"

#define SVM_VM_CR_SVMDIS	BIT(4)	/* APM vol. 2, 15.30.1 */

#define SVM_IOPM_ORDER \
	get_order(3 * PAGE_SIZE) /* 64 Ki ports and the overhang, APM vol. 2, 15.10.1 */
#define SVM_MSRPM_ORDER		get_order(2 * PAGE_SIZE)	/* APM vol. 2, 15.11 */

/*
 * one permission map for all guests: every port exits; these MSRs do not, for the processor
 * switches them with the guest
 */
static unsigned long *svm_iopm;
static unsigned long *svm_msrpm;

static const u32 svm_passthrough_msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK,
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

/* two bits an MSR, read and write, in three ranges of 8 Ki MSRs (APM vol. 2, 15.11) */
static unsigned int svm_msrpm_bit(u32 msr)
{
	if (msr < 0x2000)
		return 2 * msr;
	if (msr >= 0xc0000000 && msr < 0xc0002000)
		return 2 * (msr - 0xc0000000) + 0x800 * BITS_PER_BYTE;
	return 2 * (msr - 0xc0010000) + 0x1000 * BITS_PER_BYTE;
}

static int svm_alloc_maps(void)
{
	struct page *iopm = alloc_pages(GFP_KERNEL, SVM_IOPM_ORDER);
	struct page *msrpm = alloc_pages(GFP_KERNEL, SVM_MSRPM_ORDER);
	unsigned int i;

	if (!iopm || !msrpm) {
		if (iopm)
			__free_pages(iopm, SVM_IOPM_ORDER);
		if (msrpm)
			__free_pages(msrpm, SVM_MSRPM_ORDER);
		return -ENOMEM;
	}
	svm_iopm = page_address(iopm);
	svm_msrpm = page_address(msrpm);
	memset(svm_iopm, 0xff, PAGE_SIZE << SVM_IOPM_ORDER);
	memset(svm_msrpm, 0xff, PAGE_SIZE << SVM_MSRPM_ORDER);
	for (i = 0; i < ARRAY_SIZE(svm_passthrough_msrs); i++)
		bitmap_clear(svm_msrpm, svm_msrpm_bit(svm_passthrough_msrs[i]), 2);
	return 0;
}

static int svm_setup(void)
{
	static struct vmm_mmu_format npt = {
		.max_level = 2,
		.present = _PAGE_PRESENT,
		.table = _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED,
		.leaf = _PAGE_PSE,
		.writable = _PAGE_RW,
		.user = _PAGE_USER,
		.no_exec = _PAGE_NX,
		.accessed = _PAGE_ACCESSED,
		.dirty = _PAGE_DIRTY,
	};
	u64 vm_cr;
	int ret;

	if (!boot_cpu_has(X86_FEATURE_SVM))
		return -ENODEV;
	rdmsrl(MSR_VM_CR, vm_cr);
	if (vm_cr & SVM_VM_CR_SVMDIS) {
		pr_err("vmm: SVM is disabled by the firmware: enable it in the firmware's set-up (\"SVM mode\")\n");
		return -EOPNOTSUPP;
	}
	if (!boot_cpu_has(X86_FEATURE_NPT)) {
		pr_err("vmm: this processor has no nested paging (NPT): vmm does not support it\n");
		return -EOPNOTSUPP;
	}

	npt.levels = pgtable_l5_enabled() ? 5 : 4;
	if (boot_cpu_has(X86_FEATURE_GBPAGES))
		npt.max_level = 3;
	ret = vmm_mmu_module_init(&npt);
	if (ret)
		return ret;
	ret = svm_alloc_maps();
	if (ret)
		goto err_mmu;
	ret = svm_cpus_init();
	if (ret)
		goto err_maps;
	return 0;

err_maps:
	free_pages((unsigned long)svm_iopm, SVM_IOPM_ORDER);
	free_pages((unsigned long)svm_msrpm, SVM_MSRPM_ORDER);
err_mmu:
	vmm_mmu_module_exit();
	return ret;
}

static void svm_cleanup(void)
{
	svm_cpus_exit();
	free_pages((unsigned long)svm_iopm, SVM_IOPM_ORDER);
	free_pages((unsigned long)svm_msrpm, SVM_MSRPM_ORDER);
	vmm_mmu_module_exit();
}

static int svm_vcpu_create(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!page)
		return -ENOMEM;
	svm->vmcb = page_address(page);
	svm->entry.gpr = vcpu->gpr;
	svm->entry.vmcb_pa = __sme_set(page_to_phys(page));
	svm->asid_cpu = -1;
	svm->last_cpu = -1;
	return svm_debug_create(svm);
}

static void svm_vcpu_free(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (svm->vmcb) {
		svm_forget_vmcb(svm->vmcb);
		free_page((unsigned long)svm->vmcb);
	}
	svm->vmcb = NULL;
	svm_debug_free(svm);
}

/**
 * svm_vcpu_reset - what is intercepted, and a VMCB that the shared code can fill in
 * @vcpu: the vCPU
 *
 * Not intercepted are: CR2, CR3; CR0's TS and MP; INVLPG; RDTSC and RDTSCP; PUSHF, POPF;
 * descriptor-table and segment loads; all exceptions but #DB and #AC, whose delivery a guest could
 * make loop for ever inside the processor, and #MC. Intercept the rest below. Task switches are,
 * so that no second-level fault comes in the midst of one.
 */
void svm_vcpu_reset(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_control *c = &svm->vmcb->control;
	u64 tsc_offset = c->tsc_offset;

	memset(svm->vmcb, 0, sizeof(*svm->vmcb));
	c->intercept_cr_write = BIT(4);
	c->intercept_dr_read = 0xffff;
	c->intercept_dr_write = 0xffff;
	c->intercept_exceptions = BIT(X86_TRAP_DB) | BIT(X86_TRAP_AC) | BIT(X86_TRAP_MC);
	c->intercept_misc1 = SVM_INTERCEPT_INTR | SVM_INTERCEPT_NMI | SVM_INTERCEPT_SMI |
			     SVM_INTERCEPT_INIT | SVM_INTERCEPT_CR0_SEL_WRITE |
			     SVM_INTERCEPT_RDPMC | SVM_INTERCEPT_CPUID | SVM_INTERCEPT_RSM |
			     SVM_INTERCEPT_INVD | SVM_INTERCEPT_HLT | SVM_INTERCEPT_INVLPGA |
			     SVM_INTERCEPT_IOIO | SVM_INTERCEPT_MSR |
			     SVM_INTERCEPT_TASK_SWITCH | SVM_INTERCEPT_SHUTDOWN;
	c->intercept_misc2 = SVM_INTERCEPT_VMRUN | SVM_INTERCEPT_VMMCALL | SVM_INTERCEPT_VMLOAD |
			     SVM_INTERCEPT_VMSAVE | SVM_INTERCEPT_STGI | SVM_INTERCEPT_CLGI |
			     SVM_INTERCEPT_SKINIT | SVM_INTERCEPT_WBINVD | SVM_INTERCEPT_MONITOR |
			     SVM_INTERCEPT_MWAIT | SVM_INTERCEPT_MWAIT_ARMED |
			     SVM_INTERCEPT_XSETBV | SVM_INTERCEPT_RDPRU;
	c->intercept_misc3 = SVM_INTERCEPT_INVLPGB | SVM_INTERCEPT_INVLPGB_ILLEGAL |
			     SVM_INTERCEPT_MCOMMIT | SVM_INTERCEPT_TLBSYNC;
	c->iopm_base_pa = __sme_set(__pa(svm_iopm));
	c->msrpm_base_pa = __sme_set(__pa(svm_msrpm));
	c->int_ctl = SVM_INT_V_MASKING;
	c->nested_ctl = SVM_NESTED_NP;
	c->nested_cr3 = __sme_set(vcpu->vm->mmu.root);
	c->tsc_offset = tsc_offset;

	svm->cr0 = 0;
	svm->efer = 0;
	svm->vmcb->save.efer = EFER_SVME;
	svm->vmcb->save.dbgctl = 0;
	svm->entry.spec_guest = 0;
	svm->nmi_blocked = false;
	svm->iret_pending = false;
	svm->nmi_step = false;
	svm->exit_at_once = false;
	svm->irq_window = false;
	svm->cr8_window = false;
	svm->asid_cpu = -1;
	svm_cpuid_changed(vcpu);
}

static u64 svm_exit_code(struct vmm_vcpu *vcpu)
{
	return to_svm(vcpu)->exit_code;
}

const struct vmm_x86_vendor svm_vendor = {
	.name = "AMD-V",
	.vcpu_size = sizeof(struct svm_vcpu),
	.setup = svm_setup,
	.cleanup = svm_cleanup,
	.emergency_disable = svm_emergency_disable,

	.hardware_enable = svm_hardware_enable,
	.hardware_disable = svm_hardware_disable,
	.vcpu_create = svm_vcpu_create,
	.vcpu_free = svm_vcpu_free,
	.vcpu_reset = svm_vcpu_reset,
	.vcpu_load = svm_vcpu_load,
	.vcpu_put = svm_vcpu_put,
	.flush_tlb_irqoff = svm_flush_tlb_irqoff,
	.enter_irqoff = svm_enter_irqoff,
	.exit_irqoff = svm_exit_irqoff,
	.handle_exit = svm_handle_exit,
	.exit_code = svm_exit_code,
	.inject_exception = svm_inject_exception,
	.inject_nmi = svm_inject_nmi,
	.inject_irq = svm_inject_irq,
	.cancel_injection = svm_cancel_injection,
	.irq_allowed = svm_irq_allowed,
	.nmi_allowed = svm_nmi_allowed,
	.irq_window = svm_irq_window,
	.nmi_window = svm_nmi_window,
	.tpr_window = svm_tpr_window,
	.get_shadow = svm_get_shadow,
	.set_shadow = svm_set_shadow,
	.get_nmi_blocked = svm_get_nmi_blocked,
	.set_nmi_blocked = svm_set_nmi_blocked,
	.get_cr0 = svm_get_cr0,
	.get_cr3 = svm_get_cr3,
	.get_cr4 = svm_get_cr4,
	.get_efer = svm_get_efer,
	.set_cr0 = svm_set_cr0,
	.set_cr3 = svm_set_cr3,
	.set_cr4 = svm_set_cr4,
	.set_efer = svm_set_efer,
	.get_cpl = svm_get_cpl,
	.get_segment = svm_get_segment,
	.set_segment = svm_set_segment,
	.get_dtable = svm_get_dtable,
	.set_dtable = svm_set_dtable,
	.set_pat = svm_set_pat,
	.get_msr = svm_get_msr,
	.set_msr = svm_set_msr,
	.set_tsc_offset = svm_set_tsc_offset,
	.cpuid_changed = svm_cpuid_changed,
};
