/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Address-space identifiers: a vCPU never uses a translation of another vCPU's, nor one from before
 * its last flush, nor what another hypervisor left, however vCPUs move between CPUs and however
 * often the identifiers run out. kmod/svm/enter.c.
 *
 * Two vCPUs of two VMs, two CPUs with two identifiers each. All that is modelled is a CPU's own, so
 * a run of a vCPU is one step. A translation is known by its vCPU and the number of flushes that the
 * vCPU had been asked for when it was made.
 */
#define NR		2	/* CPUs, vCPUs */
#define MAX_ASID	2	/* sc->max_asid */
#define FOREIGN		255

typedef cpu_t {
	byte generation;	/* sc->generation */
	byte next_asid;		/* sc->next_asid */
	bool flush_all;		/* sc->flush_all */
	byte tlb[3];		/* by identifier; 0: nothing */
};

typedef vcpu_t {
	byte cpu;		/* where its thread is */
	byte asid;		/* vmcb->control.asid */
	byte asid_cpu;		/* svm->asid_cpu; NR: none */
	byte asid_generation;	/* svm->asid_generation */
	byte flushes;		/* vm->tlb_gen */
	byte seen;		/* vcpu->tlb_gen */
};

cpu_t cpu[NR];
vcpu_t vcpu[NR];
byte moves, turns;

#define TRANSLATION(v)	(1 + v * 8 + vcpu[v].flushes)

/* svm_hardware_enable(); the one before used any identifier */
inline hardware_enable(c)
{
	cpu[c].tlb[1] = FOREIGN;
	cpu[c].tlb[2] = FOREIGN;
#ifdef ENABLE_WITHOUT_FLUSH
	cpu[c].next_asid = 1;
#else
	cpu[c].next_asid = MAX_ASID + 1;
#endif
}

/* svm_vcpu_create() */
inline new_vcpu(v)
{
	vcpu[v].asid = 0;
	vcpu[v].asid_cpu = NR;
	vcpu[v].asid_generation = 0;
	vcpu[v].flushes = 0;
	vcpu[v].seen = 0
}

/* svm_new_asid() */
inline new_asid(v, c)
{
	if
	:: cpu[c].next_asid > MAX_ASID ->
		cpu[c].generation++;
		cpu[c].next_asid = 1;
#ifndef NO_FLUSH_ALL
		cpu[c].flush_all = true
#endif
	:: else
	fi;
	vcpu[v].asid_generation = cpu[c].generation;
	vcpu[v].asid_cpu = c;
	vcpu[v].asid = cpu[c].next_asid;
	cpu[c].next_asid++
}

/* vmm_vcpu_enter(), svm_flush_tlb_irqoff(), svm_prepare(), VMRUN */
inline run_vcpu(v, c)
{
	flush_asid = false;
	if
	:: vcpu[v].seen != vcpu[v].flushes ->
#ifdef FLUSHBYASID
		flush_asid = true;
#else
#ifndef FLUSH_KEEPS_ASID
		vcpu[v].asid_cpu = NR;
#endif
#endif
		vcpu[v].seen = vcpu[v].flushes
	:: else
	fi;
	stays = vcpu[v].asid_cpu != NR;
#ifndef NO_CPU_CHECK
	stays = stays && vcpu[v].asid_cpu == c;
#endif
#ifndef NO_GENERATION_CHECK
	stays = stays && vcpu[v].asid_generation == cpu[c].generation;
#endif
	if
	:: !stays -> new_asid(v, c)
	:: else
	fi;
	if
	:: cpu[c].flush_all ->
		cpu[c].tlb[1] = 0;
		cpu[c].tlb[2] = 0;
		cpu[c].flush_all = false
	:: else ->
		if
		:: flush_asid -> cpu[c].tlb[vcpu[v].asid] = 0
		:: else
		fi
	fi;
	/* the guest's access */
	if
	:: cpu[c].tlb[vcpu[v].asid] == 0 -> cpu[c].tlb[vcpu[v].asid] = TRANSLATION(v)
	:: else -> assert(cpu[c].tlb[vcpu[v].asid] == TRANSLATION(v))
	fi
}

active proctype machine()
{
	bool flush_asid, stays;
	byte v, c;

	d_step {
		hardware_enable(0);
		hardware_enable(1);
		new_vcpu(0);
		new_vcpu(1)
	};
	do
	:: atomic { select(v : 0 .. NR - 1); c = vcpu[v].cpu; run_vcpu(v, c) }
	:: atomic { moves < MOVES -> moves++; select(v : 0 .. NR - 1); vcpu[v].cpu = 1 - vcpu[v].cpu }
	/* vmm_flush_remote() */
	:: atomic {
		select(v : 0 .. NR - 1);
		if
		:: vcpu[v].flushes < FLUSHES -> vcpu[v].flushes++
		:: else
		fi
	   }
	/* the last VM goes, another hypervisor comes and goes, two VMs are made */
	:: atomic {
		turns < 1 -> turns++;
		hardware_enable(0);
		hardware_enable(1);
		new_vcpu(0);
		new_vcpu(1)
	   }
	:: break
	od
}
