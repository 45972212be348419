/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Opcode maps of the instruction decoder. Private to emulate_decode.c.
 *
 * An entry of zeros is an opcode that is not decoded. The six encodings of ADD..CMP at 0x00-0x3d
 * and the groups whose operation is a function of ModRM.reg are resolved by code.
 */
#ifndef VMM_EMULATE_TABLES_H
#define VMM_EMULATE_TABLES_H

/* Operands of an encoding: destination first */
enum em_form {
	EM_F_NONE,	/* nothing but the opcode */
	EM_F_RM_REG,	/* ModRM.rm, ModRM.reg */
	EM_F_REG_RM,	/* ModRM.reg, ModRM.rm */
	EM_F_RM,	/* ModRM.rm */
	EM_F_RM_SRC,	/* ModRM.rm, only read */
	EM_F_RM_IMM,	/* ModRM.rm, immediate of operand size (4 bytes at most) */
	EM_F_RM_IMM8,	/* ModRM.rm, sign-extended byte */
	EM_F_RM_U8,	/* ModRM.rm, zero-extended byte */
	EM_F_RM_ONE,	/* ModRM.rm, 1 */
	EM_F_RM_CL,	/* ModRM.rm, CL */
	EM_F_ACC_IMM,	/* rAX, immediate of operand size */
	EM_F_ACC_MOFFS,	/* rAX, absolute offset */
	EM_F_MOFFS_ACC,	/* absolute offset, rAX */
	EM_F_RM_SREG,	/* ModRM.rm, segment register */
	EM_F_SREG_RM,	/* segment register, ModRM.rm */
	EM_F_GPR_CR,	/* ModRM.rm is a register whatever ModRM.mod says */
	EM_F_CR_GPR,
	EM_F_GPR_DR,
	EM_F_DR_GPR,
	EM_F_IMM8,	/* zero-extended byte */
	EM_F_DI_SI,	/* string operands */
	EM_F_SI_DI,
	EM_F_DI_ACC,
	EM_F_ACC_SI,
	EM_F_ACC_DI,
	EM_F_DI_DX,
	EM_F_DX_SI,
	EM_F_ACC_PORT8,	/* ports: by byte, by DX */
	EM_F_PORT8_ACC,
	EM_F_ACC_DX,
	EM_F_DX_ACC,
	EM_F_FAR,	/* offset of operand size, selector */
	EM_F_FAR_MEM,	/* both at ModRM.rm */
};

/* ModRM.reg (and mod) select among instructions; the value stands in the field op */
enum em_group {
	EM_G_ALU,	/* 80-83 */
	EM_G_SHIFT,	/* C0, C1, D0-D3 */
	EM_G_BT,	/* 0F BA */
	EM_G_POP,	/* 8F */
	EM_G_MOV,	/* C6, C7 */
	EM_G_UNARY,	/* F6, F7 */
	EM_G_INCDEC8,	/* FE */
	EM_G_INCDEC,	/* FF */
	EM_G_0F00,
	EM_G_0F01,
	EM_G_PREFETCH,	/* 0F 18 */
	EM_G_NOP,	/* 0F 1F */
	EM_G_0FAE,
	EM_G_0FC7,
};

#define EM_BYTE		0x0001	/* operand size 1 */
#define EM_LOCK		0x0002	/* LOCK is legal with a memory destination */
#define EM_MEM		0x0004	/* #UD if ModRM.rm is a register */
#define EM_D64		0x0008	/* operand size 8 by default in 64-bit mode, never 4 */
#define EM_MAX4		0x0010	/* operand size 4 at most */
#define EM_NATIVE	0x0020	/* operand size 8 in 64-bit mode, else 4, prefixes ignored */
#define EM_NP		0x0040	/* #UD with 66, F2 or F3 */
#define EM_P66		0x0080	/* needs 66 without F2 and F3 */
#define EM_NO64		0x0100	/* #UD in 64-bit mode */
#define EM_ONLY64	0x0200	/* #UD outside 64-bit mode */
#define EM_PROT		0x0400	/* #UD in real and virtual-8086 mode */
#define EM_WORD		0x0800	/* ModRM.rm is 2 bytes */
#define EM_MEMWORD	0x1000	/* ModRM.rm is 2 bytes if it is memory */
#define EM_GROUP	0x2000	/* op is an enum em_group */
#define EM_NOREP	0x4000	/* #UD with F2 or F3 */
#define EM_BYTESRC	0x8000	/* ModRM.rm is 1 byte */
#define EM_SRC4		0x10000	/* ModRM.rm is 4 bytes in memory, at most 4 else */
#define EM_MIN4		0x20000	/* operand size 8 with REX.W, else 4 */

struct em_opcode {
	u8 op;
	u8 form;
	u32 flags;
};

#define I(_op, _form, _flags) \
	{ .op = VMM_EM_OP_##_op, .form = EM_F_##_form, .flags = (_flags) }
#define G(_group, _form, _flags) \
	{ .op = EM_G_##_group, .form = EM_F_##_form, .flags = (_flags) | EM_GROUP }

/* Low three bits of 0x00-0x3d */
static const struct em_opcode em_alu_forms[8] = {
	[0] = I(NONE, RM_REG, EM_BYTE | EM_LOCK),
	[1] = I(NONE, RM_REG, EM_LOCK),
	[2] = I(NONE, REG_RM, EM_BYTE),
	[3] = I(NONE, REG_RM, 0),
	[4] = I(NONE, ACC_IMM, EM_BYTE),
	[5] = I(NONE, ACC_IMM, 0),
};

static const struct em_opcode em_map_1[256] = {
	[0x63] = I(MOVSX, REG_RM, EM_SRC4),	/* MOVSXD in 64-bit mode, ARPL elsewhere */
	[0x6c] = I(INS, DI_DX, EM_BYTE),
	[0x6d] = I(INS, DI_DX, EM_MAX4),
	[0x6e] = I(OUTS, DX_SI, EM_BYTE),
	[0x6f] = I(OUTS, DX_SI, EM_MAX4),
	[0x80] = G(ALU, RM_IMM, EM_BYTE | EM_LOCK),
	[0x81] = G(ALU, RM_IMM, EM_LOCK),
	[0x82] = G(ALU, RM_IMM, EM_BYTE | EM_LOCK | EM_NO64),
	[0x83] = G(ALU, RM_IMM8, EM_LOCK),
	[0x84] = I(TEST, RM_REG, EM_BYTE),
	[0x85] = I(TEST, RM_REG, 0),
	[0x86] = I(XCHG, RM_REG, EM_BYTE | EM_LOCK),
	[0x87] = I(XCHG, RM_REG, EM_LOCK),
	[0x88] = I(MOV, RM_REG, EM_BYTE),
	[0x89] = I(MOV, RM_REG, 0),
	[0x8a] = I(MOV, REG_RM, EM_BYTE),
	[0x8b] = I(MOV, REG_RM, 0),
	[0x8c] = I(MOV, RM_SREG, EM_MEMWORD),
	[0x8e] = I(MOV, SREG_RM, EM_WORD),
	[0x8f] = G(POP, RM, EM_D64),
	[0x90] = I(NOP, NONE, 0),		/* PAUSE with F3, XCHG with REX.B */
	[0x9a] = I(CALLF, FAR, EM_NO64),
	[0x9c] = I(PUSHF, NONE, EM_D64),
	[0x9d] = I(POPF, NONE, EM_D64),
	[0xa0] = I(MOV, ACC_MOFFS, EM_BYTE),
	[0xa1] = I(MOV, ACC_MOFFS, 0),
	[0xa2] = I(MOV, MOFFS_ACC, EM_BYTE),
	[0xa3] = I(MOV, MOFFS_ACC, 0),
	[0xa4] = I(MOVS, DI_SI, EM_BYTE),
	[0xa5] = I(MOVS, DI_SI, 0),
	[0xa6] = I(CMPS, SI_DI, EM_BYTE),
	[0xa7] = I(CMPS, SI_DI, 0),
	[0xa8] = I(TEST, ACC_IMM, EM_BYTE),
	[0xa9] = I(TEST, ACC_IMM, 0),
	[0xaa] = I(STOS, DI_ACC, EM_BYTE),
	[0xab] = I(STOS, DI_ACC, 0),
	[0xac] = I(LODS, ACC_SI, EM_BYTE),
	[0xad] = I(LODS, ACC_SI, 0),
	[0xae] = I(SCAS, ACC_DI, EM_BYTE),
	[0xaf] = I(SCAS, ACC_DI, 0),
	[0xc0] = G(SHIFT, RM_U8, EM_BYTE),
	[0xc1] = G(SHIFT, RM_U8, 0),
	[0xc6] = G(MOV, RM_IMM, EM_BYTE),
	[0xc7] = G(MOV, RM_IMM, 0),
	[0xcc] = I(INT3, NONE, 0),
	[0xcd] = I(INT, IMM8, 0),
	[0xce] = I(INTO, NONE, EM_NO64),
	[0xcf] = I(IRET, NONE, 0),
	[0xd0] = G(SHIFT, RM_ONE, EM_BYTE),
	[0xd1] = G(SHIFT, RM_ONE, 0),
	[0xd2] = G(SHIFT, RM_CL, EM_BYTE),
	[0xd3] = G(SHIFT, RM_CL, 0),
	[0xe4] = I(IN, ACC_PORT8, EM_BYTE),
	[0xe5] = I(IN, ACC_PORT8, EM_MAX4),
	[0xe6] = I(OUT, PORT8_ACC, EM_BYTE),
	[0xe7] = I(OUT, PORT8_ACC, EM_MAX4),
	[0xea] = I(JMPF, FAR, EM_NO64),
	[0xec] = I(IN, ACC_DX, EM_BYTE),
	[0xed] = I(IN, ACC_DX, EM_MAX4),
	[0xee] = I(OUT, DX_ACC, EM_BYTE),
	[0xef] = I(OUT, DX_ACC, EM_MAX4),
	[0xf1] = I(ICEBP, NONE, 0),
	[0xf4] = I(HLT, NONE, 0),
	[0xf6] = G(UNARY, RM, EM_BYTE),
	[0xf7] = G(UNARY, RM, 0),
	[0xfe] = G(INCDEC8, RM, EM_BYTE),
	[0xff] = G(INCDEC, RM, 0),
};

static const struct em_opcode em_map_0f[256] = {
	[0x00] = G(0F00, RM, EM_PROT),
	[0x01] = G(0F01, RM, 0),
	[0x06] = I(CLTS, NONE, 0),
	[0x08] = I(INVD, NONE, 0),
	[0x09] = I(WBINVD, NONE, 0),
	[0x0b] = I(UD, NONE, 0),
	[0x0d] = I(PREFETCH, RM, 0),		/* register form differs among vendors */
	[0x18] = G(PREFETCH, RM, 0),
	[0x1f] = G(NOP, RM, 0),
	[0x20] = I(MOV_CR, GPR_CR, EM_NATIVE),
	[0x21] = I(MOV_DR, GPR_DR, EM_NATIVE),
	[0x22] = I(MOV_CR, CR_GPR, EM_NATIVE),
	[0x23] = I(MOV_DR, DR_GPR, EM_NATIVE),
	[0x30] = I(WRMSR, NONE, 0),
	[0x31] = I(RDTSC, NONE, 0),
	[0x32] = I(RDMSR, NONE, 0),
	[0x33] = I(RDPMC, NONE, 0),
	[0x40 ... 0x4f] = I(CMOV, REG_RM, 0),
	[0x78] = I(VMREAD, RM_REG, EM_NATIVE | EM_PROT),	/* SSE4a with prefixes */
	[0x79] = I(VMWRITE, REG_RM, EM_NATIVE | EM_PROT),
	[0x90 ... 0x9f] = I(SETCC, RM, EM_BYTE),
	[0xa2] = I(CPUID, NONE, 0),
	[0xa3] = I(BT, RM_REG, 0),
	[0xaa] = I(RSM, NONE, 0),
	[0xab] = I(BTS, RM_REG, EM_LOCK),
	[0xae] = G(0FAE, RM, 0),
	[0xb0] = I(CMPXCHG, RM_REG, EM_BYTE | EM_LOCK),
	[0xb1] = I(CMPXCHG, RM_REG, EM_LOCK),
	[0xb3] = I(BTR, RM_REG, EM_LOCK),
	[0xb6] = I(MOVZX, REG_RM, EM_BYTESRC),
	[0xb7] = I(MOVZX, REG_RM, EM_WORD),
	[0xb9] = I(UD, RM, 0),
	[0xba] = G(BT, RM_U8, 0),
	[0xbb] = I(BTC, RM_REG, EM_LOCK),
	[0xbe] = I(MOVSX, REG_RM, EM_BYTESRC),
	[0xbf] = I(MOVSX, REG_RM, EM_WORD),
	[0xc0] = I(XADD, RM_REG, EM_BYTE | EM_LOCK),
	[0xc1] = I(XADD, RM_REG, EM_LOCK),
	[0xc3] = I(MOV, RM_REG, EM_MIN4 | EM_MEM | EM_NP),	/* MOVNTI */
	[0xc7] = G(0FC7, RM, 0),
	[0xff] = I(UD, RM, 0),
};

/* 0F 38; 80-82 and F0, F1 */
static const struct em_opcode em_map_0f38_8x[4] = {
	I(INVEPT, REG_RM, EM_NATIVE | EM_MEM | EM_P66 | EM_PROT),
	I(INVVPID, REG_RM, EM_NATIVE | EM_MEM | EM_P66 | EM_PROT),
	I(INVPCID, REG_RM, EM_NATIVE | EM_MEM | EM_P66),
};

static const struct em_opcode em_map_0f38_fx[2] = {
	I(MOVBE, REG_RM, EM_MEM),
	I(MOVBE, RM_REG, EM_MEM),
};

static const struct em_opcode em_group_0f00[8] = {
	[0] = I(SLDT, RM, EM_MEMWORD),
	[1] = I(STR, RM, EM_MEMWORD),
	[2] = I(LLDT, RM_SRC, EM_WORD),
	[3] = I(LTR, RM_SRC, EM_WORD),
};

/* 0F 01 with a memory operand, by ModRM.reg */
static const struct em_opcode em_group_0f01_mem[8] = {
	[0] = I(SGDT, RM, EM_NATIVE),
	[1] = I(SIDT, RM, EM_NATIVE),
	[2] = I(LGDT, RM_SRC, EM_NATIVE),
	[3] = I(LIDT, RM_SRC, EM_NATIVE),
	[4] = I(SMSW, RM, EM_MEMWORD),
	[6] = I(LMSW, RM_SRC, EM_WORD),
	[7] = I(INVLPG, RM, 0),
};

/* 0F 01 without, by the low six bits of ModRM */
static const struct em_opcode em_group_0f01_reg[64] = {
	[0x01] = I(VMCALL, NONE, EM_NP),
	[0x02] = I(VMLAUNCH, NONE, EM_NP | EM_PROT),
	[0x03] = I(VMRESUME, NONE, EM_NP | EM_PROT),
	[0x04] = I(VMXOFF, NONE, EM_NP | EM_PROT),
	[0x08] = I(MONITOR, NONE, EM_NP),
	[0x09] = I(MWAIT, NONE, EM_NP),
	[0x0a] = I(CLAC, NONE, EM_NP),
	[0x0b] = I(STAC, NONE, EM_NP),
	[0x10] = I(XGETBV, NONE, EM_NP),
	[0x11] = I(XSETBV, NONE, EM_NP),
	[0x14] = I(VMFUNC, NONE, EM_NP),
	[0x18] = I(VMRUN, NONE, EM_PROT),
	[0x19] = I(VMMCALL, NONE, 0),
	[0x1a] = I(VMLOAD, NONE, EM_PROT),
	[0x1b] = I(VMSAVE, NONE, EM_PROT),
	[0x1c] = I(STGI, NONE, EM_PROT),
	[0x1d] = I(CLGI, NONE, EM_PROT),
	[0x1e] = I(SKINIT, NONE, EM_PROT),
	[0x1f] = I(INVLPGA, NONE, EM_PROT),
	[0x20 ... 0x27] = I(SMSW, RM, EM_MEMWORD),
	[0x30 ... 0x37] = I(LMSW, RM_SRC, EM_WORD),
	[0x38] = I(SWAPGS, NONE, EM_ONLY64),
	[0x39] = I(RDTSCP, NONE, 0),
	[0x3a] = I(MONITORX, NONE, EM_NP),
	[0x3b] = I(MWAITX, NONE, EM_NP),
};

/* 0F C7 with a memory operand and no 66, F2, F3; 0F C7 without a memory operand */
static const struct em_opcode em_group_0fc7_mem[8] = {
	[1] = I(CMPXCHG8B, RM, EM_MIN4 | EM_LOCK),
	[6] = I(VMPTRLD, RM_SRC, EM_PROT),
	[7] = I(VMPTRST, RM, EM_NP | EM_PROT),
};

static const struct em_opcode em_group_0fc7_reg[8] = {
	[6] = I(RDRAND, RM, EM_NOREP),
	[7] = I(RDSEED, RM, EM_NOREP),
};

/* F6, F7 */
static const struct em_opcode em_group_unary[8] = {
	[0] = I(TEST, RM_IMM, 0),
	[1] = I(TEST, RM_IMM, 0),
	[2] = I(NOT, RM, EM_LOCK),
	[3] = I(NEG, RM, EM_LOCK),
};

/* FE has the first two only */
static const struct em_opcode em_group_incdec[8] = {
	[0] = I(INC, RM, EM_LOCK),
	[1] = I(DEC, RM, EM_LOCK),
	[3] = I(CALLF, FAR_MEM, EM_MEM),
	[5] = I(JMPF, FAR_MEM, EM_MEM),
	[6] = I(PUSH, RM_SRC, EM_D64),
};

#undef I
#undef G

#endif
