// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest sees of the processor. The table vmm_cpuid_policy decides it: a bit reaches a
 * guest only when the table allows it, the processor has it and the host kernel did not switch
 * it off; or when vmm itself implements it.
 *
 * Leaves that are not in the table are zero, except the descriptive ones (caches, topology,
 * brand) that userland may fill as it likes.
 */
#include <linux/bits.h>
#include <linux/slab.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/kvm_para.h>
#include <asm/processor.h>
#include <uapi/asm/kvm_para.h>

#include "irq/irq.h"
#include "mmu/mmu.h"
#include "x86.h"
#include "x86_ops.h"

#define VMM_CPUID_SIGNATURE	0x40000000	/* hypervisor leaves */
#define VMM_CPUID_TIMING	0x40000010
#define VMM_CPUID_MAX_EXT	0x80000021

enum { VMM_CPUID_EAX, VMM_CPUID_EBX, VMM_CPUID_ECX, VMM_CPUID_EDX, VMM_CPUID_REGS };

/* a word of Linux's own feature array that says what the host kernel lets through; or none */
#define VMM_NO_WORD	-1

/**
 * struct vmm_cpuid_policy - one register of one leaf whose bits are promises
 * @leaf: EAX
 * @subleaf: ECX
 * @reg: which register
 * @word: word of boot_cpu_data.x86_capability that must have the bit too, or VMM_NO_WORD
 * @allow: bits that the processor may pass on
 * @emulated: bits that vmm implements whatever the processor has
 */
struct vmm_cpuid_policy {
	u32 leaf;
	u32 subleaf;
	u8 reg;
	s8 word;
	u32 allow;
	u32 emulated;
};

/* bits by name, for one register each: FEATURE(X) is the bit of X86_FEATURE_X in its word */
#define F(name)	BIT(X86_FEATURE_##name & 31)

static const struct vmm_cpuid_policy vmm_cpuid_policy[] = {
	{ 1, 0, VMM_CPUID_ECX, CPUID_1_ECX,
	  F(XMM3) | F(PCLMULQDQ) | F(SSSE3) | F(FMA) | F(CX16) | F(PCID) | F(XMM4_1) | F(XMM4_2) |
	  F(MOVBE) | F(POPCNT) | F(AES) | F(XSAVE) | F(AVX) | F(F16C) | F(RDRAND),
	  F(X2APIC) | F(TSC_DEADLINE_TIMER) | F(HYPERVISOR) },
	{ 1, 0, VMM_CPUID_EDX, CPUID_1_EDX,
	  F(FPU) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(PAE) | F(MCE) | F(CX8) | F(APIC) |
	  F(SEP) | F(MTRR) | F(PGE) | F(MCA) | F(CMOV) | F(PAT) | F(PSE36) | F(CLFLUSH) | F(MMX) |
	  F(FXSR) | F(XMM) | F(XMM2) | F(SELFSNOOP),
	  F(APIC) | F(HT) /* that there may be siblings; userland says how many */ },
	/* ARAT: the local APIC's timer never stops */
	{ 6, 0, VMM_CPUID_EAX, VMM_NO_WORD, 0, BIT(2) },
	{ 7, 0, VMM_CPUID_EBX, CPUID_7_0_EBX,
	  F(FSGSBASE) | F(BMI1) | F(AVX2) | F(SMEP) | F(BMI2) | F(ERMS) | F(INVPCID) | F(AVX512F) |
	  F(AVX512DQ) | F(RDSEED) | F(ADX) | F(SMAP) | F(AVX512IFMA) | F(CLFLUSHOPT) | F(CLWB) |
	  F(AVX512CD) | F(SHA_NI) | F(AVX512BW) | F(AVX512VL),
	  F(TSC_ADJUST) },
	{ 7, 0, VMM_CPUID_ECX, CPUID_7_ECX,
	  F(AVX512VBMI) | F(UMIP) | F(PKU) | F(AVX512_VBMI2) | F(GFNI) | F(VAES) | F(VPCLMULQDQ) |
	  F(AVX512_VNNI) | F(AVX512_BITALG) | F(AVX512_VPOPCNTDQ) | F(RDPID),
	  0 },
	{ 7, 0, VMM_CPUID_EDX, CPUID_7_EDX,
	  F(FSRM) | F(AVX512_VP2INTERSECT) | F(SERIALIZE) | F(SPEC_CTRL) | F(INTEL_STIBP) |
	  F(SPEC_CTRL_SSBD),
	  0 },
	{ 7, 1, VMM_CPUID_EAX, CPUID_7_1_EAX, F(AVX_VNNI) | F(AVX512_BF16), 0 },
	{ 0xd, 1, VMM_CPUID_EAX, CPUID_D_1_EAX, F(XSAVEOPT) | F(XSAVEC) | F(XGETBV1), 0 },
	{ VMM_CPUID_SIGNATURE + 1, 0, VMM_CPUID_EAX, VMM_NO_WORD, 0,
	  BIT(KVM_FEATURE_NOP_IO_DELAY) | BIT(KVM_FEATURE_CLOCKSOURCE2) |
	  BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) },
	{ 0x80000001, 0, VMM_CPUID_ECX, CPUID_8000_0001_ECX,
	  F(LAHF_LM) | F(CR8_LEGACY) | F(ABM) | F(SSE4A) | F(MISALIGNSSE) |
	  F(3DNOWPREFETCH) | F(XOP) | F(FMA4) | F(TBM) | F(TOPOEXT),
	  F(CMP_LEGACY) },
	/* 0x0183f3ff: the bits that repeat leaf 1; 9: APIC */
	{ 0x80000001, 0, VMM_CPUID_EDX, CPUID_8000_0001_EDX,
	  0x0183f3ff | F(SYSCALL) | F(NX) | F(MMXEXT) | F(FXSR_OPT) | F(GBPAGES) | F(RDTSCP) |
	  F(LM) | F(3DNOWEXT) | F(3DNOW),
	  BIT(9) },
	/* invariant TSC */
	{ 0x80000007, 0, VMM_CPUID_EDX, VMM_NO_WORD, BIT(8), 0 },
	{ 0x80000008, 0, VMM_CPUID_EBX, CPUID_8000_0008_EBX,
	  F(CLZERO) | F(XSAVEERPTR) | F(WBNOINVD) | F(AMD_IBPB) | F(AMD_IBRS) | F(AMD_STIBP) |
	  F(AMD_SSBD),
	  0 },
	/* no nested data breakpoints; LFENCE serializes; a null selector clears the base */
	{ 0x80000021, 0, VMM_CPUID_EAX, VMM_NO_WORD, BIT(0) | BIT(2) | BIT(6), 0 },
};

#undef F

/* leaves without promises, passed on from the processor as they are */
static const u32 vmm_cpuid_passed[] = {
	0x80000002, 0x80000003, 0x80000004, 0x80000005, 0x80000006,
};

/* leaves that describe caches and topology: userland's to fill, and with @subleaves */
static bool vmm_cpuid_is_free(u32 leaf)
{
	switch (leaf) {
	case 2: case 4: case 0xb: case 0x1f: case 0x8000001d: case 0x8000001e: case 0x80000026:
		return true;
	default:
		return leaf >= 0x80000002 && leaf <= 0x80000006;
	}
}

/**
 * struct vmm_cpuid - a vCPU's table
 * @nr: entries
 * @max_phys: width of a guest physical address, as CPUID tells the guest
 * @cr4_mask: bits of CR4 that it makes legal
 * @entry: as userland set them
 */
struct vmm_cpuid {
	unsigned int nr;
	unsigned int max_phys;
	u64 cr4_mask;
	struct vmm_cpuid_entry entry[VMM_MAX_CPUID_ENTRIES];
};

struct vmm_caps vmm_caps __read_mostly;

/* filled once at load: what VMM_GET_SUPPORTED_STATE returns, and the start of each vCPU's table */
static struct vmm_cpuid vmm_cpuid_offer;

static u32 *vmm_cpuid_reg(struct vmm_cpuid_entry *e, unsigned int reg)
{
	switch (reg) {
	case VMM_CPUID_EAX: return &e->eax;
	case VMM_CPUID_EBX: return &e->ebx;
	case VMM_CPUID_ECX: return &e->ecx;
	default: return &e->edx;
	}
}

static struct vmm_cpuid_entry *vmm_cpuid_find(struct vmm_cpuid *table, u32 leaf, u32 subleaf)
{
	unsigned int i;

	for (i = 0; i < table->nr; i++) {
		struct vmm_cpuid_entry *e = &table->entry[i];

		if (e->leaf == leaf && (!(e->flags & VMM_CPUID_SUBLEAF) || e->subleaf == subleaf))
			return e;
	}
	return NULL;
}

static struct vmm_cpuid_entry *vmm_cpuid_add(struct vmm_cpuid *table, u32 leaf, u32 subleaf,
					     bool has_subleaf)
{
	struct vmm_cpuid_entry *e = vmm_cpuid_find(table, leaf, subleaf);

	/* at module load only, from the constant tables above */
	if (e || WARN_ON_ONCE(table->nr == VMM_MAX_CPUID_ENTRIES))
		return e;
	e = &table->entry[table->nr++];
	*e = (struct vmm_cpuid_entry){
		.leaf = leaf, .subleaf = subleaf, .flags = has_subleaf ? VMM_CPUID_SUBLEAF : 0};
	return e;
}

static u32 vmm_cpuid_native(u32 leaf, u32 subleaf, unsigned int reg)
{
	u32 r[VMM_CPUID_REGS];

	cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3]);
	return r[reg];
}

/* ask only below the highest leaf of the range: above it processors answer with something else */
static bool vmm_cpuid_native_has(u32 leaf)
{
	return leaf <= cpuid_eax(leaf & 0xffff0000);
}

static void vmm_cpuid_offer_policy(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vmm_cpuid_policy); i++) {
		const struct vmm_cpuid_policy *p = &vmm_cpuid_policy[i];
		bool native = p->allow && vmm_cpuid_native_has(p->leaf);
		struct vmm_cpuid_entry *e;
		u32 bits = 0;

		if (!native && !p->emulated)
			continue;
		e = vmm_cpuid_add(&vmm_cpuid_offer, p->leaf, p->subleaf,
				  p->leaf == 7 || p->leaf == 0xd);
		if (native) {
			bits = vmm_cpuid_native(p->leaf, p->subleaf, p->reg) & p->allow;
			if (p->word != VMM_NO_WORD)
				bits &= boot_cpu_data.x86_capability[p->word];
		}
		if (e)
			*vmm_cpuid_reg(e, p->reg) = bits | p->emulated;
	}
}

/* the XSAVE leaf: components, sizes and offsets (SDM vol. 1, 13.2) */
static void vmm_cpuid_offer_xsave(void)
{
	struct vmm_cpuid_entry *e;
	unsigned int i;
	u32 size = 512 + 64;

	if (!vmm_caps.xcr0)
		return;
	e = vmm_cpuid_add(&vmm_cpuid_offer, 0xd, 0, true);
	for (i = 2; i < 63; i++) {
		struct vmm_cpuid_entry *c;

		if (!(vmm_caps.xcr0 & BIT_ULL(i)))
			continue;
		c = vmm_cpuid_add(&vmm_cpuid_offer, 0xd, i, true);
		if (!c)
			return;
		c->eax = vmm_cpuid_native(0xd, i, VMM_CPUID_EAX);
		c->ebx = vmm_cpuid_native(0xd, i, VMM_CPUID_EBX);
		c->ecx = vmm_cpuid_native(0xd, i, VMM_CPUID_ECX) &
			 2; /* aligned in the compacted format */
		size = max(size, c->eax + c->ebx);
	}
	if (e) {
		e->eax = vmm_caps.xcr0;
		e->edx = vmm_caps.xcr0 >> 32;
		e->ebx = size;
		e->ecx = size;
	}
}

static void vmm_cpuid_offer_plain(void)
{
	struct vmm_cpuid_entry *e;
	unsigned int i;

	e = vmm_cpuid_add(&vmm_cpuid_offer, 0, 0, false);
	if (e) {
		cpuid(0, &e->eax, &e->ebx, &e->ecx, &e->edx);
		e->eax = min(e->eax, 0x1fu);
		e->eax = max(e->eax, 0xdu);
	}
	e = vmm_cpuid_find(&vmm_cpuid_offer, 1, 0);
	if (e) {
		e->eax = cpuid_eax(1);
		e->ebx = cpuid_ebx(1) &
			 0xff00; /* CLFLUSH size; the APIC id is filled in at run time */
	}

	e = vmm_cpuid_add(&vmm_cpuid_offer, VMM_CPUID_SIGNATURE, 0, false);
	if (e) {
		e->eax = VMM_CPUID_TIMING;
		memcpy(&e->ebx, KVM_SIGNATURE, 4);
		memcpy(&e->ecx, KVM_SIGNATURE + 4, 4);
		memcpy(&e->edx, KVM_SIGNATURE + 8, 4);
	}
	e = vmm_cpuid_find(&vmm_cpuid_offer, VMM_CPUID_SIGNATURE + 1, 0);
	if (e && !vmm_caps.tsc_stable)
		e->eax &= ~BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
	e = vmm_cpuid_add(&vmm_cpuid_offer, VMM_CPUID_TIMING, 0, false);
	if (e) {
		e->eax = vmm_tsc_khz();
		e->ebx = 1000000;	/* the local APIC's timer counts ns */
	}

	e = vmm_cpuid_add(&vmm_cpuid_offer, 0x80000000, 0, false);
	if (e) {
		cpuid(0x80000000, &e->eax, &e->ebx, &e->ecx, &e->edx);
		e->eax = clamp(e->eax, 0x80000008u, VMM_CPUID_MAX_EXT);
	}
	e = vmm_cpuid_find(&vmm_cpuid_offer, 0x80000001, 0);
	if (e)
		e->eax = cpuid_eax(0x80000001);
	e = vmm_cpuid_find(&vmm_cpuid_offer, 0x80000008, 0);
	if (e)
		e->eax = vmm_mmu_gpa_bits() |
			 (boot_cpu_has(X86_FEATURE_LA57) ? 48 : boot_cpu_data.x86_virt_bits) << 8;
	e = vmm_cpuid_find(&vmm_cpuid_offer, 0x80000007, 0);
	if (e && !vmm_caps.tsc_stable)
		e->edx = 0;

	for (i = 0; i < ARRAY_SIZE(vmm_cpuid_passed); i++) {
		u32 leaf = vmm_cpuid_passed[i];

		e = vmm_cpuid_add(&vmm_cpuid_offer, leaf, 0, false);
		if (e && vmm_cpuid_native_has(leaf))
			cpuid(leaf, &e->eax, &e->ebx, &e->ecx, &e->edx);
	}
}

static u64 vmm_cpuid_cr4_mask(struct vmm_cpuid *table);

/**
 * vmm_cpuid_module_init - find out what this host can offer. Context: module load.
 *
 * Return: 0.
 */
int vmm_cpuid_module_init(void)
{
	vmm_caps.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX |
			(boot_cpu_has(X86_FEATURE_FXSR_OPT) ? EFER_FFXSR : 0);
	vmm_caps.tsc_stable = boot_cpu_has(X86_FEATURE_CONSTANT_TSC) &&
			      boot_cpu_has(X86_FEATURE_NONSTOP_TSC) && !check_tsc_unstable();
	if (boot_cpu_has(X86_FEATURE_XSAVE)) {
		vmm_caps.host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
		vmm_caps.xcr0 = vmm_caps.host_xcr0 &
				(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM | XFEATURE_MASK_AVX512);
		if (boot_cpu_has(X86_FEATURE_OSPKE))
			vmm_caps.xcr0 |= vmm_caps.host_xcr0 & XFEATURE_MASK_PKRU;
	}
	vmm_cpuid_offer_policy();
	vmm_cpuid_offer_xsave();
	vmm_cpuid_offer_plain();
	vmm_caps.cr4 = vmm_cpuid_cr4_mask(&vmm_cpuid_offer);
	vmm_cpuid_offer.cr4_mask = vmm_caps.cr4;
	vmm_cpuid_offer.max_phys = vmm_mmu_gpa_bits();
	return 0;
}

/**
 * vmm_cpuid_supported - VMM_STATE_CPUID of VMM_GET_SUPPORTED_STATE
 * @entries: result
 * @max: room
 *
 * Return: how many there are.
 */
unsigned int vmm_cpuid_supported(struct vmm_cpuid_entry *entries, unsigned int max)
{
	memcpy(entries, vmm_cpuid_offer.entry, min(max, vmm_cpuid_offer.nr) * sizeof(*entries));
	return vmm_cpuid_offer.nr;
}

/**
 * vmm_cpuid_create - a vCPU starts with all that is offered. Context: may sleep.
 * @vcpu: the vCPU
 *
 * Return: 0 or -ENOMEM.
 */
int vmm_cpuid_create(struct vmm_vcpu *vcpu)
{
	vcpu->cpuid = kmalloc(sizeof(*vcpu->cpuid), GFP_KERNEL_ACCOUNT);
	if (!vcpu->cpuid)
		return -ENOMEM;
	*vcpu->cpuid = vmm_cpuid_offer;
	return 0;
}

void vmm_cpuid_free(struct vmm_vcpu *vcpu)
{
	kfree(vcpu->cpuid);
	vcpu->cpuid = NULL;
}

/* the entry promises no bit that is not offered */
static bool vmm_cpuid_entry_ok(const struct vmm_cpuid_entry *e)
{
	unsigned int i;

	if ((e->flags & ~VMM_CPUID_SUBLEAF) || e->pad)
		return false;
	for (i = 0; i < ARRAY_SIZE(vmm_cpuid_policy); i++) {
		const struct vmm_cpuid_policy *p = &vmm_cpuid_policy[i];
		struct vmm_cpuid_entry *offer, copy = *e;

		if (p->leaf != e->leaf ||
		    ((e->flags & VMM_CPUID_SUBLEAF) && p->subleaf != e->subleaf))
			continue;
		offer = vmm_cpuid_find(&vmm_cpuid_offer, p->leaf, p->subleaf);
		if (!offer || (*vmm_cpuid_reg(&copy, p->reg) & ~*vmm_cpuid_reg(offer, p->reg)))
			return false;
	}
	if (e->leaf == 0xd && e->subleaf == 0)
		return !(e->eax & ~(u32)vmm_caps.xcr0) && !(e->edx & ~(u32)(vmm_caps.xcr0 >> 32));
	/* leaves whose other registers hold feature bits that are not in the table */
	if (e->leaf == 7)
		return !(e->flags & VMM_CPUID_SUBLEAF) || e->subleaf == 0 ||
		       (e->subleaf == 1 && !e->ebx && !e->ecx && !e->edx) ||
		       !(e->eax | e->ebx | e->ecx | e->edx);
	return true;
}

/* leaves for which an entry may exist at all */
static bool vmm_cpuid_leaf_ok(const struct vmm_cpuid_entry *e)
{
	if (vmm_cpuid_is_free(e->leaf) || (e->leaf >> 16) == 0x4000)
		return true;
	if (e->leaf == 0xd)
		return e->subleaf < 2 || vmm_cpuid_find(&vmm_cpuid_offer, e->leaf, e->subleaf);
	return vmm_cpuid_find(&vmm_cpuid_offer, e->leaf,
			      e->flags & VMM_CPUID_SUBLEAF ? e->subleaf : 0) ||
	       !(e->eax | e->ebx | e->ecx | e->edx);
}

/**
 * vmm_cpuid_set - VMM_STATE_CPUID: replace a vCPU's table
 * @vcpu: the vCPU, not running
 * @entries: new contents
 * @nr: how many
 *
 * Return: 0, -EBUSY when the vCPU has run, -E2BIG for more than
 * VMM_MAX_CPUID_ENTRIES, or -EINVAL when an entry promises what is not offered;
 * nothing changed then.
 */
int vmm_cpuid_set(struct vmm_vcpu *vcpu, const struct vmm_cpuid_entry *entries, unsigned int nr)
{
	struct vmm_cpuid *table = vcpu->cpuid;
	struct vmm_cpuid_entry *e;
	unsigned int i, bits;

	if (vcpu->has_run)
		return -EBUSY;
	if (nr > VMM_MAX_CPUID_ENTRIES)
		return -E2BIG;
	for (i = 0; i < nr; i++)
		if (!vmm_cpuid_leaf_ok(&entries[i]) || !vmm_cpuid_entry_ok(&entries[i]))
			return -EINVAL;
	for (i = 0; i < nr; i++) {
		bits = entries[i].eax & 0xff;
		if (entries[i].leaf == 0x80000008 &&
		    (bits < 32 || bits > vmm_mmu_gpa_bits()))
			return -EINVAL;
	}

	memcpy(table->entry, entries, nr * sizeof(*entries));
	table->nr = nr;
	e = vmm_cpuid_find(table, 0x80000008, 0);
	table->max_phys = e ? e->eax & 0xff : 36;
	table->cr4_mask = vmm_cpuid_cr4_mask(table) & vmm_caps.cr4;
	vmm_x86(cpuid_changed)(vcpu);
	return 0;
}

/**
 * vmm_cpuid_get - VMM_STATE_CPUID
 * @vcpu: the vCPU, not running
 * @entries: result
 * @max: room
 *
 * Return: how many there are.
 */
unsigned int vmm_cpuid_get(struct vmm_vcpu *vcpu, struct vmm_cpuid_entry *entries, unsigned int max)
{
	memcpy(entries, vcpu->cpuid->entry, min(max, vcpu->cpuid->nr) * sizeof(*entries));
	return vcpu->cpuid->nr;
}

/* size of the XSAVE area for what XCR0 enables now */
static u32 vmm_cpuid_xsave_size(struct vmm_vcpu *vcpu)
{
	u32 size = 512 + 64;
	unsigned int i;

	for (i = 2; i < 63; i++) {
		struct vmm_cpuid_entry *e;

		if (!(vcpu->xcr0 & BIT_ULL(i)))
			continue;
		e = vmm_cpuid_find(vcpu->cpuid, 0xd, i);
		if (e)
			size = max(size, e->eax + e->ebx);
	}
	return size;
}

/* bits that depend on the vCPU and on what it does */
static void vmm_cpuid_dynamic(struct vmm_vcpu *vcpu, u32 leaf, u32 subleaf,
			      struct vmm_cpuid_entry *e)
{
	u64 cr4 = vmm_get_cr4(vcpu);
	bool apic = vmm_lapic_get_base(vcpu) & BIT(11);

	switch (leaf) {
	case 1:
		e->ebx = (e->ebx & 0x00ffffff) | vcpu->id << 24;
		if ((e->ecx & BIT(26)) && (cr4 & X86_CR4_OSXSAVE))
			e->ecx |= BIT(27);
		if (!apic)
			e->edx &= ~BIT(9);
		break;
	case 7:
		if (!subleaf && (e->ecx & BIT(3)) && (cr4 & X86_CR4_PKE))
			e->ecx |= BIT(4);
		break;
	case 0xb:
	case 0x1f:
		e->ecx = (e->ecx & ~0xffu) | (subleaf & 0xff);
		e->edx = vcpu->id;
		break;
	case 0xd:
		if (!subleaf)
			e->ebx = vmm_cpuid_xsave_size(vcpu);
		break;
	case 0x80000001:
		if (!apic)
			e->edx &= ~BIT(9);
		break;
	case 0x8000001e:
		e->eax = vcpu->id;
		break;
	default:
		break;
	}
}

/**
 * vmm_cpuid - the CPUID instruction (APM vol. 3)
 * @vcpu: the vCPU
 * @eax: leaf in, result out
 * @ebx: result
 * @ecx: subleaf in, result out
 * @edx: result
 *
 * Context: the owner.
 */
void vmm_cpuid(struct vmm_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	u32 leaf = *eax, subleaf = *ecx;
	struct vmm_cpuid_entry *found = vmm_cpuid_find(vcpu->cpuid, leaf, subleaf);
	struct vmm_cpuid_entry e = {};

	if (found) {
		e = *found;
		vmm_cpuid_dynamic(vcpu, leaf, subleaf, &e);
	} else if (leaf == 0xb || leaf == 0x1f) {
		/* beyond the last level: the level number and the id still count */
		if (vmm_cpuid_find(vcpu->cpuid, leaf, 0)) {
			e.ecx = subleaf & 0xff;
			e.edx = vcpu->id;
		}
	}
	*eax = e.eax;
	*ebx = e.ebx;
	*ecx = e.ecx;
	*edx = e.edx;
}

/**
 * vmm_guest_has - was the guest told of a feature?
 * @vcpu: the vCPU
 * @leaf: CPUID leaf
 * @subleaf: and subleaf
 * @reg: VMM_RAX, VMM_RBX, VMM_RCX or VMM_RDX
 * @bit: in that register
 */
bool vmm_guest_has(struct vmm_vcpu *vcpu, u32 leaf, u32 subleaf, unsigned int reg, u32 bit)
{
	struct vmm_cpuid_entry *e = vmm_cpuid_find(vcpu->cpuid, leaf, subleaf);
	u32 value;

	if (!e)
		return false;
	value = reg == VMM_RAX	 ? e->eax
		: reg == VMM_RBX ? e->ebx
		: reg == VMM_RCX ? e->ecx
				 : e->edx;
	return value & BIT(bit);
}

bool vmm_guest_has_x2apic(struct vmm_vcpu *vcpu)
{
	return vmm_guest_has(vcpu, 1, 0, VMM_RCX, 21);
}

bool vmm_guest_has_tsc_deadline(struct vmm_vcpu *vcpu)
{
	return vmm_guest_has(vcpu, 1, 0, VMM_RCX, 24);
}

bool vmm_guest_has_pku(struct vmm_vcpu *vcpu)
{
	return vmm_guest_has(vcpu, 7, 0, VMM_RCX, 3);
}

unsigned int vmm_guest_maxphyaddr(struct vmm_vcpu *vcpu)
{
	return vcpu->cpuid->max_phys;
}

u64 vmm_guest_cr4_mask(struct vmm_vcpu *vcpu)
{
	return vcpu->cpuid->cr4_mask;
}

/* CR4 bits and the CPUID bit that makes each legal */
static const struct {
	u64 cr4;
	u32 leaf;
	u8 reg;
	u8 bit;
} vmm_cr4_bits[] = {
	{ X86_CR4_VME | X86_CR4_PVI, 1, VMM_CPUID_EDX, 1 },
	{ X86_CR4_TSD, 1, VMM_CPUID_EDX, 4 },
	{ X86_CR4_DE, 1, VMM_CPUID_EDX, 2 },
	{ X86_CR4_PSE, 1, VMM_CPUID_EDX, 3 },
	{ X86_CR4_PAE, 1, VMM_CPUID_EDX, 6 },
	{ X86_CR4_MCE, 1, VMM_CPUID_EDX, 7 },
	{ X86_CR4_PGE, 1, VMM_CPUID_EDX, 13 },
	{ X86_CR4_OSFXSR, 1, VMM_CPUID_EDX, 24 },
	{ X86_CR4_OSXMMEXCPT, 1, VMM_CPUID_EDX, 25 },
	{ X86_CR4_UMIP, 7, VMM_CPUID_ECX, 2 },
	{ X86_CR4_FSGSBASE, 7, VMM_CPUID_EBX, 0 },
	{ X86_CR4_PCIDE, 1, VMM_CPUID_ECX, 17 },
	{ X86_CR4_OSXSAVE, 1, VMM_CPUID_ECX, 26 },
	{ X86_CR4_SMEP, 7, VMM_CPUID_EBX, 7 },
	{ X86_CR4_SMAP, 7, VMM_CPUID_EBX, 20 },
	{ X86_CR4_PKE, 7, VMM_CPUID_ECX, 3 },
};

static u64 vmm_cpuid_cr4_mask(struct vmm_cpuid *table)
{
	u64 mask = X86_CR4_PCE;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vmm_cr4_bits); i++) {
		struct vmm_cpuid_entry *e = vmm_cpuid_find(table, vmm_cr4_bits[i].leaf, 0);

		if (e && (*vmm_cpuid_reg(e, vmm_cr4_bits[i].reg) & BIT(vmm_cr4_bits[i].bit)))
			mask |= vmm_cr4_bits[i].cr4;
	}
	return mask;
}
