// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU plugin: instructions executed by the test host, idle time not counted.
 *
 * A program marks a place by executing "xchg %bx,%bx" in its long form (66 87 db);
 * each such place writes one line "cpu <n> insns <count>" to the file that the
 * plugin's argument out= names.  The count is exact with one CPU; with several the
 * unlocked additions of two threads may meet and lose a few.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "qemu-plugin-abi.h"

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t count;
static FILE *out;

static void on_marker(unsigned int cpu, void *data)
{
	(void)data;
	fprintf(out, "cpu %u insns %llu\n", cpu, (unsigned long long)count);
	fflush(out);
}

static int is_marker(const struct qemu_plugin_insn *insn)
{
	static const uint8_t marker[] = { 0x66, 0x87, 0xdb };

	return qemu_plugin_insn_size(insn) == sizeof(marker) &&
	       !memcmp(qemu_plugin_insn_data(insn), marker, sizeof(marker));
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		qemu_plugin_register_vcpu_insn_exec_inline(insn, PLUGIN_INLINE_ADD_U64,
							   &count, 1);
		if (is_marker(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker,
							       PLUGIN_CB_NO_REGS, NULL);
	}
}

__attribute__((visibility("default")))
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	int i;

	(void)info;
	out = stderr;
	for (i = 0; i < argc; i++) {
		if (strncmp(argv[i], "out=", 4))
			return -1;
		out = fopen(argv[i] + 4, "w");
		if (!out)
			return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
