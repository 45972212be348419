/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vCPUs: one thread each, in VMM_RUN nearly all the time.
 *
 *	         vcpus_start()         exit
 *	CREATED --------------> IN_RUN -----> handled ---+
 *	                          ^                      |
 *	                          +----------------------+
 *
 * @stop, or an exit that ends the VM: the thread returns.
 *
 * Whoever wants a vCPU out of VMM_RUN sets a flag, then immediate_exit, then sends the signal:
 * one of the two makes VMM_RUN return.
 */
#ifndef VMMCTL_VCPU_H
#define VMMCTL_VCPU_H

#include "boot.h"
#include "error.h"
#include "vmmctl.h"

/**
 * struct vcpu - one virtual processor
 * @vm: [I] its VM
 * @id: [I] its number and local APIC id
 * @fd: [I] its file descriptor
 * @run: [I] the page shared with the kernel
 * @thread: [I] after vcpus_start(), for the main thread alone
 * @created: [I] after vcpus_start(): @thread is there
 * @self: [I] once @started: the thread as it knows itself
 * @started: [a] set by the thread before its first look at the flags: from then on it needs the
 *	signal; cleared under halt_lock, so that nobody who holds that kicks a thread that is gone
 * @stop: [a] end the thread
 * @look: [a] see whether this vCPU can ever run again (vcpu.c, "Halted for good")
 * @dead: [h] halt_lock: it cannot, as of @epoch
 * @epoch: [h] the question that @dead answers
 */
struct vcpu {
	struct vm *vm;
	unsigned int id;
	int fd;
	struct vmm_run *run;
	pthread_t thread;
	bool created;
	pthread_t self;
	atomic_bool started;
	atomic_bool stop;
	atomic_bool look;
	bool dead;
	uint64_t epoch;
};

/**
 * vcpus_create() - create all vCPUs of a VM, with what their CPUID says and what firmware would
 * have set up
 * @vm: created; its memory and devices may come later
 * @nr: how many
 * @e: what is wrong
 *
 * Return: 0 or -1.
 */
int vcpus_create(struct vm *vm, unsigned int nr, struct error *e);

/**
 * vcpu_boot_state() - make the bootstrap processor start as @state says. Return: 0 or -1 with @e.
 */
int vcpu_boot_state(struct vm *vm, const struct boot_state *state, struct error *e);

/** vcpus_start() - start the threads. Return: 0 or -1 with @e. */
int vcpus_start(struct vm *vm, struct error *e);

/**
 * vcpus_stop() - end the threads; none executes guest code any more. Not from a vCPU's thread.
 *
 * Return: 0, or -ETIMEDOUT: one hangs in the kernel, or in the midst of an exit, and the devices
 * must stay.
 */
int vcpus_stop(struct vm *vm);

/**
 * vcpu_reset_state() - what a processor has after reset and firmware; vcpus_create() does it.
 * Return: 0 or -1 with @e.
 */
int vcpu_reset_state(struct vcpu *v, struct error *e);

/*
 * state.c: get and set state of a vCPU, and of what the kernel offers. Return: bytes got, or
 * -errno.
 */
long state_get(const struct vcpu *v, unsigned int type, void *data, unsigned int size);
int state_set(const struct vcpu *v, unsigned int type, const void *data, unsigned int size);
long state_supported(int dev_fd, unsigned int type, void *data, unsigned int size);

#endif /* VMMCTL_VCPU_H */
