// SPDX-License-Identifier: GPL-2.0
/*
 * The way into a VT-x guest and back, and onto a physical CPU and off it.
 */
#include <linux/percpu.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/spec-ctrl.h>
#include <asm/trapnr.h>

#include "../compat.h"
#include "../guest_context.h"
#include "../irq/irq.h"
#include "../x86.h"
#include "../x86_ops.h"
#include "vmx.h"

#define VMX_PENDING_DBG_BS	BIT(14)

/*
 * which vCPU was here last, to know when predictions of another guest may linger; never
 * dereferenced, cleared by whoever frees it [a]
 */
static DEFINE_PER_CPU(const void *, vmx_last);

/**
 * vmx_forget - a vCPU is about to be freed: its address may come back as another guest's
 * @vmx: the vCPU
 *
 * Context: any.
 */
void vmx_forget(const struct vmx_vcpu *vmx)
{
	int cpu;

	for_each_possible_cpu(cpu)
		cmpxchg(per_cpu_ptr(&vmx_last, cpu), (const void *)vmx, NULL);
}

/**
 * vmx_vcpu_load - the vCPU's thread runs on @cpu now
 * @vcpu: the vCPU
 * @cpu: this CPU
 *
 * Context: preemption off, interrupts on.
 */
void vmx_vcpu_load(struct vmm_vcpu *vcpu, int cpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	bool moved = READ_ONCE(vmx->vmcs_cpu) != cpu;

	/* off: whoever needs a field waits, and an entry is denied */
	if (!vmx_vmcs_load(vmx))
		return;
	if (moved)
		vmx_host_cpu(vmx);
	if (READ_ONCE(*this_cpu_ptr(&vmx_last)) == vmx)
		return;
	/* the predictions of another guest must not steer this one */
	WRITE_ONCE(*this_cpu_ptr(&vmx_last), vmx);
	indirect_branch_prediction_barrier();
}

/**
 * vmx_vcpu_put - the vCPU's thread leaves its CPU. Context: preemption off; interrupts may be.
 * @vcpu: the vCPU
 */
void vmx_vcpu_put(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx_msr_restore(vmx);
	vmx_host_restore(vmx);
}

/*
 * An interrupt shadow must agree with RFLAGS, or the entry fails: STI's is possible with IF set
 * only, and a single step that waits behind a shadow is pending exactly when TF is set (SDM vol. 3,
 * 27.3.1.5). MOV SS's shadow does what is asked for where STI's cannot be.
 */
static void vmx_prepare_shadow(struct vmx_vcpu *vmx)
{
	u32 state = vmx_interruptibility(vmx);

	if (likely(!(state & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS))))
		return;
	if ((state & GUEST_INTR_STATE_STI) && !(vmx->vcpu.rflags & X86_EFLAGS_IF)) {
		state ^= GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS;
		vmx_set_interruptibility(vmx, state);
	}
	vmx_write(vmx, GUEST_PENDING_DBG_EXCEPTIONS,
		  vmx->vcpu.rflags & X86_EFLAGS_TF ? VMX_PENDING_DBG_BS : 0);
}

static void vmx_prepare_regs(struct vmx_vcpu *vmx)
{
	struct vmm_vcpu *vcpu = &vmx->vcpu;

	if (vmx->vmcs_rip != vcpu->rip)
		vmx_write(vmx, GUEST_RIP, vcpu->rip);
	if (vmx->vmcs_rsp != vcpu->gpr[VMM_RSP])
		vmx_write(vmx, GUEST_RSP, vcpu->gpr[VMM_RSP]);
	if (vmx->vmcs_rflags != vcpu->rflags)
		vmx_write(vmx, GUEST_RFLAGS, vcpu->rflags);
	if (vmx->vmcs_dr7 != vcpu->dr7)
		vmx_write(vmx, GUEST_DR7, vcpu->dr7);
	vmx->vmcs_rip = vcpu->rip;
	vmx->vmcs_rsp = vcpu->gpr[VMM_RSP];
	vmx->vmcs_rflags = vcpu->rflags;
	vmx->vmcs_dr7 = vcpu->dr7;
}

/*
 * The L1 data cache must hold nothing of the host's when a guest runs that could read it there
 * (L1TF). KVM does less where it knows that little was loaded since the last entry; here every
 * entry flushes.
 */
static void vmx_flush_l1d(void)
{
	if (likely(!boot_cpu_has_bug(X86_BUG_L1TF)) || l1tf_mitigation == L1TF_MITIGATION_OFF)
		return;
	if (boot_cpu_has(X86_FEATURE_FLUSH_L1D))
		native_wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
}

/*
 * A record of the host's performance events (PEBS) is written through the translations that are in
 * force, the guest's in the guest. The host's events are not recorded there; returns what
 * vmx_run() puts back. A switch by the entry itself would leave no time to finish a record.
 */
static u64 vmx_pebs_off(void)
{
	u64 enabled = 0;

	if (vmx_caps.pebs)
		rdmsrl(MSR_IA32_PEBS_ENABLE, enabled);
	if (unlikely(enabled))
		wrmsrl(MSR_IA32_PEBS_ENABLE, 0);
	return enabled;
}

/* an exit for an NMI: it was consumed, and NMIs are blocked until the host's handler returns */
static __always_inline bool vmx_is_nmi(const struct vmx_vcpu *vmx)
{
	return (vmx->intr_info & (INTR_INFO_VALID_MASK | INTR_INFO_INTR_TYPE_MASK)) ==
	       (INTR_INFO_VALID_MASK | INTR_TYPE_NMI_INTR);
}

static noinstr void vmx_run(struct vmx_vcpu *vmx, u64 pebs)
{
	unsigned long reason = VMX_EXIT_NO_ENTRY, vectoring = 0, info = 0;

	vmm_guest_state_enter_irqoff();
	if (vmx->vcpu.cr2 != native_read_cr2())
		native_write_cr2(vmx->vcpu.cr2);
	if (likely(vmx_vmenter(&vmx->entry) == VMX_ENTER_OK)) {
		vmx->vcpu.cr2 = native_read_cr2();
		vmx_try_read(VM_EXIT_REASON, &reason);
		vmx_try_read(IDT_VECTORING_INFO_FIELD, &vectoring);
		if (reason == EXIT_REASON_EXCEPTION_NMI)
			vmx_try_read(VM_EXIT_INTR_INFO, &info);
	}
	vmx->exit_reason = reason;
	vmx->idt_vectoring = vectoring;
	vmx->intr_info = info;
	/* before the NMI's handler, which may change it */
	if (unlikely(pebs))
		native_wrmsrl(MSR_IA32_PEBS_ENABLE, pebs);
	if (vmx_is_nmi(vmx))
		vmx_call_nmi();
	vmm_guest_state_exit_irqoff();
}

/* does this exit come after an instruction, where its single step's #DB may be pending? */
static bool vmx_exit_is_between(u32 reason)
{
	switch (reason) {
	case EXIT_REASON_EXCEPTION_NMI:
	case EXIT_REASON_EXTERNAL_INTERRUPT:
	case EXIT_REASON_INIT_SIGNAL:
	case EXIT_REASON_INTERRUPT_WINDOW:
	case EXIT_REASON_NMI_WINDOW:
	case EXIT_REASON_TPR_BELOW_THRESHOLD:
	case EXIT_REASON_PREEMPTION_TIMER:
	case EXIT_REASON_EOI_INDUCED:
	case EXIT_REASON_APIC_WRITE:
		return true;
	default:
		return false;
	}
}

/* take the guest's registers out of the VMCS */
static void vmx_finish(struct vmx_vcpu *vmx)
{
	struct vmm_vcpu *vcpu = &vmx->vcpu;

	vmx->entry.launched = 1;
	vmx->cached = 0;
	vmx->vmcs_rip = vmx_read(vmx, GUEST_RIP);
	vmx->vmcs_rsp = vmx_read(vmx, GUEST_RSP);
	vmx->vmcs_rflags = vmx_read(vmx, GUEST_RFLAGS);
	vcpu->rip = vmx->vmcs_rip;
	vcpu->gpr[VMM_RSP] = vmx->vmcs_rsp;
	vcpu->rflags = vmx->vmcs_rflags;

	/* fault-like exits clear it (SDM vol. 3, 28.3.4); one emulator does not */
	if (unlikely(vcpu->rflags & X86_EFLAGS_TF) && !vmx_exit_is_between(vmx->exit_reason))
		vmx_write(vmx, GUEST_PENDING_DBG_EXCEPTIONS, 0);

	vmx_complete_events(vmx);
}

/**
 * vmx_enter_irqoff - run the guest until its next exit
 * @vcpu: the vCPU, loaded on this CPU
 *
 * Context: interrupts off; its FPU state and XCR0 are in the registers.
 */
void vmx_enter_irqoff(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	unsigned long debugctl;
	u64 pebs;

	/* what is missing may have to sleep: an exit of our own */
	if (unlikely(vmx->pdptes_stale || !vmx_vmcs_is_current(vmx))) {
		vmx->exit_reason = VMX_EXIT_PREPARE;
		vmx->intr_info = 0;
		return;
	}
	vmx_host_save_irqoff(vmx);
	vmx_msr_load_irqoff(vmx);
	vmx_vpid_prepare_irqoff(vmx);
	vmx_prepare_shadow(vmx);
	vmx_apicv_prepare_irqoff(vmx);
	vmx_prepare_regs(vmx);
	if (unlikely(vmx_caps.preempt_ticks))
		vmx_write(vmx, VMX_PREEMPTION_TIMER_VALUE, vmx_caps.preempt_ticks);
	vmx->entry.spec_host = this_cpu_read(x86_spec_ctrl_current);
	/* exits clear it */
	debugctl = get_debugctlmsr();
	pebs = vmx_pebs_off();

	vmx_debug_enter_irqoff(vmx);
	vmx_flush_l1d();
	vmx_run(vmx, pebs);

	if (unlikely(debugctl))
		update_debugctlmsr(debugctl);
	vmx_apicv_finish_irqoff(vmx);
	if (likely(!(vmx->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY) &&
		   vmx->exit_reason != VMX_EXIT_NO_ENTRY))
		vmx_finish(vmx);
}

/**
 * vmx_exit_irqoff - what an exit needs before the host's interrupts are on
 * @vcpu: the vCPU
 *
 * A host interrupt that ended the guest is still pending and comes as soon as interrupts are on. A
 * machine check was consumed by the exit: hand it to the host. Context: interrupts off.
 */
void vmx_exit_irqoff(struct vmm_vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = to_vmx(vcpu);

	if ((u16)vmx->exit_reason == EXIT_REASON_MCE_DURING_VMENTRY ||
	    (vmx->intr_info & INTR_INFO_VALID_MASK &&
	     (vmx->intr_info & INTR_INFO_VECTOR_MASK) == X86_TRAP_MC))
		vmm_host_machine_check();
}
