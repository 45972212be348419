/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The real-mode part of a bzImage (Linux boot protocol 2.12): its header alone, in front of the
 * tiny guest, which is entered in protected mode.
 */
	.text
	.org	0x1f1
	.byte	1			/* setup_sects: this sector and one more */
	.word	0
	.long	SYSSIZE			/* in units of 16 bytes */
	.word	0, 0, 0
	.word	0xaa55
	.byte	0xeb, header_end - jump	/* the header's length */
jump:
	.ascii	"HdrS"
	.word	0x20c
	.long	0
	.word	0, 0
	.byte	0, 1			/* type_of_loader, loadflags: LOADED_HIGH */
	.word	0
	.long	0x100000		/* code32_start */
	.long	0, 0, 0
	.word	0
	.byte	0, 0
	.long	0
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x1000			/* kernel_alignment */
	.byte	0, 12
	.word	0			/* xloadflags: no 64-bit entry */
	.long	2047			/* cmdline_size */
	.long	0
	.quad	0
	.long	0, 0
	.quad	0
	.quad	0x100000		/* pref_address */
	.long	0x40000			/* init_size */
	.long	0
header_end:
	.org	0x400
