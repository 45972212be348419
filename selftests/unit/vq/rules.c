// SPDX-License-Identifier: GPL-2.0
/* Each ring rule broken, one at a time: exactly that error, and nothing touched after it. */
#include "../unit.h"
#include "fake.h"

#define D(n) (DATA_GPA + 0x1000ULL * (n))
#define TABLE (DATA_GPA + 0x80000)

/* The queue has broken with @error and stays so. */
static void expect_dead(struct ring *r, enum vmm_vq_error error)
{
	u64 loads = r->mem.loads, stores = r->mem.stores;

	EXPECT_EQ(r->vq.error, error);
	EXPECT_EQ(vq_next(&r->vq, &r->chain), -EPROTO);
	EXPECT_EQ(vq_put(&r->vq, 0, 0), -EPROTO);
	EXPECT(vq_publish(&r->vq) <= 0);
	EXPECT_EQ(vq_notify_off(&r->vq), -EPROTO);
	EXPECT_EQ(vq_notify_on(&r->vq), -EPROTO);
	EXPECT_EQ(r->mem.loads, loads);
	EXPECT_EQ(r->mem.stores, stores);
	EXPECT_EQ(r->vq.error, error);
}

static void expect_violation(struct ring *r, enum vmm_vq_error error)
{
	EXPECT_EQ(vq_next(&r->vq, &r->chain), -EPROTO);
	expect_dead(r, error);
	ring_exit(r);
}

UNIT_TEST(config_size)
{
	struct vmm_dev_queue cfg = {};
	unsigned int size;

	for (size = 0; size <= 0xffff; size++) {
		bool good = size <= VMM_DEV_MAX_QUEUE_SIZE && !(size & (size - 1));

		cfg.size = size;
		EXPECT_EQ(vq_check_config(&cfg), good ? 0 : -EINVAL);
	}
}

UNIT_TEST(config_alignment)
{
	struct vmm_dev_queue cfg = { .size = 8 };
	unsigned int i;

	for (i = 0; i < 64; i++) {
		cfg.desc = 0x1000 + i;
		EXPECT_EQ(vq_check_config(&cfg), i % 16 ? -EINVAL : 0);
	}
	cfg.desc = 0x1000;
	for (i = 0; i < 64; i++) {
		cfg.avail = 0x1000 + i;
		EXPECT_EQ(vq_check_config(&cfg), i % 2 ? -EINVAL : 0);
	}
	cfg.avail = 0x1000;
	for (i = 0; i < 64; i++) {
		cfg.used = 0x1000 + i;
		EXPECT_EQ(vq_check_config(&cfg), i % 4 ? -EINVAL : 0);
	}
}

/* ---- where the ring is ---- */

static void ring_at(struct ring *r, unsigned int area, u64 gpa)
{
	ring_init(r, 8, F_BASE | F_EVENT);
	*(area == 0 ? &r->cfg.desc : area == 1 ? &r->cfg.avail : &r->cfg.used) = gpa;
	vq_start(&r->vq, &r->mem, &r->cfg, r->features);
}

UNIT_TEST(ring_outside_of_memory)
{
	struct ring r;
	unsigned int area;

	for (area = 0; area < 3; area++) {
		ring_at(&r, area, HOLE_GPA);
		expect_violation(&r, VMM_VQ_RING_ADDRESS);
		ring_at(&r, area, 0);
		expect_violation(&r, VMM_VQ_RING_ADDRESS);
		ring_at(&r, area, 0xfffffffffffffff0);
		expect_violation(&r, VMM_VQ_RING_ADDRESS);
	}
}

/* The last byte of an area counts, its event field included. */
UNIT_TEST(ring_reaches_out_of_memory)
{
	const u64 end = DATA_GPA + DATA_LEN, len[3] = { 8 * 16, 6 + 8 * 2, 6 + 8 * 8 };
	unsigned int area;
	struct ring r;

	for (area = 0; area < 3; area++) {
		ring_at(&r, area, (end - len[area]) & ~15ULL);
		EXPECT_EQ(vq_next(&r.vq, &r.chain), 0);
		EXPECT_EQ(r.vq.error, VMM_VQ_OK);
		ring_exit(&r);
		ring_at(&r, area, ((end - len[area]) & ~15ULL) + 16);
		expect_violation(&r, VMM_VQ_RING_ADDRESS);
	}
}

/* Without the event index its fields need not exist. */
UNIT_TEST(ring_without_event_fields)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	r.cfg.avail = DATA_GPA + DATA_LEN - (4 + 16);
	r.cfg.used = RING_GPA + 0x30000 - (4 + 64);
	ring_restart(&r);
	ring_desc(&r, 0, D(0), 4, 0, 0);
	ring_offer(&r, 0);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 1);
	EXPECT_EQ(vq_put(&r.vq, 0, 0), 0);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	EXPECT_EQ(vq_notify_off(&r.vq), 0);
	EXPECT_EQ(vq_notify_on(&r.vq), 0);
	ring_exit(&r);
}

UNIT_TEST(used_area_read_only)
{
	struct ring r;

	ring_at(&r, 2, RO_GPA);
	expect_violation(&r, VMM_VQ_RING_ADDRESS);
	ring_at(&r, 0, RO_GPA);	/* the others are only read */
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 0);
	ring_exit(&r);
	ring_at(&r, 1, RO_GPA);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 0);
	ring_exit(&r);
}

UNIT_TEST(ring_slot_goes_away)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 0);
	r.mem.slot[0].gpa = 0x40000000;
	r.mem.generation++;
	expect_violation(&r, VMM_VQ_RING_ADDRESS);
}

/* The process took the memory away under each access. */
UNIT_TEST(ring_memory_faults)
{
	struct ring r;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		const struct { u64 off, len; } bad[] = {
			{ 0, 16 },		/* descriptor */
			{ 0x10002, 2 },		/* avail.idx */
			{ 0x10004, 2 },		/* avail.ring[0] */
			{ 0x10004 + 16, 2 },	/* used_event */
			{ 0x20004, 8 },		/* used.ring[0] */
			{ 0x20002, 2 },		/* used.idx */
			{ 0x20004 + 64, 2 },	/* avail_event */
			{ 0x20000, 2 },		/* used.flags */
		};
		int ret;

		ring_init(&r, 8, F_BASE | F_EVENT);
		ring_desc(&r, 0, D(0), 4, 0, 0);
		ring_offer(&r, 0);
		r.mem.fail_gpa = RING_GPA + bad[i].off;
		r.mem.fail_len = bad[i].len;
		ret = vq_notify_off(&r.vq);
		if (i == 7) {
			EXPECT_EQ(ret, -EPROTO);
		} else {
			ret = vq_next(&r.vq, &r.chain);
			EXPECT_EQ(ret, i < 3 ? -EPROTO : 1);
		}
		if (ret > 0) {
			ret = vq_put(&r.vq, 0, 0);
			EXPECT_EQ(ret, i == 4 ? -EPROTO : 0);
		}
		if (!ret) {
			ret = vq_publish(&r.vq);
			EXPECT_EQ(ret, i == 3 || i == 5 ? -EPROTO : 1);
		}
		if (ret > 0)
			EXPECT_EQ(vq_notify_on(&r.vq), -EPROTO);
		expect_dead(&r, VMM_VQ_RING_ADDRESS);
		ring_exit(&r);
	}
}

/* ---- the available ring ---- */

UNIT_TEST(avail_index_jumps)
{
	const u16 size = 8;
	struct ring r;
	unsigned int jump, i;

	for (jump = 0; jump <= 0xffff; jump += jump < 20 || jump > 0xfff0 ? 1 : 0xf0) {
		ring_init(&r, size, F_BASE);
		for (i = 0; i < size; i++)
			ring_desc(&r, i, D(0), 4, 0, 0);
		ring_set_avail(&r, jump);
		if (jump > size) {
			expect_violation(&r, VMM_VQ_AVAIL_JUMP);
			continue;
		}
		EXPECT_EQ(vq_next(&r.vq, &r.chain), jump ? 1 : 0);
		ring_exit(&r);
	}
}

UNIT_TEST(avail_index_goes_back)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	ring_desc(&r, 0, D(0), 4, 0, 0);
	ring_offer(&r, 0);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 1);
	ring_set_avail(&r, 0);
	expect_violation(&r, VMM_VQ_AVAIL_JUMP);
}

UNIT_TEST(avail_index_jumps_while_arming)
{
	struct ring r;

	ring_init(&r, 8, F_BASE | F_EVENT);
	ring_set_avail(&r, 9);
	EXPECT_EQ(vq_notify_on(&r.vq), -EPROTO);
	expect_dead(&r, VMM_VQ_AVAIL_JUMP);
	ring_exit(&r);
}

UNIT_TEST(head_out_of_range)
{
	const u16 heads[] = { 8, 9, 0x7fff, 0x8000, 0xffff };
	struct ring r;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		ring_init(&r, 8, F_BASE);
		ring_offer(&r, heads[i]);
		expect_violation(&r, VMM_VQ_HEAD_RANGE);
	}
}

/* ---- chains ---- */

UNIT_TEST(next_out_of_range)
{
	const u16 nexts[] = { 8, 0xffff };
	struct ring r;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		ring_init(&r, 8, F_BASE);
		ring_desc(&r, 0, D(0), 4, D_NEXT, 1);
		ring_desc(&r, 1, D(0), 4, D_NEXT, nexts[i]);
		ring_offer(&r, 0);
		expect_violation(&r, VMM_VQ_NEXT_RANGE);
	}
}

/* In an indirect table the table's length counts, although the ring is longer. */
UNIT_TEST(next_out_of_indirect_table)
{
	struct ring r;

	ring_init(&r, 8, F_BASE | F_INDIRECT);
	table_desc(&r, TABLE, 0, D(0), 4, D_NEXT, 2);
	table_desc(&r, TABLE, 2, D(0), 4, 0, 0);
	ring_desc(&r, 0, TABLE, 32, D_INDIRECT, 0);
	ring_offer(&r, 0);
	expect_violation(&r, VMM_VQ_NEXT_RANGE);
}

UNIT_TEST(loops)
{
	struct ring r;
	u16 len, i;

	for (len = 1; len <= 8; len++) {
		ring_init(&r, 8, F_BASE);
		for (i = 0; i < len; i++)
			ring_desc(&r, i, D(0), 4, D_NEXT, (i + 1) % len);
		ring_offer(&r, 0);
		expect_violation(&r, VMM_VQ_CHAIN_LONG);
	}
}

UNIT_TEST(loop_in_indirect_table)
{
	struct ring r;

	ring_init(&r, 8, F_BASE | F_INDIRECT);
	table_desc(&r, TABLE, 0, D(0), 4, D_NEXT, 1);
	table_desc(&r, TABLE, 1, D(0), 4, D_NEXT, 0);
	ring_desc(&r, 0, TABLE, 32, D_INDIRECT, 0);
	ring_offer(&r, 0);
	expect_violation(&r, VMM_VQ_CHAIN_LONG);
}

/* Descriptors of the ring and of the table together. */
UNIT_TEST(chain_too_long_with_indirect_table)
{
	struct ring r;
	u16 i;

	ring_init(&r, 8, F_BASE | F_INDIRECT);
	for (i = 0; i < 8; i++)
		table_desc(&r, TABLE, i, D(0), 4, i < 7 ? D_NEXT : 0, i + 1);
	ring_desc(&r, 0, D(0), 4, D_NEXT, 1);
	ring_desc(&r, 1, TABLE, 8 * 16, D_INDIRECT, 0);
	ring_offer(&r, 0);
	expect_violation(&r, VMM_VQ_CHAIN_LONG);
}

UNIT_TEST(readable_behind_writable)
{
	struct ring r;
	u32 len;

	for (len = 0; len < 2; len++) {	/* of no length too */
		ring_init(&r, 8, F_BASE);
		ring_desc(&r, 0, D(0), len, D_NEXT | D_WRITE, 1);
		ring_desc(&r, 1, D(0), 4, 0, 0);
		ring_offer(&r, 0);
		expect_violation(&r, VMM_VQ_ORDER);

		ring_init(&r, 8, F_BASE | F_INDIRECT);
		ring_desc(&r, 0, D(0), len, D_NEXT | D_WRITE, 1);
		ring_desc(&r, 1, TABLE, 16, D_INDIRECT, 0);
		table_desc(&r, TABLE, 0, D(0), 4, 0, 0);
		ring_offer(&r, 0);
		expect_violation(&r, VMM_VQ_ORDER);
	}
}

UNIT_TEST(indirect_not_agreed_on)
{
	struct ring r;

	ring_init(&r, 8, F_BASE | F_EVENT);
	table_desc(&r, TABLE, 0, D(0), 4, 0, 0);
	ring_desc(&r, 0, TABLE, 16, D_INDIRECT, 0);
	ring_offer(&r, 0);
	expect_violation(&r, VMM_VQ_INDIRECT_OFF);
}

UNIT_TEST(indirect_nested)
{
	struct ring r;

	ring_init(&r, 8, F_BASE | F_INDIRECT);
	table_desc(&r, TABLE, 0, D(0), 4, D_NEXT, 1);
	table_desc(&r, TABLE, 1, TABLE, 16, D_INDIRECT, 0);
	ring_desc(&r, 0, TABLE, 32, D_INDIRECT, 0);
	ring_offer(&r, 0);
	expect_violation(&r, VMM_VQ_INDIRECT);
}

UNIT_TEST(indirect_chained)
{
	struct ring r;

	ring_init(&r, 8, F_BASE | F_INDIRECT);
	table_desc(&r, TABLE, 0, D(0), 4, 0, 0);
	ring_desc(&r, 0, TABLE, 16, D_INDIRECT | D_NEXT, 1);
	ring_desc(&r, 1, D(0), 4, 0, 0);
	ring_offer(&r, 0);
	expect_violation(&r, VMM_VQ_INDIRECT);
}

UNIT_TEST(indirect_length)
{
	const u32 bad[] = { 0, 1, 15, 17, 24, 9 * 16, 0xfffffff0, 0xffffffff };
	struct ring r;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		ring_init(&r, 8, F_BASE | F_INDIRECT);
		table_desc(&r, TABLE, 0, D(0), 4, 0, 0);
		ring_desc(&r, 0, TABLE, bad[i], D_INDIRECT, 0);
		ring_offer(&r, 0);
		expect_violation(&r, VMM_VQ_INDIRECT);
	}
}

UNIT_TEST(indirect_table_outside_of_memory)
{
	const u64 bad[] = { HOLE_GPA, DATA_GPA + DATA_LEN - 16, 0xfffffffffffffff0 };
	struct ring r;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		ring_init(&r, 8, F_BASE | F_INDIRECT);
		ring_desc(&r, 0, bad[i], 32, D_INDIRECT, 0);
		ring_offer(&r, 0);
		expect_violation(&r, VMM_VQ_BUFFER);
	}
}

UNIT_TEST(indirect_table_faults)
{
	struct ring r;

	ring_init(&r, 8, F_BASE | F_INDIRECT);
	ring_desc(&r, 0, TABLE, 32, D_INDIRECT, 0);
	ring_offer(&r, 0);
	r.mem.fail_gpa = TABLE;
	r.mem.fail_len = 16;
	expect_violation(&r, VMM_VQ_BUFFER);
}

/* ---- buffers ---- */

UNIT_TEST(buffer_outside_of_memory)
{
	const struct { u64 gpa; u32 len; } bad[] = {
		{ HOLE_GPA, 1 },
		{ DATA_GPA + DATA_LEN, 1 },
		{ DATA_GPA + DATA_LEN - 1, 2 },
		{ DATA_GPA - 1, 2 },
		{ DATA_GPA, DATA_LEN + 1 },
		{ DATA_GPA, 0xffffffff },
		{ 0xffffffffffffffff, 1 },
		{ 0xfffffffffffff000, 0x2000 },
		{ ~0ULL << 52 | DATA_GPA, 16 },
	};
	struct ring r;
	unsigned int i, write;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (write = 0; write < 2; write++) {
			ring_init(&r, 8, F_BASE);
			ring_desc(&r, 0, bad[i].gpa, bad[i].len, write ? D_WRITE : 0, 0);
			ring_offer(&r, 0);
			expect_violation(&r, VMM_VQ_BUFFER);
		}
	}
}

/* Even where there is memory at both ends of the address space. */
UNIT_TEST(nothing_wraps_around)
{
	unsigned int i;
	struct ring r;

	for (i = 0; i < 3; i++) {
		ring_init(&r, 8, F_BASE | F_INDIRECT);
		fake_add(&r.mem, 0, 0x1000, false);
		fake_add(&r.mem, 0xfffffffffffff000, 0x1000, false);
		if (i == 2) {
			r.cfg.desc = 0xffffffffffffffc0;
			vq_start(&r.vq, &r.mem, &r.cfg, r.features);
			expect_violation(&r, VMM_VQ_RING_ADDRESS);
			continue;
		}
		ring_desc(&r, 0, 0xfffffffffffffff0, 32, i ? D_INDIRECT : 0, 0);
		ring_offer(&r, 0);
		expect_violation(&r, VMM_VQ_BUFFER);
	}
}

UNIT_TEST(writable_buffer_in_read_only_memory)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	ring_desc(&r, 0, RO_GPA, 16, D_WRITE, 0);
	ring_offer(&r, 0);
	expect_violation(&r, VMM_VQ_BUFFER);

	/* only its tail */
	ring_init(&r, 8, F_BASE);
	fake_add(&r.mem, RO_GPA - 0x1000, 0x1000, false);
	ring_desc(&r, 0, RO_GPA - 8, 16, D_WRITE, 0);
	ring_offer(&r, 0);
	expect_violation(&r, VMM_VQ_BUFFER);
}

/* 1024 buffers of 4 MiB, in memory that is there 1 MiB at a time, would be 4 GiB: refused. */
UNIT_TEST(chain_of_4_gib)
{
	const u32 len = DATA_LEN;
	struct ring r;
	u64 gpa = DATA_GPA;
	u16 i;

	ring_init(&r, 1024, F_BASE);
	for (i = 0; i < 3; i++)
		fake_add(&r.mem, gpa + (i + 1) * DATA_LEN + 0x10000000, DATA_LEN, false);
	for (i = 0; i < 1024; i++)
		ring_desc(&r, i, gpa, len, i < 1023 ? D_NEXT : 0, i + 1);
	ring_offer(&r, 0);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 1);		/* 1 GiB */
	EXPECT_EQ(r.chain.out_len, 1024ULL * DATA_LEN);
	ring_exit(&r);

	/* one slot of 8 MiB */
	ring_init(&r, 1024, F_BASE);
	fake_add(&r.mem, 0x10000000, 0x800000, false);
	for (i = 0; i < 512; i++)
		ring_desc(&r, i, 0x10000000, 0x800000 - (i == 511), i < 511 ? D_NEXT : 0, i + 1);
	ring_offer(&r, 0);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 1);
	EXPECT_EQ(r.chain.out_len, 0xffffffff);		/* the most there can be */
	ring_desc(&r, 511, 0x10000000, 0x800000, 0, 0);
	ring_offer(&r, 0);
	expect_violation(&r, VMM_VQ_LENGTH);

	/* readable and writable bytes together */
	ring_init(&r, 1024, F_BASE);
	fake_add(&r.mem, 0x10000000, 0x800000, false);
	for (i = 0; i < 512; i++)
		ring_desc(&r, i, 0x10000000, 0x800000,
			  (i < 511 ? D_NEXT : 0) | (i > 255 ? D_WRITE : 0), i + 1);
	ring_offer(&r, 0);
	expect_violation(&r, VMM_VQ_LENGTH);
}

/* Overlapping buffers across many slots: more pieces than an honest chain can have. */
UNIT_TEST(more_segments_than_an_honest_chain)
{
	struct ring r;
	u16 i;

	ring_init(&r, 1024, F_BASE);
	fake_add(&r.mem, DATA_GPA + DATA_LEN, 0x1000, false);
	for (i = 0; i < 1024; i++)
		ring_desc(&r, i, DATA_GPA + DATA_LEN - 8, 16, i < 1023 ? D_NEXT : 0, i + 1);
	ring_offer(&r, 0);
	expect_violation(&r, VMM_VQ_BUFFER);
}

UNIT_TEST(buffer_faults_on_read)
{
	struct ring r;
	u8 b[16];

	ring_init(&r, 8, F_BASE);
	ring_desc(&r, 0, D(0), 16, 0, 0);
	ring_offer(&r, 0);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 1);
	r.mem.fail_gpa = D(0);
	r.mem.fail_len = 16;
	EXPECT_EQ(vq_chain_read(&r.vq, &r.chain, 0, b, 16), -EPROTO);
	expect_dead(&r, VMM_VQ_BUFFER);
	ring_exit(&r);
}

/* What a backend finds is kept like the rest, and only the first. */
UNIT_TEST(first_violation_is_kept)
{
	struct ring r;

	ring_init(&r, 8, F_BASE);
	EXPECT_EQ(vq_violation(&r.vq, VMM_VQ_LENGTH), -EPROTO);
	EXPECT_EQ(vq_violation(&r.vq, VMM_VQ_BUFFER), -EPROTO);
	expect_dead(&r, VMM_VQ_LENGTH);
	ring_restart(&r);
	EXPECT_EQ(r.vq.error, VMM_VQ_OK);
	EXPECT_EQ(vq_next(&r.vq, &r.chain), 0);
	ring_exit(&r);
}
