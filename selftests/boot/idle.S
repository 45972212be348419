/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest that does nothing: multiboot 1, interrupts on, HLT for ever.  It says once
 * on the serial port that it is there.
 */
	.code32
	.text
	.globl _start
	.balign 4
	.long 0x1badb002, 0, -0x1badb002
_start:
	mov $0x3f8, %dx
	mov $message, %esi
	mov $message_end - message, %ecx
	rep outsb
	sti
1:	hlt
	jmp 1b
message:
	.ascii "idle guest\n"
message_end:
