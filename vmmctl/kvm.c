// SPDX-License-Identifier: GPL-2.0
/*
 * The keeper's life:
 *
 *	vmmctl forks it
 *	takes the module out, and tells the result
 *	waits until vmmctl closes its end of the socket, having made its VM, or having died
 *	waits until no VM lives
 *	puts the module back
 *
 * The kernel counts who uses KVM: a module with a guest, or with /dev/kvm open, does not go. Nor
 * does the module start while a VM lives (6.12), so the keeper cannot come too early.
 */
#include <errno.h>
#include <fcntl.h>
#include <libkmod.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "dev/host.h"
#include "kvm.h"
#include "vmmctl.h"

#define KEEPER_NAME	"vmmctl-kvm"

/* A guest that reboots is without a VM for a moment, and so is a series of short ones. */
#define LINGER_MS	1500
#define MAX_LOADS	5

static void quiet(void *data, int priority, const char *file, int line, const char *fn,
		  const char *format, va_list args)
{
	(void)data;
	(void)priority;
	(void)file;
	(void)line;
	(void)fn;
	(void)format;
	(void)args;
}

/* KVM's module for this processor that is in the kernel, whole or on its way, or NULL */
static struct kmod_module *find_module(struct kmod_ctx *ctx, int *state)
{
	static const char * const names[] = { "kvm_amd", "kvm_intel" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct kmod_module *mod;

		if (kmod_module_new_from_name(ctx, names[i], &mod))
			continue;
		*state = kmod_module_get_initstate(mod);
		if (*state >= 0)
			return mod;
		kmod_module_unref(mod);
	}
	return NULL;
}

/* 0, or what kvm_make_way() returns */
static int take_out(struct kmod_ctx *ctx, struct kmod_module **modp)
{
	struct kmod_module *mod;
	int state, ret;

	mod = find_module(ctx, &state);
	if (!mod)
		return -EAGAIN;
	*modp = mod;
	if (state == KMOD_MODULE_BUILTIN)
		return -EBUSY;
	if (state != KMOD_MODULE_LIVE)
		return -EAGAIN;
	ret = kmod_module_remove_module(mod, 0);
	if (ret == -ENOENT)	/* somebody was faster */
		return -EAGAIN;
	if (ret == -EAGAIN)	/* in use */
		return -EBUSY;
	return ret;
}

/* /dev/vmm says that no VM lives, or is not there; after at most @timeout ms, -1: for ever */
static bool no_vm_lives(int timeout)
{
	struct pollfd p = { .fd = open("/dev/vmm", O_RDWR | O_CLOEXEC), .events = POLLIN };
	int n;

	if (p.fd < 0)
		return true;
	do {
		n = poll(&p, 1, timeout);
	} while (n < 0 && errno == EINTR);
	close(p.fd);	/* lest the keeper hold vmm's module */
	return n;
}

static void put_back(struct kmod_module *mod)
{
	int tries, ret = 0;

	for (tries = 0; tries < MAX_LOADS; tries++) {
		do {
			no_vm_lives(-1);
			poll(NULL, 0, LINGER_MS);
		} while (!no_vm_lives(0));
		ret = kmod_module_probe_insert_module(mod, 0, NULL, NULL, NULL, NULL);
		if (ret >= 0)
			return;
	}
	openlog(KEEPER_NAME, LOG_PID, LOG_DAEMON);
	syslog(LOG_WARNING, "the module %s does not load again: %s", kmod_module_get_name(mod),
	       strerror(-ret));
}

/* a session of its own without anything of vmmctl's: neither its disks nor its standard output */
static void detach(int *sock)
{
	sigset_t none;
	int fd;

	setsid();
	prctl(PR_SET_NAME, KEEPER_NAME);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir("/"))
		_exit(1);

	fd = open("/dev/null", O_RDWR);
	if (fd < 0 || dup2(*sock, 3) < 0)
		_exit(1);
	*sock = 3;
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close_range(4, ~0u, 0);
}

static void __attribute__((noreturn)) keep(int sock)
{
	struct kmod_module *mod = NULL;
	struct kmod_ctx *ctx;
	int ret = -ENOMEM;
	char c;

	detach(&sock);
	ctx = kmod_new(NULL, NULL);
	if (ctx) {
		kmod_set_log_fn(ctx, quiet, NULL);
		ret = take_out(ctx, &mod);
	}
	if (write(sock, &ret, sizeof(ret)) != sizeof(ret) && ret)
		_exit(1);
	if (ret)
		_exit(0);

	while (read(sock, &c, 1) < 0 && errno == EINTR)
		;
	close(sock);
	put_back(mod);
	_exit(0);
}

int kvm_make_way(void)
{
	int socks[2], ret = -ECHILD;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks))
		return -errno;
	pid = fork();
	if (pid < 0) {
		ret = -errno;
		close(socks[0]);
		close(socks[1]);
		return ret;
	}
	if (!pid) {
		/* twice, so that the keeper is no child that vmmctl has to wait for */
		if (!fork()) {
			close(socks[0]);
			keep(socks[1]);
		}
		_exit(0);
	}
	close(socks[1]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (read(socks[0], &ret, sizeof(ret)) != sizeof(ret))
		ret = -ECHILD;
	if (!ret)
		return socks[0];
	close(socks[0]);
	return ret;
}

void kvm_may_return(int handle)
{
	if (handle >= 0)
		close(handle);
}
