// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder by tables: every intercepted instruction with every combination of prefixes, cut
 * short, and filled up to 15 and 16 bytes. What is legal is written down here by hand from the
 * manuals, apart from the decoder's own tables.
 */
#include <stdint.h>

#include "../unit.h"
#include "emulate.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define M_REAL	(1 << VMM_EM_REAL | 1 << VMM_EM_VM86)
#define M_16	(1 << VMM_EM_PROT16)
#define M_32	(1 << VMM_EM_PROT32)
#define M_64	(1 << VMM_EM_LONG64)
#define M_LEG	(M_REAL | M_16 | M_32)
#define M_PROT	(M_16 | M_32 | M_64)
#define M_ALL	(M_REAL | M_PROT)

/* Which of 66, F2, F3 the instruction takes: bits by pfx */
#define T_NONE	0x1
#define T_66	0x2
#define T_F2	0x4
#define T_F3	0x8
#define T_66F2	0x10
#define T_66F3	0x20
#define T_ANY	0x3f
#define T_NP	T_NONE
#define T_ONLY66 T_66

struct known {
	const char *name;
	u8 op;
	u8 len;
	u8 bytes[6];
	u8 modes;
	u8 takes;
};

#define K(_op, _modes, _takes, ...) \
	{ #_op, VMM_EM_OP_##_op, sizeof((u8[]){ __VA_ARGS__ }), { __VA_ARGS__ }, _modes, _takes }

static const struct known known[] = {
	K(CPUID, M_ALL, T_ANY, 0x0f, 0xa2),
	K(RDMSR, M_ALL, T_ANY, 0x0f, 0x32),
	K(WRMSR, M_ALL, T_ANY, 0x0f, 0x30),
	K(RDTSC, M_ALL, T_ANY, 0x0f, 0x31),
	K(RDTSCP, M_ALL, T_ANY, 0x0f, 0x01, 0xf9),
	K(RDPMC, M_ALL, T_ANY, 0x0f, 0x33),
	K(RDRAND, M_ALL, T_NONE | T_66, 0x0f, 0xc7, 0xf0),
	K(RDSEED, M_ALL, T_NONE | T_66, 0x0f, 0xc7, 0xff),
	K(HLT, M_ALL, T_ANY, 0xf4),
	K(INVD, M_ALL, T_ANY, 0x0f, 0x08),
	K(WBINVD, M_ALL, T_ANY, 0x0f, 0x09),
	K(INVLPG, M_ALL, T_ANY, 0x0f, 0x01, 0x3f),
	K(INVLPGA, M_PROT, T_ANY, 0x0f, 0x01, 0xdf),
	K(INVPCID, M_ALL, T_ONLY66, 0x0f, 0x38, 0x82, 0x07),
	K(INVEPT, M_PROT, T_ONLY66, 0x0f, 0x38, 0x80, 0x07),
	K(INVVPID, M_PROT, T_ONLY66, 0x0f, 0x38, 0x81, 0x07),
	K(VMMCALL, M_ALL, T_ANY, 0x0f, 0x01, 0xd9),
	K(VMRUN, M_PROT, T_ANY, 0x0f, 0x01, 0xd8),
	K(VMLOAD, M_PROT, T_ANY, 0x0f, 0x01, 0xda),
	K(VMSAVE, M_PROT, T_ANY, 0x0f, 0x01, 0xdb),
	K(STGI, M_PROT, T_ANY, 0x0f, 0x01, 0xdc),
	K(CLGI, M_PROT, T_ANY, 0x0f, 0x01, 0xdd),
	K(SKINIT, M_PROT, T_ANY, 0x0f, 0x01, 0xde),
	K(VMCALL, M_ALL, T_NP, 0x0f, 0x01, 0xc1),
	K(VMLAUNCH, M_PROT, T_NP, 0x0f, 0x01, 0xc2),
	K(VMRESUME, M_PROT, T_NP, 0x0f, 0x01, 0xc3),
	K(VMXOFF, M_PROT, T_NP, 0x0f, 0x01, 0xc4),
	K(VMFUNC, M_ALL, T_NP, 0x0f, 0x01, 0xd4),
	K(VMPTRLD, M_PROT, T_NONE, 0x0f, 0xc7, 0x37),
	K(VMCLEAR, M_PROT, T_66, 0x0f, 0xc7, 0x37),
	K(VMXON, M_PROT, T_F3 | T_66F3, 0x0f, 0xc7, 0x37),
	K(VMPTRST, M_PROT, T_NP, 0x0f, 0xc7, 0x3f),
	K(VMREAD, M_PROT, T_NP, 0x0f, 0x78, 0x07),
	K(VMREAD, M_PROT, T_NP, 0x0f, 0x78, 0xd1),
	K(VMWRITE, M_PROT, T_NP, 0x0f, 0x79, 0x07),
	K(VMWRITE, M_PROT, T_NP, 0x0f, 0x79, 0xd1),
	K(MONITOR, M_ALL, T_NP, 0x0f, 0x01, 0xc8),
	K(MWAIT, M_ALL, T_NP, 0x0f, 0x01, 0xc9),
	K(MONITORX, M_ALL, T_NP, 0x0f, 0x01, 0xfa),
	K(MWAITX, M_ALL, T_NP, 0x0f, 0x01, 0xfb),
	K(PAUSE, M_ALL, T_F3 | T_66F3, 0x90),
	K(XSETBV, M_ALL, T_NP, 0x0f, 0x01, 0xd1),
	K(XGETBV, M_ALL, T_NP, 0x0f, 0x01, 0xd0),
	K(RSM, M_ALL, T_ANY, 0x0f, 0xaa),
	K(CLTS, M_ALL, T_ANY, 0x0f, 0x06),
	K(LMSW, M_ALL, T_ANY, 0x0f, 0x01, 0xf3),
	K(LMSW, M_ALL, T_ANY, 0x0f, 0x01, 0x37),
	K(SMSW, M_ALL, T_ANY, 0x0f, 0x01, 0xe3),
	K(SMSW, M_ALL, T_ANY, 0x0f, 0x01, 0x27),
	K(SGDT, M_ALL, T_ANY, 0x0f, 0x01, 0x07),
	K(SIDT, M_ALL, T_ANY, 0x0f, 0x01, 0x0f),
	K(LGDT, M_ALL, T_ANY, 0x0f, 0x01, 0x17),
	K(LIDT, M_ALL, T_ANY, 0x0f, 0x01, 0x1f),
	K(SLDT, M_PROT, T_ANY, 0x0f, 0x00, 0x07),
	K(SLDT, M_PROT, T_ANY, 0x0f, 0x00, 0xc0),
	K(STR, M_PROT, T_ANY, 0x0f, 0x00, 0x0f),
	K(STR, M_PROT, T_ANY, 0x0f, 0x00, 0xc9),
	K(LLDT, M_PROT, T_ANY, 0x0f, 0x00, 0x17),
	K(LLDT, M_PROT, T_ANY, 0x0f, 0x00, 0xd2),
	K(LTR, M_PROT, T_ANY, 0x0f, 0x00, 0x1f),
	K(LTR, M_PROT, T_ANY, 0x0f, 0x00, 0xdb),
	K(MOV_CR, M_ALL, T_ANY, 0x0f, 0x20, 0xc0),
	K(MOV_CR, M_ALL, T_ANY, 0x0f, 0x22, 0xe3),
	K(MOV_CR, M_ALL, T_ANY, 0x0f, 0x22, 0x1f),
	K(MOV_DR, M_ALL, T_ANY, 0x0f, 0x21, 0xf8),
	K(MOV_DR, M_ALL, T_ANY, 0x0f, 0x23, 0xe1),
	K(IN, M_ALL, T_ANY, 0xe4, 0x61),
	K(IN, M_ALL, T_ANY, 0xe5, 0xff),
	K(IN, M_ALL, T_ANY, 0xec),
	K(IN, M_ALL, T_ANY, 0xed),
	K(OUT, M_ALL, T_ANY, 0xe6, 0x80),
	K(OUT, M_ALL, T_ANY, 0xe7, 0x01),
	K(OUT, M_ALL, T_ANY, 0xee),
	K(OUT, M_ALL, T_ANY, 0xef),
	K(INS, M_ALL, T_ANY, 0x6c),
	K(INS, M_ALL, T_ANY, 0x6d),
	K(OUTS, M_ALL, T_ANY, 0x6e),
	K(OUTS, M_ALL, T_ANY, 0x6f),
	K(INT, M_ALL, T_ANY, 0xcd, 0x80),
	K(INT3, M_ALL, T_ANY, 0xcc),
	K(INTO, M_LEG, T_ANY, 0xce),
	K(ICEBP, M_ALL, T_ANY, 0xf1),
	K(IRET, M_ALL, T_ANY, 0xcf),
	K(JMPF, M_ALL, T_ANY, 0xff, 0x2f),
	K(CALLF, M_ALL, T_ANY, 0xff, 0x1f),
	K(PUSHF, M_ALL, T_ANY, 0x9c),
	K(POPF, M_ALL, T_ANY, 0x9d),
	K(CLAC, M_ALL, T_NP, 0x0f, 0x01, 0xca),
	K(STAC, M_ALL, T_NP, 0x0f, 0x01, 0xcb),
	K(SWAPGS, M_64, T_ANY, 0x0f, 0x01, 0xf8),
	K(UD, M_ALL, T_ANY, 0x0f, 0x0b),
	K(UD, M_ALL, T_ANY, 0x0f, 0xb9, 0xc0),
	K(UD, M_ALL, T_ANY, 0x0f, 0xff, 0x07),
};

static const char *hex(const u8 *bytes, unsigned int len)
{
	static char buf[64];
	unsigned int i;

	for (i = 0; i < len && i < 20; i++)
		sprintf(buf + 3 * i, "%02x ", bytes[i]);
	return buf;
}

static int decode(struct vmm_em_insn *insn, const u8 *bytes, unsigned int len, unsigned int mode)
{
	/* an exact copy, so that the sanitizer sees a read past the end */
	u8 copy[len ? len : 1];

	memcpy(copy, bytes, len);
	return vmm_em_decode(insn, copy, len, mode);
}

static void check_known(const struct known *k, const u8 *bytes, unsigned int len, unsigned int mode,
			int want)
{
	struct vmm_em_insn insn;
	int got = decode(&insn, bytes, len, mode);

	if (want == VMM_EM_OK) {
		if (got || insn.op != k->op || insn.length != len)
			FAIL("%s mode %u: %s: got %d op %u length %u", k->name, mode,
			     hex(bytes, len), got, insn.op, insn.length);
	} else if (want == VMM_EM_UD) {
		/* another instruction of the same opcode with this mandatory prefix, or refused */
		if (got != VMM_EM_UD && got != VMM_EM_UNKNOWN && !(got == 0 && insn.op != k->op))
			FAIL("%s mode %u: %s: got %d op %u, want #UD", k->name, mode,
			     hex(bytes, len), got, insn.op);
	} else if (got != want) {
		FAIL("%s mode %u: %s: got %d, want %d", k->name, mode, hex(bytes, len), got, want);
	}
}

/* One set of prefixes before one instruction */
static void check_prefixes(const struct known *k, unsigned int mode, unsigned int take,
			   unsigned int seg, bool addr, unsigned int rex)
{
	static const u8 segs[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	bool legal = (k->modes >> mode & 1) && (k->takes >> take & 1);
	u8 bytes[24];
	unsigned int n = 0, cut;

	if (seg)
		bytes[n++] = segs[seg - 1];
	if (take == 1 || take == 4 || take == 5)
		bytes[n++] = 0x66;
	if (addr)
		bytes[n++] = 0x67;
	if (take == 2 || take == 4)
		bytes[n++] = 0xf2;
	if (take == 3 || take == 5)
		bytes[n++] = 0xf3;
	if (rex)
		bytes[n++] = 0x40 + rex - 1;

	/* REX.R makes CR0 CR8 and leaves no DR; and CR4 CR12, CR3 CR11 */
	if (rex && ((rex - 1) & 4)) {
		if (k->op == VMM_EM_OP_MOV_DR || (k->op == VMM_EM_OP_MOV_CR && k->bytes[1] != 0x20))
			legal = false;
	}

	/* with REX.B it is XCHG */
	if (rex && ((rex - 1) & 1) && k->op == VMM_EM_OP_PAUSE)
		legal = false;

	memcpy(bytes + n, k->bytes, k->len);
	n += k->len;
	check_known(k, bytes, n, mode, legal ? VMM_EM_OK : VMM_EM_UD);
	if (!legal)
		return;
	for (cut = 0; cut < n; cut++)
		check_known(k, bytes, cut, mode, VMM_EM_MORE);
}

static void check_all_prefixes(const struct known *k, unsigned int mode)
{
	unsigned int rexes = mode == VMM_EM_LONG64 ? 17 : 1;
	unsigned int take, seg, addr, rex;

	for (take = 0; take < 6; take++)
		for (seg = 0; seg < 7; seg++)
			for (addr = 0; addr < 2; addr++)
				for (rex = 0; rex < rexes; rex++)
					check_prefixes(k, mode, take, seg, addr, rex);
}

UNIT_TEST(intercepted_instructions_with_all_prefixes)
{
	unsigned int i, mode;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		for (mode = VMM_EM_REAL; mode <= VMM_EM_LONG64; mode++)
			check_all_prefixes(&known[i], mode);
}

/* Segment prefixes repeated: 15 bytes are legal, 16 are not, however many are at hand */
UNIT_TEST(intercepted_instructions_up_to_15_bytes)
{
	unsigned int i, mode, len;
	u8 bytes[32];

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		const struct known *k = &known[i];
		u8 first = k->takes & T_NONE ? 0x2e : k->takes & T_66 ? 0x66 : 0xf3;

		for (mode = VMM_EM_REAL; mode <= VMM_EM_LONG64; mode++) {
			if (!(k->modes >> mode & 1))
				continue;
			for (len = k->len + 1; len <= 18; len++) {
				memset(bytes, first, len - k->len);
				memcpy(bytes + len - k->len, k->bytes, k->len);
				check_known(k, bytes, len, mode,
					    len <= 15 ? VMM_EM_OK : VMM_EM_TOO_LONG);
			}
		}
	}
}

UNIT_TEST(lock_before_intercepted_instructions)
{
	struct vmm_em_insn insn;
	unsigned int i, mode;
	u8 bytes[16];

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		const struct known *k = &known[i];

		for (mode = VMM_EM_REAL; mode <= VMM_EM_LONG64; mode++) {
			unsigned int n = 0;
			int got;

			bytes[n++] = 0xf0;
			if (!(k->takes & T_NONE))
				bytes[n++] = k->takes & T_66 ? 0x66 : 0xf3;
			memcpy(bytes + n, k->bytes, k->len);
			got = decode(&insn, bytes, n + k->len, mode);
			if (k->op == VMM_EM_OP_MOV_CR && k->bytes[2] == 0xc0)
				EXPECT_EQ(got, VMM_EM_OK);
			else if (got != VMM_EM_UD)
				FAIL("lock %s mode %u: got %d", k->name, mode, got);
		}
	}
}

UNIT_TEST(control_and_debug_registers)
{
	static const bool valid[16] = {
		[0] = true, [2] = true, [3] = true, [4] = true, [8] = true,
	};
	struct vmm_em_insn insn;
	unsigned int cr, gpr, mod;

	for (cr = 0; cr < 16; cr++) {
		for (gpr = 0; gpr < 16; gpr++) {
			for (mod = 0; mod < 4; mod++) {
				u8 bytes[4] = { 0x40 | (cr & 8) >> 1 | gpr >> 3, 0x0f, 0x20,
						mod << 6 | (cr & 7) << 3 | (gpr & 7) };
				int want = valid[cr] ? VMM_EM_OK : VMM_EM_UD;

				ASSERT_EQ(decode(&insn, bytes, 4, VMM_EM_LONG64), want);
				if (valid[cr]) {
					EXPECT_EQ(insn.src.kind, VMM_EM_K_CR);
					EXPECT_EQ(insn.src.reg, cr);
					EXPECT_EQ(insn.dst.reg, gpr);
					EXPECT_EQ(insn.dst.size, 8);
					EXPECT_EQ(insn.length, 4);
				}
				bytes[2] = 0x22;
				ASSERT_EQ(decode(&insn, bytes, 4, VMM_EM_LONG64), want);
				if (valid[cr]) {
					EXPECT_EQ(insn.dst.kind, VMM_EM_K_CR);
					EXPECT_EQ(insn.dst.reg, cr);
					EXPECT_EQ(insn.src.reg, gpr);
				}
				bytes[2] = 0x23;
				ASSERT_EQ(decode(&insn, bytes, 4, VMM_EM_LONG64),
					  cr < 8 ? VMM_EM_OK : VMM_EM_UD);
				if (cr < 8) {
					EXPECT_EQ(insn.dst.kind, VMM_EM_K_DR);
					EXPECT_EQ(insn.dst.reg, cr);
				}
			}
		}
	}

	/* LOCK MOV CR0 is MOV CR8, in every mode */
	for (mod = VMM_EM_REAL; mod <= VMM_EM_LONG64; mod++) {
		ASSERT_EQ(decode(&insn, (u8[]){ 0xf0, 0x0f, 0x20, 0xc3 }, 4, mod), VMM_EM_OK);
		EXPECT_EQ(insn.src.reg, 8);
		EXPECT_EQ(insn.dst.reg, 3);
		EXPECT_EQ(insn.dst.size, mod == VMM_EM_LONG64 ? 8 : 4);
		ASSERT_EQ(decode(&insn, (u8[]){ 0xf0, 0x0f, 0x22, 0xc3 }, 4, mod), VMM_EM_OK);
		EXPECT_EQ(insn.dst.reg, 8);
		EXPECT_EQ(decode(&insn, (u8[]){ 0xf0, 0x0f, 0x22, 0xdb }, 4, mod), VMM_EM_UD);
	}
}

UNIT_TEST(ports)
{
	struct vmm_em_insn insn;

	ASSERT_EQ(decode(&insn, (u8[]){ 0xe4, 0xf8 }, 2, VMM_EM_REAL), 0);
	EXPECT_EQ(insn.src.kind, VMM_EM_K_IMM);
	EXPECT_EQ(insn.imm, 0xf8);
	EXPECT_EQ(insn.op_size, 1);
	EXPECT_EQ(vmm_em_access(&insn), VMM_EM_ACC_PORT_IN);

	ASSERT_EQ(decode(&insn, (u8[]){ 0x66, 0xef }, 2, VMM_EM_REAL), 0);
	EXPECT_EQ(insn.op_size, 4);
	EXPECT_EQ(insn.dst.kind, VMM_EM_K_GPR);
	EXPECT_EQ(insn.dst.reg, VMM_EM_RDX);
	EXPECT_EQ(vmm_em_access(&insn), VMM_EM_ACC_PORT_OUT);

	/* REX.W does not make ports wider */
	ASSERT_EQ(decode(&insn, (u8[]){ 0x48, 0xed }, 2, VMM_EM_LONG64), 0);
	EXPECT_EQ(insn.op_size, 4);
	ASSERT_EQ(decode(&insn, (u8[]){ 0xf3, 0x48, 0x6d }, 3, VMM_EM_LONG64), 0);
	EXPECT_EQ(insn.op_size, 4);
	EXPECT_EQ(insn.rep, 0xf3);
	EXPECT_EQ(insn.addr_size, 8);

	ASSERT_EQ(decode(&insn, (u8[]){ 0x67, 0x64, 0xf3, 0x6f }, 4, VMM_EM_PROT32), 0);
	EXPECT_EQ(insn.op, VMM_EM_OP_OUTS);
	EXPECT_EQ(insn.op_size, 4);
	EXPECT_EQ(insn.addr_size, 2);
	EXPECT_EQ(insn.seg, VMM_EM_FS);
	EXPECT_EQ(vmm_em_access(&insn), VMM_EM_ACC_PORT_OUT | VMM_EM_ACC_READ);
}

/* REX counts only right before the opcode */
UNIT_TEST(rex_before_a_legacy_prefix_is_void)
{
	struct vmm_em_insn insn;

	ASSERT_EQ(decode(&insn, (u8[]){ 0x48, 0x66, 0x89, 0x00 }, 4, VMM_EM_LONG64), 0);
	EXPECT_EQ(insn.op_size, 2);
	EXPECT_EQ(insn.length, 4);
	ASSERT_EQ(decode(&insn, (u8[]){ 0x66, 0x48, 0x89, 0x00 }, 4, VMM_EM_LONG64), 0);
	EXPECT_EQ(insn.op_size, 8);
	ASSERT_EQ(decode(&insn, (u8[]){ 0x4f, 0x40, 0x88, 0x20 }, 4, VMM_EM_LONG64), 0);
	EXPECT_EQ(insn.src.kind, VMM_EM_K_GPR);
	EXPECT_EQ(insn.src.reg, VMM_EM_RSP);
	EXPECT_EQ(insn.base, VMM_EM_RAX);
}

UNIT_TEST(lock_legality)
{
	static const struct {
		u8 len;
		u8 bytes[6];
		int want;
	} t[] = {
		{ 2, { 0x01, 0x07 }, VMM_EM_OK },	/* ADD [di], ax */
		{ 2, { 0x01, 0xc7 }, VMM_EM_UD },	/* register */
		{ 2, { 0x03, 0x07 }, VMM_EM_UD },	/* memory is the source */
		{ 2, { 0x39, 0x07 }, VMM_EM_UD },	/* CMP */
		{ 3, { 0x80, 0x3f, 1 }, VMM_EM_UD },
		{ 3, { 0x83, 0x07, 1 }, VMM_EM_OK },
		{ 2, { 0x85, 0x07 }, VMM_EM_UD },	/* TEST */
		{ 2, { 0x87, 0x07 }, VMM_EM_OK },	/* XCHG */
		{ 2, { 0x89, 0x07 }, VMM_EM_UD },	/* MOV */
		{ 2, { 0xd1, 0x27 }, VMM_EM_UD },	/* SHL */
		{ 2, { 0xf7, 0x17 }, VMM_EM_OK },	/* NOT */
		{ 2, { 0xf7, 0x1f }, VMM_EM_OK },	/* NEG */
		{ 2, { 0xff, 0x07 }, VMM_EM_OK },	/* INC */
		{ 2, { 0xfe, 0x0f }, VMM_EM_OK },	/* DEC */
		{ 2, { 0xff, 0x37 }, VMM_EM_UD },	/* PUSH */
		{ 3, { 0x0f, 0xa3, 0x07 }, VMM_EM_UD },	/* BT */
		{ 3, { 0x0f, 0xab, 0x07 }, VMM_EM_OK },	/* BTS */
		{ 4, { 0x0f, 0xba, 0x27, 1 }, VMM_EM_UD },
		{ 4, { 0x0f, 0xba, 0x3f, 1 }, VMM_EM_OK },
		{ 3, { 0x0f, 0xb1, 0x07 }, VMM_EM_OK },	/* CMPXCHG */
		{ 3, { 0x0f, 0xc1, 0x07 }, VMM_EM_OK },	/* XADD */
		{ 3, { 0x0f, 0xc7, 0x0f }, VMM_EM_OK },	/* CMPXCHG8B */
		{ 3, { 0x0f, 0xb6, 0x07 }, VMM_EM_UD },	/* MOVZX */
		{ 1, { 0xa4 }, VMM_EM_UD },		/* MOVS */
		{ 3, { 0x0f, 0x1f, 0x07 }, VMM_EM_UD },	/* NOP */
	};
	unsigned int i, mode;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		for (mode = VMM_EM_REAL; mode <= VMM_EM_LONG64; mode++) {
			struct vmm_em_insn insn;
			u8 bytes[8] = { 0xf0 };
			int got;

			memcpy(bytes + 1, t[i].bytes, t[i].len);
			got = decode(&insn, bytes, t[i].len + 1, mode);
			if (got != t[i].want || (!got && !insn.lock))
				FAIL("%s mode %u: got %d", hex(bytes, t[i].len + 1), mode, got);
		}
	}
}

UNIT_TEST(refused)
{
	static const struct {
		u8 len;
		u8 bytes[6];
	} t[] = {
		{ 3, { 0x0f, 0xae, 0x07 } },		/* FXSAVE */
		{ 3, { 0x0f, 0x10, 0x07 } },		/* MOVUPS */
		{ 3, { 0x0f, 0x6f, 0x07 } },		/* MOVQ */
		{ 4, { 0xf3, 0x0f, 0x7f, 0x07 } },	/* MOVDQU */
		{ 4, { 0xc5, 0xfa, 0x6f, 0x07 } },	/* VMOVDQU */
		{ 6, { 0x62, 0xf1, 0x7c, 0x48, 0x10, 0x07 } },
		{ 2, { 0xd9, 0x07 } },			/* FLD */
		{ 5, { 0x8f, 0xe9, 0x78, 0x12, 0xc0 } },	/* XOP */
		{ 2, { 0xff, 0x17 } },			/* CALL */
		{ 2, { 0xf7, 0x27 } },			/* MUL */
		{ 2, { 0x8d, 0x07 } },			/* LEA */
		{ 3, { 0xc6, 0xf8, 0x00 } },		/* XABORT */
	};
	struct vmm_em_insn insn;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t); i++)
		if (decode(&insn, t[i].bytes, t[i].len, VMM_EM_LONG64) != VMM_EM_UNKNOWN)
			FAIL("not refused: %s", hex(t[i].bytes, t[i].len));
}

/* Every first two bytes in every mode: nothing is read beyond the length, which ASan watches */
UNIT_TEST(all_short_inputs)
{
	unsigned int b, len, mode;

	for (b = 0; b < 0x10000; b++) {
		for (len = 0; len <= 2; len++) {
			for (mode = VMM_EM_REAL; mode <= VMM_EM_LONG64; mode++) {
				u8 bytes[2] = { b, b >> 8 };
				struct vmm_em_insn insn;
				int got = decode(&insn, bytes, len, mode);

				if (!len)
					EXPECT_EQ(got, VMM_EM_MORE);
				if (!got)
					EXPECT(insn.length >= 1 && insn.length <= len);
			}
		}
	}
}

UNIT_MAIN()
