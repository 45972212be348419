/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ELF executables for x86, 32-bit and 64-bit alike (System V gABI, chapters 4 and 5).
 */
#ifndef VMMCTL_ELF_IMAGE_H
#define VMMCTL_ELF_IMAGE_H

#include <stdbool.h>

#include "image.h"
#include "mem.h"

/**
 * struct elf - an image whose header was found sound
 * @img: the image
 * @is64: ELFCLASS64
 * @entry: e_entry
 * @phoff: program headers; they lie within the image
 * @phentsize: distance between two
 * @phnum: how many
 */
struct elf {
	const struct image *img;
	bool is64;
	uint64_t entry;
	uint64_t phoff;
	unsigned int phentsize;
	unsigned int phnum;
};

/** elf_is() - whether the image has ELF's magic number */
bool elf_is(const struct image *img);

/** elf_open() - check the header. Return: 0 or -1 with @e. */
int elf_open(struct elf *elf, const struct image *img, struct error *e);

/**
 * elf_load() - place every PT_LOAD segment at its physical address
 * @elf: the executable
 * @l: where; the segments are claimed
 * @end: the highest end of a segment
 * @e: what is wrong
 *
 * Return: 0 or -1.
 */
int elf_load(const struct elf *elf, struct layout *l, uint64_t *end, struct error *e);

/**
 * elf_physical() - the physical address of the loaded byte at virtual address @vaddr, @vaddr
 * itself when no segment has it
 */
uint64_t elf_physical(const struct elf *elf, uint64_t vaddr);

/**
 * elf_note() - find a note in the PT_NOTE segments
 * @elf: the executable
 * @owner: its name field
 * @type: its type
 * @desc: its contents, within the image
 *
 * Return: bytes at @desc, -1 when there is none.
 */
long elf_note(const struct elf *elf, const char *owner, uint32_t type, const uint8_t **desc);

#endif /* VMMCTL_ELF_IMAGE_H */
