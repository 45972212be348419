// SPDX-License-Identifier: GPL-2.0
/*
 * Split virtqueues, device side (virtio 1.2, 2.7).
 *
 *	driver area (avail)		device area (used)
 *	  0  flags			  0  flags
 *	  2  idx			  2  idx
 *	  4  ring[size], 2 bytes each	  4  ring[size], 8 bytes each: id, len
 *	  +  used_event			  +  avail_event
 *
 * Four barriers order us against the driver, which runs on other processors meanwhile:
 *
 *	take	read avail.idx, RMB, read ring and descriptors
 *		pairs with the driver's write barrier before it moves avail.idx (2.7.13.3)
 *	publish	write used elements, WMB, write used.idx
 *		pairs with the driver's read barrier after it read used.idx
 *	signal	write used.idx, MB, read used_event or avail.flags
 *		pairs with the driver's barrier between enabling interrupts and looking at used.idx
 *		again (2.7.7): one of the two sees the other's write
 *	arm	write avail_event or used.flags, MB, read avail.idx
 *		pairs with the driver's barrier between moving avail.idx and deciding whether to
 *		notify (2.7.13.4)
 */
#include "vq.h"

#define RING_FLAGS	0
#define RING_IDX	2
#define RING_ENTRIES	4

struct vq_desc {
	__le64 addr;
	__le32 len;
	__le16 flags;
	__le16 next;
};

struct vq_used_elem {
	__le32 id;
	__le32 len;
};

/**
 * vq_violation() - record that the driver broke a rule
 * @vq: the queue
 * @error: which; a backend says VMM_VQ_LENGTH here
 *
 * Return: -EPROTO. The queue does nothing any more until vq_start().
 */
int vq_violation(struct vq *vq, enum vmm_vq_error error)
{
	if (!vq->error)
		vq->error = error;
	return -EPROTO;
}

/* ---- areas of guest memory ---- */

/* Looks up [gpa, gpa + len); not 0: some of it is not there, or not writable. */
static int area_map(struct vq *vq, struct vq_area *area, u64 gpa, u64 len, bool write)
{
	unsigned long hva;
	u64 done, run;

	if (gpa + len < gpa)
		return -EFAULT;
	area->gpa = gpa;
	area->len = len;
	area->linear = false;
	for (done = 0; done < len; done += run) {
		if (vq_mem_translate(vq->mem, gpa + done, len - done, write, &hva, &run) || !run)
			return -EFAULT;
		if (!done && run >= len) {
			area->hva = hva;
			area->linear = true;
			return 0;
		}
	}
	return 0;
}

static int area_load(struct vq *vq, const struct vq_area *area, u64 offset, void *to, size_t len)
{
	unsigned long hva;
	u64 run;

	if (area->linear)
		return vq_mem_load(to, area->hva + offset, len);
	while (len) {
		if (vq_mem_translate(vq->mem, area->gpa + offset, len, false, &hva, &run) || !run)
			return -EFAULT;
		run = min_t(u64, run, len);
		if (vq_mem_load(to, hva, run))
			return -EFAULT;
		to += run;
		offset += run;
		len -= run;
	}
	return 0;
}

/* For ring fields: aligned, so never across the border of two slots. */
static int area_hva(struct vq *vq, const struct vq_area *area, u64 offset, size_t len, bool write,
		    unsigned long *hva)
{
	u64 run;

	if (area->linear) {
		*hva = area->hva + offset;
		return 0;
	}
	if (vq_mem_translate(vq->mem, area->gpa + offset, len, write, hva, &run) || run < len)
		return -EFAULT;
	return 0;
}

static int ring_load16(struct vq *vq, const struct vq_area *area, u64 offset, u16 *value)
{
	unsigned long hva;
	__le16 raw;

	if (area_hva(vq, area, offset, sizeof(raw), false, &hva) || vq_mem_load16(&raw, hva))
		return vq_violation(vq, VMM_VQ_RING_ADDRESS);
	*value = le16_to_cpu(raw);
	return 0;
}

static int ring_store16(struct vq *vq, const struct vq_area *area, u64 offset, u16 value)
{
	unsigned long hva;

	if (area_hva(vq, area, offset, sizeof(value), true, &hva) ||
	    vq_mem_store16(hva, cpu_to_le16(value)))
		return vq_violation(vq, VMM_VQ_RING_ADDRESS);
	vq_mem_dirty(vq->mem, area->gpa + offset, sizeof(value));
	return 0;
}

static u64 used_event_offset(const struct vq *vq)
{
	return RING_ENTRIES + sizeof(__le16) * (u64)vq->size;
}

static u64 avail_event_offset(const struct vq *vq)
{
	return RING_ENTRIES + sizeof(struct vq_used_elem) * (u64)vq->size;
}

/* Every entry point begins here: is the queue alive, and do the translations still hold? */
static int vq_refresh(struct vq *vq)
{
	u64 generation, event = vq->event_idx ? sizeof(__le16) : 0;

	if (vq->error)
		return -EPROTO;
	generation = vq_mem_generation(vq->mem);
	if (vq->cached && vq->generation == generation)
		return 0;
	if (area_map(vq, &vq->desc, vq->desc.gpa, sizeof(struct vq_desc) * (u64)vq->size, false) ||
	    area_map(vq, &vq->avail, vq->avail.gpa, used_event_offset(vq) + event, false) ||
	    area_map(vq, &vq->used, vq->used.gpa, avail_event_offset(vq) + event, true))
		return vq_violation(vq, VMM_VQ_RING_ADDRESS);
	vq->generation = generation;
	vq->cached = true;
	return 0;
}

/* ---- life ---- */

/**
 * vq_check_config() - is a queue's place and size possible at all (virtio 1.2, 2.7)
 * @cfg: as given
 *
 * Whether the addresses are guest memory is seen when they are used: the driver may be wrong
 * about it, and memory may come later.
 *
 * Return: 0 or -EINVAL.
 */
int vq_check_config(const struct vmm_dev_queue *cfg)
{
	if (!cfg->size)
		return 0;
	if (cfg->size > VMM_DEV_MAX_QUEUE_SIZE || cfg->size & (cfg->size - 1))
		return -EINVAL;
	if (cfg->desc & 15 || cfg->avail & 1 || cfg->used & 3)
		return -EINVAL;
	return 0;
}

/**
 * vq_start() - make a queue ready to serve
 * @vq: the queue
 * @mem: its memory
 * @cfg: size, addresses and indexes, checked by vq_check_config(), size not 0
 * @features: what was agreed on
 */
void vq_start(struct vq *vq, void *mem, const struct vmm_dev_queue *cfg, u64 features)
{
	memset(vq, 0, sizeof(*vq));
	vq->mem = mem;
	vq->size = cfg->size;
	vq->event_idx = features & (1ULL << VIRTIO_RING_F_EVENT_IDX);
	vq->indirect = features & (1ULL << VIRTIO_RING_F_INDIRECT_DESC);
	vq->desc.gpa = cfg->desc;
	vq->avail.gpa = cfg->avail;
	vq->used.gpa = cfg->used;
	vq->avail_idx = cfg->next_avail;
	vq->next_avail = cfg->next_avail;
	vq->next_used = cfg->next_used;
	vq->published = cfg->next_used;
}

/* ---- taking chains ---- */

/* Reads avail.idx. Return: 1 = there is something to take, 0, or -EPROTO. */
static int avail_read(struct vq *vq)
{
	u16 idx;

	if (ring_load16(vq, &vq->avail, RING_IDX, &idx))
		return -EPROTO;
	if ((u16)(idx - vq->next_avail) > vq->size)
		return vq_violation(vq, VMM_VQ_AVAIL_JUMP);
	vq->avail_idx = idx;
	smp_rmb();	/* "take" above */
	return idx != vq->next_avail;
}

/* Adds the buffer [gpa, gpa + len), cut where host memory is not contiguous. */
static int chain_add(struct vq *vq, struct vq_chain *chain, u64 gpa, u32 len, bool write)
{
	const unsigned int max = VQ_MAX_SEGS(vq->size);
	struct vq_seg *seg;
	unsigned long hva;
	u64 run;

	if ((u64)chain->out_len + chain->in_len + len > U32_MAX)
		return vq_violation(vq, VMM_VQ_LENGTH);
	if (gpa + len < gpa)
		return vq_violation(vq, VMM_VQ_BUFFER);
	if (write)
		chain->in_len += len;
	else
		chain->out_len += len;
	while (len) {
		if (vq_mem_translate(vq->mem, gpa, len, write, &hva, &run) || !run ||
		    chain->nr_out + chain->nr_in == max)
			return vq_violation(vq, VMM_VQ_BUFFER);
		run = min_t(u64, run, len);
		seg = &chain->seg[chain->nr_out + chain->nr_in];
		seg->gpa = gpa;
		seg->hva = hva;
		seg->len = run;
		if (write)
			chain->nr_in++;
		else
			chain->nr_out++;
		gpa += run;
		len -= run;
	}
	return 0;
}

/* A descriptor that stands for a table of @nr entries (2.7.5.3). WRITE means nothing here. */
static int indirect_map(struct vq *vq, const struct vq_desc *desc, struct vq_area *table,
			unsigned int *nr)
{
	u32 len = le32_to_cpu(desc->len);

	if (!vq->indirect)
		return vq_violation(vq, VMM_VQ_INDIRECT_OFF);
	if (le16_to_cpu(desc->flags) & VRING_DESC_F_NEXT)
		return vq_violation(vq, VMM_VQ_INDIRECT);
	if (!len || len % sizeof(*desc) || len / sizeof(*desc) > vq->size)
		return vq_violation(vq, VMM_VQ_INDIRECT);
	if (area_map(vq, table, le64_to_cpu(desc->addr), len, false))
		return vq_violation(vq, VMM_VQ_BUFFER);
	*nr = len / sizeof(*desc);
	return 0;
}

/*
 * Copies and checks the chain that starts at @head: descriptors of the ring, the last of which may
 * name an indirect table. A chain has at most as many descriptors as the queue, so a loop ends.
 */
static int chain_walk(struct vq *vq, u16 head, struct vq_chain *chain)
{
	struct vq_area table = vq->desc;
	unsigned int nr = vq->size, left = vq->size, i = head;
	bool indirect = false, writable = false;
	struct vq_desc desc;
	u16 flags;

	for (;;) {
		if (!left)
			return vq_violation(vq, VMM_VQ_CHAIN_LONG);
		i = array_index_nospec(i, nr);
		if (area_load(vq, &table, i * sizeof(desc), &desc, sizeof(desc)))
			return vq_violation(vq, indirect ? VMM_VQ_BUFFER : VMM_VQ_RING_ADDRESS);
		flags = le16_to_cpu(desc.flags);

		if (flags & VRING_DESC_F_INDIRECT) {
			if (indirect)
				return vq_violation(vq, VMM_VQ_INDIRECT);
			if (indirect_map(vq, &desc, &table, &nr))
				return -EPROTO;
			indirect = true;
			i = 0;
			continue;
		}

		if (flags & VRING_DESC_F_WRITE)
			writable = true;
		else if (writable)
			return vq_violation(vq, VMM_VQ_ORDER);
		if (chain_add(vq, chain, le64_to_cpu(desc.addr), le32_to_cpu(desc.len), writable))
			return -EPROTO;
		left--;

		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		i = le16_to_cpu(desc.next);
		if (i >= nr)
			return vq_violation(vq, VMM_VQ_NEXT_RANGE);
	}
}

/**
 * vq_next() - take the next available chain
 * @vq: the queue
 * @chain: is filled; chain->seg is given
 *
 * The caller owes a vq_put() for it, or a vq_unget().
 *
 * Return: 1 = taken, 0 = there is none, -EPROTO = the driver broke a rule, see vq->error.
 */
int vq_next(struct vq *vq, struct vq_chain *chain)
{
	u16 head;
	int ret;

	if (vq_refresh(vq))
		return -EPROTO;
	if (vq->avail_idx == vq->next_avail) {
		ret = avail_read(vq);
		if (ret <= 0)
			return ret;
	}
	if (ring_load16(vq, &vq->avail, RING_ENTRIES +
			sizeof(head) * (vq->next_avail & (vq->size - 1)), &head))
		return -EPROTO;
	if (head >= vq->size)
		return vq_violation(vq, VMM_VQ_HEAD_RANGE);
	chain->head = array_index_nospec(head, vq->size);
	chain->nr_out = 0;
	chain->nr_in = 0;
	chain->out_len = 0;
	chain->in_len = 0;
	ret = chain_walk(vq, chain->head, chain);
	if (ret)
		return ret;
	vq->next_avail++;
	return 1;
}

/**
 * vq_unget() - put back the chain that vq_next() gave last
 * @vq: the queue; the chain must not have been put
 *
 * The next vq_next() reads it anew: the driver may have changed it, so nothing of the old copy may
 * be relied on.
 */
void vq_unget(struct vq *vq)
{
	vq->next_avail--;
}

/**
 * vq_chain_read() - copy out of a chain's readable part
 * @vq: the queue
 * @chain: from vq_next(), in the same SRCU section
 * @offset: where in the readable bytes
 * @to: buffer
 * @len: bytes; @offset + @len must not exceed chain->out_len
 *
 * Return: 0, or -EPROTO if the process took the memory away.
 */
int vq_chain_read(struct vq *vq, const struct vq_chain *chain, u32 offset, void *to, u32 len)
{
	const struct vq_seg *seg = chain->seg, *end = seg + chain->nr_out;
	u32 n;

	for (; len && seg < end; seg++) {
		if (offset >= seg->len) {
			offset -= seg->len;
			continue;
		}
		n = min(seg->len - offset, len);
		if (vq_mem_load(to, seg->hva + offset, n))
			return vq_violation(vq, VMM_VQ_BUFFER);
		offset = 0;
		to += n;
		len -= n;
	}
	return 0;
}

/* ---- giving chains back ---- */

/**
 * vq_put() - fill the next used entry; the driver does not see it before vq_publish()
 * @vq: the queue
 * @head: of the chain
 * @written: bytes that the device wrote into the chain's writable part
 *
 * Return: 0 or -EPROTO.
 */
int vq_put(struct vq *vq, u16 head, u32 written)
{
	struct vq_used_elem elem = { cpu_to_le32(head), cpu_to_le32(written) };
	unsigned long hva;
	u64 offset;

	if (vq_refresh(vq))
		return -EPROTO;
	offset = RING_ENTRIES + sizeof(elem) * (u64)(vq->next_used & (vq->size - 1));
	/* entries are 4-byte aligned and 8 long: the area may be in two pieces just here */
	if (vq->used.linear) {
		if (vq_mem_store(vq->used.hva + offset, &elem, sizeof(elem)))
			return vq_violation(vq, VMM_VQ_RING_ADDRESS);
	} else if (area_hva(vq, &vq->used, offset, 4, true, &hva) ||
		   vq_mem_store(hva, &elem.id, 4) ||
		   area_hva(vq, &vq->used, offset + 4, 4, true, &hva) ||
		   vq_mem_store(hva, &elem.len, 4)) {
		return vq_violation(vq, VMM_VQ_RING_ADDRESS);
	}
	vq_mem_dirty(vq->mem, vq->used.gpa + offset, sizeof(elem));
	vq->next_used++;
	return 0;
}

/**
 * vq_publish() - let the driver see all used entries so far, by one write of the index
 * @vq: the queue
 *
 * Return: 1 = the driver wants an interrupt for them, 0 = it does not, or there were none, or
 * -EPROTO.
 */
int vq_publish(struct vq *vq)
{
	bool was_valid = vq->signalled_valid;
	u16 old = vq->signalled, value;

	if (vq->published == vq->next_used)
		return 0;
	if (vq_refresh(vq))
		return -EPROTO;
	smp_wmb();	/* "publish" above */
	if (ring_store16(vq, &vq->used, RING_IDX, vq->next_used))
		return -EPROTO;
	vq->published = vq->next_used;

	smp_mb();	/* "signal" above */
	if (!vq->event_idx) {
		if (ring_load16(vq, &vq->avail, RING_FLAGS, &value))
			return -EPROTO;
		return !(value & VRING_AVAIL_F_NO_INTERRUPT);
	}
	if (ring_load16(vq, &vq->avail, used_event_offset(vq), &value))
		return -EPROTO;
	vq->signalled = vq->published;
	vq->signalled_valid = true;
	return !was_valid || vring_need_event(value, vq->published, old);
}

/* ---- notifications ---- */

/* With the event index the flags are always 0 (2.7.10); they are written where they may not be. */
static int notify_flags(struct vq *vq, bool on)
{
	const bool flag = !on && !vq->event_idx;

	if (vq->notify == (flag ? VQ_NOTIFY_OFF : VQ_NOTIFY_ON))
		return 0;
	if (ring_store16(vq, &vq->used, RING_FLAGS, flag ? VRING_USED_F_NO_NOTIFY : 0))
		return -EPROTO;
	vq->notify = flag ? VQ_NOTIFY_OFF : VQ_NOTIFY_ON;
	return 0;
}

/**
 * vq_notify_off() - tell the driver that notifications are not needed now
 * @vq: the queue
 *
 * With the event index there is nothing to tell: avail_event stays at an entry that was taken, so
 * the driver notifies once when it comes around to it, after 65536 entries, and that does no harm.
 *
 * Return: 0 or -EPROTO.
 */
int vq_notify_off(struct vq *vq)
{
	if (vq_refresh(vq))
		return -EPROTO;
	return notify_flags(vq, false);
}

/**
 * vq_notify_on() - ask for a notification when the next chain comes
 * @vq: the queue
 *
 * Return: 0 = wait for it, 1 = there is a chain already and perhaps no notification: take it,
 * -EPROTO.
 */
int vq_notify_on(struct vq *vq)
{
	if (vq_refresh(vq) || notify_flags(vq, true))
		return -EPROTO;
	if (vq->event_idx && ring_store16(vq, &vq->used, avail_event_offset(vq), vq->next_avail))
		return -EPROTO;
	smp_mb();	/* "arm" above */
	return avail_read(vq);
}
