/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What insn-count-plugin.c uses of QEMU's plugin interface: Debian's QEMU supports plugins
 * and ships no header for them.
 */
#ifndef QEMU_PLUGIN_ABI_H
#define QEMU_PLUGIN_ABI_H

#include <stddef.h>
#include <stdint.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { PLUGIN_INLINE_ADD_U64 = 0, PLUGIN_CB_NO_REGS = 0 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void
qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
					   void *counter, uint64_t value);
void
qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
				       void (*fn)(unsigned int cpu, void *data),
				       int flags, void *data);
void
qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
				      void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));

/* what QEMU looks up in a plugin: the interface's revision, and its first function */
extern int qemu_plugin_version;
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

#endif /* QEMU_PLUGIN_ABI_H */
