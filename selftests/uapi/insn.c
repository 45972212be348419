// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions that a hypervisor intercepts, in every mode and with every legal prefix: the
 * result, and that the next instruction is the one behind (APM vol. 3; a processor without
 * next-RIP leaves the length to the decoder).
 */
#include "exec.h"
#include "harness.h"

#define M(mode)		(1u << (mode))
#define M_ALL		0x3fu
#define M_16		(M(T_REAL) | M(T_PM16))
#define M_LONG		M(T_LONG)
#define UNCHECKED (1u << 31) /* QEMU lacks this #GP; it comes only where the access exits */

#define NO_66		(1u << 0) /* may be #UD or another instruction with this prefix: left out */
#define NO_REP		(1u << 1)
#define NO_REX_RB	(1u << 2)	/* REX.R, X, B change operands: left out */
#define NO_67		(1u << 3)
#define NEED_F3		(1u << 4)

struct insn;

struct insn {
	const char *name;
	uint8_t op[6];
	unsigned int len;
	unsigned int modes;
	unsigned int skip;
	int vector;		/* expected exception or -1 */
	void (*setup)(struct t_vcpu *v, struct t_exec *x);
	const char *(*check)(struct t_vcpu *v, const struct t_exec *x);	/* NULL or what is wrong */
};

static struct vmm_cpuid_entry *table;
static unsigned int table_nr;

static void cpuid_in(struct t_vcpu *v, struct t_exec *x)
{
	(void)v;
	x->gpr[VMM_RAX] = 0xdeadbeef00000000;
	x->gpr[VMM_RCX] = 0;
	if (x->mode != T_LONG)
		x->gpr[VMM_RAX] = 0;
}

static const char *cpuid_out(struct t_vcpu *v, const struct t_exec *x)
{
	const struct vmm_cpuid_entry *e = t_cpuid_find(table, table_nr, 0, 0);

	(void)v;
	if (x->out.gpr[VMM_RAX] != e->eax || x->out.gpr[VMM_RBX] != e->ebx ||
	    x->out.gpr[VMM_RCX] != e->ecx || x->out.gpr[VMM_RDX] != e->edx)
		return "leaf 0 is not the table's";
	return NULL;
}

static void rdmsr_in(struct t_vcpu *v, struct t_exec *x)
{
	t_set_msr(v, 0xc0000081, 0x0123456789abcdef);
	x->gpr[VMM_RCX] = 0xc0000081;
	x->gpr[VMM_RAX] = x->gpr[VMM_RDX] = 0x55;
}

static const char *rdmsr_out(struct t_vcpu *v, const struct t_exec *x)
{
	(void)v;
	return x->out.gpr[VMM_RAX] == 0x89abcdef && x->out.gpr[VMM_RDX] == 0x01234567
		       ? NULL
		       : "wrong STAR read";
}

static void badmsr_in(struct t_vcpu *v, struct t_exec *x)
{
	(void)v;
	x->gpr[VMM_RCX] = 0x12345678;
	x->gpr[VMM_RAX] = 0x55;
	x->gpr[VMM_RDX] = 0xaa;
}

static const char *badmsr_out(struct t_vcpu *v, const struct t_exec *x)
{
	(void)v;
	return x->out.gpr[VMM_RAX] == 0x55 && x->out.gpr[VMM_RDX] == 0xaa ? NULL
									  : "registers changed";
}

static void wrmsr_in(struct t_vcpu *v, struct t_exec *x)
{
	t_set_msr(v, 0xc0000081, 0);
	x->gpr[VMM_RCX] = 0xc0000081;
	x->gpr[VMM_RAX] = 0x11111111;
	x->gpr[VMM_RDX] = 0x22222222;
}

static const char *wrmsr_out(struct t_vcpu *v, const struct t_exec *x)
{
	uint64_t value = 0;

	(void)x;
	t_get_msr(v, 0xc0000081, &value);
	return value == 0x2222222211111111 ? NULL : "STAR was not written";
}

static void ts_in(struct t_vcpu *v, struct t_exec *x)
{
	(void)v;
	x->cr0_set = 8;
}

static const char *ts_out(struct t_vcpu *v, const struct t_exec *x)
{
	(void)v;
	return x->sout.cr0 & 8 ? "CR0.TS is still set" : NULL;
}

static void lmsw_in(struct t_vcpu *v, struct t_exec *x)
{
	(void)v;
	x->gpr[VMM_RBX] = 0xffe8 | (x->mode != T_REAL);	/* LMSW cannot clear PE */
}

static const char *lmsw_out(struct t_vcpu *v, const struct t_exec *x)
{
	(void)v;
	return (x->sout.cr0 & 0xf) == (8u | (x->mode != T_REAL)) ? NULL
								 : "CR0 bits 0 to 3 are wrong";
}

static void smsw_in(struct t_vcpu *v, struct t_exec *x)
{
	(void)v;
	x->cr0_set = 8;
	x->gpr[VMM_RBX] = 0;
}

static const char *smsw_out(struct t_vcpu *v, const struct t_exec *x)
{
	(void)v;
	return (x->out.gpr[VMM_RBX] & 0xffff) == (x->sout.cr0 & 0xffff) ? NULL
									: "not the low half of CR0";
}

static void fill_in(struct t_vcpu *v, struct t_exec *x)
{
	(void)v;
	x->gpr[VMM_RAX] = x->gpr[VMM_RBX] = x->gpr[VMM_RCX] = x->gpr[VMM_RDX] = 0;
	x->gpr[VMM_RAX] = T_XDATA;
}

static void xsave_in(struct t_vcpu *v, struct t_exec *x)
{
	(void)v;
	x->cr4_set = 1u << 18;
	x->gpr[VMM_RAX] = 3;
}

static const char *xsetbv_out(struct t_vcpu *v, const struct t_exec *x)
{
	struct vmm_xcrs xcrs = { 0 };

	(void)x;
	if (t_get(v->fd, VMM_STATE_XCRS, &xcrs, sizeof(xcrs)))
		return "get of XCRS failed";
	return xcrs.xcr0 == 3 ? NULL : "XCR0 is not what was written";
}

static void rdtscp_in(struct t_vcpu *v, struct t_exec *x)
{
	(void)x;
	t_set_msr(v, 0xc0000103, 0x4711);
}

static const char *rdtscp_out(struct t_vcpu *v, const struct t_exec *x)
{
	(void)v;
	return x->out.gpr[VMM_RCX] == 0x4711 ? NULL : "ECX is not TSC_AUX";
}

static const char *vmmcall_out(struct t_vcpu *v, const struct t_exec *x)
{
	(void)v;
	/* KVM's answer to an unknown hypercall is -1000 */
	return (int32_t)x->out.gpr[VMM_RAX] == -1000 ? NULL : "RAX is not -1000";
}

static void vmmcall_in(struct t_vcpu *v, struct t_exec *x)
{
	(void)v;
	x->gpr[VMM_RAX] = 0x7fff;
}

static const struct insn insns[] = {
	{ "CPUID", { 0x0f, 0xa2 }, 2, M_ALL, 0, -1, cpuid_in, cpuid_out },
	{ "RDMSR", { 0x0f, 0x32 }, 2, M_ALL, 0, -1, rdmsr_in, rdmsr_out },
	{ "WRMSR", { 0x0f, 0x30 }, 2, M_ALL, 0, -1, wrmsr_in, wrmsr_out },
	{ "RDMSR of no MSR", { 0x0f, 0x32 }, 2, M_ALL, 0, 13, badmsr_in, badmsr_out },
	{ "WRMSR of no MSR", { 0x0f, 0x30 }, 2, M_ALL, 0, 13, badmsr_in, badmsr_out },
	{ "HLT", { 0xf4 }, 1, M_ALL, 0, -1, NULL, NULL },
	{ "INVD", { 0x0f, 0x08 }, 2, M_ALL, 0, -1, NULL, NULL },
	{ "WBINVD", { 0x0f, 0x09 }, 2, M_ALL, 0, -1, NULL, NULL },
	{ "CLTS", { 0x0f, 0x06 }, 2, M_ALL, 0, -1, ts_in, ts_out },
	{ "LMSW BX", { 0x0f, 0x01, 0xf3 }, 3, M_ALL, NO_REX_RB | NO_REP, -1, lmsw_in, lmsw_out },
	{ "SMSW BX", { 0x0f, 0x01, 0xe3 }, 3, M_ALL, NO_REX_RB | NO_REP, -1, smsw_in, smsw_out },
	{ "RDTSC", { 0x0f, 0x31 }, 2, M_ALL, 0, -1, NULL, NULL },
	{ "RDTSCP", { 0x0f, 0x01, 0xf9 }, 3, M_ALL, NO_REP | NO_66, -1, rdtscp_in, rdtscp_out },
	{ "XSETBV", { 0x0f, 0x01, 0xd1 }, 3, M_ALL, NO_REP | NO_66, -1, xsave_in, xsetbv_out },
	{ "XGETBV", { 0x0f, 0x01, 0xd0 }, 3, M_ALL, NO_REP | NO_66, -1, xsave_in, NULL },
	{ "PAUSE", { 0x90 }, 1, M_ALL, NO_REX_RB | NEED_F3, -1, NULL, NULL },
	{ "VMMCALL", { 0x0f, 0x01, 0xd9 }, 3, M_ALL & ~M(T_REAL), 0, -1, vmmcall_in, vmmcall_out },
	{ "VMCALL", { 0x0f, 0x01, 0xc1 }, 3, M_ALL & ~M(T_REAL), NO_REP | NO_66, -1, vmmcall_in,
	  vmmcall_out },
	{ "VMRUN", { 0x0f, 0x01, 0xd8 }, 3, M_ALL, 0, 6, fill_in, NULL },
	{ "VMLOAD", { 0x0f, 0x01, 0xda }, 3, M_ALL, 0, 6, fill_in, NULL },
	{ "VMSAVE", { 0x0f, 0x01, 0xdb }, 3, M_ALL, 0, 6, fill_in, NULL },
	{ "STGI", { 0x0f, 0x01, 0xdc }, 3, M_ALL, 0, 6, NULL, NULL },
	{ "CLGI", { 0x0f, 0x01, 0xdd }, 3, M_ALL, 0, 6, NULL, NULL },
	{ "SKINIT", { 0x0f, 0x01, 0xde }, 3, M_ALL, 0, 6, NULL, NULL },
	{ "INVLPGA", { 0x0f, 0x01, 0xdf }, 3, M_ALL, 0, 6, fill_in, NULL },
	{ "RSM", { 0x0f, 0xaa }, 2, M_ALL, 0, 6, NULL, NULL },
	{ "VMXOFF", { 0x0f, 0x01, 0xc4 }, 3, M_ALL, 0, 6, NULL, NULL },
	{ "VMLAUNCH", { 0x0f, 0x01, 0xc2 }, 3, M_ALL, 0, 6, NULL, NULL },
};

static bool usable(const struct insn *in, const struct t_prefix *p)
{
	unsigned int i;

	if (((in->skip & NO_66) && p->opsize) || ((in->skip & NO_REP) && (p->rep || p->repne)) ||
	    ((in->skip & NO_67) && p->addrsize))
		return false;
	if (in->skip & NEED_F3) {
		/* the last of F2 and F3 counts */
		if (!p->rep)
			return false;
		for (i = p->len; i-- && p->byte[i] != 0xf3;)
			if (p->byte[i] == 0xf2)
				return false;
	}
	if ((in->skip & NO_REX_RB) && p->rex && (p->byte[p->len - 1] & 7))
		return false;
	/* with an instruction of at most 15 bytes */
	return p->len + in->len <= 15;
}

/* the exception to expect, or -1: each maker has a hypercall instruction, and #UD for the other's */
static int vector_for(const struct insn *in)
{
	if (in->setup == vmmcall_in && t_vmx() != (in->op[2] == 0xc1))
		return 6;
	return in->vector;
}

/* HLT itself: a prefixed one must halt at its own end, not at the next */
static bool completed(const struct insn *in, const struct t_exec *x)
{
	if (in->op[0] == 0xf4)
		return x->exit == VMM_EXIT_HALT && x->vector < 0 && x->out.rip == T_XCODE + x->len;
	return t_exec_completed(x);
}

FIXTURE(insn)
{
	struct t_vm *vm;
	struct t_vcpu *v;
};

FIXTURE_VARIANT(insn)
{
	enum t_mode mode;
};

FIXTURE_VARIANT_ADD(insn, real) { .mode = T_REAL };
FIXTURE_VARIANT_ADD(insn, pm16) { .mode = T_PM16 };
FIXTURE_VARIANT_ADD(insn, pm32) { .mode = T_PM32 };
FIXTURE_VARIANT_ADD(insn, pg32) { .mode = T_PG32 };
FIXTURE_VARIANT_ADD(insn, pae) { .mode = T_PAE };
FIXTURE_VARIANT_ADD(insn, long64) { .mode = T_LONG };

FIXTURE_SETUP(insn)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	table = t_cpuid_supported(&table_nr);
}

FIXTURE_TEARDOWN(insn)
{
	t_vcpu_free(self->v);
	t_vm_free(self->vm);
}

TEST_F(insn, every_prefix)
{
	struct t_prefix prefix[T_MAX_PREFIXES];
	unsigned int n = t_prefixes(variant->mode, prefix);
	unsigned int i, j, bad, runs = 0;

	for (i = 0; i < ARRAY_SIZE(insns); i++) {
		const struct insn *in = &insns[i];

		if (!(in->modes & M(variant->mode)))
			continue;
		if (in->op[1] == 0x01 && (in->op[2] & 0xfe) == 0xd0 && !t_cpuid_bit(1, 0, 2, 26))
			continue;
		if (in->op[1] == 0x01 && in->op[2] == 0xf9 && !t_cpuid_bit(0x80000001, 0, 3, 27))
			continue;
		for (j = 0, bad = 0; j < n && bad < 4; j++) {
			struct t_exec x = { .mode = variant->mode };
			int vector = vector_for(in);
			const char *wrong = NULL;

			if (!usable(in, &prefix[j]))
				continue;
			t_exec_set(&x, &prefix[j], in->op, in->len);
			if (in->setup)
				in->setup(self->v, &x);
			t_exec(self->v, &x);
			runs++;
			if (vector >= 0 && (x.vector != vector || x.fault_rip != T_XCODE))
				wrong = "wanted an exception at the instruction";
			else if (vector < 0 && !completed(in, &x))
				wrong = "wanted the next instruction";
			else if (vector == in->vector && in->check)
				wrong = in->check(self->v, &x);
			EXPECT_EQ(NULL, wrong) {
				TH_LOG("%s (vector %d): %s: %s", in->name, vector, wrong,
				       t_exec_text(&x));
				bad++;
			}
		}
	}
	EXPECT_LT(100, runs);
	TH_LOG("%u runs", runs);
}

/* LOCK is #UD for all of them; QEMU takes no notice of it, and then they must complete */
TEST_F(insn, lock)
{
	const struct t_prefix lock = { .byte = { 0xf0 }, .len = 1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(insns); i++) {
		struct t_exec x = { .mode = variant->mode };

		if (!(insns[i].modes & M(variant->mode)))
			continue;
		t_exec_set(&x, &lock, insns[i].op, insns[i].len);
		if (insns[i].setup)
			insns[i].setup(self->v, &x);
		t_exec(self->v, &x);
		EXPECT_TRUE(x.vector == 6 || x.vector == insns[i].vector ||
			    completed(&insns[i], &x))
		TH_LOG("LOCK %s: %s", insns[i].name, t_exec_text(&x));
	}
}

/* 15 bytes are an instruction, 16 are #GP(0) */
TEST_F(insn, length_limit)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		const struct insn *in = &insns[i];
		unsigned int n;

		for (n = 15; n <= 16; n++) {
			struct t_exec x = { .mode = variant->mode };

			memset(x.bytes, 0x2e, n - in->len);
			memcpy(x.bytes + n - in->len, in->op, in->len);
			x.len = n;
			in->setup(self->v, &x);
			t_exec(self->v, &x);
			if (n == 15) {
				EXPECT_TRUE(t_exec_completed(&x))
				TH_LOG("%s: %s", in->name, t_exec_text(&x));
			} else {
				EXPECT_EQ(13, x.vector) TH_LOG("%s: %s", in->name, t_exec_text(&x));
			}
		}
	}
}

/* privileged ones at CPL 3: #GP(0) at the instruction, and nothing happened */
TEST_F(insn, cpl3)
{
	static const char *const privileged[] = {"RDMSR",  "WRMSR", "HLT",     "INVD",
						 "WBINVD", "CLTS",  "LMSW BX", "XSETBV"};
	unsigned int i, j;

	if (variant->mode == T_REAL)	/* there is none */
		return;
	for (i = 0; i < ARRAY_SIZE(insns); i++) {
		struct t_exec x = { .mode = variant->mode, .user = true };
		bool is_privileged = false;

		for (j = 0; j < ARRAY_SIZE(privileged); j++)
			is_privileged |= !strcmp(insns[i].name, privileged[j]);
		if (!is_privileged)
			continue;
		if (!strcmp(insns[i].name, "XSETBV") && !t_cpuid_bit(1, 0, 2, 26))
			continue;
		t_exec_set(&x, &(struct t_prefix){ .len = 0 }, insns[i].op, insns[i].len);
		if (insns[i].setup)
			insns[i].setup(self->v, &x);
		t_exec(self->v, &x);
		EXPECT_EQ(13, x.vector) TH_LOG("%s: %s", insns[i].name, t_exec_text(&x));
		EXPECT_EQ(0, x.error) TH_LOG("%s: %s", insns[i].name, t_exec_text(&x));
		EXPECT_EQ(T_XCODE, x.fault_rip) TH_LOG("%s: %s", insns[i].name, t_exec_text(&x));
	}
}

/* MOV from and to CR0, CR2, CR3, CR4, CR8, all registers; the mod field is not looked at */
TEST_F(insn, mov_cr)
{
	static const unsigned int cr[] = { 0, 2, 3, 4, 8 };
	unsigned int c, reg, mod, to, regs = variant->mode == T_LONG ? 16 : 8;

	for (c = 0; c < ARRAY_SIZE(cr); c++) {
		for (reg = 0; reg < regs; reg++) {
			for (to = 0; to < 2; to++) {
				for (mod = 0; mod < 4; mod++) {
					struct t_exec x = {.mode = variant->mode, .cr4_set = 0x80};
					struct vmm_sregs s;
					uint64_t want, got;
					unsigned int n = 0;

					if (cr[c] == 8 && variant->mode != T_LONG)
						continue;
					if (mod != 3 && reg != 5 &&
					    reg != 4) /* the odd ones: disp32 and SIB if it were
							 memory */
						continue;
					if (reg >= 8 || cr[c] >= 8)
						x.bytes[n++] =
							0x40 | (reg >= 8) | (cr[c] >= 8 ? 4 : 0);
					x.bytes[n++] = 0x0f;
					x.bytes[n++] = to ? 0x22 : 0x20;
					x.bytes[n++] = mod << 6 | (cr[c] & 7) << 3 | (reg & 7);
					x.len = n;

					t_set_mode(self->v, variant->mode);
					t_get_sregs(self->v, &s);
					s.cr4 |= x.cr4_set;
					want = cr[c] == 0   ? s.cr0 ^ 8
					       : cr[c] == 2 ? 0x1234567
					       : cr[c] == 3 ? (s.cr3 ? s.cr3 : 0x5000)
					       : cr[c] == 4 ? s.cr4 ^ 4
							    : 9;
					if (to)
						x.gpr[reg] = want;
					t_exec(self->v, &x);
					EXPECT_TRUE(t_exec_completed(&x))
					TH_LOG("MOV CR%u: %s", cr[c], t_exec_text(&x));
					got = cr[c] == 0   ? x.sout.cr0
					      : cr[c] == 2 ? x.sout.cr2
					      : cr[c] == 3 ? x.sout.cr3
					      : cr[c] == 4 ? x.sout.cr4
							   : x.sout.cr8;
					if (!to)
						want = x.out.gpr[reg];
					/* its VMRUN loads no CR2: the host's is there, 64 bits */
					if (cr[c] == 2 && t_bochs_svm())
						got = (uint32_t)got == (uint32_t)want ? want : got;
					EXPECT_EQ(want, got)
					TH_LOG("MOV CR%u %s register %u: %s", cr[c],
					       to ? "from" : "to", reg, t_exec_text(&x));
				}
			}
		}
	}
}

/* values that no processor takes, and registers that do not exist */
TEST_F(insn, mov_cr_bad)
{
	struct {
		const char *what;
		uint8_t op[4];
		unsigned int len;
		uint64_t rax;
		int vector;
		unsigned int modes;
	} bad[] = {
		{"CR0: PG without PE", {0x0f, 0x22, 0xc0}, 3, 0x80000010, 13, M_ALL},
		{"CR0: NW without CD", {0x0f, 0x22, 0xc0}, 3, 0x20000011, 13, M_ALL & ~M_LONG},
		{"CR0: high half", {0x0f, 0x22, 0xc0}, 3, 0x180000031, 13, M_LONG | UNCHECKED},
		{"CR0: PE off in long mode", {0x0f, 0x22, 0xc0}, 3, 0x80000030, 13, M_LONG},
		{"CR3: reserved high bits", {0x0f, 0x22, 0xd8}, 3, 1ull << 62, 13,
		 M_LONG | UNCHECKED},
		{"CR4: reserved bit 15", {0x0f, 0x22, 0xe0}, 3, 0x8620, 13, M_ALL},
		{"CR4: reserved bit 31", {0x0f, 0x22, 0xe0}, 3, 0x80000620, 13, M_ALL},
		{"CR4: high half", {0x0f, 0x22, 0xe0}, 3, 0x100000620, 13, M_LONG},
		{"CR4: PAE off in long mode", {0x0f, 0x22, 0xe0}, 3, 0x600, 13, M_LONG},
		{"CR4: PCIDE without long mode",
		 {0x0f, 0x22, 0xe0},
		 3,
		 0x20620,
		 13,
		 M_ALL & ~M_LONG},
		{"CR4: VMXE, which AMD lacks", {0x0f, 0x22, 0xe0}, 3, 0x2620, 13, M_ALL},
		{"CR8: above 15", {0x44, 0x0f, 0x22, 0xc0}, 4, 16, 13, M_LONG | UNCHECKED},
		{"CR1", {0x0f, 0x20, 0xc8}, 3, 0, 6, M_ALL},
		{"CR5", {0x0f, 0x22, 0xe8}, 3, 0, 6, M_ALL},
		{"CR7", {0x0f, 0x20, 0xf8}, 3, 0, 6, M_ALL},
		{"CR9", {0x44, 0x0f, 0x20, 0xc8}, 4, 0, 6, M_LONG},
		{"CR15", {0x44, 0x0f, 0x22, 0xf8}, 4, 0, 6, M_LONG},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct t_exec x = { .mode = variant->mode };
		struct vmm_sregs before;

		if (!(bad[i].modes & M(variant->mode)))
			continue;
		memcpy(x.bytes, bad[i].op, bad[i].len);
		x.len = bad[i].len;
		x.gpr[VMM_RAX] = bad[i].rax;
		t_set_mode(self->v, variant->mode);
		t_get_sregs(self->v, &before);
		t_exec(self->v, &x);
		if ((bad[i].modes & UNCHECKED) && t_emulated() && x.vector != bad[i].vector)
			continue;
		EXPECT_EQ(bad[i].vector, x.vector) TH_LOG("%s: %s", bad[i].what, t_exec_text(&x));
		EXPECT_EQ(T_XCODE, x.fault_rip) TH_LOG("%s: %s", bad[i].what, t_exec_text(&x));
		EXPECT_EQ(before.cr0, x.sout.cr0) TH_LOG("%s", bad[i].what);
		EXPECT_EQ(before.cr3, x.sout.cr3) TH_LOG("%s", bad[i].what);
		EXPECT_EQ(before.cr4, x.sout.cr4) TH_LOG("%s", bad[i].what);
		EXPECT_EQ(before.cr8, x.sout.cr8) TH_LOG("%s", bad[i].what);
	}
}

/* MOV from and to debug registers, all registers */
TEST_F(insn, mov_dr)
{
	unsigned int d, reg, to, regs = variant->mode == T_LONG ? 16 : 8;

	for (d = 0; d < 8; d++) {
		for (reg = 0; reg < regs; reg++) {
			for (to = 0; to < 2; to++) {
				struct t_exec x = { .mode = variant->mode };
				struct vmm_debugregs dr = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
				uint64_t value = d == 6 || d == 4   ? 0xffff4ff0
						 : d == 7 || d == 5 ? 0x700
								    : 0x1230 + d;
				uint64_t got;
				unsigned int n = 0, real = d == 4 ? 6 : d == 5 ? 7 : d;

				if (reg >= 8)
					x.bytes[n++] = 0x41;
				x.bytes[n++] = 0x0f;
				x.bytes[n++] = to ? 0x23 : 0x21;
				x.bytes[n++] = 0xc0 | d << 3 | (reg & 7);
				x.len = n;
				if (!to && real < 4)
					dr.db[real] = value;
				ASSERT_OK(t_set(self->v->fd, VMM_STATE_DEBUGREGS, &dr, sizeof(dr)));
				if (to)
					x.gpr[reg] = value;
				t_exec(self->v, &x);
				EXPECT_TRUE(t_exec_completed(&x))
				TH_LOG("MOV DR%u: %s", d, t_exec_text(&x));
				ASSERT_OK(t_get(self->v->fd, VMM_STATE_DEBUGREGS, &dr, sizeof(dr)));
				got = real == 6 ? dr.dr6 : real == 7 ? dr.dr7 : dr.db[real];
				if (!to)
					value = x.out.gpr[reg];
				EXPECT_EQ(value, got)
				TH_LOG("MOV DR%u %s register %u: %s", d, to ? "from" : "to", reg,
				       t_exec_text(&x));
			}
		}
	}
}

TEST_F(insn, mov_dr_bad)
{
	struct vmm_debugregs dr = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	unsigned int i;

	/* DR4 and DR5 do not exist with CR4.DE */
	for (i = 4; i < 6; i++) {
		struct t_exec x = {.mode = variant->mode,
				   .cr4_set = 8,
				   .bytes = {0x0f, 0x21, 0xc0 | i << 3},
				   .len = 3};

		t_exec(self->v, &x);
		EXPECT_EQ(6, x.vector) TH_LOG("DR%u with DE: %s", i, t_exec_text(&x));
	}
	/* DR7.GD: #DB before the access, DR6.BD set, GD clear in the handler */
	{
		struct t_exec x = {.mode = variant->mode,
				   .dr7 = 0x2400,
				   .bytes = {0x0f, 0x21, 0xc0},
				   .len = 3};

		t_exec(self->v, &x);
		EXPECT_EQ(1, x.vector) TH_LOG("GD: %s", t_exec_text(&x));
		EXPECT_EQ(T_XCODE, x.fault_rip) TH_LOG("GD: %s", t_exec_text(&x));
		ASSERT_OK(t_get(self->v->fd, VMM_STATE_DEBUGREGS, &dr, sizeof(dr)));
		if (!t_bochs_svm())
			EXPECT_EQ(0x2000, dr.dr6 & 0x2000);
		EXPECT_EQ(0, dr.dr7 & 0x2000);
		dr = (struct vmm_debugregs){ .dr6 = 0xffff0ff0, .dr7 = 0x400 };
		ASSERT_OK(t_set(self->v->fd, VMM_STATE_DEBUGREGS, &dr, sizeof(dr)));
	}
	if (variant->mode != T_LONG)
		return;
	/* the high halves of DR6 and DR7 are reserved */
	for (i = 6; i < 8; i++) {
		struct t_exec x = {.mode = variant->mode,
				   .bytes = {0x0f, 0x23, 0xc0 | i << 3},
				   .len = 3,
				   .gpr[VMM_RAX] = 1ull << 32};

		t_exec(self->v, &x);
		EXPECT_EQ(13, x.vector) TH_LOG("DR%u high half: %s", i, t_exec_text(&x));
	}
}

/* memory operands: every length of an effective address */
struct form {
	uint8_t byte[6];
	unsigned int len;
	uint64_t rbx;		/* value of rBX, rSI, rBP as the form wants it */
};

/* reg field 0; all address T_XDATA + 0x10 */
static const struct form forms16[] = {
	{ { 0x06, 0x10, 0x60 }, 3, 0 },			/* disp16 */
	{ { 0x07 }, 1, T_XDATA + 0x10 },		/* (bx) */
	{ { 0x04 }, 1, T_XDATA + 0x10 },		/* (si) */
	{ { 0x46, 0x08 }, 2, T_XDATA + 8 },		/* disp8(bp) */
	{ { 0x87, 0x10, 0x00 }, 3, T_XDATA },		/* disp16(bx) */
	{ { 0x00 }, 1, (T_XDATA + 0x10) / 2 },		/* (bx, si) */
};

static const struct form forms32[] = {
	{{0x03}, 1, T_XDATA + 0x10}, /* (ebx) */
	{{0x43, 0x08}, 2, T_XDATA + 8},
	{{0x83, 0x10, 0x00, 0x00, 0x00}, 5, T_XDATA},
	{{0x04, 0x25, 0x10, 0x60, 0x00, 0x00}, 6, 0}, /* SIB without base and index: disp32 */
	{{0x04, 0x23}, 2, T_XDATA + 0x10}, /* SIB (ebx) */
	{{0x44, 0x23, 0x08}, 3, T_XDATA + 8},
	{{0x84, 0x23, 0x10, 0x00, 0x00, 0x00}, 6, T_XDATA},
	{{0x04, 0x33}, 2, (T_XDATA + 0x10) / 2}, /* (ebx, esi) */
	{{0x45, 0x08}, 2, T_XDATA + 8}, /* disp8(ebp) */
};

TEST_F(insn, memory_operands)
{
	static const struct {
		const char *name;
		uint8_t op[2];
		unsigned int reg;
	} in[] = {
		{ "LMSW m16", { 0x0f, 0x01 }, 6 },
		{ "SMSW m16", { 0x0f, 0x01 }, 4 },
		{ "INVLPG m", { 0x0f, 0x01 }, 7 },
	};
	struct t_prefix prefix[T_MAX_PREFIXES];
	unsigned int n = t_prefixes(variant->mode, prefix);
	unsigned int i, j, k, bad;

	for (i = 0; i < ARRAY_SIZE(in); i++) {
		for (j = 0, bad = 0; j < n && bad < 4; j++) {
			bool is16 = variant->mode != T_LONG &&
				    ((variant->mode <= T_PM16) ^ prefix[j].addrsize);
			const struct form *form = is16 ? forms16 : forms32;
			unsigned int nr = is16 ? ARRAY_SIZE(forms16) : ARRAY_SIZE(forms32);

			if (prefix[j].rep || prefix[j].repne ||
			    (prefix[j].rex && prefix[j].byte[prefix[j].len - 1] & 7))
				continue;
			/* a code segment cannot be written; QEMU lets it be */
			if (in[i].reg == 4 && variant->mode != T_REAL && variant->mode != T_LONG &&
			    memchr(prefix[j].byte, 0x2e, prefix[j].len))
				continue;
			for (k = 0; k < nr && bad < 4; k++) {
				struct t_exec x = { .mode = variant->mode };
				uint16_t *data = t_gpa(self->vm, T_XDATA + 0x10, 2);
				uint8_t op[8];

				if (prefix[j].len + 2 + form[k].len > 15)
					continue;
				memcpy(op, in[i].op, 2);
				memcpy(op + 2, form[k].byte, form[k].len);
				op[2] |= in[i].reg << 3;
				t_exec_set(&x, &prefix[j], op, 2 + form[k].len);
				x.gpr[VMM_RBX] = x.gpr[VMM_RSI] = x.gpr[VMM_RBP] = form[k].rbx;
				*data = 0xffe8 | (variant->mode != T_REAL);
				t_exec(self->v, &x);
				EXPECT_TRUE(t_exec_completed(&x)) {
					TH_LOG("%s: %s", in[i].name, t_exec_text(&x));
					bad++;
				}
				if (in[i].reg == 6)
					EXPECT_EQ(8 | (variant->mode != T_REAL), x.sout.cr0 & 0xf)
						TH_LOG("%s: %s", in[i].name, t_exec_text(&x));
				if (in[i].reg == 4)
					EXPECT_EQ(x.sout.cr0 & 0xffff, *data)
					TH_LOG("%s: %s", in[i].name, t_exec_text(&x));
			}
		}
	}
}

/* an instruction across two pages, at every split; with paging the pages are not neighbours */
TEST_F(insn, across_pages)
{
	unsigned int i, split;
	bool paged = variant->mode >= T_PG32;

	for (i = 0; i < 3; i++) {
		const struct insn *in = &insns[i];

		for (split = 1; split < 8; split++) {
			struct t_exec x = { .mode = variant->mode };
			uint8_t code[64];

			memset(x.bytes, 0x2e, 8);
			memcpy(x.bytes + 6, in->op, 2);
			x.len = 8;
			x.at = (paged ? T_WINDOW : T_XCODE & ~0xfffull) + 0x1000 - split;
			in->setup(self->v, &x);
			if (!paged) {
				t_exec(self->v, &x);
				EXPECT_TRUE(t_exec_completed(&x))
				TH_LOG("%s, %u bytes before: %s", in->name, split, t_exec_text(&x));
				continue;
			}
			/* what t_exec() would load lies at two places */
			memset(code, 0xf4, sizeof(code));
			memcpy(code, x.bytes, x.len);
			t_load(self->vm, T_FREE + 0x1000 - split, code, split);
			t_load(self->vm, T_FREE + 0x5000, code + split, sizeof(code) - split);
			t_set_mode(self->v, variant->mode);
			t_pte(self->vm, 0, T_FREE | 3);
			t_pte(self->vm, 1, (T_FREE + 0x5000) | 3);
			t_pte32(self->vm, 0, T_FREE | 3);
			t_pte32(self->vm, 1, (T_FREE + 0x5000) | 3);
			{
				struct vmm_regs r = { .rip = x.at, .rflags = 2 };
				int e;

				memcpy(r.gpr, x.gpr, sizeof(r.gpr));
				r.gpr[VMM_RSP] = T_STACK;
				t_set_regs(self->v, &r);
				e = t_run(self->v);
				t_get_regs(self->v, &r);
				EXPECT_EQ(VMM_EXIT_HALT, e);
				EXPECT_EQ(x.at + x.len + 1, r.rip)
				TH_LOG("%s, %u bytes before the boundary, %s", in->name, split,
				       t_mode_name[variant->mode]);
			}
		}
	}
}

/* RFLAGS.TF: a trap after the instruction, also where it was executed by the hypervisor */
TEST_F(insn, single_step)
{
	static const char *const stepped[] = {"CPUID", "RDMSR", "WRMSR",  "WBINVD",
					      "CLTS",  "RDTSC", "SMSW BX"};
	struct vmm_debugregs dr;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(insns); i++) {
		for (j = 0; j < ARRAY_SIZE(stepped); j++) {
			struct t_exec x = { .mode = variant->mode, .rflags = 0x100, .dr7 = 0x400 };

			if (strcmp(insns[i].name, stepped[j]))
				continue;
			t_exec_set(&x, &(struct t_prefix){ .len = 0 }, insns[i].op, insns[i].len);
			if (insns[i].setup)
				insns[i].setup(self->v, &x);
			t_exec(self->v, &x);
			EXPECT_EQ(1, x.vector) TH_LOG("%s: %s", insns[i].name, t_exec_text(&x));
			EXPECT_EQ(T_XCODE + x.len, x.fault_rip)
			TH_LOG("%s: %s", insns[i].name, t_exec_text(&x));
			ASSERT_OK(t_get(self->v->fd, VMM_STATE_DEBUGREGS, &dr, sizeof(dr)));
			EXPECT_EQ(0x4000, dr.dr6 & 0x4000)
			TH_LOG("%s: DR6 0x%llx", insns[i].name, dr.dr6);
		}
	}
}

/* what depends on a CPUID bit: there with it, #UD without */
TEST(by_cpuid)
{
	static const struct {
		const char *name;
		uint8_t op[4];
		unsigned int len;
		uint32_t leaf;
		int reg;
		unsigned int bit;
	} in[] = {
		{ "MONITOR", { 0x0f, 0x01, 0xc8 }, 3, 1, 2, 3 },
		{ "MWAIT", { 0x0f, 0x01, 0xc9 }, 3, 1, 2, 3 },
		{ "MONITORX", { 0x0f, 0x01, 0xfa }, 3, 0x80000001, 2, 29 },
		{ "MWAITX", { 0x0f, 0x01, 0xfb }, 3, 0x80000001, 2, 29 },
		{ "RDTSCP", { 0x0f, 0x01, 0xf9 }, 3, 0x80000001, 3, 27 },
	};
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(in); i++) {
		struct t_exec x = { .mode = T_LONG, .len = in[i].len, .gpr[VMM_RAX] = T_XDATA };
		bool offered = t_cpuid_bit(in[i].leaf, 0, in[i].reg, in[i].bit);

		memcpy(x.bytes, in[i].op, in[i].len);
		t_exec(v, &x);
		if (offered) {
			EXPECT_TRUE(t_exec_completed(&x))
			TH_LOG("%s is offered: %s", in[i].name, t_exec_text(&x));
		} else {
			EXPECT_EQ(6, x.vector)
			TH_LOG("%s is not offered: %s", in[i].name, t_exec_text(&x));
		}
	}
}

/* XSETBV: what is refused, and what then reads back */
TEST(xsetbv)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	struct vmm_cpuid_entry *e = t_cpuid_supported(&table_nr);
	const struct vmm_cpuid_entry *d = t_cpuid_find(e, table_nr, 13, 0);
	uint64_t offered = d ? d->eax | (uint64_t)d->edx << 32 : 0;
	const struct {
		uint64_t value;
		uint32_t index;
		uint64_t cr4;
		int vector;
	} c[] = {
		{ 1, 0, 1u << 18, -1 },
		{ 3, 0, 1u << 18, -1 },
		{ 7, 0, 1u << 18, offered & 4 ? -1 : 13 },
		{ 0, 0, 1u << 18, 13 },
		{ 2, 0, 1u << 18, 13 },
		{ 5, 0, 1u << 18, 13 },
		{ 1ull << 63 | 3, 0, 1u << 18, 13 },
		{ 3 | 1ull << 40, 0, 1u << 18, 13 },
		{ 3, 1, 1u << 18, 13 },
		{ 3, 0, 0, 6 },
	};
	unsigned int i;

	if (!t_cpuid_bit(1, 0, 2, 26))
		SKIP(return, "XSAVE is not offered");
	ASSERT_EQ(3, offered & 3);
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		struct t_exec x = {
			.mode = T_LONG, .bytes = {0x0f, 0x01, 0xd1}, .len = 3, .cr4_set = c[i].cr4};
		struct vmm_xcrs before = { 0 }, after = { 0 };

		ASSERT_OK(t_get(v->fd, VMM_STATE_XCRS, &before, sizeof(before)));
		x.gpr[VMM_RAX] = (uint32_t)c[i].value;
		x.gpr[VMM_RDX] = c[i].value >> 32;
		x.gpr[VMM_RCX] = c[i].index;
		t_exec(v, &x);
		ASSERT_OK(t_get(v->fd, VMM_STATE_XCRS, &after, sizeof(after)));
		EXPECT_EQ(c[i].vector, x.vector)
		TH_LOG("XCR%u = 0x%lx: %s", c[i].index, c[i].value, t_exec_text(&x));
		EXPECT_EQ(c[i].vector < 0 ? c[i].value : before.xcr0, after.xcr0)
		TH_LOG("XCR%u = 0x%lx", c[i].index, c[i].value);
	}
}

/* addresses that are not canonical: MSRs and table registers refuse them with #GP */
TEST(canonical)
{
	static const uint32_t msr[] = {0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102};
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(msr); i++) {
		struct t_exec x = { .mode = T_LONG, .bytes = { 0x0f, 0x30 }, .len = 2 };

		x.gpr[VMM_RCX] = msr[i];
		x.gpr[VMM_RDX] = 0x12345678;
		t_exec(v, &x);
		/* the processor's own business, which QEMU leaves undone, here and below */
		if (x.vector < 0 && t_emulated())
			continue;
		EXPECT_EQ(13, x.vector) TH_LOG("MSR 0x%x: %s", msr[i], t_exec_text(&x));
		x.gpr[VMM_RDX] = 0xffff8000;
		x.gpr[VMM_RAX] = 0x1000;
		t_exec(v, &x);
		EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("MSR 0x%x: %s", msr[i], t_exec_text(&x));
	}
	for (i = 2; i < 4; i++) {	/* LGDT, LIDT m */
		struct t_exec x = {.mode = T_LONG, .bytes = {0x0f, 0x01, 0x03 | i << 3}, .len = 3};
		uint8_t *m = t_gpa(vm, T_XDATA, 10);

		memset(m, 0, 10);
		m[9] = 0x12;
		x.gpr[VMM_RBX] = T_XDATA;
		t_exec(v, &x);
		if (x.vector < 0 && t_emulated())
			continue;
		EXPECT_EQ(13, x.vector) TH_LOG("%s: %s", i == 2 ? "LGDT" : "LIDT", t_exec_text(&x));
	}
}

VMM_TEST_MAIN
