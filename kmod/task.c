// SPDX-License-Identifier: GPL-2.0
/*
 * The hardware task switch (APM vol. 2, 12; SDM vol. 3, 8):
 *
 *	new TSS checked, everything that will be written probed	-- faults are the old task's
 *	old task saved, busy bits, link
 *	TR, CR3, general registers, flags, selectors
 *	LDTR, segments loaded with their checks, error code	-- faults are the new task's
 */
#include "task.h"

#ifdef __KERNEL__
#include <linux/kernel.h>
#else
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define FLAG_FIXED	0x000002u
#define FLAG_NT		0x004000u
#define FLAG_RF		0x010000u
#define FLAG_VM		0x020000u
#define FLAGS_ALL	0x3f7fd7u

/* type field of a TSS */
#define TSS_16		0x1
#define TSS_BUSY	0x2
#define TSS_32		0x8

#define ATTR_TYPE	0x00f
#define ATTR_ACCESSED	0x001
#define ATTR_CODE	0x008
#define ATTR_S		0x010
#define ATTR_DPL(attr)	((attr) >> 5 & 3)
#define ATTR_L		0x200

#define EXC_TS		10
#define EXC_NP		11
#define EXC_SS		12
#define EXC_GP		13

#define RPL(selector)	((selector) & 3)
#define IS_NULL(selector) (!((selector) & 0xfffc))

/**
 * struct layout - where a TSS has what
 * @size: bytes that it must have to be switched to
 * @saved: first byte that is saved
 * @saved_end: behind the last
 * @width: bytes of a register
 * @segs: selectors that it has, from ES on
 * @seg: the first, the others follow @width bytes apart
 * @ldt: LDTR
 */
struct layout {
	u8 size;
	u8 saved;
	u8 saved_end;
	u8 width;
	u8 segs;
	u8 seg;
	u8 ldt;
};

static const struct layout layout_16 = { 0x2c, 0x0e, 0x2a, 2, 4, 0x22, 0x2a };
static const struct layout layout_32 = { 0x68, 0x20, 0x5e, 4, 6, 0x48, 0x60 };

#define TSS32_CR3	0x1c
#define TSS32_TRAP	0x64
#define TSS_MAX		0x68

/* EIP, EFLAGS and the general registers follow one another from @saved on */
#define TSS_REGS	10

static const struct layout *layout_of(u16 attr)
{
	return attr & TSS_32 ? &layout_32 : &layout_16;
}

static u32 get(const u8 *p, unsigned int width)
{
	u32 value = p[0] | p[1] << 8;

	return width == 4 ? value | (u32)p[2] << 16 | (u32)p[3] << 24 : value;
}

static void put(u8 *p, u32 value, unsigned int width)
{
	p[0] = value;
	p[1] = value >> 8;
	if (width == 4) {
		p[2] = value >> 16;
		p[3] = value >> 24;
	}
}

/* 1: an exception of a selector, or 0 for none in particular */
static int fault(struct vmm_task *t, const struct vmm_task_switch *ts, u8 vector, u16 selector)
{
	t->fault = (struct vmm_em_fault) {
		.vector = vector,
		.has_error = true,
		.error_code = (selector & 0xfffc) | ts->external,
	};
	return 1;
}

/* what a descriptor says; nothing is checked */
static void unpack(const u8 *d, u16 selector, struct vmm_em_seg *s)
{
	u32 limit = get(d, 2) | (u32)(d[6] & 0xf) << 16;

	s->selector = selector;
	s->base = get(d + 2, 2) | (u32)d[4] << 16 | (u32)d[7] << 24;
	s->limit = d[6] & 0x80 ? limit << 12 | 0xfff : limit;
	s->attr = d[5] | (d[6] & 0xf0) << 4;
}

/* a selector that points behind the end of its table */
#define OUTSIDE	2

/* The descriptor of a selector, and where it lies: 0, OUTSIDE, or what the access returned. */
static int descriptor(struct vmm_task *t, u16 selector, struct vmm_em_seg *s, u32 *at)
{
	u32 base = t->gdt_base, limit = t->gdt_limit;
	u8 d[8];
	int ret;

	if (selector & 4) {
		if (!(t->ldt.attr & VMM_EM_SEG_PRESENT))
			return OUTSIDE;
		base = t->ldt.base;
		limit = t->ldt.limit;
	}
	if ((selector | 7) > limit)
		return OUTSIDE;
	*at = base + (selector & ~7u);
	ret = t->ops->read(t, *at, d, sizeof(d));
	if (!ret)
		unpack(d, selector, s);
	return ret;
}

/* the byte with type, S, DPL and P of the descriptor at @at */
static int set_access(struct vmm_task *t, u32 at, u8 access)
{
	return t->ops->write(t, at + 5, &access, 1, false);
}

/* ---- before anything is changed ---- */

static int check_new_tss(struct vmm_task *t, const struct vmm_task_switch *ts,
			 struct vmm_em_seg *new, u32 *at)
{
	bool iret = ts->source == VMM_TASK_IRET;
	u8 bad = iret ? EXC_TS : EXC_GP;
	unsigned int type;
	int ret;

	if ((ts->selector & 4) || IS_NULL(ts->selector))
		return fault(t, ts, bad, ts->selector);
	ret = descriptor(t, ts->selector, new, at);
	if (ret == OUTSIDE)
		return fault(t, ts, bad, ts->selector);
	if (ret)
		return ret;
	type = new->attr & (ATTR_TYPE | ATTR_S);
	if ((type & ~(TSS_32 | TSS_BUSY)) != TSS_16 || !(type & TSS_BUSY) == iret)
		return fault(t, ts, bad, ts->selector);
	if (!(new->attr & VMM_EM_SEG_PRESENT))
		return fault(t, ts, EXC_NP, ts->selector);
	if (new->limit < layout_of(new->attr)->size - 1u)
		return fault(t, ts, EXC_TS, ts->selector);
	return 0;
}

static bool old_stays_busy(const struct vmm_task_switch *ts)
{
	return ts->source == VMM_TASK_CALL || ts->source == VMM_TASK_GATE;
}

/* every access that will be made to the two TSSes and their descriptors */
static int probe(struct vmm_task *t, const struct vmm_task_switch *ts,
		 const struct vmm_em_seg *new, u32 new_at, u32 old_at)
{
	const struct layout *l = layout_of(t->tr.attr);
	u8 image[TSS_MAX];
	int ret;

	if (t->tr.limit < l->saved_end - 1u)
		return fault(t, ts, EXC_TS, t->tr.selector);
	ret = t->ops->read(t, new->base, image, layout_of(new->attr)->size);
	if (!ret)
		ret = t->ops->probe(t, t->tr.base + l->saved, l->saved_end - l->saved);
	if (!ret && old_stays_busy(ts))
		ret = t->ops->probe(t, new->base, 2);
	if (!ret && !old_stays_busy(ts))
		ret = t->ops->probe(t, old_at + 5, 1);
	if (!ret && ts->source != VMM_TASK_IRET)
		ret = t->ops->probe(t, new_at + 5, 1);
	return ret;
}

/* ---- the switch ---- */

static int save_old(struct vmm_task *t, const struct vmm_task_switch *ts)
{
	const struct layout *l = layout_of(t->tr.attr);
	unsigned int len = l->saved_end - l->saved, i;
	u32 eflags = t->eflags & ~FLAG_RF;
	u8 image[TSS_MAX], *p = image + l->saved;
	int ret;

	/* what lies between the selectors stays */
	ret = t->ops->read(t, t->tr.base + l->saved, p, len);
	if (ret)
		return ret;
	if (ts->rf)
		eflags |= FLAG_RF;
	if (ts->source == VMM_TASK_IRET)
		eflags &= ~FLAG_NT;
	put(p, t->eip + ts->insn_len, l->width);
	put(p + l->width, eflags, l->width);
	for (i = 0; i < ARRAY_SIZE(t->regs); i++)
		put(p + (2 + i) * l->width, t->regs[i], l->width);
	for (i = 0; i < l->segs; i++)
		put(image + l->seg + i * l->width, t->seg[i].selector, 2);
	return t->ops->write(t, t->tr.base + l->saved, p, len, false);
}

static int link_tasks(struct vmm_task *t, const struct vmm_task_switch *ts,
		      struct vmm_em_seg *new, u32 new_at, u32 old_at)
{
	u8 link[2], access;
	int ret = 0;

	if (old_stays_busy(ts)) {
		put(link, t->tr.selector, 2);
		ret = t->ops->write(t, new->base, link, 2, false);
	} else {
		ret = t->ops->read(t, old_at + 5, &access, 1);
		if (!ret)
			ret = set_access(t, old_at, access & ~TSS_BUSY);
	}
	/* to itself, it was just cleared */
	if (!ret && (ts->source != VMM_TASK_IRET || new_at == old_at))
		ret = set_access(t, new_at, new->attr | TSS_BUSY);
	new->attr |= TSS_BUSY;
	return ret;
}

/*
 * All that is loaded without a check. Selectors go in with nothing behind them, but for CS and SS:
 * an exception before theirs are loaded needs a processor that can deliver it.
 */
static u16 load_plain(struct vmm_task *t, const struct vmm_task_switch *ts, const u8 *image,
		      const struct vmm_em_seg *new)
{
	const struct layout *l = layout_of(new->attr);
	const u8 *p = image + l->saved;
	unsigned int i;

	t->tr = *new;
	if (l->width == 4 && t->paging)
		t->ops->set_cr3(t, get(image + TSS32_CR3, 4));
	t->eip = get(p, l->width);
	t->eflags = (get(p + l->width, l->width) & FLAGS_ALL) | FLAG_FIXED;
	if (old_stays_busy(ts))
		t->eflags |= FLAG_NT;
	/* the upper half of what a 16-bit TSS loads is undefined; it is all ones since the 386 */
	for (i = 0; i < ARRAY_SIZE(t->regs); i++)
		t->regs[i] = get(p + (2 + i) * l->width, l->width) |
			     (l->width == 2 ? 0xffff0000 : 0);
	for (i = 0; i < VMM_EM_SREGS; i++) {
		if (i != VMM_EM_CS && i != VMM_EM_SS)
			t->seg[i] = (struct vmm_em_seg) {};
		t->seg[i].selector = i < l->segs ? get(image + l->seg + i * l->width, 2) : 0;
	}
	t->ldt = (struct vmm_em_seg) { .selector = get(image + l->ldt, 2) };
	t->cpl = t->eflags & FLAG_VM ? 3 : RPL(t->seg[VMM_EM_CS].selector);
	t->debug_trap = l->width == 4 && (image[TSS32_TRAP] & 1);
	return t->ldt.selector;
}

static int load_ldt(struct vmm_task *t, const struct vmm_task_switch *ts, u16 selector)
{
	struct vmm_em_seg s;
	int ret;
	u32 at;

	if (IS_NULL(selector))
		return 0;
	if (selector & 4)
		return fault(t, ts, EXC_TS, selector);
	ret = descriptor(t, selector, &s, &at);
	if (ret && ret != OUTSIDE)
		return ret;
	if (ret || (s.attr & (ATTR_TYPE | ATTR_S)) != 2 || !(s.attr & VMM_EM_SEG_PRESENT))
		return fault(t, ts, EXC_TS, selector);
	t->ldt = s;
	return 0;
}

static void load_virtual_8086(struct vmm_task *t)
{
	unsigned int i;

	for (i = 0; i < VMM_EM_SREGS; i++)
		t->seg[i] = (struct vmm_em_seg) {
			.selector = t->seg[i].selector,
			.base = (u32)t->seg[i].selector << 4,
			.limit = 0xffff,
			.attr = 0xf3,	/* present data of level 3, accessed */
		};
}

static bool code_ok(const struct vmm_task *t, u16 selector, u16 attr)
{
	if (!(attr & ATTR_S) || !(attr & ATTR_CODE))
		return false;
	/* conforming or not */
	return attr & VMM_EM_SEG_DOWN ? ATTR_DPL(attr) <= RPL(selector) :
					ATTR_DPL(attr) == RPL(selector);
}

static bool stack_ok(const struct vmm_task *t, u16 selector, u16 attr)
{
	return (attr & ATTR_S) && !(attr & ATTR_CODE) && (attr & VMM_EM_SEG_WRITE) &&
	       RPL(selector) == t->cpl && ATTR_DPL(attr) == t->cpl;
}

static bool data_ok(const struct vmm_task *t, u16 selector, u16 attr)
{
	if (!(attr & ATTR_S))
		return false;
	if (attr & ATTR_CODE) {
		if (!(attr & VMM_EM_SEG_WRITE))		/* here: readable */
			return false;
		if (attr & VMM_EM_SEG_DOWN)		/* here: conforming */
			return true;
	}
	return ATTR_DPL(attr) >= t->cpl && ATTR_DPL(attr) >= RPL(selector);
}

static int load_segment(struct vmm_task *t, const struct vmm_task_switch *ts, unsigned int seg)
{
	u16 selector = t->seg[seg].selector;
	struct vmm_em_seg s = {};
	bool ok = false;
	int ret;
	u32 at;

	if (IS_NULL(selector))
		return seg == VMM_EM_CS || seg == VMM_EM_SS ? fault(t, ts, EXC_TS, selector) : 0;
	ret = descriptor(t, selector, &s, &at);
	if (ret && ret != OUTSIDE)
		return ret;
	if (!ret)
		ok = seg == VMM_EM_CS ? code_ok(t, selector, s.attr) :
		     seg == VMM_EM_SS ? stack_ok(t, selector, s.attr) :
					data_ok(t, selector, s.attr);
	if (!ok)
		return fault(t, ts, EXC_TS, selector);
	if (!(s.attr & VMM_EM_SEG_PRESENT))
		return fault(t, ts, seg == VMM_EM_SS ? EXC_SS : EXC_NP, selector);
	if (!(s.attr & ATTR_ACCESSED)) {
		s.attr |= ATTR_ACCESSED;
		ret = set_access(t, at, s.attr);
		if (ret)
			return ret;
	}
	s.attr &= ~ATTR_L;
	t->seg[seg] = s;
	return 0;
}

static int load_segments(struct vmm_task *t, const struct vmm_task_switch *ts)
{
	static const u8 order[] = {
		VMM_EM_CS, VMM_EM_SS, VMM_EM_ES, VMM_EM_DS, VMM_EM_FS, VMM_EM_GS,
	};
	unsigned int i;
	int ret = 0;

	if (t->eflags & FLAG_VM)
		load_virtual_8086(t);
	else
		for (i = 0; i < ARRAY_SIZE(order) && !ret; i++)
			ret = load_segment(t, ts, order[i]);
	return ret;
}

static bool stack_has_room(const struct vmm_em_seg *ss, u32 offset, unsigned int len)
{
	u32 last = offset + len - 1;

	if (last < offset)
		return false;
	if (!(ss->attr & VMM_EM_SEG_DOWN) || (ss->attr & ATTR_CODE))
		return last <= ss->limit;
	return offset > ss->limit && (ss->attr & VMM_EM_SEG_BIG || last <= 0xffff);
}

static int push_error(struct vmm_task *t, const struct vmm_task_switch *ts, unsigned int width)
{
	const struct vmm_em_seg *ss = &t->seg[VMM_EM_SS];
	u32 mask = ss->attr & VMM_EM_SEG_BIG ? 0xffffffff : 0xffff;
	u32 *esp = &t->regs[VMM_EM_RSP];
	u32 offset = (*esp - width) & mask;
	u8 bytes[4];
	int ret;

	if (!stack_has_room(ss, offset, width))
		return fault(t, ts, EXC_SS, 0);
	put(bytes, ts->error, width);
	ret = t->ops->write(t, ss->base + offset, bytes, width, t->cpl == 3);
	if (!ret)
		*esp = (*esp & ~mask) | offset;
	return ret;
}

static int load_new(struct vmm_task *t, const struct vmm_task_switch *ts,
		    const struct vmm_em_seg *new)
{
	const struct layout *l = layout_of(new->attr);
	u8 image[TSS_MAX];
	u16 ldt;
	int ret;

	/* again, for a task may be switched to itself */
	ret = t->ops->read(t, new->base, image, l->size);
	if (ret)
		return ret;
	ldt = load_plain(t, ts, image, new);
	ret = load_ldt(t, ts, ldt);
	if (!ret)
		ret = load_segments(t, ts);
	if (!ret && ts->has_error)
		ret = push_error(t, ts, l->width);
	if (!ret && t->eip > t->seg[VMM_EM_CS].limit)
		ret = fault(t, ts, EXC_GP, 0);
	return ret;
}

/**
 * vmm_task_execute() - switch tasks
 * @t: the processor, in protected mode and not in long mode
 * @ts: what asks for it
 *
 * The caller sets CR0.TS and clears the local breakpoints of DR7 unless the old task goes on.
 * Context: as the ops need.
 *
 * Return: enum vmm_task_result; or what an op returned: with nothing changed if that was before the
 *	point of no return, as it is unless the guest changes its tables meanwhile.
 */
int vmm_task_execute(struct vmm_task *t, const struct vmm_task_switch *ts)
{
	u32 new_at, old_at = t->gdt_base + (t->tr.selector & ~7u);
	struct vmm_em_seg new = {};
	int ret;

	ret = check_new_tss(t, ts, &new, &new_at);
	if (!ret)
		ret = probe(t, ts, &new, new_at, old_at);
	if (ret)
		return ret < 0 ? ret : VMM_TASK_FAULT_OLD;

	ret = save_old(t, ts);
	if (!ret)
		ret = link_tasks(t, ts, &new, new_at, old_at);
	if (!ret)
		ret = load_new(t, ts, &new);
	return ret < 0 ? ret : ret ? VMM_TASK_FAULT_NEW : VMM_TASK_DONE;
}
