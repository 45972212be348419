// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "console.h"
#include "dev/acpi_pm.h"
#include "dev/devices.h"
#include "dev/host.h"
#include "dev/loop.h"
#include "options.h"
#include "session.h"
#include "terminal.h"
#include "vcpu.h"

/* a killed guest's output is waited for as long as it moves */
#define FLUSH_MS	2000

/**
 * struct session - see session.h; the I/O thread's alone
 * @vm: the VM
 * @loop: the I/O thread's loop
 * @console: the console
 * @tty: standard input is a terminal
 * @stopping: the power button was pressed
 * @ended: vm->status is set
 * @hurry: the user does not want to wait any more, not even for output
 * @fatal: signal to be raised again, or 0
 * @signals: signalfd
 * @signal_watch: that
 * @end_watch: vm->end_fd
 * @deadline: of STOPPING
 */
struct session {
	struct vm *vm;
	struct loop *loop;
	struct console *console;
	bool tty, stopping, ended, hurry;
	int fatal;
	int signals;
	struct loop_watch signal_watch, end_watch;
	struct loop_timer deadline;
};

/* Whoever started vmmctl with a signal ignored (nohup, a shell's background jobs) meant it. */
static bool is_ignored(int sig)
{
	struct sigaction sa;

	return !sigaction(sig, NULL, &sa) && sa.sa_handler == SIG_IGN;
}

static void handled_signals(sigset_t *set)
{
	static const int sigs[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT,
	};
	unsigned int i;

	sigemptyset(set);
	for (i = 0; i < ARRAY_SIZE(sigs); i++) {
		if (!is_ignored(sigs[i]))
			sigaddset(set, sigs[i]);
	}
}

void session_block_signals(void)
{
	sigset_t set;

	handled_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void session_unblock_signals(void)
{
	sigset_t set;

	handled_signals(&set);
	signal(SIGPIPE, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void request_stop(struct session *s)
{
	char key[16];

	if (s->ended) {
		s->hurry = true;
		return;
	}
	if (s->stopping) {
		vm_end(s->vm, STATUS_KILLED);
		return;
	}
	s->stopping = true;
	loop_timer_set(&s->deadline, clock_ns() + s->vm->opt->stop_deadline * NSEC_PER_SEC);
	acpi_power_button(s->vm);
	if (s->tty && s->vm->opt->escape >= 0)
		warn("pressed the guest's power button; it has %u s, %s again kills it",
		     s->vm->opt->stop_deadline, escape_name(s->vm->opt->escape, key));
	else
		warn("pressed the guest's power button; it has %u s", s->vm->opt->stop_deadline);
}

static void on_escape(void *opaque)
{
	request_stop(opaque);
}

static void on_deadline(void *opaque)
{
	struct session *s = opaque;

	if (!s->stopping || s->ended)
		return;
	warn("the guest did not power off in %u s: killed", s->vm->opt->stop_deadline);
	vm_end(s->vm, STATUS_KILLED);
}

static void on_signal(struct session *s, int sig)
{
	switch (sig) {
	case SIGTERM:
		request_stop(s);
		break;
	case SIGINT:
	case SIGHUP:
	case SIGQUIT:
		s->fatal = sig;
		s->hurry = true;
		vm_end(s->vm, STATUS_KILLED);
		break;
	case SIGTSTP:
		terminal_pause();
		raise(SIGSTOP);
		break;
	case SIGCONT:
		terminal_resume();
		console_resize(s->console);
		break;
	case SIGWINCH:
		console_resize(s->console);
		break;
	}
}

static void on_signals(void *opaque, uint32_t events)
{
	struct session *s = opaque;
	struct signalfd_siginfo info;

	(void)events;
	while (read(s->signals, &info, sizeof(info)) == sizeof(info))
		on_signal(s, info.ssi_signo);
}

static void on_end(void *opaque, uint32_t events)
{
	struct session *s = opaque;

	(void)events;
	s->ended = true;
	loop_watch_del(s->loop, &s->end_watch);
}

static int set_up(struct session *s, struct error *e)
{
	sigset_t set;

	handled_signals(&set);
	s->loop = loop_create();
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (!s->loop || s->signals < 0)
		return error_set(e, "I/O thread: %s", strerror(errno));
	s->signal_watch = (struct loop_watch){ s->signals, on_signals, s };
	s->end_watch = (struct loop_watch){ s->vm->end_fd, on_end, s };
	loop_timer_init(&s->deadline, s->loop, on_deadline, s);
	s->console = console_create(s->vm, s->loop, on_escape, s, e);
	return s->console ? 0 : -1;
}

static void begin(struct session *s)
{
	char key[16];

	if (s->vm->opt->escape >= 0 && isatty(STDIN_FILENO))
		warn("%s leaves: it asks the guest to power off, a second one kills it",
		     escape_name(s->vm->opt->escape, key));
	s->tty = terminal_raw();
	/* only now: console_resize() and the loop's callbacks want everything in place */
	loop_watch_add(s->loop, &s->signal_watch, EPOLLIN);
	loop_watch_add(s->loop, &s->end_watch, EPOLLIN);
	console_start(s->console, s->tty);
}

/*
 * Output waits for a slow reader, but who kills the guest wants an end, and perhaps kills it
 * because the reader stands still. Where the devices were left there, the end of the output does
 * not come either.
 */
static void flush(struct session *s, bool impatient)
{
	bool flushed = false;
	uint64_t written = console_written(s->console), end = clock_ns() + FLUSH_MS * 1000000ull;

	console_flush(s->console, &flushed);
	while (!flushed && !s->hurry) {
		loop_poll(s->loop, impatient ? FLUSH_MS / 10 : -1);
		if (!impatient)
			continue;
		if (console_written(s->console) != written) {
			written = console_written(s->console);
			end = clock_ns() + FLUSH_MS * 1000000ull;
		} else if (clock_ns() >= end) {
			return;
		}
	}
}

int session_run(struct vm *vm, int *signal, int (*before_start)(void *opaque, struct error *e),
		void *opaque, struct error *e)
{
	struct session s = { .vm = vm };
	int hung;

	if (set_up(&s, e) || before_start(opaque, e))
		return -1;
	begin(&s);
	if (vcpus_start(vm, e))
		return -1;

	while (!s.ended)
		loop_poll(s.loop, -1);

	hung = vcpus_stop(vm);
	console_end(s.console);
	/* the end of a device waits for a vCPU that hangs; the end of the process does it all */
	if (!hung)
		devices_end(vm);
	flush(&s, hung || atomic_load(&vm->status) == STATUS_KILLED);

	*signal = s.fatal;
	return atomic_load(&vm->status);
}
