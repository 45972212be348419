// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "dev/host.h"
#include "diagnose.h"

#define MAX_NAMED	6	/* processes named in one message */

/**
 * struct fd_search - a walk over the open files of all processes
 * @match: whether this descriptor is one of those looked for; @dir is /proc/PID
 * @opaque: for @match
 * @found: processes that have one
 * @hidden: processes whose files the user may not see
 */
struct fd_search {
	bool (*match)(const struct fd_search *s, int dir, const char *fd);
	const void *opaque;
	unsigned int found;
	unsigned int hidden;
};

static bool is_number(const char *s)
{
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return false;
	}
	return true;
}

static void read_line(int dir, const char *path, char *buf, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n < 0 ? 0 : n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

static bool process_has(struct fd_search *s, int dir)
{
	int fd = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	bool has = false;

	if (!d) {
		if (errno == EACCES || errno == EPERM)
			s->hidden++;
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!has && (de = readdir(d)))
		has = is_number(de->d_name) && s->match(s, dir, de->d_name);
	closedir(d);
	return has;
}

/* append "a (pid 1), b (pid 2)" to @e */
static void search_fds(struct fd_search *s, struct error *e)
{
	DIR *proc = opendir("/proc");
	struct dirent *de;

	if (!proc)
		return;
	while ((de = readdir(proc))) {
		char comm[64];
		int dir;

		if (!is_number(de->d_name) || atoi(de->d_name) == getpid())
			continue;
		dir = openat(dirfd(proc), de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			continue;
		if (process_has(s, dir)) {
			read_line(dir, "comm", comm, sizeof(comm));
			if (s->found < MAX_NAMED)
				error_add(e, "%s%s (pid %s)", s->found ? ", " : "", comm,
					  de->d_name);
			s->found++;
		}
		close(dir);
	}
	closedir(proc);
	if (s->found > MAX_NAMED)
		error_add(e, " and %u more", s->found - MAX_NAMED);
}

/* @opaque: how the target of the link starts */
static bool link_starts(const struct fd_search *s, int dir, const char *fd)
{
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "fd/%s", fd);
	n = readlinkat(dir, path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return !strncmp(target, s->opaque, strlen(s->opaque));
}

/* a module's use count, -1 when it is not loaded, -2 when it is built into the kernel */
static int module_users(const char *name)
{
	char line[512], found[64], path[64];
	FILE *f = fopen("/proc/modules", "re");
	int users = -1, n;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %*u %d", found, &n) == 2 && !strcmp(found, name))
			users = n;
	}
	if (f)
		fclose(f);

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	if (users < 0 && !access(path, F_OK))
		users = -2;
	return users;
}

static bool cpu_has_flag(const char *flag)
{
	size_t len = strlen(flag);
	FILE *f = fopen("/proc/cpuinfo", "re");
	bool has = false;
	char *line = NULL;
	size_t room = 0;

	while (f && !has && getline(&line, &room, f) > 0) {
		char *p = line;

		if (strncmp(line, "flags", 5))
			continue;
		while (!has && (p = strstr(p, flag))) {
			has = p > line && isspace((unsigned char)p[-1]) &&
			      (isspace((unsigned char)p[len]) || !p[len]);
			p += len;
		}
		break;
	}
	free(line);
	if (f)
		fclose(f);
	return has;
}

static bool module_installed(void)
{
	static const char * const dirs[] = { "updates", "extra", "updates/dkms" };
	struct utsname u;
	unsigned int i;

	if (uname(&u))
		return false;
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		char path[512];

		snprintf(path, sizeof(path), "/lib/modules/%s/%s/vmm.ko", u.release, dirs[i]);
		if (!access(path, F_OK))
			return true;
		strcat(path, ".xz");
		if (!access(path, F_OK))
			return true;
	}
	return false;
}

static int explain_missing(struct error *e)
{
	if (module_users("vmm") >= 0)
		return error_set(e, "the module vmm is loaded, but there is no /dev/vmm:\n"
				 "is udev running, or is this a container without the device?");

	error_set(e, "there is no /dev/vmm: the module vmm is not loaded.\n");
	if (module_installed())
		error_add(e, "Type: sudo modprobe vmm_virtio");
	else
		error_add(e, "Type, in vmm's source tree: make && sudo make load\n"
			  "(or sudo make install, then sudo modprobe vmm_virtio)");
	if (!cpu_has_flag("svm") && !cpu_has_flag("vmx"))
		error_add(e, "\nIt will not load: the processor has no AMD-V (svm) or VT-x (vmx).\n"
			  "Switch virtualization on in the firmware's setup;\n"
			  "in a virtual machine, have nested virtualization switched on.");
	return -1;
}

static int explain_permission(struct error *e)
{
	const struct group *gr;
	const struct passwd *pw = getpwuid(geteuid());
	struct stat st;

	error_set(e, "you may not open /dev/vmm.\n");
	if (stat("/dev/vmm", &st))
		return -1;
	gr = getgrgid(st.st_gid);
	if (!gr || strcmp(gr->gr_name, "kvm") || (st.st_mode & 0060) != 0060)
		return error_add(e, "It belongs to group %s with mode %04o; vmm's udev rule\n"
				 "gives it to group kvm. Type, in vmm's source tree: sudo make install",
				 gr ? gr->gr_name : "?", st.st_mode & 07777);
	return error_add(e, "Its group is kvm. Type: sudo usermod -aG kvm %s\n"
			 "and log in again (or, for this shell only: newgrp kvm)",
			 pw ? pw->pw_name : "YOU");
}

int explain_no_device(int err, struct error *e)
{
	switch (err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return explain_missing(e);
	case EACCES:
	case EPERM:
		return explain_permission(e);
	}
	return error_set(e, "/dev/vmm: %s", strerror(err));
}

static int explain_kvm_guests(const char *module, struct error *e)
{
	struct fd_search guests = { .match = link_starts, .opaque = "anon_inode:kvm-vm" };
	struct fd_search openers = { .match = link_starts, .opaque = "/dev/kvm" };

	error_set(e, "KVM has this processor's virtualization, and runs the guest of: ");
	search_fds(&guests, e);
	if (guests.found)
		return error_add(e, "\nKVM and vmm can't have it at the same time. End that guest\n"
				 "and try again; or run this one under KVM, too, with other tools.");

	error_set(e, "KVM holds this processor's virtualization, and is in use (%s) by: ", module);
	search_fds(&openers, e);
	if (!openers.found)
		error_add(e, openers.hidden ?
			  "somebody you may not see (try sudo fuser -v /dev/kvm)" :
			  "nobody who is to be found");
	return error_add(e, "\nEnd that, and try again.");
}

static int explain_kvm(const char *module, int users, struct error *e)
{
	if (users == -2)
		return error_set(e, "KVM, built into this kernel, holds the processor's\n"
				 "virtualization. End its guests; if there are none, boot with\n"
				 "kvm.enable_virt_at_load=0 (Linux 6.12 and later).");
	if (users > 0)
		return explain_kvm_guests(module, e);
	return error_set(e, "KVM holds this processor's virtualization, though nobody uses it.\n"
			 "Type: sudo modprobe -r %s\n"
			 "(as root, without --keep-kvm, vmmctl does so by itself, and puts it back;\n"
			 "you put it back by: sudo modprobe %s)",
			 module, module);
}

static int explain_busy(struct error *e)
{
	static const char * const modules[] = { "kvm_amd", "kvm_intel" };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		int users = module_users(modules[i]);

		if (users != -1)
			return explain_kvm(modules[i], users, e);
	}
	if (module_users("vboxdrv") >= 0)
		return error_set(e, "VirtualBox holds this processor's virtualization.\n"
				 "End its machines, then type: sudo modprobe -r vboxnetflt vboxnetadp vboxdrv");
	return error_set(e, "something holds this processor's virtualization,\n"
			 "neither KVM nor VirtualBox: lsmod shows what is loaded");
}

int explain_no_vm(int err, struct error *e)
{
	switch (err) {
	case EBUSY:
		return explain_busy(e);
	case ENODEV:
	case EOPNOTSUPP:
		return error_set(e, "vmm cannot run guests on this processor:\n"
				 "it needs nested paging, and virtualization switched on in the firmware's setup.\n"
				 "The reason is in the kernel's log: sudo dmesg | grep vmm");
	case ENOMEM:
		return error_set(e, "the kernel has no memory left for another VM:\n"
				 "end some, or raise this cgroup's memory.max");
	case EMFILE:
		return error_set(e, "too many open files: ulimit -n shows the limit");
	}
	return error_set(e, "the kernel does not create a VM: %s;\n"
			 "its log may say more: sudo dmesg | grep vmm",
			 strerror(err));
}

static unsigned long meminfo_mib(const char *key)
{
	FILE *f = fopen("/proc/meminfo", "re");
	size_t len = strlen(key);
	unsigned long kib = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, len) && line[len] == ':')
			sscanf(line + len + 1, "%lu", &kib);
	}
	if (f)
		fclose(f);
	return kib >> 10;
}

int explain_no_memory(uint64_t size, struct error *e)
{
	return error_set(e, "%llu MiB for the guest cannot be had: this machine has %lu MiB,\n"
			 "of which %lu are available, and %lu MiB of free swap. Give it less by --mem\n"
			 "(ulimit -v, vm.overcommit_memory and the cgroup's memory.max are limits, too)",
			 (unsigned long long)size >> 20, meminfo_mib("MemTotal"),
			 meminfo_mib("MemAvailable"), meminfo_mib("SwapFree"));
}

/*
 * The lock's line in fdinfo is shown for the descriptor that owns it, so this finds the holder
 * and not mere readers.
 */
static bool fd_locks_file(const struct fd_search *s, int dir, const char *fd)
{
	const struct stat *want = s->opaque;
	char path[64], text[4096];
	struct stat st;
	ssize_t n;
	int info;

	snprintf(path, sizeof(path), "fd/%s", fd);
	if (fstatat(dir, path, &st, 0) || st.st_dev != want->st_dev || st.st_ino != want->st_ino)
		return false;

	snprintf(path, sizeof(path), "fdinfo/%s", fd);
	info = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return false;
	n = read(info, text, sizeof(text) - 1);
	close(info);
	text[n < 0 ? 0 : n] = '\0';
	return strstr(text, "lock:");
}

static bool fd_is_device(const struct fd_search *s, int dir, const char *fd)
{
	const struct stat *want = s->opaque;
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "fd/%s", fd);
	return !fstatat(dir, path, &st, 0) && S_ISBLK(st.st_mode) && st.st_rdev == want->st_rdev;
}

/* append where @dev is mounted; false when it is not */
static bool add_mount(dev_t dev, struct error *e)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	while (f && !found && getline(&line, &room, f) > 0) {
		unsigned int ma, mi;
		int at = 0, end = 0;

		if (sscanf(line, "%*u %*u %u:%u %*s %n%*s%n", &ma, &mi, &at, &end) != 2 || !end)
			continue;
		if (makedev(ma, mi) != dev)
			continue;
		line[end] = '\0';
		error_add(e, ": it is mounted on %s: umount it", line + at);
		found = true;
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

/* append what is stacked on @dev: device mapper, md, ... */
static bool add_holders(dev_t dev, struct error *e)
{
	char path[64];
	struct dirent *de;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(dev), minor(dev));
	d = opendir(path);
	while (d && (de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		error_add(e, "%s%s", found ? ", " : ": it is part of ", de->d_name);
		found = true;
	}
	if (d)
		closedir(d);
	return found;
}

int explain_disk_in_use(const char *path, const struct stat *st, struct error *e)
{
	struct fd_search s = { .match = fd_locks_file, .opaque = st };

	error_set(e, "%s is in use", path);
	if (S_ISBLK(st->st_mode)) {
		if (add_mount(st->st_rdev, e) || add_holders(st->st_rdev, e))
			return -1;
		s.match = fd_is_device;
	}
	error_add(e, " by ");
	search_fds(&s, e);
	if (!s.found)
		error_add(e, s.hidden ? "somebody you may not see (try sudo fuser -v)" :
			  "somebody who is not to be found");
	return error_add(e, "\nEnd that first; a disk that is only read can be shared,\n"
			 "with ,ro everywhere.");
}
