/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables of ioctls: the argument is copied in whole before the handler sees it, and out after
 * it, so that each field is read once.
 */
#ifndef KMOD_IOCTL_H
#define KMOD_IOCTL_H

#include <linux/types.h>

#define VMM_IOCTL_MAX_ARG	128	/* bytes of the largest argument */

/**
 * struct vmm_ioctl - one ioctl of an object
 * @cmd: its number, which tells size and direction
 * @fn: what it does. @obj: the object; @arg: kernel copy of the argument (of VMM_IOCTL_MAX_ARG
 *	bytes), or the plain number for _IO()
 */
struct vmm_ioctl {
	unsigned int cmd;
	long (*fn)(void *obj, void *arg);
};

long vmm_ioctl(const struct vmm_ioctl *table, unsigned int nr, void *obj, unsigned int cmd,
	       unsigned long uarg);

#endif /* KMOD_IOCTL_H */
