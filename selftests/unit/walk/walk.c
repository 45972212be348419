// SPDX-License-Identifier: GPL-2.0
/*
 * The walk of a guest's page tables (kmod/mmu/walk.c) against tables made by hand: every paging
 * mode and page size, error codes, reserved bits, accessed and dirty bits, races; and the
 * permission rules, over all their inputs, against a second statement of them.
 */
#include <asm/processor-flags.h>

#include "unit.h"
#include "walk.h"

#define BIT(n)		(1ULL << (n))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define P		BIT(0)
#define RW		BIT(1)
#define US		BIT(2)
#define A		BIT(5)
#define D		BIT(6)
#define PS		BIT(7)
#define NX		BIT(63)
#define KEY(k)		((u64)(k) << 59)
#define ALL		(P | RW | US)

/* guest memory: pages 1 .. 5 hold the tables of levels 1 .. 5 */
#define TABLE(level)	((level) * 0x1000ULL)

static u8 mem[6 * 0x1000];
static unsigned int reads, exchanges;
static bool memory_is_rom;
static void (*before_cmpxchg)(u64 gpa);

static int mem_read(void *opaque, u64 gpa, void *entry, unsigned int len)
{
	reads++;
	if (gpa % len || gpa > sizeof(mem) - len)
		return -ENXIO;
	memcpy(entry, mem + gpa, len);
	return 0;
}

static int mem_cmpxchg(void *opaque, u64 gpa, u64 old, u64 new, unsigned int len)
{
	exchanges++;
	if (memory_is_rom)
		return -EROFS;
	if (before_cmpxchg)
		before_cmpxchg(gpa);
	if (memcmp(mem + gpa, &old, len))
		return 1;
	memcpy(mem + gpa, &new, len);
	return 0;
}

static u64 entry8(unsigned int level, unsigned int index)
{
	u64 value;

	memcpy(&value, mem + TABLE(level) + 8 * index, 8);
	return value;
}

static void put8(unsigned int level, unsigned int index, u64 value)
{
	memcpy(mem + TABLE(level) + 8 * index, &value, 8);
}

static u32 entry4(unsigned int level, unsigned int index)
{
	u32 value;

	memcpy(&value, mem + TABLE(level) + 4 * index, 4);
	return value;
}

static void put4(unsigned int level, unsigned int index, u32 value)
{
	memcpy(mem + TABLE(level) + 4 * index, &value, 4);
}

static void reset(void)
{
	memset(mem, 0, sizeof(mem));
	memory_is_rom = false;
	before_cmpxchg = NULL;
	reads = 0;
	exchanges = 0;
}

static const struct vmm_walk base = {
	.cr0 = X86_CR0_PG | X86_CR0_PE | X86_CR0_WP,
	.maxphyaddr = 48,
	.gbpages = true,
	.read = mem_read,
	.cmpxchg = mem_cmpxchg,
};

static struct vmm_walk walk_32(void)
{
	struct vmm_walk w = base;

	reset();
	w.cr3 = TABLE(2) | 0x18;	/* PCD, PWT */
	w.cr4 = X86_CR4_PSE;
	return w;
}

static struct vmm_walk walk_pae(void)
{
	struct vmm_walk w = base;

	reset();
	w.cr3 = TABLE(3) | 0x20;	/* four entries of 8 bytes anywhere on 32 */
	w.cr4 = X86_CR4_PAE;
	w.nxe = true;
	return w;
}

/* tables of levels 5 .. 1 linked at the given indexes, leaf = entry of level 1 */
static struct vmm_walk walk_long(unsigned int levels, u64 leaf)
{
	struct vmm_walk w = base;
	unsigned int level;

	reset();
	for (level = levels; level > 1; level--)
		put8(level, level, TABLE(level - 1) | ALL);
	put8(1, 1, leaf);
	w.cr3 = TABLE(levels) | 0xfff;	/* PCID */
	w.cr4 = X86_CR4_PAE | (levels == 5 ? X86_CR4_LA57 : 0);
	w.lma = true;
	w.nxe = true;
	return w;
}

/* the address that walk_long() maps */
#define GVA4	(4ULL << 39 | 3ULL << 30 | 2ULL << 21 | 1ULL << 12 | 0x123)
#define GVA5	(5ULL << 48 | GVA4)

#define EXPECT_OK(w, gva, access, want)						\
	do {									\
		u64 gpa_ = 0;							\
		u32 error_ = 0;							\
										\
		EXPECT_EQ(vmm_walk(w, gva, access, &gpa_, &error_), VMM_WALK_OK);	\
		EXPECT_EQ(gpa_, want);						\
	} while (0)

#define EXPECT_PF(w, gva, access, want)						\
	do {									\
		u64 gpa_ = 0;							\
		u32 error_ = 0;							\
										\
		EXPECT_EQ(vmm_walk(w, gva, access, &gpa_, &error_), VMM_WALK_PF);	\
		EXPECT_EQ(error_, want);					\
	} while (0)

UNIT_TEST(no_paging)
{
	struct vmm_walk w = walk_32();

	w.cr0 = X86_CR0_PE;
	EXPECT_OK(&w, 0x12345678, VMM_WALK_WRITE | VMM_WALK_USER, 0x12345678);
	EXPECT_OK(&w, 0x123456789, 0, 0x23456789);
	EXPECT_EQ(reads, 0);
}

UNIT_TEST(two_levels)
{
	struct vmm_walk w = walk_32();

	put4(2, 0x3ff, TABLE(1) | ALL);
	put4(1, 0x155, 0xabcde000 | ALL | PS);	/* PAT */
	EXPECT_OK(&w, 0xffd55678, VMM_WALK_USER, 0xabcde678);
	EXPECT_EQ(entry4(2, 0x3ff), TABLE(1) | ALL | A);
	EXPECT_EQ(entry4(1, 0x155), 0xabcde000 | ALL | PS | A);
	EXPECT_OK(&w, 0xffffffffffd55678, VMM_WALK_WRITE, 0xabcde678);
	EXPECT_EQ(entry4(2, 0x3ff), TABLE(1) | ALL | A);
	EXPECT_EQ(entry4(1, 0x155), 0xabcde000 | ALL | PS | A | D);
	EXPECT_EQ(entry4(1, 0x156), 0);
	EXPECT_PF(&w, 0xffd56678, VMM_WALK_USER | VMM_WALK_WRITE, VMM_PF_USER | VMM_PF_WRITE);
	EXPECT_PF(&w, 0, 0, 0);
}

UNIT_TEST(two_levels_4m)
{
	struct vmm_walk w = walk_32();

	/* address bits 39:32 are in bits 20:13 */
	put4(2, 0x200, 0xabc00000 | 0x5a << 13 | ALL | PS);
	EXPECT_OK(&w, 0x80123456, VMM_WALK_WRITE, 0x5aabd23456);
	EXPECT_EQ(entry4(2, 0x200), 0xabc00000 | 0x5a << 13 | ALL | PS | A | D);
	put4(2, 0x200, 0xabc00000 | BIT(21) | ALL | PS);
	EXPECT_PF(&w, 0x80123456, 0, VMM_PF_PRESENT | VMM_PF_RESERVED);
	w.maxphyaddr = 36;
	put4(2, 0x200, 0xabc00000 | 0xf << 13 | ALL | PS);
	EXPECT_OK(&w, 0x80123456, 0, 0xfabd23456);
	put4(2, 0x200, 0xabc00000 | 0x10 << 13 | ALL | PS);
	EXPECT_PF(&w, 0x80123456, 0, VMM_PF_PRESENT | VMM_PF_RESERVED);

	/* without CR4.PSE the bit means nothing */
	w.cr4 = 0;
	put4(2, 0x200, TABLE(1) | ALL | PS);
	put4(1, 0x123, 0x7000 | ALL);
	EXPECT_OK(&w, 0x80123456, 0, 0x7456);
}

UNIT_TEST(pae)
{
	struct vmm_walk w = walk_pae();
	u64 entry = 0x7edcba987000ULL | ALL;

	put8(3, 4 + 3, TABLE(2) | P);	/* PDPTEs have no permissions */
	put8(2, 0x1ff, TABLE(1) | ALL);
	put8(1, 0x055, entry);
	EXPECT_OK(&w, 0xffe55678, VMM_WALK_WRITE | VMM_WALK_USER, 0x7edcba987678);
	EXPECT_EQ(entry8(3, 4 + 3), TABLE(2) | P);
	EXPECT_EQ(entry8(2, 0x1ff), TABLE(1) | ALL | A);
	EXPECT_EQ(entry8(1, 0x055), entry | A | D);
	put8(1, 0x055, entry | NX);
	EXPECT_PF(&w, 0xffe55678, VMM_WALK_EXEC, VMM_PF_PRESENT | VMM_PF_FETCH);
	w.nxe = false;
	EXPECT_PF(&w, 0xffe55678, 0, VMM_PF_PRESENT | VMM_PF_RESERVED);
	/* a fetch is reported as such only with NXE or SMEP */
	EXPECT_PF(&w, 0xffe55678, VMM_WALK_EXEC, VMM_PF_PRESENT | VMM_PF_RESERVED);
	w.cr4 |= X86_CR4_SMEP;
	EXPECT_PF(&w, 0xffe55678, VMM_WALK_EXEC, VMM_PF_PRESENT | VMM_PF_RESERVED | VMM_PF_FETCH);
}

UNIT_TEST(pae_2m)
{
	struct vmm_walk w = walk_pae();

	put8(3, 4 + 1, TABLE(2) | P);
	put8(2, 0x080, 0x123456600000ULL | BIT(12) | ALL | PS);
	EXPECT_OK(&w, 0x5012789a, VMM_WALK_WRITE, 0x12345672789a);
	EXPECT_EQ(entry8(2, 0x080), 0x123456600000ULL | BIT(12) | ALL | PS | A | D);
}

UNIT_TEST(pae_reserved)
{
	struct vmm_walk w = walk_pae();
	unsigned int bit;

	w.maxphyaddr = 40;
	for (bit = 1; bit < 64; bit++) {
		bool pdpte = bit == 1 || bit == 2 || (bit >= 6 && bit <= 8) || bit >= 40;
		bool pde = bit >= 40 && bit < 63;
		bool large = (bit >= 13 && bit <= 20) || (bit >= 40 && bit < 63);
		u64 extra = BIT(bit);
		u64 gpa;
		u32 error = 0;

		/* keep the table where it is: only look at bits outside the address */
		if (bit >= 12 && bit < 40)
			goto large;
		put8(3, 4, TABLE(2) | P | extra);
		put8(2, 0, TABLE(1) | ALL);
		put8(1, 0, 0x7000 | ALL);
		vmm_walk(&w, 0, 0, &gpa, &error);
		EXPECT_EQ(!!(error & VMM_PF_RESERVED), pdpte);
		put8(3, 4, TABLE(2) | P);
		if (bit != 7) {
			put8(2, 0, TABLE(1) | ALL | extra);
			vmm_walk(&w, 0, 0, &gpa, &error);
			EXPECT_EQ(!!(error & VMM_PF_RESERVED), pde);
			put8(2, 0, TABLE(1) | ALL);
		}
		put8(1, 0, 0x7000 | ALL | extra);
		vmm_walk(&w, 0, 0, &gpa, &error);
		EXPECT_EQ(!!(error & VMM_PF_RESERVED), pde);
large:
		put8(3, 4, TABLE(2) | P);
		put8(2, 0, ALL | PS | extra);
		vmm_walk(&w, 0, 0, &gpa, &error);
		EXPECT_EQ(!!(error & VMM_PF_RESERVED), large);
	}
}

UNIT_TEST(four_levels)
{
	struct vmm_walk w = walk_long(4, 0xfedcba987000ULL | ALL);
	unsigned int level;

	EXPECT_OK(&w, GVA4, VMM_WALK_USER, 0xfedcba987123);
	EXPECT_EQ(reads, 4);
	for (level = 4; level > 1; level--)
		EXPECT_EQ(entry8(level, level), TABLE(level - 1) | ALL | A);
	EXPECT_EQ(entry8(1, 1), 0xfedcba987000ULL | ALL | A);
	EXPECT_EQ(exchanges, 4);
	EXPECT_OK(&w, GVA4, VMM_WALK_WRITE | VMM_WALK_USER, 0xfedcba987123);
	EXPECT_EQ(exchanges, 5);
	EXPECT_EQ(entry8(1, 1), 0xfedcba987000ULL | ALL | A | D);
	EXPECT_OK(&w, GVA4, VMM_WALK_WRITE | VMM_WALK_USER, 0xfedcba987123);
	EXPECT_EQ(exchanges, 5);
	put8(3, 3, 0);
	EXPECT_PF(&w, GVA4, VMM_WALK_EXEC | VMM_WALK_USER, VMM_PF_FETCH | VMM_PF_USER);
	/* the upper half */
	put8(4, 0x1ff, TABLE(3) | ALL);
	put8(3, 0x1ff, 0x7fc0000000ULL | ALL | PS);
	EXPECT_OK(&w, 0xfffffffffffffffe, 0, 0x7ffffffffe);
}

UNIT_TEST(five_levels)
{
	struct vmm_walk w = walk_long(5, 0x7000 | ALL);

	EXPECT_OK(&w, GVA5, 0, 0x7123);
	EXPECT_EQ(reads, 5);
	EXPECT_EQ(entry8(5, 5), TABLE(4) | ALL | A);
}

UNIT_TEST(canonical)
{
	struct vmm_walk w4 = walk_long(4, 0x7000 | ALL);
	struct vmm_walk w5 = walk_long(5, 0x7000 | ALL);
	u32 error;
	u64 gpa;

	EXPECT_EQ(vmm_walk(&w4, GVA5, 0, &gpa, &error), VMM_WALK_GP);
	EXPECT_EQ(vmm_walk(&w4, BIT(47), 0, &gpa, &error), VMM_WALK_GP);
	EXPECT_EQ(vmm_walk(&w4, ~0ULL << 47, 0, &gpa, &error), VMM_WALK_PF);
	EXPECT_EQ(vmm_walk(&w5, BIT(47), 0, &gpa, &error), VMM_WALK_PF);
	EXPECT_EQ(vmm_walk(&w5, BIT(56), 0, &gpa, &error), VMM_WALK_GP);
	EXPECT_EQ(vmm_walk(&w5, ~0ULL << 56, 0, &gpa, &error), VMM_WALK_PF);
}

UNIT_TEST(large_pages)
{
	struct vmm_walk w = walk_long(4, 0);

	put8(2, 2, 0xfedcba800000ULL | BIT(12) | ALL | PS);
	EXPECT_OK(&w, GVA4, VMM_WALK_WRITE, 0xfedcba801123);
	EXPECT_EQ(entry8(2, 2), 0xfedcba800000ULL | BIT(12) | ALL | PS | A | D);
	put8(3, 3, 0xfedc80000000ULL | ALL | PS);
	EXPECT_OK(&w, GVA4, VMM_WALK_WRITE, 0xfedc80401123);
	EXPECT_EQ(entry8(3, 3), 0xfedc80000000ULL | ALL | PS | A | D);
	w.gbpages = false;
	EXPECT_PF(&w, GVA4, 0, VMM_PF_PRESENT | VMM_PF_RESERVED);
}

UNIT_TEST(long_reserved)
{
	unsigned int level, bit;

	for (level = 1; level <= 5; level++)
		for (bit = 12; bit < 64; bit++) {
			bool high = bit >= 46 && bit < 52;
			struct vmm_walk w = walk_long(5, 0x7000 | ALL);
			u32 error = 0;
			u64 gpa;

			w.maxphyaddr = 46;
			put8(level, level, entry8(level, level) | BIT(bit));
			vmm_walk(&w, GVA5, 0, &gpa, &error);
			EXPECT_EQ(!!(error & VMM_PF_RESERVED), high);
			w.nxe = false;
			error = 0;
			vmm_walk(&w, GVA5, 0, &gpa, &error);
			EXPECT_EQ(!!(error & VMM_PF_RESERVED), high || bit == 63);

			/* the same as a large page */
			if (level != 2 && level != 3)
				continue;
			w.nxe = true;
			error = 0;
			put8(level, level, ALL | PS | BIT(bit));
			vmm_walk(&w, GVA5, 0, &gpa, &error);
			EXPECT_EQ(!!(error & VMM_PF_RESERVED),
				  high || (bit >= 13 && bit < (level == 2 ? 21 : 30)));
		}
	for (level = 4; level <= 5; level++) {
		struct vmm_walk w = walk_long(5, 0x7000 | ALL);

		put8(level, level, entry8(level, level) | PS);
		EXPECT_PF(&w, GVA5, 0, VMM_PF_PRESENT | VMM_PF_RESERVED);
	}
}

/* A reserved bit in an entry that is not present means nothing; nor does one below a hole. */
UNIT_TEST(not_present_first)
{
	struct vmm_walk w = walk_long(4, ~P);

	EXPECT_PF(&w, GVA4, VMM_WALK_WRITE, VMM_PF_WRITE);
	/* nothing was marked on the way to the fault */
	EXPECT_EQ(entry8(4, 4), TABLE(3) | ALL);
}

/* What a processor allows, as a list of sufficient conditions; NXE is on. */
static bool allowed(const struct vmm_walk *w, u32 access, bool us, bool rw, bool nx,
		    unsigned int key, bool *key_violation)
{
	bool implicit = access & VMM_WALK_IMPLICIT;
	bool user = !implicit && (access & VMM_WALK_USER);
	bool write = access & VMM_WALK_WRITE;
	bool wp = w->cr0 & X86_CR0_WP;
	bool rights;

	*key_violation = false;
	if (!(access & VMM_WALK_EXEC) && us && (w->cr4 & X86_CR4_PKE)) {
		unsigned int bits = (w->pkru >> (key * 2)) & 3;

		if (bits & 1)
			*key_violation = true;
		else if (bits == 2 && write && user)
			*key_violation = true;
		else if (bits == 2 && write && wp)
			*key_violation = true;
	}

	if (access & VMM_WALK_EXEC)
		rights = !nx && (user ? us : !us || !(w->cr4 & X86_CR4_SMEP));
	else if (user)
		rights = us && (!write || rw);
	else if (!us || !(w->cr4 & X86_CR4_SMAP) || (w->ac && !implicit))
		rights = !write || rw || !wp;
	else
		rights = false;
	return rights && !*key_violation;
}

static const u32 accesses[] = {
	0, VMM_WALK_WRITE, VMM_WALK_EXEC, VMM_WALK_USER, VMM_WALK_USER | VMM_WALK_WRITE,
	VMM_WALK_USER | VMM_WALK_EXEC, VMM_WALK_IMPLICIT, VMM_WALK_IMPLICIT | VMM_WALK_WRITE,
	VMM_WALK_IMPLICIT | VMM_WALK_USER, VMM_WALK_IMPLICIT | VMM_WALK_USER | VMM_WALK_WRITE,
};

/* one combination: @state has WP, SMEP, SMAP, AC, PKE; @bits take away rights at @level */
static void check_permission(unsigned int state, unsigned int bits, unsigned int level, u32 access)
{
	bool us = !(bits & 1), rw = !(bits & 2), nx = bits & 4;
	unsigned int key = 5, pkru_bits = bits >> 3;
	struct vmm_walk w = walk_long(4, 0x7000 | ALL | KEY(key));
	u64 taken = (us ? 0 : US) | (rw ? 0 : RW);
	bool ok, key_violation;
	u32 error = 0, want;
	u64 gpa;
	int ret;

	put8(level, level, (entry8(level, level) & ~taken) | (nx ? NX : 0));
	w.cr0 = X86_CR0_PG | X86_CR0_PE | (state & 1 ? X86_CR0_WP : 0);
	w.cr4 |= (state & 2 ? X86_CR4_SMEP : 0) | (state & 4 ? X86_CR4_SMAP : 0) |
		 (state & 16 ? X86_CR4_PKE : 0);
	w.ac = state & 8;
	w.pkru = pkru_bits << (2 * key);

	ok = allowed(&w, access, us, rw, nx, key, &key_violation);
	ret = vmm_walk(&w, GVA4, access, &gpa, &error);
	want = VMM_PF_PRESENT | (key_violation ? VMM_PF_KEY : 0) |
	       (access & VMM_WALK_WRITE ? VMM_PF_WRITE : 0) |
	       (access & VMM_WALK_EXEC ? VMM_PF_FETCH : 0) |
	       ((access & VMM_WALK_USER) && !(access & VMM_WALK_IMPLICIT) ? VMM_PF_USER : 0);
	if (ret != (ok ? VMM_WALK_OK : VMM_WALK_PF))
		FAIL("state %#x bits %#x level %u access %#x: %d", state, bits, level, access, ret);
	else if (!ok && error != want)
		FAIL("state %#x bits %#x level %u access %#x: error %#x, want %#x",
		     state, bits, level, access, error, want);
	/* A and D are set exactly when the access is allowed */
	want = ok ? A | (access & VMM_WALK_WRITE ? D : 0) : 0;
	EXPECT_EQ(entry8(1, 1) & (A | D), want);
	EXPECT_EQ(!!(entry8(4, 4) & A), ok);
}

UNIT_TEST(permissions)
{
	unsigned int state, bits, level, i;

	for (state = 0; state < 32; state++)
		for (bits = 0; bits < 32; bits++)
			for (level = 1; level <= 4; level++)
				for (i = 0; i < ARRAY_SIZE(accesses); i++)
					check_permission(state, bits, level, accesses[i]);
}

/* Keys belong to long mode, and bits 62:59 are reserved in PAE mode. */
UNIT_TEST(keys_elsewhere)
{
	struct vmm_walk w = walk_32();

	put4(2, 0, TABLE(1) | ALL);
	put4(1, 0, 0x7000 | ALL);
	w.cr4 |= X86_CR4_PKE;
	w.pkru = ~0U;
	EXPECT_OK(&w, 0, VMM_WALK_WRITE | VMM_WALK_USER, 0x7000);
}

UNIT_TEST(read_only_tables)
{
	struct vmm_walk w = walk_long(4, 0x7000 | ALL);

	memory_is_rom = true;
	EXPECT_OK(&w, GVA4, VMM_WALK_WRITE, 0x7123);
	EXPECT_EQ(entry8(1, 1), 0x7000 | ALL);
}

UNIT_TEST(tables_outside_memory)
{
	struct vmm_walk w = walk_long(4, 0x7000 | ALL);
	u32 error;
	u64 gpa;

	put8(3, 3, 0x40000000 | ALL);
	EXPECT_EQ(vmm_walk(&w, GVA4, 0, &gpa, &error), -ENXIO);
	w.cr3 = 0x1000000;
	EXPECT_EQ(vmm_walk(&w, GVA4, 0, &gpa, &error), -ENXIO);
}

/* another processor remaps the page between the walk and the setting of its bits */
static void remap_once(u64 gpa)
{
	if (gpa != TABLE(1) + 8)
		return;
	put8(1, 1, 0x9000 | ALL);
	before_cmpxchg = NULL;
}

static void unmap_once(u64 gpa)
{
	if (gpa != TABLE(1) + 8)
		return;
	put8(1, 1, 0);
	before_cmpxchg = NULL;
}

static void remap_always(u64 gpa)
{
	if (gpa == TABLE(1) + 8)
		put8(1, 1, entry8(1, 1) ^ 0x2000);
}

UNIT_TEST(races)
{
	struct vmm_walk w = walk_long(4, 0x7000 | ALL);
	u32 error;
	u64 gpa;

	before_cmpxchg = remap_once;
	EXPECT_OK(&w, GVA4, VMM_WALK_WRITE, 0x9123);
	EXPECT_EQ(entry8(1, 1), 0x9000 | ALL | A | D);

	w = walk_long(4, 0x7000 | ALL);
	before_cmpxchg = unmap_once;
	EXPECT_PF(&w, GVA4, VMM_WALK_WRITE, VMM_PF_WRITE);

	w = walk_long(4, 0x7000 | ALL);
	before_cmpxchg = remap_always;
	EXPECT_EQ(vmm_walk(&w, GVA4, VMM_WALK_WRITE, &gpa, &error), -EAGAIN);
	EXPECT(reads < 100);
}

UNIT_MAIN()
