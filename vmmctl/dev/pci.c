// SPDX-License-Identifier: GPL-2.0
/*
 * PCI bus 0: how the guest reaches configuration space, and the bus itself. What a function does
 * with an access is in pci_dev.c.
 *
 * Locks: [b] pci_bus->lock: the address register and the slots. Taken before a device's mutex, and
 * dropped before it where the device may sleep.
 */
#include "pci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "pci_internal.h"

#define PORT_CONFIG	0xcf8
#define CFG_ADDR	0	/* offsets in the region */
#define CFG_DATA	4
#define CFG_ENABLE	0x80000000u
#define CFG_RESERVED	0x7f000003u
#define RESET_REQUEST	0x04

/*
 * Host bridge. The id is Red Hat's for a generic PCIe host bridge: no operating system has
 * workarounds for it, as they have for the Intel chips that hypervisors like to imitate (Linux
 * limits transfers behind a 440FX, and pokes at registers of its kind).
 */
#define BRIDGE_VENDOR	0x1b36
#define BRIDGE_DEVICE	0x0008
#define BRIDGE_CLASS	0x060000

struct pci_bus {
	struct vm *vm;				/* [I] */
	struct io_region port_region, ecam_region;	/* [I] */
	struct pci_dev bridge;

	pthread_mutex_t lock;
	struct pci_dev *slot[PCI_SLOTS];	/* [b] */
	uint32_t address;			/* [b] 0xcf8 */
	uint64_t next_mem, next_io;		/* [b] where the next BAR goes */
};

static struct pci_dev *find_slot(struct pci_bus *bus, unsigned int slot)
{
	struct pci_dev *dev;

	pthread_mutex_lock(&bus->lock);
	dev = bus->slot[slot % PCI_SLOTS];
	pthread_mutex_unlock(&bus->lock);
	return dev;
}

/* one access of 1, 2 or 4 bytes inside a dword; what is not there reads all ones */
static void config_access(struct pci_bus *bus, unsigned int devfn, unsigned int reg,
			  bool is_write, void *data, unsigned int len)
{
	struct pci_dev *dev = NULL;

	/* function 0 only; conventional devices end at 256 bytes */
	if (!(devfn & 7) && reg + len <= PCI_CFG_SIZE)
		dev = find_slot(bus, devfn >> 3);
	if (!dev) {
		if (!is_write)
			memset(data, 0xff, len);
		return;
	}
	pthread_mutex_lock(&dev->lock);
	if (is_write)
		pci_config_write(dev, reg, data, len);
	else
		pci_config_read(dev, reg, data, len);
	pthread_mutex_unlock(&dev->lock);
}

static void access_address(struct pci_bus *bus, uint64_t offset, bool is_write, void *data,
			   unsigned int len)
{
	/* only whole dwords reach the register; the reset control is a byte in its middle */
	if (len != 4) {
		if (!is_write)
			memset(data, offset == PORT_ACPI_RESET - PORT_CONFIG ? 0 : 0xff, len);
		else if (offset == PORT_ACPI_RESET - PORT_CONFIG &&
			 (*(uint8_t *)data & RESET_REQUEST))
			vm_end(bus->vm, STATUS_REBOOT);
		return;
	}
	pthread_mutex_lock(&bus->lock);
	if (is_write)
		bus->address = load_le(data, 4) & ~CFG_RESERVED;
	else
		store_le(data, bus->address, 4);
	pthread_mutex_unlock(&bus->lock);
}

static void port_access(void *opaque, uint64_t offset, bool is_write, void *data,
			unsigned int len)
{
	struct pci_bus *bus = opaque;
	uint32_t address;

	if (offset < CFG_DATA) {
		if (offset + len <= CFG_DATA)
			access_address(bus, offset, is_write, data, len);
		else if (!is_write)
			memset(data, 0xff, len);
		return;
	}
	pthread_mutex_lock(&bus->lock);
	address = bus->address;
	pthread_mutex_unlock(&bus->lock);
	/* disabled, or another bus */
	if (!(address & CFG_ENABLE) || (address >> 16 & 0xff)) {
		if (!is_write)
			memset(data, 0xff, len);
		return;
	}
	config_access(bus, address >> 8 & 0xff, (address & 0xfc) + (offset - CFG_DATA), is_write,
		      data, len);
}

static void ecam_access(void *opaque, uint64_t offset, bool is_write, void *data,
			unsigned int len)
{
	uint8_t *bytes = data;

	if (len == 8) {
		ecam_access(opaque, offset, is_write, bytes, 4);
		ecam_access(opaque, offset + 4, is_write, bytes + 4, 4);
		return;
	}
	/* across a dword: the halves would belong to two registers */
	if ((offset & 3) + len > 4) {
		if (!is_write)
			memset(data, 0xff, len);
		return;
	}
	config_access(opaque, offset >> 12 & 0xff, offset & 0xfff, is_write, data, len);
}

/* addresses for a BAR, aligned to its size */
static int __assign(struct pci_bus *bus, struct pci_dev *dev, unsigned int i)
{
	struct pci_bar *bar = &dev->bar[i];
	bool io = bar->kind == PCI_BAR_IO;
	uint64_t *next = io ? &bus->next_io : &bus->next_mem;
	uint64_t end = io ? PORT_PCI_IO + PORT_PCI_IO_SIZE : MAP_PCI_MMIO + MAP_PCI_MMIO_SIZE;
	uint64_t addr = (*next + bar->size - 1) & ~(bar->size - 1);

	if (addr + bar->size > end)
		return -ENOSPC;
	*next = addr + bar->size;
	pci_bar_assign(dev, i, addr);
	return 0;
}

static int __place(struct pci_bus *bus, struct pci_dev *dev)
{
	unsigned int slot, i;

	for (slot = 0; slot < PCI_SLOTS && bus->slot[slot]; slot++)
		;
	if (slot == PCI_SLOTS)
		return -ENOSPC;
	for (i = 0; i < PCI_BARS; i++) {
		enum pci_bar_kind kind = dev->bar[i].kind;

		if (kind != PCI_BAR_NONE && kind != PCI_BAR_UPPER && __assign(bus, dev, i))
			return -ENOSPC;
	}
	dev->slot = slot;
	return 0;
}

int pci_add(struct pci_dev *dev)
{
	struct pci_bus *bus = dev->vm->pci;
	int err;

	pthread_mutex_lock(&bus->lock);
	err = __place(bus, dev);
	if (!err)
		bus->slot[dev->slot] = dev;
	pthread_mutex_unlock(&bus->lock);
	if (err)
		return err;
	pthread_mutex_lock(&dev->lock);
	pci_dev_start(dev);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

void pci_remove(struct pci_dev *dev)
{
	struct pci_bus *bus = dev->vm->pci;

	pthread_mutex_lock(&bus->lock);
	if (bus->slot[dev->slot] == dev)
		bus->slot[dev->slot] = NULL;
	pthread_mutex_unlock(&bus->lock);
	pthread_mutex_lock(&dev->lock);
	pci_dev_stop(dev);
	pthread_mutex_unlock(&dev->lock);
}

int pci_create(struct vm *vm)
{
	struct pci_bus *bus = xcalloc(1, sizeof(*bus));
	int err;

	bus->vm = vm;
	bus->next_mem = MAP_PCI_MMIO;
	bus->next_io = PORT_PCI_IO;
	pthread_mutex_init(&bus->lock, NULL);
	vm->pci = bus;
	bus->port_region = (struct io_region){ PORT_CONFIG, 8, port_access, bus };
	bus->ecam_region = (struct io_region){ MAP_ECAM, MAP_ECAM_SIZE, ecam_access, bus };
	err = bus_add(&vm->pio, &bus->port_region);
	err = err ?: bus_add(&vm->mmio, &bus->ecam_region);
	pci_dev_init(&bus->bridge, vm, NULL, BRIDGE_VENDOR, BRIDGE_DEVICE, BRIDGE_CLASS, 0);
	/* a bridge raises no interrupt */
	bus->bridge.cfg[PCI_REG_IRQ_PIN] = 0;
	return err ?: pci_add(&bus->bridge);
}

void pci_free(struct vm *vm)
{
	struct pci_bus *bus = vm->pci;

	if (!bus)
		return;
	bus_remove(&vm->pio, &bus->port_region);
	bus_remove(&vm->mmio, &bus->ecam_region);
	pci_remove(&bus->bridge);
	pthread_mutex_destroy(&bus->bridge.lock);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
	vm->pci = NULL;
}
