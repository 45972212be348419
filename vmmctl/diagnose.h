/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why something of the host cannot be had, and what to type next. All of it reads /proc and /sys
 * as far as the user may.
 */
#ifndef VMMCTL_DIAGNOSE_H
#define VMMCTL_DIAGNOSE_H

#include <stdint.h>
#include <sys/stat.h>

#include "error.h"

/** explain_no_device() - open("/dev/vmm") failed with @err (positive). Return: -1. */
int explain_no_device(int err, struct error *e);

/** explain_no_vm() - VMM_CREATE_VM failed with @err (positive). Return: -1. */
int explain_no_vm(int err, struct error *e);

/** explain_no_memory() - @size bytes for a guest cannot be had. Return: -1. */
int explain_no_memory(uint64_t size, struct error *e);

/** explain_disk_in_use() - @path, whose inode is @st, is claimed by somebody else. Return: -1. */
int explain_disk_in_use(const char *path, const struct stat *st, struct error *e);

#endif /* VMMCTL_DIAGNOSE_H */
