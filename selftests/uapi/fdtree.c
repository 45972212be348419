// SPDX-License-Identifier: GPL-2.0
/*
 * The tree of files: who may use them (only the address space that made the VM), and how long each lives.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include "harness.h"

static const struct {
	const char *name;
	unsigned long cmd;
} vm_ioctls[] = {
	{ "VMM_CREATE_VCPU", VMM_CREATE_VCPU }, { "VMM_SET_MEM_REGION", VMM_SET_MEM_REGION }, { "VMM_IOEVENTFD", VMM_IOEVENTFD },
	{ "VMM_IRQFD", VMM_IRQFD }, { "VMM_SET_ROUTES", VMM_SET_ROUTES }, { "VMM_SIGNAL_MSI", VMM_SIGNAL_MSI },
	{ "VMM_SET_LINT", VMM_SET_LINT }, { "VMM_CREATE_DEVICE", VMM_CREATE_DEVICE }, { "VMM_GET_VM_STATE", VMM_GET_VM_STATE },
	{ "VMM_SET_VM_STATE", VMM_SET_VM_STATE }, { "VMM_GET_STATS", VMM_GET_STATS },
}, vcpu_ioctls[] = {
	{ "VMM_RUN", VMM_RUN }, { "VMM_GET_STATE", VMM_GET_STATE }, { "VMM_SET_STATE", VMM_SET_STATE }, { "VMM_GET_STATS", VMM_GET_STATS },
}, dev_ioctls[] = {
	{ "VMM_DEV_GET_INFO", VMM_DEV_GET_INFO }, { "VMM_DEV_SET_FEATURES", VMM_DEV_SET_FEATURES },
	{ "VMM_DEV_SET_QUEUE", VMM_DEV_SET_QUEUE }, { "VMM_DEV_GET_QUEUE", VMM_DEV_GET_QUEUE }, { "VMM_DEV_SET_NOTIFY", VMM_DEV_SET_NOTIFY },
	{ "VMM_DEV_SET_VECTOR", VMM_DEV_SET_VECTOR }, { "VMM_DEV_SET_MSIX", VMM_DEV_SET_MSIX },
	{ "VMM_DEV_GET_PENDING", VMM_DEV_GET_PENDING }, { "VMM_DEV_GET_EVENTS", VMM_DEV_GET_EVENTS }, { "VMM_DEV_START", VMM_DEV_START },
	{ "VMM_DEV_STOP", VMM_DEV_STOP }, { "VMM_DEV_WORK", VMM_DEV_WORK }, { "VMM_DEV_QUIT", VMM_DEV_QUIT },
	{ "VMM_DEV_RAISE_CONFIG", VMM_DEV_RAISE_CONFIG }, { "VMM_BLK_SETUP", VMM_BLK_SETUP },
};

/* how many ioctls did not fail with EIO */
static unsigned int not_eio(const char *who, int vm, int vcpu, int dev)
{
	static uint8_t arg[512];
	unsigned int bad = 0, i;
	int r;

#define TRY(list, fd) \
	for (i = 0; i < ARRAY_SIZE(list) && fd >= 0; i++) {					\
		memset(arg, 0, sizeof(arg));							\
		r = t_ioctl(fd, list[i].cmd, arg);						\
		if (r != -EIO) {								\
			t_say("%s: %s: wanted EIO, got %d", who, list[i].name, r);		\
			bad++;									\
		}										\
	}
	TRY(vm_ioctls, vm)
	TRY(vcpu_ioctls, vcpu)
	TRY(dev_ioctls, dev)
	return bad;
}

static int new_dev(struct t_vm *vm)
{
	struct vmm_create_device arg = { .type = VMM_DEVICE_BLK };

	if (!(t_cap(VMM_CAP_VIRTIO) & (1 << VMM_DEVICE_BLK))) {
		t_say("no block devices here: device files are left out");
		return -1;
	}
	return t_ioctl(vm->fd, VMM_CREATE_DEVICE, &arg);
}

FIXTURE(tree)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	int dev;
};

FIXTURE_SETUP(tree)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	self->dev = new_dev(self->vm);
	t_load(self->vm, T_CODE, "\xe6\x11\xf4", 3);
}

FIXTURE_TEARDOWN(tree)
{
}

static bool works(struct t_vcpu *v)
{
	t_set_mode(v, T_LONG);
	return t_done(v);
}

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		t_die("waitpid: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_F(tree, forked_child)
{
	pid_t pid = fork();

	if (!pid)
		_exit(not_eio("forked child", self->vm->fd, self->v->fd, self->dev));
	EXPECT_EQ(0, wait_for(pid)) TH_LOG("so many ioctls worked in a forked child");
	EXPECT_TRUE(works(self->v));
}

TEST_F(tree, after_exec)
{
	char env[64];
	pid_t pid;

	snprintf(env, sizeof(env), "%d,%d,%d", self->vm->fd, self->v->fd, self->dev);
	pid = fork();
	if (!pid) {
		fcntl(self->vm->fd, F_SETFD, 0);
		fcntl(self->v->fd, F_SETFD, 0);
		if (self->dev >= 0)
			fcntl(self->dev, F_SETFD, 0);
		setenv("FDTREE_CHILD", env, 1);
		execl("/proc/self/exe", "fdtree", NULL);
		_exit(99);
	}
	EXPECT_EQ(0, wait_for(pid)) TH_LOG("so many ioctls worked after exec");
	EXPECT_TRUE(works(self->v));
}

/* the creator itself, after exec, is somebody else */
TEST_F(tree, creator_after_exec)
{
	char env[64];
	pid_t pid = fork();

	if (!pid) {
		struct t_vm *vm = t_vm_new();
		struct t_vcpu *v = t_vcpu_new(vm, 0);
		int dev = new_dev(vm);

		snprintf(env, sizeof(env), "%d,%d,%d", vm->fd, v->fd, dev);
		fcntl(vm->fd, F_SETFD, 0);
		fcntl(v->fd, F_SETFD, 0);
		if (dev >= 0)
			fcntl(dev, F_SETFD, 0);
		setenv("FDTREE_CHILD", env, 1);
		execl("/proc/self/exe", "fdtree", NULL);
		_exit(99);
	}
	EXPECT_EQ(0, wait_for(pid));
}

static int socket_receiver(int sock)
{
	union {
		char buf[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} c;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c.buf) };
	int fd[3] = { -1, -1, -1 }, n;

	if (recvmsg(sock, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return 98;
	n = (CMSG_FIRSTHDR(&m)->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), n * sizeof(int));
	return not_eio("receiver over a socket", fd[0], fd[1], fd[2]);
}

TEST(over_a_socket)
{
	union {
		char buf[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} c;
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf };
	int sv[2], fd[3], n;
	struct t_vcpu *v;
	struct t_vm *vm;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	pid = fork();
	if (!pid)
		_exit(socket_receiver(sv[1]));
	vm = t_vm_new();
	v = t_vcpu_new(vm, 0);
	fd[0] = vm->fd;
	fd[1] = v->fd;
	fd[2] = new_dev(vm);
	n = fd[2] >= 0 ? 3 : 2;
	memset(&c, 0, sizeof(c));
	m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fd, n * sizeof(int));
	ASSERT_EQ(1, sendmsg(sv[0], &m, 0));
	EXPECT_EQ(0, wait_for(pid)) TH_LOG("so many ioctls worked in the receiver");
	t_load(vm, T_CODE, "\xe6\x11\xf4", 3);
	EXPECT_TRUE(works(v));
}

/* the VM outlives its creator's address space in a receiver: closing it there is all that can be done, and is safe */
TEST(receiver_outlives_creator)
{
	union {
		char buf[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} c;
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c.buf) };
	int sv[2], fd[2];
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	pid = fork();
	if (!pid) {
		struct t_vm *vm = t_vm_new();
		struct t_vcpu *v = t_vcpu_new(vm, 0);

		t_load(vm, T_CODE, "\xe6\x11\xf4", 3);
		if (!works(v))
			_exit(1);
		fd[0] = vm->fd;
		fd[1] = v->fd;
		memset(&c, 0, sizeof(c));
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fd, sizeof(fd));
		_exit(sendmsg(sv[0], &m, 0) != 1);
	}
	EXPECT_EQ(0, wait_for(pid));
	ASSERT_EQ(1, recvmsg(sv[1], &m, 0));
	ASSERT_NE(NULL, CMSG_FIRSTHDR(&m));
	memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	EXPECT_EQ(0, not_eio("receiver after the creator's end", fd[0], fd[1], -1));
	close(fd[0]);
	close(fd[1]);
}

/* threads, and processes that share the address space, may */
static int shares_vm(void *arg)
{
	struct vmm_stats s = { 0 };

	return t_ioctl(*(int *)arg, VMM_GET_STATS, &s) != 0;
}

TEST_F(tree, shared_address_space)
{
	uint8_t *stack = t_alloc(0x10000, 4096);
	struct t_thread t;
	pid_t pid;

	pid = clone(shares_vm, stack + 0x10000, CLONE_VM | CLONE_FILES | SIGCHLD, &self->vm->fd);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, wait_for(pid));
	t_set_mode(self->v, T_LONG);
	t_spawn(&t, self->v);
	EXPECT_EQ(T_DONE, t_join(&t));
}

/* each file holds what it hangs from, in whatever order they are closed */
TEST_F(tree, vcpu_outlives_vm_fd)
{
	close(self->vm->fd);
	EXPECT_TRUE(works(self->v));
	if (self->dev >= 0) {
		struct vmm_dev_info info;

		EXPECT_OK(t_ioctl(self->dev, VMM_DEV_GET_INFO, &info));
	}
	close(self->v->fd);
	if (self->dev >= 0) {
		struct vmm_dev_info info;

		EXPECT_OK(t_ioctl(self->dev, VMM_DEV_GET_INFO, &info));
		close(self->dev);
	}
}

TEST_F(tree, run_page_outlives_fds)
{
	EXPECT_TRUE(works(self->v));
	close(self->vm->fd);
	close(self->v->fd);
	if (self->dev >= 0)
		close(self->dev);
	self->v->run->immediate_exit = 1;
	EXPECT_EQ(VMM_EXIT_IO, self->v->run->exit_reason);
	memset((void *)self->v->run, 0x5a, VMM_RUN_SIZE);
	EXPECT_EQ(0, munmap((void *)self->v->run, VMM_RUN_SIZE));
}

TEST_F(tree, duplicate_works)
{
	int dup_vcpu = dup(self->v->fd);

	close(self->v->fd);
	self->v->fd = dup_vcpu;
	EXPECT_TRUE(works(self->v));
}

TEST_F(tree, run_page_mappings)
{
	int fd = self->v->fd;
	volatile struct vmm_run *second;
	void *p;

	second = mmap(NULL, VMM_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)second);
	self->v->run->u.raw[100] = 0x42;
	EXPECT_EQ(0x42, second->u.raw[100]);
	EXPECT_EQ(0, munmap((void *)second, VMM_RUN_SIZE));
	EXPECT_TRUE(works(self->v));

	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * VMM_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, VMM_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, VMM_RUN_SIZE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, VMM_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 1ull << 40));
	/* it cannot be made longer */
	p = mremap((void *)self->v->run, VMM_RUN_SIZE, 2 * VMM_RUN_SIZE, MREMAP_MAYMOVE);
	EXPECT_EQ(MAP_FAILED, p) {
		TH_LOG("the mapping could be extended");
		self->v->run = p;
	}
	EXPECT_TRUE(works(self->v));
	/* moved, it is the same page */
	p = mremap((void *)self->v->run, VMM_RUN_SIZE, VMM_RUN_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, t_alloc(VMM_RUN_SIZE, 4096));
	if (p != MAP_FAILED)
		self->v->run = p;
	EXPECT_TRUE(works(self->v));
	/* dropped from the page table, it comes back as it was */
	self->v->run->u.raw[200] = 0x77;
	madvise((void *)self->v->run, VMM_RUN_SIZE, MADV_DONTNEED);
	EXPECT_EQ(0x77, self->v->run->u.raw[200]);
	EXPECT_TRUE(works(self->v));
}

/* without its run page mapped a vCPU runs all the same */
TEST_F(tree, unmapped_run_page)
{
	t_set_mode(self->v, T_LONG);
	ASSERT_EQ(0, munmap((void *)self->v->run, VMM_RUN_SIZE));
	EXPECT_OK(t_ioctl(self->v->fd, VMM_RUN, NULL));
	self->v->run = mmap(NULL, VMM_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->v->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->v->run);
	EXPECT_EQ(VMM_EXIT_IO, self->v->run->exit_reason);
}

/* the VM and its devices are closed while a vCPU is in the guest: it runs on until it is kicked */
TEST_F(tree, vm_closed_while_running)
{
	struct t_thread t;

	t_kicks();
	t_load(self->vm, T_CODE, "\xeb\xfe", 2);
	t_set_mode(self->v, T_LONG);
	t_spawn(&t, self->v);
	t_sleep_ms(200);
	close(self->vm->fd);
	if (self->dev >= 0)
		close(self->dev);
	t_sleep_ms(100);
	EXPECT_FALSE(t.ended);
	self->v->run->immediate_exit = 1;
	t_kick(&t);
	EXPECT_TRUE(t_ended_within(&t, 10000));
}

/* every file is closed while the vCPU waits in HLT: the call in progress holds it */
static void *run_once(void *arg)
{
	return (void *)(long)t_ioctl(*(int *)arg, VMM_RUN, NULL);
}

TEST_F(tree, all_closed_while_waiting)
{
	void *result;
	pthread_t id;

	t_kicks();
	t_load(self->vm, T_CODE, "\xfb\xf4\xeb\xfd", 4);	/* sti; 1: hlt; jmp 1b */
	t_set_mode(self->v, T_LONG);
	pthread_create(&id, NULL, run_once, &self->v->fd);
	t_sleep_ms(200);
	close(self->vm->fd);
	close(self->v->fd);
	if (self->dev >= 0)
		close(self->dev);
	munmap((void *)self->v->run, VMM_RUN_SIZE);
	munmap(self->vm->mem, self->vm->mem_size);
	t_sleep_ms(100);
	pthread_kill(id, SIGUSR1);
	pthread_join(id, &result);
	EXPECT_EQ(-EINTR, (long)result);
}

int main(int argc, char **argv)
{
	const char *child = getenv("FDTREE_CHILD");
	int vm, vcpu, dev;
	char why[256];

	if (child && sscanf(child, "%d,%d,%d", &vm, &vcpu, &dev) == 3)
		return not_eio("after exec", vm, vcpu, dev);
	if (t_missing(why, sizeof(why))) {
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
	}
	t_scale_timeouts();
	return test_harness_run(argc, argv);
}
