// SPDX-License-Identifier: GPL-2.0
/* Good chains of every shape, and what becomes of them. */
#include "../unit.h"
#include "fake.h"

#define D(n) (DATA_GPA + 0x1000ULL * (n))
#define TABLE (DATA_GPA + 0x80000)

static void expect_seg(struct ring *r, unsigned int i, u64 gpa, u32 len)
{
	struct vq_seg *s = &r->chain.seg[i];

	EXPECT_EQ(s->gpa, gpa);
	EXPECT_EQ(s->len, len);
	EXPECT_EQ(fake_gpa(&r->mem, s->hva, s->len), gpa);
}

static void expect_chain(struct ring *r, u16 head, unsigned int nr_out, unsigned int nr_in,
			 u32 out_len, u32 in_len)
{
	EXPECT_EQ(vq_next(&r->vq, &r->chain), 1);
	EXPECT_EQ(r->vq.error, VMM_VQ_OK);
	EXPECT_EQ(r->chain.head, head);
	EXPECT_EQ(r->chain.nr_out, nr_out);
	EXPECT_EQ(r->chain.nr_in, nr_in);
	EXPECT_EQ(r->chain.out_len, out_len);
	EXPECT_EQ(r->chain.in_len, in_len);
}

UNIT_TEST(empty_ring)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 0);
	EXPECT_EQ(vq_publish(&r.vq), 0);
	EXPECT_EQ(r.mem.stores, 0);
	ring_exit(&r);
}

UNIT_TEST(one_descriptor)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	ring_desc(&r, 3, D(0), 100, 0, 0);
	ring_desc(&r, 5, D(1), 200, D_WRITE, 0);
	ring_offer(&r, 3);
	ring_offer(&r, 5);
	expect_chain(&r, 3, 1, 0, 100, 0);
	expect_seg(&r, 0, D(0), 100);
	expect_chain(&r, 5, 0, 1, 0, 200);
	expect_seg(&r, 0, D(1), 200);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 0);
	ring_exit(&r);
}

UNIT_TEST(queue_of_one)
{
	struct ring r;
	int i;

	ring_init(&r, 1, F_BASE | F_EVENT);
	for (i = 0; i < 10; i++) {
		ring_desc(&r, 0, D(i), 10 + i, D_WRITE, 0);
		ring_offer(&r, 0);
		expect_chain(&r, 0, 0, 1, 0, 10 + i);
		EXPECT_EQ(vq_put(&r.vq, 0, i), 0);
		EXPECT(vq_publish(&r.vq) >= 0);
		EXPECT_EQ(ring_used_idx(&r), i + 1);
		EXPECT_EQ(ring_used_len(&r, i), i);
	}
	ring_exit(&r);
}

/* Linked in any order; a zero-length buffer takes a descriptor and no segment. */
UNIT_TEST(linked_descriptors)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	ring_desc(&r, 6, D(0), 16, D_NEXT, 1);
	ring_desc(&r, 1, D(1), 0, D_NEXT, 7);
	ring_desc(&r, 7, D(2), 512, D_NEXT, 0);
	ring_desc(&r, 0, D(3), 0, D_NEXT | D_WRITE, 2);
	ring_desc(&r, 2, D(4), 1024, D_NEXT | D_WRITE, 4);
	ring_desc(&r, 4, D(5), 1, D_WRITE, 9999);
	ring_offer(&r, 6);
	expect_chain(&r, 6, 2, 2, 528, 1025);
	expect_seg(&r, 0, D(0), 16);
	expect_seg(&r, 1, D(2), 512);
	expect_seg(&r, 2, D(4), 1024);
	expect_seg(&r, 3, D(5), 1);
	ring_exit(&r);
}

UNIT_TEST(as_long_as_the_queue)
{
	u16 sizes[] = { 1, 2, 4, 256, 1024 };
	unsigned int s;
	struct ring r;
	u16 i;

	for (s = 0; s < 5; s++) {
		ring_init(&r, sizes[s], F_BASE);
		for (i = 0; i < sizes[s]; i++)
			ring_desc(&r, i, DATA_GPA + 8 * i, 8, i + 1 < sizes[s] ? D_NEXT : 0, i + 1);
		ring_offer(&r, 0);
		expect_chain(&r, 0, sizes[s], 0, 8 * sizes[s], 0);
		for (i = 0; i < sizes[s]; i++)
			expect_seg(&r, i, DATA_GPA + 8 * i, 8);
		ring_exit(&r);
	}
}

UNIT_TEST(indirect_table)
{
	struct ring r;

	ring_init(&r, 8, F_BASE | F_INDIRECT);
	table_desc(&r, TABLE, 0, D(0), 16, D_NEXT, 3);
	table_desc(&r, TABLE, 3, D(1), 32, D_NEXT | D_WRITE, 2);
	table_desc(&r, TABLE, 2, D(2), 64, D_WRITE, 0);
	ring_desc(&r, 2, TABLE, 4 * 16, D_INDIRECT, 0);
	ring_offer(&r, 2);
	expect_chain(&r, 2, 1, 2, 16, 96);
	expect_seg(&r, 0, D(0), 16);
	expect_seg(&r, 1, D(1), 32);
	expect_seg(&r, 2, D(2), 64);
	ring_exit(&r);
}

/* WRITE in the descriptor that refers to the table means nothing (virtio 1.2, 2.7.5.3.2). */
UNIT_TEST(indirect_table_with_write_flag)
{
	struct ring r;

	ring_init(&r, 8, F_BASE | F_INDIRECT);
	table_desc(&r, TABLE, 0, D(0), 16, 0, 0);
	ring_desc(&r, 0, TABLE, 16, D_INDIRECT | D_WRITE, 0);
	ring_offer(&r, 0);
	expect_chain(&r, 0, 1, 0, 16, 0);
	ring_exit(&r);
}

UNIT_TEST(indirect_table_after_descriptors)
{
	struct ring r;

	ring_init(&r, 4, F_BASE | F_INDIRECT);
	ring_desc(&r, 0, D(0), 16, D_NEXT, 1);
	ring_desc(&r, 1, D(1), 4, D_NEXT, 3);
	ring_desc(&r, 3, TABLE, 32, D_INDIRECT, 0);
	table_desc(&r, TABLE, 0, D(2), 8, D_NEXT, 1);
	table_desc(&r, TABLE, 1, D(3), 1, D_WRITE, 0);
	ring_offer(&r, 0);
	expect_chain(&r, 0, 3, 1, 28, 1);
	expect_seg(&r, 3, D(3), 1);
	ring_exit(&r);
}

/* A table may be as long as the queue, and the descriptor that refers to it does not count. */
UNIT_TEST(indirect_table_as_long_as_the_queue)
{
	struct ring r;
	u16 i;

	ring_init(&r, 16, F_BASE | F_INDIRECT);
	for (i = 0; i < 16; i++)
		table_desc(&r, TABLE, i, D(i), 4, i < 15 ? D_NEXT : 0, i + 1);
	ring_desc(&r, 9, TABLE, 16 * 16, D_INDIRECT, 0);
	ring_offer(&r, 9);
	expect_chain(&r, 9, 16, 0, 64, 0);
	ring_exit(&r);
}

UNIT_TEST(unaligned_indirect_table_across_slots)
{
	struct ring r;
	u64 border = DATA_GPA + DATA_LEN, table = border - 24;

	ring_init(&r, 8, F_BASE | F_INDIRECT);
	fake_add(&r.mem, border, 0x1000, false);
	table_desc(&r, table, 0, D(0), 16, D_NEXT, 1);
	table_desc(&r, table, 1, D(1), 32, D_NEXT, 2);	/* 8 bytes here, 8 there */
	table_desc(&r, table, 2, D(2), 64, D_WRITE, 0);
	ring_desc(&r, 0, table, 48, D_INDIRECT, 0);
	ring_offer(&r, 0);
	expect_chain(&r, 0, 2, 1, 48, 64);
	expect_seg(&r, 1, D(1), 32);
	ring_exit(&r);
}

UNIT_TEST(buffer_across_slots)
{
	struct ring r;
	u64 border = DATA_GPA + DATA_LEN;

	ring_init(&r, 8, F_BASE);
	fake_add(&r.mem, border, 0x1000, false);
	fake_add(&r.mem, border + 0x1000, 0x1000, false);
	ring_desc(&r, 0, border - 100, 100 + 0x1000 + 50, D_WRITE, 0);
	ring_offer(&r, 0);
	expect_chain(&r, 0, 0, 3, 0, 100 + 0x1000 + 50);
	expect_seg(&r, 0, border - 100, 100);
	expect_seg(&r, 1, border, 0x1000);
	expect_seg(&r, 2, border + 0x1000, 50);
	ring_exit(&r);
}

UNIT_TEST(read_only_memory_is_readable)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	ring_desc(&r, 0, RO_GPA + 8, 100, 0, 0);
	ring_offer(&r, 0);
	expect_chain(&r, 0, 1, 0, 100, 0);
	ring_exit(&r);
}

UNIT_TEST(chain_read)
{
	u8 want[40], got[40];
	struct ring r;
	u32 off, len;
	unsigned int i;

	ring_init(&r, 8, F_BASE);
	for (i = 0; i < 40; i++)
		want[i] = 0x40 + i;
	memcpy(fake_at(&r.mem, D(0), 7), want, 7);
	memcpy(fake_at(&r.mem, D(1), 13), want + 7, 13);
	memcpy(fake_at(&r.mem, D(2), 20), want + 20, 20);
	ring_desc(&r, 0, D(0), 7, D_NEXT, 1);
	ring_desc(&r, 1, D(1), 13, D_NEXT, 2);
	ring_desc(&r, 2, D(2), 20, D_NEXT, 3);
	ring_desc(&r, 3, D(3), 20, D_WRITE, 0);
	ring_offer(&r, 0);
	expect_chain(&r, 0, 3, 1, 40, 20);
	for (off = 0; off <= 40; off++) {
		for (len = 0; len <= 40 - off; len++) {
			memset(got, 0, sizeof(got));
			ASSERT_EQ(vq_chain_read(&r.vq, &r.chain, off, got, len), 0);
			ASSERT(!memcmp(got, want + off, len));
		}
	}
	ring_exit(&r);
}

/* Each descriptor is read once: what changes after that does not matter. */
static void scribble(struct fake *f, u64 gpa, size_t len)
{
	if (len == 16)
		memset(fake_at(f, gpa, len), 0xff, len);
}

UNIT_TEST(descriptors_are_read_once)
{
	struct ring r;

	ring_init(&r, 8, F_BASE | F_INDIRECT);
	ring_desc(&r, 0, D(0), 16, D_NEXT, 4);
	ring_desc(&r, 4, TABLE, 32, D_INDIRECT, 0);
	table_desc(&r, TABLE, 0, D(1), 8, D_NEXT, 1);
	table_desc(&r, TABLE, 1, D(2), 1, D_WRITE, 0);
	ring_offer(&r, 0);
	r.mem.after_load = scribble;
	r.mem.watch_gpa = RING_GPA;
	r.mem.watch_len = 8 * 16;
	expect_chain(&r, 0, 2, 1, 24, 1);
	EXPECT_EQ(r.mem.watch_loads, 2);
	ring_exit(&r);
}

UNIT_TEST(unget_gives_the_chain_again)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	ring_desc(&r, 0, D(0), 16, 0, 0);
	ring_desc(&r, 1, D(1), 32, 0, 0);
	ring_offer(&r, 0);
	ring_offer(&r, 1);
	expect_chain(&r, 0, 1, 0, 16, 0);
	expect_chain(&r, 1, 1, 0, 32, 0);
	vq_unget(&r.vq);
	ring_desc(&r, 1, D(1), 48, 0, 0);
	expect_chain(&r, 1, 1, 0, 48, 0);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 0);
	vq_unget(&r.vq);
	EXPECT_EQ(vq_notify_on(&r.vq), 1);
	ring_exit(&r);
}

/* ---- used entries ---- */

UNIT_TEST(used_entries_are_published_together)
{
	struct ring r;
	u16 i;

	ring_init(&r, 8, F_BASE);
	for (i = 0; i < 5; i++) {
		ring_desc(&r, i, D(i), 64, D_WRITE, 0);
		ring_offer(&r, i);
		expect_chain(&r, i, 0, 1, 0, 64);
	}
	r.mem.watch_gpa = r.cfg.used + 2;
	r.mem.watch_len = 2;
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(vq_put(&r.vq, 4 - i, 10 * i + 1), 0);	/* out of order */
		EXPECT_EQ(ring_used_idx(&r), 0);
	}
	EXPECT_EQ(r.mem.watch_stores, 0);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	EXPECT_EQ(r.mem.watch_stores, 1);
	EXPECT_EQ(ring_used_idx(&r), 5);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(ring_used_id(&r, i), 4 - i);
		EXPECT_EQ(ring_used_len(&r, i), 10 * i + 1);
	}
	EXPECT_EQ(vq_publish(&r.vq), 0);
	EXPECT_EQ(r.mem.watch_stores, 1);
	ring_exit(&r);
}

UNIT_TEST(used_len_is_32_bits)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	ring_desc(&r, 7, D(0), 4, D_WRITE, 0);
	ring_offer(&r, 7);
	expect_chain(&r, 7, 0, 1, 0, 4);
	EXPECT_EQ(vq_put(&r.vq, 7, 0xfedcba98), 0);
	EXPECT_EQ(ring_used_id(&r, 0), 7);
	EXPECT_EQ(ring_used_len(&r, 0), 0xfedcba98);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	ring_exit(&r);
}

UNIT_TEST(indexes_of_a_restored_queue)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	r.cfg.next_avail = 0xfffe;
	r.cfg.next_used = 0xfffd;
	ring_restart(&r);
	ring_set_avail(&r, 0xfffe);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 0);
	EXPECT_EQ(vq_publish(&r.vq), 0);
	EXPECT_EQ(r.mem.stores, 0);
	ring_desc(&r, 2, D(0), 4, 0, 0);
	ring_offer(&r, 2);
	ring_offer(&r, 2);
	ring_offer(&r, 2);
	expect_chain(&r, 2, 1, 0, 4, 0);
	expect_chain(&r, 2, 1, 0, 4, 0);
	expect_chain(&r, 2, 1, 0, 4, 0);
	EXPECT_EQ(r.vq.next_avail, 1);
	EXPECT_EQ(vq_put(&r.vq, 2, 0), 0);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	EXPECT_EQ(ring_used_idx(&r), 0xfffe);
	EXPECT_EQ(ring_used_id(&r, 0xfffd), 2);
	ring_exit(&r);
}

/* ---- where the ring lies ---- */

UNIT_TEST(translations_are_cached_until_slots_change)
{
	struct ring r;
	u64 before;

	ring_init(&r, 8, F_BASE);
	ring_desc(&r, 0, D(0), 4, 0, 0);
	ring_offer(&r, 0);
	ring_offer(&r, 0);
	ring_offer(&r, 0);
	expect_chain(&r, 0, 1, 0, 4, 0);
	before = r.mem.translations;
	expect_chain(&r, 0, 1, 0, 4, 0);
	EXPECT_EQ(r.mem.translations, before + 1);	/* the buffer */
	fake_move(&r.mem, 0);		/* the old place is freed: ASan sees a stale address */
	fake_move(&r.mem, 1);
	expect_chain(&r, 0, 1, 0, 4, 0);
	EXPECT_EQ(r.mem.translations, before + 1 + 3 + 1);
	fake_move(&r.mem, 0);
	EXPECT_EQ(vq_put(&r.vq, 0, 0), 0);
	fake_move(&r.mem, 0);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	fake_move(&r.mem, 0);
	EXPECT_EQ(vq_notify_off(&r.vq), 0);
	fake_move(&r.mem, 0);
	EXPECT_EQ(vq_notify_on(&r.vq), 0);
	EXPECT_EQ(ring_used_idx(&r), 1);
	ring_exit(&r);
}

/* Every field of a ring that lies across slots, at every possible border. */
UNIT_TEST(ring_across_slots)
{
	const u64 base = 0x1000000;
	unsigned int area, cut, n;
	struct ring r;
	u64 start[3];

	for (area = 0; area < 3; area++) {
		/* 4-byte steps: a used element may be cut; descriptors and 16-bit fields are not */
		unsigned int step = area == 0 ? 16 : area == 1 ? 2 : 4;
		unsigned int len = area == 0 ? 8 * 16 : area == 1 ? 6 + 16 : 6 + 64;

		for (cut = step; cut < len; cut += step) {
			ring_init(&r, 8, F_BASE | F_EVENT);
			for (n = 0; n < 3; n++) {
				start[n] = base + 0x10000 * n;
				if (n != area) {
					fake_add(&r.mem, start[n], 0x1000, false);
					continue;
				}
				start[n] += 0x1000 - cut;
				fake_add(&r.mem, base + 0x10000 * n, 0x1000, false);
				fake_add(&r.mem, base + 0x10000 * n + 0x1000, 0x1000, false);
			}
			r.cfg.desc = start[0];
			r.cfg.avail = start[1];
			r.cfg.used = start[2];
			EXPECT_EQ(r.cfg.desc & 15, 0);
			ring_restart(&r);
			for (n = 0; n < 20; n++) {
				ring_desc(&r, n % 8, D(n), 64 + n, D_WRITE, 0);
				ring_offer(&r, n % 8);
				expect_chain(&r, n % 8, 0, 1, 0, 64 + n);
				ASSERT_EQ(vq_put(&r.vq, n % 8, 64 + n), 0);
				ring_set_used_event(&r, n);
				ASSERT_EQ(vq_publish(&r.vq), 1);
				EXPECT_EQ(ring_used_idx(&r), n + 1);
				EXPECT_EQ(ring_used_id(&r, n), n % 8);
				EXPECT_EQ(ring_used_len(&r, n), 64 + n);
				EXPECT_EQ(vq_notify_on(&r.vq), 0);
				EXPECT_EQ(ring_avail_event(&r), n + 1);
			}
			ring_exit(&r);
		}
	}
}
