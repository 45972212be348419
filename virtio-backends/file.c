// SPDX-License-Identifier: GPL-2.0
/*
 * Reads and writes of a host file with an iov_iter over guest memory, asynchronous or not.
 *
 * This is what read(2) and write(2) do below their argument checks: permission (rw_verify_area),
 * freeze protection, the file's own operation, notification. vfs_iocb_iter_write() is not used
 * because kernels differ in whether it or its caller takes the freeze protection, and because it
 * sleeps there in spite of IOCB_NOWAIT.
 */
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "virtio.h"

/**
 * vdev_file_end() - end an operation that was left with -EIOCBQUEUED
 * @iocb: after its ki_complete
 * @ret: what that said
 *
 * Context: process, any.
 */
void vdev_file_end(struct kiocb *iocb, ssize_t ret)
{
	struct file *file = iocb->ki_filp;

	if (iocb->ki_flags & IOCB_WRITE) {
		if (S_ISREG(file_inode(file)->i_mode))
			kiocb_end_write(iocb);
		if (ret > 0)
			fsnotify_modify(file);
	} else if (ret > 0) {
		fsnotify_access(file);
	}
}

/**
 * vdev_file_read() - read from iocb->ki_filp at iocb->ki_pos
 * @iocb: as for the file's read_iter
 * @iter: where to
 *
 * Return: bytes, -EIOCBQUEUED (ki_complete tells the rest, and vdev_file_end() is due after it), or
 * an error.
 */
ssize_t vdev_file_read(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	ssize_t ret;

	ret = rw_verify_area(READ, file, &iocb->ki_pos, iov_iter_count(iter));
	if (ret)
		return ret;
	ret = file->f_op->read_iter(iocb, iter);
	if (ret != -EIOCBQUEUED)
		vdev_file_end(iocb, ret);
	return ret;
}

/*
 * Regular files only, as file_start_write() does. Lockdep is told that the protection is not held:
 * it may be given back by another thread, after this one went back to user mode.
 */
static int write_start(struct kiocb *iocb)
{
	struct super_block *sb = file_inode(iocb->ki_filp)->i_sb;

	if (!S_ISREG(file_inode(iocb->ki_filp)->i_mode))
		return 0;
	if (!(iocb->ki_flags & IOCB_NOWAIT)) {
		kiocb_start_write(iocb);
		return 0;
	}
	if (!sb_start_write_trylock(sb))
		return -EAGAIN;
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	return 0;
}

/**
 * vdev_file_write() - write to iocb->ki_filp at iocb->ki_pos
 * @iocb: as for the file's write_iter, ki_flags with IOCB_WRITE
 * @iter: what
 *
 * Return: as vdev_file_read().
 */
ssize_t vdev_file_write(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	ssize_t ret;

	ret = rw_verify_area(WRITE, file, &iocb->ki_pos, iov_iter_count(iter));
	if (ret)
		return ret;
	ret = write_start(iocb);
	if (ret)
		return ret;
	ret = file->f_op->write_iter(iocb, iter);
	if (ret != -EIOCBQUEUED)
		vdev_file_end(iocb, ret);
	return ret;
}

/**
 * vdev_file_interrupted() - was it a signal that ended an operation: do it again later
 * @ret: its result
 *
 * Without a signal the file only says so: an error like others, or it would be tried for ever.
 */
bool vdev_file_interrupted(ssize_t ret)
{
	switch (ret) {
	case -EINTR:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		return signal_pending(current);
	default:
		return false;
	}
}
