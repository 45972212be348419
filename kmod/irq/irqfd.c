// SPDX-License-Identifier: GPL-2.0
/*
 * irqfds: an eventfd whose signal is an interrupt message.
 *
 * An irqfd hangs in its eventfd's wait queue. A signal delivers the message from the wake-up
 * itself, in whatever context that runs. Its life:
 *
 *	assign             close of the eventfd (EPOLLHUP), deassign, the VM's end
 *	  |                                |
 *	  v                                v
 *	ACTIVE: in the list and  --->  DYING: in the other list,  --->  freed, by the work, which
 *	in the wait queue              the VM's work queued             leaves the wait queue first
 *
 * Who moves it, under irqfds->lock, queues the work; nobody else does. The work leaves the wait
 * queue under the queue's own lock, inside which wake-ups run, so it cannot run from the wake-up.
 * What readers of vm->srcu may still see, an srcu callback frees. The work never waits for them: a
 * process can let them wait for ever, in as many VMs as it likes, and the workqueue's threads are
 * for all VMs. Who needs their end waits itself. Order of locks: the wait queue's, then
 * irqfds->lock.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../compat.h"
#include "lapic.h"
#include "route.h"

/**
 * struct vmm_irqfds - the irqfds of a VM
 * @lock: taken from wake-ups, so with interrupts off; inside it nothing is called
 * @list: active irqfds [l = @lock]
 * @dying: those that wait for @reap [l]
 * @nr: of both kinds [l]
 * @reap: frees @dying, or has it freed
 * @resamplers: irqfds with a resample eventfd, until their work; writers hold @lock, readers
 *	vm->srcu
 * @nr_resamplers: entries of @resamplers [a]
 * @vm: the VM, which outlives it [I]
 */
struct vmm_irqfds {
	spinlock_t lock;	/* all but vm, and writers of resamplers */
	struct list_head list;
	struct list_head dying;
	unsigned int nr;
	struct work_struct reap;
	struct list_head resamplers;
	atomic_t nr_resamplers;
	struct vmm_vm *vm;
};

/**
 * struct irqfd - one eventfd and its gsi
 * @vm: the VM, which outlives it [I]
 * @gsi: interrupt [I]
 * @ctx: the eventfd [I]
 * @resample: eventfd to signal at the interrupt's end, or NULL [I]
 * @wait: entry in @head; written by the assigner and by the work
 * @head: @ctx's wait queue; set during assignment
 * @poll: how vfs_poll() finds @head; only during assignment
 * @dead: it is in the list of dying ones [l]
 * @node: in that list or in the one of active ones [l]
 * @resample_node: in resamplers [l]
 * @rcu: frees it, if it was there
 */
struct irqfd {
	struct vmm_vm *vm;
	u32 gsi;
	struct eventfd_ctx *ctx;
	struct eventfd_ctx *resample;
	wait_queue_entry_t wait;
	wait_queue_head_t *head;
	poll_table poll;
	bool dead;
	struct list_head node;
	struct list_head resample_node;
	struct rcu_head rcu;
};

static struct workqueue_struct *irqfd_wq;

static void irqfd_deliver(struct irqfd *irqfd)
{
	struct vmm_vm *vm = irqfd->vm;
	struct route_msi msi;
	int idx;

	idx = srcu_read_lock(&vm->srcu);
	msi = vmm_route_get(vm, irqfd->gsi);
	if (msi.valid)
		vmm_msi_deliver(vm, msi.addr, msi.data);
	srcu_read_unlock(&vm->srcu, idx);
}

static void irqfd_free(struct irqfd *irqfd)
{
	if (irqfd->resample)
		eventfd_ctx_put(irqfd->resample);
	eventfd_ctx_put(irqfd->ctx);
	kfree(irqfd);
}

/* Frees one that is in no list any more, and makes room for another. */
static void irqfd_end(struct irqfd *irqfd)
{
	struct vmm_irqfds *irqfds = irqfd->vm->irqfds;
	unsigned long flags;

	irqfd_free(irqfd);
	spin_lock_irqsave(&irqfds->lock, flags);
	irqfds->nr--;
	spin_unlock_irqrestore(&irqfds->lock, flags);
}

/* Context: softirqs off. The VM lives: vmm_irqfd_release_all() waits for these. */
static void irqfd_end_srcu(struct rcu_head *rcu)
{
	irqfd_end(container_of(rcu, struct irqfd, rcu));
}

/* Leaves the eventfds' wait queues and the list of resamplers, then frees. */
static void irqfds_reap(struct work_struct *work)
{
	struct vmm_irqfds *irqfds = container_of(work, struct vmm_irqfds, reap);
	struct irqfd *irqfd, *next;
	LIST_HEAD(dying);
	u64 count;

	spin_lock_irq(&irqfds->lock);
	list_splice_init(&irqfds->dying, &dying);
	list_for_each_entry(irqfd, &dying, node) {
		if (!irqfd->resample)
			continue;
		list_del_rcu(&irqfd->resample_node);
		atomic_dec(&irqfds->nr_resamplers);
	}
	spin_unlock_irq(&irqfds->lock);

	list_for_each_entry_safe(irqfd, next, &dying, node) {
		eventfd_ctx_remove_wait_queue(irqfd->ctx, &irqfd->wait, &count);
		if (irqfd->resample)
			call_srcu(&irqfds->vm->srcu, &irqfd->rcu, irqfd_end_srcu);
		else
			irqfd_end(irqfd);
	}
}

/*
 * Waits until the dying ones are freed, as long as readers of vm->srcu make it wait. Context: may
 * sleep; vm->srcu not held.
 */
static void irqfds_wait(struct vmm_irqfds *irqfds)
{
	flush_work(&irqfds->reap);
	srcu_barrier(&irqfds->vm->srcu);
}

/* Ends an irqfd's active life, once. Context: irqfds->lock held. */
static void __irqfd_deactivate(struct vmm_irqfds *irqfds, struct irqfd *irqfd)
{
	if (irqfd->dead)
		return;
	irqfd->dead = true;
	list_move_tail(&irqfd->node, &irqfds->dying);
	queue_work(irqfd_wq, &irqfds->reap);
}

/* Context: the wait queue's lock held, interrupts off, perhaps in a hard interrupt. */
static int irqfd_wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
	struct vmm_irqfds *irqfds = irqfd->vm->irqfds;
	__poll_t events = key_to_poll(key);
	unsigned long flags;
	int taken = 0;
	u64 count;

	if (events & EPOLLIN) {
		/*
		 * take the count, as a reader would: what is delivered must not be found by the
		 * next who polls
		 */
		eventfd_ctx_do_read(irqfd->ctx, &count);
		irqfd_deliver(irqfd);
		taken = 1;
	}
	if (events & EPOLLHUP) {
		spin_lock_irqsave(&irqfds->lock, flags);
		__irqfd_deactivate(irqfds, irqfd);
		spin_unlock_irqrestore(&irqfds->lock, flags);
	}
	return taken;
}

static void irqfd_queue_proc(struct file *file, wait_queue_head_t *head, poll_table *poll)
{
	struct irqfd *irqfd = container_of(poll, struct irqfd, poll);

	irqfd->head = head;
	add_wait_queue_priority(head, &irqfd->wait);
}

/*
 * It may have been signalled before we came, and nobody will wake us for that. The count is taken
 * as the wake-up does it: what was delivered must not be there for the next irqfd or reader, and a
 * writer that waits for room in a full one must not wait for ever.
 */
static void irqfd_take_earlier(struct irqfd *irqfd)
{
	u64 count;

	spin_lock_irq(&irqfd->head->lock);
	eventfd_ctx_do_read(irqfd->ctx, &count);
	if (count)
		wake_up_locked_poll(irqfd->head, EPOLLOUT);
	spin_unlock_irq(&irqfd->head->lock);
	if (count)
		irqfd_deliver(irqfd);
}

static struct irqfd *__irqfd_find(struct vmm_irqfds *irqfds, struct eventfd_ctx *ctx)
{
	struct irqfd *irqfd;

	list_for_each_entry(irqfd, &irqfds->list, node)
		if (irqfd->ctx == ctx)
			return irqfd;
	return NULL;
}

static struct irqfd *irqfd_alloc(struct vmm_vm *vm, const struct vmm_irqfd *arg, struct file *file)
{
	struct irqfd *irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!irqfd)
		return ERR_PTR(-ENOMEM);
	irqfd->vm = vm;
	irqfd->gsi = arg->gsi;
	INIT_LIST_HEAD(&irqfd->node);
	init_waitqueue_func_entry(&irqfd->wait, irqfd_wakeup);
	init_poll_funcptr(&irqfd->poll, irqfd_queue_proc);

	irqfd->ctx = eventfd_ctx_fileget(file);
	if (IS_ERR(irqfd->ctx)) {
		ret = PTR_ERR(irqfd->ctx);
		goto err_free;
	}
	if (arg->flags & VMM_IRQFD_RESAMPLE) {
		irqfd->resample = eventfd_ctx_fdget(arg->resample_fd);
		if (IS_ERR(irqfd->resample)) {
			ret = PTR_ERR(irqfd->resample);
			goto err_ctx;
		}
	}
	return irqfd;

err_ctx:
	eventfd_ctx_put(irqfd->ctx);
err_free:
	kfree(irqfd);
	return ERR_PTR(ret);
}

/*
 * Adds it, unless its eventfd is there already or there are too many; those that are dying count,
 * for they are only as fast as the process lets its readers of vm->srcu be.
 */
static int irqfd_add(struct vmm_irqfds *irqfds, struct irqfd *irqfd)
{
	int ret = 0;

	spin_lock_irq(&irqfds->lock);
	if (__irqfd_find(irqfds, irqfd->ctx)) {
		ret = -EBUSY;
	} else if (irqfds->nr >= VMM_MAX_IRQFDS) {
		ret = -ENOSPC;
	} else {
		irqfds->nr++;
		list_add_tail(&irqfd->node, &irqfds->list);
		if (irqfd->resample) {
			list_add_tail_rcu(&irqfd->resample_node, &irqfds->resamplers);
			atomic_inc(&irqfds->nr_resamplers);
		}
	}
	spin_unlock_irq(&irqfds->lock);
	return ret;
}

/*
 * Context: vm->irq_lock held, which keeps deassignment away until the irqfd is in the wait queue;
 * @file is held, which keeps EPOLLHUP away.
 */
static int __irqfd_assign(struct vmm_vm *vm, const struct vmm_irqfd *arg, struct file *file)
{
	struct irqfd *irqfd = irqfd_alloc(vm, arg, file);
	int ret;

	if (IS_ERR(irqfd))
		return PTR_ERR(irqfd);
	ret = irqfd_add(vm->irqfds, irqfd);
	if (ret == -ENOSPC) {
		irqfds_wait(vm->irqfds);
		ret = irqfd_add(vm->irqfds, irqfd);
	}
	if (ret) {
		irqfd_free(irqfd);
		return ret;
	}
	vfs_poll(file, &irqfd->poll);
	irqfd_take_earlier(irqfd);
	return 0;
}

static int __irqfd_deassign(struct vmm_vm *vm, const struct vmm_irqfd *arg, struct file *file)
{
	struct vmm_irqfds *irqfds = vm->irqfds;
	struct eventfd_ctx *ctx = eventfd_ctx_fileget(file);
	struct irqfd *irqfd;
	bool resample;

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	spin_lock_irq(&irqfds->lock);
	irqfd = __irqfd_find(irqfds, ctx);
	if (irqfd && irqfd->gsi != arg->gsi)
		irqfd = NULL;
	resample = irqfd && irqfd->resample;
	if (irqfd)
		__irqfd_deactivate(irqfds, irqfd);
	spin_unlock_irq(&irqfds->lock);
	eventfd_ctx_put(ctx);
	if (!irqfd)
		return -ENOENT;
	flush_work(&irqfds->reap);
	if (resample)
		synchronize_srcu_expedited(&vm->srcu);
	return 0;
}

/**
 * vmm_irqfd - VMM_IRQFD: let an eventfd raise a gsi, or end that
 * @vm: the VM
 * @arg: what to do
 *
 * An eventfd is one irqfd of a VM at most; a gsi may have many. A signal is delivered by the
 * route that the gsi has then, and is taken: the eventfd's count is 0 after it. The irqfd ends
 * with its eventfd's last file descriptor. When a deassignment returns, no signal is being
 * delivered any more, and the resample eventfd is not signalled. Of a level-triggered route with a
 * resample eventfd, each end of the interrupt signals that; who drives the interrupt signals the
 * irqfd again if it is still wanted.
 *
 * Context: may sleep; takes vm->irq_lock; vm->srcu not held. Returns 0; -EINVAL: flags, gsi, or
 * not an eventfd; -EBADF: no file; -EBUSY: the eventfd is an irqfd already; -ENOENT: nothing to
 * deassign; -ENOSPC: there are VMM_MAX_IRQFDS; -ENOMEM.
 */
int vmm_irqfd(struct vmm_vm *vm, const struct vmm_irqfd *arg)
{
	struct file *file;
	int ret;

	if (arg->flags & ~(VMM_IRQFD_DEASSIGN | VMM_IRQFD_RESAMPLE))
		return -EINVAL;
	if (memchr_inv(arg->pad, 0, sizeof(arg->pad)) || arg->gsi >= VMM_MAX_ROUTES)
		return -EINVAL;
	file = fget(arg->fd);
	if (!file)
		return -EBADF;

	mutex_lock(&vm->irq_lock);
	if (arg->flags & VMM_IRQFD_DEASSIGN)
		ret = __irqfd_deassign(vm, arg, file);
	else
		ret = __irqfd_assign(vm, arg, file);
	mutex_unlock(&vm->irq_lock);
	fput(file);
	return ret;
}

/**
 * vmm_irqfd_release_all - end all irqfds
 * @vm: the VM; its file descriptor was closed, so that no more can come
 *
 * When this returns, no eventfd reaches the VM any more.
 *
 * Context: may sleep.
 */
void vmm_irqfd_release_all(struct vmm_vm *vm)
{
	struct vmm_irqfds *irqfds = vm->irqfds;
	struct irqfd *irqfd, *next;

	if (!irqfds)
		return;
	spin_lock_irq(&irqfds->lock);
	list_for_each_entry_safe(irqfd, next, &irqfds->list, node)
		__irqfd_deactivate(irqfds, irqfd);
	spin_unlock_irq(&irqfds->lock);
	/* also those that a closed eventfd ended: the work and the callbacks use the VM */
	irqfds_wait(irqfds);
}

/**
 * vmm_irq_eoi_level - a level-triggered interrupt was ended
 * @vcpu: the vCPU
 * @vector: its vector
 *
 * Signals the resample eventfds whose gsi is routed to a level-triggered message of this vector,
 * and makes VMM_RUN return with VMM_EXIT_EOI before the next entry: a vector may be shared, and
 * the kernel does not know userland's interrupt controllers.
 *
 * Context: the owner.
 */
void vmm_irq_eoi_level(struct vmm_vcpu *vcpu, u8 vector)
{
	struct vmm_vm *vm = vcpu->vm;
	struct irqfd *irqfd;
	int idx;

	if (atomic_read(&vm->irqfds->nr_resamplers)) {
		idx = srcu_read_lock(&vm->srcu);
		list_for_each_entry_srcu(irqfd, &vm->irqfds->resamplers, resample_node,
					 srcu_read_lock_held(&vm->srcu)) {
			struct route_msi msi = vmm_route_get(vm, irqfd->gsi);

			if (msi.valid && (msi.data & BIT(15)) && (msi.data & 0xff) == vector)
				vmm_eventfd_signal(irqfd->resample);
		}
		srcu_read_unlock(&vm->srcu, idx);
	}
	__set_bit(vector, vcpu->eoi_pending);
	vmm_make_request(vcpu, VMM_REQ_EOI_EXIT);
}

/**
 * vmm_irq_init - prepare routes and irqfds of a new VM
 * @vm: the VM
 *
 * Returns 0 or -ENOMEM.
 */
int vmm_irq_init(struct vmm_vm *vm)
{
	struct vmm_irqfds *irqfds = kzalloc(sizeof(*irqfds), GFP_KERNEL_ACCOUNT);

	if (!irqfds)
		return -ENOMEM;
	spin_lock_init(&irqfds->lock);
	irqfds->vm = vm;
	INIT_LIST_HEAD(&irqfds->list);
	INIT_LIST_HEAD(&irqfds->dying);
	INIT_WORK(&irqfds->reap, irqfds_reap);
	INIT_LIST_HEAD(&irqfds->resamplers);
	vm->irqfds = irqfds;
	RCU_INIT_POINTER(vm->routes, NULL);
	return 0;
}

/**
 * vmm_irq_destroy - undo vmm_irq_init()
 * @vm: the VM; nobody else uses it any more. One that was not initialised is allowed.
 *
 * Context: may sleep. vm->srcu still works.
 */
void vmm_irq_destroy(struct vmm_vm *vm)
{
	vmm_irqfd_release_all(vm);
	kfree(vm->irqfds);
	vm->irqfds = NULL;
	vmm_route_destroy(vm);
}

/**
 * vmm_irqfd_module_init - prepare irqfds, at module load
 *
 * Returns 0 or -ENOMEM.
 */
int vmm_irqfd_module_init(void)
{
	irqfd_wq = alloc_workqueue("vmm_irqfd", WQ_UNBOUND, 0);
	return irqfd_wq ? 0 : -ENOMEM;
}

/**
 * vmm_irqfd_module_exit - undo vmm_irqfd_module_init()
 *
 * Context: no VM is left.
 */
void vmm_irqfd_module_exit(void)
{
	destroy_workqueue(irqfd_wq);
}
