/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What stands at the ioctl boundary: it keeps what it is told, and answers as uapi/linux says.
 */
#ifndef UNIT_DEVICES_KERNEL_H
#define UNIT_DEVICES_KERNEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/vmm.h>
#include <linux/vmm_virtio.h>

#define FAKE_DEVICES	4
#define FAKE_MSIS	4096

/**
 * struct fake_device - a virtio device as the kernel would keep it
 * @fd: an eventfd, readable while there are events
 * @starts: successful VMM_DEV_START
 * @stops: successful VMM_DEV_STOP
 * @workers: threads parked
 * @blocking: of them in the pool
 * @fail_start: errno for the next START, or 0
 * @interrupt_stop: so many STOPs return -EINTR
 * @hold_stop: STOP waits
 * @stopping: a thread waits in it
 */
struct fake_device {
	int fd;
	uint32_t type, nr_queues, state;
	uint64_t offered, features;
	struct vmm_dev_queue queue[VMM_DEV_MAX_QUEUES];
	struct vmm_dev_notify notify;
	struct vmm_dev_vector vector[VMM_DEV_MAX_VECTORS];
	struct vmm_dev_msix msix;
	struct vmm_dev_events events;
	uint64_t pending[2];
	unsigned int starts, stops, configs, workers, blocking;
	int fail_start;
	unsigned int interrupt_stop;
	bool hold_stop, stopping, quit;
	struct vmm_blk_setup blk;
	struct vmm_console_setup console;
};

/**
 * struct fake_kernel - all of it; reset by kernel_reset()
 * @msi: messages sent, the first FAKE_MSIS of them
 * @nr_msi: how many
 * @msi_error: errno that VMM_SIGNAL_MSI answers with, or 0
 * @lint0: LINT0 of vCPU 0
 * @lint_changes: VMM_SET_LINT calls
 * @gpa_bits: answer to VMM_CAP_GPA_BITS
 */
struct fake_kernel {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct vmm_msi msi[FAKE_MSIS];
	unsigned int nr_msi;
	int msi_error;
	bool lint0;
	unsigned int lint_changes;
	int gpa_bits;
	struct fake_device device[FAKE_DEVICES];
	unsigned int nr_devices;
};

extern struct fake_kernel kernel;

void kernel_reset(void);

/* what the kernel does by itself */
void kernel_break_queue(struct fake_device *d, uint32_t queue, uint32_t error);
void kernel_interrupt(struct fake_device *d);	/* MSI-X is off */

/* nr_msi, while other threads run */
unsigned int kernel_msis(void);

/* wait until @workers threads are parked */
bool kernel_wait_workers(struct fake_device *d, unsigned int workers);

#endif /* UNIT_DEVICES_KERNEL_H */
