/* SPDX-License-Identifier: GPL-2.0 */
/*
 * In-kernel devices on ports and on guest physical addresses.
 */
#ifndef KMOD_IO_BUS_H
#define KMOD_IO_BUS_H

#include "../vmm.h"

struct vmm_io_dev;

/**
 * struct vmm_io_ops - what an in-kernel device answers
 * @write: a guest wrote @len (1, 2, 4, 8) bytes at @addr. 0 = taken; -EOPNOTSUPP = not mine
 *	after all, ask the next or userland.
 * @read: likewise; NULL = reads go to userland
 * @shared: several devices may start at the same address, and ask for different values
 * @release: the device is off the bus and no reader can reach it any more; may be NULL
 *
 * Context of @write and @read: a vCPU's thread, vm->srcu held for reading; must not sleep long
 * and must not take a lock under which a worker faults guest memory.
 */
struct vmm_io_ops {
	int (*write)(struct vmm_io_dev *dev, u64 addr, unsigned int len, const void *data);
	int (*read)(struct vmm_io_dev *dev, u64 addr, unsigned int len, void *data);
	void (*release)(struct vmm_io_dev *dev);
	bool shared;
};

/**
 * struct vmm_io_dev - a range that an in-kernel device answers; embedded in the device
 * @ops: [I]
 * @addr: start [I]
 * @len: bytes [I]; 0 = accesses that start at @addr, of whatever width
 */
struct vmm_io_dev {
	const struct vmm_io_ops *ops;
	u64 addr;
	u64 len;
};

int vmm_io_init(struct vmm_vm *vm);
void vmm_io_destroy(struct vmm_vm *vm);	/* releases every device left */
int vmm_io_register(struct vmm_vm *vm, enum vmm_bus bus, struct vmm_io_dev *dev);
int vmm_io_replace(struct vmm_vm *vm, enum vmm_bus bus, struct vmm_io_dev *out,
		   struct vmm_io_dev *dev);
int vmm_io_unregister(struct vmm_vm *vm, enum vmm_bus bus, struct vmm_io_dev *dev);
int vmm_io_write(struct vmm_vm *vm, enum vmm_bus bus, u64 addr, unsigned int len, const void *data);
int vmm_io_read(struct vmm_vm *vm, enum vmm_bus bus, u64 addr, unsigned int len, void *data);

/* with vm->slots_lock held */
int __vmm_io_register(struct vmm_vm *vm, enum vmm_bus bus, struct vmm_io_dev *dev);
int __vmm_io_unregister(struct vmm_vm *vm, enum vmm_bus bus, struct vmm_io_dev *dev);
struct vmm_io_dev *__vmm_io_find(struct vmm_vm *vm, enum vmm_bus bus, u64 addr,
				 bool (*match)(struct vmm_io_dev *dev, const void *arg),
				 const void *arg);

/* io/ioeventfd.c */
int vmm_ioeventfd(struct vmm_vm *vm, const struct vmm_ioeventfd *arg);

#endif /* KMOD_IO_BUS_H */
