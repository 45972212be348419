/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM's memory without a kernel behind it, with an inaccessible page after each block, and
 * images of exact size.
 */
#ifndef LOADERS_VMFIX_H
#define LOADERS_VMFIX_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "boot.h"
#include "unit.h"

static inline void vmfix_block(struct ram_block *b, uint64_t gpa, uint64_t size)
{
	uint8_t *p = mmap(NULL, size + 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED || mprotect(p + size, 4096, PROT_NONE))
		abort();
	*b = (struct ram_block){ gpa, size, p };
}

/* @low bytes from 0, @high bytes from 4 GiB */
static inline void vmfix_init(struct vm *vm, uint64_t low, uint64_t high)
{
	memset(vm, 0, sizeof(*vm));
	vmfix_block(&vm->ram[0], 0, low);
	vm->nr_ram = 1;
	if (high) {
		vmfix_block(&vm->ram[1], MAP_HIGH_RAM, high);
		vm->nr_ram = 2;
	}
	vm->mem_size = low + high;
}

static inline void vmfix_free(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->nr_ram; i++)
		munmap(vm->ram[i].hva, vm->ram[i].size + 4096);
}

/* a copy in a heap block of its own size: the sanitizer sees each byte read beyond it */
static inline struct image vmfix_image(const void *data, size_t size)
{
	uint8_t *p = malloc(size ?: 1);

	memcpy(p, data, size);
	return (struct image){ "test", p, size };
}

static inline void vmfix_image_free(struct image *img)
{
	free((void *)img->data);
}

/* numbers that are the same in every run */
static inline uint32_t vmfix_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 32;
}

/* detect and load; whatever the image, this must return */
static inline int vmfix_boot(struct vm *vm, const struct image *img, struct boot_state *state,
			     struct error *e)
{
	static const uint8_t initrd[5000] = { 1, 2, 3 };
	struct boot_module module = { { "initrd", initrd, sizeof(initrd) }, "first" };
	struct boot_request req = {
		.kernel = *img,
		.modules = &module,
		.nr_modules = 1,
		.cmdline = "a=1 b",
		.rsdp = 0xe0000,
	};
	enum boot_type type;

	if (boot_detect(img, &type, e))
		return -1;
	return boot_load(vm, type, &req, state, e);
}

/*
 * every prefix of @data up to @dense bytes, then in growing steps; then single bytes changed up
 * to @dense
 */
static inline void vmfix_torture(struct vm *vm, const uint8_t *data, size_t size, size_t dense)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct boot_state state;
	struct error e;
	size_t i, step = 1;
	unsigned int v;

	for (i = 0; i < size; i += step) {
		struct image img = vmfix_image(data, i);

		vmfix_boot(vm, &img, &state, &e);
		vmfix_image_free(&img);
		if (i >= dense)
			step *= 2;
	}
	for (i = 0; i < dense && i < size; i++) {
		struct image img = vmfix_image(data, size);
		uint8_t *byte = (uint8_t *)img.data + i, old = *byte;

		for (v = 0; v < sizeof(values); v++) {
			*byte = values[v];
			vmfix_boot(vm, &img, &state, &e);
		}
		*byte = old;
		vmfix_image_free(&img);
	}
}

/* several bytes changed at once, @rounds times */
static inline void vmfix_fuzz(struct vm *vm, const uint8_t *data, size_t size, size_t dense,
			      unsigned int rounds)
{
	struct boot_state state;
	uint64_t seed = 1;
	struct error e;

	while (rounds--) {
		struct image img = vmfix_image(data, size);
		unsigned int n = 1 + vmfix_random(&seed) % 8;

		while (n--) {
			size_t at = vmfix_random(&seed) % (dense < size ? dense : size);

			((uint8_t *)img.data)[at] = vmfix_random(&seed);
		}
		vmfix_boot(vm, &img, &state, &e);
		vmfix_image_free(&img);
	}
}

#endif /* LOADERS_VMFIX_H */
