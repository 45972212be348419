/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ACPI tables (ACPI 6.0, 5.2).
 */
#ifndef VMMCTL_ACPI_H
#define VMMCTL_ACPI_H

#include "../vmmctl.h"

/* where the tables lie; the guest's memory map says that it is reserved */
#define ACPI_START	0xe0000ull
#define ACPI_END	0x100000ull

/**
 * acpi_build - write the tables into guest memory
 * @vm: memory, number of vCPUs and dev_fd are set; it does not run yet
 *
 * The RSDP is at ACPI_START, where software without other means looks for it.
 *
 * Return: its guest physical address.
 */
uint64_t acpi_build(struct vm *vm);

#endif /* VMMCTL_ACPI_H */
