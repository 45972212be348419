// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd.h"
#include "dev/host.h"
#include "vmmctl.h"

char **self_argv;

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct verb {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *text;
} verbs[] = {
	{ "run", cmd_run, "boot a guest from a disk or a kernel, in this terminal" },
	{ "help", cmd_help, "show this, or the options of a verb" },
	{ "version", cmd_version, "show the version of vmmctl and the interface of the module" },
};

static const struct verb *find_verb(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	}
	return NULL;
}

static void print_help(FILE *f)
{
	unsigned int i;

	fprintf(f, "Usage: vmmctl VERB [OPTION...]\n\n");
	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(f, "  %-10s %s\n", verbs[i].name, verbs[i].text);
	fprintf(f, "\nvmmctl VERB --help shows the options of a verb.\n");
	fprintf(f, "The shortest way to a guest: vmmctl run -d disk.img\n");
}

static int call(const struct verb *verb, int argc, char **argv)
{
	char name[64];

	/* argp prints it in front of its messages */
	snprintf(name, sizeof(name), "vmmctl %s", verb->name);
	argv[0] = name;
	return verb->fn(argc, argv);
}

static int cmd_help(int argc, char **argv)
{
	char help[] = "--help", *args[] = { NULL, help, NULL };
	const struct verb *verb;

	if (argc < 2 || argv[1][0] == '-') {
		print_help(stdout);
		return 0;
	}
	verb = find_verb(argv[1]);
	if (!verb)
		die_usage("there is no verb '%s'; vmmctl help lists them", argv[1]);
	if (verb->fn == cmd_help || verb->fn == cmd_version) {
		printf("vmmctl %s: %s\n", verb->name, verb->text);
		return 0;
	}
	return call(verb, 2, args);
}

static int cmd_version(int argc, char **argv)
{
	int fd, abi;

	(void)argc;
	(void)argv;
	printf("vmmctl %s, interface %d\n", VMMCTL_VERSION, VMM_ABI_VERSION);
	fd = open("/dev/vmm", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		printf("module: not reachable (%m)\n");
		return 0;
	}
	abi = ioctl(fd, VMM_GET_ABI, 0);
	printf("module: interface %d%s\n", abi,
	       abi == VMM_ABI_VERSION ? "" : ", which does not match");
	close(fd);
	return 0;
}

/* What is opened later must not become standard input, output or error. */
static void fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static char **copy_argv(int argc, char **argv)
{
	char **copy = xcalloc(argc + 1, sizeof(*copy));

	memcpy(copy, argv, argc * sizeof(*copy));
	return copy;
}

int main(int argc, char **argv)
{
	const struct verb *verb;

	fill_standard_fds();
	self_argv = copy_argv(argc, argv);

	if (argc < 2) {
		print_help(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "-?"))
		return cmd_help(1, argv);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return cmd_version(1, argv);

	verb = find_verb(argv[1]);
	if (!verb)
		die_usage("there is no verb '%s'; vmmctl help lists them", argv[1]);
	return call(verb, argc - 1, argv + 1);
}
