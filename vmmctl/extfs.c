// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <et/com_err.h>
#include <ext2fs/ext2fs.h>

#include "extfs.h"

/* the part of a file that the library may read */
struct window {
	int fd;
	uint64_t start, size;
};

/* for fd_open(), which libext2fs gives a name and nothing else */
static __thread const struct window *opening;

static struct struct_io_manager fd_manager;

static errcode_t fd_open(const char *name, int flags, io_channel *channel)
{
	struct struct_io_channel *io = calloc(1, sizeof(*io));
	struct window *w = malloc(sizeof(*w));

	(void)flags;
	if (io)
		io->name = strdup(name);
	if (!io || !w || !io->name) {
		free(w);
		free(io);
		return EXT2_ET_NO_MEMORY;
	}

	*w = *opening;
	io->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	io->manager = &fd_manager;
	io->block_size = 1024;
	io->refcount = 1;
	io->private_data = w;
	*channel = io;
	return 0;
}

static errcode_t fd_close(io_channel io)
{
	if (--io->refcount > 0)
		return 0;
	free(io->private_data);
	free(io->name);
	free(io);
	return 0;
}

static errcode_t fd_set_blksize(io_channel io, int size)
{
	io->block_size = size;
	return 0;
}

/* a negative count is one of bytes */
static errcode_t fd_read_blk64(io_channel io, unsigned long long block, int count, void *data)
{
	const struct window *w = io->private_data;
	uint64_t len, offset;
	char *p = data;

	if (count < 0)
		len = -(int64_t)count;
	else
		len = (uint64_t)count * io->block_size;
	if (__builtin_mul_overflow(block, (uint64_t)io->block_size, &offset) ||
	    offset > w->size || len > w->size - offset)
		return EXT2_ET_SHORT_READ;

	offset += w->start;
	while (len) {
		ssize_t n = pread(w->fd, p, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (!n)
			return EXT2_ET_SHORT_READ;
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static errcode_t fd_read_blk(io_channel io, unsigned long block, int count, void *data)
{
	return fd_read_blk64(io, block, count, data);
}

static errcode_t fd_write_blk64(io_channel io, unsigned long long block, int count,
				const void *data)
{
	(void)io;
	(void)block;
	(void)count;
	(void)data;
	return EXT2_ET_RO_FILSYS;
}

static errcode_t fd_write_blk(io_channel io, unsigned long block, int count, const void *data)
{
	return fd_write_blk64(io, block, count, data);
}

static errcode_t fd_flush(io_channel io)
{
	(void)io;
	return 0;
}

static struct struct_io_manager fd_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "fd",
	.open = fd_open,
	.close = fd_close,
	.set_blksize = fd_set_blksize,
	.read_blk = fd_read_blk,
	.read_blk64 = fd_read_blk64,
	.write_blk = fd_write_blk,
	.write_blk64 = fd_write_blk64,
	.flush = fd_flush,
};

struct extfs {
	ext2_filsys fs;
};

static int fail(errcode_t err, const char *doing, struct error *e)
{
	initialize_ext2_error_table();
	return error_set(e, "%s: %s", doing, error_message(err));
}

struct extfs *extfs_open(int fd, uint64_t start, uint64_t size, struct error *e)
{
	struct window w = { fd, start, size };
	struct extfs *fs = calloc(1, sizeof(*fs));
	errcode_t err;

	if (!fs) {
		error_set(e, "out of memory");
		return NULL;
	}

	opening = &w;
	err = ext2fs_open2("disk", NULL, EXT2_FLAG_64BITS, 0, 0, &fd_manager, &fs->fs);
	opening = NULL;
	if (err) {
		fail(err, "no ext2/3/4 file system", e);
		free(fs);
		return NULL;
	}
	return fs;
}

void extfs_close(struct extfs *fs)
{
	ext2fs_free(fs->fs);
	free(fs);
}

bool extfs_uuid(const struct extfs *fs, char *buf)
{
	const uint8_t *u = fs->fs->super->s_uuid;
	unsigned int i;
	bool any = false;

	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*buf++ = '-';
		buf += sprintf(buf, "%02x", u[i]);
		any |= u[i];
	}
	return any;
}

uint32_t extfs_lookup(struct extfs *fs, const char *path)
{
	ext2_ino_t ino;

	if (ext2fs_namei_follow(fs->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino))
		return 0;
	return ino;
}

static bool has_type(struct extfs *fs, uint32_t ino, mode_t type)
{
	struct ext2_inode inode;

	return ino && !ext2fs_read_inode(fs->fs, ino, &inode) && (inode.i_mode & S_IFMT) == type;
}

bool extfs_is_dir(struct extfs *fs, uint32_t ino)
{
	return has_type(fs, ino, S_IFDIR);
}

bool extfs_is_file(struct extfs *fs, uint32_t ino)
{
	return has_type(fs, ino, S_IFREG);
}

struct list_call {
	bool (*fn)(const char *name, void *opaque);
	void *opaque;
};

static int on_entry(struct ext2_dir_entry *entry, int offset, int block_size, char *buf, void *priv)
{
	struct list_call *call = priv;
	int len = ext2fs_dirent_name_len(entry);
	char name[256];

	(void)offset;
	(void)block_size;
	(void)buf;
	if (!entry->inode)
		return 0;
	memcpy(name, entry->name, len);
	name[len] = '\0';
	return call->fn(name, call->opaque) ? DIRENT_ABORT : 0;
}

void extfs_list(struct extfs *fs, uint32_t dir, bool (*fn)(const char *name, void *opaque),
		void *opaque)
{
	struct list_call call = { fn, opaque };

	ext2fs_dir_iterate(fs->fs, dir, 0, NULL, on_entry, &call);
}

long extfs_read(struct extfs *fs, uint32_t ino, void *buf, unsigned int len, struct error *e)
{
	unsigned int got = 0;
	ext2_file_t file;
	errcode_t err;

	err = ext2fs_file_open(fs->fs, ino, 0, &file);
	if (err)
		return fail(err, "open", e);
	err = ext2fs_file_read(file, buf, len, &got);
	ext2fs_file_close(file);
	return err ? fail(err, "read", e) : (long)got;
}

static int write_all(int fd, const char *p, size_t len, struct error *e)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(e, "no memory for a copy: %s", strerror(errno));
		p += n;
		len -= n;
	}
	return 0;
}

int extfs_copy(struct extfs *fs, uint32_t ino, int out_fd, uint64_t max, struct error *e)
{
	const unsigned int chunk = 1 << 20;
	unsigned int got;
	ext2_file_t file;
	errcode_t err;
	__u64 size;
	int ret = -1;
	char *buf = malloc(chunk);

	if (!buf)
		return error_set(e, "out of memory");
	err = ext2fs_file_open(fs->fs, ino, 0, &file);
	if (err) {
		free(buf);
		return fail(err, "open", e);
	}

	err = ext2fs_file_get_lsize(file, &size);
	if (!err && size > max) {
		error_set(e, "it is longer than %llu MiB", (unsigned long long)max >> 20);
		goto out;
	}
	while (!err) {
		err = ext2fs_file_read(file, buf, chunk, &got);
		if (err)
			break;
		if (!got) {
			ret = 0;
			goto out;
		}
		if (write_all(out_fd, buf, got, e))
			goto out;
	}
	fail(err, "read", e);
out:
	ext2fs_file_close(file);
	free(buf);
	return ret;
}
