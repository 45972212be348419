/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One thread that waits for everything the devices wait for: deadlines and file descriptors.
 *
 * With nothing armed it sleeps for ever, so that an idle guest costs nothing here.
 */
#ifndef VMMCTL_DEV_LOOP_H
#define VMMCTL_DEV_LOOP_H

#include <stdint.h>

struct loop;

#define LOOP_NEVER	UINT64_MAX

/**
 * struct loop_timer - a deadline
 * @loop: [I]
 * @fn: called in the loop's thread without any lock; it may come late, and once more after the
 *	timer was set anew: it must look at the clock
 * @opaque: [I] its argument
 * @when: [t] clock_ns() of the deadline, or LOOP_NEVER
 * @next: [t] list of the loop's timers
 */
struct loop_timer {
	struct loop *loop;
	void (*fn)(void *opaque);
	void *opaque;
	uint64_t when;
	struct loop_timer *next;
};

/**
 * struct loop_watch - a file descriptor that is waited for
 * @fd: [I]
 * @fn: called in the loop's thread without any lock, with the EPOLL* events that came
 * @opaque: [I] its argument
 */
struct loop_watch {
	int fd;
	void (*fn)(void *opaque, uint32_t events);
	void *opaque;
};

struct loop *loop_create(void);		/* NULL with errno set */
int loop_start(struct loop *loop);	/* starts the thread: 0 or -errno */
void loop_stop(struct loop *loop);	/* ends the thread: no callback runs any more */
void loop_free(struct loop *loop);

/**
 * loop_poll - one turn: wait, then call what is due
 * @loop: the loop
 * @timeout_ms: how long to wait at most, -1 = until something comes
 */
void loop_poll(struct loop *loop, int timeout_ms);

void loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*fn)(void *opaque),
		     void *opaque);
void loop_timer_set(struct loop_timer *timer, uint64_t when);	/* any thread */
void loop_timer_remove(struct loop_timer *timer);		/* the loop is stopped */
int loop_watch_add(struct loop *loop, struct loop_watch *watch, uint32_t events);
void loop_watch_del(struct loop *loop, struct loop_watch *watch);

#endif /* VMMCTL_DEV_LOOP_H */
