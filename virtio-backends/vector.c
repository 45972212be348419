// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts of a device: MSI-X vectors with masks and pending bits (PCI 3.0, 6.8.2), or an eventfd
 * by which userland drives ISR and INTx (virtio 1.2, 4.1.4.5).
 */
#include <linux/bitmap.h>
#include <linux/eventfd.h>
#include <linux/nospec.h>

#include "../kmod/compat.h"
#include "virtio.h"

void vdev_vectors_init(struct vdev *dev)
{
	unsigned int i;

	spin_lock_init(&dev->vector_lock);
	for (i = 0; i < VMM_DEV_MAX_VECTORS; i++)
		dev->vectors[i].masked = true;
	dev->config_vector = VMM_DEV_NO_VECTOR;
}

void vdev_vectors_release(struct vdev *dev)
{
	if (dev->intx)
		eventfd_ctx_put(dev->intx);
}

static bool vector_open(const struct vdev *dev, u32 vector)
{
	return (dev->msix_flags & VMM_DEV_MSIX_ENABLED) &&
	       !(dev->msix_flags & VMM_DEV_MSIX_MASKED) && !dev->vectors[vector].masked;
}

/* Sends the message, or remembers it. Context: vector_lock. */
static void __vector_raise(struct vdev *dev, u32 vector)
{
	if (vector >= VMM_DEV_MAX_VECTORS)
		return;
	vector = array_index_nospec(vector, VMM_DEV_MAX_VECTORS);
	if (vector_open(dev, vector))
		vmm_msi_deliver(dev->vm, dev->vectors[vector].addr, dev->vectors[vector].data);
	else
		__set_bit(vector, dev->pending);
}

/* Sends what is pending and open now, each once. Context: vector_lock. */
static void __vector_deliver(struct vdev *dev, u32 vector)
{
	if (vector_open(dev, vector) && __test_and_clear_bit(vector, dev->pending))
		vmm_msi_deliver(dev->vm, dev->vectors[vector].addr, dev->vectors[vector].data);
}

/**
 * vdev_interrupt() - used buffers wait for the driver
 * @dev: the device
 * @vector: of the queue, or VMM_DEV_NO_VECTOR
 *
 * Context: process.
 */
void vdev_interrupt(struct vdev *dev, u32 vector)
{
	spin_lock(&dev->vector_lock);
	if (dev->msix_flags & VMM_DEV_MSIX_ENABLED)
		__vector_raise(dev, vector);
	else if (dev->intx)
		vmm_eventfd_signal(dev->intx);
	spin_unlock(&dev->vector_lock);
}

int vdev_set_vector(struct vdev *dev, void *arg)
{
	const struct vmm_dev_vector *in = arg;
	u32 i = in->index;

	if (i >= VMM_DEV_MAX_VECTORS || in->flags & ~VMM_DEV_VECTOR_MASKED || in->pad)
		return -EINVAL;
	i = array_index_nospec(i, VMM_DEV_MAX_VECTORS);

	spin_lock(&dev->vector_lock);
	dev->vectors[i].addr = in->addr;
	dev->vectors[i].data = in->data;
	dev->vectors[i].masked = in->flags & VMM_DEV_VECTOR_MASKED;
	__vector_deliver(dev, i);
	spin_unlock(&dev->vector_lock);
	return 0;
}

int vdev_set_msix(struct vdev *dev, void *arg)
{
	const struct vmm_dev_msix *in = arg;
	struct eventfd_ctx *intx = NULL;
	u32 i;

	if (in->flags & ~(VMM_DEV_MSIX_ENABLED | VMM_DEV_MSIX_MASKED) ||
	    memchr_inv(in->pad, 0, sizeof(in->pad)))
		return -EINVAL;
	if (in->config_vector >= VMM_DEV_MAX_VECTORS && in->config_vector != VMM_DEV_NO_VECTOR)
		return -EINVAL;
	if (in->intx_fd < -1)
		return -EBADF;
	if (in->intx_fd >= 0) {
		intx = eventfd_ctx_fdget(in->intx_fd);
		if (IS_ERR(intx))
			return PTR_ERR(intx);
	}

	spin_lock(&dev->vector_lock);
	swap(dev->intx, intx);
	dev->config_vector = in->config_vector;
	dev->msix_flags = in->flags;
	if (!(dev->msix_flags & VMM_DEV_MSIX_ENABLED))
		bitmap_zero(dev->pending, VMM_DEV_MAX_VECTORS);
	for_each_set_bit(i, dev->pending, VMM_DEV_MAX_VECTORS)
		__vector_deliver(dev, i);
	spin_unlock(&dev->vector_lock);

	if (intx)
		eventfd_ctx_put(intx);
	return 0;
}

int vdev_get_pending(struct vdev *dev, void *arg)
{
	struct vmm_dev_pending *out = arg;
	u32 i;

	spin_lock(&dev->vector_lock);
	for_each_set_bit(i, dev->pending, VMM_DEV_MAX_VECTORS)
		out->bits[i / 64] |= BIT_ULL(i % 64);
	spin_unlock(&dev->vector_lock);
	return 0;
}

/* 1: MSI-X is off, and the caller, who keeps ISR and INTx, is who has to act */
int vdev_raise_config(struct vdev *dev, void *arg)
{
	int ret = 1;

	spin_lock(&dev->vector_lock);
	if (dev->msix_flags & VMM_DEV_MSIX_ENABLED) {
		__vector_raise(dev, dev->config_vector);
		ret = 0;
	}
	spin_unlock(&dev->vector_lock);
	return ret;
}
