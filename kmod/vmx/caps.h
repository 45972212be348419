/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What this processor's VT-x can do, and what of it is used.
 */
#ifndef KMOD_VMX_CAPS_H
#define KMOD_VMX_CAPS_H

#include <linux/bits.h>
#include <linux/types.h>

/* what not every kernel's header names (SDM vol. 3, 25.6.2 and appendix B) */
#define VMX_PROC2_ENCLV_EXITING		BIT(28)
#define VMX_ENCLV_EXITING_BITMAP	0x2036

/**
 * struct vmx_caps - filled once at load from the capability MSRs (SDM vol. 3, appendix A)
 * @revision: identifier that a VMCS and the VMXON region start with
 * @pin: pin-based controls of every guest
 * @proc: primary execution controls, likewise; windows are opened in a copy
 * @proc2: secondary execution controls, likewise; CPUID narrows them in a copy
 * @exit: exit controls
 * @entry: entry controls, without IA-32e mode
 * @cr0_fixed: bits of CR0 that must be set while a guest runs, whatever it thinks
 * @cr4_fixed: likewise of CR4
 * @ept_2m: EPT has leaves of 2 MiB ...
 * @ept_1g: ... and of 1 GiB
 * @ept_ad: EPT's accessed and dirty flags are used
 * @invept_single: INVEPT of one EPT
 * @invvpid_single: INVVPID of one VPID
 * @tpr_shadow: the processor keeps CR8 ...
 * @x2apic: ... and the MSR of TPR ...
 * @apic_regs: ... and answers reads of the local APIC's other MSRs ...
 * @vid: ... and delivers its interrupts
 * @pebs: the processor can write records of the host's performance events
 * @preempt_ticks: of the preemption timer, after which a stay in the guest ends; 0 = never
 */
struct vmx_caps {
	u32 revision;
	u32 pin;
	u32 proc;
	u32 proc2;
	u32 exit;
	u32 entry;
	u64 cr0_fixed;
	u64 cr4_fixed;
	bool ept_2m;
	bool ept_1g;
	bool ept_ad;
	bool invept_single;
	bool invvpid_single;
	bool tpr_shadow;
	bool x2apic;
	bool apic_regs;
	bool vid;
	bool pebs;
	u32 preempt_ticks;
};

extern struct vmx_caps vmx_caps;

int vmx_caps_init(void);

#endif /* KMOD_VMX_CAPS_H */
