// SPDX-License-Identifier: GPL-2.0
/*
 * Sweeps over memory.
 */
#include "guest.h"

struct g_mem g_mem;

void guest_write(u64 arg)
{
	u64 i;

	(void)arg;
	for (i = 0; i < g_mem.count; i++)
		*(volatile u64 *)(g_mem.base + i * g_mem.stride) = g_mem.value + i;
}

void guest_check(u64 arg)
{
	u64 i;

	(void)arg;
	for (i = 0; i < g_mem.count; i++)
		G_EXPECT_EQ(*(volatile u64 *)(g_mem.base + i * g_mem.stride), g_mem.value + i);
}

void guest_write_loop(u64 arg)
{
	while (!g_mem.stop) {
		g_spin();
		guest_write(arg);
		g_mem.loops++;
	}
}

void guest_check_loop(u64 arg)
{
	guest_write(arg);
	while (!g_mem.stop) {
		g_spin();
		guest_check(arg);
		g_mem.loops++;
	}
}
