// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dev/host.h"
#include "vcpu.h"

#define STOP_TIMEOUT_MS	2000
#define RFLAGS_IF	(1ull << 9)

static void kick(struct vcpu *v)
{
	*(volatile uint8_t *)&v->run->immediate_exit = 1;
	if (atomic_load(&v->started))
		pthread_kill(v->self, DEV_KICK_SIGNAL);
}

/*
 * Halted for good
 *
 * A processor that executes HLT with interrupts disabled waits for an NMI, INIT or start-up
 * message. When every processor is in such a wait, or was never started, nobody is left to send
 * one, and the guest is dead. Linux takes processors offline in the same way, so one alone says
 * nothing. Each such exit starts a new question (an epoch): every vCPU is kicked, looks at
 * itself, and answers; the VM ends when all answers to the latest question are "dead". An answer
 * is later than the halt that asked, and only a vCPU that runs can revive another, so a running
 * one's answer or its own later halt settles it.
 */
static pthread_mutex_t halt_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t halt_epoch;		/* [h] */

static void __answer(struct vcpu *v, bool dead)
{
	struct vm *vm = v->vm;
	unsigned int i;

	v->dead = dead;
	v->epoch = halt_epoch;
	for (i = 0; i < vm->nr_vcpus; i++) {
		if (!vm->vcpus[i].dead || vm->vcpus[i].epoch != halt_epoch)
			return;
	}
	vm_end(vm, STATUS_PANIC);
}

static void halted(struct vcpu *v)
{
	struct vm *vm = v->vm;
	unsigned int i;

	pthread_mutex_lock(&halt_lock);
	halt_epoch++;
	__answer(v, true);
	for (i = 0; i < vm->nr_vcpus; i++) {
		if (&vm->vcpus[i] == v)
			continue;
		atomic_store(&vm->vcpus[i].look, true);
		kick(&vm->vcpus[i]);
	}
	pthread_mutex_unlock(&halt_lock);
}

static bool is_dead(const struct vcpu *v)
{
	struct vmm_mp_state mp;
	struct vmm_regs regs;

	if (state_get(v, VMM_STATE_MP, &mp, sizeof(mp)) < 0)
		return false;
	if (mp.state == VMM_MP_UNINIT || mp.state == VMM_MP_WAIT_SIPI)
		return true;
	return mp.state == VMM_MP_HALTED &&
	       state_get(v, VMM_STATE_REGS, &regs, sizeof(regs)) >= 0 && !(regs.rflags & RFLAGS_IF);
}

static void look(struct vcpu *v)
{
	bool dead = is_dead(v);

	pthread_mutex_lock(&halt_lock);
	__answer(v, dead);
	pthread_mutex_unlock(&halt_lock);
}

static void fail_emulation(struct vcpu *v)
{
	const struct vmm_run *run = v->run;
	unsigned int i, len = run->u.emulation.len;
	char bytes[3 * sizeof(run->u.emulation.bytes) + 1] = "";

	if (len > sizeof(run->u.emulation.bytes))
		len = sizeof(run->u.emulation.bytes);
	for (i = 0; i < len; i++)
		sprintf(bytes + 3 * i, " %02x", run->u.emulation.bytes[i]);
	warn("vCPU %u: an instruction that accesses a device cannot be emulated:\n"
	     "rip %#llx, address %#llx, bytes%s",
	     v->id, (unsigned long long)run->u.emulation.rip,
	     (unsigned long long)run->u.emulation.gpa, bytes);
	vm_end(v->vm, STATUS_HOST_ERROR);
}

static void fail_memory(struct vcpu *v)
{
	const struct vmm_run *run = v->run;

	warn("vCPU %u: the guest's memory at %#llx cannot be had: %s%s", v->id,
	     (unsigned long long)run->u.memory_fault.gpa, strerror(-run->u.memory_fault.error),
	     run->u.memory_fault.error == -ENOMEM ?
	     "; the host, or this cgroup (memory.max), has no memory left" : "");
	vm_end(v->vm, STATUS_HOST_ERROR);
}

static void handle_exit(struct vcpu *v)
{
	struct vmm_run *run = v->run;
	struct vm *vm = v->vm;

	switch (run->exit_reason) {
	case VMM_EXIT_IO:
		bus_access(&vm->pio, run->u.io.port, run->u.io.direction == VMM_IO_OUT,
			   &run->u.io.data, run->u.io.size);
		break;
	case VMM_EXIT_MMIO:
		bus_access(&vm->mmio, run->u.mmio.gpa, run->u.mmio.is_write, run->u.mmio.data,
			   run->u.mmio.len);
		break;
	case VMM_EXIT_EOI:
		irq_eoi(vm, run->u.eoi.vector);
		break;
	case VMM_EXIT_INTACK:
		run->u.intack.vector = irq_intack(vm);
		break;
	case VMM_EXIT_SHUTDOWN:
		vm_end(vm, STATUS_TRIPLE_FAULT);
		break;
	case VMM_EXIT_HALT:
		halted(v);
		break;
	case VMM_EXIT_MEMORY_FAULT:
		fail_memory(v);
		break;
	case VMM_EXIT_EMULATION:
		fail_emulation(v);
		break;
	case VMM_EXIT_FAIL_ENTRY:
		warn("vCPU %u: the processor refuses the guest's state (hardware reason %#llx)",
		     v->id, (unsigned long long)run->u.fail_entry.hardware_reason);
		vm_end(vm, STATUS_HOST_ERROR);
		break;
	default:
		warn("vCPU %u: exit %u, which this vmmctl does not know", v->id, run->exit_reason);
		vm_end(vm, STATUS_HOST_ERROR);
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *v = arg;

	pthread_mutex_lock(&halt_lock);
	v->self = pthread_self();
	atomic_store(&v->started, !atomic_load(&v->stop));
	pthread_mutex_unlock(&halt_lock);

	while (!atomic_load(&v->stop)) {
		int ret;

		if (atomic_exchange(&v->look, false))
			look(v);

		ret = vmm_ioctl(v->fd, VMM_RUN, NULL);
		if (ret == -EINTR) {
			/* before the flags are read again: whoever sets one sets this after it */
			*(volatile uint8_t *)&v->run->immediate_exit = 0;
			atomic_thread_fence(memory_order_seq_cst);
			continue;
		}
		if (ret < 0) {
			warn("vCPU %u: VMM_RUN: %s", v->id, strerror(-ret));
			vm_end(v->vm, STATUS_HOST_ERROR);
			break;
		}

		/* the devices may be gone, if it hung until after vcpus_stop() */
		if (atomic_load(&v->stop))
			break;
		handle_exit(v);
		/* nothing more of a guest that has ended */
		if (atomic_load(&v->vm->status) >= 0)
			break;
	}
	return NULL;
}

static int open_vcpu(struct vm *vm, unsigned int id, struct error *e)
{
	struct vmm_create_vcpu arg = { .id = id };
	struct vcpu *v = &vm->vcpus[id];
	void *run;

	v->vm = vm;
	v->id = id;
	v->fd = vmm_ioctl(vm->fd, VMM_CREATE_VCPU, &arg);
	if (v->fd < 0)
		return error_set(e, "the kernel does not create vCPU %u: %s", id, strerror(-v->fd));
	run = mmap(NULL, VMM_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (run == MAP_FAILED)
		return error_set(e, "vCPU %u: mmap: %s", id, strerror(errno));
	v->run = run;
	return vcpu_reset_state(v, e);
}

int vcpus_create(struct vm *vm, unsigned int nr, struct error *e)
{
	unsigned int i;

	vm->vcpus = xcalloc(nr, sizeof(*vm->vcpus));
	vm->nr_vcpus = nr;
	for (i = 0; i < nr; i++) {
		if (open_vcpu(vm, i, e))
			return -1;
	}
	return 0;
}

int vcpus_start(struct vm *vm, struct error *e)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *v = &vm->vcpus[i];
		char name[16];
		int ret;

		snprintf(name, sizeof(name), "vcpu%u", i);
		ret = thread_start(&v->thread, name, vcpu_thread, v);
		if (ret)
			return error_set(e, "no thread for vCPU %u: %s", i, strerror(-ret));
		v->created = true;
	}
	return 0;
}

int vcpus_stop(struct vm *vm)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < vm->nr_vcpus; i++) {
		atomic_store(&vm->vcpus[i].stop, true);
		kick(&vm->vcpus[i]);
	}
	for (i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *v = &vm->vcpus[i];

		pthread_mutex_lock(&halt_lock);
		atomic_store(&v->started, false);
		pthread_mutex_unlock(&halt_lock);
		if (v->created && thread_end(v->thread, STOP_TIMEOUT_MS)) {
			warn("vCPU %u does not stop: it waits for the host", i);
			ret = -ETIMEDOUT;
		}
	}
	return ret;
}
