// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of a virtio block driver; see blk.h.
 */
#include "blk.h"

void t_blk_desc(struct t_vq *q, unsigned int n, uint64_t addr, uint32_t len, uint16_t flags,
		uint16_t next)
{
	q->desc[n] = (struct vq_desc){ addr, len, flags, next };
}

void t_blk_request(struct t_vq *q, unsigned int first, uint32_t type, uint64_t sector,
		   uint64_t buf, uint32_t len)
{
	uint64_t head = T_BLK_HEAD + 16 * first, status = T_BLK_STATUS + first;
	uint32_t h[4] = { type, 0, (uint32_t)sector, (uint32_t)(sector >> 32) };
	unsigned int n = first;
	bool in = type == BLK_IN || type == BLK_GET_ID;

	t_load(q->vm, head, h, 16);
	*(uint8_t *)t_gpa(q->vm, status, 1) = T_BLK_NO_STATUS;
	t_blk_desc(q, n, head, 16, VQ_NEXT, n + 1);
	n++;
	if (len) {
		t_blk_desc(q, n, buf, len, VQ_NEXT | (in ? VQ_WRITE : 0), n + 1);
		n++;
	}
	t_blk_desc(q, n, status, 1, VQ_WRITE, 0);
}

int t_blk_status(struct t_vm *vm, unsigned int first)
{
	return *(volatile uint8_t *)t_gpa(vm, T_BLK_STATUS + first, 1);
}

int t_blk_one(struct t_dev *d, uint32_t type, uint64_t sector, uint64_t buf, uint32_t len,
	      uint32_t *used_len)
{
	struct t_vq *q = &d->vq[0];

	t_blk_request(q, 0, type, sector, buf, len);
	t_vq_add(q, 0);
	t_vq_notify(d, 0);
	if (!t_vq_wait(q, 1, 20000))
		return 0x100;
	if (t_vq_used(q, used_len) != 0)
		return 0x101;
	return t_blk_status(q->vm, 0);
}
