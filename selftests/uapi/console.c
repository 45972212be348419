// SPDX-License-Identifier: GPL-2.0
/*
 * The virtio console: bytes in both directions, none lost, whoever is slow or gone.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include "harness.h"
#include "vq.h"

#define RING	0xa00000ull
#define BUF	0xb00000ull

static void put(struct t_vq *q, unsigned int n, uint64_t addr, uint32_t len, uint16_t flags,
		uint16_t next)
{
	q->desc[n] = (struct vq_desc){ addr, len, flags, next };
}

FIXTURE(console)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	struct t_dev *d;
	int in[2], out[2];
};

FIXTURE_SETUP(console)
{
	struct vmm_console_setup s = { 0 };
	struct vmm_dev_features f = { .features = F_VERSION_1 };
	struct vmm_dev_notify n = { .addr = 0x1000, .len = 4, .flags = VMM_DEV_NOTIFY_PIO };
	struct vmm_dev_msix m = { .config_vector = VMM_DEV_NO_VECTOR };

	if (!(t_cap(VMM_CAP_VIRTIO) & (1 << VMM_DEVICE_CONSOLE)))
		SKIP(return, "no console devices here (vmm_virtio is not loaded)");
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	self->d = t_dev_new(self->v, VMM_DEVICE_CONSOLE);
	ASSERT_EQ(0, pipe2(self->in, O_NONBLOCK));
	ASSERT_EQ(0, pipe2(self->out, O_NONBLOCK));
	fcntl(self->out[0], F_SETFL, 0);
	s.in_fd = self->in[0];
	s.out_fd = self->out[1];
	ASSERT_OK(t_ioctl(self->d->fd, VMM_CONSOLE_SETUP, &s));
	ASSERT_OK(t_ioctl(self->d->fd, VMM_DEV_SET_FEATURES, &f));
	ASSERT_OK(t_ioctl(self->d->fd, VMM_DEV_SET_NOTIFY, &n));
	m.intx_fd = self->d->intx;
	ASSERT_OK(t_ioctl(self->d->fd, VMM_DEV_SET_MSIX, &m));
	t_vq_init(&self->d->vq[0], self->vm, 0, 32, RING, 0);
	t_vq_init(&self->d->vq[1], self->vm, 1, 32, RING + 0x4000, 0);
	self->d->queues = 2;
	ASSERT_OK(t_vq_set(self->d, 0));
	ASSERT_OK(t_vq_set(self->d, 1));
	t_dev_go(self->d);
}

FIXTURE_TEARDOWN(console)
{
}

/*
 * Waits for output to read, or for used buffers. Not for output alone: the last bytes come out
 * before their buffers are given back, and without buffers nothing more comes.
 */
static bool output_moves(struct __test_metadata *_metadata, FIXTURE_DATA(console) *self)
{
	struct pollfd p[] = {
		{ .fd = self->out[0], .events = POLLIN },
		{ .fd = self->d->intx, .events = POLLIN },
	};
	uint64_t n;

	if (poll(p, 2, 20000 * t_scale()) <= 0)
		return false;
	if (p[1].revents)
		EXPECT_EQ(8, read(self->d->intx, &n, 8));
	return true;
}

/* what the guest writes comes out in order and whole, also when nobody reads for a while */
TEST_F(console, output)
{
	struct t_vq *q = &self->d->vq[1];
	uint8_t *buf = t_gpa(self->vm, BUF, 32 * 1024), *got = malloc(1 << 20);
	unsigned int sent = 0, taken = 0, n, i;
	ssize_t len;

	fcntl(self->out[0], F_SETFL, O_NONBLOCK);
	fcntl(self->out[1], F_SETPIPE_SZ, 4096);
	while (taken < 1 << 20) {
		/* keep 16 buffers of 1 KiB in flight */
		for (n = 0; sent < 1 << 20 && (uint16_t)(q->avail_idx - q->used[1]) < 16; n++) {
			unsigned int slot = (sent >> 10) % 32;

			for (i = 0; i < 1024; i++)
				buf[1024 * slot + i] = (sent + i) * 7 + (sent >> 10);
			put(q, slot, BUF + 1024 * slot, 1024, 0, 0);
			t_vq_add(q, slot);
			sent += 1024;
		}
		if (n)
			t_vq_notify(self->d, 1);
		if (taken < 40000)
			t_sleep_ms(1);	/* a slow reader */
		ASSERT_TRUE(output_moves(_metadata, self))
		TH_LOG("%u bytes sent, %u came; available %u, used %u", sent, taken, q->avail_idx,
		       q->used[1]);
		len = read(self->out[0], got + taken, taken < 40000 ? 100 : 65536);
		if (len < 0 && errno == EAGAIN)
			continue;
		ASSERT_LT(0, len);
		taken += len;
	}
	for (i = 0; i < 1 << 20; i++)
		ASSERT_EQ((uint8_t)(i * 7 + (i >> 10)), got[i]) TH_LOG("byte %u", i);
	t_dev_quit(self->d);
}

TEST_F(console, input)
{
	struct t_vq *q = &self->d->vq[0];
	unsigned int i, n = 0;
	uint8_t text[4096];
	uint32_t len;

	for (i = 0; i < sizeof(text); i++)
		text[i] = i * 11;
	/* no buffers yet: what is typed waits */
	ASSERT_EQ(100, write(self->in[1], text, 100));
	t_sleep_ms(100);
	EXPECT_EQ(0, q->used[1]);
	for (i = 0; i < 16; i++) {
		put(q, i, BUF + 256 * i, 256, VQ_WRITE, 0);
		t_vq_add(q, i);
	}
	t_vq_notify(self->d, 0);
	ASSERT_TRUE(t_vq_wait(q, 1, 10000));
	EXPECT_NE(0, t_intx(self->d, 5000));
	ASSERT_EQ(1500, write(self->in[1], text + 100, 1500));
	while (n < 1600) {
		uint32_t head;

		ASSERT_TRUE(t_vq_wait(q, 1, 10000)) TH_LOG("%u of 1600 bytes came", n);
		head = t_vq_used(q, &len);
		ASSERT_TRUE(head < 16 && len > 0 && len <= 256) TH_LOG("head %u len %u", head, len);
		EXPECT_EQ(0, memcmp(t_gpa(self->vm, BUF + 256 * head, len), text + n, len))
		TH_LOG("bytes %u to %u", n, n + len);
		n += len;
	}
	EXPECT_EQ(1600, n);
	t_dev_quit(self->d);
}

/* nobody at the other end: output is dropped, the guest goes on, nothing dies of SIGPIPE */
TEST_F(console, nobody_there)
{
	struct t_vq *q = &self->d->vq[1];
	unsigned int i;

	signal(SIGPIPE, SIG_IGN);
	close(self->out[0]);
	close(self->in[1]);
	for (i = 0; i < 8; i++) {
		put(q, i, BUF, 1024, 0, 0);
		t_vq_add(q, i);
	}
	t_vq_notify(self->d, 1);
	EXPECT_TRUE(t_vq_wait(q, 8, 10000));
	EXPECT_NE(VMM_DEV_BROKEN, t_dev_state(self->d));
	t_dev_quit(self->d);
}

/* a chain of many pieces is one write: in packet mode each write of at most a page is one packet */
TEST_F(console, one_write_a_chain)
{
	struct t_vq *q = &self->d->vq[1];
	uint8_t *buf = t_gpa(self->vm, BUF, 8192), got[8192];
	unsigned int i;

	ASSERT_EQ(0, fcntl(self->out[1], F_SETFL, O_NONBLOCK | O_DIRECT));
	for (i = 0; i < 4096; i++)
		buf[2 * i] = i * 13;
	for (i = 0; i < 16; i++)
		put(q, i, BUF + 512 * i, 256, i < 15 ? VQ_NEXT : 0, i + 1);
	t_vq_add(q, 0);
	put(q, 16, BUF, 100, 0, 0);
	t_vq_add(q, 16);
	t_vq_notify(self->d, 1);
	ASSERT_TRUE(t_vq_wait(q, 2, 10000));
	EXPECT_EQ(4096, read(self->out[0], got, sizeof(got)));
	for (i = 0; i < 4096; i++)
		ASSERT_EQ(buf[512 * (i / 256) + i % 256], got[i]) TH_LOG("byte %u", i);
	EXPECT_EQ(100, read(self->out[0], got, sizeof(got)));
	t_dev_quit(self->d);
}

/* what was partly sent when STOP came goes on after START where it was, nothing is sent twice */
TEST_F(console, stop_in_the_middle)
{
	struct t_vq *q = &self->d->vq[1];
	uint8_t *buf = t_gpa(self->vm, BUF, 65536), *got = malloc(65536);
	unsigned int i, n = 0;

	fcntl(self->out[1], F_SETPIPE_SZ, 4096);
	for (i = 0; i < 65536; i++)
		buf[i] = i * 7 + (i >> 8);
	put(q, 0, BUF, 40000, VQ_NEXT, 1);
	put(q, 1, BUF + 40000, 25536, 0, 0);
	t_vq_add(q, 0);
	t_vq_notify(self->d, 1);
	while (n < 65536) {
		int r = read(self->out[0], got + n, 1000);

		ASSERT_LT(0, r);
		n += r;
		if (n % 10000 < 1000) {
			ASSERT_OK(t_ioctl(self->d->fd, VMM_DEV_STOP, NULL));
			ASSERT_OK(t_ioctl(self->d->fd, VMM_DEV_START, NULL));
		}
	}
	EXPECT_EQ(0, memcmp(got, buf, 65536));
	EXPECT_TRUE(t_vq_wait(q, 1, 10000));
	t_dev_quit(self->d);
	fcntl(self->out[0], F_SETFL, O_NONBLOCK);
	EXPECT_GT(0, read(self->out[0], got, 1)) TH_LOG("something came twice");
}

/* STOP while output waits for a reader that never reads */
TEST_F(console, stop_with_full_pipe)
{
	struct t_vq *q = &self->d->vq[1];
	uint64_t start;
	unsigned int i;

	fcntl(self->out[1], F_SETPIPE_SZ, 4096);
	for (i = 0; i < 16; i++) {
		put(q, i, BUF, 4096, 0, 0);
		t_vq_add(q, i);
	}
	t_vq_notify(self->d, 1);
	t_sleep_ms(200);
	start = t_now_ns();
	EXPECT_OK(t_ioctl(self->d->fd, VMM_DEV_STOP, NULL));
	EXPECT_GT(5000000000ull, t_now_ns() - start);
	t_dev_quit(self->d);
}

TEST(console_setup_errors)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	struct vmm_console_setup s;
	struct t_dev *d;
	int p[2];
	unsigned int i;

	if (!(t_cap(VMM_CAP_VIRTIO) & (1 << VMM_DEVICE_CONSOLE)))
		SKIP(return, "no console devices here (vmm_virtio is not loaded)");
	d = t_dev_new(v, VMM_DEVICE_CONSOLE);
	ASSERT_EQ(0, pipe(p));
	s = (struct vmm_console_setup){ .in_fd = 9999, .out_fd = -1 };
	EXPECT_ERR(EBADF, t_ioctl(d->fd, VMM_CONSOLE_SETUP, &s));
	s = (struct vmm_console_setup){ .in_fd = p[0], .out_fd = -1 };
	EXPECT_ERR(EINVAL, t_ioctl(d->fd, VMM_CONSOLE_SETUP, &s));	/* blocking */
	s = (struct vmm_console_setup){ .in_fd = -1, .out_fd = p[1] };
	EXPECT_ERR(EINVAL, t_ioctl(d->fd, VMM_CONSOLE_SETUP, &s));
	for (i = 0; i < 6; i++) {
		s = (struct vmm_console_setup){ .in_fd = -1, .out_fd = -1 };
		s.pad[i] = 1;
		EXPECT_ERR(EINVAL, t_ioctl(d->fd, VMM_CONSOLE_SETUP, &s));
	}
	s = (struct vmm_console_setup){ .in_fd = -1, .out_fd = -1 };
	EXPECT_OK(t_ioctl(d->fd, VMM_CONSOLE_SETUP, &s));
}

VMM_TEST_MAIN
