// SPDX-License-Identifier: GPL-2.0
/*
 * Every ioctl of a virtio device, and the serving of its requests, with each of the allocations
 * failing once: nothing is changed, nothing is lost, every request ends.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "exec.h"
#include "fail.h"
#include "harness.h"
#include "vq.h"

#define PORT_A	0x1000
#define PORT_B	0x1002		/* overlaps A */
#define PORT_C	0x2000
#define MMIO_C	0xd0000000ull
#define BUF	0xb00000ull
#define HEAD	0xa90000ull
#define STATUS	0xa80000ull
#define SECTORS	64

FIXTURE(faildev)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	struct t_dev *d;
	int file;
	int in[2], out[2];
	struct vmm_dev_notify notify;
};

typedef FIXTURE_DATA(faildev) ctx_t;

FIXTURE_SETUP(faildev)
{
	if ((t_cap(VMM_CAP_VIRTIO) & (1 << VMM_DEVICE_BLK | 1 << VMM_DEVICE_CONSOLE)) !=
	    (1 << VMM_DEVICE_BLK | 1 << VMM_DEVICE_CONSOLE))
		SKIP(return, "no devices here (vmm_virtio is not loaded)");
	t_fail_nth(0);
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	t_kicks();
	self->file = memfd_create("disk", MFD_CLOEXEC);
	ASSERT_EQ(0, ftruncate(self->file, 512 * SECTORS));
	ASSERT_EQ(0, pipe2(self->in, O_NONBLOCK | O_CLOEXEC));
	ASSERT_EQ(0, pipe2(self->out, O_NONBLOCK | O_CLOEXEC));
	self->d = t_dev_new(self->v, VMM_DEVICE_BLK);
}

FIXTURE_TEARDOWN(faildev)
{
}

static void must(int r, const char *what)
{
	if (r < 0)
		t_die("%s: %s", what, strerror(-r));
}

/* ---- set-up ---- */

static int call_blk_setup(void *ctx)
{
	ctx_t *c = ctx;
	const struct vmm_blk_setup s = { .fd = c->file, .capacity = SECTORS, .queues = 2 };

	return t_ioctl(c->d->fd, VMM_BLK_SETUP, &s);
}

static int call_console_setup(void *ctx)
{
	ctx_t *c = ctx;
	const struct vmm_console_setup s = { .in_fd = c->in[0], .out_fd = c->out[1] };

	return t_ioctl(c->d->fd, VMM_CONSOLE_SETUP, &s);
}

/* a device is set up once: take another */
static void another(ctx_t *c, uint32_t type)
{
	close(c->d->fd);
	close(c->d->intx);
	free(c->d);
	c->d = t_dev_new(c->v, type);
}

static void another_blk(void *ctx, int r)
{
	(void)r;
	another(ctx, VMM_DEVICE_BLK);
}

static void another_console(void *ctx, int r)
{
	(void)r;
	another(ctx, VMM_DEVICE_CONSOLE);
}

static bool has_no_queues(void *ctx)
{
	struct vmm_dev_info info = { 0 };

	must(t_ioctl(((ctx_t *)ctx)->d->fd, VMM_DEV_GET_INFO, &info), "VMM_DEV_GET_INFO");
	return !info.queues && info.state == VMM_DEV_SETUP;
}

TEST_F(faildev, set_up)
{
	const struct t_failing blk = { "VMM_BLK_SETUP", call_blk_setup, another_blk,
				       has_no_queues };
	const struct t_failing con = { "VMM_CONSOLE_SETUP", call_console_setup, another_console,
				       has_no_queues };
	char byte;

	EXPECT_LE(1, t_fail_each(&blk, self));
	another(self, VMM_DEVICE_CONSOLE);
	EXPECT_LE(1, t_fail_each(&con, self));

	/* no device holds the pipes any more */
	close(self->d->fd);
	close(self->in[0]);
	close(self->out[1]);
	EXPECT_EQ(0, read(self->out[0], &byte, 1));
	signal(SIGPIPE, SIG_IGN);
	EXPECT_EQ(-1, write(self->in[1], "", 1));
}

/* ---- notifications ---- */

static uint64_t notified(ctx_t *c)
{
	return t_stat(c->vm->fd, VMM_STAT_NOTIFY);
}

/* does the device take a write of the guest's there? Where the first address has nothing. */
static bool taken_at(ctx_t *c, const struct vmm_dev_notify *n)
{
	uint64_t addr = n->addr == PORT_A ? PORT_A : n->addr + 2;
	struct t_exec x = { .mode = T_PM32, .gpr[VMM_RDX] = addr, .gpr[VMM_RDI] = addr };
	static const uint8_t out[] = { 0x66, 0xef }, mov[] = { 0x66, 0x89, 0x07 };
	uint64_t before = notified(c);

	x.len = n->flags & VMM_DEV_NOTIFY_PIO ? sizeof(out) : sizeof(mov);
	memcpy(x.bytes, n->flags & VMM_DEV_NOTIFY_PIO ? out : mov, x.len);
	t_exec(c->v, &x);
	return notified(c) == before + 1 && x.exit == VMM_EXIT_HALT;
}

static const struct vmm_dev_notify at_a = { PORT_A, 4, VMM_DEV_NOTIFY_PIO };
static const struct vmm_dev_notify places[] = {
	{ PORT_B, 4, VMM_DEV_NOTIFY_PIO },	/* on the same bus, one over the other */
	{ PORT_C, 4, VMM_DEV_NOTIFY_PIO },
	{ MMIO_C, 4, 0 },
	{ 0, 0, 0 },				/* nowhere */
};

static int call_set_notify(void *ctx)
{
	ctx_t *c = ctx;

	return t_ioctl(c->d->fd, VMM_DEV_SET_NOTIFY, &c->notify);
}

static void notify_at_a(void *ctx, int r)
{
	(void)r;
	must(t_ioctl(((ctx_t *)ctx)->d->fd, VMM_DEV_SET_NOTIFY, &at_a), "VMM_DEV_SET_NOTIFY");
}

static void notify_off(void *ctx, int r)
{
	(void)r;
	must(t_ioctl(((ctx_t *)ctx)->d->fd, VMM_DEV_SET_NOTIFY, &places[3]),
	     "VMM_DEV_SET_NOTIFY");
}

static bool taken_at_a_only(void *ctx)
{
	ctx_t *c = ctx;

	return taken_at(c, &at_a) && (!c->notify.len || !taken_at(c, &c->notify));
}

static bool taken_nowhere(void *ctx)
{
	return !taken_at(ctx, &at_a);
}

TEST_F(faildev, set_notify)
{
	const struct t_failing on = { "first address", call_set_notify, notify_off,
				      taken_nowhere };
	const struct t_failing move = { "another address", call_set_notify, notify_at_a,
					taken_at_a_only };
	unsigned int i;

	self->notify = at_a;
	EXPECT_LE(2, t_fail_each(&on, self));
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		notify_at_a(self, 0);
		self->notify = places[i];
		EXPECT_LE(1, t_fail_each(&move, self));
		must(call_set_notify(self), "VMM_DEV_SET_NOTIFY");
		EXPECT_FALSE(taken_at(self, &at_a)) TH_LOG("place %u", i);
		if (self->notify.len)
			EXPECT_TRUE(taken_at(self, &self->notify)) TH_LOG("place %u", i);
	}
}

/* ---- life ---- */

static void prepare(ctx_t *c)
{
	must(call_blk_setup(c), "VMM_BLK_SETUP");
	t_dev_prepare(c->d, F_VERSION_1, 32, 0);
}

static int call_start(void *ctx)
{
	return t_ioctl(((ctx_t *)ctx)->d->fd, VMM_DEV_START, NULL);
}

static int call_stop(void *ctx)
{
	return t_ioctl(((ctx_t *)ctx)->d->fd, VMM_DEV_STOP, NULL);
}

static void stop(void *ctx, int r)
{
	(void)r;
	must(call_stop(ctx), "VMM_DEV_STOP");
}

static void start(void *ctx, int r)
{
	(void)r;
	must(call_start(ctx), "VMM_DEV_START");
}

static bool is_set_up(void *ctx)
{
	return t_dev_state(((ctx_t *)ctx)->d) == VMM_DEV_SETUP;
}

static bool is_running(void *ctx)
{
	return t_dev_state(((ctx_t *)ctx)->d) == VMM_DEV_RUNNING;
}

static int call_small_things(void *ctx)
{
	struct t_dev *d = ((ctx_t *)ctx)->d;
	const struct vmm_dev_msix msix = { .config_vector = VMM_DEV_NO_VECTOR,
					   .intx_fd = d->intx };
	const struct vmm_dev_vector vector = { .flags = VMM_DEV_VECTOR_MASKED };
	const struct vmm_dev_features f = { .features = F_VERSION_1 };
	struct vmm_dev_pending pending = { 0 };
	struct vmm_dev_events events = { 0 };
	struct vmm_dev_info info = { 0 };
	int r;

	r = t_ioctl(d->fd, VMM_DEV_GET_INFO, &info);
	if (r >= 0)
		r = t_ioctl(d->fd, VMM_DEV_SET_FEATURES, &f);
	if (r >= 0)
		r = t_vq_set(d, 0);
	if (r >= 0)
		r = t_ioctl(d->fd, VMM_DEV_SET_MSIX, &msix);
	if (r >= 0)
		r = t_ioctl(d->fd, VMM_DEV_SET_VECTOR, &vector);
	if (r >= 0)
		r = t_ioctl(d->fd, VMM_DEV_GET_PENDING, &pending);
	if (r >= 0)
		r = t_ioctl(d->fd, VMM_DEV_GET_EVENTS, &events);
	if (r >= 0)
		r = t_ioctl(d->fd, VMM_DEV_RAISE_CONFIG, NULL);
	return r;
}

TEST_F(faildev, life)
{
	const struct t_failing small = { "small things", call_small_things, NULL, is_set_up };
	const struct t_failing go = { "VMM_DEV_START", call_start, stop, is_set_up };
	const struct t_failing halt = { "VMM_DEV_STOP", call_stop, start, is_running };

	prepare(self);
	EXPECT_LE(1, t_fail_each(&small, self));
	EXPECT_LE(1, t_fail_each(&go, self));
	start(self, 0);
	t_fail_each(&halt, self);
}

TEST_F(faildev, console_life)
{
	const struct t_failing go = { "VMM_DEV_START", call_start, stop, is_set_up };
	struct t_vq *q = self->d->vq;

	another(self, VMM_DEVICE_CONSOLE);
	q = self->d->vq;
	must(call_console_setup(self), "VMM_CONSOLE_SETUP");
	t_dev_prepare(self->d, F_VERSION_1, 32, 0);
	t_vq_init(&q[1], self->vm, 1, 32, T_RING + 0x4000, 0);
	must(t_vq_set(self->d, 1), "VMM_DEV_SET_QUEUE");
	EXPECT_LE(2, t_fail_each(&go, self));
}

/* ---- requests ---- */

/* a thread that serves queue 0 with its nth allocation failing, until it is told to end */
struct server {
	ctx_t *c;
	unsigned int nth;
	int file;
	volatile bool end;
	int result;
};

static void *serve(void *arg)
{
	const struct vmm_dev_work work = { .role = VMM_DEV_WORK_QUEUE };
	struct server *s = arg;

	s->file = t_fail_file();
	t_fail_nth(s->nth);
	do {
		s->result = t_ioctl(s->c->d->fd, VMM_DEV_WORK, &work);
	} while (!s->end && (s->result == -EINTR || s->result == -EFAULT));
	return NULL;
}

static void request(ctx_t *c, bool write)
{
	const uint32_t head[4] = { write };
	struct t_vq *q = &c->d->vq[0];

	t_load(c->vm, HEAD, head, sizeof(head));
	*(uint8_t *)t_gpa(c->vm, STATUS, 1) = 0xee;
	q->desc[0] = (struct vq_desc){ HEAD, 16, VQ_NEXT, 1 };
	q->desc[1] = (struct vq_desc){ BUF, 4096, VQ_NEXT | (write ? 0 : VQ_WRITE), 2 };
	q->desc[2] = (struct vq_desc){ STATUS, 1, VQ_WRITE, 0 };
	t_vq_add(q, 0);
}

/* until the request is over, or the device says that it needs a reset */
static bool over(ctx_t *c)
{
	uint64_t until = t_now_ns() + 20000000000ull * t_scale();
	struct t_vq *q = &c->d->vq[0];

	while (q->used[1] == q->used_idx && t_dev_state(c->d) != VMM_DEV_BROKEN) {
		if (t_now_ns() > until)
			return false;
		t_sleep_ms(1);
	}
	return true;
}

/* the driver's way out, after a copy from the ring failed as if it lay outside memory */
static void reset(ctx_t *c)
{
	stop(c, 0);
	t_vq_init(&c->d->vq[0], c->vm, 0, 32, T_RING, 0);
	must(t_vq_set(c->d, 0), "VMM_DEV_SET_QUEUE");
	start(c, 0);
}

/* Returns whether a fault came. The request ends, well or with an I/O error. */
static bool serve_one(struct __test_metadata *_metadata, ctx_t *c, bool write, unsigned int nth)
{
	struct server s = { .c = c, .nth = nth };
	struct t_vq *q = &c->d->vq[0];
	bool happened;
	pthread_t id;
	int status;

	request(c, write);
	if (pthread_create(&id, NULL, serve, &s))
		t_die("pthread_create failed");
	t_vq_notify(c->d, 0);
	ASSERT_TRUE(over(c)) TH_LOG("fault %u", nth);
	s.end = true;
	/* none may be left, or the signal cannot be delivered */
	happened = t_fail_happened_in(s.file) && nth;
	/* once may be too early */
	while (pthread_kill(id, SIGUSR1) == 0 && pthread_tryjoin_np(id, NULL))
		t_sleep_ms(1);
	close(s.file);
	EXPECT_EQ(-EINTR, s.result) TH_LOG("fault %u: %s", nth, strerror(-s.result));
	if (t_dev_state(c->d) == VMM_DEV_BROKEN) {
		EXPECT_TRUE(happened);
		reset(c);
		return happened;
	}
	EXPECT_EQ(0, t_vq_used(q, NULL));
	status = *(volatile uint8_t *)t_gpa(c->vm, STATUS, 1);
	EXPECT_TRUE(status == 0 || (happened && status == 1))
	TH_LOG("fault %u: status %d", nth, status);
	return happened;
}

TEST_F(faildev, requests)
{
	unsigned int n;

	prepare(self);
	start(self, 0);
	for (n = 1; n < 1000 && serve_one(_metadata, self, false, n); n++)
		;
	t_say("read: %u faults", n - 1);
	for (n = 1; n < 1000 && serve_one(_metadata, self, true, n); n++)
		;
	t_say("write: %u faults", n - 1);
	/* and all is well now */
	EXPECT_FALSE(serve_one(_metadata, self, false, 0));
}

VMM_FAIL_MAIN
