/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Headers and entry points of the tiny guest, by which of its files this becomes (Makefile):
 * multiboot with and without addresses, PVH, a bzImage, or none that vmmctl knows.
 */
#define LOAD		0x100000
#define STACK_SIZE	16384

#define MB_MAGIC	0x1badb002
#define MB_ALIGN	(1 << 0)
#define MB_MEMORY	(1 << 1)
#define MB_ADDRESSES	(1 << 16)

	.code32

#ifdef MULTIBOOT
#ifdef ADDRESSES
#define MB_FLAGS	(MB_ALIGN | MB_MEMORY | MB_ADDRESSES)
#else
#define MB_FLAGS	(MB_ALIGN | MB_MEMORY)
#endif
	.section .head, "ax"
	.balign 4
mb_header:
	.long	MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)
#ifdef ADDRESSES
	.long	mb_header, LOAD, tiny_data_end, tiny_end, start
#endif
#endif

#ifdef PVH
	.section .note.pvh, "a", @note
	.long	4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start
#endif

	.section .head, "ax"
	.globl	start
start:
	mov	$stack_end, %esp
	cld
#ifdef BZIMAGE
	mov	%esi, %ebx
#endif
	push	%ebx
	push	%eax
	call	tiny_main
1:	cli
	hlt
	jmp	1b

	/* a null IDT turns the first exception into a triple fault */
	.text
	.globl	triple_fault
triple_fault:
	lidt	1f
	ud2
	.balign 8
1:	.word	0
	.long	0

	.bss
	.balign 16
	.skip	STACK_SIZE
stack_end:

	.section .note.GNU-stack, "", @progbits
