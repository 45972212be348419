// SPDX-License-Identifier: GPL-2.0
/*
 * Dispatch of ioctls by table.
 */
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/ioctl.h>
#include <linux/uaccess.h>

#include <linux/vmm.h>

#include "ioctl.h"

static_assert(sizeof(struct vmm_mem_region) <= VMM_IOCTL_MAX_ARG);

/**
 * vmm_ioctl - find and call
 * @table: the object's ioctls
 * @nr: how many
 * @obj: the object
 * @cmd: number from userland
 * @uarg: argument from userland
 *
 * The argument is copied out for a failed call too: some errors say in it what is needed
 * (E2BIG).
 *
 * Context: process. Return: what the handler returned; -ENOTTY for an unknown number; -EFAULT.
 */
long vmm_ioctl(const struct vmm_ioctl *table, unsigned int nr, void *obj, unsigned int cmd,
	       unsigned long uarg)
{
	u64 arg[VMM_IOCTL_MAX_ARG / sizeof(u64)];
	void __user *user = (void __user *)uarg;
	unsigned int i, size = _IOC_SIZE(cmd);
	long ret;

	for (i = 0; i < nr; i++)
		if (table[i].cmd == cmd)
			break;
	if (i == nr)
		return -ENOTTY;

	if (_IOC_DIR(cmd) == _IOC_NONE) {
		arg[0] = uarg;
	} else if (_IOC_DIR(cmd) & _IOC_WRITE) {
		if (copy_from_user(arg, user, size))
			return -EFAULT;
	} else {
		memset(arg, 0, size);
	}
	ret = table[i].fn(obj, arg);
	if ((_IOC_DIR(cmd) & _IOC_READ) && copy_to_user(user, arg, size))
		return -EFAULT;
	return ret;
}
