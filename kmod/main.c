// SPDX-License-Identifier: GPL-2.0
/*
 * The module: which processor it is, /dev/vmm and its ioctls.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "debug.h"
#include "device.h"
#include "hw.h"
#include "ioctl.h"
#include "vm.h"
#include "x86.h"
#include "x86_ops.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

const struct vmm_x86_vendor *vmm_vendor __read_mostly;

#define OP(ret, name, params) \
	DEFINE_STATIC_CALL_NULL(vmm_x86_##name, *((struct vmm_x86_vendor *)NULL)->name);
VMM_X86_OPS(OP)
#undef OP

static void vmm_x86_ops_update(const struct vmm_x86_vendor *vendor)
{
	vmm_vendor = vendor;
#define OP(ret, name, params) static_call_update(vmm_x86_##name, vendor->name);
	VMM_X86_OPS(OP)
#undef OP
}

static int vmm_check_cap(unsigned long cap)
{
	switch (cap) {
	case VMM_CAP_VCPUS:
		return VMM_MAX_VCPUS;
	case VMM_CAP_MEM_REGIONS:
		return VMM_MAX_MEM_REGIONS;
	case VMM_CAP_READONLY_MEM:
	case VMM_CAP_TSC_DEADLINE:
	case VMM_CAP_X2APIC:
		return 1;
	case VMM_CAP_ROUTES:
		return VMM_MAX_ROUTES;
	case VMM_CAP_GPA_BITS:
		return vmm_mmu_gpa_bits();
	case VMM_CAP_TSC_KHZ:
		return vmm_tsc_khz();
	case VMM_CAP_VIRTIO:
		return vmm_device_types();
	case VMM_CAP_DEBUG:
#ifdef VMM_DEBUG
		return 1;
#else
		return 0;
#endif
	default:
		return 0;
	}
}

static long vmm_dev_get_abi(void *obj, void *arg)
{
	return *(u64 *)arg ? -EINVAL : VMM_ABI_VERSION;
}

static long vmm_dev_check_cap(void *obj, void *arg)
{
	return vmm_check_cap(*(u64 *)arg);
}

static long vmm_dev_create_vm(void *obj, void *arg)
{
	return vmm_vm_create(arg);
}

static long vmm_dev_supported_state(void *obj, void *arg)
{
	return vmm_supported_state(arg);
}

static const struct vmm_ioctl vmm_dev_ioctls[] = {
	{ VMM_GET_ABI,			vmm_dev_get_abi },
	{ VMM_CHECK_CAP,		vmm_dev_check_cap },
	{ VMM_CREATE_VM,		vmm_dev_create_vm },
	{ VMM_GET_SUPPORTED_STATE,	vmm_dev_supported_state },
};

static long vmm_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return vmm_ioctl(vmm_dev_ioctls, ARRAY_SIZE(vmm_dev_ioctls), NULL, cmd, arg);
}

static const struct file_operations vmm_dev_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vmm_dev_ioctl,
	.poll = vmm_hw_poll,
	.llseek = noop_llseek,
};

static struct miscdevice vmm_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vmm",
	.fops = &vmm_dev_fops,
	.mode = 0660,
};

static const struct vmm_x86_vendor * const vmm_vendors[] = { &svm_vendor, &vmx_vendor };

/* bind the backend that this processor is for; -ENODEV: none */
static int vmm_find_vendor(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(vmm_vendors); i++) {
		ret = vmm_vendors[i]->setup();
		if (!ret)
			vmm_x86_ops_update(vmm_vendors[i]);
		if (ret != -ENODEV)
			return ret;
	}
	return -ENODEV;
}

static int __init vmm_init(void)
{
	int ret;

	vmm_debug_init();
	ret = vmm_find_vendor();
	if (ret == -ENODEV) {
		pr_err("vmm: this processor offers neither AMD-V (SVM) nor VT-x (VMX): it has none, the firmware disabled it, or the hypervisor below does not pass it on\n");
		return -EOPNOTSUPP;
	}
	if (ret)
		return ret;
	ret = vmm_cpuid_module_init();
	if (ret)
		goto err_vendor;
	ret = vmm_vcpu_module_init();
	if (ret)
		goto err_vendor;
	ret = vmm_irqfd_module_init();
	if (ret)
		goto err_vcpu;
	ret = vmm_hw_module_init();
	if (ret)
		goto err_irqfd;
	ret = misc_register(&vmm_misc);
	if (ret)
		goto err_hw;
	pr_info("vmm: %s, ABI %d\n", vmm_vendor->name, VMM_ABI_VERSION);
	return 0;

err_hw:
	vmm_hw_module_exit();
err_irqfd:
	vmm_irqfd_module_exit();
err_vcpu:
	vmm_vcpu_module_exit();
err_vendor:
	vmm_vendor->cleanup();
	return ret;
}

static void __exit vmm_exit(void)
{
	misc_deregister(&vmm_misc);
	vmm_hw_module_exit();
	vmm_irqfd_module_exit();
	vmm_vcpu_module_exit();
	vmm_vendor->cleanup();
}

module_init(vmm_init);
module_exit(vmm_exit);
MODULE_DESCRIPTION("Hosted hypervisor");
MODULE_LICENSE("GPL");
MODULE_SOFTDEP("post: vmm_virtio");
