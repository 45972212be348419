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
 *	ACTIVE: in the list and  --->  DYING: in no list of active ones, work queued  --->  freed by
 *	in the wait queue              the work, which leaves the wait queue first
 *
 * Who takes it out of the list, under irqfds->lock, queues the work; nobody else does. The work
 * leaves the wait queue under the queue's own lock, inside which wake-ups run, so it cannot run
 * from the wake-up. Order of locks: the wait queue's, then irqfds->lock.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../compat.h"
#include "lapic.h"
#include "route.h"

/**
 * struct vmm_irqfds - the irqfds of a VM
 * @lock: @list; taken from wake-ups, so with interrupts off; inside it nothing is called
 * @list: active irqfds [l = @lock]
 * @resamplers: irqfds with a resample eventfd, until their work; writers hold @lock, readers
 *	vm->srcu
 * @nr_resamplers: entries of @resamplers [a]
 */
struct vmm_irqfds {
	spinlock_t lock;	/* list, and writers of resamplers */
	struct list_head list;
	struct list_head resamplers;
	atomic_t nr_resamplers;
};

/**
 * struct irqfd - one eventfd and its gsi
 * @vm: the VM, which outlives it [I]
 * @gsi: interrupt [I]
 * @ctx: the eventfd [I]
 * @resample: eventfd to signal at the interrupt's end, or NULL [I]
 * @wait: entry in @ctx's wait queue; written by the assigner and by the work
 * @poll: how vfs_poll() finds @wait; only during assignment
 * @node: in list [l]
 * @resample_node: in resamplers [l]
 * @shutdown: frees it
 */
struct irqfd {
	struct vmm_vm *vm;
	u32 gsi;
	struct eventfd_ctx *ctx;
	struct eventfd_ctx *resample;
	wait_queue_entry_t wait;
	poll_table poll;
	struct list_head node;
	struct list_head resample_node;
	struct work_struct shutdown;
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

static void irqfd_shutdown(struct work_struct *work)
{
	struct irqfd *irqfd = container_of(work, struct irqfd, shutdown);
	struct vmm_irqfds *irqfds = irqfd->vm->irqfds;
	u64 count;

	eventfd_ctx_remove_wait_queue(irqfd->ctx, &irqfd->wait, &count);
	if (irqfd->resample) {
		spin_lock_irq(&irqfds->lock);
		list_del_rcu(&irqfd->resample_node);
		spin_unlock_irq(&irqfds->lock);
		atomic_dec(&irqfds->nr_resamplers);
		synchronize_srcu_expedited(&irqfd->vm->srcu);
	}
	irqfd_free(irqfd);
}

/* Ends an irqfd's active life, once. Context: irqfds->lock held. */
static void __irqfd_deactivate(struct irqfd *irqfd)
{
	if (list_empty(&irqfd->node))
		return;
	list_del_init(&irqfd->node);
	queue_work(irqfd_wq, &irqfd->shutdown);
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
		__irqfd_deactivate(irqfd);
		spin_unlock_irqrestore(&irqfds->lock, flags);
	}
	return taken;
}

static void irqfd_queue_proc(struct file *file, wait_queue_head_t *head, poll_table *poll)
{
	struct irqfd *irqfd = container_of(poll, struct irqfd, poll);

	add_wait_queue_priority(head, &irqfd->wait);
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
	INIT_WORK(&irqfd->shutdown, irqfd_shutdown);
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
 * Context: vm->irq_lock held, which keeps deassignment away until the irqfd is in the wait queue;
 * @file is held, which keeps EPOLLHUP away.
 */
static int __irqfd_assign(struct vmm_vm *vm, const struct vmm_irqfd *arg, struct file *file)
{
	struct vmm_irqfds *irqfds = vm->irqfds;
	struct irqfd *irqfd = irqfd_alloc(vm, arg, file);
	bool busy;

	if (IS_ERR(irqfd))
		return PTR_ERR(irqfd);
	spin_lock_irq(&irqfds->lock);
	busy = __irqfd_find(irqfds, irqfd->ctx);
	if (!busy) {
		list_add_tail(&irqfd->node, &irqfds->list);
		if (irqfd->resample)
			list_add_tail_rcu(&irqfd->resample_node, &irqfds->resamplers);
	}
	spin_unlock_irq(&irqfds->lock);
	if (busy) {
		irqfd_free(irqfd);
		return -EBUSY;
	}
	if (irqfd->resample)
		atomic_inc(&irqfds->nr_resamplers);

	/* signalled before we came: nobody will wake us for that */
	if (vfs_poll(file, &irqfd->poll) & EPOLLIN)
		irqfd_deliver(irqfd);
	return 0;
}

static int __irqfd_deassign(struct vmm_vm *vm, const struct vmm_irqfd *arg, struct file *file)
{
	struct vmm_irqfds *irqfds = vm->irqfds;
	struct eventfd_ctx *ctx = eventfd_ctx_fileget(file);
	struct irqfd *irqfd;

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	spin_lock_irq(&irqfds->lock);
	irqfd = __irqfd_find(irqfds, ctx);
	if (irqfd && irqfd->gsi != arg->gsi)
		irqfd = NULL;
	if (irqfd)
		__irqfd_deactivate(irqfd);
	spin_unlock_irq(&irqfds->lock);
	eventfd_ctx_put(ctx);
	if (!irqfd)
		return -ENOENT;
	flush_workqueue(irqfd_wq);
	return 0;
}

/**
 * vmm_irqfd - VMM_IRQFD: let an eventfd raise a gsi, or end that
 * @vm: the VM
 * @arg: what to do
 *
 * An eventfd is one irqfd of a VM at most; a gsi may have many. A signal is delivered by the
 * route that the gsi has then. The irqfd ends with its eventfd's last file descriptor. When a
 * deassignment returns, no signal is being delivered any more. Of a level-triggered route with a
 * resample eventfd, each end of the interrupt signals that; who drives the interrupt signals the
 * irqfd again if it is still wanted.
 *
 * Context: may sleep; takes vm->irq_lock; vm->srcu not held. Returns 0; -EINVAL: flags, gsi, or
 * not an eventfd; -EBADF: no file; -EBUSY: the eventfd is an irqfd already; -ENOENT: nothing to
 * deassign; -ENOMEM.
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
		__irqfd_deactivate(irqfd);
	spin_unlock_irq(&irqfds->lock);
	/* also those that a closed eventfd ended: their work uses the VM */
	flush_workqueue(irqfd_wq);
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
	INIT_LIST_HEAD(&irqfds->list);
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
	irqfd_wq = alloc_workqueue("vmm_irqfd", 0, 0);
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
