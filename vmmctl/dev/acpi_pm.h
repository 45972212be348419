/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ACPI fixed hardware: the PM1 block and the PM timer (ACPI 6.0, 4.8.3).
 */
#ifndef VMMCTL_DEV_ACPI_PM_H
#define VMMCTL_DEV_ACPI_PM_H

#include "../vmmctl.h"

struct loop;
struct acpi_pm;

/* SLP_TYP of \_S5 in the DSDT */
#define ACPI_SLP_TYP_S5	5

struct acpi_pm *acpi_pm_create(struct vm *vm, struct loop *loop);	/* NULL with errno set */
void acpi_pm_free(struct acpi_pm *pm);

/**
 * acpi_power_button - press the power button
 * @vm: the VM; its devices exist
 *
 * Any thread. What the guest makes of it is the guest's affair.
 */
void acpi_power_button(struct vm *vm);

#endif /* VMMCTL_DEV_ACPI_PM_H */
