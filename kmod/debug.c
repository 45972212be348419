// SPDX-License-Identifier: GPL-2.0
/*
 * Self-checks of VMM_DEBUG builds that are the same for every vendor: is a remote flush complete
 * when it says so, and does the host have its registers back after an exit. What they are for is
 * in debug.h.
 */
#include <linux/hw_breakpoint.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include <asm/special_insns.h>

#include "debug.h"
#include "vmm.h"

unsigned int vmm_plant;
module_param_named(plant, vmm_plant, uint, 0600);
MODULE_PARM_DESC(plant, "faults for the self-checks to find, see debug.h; 0 = none");

/**
 * vmm_debug_fail - a self-check failed: say so, and end the VM
 * @vm: the VM
 * @fmt: what is wrong, without newline
 *
 * Its vCPUs leave VMM_RUN with EIO after their next exit. Context: any but under the scheduler's
 * locks.
 */
void vmm_debug_fail(struct vmm_vm *vm, const char *fmt, ...)
{
	static DEFINE_RATELIMIT_STATE(rs, 5 * HZ, 10);
	struct va_format vaf;
	va_list args;

	if (cmpxchg(&vm->bugged, false, true) || !__ratelimit(&rs))
		return;
	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	pr_err("BUG: vmm self-check: %pV\n", &vaf);
	va_end(args);
}

/* ---- remote flushes ---- */

/**
 * vmm_debug_flushed - vmm_flush_remote() is about to return: nobody is in the guest with an older
 * generation
 * @vm: the VM
 * @gen: the generation that was raised
 */
void vmm_debug_flushed(struct vmm_vm *vm, u64 gen)
{
	struct vmm_vcpu *vcpu;
	unsigned int i;

	vmm_vm_for_each_vcpu(i, vcpu, vm) {
		u64 entered = READ_ONCE(vcpu->debug.entered_gen);

		if (entered < gen)
			vmm_debug_fail(vm, "flush: vCPU %u is in the guest with %llu, not %llu",
				       vcpu->id, entered, gen);
	}
}

/* ---- registers of the host ---- */

/**
 * struct vmm_debug_msr - an MSR that the host has to have back
 * @index: number
 * @name: for the report
 * @there: this processor has it
 * @lazy: not at every exit, but when the vCPU leaves its CPU
 */
struct vmm_debug_msr {
	u32 index;
	const char *name;
	bool there;
	bool lazy;
};

static struct vmm_debug_msr msrs[] = {
	{ .index = MSR_EFER,			.name = "EFER" },
	{ .index = MSR_STAR,			.name = "STAR" },
	{ .index = MSR_LSTAR,			.name = "LSTAR" },
	{ .index = MSR_CSTAR,			.name = "CSTAR" },
	{ .index = MSR_SYSCALL_MASK,		.name = "SFMASK" },
	{ .index = MSR_FS_BASE,			.name = "FS_BASE" },
	{ .index = MSR_GS_BASE,			.name = "GS_BASE" },
	{ .index = MSR_KERNEL_GS_BASE,		.name = "KERNEL_GS_BASE" },
	{ .index = MSR_TSC_AUX,			.name = "TSC_AUX" },
	{ .index = MSR_IA32_SYSENTER_CS,	.name = "SYSENTER_CS" },
	{ .index = MSR_IA32_SYSENTER_ESP,	.name = "SYSENTER_ESP" },
	{ .index = MSR_IA32_SYSENTER_EIP,	.name = "SYSENTER_EIP" },
	{ .index = MSR_IA32_CR_PAT,		.name = "PAT" },
	{ .index = MSR_IA32_DEBUGCTLMSR,	.name = "DEBUGCTL" },
	{ .index = MSR_IA32_SPEC_CTRL,		.name = "SPEC_CTRL" },
};

static_assert(ARRAY_SIZE(msrs) <= VMM_DEBUG_MSRS);

/* the rest, by enum vmm_debug_reg */
static const char *const reg_names[VMM_DEBUG_NR_REGS] = {
	[VMM_DEBUG_CR0] = "CR0",
	[VMM_DEBUG_CR3] = "CR3",
	[VMM_DEBUG_CR4] = "CR4",
	[VMM_DEBUG_CR8] = "CR8",
	[VMM_DEBUG_XCR0] = "XCR0",
	[VMM_DEBUG_PKRU] = "PKRU",
	[VMM_DEBUG_DR0] = "DR0",
	[VMM_DEBUG_DR1] = "DR1",
	[VMM_DEBUG_DR2] = "DR2",
	[VMM_DEBUG_DR3] = "DR3",
	[VMM_DEBUG_DR7] = "DR7",
	[VMM_DEBUG_GDT_BASE] = "GDTR base",
	[VMM_DEBUG_GDT_LIMIT] = "GDTR limit",
	[VMM_DEBUG_IDT_BASE] = "IDTR base",
	[VMM_DEBUG_IDT_LIMIT] = "IDTR limit",
	[VMM_DEBUG_LDT] = "LDTR",
	[VMM_DEBUG_TR] = "TR",
	[VMM_DEBUG_DS] = "DS",
	[VMM_DEBUG_ES] = "ES",
	[VMM_DEBUG_FS] = "FS",
	[VMM_DEBUG_GS] = "GS",
};

/* those that the vendor exchanges when the vCPU comes to a CPU and leaves it */
static bool lazy_regs[VMM_DEBUG_NR_REGS];

/**
 * vmm_debug_lazy_msr - the vendor exchanges this MSR when the vCPU comes to a CPU and leaves it
 * @index: number
 *
 * Context: the vendor's setup.
 */
void vmm_debug_lazy_msr(u32 index)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		if (msrs[i].index == index)
			msrs[i].lazy = true;
}

/**
 * vmm_debug_lazy_reg - likewise for another register
 * @reg: enum vmm_debug_reg
 *
 * Context: the vendor's setup.
 */
void vmm_debug_lazy_reg(unsigned int reg)
{
	lazy_regs[reg] = true;
}

/**
 * vmm_debug_init - which registers there are. Context: module load.
 */
void vmm_debug_init(void)
{
	unsigned int i;
	u64 value;

	vmm_debug_lazy_msr(MSR_TSC_AUX);
	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		bool there = true;

		if (msrs[i].index == MSR_TSC_AUX)
			there = boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID);
		if (msrs[i].index == MSR_IA32_SPEC_CTRL)
			there = boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL);
		msrs[i].there = there && !rdmsrl_safe(msrs[i].index, &value);
	}
}

static void read_msrs(u64 *to, bool lazy)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		if (msrs[i].there && msrs[i].lazy == lazy)
			rdmsrl(msrs[i].index, to[i]);
}

static u64 read_cr8(void)
{
	u64 cr8;

	asm volatile("mov %%cr8, %0" : "=r"(cr8));
	return cr8;
}

static void read_regs(u64 *to)
{
	struct desc_ptr dt;
	u16 ldt, sel;

	to[VMM_DEBUG_CR0] = read_cr0() & ~X86_CR0_TS;
	to[VMM_DEBUG_CR3] = __read_cr3();
	to[VMM_DEBUG_CR4] = __read_cr4();
	to[VMM_DEBUG_CR8] = read_cr8();
	if (to[VMM_DEBUG_CR4] & X86_CR4_OSXSAVE)
		to[VMM_DEBUG_XCR0] = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (to[VMM_DEBUG_CR4] & X86_CR4_PKE)
		to[VMM_DEBUG_PKRU] = rdpkru();
	/* what is in them while no breakpoint is set is of no account */
	get_debugreg(to[VMM_DEBUG_DR7], 7);
	to[VMM_DEBUG_DR7] &= DR_GLOBAL_ENABLE_MASK | DR_LOCAL_ENABLE_MASK;
	if (hw_breakpoint_active()) {
		get_debugreg(to[VMM_DEBUG_DR0], 0);
		get_debugreg(to[VMM_DEBUG_DR1], 1);
		get_debugreg(to[VMM_DEBUG_DR2], 2);
		get_debugreg(to[VMM_DEBUG_DR3], 3);
	}
	native_store_gdt(&dt);
	to[VMM_DEBUG_GDT_BASE] = dt.address;
	to[VMM_DEBUG_GDT_LIMIT] = dt.size;
	store_idt(&dt);
	to[VMM_DEBUG_IDT_BASE] = dt.address;
	to[VMM_DEBUG_IDT_LIMIT] = dt.size;
	store_ldt(ldt);
	to[VMM_DEBUG_LDT] = ldt;
	to[VMM_DEBUG_TR] = native_store_tr();
	savesegment(ds, sel);
	to[VMM_DEBUG_DS] = sel;
	savesegment(es, sel);
	to[VMM_DEBUG_ES] = sel;
	savesegment(fs, sel);
	to[VMM_DEBUG_FS] = sel;
	savesegment(gs, sel);
	to[VMM_DEBUG_GS] = sel;
}

/* the host lives on: what it lost is put back */
static void restore_msr(unsigned int i, u64 value)
{
	wrmsrl_safe(msrs[i].index, value);
}

/* the first MSR that is not what it was, -1 = none; all are put back */
static int check_msrs(const u64 *want, bool lazy, u64 *got)
{
	int bad = -1;
	unsigned int i;
	u64 value;

	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		if (!msrs[i].there || msrs[i].lazy != lazy)
			continue;
		rdmsrl(msrs[i].index, value);
		if (value == want[i])
			continue;
		restore_msr(i, want[i]);
		if (bad < 0) {
			bad = i;
			*got = value;
		}
	}
	return bad;
}

/* the first register that is not what it was, -1 = none */
static int check_regs(const u64 *want, bool lazy, u64 *got)
{
	u64 now[VMM_DEBUG_NR_REGS] = {};
	unsigned int i;

	read_regs(now);
	for (i = 0; i < VMM_DEBUG_NR_REGS; i++) {
		if (lazy_regs[i] != lazy || likely(now[i] == want[i]))
			continue;
		*got = now[i];
		return i;
	}
	return -1;
}

/* nobody sees the vCPU yet */
void vmm_debug_vcpu_init(struct vmm_vcpu *vcpu)
{
	vcpu->debug.entered_gen = VMM_DEBUG_OUTSIDE;
}

/**
 * vmm_debug_vcpu_load - the vCPU came to a CPU, nothing of the guest is in its registers yet
 * @vcpu: the vCPU
 *
 * Context: preemption off.
 */
void vmm_debug_vcpu_load(struct vmm_vcpu *vcpu)
{
	vmm_debug_report(vcpu);
	read_msrs(vcpu->debug.msr, true);
	read_regs(vcpu->debug.lazy_reg);
}

/**
 * vmm_debug_vcpu_put - the vCPU leaves its CPU, nothing of the guest is in its registers any more
 * @vcpu: the vCPU
 *
 * Context: preemption off, possibly under the scheduler's locks, where nothing can be printed: see
 * vmm_debug_report().
 */
void vmm_debug_vcpu_put(struct vmm_vcpu *vcpu)
{
	struct vmm_vcpu_debug *d = &vcpu->debug;
	int bad = check_msrs(d->msr, true, &d->lazy_got);

	if (unlikely(bad >= 0)) {
		d->lazy_bad = msrs[bad].name;
		return;
	}
	bad = check_regs(d->lazy_reg, true, &d->lazy_got);
	if (unlikely(bad >= 0))
		d->lazy_bad = reg_names[bad];
}

/**
 * vmm_debug_report - say what vmm_debug_vcpu_put() found. Context: any but under the scheduler's
 * locks.
 * @vcpu: the vCPU
 */
void vmm_debug_report(struct vmm_vcpu *vcpu)
{
	struct vmm_vcpu_debug *d = &vcpu->debug;
	const char *name = d->lazy_bad;

	if (likely(!name))
		return;
	d->lazy_bad = NULL;
	vmm_debug_fail(vcpu->vm, "host state: vCPU %u left its CPU with %s = 0x%llx", vcpu->id,
		       name, d->lazy_got);
}

/**
 * vmm_debug_enter_irqoff - the entry is decided: note the generation and the host's registers
 * @vcpu: the vCPU
 *
 * Context: interrupts off, before any state of the guest is loaded.
 */
void vmm_debug_enter_irqoff(struct vmm_vcpu *vcpu)
{
	WRITE_ONCE(vcpu->debug.entered_gen, vcpu->tlb_gen);
	read_msrs(vcpu->debug.msr, false);
	get_debugreg(vcpu->debug.dr6, 6);
	read_regs(vcpu->debug.reg);
}

static void host_state_bad(struct vmm_vcpu *vcpu, const char *name, u64 got, u64 want)
{
	vmm_debug_fail(vcpu->vm, "host state: vCPU %u came back with %s = 0x%llx, not 0x%llx",
		       vcpu->id, name, got, want);
}

static void check_dr6(struct vmm_vcpu *vcpu)
{
	unsigned long dr6;

	get_debugreg(dr6, 6);
	if (unlikely(dr6 != DR6_RESERVED && dr6 != vcpu->debug.dr6))
		host_state_bad(vcpu, "DR6", dr6, vcpu->debug.dr6);
}

/**
 * vmm_debug_exit_irqoff - everything of the host is said to be back
 * @vcpu: the vCPU, right after an exit
 *
 * Context: interrupts off.
 */
void vmm_debug_exit_irqoff(struct vmm_vcpu *vcpu)
{
	u64 got = 0;
	int bad;

	WRITE_ONCE(vcpu->debug.entered_gen, VMM_DEBUG_OUTSIDE);
	if (unlikely(vmm_planted(VMM_PLANT_MSR))) {
		rdmsrl(MSR_STAR, got);
		wrmsrl(MSR_STAR, got ^ 1);
	}
	bad = check_msrs(vcpu->debug.msr, false, &got);
	if (unlikely(bad >= 0))
		host_state_bad(vcpu, msrs[bad].name, got, vcpu->debug.msr[bad]);
	bad = check_regs(vcpu->debug.reg, false, &got);
	if (unlikely(bad >= 0))
		host_state_bad(vcpu, reg_names[bad], got, vcpu->debug.reg[bad]);
	check_dr6(vcpu);
}
