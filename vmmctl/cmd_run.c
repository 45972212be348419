// SPDX-License-Identifier: GPL-2.0
/*
 * vmmctl run: from the command line to a guest, and from its end to an exit status.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acpi/acpi.h"
#include "boot.h"
#include "bootdisk.h"
#include "cmd.h"
#include "cmdline.h"
#include "dev/devices.h"
#include "dev/legacy.h"
#include "dev/virtio_blk.h"
#include "disk.h"
#include "options.h"
#include "pvpanic.h"
#include "session.h"
#include "terminal.h"
#include "vcpu.h"
#include "vm.h"

/**
 * struct job - one vmmctl run
 * @opt: the command line
 * @disks: opened, in order
 * @vm: the VM
 * @type: of the kernel
 * @req: what to boot
 * @modules: initrd or multiboot modules
 * @files: what was found on the disks
 */
struct job {
	struct options opt;
	struct disk disks[MAX_DISKS];
	struct vm vm;
	enum boot_type type;
	struct boot_request req;
	struct boot_module modules[MAX_MODULES + 1];
	struct boot_files files;
};

static int open_disks(struct job *j, struct error *e)
{
	unsigned int i;

	for (i = 0; i < j->opt.nr_disks; i++) {
		if (disk_open(&j->disks[i], &j->opt.disks[i], e))
			return -1;
	}
	return 0;
}

static void add_module(struct job *j, const struct image *img, const char *string)
{
	j->modules[j->req.nr_modules++] = (struct boot_module){ *img, string };
}

/* initrd.img-V beside vmlinuz-V; the path, or NULL */
static char *initrd_beside(const char *kernel)
{
	static const char prefix[] = "vmlinuz-";
	const char *slash = strrchr(kernel, '/');
	const char *base = slash ? slash + 1 : kernel;
	char *path;

	if (strncmp(base, prefix, strlen(prefix)))
		return NULL;
	if (asprintf(&path, "%.*sinitrd.img-%s", (int)(base - kernel), kernel,
		     base + strlen(prefix)) < 0)
		die("out of memory");
	if (!access(path, F_OK))
		return path;
	free(path);
	return NULL;
}

static int open_initrd(struct job *j, struct error *e)
{
	const char *path = j->opt.initrd;
	struct image img;

	if (!path && j->type != BOOT_MULTIBOOT)
		path = initrd_beside(j->opt.kernel);
	if (!path) {
		if (j->type == BOOT_LINUX)
			warn("no initrd: a kernel whose drivers are modules, as distributions\n"
			     "make them, needs one to reach its disk (-i FILE)");
		return 0;
	}
	if (image_open(&img, path, "initrd", e))
		return -1;
	add_module(j, &img, path);
	return 0;
}

static int open_modules(struct job *j, struct error *e)
{
	unsigned int i;

	if (j->opt.nr_modules && j->type != BOOT_MULTIBOOT)
		return error_set(e, "--module is for multiboot kernels, and %s is none;\n"
				 "an initrd is given by -i",
				 j->opt.kernel);
	for (i = 0; i < j->opt.nr_modules; i++) {
		const struct module_option *m = &j->opt.modules[i];
		struct image img;

		if (image_open(&img, m->path, "module", e))
			return -1;
		add_module(j, &img, m->string ?: m->path);
	}
	return 0;
}

static int kernel_from_file(struct job *j, struct error *e)
{
	struct error ignored;

	if (image_open(&j->req.kernel, j->opt.kernel, "kernel", e) ||
	    boot_detect(&j->req.kernel, &j->type, e) || open_initrd(j, e) || open_modules(j, e))
		return -1;
	/* for root= alone, so that a disk that does not tell is no error */
	if (j->opt.nr_disks && j->type != BOOT_MULTIBOOT &&
	    bootdisk_find(j->disks, j->opt.nr_disks, false, &j->files, &ignored))
		j->files = (struct boot_files){};
	return 0;
}

static int kernel_from_disk(struct job *j, struct error *e)
{
	if (bootdisk_find(j->disks, j->opt.nr_disks, true, &j->files, e))
		return -1;
	j->req.kernel = j->files.kernel;
	if (boot_detect(&j->req.kernel, &j->type, e))
		return -1;

	if (j->opt.initrd) {
		if (open_initrd(j, e))
			return -1;
	} else if (j->files.initrd.data) {
		add_module(j, &j->files.initrd, j->files.initrd_path);
	} else {
		warn("no initrd beside %s on the disk", j->files.kernel_path);
	}
	if (!*j->files.root_dev && !*j->files.root_arg &&
	    !cmdline_has(j->opt.append ?: "", "root="))
		warn("no root file system was found on the disk: give it by -a root=DEV");
	warn("booting %s%s%s from the disk", j->files.kernel_path,
	     j->files.initrd.data ? " with " : "", j->files.initrd_path);
	return 0;
}

static int find_kernel(struct job *j, struct error *e)
{
	int ret = j->opt.kernel ? kernel_from_file(j, e) : kernel_from_disk(j, e);

	if (ret)
		return -1;
	if (j->type == BOOT_MULTIBOOT)
		j->req.cmdline = j->opt.append ?: "";
	else
		j->req.cmdline = cmdline_make(&j->opt, &j->files, j->req.nr_modules);
	j->req.modules = j->modules;
	return 0;
}

static unsigned int devices_needed(const struct options *opt)
{
	return (opt->nr_disks ? 1u << VMM_DEVICE_BLK : 0) |
	       (opt->console == CONSOLE_HVC ? 1u << VMM_DEVICE_CONSOLE : 0);
}

static int create_disks(struct job *j, struct error *e)
{
	unsigned int i;

	for (i = 0; i < j->opt.nr_disks; i++) {
		struct disk *d = &j->disks[i];
		char serial[VMM_BLK_SERIAL_LEN + 1];
		int ret;

		snprintf(serial, sizeof(serial), "vmm-disk%u", i);
		ret = virtio_blk_create(&j->vm, d->fd, d->readonly, d->direct, d->sectors, serial);
		if (ret == -EINVAL && d->direct)
			return error_set(e, "disk %s: its file system knows no direct I/O;\n"
					 "leave out ,direct", d->path);
		if (ret)
			return error_set(e, "disk %s: %s", d->path, strerror(-ret));
	}
	return 0;
}

static int create_machine(struct job *j, int dev_fd, struct error *e)
{
	int ret;

	if (vm_create(&j->vm, dev_fd, &j->opt, e) || vcpus_create(&j->vm, j->opt.cpus, e))
		return -1;
	ret = devices_create(&j->vm);
	if (ret)
		return error_set(e, "the machine's devices: %s", strerror(-ret));
	return create_disks(j, e);
}

/* The serial port is there by now; a debug exit may stand where it does not. */
static int last_preparations(void *opaque, struct error *e)
{
	struct job *j = opaque;
	struct boot_state state;
	int ret;

	if (j->opt.debug_exit >= 0) {
		ret = debug_exit_create(&j->vm, j->opt.debug_exit);
		if (ret)
			return error_set(e, "--debug-exit: port %#x belongs to another device",
					 j->opt.debug_exit);
	}
	/* a debug exit there comes first */
	pvpanic_create(&j->vm);
	j->req.rsdp = acpi_build(&j->vm);
	if (boot_load(&j->vm, j->type, &j->req, &state, e))
		return -1;
	return vcpu_boot_state(&j->vm, &state, e);
}

/*
 * A reboot is a new process image with the same arguments: nothing of the old machine survives in
 * it, and disks and kernel are found anew, as firmware would.
 */
static void __attribute__((noreturn)) reboot(void)
{
	terminal_restore();
	terminal_reap();
	session_unblock_signals();
	execv("/proc/self/exe", self_argv);
	die("reboot: %s", strerror(errno));
}

static void tell(int status)
{
	if (status == STATUS_PANIC)
		warn("the guest panicked, or halted for good with interrupts off");
	else if (status == STATUS_TRIPLE_FAULT)
		warn("the guest's processor shut down (triple fault)");
}

int cmd_run(int argc, char **argv)
{
	static struct job job;
	int dev_fd, status, sig = 0;
	struct error e;

	options_parse_run(&job.opt, argc, argv);

	/* what the user can mend comes before what takes time */
	dev_fd = vmm_open(devices_needed(&job.opt), &e);
	if (dev_fd < 0 || open_disks(&job, &e) || find_kernel(&job, &e))
		die("%s", e.text);

	session_block_signals();
	if (create_machine(&job, dev_fd, &e))
		die("%s", e.text);
	status = session_run(&job.vm, &sig, last_preparations, &job, &e);
	if (status < 0)
		die("%s", e.text);

	terminal_restore();
	if (sig) {
		session_unblock_signals();
		signal(sig, SIG_DFL);
		raise(sig);
	}
	if (status == STATUS_REBOOT && !job.opt.no_reboot)
		reboot();
	tell(status);
	fflush(stdout);
	/* not exit(): a thread may still hang in the host's kernel */
	_exit(status);
}
