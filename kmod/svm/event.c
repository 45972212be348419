// SPDX-License-Identifier: GPL-2.0
/*
 * Events into an AMD-V guest (APM vol. 2, 15.20 and 15.21).
 *
 * Interrupt window: V_IRQ is set with the highest priority and the VINTR intercept; the exit
 * comes as soon as the guest could take it.
 *
 * NMI window: NMIs are blocked from injection until the handler's IRET has retired. IRET is
 * intercepted before it executes:
 *
 *	inject NMI -> blocked --IRET exit--> iret_pending --RIP moved on--> open
 *	|  an NMI waits: set TF; the #DB exit is the sign that IRET retired
 *	+--------------------------------------------------------------> open
 *
 * In an interrupt shadow the interrupt window says when it is over, or TF where interrupts are off.
 * While another event is injected an IPI to this CPU ends the guest behind its delivery, before the
 * handler's first instruction.
 */
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include <uapi/asm/debugreg.h>

#include "../x86.h"
#include "svm.h"

/*
 * put vcpu->ev.exc into the VMCB; it stays marked as injected until an exit shows that it was
 * delivered
 *
 * What is saved is RIP. Only for #BP and #OF, which are taken for those of INT3 and INTO, a
 * processor that knows NRIP saves that instead.
 */
void svm_inject_exception(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	const struct vmm_exception *exc = &vcpu->ev.exc;
	u64 inj = exc->vector | SVM_EVENT_EXCEPTION | SVM_EVENT_VALID;

	if (svm_is_soft(exc->vector)) {
		svm->soft_rip = vcpu->rip;
		svm->vmcb->control.next_rip = vcpu->rip;
	}
	if (exc->has_error)
		inj |= SVM_EVENT_ERROR | (u64)exc->error << 32;
	svm->vmcb->control.event_inj = inj;
}

void svm_inject_nmi(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->nmi_step = false;
	svm->vmcb->control.event_inj = X86_TRAP_NMI | SVM_EVENT_NMI | SVM_EVENT_VALID;
	svm_set_nmi_blocked(vcpu, true);
}

void svm_inject_irq(struct vmm_vcpu *vcpu)
{
	/* a software interrupt is not injected: RIP still points at INT n, which executes again */
	if (vcpu->ev.irq_soft)
		return;
	to_svm(vcpu)->vmcb->control.event_inj =
		vcpu->ev.irq_vector | SVM_EVENT_INTR | SVM_EVENT_VALID;
}

/* the entry does not happen: the event stays in vcpu->ev */
void svm_cancel_injection(struct vmm_vcpu *vcpu)
{
	to_svm(vcpu)->vmcb->control.event_inj = 0;
}

bool svm_irq_allowed(struct vmm_vcpu *vcpu)
{
	return (vcpu->rflags & X86_EFLAGS_IF) &&
	       !(to_svm(vcpu)->vmcb->control.int_state & SVM_INT_SHADOW);
}

static bool svm_nmi_is_blocked(struct svm_vcpu *svm)
{
	if (svm->iret_pending && svm->vcpu.rip != svm->iret_rip) {
		svm->iret_pending = false;
		svm->nmi_blocked = false;
	}
	return svm->nmi_blocked;
}

bool svm_nmi_allowed(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	return !svm_nmi_is_blocked(svm) && !(svm->vmcb->control.int_state & SVM_INT_SHADOW);
}

/* ask for an exit as soon as the guest can take an interrupt, or no longer */
void svm_irq_window(struct vmm_vcpu *vcpu, bool open)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_control *c = &svm->vmcb->control;

	if (svm->irq_window == open)
		return;
	svm->irq_window = open;
	if (open) {
		c->int_ctl |= SVM_INT_V_IRQ | SVM_INT_V_PRIO(0xf) | SVM_INT_V_IGN_TPR;
		c->int_vector = 0;
		c->intercept_misc1 |= SVM_INTERCEPT_VINTR;
	} else {
		c->int_ctl &= ~(SVM_INT_V_IRQ | SVM_INT_V_PRIO(0xf) | SVM_INT_V_IGN_TPR);
		c->intercept_misc1 &= ~SVM_INTERCEPT_VINTR;
	}
	svm_mark_dirty(svm, SVM_CLEAN_TPR | SVM_CLEAN_INTERCEPTS);
	svm_tpr_window(vcpu, svm->cr8_window ? 0 : -1);
}

static void svm_start_nmi_step(struct svm_vcpu *svm)
{
	if (svm->nmi_step)
		return;
	svm->nmi_step = true;
	svm->step_rflags = svm->vcpu.rflags & X86_EFLAGS_TF;
	svm->step_dr6 = svm->vcpu.dr6;
}

/* ask for an exit as soon as the guest can take an NMI; the interrupt window is set already */
void svm_nmi_window(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (svm_nmi_is_blocked(svm)) {
		/*
		 * the IRET intercept is set for as long as NMIs are blocked; once it was hit,
		 * wait for IRET to retire
		 */
		if (svm->iret_pending)
			svm_start_nmi_step(svm);
		return;
	}
	if (svm->vmcb->control.event_inj & SVM_EVENT_VALID)
		svm->exit_at_once = true;
	else if (vcpu->rflags & X86_EFLAGS_IF)
		svm_irq_window(vcpu, true);
	else
		svm_start_nmi_step(svm);
}

/**
 * svm_end_nmi_step - a #DB exit came: was it the single step that the NMI window asked for?
 * @svm: the vCPU
 *
 * Return: true when it was, and the guest itself did not step, so the guest must not see it.
 */
bool svm_end_nmi_step(struct svm_vcpu *svm)
{
	struct vmm_vcpu *vcpu = &svm->vcpu;

	if (!svm->nmi_step)
		return false;
	svm->nmi_step = false;
	svm_nmi_is_blocked(svm);
	vmm_make_request(vcpu, VMM_REQ_EVENT);
	if (svm->step_rflags)
		return false;
	/* the guest has not stepped; but of a breakpoint that was hit, too, it has to hear */
	vcpu->dr6 &= ~(u64)DR_STEP | (svm->step_dr6 & DR_STEP);
	return !(vcpu->dr6 & ~svm->step_dr6 & DR_TRAP_BITS);
}

/* @vector waits for the guest to lower its task priority, -1 = none does */
void svm_tpr_window(struct vmm_vcpu *vcpu, int vector)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_control *c = &svm->vmcb->control;
	/*
	 * with V_IRQ pending too, for one emulator stops when the guest then moves to CR8 by
	 * itself
	 */
	bool want = vector >= 0 || svm->irq_window;
	bool have = c->intercept_cr_write & BIT(8);

	svm->cr8_window = vector >= 0;
	if (want == have)
		return;
	if (want)
		c->intercept_cr_write |= BIT(8);
	else
		c->intercept_cr_write &= ~BIT(8);
	svm_mark_dirty(svm, SVM_CLEAN_INTERCEPTS);
}

/* one bit stands for both shadows; it is reported as STI's */
u32 svm_get_shadow(struct vmm_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->control.int_state & SVM_INT_SHADOW ? VMM_EV_SHADOW_STI : 0;
}

void svm_set_shadow(struct vmm_vcpu *vcpu, u32 shadow)
{
	struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;

	c->int_state = shadow ? c->int_state | SVM_INT_SHADOW : c->int_state & ~(u64)SVM_INT_SHADOW;
}

bool svm_get_nmi_blocked(struct vmm_vcpu *vcpu)
{
	return svm_nmi_is_blocked(to_svm(vcpu));
}

void svm_set_nmi_blocked(struct vmm_vcpu *vcpu, bool blocked)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_control *c = &svm->vmcb->control;

	svm->nmi_blocked = blocked;
	svm->iret_pending = false;
	if (blocked)
		c->intercept_misc1 |= SVM_INTERCEPT_IRET;
	else
		c->intercept_misc1 &= ~SVM_INTERCEPT_IRET;
	svm_mark_dirty(svm, SVM_CLEAN_INTERCEPTS);
}
