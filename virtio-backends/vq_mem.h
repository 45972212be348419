/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the ring engine reaches guest memory in the kernel. Unit tests and fuzzers bring their own
 * vq_mem_user.h with the same functions; vq.c knows no other way.
 *
 * Context of all: current->mm == vm->mm, vm->srcu held for reading, may sleep.
 */
#ifndef VIRTIO_BACKENDS_VQ_MEM_H
#define VIRTIO_BACKENDS_VQ_MEM_H

#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/uaccess.h>

#include <asm/barrier.h>

#include "../kmod/mmu/mmu.h"

/* number of the memory-slot table; a translation holds as long as it does not change */
static inline u64 vq_mem_generation(void *mem)
{
	struct vmm_vm *vm = mem;

	return srcu_dereference(vm->memslots, &vm->srcu)->generation;
}

/*
 * Translates the start of [gpa, gpa + len): @hva and the number of bytes that are contiguous there,
 * which may be more than @len. Not 0: no memory there, or not writable.
 */
static inline int vq_mem_translate(void *mem, u64 gpa, u64 len, bool write,
				   unsigned long *hva, u64 *run)
{
	u32 access = write ? VMM_ACC_READ | VMM_ACC_WRITE : VMM_ACC_READ;

	return vmm_guest_hva(mem, gpa, len, access, hva, run);
}

/* plain copies; not 0: the process unmapped its guest's memory */
static inline int vq_mem_load(void *to, unsigned long hva, size_t len)
{
	return copy_from_user(to, (const void __user *)hva, len) ? -EFAULT : 0;
}

static inline int vq_mem_store(unsigned long hva, const void *from, size_t len)
{
	return copy_to_user((void __user *)hva, from, len) ? -EFAULT : 0;
}

/* single accesses: what the driver reads and writes concurrently is never torn */
static inline int vq_mem_load16(__le16 *to, unsigned long hva)
{
	return get_user(*to, (const __le16 __user *)hva);
}

static inline int vq_mem_store16(unsigned long hva, __le16 value)
{
	return put_user(value, (__le16 __user *)hva);
}

static inline void vq_mem_dirty(void *mem, u64 gpa, u64 len)
{
	vmm_mark_dirty(mem, gpa, len);
}

#endif /* VIRTIO_BACKENDS_VQ_MEM_H */
