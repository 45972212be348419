// SPDX-License-Identifier: GPL-2.0
/*
 * Model-specific registers: the table vmm_msrs says which a guest has, and who answers. What is
 * not in it raises #GP and is counted.
 */
#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/nospec.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/mtrr.h>
#include <asm/nospec-branch.h>
#include <uapi/asm/kvm_para.h>

#include "irq/irq.h"
#include "x86.h"
#include "x86_ops.h"

#define VMM_MTRR_VAR		8
#define VMM_MTRR_CAP		(VMM_MTRR_VAR | BIT(8) /* fixed */ | BIT(10) /* WC */)

/* who answers, and how */
enum vmm_msr_kind {
	VMM_MSR_CONST,		/* reads as .value; writes: #GP */
	VMM_MSR_IGNORE,		/* reads as .value; writes of what .mask covers are dropped */
	VMM_MSR_VENDOR,		/* switched by the processor with the guest */
	VMM_MSR_CANONICAL,	/* likewise; holds an address that must be canonical */
	VMM_MSR_LAPIC,
	VMM_MSR_APIC_BASE,
	VMM_MSR_TSC,
	VMM_MSR_TSC_ADJUST,
	VMM_MSR_TSC_AUX,
	VMM_MSR_EFER,
	VMM_MSR_PAT,
	VMM_MSR_MTRR_DEF,
	VMM_MSR_MTRR_FIXED,
	VMM_MSR_MTRR_VAR,
	VMM_MSR_MISC_ENABLE,
	VMM_MSR_DEBUGCTL,
	VMM_MSR_SPEC_CTRL,
	VMM_MSR_PRED_CMD,
	VMM_MSR_CLOCK,
	VMM_MSR_WALL,
	VMM_MSR_UCODE,
};

/**
 * struct vmm_msr_desc - one MSR, or a range
 * @first: index
 * @last: index of the last
 * @kind: who answers
 * @saved: part of the state that VMM_STATE_MSR_LIST names
 * @value: for CONST and IGNORE
 * @mask: for IGNORE: bits that may be written (and are lost)
 */
struct vmm_msr_desc {
	u32 first;
	u32 last;
	u8 kind;
	bool saved;
	u64 value;
	u64 mask;
};

#define ONE(msr)	(msr), (msr)

/* sorted by index */
static const struct vmm_msr_desc vmm_msrs[] = {
	{ ONE(MSR_IA32_P5_MC_ADDR),	VMM_MSR_CONST },
	{ ONE(MSR_IA32_P5_MC_TYPE),	VMM_MSR_CONST },
	{ ONE(MSR_IA32_TSC),		VMM_MSR_TSC, true },
	{ ONE(MSR_IA32_PLATFORM_ID),	VMM_MSR_CONST },
	{ ONE(MSR_IA32_APICBASE),	VMM_MSR_APIC_BASE },	/* saved with VMM_STATE_SREGS */
	{ ONE(MSR_IA32_TSC_ADJUST),	VMM_MSR_TSC_ADJUST, true },
	{ ONE(MSR_IA32_SPEC_CTRL),	VMM_MSR_SPEC_CTRL, true },
	{ ONE(MSR_IA32_PRED_CMD),	VMM_MSR_PRED_CMD },
	{ ONE(MSR_IA32_UCODE_REV),	VMM_MSR_UCODE },
	{ ONE(MSR_MTRRcap),		VMM_MSR_CONST, .value = VMM_MTRR_CAP },
	{ ONE(MSR_IA32_SYSENTER_CS),	VMM_MSR_VENDOR, true },
	{ ONE(MSR_IA32_SYSENTER_ESP),	VMM_MSR_CANONICAL, true },
	{ ONE(MSR_IA32_SYSENTER_EIP),	VMM_MSR_CANONICAL, true },
	{ ONE(MSR_IA32_MCG_CAP),	VMM_MSR_CONST },	/* no banks */
	{ ONE(MSR_IA32_MCG_STATUS),	VMM_MSR_IGNORE },
	{ ONE(MSR_IA32_MISC_ENABLE),	VMM_MSR_MISC_ENABLE, true },
	{ ONE(MSR_IA32_DEBUGCTLMSR),	VMM_MSR_DEBUGCTL, true },
	{ MTRRphysBase_MSR(0), MTRRphysMask_MSR(VMM_MTRR_VAR - 1), VMM_MSR_MTRR_VAR, true },
	{ ONE(MSR_MTRRfix64K_00000),	VMM_MSR_MTRR_FIXED, true },
	{ MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000, VMM_MSR_MTRR_FIXED, true },
	{ MSR_MTRRfix4K_C0000, MSR_MTRRfix4K_F8000, VMM_MSR_MTRR_FIXED, true },
	{ ONE(MSR_IA32_CR_PAT),		VMM_MSR_PAT, true },
	{ ONE(MSR_MTRRdefType),		VMM_MSR_MTRR_DEF, true },
	{ ONE(MSR_IA32_TSC_DEADLINE),	VMM_MSR_LAPIC },	/* saved with VMM_STATE_LAPIC */
	{ 0x800, 0x8ff,			VMM_MSR_LAPIC },	/* likewise */
	{ ONE(MSR_KVM_WALL_CLOCK_NEW),	VMM_MSR_WALL },
	{ ONE(MSR_KVM_SYSTEM_TIME_NEW),	VMM_MSR_CLOCK, true },
	{ ONE(MSR_EFER),		VMM_MSR_EFER },		/* saved with VMM_STATE_SREGS */
	{ ONE(MSR_STAR),		VMM_MSR_VENDOR, true },
	{ ONE(MSR_LSTAR),		VMM_MSR_CANONICAL, true },
	{ ONE(MSR_CSTAR),		VMM_MSR_CANONICAL, true },
	{ ONE(MSR_SYSCALL_MASK),	VMM_MSR_VENDOR, true },
	{ ONE(MSR_FS_BASE),		VMM_MSR_CANONICAL, true },
	{ ONE(MSR_GS_BASE),		VMM_MSR_CANONICAL, true },
	{ ONE(MSR_KERNEL_GS_BASE),	VMM_MSR_CANONICAL, true },
	{ ONE(MSR_TSC_AUX),		VMM_MSR_TSC_AUX, true },
	{ ONE(MSR_AMD64_SYSCFG),	VMM_MSR_IGNORE },
	/* bit 24: the TSC counts at P0's frequency */
	{ ONE(MSR_K7_HWCR),		VMM_MSR_IGNORE, .value = BIT(24),
	  .mask = BIT(3) | BIT(4) | BIT(6) | BIT(8) | BIT(18) | BIT(24) },
	{ ONE(MSR_AMD64_NB_CFG),	VMM_MSR_IGNORE, .mask = BIT_ULL(46) },
	{ ONE(MSR_K8_INT_PENDING_MSG),	VMM_MSR_CONST },
	/* SVM is disabled, and locked so */
	{ ONE(MSR_VM_CR),		VMM_MSR_CONST, .value = BIT(4) | BIT(3) },
	{ ONE(MSR_AMD64_OSVW_ID_LENGTH), VMM_MSR_CONST },
	{ ONE(MSR_AMD64_OSVW_STATUS),	VMM_MSR_CONST },
	/* LFENCE serializes */
	{ ONE(MSR_AMD64_DE_CFG),	VMM_MSR_IGNORE, .value = BIT(1), .mask = BIT(1) },
};

static const struct vmm_msr_desc *vmm_msr_find(u32 index)
{
	unsigned int lo = 0, hi = ARRAY_SIZE(vmm_msrs);

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (index < vmm_msrs[mid].first)
			hi = mid;
		else if (index > vmm_msrs[mid].last)
			lo = mid + 1;
		else
			return &vmm_msrs[mid];
	}
	return NULL;
}

static u64 *vmm_mtrr_field(struct vmm_vcpu *vcpu, u32 index)
{
	switch (index) {
	case MSR_MTRRfix64K_00000:
		return &vcpu->mtrr.fixed[0];
	case MSR_MTRRfix16K_80000 ... MSR_MTRRfix16K_A0000:
		return &vcpu->mtrr.fixed[1 + array_index_nospec(index - MSR_MTRRfix16K_80000, 2)];
	case MSR_MTRRfix4K_C0000 ... MSR_MTRRfix4K_F8000:
		return &vcpu->mtrr.fixed[3 + array_index_nospec(index - MSR_MTRRfix4K_C0000, 8)];
	default:
		return &vcpu->mtrr.var[array_index_nospec(index - MTRRphysBase_MSR(0),
							  2 * VMM_MTRR_VAR)];
	}
}

static bool vmm_memtype_ok(u8 type, bool pat)
{
	return type == 0 || type == 1 || type == 4 || type == 5 || type == 6 || (pat && type == 7);
}

/* each of the eight bytes is a memory type */
static bool vmm_memtypes_ok(u64 value, bool pat)
{
	unsigned int i;

	for (i = 0; i < 64; i += 8)
		if (!vmm_memtype_ok(value >> i, pat))
			return false;
	return true;
}

static bool vmm_is_canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16) == address;	/* 5-level paging is not offered */
}

static u64 vmm_spec_ctrl_mask(struct vmm_vcpu *vcpu)
{
	u64 mask = 0;

	if (vmm_guest_has(vcpu, 7, 0, VMM_RDX, 26) ||
	    vmm_guest_has(vcpu, 0x80000008, 0, VMM_RBX, 14))
		mask |= SPEC_CTRL_IBRS;
	if (vmm_guest_has(vcpu, 7, 0, VMM_RDX, 27) ||
	    vmm_guest_has(vcpu, 0x80000008, 0, VMM_RBX, 15))
		mask |= SPEC_CTRL_STIBP;
	if (vmm_guest_has(vcpu, 7, 0, VMM_RDX, 31) ||
	    vmm_guest_has(vcpu, 0x80000008, 0, VMM_RBX, 24))
		mask |= SPEC_CTRL_SSBD;
	return mask;
}

static bool vmm_has_ibpb(struct vmm_vcpu *vcpu)
{
	return vmm_guest_has(vcpu, 7, 0, VMM_RDX, 26) ||
	       vmm_guest_has(vcpu, 0x80000008, 0, VMM_RBX, 12);
}

static int vmm_msr_unknown(struct vmm_vcpu *vcpu, bool by_host)
{
	if (!by_host)
		vmm_stat_inc(vcpu, VMM_STAT_MSR_UNKNOWN);
	return 1;
}

/**
 * vmm_msr_read - RDMSR
 * @vcpu: the vCPU
 * @index: which
 * @data: result
 * @by_host: userland asks, not the guest
 *
 * Context: the owner. Return: 0, or 1 for #GP.
 */
int vmm_msr_read(struct vmm_vcpu *vcpu, u32 index, u64 *data, bool by_host)
{
	const struct vmm_msr_desc *d = vmm_msr_find(index);

	if (!d)
		return vmm_msr_unknown(vcpu, by_host);
	*data = 0;
	switch (d->kind) {
	case VMM_MSR_CONST:
	case VMM_MSR_IGNORE:
		*data = d->value;
		return 0;
	case VMM_MSR_VENDOR:
	case VMM_MSR_CANONICAL:
	case VMM_MSR_DEBUGCTL:
		return vmm_x86(get_msr)(vcpu, index, data);
	case VMM_MSR_LAPIC:
		return vmm_lapic_msr(vcpu, index, false, data);
	case VMM_MSR_APIC_BASE:
		*data = vmm_lapic_get_base(vcpu);
		return 0;
	case VMM_MSR_TSC:
		*data = vmm_guest_tsc(vcpu);
		return 0;
	case VMM_MSR_TSC_ADJUST:
		*data = vcpu->tsc_adjust;
		return 0;
	case VMM_MSR_TSC_AUX:
		*data = vcpu->tsc_aux;
		return 0;
	case VMM_MSR_EFER:
		*data = vmm_get_efer(vcpu);
		return 0;
	case VMM_MSR_PAT:
		*data = vcpu->pat;
		return 0;
	case VMM_MSR_MTRR_DEF:
		*data = vcpu->mtrr.def_type;
		return 0;
	case VMM_MSR_MTRR_FIXED:
	case VMM_MSR_MTRR_VAR:
		*data = *vmm_mtrr_field(vcpu, index);
		return 0;
	case VMM_MSR_MISC_ENABLE:
		*data = vcpu->misc_enable;
		return 0;
	case VMM_MSR_SPEC_CTRL:
		if (!by_host && !vmm_spec_ctrl_mask(vcpu))
			return vmm_msr_unknown(vcpu, by_host);
		return vmm_x86(get_msr)(vcpu, index, data);
	case VMM_MSR_CLOCK:
		*data = vcpu->clock_msr;
		return 0;
	case VMM_MSR_WALL:
		return 0;
	case VMM_MSR_UCODE:
		*data = boot_cpu_data.x86_vendor == X86_VENDOR_INTEL
				? (u64)boot_cpu_data.microcode << 32
				: boot_cpu_data.microcode;
		return 0;
	default:
		return 1;	/* write-only */
	}
}

/**
 * vmm_msr_write - WRMSR
 * @vcpu: the vCPU
 * @index: which
 * @data: value
 * @by_host: userland asks, not the guest
 *
 * Context: the owner, vm->srcu held for reading; may sleep. Return: 0, or 1 for #GP; nothing
 * was changed then.
 */
int vmm_msr_write(struct vmm_vcpu *vcpu, u32 index, u64 data, bool by_host)
{
	const struct vmm_msr_desc *d = vmm_msr_find(index);

	if (!d)
		return vmm_msr_unknown(vcpu, by_host);
	switch (d->kind) {
	case VMM_MSR_IGNORE:
		return (data & ~(d->mask | d->value)) ? 1 : 0;
	case VMM_MSR_CANONICAL:
		if (!vmm_is_canonical(data))
			return 1;
		fallthrough;
	case VMM_MSR_VENDOR:
		return vmm_x86(set_msr)(vcpu, index, data);
	case VMM_MSR_DEBUGCTL:
		return data ? 1 : 0; /* last-branch recording and branch stepping are not offered */
	case VMM_MSR_LAPIC:
		return vmm_lapic_msr(vcpu, index, true, &data);
	case VMM_MSR_APIC_BASE:
		return vmm_lapic_set_base(vcpu, data, by_host);
	case VMM_MSR_TSC:
	case VMM_MSR_TSC_ADJUST:
		vmm_tsc_set(vcpu, data, d->kind == VMM_MSR_TSC_ADJUST);
		return 0;
	case VMM_MSR_TSC_AUX:
		if (data >> 32)
			return 1;
		vcpu->tsc_aux = data;
		return 0;
	case VMM_MSR_EFER:
		return vmm_set_efer(vcpu, data);
	case VMM_MSR_PAT:
		if (!vmm_memtypes_ok(data, true))
			return 1;
		vcpu->pat = data;
		vmm_x86(set_pat)(vcpu, data);
		return 0;
	case VMM_MSR_MTRR_DEF:
		if ((data & ~0xcffull) || !vmm_memtype_ok(data, false))
			return 1;
		vcpu->mtrr.def_type = data;
		return 0;
	case VMM_MSR_MTRR_FIXED:
		if (!vmm_memtypes_ok(data, false))
			return 1;
		*vmm_mtrr_field(vcpu, index) = data;
		return 0;
	case VMM_MSR_MTRR_VAR:
		if (data & ~GENMASK_ULL(vmm_guest_maxphyaddr(vcpu) - 1, 0))
			return 1;
		if (!(index & 1) && ((data & 0xf00) || !vmm_memtype_ok(data, false)))
			return 1;
		if ((index & 1) && (data & 0x7ff))
			return 1;
		*vmm_mtrr_field(vcpu, index) = data;
		return 0;
	case VMM_MSR_MISC_ENABLE:
		vcpu->misc_enable = data;
		return 0;
	case VMM_MSR_SPEC_CTRL:
		if (!by_host && !vmm_spec_ctrl_mask(vcpu))
			return vmm_msr_unknown(vcpu, by_host);
		if (data & ~vmm_spec_ctrl_mask(vcpu))
			return 1;
		return vmm_x86(set_msr)(vcpu, index, data);
	case VMM_MSR_PRED_CMD:
		if (!vmm_has_ibpb(vcpu))
			return vmm_msr_unknown(vcpu, by_host);
		if (data & ~(u64)PRED_CMD_IBPB)
			return 1;
		if (data)
			indirect_branch_prediction_barrier();
		return 0;
	case VMM_MSR_CLOCK:
		return vmm_clock_write(vcpu, data);
	case VMM_MSR_WALL:
		return vmm_clock_write_wall(vcpu, data);
	case VMM_MSR_UCODE:
		return 0;	/* SDM vol. 3, 9.11.7: written before it is read */
	default:
		return 1;
	}
}

/**
 * vmm_msr_list - VMM_STATE_MSR_LIST: the MSRs that are a vCPU's state
 * @list: result
 * @max: room
 *
 * Return: how many there are.
 */
unsigned int vmm_msr_list(u32 *list, unsigned int max)
{
	unsigned int i, nr = 0;
	u32 index;

	for (i = 0; i < ARRAY_SIZE(vmm_msrs); i++) {
		if (!vmm_msrs[i].saved)
			continue;
		for (index = vmm_msrs[i].first; index <= vmm_msrs[i].last; index++, nr++)
			if (nr < max)
				list[nr] = index;
	}
	return nr;
}

/**
 * vmm_msr_reset - values after power-on; most survive INIT (SDM vol. 3, table 10-1)
 * @vcpu: the vCPU
 * @init: INIT, not power-on
 */
void vmm_msr_reset(struct vmm_vcpu *vcpu, bool init)
{
	if (init)
		return;
	vcpu->pat = 0x0007040600070406ull;
	vcpu->misc_enable = BIT(0);
	vcpu->tsc_aux = 0;
	vcpu->tsc_adjust = 0;
	vcpu->clock_msr = 0;
	memset(&vcpu->mtrr, 0, sizeof(vcpu->mtrr));
}
