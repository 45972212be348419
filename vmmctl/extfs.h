/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files of an ext2, ext3 or ext4 file system within a disk image, read by libext2fs from a
 * descriptor: no mount, no privilege.
 */
#ifndef VMMCTL_EXTFS_H
#define VMMCTL_EXTFS_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct extfs;

/**
 * extfs_open() - open the file system in [@start, @start + @size) of a file
 * @fd: the file, stays open and the caller's
 * @e: what is wrong
 *
 * Return: NULL with @e when there is none.
 */
struct extfs *extfs_open(int fd, uint64_t start, uint64_t size, struct error *e);

void extfs_close(struct extfs *fs);

/** extfs_uuid() - the file system's UUID as text, in @buf of 37 bytes; false when it has none */
bool extfs_uuid(const struct extfs *fs, char *buf);

/** extfs_lookup() - the inode at an absolute path, links followed; 0 when there is none */
uint32_t extfs_lookup(struct extfs *fs, const char *path);

bool extfs_is_dir(struct extfs *fs, uint32_t ino);
bool extfs_is_file(struct extfs *fs, uint32_t ino);

/**
 * extfs_list() - call @fn for each name in a directory until it returns true
 * @dir: its inode
 * @fn: gets the name, at most 255 bytes and zero-terminated
 */
void extfs_list(struct extfs *fs, uint32_t dir, bool (*fn)(const char *name, void *opaque),
		void *opaque);

/**
 * extfs_read() - read the start of a file
 * @buf: where to
 * @len: bytes at most
 *
 * Return: bytes read, -1 with @e.
 */
long extfs_read(struct extfs *fs, uint32_t ino, void *buf, unsigned int len, struct error *e);

/**
 * extfs_copy() - copy a file
 * @ino: its inode
 * @out_fd: written from its present offset
 * @max: refuse a file with more bytes
 *
 * Return: 0, -1 with @e.
 */
int extfs_copy(struct extfs *fs, uint32_t ino, int out_fd, uint64_t max, struct error *e);

#endif /* VMMCTL_EXTFS_H */
