// SPDX-License-Identifier: GPL-2.0
/*
 * virtio block device: its configuration space. The requests are the kernel's.
 */
#include "virtio_blk.h"

#include <linux/fs.h>
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "host.h"
#include "virtio_pci.h"

#define CLASS_STORAGE	0x018000	/* mass storage, other */
#define SECTOR		512u
#define MAX_QUEUES	8u
#define BLOCKING	3		/* threads for flush, discard and what would block */
#define MAX_BLOCK	65536u
/* with write_zeroes_may_unmap and its padding; what follows belongs to features never offered */
#define CONFIG_LEN	(offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 4)

/**
 * struct geometry - how the storage below likes to be used
 * @logical: smallest addressable unit, bytes
 * @physical: smallest unit written without a read, bytes
 * @io_min: preferred smallest request, bytes, 0 = not known
 * @io_opt: preferred request, bytes, 0 = not known
 */
struct geometry {
	unsigned int logical, physical, io_min, io_opt;
};

static bool sane_block(unsigned int size)
{
	return size >= SECTOR && size <= MAX_BLOCK && !(size & (size - 1));
}

static void block_device_geometry(int fd, struct geometry *g)
{
	unsigned int value;
	int logical;

	if (!ioctl(fd, BLKSSZGET, &logical) && logical > 0)
		g->logical = logical;
	if (!ioctl(fd, BLKPBSZGET, &value))
		g->physical = value;
	if (!ioctl(fd, BLKIOMIN, &value))
		g->io_min = value;
	if (!ioctl(fd, BLKIOOPT, &value))
		g->io_opt = value;
}

/*
 * An image file has sectors of 512 bytes whatever lies below: partition tables count in them. Its
 * file system's block is what is written without a read.
 */
static struct geometry get_geometry(int fd)
{
	struct geometry g = { .logical = SECTOR, .physical = SECTOR };
	struct stat st;

	if (!fstat(fd, &st)) {
		if (S_ISBLK(st.st_mode))
			block_device_geometry(fd, &g);
		else
			g.physical = st.st_blksize;
	}
	if (!sane_block(g.logical))
		g.logical = SECTOR;
	if (!sane_block(g.physical) || g.physical < g.logical)
		g.physical = g.logical;
	if (g.io_min < g.physical || g.io_min % g.logical)
		g.io_min = g.physical;
	if (g.io_opt % g.logical)
		g.io_opt = 0;
	return g;
}

static unsigned int log2_of(unsigned int value)
{
	return 31 - __builtin_clz(value);
}

static void fill_config(struct virtio_dev *v, const struct geometry *g, uint64_t capacity)
{
	unsigned int segments = v->info.max_queue_size - 2;
	struct virtio_blk_config config = {
		.capacity = capacity,
		.seg_max = segments < VMM_BLK_SEG_MAX ? segments : VMM_BLK_SEG_MAX,
		.blk_size = g->logical,
		.physical_block_exp = log2_of(g->physical / g->logical),
		.min_io_size = g->io_min / g->logical < 0xffff ? g->io_min / g->logical : 0,
		.opt_io_size = g->io_opt / g->logical,
		.wce = 1,
		.num_queues = v->info.queues,
		/* used only where the kernel's device offers these requests */
		.max_discard_sectors = 1u << 22,
		.max_discard_seg = 1,
		.discard_sector_alignment = g->physical / SECTOR,
		.max_write_zeroes_sectors = 1u << 22,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};

	static_assert(CONFIG_LEN <= VIRTIO_CONFIG_MAX, "config space");
	memcpy(v->config, &config, CONFIG_LEN);
	v->config_len = CONFIG_LEN;
}

/* the kernel's features, and those that are the configuration space's alone */
static uint64_t features(const struct virtio_dev *v, bool readonly)
{
	uint64_t f = v->info.features | 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_BLK_F_BLK_SIZE |
		     1ull << VIRTIO_BLK_F_TOPOLOGY;

	if (v->info.max_queue_size > 2)
		f |= 1ull << VIRTIO_BLK_F_SEG_MAX;
	if (v->info.queues > 1)
		f |= 1ull << VIRTIO_BLK_F_MQ;
	if (readonly)
		f |= 1ull << VIRTIO_BLK_F_RO;
	return f;
}

int virtio_blk_create(struct vm *vm, int fd, bool readonly, bool direct, uint64_t capacity,
		      const char *serial)
{
	struct virtio_dev *v = xcalloc(1, sizeof(*v));
	struct geometry g = get_geometry(fd);
	struct vmm_blk_setup setup = {
		.fd = fd,
		.flags = (readonly ? VMM_BLK_READONLY : 0) | (direct ? VMM_BLK_DIRECT : 0),
		.capacity = capacity,
		.queues = vm->nr_vcpus < MAX_QUEUES ? vm->nr_vcpus : MAX_QUEUES,
	};
	int ret;

	if (serial)
		memcpy(setup.serial, serial, strnlen(serial, sizeof(setup.serial)));
	ret = virtio_dev_open(v, vm, "virtio-blk", VMM_DEVICE_BLK, VMM_BLK_SETUP, &setup);
	if (ret) {
		free(v);
		return ret;
	}
	v->offered = features(v, readonly);
	fill_config(v, &g, capacity);
	return virtio_pci_create(v, vm, CLASS_STORAGE, BLOCKING);
}
