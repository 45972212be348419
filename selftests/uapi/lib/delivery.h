/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The delivery of one event, whose tables or stack cannot be had at first: an exit comes in its
 * midst, the memory is put right, and the vCPU goes on.
 *
 * The event comes from an instruction behind an OUT, or from outside while that OUT is answered.
 * Until then all is there, so that nothing but the delivery needs what is taken away. Behind the
 * instruction stands another OUT, which is reached only by an event that got lost.
 */
#ifndef VMMTEST_DELIVERY_H
#define VMMTEST_DELIVERY_H

#include "exec.h"

/* what is wrong with a page */
enum t_break {
	T_BREAK_REGION,		/* its region is gone */
	T_BREAK_HOST,		/* the process may not access it */
	T_BREAK_COLD,		/* it is not mapped, and can be: nothing for userland to do */
	T_BREAK_READONLY,	/* its region is read-only */
	T_NR_BREAKS,
};

extern const char *const t_break_name[T_NR_BREAKS];

enum t_source {
	T_SRC_INSN,	/* an instruction */
	T_SRC_NMI,
	T_SRC_IRQ,	/* by the local APIC */
	T_SRC_EXTINT,	/* by an interrupt controller of userland */
	T_SRC_SET,	/* VMM_STATE_EVENTS */
};

/* where an event can come */
#define T_IN_REAL	(1u << T_REAL)
#define T_IN_PAGING	(1u << T_PG32 | 1u << T_PAE | 1u << T_LONG)
#define T_IN_PROT	(1u << T_PM16 | 1u << T_PM32 | 1u << T_PG32 | 1u << T_PAE)
#define T_IN_ALL	(T_IN_REAL | T_IN_PROT | T_IN_PAGING)

/**
 * struct t_event - an event and what its handler must find
 * @name: for messages
 * @source: where it comes from
 * @modes: T_IN_*
 * @bytes: the instruction; for the other sources one that must not be executed
 * @len: its length
 * @soft: the instruction asks for the event: INT n, INT3, INTO
 * @vector: which handler
 * @error: an error code is pushed, in protected mode
 * @error_code: which; at CPL 3 a page fault's has the user bit, too
 * @behind: the saved rIP is behind the instruction, not at it
 * @rflags: flags before the instruction
 * @gpr: RAX and RDI before
 * @cr2: CR2 afterwards
 */
struct t_event {
	const char *name;
	enum t_source source;
	unsigned int modes;
	uint8_t bytes[8];
	unsigned int len;
	bool soft;
	uint8_t vector;
	bool error;
	uint32_t error_code;
	bool behind;
	uint64_t rflags;
	uint64_t rax, rdi;
	uint64_t cr2;
};

/**
 * struct t_delivery - one delivery
 * @event: of what
 * @mode: start state
 * @user: from CPL 3
 * @pages: bit mask of the low pages to break
 * @how: in which way
 * @swap: the vCPU's state is read, cleared and written back at each exit in the midst
 * @armed: the OUT was answered
 * @broken: pages that are
 * @exits: exits in the midst
 * @wrong: something was amiss at one of them, and said
 * @x: the execution
 */
struct t_delivery {
	const struct t_event *event;
	enum t_mode mode;
	bool user;
	unsigned int pages;
	enum t_break how;
	bool swap;

	bool armed;
	unsigned int broken;
	unsigned int exits;
	bool wrong;
	struct t_exec x;
};

struct t_vm *t_delivery_vm(void);
/* pages that a delivery touches in a mode, from CPL 0 or 3; the stack's is @stack */
unsigned int t_delivery_pages(enum t_mode mode, bool user, unsigned int *stack);
bool t_deliver(struct t_vcpu *v, struct t_delivery *d);	/* once and right; else says what not */

#endif /* VMMTEST_DELIVERY_H */
