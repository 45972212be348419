// SPDX-License-Identifier: GPL-2.0
/*
 * The tree of files: who may use them (only the address space that made the VM), and how long each
 * lives.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "harness.h"

/*
 * Every ioctl there is, by the headers: one that is new and not in the table of calls below fails
 * the tests.
 */
#define IOCTL(name)	{ #name, name },
static const struct {
	const char *name;
	unsigned long cmd;
} all_ioctls[] = {
#include "ioctls.h"
};

enum file { F_VM, F_VCPU, F_BLK, F_CONSOLE, NR_FILES, F_SYS = NR_FILES };

static const char *const file_name[] = { "VM", "vCPU", "block device", "console", "/dev/vmm" };

/*
 * One ioctl with an argument that works: what the creator gets for it, once, in the order of the
 * table. A call that had done anything for somebody else would show by another result then.
 */
struct call {
	unsigned long cmd;
	enum file file;
	int want;	/* T_ANY: not negative */
	union {
		uint64_t none;
		struct vmm_create_vm create_vm;
		struct vmm_create_vcpu create_vcpu;
		struct vmm_mem_region region;
		struct vmm_ioeventfd ioeventfd;
		struct vmm_irqfd irqfd;
		struct vmm_routes routes;
		struct vmm_msi msi;
		struct vmm_lint lint;
		struct vmm_create_device create_device;
		struct vmm_state state;
		struct vmm_stats stats;
		struct vmm_dev_info info;
		struct vmm_dev_features features;
		struct vmm_dev_queue queue;
		struct vmm_dev_notify notify;
		struct vmm_dev_vector vector;
		struct vmm_dev_msix msix;
		struct vmm_dev_pending pending;
		struct vmm_dev_events events;
		struct vmm_dev_work work;
		struct vmm_blk_setup blk;
		struct vmm_console_setup console;
	} a;
};

static struct vmm_clock a_clock;
static struct vmm_regs some_regs;
static struct vmm_route a_route = {
	.gsi = 5, .type = VMM_ROUTE_MSI, .u.msi = { .addr = 0xfee00000, .data = 0x55 } };
static uint64_t counters[VMM_STAT_NR];
static uint8_t cpuid_entries[VMM_MAX_CPUID_ENTRIES * sizeof(struct vmm_cpuid_entry)];

#define STATE(t, to) \
	{ .type = t, .version = VMM_STATE_VERSION, .size = sizeof(to), .data = (uintptr_t)&(to) }

static unsigned int make_calls(struct call *out)
{
	int ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), disk = memfd_create("disk", MFD_CLOEXEC);
	const struct call calls[] = {
		{ VMM_GET_ABI, F_SYS, VMM_ABI_VERSION, {} },
		{ VMM_CHECK_CAP, F_SYS, VMM_MAX_VCPUS, { .none = VMM_CAP_VCPUS } },
		{ VMM_CREATE_VM, F_SYS, T_ANY, {} },
		{ VMM_GET_SUPPORTED_STATE, F_SYS, 0,
		  { .state = STATE(VMM_STATE_CPUID, cpuid_entries) } },

		{ VMM_CREATE_VCPU, F_VM, T_ANY, { .create_vcpu = { .id = 1 } } },
		{ VMM_CREATE_DEVICE, F_VM, T_ANY, { .create_device = { .type = VMM_DEVICE_BLK } } },
		{ VMM_SET_MEM_REGION, F_VM, 0,
		  { .region = { .slot = 9, .gpa = 1 << 30, .size = 4096,
				.hva = (uintptr_t)t_alloc(4096, 4096) } } },
		{ VMM_SET_MEM_REGION, F_VM, 0, { .region = { .slot = 9 } } },
		{ VMM_IOEVENTFD, F_VM, 0,
		  { .ioeventfd = { .addr = 0x2000, .len = 2, .fd = ev,
				   .flags = VMM_IOEVENTFD_PIO } } },
		{ VMM_IRQFD, F_VM, 0, { .irqfd = { .fd = ev, .gsi = 5, .resample_fd = -1 } } },
		{ VMM_SET_ROUTES, F_VM, 0,
		  { .routes = { .nr = 1, .routes = (uintptr_t)&a_route } } },
		{ VMM_SIGNAL_MSI, F_VM, T_ANY, { .msi = a_route.u.msi } },
		{ VMM_SET_LINT, F_VM, 0, { .lint = { .pin = 1 } } },
		{ VMM_GET_VM_STATE, F_VM, 0, { .state = STATE(VMM_STATE_CLOCK, a_clock) } },
		{ VMM_SET_VM_STATE, F_VM, 0, { .state = STATE(VMM_STATE_CLOCK, a_clock) } },
		{ VMM_GET_STATS, F_VM, 0,
		  { .stats = { .nr = VMM_STAT_NR, .counters = (uintptr_t)counters } } },

		{ VMM_GET_STATE, F_VCPU, 0, { .state = STATE(VMM_STATE_REGS, some_regs) } },
		{ VMM_SET_STATE, F_VCPU, 0, { .state = STATE(VMM_STATE_REGS, some_regs) } },
		{ VMM_RUN, F_VCPU, 0, {} },
		{ VMM_GET_STATS, F_VCPU, 0,
		  { .stats = { .nr = VMM_STAT_NR, .counters = (uintptr_t)counters } } },

		{ VMM_BLK_SETUP, F_BLK, 0, { .blk = { .fd = disk, .capacity = 8, .queues = 1 } } },
		{ VMM_DEV_GET_INFO, F_BLK, 0, {} },
		{ VMM_DEV_SET_FEATURES, F_BLK, 0, { .features = { .features = 1ull << 32 } } },
		{ VMM_DEV_SET_QUEUE, F_BLK, 0,
		  { .queue = { .size = 8, .desc = 0xa00000, .avail = 0xa01000, .used = 0xa02000,
			       .vector = VMM_DEV_NO_VECTOR } } },
		{ VMM_DEV_GET_QUEUE, F_BLK, 0, {} },
		{ VMM_DEV_SET_NOTIFY, F_BLK, 0,
		  { .notify = { .addr = 0x3000, .len = 4, .flags = VMM_DEV_NOTIFY_PIO } } },
		{ VMM_DEV_SET_VECTOR, F_BLK, 0, { .vector = { .addr = 0xfee00000 } } },
		{ VMM_DEV_SET_MSIX, F_BLK, 0,
		  { .msix = { .flags = VMM_DEV_MSIX_ENABLED | VMM_DEV_MSIX_MASKED,
			      .intx_fd = ev } } },
		{ VMM_DEV_GET_PENDING, F_BLK, 0, {} },
		{ VMM_DEV_GET_EVENTS, F_BLK, 0, {} },
		{ VMM_DEV_START, F_BLK, 0, {} },
		{ VMM_DEV_STOP, F_BLK, 0, {} },
		{ VMM_DEV_RAISE_CONFIG, F_BLK, 0, {} },
		/* before QUIT this would keep the thread; after it, it says that there was one */
		{ VMM_DEV_QUIT, F_BLK, 0, {} },
		{ VMM_DEV_WORK, F_BLK, -ESHUTDOWN, {} },
		{ VMM_CONSOLE_SETUP, F_CONSOLE, 0, { .console = { .in_fd = -1, .out_fd = -1 } } },
	};

	if (ev < 0 || disk < 0 || ftruncate(disk, 4096))
		t_die("cannot make a file: %s", strerror(errno));
	memcpy(out, calls, sizeof(calls));
	return ARRAY_SIZE(calls);
}

#define MAX_CALLS	64

static int do_call(int fd, struct call *c)
{
	return t_ioctl(fd, c->cmd, _IOC_DIR(c->cmd) == _IOC_NONE ? (void *)c->a.none : &c->a);
}

static const char *ioctl_name(unsigned long cmd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all_ioctls); i++)
		if (all_ioctls[i].cmd == cmd)
			return all_ioctls[i].name;
	return "?";
}

/* somebody else's: every ioctl of every kind of file, on every file. How many were not EIO. */
static unsigned int not_eio(const char *who, const int *fd)
{
	static struct call calls[MAX_CALLS];
	unsigned int nr = make_calls(calls), bad = 0, f, i;
	int r;

	for (f = 0; f < NR_FILES; f++) {
		for (i = 0; i < nr && fd[f] >= 0; i++) {
			r = do_call(fd[f], &calls[i]);
			if (r == -EIO)
				continue;
			t_say("%s: %s on the %s: wanted EIO, got %d", who,
			      ioctl_name(calls[i].cmd), file_name[f], r);
			bad++;
		}
	}
	if (fd[F_VCPU] >= 0 &&
	    mmap(NULL, VMM_RUN_SIZE, PROT_READ, MAP_SHARED, fd[F_VCPU], 0) != MAP_FAILED) {
		t_say("%s: the run page can be mapped", who);
		bad++;
	}
	/* what hangs from no VM works for everybody */
	for (i = 0; i < nr; i++) {
		if (calls[i].file != F_SYS)
			continue;
		r = do_call(t_open(), &calls[i]);
		if (calls[i].want == T_ANY ? r >= 0 : r == calls[i].want)
			continue;
		t_say("%s: %s: %d", who, ioctl_name(calls[i].cmd), r);
		bad++;
	}
	return bad < 100 ? bad : 100;
}

/* the creator's own: nothing has happened yet, so each call gives what it gives the first time */
static unsigned int not_as_new(const int *fd)
{
	static struct call calls[MAX_CALLS];
	unsigned int nr = make_calls(calls), bad = 0, i;
	int r;

	for (i = 0; i < nr; i++) {
		if (calls[i].file == F_SYS || fd[calls[i].file] < 0)
			continue;
		r = do_call(fd[calls[i].file], &calls[i]);
		if (calls[i].want == T_ANY ? r >= 0 : r == calls[i].want)
			continue;
		t_say("then the creator: %s on the %s: %d", ioctl_name(calls[i].cmd),
		      file_name[calls[i].file], r);
		bad++;
	}
	return bad;
}

TEST(every_ioctl_is_here)
{
	static struct call calls[MAX_CALLS];
	unsigned int nr = make_calls(calls), i, j;

	ASSERT_LT(20, ARRAY_SIZE(all_ioctls));
	for (i = 0; i < ARRAY_SIZE(all_ioctls); i++) {
		for (j = 0; j < nr && calls[j].cmd != all_ioctls[i].cmd; j++)
			;
		EXPECT_LT(j, nr) TH_LOG("no call of %s in the table", all_ioctls[i].name);
	}
}

/* on all files of the tree, for a child or a receiver */
struct tree {
	struct t_vm *vm;
	struct t_vcpu *v;
	int fd[NR_FILES];
};

static int new_dev(struct t_vm *vm, uint32_t type)
{
	struct vmm_create_device arg = { .type = type };

	if (!(t_cap(VMM_CAP_VIRTIO) & (1 << type))) {
		t_say("no such devices here: device files are left out");
		return -1;
	}
	return t_ioctl(vm->fd, VMM_CREATE_DEVICE, &arg);
}

static void make_tree(struct tree *t)
{
	t->vm = t_vm_new();
	t->v = t_vcpu_new(t->vm, 0);
	t->fd[F_VM] = t->vm->fd;
	t->fd[F_VCPU] = t->v->fd;
	t->fd[F_BLK] = new_dev(t->vm, VMM_DEVICE_BLK);
	t->fd[F_CONSOLE] = new_dev(t->vm, VMM_DEVICE_CONSOLE);
	t_load(t->vm, T_CODE, "\xe6\x11\xf4", 3);
	t_set_mode(t->v, T_LONG);
}

/* does not return: this program again, with the files */
static void exec_with(const int *fd)
{
	char env[64];
	int f;

	for (f = 0; f < NR_FILES; f++)
		if (fd[f] >= 0)
			fcntl(fd[f], F_SETFD, 0);
	snprintf(env, sizeof(env), "%d,%d,%d,%d", fd[0], fd[1], fd[2], fd[3]);
	setenv("FDTREE_CHILD", env, 1);
	execl("/proc/self/exe", "fdtree", NULL);
	_exit(99);
}

FIXTURE(tree)
{
	struct tree t;
	struct t_vm *vm;
	struct t_vcpu *v;
	int dev;
};

FIXTURE_SETUP(tree)
{
	make_tree(&self->t);
	self->vm = self->t.vm;
	self->v = self->t.v;
	self->dev = self->t.fd[F_BLK];
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
		_exit(not_eio("forked child", self->t.fd));
	EXPECT_EQ(0, wait_for(pid)) TH_LOG("so many ioctls did not fail in a forked child");
	EXPECT_EQ(0, not_as_new(self->t.fd));
	EXPECT_TRUE(works(self->v));
}

TEST_F(tree, after_exec)
{
	pid_t pid = fork();

	if (!pid)
		exec_with(self->t.fd);
	EXPECT_EQ(0, wait_for(pid)) TH_LOG("so many ioctls did not fail after exec");
	EXPECT_EQ(0, not_as_new(self->t.fd));
	EXPECT_TRUE(works(self->v));
}

/* the creator itself, after exec, is somebody else */
TEST(creator_after_exec)
{
	pid_t pid = fork();

	if (!pid) {
		struct tree t;

		make_tree(&t);
		if (!works(t.v))
			_exit(98);
		exec_with(t.fd);
	}
	EXPECT_EQ(0, wait_for(pid));
}

union fd_message {
	char buf[CMSG_SPACE(NR_FILES * sizeof(int))];
	struct cmsghdr align;
};

static bool send_files(int sock, const int *fd)
{
	union fd_message c = { .buf = "" };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf };
	int n = fd[F_BLK] >= 0 ? NR_FILES : F_BLK;

	m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fd, n * sizeof(int));
	return sendmsg(sock, &m, 0) == 1;
}

static bool receive_files(int sock, int *fd)
{
	union fd_message c;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf,
			    .msg_controllen = sizeof(c.buf) };
	int f;

	for (f = 0; f < NR_FILES; f++)
		fd[f] = -1;
	if (recvmsg(sock, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return false;
	memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), CMSG_FIRSTHDR(&m)->cmsg_len - CMSG_LEN(0));
	return true;
}

TEST(over_a_socket)
{
	int sv[2], fd[NR_FILES];
	struct tree t;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	pid = fork();
	if (!pid)
		_exit(receive_files(sv[1], fd) ? not_eio("receiver over a socket", fd) : 98);
	make_tree(&t);
	ASSERT_TRUE(send_files(sv[0], t.fd));
	EXPECT_EQ(0, wait_for(pid)) TH_LOG("so many ioctls did not fail in the receiver");
	EXPECT_EQ(0, not_as_new(t.fd));
	EXPECT_TRUE(works(t.v));
}

/*
 * the VM outlives its creator's address space in a receiver: closing it there is all that can be
 * done, and is safe
 */
TEST(receiver_outlives_creator)
{
	int sv[2], fd[NR_FILES], f;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	pid = fork();
	if (!pid) {
		struct tree t;

		make_tree(&t);
		if (!works(t.v))
			_exit(1);
		_exit(!send_files(sv[0], t.fd));
	}
	EXPECT_EQ(0, wait_for(pid));
	ASSERT_TRUE(receive_files(sv[1], fd));
	EXPECT_EQ(0, not_eio("receiver after the creator's end", fd));
	for (f = 0; f < NR_FILES; f++)
		close(fd[f]);
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
	int ret;

	t_set_mode(self->v, T_LONG);
	ASSERT_EQ(0, munmap((void *)self->v->run, VMM_RUN_SIZE));
	/* the kernel may want to be left for a moment */
	do {
		ret = t_ioctl(self->v->fd, VMM_RUN, NULL);
	} while (ret == -EINTR);
	EXPECT_EQ(0, ret);
	self->v->run = mmap(NULL, VMM_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->v->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->v->run);
	EXPECT_EQ(VMM_EXIT_IO, self->v->run->exit_reason);
}

/* the VM and its devices are closed while a vCPU is in the guest: it runs on until it is kicked */
TEST_F(tree, vm_closed_while_running)
{
	struct t_thread t;

	t_kicks();
	t_load(self->vm, T_CODE, T_SPIN, T_SPIN_LEN);
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
	int fd[NR_FILES];
	char why[256];

	if (child && sscanf(child, "%d,%d,%d,%d", &fd[0], &fd[1], &fd[2], &fd[3]) == NR_FILES)
		return not_eio("after exec", fd);
	if (t_missing(why, sizeof(why))) {
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
	}
	t_scale_timeouts();
	return test_harness_run(argc, argv);
}
