// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "part.h"

#define SECTOR		512
#define MBR_TABLE	446
#define MBR_ENTRIES	4
#define MBR_PROTECTIVE	0xee
#define LOGICAL_MAX	60
#define GPT_ENTRIES_MAX	1024
#define GPT_ENTRY_MAX	4096

struct mbr_entry {
	uint8_t status;
	uint8_t chs_first[3];
	uint8_t type;
	uint8_t chs_last[3];
	uint32_t lba;
	uint32_t sectors;
} __attribute__((packed));

struct gpt_header {
	char signature[8];
	uint32_t revision, size, crc, reserved;
	uint64_t my_lba, alternate_lba, first_usable, last_usable;
	uint8_t guid[16];
	uint64_t entries_lba;
	uint32_t nr_entries, entry_size, entries_crc;
} __attribute__((packed));

struct gpt_entry {
	uint8_t type[16];
	uint8_t guid[16];
	uint64_t first, last;	/* inclusive */
} __attribute__((packed));

/* the disk and what was found on it */
struct scan {
	int fd;
	uint64_t size;
	struct part *parts;
	unsigned int nr;
};

static bool read_at(const struct scan *s, uint64_t offset, void *buf, size_t len)
{
	uint8_t *p = buf;

	if (offset > s->size || len > s->size - offset)
		return false;
	while (len) {
		ssize_t n = pread(s->fd, p, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		offset += n;
		len -= n;
	}
	return true;
}

/* what reaches past the end of the disk (a cut-off image) is left out */
static void add(struct scan *s, unsigned int number, uint64_t lba, uint64_t sectors,
		unsigned int sector_size)
{
	uint64_t disk_sectors = s->size / sector_size;

	if (s->nr == PARTS_MAX || !lba || !sectors || lba > disk_sectors ||
	    sectors > disk_sectors - lba)
		return;
	s->parts[s->nr++] = (struct part){ number, lba * sector_size, sectors * sector_size };
}

static uint32_t crc32(const uint8_t *p, size_t len)
{
	uint32_t crc = ~0u;
	int i;

	while (len--) {
		crc ^= *p++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static bool header_sound(const struct gpt_header *h, const uint8_t *sector, uint64_t lba)
{
	uint8_t copy[SECTOR];

	if (memcmp(h->signature, "EFI PART", 8) || h->size < sizeof(*h) || h->size > SECTOR ||
	    h->my_lba != lba || h->entry_size < 128 || h->entry_size > GPT_ENTRY_MAX ||
	    h->entry_size % 8 || h->nr_entries > GPT_ENTRIES_MAX)
		return false;
	memcpy(copy, sector, SECTOR);
	memset(copy + 16, 0, 4);
	return crc32(copy, h->size) == h->crc;
}

static bool gpt_at(struct scan *s, uint64_t lba, unsigned int sector_size)
{
	static const uint8_t unused[16];
	uint8_t sector[SECTOR], *table;
	struct gpt_header h;
	unsigned int i;
	size_t len;

	if (lba > s->size / sector_size || !read_at(s, lba * sector_size, sector, SECTOR))
		return false;
	memcpy(&h, sector, sizeof(h));
	if (!header_sound(&h, sector, lba) || h.entries_lba > s->size / sector_size)
		return false;

	len = (size_t)h.nr_entries * h.entry_size;
	table = malloc(len + 1);
	if (!table || !read_at(s, h.entries_lba * sector_size, table, len) ||
	    crc32(table, len) != h.entries_crc) {
		free(table);
		return false;
	}

	for (i = 0; i < h.nr_entries; i++) {
		struct gpt_entry entry;

		memcpy(&entry, table + (size_t)i * h.entry_size, sizeof(entry));
		if (memcmp(entry.type, unused, sizeof(unused)) && entry.last >= entry.first)
			add(s, i + 1, entry.first, entry.last - entry.first + 1, sector_size);
	}
	free(table);
	return true;
}

/* the first table, else the backup at the end of the disk; of disks with large sectors too */
static bool gpt_scan(struct scan *s)
{
	static const unsigned int sizes[] = { 512, 4096 };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (gpt_at(s, 1, sizes[i]))
			return true;
	}
	for (i = 0; i < 2; i++) {
		if (s->size >= 2 * sizes[i] && gpt_at(s, s->size / sizes[i] - 1, sizes[i]))
			return true;
	}
	return false;
}

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static bool mbr_read(const struct scan *s, uint64_t lba, struct mbr_entry *entries)
{
	uint8_t sector[SECTOR];

	if (!read_at(s, lba * SECTOR, sector, SECTOR) || sector[510] != 0x55 || sector[511] != 0xaa)
		return false;
	memcpy(entries, sector + MBR_TABLE, MBR_ENTRIES * sizeof(*entries));
	return true;
}

/* A chain of tables, each with one partition, relative to it, and a link, relative to the first. */
static void logical_scan(struct scan *s, uint64_t first)
{
	struct mbr_entry t[MBR_ENTRIES];
	unsigned int number = 5, hops;
	uint64_t lba = first;

	for (hops = 0; hops < LOGICAL_MAX && mbr_read(s, lba, t); hops++) {
		if (t[0].type && t[0].sectors)
			add(s, number++, lba + t[0].lba, t[0].sectors, SECTOR);
		if (!is_extended(t[1].type) || !t[1].lba)
			return;
		lba = first + t[1].lba;
	}
}

static bool mbr_sound(const struct mbr_entry *t)
{
	bool any = false;
	int i;

	for (i = 0; i < MBR_ENTRIES; i++) {
		/* a boot sector's code is no table */
		if (t[i].status & 0x7f)
			return false;
		any |= t[i].type && t[i].sectors;
	}
	return any;
}

static bool mbr_scan(struct scan *s)
{
	struct mbr_entry t[MBR_ENTRIES];
	int i;

	if (!mbr_read(s, 0, t) || !mbr_sound(t))
		return false;
	for (i = 0; i < MBR_ENTRIES; i++) {
		if (t[i].type && !is_extended(t[i].type) && t[i].type != MBR_PROTECTIVE)
			add(s, i + 1, t[i].lba, t[i].sectors, SECTOR);
	}
	for (i = 0; i < MBR_ENTRIES; i++) {
		if (is_extended(t[i].type) && t[i].lba)
			logical_scan(s, t[i].lba);
	}
	return true;
}

unsigned int part_scan(int fd, uint64_t size, struct part *parts)
{
	struct scan s = { .fd = fd, .size = size, .parts = parts };

	if (!gpt_scan(&s) && !mbr_scan(&s))
		parts[s.nr++] = (struct part){ 0, 0, size };
	return s.nr;
}
