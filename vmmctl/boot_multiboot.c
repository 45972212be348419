// SPDX-License-Identifier: GPL-2.0
/*
 * Multiboot 1 (GNU, version 0.6.96): a header within the first 8 KiB says how to load the file,
 * by its ELF headers or by addresses in the header itself. The kernel is entered in protected
 * mode without paging, EAX holds a magic number, EBX points to the boot information.
 */
#include <assert.h>
#include <string.h>

#include "boot.h"
#include "elf_image.h"

#define SEARCH		8192
#define HEADER_MAGIC	0x1badb002u
#define BOOTED_MAGIC	0x2badb002u
#define MB2_MAGIC	0xe85250d6u

#define WANT_ALIGN	(1u << 0)	/* modules on page boundaries: always done */
#define WANT_MEMORY	(1u << 1)	/* always told */
#define WANT_VIDEO	(1u << 2)
#define WANT_MASK	0xffffu		/* bits that must be understood */
#define HAS_ADDRESSES	(1u << 16)

#define INFO_MEMORY	(1u << 0)
#define INFO_CMDLINE	(1u << 2)
#define INFO_MODS	(1u << 3)
#define INFO_MMAP	(1u << 6)
#define INFO_LOADER	(1u << 9)

struct header {
	uint32_t magic, flags, checksum;
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

struct info {
	uint32_t flags;
	uint32_t mem_lower, mem_upper;
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr;
	uint32_t drives_length, drives_addr;
	uint32_t config_table;
	uint32_t loader_name;
	uint32_t apm_table;
	uint32_t vbe[4];
	uint32_t framebuffer[7];
};

struct module {
	uint32_t start, end;
	uint32_t string;
	uint32_t pad;
};

struct mmap_entry {
	uint32_t size;		/* of what follows */
	uint64_t addr;
	uint64_t len;
	uint32_t type;
} __attribute__((packed));

static_assert(sizeof(struct info) == 116, "multiboot 1, 3.3");
static_assert(sizeof(struct mmap_entry) == 24, "multiboot 1, 3.3");

/*
 * offset of the header in the file, -1 when there is none; the address fields read as zero where
 * the file ends before them
 */
static long find_header(const struct image *k, struct header *h)
{
	size_t end = k->size < SEARCH ? k->size : SEARCH, at;

	for (at = 0; at + 12 <= end; at += 4) {
		size_t len = k->size - at < sizeof(*h) ? k->size - at : sizeof(*h);

		*h = (struct header){};
		memcpy(h, k->data + at, len);
		if (h->magic == HEADER_MAGIC && h->magic + h->flags + h->checksum == 0 &&
		    (!(h->flags & HAS_ADDRESSES) || at + sizeof(*h) <= end))
			return at;
	}
	return -1;
}

bool multiboot_detect(const struct image *kernel)
{
	struct header h;

	return find_header(kernel, &h) >= 0;
}

/* the whole image is one segment, addressed relative to the header */
static int load_by_addresses(struct layout *l, const struct image *k, const struct header *h,
			     long header_at, uint64_t *end, struct error *e)
{
	uint64_t offset, size, bss = 0;
	uint8_t *to;

	if (h->load_addr > h->header_addr || h->header_addr - h->load_addr > (uint64_t)header_at)
		return error_set(e, "%s: its multiboot header puts its start before the file",
				 k->name);
	offset = header_at - (h->header_addr - h->load_addr);

	size = k->size - offset;
	if (h->load_end_addr) {
		if (h->load_end_addr <= h->load_addr || h->load_end_addr - h->load_addr > size)
			return error_set(e, "%s is cut off: its multiboot header says it is longer",
					 k->name);
		size = h->load_end_addr - h->load_addr;
	}
	if (h->bss_end_addr) {
		if (h->bss_end_addr < h->load_addr + size)
			return error_set(e, "%s: its multiboot header gives addresses out of order",
					 k->name);
		bss = h->bss_end_addr - (h->load_addr + size);
	}

	to = layout_claim(l, h->load_addr, size + bss, k->name, e);
	if (!to)
		return -1;
	memcpy(to, k->data + offset, size);
	memset(to + size, 0, bss);
	*end = h->load_addr + size + bss;
	return 0;
}

static int load_kernel(struct layout *l, const struct image *k, uint64_t *entry, uint64_t *end,
		       struct error *e)
{
	struct header h;
	long at = find_header(k, &h);
	struct elf elf;

	if (at < 0)
		return error_set(e, "%s has no multiboot header", k->name);
	if (h.flags & WANT_VIDEO)
		return error_set(e, "%s asks for a video mode (bit 2 of its multiboot header),\n"
				 "and there is no display",
				 k->name);
	if (h.flags & WANT_MASK & ~(WANT_ALIGN | WANT_MEMORY))
		return error_set(e, "%s asks for more than multiboot 1 knows (flags %#x)", k->name,
				 h.flags);

	if (h.flags & HAS_ADDRESSES) {
		*entry = h.entry_addr;
		if (load_by_addresses(l, k, &h, at, end, e))
			return -1;
	} else {
		if (elf_open(&elf, k, e) || elf_load(&elf, l, end, e))
			return -1;
		*entry = elf_physical(&elf, elf.entry);
	}
	if (*entry >= *end || !vm_ram(l->vm, *entry, 1))
		return error_set(e, "%s: its entry point %#llx lies outside it", k->name,
				 (unsigned long long)*entry);
	return 0;
}

static int add_mmap(struct layout *l, struct info *info, struct error *e)
{
	struct mem_range map[MEM_MAP_MAX];
	unsigned int i, n = mem_map(l->vm, map);
	struct mmap_entry *out;
	uint64_t gpa;

	out = boot_low(l, n * sizeof(*out), 16, &gpa, e);
	if (!out)
		return -1;
	for (i = 0; i < n; i++) {
		out[i].size = sizeof(out[i]) - sizeof(out[i].size);
		out[i].addr = map[i].start;
		out[i].len = map[i].size;
		out[i].type = map[i].type;
	}

	info->mmap_addr = gpa;
	info->mmap_length = n * sizeof(*out);
	info->mem_lower = LOW_TOP >> 10;
	info->mem_upper = (l->vm->ram[0].size - HIGH_START) >> 10;
	info->flags |= INFO_MMAP | INFO_MEMORY;
	return 0;
}

/* behind the kernel, in order: some kernels take what follows the last module for free */
static int add_modules(struct layout *l, struct info *info, const struct boot_request *req,
		       uint64_t kernel_end, struct error *e)
{
	uint64_t list, min = kernel_end > HIGH_START ? kernel_end : HIGH_START;
	struct module *out;
	unsigned int i;

	/* the list is there even if it is empty: kernels read it without a look at the count */
	out = boot_low(l, (req->nr_modules + 1) * sizeof(*out), 16, &list, e);
	if (!out)
		return -1;

	for (i = 0; i < req->nr_modules; i++) {
		const struct boot_module *m = &req->modules[i];
		uint64_t at = boot_place(l, &m->image, min, MAP_LOW_RAM_END, false, e);

		if (!at)
			return -1;
		out[i].start = at;
		out[i].end = at + m->image.size;
		out[i].string = boot_string(l, m->string, e);
		if (!out[i].string)
			return -1;
		min = out[i].end;
	}

	info->mods_addr = list;
	info->mods_count = req->nr_modules;
	info->flags |= INFO_MODS;
	return 0;
}

/*
 * The first word is the kernel's own name, as GRUB legacy began it: kernels skip it unless they
 * know the boot loader.
 */
static int add_cmdline(struct layout *l, struct info *info, const struct boot_request *req,
		       struct error *e)
{
	size_t room = strlen(req->kernel.name) + strlen(req->cmdline) + 2;
	uint64_t gpa;
	char *s, *p;

	s = boot_low(l, room, 16, &gpa, e);
	if (!s)
		return -1;
	/* a blank in the name would end the word early */
	strcpy(s, req->kernel.name);
	for (p = s; *p; p++) {
		if (*p == ' ')
			*p = '_';
	}
	if (*req->cmdline) {
		strcat(s, " ");
		strcat(s, req->cmdline);
	}

	info->cmdline = gpa;
	info->flags |= INFO_CMDLINE;
	return 0;
}

int multiboot_load(struct layout *l, const struct boot_request *req, struct boot_state *state,
		   struct error *e)
{
	struct info *info;
	uint64_t end;

	if (load_kernel(l, &req->kernel, &state->entry, &end, e))
		return -1;

	info = boot_low(l, sizeof(*info), 16, &state->rbx, e);
	if (!info || add_cmdline(l, info, req, e) || add_mmap(l, info, e) ||
	    add_modules(l, info, req, end, e))
		return -1;
	info->loader_name = boot_string(l, "vmmctl", e);
	if (!info->loader_name)
		return -1;
	info->flags |= INFO_LOADER;

	state->mode = BOOT_PROT32;
	state->rax = BOOTED_MAGIC;
	return boot_gdt(l, state, e);
}
