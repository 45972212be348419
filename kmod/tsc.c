// SPDX-License-Identifier: GPL-2.0
/*
 * Time as the guest sees it: its TSC, and the paravirtual clock with KVM's ABI.
 *
 * One pair (guest TSC, ns) rules the whole VM. Every vCPU's clock page says the same line
 * through that pair, shifted by the vCPU's own TSC_ADJUST, so that clocks agree between vCPUs
 * and no page has to be refreshed while the pair stays.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/timekeeping.h>
#include <asm/msr.h>
#include <asm/pvclock-abi.h>
#include <asm/tsc.h>

#include "irq/irq.h"
#include "mmu/mmu.h"
#include "x86.h"
#include "x86_ops.h"

#define VMM_CLOCK_ENABLE	BIT(0)	/* MSR_KVM_SYSTEM_TIME_NEW */

/**
 * vmm_tsc_khz - frequency of every guest's TSC, that of the host, in kHz. Context: any.
 */
u64 vmm_tsc_khz(void)
{
	return tsc_khz;
}

/**
 * vmm_tsc_vm_init - a new VM's TSC and clock start at 0 now
 * @vm: the VM, not visible yet
 */
void vmm_tsc_vm_init(struct vmm_vm *vm)
{
	spin_lock_init(&vm->clock_lock);
	vm->tsc_offset = -rdtsc_ordered();
	vm->clock_tsc = 0;
	vm->clock_ns = 0;
}

static u64 vmm_tsc_offset(struct vmm_vm *vm)
{
	return READ_ONCE(vm->tsc_offset);
}

/**
 * vmm_guest_tsc - what the guest's RDTSC would return now. Context: any.
 * @vcpu: the vCPU
 */
u64 vmm_guest_tsc(struct vmm_vcpu *vcpu)
{
	return rdtsc_ordered() + vmm_tsc_offset(vcpu->vm) + READ_ONCE(vcpu->tsc_adjust);
}

/**
 * vmm_tsc_update - tell the processor the vCPU's TSC offset. Context: the owner.
 * @vcpu: the vCPU
 */
void vmm_tsc_update(struct vmm_vcpu *vcpu)
{
	vmm_x86(set_tsc_offset)(vcpu, vmm_tsc_offset(vcpu->vm) + vcpu->tsc_adjust);
	vmm_lapic_tsc_changed(vcpu);
}

/**
 * vmm_tsc_set - write IA32_TSC or IA32_TSC_ADJUST (SDM vol. 3, 18.17.3)
 * @vcpu: the vCPU
 * @value: of the register
 * @adjust: it is TSC_ADJUST
 *
 * A write to either moves the other by as much. Context: the owner.
 */
void vmm_tsc_set(struct vmm_vcpu *vcpu, u64 value, bool adjust)
{
	if (adjust)
		WRITE_ONCE(vcpu->tsc_adjust, value);
	else
		WRITE_ONCE(vcpu->tsc_adjust, vcpu->tsc_adjust + value - vmm_guest_tsc(vcpu));
	vmm_tsc_update(vcpu);
	vmm_make_request(vcpu, VMM_REQ_CLOCK);
}

/* ns = ((ticks << shift) * mul) >> 32, shift negative for right; mul as large as fits */
static void vmm_clock_scale(u32 *mul, s8 *shift)
{
	u64 hz = (u64)tsc_khz * 1000;

	*shift = 0;
	while (hz > 2ull * NSEC_PER_SEC) {
		hz >>= 1;
		(*shift)--;
	}
	while (hz <= NSEC_PER_SEC) {
		hz <<= 1;
		(*shift)++;
	}
	*mul = div64_u64((u64)NSEC_PER_SEC << 32, hz);
}

static u64 vmm_clock_ticks_to_ns(u64 ticks)
{
	u32 mul;
	s8 shift;

	vmm_clock_scale(&mul, &shift);
	ticks = shift < 0 ? ticks >> -shift : ticks << shift;
	return mul_u64_u32_shr(ticks, mul, 32);
}

/* a consistent copy of the pair and of the offset */
static void vmm_clock_pair(struct vmm_vm *vm, u64 *offset, u64 *tsc, u64 *ns)
{
	spin_lock(&vm->clock_lock);
	*offset = vm->tsc_offset;
	*tsc = vm->clock_tsc;
	*ns = vm->clock_ns;
	spin_unlock(&vm->clock_lock);
}

static u64 vmm_clock_now(struct vmm_vm *vm, u64 *guest_tsc)
{
	u64 offset, tsc, ns, now;

	vmm_clock_pair(vm, &offset, &tsc, &ns);
	now = rdtsc_ordered() + offset;
	if (guest_tsc)
		*guest_tsc = now;
	return ns + vmm_clock_ticks_to_ns(now - tsc);
}

/**
 * vmm_clock_write - the guest wrote MSR_KVM_SYSTEM_TIME_NEW: where its clock page is, and
 * whether
 * @vcpu: the vCPU
 * @data: guest physical address, 4-byte aligned, bit 0 = on
 *
 * Return: 0, or 1 for #GP. An address outside memory is accepted, as it is by others, and
 * nothing is written there.
 */
int vmm_clock_write(struct vmm_vcpu *vcpu, u64 data)
{
	if (data & 2)
		return 1;
	vcpu->clock_msr = data;
	vmm_make_request(vcpu, VMM_REQ_CLOCK);
	return 0;
}

/**
 * vmm_clock_update - write the vCPU's clock page
 * @vcpu: the vCPU
 *
 * The version is odd while the rest is not whole; only the vCPU itself reads its page, and it
 * is not running now.
 *
 * Context: the owner, vm->srcu held for reading; may sleep.
 */
void vmm_clock_update(struct vmm_vcpu *vcpu)
{
	struct pvclock_vcpu_time_info page = {};
	gpa_t gpa = vcpu->clock_msr & ~3ull;
	u64 offset, tsc, ns;
	u32 version;

	if (!(vcpu->clock_msr & VMM_CLOCK_ENABLE))
		return;
	if (vmm_guest_read(vcpu->vm, gpa, &version, sizeof(version)))
		return;
	vmm_clock_pair(vcpu->vm, &offset, &tsc, &ns);

	page.version = (version | 1) + 2;
	if (vmm_guest_write(vcpu->vm, gpa, &page.version, sizeof(page.version)))
		return;
	page.tsc_timestamp = tsc + vcpu->tsc_adjust;
	page.system_time = ns;
	vmm_clock_scale(&page.tsc_to_system_mul, &page.tsc_shift);
	page.flags = vmm_caps.tsc_stable ? PVCLOCK_TSC_STABLE_BIT : 0;
	/*
	 * The odd version before the contents, the contents before the even one; the guest's reads
	 * pair with both.
	 */
	smp_wmb();
	if (vmm_guest_write(vcpu->vm, gpa, &page, sizeof(page)))
		return;
	/* see above */
	smp_wmb();
	page.version++;
	vmm_guest_write(vcpu->vm, gpa, &page.version, sizeof(page.version));
}

/**
 * vmm_clock_write_wall - the guest wrote MSR_KVM_WALL_CLOCK_NEW: write there the wall time at
 * which its clock was 0
 * @vcpu: the vCPU
 * @data: guest physical address
 *
 * Context: the owner, vm->srcu held for reading; may sleep. Return: 0, or 1 for #GP.
 */
int vmm_clock_write_wall(struct vmm_vcpu *vcpu, u64 data)
{
	struct pvclock_wall_clock wall = {};
	u64 boot_ns;
	u32 rem;

	if (data & 3)
		return 1;
	if (vmm_guest_read(vcpu->vm, data, &wall.version, sizeof(wall.version)))
		return 0;
	boot_ns = ktime_get_real_ns() - vmm_clock_now(vcpu->vm, NULL);
	wall.version = (wall.version | 1) + 2;
	if (vmm_guest_write(vcpu->vm, data, &wall.version, sizeof(wall.version)))
		return 0;
	wall.sec = div_u64_rem(boot_ns, NSEC_PER_SEC, &rem);
	wall.nsec = rem;
	/* as in vmm_clock_update() */
	smp_wmb();
	vmm_guest_write(vcpu->vm, data, &wall, sizeof(wall));
	/* as in vmm_clock_update() */
	smp_wmb();
	wall.version++;
	vmm_guest_write(vcpu->vm, data, &wall.version, sizeof(wall.version));
	return 0;
}

/**
 * vmm_clock_get - VMM_STATE_CLOCK. Context: process.
 * @vm: the VM
 * @clock: result
 */
void vmm_clock_get(struct vmm_vm *vm, struct vmm_clock *clock)
{
	memset(clock, 0, sizeof(*clock));
	clock->guest_ns = vmm_clock_now(vm, &clock->guest_tsc);
	clock->host_boottime_ns = ktime_get_boottime_ns();
	clock->host_realtime_ns = ktime_get_real_ns();
	clock->tsc_khz = tsc_khz;
}

/**
 * vmm_clock_set - VMM_STATE_CLOCK: the clock and the TSC go on from these values now
 * @vm: the VM
 * @clock: value
 *
 * Context: process. Every vCPU takes the change before its next entry. Return: 0, or -EINVAL
 * for another TSC frequency.
 */
int vmm_clock_set(struct vmm_vm *vm, const struct vmm_clock *clock)
{
	struct vmm_vcpu *vcpu;
	unsigned int i;

	if ((clock->tsc_khz && clock->tsc_khz != tsc_khz) ||
	    memchr_inv(clock->pad, 0, sizeof(clock->pad)))
		return -EINVAL;

	spin_lock(&vm->clock_lock);
	WRITE_ONCE(vm->tsc_offset, clock->guest_tsc - rdtsc_ordered());
	vm->clock_tsc = clock->guest_tsc;
	vm->clock_ns = clock->guest_ns;
	spin_unlock(&vm->clock_lock);

	vmm_vm_for_each_vcpu(i, vcpu, vm) {
		vmm_make_request(vcpu, VMM_REQ_TSC);
		vmm_vcpu_kick(vcpu);
	}
	return 0;
}
