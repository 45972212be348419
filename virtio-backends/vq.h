/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device side of a split virtqueue (virtio 1.2, 2.7), for all backends.
 *
 * The driver is hostile. Every value is read once and checked after that; the first rule that the
 * driver breaks is kept in vq->error, and from then on nothing of the queue is touched any more.
 *
 * Context of all functions: the caller serializes them per queue, runs in the VM's address space,
 * and holds vm->srcu for reading (see vq_mem.h). They may sleep. What they return of host
 * addresses is valid as user memory for ever and as the guest's memory until vm->srcu is dropped.
 */
#ifndef VIRTIO_BACKENDS_VQ_H
#define VIRTIO_BACKENDS_VQ_H

#ifdef __KERNEL__
#include "vq_mem.h"
#else
#include "vq_mem_user.h"
#endif

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/vmm_virtio.h>

/* feature bits that the engine itself serves */
#define VQ_FEATURES	(BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | \
			 BIT_ULL(VIRTIO_RING_F_EVENT_IDX))

/*
 * Segments that a chain can need: one a descriptor, and one more for each border between memory
 * slots that lies inside a buffer. Buffers of an honest driver do not overlap.
 */
#define VQ_MAX_SEGS(size)	((size) + VMM_MAX_MEM_REGIONS)

/**
 * struct vq_seg - part of a chain that is contiguous in guest and in host memory
 * @gpa: guest physical address
 * @hva: address in the VM's process
 * @len: bytes, never 0
 */
struct vq_seg {
	u64 gpa;
	unsigned long hva;
	u32 len;
};

/**
 * struct vq_chain - a descriptor chain, copied and checked
 * @seg: segments: first @nr_out that the device reads, then @nr_in that it writes; given by the
 *	caller of vq_next(), VQ_MAX_SEGS(queue size) of them
 * @nr_out: readable segments
 * @nr_in: writable segments
 * @out_len: bytes in readable segments
 * @in_len: bytes in writable segments; the sum with @out_len fits in 32 bits
 * @head: index of the first descriptor, for vq_put()
 */
struct vq_chain {
	struct vq_seg *seg;
	unsigned int nr_out;
	unsigned int nr_in;
	u32 out_len;
	u32 in_len;
	u16 head;
};

/**
 * struct vq_area - a range of guest memory, looked up
 * @gpa: start
 * @len: bytes; the whole of it is guest memory
 * @hva: where it is in the VM's process, if @linear
 * @linear: it is in one piece; if not, each access is translated
 */
struct vq_area {
	u64 gpa;
	u64 len;
	unsigned long hva;
	bool linear;
};

/**
 * struct vq - a queue; all fields belong to whom the caller lets use the queue
 * @mem: whose memory; a struct vmm_vm in the kernel
 * @size: descriptors, a power of two
 * @event_idx: VIRTIO_RING_F_EVENT_IDX was agreed on
 * @indirect: VIRTIO_RING_F_INDIRECT_DESC was agreed on
 * @cached: @generation and the areas' translations are set
 * @generation: of the memory slots when the areas were translated
 * @desc: descriptor table
 * @avail: driver area: flags, idx, ring[@size], used_event
 * @used: device area: flags, idx, ring[@size], avail_event
 * @avail_idx: the driver's index as last read
 * @next_avail: next available entry to take
 * @next_used: next used entry to fill
 * @published: used index that the driver can see
 * @signalled: @published when an interrupt was last considered
 * @signalled_valid: @signalled is of this life of the queue
 * @notify: what used.flags says now
 * @error: first rule that was broken
 */
struct vq {
	void *mem;
	u16 size;
	bool event_idx;
	bool indirect;
	bool cached;
	u64 generation;
	struct vq_area desc;
	struct vq_area avail;
	struct vq_area used;
	u16 avail_idx;
	u16 next_avail;
	u16 next_used;
	u16 published;
	u16 signalled;
	bool signalled_valid;
	enum { VQ_NOTIFY_UNKNOWN, VQ_NOTIFY_OFF, VQ_NOTIFY_ON } notify;
	enum vmm_vq_error error;
};

int vq_check_config(const struct vmm_dev_queue *cfg);
void vq_start(struct vq *vq, void *mem, const struct vmm_dev_queue *cfg, u64 features);
int vq_violation(struct vq *vq, enum vmm_vq_error error);

int vq_next(struct vq *vq, struct vq_chain *chain);
void vq_unget(struct vq *vq);
int vq_chain_read(struct vq *vq, const struct vq_chain *chain, u32 offset, void *to, u32 len);

int vq_put(struct vq *vq, u16 head, u32 written);
int vq_publish(struct vq *vq);

int vq_notify_off(struct vq *vq);
int vq_notify_on(struct vq *vq);

#endif /* VIRTIO_BACKENDS_VQ_H */
