/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Self-checks of VMM_DEBUG builds, for what no emulator shows: a TLB flush that was missed, a
 * field that the processor was told not to reload, a register of the host that a guest's value
 * stays in. A check that fails says so once and ends that VM; the host and the others go on.
 *
 * Without VMM_DEBUG all of it is empty.
 */
#ifndef KMOD_DEBUG_H
#define KMOD_DEBUG_H

#include <linux/bits.h>
#include <linux/types.h>

/*
 * faults that can be planted (module parameter "plant"), to prove that the checks find them
 */
#define VMM_PLANT_FLUSH		BIT(0)	/* vmm_flush_remote() waits for nobody */
#define VMM_PLANT_TLB		BIT(1)	/* a vCPU enters without the flush that it owes */
#define VMM_PLANT_CACHE		BIT(2)	/* the vendor does not note changes of a control block */
#define VMM_PLANT_MSR		BIT(3)	/* an exit leaves an MSR of the host changed */
#define VMM_PLANT_LAZY		BIT(4)	/* so does leaving the CPU */

struct vmm_vcpu;
struct vmm_vm;

#ifdef VMM_DEBUG

extern unsigned int vmm_plant;

static inline bool vmm_planted(unsigned int fault)
{
	return READ_ONCE(vmm_plant) & fault;
}

void vmm_debug_init(void);
void vmm_debug_lazy_msr(u32 index);
void vmm_debug_lazy_reg(unsigned int reg);
__printf(2, 3) void vmm_debug_fail(struct vmm_vm *vm, const char *fmt, ...);
void vmm_debug_vcpu_init(struct vmm_vcpu *vcpu);
void vmm_debug_vcpu_load(struct vmm_vcpu *vcpu);
void vmm_debug_vcpu_put(struct vmm_vcpu *vcpu);
void vmm_debug_report(struct vmm_vcpu *vcpu);
void vmm_debug_enter_irqoff(struct vmm_vcpu *vcpu);
void vmm_debug_exit_irqoff(struct vmm_vcpu *vcpu);
void vmm_debug_flushed(struct vmm_vm *vm, u64 gen);

#else

static inline bool vmm_planted(unsigned int fault) { return false; }
static inline void vmm_debug_init(void) { }
static inline void vmm_debug_lazy_msr(u32 index) { }
static inline void vmm_debug_lazy_reg(unsigned int reg) { }
static inline void vmm_debug_vcpu_init(struct vmm_vcpu *vcpu) { }
static inline void vmm_debug_vcpu_load(struct vmm_vcpu *vcpu) { }
static inline void vmm_debug_vcpu_put(struct vmm_vcpu *vcpu) { }
static inline void vmm_debug_report(struct vmm_vcpu *vcpu) { }
static inline void vmm_debug_enter_irqoff(struct vmm_vcpu *vcpu) { }
static inline void vmm_debug_exit_irqoff(struct vmm_vcpu *vcpu) { }
static inline void vmm_debug_flushed(struct vmm_vm *vm, u64 gen) { }

#endif /* VMM_DEBUG */
#endif /* KMOD_DEBUG_H */
