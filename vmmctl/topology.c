// SPDX-License-Identifier: GPL-2.0
/*
 * Topology leaves (SDM vol. 2A, CPUID; APM vol. 3, appendix E).
 */
#include <cpuid.h>
#include <stdbool.h>
#include <stddef.h>

#include "topology.h"

#define BIT(n)			(1u << (n))

#define LEAF1_EDX_HTT		BIT(28)
#define EXT1_ECX_CMP_LEGACY	BIT(1)
#define EXT1_ECX_TOPOEXT	BIT(22)
#define VENDOR_EBX_INTEL	0x756e6547	/* "Genu" */

#define CACHE_TYPE(eax)		((eax) & 0x1f)
#define CACHE_LEVEL(eax)	(((eax) >> 5) & 7)
#define CACHES_MAX		8

/* level types of leaves 0xb and 0x1f, in ECX 15:8 */
#define LEVEL_NONE	0
#define LEVEL_THREAD	1
#define LEVEL_CORE	2

/* the table being filled */
struct table {
	struct vmm_cpuid_entry *e;
	unsigned int nr;
	unsigned int id, cpus;
	cpuid_fn native;
};

void cpuid_native(__u32 leaf, __u32 subleaf, __u32 *r)
{
	__cpuid_count(leaf, subleaf, r[0], r[1], r[2], r[3]);
}

static unsigned int bits_for(unsigned int n)
{
	unsigned int bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

/* bits [high:low] of @reg become @value, as much of it as fits */
static void set_field(__u32 *reg, unsigned int high, unsigned int low, unsigned int value)
{
	__u32 max = (high - low == 31) ? ~0u : BIT(high - low + 1) - 1;

	if (value > max)
		value = max;
	*reg = (*reg & ~(max << low)) | value << low;
}

static struct vmm_cpuid_entry *find(const struct table *t, __u32 leaf, __u32 subleaf)
{
	unsigned int i;

	for (i = 0; i < t->nr; i++) {
		if (t->e[i].leaf == leaf &&
		    (!(t->e[i].flags & VMM_CPUID_SUBLEAF) || t->e[i].subleaf == subleaf))
			return &t->e[i];
	}
	return NULL;
}

/* take out what the table has of @leaf */
static void drop(struct table *t, __u32 leaf)
{
	unsigned int i, kept = 0;

	for (i = 0; i < t->nr; i++) {
		if (t->e[i].leaf != leaf)
			t->e[kept++] = t->e[i];
	}
	t->nr = kept;
}

static struct vmm_cpuid_entry *append(struct table *t, __u32 leaf, __u32 subleaf, __u32 flags)
{
	struct vmm_cpuid_entry *e;

	if (t->nr == VMM_MAX_CPUID_ENTRIES)
		return NULL;
	e = &t->e[t->nr++];
	*e = (struct vmm_cpuid_entry){ .leaf = leaf, .subleaf = subleaf, .flags = flags };
	return e;
}

/* leaves 0xb and 0x1f: a level of threads, one of cores, and the end of the list */
static void set_levels(struct table *t, __u32 leaf)
{
	static const unsigned char types[] = { LEVEL_THREAD, LEVEL_CORE, LEVEL_NONE };
	unsigned int i;

	drop(t, leaf);
	for (i = 0; i < 3; i++) {
		struct vmm_cpuid_entry *e = append(t, leaf, i, VMM_CPUID_SUBLEAF);

		if (!e)
			return;
		e->eax = types[i] == LEVEL_CORE ? bits_for(t->cpus) : 0;
		e->ebx = types[i] == LEVEL_CORE ? t->cpus : types[i] == LEVEL_THREAD;
		e->ecx = i | (unsigned int)types[i] << 8;
		e->edx = t->id;
	}
}

/*
 * leaf 4 and its twin: the host's caches; those of level 1 and 2 belong to a core, the others to
 * all
 */
static void set_caches(struct table *t, __u32 leaf)
{
	unsigned int i;

	drop(t, leaf);
	for (i = 0; i < CACHES_MAX; i++) {
		struct vmm_cpuid_entry *e = append(t, leaf, i, VMM_CPUID_SUBLEAF);
		__u32 r[4];

		if (!e)
			return;
		t->native(leaf, i, r);
		if (!CACHE_TYPE(r[0]) || i == CACHES_MAX - 1)
			return;
		set_field(&r[0], 25, 14, CACHE_LEVEL(r[0]) < 3 ? 0 : t->cpus - 1);
		set_field(&r[0], 31, 26, leaf == 4 ? (1u << bits_for(t->cpus)) - 1 : 0);
		e->eax = r[0];
		e->ebx = r[1];
		e->ecx = r[2];
		e->edx = r[3];
	}
}

/* AMD: node 0, and each core a compute unit of its own */
static void set_amd_ids(struct table *t)
{
	struct vmm_cpuid_entry *e;

	drop(t, 0x8000001e);
	e = append(t, 0x8000001e, 0, 0);
	if (!e)
		return;
	e->eax = t->id;
	e->ebx = t->id;
}

/* Announced features stay as they are offered, but a lone processor announces no company. */
static void set_counts(struct table *t)
{
	struct vmm_cpuid_entry *e = find(t, 1, 0);

	if (e) {
		set_field(&e->ebx, 31, 24, t->id);
		set_field(&e->ebx, 23, 16, t->cpus);
		if (t->cpus == 1)
			e->edx &= ~LEAF1_EDX_HTT;
	}
	e = find(t, 0x80000001, 0);
	if (e && t->cpus == 1)
		e->ecx &= ~EXT1_ECX_CMP_LEGACY;
	e = find(t, 0x80000008, 0);
	if (e) {
		set_field(&e->ecx, 7, 0, t->cpus - 1);
		set_field(&e->ecx, 15, 12, bits_for(t->cpus));
	}
}

unsigned int cpuid_topology(struct vmm_cpuid_entry *entries, unsigned int nr, unsigned int id,
			    unsigned int cpus, cpuid_fn native)
{
	struct table t = { entries, nr, id, cpus, native };
	const struct vmm_cpuid_entry *e;
	__u32 max = 0, max_ext = 0;
	bool intel = false, topoext;

	e = find(&t, 0, 0);
	if (e) {
		max = e->eax;
		intel = e->ebx == VENDOR_EBX_INTEL;
	}
	e = find(&t, 0x80000000, 0);
	if (e)
		max_ext = e->eax;
	e = find(&t, 0x80000001, 0);
	topoext = e && (e->ecx & EXT1_ECX_TOPOEXT);

	set_counts(&t);
	if (max >= 4 && intel)
		set_caches(&t, 4);
	if (max >= 0xb)
		set_levels(&t, 0xb);
	if (max >= 0x1f && intel)
		set_levels(&t, 0x1f);
	if (max_ext >= 0x8000001e && topoext) {
		set_caches(&t, 0x8000001d);
		set_amd_ids(&t);
	}
	return t.nr;
}
