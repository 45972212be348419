// SPDX-License-Identifier: GPL-2.0
/*
 * FPU, SSE, AVX and protection-key state: the guest's lives in the registers from VMM_RUN's
 * start to its end, the host task's meanwhile in its own buffer. XCR0 and PKRU are exchanged at
 * every entry and exit, for they rule the host's instructions too.
 *
 * The only file that uses the kernel's guest-FPU functions.
 */
#include <linux/slab.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/fpu/xstate.h>
#include <asm/special_insns.h>

#include "x86.h"

/**
 * vmm_fpu_create - allocate a vCPU's FPU state, in its reset value. Context: may sleep.
 * @vcpu: the vCPU
 *
 * Return: 0 or -ENOMEM.
 */
int vmm_fpu_create(struct vmm_vcpu *vcpu)
{
	struct fpu_guest *fpu = kzalloc(sizeof(*fpu), GFP_KERNEL_ACCOUNT);

	if (!fpu)
		return -ENOMEM;
	if (!fpu_alloc_guest_fpstate(fpu)) {
		kfree(fpu);
		return -ENOMEM;
	}
	vcpu->fpu = fpu;
	return 0;
}

void vmm_fpu_free(struct vmm_vcpu *vcpu)
{
	if (!vcpu->fpu)
		return;
	fpu_free_guest_fpstate(vcpu->fpu);
	kfree(vcpu->fpu);
	vcpu->fpu = NULL;
}

/**
 * vmm_fpu_load - the guest's FPU state in, the host task's out. Context: the owner, at the
 * start of VMM_RUN; may sleep.
 * @vcpu: the vCPU
 *
 * Return: 0 or a negative errno.
 */
int vmm_fpu_load(struct vmm_vcpu *vcpu)
{
	vmm_stat_inc(vcpu, VMM_STAT_FPU_SWAP);
	return fpu_swap_kvm_fpstate(vcpu->fpu, true);
}

/**
 * vmm_fpu_put - the host task's FPU state back. Context: the owner, at the end of VMM_RUN.
 * @vcpu: the vCPU
 */
void vmm_fpu_put(struct vmm_vcpu *vcpu)
{
	fpu_swap_kvm_fpstate(vcpu->fpu, false);
}

/* the guest's protection keys are in force or in its XSAVE image: PKRU must be its own */
static bool vmm_fpu_has_pkru(struct vmm_vcpu *vcpu)
{
	return boot_cpu_has(X86_FEATURE_OSPKE) &&
	       ((vcpu->xcr0 & XFEATURE_MASK_PKRU) || (vmm_get_cr4(vcpu) & X86_CR4_PKE));
}

/**
 * vmm_fpu_enter_irqoff - XCR0 and PKRU of the guest in
 * @vcpu: the vCPU, about to enter
 *
 * Context: interrupts off. The task's registers may have been saved away when it was scheduled:
 * then load them again first.
 */
void vmm_fpu_enter_irqoff(struct vmm_vcpu *vcpu)
{
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
	if ((vmm_get_cr4(vcpu) & X86_CR4_OSXSAVE) && vcpu->xcr0 != vmm_caps.host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
	if (vmm_fpu_has_pkru(vcpu)) {
		vcpu->host_pkru = rdpkru();
		if (vcpu->pkru != vcpu->host_pkru)
			wrpkru(vcpu->pkru);
	}
}

/**
 * vmm_fpu_exit_irqoff - XCR0 and PKRU of the host back
 * @vcpu: the vCPU, right after an exit
 *
 * XCR0 is read back, for one emulator lets the guest write it in spite of the intercept; what
 * the guest may not have is dropped.
 * Context: interrupts off.
 */
void vmm_fpu_exit_irqoff(struct vmm_vcpu *vcpu)
{
	if (vmm_fpu_has_pkru(vcpu)) {
		vcpu->pkru = rdpkru();
		if (vcpu->pkru != vcpu->host_pkru)
			wrpkru(vcpu->host_pkru);
	}
	if (vmm_get_cr4(vcpu) & X86_CR4_OSXSAVE) {
		u64 xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);

		if (xcr0 != vmm_caps.host_xcr0)
			xsetbv(XCR_XFEATURE_ENABLED_MASK, vmm_caps.host_xcr0);
		if (unlikely(xcr0 != vcpu->xcr0))
			vcpu->xcr0 = (xcr0 & vmm_caps.xcr0) | XFEATURE_MASK_FP;
	}
}

/**
 * vmm_fpu_xsave_size - bytes of VMM_STATE_XSAVE
 * @vcpu: the vCPU
 */
u32 vmm_fpu_xsave_size(struct vmm_vcpu *vcpu)
{
	return max_t(u32, vcpu->fpu->uabi_size, 4096);
}

/**
 * vmm_fpu_get_xsave - VMM_STATE_XSAVE
 * @vcpu: the vCPU, not running
 * @buf: result
 * @size: vmm_fpu_xsave_size()
 *
 * Return: 0.
 */
int vmm_fpu_get_xsave(struct vmm_vcpu *vcpu, void *buf, u32 size)
{
	/* what the guest can have; the host's buffer may hold more */
	u64 mask = vmm_caps.xcr0 | XFEATURE_MASK_FPSSE;

	fpu_copy_guest_fpstate_to_uabi(vcpu->fpu, buf, size,
				       vcpu->fpu->fpstate->user_xfeatures & mask, vcpu->pkru);
	return 0;
}

/**
 * vmm_fpu_set_xsave - VMM_STATE_XSAVE
 * @vcpu: the vCPU, not running
 * @buf: image in the standard format
 * @size: vmm_fpu_xsave_size()
 *
 * Return: 0, or -EINVAL for a header or MXCSR that no processor would load.
 */
int vmm_fpu_set_xsave(struct vmm_vcpu *vcpu, const void *buf, u32 size)
{
	return fpu_copy_uabi_to_guest_fpstate(vcpu->fpu, buf, vmm_caps.xcr0 | XFEATURE_MASK_FPSSE,
					      &vcpu->pkru);
}
