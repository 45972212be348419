// SPDX-License-Identifier: GPL-2.0
/*
 * CPUID: the guest sees the table that it was given, and the table offers nothing that is not
 * there.
 */
#include "harness.h"

FIXTURE(cpuid)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	struct vmm_cpuid_entry *e;
	unsigned int nr;
};

FIXTURE_SETUP(cpuid)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	self->e = t_cpuid_supported(&self->nr);
}

FIXTURE_TEARDOWN(cpuid)
{
}

static struct vmm_cpuid_entry *find(struct vmm_cpuid_entry *e, unsigned int nr, uint32_t leaf,
				    uint32_t sub)
{
	return (struct vmm_cpuid_entry *)t_cpuid_find(e, nr, leaf, sub);
}

/* what may differ from the table because it follows the state of the vCPU */
static void known_bits(const struct vmm_cpuid_entry *e, uint32_t mask[4])
{
	memset(mask, 0xff, 16);
	switch (e->leaf) {
	case 1:
		mask[1] = 0x00ff00ff;	/* APIC id; threads */
		mask[2] = ~(1u << 27);	/* OSXSAVE */
		mask[3] = ~(1u << 9);	/* APIC */
		break;
	case 7:
		mask[2] = ~(1u << 4);	/* OSPKE */
		break;
	case 0xb:
	case 0x1f:
		mask[3] = 0;		/* x2APIC id */
		break;
	case 0xd:
		if (e->subleaf < 2)
			mask[1] = 0;	/* size of what is enabled */
		break;
	case 0x8000001e:
		mask[0] = mask[1] = 0;
		break;
	}
}

static void ask(struct __test_metadata *_metadata, struct t_vcpu *v,
		const struct vmm_cpuid_entry *e, unsigned int nr)
{
	struct g_cpuid_leaf *l;
	unsigned int i;

	t_image(v->vm);
	l = T_G(v->vm, g_cpuid_leaf);
	for (i = 0; i < nr; i++) {
		l[i].leaf = e[i].leaf;
		l[i].sub = e[i].subleaf;
	}
	t_start(v, guest_cpuid_all, nr);
	ASSERT_TRUE(t_done(v));
}

static void compare(struct __test_metadata *_metadata, struct t_vcpu *v,
		    const struct vmm_cpuid_entry *e, unsigned int nr)
{
	struct g_cpuid_leaf *l;
	unsigned int i, r;

	ask(_metadata, v, e, nr);
	l = T_G(v->vm, g_cpuid_leaf);
	for (i = 0; i < nr; i++) {
		uint32_t mask[4];

		known_bits(&e[i], mask);
		for (r = 0; r < 4; r++)
			EXPECT_EQ((&e[i].eax)[r] & mask[r], l[i].r[r] & mask[r])
		TH_LOG("leaf 0x%x sub 0x%x register %u: table 0x%x, guest 0x%x", e[i].leaf,
		       e[i].subleaf, r, (&e[i].eax)[r], l[i].r[r]);
	}
}

TEST_F(cpuid, guest_sees_the_table)
{
	compare(_metadata, self->v, self->e, self->nr);
}

TEST_F(cpuid, what_is_offered)
{
	const struct vmm_cpuid_entry *l0 = find(self->e, self->nr, 0, 0),
				     *l1 = find(self->e, self->nr, 1, 0);
	const struct vmm_cpuid_entry *ext = find(self->e, self->nr, 0x80000001, 0),
				     *sig = find(self->e, self->nr, 0x40000000, 0);
	const struct vmm_cpuid_entry *feat = find(self->e, self->nr, 0x40000001, 0),
				     *size = find(self->e, self->nr, 0x80000008, 0);
	unsigned int i, k;

	ASSERT_NE(NULL, l0);
	ASSERT_NE(NULL, l1);
	ASSERT_NE(NULL, ext);
	ASSERT_NE(NULL, sig);
	ASSERT_NE(NULL, feat);
	ASSERT_NE(NULL, size);
	EXPECT_LE(7, l0->eax);
	EXPECT_NE(0, l1->ecx & 1u << 31) TH_LOG("hypervisor bit");
	EXPECT_EQ(0, l1->ecx & 1u << 5) TH_LOG("VMX");
	EXPECT_EQ(0, ext->ecx & 1u << 2) TH_LOG("SVM");
	EXPECT_NE(0, ext->edx & 1u << 29) TH_LOG("long mode");
	EXPECT_NE(0, ext->edx & 1u << 20) TH_LOG("NX");
	EXPECT_NE(0, l1->edx & 1u << 4) TH_LOG("TSC");
	EXPECT_NE(0, l1->edx & 1u << 5) TH_LOG("MSR");
	EXPECT_NE(0, l1->edx & 1u << 9) TH_LOG("APIC");
	EXPECT_EQ(!!t_cap(VMM_CAP_X2APIC), !!(l1->ecx & 1u << 21)) TH_LOG("x2APIC");
	EXPECT_EQ(!!t_cap(VMM_CAP_TSC_DEADLINE), !!(l1->ecx & 1u << 24)) TH_LOG("TSC deadline");
	/* the signature, and a clock behind it */
	EXPECT_EQ(0, memcmp(&sig->ebx, "KVMKVMKVM\0\0\0", 12));
	EXPECT_LE(0x40000001, sig->eax);
	EXPECT_NE(0, feat->eax & 1u << 3) TH_LOG("clock source");
	/* physical addresses no wider than the VM takes */
	EXPECT_GE(t_cap(VMM_CAP_GPA_BITS), size->eax & 0xff);
	EXPECT_LE(36, size->eax & 0xff);
	/* no entry twice, nothing above the highest leaf of its range */
	for (i = 0; i < self->nr; i++) {
		const struct vmm_cpuid_entry *e = &self->e[i];
		const struct vmm_cpuid_entry *base =
			find(self->e, self->nr, e->leaf & 0xffff0000, 0);

		EXPECT_EQ(0, e->pad);
		EXPECT_EQ(0, e->flags & ~VMM_CPUID_SUBLEAF);
		ASSERT_NE(NULL, base) TH_LOG("leaf 0x%x has no base", e->leaf);
		EXPECT_GE(base->eax, e->leaf) TH_LOG("leaf 0x%x is above the highest", e->leaf);
		for (k = 0; k < i; k++)
			EXPECT_FALSE(self->e[k].leaf == e->leaf && self->e[k].subleaf == e->subleaf)
			TH_LOG("leaf 0x%x twice", e->leaf);
	}
}

/* RFLAGS after CMPXCHG16B, where the last operands compared before it were 0 and @junk */
static uint64_t flags_after_cmpxchg16b(uint64_t junk)
{
	static uint64_t mem[2] __attribute__((aligned(16)));
	uint64_t flags, a = 0, d = 0;

	asm volatile("pushf\n"
		     "popf\n"
		     "cmp %[junk], %[a]\n"
		     "cmpxchg16b %[mem]\n"
		     "pushf\n"
		     "pop %[flags]\n"
		     : [flags] "=&r" (flags), [mem] "+m" (mem), [a] "+a" (a), "+d" (d)
		     : [junk] "r" (junk), "b" (0L), "c" (0L)
		     : "cc", "memory");
	return flags;
}

/*
 * An emulator's CMPXCHG16B sets any bit of RFLAGS (testhost/README.md). No kernel survives that
 * for long, as guest less than as host: it must not be on offer there.
 */
TEST_F(cpuid, cmpxchg16b_flags)
{
	const struct vmm_cpuid_entry *e = find(self->e, self->nr, 1, 0);

	ASSERT_NE(NULL, e);
	if (!(e->ecx & (1u << 13)))
		return;
	EXPECT_EQ(0, flags_after_cmpxchg16b(0x826e0000) & ~0xad7ULL);
	EXPECT_EQ(0, flags_after_cmpxchg16b(0xffff8000) & ~0xad7ULL);
}

TEST_F(cpuid, dynamic_bits)
{
	t_start(self->v, guest_cpuid_dynamic, 0);
	EXPECT_TRUE(t_done(self->v));
}

/* a table of one's own: fewer features, another brand; leaves that are not in it are zero */
TEST_F(cpuid, own_table)
{
	struct t_vcpu *v = t_vcpu_bare(self->vm, 1);
	struct vmm_cpuid_entry *own = calloc(self->nr + 8, sizeof(*own)), ask_for[6] = { { 0 } };
	struct g_cpuid_leaf *l;
	unsigned int nr = 0, i;

	for (i = 0; i < self->nr; i++) {
		struct vmm_cpuid_entry *e = &own[nr];

		if (self->e[i].leaf == 0xd || self->e[i].leaf == 0x80000004)
			continue;
		*e = self->e[i];
		if (e->leaf == 1)
			e->ecx &= ~(1u << 26 | 1u << 28 | 1u << 12 |
				    1u << 29); /* no XSAVE, AVX, FMA, F16C */
		if (e->leaf == 7)
			e->ebx = e->ecx = e->edx = 0;
		if (e->leaf == 0x80000002)
			memcpy(&e->eax, "A processor of  ", 16);
		nr++;
	}
	ASSERT_OK(t_set(v->fd, VMM_STATE_CPUID, own, nr * sizeof(*own)));
	compare(_metadata, v, own, nr);

	ask_for[0].leaf = 0xd;
	ask_for[1].leaf = 0x80000004;
	ask_for[2].leaf = 0x40000077;
	ask_for[3].leaf = 0x80000fff;
	ask_for[4].leaf = 0xc0000000;
	ask_for[5].leaf = 0x20000000;
	ask(_metadata, v, ask_for, 5);
	l = T_G(self->vm, g_cpuid_leaf);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, l[i].r[0] | l[i].r[1] | l[i].r[2] | l[i].r[3])
		TH_LOG("leaf 0x%x is not in the table", ask_for[i].leaf);
}

/* promises that cannot be kept */
TEST_F(cpuid, refused)
{
	struct t_vcpu *v = t_vcpu_bare(self->vm, 1);
	struct vmm_cpuid_entry *bad = calloc(VMM_MAX_CPUID_ENTRIES + 1, sizeof(*bad));
	uint32_t size = self->nr * sizeof(*bad);
	static const struct {
		uint32_t leaf;
		int reg, bit;
		const char *what;
	} c[] = {
		{0x80000001, 2, 2, "SVM"},
		{1, 2, 5, "VMX"},
		{1, 2, 6, "SMX"},
		{7, 1, 2, "SGX"},
		{1, 3, 18, "serial number"},
		{0x40000001, 0, 7, "PV unhalt"},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		memcpy(bad, self->e, size);
		(&find(bad, self->nr, c[i].leaf, 0)->eax)[c[i].reg] |= 1u << c[i].bit;
		EXPECT_EQ(-EINVAL, t_set(v->fd, VMM_STATE_CPUID, bad, size))
		TH_LOG("%s was accepted", c[i].what);
	}
	memcpy(bad, self->e, size);
	bad[0].pad = 1;
	EXPECT_ERR(EINVAL, t_set(v->fd, VMM_STATE_CPUID, bad, size));
	memcpy(bad, self->e, size);
	bad[0].flags = 2;
	EXPECT_ERR(EINVAL, t_set(v->fd, VMM_STATE_CPUID, bad, size));
	memcpy(bad, self->e, size);
	find(bad, self->nr, 0x80000008, 0)->eax =
		0x3034; /* wider physical addresses than there are */
	if (t_cap(VMM_CAP_GPA_BITS) < 52)
		EXPECT_ERR(EINVAL, t_set(v->fd, VMM_STATE_CPUID, bad, size));
	EXPECT_GT(0,
		  t_set(v->fd, VMM_STATE_CPUID, bad, (VMM_MAX_CPUID_ENTRIES + 1) * sizeof(*bad)));
	EXPECT_GT(0, t_set(v->fd, VMM_STATE_CPUID, self->e, 31));
	EXPECT_GT(0, t_set(v->fd, VMM_STATE_CPUID, self->e, size - 1));
	/* still free to be set */
	EXPECT_OK(t_set(v->fd, VMM_STATE_CPUID, self->e, size));
	/* a round trip */
	EXPECT_OK(t_get(v->fd, VMM_STATE_CPUID, bad, size));
	EXPECT_EQ(0, memcmp(bad, self->e, size));
}

/* after the first run it stands */
TEST_F(cpuid, not_after_a_run)
{
	uint32_t size = self->nr * sizeof(*self->e);

	t_load(self->vm, T_CODE, "\xe6\x11\xf4", 3);
	t_set_mode(self->v, T_LONG);
	ASSERT_TRUE(t_done(self->v));
	find(self->e, self->nr, 1, 0)->ecx &= ~(1u << 28);
	EXPECT_GT(0, t_set(self->v->fd, VMM_STATE_CPUID, self->e, size));
}

VMM_TEST_MAIN
