// SPDX-License-Identifier: GPL-2.0
/*
 * The walk of a guest's own page tables in software, for the instruction emulator: APM volume 2,
 * chapter 5; SDM volume 3, chapter 4.
 *
 * As under nested paging, PDPTEs of PAE paging are read from memory at each walk, and a reserved
 * bit in one is a #PF (APM 15.25.10). Accessed and dirty bits are set when the access is permitted;
 * a processor may also set accessed bits on the way to a fault. Bit 8 of a PML4E or PML5E, which
 * AMD reserves, is ignored.
 */
#ifdef __KERNEL__
#include <linux/bits.h>
#else
#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK_ULL(h, l)	((~0ULL >> (63 - (h))) & (~0ULL << (l)))
#endif
#include <asm/processor-flags.h>

#include "walk.h"

/* an entry of any format */
#define PTE_P			BIT_ULL(0)
#define PTE_RW			BIT_ULL(1)
#define PTE_US			BIT_ULL(2)
#define PTE_A			BIT_ULL(5)
#define PTE_D			BIT_ULL(6)
#define PTE_PS			BIT_ULL(7)
#define PTE_NX			BIT_ULL(63)
#define PTE_KEY_SHIFT		59
#define PTE_ADDR		GENMASK_ULL(51, 12)

#define MAX_LEVELS		5
#define MAX_TRIES		8

enum mode { MODE_32, MODE_PAE, MODE_LONG };

/**
 * struct path - one descent
 * @mode: paging mode
 * @levels: of the mode
 * @leaf: level of the entry that maps the page
 * @gpa: where the entry of each level is
 * @entry: its value
 * @us: user access is allowed by all entries so far
 * @rw: likewise, writes
 * @nx: any entry forbids fetches
 */
struct path {
	enum mode mode;
	unsigned int levels;
	unsigned int leaf;
	u64 gpa[MAX_LEVELS + 1];
	u64 entry[MAX_LEVELS + 1];
	bool us;
	bool rw;
	bool nx;
};

static unsigned int level_bits(const struct path *p)
{
	return p->mode == MODE_32 ? 10 : 9;
}

static unsigned int entry_size(const struct path *p)
{
	return p->mode == MODE_32 ? 4 : 8;
}

/* address bits below those that this level's index takes */
static unsigned int level_shift(const struct path *p, unsigned int level)
{
	return 12 + level_bits(p) * (level - 1);
}

/* bits from maxphyaddr up to @top */
static u64 high_bits(const struct vmm_walk *w, unsigned int top)
{
	return w->maxphyaddr <= top ? GENMASK_ULL(top, w->maxphyaddr) : 0;
}

/* a PDPTE of PAE paging: no permissions, no accessed bit */
static bool is_pdpte(const struct path *p, unsigned int level)
{
	return p->mode == MODE_PAE && level == 3;
}

static bool is_large(const struct vmm_walk *w, const struct path *p, unsigned int level)
{
	if (!(p->entry[level] & PTE_PS))
		return false;
	switch (level) {
	case 2:
		return p->mode != MODE_32 || (w->cr4 & X86_CR4_PSE);
	case 3:
		return p->mode == MODE_LONG && w->gbpages;
	default:
		return false;
	}
}

/* bits that must be 0 in this entry */
static u64 reserved_bits(const struct vmm_walk *w, const struct path *p, unsigned int level,
			 bool large)
{
	u64 bits;

	if (p->mode == MODE_32) {
		/* bits 20:13 of a 4 MiB page are address bits 39:32, as far as there are so many */
		unsigned int width = w->maxphyaddr < 40 ? w->maxphyaddr : 40;

		return large ? GENMASK_ULL(21, width - 19) : 0;
	}
	/* bit 5 of a PDPTE is reserved too, but one emulator sets it as an accessed bit */
	if (is_pdpte(p, level))
		return high_bits(w, 63) | GENMASK_ULL(8, 6) | GENMASK_ULL(2, 1);

	bits = high_bits(w, p->mode == MODE_PAE ? 62 : 51);
	if (!w->nxe)
		bits |= PTE_NX;
	if (large)
		return bits | GENMASK_ULL(level_shift(p, level) - 1, 13);
	return level >= 3 ? bits | PTE_PS : bits;
}

/* The parts of the error code that follow from the access alone. */
static u32 access_error(const struct vmm_walk *w, u32 access)
{
	u32 error = 0;

	if (access & VMM_WALK_WRITE)
		error |= VMM_PF_WRITE;
	if ((access & VMM_WALK_USER) && !(access & VMM_WALK_IMPLICIT))
		error |= VMM_PF_USER;
	if ((access & VMM_WALK_EXEC) &&
	    ((w->cr4 & X86_CR4_SMEP) || (w->nxe && (w->cr4 & X86_CR4_PAE))))
		error |= VMM_PF_FETCH;
	return error;
}

/*
 * From CR3 to the entry that maps the page. Returns VMM_WALK_OK, VMM_WALK_PF with bits of @error
 * added, or negative.
 */
static int descend(const struct vmm_walk *w, struct path *p, u64 gva, u32 *error)
{
	unsigned int level = p->levels;
	u64 table;

	if (p->mode == MODE_LONG)
		table = w->cr3 & PTE_ADDR;
	else
		table = w->cr3 & (p->mode == MODE_PAE ? GENMASK_ULL(31, 5) : GENMASK_ULL(31, 12));

	for (;; level--) {
		u64 index = (gva >> level_shift(p, level)) & (BIT_ULL(level_bits(p)) - 1);
		u64 entry;
		bool large;
		int ret;

		p->gpa[level] = table + index * entry_size(p);
		p->entry[level] = 0;
		ret = w->read(w->opaque, p->gpa[level], &p->entry[level], entry_size(p));
		if (ret < 0)
			return ret;
		entry = p->entry[level];
		if (!(entry & PTE_P))
			return VMM_WALK_PF;
		large = is_large(w, p, level);
		if (entry & reserved_bits(w, p, level, large)) {
			*error |= VMM_PF_PRESENT | VMM_PF_RESERVED;
			return VMM_WALK_PF;
		}
		if (!is_pdpte(p, level)) {
			p->us = p->us && (entry & PTE_US);
			p->rw = p->rw && (entry & PTE_RW);
			p->nx = p->nx || (entry & PTE_NX);
		}
		if (large || level == 1) {
			p->leaf = level;
			return VMM_WALK_OK;
		}
		table = entry & PTE_ADDR;
	}
}

/*
 * Protection keys (APM volume 2, 5.6.7; SDM volume 3, 4.6.2): they guard the data of user pages,
 * from the supervisor, too.
 */
static bool key_forbids(const struct vmm_walk *w, const struct path *p, u32 access,
			bool write_checked)
{
	unsigned int shift;

	if (p->mode != MODE_LONG || !(w->cr4 & X86_CR4_PKE) || !p->us || (access & VMM_WALK_EXEC))
		return false;
	shift = 2 * ((p->entry[p->leaf] >> PTE_KEY_SHIFT) & 15);
	if (w->pkru >> shift & 1)
		return true;
	return (w->pkru >> shift & 2) && (access & VMM_WALK_WRITE) && write_checked;
}

/* Do the entries allow the access? APM volume 2, 5.6; SDM volume 3, 4.6. */
static bool permitted(const struct vmm_walk *w, const struct path *p, u32 access, u32 *error)
{
	bool implicit = access & VMM_WALK_IMPLICIT;
	bool user = (access & VMM_WALK_USER) && !implicit;
	bool write_checked = user || (w->cr0 & X86_CR0_WP);
	bool ok = true;

	if (user && !p->us)
		ok = false;
	if ((access & VMM_WALK_WRITE) && !p->rw && write_checked)
		ok = false;
	if (access & VMM_WALK_EXEC) {
		if (p->nx)
			ok = false;
		if (!user && p->us && (w->cr4 & X86_CR4_SMEP))
			ok = false;
	} else if (!user && p->us && (w->cr4 & X86_CR4_SMAP) && (implicit || !w->ac)) {
		ok = false;
	}
	if (key_forbids(w, p, access, write_checked)) {
		*error |= VMM_PF_KEY;
		ok = false;
	}
	if (!ok)
		*error |= VMM_PF_PRESENT;
	return ok;
}

/*
 * Set accessed bits, and the dirty bit for a write, where they are not set. -EAGAIN: an entry
 * changed since it was read. Tables in read-only memory keep their bits.
 */
static int set_bits(const struct vmm_walk *w, const struct path *p, u32 access)
{
	unsigned int level;

	for (level = p->levels; level >= p->leaf; level--) {
		u64 bits = PTE_A;
		int ret;

		if (is_pdpte(p, level))
			continue;
		if (level == p->leaf && (access & VMM_WALK_WRITE))
			bits |= PTE_D;
		if ((p->entry[level] & bits) == bits)
			continue;
		ret = w->cmpxchg(w->opaque, p->gpa[level], p->entry[level],
				 p->entry[level] | bits, entry_size(p));
		if (ret > 0)
			return -EAGAIN;
		if (ret < 0 && ret != -EROFS)
			return ret;
	}
	return 0;
}

static u64 leaf_address(const struct path *p, u64 gva)
{
	u64 entry = p->entry[p->leaf];
	u64 offset = BIT_ULL(level_shift(p, p->leaf)) - 1;
	u64 base = entry & PTE_ADDR & ~offset;

	if (p->mode == MODE_32 && p->leaf == 2)
		base |= (entry & GENMASK_ULL(20, 13)) << (32 - 13);
	return base | (gva & offset);
}

static int walk_once(const struct vmm_walk *w, u64 gva, u32 access, u64 *gpa, u32 *error)
{
	struct path p = { .us = true, .rw = true };
	int ret;

	if (w->lma) {
		p.mode = MODE_LONG;
		p.levels = w->cr4 & X86_CR4_LA57 ? 5 : 4;
	} else if (w->cr4 & X86_CR4_PAE) {
		p.mode = MODE_PAE;
		p.levels = 3;
	} else {
		p.mode = MODE_32;
		p.levels = 2;
	}
	*error = access_error(w, access);
	ret = descend(w, &p, gva, error);
	if (ret)
		return ret;
	if (!permitted(w, &p, access, error))
		return VMM_WALK_PF;
	ret = set_bits(w, &p, access);
	if (ret)
		return ret;
	*gpa = leaf_address(&p, gva);
	return VMM_WALK_OK;
}

/**
 * vmm_walk() - translate a linear address as the processor would for this access
 * @w: state and access to the tables
 * @gva: linear address; bits 63:32 are ignored outside long mode
 * @access: VMM_WALK_*: a write, a fetch or else a read; made at CPL 3; implicit, that is of a
 *	descriptor table or the like: a supervisor access whatever the CPL, to which RFLAGS.AC does
 *	not apply
 * @gpa: result
 * @error: error code for VMM_WALK_PF
 *
 * Context: as the callbacks need.
 *
 * Return: &enum vmm_walk_result; -EAGAIN: the guest keeps changing the tables, let it run and try
 *	later; what the callbacks returned.
 */
int vmm_walk(const struct vmm_walk *w, u64 gva, u32 access, u64 *gpa, u32 *error)
{
	unsigned int tries, unused;
	int ret = -EAGAIN;

	if (w->lma) {
		unused = w->cr4 & X86_CR4_LA57 ? 64 - 57 : 64 - 48;
		if ((u64)((s64)(gva << unused) >> unused) != gva)
			return VMM_WALK_GP;
	} else {
		gva &= 0xffffffff;
	}
	if (!(w->cr0 & X86_CR0_PG)) {
		*gpa = gva;
		return VMM_WALK_OK;
	}
	for (tries = 0; tries < MAX_TRIES && ret == -EAGAIN; tries++)
		ret = walk_once(w, gva, access, gpa, error);
	return ret;
}
