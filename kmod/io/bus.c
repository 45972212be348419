// SPDX-License-Identifier: GPL-2.0
/*
 * In-kernel devices on ports and on guest physical addresses.
 *
 * Each bus is an array sorted by start address. Readers, vCPUs with an access, hold vm->srcu and
 * search it; writers hold vm->slots_lock and publish a new array. Ranges may start at the same
 * address and do not overlap otherwise, so that the devices to ask for an address stand side by
 * side. A device leaves by a NULL written over its pointer, which cannot fail for want of memory;
 * the entry goes when the array is next replaced.
 */
#include <linux/export.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "bus.h"

/* Devices on one bus of a VM; the time that a writer takes is bounded by it */
#define IO_MAX_DEVICES	1024

/**
 * struct vmm_io_range - an entry of a bus
 * @start: first address [I]
 * @last: last address [I]
 * @dev: who answers; NULL = has left [s], read under vm->srcu
 */
struct vmm_io_range {
	u64 start;
	u64 last;
	struct vmm_io_dev *dev;
};

/**
 * struct vmm_io_bus - the devices of a bus
 * @nr: entries [I]
 * @range: sorted by start [I]; of those with the same start, the one registered last comes first
 */
struct vmm_io_bus {
	unsigned int nr;
	struct vmm_io_range range[];
};

static struct vmm_io_bus *io_bus_locked(struct vmm_vm *vm, enum vmm_bus bus)
{
	return rcu_dereference_protected(vm->bus[bus], lockdep_is_held(&vm->slots_lock));
}

/**
 * vmm_io_init - prepare the buses of a new VM
 * @vm: the VM
 *
 * Returns 0.
 */
int vmm_io_init(struct vmm_vm *vm)
{
	int i;

	for (i = 0; i < VMM_NR_BUSES; i++)
		RCU_INIT_POINTER(vm->bus[i], NULL);
	return 0;
}

/**
 * vmm_io_destroy - release every device that is left
 * @vm: the VM; nobody else uses it any more
 *
 * Context: may sleep.
 */
void vmm_io_destroy(struct vmm_vm *vm)
{
	struct vmm_io_bus *b;
	unsigned int i, j;

	for (i = 0; i < VMM_NR_BUSES; i++) {
		b = rcu_dereference_protected(vm->bus[i], true);
		RCU_INIT_POINTER(vm->bus[i], NULL);
		if (!b)
			continue;
		for (j = 0; j < b->nr; j++) {
			struct vmm_io_dev *dev = b->range[j].dev;

			if (dev && dev->ops->release)
				dev->ops->release(dev);
		}
		kvfree(b);
	}
}

/* The range of @dev. Returns 0, or -EINVAL: the bus has no such addresses. */
static int io_range(enum vmm_bus bus, struct vmm_io_dev *dev, struct vmm_io_range *range)
{
	range->start = dev->addr;
	range->dev = dev;
	if (check_add_overflow(dev->addr, dev->len ? dev->len - 1 : 0, &range->last))
		return -EINVAL;
	if (bus == VMM_BUS_PIO && range->last > 0xffff)
		return -EINVAL;
	return 0;
}

/**
 * __vmm_io_replace - vmm_io_replace() with the lock held
 * @vm: the VM
 * @bus: which bus
 * @out: leaves the bus; NULL: none does
 * @dev: the device that comes
 *
 * Context: as vmm_io_replace(), vm->slots_lock held. Returns as it does.
 */
static int __vmm_io_replace(struct vmm_vm *vm, enum vmm_bus bus, struct vmm_io_dev *out,
			    struct vmm_io_dev *dev)
{
	struct vmm_io_bus *old = io_bus_locked(vm, bus), *new;
	unsigned int i, nr = 0, at = 0;
	struct vmm_io_range range;
	int ret;

	ret = io_range(bus, dev, &range);
	if (ret)
		return ret;
	for (i = 0; old && i < old->nr; i++) {
		struct vmm_io_range *r = &old->range[i];

		if (!r->dev || r->dev == out)
			continue;
		if (r->start <= range.last && range.start <= r->last &&
		    (r->start != range.start || !r->dev->ops->shared || !dev->ops->shared))
			return -EEXIST;
		nr++;
		if (r->start < range.start)
			at = nr;
	}
	if (nr >= IO_MAX_DEVICES)
		return -ENOSPC;

	new = kvmalloc(struct_size(new, range, nr + 1), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->nr = 0;
	for (i = 0; old && i < old->nr; i++) {
		if (!old->range[i].dev || old->range[i].dev == out)
			continue;
		if (new->nr == at)
			new->range[new->nr++] = range;
		new->range[new->nr++] = old->range[i];
	}
	if (new->nr == at)
		new->range[new->nr++] = range;

	rcu_assign_pointer(vm->bus[bus], new);
	synchronize_srcu_expedited(&vm->srcu);
	kvfree(old);
	if (out && out->ops->release)
		out->ops->release(out);
	return 0;
}

/**
 * __vmm_io_register - vmm_io_register() with the lock held
 * @vm: the VM
 * @bus: which bus
 * @dev: the device
 *
 * Context: as vmm_io_register(), vm->slots_lock held. Returns as it does.
 */
int __vmm_io_register(struct vmm_vm *vm, enum vmm_bus bus, struct vmm_io_dev *dev)
{
	return __vmm_io_replace(vm, bus, NULL, dev);
}

/**
 * vmm_io_register - put a device on a bus
 * @vm: the VM
 * @bus: which bus
 * @dev: the device; it stays the caller's until it is unregistered or ops->release is called at
 *	the VM's end
 *
 * Devices whose ops are shared may have the same start address; they are asked in the order of
 * registration. Other overlaps are refused.
 *
 * Context: may sleep; takes vm->slots_lock; vm->srcu not held. Returns 0; -EINVAL: the range
 * wraps around or leaves the bus; -EEXIST: it overlaps another; -ENOSPC: the bus is full (1024);
 * -ENOMEM.
 */
int vmm_io_register(struct vmm_vm *vm, enum vmm_bus bus, struct vmm_io_dev *dev)
{
	int ret;

	mutex_lock(&vm->slots_lock);
	ret = __vmm_io_register(vm, bus, dev);
	mutex_unlock(&vm->slots_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(vmm_io_register);

/**
 * vmm_io_replace - put a device on a bus, in the place of another
 * @vm: the VM
 * @bus: which bus
 * @out: is on that bus, and leaves it
 * @dev: the device that comes; their ranges may overlap
 *
 * Every access finds the one or the other. When this succeeds no access is in @out any more, and
 * its ops->release has been called; when it fails nothing has changed.
 *
 * Context and return value: as vmm_io_register().
 */
int vmm_io_replace(struct vmm_vm *vm, enum vmm_bus bus, struct vmm_io_dev *out,
		   struct vmm_io_dev *dev)
{
	int ret;

	mutex_lock(&vm->slots_lock);
	ret = __vmm_io_replace(vm, bus, out, dev);
	mutex_unlock(&vm->slots_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(vmm_io_replace);

/**
 * __vmm_io_unregister - vmm_io_unregister() with the lock held
 * @vm: the VM
 * @bus: which bus
 * @dev: the device
 *
 * Context: as vmm_io_unregister(), vm->slots_lock held. Returns as it does.
 */
int __vmm_io_unregister(struct vmm_vm *vm, enum vmm_bus bus, struct vmm_io_dev *dev)
{
	struct vmm_io_bus *b = io_bus_locked(vm, bus);
	unsigned int i;

	for (i = 0; b && i < b->nr; i++) {
		if (b->range[i].dev != dev)
			continue;
		WRITE_ONCE(b->range[i].dev, NULL);
		synchronize_srcu_expedited(&vm->srcu);
		if (dev->ops->release)
			dev->ops->release(dev);
		return 0;
	}
	return -ENOENT;
}

/**
 * vmm_io_unregister - take a device off a bus
 * @vm: the VM
 * @bus: which bus
 * @dev: the device
 *
 * When this returns no access is in the device, and ops->release has been called. It never fails
 * for want of memory.
 *
 * Context: may sleep, waits for readers of vm->srcu: never with vm->srcu held; takes
 * vm->slots_lock. Returns 0; -ENOENT: it is not there.
 */
int vmm_io_unregister(struct vmm_vm *vm, enum vmm_bus bus, struct vmm_io_dev *dev)
{
	int ret;

	mutex_lock(&vm->slots_lock);
	ret = __vmm_io_unregister(vm, bus, dev);
	mutex_unlock(&vm->slots_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(vmm_io_unregister);

/**
 * __vmm_io_find - find a device among those that start at an address
 * @vm: the VM
 * @bus: which bus
 * @addr: start address
 * @match: tells whether a device is the one looked for
 * @arg: for @match
 *
 * Context: vm->slots_lock held. Returns the device or NULL.
 */
struct vmm_io_dev *__vmm_io_find(struct vmm_vm *vm, enum vmm_bus bus, u64 addr,
				 bool (*match)(struct vmm_io_dev *dev, const void *arg),
				 const void *arg)
{
	struct vmm_io_bus *b = io_bus_locked(vm, bus);
	unsigned int i;

	for (i = 0; b && i < b->nr; i++) {
		struct vmm_io_range *r = &b->range[i];

		if (r->dev && r->start == addr && match(r->dev, arg))
			return r->dev;
	}
	return NULL;
}

/* How many ranges start at or below @addr */
static unsigned int io_search(const struct vmm_io_bus *b, u64 addr)
{
	unsigned int low = 0, high = b->nr;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (b->range[array_index_nospec(mid, b->nr)].start <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int io_access(struct vmm_vm *vm, enum vmm_bus bus, u64 addr, unsigned int len, void *in,
		     const void *out)
{
	struct vmm_io_bus *b = srcu_dereference(vm->bus[bus], &vm->srcu);
	unsigned int i;
	u64 start;

	i = b ? io_search(b, addr) : 0;
	if (!i)
		return -EOPNOTSUPP;
	start = b->range[array_index_nospec(i - 1, b->nr)].start;
	while (i--) {
		struct vmm_io_range *r = &b->range[array_index_nospec(i, b->nr)];
		struct vmm_io_dev *dev = READ_ONCE(r->dev);
		int ret = -EOPNOTSUPP;

		if (r->start != start)
			break;
		if (!dev)
			continue;
		if (dev->len ? addr > r->last || r->last - addr < len - 1 : addr != start)
			continue;
		if (out)
			ret = dev->ops->write ? dev->ops->write(dev, addr, len, out) : ret;
		else
			ret = dev->ops->read ? dev->ops->read(dev, addr, len, in) : ret;
		if (ret != -EOPNOTSUPP)
			return ret;
	}
	return -EOPNOTSUPP;
}

/**
 * vmm_io_write - give a guest's write to the devices of a bus
 * @vm: the VM
 * @bus: which bus
 * @addr: port or guest physical address
 * @len: 1, 2, 4 or 8 bytes
 * @data: the bytes
 *
 * An access that lies only partly in a range is not the device's.
 *
 * Context: vm->srcu held for reading. Returns 0: a device took it; -EOPNOTSUPP: none did,
 * userland is next; another error of a device.
 */
int vmm_io_write(struct vmm_vm *vm, enum vmm_bus bus, u64 addr, unsigned int len, const void *data)
{
	return io_access(vm, bus, addr, len, NULL, data);
}

/**
 * vmm_io_read - ask the devices of a bus for what a guest reads
 * @vm: the VM
 * @bus: which bus
 * @addr: port or guest physical address
 * @len: 1, 2, 4 or 8 bytes
 * @data: where to put them
 *
 * Context: vm->srcu held for reading. Returns as vmm_io_write().
 */
int vmm_io_read(struct vmm_vm *vm, enum vmm_bus bus, u64 addr, unsigned int len, void *data)
{
	return io_access(vm, bus, addr, len, data, NULL);
}
