// SPDX-License-Identifier: GPL-2.0
/*
 * The virtio block device on disks of the host that are slow, that fail, and that are picky: it has
 * as much in flight as the driver gives it, nothing waits for a FLUSH, and what goes wrong reaches
 * the guest as an error of that request. The disks are null_blk's.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "blk.h"
#include "harness.h"

#define FEATURES	(F_VERSION_1 | F_BLK_FLUSH)
#define CONFIG		"/sys/kernel/config/nullb"
#define BUF		0xb00000ull
#define DISK_MIB	16
#define SECTORS		(DISK_MIB * 2048ull)
#define DEPTH		32
#define QUEUE		128
#define DELAY_MS	500

static bool set(const char *name, const char *attribute, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), CONFIG "/%s/%s", name, attribute);
	return t_write_file(path, value);
}

/* why there can be no such disks here */
static const char *no_null_blk(void)
{
	if (geteuid())
		return "not root";
	if (access("/sys/module/null_blk", F_OK) &&
	    system("modprobe null_blk nr_devices=0 2>/dev/null"))
		return "no module null_blk for this kernel";
	if (access(CONFIG, F_OK))
		mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	return access(CONFIG, F_OK) ? "null_blk has no configfs" : NULL;
}

static void remove_disk(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), CONFIG "/%s", name);
	if (!access(path, F_OK)) {
		set(name, "power", "0");
		rmdir(path);
	}
}

/* a disk in memory that takes @delay_ms for every request; its node is in @dev */
static void make_disk(const char *name, const char *block, unsigned int delay_ms, char *dev,
		      size_t size)
{
	char path[128], text[32];
	bool ok;

	remove_disk(name);
	snprintf(path, sizeof(path), CONFIG "/%s", name);
	if (mkdir(path, 0700))
		t_die("mkdir %s: %s", path, strerror(errno));
	snprintf(text, sizeof(text), "%llu", delay_ms * 1000000ull);
	ok = set(name, "memory_backed", "1") && set(name, "blocksize", block) &&
	     set(name, "cache_size", "1") && set(name, "submit_queues", "1") &&
	     set(name, "hw_queue_depth", "128") && set(name, "irqmode", delay_ms ? "2" : "0") &&
	     set(name, "completion_nsec", text);
	snprintf(text, sizeof(text), "%u", DISK_MIB);
	if (!ok || !set(name, "size", text) || !set(name, "power", "1"))
		t_die("cannot make a null_blk disk: %s", strerror(errno));
	/* nullb0, nullb1 and so on 6.1; its own name later */
	snprintf(dev, size, "/dev/%s", name);
	if (access(dev, F_OK)) {
		long index;

		snprintf(path, sizeof(path), CONFIG "/%s/index", name);
		index = t_read_long(path);
		snprintf(dev, size, "/dev/nullb%ld", index);
	}
	if (access(dev, F_OK))
		t_die("no %s", dev);
}

/* requests that the host's disk has now: "reads writes" */
static unsigned int in_flight(const char *dev)
{
	char path[128];
	unsigned int reads = 0, writes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/block/%s/inflight", dev + 5);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%u %u", &reads, &writes) != 2)
		t_die("cannot read %s", path);
	fclose(f);
	return reads + writes;
}

/* requests that the host's disk has read so far */
static long reads_of(const char *dev)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/block/%s/stat", dev + 5);
	return t_read_long(path);
}

FIXTURE(disk)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	struct t_dev *d;
	struct t_vq *q;
	char dev[64];
	int fd;
};

FIXTURE_SETUP(disk)
{
	const char *why = no_null_blk();

	if (!(t_cap(VMM_CAP_VIRTIO) & (1 << VMM_DEVICE_BLK)))
		why = "vmm_virtio is not loaded";
	if (why)
		SKIP(return, "%s", why);
	t_kicks();
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	self->d = t_dev_new(self->v, VMM_DEVICE_BLK);
	self->q = &self->d->vq[0];
}

FIXTURE_TEARDOWN(disk)
{
	if (!self->d)
		return;
	close(self->d->fd);
	close(self->fd);
	remove_disk("vmmtest");
}

/* a sector is full of its own number, from byte to byte the next one of it */
static void pattern(uint8_t *p, uint64_t sector, unsigned int nr)
{
	unsigned int i, j;

	for (i = 0; i < nr; i++)
		for (j = 0; j < 512; j++)
			p[512 * i + j] = (sector + i) >> (j & 1 ? 8 : 0);
}

static bool is_pattern(const uint8_t *p, uint64_t sector, unsigned int nr)
{
	uint8_t want[512];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		pattern(want, sector + i, 1);
		if (memcmp(p + 512 * i, want, 512))
			return false;
	}
	return true;
}

static void fill(const char *dev)
{
	uint8_t *all = t_alloc(DISK_MIB << 20, 4096);
	int fd = open(dev, O_WRONLY | O_DIRECT | O_CLOEXEC);

	pattern(all, 0, SECTORS);
	if (fd < 0 || write(fd, all, DISK_MIB << 20) != DISK_MIB << 20)
		t_die("write to %s: %s", dev, strerror(errno));
	close(fd);
	munmap(all, DISK_MIB << 20);
}

static void use(struct t_dev *d, int fd, uint32_t flags, uint64_t sectors)
{
	struct vmm_blk_setup s = { .fd = fd, .capacity = sectors, .queues = 1, .flags = flags };
	int r = t_ioctl(d->fd, VMM_BLK_SETUP, &s);

	if (r)
		t_die("VMM_BLK_SETUP: %s", strerror(-r));
	t_dev_prepare(d, FEATURES, QUEUE, 0);
	t_dev_work(d, VMM_DEV_WORK_BLOCKING, 0);	/* a second one; t_dev_go() gives the first */
	t_dev_go(d);
}

/* a disk and the device on it, with O_DIRECT */
#define USE_DISK(block, delay)								\
	do {										\
		make_disk("vmmtest", block, delay, self->dev, sizeof(self->dev));	\
		if (!(delay))								\
			fill(self->dev);						\
		self->fd = open(self->dev, O_RDWR | O_DIRECT | O_CLOEXEC);		\
		ASSERT_LE(0, self->fd);							\
		use(self->d, self->fd, VMM_BLK_DIRECT, SECTORS);			\
	} while (0)

static unsigned int most_in_flight(const char *dev, struct t_vq *q, unsigned int until)
{
	unsigned int most = 0, now;

	while ((uint16_t)(q->used[1] - q->used_idx) < until) {
		now = in_flight(dev);
		most = now > most ? now : most;
		if (most >= DEPTH)
			break;
		t_sleep_ms(1);
	}
	return most;
}

/* 32 requests at once are 32 requests at once on the host's disk, and take as long as one */
TEST_F(disk, all_in_flight)
{
	uint64_t start, ms;
	unsigned int i;

	USE_DISK("512", DELAY_MS);
	for (i = 0; i < DEPTH; i++) {
		/* scattered, or the host would merge them */
		t_blk_request(self->q, 3 * i, i & 1 ? BLK_OUT : BLK_IN, 128 * i,
			      BUF + 4096 * i, 4096);
		t_vq_add(self->q, 3 * i);
	}
	start = t_now_ns();
	t_vq_notify(self->d, 0);
	EXPECT_EQ(DEPTH, most_in_flight(self->dev, self->q, DEPTH));
	ASSERT_TRUE(t_vq_wait(self->q, DEPTH, 60000 * t_scale()));
	ms = (t_now_ns() - start) / 1000000;
	EXPECT_LE(DELAY_MS, ms);
	EXPECT_GT(DELAY_MS * DEPTH / 2, ms) TH_LOG("%lu ms: one after the other", (long)ms);
	for (i = 0; i < DEPTH; i++)
		EXPECT_EQ(0, t_blk_status(self->vm, 3 * i));
	EXPECT_EQ(0, in_flight(self->dev));
	t_dev_quit(self->d);
}

/* a FLUSH takes two delays here: what is dirty in the host's cache, then the disk's own FLUSH */
static void dirty_cache(const char *dev)
{
	uint8_t page[4096];
	int fd = open(dev, O_RDWR | O_CLOEXEC);

	memset(page, 0xdd, sizeof(page));
	if (fd < 0 || pwrite(fd, page, 4096, (DISK_MIB << 20) - 4096) != 4096)
		t_die("buffered write: %s", strerror(errno));
	/* left open: the last close would write it back */
}

TEST_F(disk, read_passes_a_flush)
{
	uint32_t head;

	USE_DISK("512", DELAY_MS);
	dirty_cache(self->dev);
	t_blk_request(self->q, 0, BLK_FLUSH, 0, 0, 0);
	t_blk_request(self->q, 3, BLK_IN, 64, BUF, 4096);
	t_blk_request(self->q, 6, BLK_OUT, 640, BUF + 4096, 4096);
	t_vq_add(self->q, 0);
	t_vq_add(self->q, 3);
	t_vq_add(self->q, 6);
	t_vq_notify(self->d, 0);
	ASSERT_TRUE(t_vq_wait(self->q, 2, 30000 * t_scale()));
	EXPECT_EQ(T_BLK_NO_STATUS, t_blk_status(self->vm, 0)) TH_LOG("the FLUSH was faster");
	head = t_vq_used(self->q, NULL);
	EXPECT_TRUE(head == 3 || head == 6);
	head = t_vq_used(self->q, NULL);
	EXPECT_TRUE(head == 3 || head == 6);
	ASSERT_TRUE(t_vq_wait(self->q, 1, 30000 * t_scale()));
	EXPECT_EQ(0, t_vq_used(self->q, NULL));
	EXPECT_EQ(0, t_blk_status(self->vm, 0));
	EXPECT_EQ(0, t_blk_status(self->vm, 3));
	EXPECT_EQ(0, t_blk_status(self->vm, 6));
	t_dev_quit(self->d);
}

/* STOP waits for what is in flight, and no longer where a signal comes; then it is to be called
 * again, and nothing new is taken meanwhile */
static void *stop_it(void *arg)
{
	return (void *)(long)t_ioctl(*(int *)arg, VMM_DEV_STOP, NULL);
}

TEST_F(disk, stop_with_requests_in_flight)
{
	unsigned int i;
	pthread_t id;
	void *ret;

	USE_DISK("512", 4 * DELAY_MS);
	for (i = 0; i < DEPTH; i++) {
		t_blk_request(self->q, 3 * i, BLK_IN, 128 * i, BUF + 4096 * i, 4096);
		t_vq_add(self->q, 3 * i);
	}
	t_vq_notify(self->d, 0);
	ASSERT_EQ(DEPTH, most_in_flight(self->dev, self->q, DEPTH));
	pthread_create(&id, NULL, stop_it, &self->d->fd);
	t_sleep_ms(100);
	pthread_kill(id, SIGUSR1);
	pthread_join(id, &ret);
	EXPECT_EQ(-EINTR, (long)ret);
	EXPECT_EQ(0, (uint16_t)(self->q->used[1] - self->q->used_idx));
	t_blk_request(self->q, 100, BLK_IN, 0, BUF, 512);
	t_vq_add(self->q, 100);
	t_vq_notify(self->d, 0);
	EXPECT_OK(t_ioctl(self->d->fd, VMM_DEV_STOP, NULL));
	EXPECT_EQ(0, in_flight(self->dev));
	EXPECT_EQ(DEPTH, (uint16_t)(self->q->used[1] - self->q->used_idx));
	for (i = 0; i < DEPTH; i++)
		EXPECT_EQ(0, t_blk_status(self->vm, 3 * i));
	EXPECT_EQ(T_BLK_NO_STATUS, t_blk_status(self->vm, 100)) TH_LOG("taken while STOP waited");
	t_dev_quit(self->d);
}

/* without threads to block in, the queue's own waits for each request; a signal need not wait for all */
static void *serve(void *arg)
{
	struct vmm_dev_work work = { .role = VMM_DEV_WORK_QUEUE };

	return (void *)(long)t_ioctl(*(int *)arg, VMM_DEV_WORK, &work);
}

TEST_F(disk, signal_between_requests)
{
	struct vmm_blk_setup s = { .capacity = SECTORS, .queues = 1 };
	unsigned int i;
	pthread_t id;
	void *ret;

	make_disk("vmmtest", "512", DELAY_MS, self->dev, sizeof(self->dev));
	self->fd = open(self->dev, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	s.fd = self->fd;
	ASSERT_OK(t_ioctl(self->d->fd, VMM_BLK_SETUP, &s));
	t_dev_prepare(self->d, FEATURES, QUEUE, 0);
	ASSERT_OK(t_ioctl(self->d->fd, VMM_DEV_START, NULL));
	for (i = 0; i < 8; i++) {
		/* a MiB apart: no read ahead serves two */
		t_blk_request(self->q, 3 * i, BLK_IN, 2048 * i, BUF + 4096 * i, 4096);
		t_vq_add(self->q, 3 * i);
	}
	t_vq_notify(self->d, 0);
	ASSERT_EQ(0, pthread_create(&id, NULL, serve, &self->d->fd));
	while (!in_flight(self->dev))
		t_sleep_ms(1);
	pthread_kill(id, SIGUSR1);
	pthread_join(id, &ret);
	EXPECT_EQ(-EINTR, (long)ret);
	EXPECT_GT(8, reads_of(self->dev));
	t_dev_work(self->d, VMM_DEV_WORK_QUEUE, 0);
	EXPECT_TRUE(t_vq_wait(self->q, 8, 30000 * t_scale()));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(0, t_blk_status(self->vm, 3 * i));
	t_dev_quit(self->d);
}

/* the pool went, and STOP does what it left; a signal ends that after the request at hand */
static void *lend(void *arg)
{
	struct vmm_dev_work work = { .role = VMM_DEV_WORK_BLOCKING };

	return (void *)(long)t_ioctl(*(int *)arg, VMM_DEV_WORK, &work);
}

TEST_F(disk, signal_while_stop_does_the_work)
{
	struct vmm_blk_setup s = { .capacity = SECTORS, .queues = 1 };
	pthread_t queue, pool, stop;
	unsigned int i;
	void *ret;

	make_disk("vmmtest", "512", DELAY_MS, self->dev, sizeof(self->dev));
	/* writes that wait for the disk: a read would have begun for each at once */
	self->fd = open(self->dev, O_RDWR | O_DSYNC | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	s.fd = self->fd;
	ASSERT_OK(t_ioctl(self->d->fd, VMM_BLK_SETUP, &s));
	t_dev_prepare(self->d, FEATURES, QUEUE, 0);
	ASSERT_OK(t_ioctl(self->d->fd, VMM_DEV_START, NULL));
	for (i = 0; i < 8; i++) {
		t_blk_request(self->q, 3 * i, BLK_OUT, 2048 * i, BUF + 4096 * i, 4096);
		t_vq_add(self->q, 3 * i);
	}
	ASSERT_EQ(0, pthread_create(&pool, NULL, lend, &self->d->fd));
	t_sleep_ms(100);
	ASSERT_EQ(0, pthread_create(&queue, NULL, serve, &self->d->fd));
	while (!in_flight(self->dev))
		t_sleep_ms(1);
	/* by now the queue's thread has handed on all of them */
	t_sleep_ms(DELAY_MS / 2);
	pthread_kill(queue, SIGUSR1);
	pthread_join(queue, &ret);
	EXPECT_EQ(-EINTR, (long)ret);
	pthread_kill(pool, SIGUSR1);
	pthread_join(pool, &ret);
	EXPECT_EQ(-EINTR, (long)ret);

	ASSERT_EQ(0, pthread_create(&stop, NULL, stop_it, &self->d->fd));
	while (!in_flight(self->dev))
		t_sleep_ms(1);
	pthread_kill(stop, SIGUSR1);
	pthread_join(stop, &ret);
	EXPECT_EQ(-EINTR, (long)ret);
	EXPECT_OK(t_ioctl(self->d->fd, VMM_DEV_STOP, NULL));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(0, t_blk_status(self->vm, 3 * i));
}

/* the process ends with requests in flight: nothing is left of it when they are over */
TEST_F(disk, killed_with_requests_in_flight)
{
	unsigned int i, ms;
	int status;
	pid_t pid;

	make_disk("vmmtest", "512", 2 * DELAY_MS, self->dev, sizeof(self->dev));
	pid = fork();
	if (!pid) {
		struct t_vm *vm = t_vm_new();
		struct t_dev *d = t_dev_new(t_vcpu_new(vm, 0), VMM_DEVICE_BLK);

		use(d, open(self->dev, O_RDWR | O_DIRECT | O_CLOEXEC), VMM_BLK_DIRECT, SECTORS);
		for (i = 0; i < DEPTH; i++) {
			t_blk_request(&d->vq[0], 3 * i, BLK_IN, 128 * i, BUF + 4096 * i, 4096);
			t_vq_add(&d->vq[0], 3 * i);
		}
		t_vq_notify(d, 0);
		if (most_in_flight(self->dev, &d->vq[0], DEPTH) < DEPTH)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	for (ms = 0; ms < 20000 && in_flight(self->dev); ms++)
		t_sleep_ms(1);
	EXPECT_EQ(0, in_flight(self->dev));
}

/* data is right whatever path it takes: aligned and direct, or not aligned and so by the host's
 * cache, one after the other on the same sectors */
TEST_F(disk, what_is_not_aligned)
{
	uint8_t *mem = t_gpa(self->vm, BUF, 65536);
	unsigned int i;

	USE_DISK("4096", 0);
	/* memory at an odd address */
	EXPECT_EQ(0, t_blk_one(self->d, BLK_IN, 80, BUF + 1, 4096, NULL));
	EXPECT_TRUE(is_pattern(mem + 1, 80, 8));
	/* less than one block of the disk, at no border of one */
	EXPECT_EQ(0, t_blk_one(self->d, BLK_IN, 83, BUF, 512, NULL));
	EXPECT_TRUE(is_pattern(mem, 83, 1));
	for (i = 0; i < 8; i++) {
		/* written in one way, read in the other */
		bool direct = i & 1;
		uint64_t at = direct ? 160 + 8 * i : 161 + 8 * i;
		unsigned int nr = direct ? 8 : 3;

		pattern(mem + 8192, 1000 + i, nr);
		EXPECT_EQ(0, t_blk_one(self->d, BLK_OUT, at, BUF + 8192, 512 * nr, NULL));
		EXPECT_EQ(0, t_blk_one(self->d, BLK_IN, 160 + 8 * i, BUF + 16384, 4096, NULL));
		EXPECT_TRUE(is_pattern(mem + 16384 + 512 * !direct, 1000 + i, nr))
		TH_LOG("round %u, read directly", i);
		EXPECT_EQ(0, t_blk_one(self->d, BLK_IN, at, BUF + 24577, 512 * nr, NULL));
		EXPECT_TRUE(is_pattern(mem + 24577, 1000 + i, nr))
		TH_LOG("round %u, read by the cache", i);
		if (!direct)
			EXPECT_TRUE(is_pattern(mem + 16384, 160 + 8 * i, 1))
			TH_LOG("the rest of the block");
	}
	EXPECT_EQ(0, t_blk_one(self->d, BLK_FLUSH, 0, 0, 0, NULL));
	EXPECT_EQ(VMM_DEV_RUNNING, t_dev_state(self->d));
	t_dev_quit(self->d);
}

/* sectors that the host's disk cannot read or write: an error of that request, and an event */
static void host_errors(struct __test_metadata *_metadata, struct t_dev *d, uint64_t bad)
{
	struct pollfd p = { .fd = d->fd, .events = POLLIN };
	struct vmm_dev_events ev;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(1, t_blk_one(d, i ? BLK_OUT : BLK_IN, bad - 4, BUF, 4096, NULL))
		TH_LOG("%s a bad sector", i ? "writing" : "reading");
		EXPECT_EQ(1, poll(&p, 1, 5000));
		memset(&ev, 0, sizeof(ev));
		EXPECT_OK(t_ioctl(d->fd, VMM_DEV_GET_EVENTS, &ev));
		EXPECT_EQ(VMM_DEV_EVENT_HOST_ERROR, ev.events);
		EXPECT_EQ(EIO, ev.host_errno);
		EXPECT_EQ(0, t_blk_one(d, BLK_IN, bad + 64, BUF, 4096, NULL));
	}
	EXPECT_EQ(VMM_DEV_RUNNING, t_dev_state(d));
}

TEST_F(disk, errors_direct)
{
	USE_DISK("512", 0);
	ASSERT_TRUE(set("vmmtest", "badblocks", "+4096-4096"));
	host_errors(_metadata, self->d, 4096);
	t_dev_quit(self->d);
}

/* buffered: reads fail at once, a write that the cache has taken makes the FLUSH fail */
TEST_F(disk, errors_buffered)
{
	struct vmm_dev_events ev = { 0 };

	make_disk("vmmtest", "512", 0, self->dev, sizeof(self->dev));
	fill(self->dev);
	self->fd = open(self->dev, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	use(self->d, self->fd, 0, SECTORS);
	ASSERT_TRUE(set("vmmtest", "badblocks", "+4096-4103"));
	EXPECT_EQ(1, t_blk_one(self->d, BLK_IN, 4096, BUF, 4096, NULL));
	EXPECT_OK(t_ioctl(self->d->fd, VMM_DEV_GET_EVENTS, &ev));
	EXPECT_EQ(VMM_DEV_EVENT_HOST_ERROR, ev.events);
	EXPECT_EQ(0, t_blk_one(self->d, BLK_OUT, 4096, BUF, 4096, NULL));
	EXPECT_EQ(1, t_blk_one(self->d, BLK_FLUSH, 0, 0, 0, NULL));
	EXPECT_OK(t_ioctl(self->d->fd, VMM_DEV_GET_EVENTS, &ev));
	EXPECT_EQ(VMM_DEV_EVENT_HOST_ERROR, ev.events);
	EXPECT_EQ(EIO, ev.host_errno);
	EXPECT_EQ(0, t_blk_one(self->d, BLK_FLUSH, 0, 0, 0, NULL)) TH_LOG("told twice");
	EXPECT_EQ(0, t_blk_one(self->d, BLK_IN, 8, BUF, 4096, NULL));
	t_dev_quit(self->d);
}

/* the image becomes shorter than the device: an error, no end of it */
TEST_F(disk, image_truncated)
{
	self->fd = memfd_create("disk", MFD_CLOEXEC);
	ASSERT_EQ(0, ftruncate(self->fd, 1 << 20));
	use(self->d, self->fd, 0, 2048);
	EXPECT_EQ(0, t_blk_one(self->d, BLK_IN, 1024, BUF, 4096, NULL));
	ASSERT_EQ(0, ftruncate(self->fd, 512 * 1028));
	EXPECT_EQ(0, t_blk_one(self->d, BLK_IN, 1024, BUF, 2048, NULL));
	EXPECT_EQ(1, t_blk_one(self->d, BLK_IN, 1024, BUF, 4096, NULL)) TH_LOG("partly");
	EXPECT_EQ(1, t_blk_one(self->d, BLK_IN, 1028, BUF, 512, NULL)) TH_LOG("wholly");
	EXPECT_EQ(0, t_blk_one(self->d, BLK_OUT, 2047, BUF, 512, NULL)) TH_LOG("it grows again");
	EXPECT_EQ(0, t_blk_one(self->d, BLK_IN, 1028, BUF, 512, NULL));
	t_dev_quit(self->d);
}

VMM_TEST_MAIN
