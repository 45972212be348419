// SPDX-License-Identifier: GPL-2.0
/*
 * The I/O bus and ioeventfds.
 */
#include "../../../kmod/io/bus.h"
#include "unit.h"

static struct vmm_vm vm;

struct dev {
	struct vmm_io_dev dev;
	unsigned int writes, reads, releases;
	int answer;
};

static int dev_write(struct vmm_io_dev *d, u64 addr, unsigned int len, const void *data)
{
	struct dev *dev = container_of(d, struct dev, dev);

	dev->writes++;
	return dev->answer;
}

static int dev_read(struct vmm_io_dev *d, u64 addr, unsigned int len, void *data)
{
	struct dev *dev = container_of(d, struct dev, dev);

	dev->reads++;
	memset(data, 0x5a, len);
	return dev->answer;
}

static void dev_release(struct vmm_io_dev *d)
{
	container_of(d, struct dev, dev)->releases++;
}

static const struct vmm_io_ops ops = {
	.shared = true,
	.write = dev_write,
	.read = dev_read,
	.release = dev_release,
};

static const struct vmm_io_ops write_only = { .write = dev_write, .shared = true };

static struct dev make(u64 addr, u64 len)
{
	return (struct dev) { .dev = { .ops = &ops, .addr = addr, .len = len } };
}

static void start(void)
{
	vmm_io_destroy(&vm);
	memset(&vm, 0, sizeof(vm));
	vmm_io_init(&vm);
}

static int out(u64 addr, unsigned int len, u64 value)
{
	return vmm_io_write(&vm, VMM_BUS_MMIO, addr, len, &value);
}

UNIT_TEST(bus_lookup)
{
	struct dev a = make(0x1000, 0x10), b = make(0x2000, 0x1000), c = make(0x1010, 4);
	u64 v = 0;

	start();
	EXPECT_EQ(out(0x1000, 4, 0), -EOPNOTSUPP);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &b.dev), 0);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &a.dev), 0);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &c.dev), 0);
	EXPECT_EQ(out(0xfff, 1, 0), -EOPNOTSUPP);
	EXPECT_EQ(out(0x1000, 4, 0), 0);
	EXPECT_EQ(out(0x100c, 4, 0), 0);
	EXPECT_EQ(out(0x100c, 8, 0), -EOPNOTSUPP);	/* beyond the end */
	EXPECT_EQ(a.writes, 2);
	EXPECT_EQ(out(0x1010, 4, 0), 0);
	EXPECT_EQ(c.writes, 1);
	EXPECT_EQ(out(0x1014, 1, 0), -EOPNOTSUPP);
	EXPECT_EQ(out(0x2fff, 1, 0), 0);
	EXPECT_EQ(out(0x3000, 1, 0), -EOPNOTSUPP);
	EXPECT_EQ(out(~0ull, 1, 0), -EOPNOTSUPP);
	EXPECT_EQ(out(~0ull - 3, 8, 0), -EOPNOTSUPP);
	EXPECT_EQ(vmm_io_read(&vm, VMM_BUS_MMIO, 0x2008, 8, &v), 0);
	EXPECT_EQ(v, 0x5a5a5a5a5a5a5a5a);
	EXPECT_EQ(vmm_io_write(&vm, VMM_BUS_PIO, 0x1000, 1, &v), -EOPNOTSUPP);

	EXPECT_EQ(vmm_io_unregister(&vm, VMM_BUS_MMIO, &a.dev), 0);
	EXPECT_EQ(a.releases, 1);
	EXPECT_EQ(out(0x1000, 4, 0), -EOPNOTSUPP);
	EXPECT_EQ(vmm_io_unregister(&vm, VMM_BUS_MMIO, &a.dev), -ENOENT);
	EXPECT_EQ(out(0x1010, 4, 0), 0);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &a.dev), 0);
	EXPECT_EQ(out(0x1000, 4, 0), 0);
	vmm_io_destroy(&vm);
	EXPECT_EQ(a.releases + b.releases + c.releases, 4);
}

UNIT_TEST(bus_overlap)
{
	struct dev a = make(0x100, 0x10), b = make(0x10f, 1), same = make(0x100, 4);
	struct dev e = make(0xff, 2);
	struct dev any = make(0x108, 0), first = make(0x100, 0);

	start();
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_PIO, &a.dev), 0);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_PIO, &b.dev), -EEXIST);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_PIO, &e.dev), -EEXIST);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_PIO, &any.dev), -EEXIST);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_PIO, &same.dev), 0);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_PIO, &first.dev), 0);
	EXPECT_EQ(vmm_io_unregister(&vm, VMM_BUS_PIO, &a.dev), 0);
	/* what has left is not in the way */
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_PIO, &b.dev), 0);
	start();
}

UNIT_TEST(bus_replace)
{
	struct dev a = make(0x100, 0x10), b = make(0x108, 0x10), c = make(0x200, 4);
	struct dev high = make(0xfff8, 16);

	start();
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &a.dev), 0);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &c.dev), 0);
	/* the range of what leaves is free, that of others is not */
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &b.dev), -EEXIST);
	EXPECT_EQ(vmm_io_replace(&vm, VMM_BUS_MMIO, &a.dev, &b.dev), 0);
	EXPECT_EQ(a.releases, 1);
	EXPECT_EQ(out(0x100, 4, 0), -EOPNOTSUPP);
	EXPECT_EQ(out(0x110, 4, 0), 0);
	EXPECT_EQ(b.writes, 1);

	/* failure changes nothing */
	a.dev.addr = 0x1f8;
	EXPECT_EQ(vmm_io_replace(&vm, VMM_BUS_MMIO, &b.dev, &a.dev), -EEXIST);
	EXPECT_EQ(b.releases, 0);
	EXPECT_EQ(out(0x110, 4, 0), 0);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_PIO, &a.dev), 0);
	EXPECT_EQ(vmm_io_replace(&vm, VMM_BUS_PIO, &a.dev, &high.dev), -EINVAL);
	EXPECT_EQ(a.releases, 1);
	EXPECT_EQ(vmm_io_unregister(&vm, VMM_BUS_PIO, &a.dev), 0);
	start();
	EXPECT_EQ(b.releases, 1);
	EXPECT_EQ(c.releases, 1);
}

UNIT_TEST(bus_limits)
{
	struct dev wrap = make(~0ull - 3, 8), high = make(0xfff8, 16), last = make(0xfff8, 8);
	struct dev top = make(~0ull - 7, 8);
	static struct dev many[1025];
	unsigned int i;

	start();
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &wrap.dev), -EINVAL);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &top.dev), 0);
	EXPECT_EQ(out(~0ull - 7, 8, 0), 0);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_PIO, &high.dev), -EINVAL);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_PIO, &last.dev), 0);

	start();
	for (i = 0; i < 1024; i++) {
		many[i] = make(0x1000 + ((i * 389) % 1024) * 4, 4);
		EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &many[i].dev), 0);
	}
	many[1024] = make(0x100000, 4);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &many[1024].dev), -ENOSPC);
	for (i = 0; i < 1024; i++)
		EXPECT_EQ(out(0x1000 + i * 4, 4, 0), 0);
	for (i = 0; i < 1024; i++)
		EXPECT_EQ(many[i].writes, 1);
	EXPECT_EQ(vmm_io_unregister(&vm, VMM_BUS_MMIO, &many[17].dev), 0);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &many[1024].dev), 0);
	vmm_io_destroy(&vm);
}

UNIT_TEST(bus_asks_in_order)
{
	struct dev a = make(0x100, 4), b = make(0x100, 4), c = make(0x100, 8);

	start();
	c.dev.ops = &write_only;
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &a.dev), 0);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &b.dev), 0);
	EXPECT_EQ(vmm_io_register(&vm, VMM_BUS_MMIO, &c.dev), 0);
	a.answer = -EOPNOTSUPP;
	EXPECT_EQ(out(0x100, 4, 0), 0);
	EXPECT_EQ(a.writes, 1);
	EXPECT_EQ(b.writes, 1);
	EXPECT_EQ(c.writes, 0);
	b.answer = -EOPNOTSUPP;
	EXPECT_EQ(out(0x100, 4, 0), 0);
	EXPECT_EQ(c.writes, 1);
	EXPECT_EQ(vmm_io_read(&vm, VMM_BUS_MMIO, 0x100, 4, &(u64){ 0 }), -EOPNOTSUPP);
	a.answer = -EIO;
	EXPECT_EQ(out(0x100, 4, 0), -EIO);
	start();
}

static struct eventfd_ctx ctx[4];

struct eventfd_ctx *eventfd_ctx_fdget(int fd)
{
	if (fd < 0 || fd >= 4)
		return ERR_PTR(-EBADF);
	ctx[fd].refs++;
	return &ctx[fd];
}

static int ioeventfd(u64 addr, u32 len, u32 flags, u64 match, int fd)
{
	struct vmm_ioeventfd arg = {
		.addr = addr, .len = len, .flags = flags, .datamatch = match, .fd = fd,
	};

	return vmm_ioeventfd(&vm, &arg);
}

#define MATCH	VMM_IOEVENTFD_DATAMATCH
#define PIO	VMM_IOEVENTFD_PIO
#define GONE	VMM_IOEVENTFD_DEASSIGN

UNIT_TEST(ioeventfd_match)
{
	start();
	memset(ctx, 0, sizeof(ctx));
	EXPECT_EQ(ioeventfd(0x1000, 2, MATCH, 1, 0), 0);
	EXPECT_EQ(ioeventfd(0x1000, 2, MATCH, 2, 1), 0);
	EXPECT_EQ(ioeventfd(0x1000, 4, 0, 0, 2), 0);
	EXPECT_EQ(ioeventfd(0x1004, 0, 0, 0, 3), 0);
	EXPECT_EQ(out(0x1000, 2, 1), 0);
	EXPECT_EQ(out(0x1000, 2, 2), 0);
	EXPECT_EQ(out(0x1000, 2, 3), -EOPNOTSUPP);
	EXPECT_EQ(out(0x1000, 4, 77), 0);
	EXPECT_EQ(out(0x1000, 1, 1), -EOPNOTSUPP);
	EXPECT_EQ(out(0x1001, 2, 1), -EOPNOTSUPP);
	EXPECT_EQ(out(0x1004, 1, 0), 0);
	EXPECT_EQ(out(0x1004, 8, 0), 0);
	EXPECT_EQ(out(0x1005, 1, 0), -EOPNOTSUPP);
	EXPECT_EQ(ctx[0].signals, 1);
	EXPECT_EQ(ctx[1].signals, 1);
	EXPECT_EQ(ctx[2].signals, 1);
	EXPECT_EQ(ctx[3].signals, 2);
	EXPECT_EQ(vm.stat[VMM_STAT_NOTIFY].counter, 5);
	vmm_io_destroy(&vm);
	EXPECT_EQ(ctx[0].refs + ctx[1].refs + ctx[2].refs + ctx[3].refs, 0);
}

UNIT_TEST(ioeventfd_conflict_and_deassign)
{
	start();
	memset(ctx, 0, sizeof(ctx));
	EXPECT_EQ(ioeventfd(0x10, 2, PIO | MATCH, 1, 0), 0);
	EXPECT_EQ(ioeventfd(0x10, 2, PIO | MATCH, 1, 1), -EEXIST);
	EXPECT_EQ(ioeventfd(0x10, 2, PIO, 0, 1), -EEXIST);
	EXPECT_EQ(ioeventfd(0x10, 0, PIO, 0, 1), -EEXIST);
	EXPECT_EQ(ioeventfd(0x10, 2, PIO | MATCH, 2, 0), 0);	/* one eventfd, two values */
	EXPECT_EQ(ioeventfd(0x10, 4, PIO, 0, 1), 0);
	EXPECT_EQ(ioeventfd(0x10, 2, 0, 0, 1), 0);		/* the other bus */
	EXPECT_EQ(ioeventfd(0x10, 2, PIO | MATCH | GONE, 1, 1), -ENOENT);
	EXPECT_EQ(ioeventfd(0x10, 2, PIO | MATCH | GONE, 3, 0), -ENOENT);
	EXPECT_EQ(ioeventfd(0x10, 2, PIO | GONE, 0, 0), -ENOENT);
	EXPECT_EQ(ioeventfd(0x10, 2, PIO | MATCH | GONE, 1, 0), 0);
	EXPECT_EQ(ioeventfd(0x10, 2, PIO | MATCH | GONE, 1, 0), -ENOENT);
	EXPECT_EQ(ctx[0].refs, 1);
	EXPECT_EQ(ctx[1].refs, 2);
	EXPECT_EQ(ioeventfd(0x10, 2, PIO | MATCH, 1, 3), 0);
	start();
	EXPECT_EQ(ctx[0].refs + ctx[1].refs + ctx[3].refs, 0);
}

UNIT_TEST(ioeventfd_refused)
{
	struct vmm_ioeventfd pad = { .addr = 0x10, .len = 2, .pad = 1 };

	start();
	memset(ctx, 0, sizeof(ctx));
	EXPECT_EQ(ioeventfd(0x10, 3, 0, 0, 0), -EINVAL);
	EXPECT_EQ(ioeventfd(0x10, 16, 0, 0, 0), -EINVAL);
	EXPECT_EQ(ioeventfd(0x10, 0, MATCH, 0, 0), -EINVAL);
	EXPECT_EQ(ioeventfd(0x10, 8, PIO, 0, 0), -EINVAL);
	EXPECT_EQ(ioeventfd(0x10, 1, MATCH, 0x100, 0), -EINVAL);
	EXPECT_EQ(ioeventfd(0x10, 4, MATCH, 0x100000000, 0), -EINVAL);
	EXPECT_EQ(ioeventfd(0x10, 8, MATCH, ~0ull, 0), 0);
	EXPECT_EQ(ioeventfd(0x10, 1, 8, 0, 0), -EINVAL);
	EXPECT_EQ(ioeventfd(~0ull, 2, 0, 0, 0), -EINVAL);
	EXPECT_EQ(ioeventfd(0xffff, 2, PIO, 0, 0), -EINVAL);
	EXPECT_EQ(ioeventfd(0x10000, 0, PIO, 0, 0), -EINVAL);
	EXPECT_EQ(ioeventfd(0xffff, 1, PIO, 0, 0), 0);
	EXPECT_EQ(ioeventfd(0x10, 1, 0, 0, -1), -EBADF);
	EXPECT_EQ(vmm_ioeventfd(&vm, &pad), -EINVAL);
	start();
	EXPECT_EQ(ctx[0].refs, 0);
}

UNIT_MAIN()
