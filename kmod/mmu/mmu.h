/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory: slots, access from the host, the second-level page table, and the walk of the
 * guest's own page tables.
 */
#ifndef KMOD_MMU_H
#define KMOD_MMU_H

#include <linux/nospec.h>

#include "../vmm.h"

/* memslot.c */

/*
 * in vmm_memslot.flags, never userland's: being deleted or moved. The MMU notifier still has to
 * see the slot, nobody may map from it
 */
#define VMM_MEMSLOT_INVALID	BIT(31)

int vmm_memslots_init(struct vmm_vm *vm);
void vmm_memslots_destroy(struct vmm_vm *vm);
int vmm_set_mem_region(struct vmm_vm *vm, const struct vmm_mem_region *region);
const struct vmm_memslot *vmm_gfn_to_slot(struct vmm_vm *vm, gfn_t gfn);
const struct vmm_memslot *vmm_gfn_to_slot_any(struct vmm_vm *vm, gfn_t gfn);

/**
 * vmm_slot_hva - where a frame is in the process
 * @slot: a slot that covers it
 * @gfn: the frame; guest-controlled, so the offset is clamped under speculation too
 *
 * Return: host virtual address of the frame's first byte.
 */
static inline unsigned long vmm_slot_hva(const struct vmm_memslot *slot, gfn_t gfn)
{
	return slot->hva + (array_index_nospec(gfn - slot->base_gfn, slot->npages) << PAGE_SHIFT);
}

/*
 * guestmem.c: all host access to guest memory. Context: current->mm == vm->mm, vm->srcu held
 * for reading, may sleep.
 */
int vmm_guest_read(struct vmm_vm *vm, gpa_t gpa, void *buf, size_t len);
int vmm_guest_write(struct vmm_vm *vm, gpa_t gpa, const void *buf, size_t len);
int vmm_guest_cmpxchg(struct vmm_vm *vm, gpa_t gpa, void *old, const void *new, unsigned int len);
int vmm_guest_hva(struct vmm_vm *vm, gpa_t gpa, u64 len, u32 access, unsigned long *hva,
		  u64 *contiguous);
void vmm_mark_dirty(struct vmm_vm *vm, gpa_t gpa, u64 len);

/* mmu/mmu.c, mmu/fault.c, mmu/notifier.c */

/**
 * struct vmm_mmu_format - how this processor's second-level entries differ
 * @levels: depth of the table, 4 or 5
 * @max_level: largest leaf: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB
 * @present: bits of every valid entry
 * @table: bits of an entry that points to a table, besides @present
 * @leaf: bits of a leaf that is not a 4 KiB one (the page-size bit)
 * @writable: leaf bit
 * @user: leaf bit (NPT walks are user accesses), 0 if none
 * @no_exec: leaf bit that forbids fetches, 0 if none
 * @exec: leaf bit that allows fetches, 0 if none
 * @accessed: bit the processor sets, 0 if none
 * @dirty: likewise
 * @memtype: leaf bits of write-back memory
 * @nx_huge: leaves that are not 4 KiB ones are mapped without @exec
 */
struct vmm_mmu_format {
	unsigned int levels;
	unsigned int max_level;
	u64 present;
	u64 table;
	u64 leaf;
	u64 writable;
	u64 user;
	u64 no_exec;
	u64 exec;
	u64 accessed;
	u64 dirty;
	u64 memtype;
	bool nx_huge;
};

unsigned int vmm_mmu_gpa_bits(void);
int vmm_mmu_module_init(const struct vmm_mmu_format *format);
void vmm_mmu_module_exit(void);
int vmm_mmu_init(struct vmm_vm *vm);
void vmm_mmu_unregister(struct vmm_vm *vm);
void vmm_mmu_destroy(struct vmm_vm *vm);
void vmm_mmu_vcpu_free(struct vmm_vcpu *vcpu);

#define VMM_FAULT_FIXED		1	/* resume the guest */
#define VMM_FAULT_MMIO		0	/* no memory, or a write to read-only memory: emulate */
int vmm_mmu_fault(struct vmm_vcpu *vcpu, gpa_t gpa, u32 access);

/* mmu/gva.c; the walk itself is mmu/walk.c */
int vmm_walk_gva(struct vmm_vcpu *vcpu, gva_t gva, u32 access, gpa_t *gpa,
		 struct vmm_exception *fault);

/* for memslot.c. Context: slots_lock; returns when no vCPU can use what was there. */
void vmm_mmu_zap_gfn_range(struct vmm_vm *vm, gfn_t start, gfn_t end);

#endif /* KMOD_MMU_H */
