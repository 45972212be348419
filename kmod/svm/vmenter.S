/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Into the guest and back (APM vol. 2, 15.5 and 15.6).
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/asm-offsets.h>
#include <asm/cpufeatures.h>
#include <asm/frame.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>

#include "../compat.h"
#include "svm.h"

/* struct vmm_vcpu gpr, by enum vmm_gpr */
#define GPR(n) (8 * (n))
#define RCX GPR(1)
#define RDX GPR(2)
#define RBX GPR(3)
#define RBP GPR(5)
#define RSI GPR(6)
#define RDI GPR(7)

.section .noinstr.text, "ax"

/**
 * svm_vmenter - run the guest until its next exit
 * @entry: struct svm_entry *
 *
 * Context: interrupts off, GIF clear: nothing can come between here and VMRUN, nor between the exit
 * and the VMLOAD of the host's segment bases. RFLAGS.IF is set for VMRUN alone: with V_INTR_MASKING
 * it is what lets a host interrupt end the guest.
 *
 * A VMLOAD, VMRUN or VMSAVE that faults, because an emergency turned SVM off, is stepped over; the
 * exit code in the VMCB stays what the caller put there.
 */
SYM_FUNC_START(svm_vmenter)
	push	%rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rdi

	/* the guest's SPEC_CTRL, where the processor does not switch it itself */
	ALTERNATIVE_2 "jmp .Lspec_guest_done", \
		"", X86_FEATURE_MSR_SPEC_CTRL, \
		"jmp .Lspec_guest_done", X86_FEATURE_V_SPEC_CTRL
	mov	SVM_ENTRY_SPEC_GUEST(%rdi), %rax
	cmp	SVM_ENTRY_SPEC_HOST(%rdi), %rax
	je	.Lspec_guest_done
	mov	%rax, %rdx
	shr	$32, %rdx
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lspec_guest_done:

	mov	SVM_ENTRY_VMCB_PA(%rdi), %rax
1:	vmload	%rax
2:
	mov	SVM_ENTRY_GPR(%rdi), %rdi
	mov	RCX(%rdi), %rcx
	mov	RDX(%rdi), %rdx
	mov	RBX(%rdi), %rbx
	mov	RBP(%rdi), %rbp
	mov	RSI(%rdi), %rsi
	mov	GPR(8)(%rdi), %r8
	mov	GPR(9)(%rdi), %r9
	mov	GPR(10)(%rdi), %r10
	mov	GPR(11)(%rdi), %r11
	mov	GPR(12)(%rdi), %r12
	mov	GPR(13)(%rdi), %r13
	mov	GPR(14)(%rdi), %r14
	mov	GPR(15)(%rdi), %r15
	mov	RDI(%rdi), %rdi

	/* last before the guest: only flags are changed */
	VM_CLEAR_CPU_BUFFERS

	sti
3:	vmrun	%rax
4:	cli

	/* RAX and RSP are the host's again; all others the guest's */
5:	vmsave	%rax
6:
	mov	(%rsp), %rax
	mov	SVM_ENTRY_GPR(%rax), %rax
	mov	%rcx, RCX(%rax)
	mov	%rdx, RDX(%rax)
	mov	%rbx, RBX(%rax)
	mov	%rbp, RBP(%rax)
	mov	%rsi, RSI(%rax)
	mov	%rdi, RDI(%rax)
	mov	%r8, GPR(8)(%rax)
	mov	%r9, GPR(9)(%rax)
	mov	%r10, GPR(10)(%rax)
	mov	%r11, GPR(11)(%rax)
	mov	%r12, GPR(12)(%rax)
	mov	%r13, GPR(13)(%rax)
	mov	%r14, GPR(14)(%rax)
	mov	%r15, GPR(15)(%rax)

	/* the host's GS base, before anything per-CPU */
	mov	(%rsp), %rdi
	mov	SVM_ENTRY_HOST_PA(%rdi), %rax
7:	vmload	%rax
8:
	/* no return may be predicted from what the guest left */
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT

	/* the host's SPEC_CTRL before the first RET; the guest's writes exit, so its is known */
	ALTERNATIVE_2 "jmp .Lspec_host_done", \
		"", X86_FEATURE_MSR_SPEC_CTRL, \
		"jmp .Lspec_host_done", X86_FEATURE_V_SPEC_CTRL
	mov	SVM_ENTRY_SPEC_GUEST(%rdi), %rax
	cmp	SVM_ENTRY_SPEC_HOST(%rdi), %rax
	je	.Lspec_host_done
	mov	SVM_ENTRY_SPEC_HOST(%rdi), %rax
	mov	%rax, %rdx
	shr	$32, %rdx
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lspec_host_done:

	UNTRAIN_RET_VM

	/* guest values must not live on in registers that host code might use before writing */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%ebp, %ebp
	xor	%ebx, %ebx
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d

	pop	%rdi
	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET

	_ASM_EXTABLE(1b, 2b)
	_ASM_EXTABLE(3b, 4b)
	_ASM_EXTABLE(5b, 6b)
	_ASM_EXTABLE(7b, 8b)
SYM_FUNC_END(svm_vmenter)
