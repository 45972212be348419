// SPDX-License-Identifier: GPL-2.0
/*
 * The beginnings of a virtio driver; see driver.h.
 */
#include "driver.h"

#include <linux/virtio_pci.h>

static uint64_t ecam(const struct driver *d, unsigned int reg)
{
	return MAP_ECAM + (d->slot << 15) + reg;
}

uint32_t cfg_get(const struct driver *d, unsigned int reg, unsigned int len)
{
	return mmio_read(ecam(d, reg), len);
}

void cfg_set(const struct driver *d, unsigned int reg, uint32_t value, unsigned int len)
{
	mmio_write(ecam(d, reg), value, len);
}

static uint64_t bar_address(const struct driver *d, unsigned int bar)
{
	uint32_t value = cfg_get(d, 0x10 + 4 * bar, 4);

	return value & 1 ? value & ~3u : value & ~15u;
}

static void read_cap(struct driver *d, unsigned int cap)
{
	unsigned int bar = cfg_get(d, cap + 4, 1);
	uint32_t offset = cfg_get(d, cap + 8, 4), length = cfg_get(d, cap + 12, 4);
	uint64_t addr = bar < 6 ? bar_address(d, bar) + offset : 0;

	switch (cfg_get(d, cap + 3, 1)) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		d->common = length >= 56 ? addr : 0;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		d->notify = length >= 2 && (cfg_get(d, 0x10 + 4 * bar, 4) & 1) ? addr : 0;
		d->multiplier = cfg_get(d, cap + 16, 4);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		d->isr = addr;
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		d->config = addr;
		d->config_len = length;
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		d->window = cap;
		break;
	}
}

bool driver_scan(struct driver *d, unsigned int slot)
{
	unsigned int cap, n = 0;

	*d = (struct driver){ .slot = slot };
	if (cfg_get(d, 0, 2) != 0x1af4 || !(cfg_get(d, 6, 2) & 0x10))
		return false;
	for (cap = cfg_get(d, 0x34, 1); cap && n < 48; cap = cfg_get(d, cap + 1, 1), n++) {
		uint32_t table, pba;

		if (cap < 0x40 || cap % 4)
			return false;
		if (cfg_get(d, cap, 1) == 0x09)
			read_cap(d, cap);
		if (cfg_get(d, cap, 1) != 0x11)
			continue;
		table = cfg_get(d, cap + 4, 4);
		pba = cfg_get(d, cap + 8, 4);
		d->msix_cap = cap;
		d->msix = bar_address(d, table & 7) + (table & ~7u);
		d->pba = bar_address(d, pba & 7) + (pba & ~7u);
	}
	return n < 48 && d->common && d->isr && d->config && d->notify && d->msix && d->window &&
	       !d->multiplier;
}

void driver_find(struct driver *d, unsigned int slot)
{
	EXPECT(driver_scan(d, slot));
	cfg_set(d, 4, 7, 2);
}

uint64_t get(const struct driver *d, unsigned int offset, unsigned int len)
{
	return mmio_read(d->common + offset, len);
}

void set(const struct driver *d, unsigned int offset, uint64_t value, unsigned int len)
{
	mmio_write(d->common + offset, value, len);
}

uint64_t driver_negotiate(struct driver *d)
{
	uint64_t offered;

	set(d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	EXPECT_EQ(get(d, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	set(d, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	set(d, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	set(d, VIRTIO_PCI_COMMON_DFSELECT, 0, 4);
	offered = get(d, VIRTIO_PCI_COMMON_DF, 4);
	set(d, VIRTIO_PCI_COMMON_DFSELECT, 1, 4);
	offered |= get(d, VIRTIO_PCI_COMMON_DF, 4) << 32;
	set(d, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	set(d, VIRTIO_PCI_COMMON_GF, offered, 4);
	set(d, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	set(d, VIRTIO_PCI_COMMON_GF, offered >> 32, 4);
	set(d, VIRTIO_PCI_COMMON_STATUS, 11, 1);
	EXPECT_EQ(get(d, VIRTIO_PCI_COMMON_STATUS, 1), 11);
	return offered;
}

void driver_queue(struct driver *d, unsigned int index, uint64_t gpa, uint16_t vector)
{
	set(d, VIRTIO_PCI_COMMON_Q_SELECT, index, 2);
	EXPECT_EQ(get(d, VIRTIO_PCI_COMMON_Q_NOFF, 2), 0);
	set(d, VIRTIO_PCI_COMMON_Q_SIZE, 128, 2);
	set(d, VIRTIO_PCI_COMMON_Q_DESCLO, gpa, 4);
	set(d, VIRTIO_PCI_COMMON_Q_DESCHI, gpa >> 32, 4);
	set(d, VIRTIO_PCI_COMMON_Q_AVAILLO, gpa + 0x1000, 4);
	set(d, VIRTIO_PCI_COMMON_Q_AVAILHI, 0, 4);
	set(d, VIRTIO_PCI_COMMON_Q_USEDLO, gpa + 0x2000, 8);
	set(d, VIRTIO_PCI_COMMON_Q_MSIX, vector, 2);
	EXPECT_EQ(get(d, VIRTIO_PCI_COMMON_Q_MSIX, 2), vector);
	set(d, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	EXPECT_EQ(get(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
}
