// SPDX-License-Identifier: GPL-2.0
#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "options.h"
#include "vmmctl.h"

static void free_items(char **items, int nr)
{
	while (nr > 0)
		free(items[--nr]);
}

int split_list(const char *text, char **items, int max, struct error *e)
{
	size_t room = strlen(text) + 1;
	const char *p = text;
	int nr = 0;

	for (;;) {
		char *item, *q;

		if (nr == max) {
			free_items(items, nr);
			return error_set(e, "'%s' has more than %d parts; write ,, for a comma",
					 text, max);
		}

		item = xcalloc(1, room);
		q = item;
		items[nr++] = item;
		while (*p && (*p != ',' || p[1] == ',')) {
			if (*p == ',')
				p++;
			*q++ = *p++;
		}
		if (!*p)
			return nr;
		p++;
	}
}

int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value, struct error *e)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (!isdigit((unsigned char)text[0]) || *end || errno || v < min || v > max)
		return error_set(e, "'%s' is not a number from %llu to %llu", text,
				 (unsigned long long)min, (unsigned long long)max);
	*value = v;
	return 0;
}

static int suffix_shift(const char *suffix)
{
	if (!*suffix)
		return 20;
	if (suffix[1])
		return -1;

	switch (toupper((unsigned char)*suffix)) {
	case 'K':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	case 'T':
		return 40;
	}
	return -1;
}

int parse_size(const char *text, uint64_t *bytes, struct error *e)
{
	unsigned long long v;
	char *end;
	int shift;

	errno = 0;
	v = strtoull(text, &end, 10);
	shift = suffix_shift(end);
	if (!isdigit((unsigned char)text[0]) || shift < 0)
		return error_set(e, "'%s' is not a size:\n"
				 "write a number of MiB, or one with K, M, G or T",
				 text);
	if (errno || v > UINT64_MAX >> shift)
		return error_set(e, "'%s' is more than 64 bits can say", text);
	*bytes = v << shift;
	return 0;
}

int parse_escape(const char *text, int *key, struct error *e)
{
	const char *c = text;
	bool ctrl = false;

	if (!strcmp(text, "none")) {
		*key = -1;
		return 0;
	}

	if (text[0] == '^' && text[1]) {
		ctrl = true;
		c = text + 1;
	} else if (!strncasecmp(text, "ctrl-", 5)) {
		ctrl = true;
		c = text + 5;
	}

	if (!c[0] || c[1] || !isascii(c[0]) || !isgraph(c[0]))
		goto bad;
	if (!ctrl) {
		*key = c[0];
		return 0;
	}
	if (toupper(c[0]) < '@' || toupper(c[0]) > '_')
		goto bad;
	*key = toupper(c[0]) & 0x1f;
	return 0;
bad:
	return error_set(e, "'%s' is not a key:\n"
			 "write Ctrl-X or ^X for a control character, one character, or none",
			 text);
}

const char *escape_name(int key, char *buf)
{
	if (key < 0)
		return "none";
	if (key < 0x20)
		sprintf(buf, "Ctrl-%c", key + '@');
	else
		sprintf(buf, "%c", key);
	return buf;
}

int parse_disk(const char *text, struct disk_option *disk, struct error *e)
{
	char *items[8];
	int i, nr, ret = -1;

	nr = split_list(text, items, 8, e);
	if (nr < 0)
		return -1;

	*disk = (struct disk_option){};
	if (!*items[0]) {
		error_set(e, "'%s' names no file", text);
		goto out;
	}

	for (i = 1; i < nr; i++) {
		if (!strcmp(items[i], "ro")) {
			disk->readonly = true;
		} else if (!strcmp(items[i], "direct")) {
			disk->direct = true;
		} else {
			error_set(e, "a disk has no option '%s', only ro and direct;\n"
				  "write ,, for a comma in a file's name",
				  items[i]);
			goto out;
		}
	}
	disk->path = items[0];
	items[0] = NULL;
	ret = 0;
out:
	free_items(items, nr);
	return ret;
}

int parse_module(const char *text, struct module_option *module, struct error *e)
{
	char *items[2];
	int nr = split_list(text, items, 2, e);

	if (nr < 0)
		return -1;
	if (!*items[0]) {
		free_items(items, nr);
		return error_set(e, "'%s' names no file", text);
	}
	module->path = items[0];
	module->string = nr > 1 ? items[1] : NULL;
	return 0;
}

enum {
	KEY_CONSOLE = 0x100, KEY_ESCAPE, KEY_NO_REBOOT, KEY_DEBUG_EXIT, KEY_MODULE, KEY_DEADLINE,
	KEY_KEEP_KVM,
};

static const struct argp_option run_table[] = {
	{ NULL, 0, NULL, 0, "What to boot:", 1 },
	{ "disk", 'd', "FILE[,ro][,direct]", 0,
	  "Give the guest this image or block device: vda, vdb, ... in order;\n"
	  "without -k the kernel and its initrd come from the /boot of a disk;\n"
	  "ro: read-only, may be shared with other VMs;\n"
	  "direct: past the host's page cache;\n"
	  ",, is a comma in FILE", 0 },
	{ "kernel", 'k', "FILE", 0,
	  "A bzImage, an ELF file with a PVH note, or a multiboot kernel", 0 },
	{ "initrd", 'i', "FILE", 0,
	  "Its initial RAM disk (default: initrd.img-V beside vmlinuz-V);\n"
	  "for a multiboot kernel the first module", 0 },
	{ "append", 'a', "STRING", 0,
	  "More words for its command line (root= and console= are added unless given)", 0 },
	{ "module", KEY_MODULE, "FILE[,STRING]", 0,
	  "Give a multiboot kernel this module, with STRING for its command line", 0 },
	{ NULL, 0, NULL, 0, "The machine:", 2 },
	{ "cpus", 'c', "NUMBER", 0, "Virtual CPUs (default: 1)", 0 },
	{ "mem", 'm', "SIZE", 0, "Memory, in MiB or with K, M, G, T (default: 512M)", 0 },
	{ "debug-exit", KEY_DEBUG_EXIT, "PORT", 0,
	  "A write of the guest to this port ends it with status (value << 1) | 1", 0 },
	{ "keep-kvm", KEY_KEEP_KVM, NULL, 0,
	  "Do not take out KVM's module while it is idle and in the way", 0 },
	{ NULL, 0, NULL, 0, "The session:", 3 },
	{ "console", KEY_CONSOLE, "hvc|serial", 0,
	  "Which device gets the terminal: hvc0 (the default) or ttyS0", 0 },
	{ "escape", KEY_ESCAPE, "KEY", 0,
	  "The key that leaves: Ctrl-X, ^X, a character, or none (default: Ctrl-])", 0 },
	{ "no-reboot", KEY_NO_REBOOT, NULL, 0,
	  "End with status 10 where the guest would reboot", 0 },
	{ "stop-deadline", KEY_DEADLINE, "SECONDS", 0,
	  "Time to power off when asked to, before it is killed (default: 30)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static void set_disk(struct argp_state *state, struct options *opt, const char *arg)
{
	struct error e;

	if (opt->nr_disks == MAX_DISKS)
		argp_error(state, "--disk: there can be %d disks at most", MAX_DISKS);
	else if (parse_disk(arg, &opt->disks[opt->nr_disks], &e))
		argp_error(state, "--disk: %s", e.text);
	else
		opt->nr_disks++;
}

static void set_module(struct argp_state *state, struct options *opt, const char *arg)
{
	struct error e;

	if (opt->nr_modules == MAX_MODULES)
		argp_error(state, "--module: there can be %d modules at most", MAX_MODULES);
	else if (parse_module(arg, &opt->modules[opt->nr_modules], &e))
		argp_error(state, "--module: %s", e.text);
	else
		opt->nr_modules++;
}

static void set_mem(struct argp_state *state, struct options *opt, const char *arg)
{
	const uint64_t max = 1ull << 46;
	struct error e;

	if (parse_size(arg, &opt->mem, &e))
		argp_error(state, "--mem: %s", e.text);
	else if (opt->mem < MEM_MIN || opt->mem > max)
		argp_error(state, "--mem: %s is outside 2M to 64T (a bare number is MiB)", arg);
	else if (opt->mem & 0xfff)
		argp_error(state, "--mem: %s is not a multiple of 4K", arg);
}

static uint64_t number(struct argp_state *state, const char *option, const char *arg, uint64_t min,
		       uint64_t max)
{
	uint64_t v = min;
	struct error e;

	if (parse_number(arg, min, max, &v, &e))
		argp_error(state, "--%s: %s", option, e.text);
	return v;
}

static error_t parse_run(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;
	struct error e;

	switch (key) {
	case 'd':
		set_disk(state, opt, arg);
		break;
	case 'k':
		opt->kernel = arg;
		break;
	case 'i':
		opt->initrd = arg;
		break;
	case 'a':
		opt->append = arg;
		break;
	case 'c':
		opt->cpus = number(state, "cpus", arg, 1, VMM_MAX_VCPUS);
		break;
	case 'm':
		set_mem(state, opt, arg);
		break;
	case KEY_CONSOLE:
		if (!strcmp(arg, "hvc"))
			opt->console = CONSOLE_HVC;
		else if (!strcmp(arg, "serial"))
			opt->console = CONSOLE_SERIAL;
		else
			argp_error(state, "--console: '%s' is neither hvc nor serial", arg);
		break;
	case KEY_ESCAPE:
		if (parse_escape(arg, &opt->escape, &e))
			argp_error(state, "--escape: %s", e.text);
		break;
	case KEY_NO_REBOOT:
		opt->no_reboot = true;
		break;
	case KEY_DEBUG_EXIT:
		opt->debug_exit = number(state, "debug-exit", arg, 0, 0xfffc);
		break;
	case KEY_MODULE:
		set_module(state, opt, arg);
		break;
	case KEY_DEADLINE:
		opt->stop_deadline = number(state, "stop-deadline", arg, 0, 86400);
		break;
	case KEY_KEEP_KVM:
		opt->keep_kvm = true;
		break;
	case ARGP_KEY_ARG:
		if (opt->name)
			argp_error(state, "'%s': one NAME only; -k gives a kernel, -d a disk",
				   arg);
		if (!*arg || strlen(arg) > 64)
			argp_error(state, "NAME: 1 to 64 characters");
		opt->name = arg;
		break;
	case ARGP_KEY_END:
		if (!opt->kernel && !opt->nr_disks)
			argp_error(state, "nothing to boot: give a disk (-d) or a kernel (-k)");
		if (!opt->kernel && opt->nr_modules)
			argp_error(state, "--module belongs to a multiboot kernel: give it by -k");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp run_argp = {
	.options = run_table,
	.parser = parse_run,
	.args_doc = "[NAME]",
	.doc = "Boot a guest and give it this terminal.\vExit status:\n"
	       "   0  the guest powered off\n"
	       "   2  usage\n"
	       "  10  the guest reboots, and --no-reboot was given\n"
	       "  12  the guest panicked or halted for good\n"
	       "  14  triple fault\n"
	       "  16  killed after the stop deadline\n"
	       "  20  error of the host\n"
	       "  odd --debug-exit\n"
	       "A signal that ends vmmctl ends it as that signal.\n\n"
	       "SIGTERM and the escape key press the guest's power button;\n"
	       "a second one kills the guest.",
};

void options_parse_run(struct options *opt, int argc, char **argv)
{
	*opt = (struct options){
		.cpus = 1,
		.mem = DEFAULT_MEM,
		.escape = DEFAULT_ESCAPE,
		.debug_exit = -1,
		.stop_deadline = DEFAULT_DEADLINE,
	};
	argp_err_exit_status = STATUS_USAGE;
	argp_parse(&run_argp, argc, argv, 0, NULL, opt);
}

void options_release(struct options *opt)
{
	unsigned int i;

	for (i = 0; i < opt->nr_disks; i++)
		free(opt->disks[i].path);
	for (i = 0; i < opt->nr_modules; i++) {
		free(opt->modules[i].path);
		free(opt->modules[i].string);
	}
}
