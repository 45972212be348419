/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * vmm: the interface of /dev/vmm.
 *
 * A tree of file descriptors: /dev/vmm gives VMs, a VM gives vCPUs and devices. Each holds what
 * it hangs from. Every ioctl of a VM, a vCPU or a device works only in the address space that
 * created the VM; anywhere else (a forked child, a receiver over a socket, after exec) it fails
 * with EIO.
 *
 * In every structure, flags and reserved fields (pad*) that are not named here must be zero, and so
 * must the argument of an ioctl that has none (_IO); otherwise the call fails with EINVAL.
 *
 * /dev/vmm can be polled: it is readable while no VM lives, on the whole machine. vmm has no
 * processor then, and another hypervisor may take them.
 */
#ifndef _UAPI_LINUX_VMM_H
#define _UAPI_LINUX_VMM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * VMM_ABI_VERSION - the interface number that module and tool must agree on
 *
 * It changes only when something that exists changes its meaning. What is new is found by
 * VMM_CHECK_CAP.
 */
#define VMM_ABI_VERSION		1

#define VMM_IOC			0xBA

/** VMM_RUN_SIZE - bytes of struct vmm_run's mapping: MAP_SHARED, offset 0 of the vCPU's fd */
#define VMM_RUN_SIZE		4096

/** VMM_MAX_VCPUS - vCPUs a VM may have; ids are 0 .. VMM_MAX_VCPUS - 1 */
#define VMM_MAX_VCPUS		64

/** VMM_MAX_MEM_REGIONS - memory regions a VM may have; numbers are 0 .. VMM_MAX_MEM_REGIONS - 1 */
#define VMM_MAX_MEM_REGIONS	128

/** VMM_MAX_ROUTES - entries that VMM_SET_ROUTES takes; gsi is 0 .. VMM_MAX_ROUTES - 1 */
#define VMM_MAX_ROUTES		4096

/** VMM_MAX_IRQFDS - irqfds that a VM may have at a time */
#define VMM_MAX_IRQFDS		1024

/**
 * enum vmm_cap - what VMM_CHECK_CAP can be asked; each answers 0 (no) or a positive number
 * @VMM_CAP_VCPUS: vCPUs per VM
 * @VMM_CAP_MEM_REGIONS: memory regions per VM
 * @VMM_CAP_READONLY_MEM: VMM_MEM_READONLY is honoured
 * @VMM_CAP_ROUTES: routes per VM
 * @VMM_CAP_GPA_BITS: width of a guest physical address
 * @VMM_CAP_TSC_KHZ: frequency of the guest's TSC, in kHz
 * @VMM_CAP_TSC_DEADLINE: the local APIC's timer has the TSC-deadline mode
 * @VMM_CAP_X2APIC: the local APIC has the x2APIC mode
 * @VMM_CAP_VIRTIO: bit mask of (1 << VMM_DEVICE_*) of device types that can be created now
 * @VMM_CAP_DEBUG: the module was built with its run-time oracles (VMM_DEBUG)
 */
enum vmm_cap {
	VMM_CAP_VCPUS		= 1,
	VMM_CAP_MEM_REGIONS	= 2,
	VMM_CAP_READONLY_MEM	= 3,
	VMM_CAP_ROUTES		= 4,
	VMM_CAP_GPA_BITS	= 5,
	VMM_CAP_TSC_KHZ		= 6,
	VMM_CAP_TSC_DEADLINE	= 7,
	VMM_CAP_X2APIC		= 8,
	VMM_CAP_VIRTIO		= 9,
	VMM_CAP_DEBUG		= 10,
};

/**
 * struct vmm_create_vm - argument of VMM_CREATE_VM
 * @flags: none defined
 * @pad: zero
 */
struct vmm_create_vm {
	__u32 flags;
	__u32 pad[7];
};

/**
 * struct vmm_create_vcpu - argument of VMM_CREATE_VCPU
 * @id: the vCPU's number and its local APIC id, below VMM_MAX_VCPUS; vCPU 0 is the bootstrap
 *	processor
 * @flags: none defined
 * @pad: zero
 */
struct vmm_create_vcpu {
	__u32 id;
	__u32 flags;
	__u32 pad[2];
};

#define VMM_MEM_READONLY	(1u << 0)	/* a guest's write exits as MMIO */

/**
 * struct vmm_mem_region - argument of VMM_SET_MEM_REGION: one range of guest physical memory
 * @slot: which region to set
 * @flags: VMM_MEM_*
 * @gpa: where the guest sees it; page aligned
 * @size: bytes, page aligned; 0 deletes the region
 * @hva: the caller's memory behind it; page aligned
 * @pad: zero
 *
 * A region may be moved (same @size, another @gpa), deleted, or change its flags while vCPUs
 * run; to change @size or @hva delete it first.
 */
struct vmm_mem_region {
	__u32 slot;
	__u32 flags;
	__u64 gpa;
	__u64 size;
	__u64 hva;
	__u64 pad[4];
};

/**
 * struct vmm_msi - a message-signalled interrupt, as a device would write it (SDM vol. 3,
 * 11.11; APM vol. 2, 16.12)
 * @addr: the address written, 0xfee.....
 * @data: the data written
 * @flags: none defined
 */
struct vmm_msi {
	__u64 addr;
	__u32 data;
	__u32 flags;
};

/**
 * struct vmm_lint - argument of VMM_SET_LINT: drive a local interrupt pin of a vCPU's local
 * APIC
 * @vcpu_id: which vCPU
 * @pin: 0 or 1
 * @level: 1 asserted, 0 deasserted
 * @pad: zero
 *
 * While LINT0 is asserted, in ExtINT mode and unmasked (or the APIC is disabled), the vCPU
 * exits with VMM_EXIT_INTACK as soon as it can take an interrupt; the caller answers with the
 * vector. A vCPU that waits in HLT wakes up.
 */
struct vmm_lint {
	__u32 vcpu_id;
	__u32 pin;
	__u32 level;
	__u32 pad;
};

#define VMM_ROUTE_NONE		0
#define VMM_ROUTE_MSI		1

/**
 * struct vmm_route - what a gsi means
 * @gsi: the interrupt's number
 * @type: VMM_ROUTE_*
 * @flags: none defined
 * @pad: zero
 * @u: by type; @msi: the message to send. Bit 15 of its data is the trigger mode: a level
 *	message's EOI is reported.
 */
struct vmm_route {
	__u32 gsi;
	__u32 type;
	__u32 flags;
	__u32 pad;
	union {
		struct vmm_msi msi;
		__u8 raw[32];
	} u;
};

/**
 * struct vmm_routes - argument of VMM_SET_ROUTES: replaces the whole table
 * @nr: entries that follow
 * @flags: none defined
 * @routes: user pointer to @nr struct vmm_route, one per gsi at most
 */
struct vmm_routes {
	__u32 nr;
	__u32 flags;
	__u64 routes;
};

#define VMM_IRQFD_DEASSIGN	(1u << 0)
#define VMM_IRQFD_RESAMPLE	(1u << 1)

/**
 * struct vmm_irqfd - argument of VMM_IRQFD: an eventfd that raises a gsi
 * @fd: the eventfd
 * @gsi: the interrupt
 * @flags: VMM_IRQFD_*
 * @resample_fd: with VMM_IRQFD_RESAMPLE, an eventfd that is signalled at the EOI of the (level)
 *	interrupt
 * @pad: zero
 *
 * ENOSPC: the VM has VMM_MAX_IRQFDS. What the eventfd counts is taken when it is delivered, also
 * what it counted before it became an irqfd.
 */
struct vmm_irqfd {
	__s32 fd;
	__u32 gsi;
	__u32 flags;
	__s32 resample_fd;
	__u32 pad[4];
};

#define VMM_IOEVENTFD_PIO	(1u << 0) /* @addr is a port; otherwise a guest physical address */
#define VMM_IOEVENTFD_DATAMATCH	(1u << 1)	/* only writes of @datamatch */
#define VMM_IOEVENTFD_DEASSIGN	(1u << 2)

/**
 * struct vmm_ioeventfd - argument of VMM_IOEVENTFD: a write that signals an eventfd instead of
 * exiting
 * @addr: where
 * @datamatch: the value, with VMM_IOEVENTFD_DATAMATCH
 * @len: width of the write: 1, 2, 4 or 8; 0 = any width (without datamatch)
 * @fd: the eventfd
 * @flags: VMM_IOEVENTFD_*
 * @pad: zero
 */
struct vmm_ioeventfd {
	__u64 addr;
	__u64 datamatch;
	__u32 len;
	__s32 fd;
	__u32 flags;
	__u32 pad;
};

/* device types: virtio device ids (virtio 1.2, 5) */
#define VMM_DEVICE_BLK		2
#define VMM_DEVICE_CONSOLE	3

/**
 * struct vmm_create_device - argument of VMM_CREATE_DEVICE
 * @type: VMM_DEVICE_*
 * @flags: none defined
 * @pad: zero
 *
 * Returns the device's file descriptor; its ioctls are in linux/vmm_virtio.h. ENODEV: no loaded
 * module serves this type (modprobe vmm_virtio).
 */
struct vmm_create_device {
	__u32 type;
	__u32 flags;
	__u32 pad[6];
};

/**
 * struct vmm_state - argument of VMM_GET_STATE and VMM_SET_STATE of a vCPU, and of
 * VMM_GET_VM_STATE and VMM_SET_VM_STATE of a VM
 * @type: VMM_STATE_* (linux/vmm_x86.h)
 * @version: version of the layout at @data; VMM_STATE_VERSION
 * @size: bytes at @data. Too small for a get: E2BIG and @size set to what is needed.
 * @flags: none defined
 * @data: user pointer
 *
 * The vCPU must not run meanwhile: these calls wait for its mutex. A set takes effect at the
 * next entry. EINVAL: a value that no processor could hold; nothing was changed then.
 */
struct vmm_state {
	__u32 type;
	__u32 version;
	__u32 size;
	__u32 flags;
	__u64 data;
};

#define VMM_STATE_VERSION	1

/**
 * enum vmm_exit - why VMM_RUN returned 0
 * @VMM_EXIT_UNKNOWN: never set by the kernel
 * @VMM_EXIT_IO: a port access that no in-kernel device takes; see struct vmm_run io
 * @VMM_EXIT_MMIO: a memory access outside every region, or a write to a read-only one; see mmio
 * @VMM_EXIT_EOI: the guest ended a level-triggered interrupt; see eoi. Those that are still to be
 *	told are in no VMM_STATE: before a vCPU is saved, VMM_RUN has to be called with
 *	immediate_exit set until it fails with EINTR.
 * @VMM_EXIT_INTACK: an ExtINT can be taken now: the caller writes intack.vector (or -1 for
 *	none, a spurious request) and runs again
 * @VMM_EXIT_SHUTDOWN: triple fault
 * @VMM_EXIT_HALT: HLT with interrupts disabled. Running again waits for NMI, INIT or SIPI.
 * @VMM_EXIT_MEMORY_FAULT: memory behind a region cannot be had; see memory_fault
 * @VMM_EXIT_EMULATION: an instruction that the emulator cannot execute; see emulation. The vCPU
 *	can go on only if its state is changed.
 * @VMM_EXIT_FAIL_ENTRY: the processor refused the guest's state; see fail_entry
 */
enum vmm_exit {
	VMM_EXIT_UNKNOWN	= 0,
	VMM_EXIT_IO		= 1,
	VMM_EXIT_MMIO		= 2,
	VMM_EXIT_EOI		= 3,
	VMM_EXIT_INTACK		= 4,
	VMM_EXIT_SHUTDOWN	= 5,
	VMM_EXIT_HALT		= 6,
	VMM_EXIT_MEMORY_FAULT	= 7,
	VMM_EXIT_EMULATION	= 8,
	VMM_EXIT_FAIL_ENTRY	= 9,
};

#define VMM_IO_IN		0
#define VMM_IO_OUT		1

/**
 * struct vmm_run - shared page of a vCPU
 * @immediate_exit: written by the caller at any time (from a signal handler too): VMM_RUN does not
 *	enter the guest, and fails with EINTR once it has no more to tell
 * @pad_in: zero; VMM_RUN fails with EINVAL otherwise
 * @exit_reason: enum vmm_exit, valid when VMM_RUN returned 0
 * @pad_out: zero
 * @u: details, by @exit_reason
 *
 * An access that the caller has to answer (io in, mmio read, intack) is completed by the next
 * VMM_RUN. To complete it without entering the guest, for instance to save its state, set
 * immediate_exit.
 */
struct vmm_run {
	__u8 immediate_exit;
	__u8 pad_in[7];

	__u32 exit_reason;
	__u32 pad_out;

	union {
		/*
		 * VMM_EXIT_IO: @size 1, 2 or 4; @data is written for an OUT, to be answered for
		 * an IN
		 */
		struct {
			__u16 port;
			__u8 size;
			__u8 direction;
			__u32 data;
		} io;

		/*
		 * VMM_EXIT_MMIO: @len 1, 2, 4 or 8; @data little-endian, written for a write,
		 * to be answered for a read. What an instruction accesses in other sizes, or
		 * across a page, comes as several accesses, in rising order.
		 */
		struct {
			__u64 gpa;
			__u8 data[8];
			__u32 len;
			__u8 is_write;
			__u8 pad[3];
		} mmio;

		/* VMM_EXIT_EOI */
		struct {
			__u32 vector;
		} eoi;

		/* VMM_EXIT_INTACK: answer 0 .. 255, or -1 */
		struct {
			__s32 vector;
		} intack;

		/* VMM_EXIT_MEMORY_FAULT: @error is a negative errno */
		struct {
			__u64 gpa;
			__s32 error;
			__u32 is_write;
		} memory_fault;

		/* VMM_EXIT_EMULATION: what could not be executed, @len bytes at @rip */
		struct {
			__u64 rip;
			__u64 gpa;
			__u32 len;
			__u8 bytes[15];
			__u8 pad;
		} emulation;

		/* VMM_EXIT_FAIL_ENTRY: the processor's own exit code */
		struct {
			__u64 hardware_reason;
		} fail_entry;

		__u8 raw[256];
	} u;
};

/**
 * enum vmm_stat - indexes of the counters that VMM_GET_STATS returns; all count events since
 * creation
 * @VMM_STAT_EXITS: exits from guest mode
 * @VMM_STAT_EXIT_IO: exits for a port access
 * @VMM_STAT_EXIT_MMIO: exits that needed the instruction emulator
 * @VMM_STAT_EXIT_NPF: second-level faults
 * @VMM_STAT_EXIT_HLT: HLT instructions
 * @VMM_STAT_EXIT_INTR: exits for an interrupt of the host
 * @VMM_STAT_EXIT_WINDOW: exits for an interrupt or NMI window
 * @VMM_STAT_EXIT_CPUID: CPUID instructions
 * @VMM_STAT_EXIT_MSR: RDMSR and WRMSR instructions that exit
 * @VMM_STAT_EXIT_CR: control and debug register accesses that exit
 * @VMM_STAT_EXIT_HYPERCALL: hypercalls
 * @VMM_STAT_EXIT_OTHER: every other exit
 * @VMM_STAT_TO_USER: returns of VMM_RUN to its caller
 * @VMM_STAT_IRQ_INJECTED: interrupts injected
 * @VMM_STAT_NMI_INJECTED: NMIs injected
 * @VMM_STAT_EXC_INJECTED: exceptions injected
 * @VMM_STAT_MSR_UNKNOWN: accesses to MSRs that this processor does not have, answered with #GP
 * @VMM_STAT_FAULT_4K: 4 KiB mappings installed
 * @VMM_STAT_FAULT_2M: 2 MiB mappings installed
 * @VMM_STAT_FAULT_1G: 1 GiB mappings installed
 * @VMM_STAT_SPTE_ZAPPED: mappings removed
 * @VMM_STAT_TLB_FLUSH: remote flushes
 * @VMM_STAT_KICK_IPI: host IPIs sent to take a vCPU out of the guest
 * @VMM_STAT_WAKE: wake-ups of a waiting vCPU
 * @VMM_STAT_FPU_SWAP: guest FPU states loaded
 * @VMM_STAT_NOTIFY: notifications taken by in-kernel devices
 * @VMM_STAT_MSI: messages delivered
 * @VMM_STAT_NR: how many there are
 */
enum vmm_stat {
	VMM_STAT_EXITS,
	VMM_STAT_EXIT_IO,
	VMM_STAT_EXIT_MMIO,
	VMM_STAT_EXIT_NPF,
	VMM_STAT_EXIT_HLT,
	VMM_STAT_EXIT_INTR,
	VMM_STAT_EXIT_WINDOW,
	VMM_STAT_EXIT_CPUID,
	VMM_STAT_EXIT_MSR,
	VMM_STAT_EXIT_CR,
	VMM_STAT_EXIT_HYPERCALL,
	VMM_STAT_EXIT_OTHER,
	VMM_STAT_TO_USER,
	VMM_STAT_IRQ_INJECTED,
	VMM_STAT_NMI_INJECTED,
	VMM_STAT_EXC_INJECTED,
	VMM_STAT_MSR_UNKNOWN,
	VMM_STAT_FAULT_4K,
	VMM_STAT_FAULT_2M,
	VMM_STAT_FAULT_1G,
	VMM_STAT_SPTE_ZAPPED,
	VMM_STAT_TLB_FLUSH,
	VMM_STAT_KICK_IPI,
	VMM_STAT_WAKE,
	VMM_STAT_FPU_SWAP,
	VMM_STAT_NOTIFY,
	VMM_STAT_MSI,
	VMM_STAT_NR,
};

/**
 * struct vmm_stats - argument of VMM_GET_STATS, of a VM (its own counters and the sum of its
 * vCPUs') or of a vCPU
 * @nr: counters wanted, at most; the call writes how many there are
 * @flags: none defined
 * @counters: user pointer to @nr __u64, indexed by enum vmm_stat
 */
struct vmm_stats {
	__u32 nr;
	__u32 flags;
	__u64 counters;
};

/* /dev/vmm */
#define VMM_GET_ABI		_IO(VMM_IOC, 0x00)
#define VMM_CHECK_CAP		_IO(VMM_IOC, 0x01)
#define VMM_CREATE_VM		_IOW(VMM_IOC, 0x02, struct vmm_create_vm)
#define VMM_GET_SUPPORTED_STATE	_IOWR(VMM_IOC, 0x03, struct vmm_state)

/* a VM */
#define VMM_CREATE_VCPU		_IOW(VMM_IOC, 0x20, struct vmm_create_vcpu)
#define VMM_SET_MEM_REGION	_IOW(VMM_IOC, 0x21, struct vmm_mem_region)
#define VMM_IOEVENTFD		_IOW(VMM_IOC, 0x22, struct vmm_ioeventfd)
#define VMM_IRQFD		_IOW(VMM_IOC, 0x23, struct vmm_irqfd)
#define VMM_SET_ROUTES		_IOW(VMM_IOC, 0x24, struct vmm_routes)
#define VMM_SIGNAL_MSI		_IOW(VMM_IOC, 0x25, struct vmm_msi)
#define VMM_SET_LINT		_IOW(VMM_IOC, 0x26, struct vmm_lint)
#define VMM_CREATE_DEVICE	_IOW(VMM_IOC, 0x27, struct vmm_create_device)
#define VMM_GET_VM_STATE	_IOWR(VMM_IOC, 0x28, struct vmm_state)
#define VMM_SET_VM_STATE	_IOW(VMM_IOC, 0x29, struct vmm_state)

/*
 * A vCPU. VMM_RUN returns 0 with an exit_reason, or fails: EINTR when a signal came,
 * immediate_exit was set or the host needs the thread in userland for a moment (nothing is
 * lost: call it again); EIO when the VM is beyond use, or called from another address space.
 */
#define VMM_RUN			_IO(VMM_IOC, 0x40)
#define VMM_GET_STATE		_IOWR(VMM_IOC, 0x41, struct vmm_state)
#define VMM_SET_STATE		_IOW(VMM_IOC, 0x42, struct vmm_state)

/* a VM or a vCPU */
#define VMM_GET_STATS		_IOWR(VMM_IOC, 0x50, struct vmm_stats)

#endif /* _UAPI_LINUX_VMM_H */
