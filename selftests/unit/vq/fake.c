// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>

#include "../unit.h"
#include "fake.h"

struct fake *fake;

void fake_init(struct fake *f)
{
	memset(f, 0, sizeof(*f));
	fake = f;
}

static void fake_verdict(struct fake *f)
{
	if (f->wrong)
		FAIL("engine: %s", f->wrong);
	if (f->undirtied_len)
		FAIL("a store at %#llx was not reported as dirty",
		     (unsigned long long)f->undirtied_gpa);
	f->wrong = NULL;
	f->undirtied_len = 0;
}

void fake_exit(struct fake *f)
{
	while (f->nr)
		free(f->slot[--f->nr].mem);
	fake_verdict(f);
	fake = NULL;
}

void fake_add(struct fake *f, u64 gpa, u64 len, bool readonly)
{
	struct fake_slot *s = &f->slot[f->nr++];

	s->gpa = gpa;
	s->len = len;
	s->readonly = readonly;
	s->mem = calloc(1, len);
	f->generation++;
}

void fake_move(struct fake *f, unsigned int slot)
{
	struct fake_slot *s = &f->slot[slot];
	u8 *mem = malloc(s->len);

	memcpy(mem, s->mem, s->len);
	free(s->mem);
	s->mem = mem;
	f->generation++;
}

static struct fake_slot *slot_of(struct fake *f, u64 gpa)
{
	unsigned int i;

	for (i = 0; i < f->nr; i++)
		if (gpa >= f->slot[i].gpa && gpa - f->slot[i].gpa < f->slot[i].len)
			return &f->slot[i];
	return NULL;
}

void *fake_at(struct fake *f, u64 gpa, u64 len)
{
	struct fake_slot *s = slot_of(f, gpa);

	if (!s || s->len - (gpa - s->gpa) < len)
		return NULL;
	return s->mem + (gpa - s->gpa);
}

u64 fake_gpa(struct fake *f, unsigned long hva, size_t len)
{
	unsigned int i;

	for (i = 0; i < f->nr; i++) {
		unsigned long base = (unsigned long)f->slot[i].mem;

		if (hva >= base && hva - base < f->slot[i].len &&
		    f->slot[i].len - (hva - base) >= len)
			return f->slot[i].gpa + (hva - base);
	}
	return ~0ULL;
}

/* ---- what the engine calls ---- */

u64 vq_mem_generation(void *mem)
{
	return ((struct fake *)mem)->generation;
}

int vq_mem_translate(void *mem, u64 gpa, u64 len, bool write, unsigned long *hva, u64 *run)
{
	struct fake *f = mem;
	struct fake_slot *s = slot_of(f, gpa);

	f->translations++;
	if (!s)
		return -ENXIO;
	if (write && s->readonly)
		return -EROFS;
	*hva = (unsigned long)s->mem + (gpa - s->gpa);
	*run = s->len - (gpa - s->gpa);		/* often more than was asked for */
	(void)len;
	return 0;
}

static bool overlaps(u64 a, u64 alen, u64 b, u64 blen)
{
	return a < b + blen && b < a + alen;
}

static int access_at(unsigned long hva, size_t len, bool store)
{
	u64 gpa = fake_gpa(fake, hva, len);

	if (gpa == ~0ULL) {
		fake->wrong = "access outside of memory";
		return -EFAULT;
	}
	if (fake->undirtied_len)
		fake->wrong = "store not reported as dirty";
	if (fake->fail_len && overlaps(gpa, len, fake->fail_gpa, fake->fail_len))
		return -EFAULT;
	if (store) {
		fake->stores++;
		if (slot_of(fake, gpa)->readonly)
			fake->wrong = "store to read-only memory";
		fake->undirtied_gpa = gpa;
		fake->undirtied_len = len;
	} else {
		fake->loads++;
	}
	if (fake->watch_len && overlaps(gpa, len, fake->watch_gpa, fake->watch_len)) {
		if (store)
			fake->watch_stores++;
		else
			fake->watch_loads++;
	}
	return 0;
}

static void loaded(unsigned long hva, size_t len)
{
	if (fake->after_load)
		fake->after_load(fake, fake_gpa(fake, hva, len), len);
}

int vq_mem_load(void *to, unsigned long hva, size_t len)
{
	if (access_at(hva, len, false))
		return -EFAULT;
	memcpy(to, (void *)hva, len);
	loaded(hva, len);
	return 0;
}

int vq_mem_store(unsigned long hva, const void *from, size_t len)
{
	/* the two halves of a used element that lies across slots are reported as one */
	if (fake->undirtied_len == 4 && len == 4)
		fake->undirtied_len = 0;
	if (access_at(hva, len, true))
		return -EFAULT;
	memcpy((void *)hva, from, len);
	return 0;
}

int vq_mem_load16(__le16 *to, unsigned long hva)
{
	if (hva & 1)
		fake->wrong = "torn 16-bit load";
	return vq_mem_load(to, hva, sizeof(*to));
}

int vq_mem_store16(unsigned long hva, __le16 value)
{
	if (hva & 1)
		fake->wrong = "torn 16-bit store";
	return vq_mem_store(hva, &value, sizeof(value));
}

void vq_mem_dirty(void *mem, u64 gpa, u64 len)
{
	struct fake *f = mem;

	if (gpa <= f->undirtied_gpa && gpa + len >= f->undirtied_gpa + f->undirtied_len)
		f->undirtied_len = 0;
}

/* ---- the driver ---- */

void ring_init(struct ring *r, u16 size, u64 features)
{
	memset(r, 0, sizeof(*r));
	fake_init(&r->mem);
	fake_add(&r->mem, RING_GPA, 0x30000, false);
	fake_add(&r->mem, DATA_GPA, DATA_LEN, false);
	fake_add(&r->mem, RO_GPA, RO_LEN, true);
	r->features = features;
	r->cfg.size = size;
	r->cfg.desc = RING_GPA;
	r->cfg.avail = RING_GPA + 0x10000;
	r->cfg.used = RING_GPA + 0x20000;
	r->chain.seg = calloc(VQ_MAX_SEGS(size), sizeof(*r->chain.seg));
	ring_restart(r);
}

void ring_reuse(struct ring *r, u16 size, u64 features)
{
	fake_verdict(&r->mem);
	r->mem.after_load = NULL;
	r->mem.generation++;
	r->features = features;
	r->cfg.size = size;
	free(r->chain.seg);
	r->chain.seg = calloc(VQ_MAX_SEGS(size), sizeof(*r->chain.seg));
	ring_restart(r);
}

void ring_restart(struct ring *r)
{
	EXPECT_EQ(vq_check_config(&r->cfg), 0);
	r->avail_idx = r->cfg.next_avail;
	vq_start(&r->vq, &r->mem, &r->cfg, r->features);
}

void ring_exit(struct ring *r)
{
	free(r->chain.seg);
	fake_exit(&r->mem);
}

/* The driver's own accesses go byte by byte: an area may lie across slots. */
static void put_bytes(struct ring *r, u64 gpa, const void *from, size_t len)
{
	const u8 *b = from;

	for (; len; len--)
		*(u8 *)fake_at(&r->mem, gpa++, 1) = *b++;
}

static void get_bytes(struct ring *r, u64 gpa, void *to, size_t len)
{
	u8 *b = to;

	for (; len; len--)
		*b++ = *(u8 *)fake_at(&r->mem, gpa++, 1);
}

static void put16(struct ring *r, u64 gpa, u16 value)
{
	__le16 raw = cpu_to_le16(value);

	put_bytes(r, gpa, &raw, sizeof(raw));
}

static u16 get16(struct ring *r, u64 gpa)
{
	__le16 raw;

	get_bytes(r, gpa, &raw, sizeof(raw));
	return le16_to_cpu(raw);
}

static u32 get32(struct ring *r, u64 gpa)
{
	__le32 raw;

	get_bytes(r, gpa, &raw, sizeof(raw));
	return le32_to_cpu(raw);
}

void table_desc(struct ring *r, u64 table, u16 i, u64 addr, u32 len, u16 flags, u16 next)
{
	__le64 raw_addr = cpu_to_le64(addr);
	__le32 raw_len = cpu_to_le32(len);

	table += 16ULL * i;
	put_bytes(r, table, &raw_addr, 8);
	put_bytes(r, table + 8, &raw_len, 4);
	put16(r, table + 12, flags);
	put16(r, table + 14, next);
}

void ring_desc(struct ring *r, u16 i, u64 addr, u32 len, u16 flags, u16 next)
{
	table_desc(r, r->cfg.desc, i, addr, len, flags, next);
}

void ring_set_avail(struct ring *r, u16 idx)
{
	r->avail_idx = idx;
	put16(r, r->cfg.avail + 2, idx);
}

void ring_offer(struct ring *r, u16 head)
{
	put16(r, r->cfg.avail + 4 + 2ULL * (r->avail_idx % r->cfg.size), head);
	ring_set_avail(r, r->avail_idx + 1);
}

void ring_set_used_event(struct ring *r, u16 idx)
{
	put16(r, r->cfg.avail + 4 + 2ULL * r->cfg.size, idx);
}

void ring_set_avail_flags(struct ring *r, u16 flags)
{
	put16(r, r->cfg.avail, flags);
}

u16 ring_used_idx(struct ring *r)
{
	return get16(r, r->cfg.used + 2);
}

u16 ring_used_flags(struct ring *r)
{
	return get16(r, r->cfg.used);
}

u16 ring_avail_event(struct ring *r)
{
	return get16(r, r->cfg.used + 4 + 8ULL * r->cfg.size);
}

u32 ring_used_id(struct ring *r, u16 idx)
{
	return get32(r, r->cfg.used + 4 + 8ULL * (idx % r->cfg.size));
}

u32 ring_used_len(struct ring *r, u16 idx)
{
	return get32(r, r->cfg.used + 8 + 8ULL * (idx % r->cfg.size));
}

/* xorshift64* */
u64 rnd_next(u64 *state)
{
	u64 x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

UNIT_MAIN()
