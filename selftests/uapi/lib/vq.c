// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's side of a virtio device; see vq.h.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "exec.h"
#include "vq.h"

struct t_dev *t_dev_new(struct t_vcpu *v, uint32_t type)
{
	struct vmm_create_device arg = { .type = type };
	struct t_dev *d = calloc(1, sizeof(*d));

	if (!d)
		t_die("out of memory");
	d->v = v;
	d->port = 0x1000;
	d->fd = t_ioctl(v->vm->fd, VMM_CREATE_DEVICE, &arg);
	if (d->fd < 0)
		t_die("VMM_CREATE_DEVICE type %u: %s", type, strerror(-d->fd));
	d->intx = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return d;
}

void t_vq_init(struct t_vq *q, struct t_vm *vm, unsigned int index, unsigned int size, uint64_t gpa,
	       uint16_t start)
{
	q->vm = vm;
	q->index = index;
	q->size = size;
	q->desc_gpa = gpa;
	q->avail_gpa = gpa + 16 * size;
	q->used_gpa = (q->avail_gpa + 6 + 2 * size + 3) & ~3ull;
	q->desc = t_gpa(vm, q->desc_gpa, 16 * size);
	q->avail = t_gpa(vm, q->avail_gpa, 6 + 2 * size);
	q->used = t_gpa(vm, q->used_gpa, 6 + 8 * size);
	memset(q->desc, 0, 16 * size);
	memset((void *)q->avail, 0, 6 + 2 * size);
	memset((void *)q->used, 0, 6 + 8 * size);
	q->avail[1] = q->used[1] = q->avail_idx = q->used_idx = start;
}

int t_vq_set(struct t_dev *d, unsigned int index)
{
	struct t_vq *q = &d->vq[index];
	struct vmm_dev_queue arg = {
		.index = index,
		.size = q->size,
		.vector = VMM_DEV_NO_VECTOR,
		.desc = q->desc_gpa,
		.avail = q->avail_gpa,
		.used = q->used_gpa,
		.next_avail = q->avail_idx,
		.next_used = q->used_idx,
	};

	return t_ioctl(d->fd, VMM_DEV_SET_QUEUE, &arg);
}

static void must(int r, const char *what)
{
	if (r < 0)
		t_die("%s: %s", what, strerror(-r));
}

void t_dev_prepare(struct t_dev *d, uint64_t features, unsigned int size, uint16_t start)
{
	struct vmm_dev_features f = { .features = features };
	struct vmm_dev_notify n = { .addr = d->port, .len = 4, .flags = VMM_DEV_NOTIFY_PIO };
	struct vmm_dev_msix m = { .config_vector = VMM_DEV_NO_VECTOR, .intx_fd = d->intx };

	must(t_ioctl(d->fd, VMM_DEV_SET_FEATURES, &f), "VMM_DEV_SET_FEATURES");
	must(t_ioctl(d->fd, VMM_DEV_SET_NOTIFY, &n), "VMM_DEV_SET_NOTIFY");
	must(t_ioctl(d->fd, VMM_DEV_SET_MSIX, &m), "VMM_DEV_SET_MSIX");
	t_vq_init(&d->vq[0], d->v->vm, 0, size, T_RING, start);
	must(t_vq_set(d, 0), "VMM_DEV_SET_QUEUE");
	d->queues = 1;
}

void t_dev_go(struct t_dev *d)
{
	unsigned int i;

	for (i = 0; i < d->queues; i++)
		t_dev_work(d, VMM_DEV_WORK_QUEUE, i);
	t_dev_work(d, VMM_DEV_WORK_BLOCKING, 0);
	must(t_ioctl(d->fd, VMM_DEV_START, NULL), "VMM_DEV_START");
}

uint32_t t_dev_state(struct t_dev *d)
{
	struct vmm_dev_info info = { 0 };

	must(t_ioctl(d->fd, VMM_DEV_GET_INFO, &info), "VMM_DEV_GET_INFO");
	return info.state;
}

static void *worker(void *arg)
{
	struct t_worker *w = arg;
	struct vmm_dev_work work = { .role = w->role, .index = w->index };
	int r;

	do {
		r = t_ioctl(w->dev->fd, VMM_DEV_WORK, &work);
	} while (r == -EINTR);
	w->result = r;
	w->ended = true;
	return NULL;
}

void t_dev_work(struct t_dev *d, uint32_t role, uint32_t index)
{
	struct t_worker *w = &d->worker[d->workers++];
	pthread_t id;

	w->dev = d;
	w->role = role;
	w->index = index;
	if (pthread_create(&id, NULL, worker, w))
		t_die("pthread_create failed");
	w->id = id;
}

void t_dev_quit(struct t_dev *d)
{
	unsigned int i;

	t_ioctl(d->fd, VMM_DEV_QUIT, NULL);
	for (i = 0; i < d->workers; i++)
		pthread_join(d->worker[i].id, NULL);
	d->workers = 0;
}

void t_vq_add(struct t_vq *q, uint16_t head)
{
	q->avail[2 + q->avail_idx % q->size] = head;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	q->avail[1] = ++q->avail_idx;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void t_vq_notify(struct t_dev *d, unsigned int index)
{
	struct t_exec x = {.mode = T_LONG,
			   .bytes = {0x66, 0xef},
			   .len = 2,
			   .gpr[VMM_RDX] = d->port,
			   .gpr[VMM_RAX] = index};

	t_exec(d->v, &x);
	if (!t_exec_completed(&x))
		t_die("notification: %s", t_exec_text(&x));
}

bool t_vq_wait(struct t_vq *q, uint16_t nr, unsigned int ms)
{
	uint64_t until = t_now_ns() + ms * 1000000ull;

	while ((uint16_t)(q->used[1] - q->used_idx) < nr) {
		if (t_now_ns() > until) {
			t_say("queue %u: used index %u, wanted %u", q->index, q->used[1],
			      (uint16_t)(q->used_idx + nr));
			return false;
		}
		t_sleep_ms(1);
	}
	return true;
}

uint32_t t_vq_used(struct t_vq *q, uint32_t *len)
{
	volatile uint32_t *e = (volatile uint32_t *)(q->used + 2) + 2 * (q->used_idx++ % q->size);

	if (len)
		*len = e[1];
	return e[0];
}

uint64_t t_intx(struct t_dev *d, unsigned int ms)
{
	struct pollfd p = { .fd = d->intx, .events = POLLIN };
	uint64_t n = 0;

	if (poll(&p, 1, ms) == 1 && read(d->intx, &n, 8) != 8)
		n = 0;
	return n;
}
