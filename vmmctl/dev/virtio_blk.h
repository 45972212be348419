/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio block device (virtio 1.2, 5.2).
 */
#ifndef VMMCTL_DEV_VIRTIO_BLK_H
#define VMMCTL_DEV_VIRTIO_BLK_H

#include "../vmmctl.h"

/**
 * virtio_blk_create - a disk
 * @vm: the VM; its devices exist and it does not run yet
 * @fd: image file or block device, opened and claimed by the caller, whose it stays; it may be
 *	closed: the kernel holds the file
 * @readonly: the guest may not write
 * @direct: past the host's page cache
 * @capacity: in sectors of 512 bytes
 * @serial: answer to GET_ID, at most VMM_BLK_SERIAL_LEN bytes; NULL = empty
 *
 * Return: 0 or a negative errno. -ENODEV: module vmm_virtio is not loaded. -EINVAL: not a file for
 * this, or @direct and O_DIRECT do not agree.
 */
int virtio_blk_create(struct vm *vm, int fd, bool readonly, bool direct, uint64_t capacity,
		      const char *serial);

#endif /* VMMCTL_DEV_VIRTIO_BLK_H */
