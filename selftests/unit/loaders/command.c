// SPDX-License-Identifier: GPL-2.0
/*
 * The command line of vmmctl run, and that of the kernel.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmdline.h"
#include "dev/host.h"
#include "options.h"
#include "unit.h"
#include "vmmctl.h"

UNIT_TEST(size_values)
{
	static const struct { const char *text; uint64_t bytes; } good[] = {
		{ "512", 512ull << 20 }, { "512M", 512ull << 20 }, { "1G", 1ull << 30 },
		{ "2g", 2ull << 30 }, { "64K", 65536 }, { "1T", 1ull << 40 }, { "0", 0 },
		{ "007", 7ull << 20 }, { "16777215T", 16777215ull << 40 },
	};
	static const char * const bad[] = {
		"", "M", "-1", "+1", " 1", "1 ", "1.5G", "1GB", "1GiB", "1X", "0x10", "16777216T",
		"99999999999999999999", "1,5", "eins",
	};
	struct error e;
	unsigned int i;
	uint64_t v;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		if (parse_size(good[i].text, &v, &e))
			FAIL("%s: %s", good[i].text, e.text);
		else
			EXPECT_EQ(v, good[i].bytes);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (!parse_size(bad[i], &v, &e))
			FAIL("'%s' was taken", bad[i]);
	}
}

UNIT_TEST(list_commas)
{
	static const struct { const char *text; int nr; const char *items[4]; } cases[] = {
		{ "", 1, { "" } }, { "a", 1, { "a" } }, { "a,b", 2, { "a", "b" } },
		{ "a,,b", 1, { "a,b" } }, { "a,,,b", 2, { "a,", "b" } }, { ",,", 1, { "," } },
		{ ",", 2, { "", "" } }, { "a,", 2, { "a", "" } }, { ",a", 2, { "", "a" } },
		{ ",,,,x,ro", 2, { ",,x", "ro" } },
	};
	struct error e;
	char *items[4];
	unsigned int i;
	int j, nr;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		nr = split_list(cases[i].text, items, 4, &e);
		if (nr != cases[i].nr) {
			FAIL("'%s': %d parts", cases[i].text, nr);
			continue;
		}
		for (j = 0; j < nr; j++) {
			EXPECT_STREQ(items[j], cases[i].items[j]);
			free(items[j]);
		}
	}
	EXPECT(split_list("a,b,c", items, 2, &e) < 0);
}

UNIT_TEST(disk_options)
{
	struct disk_option d;
	struct error e;

	ASSERT_EQ(parse_disk("x.img", &d, &e), 0);
	EXPECT_STREQ(d.path, "x.img");
	EXPECT(!d.readonly && !d.direct);
	free(d.path);
	ASSERT_EQ(parse_disk("a,,b.img,direct,ro", &d, &e), 0);
	EXPECT_STREQ(d.path, "a,b.img");
	EXPECT(d.readonly && d.direct);
	free(d.path);
	EXPECT(parse_disk("x,rw", &d, &e));
	EXPECT(strstr(e.text, "'rw'"));
	EXPECT(parse_disk("x,", &d, &e));
	EXPECT(parse_disk("", &d, &e));
	EXPECT(parse_disk(",ro", &d, &e));
}

UNIT_TEST(module_options)
{
	struct module_option m;
	struct error e;

	ASSERT_EQ(parse_module("file", &m, &e), 0);
	EXPECT_STREQ(m.path, "file");
	EXPECT(!m.string);
	free(m.path);
	ASSERT_EQ(parse_module("file,a b,,c", &m, &e), 0);
	EXPECT_STREQ(m.string, "a b,c");
	free(m.path);
	free(m.string);
	EXPECT(parse_module("file,a,b", &m, &e));
	EXPECT(parse_module(",a", &m, &e));
}

UNIT_TEST(escape_keys)
{
	static const struct { const char *text; int key; const char *name; } good[] = {
		{ "Ctrl-]", 0x1d, "Ctrl-]" }, { "^]", 0x1d, "Ctrl-]" }, { "ctrl-a", 1, "Ctrl-A" },
		{ "^_", 0x1f, "Ctrl-_" }, { "^@", 0, "Ctrl-@" }, { "~", '~', "~" },
		{ "^", '^', "^" },
		{ "none", -1, "none" },
	};
	static const char * const bad[] = {
		"", "ab", "^1", "^ab", "Ctrl-", "Ctrl-aa", " ", "^ ", "\xc3\xa4",
	};
	char buf[16];
	struct error e;
	unsigned int i;
	int key;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		if (parse_escape(good[i].text, &key, &e)) {
			FAIL("%s: %s", good[i].text, e.text);
			continue;
		}
		EXPECT_EQ(key, good[i].key);
		EXPECT_STREQ(escape_name(key, buf), good[i].name);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (!parse_escape(bad[i], &key, &e))
			FAIL("'%s' was taken", bad[i]);
	}
}

/* options_parse_run() on @args, which are separated by '|' */
static void parse(struct options *o, char *args)
{
	char *argv[40] = { (char *)"vmmctl run" }, *p;
	int argc = 1;

	for (p = strtok(args, "|"); p; p = strtok(NULL, "|"))
		argv[argc++] = p;
	options_parse_run(o, argc, argv);
}

UNIT_TEST(run_all_options)
{
	char args[] = "-d|a,ro|--disk=b|name|-k|kernel|-i|initrd|-a|quiet|-c|4|-m|1G";
	char more[] = "-d|c|--console|serial|--escape=^a|--no-reboot|--debug-exit|0xf4";
	char last[] = "-k|c|--module|m,s|--stop-deadline=5";
	struct options o;

	parse(&o, args);
	ASSERT_EQ(o.nr_disks, 2);
	EXPECT_STREQ(o.disks[0].path, "a");
	EXPECT(o.disks[0].readonly && !o.disks[1].readonly);
	EXPECT_STREQ(o.disks[1].path, "b");
	EXPECT_STREQ(o.name, "name");
	EXPECT_STREQ(o.kernel, "kernel");
	EXPECT_STREQ(o.initrd, "initrd");
	EXPECT_STREQ(o.append, "quiet");
	EXPECT_EQ(o.cpus, 4);
	EXPECT_EQ(o.mem, 1 << 30);
	options_release(&o);

	parse(&o, more);
	EXPECT_EQ(o.console, CONSOLE_SERIAL);
	EXPECT_EQ(o.escape, 1);
	EXPECT(o.no_reboot);
	EXPECT_EQ(o.debug_exit, 0xf4);
	options_release(&o);

	parse(&o, last);
	ASSERT_EQ(o.nr_modules, 1);
	EXPECT_STREQ(o.modules[0].string, "s");
	EXPECT_EQ(o.stop_deadline, 5);
	options_release(&o);
}

UNIT_TEST(run_defaults)
{
	char args[] = "-d|a";
	struct options o;

	parse(&o, args);
	EXPECT_EQ(o.cpus, 1);
	EXPECT_EQ(o.mem, 512 << 20);
	EXPECT_EQ(o.console, CONSOLE_HVC);
	EXPECT_EQ(o.escape, 0x1d);
	EXPECT_EQ(o.debug_exit, -1);
	EXPECT(!o.no_reboot && !o.name && !o.kernel && !o.append);
	options_release(&o);
}

/* status and standard error of a run with these arguments */
static int parse_status(const char *args, char *message, size_t size)
{
	int fds[2], status;
	char copy[256];
	struct options o;
	ssize_t n;
	pid_t pid;

	if (pipe(fds))
		abort();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 1);
		dup2(fds[1], 2);
		strcpy(copy, args);
		parse(&o, copy);
		_exit(100);
	}
	close(fds[1]);
	n = read(fds[0], message, size - 1);
	message[n < 0 ? 0 : n] = '\0';
	close(fds[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

UNIT_TEST(run_mistakes)
{
	static const struct { const char *args, *phrase; } bad[] = {
		{ "", "nothing to boot" },
		{ "-d", "requires an argument" },
		{ "-d|x,foo", "'foo'" },
		{ "-d|x|-c|0", "1 to 64" },
		{ "-d|x|-c|65", "1 to 64" },
		{ "-d|x|-c|1x", "1 to 64" },
		{ "-d|x|-c|-1", "1 to 64" },
		{ "-d|x|-m|1", "2M to 64T" },
		{ "-d|x|-m|65T", "2M to 64T" },
		{ "-d|x|-m|2049K", "multiple of 4K" },
		{ "-d|x|-m|lots", "not a size" },
		{ "-d|x|--console|vga", "neither hvc nor serial" },
		{ "-d|x|--escape|abc", "not a key" },
		{ "-d|x|--debug-exit|0x10000", "number from 0" },
		{ "-d|x|--frobnicate", "unrecognized" },
		{ "-d|x|a|b", "one NAME" },
		{ "-d|x|--module|m", "give it by -k" },
		{ "-d|x|--stop-deadline|soon", "number from 0" },
	};
	char message[4096];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		int status = parse_status(bad[i].args, message, sizeof(message));

		if (status != STATUS_USAGE)
			FAIL("%s: status %d", bad[i].args, status);
		if (!strstr(message, bad[i].phrase))
			FAIL("%s: \"%s\" does not say \"%s\"", bad[i].args, message, bad[i].phrase);
	}
	EXPECT_EQ(parse_status("--help", message, sizeof(message)), 0);
	EXPECT_EQ(parse_status("-d|x", message, sizeof(message)), 100);
}

/* Standard error is a pipe that nobody empties: the warning is lost, and vmmctl goes on. */
UNIT_TEST(warn_without_reader)
{
	char fill[4096] = "";
	int fds[2], status;
	pid_t pid;

	ASSERT_EQ(pipe(fds), 0);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	while (write(fds[1], fill, sizeof(fill)) > 0)
		;
	fcntl(fds[1], F_SETFL, 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(fds[1], 2);
		alarm(20);
		warn("nobody reads this");
		_exit(0);
	}
	waitpid(pid, &status, 0);
	EXPECT(WIFEXITED(status) && !WEXITSTATUS(status));
	close(fds[0]);
	close(fds[1]);
}

UNIT_TEST(cmdline_words)
{
	EXPECT(cmdline_has("root=/dev/vda", "root="));
	EXPECT(cmdline_has("a  root=x", "root="));
	EXPECT(!cmdline_has("nfsroot=x", "root="));
	EXPECT(!cmdline_has("rootdelay=1", "root="));
	EXPECT(!cmdline_has("-- root=x", "root="));
	EXPECT(!cmdline_has("a=\"b root=x\"", "root="));
	EXPECT(cmdline_has("a=\"b c\" root=x", "root="));
	EXPECT(cmdline_has("x ro", "ro"));
	EXPECT(!cmdline_has("x root", "ro"));
	EXPECT(!cmdline_has("", "ro"));
	EXPECT(!cmdline_has("a=\"", "ro"));
}

static void expect_line(const struct options *o, const struct boot_files *f, bool initrd,
			const char *want)
{
	char *line = cmdline_make(o, f, initrd);

	EXPECT_STREQ(line, want);
	free(line);
}

UNIT_TEST(cmdline_defaults)
{
	struct boot_files f = { .root_uuid = "1-2", .root_dev = "/dev/vda1", .root_arg = "/dev/x" };
	struct boot_files grub = { .root_arg = "LABEL=r" }, none = {};
	struct options o = { .nr_disks = 1 };

	expect_line(&o, &f, true, "root=UUID=1-2 rw console=hvc0");
	expect_line(&o, &f, false, "root=/dev/vda1 rw console=hvc0");
	expect_line(&o, &grub, true, "root=LABEL=r rw console=hvc0");
	expect_line(&o, &none, true, "console=hvc0");
	o.append = "quiet -- single";
	expect_line(&o, &f, true, "root=UUID=1-2 rw console=hvc0 quiet -- single");
	o.append = "root=/dev/vdb console=ttyS0";
	expect_line(&o, &f, true, "root=/dev/vdb console=ttyS0");
	o.append = "ro";
	expect_line(&o, &f, true, "root=UUID=1-2 console=hvc0 ro");
	o.append = NULL;
	o.disks[0].readonly = true;
	o.console = CONSOLE_SERIAL;
	expect_line(&o, &f, true, "root=UUID=1-2 ro console=ttyS0");
}

UNIT_MAIN()
