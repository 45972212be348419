/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The 8254 programmable interval timer (Intel data sheet, order number 231164), ports 0x40..0x43,
 * and the system control port 0x61.
 */
#ifndef VMMCTL_DEV_PIT_H
#define VMMCTL_DEV_PIT_H

#include "../vmmctl.h"

struct loop;
struct pit;

#define PIT_HZ	1193182u

struct pit *pit_create(struct vm *vm, struct loop *loop);	/* NULL with errno set */
void pit_free(struct pit *pit);

#endif /* VMMCTL_DEV_PIT_H */
