// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctl boundary; see kernel.h. Wrapped at link time around vmm_ioctl().
 */
#include "kernel.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "wrap.h"

struct fake_kernel kernel = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.cond = PTHREAD_COND_INITIALIZER,
};

void kernel_reset(void)
{
	pthread_mutex_lock(&kernel.lock);
	kernel.nr_msi = 0;
	kernel.msi_error = 0;
	kernel.lint0 = false;
	kernel.lint_changes = 0;
	kernel.gpa_bits = 40;
	kernel.nr_devices = 0;
	memset(kernel.device, 0, sizeof(kernel.device));
	pthread_mutex_unlock(&kernel.lock);
}

static struct fake_device *find(int fd)
{
	unsigned int i;

	for (i = 0; i < kernel.nr_devices; i++)
		if (kernel.device[i].fd == fd)
			return &kernel.device[i];
	return NULL;
}

static int create_device(uint32_t type)
{
	struct fake_device *d = &kernel.device[kernel.nr_devices];
	unsigned int i;

	if (kernel.nr_devices == FAKE_DEVICES)
		return -ENODEV;
	memset(d, 0, sizeof(*d));
	d->type = type;
	d->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->msix.config_vector = VMM_DEV_NO_VECTOR;
	d->offered = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |
		     1ull << VIRTIO_RING_F_EVENT_IDX;
	for (i = 0; i < VMM_DEV_MAX_VECTORS; i++)
		d->vector[i].flags = VMM_DEV_VECTOR_MASKED;
	kernel.nr_devices++;
	return d->fd;
}

static int set_queue(struct fake_device *d, const struct vmm_dev_queue *q)
{
	if (q->index >= d->nr_queues || q->pad)
		return -EINVAL;
	if (q->size > VMM_DEV_MAX_QUEUE_SIZE || (q->size & (q->size - 1)))
		return -EINVAL;
	if (q->size && ((q->desc & 15) || (q->avail & 1) || (q->used & 3)))
		return -EINVAL;
	if (d->state != VMM_DEV_SETUP) {
		const struct vmm_dev_queue *old = &d->queue[q->index];

		if (q->size != old->size || q->desc != old->desc || q->avail != old->avail ||
		    q->used != old->used)
			return -EBUSY;
		d->queue[q->index].vector = q->vector;
		return 0;
	}
	d->queue[q->index] = *q;
	return 0;
}

static int start(struct fake_device *d)
{
	int err = d->fail_start;

	if (d->state != VMM_DEV_SETUP)
		return -EBUSY;
	d->fail_start = 0;
	if (err)
		return -err;
	if (!d->features)
		return -EINVAL;
	d->state = VMM_DEV_RUNNING;
	d->starts++;
	return 0;
}

static int stop(struct fake_device *d)
{
	if (d->interrupt_stop) {
		d->interrupt_stop--;
		return -EINTR;
	}
	d->stopping = true;
	pthread_cond_broadcast(&kernel.cond);
	while (d->hold_stop)
		pthread_cond_wait(&kernel.cond, &kernel.lock);
	d->stopping = false;
	d->state = VMM_DEV_SETUP;
	d->stops++;
	return 0;
}

static int work(struct fake_device *d, const struct vmm_dev_work *w)
{
	if (w->index >= (w->role == VMM_DEV_WORK_QUEUE ? d->nr_queues : 1))
		return -EINVAL;
	d->workers++;
	d->blocking += w->role == VMM_DEV_WORK_BLOCKING;
	pthread_cond_broadcast(&kernel.cond);
	while (!d->quit)
		pthread_cond_wait(&kernel.cond, &kernel.lock);
	return -ESHUTDOWN;
}

static int set_vector(struct fake_device *d, const struct vmm_dev_vector *v)
{
	if (v->index >= VMM_DEV_MAX_VECTORS || (v->flags & ~VMM_DEV_VECTOR_MASKED) || v->pad)
		return -EINVAL;
	d->vector[v->index] = *v;
	return 0;
}

static int get_events(struct fake_device *d, struct vmm_dev_events *ev)
{
	uint64_t count;

	*ev = d->events;
	memset(&d->events, 0, sizeof(d->events));
	if (read(d->fd, &count, sizeof(count)) < 0)
		return 0;
	return 0;
}

static int device_ioctl(struct fake_device *d, unsigned long cmd, void *arg)
{
	switch (cmd) {
	case VMM_BLK_SETUP:
		d->blk = *(struct vmm_blk_setup *)arg;
		d->nr_queues = d->blk.queues;
		return 0;
	case VMM_CONSOLE_SETUP:
		d->console = *(struct vmm_console_setup *)arg;
		d->nr_queues = 2;
		return 0;
	case VMM_DEV_GET_INFO:
		*(struct vmm_dev_info *)arg = (struct vmm_dev_info){
			.type = d->type, .queues = d->nr_queues, .features = d->offered,
			.max_queue_size = VMM_DEV_MAX_QUEUE_SIZE, .state = d->state,
		};
		return 0;
	case VMM_DEV_SET_FEATURES:
		if (d->state != VMM_DEV_SETUP)
			return -EBUSY;
		d->features = ((struct vmm_dev_features *)arg)->features;
		return d->features & ~d->offered ? -EINVAL : 0;
	case VMM_DEV_SET_QUEUE:
		return set_queue(d, arg);
	case VMM_DEV_GET_QUEUE:
		if (((struct vmm_dev_queue *)arg)->index >= d->nr_queues)
			return -EINVAL;
		*(struct vmm_dev_queue *)arg = d->queue[((struct vmm_dev_queue *)arg)->index];
		return 0;
	case VMM_DEV_SET_NOTIFY:
		d->notify = *(struct vmm_dev_notify *)arg;
		return 0;
	case VMM_DEV_SET_VECTOR:
		return set_vector(d, arg);
	case VMM_DEV_SET_MSIX:
		d->msix = *(struct vmm_dev_msix *)arg;
		return 0;
	case VMM_DEV_GET_PENDING:
		memcpy(((struct vmm_dev_pending *)arg)->bits, d->pending, sizeof(d->pending));
		return 0;
	case VMM_DEV_GET_EVENTS:
		return get_events(d, arg);
	case VMM_DEV_START:
		return start(d);
	case VMM_DEV_STOP:
		return stop(d);
	case VMM_DEV_WORK:
		return work(d, arg);
	case VMM_DEV_QUIT:
		d->quit = true;
		pthread_cond_broadcast(&kernel.cond);
		return 0;
	case VMM_DEV_RAISE_CONFIG:
		d->configs++;
		return !(d->msix.flags & VMM_DEV_MSIX_ENABLED);
	}
	return -ENOTTY;
}

static int signal_msi(const struct vmm_msi *msi)
{
	if (kernel.msi_error)
		return -kernel.msi_error;
	if (kernel.nr_msi < FAKE_MSIS)
		kernel.msi[kernel.nr_msi] = *msi;
	kernel.nr_msi++;
	return 1;
}

static int __ioctl(int fd, unsigned long cmd, void *arg)
{
	struct fake_device *d = find(fd);
	const struct vmm_lint *lint = arg;

	if (d)
		return device_ioctl(d, cmd, arg);
	switch (cmd) {
	case VMM_CHECK_CAP:
		return (uintptr_t)arg == VMM_CAP_GPA_BITS ? kernel.gpa_bits : 64;
	case VMM_CREATE_VM:
		return eventfd(0, EFD_CLOEXEC);
	case VMM_SET_MEM_REGION:
		return 0;
	case VMM_SIGNAL_MSI:
		return signal_msi(arg);
	case VMM_SET_LINT:
		kernel.lint_changes++;
		kernel.lint0 = lint->level;
		return lint->vcpu_id || lint->pin || lint->pad ? -EINVAL : 0;
	case VMM_CREATE_DEVICE:
		return create_device(((struct vmm_create_device *)arg)->type);
	}
	return -ENOTTY;
}

int __wrap_vmm_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret;

	pthread_mutex_lock(&kernel.lock);
	ret = __ioctl(fd, cmd, arg);
	pthread_mutex_unlock(&kernel.lock);
	return ret;
}

static void signal_fd(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;
}

void kernel_break_queue(struct fake_device *d, uint32_t queue, uint32_t error)
{
	pthread_mutex_lock(&kernel.lock);
	if (d->state == VMM_DEV_RUNNING)
		d->state = VMM_DEV_BROKEN;
	d->events.events |= VMM_DEV_EVENT_NEEDS_RESET;
	d->events.error = error;
	d->events.error_queue = queue;
	signal_fd(d->fd);
	pthread_mutex_unlock(&kernel.lock);
}

void kernel_interrupt(struct fake_device *d)
{
	pthread_mutex_lock(&kernel.lock);
	signal_fd(d->msix.intx_fd);
	pthread_mutex_unlock(&kernel.lock);
}

unsigned int kernel_msis(void)
{
	unsigned int nr;

	pthread_mutex_lock(&kernel.lock);
	nr = kernel.nr_msi;
	pthread_mutex_unlock(&kernel.lock);
	return nr;
}

bool kernel_wait_workers(struct fake_device *d, unsigned int workers)
{
	struct timespec ts;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 30;
	pthread_mutex_lock(&kernel.lock);
	while (d->workers < workers && !err)
		err = pthread_cond_timedwait(&kernel.cond, &kernel.lock, &ts);
	pthread_mutex_unlock(&kernel.lock);
	return !err;
}
