// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's side of a virtio device.
 *
 *	          DRIVER_OK and bus master             kernel reports a broken ring
 *	STOPPED ---------------------------> RUNNING ------------------------------> BROKEN
 *	   ^                                  |   status |= NEEDS_RESET                |
 *	   +----- reset, bus master off ------+                                        |
 *	   +--------------------------------------- reset -----------------------------+
 *
 * STOP waits for requests that are under way, on a dead disk for ever. The mutex is dropped
 * meanwhile, so that the other vCPUs can read the device's registers and its interrupts are heard.
 */
#include "virtio_dev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "host.h"

#define ISR_QUEUE	1
#define ISR_CONFIG	2

#define DEFAULT_QUEUE_SIZE 256
#define END_MS		5000
#define LAST_STOP_MS	500
#define COMPLAIN_NS	(60 * NSEC_PER_SEC)

static bool vm_ended(const struct virtio_dev *v)
{
	return atomic_load(&v->ending) || atomic_load(&v->pci.vm->status) >= 0;
}

/* A guest must not be able to fill the user's screen. */
static bool may_complain(struct virtio_dev *v)
{
	uint64_t now = clock_ns();

	if (v->complained && now - v->complained < COMPLAIN_NS)
		return false;
	v->complained = now;
	return true;
}

static void complain(struct virtio_dev *v, const char *what, int err)
{
	if (may_complain(v))
		warn("%s (PCI slot %u): %s: %s", v->name, v->pci.slot, what, strerror(err));
}

/* A signal may interrupt the wait for the device's lock in the kernel. Not for STOP and WORK. */
static int dev_ioctl(const struct virtio_dev *v, unsigned long cmd, void *arg)
{
	int ret;

	do {
		ret = vmm_ioctl(v->fd, cmd, arg);
	} while (ret == -EINTR);
	return ret;
}

static void init_state(struct virtio_dev *v)
{
	uint16_t size = DEFAULT_QUEUE_SIZE;
	unsigned int i;

	if (size > v->info.max_queue_size)
		size = v->info.max_queue_size;
	v->status = 0;
	v->isr = 0;
	v->device_select = 0;
	v->driver_select = 0;
	v->driver_features = 0;
	v->config_vector = VMM_DEV_NO_VECTOR;
	v->queue_select = 0;
	for (i = 0; i < v->info.queues; i++)
		v->queue[i] = (struct virtio_queue){ .size = size, .vector = VMM_DEV_NO_VECTOR };
}

void virtio_dev_wait(struct virtio_dev *v)
{
	while (v->stopping)
		pthread_cond_wait(&v->idle, &v->pci.lock);
}

static void set_port(struct virtio_dev *v)
{
	struct vmm_dev_notify arg = {
		.addr = v->port,
		.len = v->port_len,
		.flags = VMM_DEV_NOTIFY_PIO,
	};

	if (!v->port_changed)
		return;
	v->port_changed = false;
	/* refused: notifications come to us, and are served slowly */
	dev_ioctl(v, VMM_DEV_SET_NOTIFY, &arg);
}

/* while another thread stops the device the kernel would let us wait, with the mutex held */
void virtio_dev_set_port(struct virtio_dev *v, uint64_t port, uint32_t len)
{
	v->port = port;
	v->port_len = len;
	v->port_changed = true;
	if (!v->stopping)
		set_port(v);
}

static int stop(struct virtio_dev *v)
{
	int ret;

	v->stopping = true;
	pthread_mutex_unlock(&v->pci.lock);
	do {
		ret = vmm_ioctl(v->fd, VMM_DEV_STOP, NULL);
	} while (ret == -EINTR && !vm_ended(v));
	pthread_mutex_lock(&v->pci.lock);
	v->stopping = false;
	set_port(v);
	if (!ret)
		v->running = false;
	else if (ret != -EINTR)
		complain(v, "cannot be stopped", -ret);
	pthread_cond_broadcast(&v->idle);
	return ret;
}

static int set_queue(struct virtio_dev *v, unsigned int index)
{
	const struct virtio_queue *q = &v->queue[index];
	struct vmm_dev_queue arg = { .index = index, .vector = VMM_DEV_NO_VECTOR };

	if (q->enabled) {
		arg.size = q->size;
		arg.vector = q->vector;
		arg.desc = q->desc;
		arg.avail = q->avail;
		arg.used = q->used;
		arg.next_avail = q->next_avail;
		arg.next_used = q->next_used;
	}
	return dev_ioctl(v, VMM_DEV_SET_QUEUE, &arg);
}

static int start(struct virtio_dev *v)
{
	/* the rest of what was agreed on concerns the configuration space only */
	struct vmm_dev_features arg = { .features = v->driver_features & v->info.features };
	unsigned int i;
	int ret;

	ret = dev_ioctl(v, VMM_DEV_SET_FEATURES, &arg);
	for (i = 0; !ret && i < v->info.queues; i++)
		ret = set_queue(v, i);
	if (!ret)
		ret = dev_ioctl(v, VMM_DEV_START, NULL);
	v->running = !ret;
	return ret;
}

/* where a stopped device has to go on */
static int save_queues(struct virtio_dev *v)
{
	unsigned int i;
	int ret;

	for (i = 0; i < v->info.queues; i++) {
		struct vmm_dev_queue arg = { .index = i };

		if (!v->queue[i].enabled)
			continue;
		ret = dev_ioctl(v, VMM_DEV_GET_QUEUE, &arg);
		if (ret)
			return ret;
		v->queue[i].next_avail = arg.next_avail;
		v->queue[i].next_used = arg.next_used;
	}
	return 0;
}

static bool wants_to_run(const struct virtio_dev *v)
{
	return (v->status & VIRTIO_CONFIG_S_DRIVER_OK) &&
	       (pci_command(&v->pci) & PCI_CMD_MASTER);
}

void virtio_dev_sync(struct virtio_dev *v)
{
	int ret = 0;

	virtio_dev_wait(v);
	if (v->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	if (wants_to_run(v) && !v->running) {
		ret = start(v);
	} else if (!wants_to_run(v) && v->running) {
		ret = stop(v);
		ret = ret ?: save_queues(v);
		if (ret == -EINTR)
			return;
	}
	if (ret) {
		complain(v, "the guest's set-up is refused", -ret);
		virtio_dev_needs_reset(v);
	}
}

void virtio_dev_reset(struct virtio_dev *v)
{
	virtio_dev_wait(v);
	if (v->running && stop(v))
		return;
	init_state(v);
	virtio_dev_set_msix(v);
	pci_set_intx(&v->pci, false);
}

/* A device that starts looks at all its queues; no other call makes the kernel look. */
void virtio_dev_notify(struct virtio_dev *v)
{
	virtio_dev_wait(v);
	if (!v->running || (v->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return;
	if (!stop(v) && !save_queues(v))
		virtio_dev_sync(v);
}

void virtio_dev_set_vector(struct virtio_dev *v, unsigned int index)
{
	const struct pci_msix_entry *entry = &v->pci.msix.entry[index];
	struct vmm_dev_vector arg = {
		.index = index,
		.flags = entry->control & PCI_MSIX_MASKED ? VMM_DEV_VECTOR_MASKED : 0,
		.addr = entry->addr,
		.data = entry->data,
	};

	dev_ioctl(v, VMM_DEV_SET_VECTOR, &arg);
}

void virtio_dev_set_msix(struct virtio_dev *v)
{
	struct vmm_dev_msix arg = {
		.config_vector = v->config_vector,
		.intx_fd = v->intx_fd,
	};

	if (pci_msix_enabled(&v->pci))
		arg.flags |= VMM_DEV_MSIX_ENABLED;
	if (pci_msix_masked(&v->pci))
		arg.flags |= VMM_DEV_MSIX_MASKED;
	dev_ioctl(v, VMM_DEV_SET_MSIX, &arg);
}

void virtio_dev_set_queue_vector(struct virtio_dev *v, unsigned int index)
{
	struct vmm_dev_queue arg = { .index = index };

	if (!v->running || dev_ioctl(v, VMM_DEV_GET_QUEUE, &arg))
		return;
	arg.vector = v->queue[index].vector;
	dev_ioctl(v, VMM_DEV_SET_QUEUE, &arg);
}

void virtio_dev_get_pending(struct virtio_dev *v, uint64_t *bits)
{
	struct vmm_dev_pending arg = {};

	if (dev_ioctl(v, VMM_DEV_GET_PENDING, &arg))
		return;
	bits[0] = arg.bits[0];
	bits[1] = arg.bits[1];
}

static void raise_isr(struct virtio_dev *v, uint8_t bit)
{
	v->isr |= bit;
	pci_set_intx(&v->pci, true);
}

/* before DRIVER_OK the driver must not be sent anything (virtio 1.2, 2.3) */
static void raise_config(struct virtio_dev *v)
{
	if (!(v->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	/* 1: MSI-X is off, and ISR is ours */
	if (dev_ioctl(v, VMM_DEV_RAISE_CONFIG, NULL) > 0)
		raise_isr(v, ISR_CONFIG);
}

void virtio_dev_needs_reset(struct virtio_dev *v)
{
	v->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	raise_config(v);
}

void virtio_dev_config_changed(struct virtio_dev *v)
{
	v->generation++;
	raise_config(v);
}

/* in the loop's thread: the kernel would have interrupted, but MSI-X is off */
static void on_intx(void *opaque, uint32_t events)
{
	struct virtio_dev *v = opaque;
	uint64_t count;

	(void)events;
	if (read(v->intx_fd, &count, sizeof(count)) != sizeof(count))
		return;
	pthread_mutex_lock(&v->pci.lock);
	/* what was on its way while the driver reset the device is not its affair any more */
	if (v->status & VIRTIO_CONFIG_S_DRIVER_OK)
		raise_isr(v, ISR_QUEUE);
	pthread_mutex_unlock(&v->pci.lock);
}

static const char *ring_error(uint32_t error)
{
	static const char * const text[] = {
		[VMM_VQ_OK] = "no error",
		[VMM_VQ_RING_ADDRESS] = "the ring is outside memory",
		[VMM_VQ_AVAIL_JUMP] = "the available index ran away",
		[VMM_VQ_HEAD_RANGE] = "a head index is out of range",
		[VMM_VQ_NEXT_RANGE] = "a next field is out of range",
		[VMM_VQ_CHAIN_LONG] = "a chain is a loop or too long",
		[VMM_VQ_ORDER] = "a readable descriptor follows a writable one",
		[VMM_VQ_INDIRECT] = "a malformed indirect table",
		[VMM_VQ_BUFFER] = "a buffer is outside memory",
		[VMM_VQ_LENGTH] = "a buffer is too short",
		[VMM_VQ_INDIRECT_OFF] = "an indirect table was not agreed on",
	};

	if (error < ARRAY_SIZE(text) && text[error])
		return text[error];
	return "an unknown error";
}

static void broken_ring(struct virtio_dev *v, const struct vmm_dev_events *ev)
{
	struct vmm_dev_info info = {};

	/* a reset is under way, or was since */
	if (v->stopping || dev_ioctl(v, VMM_DEV_GET_INFO, &info) || info.state != VMM_DEV_BROKEN)
		return;
	if (may_complain(v))
		warn("%s (PCI slot %u): the guest broke queue %u: %s; it waits for a reset",
		     v->name, v->pci.slot, ev->error_queue, ring_error(ev->error));
	virtio_dev_needs_reset(v);
}

/* in the loop's thread: the kernel has something to say */
static void on_event(void *opaque, uint32_t events)
{
	struct virtio_dev *v = opaque;
	struct vmm_dev_events ev = {};

	(void)events;
	pthread_mutex_lock(&v->pci.lock);
	if (dev_ioctl(v, VMM_DEV_GET_EVENTS, &ev)) {
		/* it would be reported again and again */
		loop_watch_del(v->loop, &v->event_watch);
	} else {
		if (ev.events & VMM_DEV_EVENT_HOST_ERROR)
			complain(v, "I/O on the host fails", ev.host_errno);
		if (ev.events & VMM_DEV_EVENT_NEEDS_RESET)
			broken_ring(v, &ev);
	}
	pthread_mutex_unlock(&v->pci.lock);
}

static void *worker_thread(void *arg)
{
	struct virtio_worker *w = arg;
	struct virtio_dev *v = w->v;
	int ret;

	do {
		struct vmm_dev_work work = { .role = w->role, .index = w->index };

		ret = vmm_ioctl(v->fd, VMM_DEV_WORK, &work);
	} while ((!ret || ret == -EINTR) && !atomic_load(&v->ending));
	if (ret && ret != -EINTR && ret != -ESHUTDOWN)
		warn("%s (PCI slot %u): a worker thread ended, requests may hang: %s", v->name,
		     v->pci.slot, strerror(-ret));
	return NULL;
}

static int start_worker(struct virtio_dev *v, uint32_t role, unsigned int nr)
{
	struct virtio_worker *w = &v->worker[v->nr_workers];
	char name[16];
	int ret;

	w->v = v;
	w->role = role;
	w->index = role == VMM_DEV_WORK_QUEUE ? nr : 0;
	snprintf(name, sizeof(name), "%s%u-%c%u", v->name + strlen("virtio-"), v->pci.slot % 100,
		 role == VMM_DEV_WORK_QUEUE ? 'q' : 'b', nr % 100);
	ret = thread_start(&w->thread, name, worker_thread, w);
	w->started = !ret;
	v->nr_workers++;
	return ret;
}

int virtio_dev_open(struct virtio_dev *v, struct vm *vm, const char *name, uint32_t type,
		    unsigned long setup, void *arg)
{
	struct vmm_create_device create = { .type = type };
	int ret;

	v->name = name;
	v->intx_fd = -1;
	v->fd = vmm_ioctl(vm->fd, VMM_CREATE_DEVICE, &create);
	if (v->fd < 0)
		return v->fd;
	ret = dev_ioctl(v, setup, arg);
	ret = ret ?: dev_ioctl(v, VMM_DEV_GET_INFO, &v->info);
	if (!ret && (!v->info.queues || v->info.queues > VMM_DEV_MAX_QUEUES ||
		     !v->info.max_queue_size || v->info.max_queue_size > 32768))
		ret = -EPROTO;
	if (ret) {
		close(v->fd);
		return ret;
	}
	pthread_cond_init(&v->idle, NULL);
	init_state(v);
	return 0;
}

int virtio_dev_run(struct virtio_dev *v, unsigned int blocking)
{
	unsigned int i;
	int ret = 0;

	v->intx_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->intx_fd < 0)
		return -errno;
	pthread_mutex_lock(&v->pci.lock);
	virtio_dev_set_msix(v);
	pthread_mutex_unlock(&v->pci.lock);
	v->intx_watch = (struct loop_watch){ v->intx_fd, on_intx, v };
	v->event_watch = (struct loop_watch){ v->fd, on_event, v };
	ret = loop_watch_add(v->loop, &v->intx_watch, EPOLLIN);
	ret = ret ?: loop_watch_add(v->loop, &v->event_watch, EPOLLIN);
	for (i = 0; !ret && i < v->info.queues; i++)
		ret = start_worker(v, VMM_DEV_WORK_QUEUE, i);
	for (i = 0; !ret && i < blocking; i++)
		ret = start_worker(v, VMM_DEV_WORK_BLOCKING, i);
	return ret;
}

static void *last_stop_thread(void *arg)
{
	struct virtio_dev *v = arg;
	int ret;

	do {
		ret = vmm_ioctl(v->fd, VMM_DEV_STOP, NULL);
	} while (ret == -EINTR && !atomic_load(&v->hopeless));
	return NULL;
}

/*
 * The close of a device waits, deaf to signals, for what is in flight, and direct I/O is so without
 * a thread that would be seen to hang.
 */
static int last_stop(struct virtio_dev *v)
{
	pthread_t thread;
	struct timespec ts;

	if (thread_start(&thread, "last-stop", last_stop_thread, v))
		return 0;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += END_MS / 1000;
	if (!pthread_timedjoin_np(thread, NULL, &ts))
		return 0;
	atomic_store(&v->hopeless, true);
	thread_end(thread, LAST_STOP_MS);
	return -ETIMEDOUT;
}

/* A dead disk may hold many threads: they have until @end together, and one more look each. */
static int end_workers(struct virtio_dev *v, uint64_t end)
{
	uint64_t now;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < v->nr_workers; i++) {
		if (!v->worker[i].started)
			continue;
		now = clock_ns();
		if (thread_end(v->worker[i].thread, now < end ? (end - now) / 1000000 : 0))
			ret = -ETIMEDOUT;
	}
	return ret;
}

int virtio_dev_end(struct virtio_dev *v)
{
	uint64_t end = clock_ns() + (END_MS + LAST_STOP_MS) * 1000000ull;
	int ret, hung;

	atomic_store(&v->ending, true);
	/* a vCPU's thread may still hang in STOP */
	pthread_mutex_lock(&v->pci.lock);
	ret = v->stopping ? -ETIMEDOUT : 0;
	pthread_mutex_unlock(&v->pci.lock);
	/* before the threads go: they do what is left */
	if (!ret && v->running)
		ret = last_stop(v);
	dev_ioctl(v, VMM_DEV_QUIT, NULL);
	hung = end_workers(v, end);
	ret = ret ?: hung;
	if (v->intx_fd >= 0) {
		loop_watch_del(v->loop, &v->intx_watch);
		loop_watch_del(v->loop, &v->event_watch);
		close(v->intx_fd);
	}
	/* a thread that hangs still uses it */
	if (!ret) {
		close(v->fd);
		pthread_cond_destroy(&v->idle);
	}
	return ret;
}
