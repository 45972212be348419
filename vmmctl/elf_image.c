// SPDX-License-Identifier: GPL-2.0
#include <linux/elf.h>
#include <string.h>

#include "elf_image.h"

/* one program header, of either class */
struct segment {
	uint32_t type;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

static bool within(const struct image *img, uint64_t offset, uint64_t len)
{
	return offset <= img->size && len <= img->size - offset;
}

bool elf_is(const struct image *img)
{
	return img->size >= SELFMAG && !memcmp(img->data, ELFMAG, SELFMAG);
}

static void header64(struct elf *elf, const struct elf64_hdr *h)
{
	elf->entry = h->e_entry;
	elf->phoff = h->e_phoff;
	elf->phentsize = h->e_phentsize;
	elf->phnum = h->e_phnum;
}

static void header32(struct elf *elf, const struct elf32_hdr *h)
{
	elf->entry = h->e_entry;
	elf->phoff = h->e_phoff;
	elf->phentsize = h->e_phentsize;
	elf->phnum = h->e_phnum;
}

int elf_open(struct elf *elf, const struct image *img, struct error *e)
{
	union {
		struct elf64_hdr h64;
		struct elf32_hdr h32;
	} h = {};
	size_t size;

	*elf = (struct elf){ .img = img };
	if (!elf_is(img) || img->size < EI_NIDENT)
		return error_set(e, "%s is not an ELF file", img->name);

	elf->is64 = img->data[EI_CLASS] == ELFCLASS64;
	size = elf->is64 ? sizeof(h.h64) : sizeof(h.h32);
	if (img->size < size)
		return error_set(e, "%s is cut off in its ELF header", img->name);
	memcpy(&h, img->data, size);

	/* type and machine lie at the same place in both classes */
	if (img->data[EI_DATA] != ELFDATA2LSB ||
	    (h.h64.e_machine != EM_X86_64 && h.h64.e_machine != EM_386))
		return error_set(e, "%s is an ELF file for another processor", img->name);
	if (h.h64.e_type != ET_EXEC && h.h64.e_type != ET_DYN)
		return error_set(e, "%s is an ELF file that is no executable", img->name);

	if (elf->is64)
		header64(elf, &h.h64);
	else
		header32(elf, &h.h32);
	if (elf->phentsize < (elf->is64 ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr)) ||
	    !within(img, elf->phoff, (uint64_t)elf->phentsize * elf->phnum))
		return error_set(e, "%s is cut off or damaged: its program headers lie outside it",
				 img->name);
	return 0;
}

static void get_segment(const struct elf *elf, unsigned int i, struct segment *s)
{
	const uint8_t *p = elf->img->data + elf->phoff + (uint64_t)i * elf->phentsize;

	if (elf->is64) {
		struct elf64_phdr ph;

		memcpy(&ph, p, sizeof(ph));
		*s = (struct segment){ ph.p_type, ph.p_offset, ph.p_vaddr, ph.p_paddr,
				       ph.p_filesz, ph.p_memsz, ph.p_align };
	} else {
		struct elf32_phdr ph;

		memcpy(&ph, p, sizeof(ph));
		*s = (struct segment){ ph.p_type, ph.p_offset, ph.p_vaddr, ph.p_paddr,
				       ph.p_filesz, ph.p_memsz, ph.p_align };
	}
}

int elf_load(const struct elf *elf, struct layout *l, uint64_t *end, struct error *e)
{
	const struct image *img = elf->img;
	unsigned int i;

	*end = 0;
	for (i = 0; i < elf->phnum; i++) {
		struct segment s;
		uint8_t *to;

		get_segment(elf, i, &s);
		if (s.type != PT_LOAD || !s.memsz)
			continue;
		if (s.filesz > s.memsz || !within(img, s.offset, s.filesz))
			return error_set(e, "%s is cut off or damaged: segment %u lies outside it",
					 img->name, i);

		to = layout_claim(l, s.paddr, s.memsz, img->name, e);
		if (!to)
			return -1;
		memcpy(to, img->data + s.offset, s.filesz);
		memset(to + s.filesz, 0, s.memsz - s.filesz);
		if (s.paddr + s.memsz > *end)
			*end = s.paddr + s.memsz;
	}

	if (!*end)
		return error_set(e, "%s has nothing to load", img->name);
	return 0;
}

uint64_t elf_physical(const struct elf *elf, uint64_t vaddr)
{
	unsigned int i;

	for (i = 0; i < elf->phnum; i++) {
		struct segment s;

		get_segment(elf, i, &s);
		if (s.type == PT_LOAD && vaddr >= s.vaddr && vaddr - s.vaddr < s.memsz)
			return s.paddr + (vaddr - s.vaddr);
	}
	return vaddr;
}

static uint64_t round_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

/* Names and descriptors are padded to 4 bytes; to 8 in a segment that is aligned so. */
static long note_in(const struct image *img, const struct segment *s, const char *owner,
		    uint32_t type, const uint8_t **desc)
{
	uint64_t align = s->align == 8 ? 8 : 4, pos = 0;
	size_t owner_len = strlen(owner) + 1;
	const uint8_t *base = img->data + s->offset;

	while (s->filesz - pos >= sizeof(struct elf32_note)) {
		uint64_t name_at = pos + sizeof(struct elf32_note), desc_at;
		struct elf32_note n;

		memcpy(&n, base + pos, sizeof(n));
		/*
		 * none of these can overflow: the lengths have 32 bits, the rest is within a file
		 */
		desc_at = round_up(name_at + n.n_namesz, align);
		if (desc_at > s->filesz || n.n_descsz > s->filesz - desc_at)
			return -1;
		if (n.n_type == type && n.n_namesz == owner_len &&
		    !memcmp(base + name_at, owner, owner_len)) {
			*desc = base + desc_at;
			return n.n_descsz;
		}

		pos = round_up(desc_at + n.n_descsz, align);
		if (pos > s->filesz)
			return -1;
	}
	return -1;
}

long elf_note(const struct elf *elf, const char *owner, uint32_t type, const uint8_t **desc)
{
	unsigned int i;

	for (i = 0; i < elf->phnum; i++) {
		struct segment s;
		long len;

		get_segment(elf, i, &s);
		if (s.type != PT_NOTE || !within(elf->img, s.offset, s.filesz))
			continue;
		len = note_in(elf->img, &s, owner, type, desc);
		if (len >= 0)
			return len;
	}
	return -1;
}
