/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * vmm: state of an x86-64 vCPU and of its VM, as VMM_GET_STATE and VMM_SET_STATE carry it.
 */
#ifndef _UAPI_LINUX_VMM_X86_H
#define _UAPI_LINUX_VMM_X86_H

#include <linux/types.h>

/**
 * enum vmm_state_type - what struct vmm_state is about
 * @VMM_STATE_REGS: struct vmm_regs
 * @VMM_STATE_SREGS: struct vmm_sregs
 * @VMM_STATE_DEBUGREGS: struct vmm_debugregs
 * @VMM_STATE_XSAVE: the XSAVE image in the standard format (SDM vol. 1, 13.4), its size given
 *	by a get with size 0
 * @VMM_STATE_XCRS: struct vmm_xcrs
 * @VMM_STATE_MSRS: array of struct vmm_msr. A get reads the indexes that the caller filled in.
 *	A set stops at nothing: all are checked first.
 * @VMM_STATE_CPUID: array of struct vmm_cpuid_entry. Set it before the first VMM_RUN (EBUSY). With
 *	VMM_GET_SUPPORTED_STATE: what can be offered.
 * @VMM_STATE_LAPIC: struct vmm_lapic_state
 * @VMM_STATE_EVENTS: struct vmm_events
 * @VMM_STATE_MP: struct vmm_mp_state
 * @VMM_STATE_MSR_LIST: array of __u32, the MSRs that make up a vCPU's state; only with
 *	VMM_GET_SUPPORTED_STATE
 * @VMM_STATE_CLOCK: struct vmm_clock; of the VM
 */
enum vmm_state_type {
	VMM_STATE_REGS		= 1,
	VMM_STATE_SREGS		= 2,
	VMM_STATE_DEBUGREGS	= 3,
	VMM_STATE_XSAVE		= 4,
	VMM_STATE_XCRS		= 5,
	VMM_STATE_MSRS		= 6,
	VMM_STATE_CPUID		= 7,
	VMM_STATE_LAPIC		= 8,
	VMM_STATE_EVENTS	= 9,
	VMM_STATE_MP		= 10,
	VMM_STATE_MSR_LIST	= 11,
	VMM_STATE_CLOCK		= 12,
};

/* order of struct vmm_regs gpr: the numbers of the instruction encoding */
enum vmm_gpr {
	VMM_RAX, VMM_RCX, VMM_RDX, VMM_RBX, VMM_RSP, VMM_RBP, VMM_RSI, VMM_RDI,
	VMM_R8, VMM_R9, VMM_R10, VMM_R11, VMM_R12, VMM_R13, VMM_R14, VMM_R15,
	VMM_NR_GPRS,
};

/**
 * struct vmm_regs - general registers
 * @gpr: by enum vmm_gpr
 * @rip: next instruction
 * @rflags: flags; bit 1 reads as one
 */
struct vmm_regs {
	__u64 gpr[16];
	__u64 rip;
	__u64 rflags;
};

/**
 * struct vmm_segment - a segment register with its hidden part (APM vol. 2, 4.5)
 * @base: base address
 * @limit: limit in bytes, already scaled by granularity
 * @selector: the visible part
 * @type: descriptor type field
 * @s: 1 code or data, 0 system
 * @dpl: privilege level
 * @present: present bit
 * @avl: available to software
 * @l: 64-bit code
 * @db: default size
 * @g: granularity
 * @unusable: VMX's notion: a null selector was loaded; on SVM the same as @present == 0
 * @pad: zero
 */
struct vmm_segment {
	__u64 base;
	__u32 limit;
	__u16 selector;
	__u8 type;
	__u8 s;
	__u8 dpl;
	__u8 present;
	__u8 avl;
	__u8 l;
	__u8 db;
	__u8 g;
	__u8 unusable;
	__u8 pad;
};

/**
 * struct vmm_dtable - GDTR or IDTR
 * @base: linear address
 * @limit: limit in bytes
 * @pad: zero
 */
struct vmm_dtable {
	__u64 base;
	__u16 limit;
	__u16 pad[3];
};

enum vmm_seg {
	VMM_SEG_ES, VMM_SEG_CS, VMM_SEG_SS, VMM_SEG_DS, VMM_SEG_FS, VMM_SEG_GS,
	VMM_SEG_LDTR, VMM_SEG_TR,
	VMM_NR_SEGS,
};

/**
 * struct vmm_sregs - segment, table and control registers
 * @seg: by enum vmm_seg
 * @gdt: GDTR
 * @idt: IDTR
 * @cr0: CR0
 * @cr2: CR2
 * @cr3: CR3
 * @cr4: CR4
 * @cr8: task priority
 * @efer: EFER
 * @apic_base: IA32_APIC_BASE
 * @pdptr: the page-directory pointers last loaded, in PAE mode (APM vol. 2, 5.2.3); with nested
 *	paging not kept by the processor, then zero
 * @pad: zero
 */
struct vmm_sregs {
	struct vmm_segment seg[8];
	struct vmm_dtable gdt;
	struct vmm_dtable idt;
	__u64 cr0;
	__u64 cr2;
	__u64 cr3;
	__u64 cr4;
	__u64 cr8;
	__u64 efer;
	__u64 apic_base;
	__u64 pdptr[4];
	__u64 pad[4];
};

/**
 * struct vmm_debugregs - debug registers
 * @db: DR0 .. DR3
 * @dr6: DR6
 * @dr7: DR7
 * @pad: zero
 */
struct vmm_debugregs {
	__u64 db[4];
	__u64 dr6;
	__u64 dr7;
	__u64 pad[2];
};

/**
 * struct vmm_xcrs - extended control registers
 * @xcr0: XCR0
 * @pad: zero
 */
struct vmm_xcrs {
	__u64 xcr0;
	__u64 pad[3];
};

/**
 * struct vmm_msr - one model-specific register
 * @index: its number
 * @pad: zero
 * @data: its value
 */
struct vmm_msr {
	__u32 index;
	__u32 pad;
	__u64 data;
};

#define VMM_CPUID_SUBLEAF	(1u << 0)	/* @subleaf is significant */

/**
 * struct vmm_cpuid_entry - what the guest's CPUID instruction returns
 * @leaf: EAX on entry
 * @subleaf: ECX on entry, with VMM_CPUID_SUBLEAF
 * @flags: VMM_CPUID_*
 * @eax: result
 * @ebx: result
 * @ecx: result
 * @edx: result
 * @pad: zero
 *
 * Bits that depend on the vCPU's state (OSXSAVE, the APIC bit, XSAVE sizes) are filled in at
 * run time. A leaf that is not in the table returns zeros, except that one above the highest
 * basic leaf returns what Intel's processors return there on such a vendor string, and zeros
 * otherwise. Entries that promise what VMM_GET_SUPPORTED_STATE does not offer are refused with
 * EINVAL.
 */
struct vmm_cpuid_entry {
	__u32 leaf;
	__u32 subleaf;
	__u32 flags;
	__u32 eax;
	__u32 ebx;
	__u32 ecx;
	__u32 edx;
	__u32 pad;
};

#define VMM_MAX_CPUID_ENTRIES	256
#define VMM_MAX_STATE_MSRS	256

/**
 * struct vmm_lapic_state - a local APIC
 * @regs: the register page in xAPIC layout (SDM vol. 3, table 11-1). In x2APIC mode the ID
 *	register and the ICR are kept as x2APIC has them.
 * @timer_deadline: IA32_TSC_DEADLINE
 * @timer_elapsed_ns: for the one-shot and periodic modes: time since the count was loaded, or
 *	since the last expiry
 * @lint: bit n = pin LINTn is asserted
 * @errors: errors seen since the last write to the ESR, as the next write will show them
 * @pad: zero
 */
struct vmm_lapic_state {
	__u8 regs[1024];
	__u64 timer_deadline;
	__u64 timer_elapsed_ns;
	__u32 lint;
	__u32 errors;
	__u32 pad[2];
};

#define VMM_EV_EXC_PENDING	(1u << 0)	/* recognised, not yet injected */
#define VMM_EV_EXC_REINJECT	(1u << 1)	/* was in delivery when an exit came */
#define VMM_EV_EXC_ERROR_CODE	(1u << 2)
#define VMM_EV_IRQ_REINJECT	(1u << 3) /* external interrupt in delivery; already acknowledged */
#define VMM_EV_SOFT_REINJECT	(1u << 4)	/* software interrupt in delivery */
#define VMM_EV_NMI_PENDING	(1u << 5)
#define VMM_EV_NMI_REINJECT	(1u << 6)
#define VMM_EV_NMI_BLOCKED	(1u << 7)	/* in an NMI handler */
#define VMM_EV_SHADOW_STI	(1u << 8)	/* interrupts inhibited for one instruction */
#define VMM_EV_SHADOW_MOV_SS	(1u << 9)
#define VMM_EV_INIT_PENDING	(1u << 10)	/* an INIT not yet honoured */
#define VMM_EV_SIPI_PENDING	(1u << 11)	/* a start-up IPI not yet honoured */

/**
 * struct vmm_events - events that are on their way into the vCPU
 * @flags: VMM_EV_*
 * @exc_vector: exception
 * @irq_vector: interrupt of VMM_EV_IRQ_REINJECT or VMM_EV_SOFT_REINJECT
 * @insn_len: length of the INT instruction of VMM_EV_SOFT_REINJECT
 * @nmi_pending: NMIs waiting, 0 .. 2
 * @exc_error_code: with VMM_EV_EXC_ERROR_CODE
 * @sipi_vector: with VMM_EV_SIPI_PENDING, 0 .. 255
 * @exc_payload: CR2 of a pending page fault, DR6 bits of a pending debug exception
 * @pad: zero
 *
 * The rIP that an exception saves is that of struct vmm_regs, for #BP and #OF too: set, they need
 * no INT3 or INTO, and one in delivery has its rIP behind it already. Where a processor executes
 * INT n, INT3 or INTO again after an exit in their delivery, no event is reported.
 */
struct vmm_events {
	__u32 flags;
	__u8 exc_vector;
	__u8 irq_vector;
	__u8 insn_len;
	__u8 nmi_pending;
	__u32 exc_error_code;
	__u32 sipi_vector;
	__u64 exc_payload;
	__u64 pad[4];
};

/**
 * enum vmm_mp - what a vCPU does
 * @VMM_MP_RUNNING: executes
 * @VMM_MP_HALTED: in HLT
 * @VMM_MP_UNINIT: an application processor before its first INIT
 * @VMM_MP_WAIT_SIPI: after INIT, waits for a start-up IPI
 */
enum vmm_mp {
	VMM_MP_RUNNING		= 0,
	VMM_MP_HALTED		= 1,
	VMM_MP_UNINIT		= 2,
	VMM_MP_WAIT_SIPI	= 3,
};

/**
 * struct vmm_mp_state - argument of VMM_STATE_MP
 * @state: enum vmm_mp
 * @pad: zero
 */
struct vmm_mp_state {
	__u32 state;
	__u32 pad[3];
};

/**
 * struct vmm_clock - the VM's clock: one pair that all else is derived from
 * @guest_tsc: the guest's TSC
 * @guest_ns: the paravirtual clock, ns since the VM was created
 * @host_boottime_ns: CLOCK_BOOTTIME at that moment; ignored by a set
 * @host_realtime_ns: CLOCK_REALTIME at that moment; ignored by a set
 * @tsc_khz: frequency of the guest's TSC; a set must give the present one or 0
 * @pad: zero
 */
struct vmm_clock {
	__u64 guest_tsc;
	__u64 guest_ns;
	__u64 host_boottime_ns;
	__u64 host_realtime_ns;
	__u32 tsc_khz;
	__u32 pad[7];
};

#endif /* _UAPI_LINUX_VMM_X86_H */
