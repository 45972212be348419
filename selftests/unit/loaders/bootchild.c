// SPDX-License-Identifier: GPL-2.0
/*
 * A child that was taken over by the disk that it read, and says what it likes.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bootdisk.h"
#include "unit.h"

static bool succeed;

/* in place of bootdisk.c's, in the child */
int bootdisk_search(const struct boot_search *s, bool want_kernel, struct boot_files *out,
		    struct error *e)
{
	memset(e->text, 'x', sizeof(e->text));
	memcpy(e->text, "a\033[2Jb\233c\302\233d\177\r\ne", 15);
	memset(out->kernel_path, 'x', sizeof(out->kernel_path));
	memcpy(out->kernel_path, "/boot/vmlinuz-1\033]0;title\a", 25);
	strcpy(out->root_uuid, "\b\b");
	return succeed && write(s->kernel_fd, "k", 1) == 1 ? 0 : -1;
}

static int find(struct boot_files *f, struct error *e)
{
	int fd = memfd_create("disk", 0), ret;
	struct disk d = { .fd = fd, .sectors = 8, .path = "disk" };

	ret = ftruncate(fd, 4096) ? -1 : bootdisk_find(&d, 1, true, f, e);
	close(fd);
	return ret;
}

static bool is_clean(const char *s, size_t size)
{
	const char *end = memchr(s, '\0', size);

	for (; end && s < end; s++) {
		if ((*s < ' ' || *s > '~') && *s != '\n')
			return false;
	}
	return end;
}

UNIT_TEST(bootchild_error)
{
	struct boot_files f = {};
	struct error e = {};

	succeed = false;
	EXPECT_EQ(find(&f, &e), -1);
	EXPECT(is_clean(e.text, sizeof(e.text)));
	EXPECT(!strncmp(e.text, "a?[2Jb?c??d??\nex", 16));
}

UNIT_TEST(bootchild_files)
{
	struct boot_files f = {};
	struct error e = {};

	succeed = true;
	if (find(&f, &e)) {
		FAIL("%s", e.text);
		return;
	}
	EXPECT(is_clean(f.kernel_path, sizeof(f.kernel_path)));
	EXPECT(!strncmp(f.kernel_path, "/boot/vmlinuz-1?]0;title?", 25));
	EXPECT_STREQ(f.root_uuid, "??");
	munmap((void *)f.kernel.data, f.kernel.size);
}

UNIT_MAIN()
