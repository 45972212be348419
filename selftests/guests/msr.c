// SPDX-License-Identifier: GPL-2.0
/*
 * Model-specific registers and CPUID, from inside.
 */
#include "guest.h"

struct g_cpuid_leaf g_cpuid_leaf[512];

/* those that hold what is written */
void guest_msr_known(u64 arg)
{
	static const struct {
		u32 index;
		u64 value;
	} m[] = {
		{0x174, 0x10},
		{0x175, 0x123456},
		{0x176, 0x654321},
		{0xc0000081, 0x0023001000000000},
		{0xc0000082, 0xffffffff81000000},
		{0xc0000083, 0xffffffff82000000},
		{0xc0000084, 0x47700},
		{0xc0000100, 0x7f0012345678},
		{0xc0000101, 0xffff888012345678},
		{0xc0000102, 0xffff888087654321},
	};
	u64 v;
	u32 i;

	(void)arg;
	for (i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
		if (g_try_wrmsr(m[i].index, m[i].value) != -1)
			g_fail(__LINE__, "write of a known MSR faults", m[i].index, m[i].value);
		if (g_try_rdmsr(m[i].index, &v) != -1)
			g_fail(__LINE__, "read of a known MSR faults", m[i].index, 0);
		if (v != m[i].value)
			g_fail(__LINE__, "a known MSR does not hold its value", v, m[i].value);
	}
	/* there, whatever they hold: a stock kernel reads them without a safety net */
	if (g_try_rdmsr(0x1b, &v) != -1 || g_try_rdmsr(0x10, &v) != -1 ||
	    g_try_rdmsr(0xfe, &v) != -1 || g_try_rdmsr(0x2ff, &v) != -1 ||
	    g_try_rdmsr(0x277, &v) != -1 || g_try_rdmsr(0xc0000080, &v) != -1 ||
	    g_try_rdmsr(0xc0010015, &v) != -1 || g_try_rdmsr(0x8b, &v) != -1 ||
	    g_try_rdmsr(0xc0010010, &v) != -1)
		g_fail(__LINE__, "an MSR that kernels read without care faults", 0, 0);
}

void guest_msr_unknown(u64 arg)
{
	static const u32 index[] = {0x12345678, 0xc0002222, 0xc0010117, 0x40000000, 0x4b564dff,
				    0x480,	0x7fffffff, 0xffffffff, 0xd00};
	u64 v;
	u32 i;

	(void)arg;
	for (i = 0; i < sizeof(index) / sizeof(index[0]); i++) {
		if (g_try_rdmsr(index[i], &v) != 13 || g_error)
			g_fail(__LINE__, "read of an unknown MSR: #GP(0)", index[i], 13);
		if (g_try_wrmsr(index[i], 0) != 13 || g_error)
			g_fail(__LINE__, "write of an unknown MSR: #GP(0)", index[i], 13);
	}
}

void guest_msr_efer(u64 arg)
{
	u64 efer = g_rdmsr(0xc0000080), v;

	(void)arg;
	G_EXPECT_EQ(efer & 0xd00, 0xd00);
	G_EXPECT_EQ(g_try_wrmsr(0xc0000080, efer | 1), -1);	/* SCE */
	G_EXPECT_EQ(g_rdmsr(0xc0000080), efer | 1);
	G_EXPECT_EQ(g_try_wrmsr(0xc0000080, efer & ~0x800ull), -1);	/* NXE off and on */
	G_EXPECT_EQ(g_rdmsr(0xc0000080) & 0x800, 0);
	G_EXPECT_EQ(g_try_wrmsr(0xc0000080, efer), -1);
	G_EXPECT_EQ(g_try_wrmsr(0xc0000080, efer & ~0x100ull), 13);	/* LME with paging on */
	G_EXPECT_EQ(g_try_wrmsr(0xc0000080, efer | 1ull << 12), 13);	/* SVME: not offered */
	G_EXPECT_EQ(g_try_wrmsr(0xc0000080, efer | 2), 13);
	G_EXPECT_EQ(g_try_wrmsr(0xc0000080, efer | 1ull << 40), 13);
	/* LMA is not written by software */
	G_EXPECT_EQ(g_try_wrmsr(0xc0000080, efer & ~0x400ull), -1);
	G_EXPECT_EQ(g_rdmsr(0xc0000080), efer);
	G_EXPECT_EQ(g_try_rdmsr(0xc0000080, &v), -1);
}

void guest_msr_pat_mtrr(u64 arg)
{
	u64 v, cap;
	u32 i;

	(void)arg;
	G_EXPECT_EQ(g_rdmsr(0x277), 0x0007040600070406);
	G_EXPECT_EQ(g_try_wrmsr(0x277, 0x0407050600070106), -1);
	G_EXPECT_EQ(g_rdmsr(0x277), 0x0407050600070106);
	G_EXPECT_EQ(g_try_wrmsr(0x277, 2), 13);
	G_EXPECT_EQ(g_try_wrmsr(0x277, 3ull << 32), 13);
	G_EXPECT_EQ(g_try_wrmsr(0x277, 8ull << 56), 13);
	G_EXPECT_EQ(g_rdmsr(0x277), 0x0407050600070106);

	cap = g_rdmsr(0xfe);
	G_EXPECT_EQ(g_try_wrmsr(0xfe, cap), 13);
	G_EXPECT((cap & 0xff) <= 8);
	for (i = 0; i < 2 * (cap & 0xff); i++) {
		u64 value = i & 1 ? 0xffc000800 : 0x80000006;

		G_EXPECT_EQ(g_try_wrmsr(0x200 + i, value), -1);
		G_EXPECT_EQ(g_rdmsr(0x200 + i), value);
	}
	G_EXPECT_EQ(g_try_wrmsr(0x200 + 2 * (cap & 0xff), 0), 13);
	G_EXPECT_EQ(g_try_wrmsr(0x200, 2), 13);	/* a type that does not exist */
	if (cap & 0x100) {
		G_EXPECT_EQ(g_try_wrmsr(0x250, 0x0606060606060606), -1);
		G_EXPECT_EQ(g_rdmsr(0x250), 0x0606060606060606);
		G_EXPECT_EQ(g_try_wrmsr(0x26f, 0x0202020202020202), 13);
	}
	G_EXPECT_EQ(g_try_wrmsr(0x2ff, 0xc06), -1);
	G_EXPECT_EQ(g_rdmsr(0x2ff), 0xc06);
	G_EXPECT_EQ(g_try_wrmsr(0x2ff, 0x1000), 13);
	G_EXPECT_EQ(g_try_rdmsr(0x2ff, &v), -1);
}

void guest_msr_tsc(u64 has_adjust)
{
	u64 a, b, d;

	a = g_rdtsc();
	b = g_rdmsr(0x10);
	G_EXPECT(b >= a);
	G_EXPECT(g_rdtsc() >= b);
	g_wrmsr(0x10, 0x1000000000000);
	a = g_rdtsc();
	G_EXPECT(a >= 0x1000000000000);
	G_EXPECT(a < 0x1000000000000 + 1000000000000);
	g_wrmsr(0x10, 1000);
	G_EXPECT(g_rdtsc() < 1000000000000);
	if (!has_adjust)
		return;
	/* adjust moves with the TSC, and the TSC with adjust (SDM vol. 3, 17.17.3) */
	d = g_rdmsr(0x3b);
	a = g_rdtsc();
	g_wrmsr(0x3b, d + 0x100000000000);
	b = g_rdtsc();
	G_EXPECT(b - a >= 0x100000000000);
	G_EXPECT(b - a < 0x100000000000 + 1000000000000);
	G_EXPECT_EQ(g_rdmsr(0x3b), d + 0x100000000000);
	a = g_rdtsc();
	g_wrmsr(0x10, a + 0x200000000000);
	G_EXPECT(g_rdmsr(0x3b) - d > 0x2fff00000000);
}

void guest_msr_bases(u64 arg)
{
	static u64 data[4] = { 0x11, 0x22, 0x33, 0x44 };
	u64 v;

	(void)arg;
	g_wrmsr(0xc0000100, (u64)&data[0]);
	g_wrmsr(0xc0000101, (u64)&data[1]);
	g_wrmsr(0xc0000102, (u64)&data[2]);
	__asm__ __volatile__("mov %%fs:0, %0" : "=r"(v));
	G_EXPECT_EQ(v, 0x11);
	__asm__ __volatile__("mov %%gs:0, %0" : "=r"(v));
	G_EXPECT_EQ(v, 0x22);
	__asm__ __volatile__("swapgs; mov %%gs:0, %0" : "=r"(v));
	G_EXPECT_EQ(v, 0x33);
	g_outb(0x80, 0);
	G_EXPECT_EQ(g_rdmsr(0xc0000101), (u64)&data[2]);
	G_EXPECT_EQ(g_rdmsr(0xc0000102), (u64)&data[1]);
	__asm__ __volatile__("swapgs; mov %%gs:0, %0" : "=r"(v));
	G_EXPECT_EQ(v, 0x22);
}

void guest_cpuid_all(u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++)
		g_cpuid(g_cpuid_leaf[i].leaf, g_cpuid_leaf[i].sub, g_cpuid_leaf[i].r);
}

/* bits that follow the state of the vCPU */
void guest_cpuid_dynamic(u64 arg)
{
	u64 cr4;
	u32 r[4];

	(void)arg;
	__asm__ __volatile__("mov %%cr4, %0" : "=r"(cr4));
	g_cpuid(1, 0, r);
	if (r[2] & 1u << 26) {
		G_EXPECT_EQ(r[2] >> 27 & 1, 0);
		__asm__ __volatile__("mov %0, %%cr4" :: "r"(cr4 | 1u << 18));
		g_cpuid(1, 0, r);
		G_EXPECT_EQ(r[2] >> 27 & 1, 1);
		g_cpuid(13, 0, r);
		G_EXPECT_EQ(r[1], 576);	/* only x87 is enabled: legacy area and header */
		__asm__ __volatile__("xsetbv" :: "a"(3), "d"(0), "c"(0));
		g_cpuid(13, 0, r);
		G_EXPECT_EQ(r[1], 576);
		if (r[0] & 4) {
			__asm__ __volatile__("xsetbv" :: "a"(7), "d"(0), "c"(0));
			g_cpuid(13, 0, r);
			G_EXPECT_EQ(r[1], 832);
		}
		__asm__ __volatile__("mov %0, %%cr4" :: "r"(cr4));
		g_cpuid(1, 0, r);
		G_EXPECT_EQ(r[2] >> 27 & 1, 0);
	}
	g_cpuid(7, 0, r);
	if (r[2] & 8) {		/* PKU, OSPKE */
		G_EXPECT_EQ(r[2] >> 4 & 1, 0);
		__asm__ __volatile__("mov %0, %%cr4" :: "r"(cr4 | 1u << 22));
		g_cpuid(7, 0, r);
		G_EXPECT_EQ(r[2] >> 4 & 1, 1);
		__asm__ __volatile__("mov %0, %%cr4" :: "r"(cr4));
	}
}
