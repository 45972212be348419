// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's registers as the guest sees them: a page of memory in xAPIC mode (SDM vol. 3,
 * 11.4.1), MSRs in x2APIC mode (11.12.1).
 */
#include <linux/nospec.h>
#include <linux/string.h>

#include "lapic.h"

/**
 * vmm_lapic_lvt_valid - the bits of an LVT entry that software can write
 * @apic: the local APIC
 * @i: which entry
 *
 * Context: the owner. Returns the mask; the read-only bits, busy and remote IRR, are not in it.
 */
u32 vmm_lapic_lvt_valid(struct vmm_lapic *apic, enum lapic_lvt i)
{
	u32 valid = LAPIC_LVT_VECTOR | LAPIC_LVT_MASKED;

	switch (i) {
	case LAPIC_LVT_TIMER:
		valid |= LAPIC_TIMER_PERIODIC;
		if (vmm_guest_has_tsc_deadline(apic->vcpu))
			valid |= LAPIC_TIMER_DEADLINE;
		return valid;
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
		return valid | LAPIC_LVT_DM | LAPIC_LVT_POLARITY | LAPIC_LVT_LEVEL;
	case LAPIC_LVT_ERROR:
		return valid;
	default:
		return valid | LAPIC_LVT_DM;
	}
}

static bool lapic_is_lvt(unsigned int offset)
{
	return offset >= LAPIC_LVT && offset < LAPIC_LVT + LAPIC_NR_LVTS * 16;
}

/* @offset is that of an LVT entry */
static enum lapic_lvt lapic_lvt_index(unsigned int offset)
{
	return array_index_nospec((offset - LAPIC_LVT) >> 4, LAPIC_NR_LVTS);
}

/* Is there a register at this offset of the page? */
static bool lapic_exists(unsigned int offset)
{
	switch (offset) {
	case LAPIC_ID:
	case LAPIC_VERSION:
	case LAPIC_TPR:
	case LAPIC_PPR:
	case LAPIC_EOI:
	case LAPIC_LDR:
	case LAPIC_DFR:
	case LAPIC_SVR:
	case LAPIC_ESR:
	case LAPIC_ICR:
	case LAPIC_ICR_HIGH:
	case LAPIC_TIMER_COUNT:
	case LAPIC_TIMER_CURRENT:
	case LAPIC_TIMER_DIVIDE:
		return true;
	default:
		return (offset >= LAPIC_ISR && offset < LAPIC_ESR) || lapic_is_lvt(offset);
	}
}

/* 32 bits of a map of vectors; @index 0 .. 7 */
static u32 lapic_map_word(const unsigned long *map, unsigned int index)
{
	return READ_ONCE(map[index * 32 / BITS_PER_LONG]) >> (index * 32 % BITS_PER_LONG);
}

/**
 * vmm_lapic_read_reg - value of a register
 * @apic: the local APIC
 * @offset: its offset in the page, a multiple of 16
 *
 * ID, LDR and ICR are as the present mode has them. Reading has no side effect.
 *
 * Context: the owner. Returns the value; 0 where there is no register, and of a write-only one.
 */
u32 vmm_lapic_read_reg(struct vmm_lapic *apic, unsigned int offset)
{
	bool x2apic = lapic_is_x2apic(apic);
	unsigned int i = (offset >> 4) & 7;
	u32 value;

	switch (offset) {
	case LAPIC_ID:
		return x2apic ? apic->vcpu->id : (u32)apic->id << 24;
	case LAPIC_VERSION:
		return LAPIC_VERSION_VALUE;
	case LAPIC_TPR:
		return apic->tpr;
	case LAPIC_PPR:
		return apic->ppr;
	case LAPIC_LDR:
		return x2apic ? lapic_x2apic_ldr(apic->vcpu->id) : (u32)apic->ldr << 24;
	case LAPIC_DFR:
		return apic->dfr;
	case LAPIC_SVR:
		return apic->svr;
	case LAPIC_ISR ... LAPIC_TMR - 16:
		return lapic_map_word(apic->isr, i);
	case LAPIC_TMR ... LAPIC_IRR - 16:
		return lapic_map_word(apic->tmr, i);
	case LAPIC_IRR ... LAPIC_ESR - 16:
		return lapic_map_word(apic->irr, i);
	case LAPIC_ESR:
		return apic->esr;
	case LAPIC_ICR:
		return apic->icr;
	case LAPIC_ICR_HIGH:
		return apic->icr >> 32;
	case LAPIC_TIMER_COUNT:
		return apic->timer.count;
	case LAPIC_TIMER_CURRENT:
		return vmm_lapic_timer_current(apic);
	case LAPIC_TIMER_DIVIDE:
		return apic->timer.divide;
	}
	if (!lapic_is_lvt(offset))
		return 0;
	i = lapic_lvt_index(offset);
	value = apic->lvt[i];
	if (i == LAPIC_LVT_LINT0 && test_bit(LAPIC_LINT_REMOTE_IRR, &apic->lint))
		value |= LAPIC_LVT_REMOTE_IRR;
	return value;
}

/**
 * vmm_lapic_set_lvt - write an LVT entry (SDM vol. 3, 11.5.1)
 * @apic: the local APIC
 * @i: which entry
 * @value: the value; bits that software cannot write are ignored
 *
 * While the APIC is software disabled the mask bit stays set.
 *
 * Context: the owner.
 */
void vmm_lapic_set_lvt(struct vmm_lapic *apic, enum lapic_lvt i, u32 value)
{
	value &= vmm_lapic_lvt_valid(apic, i);
	if (!(apic->svr & LAPIC_SVR_ENABLE))
		value |= LAPIC_LVT_MASKED;

	if (i == LAPIC_LVT_TIMER) {
		vmm_lapic_timer_set_lvt(apic, value);
		return;
	}
	/* before the pin is looked at; pairs with vmm_set_lint() */
	smp_store_mb(apic->lvt[i], value);
	if (i == LAPIC_LVT_LINT0)
		vmm_lapic_lint0_check(apic);
}

static void lapic_set_svr(struct vmm_lapic *apic, u32 value)
{
	u32 changed = apic->svr ^ value;
	int i;

	apic->svr = value;
	if (!(changed & LAPIC_SVR_ENABLE))
		return;
	/* disabling masks every LVT entry; enabling leaves them masked (SDM vol. 3, 11.4.7.2) */
	if (!(value & LAPIC_SVR_ENABLE))
		for (i = 0; i < LAPIC_NR_LVTS; i++)
			vmm_lapic_set_lvt(apic, i, apic->lvt[i]);
	vmm_lapic_publish(apic);
	vmm_make_request(apic->vcpu, VMM_REQ_EVENT);
}

/*
 * Writes a register that is in the page. What cannot be written, or only in the other mode, was
 * sorted out by the caller or is ignored.
 */
static void lapic_write_reg(struct vmm_lapic *apic, unsigned int offset, u32 value)
{
	switch (offset) {
	case LAPIC_ID:
		apic->id = value >> 24;
		vmm_lapic_publish(apic);
		break;
	case LAPIC_TPR:
		vmm_lapic_set_tpr(apic, value & 0xff);
		break;
	case LAPIC_EOI:
		vmm_lapic_eoi(apic);
		break;
	case LAPIC_LDR:
		apic->ldr = value >> 24;
		vmm_lapic_publish(apic);
		break;
	case LAPIC_DFR:
		/* two models are defined; bits 27:0 read as ones (SDM vol. 3, 11.6.2.2) */
		apic->dfr = value >> 28 ? LAPIC_DFR_FLAT : LAPIC_DFR_CLUSTER;
		vmm_lapic_publish(apic);
		break;
	case LAPIC_SVR:
		lapic_set_svr(apic, value & LAPIC_SVR_VALID);
		break;
	case LAPIC_ESR:
		/*
		 * a write shows what was seen since the last one and arms the interrupt again
		 * (SDM vol. 3, 11.5.3)
		 */
		apic->esr = atomic_xchg(&apic->errors, 0) & LAPIC_ERR_VALID;
		break;
	case LAPIC_ICR:
		apic->icr = (apic->icr & ~0xffffffffULL) | (value & LAPIC_ICR_VALID);
		vmm_lapic_send_ipi(apic);
		break;
	case LAPIC_ICR_HIGH:
		apic->icr = (u64)(value & 0xff000000) << 32 | (u32)apic->icr;
		break;
	case LAPIC_TIMER_COUNT:
		vmm_lapic_timer_set_count(apic, value);
		break;
	case LAPIC_TIMER_DIVIDE:
		vmm_lapic_timer_set_divide(apic, value & 0xb);
		break;
	default:
		if (lapic_is_lvt(offset))
			vmm_lapic_set_lvt(apic, lapic_lvt_index(offset), value);
	}
}

/**
 * vmm_lapic_mmio - a guest's access to the register page (SDM vol. 3, 11.4.1; APM vol. 2, 16.3.2)
 * @vcpu: the vCPU, its APIC in xAPIC mode
 * @offset: offset in the page
 * @is_write: direction
 * @data: @len bytes, little-endian, read from or written to
 * @len: bytes
 *
 * Registers are four bytes at multiples of 16, made for aligned accesses of four bytes. The
 * manuals leave other accesses undefined. Here other reads get the bytes of the register that
 * they cover and zeros elsewhere, as processors commonly do, and other writes are ignored.
 * Reading or writing where there is no register sets the ESR's illegal-register bit; writes to
 * read-only registers are ignored.
 *
 * Context: the owner.
 */
void vmm_lapic_mmio(struct vmm_vcpu *vcpu, unsigned int offset, bool is_write, void *data,
		    unsigned int len)
{
	struct vmm_lapic *apic = vcpu->lapic;
	unsigned int reg = offset & 0xff0;
	unsigned int first = offset & 0xf;
	bool exists = lapic_exists(reg);
	u32 value;

	if (!exists)
		vmm_lapic_error(apic, LAPIC_ERR_REGISTER);

	if (is_write) {
		if (!exists || first || len != sizeof(value))
			return;
		memcpy(&value, data, sizeof(value));
		lapic_write_reg(apic, reg, value);
		return;
	}
	memset(data, 0, len);
	if (!exists || first >= sizeof(value))
		return;
	value = vmm_lapic_read_reg(apic, reg) >> (first * 8);
	memcpy(data, &value, min_t(size_t, len, sizeof(value) - first));
}

/* Can it be read by RDMSR? (SDM vol. 3, table 11-6) */
static bool lapic_msr_readable(unsigned int offset)
{
	switch (offset) {
	case LAPIC_EOI:
	case LAPIC_DFR:
	case LAPIC_ICR_HIGH:
		return false;
	default:
		return lapic_exists(offset);
	}
}

/* Can it be written by WRMSR, and what bits may then be set? */
static bool lapic_msr_writable(struct vmm_lapic *apic, unsigned int offset, u64 *bits)
{
	switch (offset) {
	case LAPIC_TPR:
	case LAPIC_SELF_IPI:
		*bits = 0xff;
		return true;
	case LAPIC_EOI:
	case LAPIC_ESR:
		*bits = 0;
		return true;
	case LAPIC_SVR:
		*bits = LAPIC_SVR_VALID;
		return true;
	case LAPIC_ICR:
		*bits = ~0xffffffffULL | LAPIC_ICR_VALID | LAPIC_ICR_BUSY;
		return true;
	case LAPIC_TIMER_COUNT:
		*bits = ~0u;
		return true;
	case LAPIC_TIMER_DIVIDE:
		*bits = 0xb;
		return true;
	}
	if (!lapic_is_lvt(offset))
		return false;
	*bits = vmm_lapic_lvt_valid(apic, lapic_lvt_index(offset)) | LAPIC_LVT_BUSY;
	if (*bits & LAPIC_LVT_LEVEL)
		*bits |= LAPIC_LVT_REMOTE_IRR;
	return true;
}

static int lapic_x2apic_msr(struct vmm_lapic *apic, unsigned int offset, bool is_write, u64 *data)
{
	u64 bits;

	if (!lapic_is_x2apic(apic))
		return 1;
	if (!is_write) {
		if (!lapic_msr_readable(offset))
			return 1;
		*data = offset == LAPIC_ICR ? apic->icr : vmm_lapic_read_reg(apic, offset);
		return 0;
	}

	if (!lapic_msr_writable(apic, offset, &bits) || (*data & ~bits))
		return 1;
	switch (offset) {
	case LAPIC_ICR:
		apic->icr = *data & ~(u64)LAPIC_ICR_BUSY;
		vmm_lapic_send_ipi(apic);
		return 0;
	case LAPIC_SELF_IPI:
		if (*data < LAPIC_FIRST_VECTOR)
			vmm_lapic_error(apic, LAPIC_ERR_SEND_VECTOR);
		else if (apic->svr & LAPIC_SVR_ENABLE)
			vmm_lapic_accept(apic, *data, false);
		return 0;
	default:
		lapic_write_reg(apic, offset, *data);
		return 0;
	}
}

/**
 * vmm_lapic_msr - a guest's access to an MSR of the local APIC (SDM vol. 3, 11.12.1 and 11.5.4.1;
 * APM vol. 2, 16.11)
 * @vcpu: the vCPU
 * @index: 0x800 .. 0x8ff (x2APIC), or 0x6e0 (IA32_TSC_DEADLINE)
 * @is_write: direction
 * @data: the value to write, or where to put the one read
 *
 * Context: the owner; with interrupts off too, for the registers that have nothing to do with the
 * timer. Returns 0, or 1 for #GP: no such register in this mode, the wrong direction, or a
 * reserved bit.
 */
int vmm_lapic_msr(struct vmm_vcpu *vcpu, u32 index, bool is_write, u64 *data)
{
	struct vmm_lapic *apic = vcpu->lapic;

	if (index == LAPIC_MSR_DEADLINE) {
		if (!vmm_guest_has_tsc_deadline(vcpu))
			return 1;
		if (is_write)
			vmm_lapic_timer_set_deadline(apic, *data);
		else
			*data = vmm_lapic_timer_get_deadline(apic);
		return 0;
	}
	if (index < LAPIC_MSR_X2APIC || index > LAPIC_MSR_X2APIC_LAST)
		return 1;
	return lapic_x2apic_msr(apic, (index - LAPIC_MSR_X2APIC) << 4, is_write, data);
}
