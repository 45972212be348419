// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dev/host.h"
#include "diagnose.h"
#include "disk.h"
#include "vmmctl.h"

#define SECTOR	512

static int explain_open(const struct disk *d, const struct stat *st, int err, struct error *e)
{
	switch (err) {
	case EBUSY:
		return explain_disk_in_use(d->path, st, e);
	case EACCES:
	case EPERM:
		return error_set(e, "disk %s: you may not %s it%s", d->path,
				 d->readonly ? "read" : "write",
				 d->readonly ? "" : "; to read only, give it with ,ro");
	case EROFS:
		return error_set(e, "disk %s lies on a read-only file system: give it with ,ro",
				 d->path);
	case EINVAL:
		if (d->direct)
			return error_set(e, "disk %s: its file system knows no direct I/O;\n"
					 "leave out ,direct", d->path);
		break;
	}
	return error_set(e, "disk %s: %s", d->path, strerror(err));
}

/* A kernel that was built without file locks answers EACCES, as if somebody had one. */
static bool kernel_has_locks(int fd)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	return !fcntl(fd, F_OFD_GETLK, &lock) || errno != EINVAL;
}

static int claim(const struct disk *d, const struct stat *st, struct error *e)
{
	struct flock lock = {
		.l_type = d->readonly ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	if (!fcntl(d->fd, F_OFD_SETLK, &lock))
		return 0;
	if (errno == EAGAIN || (errno == EACCES && kernel_has_locks(d->fd)))
		return explain_disk_in_use(d->path, st, e);
	/* such a kernel, and some network file systems */
	warn("disk %s cannot be locked:\n"
	     "see to it yourself that nothing else writes to it", d->path);
	return 0;
}

static int probe_size(struct disk *d, const struct stat *st, struct error *e)
{
	uint64_t bytes = st->st_size;
	int sector = SECTOR;

	if (S_ISBLK(st->st_mode)) {
		if (ioctl(d->fd, BLKGETSIZE64, &bytes))
			return error_set(e, "disk %s: its size cannot be had: %s", d->path,
					 strerror(errno));
		if (d->direct && !ioctl(d->fd, BLKSSZGET, &sector) && sector > SECTOR)
			return error_set(e, "disk %s has sectors of %d bytes: leave out ,direct",
					 d->path, sector);
	}

	d->sectors = bytes / SECTOR;
	if (!d->sectors)
		return error_set(e, "disk %s is empty", d->path);
	if (bytes % SECTOR)
		warn("disk %s is no multiple of %d bytes long:\n"
		     "the guest will not see the last %llu bytes", d->path, SECTOR,
		     (unsigned long long)bytes % SECTOR);
	return 0;
}

/* A guest would take the file of another format for a broken disk, and write over it. */
static int check_format(const struct disk *d, struct error *e)
{
	static const struct { const char *magic, *name; } formats[] = {
		{ "QFI\xfb", "qcow2" }, { "KDMV", "VMDK" }, { "vhdxfile", "VHDX" },
	};
	char path[64], start[8] = "";
	unsigned int i;
	int fd;

	/* O_DIRECT would want an aligned buffer */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", d->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (pread(fd, start, sizeof(start), 0) < 0)
		start[0] = '\0';
	close(fd);

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		if (!memcmp(start, formats[i].magic, strlen(formats[i].magic)))
			return error_set(e, "disk %s is a %s image, and it must be a raw one.\n"
					 "Type: qemu-img convert -O raw %s %s.img",
					 d->path, formats[i].name, d->path, d->path);
	}
	return 0;
}

int disk_open(struct disk *d, const struct disk_option *opt, struct error *e)
{
	int flags = opt->readonly ? O_RDONLY : O_RDWR;
	struct stat st, opened;

	*d = (struct disk){
		.path = opt->path,
		.readonly = opt->readonly,
		.direct = opt->direct,
		.fd = -1,
	};

	if (stat(d->path, &st))
		return error_set(e, "disk %s: %s", d->path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(e, "disk %s is neither a regular file nor a block device",
				 d->path);

	if (d->direct)
		flags |= O_DIRECT;
	/* the kernel's claim of a device is exclusive, so that a shared one must do without */
	if (S_ISBLK(st.st_mode) && !d->readonly)
		flags |= O_EXCL;
	d->fd = open(d->path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (d->fd < 0)
		return explain_open(d, &st, errno, e);

	if (fstat(d->fd, &opened) || (opened.st_mode & S_IFMT) != (st.st_mode & S_IFMT)) {
		error_set(e, "disk %s changed while it was being opened", d->path);
	} else {
		fcntl(d->fd, F_SETFL, flags & O_DIRECT);
		if (!claim(d, &opened, e) && !probe_size(d, &opened, e) && !check_format(d, e))
			return 0;
	}
	close(d->fd);
	d->fd = -1;
	return -1;
}

int disk_reader(const struct disk *d, struct error *e)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", d->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = open(d->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(e, "disk %s: %s", d->path, strerror(errno));
	return fd;
}
