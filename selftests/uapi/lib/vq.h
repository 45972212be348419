/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver's side of a virtio device, played by the test: rings in guest memory (virtio 1.2,
 * 2.7), requests, threads lent to the device.
 */
#ifndef VMMTEST_VQ_H
#define VMMTEST_VQ_H

#include "vmmtest.h"

#define VQ_NEXT		1
#define VQ_WRITE	2
#define VQ_INDIRECT	4

#define F_INDIRECT	(1ull << 28)
#define F_EVENT_IDX	(1ull << 29)
#define F_VERSION_1	(1ull << 32)
#define F_BLK_RO	(1ull << 5)
#define F_BLK_FLUSH	(1ull << 9)
#define F_BLK_MQ	(1ull << 12)

struct vq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/**
 * struct t_vq - a split ring
 * @vm: whose memory it lies in
 * @index: queue number
 * @size: descriptors
 * @desc_gpa, @avail_gpa, @used_gpa: where its parts lie
 * @desc: descriptor table
 * @avail: flags, idx, ring[size], used_event
 * @used: flags, idx, { id, len }[size], avail_event; as 16-bit words
 * @avail_idx: what the driver has made available
 * @used_idx: what the driver has seen used
 */
struct t_vq {
	struct t_vm *vm;
	unsigned int index;
	unsigned int size;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	struct vq_desc *desc;
	volatile uint16_t *avail;
	volatile uint16_t *used;
	uint16_t avail_idx;
	uint16_t used_idx;
};

/**
 * struct t_dev - a device, its queues and the threads lent to it
 * @v: the vCPU that notifies
 * @fd: its file
 * @port: notifications
 * @intx: eventfd of interrupts while MSI-X is off
 */
struct t_dev {
	struct t_vcpu *v;
	int fd;
	uint16_t port;
	int intx;
	struct t_vq vq[4];
	unsigned int queues;
	struct t_worker {
		struct t_dev *dev;
		unsigned long id;
		uint32_t role, index;
		volatile int result;
		volatile bool ended;
	} worker[8];
	unsigned int workers;
};

struct t_dev *t_dev_new(struct t_vcpu *v, uint32_t type);
void t_vq_init(struct t_vq *q, struct t_vm *vm, unsigned int index, unsigned int size, uint64_t gpa,
	       uint16_t start);
int t_vq_set(struct t_dev *d, unsigned int index);	/* VMM_DEV_SET_QUEUE */
/* SETUP to RUNNING, with threads; queue 0 of that size, its rings at T_RING, its indexes starting
 * there */
#define T_RING		0xa00000ull
void t_dev_prepare(struct t_dev *d, uint64_t features, unsigned int size, uint16_t start);
void t_dev_go(struct t_dev *d);
uint32_t t_dev_state(struct t_dev *d);
void t_dev_work(struct t_dev *d, uint32_t role, uint32_t index);
void t_dev_quit(struct t_dev *d);	/* QUIT, and joins the threads */
void t_vq_add(struct t_vq *q, uint16_t head);	/* makes a chain available */
void t_vq_notify(struct t_dev *d,
		 unsigned int index); /* the guest writes to the notification port */
bool t_vq_wait(struct t_vq *q, uint16_t nr, unsigned int ms);	/* until so many more are used */
uint32_t t_vq_used(struct t_vq *q, uint32_t *len);	/* takes the next used entry: its head */
uint64_t t_intx(struct t_dev *d,
		unsigned int ms); /* value of the eventfd, 0 if nothing comes in time */

#endif /* VMMTEST_VQ_H */
