// SPDX-License-Identifier: GPL-2.0
/*
 * What devices need of the host; see host.h.
 */
#include "host.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

int vmm_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

uint64_t clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

static void on_kick(int sig)
{
	(void)sig;
}

static void install_kick(void)
{
	struct sigaction sa = { .sa_handler = on_kick };

	/* without SA_RESTART: the point is that a system call returns */
	sigemptyset(&sa.sa_mask);
	sigaction(DEV_KICK_SIGNAL, &sa, NULL);
}

int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	sigset_t block, old;
	int err;

	pthread_once(&once, install_kick);
	sigfillset(&block);
	sigdelset(&block, DEV_KICK_SIGNAL);
	/* set before the thread exists, so that it never runs with another mask */
	pthread_sigmask(SIG_SETMASK, &block, &old);
	err = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return -err;
	pthread_setname_np(*thread, name);
	return 0;
}

int thread_end(pthread_t thread, unsigned int timeout_ms)
{
	const unsigned int step_ms = 10;
	unsigned int waited = 0;
	struct timespec ts;

	for (;;) {
		/* again and again: a kick that comes just before the system call is lost */
		pthread_kill(thread, DEV_KICK_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += step_ms * 1000000;
		if (ts.tv_nsec >= (long)NSEC_PER_SEC) {
			ts.tv_nsec -= NSEC_PER_SEC;
			ts.tv_sec++;
		}
		if (!pthread_timedjoin_np(thread, NULL, &ts))
			return 0;
		waited += step_ms;
		if (waited >= timeout_ms) {
			pthread_detach(thread);
			return -ETIMEDOUT;
		}
	}
}

void access_bytes(void *opaque, uint64_t offset, bool is_write, void *data, unsigned int len,
		  byte_read_fn read, byte_write_fn write)
{
	uint8_t *bytes = data;
	unsigned int i;

	for (i = 0; i < len; i++) {
		if (is_write)
			write(opaque, offset + i, bytes[i]);
		else
			bytes[i] = read(opaque, offset + i);
	}
}

uint64_t load_le(const void *p, unsigned int len)
{
	uint64_t value = 0;

	memcpy(&value, p, len);
	return value;
}

void store_le(void *p, uint64_t value, unsigned int len)
{
	memcpy(p, &value, len);
}
