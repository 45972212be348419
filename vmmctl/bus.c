// SPDX-License-Identifier: GPL-2.0
/*
 * The port and MMIO buses: which device answers an address. Regions are sorted by address and do
 * not overlap, so that a binary search finds the only candidate.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmmctl.h"

int bus_init(struct bus *bus)
{
	bus->regions = NULL;
	bus->nr = 0;
	atomic_init(&bus->unclaimed, 0);
	return -pthread_rwlock_init(&bus->lock, NULL);
}

/* index of the first region that ends above @addr */
static size_t __first_above(const struct bus *bus, uint64_t addr)
{
	size_t low = 0, high = bus->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct io_region *r = bus->regions[mid];

		if (addr > r->addr && addr - r->addr >= r->size)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int bus_add(struct bus *bus, const struct io_region *region)
{
	const struct io_region **grown;
	int ret = 0;
	size_t i;

	if (!region->size || region->addr + (region->size - 1) < region->addr)
		return -EINVAL;

	pthread_rwlock_wrlock(&bus->lock);
	i = __first_above(bus, region->addr);
	if (i < bus->nr && bus->regions[i]->addr <= region->addr + (region->size - 1)) {
		ret = -EEXIST;
		goto out;
	}

	grown = realloc(bus->regions, (bus->nr + 1) * sizeof(*grown));
	if (!grown) {
		ret = -ENOMEM;
		goto out;
	}
	bus->regions = grown;
	memmove(&grown[i + 1], &grown[i], (bus->nr - i) * sizeof(*grown));
	grown[i] = region;
	bus->nr++;
out:
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

void bus_remove(struct bus *bus, const struct io_region *region)
{
	size_t i;

	pthread_rwlock_wrlock(&bus->lock);
	for (i = 0; i < bus->nr; i++) {
		if (bus->regions[i] == region) {
			bus->nr--;
			memmove(&bus->regions[i], &bus->regions[i + 1],
				(bus->nr - i) * sizeof(bus->regions[0]));
			break;
		}
	}
	pthread_rwlock_unlock(&bus->lock);
}

/* The region that holds @addr, copied, since its handler runs without the lock. */
static bool find(struct bus *bus, uint64_t addr, struct io_region *found)
{
	bool ret = false;
	size_t i;

	pthread_rwlock_rdlock(&bus->lock);
	i = __first_above(bus, addr);
	if (i < bus->nr && bus->regions[i]->addr <= addr) {
		*found = *bus->regions[i];
		ret = true;
	}
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

/* the largest of 1, 2, 4, 8 that is not above @n and that @addr is a multiple of */
static unsigned int natural_size(uint64_t addr, uint64_t n)
{
	unsigned int size = 8;

	while (size > n || (addr & (size - 1)))
		size /= 2;
	return size;
}

/*
 * An access that one region holds, of a width that handlers know, goes there in one piece,
 * however aligned. Any other (across the end of a region, or of 3, 5, 6 or 7 bytes) is cut into
 * aligned pieces, as a bus of such a width does.
 */
void bus_access(struct bus *bus, uint64_t addr, bool is_write, void *data, unsigned int len)
{
	uint8_t *p = data;

	while (len) {
		struct io_region r;
		bool claimed = find(bus, addr, &r);
		uint64_t left = claimed ? r.size - (addr - r.addr) : 1;
		unsigned int n = len;

		if (n > left || (n & (n - 1)))
			n = natural_size(addr, left < len ? left : len);

		if (claimed) {
			r.access(r.opaque, addr - r.addr, is_write, p, n);
		} else {
			atomic_fetch_add_explicit(&bus->unclaimed, 1, memory_order_relaxed);
			if (!is_write)
				memset(p, 0xff, n);
		}

		addr += n;
		p += n;
		len -= n;
	}
}
