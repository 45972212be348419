/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages, tables and slots go while a vCPU may be using them: the guest never reaches a page that
 * the host has freed, the processor never walks a table that was freed, and no access to a slot
 * happens after its deletion has returned. kmod/vcpu.c, kmod/mmu/{mmu,fault,notifier}.c,
 * kmod/memslot.c.
 *
 * One vCPU, one page of its guest, one table that leads to it. The vCPU's processor keeps the
 * translation, and the way to the table, until it is told to flush, across exits. The host takes the
 * process's page away; a fault gives it another. With TWO it does so on two CPUs at once; with SLOTS
 * the slot is deleted besides.
 */
#define NCPUS	3
#define NVARS	11
#define DEPTH	2

#define MODE	0	/* vcpu->mode: 0 OUTSIDE_GUEST, 1 IN_GUEST */
#define VGEN	1	/* vcpu->tlb_gen */
#define GEN	2	/* vm->tlb_gen */
#define LOCK	3	/* vm->mmu_lock */
#define SEQ	4	/* vm->mmu_seq */
#define INV	5	/* vm->mmu_invalidating, of ranges that have the page in them */
#define TABLE	6	/* the entry that points to the table: 0, or its number */
#define LEAF	7	/* that table's entry: 0, or the page */
#define SLOT	8	/* vm->memslots: the slot is there, INVALID, or not in it */
#define ACK(cpu)	(8 + cpu)	/* what smp_call_function_many() waits for on CPU H or S */

#define THERE	0
#define INVALID	1
#define GONE	2

#define NPAGES	4	/* pages and tables are 1, 2, ...; 0 is none */
#define NTABLES	5

#include "tso.inc"

#define V	0	/* CPU of the vCPU */
#define H	1	/* of the notifier's caller */
#define S	2	/* of who deletes the slot, or of the second notifier's caller */

byte host_pte = 1;		/* under the host's page-table lock, by locked instructions */
byte refs[NPAGES];
bool page_freed[NPAGES];
bool table_freed[NTABLES];
bool slot_deleted;		/* VMM_SET_MEM_REGION has returned */
bool srcu;			/* V is in a read side of vm->srcu */

bool ipi[NCPUS];		/* function-call interrupts on their way to V, by sender */
bool irqs_on = true, in_guest;
byte tlb;			/* V's processor: the page that the gfn leads to, 0 = not known */
byte walk;			/* V's processor: the table that it knows, 0 = none */

inline put_page(p)
{
	atomic {
		refs[p]--;
		if
		:: refs[p] == 0 -> page_freed[p] = true
		:: else
		fi
	}
}

/* ---- taking away ---- */

/* vmm_flush_remote() */
inline flush_remote(cpu)
{
#ifdef PLAIN_GEN
	STORE(cpu, GEN, LOAD(cpu, GEN) + 1);
	gen = LOAD(cpu, GEN);
#else
	LOCKED(cpu, mem[GEN]++; gen = mem[GEN]);	/* atomic64_inc_return() */
#endif
	if
	:: LOAD(cpu, MODE) == 0 -> skip		/* outside: it will flush by itself */
	:: else ->
		if
		:: LOAD(cpu, VGEN) >= gen	/* entered since */
		:: else ->
			/* smp_call_function_many(..., true) */
			atomic { MB(cpu); mem[ACK(cpu)] = 0; ipi[cpu] = true };
#ifndef NO_WAIT
			LOAD(cpu, ACK(cpu)) == 1
#endif
		fi
	fi
}

/* __vmm_zap_range(): the leaf, and the table where the range covers all of it */
inline zap_range(cpu)
{
#ifdef FLUSH_BEFORE_ZAP
	flush_remote(cpu);
#endif
	flush = false;
	detached = 0;
	if
	:: LOAD(cpu, TABLE) != 0 && LOAD(cpu, LEAF) != 0 ->
		LOCKED(cpu, mem[LEAF] = 0);	/* __vmm_zap_leaf(): xchg() */
		flush = true
	:: else
	fi;
	if
	:: LOAD(cpu, TABLE) != 0 ->
		detached = LOAD(cpu, TABLE);	/* __vmm_zap_table() */
		STORE(cpu, TABLE, 0);
		flush = true
	:: skip
	fi;
#ifdef FREE_BEFORE_FLUSH
	free_table();
#endif
#ifdef FLUSH_AFTER_UNLOCK
	SPIN_UNLOCK(cpu, LOCK);
#endif
	/* __vmm_zap_finish() */
#if !defined(NO_FLUSH) && !defined(FLUSH_BEFORE_ZAP)
	if
	:: flush -> flush_remote(cpu)
	:: else
	fi;
#endif
#ifndef FREE_BEFORE_FLUSH
	free_table()
#endif
}

inline free_table()
{
	if
	:: detached != 0 -> table_freed[detached] = true
	:: else
	fi
}

#ifdef FLUSH_AFTER_UNLOCK
#define ZAP_UNLOCK(cpu)	skip
#else
#define ZAP_UNLOCK(cpu)	SPIN_UNLOCK(cpu, LOCK)
#endif

#ifdef INV_IS_A_FLAG
#define BEGIN(cpu)	1
#define END(cpu)	0
#else
#define BEGIN(cpu)	LOAD(cpu, INV) + 1
#define END(cpu)	LOAD(cpu, INV) - 1
#endif

/* the host's mm takes the page from the process: reclaim, munmap, migration */
proctype host(byte cpu)
{
	byte gen, page, detached;
	bool flush;

	/* vmm_invalidate_range_start() */
#ifndef INV_AFTER_ZAP
	SPIN_LOCK(cpu, LOCK);
#ifndef NO_INV
	STORE(cpu, INV, BEGIN(cpu));		/* __begin_invalidation() */
#endif
#ifdef SEQ_AT_START
	STORE(cpu, SEQ, LOAD(cpu, SEQ) + 1);
#endif
	if
	:: LOAD(cpu, SLOT) != GONE -> zap_range(cpu); ZAP_UNLOCK(cpu)
	:: else -> SPIN_UNLOCK(cpu, LOCK)		/* no slot has this memory */
	fi;
#else
	SPIN_LOCK(cpu, LOCK);
	zap_range(cpu);
	ZAP_UNLOCK(cpu);
	SPIN_LOCK(cpu, LOCK);
	STORE(cpu, INV, BEGIN(cpu));
	SPIN_UNLOCK(cpu, LOCK);
#endif

	/* the host's page table; its lock is taken, its entry changed by a locked instruction */
	LOCKED(cpu, page = host_pte; host_pte = 0);
	if
	:: page != 0 -> put_page(page)
	:: else
	fi;

	/* vmm_invalidate_range_end() */
	SPIN_LOCK(cpu, LOCK);
#if !defined(NO_SEQ) && !defined(SEQ_AT_START)
	STORE(cpu, SEQ, LOAD(cpu, SEQ) + 1);
#endif
#ifndef NO_INV
	STORE(cpu, INV, END(cpu));
#endif
	SPIN_UNLOCK(cpu, LOCK)
}

#ifdef SLOTS
/* VMM_SET_MEM_REGION with size 0: __replace_slot() */
proctype delete_slot()
{
	byte gen, detached;
	bool flush;

#ifdef GONE_AT_ONCE
	STORE(S, SLOT, GONE);
#else
	STORE(S, SLOT, INVALID);		/* __memslots_publish(): the interim table */
#endif
#ifndef NO_SYNC
	MB(S) && !srcu;				/* synchronize_srcu_expedited() */
#endif
	SPIN_LOCK(S, LOCK);			/* vmm_mmu_zap_gfn_range() */
	zap_range(S);
	ZAP_UNLOCK(S);
	STORE(S, SLOT, GONE);			/* __memslots_publish(): the final one */
	MB(S) && !srcu;
	slot_deleted = true
}
#endif

/* ---- the vCPU ---- */

/* outside the guest V takes its interrupts where they are on: vmm_flush_ack() */
proctype interrupts()
{
end:	do
	:: atomic { ipi[H] && irqs_on && !in_guest; ipi[H] = false; nfull(buffer[V]) };
	   STORE(V, ACK(H), 1)
	:: atomic { ipi[S] && irqs_on && !in_guest; ipi[S] = false; nfull(buffer[V]) };
	   STORE(V, ACK(S), 1)
	od
}

/* the processor reads or writes the guest's page by the translation that it has */
inline access()
{
	assert(!page_freed[tlb]);
	assert(!slot_deleted)
}

/* vmm_mmu_fault() */
inline fault()
{
	/* vmm_gfn_to_slot_any(), within the read side */
	if
#ifdef MAP_INVALID
	:: LOAD(V, SLOT) == GONE -> goto resume
#else
	:: LOAD(V, SLOT) != THERE -> goto resume
#endif
	:: else
	fi;
	seq = LOAD(V, SEQ);			/* try_fault(): smp_load_acquire() */
	/* get_page_at(): GUP, with a reference; without a page there the guest waits */
	atomic {
		MB(V);
		if
		:: host_pte == 0 && pages < NPAGES ->
			host_pte = pages;
			refs[pages]++;
			pages++
		:: else
		fi;
		page = host_pte;
		if
		:: page != 0 -> refs[page]++
		:: else -> goto resume
		fi
	};
#ifdef LOCK_WITH_IRQS_OFF
	irqs_on = false;
#endif
	SPIN_LOCK(V, LOCK);
	/* __stale() */
	stale = false;
#ifndef NO_RECHECK_SEQ
	stale = stale || LOAD(V, SEQ) != seq;
#endif
#ifndef NO_RECHECK_INV
	stale = stale || LOAD(V, INV) != 0;
#endif
#ifdef UNLOCK_BEFORE_INSTALL
	SPIN_UNLOCK(V, LOCK);
#endif
	if
	:: stale
	:: else ->				/* __install() */
		if
		:: LOAD(V, TABLE) == 0 ->
			STORE(V, LEAF, 0);	/* vmm_table_alloc() */
			STORE(V, TABLE, tables);
			tables++
		:: else
		fi;
		STORE(V, LEAF, page)
	fi;
#ifndef UNLOCK_BEFORE_INSTALL
	SPIN_UNLOCK(V, LOCK);
#endif
	irqs_on = true;
	put_page(page);
	page = 0
}

proctype vcpu()
{
	byte gen, seq, page, pages = 2, tables = 1, runs = 0;
	bool stale, npf;

resume:
	seq = 0;
	page = 0;
	stale = false;
	npf = false;
	gen = 0;
	if
	:: runs < RUNS -> runs++
	:: else -> goto out
	fi;

	/* vmm_vcpu_enter() */
	atomic { MB(V); srcu = false };		/* srcu_read_unlock(): a full barrier is in it */
	irqs_on = false;			/* local_irq_disable() */
#ifdef GEN_BEFORE_MODE
	gen = LOAD(V, GEN);
#endif
	/* smp_store_mb(vcpu->mode, VMM_IN_GUEST) */
	STORE(V, MODE, 1);
#ifndef NO_MODE_BARRIER
	MB(V);
#endif
#ifndef GEN_BEFORE_MODE
	gen = LOAD(V, GEN);
#endif
#ifndef NO_GEN_CHECK
	if
	:: LOAD(V, VGEN) != gen ->
#ifdef VGEN_WITHOUT_FLUSH
		skip;
#else
		atomic { tlb = 0; walk = 0 };	/* flush_tlb_irqoff */
#endif
		STORE(V, VGEN, gen)
	:: else
	fi;
#endif
	in_guest = true;			/* enter_irqoff */
	do
	:: ipi[H] || ipi[S] -> break		/* an interrupt ends the guest */
	:: tlb != 0 -> access(); break
	:: tlb == 0 && walk == 0 ->
		/* the processor's walk: first the table ... */
		walk = LOAD(V, TABLE);
		if
		:: walk == 0 -> npf = true; break
		:: else
		fi
	:: tlb == 0 && walk != 0 ->
		/* ... then the page; a table that was detached was emptied before */
		assert(!table_freed[walk]);
		tlb = (LOAD(V, TABLE) == walk -> LOAD(V, LEAF) : 0);
		if
		:: tlb == 0 -> walk = 0; npf = true; break
		:: else
		fi
	od;
#ifdef OUTSIDE_EARLY
	STORE(V, MODE, 0);
	if
	:: tlb != 0 && !npf -> access()
	:: else
	fi;
	in_guest = false;
#else
	in_guest = false;
	STORE(V, MODE, 0);			/* smp_store_release() */
#endif
	irqs_on = true;				/* local_irq_enable() */
	atomic { MB(V); srcu = true };		/* srcu_read_lock() */
	if
	:: npf -> fault()
	:: else
	fi;
	goto resume;
out:
	atomic { MB(V); srcu = false }
}

init {
	atomic {
		refs[1] = 1;
		run store_buffer(0);
		run store_buffer(1);
		run store_buffer(2);
		run interrupts();
		run vcpu();
		run host(H);
#ifdef TWO
		run host(S);
#endif
#ifdef SLOTS
		run delete_slot()
#endif
	}
}
