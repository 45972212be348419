/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What irqfds need of the routes.
 */
#ifndef KMOD_IRQ_ROUTE_H
#define KMOD_IRQ_ROUTE_H

#include "../vmm.h"

/**
 * struct route_msi - what a gsi means
 * @valid: there is a route
 * @data: data of the message
 * @addr: its address
 */
struct route_msi {
	u32 valid;
	u32 data;
	u64 addr;
};

struct route_msi vmm_route_get(struct vmm_vm *vm, u32 gsi);
void vmm_route_destroy(struct vmm_vm *vm);

#endif /* KMOD_IRQ_ROUTE_H */
