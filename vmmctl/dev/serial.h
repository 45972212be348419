/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The first serial port: a 16550A (National Semiconductor PC16550D data sheet) at 0x3f8, irq 4.
 */
#ifndef VMMCTL_DEV_SERIAL_H
#define VMMCTL_DEV_SERIAL_H

#include "../vmmctl.h"

struct serial;

/**
 * serial_create - make the port
 * @vm: the VM; its interrupt chips exist
 * @out_fd: where the guest's bytes go, -1 = nowhere; of any kind, blocking or not, and the caller's
 *
 * Return: the port; NULL with errno set.
 */
struct serial *serial_create(struct vm *vm, int out_fd);

/**
 * serial_input - bytes for the guest
 * @serial: the port
 * @data: the bytes
 * @len: how many
 *
 * Any thread; does not block.
 *
 * Return: how many were taken, from the first on. Fewer than @len: the guest does not read; the
 * callback of serial_set_room() tells when it is worth to try again.
 */
size_t serial_input(struct serial *serial, const void *data, size_t len);

/**
 * serial_set_room - be told when input is taken again after serial_input() took less than it got
 * @serial: the port
 * @fn: called by a vCPU's thread without the port's lock; must not block
 * @opaque: its argument
 */
void serial_set_room(struct serial *serial, void (*fn)(void *opaque), void *opaque);

/**
 * serial_end - write what is left, as long as the reader takes it, and free the port
 * @serial: the port, or NULL; no vCPU runs any more
 */
void serial_end(struct serial *serial);

#endif /* VMMCTL_DEV_SERIAL_H */
