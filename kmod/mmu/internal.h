/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mmu.c, fault.c and notifier.c share.
 *
 * A level's entry covers 512^(level - 1) frames; level 1 entries are 4 KiB leaves, the root is of
 * level vmm_mmu_fmt.levels. An entry that maps nothing is 0. Entries change under vm->mmu_lock
 * only, but for the accessed and dirty bits, which processors set at any time: a valid leaf is
 * replaced by xchg() or changed by atomic bit operations.
 */
#ifndef KMOD_MMU_INTERNAL_H
#define KMOD_MMU_INTERNAL_H

#include <linux/bits.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/mem_encrypt.h>
#include <linux/mm.h>

#include "mmu.h"

#define VMM_TABLE_ENTRIES	512
#define VMM_SPTE_PA		GENMASK_ULL(51, PAGE_SHIFT)

extern struct vmm_mmu_format vmm_mmu_fmt;

static inline unsigned int vmm_level_shift(unsigned int level)
{
	return 9 * (level - 1);
}

/* frames that an entry of this level covers */
static inline gfn_t vmm_level_pages(unsigned int level)
{
	return 1ULL << vmm_level_shift(level);
}

static inline unsigned int vmm_level_index(gfn_t gfn, unsigned int level)
{
	return (gfn >> vmm_level_shift(level)) & (VMM_TABLE_ENTRIES - 1);
}

/* @spte, an entry of @level, maps memory */
static inline bool vmm_spte_is_leaf(u64 spte, unsigned int level)
{
	return (spte & vmm_mmu_fmt.present) && (level == 1 || (spte & vmm_mmu_fmt.leaf));
}

static inline hpa_t vmm_spte_pa(u64 spte)
{
	return __sme_clr(spte & VMM_SPTE_PA);
}

static inline u64 *vmm_spte_child(u64 spte)
{
	return phys_to_virt(vmm_spte_pa(spte));
}

/**
 * struct vmm_zap - removal of sptes, from the first zap to the flush; lives within one hold of
 * vm->mmu_lock, or renews it by yielding
 * @vm: the VM
 * @start: first frame
 * @end: frame behind the last
 * @cursor: everything below is done
 * @may_yield: mmu_lock may be dropped and the thread may sleep in between
 * @flush: something was removed that a processor may still use
 * @zapped: leaves removed since the last flush
 * @tables: pages of detached tables; a processor may walk them until the flush
 */
struct vmm_zap {
	struct vmm_vm *vm;
	gfn_t start;
	gfn_t end;
	gfn_t cursor;
	bool may_yield;
	bool flush;
	unsigned long zapped;
	struct list_head tables;
};

static inline void vmm_zap_init(struct vmm_zap *zap, struct vmm_vm *vm)
{
	*zap = (struct vmm_zap) { .vm = vm };
	INIT_LIST_HEAD(&zap->tables);
}

/* mmu.c; __: vm->mmu_lock held */
u64 *vmm_table_alloc(void);
void vmm_table_free(u64 *table);
void __vmm_zap_leaf(struct vmm_zap *zap, u64 *sptep);
void __vmm_zap_table(struct vmm_zap *zap, u64 *sptep, unsigned int level);
void __vmm_zap_finish(struct vmm_zap *zap);
void __vmm_zap_range(struct vmm_vm *vm, gfn_t start, gfn_t end, bool may_yield);
u64 *__vmm_next_leaf(struct vmm_vm *vm, gfn_t *gfn, gfn_t end, unsigned int *level);

/* notifier.c */
int vmm_notifier_register(struct vmm_vm *vm);
bool __vmm_invalidating(const struct vmm_vm *vm, unsigned long start, unsigned long end);

#endif /* KMOD_MMU_INTERNAL_H */
