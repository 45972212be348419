// SPDX-License-Identifier: GPL-2.0
/*
 * Linux's boot protocol: a made-up bzImage, and Debian's own where they are at hand.
 */
#include <asm/bootparam.h>
#include <fcntl.h>
#include <unistd.h>

#include "vmfix.h"

#define SETUP_SECTS	3
#define PAYLOAD		5000
#define FILE_SIZE	((SETUP_SECTS + 1) * 512 + PAYLOAD)

static void make_bzimage(uint8_t *file, struct setup_header *h)
{
	unsigned int i;

	*h = (struct setup_header){
		.setup_sects = SETUP_SECTS,
		.syssize = PAYLOAD / 16,
		.boot_flag = 0xaa55,
		.jump = 0x6aeb,
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 255,
		.pref_address = 0x1000000,
		.init_size = 0x100000,
	};
	for (i = 0; i < FILE_SIZE; i++)
		file[i] = i * 7;
	memcpy(file + 0x1f1, h, sizeof(*h));
}

static void put_header(uint8_t *file, const struct setup_header *h)
{
	memcpy(file + 0x1f1, h, sizeof(*h));
}

UNIT_TEST(bzimage_64)
{
	static uint8_t file[FILE_SIZE];
	struct boot_params *bp;
	struct setup_header h;
	struct boot_state s;
	struct setup_data *d;
	struct image img;
	struct error e;
	struct vm vm;

	vmfix_init(&vm, 64 << 20, 0);
	make_bzimage(file, &h);
	img = vmfix_image(file, FILE_SIZE);
	ASSERT_EQ(vmfix_boot(&vm, &img, &s, &e), 0);

	EXPECT_EQ(s.mode, BOOT_LONG64);
	EXPECT_EQ(s.entry, 0x1000200);
	EXPECT_MEMEQ(vm.ram[0].hva + 0x1000000, file + (SETUP_SECTS + 1) * 512, PAYLOAD);

	bp = vm_ram(&vm, s.rsi, sizeof(*bp));
	ASSERT(bp);
	EXPECT_EQ(bp->hdr.header, 0x53726448);
	EXPECT_EQ(bp->hdr.type_of_loader, 0xff);
	EXPECT_EQ(bp->sentinel, 0);
	EXPECT_EQ(bp->acpi_rsdp_addr, 0xe0000);
	EXPECT_STREQ((char *)vm.ram[0].hva + bp->hdr.cmd_line_ptr, "a=1 b");
	/* the initrd ends at the top of memory */
	EXPECT_EQ(bp->hdr.ramdisk_size, 5000);
	EXPECT_EQ(bp->hdr.ramdisk_image, (64 << 20) - 8192);
	EXPECT_EQ(vm.ram[0].hva[bp->hdr.ramdisk_image + 2], 3);
	/* memory map */
	ASSERT(bp->e820_entries >= 4);
	EXPECT_EQ(bp->e820_table[0].addr, 0);
	EXPECT_EQ(bp->e820_table[0].size, LOW_TOP);
	EXPECT_EQ(bp->e820_table[3].addr, HIGH_START);
	EXPECT_EQ(bp->e820_table[3].size, (64 << 20) - HIGH_START);
	/* the seed */
	d = vm_ram(&vm, bp->hdr.setup_data, sizeof(*d) + 32);
	ASSERT(d);
	EXPECT_EQ(d->type, SETUP_RNG_SEED);
	EXPECT_EQ(d->len, 32);
	EXPECT_EQ(d->next, 0);

	vmfix_image_free(&img);
	vmfix_free(&vm);
}

UNIT_TEST(bzimage_32)
{
	static uint8_t file[FILE_SIZE];
	struct setup_header h;
	struct boot_state s;
	struct image img;
	struct error e;
	struct vm vm;

	vmfix_init(&vm, 64 << 20, 0);
	make_bzimage(file, &h);
	h.xloadflags = 0;
	put_header(file, &h);
	img = vmfix_image(file, FILE_SIZE);
	ASSERT_EQ(vmfix_boot(&vm, &img, &s, &e), 0);
	EXPECT_EQ(s.mode, BOOT_PROT32);
	EXPECT_EQ(s.entry, 0x1000000);
	EXPECT_EQ(s.cr3, 0);
	vmfix_image_free(&img);

	/* an old one: at 1 MiB, and no field that it does not know is looked at */
	h.version = 0x206;
	h.pref_address = 0x3000000000;
	put_header(file, &h);
	img = vmfix_image(file, FILE_SIZE);
	ASSERT_EQ(vmfix_boot(&vm, &img, &s, &e), 0);
	EXPECT_EQ(s.entry, 0x100000);
	vmfix_image_free(&img);
	vmfix_free(&vm);
}

static void expect_refused(const struct setup_header *h, uint64_t mem, const char *phrase)
{
	static uint8_t file[FILE_SIZE];
	struct setup_header ignored;
	struct boot_state s;
	struct image img;
	struct error e;
	struct vm vm;

	vmfix_init(&vm, mem, 0);
	make_bzimage(file, &ignored);
	put_header(file, h);
	img = vmfix_image(file, FILE_SIZE);
	if (!vmfix_boot(&vm, &img, &s, &e))
		FAIL("accepted: %s", phrase);
	else if (!strstr(e.text, phrase))
		FAIL("\"%s\" does not say \"%s\"", e.text, phrase);
	vmfix_image_free(&img);
	vmfix_free(&vm);
}

UNIT_TEST(bzimage_refused)
{
	static uint8_t file[FILE_SIZE];
	struct setup_header good, h;

	make_bzimage(file, &good);

	h = good;
	h.syssize = (PAYLOAD + 15) / 16 + 1;
	expect_refused(&h, 64 << 20, "cut off");
	h = good;
	h.setup_sects = 255;
	expect_refused(&h, 64 << 20, "cut off");
	h = good;
	h.pref_address = 0x90000;
	expect_refused(&h, 64 << 20, "below 1 MiB");
	h = good;
	h.pref_address = UINT64_MAX - 100;
	expect_refused(&h, 64 << 20, "wants");
	h = good;
	h.init_size = UINT32_MAX;
	expect_refused(&h, 64 << 20, "wants");
	h = good;
	h.loadflags = 0;
	expect_refused(&h, 64 << 20, "before 2002");
	h = good;
	h.version = 0x202;
	expect_refused(&h, 64 << 20, "before 2002");
	h = good;
	h.cmdline_size = 4;
	expect_refused(&h, 64 << 20, "5 bytes long");
	h = good;
	h.initrd_addr_max = 0x100fff;
	expect_refused(&h, 64 << 20, "does not fit");
	/* 16 MiB, with the kernel at 16 MiB */
	expect_refused(&good, 16 << 20, "--mem (17 MiB");
}

UNIT_TEST(bzimage_initrd_stays_clear_of_kernel)
{
	static uint8_t file[FILE_SIZE];
	struct boot_params *bp;
	struct setup_header h;
	struct boot_state s;
	struct image img;
	struct error e;
	struct vm vm;

	/* the kernel's room ends where memory does */
	vmfix_init(&vm, 17 << 20, 0);
	make_bzimage(file, &h);
	img = vmfix_image(file, FILE_SIZE);
	ASSERT_EQ(vmfix_boot(&vm, &img, &s, &e), 0);
	bp = vm_ram(&vm, s.rsi, sizeof(*bp));
	EXPECT_EQ(bp->hdr.ramdisk_image, 0x1000000 - 8192);
	vmfix_image_free(&img);
	vmfix_free(&vm);
}

UNIT_TEST(bzimage_damaged)
{
	static uint8_t file[FILE_SIZE];
	struct setup_header h;
	struct vm vm;

	vmfix_init(&vm, 32 << 20, 0);
	make_bzimage(file, &h);
	vmfix_torture(&vm, file, FILE_SIZE, 0x280);
	vmfix_fuzz(&vm, file + 0, FILE_SIZE, 0x280, 3000);
	vmfix_free(&vm);
}

static void load_real(const char *path)
{
	struct boot_params *bp;
	struct boot_state s;
	struct image img;
	struct error e;
	struct vm vm;

	if (image_open(&img, path, "kernel", &e)) {
		FAIL("%s", e.text);
		return;
	}
	vmfix_init(&vm, 256 << 20, 0);
	if (vmfix_boot(&vm, &img, &s, &e)) {
		FAIL("%s", e.text);
	} else {
		bp = vm_ram(&vm, s.rsi, sizeof(*bp));
		EXPECT_EQ(s.mode, BOOT_LONG64);
		EXPECT_EQ(s.entry, bp->hdr.pref_address + 0x200);
		EXPECT(bp->hdr.init_size > img.size);
	}
	munmap((void *)img.data, img.size);
	vmfix_free(&vm);
}

UNIT_TEST(bzimage_debian)
{
	const char *list = getenv("VMM_TEST_KERNELS");
	char *copy, *path;

	if (!list || !*list)
		UNIT_SKIP("no kernels under build/kernels");
	copy = strdup(list);
	for (path = strtok(copy, " "); path; path = strtok(NULL, " "))
		load_real(path);
	free(copy);
}
