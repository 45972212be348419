// SPDX-License-Identifier: GPL-2.0
/*
 * The buses: who answers an access, and in which pieces.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dev/host.h"
#include "unit.h"
#include "vmmctl.h"

/* a device that writes down what it is asked; a read of offset n returns bytes n, n + 1, ... */
struct probe {
	struct io_region region;
	char log[256];
};

static void probe_access(void *opaque, uint64_t offset, bool is_write, void *data, unsigned int len)
{
	struct probe *p = opaque;
	uint8_t *bytes = data;
	unsigned int i;

	sprintf(p->log + strlen(p->log), "%c%llx+%u ", is_write ? 'w' : 'r',
		(unsigned long long)offset, len);
	for (i = 0; i < len && !is_write; i++)
		bytes[i] = offset + i;
}

static void probe_init(struct probe *p, uint64_t addr, uint64_t size)
{
	*p = (struct probe){ .region = { addr, size, probe_access, p } };
}

UNIT_TEST(bus_overlap)
{
	static const struct { uint64_t addr, size; int ret; } cases[] = {
		{ 0x100, 0x10, 0 }, { 0x100, 0x10, -EEXIST }, { 0x10f, 1, -EEXIST },
		{ 0xff, 2, -EEXIST }, { 0, 0x1000, -EEXIST }, { 0xf0, 0x10, 0 }, { 0x110, 0x10, 0 },
		{ 0x104, 4, -EEXIST }, { 0, 0, -EINVAL }, { UINT64_MAX, 2, -EINVAL },
		{ UINT64_MAX, 1, 0 }, { 0, 0xf0, 0 }, { 0x120, UINT64_MAX - 0x120, 0 },
		{ UINT64_MAX - 1, 1, -EEXIST },
	};
	static struct probe p[ARRAY_SIZE(cases)];
	struct bus bus;
	unsigned int i;

	ASSERT_EQ(bus_init(&bus), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		int ret;

		probe_init(&p[i], cases[i].addr, cases[i].size);
		ret = bus_add(&bus, &p[i].region);
		if (ret != cases[i].ret)
			FAIL("%u: %d, want %d", i, ret, cases[i].ret);
	}
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		bus_remove(&bus, &p[i].region);
	EXPECT_EQ(bus.nr, 0);
	free(bus.regions);
}

UNIT_TEST(bus_dispatch)
{
	struct probe a, b;
	struct bus bus;
	uint8_t data[8];

	ASSERT_EQ(bus_init(&bus), 0);
	probe_init(&a, 0x3f8, 8);
	probe_init(&b, 0x400, 2);
	ASSERT(!bus_add(&bus, &b.region) && !bus_add(&bus, &a.region));

	/* one piece, aligned or not, as long as it is of a size that handlers know */
	bus_access(&bus, 0x3f8, true, data, 1);
	bus_access(&bus, 0x3f9, false, data, 4);
	EXPECT_STREQ(a.log, "w0+1 r1+4 ");
	EXPECT_EQ(data[0], 1);
	EXPECT_EQ(data[3], 4);
	a.log[0] = '\0';

	/* across both, and beyond */
	memset(data, 0, 8);
	bus_access(&bus, 0x3fe, false, data, 8);
	EXPECT_STREQ(a.log, "r6+2 ");
	EXPECT_STREQ(b.log, "r0+2 ");
	EXPECT_EQ(data[0], 6);
	EXPECT_EQ(data[1], 7);
	EXPECT_EQ(data[2], 0);
	EXPECT_EQ(data[3], 1);
	EXPECT_EQ(data[4], 0xff);
	EXPECT_EQ(data[7], 0xff);
	EXPECT_EQ(atomic_load(&bus.unclaimed), 4);
	a.log[0] = '\0';

	/* odd lengths */
	bus_access(&bus, 0x3f8, false, data, 7);
	bus_access(&bus, 0x3f9, false, data, 3);
	bus_access(&bus, 0x3f8, false, data, 8);
	EXPECT_STREQ(a.log, "r0+4 r4+2 r6+1 r1+1 r2+2 r0+8 ");

	bus_remove(&bus, &a.region);
	data[0] = 0;
	bus_access(&bus, 0x3f8, false, data, 1);
	EXPECT_EQ(data[0], 0xff);
	bus_remove(&bus, &b.region);
	free(bus.regions);
}

/* every address and length around two regions: each byte goes to the device it belongs to, once */
UNIT_TEST(bus_every_access)
{
	struct probe a, b;
	struct bus bus;
	unsigned int len, i;
	uint64_t addr;

	ASSERT_EQ(bus_init(&bus), 0);
	probe_init(&a, 0x10, 5);
	probe_init(&b, 0x15, 1);
	ASSERT(!bus_add(&bus, &a.region) && !bus_add(&bus, &b.region));
	for (addr = 0; addr < 0x20; addr++) {
		for (len = 1; len <= 8; len++) {
			uint8_t data[8];

			a.log[0] = '\0';
			b.log[0] = '\0';
			memset(data, 0x77, 8);
			bus_access(&bus, addr, false, data, len);
			for (i = 0; i < 8; i++) {
				uint64_t at = addr + i;
				uint8_t want = 0xff;

				if (i >= len)
					want = 0x77;
				else if (at >= 0x10 && at < 0x15)
					want = at - 0x10;
				else if (at == 0x15)
					want = 0;
				if (data[i] != want)
					FAIL("%#llx + %u: byte %u is %#x, want %#x",
					     (unsigned long long)addr, len, i, data[i], want);
			}
		}
	}
	bus_remove(&bus, &a.region);
	bus_remove(&bus, &b.region);
	free(bus.regions);
}

/* the top of the address space wraps nowhere */
UNIT_TEST(bus_last_byte)
{
	struct probe a;
	struct bus bus;
	uint8_t data[2];

	ASSERT_EQ(bus_init(&bus), 0);
	probe_init(&a, UINT64_MAX - 1, 2);
	ASSERT_EQ(bus_add(&bus, &a.region), 0);
	bus_access(&bus, UINT64_MAX - 1, false, data, 2);
	EXPECT_STREQ(a.log, "r0+2 ");
	bus_remove(&bus, &a.region);
	free(bus.regions);
}
