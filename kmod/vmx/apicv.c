// SPDX-License-Identifier: GPL-2.0
/*
 * What the processor does of the local APIC by itself (SDM vol. 3, 30), as far as it can and its
 * module parameters let it:
 *
 *	TPR shadow	MOV to and from CR8; an exit when TPR goes below a threshold
 *	x2APIC mode	RDMSR and WRMSR of TPR
 *	APIC registers	RDMSR of the other registers
 *	virtual-interrupt delivery	of requested vectors by priority, WRMSR of EOI and SELF_IPI
 *
 * The registers are in the vCPU's page then, see ../irq/lapic_page.c. MMIO of an xAPIC's guest is
 * emulated, on the same state.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <asm/io.h>

#include "../irq/irq.h"
#include "vmx.h"

#define APICV_MSR(offset)	(0x800 + ((offset) >> 4))
#define APICV_BASE_EXTD		BIT_ULL(10)

/* offsets of registers with a part of their own here */
#define APICV_TPR		0x080
#define APICV_PPR		0x0a0
#define APICV_EOI		0x0b0
#define APICV_ISR		0x100
#define APICV_TMR		0x180
#define APICV_IRR		0x200
#define APICV_MAP_END(offset)	((offset) + 0x80)
#define APICV_SELF_IPI		0x3f0

/* as the common bitmap, for guests in x2APIC mode; NULL: the processor does nothing for them */
static unsigned long *apicv_bitmap;

static void apicv_pass_map(unsigned int offset)
{
	unsigned int end = APICV_MAP_END(offset);

	for (; offset < end; offset += 0x10)
		vmx_bitmap_pass(apicv_bitmap, APICV_MSR(offset), true, false);
}

/**
 * vmx_apicv_init - which MSRs of an x2APIC do not exit. Context: module load.
 *
 * Return: 0 or -ENOMEM.
 */
int vmx_apicv_init(void)
{
	unsigned int i;
	int offset;

	if (!vmx_caps.x2apic)
		return 0;
	apicv_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL);
	if (!apicv_bitmap)
		return -ENOMEM;
	memcpy(apicv_bitmap, phys_to_virt(vmx_msr_bitmap()), PAGE_SIZE);
	vmx_bitmap_pass(apicv_bitmap, APICV_MSR(APICV_TPR), true, true);
	if (vmx_caps.apic_regs) {
		for (i = 0; (offset = vmm_lapic_page_reg(i)) >= 0; i++)
			vmx_bitmap_pass(apicv_bitmap, APICV_MSR(offset), true, false);
		apicv_pass_map(APICV_TMR);
	}
	if (vmx_caps.vid) {
		vmx_bitmap_pass(apicv_bitmap, APICV_MSR(APICV_EOI), false, true);
		vmx_bitmap_pass(apicv_bitmap, APICV_MSR(APICV_SELF_IPI), false, true);
	}
	if (vmx_caps.vid && vmx_caps.apic_regs) {
		vmx_bitmap_pass(apicv_bitmap, APICV_MSR(APICV_PPR), true, false);
		apicv_pass_map(APICV_ISR);
		apicv_pass_map(APICV_IRR);
	}
	return 0;
}

void vmx_apicv_exit(void)
{
	free_page((unsigned long)apicv_bitmap);
	apicv_bitmap = NULL;
}

/**
 * vmx_apicv_reset - the VMCS's part after power-on or INIT
 * @vmx: the vCPU, loaded
 */
void vmx_apicv_reset(struct vmx_vcpu *vmx)
{
	unsigned int i;

	vmx->x2apic = false;
	vmx->proc2 &= ~SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	vmx->tpr_threshold = 0;
	vmx->vmcs_tpr_threshold = 0;
	if (!vmx_caps.tpr_shadow)
		return;
	vmx_write(vmx, VIRTUAL_APIC_PAGE_ADDR, __pa(vmx->apic_page));
	vmx_write(vmx, TPR_THRESHOLD, 0);
	if (!vmx_caps.vid)
		return;
	vmx->irq_status = 0;
	vmx_write(vmx, GUEST_INTR_STATUS, 0);
	for (i = 0; i < ARRAY_SIZE(vmx->eoi_exit); i++) {
		vmx->eoi_exit[i] = 0;
		vmx_write(vmx, EOI_EXIT_BITMAP0 + 2 * i, 0);
	}
}

/* follow the guest into x2APIC mode and out of it */
static void apicv_set_mode(struct vmx_vcpu *vmx)
{
	bool x2apic = vmm_lapic_get_base(&vmx->vcpu) & APICV_BASE_EXTD;

	if (likely(vmx->x2apic == x2apic))
		return;
	vmx->x2apic = x2apic;
	vmx->proc2 ^= SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	vmx_write(vmx, SECONDARY_VM_EXEC_CONTROL, vmx->proc2);
	vmx_write(vmx, MSR_BITMAP, x2apic ? __pa(apicv_bitmap) : vmx_msr_bitmap());
}

static void apicv_put_irqs(struct vmx_vcpu *vmx)
{
	u16 status = vmm_lapic_page_put_irqs(&vmx->vcpu, vmx->apic_page);
	unsigned int i;

	if (vmx->irq_status != status) {
		vmx->irq_status = status;
		vmx_write(vmx, GUEST_INTR_STATUS, status);
	}
	for (i = 0; i < ARRAY_SIZE(vmx->eoi_exit); i++) {
		u64 level = vmm_lapic_level_vectors(&vmx->vcpu, i);

		if (likely(vmx->eoi_exit[i] == level))
			continue;
		vmx->eoi_exit[i] = level;
		vmx_write(vmx, EOI_EXIT_BITMAP0 + 2 * i, level);
	}
}

/* an entry fails with a threshold above TPR (SDM vol. 3, 27.2.1.1) */
static void apicv_put_threshold(struct vmx_vcpu *vmx)
{
	u32 threshold = min_t(u32, vmx->tpr_threshold, vmm_lapic_get_cr8(&vmx->vcpu));

	if (likely(vmx->vmcs_tpr_threshold == threshold))
		return;
	vmx->vmcs_tpr_threshold = threshold;
	vmx_write(vmx, TPR_THRESHOLD, threshold);
}

/**
 * vmx_apicv_prepare_irqoff - the local APIC's registers into the page
 * @vmx: the vCPU, its VMCS current
 *
 * Context: interrupts off.
 */
void vmx_apicv_prepare_irqoff(struct vmx_vcpu *vmx)
{
	if (!vmx_caps.tpr_shadow)
		return;
	vmm_lapic_page_put_tpr(&vmx->vcpu, vmx->apic_page);
	if (vmx_caps.x2apic)
		apicv_set_mode(vmx);
	if (vmx->x2apic && vmx_caps.apic_regs)
		vmm_lapic_page_put_regs(&vmx->vcpu, vmx->apic_page);
	if (vmx_caps.vid)
		apicv_put_irqs(vmx);
	else
		apicv_put_threshold(vmx);
}

/**
 * vmx_apicv_finish_irqoff - and back, after the exit or the entry that failed
 * @vmx: the vCPU
 *
 * Context: interrupts off.
 */
void vmx_apicv_finish_irqoff(struct vmx_vcpu *vmx)
{
	if (!vmx_caps.tpr_shadow)
		return;
	vmm_lapic_page_take_tpr(&vmx->vcpu, vmx->apic_page);
	if (!vmx_caps.vid)
		return;
	vmm_lapic_page_take_irqs(&vmx->vcpu, vmx->apic_page);
	vmx->irq_status = vmx_read(vmx, GUEST_INTR_STATUS);
}

/**
 * vmx_handle_apic_write - the guest wrote what the processor did not want to do alone: a SELF_IPI
 * with an illegal vector
 * @vmx: the vCPU
 *
 * It is in the page, and the instruction is complete. Return: 1.
 */
int vmx_handle_apic_write(struct vmx_vcpu *vmx)
{
	unsigned int offset = vmx_read(vmx, EXIT_QUALIFICATION) & 0xff0;
	u64 value = READ_ONCE(*(u32 *)(vmx->apic_page + offset));

	vmm_lapic_msr(&vmx->vcpu, APICV_MSR(offset), true, &value);
	return 1;
}

/**
 * vmx_handle_eoi_induced - the guest ended an interrupt whose EOI has to be seen
 * @vmx: the vCPU
 *
 * It is in service no more. Return: 1.
 */
int vmx_handle_eoi_induced(struct vmx_vcpu *vmx)
{
	vmm_lapic_eoi_seen(&vmx->vcpu, vmx_read(vmx, EXIT_QUALIFICATION) & 0xff);
	vmm_make_request(&vmx->vcpu, VMM_REQ_EVENT);
	return 1;
}
