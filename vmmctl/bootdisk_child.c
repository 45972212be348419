// SPDX-License-Identifier: GPL-2.0
/*
 * The child process that reads file systems for vmmctl. It has three files (the disk, two
 * buffers), the system calls of the list below, and a time limit; what it says is checked by the
 * parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bootdisk.h"
#include "dev/host.h"

#define TIME_LIMIT	300	/* seconds; a large initrd on a slow disk takes a while */

/* shared with the child, and believed as little as a file */
struct answer {
	int ret;
	struct boot_files files;
	struct error error;
};

/* what reading a file and malloc() need; everything else fails with EPERM */
static int confine(void)
{
	static const unsigned int allowed[] = {
		SYS_read, SYS_pread64, SYS_write, SYS_lseek, SYS_mmap, SYS_munmap, SYS_mremap,
		SYS_mprotect, SYS_madvise, SYS_brk, SYS_futex, SYS_exit, SYS_exit_group,
		SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_getrandom, SYS_clock_gettime,
#ifdef __SANITIZE_ADDRESS__
		SYS_sigaltstack, SYS_gettid,
#endif
	};
	const unsigned int nr = ARRAY_SIZE(allowed);
	struct sock_filter code[nr + 5];
	struct sock_fprog prog = { .len = nr + 5, .filter = code };
	unsigned int i, n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64,
						 0, nr + 1);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (i = 0; i < nr; i++)
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
							 nr - i, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

/* the files become 0, 1 and 2, and nothing else stays open; they were all opened above 2 */
static int keep_only(struct boot_search *s)
{
	if (dup2(s->fd, 0) < 0 || dup2(s->kernel_fd, 1) < 0 || dup2(s->initrd_fd, 2) < 0)
		return -1;
	s->fd = 0;
	s->kernel_fd = 1;
	s->initrd_fd = 2;
	return close_range(3, ~0u, 0);
}

static void __attribute__((noreturn)) child(struct boot_search *s, bool want_kernel,
					    struct answer *answer)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGALRM, SIG_DFL);
	alarm(TIME_LIMIT);
	if (keep_only(s) || confine())
		error_set(&answer->error, "disk %s cannot be searched: %s", s->name,
			  strerror(errno));
	else
		answer->ret = bootdisk_search(s, want_kernel, &answer->files, &answer->error);
	_exit(0);
}

static int run_child(struct boot_search *s, bool want_kernel, struct answer *answer,
		     struct error *e)
{
	void (*on_child)(int sig);
	int status = -1;
	pid_t pid;

	answer->ret = -1;
	/* ignored, as some start their programs, it would leave no status to be fetched */
	on_child = signal(SIGCHLD, SIG_DFL);
	pid = fork();
	if (!pid)
		child(s, want_kernel, answer);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	signal(SIGCHLD, on_child);
	if (pid < 0)
		return error_set(e, "fork: %s", strerror(errno));

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return error_set(e, "disk %s: its file system was not read in %d s;\n"
				 "is it damaged? (e2fsck -f)",
				 s->name, TIME_LIMIT);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return error_set(e, "disk %s: its file system cannot be read;\n"
				 "is it damaged? (e2fsck -f)",
				 s->name);
	return 0;
}

/* A string that is printed: no control characters, not those either that UTF-8 or Latin-1 has. */
static void clean(char *s, size_t size)
{
	s[size - 1] = '\0';
	for (; *s; s++) {
		if ((*s < ' ' || *s > '~') && *s != '\n')
			*s = '?';
	}
}

#define CLEAN(s)	clean((s), sizeof(s))

static int take_answer(const struct answer *answer, const struct boot_search *s,
		       struct boot_files *out, struct error *e)
{
	*e = answer->error;
	CLEAN(e->text);
	if (answer->ret)
		return -1;

	*out = answer->files;
	out->kernel = (struct image){};
	out->initrd = (struct image){};
	CLEAN(out->kernel_path);
	CLEAN(out->initrd_path);
	CLEAN(out->root_uuid);
	CLEAN(out->root_dev);
	CLEAN(out->root_arg);

	if (*out->kernel_path && image_from_fd(&out->kernel, s->kernel_fd, out->kernel_path, e))
		return -1;
	if (*out->initrd_path && image_from_fd(&out->initrd, s->initrd_fd, out->initrd_path, e))
		return -1;
	return 0;
}

/* a memfd with a number above those that keep_only() writes over */
static int buffer(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);

	if (fd >= 0)
		close(fd);
	return high;
}

static int search_disk(const struct disk *d, unsigned int index, bool want_kernel,
		       struct answer *answer, struct boot_files *out, struct error *e)
{
	struct boot_search s = {
		.size = d->sectors * 512,
		.name = d->path,
		.index = index,
		.kernel_fd = -1,
		.initrd_fd = -1,
	};
	struct boot_search mine;
	int fd, ret = -1;

	fd = disk_reader(d, e);
	if (fd < 0)
		return -1;
	s.fd = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	close(fd);
	s.kernel_fd = buffer("kernel");
	s.initrd_fd = buffer("initrd");
	if (s.fd < 0 || s.kernel_fd < 0 || s.initrd_fd < 0) {
		error_set(e, "disk %s cannot be searched: %s", d->path, strerror(errno));
	} else {
		mine = s;
		ret = run_child(&mine, want_kernel, answer, e);
		if (!ret)
			ret = take_answer(answer, &s, out, e);
	}
	if (s.fd >= 0)
		close(s.fd);
	if (s.kernel_fd >= 0)
		close(s.kernel_fd);
	if (s.initrd_fd >= 0)
		close(s.initrd_fd);
	return ret;
}

int bootdisk_find(const struct disk *disks, unsigned int nr, bool want_kernel,
		  struct boot_files *out, struct error *e)
{
	struct error first;
	struct answer *answer;
	unsigned int i;
	int ret = -1;

	answer = mmap(NULL, sizeof(*answer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (answer == MAP_FAILED)
		return error_set(e, "out of memory");

	for (i = 0; i < nr; i++) {
		memset(answer, 0, sizeof(*answer));
		ret = search_disk(&disks[i], i, want_kernel, answer, out, e);
		if (!ret && (want_kernel || *out->root_dev))
			break;
		if (i == 0)
			first = *e;
	}
	if (ret && nr)
		*e = first;
	munmap(answer, sizeof(*answer));
	return ret;
}
