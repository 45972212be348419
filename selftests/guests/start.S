/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The assembly that C guests need: interrupt entries, the end, and the way of an application
 * processor from its start-up IPI to 64-bit C.
 */
#include "layout.h"

	.text
	.code64

/* g_stubs - 256 entries of 16 bytes; each leaves struct g_frame on the stack */
	.balign	16
	.globl	g_stubs
g_stubs:
	vector = 0
	.rept	256
	.balign	16
	.if	(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	.else
	push	$0
	.endif
	push	$vector
	jmp	common
	vector = vector + 1
	.endr

common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$~15, %rsp
	cld
	call	g_trap
	mov	%rbp, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

/* g_end - where a guest's first function returns to */
	.globl	g_end
g_end:
	outb	%al, $T_PORT_DONE
	cli
1:	hlt
	jmp	1b

/*
 * g_ap_blob - copied to T_CODE by the test; a start-up IPI with vector T_CODE >> 12 starts it
 */
	.section .rodata
	.globl	g_ap_blob, g_ap_blob_end
	.balign	16
#define AT(label)	(T_CODE + (label) - g_ap_blob)
g_ap_blob:
	.code16
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	AT(gdtr)
	mov	%cr4, %eax
	or	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	mov	%eax, %cr4
	mov	$T_PML4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax		/* LME */
	wrmsr
	mov	%cr0, %eax
	and	$0x9fffffff, %eax	/* CD, NW off */
	or	$0x80000023, %eax	/* PG, NE, MP, PE */
	mov	%eax, %cr0
	ljmpl	$T_CS64, $AT(long_mode)
	.code64
long_mode:
	mov	$T_DS, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	lidt	AT(idtr)
	mov	$T_LAPIC + 0x20, %eax
	mov	(%rax), %edi
	shr	$24, %edi		/* g_ap_entry's argument: local APIC id */
	lea	1(%rdi), %esp
	imul	$T_STACK_SIZE, %esp, %esp
	add	$T_STACKS, %esp
	mov	g_ap_entry, %rax
	call	*%rax
	outb	%al, $T_PORT_DONE
	cli
1:	hlt
	jmp	1b
	.balign	8
	.skip	6
gdtr:	.word	T_GDT_ENTRIES * 8 - 1
	.quad	T_GDT
	.balign	8
	.skip	6
idtr:	.word	256 * 16 - 1
	.quad	T_IDT64
g_ap_blob_end:

	.section .note.GNU-stack, "", @progbits
