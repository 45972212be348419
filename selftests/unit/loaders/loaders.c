// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's memory as boot code sees it, telling kernels apart, and the structures that all
 * protocols share.
 */
#include "dev/host.h"
#include "vmfix.h"

UNIT_TEST(memory_map_small)
{
	struct mem_range map[MEM_MAP_MAX];
	struct vm vm;
	unsigned int i, n;

	vmfix_init(&vm, 64 << 20, 0);
	n = mem_map(&vm, map);
	ASSERT(n >= 4 && n <= MEM_MAP_MAX);
	EXPECT_EQ(map[0].start, 0);
	EXPECT_EQ(map[0].type, MEM_RAM);
	for (i = 1; i < n; i++)
		EXPECT(map[i].start >= map[i - 1].start + map[i - 1].size);
	EXPECT_EQ(map[3].start, HIGH_START);
	EXPECT_EQ(map[3].start + map[3].size, 64 << 20);
	EXPECT_EQ(map[3].type, MEM_RAM);
	/* ECAM last: Linux uses it only where the map reserves it */
	EXPECT_EQ(map[n - 1].start, MAP_ECAM);
	EXPECT_EQ(map[n - 1].type, MEM_RESERVED);
	vmfix_free(&vm);
}

UNIT_TEST(memory_map_above_4g)
{
	struct mem_range map[MEM_MAP_MAX];
	struct vm vm;
	unsigned int n;

	vmfix_init(&vm, MAP_LOW_RAM_END, 1 << 30);
	n = mem_map(&vm, map);
	EXPECT_EQ(map[n - 1].start, MAP_HIGH_RAM);
	EXPECT_EQ(map[n - 1].size, 1 << 30);
	EXPECT_EQ(map[n - 1].type, MEM_RAM);
	vmfix_free(&vm);
}

UNIT_TEST(vm_ram_bounds)
{
	struct vm vm;

	vmfix_init(&vm, 4 << 20, 2 << 20);
	EXPECT(vm_ram(&vm, 0, 1) == vm.ram[0].hva);
	EXPECT(vm_ram(&vm, (4 << 20) - 1, 1));
	EXPECT(!vm_ram(&vm, (4 << 20) - 1, 2));
	EXPECT(!vm_ram(&vm, 4 << 20, 1));
	EXPECT(!vm_ram(&vm, HIGH_START, UINT64_MAX));
	EXPECT(!vm_ram(&vm, UINT64_MAX, 1));
	EXPECT(vm_ram(&vm, MAP_HIGH_RAM, 2 << 20) == vm.ram[1].hva);
	EXPECT(!vm_ram(&vm, MAP_HIGH_RAM, (2 << 20) + 1));
	/* the display hole */
	EXPECT(vm_ram(&vm, VGA_HOLE - 1, 1));
	EXPECT(!vm_ram(&vm, VGA_HOLE - 1, 2));
	EXPECT(!vm_ram(&vm, VGA_HOLE_END - 1, 1));
	EXPECT(vm_ram(&vm, VGA_HOLE_END, 16));
	EXPECT(!vm_ram(&vm, 0, HIGH_START));
	vmfix_free(&vm);
}

UNIT_TEST(layout_finds_gaps)
{
	struct layout l;
	struct error e;
	struct vm vm;
	void *hva;

	vmfix_init(&vm, 16 << 20, 0);
	layout_init(&l, &vm);
	ASSERT(layout_claim(&l, 0x200000, 0x100000, "k", &e));
	ASSERT(layout_claim(&l, 0x400000, 0x100000, "k", &e));

	EXPECT_EQ(layout_alloc(&l, 0x100000, 4096, 0x200000, 16 << 20, false, &hva), 0x300000);
	EXPECT(hva == vm.ram[0].hva + 0x300000);
	EXPECT_EQ(layout_alloc(&l, 0x100000, 4096, 0x200000, 16 << 20, false, &hva), 0x500000);
	EXPECT_EQ(layout_alloc(&l, 0x1001, 0x10000, 0, 16 << 20, true, &hva), 0xff0000);
	EXPECT_EQ(layout_alloc(&l, 0x1000, 0x1000, 0, 16 << 20, true, &hva), 0xfff000);
	EXPECT_EQ(layout_alloc(&l, 0x1000, 0x1000, 0, 16 << 20, true, &hva), 0xffe000);
	/* below a limit that is not aligned */
	EXPECT_EQ(layout_alloc(&l, 0x1000, 0x1000, 0, 0x900fff, true, &hva), 0x8ff000);
	/* more than there is, and limits without a range */
	EXPECT_EQ(layout_alloc(&l, 16 << 20, 4096, 0, UINT64_MAX, false, &hva), 0);
	EXPECT_EQ(layout_alloc(&l, UINT64_MAX, 4096, 0, UINT64_MAX, true, &hva), 0);
	EXPECT_EQ(layout_alloc(&l, 1, 4096, 0x500000, 0x400000, true, &hva), 0);
	/* never the reserved ranges */
	EXPECT_EQ(layout_alloc(&l, 1, 1, LOW_TOP, HIGH_START, false, &hva), 0);
	vmfix_free(&vm);
}

UNIT_TEST(layout_low_memory_first_byte)
{
	struct layout l;
	struct vm vm;
	void *hva;

	vmfix_init(&vm, 4 << 20, 0);
	layout_init(&l, &vm);
	/* address 0 means "none" */
	EXPECT_EQ(layout_alloc(&l, 1, 1, 0, LOW_TOP, false, &hva), 1);
	EXPECT_EQ(layout_alloc(&l, 0, 1, 0, LOW_TOP, false, &hva), 2);
	EXPECT_EQ(layout_alloc(&l, LOW_TOP - 3, 1, 0, LOW_TOP, true, &hva), 3);
	EXPECT_EQ(layout_alloc(&l, 1, 1, 0, LOW_TOP, true, &hva), 0);
	vmfix_free(&vm);
}

UNIT_TEST(layout_claims_only_ram)
{
	static const struct { uint64_t gpa, len; } bad[] = {
		{ LOW_TOP - 1, 2 }, { LOW_TOP, 1 }, { VGA_HOLE, 1 }, { 0xe0000, 16 },
		{ 0, HIGH_START + 1 }, { (4 << 20) - 1, 2 }, { 4 << 20, 1 }, { UINT64_MAX, 1 },
		{ HIGH_START, UINT64_MAX }, { UINT64_MAX - 10, 20 }, { MAP_ECAM, 1 },
		{ MAP_HIGH_RAM, 1 },
	};
	struct layout l;
	struct error e;
	struct vm vm;
	unsigned int i;

	vmfix_init(&vm, 4 << 20, 0);
	layout_init(&l, &vm);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (layout_claim(&l, bad[i].gpa, bad[i].len, "k", &e))
			FAIL("claimed %#llx + %#llx", (unsigned long long)bad[i].gpa,
			     (unsigned long long)bad[i].len);
	}
	EXPECT(layout_claim(&l, 0, 1, "k", &e));
	EXPECT(layout_claim(&l, HIGH_START, 3 << 20, "k", &e));
	vmfix_free(&vm);
}

UNIT_TEST(layout_is_bounded)
{
	struct layout l;
	struct error e;
	struct vm vm;
	unsigned int i;

	vmfix_init(&vm, 4 << 20, 0);
	layout_init(&l, &vm);
	for (i = 0; i < LAYOUT_MAX; i++)
		ASSERT(layout_claim(&l, HIGH_START + i, 1, "k", &e));
	EXPECT(!layout_claim(&l, HIGH_START + i, 1, "k", &e));
	EXPECT(strstr(e.text, "pieces"));
	vmfix_free(&vm);
}

/* the memory that a claim says is missing is what --mem must be */
UNIT_TEST(too_little_memory_says_how_much)
{
	struct layout l;
	struct error e;
	struct vm vm;

	vmfix_init(&vm, 4 << 20, 0);
	layout_init(&l, &vm);
	EXPECT(!layout_claim(&l, 16 << 20, 0x2345678, "bzImage", &e));
	EXPECT(strstr(e.text, "--mem (52 MiB"));
	vmfix_free(&vm);
}

UNIT_TEST(gdt_and_page_table)
{
	struct boot_state s = { .mode = BOOT_LONG64 };
	struct layout l;
	struct error e;
	struct vm vm;
	uint64_t *gdt, *pml4, *pdpt, *pd;
	unsigned int i;

	vmfix_init(&vm, 4 << 20, 0);
	layout_init(&l, &vm);
	ASSERT_EQ(boot_gdt(&l, &s, &e), 0);
	gdt = vm_ram(&vm, s.gdt, s.gdt_size);
	ASSERT(gdt);
	EXPECT_EQ(gdt[0], 0);
	EXPECT_EQ(gdt[BOOT_CS / 8], 0x00af9b000000ffff);
	EXPECT_EQ(gdt[BOOT_DS / 8], 0x00cf93000000ffff);
	EXPECT_EQ(gdt[BOOT_TR / 8], 0x00008b0000000067);

	/* walk: every 2 MiB of 4 GiB leads to itself */
	EXPECT_EQ(s.cr3 & 0xfff, 0);
	pml4 = vm_ram(&vm, s.cr3, 4096);
	ASSERT(pml4);
	EXPECT_EQ(pml4[0] & 3, 3);
	pdpt = vm_ram(&vm, pml4[0] & ~0xfffull, 4096);
	ASSERT(pdpt);
	for (i = 0; i < 2048; i++) {
		pd = vm_ram(&vm, pdpt[i / 512] & ~0xfffull, 4096);
		ASSERT(pd);
		EXPECT_EQ(pd[i % 512], ((uint64_t)i << 21) | 0x83);
	}
	EXPECT_EQ(pdpt[4], 0);

	s.mode = BOOT_PROT32;
	ASSERT_EQ(boot_gdt(&l, &s, &e), 0);
	gdt = vm_ram(&vm, s.gdt, s.gdt_size);
	EXPECT_EQ(gdt[BOOT_CS / 8], 0x00cf9b000000ffff);
	vmfix_free(&vm);
}

static void expect_no_kernel(const void *data, size_t size, const char *phrase)
{
	struct image img = vmfix_image(data, size);
	enum boot_type type;
	struct error e;

	if (!boot_detect(&img, &type, &e))
		FAIL("taken for a kernel: %s", phrase);
	else if (!strstr(e.text, phrase))
		FAIL("\"%s\" does not say \"%s\"", e.text, phrase);
	vmfix_image_free(&img);
}

UNIT_TEST(no_kernel_says_what_it_is)
{
	static uint8_t block[0x9000];
	unsigned int i;

	expect_no_kernel("", 0, "is not a kernel");
	expect_no_kernel("hello", 5, "is not a kernel");
	expect_no_kernel("\x1f\x8b\x08", 3, "gzip");
	expect_no_kernel("\xfd\067zXZ\0", 6, "xz");
	expect_no_kernel("070701000", 9, "initrd");
	expect_no_kernel("QFI\xfb", 4, "qcow2");
	expect_no_kernel("#!/bin/sh", 9, "script");
	expect_no_kernel("MZ", 2, "EFI");
	memcpy(block + 0x8001, "CD001", 5);
	expect_no_kernel(block, sizeof(block), "ISO");
	memcpy(block + 0x438, "\x53\xef", 2);
	expect_no_kernel(block, 4096, "ext2");
	for (i = 0; i < 600; i++)
		expect_no_kernel(block, i, "is not a kernel");
}

UNIT_MAIN()
