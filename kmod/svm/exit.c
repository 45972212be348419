// SPDX-License-Identifier: GPL-2.0
/*
 * Exits of an AMD-V guest (APM vol. 2, appendix C): every code that can come has its case; what
 * cannot come, because it is not intercepted, ends the VM with the code named.
 */
#include <asm/cpufeature.h>
#include <asm/trapnr.h>

#include "../task.h"
#include "../x86.h"
#include "svm.h"

/**
 * svm_complete_events - take note of what the last exit interrupted in delivery
 * @svm: the vCPU
 *
 * What was injected is delivered unless EXITINTINFO says otherwise (APM vol. 2, 15.7.2).
 * Software interrupts and exceptions are not noted: RIP points at their instruction, which
 * executes again. But #BP or #OF may be what was injected, without an instruction: RIP has not
 * moved then. An emulator labels interrupts in delivery as exceptions: the vector tells.
 */
void svm_complete_events(struct svm_vcpu *svm)
{
	struct vmm_event_queue *ev = &svm->vcpu.ev;
	struct vmcb_control *c = &svm->vmcb->control;
	u64 info = c->exit_int_info;
	u8 vector = info & SVM_EVENT_VECTOR;
	bool ours;

	c->event_inj = 0;
	if (unlikely(svm->exit_code == SVM_EXIT_INVALID))
		return;		/* nothing was delivered: ev still has it */

	ours = ev->exc_injected && ev->exc.vector == vector && svm->soft_rip == svm->vcpu.rip;
	ev->exc_injected = false;
	ev->nmi_injected = false;
	ev->irq_injected = false;
	if (likely(!(info & SVM_EVENT_VALID)))
		return;

	switch (info & SVM_EVENT_TYPE) {
	case SVM_EVENT_NMI:
		ev->nmi_injected = true;
		break;
	case SVM_EVENT_EXCEPTION:
		if (vector < 32) {
			if (svm_is_soft(vector) && !ours)
				break;
			ev->exc_injected = true;
			ev->exc = (struct vmm_exception) {
				.vector = vector,
				.has_error = info & SVM_EVENT_ERROR,
				.error = info >> 32,
			};
			break;
		}
		fallthrough;
	case SVM_EVENT_INTR:
		ev->irq_injected = true;
		ev->irq_soft = false;
		ev->irq_vector = vector;
		break;
	default:
		break;
	}
	vmm_make_request(&svm->vcpu, VMM_REQ_EVENT);
}

/* length of the instruction that exited; false: not known now, return *ret */
static bool svm_insn_len(struct svm_vcpu *svm, unsigned int *len, int *ret)
{
	const struct vmcb_control *c = &svm->vmcb->control;
	struct vmm_em_insn insn;

	if (boot_cpu_has(X86_FEATURE_NRIPS) && c->next_rip) {
		*len = c->next_rip - svm->vcpu.rip;
		return true;
	}
	if (!vmm_decode(&svm->vcpu, &insn, ret))
		return false;
	*len = insn.length;
	return true;
}

typedef int (*svm_len_handler)(struct vmm_vcpu *vcpu, unsigned int len);

static __always_inline int svm_with_len(struct svm_vcpu *svm, svm_len_handler handler)
{
	unsigned int len;
	int ret;

	if (!svm_insn_len(svm, &len, &ret))
		return ret;
	return handler(&svm->vcpu, len);
}

static int svm_handle_cr(struct svm_vcpu *svm)
{
	struct vmm_em_insn insn;
	int ret;

	vmm_stat_inc(&svm->vcpu, VMM_STAT_EXIT_CR);
	if (!vmm_decode(&svm->vcpu, &insn, &ret))
		return ret;
	return vmm_handle_mov_cr(&svm->vcpu, &insn);
}

static int svm_handle_dr(struct svm_vcpu *svm)
{
	struct vmm_em_insn insn;
	int ret;

	vmm_stat_inc(&svm->vcpu, VMM_STAT_EXIT_CR);
	if (!vmm_decode(&svm->vcpu, &insn, &ret))
		return ret;
	return vmm_handle_mov_dr(&svm->vcpu, &insn);
}

static int svm_handle_io(struct svm_vcpu *svm)
{
	struct vmm_vcpu *vcpu = &svm->vcpu;
	const struct vmcb_control *c = &svm->vmcb->control;
	u64 info = c->exit_info_1;

	vmm_stat_inc(vcpu, VMM_STAT_EXIT_IO);
	if (info & SVM_IOIO_STRING)
		return vmm_emulate(vcpu, VMM_INVALID_GPA);
	return vmm_pio(vcpu, info >> SVM_IOIO_PORT_SHIFT, (info >> SVM_IOIO_SIZE_SHIFT) & 7,
		       info & SVM_IOIO_IN, c->exit_info_2);
}

static int svm_handle_msr(struct svm_vcpu *svm)
{
	vmm_stat_inc(&svm->vcpu, VMM_STAT_EXIT_MSR);
	return svm_with_len(svm,
			    svm->vmcb->control.exit_info_1 ? vmm_handle_wrmsr : vmm_handle_rdmsr);
}

static int svm_handle_npf(struct svm_vcpu *svm)
{
	const struct vmcb_control *c = &svm->vmcb->control;
	u32 access = VMM_ACC_READ;

	vmm_stat_inc(&svm->vcpu, VMM_STAT_EXIT_NPF);
	if (c->exit_info_1 & SVM_NPF_WRITE)
		access = VMM_ACC_WRITE;
	else if (c->exit_info_1 & SVM_NPF_FETCH)
		access = VMM_ACC_EXEC;
	return vmm_handle_fault(&svm->vcpu, c->exit_info_2, access,
				c->exit_int_info & SVM_EVENT_VALID);
}

static int svm_handle_db(struct svm_vcpu *svm)
{
	if (svm_end_nmi_step(svm))
		return 1;
	vmm_queue_exception(&svm->vcpu, X86_TRAP_DB);	/* DR6 is up to date already */
	return 1;
}

static int svm_handle_iret(struct svm_vcpu *svm)
{
	vmm_stat_inc(&svm->vcpu, VMM_STAT_EXIT_WINDOW);
	svm->vmcb->control.intercept_misc1 &= ~SVM_INTERCEPT_IRET;
	svm_mark_dirty(svm, SVM_CLEAN_INTERCEPTS);
	svm->iret_pending = true;
	svm->iret_rip = svm->vcpu.rip;
	vmm_make_request(&svm->vcpu, VMM_REQ_EVENT);
	return 1;
}

static int svm_handle_window(struct svm_vcpu *svm)
{
	vmm_stat_inc(&svm->vcpu, VMM_STAT_EXIT_WINDOW);
	svm_irq_window(&svm->vcpu, false);
	vmm_make_request(&svm->vcpu, VMM_REQ_EVENT);
	return 1;
}

/* the VMCB's contents are undefined now (APM vol. 2, 15.14.3): the vCPU is as after INIT */
static int svm_handle_shutdown(struct svm_vcpu *svm)
{
	vmm_vcpu_reset(&svm->vcpu, true);
	svm->vcpu.run->exit_reason = VMM_EXIT_SHUTDOWN;
	return 0;
}

static int svm_handle_fail(struct svm_vcpu *svm)
{
	svm->vcpu.run->exit_reason = VMM_EXIT_FAIL_ENTRY;
	svm->vcpu.run->u.fail_entry.hardware_reason = svm->vmcb->control.exit_code;
	return 0;
}

/*
 * INVD and WBINVD: guests' memory is write-back and coherent, so there is nothing to write
 * back; discarding is never allowed
 */
static int svm_handle_skip(struct vmm_vcpu *vcpu, unsigned int len)
{
	return vmm_skip(vcpu, len);
}

static int svm_handle_rdpmc(struct vmm_vcpu *vcpu, unsigned int len)
{
	return vmm_handle_gp(vcpu);	/* no counters are offered */
}

/*
 * RIP is at the instruction, or where the event came. The old task goes on behind a JMP, CALL,
 * IRET, INT n, INT3 or INTO; where an interrupt or another exception came, it goes on there.
 */
static int svm_handle_task_switch(struct svm_vcpu *svm)
{
	const struct vmcb_control *c = &svm->vmcb->control;
	u64 info = c->exit_info_2, event = c->exit_int_info;
	struct vmm_task_switch ts = {
		.selector = c->exit_info_1,
		.source = info & SVM_TASK_IRET		? VMM_TASK_IRET
			  : info & SVM_TASK_JMP		? VMM_TASK_JMP
			  : event & SVM_EVENT_VALID	? VMM_TASK_GATE
							: VMM_TASK_CALL,
		.has_error = info & SVM_TASK_ERROR,
		.error = info,
		.rf = info & SVM_TASK_RF,
	};
	u8 vector = event & SVM_EVENT_VECTOR;
	struct vmm_em_insn insn;
	int ret;

	if (ts.source == VMM_TASK_GATE && (event & SVM_EVENT_TYPE) != SVM_EVENT_SOFT &&
	    !((event & SVM_EVENT_TYPE) == SVM_EVENT_EXCEPTION &&
	      svm_is_soft(vector) && !svm->vcpu.ev.exc_injected)) {
		ts.external = true;
		return vmm_task_switch(&svm->vcpu, &ts);
	}
	if (!vmm_decode(&svm->vcpu, &insn, &ret))
		return ret;
	ts.insn_len = insn.length;
	return vmm_task_switch(&svm->vcpu, &ts);
}

/**
 * svm_handle_exit - act on the last exit
 * @vcpu: the vCPU
 *
 * Context: interrupts on; vm->srcu held for reading. Return: 1 resume the guest, 0 vcpu->run is
 * filled in, < 0 errno for VMM_RUN.
 */
int svm_handle_exit(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	switch (svm->exit_code) {
	case SVM_EXIT_NPF:
		return svm_handle_npf(svm);
	case SVM_EXIT_IOIO:
		return svm_handle_io(svm);
	case SVM_EXIT_MSR:
		return svm_handle_msr(svm);
	case SVM_EXIT_HLT:
		vmm_stat_inc(vcpu, VMM_STAT_EXIT_HLT);
		return svm_with_len(svm, vmm_handle_hlt);
	case SVM_EXIT_CPUID:
		vmm_stat_inc(vcpu, VMM_STAT_EXIT_CPUID);
		return svm_with_len(svm, vmm_handle_cpuid);
	case SVM_EXIT_VMMCALL:
		vmm_stat_inc(vcpu, VMM_STAT_EXIT_HYPERCALL);
		return svm_with_len(svm, vmm_handle_hypercall);
	case SVM_EXIT_INTR:
	case SVM_EXIT_NMI:
		vmm_stat_inc(vcpu, VMM_STAT_EXIT_INTR);
		return 1;
	case SVM_EXIT_VINTR:
		return svm_handle_window(svm);
	case SVM_EXIT_IRET:
		return svm_handle_iret(svm);
	case SVM_EXIT_READ_CR(0):
	case SVM_EXIT_READ_CR(4):
	case SVM_EXIT_WRITE_CR(0):
	case SVM_EXIT_WRITE_CR(4):
	case SVM_EXIT_WRITE_CR(8):
	case SVM_EXIT_CR0_SEL_WRITE:
		return svm_handle_cr(svm);
	case SVM_EXIT_READ_DR(0) ... SVM_EXIT_READ_DR(15):
	case SVM_EXIT_WRITE_DR(0) ... SVM_EXIT_WRITE_DR(15):
		return svm_handle_dr(svm);
	default:
		break;
	}

	vmm_stat_inc(vcpu, VMM_STAT_EXIT_OTHER);
	switch (svm->exit_code) {
	case SVM_EXIT_EXCEPTION(X86_TRAP_DB):
		return svm_handle_db(svm);
	case SVM_EXIT_EXCEPTION(X86_TRAP_AC):
		vmm_queue_exception_error(vcpu, X86_TRAP_AC, 0);
		return 1;
	case SVM_EXIT_EXCEPTION(X86_TRAP_MC):	/* the host has dealt with it */
	case SVM_EXIT_SMI:
	case SVM_EXIT_INIT:
		return 1;
	case SVM_EXIT_INVD:
	case SVM_EXIT_WBINVD:
		return svm_with_len(svm, svm_handle_skip);
	case SVM_EXIT_RDPMC:
		return svm_with_len(svm, svm_handle_rdpmc);
	case SVM_EXIT_XSETBV:
		return svm_with_len(svm, vmm_handle_xsetbv);
	case SVM_EXIT_RSM:
	case SVM_EXIT_INVLPGA:
	case SVM_EXIT_VMRUN:
	case SVM_EXIT_VMLOAD:
	case SVM_EXIT_VMSAVE:
	case SVM_EXIT_STGI:
	case SVM_EXIT_CLGI:
	case SVM_EXIT_SKINIT:
	case SVM_EXIT_MONITOR:
	case SVM_EXIT_MWAIT:
	case SVM_EXIT_MWAIT_ARMED:
	case SVM_EXIT_RDPRU:
	case SVM_EXIT_INVLPGB:
	case SVM_EXIT_INVLPGB_ILLEGAL:
	case SVM_EXIT_INVPCID:
	case SVM_EXIT_MCOMMIT:
	case SVM_EXIT_TLBSYNC:
		return vmm_handle_ud(vcpu);	/* CPUID offers none of these */
	case SVM_EXIT_TASK_SWITCH:
		return svm_handle_task_switch(svm);
	case SVM_EXIT_SHUTDOWN:
		return svm_handle_shutdown(svm);
	case SVM_EXIT_INVALID:
	default:
		return svm_handle_fail(svm);
	}
}
