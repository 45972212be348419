// SPDX-License-Identifier: GPL-2.0
/*
 * VMM_SET_ROUTES.
 */
#include "../../../kmod/irq/route.h"
#include "world.h"

static int set(struct vmm_route *r, u32 nr)
{
	struct vmm_routes arg = { .nr = nr, .routes = (uintptr_t)r };

	return vmm_set_routes(&w.vm, &arg);
}

static struct vmm_route msi(u32 gsi)
{
	return (struct vmm_route) {
		.gsi = gsi,
		.type = VMM_ROUTE_MSI,
		.u.msi = { .addr = 0xfee00000, .data = 0x30 + (gsi & 0x7f) },
	};
}

UNIT_TEST(routes_replace)
{
	struct vmm_route r[3] = { msi(5), msi(VMM_MAX_ROUTES - 1), { .gsi = 7 } };
	struct vmm_routes arg = { .nr = 1, .flags = 1, .routes = (uintptr_t)r };

	world_start(1);
	EXPECT(!vmm_route_get(&w.vm, 5).valid);
	EXPECT_EQ(set(r, 3), 0);
	EXPECT(vmm_route_get(&w.vm, 5).valid);
	EXPECT_EQ(vmm_route_get(&w.vm, 5).data, 0x35);
	EXPECT(!vmm_route_get(&w.vm, 6).valid);
	EXPECT(!vmm_route_get(&w.vm, 7).valid);
	EXPECT(vmm_route_get(&w.vm, VMM_MAX_ROUTES - 1).valid);
	EXPECT(!vmm_route_get(&w.vm, ~0u).valid);
	EXPECT_EQ(set(r, 1), 0);
	EXPECT(!vmm_route_get(&w.vm, VMM_MAX_ROUTES - 1).valid);
	EXPECT_EQ(vmm_set_routes(&w.vm, &arg), -EINVAL);
	EXPECT_EQ(set(NULL, 1), -EFAULT);
	EXPECT_EQ(set(r, VMM_MAX_ROUTES + 1), -EINVAL);
	EXPECT(vmm_route_get(&w.vm, 5).valid);
	EXPECT_EQ(set(r, 0), 0);
	EXPECT(!vmm_route_get(&w.vm, 5).valid);
	vmm_route_destroy(&w.vm);
}

UNIT_TEST(routes_refused)
{
	struct vmm_route r[2];

#define REFUSED(_change)				\
	do {						\
		r[0] = msi(1);				\
		r[1] = msi(2);				\
		_change;				\
		EXPECT_EQ(set(r, 2), -EINVAL);		\
	} while (0)

	world_start(1);
	REFUSED(r[1].gsi = 1);
	REFUSED(r[1].gsi = VMM_MAX_ROUTES);
	REFUSED(r[1].type = 2);
	REFUSED(r[1].flags = 1);
	REFUSED(r[1].pad = 1);
	REFUSED(r[1].u.msi.flags = 1);
	REFUSED(r[1].u.raw[31] = 1);
	REFUSED(r[1].u.msi.addr = 0xfec00000);
	REFUSED(r[1].u.msi.data = 0x300);
	REFUSED(r[1].type = VMM_ROUTE_NONE);	/* with a message */
	EXPECT(!vmm_route_get(&w.vm, 1).valid);
}
