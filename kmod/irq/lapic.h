/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The local APIC's insides, shared by the files of irq/ (SDM vol. 3, 11; APM vol. 2, 16).
 *
 *	lapic.c		object, modes, priorities: what the run loop asks
 *	lapic_regs.c	the registers as the guest sees them, by MMIO and by MSR
 *	lapic_timer.c	the timer
 *	lapic_state.c	state for userland
 *	lapic_page.c	the page that a processor keeps registers in
 *	ipi.c		messages: IPIs, MSIs, the LINT pins
 */
#ifndef KMOD_IRQ_LAPIC_H
#define KMOD_IRQ_LAPIC_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/hrtimer.h>
#include <linux/types.h>

#include "../vmm.h"
#include "irq.h"

/* IA32_APIC_BASE (SDM vol. 3, 11.4.4) */
#define LAPIC_BASE_BSP		BIT_ULL(8)
#define LAPIC_BASE_EXTD		BIT_ULL(10)
#define LAPIC_BASE_EN		BIT_ULL(11)
#define LAPIC_BASE_MODE		(LAPIC_BASE_EN | LAPIC_BASE_EXTD)
#define LAPIC_BASE_DEFAULT	0xfee00000ULL

/* MSRs served here besides the x2APIC range */
#define LAPIC_MSR_DEADLINE	0x6e0
#define LAPIC_MSR_X2APIC	0x800
#define LAPIC_MSR_X2APIC_LAST	0x8ff

/* registers: offset in the page; MSR number = 0x800 + offset / 16 */
#define LAPIC_ID		0x020
#define LAPIC_VERSION		0x030
#define LAPIC_TPR		0x080
#define LAPIC_PPR		0x0a0
#define LAPIC_EOI		0x0b0
#define LAPIC_LDR		0x0d0
#define LAPIC_DFR		0x0e0
#define LAPIC_SVR		0x0f0
#define LAPIC_ISR		0x100	/* eight registers each */
#define LAPIC_TMR		0x180
#define LAPIC_IRR		0x200
#define LAPIC_ESR		0x280
#define LAPIC_ICR		0x300
#define LAPIC_ICR_HIGH		0x310
#define LAPIC_LVT		0x320	/* LAPIC_NR_LVTS registers */
#define LAPIC_TIMER_COUNT	0x380
#define LAPIC_TIMER_CURRENT	0x390
#define LAPIC_TIMER_DIVIDE	0x3e0
#define LAPIC_SELF_IPI		0x3f0	/* x2APIC mode only */
#define LAPIC_REGS_END		0x400

enum lapic_lvt {
	LAPIC_LVT_TIMER,
	LAPIC_LVT_THERMAL,
	LAPIC_LVT_PERF,
	LAPIC_LVT_LINT0,
	LAPIC_LVT_LINT1,
	LAPIC_LVT_ERROR,
	LAPIC_NR_LVTS,
};

/* version 0x14, six LVT entries, no suppression of EOI broadcasts, no extended space */
#define LAPIC_VERSION_VALUE	(0x14 | (LAPIC_NR_LVTS - 1) << 16)

/* SVR: vector, enable, focus checking (kept, without effect) */
#define LAPIC_SVR_ENABLE	BIT(8)
#define LAPIC_SVR_VALID		0x3ffu
#define LAPIC_SVR_RESET		0xffu

#define LAPIC_DFR_CLUSTER	0x0fffffffu
#define LAPIC_DFR_FLAT		0xffffffffu

/* LVT entries */
#define LAPIC_LVT_VECTOR	0xffu
#define LAPIC_LVT_DM		GENMASK(10, 8)
#define LAPIC_LVT_BUSY		BIT(12)	/* never seen set: delivery is immediate */
#define LAPIC_LVT_POLARITY	BIT(13)
#define LAPIC_LVT_REMOTE_IRR	BIT(14)
#define LAPIC_LVT_LEVEL		BIT(15)
#define LAPIC_LVT_MASKED	BIT(16)
#define LAPIC_LVT_TIMER_MODE	GENMASK(18, 17)
#define LAPIC_TIMER_ONESHOT	0
#define LAPIC_TIMER_PERIODIC	BIT(17)
#define LAPIC_TIMER_DEADLINE	BIT(18)

/* delivery modes, of messages, of the ICR and of LVT entries */
#define LAPIC_DM_FIXED		0
#define LAPIC_DM_LOWEST		1
#define LAPIC_DM_SMI		2
#define LAPIC_DM_REMOTE_READ	3
#define LAPIC_DM_NMI		4
#define LAPIC_DM_INIT		5
#define LAPIC_DM_STARTUP	6
#define LAPIC_DM_EXTINT		7

/*
 * ICR, low half. Bit 12 (busy) reads as zero and is ignored when written, as on Intel's
 * processors.
 */
#define LAPIC_ICR_LOGICAL	BIT(11)
#define LAPIC_ICR_BUSY		BIT(12)
#define LAPIC_ICR_ASSERT	BIT(14)
#define LAPIC_ICR_LEVEL		BIT(15)
#define LAPIC_ICR_VALID		0x000ccfffu

/* ESR */
#define LAPIC_ERR_SEND_VECTOR	BIT(5)
#define LAPIC_ERR_RECV_VECTOR	BIT(6)
#define LAPIC_ERR_REGISTER	BIT(7)
#define LAPIC_ERR_VALID		GENMASK(7, 5)
#define LAPIC_ERR_SIGNALLED	BIT(30)	/* vmm_lapic errors: the error interrupt is not armed */

/* an MSI's address and data (SDM vol. 3, 11.11) */
#define LAPIC_MSI_BASE		0xfee00000ULL
#define LAPIC_MSI_LOGICAL	BIT(2)
#define LAPIC_MSI_REDIRECT	BIT(3)

#define LAPIC_FIRST_VECTOR	16	/* below: illegal */

/*
 * vmm_lapic addr: all that a sender must know of a receiver, in one word, so that it is read at
 * once.
 *	0..31 id    32..39 xAPIC logical id    40 cluster model    41..42 mode   43 software enabled
 */
#define LAPIC_ADDR_LOGICAL_SHIFT	32
#define LAPIC_ADDR_CLUSTER	BIT_ULL(40)
#define LAPIC_ADDR_XAPIC	BIT_ULL(41)
#define LAPIC_ADDR_X2APIC	BIT_ULL(42)
#define LAPIC_ADDR_PRESENT	(LAPIC_ADDR_XAPIC | LAPIC_ADDR_X2APIC)
#define LAPIC_ADDR_ENABLED	BIT_ULL(43)

/* vmm_lapic events */
#define LAPIC_EV_INIT		BIT(8)
#define LAPIC_EV_SIPI		BIT(9)	/* vector in bits 0..7 */

/* vmm_lapic lint, numbers of bits: 0 and 1 are the levels of the pins */
#define LAPIC_LINT_REMOTE_IRR	8	/* LVT LINT0's remote IRR */

#define LAPIC_WORDS		(256 / BITS_PER_LONG)

/* a vCPU's number is its xAPIC id, and 0xff is the broadcast */
static_assert(VMM_MAX_VCPUS <= 0xff, "vCPU numbers must fit in xAPIC ids");

/* shortest period of the periodic timer: a guest cannot make the host spend its time on it */
#define LAPIC_MIN_PERIOD_NS	200000

/**
 * struct vmm_lapic - a local APIC
 * @vcpu: its vCPU [I]
 * @irr: requested; set by anyone, cleared by the owner [a]
 * @tmr: trigger mode of what was last accepted, 1 = level [a]
 * @errors: LAPIC_ERR_* since the last write to ESR, with LAPIC_ERR_SIGNALLED [a]
 * @events: INIT and SIPI that came, LAPIC_EV_* [a]
 * @lint: LAPIC_LINT_* [a]
 * @addr: LAPIC_ADDR_*, written by the owner [a]
 * @lvt: by enum lapic_lvt, without the read-only bits; written by the owner [a]
 * @ppr: processor priority, written by the owner; others read it to arbitrate [a]
 * @isr: in service [o]
 * @isr_top: highest vector in @isr, or -1 [o]
 * @base: IA32_APIC_BASE [o]
 * @icr: ICR as last written; the high half as xAPIC or x2APIC has it [o]
 * @id: xAPIC id [o]
 * @ldr: xAPIC logical id [o]
 * @dfr: [o]
 * @tpr: [o]
 * @svr: [o]
 * @esr: what a read of ESR returns [o]
 * @in_page: what was requested when the processor got it, see lapic_page.c [o]
 * @timer: see lapic_timer.c
 */
struct vmm_lapic {
	struct vmm_vcpu *vcpu;

	unsigned long irr[LAPIC_WORDS] ____cacheline_aligned;
	unsigned long tmr[LAPIC_WORDS];
	atomic_t errors;
	atomic_t events;
	unsigned long lint;

	u64 addr ____cacheline_aligned;
	u32 lvt[LAPIC_NR_LVTS];
	u32 ppr;

	unsigned long isr[LAPIC_WORDS] ____cacheline_aligned;
	int isr_top;
	u64 base;
	u64 icr;
	u8 id;
	u8 ldr;
	u32 dfr;
	u32 tpr;
	u32 svr;
	u32 esr;
	unsigned long in_page[LAPIC_WORDS];

	/**
	 * @timer.hrt: runs only while an expiry would be delivered
	 * @timer.deadline: IA32_TSC_DEADLINE, 0 = disarmed; written by the owner while @hrt is
	 *	stopped, zeroed by @hrt's callback [a]
	 * @timer.expiry: CLOCK_MONOTONIC ns at which the count reaches zero: of a periodic timer,
	 *	some such time [o]
	 * @timer.period: ns of a period, floor applied [o], read by the callback
	 * @timer.count: initial-count register [o]
	 * @timer.divide: divide-configuration register [o]
	 * @timer.running: the count is not zero [o]
	 */
	struct {
		struct hrtimer hrt;
		u64 deadline;
		u64 expiry;
		u64 period;
		u32 count;
		u32 divide;
		bool running;
	} timer;
};

/**
 * struct lapic_msg - an interrupt message
 * @dest: destination id
 * @vector: vector
 * @mode: LAPIC_DM_*
 * @logical: @dest is logical
 * @wide: @dest has x2APIC's 32 bits, otherwise 8
 * @level: trigger mode
 */
struct lapic_msg {
	u32 dest;
	u8 vector;
	u8 mode;
	bool logical;
	bool wide;
	bool level;
};

/*
 * Highest bit, or -1. The map is four words: looking at them costs less than keeping a cache of
 * the answer coherent would.
 */
static inline int lapic_highest(const unsigned long *map)
{
	int i;

	for (i = LAPIC_WORDS - 1; i >= 0; i--) {
		unsigned long word = READ_ONCE(map[i]);

		if (word)
			return i * BITS_PER_LONG + __fls(word);
	}
	return -1;
}

static inline bool lapic_is_x2apic(const struct vmm_lapic *apic)
{
	return (apic->base & LAPIC_BASE_MODE) == LAPIC_BASE_MODE;
}

static inline bool lapic_is_present(const struct vmm_lapic *apic)
{
	return apic->base & LAPIC_BASE_EN;
}

/*
 * x2APIC's logical id: cluster in the high half, one bit for the member in the low one (SDM vol.
 * 3, 11.12.10.2)
 */
static inline u32 lapic_x2apic_ldr(u32 id)
{
	return (id >> 4) << 16 | BIT(id & 15);
}

/*
 * Priority class of TPR and of the interrupt in service, the higher with its sub-class (SDM vol.
 * 3, 11.8.3.1)
 */
static inline u32 lapic_calc_ppr(u32 tpr, int isr_top)
{
	u32 isrv = isr_top < 0 ? 0 : isr_top & 0xf0;

	return (tpr & 0xf0) >= isrv ? tpr : isrv;
}

/* lapic.c */
void vmm_lapic_update_ppr(struct vmm_lapic *apic);
void vmm_lapic_look_again(struct vmm_lapic *apic);
void vmm_lapic_publish(struct vmm_lapic *apic);
void vmm_lapic_eoi(struct vmm_lapic *apic);
void vmm_lapic_set_tpr(struct vmm_lapic *apic, u32 tpr);

/* lapic_regs.c */
u32 vmm_lapic_read_reg(struct vmm_lapic *apic, unsigned int offset);
void vmm_lapic_set_lvt(struct vmm_lapic *apic, enum lapic_lvt i, u32 value);
u32 vmm_lapic_lvt_valid(struct vmm_lapic *apic, enum lapic_lvt i);

/* lapic_timer.c */
void vmm_lapic_timer_init(struct vmm_lapic *apic);
void vmm_lapic_timer_reset(struct vmm_lapic *apic);
void vmm_lapic_timer_set_lvt(struct vmm_lapic *apic, u32 lvt);
void vmm_lapic_timer_set_count(struct vmm_lapic *apic, u32 count);
void vmm_lapic_timer_set_divide(struct vmm_lapic *apic, u32 divide);
u32 vmm_lapic_timer_current(struct vmm_lapic *apic);
u64 vmm_lapic_timer_get_deadline(struct vmm_lapic *apic);
void vmm_lapic_timer_set_deadline(struct vmm_lapic *apic, u64 deadline);
void vmm_lapic_timer_get_state(struct vmm_lapic *apic, struct vmm_lapic_state *state);
void vmm_lapic_timer_set_state(struct vmm_lapic *apic, u32 lvt,
			       const struct vmm_lapic_state *state);

/* ipi.c */
bool vmm_lapic_accept(struct vmm_lapic *apic, u8 vector, bool level);
void vmm_lapic_error(struct vmm_lapic *apic, u32 error);
void vmm_lapic_send_ipi(struct vmm_lapic *apic);
void vmm_lapic_lint0_check(struct vmm_lapic *apic);
int vmm_msi_decode(u64 addr, u32 data, struct lapic_msg *msg);

#endif /* KMOD_IRQ_LAPIC_H */
