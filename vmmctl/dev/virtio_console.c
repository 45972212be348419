// SPDX-License-Identifier: GPL-2.0
/*
 * virtio console: its configuration space. The bytes are the kernel's.
 */
#include "virtio_console.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_console.h>

#include "devices.h"
#include "host.h"
#include "virtio_pci.h"

#define CLASS_COMMUNICATION	0x078000	/* simple communication controller, other */

static void fill_config(struct virtio_dev *v, uint16_t cols, uint16_t rows)
{
	struct virtio_console_config config = {
		.cols = cols,
		.rows = rows,
		.max_nr_ports = 1,
	};

	static_assert(sizeof(config) <= VIRTIO_CONFIG_MAX, "config space");
	memcpy(v->config, &config, sizeof(config));
	v->config_len = sizeof(config);
}

int virtio_console_create(struct vm *vm, int in_fd, int out_fd)
{
	struct virtio_dev *v = xcalloc(1, sizeof(*v));
	struct vmm_console_setup setup = { .in_fd = in_fd, .out_fd = out_fd };
	int ret;

	ret = virtio_dev_open(v, vm, "virtio-console", VMM_DEVICE_CONSOLE, VMM_CONSOLE_SETUP,
			      &setup);
	if (ret) {
		free(v);
		return ret;
	}
	v->offered = v->info.features | 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_CONSOLE_F_SIZE;
	fill_config(v, 80, 25);
	ret = virtio_pci_create(v, vm, CLASS_COMMUNICATION, 0);
	if (!ret)
		vm->devices->console = v;
	return ret;
}

void virtio_console_resize(struct vm *vm, unsigned int cols, unsigned int rows)
{
	struct virtio_dev *v = vm->devices->console;

	if (!v)
		return;
	pthread_mutex_lock(&v->pci.lock);
	fill_config(v, cols < 0xffff ? cols : 0xffff, rows < 0xffff ? rows : 0xffff);
	virtio_dev_config_changed(v);
	pthread_mutex_unlock(&v->pci.lock);
}
