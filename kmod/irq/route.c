// SPDX-License-Identifier: GPL-2.0
/*
 * Routes: which message a gsi stands for. The table is never changed; VMM_SET_ROUTES publishes
 * another.
 */
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "lapic.h"
#include "route.h"

/**
 * struct vmm_irq_routing - the routes of a VM, by gsi
 * @nr: entries [I]
 * @msi: [I]
 */
struct vmm_irq_routing {
	u32 nr;
	struct route_msi msi[];
};

static int route_check(const struct vmm_route *route)
{
	struct lapic_msg msg;
	const u8 *rest;

	if (route->gsi >= VMM_MAX_ROUTES || route->flags || route->pad)
		return -EINVAL;
	switch (route->type) {
	case VMM_ROUTE_NONE:
		rest = route->u.raw;
		break;
	case VMM_ROUTE_MSI:
		if (route->u.msi.flags ||
		    vmm_msi_decode(route->u.msi.addr, route->u.msi.data, &msg))
			return -EINVAL;
		rest = route->u.raw + sizeof(route->u.msi);
		break;
	default:
		return -EINVAL;
	}
	return memchr_inv(rest, 0, route->u.raw + sizeof(route->u.raw) - rest) ? -EINVAL : 0;
}

static struct vmm_irq_routing *routing_build(const struct vmm_route *route, u32 nr)
{
	DECLARE_BITMAP(seen, VMM_MAX_ROUTES);
	struct vmm_irq_routing *routing;
	u32 i, size = 0;

	bitmap_zero(seen, VMM_MAX_ROUTES);
	for (i = 0; i < nr; i++) {
		if (route_check(&route[i]) || __test_and_set_bit(route[i].gsi, seen))
			return ERR_PTR(-EINVAL);
		size = max(size, route[i].gsi + 1);
	}

	routing = kvzalloc(struct_size(routing, msi, size), GFP_KERNEL_ACCOUNT);
	if (!routing)
		return ERR_PTR(-ENOMEM);
	routing->nr = size;
	for (i = 0; i < nr; i++) {
		if (route[i].type != VMM_ROUTE_MSI)
			continue;
		routing->msi[route[i].gsi] = (struct route_msi) {
			.valid = true,
			.addr = route[i].u.msi.addr,
			.data = route[i].u.msi.data,
		};
	}
	return routing;
}

/**
 * vmm_set_routes - VMM_SET_ROUTES: replace the table of routes
 * @vm: the VM
 * @arg: the new table
 *
 * When this returns, no message of the old table is under way any more. An irqfd whose gsi has no
 * route is ignored when signalled.
 *
 * Context: may sleep; takes vm->irq_lock; vm->srcu not held. Returns 0, -EINVAL: a field that is
 * not valid, or a gsi twice; -EFAULT; -ENOMEM; nothing was changed then.
 */
int vmm_set_routes(struct vmm_vm *vm, const struct vmm_routes *arg)
{
	struct vmm_irq_routing *new, *old;
	struct vmm_route *routes;

	if (arg->flags || arg->nr > VMM_MAX_ROUTES)
		return -EINVAL;
	routes = vmemdup_user(u64_to_user_ptr(arg->routes), array_size(arg->nr, sizeof(*routes)));
	if (IS_ERR(routes))
		return PTR_ERR(routes);
	new = routing_build(routes, arg->nr);
	kvfree(routes);
	if (IS_ERR(new))
		return PTR_ERR(new);

	mutex_lock(&vm->irq_lock);
	old = rcu_replace_pointer(vm->routes, new, lockdep_is_held(&vm->irq_lock));
	synchronize_srcu_expedited(&vm->srcu);
	mutex_unlock(&vm->irq_lock);
	kvfree(old);
	return 0;
}

/**
 * vmm_route_get - look a gsi up
 * @vm: the VM
 * @gsi: the interrupt
 *
 * Context: any, with vm->srcu held for reading until the message is delivered. Returns the route,
 * not valid where there is none.
 */
struct route_msi vmm_route_get(struct vmm_vm *vm, u32 gsi)
{
	struct vmm_irq_routing *routing = srcu_dereference(vm->routes, &vm->srcu);

	if (!routing || gsi >= routing->nr)
		return (struct route_msi) {};
	return routing->msi[array_index_nospec(gsi, routing->nr)];
}

/**
 * vmm_route_destroy - free the table
 * @vm: the VM; nobody else uses it any more
 */
void vmm_route_destroy(struct vmm_vm *vm)
{
	kvfree(rcu_dereference_protected(vm->routes, true));
	RCU_INIT_POINTER(vm->routes, NULL);
}
