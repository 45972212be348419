/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The objects of vmm and the functions its parts offer each other.
 *
 * Every field that is shared carries the letter of what protects it:
 *	[I] immutable once the object is visible	[a] atomic or READ_ONCE/WRITE_ONCE
 *	[h] vmm_hw_lock		[m] vm->lock		[v] vcpu->mutex (the owner may read
 *	without it)
 *	[s] vm->slots_lock, published to readers of vm->srcu
 *	[i] vm->irq_lock, published to readers of vm->srcu
 *	[p] vm->mmu_lock	[o] only the thread in VMM_RUN, so [v] in effect; also written
 *	by it alone with interrupts off
 * The order of the locks is in locking.rst.
 */
#ifndef KMOD_VMM_H
#define KMOD_VMM_H

#include <linux/atomic.h>
#include <linux/hrtimer.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcuwait.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/types.h>

#include <linux/vmm.h>
#include <linux/vmm_x86.h>

typedef u64 gpa_t;	/* guest physical address */
typedef u64 gfn_t;	/* guest frame number */
typedef u64 gva_t;	/* guest virtual (linear) address */
typedef u64 hpa_t;	/* host physical address */

struct file;
struct vmm_lapic;
struct vmm_vcpu;
struct vmm_vm;

#define VMM_INVALID_GPA		(~(gpa_t)0)

/* kinds of access, for faults, walks and memory-slot look-ups */
#define VMM_ACC_READ		BIT(0)
#define VMM_ACC_WRITE		BIT(1)
#define VMM_ACC_EXEC		BIT(2)
#define VMM_ACC_USER		BIT(3)	/* a guest walk made at CPL 3 */
#define VMM_ACC_IMPLICIT \
	BIT(4) /* a guest walk for a descriptor table: supervisor whatever the CPL */

/* ---- memory slots: memslot.c ---- */

/**
 * struct vmm_memslot - one memory region of a VM
 * @base_gfn: first guest frame [I]
 * @npages: pages [I]
 * @hva: host virtual address of the first page, in vm->mm [I]
 * @id: number that userland gave it [I]
 * @flags: VMM_MEM_* [I]
 *
 * A slot never changes: a change publishes a new table with a new copy.
 */
struct vmm_memslot {
	gfn_t base_gfn;
	unsigned long npages;
	unsigned long hva;
	u32 id;
	u32 flags;
};

/**
 * struct vmm_memslots - the table of a VM's slots, replaced as a whole
 * @generation: grows with every change; lets a cached translation be checked
 * @nr: entries
 * @slot: sorted by base_gfn
 */
struct vmm_memslots {
	u64 generation;
	unsigned int nr;
	struct vmm_memslot slot[];
};

/**
 * struct vmm_mmu - the second-level page table of a VM; opaque but to mmu/
 * @root: host physical address of the top table, without the memory-encryption bit [I]
 * @root_table: its kernel address [I]
 * @nr_tables: tables allocated [p]
 */
struct vmm_mmu {
	hpa_t root;
	u64 *root_table;
	unsigned long nr_tables;
};

/**
 * struct vmm_table_cache - zeroed tables that a fault allocates before it takes vm->mmu_lock;
 * opaque but to mmu/
 * @nr: valid entries of @table [o]
 * @table: one for each level below the root [o]
 */
struct vmm_table_cache {
	unsigned int nr;
	u64 *table[4];
};

/* ---- in-kernel port and memory devices: io/bus.c ---- */

enum vmm_bus { VMM_BUS_PIO, VMM_BUS_MMIO, VMM_NR_BUSES };

struct vmm_io_bus;

/* ---- the VM: vm.c ---- */

/**
 * struct vmm_vm - a child partition
 * @refs: references; teardown starts when the last goes
 * @mm: address space of the creator, held by mm_count [I]
 * @lock: creation of vCPUs and devices
 * @vcpus: by id, NULL where there is none [m] for writers, READ_ONCE for readers
 * @nr_vcpus: how many [m]
 * @srcu: readers of @memslots, @bus and @routes
 * @slots_lock: writers of @memslots and @bus
 * @memslots: [s]
 * @mmu_lock: the second-level page table; spinlock, taken inside the notifier's possibly
 *	non-sleeping callbacks
 * @mmu: [p]
 * @mn: MMU notifier on @mm
 * @mmu_seq: grows with every invalidation [p], read without it at a fault's start
 * @mmu_invalidating: invalidations under way [p]
 * @inv_start: the range they cover, as hva [p]
 * @inv_end: its end [p]
 * @tlb_gen: grows with every loss of permission [a]; no vCPU uses a translation that is older
 *	than the value it entered with
 * @bus: in-kernel devices [s]
 * @irq_lock: writers of @routes and @irqfds
 * @routes: opaque but to irq/ [i]
 * @irqfds: opaque but to irq/irqfd.c [i]
 * @clock_lock: leaf spinlock for the three that follow
 * @apic_ids_changed: some vCPU once had an xAPIC id that is not its number: look-ups by id ask
 *	all [a]
 * @tsc_offset: guest TSC minus host TSC, before a vCPU's TSC_ADJUST
 * @clock_tsc: the pair that the paravirtual clock is derived from: a guest TSC value, without
 *	any vCPU's adjustment ...
 * @clock_ns: ... and the clock at that moment
 * @bugged: an internal inconsistency was seen; every entry fails with EIO [a]
 * @stat: counters of the VM itself, by enum vmm_stat [a]
 */
struct vmm_vm {
	refcount_t refs;
	struct mm_struct *mm;
	struct mutex lock;		/* creation of vCPUs and devices */
	struct vmm_vcpu *vcpus[VMM_MAX_VCPUS];
	unsigned int nr_vcpus;

	struct srcu_struct srcu;
	struct mutex slots_lock;	/* writers of memslots and bus */
	struct vmm_memslots __rcu *memslots;

	spinlock_t mmu_lock;		/* the second-level page table */
	struct vmm_mmu mmu;
	struct mmu_notifier mn;
	unsigned long mmu_seq;
	unsigned long mmu_invalidating;
	unsigned long inv_start;
	unsigned long inv_end;
	atomic64_t tlb_gen;

	struct vmm_io_bus __rcu *bus[VMM_NR_BUSES];

	struct mutex irq_lock;		/* writers of routes and irqfds */
	struct vmm_irq_routing __rcu *routes;
	struct vmm_irqfds *irqfds;
	bool apic_ids_changed;

	spinlock_t clock_lock;		/* the three that follow */
	u64 tsc_offset;
	u64 clock_tsc;
	u64 clock_ns;

	bool bugged;
	atomic64_t stat[VMM_STAT_NR];
};

/* ---- the vCPU: vcpu.c ---- */

/*
 * What a vCPU's thread is doing, for those that must reach it:
 *
 *	OUTSIDE_GUEST --(interrupts off, full barrier)--> IN_GUEST --(exit)--> OUTSIDE_GUEST
 *	      |                                              |
 *	| kick: nothing; requests and tlb_gen are      | kick: IN_GUEST -> EXITING by cmpxchg,
 *	one IPI
 *	      |       read after the barrier                 v
 *	      +------------------------------------------ EXITING
 */
enum vmm_vcpu_mode { VMM_OUTSIDE_GUEST, VMM_IN_GUEST, VMM_EXITING };

/* bits of vcpu->requests, honoured before the next entry */
enum vmm_request {
	VMM_REQ_EVENT,		/* look again at what can be injected */
	VMM_REQ_NMI,		/* vcpu->nmi_queued grew */
	VMM_REQ_INIT_SIPI,	/* the local APIC took an INIT or a SIPI */
	VMM_REQ_EOI_EXIT,	/* vcpu->eoi_pending has bits */
	VMM_REQ_TRIPLE_FAULT,
	VMM_REQ_CLOCK,		/* refresh the paravirtual clock */
	VMM_REQ_TSC,		/* the VM's TSC offset changed */
	VMM_REQ_WAKE,		/* nothing but: leave the wait */
	VMM_NR_REQS,
};

/**
 * struct vmm_exception - an exception to deliver
 * @vector: 0 .. 31
 * @has_error: @error is pushed
 * @error: error code
 * @payload: CR2 for #PF, DR6 bits for #DB
 */
struct vmm_exception {
	u8 vector;
	bool has_error;
	u32 error;
	u64 payload;
};

/**
 * struct vmm_event_queue - events on their way into the vCPU; kept outside the control block,
 * so that they can be saved, merged and cancelled whatever the vendor. All [o].
 * @exc: valid when @exc_pending or @exc_injected
 * @exc_pending: recognised, not yet in the control block
 * @exc_injected: was in delivery when an exit came, or is in the control block now
 * @irq_injected: likewise, an external interrupt (already acknowledged) or, with @irq_soft, INT
 *	n
 * @irq_soft: it is a software interrupt
 * @irq_vector: its vector
 * @insn_len: length of that INT n
 * @nmi_pending: NMIs waiting, 0 .. 2
 * @nmi_injected: likewise in delivery
 */
struct vmm_event_queue {
	struct vmm_exception exc;
	bool exc_pending;
	bool exc_injected;
	bool irq_injected;
	bool irq_soft;
	u8 irq_vector;
	u8 insn_len;
	u8 nmi_pending;
	bool nmi_injected;
};

#ifdef VMM_DEBUG

/* registers of the host that are compared, besides MSRs */
enum vmm_debug_reg {
	VMM_DEBUG_CR0, VMM_DEBUG_CR3, VMM_DEBUG_CR4, VMM_DEBUG_CR8, VMM_DEBUG_XCR0, VMM_DEBUG_PKRU,
	VMM_DEBUG_DR0, VMM_DEBUG_DR1, VMM_DEBUG_DR2, VMM_DEBUG_DR3, VMM_DEBUG_DR7,
	VMM_DEBUG_GDT_BASE, VMM_DEBUG_GDT_LIMIT, VMM_DEBUG_IDT_BASE, VMM_DEBUG_IDT_LIMIT,
	VMM_DEBUG_LDT, VMM_DEBUG_TR, VMM_DEBUG_DS, VMM_DEBUG_ES, VMM_DEBUG_FS, VMM_DEBUG_GS,
	VMM_DEBUG_NR_REGS,
};

#define VMM_DEBUG_MSRS		16
#define VMM_DEBUG_OUTSIDE	U64_MAX

/**
 * struct vmm_vcpu_debug - what the self-checks of debug.c remember of a vCPU; all [o], but:
 * @entered_gen: vm->tlb_gen that it is in the guest with, VMM_DEBUG_OUTSIDE = it is not [a]
 * @msr: MSRs of the host at the last entry, or when it came to this CPU
 * @reg: the host's other registers at the last entry
 * @dr6: likewise
 * @lazy_reg: those that are given back when it leaves a CPU, as they were when it came
 * @lazy_bad: name of an MSR or register that was not, or NULL
 * @lazy_got: what was in it
 */
struct vmm_vcpu_debug {
	u64 entered_gen;
	u64 msr[VMM_DEBUG_MSRS];
	u64 reg[VMM_DEBUG_NR_REGS];
	unsigned long dr6;
	u64 lazy_reg[VMM_DEBUG_NR_REGS];
	const char *lazy_bad;
	u64 lazy_got;
};

#endif /* VMM_DEBUG */

struct vmm_cpuid;
struct vmm_insn_state;
struct fpu_guest;

/**
 * struct vmm_vcpu - a virtual processor
 * @vm: its VM, holding a reference [I]
 * @id: number and initial local APIC id [I]
 * @mutex: VMM_RUN and every ioctl of the vCPU
 * @run: page shared with userland; each field is read once [I]
 * @pn: tells of the thread's being scheduled out and in
 * @cpu: physical CPU it is loaded on, -1 when not [a]
 * @mode: enum vmm_vcpu_mode [a]
 * @requests: bits of enum vmm_request [a]
 * @wait: where a halted vCPU sleeps
 * @tlb_gen: value of vm->tlb_gen at the last entry [a]; written by the owner with interrupts
 *	off
 * @nmi_queued: NMIs sent to it and not yet taken [a]
 * @mp: enum vmm_mp [o]
 * @has_run: VMM_RUN was called: what CPUID says is settled [o]
 * @gpr: general registers while outside the guest [o]
 * @rip: likewise
 * @rflags: likewise
 * @cr2: likewise
 * @pkru: likewise, where the guest has protection keys
 * @host_pkru: the host task's PKRU while the guest runs [o]
 * @xcr0: XCR0 of the guest [o]
 * @ia32_xss: XSS of the guest; supervisor states are not offered, so 0
 * @dr: DR0 .. DR3 [o]
 * @dr6: [o]
 * @dr7: [o]
 * @ev: events [o]
 * @eoi_pending: vectors whose EOI userland has to hear of [o]
 * @intack_wait: VMM_EXIT_INTACK was made and its answer is due [o]
 * @irq_by_cpu: the processor delivers the local APIC's interrupts by itself [I]
 * @lapic: its local APIC [I]
 * @cpuid: [o]
 * @insn: emulation in progress and its replay log [o]
 * @fpu: guest FPU state [I]
 * @pat: IA32_PAT [o]
 * @misc_enable: IA32_MISC_ENABLE [o]
 * @tsc_aux: [o]
 * @host_tsc_aux: of the CPU that the vCPU is loaded on [o]
 * @loaded_tsc_aux: in the register now, while loaded [o]
 * @tsc_adjust: IA32_TSC_ADJUST [o], READ_ONCE for the timer
 * @mtrr: memory-type range registers, kept and not acted on: the host's memory types rule [o]
 * @clock_msr: MSR_KVM_SYSTEM_TIME_NEW as written [o]
 * @tables: second-level tables at hand; freed by vmm_mmu_vcpu_free() [o]
 * @stat: counters, by enum vmm_stat; written by the owner only [a]
 * @debug: of the self-checks
 */
struct vmm_vcpu {
	struct vmm_vm *vm;
	u32 id;
	struct mutex mutex;		/* VMM_RUN and every ioctl of the vCPU */
	struct vmm_run *run;
	struct preempt_notifier pn;
	int cpu;
	int mode;
	unsigned long requests;
	struct rcuwait wait;
	u64 tlb_gen;
	atomic_t nmi_queued;
	u32 mp;
	bool has_run;

	u64 gpr[VMM_NR_GPRS];
	u64 rip;
	u64 rflags;
	u64 cr2;
	u32 pkru;
	u32 host_pkru;
	u64 xcr0;
	u64 ia32_xss;
	u64 dr[4];
	u64 dr6;
	u64 dr7;

	struct vmm_event_queue ev;
	DECLARE_BITMAP(eoi_pending, 256);
	bool intack_wait;
	bool irq_by_cpu;
	struct vmm_lapic *lapic;
	struct vmm_cpuid *cpuid;
	struct vmm_insn_state *insn;
	struct fpu_guest *fpu;

	u64 pat;
	u64 misc_enable;
	u64 tsc_aux;
	u64 host_tsc_aux;
	u64 loaded_tsc_aux;
	u64 tsc_adjust;
	struct {
		u64 def_type;
		u64 fixed[11];
		u64 var[16];
	} mtrr;
	u64 clock_msr;

	struct vmm_table_cache tables;

	u64 stat[VMM_STAT_NR];
#ifdef VMM_DEBUG
	struct vmm_vcpu_debug debug;
#endif
};

static inline void vmm_stat_inc(struct vmm_vcpu *vcpu, enum vmm_stat s)
{
	WRITE_ONCE(vcpu->stat[s], vcpu->stat[s] + 1);
}

static inline void vmm_vm_stat_add(struct vmm_vm *vm, enum vmm_stat s, s64 n)
{
	atomic64_add(n, &vm->stat[s]);
}

/* vm.c */
void vmm_vm_get(struct vmm_vm *vm);
void vmm_vm_put(struct vmm_vm *vm);

/* the vCPU with the lowest number from *@i on, whose number *@i becomes; NULL: none */
static inline struct vmm_vcpu *vmm_next_vcpu(struct vmm_vm *vm, unsigned int *i)
{
	struct vmm_vcpu *vcpu;

	for (; *i < VMM_MAX_VCPUS; (*i)++) {
		/* whole if it can be seen; pairs with vmm_vcpu_create() */
		vcpu = smp_load_acquire(&vm->vcpus[*i]);
		if (vcpu)
			return vcpu;
	}
	return NULL;
}

/**
 * vmm_vm_for_each_vcpu - walk the vCPUs of a VM, without a lock: vCPUs are added and never removed
 *	while the VM lives
 * @i: unsigned int
 * @vcpu: struct vmm_vcpu *
 * @vm: the VM
 */
#define vmm_vm_for_each_vcpu(i, vcpu, vm)				\
	for ((i) = 0, (vcpu) = vmm_next_vcpu(vm, &(i)); (vcpu);		\
	     (i)++, (vcpu) = vmm_next_vcpu(vm, &(i)))

/* vcpu.c */
int vmm_vcpu_create(struct vmm_vm *vm, const struct vmm_create_vcpu *arg);
void vmm_vcpu_free(struct vmm_vcpu *vcpu);
void vmm_vcpu_kick(struct vmm_vcpu *vcpu);
void vmm_vcpu_queue_nmi(struct vmm_vcpu *vcpu);
void vmm_flush_remote(struct vmm_vm *vm);

/**
 * vmm_make_request - ask a vCPU to do something before its next entry; follow it with
 * vmm_vcpu_kick()
 * @vcpu: the vCPU
 * @req: what
 *
 * Context: any. The bit is visible before the kick looks at vcpu->mode.
 */
static inline void vmm_make_request(struct vmm_vcpu *vcpu, enum vmm_request req)
{
	/* what the request is about, before the request; pairs with vmm_take_request() */
	smp_wmb();
	set_bit(req, &vcpu->requests);
}

static inline bool vmm_take_request(struct vmm_vcpu *vcpu, enum vmm_request req)
{
	if (!test_bit(req, &vcpu->requests))
		return false;
	clear_bit(req, &vcpu->requests);
	/* pairs with vmm_make_request() */
	smp_mb__after_atomic();
	return true;
}

/* event.c */
void vmm_queue_exception(struct vmm_vcpu *vcpu, u8 vector);
void vmm_queue_exception_error(struct vmm_vcpu *vcpu, u8 vector, u32 error);
void vmm_queue_page_fault(struct vmm_vcpu *vcpu, u32 error, gva_t address);

/*
 * registers that the vendor keeps; state.c wraps the vendor's ops. Context: the owner, outside
 * the guest.
 */
u64 vmm_get_cr0(struct vmm_vcpu *vcpu);
u64 vmm_get_cr3(struct vmm_vcpu *vcpu);
u64 vmm_get_cr4(struct vmm_vcpu *vcpu);
u64 vmm_get_efer(struct vmm_vcpu *vcpu);
unsigned int vmm_get_cpl(struct vmm_vcpu *vcpu);

/* tsc.c */
u64 vmm_guest_tsc(struct vmm_vcpu *vcpu);
u64 vmm_tsc_khz(void);

/* cpuid.c: what the guest was offered */
bool vmm_guest_has_x2apic(struct vmm_vcpu *vcpu);
bool vmm_guest_has_tsc_deadline(struct vmm_vcpu *vcpu);
bool vmm_guest_has_pku(struct vmm_vcpu *vcpu);
unsigned int vmm_guest_maxphyaddr(struct vmm_vcpu *vcpu);	/* bits */

#endif /* KMOD_VMM_H */
