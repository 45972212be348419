// SPDX-License-Identifier: GPL-2.0
/*
 * A PCI function: configuration space, base address registers, INTA, MSI-X.
 *
 * A BAR is on its bus while the command register decodes its kind, its address fits there and
 * nothing else has the place; a BAR that found its place taken is tried again at the next write to
 * the command register or to a BAR.
 *
 * Locks: [d] dev->lock, held by every caller, unless said otherwise.
 */
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "pci_internal.h"

#define STATUS_INTX	0x08	/* low byte of the status register */
#define STATUS_CAPS	0x10

#define BAR_IO		0x1u
#define BAR_IO_FLAGS	0x3u
#define BAR_64		0x4u
#define BAR_MEM_FLAGS	0xfu

#define MSIX_CONTROL	2	/* offset in the capability */
#define MSIX_ENABLE	0x8000u
#define MSIX_MASK	0x4000u
#define MSIX_ENTRY_SIZE	16u

uint16_t pci_command(const struct pci_dev *dev)
{
	return load_le(&dev->cfg[PCI_REG_COMMAND], 2);
}

static uint16_t msix_control(const struct pci_dev *dev)
{
	return dev->msix.cap ? load_le(&dev->cfg[dev->msix.cap + MSIX_CONTROL], 2) : 0;
}

bool pci_msix_enabled(const struct pci_dev *dev)
{
	return msix_control(dev) & MSIX_ENABLE;
}

bool pci_msix_masked(const struct pci_dev *dev)
{
	return msix_control(dev) & MSIX_MASK;
}

static void update_intx(struct pci_dev *dev)
{
	bool status = dev->intx && !pci_msix_enabled(dev);

	/* the status bit tells what Interrupt Disable holds down */
	if (status)
		dev->cfg[PCI_REG_STATUS] |= STATUS_INTX;
	else
		dev->cfg[PCI_REG_STATUS] &= ~STATUS_INTX;
	irq_source_set(&dev->line, status && !(pci_command(dev) & PCI_CMD_INTX_OFF));
}

void pci_set_intx(struct pci_dev *dev, bool level)
{
	dev->intx = level;
	update_intx(dev);
}

static bool is_msix_bar(const struct pci_dev *dev, unsigned int bar)
{
	return dev->msix.cap && dev->msix.bar == bar;
}

/* dwords and aligned qwords reach the table; nothing else is defined (PCI 3.0, 6.8.2) */
static void msix_table_access(struct pci_dev *dev, uint64_t offset, bool is_write, void *data,
			      unsigned int len)
{
	unsigned int index = offset / MSIX_ENTRY_SIZE;
	struct pci_msix_entry *entry = &dev->msix.entry[index];
	uint8_t image[MSIX_ENTRY_SIZE];

	store_le(image, entry->addr, 8);
	store_le(image + 8, entry->data, 4);
	store_le(image + 12, entry->control, 4);
	if (!is_write) {
		memcpy(data, image + offset % MSIX_ENTRY_SIZE, len);
		return;
	}
	memcpy(image + offset % MSIX_ENTRY_SIZE, data, len);
	entry->addr = load_le(image, 8) & ~3ull;
	entry->data = load_le(image + 8, 4);
	entry->control = load_le(image + 12, 4) & PCI_MSIX_MASKED;
	if (dev->ops && dev->ops->msix_vector)
		dev->ops->msix_vector(dev, index);
}

static void msix_access(struct pci_dev *dev, uint64_t offset, bool is_write, void *data,
			unsigned int len)
{
	unsigned int pba_size = (dev->msix.nr + 63) / 64 * 8;
	uint64_t bits[PCI_MSIX_MAX / 64] = {};

	if (!is_write)
		memset(data, 0, len);
	if (len < 4 || offset % len)
		return;
	if (offset - PCI_MSIX_TABLE < dev->msix.nr * MSIX_ENTRY_SIZE) {
		msix_table_access(dev, offset - PCI_MSIX_TABLE, is_write, data, len);
	} else if (offset >= PCI_MSIX_PBA && offset - PCI_MSIX_PBA < pba_size && !is_write) {
		if (dev->ops && dev->ops->msix_pending)
			dev->ops->msix_pending(dev, bits);
		memcpy(data, (uint8_t *)bits + (offset - PCI_MSIX_PBA), len);
	}
}

void pci_bar_access(struct pci_dev *dev, unsigned int bar, uint64_t offset, bool is_write,
		    void *data, unsigned int len)
{
	if (is_msix_bar(dev, bar))
		msix_access(dev, offset, is_write, data, len);
	else if (dev->ops && dev->ops->bar_access)
		dev->ops->bar_access(dev, bar, offset, is_write, data, len);
	else if (!is_write)
		memset(data, 0, len);
}

/* from a bus, without a lock */
static void bar_region_access(void *opaque, uint64_t offset, bool is_write, void *data,
			      unsigned int len)
{
	struct pci_bar *bar = opaque;
	struct pci_dev *dev = bar->dev;

	pthread_mutex_lock(&dev->lock);
	pci_bar_access(dev, bar - dev->bar, offset, is_write, data, len);
	pthread_mutex_unlock(&dev->lock);
}

static struct bus *bar_bus(const struct pci_bar *bar)
{
	return bar->kind == PCI_BAR_IO ? &bar->dev->vm->pio : &bar->dev->vm->mmio;
}

/* the address that the register holds */
static uint64_t bar_address(const struct pci_dev *dev, unsigned int i)
{
	unsigned int reg = PCI_REG_BAR0 + 4 * i;

	switch (dev->bar[i].kind) {
	case PCI_BAR_IO:
		return load_le(&dev->cfg[reg], 4) & ~(uint64_t)BAR_IO_FLAGS;
	case PCI_BAR_MEM32:
		return load_le(&dev->cfg[reg], 4) & ~(uint64_t)BAR_MEM_FLAGS;
	default:
		return load_le(&dev->cfg[reg], 8) & ~(uint64_t)BAR_MEM_FLAGS;
	}
}

static bool bar_decoded(const struct pci_dev *dev, unsigned int i, uint64_t addr)
{
	const struct pci_bar *bar = &dev->bar[i];

	/* zero is how software parks a BAR */
	if (!addr)
		return false;
	if (bar->kind == PCI_BAR_IO)
		return (pci_command(dev) & PCI_CMD_IO) && addr + bar->size <= 0x10000;
	return pci_command(dev) & PCI_CMD_MEMORY;
}

static void unmap_bar(struct pci_dev *dev, unsigned int i)
{
	struct pci_bar *bar = &dev->bar[i];

	if (!bar->mapped)
		return;
	bus_remove(bar_bus(bar), &bar->region);
	bar->mapped = false;
	if (dev->ops && dev->ops->bar_moved)
		dev->ops->bar_moved(dev, i);
}

static void update_bar(struct pci_dev *dev, unsigned int i)
{
	struct pci_bar *bar = &dev->bar[i];
	uint64_t addr = bar_address(dev, i);
	bool decoded = bar_decoded(dev, i, addr);

	if (bar->mapped && decoded && bar->addr == addr)
		return;
	unmap_bar(dev, i);
	if (!decoded)
		return;
	bar->region = (struct io_region){ addr, bar->size, bar_region_access, bar };
	if (bus_add(bar_bus(bar), &bar->region))
		return;
	bar->addr = addr;
	bar->mapped = true;
	if (dev->ops && dev->ops->bar_moved)
		dev->ops->bar_moved(dev, i);
}

/* first off the old places, so that two BARs can change theirs */
static void update_bars(struct pci_dev *dev)
{
	unsigned int i;

	for (i = 0; i < PCI_BARS; i++) {
		uint64_t addr;

		if (!dev->bar[i].mapped)
			continue;
		addr = bar_address(dev, i);
		if (addr != dev->bar[i].addr || !bar_decoded(dev, i, addr))
			unmap_bar(dev, i);
	}
	for (i = 0; i < PCI_BARS; i++)
		if (dev->bar[i].kind != PCI_BAR_NONE && dev->bar[i].kind != PCI_BAR_UPPER)
			update_bar(dev, i);
}

static bool touches(unsigned int reg, unsigned int len, unsigned int first, unsigned int size)
{
	return reg < first + size && first < reg + len;
}

void pci_config_read(struct pci_dev *dev, unsigned int reg, void *data, unsigned int len)
{
	if (dev->ops && dev->ops->cfg_read)
		dev->ops->cfg_read(dev, reg, len);
	memcpy(data, &dev->cfg[reg], len);
}

void pci_config_write(struct pci_dev *dev, unsigned int reg, const void *data, unsigned int len)
{
	const uint8_t *bytes = data;
	uint16_t msix = msix_control(dev);
	unsigned int i;

	for (i = 0; i < len; i++) {
		uint8_t *cfg = &dev->cfg[reg + i], mask = dev->writable[reg + i];

		*cfg = (*cfg & ~mask) | (bytes[i] & mask);
		*cfg &= ~(bytes[i] & dev->clears[reg + i]);
	}
	if (touches(reg, len, PCI_REG_COMMAND, 2) ||
	    touches(reg, len, PCI_REG_BAR0, 4 * PCI_BARS))
		update_bars(dev);
	if (touches(reg, len, PCI_REG_COMMAND, 2)) {
		update_intx(dev);
		if (dev->ops && dev->ops->command_written)
			dev->ops->command_written(dev);
	}
	if (msix_control(dev) != msix) {
		update_intx(dev);
		if (dev->ops && dev->ops->msix_control)
			dev->ops->msix_control(dev);
	}
	if (dev->ops && dev->ops->cfg_written)
		dev->ops->cfg_written(dev, reg, len);
}

void pci_dev_init(struct pci_dev *dev, struct vm *vm, const struct pci_ops *ops, uint16_t vendor,
		  uint16_t device, uint32_t class, uint8_t revision)
{
	dev->vm = vm;
	dev->ops = ops;
	pthread_mutex_init(&dev->lock, NULL);
	store_le(&dev->cfg[PCI_REG_VENDOR], vendor, 2);
	store_le(&dev->cfg[PCI_REG_VENDOR + 2], device, 2);
	store_le(&dev->cfg[PCI_REG_CLASS], class, 3);
	dev->cfg[PCI_REG_REVISION] = revision;
	dev->cfg[PCI_REG_IRQ_PIN] = 1;
	store_le(&dev->writable[PCI_REG_COMMAND],
		 PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER | PCI_CMD_INTX_OFF, 2);
	dev->writable[PCI_REG_IRQ_LINE] = 0xff;
	dev->next_cap = PCI_REG_FIRST_CAP;
	dev->last_cap = PCI_REG_CAPS;
}

void pci_dev_set_subsystem(struct pci_dev *dev, uint16_t vendor, uint16_t device)
{
	store_le(&dev->cfg[PCI_REG_SUBSYSTEM], vendor, 2);
	store_le(&dev->cfg[PCI_REG_SUBSYSTEM + 2], device, 2);
}

void pci_dev_add_bar(struct pci_dev *dev, unsigned int i, enum pci_bar_kind kind, uint64_t size)
{
	unsigned int reg = PCI_REG_BAR0 + 4 * i;
	struct pci_bar *bar = &dev->bar[i];
	uint64_t mask = ~(size - 1);

	bar->dev = dev;
	bar->kind = kind;
	bar->size = size;
	switch (kind) {
	case PCI_BAR_IO:
		dev->cfg[reg] = BAR_IO;
		store_le(&dev->writable[reg], mask & ~(uint64_t)BAR_IO_FLAGS, 4);
		break;
	case PCI_BAR_MEM64:
		dev->bar[i + 1].kind = PCI_BAR_UPPER;
		dev->cfg[reg] = BAR_64;
		store_le(&dev->writable[reg], mask & ~(uint64_t)BAR_MEM_FLAGS, 8);
		break;
	default:
		store_le(&dev->writable[reg], mask & ~(uint64_t)BAR_MEM_FLAGS, 4);
		break;
	}
}

void pci_bar_assign(struct pci_dev *dev, unsigned int i, uint64_t addr)
{
	unsigned int reg = PCI_REG_BAR0 + 4 * i;
	unsigned int len = dev->bar[i].kind == PCI_BAR_MEM64 ? 8 : 4;

	store_le(&dev->cfg[reg], addr | dev->cfg[reg], len);
}

unsigned int pci_dev_add_cap(struct pci_dev *dev, uint8_t id, const void *body, unsigned int len)
{
	unsigned int cap = dev->next_cap;

	if (cap + 2 + len > PCI_CFG_SIZE)
		die("a PCI device has too many capabilities: this is a bug in vmmctl");
	dev->cfg[PCI_REG_STATUS] |= STATUS_CAPS;
	dev->cfg[dev->last_cap] = cap;
	dev->cfg[cap] = id;
	memcpy(&dev->cfg[cap + 2], body, len);
	dev->last_cap = cap + 1;
	/* capabilities are aligned to dwords */
	dev->next_cap = (cap + 2 + len + 3) & ~3u;
	return cap;
}

void pci_dev_add_msix(struct pci_dev *dev, unsigned int bar, unsigned int nr)
{
	uint8_t body[10];
	unsigned int i;

	store_le(body, nr - 1, 2);
	store_le(body + 2, PCI_MSIX_TABLE | bar, 4);
	store_le(body + 6, PCI_MSIX_PBA | bar, 4);
	dev->msix.cap = pci_dev_add_cap(dev, PCI_CAP_MSIX, body, sizeof(body));
	dev->msix.bar = bar;
	dev->msix.nr = nr;
	for (i = 0; i < nr; i++)
		dev->msix.entry[i].control = PCI_MSIX_MASKED;
	store_le(&dev->writable[dev->msix.cap + MSIX_CONTROL], MSIX_ENABLE | MSIX_MASK, 2);
	pci_dev_add_bar(dev, bar, PCI_BAR_MEM32, PCI_MSIX_BAR_SIZE);
}

void pci_dev_start(struct pci_dev *dev)
{
	unsigned int gsi = IRQ_PCI_GSI + dev->slot % IRQ_NR_PCI_GSIS;

	irq_source_init(&dev->line, dev->vm, gsi);
	if (dev->cfg[PCI_REG_IRQ_PIN])
		dev->cfg[PCI_REG_IRQ_LINE] = irq_pic_input(gsi);
	store_le(&dev->cfg[PCI_REG_COMMAND], PCI_CMD_IO | PCI_CMD_MEMORY, 2);
	update_bars(dev);
}

void pci_dev_stop(struct pci_dev *dev)
{
	unsigned int i;

	for (i = 0; i < PCI_BARS; i++)
		unmap_bar(dev, i);
	irq_source_set(&dev->line, false);
}
