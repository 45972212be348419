/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vendor table: what SVM and VMX do differently, and nothing else. Each op is a static
 * call; vmm_x86_ops_update() binds them once, at module load.
 *
 * VMM_X86_OP(return type, name, (parameters), (arguments)). Unless said otherwise an op is
 * called by the vCPU's owner, outside the guest, where it may sleep. *_irqoff: interrupts are
 * off.
 */
#ifndef KMOD_X86_OPS_H
#define KMOD_X86_OPS_H

#include <linux/static_call.h>

#include "vmm.h"

#define VMM_X86_OPS(OP)										\
	/* this CPU: virtualization on (EBUSY: somebody else has it) and off; preemption off */	\
	OP(int,  hardware_enable, (void))							\
	OP(void, hardware_disable, (void))							\
	/* the vCPU's control block */								\
	OP(int,  vcpu_create, (struct vmm_vcpu *vcpu))						\
	OP(void, vcpu_free, (struct vmm_vcpu *vcpu))						\
	OP(void, vcpu_reset, (struct vmm_vcpu *vcpu))						\
	/* the thread came to a CPU, leaves it; preemption off */				\
	OP(void, vcpu_load, (struct vmm_vcpu *vcpu, int cpu))					\
	OP(void, vcpu_put, (struct vmm_vcpu *vcpu))						\
	/* entry and exit */									\
	OP(void, flush_tlb_irqoff, (struct vmm_vcpu *vcpu))					\
	OP(void, enter_irqoff, (struct vmm_vcpu *vcpu))						\
	OP(void, exit_irqoff, (struct vmm_vcpu *vcpu))						\
	OP(int,  handle_exit, (struct vmm_vcpu *vcpu))						\
	OP(u64,  exit_code, (struct vmm_vcpu *vcpu))						\
	/* events: into the control block; back out of it when the entry does not happen */	\
	OP(void, inject_exception, (struct vmm_vcpu *vcpu))					\
	OP(void, inject_nmi, (struct vmm_vcpu *vcpu))						\
	OP(void, inject_irq, (struct vmm_vcpu *vcpu))						\
	OP(void, cancel_injection, (struct vmm_vcpu *vcpu))					\
	OP(bool, irq_allowed, (struct vmm_vcpu *vcpu))						\
	OP(bool, nmi_allowed, (struct vmm_vcpu *vcpu))						\
	OP(void, irq_window, (struct vmm_vcpu *vcpu, bool open))				\
	OP(void, nmi_window, (struct vmm_vcpu *vcpu))						\
	OP(void, tpr_window, (struct vmm_vcpu *vcpu, int vector))				\
	OP(u32,  get_shadow, (struct vmm_vcpu *vcpu))						\
	OP(void, set_shadow, (struct vmm_vcpu *vcpu, u32 shadow))				\
	OP(bool, get_nmi_blocked, (struct vmm_vcpu *vcpu))					\
	OP(void, set_nmi_blocked, (struct vmm_vcpu *vcpu, bool blocked))			\
	/* registers that live in the control block */						\
	OP(u64,  get_cr0, (struct vmm_vcpu *vcpu))						\
	OP(u64,  get_cr3, (struct vmm_vcpu *vcpu))						\
	OP(u64,  get_cr4, (struct vmm_vcpu *vcpu))						\
	OP(u64,  get_efer, (struct vmm_vcpu *vcpu))						\
	OP(void, set_cr0, (struct vmm_vcpu *vcpu, u64 cr0))					\
	OP(void, set_cr3, (struct vmm_vcpu *vcpu, u64 cr3))					\
	OP(void, set_cr4, (struct vmm_vcpu *vcpu, u64 cr4))					\
	OP(void, set_efer, (struct vmm_vcpu *vcpu, u64 efer))					\
	OP(unsigned int, get_cpl, (struct vmm_vcpu *vcpu))					\
	OP(void, get_segment, (struct vmm_vcpu *vcpu, unsigned int seg, struct vmm_segment *s))	\
	OP(void, set_segment, (struct vmm_vcpu *vcpu, unsigned int seg,				\
			       const struct vmm_segment *s))					\
	OP(void, get_dtable, (struct vmm_vcpu *vcpu, bool idt, struct vmm_dtable *dt))		\
	OP(void, set_dtable, (struct vmm_vcpu *vcpu, bool idt, const struct vmm_dtable *dt))	\
	OP(void, set_pat, (struct vmm_vcpu *vcpu, u64 pat))					\
	/* MSRs that the processor switches; 1 = not one of those */				\
	OP(int,  get_msr, (struct vmm_vcpu *vcpu, u32 index, u64 *data))			\
	OP(int,  set_msr, (struct vmm_vcpu *vcpu, u32 index, u64 data))				\
	OP(void, set_tsc_offset, (struct vmm_vcpu *vcpu, u64 offset))				\
	/* CPUID was set */									\
	OP(void, cpuid_changed, (struct vmm_vcpu *vcpu))

/**
 * struct vmm_x86_vendor - a backend
 * @name: for messages
 * @vcpu_size: bytes of the backend's vCPU, which starts with struct vmm_vcpu
 * @setup: is the processor good enough, and what can it do; called once at load. Prints why
 *	not, but for -ENODEV: it is not this backend's
 * @cleanup: undoes @setup
 * @emergency_disable: leave guest mode for good on this CPU before a crash kernel or reboot;
 *	any context
 *
 * The rest are the ops.
 */
struct vmm_x86_vendor {
	const char *name;
	size_t vcpu_size;
	int (*setup)(void);
	void (*cleanup)(void);
	void (*emergency_disable)(void);
#define OP(ret, name, params) typeof(ret params) *name;
	VMM_X86_OPS(OP)
#undef OP
};

#define OP(ret, name, params) \
	DECLARE_STATIC_CALL(vmm_x86_##name, *((struct vmm_x86_vendor *)NULL)->name);
VMM_X86_OPS(OP)
#undef OP

#define vmm_x86(name) static_call(vmm_x86_##name)

extern const struct vmm_x86_vendor *vmm_vendor;
extern const struct vmm_x86_vendor svm_vendor;
extern const struct vmm_x86_vendor vmx_vendor;

#endif /* KMOD_X86_OPS_H */
