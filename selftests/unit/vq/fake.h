/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory in slots, each an allocation of its own so that ASan sees an access beside it, and
 * the driver's side of a ring.
 *
 * The ring engine runs unchanged on it. What is watched: every access lies in a slot, every store
 * in a writable one, and is reported as dirty.
 */
#ifndef VQ_FAKE_H
#define VQ_FAKE_H

#include "../../virtio-backends/vq.h"

#define FAKE_MAX_SLOTS	8

struct fake_slot {
	u64 gpa;
	u64 len;
	bool readonly;
	u8 *mem;
};

struct fake {
	struct fake_slot slot[FAKE_MAX_SLOTS];
	unsigned int nr;
	u64 generation;
	/* called after each load with the place; may change memory, as another vCPU would */
	void (*after_load)(struct fake *f, u64 gpa, size_t len);
	/* accesses to [fail_gpa, fail_gpa + fail_len) fail, as after munmap */
	u64 fail_gpa;
	u64 fail_len;
	u64 translations;
	u64 loads;
	u64 stores;
	/* stores to and loads from one watched range */
	u64 watch_gpa;
	u64 watch_len;
	u64 watch_loads;
	u64 watch_stores;
	/* the last store, until vq_mem_dirty() covers it */
	u64 undirtied_gpa;
	u64 undirtied_len;
	/* an access that no honest engine makes */
	const char *wrong;
};

/* one at a time: host addresses say nothing about whose they are */
extern struct fake *fake;

void fake_init(struct fake *f);
void fake_exit(struct fake *f);
void fake_add(struct fake *f, u64 gpa, u64 len, bool readonly);
/* another place in this process, the contents stay: what a slot change does */
void fake_move(struct fake *f, unsigned int slot);
void *fake_at(struct fake *f, u64 gpa, u64 len);
/* the guest address of a host address, or ~0 */
u64 fake_gpa(struct fake *f, unsigned long hva, size_t len);

/* ---- the driver ---- */

#define RING_GPA	0x10000ULL	/* where ring_init() puts the areas, 64 KiB apart */
#define DATA_GPA	0x100000ULL	/* and a slot for buffers */
#define DATA_LEN	0x100000ULL
#define RO_GPA		0x300000ULL	/* read-only slot */
#define RO_LEN		0x10000ULL
#define HOLE_GPA	0x500000ULL	/* no memory */

struct ring {
	struct fake mem;
	struct vq vq;
	struct vmm_dev_queue cfg;
	struct vq_chain chain;
	u64 features;
	u16 avail_idx;
};

/* a ring of @size with memory around it; the queue is started */
void ring_init(struct ring *r, u16 size, u64 features);
void ring_restart(struct ring *r);
void ring_exit(struct ring *r);
/* another ring in the same memory, whose contents stay: cheaper than ring_exit() and ring_init() */
void ring_reuse(struct ring *r, u16 size, u64 features);

void ring_desc(struct ring *r, u16 i, u64 addr, u32 len, u16 flags, u16 next);
void table_desc(struct ring *r, u64 table, u16 i, u64 addr, u32 len, u16 flags, u16 next);
void ring_offer(struct ring *r, u16 head);	/* makes a chain available */
void ring_set_avail(struct ring *r, u16 idx);
void ring_set_used_event(struct ring *r, u16 idx);
void ring_set_avail_flags(struct ring *r, u16 flags);
u16 ring_used_idx(struct ring *r);
u16 ring_used_flags(struct ring *r);
u16 ring_avail_event(struct ring *r);
u32 ring_used_id(struct ring *r, u16 idx);
u32 ring_used_len(struct ring *r, u16 idx);

#define F_BASE		BIT_ULL(VIRTIO_F_VERSION_1)
#define F_INDIRECT	BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC)
#define F_EVENT		BIT_ULL(VIRTIO_RING_F_EVENT_IDX)

#define D_NEXT		VRING_DESC_F_NEXT
#define D_WRITE		VRING_DESC_F_WRITE
#define D_INDIRECT	VRING_DESC_F_INDIRECT

/* reproducible random numbers */
u64 rnd_next(u64 *state);

#endif
