// SPDX-License-Identifier: GPL-2.0
/*
 * The virtio block device: set-up, life, requests, interrupts, and rings that break the rules.
 * The test writes the rings into guest memory; a guest notifies.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "blk.h"
#include "harness.h"

#define RING	T_RING
#define BUF	0xb00000ull
#define INDIR	0xaa0000ull
#define SECTORS	2048ull

FIXTURE(blk)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	struct t_dev *d;
	int file;
	uint64_t features;
};

FIXTURE_SETUP(blk)
{
	unsigned int i;
	uint8_t buf[512];

	if (!(t_cap(VMM_CAP_VIRTIO) & (1 << VMM_DEVICE_BLK)))
		SKIP(return, "no block devices here (vmm_virtio is not loaded)");
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	t_kicks();
	self->file = memfd_create("disk", MFD_CLOEXEC);
	for (i = 0; i < SECTORS; i++) {
		memset(buf, i & 0xff, sizeof(buf));
		ASSERT_EQ(512, write(self->file, buf, 512));
	}
	self->d = t_dev_new(self->v, VMM_DEVICE_BLK);
}

FIXTURE_TEARDOWN(blk)
{
}

static struct vmm_blk_setup image(int file)
{
	struct vmm_blk_setup s = { .fd = file, .capacity = SECTORS, .queues = 1 };

	memcpy(s.serial, "a serial number", 15);
	return s;
}

/* one request to its end, of data at BUF */
static int one(struct t_dev *d, uint32_t type, uint64_t sector, uint32_t len, uint32_t *used_len)
{
	return t_blk_one(d, type, sector, BUF, len, used_len);
}

TEST_F(blk, setup_errors)
{
	struct vmm_blk_setup good = image(self->file), s;
	struct vmm_dev_info info;
	int p[2], ro = open("/proc/self/exe", O_RDONLY), fd = self->d->fd,
		  dir = open("/", O_RDONLY | O_DIRECTORY);
	unsigned int i;

	ASSERT_EQ(0, pipe(p));
	EXPECT_GT(0, t_ioctl(fd, VMM_DEV_START, NULL)) TH_LOG("started without a set-up");
	s = good, s.fd = -1;
	EXPECT_ERR(EBADF, t_ioctl(fd, VMM_BLK_SETUP, &s));
	s = good, s.fd = p[0];
	EXPECT_GT(0, t_ioctl(fd, VMM_BLK_SETUP, &s)) TH_LOG("a pipe as an image");
	s = good, s.fd = dir;
	EXPECT_GT(0, t_ioctl(fd, VMM_BLK_SETUP, &s)) TH_LOG("a directory as an image");
	s = good, s.fd = fd;
	EXPECT_GT(0, t_ioctl(fd, VMM_BLK_SETUP, &s)) TH_LOG("the device itself as an image");
	s = good, s.fd = open("/dev/null", O_RDWR);
	EXPECT_GT(0, t_ioctl(fd, VMM_BLK_SETUP, &s)) TH_LOG("/dev/null as an image");
	s = good, s.fd = ro, s.capacity = 1;
	EXPECT_ERR(EBADF, t_ioctl(fd, VMM_BLK_SETUP, &s));
	s = good, s.flags = VMM_BLK_DIRECT;
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_BLK_SETUP, &s));
	s = good, s.capacity = SECTORS + 1;
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_BLK_SETUP, &s));
	s = good, s.capacity = 1ull << 55;
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_BLK_SETUP, &s));
	s = good, s.capacity = 1ull << 63;
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_BLK_SETUP, &s));
	s = good, s.queues = 0;
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_BLK_SETUP, &s));
	s = good, s.queues = VMM_DEV_MAX_QUEUES + 1;
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_BLK_SETUP, &s));
	for (i = 2; i < 32; i++) {
		s = good, s.flags = 1u << i;
		EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_BLK_SETUP, &s));
	}
	s = good, s.pad0 = 1;
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_BLK_SETUP, &s));
	for (i = 0; i < sizeof(s.pad); i++) {
		s = good, s.pad[i] = 1;
		EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_BLK_SETUP, &s));
	}
	EXPECT_GT(0, t_ioctl(fd, VMM_CONSOLE_SETUP, &good))
	TH_LOG("a block device set up as a console");
	EXPECT_OK(t_ioctl(fd, VMM_BLK_SETUP, &good));
	EXPECT_ERR(EBUSY, t_ioctl(fd, VMM_BLK_SETUP, &good));
	ASSERT_OK(t_ioctl(fd, VMM_DEV_GET_INFO, &info));
	EXPECT_EQ(VMM_DEVICE_BLK, info.type);
	EXPECT_EQ(1, info.queues);
	EXPECT_EQ(VMM_DEV_SETUP, info.state);
	EXPECT_NE(0, info.features & F_VERSION_1);
	EXPECT_NE(0, info.features & F_BLK_FLUSH);
	EXPECT_NE(0, info.features & F_INDIRECT);
	EXPECT_NE(0, info.features & F_EVENT_IDX);
	EXPECT_EQ(0, info.features & F_BLK_RO);
	EXPECT_GE(VMM_DEV_MAX_QUEUE_SIZE, info.max_queue_size);
	EXPECT_LE(64, info.max_queue_size);
	EXPECT_EQ(0, info.pad[0] | info.pad[1] | info.pad[2] | info.pad[3]);
}

TEST_F(blk, ioctl_errors)
{
	struct vmm_blk_setup s = image(self->file);
	struct vmm_dev_info info;
	struct vmm_dev_features f;
	struct vmm_dev_queue good = {.size = 64,
				     .vector = VMM_DEV_NO_VECTOR,
				     .desc = RING,
				     .avail = RING + 0x1000,
				     .used = RING + 0x2000},
			     q;
	struct vmm_dev_notify n;
	struct vmm_dev_vector v;
	struct vmm_dev_msix m;
	struct vmm_dev_work w;
	struct t_dev *other;
	int fd = self->d->fd;
	unsigned int i;

	ASSERT_OK(t_ioctl(fd, VMM_BLK_SETUP, &s));
	ASSERT_OK(t_ioctl(fd, VMM_DEV_GET_INFO, &info));
	for (i = 0; i < 64; i++) {
		f = (struct vmm_dev_features){ .features = F_VERSION_1 | 1ull << i };
		if (info.features & 1ull << i)
			continue;
		EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_FEATURES, &f));
	}
	f = (struct vmm_dev_features){ .features = F_VERSION_1, .pad = 1 };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_FEATURES, &f));
	f = (struct vmm_dev_features){ .features = info.features };
	EXPECT_OK(t_ioctl(fd, VMM_DEV_SET_FEATURES, &f));

#define BADQ(change)                                                    \
	do {                                                            \
		q = good;                                               \
		change;                                                 \
		EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_QUEUE, &q)); \
	} while (0)
	BADQ(q.index = 1);
	BADQ(q.index = 0xffffffff);
	BADQ(q.size = 3);
	BADQ(q.size = 65);
	BADQ(q.size = 2048);
	BADQ(q.desc += 8);
	BADQ(q.avail += 1);
	BADQ(q.used += 2);
	BADQ(q.pad = 1);
	BADQ(q.vector = VMM_DEV_MAX_VECTORS);
	EXPECT_OK(t_ioctl(fd, VMM_DEV_SET_QUEUE, &good));
	q = (struct vmm_dev_queue){ .index = 0 };
	EXPECT_OK(t_ioctl(fd, VMM_DEV_GET_QUEUE, &q));
	EXPECT_EQ(0, memcmp(&q, &good, sizeof(q)));
	q.index = 1;
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_GET_QUEUE, &q));

	n = (struct vmm_dev_notify){ .addr = 0xfffe, .len = 8, .flags = VMM_DEV_NOTIFY_PIO };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_NOTIFY, &n));
	n = (struct vmm_dev_notify){ .addr = ~0ull - 3, .len = 8 };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_NOTIFY, &n));
	n = (struct vmm_dev_notify){ .addr = 0x1000, .len = 4, .flags = 2 };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_NOTIFY, &n));
	n.flags = VMM_DEV_NOTIFY_PIO;
	EXPECT_OK(t_ioctl(fd, VMM_DEV_SET_NOTIFY, &n));
	other = t_dev_new(self->v, VMM_DEVICE_BLK);
	EXPECT_ERR(EEXIST, t_ioctl(other->fd, VMM_DEV_SET_NOTIFY, &n));
	n.addr = 0x1002;
	EXPECT_ERR(EEXIST, t_ioctl(other->fd, VMM_DEV_SET_NOTIFY, &n));
	n.addr = 0x1000;
	n.len = 0;
	EXPECT_OK(t_ioctl(fd, VMM_DEV_SET_NOTIFY, &n));
	n.len = 4;
	EXPECT_OK(t_ioctl(other->fd, VMM_DEV_SET_NOTIFY, &n));
	close(other->fd);

	v = (struct vmm_dev_vector){ .index = VMM_DEV_MAX_VECTORS };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_VECTOR, &v));
	v = (struct vmm_dev_vector){ .flags = 2 };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_VECTOR, &v));
	v = (struct vmm_dev_vector){ .pad = 1 };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_VECTOR, &v));
	m = (struct vmm_dev_msix){ .flags = 4, .config_vector = VMM_DEV_NO_VECTOR, .intx_fd = -1 };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_MSIX, &m));
	m = (struct vmm_dev_msix){ .config_vector = VMM_DEV_MAX_VECTORS, .intx_fd = -1 };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_MSIX, &m));
	m = (struct vmm_dev_msix){ .config_vector = VMM_DEV_NO_VECTOR, .intx_fd = self->file };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_MSIX, &m));
	m = (struct vmm_dev_msix){ .config_vector = VMM_DEV_NO_VECTOR, .intx_fd = 9999 };
	EXPECT_ERR(EBADF, t_ioctl(fd, VMM_DEV_SET_MSIX, &m));
	for (i = 0; i < ARRAY_SIZE(m.pad); i++) {
		m = (struct vmm_dev_msix){ .config_vector = VMM_DEV_NO_VECTOR, .intx_fd = -1 };
		m.pad[i] = 1u << 31;
		EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_SET_MSIX, &m));
	}
	q = (struct vmm_dev_queue){ .pad = 1 };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_GET_QUEUE, &q));
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_START, &q));
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_STOP, &q));
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_QUIT, &q));
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_RAISE_CONFIG, &q));
	w = (struct vmm_dev_work){ .role = VMM_DEV_WORK_QUEUE, .pad = { 0, 1u << 31 } };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_WORK, &w));
	w = (struct vmm_dev_work){ .role = VMM_DEV_WORK_BLOCKING, .index = 1 };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_WORK, &w));
	w = (struct vmm_dev_work){ .role = 2 };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_WORK, &w));
	w = (struct vmm_dev_work){ .role = VMM_DEV_WORK_QUEUE, .index = VMM_DEV_MAX_QUEUES };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_WORK, &w));
	w = (struct vmm_dev_work){ .role = VMM_DEV_WORK_QUEUE, .pad = { 1 } };
	EXPECT_ERR(EINVAL, t_ioctl(fd, VMM_DEV_WORK, &w));
}

static void start_blk(struct __test_metadata *_metadata, struct t_dev *d, int file, uint32_t flags,
		      uint64_t features, unsigned int size, uint16_t start)
{
	struct vmm_blk_setup s = image(file);

	s.flags = flags;
	ASSERT_OK(t_ioctl(d->fd, VMM_BLK_SETUP, &s));
	t_dev_prepare(d, features, size, start);
	t_dev_go(d);
}

#define FEATURES	(F_VERSION_1 | F_BLK_FLUSH)

TEST_F(blk, requests)
{
	struct t_dev *d = self->d;
	uint8_t *buf = t_gpa(self->vm, BUF, 65536), disk[4096];
	uint32_t len;
	unsigned int i;

	start_blk(_metadata, d, self->file, 0, FEATURES, 64, 0);
	EXPECT_EQ(VMM_DEV_RUNNING, t_dev_state(d));
	/* read: data and status are written, and counted */
	memset(buf, 0xee, 8192);
	EXPECT_EQ(0, one(d, BLK_IN, 7, 4096, &len));
	EXPECT_EQ(4097, len);
	for (i = 0; i < 4096; i++)
		ASSERT_EQ(7 + i / 512, buf[i]) TH_LOG("byte %u", i);
	EXPECT_EQ(0xee, buf[4096]);
	/* each used buffer is told by an interrupt */
	EXPECT_EQ(1, t_intx(d, 5000));
	/* write */
	memset(buf, 0x5a, 4096);
	EXPECT_EQ(0, one(d, BLK_OUT, 100, 4096, &len));
	EXPECT_EQ(1, len);
	ASSERT_EQ(4096, pread(self->file, disk, 4096, 100 * 512));
	EXPECT_EQ(0, memcmp(disk, buf, 4096));
	ASSERT_EQ(512, pread(self->file, disk, 512, 99 * 512));
	EXPECT_EQ(99, disk[511]);
	ASSERT_EQ(512, pread(self->file, disk, 512, 108 * 512));
	EXPECT_EQ(108, disk[0]);
	/* flush, and the serial number */
	EXPECT_EQ(0, one(d, BLK_FLUSH, 0, 0, &len));
	EXPECT_EQ(1, len);
	memset(buf, 0xee, 64);
	EXPECT_EQ(0, one(d, BLK_GET_ID, 0, 20, &len));
	EXPECT_EQ(21, len);
	EXPECT_EQ(0, memcmp(buf, "a serial number\0\0\0\0\0", 20));
	EXPECT_EQ(0xee, buf[20]);
	/* the last sector, then beyond it; sizes that are no sectors; a type that does not exist */
	EXPECT_EQ(0, one(d, BLK_IN, SECTORS - 1, 512, &len));
	EXPECT_EQ(1, one(d, BLK_IN, SECTORS, 512, &len));
	EXPECT_EQ(1, one(d, BLK_OUT, SECTORS, 512, &len));
	EXPECT_EQ(1, one(d, BLK_IN, SECTORS - 1, 1024, &len));
	EXPECT_EQ(1, one(d, BLK_OUT, ~0ull, 512, &len));
	EXPECT_EQ(1, one(d, BLK_IN, 1ull << 55, 512, &len));
	EXPECT_EQ(1, one(d, BLK_OUT, 1ull << 63, 512, &len));
	EXPECT_NE(0, one(d, BLK_IN, 0, 100, &len));
	EXPECT_EQ(2, one(d, 77, 0, 512, &len));
	EXPECT_EQ(0, one(d, BLK_IN, 0, 512, &len));
	EXPECT_EQ(VMM_DEV_RUNNING, t_dev_state(d)) TH_LOG("errors of requests are no ring errors");
	EXPECT_OK(t_ioctl(d->fd, VMM_DEV_STOP, NULL));
	EXPECT_EQ(VMM_DEV_SETUP, t_dev_state(d));
	t_dev_quit(d);
}

TEST_F(blk, read_only)
{
	struct vmm_dev_info info;
	uint8_t disk[512];
	uint32_t len;

	start_blk(_metadata, self->d, self->file, VMM_BLK_READONLY, F_VERSION_1 | F_BLK_RO, 64, 0);
	ASSERT_OK(t_ioctl(self->d->fd, VMM_DEV_GET_INFO, &info));
	EXPECT_NE(0, info.features & F_BLK_RO);
	EXPECT_EQ(0, one(self->d, BLK_IN, 5, 512, &len));
	memset(t_gpa(self->vm, BUF, 512), 0x99, 512);
	EXPECT_EQ(1, one(self->d, BLK_OUT, 5, 512, &len));
	ASSERT_EQ(512, pread(self->file, disk, 512, 5 * 512));
	EXPECT_EQ(5, disk[0]);
	t_dev_quit(self->d);
}

/* the indexes wrap at 65536; chains of many descriptors; the queue full */
TEST_F(blk, wrap_and_depth)
{
	struct t_dev *d = self->d;
	struct t_vq *q = &d->vq[0];
	unsigned int round, i;
	uint32_t len;

	start_blk(_metadata, d, self->file, 0, FEATURES, 64, 65500);
	for (round = 0; round < 8; round++) {
		bool seen[64] = { false };

		for (i = 0; i < 20; i++) {
			t_blk_request(q, 3 * i, BLK_IN, (i * 37 + round) % SECTORS, BUF + 4096 * i, 512);
			t_vq_add(q, 3 * i);
		}
		t_vq_notify(d, 0);
		ASSERT_TRUE(t_vq_wait(q, 20, 20000)) TH_LOG("round %u", round);
		for (i = 0; i < 20; i++) {
			uint32_t head = t_vq_used(q, &len);

			ASSERT_TRUE(head < 60 && head % 3 == 0 && !seen[head])
			TH_LOG("used head %u", head);
			seen[head] = true;
			EXPECT_EQ(513, len);
			EXPECT_EQ(0, t_blk_status(self->vm, head));
			EXPECT_EQ(((head / 3 * 37 + round) % SECTORS) & 0xff,
				  *(uint8_t *)t_gpa(self->vm, BUF + 4096 * (head / 3) + 511, 1));
		}
	}
	EXPECT_EQ((uint16_t)(65500 + 160), q->used[1]);
	/* one chain over the whole queue */
	t_blk_request(q, 0, BLK_IN, 10, BUF, 512);
	t_blk_desc(q, 0, T_BLK_HEAD, 16, VQ_NEXT, 1);
	for (i = 1; i < 63; i++)
		t_blk_desc(q, i, BUF + 512 * i, 512, VQ_NEXT | VQ_WRITE, i + 1);
	t_blk_desc(q, 63, T_BLK_STATUS, 1, VQ_WRITE, 0);
	t_vq_add(q, 0);
	t_vq_notify(d, 0);
	ASSERT_TRUE(t_vq_wait(q, 1, 20000));
	t_vq_used(q, &len);
	EXPECT_EQ(62 * 512 + 1, len);
	EXPECT_EQ(0, t_blk_status(self->vm, 0));
	for (i = 1; i < 63; i++)
		EXPECT_EQ(9 + i, *(uint8_t *)t_gpa(self->vm, BUF + 512 * i, 1));
	t_dev_quit(d);
}

/* header and status in pieces, data at odd places: the layout is the driver's business
 * (virtio 1.2, 2.7.4) */
TEST_F(blk, any_layout)
{
	struct t_dev *d = self->d;
	struct t_vq *q = &d->vq[0];
	uint32_t len, i;

	start_blk(_metadata, d, self->file, 0, FEATURES, 64, 0);
	t_blk_request(q, 0, BLK_IN, 3, BUF, 512);
	t_blk_desc(q, 0, T_BLK_HEAD, 5, VQ_NEXT, 9);
	t_blk_desc(q, 9, T_BLK_HEAD + 5, 11, VQ_NEXT, 4);
	t_blk_desc(q, 4, BUF + 3, 100, VQ_NEXT | VQ_WRITE, 60);
	t_blk_desc(q, 60, BUF + 8191, 411, VQ_NEXT | VQ_WRITE, 2);
	t_blk_desc(q, 2, BUF + 20001, 2, VQ_WRITE, 0);	/* the last byte of the data and the status */
	*(uint8_t *)t_gpa(self->vm, BUF + 20002, 1) = 0xee;
	t_vq_add(q, 0);
	t_vq_notify(d, 0);
	ASSERT_TRUE(t_vq_wait(q, 1, 20000));
	EXPECT_EQ(0, t_vq_used(q, &len));
	EXPECT_EQ(513, len);
	EXPECT_EQ(0, *(uint8_t *)t_gpa(self->vm, BUF + 20002, 1));
	for (i = 0; i < 100; i++)
		EXPECT_EQ(3, *(uint8_t *)t_gpa(self->vm, BUF + 3 + i, 1));
	for (i = 0; i < 411; i++)
		EXPECT_EQ(3, *(uint8_t *)t_gpa(self->vm, BUF + 8191 + i, 1));
	EXPECT_EQ(3, *(uint8_t *)t_gpa(self->vm, BUF + 20001, 1));
	t_dev_quit(d);
}

TEST_F(blk, indirect)
{
	struct t_dev *d = self->d;
	struct t_vq *q = &d->vq[0];
	struct vq_desc *t = t_gpa(self->vm, INDIR, 4096);
	uint32_t len;

	start_blk(_metadata, d, self->file, 0, FEATURES | F_INDIRECT, 64, 0);
	t_blk_request(q, 0, BLK_IN, 3, BUF, 512);
	t[5] = q->desc[0];
	t[0] = (struct vq_desc){ T_BLK_HEAD, 16, VQ_NEXT, 7 };
	t[7] = (struct vq_desc){ BUF, 512, VQ_NEXT | VQ_WRITE, 3 };
	t[3] = (struct vq_desc){ T_BLK_STATUS, 1, VQ_WRITE, 0 };
	t_blk_desc(q, 11, INDIR, 8 * 16, VQ_INDIRECT, 0);
	t_vq_add(q, 11);
	t_vq_notify(d, 0);
	ASSERT_TRUE(t_vq_wait(q, 1, 20000));
	EXPECT_EQ(11, t_vq_used(q, &len));
	EXPECT_EQ(513, len);
	EXPECT_EQ(0, t_blk_status(self->vm, 0));
	EXPECT_EQ(3, *(uint8_t *)t_gpa(self->vm, BUF, 1));
	t_dev_quit(d);
}

/* event index: no interrupt before the index that was asked for; the device says where it wants to
 * be notified */
TEST_F(blk, event_index)
{
	struct t_dev *d = self->d;
	struct t_vq *q = &d->vq[0];
	unsigned int i;

	start_blk(_metadata, d, self->file, 0, FEATURES | F_EVENT_IDX, 64, 0);
	/* the first of all may always interrupt */
	ASSERT_EQ(0, one(d, BLK_IN, 0, 512, NULL));
	EXPECT_EQ(1, t_intx(d, 5000));
	q->avail[2 + q->size] = 4;	/* used_event: interrupt at the fifth */
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, one(d, BLK_IN, i, 512, NULL));
	EXPECT_EQ(0, t_intx(d, 200)) TH_LOG("an interrupt before its index");
	ASSERT_EQ(0, one(d, BLK_IN, i, 512, NULL));
	EXPECT_EQ(1, t_intx(d, 5000));
	t_sleep_ms(50);
	EXPECT_EQ(q->avail_idx, q->used[2 + 4 * q->size]) TH_LOG("avail_event");
	t_dev_quit(d);
}

/* without it, a flag keeps interrupts away */
TEST_F(blk, no_interrupt_flag)
{
	struct t_dev *d = self->d;

	start_blk(_metadata, d, self->file, 0, FEATURES, 64, 0);
	d->vq[0].avail[0] = 1;
	ASSERT_EQ(0, one(d, BLK_IN, 1, 512, NULL));
	EXPECT_EQ(0, t_intx(d, 200));
	d->vq[0].avail[0] = 0;
	ASSERT_EQ(0, one(d, BLK_IN, 1, 512, NULL));
	EXPECT_EQ(1, t_intx(d, 5000));
	t_dev_quit(d);
}

/* what a broken ring is answered with: an event that names it, nothing is served, and only a reset
 * helps */
struct broken {
	const char *what;
	unsigned int error;
	uint64_t features;
	void (*make)(struct t_vq *q);
};

static void b_jump(struct t_vq *q)
{
	q->avail[1] = q->avail_idx + q->size + 1;
}

static void b_head(struct t_vq *q)
{
	t_vq_add(q, q->size);
}

static void b_head_far(struct t_vq *q)
{
	t_vq_add(q, 0xffff);
}

static void b_next(struct t_vq *q)
{
	t_blk_desc(q, 0, T_BLK_HEAD, 16, VQ_NEXT, q->size);
	t_vq_add(q, 0);
}

static void b_loop(struct t_vq *q)
{
	t_blk_desc(q, 0, T_BLK_HEAD, 16, VQ_NEXT, 1);
	t_blk_desc(q, 1, T_BLK_HEAD, 16, VQ_NEXT, 0);
	t_vq_add(q, 0);
}

static void b_order(struct t_vq *q)
{
	t_blk_desc(q, 1, BUF, 512, VQ_NEXT | VQ_WRITE, 2);
	t_blk_desc(q, 2, BUF, 512, VQ_NEXT, 3);
	t_blk_desc(q, 3, T_BLK_STATUS, 1, VQ_WRITE, 0);
	t_vq_add(q, 0);
}

static void b_buffer(struct t_vq *q)
{
	q->desc[1].addr = T_RAM_SIZE - 256;
	t_vq_add(q, 0);
}

static void b_buffer_wrap(struct t_vq *q)
{
	q->desc[1].addr = ~0ull - 100;
	t_vq_add(q, 0);
}

static void b_buffer_long(struct t_vq *q)
{
	q->desc[1].len = 0xffffffff;
	t_vq_add(q, 0);
}

static void b_no_status(struct t_vq *q)
{
	t_blk_desc(q, 0, T_BLK_HEAD, 16, 0, 0);
	t_vq_add(q, 0);
}

static void b_short_header(struct t_vq *q)
{
	t_blk_desc(q, 0, T_BLK_HEAD, 8, VQ_NEXT, 2);
	t_vq_add(q, 0);
}

static void b_indirect_off(struct t_vq *q)
{
	t_blk_desc(q, 0, INDIR, 48, VQ_INDIRECT, 0);
	t_vq_add(q, 0);
}

static void b_indirect_len(struct t_vq *q)
{
	t_blk_desc(q, 0, INDIR, 47, VQ_INDIRECT, 0);
	t_vq_add(q, 0);
}

static void b_indirect_empty(struct t_vq *q)
{
	t_blk_desc(q, 0, INDIR, 0, VQ_INDIRECT, 0);
	t_vq_add(q, 0);
}

static void b_indirect_nested(struct t_vq *q)
{
	struct vq_desc t = { INDIR + 64, 48, VQ_INDIRECT, 0 };

	t_load(q->vm, INDIR, &t, 16);
	t_blk_desc(q, 0, INDIR, 16, VQ_INDIRECT, 0);
	t_vq_add(q, 0);
}

static void b_indirect_chained(struct t_vq *q)
{
	t_blk_desc(q, 0, INDIR, 48, VQ_INDIRECT | VQ_NEXT, 1);
	t_vq_add(q, 0);
}

static void b_indirect_next(struct t_vq *q)
{
	struct vq_desc t = { T_BLK_HEAD, 16, VQ_NEXT, 3 };

	t_load(q->vm, INDIR, &t, 16);
	t_blk_desc(q, 0, INDIR, 48, VQ_INDIRECT, 0);
	t_vq_add(q, 0);
}

static void b_indirect_loop(struct t_vq *q)
{
	struct vq_desc t = { T_BLK_HEAD, 16, VQ_NEXT, 0 };

	t_load(q->vm, INDIR, &t, 16);
	t_blk_desc(q, 0, INDIR, 48, VQ_INDIRECT, 0);
	t_vq_add(q, 0);
}

static void b_indirect_outside(struct t_vq *q)
{
	t_blk_desc(q, 0, 0xd0000000, 48, VQ_INDIRECT, 0);
	t_vq_add(q, 0);
}

static const struct broken brokens[] = {
	{"the available index jumps", VMM_VQ_AVAIL_JUMP, FEATURES, b_jump},
	{"head = size", VMM_VQ_HEAD_RANGE, FEATURES, b_head},
	{"head = 0xffff", VMM_VQ_HEAD_RANGE, FEATURES, b_head_far},
	{"next = size", VMM_VQ_NEXT_RANGE, FEATURES, b_next},
	{"loop", VMM_VQ_CHAIN_LONG, FEATURES, b_loop},
	{"readable behind writable", VMM_VQ_ORDER, FEATURES, b_order},
	{"buffer across the end of memory", VMM_VQ_BUFFER, FEATURES, b_buffer},
	{"buffer that wraps", VMM_VQ_BUFFER, FEATURES, b_buffer_wrap},
	{"buffer of 4 GiB", VMM_VQ_LENGTH, FEATURES, b_buffer_long},
	{"no status byte", VMM_VQ_LENGTH, FEATURES, b_no_status},
	{"header of 8 bytes", VMM_VQ_LENGTH, FEATURES, b_short_header},
	{"indirect without the feature", VMM_VQ_INDIRECT_OFF, FEATURES, b_indirect_off},
	{"indirect table of 47 bytes", VMM_VQ_INDIRECT, FEATURES | F_INDIRECT, b_indirect_len},
	{"indirect table of 0 bytes", VMM_VQ_INDIRECT, FEATURES | F_INDIRECT, b_indirect_empty},
	{"nested indirect table", VMM_VQ_INDIRECT, FEATURES | F_INDIRECT, b_indirect_nested},
	{"indirect table with NEXT", VMM_VQ_INDIRECT, FEATURES | F_INDIRECT, b_indirect_chained},
	{"next beyond the indirect table", VMM_VQ_NEXT_RANGE, FEATURES | F_INDIRECT,
	 b_indirect_next},
	{"loop in the indirect table", VMM_VQ_CHAIN_LONG, FEATURES | F_INDIRECT, b_indirect_loop},
	{"indirect table outside memory", VMM_VQ_BUFFER, FEATURES | F_INDIRECT, b_indirect_outside},
};

TEST_F(blk, broken_rings)
{
	struct t_dev *d = self->d;
	struct vmm_blk_setup s = image(self->file);
	unsigned int i;

	ASSERT_OK(t_ioctl(d->fd, VMM_BLK_SETUP, &s));
	for (i = 0; i < ARRAY_SIZE(brokens); i++) {
		const struct broken *b = &brokens[i];
		struct pollfd p = { .fd = d->fd, .events = POLLIN };
		struct vmm_dev_events ev = { 0 };
		struct t_vq *q = &d->vq[0];

		t_dev_prepare(d, b->features, 16, 0);
		if (!i)
			t_dev_go(d);
		else
			ASSERT_OK(t_ioctl(d->fd, VMM_DEV_START, NULL));
		ASSERT_EQ(0, one(d, BLK_IN, 1, 512, NULL)) TH_LOG("before '%s'", b->what);
		EXPECT_EQ(0, poll(&p, 1, 0));
		t_blk_request(q, 0, BLK_IN, 1, BUF, 512);
		b->make(q);
		t_vq_notify(d, 0);
		EXPECT_EQ(1, poll(&p, 1, 10000)) TH_LOG("%s: no event", b->what);
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_GET_EVENTS, &ev));
		EXPECT_EQ(VMM_DEV_EVENT_NEEDS_RESET, ev.events) TH_LOG("%s", b->what);
		EXPECT_EQ(b->error, ev.error)
		TH_LOG("%s: error %u, wanted %u", b->what, ev.error, b->error);
		EXPECT_EQ(0, ev.error_queue);
		EXPECT_EQ(VMM_DEV_BROKEN, t_dev_state(d)) TH_LOG("%s", b->what);
		EXPECT_EQ(0, poll(&p, 1, 0)) TH_LOG("reading events clears them");
		EXPECT_EQ(1, q->used[1]) TH_LOG("%s: something was used", b->what);
		EXPECT_OK(t_ioctl(d->fd, VMM_DEV_STOP, NULL));
		EXPECT_EQ(VMM_DEV_SETUP, t_dev_state(d));
	}
	t_dev_quit(d);
}

/* rings that are not in memory at all */
TEST_F(blk, ring_outside_memory)
{
	struct t_dev *d = self->d;
	struct vmm_blk_setup s = image(self->file);
	unsigned int i;

	ASSERT_OK(t_ioctl(d->fd, VMM_BLK_SETUP, &s));
	for (i = 0; i < 3; i++) {
		struct vmm_dev_queue q;
		struct vmm_dev_events ev = { 0 };
		struct pollfd p = { .fd = d->fd, .events = POLLIN };
		int r;

		t_dev_prepare(d, FEATURES, 16, 0);
		q = (struct vmm_dev_queue){.size = 16,
					   .vector = VMM_DEV_NO_VECTOR,
					   .desc = d->vq[0].desc_gpa,
					   .avail = d->vq[0].avail_gpa,
					   .used = d->vq[0].used_gpa};
		(&q.desc)[i] = 0xd0000000;
		r = t_ioctl(d->fd, VMM_DEV_SET_QUEUE, &q);
		if (r) {
			EXPECT_EQ(-EINVAL, r);
			continue;
		}
		if (!d->workers) {
			t_dev_work(d, VMM_DEV_WORK_QUEUE, 0);
			t_dev_work(d, VMM_DEV_WORK_BLOCKING, 0);
		}
		r = t_ioctl(d->fd, VMM_DEV_START, NULL);
		if (r)
			continue;
		t_blk_request(&d->vq[0], 0, BLK_IN, 1, BUF, 512);
		t_vq_add(&d->vq[0], 0);
		t_vq_notify(d, 0);
		EXPECT_EQ(1, poll(&p, 1, 10000)) TH_LOG("part %u: no event", i);
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_GET_EVENTS, &ev));
		EXPECT_EQ(VMM_DEV_EVENT_NEEDS_RESET, ev.events) TH_LOG("part %u", i);
		EXPECT_EQ(VMM_VQ_RING_ADDRESS, ev.error) TH_LOG("part %u", i);
		EXPECT_OK(t_ioctl(d->fd, VMM_DEV_STOP, NULL));
	}
	t_dev_quit(d);
}

static uint32_t irr(struct t_vcpu *v, uint8_t vector)
{
	struct vmm_lapic_state s;

	if (t_get(v->fd, VMM_STATE_LAPIC, &s, sizeof(s)))
		t_die("get of LAPIC failed");
	return *(uint32_t *)(s.regs + 0x200 + 16 * (vector >> 5)) >> (vector & 31) & 1;
}

static void clear_irr(struct t_vcpu *v)
{
	struct vmm_lapic_state s;

	if (t_get(v->fd, VMM_STATE_LAPIC, &s, sizeof(s)))
		t_die("get of LAPIC failed");
	memset(s.regs + 0x200, 0, 0x80);
	if (t_set(v->fd, VMM_STATE_LAPIC, &s, sizeof(s)))
		t_die("set of LAPIC failed");
}

static bool irr_comes(struct t_vcpu *v, uint8_t vector)
{
	unsigned int ms;

	for (ms = 0; ms < 5000; ms++) {
		if (irr(v, vector))
			return true;
		t_sleep_ms(1);
	}
	return false;
}

/* MSI-X: a masked vector waits in the pending bits, unmasking delivers it once */
TEST_F(blk, msix)
{
	struct t_dev *d = self->d;
	struct vmm_dev_msix m = {
		.flags = VMM_DEV_MSIX_ENABLED, .config_vector = 1, .intx_fd = d->intx};
	struct vmm_dev_vector vec = { .index = 0, .addr = 0xfee00000, .data = 0x61 };
	struct vmm_dev_vector cfg = { .index = 1, .addr = 0xfee00000, .data = 0x62 };
	struct vmm_dev_queue q;
	struct vmm_dev_pending p;
	unsigned int i;

	start_blk(_metadata, d, self->file, 0, FEATURES, 64, 0);
	t_apic_enable(self->v);
	ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_VECTOR, &vec));
	ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_VECTOR, &cfg));
	ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_MSIX, &m));
	/* the vector of a queue may be set while it runs, nothing else */
	q = (struct vmm_dev_queue){ .index = 0 };
	ASSERT_OK(t_ioctl(d->fd, VMM_DEV_GET_QUEUE, &q));
	q.vector = 0;
	ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_QUEUE, &q));
	q.size = 32;
	EXPECT_ERR(EBUSY, t_ioctl(d->fd, VMM_DEV_SET_QUEUE, &q));

	ASSERT_EQ(0, one(d, BLK_IN, 1, 512, NULL));
	EXPECT_TRUE(irr_comes(self->v, 0x61));
	EXPECT_EQ(0, irr(self->v, 0x62));
	EXPECT_EQ(0, t_intx(d, 50)) TH_LOG("the INTx eventfd is signalled although MSI-X is on");
	clear_irr(self->v);

	for (i = 0; i < 2; i++) {	/* the vector masked, then the whole function */
		vec.flags = i ? 0 : VMM_DEV_VECTOR_MASKED;
		m.flags = VMM_DEV_MSIX_ENABLED | (i ? VMM_DEV_MSIX_MASKED : 0);
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_VECTOR, &vec));
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_MSIX, &m));
		ASSERT_EQ(0, one(d, BLK_IN, 1, 512, NULL));
		ASSERT_EQ(0, one(d, BLK_IN, 1, 512, NULL));
		t_sleep_ms(50);
		EXPECT_EQ(0, irr(self->v, 0x61)) TH_LOG("a masked vector is delivered");
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_GET_PENDING, &p));
		EXPECT_EQ(1, p.bits[0]);
		vec.flags = 0;
		m.flags = VMM_DEV_MSIX_ENABLED;
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_VECTOR, &vec));
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_MSIX, &m));
		EXPECT_TRUE(irr_comes(self->v, 0x61));
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_GET_PENDING, &p));
		EXPECT_EQ(0, p.bits[0]);
		clear_irr(self->v);
		vec.flags = VMM_DEV_VECTOR_MASKED;
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_VECTOR, &vec));
		vec.flags = 0;
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_VECTOR, &vec));
		t_sleep_ms(20);
		EXPECT_EQ(0, irr(self->v, 0x61)) TH_LOG("delivered twice");
	}
	/* configuration change */
	ASSERT_EQ(0, t_ioctl(d->fd, VMM_DEV_RAISE_CONFIG, NULL));
	EXPECT_TRUE(irr_comes(self->v, 0x62));
	m.flags = 0;
	ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_MSIX, &m));
	EXPECT_EQ(1, t_ioctl(d->fd, VMM_DEV_RAISE_CONFIG, NULL));
	EXPECT_EQ(0, t_intx(d, 50)) TH_LOG("the eventfd is for queues");
	t_dev_quit(d);
}

/* several queues: each with its thread and its vector; what one breaks ends all of them */
TEST_F(blk, queues)
{
	struct vmm_dev_msix m = {
		.flags = VMM_DEV_MSIX_ENABLED, .config_vector = VMM_DEV_NO_VECTOR, .intx_fd = -1 };
	struct vmm_blk_setup s = image(self->file);
	struct pollfd p = { .events = POLLIN };
	struct t_dev *d = self->d;
	struct vmm_dev_events ev;
	struct vmm_dev_info info;
	unsigned int i, j;

	s.queues = 4;
	ASSERT_OK(t_ioctl(d->fd, VMM_BLK_SETUP, &s));
	ASSERT_OK(t_ioctl(d->fd, VMM_DEV_GET_INFO, &info));
	EXPECT_EQ(4, info.queues);
	EXPECT_NE(0, info.features & F_BLK_MQ);
	t_dev_prepare(d, FEATURES | F_BLK_MQ, 64, 0);
	for (i = 0; i < 4; i++) {
		struct vmm_dev_vector vec = { .index = i, .addr = 0xfee00000, .data = 0x61 + i };
		struct vmm_dev_queue q = { .index = i };

		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_VECTOR, &vec));
		if (i)
			t_vq_init(&d->vq[i], self->vm, i, 64, RING + 0x8000 * i, 100 * i);
		ASSERT_OK(t_vq_set(d, i));
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_GET_QUEUE, &q));
		q.vector = i;
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_QUEUE, &q));
	}
	d->queues = 4;
	ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_MSIX, &m));
	t_apic_enable(self->v);
	t_dev_go(d);
	for (i = 0; i < 4; i++) {
		t_blk_request(&d->vq[i], 3 * i, BLK_IN, 10 + i, BUF + 4096 * i, 512);
		t_vq_add(&d->vq[i], 3 * i);
		t_vq_notify(d, i);
		ASSERT_TRUE(t_vq_wait(&d->vq[i], 1, 20000)) TH_LOG("queue %u", i);
		EXPECT_EQ(3 * i, t_vq_used(&d->vq[i], NULL));
		EXPECT_EQ(0, t_blk_status(self->vm, 3 * i));
		EXPECT_EQ(10 + i, *(uint8_t *)t_gpa(self->vm, BUF + 4096 * i + 511, 1));
		EXPECT_TRUE(irr_comes(self->v, 0x61 + i)) TH_LOG("queue %u", i);
		for (j = 0; j < 4; j++)
			EXPECT_EQ(j == i, irr(self->v, 0x61 + j)) TH_LOG("of %u at %u", j, i);
		clear_irr(self->v);
	}

	d->vq[2].avail[1] += 100;
	t_vq_notify(d, 2);
	p.fd = d->fd;
	ASSERT_EQ(1, poll(&p, 1, 10000));
	ASSERT_OK(t_ioctl(d->fd, VMM_DEV_GET_EVENTS, &ev));
	EXPECT_EQ(VMM_DEV_EVENT_NEEDS_RESET, ev.events);
	EXPECT_EQ(VMM_VQ_AVAIL_JUMP, ev.error);
	EXPECT_EQ(2, ev.error_queue);
	t_blk_request(&d->vq[1], 0, BLK_IN, 1, BUF, 512);
	t_vq_add(&d->vq[1], 0);
	t_vq_notify(d, 1);
	t_sleep_ms(200);
	EXPECT_EQ(T_BLK_NO_STATUS, t_blk_status(self->vm, 0)) TH_LOG("served by a broken device");
	EXPECT_OK(t_ioctl(d->fd, VMM_DEV_STOP, NULL));
	t_dev_quit(d);
}

/* threads: one for a queue; a signal, QUIT; lent before START and kept over STOP */
static void *work_once(void *arg)
{
	struct t_dev *d = arg;
	struct vmm_dev_work w = { .role = VMM_DEV_WORK_QUEUE };

	return (void *)(long)t_ioctl(d->fd, VMM_DEV_WORK, &w);
}

TEST_F(blk, workers)
{
	struct t_dev *d = self->d;
	struct vmm_blk_setup s = image(self->file);
	struct vmm_dev_work w = { .role = VMM_DEV_WORK_QUEUE };
	pthread_t id;
	void *result;
	unsigned int i;

	ASSERT_OK(t_ioctl(d->fd, VMM_BLK_SETUP, &s));
	t_dev_prepare(d, FEATURES, 64, 0);
	pthread_create(&id, NULL, work_once, d);
	t_sleep_ms(200);
	EXPECT_ERR(EBUSY, t_ioctl(d->fd, VMM_DEV_WORK, &w));
	pthread_kill(id, SIGUSR1);
	pthread_join(id, &result);
	EXPECT_EQ(-EINTR, (long)result);
	t_dev_go(d);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, one(d, BLK_IN, 1, 512, NULL));
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_STOP, NULL));
		EXPECT_FALSE(d->worker[0].ended);
		ASSERT_OK(t_vq_set(d, 0));
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_START, NULL));
	}
	EXPECT_GT(0, t_ioctl(d->fd, VMM_DEV_START, NULL)) TH_LOG("started twice");
	t_dev_quit(d);
	EXPECT_EQ(-ESHUTDOWN, d->worker[0].result);
	EXPECT_EQ(-ESHUTDOWN, d->worker[1].result);
	EXPECT_ERR(ESHUTDOWN, t_ioctl(d->fd, VMM_DEV_WORK, &w));
}

/* after STOP nothing touches memory any more, and the indexes are those to go on from */
TEST_F(blk, stop_is_final)
{
	struct t_dev *d = self->d;
	struct t_vq *q = &d->vq[0];
	unsigned int round, i;

	start_blk(_metadata, d, self->file, 0, FEATURES, 64, 0);
	for (round = 0; round < 20; round++) {
		struct vmm_dev_queue get = { .index = 0 };

		for (i = 0; i < 20; i++) {
			t_blk_request(q, 3 * i, BLK_IN, i, BUF + 4096 * i, 4096);
			t_vq_add(q, 3 * i);
		}
		t_vq_notify(d, 0);
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_STOP, NULL));
		memset(t_gpa(self->vm, BUF, 20 * 4096), 0x77, 20 * 4096);
		i = q->used[1];
		t_sleep_ms(5);
		EXPECT_EQ(i, q->used[1]) TH_LOG("used after STOP");
		for (i = 0; i < 20 * 4096; i++)
			ASSERT_EQ(0x77, *(uint8_t *)t_gpa(self->vm, BUF + i, 1))
			TH_LOG("written after STOP");
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_GET_QUEUE, &get));
		EXPECT_EQ(get.next_used, q->used[1]);
		EXPECT_EQ(get.next_used, get.next_avail) TH_LOG("taken and not used");
		/* on from there: every request is served once */
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_SET_QUEUE, &get));
		ASSERT_OK(t_ioctl(d->fd, VMM_DEV_START, NULL));
		t_vq_notify(d, 0);
		ASSERT_TRUE(t_vq_wait(q, 20, 20000)) TH_LOG("round %u", round);
		for (i = 0; i < 20; i++)
			t_vq_used(q, NULL);
	}
	t_dev_quit(d);
}

/* memory that is taken away under a request: an error for the request or the ring, and the device
 * can be stopped */
TEST_F(blk, memory_taken_away)
{
	struct t_dev *d = self->d;
	struct t_vq *q = &d->vq[0];
	unsigned int i;

	start_blk(_metadata, d, self->file, 0, FEATURES, 64, 0);
	munmap(t_gpa(self->vm, BUF, 0x100000), 0x100000);
	t_blk_request(q, 0, BLK_IN, 1, BUF, 4096);
	t_vq_add(q, 0);
	t_vq_notify(d, 0);
	for (i = 0; i < 5000 && q->used[1] == 0 && t_dev_state(d) == VMM_DEV_RUNNING; i++)
		t_sleep_ms(1);
	EXPECT_TRUE(t_dev_state(d) == VMM_DEV_BROKEN || t_blk_status(self->vm, 0) == 1)
	TH_LOG("state %u status %d", t_dev_state(d), t_blk_status(self->vm, 0));
	EXPECT_OK(t_ioctl(d->fd, VMM_DEV_STOP, NULL));
	t_dev_quit(d);
}

/* everything is closed with requests under way and threads parked */
TEST_F(blk, closed_while_running)
{
	unsigned int i;

	start_blk(_metadata, self->d, self->file, 0, FEATURES, 64, 0);
	for (i = 0; i < 20; i++) {
		t_blk_request(&self->d->vq[0], 3 * i, BLK_OUT, i, BUF + 4096 * i, 4096);
		t_vq_add(&self->d->vq[0], 3 * i);
	}
	t_vq_notify(self->d, 0);
	close(self->vm->fd);
	close(self->v->fd);
	close(self->file);
	_exit(0);	/* with the threads in the device */
}

VMM_TEST_MAIN
