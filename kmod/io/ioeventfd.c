// SPDX-License-Identifier: GPL-2.0
/*
 * ioeventfds: a guest's write that signals an eventfd, and is done with.
 */
#include <linux/eventfd.h>
#include <linux/slab.h>

#include "../compat.h"
#include "bus.h"

/**
 * struct ioeventfd - what VMM_IOEVENTFD asked for
 * @dev: on the bus, with length 0: only writes that start at the address
 * @vm: the VM, whose end releases it [I]
 * @ctx: the eventfd [I]
 * @datamatch: value to be written, with @match [I]
 * @len: width of the write, 0 = any [I]
 * @match: @datamatch counts [I]
 */
struct ioeventfd {
	struct vmm_io_dev dev;
	struct vmm_vm *vm;
	struct eventfd_ctx *ctx;
	u64 datamatch;
	u32 len;
	bool match;
};

static struct ioeventfd *to_ioeventfd(struct vmm_io_dev *dev)
{
	return container_of(dev, struct ioeventfd, dev);
}

static int ioeventfd_write(struct vmm_io_dev *dev, u64 addr, unsigned int len, const void *data)
{
	struct ioeventfd *p = to_ioeventfd(dev);
	u64 value = 0;

	if (p->len && p->len != len)
		return -EOPNOTSUPP;
	if (p->match) {
		memcpy(&value, data, min_t(size_t, len, sizeof(value)));
		if (value != p->datamatch)
			return -EOPNOTSUPP;
	}
	vmm_eventfd_signal(p->ctx);
	vmm_vm_stat_add(p->vm, VMM_STAT_NOTIFY, 1);
	return 0;
}

static void ioeventfd_release(struct vmm_io_dev *dev)
{
	struct ioeventfd *p = to_ioeventfd(dev);

	eventfd_ctx_put(p->ctx);
	kfree(p);
}

static const struct vmm_io_ops ioeventfd_ops = {
	.shared = true,
	.write = ioeventfd_write,
	.release = ioeventfd_release,
};

/* Would one write be for both? */
static bool ioeventfd_conflicts(struct vmm_io_dev *dev, const void *arg)
{
	const struct ioeventfd *new = arg;
	struct ioeventfd *old;

	if (dev->ops != &ioeventfd_ops)
		return false;
	old = to_ioeventfd(dev);
	if (old->len && new->len && old->len != new->len)
		return false;
	return !old->match || !new->match || old->datamatch == new->datamatch;
}

static bool ioeventfd_equals(struct vmm_io_dev *dev, const void *arg)
{
	const struct ioeventfd *wanted = arg;
	struct ioeventfd *p;

	if (dev->ops != &ioeventfd_ops)
		return false;
	p = to_ioeventfd(dev);
	return p->ctx == wanted->ctx && p->len == wanted->len && p->match == wanted->match &&
	       p->datamatch == wanted->datamatch;
}

static int ioeventfd_assign(struct vmm_vm *vm, enum vmm_bus bus, struct ioeventfd *wanted)
{
	struct ioeventfd *p = kmemdup(wanted, sizeof(*wanted), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!p)
		return -ENOMEM;
	mutex_lock(&vm->slots_lock);
	if (__vmm_io_find(vm, bus, p->dev.addr, ioeventfd_conflicts, p))
		ret = -EEXIST;
	else
		ret = __vmm_io_register(vm, bus, &p->dev);
	mutex_unlock(&vm->slots_lock);
	if (ret)
		kfree(p);
	return ret;
}

static int ioeventfd_deassign(struct vmm_vm *vm, enum vmm_bus bus, struct ioeventfd *wanted)
{
	struct vmm_io_dev *dev;
	int ret = -ENOENT;

	mutex_lock(&vm->slots_lock);
	dev = __vmm_io_find(vm, bus, wanted->dev.addr, ioeventfd_equals, wanted);
	if (dev)
		ret = __vmm_io_unregister(vm, bus, dev);
	mutex_unlock(&vm->slots_lock);
	return ret;
}

static int ioeventfd_check(const struct vmm_ioeventfd *arg)
{
	if (arg->pad || (arg->flags & ~(VMM_IOEVENTFD_PIO | VMM_IOEVENTFD_DATAMATCH |
					VMM_IOEVENTFD_DEASSIGN)))
		return -EINVAL;
	switch (arg->len) {
	case 0:
		/* how many bytes would have to match? */
		if (arg->flags & VMM_IOEVENTFD_DATAMATCH)
			return -EINVAL;
		break;
	case 8:
		if (arg->flags & VMM_IOEVENTFD_PIO)
			return -EINVAL;
		break;
	case 1:
	case 2:
	case 4:
		/* a value that this width cannot hold would never match */
		if ((arg->flags & VMM_IOEVENTFD_DATAMATCH) && arg->datamatch >> (arg->len * 8))
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	if (arg->len && arg->addr + arg->len - 1 < arg->addr)
		return -EINVAL;
	if ((arg->flags & VMM_IOEVENTFD_PIO) &&
	    (arg->addr > 0xffff || arg->addr + arg->len > 0x10000))
		return -EINVAL;
	return 0;
}

/**
 * vmm_ioeventfd - VMM_IOEVENTFD: let a guest's write signal an eventfd, or end that
 * @vm: the VM
 * @arg: what to do
 *
 * The write is not seen by userland. Only a write of the given width that starts at the address
 * counts. When a deassignment returns, no write is signalling the eventfd any more. An eventfd
 * may serve many addresses.
 *
 * Context: may sleep; takes vm->slots_lock; vm->srcu not held. Returns 0; -EINVAL: flags, width,
 * address or value; -EBADF or -EINVAL: not an eventfd; -EEXIST: another ioeventfd takes some of
 * the same writes, or the address is inside a device's range; -ENOENT: nothing like this to
 * deassign; -ENOSPC: too many devices; -ENOMEM.
 */
int vmm_ioeventfd(struct vmm_vm *vm, const struct vmm_ioeventfd *arg)
{
	enum vmm_bus bus = arg->flags & VMM_IOEVENTFD_PIO ? VMM_BUS_PIO : VMM_BUS_MMIO;
	struct ioeventfd wanted = {
		.dev = { .ops = &ioeventfd_ops, .addr = arg->addr },
		.vm = vm,
		.len = arg->len,
		.match = arg->flags & VMM_IOEVENTFD_DATAMATCH,
	};
	int ret;

	ret = ioeventfd_check(arg);
	if (ret)
		return ret;
	if (wanted.match)
		wanted.datamatch = arg->datamatch;
	wanted.ctx = eventfd_ctx_fdget(arg->fd);
	if (IS_ERR(wanted.ctx))
		return PTR_ERR(wanted.ctx);

	if (arg->flags & VMM_IOEVENTFD_DEASSIGN) {
		ret = ioeventfd_deassign(vm, bus, &wanted);
		eventfd_ctx_put(wanted.ctx);
	} else {
		ret = ioeventfd_assign(vm, bus, &wanted);
		if (ret)
			eventfd_ctx_put(wanted.ctx);
	}
	return ret;
}
