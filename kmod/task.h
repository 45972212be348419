/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hardware task switch (APM vol. 2, 12; SDM vol. 3, 8), as a change of registers and linear
 * memory. No kernel header but types is used, so that the same file is tested in userland.
 */
#ifndef KMOD_TASK_H
#define KMOD_TASK_H

#include "emulate.h"

/* what began it; the values are those of a VMX exit (SDM vol. 3, table 28-2) */
enum vmm_task_source {
	VMM_TASK_CALL,
	VMM_TASK_IRET,
	VMM_TASK_JMP,
	VMM_TASK_GATE,	/* a task gate in the IDT */
};

/**
 * struct vmm_task_switch - an exit that asks for a task switch
 * @selector: of the new TSS
 * @source: enum vmm_task_source
 * @insn_len: bytes of the instruction that the old task has behind it when it goes on; 0 for
 *	interrupts and faults
 * @external: no instruction asked for it, but an interrupt or an exception
 * @has_error: an error code is pushed on the new stack
 * @error: it
 * @rf: RFLAGS.RF that the old task is saved with
 */
struct vmm_task_switch {
	u16 selector;
	u8 source;
	u8 insn_len;
	bool external;
	bool has_error;
	u32 error;
	bool rf;
};

/**
 * enum vmm_task_result - what became of it; negative: errors of the caller's accesses
 * @VMM_TASK_DONE: the new task is in the registers
 * @VMM_TASK_FAULT_OLD: an exception of the old task; nothing has changed
 * @VMM_TASK_FAULT_NEW: an exception of the new task, before its first instruction; its registers
 *	are those loaded so far
 */
enum vmm_task_result {
	VMM_TASK_DONE,
	VMM_TASK_FAULT_OLD,
	VMM_TASK_FAULT_NEW,
};

struct vmm_task;

/**
 * struct vmm_task_ops - accesses to linear memory, of the supervisor whatever the CPL unless it
 * says otherwise
 * @read: bytes into @buf
 * @write: bytes out; @user: by CPL 3
 * @probe: would a write pass
 * @set_cr3: CR3 of the new task; the accesses that follow use it
 *
 * Each but @set_cr3 returns 0, 1 with the exception in vmm_task.fault, or a negative value.
 */
struct vmm_task_ops {
	int (*read)(struct vmm_task *t, u32 linear, void *buf, unsigned int len);
	int (*write)(struct vmm_task *t, u32 linear, const void *buf, unsigned int len, bool user);
	int (*probe)(struct vmm_task *t, u32 linear, unsigned int len);
	void (*set_cr3)(struct vmm_task *t, u32 cr3);
};

/**
 * struct vmm_task - a processor's state as far as a task switch is concerned; in and out
 * @regs: general registers in the order of their encoding
 * @eip: instruction pointer; in: at the instruction
 * @eflags: flags
 * @seg: segment registers by enum vmm_em_sreg
 * @ldt: LDTR
 * @tr: TR
 * @gdt_base: GDTR
 * @gdt_limit: GDTR
 * @paging: CR0.PG
 * @cpl: privilege level
 * @debug_trap: out: the T bit of the new TSS is set
 * @fault: out: the exception
 * @ops: accesses
 * @opaque: the caller's
 */
struct vmm_task {
	u32 regs[8];
	u32 eip;
	u32 eflags;
	struct vmm_em_seg seg[VMM_EM_SREGS];
	struct vmm_em_seg ldt;
	struct vmm_em_seg tr;
	u32 gdt_base;
	u16 gdt_limit;
	bool paging;
	u8 cpl;
	bool debug_trap;
	struct vmm_em_fault fault;
	const struct vmm_task_ops *ops;
	void *opaque;
};

int vmm_task_execute(struct vmm_task *t, const struct vmm_task_switch *ts);

#endif /* KMOD_TASK_H */
