// SPDX-License-Identifier: GPL-2.0
/*
 * Exits of a VT-x guest (SDM vol. 3, appendix C): every basic reason that can come has its case;
 * what cannot come, because nothing asks for it, ends the VM with the reason named.
 */
#include <asm/cpu.h>
#include <asm/cpufeature.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "../mmu/mmu.h"
#include "../task.h"
#include "../x86.h"
#include "vmx.h"

/* reasons that not every kernel's header names */
#define VMX_REASON_IO_SMI		5
#define VMX_REASON_OTHER_SMI		6
#define VMX_REASON_GETSEC		11
#define VMX_REASON_RSM			17
#define VMX_REASON_PCONFIG		65
#define VMX_REASON_SPP			66
#define VMX_REASON_LOADIWKEY		69
#define VMX_REASON_ENCLV		70
#define VMX_REASON_ENQCMD		72
#define VMX_REASON_ENQCMDS		73
#define VMX_REASON_INSTR_TIMEOUT	75
#define VMX_REASON_SEAMCALL		76
#define VMX_REASON_TDCALL		77
#define VMX_REASON_RDMSRLIST		78
#define VMX_REASON_WRMSRLIST		79
#define VMX_REASON_URDMSR		80
#define VMX_REASON_UWRMSR		81

/* exit qualification of an I/O instruction (SDM vol. 3, table 28-5) */
#define VMX_IO_SIZE(q)			(((q) & 7) + 1)
#define VMX_IO_IN			BIT(3)
#define VMX_IO_STRING			BIT(4)
#define VMX_IO_PORT(q)			((q) >> 16)

/* of a task switch (SDM vol. 3, table 28-2) */
#define VMX_TASK_SOURCE(q)		((q) >> 30 & 3)

/* of a control-register access (SDM vol. 3, table 28-3) */
#define VMX_CR_NUMBER(q)		((q) & 0xf)
#define VMX_CR_TYPE(q)			(((q) & CONTROL_REG_ACCESS_TYPE) >> 4)
#define VMX_CR_GPR(q)			(((q) & CONTROL_REG_ACCESS_REG) >> 8)
enum { VMX_CR_TO, VMX_CR_FROM, VMX_CR_CLTS, VMX_CR_LMSW };

/* of a debug exception: B0-B3, BD and BS of DR6 (SDM vol. 3, table 28-1) */
#define VMX_DB_BITS			(0xf | VMM_DR6_BD | VMM_DR6_BS)

#define VMX_PDPTES			4
#define VMX_PDPTE_PRESENT		BIT_ULL(0)

static unsigned int vmx_insn_len(struct vmx_vcpu *vmx)
{
	return vmx_read(vmx, VM_EXIT_INSTRUCTION_LEN);
}

/* MOV to or from a control register: the processor has decoded it */
static int vmx_handle_cr(struct vmx_vcpu *vmx)
{
	u64 qual = vmx_read(vmx, EXIT_QUALIFICATION);
	struct vmm_em_operand gpr = { .kind = VMM_EM_K_GPR, .reg = VMX_CR_GPR(qual) };
	struct vmm_em_operand cr = { .kind = VMM_EM_K_CR, .reg = VMX_CR_NUMBER(qual) };
	struct vmm_em_insn insn = { .op = VMM_EM_OP_MOV_CR };
	int ret;

	vmm_stat_inc(&vmx->vcpu, VMM_STAT_EXIT_CR);
	insn.length = vmx_insn_len(vmx);
	switch (VMX_CR_TYPE(qual)) {
	case VMX_CR_TO:
		insn.dst = cr;
		insn.src = gpr;
		break;
	case VMX_CR_FROM:
		insn.dst = gpr;
		insn.src = cr;
		break;
	case VMX_CR_CLTS:
		insn.op = VMM_EM_OP_CLTS;
		break;
	default:
		if (!vmm_decode(&vmx->vcpu, &insn, &ret))
			return ret;
		break;
	}
	return vmm_handle_mov_cr(&vmx->vcpu, &insn);
}

static int vmx_handle_dr(struct vmx_vcpu *vmx)
{
	u64 qual = vmx_read(vmx, EXIT_QUALIFICATION);
	struct vmm_em_operand gpr = { .kind = VMM_EM_K_GPR, .reg = DEBUG_REG_ACCESS_REG(qual) };
	struct vmm_em_operand dr = { .kind = VMM_EM_K_DR, .reg = qual & DEBUG_REG_ACCESS_NUM };
	bool from = qual & TYPE_MOV_FROM_DR;
	struct vmm_em_insn insn = {
		.op = VMM_EM_OP_MOV_DR,
		.dst = from ? gpr : dr,
		.src = from ? dr : gpr,
	};

	vmm_stat_inc(&vmx->vcpu, VMM_STAT_EXIT_CR);
	insn.length = vmx_insn_len(vmx);
	return vmm_handle_mov_dr(&vmx->vcpu, &insn);
}

static int vmx_handle_io(struct vmx_vcpu *vmx)
{
	struct vmm_vcpu *vcpu = &vmx->vcpu;
	u64 qual = vmx_read(vmx, EXIT_QUALIFICATION);

	vmm_stat_inc(vcpu, VMM_STAT_EXIT_IO);
	if (qual & VMX_IO_STRING)
		return vmm_emulate(vcpu, VMM_INVALID_GPA);
	return vmm_pio(vcpu, VMX_IO_PORT(qual), VMX_IO_SIZE(qual), qual & VMX_IO_IN,
		       vcpu->rip + vmx_insn_len(vmx));
}

/* RIP is at the instruction, or where the event came (SDM vol. 3, 26.4.2) */
static int vmx_handle_task_switch(struct vmx_vcpu *vmx)
{
	u64 qual = vmx_read(vmx, EXIT_QUALIFICATION);
	u32 info = vmx->idt_vectoring;
	struct vmm_task_switch ts = {
		.selector = qual,
		.source = VMX_TASK_SOURCE(qual),
		.rf = vmx->vcpu.rflags & X86_EFLAGS_RF,
	};

	if (ts.source == VMM_TASK_GATE) {
		switch (info & VECTORING_INFO_TYPE_MASK) {
		case INTR_TYPE_SOFT_INTR:
		case INTR_TYPE_PRIV_SW_EXCEPTION:
		case INTR_TYPE_SOFT_EXCEPTION:
			break;
		case INTR_TYPE_HARD_EXCEPTION:
			ts.rf = true;
			fallthrough;
		default:
			ts.external = true;
			break;
		}
		ts.has_error = info & VECTORING_INFO_DELIVER_CODE_MASK;
		if (ts.has_error)
			ts.error = vmx_read(vmx, IDT_VECTORING_ERROR_CODE);
	}
	if (!ts.external)
		ts.insn_len = vmx_insn_len(vmx);
	return vmm_task_switch(&vmx->vcpu, &ts);
}

static int vmx_handle_ept_violation(struct vmx_vcpu *vmx)
{
	u64 qual = vmx_read(vmx, EXIT_QUALIFICATION);
	u32 access = VMM_ACC_READ;

	vmm_stat_inc(&vmx->vcpu, VMM_STAT_EXIT_NPF);
	if (qual & EPT_VIOLATION_ACC_WRITE)
		access = VMM_ACC_WRITE;
	else if (qual & EPT_VIOLATION_ACC_INSTR)
		access = VMM_ACC_EXEC;
	return vmm_handle_fault(&vmx->vcpu, vmx_read(vmx, GUEST_PHYSICAL_ADDRESS), access,
				vmx->idt_vectoring & VECTORING_INFO_VALID_MASK);
}

/*
 * The exit came before DR6 was changed. INT1 is a trap, but its exit is made before it: what is
 * injected then would point at it.
 */
static int vmx_handle_db(struct vmx_vcpu *vmx)
{
	struct vmm_vcpu *vcpu = &vmx->vcpu;

	if ((vmx->intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION)
		vcpu->rip += vmx_insn_len(vmx);
	else
		vcpu->dr6 = (vcpu->dr6 & ~0xfull) |
			    (vmx_read(vmx, EXIT_QUALIFICATION) & VMX_DB_BITS);
	vmm_queue_exception(vcpu, X86_TRAP_DB);
	return 1;
}

static int vmx_handle_fail(struct vmx_vcpu *vmx)
{
	u64 reason = vmx->exit_reason;

	vmx_check_report(vmx);
	if (vmx->exit_reason == VMX_EXIT_NO_ENTRY)
		reason = vmx_read(vmx, VM_INSTRUCTION_ERROR);
	/* what was to be injected is still in vcpu->ev */
	vmx_write(vmx, VM_ENTRY_INTR_INFO_FIELD, 0);
	vmm_make_request(&vmx->vcpu, VMM_REQ_EVENT);
	vmx->vcpu.run->exit_reason = VMM_EXIT_FAIL_ENTRY;
	vmx->vcpu.run->u.fail_entry.hardware_reason = reason;
	return 0;
}

/*
 * The guest's own alignment check, or the host's detection of split locks, which is on for guests,
 * too, and of which CPUID tells them nothing? A guest that has no use for #AC cannot mean it.
 */
static bool vmx_ac_is_guests(struct vmx_vcpu *vmx)
{
	return !boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT) ||
	       (vmx_get_cpl(&vmx->vcpu) == 3 && (vmx->vcpu.rflags & X86_EFLAGS_AC) &&
		(vmx_get_cr0(&vmx->vcpu) & X86_CR0_AM));
}

static int vmx_handle_ac(struct vmx_vcpu *vmx)
{
	if (vmx_ac_is_guests(vmx))
		vmm_queue_exception_error(&vmx->vcpu, X86_TRAP_AC, 0);
	else
		/*
		 * as for a process: warn, and let it through this time; or, where the host
		 * says so, SIGBUS, with which VMM_RUN ends
		 */
		handle_guest_split_lock(vmx->vcpu.rip);
	return 1;
}

static int vmx_handle_exception(struct vmx_vcpu *vmx)
{
	struct vmm_vcpu *vcpu = &vmx->vcpu;

	if ((vmx->intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR) {
		vmm_stat_inc(vcpu, VMM_STAT_EXIT_INTR);
		return 1;		/* the host has dealt with it */
	}
	vmm_stat_inc(vcpu, VMM_STAT_EXIT_OTHER);
	switch (vmx->intr_info & INTR_INFO_VECTOR_MASK) {
	case X86_TRAP_DB:
		return vmx_handle_db(vmx);
	case X86_TRAP_AC:
		return vmx_handle_ac(vmx);
	case X86_TRAP_MC:		/* likewise */
		return 1;
	default:
		return vmx_handle_fail(vmx);
	}
}

static int vmx_handle_irq_window(struct vmx_vcpu *vmx)
{
	vmm_stat_inc(&vmx->vcpu, VMM_STAT_EXIT_WINDOW);
	vmx_irq_window(&vmx->vcpu, false);
	vmm_make_request(&vmx->vcpu, VMM_REQ_EVENT);
	return 1;
}

static int vmx_handle_nmi_window(struct vmx_vcpu *vmx)
{
	vmm_stat_inc(&vmx->vcpu, VMM_STAT_EXIT_WINDOW);
	vmx_close_nmi_window(vmx);
	vmm_make_request(&vmx->vcpu, VMM_REQ_EVENT);
	return 1;
}

static int vmx_handle_tpr(struct vmx_vcpu *vmx)
{
	vmm_stat_inc(&vmx->vcpu, VMM_STAT_EXIT_WINDOW);
	vmm_make_request(&vmx->vcpu, VMM_REQ_EVENT);
	return 1;
}

/* a triple fault */
static int vmx_handle_shutdown(struct vmx_vcpu *vmx)
{
	vmm_vcpu_reset(&vmx->vcpu, true);
	vmx->vcpu.run->exit_reason = VMM_EXIT_SHUTDOWN;
	return 0;
}

/**
 * vmx_load_pdptes - read the four top-level entries of PAE paging into the VMCS (SDM vol. 3,
 * 5.4.1)
 * @vmx: the vCPU
 *
 * MOV to CR0, CR3 or CR4 is #GP where a present one has a reserved bit set. Here the instruction
 * has been carried out already: such an entry counts as not present, and its use is #PF.
 *
 * Context: the owner, vm->srcu held for reading; may sleep. Return: 1.
 */
int vmx_load_pdptes(struct vmx_vcpu *vmx)
{
	u64 reserved = ~GENMASK_ULL(vmm_guest_maxphyaddr(&vmx->vcpu) - 1, 12) &
		       ~(VMX_PDPTE_PRESENT | BIT_ULL(3) | BIT_ULL(4) | GENMASK_ULL(11, 9));
	gpa_t gpa = vmx_get_cr3(&vmx->vcpu) & 0xffffffe0;
	u64 pdpte[VMX_PDPTES] = {};
	unsigned int i;

	if (vmm_guest_read(vmx->vcpu.vm, gpa, pdpte, sizeof(pdpte)))
		memset(pdpte, 0, sizeof(pdpte));
	for (i = 0; i < VMX_PDPTES; i++) {
		if (!(pdpte[i] & VMX_PDPTE_PRESENT) || (pdpte[i] & reserved))
			pdpte[i] = 0;
		vmx_write(vmx, GUEST_PDPTR0 + 2 * i, pdpte[i]);
	}
	vmx->pdptes_stale = false;
	return 1;
}

/* the entry was not tried, for something had to be done first */
static int vmx_handle_prepare(struct vmx_vcpu *vmx)
{
	/* where the VMCS was taken away, this waits until it is back */
	vmx_write(vmx, VM_ENTRY_INTR_INFO_FIELD, 0);
	vmm_make_request(&vmx->vcpu, VMM_REQ_EVENT);
	return vmx->pdptes_stale ? vmx_load_pdptes(vmx) : 1;
}

/*
 * INVD and WBINVD: guests' memory is write-back and coherent, so there is nothing to write
 * back; discarding is never allowed
 */
static int vmx_handle_skip(struct vmx_vcpu *vmx)
{
	return vmm_skip(&vmx->vcpu, vmx_insn_len(vmx));
}

/**
 * vmx_handle_exit - act on the last exit
 * @vcpu: the vCPU
 *
 * Context: interrupts on; vm->srcu held for reading. Return: 1 resume the guest, 0 vcpu->run is
 * filled in, < 0 errno for VMM_RUN.
 */
int vmx_handle_exit(struct vmm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	switch (vmx->exit_reason) {
	case EXIT_REASON_EPT_VIOLATION:
		return vmx_handle_ept_violation(vmx);
	case EXIT_REASON_IO_INSTRUCTION:
		return vmx_handle_io(vmx);
	case EXIT_REASON_MSR_READ:
		vmm_stat_inc(vcpu, VMM_STAT_EXIT_MSR);
		return vmm_handle_rdmsr(vcpu, vmx_insn_len(vmx));
	case EXIT_REASON_MSR_WRITE:
		vmm_stat_inc(vcpu, VMM_STAT_EXIT_MSR);
		return vmm_handle_wrmsr(vcpu, vmx_insn_len(vmx));
	case EXIT_REASON_HLT:
		vmm_stat_inc(vcpu, VMM_STAT_EXIT_HLT);
		return vmm_handle_hlt(vcpu, vmx_insn_len(vmx));
	case EXIT_REASON_CPUID:
		vmm_stat_inc(vcpu, VMM_STAT_EXIT_CPUID);
		return vmm_handle_cpuid(vcpu, vmx_insn_len(vmx));
	case EXIT_REASON_VMCALL:
		vmm_stat_inc(vcpu, VMM_STAT_EXIT_HYPERCALL);
		return vmm_handle_hypercall(vcpu, vmx_insn_len(vmx));
	case EXIT_REASON_EXTERNAL_INTERRUPT:
	case EXIT_REASON_PREEMPTION_TIMER:
		vmm_stat_inc(vcpu, VMM_STAT_EXIT_INTR);
		return 1;
	case EXIT_REASON_EXCEPTION_NMI:
		return vmx_handle_exception(vmx);
	case EXIT_REASON_INTERRUPT_WINDOW:
		return vmx_handle_irq_window(vmx);
	case EXIT_REASON_NMI_WINDOW:
		return vmx_handle_nmi_window(vmx);
	case EXIT_REASON_TPR_BELOW_THRESHOLD:
		return vmx_handle_tpr(vmx);
	case EXIT_REASON_CR_ACCESS:
		return vmx_handle_cr(vmx);
	case EXIT_REASON_DR_ACCESS:
		return vmx_handle_dr(vmx);
	case VMX_EXIT_PREPARE:
		return vmx_handle_prepare(vmx);
	default:
		break;
	}

	vmm_stat_inc(vcpu, VMM_STAT_EXIT_OTHER);
	switch (vmx->exit_reason) {
	case EXIT_REASON_TRIPLE_FAULT:
		return vmx_handle_shutdown(vmx);
	case EXIT_REASON_TASK_SWITCH:
		return vmx_handle_task_switch(vmx);
	case EXIT_REASON_EOI_INDUCED:
		return vmx_handle_eoi_induced(vmx);
	case EXIT_REASON_APIC_WRITE:
		return vmx_handle_apic_write(vmx);
	case EXIT_REASON_INVD:
	case EXIT_REASON_WBINVD:
		return vmx_handle_skip(vmx);
	case EXIT_REASON_RDPMC:
		return vmm_handle_gp(vcpu);	/* no counters are offered */
	case EXIT_REASON_XSETBV:
		return vmm_handle_xsetbv(vcpu, vmx_insn_len(vmx));

	/* the host's business, or nobody's */
	case EXIT_REASON_INIT_SIGNAL:
	case EXIT_REASON_MCE_DURING_VMENTRY:
	case EXIT_REASON_MCE_DURING_VMENTRY | (int)VMX_EXIT_REASONS_FAILED_VMENTRY:
		return 1;

	/* CPUID offers none of these */
	case VMX_REASON_GETSEC:
	case VMX_REASON_RSM:
	case EXIT_REASON_VMCLEAR:
	case EXIT_REASON_VMLAUNCH:
	case EXIT_REASON_VMPTRLD:
	case EXIT_REASON_VMPTRST:
	case EXIT_REASON_VMREAD:
	case EXIT_REASON_VMRESUME:
	case EXIT_REASON_VMWRITE:
	case EXIT_REASON_VMOFF:
	case EXIT_REASON_VMON:
	case EXIT_REASON_INVEPT:
	case EXIT_REASON_INVVPID:
	case EXIT_REASON_VMFUNC:
	case EXIT_REASON_MWAIT_INSTRUCTION:
	case EXIT_REASON_MONITOR_INSTRUCTION:
	case EXIT_REASON_INVPCID:
	case EXIT_REASON_ENCLS:
	case EXIT_REASON_UMWAIT:
	case EXIT_REASON_TPAUSE:
	case EXIT_REASON_XSAVES:
	case EXIT_REASON_XRSTORS:
	case VMX_REASON_PCONFIG:
	case VMX_REASON_LOADIWKEY:
	case VMX_REASON_ENCLV:
	case VMX_REASON_ENQCMD:
	case VMX_REASON_ENQCMDS:
	case VMX_REASON_SEAMCALL:
	case VMX_REASON_TDCALL:
	case VMX_REASON_RDMSRLIST:
	case VMX_REASON_WRMSRLIST:
	case VMX_REASON_URDMSR:
	case VMX_REASON_UWRMSR:
		return vmm_handle_ud(vcpu);

	/* cannot happen: no control asks for them */
	case EXIT_REASON_SIPI_SIGNAL:		/* the activity state is never wait-for-SIPI */
	case VMX_REASON_IO_SMI:			/* these two are for an SMM monitor */
	case VMX_REASON_OTHER_SMI:
	case EXIT_REASON_INVLPG:
	case EXIT_REASON_RDTSC:
	case EXIT_REASON_RDTSCP:
	case EXIT_REASON_MONITOR_TRAP_FLAG:
	case EXIT_REASON_PAUSE_INSTRUCTION:
	case EXIT_REASON_APIC_ACCESS:
	case EXIT_REASON_GDTR_IDTR:
	case EXIT_REASON_LDTR_TR:
	case EXIT_REASON_EPT_MISCONFIG:		/* mmu/ writes no such entry */
	case EXIT_REASON_RDRAND:
	case EXIT_REASON_RDSEED:
	case EXIT_REASON_PML_FULL:
	case VMX_REASON_SPP:
	case EXIT_REASON_BUS_LOCK:
	case VMX_REASON_INSTR_TIMEOUT:
	/* failed entries: those of the state that somebody set, and others */
	case VMX_EXIT_NO_ENTRY:
	default:
		return vmx_handle_fail(vmx);
	}
}
