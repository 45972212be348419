// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's state for userland, VMM_STATE_LAPIC.
 */
#include <linux/string.h>

#include "lapic.h"

static u32 state_reg(const struct vmm_lapic_state *state, unsigned int offset)
{
	u32 value;

	memcpy(&value, state->regs + offset, sizeof(value));
	return value;
}

/**
 * vmm_lapic_get_state - read VMM_STATE_LAPIC
 * @vcpu: the vCPU
 * @state: where to; all of it is written
 *
 * Context: the owner, or vcpu->mutex held.
 */
void vmm_lapic_get_state(struct vmm_vcpu *vcpu, struct vmm_lapic_state *state)
{
	struct vmm_lapic *apic = vcpu->lapic;
	unsigned int offset;

	memset(state, 0, sizeof(*state));
	vmm_lapic_timer_get_state(apic, state);
	for (offset = 0; offset < LAPIC_REGS_END; offset += 16) {
		u32 value = vmm_lapic_read_reg(apic, offset);

		memcpy(state->regs + offset, &value, sizeof(value));
	}
	state->lint = READ_ONCE(apic->lint) & 3;
	state->errors = atomic_read(&apic->errors) & LAPIC_ERR_VALID;
}

/* Only what registers have may be set, in the places where registers are. */
static bool state_layout_ok(const struct vmm_lapic_state *state)
{
	unsigned int offset, i;

	for (offset = 0; offset < LAPIC_REGS_END; offset += 16) {
		for (i = sizeof(u32); i < 16; i++)
			if (state->regs[offset + i])
				return false;
		switch (offset) {
		case LAPIC_ID:
		case LAPIC_VERSION:
		case LAPIC_TPR:
		case LAPIC_PPR:
		case LAPIC_LDR ... LAPIC_ESR:
		case LAPIC_ICR ... LAPIC_LVT + (LAPIC_NR_LVTS - 1) * 16:
		case LAPIC_TIMER_COUNT:
		case LAPIC_TIMER_CURRENT:
		case LAPIC_TIMER_DIVIDE:
			continue;
		}
		if (state_reg(state, offset))
			return false;
	}
	for (i = 0; i < ARRAY_SIZE(state->pad); i++)
		if (state->pad[i])
			return false;
	return !(state->lint & ~3) && !(state->errors & ~LAPIC_ERR_VALID);
}

static bool state_ids_ok(struct vmm_lapic *apic, const struct vmm_lapic_state *state)
{
	u32 id = state_reg(state, LAPIC_ID);
	u32 ldr = state_reg(state, LAPIC_LDR);
	u32 dfr = state_reg(state, LAPIC_DFR);
	u32 icr_high = state_reg(state, LAPIC_ICR_HIGH);

	if (lapic_is_x2apic(apic))
		return id == apic->vcpu->id && ldr == lapic_x2apic_ldr(id) && dfr == LAPIC_DFR_FLAT;
	return !(id << 8) && !(ldr << 8) && !(icr_high << 8) &&
	       (dfr == LAPIC_DFR_FLAT || dfr == LAPIC_DFR_CLUSTER);
}

static bool state_lvts_ok(struct vmm_lapic *apic, const struct vmm_lapic_state *state)
{
	bool enabled = state_reg(state, LAPIC_SVR) & LAPIC_SVR_ENABLE;
	int i;

	for (i = 0; i < LAPIC_NR_LVTS; i++) {
		u32 lvt = state_reg(state, LAPIC_LVT + i * 16);
		u32 valid = vmm_lapic_lvt_valid(apic, i);

		if (i == LAPIC_LVT_LINT0)
			valid |= LAPIC_LVT_REMOTE_IRR;
		if ((lvt & ~valid) || (!enabled && !(lvt & LAPIC_LVT_MASKED)))
			return false;
	}
	return true;
}

static bool state_ok(struct vmm_lapic *apic, const struct vmm_lapic_state *state)
{
	u32 mode = state_reg(state, LAPIC_LVT) & LAPIC_LVT_TIMER_MODE;

	return state_layout_ok(state) && state_ids_ok(apic, state) && state_lvts_ok(apic, state) &&
	       state_reg(state, LAPIC_VERSION) == LAPIC_VERSION_VALUE &&
	       state_reg(state, LAPIC_TPR) <= 0xff &&
	       !(state_reg(state, LAPIC_SVR) & ~LAPIC_SVR_VALID) &&
	       /* vectors 0 .. 15 are never accepted */
	       !(state_reg(state, LAPIC_ISR) & 0xffff) &&
	       !(state_reg(state, LAPIC_TMR) & 0xffff) &&
	       !(state_reg(state, LAPIC_IRR) & 0xffff) &&
	       !(state_reg(state, LAPIC_ESR) & ~LAPIC_ERR_VALID) &&
	       !(state_reg(state, LAPIC_ICR) & ~LAPIC_ICR_VALID) &&
	       !(state_reg(state, LAPIC_TIMER_DIVIDE) & ~0xb) &&
	       (mode == LAPIC_TIMER_DEADLINE || !state->timer_deadline) &&
	       (mode < LAPIC_TIMER_DEADLINE || !state_reg(state, LAPIC_TIMER_COUNT));
}

static void state_set_map(unsigned long *map, const struct vmm_lapic_state *state,
			  unsigned int offset)
{
	int i;

	for (i = 0; i < LAPIC_WORDS; i++, offset += 32) {
		u64 high = state_reg(state, offset + 16);

		WRITE_ONCE(map[i], high << 32 | state_reg(state, offset));
	}
}

/**
 * vmm_lapic_set_state - write VMM_STATE_LAPIC
 * @vcpu: the vCPU; its IA32_APIC_BASE, which decides the layout, and its CPUID are set already
 * @state: the new state. PPR and the current count are ignored: they follow from the rest.
 *
 * Context: the owner, or vcpu->mutex held. Returns 0, or -EINVAL: no local APIC can be in this
 * state; nothing was changed.
 */
int vmm_lapic_set_state(struct vmm_vcpu *vcpu, const struct vmm_lapic_state *state)
{
	struct vmm_lapic *apic = vcpu->lapic;
	unsigned long lint = state->lint;
	u32 lvt;
	int i;

	if (!state_ok(apic, state))
		return -EINVAL;

	vmm_lapic_timer_reset(apic);
	apic->id = lapic_is_x2apic(apic) ? vcpu->id : state_reg(state, LAPIC_ID) >> 24;
	apic->ldr = lapic_is_x2apic(apic) ? 0 : state_reg(state, LAPIC_LDR) >> 24;
	apic->dfr = state_reg(state, LAPIC_DFR);
	apic->svr = state_reg(state, LAPIC_SVR);
	apic->tpr = state_reg(state, LAPIC_TPR);
	apic->esr = state_reg(state, LAPIC_ESR);
	apic->icr = state_reg(state, LAPIC_ICR) | (u64)state_reg(state, LAPIC_ICR_HIGH) << 32;
	atomic_set(&apic->errors, state->errors ? state->errors | LAPIC_ERR_SIGNALLED : 0);

	for (i = LAPIC_LVT_THERMAL; i < LAPIC_NR_LVTS; i++) {
		lvt = state_reg(state, LAPIC_LVT + i * 16);
		WRITE_ONCE(apic->lvt[i], lvt & ~LAPIC_LVT_REMOTE_IRR);
	}
	if (state_reg(state, LAPIC_LVT + LAPIC_LVT_LINT0 * 16) & LAPIC_LVT_REMOTE_IRR)
		lint |= BIT(LAPIC_LINT_REMOTE_IRR);
	WRITE_ONCE(apic->lint, lint);

	state_set_map(apic->isr, state, LAPIC_ISR);
	state_set_map(apic->tmr, state, LAPIC_TMR);
	state_set_map(apic->irr, state, LAPIC_IRR);
	apic->isr_top = lapic_highest(apic->isr);
	vmm_lapic_update_ppr(apic);
	vmm_lapic_publish(apic);

	/* last: an expiry that is due sets IRR */
	vmm_lapic_timer_set_state(apic, state_reg(state, LAPIC_LVT), state);
	vmm_lapic_lint0_check(apic);
	vmm_make_request(vcpu, VMM_REQ_EVENT);
	vmm_vcpu_kick(vcpu);
	return 0;
}
