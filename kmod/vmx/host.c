// SPDX-License-Identifier: GPL-2.0
/*
 * The host's state around a guest (SDM vol. 3, 25.5 and 28.5).
 *
 * VM exits load it from the VMCS, but not all: the limits of GDTR and IDTR become 0xffff, that of
 * TR 0x67, LDTR becomes null, selectors cannot name the LDT or user mode's segments, and user
 * mode's GS base is left alone. The kernel itself needs none of these, so they are put back when
 * the thread leaves the CPU or VMM_RUN, not after each exit.
 */
#include <linux/percpu.h>
#include <linux/sched.h>
#include <asm/cpu_entry_area.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/mmu_context.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/segment.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>

#include "vmx.h"

/**
 * vmx_host_constant - what is the same on every CPU and in every thread
 * @vmx: the vCPU, loaded
 *
 * Context: the owner.
 */
void vmx_host_constant(struct vmx_vcpu *vmx)
{
	u64 value;

	vmx_write(vmx, HOST_CS_SELECTOR, __KERNEL_CS);
	vmx_write(vmx, HOST_SS_SELECTOR, __KERNEL_DS);
	vmx_write(vmx, HOST_DS_SELECTOR, 0);
	vmx_write(vmx, HOST_ES_SELECTOR, 0);
	vmx_write(vmx, HOST_FS_SELECTOR, 0);
	vmx_write(vmx, HOST_GS_SELECTOR, 0);
	vmx_write(vmx, HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	vmx_write(vmx, HOST_RIP, (unsigned long)vmx_vmexit);
	vmx_write(vmx, HOST_CR0, read_cr0() & ~X86_CR0_TS);

	rdmsrl(MSR_IA32_SYSENTER_CS, value);
	vmx_write(vmx, HOST_IA32_SYSENTER_CS, value);
	rdmsrl(MSR_IA32_SYSENTER_EIP, value);
	vmx_write(vmx, HOST_IA32_SYSENTER_EIP, value);
	rdmsrl(MSR_EFER, value);
	vmx_write(vmx, HOST_IA32_EFER, value);
	rdmsrl(MSR_IA32_CR_PAT, value);
	vmx_write(vmx, HOST_IA32_PAT, value);

	/* none of these is set */
	vmx->host_cr3 = 0;
	vmx->host_cr4 = 0;
	vmx->entry.host_rsp = 0;
}

/**
 * vmx_host_cpu - what differs between CPUs
 * @vmx: the vCPU, loaded on this CPU
 *
 * Context: preemption off.
 */
void vmx_host_cpu(struct vmx_vcpu *vmx)
{
	int cpu = smp_processor_id();
	struct desc_ptr idt;
	u64 value;

	store_idt(&idt);
	vmx_write(vmx, HOST_IDTR_BASE, idt.address);
	vmx_write(vmx, HOST_GDTR_BASE, (unsigned long)get_current_gdt_ro());
	vmx_write(vmx, HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	rdmsrl(MSR_IA32_SYSENTER_ESP, value);
	vmx_write(vmx, HOST_IA32_SYSENTER_ESP, value);
	rdmsrl(MSR_GS_BASE, value);
	vmx_write(vmx, HOST_GS_BASE, value);
}

/* a selector that a VM exit can load: no LDT, RPL 0; others are loaded by vmx_host_restore() */
static u16 vmx_host_selector(u16 selector)
{
	return selector & 7 ? 0 : selector;
}

static void vmx_host_save_segments(struct vmx_vcpu *vmx)
{
	struct vmx_host *host = &vmx->host;

	savesegment(ds, host->ds);
	savesegment(es, host->es);
	store_ldt(host->ldt);
	store_idt(&host->idt);
	current_save_fsgs();
	host->fs = current->thread.fsindex;
	host->gs = current->thread.gsindex;
	host->kernel_gs_base = current->thread.gsbase;

	vmx_write(vmx, HOST_DS_SELECTOR, vmx_host_selector(host->ds));
	vmx_write(vmx, HOST_ES_SELECTOR, vmx_host_selector(host->es));
	vmx_write(vmx, HOST_FS_SELECTOR, vmx_host_selector(host->fs));
	vmx_write(vmx, HOST_GS_SELECTOR, vmx_host_selector(host->gs));
	vmx_write(vmx, HOST_FS_BASE, current->thread.fsbase);
}

/**
 * vmx_host_save_irqoff - note the host's state before an entry
 * @vmx: the vCPU, its VMCS current
 *
 * The segments stay as they are while the thread is in VMM_RUN on this CPU; CR3 (another PCID) and
 * CR4 may change under it.
 *
 * Context: interrupts off.
 */
void vmx_host_save_irqoff(struct vmx_vcpu *vmx)
{
	unsigned long cr3 = __get_current_cr3_fast(), cr4 = cr4_read_shadow();

	if (!vmx->host.loaded) {
		vmx_host_save_segments(vmx);
		wrmsrl(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
		vmx->host.loaded = true;
		vmx->user_msr_stale = true;
	}
	if (vmx->host_cr3 != cr3) {
		vmx_write(vmx, HOST_CR3, cr3);
		vmx->host_cr3 = cr3;
	}
	if (vmx->host_cr4 != cr4) {
		vmx_write(vmx, HOST_CR4, cr4);
		vmx->host_cr4 = cr4;
	}
}

/**
 * vmx_host_restore - put back what VM exits have not
 * @vmx: the vCPU, on the CPU where it was last
 *
 * Context: preemption off; interrupts may be.
 */
void vmx_host_restore(struct vmx_vcpu *vmx)
{
	struct vmx_host *host = &vmx->host;
	unsigned long flags;

	if (!host->loaded)
		return;
	local_irq_save(flags);
	host->loaded = false;
	rdmsrl(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);

	/* the descriptor tables before the selectors */
	load_fixmap_gdt(smp_processor_id());
	load_idt(&host->idt);
	if (host->ldt)
		asm volatile("lldt %0" : : "r"(host->ldt));
	if (host->fs & 7)
		loadsegment(fs, host->fs);
	if (host->gs & 7)
		load_gs_index(host->gs);
	if ((host->ds | host->es) & 7) {
		loadsegment(ds, host->ds);
		loadsegment(es, host->es);
	}
	invalidate_tss_limit();
	wrmsrl(MSR_KERNEL_GS_BASE, host->kernel_gs_base);
	local_irq_restore(flags);
}
