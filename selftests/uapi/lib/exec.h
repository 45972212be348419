/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One instruction, in any mode, with any prefixes: what became of it, and where the next one
 * starts.
 *
 * The instruction is followed by HLTs: where the vCPU halts tells the length that was taken for
 * it. Each exception leads to a HLT of its own.
 */
#ifndef VMMTEST_EXEC_H
#define VMMTEST_EXEC_H

#include "vmmtest.h"

/* data of instructions under test, reachable with 16-bit addresses */
#define T_XDATA		0x6000
#define T_XDATA_SIZE	0x1000
#define T_XCODE		0x8100

/**
 * struct t_exec - one execution
 * @mode: start state
 * @user: run at CPL 3 (not in real mode)
 * @bytes: the instruction
 * @len: its length
 * @at: address of it, 0 = T_XCODE
 * @gpr: registers before; rSP of 0 is replaced by T_STACK
 * @rflags: flags before, besides bit 1
 * @cr0_set: bits set in CR0 besides the mode's
 * @cr4_set: in CR4
 * @dr7: DR7 before
 * @data_base: base of DS and ES, without effect in long mode
 * @answer: called at each exit that is no HALT; true: go on. NULL: every such exit ends the run
 * @opaque: the answer's
 * @exit: VMM_EXIT_HALT, or the exit (or -errno) that ended the run
 * @vector: exception that came, -1 = none
 * @error: its error code, if its kind has one
 * @fault_rip: rIP that the exception saved
 * @next: rIP behind the instruction, if no exception came
 * @out: registers after; rip is that of the final HLT
 * @sout: likewise
 */
struct t_exec {
	enum t_mode mode;
	bool user;
	uint8_t bytes[24];
	unsigned int len;
	uint64_t at;
	uint64_t gpr[VMM_NR_GPRS];
	uint64_t rflags;
	uint64_t cr0_set;
	uint64_t cr4_set;
	uint64_t dr7;
	uint64_t data_base;
	bool (*answer)(struct t_vcpu *v, struct t_exec *x);
	void *opaque;

	int exit;
	int vector;
	uint32_t error;
	uint64_t fault_rip;
	uint64_t next;
	struct vmm_regs out;
	struct vmm_sregs sout;
};

void t_exec(struct t_vcpu *v, struct t_exec *x);
bool t_exec_completed(
	const struct t_exec *x); /* no exception, and the next instruction is the one behind */
const char *t_exec_text(const struct t_exec *x);	/* mode and bytes, and what came of them */

/* prefixes: sets of them to put before an opcode */
struct t_prefix {
	uint8_t byte[12];
	unsigned int len;
	bool opsize, addrsize, repne, rep, lock, rex;
};

#define T_MAX_PREFIXES	64

unsigned int t_prefixes(enum t_mode mode,
			struct t_prefix *p); /* all but LOCK; at most T_MAX_PREFIXES */
void t_exec_set(struct t_exec *x, const struct t_prefix *p, const uint8_t *op, unsigned int len);

#endif /* VMMTEST_EXEC_H */
