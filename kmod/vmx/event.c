// SPDX-License-Identifier: GPL-2.0
/*
 * Events into a VT-x guest (SDM vol. 3, 25.8.3, 27.6 and 28.2).
 *
 * What an exit interrupted in delivery is in IDT_VECTORING_INFO_FIELD, in the same form in which
 * an event is injected. RIP then points at the instruction of a software interrupt or exception:
 * INT n is put back with its length; INT3, INTO and INT1 execute again, which comes to the same.
 *
 * NMIs: the processor blocks them from delivery until IRET, and opens a window when they are not
 * ("virtual NMIs"). An IRET that faults has unblocked them already; the exit says so, and they are
 * blocked again.
 */
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "../irq/irq.h"
#include "../x86.h"
#include "vmx.h"

#define VMX_SHADOWS	(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* GUEST_INTERRUPTIBILITY_INFO; the processor changes it while the guest runs */
u32 vmx_interruptibility(struct vmx_vcpu *vmx)
{
	if (!(vmx->cached & VMX_CACHED_SHADOW)) {
		vmx->shadow = vmx_read(vmx, GUEST_INTERRUPTIBILITY_INFO);
		vmx->cached |= VMX_CACHED_SHADOW;
	}
	return vmx->shadow;
}

void vmx_set_interruptibility(struct vmx_vcpu *vmx, u32 value)
{
	if (vmx_interruptibility(vmx) == value)
		return;
	vmx->shadow = value;
	vmx_write(vmx, GUEST_INTERRUPTIBILITY_INFO, value);
}

/* an exit came in the midst of IRET, or of the delivery of an NMI: are NMIs blocked? */
static void vmx_recover_nmi(struct vmx_vcpu *vmx)
{
	u32 info = vmx->intr_info;
	bool unblocked;

	if (vmx->idt_vectoring & VECTORING_INFO_VALID_MASK)
		return;
	switch (vmx->exit_reason) {
	case EXIT_REASON_EXCEPTION_NMI:
		unblocked = (info & INTR_INFO_UNBLOCK_NMI) &&
			    (info & INTR_INFO_VECTOR_MASK) != X86_TRAP_DF;
		break;
	case EXIT_REASON_EPT_VIOLATION:
		unblocked = vmx_read(vmx, EXIT_QUALIFICATION) & INTR_INFO_UNBLOCK_NMI;
		break;
	default:
		return;
	}
	if (unblocked)
		vmx_set_interruptibility(vmx, vmx_interruptibility(vmx) | GUEST_INTR_STATE_NMI);
}

static void vmx_note_vectoring(struct vmx_vcpu *vmx)
{
	struct vmm_event_queue *ev = &vmx->vcpu.ev;
	u32 info = vmx->idt_vectoring;
	u8 vector = info & VECTORING_INFO_VECTOR_MASK;

	switch (info & VECTORING_INFO_TYPE_MASK) {
	case INTR_TYPE_NMI_INTR:
		ev->nmi_injected = true;
		/* its injection blocks NMIs, and cannot be made while they are */
		vmx_set_interruptibility(vmx,
					 vmx_interruptibility(vmx) & ~GUEST_INTR_STATE_NMI);
		break;
	case INTR_TYPE_HARD_EXCEPTION:
		ev->exc_injected = true;
		ev->exc = (struct vmm_exception) {
			.vector = vector,
			.has_error = info & VECTORING_INFO_DELIVER_CODE_MASK,
		};
		if (ev->exc.has_error)
			ev->exc.error = vmx_read(vmx, IDT_VECTORING_ERROR_CODE);
		break;
	case INTR_TYPE_SOFT_INTR:
		ev->irq_injected = true;
		ev->irq_soft = true;
		ev->irq_vector = vector;
		ev->insn_len = vmx_read(vmx, VM_EXIT_INSTRUCTION_LEN);
		break;
	case INTR_TYPE_EXT_INTR:
		ev->irq_injected = true;
		ev->irq_soft = false;
		ev->irq_vector = vector;
		break;
	default:
		break;		/* executes again */
	}
	vmm_make_request(&vmx->vcpu, VMM_REQ_EVENT);
}

/**
 * vmx_complete_events - take note of what the last exit interrupted in delivery
 * @vmx: the vCPU, after an entry that succeeded
 *
 * What was injected is delivered unless the VMCS says otherwise. The processor has cleared the
 * valid bit of the injection.
 */
void vmx_complete_events(struct vmx_vcpu *vmx)
{
	struct vmm_event_queue *ev = &vmx->vcpu.ev;

	ev->exc_injected = false;
	ev->nmi_injected = false;
	ev->irq_injected = false;
	vmx_recover_nmi(vmx);
	if (unlikely(vmx->idt_vectoring & VECTORING_INFO_VALID_MASK))
		vmx_note_vectoring(vmx);
}

/* exceptions that push an error code (SDM vol. 3, 6.13) */
static bool vmx_pushes_error(u8 vector)
{
	return BIT(vector) & (BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) |
			      BIT(X86_TRAP_SS) | BIT(X86_TRAP_GP) | BIT(X86_TRAP_PF) |
			      BIT(X86_TRAP_AC));
}

/*
 * put vcpu->ev.exc into the VMCS. An error code that the vector does not have, or the other way
 * round, would fail the entry.
 */
void vmx_inject_exception(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	const struct vmm_exception *exc = &vcpu->ev.exc;
	u32 info = exc->vector | INTR_TYPE_HARD_EXCEPTION | INTR_INFO_VALID_MASK;

	if (vmx_pushes_error(exc->vector) && (vmx_get_cr0(vcpu) & X86_CR0_PE)) {
		info |= INTR_INFO_DELIVER_CODE_MASK;
		vmx_write(vmx, VM_ENTRY_EXCEPTION_ERROR_CODE,
			  exc->has_error ? exc->error & GENMASK(15, 0) : 0);
	}
	vmx_write(vmx, VM_ENTRY_INTR_INFO_FIELD, info);
}

void vmx_inject_nmi(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	/* one put back is blocked by itself, which the entry would not have */
	vmx_set_interruptibility(vmx, vmx_interruptibility(vmx) & ~GUEST_INTR_STATE_NMI);
	vmx_write(vmx, VM_ENTRY_INTR_INFO_FIELD,
		  X86_TRAP_NMI | INTR_TYPE_NMI_INTR | INTR_INFO_VALID_MASK);
}

void vmx_inject_irq(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 info = vcpu->ev.irq_vector | INTR_INFO_VALID_MASK;

	if (vcpu->ev.irq_soft) {
		info |= INTR_TYPE_SOFT_INTR;
		vmx_write(vmx, VM_ENTRY_INSTRUCTION_LEN, vcpu->ev.insn_len);
	} else {
		info |= INTR_TYPE_EXT_INTR;
	}
	vmx_write(vmx, VM_ENTRY_INTR_INFO_FIELD, info);
}

/* the entry does not happen: the event stays in vcpu->ev */
void vmx_cancel_injection(struct vmm_vcpu *vcpu)
{
	vmx_write(to_vmx(vcpu), VM_ENTRY_INTR_INFO_FIELD, 0);
}

bool vmx_irq_allowed(struct vmm_vcpu *vcpu)
{
	return (vcpu->rflags & X86_EFLAGS_IF) &&
	       !(vmx_interruptibility(to_vmx(vcpu)) & VMX_SHADOWS);
}

bool vmx_nmi_allowed(struct vmm_vcpu *vcpu)
{
	return !(vmx_interruptibility(to_vmx(vcpu)) & (VMX_SHADOWS | GUEST_INTR_STATE_NMI));
}

static void vmx_set_window(struct vmx_vcpu *vmx, u32 control, bool open)
{
	if (!(vmx->proc & control) == !open)
		return;
	vmx->proc ^= control;
	vmx_write(vmx, CPU_BASED_VM_EXEC_CONTROL, vmx->proc);
}

/* ask for an exit as soon as the guest can take an interrupt, or no longer */
void vmx_irq_window(struct vmm_vcpu *vcpu, bool open)
{
	vmx_set_window(to_vmx(vcpu), CPU_BASED_INTR_WINDOW_EXITING, open);
}

/*
 * Ask for an exit as soon as the guest can take an NMI. A processor may open that window in STI's
 * shadow (SDM vol. 3, 26.2), where an NMI cannot be injected: that of interrupts opens behind it.
 */
void vmx_nmi_window(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (vmx_interruptibility(vmx) & GUEST_INTR_STATE_STI)
		vmx_irq_window(vcpu, true);
	else
		vmx_set_window(vmx, CPU_BASED_NMI_WINDOW_EXITING, true);
}

void vmx_close_nmi_window(struct vmx_vcpu *vmx)
{
	vmx_set_window(vmx, CPU_BASED_NMI_WINDOW_EXITING, false);
}

/*
 * @vector waits for the guest to lower its task priority, -1 = none does. Without a TPR shadow
 * every write of CR8 exits anyway.
 */
void vmx_tpr_window(struct vmm_vcpu *vcpu, int vector)
{
	to_vmx(vcpu)->tpr_threshold = vector < 0 ? 0 : vector >> 4;
}

u32 vmx_get_shadow(struct vmm_vcpu *vcpu)
{
	u32 state = vmx_interruptibility(to_vmx(vcpu));

	return (state & GUEST_INTR_STATE_STI ? VMM_EV_SHADOW_STI : 0) |
	       (state & GUEST_INTR_STATE_MOV_SS ? VMM_EV_SHADOW_MOV_SS : 0);
}

/* an entry wants at most one of the two, and that of STI only with interrupts on: see enter.c */
void vmx_set_shadow(struct vmm_vcpu *vcpu, u32 shadow)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 state = vmx_interruptibility(vmx) & ~VMX_SHADOWS;

	if (shadow & VMM_EV_SHADOW_MOV_SS)
		state |= GUEST_INTR_STATE_MOV_SS;
	else if (shadow & VMM_EV_SHADOW_STI)
		state |= GUEST_INTR_STATE_STI;
	vmx_set_interruptibility(vmx, state);
}

bool vmx_get_nmi_blocked(struct vmm_vcpu *vcpu)
{
	return vmx_interruptibility(to_vmx(vcpu)) & GUEST_INTR_STATE_NMI;
}

void vmx_set_nmi_blocked(struct vmm_vcpu *vcpu, bool blocked)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 state = vmx_interruptibility(vmx) & ~GUEST_INTR_STATE_NMI;

	vmx_set_interruptibility(vmx, blocked ? state | GUEST_INTR_STATE_NMI : state);
}
