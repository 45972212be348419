/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests reach a vCPU: wherever it is, in the guest, on its way in or out, or asleep after HLT, a
 * request that was made and kicked is honoured. kmod/vcpu.c, kmod/vmm.h.
 *
 * The guest leaves by itself a few times at most, so a request that is still pending when nothing
 * moves any more was lost.
 */
#define NCPUS	3
#define NVARS	4
#define DEPTH	2

#define MODE	0	/* vcpu->mode */
#define REQ	1	/* vcpu->requests */
#define TASK	2	/* vcpu->wait.task */
#define STATE	3	/* the state of the vCPU's thread */

#define OUTSIDE		0
#define IN_GUEST	1
#define EXITING		2
#define RUNNING		0
#define INTERRUPTIBLE	1

#include "tso.inc"

#define V	0	/* CPU of the vCPU */

bool ipi;		/* reschedule interrupt on its way to V */
bool in_guest, irqs_on = true;

/* ---- those who make requests ---- */

/* vmm_make_request(): set_bit() is a locked instruction */
inline make_request()
{
#ifdef PLAIN_REQUEST
	STORE(cpu, REQ, 1);
#else
	LOCKED(cpu, mem[REQ] = 1);
#endif
}

/* vmm_vcpu_kick() */
inline kick()
{
	/* rcuwait_wake_up() */
#if !defined(NO_WAKE_BARRIER) && !defined(PLAIN_REQUEST)
	MB(cpu);
#endif
#ifndef NO_WAKE
	if
	:: LOAD(cpu, TASK) != 0 ->
		/* wake_up_process(): under the task's lock */
		LOCKED(cpu, mem[STATE] = RUNNING)
	:: else
	fi;
#endif
#ifdef PLAIN_EXITING
	if
	:: LOAD(cpu, MODE) == IN_GUEST ->
		STORE(cpu, MODE, EXITING);
		ipi = true
	:: else
	fi
#else
	if
	:: LOAD(cpu, MODE) == IN_GUEST ->
		/* cmpxchg(&vcpu->mode, VMM_IN_GUEST, VMM_EXITING) */
		atomic {
			MB(cpu);
			if
			:: mem[MODE] == IN_GUEST -> mem[MODE] = EXITING; won = true
			:: else
			fi
		};
		if
#ifdef NO_IPI
		:: won -> skip
#else
		:: won -> ipi = true	/* smp_send_reschedule() */
#endif
		:: else
		fi
	:: else
	fi
#endif
}

proctype requester(byte cpu)
{
	bool won;

#ifdef KICK_FIRST
	kick();
	make_request()
#else
	make_request();
	kick()
#endif
}

/* ---- the vCPU ---- */

/* an interrupt that finds interrupts on, outside the guest, has nothing to do */
proctype interrupts()
{
end:	do
	:: atomic { ipi && irqs_on && !in_guest; ipi = false }
	od
}

proctype vcpu()
{
	byte exits = 0, halts = 0;

run_loop:
	/* vmm_run_loop(), vmm_handle_requests(), vmm_take_request() */
	if
	:: LOAD(V, REQ) != 0 -> LOCKED(V, mem[REQ] = 0)
	:: else
	fi;
	if
	:: goto enter
	:: halts < 1 -> halts++; goto block
	fi;

enter:	/* vmm_vcpu_enter() */
	irqs_on = false;		/* local_irq_disable() */
	/* smp_store_mb(vcpu->mode, VMM_IN_GUEST) */
#ifdef RECHECK_FIRST
	if
	:: LOAD(V, REQ) != 0 -> goto denied
	:: else
	fi;
#endif
	STORE(V, MODE, IN_GUEST);
#ifndef NO_MODE_BARRIER
	MB(V);
#endif
	/* vmm_entry_denied_irqoff() */
#ifndef NO_RECHECK_MODE
	if
	:: LOAD(V, MODE) == EXITING -> goto denied
	:: else
	fi;
#endif
#if !defined(NO_RECHECK_REQUESTS) && !defined(RECHECK_FIRST)
	if
	:: LOAD(V, REQ) != 0 -> goto denied
	:: else
	fi;
#endif
	in_guest = true;		/* enter_irqoff */
end_in_guest:
	if
	:: ipi
	:: exits < 2 -> exits++		/* an exit of the guest's own */
	fi;
	in_guest = false;
denied:
	STORE(V, MODE, OUTSIDE);	/* smp_store_release() */
	irqs_on = true;			/* local_irq_enable() */
	goto run_loop;

block:	/* vmm_vcpu_block() */
	STORE(V, TASK, 1);		/* prepare_to_rcuwait() */
again:
	/* set_current_state(TASK_INTERRUPTIBLE) */
#ifdef WAKES_FIRST
	if
	:: LOAD(V, REQ) != 0 -> goto awake
	:: else
	fi;
#endif
	STORE(V, STATE, INTERRUPTIBLE);
#ifndef NO_STATE_BARRIER
	MB(V);
#endif
#ifndef WAKES_FIRST
	if
	:: LOAD(V, REQ) != 0 -> goto awake	/* vmm_vcpu_wakes() */
	:: else
	fi;
#endif
	/* schedule(): a full barrier, then asleep unless the state was changed meanwhile */
	MB(V);
end_asleep:
	mem[STATE] == RUNNING;
	goto again;
awake:
	STORE(V, STATE, RUNNING);		/* finish_rcuwait() */
	STORE(V, TASK, 0);
	goto run_loop
}

init {
	atomic {
		run store_buffer(0);
		run store_buffer(1);
		run store_buffer(2);
		run interrupts();
		run vcpu();
		run requester(1);
		run requester(2)
	}
	timeout -> assert(mem[REQ] == 0)
}
