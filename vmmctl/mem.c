// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "mem.h"

void *vm_ram(struct vm *vm, uint64_t gpa, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < vm->nr_ram; i++) {
		struct ram_block *b = &vm->ram[i];

		if (gpa < b->gpa || gpa - b->gpa > b->size || len > b->size - (gpa - b->gpa))
			continue;
		/* the display hole has memory behind it here, but the guest has none there */
		if (gpa < VGA_HOLE_END && gpa + len > VGA_HOLE)
			return NULL;
		return b->hva + (gpa - b->gpa);
	}
	return NULL;
}

static void add_range(struct mem_range *map, unsigned int *n, uint64_t start, uint64_t end,
		      enum mem_type type)
{
	if (end > start)
		map[(*n)++] = (struct mem_range){ start, end - start, type };
}

unsigned int mem_map(const struct vm *vm, struct mem_range *map)
{
	unsigned int n = 0;

	add_range(map, &n, 0, LOW_TOP, MEM_RAM);
	add_range(map, &n, LOW_TOP, VGA_HOLE, MEM_RESERVED);
	add_range(map, &n, VGA_HOLE_END, HIGH_START, MEM_RESERVED);
	add_range(map, &n, HIGH_START, vm->ram[0].size, MEM_RAM);
	add_range(map, &n, MAP_ECAM, MAP_ECAM + MAP_ECAM_SIZE, MEM_RESERVED);
	if (vm->nr_ram > 1)
		add_range(map, &n, vm->ram[1].gpa, vm->ram[1].gpa + vm->ram[1].size, MEM_RAM);
	return n;
}

/* whether [gpa, gpa + len) lies in one range that the map calls RAM */
static bool is_ram(const struct vm *vm, uint64_t gpa, uint64_t len)
{
	struct mem_range map[MEM_MAP_MAX];
	unsigned int i, n = mem_map(vm, map);

	for (i = 0; i < n; i++) {
		const struct mem_range *r = &map[i];

		if (r->type == MEM_RAM && gpa >= r->start && gpa - r->start <= r->size &&
		    len <= r->size - (gpa - r->start))
			return true;
	}
	return false;
}

void layout_init(struct layout *l, struct vm *vm)
{
	l->vm = vm;
	l->nr = 0;
}

static bool take(struct layout *l, uint64_t gpa, uint64_t len)
{
	if (!len)
		return true;
	if (l->nr == LAYOUT_MAX)
		return false;
	l->used[l->nr].start = gpa;
	l->used[l->nr].size = len;
	l->nr++;
	return true;
}

void *layout_claim(struct layout *l, uint64_t gpa, uint64_t len, const char *what, struct error *e)
{
	if (!is_ram(l->vm, gpa, len)) {
		if (gpa >= HIGH_START && gpa < MAP_LOW_RAM_END && len < MAP_LOW_RAM_END - gpa)
			error_set(e, "%s wants the guest's memory from %#llx to %#llx,\n"
				  "and there are only %llu MiB: give it more by --mem (%llu MiB at least)",
				  what, (unsigned long long)gpa, (unsigned long long)(gpa + len),
				  (unsigned long long)l->vm->mem_size >> 20,
				  (unsigned long long)(gpa + len + 0xfffff) >> 20);
		else
			error_set(e, "%s wants %#llx bytes of the guest's memory at %#llx,\n"
				  "where there is none for it",
				  what, (unsigned long long)len, (unsigned long long)gpa);
		return NULL;
	}
	if (!take(l, gpa, len)) {
		error_set(e, "%s is in more than %d pieces", what, LAYOUT_MAX);
		return NULL;
	}
	return vm_ram(l->vm, gpa, len);
}

/* a taken range that overlaps [gpa, gpa + len), or -1 */
static int conflict(const struct layout *l, uint64_t gpa, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++) {
		if (gpa < l->used[i].start + l->used[i].size && l->used[i].start < gpa + len)
			return i;
	}
	return -1;
}

/*
 * Every step goes past the end of a taken range: there are as many steps as taken ranges, at
 * most.
 */
static uint64_t lowest_gap(const struct layout *l, uint64_t start, uint64_t end, uint64_t len,
			   uint64_t align)
{
	uint64_t gpa = (start + align - 1) & ~(align - 1);

	while (gpa >= start && gpa <= end && len <= end - gpa) {
		int i = conflict(l, gpa, len);

		if (i < 0)
			return gpa;
		gpa = (l->used[i].start + l->used[i].size + align - 1) & ~(align - 1);
	}
	return 0;
}

static uint64_t highest_gap(const struct layout *l, uint64_t start, uint64_t end, uint64_t len,
			    uint64_t align)
{
	uint64_t limit = end;

	while (limit >= start && len <= limit - start) {
		uint64_t gpa = (limit - len) & ~(align - 1);
		int i;

		if (gpa < start)
			return 0;
		i = conflict(l, gpa, len);
		if (i < 0)
			return gpa;
		limit = l->used[i].start;
	}
	return 0;
}

uint64_t layout_alloc(struct layout *l, uint64_t len, uint64_t align, uint64_t min, uint64_t end,
		      bool top, void **hva)
{
	struct mem_range map[MEM_MAP_MAX];
	unsigned int i, n = mem_map(l->vm, map);

	if (!len)
		len = 1;
	if (!min)
		min = 1;

	for (i = 0; i < n; i++) {
		const struct mem_range *r = &map[top ? n - 1 - i : i];
		uint64_t low = r->start, high = r->start + r->size, gpa;

		if (r->type != MEM_RAM)
			continue;
		if (low < min)
			low = min;
		if (high > end)
			high = end;
		if (low >= high)
			continue;

		gpa = top ? highest_gap(l, low, high, len, align) :
			    lowest_gap(l, low, high, len, align);
		if (!gpa)
			continue;
		if (!take(l, gpa, len))
			return 0;
		*hva = vm_ram(l->vm, gpa, len);
		return gpa;
	}
	return 0;
}
