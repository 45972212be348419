/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * vmm: the interface of a virtio device's file descriptor (VMM_CREATE_DEVICE).
 *
 * The kernel runs the rings; PCI, feature negotiation and the configuration space belong to the
 * caller. Life of a device:
 *
 *	       *_SETUP, SET_FEATURES, SET_QUEUE ...          START
 *	SETUP ------------------------------------> SETUP ---------> RUNNING
 *	  ^  ^                                                       |  |
 *	|  +--------------------------- STOP ----------------------+  | the guest broke a ring
 *	rule
 *	  |                                                             v
 *	+------------------------------ STOP --------------------- BROKEN   (event NEEDS_RESET;
 *	nothing is served any more)
 *
 * Work is done by the caller's own threads, parked in VMM_DEV_WORK.
 */
#ifndef _UAPI_LINUX_VMM_VIRTIO_H
#define _UAPI_LINUX_VMM_VIRTIO_H

#include <linux/ioctl.h>
#include <linux/types.h>

#ifndef VMM_IOC
#define VMM_IOC 0xBA
#endif

#define VMM_DEV_MAX_QUEUES	64	/* a device has at most so many queues */
#define VMM_DEV_MAX_QUEUE_SIZE	1024	/* of at most so many descriptors, a power of two */
#define VMM_DEV_MAX_VECTORS	(VMM_DEV_MAX_QUEUES + 1)
#define VMM_DEV_NO_VECTOR	0xffff	/* virtio 1.2, 4.1.4.3: VIRTIO_MSI_NO_VECTOR */

/**
 * struct vmm_dev_info - argument of VMM_DEV_GET_INFO
 * @type: VMM_DEVICE_*
 * @queues: queues that the device has as set up
 * @features: feature bits that the backend can serve as set up
 * @max_queue_size: the largest queue it takes
 * @state: enum vmm_dev_state
 * @pad: zero
 */
struct vmm_dev_info {
	__u32 type;
	__u32 queues;
	__u64 features;
	__u32 max_queue_size;
	__u32 state;
	__u32 pad[4];
};

enum vmm_dev_state {
	VMM_DEV_SETUP	= 0,
	VMM_DEV_RUNNING	= 1,
	VMM_DEV_BROKEN	= 2,
};

/**
 * struct vmm_dev_features - argument of VMM_DEV_SET_FEATURES
 * @features: what driver and device agreed on; a subset of what was offered
 * @pad: zero
 */
struct vmm_dev_features {
	__u64 features;
	__u64 pad;
};

/**
 * struct vmm_dev_queue - argument of VMM_DEV_SET_QUEUE and VMM_DEV_GET_QUEUE
 * @index: which queue
 * @size: descriptors, a power of two, 0 = the queue is not used
 * @vector: MSI-X vector or VMM_DEV_NO_VECTOR
 * @desc: guest physical address of the descriptor area
 * @avail: of the driver area
 * @used: of the device area
 * @next_avail: index of the next available entry to take; 0 for a fresh queue
 * @next_used: index of the next used entry to write; 0 for a fresh queue
 * @pad: zero
 *
 * @vector may be set while RUNNING, everything else only in SETUP (EBUSY); @next_avail and
 * @next_used are ignored then. A get while RUNNING returns indexes that may already be old.
 * STOP brings the indexes up to date, so that a START without a set goes on there. EINVAL: a
 * size or an alignment that virtio 1.2, 2.7 forbids.
 */
struct vmm_dev_queue {
	__u32 index;
	__u16 size;
	__u16 vector;
	__u64 desc;
	__u64 avail;
	__u64 used;
	__u16 next_avail;
	__u16 next_used;
	__u32 pad;
};

#define VMM_DEV_NOTIFY_PIO	(1u << 0)	/* @addr is a port */

/**
 * struct vmm_dev_notify - argument of VMM_DEV_SET_NOTIFY: where the guest's available-buffer
 * notifications arrive
 * @addr: start; a 16-bit or 32-bit write in [@addr, @addr + @len) notifies the queue that its
 *	low 16 bits name
 * @len: bytes, 0 takes it away
 * @flags: VMM_DEV_NOTIFY_*
 *
 * A new place replaces the old one. EEXIST: another in-kernel device has it.
 */
struct vmm_dev_notify {
	__u64 addr;
	__u32 len;
	__u32 flags;
};

#define VMM_DEV_VECTOR_MASKED	(1u << 0)

/**
 * struct vmm_dev_vector - argument of VMM_DEV_SET_VECTOR: one entry of the MSI-X table as the
 * guest wrote it
 * @index: which
 * @flags: VMM_DEV_VECTOR_MASKED
 * @addr: message address
 * @data: message data
 * @pad: zero
 *
 * Unmasking delivers a pending message, once.
 */
struct vmm_dev_vector {
	__u32 index;
	__u32 flags;
	__u64 addr;
	__u32 data;
	__u32 pad;
};

#define VMM_DEV_MSIX_ENABLED	(1u << 0)
#define VMM_DEV_MSIX_MASKED	(1u << 1)	/* function mask */

/**
 * struct vmm_dev_msix - argument of VMM_DEV_SET_MSIX: MSI-X as a whole
 * @flags: VMM_DEV_MSIX_*; without ENABLED an interrupt signals the INTx eventfd
 * @config_vector: vector of configuration changes, or VMM_DEV_NO_VECTOR
 * @intx_fd: eventfd for interrupts while MSI-X is off, -1 = none
 * @pad: zero
 *
 * The eventfd is signalled for queues only (ISR bit 0). A configuration change is
 * VMM_DEV_RAISE_CONFIG's caller's own doing, who sets ISR bit 1 and raises INTx where that
 * returned 1. Every call replaces the eventfd. Pending messages are forgotten when MSI-X goes
 * off.
 */
struct vmm_dev_msix {
	__u32 flags;
	__u32 config_vector;
	__s32 intx_fd;
	__u32 pad[5];
};

/**
 * struct vmm_dev_pending - argument of VMM_DEV_GET_PENDING: the pending bit array
 * @bits: bit n of the array = vector n has a message waiting to be unmasked
 */
struct vmm_dev_pending {
	__u64 bits[2];
};

#define VMM_DEV_EVENT_NEEDS_RESET \
	(1u << 0) /* the guest broke a ring rule; @error_queue and @error say which */
#define VMM_DEV_EVENT_HOST_ERROR (1u << 1) /* the host side failed; @host_errno says how */

/**
 * struct vmm_dev_events - argument of VMM_DEV_GET_EVENTS; poll() on the device says POLLIN
 * while there are some. Reading clears them.
 * @events: VMM_DEV_EVENT_*
 * @error: enum vmm_vq_error
 * @error_queue: the queue
 * @host_errno: a positive errno
 * @pad: zero
 */
struct vmm_dev_events {
	__u32 events;
	__u32 error;
	__u32 error_queue;
	__u32 host_errno;
	__u32 pad[4];
};

/* what a guest did to its ring (virtio 1.2, 2.7) */
enum vmm_vq_error {
	VMM_VQ_OK = 0,
	VMM_VQ_RING_ADDRESS = 1, /* the ring is outside memory */
	VMM_VQ_AVAIL_JUMP = 2, /* the available index ran further ahead than the queue is long */
	VMM_VQ_HEAD_RANGE = 3, /* a head index is not below the queue's size */
	VMM_VQ_NEXT_RANGE = 4, /* so is a next field */
	VMM_VQ_CHAIN_LONG = 5, /* a chain is longer than the queue, or a loop */
	VMM_VQ_ORDER = 6, /* a readable descriptor behind a writable one */
	VMM_VQ_INDIRECT = 7, /* an indirect table that is nested, of a wrong length, or chained */
	VMM_VQ_BUFFER = 8, /* a buffer is outside memory, or writable in read-only memory */
	VMM_VQ_LENGTH =
		9, /* buffers too short for what the device type asks, or a chain of 4 GiB */
	VMM_VQ_INDIRECT_OFF = 10, /* an indirect table although that was not agreed on */
};

#define VMM_DEV_WORK_QUEUE	0	/* serve queue @index */
#define VMM_DEV_WORK_BLOCKING	1	/* one of the pool that does what may sleep long */

/**
 * struct vmm_dev_work - argument of VMM_DEV_WORK: lend this thread to the device
 * @role: VMM_DEV_WORK_*
 * @index: queue, for VMM_DEV_WORK_QUEUE
 * @pad: zero
 *
 * Returns -EINTR when a signal came (call again), -EBUSY when the queue has its thread,
 * -ESHUTDOWN after VMM_DEV_QUIT. The thread may be lent before START and stays across STOP and
 * START. Queues exist after *_SETUP.
 *
 * The pool should have at least two threads: one FLUSH may occupy one. With none, what may
 * sleep is done by the queues' threads. What the file's write to a closed pipe raises (SIGPIPE)
 * arrives in the thread lent: ignore it.
 */
struct vmm_dev_work {
	__u32 role;
	__u32 index;
	__u32 pad[2];
};

#define VMM_BLK_READONLY	(1u << 0)
#define VMM_BLK_DIRECT		(1u << 1)	/* @fd is open with O_DIRECT */

#define VMM_BLK_SEG_MAX                                                                           \
	254 /* seg_max of the configuration space is at most this, and at most the queue size - 2 \
	     */

#define VMM_BLK_SERIAL_LEN	20	/* virtio 1.2, 5.2.6: VIRTIO_BLK_ID_BYTES */

/**
 * struct vmm_blk_setup - argument of VMM_BLK_SETUP
 * @fd: the image: a regular file or a block device, opened for what @flags say
 * @flags: VMM_BLK_*
 * @capacity: in sectors of 512 bytes; must lie within the file
 * @queues: request queues, 1 .. VMM_DEV_MAX_QUEUES
 * @pad0: zero
 * @serial: answer to GET_ID, zero padded
 * @pad: zero
 *
 * Once in the life of a device (EBUSY). EBADF: @fd is not open for reading, or for writing
 * without VMM_BLK_READONLY. EINVAL: not a file of these kinds, too short for @capacity, or
 * O_DIRECT and VMM_BLK_DIRECT do not agree. Direct transfers that do not fit the file's
 * alignment go through the page cache: tell the guest the file's logical block size.
 */
struct vmm_blk_setup {
	__s32 fd;
	__u32 flags;
	__u64 capacity;
	__u32 queues;
	__u32 pad0;
	__u8 serial[VMM_BLK_SERIAL_LEN];
	__u8 pad[20];
};

/**
 * struct vmm_console_setup - argument of VMM_CONSOLE_SETUP
 * @in_fd: bytes for the guest are read from here, -1 = none; a pipe or a character device (a
 *	terminal) that is O_NONBLOCK and knows poll
 * @out_fd: bytes from the guest are written here, -1 = thrown away; likewise
 * @pad: zero
 *
 * Once in the life of a device (EBUSY). EINVAL: a file of another kind. Queue 0 receives, queue
 * 1 transmits (virtio 1.2, 5.3.2). When @in_fd ends, or either fails
 * (VMM_DEV_EVENT_HOST_ERROR), nothing more is read from it and output is thrown away until the
 * next START.
 */
struct vmm_console_setup {
	__s32 in_fd;
	__s32 out_fd;
	__u32 pad[6];
};

#define VMM_DEV_GET_INFO	_IOR(VMM_IOC, 0x80, struct vmm_dev_info)
#define VMM_DEV_SET_FEATURES	_IOW(VMM_IOC, 0x81, struct vmm_dev_features)
#define VMM_DEV_SET_QUEUE	_IOW(VMM_IOC, 0x82, struct vmm_dev_queue)
#define VMM_DEV_GET_QUEUE	_IOWR(VMM_IOC, 0x83, struct vmm_dev_queue)
#define VMM_DEV_SET_NOTIFY	_IOW(VMM_IOC, 0x84, struct vmm_dev_notify)
#define VMM_DEV_SET_VECTOR	_IOW(VMM_IOC, 0x85, struct vmm_dev_vector)
#define VMM_DEV_SET_MSIX	_IOW(VMM_IOC, 0x86, struct vmm_dev_msix)
#define VMM_DEV_GET_PENDING	_IOR(VMM_IOC, 0x87, struct vmm_dev_pending)
#define VMM_DEV_GET_EVENTS	_IOR(VMM_IOC, 0x88, struct vmm_dev_events)
#define VMM_DEV_START		_IO(VMM_IOC, 0x89)
#define VMM_DEV_STOP		_IO(VMM_IOC, 0x8a) /* waits; EINTR: a signal came, call again */
#define VMM_DEV_WORK		_IOW(VMM_IOC, 0x8b, struct vmm_dev_work)
#define VMM_DEV_QUIT		_IO(VMM_IOC, 0x8c) /* every parked thread returns, now and later */
#define VMM_DEV_RAISE_CONFIG \
	_IO(VMM_IOC,         \
	    0x8d) /* configuration change interrupt; 1: MSI-X is off, see VMM_DEV_SET_MSIX */

#define VMM_BLK_SETUP		_IOW(VMM_IOC, 0xa0, struct vmm_blk_setup)
#define VMM_CONSOLE_SETUP	_IOW(VMM_IOC, 0xa1, struct vmm_console_setup)

#endif /* _UAPI_LINUX_VMM_VIRTIO_H */
