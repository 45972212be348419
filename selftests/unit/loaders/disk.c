// SPDX-License-Identifier: GPL-2.0
/*
 * Disks: options, sizes, claims.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "unit.h"

static char path[64];

static void make_file(off_t size)
{
	int fd;

	strcpy(path, "/tmp/vmm-unit-disk-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, size))
		abort();
	close(fd);
}

static int open_as(struct disk *d, bool readonly, struct error *e)
{
	struct disk_option opt = { .path = path, .readonly = readonly };

	return disk_open(d, &opt, e);
}

UNIT_TEST(disk_size)
{
	struct disk d;
	struct error e;

	make_file(1 << 20);
	ASSERT_EQ(open_as(&d, false, &e), 0);
	EXPECT_EQ(d.sectors, 2048);
	EXPECT_EQ(fcntl(d.fd, F_GETFL) & O_ACCMODE, O_RDWR);
	EXPECT_EQ(fcntl(d.fd, F_GETFL) & O_NONBLOCK, 0);
	EXPECT_EQ(fcntl(d.fd, F_GETFD), FD_CLOEXEC);
	close(d.fd);

	/* the tail that is no whole sector is not there */
	ASSERT_EQ(truncate(path, (1 << 20) + 511), 0);
	ASSERT_EQ(open_as(&d, true, &e), 0);
	EXPECT_EQ(d.sectors, 2048);
	EXPECT_EQ(fcntl(d.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(d.fd);

	ASSERT_EQ(truncate(path, 511), 0);
	EXPECT(open_as(&d, false, &e));
	EXPECT(strstr(e.text, "empty"));
	unlink(path);

	EXPECT(open_as(&d, false, &e));
	EXPECT(strstr(e.text, "No such file"));
}

UNIT_TEST(disk_must_be_a_file)
{
	struct disk_option dir = { .path = (char *)"/tmp" }, null = { .path = (char *)"/dev/null" };
	struct disk d;
	struct error e;

	EXPECT(disk_open(&d, &dir, &e));
	EXPECT(strstr(e.text, "neither"));
	EXPECT(disk_open(&d, &null, &e));
	EXPECT(strstr(e.text, "neither"));
}

UNIT_TEST(disk_must_be_raw)
{
	static const struct { const char *start, *name; } formats[] = {
		{ "QFI\xfb\0\0\0\3", "qcow2" }, { "KDMV\1\0\0\0", "VMDK" }, { "vhdxfile", "VHDX" },
	};
	struct disk d;
	struct error e;
	unsigned int i;
	int fd;

	make_file(1 << 20);
	fd = open(path, O_WRONLY);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(pwrite(fd, formats[i].start, 8, 0), 8);
		EXPECT(open_as(&d, false, &e));
		EXPECT(strstr(e.text, formats[i].name));
		EXPECT(strstr(e.text, "qemu-img convert -O raw"));
		EXPECT(open_as(&d, true, &e));
	}
	/* anywhere else that is data */
	ASSERT_EQ(pwrite(fd, "\0QFI\xfb\0\0\0", 8, 0), 8);
	ASSERT_EQ(open_as(&d, false, &e), 0);
	close(d.fd);
	close(fd);
	unlink(path);
}

UNIT_TEST(disk_claims)
{
	struct disk a, b, c;
	struct error e;

	make_file(1 << 20);
	/* one writer */
	ASSERT_EQ(open_as(&a, false, &e), 0);
	EXPECT(open_as(&b, false, &e));
	EXPECT(strstr(e.text, "in use"));
	EXPECT(open_as(&b, true, &e));
	close(a.fd);
	/* or readers */
	ASSERT_EQ(open_as(&a, true, &e), 0);
	ASSERT_EQ(open_as(&b, true, &e), 0);
	EXPECT(open_as(&c, false, &e));
	close(a.fd);
	EXPECT(open_as(&c, false, &e));
	close(b.fd);
	ASSERT_EQ(open_as(&c, false, &e), 0);
	close(c.fd);
	unlink(path);
}

UNIT_TEST(disk_names_the_holder)
{
	int to_parent[2], to_child[2];
	char c, pid_text[32];
	struct disk d;
	struct error e;
	pid_t pid;

	make_file(1 << 20);
	ASSERT(!pipe(to_parent) && !pipe(to_child));
	pid = fork();
	if (!pid) {
		close(to_child[1]);
		if (open_as(&d, false, &e) || write(to_parent[1], "", 1) != 1)
			_exit(1);
		_exit(read(to_child[0], &c, 1) != 0);
	}
	close(to_child[0]);
	ASSERT_EQ(read(to_parent[0], &c, 1), 1);
	EXPECT(open_as(&d, false, &e));
	snprintf(pid_text, sizeof(pid_text), "bootdisk (pid %d)", pid);
	if (!strstr(e.text, pid_text))
		FAIL("\"%s\" does not name %s", e.text, pid_text);
	close(to_child[1]);
	waitpid(pid, NULL, 0);
	close(to_parent[0]);
	close(to_parent[1]);

	/* the claim went with its holder */
	ASSERT_EQ(open_as(&d, false, &e), 0);
	close(d.fd);
	unlink(path);
}

UNIT_TEST(disk_reader_does_not_end_the_claim)
{
	struct disk a, b;
	struct error e;
	int fd;

	make_file(1 << 20);
	ASSERT_EQ(open_as(&a, false, &e), 0);
	fd = disk_reader(&a, &e);
	ASSERT(fd >= 0);
	EXPECT_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
	EXPECT(open_as(&b, false, &e));
	close(a.fd);
	unlink(path);
}
