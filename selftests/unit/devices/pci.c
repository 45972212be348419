// SPDX-License-Identifier: GPL-2.0
/*
 * PCI: both ways to configuration space, BARs, INTA, MSI-X; with a device of the test's own behind
 * the real bus.
 */
#include "machine.h"

#include "../../../vmmctl/dev/pci.h"

static struct pci_dev dev;
static unsigned int accesses, last_bar, moves, vectors, controls, commands;
static uint64_t last_offset, last_value;

static void bar_access(struct pci_dev *d, unsigned int bar, uint64_t offset, bool is_write,
		       void *data, unsigned int len)
{
	accesses++;
	last_bar = bar;
	last_offset = offset;
	if (is_write)
		memcpy(&last_value, data, len);
	else
		memset(data, 0x5a, len);
}

static void bar_moved(struct pci_dev *d, unsigned int bar)
{
	moves++;
}

static void command_written(struct pci_dev *d)
{
	commands++;
}

static void msix_vector(struct pci_dev *d, unsigned int index)
{
	vectors++;
}

static void msix_control(struct pci_dev *d)
{
	controls++;
}

static void msix_pending(struct pci_dev *d, uint64_t *bits)
{
	bits[0] = 0x8000000000000001ull;
	bits[1] = 2;
}

static const struct pci_ops ops = {
	.bar_access = bar_access,
	.bar_moved = bar_moved,
	.command_written = command_written,
	.msix_vector = msix_vector,
	.msix_control = msix_control,
	.msix_pending = msix_pending,
};

static void start(void)
{
	machine_start(1, 64 << 20);
	memset(&dev, 0, sizeof(dev));
	pci_dev_init(&dev, &vm, &ops, 0x1234, 0x5678, 0xff0001, 3);
	pci_dev_add_bar(&dev, 0, PCI_BAR_IO, 32);
	pci_dev_add_msix(&dev, 1, 66);
	pci_dev_add_bar(&dev, 2, PCI_BAR_MEM32, 65536);
	pci_dev_add_bar(&dev, 4, PCI_BAR_MEM64, 1 << 20);
	EXPECT_EQ(pci_add(&dev), 0);
	accesses = 0;
	moves = 0;
	vectors = 0;
	controls = 0;
	commands = 0;
}

static void end(void)
{
	pci_remove(&dev);
	pthread_mutex_destroy(&dev.lock);
	machine_end();
}

static uint32_t cfg_read(unsigned int slot, unsigned int reg, unsigned int len)
{
	outl(0xcf8, 0x80000000 | slot << 11 | (reg & 0xfc));
	switch (len) {
	case 1:
		return inb(0xcfc + (reg & 3));
	case 2:
		return inw(0xcfc + (reg & 3));
	default:
		return inl(0xcfc);
	}
}

static void cfg_write(unsigned int slot, unsigned int reg, uint32_t value, unsigned int len)
{
	outl(0xcf8, 0x80000000 | slot << 11 | (reg & 0xfc));
	switch (len) {
	case 1:
		outb(0xcfc + (reg & 3), value);
		break;
	case 2:
		outw(0xcfc + (reg & 3), value);
		break;
	default:
		outl(0xcfc, value);
		break;
	}
}

UNIT_TEST(pci_type1_and_ecam_agree)
{
	unsigned int slot, reg;

	start();
	/* Linux's test for mechanism 1 */
	outb(0xcfb, 0x01);
	outl(0xcf8, 0x80000000);
	EXPECT_EQ(inl(0xcf8), 0x80000000);
	EXPECT_EQ(cfg_read(0, 0x0a, 2), 0x0600);
	EXPECT_EQ(cfg_read(1, 0, 4), 0x56781234);
	EXPECT_EQ(cfg_read(1, 8, 4), 0xff000103);
	EXPECT_EQ(cfg_read(2, 0, 4), 0xffffffff);
	for (slot = 0; slot < 32; slot++) {
		for (reg = 0; reg < 256; reg += 4) {
			uint32_t value = cfg_read(slot, reg, 4);
			uint64_t ecam = MAP_ECAM + (slot << 15) + reg;

			EXPECT_EQ(mmio_read(ecam, 4), value);
			EXPECT_EQ(mmio_read(ecam + 1, 1), value >> 8 & 0xff);
			EXPECT_EQ(mmio_read(ecam + 2, 2), value >> 16);
			EXPECT_EQ(cfg_read(slot, reg + 3, 1), value >> 24);
			EXPECT_EQ(cfg_read(slot, reg + 2, 2), value >> 16);
		}
	}
	EXPECT_EQ(mmio_read(MAP_ECAM + 0x8000, 8), 0x0010000356781234ull);
	/* other functions, extended space, other buses, disabled: nothing */
	EXPECT_EQ(mmio_read(MAP_ECAM + 0x9000, 4), 0xffffffff);
	EXPECT_EQ(mmio_read(MAP_ECAM + 0x8100, 4), 0xffffffff);
	outl(0xcf8, 0x80010800);
	EXPECT_EQ(inl(0xcfc), 0xffffffff);
	outl(0xcf8, 0x00000800);
	EXPECT_EQ(inl(0xcfc), 0xffffffff);
	/* reserved bits */
	outl(0xcf8, 0xffffffff);
	EXPECT_EQ(inl(0xcf8), 0x80fffffc);
	/* narrow accesses do not reach the register */
	outw(0xcf8, 0x1234);
	EXPECT_EQ(inl(0xcf8), 0x80fffffc);
	EXPECT_EQ(inb(0xcf8), 0xff);
	/* across a dword */
	EXPECT_EQ(mmio_read(MAP_ECAM + 0x8003, 2), 0xffff);
	end();
}

UNIT_TEST(pci_read_only_registers)
{
	start();
	cfg_write(1, 0, 0xffffffff, 4);
	cfg_write(1, 8, 0xffffffff, 4);
	cfg_write(1, 0x34, 0xffffffff, 4);
	EXPECT_EQ(cfg_read(1, 0, 4), 0x56781234);
	EXPECT_EQ(cfg_read(1, 8, 4), 0xff000103);
	EXPECT_EQ(cfg_read(1, 0x34, 4), 0x40);
	cfg_write(1, 4, 0xffffffff, 4);
	EXPECT_EQ(cfg_read(1, 4, 4), 0x00100407);
	cfg_write(1, 0x3c, 0xffff, 2);
	EXPECT_EQ(cfg_read(1, 0x3c, 2), 0x01ff);
	end();
}

static uint32_t size_bar(unsigned int bar)
{
	uint32_t old = cfg_read(1, 0x10 + 4 * bar, 4), size;

	cfg_write(1, 0x10 + 4 * bar, 0xffffffff, 4);
	size = cfg_read(1, 0x10 + 4 * bar, 4);
	cfg_write(1, 0x10 + 4 * bar, old, 4);
	EXPECT_EQ(cfg_read(1, 0x10 + 4 * bar, 4), old);
	return size;
}

UNIT_TEST(pci_bar_sizes)
{
	start();
	cfg_write(1, 4, 0, 2);
	EXPECT_EQ(size_bar(0), 0xffffffe1);
	EXPECT_EQ(size_bar(1), 0xfffff000);
	EXPECT_EQ(size_bar(2), 0xffff0000);
	EXPECT_EQ(size_bar(3), 0x00000000);
	EXPECT_EQ(size_bar(4), 0xfff00004);
	EXPECT_EQ(size_bar(5), 0xffffffff);
	/* with decoding on, as some firmware does it: the device is back afterwards */
	cfg_write(1, 4, 3, 2);
	size_bar(2);
	size_bar(4);
	mmio_write(dev.bar[2].addr, 1, 4);
	EXPECT_EQ(last_bar, 2);
	mmio_write(dev.bar[4].addr, 1, 4);
	EXPECT_EQ(last_bar, 4);
	end();
}

UNIT_TEST(pci_bars_decode)
{
	uint64_t mem, high;
	uint16_t io;

	start();
	io = cfg_read(1, 0x10, 4) & ~3;
	mem = cfg_read(1, 0x18, 4);
	EXPECT(io >= PORT_PCI_IO && io % 32 == 0);
	EXPECT(mem >= MAP_PCI_MMIO && mem % 65536 == 0);
	EXPECT_EQ(mmio_read(mem + 0xfff8, 8), 0x5a5a5a5a5a5a5a5aull);
	EXPECT_EQ(last_offset, 0xfff8);
	outw(io + 30, 0x1234);
	EXPECT_EQ(last_bar, 0);
	EXPECT_EQ(last_offset, 30);

	cfg_write(1, 4, PCI_CMD_IO, 2);
	EXPECT_EQ(mmio_read(mem, 4), 0xffffffff);
	EXPECT_EQ(inw(io), 0x5a5a);
	cfg_write(1, 4, PCI_CMD_MEMORY, 2);
	EXPECT_EQ(mmio_read(mem, 4), 0x5a5a5a5a);
	EXPECT_EQ(inw(io), 0xffff);
	EXPECT_EQ(commands, 2);

	/* moved, by halves */
	cfg_write(1, 4, PCI_CMD_MEMORY | PCI_CMD_IO, 2);
	cfg_write(1, 0x20, 0x00000000, 4);
	cfg_write(1, 0x24, 0x00000123, 4);
	high = 0x12300000000ull;
	EXPECT_EQ(mmio_read(high + 0xffffc, 4), 0x5a5a5a5a);
	EXPECT_EQ(last_bar, 4);
	cfg_write(1, 0x10, 0xd001, 4);
	EXPECT_EQ(inb(io), 0xff);
	EXPECT_EQ(inb(0xd01f), 0x5a);
	end();
}

UNIT_TEST(pci_bars_in_impossible_places)
{
	uint64_t mem;
	uint16_t io;

	start();
	io = cfg_read(1, 0x10, 4) & ~3;
	mem = cfg_read(1, 0x18, 4);
	/* over the I/O APIC, over another BAR, above the last port, at zero */
	cfg_write(1, 0x18, MAP_IOAPIC, 4);
	mmio_write(MAP_IOAPIC, 1, 4);
	EXPECT_EQ(mmio_read(MAP_IOAPIC + 0x10, 4), 0x00170011);
	EXPECT_EQ(mmio_read(mem, 4), 0xffffffff);
	cfg_write(1, 0x18, cfg_read(1, 0x20, 4) & ~15u, 4);
	EXPECT(!dev.bar[2].mapped);
	cfg_write(1, 0x10, 0x00010001, 4);
	EXPECT(!dev.bar[0].mapped);
	cfg_write(1, 0x10, 0xffffffff, 4);
	EXPECT(!dev.bar[0].mapped);
	cfg_write(1, 0x10, 0, 4);
	EXPECT(!dev.bar[0].mapped);
	/* two BARs change places: the second write frees the first one's */
	cfg_write(1, 0x18, mem, 4);
	cfg_write(1, 0x10, io | 1, 4);
	EXPECT(dev.bar[0].mapped && dev.bar[2].mapped);
	cfg_write(1, 0x20, 0xfff00000, 4);
	cfg_write(1, 0x24, 0xffffffff, 4);
	EXPECT(dev.bar[4].mapped);
	EXPECT_EQ(mmio_read(0xfffffffffff00000ull, 4), 0x5a5a5a5a);
	end();
}

UNIT_TEST(pci_intx)
{
	start();
	/* slot 1: gsi 17, 8259 input 11 */
	EXPECT_EQ(cfg_read(1, 0x3c, 2), 0x010b);
	ioapic_route(17, 1 << 15 | 0x51);
	pthread_mutex_lock(&dev.lock);
	pci_set_intx(&dev, true);
	pthread_mutex_unlock(&dev.lock);
	EXPECT_EQ(kernel.nr_msi, 1);
	EXPECT_EQ(cfg_read(1, 6, 2), 0x0018);
	/* disabled: status stays */
	cfg_write(1, 4, 0x0407, 2);
	irq_eoi(&vm, 0x51);
	EXPECT_EQ(kernel.nr_msi, 1);
	EXPECT_EQ(cfg_read(1, 6, 2), 0x0018);
	cfg_write(1, 4, 0x0007, 2);
	EXPECT_EQ(kernel.nr_msi, 2);
	/* MSI-X takes its place */
	cfg_write(1, 0x42, 0x8000, 2);
	irq_eoi(&vm, 0x51);
	EXPECT_EQ(kernel.nr_msi, 2);
	EXPECT_EQ(cfg_read(1, 6, 2), 0x0010);
	end();
}

UNIT_TEST(pci_msix)
{
	uint64_t base;

	start();
	base = cfg_read(1, 0x14, 4);
	EXPECT_EQ(cfg_read(1, 0x40, 4), 0x00410011);
	EXPECT_EQ(cfg_read(1, 0x44, 4), 0x00000001);
	EXPECT_EQ(cfg_read(1, 0x48, 4), 0x00000801);
	cfg_write(1, 0x40, 0xffffffff, 4);
	EXPECT_EQ(cfg_read(1, 0x40, 4), 0xc0410011);
	EXPECT_EQ(controls, 1);
	EXPECT(pci_msix_enabled(&dev) && pci_msix_masked(&dev));
	/* masked from the start */
	EXPECT_EQ(mmio_read(base + 12, 4), 1);
	mmio_write(base + 65 * 16, 0xfee01000, 4);
	mmio_write(base + 65 * 16 + 4, 0x1, 4);
	mmio_write(base + 65 * 16 + 8, 0x4041, 4);
	mmio_write(base + 65 * 16 + 12, 0xfffffffe, 4);
	EXPECT_EQ(vectors, 4);
	EXPECT_EQ(dev.msix.entry[65].addr, 0x1fee01000ull);
	EXPECT_EQ(dev.msix.entry[65].data, 0x4041);
	EXPECT_EQ(dev.msix.entry[65].control, 0);
	EXPECT_EQ(mmio_read(base + 65 * 16, 8), 0x1fee01000ull);
	mmio_write(base + 8, 0x100000099ull, 8);
	EXPECT_EQ(dev.msix.entry[0].data, 0x99);
	EXPECT_EQ(dev.msix.entry[0].control, 1);
	/* narrow, crooked, behind the last entry */
	vectors = 0;
	mmio_write(base, 0xff, 1);
	mmio_write(base, 0xffff, 2);
	mmio_write(base + 2, 0xffffffff, 4);
	mmio_write(base + 4, ~0ull, 8);
	mmio_write(base + 66 * 16, 0xffffffff, 4);
	mmio_write(base + 2044, ~0ull, 4);
	EXPECT_EQ(vectors, 0);
	EXPECT_EQ(mmio_read(base + 66 * 16, 8), 0);
	/* pending bits, read-only */
	EXPECT_EQ(mmio_read(base + 2048, 8), 0x8000000000000001ull);
	EXPECT_EQ(mmio_read(base + 2056, 4), 2);
	mmio_write(base + 2048, 0, 8);
	EXPECT_EQ(mmio_read(base + 2052, 4), 0x80000000);
	EXPECT_EQ(mmio_read(base + 2064, 8), 0);
	EXPECT_EQ(mmio_read(base + 4088, 8), 0);
	EXPECT_EQ(accesses, 0);
	end();
}

UNIT_TEST(pci_slots_run_out)
{
	static struct pci_dev many[PCI_SLOTS];
	unsigned int i;

	machine_start(1, 64 << 20);
	memset(many, 0, sizeof(many));
	for (i = 0; i < PCI_SLOTS; i++) {
		pci_dev_init(&many[i], &vm, &ops, 1, 1, 0, 0);
		EXPECT_EQ(pci_add(&many[i]), i < PCI_SLOTS - 1 ? 0 : (unsigned long long)-28);
	}
	for (i = 0; i < PCI_SLOTS - 1; i++)
		pci_remove(&many[i]);
	machine_end();
}
