#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# gen-compat.sh KERNEL_DIR... > compat_gen.h
#
# Tells what the kernel to build against offers, by its headers: one #define for
# each interface that differs between the kernels supported.  The directories are
# the kernel's source (or common headers) and its object tree.  Stable updates and
# distributions move interfaces, so versions tell nothing.
set -eu

[ $# -gt 0 ] || { echo "usage: gen-compat.sh KERNEL_DIR..." >&2; exit 2; }
dirs="$*"
seen=0

# The text of a header, on one line with single blanks.
text()
{
	for d in $dirs; do
		for f in "$d/include/$1" "$d/arch/x86/include/$1"; do
			[ -f "$f" ] && { tr -s ' \t\n' ' ' <"$f"; return; }
		done
	done
}

# have NAME HEADER REGEX: defines VMM_HAVE_NAME where the header matches.
have()
{
	if text "$2" | grep -qE "$3"; then
		echo "#define VMM_HAVE_$1 1"
	fi
}

for d in $dirs; do
	[ -f "$d/include/linux/mm.h" ] && seen=1
done
[ $seen = 1 ] || { echo "gen-compat.sh: no kernel headers in $dirs" >&2; exit 1; }

cat <<'END'
/* SPDX-License-Identifier: GPL-2.0 */
/* Made by gen-compat.sh from the headers of the kernel; only kmod/compat.h uses it. */
#ifndef VMM_COMPAT_GEN_H
#define VMM_COMPAT_GEN_H

END
# eventfd_signal(ctx), formerly eventfd_signal(ctx, n)
have EVENTFD_SIGNAL_1ARG linux/eventfd.h 'eventfd_signal\(struct eventfd_ctx \*ctx\)'
# the handler to call for an NMI that ended guest mode
have ASM_EXC_NMI_KVM_VMX asm/idtentry.h 'exc_nmi_kvm_vmx'
have ASM_EXC_NMI_NOIST asm/idtentry.h 'exc_nmi_noist'
# rcu_virt_note_context_switch(cpu), later without argument
have RCU_VIRT_NOTE_CPU_ARG linux/rcutree.h 'rcu_virt_note_context_switch\(int cpu\)'
have SLAB_NO_MERGE linux/slab.h 'define SLAB_NO_MERGE'
# assembly macros of the return thunk mitigations
have UNTRAIN_RET_VM asm/nospec-branch.h '(define|macro) UNTRAIN_RET_VM'
have VM_CLEAR_CPU_BUFFERS asm/nospec-branch.h 'define VM_CLEAR_CPU_BUFFERS'
have CLEAR_BRANCH_HISTORY_VMEXIT asm/nospec-branch.h '(define|macro) CLEAR_BRANCH_HISTORY_VMEXIT'
have X86_IBPB_EXIT_TO_USER asm/nospec-branch.h 'x86_ibpb_exit_to_user'
# memory
have VM_FLAGS_SET linux/mm.h 'void vm_flags_set\('
have ZAP_PAGE_RANGE linux/mm.h 'void zap_page_range\('
have GUP_NO_VMAS linux/mm.h \
	' get_user_pages\(unsigned long start, unsigned long nr_pages, unsigned int gup_flags, struct page \*\*pages\)'
have FOLLOW_PFNMAP linux/mm.h 'follow_pfnmap_start\('
have MMU_NOTIFIER_CLASS linux/mmu_notifier.h 'enum mmu_notifier_event'
have MMU_NOTIFIER_INVALIDATE_RANGE linux/mmu_notifier.h '\(\*invalidate_range\)\('
have MMU_NOTIFIER_RANGE_VMA linux/mmu_notifier.h 'struct mmu_notifier_range \{ struct vm_area_struct \*vma;'
# which page table accounting is exported
have LRUVEC_STAT_MOD_FOLIO linux/vmstat.h 'void __lruvec_stat_mod_folio\(struct folio \*folio, enum node_stat_item idx, int val\);'
# time
have HRTIMER_SETUP linux/hrtimer.h ' hrtimer_setup\('
# smp_send_reschedule() as a macro that traces
have SMP_SEND_RESCHEDULE_TRACED linux/smp.h 'define smp_send_reschedule\('
# flags of get_user_pages: take NUMA hinting faults; let signals end a wait
have FOLL_INTERRUPTIBLE linux/mm_types.h 'FOLL_INTERRUPTIBLE ='
have FOLL_HONOR_NUMA_FAULT linux/mm_types.h 'FOLL_HONOR_NUMA_FAULT ='
# files and I/O
have FD_FILE linux/file.h 'define fd_file\('
have IMPORT_UBUF linux/uio.h ' import_ubuf\('
have LINUX_UNALIGNED_H linux/unaligned.h '.'
# system
have EMERGENCY_VIRT_CALLBACK asm/reboot.h 'void cpu_emergency_register_virt_callback\('
have REGISTER_SYSCORE linux/syscore_ops.h ' register_syscore\('
have CLASS_CREATE_1ARG linux/device/class.h ' class_create\(const char \*name\)'
have EXPORT_SYMBOL_NS_STRING linux/export.h 'define EXPORT_SYMBOL_NS\(sym, ns\) __EXPORT_SYMBOL\(sym, "", ns\)'
echo
echo "#endif /* VMM_COMPAT_GEN_H */"
