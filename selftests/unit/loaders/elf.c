// SPDX-License-Identifier: GPL-2.0
/*
 * ELF files and PVH.
 */
#include <linux/elf.h>
#include <stddef.h>

#include "elf_image.h"
#include "vmfix.h"

struct file64 {
	struct elf64_hdr h;
	struct elf64_phdr ph[3];
	struct {
		struct elf64_note n;
		char name[4];
		uint64_t desc;
	} note __attribute__((packed));
	uint8_t text[300];
};

struct file32 {
	struct elf32_hdr h;
	struct elf32_phdr ph[2];
	struct {
		struct elf32_note n;
		char name[4];
		uint32_t desc;
	} note;
	uint8_t text[300];
};

static void make64(struct file64 *f)
{
	memset(f, 0x5a, sizeof(*f));
	f->h = (struct elf64_hdr) {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = 1,
		.e_entry = 0xffffffff81000000,
		.e_phoff = offsetof(struct file64, ph),
		.e_ehsize = sizeof(struct elf64_hdr),
		.e_phentsize = sizeof(struct elf64_phdr),
		.e_phnum = 3,
	};
	f->ph[0] = (struct elf64_phdr) {
		.p_type = PT_LOAD, .p_offset = offsetof(struct file64, text),
		.p_vaddr = 0xffffffff81000000, .p_paddr = 0x1000000,
		.p_filesz = 300, .p_memsz = 0x3000, .p_align = 4096,
	};
	f->ph[1] = (struct elf64_phdr) {
		.p_type = PT_NOTE, .p_offset = offsetof(struct file64, note),
		.p_filesz = sizeof(f->note), .p_memsz = sizeof(f->note), .p_align = 4,
	};
	f->ph[2] = (struct elf64_phdr) { .p_type = PT_LOAD, .p_paddr = 0x2000000, .p_memsz = 64 };
	f->note.n = (struct elf64_note) { .n_namesz = 4, .n_descsz = 8, .n_type = 18 };
	memcpy(f->note.name, "Xen", 4);
	f->note.desc = 0x1000040;
}

static void make32(struct file32 *f)
{
	memset(f, 0x5a, sizeof(*f));
	f->h = (struct elf32_hdr) {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = 1,
		.e_entry = 0x100000,
		.e_phoff = offsetof(struct file32, ph),
		.e_ehsize = sizeof(struct elf32_hdr),
		.e_phentsize = sizeof(struct elf32_phdr),
		.e_phnum = 2,
	};
	f->ph[0] = (struct elf32_phdr) {
		.p_type = PT_LOAD, .p_offset = offsetof(struct file32, text),
		.p_vaddr = 0xc0100000, .p_paddr = 0x100000, .p_filesz = 300, .p_memsz = 0x3000,
	};
	f->ph[1] = (struct elf32_phdr) {
		.p_type = PT_NOTE, .p_offset = offsetof(struct file32, note),
		.p_filesz = sizeof(f->note), .p_memsz = sizeof(f->note), .p_align = 4,
	};
	f->note.n = (struct elf32_note) { .n_namesz = 4, .n_descsz = 4, .n_type = 18 };
	memcpy(f->note.name, "Xen", 4);
	f->note.desc = 0x100010;
}

/* Xen's public/arch-x86/hvm/start_info.h, by offset */
struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp, memmap;
	uint32_t nr_memmap, reserved;
};

UNIT_TEST(pvh_64)
{
	struct start_info *info;
	struct boot_state s;
	struct image img;
	struct file64 f;
	struct error e;
	uint64_t *mod;
	struct vm vm;
	uint64_t map[3];

	vmfix_init(&vm, 64 << 20, 0);
	make64(&f);
	memset(vm.ram[0].hva + 0x1000000, 0xff, 0x4000);
	img = vmfix_image(&f, sizeof(f));
	ASSERT_EQ(vmfix_boot(&vm, &img, &s, &e), 0);
	EXPECT_EQ(s.mode, BOOT_PROT32);
	EXPECT_EQ(s.entry, 0x1000040);
	EXPECT_MEMEQ(vm.ram[0].hva + 0x1000000, f.text, 300);
	/* the rest of the segment is cleared, what follows is not */
	EXPECT_EQ(vm.ram[0].hva[0x1000000 + 300], 0);
	EXPECT_EQ(vm.ram[0].hva[0x1002fff], 0);
	EXPECT_EQ(vm.ram[0].hva[0x1003000], 0xff);

	info = vm_ram(&vm, s.rbx, sizeof(*info));
	ASSERT(info);
	EXPECT_EQ(info->magic, 0x336ec578);
	EXPECT_EQ(info->version, 1);
	EXPECT_EQ(info->rsdp, 0xe0000);
	EXPECT_STREQ((char *)vm.ram[0].hva + info->cmdline, "a=1 b");
	ASSERT_EQ(info->nr_modules, 1);
	mod = vm_ram(&vm, info->modules, 32);
	ASSERT(mod);
	EXPECT_EQ(mod[1], 5000);
	EXPECT_EQ(vm.ram[0].hva[mod[0] + 1], 2);
	EXPECT_STREQ((char *)vm.ram[0].hva + mod[2], "first");
	ASSERT(info->nr_memmap >= 4);
	memcpy(map, vm.ram[0].hva + info->memmap + 3 * 24, 24);
	EXPECT_EQ(map[0], HIGH_START);
	EXPECT_EQ(map[1], (64 << 20) - HIGH_START);
	EXPECT_EQ(map[2], MEM_RAM);
	vmfix_image_free(&img);
	vmfix_free(&vm);
}

UNIT_TEST(pvh_32)
{
	struct boot_state s;
	struct image img;
	struct file32 f;
	struct error e;
	struct vm vm;

	vmfix_init(&vm, 64 << 20, 0);
	make32(&f);
	img = vmfix_image(&f, sizeof(f));
	ASSERT_EQ(vmfix_boot(&vm, &img, &s, &e), 0);
	EXPECT_EQ(s.entry, 0x100010);
	EXPECT_MEMEQ(vm.ram[0].hva + 0x100000, f.text, 300);
	vmfix_image_free(&img);
	vmfix_free(&vm);
}

static void expect_elf_refused(const struct file64 *f, size_t size, const char *phrase)
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

UNIT_TEST(elf_refused)
{
	struct file64 good, f;

	make64(&good);
	f = good;
	f.note.n.n_type = 17;
	expect_elf_refused(&f, sizeof(f), "CONFIG_PVH=y");
	f = good;
	memcpy(f.note.name, "Xem", 4);
	expect_elf_refused(&f, sizeof(f), "PVH note");
	f = good;
	f.note.n.n_namesz = UINT32_MAX;
	expect_elf_refused(&f, sizeof(f), "PVH note");
	f = good;
	f.note.n.n_descsz = UINT32_MAX;
	expect_elf_refused(&f, sizeof(f), "PVH note");
	f = good;
	f.note.desc = 0x3000000;
	expect_elf_refused(&f, sizeof(f), "outside the kernel");
	f = good;
	f.ph[0].p_offset = UINT64_MAX - 10;
	expect_elf_refused(&f, sizeof(f), "segment 0");
	f = good;
	f.ph[0].p_filesz = 0x3001;
	expect_elf_refused(&f, sizeof(f), "segment 0");
	f = good;
	f.ph[0].p_memsz = UINT64_MAX;
	expect_elf_refused(&f, sizeof(f), "wants");
	f = good;
	f.ph[0].p_paddr = 0xfee00000;
	expect_elf_refused(&f, sizeof(f), "wants");
	f = good;
	f.ph[0].p_paddr = 0x9f000;
	expect_elf_refused(&f, sizeof(f), "wants");
	f = good;
	f.h.e_machine = EM_AARCH64;
	expect_elf_refused(&f, sizeof(f), "another processor");
	f = good;
	f.h.e_phentsize = 8;
	expect_elf_refused(&f, sizeof(f), "program headers");
	f = good;
	f.h.e_phnum = 0xffff;
	expect_elf_refused(&f, sizeof(f), "program headers");
	expect_elf_refused(&good, 40, "cut off");
	expect_elf_refused(&good, offsetof(struct file64, text) + 299, "segment 0");
}

UNIT_TEST(elf_notes_of_other_owners_are_skipped)
{
	struct {
		struct file64 f;
		struct {
			struct elf64_note n;
			char name[8];
			char desc[8];
		} other;
		struct elf64_note n;
		char name[4];
		uint64_t desc;
	} __attribute__((packed)) f;
	const uint8_t *desc;
	struct image img;
	struct file64 plain;
	struct elf elf;
	struct error e;
	uint64_t v;

	make64(&plain);
	f.f = plain;
	f.f.ph[1].p_offset = sizeof(f.f);
	f.f.ph[1].p_filesz = sizeof(f) - sizeof(f.f);
	/* lengths that need padding */
	f.other.n = (struct elf64_note) { .n_namesz = 6, .n_descsz = 5, .n_type = 18 };
	memcpy(f.other.name, "Linux\0\0", 8);
	f.n = (struct elf64_note) { .n_namesz = 4, .n_descsz = 8, .n_type = 18 };
	memcpy(f.name, "Xen", 4);
	f.desc = 0x1234;
	img = vmfix_image(&f, sizeof(f));
	ASSERT_EQ(elf_open(&elf, &img, &e), 0);
	ASSERT_EQ(elf_note(&elf, "Xen", 18, &desc), 8);
	memcpy(&v, desc, 8);
	EXPECT_EQ(v, 0x1234);
	EXPECT_EQ(elf_note(&elf, "Linux", 18, &desc), 5);
	EXPECT(elf_note(&elf, "Xen", 1, &desc) < 0);
	EXPECT_EQ(elf_physical(&elf, 0xffffffff81000123), 0x1000123);
	EXPECT_EQ(elf_physical(&elf, 0x55), 0x55);
	vmfix_image_free(&img);
}

UNIT_TEST(elf_damaged)
{
	struct file64 f64;
	struct file32 f32;
	struct vm vm;

	vmfix_init(&vm, 32 << 20, 0);
	make64(&f64);
	vmfix_torture(&vm, (uint8_t *)&f64, sizeof(f64), offsetof(struct file64, text));
	vmfix_fuzz(&vm, (uint8_t *)&f64, sizeof(f64), offsetof(struct file64, text), 3000);
	make32(&f32);
	vmfix_torture(&vm, (uint8_t *)&f32, sizeof(f32), offsetof(struct file32, text));
	vmfix_fuzz(&vm, (uint8_t *)&f32, sizeof(f32), offsetof(struct file32, text), 3000);
	vmfix_free(&vm);
}
