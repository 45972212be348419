// SPDX-License-Identifier: GPL-2.0
/*
 * The VM: its life, its file and its ioctls.
 *
 * References: the VM's file holds one, and so does each vCPU's and each device's. The last one
 * to go takes the VM down; nothing of it can run then, for whoever ran it held a reference.
 * Each of those files also pins the module.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"
#include "hw.h"
#include "ioctl.h"
#include "stats.h"
#include "vm.h"
#include "x86.h"

/**
 * vmm_vm_get - hold a VM that somebody else holds. Context: any.
 * @vm: the VM
 */
void vmm_vm_get(struct vmm_vm *vm)
{
	refcount_inc(&vm->refs);
}
EXPORT_SYMBOL_GPL(vmm_vm_get);

static void vmm_vm_destroy(struct vmm_vm *vm)
{
	unsigned int i;

	vmm_irq_destroy(vm);
	vmm_io_destroy(vm);
	vmm_mmu_unregister(vm);
	for (i = 0; i < VMM_MAX_VCPUS; i++)
		if (vm->vcpus[i])
			vmm_vcpu_free(vm->vcpus[i]);
	vmm_mmu_destroy(vm);
	vmm_memslots_destroy(vm);
	cleanup_srcu_struct(&vm->srcu);
	mmdrop(vm->mm);
	kvfree(vm);
	vmm_hw_put();
}

/**
 * vmm_vm_put - let go of a VM; the last one takes it down. Context: process, may sleep, no lock
 * of the VM's held.
 * @vm: the VM
 */
void vmm_vm_put(struct vmm_vm *vm)
{
	if (refcount_dec_and_test(&vm->refs))
		vmm_vm_destroy(vm);
}
EXPORT_SYMBOL_GPL(vmm_vm_put);

/* everything but the file; on failure nothing is left */
static struct vmm_vm *vmm_vm_alloc(void)
{
	struct vmm_vm *vm = kvzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	refcount_set(&vm->refs, 1);
	mutex_init(&vm->lock);
	mutex_init(&vm->slots_lock);
	mutex_init(&vm->irq_lock);
	vmm_tsc_vm_init(vm);
	vm->mm = current->mm;
	mmgrab(vm->mm);

	ret = init_srcu_struct(&vm->srcu);
	if (ret)
		goto err_mm;
	ret = vmm_memslots_init(vm);
	if (ret)
		goto err_srcu;
	ret = vmm_io_init(vm);
	if (ret)
		goto err_slots;
	ret = vmm_irq_init(vm);
	if (ret)
		goto err_io;
	ret = vmm_mmu_init(vm);
	if (ret)
		goto err_irq;
	return vm;

err_irq:
	vmm_irq_destroy(vm);
err_io:
	vmm_io_destroy(vm);
err_slots:
	vmm_memslots_destroy(vm);
err_srcu:
	cleanup_srcu_struct(&vm->srcu);
err_mm:
	mmdrop(vm->mm);
	kvfree(vm);
	return ERR_PTR(ret);
}

/* ---- ioctls ---- */

static long vmm_vm_create_vcpu(void *obj, void *arg)
{
	struct vmm_vm *vm = obj;
	long ret;

	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	ret = vmm_vcpu_create(vm, arg);
	mutex_unlock(&vm->lock);
	return ret;
}

static long vmm_vm_create_device(void *obj, void *arg)
{
	struct vmm_vm *vm = obj;
	long ret;

	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	ret = vmm_create_device(vm, arg);
	mutex_unlock(&vm->lock);
	return ret;
}

static long vmm_vm_set_mem_region(void *obj, void *arg)
{
	return vmm_set_mem_region(obj, arg);
}

static long vmm_vm_ioeventfd(void *obj, void *arg)
{
	return vmm_ioeventfd(obj, arg);
}

static long vmm_vm_irqfd(void *obj, void *arg)
{
	return vmm_irqfd(obj, arg);
}

static long vmm_vm_set_routes(void *obj, void *arg)
{
	return vmm_set_routes(obj, arg);
}

static long vmm_vm_signal_msi(void *obj, void *arg)
{
	const struct vmm_msi *msi = arg;

	return msi->flags ? -EINVAL : vmm_msi_deliver(obj, msi->addr, msi->data);
}

static long vmm_vm_set_lint(void *obj, void *arg)
{
	return vmm_set_lint(obj, arg);
}

static long vmm_vm_ioctl_get_state(void *obj, void *arg)
{
	return vmm_vm_get_state(obj, arg);
}

static long vmm_vm_ioctl_set_state(void *obj, void *arg)
{
	return vmm_vm_set_state(obj, arg);
}

static long vmm_vm_ioctl_stats(void *obj, void *arg)
{
	return vmm_vm_get_stats(obj, arg);
}

static const struct vmm_ioctl vmm_vm_ioctls[] = {
	{ VMM_CREATE_VCPU,	vmm_vm_create_vcpu },
	{ VMM_SET_MEM_REGION,	vmm_vm_set_mem_region },
	{ VMM_IOEVENTFD,	vmm_vm_ioeventfd },
	{ VMM_IRQFD,		vmm_vm_irqfd },
	{ VMM_SET_ROUTES,	vmm_vm_set_routes },
	{ VMM_SIGNAL_MSI,	vmm_vm_signal_msi },
	{ VMM_SET_LINT,		vmm_vm_set_lint },
	{ VMM_CREATE_DEVICE,	vmm_vm_create_device },
	{ VMM_GET_VM_STATE,	vmm_vm_ioctl_get_state },
	{ VMM_SET_VM_STATE,	vmm_vm_ioctl_set_state },
	{ VMM_GET_STATS,	vmm_vm_ioctl_stats },
};

static long vmm_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vmm_vm *vm = file->private_data;

	if (vmm_check_mm(vm))
		return -EIO;
	return vmm_ioctl(vmm_vm_ioctls, ARRAY_SIZE(vmm_vm_ioctls), vm, cmd, arg);
}

static int vmm_vm_release(struct inode *inode, struct file *file)
{
	struct vmm_vm *vm = file->private_data;

	vmm_irqfd_release_all(vm);
	vmm_vm_put(vm);
	return 0;
}

static const struct file_operations vmm_vm_fops = {
	.owner = THIS_MODULE,
	.release = vmm_vm_release,
	.unlocked_ioctl = vmm_vm_ioctl,
	.llseek = noop_llseek,
};

/**
 * vmm_vm_create - VMM_CREATE_VM
 * @arg: argument
 *
 * Context: process; may sleep. Return: a file descriptor; -EBUSY when another hypervisor has
 * the processor; -EINVAL, -ENOMEM, -EMFILE.
 */
int vmm_vm_create(const struct vmm_create_vm *arg)
{
	struct file *file;
	struct vmm_vm *vm;
	int fd, ret;

	if (arg->flags || memchr_inv(arg->pad, 0, sizeof(arg->pad)))
		return -EINVAL;
	ret = vmm_hw_get();
	if (ret)
		return ret;
	vm = vmm_vm_alloc();
	if (IS_ERR(vm)) {
		vmm_hw_put();
		return PTR_ERR(vm);
	}

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		vmm_vm_put(vm);
		return fd;
	}
	file = anon_inode_getfile("vmm-vm", &vmm_vm_fops, vm, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		vmm_vm_put(vm);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}
