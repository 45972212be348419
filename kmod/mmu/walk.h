/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The walk of a guest's own page tables in software. No kernel header but types is used, so that
 * the same file is tested in userland.
 */
#ifndef KMOD_MMU_WALK_H
#define KMOD_MMU_WALK_H

#include <linux/errno.h>
#include <linux/types.h>

#ifndef __KERNEL__
#include <stdbool.h>
typedef __u8 u8;
typedef __u32 u32;
typedef __s64 s64;
typedef __u64 u64;
#endif

/* what an access is; the same bits as VMM_ACC_* */
#define VMM_WALK_WRITE		0x02
#define VMM_WALK_EXEC		0x04
#define VMM_WALK_USER		0x08
#define VMM_WALK_IMPLICIT	0x10

/* error code of #PF (APM volume 2, 8.4.2; SDM volume 3, 4.7) */
#define VMM_PF_PRESENT		0x01
#define VMM_PF_WRITE		0x02
#define VMM_PF_USER		0x04
#define VMM_PF_RESERVED		0x08
#define VMM_PF_FETCH		0x10
#define VMM_PF_KEY		0x20

/**
 * enum vmm_walk_result - outcome of vmm_walk(); negative values are errors
 * @VMM_WALK_OK: translated
 * @VMM_WALK_PF: #PF, error code given
 * @VMM_WALK_GP: the address is not canonical: #GP(0), or #SS(0) for a stack access
 */
enum vmm_walk_result {
	VMM_WALK_OK,
	VMM_WALK_PF,
	VMM_WALK_GP,
};

/**
 * struct vmm_walk - the processor's state that decides about a translation, and access to the
 * tables
 * @cr0: CR0; PG and WP are used
 * @cr3: CR3
 * @cr4: CR4; PSE, PAE, LA57, SMEP, SMAP and PKE are used
 * @lma: EFER.LMA: 4-level paging, or 5-level with CR4.LA57
 * @nxe: EFER.NXE
 * @ac: RFLAGS.AC
 * @gbpages: the processor has 1 GiB pages; otherwise that bit is reserved
 * @maxphyaddr: bits of a guest physical address, 32 .. 52; those above are reserved in the tables
 * @pkru: PKRU, used with CR4.PKE
 * @read: read an aligned entry of 4 or 8 bytes at once. 0 or negative
 * @cmpxchg: replace an entry; 0 done, 1 it differs from @old now, -EROFS read-only memory, other
 *	negative
 * @opaque: the caller's
 */
struct vmm_walk {
	u64 cr0;
	u64 cr3;
	u64 cr4;
	bool lma;
	bool nxe;
	bool ac;
	bool gbpages;
	u8 maxphyaddr;
	u32 pkru;
	int (*read)(void *opaque, u64 gpa, void *entry, unsigned int len);
	int (*cmpxchg)(void *opaque, u64 gpa, u64 old, u64 new, unsigned int len);
	void *opaque;
};

int vmm_walk(const struct vmm_walk *w, u64 gva, u32 access, u64 *gpa, u32 *error);

#endif /* KMOD_MMU_WALK_H */
