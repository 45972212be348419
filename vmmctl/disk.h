/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Disk images and block devices, claimed so that no two guests write to one.
 */
#ifndef VMMCTL_DISK_H
#define VMMCTL_DISK_H

#include "error.h"
#include "options.h"

/**
 * struct disk - an open and claimed disk
 * @path: as the user gave it
 * @readonly: opened for reading only
 * @direct: opened with O_DIRECT
 * @fd: the file; the claim ends when it is closed
 * @sectors: size in units of 512 bytes
 */
struct disk {
	const char *path;
	bool readonly;
	bool direct;
	int fd;
	uint64_t sectors;
};

/**
 * disk_open() - open and claim
 * @d: filled
 * @opt: what the user asked for; @opt->path must stay
 * @e: what is wrong
 *
 * A regular file is claimed by an OFD lock over all of it, shared when it is read-only. A block
 * device to be written is opened with O_EXCL as well, which keeps it from being mounted
 * meanwhile.
 *
 * Return: 0 or -1.
 */
int disk_open(struct disk *d, const struct disk_option *opt, struct error *e);

/**
 * disk_reader() - another descriptor of the same file, to be read at any offset; -1 with @e. The
 * claim stays with the first.
 */
int disk_reader(const struct disk *d, struct error *e);

#endif /* VMMCTL_DISK_H */
