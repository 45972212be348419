// SPDX-License-Identifier: GPL-2.0
#include "world.h"

struct world w;
u64 clock_ns;
struct hrtimer *clock_timers;

void world_start(unsigned int nr_vcpus)
{
	unsigned int i;

	for (i = 0; i < WORLD_VCPUS; i++)
		vmm_lapic_free(cpu(i));
	memset(&w, 0, sizeof(w));
	clock_ns = 1000000000;
	clock_timers = NULL;
	w.tsc_khz = 2000000;
	for (i = 0; i < nr_vcpus; i++) {
		cpu(i)->vm = &w.vm;
		cpu(i)->id = i;
		w.v[i].last_eoi = -1;
		if (vmm_lapic_create(cpu(i)))
			abort();
		w.vm.vcpus[i] = cpu(i);
	}
	w.vm.nr_vcpus = nr_vcpus;
}

/* The test's time goes on, timers fire in the order of their expiry, each at its time */
void clock_advance(u64 ns)
{
	u64 end = clock_ns + ns;

	for (;;) {
		struct hrtimer *hrt, *first = NULL;

		for (hrt = clock_timers; hrt; hrt = hrt->next)
			if (hrt->queued && (!first || hrt->expires < first->expires))
				first = hrt;
		if (!first || first->expires > end)
			break;
		clock_ns = max(clock_ns, first->expires);
		first->queued = false;
		if (first->function(first) == HRTIMER_RESTART)
			first->queued = true;
	}
	clock_ns = end;
}

/* ---- what the APICs need of vmm ---- */

static struct world_vcpu *of(struct vmm_vcpu *vcpu)
{
	return container_of(vcpu, struct world_vcpu, vcpu);
}

void vmm_vcpu_kick(struct vmm_vcpu *vcpu)
{
	of(vcpu)->kicks++;
}

void vmm_vcpu_queue_nmi(struct vmm_vcpu *vcpu)
{
	of(vcpu)->nmis++;
}

void vmm_irq_eoi_level(struct vmm_vcpu *vcpu, u8 vector)
{
	of(vcpu)->eois++;
	of(vcpu)->last_eoi = vector;
}

u64 vmm_tsc_khz(void)
{
	return w.tsc_khz;
}

u64 vmm_guest_tsc(struct vmm_vcpu *vcpu)
{
	return (u64)((__uint128_t)clock_ns * w.tsc_khz / 1000000) + w.tsc_offset;
}

bool vmm_guest_has_x2apic(struct vmm_vcpu *vcpu)
{
	return !w.no_x2apic;
}

bool vmm_guest_has_tsc_deadline(struct vmm_vcpu *vcpu)
{
	return !w.no_deadline;
}

unsigned int vmm_guest_maxphyaddr(struct vmm_vcpu *vcpu)
{
	return 40;
}

/* ---- short forms ---- */

u32 rd(unsigned int i, unsigned int offset)
{
	u32 value = 0xdeadbeef;

	vmm_lapic_mmio(cpu(i), offset, false, &value, sizeof(value));
	return value;
}

void wr(unsigned int i, unsigned int offset, u32 value)
{
	vmm_lapic_mmio(cpu(i), offset, true, &value, sizeof(value));
}

int rdmsr(unsigned int i, u32 index, u64 *value)
{
	return vmm_lapic_msr(cpu(i), index, false, value);
}

int wrmsr(unsigned int i, u32 index, u64 value)
{
	return vmm_lapic_msr(cpu(i), index, true, &value);
}

int set_mode(unsigned int i, u64 mode)
{
	return vmm_lapic_set_base(cpu(i), LAPIC_BASE_DEFAULT | mode, false);
}

void enable(unsigned int i)
{
	wr(i, LAPIC_SVR, 0x1ff);
}

int take(unsigned int i)
{
	int vector = vmm_lapic_pending(cpu(i));

	if (vector >= 0)
		vmm_lapic_ack(cpu(i), vector);
	return vector;
}

bool irr(unsigned int i, u8 vector)
{
	return test_bit(vector, cpu(i)->lapic->irr);
}

bool request(unsigned int i, enum vmm_request req)
{
	return vmm_take_request(cpu(i), req);
}

UNIT_MAIN()
