/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests of a virtio block driver (virtio 1.2, 5.2.6), played by the test.
 */
#ifndef VMMTEST_BLK_H
#define VMMTEST_BLK_H

#include "vq.h"

#define BLK_IN		0
#define BLK_OUT		1
#define BLK_FLUSH	4
#define BLK_GET_ID	8

/* where headers and status bytes lie: those of the request at descriptor n at + 16 * n and + n */
#define T_BLK_STATUS	0xa80000ull
#define T_BLK_HEAD	0xa90000ull

#define T_BLK_NO_STATUS	0xee	/* what a status byte is before the device wrote it */

void t_blk_desc(struct t_vq *q, unsigned int n, uint64_t addr, uint32_t len, uint16_t flags,
		uint16_t next);
/* a request at descriptor @first: header, @len bytes at @buf (if any), status */
void t_blk_request(struct t_vq *q, unsigned int first, uint32_t type, uint64_t sector,
		   uint64_t buf, uint32_t len);
int t_blk_status(struct t_vm *vm, unsigned int first);
/* one request to its end, from descriptor 0: its status; 0x100 and above: it did not end well */
int t_blk_one(struct t_dev *d, uint32_t type, uint64_t sector, uint64_t buf, uint32_t len,
	      uint32_t *used_len);

#endif /* VMMTEST_BLK_H */
