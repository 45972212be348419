/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Boot from a disk without firmware and boot loader: the kernel and initrd that the guest's
 * distribution put into /boot, and where its root is.
 */
#ifndef VMMCTL_BOOTDISK_H
#define VMMCTL_BOOTDISK_H

#include <stdbool.h>

#include "disk.h"
#include "image.h"

/**
 * struct boot_files - what a disk has to offer
 * @kernel: the newest kernel; data NULL = none
 * @initrd: the initrd that belongs to it; data NULL = none
 * @kernel_path: where it was
 * @initrd_path: where that was
 * @root_uuid: UUID of the root file system, or ""
 * @root_dev: its device as the guest will name it, or ""
 * @root_arg: what the disk's own GRUB gives for root=, or ""
 */
struct boot_files {
	struct image kernel, initrd;
	char kernel_path[320], initrd_path[320];
	char root_uuid[40];
	char root_dev[32];
	char root_arg[128];
};

/**
 * bootdisk_find() - look through the disks, in order
 * @disks: open ones
 * @nr: how many
 * @want_kernel: a disk without one is passed over; else only the root is looked for, and
 *	finding none is no error
 * @out: filled
 * @e: what is wrong
 *
 * File systems that guests wrote are read in a child process that can do nothing but read the
 * disk and write into two buffers. Call it before there are threads.
 *
 * Return: 0 or -1.
 */
int bootdisk_find(const struct disk *disks, unsigned int nr, bool want_kernel,
		  struct boot_files *out, struct error *e);

/* the parts, for tests */

/**
 * struct boot_search - one disk being searched
 * @fd: the disk
 * @size: its bytes
 * @name: for messages
 * @index: which disk: 0 = vda
 * @kernel_fd: the kernel is copied here
 * @initrd_fd: and the initrd here
 */
struct boot_search {
	int fd;
	uint64_t size;
	const char *name;
	unsigned int index;
	int kernel_fd, initrd_fd;
};

/** bootdisk_search() - the search itself, in this process. Return: 0 or -1 with @e. */
int bootdisk_search(const struct boot_search *s, bool want_kernel, struct boot_files *out,
		    struct error *e);

#endif /* VMMCTL_BOOTDISK_H */
