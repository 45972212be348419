/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The local APIC, messages, routes and irqfds (SDM vol. 3, 11; APM vol. 2, 16).
 */
#ifndef KMOD_IRQ_H
#define KMOD_IRQ_H

#include "../vmm.h"

/*
 * lapic.c (split as reads best: lapic.c registers and priorities, lapic_timer.c, ipi.c).
 * Context: the owner, unless said otherwise.
 */
int vmm_lapic_create(struct vmm_vcpu *vcpu);
void vmm_lapic_free(struct vmm_vcpu *vcpu);
void vmm_lapic_reset(struct vmm_vcpu *vcpu,
		     bool init); /* init: by INIT, keeps the APIC id and IA32_APIC_BASE */

u64 vmm_lapic_get_base(struct vmm_vcpu *vcpu);
int vmm_lapic_set_base(struct vmm_vcpu *vcpu, u64 value, bool by_host);	/* 1 = #GP */
bool vmm_lapic_covers(struct vmm_vcpu *vcpu, gpa_t gpa);
void vmm_lapic_mmio(struct vmm_vcpu *vcpu, unsigned int offset, bool is_write, void *data,
		    unsigned int len);
int vmm_lapic_msr(struct vmm_vcpu *vcpu, u32 index, bool is_write,
		  u64 *data); /* x2APIC range and TSC deadline; 1 = #GP */

/* vector that can be delivered now by priority, or -1 */
int vmm_lapic_pending(struct vmm_vcpu *vcpu);
/* highest requested vector that only TPR holds back, or -1 */
int vmm_lapic_blocked(struct vmm_vcpu *vcpu);
void vmm_lapic_ack(struct vmm_vcpu *vcpu, u8 vector);	/* IRR -> ISR */
bool vmm_lapic_extint(struct vmm_vcpu *vcpu);	/* LINT0 is asserted and is an ExtINT */
u64 vmm_lapic_get_cr8(struct vmm_vcpu *vcpu);
void vmm_lapic_set_cr8(struct vmm_vcpu *vcpu, u64 cr8);
bool vmm_lapic_take_init(struct vmm_vcpu *vcpu);	/* an INIT came */
int vmm_lapic_take_sipi(struct vmm_vcpu *vcpu);	/* vector of a SIPI that came, or -1 */

void vmm_lapic_get_state(struct vmm_vcpu *vcpu, struct vmm_lapic_state *state);
int vmm_lapic_set_state(struct vmm_vcpu *vcpu, const struct vmm_lapic_state *state);
void vmm_lapic_get_sipi(struct vmm_vcpu *vcpu, bool *init,
			u32 *sipi_vector); /* for VMM_STATE_EVENTS, without taking it */

int vmm_lapic_set_sipi(struct vmm_vcpu *vcpu, bool init, u32 sipi_vector);
/* after the guest's TSC was set or the VM's offset changed */
void vmm_lapic_tsc_changed(struct vmm_vcpu *vcpu);

/* the guest's EOI of @vector was seen by the processor alone */
void vmm_lapic_eoi_seen(struct vmm_vcpu *vcpu, u8 vector);

/* lapic_page.c: registers in the page that the processor keeps them in while the guest runs */
void vmm_lapic_page_put_tpr(struct vmm_vcpu *vcpu, void *page);
void vmm_lapic_page_take_tpr(struct vmm_vcpu *vcpu, void *page);
void vmm_lapic_page_put_regs(struct vmm_vcpu *vcpu, void *page);
int vmm_lapic_page_reg(unsigned int i);
u16 vmm_lapic_page_put_irqs(struct vmm_vcpu *vcpu, void *page);
void vmm_lapic_page_take_irqs(struct vmm_vcpu *vcpu, void *page);
u64 vmm_lapic_level_vectors(struct vmm_vcpu *vcpu, unsigned int word);

/* any context, interrupts on or off */
int vmm_msi_deliver(struct vmm_vm *vm, u64 addr,
		    u32 data); /* number of vCPUs that took it, or -EINVAL */
int vmm_set_lint(struct vmm_vm *vm, const struct vmm_lint *lint);

/* route.c and irqfd.c */
int vmm_irq_init(struct vmm_vm *vm);
void vmm_irq_destroy(struct vmm_vm *vm);
int vmm_set_routes(struct vmm_vm *vm, const struct vmm_routes *arg);
int vmm_irqfd(struct vmm_vm *vm, const struct vmm_irqfd *arg);
void vmm_irqfd_release_all(struct vmm_vm *vm);	/* the VM's fd was closed */
void vmm_irq_eoi_level(struct vmm_vcpu *vcpu,
		       u8 vector); /* resample eventfds; then the exit through vcpu->eoi_pending */
int vmm_irqfd_module_init(void);
void vmm_irqfd_module_exit(void);

#endif /* KMOD_IRQ_H */
