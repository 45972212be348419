/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of vmmctl share: the VM as its process sees it, the buses that its emulated
 * devices sit on, and how errors are told.
 *
 * Locks (letters on the fields): [I] immutable after start, [b] bus->lock, [a] atomic. Each
 * device has a mutex of its own, taken by its handlers; a handler may call the interrupt
 * functions of irq.h (they take the chip's own mutex, and nothing is taken below that).
 */
#ifndef VMMCTL_H
#define VMMCTL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/vmm.h>
#include <linux/vmm_virtio.h>
#include <linux/vmm_x86.h>

/* exit status of vmmctl run; odd numbers belong to --debug-exit alone */
enum {
	STATUS_POWER_OFF	= 0,
	STATUS_USAGE		= 2,
	STATUS_REBOOT		= 10,
	STATUS_PANIC		= 12,	/* guest panic, or halted for good */
	STATUS_TRIPLE_FAULT	= 14,
	STATUS_KILLED		= 16,	/* after the stop deadline */
	STATUS_HOST_ERROR	= 20,
};

/* guest physical address map (DSDT and MADT say the same) */
#define MAP_LOW_RAM_END \
	0xc0000000ull /* RAM below 4 GiB ends here at most; the rest starts at 4 GiB */
#define MAP_PCI_MMIO		0xc0000000ull	/* 32-bit BARs */
#define MAP_PCI_MMIO_SIZE	0x20000000ull
#define MAP_ECAM		0xe0000000ull	/* bus 0 only */
#define MAP_ECAM_SIZE		0x00100000ull
#define MAP_IOAPIC		0xfec00000ull
#define MAP_LAPIC		0xfee00000ull
#define MAP_HIGH_RAM		0x100000000ull

/* ports */
#define PORT_PCI_IO		0xc000		/* I/O BARs */
#define PORT_PCI_IO_SIZE	0x4000
#define PORT_PM1_EVT		0x600		/* 4 bytes: status, enable */
#define PORT_PM1_CNT		0x604		/* 2 bytes */
#define PORT_PM_TMR		0x608		/* 4 bytes */
#define PORT_ACPI_RESET		0xcf9
#define SCI_GSI			9

/**
 * struct io_region - a range of ports or of guest physical addresses that a device of ours
 * answers
 * @addr: start; @size: length
 * @access: called with no bus lock held by a vCPU's thread; @data is read or written, @len 1,
 *	2, 4 or 8, wholly inside the range
 * @opaque: the device
 */
struct io_region {
	uint64_t addr, size;
	void (*access)(void *opaque, uint64_t offset, bool is_write, void *data, unsigned int len);
	void *opaque;
};

/*
 * bus.c: sorted regions behind a rwlock. An access that nothing answers reads all ones and is
 * counted.
 */
struct bus {
	pthread_rwlock_t lock;
	const struct io_region **regions;	/* [b] */
	size_t nr;				/* [b] */
	atomic_ulong unclaimed;			/* [a] */
};

int bus_init(struct bus *bus);
/* -EEXIST when it overlaps; the region's storage stays the caller's */
int bus_add(struct bus *bus, const struct io_region *region);
/* a handler that is being called may go on for a moment */
void bus_remove(struct bus *bus, const struct io_region *region);
void bus_access(struct bus *bus, uint64_t addr, bool is_write, void *data, unsigned int len);

struct vcpu;		/* vcpu.h */
struct options;		/* options.h: the parsed command line */

struct ram_block {
	uint64_t gpa, size;
	uint8_t *hva;
};

struct vm {
	const struct options *opt;	/* [I] */
	const char *name;		/* [I] */
	int dev_fd;			/* [I] /dev/vmm */
	int fd;				/* [I] the VM */
	struct ram_block ram[2];	/* [I] low, high */
	unsigned int nr_ram;		/* [I] */
	uint64_t mem_size;		/* [I] bytes in all */
	struct vcpu *vcpus;		/* [I] */
	unsigned int nr_vcpus;		/* [I] */
	struct bus pio, mmio;
	struct irqchip *irqchip;	/* [I] irq.h */
	struct pci_bus *pci;		/* [I] dev/pci.h */
	struct devices *devices;	/* [I] dev/devices.h */
	atomic_int status;		/* [a] exit status once the VM ends, -1 before */
	int end_fd;			/* [I] eventfd, signalled when the VM shall end */
};

/* mem.c: the memory behind [gpa, gpa + len), NULL unless it is all RAM of one block */
void *vm_ram(struct vm *vm, uint64_t gpa, uint64_t len);

/* vm.c: end the VM with this status; the first call wins; any thread */
void vm_end(struct vm *vm, int status);

/* interrupts: irq.c wires IOAPIC, PIC and the local APICs together */
/* ISA irq n and gsi n are the same line, but for irq 0 -> gsi 2 */
void irq_set_level(struct vm *vm, unsigned int gsi, bool level);
void irq_eoi(struct vm *vm, unsigned int vector);	/* VMM_EXIT_EOI */
int irq_intack(struct vm *vm);				/* VMM_EXIT_INTACK: vector or -1 */
int msi_send(struct vm *vm, uint64_t addr, uint32_t data);

/*
 * log.c: die_usage() ends with STATUS_USAGE, die() with STATUS_HOST_ERROR; both restore the
 * terminal
 */
void die_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *xcalloc(size_t nr, size_t size);

#endif /* VMMCTL_H */
