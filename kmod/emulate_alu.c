// SPDX-License-Identifier: GPL-2.0
/*
 * Results and flags of integer instructions (APM volume 3 chapter 3). Where a flag is undefined, it
 * is left as AMD's processors leave it, as far as that is a function of the operands.
 */
#include "emulate_alu.h"

#define EM_ARITH	(VMM_EM_CF | VMM_EM_PF | VMM_EM_AF | VMM_EM_ZF | VMM_EM_SF | VMM_EM_OF)

static bool em_msb(u64 val, unsigned int size)
{
	return (val >> (8 * size - 1)) & 1;
}

static bool em_even_parity(u64 val)
{
	val ^= val >> 4;
	val ^= val >> 2;
	val ^= val >> 1;
	return !(val & 1);
}

static void em_put_flag(u64 *flags, u64 flag, bool on)
{
	*flags = on ? *flags | flag : *flags & ~flag;
}

/* SF, ZF, PF of a result */
static void em_put_szp(u64 *flags, u64 res, unsigned int size)
{
	em_put_flag(flags, VMM_EM_SF, em_msb(res, size));
	em_put_flag(flags, VMM_EM_ZF, !(res & vmm_em_mask(size)));
	em_put_flag(flags, VMM_EM_PF, em_even_parity(res & 0xff));
}

static u64 em_add(u64 a, u64 b, bool carry, unsigned int size, u64 *flags)
{
	u64 res = (a + b + carry) & vmm_em_mask(size);

	em_put_flag(flags, VMM_EM_CF, em_msb((a & b) | ((a | b) & ~res), size));
	em_put_flag(flags, VMM_EM_OF, em_msb((a ^ res) & (b ^ res), size));
	em_put_flag(flags, VMM_EM_AF, (a ^ b ^ res) & 0x10);
	em_put_szp(flags, res, size);
	return res;
}

static u64 em_sub(u64 a, u64 b, bool borrow, unsigned int size, u64 *flags)
{
	u64 res = (a - b - borrow) & vmm_em_mask(size);

	em_put_flag(flags, VMM_EM_CF, em_msb((~a & b) | ((~a | b) & res), size));
	em_put_flag(flags, VMM_EM_OF, em_msb((a ^ b) & (a ^ res), size));
	em_put_flag(flags, VMM_EM_AF, (a ^ b ^ res) & 0x10);
	em_put_szp(flags, res, size);
	return res;
}

static u64 em_logic(u64 res, unsigned int size, u64 *flags)
{
	*flags &= ~EM_ARITH;
	em_put_szp(flags, res, size);
	return res;
}

u64 vmm_em_alu(u8 op, u64 dst, u64 src, unsigned int size, u64 *flags)
{
	u64 mask = vmm_em_mask(size);
	bool carry = *flags & VMM_EM_CF;
	u64 res;

	dst &= mask;
	src &= mask;

	switch (op) {
	case VMM_EM_OP_ADD:
		return em_add(dst, src, false, size, flags);
	case VMM_EM_OP_ADC:
		return em_add(dst, src, carry, size, flags);
	case VMM_EM_OP_SUB:
		return em_sub(dst, src, false, size, flags);
	case VMM_EM_OP_SBB:
		return em_sub(dst, src, carry, size, flags);
	case VMM_EM_OP_CMP:
		em_sub(dst, src, false, size, flags);
		return dst;
	case VMM_EM_OP_OR:
		return em_logic(dst | src, size, flags);
	case VMM_EM_OP_AND:
		return em_logic(dst & src, size, flags);
	case VMM_EM_OP_XOR:
		return em_logic(dst ^ src, size, flags);
	case VMM_EM_OP_TEST:
		em_logic(dst & src, size, flags);
		return dst;
	case VMM_EM_OP_NOT:
		return ~dst & mask;
	case VMM_EM_OP_NEG:
		return em_sub(0, dst, false, size, flags);
	case VMM_EM_OP_INC:
		res = em_add(dst, 1, false, size, flags);
		em_put_flag(flags, VMM_EM_CF, carry);
		return res;
	case VMM_EM_OP_DEC:
		res = em_sub(dst, 1, false, size, flags);
		em_put_flag(flags, VMM_EM_CF, carry);
		return res;
	default:
		return dst;
	}
}

/*
 * The count is reduced to 5 bits (6 for 8 bytes), so rotates go bit by bit: at most 63 steps, and
 * the carry needs no case of its own. OF is defined for a count of 1 only.
 */
u64 vmm_em_shift(u8 op, u64 val, unsigned int count, unsigned int size, u64 *flags)
{
	unsigned int bits = 8 * size;
	u64 mask = vmm_em_mask(size);
	bool carry = *flags & VMM_EM_CF;
	bool out;

	count &= size == 8 ? 0x3f : 0x1f;
	val &= mask;
	if (!count)
		return val;

	if (op == VMM_EM_OP_SAR)
		val = vmm_em_sext(val, size);

	for (; count; count--) {
		switch (op) {
		case VMM_EM_OP_ROL:
			carry = em_msb(val, size);
			val = (val << 1 | carry) & mask;
			break;
		case VMM_EM_OP_ROR:
			carry = val & 1;
			val = val >> 1 | (u64)carry << (bits - 1);
			break;
		case VMM_EM_OP_RCL:
			out = em_msb(val, size);
			val = (val << 1 | carry) & mask;
			carry = out;
			break;
		case VMM_EM_OP_RCR:
			out = val & 1;
			val = val >> 1 | (u64)carry << (bits - 1);
			carry = out;
			break;
		case VMM_EM_OP_SHL:
			carry = em_msb(val, size);
			val = (val << 1) & mask;
			break;
		case VMM_EM_OP_SHR:
			carry = val & 1;
			val >>= 1;
			break;
		case VMM_EM_OP_SAR:
			carry = val & 1;
			val = (u64)((s64)val >> 1);
			break;
		}
	}
	val &= mask;

	em_put_flag(flags, VMM_EM_CF, carry);
	switch (op) {
	case VMM_EM_OP_ROL:
	case VMM_EM_OP_RCL:
		em_put_flag(flags, VMM_EM_OF, em_msb(val, size) != carry);
		return val;
	case VMM_EM_OP_ROR:
	case VMM_EM_OP_RCR:
		em_put_flag(flags, VMM_EM_OF, em_msb(val ^ val << 1, size));
		return val;
	case VMM_EM_OP_SHL:
		em_put_flag(flags, VMM_EM_OF, em_msb(val, size) != carry);
		break;
	default:
		em_put_flag(flags, VMM_EM_OF, em_msb(val ^ val << 1, size));
		break;
	}
	*flags |= VMM_EM_AF;
	em_put_szp(flags, val, size);
	return val;
}

bool vmm_em_condition(unsigned int cond, u64 flags)
{
	bool less = !(flags & VMM_EM_SF) != !(flags & VMM_EM_OF);
	bool met = false;

	switch ((cond >> 1) & 7) {
	case 0:
		met = flags & VMM_EM_OF;
		break;
	case 1:
		met = flags & VMM_EM_CF;
		break;
	case 2:
		met = flags & VMM_EM_ZF;
		break;
	case 3:
		met = flags & (VMM_EM_CF | VMM_EM_ZF);
		break;
	case 4:
		met = flags & VMM_EM_SF;
		break;
	case 5:
		met = flags & VMM_EM_PF;
		break;
	case 6:
		met = less;
		break;
	case 7:
		met = less || (flags & VMM_EM_ZF);
		break;
	}
	return met != (cond & 1);
}
