/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instructions that reach memory, for the MMIO test: each is run on memory and on a device, and
 * must do the same.
 *
 * In all of them rDI and rBX point into the first half of a page, rSI into the second; rCX is
 * below 10, r9 is 8, r11 a bit offset that stays in the page; the other registers hold
 * anything.
 *
 * insn flags, accesses, text
 *	flags: undefined after the instruction (0x855 CF PF AF SF OF are the bits that can be named)
 *	accesses: what the device must see, in order ("r4w4"), or "*": not checked here
 */
#include "layout.h"

	.macro	insn flags, accesses, text:vararg
	.pushsection .rodata.mmio_code, "a"
8801:	\text
8802:
	.popsection
	.pushsection .rodata.mmio_text, "a"
8803:	.asciz	"\text"
8804:	.asciz	"\accesses"
	.popsection
	.quad	8801b, 8802b, 8803b, 8804b, \flags
	.endm

#define AF	0x10
#define SHIFT	0x810
#define BITS	0x894

	.section .rodata
	.balign	8
	.globl	mmio_insns64, mmio_insns64_end
mmio_insns64:
	.code64
	/* MOV */
	insn	0, w1, mov %al, (%rdi)
	insn	0, w1, mov %ah, (%rdi)
	insn	0, w1, mov %r10b, (%rdi)
	insn	0, w1, mov %sil, (%rdi)
	insn	0, w2, mov %ax, (%rdi)
	insn	0, w4, mov %eax, (%rdi)
	insn	0, w8, mov %rax, (%rdi)
	insn	0, w8, mov %r10, 8(%rdi)
	insn	0, w8, mov %rdx, (%rbx, %r9, 2)
	insn	0, w4, mov %r8d, 0x123(%rbx, %rcx, 4)
	insn	0, r1, mov (%rdi), %al
	insn	0, r1, mov (%rdi), %dh
	insn	0, r1, mov (%rdi), %r14b
	insn	0, r2, mov (%rdi), %ax
	insn	0, r4, mov (%rdi), %eax
	insn	0, r8, mov (%rdi), %rax
	insn	0, r8, mov -8(%rdi), %r15
	insn	0, r4, mov (%rdi), %edi
	insn	0, r8, mov (%rdi), %rdi
	insn	0, w1, movb $0x5a, (%rdi)
	insn	0, w2, movw $0x1234, 2(%rdi)
	insn	0, w4, movl $0x89abcdef, 4(%rdi)
	insn	0, w8, movq $-2, 0x10(%rdi)
	insn	0, w4, mov %eax, %fs:(%rdi)
	insn	0, w4, mov %eax, (%edi)
	insn	0, r4, mov (%ebx, %r9d, 1), %eax
	insn	0, w2, mov %ds, (%rdi)
	insn	0, w4, movnti %eax, (%rdi)
	insn	0, w8, movnti %rax, (%rdi)
	insn	0, r4, movbe (%rdi), %eax
	insn	0, w8, movbe %rax, (%rdi)
	insn	0, r2, movbe (%rdi), %dx
	/* MOVZX, MOVSX, MOVSXD, CMOV */
	insn	0, r1, movzbw (%rdi), %ax
	insn	0, r1, movzbl (%rdi), %eax
	insn	0, r1, movzbq (%rdi), %rax
	insn	0, r2, movzwl (%rdi), %eax
	insn	0, r2, movzwq (%rdi), %r12
	insn	0, r1, movsbw (%rdi), %ax
	insn	0, r1, movsbl (%rdi), %eax
	insn	0, r1, movsbq (%rdi), %rax
	insn	0, r2, movswl (%rdi), %eax
	insn	0, r2, movswq (%rdi), %rax
	insn	0, r4, movslq (%rdi), %rax
	insn	0, r4, cmovc (%rdi), %eax
	insn	0, r8, cmovnz (%rdi), %rax
	insn	0, r4, cmovle (%rdi), %edx
	insn	0, w1, sets (%rdi)
	insn	0, w1, setbe (%rdi)
	/* ALU, memory as the source */
	insn	0, r1, add (%rdi), %al
	insn	0, r2, adc (%rdi), %ax
	insn	0, r4, sub (%rdi), %eax
	insn	0, r8, sbb (%rdi), %rax
	insn	AF, r1, and (%rdi), %dl
	insn	AF, r4, or (%rdi), %edx
	insn	AF, r8, xor (%rdi), %rdx
	insn	0, r1, cmp (%rdi), %al
	insn	0, r4, cmp (%rdi), %eax
	insn	0, r8, cmp (%rdi), %rax
	/* ALU, memory as the destination */
	insn	0, r1w1, add %al, (%rdi)
	insn	0, r2w2, add %ax, (%rdi)
	insn	0, r4w4, adc %eax, (%rdi)
	insn	0, r8w8, add %rax, (%rdi)
	insn	0, r4w4, sub %eax, (%rdi)
	insn	0, r8w8, sbb %r8, (%rdi)
	insn	AF, r1w1, and %al, (%rdi)
	insn	AF, r2w2, or %ax, (%rdi)
	insn	AF, r4w4, xor %eax, (%rdi)
	insn	AF, r8w8, xor %rax, (%rdi)
	insn	0, r1, cmp %al, (%rdi)
	insn	0, r8, cmp %rax, (%rdi)
	insn	AF, r1, test %al, (%rdi)
	insn	AF, r4, test %eax, (%rdi)
	insn	AF, r8, test %rax, (%rdi)
	/* ALU with an immediate */
	insn	0, r1w1, addb $0x7f, (%rdi)
	insn	0, r2w2, addw $0x1234, (%rdi)
	insn	0, r4w4, addl $0x12345678, (%rdi)
	insn	0, r8w8, addq $-3, (%rdi)
	insn	0, r4w4, adcl $-1, (%rdi)
	insn	0, r4w4, sbbl $0x7f, (%rdi)
	insn	0, r8w8, subq $0x12345678, (%rdi)
	insn	AF, r1w1, andb $0x55, (%rdi)
	insn	AF, r4w4, andl $0xf0f0f0f0, (%rdi)
	insn	AF, r4w4, orl $0x80000001, (%rdi)
	insn	AF, r8w8, xorq $-1, (%rdi)
	insn	0, r1, cmpb $0x80, (%rdi)
	insn	0, r4, cmpl $5, (%rdi)
	insn	AF, r1, testb $0x81, (%rdi)
	insn	AF, r4, testl $0x80000000, (%rdi)
	insn	AF, r8, testq $0x40000000, (%rdi)
	/* unary */
	insn	0, r1w1, incb (%rdi)
	insn	0, r4w4, incl (%rdi)
	insn	0, r8w8, decq (%rdi)
	insn	0, r2w2, decw (%rdi)
	insn	0, r4w4, notl (%rdi)
	insn	0, r1w1, negb (%rdi)
	insn	0, r8w8, negq (%rdi)
	/* shifts and rotates */
	insn	AF, r4w4, shll $1, (%rdi)
	insn	AF, r1w1, shrb $1, (%rdi)
	insn	AF, r8w8, sarq $1, (%rdi)
	insn	0, r4w4, roll $1, (%rdi)
	insn	0, r2w2, rcrw $1, (%rdi)
	insn	SHIFT, r4w4, shrl $5, (%rdi)
	insn	SHIFT, *, sarl %cl, (%rdi)
	insn	0x800, *, rolq %cl, (%rdi)
	insn	0x800, *, rcll $7, (%rdi)
	/* exchange */
	insn	0, r1w1, xchg %al, (%rdi)
	insn	0, r2w2, xchg %ax, (%rdi)
	insn	0, r4w4, xchg %eax, (%rdi)
	insn	0, r8w8, xchg %rax, (%rdi)
	insn	0, r4w4, xadd %eax, (%rdi)
	insn	0, r8w8, lock xadd %rax, (%rdi)
	insn	0, *, cmpxchg %dl, (%rdi)
	insn	0, *, cmpxchg %edx, (%rdi)
	insn	0, *, lock cmpxchg %rdx, (%rdi)
	insn	0, *, cmpxchg8b (%rdi)
	insn	0, *, lock cmpxchg8b (%rdi)
	insn	0, r4w4, lock addl $1, (%rdi)
	insn	0, r8w8, lock incq (%rdi)
	insn	AF, r4w4, lock orl $0x100, (%rdi)
	/* bits */
	insn	BITS, r4, btl $7, (%rdi)
	insn	BITS, r8, btq $63, (%rdi)
	insn	BITS, r4w4, btsl $31, (%rdi)
	insn	BITS, r2w2, btrw $3, (%rdi)
	insn	BITS, r8w8, btcq $40, (%rdi)
	insn	BITS, r4w4, lock btsl $4, (%rdi)
	insn	BITS, r4, bt %r11d, (%rdi)
	insn	BITS, r4w4, bts %r11d, (%rdi)
	insn	BITS, r8w8, btr %r11, (%rdi)
	insn	BITS, r2w2, btc %r11w, (%rdi)
	/* stack */
	insn	0, r8, push (%rdi)
	insn	0, w8, pop (%rdi)
	insn	0, r2, pushw (%rdi)
	/* strings */
	insn	0, w1, stosb
	insn	0, w4, stosl
	insn	0, w8, stosq
	insn	0, r1, lodsb (%rsi), %al
	insn	0, r8, lodsq
	insn	0, *, movsb
	insn	0, *, movsw
	insn	0, *, movsl
	insn	0, *, movsq
	insn	0, *, cmpsb
	insn	0, *, cmpsq
	insn	0, r4, scasl
	insn	0, *, rep stosb
	insn	0, *, rep stosl
	insn	0, *, rep stosq
	insn	0, *, rep movsb
	insn	0, *, rep movsl
	insn	0, *, rep movsq
	insn	0, *, rep lodsw
	insn	0, *, repe cmpsb
	insn	0, *, repne cmpsl
	insn	0, *, repe scasb
	insn	0, *, repne scasb
	insn	0, *, repne scasq
	insn	0, *, addr32 rep movsl
	/* not an access */
	insn	0, , nopl (%rdi)
	insn	0, , prefetcht0 (%rdi)
	insn	0, , clflush (%rdi)
mmio_insns64_end:

	.globl	mmio_insns32, mmio_insns32_end
mmio_insns32:
	.code32
	insn	0, w1, mov %al, (%edi)
	insn	0, w2, mov %ax, (%edi)
	insn	0, w4, mov %eax, 4(%edi)
	insn	0, w4, mov %edx, (%ebx, %ecx, 4)
	insn	0, r1, mov (%edi), %ah
	insn	0, r4, mov (%edi), %edx
	insn	0, w4, mov %eax, %es:(%edi)
	insn	0, r4, mov 0x500, %eax
	insn	0, w4, mov %eax, 0x504
	insn	0, w1, mov %al, 0x508
	insn	0, w4, movl $0x12345678, 0x510
	insn	0, w4, mov %eax, (%bx)
	insn	0, w2, mov %ax, 2(%bx)
	insn	0, r1, movzbl (%edi), %eax
	insn	0, r2, movswl (%edi), %eax
	insn	0, r4w4, adc %eax, (%edi)
	insn	AF, r4w4, andl $0xff00ff, (%edi)
	insn	0, r4w4, xchg %eax, (%edi)
	insn	0, *, cmpxchg8b (%edi)
	insn	BITS, r4w4, btsl $9, (%edi)
	insn	0, r4, push (%edi)
	insn	0, w4, pop (%edi)
	insn	0, w4, stosl
	insn	0, *, rep movsb
	insn	0, *, rep stosw
	insn	0, *, addr16 rep movsl
	insn	0, *, repne scasb
mmio_insns32_end:

	.globl	mmio_insns16, mmio_insns16_end
mmio_insns16:
	.code16
	insn	0, w1, mov %al, (%di)
	insn	0, w2, mov %ax, (%di)
	insn	0, w4, mov %eax, (%di)
	insn	0, w2, mov %dx, 0x123(%bx)
	insn	0, r2, mov 4(%di), %cx
	insn	0, r4, mov (%edi), %eax
	insn	0, r2, mov 0x500, %ax
	insn	0, w1, mov %al, 0x501
	insn	0, w2, movw $0x1234, (%di)
	insn	0, w4, movl $0x12345678, (%di)
	insn	0, r1, movzbw (%di), %ax
	insn	0, r2w2, add %ax, (%di)
	insn	AF, r1w1, orb $0x40, (%di)
	insn	0, r2w2, xchg %ax, (%di)
	insn	BITS, r2w2, btsw $9, (%di)
	insn	0, r2, push (%di)
	insn	0, w2, pop (%di)
	insn	0, w2, stosw
	insn	0, *, rep movsb
	insn	0, *, rep movsw
	insn	0, *, rep stosl
	insn	0, *, repe cmpsb
mmio_insns16_end:
	.quad	0

	.section .note.GNU-stack, "", @progbits
