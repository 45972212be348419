// SPDX-License-Identifier: GPL-2.0
/*
 * Rings of a driver that writes anything anywhere, at any time. ASan and UBSan watch the
 * engine, and an independent walk of the same memory says what it should have found.
 */
#include <stdlib.h>

#include "../unit.h"
#include "fake.h"

#define RUNS		150000
#define RACING_RUNS	60000

static u64 seed;

static u64 rnd(u64 n)
{
	return rnd_next(&seed) % n;
}

/* ---- the reference: slow and plain, one byte at a time ---- */

struct want {
	enum vmm_vq_error error;
	int ret;
	u16 head;
	u64 out_len;
	u64 in_len;
	/* every byte of the chain, as pieces of equal direction */
	unsigned int nr;
	struct { u64 gpa; u32 len; bool write; } buf[2048];
};

/* All of it is memory; @segs counts the pieces. */
static bool is_memory(struct fake *f, u64 gpa, u64 len, bool write, unsigned int *segs)
{
	while (len) {
		unsigned int i;
		u64 n = 0;

		for (i = 0; i < f->nr && !n; i++)
			if (gpa >= f->slot[i].gpa && gpa < f->slot[i].gpa + f->slot[i].len &&
			    !(write && f->slot[i].readonly))
				n = f->slot[i].gpa + f->slot[i].len - gpa;
		if (!n)
			return false;
		if (segs)
			++*segs;
		if (n >= len)
			return true;
		gpa += n;
		len -= n;
	}
	return true;
}

struct raw_desc {
	u64 addr;
	u32 len;
	u16 flags;
	u16 next;
};

static struct raw_desc desc_at(struct fake *f, u64 gpa)
{
	struct raw_desc d;
	u8 *b = (u8 *)&d;
	unsigned int i;

	for (i = 0; i < 16; i++)
		b[i] = *(u8 *)fake_at(f, gpa + i, 1);
	return d;
}

static void want_next(struct ring *r, struct want *w)
{
	u64 table = r->cfg.desc;
	unsigned int nr = r->cfg.size, count = 0, segs = 0, i;
	bool indirect = false, write = false;
	u16 idx = *(u16 *)fake_at(&r->mem, r->cfg.avail + 2, 2);
	u16 at = r->vq.next_avail % r->cfg.size;

	w->error = VMM_VQ_OK;
	w->nr = 0;
	w->out_len = 0;
	w->in_len = 0;
	w->ret = -EPROTO;
	/* entries that were seen once may be taken without another look at the index */
	if (r->vq.avail_idx == r->vq.next_avail) {
		if ((u16)(idx - r->vq.next_avail) > r->cfg.size) {
			w->error = VMM_VQ_AVAIL_JUMP;
			return;
		}
		if (idx == r->vq.next_avail) {
			w->ret = 0;
			return;
		}
	}
	w->head = *(u16 *)fake_at(&r->mem, r->cfg.avail + 4 + 2 * at, 2);
	if (w->head >= r->cfg.size) {
		w->error = VMM_VQ_HEAD_RANGE;
		return;
	}
	i = w->head;
	for (;;) {
		struct raw_desc d;

		if (count == r->cfg.size) {
			w->error = VMM_VQ_CHAIN_LONG;
			return;
		}
		d = desc_at(&r->mem, table + 16 * i);
		if (d.flags & D_INDIRECT) {
			if (indirect)
				w->error = VMM_VQ_INDIRECT;
			else if (!(r->features & F_INDIRECT))
				w->error = VMM_VQ_INDIRECT_OFF;
			else if ((d.flags & D_NEXT) || !d.len || d.len % 16 ||
				 d.len / 16 > r->cfg.size)
				w->error = VMM_VQ_INDIRECT;
			else if (d.addr + d.len < d.addr ||
				 !is_memory(&r->mem, d.addr, d.len, false, NULL))
				w->error = VMM_VQ_BUFFER;
			if (w->error)
				return;
			indirect = true;
			table = d.addr;
			nr = d.len / 16;
			i = 0;
			continue;
		}
		if (d.flags & D_WRITE)
			write = true;
		else if (write)
			w->error = VMM_VQ_ORDER;
		else
			write = false;
		if (!w->error && w->out_len + w->in_len + d.len > 0xffffffff)
			w->error = VMM_VQ_LENGTH;
		if (!w->error && (d.addr + d.len < d.addr ||
				  !is_memory(&r->mem, d.addr, d.len, write, &segs) ||
				  segs > (unsigned int)VQ_MAX_SEGS(r->cfg.size)))
			w->error = VMM_VQ_BUFFER;
		if (w->error)
			return;
		if (d.len) {
			w->buf[w->nr].gpa = d.addr;
			w->buf[w->nr].len = d.len;
			w->buf[w->nr++].write = write;
		}
		if (write)
			w->in_len += d.len;
		else
			w->out_len += d.len;
		count++;
		if (!(d.flags & D_NEXT))
			break;
		if (d.next >= nr) {
			w->error = VMM_VQ_NEXT_RANGE;
			return;
		}
		i = d.next;
	}
	w->ret = 1;
}

/* The segments are the buffers, cut, in order; and each is in memory as one piece. */
static bool same_chain(struct ring *r, const struct want *w)
{
	unsigned int s = 0, i, total = r->chain.nr_out + r->chain.nr_in;

	if (r->chain.head != w->head || r->chain.out_len != w->out_len ||
	    r->chain.in_len != w->in_len)
		return false;
	for (i = 0; i < w->nr; i++) {
		u64 gpa = w->buf[i].gpa, left = w->buf[i].len;

		while (left) {
			struct vq_seg *seg = &r->chain.seg[s];

			if (s == total || seg->gpa != gpa || !seg->len || seg->len > left ||
			    (s >= r->chain.nr_out) != w->buf[i].write ||
			    fake_gpa(&r->mem, seg->hva, seg->len) != gpa)
				return false;
			gpa += seg->len;
			left -= seg->len;
			s++;
		}
	}
	return s == total;
}

/* What must hold of a chain whatever the driver does meanwhile. */
static bool sane_chain(struct ring *r)
{
	unsigned int i, total = r->chain.nr_out + r->chain.nr_in;
	u64 out = 0, in = 0, gpa;

	if (total > (unsigned int)VQ_MAX_SEGS(r->cfg.size) || r->chain.head >= r->cfg.size)
		return false;
	for (i = 0; i < total; i++) {
		struct vq_seg *seg = &r->chain.seg[i];
		bool write = i >= r->chain.nr_out;

		gpa = fake_gpa(&r->mem, seg->hva, seg->len);
		if (!seg->len || gpa != seg->gpa || !is_memory(&r->mem, gpa, seg->len, write, NULL))
			return false;
		if (write)
			in += seg->len;
		else
			out += seg->len;
	}
	return out == r->chain.out_len && in == r->chain.in_len && out + in <= 0xffffffff;
}

/* ---- the driver ---- */

static u64 random_addr(void)
{
	switch (rnd(16)) {
	case 0:
		return rnd_next(&seed);
	case 1:
		return HOLE_GPA + rnd(0x1000);
	case 2:
		return DATA_GPA + DATA_LEN - rnd(64);
	case 3:
		return RO_GPA + rnd(RO_LEN);
	case 4:
		return ~0ULL - rnd(0x2000);
	case 5:
		return RING_GPA + rnd(0x30000);
	default:
		return DATA_GPA + rnd(DATA_LEN);
	}
}

static u32 random_len(void)
{
	switch (rnd(12)) {
	case 0:
		return rnd_next(&seed);
	case 1:
		return 0;
	case 2:
		return DATA_LEN + rnd(16);
	case 3:
		return 0xfffffff0 + rnd(16);
	default:
		return 1 + rnd(4096);
	}
}

static u16 random_flags(void)
{
	static const u16 likely[] = {0,	      D_NEXT,		D_NEXT,	   D_NEXT,
				     D_WRITE, D_NEXT | D_WRITE, D_INDIRECT};

	return rnd(12) ? likely[rnd(7)] : rnd_next(&seed);
}

static void random_desc(struct ring *r, u64 table, u16 i, u16 nr)
{
	u16 flags = random_flags(), next = rnd(20) ? rnd(nr) : rnd_next(&seed);
	u64 addr = random_addr();
	u32 len = random_len();

	if (flags & D_INDIRECT && rnd(8)) {
		addr = DATA_GPA + rnd(DATA_LEN / 2) * (rnd(4) ? 1 : 16);
		len = 16 * rnd(r->cfg.size + 2);
	}
	table_desc(r, table, i, addr, len, flags, next);
}

/* Chains that are mostly good, so that the deeper checks are reached. */
static void mostly_good(struct ring *r)
{
	u16 size = r->cfg.size, i;
	u64 table = DATA_GPA + 16 * rnd(0x1000);
	u16 cut = rnd(size);

	for (i = 0; i < size; i++) {
		ring_desc(r, i, DATA_GPA + rnd(DATA_LEN - 4096), 1 + rnd(4096),
			  (rnd(size) ? D_NEXT : 0) | (i > cut ? D_WRITE : 0), i + 1);
		table_desc(r, table, i, DATA_GPA + rnd(DATA_LEN - 4096), 1 + rnd(4096),
			   (rnd(size) ? D_NEXT : 0) | (i > cut ? D_WRITE : 0), i + 1);
	}
	if (rnd(2))
		ring_desc(r, rnd(size), table, 16 * (1 + rnd(size)), D_INDIRECT, 0);
	if (!rnd(4))
		random_desc(r, rnd(2) ? table : r->cfg.desc, rnd(size), size);
}

static void random_ring(struct ring *r)
{
	u64 features = F_BASE | (rnd(4) ? F_INDIRECT : 0) | (rnd(2) ? F_EVENT : 0);
	u16 size = 1 << rnd(6), i;

	if (r->mem.nr) {
		ring_reuse(r, size, features);
	} else {
		ring_init(r, size, features);
		fake_add(&r->mem, DATA_GPA + DATA_LEN, 0x1000, false);
	}
	r->mem.slot[r->mem.nr - 1].readonly = rnd(2);
	r->cfg.next_avail = rnd(2) ? 0 : rnd_next(&seed);
	r->cfg.next_used = rnd(2) ? 0 : rnd_next(&seed);
	ring_restart(r);
	ring_set_avail(r, r->cfg.next_avail);
	if (rnd(2)) {
		mostly_good(r);
	} else {
		for (i = 0; i < size; i++)
			random_desc(r, r->cfg.desc, i, size);
		/* tables somewhere */
		for (i = 0; i < 64; i++)
			random_desc(r, DATA_GPA + 16 * rnd(0x1000), 0, size);
	}
	for (i = 0; i < size; i++)
		ring_offer(r, rnd(30) ? rnd(size) : rnd_next(&seed));
	if (!rnd(10))
		ring_set_avail(r, rnd_next(&seed));
	else if (size > 1)
		ring_set_avail(r, r->avail_idx - rnd(size));
}

UNIT_TEST(hostile_rings_like_the_reference)
{
	static struct want w;
	unsigned int run, good = 0, seen[16] = {};
	struct ring r = {};
	int ret, e;

	seed = 0x9e3779b97f4a7c15;
	for (run = 0; run < RUNS && !unit_state.failed; run++) {
		random_ring(&r);
		do {
			want_next(&r, &w);
			ret = vq_next(&r.vq, &r.chain);
			if (ret != w.ret || r.vq.error != w.error)
				FAIL("run %u: ret %d error %d, want %d %d", run, ret, r.vq.error,
				     w.ret, w.error);
			if (ret > 0) {
				good++;
				if (!same_chain(&r, &w))
					FAIL("run %u: another chain", run);
				EXPECT_EQ(vq_put(&r.vq, r.chain.head, r.chain.in_len), 0);
				EXPECT_EQ(ring_used_id(&r, r.vq.next_used - 1), r.chain.head);
				EXPECT_EQ(ring_used_len(&r, r.vq.next_used - 1), r.chain.in_len);
			}
		} while (ret > 0 && !unit_state.failed);
		seen[r.vq.error]++;
	}
	ring_exit(&r);
	unit_note("%u rings, %u good chains", run, good);
	EXPECT(good > RUNS / 2);
	for (e = VMM_VQ_AVAIL_JUMP; e <= VMM_VQ_INDIRECT_OFF; e++) {
		if (e == VMM_VQ_LENGTH)
			continue;	/* needs more memory than there is: rules.c */
		unit_note("error %d: %u", e, seen[e]);
		EXPECT(seen[e] > 10);
	}
}

/* Another vCPU writes to rings, tables and buffers between any two reads of the engine. */
static void another_vcpu(struct fake *f, u64 gpa, size_t len)
{
	u64 where, value = rnd_next(&seed);
	void *p;

	if (rnd(3))
		return;
	where = rnd(2) ? gpa + rnd(2 * len) : RING_GPA + 0x10000 * rnd(3) + 2 * rnd(64);
	p = fake_at(f, where & ~1ULL, 2);
	if (p)
		memcpy(p, &value, 2);
}

UNIT_TEST(hostile_rings_that_change)
{
	unsigned int run, steps, good = 0;
	struct ring r = {};
	int ret;

	seed = 0xdeadbeefcafef00d;
	for (run = 0; run < RACING_RUNS && !unit_state.failed; run++) {
		random_ring(&r);
		r.mem.after_load = another_vcpu;
		for (steps = 0; steps < 200 && !r.vq.error; steps++) {
			switch (rnd(6)) {
			case 0:
				ret = vq_notify_off(&r.vq);
				break;
			case 1:
				ret = vq_notify_on(&r.vq);
				break;
			case 2:
				ret = vq_publish(&r.vq);
				break;
			case 3:
				ret = vq_put(&r.vq, rnd(r.cfg.size), rnd_next(&seed));
				break;
			default:
				ret = vq_next(&r.vq, &r.chain);
				if (ret > 0) {
					good++;
					if (!sane_chain(&r))
						FAIL("run %u: chain not sane", run);
					if (!rnd(8))
						vq_unget(&r.vq);
				}
			}
			if (ret < 0 && !r.vq.error)
				FAIL("run %u: %d without a reason", run, ret);
			if (!rnd(300))
				fake_move(&r.mem, 0);
		}
	}
	ring_exit(&r);
	EXPECT(good > RACING_RUNS / 4);
}

UNIT_TEST(hostile_slots_that_change)
{
	unsigned int run, steps;
	int ret;

	seed = 42;
	for (run = 0; run < 5000 && !unit_state.failed; run++) {
		struct ring r = {};

		random_ring(&r);
		for (steps = 0; steps < 50 && !r.vq.error; steps++) {
			unsigned int slot = rnd(r.mem.nr);

			switch (rnd(4)) {
			case 0:
				r.mem.slot[slot].readonly = rnd(2);
				break;
			case 1:
				r.mem.slot[slot].gpa += rnd(3) * 0x1000 - 0x1000;
				break;
			default:
				fake_move(&r.mem, slot);
			}
			r.mem.generation++;
			ret = rnd(2) ? vq_next(&r.vq, &r.chain) : vq_put(&r.vq, 0, 1);
			if (ret < 0 && !r.vq.error)
				FAIL("run %u: %d without a reason", run, ret);
			ret = vq_publish(&r.vq);
			if (ret < 0 && !r.vq.error)
				FAIL("run %u: %d without a reason", run, ret);
		}
		ring_exit(&r);
	}
}
