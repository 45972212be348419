/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the rest of the host kernel has to be told around guest mode: lockdep and the interrupt
 * tracer that interrupts will be on, context tracking and RCU that this CPU is away, the
 * scheduler whose time it is.
 */
#ifndef KMOD_GUEST_CONTEXT_H
#define KMOD_GUEST_CONTEXT_H

#include <linux/context_tracking.h>
#include <linux/ftrace.h>
#include <linux/instrumentation.h>
#include <linux/irqflags.h>
#include <linux/lockdep.h>
#include <linux/ptrace.h>
#include <linux/vtime.h>
#include <asm/mce.h>
#include <asm/ptrace.h>

#include "compat.h"

/* from here on nothing may be traced or take a lock. Context: interrupts off. */
static __always_inline void vmm_guest_state_enter_irqoff(void)
{
	instrumentation_begin();
	trace_hardirqs_on_prepare();
	lockdep_hardirqs_on_prepare();
	if (!context_tracking_guest_enter())
		vmm_rcu_note_guest();
	instrumentation_end();
	lockdep_hardirqs_on(CALLER_ADDR0);
}

static __always_inline void vmm_guest_state_exit_irqoff(void)
{
	lockdep_hardirqs_off(CALLER_ADDR0);
	context_tracking_guest_exit();
	instrumentation_begin();
	trace_hardirqs_off_finish();
	instrumentation_end();
}

/*
 * a machine check ended the guest: the host handles it as if it had hit user mode. Context:
 * interrupts off.
 */
static inline void vmm_host_machine_check(void)
{
#ifdef CONFIG_X86_MCE
	struct pt_regs regs = {
		.cs = 3,	/* user mode: never "in the kernel, cannot continue" */
		.flags = X86_EFLAGS_IF,
	};

	do_machine_check(&regs);
#endif
}

#endif /* KMOD_GUEST_CONTEXT_H */
