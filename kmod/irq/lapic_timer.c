// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's timer (SDM vol. 3, 11.5.4; APM vol. 2, 16.4.1).
 *
 * The APIC's clock is 1 GHz, so the count goes down once in (divisor) ns; the guest learns this
 * from CPUID. Nothing counts: an expiry time is kept, and a read of the current count computes
 * it. One hrtimer per APIC runs only while its expiry would be delivered, that is, while the LVT
 * entry is not masked. Its callback, in hard interrupt context on any CPU, sets IRR and kicks; it
 * does not care where the vCPU's thread is. The owner changes the timer only between
 * lapic_timer_pause() and lapic_timer_resume(), when no callback runs.
 *
 *	mode		armed by		expires			then
 *	one-shot	initial count != 0	once			current count 0
 *	periodic	initial count != 0	each period		goes on
 *	deadline	IA32_TSC_DEADLINE != 0	guest TSC >= deadline	IA32_TSC_DEADLINE = 0
 *
 * Periodic expiries that the host was late for become one.
 *
 * Changing between deadline mode and another disarms. Changing between one-shot and periodic
 * takes effect at the next expiry.
 */
#include <linux/ktime.h>
#include <linux/math64.h>

#include "lapic.h"

/* A deadline is never waited for longer than this without a look at the TSC. */
#define DEADLINE_MAX_WAIT_MS	86400000ULL

static u32 timer_mode(const struct vmm_lapic *apic)
{
	return READ_ONCE(apic->lvt[LAPIC_LVT_TIMER]) & LAPIC_LVT_TIMER_MODE;
}

/* Divide-configuration register to log2 of the divisor: 0000 is 2, 1010 is 128, 1011 is 1 */
static unsigned int timer_shift(u32 divide)
{
	return (((divide & 3) | (divide & 8) >> 1) + 1) & 7;
}

/* ns of the initial count */
static u64 timer_full(const struct vmm_lapic *apic)
{
	return (u64)apic->timer.count << timer_shift(apic->timer.divide);
}

/*
 * The floor makes the ticks of a short period longer: then @count of them last as long as the
 * floor.
 */
static bool timer_stretched(const struct vmm_lapic *apic)
{
	return timer_mode(apic) == LAPIC_TIMER_PERIODIC && apic->timer.period > timer_full(apic);
}

static u64 timer_count_to_ns(const struct vmm_lapic *apic, u32 count)
{
	/* count <= timer.count < floor: no overflow */
	if (timer_stretched(apic))
		return count * apic->timer.period / apic->timer.count;
	return (u64)count << timer_shift(apic->timer.divide);
}

static u32 timer_ns_to_count(const struct vmm_lapic *apic, u64 ns)
{
	unsigned int shift = timer_shift(apic->timer.divide);
	u64 count;

	if (timer_stretched(apic))
		count = DIV64_U64_ROUND_UP(ns * apic->timer.count, apic->timer.period);
	else
		count = (ns + BIT_ULL(shift) - 1) >> shift;
	return min_t(u64, count, apic->timer.count);
}

static void timer_set_period(struct vmm_lapic *apic)
{
	WRITE_ONCE(apic->timer.period, max_t(u64, timer_full(apic), LAPIC_MIN_PERIOD_NS));
}

/* ns of the present mode's count */
static u64 timer_length(const struct vmm_lapic *apic)
{
	return timer_mode(apic) == LAPIC_TIMER_PERIODIC ? apic->timer.period : timer_full(apic);
}

/* ns until the count reaches zero; 0 = it is zero */
static u64 timer_remaining(const struct vmm_lapic *apic, u64 now)
{
	if (!apic->timer.running)
		return 0;
	if (apic->timer.expiry > now)
		return apic->timer.expiry - now;
	if (timer_mode(apic) == LAPIC_TIMER_PERIODIC)
		return apic->timer.period - (now - apic->timer.expiry) % apic->timer.period;
	return 0;
}

/* ns until the guest's TSC reaches the deadline, rounded up; 0 = it has */
static u64 deadline_remaining(const struct vmm_lapic *apic, u64 deadline)
{
	u64 tsc = vmm_guest_tsc(apic->vcpu);
	u64 khz = vmm_tsc_khz();
	u64 ms, left;

	if (tsc >= deadline)
		return 0;
	ms = div64_u64_rem(deadline - tsc, khz, &left);
	if (ms >= DEADLINE_MAX_WAIT_MS)
		return DEADLINE_MAX_WAIT_MS * NSEC_PER_MSEC;
	return ms * NSEC_PER_MSEC + DIV64_U64_ROUND_UP(left * NSEC_PER_MSEC, khz);
}

/*
 * How long to sleep of what remains. The TSC and the host's clock drift apart: long before the
 * deadline, wake up a little early (1/512, more than clocks are ever slewed) and look again.
 */
static u64 deadline_sleep(u64 left)
{
	return left > NSEC_PER_SEC ? left - left / 512 : left;
}

static void timer_fire(struct vmm_lapic *apic)
{
	u32 lvt = READ_ONCE(apic->lvt[LAPIC_LVT_TIMER]);

	if (!(lvt & LAPIC_LVT_MASKED))
		vmm_lapic_accept(apic, lvt & LAPIC_LVT_VECTOR, false);
}

static void timer_start(struct vmm_lapic *apic, u64 expiry)
{
	hrtimer_start(&apic->timer.hrt, ns_to_ktime(expiry), HRTIMER_MODE_ABS_PINNED_HARD);
}

static enum hrtimer_restart lapic_timer_fn(struct hrtimer *hrt)
{
	struct vmm_lapic *apic = container_of(hrt, struct vmm_lapic, timer.hrt);
	u64 left;

	switch (timer_mode(apic)) {
	case LAPIC_TIMER_ONESHOT:
		timer_fire(apic);
		return HRTIMER_NORESTART;
	case LAPIC_TIMER_PERIODIC:
		timer_fire(apic);
		hrtimer_forward_now(hrt, ns_to_ktime(READ_ONCE(apic->timer.period)));
		return HRTIMER_RESTART;
	case LAPIC_TIMER_DEADLINE:
		/* never early */
		left = deadline_remaining(apic, READ_ONCE(apic->timer.deadline));
		if (left) {
			hrtimer_set_expires(hrt, ktime_add_ns(ktime_get(), deadline_sleep(left)));
			return HRTIMER_RESTART;
		}
		WRITE_ONCE(apic->timer.deadline, 0);
		timer_fire(apic);
		return HRTIMER_NORESTART;
	default:
		return HRTIMER_NORESTART;
	}
}

/*
 * Stops the hrtimer. If its time had come and its callback had not, what the callback does is
 * done here.
 */
static void lapic_timer_pause(struct vmm_lapic *apic)
{
	bool queued = hrtimer_cancel(&apic->timer.hrt);
	u64 now;

	if (timer_mode(apic) == LAPIC_TIMER_DEADLINE) {
		u64 deadline = apic->timer.deadline;

		if (deadline && !deadline_remaining(apic, deadline)) {
			/* not queued: it passed while masked, and is lost */
			apic->timer.deadline = 0;
			if (queued)
				timer_fire(apic);
		}
		return;
	}

	now = ktime_get_ns();
	if (queued && (u64)hrtimer_get_expires_ns(&apic->timer.hrt) <= now)
		timer_fire(apic);
	if (!apic->timer.running || apic->timer.expiry > now)
		return;
	if (timer_mode(apic) == LAPIC_TIMER_PERIODIC)
		apic->timer.expiry = now + timer_remaining(apic, now);
	else
		apic->timer.running = false;
}

static void lapic_timer_resume(struct vmm_lapic *apic)
{
	u64 deadline, left;

	if (apic->lvt[LAPIC_LVT_TIMER] & LAPIC_LVT_MASKED)
		return;
	switch (timer_mode(apic)) {
	case LAPIC_TIMER_ONESHOT:
	case LAPIC_TIMER_PERIODIC:
		if (apic->timer.running)
			timer_start(apic, apic->timer.expiry);
		return;
	case LAPIC_TIMER_DEADLINE:
		deadline = apic->timer.deadline;
		if (!deadline)
			return;
		left = deadline_remaining(apic, deadline);
		if (left) {
			timer_start(apic, ktime_get_ns() + deadline_sleep(left));
			return;
		}
		apic->timer.deadline = 0;
		timer_fire(apic);
	}
}

static void timer_disarm(struct vmm_lapic *apic)
{
	apic->timer.deadline = 0;
	apic->timer.count = 0;
	apic->timer.running = false;
}

/**
 * vmm_lapic_timer_init - prepare the timer of a new local APIC
 * @apic: the local APIC
 *
 * Context: process.
 */
void vmm_lapic_timer_init(struct vmm_lapic *apic)
{
	hrtimer_init(&apic->timer.hrt, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_HARD);
	apic->timer.hrt.function = lapic_timer_fn;
}

/**
 * vmm_lapic_timer_reset - stop the timer and forget what it was to do
 * @apic: the local APIC
 *
 * Context: the owner, or nobody runs the vCPU. On return no callback runs or will run.
 */
void vmm_lapic_timer_reset(struct vmm_lapic *apic)
{
	hrtimer_cancel(&apic->timer.hrt);
	timer_disarm(apic);
	apic->timer.divide = 0;
}

/**
 * vmm_lapic_timer_set_lvt - write the timer's LVT entry
 * @apic: the local APIC
 * @lvt: the value, reserved bits cleared
 *
 * Mode 3 is reserved; an APIC in it has no timer.
 *
 * Context: the owner.
 */
void vmm_lapic_timer_set_lvt(struct vmm_lapic *apic, u32 lvt)
{
	u32 mode = lvt & LAPIC_LVT_TIMER_MODE;
	u32 old = timer_mode(apic);

	lapic_timer_pause(apic);
	WRITE_ONCE(apic->lvt[LAPIC_LVT_TIMER], lvt);
	if (mode != old && (mode >= LAPIC_TIMER_DEADLINE || old >= LAPIC_TIMER_DEADLINE))
		timer_disarm(apic);
	lapic_timer_resume(apic);
}

/**
 * vmm_lapic_timer_set_count - write the initial-count register
 * @apic: the local APIC
 * @count: the value; 0 stops the timer
 *
 * It is ignored in deadline mode. A periodic timer's period is LAPIC_MIN_PERIOD_NS at least.
 *
 * Context: the owner.
 */
void vmm_lapic_timer_set_count(struct vmm_lapic *apic, u32 count)
{
	if (timer_mode(apic) >= LAPIC_TIMER_DEADLINE)
		return;
	lapic_timer_pause(apic);
	apic->timer.count = count;
	apic->timer.running = count;
	timer_set_period(apic);
	apic->timer.expiry = ktime_get_ns() + timer_length(apic);
	lapic_timer_resume(apic);
}

/**
 * vmm_lapic_timer_set_divide - write the divide-configuration register
 * @apic: the local APIC
 * @divide: the value, reserved bits cleared
 *
 * A timer that runs goes on from its current count at the new rate.
 *
 * Context: the owner.
 */
void vmm_lapic_timer_set_divide(struct vmm_lapic *apic, u32 divide)
{
	u64 now;
	u32 count;

	if (divide == apic->timer.divide)
		return;
	lapic_timer_pause(apic);
	now = ktime_get_ns();
	count = timer_ns_to_count(apic, timer_remaining(apic, now));
	apic->timer.divide = divide;
	timer_set_period(apic);
	apic->timer.expiry = now + (apic->timer.running ? timer_count_to_ns(apic, count) : 0);
	lapic_timer_resume(apic);
}

/**
 * vmm_lapic_timer_current - read the current-count register
 * @apic: the local APIC
 *
 * Context: the owner. Returns the count; 0 in deadline mode.
 */
u32 vmm_lapic_timer_current(struct vmm_lapic *apic)
{
	if (!apic->timer.running)
		return 0;
	return timer_ns_to_count(apic, timer_remaining(apic, ktime_get_ns()));
}

/**
 * vmm_lapic_timer_get_deadline - read IA32_TSC_DEADLINE
 * @apic: the local APIC
 *
 * Context: the owner. Returns the deadline, or 0: none, it has passed, or another mode.
 */
u64 vmm_lapic_timer_get_deadline(struct vmm_lapic *apic)
{
	u64 deadline = READ_ONCE(apic->timer.deadline);

	return deadline > vmm_guest_tsc(apic->vcpu) ? deadline : 0;
}

/**
 * vmm_lapic_timer_set_deadline - write IA32_TSC_DEADLINE (SDM vol. 3, 11.5.4.1)
 * @apic: the local APIC
 * @deadline: TSC value; 0 disarms. One that is not in the future expires at once.
 *
 * It is ignored in the other modes.
 *
 * Context: the owner.
 */
void vmm_lapic_timer_set_deadline(struct vmm_lapic *apic, u64 deadline)
{
	if (timer_mode(apic) != LAPIC_TIMER_DEADLINE)
		return;
	lapic_timer_pause(apic);
	apic->timer.deadline = deadline;
	lapic_timer_resume(apic);
}

/**
 * vmm_lapic_tsc_changed - the guest's TSC was set or its offset changed: wait anew for the deadline
 * @vcpu: the vCPU
 *
 * Context: the owner, after the change.
 */
void vmm_lapic_tsc_changed(struct vmm_vcpu *vcpu)
{
	struct vmm_lapic *apic = vcpu->lapic;

	if (timer_mode(apic) != LAPIC_TIMER_DEADLINE || !READ_ONCE(apic->timer.deadline))
		return;
	hrtimer_cancel(&apic->timer.hrt);
	lapic_timer_resume(apic);
}

/**
 * vmm_lapic_timer_get_state - the part of the state that no register shows
 * @apic: the local APIC
 * @state: timer_deadline and timer_elapsed_ns are written
 *
 * An expiry whose time has come is in IRR, not in @state, when this returns: read IRR after it.
 *
 * Context: the owner.
 */
void vmm_lapic_timer_get_state(struct vmm_lapic *apic, struct vmm_lapic_state *state)
{
	lapic_timer_pause(apic);
	state->timer_deadline = apic->timer.deadline;
	state->timer_elapsed_ns = 0;
	if (apic->timer.count) {
		u64 remaining = timer_remaining(apic, ktime_get_ns());
		u64 length = timer_length(apic);

		/* after a change of mode more may remain than the count lasts */
		state->timer_elapsed_ns = length - min(length, remaining);
	}
	lapic_timer_resume(apic);
}

/**
 * vmm_lapic_timer_set_state - set all of the timer
 * @apic: the local APIC
 * @lvt: its LVT entry
 * @state: a state that was checked
 *
 * A one-shot timer that has elapsed is one that has expired. A deadline that has passed expires
 * now.
 *
 * Context: the owner.
 */
void vmm_lapic_timer_set_state(struct vmm_lapic *apic, u32 lvt,
			       const struct vmm_lapic_state *state)
{
	u64 elapsed = state->timer_elapsed_ns;
	u32 count, divide;
	u64 length;

	memcpy(&count, state->regs + LAPIC_TIMER_COUNT, sizeof(count));
	memcpy(&divide, state->regs + LAPIC_TIMER_DIVIDE, sizeof(divide));

	vmm_lapic_timer_reset(apic);
	WRITE_ONCE(apic->lvt[LAPIC_LVT_TIMER], lvt);
	apic->timer.divide = divide;
	if (timer_mode(apic) == LAPIC_TIMER_DEADLINE) {
		apic->timer.deadline = state->timer_deadline;
	} else if (timer_mode(apic) < LAPIC_TIMER_DEADLINE && count) {
		apic->timer.count = count;
		timer_set_period(apic);
		length = timer_length(apic);
		if (timer_mode(apic) == LAPIC_TIMER_PERIODIC)
			elapsed %= length;
		apic->timer.running = elapsed < length;
		apic->timer.expiry = ktime_get_ns() + length - min(elapsed, length);
	}
	lapic_timer_resume(apic);
}
