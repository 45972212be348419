/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the bus (pci.c) and its functions (pci_dev.c). The caller holds the device's mutex.
 */
#ifndef VMMCTL_DEV_PCI_INTERNAL_H
#define VMMCTL_DEV_PCI_INTERNAL_H

#include "pci.h"

/* @len is 1, 2 or 4 and the access lies inside one dword */
void pci_config_read(struct pci_dev *dev, unsigned int reg, void *data, unsigned int len);
void pci_config_write(struct pci_dev *dev, unsigned int reg, const void *data, unsigned int len);

/* before it is on the bus: put an address into a BAR. No lock is needed. */
void pci_bar_assign(struct pci_dev *dev, unsigned int bar, uint64_t addr);

void pci_dev_start(struct pci_dev *dev);	/* it has a slot: line, decoding */
void pci_dev_stop(struct pci_dev *dev);		/* off the buses */

#endif /* VMMCTL_DEV_PCI_INTERNAL_H */
