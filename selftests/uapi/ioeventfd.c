// SPDX-License-Identifier: GPL-2.0
/*
 * Writes that signal an eventfd instead of exiting.
 */
#include <sys/eventfd.h>

#include "exec.h"
#include "harness.h"

#define MMIO	0xd0000000ull

FIXTURE(ioeventfd)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	int ev;
};

FIXTURE_SETUP(ioeventfd)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	self->ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

FIXTURE_TEARDOWN(ioeventfd)
{
}

static uint64_t count(int ev)
{
	uint64_t n = 0;

	if (read(ev, &n, 8) != 8)
		return 0;
	return n;
}

static int bind_to(struct t_vm *vm, int ev, uint64_t addr, uint32_t len, uint32_t flags,
		   uint64_t match)
{
	struct vmm_ioeventfd arg = {
		.addr = addr, .len = len, .fd = ev, .flags = flags, .datamatch = match};

	return t_ioctl(vm->fd, VMM_IOEVENTFD, &arg);
}

/* one OUT of that width; did it exit? */
static bool out_exits(struct t_vcpu *v, uint16_t port, unsigned int len, uint32_t data)
{
	struct t_exec x = { .mode = T_LONG };

	if (len == 2)
		x.bytes[x.len++] = 0x66;
	x.bytes[x.len++] = len == 1 ? 0xee : 0xef;
	x.gpr[VMM_RDX] = port;
	x.gpr[VMM_RAX] = data;
	t_exec(v, &x);
	if (x.exit != VMM_EXIT_IO && !t_exec_completed(&x))
		t_die("%s", t_exec_text(&x));
	return x.exit == VMM_EXIT_IO;
}

static bool store_exits(struct t_vcpu *v, uint64_t gpa, unsigned int len, uint64_t data)
{
	struct t_exec x = { .mode = T_LONG };

	if (len == 2)
		x.bytes[x.len++] = 0x66;
	if (len == 8)
		x.bytes[x.len++] = 0x48;
	x.bytes[x.len++] = len == 1 ? 0x88 : 0x89;
	x.bytes[x.len++] = 0x07;
	x.gpr[VMM_RDI] = gpa;
	x.gpr[VMM_RAX] = data;
	t_exec(v, &x);
	if (x.exit != VMM_EXIT_MMIO && !t_exec_completed(&x))
		t_die("%s", t_exec_text(&x));
	return x.exit == VMM_EXIT_MMIO;
}

TEST_F(ioeventfd, ports)
{
	static const unsigned int width[] = { 1, 2, 4 };
	unsigned int i, k;

	for (i = 0; i < 3; i++) {
		ASSERT_OK(bind_to(self->vm, self->ev, 0x510, width[i], VMM_IOEVENTFD_PIO, 0));
		for (k = 0; k < 3; k++) {
			bool exits = out_exits(self->v, 0x510, width[k], 0x12345678);

			EXPECT_EQ(i != k, exits)
			TH_LOG("bound to %u bytes, written %u", width[i], width[k]);
			EXPECT_EQ(i == k, count(self->ev))
			TH_LOG("bound to %u bytes, written %u", width[i], width[k]);
		}
		EXPECT_TRUE(out_exits(self->v, 0x50f, width[i], 0));
		EXPECT_TRUE(out_exits(self->v, 0x514, width[i], 0));
		EXPECT_EQ(0, count(self->ev));
		ASSERT_OK(bind_to(self->vm, self->ev, 0x510, width[i],
				  VMM_IOEVENTFD_PIO | VMM_IOEVENTFD_DEASSIGN, 0));
		EXPECT_TRUE(out_exits(self->v, 0x510, width[i], 0));
		EXPECT_EQ(0, count(self->ev));
	}
}

TEST_F(ioeventfd, memory)
{
	static const unsigned int width[] = { 1, 2, 4, 8 };
	unsigned int i, k;

	for (i = 0; i < 4; i++) {
		ASSERT_OK(bind_to(self->vm, self->ev, MMIO + 0x40, width[i], 0, 0));
		for (k = 0; k < 4; k++) {
			EXPECT_EQ(i != k, store_exits(self->v, MMIO + 0x40, width[k], 5))
			TH_LOG("bound to %u, written %u", width[i], width[k]);
			EXPECT_EQ(i == k, count(self->ev));
		}
		ASSERT_OK(bind_to(self->vm, self->ev, MMIO + 0x40, width[i], VMM_IOEVENTFD_DEASSIGN,
				  0));
		EXPECT_TRUE(store_exits(self->v, MMIO + 0x40, width[i], 5));
	}
}

TEST_F(ioeventfd, any_width)
{
	unsigned int len;

	ASSERT_OK(bind_to(self->vm, self->ev, MMIO, 0, 0, 0));
	ASSERT_OK(bind_to(self->vm, self->ev, 0x600, 0, VMM_IOEVENTFD_PIO, 0));
	for (len = 1; len <= 8; len *= 2) {
		EXPECT_FALSE(store_exits(self->v, MMIO, len, 5));
		EXPECT_EQ(1, count(self->ev));
		if (len == 8)
			continue;
		EXPECT_FALSE(out_exits(self->v, 0x600, len, 5));
		EXPECT_EQ(1, count(self->ev));
	}
	EXPECT_TRUE(store_exits(self->v, MMIO + 1, 1, 5));
}

TEST_F(ioeventfd, datamatch)
{
	int ev2 = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_OK(bind_to(self->vm, self->ev, MMIO, 2, VMM_IOEVENTFD_DATAMATCH, 1));
	ASSERT_OK(bind_to(self->vm, ev2, MMIO, 2, VMM_IOEVENTFD_DATAMATCH, 2));
	EXPECT_ERR(EEXIST, bind_to(self->vm, ev2, MMIO, 2, VMM_IOEVENTFD_DATAMATCH, 1));
	EXPECT_FALSE(store_exits(self->v, MMIO, 2, 1));
	EXPECT_FALSE(store_exits(self->v, MMIO, 2, 2));
	EXPECT_FALSE(store_exits(self->v, MMIO, 2, 0x10002));
	EXPECT_TRUE(store_exits(self->v, MMIO, 2, 3));
	EXPECT_EQ(1, count(self->ev));
	EXPECT_EQ(2, count(ev2));
	ASSERT_OK(bind_to(self->vm, self->ev, MMIO, 2,
			  VMM_IOEVENTFD_DATAMATCH | VMM_IOEVENTFD_DEASSIGN, 1));
	EXPECT_TRUE(store_exits(self->v, MMIO, 2, 1));
	EXPECT_FALSE(store_exits(self->v, MMIO, 2, 2));
	EXPECT_EQ(1, count(ev2));
}

/* what is read from there exits; so does the read of a read-modify-write, whose write signals */
TEST_F(ioeventfd, reads)
{
	struct t_exec x = {.mode = T_LONG, .bytes = {0x8b, 0x07}, .len = 2, .gpr[VMM_RDI] = MMIO};
	struct t_exec rmw = {.mode = T_LONG, .bytes = {0xff, 0x07}, .len = 2, .gpr[VMM_RDI] = MMIO};

	ASSERT_OK(bind_to(self->vm, self->ev, MMIO, 4, 0, 0));
	t_exec(self->v, &x);
	EXPECT_EQ(VMM_EXIT_MMIO, x.exit);
	t_settle(self->v);
	EXPECT_EQ(0, count(self->ev));
	t_exec(self->v, &rmw);
	ASSERT_EQ(VMM_EXIT_MMIO, rmw.exit);
	EXPECT_EQ(0, self->v->run->u.mmio.is_write);
	EXPECT_EQ(VMM_EXIT_HALT, t_run(self->v));
	EXPECT_EQ(1, count(self->ev));
}

/* strings of ports: each item signals */
TEST_F(ioeventfd, strings)
{
	struct t_exec x = {.mode = T_LONG,
			   .bytes = {0xf3, 0x66, 0x6f},
			   .len = 3,
			   .gpr[VMM_RDX] = 0x700,
			   .gpr[VMM_RCX] = 10,
			   .gpr[VMM_RSI] = T_XDATA};

	ASSERT_OK(bind_to(self->vm, self->ev, 0x700, 2, VMM_IOEVENTFD_PIO, 0));
	t_exec(self->v, &x);
	EXPECT_TRUE(t_exec_completed(&x)) TH_LOG("%s", t_exec_text(&x));
	EXPECT_EQ(10, count(self->ev));
}

TEST_F(ioeventfd, lifetime)
{
	int keep = dup(self->ev), i;

	/* the eventfd's own file may be closed; it is signalled through others all the same */
	ASSERT_OK(bind_to(self->vm, self->ev, 0x510, 1, VMM_IOEVENTFD_PIO, 0));
	close(self->ev);
	EXPECT_FALSE(out_exits(self->v, 0x510, 1, 0));
	EXPECT_EQ(1, count(keep));
	ASSERT_OK(bind_to(self->vm, keep, 0x510, 1, VMM_IOEVENTFD_PIO | VMM_IOEVENTFD_DEASSIGN, 0));
	for (i = 0; i < 200; i++) {
		ASSERT_OK(bind_to(self->vm, keep, 0x510, 1, VMM_IOEVENTFD_PIO, 0));
		ASSERT_OK(bind_to(self->vm, keep, 0x510, 1,
				  VMM_IOEVENTFD_PIO | VMM_IOEVENTFD_DEASSIGN, 0));
	}
	/* the wrong file, width or match takes nothing away */
	self->ev = eventfd(0, EFD_NONBLOCK);
	ASSERT_OK(bind_to(self->vm, keep, 0x510, 1, VMM_IOEVENTFD_PIO, 0));
	EXPECT_GT(0, bind_to(self->vm, self->ev, 0x510, 1,
			     VMM_IOEVENTFD_PIO | VMM_IOEVENTFD_DEASSIGN, 0));
	EXPECT_GT(0,
		  bind_to(self->vm, keep, 0x510, 2, VMM_IOEVENTFD_PIO | VMM_IOEVENTFD_DEASSIGN, 0));
	EXPECT_GT(0, bind_to(self->vm, keep, 0x510, 1, VMM_IOEVENTFD_DEASSIGN, 0));
	EXPECT_FALSE(out_exits(self->v, 0x510, 1, 0));
}

/* many of them, each its own */
TEST_F(ioeventfd, many)
{
	int ev[64], i;

	for (i = 0; i < 64; i++) {
		ev[i] = eventfd(0, EFD_NONBLOCK);
		ASSERT_OK(bind_to(self->vm, ev[i], MMIO + ((i * 29) & 63) * 4, 4, 0, 0));
	}
	for (i = 0; i < 64; i++)
		EXPECT_FALSE(store_exits(self->v, MMIO + ((i * 29) & 63) * 4, 4, 5));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(1, count(ev[i]));
}

VMM_TEST_MAIN
