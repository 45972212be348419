// SPDX-License-Identifier: GPL-2.0
/*
 * The surface of the interface: numbers, capabilities, reserved fields, pointers; every ioctl
 * with good and bad arguments.
 */
#include <fcntl.h>
#include <sys/eventfd.h>

#include "harness.h"

TEST(abi_version)
{
	int sys = t_open();

	EXPECT_EQ(VMM_ABI_VERSION, t_ioctl(sys, VMM_GET_ABI, NULL));
	/* it has no argument */
	EXPECT_ERR(EINVAL, t_ioctl(sys, VMM_GET_ABI, (void *)1));
	EXPECT_ERR(EINVAL, t_ioctl(sys, VMM_GET_ABI, (void *)(1ull << 63)));
}

TEST(capabilities)
{
	EXPECT_EQ(VMM_MAX_VCPUS, t_cap(VMM_CAP_VCPUS));
	EXPECT_EQ(VMM_MAX_MEM_REGIONS, t_cap(VMM_CAP_MEM_REGIONS));
	EXPECT_LT(0, t_cap(VMM_CAP_READONLY_MEM));
	EXPECT_EQ(VMM_MAX_ROUTES, t_cap(VMM_CAP_ROUTES));
	EXPECT_LE(36, t_cap(VMM_CAP_GPA_BITS));
	EXPECT_GE(52, t_cap(VMM_CAP_GPA_BITS));
	EXPECT_LT(10000, t_cap(VMM_CAP_TSC_KHZ));
	EXPECT_LE(0, t_cap(VMM_CAP_TSC_DEADLINE));
	EXPECT_LT(0, t_cap(VMM_CAP_X2APIC));
	EXPECT_LE(0, t_cap(VMM_CAP_VIRTIO));
	EXPECT_LE(0, t_cap(VMM_CAP_DEBUG));
	/* what does not exist is 0, no error */
	EXPECT_EQ(0, t_cap(0));
	EXPECT_EQ(0, t_cap(1000));
	EXPECT_EQ(0, t_cap(0x7fffffff));
	EXPECT_EQ(0, t_cap(0xffffffff));
	/* the whole argument counts, not its low half */
	EXPECT_EQ(0, t_ioctl(t_open(), VMM_CHECK_CAP, (void *)(1ull << 32 | VMM_CAP_VCPUS)));
}

/* every number that is not an ioctl of this kind of file, in every direction, is ENOTTY */
static void unknown(struct __test_metadata *_metadata, int fd, const char *what,
		    const unsigned long *known, unsigned int nr)
{
	static const unsigned int sizes[] = { 0, 8, 16, 24, 32, 48, 64, 128 };
	static uint8_t arg[4096];
	unsigned int n, dir, s, i;

	for (n = 0; n < 256; n++) {
		for (dir = 0; dir < 4; dir++) {
			for (s = 0; s < ARRAY_SIZE(sizes); s++) {
				unsigned long cmd = _IOC(dir, VMM_IOC, n, sizes[s]);
				bool is_known = false;
				int r;

				for (i = 0; i < nr; i++)
					is_known |= cmd == known[i];
				if (is_known)
					continue;
				memset(arg, 0, sizeof(arg));
				r = t_ioctl(fd, cmd, arg);
				EXPECT_EQ(-ENOTTY, r) {
					TH_LOG("%s: ioctl 0x%lx (nr 0x%x dir %u size %u): %d", what,
					       cmd, n, dir, sizes[s], r);
					return;
				}
			}
		}
	}
	EXPECT_ERR(ENOTTY, t_ioctl(fd, 0xae01, arg));	/* KVM's */
}

TEST(unknown_ioctls)
{
	static const unsigned long sys_ioctls[] = {VMM_GET_ABI, VMM_CHECK_CAP, VMM_CREATE_VM,
						   VMM_GET_SUPPORTED_STATE};
	static const unsigned long vm_ioctls[] = {
		VMM_CREATE_VCPU,  VMM_SET_MEM_REGION, VMM_IOEVENTFD, VMM_IRQFD,
		VMM_SET_ROUTES,	  VMM_SIGNAL_MSI,     VMM_SET_LINT,  VMM_CREATE_DEVICE,
		VMM_GET_VM_STATE, VMM_SET_VM_STATE,   VMM_GET_STATS,
	};
	static const unsigned long vcpu_ioctls[] = {VMM_RUN, VMM_GET_STATE, VMM_SET_STATE,
						    VMM_GET_STATS};
	static const unsigned long dev_ioctls[] = {
		VMM_DEV_GET_INFO,   VMM_DEV_SET_FEATURES, VMM_DEV_SET_QUEUE,   VMM_DEV_GET_QUEUE,
		VMM_DEV_SET_NOTIFY, VMM_DEV_SET_VECTOR,	  VMM_DEV_SET_MSIX,    VMM_DEV_GET_PENDING,
		VMM_DEV_GET_EVENTS, VMM_DEV_START,	  VMM_DEV_STOP,	       VMM_DEV_WORK,
		VMM_DEV_QUIT,	    VMM_DEV_RAISE_CONFIG, VMM_BLK_SETUP,
	};
	struct vmm_create_device blk = { .type = VMM_DEVICE_BLK };
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	int sys = t_open(), dev = t_ioctl(vm->fd, VMM_CREATE_DEVICE, &blk);

	if (dev >= 0)
		unknown(_metadata, dev, "block device", dev_ioctls, ARRAY_SIZE(dev_ioctls));
	unknown(_metadata, sys, "/dev/vmm", sys_ioctls, ARRAY_SIZE(sys_ioctls));
	unknown(_metadata, vm->fd, "VM", vm_ioctls, ARRAY_SIZE(vm_ioctls));
	unknown(_metadata, v->fd, "vCPU", vcpu_ioctls, ARRAY_SIZE(vcpu_ioctls));
}

/* nothing else can be done with these files */
TEST(other_calls)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	int fds[3] = { t_open(), vm->fd, v->fd };
	char buf[16] = "";
	unsigned int i;

	for (i = 0; i < 3; i++) {
		EXPECT_GT(0, read(fds[i], buf, sizeof(buf)));
		EXPECT_GT(0, write(fds[i], buf, sizeof(buf)));
		EXPECT_NE(0, fcntl(fds[i], F_GETFD) & FD_CLOEXEC)
		TH_LOG("file %u is inherited over exec", i);
		if (i < 2)
			EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[i], 0));
	}
	EXPECT_GT(0, open("/dev/vmm", O_RDWR | O_DIRECTORY));
}

/* one ioctl with an argument that works, and the bytes of it that are reserved */
struct res {
	unsigned int off, len;
};
#define RES(type, field)	{ offsetof(type, field), sizeof(((type *)0)->field) }
#define RES_END			{ 0, 0 }

static void reserved(struct __test_metadata *_metadata, int fd, const char *name, unsigned long cmd,
		     const void *good, const struct res *res)
{
	uint8_t arg[512];
	unsigned int i, b;
	int r;

	for (; res->len; res++) {
		for (i = 0; i < res->len; i++) {
			for (b = 0; b < 8; b += 7) {
				memcpy(arg, good, _IOC_SIZE(cmd));
				arg[res->off + i] |= 1u << b;
				r = t_ioctl(fd, cmd, arg);
				EXPECT_EQ(-EINVAL, r)
				TH_LOG("%s: bit %u of reserved byte %u set: %d, wanted -EINVAL",
				       name, b, res->off + i, r);
			}
		}
	}
}

/* pointers that cannot be read, or only in part */
static void pointers(struct __test_metadata *_metadata, int fd, const char *name, unsigned long cmd,
		     const void *good)
{
	uint8_t *p = t_alloc(2 * 4096, 4096);
	void *bad[6];
	unsigned int size = _IOC_SIZE(cmd), i;
	int r;

	memcpy(p + 4096 - (size - 1), good, size - 1);
	munmap(p + 4096, 4096);
	bad[0] = NULL;
	bad[1] = (void *)8;
	bad[2] = p + 4096;
	bad[3] = p + 4096 - (size - 1);
	bad[4] = (void *)0xffff888000000000;
	bad[5] = (void *)0xdead000000000000;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		r = t_ioctl(fd, cmd, bad[i]);
		EXPECT_EQ(-EFAULT, r)
		TH_LOG("%s: argument %p: %d, wanted -EFAULT", name, bad[i], r);
	}
	munmap(p, 4096);
}

TEST(create_vm)
{
	struct vmm_create_vm good = { 0 };
	const struct res res[] = {RES(struct vmm_create_vm, flags), RES(struct vmm_create_vm, pad),
				  RES_END};
	int sys = t_open(), a, b;

	reserved(_metadata, sys, "VMM_CREATE_VM", VMM_CREATE_VM, &good, res);
	pointers(_metadata, sys, "VMM_CREATE_VM", VMM_CREATE_VM, &good);
	a = t_ioctl(sys, VMM_CREATE_VM, &good);
	b = t_ioctl(sys, VMM_CREATE_VM, &good);
	EXPECT_LE(0, a);
	EXPECT_LE(0, b);
	close(b);
	close(a);
}

TEST(create_vcpu)
{
	struct t_vm *vm = t_vm_bare();
	struct vmm_create_vcpu good = { .id = 1 };
	const struct res res[] = {RES(struct vmm_create_vcpu, flags),
				  RES(struct vmm_create_vcpu, pad), RES_END};
	unsigned int i;

	reserved(_metadata, vm->fd, "VMM_CREATE_VCPU", VMM_CREATE_VCPU, &good, res);
	pointers(_metadata, vm->fd, "VMM_CREATE_VCPU", VMM_CREATE_VCPU, &good);
	for (i = 0; i < VMM_MAX_VCPUS; i++) {
		good.id = i;
		ASSERT_OK(t_ioctl(vm->fd, VMM_CREATE_VCPU, &good)) TH_LOG("vCPU %u", i);
	}
	EXPECT_ERR(EEXIST, t_ioctl(vm->fd, VMM_CREATE_VCPU, &good));
	good.id = 0;
	EXPECT_ERR(EEXIST, t_ioctl(vm->fd, VMM_CREATE_VCPU, &good));
	good.id = VMM_MAX_VCPUS;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_CREATE_VCPU, &good));
	good.id = 0x80000000;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_CREATE_VCPU, &good));
	good.id = 0xffffffff;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_CREATE_VCPU, &good));
}

/* an id that was closed is not free again: vCPUs live as long as their VM */
TEST(vcpu_id_stays)
{
	struct t_vm *vm = t_vm_bare();
	struct vmm_create_vcpu arg = { .id = 3 };
	int fd = t_ioctl(vm->fd, VMM_CREATE_VCPU, &arg);

	ASSERT_LE(0, fd);
	close(fd);
	EXPECT_ERR(EEXIST, t_ioctl(vm->fd, VMM_CREATE_VCPU, &arg));
}

TEST(no_file_left)
{
	struct t_vm *vm = t_vm_bare();
	struct vmm_create_vcpu arg = { .id = 0 };
	struct vmm_create_vm cvm = { 0 };
	int sys = t_open(), fd, last = -1;

	/* out of descriptors: EMFILE, and the id is still free */
	while ((fd = dup(sys)) >= 0)
		last = fd;
	ASSERT_LT(0, last);
	EXPECT_ERR(EMFILE, t_ioctl(vm->fd, VMM_CREATE_VCPU, &arg));
	EXPECT_ERR(EMFILE, t_ioctl(sys, VMM_CREATE_VM, &cvm));
	close(last);
	EXPECT_OK(t_ioctl(vm->fd, VMM_CREATE_VCPU, &arg));
}

TEST(set_mem_region)
{
	struct t_vm *vm = t_vm_bare();
	uint8_t *mem = t_alloc(0x10000, 4096);
	struct vmm_mem_region good = {
		.slot = 5, .gpa = 0x10000, .size = 0x10000, .hva = (uintptr_t)mem};
	const struct res res[] = { RES(struct vmm_mem_region, pad), RES_END };
	unsigned int b;

	reserved(_metadata, vm->fd, "VMM_SET_MEM_REGION", VMM_SET_MEM_REGION, &good, res);
	pointers(_metadata, vm->fd, "VMM_SET_MEM_REGION", VMM_SET_MEM_REGION, &good);
	for (b = 1; b < 32; b++) {
		struct vmm_mem_region bad = good;

		bad.flags = 1u << b;
		EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_MEM_REGION, &bad));
	}
	EXPECT_OK(t_ioctl(vm->fd, VMM_SET_MEM_REGION, &good));
}

TEST(signal_msi)
{
	struct t_vm *vm = t_vm_new();
	struct vmm_msi good = { .addr = 0xfee00000, .data = 0x40 };
	const struct res res[] = { RES(struct vmm_msi, flags), RES_END };
	struct vmm_msi m;

	t_vcpu_new(vm, 0);
	reserved(_metadata, vm->fd, "VMM_SIGNAL_MSI", VMM_SIGNAL_MSI, &good, res);
	pointers(_metadata, vm->fd, "VMM_SIGNAL_MSI", VMM_SIGNAL_MSI, &good);
	EXPECT_OK(t_ioctl(vm->fd, VMM_SIGNAL_MSI, &good));
	m = good;
	m.addr = 0x12345000;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SIGNAL_MSI, &m));
	/* a vCPU that does not exist: nobody takes it, and nothing breaks */
	m = good;
	m.addr = 0xfee3f000;
	EXPECT_LE(-EINVAL, t_ioctl(vm->fd, VMM_SIGNAL_MSI, &m));
}

TEST(set_lint)
{
	struct t_vm *vm = t_vm_new();
	struct vmm_lint good = { .vcpu_id = 0, .pin = 0, .level = 0 };
	const struct res res[] = { RES(struct vmm_lint, pad), RES_END };
	struct vmm_lint l;

	t_vcpu_new(vm, 0);
	reserved(_metadata, vm->fd, "VMM_SET_LINT", VMM_SET_LINT, &good, res);
	pointers(_metadata, vm->fd, "VMM_SET_LINT", VMM_SET_LINT, &good);
	EXPECT_OK(t_ioctl(vm->fd, VMM_SET_LINT, &good));
	l = good, l.pin = 2;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_LINT, &l));
	l = good, l.level = 2;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_LINT, &l));
	l = good, l.vcpu_id = 1;
	EXPECT_GT(0, t_ioctl(vm->fd, VMM_SET_LINT, &l)) TH_LOG("a vCPU that does not exist");
	l = good, l.vcpu_id = 0xffffffff;
	EXPECT_GT(0, t_ioctl(vm->fd, VMM_SET_LINT, &l)) TH_LOG("a vCPU that cannot exist");
}

TEST(set_routes)
{
	struct t_vm *vm = t_vm_new();
	struct vmm_route *r = calloc(VMM_MAX_ROUTES + 1, sizeof(*r));
	struct vmm_routes good = { .nr = 1, .routes = (uintptr_t)r }, arg;
	const struct res res[] = { RES(struct vmm_routes, flags), RES_END };
	const struct vmm_route msi = {
		.gsi = 7, .type = VMM_ROUTE_MSI, .u.msi = {.addr = 0xfee00000, .data = 0x40}};
	unsigned int i;

	r[0] = msi;
	reserved(_metadata, vm->fd, "VMM_SET_ROUTES", VMM_SET_ROUTES, &good, res);
	pointers(_metadata, vm->fd, "VMM_SET_ROUTES", VMM_SET_ROUTES, &good);
	EXPECT_OK(t_ioctl(vm->fd, VMM_SET_ROUTES, &good));

	arg = good, arg.nr = VMM_MAX_ROUTES + 1;
	EXPECT_GT(0, t_ioctl(vm->fd, VMM_SET_ROUTES, &arg))
	TH_LOG("more routes than a VM may have");
	arg.nr = 0xffffffff;
	EXPECT_GT(0, t_ioctl(vm->fd, VMM_SET_ROUTES, &arg)) TH_LOG("2^32 - 1 routes");
	arg = good, arg.routes = 8;
	EXPECT_ERR(EFAULT, t_ioctl(vm->fd, VMM_SET_ROUTES, &arg));
	arg.nr = 0, arg.routes = 0;
	EXPECT_OK(t_ioctl(vm->fd, VMM_SET_ROUTES, &arg));

	r[0] = msi, r[0].gsi = VMM_MAX_ROUTES;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_ROUTES, &good));
	r[0] = msi, r[0].type = 2;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_ROUTES, &good));
	r[0] = msi, r[0].flags = 1;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_ROUTES, &good));
	r[0] = msi, r[0].pad = 1;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_ROUTES, &good));
	r[0] = msi, r[0].u.msi.flags = 1;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_ROUTES, &good));
	r[0] = msi, r[0].u.msi.addr = 0x1000;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_ROUTES, &good));
	/* of the union, what the type does not use */
	for (i = 0; i < sizeof(r[0].u.raw); i++) {
		r[0] = (struct vmm_route){ .gsi = 7, .type = VMM_ROUTE_NONE };
		r[0].u.raw[i] = 1;
		EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_ROUTES, &good));
		if (i < sizeof(r[0].u.msi))
			continue;
		r[0] = msi, r[0].u.raw[i] = 0x80;
		EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_ROUTES, &good));
	}
	/* one route for a gsi */
	r[0] = r[1] = msi;
	arg = good, arg.nr = 2;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_SET_ROUTES, &arg));
	/* as many as there may be */
	for (i = 0; i < VMM_MAX_ROUTES; i++)
		r[i] = msi, r[i].gsi = i;
	arg.nr = VMM_MAX_ROUTES;
	EXPECT_OK(t_ioctl(vm->fd, VMM_SET_ROUTES, &arg));
}

TEST(irqfd)
{
	struct t_vm *vm = t_vm_new();
	int ev = eventfd(0, EFD_CLOEXEC), ev2 = eventfd(0, EFD_CLOEXEC),
	    file = open("/dev/null", O_RDWR);
	struct vmm_irqfd good = { .fd = ev, .gsi = 5, .resample_fd = -1 }, arg;
	const struct res res[] = { RES(struct vmm_irqfd, pad), RES_END };
	unsigned int b;

	reserved(_metadata, vm->fd, "VMM_IRQFD", VMM_IRQFD, &good, res);
	pointers(_metadata, vm->fd, "VMM_IRQFD", VMM_IRQFD, &good);
	for (b = 2; b < 32; b++) {
		arg = good, arg.flags = 1u << b;
		EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IRQFD, &arg));
	}
	arg = good, arg.fd = -1;
	EXPECT_ERR(EBADF, t_ioctl(vm->fd, VMM_IRQFD, &arg));
	arg = good, arg.fd = file;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IRQFD, &arg));
	arg = good, arg.gsi = VMM_MAX_ROUTES;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IRQFD, &arg));
	arg = good, arg.gsi = 0xffffffff;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IRQFD, &arg));
	arg = good, arg.flags = VMM_IRQFD_RESAMPLE, arg.resample_fd = -1;
	EXPECT_ERR(EBADF, t_ioctl(vm->fd, VMM_IRQFD, &arg));
	arg = good, arg.flags = VMM_IRQFD_RESAMPLE, arg.resample_fd = file;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IRQFD, &arg));
	arg = good, arg.flags = VMM_IRQFD_DEASSIGN;
	EXPECT_GT(0, t_ioctl(vm->fd, VMM_IRQFD, &arg)) TH_LOG("taken away, though never given");

	EXPECT_OK(t_ioctl(vm->fd, VMM_IRQFD, &good));
	EXPECT_GT(0, t_ioctl(vm->fd, VMM_IRQFD, &good)) TH_LOG("one eventfd twice");
	EXPECT_OK(t_ioctl(vm->fd, VMM_IRQFD, &arg));
	EXPECT_OK(t_ioctl(vm->fd, VMM_IRQFD, &good));
	arg = good, arg.fd = ev2, arg.flags = VMM_IRQFD_RESAMPLE, arg.resample_fd = ev;
	EXPECT_OK(t_ioctl(vm->fd, VMM_IRQFD, &arg));
}

TEST(ioeventfd)
{
	struct t_vm *vm = t_vm_new();
	int ev = eventfd(0, EFD_CLOEXEC), file = open("/dev/null", O_RDWR);
	struct vmm_ioeventfd good = {.addr = 0x100, .len = 2, .fd = ev, .flags = VMM_IOEVENTFD_PIO},
			     arg;
	const struct res res[] = { RES(struct vmm_ioeventfd, pad), RES_END };
	unsigned int b, len;

	reserved(_metadata, vm->fd, "VMM_IOEVENTFD", VMM_IOEVENTFD, &good, res);
	pointers(_metadata, vm->fd, "VMM_IOEVENTFD", VMM_IOEVENTFD, &good);
	for (b = 3; b < 32; b++) {
		arg = good, arg.flags |= 1u << b;
		EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IOEVENTFD, &arg));
	}
	arg = good, arg.fd = -1;
	EXPECT_ERR(EBADF, t_ioctl(vm->fd, VMM_IOEVENTFD, &arg));
	arg = good, arg.fd = file;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IOEVENTFD, &arg));
	for (len = 0; len < 20; len++) {
		arg = good, arg.flags = 0, arg.addr = 0xd0000000 + len * 64, arg.len = len;
		if (len == 0 || len == 1 || len == 2 || len == 4 || len == 8) {
			EXPECT_OK(t_ioctl(vm->fd, VMM_IOEVENTFD, &arg));
		} else {
			EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IOEVENTFD, &arg));
		}
	}
	arg = good, arg.addr = 0x10000;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IOEVENTFD, &arg));
	arg = good, arg.addr = 0xffff, arg.len = 2;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IOEVENTFD, &arg));
	arg = good, arg.flags = 0, arg.addr = ~0ull, arg.len = 8;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IOEVENTFD, &arg));
	arg = good, arg.flags |= VMM_IOEVENTFD_DATAMATCH, arg.len = 0;
	EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_IOEVENTFD, &arg));
	arg = good, arg.flags |= VMM_IOEVENTFD_DEASSIGN;
	EXPECT_GT(0, t_ioctl(vm->fd, VMM_IOEVENTFD, &arg)) TH_LOG("taken away, though never given");
	EXPECT_OK(t_ioctl(vm->fd, VMM_IOEVENTFD, &good));
	EXPECT_ERR(EEXIST, t_ioctl(vm->fd, VMM_IOEVENTFD, &good));
	EXPECT_OK(t_ioctl(vm->fd, VMM_IOEVENTFD, &arg));
	EXPECT_OK(t_ioctl(vm->fd, VMM_IOEVENTFD, &good));
}

TEST(create_device)
{
	struct t_vm *vm = t_vm_new();
	struct vmm_create_device good = { .type = VMM_DEVICE_BLK }, arg;
	const struct res res[] = {RES(struct vmm_create_device, flags),
				  RES(struct vmm_create_device, pad), RES_END};
	long types = t_cap(VMM_CAP_VIRTIO);

	reserved(_metadata, vm->fd, "VMM_CREATE_DEVICE", VMM_CREATE_DEVICE, &good, res);
	pointers(_metadata, vm->fd, "VMM_CREATE_DEVICE", VMM_CREATE_DEVICE, &good);
	arg = good, arg.type = 0;
	EXPECT_ERR(ENODEV, t_ioctl(vm->fd, VMM_CREATE_DEVICE, &arg));
	arg.type = 0xffffffff;
	EXPECT_ERR(ENODEV, t_ioctl(vm->fd, VMM_CREATE_DEVICE, &arg));
	arg.type = 32 + VMM_DEVICE_BLK;
	EXPECT_ERR(ENODEV, t_ioctl(vm->fd, VMM_CREATE_DEVICE, &arg));
	if (types & (1 << VMM_DEVICE_BLK)) {
		EXPECT_OK(t_ioctl(vm->fd, VMM_CREATE_DEVICE, &good));
	} else {
		EXPECT_ERR(ENODEV, t_ioctl(vm->fd, VMM_CREATE_DEVICE, &good));
	}
}

TEST(get_stats)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	uint64_t c[64];
	struct vmm_stats good = { .nr = 64, .counters = (uintptr_t)c }, arg;
	const struct res res[] = { RES(struct vmm_stats, flags), RES_END };
	int fds[2] = { vm->fd, v->fd };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		reserved(_metadata, fds[i], "VMM_GET_STATS", VMM_GET_STATS, &good, res);
		pointers(_metadata, fds[i], "VMM_GET_STATS", VMM_GET_STATS, &good);
		memset(c, 0xee, sizeof(c));
		arg = good;
		EXPECT_OK(t_ioctl(fds[i], VMM_GET_STATS, &arg));
		EXPECT_EQ(VMM_STAT_NR, arg.nr);
		EXPECT_NE(0xeeeeeeeeeeeeeeee, c[VMM_STAT_NR - 1]);
		EXPECT_EQ(0xeeeeeeeeeeeeeeee, c[VMM_STAT_NR]);
		/* fewer than there are: only those are written, and the number is told */
		memset(c, 0xee, sizeof(c));
		arg = good, arg.nr = 2;
		EXPECT_OK(t_ioctl(fds[i], VMM_GET_STATS, &arg));
		EXPECT_EQ(VMM_STAT_NR, arg.nr);
		EXPECT_EQ(0xeeeeeeeeeeeeeeee, c[2]);
		arg = good, arg.nr = 0, arg.counters = 0;
		EXPECT_OK(t_ioctl(fds[i], VMM_GET_STATS, &arg));
		EXPECT_EQ(VMM_STAT_NR, arg.nr);
		arg = good, arg.counters = 8;
		EXPECT_ERR(EFAULT, t_ioctl(fds[i], VMM_GET_STATS, &arg));
	}
}

TEST(state_ioctls)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	struct vmm_regs regs;
	struct vmm_clock clock;
	const struct res res[] = { RES(struct vmm_state, flags), RES_END };
	const struct {
		int fd;
		const char *name;
		unsigned long cmd;
		struct vmm_state good;
	} c[] = {
		{v->fd,
		 "VMM_GET_STATE",
		 VMM_GET_STATE,
		 {VMM_STATE_REGS, VMM_STATE_VERSION, sizeof(regs), 0, (uintptr_t)&regs}},
		{v->fd,
		 "VMM_SET_STATE",
		 VMM_SET_STATE,
		 {VMM_STATE_REGS, VMM_STATE_VERSION, sizeof(regs), 0, (uintptr_t)&regs}},
		{vm->fd,
		 "VMM_GET_VM_STATE",
		 VMM_GET_VM_STATE,
		 {VMM_STATE_CLOCK, VMM_STATE_VERSION, sizeof(clock), 0, (uintptr_t)&clock}},
		{vm->fd,
		 "VMM_SET_VM_STATE",
		 VMM_SET_VM_STATE,
		 {VMM_STATE_CLOCK, VMM_STATE_VERSION, sizeof(clock), 0, (uintptr_t)&clock}},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		struct vmm_state arg = c[i].good;

		EXPECT_OK(t_ioctl(c[i].fd, c[i].cmd, &arg)) TH_LOG("%s", c[i].name);
		reserved(_metadata, c[i].fd, c[i].name, c[i].cmd, &c[i].good, res);
		pointers(_metadata, c[i].fd, c[i].name, c[i].cmd, &c[i].good);
		arg = c[i].good, arg.data = 8;
		EXPECT_ERR(EFAULT, t_ioctl(c[i].fd, c[i].cmd, &arg));
		arg = c[i].good, arg.type = 0;
		EXPECT_ERR(EINVAL, t_ioctl(c[i].fd, c[i].cmd, &arg));
		arg.type = 13;
		EXPECT_ERR(EINVAL, t_ioctl(c[i].fd, c[i].cmd, &arg));
		arg.type = 0xffffffff;
		EXPECT_ERR(EINVAL, t_ioctl(c[i].fd, c[i].cmd, &arg));
		arg = c[i].good, arg.version = 0;
		EXPECT_ERR(EINVAL, t_ioctl(c[i].fd, c[i].cmd, &arg));
		arg.version = 2;
		EXPECT_ERR(EINVAL, t_ioctl(c[i].fd, c[i].cmd, &arg));
	}
	/* state of the VM is not a vCPU's, and the reverse */
	{
		struct vmm_state arg = c[2].good;

		EXPECT_ERR(EINVAL, t_ioctl(v->fd, VMM_GET_STATE, &arg));
		arg = c[0].good;
		EXPECT_ERR(EINVAL, t_ioctl(vm->fd, VMM_GET_VM_STATE, &arg));
	}
}

TEST(supported_state)
{
	int sys = t_open();
	uint32_t size = t_state_size(sys, VMM_GET_SUPPORTED_STATE, VMM_STATE_CPUID);
	uint32_t msrs = t_state_size(sys, VMM_GET_SUPPORTED_STATE, VMM_STATE_MSR_LIST);
	uint8_t *buf = t_alloc(size + 4096, 4096);
	struct vmm_state good = {VMM_STATE_CPUID, VMM_STATE_VERSION, size, 0, (uintptr_t)buf}, arg;
	const struct res res[] = { RES(struct vmm_state, flags), RES_END };

	EXPECT_EQ(0, size % sizeof(struct vmm_cpuid_entry));
	EXPECT_GE(VMM_MAX_CPUID_ENTRIES * sizeof(struct vmm_cpuid_entry), size);
	EXPECT_EQ(0, msrs % 4);
	EXPECT_GE(VMM_MAX_STATE_MSRS * 4, msrs);
	reserved(_metadata, sys, "VMM_GET_SUPPORTED_STATE", VMM_GET_SUPPORTED_STATE, &good, res);
	pointers(_metadata, sys, "VMM_GET_SUPPORTED_STATE", VMM_GET_SUPPORTED_STATE, &good);
	memset(buf, 0xee, size + 64);
	arg = good;
	EXPECT_OK(t_ioctl(sys, VMM_GET_SUPPORTED_STATE, &arg));
	EXPECT_EQ(0xee, buf[size]);
	arg = good, arg.size = size - 1;
	EXPECT_ERR(E2BIG, t_ioctl(sys, VMM_GET_SUPPORTED_STATE, &arg));
	EXPECT_EQ(size, arg.size);
	arg = good, arg.type = VMM_STATE_REGS;
	EXPECT_ERR(EINVAL, t_ioctl(sys, VMM_GET_SUPPORTED_STATE, &arg));
	arg = good, arg.version = 9;
	EXPECT_ERR(EINVAL, t_ioctl(sys, VMM_GET_SUPPORTED_STATE, &arg));
	arg = good, arg.data = 8;
	EXPECT_ERR(EFAULT, t_ioctl(sys, VMM_GET_SUPPORTED_STATE, &arg));
}

/* VMM_RUN has no argument, and reserved bytes in the shared page */
TEST(run_reserved)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	unsigned int i;

	t_load(vm, T_CODE, "\xe6\x11\xf4", 3);
	t_set_mode(v, T_LONG);
	EXPECT_ERR(EINVAL, t_ioctl(v->fd, VMM_RUN, (void *)1));
	EXPECT_ERR(EINVAL, t_ioctl(v->fd, VMM_RUN, (void *)v->run));
	for (i = 0; i < sizeof(v->run->pad_in); i++) {
		v->run->pad_in[i] = 1 << i;
		EXPECT_ERR(EINVAL, t_ioctl(v->fd, VMM_RUN, NULL));
		v->run->pad_in[i] = 0;
	}
	EXPECT_TRUE(t_done(v));
}

/* a vCPU that was given nothing: neither CPUID table nor memory */
TEST(run_with_nothing)
{
	struct t_vm *vm = t_vm_bare();
	struct t_vcpu *v = t_vcpu_bare(vm, 0);
	int r = t_run(v);

	EXPECT_TRUE(r < 0 || r == VMM_EXIT_EMULATION || r == VMM_EXIT_MEMORY_FAULT ||
		    r == VMM_EXIT_SHUTDOWN || r == VMM_EXIT_MMIO)
	t_describe(v, r);
}

/* fields of the run page that the kernel only writes may hold anything, those that it reads are
 * checked or harmless */
TEST(run_page_garbage)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	unsigned int i;

	t_load(vm, T_CODE, "\xe4\x10\xe6\x10\xe6\x11\xf4", 7);	/* in; out; done */
	t_set_mode(v, T_LONG);
	for (i = 0; i < 64; i++) {
		memset((uint8_t *)v->run + offsetof(struct vmm_run, exit_reason), 0xff - i,
		       VMM_RUN_SIZE - offsetof(struct vmm_run, exit_reason));
		t_run(v);
		if (i % 3 == 0)
			t_set_mode(v, T_LONG);
	}
}

VMM_TEST_MAIN
