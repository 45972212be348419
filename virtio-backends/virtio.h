/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of vmm_virtio.ko share: the device, its queues, and what a backend provides.
 *
 * Every field that is shared carries the letter of what protects it:
 *	[I] immutable once it is visible	[a] atomic or READ_ONCE/WRITE_ONCE
 *	[c] dev->lock (configuration)		[q] q->mutex
 *	[e] dev->event_lock			[v] dev->vector_lock
 *	[j] dev->job_lock			[w] the queue's worker only
 *
 * Order: vm->lock, dev->lock, vm->slots_lock, q->mutex, mmap_lock; the spinlocks are leaves, but
 * that a message is delivered and an eventfd is signalled under vector_lock. q->mutex is held while
 * guest memory is faulted in and while I/O is submitted; a notification never takes it.
 *
 * Requests and threads:
 *
 *	vCPU: notify --> KICK bit, wake-up --> worker (VMM_DEV_WORK_QUEUE): queue_run()
 *							|  takes chains, submits I/O
 *		ki_complete, any context --> q->done -->|  reaps: status, used entry, interrupt
 *			^				|
 *			|				v what would block
 *		pool (VMM_DEV_WORK_BLOCKING) <------ dev->jobs
 *
 * Only who holds q->mutex touches the ring: the worker, or STOP while it drains.
 */
#ifndef VIRTIO_BACKENDS_VIRTIO_H
#define VIRTIO_BACKENDS_VIRTIO_H

#include <linux/atomic.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "../kmod/device.h"
#include "vq.h"

struct eventfd_ctx;
struct kiocb;
struct iov_iter;
struct vdev;
struct vdev_queue;

/**
 * struct vdev_ioctl - an ioctl of a device
 * @cmd: number, direction and size
 * @locked: dev->lock is taken around @fn
 * @fn: gets a copy of the argument, which goes back to the caller if @cmd says so and @fn succeeded
 */
struct vdev_ioctl {
	unsigned int cmd;
	bool locked;
	int (*fn)(struct vdev *dev, void *arg);
};

/**
 * struct vdev_ops - a backend
 * @name: of the anonymous inode
 * @type: VMM_DEVICE_*
 * @size: of the structure that begins with struct vdev
 * @ioctls: its own, ended by a zero
 * @features: bits that it serves as set up, VQ_FEATURES among them. Context: any
 * @start: makes a queue with descriptors ready. Context: dev->lock, q->mutex; may sleep
 * @stop: undoes @start. Context: likewise; nothing is in flight
 * @serve: takes chains and does what they ask, a bounded number of them; true: there may be more.
 *	Arms notifications when it found the ring empty. Context: worker, q->mutex
 * @reap: ends what is on q->done. @abandon: without touching the guest's rings and memory. Context:
 *	q->mutex, may sleep; in the VM's address space unless the device is being released
 * @release: gives back what the set-up took. Context: no other user is left
 */
struct vdev_ops {
	const char *name;
	u32 type;
	size_t size;
	const struct vdev_ioctl *ioctls;
	u64 (*features)(const struct vdev *dev);
	int (*start)(struct vdev_queue *q);
	void (*stop)(struct vdev_queue *q);
	bool (*serve)(struct vdev_queue *q);
	void (*reap)(struct vdev_queue *q, bool abandon);
	void (*release)(struct vdev *dev);
};

/**
 * struct vdev_job - work for the pool of threads that may sleep long
 * @node: on dev->jobs [j]
 * @run: does it, in a thread of the VM's process, without locks [I]
 * @cancel: it will not be run: the device goes away [I]
 */
struct vdev_job {
	struct list_head node;
	void (*run)(struct vdev_job *job);
	void (*cancel)(struct vdev_job *job);
};

#define VDEV_Q_KICK	0	/* look at the ring */
#define VDEV_Q_WORKER	1	/* a thread is parked for this queue */

/**
 * struct vdev_queue - a queue of a device
 * @dev: its device [I]
 * @index: its number [I]
 * @mutex: who may touch the ring
 * @flags: VDEV_Q_* bits [a]
 * @vector: MSI-X vector or VMM_DEV_NO_VECTOR [a]
 * @cfg: as set by VMM_DEV_SET_QUEUE; the indexes are brought up to date by STOP [c]
 * @fresh: @cfg was set since the last START, so what is known of the last life is not of this [c]
 * @vq: the ring [q]
 * @chain: room for the chain at hand [q]
 * @inflight: chains taken and not yet given back [q] for writers, READ_ONCE for readers
 * @done: requests whose I/O is over
 * @wait: where the worker is parked
 * @poll_file: the worker is also woken when this file gets ready ... [w]
 * @poll_events: ... for this, EPOLLIN or EPOLLOUT [w]
 * @retry: it is also woken after so many jiffies; 0 = not so [w]
 * @priv: the backend's [c]
 */
struct vdev_queue {
	struct vdev *dev;
	unsigned int index;
	struct mutex mutex;		/* ring */
	unsigned long flags;
	u16 vector;
	struct vmm_dev_queue cfg;
	bool fresh;
	struct vq vq;
	struct vq_chain chain;
	unsigned int inflight;
	struct llist_head done;
	wait_queue_head_t wait;
	struct file *poll_file;
	__poll_t poll_events;
	long retry;
	void *priv;
};

/**
 * struct vdev_vector - an entry of the MSI-X table
 * @addr: message address
 * @data: message data
 * @masked: by its own mask bit
 */
struct vdev_vector {
	u64 addr;
	u32 data;
	bool masked;
};

/**
 * struct vdev_notify - an address where notifications of a device arrive; never changed: another
 *	address is another one of these
 * @io: on the bus
 * @bus: which [I]
 * @dev: the device [I]
 */
struct vdev_notify {
	struct vmm_io_dev io;
	enum vmm_bus bus;
	struct vdev *dev;
};

/**
 * struct vdev - a virtio device
 * @ops: its backend [I]
 * @vm: its VM, holding a reference [I]
 * @lock: configuration and the transitions of @state
 * @state: enum vmm_dev_state; written under [c], but RUNNING -> BROKEN is a cmpxchg; READ_ONCE
 * @draining: STOP or release waits for what is in flight, nothing new is taken [a]
 * @quit: VMM_DEV_QUIT was called [a]
 * @releasing: the last file reference is gone; there may be no address space any more [a]
 * @features: what was agreed on, 0 = not yet [c]
 * @queues: allocated by the backend's set-up [I] then
 * @nr_queues: of them; 0 before set-up, published with release semantics [a]
 * @drain: where STOP and release wait
 * @notify: where notifications arrive, or NULL [c]
 * @vector_lock: the four below, and the order of messages against masks
 * @vectors: MSI-X table [v]
 * @pending: pending bit array [v]
 * @msix_flags: VMM_DEV_MSIX_* [v]
 * @config_vector: vector of configuration changes [v]
 * @intx: eventfd for interrupts without MSI-X, or NULL [v]
 * @event_lock: @events
 * @events: what userland has not yet read [e]
 * @event_wait: poll of the file
 * @job_lock: @jobs
 * @jobs: for the pool [j]
 * @job_wait: where the pool is parked
 * @nr_pool: threads lent to the pool [a]
 */
struct vdev {
	const struct vdev_ops *ops;
	struct vmm_vm *vm;

	struct mutex lock;		/* configuration */
	int state;
	bool draining;
	bool quit;
	bool releasing;
	u64 features;
	struct vdev_queue *queues;
	unsigned int nr_queues;
	wait_queue_head_t drain;

	struct vdev_notify *notify;

	spinlock_t vector_lock;		/* interrupts */
	struct vdev_vector vectors[VMM_DEV_MAX_VECTORS];
	DECLARE_BITMAP(pending, VMM_DEV_MAX_VECTORS);
	u32 msix_flags;
	u32 config_vector;
	struct eventfd_ctx *intx;

	spinlock_t event_lock;		/* events */
	struct vmm_dev_events events;
	wait_queue_head_t event_wait;

	spinlock_t job_lock;		/* jobs */
	struct list_head jobs;
	wait_queue_head_t job_wait;
	atomic_t nr_pool;
};

/* blk.c, console.c */
extern const struct vdev_ops vdev_blk_ops;
extern const struct vdev_ops vdev_console_ops;

/* core.c */
int vdev_add_queues(struct vdev *dev, unsigned int nr);
void vdev_host_error(struct vdev *dev, int error);

/* vector.c */
void vdev_vectors_init(struct vdev *dev);
void vdev_vectors_release(struct vdev *dev);
void vdev_interrupt(struct vdev *dev, u32 vector);
int vdev_set_vector(struct vdev *dev, void *arg);
int vdev_set_msix(struct vdev *dev, void *arg);
int vdev_get_pending(struct vdev *dev, void *arg);
int vdev_raise_config(struct vdev *dev, void *arg);

/* worker.c */
void vdev_kick(struct vdev_queue *q);
void vdev_kick_all(struct vdev *dev);
void vdev_done(struct vdev_queue *q, struct llist_node *node);
void vdev_queue_job(struct vdev *dev, struct vdev_job *job);
void vdev_requeue_job(struct vdev *dev, struct vdev_job *job);
int vdev_work(struct vdev *dev, void *arg);
int vdev_quit(struct vdev *dev, void *arg);
int vdev_drain(struct vdev *dev);
int vdev_notify(struct vdev_queue *q, bool on);

/* file.c */
ssize_t vdev_file_read(struct kiocb *iocb, struct iov_iter *iter);
ssize_t vdev_file_write(struct kiocb *iocb, struct iov_iter *iter);
void vdev_file_end(struct kiocb *iocb, ssize_t ret);
bool vdev_file_interrupted(ssize_t ret);

/* Chains may be taken. False already while STOP drains. */
static inline bool vdev_may_serve(const struct vdev *dev)
{
	return READ_ONCE(dev->state) == VMM_DEV_RUNNING && !READ_ONCE(dev->draining);
}

#endif /* VIRTIO_BACKENDS_VIRTIO_H */
