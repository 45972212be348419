/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Boot protocols: a kernel, its modules and its command line are placed in the guest's memory,
 * and the state that the bootstrap processor starts in comes out. One file per protocol; boot.c
 * tells them apart.
 *
 * What is placed is free RAM by mem_map(), below 640 KiB for the small structures. Everything
 * read from an image is checked; an image that is wrong makes an error, never an access outside
 * it or outside the guest's memory.
 */
#ifndef VMMCTL_BOOT_H
#define VMMCTL_BOOT_H

#include "error.h"
#include "image.h"
#include "mem.h"

enum boot_type { BOOT_LINUX, BOOT_PVH, BOOT_MULTIBOOT };

/**
 * struct boot_module - a module, or the initrd
 * @image: contents
 * @string: what the kernel is told with it
 */
struct boot_module {
	struct image image;
	const char *string;
};

/**
 * struct boot_request - what to boot
 * @kernel: the kernel
 * @modules: for Linux and PVH the initrd alone, for multiboot all there are
 * @nr_modules: how many
 * @cmdline: the command line, maybe empty
 * @rsdp: where the ACPI tables start
 */
struct boot_request {
	struct image kernel;
	const struct boot_module *modules;
	unsigned int nr_modules;
	const char *cmdline;
	uint64_t rsdp;
};

enum boot_mode { BOOT_PROT32, BOOT_LONG64 };

/* selectors of the GDT that boot_gdt() makes: those that Linux's boot protocols ask for */
#define BOOT_CS		0x10
#define BOOT_DS		0x18
#define BOOT_TR		0x20

/**
 * struct boot_state - where the bootstrap processor starts; every register not named is zero
 * @mode: protected mode without paging, or long mode
 * @entry: RIP
 * @rax: RAX
 * @rbx: RBX
 * @rsi: RSI
 * @rsp: RSP, or 0
 * @cr3: root of the page table, for BOOT_LONG64
 * @gdt: GDT
 * @gdt_size: its bytes
 */
struct boot_state {
	enum boot_mode mode;
	uint64_t entry, rax, rbx, rsi, rsp;
	uint64_t cr3;
	uint64_t gdt;
	uint16_t gdt_size;
};

/**
 * boot_detect() - which protocol an image follows
 * @kernel: the image
 * @type: the answer
 * @e: else what the image looks like
 *
 * Return: 0 or -1.
 */
int boot_detect(const struct image *kernel, enum boot_type *type, struct error *e);

/**
 * boot_load() - place everything in the guest's memory
 * @vm: whose ram[] is set; no vCPU runs
 * @type: by boot_detect()
 * @req: what
 * @state: where to start
 * @e: what is wrong
 *
 * Return: 0 or -1.
 */
int boot_load(struct vm *vm, enum boot_type type, const struct boot_request *req,
	      struct boot_state *state, struct error *e);

/* for the protocols */

/**
 * boot_low() - @len zeroed bytes below 640 KiB for a boot structure; NULL with @e when there is
 * no room
 */
void *boot_low(struct layout *l, uint64_t len, uint64_t align, uint64_t *gpa, struct error *e);

/** boot_string() - @s, with the zero at its end, likewise; 0 with @e when there is no room */
uint64_t boot_string(struct layout *l, const char *s, struct error *e);

/**
 * boot_gdt() - flat segments and a TSS for @state->mode; a page table too for BOOT_LONG64.
 * Return: 0 or -1.
 */
int boot_gdt(struct layout *l, struct boot_state *state, struct error *e);

/**
 * boot_place() - copy an initrd or module to free RAM within [@min, @end). Return: where, 0 with
 * @e.
 */
uint64_t boot_place(struct layout *l, const struct image *img, uint64_t min, uint64_t end, bool top,
		    struct error *e);

bool linux_detect(const struct image *kernel);
int linux_load(struct layout *l, const struct boot_request *req, struct boot_state *state,
	       struct error *e);
bool pvh_detect(const struct image *kernel);
int pvh_load(struct layout *l, const struct boot_request *req, struct boot_state *state,
	     struct error *e);
bool multiboot_detect(const struct image *kernel);
int multiboot_load(struct layout *l, const struct boot_request *req, struct boot_state *state,
		   struct error *e);

#endif /* VMMCTL_BOOT_H */
