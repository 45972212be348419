// SPDX-License-Identifier: GPL-2.0
/*
 * Events on their way into a vCPU: exceptions, NMIs, interrupts; their order and how they merge
 * (APM vol. 2, 8.2.9 and 8.5).
 *
 * An event lives in vcpu->ev until an exit shows that it was delivered:
 *
 *	recognised --> exc_pending --inject--> exc_injected --exit, delivered--> gone
 *	^    | exit in the midst of delivery, or entry cancelled
 *	                                           +----+
 * and likewise for NMIs and interrupts. What was injected goes first, then exceptions, NMIs,
 * interrupts.
 */
#include <linux/kernel.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "irq/irq.h"
#include "trace.h"
#include "x86.h"
#include "x86_ops.h"

static bool vmm_is_contributory(u8 vector)
{
	return vector == X86_TRAP_DE || (vector >= X86_TRAP_TS && vector <= X86_TRAP_GP);
}

/*
 * faults leave RIP at the instruction, which the pushed RFLAGS.RF lets pass a breakpoint (APM
 * vol. 2, 3.1.6)
 */
static bool vmm_is_fault(u8 vector)
{
	return vector != X86_TRAP_DB && vector != X86_TRAP_NMI && vector != X86_TRAP_BP &&
	       vector != X86_TRAP_OF && vector != X86_TRAP_DF && vector != X86_TRAP_MC;
}

/*
 * @new happened; while an earlier exception was being delivered, the two make a double fault,
 * or three a shutdown
 */
static void vmm_queue(struct vmm_vcpu *vcpu, struct vmm_exception new)
{
	struct vmm_event_queue *ev = &vcpu->ev;

	if (ev->exc_pending || ev->exc_injected) {
		u8 old = ev->exc.vector;

		if (old == X86_TRAP_DF) {
			vmm_make_request(vcpu, VMM_REQ_TRIPLE_FAULT);
			return;
		}
		if ((vmm_is_contributory(old) && vmm_is_contributory(new.vector)) ||
		    (old == X86_TRAP_PF &&
		     (vmm_is_contributory(new.vector) || new.vector == X86_TRAP_PF)))
			new = (struct vmm_exception) { .vector = X86_TRAP_DF, .has_error = true };
	}
	ev->exc = new;
	ev->exc_pending = true;
	ev->exc_injected = false;
	vmm_make_request(vcpu, VMM_REQ_EVENT);
}

/**
 * vmm_queue_exception - an exception without error code happened. Context: the owner.
 * @vcpu: the vCPU
 * @vector: which
 */
void vmm_queue_exception(struct vmm_vcpu *vcpu, u8 vector)
{
	vmm_queue(vcpu, (struct vmm_exception) { .vector = vector });
}

/**
 * vmm_queue_exception_error - an exception with an error code happened. Context: the owner.
 * @vcpu: the vCPU
 * @vector: which
 * @error: error code; real mode pushes none
 */
void vmm_queue_exception_error(struct vmm_vcpu *vcpu, u8 vector, u32 error)
{
	vmm_queue(vcpu, (struct vmm_exception) {
		.vector = vector,
		.has_error = vmm_get_cr0(vcpu) & X86_CR0_PE,
		.error = error,
	});
}

/**
 * vmm_queue_page_fault - the guest's own page table forbids an access that was made for it.
 * Context: the owner.
 * @vcpu: the vCPU
 * @error: error code
 * @address: linear address, for CR2
 */
void vmm_queue_page_fault(struct vmm_vcpu *vcpu, u32 error, gva_t address)
{
	vmm_queue(vcpu, (struct vmm_exception) {
		.vector = X86_TRAP_PF,
		.has_error = true,
		.error = error,
		.payload = address,
	});
}

static void vmm_inject_pending_exception(struct vmm_vcpu *vcpu)
{
	struct vmm_event_queue *ev = &vcpu->ev;

	if (ev->exc.vector == X86_TRAP_PF)
		vcpu->cr2 = ev->exc.payload;
	if (ev->exc.vector == X86_TRAP_DB) {
		vcpu->dr6 |= ev->exc.payload;
		vcpu->dr7 &= ~VMM_DR7_GD;
	}
	if (vmm_is_fault(ev->exc.vector))
		vcpu->rflags |= X86_EFLAGS_RF;
	ev->exc_pending = false;
	ev->exc_injected = true;
	vmm_stat_inc(vcpu, VMM_STAT_EXC_INJECTED);
	trace_vmm_inject(vcpu->id, "exception", ev->exc.vector);
	vmm_x86(inject_exception)(vcpu);
}

/* put back what an exit interrupted, or a new exception; true when there was one */
static bool vmm_inject_first(struct vmm_vcpu *vcpu)
{
	struct vmm_event_queue *ev = &vcpu->ev;

	if (ev->exc_pending)
		vmm_inject_pending_exception(vcpu);
	else if (ev->exc_injected)
		vmm_x86(inject_exception)(vcpu);
	else if (ev->nmi_injected)
		vmm_x86(inject_nmi)(vcpu);
	else if (ev->irq_injected)
		vmm_x86(inject_irq)(vcpu);
	else
		return false;
	return true;
}

static bool vmm_inject_new_nmi(struct vmm_vcpu *vcpu, bool busy)
{
	struct vmm_event_queue *ev = &vcpu->ev;

	if (!busy && vmm_x86(nmi_allowed)(vcpu)) {
		ev->nmi_pending--;
		ev->nmi_injected = true;
		vmm_stat_inc(vcpu, VMM_STAT_NMI_INJECTED);
		trace_vmm_inject(vcpu->id, "nmi", X86_TRAP_NMI);
		vmm_x86(inject_nmi)(vcpu);
		busy = true;
	}
	return busy;
}

static void vmm_inject_new_irq(struct vmm_vcpu *vcpu, int vector)
{
	vmm_lapic_ack(vcpu, vector);
	vcpu->ev.irq_injected = true;
	vcpu->ev.irq_soft = false;
	vcpu->ev.irq_vector = vector;
	vmm_stat_inc(vcpu, VMM_STAT_IRQ_INJECTED);
	trace_vmm_inject(vcpu->id, "irq", vector);
	vmm_x86(inject_irq)(vcpu);
}

/* the vector to inject next, -1 = none, or it is not us who injects it */
static int vmm_next_irq(struct vmm_vcpu *vcpu)
{
	return vcpu->irq_by_cpu ? -1 : vmm_lapic_pending(vcpu);
}

/**
 * vmm_prepare_events - put into the control block what can be delivered, ask for a window for
 * what cannot
 * @vcpu: the vCPU, about to enter
 *
 * Context: the owner; may sleep. Return: 1 go on, 0 userland has to acknowledge an ExtINT first
 * (vcpu->run says so).
 */
int vmm_prepare_events(struct vmm_vcpu *vcpu)
{
	struct vmm_event_queue *ev = &vcpu->ev;
	bool extint, busy;
	int vector;

	busy = vmm_inject_first(vcpu);
	if (ev->nmi_pending)
		busy = vmm_inject_new_nmi(vcpu, busy);

	extint = vmm_lapic_extint(vcpu);
	vector = vmm_next_irq(vcpu);
	if (!busy && (extint || vector >= 0) && vmm_x86(irq_allowed)(vcpu)) {
		if (extint) {
			vcpu->intack_wait = true;
			vcpu->run->exit_reason = VMM_EXIT_INTACK;
			vcpu->run->u.intack.vector = -1;
			vmm_make_request(vcpu, VMM_REQ_EVENT);
			return 0;
		}
		vmm_inject_new_irq(vcpu, vector);
		vector = vmm_next_irq(vcpu);
	}
	vmm_x86(irq_window)(vcpu, extint || vector >= 0);
	vmm_x86(tpr_window)(vcpu, vmm_lapic_blocked(vcpu));
	/* last, for a vendor may use the interrupt window for it */
	if (ev->nmi_pending)
		vmm_x86(nmi_window)(vcpu);
	return 1;
}

/**
 * vmm_events_wake - is there anything that ends a HLT?
 * @vcpu: a halted vCPU
 *
 * Context: the owner; does not sleep. NMIs end it even where interrupts are off, an exception
 * that userland set too.
 */
bool vmm_events_wake(struct vmm_vcpu *vcpu)
{
	const struct vmm_event_queue *ev = &vcpu->ev;

	if (ev->exc_pending || ev->exc_injected || ev->nmi_injected || ev->irq_injected)
		return true;
	/* one that is blocked holds up no interrupt */
	if ((atomic_read(&vcpu->nmi_queued) || ev->nmi_pending) && vmm_x86(nmi_allowed)(vcpu))
		return true;
	if (!vmm_x86(irq_allowed)(vcpu))
		return false;
	return vmm_lapic_pending(vcpu) >= 0 || vmm_lapic_extint(vcpu);
}

/**
 * vmm_events_get - VMM_STATE_EVENTS
 * @vcpu: the vCPU, not running
 * @out: result
 */
void vmm_events_get(struct vmm_vcpu *vcpu, struct vmm_events *out)
{
	const struct vmm_event_queue *ev = &vcpu->ev;
	bool init;
	u32 sipi;

	memset(out, 0, sizeof(*out));
	if (ev->exc_pending || ev->exc_injected) {
		out->flags |= ev->exc_pending ? VMM_EV_EXC_PENDING : VMM_EV_EXC_REINJECT;
		if (ev->exc.has_error)
			out->flags |= VMM_EV_EXC_ERROR_CODE;
		out->exc_vector = ev->exc.vector;
		out->exc_error_code = ev->exc.error;
		out->exc_payload = ev->exc_pending ? ev->exc.payload : 0;
	}
	if (ev->irq_injected) {
		out->flags |= ev->irq_soft ? VMM_EV_SOFT_REINJECT : VMM_EV_IRQ_REINJECT;
		out->irq_vector = ev->irq_vector;
		out->insn_len = ev->insn_len;
	}
	out->nmi_pending = min(2, ev->nmi_pending + atomic_read(&vcpu->nmi_queued));
	if (out->nmi_pending)
		out->flags |= VMM_EV_NMI_PENDING;
	if (ev->nmi_injected)
		out->flags |= VMM_EV_NMI_REINJECT;
	if (vmm_x86(get_nmi_blocked)(vcpu))
		out->flags |= VMM_EV_NMI_BLOCKED;
	out->flags |= vmm_x86(get_shadow)(vcpu);
	vmm_lapic_get_sipi(vcpu, &init, &sipi);
	if (init)
		out->flags |= VMM_EV_INIT_PENDING;
	if (sipi != U32_MAX) {
		out->flags |= VMM_EV_SIPI_PENDING;
		out->sipi_vector = sipi;
	}
}

#define VMM_EV_ALL                                                                                \
	(VMM_EV_EXC_PENDING | VMM_EV_EXC_REINJECT | VMM_EV_EXC_ERROR_CODE | VMM_EV_IRQ_REINJECT | \
	 VMM_EV_SOFT_REINJECT | VMM_EV_NMI_PENDING | VMM_EV_NMI_REINJECT | VMM_EV_NMI_BLOCKED |   \
	 VMM_EV_SHADOW_STI | VMM_EV_SHADOW_MOV_SS | VMM_EV_INIT_PENDING |    \
	 VMM_EV_SIPI_PENDING)

/* a processor delivers one event at a time */
#define VMM_EV_IN_DELIVERY                                              \
	(VMM_EV_EXC_REINJECT | VMM_EV_IRQ_REINJECT | VMM_EV_SOFT_REINJECT | \
	 VMM_EV_NMI_REINJECT)

/**
 * vmm_events_set - VMM_STATE_EVENTS
 * @vcpu: the vCPU, not running
 * @in: value
 *
 * Return: 0, or -EINVAL for a combination that cannot be; nothing was changed then.
 */
int vmm_events_set(struct vmm_vcpu *vcpu, const struct vmm_events *in)
{
	u32 exc = in->flags & (VMM_EV_EXC_PENDING | VMM_EV_EXC_REINJECT);
	u32 irq = in->flags & (VMM_EV_IRQ_REINJECT | VMM_EV_SOFT_REINJECT);
	u32 sipi;

	if ((in->flags & ~VMM_EV_ALL) || memchr_inv(in->pad, 0, sizeof(in->pad)))
		return -EINVAL;
	if (hweight32(exc) > 1 || hweight32(in->flags & VMM_EV_IN_DELIVERY) > 1 ||
	    (exc && (in->exc_vector > 31 || in->exc_vector == X86_TRAP_NMI)))
		return -EINVAL;
	if (in->nmi_pending > 2 || !in->nmi_pending != !(in->flags & VMM_EV_NMI_PENDING))
		return -EINVAL;
	if ((irq & VMM_EV_SOFT_REINJECT) && (!in->insn_len || in->insn_len > 15))
		return -EINVAL;

	sipi = in->flags & VMM_EV_SIPI_PENDING ? in->sipi_vector : U32_MAX;
	if (sipi == U32_MAX && in->sipi_vector)
		return -EINVAL;
	if (vmm_lapic_set_sipi(vcpu, in->flags & VMM_EV_INIT_PENDING, sipi))
		return -EINVAL;

	vcpu->ev = (struct vmm_event_queue) {
		.exc = {
			.vector = exc ? in->exc_vector : 0,
			.has_error = in->flags & VMM_EV_EXC_ERROR_CODE,
			.error = in->exc_error_code,
			.payload = in->exc_payload,
		},
		.exc_pending = exc & VMM_EV_EXC_PENDING,
		.exc_injected = exc & VMM_EV_EXC_REINJECT,
		.irq_injected = irq,
		.irq_soft = irq & VMM_EV_SOFT_REINJECT,
		.irq_vector = in->irq_vector,
		.insn_len = in->insn_len,
		.nmi_pending = in->nmi_pending,
		.nmi_injected = in->flags & VMM_EV_NMI_REINJECT,
	};
	atomic_set(&vcpu->nmi_queued, 0);
	vmm_x86(set_nmi_blocked)(vcpu, in->flags & VMM_EV_NMI_BLOCKED);
	vmm_x86(set_shadow)(vcpu, in->flags & (VMM_EV_SHADOW_STI | VMM_EV_SHADOW_MOV_SS));
	vmm_make_request(vcpu, VMM_REQ_EVENT);
	return 0;
}
