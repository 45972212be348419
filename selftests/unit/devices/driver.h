/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The beginnings of a virtio driver: finds the device by its capabilities, and nothing else.
 */
#ifndef UNIT_DEVICES_DRIVER_H
#define UNIT_DEVICES_DRIVER_H

#include "machine.h"

/**
 * struct driver - what the capabilities said
 * @slot: of the function
 * @common: address of the common configuration
 * @isr: address
 * @config: address of the device configuration
 * @config_len: bytes
 * @notify: port
 * @msix: address of the MSI-X table
 * @pba: address of the pending bits
 * @msix_cap: offset of the MSI-X capability
 * @window: offset of the PCI configuration access capability
 */
struct driver {
	unsigned int slot;
	uint64_t common, isr, config, msix, pba;
	uint32_t config_len, multiplier;
	uint16_t notify;
	unsigned int msix_cap, window;
};

uint32_t cfg_get(const struct driver *d, unsigned int reg, unsigned int len);
void cfg_set(const struct driver *d, unsigned int reg, uint32_t value, unsigned int len);
bool driver_scan(struct driver *d, unsigned int slot);	/* is everything there? */
void driver_find(struct driver *d, unsigned int slot);	/* it must be; and switch it on */

uint64_t get(const struct driver *d, unsigned int offset, unsigned int len);
void set(const struct driver *d, unsigned int offset, uint64_t value, unsigned int len);

/* up to FEATURES_OK, with all that is offered: what was agreed on */
uint64_t driver_negotiate(struct driver *d);
void driver_queue(struct driver *d, unsigned int index, uint64_t gpa, uint16_t vector);

#endif /* UNIT_DEVICES_DRIVER_H */
