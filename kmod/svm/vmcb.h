/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The virtual machine control block of AMD-V (APM vol. 2, appendix B and C).
 */
#ifndef KMOD_SVM_VMCB_H
#define KMOD_SVM_VMCB_H

#include <linux/build_bug.h>
#include <linux/types.h>

/* control area, offset 0 (APM vol. 2, table B-1) */
struct vmcb_control {
	u16 intercept_cr_read;		/* 000 bit n: read of CRn */
	u16 intercept_cr_write;
	u16 intercept_dr_read;
	u16 intercept_dr_write;
	u32 intercept_exceptions;	/* 008 */
	u32 intercept_misc1;
	u32 intercept_misc2;		/* 010 */
	u32 intercept_misc3;
	u8 reserved_018[0x24];
	u16 pause_threshold;		/* 03c */
	u16 pause_count;
	u64 iopm_base_pa;		/* 040 */
	u64 msrpm_base_pa;
	u64 tsc_offset;			/* 050 */
	u32 asid;
	u8 tlb_control;			/* 05c */
	u8 reserved_05d[3];
	u32 int_ctl;			/* 060 */
	u32 int_vector;
	u64 int_state;			/* 068 */
	u64 exit_code;			/* 070 */
	u64 exit_info_1;
	u64 exit_info_2;		/* 080 */
	u64 exit_int_info;
	u64 nested_ctl;			/* 090 */
	u64 avic_apic_bar;
	u64 ghcb;			/* 0a0 */
	u64 event_inj;
	u64 nested_cr3;			/* 0b0 */
	u64 virt_ext;
	u32 clean;			/* 0c0 */
	u32 reserved_0c4;
	u64 next_rip;			/* 0c8 */
	u8 insn_len;			/* 0d0 */
	u8 insn_bytes[15];
	u8 reserved_0e0[0x320];
} __packed;
static_assert(sizeof(struct vmcb_control) == 0x400);

struct vmcb_seg {
	u16 selector;
	u16 attrib;
	u32 limit;
	u64 base;
} __packed;

/* state save area, offset 400h (APM vol. 2, table B-2) */
struct vmcb_save {
	struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved_0a0[0x2b];
	u8 cpl;				/* 0cb */
	u32 reserved_0cc;
	u64 efer;			/* 0d0 */
	u8 reserved_0d8[0x70];
	u64 cr4;			/* 148 */
	u64 cr3;
	u64 cr0;
	u64 dr7;			/* 160 */
	u64 dr6;
	u64 rflags;			/* 170 */
	u64 rip;
	u8 reserved_180[0x58];
	u64 rsp;			/* 1d8 */
	u64 s_cet;
	u64 ssp;
	u64 isst_addr;
	u64 rax;			/* 1f8 */
	u64 star;
	u64 lstar;
	u64 cstar;
	u64 sfmask;
	u64 kernel_gs_base;		/* 220 */
	u64 sysenter_cs;
	u64 sysenter_esp;
	u64 sysenter_eip;
	u64 cr2;			/* 240 */
	u8 reserved_248[0x20];
	u64 g_pat;			/* 268 */
	u64 dbgctl;
	u64 br_from;
	u64 br_to;
	u64 last_excp_from;
	u64 last_excp_to;
	u8 reserved_298[0x48];
	u64 spec_ctrl;			/* 2e0 */
	u8 reserved_2e8[0x918];
} __packed;
static_assert(sizeof(struct vmcb_save) == 0xc00);

struct vmcb {
	struct vmcb_control control;
	struct vmcb_save save;
} __packed;
static_assert(sizeof(struct vmcb) == 0x1000);
static_assert(offsetof(struct vmcb, control.int_ctl) == 0x060);
static_assert(offsetof(struct vmcb, control.next_rip) == 0x0c8);
static_assert(offsetof(struct vmcb, save.cpl) == 0x4cb);
static_assert(offsetof(struct vmcb, save.rflags) == 0x570);
static_assert(offsetof(struct vmcb, save.rax) == 0x5f8);
static_assert(offsetof(struct vmcb, save.g_pat) == 0x668);
static_assert(offsetof(struct vmcb, save.spec_ctrl) == 0x6e0);

/* intercept_misc1 */
#define SVM_INTERCEPT_INTR		BIT(0)
#define SVM_INTERCEPT_NMI		BIT(1)
#define SVM_INTERCEPT_SMI		BIT(2)
#define SVM_INTERCEPT_INIT		BIT(3)
#define SVM_INTERCEPT_VINTR		BIT(4)
#define SVM_INTERCEPT_CR0_SEL_WRITE	BIT(5)
#define SVM_INTERCEPT_RDPMC		BIT(15)
#define SVM_INTERCEPT_CPUID		BIT(18)
#define SVM_INTERCEPT_RSM		BIT(19)
#define SVM_INTERCEPT_IRET		BIT(20)
#define SVM_INTERCEPT_INVD		BIT(22)
#define SVM_INTERCEPT_HLT		BIT(24)
#define SVM_INTERCEPT_INVLPGA		BIT(26)
#define SVM_INTERCEPT_IOIO		BIT(27)
#define SVM_INTERCEPT_MSR		BIT(28)
#define SVM_INTERCEPT_TASK_SWITCH	BIT(29)
#define SVM_INTERCEPT_SHUTDOWN		BIT(31)

/* intercept_misc2 */
#define SVM_INTERCEPT_VMRUN		BIT(0)
#define SVM_INTERCEPT_VMMCALL		BIT(1)
#define SVM_INTERCEPT_VMLOAD		BIT(2)
#define SVM_INTERCEPT_VMSAVE		BIT(3)
#define SVM_INTERCEPT_STGI		BIT(4)
#define SVM_INTERCEPT_CLGI		BIT(5)
#define SVM_INTERCEPT_SKINIT		BIT(6)
#define SVM_INTERCEPT_WBINVD		BIT(9)
#define SVM_INTERCEPT_MONITOR		BIT(10)
#define SVM_INTERCEPT_MWAIT		BIT(11)
#define SVM_INTERCEPT_MWAIT_ARMED	BIT(12)
#define SVM_INTERCEPT_XSETBV		BIT(13)
#define SVM_INTERCEPT_RDPRU		BIT(14)

/* intercept_misc3 */
#define SVM_INTERCEPT_INVLPGB		BIT(0)
#define SVM_INTERCEPT_INVLPGB_ILLEGAL	BIT(1)
#define SVM_INTERCEPT_INVPCID		BIT(2)
#define SVM_INTERCEPT_MCOMMIT		BIT(3)
#define SVM_INTERCEPT_TLBSYNC		BIT(4)

/* tlb_control */
#define SVM_TLB_KEEP			0
#define SVM_TLB_FLUSH_ALL		1
#define SVM_TLB_FLUSH_ASID		3

/* int_ctl */
#define SVM_INT_V_TPR			0xff
#define SVM_INT_V_IRQ			BIT(8)
#define SVM_INT_V_PRIO(n)		((u32)(n) << 16)
#define SVM_INT_V_IGN_TPR		BIT(20)
#define SVM_INT_V_MASKING		BIT(24)

#define SVM_INT_SHADOW			BIT(0)	/* int_state */
#define SVM_NESTED_NP			BIT(0)	/* nested_ctl */

/* event_inj and exit_int_info */
#define SVM_EVENT_VECTOR		0xff
#define SVM_EVENT_TYPE			(7 << 8)
#define SVM_EVENT_INTR			(0 << 8)
#define SVM_EVENT_NMI			(2 << 8)
#define SVM_EVENT_EXCEPTION		(3 << 8)
#define SVM_EVENT_SOFT			(4 << 8)
#define SVM_EVENT_ERROR			BIT(11)
#define SVM_EVENT_VALID			BIT(31)

/* clean: groups that the processor may keep from the last VMRUN (APM vol. 2, 15.15.3) */
#define SVM_CLEAN_INTERCEPTS		BIT(0)
#define SVM_CLEAN_PERMISSIONS		BIT(1)
#define SVM_CLEAN_ASID			BIT(2)
#define SVM_CLEAN_TPR			BIT(3)
#define SVM_CLEAN_NP			BIT(4)
#define SVM_CLEAN_CR			BIT(5)
#define SVM_CLEAN_DR			BIT(6)
#define SVM_CLEAN_DT			BIT(7)
#define SVM_CLEAN_SEG			BIT(8)
#define SVM_CLEAN_CR2			BIT(9)
#define SVM_CLEAN_LBR			BIT(10)
#define SVM_CLEAN_ALL			GENMASK(10, 0)

/* exit codes (APM vol. 2, appendix C); compare the low 32 bits: an emulator zero-extends INVALID */
#define SVM_EXIT_READ_CR(n)		(0x000 + (n))
#define SVM_EXIT_WRITE_CR(n)		(0x010 + (n))
#define SVM_EXIT_READ_DR(n)		(0x020 + (n))
#define SVM_EXIT_WRITE_DR(n)		(0x030 + (n))
#define SVM_EXIT_EXCEPTION(n)		(0x040 + (n))
#define SVM_EXIT_INTR			0x060
#define SVM_EXIT_NMI			0x061
#define SVM_EXIT_SMI			0x062
#define SVM_EXIT_INIT			0x063
#define SVM_EXIT_VINTR			0x064
#define SVM_EXIT_CR0_SEL_WRITE		0x065
#define SVM_EXIT_RDPMC			0x06f
#define SVM_EXIT_CPUID			0x072
#define SVM_EXIT_RSM			0x073
#define SVM_EXIT_IRET			0x074
#define SVM_EXIT_INVD			0x076
#define SVM_EXIT_HLT			0x078
#define SVM_EXIT_INVLPGA		0x07a
#define SVM_EXIT_IOIO			0x07b
#define SVM_EXIT_MSR			0x07c
#define SVM_EXIT_TASK_SWITCH		0x07d
#define SVM_EXIT_SHUTDOWN		0x07f
#define SVM_EXIT_VMRUN			0x080
#define SVM_EXIT_VMMCALL		0x081
#define SVM_EXIT_VMLOAD			0x082
#define SVM_EXIT_VMSAVE			0x083
#define SVM_EXIT_STGI			0x084
#define SVM_EXIT_CLGI			0x085
#define SVM_EXIT_SKINIT			0x086
#define SVM_EXIT_WBINVD			0x089
#define SVM_EXIT_MONITOR		0x08a
#define SVM_EXIT_MWAIT			0x08b
#define SVM_EXIT_MWAIT_ARMED		0x08c
#define SVM_EXIT_XSETBV			0x08d
#define SVM_EXIT_RDPRU			0x08e
#define SVM_EXIT_INVLPGB		0x0a0
#define SVM_EXIT_INVLPGB_ILLEGAL	0x0a1
#define SVM_EXIT_INVPCID		0x0a2
#define SVM_EXIT_MCOMMIT		0x0a3
#define SVM_EXIT_TLBSYNC		0x0a4
#define SVM_EXIT_NPF			0x400
#define SVM_EXIT_INVALID		0xffffffff

/* exit_info_1 of IOIO (APM vol. 2, 15.10.2) */
#define SVM_IOIO_IN			BIT(0)
#define SVM_IOIO_STRING			BIT(2)
#define SVM_IOIO_SIZE_SHIFT		4	/* three bits: 1, 2, 4 */
#define SVM_IOIO_PORT_SHIFT		16

/* exit_info_2 of TASK_SWITCH (APM vol. 2, 15.14.1): an error code, and: */
#define SVM_TASK_IRET			BIT_ULL(36)
#define SVM_TASK_JMP			BIT_ULL(38)
#define SVM_TASK_ERROR			BIT_ULL(44)
#define SVM_TASK_RF			BIT_ULL(48)

/* exit_info_1 of NPF (APM vol. 2, 15.25.6): a page fault's error code, and: */
#define SVM_NPF_WRITE			BIT(1)
#define SVM_NPF_FETCH			BIT(4)
#define SVM_NPF_WALK			BIT_ULL(33)	/* it was to the guest's page table */

#endif /* KMOD_SVM_VMCB_H */
