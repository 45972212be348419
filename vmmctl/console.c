// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "console.h"
#include "dev/host.h"
#include "dev/loop.h"
#include "dev/serial.h"
#include "dev/virtio_console.h"
#include "options.h"
#include "terminal.h"

#define INPUT_SIZE	65536
#define OUTPUT_SIZE	65536
/* the most that an ordinary user gets; its pages are taken only once they are full */
#define PIPE_SIZE	(1 << 20)
/* so that a write to a slow reader returns when it has taken some */
#define WRITE_MAX	4096u

/**
 * struct console - see console.h; everything but @out_rd, @written and @done_fd is the I/O thread's
 *	alone
 * @vm: the VM
 * @loop: where the watches are
 * @escape: the escape key's function; @opaque: its argument
 * @serial: the serial port
 * @hvc: input and output are the virtio console's
 * @tty: standard input is a terminal
 * @always_readable: standard input knows no poll: a file or /dev/null
 * @eof: nothing more comes
 * @reading: @stdin_watch is in the loop
 * @waiting: @room_watch is in the loop
 * @stdin_watch: standard input has bytes
 * @room_watch: the guest takes bytes again: the pipe, or an eventfd that the serial
 *	port's hook signals
 * @in_rd: hvc: the kernel's end of the input pipe
 * @in_wr: hvc: ours
 * @out_rd: hvc: our end of the output pipe
 * @out_wr: hvc: the kernel's
 * @writer: hvc: the thread that writes
 * @written: [a] bytes that it has written
 * @done_fd: eventfd, @writer is through
 * @done_watch: that
 * @done: whom to tell
 * @buf: input that was read and not taken, from @head on, @len bytes
 * @head: see @buf
 * @len: see @buf
 */
struct console {
	struct vm *vm;
	struct loop *loop;
	void (*escape)(void *opaque);
	void *opaque;
	struct serial *serial;
	bool hvc, tty, always_readable, eof;
	bool reading, waiting;
	struct loop_watch stdin_watch, room_watch;
	int in_rd, in_wr, out_rd, out_wr;
	pthread_t writer;
	atomic_ullong written;
	int done_fd;
	struct loop_watch done_watch;
	bool *done;
	size_t head, len;
	uint8_t buf[INPUT_SIZE];
};

static void pump(struct console *c);

static void set_reading(struct console *c, bool on)
{
	if (on == c->reading || c->always_readable)
		return;
	if (!on) {
		loop_watch_del(c->loop, &c->stdin_watch);
	} else if (loop_watch_add(c->loop, &c->stdin_watch, EPOLLIN) == -EPERM) {
		c->always_readable = true;
		return;
	}
	c->reading = on;
}

static void set_waiting(struct console *c, bool on)
{
	if (on == c->waiting)
		return;
	if (on)
		loop_watch_add(c->loop, &c->room_watch, c->hvc ? EPOLLOUT : EPOLLIN);
	else
		loop_watch_del(c->loop, &c->room_watch);
	c->waiting = on;
}

/*
 * Everything up to the escape key is the guest's, the key itself and what follows in the same
 * breath is not; but a second press in it counts.
 */
static size_t cut_at_escape(struct console *c, const uint8_t *data, size_t len)
{
	const uint8_t *end = data + len, *first, *key;

	if (!c->tty || c->vm->opt->escape < 0)
		return len;
	first = memchr(data, c->vm->opt->escape, len);
	if (!first)
		return len;
	for (key = first; key; key = memchr(key + 1, c->vm->opt->escape, end - key - 1))
		c->escape(c->opaque);
	return first - data;
}

static void read_some(struct console *c)
{
	uint8_t scratch[256], *to;
	size_t room;
	ssize_t n;

	if (c->head) {
		memmove(c->buf, c->buf + c->head, c->len);
		c->head = 0;
	}
	room = INPUT_SIZE - c->len;
	/* a terminal is read on for the escape key's sake */
	to = room ? c->buf + c->len : scratch;
	n = read(STDIN_FILENO, to, room ?: sizeof(scratch));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		c->eof = true;
		set_reading(c, false);
		return;
	}
	n = cut_at_escape(c, to, n);
	if (room)
		c->len += n;
}

/* give the guest what it takes; true: all was taken */
static bool deliver(struct console *c)
{
	while (c->len) {
		ssize_t n;

		if (c->hvc)
			n = write(c->in_wr, c->buf + c->head, c->len);
		else
			n = serial_input(c->serial, c->buf + c->head, c->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		c->head += n;
		c->len -= n;
	}
	c->head = 0;
	return true;
}

static void pump(struct console *c)
{
	for (;;) {
		if (!deliver(c)) {
			set_waiting(c, true);
			break;
		}
		set_waiting(c, false);
		if (!c->always_readable || c->eof)
			break;
		read_some(c);
	}
	if (!c->eof)
		set_reading(c, c->tty || c->len < INPUT_SIZE);
}

static void on_stdin(void *opaque, uint32_t events)
{
	struct console *c = opaque;

	(void)events;
	if (!c->reading)
		return;
	read_some(c);
	pump(c);
}

static void on_room(void *opaque, uint32_t events)
{
	struct console *c = opaque;
	uint64_t count;

	(void)events;
	if (!c->hvc && read(c->room_watch.fd, &count, sizeof(count)) < 0)
		return;
	pump(c);
}

/* in a vCPU's thread */
static void serial_has_room(void *opaque)
{
	struct console *c = opaque;
	uint64_t one = 1;

	while (write(c->room_watch.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* true: written, or there is nobody to write for */
static bool write_out(struct console *c, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, p, len < WRITE_MAX ? len : WRITE_MAX);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = STDOUT_FILENO, .events = POLLOUT };

			poll(&pfd, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		atomic_fetch_add(&c->written, n);
		p += n;
		len -= n;
	}
	return true;
}

/* A guest whose output nobody can take goes on all the same: it is read and dropped then. */
static void *writer_thread(void *arg)
{
	static uint8_t buf[OUTPUT_SIZE];
	struct console *c = arg;
	bool lost = false;
	uint64_t one = 1;

	for (;;) {
		ssize_t n = read(c->out_rd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (!lost && !write_out(c, buf, n)) {
			lost = true;
			if (errno != EPIPE)
				warn("the guest's output is lost: %s", strerror(errno));
		}
	}
	while (write(c->done_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	return NULL;
}

static void on_done(void *opaque, uint32_t events)
{
	struct console *c = opaque;

	(void)events;
	loop_watch_del(c->loop, &c->done_watch);
	pthread_join(c->writer, NULL);
	*c->done = true;
}

static int create_hvc(struct console *c, struct error *e)
{
	int in[2], out[2], ret;

	if (pipe2(in, O_CLOEXEC | O_NONBLOCK) || pipe2(out, O_CLOEXEC))
		return error_set(e, "console: %s", strerror(errno));
	c->in_rd = in[0];
	c->in_wr = in[1];
	c->out_rd = out[0];
	c->out_wr = out[1];
	/* ours stays blocking: its thread has nothing else to wait for */
	fcntl(c->out_wr, F_SETFL, O_NONBLOCK);
	/*
	 * Linux's driver waits for each write with interrupts off: a processor that stands there
	 * does not answer the others, which at power-off take it down by NMI after a second
	 */
	fcntl(c->out_wr, F_SETPIPE_SZ, PIPE_SIZE);

	c->done_fd = eventfd(0, EFD_CLOEXEC);
	if (c->done_fd < 0)
		return error_set(e, "console: %s", strerror(errno));
	c->room_watch = (struct loop_watch){ c->in_wr, on_room, c };
	c->done_watch = (struct loop_watch){ c->done_fd, on_done, c };

	ret = virtio_console_create(c->vm, c->in_rd, c->out_wr);
	if (ret == -ENODEV)
		return error_set(e, "console: the module vmm_virtio is not loaded;\n"
				 "type: sudo modprobe vmm_virtio (or use --console serial)");
	if (!ret)
		ret = thread_start(&c->writer, "console", writer_thread, c);
	if (ret)
		return error_set(e, "console: %s", strerror(-ret));
	return 0;
}

static int create_serial_sink(struct console *c, struct error *e)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return error_set(e, "console: %s", strerror(errno));
	c->room_watch = (struct loop_watch){ fd, on_room, c };
	serial_set_room(c->serial, serial_has_room, c);
	return 0;
}

struct console *console_create(struct vm *vm, struct loop *loop, void (*escape)(void *opaque),
			       void *opaque, struct error *e)
{
	struct console *c = xcalloc(1, sizeof(*c));

	c->vm = vm;
	c->loop = loop;
	c->escape = escape;
	c->opaque = opaque;
	c->hvc = vm->opt->console == CONSOLE_HVC;
	c->stdin_watch = (struct loop_watch){ STDIN_FILENO, on_stdin, c };
	c->serial = serial_create(vm, c->hvc ? -1 : STDOUT_FILENO);
	if (!c->serial) {
		error_set(e, "serial port: %s", strerror(errno));
		return NULL;
	}
	if (c->hvc ? create_hvc(c, e) : create_serial_sink(c, e))
		return NULL;
	return c;
}

void console_start(struct console *c, bool tty)
{
	c->tty = tty;
	console_resize(c);
	set_reading(c, true);
	pump(c);
}

void console_resize(struct console *c)
{
	unsigned short cols, rows;

	if (c->hvc && terminal_size(&cols, &rows))
		virtio_console_resize(c->vm, cols, rows);
}

void console_end(struct console *c)
{
	set_reading(c, false);
	set_waiting(c, false);
	c->eof = true;
	serial_end(c->serial);
	c->serial = NULL;
}

void console_flush(struct console *c, bool *done)
{
	if (!c->hvc) {
		*done = true;
		return;
	}
	c->done = done;
	loop_watch_add(c->loop, &c->done_watch, EPOLLIN);
	/*
	 * with the kernel's device gone this was the last one: the writer finds the end behind
	 * the last byte
	 */
	close(c->out_wr);
	c->out_wr = -1;
}

uint64_t console_written(struct console *c)
{
	return atomic_load(&c->written);
}
