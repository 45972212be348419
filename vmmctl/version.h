/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VMMCTL_VERSION_H
#define VMMCTL_VERSION_H

/**
 * version_compare() - which of two version strings is newer
 *
 * By Debian's rules (Policy, 5.6.12): runs of digits by value, the rest by character, letters
 * before other characters, a tilde before everything, even before the end.
 *
 * Return: below, equal to or above 0, as strcmp() does.
 */
int version_compare(const char *a, const char *b);

#endif /* VMMCTL_VERSION_H */
