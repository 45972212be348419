// SPDX-License-Identifier: GPL-2.0
/*
 * The ACPI tables: found the way an operating system finds them, checked byte by byte, and read by
 * ACPICA's own disassembler.
 */
#include "machine.h"

#include <stdlib.h>
#include <unistd.h>

#include "../../../vmmctl/acpi/acpi.h"
#include "../../../vmmctl/dev/acpi_pm.h"
#include "../../../vmmctl/dev/host.h"
#include "../../../vmmctl/dev/rtc.h"
#include "../../../vmmctl/irq.h"

static uint64_t le(const uint8_t *p, unsigned int len)
{
	uint64_t value = 0;

	memcpy(&value, p, len);
	return value;
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s += *p++;
	return s;
}

static const uint8_t *rsdp(void)
{
	uint64_t gpa;
	const uint8_t *p;

	for (gpa = 0xe0000; gpa < 0x100000; gpa += 16) {
		p = vm_ram(&vm, gpa, 36);
		if (!memcmp(p, "RSD PTR ", 8))
			return p;
	}
	return NULL;
}

static const uint8_t *table_at(uint64_t gpa, const char *signature)
{
	const uint8_t *p = vm_ram(&vm, gpa, 36);

	if (!p || gpa < ACPI_START || gpa + le(p + 4, 4) > ACPI_END) {
		FAIL("%s at %#llx", signature, (unsigned long long)gpa);
		return NULL;
	}
	EXPECT(!memcmp(p, signature, 4));
	return p;
}

static const uint8_t *find(const char *signature)
{
	const uint8_t *x = vm_ram(&vm, le(rsdp() + 24, 8), 36);
	unsigned int i, n = (le(x + 4, 4) - 36) / 8;

	for (i = 0; i < n; i++) {
		const uint8_t *t = vm_ram(&vm, le(x + 36 + 8 * i, 8), 36);

		if (!memcmp(t, signature, 4))
			return t;
	}
	return NULL;
}

UNIT_TEST(acpi_checksums)
{
	static const char * const names[] = { "FACP", "APIC", "MCFG", "SSDT" };
	const uint8_t *r, *x, *t;
	unsigned int i;

	machine_start(3, 64 << 20);
	EXPECT_EQ(acpi_build(&vm), 0xe0000);
	r = rsdp();
	ASSERT(r);
	EXPECT_EQ(r[15], 2);
	EXPECT_EQ(le(r + 20, 4), 36);
	EXPECT_EQ(sum(r, 20), 0);
	EXPECT_EQ(sum(r, 36), 0);
	x = table_at(le(r + 24, 8), "XSDT");
	ASSERT(x);
	EXPECT_EQ(sum(x, le(x + 4, 4)), 0);
	for (i = 0; i < 4; i++) {
		t = find(names[i]);
		if (!t) {
			FAIL("no %s", names[i]);
			continue;
		}
		EXPECT_EQ(sum(t, le(t + 4, 4)), 0);
		EXPECT(!memcmp(t + 10, "VMM   VMM     ", 14));
	}
	t = table_at(le(find("FACP") + 140, 8), "DSDT");
	ASSERT(t);
	EXPECT_EQ(sum(t, le(t + 4, 4)), 0);
	machine_end();
}

UNIT_TEST(acpi_fadt)
{
	const uint8_t *f;

	machine_start(1, 64 << 20);
	acpi_build(&vm);
	f = find("FACP");
	ASSERT(f);
	EXPECT_EQ(le(f + 4, 4), 276);
	EXPECT_EQ(f[8], 6);
	EXPECT_EQ(le(f + 36, 4) % 64, 0);
	EXPECT(table_at(le(f + 36, 4), "FACS"));
	EXPECT_EQ(le(f + 40, 4), le(f + 140, 8));
	EXPECT_EQ(le(f + 46, 2), SCI_GSI);
	EXPECT_EQ(le(f + 48, 4), 0);
	EXPECT_EQ(le(f + 56, 4), PORT_PM1_EVT);
	EXPECT_EQ(le(f + 64, 4), PORT_PM1_CNT);
	EXPECT_EQ(le(f + 76, 4), PORT_PM_TMR);
	EXPECT_EQ(f[88], 4);
	EXPECT_EQ(f[89], 2);
	EXPECT_EQ(f[91], 4);
	EXPECT_EQ(f[108], RTC_CENTURY);
	EXPECT_EQ(le(f + 109, 2), 0x15);
	/* reset register and 32-bit timer; not hardware-reduced */
	EXPECT_EQ(le(f + 112, 4), 0x565);
	EXPECT_EQ(le(f + 116, 4), 0x01000801);
	EXPECT_EQ(le(f + 120, 8), PORT_ACPI_RESET);
	EXPECT_EQ(f[128], 6);
	EXPECT_EQ(le(f + 152, 8), PORT_PM1_EVT);
	EXPECT_EQ(f[149], 32);
	machine_end();

	/* what they promise: the reset register resets */
	machine_start(1, 64 << 20);
	outb(PORT_ACPI_RESET, 6);
	EXPECT_EQ(atomic_load(&vm.status), STATUS_REBOOT);
	machine_end();
}

UNIT_TEST(acpi_madt)
{
	unsigned int lapics = 0, ioapics = 0, nmis = 0, overrides = 0;
	const uint8_t *m, *p, *end;

	machine_start(64, 64 << 20);
	acpi_build(&vm);
	m = find("APIC");
	ASSERT(m);
	EXPECT_EQ(le(m + 36, 4), MAP_LAPIC);
	EXPECT_EQ(le(m + 40, 4), 1);
	end = m + le(m + 4, 4);
	for (p = m + 44; p < end; p += p[1]) {
		if (p[1] < 2) {
			FAIL("entry of length %u", p[1]);
			break;
		}
		switch (p[0]) {
		case 0:
			EXPECT_EQ(p[2], lapics);
			EXPECT_EQ(p[3], lapics);
			EXPECT_EQ(le(p + 4, 4), 1);
			lapics++;
			break;
		case 1:
			ioapics++;
			EXPECT_EQ(le(p + 4, 4), MAP_IOAPIC);
			EXPECT_EQ(le(p + 8, 4), 0);
			break;
		case 2:
			overrides++;
			EXPECT((p[3] == 0 && le(p + 4, 4) == 2 && le(p + 8, 2) == 0) ||
			       (p[3] == 9 && le(p + 4, 4) == 9 && le(p + 8, 2) == 0xd));
			break;
		case 4:
			nmis++;
			EXPECT_EQ(p[2], 0xff);
			EXPECT_EQ(p[5], 1);
			break;
		default:
			FAIL("entry of type %u", p[0]);
		}
	}
	EXPECT(p == end);
	EXPECT_EQ(lapics, 64);
	EXPECT_EQ(ioapics, 1);
	EXPECT_EQ(overrides, 2);
	EXPECT_EQ(nmis, 1);
	p = find("MCFG");
	EXPECT_EQ(le(p + 4, 4), 60);
	EXPECT_EQ(le(p + 44, 8), MAP_ECAM);
	EXPECT_EQ(le(p + 54, 2), 0);
	machine_end();
}

UNIT_TEST(acpi_high_window)
{
	static const struct {
		int bits;
		uint64_t mem, base, size;
	} t[] = {
		{ 40, 64 << 20, 1ull << 38, 1ull << 38 },
		{ 52, 64 << 20, 1ull << 44, 1ull << 44 },
		{ 36, 20ull << 30, 21ull << 30, 11ull << 30 },
		{ 32, 64 << 20, 0, 0 },
		{ -22, 64 << 20, 0, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		const uint8_t *s;

		machine_start(1, t[i].mem);
		kernel.gpa_bits = t[i].bits;
		acpi_build(&vm);
		s = find("SSDT");
		EXPECT(!memcmp(s + 36, "\bM64B\016", 6));
		EXPECT_EQ(le(s + 42, 8), t[i].base);
		EXPECT(!memcmp(s + 50, "\bM64L\016", 6));
		EXPECT_EQ(le(s + 56, 8), t[i].size);
		EXPECT_EQ(le(s + 4, 4), 64);
		machine_end();
	}
}

static bool write_table(const char *dir, const char *name, const uint8_t *table)
{
	char path[300];
	size_t len = le(table + 4, 4);
	bool ok;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
	f = fopen(path, "w");
	if (!f)
		return false;
	ok = fwrite(table, 1, len, f) == len;
	return !fclose(f) && ok;
}

static bool contains(const char *path, const char *text)
{
	static char buf[1 << 20];
	FILE *f = fopen(path, "r");
	size_t n;

	if (!f)
		return false;
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = '\0';
	fclose(f);
	return strstr(buf, text);
}

static void expect_text(const char *path, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!contains(path, text))
		FAIL("not in the DSDT: %s", text);
}

UNIT_TEST(acpi_disassembles)
{
	char dir[] = "/tmp/unit-acpi-XXXXXX", cmd[400], dsl[300];
	const uint8_t *dsdt;

	if (system("iasl -v >/dev/null 2>&1"))
		UNIT_SKIP("no iasl");
	machine_start(2, 64 << 20);
	acpi_build(&vm);
	ASSERT(mkdtemp(dir));
	dsdt = vm_ram(&vm, le(find("FACP") + 140, 8), 36);
	EXPECT(write_table(dir, "dsdt", dsdt));
	EXPECT(write_table(dir, "ssdt", find("SSDT")));
	EXPECT(write_table(dir, "facp", find("FACP")));
	EXPECT(write_table(dir, "apic", find("APIC")));
	EXPECT(write_table(dir, "mcfg", find("MCFG")));
	/* what it takes apart it must also take back */
	snprintf(cmd, sizeof(cmd),
		 "cd %s && exec >log 2>&1 && for t in facp apic mcfg ssdt; do iasl -d $t.aml && iasl -we $t.dsl || exit; done; iasl -e ssdt.aml -d dsdt.aml && iasl -we dsdt.dsl",
		 dir);
	EXPECT_EQ(system(cmd), 0);
	snprintf(dsl, sizeof(dsl), "%s/log", dir);
	EXPECT(!contains(dsl, "Invalid"));
	EXPECT(!contains(dsl, "Checksum"));

	/* the DSDT's numbers are the machine's */
	snprintf(dsl, sizeof(dsl), "%s/dsdt.dsl", dir);
	expect_text(dsl, "0x%08llX,         // Range Minimum", MAP_PCI_MMIO);
	expect_text(dsl, "0x%08llX,         // Range Maximum",
		    MAP_PCI_MMIO + MAP_PCI_MMIO_SIZE - 1);
	expect_text(dsl, "0x%04X,             // Range Minimum", PORT_PCI_IO);
	expect_text(dsl, "0x%04X,             // Range Maximum",
		    PORT_PCI_IO + PORT_PCI_IO_SIZE - 1);
	expect_text(dsl, "0x%08llX,         // Address Base", MAP_ECAM);
	expect_text(dsl, "0x%08llX,         // Address Length", MAP_ECAM_SIZE);
	expect_text(dsl, "0x%08llX,         // Address Base", MAP_LAPIC);
	expect_text(dsl, "0x%04X,             // Range Minimum", PORT_PM1_EVT);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	EXPECT_EQ(system(cmd), 0);
	machine_end();
}

/* _PRT says what pci_dev.c wires: 64 packages of {slot << 16 | 0xffff, 0, 0, gsi} */
UNIT_TEST(acpi_interrupt_routing)
{
	const uint8_t *dsdt, *p;
	unsigned int len, slot, apic = 0, pic = 0;

	machine_start(1, 64 << 20);
	acpi_build(&vm);
	dsdt = vm_ram(&vm, le(find("FACP") + 140, 8), 36);
	len = le(dsdt + 4, 4);
	for (slot = 0; slot < 32; slot++) {
		unsigned int gsi = IRQ_PCI_GSI + slot % IRQ_NR_PCI_GSIS;
		uint8_t addr[5] = { 0x0c, 0xff, 0xff, slot, 0 };
		/* slot 0 is a word constant */
		unsigned int n = slot ? 5 : 3;

		if (!slot)
			addr[0] = 0x0b;
		for (p = dsdt + 36; p + n + 4 <= dsdt + len; p++) {
			if (memcmp(p, addr, n) || p[n] || p[n + 1] || p[n + 2] != 0x0a)
				continue;
			apic += p[n + 3] == gsi;
			pic += p[n + 3] == irq_pic_input(gsi);
		}
	}
	EXPECT_EQ(apic, 32);
	EXPECT_EQ(pic, 32);
	machine_end();
}
