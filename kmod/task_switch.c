// SPDX-License-Identifier: GPL-2.0
/*
 * Exits that ask for a hardware task switch: the vCPU's registers and memory handed to task.c, and
 * what became of it handed back.
 */
#include <linux/minmax.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "mmu/mmu.h"
#include "task.h"
#include "trace.h"
#include "x86.h"
#include "x86_ops.h"

#define VMM_DR6_BT	BIT(15)
#define VMM_DR7_LOCAL	0x155	/* L0-L3, LE: of one task */

/* ---- memory ---- */

static int vmm_task_translate(struct vmm_task *t, u32 linear, u32 access, gpa_t *gpa)
{
	struct vmm_exception fault = {};
	int ret = vmm_walk_gva(t->opaque, linear, access, gpa, &fault);

	if (ret > 0)
		t->fault = (struct vmm_em_fault) {
			.vector = fault.vector,
			.has_error = fault.has_error,
			.error_code = fault.error,
			.cr2 = fault.payload,
		};
	return ret;
}

static int vmm_task_copy(struct vmm_task *t, u32 linear, void *buf, unsigned int len, u32 access)
{
	struct vmm_vcpu *vcpu = t->opaque;
	unsigned int n;
	gpa_t gpa;
	int ret = 0;

	for (; len && !ret; linear += n, buf += n, len -= n) {
		n = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(linear));
		ret = vmm_task_translate(t, linear, access, &gpa);
		if (ret)
			return ret;
		ret = access & VMM_ACC_WRITE ? vmm_guest_write(vcpu->vm, gpa, buf, n) :
					       vmm_guest_read(vcpu->vm, gpa, buf, n);
	}
	return ret;
}

static int vmm_task_read(struct vmm_task *t, u32 linear, void *buf, unsigned int len)
{
	return vmm_task_copy(t, linear, buf, len, VMM_ACC_READ | VMM_ACC_IMPLICIT);
}

static int vmm_task_write(struct vmm_task *t, u32 linear, const void *buf, unsigned int len,
			  bool user)
{
	return vmm_task_copy(t, linear, (void *)buf, len,
			     VMM_ACC_WRITE | (user ? VMM_ACC_USER : VMM_ACC_IMPLICIT));
}

static int vmm_task_probe(struct vmm_task *t, u32 linear, unsigned int len)
{
	struct vmm_vcpu *vcpu = t->opaque;
	unsigned long hva;
	unsigned int n;
	gpa_t gpa;
	int ret = 0;

	for (; len && !ret; linear += n, len -= n) {
		n = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(linear));
		ret = vmm_task_translate(t, linear, VMM_ACC_WRITE | VMM_ACC_IMPLICIT, &gpa);
		if (!ret)
			ret = vmm_guest_hva(vcpu->vm, gpa, n, VMM_ACC_WRITE, &hva, NULL);
	}
	return ret;
}

static void vmm_task_set_cr3(struct vmm_task *t, u32 cr3)
{
	vmm_x86(set_cr3)(t->opaque, cr3);
}

static const struct vmm_task_ops vmm_task_ops = {
	.read = vmm_task_read,
	.write = vmm_task_write,
	.probe = vmm_task_probe,
	.set_cr3 = vmm_task_set_cr3,
};

/* ---- registers ---- */

static void vmm_task_get_seg(struct vmm_vcpu *vcpu, unsigned int seg, struct vmm_em_seg *to)
{
	struct vmm_segment s;

	vmm_x86(get_segment)(vcpu, seg, &s);
	*to = (struct vmm_em_seg) {
		.base = s.base,
		.limit = s.limit,
		.attr = s.type | s.s << 4 | s.dpl << 5 | (s.present && !s.unusable) << 7 |
			s.avl << 8 | s.l << 9 | s.db << 10 | s.g << 11,
		.selector = s.selector,
	};
}

static void vmm_task_set_seg(struct vmm_vcpu *vcpu, unsigned int seg,
			     const struct vmm_em_seg *from)
{
	const struct vmm_segment s = {
		.base = from->base,
		.limit = from->limit,
		.selector = from->selector,
		.type = from->attr & 0xf,
		.s = from->attr >> 4 & 1,
		.dpl = from->attr >> 5 & 3,
		.present = from->attr >> 7 & 1,
		.unusable = !(from->attr >> 7 & 1),
		.avl = from->attr >> 8 & 1,
		.l = from->attr >> 9 & 1,
		.db = from->attr >> 10 & 1,
		.g = from->attr >> 11 & 1,
	};

	vmm_x86(set_segment)(vcpu, seg, &s);
}

static void vmm_task_fill(struct vmm_vcpu *vcpu, struct vmm_task *t)
{
	struct vmm_dtable gdt;
	unsigned int i;

	*t = (struct vmm_task) {
		.eip = vcpu->rip,
		.eflags = vcpu->rflags,
		.paging = vmm_get_cr0(vcpu) & X86_CR0_PG,
		.cpl = vmm_get_cpl(vcpu),
		.ops = &vmm_task_ops,
		.opaque = vcpu,
	};
	for (i = 0; i < ARRAY_SIZE(t->regs); i++)
		t->regs[i] = vcpu->gpr[i];
	for (i = 0; i < VMM_EM_SREGS; i++)
		vmm_task_get_seg(vcpu, i, &t->seg[i]);
	vmm_task_get_seg(vcpu, VMM_SEG_LDTR, &t->ldt);
	vmm_task_get_seg(vcpu, VMM_SEG_TR, &t->tr);
	vmm_x86(get_dtable)(vcpu, false, &gdt);
	t->gdt_base = gdt.base;
	t->gdt_limit = gdt.limit;
}

static void vmm_task_commit(struct vmm_vcpu *vcpu, struct vmm_task *t)
{
	struct vmm_em_seg *ss = &t->seg[VMM_EM_SS];
	unsigned int i;

	/* the vendors keep the CPL as SS's DPL */
	ss->attr = (ss->attr & ~(3 << 5)) | t->cpl << 5;
	for (i = 0; i < ARRAY_SIZE(t->regs); i++)
		vcpu->gpr[i] = t->regs[i];
	vcpu->rip = t->eip;
	vcpu->rflags = t->eflags;
	for (i = 0; i < VMM_EM_SREGS; i++)
		vmm_task_set_seg(vcpu, i, &t->seg[i]);
	vmm_task_set_seg(vcpu, VMM_SEG_LDTR, &t->ldt);
	vmm_task_set_seg(vcpu, VMM_SEG_TR, &t->tr);
	vmm_x86(set_cr0)(vcpu, vmm_get_cr0(vcpu) | X86_CR0_TS);
	vmm_x86(set_shadow)(vcpu, 0);
	vcpu->dr7 &= ~(u64)VMM_DR7_LOCAL;
}

static void vmm_task_queue_fault(struct vmm_vcpu *vcpu, const struct vmm_em_fault *fault)
{
	if (fault->vector == X86_TRAP_PF)
		vmm_queue_page_fault(vcpu, fault->error_code, fault->cr2);
	else if (fault->has_error)
		vmm_queue_exception_error(vcpu, fault->vector, fault->error_code);
	else
		vmm_queue_exception(vcpu, fault->vector);
}

/**
 * vmm_task_switch - carry a hardware task switch out
 * @vcpu: the vCPU, as the exit left it
 * @ts: what asks for it
 *
 * An event whose delivery led here is in vcpu->ev; it is delivered by this.
 *
 * Context: the owner, vm->srcu held for reading; may sleep. Return: as exit handlers do.
 */
int vmm_task_switch(struct vmm_vcpu *vcpu, const struct vmm_task_switch *ts)
{
	struct vmm_event_queue *ev = &vcpu->ev;
	struct vmm_task t;
	int ret;

	if (vmm_is_long_mode(vcpu) || !(vmm_get_cr0(vcpu) & X86_CR0_PE))
		return vmm_exit_emulation(vcpu, VMM_INVALID_GPA);
	vmm_task_fill(vcpu, &t);
	ret = vmm_task_execute(&t, ts);
	if (ret == -EAGAIN)
		return 1;	/* the guest changes its page table: once more, from the start */
	if (ret < 0)
		return vmm_exit_emulation(vcpu, VMM_INVALID_GPA);

	if (ret != VMM_TASK_FAULT_OLD)
		vmm_task_commit(vcpu, &t);
	if (ret != VMM_TASK_DONE)
		vmm_task_queue_fault(vcpu, &t.fault);
	else if (ts->source == VMM_TASK_GATE)
		ev->exc_injected = false;
	if (ts->source == VMM_TASK_GATE) {
		if (ev->nmi_injected)
			vmm_x86(set_nmi_blocked)(vcpu, true);
		ev->nmi_injected = false;
		ev->irq_injected = false;
	}
	if (ret == VMM_TASK_DONE && t.debug_trap) {
		vcpu->dr6 |= VMM_DR6_BT;
		vmm_queue_exception(vcpu, X86_TRAP_DB);
	}
	vmm_make_request(vcpu, VMM_REQ_EVENT);
	return 1;
}
