// SPDX-License-Identifier: GPL-2.0
/*
 * Linux's own boot protocol (the kernel's Documentation/arch/x86/boot.rst): bzImage, entered in
 * long mode where the kernel says that it can be (XLF_KERNEL_64), else in protected mode. The
 * real-mode part of the file is not run.
 *
 *	0x1000 ...	zero page, setup data, GDT, page table, command line (boot_low())
 *	pref_address	the kernel, with init_size bytes to unpack itself in
 *	top of RAM	initrd, below initrd_addr_max
 */
#include <asm/bootparam.h>
#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>

#include "boot.h"

#define HEADER_AT	0x1f1
#define HEADER_MAGIC	0x53726448	/* "HdrS" */
#define SECTOR		512

#define PROTO_2_03	0x203		/* initrd_addr_max */
#define PROTO_2_04	0x204		/* syssize is right */
#define PROTO_2_06	0x206		/* cmdline_size */
#define PROTO_2_09	0x209		/* setup_data */
#define PROTO_2_10	0x20a		/* pref_address, init_size */
#define PROTO_2_12	0x20c		/* xloadflags */

#define ENTRY_64	0x200		/* of the loaded kernel */
#define LOADER_OTHER	0xff
#define SEED_SIZE	32

static_assert(offsetof(struct boot_params, hdr) == HEADER_AT, "zero page");
static_assert(sizeof(struct boot_params) == 4096, "zero page");

static bool get_header(const struct image *k, struct setup_header *h)
{
	if (k->size < HEADER_AT + sizeof(*h))
		return false;
	memcpy(h, k->data + HEADER_AT, sizeof(*h));
	return h->boot_flag == 0xaa55 && h->header == HEADER_MAGIC;
}

bool linux_detect(const struct image *kernel)
{
	struct setup_header h;

	return get_header(kernel, &h);
}

/*
 * The header proper ends where the jump over it leads (its second byte is the distance); what
 * lies behind that belongs to code of the kernel's and must read as zero in the zero page.
 */
static void copy_header(struct boot_params *bp, const struct image *k)
{
	size_t end = 0x202 + k->data[0x201], max = HEADER_AT + sizeof(bp->hdr);

	if (end > max)
		end = max;
	memcpy((uint8_t *)bp + HEADER_AT, k->data + HEADER_AT, end - HEADER_AT);
}

static void fill_e820(struct boot_params *bp, const struct vm *vm)
{
	struct mem_range map[MEM_MAP_MAX];
	unsigned int i, n = mem_map(vm, map);

	for (i = 0; i < n; i++) {
		bp->e820_table[i].addr = map[i].start;
		bp->e820_table[i].size = map[i].size;
		bp->e820_table[i].type = map[i].type;
	}
	bp->e820_entries = n;
}

/* random bytes, so that the guest's generator is ready from the first moment */
static int add_seed(struct layout *l, struct boot_params *bp, struct error *e)
{
	struct setup_data *d;
	uint64_t gpa;

	d = boot_low(l, sizeof(*d) + SEED_SIZE, 16, &gpa, e);
	if (!d)
		return -1;
	if (getrandom(d->data, SEED_SIZE, GRND_NONBLOCK) != SEED_SIZE)
		return 0;
	d->type = SETUP_RNG_SEED;
	d->len = SEED_SIZE;
	bp->hdr.setup_data = gpa;
	return 0;
}

static int add_cmdline(struct layout *l, struct boot_params *bp, const char *cmdline,
		       struct error *e)
{
	size_t len = strlen(cmdline), max = 255;
	uint64_t gpa;

	if (bp->hdr.version >= PROTO_2_06 && bp->hdr.cmdline_size)
		max = bp->hdr.cmdline_size;
	if (len > max)
		return error_set(e, "the command line is %zu bytes long,\n"
				 "and this kernel takes at most %zu: shorten --append",
				 len, max);
	gpa = boot_string(l, cmdline, e);
	if (!gpa)
		return -1;
	bp->hdr.cmd_line_ptr = gpa;
	return 0;
}

static int add_initrd(struct layout *l, struct boot_params *bp, const struct boot_request *req,
		      struct error *e)
{
	uint64_t gpa, end = 0x38000000;

	if (!req->nr_modules)
		return 0;
	if (bp->hdr.version >= PROTO_2_03)
		end = (uint64_t)bp->hdr.initrd_addr_max + 1;
	if (end > MAP_LOW_RAM_END)
		end = MAP_LOW_RAM_END;

	gpa = boot_place(l, &req->modules[0].image, HIGH_START, end, true, e);
	if (!gpa)
		return -1;
	bp->hdr.ramdisk_image = gpa;
	bp->hdr.ramdisk_size = req->modules[0].image.size;
	return 0;
}

/*
 * the kernel proper: everything behind the setup sectors, where it wants to be, with the room
 * that it wants
 */
static int place_kernel(struct layout *l, const struct image *k, struct boot_params *bp,
			uint64_t *load, struct error *e)
{
	uint64_t setup = ((bp->hdr.setup_sects ?: 4) + 1) * SECTOR;
	uint64_t size, need, at = HIGH_START;
	uint8_t *to;

	if (k->size <= setup)
		return error_set(e, "%s is cut off: it ends in its setup code", k->name);
	size = k->size - setup;
	/* the last unit of 16 bytes may be incomplete */
	if (bp->hdr.version >= PROTO_2_04 && size + 15 < (uint64_t)bp->hdr.syssize * 16)
		return error_set(e, "%s is cut off: %llu bytes are missing", k->name,
				 (unsigned long long)bp->hdr.syssize * 16 - size);

	need = size;
	if (bp->hdr.version >= PROTO_2_10) {
		at = bp->hdr.pref_address;
		if (bp->hdr.init_size > need)
			need = bp->hdr.init_size;
	}
	if (at < HIGH_START)
		return error_set(e, "%s wants to be loaded at %#llx, below 1 MiB", k->name,
				 (unsigned long long)at);

	to = layout_claim(l, at, need, k->name, e);
	if (!to)
		return -1;
	memcpy(to, k->data + setup, size);
	*load = at;
	return 0;
}

int linux_load(struct layout *l, const struct boot_request *req, struct boot_state *state,
	       struct error *e)
{
	const struct image *k = &req->kernel;
	struct boot_params *bp;
	struct setup_header h;
	uint64_t load = 0, zero_page;

	if (!get_header(k, &h))
		return error_set(e, "%s is no bzImage", k->name);
	if (h.version < PROTO_2_03 || !(h.loadflags & LOADED_HIGH))
		return error_set(e, "%s is a Linux kernel of before 2002: too old for this",
				 k->name);

	bp = boot_low(l, sizeof(*bp), 4096, &zero_page, e);
	if (!bp)
		return -1;
	copy_header(bp, k);
	bp->hdr.type_of_loader = LOADER_OTHER;
	bp->hdr.ext_loader_type = 0;
	bp->hdr.ext_loader_ver = 0;
	bp->hdr.loadflags &= ~(CAN_USE_HEAP | KEEP_SEGMENTS);
	bp->hdr.setup_data = 0;
	bp->hdr.ramdisk_image = 0;
	bp->hdr.ramdisk_size = 0;
	bp->hdr.vid_mode = 0xffff;
	bp->acpi_rsdp_addr = req->rsdp;

	if (place_kernel(l, k, bp, &load, e))
		return -1;
	bp->hdr.code32_start = load;

	if (h.version >= PROTO_2_12 && (h.xloadflags & XLF_KERNEL_64)) {
		if (k->size - ((h.setup_sects ?: 4) + 1) * SECTOR <= ENTRY_64)
			return error_set(e, "%s is cut off before its entry point", k->name);
		state->mode = BOOT_LONG64;
		state->entry = load + ENTRY_64;
	} else {
		state->mode = BOOT_PROT32;
		state->entry = load;
	}

	fill_e820(bp, l->vm);
	if ((h.version >= PROTO_2_09 && add_seed(l, bp, e)) ||
	    add_cmdline(l, bp, req->cmdline, e) || add_initrd(l, bp, req, e))
		return -1;

	state->rsi = zero_page;
	return boot_gdt(l, state, e);
}
