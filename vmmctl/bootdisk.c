// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bootdisk.h"
#include "dev/host.h"
#include "extfs.h"
#include "part.h"
#include "version.h"

#define KERNEL_MAX	(512ull << 20)
#define INITRD_MAX	(2ull << 30)
#define GRUB_MAX	(256u << 10)
#define VERSION_MAX	200

static const char kernel_prefix[] = "vmlinuz-";

/* Names end up in messages on a terminal and in paths. */
static bool is_plain(const char *s)
{
	for (; *s; s++) {
		if (!isalnum((unsigned char)*s) && !strchr("._+~:-", *s))
			return false;
	}
	return true;
}

/* what package managers leave behind */
static bool is_leftover(const char *version)
{
	static const char * const ends[] = {
		".old", ".bak", ".dpkg-new", ".dpkg-tmp", ".dpkg-bak", ".rpmsave", ".sig", ".hmac",
	};
	size_t len = strlen(version);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t n = strlen(ends[i]);

		if (len >= n && !strcmp(version + len - n, ends[i]))
			return true;
	}
	return strstr(version, "rescue");
}

static bool take_newer(const char *name, void *opaque)
{
	const size_t skip = sizeof(kernel_prefix) - 1;
	char *best = opaque;

	if (strncmp(name, kernel_prefix, skip) || !name[skip] || strlen(name) >= VERSION_MAX ||
	    !is_plain(name) || is_leftover(name + skip))
		return false;
	if (!*best || version_compare(name + skip, best) > 0)
		strcpy(best, name + skip);
	return false;
}

/* the newest kernel in @dir ("" is the root), and the initrd of its version */
static bool find_versioned(struct extfs *fs, const char *dir, struct boot_files *f)
{
	static const char * const initrds[] = {
		"initrd.img-%s", "initramfs-%s.img", "initrd-%s", "initramfs-%s", "initrd-%s.img",
	};
	char best[VERSION_MAX] = "", name[256];
	uint32_t ino = extfs_lookup(fs, *dir ? dir : "/");
	unsigned int i;

	if (!extfs_is_dir(fs, ino))
		return false;
	extfs_list(fs, ino, take_newer, best);
	if (!*best)
		return false;

	snprintf(f->kernel_path, sizeof(f->kernel_path), "%s/%s%s", dir, kernel_prefix, best);
	f->initrd_path[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(initrds); i++) {
		snprintf(name, sizeof(name), initrds[i], best);
		snprintf(f->initrd_path, sizeof(f->initrd_path), "%s/%s", dir, name);
		if (extfs_is_file(fs, extfs_lookup(fs, f->initrd_path)))
			return true;
	}
	f->initrd_path[0] = '\0';
	return true;
}

/* kernels without a version in their name; on Debian these are links to the one to boot */
static bool find_plain(struct extfs *fs, struct boot_files *f)
{
	static const char * const kernels[] = { "/vmlinuz", "/boot/vmlinuz" };
	static const char * const initrds[] = {
		"/initrd.img", "/boot/initrd.img", "/boot/initrd", "/boot/initramfs.img",
	};
	unsigned int i, j;

	for (i = 0; i < 2; i++) {
		if (!extfs_is_file(fs, extfs_lookup(fs, kernels[i])))
			continue;
		strcpy(f->kernel_path, kernels[i]);
		f->initrd_path[0] = '\0';
		for (j = 0; j < 4; j++) {
			if (extfs_is_file(fs, extfs_lookup(fs, initrds[j]))) {
				strcpy(f->initrd_path, initrds[j]);
				break;
			}
		}
		return true;
	}
	return false;
}

static bool find_kernel(struct extfs *fs, struct boot_files *f)
{
	return find_versioned(fs, "/boot", f) || find_versioned(fs, "", f) || find_plain(fs, f);
}

static bool is_root(struct extfs *fs)
{
	static const char * const inits[] = { "/sbin/init", "/usr/lib/systemd/systemd", "/bin/init",
					      "/bin/sh" };
	unsigned int i;

	if (!extfs_is_dir(fs, extfs_lookup(fs, "/etc")))
		return false;
	for (i = 0; i < 4; i++) {
		if (extfs_lookup(fs, inits[i]))
			return true;
	}
	return false;
}

static void set_root(const struct boot_search *s, const struct part *part, struct extfs *fs,
		     struct boot_files *f)
{
	int n = snprintf(f->root_dev, sizeof(f->root_dev), "/dev/vd%c", 'a' + s->index);

	if (part->number)
		snprintf(f->root_dev + n, sizeof(f->root_dev) - n, "%u", part->number);
	if (!extfs_uuid(fs, f->root_uuid))
		f->root_uuid[0] = '\0';
}

/* the root= of the line in @cfg that boots @kernel */
static void scan_grub(char *cfg, const char *kernel, struct boot_files *f)
{
	char *line, *save;

	for (line = strtok_r(cfg, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *p = line + strspn(line, " \t"), *root;
		size_t len;

		if (strncmp(p, "linux", 5) || !strstr(p, kernel))
			continue;
		root = strstr(p, " root=");
		if (!root)
			continue;
		root += 6;
		len = strcspn(root, " \t\r");
		if (!len || len >= sizeof(f->root_arg))
			continue;
		memcpy(f->root_arg, root, len);
		f->root_arg[len] = '\0';
		for (p = f->root_arg; *p; p++) {
			if (!isgraph((unsigned char)*p))
				f->root_arg[0] = '\0';
		}
		if (f->root_arg[0])
			return;
	}
}

static void read_grub(struct extfs *fs, struct boot_files *f)
{
	static const char * const paths[] = { "/boot/grub/grub.cfg", "/grub/grub.cfg",
					      "/boot/grub2/grub.cfg", "/grub2/grub.cfg" };
	struct error ignored;
	unsigned int i;
	char *cfg = malloc(GRUB_MAX + 1);

	for (i = 0; cfg && i < 4; i++) {
		uint32_t ino = extfs_lookup(fs, paths[i]);
		long n;

		if (!extfs_is_file(fs, ino))
			continue;
		n = extfs_read(fs, ino, cfg, GRUB_MAX, &ignored);
		if (n <= 0)
			continue;
		cfg[n] = '\0';
		scan_grub(cfg, strrchr(f->kernel_path, '/') + 1, f);
		break;
	}
	free(cfg);
}

static int copy(struct extfs *fs, const char *path, int fd, uint64_t max,
		const struct boot_search *s, struct error *e)
{
	struct error why;

	if (!extfs_copy(fs, extfs_lookup(fs, path), fd, max, &why))
		return 0;
	return error_set(e, "%s on disk %s cannot be read: %s;\n"
			 "if the file system is damaged: e2fsck -f",
			 path, s->name, why.text);
}

static int nothing_found(const struct boot_search *s, unsigned int nr_parts,
			 unsigned int nr_filesystems, struct error *e)
{
	if (nr_filesystems)
		return error_set(e, "disk %s has no kernel in /boot (vmlinuz-*):\n"
				 "give one by -k",
				 s->name);
	if (nr_parts > 1)
		return error_set(e, "disk %s has %u partitions, none with an ext2, ext3 or ext4\n"
				 "file system: give the kernel by -k",
				 s->name, nr_parts);
	return error_set(e, "disk %s has no ext2, ext3 or ext4 file system:\n"
			 "give the kernel by -k",
			 s->name);
}

int bootdisk_search(const struct boot_search *s, bool want_kernel, struct boot_files *out,
		    struct error *e)
{
	unsigned int i, nr_filesystems = 0, nr;
	struct part parts[PARTS_MAX];
	bool root_is_sure = false;

	*out = (struct boot_files){};
	nr = part_scan(s->fd, s->size, parts);

	for (i = 0; i < nr; i++) {
		struct extfs *fs = extfs_open(s->fd, parts[i].start, parts[i].size, e);
		bool has_kernel = false;
		int err = 0;

		if (!fs)
			continue;
		nr_filesystems++;

		if (want_kernel && !*out->kernel_path && find_kernel(fs, out)) {
			has_kernel = true;
			read_grub(fs, out);
			err = copy(fs, out->kernel_path, s->kernel_fd, KERNEL_MAX, s, e);
			if (!err && *out->initrd_path)
				err = copy(fs, out->initrd_path, s->initrd_fd, INITRD_MAX, s, e);
		}
		/* the one that has the kernel too is surest */
		if (!err && !root_is_sure && is_root(fs) && (has_kernel || !*out->root_dev)) {
			set_root(s, &parts[i], fs, out);
			root_is_sure = has_kernel;
		}
		extfs_close(fs);
		if (err)
			return -1;
	}

	if (want_kernel && !*out->kernel_path)
		return nothing_found(s, nr, nr_filesystems, e);
	return 0;
}
