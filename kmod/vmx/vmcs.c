// SPDX-License-Identifier: GPL-2.0
/*
 * VT-x per CPU, switched on and off, and the life of a VMCS (SDM vol. 3, 25.11).
 *
 * A processor may keep parts of a VMCS to itself from VMPTRLD until VMCLEAR. So each CPU has a
 * list of those it was given:
 *
 *	clear (vmcs_cpu -1) --VMPTRLD--> loaded, current --another is loaded--> loaded
 *	  ^                                    |                                  |
 *	  +-- VMCLEAR, by that CPU alone: the vCPU moved (IPI), is freed (IPI), or VMX goes off
 *
 * The list and the current VMCS are used by their CPU with interrupts off. Another CPU reads
 * vmcs_cpu only to know whom to ask.
 *
 * The host may switch VMX off at any time, for a suspend or because the CPU goes; it clears all
 * VMCSs first, so nothing is lost. Entries are denied then. Other accesses by a vCPU's thread find
 * no current VMCS, and wait in the slow path until VMX is back, maybe on another CPU.
 */
#include <linux/freezer.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <asm/cpufeature.h>
#include <asm/perf_event.h>
#include <asm/io.h>
#include <asm/msr.h>
#include <asm/tlbflush.h>

#include "../hw.h"
#include "vmx.h"

/**
 * struct vmx_cpu - a physical CPU; used by that CPU alone, interrupts off
 * @vmxon: VMXON's region [I]
 * @loaded: VMCSs that this CPU may keep parts of
 * @current_vmx: whose VMCS is current, or NULL
 */
struct vmx_cpu {
	struct page *vmxon;
	struct list_head loaded;
	struct vmx_vcpu *current_vmx;
};

static DEFINE_PER_CPU(struct vmx_cpu, vmx_cpu);

static void *vmx_region(struct page *page)
{
	u32 *region = page_address(page);

	*region = vmx_caps.revision;
	return region;
}

/**
 * vmx_cpus_init - allocate what every possible CPU needs. Context: module load.
 *
 * Return: 0 or -ENOMEM, with nothing left allocated.
 */
int vmx_cpus_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct vmx_cpu *vc = per_cpu_ptr(&vmx_cpu, cpu);

		INIT_LIST_HEAD(&vc->loaded);
		vc->vmxon = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL | __GFP_ZERO, 0);
		if (!vc->vmxon) {
			vmx_cpus_exit();
			return -ENOMEM;
		}
		vmx_region(vc->vmxon);
	}
	return 0;
}

/**
 * vmx_cpus_exit - free it. Context: module load or unload; VMX is off everywhere.
 */
void vmx_cpus_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct vmx_cpu *vc = per_cpu_ptr(&vmx_cpu, cpu);

		if (vc->vmxon)
			__free_page(vc->vmxon);
		vc->vmxon = NULL;
	}
}

static bool vmx_on(u64 region_pa)
{
	u8 failed = 1;

	asm volatile("1: vmxon %[pa]\n\t"
		     "setna %[failed]\n"
		     "2:" _ASM_EXTABLE(1b, 2b)
		     : [failed] "+qm"(failed)
		     : [pa] "m"(region_pa)
		     : "cc", "memory");
	return !failed;
}

/* VMXOFF, which an emergency may have made an invalid instruction */
static void vmx_off(void)
{
	asm volatile("1: vmxoff\n2:" _ASM_EXTABLE(1b, 2b) ::: "cc", "memory");
}

static void vmx_clear(u64 vmcs_pa)
{
	asm volatile("1: vmclear %[pa]\n2:" _ASM_EXTABLE(1b, 2b)
		     :
		     : [pa] "m"(vmcs_pa)
		     : "cc", "memory");
}

static bool vmx_ptrld(u64 vmcs_pa)
{
	u8 failed = 1;

	asm volatile("1: vmptrld %[pa]\n\t"
		     "setna %[failed]\n"
		     "2:" _ASM_EXTABLE(1b, 2b)
		     : [failed] "+qm"(failed)
		     : [pa] "m"(vmcs_pa)
		     : "cc", "memory");
	return !failed;
}

/**
 * vmx_hardware_enable - turn VMX on, on this CPU (SDM vol. 3, 24.7)
 *
 * Context: interrupts off. Return: 0; -EBUSY when CR4.VMXE is set already: it is another
 * hypervisor's then; -EIO when the firmware forbids it on this CPU.
 */
int vmx_hardware_enable(void)
{
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);

	if (cr4_read_shadow() & X86_CR4_VMXE)
		return -EBUSY;

	vc->current_vmx = NULL;
	vmx_vpid_cpu_reset();
	vmx_msr_cpu_init();
	intel_pt_handle_vmx(1);
	cr4_set_bits(X86_CR4_VMXE);
	/* #GP where IA32_FEATURE_CONTROL does not allow it, on this CPU unlike on the first */
	if (!vmx_on(page_to_phys(vc->vmxon))) {
		cr4_clear_bits(X86_CR4_VMXE);
		intel_pt_handle_vmx(0);
		return -EIO;
	}
	return 0;
}

/* this CPU lets go of a VMCS; interrupts off */
static void __vmx_vmcs_clear(struct vmx_cpu *vc, struct vmx_vcpu *vmx)
{
	vmx_clear(vmx->vmcs_pa);
	if (vc->current_vmx == vmx)
		vc->current_vmx = NULL;
	list_del(&vmx->vmcs_node);
	vmx->entry.launched = 0;
	/* all of the above, before the owner on another CPU sees that it can go on */
	smp_store_release(&vmx->vmcs_cpu, -1);
}

/**
 * vmx_hardware_disable - turn VMX off, on this CPU. Context: interrupts off;
 * vmx_hardware_enable() succeeded here.
 */
void vmx_hardware_disable(void)
{
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);
	struct vmx_vcpu *vmx, *next;

	list_for_each_entry_safe(vmx, next, &vc->loaded, vmcs_node)
		__vmx_vmcs_clear(vc, vmx);
	vmx_off();
	cr4_clear_bits(X86_CR4_VMXE);
	intel_pt_handle_vmx(0);
}

/**
 * vmx_emergency_disable - leave VMX before the kernel dies or restarts
 *
 * While VMX is on, INIT is blocked. What the processor keeps of VMCSs has to be in memory before,
 * or it might be written there later, when the memory is somebody else's. The list may be in the
 * midst of a change; it is walked forward, and its links forward are always whole.
 * Context: any, NMI too.
 */
void vmx_emergency_disable(void)
{
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);
	struct vmx_vcpu *vmx;

	if (!__this_cpu_read(vmm_hw_on))
		return;
	list_for_each_entry(vmx, &vc->loaded, vmcs_node)
		vmx_clear(vmx->vmcs_pa);
	vmx_off();
	cr4_clear_bits(X86_CR4_VMXE);
}

/**
 * vmx_vmcs_alloc - give a vCPU its VMCS. Context: may sleep.
 * @vmx: the vCPU
 *
 * Return: 0 or -ENOMEM.
 */
int vmx_vmcs_alloc(struct vmx_vcpu *vmx)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!page)
		return -ENOMEM;
	vmx->vmcs = vmx_region(page);
	vmx->vmcs_pa = page_to_phys(page);
	vmx->vmcs_cpu = -1;
	return 0;
}

/* interrupts off, on the CPU that has the VMCS, or had when it was asked */
static void vmx_vmcs_clear_here(void *info)
{
	struct vmx_vcpu *vmx = info;

	if (READ_ONCE(vmx->vmcs_cpu) == smp_processor_id())
		__vmx_vmcs_clear(this_cpu_ptr(&vmx_cpu), vmx);
}

/* No CPU keeps parts of the VMCS when this returns. Interrupts on. */
static void vmx_vmcs_clear(struct vmx_vcpu *vmx)
{
	int cpu = READ_ONCE(vmx->vmcs_cpu);

	/* a CPU that has gone cleared it when it went */
	if (cpu >= 0)
		smp_call_function_single(cpu, vmx_vmcs_clear_here, vmx, 1);
}

/**
 * vmx_vmcs_free - undo vmx_vmcs_alloc(). Context: process, interrupts on.
 * @vmx: a vCPU that nobody uses any more
 */
void vmx_vmcs_free(struct vmx_vcpu *vmx)
{
	if (!vmx->vmcs)
		return;
	vmx_vmcs_clear(vmx);
	free_page((unsigned long)vmx->vmcs);
	vmx->vmcs = NULL;
}

/**
 * vmx_vmcs_is_current - can its fields be accessed here? Context: interrupts off.
 * @vmx: the vCPU
 */
bool vmx_vmcs_is_current(struct vmx_vcpu *vmx)
{
	return __this_cpu_read(vmx_cpu.current_vmx) == vmx;
}

/**
 * vmx_vmcs_load - make a vCPU's VMCS this CPU's current one
 * @vmx: the vCPU
 *
 * Context: preemption off, interrupts on. Return: false when VMX is off here: the VMCS is in
 * memory then.
 */
bool vmx_vmcs_load(struct vmx_vcpu *vmx)
{
	int cpu = smp_processor_id();
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);
	bool fresh, ok;

	if (READ_ONCE(vmx->vmcs_cpu) != cpu)
		vmx_vmcs_clear(vmx);

	local_irq_disable();
	/* pairs with __vmx_vmcs_clear() */
	fresh = smp_load_acquire(&vmx->vmcs_cpu) != cpu;
	ok = __this_cpu_read(vmm_hw_on);
	if (ok && vc->current_vmx != vmx) {
		/* the first use of all has to clear it, too; it does no harm at others */
		if (fresh)
			vmx_clear(vmx->vmcs_pa);
		ok = vmx_ptrld(vmx->vmcs_pa);
		if (ok) {
			if (fresh)
				list_add(&vmx->vmcs_node, &vc->loaded);
			WRITE_ONCE(vmx->vmcs_cpu, cpu);
			vc->current_vmx = vmx;
		}
	}
	local_irq_enable();
	return ok;
}

/*
 * The VMCS was taken away, or the thread is on a CPU where VMX is off: wait for the one, get to
 * another CPU by the other. False: VMX does not come back.
 */
static bool vmx_vmcs_wait(struct vmx_vcpu *vmx)
{
	bool ok;

	if (!preemptible())
		return false;
	for (;;) {
		preempt_disable();
		ok = vmx_vmcs_load(vmx);
		if (ok)
			vmx_host_cpu(vmx);
		preempt_enable();
		if (ok)
			return true;
		if (vmm_hw_is_down())
			return false;
		set_current_state(TASK_UNINTERRUPTIBLE | TASK_FREEZABLE);
		schedule_timeout(1);
	}
}

/*
 * The access is made again with preemption on, as the first one was: the VMCS follows the thread,
 * and if it is taken away once more, this waits once more. What fails with the VMCS there is a
 * field that this processor does not have.
 */
#define VMX_ACCESS_TRIES	8

unsigned long vmx_read_slow(struct vmx_vcpu *vmx, unsigned long field)
{
	unsigned long value = 0;
	int i;

	for (i = 0; i < VMX_ACCESS_TRIES && vmx_vmcs_wait(vmx); i++)
		if (vmx_try_read(field, &value))
			return value;
	pr_warn_once("vmm: VMREAD of field %#lx failed\n", field);
	return 0;
}

void vmx_write_slow(struct vmx_vcpu *vmx, unsigned long field, unsigned long value)
{
	int i;

	for (i = 0; i < VMX_ACCESS_TRIES && vmx_vmcs_wait(vmx); i++)
		if (vmx_try_write(field, value))
			return;
	pr_warn_once("vmm: VMWRITE of field %#lx failed\n", field);
}
