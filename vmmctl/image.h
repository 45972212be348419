/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file's contents in memory: a kernel, an initrd, a module. They come from the user and from
 * guests' disks; nothing in them is believed.
 */
#ifndef VMMCTL_IMAGE_H
#define VMMCTL_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

/**
 * struct image - a file
 * @name: its name, for messages
 * @data: contents, read-only; NULL = there is no file
 * @size: bytes
 */
struct image {
	const char *name;
	const uint8_t *data;
	size_t size;
};

/**
 * image_open() - read a file that the user named
 * @img: filled; @path must stay
 * @path: the file; a pipe is read to its end
 * @what: "kernel", "initrd", for messages
 * @e: says what is wrong
 *
 * Return: 0 or -1.
 */
int image_open(struct image *img, const char *path, const char *what, struct error *e);

/** image_from_fd() - the same of an open file, a regular one or a memfd; @fd stays open */
int image_from_fd(struct image *img, int fd, const char *name, struct error *e);

/**
 * image_describe() - what a file looks like that is no kernel; a phrase such as "a gzip file" or
 * NULL
 */
const char *image_describe(const struct image *img);

#endif /* VMMCTL_IMAGE_H */
