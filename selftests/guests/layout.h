/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a test and its guest agree on: where things lie in guest memory, and the ports by which
 * the guest speaks.
 *
 *	0x00000	real mode interrupt vectors
 *	0x01000	GDT		0x02000 64-bit IDT	0x03000 TSS (64-bit), 0x03800 TSS (32-bit)
 *	0x04000	32-bit IDT for 32-bit code		0x04800 the same for 16-bit code
 *	0x05000	stubs that the IDTs of raw blobs lead to: HLT for each vector
 *	0x08000	raw blobs, below a stack that starts at 0x8000 and grows down
 *	0x10000	data
 *	0x20000	page tables
 *	0x200000 stacks of C guests
 *	0x400000 the test program's own image: C guests run at the address that they were linked to
 *	0x800000 free
 */
#ifndef GUESTS_LAYOUT_H
#define GUESTS_LAYOUT_H

#define T_IVT		0x0000
#define T_GDT		0x1000
#define T_IDT64		0x2000
#define T_TSS64		0x3000
#define T_TSS32		0x3800
#define T_IDT32		0x4000
#define T_IDT16		0x4800
#define T_STUBS		0x5000	/* 4 bytes for each vector */
#define T_STACK		0x8000
#define T_STACK0	0x7000	/* of the TSSes: entered from CPL 3 */
#define T_CODE		0x8000
#define T_DATA		0x10000
#define T_DATA_SIZE	0x10000

#define T_PML4		0x20000
#define T_PDPT		0x21000
#define T_PD		0x22000	/* four pages: the low 4 GiB in 2 MiB pages */
#define T_PDPT_PAE	0x26000
#define T_PT		0x27000	/* of T_WINDOW, for long mode and PAE */
#define T_PD32		0x28000	/* 4 MiB pages */
#define T_PT32		0x29000	/* of T_WINDOW, for 32-bit paging; maps 4 MiB */

/* 2 MiB of linear addresses that tests map page by page; nothing is mapped there at first */
#define T_WINDOW	0x3fc00000

#define T_STACKS	0x200000
#define T_STACK_SIZE	0x8000	/* of a vCPU that runs a C guest */
#define T_IMAGE		0x400000
#define T_FREE		0x800000

/* selectors */
#define T_CS64		0x08
#define T_DS		0x10
#define T_CS32		0x18
#define T_CS16		0x20
#define T_DS16		0x28
#define T_TR64		0x30	/* two entries */
#define T_TR32		0x40
#define T_UCS64		0x4b
#define T_UDS		0x53
#define T_UCS32		0x5b
#define T_UCS16		0x63
#define T_GDT_ENTRIES	13

/* ports: always written by OUT; imm8 so that DX stays free */
#define T_PORT_REPORT	0x10	/* EAX (or AX, AL) is a value for the test */
#define T_PORT_DONE	0x11	/* the guest is through */
#define T_PORT_REPORT64	0x12	/* RBX is the value */
#define T_PORT_FAIL	0x13	/* an expectation failed: RDI line, RSI text, RBX got, RCX wanted */
#define T_PORT_TRAP	0x14	/* an unexpected exception: RDI points to its struct g_frame */
#define T_PORT_SYNC	0x15	/* EAX names a point that the test wants to know of */

#define T_LAPIC		0xfee00000

#endif /* GUESTS_LAYOUT_H */
