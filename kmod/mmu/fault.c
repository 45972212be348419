// SPDX-License-Identifier: GPL-2.0
/*
 * Second-level faults: from a guest physical address to an entry in the table.
 *
 *	mmu_seq -> slot -> tables at hand -> GUP
 *	-> mmu_lock -> changed meanwhile? -> size -> install -> put the page
 *
 * Up to mmu_lock everything may sleep and nothing is promised; behind it nothing sleeps and
 * everything is checked again. A fault that loses a race changes nothing and resumes the guest,
 * which faults again: the run loop looks at signals and requests in between.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/srcu.h>

#include "../compat.h"
#include "internal.h"

/*
 * How often a fault that lost a race is tried at once. GUP itself makes it lose once where it
 * breaks COW, be it of the zero page, because that is an invalidation.
 */
#define MAX_TRIES		3

/*
 * Slow GUP takes the hinting faults of NUMA balancing, and a signal ends a long wait, where GUP can
 * be told so (later kernels).
 */
#ifdef VMM_FOLL_FAULT
#define FAULT_GUP_FLAGS		(FOLL_HWPOISON | VMM_FOLL_FAULT)
#else
#define FAULT_GUP_FLAGS		FOLL_HWPOISON
#endif

/**
 * struct fault - a fault on its way
 * @vm: the VM
 * @slot: valid while vm->srcu is held
 * @gfn: the guest frame
 * @hva: its host virtual address
 * @seq: mmu_seq before GUP
 * @page: what GUP returned, with a reference
 * @write: the access
 * @exec: likewise
 * @writable: the page may be written without breaking COW
 */
struct fault {
	struct vmm_vm *vm;
	const struct vmm_memslot *slot;
	gfn_t gfn;
	unsigned long hva;
	unsigned long seq;
	struct page *page;
	bool write;
	bool exec;
	bool writable;
};

static int fill_table_cache(struct vmm_table_cache *cache)
{
	while (cache->nr < vmm_mmu_fmt.levels - 1) {
		u64 *table = vmm_table_alloc();

		if (!table)
			return -ENOMEM;
		cache->table[cache->nr++] = table;
	}
	return 0;
}

/**
 * vmm_mmu_vcpu_free - free the tables that a vCPU keeps for its next faults
 * @vcpu: a vCPU that will not fault again
 */
void vmm_mmu_vcpu_free(struct vmm_vcpu *vcpu)
{
	struct vmm_table_cache *cache = &vcpu->tables;

	while (cache->nr)
		vmm_table_free(cache->table[--cache->nr]);
}

/* What the run loop understands: see vmm_mmu_fault(). */
static int gup_error(long ret)
{
	switch (ret) {
	case -ENOMEM:
	case -EHWPOISON:
		return ret;
	case -EAGAIN:	/* killed while waiting for mmap_lock */
	case -EINTR:
	case -ERESTARTSYS:
		return -EINTR;
	default:
		return -EFAULT;
	}
}

/*
 * Get the page at f->hva. A read fault takes write permission along where the host's page table has
 * it already, so that the guest's first write does not fault again; never by a fault of the host
 * for writing, which would break COW (KSM, fork, the zero page).
 */
static int get_page_at(struct fault *f)
{
	bool may_write = !(f->slot->flags & VMM_MEM_READONLY);
	struct page *page;
	long ret;

	f->writable = may_write && get_user_page_fast_only(f->hva, FOLL_WRITE, &f->page);
	if (f->writable)
		return 0;

	ret = get_user_pages_unlocked(f->hva, 1, &f->page,
				      FAULT_GUP_FLAGS | (f->write ? FOLL_WRITE : 0));
	if (ret != 1)
		return gup_error(ret);
	f->writable = f->write;

	/* the host's own fault may have made it writable */
	if (may_write && !f->write && get_user_page_fast_only(f->hva, FOLL_WRITE, &page)) {
		put_page(f->page);
		f->page = page;
		f->writable = true;
	}
	return 0;
}

/*
 * The level at which the process's own page table maps f->hva to f->page, with f->writable: 1, 2 or
 * 3.
 *
 * Interrupts are off, so that the tables walked are not freed: their release waits for this CPU's
 * quiescent state or IPI, as it does for fast GUP. With mmu_lock held and no invalidation of the
 * range under way, an entry seen here stays as it is until mmu_lock is dropped: the host splits or
 * unmaps a huge mapping only after start.
 */
static unsigned int host_level(const struct fault *f)
{
	unsigned long pfn = page_to_pfn(f->page);
	unsigned int level = 1;
	unsigned long flags;
	pgd_t *pgdp, pgd;
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t pmd;

	local_irq_save(flags);
	pgdp = pgd_offset(f->vm->mm, f->hva);
	pgd = READ_ONCE(*pgdp);
	if (!pgd_present(pgd))
		goto out;
	p4dp = p4d_offset_lockless(pgdp, pgd, f->hva);
	p4d = READ_ONCE(*p4dp);
	if (!p4d_present(p4d))
		goto out;
	pudp = pud_offset_lockless(p4dp, p4d, f->hva);
	pud = READ_ONCE(*pudp);
	if (!pud_present(pud))
		goto out;
	if (pud_leaf(pud)) {
		if (pud_pfn(pud) + PHYS_PFN(f->hva & ~PUD_MASK) == pfn &&
		    (!f->writable || pud_write(pud)))
			level = 3;
		goto out;
	}
	pmd = READ_ONCE(*pmd_offset_lockless(pudp, pud, f->hva));
	if (pmd_present(pmd) && pmd_leaf(pmd) &&
	    pmd_pfn(pmd) + PHYS_PFN(f->hva & ~PMD_MASK) == pfn && (!f->writable || pmd_write(pmd)))
		level = 2;
out:
	local_irq_restore(flags);
	return level;
}

/*
 * A leaf of @level around f->gfn lies in the slot, is aligned in the process as in the guest, and
 * no part of it is being invalidated.
 */
static bool __leaf_fits(const struct fault *f, unsigned int level)
{
	gfn_t pages = vmm_level_pages(level);
	gfn_t base = f->gfn & ~(pages - 1);
	unsigned long hva;

	if (base < f->slot->base_gfn || base + pages > f->slot->base_gfn + f->slot->npages)
		return false;
	hva = vmm_slot_hva(f->slot, base);
	return IS_ALIGNED(hva, pages << PAGE_SHIFT) &&
	       !__vmm_invalidating(f->vm, hva, hva + (pages << PAGE_SHIFT));
}

static unsigned int __choose_level(const struct fault *f)
{
	unsigned int level;

	if (vmm_mmu_fmt.max_level == 1 || (f->exec && vmm_mmu_fmt.nx_huge))
		return 1;
	level = min(host_level(f), vmm_mmu_fmt.max_level);
	while (level > 1 && !__leaf_fits(f, level))
		level--;
	return level;
}

static u64 make_leaf(const struct fault *f, unsigned int level)
{
	const struct vmm_mmu_format *fmt = &vmm_mmu_fmt;
	hpa_t pa = page_to_phys(f->page) & ~((vmm_level_pages(level) << PAGE_SHIFT) - 1);
	u64 spte = fmt->present | fmt->user | fmt->exec | fmt->memtype | fmt->accessed;

	if (level > 1)
		spte |= fmt->leaf;
	if (level > 1 && fmt->nx_huge)
		spte &= ~fmt->exec;
	if (f->writable)
		spte |= fmt->writable;
	if (f->write)
		spte |= fmt->dirty;
	return __sme_set(pa) | spte;
}

static bool permits(u64 spte, const struct fault *f)
{
	return (!f->write || (spte & vmm_mmu_fmt.writable)) &&
	       (!f->exec || (spte & vmm_mmu_fmt.exec) == vmm_mmu_fmt.exec);
}

/*
 * A table that stays although a leaf could be in its place: it may be there for a fetch, and the
 * two would take turns.
 */
static bool keeps_table(u64 spte, unsigned int level)
{
	return vmm_mmu_fmt.nx_huge && level > 1 && spte && !vmm_spte_is_leaf(spte, level);
}

/*
 * Install the mapping. An entry that is in the way, be it a leaf of another size, of another page,
 * or a table where a leaf should be, is removed and flushed before the new one is written: no
 * processor ever sees two sizes or two pages at one address.
 */
static void __install(struct vmm_vcpu *vcpu, const struct fault *f)
{
	struct vmm_mmu *mmu = &f->vm->mmu;
	struct vmm_table_cache *cache = &vcpu->tables;
	unsigned int target = __choose_level(f);
	unsigned int level = vmm_mmu_fmt.levels;
	u64 *sptep = &mmu->root_table[vmm_level_index(f->gfn, level)];
	struct vmm_zap zap;
	u64 spte, new;

	vmm_zap_init(&zap, f->vm);
	while (level > target || keeps_table(READ_ONCE(*sptep), level)) {
		spte = READ_ONCE(*sptep);
		if (vmm_spte_is_leaf(spte, level)) {
			if (permits(spte, f))
				return;
			__vmm_zap_leaf(&zap, sptep);
			__vmm_zap_finish(&zap);
			spte = 0;
		}
		if (!spte) {
			spte = __sme_set(__pa(cache->table[--cache->nr])) |
			       vmm_mmu_fmt.present | vmm_mmu_fmt.table;
			WRITE_ONCE(*sptep, spte);
			mmu->nr_tables++;
		}
		level--;
		sptep = &vmm_spte_child(spte)[vmm_level_index(f->gfn, level)];
	}

	new = make_leaf(f, level);
	spte = READ_ONCE(*sptep);
	if (vmm_spte_is_leaf(spte, level)) {
		bool same = vmm_spte_pa(spte) == vmm_spte_pa(new);

		if (same && permits(spte, f))
			return;		/* another vCPU was faster */
		/*
		 * More permission for the same page needs no flush: a processor with the older
		 * entry faults and walks again.
		 */
		if (!same)
			__vmm_zap_leaf(&zap, sptep);
	} else if (spte) {
		__vmm_zap_table(&zap, sptep, level);
	}
	__vmm_zap_finish(&zap);
	WRITE_ONCE(*sptep, new);
	vmm_stat_inc(vcpu, VMM_STAT_FAULT_4K + level - 1);
}

/* The page may be what the process no longer has, or be about to go. */
static bool __stale(const struct fault *f)
{
	return f->vm->mmu_seq != f->seq || __vmm_invalidating(f->vm, f->hva, f->hva + PAGE_SIZE);
}

/* VMM_FAULT_FIXED, 0 if the host's page table changed meanwhile, or an error of get_page_at(). */
static int try_fault(struct vmm_vcpu *vcpu, struct fault *f)
{
	bool stale;
	int ret;

	/* before the process's page table is read; pairs with vmm_invalidate_range_end() */
	f->seq = smp_load_acquire(&f->vm->mmu_seq);
	ret = get_page_at(f);
	if (ret)
		return ret;
	spin_lock(&f->vm->mmu_lock);
	stale = __stale(f);
	if (!stale)
		__install(vcpu, f);
	spin_unlock(&f->vm->mmu_lock);
	put_page(f->page);
	return stale ? 0 : VMM_FAULT_FIXED;
}

/**
 * vmm_mmu_fault - resolve a second-level fault
 * @vcpu: the vCPU that faulted
 * @gpa: guest physical address of the access, any value
 * @access: VMM_ACC_*. Memory that can be read can be executed, but for huge pages where the format
 *	says so.
 *
 * Context: the owner, current->mm == vm->mm, vm->srcu held for reading since before the call, no
 * lock; may sleep.
 *
 * Return:
 *	VMM_FAULT_FIXED: resume the guest; the mapping is there, or the fault is to be taken again;
 *	VMM_FAULT_MMIO: no memory there, or a write to read-only memory;
 *	-EFAULT: the process has no such memory (unmapped, no permission, SIGBUS, no struct page);
 *	-EHWPOISON: its page is poisoned;
 *	-ENOMEM: no memory for the page or for a table;
 *	-EINTR: a signal came while waiting. Nothing was changed then.
 */
int vmm_mmu_fault(struct vmm_vcpu *vcpu, gpa_t gpa, u32 access)
{
	struct vmm_vm *vm = vcpu->vm;
	struct fault f = {
		.vm = vm,
		.gfn = gpa >> PAGE_SHIFT,
		.write = access & VMM_ACC_WRITE,
		.exec = access & VMM_ACC_EXEC,
	};
	unsigned int tries;
	int ret;

	f.slot = vmm_gfn_to_slot_any(vm, f.gfn);
	if (!f.slot)
		return VMM_FAULT_MMIO;
	if (f.slot->flags & VMM_MEMSLOT_INVALID)
		return VMM_FAULT_FIXED;	/* try again until the change of the slot is complete */
	if (f.write && (f.slot->flags & VMM_MEM_READONLY))
		return VMM_FAULT_MMIO;
	f.hva = vmm_slot_hva(f.slot, f.gfn);

	ret = fill_table_cache(&vcpu->tables);
	for (tries = 0; !ret && tries < MAX_TRIES; tries++) {
		ret = try_fault(vcpu, &f);
		if (ret == VMM_FAULT_FIXED)
			return ret;
	}
	return ret ?: VMM_FAULT_FIXED;
}
