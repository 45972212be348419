// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations that fail on purpose; see fail.h.
 */
#include <fcntl.h>

#include "fail.h"

/* more faults than any call has */
#define MAX_FAULTS	20000

static bool set(const char *attr, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", attr, name);
	return t_write_file(path, value);
}

/*
 * t_fail_possible - does this kernel do it? Then allocations that may sleep are to fail as well,
 * pages of all orders, and nothing of it is to be logged.
 */
bool t_fail_possible(char *why, size_t size)
{
	if (access("/proc/thread-self/fail-nth", W_OK) ||
	    access("/sys/kernel/debug/failslab", X_OK)) {
		snprintf(why, size, "this kernel cannot fail allocations (CONFIG_FAILSLAB)");
		return false;
	}
	if (set("failslab", "ignore-gfp-wait", "N") && set("failslab", "verbose", "0") &&
	    set("fail_page_alloc", "ignore-gfp-wait", "N") &&
	    set("fail_page_alloc", "ignore-gfp-highmem", "N") &&
	    set("fail_page_alloc", "min-order", "0") && set("fail_page_alloc", "verbose", "0")) {
		set("fail_usercopy", "verbose", "0");
		return true;
	}
	snprintf(why, size, "cannot set up fault injection in /sys/kernel/debug: %s",
		 strerror(errno));
	return false;
}

/* t_fail_file - this thread's file; opening it allocates, so it stays open */
int t_fail_file(void)
{
	static __thread int fd = -1;

	if (fd < 0)
		fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		t_die("open of fail-nth: %s", strerror(errno));
	return fd;
}

static void set_nth(int fd, unsigned int n)
{
	char text[16];
	int len;

	len = snprintf(text, sizeof(text), "%u", n);
	/* the copy may be what fails: the second one does not */
	if (pwrite(fd, text, len, 0) != len && pwrite(fd, text, len, 0) != len)
		t_die("write of fail-nth: %s", strerror(errno));
}

void t_fail_nth(unsigned int n)
{
	set_nth(t_fail_file(), n);
}

/* how many were left to go; 0: the fault came */
static unsigned int left(int fd)
{
	char text[16] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	/* EFAULT: the one that was left is this */
	if (n <= 0 && errno != EFAULT)
		t_die("read of fail-nth: %s", strerror(errno));
	set_nth(fd, 0);
	return n > 0 ? atoi(text) : 1;
}

bool t_fail_happened(void)
{
	return !left(t_fail_file());
}

/* t_fail_happened_in - likewise, in the thread whose t_fail_file() that is */
bool t_fail_happened_in(int file)
{
	return !left(file);
}

/* how many faults the call could have */
static unsigned int count(const struct t_failing *f, void *ctx)
{
	unsigned int n;
	int r;

	t_fail_nth(MAX_FAULTS);
	r = f->call(ctx);
	n = MAX_FAULTS - left(t_fail_file());
	if (r < 0)
		t_die("%s, no fault: %s", f->name, strerrorname_np(-r));
	if (f->undo)
		f->undo(ctx, r);
	return n;
}

/* the lowest free descriptor: one more that is open, and not known, shows here */
static int next_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static bool error_allowed(int result)
{
	return result == -ENOMEM || result == -EFAULT;
}

/*
 * Call with the nth fault, then with one @step behind it, and so on until one comes too late. Each
 * call that fails leaves things as they were: the next finds them so, or says what is amiss.
 */
static unsigned int from(const struct t_failing *f, void *ctx, unsigned int n, unsigned int step)
{
	unsigned int failed = 0;
	bool happened;
	int fd, r;

	for (; n < MAX_FAULTS; n += step) {
		fd = next_fd();
		t_fail_nth(n);
		r = f->call(ctx);
		happened = t_fail_happened();
		if (r < 0) {
			failed++;
			if (!happened)
				t_die("%s, no fault: %s", f->name, strerrorname_np(-r));
			if (!error_allowed(r))
				t_die("%s, fault %u: %s", f->name, n, strerrorname_np(-r));
			if (next_fd() != fd)
				t_die("%s, fault %u: a descriptor is left", f->name, n);
			if (f->same && !f->same(ctx))
				t_die("%s, fault %u: not as before", f->name, n);
			continue;
		}
		if (f->undo)
			f->undo(ctx, r);
		if (!happened) {
			t_say("%s: %u faults, %u failed calls", f->name, n - step, failed);
			return failed;
		}
	}
	t_die("%s: no end of faults", f->name);
}

/* t_fail_each - with each fault once. Returns how many calls failed; t_die() where one is wrong. */
unsigned int t_fail_each(const struct t_failing *f, void *ctx)
{
	t_fail_nth(0);		/* opens the file */
	return from(f, ctx, 1, 1);
}

/* t_fail_last - likewise, but with each @step-th of the @last faults */
unsigned int t_fail_last(const struct t_failing *f, void *ctx, unsigned int last,
			 unsigned int step)
{
	unsigned int n = count(f, ctx);

	return from(f, ctx, n > last ? n - last : 1, step);
}
