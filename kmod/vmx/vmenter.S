/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Into the guest and back (SDM vol. 3, 27 and 28).
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/asm-offsets.h>
#include <asm/cpufeatures.h>
#include <asm/frame.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>

#include "../compat.h"
#include "vmx.h"

/* struct vmm_vcpu gpr, by enum vmm_gpr */
#define GPR(n) (8 * (n))
#define RAX GPR(0)
#define RCX GPR(1)
#define RDX GPR(2)
#define RBX GPR(3)
#define RBP GPR(5)
#define RSI GPR(6)
#define RDI GPR(7)

.section .noinstr.text, "ax"

/**
 * vmx_vmenter - run the guest until its next exit
 * @entry: struct vmx_entry *
 *
 * Context: interrupts off; the guest's VMCS is current and says that exits continue at vmx_vmexit,
 * with the stack that this function has at VMLAUNCH or VMRESUME.
 *
 * Returns VMX_ENTER_*.
 */
SYM_FUNC_START(vmx_vmenter)
	push	%rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rdi

	/* the stack is where it was last time, as a rule */
	cmp	%rsp, VMX_ENTRY_HOST_RSP(%rdi)
	je	.Lrsp_done
	mov	%rsp, VMX_ENTRY_HOST_RSP(%rdi)
	mov	$VMX_FIELD_HOST_RSP, %eax
	vmwrite	%rsp, %rax
.Lrsp_done:

	ALTERNATIVE "jmp .Lspec_guest_done", "", X86_FEATURE_MSR_SPEC_CTRL
	mov	VMX_ENTRY_SPEC_GUEST(%rdi), %rax
	cmp	VMX_ENTRY_SPEC_HOST(%rdi), %rax
	je	.Lspec_guest_done
	mov	%rax, %rdx
	shr	$32, %rdx
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lspec_guest_done:

	/* into CF, which nothing below changes: VERW sets ZF only */
	btl	$0, VMX_ENTRY_LAUNCHED(%rdi)

	mov	VMX_ENTRY_GPR(%rdi), %rdi
	mov	RAX(%rdi), %rax
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

	/* last before the guest */
	VM_CLEAR_CPU_BUFFERS

	jnc	.Lvmlaunch

	/* the unwinder's state for vmx_vmexit is that of here */
	UNWIND_HINT_SAVE
.Lvmresume:
	vmresume
	jmp	.Lvmfail
.Lvmlaunch:
	vmlaunch
	jmp	.Lvmfail

	_ASM_EXTABLE(.Lvmresume, .Lfault)
	_ASM_EXTABLE(.Lvmlaunch, .Lfault)

SYM_INNER_LABEL_ALIGN(vmx_vmexit, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR

	/* RSP is the host's again; all others the guest's */
	push	%rax
	mov	8(%rsp), %rax
	mov	VMX_ENTRY_GPR(%rax), %rax
	pop	RAX(%rax)
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
	mov	$VMX_ENTER_OK, %ebx

.Lout:
	/* no return may be predicted from what the guest left */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
			   X86_FEATURE_RSB_VMEXIT_LITE

	/*
	 * The host's SPEC_CTRL before the first RET; the guest's writes exit, so its is known. IBRS
	 * has to be written after each exit to have its effect on what the guest has trained.
	 */
	mov	(%rsp), %rdi
	ALTERNATIVE "jmp .Lspec_host_done", "", X86_FEATURE_MSR_SPEC_CTRL
	mov	VMX_ENTRY_SPEC_HOST(%rdi), %rax
	cmp	VMX_ENTRY_SPEC_GUEST(%rdi), %rax
	ALTERNATIVE "je .Lspec_host_done", "", X86_FEATURE_KERNEL_IBRS
	mov	%rax, %rdx
	shr	$32, %rdx
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	wrmsr
.Lspec_host_done:
	/* nor may a branch be predicted around that */
	lfence
	CLEAR_BRANCH_HISTORY_VMEXIT
	UNTRAIN_RET_VM

	/* guest values must not live on in registers that host code might use before writing */
	mov	%ebx, %eax
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

	/* the processor did not leave, or it is not in VMX operation any more */
.Lvmfail:
	mov	$VMX_ENTER_FAIL, %ebx
	jmp	.Lout
.Lfault:
	mov	$VMX_ENTER_FAULT, %ebx
	jmp	.Lout
SYM_FUNC_END(vmx_vmenter)

/**
 * vmx_call_nmi - run the host's NMI handler, for one that ended the guest
 *
 * Context: interrupts off, NMIs blocked. The handler returns with IRET, which unblocks them: it
 * gets the frame that the processor would have pushed. Not by INT 2, whose own stack a real NMI
 * might be using by then.
 */
SYM_FUNC_START(vmx_call_nmi)
	push	%rbp
	mov	%rsp, %rbp
	and	$-16, %rsp
	push	$__KERNEL_DS
	push	%rbp
	pushf
	push	$__KERNEL_CS
	call	VMM_ASM_NMI_HANDLER
	/* IRET has put RBP into RSP: nothing to pop but RBP itself */
	mov	%rbp, %rsp
	pop	%rbp
	RET
SYM_FUNC_END(vmx_call_nmi)
