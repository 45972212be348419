// SPDX-License-Identifier: GPL-2.0
/*
 * The host's access to guest memory: through the process's own mapping of it, so that COW, swap and
 * the dirty state of pages are the host kernel's business.
 *
 * An aligned access of 1, 2, 4 or 8 bytes is one access of the processor: page-table entries and
 * ring indexes are never torn.
 */
#include <linux/export.h>
#include <linux/cpufeature.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "mmu/mmu.h"

/**
 * vmm_guest_hva - translate the start of a guest physical range
 * @vm: the VM
 * @gpa: first byte, any value
 * @len: bytes wanted
 * @access: VMM_ACC_READ or VMM_ACC_WRITE
 * @hva: gets the host virtual address of the first byte
 * @contiguous: gets how many of the @len bytes are in one piece from there, at least 1 if @len is.
 *	May be NULL: all have to be
 *
 * Only the slot of the first byte is looked at: a caller that allows pieces goes on behind
 * @contiguous until all is translated. Memory reached by @hva with VMM_ACC_WRITE is reported to
 * vmm_mark_dirty() when it has been written.
 *
 * Context: vm->srcu held for reading. @hva stays the process's memory after that, but the slot may
 * be gone.
 *
 * Return: 0; -ENXIO: no memory there (or not all in one slot, without @contiguous); -EROFS: a write
 *	to a read-only slot.
 */
int vmm_guest_hva(struct vmm_vm *vm, gpa_t gpa, u64 len, u32 access, unsigned long *hva,
		  u64 *contiguous)
{
	const struct vmm_memslot *slot = vmm_gfn_to_slot(vm, gpa >> PAGE_SHIFT);
	u64 avail;

	if (!slot)
		return -ENXIO;
	avail = ((slot->base_gfn + slot->npages) << PAGE_SHIFT) - gpa;
	if (len > avail && !contiguous)
		return -ENXIO;
	if ((access & VMM_ACC_WRITE) && (slot->flags & VMM_MEM_READONLY))
		return -EROFS;
	*hva = vmm_slot_hva(slot, gpa >> PAGE_SHIFT) + offset_in_page(gpa);
	if (contiguous)
		*contiguous = min(len, avail);
	return 0;
}
EXPORT_SYMBOL_GPL(vmm_guest_hva);

/**
 * vmm_mark_dirty - guest memory was written by the host
 * @vm: the VM
 * @gpa: first byte
 * @len: bytes
 *
 * Every write of the host to guest memory passes here, after it was made. No dirty log exists yet,
 * and the pages themselves are dirtied by the access, which goes through the process's page table.
 * Context: vm->srcu held for reading; any.
 */
void vmm_mark_dirty(struct vmm_vm *vm, gpa_t gpa, u64 len)
{
}
EXPORT_SYMBOL_GPL(vmm_mark_dirty);

#define COPY_IN(type, buf, ptr)						\
({									\
	type __val;							\
	int __ret = get_user(__val, (type __user *)(ptr));		\
	if (!__ret)							\
		memcpy(buf, &__val, sizeof(__val));			\
	__ret;								\
})

#define COPY_OUT(type, ptr, buf)					\
({									\
	type __val;							\
	memcpy(&__val, buf, sizeof(__val));				\
	put_user(__val, (type __user *)(ptr));				\
})

static int copy_in(void *buf, unsigned long hva, size_t len)
{
	void __user *ptr = (void __user *)hva;

	if (IS_ALIGNED(hva, len & -len)) {
		switch (len) {
		case 1:
			return COPY_IN(u8, buf, ptr);
		case 2:
			return COPY_IN(u16, buf, ptr);
		case 4:
			return COPY_IN(u32, buf, ptr);
		case 8:
			return COPY_IN(u64, buf, ptr);
		}
	}
	return copy_from_user(buf, ptr, len) ? -EFAULT : 0;
}

static int copy_out(unsigned long hva, const void *buf, size_t len)
{
	void __user *ptr = (void __user *)hva;

	if (IS_ALIGNED(hva, len & -len)) {
		switch (len) {
		case 1:
			return COPY_OUT(u8, ptr, buf);
		case 2:
			return COPY_OUT(u16, ptr, buf);
		case 4:
			return COPY_OUT(u32, ptr, buf);
		case 8:
			return COPY_OUT(u64, ptr, buf);
		}
	}
	return copy_to_user(ptr, buf, len) ? -EFAULT : 0;
}

/*
 * Another process's memory must not be taken for the guest's. The callers' vmm_check_mm() is the
 * test, this is the oracle.
 */
static bool wrong_mm(struct vmm_vm *vm)
{
	return WARN_ON_ONCE(current->mm != vm->mm);
}

/**
 * vmm_guest_read - copy from guest memory
 * @vm: the VM
 * @gpa: first byte, any value
 * @buf: kernel buffer
 * @len: bytes; may span slots
 *
 * Context: current->mm == vm->mm, vm->srcu held for reading, may sleep.
 *
 * Return: 0; -ENXIO: not all of it is memory; -EFAULT: the memory behind it cannot be had. @buf is
 *	undefined on error.
 */
int vmm_guest_read(struct vmm_vm *vm, gpa_t gpa, void *buf, size_t len)
{
	unsigned long hva;
	u64 n;
	int ret;

	if (wrong_mm(vm))
		return -EFAULT;
	for (; len; buf += n, gpa += n, len -= n) {
		ret = vmm_guest_hva(vm, gpa, len, VMM_ACC_READ, &hva, &n);
		if (!ret)
			ret = copy_in(buf, hva, n);
		if (ret)
			return ret;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(vmm_guest_read);

/**
 * vmm_guest_write - copy to guest memory
 * @vm: the VM
 * @gpa: first byte, any value
 * @buf: kernel buffer
 * @len: bytes; may span slots
 *
 * Context: current->mm == vm->mm, vm->srcu held for reading, may sleep.
 *
 * Return: 0; -ENXIO: not all of it is memory; -EROFS: a part of it is read-only; -EFAULT: the
 * memory behind it cannot be had. On error the bytes before the failing piece may have been
 * written.
 */
int vmm_guest_write(struct vmm_vm *vm, gpa_t gpa, const void *buf, size_t len)
{
	unsigned long hva;
	u64 n;
	int ret;

	if (wrong_mm(vm))
		return -EFAULT;
	for (; len; buf += n, gpa += n, len -= n) {
		ret = vmm_guest_hva(vm, gpa, len, VMM_ACC_WRITE, &hva, &n);
		if (!ret) {
			ret = copy_out(hva, buf, n);
			/* even if it failed: a part may have been written */
			vmm_mark_dirty(vm, gpa, n);
		}
		if (ret)
			return ret;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(vmm_guest_write);

/* 0 exchanged, 1 differed and @old tells, -EFAULT */
#define DEFINE_CMPXCHG(type)								\
static int cmpxchg_##type(void __user *ptr, void *old, const void *new)			\
{											\
	type o, n;									\
	int ret;									\
											\
	memcpy(&o, old, sizeof(o));							\
	memcpy(&n, new, sizeof(n));							\
	ret = __try_cmpxchg_user((type __user *)ptr, &o, n, fault);			\
	if (ret > 0)									\
		memcpy(old, &o, sizeof(o));						\
	return ret;									\
}

DEFINE_CMPXCHG(u8)
DEFINE_CMPXCHG(u16)
DEFINE_CMPXCHG(u32)
DEFINE_CMPXCHG(u64)

/* the same for 16 bytes; @ptr is aligned */
static int cmpxchg16(void __user *ptr, void *old, const void *new)
{
	u64 o[2], n[2];
	bool same = false;
	int ret = -EFAULT;	/* what stays when the instruction faults */

	if (!boot_cpu_has(X86_FEATURE_CX16))
		return -EOPNOTSUPP;
	memcpy(o, old, sizeof(o));
	memcpy(n, new, sizeof(n));
	__uaccess_begin_nospec();
	asm volatile("1:	lock cmpxchg16b %[mem]\n"
		     "	setz %[same]\n"
		     "	xorl %[ret], %[ret]\n"
		     "2:\n"
		     _ASM_EXTABLE_UA(1b, 2b)
		     : [ret] "+&r" (ret), [same] "+&q" (same), "+a" (o[0]), "+d" (o[1]),
		       [mem] "+m" (*(u8 (__force *)[16])ptr)
		     : "b" (n[0]), "c" (n[1])
		     : "memory", "cc");
	__uaccess_end();
	if (ret)
		return ret;
	if (same)
		return 0;
	memcpy(old, o, sizeof(o));
	return 1;
}

/**
 * vmm_guest_cmpxchg - compare and exchange guest memory, atomically against vCPUs and the host
 * @vm: the VM
 * @gpa: where, any value
 * @old: what is expected there, @len bytes; gets what is there when that differs
 * @new: what to write
 * @len: 1, 2, 4, 8 or 16
 *
 * An operand that crosses a 64-byte line is refused: a split lock in kernel mode may be fatal to
 * the host. Sixteen bytes have to be aligned, as for CMPXCHG16B.
 *
 * Context: current->mm == vm->mm, vm->srcu held for reading, may sleep.
 *
 * Return: 0 exchanged; 1 memory differs, nothing written; -EINVAL: @len, or crosses a line; -ENXIO:
 * no memory; -EROFS: read-only slot; -EFAULT: the memory behind it cannot be had; -EOPNOTSUPP: no
 * CMPXCHG16B.
 */
int vmm_guest_cmpxchg(struct vmm_vm *vm, gpa_t gpa, void *old, const void *new,
		      unsigned int len)
{
	unsigned long hva;
	void __user *ptr;
	int ret;

	if (len > 16 || (gpa & 63) + len > 64 || (len == 16 && !IS_ALIGNED(gpa, 16)))
		return -EINVAL;
	if (wrong_mm(vm))
		return -EFAULT;
	ret = vmm_guest_hva(vm, gpa, len, VMM_ACC_WRITE, &hva, NULL);
	if (ret)
		return ret;
	ptr = (void __user *)hva;
	if (!access_ok(ptr, len))
		return -EFAULT;

	switch (len) {
	case 1:
		ret = cmpxchg_u8(ptr, old, new);
		break;
	case 2:
		ret = cmpxchg_u16(ptr, old, new);
		break;
	case 4:
		ret = cmpxchg_u32(ptr, old, new);
		break;
	case 8:
		ret = cmpxchg_u64(ptr, old, new);
		break;
	case 16:
		ret = cmpxchg16(ptr, old, new);
		break;
	default:
		return -EINVAL;
	}
	vmm_mark_dirty(vm, gpa, len);
	return ret;
}
