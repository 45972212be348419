// SPDX-License-Identifier: GPL-2.0
/*
 * What vmmctl says to its user, on standard error, each message in one write: other threads and
 * the guest print as well.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "terminal.h"
#include "vmmctl.h"

/* how long a warning waits for a reader that stands still; it is dropped then */
#define WARN_MS	5000

/* A terminal in raw mode does not return the carriage by itself. */
static size_t add_carriage_returns(char *dst, size_t room, const char *src)
{
	size_t n = 0;

	for (; *src && n + 2 < room; src++) {
		if (*src == '\n')
			dst[n++] = '\r';
		dst[n++] = *src;
	}
	return n;
}

static bool has_room(int timeout_ms)
{
	struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
	int n;

	do {
		n = poll(&pfd, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	return n;
}

static void __attribute__((format(printf, 2, 0))) say(int timeout_ms, const char *fmt, va_list ap)
{
	char text[4096], out[sizeof(text) + 256];
	const char *p = out;
	size_t used, len;

	used = snprintf(text, sizeof(text), "%s", "vmmctl: ");
	vsnprintf(text + used, sizeof(text) - used - 1, fmt, ap);
	strcat(text, "\n");

	if (terminal_is_raw()) {
		len = add_carriage_returns(out, sizeof(out), text);
	} else {
		len = strlen(text);
		p = text;
	}

	while (len) {
		ssize_t n;

		if (!has_room(timeout_ms))
			return;
		n = write(STDERR_FILENO, p, len);
		if (n <= 0)
			return;
		p += n;
		len -= n;
	}
}

void die_usage(const char *fmt, ...)
{
	va_list ap;

	terminal_restore();
	va_start(ap, fmt);
	say(-1, fmt, ap);
	va_end(ap);
	_exit(STATUS_USAGE);
}

/*
 * May come from any thread, so nothing that another thread might use is torn down: the kernel
 * does that.
 */
void die(const char *fmt, ...)
{
	va_list ap;

	terminal_restore();
	va_start(ap, fmt);
	say(-1, fmt, ap);
	va_end(ap);
	_exit(STATUS_HOST_ERROR);
}

/* The thread has other things to do, to end vmmctl among them: it does not wait for ever. */
void warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(WARN_MS, fmt, ap);
	va_end(ap);
}

void *xcalloc(size_t nr, size_t size)
{
	void *p = calloc(nr, size);

	if (!p)
		die("out of memory");
	return p;
}
