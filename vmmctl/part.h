/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Partition tables: GPT (UEFI 2.10, 5.3) and MBR with logical partitions. Read from disks that
 * guests wrote: nothing in them is believed.
 */
#ifndef VMMCTL_PART_H
#define VMMCTL_PART_H

#include <stdint.h>

#define PARTS_MAX	128

/**
 * struct part - a partition
 * @number: as Linux numbers it: 1 ..; 0 = the whole disk
 * @start: in bytes
 * @size: in bytes; it ends within the disk
 */
struct part {
	unsigned int number;
	uint64_t start, size;
};

/**
 * part_scan() - find the partitions of a disk
 * @fd: the disk
 * @size: its bytes
 * @parts: PARTS_MAX entries
 *
 * Return: how many there are. A disk without a table has one, number 0.
 */
unsigned int part_scan(int fd, uint64_t size, struct part *parts);

#endif /* VMMCTL_PART_H */
