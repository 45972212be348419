// SPDX-License-Identifier: GPL-2.0
/*
 * Multiboot 1.
 */
#include <linux/elf.h>

#include "vmfix.h"

#define MAGIC	0x1badb002u

/* a flat file with the header 64 bytes from its start, loaded from its 32nd byte on */
struct flat {
	uint8_t pad[64];
	uint32_t header[8];
	uint8_t text[200];
};

enum { H_MAGIC, H_FLAGS, H_SUM, H_HEADER, H_LOAD, H_LOAD_END, H_BSS_END, H_ENTRY };

static void seal(uint32_t *h)
{
	h[H_SUM] = -(h[H_MAGIC] + h[H_FLAGS]);
}

static void make_flat(struct flat *f)
{
	memset(f, 0x33, sizeof(*f));
	f->header[H_MAGIC] = MAGIC;
	f->header[H_FLAGS] = 0x10003;
	f->header[H_HEADER] = 0x200000 + 32;
	f->header[H_LOAD] = 0x200000;
	f->header[H_LOAD_END] = 0x200000 + sizeof(*f) - 32;
	f->header[H_BSS_END] = 0x200000 + 0x2000;
	f->header[H_ENTRY] = 0x200000 + 64;
	seal(f->header);
}

static uint32_t word(const struct vm *vm, uint64_t gpa)
{
	uint32_t v;

	memcpy(&v, vm->ram[0].hva + gpa, 4);
	return v;
}

UNIT_TEST(multiboot_addresses)
{
	struct boot_state s;
	struct image img;
	struct flat f;
	struct error e;
	struct vm vm;
	uint32_t mods, mmap, end;
	uint64_t v;

	vmfix_init(&vm, 64 << 20, 0);
	memset(vm.ram[0].hva + 0x200000, 0xff, 0x3000);
	make_flat(&f);
	img = vmfix_image(&f, sizeof(f));
	ASSERT_EQ(vmfix_boot(&vm, &img, &s, &e), 0);
	EXPECT_EQ(s.mode, BOOT_PROT32);
	EXPECT_EQ(s.rax, 0x2badb002);
	EXPECT_EQ(s.entry, 0x200040);
	EXPECT_MEMEQ(vm.ram[0].hva + 0x200000, (uint8_t *)&f + 32, sizeof(f) - 32);
	EXPECT_EQ(vm.ram[0].hva[0x200000 + sizeof(f) - 32], 0);
	EXPECT_EQ(vm.ram[0].hva[0x201fff], 0);

	/* flags: memory, command line, modules, memory map, boot loader's name */
	EXPECT_EQ(word(&vm, s.rbx), 0x24d);
	EXPECT_EQ(word(&vm, s.rbx + 4), 639);
	EXPECT_EQ(word(&vm, s.rbx + 8), 63 << 10);
	EXPECT_STREQ((char *)vm.ram[0].hva + word(&vm, s.rbx + 16), "test a=1 b");
	EXPECT_STREQ((char *)vm.ram[0].hva + word(&vm, s.rbx + 64), "vmmctl");

	EXPECT_EQ(word(&vm, s.rbx + 20), 1);
	mods = word(&vm, s.rbx + 24);
	/* page aligned, behind the kernel's last byte */
	EXPECT_EQ(word(&vm, mods), 0x202000);
	EXPECT_EQ(word(&vm, mods + 4), 0x202000 + 5000);
	EXPECT_STREQ((char *)vm.ram[0].hva + word(&vm, mods + 8), "first");

	mmap = word(&vm, s.rbx + 48);
	end = mmap + word(&vm, s.rbx + 44);
	EXPECT(end > mmap + 3 * 24);
	EXPECT_EQ(word(&vm, mmap), 20);
	EXPECT_EQ(word(&vm, mmap + 20), MEM_RAM);
	memcpy(&v, vm.ram[0].hva + mmap + 12, 8);
	EXPECT_EQ(v, LOW_TOP);
	vmfix_image_free(&img);
	vmfix_free(&vm);
}

UNIT_TEST(multiboot_addresses_to_the_end_of_the_file)
{
	struct boot_state s;
	struct image img;
	struct flat f;
	struct error e;
	struct vm vm;

	vmfix_init(&vm, 64 << 20, 0);
	make_flat(&f);
	f.header[H_LOAD_END] = 0;
	f.header[H_BSS_END] = 0;
	img = vmfix_image(&f, sizeof(f));
	ASSERT_EQ(vmfix_boot(&vm, &img, &s, &e), 0);
	EXPECT_MEMEQ(vm.ram[0].hva + 0x200000, (uint8_t *)&f + 32, sizeof(f) - 32);
	vmfix_image_free(&img);
	vmfix_free(&vm);
}

/* an empty list and an empty line are there all the same */
UNIT_TEST(multiboot_without_modules)
{
	struct boot_request req = { .cmdline = "" };
	struct boot_state s;
	struct flat f;
	struct error e;
	struct vm vm;

	vmfix_init(&vm, 64 << 20, 0);
	make_flat(&f);
	req.kernel = vmfix_image(&f, sizeof(f));
	req.kernel.name = "my kernel";
	ASSERT_EQ(boot_load(&vm, BOOT_MULTIBOOT, &req, &s, &e), 0);
	EXPECT_EQ(word(&vm, s.rbx), 0x24d);
	EXPECT_STREQ((char *)vm.ram[0].hva + word(&vm, s.rbx + 16), "my_kernel");
	EXPECT_EQ(word(&vm, s.rbx + 20), 0);
	EXPECT(word(&vm, s.rbx + 24) != 0);
	vmfix_image_free(&req.kernel);
	vmfix_free(&vm);
}

/* boot data goes elsewhere when the kernel wants low memory */
UNIT_TEST(multiboot_kernel_in_low_memory)
{
	struct boot_state s;
	struct image img;
	struct flat f;
	struct error e;
	struct vm vm;

	vmfix_init(&vm, 64 << 20, 0);
	make_flat(&f);
	f.header[H_HEADER] = 0x1000 + 32;
	f.header[H_LOAD] = 0x1000;
	f.header[H_LOAD_END] = 0x1000 + sizeof(f) - 32;
	f.header[H_BSS_END] = LOW_TOP;
	f.header[H_ENTRY] = 0x1000 + 64;
	img = vmfix_image(&f, sizeof(f));
	ASSERT_EQ(vmfix_boot(&vm, &img, &s, &e), 0);
	EXPECT_MEMEQ(vm.ram[0].hva + 0x1000, (uint8_t *)&f + 32, sizeof(f) - 32);
	EXPECT(s.rbx >= HIGH_START);
	EXPECT(s.gdt >= HIGH_START);
	EXPECT_STREQ((char *)vm.ram[0].hva + word(&vm, s.rbx + 16), "test a=1 b");
	vmfix_image_free(&img);
	vmfix_free(&vm);
}

static void expect_mb_refused(const struct flat *f, size_t size, const char *phrase)
{
	struct image img = vmfix_image(f, size);
	struct boot_state s;
	struct error e;
	struct vm vm;

	vmfix_init(&vm, 64 << 20, 0);
	if (!vmfix_boot(&vm, &img, &s, &e))
		FAIL("accepted: %s", phrase);
	else if (!strstr(e.text, phrase))
		FAIL("\"%s\" does not say \"%s\"", e.text, phrase);
	vmfix_image_free(&img);
	vmfix_free(&vm);
}

UNIT_TEST(multiboot_refused)
{
	struct flat good, f;

	make_flat(&good);
	f = good;
	f.header[H_SUM]++;
	expect_mb_refused(&f, sizeof(f), "is not a kernel");
	f = good;
	f.header[H_FLAGS] |= 4;
	seal(f.header);
	expect_mb_refused(&f, sizeof(f), "video");
	f = good;
	f.header[H_FLAGS] |= 0x100;
	seal(f.header);
	expect_mb_refused(&f, sizeof(f), "more than multiboot 1");
	f = good;
	f.header[H_HEADER] = 0x200000 + 65;
	expect_mb_refused(&f, sizeof(f), "before the file");
	f = good;
	f.header[H_HEADER] = 0x1fffff;
	expect_mb_refused(&f, sizeof(f), "before the file");
	f = good;
	f.header[H_LOAD_END]++;
	expect_mb_refused(&f, sizeof(f), "longer");
	f = good;
	f.header[H_LOAD_END] = 0x1fffff;
	expect_mb_refused(&f, sizeof(f), "longer");
	f = good;
	f.header[H_BSS_END] = 0x200001;
	expect_mb_refused(&f, sizeof(f), "out of order");
	f = good;
	f.header[H_BSS_END] = UINT32_MAX;
	expect_mb_refused(&f, sizeof(f), "wants");
	f = good;
	f.header[H_ENTRY] = 0x300000;
	expect_mb_refused(&f, sizeof(f), "entry point");
	/* no address fields and no ELF file */
	f = good;
	f.header[H_FLAGS] = 3;
	seal(f.header);
	expect_mb_refused(&f, sizeof(f), "not an ELF");
}

UNIT_TEST(multiboot_elf_entry_is_physical)
{
	struct {
		struct elf32_hdr h;
		struct elf32_phdr ph;
		uint32_t header[3];
		uint8_t text[100];
	} f;
	struct boot_state s;
	struct image img;
	struct error e;
	struct vm vm;

	memset(&f, 0x44, sizeof(f));
	f.h = (struct elf32_hdr) {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC, .e_machine = EM_386, .e_entry = 0xc0100020,
		.e_phoff = sizeof(struct elf32_hdr),
		.e_phentsize = sizeof(struct elf32_phdr), .e_phnum = 1,
	};
	f.ph = (struct elf32_phdr) {
		.p_type = PT_LOAD, .p_vaddr = 0xc0100000, .p_paddr = 0x100000,
		.p_filesz = sizeof(f), .p_memsz = 0x4000,
	};
	f.header[0] = MAGIC;
	f.header[1] = 0;
	seal(f.header);

	vmfix_init(&vm, 64 << 20, 0);
	img = vmfix_image(&f, sizeof(f));
	ASSERT_EQ(vmfix_boot(&vm, &img, &s, &e), 0);
	EXPECT_EQ(s.entry, 0x100020);
	EXPECT_EQ(s.rax, 0x2badb002);
	EXPECT_MEMEQ(vm.ram[0].hva + 0x100000, &f, sizeof(f));
	vmfix_image_free(&img);
	vmfix_free(&vm);
}

/* only within the first 8 KiB, at a multiple of 4 */
UNIT_TEST(multiboot_search)
{
	static uint8_t file[10000];
	uint32_t h[3] = { MAGIC, 0 };
	enum boot_type type;
	struct error e;
	unsigned int at;

	seal(h);
	for (at = 8160; at < 8220; at++) {
		struct image img;

		memset(file, 0, sizeof(file));
		memcpy(file + at, h, sizeof(h));
		img = vmfix_image(file, sizeof(file));
		EXPECT_EQ(!boot_detect(&img, &type, &e), at % 4 == 0 && at + 12 <= 8192);
		vmfix_image_free(&img);
	}
}

UNIT_TEST(multiboot_damaged)
{
	uint64_t seed = 7;
	unsigned int i;
	struct flat f;
	struct vm vm;

	vmfix_init(&vm, 32 << 20, 0);
	make_flat(&f);
	vmfix_torture(&vm, (uint8_t *)&f, sizeof(f), 96);

	/* addresses changed, with a checksum that fits */
	for (i = 0; i < 3000; i++) {
		struct boot_state s;
		struct image img;
		struct error e;

		make_flat(&f);
		f.header[3 + vmfix_random(&seed) % 5] ^= 1u << vmfix_random(&seed) % 32;
		f.header[3 + vmfix_random(&seed) % 5] ^= 1u << vmfix_random(&seed) % 32;
		img = vmfix_image(&f, sizeof(f) - vmfix_random(&seed) % 200);
		vmfix_boot(&vm, &img, &s, &e);
		vmfix_image_free(&img);
	}
	vmfix_free(&vm);
}
