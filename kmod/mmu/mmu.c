// SPDX-License-Identifier: GPL-2.0
/*
 * The second-level page table of a VM: tables and the removal of entries. One code for NPT (APM
 * volume 2, 15.25) and EPT (SDM volume 3, chapter 29.3); struct vmm_mmu_format tells their bits.
 *
 * The table is a cache of the process's own page table, cut to the memory slots. It may lose any
 * entry at any time: the next access faults it in again. Entries hold no reference on their pages.
 * What keeps a page there is the rule of the MMU notifier: the host unmaps it only after the
 * entries are gone and flushed.
 *
 * A removal has three steps, in one hold of mmu_lock: clear the entries, flush every vCPU, free the
 * detached tables. The flush is inside, so that a second remover of the same range, finding
 * nothing, does not return before the first one's flush.
 */
#include <linux/cpufeature.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/page-flags.h>
#include <linux/sched.h>

#include "internal.h"

struct vmm_mmu_format vmm_mmu_fmt __read_mostly;

/**
 * vmm_mmu_module_init - tell the MMU the processor's format
 * @format: copied
 *
 * Context: before the first VM.
 *
 * Return: 0; -EINVAL: a format that this code cannot build.
 */
int vmm_mmu_module_init(const struct vmm_mmu_format *format)
{
	/* a vCPU's table cache holds one table for each level below the root */
	BUILD_BUG_ON(sizeof_field(struct vmm_table_cache, table) < 4 * sizeof(u64 *));
	if (format->levels < 4 || format->levels > 5)
		return -EINVAL;
	if (format->max_level < 1 || format->max_level > 3 || !format->present || !format->writable)
		return -EINVAL;
	if (format->max_level > 1 && !format->leaf)
		return -EINVAL;
	vmm_mmu_fmt = *format;
	return 0;
}

/**
 * vmm_mmu_module_exit - undo vmm_mmu_module_init()
 */
void vmm_mmu_module_exit(void)
{
}

/**
 * vmm_mmu_gpa_bits - width of a guest physical address
 *
 * Context: after vmm_mmu_module_init().
 *
 * Return: bits that both the host's physical addresses and the depth of the table allow, at most
 *	52.
 */
unsigned int vmm_mmu_gpa_bits(void)
{
	unsigned int table_bits = PAGE_SHIFT + vmm_level_shift(vmm_mmu_fmt.levels + 1);

	return min3((unsigned int)boot_cpu_data.x86_phys_bits, table_bits, 52U);
}

/*
 * A zeroed table, counted as SecPageTables and charged to the caller's memory cgroup. NULL: no
 * memory. May sleep.
 */
u64 *vmm_table_alloc(void)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!page)
		return NULL;
	mod_node_page_state(page_pgdat(page), NR_SECONDARY_PAGETABLE, 1);
	return page_address(page);
}

void vmm_table_free(u64 *table)
{
	struct page *page = virt_to_page(table);

	mod_node_page_state(page_pgdat(page), NR_SECONDARY_PAGETABLE, -1);
	__free_page(page);
}

/*
 * Pass on to the page what the processor noted in a leaf that is gone.
 *
 * Dirty: a writable leaf came from GUP with FOLL_WRITE, which shows that the host's entry was
 * writable, not that it was dirty: fast GUP leaves its dirty bit alone, and MADV_FREE clears it and
 * lets the entry writable. So a guest's write may be noted here only, and reclaim would drop the
 * page's contents (swap, shmem, MADV_FREE). Whoever cleans a page calls the notifier first, so
 * telling the page at the zap is soon enough. The page's mapping cannot be truncated meanwhile: it
 * is still mapped by the process, as whoever unmaps it has to wait for mmu_lock first. The dirty
 * bit cannot appear after the xchg(): a processor that has not noted it yet walks again to set it,
 * and finds nothing.
 *
 * Accessed: only the flag. mark_page_accessed() may take a reference for a while, which would make
 * the migration or split that this zap is for fail.
 */
static void harvest(u64 spte)
{
	const struct vmm_mmu_format *f = &vmm_mmu_fmt;
	struct folio *folio = page_folio(pfn_to_page(PHYS_PFN(vmm_spte_pa(spte))));

	if ((spte & f->writable) && (!f->dirty || (spte & f->dirty)))
		folio_mark_dirty(folio);
	if (f->accessed && (spte & f->accessed))
		folio_set_referenced(folio);
}

/* Remove the leaf at @sptep. */
void __vmm_zap_leaf(struct vmm_zap *zap, u64 *sptep)
{
	harvest(xchg(sptep, 0));
	zap->zapped++;
	zap->flush = true;
}

/* Detach the table that @sptep, an entry of @level, points to, with all that hangs below it. */
void __vmm_zap_table(struct vmm_zap *zap, u64 *sptep, unsigned int level)
{
	u64 *table = vmm_spte_child(READ_ONCE(*sptep));
	unsigned int i;

	WRITE_ONCE(*sptep, 0);
	for (i = 0; i < VMM_TABLE_ENTRIES; i++) {
		u64 spte = READ_ONCE(table[i]);

		if (vmm_spte_is_leaf(spte, level - 1))
			__vmm_zap_leaf(zap, &table[i]);
		else if (spte)
			__vmm_zap_table(zap, &table[i], level - 1);
	}
	list_add(&virt_to_page(table)->lru, &zap->tables);
	zap->vm->mmu.nr_tables--;
	zap->flush = true;
}

/* Make what was removed unreachable to every vCPU, then free the tables. @zap can be used again. */
void __vmm_zap_finish(struct vmm_zap *zap)
{
	struct page *page, *next;

	lockdep_assert_held(&zap->vm->mmu_lock);
	if (zap->flush)
		vmm_flush_remote(zap->vm);
	zap->flush = false;
	list_for_each_entry_safe(page, next, &zap->tables, lru) {
		list_del(&page->lru);
		vmm_table_free(page_address(page));
	}
	if (zap->zapped)
		vmm_vm_stat_add(zap->vm, VMM_STAT_SPTE_ZAPPED, zap->zapped);
	zap->zapped = 0;
}

static bool should_yield(const struct vmm_zap *zap)
{
	return zap->may_yield && (need_resched() || spin_needbreak(&zap->vm->mmu_lock));
}

/*
 * Remove the leaves of [cursor, end) in a table of @level that starts at frame @base, and the
 * tables that lie wholly in [start, end). Returns true when it stopped in between, to be started
 * again from the root after a pause.
 */
static bool zap_level(struct vmm_zap *zap, u64 *table, unsigned int level, gfn_t base)
{
	gfn_t pages = vmm_level_pages(level);
	unsigned int i = zap->cursor > base ? vmm_level_index(zap->cursor, level) : 0;
	gfn_t gfn = base + i * pages;

	for (; i < VMM_TABLE_ENTRIES && gfn < zap->end; i++, gfn += pages) {
		u64 spte = READ_ONCE(table[i]);

		if (!spte)
			continue;
		if (vmm_spte_is_leaf(spte, level)) {
			__vmm_zap_leaf(zap, &table[i]);
		} else {
			if (zap_level(zap, vmm_spte_child(spte), level - 1, gfn))
				return true;
			if (zap->start <= gfn && gfn + pages <= zap->end)
				__vmm_zap_table(zap, &table[i], level);
		}
		/* not behind the last entry: the parent would step over this table, not free it */
		if (level > 1 && i < VMM_TABLE_ENTRIES - 1 && should_yield(zap)) {
			zap->cursor = gfn + pages;
			return true;
		}
	}
	return false;
}

/*
 * Remove [start, end), whole leaves that only overlap it too, and return when no vCPU can use what
 * was there. With @may_yield mmu_lock may be dropped and retaken: the caller has made sure that
 * what it wants gone is not installed again meanwhile.
 */
void __vmm_zap_range(struct vmm_vm *vm, gfn_t start, gfn_t end, bool may_yield)
{
	struct vmm_zap zap;

	lockdep_assert_held(&vm->mmu_lock);
	vmm_zap_init(&zap, vm);
	zap.start = start;
	zap.end = end;
	zap.cursor = start;
	zap.may_yield = may_yield;
	while (zap_level(&zap, vm->mmu.root_table, vmm_mmu_fmt.levels, 0)) {
		__vmm_zap_finish(&zap);
		spin_unlock(&vm->mmu_lock);
		cond_resched();
		spin_lock(&vm->mmu_lock);
	}
	__vmm_zap_finish(&zap);
}

/**
 * vmm_mmu_zap_gfn_range - remove a range of guest frames from the second-level page table
 * @vm: the VM
 * @start: first frame
 * @end: frame behind the last
 *
 * No new entries may come from what is to go: the slot is published as INVALID, or read-only, and
 * vm->srcu was synchronized.
 *
 * Context: slots_lock held; may sleep. Returns when no vCPU can use what was there.
 */
void vmm_mmu_zap_gfn_range(struct vmm_vm *vm, gfn_t start, gfn_t end)
{
	spin_lock(&vm->mmu_lock);
	__vmm_zap_range(vm, start, end, true);
	spin_unlock(&vm->mmu_lock);
}

/* The entry that decides about @gfn: a leaf, with its level, or an empty one. */
static u64 *find_entry(struct vmm_vm *vm, gfn_t gfn, unsigned int *level)
{
	u64 *table = vm->mmu.root_table;
	unsigned int l = vmm_mmu_fmt.levels;

	for (;;) {
		u64 *sptep = &table[vmm_level_index(gfn, l)];
		u64 spte = READ_ONCE(*sptep);

		if (!spte || vmm_spte_is_leaf(spte, l)) {
			*level = l;
			return sptep;
		}
		table = vmm_spte_child(spte);
		l--;
	}
}

/*
 * The first leaf at or after *@gfn and before @end, with its level; *@gfn moves behind it. NULL:
 * none.
 */
u64 *__vmm_next_leaf(struct vmm_vm *vm, gfn_t *gfn, gfn_t end, unsigned int *level)
{
	while (*gfn < end) {
		u64 *sptep = find_entry(vm, *gfn, level);
		gfn_t pages = vmm_level_pages(*level);

		*gfn = (*gfn & ~(pages - 1)) + pages;
		if (READ_ONCE(*sptep))
			return sptep;
	}
	return NULL;
}

/**
 * vmm_mmu_init - give a VM its second-level page table, and watch its address space
 * @vm: the VM; vm->mm is the caller's, vmm_memslots_init() was called; mmu_lock is made here
 *
 * From here on the MMU notifier runs, so vmm_flush_remote() has to work. Context: may sleep; takes
 * mmap_lock.
 *
 * Return: 0; -ENOMEM; -EINTR: killed. On error nothing is left to undo.
 */
int vmm_mmu_init(struct vmm_vm *vm)
{
	int ret;

	spin_lock_init(&vm->mmu_lock);
	vm->mmu.root_table = vmm_table_alloc();
	if (!vm->mmu.root_table)
		return -ENOMEM;
	vm->mmu.root = __pa(vm->mmu.root_table);
	vm->mmu.nr_tables = 1;
	ret = vmm_notifier_register(vm);
	if (ret) {
		vmm_table_free(vm->mmu.root_table);
		vm->mmu.root_table = NULL;
	}
	return ret;
}

/**
 * vmm_mmu_destroy - free what is left of the second-level page table: the root
 * @vm: a VM after vmm_mmu_unregister(), which emptied the table, and that no vCPU will enter; one
 *	whose vmm_mmu_init() failed or was not called is fine
 *
 * Context: any.
 */
void vmm_mmu_destroy(struct vmm_vm *vm)
{
	if (!vm->mmu.root_table)
		return;
	WARN_ON_ONCE(vm->mmu.nr_tables != 1);
	vmm_table_free(vm->mmu.root_table);
	vm->mmu.root_table = NULL;
}
