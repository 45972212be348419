/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the AMD-V backend share.
 */
#ifndef KMOD_SVM_H
#define KMOD_SVM_H

/* offsets into struct svm_entry, for vmenter.S */
#define SVM_ENTRY_GPR		0
#define SVM_ENTRY_VMCB_PA	8
#define SVM_ENTRY_HOST_PA	16
#define SVM_ENTRY_SPEC_GUEST	24
#define SVM_ENTRY_SPEC_HOST	32

#ifndef __ASSEMBLY__

#include <asm/trapnr.h>

#include "../debug.h"
#include "../vmm.h"
#include "vmcb.h"

/**
 * struct svm_entry - what the entry code needs
 * @gpr: general registers by enum vmm_gpr, in and out; RAX and RSP are in the VMCB
 * @vmcb_pa: the guest's VMCB
 * @host_pa: this CPU's page for VMLOAD of the host's own state
 * @spec_guest: SPEC_CTRL of the guest; used where the processor has the MSR and does not switch
 *	it by itself
 * @spec_host: SPEC_CTRL of the host
 */
struct svm_entry {
	u64 *gpr;
	u64 vmcb_pa;
	u64 host_pa;
	u64 spec_guest;
	u64 spec_host;
};

static_assert(offsetof(struct svm_entry, gpr) == SVM_ENTRY_GPR);
static_assert(offsetof(struct svm_entry, vmcb_pa) == SVM_ENTRY_VMCB_PA);
static_assert(offsetof(struct svm_entry, host_pa) == SVM_ENTRY_HOST_PA);
static_assert(offsetof(struct svm_entry, spec_guest) == SVM_ENTRY_SPEC_GUEST);
static_assert(offsetof(struct svm_entry, spec_host) == SVM_ENTRY_SPEC_HOST);

/**
 * struct svm_debug - what the self-checks of debug.c remember of a vCPU's last run
 * @last: the VMCB after it
 * @cpu: CPU of it, -1 = none that counts
 * @asid_generation: of that CPU then
 * @tlb_gen: generation of translations that it was entered with
 */
struct svm_debug {
	struct vmcb *last;
	int cpu;
	u64 asid_generation;
	u64 tlb_gen;
};

/**
 * struct svm_vcpu - a vCPU with its control block; all of it belongs to the owner ([o] of
 * vmm.h)
 * @vcpu: first, so that the shared code allocates both in one
 * @vmcb: the control block
 * @entry: argument of the entry code
 * @asid_generation: generation of the ASID in the VMCB, of the CPU @asid_cpu
 * @asid_cpu: CPU that gave the ASID, -1 = none
 * @last_cpu: CPU that the vCPU was loaded on last, -1 = none
 * @host_saved: this CPU's host page holds the host's state as VMLOAD will need it
 * @cr0: guest's CR0; the VMCB's differs in CD and NW, and the guest may change TS and MP
 *	without an exit
 * @efer: guest's EFER; the VMCB's has SVME
 * @nmi_blocked: in an NMI handler
 * @iret_pending: its IRET was seen at @iret_rip and has not retired
 * @iret_rip: see @iret_pending
 * @nmi_step: TF was set by us to see that IRET retire
 * @step_rflags: the guest's own TF meanwhile
 * @step_dr6: its DR6 before
 * @exit_at_once: the next entry is to end as soon as what it injects is delivered
 * @irq_window: V_IRQ is set to learn when an interrupt can be taken
 * @cr8_window: a CR8 write may unblock an interrupt
 * @soft_rip: RIP at which #BP or #OF was injected last
 * @exit_code: of the last exit
 * @debug: of the self-checks
 */
struct svm_vcpu {
	struct vmm_vcpu vcpu;
	struct vmcb *vmcb;
	struct svm_entry entry;
	u64 asid_generation;
	int asid_cpu;
	int last_cpu;
	bool host_saved;
	u64 cr0;
	u64 efer;
	bool nmi_blocked;
	bool iret_pending;
	u64 iret_rip;
	bool nmi_step;
	u64 step_rflags;
	u64 step_dr6;
	bool exit_at_once;
	bool irq_window;
	bool cr8_window;
	u64 soft_rip;
	u32 exit_code;
#ifdef VMM_DEBUG
	struct svm_debug debug;
#endif
};

static inline struct svm_vcpu *to_svm(struct vmm_vcpu *vcpu)
{
	return container_of(vcpu, struct svm_vcpu, vcpu);
}

/* exceptions that instructions ask for: INT3, INTO */
static inline bool svm_is_soft(u8 vector)
{
	return vector == X86_TRAP_BP || vector == X86_TRAP_OF;
}

/* a field of the VMCB in the group(s) @bits changed: the processor must load them */
static inline void svm_mark_dirty(struct svm_vcpu *svm, u32 bits)
{
	if (!vmm_planted(VMM_PLANT_CACHE))
		svm->vmcb->control.clean &= ~bits;
}

/* enter.c */
int svm_hardware_enable(void);
void svm_hardware_disable(void);
void svm_emergency_disable(void);
int svm_cpus_init(void);
void svm_cpus_exit(void);
void svm_vcpu_load(struct vmm_vcpu *vcpu, int cpu);
void svm_vcpu_put(struct vmm_vcpu *vcpu);
void svm_forget_vmcb(const struct vmcb *vmcb);
void svm_flush_tlb_irqoff(struct vmm_vcpu *vcpu);
void svm_enter_irqoff(struct vmm_vcpu *vcpu);
void svm_exit_irqoff(struct vmm_vcpu *vcpu);
void svm_vmenter(struct svm_entry *entry);

/* exit.c */
int svm_handle_exit(struct vmm_vcpu *vcpu);
void svm_complete_events(struct svm_vcpu *svm);

/* event.c */
void svm_inject_exception(struct vmm_vcpu *vcpu);
void svm_inject_nmi(struct vmm_vcpu *vcpu);
void svm_inject_irq(struct vmm_vcpu *vcpu);
void svm_cancel_injection(struct vmm_vcpu *vcpu);
bool svm_irq_allowed(struct vmm_vcpu *vcpu);
bool svm_nmi_allowed(struct vmm_vcpu *vcpu);
void svm_irq_window(struct vmm_vcpu *vcpu, bool open);
void svm_nmi_window(struct vmm_vcpu *vcpu);
void svm_tpr_window(struct vmm_vcpu *vcpu, int vector);
u32 svm_get_shadow(struct vmm_vcpu *vcpu);
void svm_set_shadow(struct vmm_vcpu *vcpu, u32 shadow);
bool svm_get_nmi_blocked(struct vmm_vcpu *vcpu);
void svm_set_nmi_blocked(struct vmm_vcpu *vcpu, bool blocked);
bool svm_end_nmi_step(struct svm_vcpu *svm);

/* regs.c */
void svm_vcpu_reset(struct vmm_vcpu *vcpu);
u64 svm_get_cr0(struct vmm_vcpu *vcpu);
u64 svm_get_cr3(struct vmm_vcpu *vcpu);
u64 svm_get_cr4(struct vmm_vcpu *vcpu);
u64 svm_get_efer(struct vmm_vcpu *vcpu);
void svm_set_cr0(struct vmm_vcpu *vcpu, u64 cr0);
void svm_set_cr3(struct vmm_vcpu *vcpu, u64 cr3);
void svm_set_cr4(struct vmm_vcpu *vcpu, u64 cr4);
void svm_set_efer(struct vmm_vcpu *vcpu, u64 efer);
unsigned int svm_get_cpl(struct vmm_vcpu *vcpu);
void svm_get_segment(struct vmm_vcpu *vcpu, unsigned int seg, struct vmm_segment *s);
void svm_set_segment(struct vmm_vcpu *vcpu, unsigned int seg, const struct vmm_segment *s);
void svm_get_dtable(struct vmm_vcpu *vcpu, bool idt, struct vmm_dtable *dt);
void svm_set_dtable(struct vmm_vcpu *vcpu, bool idt, const struct vmm_dtable *dt);
void svm_set_pat(struct vmm_vcpu *vcpu, u64 pat);
int svm_get_msr(struct vmm_vcpu *vcpu, u32 index, u64 *data);
int svm_set_msr(struct vmm_vcpu *vcpu, u32 index, u64 data);
void svm_set_tsc_offset(struct vmm_vcpu *vcpu, u64 offset);
void svm_cpuid_changed(struct vmm_vcpu *vcpu);

/* debug.c */
#ifdef VMM_DEBUG
int svm_debug_create(struct svm_vcpu *svm);
void svm_debug_free(struct svm_vcpu *svm);
void svm_debug_enter_irqoff(struct svm_vcpu *svm);
void svm_debug_exit_irqoff(struct svm_vcpu *svm);
#else
static inline int svm_debug_create(struct svm_vcpu *svm) { return 0; }
static inline void svm_debug_free(struct svm_vcpu *svm) { }
static inline void svm_debug_enter_irqoff(struct svm_vcpu *svm) { }
static inline void svm_debug_exit_irqoff(struct svm_vcpu *svm) { }
#endif

#endif /* !__ASSEMBLY__ */
#endif /* KMOD_SVM_H */
