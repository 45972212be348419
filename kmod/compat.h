/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between the kernels that vmm builds against. generated/compat_gen.h tells what
 * the headers have (gen-compat.sh).
 */
#ifndef KMOD_COMPAT_H
#define KMOD_COMPAT_H

#include <generated/compat_gen.h>

#ifndef __ASSEMBLY__

#include <linux/context_tracking.h>
#include <linux/eventfd.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#ifdef VMM_HAVE_SMP_SEND_RESCHEDULE_TRACED
#include <trace/events/ipi.h>
#endif

static inline void vmm_eventfd_signal(struct eventfd_ctx *ctx)
{
#ifdef VMM_HAVE_EVENTFD_SIGNAL_1ARG
	eventfd_signal(ctx);
#else
	eventfd_signal(ctx, 1);
#endif
}

/* a mapping that mremap() must not make longer */
static inline void vmm_vma_no_expand(struct vm_area_struct *vma)
{
#ifdef VMM_HAVE_VM_FLAGS_SET
	vm_flags_set(vma, VM_DONTEXPAND);
#else
	vma->vm_flags |= VM_DONTEXPAND;
#endif
}

/* an extended quiescent state cannot be told to RCU on this CPU: say at least that one passed */
static __always_inline void vmm_rcu_note_guest(void)
{
#ifdef VMM_HAVE_RCU_VIRT_NOTE_CPU_ARG
	rcu_virt_note_context_switch(smp_processor_id());
#else
	rcu_virt_note_context_switch();
#endif
}

#endif /* !__ASSEMBLY__ */

#if defined(VMM_HAVE_FOLL_INTERRUPTIBLE) && defined(VMM_HAVE_FOLL_HONOR_NUMA_FAULT)
#define VMM_FOLL_FAULT (FOLL_HONOR_NUMA_FAULT | FOLL_INTERRUPTIBLE)
#endif

/* the entry of the NMI handler for one who has built the frame, as VM exits for NMIs need it */
#ifdef VMM_HAVE_ASM_EXC_NMI_KVM_VMX
#define VMM_ASM_NMI_HANDLER asm_exc_nmi_kvm_vmx
#else
#define VMM_ASM_NMI_HANDLER asm_exc_nmi_noist
#endif

/* a cache of our own: its objects lie beside no others, and its name goes with it */
#ifdef VMM_HAVE_SLAB_NO_MERGE
#define VMM_SLAB_NO_MERGE SLAB_NO_MERGE
#else
#define VMM_SLAB_NO_MERGE 0
#endif

#ifndef VMM_HAVE_UNTRAIN_RET_VM
#define UNTRAIN_RET_VM UNTRAIN_RET
#endif

#endif /* KMOD_COMPAT_H */
