// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dev/host.h"
#include "diagnose.h"
#include "kvm.h"
#include "mem.h"
#include "vm.h"

#define HUGE_PAGE	(2ull << 20)
#define CREATE_TRIES	20	/* while KVM comes and goes */
#define CREATE_PAUSE	100	/* ms */

static int check_abi(int fd, struct error *e)
{
	int abi = vmm_ioctl(fd, VMM_GET_ABI, NULL);

	if (abi == VMM_ABI_VERSION)
		return 0;
	if (abi < 0)
		return error_set(e, "/dev/vmm does not answer as vmm's (%s):\n"
				 "is another driver's file in its place?",
				 strerror(-abi));
	return error_set(e, "the loaded module speaks interface %d, this vmmctl %d.\n"
			 "Build both from one tree (make && sudo make install), end all VMs, then type:\n"
			 "sudo modprobe -r vmm_virtio vmm && sudo modprobe vmm_virtio",
			 abi, VMM_ABI_VERSION);
}

static int check_devices(int fd, unsigned int need, struct error *e)
{
	int have = vmm_ioctl(fd, VMM_CHECK_CAP, (void *)(long)VMM_CAP_VIRTIO);

	if (have < 0)
		have = 0;
	if (!(need & ~have))
		return 0;
	return error_set(e, "the module vmm_virtio, for disks and consoles, is not loaded.\n"
			 "Type: sudo modprobe vmm_virtio (or, in the source tree, sudo make load)");
}

int vmm_open(unsigned int need_devices, struct error *e)
{
	int fd = open("/dev/vmm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return explain_no_device(errno, e);
	if (check_abi(fd, e) || check_devices(fd, need_devices, e)) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * One mapping for both blocks, aligned so that guest and host agree on where a huge page starts.
 * A forked child has no business in it (the kernel refuses it anyway), and a core dump of vmmctl
 * is about vmmctl.
 */
int vm_alloc_ram(struct vm *vm, uint64_t size)
{
	uint64_t low = size < MAP_LOW_RAM_END ? size : MAP_LOW_RAM_END;
	uint8_t *p, *base;

	p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	base = (uint8_t *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	if (base > p)
		munmap(p, base - p);
	munmap(base + size, p + HUGE_PAGE - base);

	/* a kernel without THP says EINVAL */
	madvise(base, size, MADV_HUGEPAGE);
	madvise(base, size, MADV_DONTFORK);
	madvise(base, size, MADV_DONTDUMP);

	vm->mem_size = size;
	vm->ram[0] = (struct ram_block){ 0, low, base };
	vm->nr_ram = 1;
	if (size > low) {
		vm->ram[1] = (struct ram_block){ MAP_HIGH_RAM, size - low, base + low };
		vm->nr_ram = 2;
	}
	return 0;
}

static int set_region(struct vm *vm, unsigned int slot, const struct ram_block *block,
		      uint64_t start, uint64_t end, struct error *e)
{
	struct vmm_mem_region r = {
		.slot = slot,
		.gpa = block->gpa + start,
		.size = end - start,
		.hva = (uintptr_t)block->hva + start,
	};
	int ret = vmm_ioctl(vm->fd, VMM_SET_MEM_REGION, &r);

	if (ret == -ENOMEM)
		return explain_no_memory(vm->mem_size, e);
	if (ret)
		return error_set(e, "the kernel refuses the guest's memory at %#llx: %s",
				 (unsigned long long)r.gpa, strerror(-ret));
	return 0;
}

/* where a PC has its display memory, the guest finds nothing: else drivers take it for a display */
static int set_regions(struct vm *vm, struct error *e)
{
	if (set_region(vm, 0, &vm->ram[0], 0, VGA_HOLE, e) ||
	    set_region(vm, 1, &vm->ram[0], VGA_HOLE_END, vm->ram[0].size, e))
		return -1;
	return vm->nr_ram > 1 ? set_region(vm, 2, &vm->ram[1], 0, vm->ram[1].size, e) : 0;
}

static int check_limits(int dev_fd, const struct options *opt, struct error *e)
{
	int cpus = vmm_ioctl(dev_fd, VMM_CHECK_CAP, (void *)(long)VMM_CAP_VCPUS);
	int bits = vmm_ioctl(dev_fd, VMM_CHECK_CAP, (void *)(long)VMM_CAP_GPA_BITS);
	uint64_t top = opt->mem;

	if (top > MAP_LOW_RAM_END)
		top += MAP_HIGH_RAM - MAP_LOW_RAM_END;
	if (cpus > 0 && opt->cpus > (unsigned int)cpus)
		return error_set(e, "--cpus: a VM may have %d virtual CPUs here", cpus);
	if (bits > 0 && bits < 64 && top > 1ull << bits)
		return error_set(e, "--mem: this processor gives a guest %d address bits,\n"
				 "that is at most %llu MiB",
				 bits, ((1ull << bits) - (MAP_HIGH_RAM - MAP_LOW_RAM_END)) >> 20);
	return 0;
}

/* VMM_CREATE_VM; an idle KVM is moved out of the way */
static int create_fd(int dev_fd, const struct options *opt)
{
	struct vmm_create_vm arg = {};
	int fd, tries, way = -1;

	for (tries = 0; tries < CREATE_TRIES; tries++) {
		fd = vmm_ioctl(dev_fd, VMM_CREATE_VM, &arg);
		kvm_may_return(way);
		if (fd != -EBUSY || opt->keep_kvm)
			return fd;
		way = kvm_make_way();
		if (way < 0 && way != -EAGAIN)
			return fd;
		if (way < 0)
			poll(NULL, 0, CREATE_PAUSE);
		else
			warn("KVM was in the way, and idle: its module is taken out,\n"
			     "and comes back after the last VM");
	}
	kvm_may_return(way);
	return fd;
}

int vm_create(struct vm *vm, int dev_fd, const struct options *opt, struct error *e)
{
	*vm = (struct vm){
		.opt = opt,
		.name = opt->name ?: "vm",
		.dev_fd = dev_fd,
		.fd = -1,
	};
	atomic_init(&vm->status, -1);
	if (bus_init(&vm->pio) || bus_init(&vm->mmio))
		return error_set(e, "out of memory");
	vm->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->end_fd < 0)
		return error_set(e, "eventfd: %s", strerror(errno));

	if (check_limits(dev_fd, opt, e))
		return -1;
	vm->fd = create_fd(dev_fd, opt);
	if (vm->fd < 0)
		return explain_no_vm(-vm->fd, e);
	if (vm_alloc_ram(vm, opt->mem))
		return explain_no_memory(opt->mem, e);
	return set_regions(vm, e);
}

void vm_end(struct vm *vm, int status)
{
	uint64_t one = 1;
	int none = -1;

	if (!atomic_compare_exchange_strong(&vm->status, &none, status))
		return;
	while (write(vm->end_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}
