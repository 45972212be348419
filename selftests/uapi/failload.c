// SPDX-License-Identifier: GPL-2.0
/*
 * Loading the modules, and the first VM, which turns virtualization on, with each of the
 * allocations failing once: nothing is left behind, and the next attempt succeeds.
 */
#include <fcntl.h>
#include <sys/syscall.h>

#include "fail.h"
#include "harness.h"

/*
 * Of the faults of a module's load the last ones: those of its own start. Before them the kernel
 * fills /sys/module/NAME/sections, with more allocations than are left out here; and what comes
 * before that makes the kernel itself complain (jump labels, static calls). A load takes so long
 * that one in a few has to do.
 */
#define LAST	60
#define STEP	5

struct module {
	const char *name;
	int fd;
};

static bool loaded(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	return !access(path, F_OK);
}

static int call_load(void *ctx)
{
	return syscall(SYS_finit_module, ((struct module *)ctx)->fd, "", 0) ? -errno : 0;
}

/* the last reference may take a moment to go */
static void unload(void *ctx, int r)
{
	const char *name = ((struct module *)ctx)->name;
	unsigned int i;

	(void)r;
	for (i = 0; i < 100; i++) {
		if (!syscall(SYS_delete_module, name, O_NONBLOCK))
			return;
		t_sleep_ms(100);
	}
	t_die("%s cannot be unloaded: %s", name, strerror(errno));
}

static bool not_loaded(void *ctx)
{
	return !loaded(((struct module *)ctx)->name);
}

static struct module module(const char *name)
{
	struct module m = { name, -1 };
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.ko", getenv("VMM_MODULES"), name);
	m.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (m.fd < 0)
		t_die("open %s: %s", path, strerror(errno));
	return m;
}

static void must_load(struct module *m)
{
	int r = call_load(m);

	if (r)
		t_die("load of %s: %s", m->name, strerror(-r));
}

TEST(load)
{
	struct t_failing f = { "load of vmm", call_load, unload, not_loaded };
	struct module vmm, virtio;

	if (!getenv("VMM_MODULES") || !loaded("vmm_virtio"))
		SKIP(return, "VMM_MODULES does not say where the modules are");
	vmm = module("vmm");
	virtio = module("vmm_virtio");
	unload(&virtio, 0);
	unload(&vmm, 0);
	EXPECT_LE(1, t_fail_last(&f, &vmm, LAST, STEP));
	must_load(&vmm);
	must_load(&virtio);
}

static int call_create_vm(void *ctx)
{
	const struct vmm_create_vm arg = { 0 };

	return t_ioctl(*(int *)ctx, VMM_CREATE_VM, &arg);
}

static void close_it(void *ctx, int fd)
{
	(void)ctx;
	close(fd);
}

static bool no_vm_left(void *ctx)
{
	(void)ctx;
	/* the one is /dev/vmm, the other vmm_virtio */
	return t_read_long("/sys/module/vmm/refcnt") == 1 + loaded("vmm_virtio");
}

TEST(first_vm)
{
	const struct t_failing f = { "first VMM_CREATE_VM", call_create_vm, close_it, no_vm_left };
	int sys = t_open();

	ASSERT_TRUE(no_vm_left(NULL));
	EXPECT_LE(5, t_fail_each(&f, &sys));
	EXPECT_TRUE(no_vm_left(NULL));
	close(sys);
}

VMM_FAIL_MAIN
