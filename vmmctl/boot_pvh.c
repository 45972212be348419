// SPDX-License-Identifier: GPL-2.0
/*
 * PVH, the direct boot of ELF kernels as Xen defined it (xen.git, docs/misc/pvh.pandoc and
 * public/arch-x86/hvm/start_info.h): the note XEN_ELFNOTE_PHYS32_ENTRY names the physical address
 * to enter in protected mode without paging; EBX points to the start info.
 */
#include <assert.h>
#include <string.h>

#include "boot.h"
#include "elf_image.h"

#define NOTE_OWNER		"Xen"
#define NOTE_PHYS32_ENTRY	18

#define START_MAGIC		0x336ec578
#define START_VERSION		1	/* the one that has a memory map */

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memmap;
	uint32_t nr_memmap;
	uint32_t reserved;
};

struct start_module {
	uint64_t addr;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct start_memmap {
	uint64_t addr;
	uint64_t size;
	uint32_t type;		/* as in ACPI */
	uint32_t reserved;
};

static_assert(sizeof(struct start_info) == 56, "PVH");
static_assert(sizeof(struct start_module) == 32, "PVH");
static_assert(sizeof(struct start_memmap) == 24, "PVH");

/* the note holds an address of the kernel's own width */
static bool find_entry(const struct elf *elf, uint64_t *entry)
{
	const uint8_t *desc;
	long len = elf_note(elf, NOTE_OWNER, NOTE_PHYS32_ENTRY, &desc);
	uint32_t low;

	if (len == 8) {
		memcpy(entry, desc, 8);
	} else if (len == 4) {
		memcpy(&low, desc, 4);
		*entry = low;
	} else {
		return false;
	}
	return true;
}

bool pvh_detect(const struct image *kernel)
{
	struct error ignored;
	uint64_t entry;
	struct elf elf;

	return elf_is(kernel) && !elf_open(&elf, kernel, &ignored) && find_entry(&elf, &entry);
}

static int add_memmap(struct layout *l, struct start_info *info, struct error *e)
{
	struct mem_range map[MEM_MAP_MAX];
	unsigned int i, n = mem_map(l->vm, map);
	struct start_memmap *out;

	out = boot_low(l, n * sizeof(*out), 16, &info->memmap, e);
	if (!out)
		return -1;
	for (i = 0; i < n; i++) {
		out[i].addr = map[i].start;
		out[i].size = map[i].size;
		out[i].type = map[i].type;
	}
	info->nr_memmap = n;
	return 0;
}

static int add_modules(struct layout *l, struct start_info *info, const struct boot_request *req,
		       struct error *e)
{
	struct start_module *out;
	unsigned int i;

	if (!req->nr_modules)
		return 0;
	out = boot_low(l, req->nr_modules * sizeof(*out), 16, &info->modules, e);
	if (!out)
		return -1;

	for (i = 0; i < req->nr_modules; i++) {
		out[i].addr = boot_place(l, &req->modules[i].image, HIGH_START, MAP_LOW_RAM_END,
					 true, e);
		if (!out[i].addr)
			return -1;
		out[i].size = req->modules[i].image.size;
		out[i].cmdline = boot_string(l, req->modules[i].string, e);
		if (!out[i].cmdline)
			return -1;
	}
	info->nr_modules = req->nr_modules;
	return 0;
}

int pvh_load(struct layout *l, const struct boot_request *req, struct boot_state *state,
	     struct error *e)
{
	const struct image *k = &req->kernel;
	struct start_info *info;
	struct elf elf;
	uint64_t end;

	if (elf_open(&elf, k, e))
		return -1;
	if (!find_entry(&elf, &state->entry))
		return error_set(e, "%s has no PVH note: build it with CONFIG_PVH=y",
				 k->name);
	if (elf_load(&elf, l, &end, e))
		return -1;
	if (state->entry >= end || !vm_ram(l->vm, state->entry, 1))
		return error_set(e, "%s: its PVH note points to %#llx, outside the kernel", k->name,
				 (unsigned long long)state->entry);

	info = boot_low(l, sizeof(*info), 16, &state->rbx, e);
	if (!info)
		return -1;
	info->magic = START_MAGIC;
	info->version = START_VERSION;
	info->rsdp = req->rsdp;
	info->cmdline = boot_string(l, req->cmdline, e);
	if (!info->cmdline || add_memmap(l, info, e) || add_modules(l, info, req, e))
		return -1;

	state->mode = BOOT_PROT32;
	return boot_gdt(l, state, e);
}
