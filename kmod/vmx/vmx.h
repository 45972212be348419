/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the VT-x backend share.
 */
#ifndef KMOD_VMX_H
#define KMOD_VMX_H

/* offsets into struct vmx_entry, and a field's encoding, for vmenter.S */
#define VMX_ENTRY_GPR		0
#define VMX_ENTRY_HOST_RSP	8
#define VMX_ENTRY_SPEC_GUEST	16
#define VMX_ENTRY_SPEC_HOST	24
#define VMX_ENTRY_LAUNCHED	32
#define VMX_FIELD_HOST_RSP	0x6c14

/* what vmx_vmenter() returns */
#define VMX_ENTER_OK		0	/* an exit came, be it for a failed check of guest state */
#define VMX_ENTER_FAIL		1	/* the instruction failed: VM_INSTRUCTION_ERROR */
#define VMX_ENTER_FAULT		2	/* it faulted: an emergency turned VMX off */

#ifndef __ASSEMBLY__

#include <linux/list.h>
#include <asm/desc_defs.h>
#include <asm/vmx.h>

#include "../vmm.h"
#include "caps.h"

/**
 * struct vmx_entry - what the entry code needs
 * @gpr: general registers by enum vmm_gpr, in and out; RSP is in the VMCS
 * @host_rsp: what the VMCS has as the host's stack pointer
 * @spec_guest: SPEC_CTRL of the guest
 * @spec_host: SPEC_CTRL of the host
 * @launched: the VMCS was launched since it was cleared
 */
struct vmx_entry {
	u64 *gpr;
	u64 host_rsp;
	u64 spec_guest;
	u64 spec_host;
	u64 launched;
};

static_assert(offsetof(struct vmx_entry, gpr) == VMX_ENTRY_GPR);
static_assert(offsetof(struct vmx_entry, host_rsp) == VMX_ENTRY_HOST_RSP);
static_assert(offsetof(struct vmx_entry, spec_guest) == VMX_ENTRY_SPEC_GUEST);
static_assert(offsetof(struct vmx_entry, spec_host) == VMX_ENTRY_SPEC_HOST);
static_assert(offsetof(struct vmx_entry, launched) == VMX_ENTRY_LAUNCHED);
static_assert(HOST_RSP == VMX_FIELD_HOST_RSP);

/* MSRs that neither VM entry nor exit switches, and that the host needs only in user mode */
enum vmx_user_msr { VMX_MSR_STAR, VMX_MSR_LSTAR, VMX_MSR_FMASK, VMX_NR_USER_MSRS };

/* vmx_vcpu cached: the copy is that of the VMCS */
#define VMX_CACHED_CR0		BIT(0)
#define VMX_CACHED_CR3		BIT(1)
#define VMX_CACHED_CR4		BIT(2)
#define VMX_CACHED_SHADOW	BIT(3)

/*
 * vmx_vcpu exit_reason, besides what the processor reports: the entry code was not reached, or
 * its instruction failed. Basic reasons have 16 bits.
 */
#define VMX_EXIT_PREPARE	0x10000	/* something has to be done first that may sleep */
#define VMX_EXIT_NO_ENTRY	0x10001	/* VMLAUNCH or VMRESUME failed or faulted */

/**
 * struct vmx_host - host state that VM exits do not restore, noted at the first entry after the
 * vCPU came to this CPU
 * @loaded: the guest's is in the registers; vmx_host_restore() puts this back
 * @ds: selectors
 * @es:
 * @fs:
 * @gs:
 * @ldt:
 * @kernel_gs_base: user mode's GS base
 * @idt: IDTR: exits leave the limit at 0xffff
 */
struct vmx_host {
	bool loaded;
	u16 ds;
	u16 es;
	u16 fs;
	u16 gs;
	u16 ldt;
	u64 kernel_gs_base;
	struct desc_ptr idt;
};

/**
 * struct vmx_debug - what the self-checks of debug.c remember
 * @cpu: where translations were flushed last
 * @tlb_gen: the vCPU's generation then
 */
struct vmx_debug {
	int cpu;
	u64 tlb_gen;
};

/**
 * struct vmx_vcpu - a vCPU with its VMCS; all of it belongs to the owner ([o] of vmm.h), but for
 * what follows @vmcs
 * @vcpu: first, so that the shared code allocates both in one
 * @vmcs: the VMCS's page [I]
 * @vmcs_pa: its address [I]
 * @vmcs_cpu: CPU that may keep parts of the VMCS, -1 = none; written by that CPU with
 *	interrupts off, by the owner while it is -1 [a]
 * @vmcs_node: in that CPU's list; used by that CPU with interrupts off
 * @apic_page: the virtual-APIC page, where there is a TPR shadow [I]
 * @entry: argument of the entry code
 * @host: see there
 * @host_cr3: what the VMCS has as the host's CR3
 * @host_cr4: likewise
 * @vpid: 0 = none
 * @vpid_generation: generation of the VPID, of the CPU @vpid_cpu
 * @vpid_cpu: CPU that gave the VPID and that keeps no translation older than the last flush,
 *	-1 = none
 * @flush_linear: translations of linear addresses have to go before the next entry
 * @flush_ept: those of guest physical addresses too
 * @proc: primary execution controls, as in the VMCS
 * @proc2: secondary ones
 * @entry_ctls: entry controls
 * @cached: VMX_CACHED_*
 * @cr0: guest's CR0, see VMX_CACHED_CR0
 * @cr3: likewise
 * @cr4: likewise
 * @cr4_owned: bits of CR4 that the guest changes without an exit
 * @shadow: GUEST_INTERRUPTIBILITY_INFO, see VMX_CACHED_SHADOW
 * @efer: guest's EFER
 * @pdptes_stale: PAE paging is on, and its four top-level entries are not in the VMCS yet
 * @vmcs_rip: what the VMCS has, to save writes
 * @vmcs_rsp: likewise
 * @vmcs_rflags: likewise
 * @vmcs_dr7: likewise
 * @vmcs_tpr_threshold: likewise
 * @tpr_threshold: class of priority that the guest must go below for an exit
 * @x2apic: the guest is in x2APIC mode, as far as the VMCS knows
 * @irq_status: GUEST_INTR_STATUS in the VMCS, where interrupts are delivered by the processor
 * @eoi_exit: EOI_EXIT_BITMAP0 to 3, likewise
 * @user_msr: guest's values, by enum vmx_user_msr
 * @user_msr_stale: one of them is not in its register
 * @cstar: SYSCALL from compatibility mode is #UD on processors with VT-x, so this one is kept only
 * @kernel_gs_base: while @host.loaded it is in its register
 * @exit_reason: of the last exit
 * @idt_vectoring: IDT_VECTORING_INFO_FIELD of the last exit
 * @intr_info: VM_EXIT_INTR_INFO, of exits for an exception or NMI; 0 otherwise
 * @debug: of the self-checks
 */
struct vmx_vcpu {
	struct vmm_vcpu vcpu;

	void *vmcs;
	u64 vmcs_pa;
	int vmcs_cpu;
	struct list_head vmcs_node;

	void *apic_page;
	struct vmx_entry entry;
	struct vmx_host host;
	u64 host_cr3;
	u64 host_cr4;

	u16 vpid;
	u64 vpid_generation;
	int vpid_cpu;
	bool flush_linear;
	bool flush_ept;

	u32 proc;
	u32 proc2;
	u32 entry_ctls;

	u32 cached;
	u64 cr0;
	u64 cr3;
	u64 cr4;
	u64 cr4_owned;
	u32 shadow;
	u64 efer;
	bool pdptes_stale;

	u64 vmcs_rip;
	u64 vmcs_rsp;
	u64 vmcs_rflags;
	u64 vmcs_dr7;
	u32 vmcs_tpr_threshold;
	u32 tpr_threshold;

	bool x2apic;
	u16 irq_status;
	u64 eoi_exit[4];

	u64 user_msr[VMX_NR_USER_MSRS];
	bool user_msr_stale;
	u64 cstar;
	u64 kernel_gs_base;

	u32 exit_reason;
	u32 idt_vectoring;
	u32 intr_info;
#ifdef VMM_DEBUG
	struct vmx_debug debug;
#endif
};

static inline struct vmx_vcpu *to_vmx(struct vmm_vcpu *vcpu)
{
	return container_of(vcpu, struct vmx_vcpu, vcpu);
}

/* vmcs.c */
int vmx_cpus_init(void);
void vmx_cpus_exit(void);
int vmx_hardware_enable(void);
void vmx_hardware_disable(void);
void vmx_emergency_disable(void);
int vmx_vmcs_alloc(struct vmx_vcpu *vmx);
void vmx_vmcs_free(struct vmx_vcpu *vmx);
bool vmx_vmcs_load(struct vmx_vcpu *vmx);
bool vmx_vmcs_is_current(struct vmx_vcpu *vmx);
unsigned long vmx_read_slow(struct vmx_vcpu *vmx, unsigned long field);
void vmx_write_slow(struct vmx_vcpu *vmx, unsigned long field, unsigned long value);

/*
 * VMREAD and VMWRITE of the current VMCS; false when there is none. Not for those whose VMCS may
 * be taken away under them: see vmx_read().
 */
static __always_inline bool vmx_try_read(unsigned long field, unsigned long *value)
{
	u8 failed = 1;

	asm volatile("1: vmread %[field], %[value]\n\t"
		     "setna %[failed]\n"
		     "2:" _ASM_EXTABLE(1b, 2b)
		     : [value] "=r"(*value), [failed] "+qm"(failed)
		     : [field] "r"(field)
		     : "cc");
	return !failed;
}

static __always_inline bool vmx_try_write(unsigned long field, unsigned long value)
{
	u8 failed = 1;

	asm volatile("1: vmwrite %[value], %[field]\n\t"
		     "setna %[failed]\n"
		     "2:" _ASM_EXTABLE(1b, 2b)
		     : [failed] "+qm"(failed)
		     : [field] "r"(field), [value] "rm"(value)
		     : "cc", "memory");
	return !failed;
}

/*
 * A field of the vCPU's VMCS. Context: the owner, loaded. Where the host turned VMX off meanwhile,
 * for a suspend, these wait for it to come back.
 */
static inline unsigned long vmx_read(struct vmx_vcpu *vmx, unsigned long field)
{
	unsigned long value;

	if (likely(vmx_try_read(field, &value)))
		return value;
	return vmx_read_slow(vmx, field);
}

static inline void vmx_write(struct vmx_vcpu *vmx, unsigned long field, unsigned long value)
{
	if (unlikely(!vmx_try_write(field, value)))
		vmx_write_slow(vmx, field, value);
}

/* vpid.c */
void vmx_vpid_cpu_reset(void);
void vmx_vpid_prepare_irqoff(struct vmx_vcpu *vmx);
void vmx_flush_tlb_irqoff(struct vmm_vcpu *vcpu);

/* host.c */
void vmx_host_constant(struct vmx_vcpu *vmx);
void vmx_host_cpu(struct vmx_vcpu *vmx);
void vmx_host_save_irqoff(struct vmx_vcpu *vmx);
void vmx_host_restore(struct vmx_vcpu *vmx);

/* msr.c */
void vmx_msr_cpu_init(void);
int vmx_msr_init(void);
void vmx_msr_exit(void);
u64 vmx_msr_bitmap(void);
void vmx_bitmap_pass(unsigned long *bitmap, u32 msr, bool read, bool write);
void vmx_msr_load_irqoff(struct vmx_vcpu *vmx);
void vmx_msr_restore(struct vmx_vcpu *vmx);
int vmx_get_msr(struct vmm_vcpu *vcpu, u32 index, u64 *data);
int vmx_set_msr(struct vmm_vcpu *vcpu, u32 index, u64 data);

/* apicv.c */
int vmx_apicv_init(void);
void vmx_apicv_exit(void);
void vmx_apicv_reset(struct vmx_vcpu *vmx);
void vmx_apicv_prepare_irqoff(struct vmx_vcpu *vmx);
void vmx_apicv_finish_irqoff(struct vmx_vcpu *vmx);
int vmx_handle_apic_write(struct vmx_vcpu *vmx);
int vmx_handle_eoi_induced(struct vmx_vcpu *vmx);

/* enter.c */
void vmx_vcpu_load(struct vmm_vcpu *vcpu, int cpu);
void vmx_vcpu_put(struct vmm_vcpu *vcpu);
void vmx_forget(const struct vmx_vcpu *vmx);
void vmx_enter_irqoff(struct vmm_vcpu *vcpu);
void vmx_exit_irqoff(struct vmm_vcpu *vcpu);
unsigned int vmx_vmenter(struct vmx_entry *entry);
extern const char vmx_vmexit[];
void vmx_call_nmi(void);

/* exit.c */
int vmx_handle_exit(struct vmm_vcpu *vcpu);
int vmx_load_pdptes(struct vmx_vcpu *vmx);

/* debug.c */
#ifdef VMM_DEBUG
void vmx_debug_flushed(struct vmx_vcpu *vmx);
void vmx_debug_enter_irqoff(struct vmx_vcpu *vmx);
#else
static inline void vmx_debug_flushed(struct vmx_vcpu *vmx) { }
static inline void vmx_debug_enter_irqoff(struct vmx_vcpu *vmx) { }
#endif

/* check.c */
void vmx_check_report(struct vmx_vcpu *vmx);

/* event.c */
void vmx_complete_events(struct vmx_vcpu *vmx);
void vmx_inject_exception(struct vmm_vcpu *vcpu);
void vmx_inject_nmi(struct vmm_vcpu *vcpu);
void vmx_inject_irq(struct vmm_vcpu *vcpu);
void vmx_cancel_injection(struct vmm_vcpu *vcpu);
bool vmx_irq_allowed(struct vmm_vcpu *vcpu);
bool vmx_nmi_allowed(struct vmm_vcpu *vcpu);
void vmx_irq_window(struct vmm_vcpu *vcpu, bool open);
void vmx_nmi_window(struct vmm_vcpu *vcpu);
void vmx_close_nmi_window(struct vmx_vcpu *vmx);
void vmx_tpr_window(struct vmm_vcpu *vcpu, int vector);
u32 vmx_get_shadow(struct vmm_vcpu *vcpu);
void vmx_set_shadow(struct vmm_vcpu *vcpu, u32 shadow);
bool vmx_get_nmi_blocked(struct vmm_vcpu *vcpu);
void vmx_set_nmi_blocked(struct vmm_vcpu *vcpu, bool blocked);
u32 vmx_interruptibility(struct vmx_vcpu *vmx);
void vmx_set_interruptibility(struct vmx_vcpu *vmx, u32 value);

/* regs.c */
u64 vmx_get_cr0(struct vmm_vcpu *vcpu);
u64 vmx_get_cr3(struct vmm_vcpu *vcpu);
u64 vmx_get_cr4(struct vmm_vcpu *vcpu);
u64 vmx_get_efer(struct vmm_vcpu *vcpu);
void vmx_set_cr0(struct vmm_vcpu *vcpu, u64 cr0);
void vmx_set_cr3(struct vmm_vcpu *vcpu, u64 cr3);
void vmx_set_cr4(struct vmm_vcpu *vcpu, u64 cr4);
void vmx_set_efer(struct vmm_vcpu *vcpu, u64 efer);
unsigned int vmx_get_cpl(struct vmm_vcpu *vcpu);
void vmx_get_segment(struct vmm_vcpu *vcpu, unsigned int seg, struct vmm_segment *s);
void vmx_set_segment(struct vmm_vcpu *vcpu, unsigned int seg, const struct vmm_segment *s);
void vmx_get_dtable(struct vmm_vcpu *vcpu, bool idt, struct vmm_dtable *dt);
void vmx_set_dtable(struct vmm_vcpu *vcpu, bool idt, const struct vmm_dtable *dt);
void vmx_set_pat(struct vmm_vcpu *vcpu, u64 pat);
void vmx_set_tsc_offset(struct vmm_vcpu *vcpu, u64 offset);
void vmx_cpuid_changed(struct vmm_vcpu *vcpu);
bool vmx_pae_paging(struct vmx_vcpu *vmx);

#endif /* !__ASSEMBLY__ */
#endif /* KMOD_VMX_H */
