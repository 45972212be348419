// SPDX-License-Identifier: GPL-2.0
/*
 * Threads of the VM's process that are lent to a device: one serves a queue, others form the pool
 * for what may sleep long.
 *
 * The queue's thread:
 *
 *	   parked (interruptible, freezable)
 *	     | KICK, requests done, poll_file ready, retry, quit ^
 *	     v							 |
 *	   q->mutex: reap, serve a bounded batch, publish, interrupt
 *	     | a signal: -EINTR to the caller, who lends the thread again
 *
 * While it runs, notifications are suppressed; serve() arms them when it found the ring empty, and
 * looks once more after that. A guest that always has work is served batch by batch, with a look at
 * signals and at the scheduler between.
 */
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "virtio.h"

/* ---- wake-ups ---- */

/**
 * vdev_kick() - the guest notified a queue, or its ring has to be looked at for another reason
 * @q: the queue
 *
 * Context: any. Takes no lock that is held over guest memory or I/O.
 */
void vdev_kick(struct vdev_queue *q)
{
	/* full barrier: what the guest wrote before, and the bit; pairs with queue_run() */
	if (!test_and_set_bit(VDEV_Q_KICK, &q->flags))
		wake_up(&q->wait);
}

void vdev_kick_all(struct vdev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++) {
		set_bit(VDEV_Q_KICK, &dev->queues[i].flags);
		wake_up(&dev->queues[i].wait);
	}
}

/**
 * vdev_done() - a request's I/O is over; hand it to who reaps the queue
 * @q: its queue
 * @node: its node on q->done
 *
 * The queue may be freed as soon as the last of its requests is reaped: release waits for the
 * RCU section.
 *
 * Context: any, hard interrupts too.
 */
void vdev_done(struct vdev_queue *q, struct llist_node *node)
{
	rcu_read_lock();
	if (llist_add(node, &q->done))
		wake_up(&q->wait);
	/* llist_add() is a full barrier: either this sees draining, or vdev_drain() the request */
	if (READ_ONCE(q->dev->draining))
		wake_up(&q->dev->drain);
	rcu_read_unlock();
}

/* ---- the pool ---- */

/* The queues' threads, or who drains, have to see to the jobs. */
static void jobs_orphaned_wake(struct vdev *dev)
{
	vdev_kick_all(dev);
	wake_up(&dev->drain);
}

static void job_add(struct vdev *dev, struct vdev_job *job, bool first)
{
	spin_lock(&dev->job_lock);
	if (first)
		list_add(&job->node, &dev->jobs);
	else
		list_add_tail(&job->node, &dev->jobs);
	spin_unlock(&dev->job_lock);
	wake_up(&dev->job_wait);
	smp_mb();	/* pairs with atomic_dec_and_test() in work_pool() */
	if (!atomic_read(&dev->nr_pool))
		jobs_orphaned_wake(dev);
}

/**
 * vdev_queue_job() - have a job run by the pool
 * @dev: the device
 * @job: the job
 *
 * Where no thread was lent to the pool it runs here and now: slow, but it does not hang.
 *
 * Context: a thread of the VM's process; may sleep as long as the job does.
 */
void vdev_queue_job(struct vdev *dev, struct vdev_job *job)
{
	if (atomic_read(&dev->nr_pool))
		job_add(dev, job, false);
	else
		job->run(job);
}

/**
 * vdev_requeue_job() - a signal interrupted a job; it is to be run again, before others
 * @dev: the device
 * @job: the job
 */
void vdev_requeue_job(struct vdev *dev, struct vdev_job *job)
{
	job_add(dev, job, true);
}

/* Runs the first job. Return: false = there is none. */
static bool job_run(struct vdev *dev)
{
	struct vdev_job *job;

	spin_lock(&dev->job_lock);
	job = list_first_entry_or_null(&dev->jobs, struct vdev_job, node);
	if (job)
		list_del(&job->node);
	spin_unlock(&dev->job_lock);
	if (!job)
		return false;
	job->run(job);
	return true;
}

static bool jobs_orphaned(struct vdev *dev)
{
	return !atomic_read(&dev->nr_pool) && !list_empty_careful(&dev->jobs);
}

/* Jobs that the pool left behind when its last thread went. */
static void jobs_adopt(struct vdev *dev)
{
	while (jobs_orphaned(dev) && !signal_pending(current) && job_run(dev))
		;
}

static int work_pool(struct vdev *dev)
{
	int ret;

	atomic_inc(&dev->nr_pool);
	for (;;) {
		ret = wait_event_freezable(dev->job_wait, READ_ONCE(dev->quit) ||
					   !list_empty_careful(&dev->jobs));
		if (ret) {
			ret = -EINTR;
			break;
		}
		if (READ_ONCE(dev->quit)) {
			ret = -ESHUTDOWN;
			break;
		}
		job_run(dev);
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		cond_resched();
	}
	/* the last one out */
	if (atomic_dec_and_test(&dev->nr_pool))
		jobs_orphaned_wake(dev);
	return ret;
}

/* ---- the queue's thread ---- */

/* The guest broke a rule: nothing is served any more, on any queue (virtio 1.2, 2.1.2). */
static void device_break(struct vdev_queue *q)
{
	struct vdev *dev = q->dev;

	if (cmpxchg(&dev->state, VMM_DEV_RUNNING, VMM_DEV_BROKEN) != VMM_DEV_RUNNING)
		return;
	spin_lock(&dev->event_lock);
	dev->events.events |= VMM_DEV_EVENT_NEEDS_RESET;
	dev->events.error = q->vq.error;
	dev->events.error_queue = q->index;
	spin_unlock(&dev->event_lock);
	wake_up(&dev->event_wait);
}

/* Ends requests whose I/O is over; the driver sees it at queue_publish(). Context: q->mutex. */
static void queue_reap(struct vdev_queue *q)
{
	struct vdev *dev = q->dev;

	if (llist_empty(&q->done))
		return;
	dev->ops->reap(q, READ_ONCE(dev->state) != VMM_DEV_RUNNING || READ_ONCE(dev->releasing));
	if (READ_ONCE(dev->draining))
		wake_up(&dev->drain);
}

/* Context: q->mutex, in the VM's address space. */
static void queue_publish(struct vdev_queue *q)
{
	struct vdev *dev = q->dev;
	int idx, ret;

	if (READ_ONCE(dev->state) != VMM_DEV_RUNNING || !q->vq.size)
		return;
	idx = srcu_read_lock(&dev->vm->srcu);
	ret = vq_publish(&q->vq);
	srcu_read_unlock(&dev->vm->srcu, idx);
	if (ret > 0)
		vdev_interrupt(dev, READ_ONCE(q->vector));
	if (q->vq.error)
		device_break(q);
}

/**
 * vdev_notify() - vq_notify_off() or vq_notify_on(), for who does not hold vm->srcu
 * @q: the queue
 * @on: which
 *
 * Context: q->mutex, in the VM's address space.
 */
int vdev_notify(struct vdev_queue *q, bool on)
{
	int idx, ret;

	idx = srcu_read_lock(&q->dev->vm->srcu);
	ret = on ? vq_notify_on(&q->vq) : vq_notify_off(&q->vq);
	srcu_read_unlock(&q->dev->vm->srcu, idx);
	return ret;
}

/* One round of a queue. Return: there may be more to do now. Context: q->mutex. */
static bool queue_run(struct vdev_queue *q)
{
	struct vdev *dev = q->dev;
	bool more = false;

	clear_bit(VDEV_Q_KICK, &q->flags);
	smp_mb__after_atomic();		/* pairs with vdev_kick() */

	jobs_adopt(dev);
	queue_reap(q);
	if (vdev_may_serve(dev) && q->vq.size)
		more = dev->ops->serve(q);
	queue_publish(q);
	return more;
}

static bool queue_pending(struct vdev_queue *q)
{
	return READ_ONCE(q->dev->quit) || !llist_empty(&q->done) || jobs_orphaned(q->dev) ||
	       (test_bit(VDEV_Q_KICK, &q->flags) && vdev_may_serve(q->dev));
}

/*
 * Parks until something is pending or the file is ready. The file's wait queue knows this thread
 * only while it is here, so nothing has to be undone when the file, the device or the thread goes.
 */
static int queue_wait_file(struct vdev_queue *q, struct file *file)
{
	const __poll_t events = q->poll_events | EPOLLERR | EPOLLHUP;
	struct poll_wqueues table;
	DEFINE_WAIT(wait);
	__poll_t ready;
	int ret = 0;

	poll_initwait(&table);
	table.pt._key = events;
	ready = vfs_poll(file, &table.pt) & events;

	prepare_to_wait(&q->wait, &wait, TASK_INTERRUPTIBLE | TASK_FREEZABLE);
	if (signal_pending(current))
		ret = -EINTR;
	else if (table.error)
		ret = table.error;
	else if (!ready && !READ_ONCE(table.triggered) && !queue_pending(q))
		schedule();
	finish_wait(&q->wait, &wait);
	poll_freewait(&table);
	return ret;
}

static int queue_wait(struct vdev_queue *q)
{
	struct file *file = vdev_may_serve(q->dev) ? q->poll_file : NULL;
	long ret, retry = vdev_may_serve(q->dev) ? q->retry : 0;

	if (file)
		return queue_wait_file(q, file);
	if (retry)
		ret = wait_event_freezable_timeout(q->wait, queue_pending(q), retry);
	else
		ret = wait_event_freezable(q->wait, queue_pending(q));
	return ret < 0 ? -EINTR : 0;
}

static int work_queue(struct vdev_queue *q)
{
	bool more;
	int ret;

	if (test_and_set_bit(VDEV_Q_WORKER, &q->flags))
		return -EBUSY;
	for (;;) {
		ret = queue_wait(q);
		if (ret)
			break;
		if (READ_ONCE(q->dev->quit)) {
			ret = -ESHUTDOWN;
			break;
		}
		ret = mutex_lock_interruptible(&q->mutex);
		if (ret)
			break;
		more = queue_run(q);
		mutex_unlock(&q->mutex);
		if (more)
			set_bit(VDEV_Q_KICK, &q->flags);
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		cond_resched();
	}
	clear_bit_unlock(VDEV_Q_WORKER, &q->flags);
	return ret;
}

/* VMM_DEV_WORK */
int vdev_work(struct vdev *dev, void *arg)
{
	const struct vmm_dev_work *in = arg;
	unsigned int nr = smp_load_acquire(&dev->nr_queues);	/* pairs with vdev_add_queues() */

	if (memchr_inv(in->pad, 0, sizeof(in->pad)))
		return -EINVAL;
	if (READ_ONCE(dev->quit))
		return -ESHUTDOWN;
	switch (in->role) {
	case VMM_DEV_WORK_QUEUE:
		if (in->index >= nr)
			return -EINVAL;
		return work_queue(&dev->queues[array_index_nospec(in->index, nr)]);
	case VMM_DEV_WORK_BLOCKING:
		if (in->index)
			return -EINVAL;
		return work_pool(dev);
	default:
		return -EINVAL;
	}
}

/* VMM_DEV_QUIT */
int vdev_quit(struct vdev *dev, void *arg)
{
	unsigned int nr = smp_load_acquire(&dev->nr_queues);	/* pairs with vdev_add_queues() */
	unsigned int i;

	WRITE_ONCE(dev->quit, true);
	for (i = 0; i < nr; i++)
		wake_up(&dev->queues[i].wait);
	wake_up(&dev->job_wait);
	return 0;
}

/* ---- stop ---- */

/* Reaps in place of a worker that may be away. Return: requests still in flight. */
static int queue_drain_step(struct vdev_queue *q)
{
	int left, ret;

	ret = mutex_lock_interruptible(&q->mutex);
	if (ret)
		return ret;
	jobs_adopt(q->dev);
	queue_reap(q);
	queue_publish(q);
	left = q->inflight;
	mutex_unlock(&q->mutex);
	return left;
}

/**
 * vdev_drain() - take nothing new, and wait until no request can touch guest memory any more
 * @dev: the device
 *
 * Works without workers: what is done is reaped here.
 *
 * Context: dev->lock, in the VM's address space; sleeps.
 *
 * Return: 0, or -EINTR: a signal came, and the device goes on draining until it is called again.
 */
int vdev_drain(struct vdev *dev)
{
	struct vdev_queue *q;
	int left;

	WRITE_ONCE(dev->draining, true);
	smp_mb();	/* pairs with vdev_done() */
	for (q = dev->queues; q < dev->queues + dev->nr_queues; q++) {
		wake_up(&q->wait);	/* from its file's wait queue to its own */
		while ((left = queue_drain_step(q)) > 0) {
			/* jobs left behind are not run then, and would end each wait at once */
			if (signal_pending(current))
				return -EINTR;
			if (wait_event_interruptible(dev->drain, !llist_empty(&q->done) ||
						     !READ_ONCE(q->inflight) || jobs_orphaned(dev)))
				return -EINTR;
		}
		if (left < 0)
			return left;
	}
	return 0;
}
