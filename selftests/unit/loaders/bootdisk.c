// SPDX-License-Identifier: GPL-2.0
/*
 * Kernels found on disks that mkfs.ext4 made.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bootdisk.h"
#include "dev/host.h"
#include "unit.h"
#include "version.h"

#define UUID	"12345678-9abc-4def-8123-456789abcdef"

static char dir[64];

__attribute__((format(printf, 1, 2)))
static bool run(const char *fmt, ...)
{
	char cmd[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd) == 0;
}

/* @script fills the directory "root"; the image is made by @make from it */
static bool make_disk(const char *script, const char *make)
{
	strcpy(dir, "/tmp/vmm-unit-bootdisk-XXXXXX");
	if (!mkdtemp(dir))
		return false;
	return run("cd %s && mkdir root && (cd root && %s)", dir, script) &&
	       run("cd %s && PATH=$PATH:/sbin:/usr/sbin && (%s) >log 2>&1 || { cat log; false; }",
		   dir, make);
}

static void drop_disk(void)
{
	run("rm -rf %s", dir);
}

static int find(bool want_kernel, struct boot_files *f, struct error *e)
{
	struct disk_option opt;
	struct disk d;
	char path[128];
	int ret;

	snprintf(path, sizeof(path), "%s/img", dir);
	opt = (struct disk_option){ .path = path };
	if (disk_open(&d, &opt, e))
		return -1;
	ret = bootdisk_find(&d, 1, want_kernel, f, e);
	close(d.fd);
	return ret;
}

static void release(struct boot_files *f)
{
	if (f->kernel.data)
		munmap((void *)f->kernel.data, f->kernel.size);
	if (f->initrd.data)
		munmap((void *)f->initrd.data, f->initrd.size);
}

#define DEBIAN	"mkdir -p boot etc sbin; : >sbin/init; cd boot; "	\
		"echo old >vmlinuz-6.1.0-9-amd64; "			\
		"echo new >vmlinuz-6.1.0-10-amd64; "			\
		"echo left >vmlinuz-6.1.0-11-amd64.old; "		\
		"echo oldrd >initrd.img-6.1.0-9-amd64; "		\
		"echo newrd >initrd.img-6.1.0-10-amd64"
#define EXT4	"mkfs.ext4 -q -F -U " UUID " -d root img 16M"

UNIT_TEST(bootdisk_whole_disk)
{
	struct boot_files f;
	struct error e;

	ASSERT(make_disk(DEBIAN, EXT4));
	if (find(true, &f, &e)) {
		FAIL("%s", e.text);
	} else {
		EXPECT_STREQ(f.kernel_path, "/boot/vmlinuz-6.1.0-10-amd64");
		EXPECT_STREQ(f.initrd_path, "/boot/initrd.img-6.1.0-10-amd64");
		EXPECT_EQ(f.kernel.size, 4);
		EXPECT_MEMEQ(f.kernel.data, "new\n", 4);
		EXPECT_EQ(f.initrd.size, 6);
		EXPECT_MEMEQ(f.initrd.data, "newrd\n", 6);
		EXPECT_STREQ(f.root_dev, "/dev/vda");
		EXPECT_STREQ(f.root_uuid, UUID);
		release(&f);
	}
	drop_disk();
}

/* who started vmmctl ignored SIGCHLD, and vmmctl inherits that */
UNIT_TEST(bootdisk_sigchld_ignored)
{
	struct boot_files f;
	struct error e;

	ASSERT(make_disk(DEBIAN, EXT4));
	signal(SIGCHLD, SIG_IGN);
	if (find(true, &f, &e)) {
		FAIL("%s", e.text);
	} else {
		EXPECT_MEMEQ(f.kernel.data, "new\n", 4);
		release(&f);
	}
	EXPECT(signal(SIGCHLD, SIG_DFL) == SIG_IGN);
	drop_disk();
}

/* what sfdisk says about the image in @label; the file system lies in its second partition */
static void partitioned(const char *label, const char *make_fs, const char *root_dev)
{
	struct boot_files f;
	char make[1024];
	struct error e;

	snprintf(make, sizeof(make),
		 "truncate -s 40M img; printf 'label: %s\\n,8M\\n,\\n' | sfdisk -q img;\n"
		 "s=$(sfdisk -d img | sed -n 's/^img2 : start= *\\([0-9]*\\),.*/\\1/p');\n"
		 "%s -q -F -U " UUID " -d root -E offset=$((s * 512)) img 16M", label, make_fs);
	ASSERT(make_disk(DEBIAN, make));
	if (find(true, &f, &e)) {
		FAIL("%s: %s", label, e.text);
	} else {
		EXPECT_MEMEQ(f.kernel.data, "new\n", 4);
		EXPECT_STREQ(f.root_dev, root_dev);
		EXPECT_STREQ(f.root_uuid, UUID);
		release(&f);
	}
	drop_disk();
}

UNIT_TEST(bootdisk_gpt)
{
	partitioned("gpt", "mkfs.ext4", "/dev/vda2");
}

UNIT_TEST(bootdisk_mbr)
{
	partitioned("dos", "mkfs.ext4", "/dev/vda2");
}

UNIT_TEST(bootdisk_ext2_and_ext3)
{
	partitioned("dos", "mkfs.ext2", "/dev/vda2");
	partitioned("gpt", "mkfs.ext3", "/dev/vda2");
}

UNIT_TEST(bootdisk_links)
{
	struct boot_files f;
	struct error e;

	/* as old Debian has it, absolute and relative */
	ASSERT(make_disk("mkdir -p boot/x; echo k >boot/x/kernel; echo i >boot/x/rd; "
			 "ln -s boot/x/kernel vmlinuz; ln -s /boot/x/rd initrd.img", EXT4));
	if (find(true, &f, &e)) {
		FAIL("%s", e.text);
	} else {
		EXPECT_STREQ(f.kernel_path, "/vmlinuz");
		EXPECT_MEMEQ(f.kernel.data, "k\n", 2);
		EXPECT_STREQ(f.initrd_path, "/initrd.img");
		EXPECT_MEMEQ(f.initrd.data, "i\n", 2);
		EXPECT_STREQ(f.root_dev, "");
		release(&f);
	}
	drop_disk();
}

/* kernels in a partition of their own; the root is named by GRUB's configuration */
UNIT_TEST(bootdisk_separate_boot)
{
	struct boot_files f;
	struct error e;

	ASSERT(make_disk("mkdir grub; echo k >vmlinuz-5.10; echo i >initramfs-5.10.img; "
			 "printf 'menuentry x {\\n\\tlinux /vmlinuz-5.9 root=/dev/a\\n' >grub/grub.cfg; "
			 "printf '\\tlinux\\t/vmlinuz-5.10 root=/dev/mapper/vg-root ro\\n}\\n' >>grub/grub.cfg",
			 EXT4));
	if (find(true, &f, &e)) {
		FAIL("%s", e.text);
	} else {
		EXPECT_STREQ(f.kernel_path, "/vmlinuz-5.10");
		EXPECT_STREQ(f.initrd_path, "/initramfs-5.10.img");
		EXPECT_STREQ(f.root_dev, "");
		EXPECT_STREQ(f.root_arg, "/dev/mapper/vg-root");
		release(&f);
	}
	drop_disk();
}

UNIT_TEST(bootdisk_without_kernel)
{
	struct boot_files f;
	struct error e;

	ASSERT(make_disk("mkdir -p etc sbin && : >sbin/init", EXT4));
	EXPECT(find(true, &f, &e));
	EXPECT(strstr(e.text, "no kernel in /boot"));
	/* for the root alone it will do */
	ASSERT_EQ(find(false, &f, &e), 0);
	EXPECT_STREQ(f.root_dev, "/dev/vda");
	EXPECT(!f.kernel.data);
	drop_disk();

	ASSERT(make_disk(":", "truncate -s 1M img"));
	EXPECT(find(true, &f, &e));
	EXPECT(strstr(e.text, "no ext2, ext3 or ext4"));
	drop_disk();
}

/* names that would do things to a terminal or a path are not taken */
UNIT_TEST(bootdisk_odd_names)
{
	struct boot_files f;
	struct error e;

	ASSERT(make_disk("mkdir boot; echo bad >\"boot/vmlinuz-9$(printf '\\033')[2J\"; "
			 "echo bad >'boot/vmlinuz-9 x'; echo bad >boot/vmlinuz-; "
			 "echo good >boot/vmlinuz-1", EXT4));
	if (find(true, &f, &e)) {
		FAIL("%s", e.text);
	} else {
		EXPECT_STREQ(f.kernel_path, "/boot/vmlinuz-1");
		EXPECT_STREQ(f.initrd_path, "");
		EXPECT(!f.initrd.data);
		release(&f);
	}
	drop_disk();
}

/* a large file, with holes, in many pieces */
UNIT_TEST(bootdisk_large_file)
{
	struct boot_files f;
	struct error e;
	size_t i, bad = 0;

	ASSERT(make_disk("mkdir boot; truncate -s 9M boot/vmlinuz-1; "
			 "printf x | dd of=boot/vmlinuz-1 bs=1 seek=5000000 conv=notrunc 2>/dev/null",
			 "mkfs.ext4 -q -F -d root img 32M"));
	if (find(true, &f, &e)) {
		FAIL("%s", e.text);
	} else {
		ASSERT_EQ(f.kernel.size, 9 << 20);
		for (i = 0; i < f.kernel.size; i++)
			bad += f.kernel.data[i] != (i == 5000000 ? 'x' : 0);
		EXPECT_EQ(bad, 0);
		release(&f);
	}
	drop_disk();
}

/* The search without its confinement, in a process of its own: whether it ends in good order */
static bool search_survives(const char *path)
{
	struct boot_search s = { .size = 2 << 20, .name = path };
	struct boot_files f;
	struct error e;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(60);
		s.fd = open(path, O_RDONLY);
		s.kernel_fd = open("/dev/null", O_WRONLY);
		s.initrd_fd = open("/dev/null", O_WRONLY);
		bootdisk_search(&s, true, &f, &e);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

/*
 * Damaged file systems: the answer is a kernel or an error, it comes, and neither library nor
 * search break over it.
 */
UNIT_TEST(bootdisk_damaged)
{
	uint64_t seed = 3;
	unsigned int i, j;
	char path[128];
	int fd;

	/* without checksums, so that damage gets far */
	ASSERT(make_disk(DEBIAN, "mkfs.ext4 -q -F -O ^metadata_csum -d root img 2M"));
	snprintf(path, sizeof(path), "%s/img", dir);
	ASSERT(run("cp %s %s.good", path, path));

	for (i = 0; i < 60; i++) {
		struct boot_files f;
		struct error e;

		ASSERT(run("cp %s.good %s", path, path));
		fd = open(path, O_RDWR);
		ASSERT(fd >= 0);
		for (j = 0; j < 40; j++) {
			uint8_t byte;
			off_t at;

			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			byte = seed >> 56;
			/* superblock and group descriptors, or anywhere in the metadata */
			at = (seed >> 24) % (j % 4 ? 400000 : 200) + 1024;
			if (pwrite(fd, &byte, 1, at) != 1)
				abort();
		}
		close(fd);
		e.text[0] = '\0';
		if (!find(true, &f, &e))
			release(&f);
		else
			EXPECT(e.text[0] != '\0');
		EXPECT(search_survives(path));
	}
	drop_disk();
}

/* A truncated image is an error, not a hang and not a crash. */
UNIT_TEST(bootdisk_cut_off)
{
	unsigned int kib;
	char path[128];

	ASSERT(make_disk(DEBIAN, "mkfs.ext4 -q -F -d root img 2M"));
	snprintf(path, sizeof(path), "%s/img", dir);
	for (kib = 1024; kib; kib /= 2) {
		struct boot_files f;
		struct error e = {};

		ASSERT_EQ(truncate(path, kib * 1024), 0);
		if (!find(true, &f, &e))
			release(&f);
		else
			EXPECT(e.text[0] != '\0');
	}
	drop_disk();
}

UNIT_TEST(version_order)
{
	static const char * const rising[] = {
		"1~rc1", "1", "1a", "1+", "2", "6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-56-amd64",
		"6.12.117+deb12-amd64", "10", "99999999999999999999999999",
		"100000000000000000000000000",
	};
	unsigned int i, j, n = ARRAY_SIZE(rising);

	for (i = 0; i < n; i++) {
		for (j = 0; j < n; j++) {
			int c = version_compare(rising[i], rising[j]);
			bool right = i < j ? c < 0 : i > j ? c > 0 : !c;

			if (!right)
				FAIL("%s and %s: %d", rising[i], rising[j], c);
		}
	}
	EXPECT_EQ(version_compare("1.01", "1.1"), 0);
	EXPECT_EQ(version_compare("", ""), 0);
	EXPECT(version_compare("", "a") < 0);
}

UNIT_MAIN()
