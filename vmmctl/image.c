// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dev/host.h"
#include "image.h"

#define PIPE_MAX	(1ul << 30)
#define CONVERT(x)	"a " x " image: convert it (qemu-img convert -O raw), give it by -d"

static int map_file(struct image *img, int fd, size_t size, struct error *e)
{
	void *p;

	if (!size)
		return error_set(e, "%s is empty", img->name);
	p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return error_set(e, "%s: %s", img->name, strerror(errno));
	img->data = p;
	img->size = size;
	return 0;
}

/* a pipe has no size: grow as it comes */
static int slurp(struct image *img, int fd, struct error *e)
{
	size_t room = 1 << 20, used = 0;
	uint8_t *buf = malloc(room);

	while (buf) {
		ssize_t n = read(fd, buf + used, room - used);
		void *grown;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			error_set(e, "%s: %s", img->name, strerror(errno));
			free(buf);
			return -1;
		}
		if (!n) {
			img->data = buf;
			img->size = used;
			return used ? 0 : error_set(e, "%s is empty", img->name);
		}

		used += n;
		if (used < room)
			continue;
		room *= 2;
		grown = room <= PIPE_MAX ? realloc(buf, room) : NULL;
		if (!grown)
			free(buf);
		buf = grown;
	}
	return error_set(e, "%s: too long to be read from a pipe", img->name);
}

int image_from_fd(struct image *img, int fd, const char *name, struct error *e)
{
	struct stat st;

	*img = (struct image){ .name = name };
	if (fstat(fd, &st))
		return error_set(e, "%s: %s", name, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return error_set(e, "%s is a directory", name);
	if (S_ISREG(st.st_mode))
		return map_file(img, fd, st.st_size, e);
	if (S_ISFIFO(st.st_mode))
		return slurp(img, fd, e);
	return error_set(e, "%s is neither a file nor a pipe", name);
}

int image_open(struct image *img, const char *path, const char *what, struct error *e)
{
	int ret, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		error_set(e, "%s %s: %s", what, path, strerror(errno));
		if (errno == EACCES && !strncmp(path, "/boot/", 6))
			error_add(e, "; as root: chmod a+r %s, or copy it", path);
		return -1;
	}
	ret = image_from_fd(img, fd, path, e);
	close(fd);
	return ret;
}

const char *image_describe(const struct image *img)
{
	static const struct {
		size_t offset;
		unsigned char len;
		const char *magic, *text;
	} known[] = {
		{ 0, 2, "\x1f\x8b", "a gzip file: unpack it first (zcat FILE > KERNEL)" },
		{ 0, 6, "\xfd\067zXZ", "an xz file: unpack it first (xzcat FILE > KERNEL)" },
		{ 0, 4, "\x28\xb5\x2f\xfd", "a zstd file: unpack it first (zstd -d FILE)" },
		{ 0, 3, "BZh", "a bzip2 file: unpack it first (bzcat FILE > KERNEL)" },
		{ 0, 4, "\x02!L\x18", "an lz4 file: unpack it first (lz4cat FILE > KERNEL)" },
		{ 0, 6, "070701", "a cpio archive, maybe an initrd: give that by -i" },
		{ 0, 4, "QFI\xfb", CONVERT("qcow2") },
		{ 0, 4, "KDMV", CONVERT("VMDK") },
		{ 0, 8, "vhdxfile", CONVERT("VHDX") },
		{ 0x8001, 5, "CD001", "an ISO image" },
		{ 0x200, 8, "EFI PART", "a disk image: give it by -d" },
		{ 0x438, 2, "\x53\xef", "an ext2/3/4 file system: give it by -d" },
		{ 56, 4, "ARM\x64", "a kernel for 64-bit ARM" },
		{ 0, 4, "\177ELF", "an ELF file" },
		{ 0, 2, "MZ", "an EFI or Windows program" },
		{ 0, 2, "#!", "a script" },
		{ 0, 7, "!<arch>", "a package or an archive" },
		{ 510, 2, "\x55\xaa", "a boot sector or a disk image: give a disk by -d" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (img->size >= known[i].offset + known[i].len &&
		    !memcmp(img->data + known[i].offset, known[i].magic, known[i].len))
			return known[i].text;
	}
	return NULL;
}
