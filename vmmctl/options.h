/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command line of vmmctl run, parsed and checked.
 */
#ifndef VMMCTL_OPTIONS_H
#define VMMCTL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define MAX_DISKS		16	/* vda .. vdp */
#define MAX_MODULES		64
#define DEFAULT_MEM		(512ull << 20)
#define DEFAULT_ESCAPE		0x1d	/* Ctrl-] */
#define DEFAULT_DEADLINE	30

struct disk_option {
	char *path;
	bool readonly;
	bool direct;
};

/**
 * struct module_option - a multiboot module
 * @path: the file
 * @string: what the kernel is told with it; NULL = the file's name
 */
struct module_option {
	char *path;
	char *string;
};

enum console_kind { CONSOLE_HVC, CONSOLE_SERIAL };

/**
 * struct options - what the user asked for
 * @name: name of the VM; NULL = none was given
 * @disks: --disk, in order: vda, vdb, ...
 * @nr_disks: how many
 * @modules: --module, in order
 * @nr_modules: how many
 * @kernel: --kernel or NULL
 * @initrd: --initrd or NULL
 * @append: --append or NULL
 * @cpus: --cpus
 * @mem: --mem in bytes, a multiple of 4 KiB
 * @console: --console
 * @escape: the byte that leaves the console, -1 = none does
 * @no_reboot: --no-reboot
 * @debug_exit: port, -1 = none
 * @stop_deadline: seconds that a guest has to power itself off
 * @keep_kvm: leave KVM alone, even where it is idle and in the way
 */
struct options {
	const char *name;
	struct disk_option disks[MAX_DISKS];
	unsigned int nr_disks;
	struct module_option modules[MAX_MODULES];
	unsigned int nr_modules;
	const char *kernel;
	const char *initrd;
	const char *append;
	unsigned int cpus;
	uint64_t mem;
	enum console_kind console;
	int escape;
	bool no_reboot;
	int debug_exit;
	unsigned int stop_deadline;
	bool keep_kvm;
};

/**
 * options_parse_run() - the arguments of vmmctl run
 * @opt: filled
 * @argc: as main's, argv[0] being the verb
 * @argv: may be put into another order; what @opt points to is in it or allocated
 *
 * Ends the process with STATUS_USAGE and a message on a mistake, and with 0 for --help.
 */
void options_parse_run(struct options *opt, int argc, char **argv);

void options_release(struct options *opt);

/* the parts, for tests */

/**
 * split_list() - cut an option list at its commas
 * @text: the list; ",," stands for a comma
 * @items: at most @max strings, to be freed by the caller
 * @max: how many there may be
 * @e: says so when there are more
 *
 * Return: how many there are (an empty text is one empty item), -1 on an error; then there is
 * nothing to free.
 */
int split_list(const char *text, char **items, int max, struct error *e);

/** parse_size() - a bare number is MiB; K, M, G, T are powers of 1024. Return: 0, or -1 with @e. */
int parse_size(const char *text, uint64_t *bytes, struct error *e);

/**
 * parse_number() - a decimal, 0x hexadecimal or 0 octal number in [@min, @max]. Return: 0, or -1
 * with @e.
 */
int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value, struct error *e);

/** parse_escape() - "none", one character, "^]" or "Ctrl-]". Return: 0, or -1 with @e. */
int parse_escape(const char *text, int *key, struct error *e);

/** escape_name() - how to press @key; @buf holds 16 bytes */
const char *escape_name(int key, char *buf);

/** parse_disk() - FILE[,ro][,direct]. Return: 0, or -1 with @e. */
int parse_disk(const char *text, struct disk_option *disk, struct error *e);

/** parse_module() - FILE[,STRING]. Return: 0, or -1 with @e. */
int parse_module(const char *text, struct module_option *module, struct error *e);

#endif /* VMMCTL_OPTIONS_H */
