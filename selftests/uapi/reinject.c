// SPDX-License-Identifier: GPL-2.0
/*
 * Every kind of event, interrupted in its delivery by a fault of the second-level page table at
 * each thing that the delivery needs, in every mode: it comes once, to the right handler, with
 * the right error code and saved rIP.
 */
#include "delivery.h"
#include "harness.h"

#define NOP1	{ 0x90 }, 1
#define TF	0x100
#define IF	0x200
#define OF	0x800

#define WINDOW	T_WINDOW	/* where the guest has no memory */

static const struct t_event events[] = {
	{ "int $0x40", T_SRC_INSN, T_IN_ALL, { 0xcd, 0x40 }, 2, .soft = true, .vector = 0x40,
	  .behind = true },
	{ "prefixed int $0x40", T_SRC_INSN, T_IN_ALL, { 0x3e, 0x66, 0xcd, 0x40 }, 4, .soft = true,
	  .vector = 0x40, .behind = true },
	{ "int $3", T_SRC_INSN, T_IN_ALL, { 0xcd, 3 }, 2, .soft = true, .vector = 3,
	  .behind = true },
	{ "int3", T_SRC_INSN, T_IN_ALL, { 0xcc }, 1, .soft = true, .vector = 3, .behind = true },
	{ "into", T_SRC_INSN, T_IN_REAL | T_IN_PROT, { 0xce }, 1, .soft = true, .vector = 4,
	  .behind = true, .rflags = OF },
	{ "step", T_SRC_INSN, T_IN_ALL, NOP1, .vector = 1, .behind = true, .rflags = TF },
	{ "ud2", T_SRC_INSN, T_IN_ALL, { 0x0f, 0x0b }, 2, .vector = 6 },
	{ "div", T_SRC_INSN, T_IN_ALL, { 0xf7, 0xf1 }, 2, .vector = 0, .rflags = IF },
	{ "mov to ds", T_SRC_INSN, T_IN_PROT | T_IN_PAGING, { 0x8e, 0xd8 }, 2, .vector = 13,
	  .error = true, .error_code = 0xfff8, .rax = 0xfff8 },
	{ "load", T_SRC_INSN, T_IN_PAGING, { 0x8b, 0x07 }, 2, .vector = 14, .error = true,
	  .rdi = WINDOW + 8, .cr2 = WINDOW + 8 },
	{ "store", T_SRC_INSN, T_IN_PAGING, { 0x89, 0x07 }, 2, .vector = 14, .error = true,
	  .error_code = 2, .rdi = WINDOW + 16, .cr2 = WINDOW + 16 },
	{ "nmi", T_SRC_NMI, T_IN_ALL, NOP1, .vector = 2 },
	{ "nmi, interrupts on", T_SRC_NMI, T_IN_ALL, NOP1, .vector = 2, .rflags = IF },
	{ "irq", T_SRC_IRQ, T_IN_ALL, NOP1, .vector = 0x51, .rflags = IF },
	{ "irq of a low vector", T_SRC_IRQ, T_IN_ALL, NOP1, .vector = 0x1d, .rflags = IF },
	{ "extint", T_SRC_EXTINT, T_IN_ALL, NOP1, .vector = 0x52, .rflags = IF },
	{ "set #UD", T_SRC_SET, T_IN_ALL, NOP1, .vector = 6 },
	{ "set #DB", T_SRC_SET, T_IN_ALL, NOP1, .vector = 1 },
	{ "set #BP", T_SRC_SET, T_IN_ALL, NOP1, .vector = 3 },
	{ "set #OF", T_SRC_SET, T_IN_ALL, NOP1, .vector = 4 },
	{ "set #GP", T_SRC_SET, T_IN_ALL, NOP1, .vector = 13, .error = true, .error_code = 0x50 },
	{ "set #PF", T_SRC_SET, T_IN_PAGING, NOP1, .vector = 14, .error = true, .error_code = 2,
	  .cr2 = 0x12345678 },
};

FIXTURE(reinject)
{
	struct t_vcpu *v;
};

FIXTURE_SETUP(reinject)
{
	t_unblock_nmis();
	self->v = t_vcpu_new(t_delivery_vm(), 0);
	t_limit_s = 10;
}

FIXTURE_TEARDOWN(reinject)
{
}

FIXTURE_VARIANT(reinject)
{
	enum t_mode mode;
	bool user;
};

#define VARIANT(name, m, u)				\
	FIXTURE_VARIANT_ADD(reinject, name)		\
	{						\
		.mode = m, .user = u,			\
	}

VARIANT(real, T_REAL, false);
VARIANT(pm16, T_PM16, false);
VARIANT(pm32, T_PM32, false);
VARIANT(pm32_user, T_PM32, true);
VARIANT(pg32, T_PG32, false);
VARIANT(pae_user, T_PAE, true);
VARIANT(long64, T_LONG, false);
VARIANT(long64_user, T_LONG, true);

static bool fits(const struct t_event *e, enum t_mode mode, bool user)
{
	/* the error code of a page fault that is set is given, not found */
	if (user && e->source == T_SRC_SET && e->vector == 14)
		return false;
	return e->modes & 1u << mode;
}

/* each event with those pages broken, in that way: how many went wrong */
static unsigned int walk(struct t_vcpu *v, enum t_mode mode, bool user, unsigned int pages,
			 enum t_break how, bool swap)
{
	unsigned int i, bad = 0;

	for (i = 0; i < ARRAY_SIZE(events) && bad < 8; i++) {
		struct t_delivery d = {
			.event = &events[i],
			.mode = mode,
			.user = user,
			.pages = pages,
			.how = how,
			.swap = swap,
		};

		if (fits(&events[i], mode, user))
			bad += !t_deliver(v, &d);
	}
	return bad;
}

/* nothing is broken: what the others are compared with */
TEST_F(reinject, undisturbed)
{
	EXPECT_EQ(0, walk(self->v, variant->mode, variant->user, 0, T_BREAK_COLD, false));
}

/* one page at a time */
TEST_F(reinject, one_page)
{
	unsigned int stack, page, pages = t_delivery_pages(variant->mode, variant->user, &stack);
	enum t_break how;

	for (how = T_BREAK_REGION; how <= T_BREAK_COLD; how++)
		for (page = 1; page <= pages; page <<= 1)
			if (pages & page)
				EXPECT_EQ(0, walk(self->v, variant->mode, variant->user, page, how,
						  false));
}

/* the stack may be read, not written */
TEST_F(reinject, readonly_stack)
{
	unsigned int stack;

	t_delivery_pages(variant->mode, variant->user, &stack);
	EXPECT_EQ(0, walk(self->v, variant->mode, variant->user, stack, T_BREAK_READONLY, false));
}

/* all pages: several exits in one delivery, and between them the state is taken out and put back */
TEST_F(reinject, all_pages)
{
	unsigned int stack, pages = t_delivery_pages(variant->mode, variant->user, &stack);
	enum t_break how;

	for (how = T_BREAK_REGION; how <= T_BREAK_COLD; how++) {
		EXPECT_EQ(0, walk(self->v, variant->mode, variant->user, pages, how, false));
		EXPECT_EQ(0, walk(self->v, variant->mode, variant->user, pages, how, true));
	}
}

VMM_TEST_MAIN
