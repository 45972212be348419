// SPDX-License-Identifier: GPL-2.0
/*
 * The ACPI tables:
 *
 *	RSDP -> XSDT -> FADT -> FACS
 *	          |       +---> DSDT	dsdt.asl, compiled by iasl
 *	          +---> SSDT		the window for 64-bit BARs
 *	          +---> MADT		local APICs, I/O APIC, overrides
 *	          +---> MCFG		ECAM
 */
#include "acpi.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "../dev/acpi_pm.h"
#include "../dev/host.h"
#include "../dev/rtc.h"
#include "../irq.h"

/* made by: iasl -we -tc dsdt.asl */
#include "dsdt.hex"

#define OEM_ID		"VMM   "
#define OEM_TABLE_ID	"VMM     "
#define CREATOR_ID	"VMM "
#define VERSION		1

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct rsdp {
	char signature[8];
	uint8_t checksum;		/* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t pad[3];
} __attribute__((packed));

/* generic address structure */
struct gas {
	uint8_t space, width, offset, access;
	uint64_t addr;
} __attribute__((packed));

#define GAS_IO		1
#define GAS_BYTE	1
#define GAS_WORD	2
#define GAS_DWORD	3

struct fadt {
	struct header header;
	uint32_t facs, dsdt;
	uint8_t pad0, profile;
	uint16_t sci;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base;
	uint8_t cst;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t pad1;
	uint32_t flags;
	struct gas reset;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0,
		   x_gpe1, sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

#define PROFILE_SERVER		4
#define C2_NONE			0xfff
#define C3_NONE			0xfff
#define BOOT_LEGACY		(1u << 0)
#define BOOT_NO_VGA		(1u << 2)
#define BOOT_NO_ASPM		(1u << 4)
#define FLAG_WBINVD		(1u << 0)
#define FLAG_PROC_C1		(1u << 2)
#define FLAG_NO_SLEEP_BUTTON	(1u << 5)
#define FLAG_NO_RTC_WAKE	(1u << 6)
#define FLAG_TIMER_32		(1u << 8)
#define FLAG_RESET_REG		(1u << 10)
#define RESET_VALUE		0x06

struct facs {
	char signature[4];
	uint32_t length, hardware_signature, waking_vector, global_lock, flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t pad[31];
} __attribute__((packed));

struct madt {
	struct header header;
	uint32_t lapic;
	uint32_t flags;
} __attribute__((packed));

#define MADT_PC8259		1u

struct madt_lapic {
	uint8_t type, length, processor, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length, id, pad;
	uint32_t addr, gsi_base;
} __attribute__((packed));

struct madt_override {
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct madt_nmi {
	uint8_t type, length, processor;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

#define MADT_LAPIC		0
#define MADT_IOAPIC		1
#define MADT_OVERRIDE		2
#define MADT_LAPIC_NMI		4
#define LAPIC_ENABLED		1u
#define ALL_PROCESSORS		0xff
#define INTI_ACTIVE_HIGH	0x1
#define INTI_LEVEL		0xc

struct mcfg {
	struct header header;
	uint64_t pad;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t pad2;
} __attribute__((packed));

#define MAX_TABLES	4

/**
 * struct builder - tables being laid out
 * @mem: the guest's memory from ACPI_START on
 * @used: bytes of it
 * @table: addresses for the XSDT
 * @nr: how many
 */
struct builder {
	uint8_t *mem;
	size_t used;
	uint64_t table[MAX_TABLES];
	unsigned int nr;
};

static uint8_t checksum(const void *p, size_t len)
{
	const uint8_t *bytes = p;
	uint8_t sum = 0;

	while (len--)
		sum += *bytes++;
	return -sum;
}

/* room for a table, zeroed */
static void *alloc(struct builder *b, size_t len, size_t align)
{
	void *p;

	b->used = (b->used + align - 1) & ~(align - 1);
	if (b->used + len > ACPI_END - ACPI_START)
		die("the ACPI tables do not fit below 1 MiB: this is a bug in vmmctl");
	p = b->mem + b->used;
	memset(p, 0, len);
	b->used += len;
	return p;
}

static uint64_t address(const struct builder *b, const void *table)
{
	return ACPI_START + ((const uint8_t *)table - b->mem);
}

static void *start_table(struct builder *b, const char *signature, uint8_t revision, size_t len)
{
	struct header *h = alloc(b, len, 16);

	memcpy(h->signature, signature, sizeof(h->signature));
	h->length = len;
	h->revision = revision;
	memcpy(h->oem_id, OEM_ID, sizeof(h->oem_id));
	memcpy(h->oem_table_id, OEM_TABLE_ID, sizeof(h->oem_table_id));
	h->oem_revision = VERSION;
	memcpy(h->creator_id, CREATOR_ID, sizeof(h->creator_id));
	h->creator_revision = VERSION;
	return h;
}

static void finish_table(void *table)
{
	struct header *h = table;

	h->checksum = 0;
	h->checksum = checksum(h, h->length);
}

/* to be found through the XSDT */
static void list_table(struct builder *b, void *table)
{
	finish_table(table);
	b->table[b->nr++] = address(b, table);
}

static struct gas io_gas(uint16_t port, uint8_t bytes, uint8_t access)
{
	return (struct gas){ GAS_IO, bytes * 8, 0, access, port };
}

static uint64_t build_dsdt(struct builder *b)
{
	void *dsdt = alloc(b, sizeof(dsdt_aml_code), 16);

	/* iasl has set its checksum */
	memcpy(dsdt, dsdt_aml_code, sizeof(dsdt_aml_code));
	return address(b, dsdt);
}

static uint64_t build_facs(struct builder *b)
{
	struct facs *facs = alloc(b, sizeof(*facs), 64);

	memcpy(facs->signature, "FACS", sizeof(facs->signature));
	facs->length = sizeof(*facs);
	facs->version = 2;
	return address(b, facs);
}

static void build_fadt(struct builder *b)
{
	uint64_t dsdt = build_dsdt(b), facs = build_facs(b);
	struct fadt *f = start_table(b, "FACP", 6, sizeof(*f));

	static_assert(sizeof(*f) == 276, "FADT of ACPI 6.0");
	f->facs = facs;
	f->dsdt = dsdt;
	f->x_dsdt = dsdt;
	f->profile = PROFILE_SERVER;
	f->sci = SCI_GSI;
	f->pm1a_evt = PORT_PM1_EVT;
	f->pm1a_cnt = PORT_PM1_CNT;
	f->pm_tmr = PORT_PM_TMR;
	f->pm1_evt_len = 4;
	f->pm1_cnt_len = 2;
	f->pm_tmr_len = 4;
	f->x_pm1a_evt = io_gas(PORT_PM1_EVT, 4, GAS_WORD);
	f->x_pm1a_cnt = io_gas(PORT_PM1_CNT, 2, GAS_WORD);
	f->x_pm_tmr = io_gas(PORT_PM_TMR, 4, GAS_DWORD);
	f->c2_latency = C2_NONE;
	f->c3_latency = C3_NONE;
	f->century = RTC_CENTURY;
	/* the 8042 is there for those that do not ask; see legacy.c */
	f->boot_arch = BOOT_LEGACY | BOOT_NO_VGA | BOOT_NO_ASPM;
	f->flags = FLAG_WBINVD | FLAG_PROC_C1 | FLAG_NO_SLEEP_BUTTON | FLAG_NO_RTC_WAKE |
		   FLAG_TIMER_32 | FLAG_RESET_REG;
	f->reset = io_gas(PORT_ACPI_RESET, 1, GAS_BYTE);
	f->reset_value = RESET_VALUE;
	list_table(b, f);
}

static void build_madt(struct builder *b, const struct vm *vm)
{
	size_t len = sizeof(struct madt) + vm->nr_vcpus * sizeof(struct madt_lapic) +
		     sizeof(struct madt_ioapic) + 2 * sizeof(struct madt_override) +
		     sizeof(struct madt_nmi);
	struct madt *m = start_table(b, "APIC", 4, len);
	struct madt_lapic *lapic = (void *)(m + 1);
	struct madt_ioapic *ioapic;
	struct madt_override *override;
	struct madt_nmi *nmi;
	unsigned int i;

	m->lapic = MAP_LAPIC;
	m->flags = MADT_PC8259;
	for (i = 0; i < vm->nr_vcpus; i++)
		lapic[i] = (struct madt_lapic){
			MADT_LAPIC, sizeof(*lapic), i, i, LAPIC_ENABLED
		};
	ioapic = (void *)&lapic[i];
	*ioapic = (struct madt_ioapic){ MADT_IOAPIC, sizeof(*ioapic), 0, 0, MAP_IOAPIC, 0 };
	override = (void *)(ioapic + 1);
	override[0] = (struct madt_override){
		MADT_OVERRIDE, sizeof(*override), 0, 0, IRQ_PIT_GSI, 0
	};
	override[1] = (struct madt_override){
		MADT_OVERRIDE, sizeof(*override), 0, SCI_GSI, SCI_GSI,
		INTI_ACTIVE_HIGH | INTI_LEVEL
	};
	nmi = (void *)&override[2];
	*nmi = (struct madt_nmi){ MADT_LAPIC_NMI, sizeof(*nmi), ALL_PROCESSORS, 0, 1 };
	list_table(b, m);
}

static void build_mcfg(struct builder *b)
{
	struct mcfg *m = start_table(b, "MCFG", 1, sizeof(*m));

	m->base = MAP_ECAM;
	list_table(b, m);
}

/* AML: Name (NAME, value) with a 64-bit constant (ACPI 6.0, 20.2.5.1) */
struct aml_name {
	uint8_t name_op;
	char name[4];
	uint8_t qword_prefix;
	uint64_t value;
} __attribute__((packed));

#define AML_NAME_OP	0x08
#define AML_QWORD	0x0e

/*
 * The second quarter of the address space, above RAM: high enough for any RAM, low enough for every
 * guest. At most what Linux can map with four levels of page tables.
 */
static void high_window(const struct vm *vm, uint64_t *base, uint64_t *size)
{
	int bits = vmm_ioctl(vm->dev_fd, VMM_CHECK_CAP, (void *)(uintptr_t)VMM_CAP_GPA_BITS);
	uint64_t end, start, ram_end = 0;
	unsigned int i;

	*base = 0;
	*size = 0;
	if (bits < 36)
		return;
	if (bits > 46)
		bits = 46;
	for (i = 0; i < vm->nr_ram; i++)
		if (vm->ram[i].gpa + vm->ram[i].size > ram_end)
			ram_end = vm->ram[i].gpa + vm->ram[i].size;
	end = 1ull << (bits - 1);
	start = 1ull << (bits - 2);
	ram_end = (ram_end + (1ull << 30) - 1) & ~((1ull << 30) - 1);
	if (start < ram_end)
		start = ram_end;
	if (start >= end)
		return;
	*base = start;
	*size = end - start;
}

static void build_ssdt(struct builder *b, const struct vm *vm)
{
	struct {
		struct header header;
		struct aml_name base, size;
	} __attribute__((packed)) *s = start_table(b, "SSDT", 2, sizeof(*s));
	uint64_t base, size;

	high_window(vm, &base, &size);
	s->base = (struct aml_name){ AML_NAME_OP, "M64B", AML_QWORD, base };
	s->size = (struct aml_name){ AML_NAME_OP, "M64L", AML_QWORD, size };
	list_table(b, s);
}

static uint64_t build_xsdt(struct builder *b)
{
	struct header *x = start_table(b, "XSDT", 1, sizeof(*x) + b->nr * sizeof(uint64_t));
	unsigned int i;

	for (i = 0; i < b->nr; i++)
		store_le((uint8_t *)(x + 1) + i * sizeof(uint64_t), b->table[i], 8);
	finish_table(x);
	return address(b, x);
}

uint64_t acpi_build(struct vm *vm)
{
	struct builder b = { .mem = vm_ram(vm, ACPI_START, ACPI_END - ACPI_START) };
	struct rsdp *rsdp;

	if (!b.mem)
		die("no guest memory below 1 MiB for the ACPI tables");
	rsdp = alloc(&b, sizeof(*rsdp), 16);
	build_fadt(&b);
	build_madt(&b, vm);
	build_mcfg(&b);
	build_ssdt(&b, vm);
	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem_id, OEM_ID, sizeof(rsdp->oem_id));
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = build_xsdt(&b);
	rsdp->checksum = checksum(rsdp, 20);
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
	return address(&b, rsdp);
}
