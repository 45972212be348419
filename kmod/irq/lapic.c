// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC as the run loop sees it: its modes, and which vector comes next.
 *
 * Anyone may set bits of IRR, at any time and in any context (ipi.c). All else belongs to the
 * vCPU's owner, so nothing here takes a lock. A bit is set in IRR first and VMM_REQ_EVENT is
 * requested after; the owner takes the request first and looks at IRR after. So no vector is
 * overlooked, and who finds the bit already set need not ask again: the one who set it has asked
 * or is about to.
 *
 * Modes, by IA32_APIC_BASE (SDM vol. 3, 11.12.5). What is not drawn raises #GP.
 *
 *	          EN=1                EXTD=1
 *	DISABLED ------> xAPIC (power-on) ------> x2APIC
 *	  ^  ^             |                        |
 *	  |  +---- EN=0 ---+                        |
 *	  +-------------- EN=0, EXTD=0 -------------+
 *
 * INIT keeps the mode; power-on gives xAPIC. In every mode but DISABLED the APIC is software
 * enabled or not, by SVR.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include "lapic.h"

static void lapic_reset_registers(struct vmm_lapic *apic)
{
	int i;

	vmm_lapic_timer_reset(apic);
	/* masked before anything else, so that no pin raises what the old entry says */
	for (i = 0; i < LAPIC_NR_LVTS; i++)
		WRITE_ONCE(apic->lvt[i], LAPIC_LVT_MASKED);
	apic->svr = LAPIC_SVR_RESET;
	apic->tpr = 0;
	apic->ldr = 0;
	apic->dfr = LAPIC_DFR_FLAT;
	apic->esr = 0;
	apic->icr = 0;
	vmm_lapic_publish(apic);

	for (i = 0; i < LAPIC_WORDS; i++) {
		WRITE_ONCE(apic->irr[i], 0);
		WRITE_ONCE(apic->tmr[i], 0);
		apic->isr[i] = 0;
	}
	apic->isr_top = -1;
	atomic_set(&apic->errors, 0);
	clear_bit(LAPIC_LINT_REMOTE_IRR, &apic->lint);
	vmm_lapic_update_ppr(apic);
}

/**
 * vmm_lapic_create - give a vCPU its local APIC, as after power-on
 * @vcpu: the vCPU, not yet visible in vm->vcpus
 *
 * Context: may sleep. Returns 0 or -ENOMEM.
 */
int vmm_lapic_create(struct vmm_vcpu *vcpu)
{
	struct vmm_lapic *apic = kzalloc(sizeof(*apic), GFP_KERNEL_ACCOUNT);

	if (!apic)
		return -ENOMEM;
	apic->vcpu = vcpu;
	vcpu->lapic = apic;
	vmm_lapic_timer_init(apic);
	vmm_lapic_reset(vcpu, false);
	return 0;
}

/**
 * vmm_lapic_free - undo vmm_lapic_create()
 * @vcpu: the vCPU; no message can reach it any more. One without a local APIC is allowed.
 *
 * Context: may sleep.
 */
void vmm_lapic_free(struct vmm_vcpu *vcpu)
{
	struct vmm_lapic *apic = vcpu->lapic;

	if (!apic)
		return;
	vmm_lapic_timer_reset(apic);
	vcpu->lapic = NULL;
	kfree(apic);
}

/**
 * vmm_lapic_reset - put the local APIC into the state after power-on or after INIT (SDM vol. 3,
 * 11.4.7)
 * @vcpu: the vCPU
 * @init: by INIT: the APIC id and IA32_APIC_BASE stay, and so does a SIPI that came after the INIT
 *
 * The levels of the LINT pins stay: they belong to what drives them. TPR, and so CR8, becomes 0.
 *
 * Context: the owner, or the vCPU's creator.
 */
void vmm_lapic_reset(struct vmm_vcpu *vcpu, bool init)
{
	struct vmm_lapic *apic = vcpu->lapic;

	if (!init) {
		apic->base = LAPIC_BASE_DEFAULT | LAPIC_BASE_EN | (vcpu->id ? 0 : LAPIC_BASE_BSP);
		apic->id = vcpu->id;
		atomic_set(&apic->events, 0);
	}
	lapic_reset_registers(apic);
	vmm_make_request(vcpu, VMM_REQ_EVENT);
}

/**
 * vmm_lapic_publish - tell senders what changed of the mode, ids or software enabling
 * @apic: the local APIC
 *
 * Context: the owner.
 */
void vmm_lapic_publish(struct vmm_lapic *apic)
{
	struct vmm_vcpu *vcpu = apic->vcpu;
	u64 addr;

	if (!lapic_is_present(apic))
		addr = 0;
	else if (lapic_is_x2apic(apic))
		addr = LAPIC_ADDR_X2APIC | vcpu->id;
	else
		addr = LAPIC_ADDR_XAPIC | apic->id | (u64)apic->ldr << LAPIC_ADDR_LOGICAL_SHIFT;
	if (addr && apic->dfr == LAPIC_DFR_CLUSTER)
		addr |= LAPIC_ADDR_CLUSTER;
	if (addr && (apic->svr & LAPIC_SVR_ENABLE))
		addr |= LAPIC_ADDR_ENABLED;

	/* from now on an xAPIC id does not tell the vCPU's number in this VM */
	if ((addr & LAPIC_ADDR_XAPIC) && apic->id != vcpu->id)
		WRITE_ONCE(vcpu->vm->apic_ids_changed, true);
	/* before the pins are looked at; pairs with vmm_set_lint() */
	smp_store_mb(apic->addr, addr);
}

/**
 * vmm_lapic_get_base - IA32_APIC_BASE
 * @vcpu: the vCPU
 *
 * Context: the owner. Returns the register.
 */
u64 vmm_lapic_get_base(struct vmm_vcpu *vcpu)
{
	return vcpu->lapic->base;
}

/**
 * vmm_lapic_set_base - write IA32_APIC_BASE (SDM vol. 3, 11.4.3, 11.4.4 and 11.12.5; APM vol. 2,
 * 16.3.1 and 16.9)
 * @vcpu: the vCPU
 * @value: the value
 * @by_host: userland sets state: every valid mode can be entered from every other
 *
 * Leaving the enabled modes resets the registers, as the processor behaves as one without a local
 * APIC then. Entering x2APIC mode keeps them, except for the ids. The bootstrap-processor flag is
 * read-only: a guest's write leaves it, a host's must agree.
 *
 * Context: the owner. Returns 0, or 1 for #GP.
 */
int vmm_lapic_set_base(struct vmm_vcpu *vcpu, u64 value, bool by_host)
{
	struct vmm_lapic *apic = vcpu->lapic;
	unsigned int bits = clamp_t(unsigned int, vmm_guest_maxphyaddr(vcpu), 32, 52);
	u64 address = GENMASK_ULL(bits - 1, 12);
	u64 old_mode = apic->base & LAPIC_BASE_MODE;
	u64 mode = value & LAPIC_BASE_MODE;

	if (value & ~(address | LAPIC_BASE_MODE | LAPIC_BASE_BSP))
		return 1;
	if (mode == LAPIC_BASE_EXTD)
		return 1;
	if (by_host) {
		if ((value ^ apic->base) & LAPIC_BASE_BSP)
			return 1;
	} else {
		if ((mode & LAPIC_BASE_EXTD) && !vmm_guest_has_x2apic(vcpu))
			return 1;
		if (old_mode == LAPIC_BASE_MODE && mode == LAPIC_BASE_EN)
			return 1;
		if (!old_mode && mode == LAPIC_BASE_MODE)
			return 1;
		value = (value & ~LAPIC_BASE_BSP) | (apic->base & LAPIC_BASE_BSP);
	}

	apic->base = value;
	if (mode == old_mode)
		return 0;

	/*
	 * the ids that software gave end with the mode, and so does the format of the ICR's high
	 * half
	 */
	apic->icr = (u32)apic->icr;
	apic->id = vcpu->id;
	apic->ldr = 0;
	apic->dfr = LAPIC_DFR_FLAT;
	if (mode && old_mode)
		vmm_lapic_publish(apic);
	else
		lapic_reset_registers(apic);
	vmm_make_request(vcpu, VMM_REQ_EVENT);
	return 0;
}

/**
 * vmm_lapic_covers - is a guest physical address in the local APIC's register page?
 * @vcpu: the vCPU
 * @gpa: the address
 *
 * Context: the owner. Returns true only in xAPIC mode: in the others the page is not there.
 */
bool vmm_lapic_covers(struct vmm_vcpu *vcpu, gpa_t gpa)
{
	u64 base = vcpu->lapic->base;

	return (base & LAPIC_BASE_MODE) == LAPIC_BASE_EN && !((base ^ gpa) >> 12);
}

/**
 * vmm_lapic_update_ppr - compute the processor priority anew
 * @apic: the local APIC, whose TPR or ISR changed
 *
 * Context: the owner.
 */
void vmm_lapic_update_ppr(struct vmm_lapic *apic)
{
	WRITE_ONCE(apic->ppr, lapic_calc_ppr(apic->tpr, apic->isr_top));
}

/* Highest requested vector if its class is above that of @priority, or -1 */
static int lapic_above(struct vmm_lapic *apic, u32 priority)
{
	int vector = lapic_highest(apic->irr);

	return vector >= 0 && (vector & 0xf0) > (priority & 0xf0) ? vector : -1;
}

/**
 * vmm_lapic_look_again - TPR changed or an interrupt was ended: request a look at what can be
 * injected if that concerns a vector
 * @apic: the local APIC
 *
 * One that only TPR holds back concerns it, too: from now on the vendor has to watch TPR, for the
 * guest may lower it without an exit.
 *
 * Context: the owner, who needs no kick.
 */
void vmm_lapic_look_again(struct vmm_lapic *apic)
{
	if (lapic_above(apic, lapic_calc_ppr(0, apic->isr_top)) >= 0)
		vmm_make_request(apic->vcpu, VMM_REQ_EVENT);
}

/**
 * vmm_lapic_pending - which vector can be delivered now, by priority (SDM vol. 3, 11.8.3 and
 * 11.8.4)
 * @vcpu: the vCPU
 *
 * A software-disabled APIC takes no new fixed interrupts, but those in IRR stay deliverable (SDM
 * vol. 3, 11.4.7.2). The spurious vector is never returned: choice and acknowledgment are one
 * step here, so that no interrupt vanishes between them.
 *
 * Context: the owner. Returns the vector, or -1.
 */
int vmm_lapic_pending(struct vmm_vcpu *vcpu)
{
	struct vmm_lapic *apic = vcpu->lapic;

	if (!lapic_is_present(apic))
		return -1;
	return lapic_above(apic, apic->ppr);
}

/**
 * vmm_lapic_blocked - which vector waits for nothing but a lower TPR
 * @vcpu: the vCPU
 *
 * Context: the owner. Returns the highest requested vector if the interrupts in service let it
 * pass and only TPR does not, or -1.
 */
int vmm_lapic_blocked(struct vmm_vcpu *vcpu)
{
	struct vmm_lapic *apic = vcpu->lapic;

	if (!lapic_is_present(apic) || lapic_above(apic, apic->ppr) >= 0)
		return -1;
	return lapic_above(apic, lapic_calc_ppr(0, apic->isr_top));
}

/**
 * vmm_lapic_ack - move a vector from IRR to ISR: it is being delivered
 * @vcpu: the vCPU
 * @vector: what vmm_lapic_pending() returned
 *
 * Context: the owner.
 */
void vmm_lapic_ack(struct vmm_vcpu *vcpu, u8 vector)
{
	struct vmm_lapic *apic = vcpu->lapic;

	/* ordered before the guest's reads of what the interrupt is about */
	test_and_clear_bit(vector, apic->irr);
	__set_bit(vector, apic->isr);
	if (vector > apic->isr_top)
		apic->isr_top = vector;
	vmm_lapic_update_ppr(apic);
}

/**
 * vmm_lapic_eoi_seen - the guest has ended an interrupt, which is in service no more
 * @vcpu: the vCPU
 * @vector: its vector
 *
 * The end of a level-triggered interrupt is reported (vmm_irq_eoi_level()).
 *
 * Context: the owner.
 */
void vmm_lapic_eoi_seen(struct vmm_vcpu *vcpu, u8 vector)
{
	struct vmm_lapic *apic = vcpu->lapic;

	if (!test_bit(vector, apic->tmr))
		return;
	vmm_irq_eoi_level(vcpu, vector);
	/* LINT0 is the only local source that can be level triggered */
	if ((READ_ONCE(apic->lvt[LAPIC_LVT_LINT0]) & LAPIC_LVT_VECTOR) == vector &&
	    test_and_clear_bit(LAPIC_LINT_REMOTE_IRR, &apic->lint))
		vmm_lapic_lint0_check(apic);
}

/**
 * vmm_lapic_eoi - end the highest interrupt in service (SDM vol. 3, 11.8.5)
 * @apic: the local APIC
 *
 * With nothing in service it does nothing.
 *
 * Context: the owner.
 */
void vmm_lapic_eoi(struct vmm_lapic *apic)
{
	int vector = apic->isr_top;

	if (vector < 0)
		return;
	__clear_bit(vector, apic->isr);
	apic->isr_top = lapic_highest(apic->isr);
	vmm_lapic_update_ppr(apic);
	vmm_lapic_eoi_seen(apic->vcpu, vector);
	vmm_lapic_look_again(apic);
}

/**
 * vmm_lapic_extint - does an external (8259) interrupt controller ask for the processor?
 * @vcpu: the vCPU
 *
 * LINT0 is the INTR pin while the APIC is disabled (SDM vol. 3, 11.4.3). Here it is while the
 * APIC is software disabled, too: firmware sets up virtual-wire mode before an operating system
 * runs, and there may be no firmware. ExtINTs are not subject to TPR.
 *
 * Context: the owner. Returns true when LINT0 is asserted and gets through.
 */
bool vmm_lapic_extint(struct vmm_vcpu *vcpu)
{
	struct vmm_lapic *apic = vcpu->lapic;
	u32 lvt;

	if (!test_bit(0, &apic->lint))
		return false;
	if (!(apic->addr & LAPIC_ADDR_ENABLED))
		return true;
	lvt = apic->lvt[LAPIC_LVT_LINT0];
	return !(lvt & LAPIC_LVT_MASKED) && (lvt & LAPIC_LVT_DM) >> 8 == LAPIC_DM_EXTINT;
}

/**
 * vmm_lapic_set_tpr - write the task priority
 * @apic: the local APIC
 * @tpr: 0 .. 255
 *
 * Context: the owner.
 */
void vmm_lapic_set_tpr(struct vmm_lapic *apic, u32 tpr)
{
	apic->tpr = tpr;
	vmm_lapic_update_ppr(apic);
	vmm_lapic_look_again(apic);
}

/**
 * vmm_lapic_get_cr8 - CR8, the class of TPR (SDM vol. 3, 11.8.6)
 * @vcpu: the vCPU
 *
 * Context: the owner. Returns 0 .. 15.
 */
u64 vmm_lapic_get_cr8(struct vmm_vcpu *vcpu)
{
	return vcpu->lapic->tpr >> 4;
}

/**
 * vmm_lapic_set_cr8 - write CR8, or take over what the processor kept of it
 * @vcpu: the vCPU
 * @cr8: the class; bits above 3 are ignored
 *
 * A class that is there already leaves TPR's sub-class: the processor keeps only the class, and
 * bringing that back after every exit must not change TPR.
 *
 * Context: the owner.
 */
void vmm_lapic_set_cr8(struct vmm_vcpu *vcpu, u64 cr8)
{
	struct vmm_lapic *apic = vcpu->lapic;
	u32 tpr = (cr8 & 15) << 4;

	if ((apic->tpr & 0xf0) != tpr)
		vmm_lapic_set_tpr(apic, tpr);
}

/**
 * vmm_lapic_take_init - did an INIT come?
 * @vcpu: the vCPU
 *
 * Context: the owner, on VMM_REQ_INIT_SIPI, before vmm_lapic_take_sipi(). Returns true once for
 * each INIT; those that come before the first is taken are one. Startup IPIs that came before it
 * are gone, those that came after are still there.
 */
bool vmm_lapic_take_init(struct vmm_vcpu *vcpu)
{
	atomic_t *events = &vcpu->lapic->events;

	return atomic_read(events) & LAPIC_EV_INIT &&
	       atomic_fetch_andnot(LAPIC_EV_INIT, events) & LAPIC_EV_INIT;
}

/**
 * vmm_lapic_take_sipi - the first startup IPI since the last INIT
 * @vcpu: the vCPU
 *
 * A startup IPI counts only while the vCPU waits for one; the caller drops what this returns
 * otherwise.
 *
 * Context: the owner, on VMM_REQ_INIT_SIPI, after vmm_lapic_take_init(). Returns the vector (the
 * vCPU starts at vector << 12) or -1; -1 also when another INIT has come, for then that one is
 * next.
 */
int vmm_lapic_take_sipi(struct vmm_vcpu *vcpu)
{
	atomic_t *events = &vcpu->lapic->events;
	int old = atomic_read(events);

	do {
		if (!(old & LAPIC_EV_SIPI) || (old & LAPIC_EV_INIT))
			return -1;
	} while (!atomic_try_cmpxchg(events, &old, 0));
	return old & 0xff;
}

/**
 * vmm_lapic_get_sipi - look at what came without taking it
 * @vcpu: the vCPU
 * @init: where to tell whether an INIT waits
 * @sipi_vector: where to put the vector of the startup IPI that waits, or U32_MAX
 *
 * Context: the owner.
 */
void vmm_lapic_get_sipi(struct vmm_vcpu *vcpu, bool *init, u32 *sipi_vector)
{
	int events = atomic_read(&vcpu->lapic->events);

	*init = events & LAPIC_EV_INIT;
	*sipi_vector = events & LAPIC_EV_SIPI ? events & 0xff : U32_MAX;
}

/**
 * vmm_lapic_set_sipi - set what vmm_lapic_get_sipi() returned
 * @vcpu: the vCPU
 * @init: an INIT waits
 * @sipi_vector: the vector of a startup IPI that waits, or U32_MAX
 *
 * Context: the owner. Returns 0, or -EINVAL: no such vector.
 */
int vmm_lapic_set_sipi(struct vmm_vcpu *vcpu, bool init, u32 sipi_vector)
{
	int events = init ? LAPIC_EV_INIT : 0;

	if (sipi_vector != U32_MAX) {
		if (sipi_vector > 0xff)
			return -EINVAL;
		events |= LAPIC_EV_SIPI | sipi_vector;
	}
	atomic_set(&vcpu->lapic->events, events);
	if (events)
		vmm_make_request(vcpu, VMM_REQ_INIT_SIPI);
	return 0;
}
