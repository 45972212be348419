// SPDX-License-Identifier: GPL-2.0
/*
 * Topology in CPUID.
 */
#include <stdint.h>

#include "topology.h"
#include "unit.h"

#define INTEL	0x756e6547
#define AMD	0x68747541

static struct vmm_cpuid_entry table[VMM_MAX_CPUID_ENTRIES];
static unsigned int nr;

static struct vmm_cpuid_entry *add(uint32_t leaf, uint32_t subleaf, uint32_t flags)
{
	table[nr] = (struct vmm_cpuid_entry){ .leaf = leaf, .subleaf = subleaf, .flags = flags };
	return &table[nr++];
}

static const struct vmm_cpuid_entry *get(uint32_t leaf, uint32_t subleaf)
{
	static const struct vmm_cpuid_entry none;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (table[i].leaf == leaf && (!(table[i].flags & 1) || table[i].subleaf == subleaf))
			return &table[i];
	return &none;
}

/* an L1, an L2 and an L3, shared by more than the guest has; sizes that tell them apart */
static void host(uint32_t leaf, uint32_t subleaf, uint32_t *r)
{
	memset(r, 0, 16);
	if ((leaf == 4 || leaf == 0x8000001d) && subleaf < 3) {
		r[0] = 1 | (subleaf + 1) << 5 | 0xfffu << 14 | 0x3fu << 26;
		r[1] = 100 + subleaf;
		r[2] = 200 + subleaf;
	}
}

/* one that never ends its list */
static void endless(uint32_t leaf, uint32_t subleaf, uint32_t *r)
{
	host(leaf, 0, r);
}

static void make_table(uint32_t vendor)
{
	nr = 0;
	memset(table, 0, sizeof(table));
	add(0, 0, 0)->eax = 0x1f;
	table[0].ebx = vendor;
	add(1, 0, 0)->ebx = 0x12340800;
	table[1].edx = 1u << 28;
	add(0x80000000, 0, 0)->eax = 0x80000021;
	add(0x80000001, 0, 0)->ecx = 1 | 1 << 1 | (vendor == AMD ? 1 << 22 : 0);
	add(0x80000008, 0, 0)->eax = 0x3030;
}

static void expect_levels(uint32_t leaf)
{
	EXPECT_EQ(get(leaf, 0)->eax, 0);
	EXPECT_EQ(get(leaf, 0)->ebx, 1);
	EXPECT_EQ(get(leaf, 0)->ecx, 0x100);
	EXPECT_EQ(get(leaf, 0)->edx, 5);
	EXPECT_EQ(get(leaf, 1)->eax, 3);
	EXPECT_EQ(get(leaf, 1)->ebx, 6);
	EXPECT_EQ(get(leaf, 1)->ecx, 0x201);
	EXPECT_EQ(get(leaf, 1)->edx, 5);
	EXPECT_EQ(get(leaf, 2)->ebx, 0);
	EXPECT_EQ(get(leaf, 2)->ecx, 2);
}

UNIT_TEST(topology_intel)
{
	make_table(INTEL);
	nr = cpuid_topology(table, nr, 5, 6, host);

	EXPECT_EQ(get(1, 0)->ebx >> 24, 5);
	EXPECT_EQ(get(1, 0)->ebx >> 16 & 0xff, 6);
	EXPECT_EQ(get(1, 0)->ebx & 0xffff, 0x0800);
	EXPECT_EQ(get(1, 0)->edx >> 28 & 1, 1);
	/* leaf 4: cores in the package, rounded as APIC ids are; sharing */
	EXPECT_EQ(get(4, 0)->eax, 1 | 1 << 5 | 7u << 26);
	EXPECT_EQ(get(4, 1)->ebx, 101);
	EXPECT_EQ(get(4, 2)->eax, 1 | 3 << 5 | 5 << 14 | 7u << 26);
	EXPECT_EQ(get(4, 3)->flags, 1);
	EXPECT_EQ(get(4, 3)->eax, 0);
	expect_levels(0xb);
	expect_levels(0x1f);
	EXPECT_EQ(get(0x8000001e, 0)->leaf, 0);
	EXPECT_EQ(get(0x80000008, 0)->ecx & 0xff, 5);
	EXPECT_EQ(get(0x80000008, 0)->ecx >> 12 & 0xf, 3);
	EXPECT_EQ(get(0x80000008, 0)->eax, 0x3030);
}

UNIT_TEST(topology_amd)
{
	make_table(AMD);
	nr = cpuid_topology(table, nr, 5, 6, host);
	EXPECT_EQ(get(4, 0)->leaf, 0);
	expect_levels(0xb);
	EXPECT_EQ(get(0x1f, 0)->leaf, 0);
	EXPECT_EQ(get(0x80000001, 0)->ecx & 2, 2);
	EXPECT_EQ(get(0x80000008, 0)->ecx & 0xff, 5);
	EXPECT_EQ(get(0x8000001d, 0)->eax, 1 | 1 << 5);
	EXPECT_EQ(get(0x8000001d, 2)->eax, 1 | 3 << 5 | 5 << 14);
	EXPECT_EQ(get(0x8000001e, 0)->eax, 5);
	EXPECT_EQ(get(0x8000001e, 0)->ebx, 5);
	EXPECT_EQ(get(0x8000001e, 0)->ecx, 0);
}

/* each leaf once, however often it is said */
UNIT_TEST(topology_replaces)
{
	unsigned int before;

	make_table(AMD);
	nr = cpuid_topology(table, nr, 5, 6, host);
	before = nr;
	nr = cpuid_topology(table, nr, 5, 6, host);
	EXPECT_EQ(nr, before);
	expect_levels(0xb);
}

UNIT_TEST(topology_alone)
{
	make_table(AMD);
	nr = cpuid_topology(table, nr, 0, 1, host);
	EXPECT_EQ(get(1, 0)->edx, 0);
	EXPECT_EQ(get(1, 0)->ebx >> 16, 1);
	EXPECT_EQ(get(0xb, 1)->eax, 0);
	EXPECT_EQ(get(0xb, 1)->ebx, 1);
	EXPECT_EQ(get(0x80000001, 0)->ecx & 2, 0);
	EXPECT_EQ(get(0x80000008, 0)->ecx, 0);
}

/* a feature bit that the kernel does not offer would be refused */
UNIT_TEST(topology_adds_no_feature)
{
	make_table(AMD);
	table[1].edx = 0;
	table[3].ecx = 0;
	nr = cpuid_topology(table, nr, 1, 64, host);
	EXPECT_EQ(get(1, 0)->edx, 0);
	EXPECT_EQ(get(0x80000001, 0)->ecx, 0);
	/* nor are leaves filled that no bit announces */
	EXPECT_EQ(get(0x8000001e, 0)->leaf, 0);
}

UNIT_TEST(topology_is_bounded)
{
	unsigned int i;

	make_table(INTEL);
	nr = cpuid_topology(table, nr, 1, 64, endless);
	EXPECT_EQ(nr, 5 + 8 + 3 + 3);

	for (i = 0; i <= 4; i++) {
		make_table(INTEL);
		while (nr < VMM_MAX_CPUID_ENTRIES - i)
			add(2, nr, 1);
		nr = cpuid_topology(table, nr, 1, 64, host);
		EXPECT_EQ(nr, VMM_MAX_CPUID_ENTRIES);
	}

	nr = 0;
	memset(table, 0, sizeof(table));
	EXPECT_EQ(cpuid_topology(table, 0, 0, 1, host), 0);
}
