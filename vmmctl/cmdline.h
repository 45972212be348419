/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's command line.
 */
#ifndef VMMCTL_CMDLINE_H
#define VMMCTL_CMDLINE_H

#include <stdbool.h>

#include "bootdisk.h"
#include "options.h"

/**
 * cmdline_make() - what the user gave, with root= and console= if that does not have them
 * @opt: its append, console and disks are used
 * @files: what was found on the disks
 * @has_initrd: an initrd goes with the kernel: only that can look for a UUID
 *
 * Ours comes first: of two, kernels take the later, and what follows a "--" is not the kernel's.
 *
 * Return: the line, to be freed.
 */
char *cmdline_make(const struct options *opt, const struct boot_files *files, bool has_initrd);

/** cmdline_has() - whether a word of @line begins with @word, before any "--" */
bool cmdline_has(const char *line, const char *word);

#endif /* VMMCTL_CMDLINE_H */
