// SPDX-License-Identifier: GPL-2.0
/*
 * The types of devices that other modules implement, and what they may call.
 */
#include <linux/export.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>

#include "device.h"

static DEFINE_MUTEX(vmm_device_types_lock);	/* leaf; the list below */
static LIST_HEAD(vmm_device_type_list);

static struct vmm_device_type *__vmm_find_type(u32 type)
{
	struct vmm_device_type *t;

	list_for_each_entry(t, &vmm_device_type_list, node)
		if (t->type == type)
			return t;
	return NULL;
}

/**
 * vmm_register_device_type - from now on VMM_CREATE_DEVICE can make this type
 * @type: stays the caller's; must live until vmm_unregister_device_type()
 *
 * Context: may sleep. Return: 0, or -EEXIST when somebody serves that type.
 */
int vmm_register_device_type(struct vmm_device_type *type)
{
	int ret = 0;

	mutex_lock(&vmm_device_types_lock);
	if (type->type > 31)
		ret = -EINVAL;
	else if (__vmm_find_type(type->type))
		ret = -EEXIST;
	else
		list_add(&type->node, &vmm_device_type_list);
	mutex_unlock(&vmm_device_types_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(vmm_register_device_type);

/**
 * vmm_unregister_device_type - no new devices of this type. Context: may sleep.
 * @type: what was registered
 */
void vmm_unregister_device_type(struct vmm_device_type *type)
{
	mutex_lock(&vmm_device_types_lock);
	list_del(&type->node);
	mutex_unlock(&vmm_device_types_lock);
}
EXPORT_SYMBOL_GPL(vmm_unregister_device_type);

/**
 * vmm_create_device - VMM_CREATE_DEVICE
 * @vm: the VM, its lock held
 * @arg: what to make
 *
 * Context: may sleep. Return: a file descriptor, or a negative errno.
 */
int vmm_create_device(struct vmm_vm *vm, const struct vmm_create_device *arg)
{
	struct vmm_device_type *type;
	int ret;

	if (arg->flags || memchr_inv(arg->pad, 0, sizeof(arg->pad)))
		return -EINVAL;
	mutex_lock(&vmm_device_types_lock);
	type = __vmm_find_type(arg->type);
	if (type && !try_module_get(type->owner))
		type = NULL;
	mutex_unlock(&vmm_device_types_lock);
	if (!type)
		return -ENODEV;

	ret = type->create(vm, arg);
	module_put(type->owner);
	return ret;
}

/**
 * vmm_device_types - bit mask of the types that can be made now. Context: may sleep.
 */
u32 vmm_device_types(void)
{
	struct vmm_device_type *t;
	u32 mask = 0;

	mutex_lock(&vmm_device_types_lock);
	list_for_each_entry(t, &vmm_device_type_list, node)
		mask |= BIT(t->type);
	mutex_unlock(&vmm_device_types_lock);
	return mask;
}
