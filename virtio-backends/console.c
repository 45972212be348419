// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-console with one port (virtio 1.2, 5.3): queue 0 receives, queue 1 transmits.
 *
 * A chain is taken only to be ended in the same round. When the host's file would block it is put
 * back into the ring, the worker is parked on the file's wait queue as well as on its own, and so
 * neither STOP nor a signal waits for whoever reads the console. Nothing is ever in flight.
 *
 * Each queue is at any time
 *
 *	on the ring	waiting for buffers: notifications armed, the file not looked at
 *	on the file	having buffers: notifications off, the file polled
 *	out of memory	having buffers that the host had no memory to take: again after a while
 *	closed		the file ended or failed: input stops, output is thrown away, until START
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/virtio_console.h>

#include "virtio.h"

#define CONSOLE_RX	0
#define CONSOLE_TX	1

/* chains before the worker looks at signals */
#define CONSOLE_BATCH	64

/* until what failed for want of the host's memory is tried again; the file does not tell when */
#define CONSOLE_RETRY	(HZ / 10)

/**
 * struct console_queue - what a running queue has
 * @file: where its bytes come from or go to; NULL = closed [q]
 * @sent: bytes of the chain at the head of the ring that went out already [q]
 * @iov: room for the chain at hand [q]
 */
struct console_queue {
	struct file *file;
	u32 sent;
	struct iovec *iov;
};

/**
 * struct console - a console device
 * @dev: what all devices have
 * @file: by queue; NULL = none [I] after set-up
 * @sent: of the transmit queue when it was stopped; a START of the same ring goes on there [c]
 */
struct console {
	struct vdev dev;
	struct file *file[2];
	u32 sent;
};

static struct console *to_console(const struct vdev *dev)
{
	return container_of(dev, struct console, dev);
}

/* Takes a chain and lists its @nr readable or writable segments. Return: as vq_next(). */
static int console_take(struct vdev_queue *q, bool writable, unsigned int *nr)
{
	struct console_queue *cq = q->priv;
	struct vq_chain *chain = &q->chain;
	const struct vq_seg *seg = chain->seg;
	unsigned int i;
	int idx, ret;

	idx = srcu_read_lock(&q->dev->vm->srcu);
	ret = vq_next(&q->vq, chain);
	srcu_read_unlock(&q->dev->vm->srcu, idx);
	if (ret <= 0)
		return ret;
	*nr = writable ? chain->nr_in : chain->nr_out;
	if (writable)
		seg += chain->nr_out;
	for (i = 0; i < *nr; i++) {
		cq->iov[i].iov_base = (void __user *)seg[i].hva;
		cq->iov[i].iov_len = seg[i].len;
	}
	return 1;
}

/* Gives the chain back, of whose writable part the host wrote the first @written bytes. */
static int console_put(struct vdev_queue *q, u32 written)
{
	struct vq_chain *chain = &q->chain;
	struct vmm_vm *vm = q->dev->vm;
	u32 n, left = written;
	unsigned int i;
	int idx, ret;

	idx = srcu_read_lock(&vm->srcu);
	for (i = chain->nr_out; left; i++) {
		n = min(left, chain->seg[i].len);
		vmm_mark_dirty(vm, chain->seg[i].gpa, n);
		left -= n;
	}
	ret = vq_put(&q->vq, chain->head, written);
	srcu_read_unlock(&vm->srcu, idx);
	return ret;
}

/* The file is of no use any more. */
static void console_close(struct vdev_queue *q, int error)
{
	struct console_queue *cq = q->priv;

	cq->file = NULL;
	if (error)
		vdev_host_error(q->dev, error);
}

/*
 * Sends what is left of the next chain. Return: 1 = go on, 0 = no chain, -EAGAIN = the file is
 * full, -ENOMEM = the host has no memory for it now, -EINTR = a signal came, other: stop.
 */
static int console_send(struct vdev_queue *q)
{
	struct console_queue *cq = q->priv;
	struct iov_iter iter;
	struct kiocb iocb;
	unsigned int nr;
	ssize_t n;
	int ret;

	ret = console_take(q, false, &nr);
	if (ret <= 0)
		return ret;
	if (cq->file && cq->sent < q->chain.out_len) {
		init_sync_kiocb(&iocb, cq->file);
		iocb.ki_flags |= IOCB_WRITE;
		iov_iter_init(&iter, ITER_SOURCE, cq->iov, nr, q->chain.out_len);
		iov_iter_advance(&iter, cq->sent);
		iov_iter_truncate(&iter, MAX_RW_COUNT);
		n = vdev_file_write(&iocb, &iter);
		if (n <= 0) {
			vq_unget(&q->vq);
			if (n == -EAGAIN || n == -ENOMEM)
				return n;
			if (vdev_file_interrupted(n))
				return -EINTR;
			console_close(q, n ? -n : EIO);
			return 1;
		}
		cq->sent += n;
		if (cq->sent < q->chain.out_len) {
			vq_unget(&q->vq);
			return 1;
		}
	}
	cq->sent = 0;
	return console_put(q, 0) ? : 1;
}

/* Fills the next chain with what the file has. Return: as console_send(). */
static int console_receive(struct vdev_queue *q)
{
	struct console_queue *cq = q->priv;
	struct iov_iter iter;
	struct kiocb iocb;
	unsigned int nr;
	ssize_t n;
	int ret;

	if (!cq->file)
		return -ENODATA;
	ret = console_take(q, true, &nr);
	if (ret <= 0)
		return ret;
	if (!q->chain.in_len)
		return vq_violation(&q->vq, VMM_VQ_LENGTH);
	init_sync_kiocb(&iocb, cq->file);
	iov_iter_init(&iter, ITER_DEST, cq->iov, nr, q->chain.in_len);
	iov_iter_truncate(&iter, MAX_RW_COUNT);
	n = vdev_file_read(&iocb, &iter);
	if (n > 0)
		return console_put(q, n) ? : 1;
	vq_unget(&q->vq);
	if (n == -EAGAIN || n == -ENOMEM)
		return n;
	if (vdev_file_interrupted(n))
		return -EINTR;
	console_close(q, -n);
	return -ENODATA;
}

static bool console_serve(struct vdev_queue *q)
{
	struct console_queue *cq = q->priv;
	unsigned int left;
	int ret;

	q->poll_file = NULL;
	q->retry = 0;
	q->poll_events = q->index == CONSOLE_RX ? EPOLLIN : EPOLLOUT;
	if (vdev_notify(q, false))
		return false;
	for (left = CONSOLE_BATCH; left; left--) {
		ret = q->index == CONSOLE_RX ? console_receive(q) : console_send(q);
		if (!ret)
			ret = vdev_notify(q, true);
		if (ret == -EAGAIN)
			q->poll_file = cq->file;
		if (ret == -ENOMEM)
			q->retry = CONSOLE_RETRY;
		if (ret == -EINTR)
			return true;
		if (ret <= 0)
			return false;
	}
	return true;
}

/* nothing is ever in flight */
static void console_reap(struct vdev_queue *q, bool abandon)
{
}

/* ---- set-up ---- */

static u64 console_features(const struct vdev *dev)
{
	return VQ_FEATURES | BIT_ULL(VIRTIO_CONSOLE_F_SIZE);
}

static int console_start(struct vdev_queue *q)
{
	struct console *con = to_console(q->dev);
	struct console_queue *cq;

	cq = kzalloc(sizeof(*cq), GFP_KERNEL_ACCOUNT);
	if (!cq)
		return -ENOMEM;
	cq->iov = kvmalloc_array(VQ_MAX_SEGS(q->vq.size), sizeof(*cq->iov), GFP_KERNEL_ACCOUNT);
	if (!cq->iov) {
		kfree(cq);
		return -ENOMEM;
	}
	cq->file = con->file[q->index];
	if (q->index == CONSOLE_TX && !q->fresh)
		cq->sent = con->sent;
	q->priv = cq;
	return 0;
}

static void console_stop(struct vdev_queue *q)
{
	struct console_queue *cq = q->priv;

	if (q->index == CONSOLE_TX)
		to_console(q->dev)->sent = cq->sent;
	kvfree(cq->iov);
	kfree(cq);
	q->priv = NULL;
}

/*
 * A terminal, a pipe or the like, that never makes the worker sleep. Not a socket: its queue could
 * hold this device's own file, and then neither would ever be freed.
 */
static struct file *console_get_file(int fd, bool output)
{
	struct file *file;
	int ret = -EINVAL;

	if (fd == -1)
		return NULL;
	file = fget(fd);
	if (!file)
		return ERR_PTR(-EBADF);
	if (!S_ISCHR(file_inode(file)->i_mode) && !S_ISFIFO(file_inode(file)->i_mode))
		goto put;
	if (!(file->f_flags & O_NONBLOCK) || !file_can_poll(file))
		goto put;
	ret = -EBADF;
	if (output && (!(file->f_mode & FMODE_WRITE) || !file->f_op->write_iter))
		goto put;
	if (!output && (!(file->f_mode & FMODE_READ) || !file->f_op->read_iter))
		goto put;
	return file;
put:
	fput(file);
	return ERR_PTR(ret);
}

static void console_release(struct vdev *dev)
{
	struct console *con = to_console(dev);
	int i;

	for (i = 0; i < 2; i++) {
		if (con->file[i])
			fput(con->file[i]);
		con->file[i] = NULL;
	}
}

/* VMM_CONSOLE_SETUP */
static int console_setup(struct vdev *dev, void *arg)
{
	const struct vmm_console_setup *in = arg;
	struct console *con = to_console(dev);
	struct file *rx, *tx;
	int ret;

	if (dev->nr_queues)
		return -EBUSY;
	if (memchr_inv(in->pad, 0, sizeof(in->pad)))
		return -EINVAL;
	rx = console_get_file(in->in_fd, false);
	if (IS_ERR(rx))
		return PTR_ERR(rx);
	con->file[CONSOLE_RX] = rx;
	tx = console_get_file(in->out_fd, true);
	ret = PTR_ERR_OR_ZERO(tx);
	if (!ret) {
		con->file[CONSOLE_TX] = tx;
		ret = vdev_add_queues(dev, 2);
	}
	if (ret)
		console_release(dev);
	return ret;
}

static const struct vdev_ioctl console_ioctls[] = {
	{ VMM_CONSOLE_SETUP, true, console_setup },
	{}
};

const struct vdev_ops vdev_console_ops = {
	.name = "vmm-console",
	.type = VMM_DEVICE_CONSOLE,
	.size = sizeof(struct console),
	.ioctls = console_ioctls,
	.features = console_features,
	.start = console_start,
	.stop = console_stop,
	.serve = console_serve,
	.reap = console_reap,
	.release = console_release,
};
