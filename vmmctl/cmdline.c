// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline.h"
#include "vmmctl.h"

/* a word ends at a blank that no double quotes enclose */
static const char *word_end(const char *p)
{
	bool quoted = false;

	for (; *p && (quoted || (*p != ' ' && *p != '\t' && *p != '\n')); p++)
		quoted ^= *p == '"';
	return p;
}

bool cmdline_has(const char *line, const char *word)
{
	size_t len = strlen(word);
	const char *p = line, *end;

	for (;;) {
		p += strspn(p, " \t\n");
		if (!*p)
			return false;
		end = word_end(p);
		if (end - p == 2 && !strncmp(p, "--", 2))
			return false;
		if ((size_t)(end - p) >= len && !strncmp(p, word, len) &&
		    (word[len - 1] == '=' || (size_t)(end - p) == len))
			return true;
		p = end;
	}
}

/* The root that was found, or else the one that the disk's own boot loader names. */
static void root_value(char *buf, size_t size, const struct boot_files *f, bool has_initrd)
{
	if (has_initrd && *f->root_uuid)
		snprintf(buf, size, "UUID=%s", f->root_uuid);
	else if (*f->root_dev)
		snprintf(buf, size, "%s", f->root_dev);
	else
		snprintf(buf, size, "%s", f->root_arg);
}

/* Without an entry in its fstab nobody makes a root writable that was mounted read-only. */
static const char *root_mode(const struct options *opt, const char *append,
			     const struct boot_files *f)
{
	unsigned int i;

	if (cmdline_has(append, "ro") || cmdline_has(append, "rw"))
		return "";
	for (i = 0; i < opt->nr_disks; i++) {
		if (opt->disks[i].readonly && !strncmp(f->root_dev, "/dev/vd", 7) &&
		    f->root_dev[7] == (char)('a' + i))
			return " ro";
	}
	return " rw";
}

char *cmdline_make(const struct options *opt, const struct boot_files *files, bool has_initrd)
{
	const char *append = opt->append ?: "";
	const char *console = "", *sep = "";
	char root[192] = "", value[160], *line;

	if (!cmdline_has(append, "root=")) {
		root_value(value, sizeof(value), files, has_initrd);
		if (*value)
			snprintf(root, sizeof(root), "root=%s%s ", value,
				 root_mode(opt, append, files));
	}
	if (!cmdline_has(append, "console="))
		console = opt->console == CONSOLE_HVC ? "console=hvc0" : "console=ttyS0";
	if (*console && *append)
		sep = " ";

	if (asprintf(&line, "%s%s%s%s", root, console, sep, append) < 0)
		die("out of memory");
	return line;
}
