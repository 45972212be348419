// SPDX-License-Identifier: GPL-2.0
/*
 * AMD-V per CPU: switching it on and off, address-space identifiers, and the way into the
 * guest.
 *
 * An ASID tags a guest's translations in one CPU's TLB. A CPU hands them out in rising order; a
 * vCPU keeps its ASID while it stays on that CPU and the CPU's generation lasts:
 *
 *	next_asid: 1, 2, ... max --(none left)--> generation + 1, flush everything at the next
 *	VMRUN, start again at 1
 *
 * To flush a guest is to give it a fresh ASID, or where the processor can flush by ASID, to ask
 * for that.
 */
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/io.h>
#include <asm/fpu/api.h>
#include <asm/mce.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/spec-ctrl.h>
#include <asm/trapnr.h>

#include "../compat.h"
#include "../hw.h"
#include "../guest_context.h"
#include "../irq/irq.h"
#include "../x86_ops.h"
#include "svm.h"

/**
 * struct svm_cpu - a physical CPU; used by that CPU alone, preemption off, but for @last_vmcb
 * @hsave: page for VMRUN's own use (MSR VM_HSAVE_PA) [I]
 * @host: page that VMSAVE and VMLOAD keep the host's state in [I]
 * @generation: of ASIDs; starts above every vCPU's
 * @next_asid: to be given next
 * @max_asid: the highest
 * @flush_all: the next VMRUN must flush all ASIDs
 * @last_vmcb: the VMCB that ran here last, to know when predictions of another guest may
 *	linger; never dereferenced, cleared by whoever frees it [a]
 */
struct svm_cpu {
	struct page *hsave;
	struct page *host;
	u64 generation;
	u32 next_asid;
	u32 max_asid;
	bool flush_all;
	const void *last_vmcb;
};

static DEFINE_PER_CPU(struct svm_cpu, svm_cpu);

/**
 * svm_cpus_init - allocate what every possible CPU needs
 *
 * Context: module load; may sleep. Return: 0 or -ENOMEM, with nothing left allocated.
 */
int svm_cpus_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct svm_cpu *sc = per_cpu_ptr(&svm_cpu, cpu);

		sc->hsave = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL | __GFP_ZERO, 0);
		sc->host = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL | __GFP_ZERO, 0);
		if (!sc->hsave || !sc->host) {
			svm_cpus_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

/**
 * svm_cpus_exit - free it. Context: module load or unload; SVM is off everywhere.
 */
void svm_cpus_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct svm_cpu *sc = per_cpu_ptr(&svm_cpu, cpu);

		if (sc->hsave)
			__free_page(sc->hsave);
		if (sc->host)
			__free_page(sc->host);
		sc->hsave = NULL;
		sc->host = NULL;
	}
}

/**
 * svm_hardware_enable - turn SVM on, on this CPU (APM vol. 2, 15.4)
 *
 * Context: preemption off. Return: 0, or -EBUSY when SVM is on already: it is another
 * hypervisor's then.
 */
int svm_hardware_enable(void)
{
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (efer & EFER_SVME)
		return -EBUSY;

	sc->max_asid = cpuid_ebx(0x8000000a) - 1;
	sc->next_asid = sc->max_asid + 1; /* the first use starts a generation with a full flush */
	sc->generation++;		/* and that is the next use: no vCPU's ASID counts */
	sc->last_vmcb = NULL;

	wrmsrl(MSR_EFER, efer | EFER_SVME);
	wrmsrl(MSR_VM_HSAVE_PA, __sme_set(page_to_phys(sc->hsave)));
	return 0;
}

/**
 * svm_hardware_disable - turn SVM off, on this CPU. Context: preemption off;
 * svm_hardware_enable() succeeded here.
 */
void svm_hardware_disable(void)
{
	u64 efer;

	wrmsrl(MSR_VM_HSAVE_PA, 0);
	rdmsrl(MSR_EFER, efer);
	wrmsrl(MSR_EFER, efer & ~EFER_SVME);
}

/**
 * svm_emergency_disable - leave SVM before the kernel dies or restarts
 *
 * A CPU with GIF clear takes no INIT: set GIF first, and tolerate that SVM is off already.
 * Context: any, NMI too.
 */
void svm_emergency_disable(void)
{
	u64 efer;

	if (rdmsrl_safe(MSR_EFER, &efer) || !(efer & EFER_SVME))
		return;
	asm volatile("1: stgi\n2:" _ASM_EXTABLE(1b, 2b) ::: "memory");
	wrmsrl_safe(MSR_EFER, efer & ~EFER_SVME);
}

static void svm_new_asid(struct svm_vcpu *svm, struct svm_cpu *sc)
{
	if (sc->next_asid > sc->max_asid) {
		sc->generation++;
		sc->next_asid = 1;
		sc->flush_all = true;
	}
	svm->asid_generation = sc->generation;
	svm->asid_cpu = smp_processor_id();
	svm->vmcb->control.asid = sc->next_asid++;
	svm_mark_dirty(svm, SVM_CLEAN_ASID);
}

/**
 * svm_flush_tlb_irqoff - use no translation of this guest that was made before now
 * @vcpu: the vCPU, about to enter
 *
 * Context: interrupts off.
 */
void svm_flush_tlb_irqoff(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (boot_cpu_has(X86_FEATURE_FLUSHBYASID))
		svm->vmcb->control.tlb_control = SVM_TLB_FLUSH_ASID;
	else
		svm->asid_cpu = -1;	/* a fresh one at entry */
}

/**
 * svm_vcpu_load - the vCPU's thread runs on @cpu now
 * @vcpu: the vCPU
 * @cpu: this CPU
 *
 * Context: preemption off.
 */
void svm_vcpu_load(struct vmm_vcpu *vcpu, int cpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);

	svm->host_saved = false;
	/*
	 * What the processor kept of this VMCB is from its last run here; another CPU may have
	 * run it since, though none other ran here.
	 */
	if (svm->last_cpu != cpu) {
		svm->last_cpu = cpu;
		svm->vmcb->control.clean = 0;
	}
	if (READ_ONCE(sc->last_vmcb) == svm->vmcb)
		return;
	/* the predictions of another guest must not steer this one, and no clean bit holds */
	WRITE_ONCE(sc->last_vmcb, svm->vmcb);
	svm->vmcb->control.clean = 0;
	indirect_branch_prediction_barrier();
}

/**
 * svm_forget_vmcb - a VMCB is about to be freed: its address may come back as another guest's
 * @vmcb: the VMCB
 *
 * Context: any.
 */
void svm_forget_vmcb(const struct vmcb *vmcb)
{
	int cpu;

	for_each_possible_cpu(cpu)
		cmpxchg(&per_cpu_ptr(&svm_cpu, cpu)->last_vmcb, (const void *)vmcb, NULL);
}

/**
 * svm_vcpu_put - the vCPU's thread leaves its CPU. Context: preemption off.
 * @vcpu: the vCPU
 *
 * Each exit has loaded LDTR as it was at the first entry. Another thread may have given the process
 * another LDT since, and the one that LDTR points at is freed memory then. The kernel has changed
 * the descriptor in this CPU's GDT, so take it from there.
 */
void svm_vcpu_put(struct vmm_vcpu *vcpu)
{
	u16 ldt;

	if (!to_svm(vcpu)->host_saved)
		return;
	store_ldt(ldt);
	if (unlikely(ldt))
		asm volatile("lldt %0" : : "r"(ldt));
}

static __always_inline void svm_clgi(void)
{
	asm volatile("1: clgi\n2:" _ASM_EXTABLE(1b, 2b) ::: "memory");
}

static __always_inline void svm_stgi(void)
{
	asm volatile("1: stgi\n2:" _ASM_EXTABLE(1b, 2b) ::: "memory");
}

/* what only the entry of a vCPU on this CPU needs, and what changed hands since its last one */
static void svm_prepare(struct svm_vcpu *svm)
{
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);
	struct vmcb *vmcb = svm->vmcb;
	struct vmm_vcpu *vcpu = &svm->vcpu;
	u8 tpr = vmm_lapic_get_cr8(vcpu);

	if (!svm->host_saved) {
		svm->entry.host_pa = __sme_set(page_to_phys(sc->host));
		asm volatile("1: vmsave %0\n2:" _ASM_EXTABLE(1b, 2b)
			     :
			     : "a"(svm->entry.host_pa)
			     : "memory");
		svm->host_saved = true;
	}
	if (svm->asid_cpu != smp_processor_id() || svm->asid_generation != sc->generation)
		svm_new_asid(svm, sc);
	if (sc->flush_all) {
		vmcb->control.tlb_control = SVM_TLB_FLUSH_ALL;
		sc->flush_all = false;
	}
	if ((vmcb->control.int_ctl & SVM_INT_V_TPR) != tpr) {
		vmcb->control.int_ctl = (vmcb->control.int_ctl & ~SVM_INT_V_TPR) | tpr;
		svm_mark_dirty(svm, SVM_CLEAN_TPR);
	}
	if (vmcb->save.cr2 != vcpu->cr2) {
		vmcb->save.cr2 = vcpu->cr2;
		svm_mark_dirty(svm, SVM_CLEAN_CR2);
	}
	if (vmcb->save.dr6 != vcpu->dr6 || vmcb->save.dr7 != vcpu->dr7) {
		vmcb->save.dr6 = vcpu->dr6;
		vmcb->save.dr7 = vcpu->dr7;
		svm_mark_dirty(svm, SVM_CLEAN_DR);
	}
	vmcb->save.rax = vcpu->gpr[VMM_RAX];
	vmcb->save.rsp = vcpu->gpr[VMM_RSP];
	vmcb->save.rip = vcpu->rip;
	vmcb->save.rflags = vcpu->rflags | (svm->nmi_step ? X86_EFLAGS_TF : 0);
	if (unlikely(svm->exit_at_once))
		smp_send_reschedule(smp_processor_id());
	/*
	 * stays if the processor does not even start, because an emergency turned SVM off under
	 * us
	 */
	vmcb->control.exit_code = SVM_EXIT_INVALID;
}

static noinstr void svm_run(struct svm_vcpu *svm)
{
	vmm_guest_state_enter_irqoff();
	svm_vmenter(&svm->entry);
	vmm_guest_state_exit_irqoff();
}

/**
 * svm_enter_irqoff - run the guest until its next exit
 * @vcpu: the vCPU, loaded on this CPU
 *
 * Context: interrupts off; its FPU state and XCR0 are in the registers.
 */
void svm_enter_irqoff(struct vmm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	unsigned long debugctl;
	u8 tpr;

	svm_prepare(svm);
	if (boot_cpu_has(X86_FEATURE_V_SPEC_CTRL))
		vmcb->save.spec_ctrl = svm->entry.spec_guest;
	else
		svm->entry.spec_host = this_cpu_read(x86_spec_ctrl_current);

	/* the guest's is 0; without LBR virtualization the processor leaves the host's in force */
	debugctl = get_debugctlmsr();
	if (unlikely(debugctl))
		update_debugctlmsr(0);

	svm_debug_enter_irqoff(svm);
	svm_clgi();
	svm_run(svm);
	svm_stgi();
	svm_debug_exit_irqoff(svm);

	if (unlikely(debugctl))
		update_debugctlmsr(debugctl);

	vcpu->gpr[VMM_RAX] = vmcb->save.rax;
	vcpu->gpr[VMM_RSP] = vmcb->save.rsp;
	vcpu->rip = vmcb->save.rip;
	vcpu->rflags = vmcb->save.rflags;
	/* behind an IRET its flags are in force */
	if (unlikely(svm->nmi_step) && !(svm->iret_pending && vcpu->rip != svm->iret_rip))
		vcpu->rflags = (vcpu->rflags & ~X86_EFLAGS_TF) | svm->step_rflags;
	vcpu->cr2 = vmcb->save.cr2;
	vcpu->dr6 = vmcb->save.dr6;
	vcpu->dr7 = vmcb->save.dr7;
	svm->exit_code = (u32)vmcb->control.exit_code;
	vmcb->control.clean = SVM_CLEAN_ALL;
	if (unlikely(svm->exit_code == SVM_EXIT_INVALID)) {
		/* nothing was loaded, and nothing flushed */
		vmcb->control.clean = 0;
		svm->asid_cpu = -1;
		if (vmcb->control.tlb_control == SVM_TLB_FLUSH_ALL)
			this_cpu_write(svm_cpu.flush_all, true);
	}
	vmcb->control.tlb_control = SVM_TLB_KEEP;
	if (unlikely(svm->exit_at_once)) {
		svm->exit_at_once = false;
		vmm_make_request(vcpu, VMM_REQ_EVENT);
	}

	tpr = vmcb->control.int_ctl & SVM_INT_V_TPR;
	if (unlikely(tpr != (u8)vmm_lapic_get_cr8(vcpu))) {
		vmm_lapic_set_cr8(vcpu, tpr & 0xf);
		vmm_make_request(vcpu, VMM_REQ_EVENT);
	}
	svm_complete_events(svm);
}

/**
 * svm_exit_irqoff - what an exit needs before the host's interrupts are on
 * @vcpu: the vCPU
 *
 * A host interrupt or NMI that ended the guest is still pending and comes by itself, the NMI at
 * STGI, the interrupt as soon as interrupts are on. A machine check was consumed by the exit:
 * hand it to the host. Context: interrupts off.
 */
void svm_exit_irqoff(struct vmm_vcpu *vcpu)
{
	if (to_svm(vcpu)->exit_code == SVM_EXIT_EXCEPTION(X86_TRAP_MC))
		vmm_host_machine_check();
}
