/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PCI bus 0: configuration space by ports 0xcf8/0xcfc and by ECAM, base address registers, INTA and
 * MSI-X (PCI Local Bus 3.0; PCI Firmware 3.0, 4.1).
 *
 * A device has one mutex [d] for its configuration space and for all that its registers stand for.
 * Every function of struct pci_ops is called with it held.
 */
#ifndef VMMCTL_DEV_PCI_H
#define VMMCTL_DEV_PCI_H

#include "../irq.h"
#include "../vmmctl.h"

#define PCI_SLOTS		32
#define PCI_CFG_SIZE		256
#define PCI_BARS		6

#define PCI_REG_VENDOR		0x00
#define PCI_REG_COMMAND		0x04
#define PCI_REG_STATUS		0x06
#define PCI_REG_REVISION	0x08
#define PCI_REG_CLASS		0x09	/* 3 bytes */
#define PCI_REG_BAR0		0x10
#define PCI_REG_SUBSYSTEM	0x2c
#define PCI_REG_CAPS		0x34
#define PCI_REG_IRQ_LINE	0x3c
#define PCI_REG_IRQ_PIN		0x3d
#define PCI_REG_FIRST_CAP	0x40

#define PCI_CMD_IO		0x0001
#define PCI_CMD_MEMORY		0x0002
#define PCI_CMD_MASTER		0x0004
#define PCI_CMD_INTX_OFF	0x0400

#define PCI_CAP_VENDOR		0x09
#define PCI_CAP_MSIX		0x11

enum pci_bar_kind {
	PCI_BAR_NONE,
	PCI_BAR_IO,
	PCI_BAR_MEM32,
	PCI_BAR_MEM64,		/* takes the next register as well */
	PCI_BAR_UPPER,		/* that one */
};

struct pci_dev;

/**
 * struct pci_bar - a base address register
 * @dev: [I]
 * @kind: [I]
 * @size: [I] bytes, a power of two
 * @addr: [d] where it is mapped, valid with @mapped
 * @mapped: [d] decoded and nothing else is there
 * @region: [d] its entry on the bus
 */
struct pci_bar {
	struct pci_dev *dev;
	enum pci_bar_kind kind;
	uint64_t size;
	uint64_t addr;
	bool mapped;
	struct io_region region;
};

/**
 * struct pci_ops - what a device adds to a plain function; every member may be NULL
 * @bar_access: the guest accesses a BAR, wholly inside it
 * @bar_moved: a BAR was mapped, unmapped or moved
 * @command_written: the command register was written
 * @cfg_read: before a read of the configuration space is answered from it
 * @cfg_written: after a write went to it
 * @msix_vector: an entry of the MSI-X table was written
 * @msix_control: MSI-X enable or function mask changed
 * @msix_pending: fill the pending bit array
 */
struct pci_ops {
	void (*bar_access)(struct pci_dev *dev, unsigned int bar, uint64_t offset, bool is_write,
			   void *data, unsigned int len);
	void (*bar_moved)(struct pci_dev *dev, unsigned int bar);
	void (*command_written)(struct pci_dev *dev);
	void (*cfg_read)(struct pci_dev *dev, unsigned int reg, unsigned int len);
	void (*cfg_written)(struct pci_dev *dev, unsigned int reg, unsigned int len);
	void (*msix_vector)(struct pci_dev *dev, unsigned int index);
	void (*msix_control)(struct pci_dev *dev);
	void (*msix_pending)(struct pci_dev *dev, uint64_t *bits);
};

#define PCI_MSIX_MAX		128
#define PCI_MSIX_BAR_SIZE	4096u
#define PCI_MSIX_TABLE		0u
#define PCI_MSIX_PBA		2048u
#define PCI_MSIX_MASKED		1u	/* in the vector's control word */

/* one entry of the table, as the guest sees it */
struct pci_msix_entry {
	uint64_t addr;
	uint32_t data;
	uint32_t control;
};

/**
 * struct pci_msix - MSI-X of a device (PCI 3.0, 6.8.2)
 * @cap: [I] offset of the capability, 0 = none
 * @bar: [I] the BAR that holds the table and the pending bit array, and nothing else
 * @nr: [I] vectors
 * @entry: [d]
 */
struct pci_msix {
	unsigned int cap, bar, nr;
	struct pci_msix_entry entry[PCI_MSIX_MAX];
};

/**
 * struct pci_dev - a function of bus 0, always function 0 of its slot
 * @vm: [I]
 * @slot: [I] set by pci_add()
 * @ops: [I]
 * @lock: the device's mutex
 * @cfg: [d] configuration space
 * @writable: [I] its bits that a write changes
 * @clears: [I] its bits that a write of one clears
 * @next_cap: [I] where the next capability goes
 * @last_cap: [I] offset of the last one's link
 * @bar: [d]
 * @msix: [d]
 * @intx: [d] what the device drives on INTA
 * @line: INTA's end of its line
 */
struct pci_dev {
	struct vm *vm;
	unsigned int slot;
	const struct pci_ops *ops;
	pthread_mutex_t lock;
	uint8_t cfg[PCI_CFG_SIZE];
	uint8_t writable[PCI_CFG_SIZE];
	uint8_t clears[PCI_CFG_SIZE];
	unsigned int next_cap, last_cap;
	struct pci_bar bar[PCI_BARS];
	struct pci_msix msix;
	bool intx;
	struct irq_source line;
};

/**
 * pci_create - make bus 0 with a host bridge in slot 0
 * @vm: its buses and its interrupt chips exist; vm->pci is set
 *
 * Return: 0 or a negative errno.
 */
int pci_create(struct vm *vm);
void pci_free(struct vm *vm);

/**
 * pci_dev_init - start a device: plain function without BARs and capabilities
 * @dev: zeroed
 * @vm: the VM
 * @ops: what it does
 * @vendor: vendor id
 * @device: device id
 * @class: class, subclass and programming interface, 24 bits
 * @revision: revision id
 */
void pci_dev_init(struct pci_dev *dev, struct vm *vm, const struct pci_ops *ops, uint16_t vendor,
		  uint16_t device, uint32_t class, uint8_t revision);
void pci_dev_set_subsystem(struct pci_dev *dev, uint16_t vendor, uint16_t device);
void pci_dev_add_bar(struct pci_dev *dev, unsigned int bar, enum pci_bar_kind kind, uint64_t size);

/**
 * pci_dev_add_cap - append a capability
 * @dev: the device, not on the bus yet
 * @id: PCI_CAP_*
 * @body: what follows id and link
 * @len: bytes of it
 *
 * Return: its offset. There is room for what our devices have; too much is a bug and ends vmmctl.
 */
unsigned int pci_dev_add_cap(struct pci_dev *dev, uint8_t id, const void *body, unsigned int len);

/* MSI-X with @nr vectors, table and pending bits in a BAR of its own, which this adds */
void pci_dev_add_msix(struct pci_dev *dev, unsigned int bar, unsigned int nr);

/**
 * pci_add - put a device on the bus
 * @dev: complete; it stays where it is until pci_remove()
 *
 * It gets the next slot, addresses for its BARs and its interrupt line, and decodes at once, as
 * behind firmware.
 *
 * Return: 0, -ENOSPC: no slot or no address space is left.
 */
int pci_add(struct pci_dev *dev);
void pci_remove(struct pci_dev *dev);

uint16_t pci_command(const struct pci_dev *dev);
bool pci_msix_enabled(const struct pci_dev *dev);
bool pci_msix_masked(const struct pci_dev *dev);	/* by function */

/* drive INTA; Interrupt Disable and MSI-X hold it down */
void pci_set_intx(struct pci_dev *dev, bool level);

/* an access to a BAR from within, with the device's mutex held */
void pci_bar_access(struct pci_dev *dev, unsigned int bar, uint64_t offset, bool is_write,
		    void *data, unsigned int len);

#endif /* VMMCTL_DEV_PCI_H */
