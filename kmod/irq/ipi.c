// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupt messages between local APICs, from devices, and from the LINT pins (SDM vol. 3, 11.5,
 * 11.6, 11.11; APM vol. 2, 16.5, 16.6).
 *
 * Delivery takes no lock and never waits, so that hard interrupts can do it: a receiver's ids and
 * modes are one word (vmm_lapic addr), its IRR is atomic bits, and vCPUs are never removed while
 * the VM lives.
 */
#include <linux/bitmap.h>
#include <linux/export.h>
#include <linux/nospec.h>

#include "../trace.h"
#include "lapic.h"

/**
 * vmm_lapic_accept - take a fixed interrupt (SDM vol. 3, 11.8.4)
 * @apic: the receiver
 * @vector: its vector; one below 16 is an error of the receiver's ESR
 * @level: trigger mode
 *
 * Context: any. Returns whether it was taken; one that merges with a request of the same vector
 * was.
 */
bool vmm_lapic_accept(struct vmm_lapic *apic, u8 vector, bool level)
{
	if (vector < LAPIC_FIRST_VECTOR) {
		vmm_lapic_error(apic, LAPIC_ERR_RECV_VECTOR);
		return false;
	}
	if (test_bit(vector, apic->tmr) != level)
		assign_bit(vector, apic->tmr, level);
	/*
	 * Who set the bit before us has asked for the vCPU's attention, or is about to. The bit
	 * is cleared by the vCPU when it delivers, and the locked instruction orders what the
	 * caller wrote before against what the guest reads after.
	 */
	if (!test_and_set_bit(vector, apic->irr)) {
		vmm_make_request(apic->vcpu, VMM_REQ_EVENT);
		vmm_vcpu_kick(apic->vcpu);
	}
	return true;
}

/**
 * vmm_lapic_error - note an error (SDM vol. 3, 11.5.3)
 * @apic: the local APIC that saw it
 * @error: LAPIC_ERR_*
 *
 * The guest sees it in the ESR after its next write there. The first one after such a write
 * raises the error interrupt, unless masked.
 *
 * Context: any.
 */
void vmm_lapic_error(struct vmm_lapic *apic, u32 error)
{
	u32 lvt;

	if (atomic_fetch_or(error, &apic->errors) & LAPIC_ERR_SIGNALLED)
		return;
	lvt = READ_ONCE(apic->lvt[LAPIC_LVT_ERROR]);
	if (lvt & LAPIC_LVT_MASKED)
		return;
	/* an illegal vector here is an error, too, and ends by finding itself signalled */
	if (!(atomic_fetch_or(LAPIC_ERR_SIGNALLED, &apic->errors) & LAPIC_ERR_SIGNALLED))
		vmm_lapic_accept(apic, lvt & LAPIC_LVT_VECTOR, false);
}

static void lapic_ask(struct vmm_lapic *apic, enum vmm_request req)
{
	vmm_make_request(apic->vcpu, req);
	vmm_vcpu_kick(apic->vcpu);
}

/* An INIT undoes a startup IPI that was not honoured yet. */
static void lapic_latch_init(struct vmm_lapic *apic)
{
	atomic_set(&apic->events, LAPIC_EV_INIT);
	lapic_ask(apic, VMM_REQ_INIT_SIPI);
}

/* Of several startup IPIs the first counts: the others find the processor started. */
static void lapic_latch_sipi(struct vmm_lapic *apic, u8 vector)
{
	int old = atomic_read(&apic->events);

	do {
		if (old & LAPIC_EV_SIPI)
			return;
	} while (!atomic_try_cmpxchg(&apic->events, &old, old | LAPIC_EV_SIPI | vector));
	lapic_ask(apic, VMM_REQ_INIT_SIPI);
}

/* Gives a message to one of its receivers. */
static bool lapic_deliver(struct vmm_lapic *apic, const struct lapic_msg *msg)
{
	u64 addr = READ_ONCE(apic->addr);

	if (!(addr & LAPIC_ADDR_PRESENT))
		return false;
	switch (msg->mode) {
	case LAPIC_DM_FIXED:
	case LAPIC_DM_LOWEST:
		return addr & LAPIC_ADDR_ENABLED && vmm_lapic_accept(apic, msg->vector, msg->level);
	case LAPIC_DM_NMI:
		vmm_vcpu_queue_nmi(apic->vcpu);
		return true;
	case LAPIC_DM_INIT:
		lapic_latch_init(apic);
		return true;
	case LAPIC_DM_STARTUP:
		lapic_latch_sipi(apic, msg->vector);
		return true;
	default:
		/*
		 * SMI: there is no SMM. ExtINT: its vector would have to be fetched from the
		 * 8259, which is wired to LINT0 only.
		 */
		return false;
	}
}

static bool lapic_is_broadcast(const struct lapic_msg *msg)
{
	return msg->dest == (msg->wide ? 0xffffffff : 0xff);
}

/* Is a receiver with these ids and modes meant? (SDM vol. 3, 11.6.2, 11.12.9 and 11.12.10) */
static bool lapic_match(u64 addr, const struct lapic_msg *msg)
{
	u32 id = addr, ldr;

	if (!(addr & LAPIC_ADDR_PRESENT))
		return false;
	if (lapic_is_broadcast(msg))
		return true;
	if (!msg->logical)
		return msg->dest == id;
	if (addr & LAPIC_ADDR_X2APIC) {
		ldr = lapic_x2apic_ldr(id);
		return msg->dest >> 16 == ldr >> 16 && (msg->dest & ldr & 0xffff);
	}
	ldr = (addr >> LAPIC_ADDR_LOGICAL_SHIFT) & 0xff;
	if (msg->dest > 0xff)
		return false;
	if (addr & LAPIC_ADDR_CLUSTER)
		return msg->dest >> 4 == ldr >> 4 && (msg->dest & ldr & 0xf);
	return msg->dest & ldr;
}

/*
 * The only vCPU that a message with a physical id can mean, or NULL: then all must be asked.
 * While no guest has changed an xAPIC id, vCPUs have the ids that they were created with.
 */
static struct vmm_lapic *lapic_by_id(struct vmm_vm *vm, const struct lapic_msg *msg)
{
	struct vmm_vcpu *vcpu;

	if (msg->logical || msg->dest >= VMM_MAX_VCPUS || READ_ONCE(vm->apic_ids_changed))
		return NULL;
	/* pairs with the vCPU's publication, when all of it was set up */
	vcpu = smp_load_acquire(&vm->vcpus[array_index_nospec(msg->dest, VMM_MAX_VCPUS)]);
	if (!vcpu || !lapic_match(READ_ONCE(vcpu->lapic->addr), msg))
		return NULL;
	return vcpu->lapic;
}

/*
 * Lowest-priority delivery (SDM vol. 3, 11.6.2.4): to one of those meant that take fixed
 * interrupts, one with the lowest processor priority. The vector decides among equals, so that
 * each source has its processor and different sources have different ones. Of a running vCPU the
 * priority at its last exit counts.
 */
static int lapic_deliver_lowest(struct vmm_vm *vm, const struct lapic_msg *msg,
				const struct vmm_lapic *skip)
{
	DECLARE_BITMAP(candidates, VMM_MAX_VCPUS);
	unsigned int i, nr = 0, lowest = 256;
	struct vmm_vcpu *vcpu;

	vmm_vm_for_each_vcpu(i, vcpu, vm) {
		u64 addr = READ_ONCE(vcpu->lapic->addr);
		u32 ppr = READ_ONCE(vcpu->lapic->ppr);

		if (vcpu->lapic == skip || !(addr & LAPIC_ADDR_ENABLED) ||
		    ppr > lowest || !lapic_match(addr, msg))
			continue;
		if (ppr < lowest) {
			bitmap_zero(candidates, VMM_MAX_VCPUS);
			lowest = ppr;
			nr = 0;
		}
		__set_bit(i, candidates);
		nr++;
	}
	if (!nr)
		return 0;
	i = find_first_bit(candidates, VMM_MAX_VCPUS);
	for (nr = msg->vector % nr; nr; nr--)
		i = find_next_bit(candidates, VMM_MAX_VCPUS, i + 1);
	return lapic_deliver(vm->vcpus[i]->lapic, msg);
}

/* Sends a message to all that it means, except @skip. Returns how many took it. */
static int lapic_send(struct vmm_vm *vm, const struct lapic_msg *msg, const struct vmm_lapic *skip)
{
	struct vmm_lapic *apic;
	struct vmm_vcpu *vcpu;
	unsigned int i;
	int taken = 0;

	if (msg->mode == LAPIC_DM_LOWEST)
		return lapic_deliver_lowest(vm, msg, skip);
	apic = lapic_by_id(vm, msg);
	if (apic)
		return lapic_deliver(apic, msg);
	vmm_vm_for_each_vcpu(i, vcpu, vm) {
		apic = vcpu->lapic;
		if (apic != skip && lapic_match(READ_ONCE(apic->addr), msg))
			taken += lapic_deliver(apic, msg);
	}
	return taken;
}

/**
 * vmm_lapic_send_ipi - send what the ICR says (SDM vol. 3, 11.6.1; APM vol. 2, 16.5)
 * @apic: the sender; its ICR was just written
 *
 * INIT level de-assert does nothing: there are no arbitration ids to set. Other modes are edge
 * triggered whatever the ICR says. Remote read and ExtINT are reserved here: nothing is sent.
 * Combinations of shorthand and mode that the manuals call invalid are sent as they read.
 *
 * Context: the owner.
 */
void vmm_lapic_send_ipi(struct vmm_lapic *apic)
{
	struct vmm_vm *vm = apic->vcpu->vm;
	bool wide = lapic_is_x2apic(apic);
	u32 icr = apic->icr;
	struct lapic_msg msg = {
		.dest = apic->icr >> (wide ? 32 : 56),
		.vector = icr,
		.mode = (icr >> 8) & 7,
		.logical = icr & LAPIC_ICR_LOGICAL,
		.wide = wide,
	};

	switch (msg.mode) {
	case LAPIC_DM_FIXED:
	case LAPIC_DM_LOWEST:
		if (msg.vector >= LAPIC_FIRST_VECTOR)
			break;
		vmm_lapic_error(apic, LAPIC_ERR_SEND_VECTOR);
		return;
	case LAPIC_DM_INIT:
		if ((icr & LAPIC_ICR_LEVEL) && !(icr & LAPIC_ICR_ASSERT))
			return;
		break;
	case LAPIC_DM_REMOTE_READ:
	case LAPIC_DM_EXTINT:
		return;
	}

	switch ((icr >> 18) & 3) {
	case 0:
		lapic_send(vm, &msg, NULL);
		break;
	case 1:
		lapic_deliver(apic, &msg);
		break;
	case 2:
	case 3:
		msg.logical = false;
		msg.dest = wide ? 0xffffffff : 0xff;
		lapic_send(vm, &msg, (icr >> 18) & 1 ? apic : NULL);
		break;
	}
}

/**
 * vmm_msi_decode - read a message's address and data (SDM vol. 3, 11.11)
 * @addr: address
 * @data: data
 * @msg: the result
 *
 * Bit 14 of the data, the level, is ignored: a de-assertion has nothing to undo in an APIC that
 * takes requests when they are made, and IOAPIC entries have another bit there. The redirection
 * hint makes a fixed message go to one of those meant.
 *
 * Context: any. Returns 0, or -EINVAL: not an address of the local APICs, or a reserved delivery
 * mode.
 */
int vmm_msi_decode(u64 addr, u32 data, struct lapic_msg *msg)
{
	if (addr >> 20 != LAPIC_MSI_BASE >> 20)
		return -EINVAL;
	msg->dest = (addr >> 12) & 0xff;
	msg->logical = addr & LAPIC_MSI_LOGICAL;
	msg->wide = false;
	msg->vector = data;
	msg->mode = (data >> 8) & 7;
	msg->level = data & BIT(15);
	if (msg->mode == LAPIC_DM_REMOTE_READ || msg->mode == LAPIC_DM_STARTUP)
		return -EINVAL;
	if (msg->mode == LAPIC_DM_FIXED && (addr & LAPIC_MSI_REDIRECT))
		msg->mode = LAPIC_DM_LOWEST;
	return 0;
}

/**
 * vmm_msi_deliver - deliver a message-signalled interrupt
 * @vm: the VM
 * @addr: address, 0xfee.....
 * @data: data
 *
 * ExtINT and SMI messages are valid and nobody takes them: an ExtINT's vector would have to come
 * from an 8259, which is wired to LINT0, and there is no SMM.
 *
 * Context: any, hard interrupts and interrupts off included. Returns the number of vCPUs that
 * took it, or -EINVAL: not a message that local APICs understand.
 */
int vmm_msi_deliver(struct vmm_vm *vm, u64 addr, u32 data)
{
	struct lapic_msg msg;
	int ret = vmm_msi_decode(addr, data, &msg);

	if (ret)
		return ret;
	vmm_vm_stat_add(vm, VMM_STAT_MSI, 1);
	ret = lapic_send(vm, &msg, NULL);
	trace_vmm_msi(addr, data, ret);
	return ret;
}
EXPORT_SYMBOL_GPL(vmm_msi_deliver);

/**
 * vmm_lapic_lint0_check - bring LVT LINT0 and its pin together, after either changed or the
 * interrupt was ended
 * @apic: the local APIC
 *
 * A level-triggered fixed interrupt is requested while the pin is asserted and the last one was
 * ended (remote IRR). An ExtINT is for vmm_lapic_extint() to see.
 *
 * Context: any.
 */
void vmm_lapic_lint0_check(struct vmm_lapic *apic)
{
	u32 lvt = READ_ONCE(apic->lvt[LAPIC_LVT_LINT0]);
	unsigned int mode = (lvt & LAPIC_LVT_DM) >> 8;

	if (mode != LAPIC_DM_FIXED || !(lvt & LAPIC_LVT_LEVEL)) {
		clear_bit(LAPIC_LINT_REMOTE_IRR, &apic->lint);
		if (mode == LAPIC_DM_EXTINT && test_bit(0, &apic->lint))
			lapic_ask(apic, VMM_REQ_EVENT);
		return;
	}
	if (!(lvt & LAPIC_LVT_MASKED) && test_bit(0, &apic->lint) &&
	    !test_and_set_bit(LAPIC_LINT_REMOTE_IRR, &apic->lint))
		vmm_lapic_accept(apic, lvt & LAPIC_LVT_VECTOR, true);
}

/* A pin went from deasserted to asserted. */
static void lapic_lint_edge(struct vmm_lapic *apic, unsigned int pin)
{
	u32 lvt = READ_ONCE(apic->lvt[LAPIC_LVT_LINT0 + pin]);

	if (!(READ_ONCE(apic->addr) & LAPIC_ADDR_ENABLED)) {
		/* the pins are INTR and NMI then, see vmm_lapic_extint() */
		if (pin)
			vmm_vcpu_queue_nmi(apic->vcpu);
		else
			lapic_ask(apic, VMM_REQ_EVENT);
		return;
	}
	if (lvt & LAPIC_LVT_MASKED)
		return;
	switch ((lvt & LAPIC_LVT_DM) >> 8) {
	case LAPIC_DM_FIXED:
		/* LINT1 cannot be level triggered (SDM vol. 3, 11.5.1) */
		if (!pin && (lvt & LAPIC_LVT_LEVEL))
			vmm_lapic_lint0_check(apic);
		else
			vmm_lapic_accept(apic, lvt & LAPIC_LVT_VECTOR, false);
		break;
	case LAPIC_DM_NMI:
		vmm_vcpu_queue_nmi(apic->vcpu);
		break;
	case LAPIC_DM_INIT:
		lapic_latch_init(apic);
		break;
	case LAPIC_DM_EXTINT:
		lapic_ask(apic, VMM_REQ_EVENT);
		break;
	}
}

/**
 * vmm_set_lint - drive a local interrupt pin (VMM_SET_LINT; SDM vol. 3, 11.5.1)
 * @vm: the VM
 * @lint: which pin of which vCPU, and its level
 *
 * The polarity bit of the LVT entry has no effect: the level is told as asserted or not, not as a
 * voltage. Edge-triggered modes act when the pin becomes asserted; NMI and INIT are such modes
 * always.
 *
 * Context: any. Returns 0; -EINVAL: no such pin or level; -ENOENT: no such vCPU.
 */
int vmm_set_lint(struct vmm_vm *vm, const struct vmm_lint *lint)
{
	struct vmm_lapic *apic;
	struct vmm_vcpu *vcpu;

	if (lint->pin > 1 || lint->level > 1 || lint->pad)
		return -EINVAL;
	if (lint->vcpu_id >= VMM_MAX_VCPUS)
		return -ENOENT;
	/* pairs with the vCPU's publication, when all of it was set up */
	vcpu = smp_load_acquire(&vm->vcpus[array_index_nospec(lint->vcpu_id, VMM_MAX_VCPUS)]);
	if (!vcpu)
		return -ENOENT;
	apic = vcpu->lapic;

	if (!lint->level)
		clear_bit(lint->pin, &apic->lint);
	else if (!test_and_set_bit(lint->pin, &apic->lint))
		/*
		 * ordered: who writes the LVT entry looks at the pin after; we look at the entry
		 * now
		 */
		lapic_lint_edge(apic, lint->pin);
	return 0;
}
