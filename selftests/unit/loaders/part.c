// SPDX-License-Identifier: GPL-2.0
/*
 * Partition tables: made by hand, and damaged.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dev/host.h"
#include "part.h"
#include "unit.h"

#define DISK_SIZE	(4u << 20)

static uint8_t disk[DISK_SIZE];

static unsigned int scan(struct part *parts)
{
	int fd = memfd_create("disk", 0);
	unsigned int n;

	if (write(fd, disk, DISK_SIZE) != DISK_SIZE)
		abort();
	n = part_scan(fd, DISK_SIZE, parts);
	close(fd);
	return n;
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, 8);
}

static void mbr_entry(uint32_t sector, unsigned int i, uint8_t type, uint32_t lba, uint32_t sectors)
{
	uint8_t *s = disk + (size_t)sector * 512, *e = s + 446 + 16 * i;

	e[4] = type;
	put32(e + 8, lba);
	put32(e + 12, sectors);
	s[510] = 0x55;
	s[511] = 0xaa;
}

static uint32_t crc32(const uint8_t *p, size_t len)
{
	uint32_t crc = ~0u;

	while (len--) {
		int i;

		crc ^= *p++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void gpt_seal(uint8_t *header, unsigned int sector_size)
{
	uint64_t entries;
	uint32_t nr, size;

	memcpy(&entries, header + 72, 8);
	memcpy(&nr, header + 80, 4);
	memcpy(&size, header + 84, 4);
	if (entries * sector_size + (uint64_t)nr * size <= DISK_SIZE)
		put32(header + 88, crc32(disk + entries * sector_size, (size_t)nr * size));
	put32(header + 16, 0);
	put32(header + 16, crc32(header, 92));
}

/* partitions 1 and 3 */
static uint8_t *make_gpt(uint64_t lba, uint64_t entries_lba, unsigned int sector_size)
{
	uint8_t *h = disk + lba * sector_size, *e = disk + entries_lba * sector_size;

	memcpy(h, "EFI PART", 8);
	put32(h + 8, 0x10000);
	put32(h + 12, 92);
	put64(h + 24, lba);
	put64(h + 72, entries_lba);
	put32(h + 80, 128);
	put32(h + 84, 128);
	memset(e, 0xaf, 16);
	put64(e + 32, 100);
	put64(e + 40, 199);
	e += 2 * 128;
	memset(e, 0xaf, 16);
	put64(e + 32, 200);
	put64(e + 40, 200);
	gpt_seal(h, sector_size);
	return h;
}

UNIT_TEST(part_none)
{
	struct part p[PARTS_MAX];

	memset(disk, 0, sizeof(disk));
	ASSERT_EQ(scan(p), 1);
	EXPECT_EQ(p[0].number, 0);
	EXPECT_EQ(p[0].start, 0);
	EXPECT_EQ(p[0].size, DISK_SIZE);

	/* a boot sector with code where a table would be */
	memset(disk + 446, 0x41, 64);
	disk[510] = 0x55;
	disk[511] = 0xaa;
	ASSERT_EQ(scan(p), 1);
	EXPECT_EQ(p[0].number, 0);
}

UNIT_TEST(part_mbr)
{
	struct part p[PARTS_MAX];

	memset(disk, 0, sizeof(disk));
	mbr_entry(0, 0, 0x83, 2048, 100);
	mbr_entry(0, 1, 0x05, 3000, 1000);
	mbr_entry(0, 3, 0x82, 4000, 50);
	/* two logical ones */
	mbr_entry(3000, 0, 0x83, 10, 20);
	mbr_entry(3000, 1, 0x05, 100, 100);
	mbr_entry(3100, 0, 0x83, 11, 21);
	ASSERT_EQ(scan(p), 4);
	EXPECT_EQ(p[0].number, 1);
	EXPECT_EQ(p[0].start, 2048 * 512);
	EXPECT_EQ(p[0].size, 100 * 512);
	EXPECT_EQ(p[1].number, 4);
	EXPECT_EQ(p[2].number, 5);
	EXPECT_EQ(p[2].start, 3010 * 512);
	EXPECT_EQ(p[3].number, 6);
	EXPECT_EQ(p[3].start, 3111 * 512);
	EXPECT_EQ(p[3].size, 21 * 512);
}

UNIT_TEST(part_mbr_loop_ends)
{
	struct part p[PARTS_MAX];

	memset(disk, 0, sizeof(disk));
	mbr_entry(0, 0, 0x0f, 3000, 1000);
	mbr_entry(3000, 0, 0x83, 10, 20);
	mbr_entry(3000, 1, 0x05, 100, 100);
	mbr_entry(3100, 0, 0x83, 10, 20);
	mbr_entry(3100, 1, 0x05, 100, 100);
	EXPECT(scan(p) <= PARTS_MAX);
}

UNIT_TEST(part_outside_the_disk)
{
	struct part p[PARTS_MAX];

	memset(disk, 0, sizeof(disk));
	mbr_entry(0, 0, 0x83, 8000, 192);
	mbr_entry(0, 1, 0x83, 8000, 193);
	mbr_entry(0, 2, 0x83, 0xffffffff, 0xffffffff);
	mbr_entry(0, 3, 0x05, 0xfffffff0, 0xffffffff);
	ASSERT_EQ(scan(p), 1);
	EXPECT_EQ(p[0].number, 1);
}

UNIT_TEST(part_gpt)
{
	static const unsigned int sizes[] = { 512, 4096 };
	struct part p[PARTS_MAX];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memset(disk, 0, sizeof(disk));
		mbr_entry(0, 0, 0xee, 1, 8191);
		make_gpt(1, 2, sizes[i]);
		ASSERT_EQ(scan(p), 2);
		EXPECT_EQ(p[0].number, 1);
		EXPECT_EQ(p[0].start, 100 * sizes[i]);
		EXPECT_EQ(p[0].size, 100 * sizes[i]);
		EXPECT_EQ(p[1].number, 3);
		EXPECT_EQ(p[1].size, sizes[i]);
	}
}

UNIT_TEST(part_gpt_backup)
{
	struct part p[PARTS_MAX];
	uint8_t *h;

	memset(disk, 0, sizeof(disk));
	mbr_entry(0, 0, 0xee, 1, 8191);
	h = make_gpt(1, 2, 512);
	make_gpt(8191, 8100, 512);
	h[40] ^= 1;		/* the checksum does not fit any more */
	EXPECT_EQ(scan(p), 2);
	disk[8100 * 512] ^= 1;	/* nor does the backup's */
	EXPECT_EQ(scan(p), 0);
}

/* sound checksums, hostile numbers */
UNIT_TEST(part_gpt_hostile)
{
	static const struct { unsigned int at, len; uint64_t value; } bad[] = {
		{ 72, 8, UINT64_MAX }, { 72, 8, UINT64_MAX / 512 }, { 72, 8, 8192 },
		{ 80, 4, UINT32_MAX }, { 80, 4, 1025 }, { 84, 4, 0 }, { 84, 4, 127 },
		{ 84, 4, UINT32_MAX }, { 84, 4, 132 }, { 12, 4, UINT32_MAX }, { 12, 4, 513 },
		{ 12, 4, 0 }, { 24, 8, 2 },
	};
	struct part p[PARTS_MAX];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		uint8_t *h;

		memset(disk, 0, sizeof(disk));
		h = make_gpt(1, 2, 512);
		memcpy(h + bad[i].at, &bad[i].value, bad[i].len);
		if (bad[i].at != 72)
			gpt_seal(h, 512);
		else
			put32(h + 16, 0), put32(h + 16, crc32(h, 92));
		/* it is no table then: the whole disk */
		EXPECT_EQ(scan(p), 1);
		EXPECT_EQ(p[0].number, 0);
	}

	/* entries that make no sense are left out */
	memset(disk, 0, sizeof(disk));
	make_gpt(1, 2, 512);
	put64(disk + 1024 + 32, 300);
	put64(disk + 1024 + 256 + 40, UINT64_MAX);
	gpt_seal(disk + 512, 512);
	EXPECT_EQ(scan(p), 0);
}
