// SPDX-License-Identifier: GPL-2.0
/*
 * MSRs that belong to the guest (SDM vol. 3, 25.6.9 and 27.4).
 *
 *	in the VMCS		FS_BASE, GS_BASE, SYSENTER_*; PAT and EFER, by controls (regs.c)
 *	KERNEL_GS_BASE		the guest changes it by itself, with SWAPGS: exchanged when the
 *				thread comes to a CPU and leaves it (host.c)
 *	STAR, LSTAR, FMASK	what the host needs in user mode only: the guest's are loaded at the
 *				first entry, the host's put back when the thread leaves the CPU or
 *				VMM_RUN
 *	SPEC_CTRL		by the entry code
 *
 * TSC_AUX is the run loop's. A guest reads and writes the first two kinds without an exit.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <asm/io.h>
#include <asm/msr.h>

#include "vmx.h"

static const u32 vmx_user_msrs[VMX_NR_USER_MSRS] = {
	[VMX_MSR_STAR] = MSR_STAR,
	[VMX_MSR_LSTAR] = MSR_LSTAR,
	[VMX_MSR_FMASK] = MSR_SYSCALL_MASK,
};

/* the host's values, which do not change after boot; used by the CPU itself */
static DEFINE_PER_CPU(u64 [VMX_NR_USER_MSRS], vmx_host_user_msr);

static const u32 vmx_passthrough_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

/* one bitmap for all guests but those of apicv.c; a set bit makes the access exit */
static unsigned long *vmx_bitmap;

/* first bit of an MSR's read; that of its write is 0x800 bytes on (SDM vol. 3, 25.6.9) */
static unsigned int vmx_bitmap_bit(u32 msr)
{
	if (msr < 0x2000)
		return msr;
	return 0x400 * BITS_PER_BYTE + (msr & 0x1fff);	/* 0xc0000000 ... */
}

/**
 * vmx_bitmap_pass - accesses to an MSR do not exit
 * @bitmap: MSR bitmap
 * @msr: which
 * @read: reads do not
 * @write: writes do not
 *
 * Context: module load.
 */
void vmx_bitmap_pass(unsigned long *bitmap, u32 msr, bool read, bool write)
{
	unsigned int bit = vmx_bitmap_bit(msr);

	if (read)
		__clear_bit(bit, bitmap);
	if (write)
		__clear_bit(bit + 0x800 * BITS_PER_BYTE, bitmap);
}

/**
 * vmx_msr_init - make the bitmap. Context: module load. Return: 0 or -ENOMEM.
 */
int vmx_msr_init(void)
{
	unsigned int i;

	vmx_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL);
	if (!vmx_bitmap)
		return -ENOMEM;
	memset(vmx_bitmap, 0xff, PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(vmx_passthrough_msrs); i++)
		vmx_bitmap_pass(vmx_bitmap, vmx_passthrough_msrs[i], true, true);
	return 0;
}

void vmx_msr_exit(void)
{
	free_page((unsigned long)vmx_bitmap);
	vmx_bitmap = NULL;
}

u64 vmx_msr_bitmap(void)
{
	return __pa(vmx_bitmap);
}

/**
 * vmx_msr_cpu_init - VMX goes on here: note the host's values. Context: interrupts off.
 */
void vmx_msr_cpu_init(void)
{
	u64 *host = *this_cpu_ptr(&vmx_host_user_msr);
	unsigned int i;

	for (i = 0; i < VMX_NR_USER_MSRS; i++)
		rdmsrl(vmx_user_msrs[i], host[i]);
}

/**
 * vmx_msr_load_irqoff - the guest's values into the registers, before an entry
 * @vmx: the vCPU; vmx_host_save_irqoff() was called
 *
 * Context: interrupts off.
 */
void vmx_msr_load_irqoff(struct vmx_vcpu *vmx)
{
	unsigned int i;

	if (likely(!vmx->user_msr_stale))
		return;
	for (i = 0; i < VMX_NR_USER_MSRS; i++)
		wrmsrl(vmx_user_msrs[i], vmx->user_msr[i]);
	vmx->user_msr_stale = false;
}

/**
 * vmx_msr_restore - the host's values back
 * @vmx: the vCPU, on the CPU where it was last; its state is in the registers
 *
 * Context: preemption off; interrupts may be.
 */
void vmx_msr_restore(struct vmx_vcpu *vmx)
{
	const u64 *host = *this_cpu_ptr(&vmx_host_user_msr);
	unsigned int i;

	if (!vmx->host.loaded)
		return;
	for (i = 0; i < VMX_NR_USER_MSRS; i++)
		wrmsrl(vmx_user_msrs[i], host[i]);
}

static u64 vmx_get_kernel_gs_base(struct vmx_vcpu *vmx)
{
	u64 value;

	preempt_disable();
	if (vmx->host.loaded)
		rdmsrl(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	value = vmx->kernel_gs_base;
	preempt_enable();
	return value;
}

static void vmx_set_kernel_gs_base(struct vmx_vcpu *vmx, u64 value)
{
	preempt_disable();
	vmx->kernel_gs_base = value;
	if (vmx->host.loaded)
		wrmsrl(MSR_KERNEL_GS_BASE, value);
	preempt_enable();
}

/* where the value of an MSR is kept that the guest cannot change without an exit; NULL if not so */
static u64 *vmx_msr_kept(struct vmx_vcpu *vmx, u32 index)
{
	switch (index) {
	case MSR_STAR: return &vmx->user_msr[VMX_MSR_STAR];
	case MSR_LSTAR: return &vmx->user_msr[VMX_MSR_LSTAR];
	case MSR_SYSCALL_MASK: return &vmx->user_msr[VMX_MSR_FMASK];
	case MSR_CSTAR: return &vmx->cstar;
	case MSR_IA32_SPEC_CTRL: return &vmx->entry.spec_guest;
	default: return NULL;
	}
}

/* the field of an MSR that is in the VMCS; 0 if it is none */
static unsigned long vmx_msr_field(u32 index)
{
	switch (index) {
	case MSR_FS_BASE: return GUEST_FS_BASE;
	case MSR_GS_BASE: return GUEST_GS_BASE;
	case MSR_IA32_SYSENTER_CS: return GUEST_SYSENTER_CS;
	case MSR_IA32_SYSENTER_ESP: return GUEST_SYSENTER_ESP;
	case MSR_IA32_SYSENTER_EIP: return GUEST_SYSENTER_EIP;
	case MSR_IA32_DEBUGCTLMSR: return GUEST_IA32_DEBUGCTL;
	default: return 0;
	}
}

/**
 * vmx_get_msr - read an MSR that the processor switches, or that this file does
 * @vcpu: the vCPU
 * @index: which
 * @data: result
 *
 * Return: 0, or 1 when it is not one of those.
 */
int vmx_get_msr(struct vmm_vcpu *vcpu, u32 index, u64 *data)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	const u64 *kept = vmx_msr_kept(vmx, index);
	unsigned long field = vmx_msr_field(index);

	if (kept)
		*data = *kept;
	else if (field)
		*data = vmx_read(vmx, field);
	else if (index == MSR_KERNEL_GS_BASE)
		*data = vmx_get_kernel_gs_base(vmx);
	else
		return 1;
	return 0;
}

/**
 * vmx_set_msr - write an MSR that the processor switches, or that this file does
 * @vcpu: the vCPU
 * @index: which
 * @data: a value that ../msr.c has checked
 *
 * Return: 0, or 1 when it is not one of those, or for a value that the processor would refuse.
 */
int vmx_set_msr(struct vmm_vcpu *vcpu, u32 index, u64 data)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u64 *kept = vmx_msr_kept(vmx, index);
	unsigned long field = vmx_msr_field(index);

	/* bits 63:32 are reserved (SDM vol. 4) */
	if (index == MSR_SYSCALL_MASK && data >> 32)
		return 1;
	if (kept) {
		*kept = data;
		vmx->user_msr_stale = true;
	} else if (field) {
		vmx_write(vmx, field, data);
	} else if (index == MSR_KERNEL_GS_BASE) {
		vmx_set_kernel_gs_base(vmx, data);
	} else {
		return 1;
	}
	return 0;
}
