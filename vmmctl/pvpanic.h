/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMMCTL_PVPANIC_H
#define VMMCTL_PVPANIC_H

#include "vmmctl.h"

/**
 * pvpanic_create() - the port by which a kernel tells that it panicked
 * @vm: the VM; it does not run yet
 *
 * The interface of QEMU's pvpanic device (its docs/specs/pvpanic.rst): a kernel that panics spins
 * for ever, and nothing else tells that from work. Its driver finds the port by the ACPI device
 * QEMU0001.
 *
 * Return: 0, -EEXIST: another device answers there.
 */
int pvpanic_create(struct vm *vm);

#endif /* VMMCTL_PVPANIC_H */
