// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU notifier: the host's mm tells before it takes memory away or changes it, and asks what
 * the guest has used.
 *
 *	start:	invalidating++, zap, flush
 *		the host changes its page table
 *	end:	seq++, invalidating--
 *
 * A fault reads mmu_seq, asks GUP for the page, takes mmu_lock, and installs only if neither an end
 * has passed since nor an invalidation of the page is under way (fault.c). So a page that GUP
 * returned before the change is never installed after start.
 *
 * The slots are read with mmu_lock held, after invalidating++: whoever installs from a newer table
 * than the one seen here takes the lock later, and sees the invalidation; whoever took it before
 * published that table before.
 *
 * start and end may be called where one must not sleep (OOM reaper), the ageing callbacks under the
 * host's page-table lock: nothing here sleeps, but for the pauses of a long blockable zap.
 */
#include <linux/bitops.h>
#include <linux/minmax.h>
#include <linux/mmu_notifier.h>
#include <linux/srcu.h>

#include "internal.h"

/* a piece of a slot, as frames */
struct gfn_range {
	gfn_t start;
	gfn_t end;
};

static struct vmm_vm *mn_to_vm(struct mmu_notifier *mn)
{
	return container_of(mn, struct vmm_vm, mn);
}

/* The frames of @slot whose memory overlaps [start, end). */
static bool slot_overlap(const struct vmm_memslot *slot, unsigned long start, unsigned long end,
			 struct gfn_range *range)
{
	unsigned long slot_end = slot->hva + (slot->npages << PAGE_SHIFT);

	start = max(start, slot->hva);
	end = min(end, slot_end);
	if (start >= end)
		return false;
	range->start = slot->base_gfn + ((start - slot->hva) >> PAGE_SHIFT);
	range->end = slot->base_gfn + ((end - 1 - slot->hva) >> PAGE_SHIFT) + 1;
	return true;
}

/* An invalidation that touches [start, end) is under way. */
bool __vmm_invalidating(const struct vmm_vm *vm, unsigned long start, unsigned long end)
{
	return vm->mmu_invalidating && start < vm->inv_end && vm->inv_start < end;
}

static void __begin_invalidation(struct vmm_vm *vm, unsigned long start, unsigned long end)
{
	if (vm->mmu_invalidating++) {
		vm->inv_start = min(vm->inv_start, start);
		vm->inv_end = max(vm->inv_end, end);
	} else {
		vm->inv_start = start;
		vm->inv_end = end;
	}
}

static int vmm_invalidate_range_start(struct mmu_notifier *mn,
				      const struct mmu_notifier_range *range)
{
	struct vmm_vm *vm = mn_to_vm(mn);
	bool may_yield = mmu_notifier_range_blockable(range);
	const struct vmm_memslots *slots;
	struct gfn_range gfns;
	unsigned int i;
	int idx;

	idx = srcu_read_lock(&vm->srcu);
	spin_lock(&vm->mmu_lock);
	__begin_invalidation(vm, range->start, range->end);
	slots = srcu_dereference(vm->memslots, &vm->srcu);
	for (i = 0; i < slots->nr; i++)
		if (slot_overlap(&slots->slot[i], range->start, range->end, &gfns))
			__vmm_zap_range(vm, gfns.start, gfns.end, may_yield);
	spin_unlock(&vm->mmu_lock);
	srcu_read_unlock(&vm->srcu, idx);
	return 0;
}

static void vmm_invalidate_range_end(struct mmu_notifier *mn,
				     const struct mmu_notifier_range *range)
{
	struct vmm_vm *vm = mn_to_vm(mn);

	spin_lock(&vm->mmu_lock);
	/* the host's change, before the number that tells of it; pairs with vmm_mmu_fault() */
	smp_store_release(&vm->mmu_seq, vm->mmu_seq + 1);
	if (!WARN_ON_ONCE(!vm->mmu_invalidating))
		vm->mmu_invalidating--;
	spin_unlock(&vm->mmu_lock);
}

/*
 * Was this leaf used, and forget it if @clear. No flush: a processor that has the translation in
 * its TLB does not set the bit again, and the page looks a little older than it is, as with the
 * host's own entries. Without an accessed bit the leaf has to go, to be faulted in at the next use.
 */
static bool __age_leaf(struct vmm_zap *zap, u64 *sptep, bool clear)
{
	u64 accessed = vmm_mmu_fmt.accessed;

	if (!accessed) {
		if (clear)
			__vmm_zap_leaf(zap, sptep);
		return true;
	}
	if (!(READ_ONCE(*sptep) & accessed))
		return false;
	if (clear)
		clear_bit(__ffs64(accessed), (unsigned long *)sptep);
	return true;
}

/* Were the pages of [start, end) used since they were last cleared? */
static int age_range(struct mmu_notifier *mn, unsigned long start, unsigned long end, bool clear)
{
	struct vmm_vm *vm = mn_to_vm(mn);
	const struct vmm_memslots *slots;
	struct gfn_range gfns;
	unsigned int i, level;
	bool young = false;
	struct vmm_zap zap;
	u64 *sptep;
	int idx;

	vmm_zap_init(&zap, vm);
	idx = srcu_read_lock(&vm->srcu);
	spin_lock(&vm->mmu_lock);
	slots = srcu_dereference(vm->memslots, &vm->srcu);
	for (i = 0; i < slots->nr; i++) {
		if (!slot_overlap(&slots->slot[i], start, end, &gfns))
			continue;
		while ((sptep = __vmm_next_leaf(vm, &gfns.start, gfns.end, &level)))
			young |= __age_leaf(&zap, sptep, clear);
	}
	__vmm_zap_finish(&zap);
	spin_unlock(&vm->mmu_lock);
	srcu_read_unlock(&vm->srcu, idx);
	return young;
}

static int vmm_clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
				 unsigned long start, unsigned long end)
{
	return age_range(mn, start, end, true);
}

static int vmm_clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
			   unsigned long start, unsigned long end)
{
	return age_range(mn, start, end, true);
}

static int vmm_test_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long address)
{
	return age_range(mn, address, address + 1, false);
}

/*
 * The address space goes away: its last thread exits or execs (fds of the VM may live on in other
 * processes), or vmm_mmu_unregister() was called. The invalidation never ends, so nothing is
 * installed any more.
 */
static void vmm_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct vmm_vm *vm = mn_to_vm(mn);

	spin_lock(&vm->mmu_lock);
	__begin_invalidation(vm, 0, ULONG_MAX);
	__vmm_zap_range(vm, 0, vmm_level_pages(vmm_mmu_fmt.levels + 1), true);
	spin_unlock(&vm->mmu_lock);
}

static const struct mmu_notifier_ops vmm_notifier_ops = {
	.invalidate_range_start	= vmm_invalidate_range_start,
	.invalidate_range_end	= vmm_invalidate_range_end,
	.clear_flush_young	= vmm_clear_flush_young,
	.clear_young		= vmm_clear_young,
	.test_young		= vmm_test_young,
	.release		= vmm_release,
};

int vmm_notifier_register(struct vmm_vm *vm)
{
	vm->mn.ops = &vmm_notifier_ops;
	return mmu_notifier_register(&vm->mn, vm->mm);
}

/**
 * vmm_mmu_unregister - stop watching the address space
 * @vm: a VM that is being destroyed and no vCPU of which will enter; vmm_mmu_init() succeeded.
 *	mm_count of vm->mm is held, its users may be gone
 *
 * When it returns the table is empty and no callback runs or will run. Call it before vm->srcu, the
 * slots and the table go.
 * Context: may sleep; no read side of vm->srcu, no lock that memory reclaim takes.
 */
void vmm_mmu_unregister(struct vmm_vm *vm)
{
	mmu_notifier_unregister(&vm->mn, vm->mm);
}
