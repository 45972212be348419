// SPDX-License-Identifier: GPL-2.0
/*
 * vmm_virtio.ko: virtio devices whose rings are served in the kernel. This file is the module, the
 * device's file, its ioctls and its states:
 *
 *		       START				 a ring rule broken
 *	SETUP --------------------------> RUNNING --------------------------> BROKEN
 *	  ^				     |				        |
 *	  |  all requests are over	     | STOP			        | STOP
 *	  +-------------------------- (draining) <----------------------------+
 *
 * draining is not a state of its own to userland: a STOP that a signal interrupted leaves the
 * device RUNNING or BROKEN, but nothing new is taken, and STOP is to be called again.
 */
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "virtio.h"

/* largest argument of an ioctl */
#define ARG_MAX_SIZE	64

/* ---- services for the backends ---- */

/**
 * vdev_add_queues() - give a device its queues, once
 * @dev: the device
 * @nr: how many, 1 .. VMM_DEV_MAX_QUEUES
 *
 * Context: dev->lock, or before the device is visible.
 *
 * Return: 0 or -ENOMEM.
 */
int vdev_add_queues(struct vdev *dev, unsigned int nr)
{
	struct vdev_queue *q;
	unsigned int i;

	dev->queues = kvcalloc(nr, sizeof(*q), GFP_KERNEL_ACCOUNT);
	if (!dev->queues)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		q = &dev->queues[i];
		q->dev = dev;
		q->index = i;
		q->vector = VMM_DEV_NO_VECTOR;
		mutex_init(&q->mutex);
		init_llist_head(&q->done);
		init_waitqueue_head(&q->wait);
	}
	smp_store_release(&dev->nr_queues, nr);	/* the queues are complete */
	return 0;
}

/**
 * vdev_host_error() - tell userland that the host side failed
 * @dev: the device
 * @error: positive errno
 */
void vdev_host_error(struct vdev *dev, int error)
{
	spin_lock(&dev->event_lock);
	dev->events.events |= VMM_DEV_EVENT_HOST_ERROR;
	dev->events.host_errno = error;
	spin_unlock(&dev->event_lock);
	wake_up(&dev->event_wait);
}

static struct vdev_queue *queue_of(struct vdev *dev, u32 index)
{
	unsigned int nr = smp_load_acquire(&dev->nr_queues);	/* pairs with vdev_add_queues() */

	return index < nr ? &dev->queues[array_index_nospec(index, nr)] : NULL;
}

/* ---- notifications (virtio 1.2, 4.1.4.4) ---- */

static int notify_write(struct vmm_io_dev *io, u64 addr, unsigned int len, const void *data)
{
	struct vdev *dev = container_of(io, struct vdev_notify, io)->dev;
	struct vdev_queue *q;
	__le16 index;

	if (len != 2 && len != 4)
		return -EOPNOTSUPP;
	vmm_vm_stat_add(dev->vm, VMM_STAT_NOTIFY, 1);
	memcpy(&index, data, sizeof(index));
	q = queue_of(dev, le16_to_cpu(index));
	if (q && vdev_may_serve(dev))
		vdev_kick(q);
	return 0;
}

static const struct vmm_io_ops notify_ops = {
	.write = notify_write,
};

static void notify_off(struct vdev *dev)
{
	struct vdev_notify *old = dev->notify;

	if (!old)
		return;
	vmm_io_unregister(dev->vm, old->bus, &old->io);
	kfree(old);
	dev->notify = NULL;
}

/* Where notifications arrive becomes @new, or stays as it was. */
static int notify_move(struct vdev *dev, struct vdev_notify *new)
{
	struct vdev_notify *old = dev->notify;
	int ret;

	if (old && old->bus == new->bus) {
		ret = vmm_io_replace(dev->vm, new->bus, &old->io, &new->io);
		if (!ret)
			kfree(old);
	} else {
		ret = vmm_io_register(dev->vm, new->bus, &new->io);
		if (!ret)
			notify_off(dev);
	}
	if (!ret)
		dev->notify = new;
	return ret;
}

static int set_notify(struct vdev *dev, void *arg)
{
	const struct vmm_dev_notify *in = arg;
	enum vmm_bus bus = in->flags & VMM_DEV_NOTIFY_PIO ? VMM_BUS_PIO : VMM_BUS_MMIO;
	struct vdev_notify *new;
	int ret;

	if (in->flags & ~VMM_DEV_NOTIFY_PIO || in->addr + in->len < in->addr)
		return -EINVAL;
	if (bus == VMM_BUS_PIO && in->addr + in->len > 0x10000)
		return -EINVAL;
	if (!in->len) {
		notify_off(dev);
		return 0;
	}
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->dev = dev;
	new->bus = bus;
	new->io.ops = &notify_ops;
	new->io.addr = in->addr;
	new->io.len = in->len;
	ret = notify_move(dev, new);
	if (ret)
		kfree(new);
	return ret;
}

/* ---- ioctls ---- */

static int get_info(struct vdev *dev, void *arg)
{
	struct vmm_dev_info *out = arg;

	out->type = dev->ops->type;
	out->queues = smp_load_acquire(&dev->nr_queues);	/* pairs with vdev_add_queues() */
	out->features = dev->ops->features(dev);
	out->max_queue_size = VMM_DEV_MAX_QUEUE_SIZE;
	out->state = READ_ONCE(dev->state);
	return 0;
}

static int set_features(struct vdev *dev, void *arg)
{
	const struct vmm_dev_features *in = arg;

	if (dev->state != VMM_DEV_SETUP)
		return -EBUSY;
	if (in->pad || in->features & ~dev->ops->features(dev) ||
	    !(in->features & BIT_ULL(VIRTIO_F_VERSION_1)))
		return -EINVAL;
	dev->features = in->features;
	return 0;
}

static int set_queue(struct vdev *dev, void *arg)
{
	const struct vmm_dev_queue *in = arg;
	struct vdev_queue *q = queue_of(dev, in->index);

	if (!q || in->pad)
		return -EINVAL;
	if (in->vector >= VMM_DEV_MAX_VECTORS && in->vector != VMM_DEV_NO_VECTOR)
		return -EINVAL;
	if (dev->state != VMM_DEV_SETUP) {
		if (in->size != q->cfg.size || in->desc != q->cfg.desc ||
		    in->avail != q->cfg.avail || in->used != q->cfg.used)
			return -EBUSY;
	} else {
		if (vq_check_config(in))
			return -EINVAL;
		q->cfg = *in;
		q->fresh = true;
	}
	WRITE_ONCE(q->vector, in->vector);
	return 0;
}

static int get_queue(struct vdev *dev, void *arg)
{
	struct vmm_dev_queue *io = arg;
	struct vdev_queue *q = queue_of(dev, io->index);

	if (!q || io->pad)
		return -EINVAL;
	*io = q->cfg;
	io->index = q->index;
	io->vector = READ_ONCE(q->vector);
	if (dev->state != VMM_DEV_SETUP && io->size) {
		io->next_avail = READ_ONCE(q->vq.next_avail);
		io->next_used = READ_ONCE(q->vq.published);
	}
	return 0;
}

static int get_events(struct vdev *dev, void *arg)
{
	spin_lock(&dev->event_lock);
	*(struct vmm_dev_events *)arg = dev->events;
	memset(&dev->events, 0, sizeof(dev->events));
	spin_unlock(&dev->event_lock);
	return 0;
}

/* Context: dev->lock; nothing is in flight. */
static void queues_stop(struct vdev *dev, unsigned int nr)
{
	struct vdev_queue *q;

	while (nr--) {
		q = &dev->queues[nr];
		mutex_lock(&q->mutex);
		if (q->vq.size) {
			dev->ops->stop(q);
			q->cfg.next_avail = q->vq.next_avail;
			q->cfg.next_used = q->vq.published;
			q->vq.size = 0;
			q->fresh = false;
			kvfree(q->chain.seg);
			q->chain.seg = NULL;
		}
		mutex_unlock(&q->mutex);
	}
}

/* Context: q->mutex */
static int queue_start(struct vdev_queue *q)
{
	const struct vmm_dev_queue *cfg = &q->cfg;
	int ret;

	if (!cfg->size)
		return 0;
	q->chain.seg = kvmalloc_array(VQ_MAX_SEGS(cfg->size), sizeof(*q->chain.seg),
				      GFP_KERNEL_ACCOUNT);
	if (!q->chain.seg)
		return -ENOMEM;
	vq_start(&q->vq, q->dev->vm, cfg, q->dev->features);
	ret = q->dev->ops->start(q);
	if (ret) {
		q->vq.size = 0;
		kvfree(q->chain.seg);
		q->chain.seg = NULL;
	}
	return ret;
}

static int dev_start(struct vdev *dev, void *arg)
{
	unsigned int i;
	int ret;

	if (dev->state != VMM_DEV_SETUP)
		return -EBUSY;
	if (!dev->nr_queues || !dev->features)
		return -EINVAL;
	for (i = 0; i < dev->nr_queues; i++) {
		mutex_lock(&dev->queues[i].mutex);
		ret = queue_start(&dev->queues[i]);
		mutex_unlock(&dev->queues[i].mutex);
		if (ret) {
			queues_stop(dev, i);
			return ret;
		}
	}

	/* a violation of the last life is not one of this */
	spin_lock(&dev->event_lock);
	dev->events.events &= ~VMM_DEV_EVENT_NEEDS_RESET;
	dev->events.error = 0;
	dev->events.error_queue = 0;
	spin_unlock(&dev->event_lock);

	WRITE_ONCE(dev->state, VMM_DEV_RUNNING);
	vdev_kick_all(dev);	/* what was made available before */
	return 0;
}

static int dev_stop(struct vdev *dev, void *arg)
{
	int ret;

	if (dev->state == VMM_DEV_SETUP)
		return 0;
	ret = vdev_drain(dev);
	if (ret)
		return ret;
	queues_stop(dev, dev->nr_queues);
	WRITE_ONCE(dev->state, VMM_DEV_SETUP);
	WRITE_ONCE(dev->draining, false);
	return 0;
}

static const struct vdev_ioctl core_ioctls[] = {
	{ VMM_DEV_GET_INFO,	true,	get_info },
	{ VMM_DEV_SET_FEATURES,	true,	set_features },
	{ VMM_DEV_SET_QUEUE,	true,	set_queue },
	{ VMM_DEV_GET_QUEUE,	true,	get_queue },
	{ VMM_DEV_SET_NOTIFY,	true,	set_notify },
	{ VMM_DEV_SET_VECTOR,	false,	vdev_set_vector },
	{ VMM_DEV_SET_MSIX,	false,	vdev_set_msix },
	{ VMM_DEV_GET_PENDING,	false,	vdev_get_pending },
	{ VMM_DEV_GET_EVENTS,	false,	get_events },
	{ VMM_DEV_START,	true,	dev_start },
	{ VMM_DEV_STOP,		true,	dev_stop },
	{ VMM_DEV_WORK,		false,	vdev_work },
	{ VMM_DEV_QUIT,		false,	vdev_quit },
	{ VMM_DEV_RAISE_CONFIG,	false,	vdev_raise_config },
	{}
};

static const struct vdev_ioctl *find_ioctl(const struct vdev_ioctl *op, unsigned int cmd)
{
	for (; op->fn; op++)
		if (op->cmd == cmd)
			return op;
	return NULL;
}

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	u64 buf[ARG_MAX_SIZE / sizeof(u64)] = {};
	struct vdev *dev = file->private_data;
	const struct vdev_ioctl *op;
	int ret;

	BUILD_BUG_ON(sizeof(struct vmm_blk_setup) > sizeof(buf));
	BUILD_BUG_ON(sizeof(struct vmm_dev_queue) > sizeof(buf));

	ret = vmm_check_mm(dev->vm);
	if (ret)
		return ret;
	op = find_ioctl(core_ioctls, cmd);
	if (!op)
		op = find_ioctl(dev->ops->ioctls, cmd);
	if (!op)
		return -ENOTTY;
	if (_IOC_DIR(cmd) == _IOC_NONE && arg)
		return -EINVAL;
	if ((_IOC_DIR(cmd) & _IOC_WRITE) && copy_from_user(buf, (void __user *)arg, _IOC_SIZE(cmd)))
		return -EFAULT;
	if (op->locked) {
		ret = mutex_lock_interruptible(&dev->lock);
		if (ret)
			return ret;
	}
	ret = op->fn(dev, buf);
	if (op->locked)
		mutex_unlock(&dev->lock);
	if (ret >= 0 && (_IOC_DIR(cmd) & _IOC_READ) &&
	    copy_to_user((void __user *)arg, buf, _IOC_SIZE(cmd)))
		return -EFAULT;
	return ret;
}

static __poll_t dev_poll(struct file *file, poll_table *wait)
{
	struct vdev *dev = file->private_data;

	poll_wait(file, &dev->event_wait, wait);
	return READ_ONCE(dev->events.events) ? EPOLLIN | EPOLLRDNORM : 0;
}

/* ---- birth and death ---- */

/*
 * Requests whose I/O is under way hold host pages and this device: wait for them, as the kernel's
 * own aio does. Nobody else is left, and perhaps no address space.
 */
static void release_requests(struct vdev *dev)
{
	struct vdev_job *job, *next;
	struct vdev_queue *q;

	WRITE_ONCE(dev->releasing, true);
	WRITE_ONCE(dev->draining, true);
	smp_mb();	/* pairs with vdev_done() */

	/* no thread is left that could run or add one */
	list_for_each_entry_safe(job, next, &dev->jobs, node) {
		list_del(&job->node);
		job->cancel(job);
	}
	for (q = dev->queues; q < dev->queues + dev->nr_queues; q++) {
		mutex_lock(&q->mutex);
		while (q->inflight) {
			wait_event(dev->drain, !llist_empty(&q->done));
			dev->ops->reap(q, true);
		}
		mutex_unlock(&q->mutex);
	}
	queues_stop(dev, dev->nr_queues);
}

static int dev_release(struct inode *inode, struct file *file)
{
	struct vdev *dev = file->private_data;
	struct vmm_vm *vm = dev->vm;

	notify_off(dev);
	release_requests(dev);
	synchronize_rcu();	/* vdev_done() is through with the queues */
	dev->ops->release(dev);
	vdev_vectors_release(dev);
	kvfree(dev->queues);
	kfree(dev);
	vmm_vm_put(vm);
	return 0;
}

static const struct file_operations dev_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = dev_poll,
	.release = dev_release,
	.llseek = noop_llseek,
};

static int dev_create(struct vmm_vm *vm, const struct vmm_create_device *arg,
		      const struct vdev_ops *ops)
{
	struct vdev *dev;
	int fd;

	if (arg->flags || memchr_inv(arg->pad, 0, sizeof(arg->pad)))
		return -EINVAL;
	dev = kzalloc(ops->size, GFP_KERNEL_ACCOUNT);
	if (!dev)
		return -ENOMEM;
	dev->ops = ops;
	dev->vm = vm;
	mutex_init(&dev->lock);
	init_waitqueue_head(&dev->drain);
	vdev_vectors_init(dev);
	spin_lock_init(&dev->event_lock);
	init_waitqueue_head(&dev->event_wait);
	spin_lock_init(&dev->job_lock);
	INIT_LIST_HEAD(&dev->jobs);
	init_waitqueue_head(&dev->job_wait);

	vmm_vm_get(vm);
	fd = anon_inode_getfd(ops->name, &dev_fops, dev, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		vmm_vm_put(vm);
		kfree(dev);
	}
	return fd;
}

static int blk_create(struct vmm_vm *vm, const struct vmm_create_device *arg)
{
	return dev_create(vm, arg, &vdev_blk_ops);
}

static int console_create(struct vmm_vm *vm, const struct vmm_create_device *arg)
{
	return dev_create(vm, arg, &vdev_console_ops);
}

static struct vmm_device_type types[] = {
	{ .type = VMM_DEVICE_BLK, .owner = THIS_MODULE, .create = blk_create },
	{ .type = VMM_DEVICE_CONSOLE, .owner = THIS_MODULE, .create = console_create },
};

static void types_unregister(size_t nr)
{
	while (nr--)
		vmm_unregister_device_type(&types[nr]);
}

static int __init vmm_virtio_init(void)
{
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		ret = vmm_register_device_type(&types[i]);
		if (ret) {
			types_unregister(i);
			return ret;
		}
	}
	return 0;
}

static void __exit vmm_virtio_exit(void)
{
	types_unregister(ARRAY_SIZE(types));
}

module_init(vmm_virtio_init);
module_exit(vmm_virtio_exit);

MODULE_DESCRIPTION("vmm: virtio block and console devices");
MODULE_LICENSE("GPL");
