// SPDX-License-Identifier: GPL-2.0
/*
 * The page in which a processor keeps registers of the local APIC while the guest runs (SDM vol.
 * 3, 30.1: the virtual-APIC page). It has their layout, so that the processor itself can answer
 * the guest's reads and, where it delivers interrupts by itself, its writes of TPR and EOI.
 *
 * The page counts only while the guest runs. Everything is put into it before an entry and taken
 * out after the exit, so that all others find it where it always is:
 *
 *	irr --put--> page: requested   | processor: requested --> in service --> EOI
 *	irr <-take-- page: requested   |
 *	isr <-take-- page: in service  |
 *
 * What others request meanwhile goes into irr as ever, with a kick that makes the vCPU come out.
 */
#include <linux/string.h>

#include "lapic.h"

/* registers that an x2APIC's guest can read from the page: they change only by its own doing */
static const u16 lapic_page_regs[] = {
	LAPIC_ID, LAPIC_VERSION, LAPIC_LDR, LAPIC_SVR, LAPIC_ESR,
	LAPIC_LVT, LAPIC_LVT + 0x10, LAPIC_LVT + 0x20, LAPIC_LVT + 0x30, LAPIC_LVT + 0x40,
	LAPIC_LVT + 0x50, LAPIC_TIMER_COUNT, LAPIC_TIMER_DIVIDE,
};

static u32 *page_reg(void *page, unsigned int offset)
{
	return page + offset;
}

/* eight registers of 32 vectors each, 16 bytes apart, and four words of 64 */
static void page_put_map(void *page, unsigned int offset, unsigned int word, unsigned long bits)
{
	WRITE_ONCE(*page_reg(page, offset + word * 0x20), (u32)bits);
	WRITE_ONCE(*page_reg(page, offset + word * 0x20 + 0x10), bits >> 32);
}

static unsigned long page_take_map(void *page, unsigned int offset, unsigned int word)
{
	return READ_ONCE(*page_reg(page, offset + word * 0x20)) |
	       (unsigned long)READ_ONCE(*page_reg(page, offset + word * 0x20 + 0x10)) << 32;
}

/**
 * vmm_lapic_page_put_tpr - TPR into the page. Context: the owner, before an entry.
 * @vcpu: the vCPU
 * @page: the page
 */
void vmm_lapic_page_put_tpr(struct vmm_vcpu *vcpu, void *page)
{
	WRITE_ONCE(*page_reg(page, LAPIC_TPR), vcpu->lapic->tpr);
}

/**
 * vmm_lapic_page_take_tpr - TPR from the page; what that lets through is requested. Context: the
 * owner, after an exit.
 * @vcpu: the vCPU
 * @page: the page
 */
void vmm_lapic_page_take_tpr(struct vmm_vcpu *vcpu, void *page)
{
	u32 tpr = READ_ONCE(*page_reg(page, LAPIC_TPR)) & 0xff;

	if (unlikely(tpr != vcpu->lapic->tpr))
		vmm_lapic_set_tpr(vcpu->lapic, tpr);
}

/**
 * vmm_lapic_page_put_regs - what an x2APIC's guest reads without an exit. Context: the owner,
 * before an entry.
 * @vcpu: the vCPU
 * @page: the page
 */
void vmm_lapic_page_put_regs(struct vmm_vcpu *vcpu, void *page)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lapic_page_regs); i++)
		WRITE_ONCE(*page_reg(page, lapic_page_regs[i]),
			   vmm_lapic_read_reg(vcpu->lapic, lapic_page_regs[i]));
	for (i = 0; i < LAPIC_WORDS; i++)
		page_put_map(page, LAPIC_TMR, i, READ_ONCE(vcpu->lapic->tmr[i]));
}

/**
 * vmm_lapic_page_reg - register @i that vmm_lapic_page_put_regs() puts
 * @i: number
 *
 * Return: its offset, or -1 behind the last.
 */
int vmm_lapic_page_reg(unsigned int i)
{
	return i < ARRAY_SIZE(lapic_page_regs) ? lapic_page_regs[i] : -1;
}

/**
 * vmm_lapic_page_put_irqs - hand the interrupts over to the processor, which delivers them
 * @vcpu: the vCPU
 * @page: the page
 *
 * Context: the owner, before an entry. Return: the highest vector that is requested, with the
 * highest in service in bits 15:8; 0 for none.
 */
u16 vmm_lapic_page_put_irqs(struct vmm_vcpu *vcpu, void *page)
{
	struct vmm_lapic *apic = vcpu->lapic;
	unsigned int requested = 0, i;

	for (i = 0; i < LAPIC_WORDS; i++) {
		unsigned long bits = 0;

		if (lapic_is_present(apic) && READ_ONCE(apic->irr[i]))
			bits = xchg(&apic->irr[i], 0);
		if (bits)
			requested = i * BITS_PER_LONG + __fls(bits);
		apic->in_page[i] = bits;
		page_put_map(page, LAPIC_IRR, i, bits);
		page_put_map(page, LAPIC_ISR, i, apic->isr[i]);
	}
	WRITE_ONCE(*page_reg(page, LAPIC_PPR), apic->ppr);
	return requested | (apic->isr_top < 0 ? 0 : apic->isr_top) << 8;
}

static void lapic_irr_or(struct vmm_lapic *apic, unsigned int word, unsigned long bits)
{
	while (bits) {
		unsigned int bit = __ffs(bits);

		bits &= bits - 1;
		set_bit(word * BITS_PER_LONG + bit, apic->irr);
	}
}

/**
 * vmm_lapic_page_take_irqs - take the interrupts back from the processor
 * @vcpu: the vCPU
 * @page: the page
 *
 * Context: the owner, after an exit from an entry that vmm_lapic_page_put_irqs() was called for;
 * TPR has been taken.
 */
void vmm_lapic_page_take_irqs(struct vmm_vcpu *vcpu, void *page)
{
	struct vmm_lapic *apic = vcpu->lapic;
	unsigned int delivered = 0, i;

	for (i = 0; i < LAPIC_WORDS; i++) {
		unsigned long requested = page_take_map(page, LAPIC_IRR, i);

		lapic_irr_or(apic, i, requested);
		delivered += hweight_long(apic->in_page[i] & ~requested);
		apic->isr[i] = page_take_map(page, LAPIC_ISR, i);
	}
	apic->isr_top = lapic_highest(apic->isr);
	vmm_lapic_update_ppr(apic);
	if (delivered)
		WRITE_ONCE(vcpu->stat[VMM_STAT_IRQ_INJECTED],
			   vcpu->stat[VMM_STAT_IRQ_INJECTED] + delivered);
}

/**
 * vmm_lapic_level_vectors - vectors whose EOI has to be seen, for they are level-triggered
 * @vcpu: the vCPU
 * @word: which 64 of them
 *
 * Context: the owner.
 */
u64 vmm_lapic_level_vectors(struct vmm_vcpu *vcpu, unsigned int word)
{
	return READ_ONCE(vcpu->lapic->tmr[word]);
}
