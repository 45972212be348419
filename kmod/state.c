// SPDX-License-Identifier: GPL-2.0
/*
 * The state of a vCPU: writes to control registers with the checks that the instructions make,
 * reset, and VMM_GET_STATE/VMM_SET_STATE.
 */
#include <linux/bits.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/fpu/types.h>
#include <asm/msr.h>
#include <asm/processor-flags.h>

#include "irq/irq.h"
#include "x86.h"
#include "x86_ops.h"

#define VMM_CR0_BITS                                                                   \
	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | \
	 X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)
#define VMM_DR6_FIXED	0xffff0ff0ull
#define VMM_DR6_BITS	0xe00full
#define VMM_DR7_FIXED	0x400ull
#define VMM_RFLAGS_BITS                                                                     \
	(X86_EFLAGS_CF | X86_EFLAGS_FIXED | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
	 X86_EFLAGS_SF | X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF | X86_EFLAGS_OF |    \
	 X86_EFLAGS_IOPL | X86_EFLAGS_NT | X86_EFLAGS_RF | X86_EFLAGS_VM | X86_EFLAGS_AC |  \
	 X86_EFLAGS_VIF | X86_EFLAGS_VIP | X86_EFLAGS_ID)

u64 vmm_get_cr0(struct vmm_vcpu *vcpu)
{
	return vmm_x86(get_cr0)(vcpu);
}

u64 vmm_get_cr3(struct vmm_vcpu *vcpu)
{
	return vmm_x86(get_cr3)(vcpu);
}

u64 vmm_get_cr4(struct vmm_vcpu *vcpu)
{
	return vmm_x86(get_cr4)(vcpu);
}

u64 vmm_get_efer(struct vmm_vcpu *vcpu)
{
	return vmm_x86(get_efer)(vcpu);
}

unsigned int vmm_get_cpl(struct vmm_vcpu *vcpu)
{
	return vmm_x86(get_cpl)(vcpu);
}

static bool vmm_cr0_ok(u64 cr0)
{
	if (cr0 & ~(u64)VMM_CR0_BITS)
		return false;
	if ((cr0 & X86_CR0_PG) && !(cr0 & X86_CR0_PE))
		return false;
	return !(cr0 & X86_CR0_NW) || (cr0 & X86_CR0_CD);
}

/**
 * vmm_set_cr0 - MOV to CR0 (APM vol. 2, 3.1.1)
 * @vcpu: the vCPU
 * @cr0: value
 *
 * Context: the owner. Return: 0, or 1 for #GP.
 */
int vmm_set_cr0(struct vmm_vcpu *vcpu, u64 cr0)
{
	u64 old = vmm_get_cr0(vcpu), cr4 = vmm_get_cr4(vcpu), efer = vmm_get_efer(vcpu);
	struct vmm_segment cs;

	/* reserved bits of the low half are ignored, of the high half refused */
	if (cr0 >> 32)
		return 1;
	cr0 = (cr0 & VMM_CR0_BITS) | X86_CR0_ET;
	if (!vmm_cr0_ok(cr0))
		return 1;
	if ((cr0 & ~old & X86_CR0_PG) && (efer & EFER_LME)) {
		vmm_x86(get_segment)(vcpu, VMM_SEG_CS, &cs);
		if (!(cr4 & X86_CR4_PAE) || cs.l)
			return 1;
	}
	if (old & ~cr0 & X86_CR0_PG) {
		if (cr4 & X86_CR4_PCIDE || vmm_is_64bit(vcpu))
			return 1;
	}
	vmm_x86(set_cr0)(vcpu, cr0);
	return 0;
}

/**
 * vmm_set_cr4 - MOV to CR4 (APM vol. 2, 3.1.3)
 * @vcpu: the vCPU
 * @cr4: value
 *
 * Context: the owner. Return: 0, or 1 for #GP.
 */
int vmm_set_cr4(struct vmm_vcpu *vcpu, u64 cr4)
{
	u64 old = vmm_get_cr4(vcpu);

	if (cr4 & ~vmm_guest_cr4_mask(vcpu))
		return 1;
	if (vmm_is_long_mode(vcpu) && !(cr4 & X86_CR4_PAE))
		return 1;
	if ((cr4 & ~old & X86_CR4_PCIDE) &&
	    (!vmm_is_long_mode(vcpu) || (vmm_get_cr3(vcpu) & 0xfff)))
		return 1;
	vmm_x86(set_cr4)(vcpu, cr4);
	return 0;
}

/**
 * vmm_set_efer - WRMSR to EFER (APM vol. 2, 3.1.7)
 * @vcpu: the vCPU
 * @efer: value; LMA is ignored, the processor rules it
 *
 * Context: the owner. Return: 0, or 1 for #GP.
 */
int vmm_set_efer(struct vmm_vcpu *vcpu, u64 efer)
{
	u64 old = vmm_get_efer(vcpu), allowed = vmm_caps.efer;

	if (!vmm_guest_has(vcpu, 0x80000001, 0, VMM_RDX, 20))
		allowed &= ~(u64)EFER_NX;
	if (!vmm_guest_has(vcpu, 0x80000001, 0, VMM_RDX, 29))
		allowed &= ~(u64)(EFER_LME | EFER_LMA);
	if (efer & ~allowed)
		return 1;
	if (((efer ^ old) & EFER_LME) && (vmm_get_cr0(vcpu) & X86_CR0_PG))
		return 1;
	vmm_x86(set_efer)(vcpu, (efer & ~(u64)EFER_LMA) | (old & EFER_LMA));
	return 0;
}

/**
 * vmm_set_xcr0 - XSETBV of XCR0 (SDM vol. 1, 13.3)
 * @vcpu: the vCPU
 * @xcr0: value
 *
 * Context: the owner. Return: 0, or 1 for #GP.
 */
int vmm_set_xcr0(struct vmm_vcpu *vcpu, u64 xcr0)
{
	u64 avx512 = xcr0 & XFEATURE_MASK_AVX512;

	if (!(xcr0 & XFEATURE_MASK_FP) || (xcr0 & ~vmm_caps.xcr0))
		return 1;
	if ((xcr0 & XFEATURE_MASK_YMM) && !(xcr0 & XFEATURE_MASK_SSE))
		return 1;
	if (avx512 && (avx512 != XFEATURE_MASK_AVX512 || !(xcr0 & XFEATURE_MASK_YMM)))
		return 1;
	vcpu->xcr0 = xcr0;
	return 0;
}

/**
 * vmm_get_dr - a debug register; DR4 and DR5 are DR6 and DR7. Context: the owner.
 * @vcpu: the vCPU
 * @dr: 0 .. 7
 */
u64 vmm_get_dr(struct vmm_vcpu *vcpu, unsigned int dr)
{
	if (dr < 4)
		return vcpu->dr[array_index_nospec(dr, 4)];
	return dr & 1 ? vcpu->dr7 : vcpu->dr6;
}

/**
 * vmm_set_dr - write a debug register (APM vol. 2, 13.1.1)
 * @vcpu: the vCPU
 * @dr: 0 .. 7
 * @value: value
 *
 * Context: the owner. Return: 0, or 1 for #GP: the upper half of DR6 and DR7 is reserved.
 */
int vmm_set_dr(struct vmm_vcpu *vcpu, unsigned int dr, u64 value)
{
	if (dr < 4) {
		vcpu->dr[array_index_nospec(dr, 4)] = value;
		return 0;
	}
	if (value >> 32)
		return 1;
	if (dr & 1)
		vcpu->dr7 = (value & ~0xd800ull) | VMM_DR7_FIXED;
	else
		vcpu->dr6 = (value & VMM_DR6_BITS) | VMM_DR6_FIXED;
	return 0;
}

static void vmm_set_plain_segment(struct vmm_vcpu *vcpu, unsigned int seg, u16 selector, u64 base,
				  u8 type, bool s)
{
	struct vmm_segment desc = {
		.base = base,
		.limit = 0xffff,
		.selector = selector,
		.type = type,
		.s = s,
		.present = 1,
	};

	vmm_x86(set_segment)(vcpu, seg, &desc);
}

/**
 * vmm_vcpu_reset - the registers after power-on or INIT (APM vol. 2, table 14-1)
 * @vcpu: the vCPU
 * @init: by INIT: FPU, MSRs, local APIC and CD, NW keep their values
 *
 * Context: the owner.
 */
void vmm_vcpu_reset(struct vmm_vcpu *vcpu, bool init)
{
	struct vmm_dtable dt = { .limit = 0xffff };
	u64 cache_bits =
		init ? vmm_get_cr0(vcpu) & (X86_CR0_CD | X86_CR0_NW) : X86_CR0_CD | X86_CR0_NW;
	static const u32 kept[] = {
		MSR_STAR,
		MSR_LSTAR,
		MSR_CSTAR,
		MSR_SYSCALL_MASK,
		MSR_KERNEL_GS_BASE,
		MSR_IA32_SYSENTER_CS,
		MSR_IA32_SYSENTER_ESP,
		MSR_IA32_SYSENTER_EIP,
		MSR_IA32_SPEC_CTRL,
	};
	u64 saved[ARRAY_SIZE(kept)] = {};
	unsigned int i;

	for (i = 0; init && i < ARRAY_SIZE(kept); i++)
		vmm_x86(get_msr)(vcpu, kept[i], &saved[i]);
	vmm_x86(vcpu_reset)(vcpu);
	for (i = 0; i < ARRAY_SIZE(kept); i++)
		vmm_x86(set_msr)(vcpu, kept[i], saved[i]);

	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->gpr[VMM_RDX] = cpuid_eax(1);
	vcpu->rip = 0xfff0;
	vcpu->rflags = X86_EFLAGS_FIXED;
	vcpu->cr2 = 0;
	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = VMM_DR6_FIXED;
	vcpu->dr7 = VMM_DR7_FIXED;
	memset(&vcpu->ev, 0, sizeof(vcpu->ev));
	atomic_set(&vcpu->nmi_queued, 0);
	vcpu->intack_wait = false;

	vmm_x86(set_efer)(vcpu, 0);
	vmm_x86(set_cr4)(vcpu, 0);
	vmm_x86(set_cr0)(vcpu, X86_CR0_ET | cache_bits);
	vmm_x86(set_cr3)(vcpu, 0);
	vmm_set_plain_segment(vcpu, VMM_SEG_CS, 0xf000, 0xffff0000, 0xb, true);
	for (i = VMM_SEG_ES; i <= VMM_SEG_GS; i++)
		if (i != VMM_SEG_CS)
			vmm_set_plain_segment(vcpu, i, 0, 0, 0x3, true);
	vmm_set_plain_segment(vcpu, VMM_SEG_LDTR, 0, 0, 0x2, false);
	vmm_set_plain_segment(vcpu, VMM_SEG_TR, 0, 0, 0xb, false);
	vmm_x86(set_dtable)(vcpu, false, &dt);
	vmm_x86(set_dtable)(vcpu, true, &dt);

	vmm_msr_reset(vcpu, init);
	vmm_x86(set_pat)(vcpu, vcpu->pat);
	if (!init)
		vcpu->xcr0 = XFEATURE_MASK_FP;
	vmm_tsc_update(vcpu);
	vmm_make_request(vcpu, VMM_REQ_EVENT);
}

/**
 * vmm_vcpu_start_sipi - a start-up IPI: real mode at the page that its vector names (APM vol.
 * 2, 7.6.5 and 15.27)
 * @vcpu: the vCPU, as after INIT
 * @vector: page number
 *
 * Context: the owner.
 */
void vmm_vcpu_start_sipi(struct vmm_vcpu *vcpu, u8 vector)
{
	vmm_set_plain_segment(vcpu, VMM_SEG_CS, vector << 8, vector << 12, 0xb, true);
	vcpu->rip = 0;
	vcpu->mp = VMM_MP_RUNNING;
}

/* ---- VMM_STATE_* ---- */

static bool vmm_is_canonical48(u64 address)
{
	return (u64)((s64)(address << 16) >> 16) == address;
}

static int vmm_regs_set(struct vmm_vcpu *vcpu, const struct vmm_regs *regs)
{
	if (regs->rflags & ~(u64)VMM_RFLAGS_BITS)
		return -EINVAL;
	memcpy(vcpu->gpr, regs->gpr, sizeof(vcpu->gpr));
	vcpu->rip = regs->rip;
	vcpu->rflags = regs->rflags | X86_EFLAGS_FIXED;
	vmm_make_request(vcpu, VMM_REQ_EVENT);
	return 0;
}

static void vmm_regs_get(struct vmm_vcpu *vcpu, struct vmm_regs *regs)
{
	memcpy(regs->gpr, vcpu->gpr, sizeof(regs->gpr));
	regs->rip = vcpu->rip;
	regs->rflags = vcpu->rflags;
}

static void vmm_sregs_get(struct vmm_vcpu *vcpu, struct vmm_sregs *s)
{
	unsigned int i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < VMM_NR_SEGS; i++)
		vmm_x86(get_segment)(vcpu, i, &s->seg[i]);
	vmm_x86(get_dtable)(vcpu, false, &s->gdt);
	vmm_x86(get_dtable)(vcpu, true, &s->idt);
	s->cr0 = vmm_get_cr0(vcpu);
	s->cr2 = vcpu->cr2;
	s->cr3 = vmm_get_cr3(vcpu);
	s->cr4 = vmm_get_cr4(vcpu);
	s->cr8 = vmm_lapic_get_cr8(vcpu);
	s->efer = vmm_get_efer(vcpu);
	s->apic_base = vmm_lapic_get_base(vcpu);
}

static bool vmm_segment_ok(const struct vmm_segment *s)
{
	return s->type <= 15 && s->s <= 1 && s->dpl <= 3 && s->present <= 1 && s->avl <= 1 &&
	       s->l <= 1 && s->db <= 1 && s->g <= 1 && s->unusable <= 1 && !s->pad &&
	       vmm_is_canonical48(s->base);
}

/*
 * could a processor be in this state? (APM vol. 2, 15.5.1: canonicalization and consistency
 * checks)
 */
static bool vmm_sregs_ok(struct vmm_vcpu *vcpu, const struct vmm_sregs *s)
{
	bool lma = s->efer & EFER_LMA;
	unsigned int i;

	if (!vmm_cr0_ok(s->cr0) || (s->cr4 & ~vmm_caps.cr4) || (s->efer & ~vmm_caps.efer) ||
	    s->cr8 > 15)
		return false;
	if (lma != ((s->efer & EFER_LME) && (s->cr0 & X86_CR0_PG)) ||
	    (lma && !(s->cr4 & X86_CR4_PAE)))
		return false;
	if ((s->cr4 & X86_CR4_PCIDE) && !lma)
		return false;
	if (s->cr3 & ~GENMASK_ULL(vmm_guest_maxphyaddr(vcpu) - 1, 0))
		return false;
	if (lma && s->seg[VMM_SEG_CS].l && s->seg[VMM_SEG_CS].db)
		return false;
	for (i = 0; i < VMM_NR_SEGS; i++)
		if (!vmm_segment_ok(&s->seg[i]))
			return false;
	if (!vmm_is_canonical48(s->gdt.base) || !vmm_is_canonical48(s->idt.base))
		return false;
	return !memchr_inv(s->gdt.pad, 0, sizeof(s->gdt.pad)) &&
	       !memchr_inv(s->idt.pad, 0, sizeof(s->idt.pad)) &&
	       !memchr_inv(s->pad, 0, sizeof(s->pad));
}

static int vmm_sregs_set(struct vmm_vcpu *vcpu, const struct vmm_sregs *s)
{
	unsigned int i;

	if (!vmm_sregs_ok(vcpu, s) || vmm_lapic_set_base(vcpu, s->apic_base, true))
		return -EINVAL;
	/* EFER first without LMA, for CR0.PG decides it; then as given */
	vmm_x86(set_efer)(vcpu, s->efer & ~(u64)EFER_LMA);
	vmm_x86(set_cr4)(vcpu, s->cr4);
	vmm_x86(set_cr0)(vcpu, s->cr0 | X86_CR0_ET);
	vmm_x86(set_cr3)(vcpu, s->cr3);
	vmm_x86(set_efer)(vcpu, s->efer);
	for (i = 0; i < VMM_NR_SEGS; i++)
		vmm_x86(set_segment)(vcpu, i, &s->seg[i]);
	vmm_x86(set_dtable)(vcpu, false, &s->gdt);
	vmm_x86(set_dtable)(vcpu, true, &s->idt);
	vcpu->cr2 = s->cr2;
	vmm_lapic_set_cr8(vcpu, s->cr8);
	vmm_make_request(vcpu, VMM_REQ_EVENT);
	return 0;
}

static void vmm_debugregs_get(struct vmm_vcpu *vcpu, struct vmm_debugregs *d)
{
	memset(d, 0, sizeof(*d));
	memcpy(d->db, vcpu->dr, sizeof(d->db));
	d->dr6 = vcpu->dr6;
	d->dr7 = vcpu->dr7;
}

static int vmm_debugregs_set(struct vmm_vcpu *vcpu, const struct vmm_debugregs *d)
{
	if ((d->dr6 | d->dr7) >> 32 || memchr_inv(d->pad, 0, sizeof(d->pad)))
		return -EINVAL;
	memcpy(vcpu->dr, d->db, sizeof(vcpu->dr));
	vmm_set_dr(vcpu, 6, d->dr6);
	vmm_set_dr(vcpu, 7, d->dr7);
	return 0;
}

static int vmm_xcrs_set(struct vmm_vcpu *vcpu, const struct vmm_xcrs *x)
{
	if (memchr_inv(x->pad, 0, sizeof(x->pad)) || vmm_set_xcr0(vcpu, x->xcr0))
		return -EINVAL;
	return 0;
}

static int vmm_mp_set(struct vmm_vcpu *vcpu, const struct vmm_mp_state *mp)
{
	if (mp->state > VMM_MP_WAIT_SIPI || memchr_inv(mp->pad, 0, sizeof(mp->pad)))
		return -EINVAL;
	vcpu->mp = mp->state;
	vmm_make_request(vcpu, VMM_REQ_EVENT);
	return 0;
}

static int vmm_msrs_get(struct vmm_vcpu *vcpu, struct vmm_msr *msrs, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (msrs[i].pad || vmm_msr_read(vcpu, msrs[i].index, &msrs[i].data, true))
			return -EINVAL;
	return 0;
}

/* all or nothing: what was written is written back when one is refused */
static int vmm_msrs_set(struct vmm_vcpu *vcpu, const struct vmm_msr *msrs, unsigned int nr)
{
	u64 *old = kvmalloc_array(nr ?: 1, sizeof(*old), GFP_KERNEL_ACCOUNT);
	unsigned int i;
	int ret = 0;

	if (!old)
		return -ENOMEM;
	for (i = 0; i < nr && !ret; i++) {
		bool readable = !vmm_msr_read(vcpu, msrs[i].index, &old[i], true);

		if (msrs[i].pad || (!readable && msrs[i].index != MSR_IA32_PRED_CMD) ||
		    vmm_msr_write(vcpu, msrs[i].index, msrs[i].data, true)) {
			ret = -EINVAL;
			break;
		}
	}
	while (ret && i--)
		if (msrs[i].index != MSR_IA32_PRED_CMD)
			vmm_msr_write(vcpu, msrs[i].index, old[i], true);
	kvfree(old);
	return ret;
}

/* size of a state that has a fixed one; 0 for those that are arrays or depend on the processor */
static u32 vmm_state_size(struct vmm_vcpu *vcpu, u32 type)
{
	switch (type) {
	case VMM_STATE_REGS: return sizeof(struct vmm_regs);
	case VMM_STATE_SREGS: return sizeof(struct vmm_sregs);
	case VMM_STATE_DEBUGREGS: return sizeof(struct vmm_debugregs);
	case VMM_STATE_XSAVE: return vmm_fpu_xsave_size(vcpu);
	case VMM_STATE_XCRS: return sizeof(struct vmm_xcrs);
	case VMM_STATE_LAPIC: return sizeof(struct vmm_lapic_state);
	case VMM_STATE_EVENTS: return sizeof(struct vmm_events);
	case VMM_STATE_MP: return sizeof(struct vmm_mp_state);
	default: return 0;
	}
}

static int vmm_state_check(const struct vmm_state *state)
{
	return state->version == VMM_STATE_VERSION && !state->flags ? 0 : -EINVAL;
}

/* copy @have bytes out, or say how many there are */
static int vmm_state_out(struct vmm_state *state, const void *buf, u32 have)
{
	u32 room = state->size;

	state->size = have;
	if (room < have)
		return -E2BIG;
	return copy_to_user(u64_to_user_ptr(state->data), buf, have) ? -EFAULT : 0;
}

static int vmm_get_msrs(struct vmm_vcpu *vcpu, struct vmm_state *state)
{
	unsigned int nr = state->size / sizeof(struct vmm_msr);
	struct vmm_msr *msrs;
	int ret;

	if (state->size % sizeof(*msrs) || nr > VMM_MAX_STATE_MSRS)
		return -EINVAL;
	msrs = vmemdup_user(u64_to_user_ptr(state->data), state->size);
	if (IS_ERR(msrs))
		return PTR_ERR(msrs);
	ret = vmm_msrs_get(vcpu, msrs, nr);
	if (!ret)
		ret = vmm_state_out(state, msrs, state->size);
	kvfree(msrs);
	return ret;
}

static int vmm_get_cpuid(struct vmm_vcpu *vcpu, struct vmm_state *state)
{
	struct vmm_cpuid_entry *e =
		kvmalloc_array(VMM_MAX_CPUID_ENTRIES, sizeof(*e), GFP_KERNEL_ACCOUNT);
	unsigned int nr;
	int ret;

	if (!e)
		return -ENOMEM;
	nr = vcpu ? vmm_cpuid_get(vcpu, e, VMM_MAX_CPUID_ENTRIES)
		  : vmm_cpuid_supported(e, VMM_MAX_CPUID_ENTRIES);
	ret = vmm_state_out(state, e, nr * sizeof(*e));
	kvfree(e);
	return ret;
}

/**
 * vmm_vcpu_get_state - VMM_GET_STATE
 * @vcpu: the vCPU, its mutex held
 * @state: argument; @state->size is updated
 *
 * Context: may sleep. Return: 0 or a negative errno.
 */
int vmm_vcpu_get_state(struct vmm_vcpu *vcpu, struct vmm_state *state)
{
	u32 size = vmm_state_size(vcpu, state->type);
	void *buf;
	int ret;

	ret = vmm_state_check(state);
	if (ret)
		return ret;
	if (state->type == VMM_STATE_MSRS)
		return vmm_get_msrs(vcpu, state);
	if (state->type == VMM_STATE_CPUID)
		return vmm_get_cpuid(vcpu, state);
	if (!size)
		return -EINVAL;

	buf = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	switch (state->type) {
	case VMM_STATE_REGS:
		vmm_regs_get(vcpu, buf);
		break;
	case VMM_STATE_SREGS:
		vmm_sregs_get(vcpu, buf);
		break;
	case VMM_STATE_DEBUGREGS:
		vmm_debugregs_get(vcpu, buf);
		break;
	case VMM_STATE_XSAVE:
		vmm_fpu_get_xsave(vcpu, buf, size);
		break;
	case VMM_STATE_XCRS:
		((struct vmm_xcrs *)buf)->xcr0 = vcpu->xcr0;
		break;
	case VMM_STATE_LAPIC:
		vmm_lapic_get_state(vcpu, buf);
		break;
	case VMM_STATE_EVENTS:
		vmm_events_get(vcpu, buf);
		break;
	case VMM_STATE_MP:
		((struct vmm_mp_state *)buf)->state = vcpu->mp;
		break;
	}
	ret = vmm_state_out(state, buf, size);
	kvfree(buf);
	return ret;
}

/* bytes that a set of this type may bring; 0 = no such type */
static u32 vmm_state_set_limit(struct vmm_vcpu *vcpu, u32 type)
{
	switch (type) {
	case VMM_STATE_MSRS: return VMM_MAX_STATE_MSRS * sizeof(struct vmm_msr);
	case VMM_STATE_CPUID: return VMM_MAX_CPUID_ENTRIES * sizeof(struct vmm_cpuid_entry);
	default: return vmm_state_size(vcpu, type);
	}
}

static bool vmm_state_set_size_ok(struct vmm_vcpu *vcpu, const struct vmm_state *state)
{
	switch (state->type) {
	case VMM_STATE_MSRS: return !(state->size % sizeof(struct vmm_msr));
	case VMM_STATE_CPUID: return !(state->size % sizeof(struct vmm_cpuid_entry));
	default: return state->size == vmm_state_size(vcpu, state->type);
	}
}

static int vmm_state_apply(struct vmm_vcpu *vcpu, u32 type, const void *buf, u32 size)
{
	switch (type) {
	case VMM_STATE_REGS:
		return vmm_regs_set(vcpu, buf);
	case VMM_STATE_SREGS:
		return vmm_sregs_set(vcpu, buf);
	case VMM_STATE_DEBUGREGS:
		return vmm_debugregs_set(vcpu, buf);
	case VMM_STATE_XSAVE:
		return vmm_fpu_set_xsave(vcpu, buf, size);
	case VMM_STATE_XCRS:
		return vmm_xcrs_set(vcpu, buf);
	case VMM_STATE_MSRS:
		return vmm_msrs_set(vcpu, buf, size / sizeof(struct vmm_msr));
	case VMM_STATE_CPUID:
		return vmm_cpuid_set(vcpu, buf, size / sizeof(struct vmm_cpuid_entry));
	case VMM_STATE_LAPIC:
		return vmm_lapic_set_state(vcpu, buf);
	case VMM_STATE_EVENTS:
		return vmm_events_set(vcpu, buf);
	case VMM_STATE_MP:
		return vmm_mp_set(vcpu, buf);
	default:
		return -EINVAL;
	}
}

/**
 * vmm_vcpu_set_state - VMM_SET_STATE
 * @vcpu: the vCPU, its mutex held
 * @state: argument
 *
 * Context: vm->srcu held for reading; may sleep. Return: 0 or a negative errno, with nothing
 * changed.
 */
int vmm_vcpu_set_state(struct vmm_vcpu *vcpu, const struct vmm_state *state)
{
	u32 limit = vmm_state_set_limit(vcpu, state->type);
	void *buf;
	int ret;

	ret = vmm_state_check(state);
	if (ret)
		return ret;
	if (!limit || !vmm_state_set_size_ok(vcpu, state))
		return -EINVAL;
	if (state->size > limit)
		return -E2BIG;
	buf = vmemdup_user(u64_to_user_ptr(state->data), state->size);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	ret = vmm_state_apply(vcpu, state->type, buf, state->size);
	kvfree(buf);
	return ret;
}

/**
 * vmm_vm_get_state - VMM_GET_VM_STATE. Context: may sleep.
 * @vm: the VM
 * @state: argument
 *
 * Return: 0 or a negative errno.
 */
int vmm_vm_get_state(struct vmm_vm *vm, struct vmm_state *state)
{
	struct vmm_clock clock;
	int ret = vmm_state_check(state);

	if (ret)
		return ret;
	if (state->type != VMM_STATE_CLOCK)
		return -EINVAL;
	vmm_clock_get(vm, &clock);
	return vmm_state_out(state, &clock, sizeof(clock));
}

/**
 * vmm_vm_set_state - VMM_SET_VM_STATE. Context: may sleep.
 * @vm: the VM
 * @state: argument
 *
 * Return: 0 or a negative errno.
 */
int vmm_vm_set_state(struct vmm_vm *vm, const struct vmm_state *state)
{
	struct vmm_clock clock;
	int ret = vmm_state_check(state);

	if (ret)
		return ret;
	if (state->type != VMM_STATE_CLOCK || state->size != sizeof(clock))
		return -EINVAL;
	if (copy_from_user(&clock, u64_to_user_ptr(state->data), sizeof(clock)))
		return -EFAULT;
	return vmm_clock_set(vm, &clock);
}

/**
 * vmm_supported_state - VMM_GET_SUPPORTED_STATE: CPUID entries and MSR indexes. Context: may
 * sleep.
 * @state: argument
 *
 * Return: 0 or a negative errno.
 */
int vmm_supported_state(struct vmm_state *state)
{
	unsigned int nr;
	u32 *list;
	int ret = vmm_state_check(state);

	if (ret)
		return ret;
	if (state->type == VMM_STATE_CPUID)
		return vmm_get_cpuid(NULL, state);
	if (state->type != VMM_STATE_MSR_LIST)
		return -EINVAL;
	list = kmalloc_array(VMM_MAX_STATE_MSRS, sizeof(*list), GFP_KERNEL_ACCOUNT);
	if (!list)
		return -ENOMEM;
	nr = vmm_msr_list(list, VMM_MAX_STATE_MSRS);
	ret = vmm_state_out(state, list, nr * sizeof(*list));
	kfree(list);
	return ret;
}
