/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's physical memory as boot code sees it: which ranges there are, and what is still free.
 *
 *	0            RAM
 *	LOW_TOP      reserved: where a PC keeps its extended BIOS data area
 *	VGA_HOLE     nothing: where a PC has its display memory
 *	0xc0000      reserved: option ROMs and BIOS; ACPI tables live here
 *	1 MiB        RAM, up to MAP_LOW_RAM_END at most
 *	4 GiB        RAM, the rest
 */
#ifndef VMMCTL_MEM_H
#define VMMCTL_MEM_H

#include "error.h"
#include "vmmctl.h"

#define LOW_TOP			0x9fc00ull
#define VGA_HOLE		0xa0000ull
#define VGA_HOLE_END		0xc0000ull
#define HIGH_START		0x100000ull

#define MEM_MIN			(2ull << 20)	/* less than this boots nothing */

enum mem_type {			/* the numbers of ACPI 6.4, table 15.14 */
	MEM_RAM		= 1,
	MEM_RESERVED	= 2,
};

struct mem_range {
	uint64_t start, size;
	enum mem_type type;
};

#define MEM_MAP_MAX	8

/**
 * mem_map() - the memory map that is told to the guest, in ascending order
 * @vm: its ram[] is set
 * @map: MEM_MAP_MAX entries
 *
 * Return: how many entries there are.
 */
unsigned int mem_map(const struct vm *vm, struct mem_range *map);

#define LAYOUT_MAX	256

/**
 * struct layout - what of the guest's memory is taken while a kernel is being placed in it
 * @vm: whose memory
 * @used: ranges taken, in no order
 * @nr: how many
 */
struct layout {
	struct vm *vm;
	struct {
		uint64_t start, size;
	} used[LAYOUT_MAX];
	unsigned int nr;
};

void layout_init(struct layout *l, struct vm *vm);

/**
 * layout_claim() - take the range that an image asks for; ranges may overlap
 * @l: the layout
 * @gpa: start
 * @len: bytes, may be 0
 * @what: for the message
 * @e: says so when the range is not RAM, or when there are too many
 *
 * Return: the memory, NULL on an error.
 */
void *layout_claim(struct layout *l, uint64_t gpa, uint64_t len, const char *what, struct error *e);

/**
 * layout_alloc() - find and take a free range of RAM
 * @l: the layout
 * @len: bytes; 0 is treated as 1
 * @align: power of two
 * @min: lowest start
 * @end: the range ends here at most
 * @top: as high as possible rather than as low as possible
 * @hva: the memory
 *
 * Return: where, 0 when there is no room. Address 0 is never given.
 */
uint64_t layout_alloc(struct layout *l, uint64_t len, uint64_t align, uint64_t min, uint64_t end,
		      bool top, void **hva);

#endif /* VMMCTL_MEM_H */
