/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtio device: its PCI side in virtio_pci.c, its kernel side in virtio_dev.c.
 *
 *	guest registers --> virtio_pci.c --> virtio_dev.c --> ioctls of the device fd
 *	guest           <-- virtio_pci.c <-- events: INTx eventfd, poll on the device fd
 *
 * Functions whose name begins with virtio_dev_ want the device's mutex [d] held unless they say
 * otherwise. Some drop it while the kernel stops the device; see struct virtio_dev stopping.
 */
#ifndef VMMCTL_DEV_VIRTIO_DEV_H
#define VMMCTL_DEV_VIRTIO_DEV_H

#include "loop.h"
#include "pci.h"

#define VIRTIO_CONFIG_MAX	64
#define VIRTIO_MAX_WORKERS	(VMM_DEV_MAX_QUEUES + 4)

/**
 * struct virtio_queue - a queue as the driver configured it (virtio 1.2, 4.1.4.3); all fields [d]
 * @size: descriptors
 * @vector: MSI-X vector or VMM_DEV_NO_VECTOR
 * @enabled: nothing but @vector changes any more
 * @desc: descriptor area
 * @avail: driver area
 * @used: device area
 * @next_avail: where a stopped device goes on
 * @next_used: likewise
 */
struct virtio_queue {
	uint16_t size, vector;
	bool enabled;
	uint64_t desc, avail, used;
	uint16_t next_avail, next_used;
};

struct virtio_dev;

struct virtio_worker {
	struct virtio_dev *v;
	uint32_t role, index;	/* VMM_DEV_WORK_* */
	bool started;
	pthread_t thread;
};

/**
 * struct virtio_dev - a device
 * @pci: its function; its mutex is the device's
 * @name: [I] for messages
 * @fd: [I] the kernel's device
 * @info: [I] what the kernel's device can do
 * @offered: [I] feature bits that the guest sees
 * @intx_fd: [I] the kernel's interrupts while MSI-X is off
 * @idle: stopping became false
 * @stopping: [d] a thread waits in VMM_DEV_STOP, with the mutex dropped; whoever wants to change
 *	something waits for @idle
 * @running: [d] VMM_DEV_START succeeded and VMM_DEV_STOP did not yet
 * @status: [d] device status (virtio 1.2, 2.1)
 * @generation: [d] config_generation
 * @isr: [d]
 * @complained: [d] clock_ns() of the last message to the user
 * @port: [d] where notifications arrive
 * @port_len: [d] how many ports, 0 = none
 * @port_changed: [d] the kernel does not know it yet
 * @ending: [a] the VM is torn down
 * @hopeless: [a] what is in flight even then is not waited for any longer
 * @device_select: [d] device_feature_select
 * @driver_select: [d] driver_feature_select
 * @driver_features: [d] what the driver accepted
 * @config_vector: [d] config_msix_vector
 * @queue_select: [d]
 * @queue: [d]
 * @config: [d] device configuration space
 * @config_len: [I] bytes of it
 * @cfg_cap: [I] offset of the PCI configuration access capability
 */
struct virtio_dev {
	struct pci_dev pci;
	const char *name;
	int fd;
	struct vmm_dev_info info;
	uint64_t offered;
	int intx_fd;
	struct loop *loop;		/* [I] */
	struct loop_watch intx_watch, event_watch;
	struct virtio_worker worker[VIRTIO_MAX_WORKERS];
	unsigned int nr_workers;	/* [I] */
	struct virtio_dev *next;	/* [I] list of the VM's devices */

	pthread_cond_t idle;
	bool stopping, running;
	uint8_t status, generation, isr;
	uint64_t complained;
	uint64_t port;
	uint32_t port_len;
	bool port_changed;
	atomic_bool ending, hopeless;

	uint32_t device_select, driver_select;
	uint64_t driver_features;
	uint16_t config_vector, queue_select;
	struct virtio_queue queue[VMM_DEV_MAX_QUEUES];

	uint8_t config[VIRTIO_CONFIG_MAX];
	unsigned int config_len, cfg_cap;
};

/**
 * virtio_dev_open - create the kernel's device
 * @v: zeroed
 * @vm: the VM
 * @name: for messages
 * @type: VMM_DEVICE_*
 * @setup: VMM_BLK_SETUP or its like
 * @arg: its argument
 *
 * Without lock. Return: 0 or a negative errno; -ENODEV: no loaded module serves this type.
 */
int virtio_dev_open(struct virtio_dev *v, struct vm *vm, const char *name, uint32_t type,
		    unsigned long setup, void *arg);

/**
 * virtio_dev_run - start to hear events, and lend threads
 * @v: complete and on the PCI bus
 * @blocking: threads for what may sleep long, beside one for each queue
 *
 * Without lock. Return: 0 or a negative errno.
 */
int virtio_dev_run(struct virtio_dev *v, unsigned int blocking);

/**
 * virtio_dev_end - take everything back
 * @v: no vCPU runs any more and the loop is stopped
 *
 * Without lock. Return: 0; -ETIMEDOUT: a thread hangs in the kernel, @v and what it uses must stay.
 */
int virtio_dev_end(struct virtio_dev *v);

/* wait until nobody stops the device */
void virtio_dev_wait(struct virtio_dev *v);

/*
 * Make the kernel run the device exactly if DRIVER_OK is set, bus mastering is allowed and nothing
 * is broken. A start that fails sets NEEDS_RESET.
 */
void virtio_dev_sync(struct virtio_dev *v);

/* device reset (virtio 1.2, 2.4). It is done when status reads zero; it is not if the VM ends. */
void virtio_dev_reset(struct virtio_dev *v);

/* a notification that came to us and not to the kernel; may drop the mutex */
void virtio_dev_notify(struct virtio_dev *v);

/* tell the kernel: notification port (@len 0: none), vector, MSI-X as a whole, a queue's vector */
void virtio_dev_set_port(struct virtio_dev *v, uint64_t port, uint32_t len);
void virtio_dev_set_vector(struct virtio_dev *v, unsigned int index);
void virtio_dev_set_msix(struct virtio_dev *v);
void virtio_dev_set_queue_vector(struct virtio_dev *v, unsigned int index);
void virtio_dev_get_pending(struct virtio_dev *v, uint64_t *bits);

void virtio_dev_needs_reset(struct virtio_dev *v);

/**
 * virtio_dev_config_changed - the device changed its configuration space
 * @v: the device; its configuration is in place
 */
void virtio_dev_config_changed(struct virtio_dev *v);

#endif /* VMMCTL_DEV_VIRTIO_DEV_H */
