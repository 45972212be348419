// SPDX-License-Identifier: GPL-2.0
/*
 * The devices' event loop: epoll over the watched descriptors, one timerfd for the earliest
 * deadline and one eventfd to stop.
 *
 * Locks: [t] loop->lock. It is a leaf: taken with device locks held, never held in a callback.
 */
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host.h"

struct loop {
	int epoll_fd;			/* [I] */
	int stop_fd;			/* [I] */
	int timer_fd;			/* [I] */
	struct loop_watch stop_watch;	/* [I] */
	struct loop_watch timer_watch;	/* [I] */
	atomic_bool stop;		/* [a] */
	bool started;			/* [I] after loop_start() */
	pthread_t thread;		/* [I] after loop_start() */

	pthread_mutex_t lock;
	struct loop_timer *timers;	/* [t] */
	uint64_t armed;			/* [t] what the timerfd is set to */
};

static void drain(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

static void on_stop(void *opaque, uint32_t events)
{
	(void)opaque;
	(void)events;
}

static void on_timer_fd(void *opaque, uint32_t events)
{
	struct loop *loop = opaque;

	(void)events;
	drain(loop->timer_fd);
	pthread_mutex_lock(&loop->lock);
	loop->armed = LOOP_NEVER;
	pthread_mutex_unlock(&loop->lock);
}

static void __arm(struct loop *loop, uint64_t when)
{
	struct itimerspec its = {};

	loop->armed = when;
	if (when != LOOP_NEVER) {
		/* zero would disarm */
		if (!when)
			when = 1;
		its.it_value.tv_sec = when / NSEC_PER_SEC;
		its.it_value.tv_nsec = when % NSEC_PER_SEC;
	}
	timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

static uint64_t __earliest(struct loop *loop)
{
	struct loop_timer *t;
	uint64_t when = LOOP_NEVER;

	for (t = loop->timers; t; t = t->next)
		if (t->when < when)
			when = t->when;
	return when;
}

struct loop *loop_create(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	pthread_mutex_init(&loop->lock, NULL);
	loop->armed = LOOP_NEVER;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	loop->stop_watch = (struct loop_watch){ loop->stop_fd, on_stop, loop };
	loop->timer_watch = (struct loop_watch){ loop->timer_fd, on_timer_fd, loop };
	if (loop->epoll_fd < 0 || loop->stop_fd < 0 || loop->timer_fd < 0 ||
	    loop_watch_add(loop, &loop->stop_watch, EPOLLIN) ||
	    loop_watch_add(loop, &loop->timer_watch, EPOLLIN)) {
		int err = errno;

		loop_free(loop);
		errno = err;
		return NULL;
	}
	return loop;
}

static void *loop_thread(void *arg)
{
	struct loop *loop = arg;

	while (!atomic_load(&loop->stop))
		loop_poll(loop, -1);
	return NULL;
}

int loop_start(struct loop *loop)
{
	int err = thread_start(&loop->thread, "devices", loop_thread, loop);

	loop->started = !err;
	return err;
}

void loop_stop(struct loop *loop)
{
	uint64_t one = 1;

	if (!loop->started)
		return;
	atomic_store(&loop->stop, true);
	while (write(loop->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(loop->thread, NULL);
	loop->started = false;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->stop_fd >= 0)
		close(loop->stop_fd);
	if (loop->timer_fd >= 0)
		close(loop->timer_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

static struct loop_timer *take_due(struct loop *loop, uint64_t now)
{
	struct loop_timer *t;

	pthread_mutex_lock(&loop->lock);
	for (t = loop->timers; t; t = t->next) {
		if (t->when <= now) {
			t->when = LOOP_NEVER;
			break;
		}
	}
	pthread_mutex_unlock(&loop->lock);
	return t;
}

/* bounded: timers that set themselves to the past must not keep descriptors from being served */
static void run_timers(struct loop *loop)
{
	uint64_t now = clock_ns(), when;
	struct loop_timer *t;
	unsigned int budget = 64;

	while (budget-- && (t = take_due(loop, now)))
		t->fn(t->opaque);
	pthread_mutex_lock(&loop->lock);
	when = __earliest(loop);
	if (when != LOOP_NEVER && when < loop->armed)
		__arm(loop, when);
	pthread_mutex_unlock(&loop->lock);
}

void loop_poll(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[16];
	int i, nr;

	nr = epoll_wait(loop->epoll_fd, events, ARRAY_SIZE(events), timeout_ms);
	for (i = 0; i < nr; i++) {
		struct loop_watch *w = events[i].data.ptr;

		w->fn(w->opaque, events[i].events);
	}
	run_timers(loop);
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*fn)(void *opaque),
		     void *opaque)
{
	timer->loop = loop;
	timer->fn = fn;
	timer->opaque = opaque;
	timer->when = LOOP_NEVER;
	pthread_mutex_lock(&loop->lock);
	timer->next = loop->timers;
	loop->timers = timer;
	pthread_mutex_unlock(&loop->lock);
}

void loop_timer_set(struct loop_timer *timer, uint64_t when)
{
	struct loop *loop = timer->loop;

	pthread_mutex_lock(&loop->lock);
	timer->when = when;
	/* a later or no deadline costs one early wake-up at most, and no system call here */
	if (when < loop->armed)
		__arm(loop, when);
	pthread_mutex_unlock(&loop->lock);
}

void loop_timer_remove(struct loop_timer *timer)
{
	struct loop *loop = timer->loop;
	struct loop_timer **p;

	pthread_mutex_lock(&loop->lock);
	for (p = &loop->timers; *p; p = &(*p)->next) {
		if (*p == timer) {
			*p = timer->next;
			break;
		}
	}
	pthread_mutex_unlock(&loop->lock);
}

int loop_watch_add(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &ev) ? -errno : 0;
}

void loop_watch_del(struct loop *loop, struct loop_watch *watch)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}
