// SPDX-License-Identifier: GPL-2.0
/*
 * Eventfds that raise interrupts, by routes; and those that are told of their end.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>

#include "harness.h"

FIXTURE(irqfd)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	struct t_thread t;
	int ev;
};

FIXTURE_SETUP(irqfd)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	self->ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t_kicks();
	t_start(self->v, guest_apic_idle, 0);
	ASSERT_TRUE(t_synced(self->v, 1));
}

FIXTURE_TEARDOWN(irqfd)
{
}

static int attach(struct t_vm *vm, int fd, uint32_t gsi, uint32_t flags, int resample)
{
	struct vmm_irqfd arg = { .fd = fd, .gsi = gsi, .flags = flags, .resample_fd = resample };

	return t_ioctl(vm->fd, VMM_IRQFD, &arg);
}

static int route(struct t_vm *vm, uint32_t gsi, uint32_t data)
{
	struct vmm_route r = {
		.gsi = gsi, .type = VMM_ROUTE_MSI, .u.msi = {.addr = 0xfee00000, .data = data}};
	struct vmm_routes arg = { .nr = 1, .routes = (uintptr_t)&r };

	return t_ioctl(vm->fd, VMM_SET_ROUTES, &arg);
}

static void signal_it(int ev)
{
	uint64_t one = 1;

	if (write(ev, &one, 8) != 8)
		t_die("write to an eventfd: %s", strerror(errno));
}

static bool log_reaches(struct t_vm *vm, uint32_t n)
{
	unsigned int ms;

	for (ms = 0; ms < 10000 && T_G(vm, g_log).nr < n; ms++)
		t_sleep_ms(1);
	return T_G(vm, g_log).nr >= n;
}

#define LOG(vm)	T_G(vm, g_log)

static void end(struct t_vm *vm, struct t_thread *t)
{
	T_G(vm, g_apic_stop) = 1;
	t_irq(vm, 0, 0xf0);
	t_join(t);
}

TEST_F(irqfd, signals)
{
	unsigned int i;

	ASSERT_OK(route(self->vm, 9, 0x59));
	ASSERT_OK(attach(self->vm, self->ev, 9, 0, -1));
	t_spawn(&self->t, self->v);
	for (i = 0; i < 50; i++) {
		signal_it(self->ev);
		ASSERT_TRUE(log_reaches(self->vm, i + 1)) TH_LOG("signal %u is lost", i);
		ASSERT_EQ(0x59, LOG(self->vm).vector[i]);
	}
	/* another route: the next one comes with the new vector */
	ASSERT_OK(route(self->vm, 9, 0x6a));
	signal_it(self->ev);
	ASSERT_TRUE(log_reaches(self->vm, 51));
	EXPECT_EQ(0x6a, LOG(self->vm).vector[50]);
	/* no route: nothing comes */
	ASSERT_OK(route(self->vm, 8, 0x6b));
	signal_it(self->ev);
	t_sleep_ms(100);
	EXPECT_EQ(51, LOG(self->vm).nr);
	/* taken away */
	ASSERT_OK(route(self->vm, 9, 0x6c));
	ASSERT_OK(attach(self->vm, self->ev, 9, VMM_IRQFD_DEASSIGN, -1));
	signal_it(self->ev);
	t_sleep_ms(100);
	EXPECT_EQ(51, LOG(self->vm).nr);
	end(self->vm, &self->t);
}

/* signalled before it is attached: delivered then */
TEST_F(irqfd, signalled_before)
{
	ASSERT_OK(route(self->vm, 1, 0x51));
	signal_it(self->ev);
	ASSERT_OK(attach(self->vm, self->ev, 1, 0, -1));
	t_spawn(&self->t, self->v);
	EXPECT_TRUE(log_reaches(self->vm, 1));
	end(self->vm, &self->t);
}

/* what was delivered at the attachment is taken: it does not come again, nor keep a writer out */
static void *blocked_writer(void *arg)
{
	uint64_t two = 2;

	return (void *)(long)write(*(int *)arg, &two, 8);
}

TEST_F(irqfd, earlier_signal_is_taken)
{
	int full = eventfd(0, EFD_CLOEXEC);
	uint64_t n = ~0ull - 1;
	struct timespec until;
	pthread_t id;
	void *wrote;

	ASSERT_OK(route(self->vm, 1, 0x51));
	signal_it(self->ev);
	ASSERT_OK(attach(self->vm, self->ev, 1, 0, -1));
	ASSERT_OK(attach(self->vm, self->ev, 1, VMM_IRQFD_DEASSIGN, -1));
	EXPECT_EQ(-1, read(self->ev, &n, 8)) TH_LOG("%lu left of what was delivered", (long)n);

	n = ~0ull - 1;
	ASSERT_EQ(8, write(full, &n, 8));
	ASSERT_EQ(0, pthread_create(&id, NULL, blocked_writer, &full));
	t_sleep_ms(200);
	ASSERT_OK(attach(self->vm, full, 1, 0, -1));
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10 * t_scale();
	ASSERT_EQ(0, pthread_timedjoin_np(id, &wrote, &until)) TH_LOG("a writer waits for ever");
	EXPECT_EQ(8, (long)wrote);

	t_spawn(&self->t, self->v);
	EXPECT_TRUE(log_reaches(self->vm, 1));
	signal_it(full);
	EXPECT_TRUE(log_reaches(self->vm, 2));
	end(self->vm, &self->t);
}

/* as many as there may be, and no more; those that end make room at once */
TEST_F(irqfd, too_many)
{
	struct rlimit files = { 2 * VMM_MAX_IRQFDS, 2 * VMM_MAX_IRQFDS };
	static int ev[VMM_MAX_IRQFDS];
	unsigned int i;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_OK(route(self->vm, 1, 0x51));
	for (i = 0; i < VMM_MAX_IRQFDS; i++) {
		ev[i] = eventfd(0, EFD_CLOEXEC);
		ASSERT_LE(0, ev[i]);
		ASSERT_OK(attach(self->vm, ev[i], 1, i & 1 ? VMM_IRQFD_RESAMPLE : 0, ev[0]));
	}
	EXPECT_ERR(ENOSPC, attach(self->vm, self->ev, 1, 0, -1));
	EXPECT_ERR(EBUSY, attach(self->vm, ev[7], 1, 0, -1));
	for (i = 0; i < 20; i++) {
		close(ev[i]);
		ev[i] = eventfd(0, EFD_CLOEXEC);
		EXPECT_OK(attach(self->vm, ev[i], 2, 0, -1)) TH_LOG("room %u", i);
	}
	EXPECT_ERR(ENOSPC, attach(self->vm, self->ev, 1, 0, -1));
	EXPECT_OK(attach(self->vm, ev[100], 1, VMM_IRQFD_DEASSIGN, -1));
	EXPECT_OK(attach(self->vm, self->ev, 1, 0, -1));
	t_spawn(&self->t, self->v);
	signal_it(self->ev);
	EXPECT_TRUE(log_reaches(self->vm, 1));
	end(self->vm, &self->t);
}

/*
 * A VM whose process makes a reader of its memory slots wait for as long as it likes, here by
 * userfaultfd, cannot take its own irqfds down; another VM is not held up by it.
 */
static int catch_faults(void *mem, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)mem, len }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		t_die("userfaultfd: %s", strerror(errno));
	return fd;
}

struct detacher {
	struct t_vm *vm;
	int ev;
	int result;
};

static void *detach(void *arg)
{
	struct detacher *d = arg;

	d->result = attach(d->vm, d->ev, 1, VMM_IRQFD_DEASSIGN, -1);
	close(d->vm->fd);
	return NULL;
}

TEST_F(irqfd, held_up_by_another_vm)
{
	struct uffdio_zeropage zero = { 0 };
	struct t_vm *other = t_vm_new();
	struct detacher d = { other, eventfd(0, EFD_CLOEXEC), -1 };
	int back = eventfd(0, EFD_CLOEXEC), fd;
	void *page = t_alloc(4096, 4096);
	struct timespec until;
	pthread_t id;

	/* mov al, [0x40000000]: the vCPU waits in the fault, having read the slots */
	fd = catch_faults(page, 4096);
	ASSERT_OK(t_region(self->vm, 5, 0, 0x40000000, 4096, page));
	t_load(self->vm, T_CODE, "\x8a\x04\x25\x00\x00\x00\x40\xe6\x11\xf4", 10);
	t_set_mode(self->v, T_LONG);
	t_spawn(&self->t, self->v);
	t_sleep_ms(300);
	ASSERT_FALSE(self->t.ended);
	ASSERT_OK(attach(self->vm, self->ev, 1, VMM_IRQFD_RESAMPLE, back));
	close(self->ev);
	t_sleep_ms(100);

	ASSERT_OK(attach(other, d.ev, 1, 0, -1));
	ASSERT_EQ(0, pthread_create(&id, NULL, detach, &d));
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10 * t_scale();
	EXPECT_EQ(0, pthread_timedjoin_np(id, NULL, &until)) TH_LOG("held up by another VM");
	EXPECT_EQ(0, d.result);

	zero.range = (struct uffdio_range){ (uintptr_t)page, 4096 };
	EXPECT_EQ(0, ioctl(fd, UFFDIO_ZEROPAGE, &zero));
	EXPECT_EQ(T_DONE, t_join(&self->t));
}

/* closed without being taken away first: it goes by itself, and the number can be used again */
TEST_F(irqfd, closed)
{
	unsigned int i;

	ASSERT_OK(route(self->vm, 1, 0x51));
	for (i = 0; i < 200; i++) {
		int ev = eventfd(0, EFD_CLOEXEC);

		ASSERT_OK(attach(self->vm, ev, 1, 0, -1));
		if (i % 3 == 0)
			signal_it(ev);
		close(ev);
	}
	ASSERT_OK(attach(self->vm, self->ev, 1, 0, -1));
	t_spawn(&self->t, self->v);
	EXPECT_TRUE(log_reaches(self->vm, 1));
	signal_it(self->ev);
	EXPECT_TRUE(log_reaches(self->vm, 2));
	end(self->vm, &self->t);
}

/* the VM's file is closed: signals go nowhere, and the eventfd can be closed in peace */
TEST_F(irqfd, vm_closed)
{
	ASSERT_OK(route(self->vm, 1, 0x51));
	ASSERT_OK(attach(self->vm, self->ev, 1, 0, -1));
	close(self->vm->fd);
	signal_it(self->ev);
	close(self->v->fd);
	munmap((void *)self->v->run, VMM_RUN_SIZE);
	signal_it(self->ev);
	close(self->ev);
}

/* the end of a level-triggered interrupt is told by an exit as well: the vCPU runs on after it */
static bool log_reaches_over_eoi(struct t_thread *t, struct t_vcpu *v, uint32_t n)
{
	unsigned int ms;

	for (ms = 0; ms < 10000 && T_G(v->vm, g_log).nr < n; ms++) {
		if (t->ended) {
			if (t_join(t) != T_EXIT || v->run->exit_reason != VMM_EXIT_EOI)
				return false;
			t_spawn(t, v);
		}
		t_sleep_ms(1);
	}
	return T_G(v->vm, g_log).nr >= n;
}

/* a level-triggered interrupt whose source is told at its end */
TEST_F(irqfd, resample)
{
	int back = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pollfd p = { .fd = back, .events = POLLIN };
	unsigned int i;
	uint64_t n;

	ASSERT_OK(route(self->vm, 10, 0xc000 | 0x5a));
	ASSERT_OK(attach(self->vm, self->ev, 10, VMM_IRQFD_RESAMPLE, back));
	t_spawn(&self->t, self->v);
	for (i = 0; i < 20; i++) {
		signal_it(self->ev);
		ASSERT_TRUE(log_reaches_over_eoi(&self->t, self->v, i + 1))
		TH_LOG("signal %u is lost", i);
		EXPECT_EQ(0x5a, LOG(self->vm).vector[i]);
		EXPECT_EQ(1, poll(&p, 1, 10000)) TH_LOG("no word of the end of interrupt %u", i);
		EXPECT_EQ(8, read(back, &n, 8));
	}
	/* an edge-triggered interrupt with another vector tells nothing */
	t_irq(self->vm, 0, 0x70);
	ASSERT_TRUE(log_reaches_over_eoi(&self->t, self->v, 21));
	t_sleep_ms(50);
	EXPECT_EQ(0, poll(&p, 1, 0));
	if (!self->t.ended)
		end(self->vm, &self->t);
}

/* routes are exchanged all the time while signals come: none is lost, each has one of the vectors
 */
static volatile bool stop_routes;

static void *change_routes(void *arg)
{
	struct t_vm *vm = arg;
	unsigned int i;

	for (i = 0; !stop_routes; i++)
		route(vm, 9, i & 1 ? 0x59 : 0x69);
	return NULL;
}

TEST_F(irqfd, routes_change)
{
	unsigned int i;
	pthread_t id;

	ASSERT_OK(route(self->vm, 9, 0x59));
	ASSERT_OK(attach(self->vm, self->ev, 9, 0, -1));
	t_spawn(&self->t, self->v);
	pthread_create(&id, NULL, change_routes, self->vm);
	for (i = 0; i < 200; i++) {
		signal_it(self->ev);
		ASSERT_TRUE(log_reaches(self->vm, i + 1)) TH_LOG("signal %u is lost", i);
		ASSERT_TRUE(LOG(self->vm).vector[i] == 0x59 || LOG(self->vm).vector[i] == 0x69);
	}
	stop_routes = true;
	pthread_join(id, NULL);
	end(self->vm, &self->t);
}

/* several eventfds on one interrupt, one eventfd of several VMs */
TEST_F(irqfd, shared)
{
	struct t_vm *other = t_vm_new();
	int ev2 = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	t_vcpu_new(other, 0);
	ASSERT_OK(route(self->vm, 9, 0x59));
	ASSERT_OK(route(other, 3, 0x33));
	ASSERT_OK(attach(self->vm, self->ev, 9, 0, -1));
	ASSERT_OK(attach(self->vm, ev2, 9, 0, -1));
	attach(other, ev2, 3, 0, -1);
	t_spawn(&self->t, self->v);
	signal_it(self->ev);
	ASSERT_TRUE(log_reaches(self->vm, 1));
	signal_it(ev2);
	ASSERT_TRUE(log_reaches(self->vm, 2));
	end(self->vm, &self->t);
	t_vm_free(other);
	signal_it(ev2);
}

VMM_TEST_MAIN
