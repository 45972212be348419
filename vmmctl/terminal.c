// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "dev/host.h"
#include "terminal.h"

enum state { COOKED, RAW, PAUSED };

static atomic_int state = COOKED;
static struct termios saved, raw;	/* written before there are threads */
static int guard_fd = -1;
static pid_t guard_pid;

/*
 * Ends of vmmctl that no handler sees leave the pipe without the byte that terminal_restore()
 * writes into it. The child is in a process group of its own, so that what kills vmmctl's group
 * spares it; being in the background, it must ignore SIGTTOU to be let through. It calls nothing
 * that takes a lock: other threads may have held one at the fork.
 */
static void __attribute__((noreturn)) guard(int pipe_fd)
{
	char c;
	ssize_t n;
	int sig;

	setpgid(0, 0);
	prctl(PR_SET_NAME, "vmmctl-tty");
	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_IGN);

	if (dup2(pipe_fd, 1) < 0)
		_exit(1);
	close_range(2, ~0u, 0);

	do {
		n = read(1, &c, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	_exit(0);
}

static void start_guard(void)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return;

	guard_pid = fork();
	if (guard_pid == 0) {
		close(fds[1]);
		guard(fds[0]);
	}
	close(fds[0]);
	if (guard_pid < 0) {
		guard_pid = 0;
		close(fds[1]);
		return;
	}
	guard_fd = fds[1];
}

/* The default action follows, so that the parent sees how vmmctl ended. */
static void fatal_signal(int sig)
{
	terminal_restore();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void catch_fatal_signals(void)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP };
	struct sigaction sa = { .sa_handler = fatal_signal, .sa_flags = SA_NODEFER };
	unsigned int i;

	sigemptyset(&sa.sa_mask);
	for (i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaction(sigs[i], &sa, NULL);
}

bool terminal_raw(void)
{
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved))
		return false;

	raw = saved;
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;

	start_guard();
	catch_fatal_signals();
	atexit(terminal_restore);
	atomic_store(&state, RAW);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw))
		terminal_restore();
	return true;
}

void terminal_restore(void)
{
	int err = errno;

	if (atomic_exchange(&state, COOKED) == RAW)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	if (guard_fd >= 0) {
		while (write(guard_fd, "", 1) < 0 && errno == EINTR)
			;
	}
	errno = err;
}

void terminal_pause(void)
{
	int from = RAW;

	if (atomic_compare_exchange_strong(&state, &from, PAUSED))
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

void terminal_resume(void)
{
	int from = PAUSED;

	if (atomic_compare_exchange_strong(&state, &from, RAW) || from == RAW)
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

bool terminal_is_raw(void)
{
	return atomic_load(&state) == RAW;
}

bool terminal_size(unsigned short *cols, unsigned short *rows)
{
	struct winsize ws;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws))
		return false;
	if (!ws.ws_col || !ws.ws_row)
		return false;
	*cols = ws.ws_col;
	*rows = ws.ws_row;
	return true;
}

void terminal_reap(void)
{
	if (!guard_pid)
		return;
	while (waitpid(guard_pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(guard_fd);
	guard_fd = -1;
	guard_pid = 0;
}
