/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Small ports of a PC: keyboard controller without a keyboard, port 0x92, POST codes, debug exit.
 */
#ifndef VMMCTL_DEV_LEGACY_H
#define VMMCTL_DEV_LEGACY_H

#include "../vmmctl.h"

struct legacy;

struct legacy *legacy_create(struct vm *vm);	/* NULL with errno set */
void legacy_free(struct legacy *legacy);

/**
 * debug_exit_create - a port by which a test kernel ends the VM with a status
 * @vm: the VM; its devices exist
 * @port: first of four ports; a write of v gives (v << 1) | 1, cut to 8 bits
 *
 * Return: 0, -EEXIST: another device answers there.
 */
int debug_exit_create(struct vm *vm, uint16_t port);

#endif /* VMMCTL_DEV_LEGACY_H */
