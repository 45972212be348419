// SPDX-License-Identifier: GPL-2.0
/*
 * Memory slots: which guest frames are which memory of the process.
 *
 * The table is immutable and published under vm->srcu. A fault looks its slot up and installs the
 * spte within one read side, so after synchronize_srcu() nobody can install from a table older than
 * the published one. The MMU notifier goes by the table, too: a slot has to stay in it as long as
 * sptes of it may exist. Hence a slot leaves its place in three steps:
 *
 *	mapped
 *	   | publish as INVALID, synchronize
 *	INVALID: no new sptes; the notifier still sees the old ones
 *	   | zap, flush
 *	INVALID: no sptes
 *	   | publish without it (delete), or elsewhere (move)
 *	gone
 *
 * A guest's access to an INVALID slot is tried again until the change is complete; the host's fails
 * with -ENXIO.
 */
#include <linux/cpufeature.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>

#include "mmu/mmu.h"

/* pages that all slots of a VM may have together: 16 TiB */
#define VMM_MAX_MEM_PAGES	BIT(32)

#define VMM_MEM_FLAGS		VMM_MEM_READONLY

static struct vmm_memslots *__memslots(struct vmm_vm *vm)
{
	return rcu_dereference_protected(vm->memslots, lockdep_is_held(&vm->slots_lock));
}

static struct vmm_memslots *memslots_alloc(unsigned int nr)
{
	struct vmm_memslots *slots;

	slots = kvzalloc(struct_size(slots, slot, nr), GFP_KERNEL_ACCOUNT);
	if (slots)
		slots->nr = nr;
	return slots;
}

/* Make @new the table, wait for the readers of the old one and free it. */
static void __memslots_publish(struct vmm_vm *vm, struct vmm_memslots *new)
{
	struct vmm_memslots *old = __memslots(vm);

	new->generation = old->generation + 1;
	rcu_assign_pointer(vm->memslots, new);
	synchronize_srcu_expedited(&vm->srcu);
	kvfree(old);
}

/* A copy of @old without slot[@skip], if there is one, and with @add (may be NULL), sorted. */
static struct vmm_memslots *memslots_edit(const struct vmm_memslots *old, unsigned int skip,
					  const struct vmm_memslot *add)
{
	unsigned int nr = old->nr - (skip < old->nr) + !!add;
	struct vmm_memslots *new = memslots_alloc(nr);
	unsigned int i, n = 0;

	if (!new)
		return NULL;
	for (i = 0; i < old->nr; i++) {
		if (i == skip)
			continue;
		if (add && add->base_gfn < old->slot[i].base_gfn) {
			new->slot[n++] = *add;
			add = NULL;
		}
		new->slot[n++] = old->slot[i];
	}
	if (add)
		new->slot[n] = *add;
	return new;
}

/**
 * vmm_memslots_init - give a VM its table, empty
 * @vm: the VM; its srcu and slots_lock are initialized
 *
 * Comes before vmm_mmu_init(), because the MMU notifier reads the table. Context: may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int vmm_memslots_init(struct vmm_vm *vm)
{
	struct vmm_memslots *slots = memslots_alloc(0);

	if (!slots)
		return -ENOMEM;
	rcu_assign_pointer(vm->memslots, slots);
	return 0;
}

/**
 * vmm_memslots_destroy - free the table
 * @vm: a VM that nobody uses any more, after vmm_mmu_unregister(); one whose table was never made
 *	is fine
 */
void vmm_memslots_destroy(struct vmm_vm *vm)
{
	kvfree(rcu_dereference_protected(vm->memslots, true));
	RCU_INIT_POINTER(vm->memslots, NULL);
}

/**
 * vmm_gfn_to_slot_any - the slot that covers a frame, INVALID ones too
 * @vm: the VM
 * @gfn: guest frame, any value
 *
 * Context: vm->srcu held for reading or slots_lock held; the slot is valid as long.
 *
 * Return: the slot, or NULL.
 */
const struct vmm_memslot *vmm_gfn_to_slot_any(struct vmm_vm *vm, gfn_t gfn)
{
	const struct vmm_memslots *slots;
	unsigned int lo = 0, hi;

	slots = srcu_dereference_check(vm->memslots, &vm->srcu,
				       lockdep_is_held(&vm->slots_lock));
	hi = slots->nr;
	/* the last slot whose base is not above gfn is slot[lo - 1] */
	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (slots->slot[mid].base_gfn <= gfn)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return NULL;
	lo = array_index_nospec(lo - 1, slots->nr);
	if (gfn - slots->slot[lo].base_gfn >= slots->slot[lo].npages)
		return NULL;
	return &slots->slot[lo];
}

/**
 * vmm_gfn_to_slot - the slot that covers a frame
 * @vm: the VM
 * @gfn: guest frame, any value
 *
 * Context: vm->srcu held for reading or slots_lock held; the slot is valid as long.
 *
 * Return: the slot, or NULL: no memory there, or a slot that is being moved or deleted.
 */
const struct vmm_memslot *vmm_gfn_to_slot(struct vmm_vm *vm, gfn_t gfn)
{
	const struct vmm_memslot *slot = vmm_gfn_to_slot_any(vm, gfn);

	return slot && !(slot->flags & VMM_MEMSLOT_INVALID) ? slot : NULL;
}

/*
 * Memory without struct page (device registers, some drivers' buffers) is refused here, and nowhere
 * else: the MMU maps what GUP returns, which cannot be such memory should userland map it later.
 */
static int check_no_pfn_map(unsigned long hva, unsigned long size)
{
	struct mm_struct *mm = current->mm;
	unsigned long end = hva + size;
	struct vm_area_struct *vma;
	int ret = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	while (hva < end) {
		vma = find_vma(mm, hva);
		if (!vma || vma->vm_start >= end)
			break;
		if (vma->vm_flags & (VM_IO | VM_PFNMAP)) {
			ret = -EOPNOTSUPP;
			break;
		}
		hva = vma->vm_end;
		cond_resched();
	}
	mmap_read_unlock(mm);
	return ret;
}

static int check_region(const struct vmm_mem_region *r)
{
	u64 end;

	if (r->slot >= VMM_MAX_MEM_REGIONS || (r->flags & ~VMM_MEM_FLAGS) ||
	    memchr_inv(r->pad, 0, sizeof(r->pad)))
		return -EINVAL;
	if (!r->size)
		return 0;
	if (!PAGE_ALIGNED(r->gpa | r->size | r->hva))
		return -EINVAL;
	if (check_add_overflow(r->gpa, r->size, &end) || end > BIT_ULL(vmm_mmu_gpa_bits()))
		return -EINVAL;
	if (check_add_overflow(r->hva, r->size, &end) ||
	    !access_ok((void __user *)(unsigned long)r->hva, r->size))
		return -EINVAL;
	return check_no_pfn_map(r->hva, r->size);
}

/* Room for @slot among all slots but number @skip? */
static int __check_room(const struct vmm_memslots *slots, unsigned int skip,
			const struct vmm_memslot *slot)
{
	unsigned long total = slot->npages;
	unsigned int i;

	for (i = 0; i < slots->nr; i++) {
		const struct vmm_memslot *s = &slots->slot[i];

		if (i == skip)
			continue;
		if (slot->base_gfn < s->base_gfn + s->npages &&
		    s->base_gfn < slot->base_gfn + slot->npages)
			return -EEXIST;
		total += s->npages;
	}
	return total > VMM_MAX_MEM_PAGES ? -E2BIG : 0;
}

/* Put @new (NULL: nothing) in the place of entry @idx; @idx == nr makes a slot. */
static int __replace_slot(struct vmm_vm *vm, unsigned int idx, const struct vmm_memslot *new)
{
	const struct vmm_memslots *slots = __memslots(vm);
	struct vmm_memslots *final, *interim;
	struct vmm_memslot old;

	final = memslots_edit(slots, idx, new);
	if (!final)
		return -ENOMEM;
	if (idx < slots->nr) {
		old = slots->slot[idx];
		old.flags |= VMM_MEMSLOT_INVALID;
		interim = memslots_edit(slots, idx, &old);
		if (!interim) {
			kvfree(final);
			return -ENOMEM;
		}
		__memslots_publish(vm, interim);
		vmm_mmu_zap_gfn_range(vm, old.base_gfn, old.base_gfn + old.npages);
	}
	__memslots_publish(vm, final);
	return 0;
}

/*
 * The slot stays where it is, so it needs no interim: faults go by the new flags once it is
 * published. Only what was mapped writable before has to go.
 */
static int __set_flags(struct vmm_vm *vm, unsigned int idx, const struct vmm_memslot *new)
{
	struct vmm_memslots *final = memslots_edit(__memslots(vm), idx, new);

	if (!final)
		return -ENOMEM;
	__memslots_publish(vm, final);
	if (new->flags & VMM_MEM_READONLY)
		vmm_mmu_zap_gfn_range(vm, new->base_gfn, new->base_gfn + new->npages);
	return 0;
}

static int __set_mem_region(struct vmm_vm *vm, const struct vmm_mem_region *region)
{
	const struct vmm_memslots *slots = __memslots(vm);
	struct vmm_memslot new = {
		.base_gfn = region->gpa >> PAGE_SHIFT,
		.npages = region->size >> PAGE_SHIFT,
		.hva = region->hva,
		.id = region->slot,
		.flags = region->flags,
	};
	const struct vmm_memslot *old;
	unsigned int idx;
	int ret;

	for (idx = 0; idx < slots->nr; idx++)
		if (slots->slot[idx].id == region->slot)
			break;
	old = idx < slots->nr ? &slots->slot[idx] : NULL;

	if (!region->size)
		return old ? __replace_slot(vm, idx, NULL) : -ENOENT;
	if (old && (new.npages != old->npages || new.hva != old->hva))
		return -EINVAL;
	ret = __check_room(slots, idx, &new);
	if (ret)
		return ret;
	if (!old || new.base_gfn != old->base_gfn)
		return __replace_slot(vm, idx, &new);
	if (new.flags != old->flags)
		return __set_flags(vm, idx, &new);
	return 0;
}

/**
 * vmm_set_mem_region - VMM_SET_MEM_REGION: make, move, delete a slot or change its flags
 * @vm: the VM
 * @region: a kernel copy of the argument, unchecked. With size 0 (delete) gpa and hva are ignored.
 *
 * When it returns no vCPU can reach what the guest lost. The hva range may have holes, and slots
 * may share it.
 *
 * Context: current->mm == vm->mm; takes slots_lock, may sleep; not inside a read side of vm->srcu.
 *
 * Return: 0;
 *	-EINVAL: number, flags, pads or alignment; a range that wraps, leaves the guest's physical
 *	address space or the process's half of the address space; another size or hva for an
 *	existing slot;
 *	-EEXIST: overlaps another slot;
 *	-ENOENT: nothing to delete;
 *	-EOPNOTSUPP: memory without struct page (VM_IO, VM_PFNMAP);
 *	-E2BIG: more than 16 TiB in all;
 *	-ENOMEM; -EINTR: killed.
 */
int vmm_set_mem_region(struct vmm_vm *vm, const struct vmm_mem_region *region)
{
	int ret;

	ret = check_region(region);
	if (ret)
		return ret;
	if (mutex_lock_killable(&vm->slots_lock))
		return -EINTR;
	ret = __set_mem_region(vm, region);
	mutex_unlock(&vm->slots_lock);
	return ret;
}
