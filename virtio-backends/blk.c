// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-blk (virtio 1.2, 5.2) on an image file or a block device.
 *
 * Life of a request:
 *
 *	free --(worker takes a chain)--> issue without blocking
 *					   |	     |	      |
 *		     over at once	   |	     |	      | would block, FLUSH
 *	finish <---------------------------+	     |	      v
 *	  ^	 ^			    -EIOCBQUEUED   pool: issue, may block
 *	  |	 |				     |	      |	  |
 *	  |	 +-- over <-- reap <-- q->done <-----+--------+	  | -EIOCBQUEUED
 *	  |		       |	     ^ ki_complete	  |
 *	  |		       |	     +--------------------+
 *	  v		       +--> a part was done: issue the rest
 *	free: status byte, used entry
 *
 * Direct I/O is asynchronous wherever the file can do it; its pages are the guest's own, pinned by
 * the host for the time of the transfer. What does not fit the file's alignment goes through the
 * page cache instead. Buffered I/O tries IOCB_NOWAIT, which serves what is cached.
 *
 * The device has a write-back cache, emptied by FLUSH. A driver that did not agree on FLUSH has
 * none: each of its writes is IOCB_DSYNC (5.2.6.2).
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ioprio.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/virtio_blk.h>

#include "virtio.h"

/* requests taken before the worker publishes */
#define BLK_BATCH	64

/* one transfer of the host; longer requests are done in parts, so that a guest cannot pin more */
#define BLK_IO_MAX	(4u << 20)

/* pieces of host memory a request's data may have */
#define BLK_MAX_IOV	(VMM_BLK_SEG_MAX + 2)

struct blk_outhdr {
	__le32 type;
	__le32 ioprio;
	__le64 sector;
};

enum blk_result {
	BLK_OVER,	/* req->status is set */
	BLK_QUEUED,	/* ki_complete will tell */
	BLK_MORE,	/* issue what is left */
	BLK_POOL,	/* it would have to block */
};

/**
 * struct blk_req - a request; owned by one thread at a time, as drawn above
 * @iocb: host I/O under way
 * @iter: its memory
 * @q: its queue [I]
 * @next: free list, or the device's list of FLUSHes
 * @node: on q->done
 * @job: for the pool
 * @refs: of an asynchronous I/O: its submission, its completion
 * @result: what ki_complete said
 * @async: the I/O is asynchronous and its result not yet looked at
 * @write: guest to host
 * @direct: IOCB_DIRECT is (still) tried
 * @data: has data memory that the device may have written
 * @status: VIRTIO_BLK_S_*
 * @head: of the chain
 * @error: positive errno of the host
 * @pos: byte in the file
 * @len: bytes of data
 * @done: of which so many are through
 * @status_gpa: where the status byte goes
 * @nr_iov: pieces of data memory
 * @iov: in the process [I]
 * @gpa: in the guest [I]
 */
struct blk_req {
	struct kiocb iocb;
	struct iov_iter iter;
	struct vdev_queue *q;
	struct list_head next;
	struct llist_node node;
	struct vdev_job job;
	atomic_t refs;
	long result;
	bool async;
	bool write;
	bool direct;
	bool data;
	u8 status;
	u16 head;
	int error;
	loff_t pos;
	u32 len;
	u32 done;
	u64 status_gpa;
	unsigned int nr_iov;
	struct iovec *iov;
	u64 *gpa;
};

/**
 * struct blk_queue - what a running queue has: as many requests as descriptors
 * @free: requests [q]
 * @reqs: all of them
 * @iov: their iovecs
 * @gpa: and guest addresses
 */
struct blk_queue {
	struct list_head free;
	struct blk_req *reqs;
	struct iovec *iov;
	u64 *gpa;
};

/**
 * struct blk - a block device
 * @dev: what all devices have
 * @file: the image [I] after set-up
 * @capacity: sectors of 512 bytes [I]
 * @flags: VMM_BLK_* [I]
 * @serial: for GET_ID [I]
 * @flush_lock: the two below
 * @flush_waiting: FLUSHes that the next fsync serves
 * @flush_queued: @flush_job is with the pool
 * @flush_job: one fsync for all that wait when it begins
 */
struct blk {
	struct vdev dev;
	struct file *file;
	u64 capacity;
	u32 flags;
	u8 serial[VMM_BLK_SERIAL_LEN];
	spinlock_t flush_lock;	/* the list and the flag */
	struct list_head flush_waiting;
	bool flush_queued;
	struct vdev_job flush_job;
};

static struct blk *to_blk(const struct vdev *dev)
{
	return container_of(dev, struct blk, dev);
}

/* ---- the host's side ---- */

static void blk_complete(struct kiocb *iocb, long ret)
{
	struct blk_req *req = container_of(iocb, struct blk_req, iocb);

	req->result = ret;
	if (atomic_dec_and_test(&req->refs))
		vdev_done(req->q, &req->node);
}

static bool nowait_possible(const struct blk_req *req, const struct file *file)
{
	if (!(file->f_mode & FMODE_NOWAIT))
		return false;
	if (!req->write || req->direct)
		return true;
#ifdef FOP_BUFFER_WASYNC
	return file->f_op->fop_flags & FOP_BUFFER_WASYNC;
#else
	return file->f_mode & FMODE_BUF_WASYNC;
#endif
}

/*
 * Issues what is left of a request, or the first BLK_IO_MAX of it. The submission of an
 * asynchronous I/O may look at the kiocb after its completion: whoever is later of the two hands it
 * on, and with -EIOCBQUEUED the request is not the caller's any more.
 */
static ssize_t blk_issue(struct blk_req *req, bool may_block)
{
	struct blk *blk = to_blk(req->q->dev);
	struct file *file = blk->file;
	bool async = req->direct;
	ssize_t ret;

	req->iocb = (struct kiocb) {
		.ki_filp = file,
		.ki_pos = req->pos + req->done,
		.ki_flags = file->f_iocb_flags & (IOCB_DSYNC | IOCB_SYNC),
		.ki_ioprio = get_current_ioprio(),
		.ki_complete = async ? blk_complete : NULL,
	};
	if (async)
		req->iocb.ki_flags |= IOCB_DIRECT;
	if (req->write) {
		req->iocb.ki_flags |= IOCB_WRITE;
		if (!(blk->dev.features & BIT_ULL(VIRTIO_BLK_F_FLUSH)))
			req->iocb.ki_flags |= IOCB_DSYNC;
	}
	if (!may_block) {
		if (!nowait_possible(req, file) ||
		    (!async && (req->iocb.ki_flags & IOCB_DSYNC)))
			return -EAGAIN;
		req->iocb.ki_flags |= IOCB_NOWAIT;
	}

	iov_iter_init(&req->iter, req->write ? ITER_SOURCE : ITER_DEST, req->iov, req->nr_iov,
		      req->len);
	iov_iter_advance(&req->iter, req->done);
	iov_iter_truncate(&req->iter, BLK_IO_MAX);

	atomic_set(&req->refs, 2);
	req->async = async;
	if (req->write)
		ret = vdev_file_write(&req->iocb, &req->iter);
	else
		ret = vdev_file_read(&req->iocb, &req->iter);
	if (ret != -EIOCBQUEUED)
		req->async = false;
	else if (atomic_dec_and_test(&req->refs))
		vdev_done(req->q, &req->node);
	return ret;
}

/* What follows from the result of an I/O. */
static enum blk_result blk_step(struct blk_req *req, ssize_t ret, bool may_block)
{
	if (ret == -EIOCBQUEUED)
		return BLK_QUEUED;
	if (ret > 0) {
		req->done += min_t(ssize_t, ret, req->len - req->done);
		if (req->done < req->len)
			return BLK_MORE;
		req->status = VIRTIO_BLK_S_OK;
		return BLK_OVER;
	}
	if (!may_block && (ret == -EAGAIN || ret == -EOPNOTSUPP))
		return BLK_POOL;
	if (ret == -EINVAL && req->direct) {
		/* memory or length that the file cannot transfer directly */
		req->direct = false;
		return BLK_MORE;
	}
	if (vdev_file_interrupted(ret))
		return BLK_POOL;
	/* 0: the file became shorter than the device */
	req->error = ret ? -ret : EIO;
	req->status = VIRTIO_BLK_S_IOERR;
	return BLK_OVER;
}

static enum blk_result blk_go(struct blk_req *req, bool may_block)
{
	enum blk_result result;

	do {
		result = blk_step(req, blk_issue(req, may_block), may_block);
	} while (result == BLK_MORE);
	return result;
}

static void blk_job_run(struct vdev_job *job)
{
	struct blk_req *req = container_of(job, struct blk_req, job);
	struct vdev_queue *q = req->q;

	switch (blk_go(req, true)) {
	case BLK_OVER:
		vdev_done(q, &req->node);
		break;
	case BLK_POOL:
		vdev_requeue_job(q->dev, &req->job);
		break;
	default:
		break;
	}
}

static void blk_job_cancel(struct vdev_job *job)
{
	struct blk_req *req = container_of(job, struct blk_req, job);

	vdev_done(req->q, &req->node);
}

/* ---- FLUSH ---- */

static void flush_finish(struct list_head *list, int error)
{
	struct blk_req *req, *next;

	list_for_each_entry_safe(req, next, list, next) {
		list_del(&req->next);
		req->error = error;
		req->status = error ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
		vdev_done(req->q, &req->node);
	}
}

/*
 * A FLUSH covers the writes that were complete when it came, so one fsync serves all FLUSHes that
 * came before it began; those that come later wait for the next. Only one thread of the pool is
 * ever busy with it.
 */
static void flush_job_run(struct vdev_job *job)
{
	struct blk *blk = container_of(job, struct blk, flush_job);
	LIST_HEAD(list);
	bool again;
	int ret;

	spin_lock(&blk->flush_lock);
	list_splice_init(&blk->flush_waiting, &list);
	spin_unlock(&blk->flush_lock);

	ret = vfs_fsync_range(blk->file, 0, LLONG_MAX, 1);

	if (vdev_file_interrupted(ret)) {
		spin_lock(&blk->flush_lock);
		list_splice(&list, &blk->flush_waiting);
		spin_unlock(&blk->flush_lock);
		vdev_requeue_job(&blk->dev, job);
		return;
	}

	/* before the requests are handed on: with the last of them the device may go */
	spin_lock(&blk->flush_lock);
	again = !list_empty(&blk->flush_waiting);
	blk->flush_queued = again;
	spin_unlock(&blk->flush_lock);
	if (again)
		vdev_requeue_job(&blk->dev, job);
	flush_finish(&list, ret ? -ret : 0);
}

static void flush_job_cancel(struct vdev_job *job)
{
	struct blk *blk = container_of(job, struct blk, flush_job);

	flush_finish(&blk->flush_waiting, 0);
}

static void flush_add(struct blk *blk, struct blk_req *req)
{
	bool queue;

	spin_lock(&blk->flush_lock);
	list_add_tail(&req->next, &blk->flush_waiting);
	queue = !blk->flush_queued;
	blk->flush_queued = true;
	spin_unlock(&blk->flush_lock);
	if (queue)
		vdev_queue_job(&blk->dev, &blk->flush_job);
}

/* ---- the guest's side ---- */

/* The data was, or may have been, written by the host. Context: vm->srcu. */
static void blk_mark_dirty(struct blk_req *req)
{
	unsigned int i;

	for (i = 0; i < req->nr_iov; i++)
		vmm_mark_dirty(req->q->dev->vm, req->gpa[i], req->iov[i].iov_len);
}

/*
 * Gives a request back. A status byte that cannot be written does not keep the chain: the driver
 * gets it back with one byte less.
 *
 * Context: q->mutex; in the VM's address space unless the device is being released.
 */
static void blk_finish(struct blk_req *req, bool abandon)
{
	struct vdev_queue *q = req->q;
	struct vmm_vm *vm = q->dev->vm;
	struct blk_queue *bq = q->priv;
	u32 written = req->data ? req->done : 0;
	int idx;

	if (req->error)
		vdev_host_error(q->dev, req->error);
	if (!READ_ONCE(q->dev->releasing)) {
		idx = srcu_read_lock(&vm->srcu);
		if (req->data)
			blk_mark_dirty(req);
		if (!abandon) {
			if (!vmm_guest_write(vm, req->status_gpa, &req->status, 1))
				written++;
			vq_put(&q->vq, req->head, written);
		}
		srcu_read_unlock(&vm->srcu, idx);
	}
	list_add(&req->next, &bq->free);
	WRITE_ONCE(q->inflight, q->inflight - 1);
}

/* One request from q->done. */
static void blk_reap_one(struct blk_req *req, bool abandon)
{
	enum blk_result result = BLK_OVER;

	if (req->async) {
		req->async = false;
		vdev_file_end(&req->iocb, req->result);
		result = blk_step(req, req->result, !(req->iocb.ki_flags & IOCB_NOWAIT));
		if (!abandon && result == BLK_MORE)
			result = blk_go(req, false);
		if (result == BLK_QUEUED)
			return;
		if (!abandon && result == BLK_POOL) {
			vdev_queue_job(req->q->dev, &req->job);
			return;
		}
	}
	blk_finish(req, abandon);
}

static void blk_reap(struct vdev_queue *q, bool abandon)
{
	struct llist_node *list = llist_reverse_order(llist_del_all(&q->done));
	struct blk_req *req, *next;

	llist_for_each_entry_safe(req, next, list, node)
		blk_reap_one(req, abandon);
}

/* Takes [skip, skip + len) of @nr segments as the request's data. Return: false = too many. */
static bool blk_map(struct blk_req *req, const struct vq_seg *seg, unsigned int nr, u32 skip,
		    u32 len)
{
	u32 n;

	req->nr_iov = 0;
	req->len = len;
	for (; nr && len; nr--, seg++) {
		if (skip >= seg->len) {
			skip -= seg->len;
			continue;
		}
		n = min(seg->len - skip, len);
		if (req->nr_iov == BLK_MAX_IOV)
			return false;
		req->iov[req->nr_iov].iov_base = (void __user *)(seg->hva + skip);
		req->iov[req->nr_iov].iov_len = n;
		req->gpa[req->nr_iov] = seg->gpa + skip;
		req->nr_iov++;
		skip = 0;
		len -= n;
	}
	return true;
}

/* Prepares IN and OUT. Return: false = refused by req->status. */
static bool blk_prepare(struct blk_req *req, const struct vq_chain *chain, u64 sector)
{
	struct blk *blk = to_blk(req->q->dev);
	bool fits;
	u32 len;

	if (req->write) {
		len = chain->out_len - sizeof(struct blk_outhdr);
		fits = blk_map(req, chain->seg, chain->nr_out, sizeof(struct blk_outhdr), len);
	} else {
		len = chain->in_len - 1;
		fits = blk_map(req, chain->seg + chain->nr_out, chain->nr_in, 0, len);
	}
	if (!fits || len % SECTOR_SIZE || sector > blk->capacity ||
	    len / SECTOR_SIZE > blk->capacity - sector ||
	    (req->write && (blk->flags & VMM_BLK_READONLY))) {
		req->status = VIRTIO_BLK_S_IOERR;
		return false;
	}
	req->status = VIRTIO_BLK_S_OK;
	req->direct = blk->flags & VMM_BLK_DIRECT;
	req->data = !req->write;
	req->pos = sector << SECTOR_SHIFT;
	return len;
}

/* GET_ID: 20 bytes, and no more than there is room for. Context: vm->srcu. */
static void blk_get_id(struct blk_req *req, const struct vq_chain *chain)
{
	struct blk *blk = to_blk(req->q->dev);
	u32 i, n, len = min_t(u32, chain->in_len - 1, sizeof(blk->serial));

	req->status = VIRTIO_BLK_S_OK;
	req->data = true;
	if (!blk_map(req, chain->seg + chain->nr_out, chain->nr_in, 0, len)) {
		req->status = VIRTIO_BLK_S_IOERR;
		return;
	}
	for (i = 0; i < req->nr_iov; i++) {
		n = req->iov[i].iov_len;
		if (copy_to_user(req->iov[i].iov_base, blk->serial + req->done, n)) {
			req->status = VIRTIO_BLK_S_IOERR;
			return;
		}
		req->done += n;
	}
}

/*
 * Takes the next chain as @req. Return: 1 = to be issued (or flushed, @flush), 2 = req->status is
 * set already, 0 = no chain, < 0 = the driver broke a rule.
 */
static int blk_take(struct vdev_queue *q, struct blk_req *req, bool *flush)
{
	struct blk *blk = to_blk(q->dev);
	struct vq_chain *chain = &q->chain;
	const struct vq_seg *last;
	struct blk_outhdr hdr;
	int ret;

	ret = vq_next(&q->vq, chain);
	if (ret <= 0)
		return ret;
	if (chain->out_len < sizeof(hdr) || chain->in_len < 1)
		return vq_violation(&q->vq, VMM_VQ_LENGTH);
	ret = vq_chain_read(&q->vq, chain, 0, &hdr, sizeof(hdr));
	if (ret)
		return ret;

	last = &chain->seg[chain->nr_out + chain->nr_in - 1];
	req->status_gpa = last->gpa + last->len - 1;
	req->head = chain->head;
	req->error = 0;
	req->done = 0;
	req->len = 0;
	req->nr_iov = 0;
	req->async = false;
	req->write = false;
	req->direct = false;
	req->data = false;
	*flush = false;

	switch (le32_to_cpu(hdr.type)) {
	case VIRTIO_BLK_T_OUT:
		req->write = true;
		fallthrough;
	case VIRTIO_BLK_T_IN:
		return blk_prepare(req, chain, le64_to_cpu(hdr.sector)) ? 1 : 2;
	case VIRTIO_BLK_T_FLUSH:
		if (!(blk->dev.features & BIT_ULL(VIRTIO_BLK_F_FLUSH)))
			break;
		*flush = true;
		return 1;
	case VIRTIO_BLK_T_GET_ID:
		blk_get_id(req, chain);
		return 2;
	}
	req->status = VIRTIO_BLK_S_UNSUPP;
	return 2;
}

/* Takes one chain and does it, or sets it going. Return: as vq_next(). */
static int blk_serve_one(struct vdev_queue *q)
{
	struct blk_queue *bq = q->priv;
	struct blk_req *req = list_first_entry(&bq->free, struct blk_req, next);
	struct vmm_vm *vm = q->dev->vm;
	bool flush;
	int idx, ret;

	idx = srcu_read_lock(&vm->srcu);
	ret = blk_take(q, req, &flush);
	srcu_read_unlock(&vm->srcu, idx);
	if (ret <= 0)
		return ret;

	list_del(&req->next);
	WRITE_ONCE(q->inflight, q->inflight + 1);
	if (ret == 2) {
		blk_finish(req, false);
	} else if (flush) {
		flush_add(to_blk(q->dev), req);
	} else {
		switch (blk_go(req, false)) {
		case BLK_OVER:
			blk_finish(req, false);
			break;
		case BLK_POOL:
			vdev_queue_job(q->dev, &req->job);
			break;
		default:
			break;
		}
	}
	return 1;
}

static bool blk_serve(struct vdev_queue *q)
{
	struct blk_queue *bq = q->priv;
	struct blk_plug plug;
	unsigned int left;
	bool more = true;
	int ret;

	if (vdev_notify(q, false))
		return false;
	blk_start_plug(&plug);
	for (left = BLK_BATCH; left && !signal_pending(current); left--) {
		if (list_empty(&bq->free)) {
			/* as many as there are descriptors: the next completion goes on */
			more = false;
			break;
		}
		ret = blk_serve_one(q);
		if (!ret)
			ret = vdev_notify(q, true);
		if (ret <= 0) {
			more = false;
			break;
		}
	}
	blk_finish_plug(&plug);
	return more;
}

/* ---- set-up ---- */

static u64 blk_features(const struct vdev *dev)
{
	const struct blk *blk = to_blk(dev);
	u64 features = VQ_FEATURES | BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |
		       BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) | BIT_ULL(VIRTIO_BLK_F_FLUSH);

	if (blk->flags & VMM_BLK_READONLY)
		features |= BIT_ULL(VIRTIO_BLK_F_RO);
	if (dev->nr_queues > 1)
		features |= BIT_ULL(VIRTIO_BLK_F_MQ);
	return features;
}

static int blk_start(struct vdev_queue *q)
{
	unsigned int i, nr = q->vq.size;
	struct blk_queue *bq;
	struct blk_req *req;

	bq = kzalloc(sizeof(*bq), GFP_KERNEL_ACCOUNT);
	if (!bq)
		return -ENOMEM;
	bq->reqs = kvcalloc(nr, sizeof(*bq->reqs), GFP_KERNEL_ACCOUNT);
	bq->iov = kvmalloc_array(nr, BLK_MAX_IOV * sizeof(*bq->iov), GFP_KERNEL_ACCOUNT);
	bq->gpa = kvmalloc_array(nr, BLK_MAX_IOV * sizeof(*bq->gpa), GFP_KERNEL_ACCOUNT);
	q->priv = bq;
	if (!bq->reqs || !bq->iov || !bq->gpa) {
		q->dev->ops->stop(q);
		return -ENOMEM;
	}
	INIT_LIST_HEAD(&bq->free);
	for (i = 0; i < nr; i++) {
		req = &bq->reqs[i];
		req->q = q;
		req->iov = &bq->iov[i * BLK_MAX_IOV];
		req->gpa = &bq->gpa[i * BLK_MAX_IOV];
		req->job.run = blk_job_run;
		req->job.cancel = blk_job_cancel;
		list_add_tail(&req->next, &bq->free);
	}
	return 0;
}

static void blk_stop(struct vdev_queue *q)
{
	struct blk_queue *bq = q->priv;

	kvfree(bq->gpa);
	kvfree(bq->iov);
	kvfree(bq->reqs);
	kfree(bq);
	q->priv = NULL;
}

/* Is @file what @in says? */
static int blk_check_file(struct file *file, const struct vmm_blk_setup *in)
{
	struct inode *inode = file_inode(file);
	bool direct = in->flags & VMM_BLK_DIRECT;

	if (!S_ISREG(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ) || !file->f_op->read_iter)
		return -EBADF;
	if (!(in->flags & VMM_BLK_READONLY) &&
	    (!(file->f_mode & FMODE_WRITE) || !file->f_op->write_iter))
		return -EBADF;
	if (direct != !!(file->f_flags & O_DIRECT) ||
	    (direct && !(file->f_mode & FMODE_CAN_ODIRECT)))
		return -EINVAL;
	if (S_ISBLK(inode->i_mode))
		inode = file->f_mapping->host;
	if (in->capacity > (u64)i_size_read(inode) >> SECTOR_SHIFT)
		return -EINVAL;
	return 0;
}

/* VMM_BLK_SETUP */
static int blk_setup(struct vdev *dev, void *arg)
{
	const struct vmm_blk_setup *in = arg;
	struct blk *blk = to_blk(dev);
	struct file *file;
	int ret;

	if (dev->nr_queues)
		return -EBUSY;
	if (in->flags & ~(VMM_BLK_READONLY | VMM_BLK_DIRECT) || in->pad0 ||
	    memchr_inv(in->pad, 0, sizeof(in->pad)))
		return -EINVAL;
	if (!in->queues || in->queues > VMM_DEV_MAX_QUEUES)
		return -EINVAL;
	file = fget(in->fd);
	if (!file)
		return -EBADF;
	ret = blk_check_file(file, in);
	if (ret)
		goto put;

	spin_lock_init(&blk->flush_lock);
	INIT_LIST_HEAD(&blk->flush_waiting);
	blk->flush_job.run = flush_job_run;
	blk->flush_job.cancel = flush_job_cancel;
	blk->capacity = in->capacity;
	blk->flags = in->flags;
	memcpy(blk->serial, in->serial, sizeof(blk->serial));
	blk->file = file;
	ret = vdev_add_queues(dev, in->queues);
	if (!ret)
		return 0;
	blk->file = NULL;
	blk->flags = 0;
put:
	fput(file);
	return ret;
}

static void blk_release(struct vdev *dev)
{
	struct blk *blk = to_blk(dev);

	if (blk->file)
		fput(blk->file);
}

static const struct vdev_ioctl blk_ioctls[] = {
	{ VMM_BLK_SETUP, true, blk_setup },
	{}
};

const struct vdev_ops vdev_blk_ops = {
	.name = "vmm-blk",
	.type = VMM_DEVICE_BLK,
	.size = sizeof(struct blk),
	.ioctls = blk_ioctls,
	.features = blk_features,
	.start = blk_start,
	.stop = blk_stop,
	.serve = blk_serve,
	.reap = blk_reap,
	.release = blk_release,
};
