// SPDX-License-Identifier: GPL-2.0
/*
 * What the boot protocols share: telling them apart, the structures that a processor needs to
 * start, and finding room.
 */
#include <string.h>

#include "boot.h"
#include "elf_image.h"

/* low memory given to boot structures: above the real-mode vectors and the BIOS data area */
#define LOW_START	0x1000ull

#define PTE_PRESENT	(1ull << 0)
#define PTE_WRITE	(1ull << 1)
#define PTE_LARGE	(1ull << 7)

/* how much the page table for BOOT_LONG64 maps, one to one */
#define MAPPED_GIB	4

void *boot_low(struct layout *l, uint64_t len, uint64_t align, uint64_t *gpa, struct error *e)
{
	void *hva = NULL;

	*gpa = layout_alloc(l, len, align, LOW_START, LOW_TOP, false, &hva);
	/* a kernel may have filled all of it */
	if (!*gpa)
		*gpa = layout_alloc(l, len, align, HIGH_START, MAP_LOW_RAM_END, true, &hva);
	if (!*gpa) {
		error_set(e, "no room in the guest's memory for %llu bytes of boot data;\n"
			  "give it more by --mem",
			  (unsigned long long)len);
		return NULL;
	}
	memset(hva, 0, len);
	return hva;
}

uint64_t boot_string(struct layout *l, const char *s, struct error *e)
{
	size_t len = strlen(s) + 1;
	uint64_t gpa;
	char *hva = boot_low(l, len, 16, &gpa, e);

	if (!hva)
		return 0;
	memcpy(hva, s, len);
	return gpa;
}

uint64_t boot_place(struct layout *l, const struct image *img, uint64_t min, uint64_t end, bool top,
		    struct error *e)
{
	void *hva = NULL;
	uint64_t gpa = layout_alloc(l, img->size, 4096, min, end, top, &hva);

	if (!gpa) {
		error_set(e, "%s (%zu MiB) does not fit beside the kernel\n"
			  "into the guest's memory (%llu MiB): give it more by --mem",
			  img->name, (img->size + 0xfffff) >> 20,
			  (unsigned long long)l->vm->mem_size >> 20);
		return 0;
	}
	memcpy(hva, img->data, img->size);
	return gpa;
}

/*
 * a segment descriptor (APM vol. 2, 4.7 and 4.8): @flags are bits 40 .. 55 without the limit's
 * upper part
 */
static uint64_t descriptor(uint16_t flags, uint32_t base, uint32_t limit)
{
	return (limit & 0xffffull) | (base & 0xffffffull) << 16 | (flags & 0xf0ffull) << 40 |
	       (limit & 0xf0000ull) << 32 | (base & 0xff000000ull) << 32;
}

/* @state->cr3: a PML4, one page of PDPTEs, and pages of 2 MiB entries */
static int page_table(struct layout *l, struct boot_state *state, struct error *e)
{
	uint64_t gpa, *table;
	unsigned int i;

	table = boot_low(l, (2 + MAPPED_GIB) * 4096, 4096, &gpa, e);
	if (!table)
		return -1;

	table[0] = (gpa + 4096) | PTE_PRESENT | PTE_WRITE;
	for (i = 0; i < MAPPED_GIB; i++)
		table[512 + i] = (gpa + (2 + i) * 4096) | PTE_PRESENT | PTE_WRITE;
	for (i = 0; i < MAPPED_GIB * 512; i++)
		table[1024 + i] = ((uint64_t)i << 21) | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	state->cr3 = gpa;
	return 0;
}

int boot_gdt(struct layout *l, struct boot_state *state, struct error *e)
{
	uint64_t *gdt = boot_low(l, 6 * 8, 16, &state->gdt, e);

	if (!gdt)
		return -1;
	state->gdt_size = 6 * 8;

	/* present, DPL 0, granular; accessed bits set as a processor would */
	gdt[BOOT_CS / 8] = descriptor(state->mode == BOOT_LONG64 ? 0xa09b : 0xc09b, 0, 0xfffff);
	gdt[BOOT_DS / 8] = descriptor(0xc093, 0, 0xfffff);
	gdt[BOOT_TR / 8] = descriptor(0x008b, 0, 0x67);
	return state->mode == BOOT_LONG64 ? page_table(l, state, e) : 0;
}

static int no_kernel(const struct image *kernel, struct error *e)
{
	const char *like = image_describe(kernel);
	struct elf elf;

	if (elf_is(kernel)) {
		if (elf_open(&elf, kernel, e))
			return -1;
		return error_set(e, "%s is an ELF file without PVH note or multiboot header:\n"
				 "build the kernel with CONFIG_PVH=y, or give its bzImage",
				 kernel->name);
	}
	if (like)
		return error_set(e, "%s is not a kernel that can be booted here:\n"
				 "it looks like %s",
				 kernel->name, like);
	return error_set(e, "%s is not a kernel that can be booted here:\n"
			 "no bzImage, no ELF file, and without a multiboot header",
			 kernel->name);
}

int boot_detect(const struct image *kernel, enum boot_type *type, struct error *e)
{
	if (linux_detect(kernel))
		*type = BOOT_LINUX;
	else if (multiboot_detect(kernel))
		*type = BOOT_MULTIBOOT;
	else if (pvh_detect(kernel))
		*type = BOOT_PVH;
	else
		return no_kernel(kernel, e);
	return 0;
}

int boot_load(struct vm *vm, enum boot_type type, const struct boot_request *req,
	      struct boot_state *state, struct error *e)
{
	struct layout l;

	layout_init(&l, vm);
	*state = (struct boot_state){};

	switch (type) {
	case BOOT_LINUX:
		return linux_load(&l, req, state, e);
	case BOOT_PVH:
		return pvh_load(&l, req, state, e);
	case BOOT_MULTIBOOT:
		return multiboot_load(&l, req, state, e);
	}
	return error_set(e, "no such boot protocol");
}
