// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupt lines, and the chips between them and the local APICs; see irq.h.
 *
 * Locks: [i] irqchip->lock, below every device's mutex. The kernel is told of INT and of messages
 * with it held, so that it hears of changes in the order in which they happened.
 */
#include "irq.h"

#include <errno.h>
#include <stdlib.h>

#include "dev/host.h"
#include "dev/ioapic.h"
#include "dev/pic.h"

#define PORT_PIC_MASTER	0x20
#define PORT_PIC_SLAVE	0xa0
#define PORT_ELCR	0x4d0
#define NR_PIC_INPUTS	16

struct irqchip {
	struct vm *vm;					/* [I] */
	void (*mask_hook)(void *opaque);		/* [I] once the PIT exists */
	void *mask_opaque;				/* [I] */
	struct io_region pic_region[2], elcr_region, ioapic_region;	/* [I] */

	pthread_mutex_t lock;
	struct pic pic;					/* [i] */
	struct ioapic ioapic;				/* [i] */
	struct irq_source line[IRQ_NR_GSIS];		/* [i] of irq_set_level() */
	unsigned int gsi_count[IRQ_NR_GSIS];		/* [i] sources that assert it */
	unsigned int pic_count[NR_PIC_INPUTS];		/* [i] gsis that assert it */
	bool lint0;					/* [i] as the kernel knows it */
};

int irq_pic_input(unsigned int gsi)
{
	if (gsi == IRQ_PIT_GSI)
		return 0;
	if (gsi == 0 || gsi >= IRQ_NR_GSIS)
		return -1;
	if (gsi < IRQ_PCI_GSI)
		return gsi;
	return gsi & 1 ? 11 : 10;
}

static void __update_lint0(struct irqchip *chip)
{
	struct vmm_lint lint = { .vcpu_id = 0, .pin = 0 };
	bool level = pic_output(&chip->pic);

	if (level == chip->lint0)
		return;
	chip->lint0 = level;
	lint.level = level;
	vmm_ioctl(chip->vm->fd, VMM_SET_LINT, &lint);
}

static void __set_gsi(struct irqchip *chip, unsigned int gsi, bool level)
{
	int input = irq_pic_input(gsi);

	if (input < 0)
		return;
	ioapic_set_line(&chip->ioapic, gsi, level);
	if (level ? chip->pic_count[input]++ : --chip->pic_count[input])
		return;
	pic_set_line(&chip->pic, input, level);
	__update_lint0(chip);
}

static void __set_source(struct irqchip *chip, struct irq_source *source, bool level)
{
	unsigned int gsi = source->gsi;

	if (gsi >= IRQ_NR_GSIS || source->level == level)
		return;
	source->level = level;
	if (level ? chip->gsi_count[gsi]++ : --chip->gsi_count[gsi])
		return;
	__set_gsi(chip, gsi, level);
}

void irq_source_init(struct irq_source *source, struct vm *vm, unsigned int gsi)
{
	*source = (struct irq_source){ .vm = vm, .gsi = gsi };
}

void irq_source_set(struct irq_source *source, bool level)
{
	struct irqchip *chip = source->vm->irqchip;

	pthread_mutex_lock(&chip->lock);
	__set_source(chip, source, level);
	pthread_mutex_unlock(&chip->lock);
}

void irq_set_level(struct vm *vm, unsigned int gsi, bool level)
{
	struct irqchip *chip = vm->irqchip;

	if (gsi >= IRQ_NR_GSIS)
		return;
	irq_source_set(&chip->line[gsi], level);
}

void irq_eoi(struct vm *vm, unsigned int vector)
{
	struct irqchip *chip = vm->irqchip;

	pthread_mutex_lock(&chip->lock);
	ioapic_eoi(&chip->ioapic, vector);
	pthread_mutex_unlock(&chip->lock);
}

int irq_intack(struct vm *vm)
{
	struct irqchip *chip = vm->irqchip;
	int vector;

	pthread_mutex_lock(&chip->lock);
	vector = pic_ack(&chip->pic);
	__update_lint0(chip);
	pthread_mutex_unlock(&chip->lock);
	return vector;
}

int msi_send(struct vm *vm, uint64_t addr, uint32_t data)
{
	struct vmm_msi msi = { .addr = addr, .data = data };

	return vmm_ioctl(vm->fd, VMM_SIGNAL_MSI, &msi);
}

bool irq_deliverable(struct vm *vm, unsigned int gsi)
{
	struct irqchip *chip = vm->irqchip;
	int input = irq_pic_input(gsi);
	bool ret;

	if (input < 0)
		return false;
	pthread_mutex_lock(&chip->lock);
	ret = !ioapic_masked(&chip->ioapic, gsi) || !pic_masked(&chip->pic, input);
	pthread_mutex_unlock(&chip->lock);
	return ret;
}

void irq_set_mask_hook(struct vm *vm, void (*fn)(void *opaque), void *opaque)
{
	vm->irqchip->mask_hook = fn;
	vm->irqchip->mask_opaque = opaque;
}

static void call_hook(struct irqchip *chip)
{
	if (chip->mask_hook)
		chip->mask_hook(chip->mask_opaque);
}

static uint8_t pic_byte_read(struct irqchip *chip, unsigned int nr, unsigned int offset)
{
	return pic_read(&chip->pic, nr, offset);
}

static uint8_t master_read(void *opaque, unsigned int offset)
{
	return pic_byte_read(opaque, 0, offset);
}

static uint8_t slave_read(void *opaque, unsigned int offset)
{
	return pic_byte_read(opaque, 1, offset);
}

static void master_write(void *opaque, unsigned int offset, uint8_t value)
{
	pic_write(&((struct irqchip *)opaque)->pic, 0, offset, value);
}

static void slave_write(void *opaque, unsigned int offset, uint8_t value)
{
	pic_write(&((struct irqchip *)opaque)->pic, 1, offset, value);
}

static uint8_t elcr_read(void *opaque, unsigned int offset)
{
	return pic_read_elcr(&((struct irqchip *)opaque)->pic, offset);
}

static void elcr_write(void *opaque, unsigned int offset, uint8_t value)
{
	pic_write_elcr(&((struct irqchip *)opaque)->pic, offset, value);
}

static void pic_access(struct irqchip *chip, uint64_t offset, bool is_write, void *data,
		       unsigned int len, byte_read_fn rd, byte_write_fn wr)
{
	call_hook(chip);
	pthread_mutex_lock(&chip->lock);
	access_bytes(chip, offset, is_write, data, len, rd, wr);
	__update_lint0(chip);
	pthread_mutex_unlock(&chip->lock);
	if (is_write)
		call_hook(chip);
}

static void master_access(void *opaque, uint64_t offset, bool is_write, void *data,
			  unsigned int len)
{
	pic_access(opaque, offset, is_write, data, len, master_read, master_write);
}

static void slave_access(void *opaque, uint64_t offset, bool is_write, void *data,
			 unsigned int len)
{
	pic_access(opaque, offset, is_write, data, len, slave_read, slave_write);
}

static void elcr_access(void *opaque, uint64_t offset, bool is_write, void *data,
			unsigned int len)
{
	pic_access(opaque, offset, is_write, data, len, elcr_read, elcr_write);
}

static void ioapic_region_access(void *opaque, uint64_t offset, bool is_write, void *data,
				 unsigned int len)
{
	struct irqchip *chip = opaque;

	if (is_write)
		call_hook(chip);
	pthread_mutex_lock(&chip->lock);
	ioapic_access(&chip->ioapic, offset, is_write, data, len);
	pthread_mutex_unlock(&chip->lock);
	if (is_write)
		call_hook(chip);
}

int irqchip_create(struct vm *vm)
{
	struct irqchip *chip = xcalloc(1, sizeof(*chip));
	unsigned int i;
	int err;

	chip->vm = vm;
	pthread_mutex_init(&chip->lock, NULL);
	pic_init(&chip->pic);
	ioapic_init(&chip->ioapic, vm);
	for (i = 0; i < IRQ_NR_GSIS; i++)
		irq_source_init(&chip->line[i], vm, i);
	chip->pic_region[0] = (struct io_region){ PORT_PIC_MASTER, 2, master_access, chip };
	chip->pic_region[1] = (struct io_region){ PORT_PIC_SLAVE, 2, slave_access, chip };
	chip->elcr_region = (struct io_region){ PORT_ELCR, 2, elcr_access, chip };
	chip->ioapic_region = (struct io_region){
		MAP_IOAPIC, IOAPIC_SIZE, ioapic_region_access, chip
	};
	vm->irqchip = chip;
	err = bus_add(&vm->pio, &chip->pic_region[0]);
	err = err ?: bus_add(&vm->pio, &chip->pic_region[1]);
	err = err ?: bus_add(&vm->pio, &chip->elcr_region);
	err = err ?: bus_add(&vm->mmio, &chip->ioapic_region);
	return err;
}

void irqchip_free(struct vm *vm)
{
	struct irqchip *chip = vm->irqchip;

	if (!chip)
		return;
	bus_remove(&vm->pio, &chip->pic_region[0]);
	bus_remove(&vm->pio, &chip->pic_region[1]);
	bus_remove(&vm->pio, &chip->elcr_region);
	bus_remove(&vm->mmio, &chip->ioapic_region);
	pthread_mutex_destroy(&chip->lock);
	free(chip);
	vm->irqchip = NULL;
}
