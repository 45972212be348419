/* SPDX-License-Identifier: GPL-2.0 */
/* Results and flags of integer instructions. Pure functions, any context. */
#ifndef VMM_EMULATE_ALU_H
#define VMM_EMULATE_ALU_H

#include "emulate.h"

#define VMM_EM_CF	0x0001ull
#define VMM_EM_PF	0x0004ull
#define VMM_EM_AF	0x0010ull
#define VMM_EM_ZF	0x0040ull
#define VMM_EM_SF	0x0080ull
#define VMM_EM_DF	0x0400ull
#define VMM_EM_OF	0x0800ull
#define VMM_EM_RF	0x10000ull

/* All bits of an operand of @size bytes (1, 2, 4, 8) */
static inline u64 vmm_em_mask(unsigned int size)
{
	return ~0ull >> (64 - 8 * size);
}

/* Sign-extend from @size bytes (1, 2, 4, 8) */
static inline u64 vmm_em_sext(u64 val, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;

	return (u64)((s64)(val << shift) >> shift);
}

/**
 * vmm_em_alu() - ADD..CMP, TEST, NOT, NEG, INC, DEC
 * @op: &enum vmm_em_op
 * @dst: first operand
 * @src: second operand, ignored by the unary operations
 * @size: operand size in bytes: 1, 2, 4, 8
 * @flags: rflags, in and out
 *
 * Return: what the destination becomes; the unchanged @dst for CMP and TEST.
 */
u64 vmm_em_alu(u8 op, u64 dst, u64 src, unsigned int size, u64 *flags);

/**
 * vmm_em_shift() - ROL..SAR
 * @op: &enum vmm_em_op
 * @val: what is shifted
 * @count: shift count, not yet masked
 * @size: operand size in bytes: 1, 2, 4, 8
 * @flags: rflags, in and out
 *
 * Return: the shifted value.
 */
u64 vmm_em_shift(u8 op, u64 val, unsigned int count, unsigned int size, u64 *flags);

/**
 * vmm_em_condition() - condition codes of SETcc, CMOVcc
 * @cond: low four bits of the opcode
 * @flags: rflags
 *
 * Return: whether the condition holds.
 */
bool vmm_em_condition(unsigned int cond, u64 flags);

#endif
