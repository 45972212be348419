/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What devices need of the host: the kernel's ioctls, clocks and threads. All of it is here so
 * that a unit test can put its own clock or kernel behind exactly these functions.
 */
#ifndef VMMCTL_DEV_HOST_H
#define VMMCTL_DEV_HOST_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define NSEC_PER_SEC	1000000000ull

/*
 * The only signal that a device thread leaves unblocked. Its handler does nothing: it makes a
 * system call return.
 */
#define DEV_KICK_SIGNAL	(SIGRTMIN + 1)

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

/**
 * vmm_ioctl - an ioctl of /dev/vmm or of what hangs from it
 * @fd: file descriptor
 * @cmd: VMM_*
 * @arg: its argument, or NULL
 *
 * Return: what the ioctl returned, or a negative errno. -EINTR is passed on.
 */
int vmm_ioctl(int fd, unsigned long cmd, void *arg);

/** clock_ns - CLOCK_MONOTONIC in ns: what every counter of an emulated chip is derived from */
uint64_t clock_ns(void);

/** wall_ns - CLOCK_REALTIME in ns since 1970: what the RTC shows */
uint64_t wall_ns(void);

/** scale - @value * @mul / @div without overflow in between */
static inline uint64_t scale(uint64_t value, uint64_t mul, uint64_t div)
{
	return (__uint128_t)value * mul / div;
}

/**
 * thread_start - start a thread of a device
 * @thread: the new thread
 * @name: up to 15 bytes, seen in ps -L
 * @fn: body
 * @arg: its argument
 *
 * Every signal but DEV_KICK_SIGNAL is blocked in it.
 *
 * Return: 0 or a negative errno.
 */
int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg);

/**
 * thread_end - wait for a thread that was told to end, kicking it out of its system calls
 * @thread: the thread
 * @timeout_ms: how long at most
 *
 * Return: 0, or -ETIMEDOUT: it hangs in the kernel (a dead disk), and only the end of the process
 * ends it. It is detached then, and what it uses must stay.
 */
int thread_end(pthread_t thread, unsigned int timeout_ms);

typedef uint8_t (*byte_read_fn)(void *opaque, unsigned int offset);
typedef void (*byte_write_fn)(void *opaque, unsigned int offset, uint8_t value);

/**
 * access_bytes - serve an access of any width as byte accesses at rising offsets, as the ISA bus
 * does for 8-bit devices
 * @opaque: passed on
 * @offset: of the first byte
 * @is_write: direction
 * @data: bytes written or to be answered
 * @len: how many
 * @read: answers one byte
 * @write: takes one byte
 */
void access_bytes(void *opaque, uint64_t offset, bool is_write, void *data, unsigned int len,
		  byte_read_fn read, byte_write_fn write);

/* little-endian fields of any alignment */
uint64_t load_le(const void *p, unsigned int len);
void store_le(void *p, uint64_t value, unsigned int len);

#endif /* VMMCTL_DEV_HOST_H */
