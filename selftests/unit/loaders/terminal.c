// SPDX-License-Identifier: GPL-2.0
/*
 * The terminal is as it was before, however a process with a raw one ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "terminal.h"
#include "unit.h"
#include "vmmctl.h"

enum ending { BY_EXIT, BY_DIE, BY_RESTORE, BY_SEGV, BY_ABORT, BY_KILL, BY_TERM };

static void __attribute__((noreturn)) session(int slave, int ready, enum ending how)
{
	setsid();
	dup2(slave, 0);
	dup2(slave, 2);
	if (!terminal_raw() || write(ready, "", 1) != 1)
		_exit(99);
	switch (how) {
	case BY_EXIT:
		exit(0);
	case BY_DIE:
		die("told to");
	case BY_RESTORE:
		terminal_restore();
		terminal_restore();
		terminal_reap();
		_exit(0);
	case BY_SEGV:
		raise(SIGSEGV);
		break;
	case BY_ABORT:
		abort();
	case BY_KILL:
		raise(SIGKILL);
		break;
	case BY_TERM:
		raise(SIGTERM);
		break;
	}
	_exit(98);
}

static bool is_raw(int fd)
{
	struct termios t;

	tcgetattr(fd, &t);
	return !(t.c_lflag & ICANON) && !(t.c_oflag & OPOST);
}

static void ends(enum ending how, int want_status)
{
	int master, slave, pipefd[2], status, tries;
	struct termios before, after;
	pid_t pid;
	char c;

	ASSERT(!openpty(&master, &slave, NULL, NULL, NULL) && !pipe(pipefd));
	ASSERT(!tcgetattr(slave, &before));
	fflush(stdout);
	pid = fork();
	if (!pid)
		session(slave, pipefd[1], how);
	close(pipefd[1]);
	if (read(pipefd[0], &c, 1) != 1)
		FAIL("no raw terminal");
	close(pipefd[0]);
	waitpid(pid, &status, 0);
	EXPECT_EQ(status, want_status);

	/* after a SIGKILL it is the guard's turn */
	for (tries = 0; tries < 500 && is_raw(slave); tries++)
		usleep(10000);
	tcgetattr(slave, &after);
	EXPECT_EQ(after.c_lflag, before.c_lflag);
	EXPECT_EQ(after.c_oflag, before.c_oflag);
	EXPECT_EQ(after.c_iflag, before.c_iflag);
	close(master);
	close(slave);
}

UNIT_TEST(terminal_after_exit)
{
	ends(BY_EXIT, 0);
}

UNIT_TEST(terminal_after_die)
{
	ends(BY_DIE, STATUS_HOST_ERROR << 8);
}

UNIT_TEST(terminal_after_restore)
{
	ends(BY_RESTORE, 0);
}

UNIT_TEST(terminal_after_crash)
{
	ends(BY_SEGV, SIGSEGV);
	ends(BY_ABORT, SIGABRT);
}

UNIT_TEST(terminal_after_kill)
{
	ends(BY_KILL, SIGKILL);
	ends(BY_TERM, SIGTERM);
}

/* Without a terminal nothing happens, and nothing is left behind. */
UNIT_TEST(terminal_none)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		int fd = open("/dev/null", O_RDWR);

		dup2(fd, 0);
		if (terminal_raw() || terminal_is_raw())
			_exit(1);
		terminal_restore();
		_exit(waitpid(-1, NULL, 0) != -1 || errno != ECHILD);
	}
	waitpid(pid, &status, 0);
	EXPECT_EQ(status, 0);
}
