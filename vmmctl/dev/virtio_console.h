/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio console with one port (virtio 1.2, 5.3).
 */
#ifndef VMMCTL_DEV_VIRTIO_CONSOLE_H
#define VMMCTL_DEV_VIRTIO_CONSOLE_H

#include "../vmmctl.h"

/**
 * virtio_console_create - hvc0
 * @vm: the VM; its devices exist and it does not run yet; it has no other console of this kind
 * @in_fd: where the guest's input comes from, -1 = none; non-blocking and known to poll
 * @out_fd: where its output goes, -1 = nowhere; likewise
 *
 * Return: 0 or a negative errno. -ENODEV: module vmm_virtio is not loaded.
 */
int virtio_console_create(struct vm *vm, int in_fd, int out_fd);

/**
 * virtio_console_resize - the user's window has another size
 * @vm: the VM; without a console this does nothing
 * @cols: columns
 * @rows: rows
 *
 * Any thread; not from a signal handler.
 */
void virtio_console_resize(struct vm *vm, unsigned int cols, unsigned int rows);

#endif /* VMMCTL_DEV_VIRTIO_CONSOLE_H */
