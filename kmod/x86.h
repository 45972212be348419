/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the processor's shared parts offer each other and the vendors: limits of this host,
 * registers with their checks, instructions.
 */
#ifndef KMOD_X86_H
#define KMOD_X86_H

#include "emulate.h"
#include "vmm.h"

#define VMM_DR7_GD	BIT(13)		/* general detect: debug register accesses fault */
#define VMM_DR6_BD	BIT(13)		/* because of it */
#define VMM_DR6_BS	BIT(14)		/* single step */

/**
 * struct vmm_caps - what this host's processor and kernel allow a guest; filled once at load
 * @xcr0: bits of XCR0 that a guest may set; 0 = no XSAVE
 * @cr4: bits of CR4 that a guest may set, before CPUID narrows them
 * @efer: bits of EFER
 * @tsc_stable: the TSC runs alike on every CPU and never stops
 * @host_xcr0: XCR0 of the host
 */
struct vmm_caps {
	u64 xcr0;
	u64 cr4;
	u64 efer;
	bool tsc_stable;
	u64 host_xcr0;
};

extern struct vmm_caps vmm_caps;

/* state.c: writes with the checks that the instruction makes; 1 = #GP(0), nothing changed */
int vmm_set_cr0(struct vmm_vcpu *vcpu, u64 cr0);
int vmm_set_cr4(struct vmm_vcpu *vcpu, u64 cr4);
int vmm_set_efer(struct vmm_vcpu *vcpu, u64 efer);
int vmm_set_xcr0(struct vmm_vcpu *vcpu, u64 xcr0);
int vmm_set_dr(struct vmm_vcpu *vcpu, unsigned int dr, u64 value);
u64 vmm_get_dr(struct vmm_vcpu *vcpu, unsigned int dr);
void vmm_vcpu_reset(struct vmm_vcpu *vcpu, bool init);
void vmm_vcpu_start_sipi(struct vmm_vcpu *vcpu, u8 vector);
int vmm_vcpu_get_state(struct vmm_vcpu *vcpu, struct vmm_state *state);
int vmm_vcpu_set_state(struct vmm_vcpu *vcpu, const struct vmm_state *state);
int vmm_vm_get_state(struct vmm_vm *vm, struct vmm_state *state);
int vmm_vm_set_state(struct vmm_vm *vm, const struct vmm_state *state);
int vmm_supported_state(struct vmm_state *state);

static inline bool vmm_is_long_mode(struct vmm_vcpu *vcpu)
{
	return vmm_get_efer(vcpu) & BIT_ULL(10);	/* LMA */
}

bool vmm_is_64bit(struct vmm_vcpu *vcpu);	/* executes 64-bit code now */

/* event.c */
int vmm_prepare_events(struct vmm_vcpu *vcpu);
bool vmm_events_wake(struct vmm_vcpu *vcpu);
void vmm_events_get(struct vmm_vcpu *vcpu, struct vmm_events *ev);
int vmm_events_set(struct vmm_vcpu *vcpu, const struct vmm_events *ev);

/* cpuid.c */
int vmm_cpuid_module_init(void);
int vmm_cpuid_create(struct vmm_vcpu *vcpu);
void vmm_cpuid_free(struct vmm_vcpu *vcpu);
int vmm_cpuid_set(struct vmm_vcpu *vcpu, const struct vmm_cpuid_entry *entries, unsigned int nr);
unsigned int vmm_cpuid_get(struct vmm_vcpu *vcpu, struct vmm_cpuid_entry *entries,
			   unsigned int max);
unsigned int vmm_cpuid_supported(struct vmm_cpuid_entry *entries, unsigned int max);
void vmm_cpuid(struct vmm_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
u64 vmm_guest_cr4_mask(struct vmm_vcpu *vcpu);
bool vmm_guest_has(struct vmm_vcpu *vcpu, u32 leaf, u32 subleaf, unsigned int reg, u32 bit);

/* msr.c: 1 = #GP(0) */
int vmm_msr_read(struct vmm_vcpu *vcpu, u32 index, u64 *data, bool by_host);
int vmm_msr_write(struct vmm_vcpu *vcpu, u32 index, u64 data, bool by_host);
unsigned int vmm_msr_list(u32 *list, unsigned int max);
void vmm_msr_reset(struct vmm_vcpu *vcpu, bool init);

/* fpu.c */
int vmm_fpu_create(struct vmm_vcpu *vcpu);
void vmm_fpu_free(struct vmm_vcpu *vcpu);
int vmm_fpu_load(struct vmm_vcpu *vcpu);
void vmm_fpu_put(struct vmm_vcpu *vcpu);
void vmm_fpu_enter_irqoff(struct vmm_vcpu *vcpu);
void vmm_fpu_exit_irqoff(struct vmm_vcpu *vcpu);
int vmm_fpu_get_xsave(struct vmm_vcpu *vcpu, void *buf, u32 size);
u32 vmm_fpu_xsave_size(struct vmm_vcpu *vcpu);
int vmm_fpu_set_xsave(struct vmm_vcpu *vcpu, const void *buf, u32 size);

/* tsc.c */
void vmm_tsc_vm_init(struct vmm_vm *vm);
void vmm_tsc_update(struct vmm_vcpu *vcpu);
void vmm_tsc_set(struct vmm_vcpu *vcpu, u64 guest_tsc, bool adjust);
int vmm_clock_write(struct vmm_vcpu *vcpu, u64 data);
int vmm_clock_write_wall(struct vmm_vcpu *vcpu, u64 data);
void vmm_clock_update(struct vmm_vcpu *vcpu);
void vmm_clock_get(struct vmm_vm *vm, struct vmm_clock *clock);
int vmm_clock_set(struct vmm_vm *vm, const struct vmm_clock *clock);

/* insn.c: handlers return as exit handlers do: 1 resume, 0 to userland, < 0 errno */
int vmm_insn_create(struct vmm_vcpu *vcpu);
void vmm_insn_free(struct vmm_vcpu *vcpu);
bool vmm_decode(struct vmm_vcpu *vcpu, struct vmm_em_insn *insn, int *ret);
int vmm_skip(struct vmm_vcpu *vcpu, unsigned int len);
int vmm_emulate(struct vmm_vcpu *vcpu, gpa_t gpa);
int vmm_emulate_resume(struct vmm_vcpu *vcpu);
int vmm_pio(struct vmm_vcpu *vcpu, u16 port, unsigned int size, bool in, u64 next_rip);
bool vmm_read_operand(struct vmm_vcpu *vcpu, const struct vmm_em_insn *insn,
		      const struct vmm_em_operand *op, u64 *value, int *ret);
bool vmm_write_operand(struct vmm_vcpu *vcpu, const struct vmm_em_insn *insn,
		       const struct vmm_em_operand *op, u64 value, int *ret);

/* task_switch.c */
struct vmm_task_switch;
int vmm_task_switch(struct vmm_vcpu *vcpu, const struct vmm_task_switch *ts);

/*
 * handlers.c: exits that mean the same on every vendor; called with the decoded instruction's
 * length
 */
int vmm_handle_cpuid(struct vmm_vcpu *vcpu, unsigned int len);
int vmm_handle_rdmsr(struct vmm_vcpu *vcpu, unsigned int len);
int vmm_handle_wrmsr(struct vmm_vcpu *vcpu, unsigned int len);
int vmm_handle_hlt(struct vmm_vcpu *vcpu, unsigned int len);
int vmm_handle_hypercall(struct vmm_vcpu *vcpu, unsigned int len);
int vmm_handle_xsetbv(struct vmm_vcpu *vcpu, unsigned int len);
int vmm_handle_mov_cr(struct vmm_vcpu *vcpu, const struct vmm_em_insn *insn);
int vmm_handle_mov_dr(struct vmm_vcpu *vcpu, const struct vmm_em_insn *insn);
int vmm_handle_ud(struct vmm_vcpu *vcpu);
int vmm_handle_gp(struct vmm_vcpu *vcpu);
int vmm_handle_fault(struct vmm_vcpu *vcpu, gpa_t gpa, u32 access, bool in_delivery);
int vmm_exit_emulation(struct vmm_vcpu *vcpu, gpa_t gpa);

#endif /* KMOD_X86_H */
