/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM with local APICs and nothing else. world_start() makes a new one; what the APICs tell the
 * rest of vmm is recorded.
 */
#ifndef UNIT_LAPIC_WORLD_H
#define UNIT_LAPIC_WORLD_H

#include "../../../kmod/irq/lapic.h"
#include "unit.h"

#define WORLD_VCPUS	8

struct world_vcpu {
	struct vmm_vcpu vcpu;
	unsigned int kicks;
	unsigned int nmis;
	unsigned int eois;	/* of level-triggered interrupts */
	int last_eoi;
};

struct world {
	struct vmm_vm vm;
	struct world_vcpu v[WORLD_VCPUS];
	u64 tsc_offset;
	u64 tsc_khz;
	bool no_x2apic;
	bool no_deadline;
};

extern struct world w;

void world_start(unsigned int nr_vcpus);

static inline struct vmm_vcpu *cpu(unsigned int i)
{
	return &w.v[i].vcpu;
}

/* MMIO, four bytes */
u32 rd(unsigned int i, unsigned int offset);
void wr(unsigned int i, unsigned int offset, u32 value);

/* MSRs: return 1 for #GP */
int rdmsr(unsigned int i, u32 index, u64 *value);
int wrmsr(unsigned int i, u32 index, u64 value);

/* IA32_APIC_BASE, as the guest writes it */
int set_mode(unsigned int i, u64 mode);

/* software enable with spurious vector 0xff */
void enable(unsigned int i);

/* the whole way of a deliverable interrupt into the vCPU; returns its vector or -1 */
int take(unsigned int i);

/* is this vector requested? */
bool irr(unsigned int i, u8 vector);

/* take a request of the vCPU's */
bool request(unsigned int i, enum vmm_request req);

#endif
