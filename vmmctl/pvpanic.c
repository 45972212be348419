// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "pvpanic.h"

#define PORT_PVPANIC	0x505
#define EVENT_PANICKED	(1u << 0)

static void access_port(void *opaque, uint64_t offset, bool is_write, void *data, unsigned int len)
{
	uint8_t *event = data;

	(void)offset;
	if (!is_write) {
		/* the events that are understood here */
		memset(data, 0, len);
		*event = EVENT_PANICKED;
	} else if (*event & EVENT_PANICKED) {
		vm_end(opaque, STATUS_PANIC);
	}
}

int pvpanic_create(struct vm *vm)
{
	struct io_region *r = xcalloc(1, sizeof(*r));

	*r = (struct io_region){ PORT_PVPANIC, 1, access_port, vm };
	return bus_add(&vm->pio, r);
}
