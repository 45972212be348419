// SPDX-License-Identifier: GPL-2.0
/*
 * Exits that mean the same whichever processor made them. Each handler returns 1 to resume the
 * guest, 0 when vcpu->run tells userland what is left to do, or a negative errno for VMM_RUN.
 */
#include <asm/kvm_para.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include <uapi/linux/kvm_para.h>

#include "irq/irq.h"
#include "mmu/mmu.h"
#include "trace.h"
#include "x86.h"
#include "x86_ops.h"

int vmm_handle_ud(struct vmm_vcpu *vcpu)
{
	vmm_queue_exception(vcpu, X86_TRAP_UD);
	return 1;
}

int vmm_handle_gp(struct vmm_vcpu *vcpu)
{
	vmm_queue_exception_error(vcpu, X86_TRAP_GP, 0);
	return 1;
}

int vmm_handle_cpuid(struct vmm_vcpu *vcpu, unsigned int len)
{
	u32 eax = vcpu->gpr[VMM_RAX], ebx, ecx = vcpu->gpr[VMM_RCX], edx;

	vmm_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	vcpu->gpr[VMM_RAX] = eax;
	vcpu->gpr[VMM_RBX] = ebx;
	vcpu->gpr[VMM_RCX] = ecx;
	vcpu->gpr[VMM_RDX] = edx;
	return vmm_skip(vcpu, len);
}

int vmm_handle_rdmsr(struct vmm_vcpu *vcpu, unsigned int len)
{
	u64 data;

	if (vmm_msr_read(vcpu, vcpu->gpr[VMM_RCX], &data, false))
		return vmm_handle_gp(vcpu);
	vcpu->gpr[VMM_RAX] = (u32)data;
	vcpu->gpr[VMM_RDX] = data >> 32;
	return vmm_skip(vcpu, len);
}

int vmm_handle_wrmsr(struct vmm_vcpu *vcpu, unsigned int len)
{
	u64 data = (u32)vcpu->gpr[VMM_RAX] | vcpu->gpr[VMM_RDX] << 32;

	if (vmm_msr_write(vcpu, vcpu->gpr[VMM_RCX], data, false))
		return vmm_handle_gp(vcpu);
	return vmm_skip(vcpu, len);
}

/**
 * vmm_handle_hlt - the vCPU waits for an event. With interrupts off userland is told, once: it
 * may be the end of the guest.
 * @vcpu: the vCPU
 * @len: length of the instruction
 */
int vmm_handle_hlt(struct vmm_vcpu *vcpu, unsigned int len)
{
	int ret = vmm_skip(vcpu, len);

	vcpu->mp = VMM_MP_HALTED;
	if (ret != 1 || (vcpu->rflags & X86_EFLAGS_IF))
		return ret;
	vcpu->run->exit_reason = VMM_EXIT_HALT;
	return 0;
}

/**
 * vmm_handle_hypercall - KVM's calling convention: number in RAX, result in RAX. None is
 * offered yet.
 * @vcpu: the vCPU
 * @len: length of the instruction
 */
int vmm_handle_hypercall(struct vmm_vcpu *vcpu, unsigned int len)
{
	vcpu->gpr[VMM_RAX] = vmm_x86(get_cpl)(vcpu) ? -KVM_EPERM : -KVM_ENOSYS;
	return vmm_skip(vcpu, len);
}

int vmm_handle_xsetbv(struct vmm_vcpu *vcpu, unsigned int len)
{
	u64 value = (u32)vcpu->gpr[VMM_RAX] | vcpu->gpr[VMM_RDX] << 32;

	if (!(vmm_get_cr4(vcpu) & X86_CR4_OSXSAVE))
		return vmm_handle_ud(vcpu);
	if (vmm_x86(get_cpl)(vcpu) || (u32)vcpu->gpr[VMM_RCX] || vmm_set_xcr0(vcpu, value))
		return vmm_handle_gp(vcpu);
	return vmm_skip(vcpu, len);
}

static int vmm_write_cr(struct vmm_vcpu *vcpu, unsigned int cr, u64 value)
{
	switch (cr) {
	case 0:
		return vmm_set_cr0(vcpu, value);
	case 4:
		return vmm_set_cr4(vcpu, value);
	case 8:
		if (value & ~0xfull)
			return 1;
		vmm_lapic_set_cr8(vcpu, value);
		vmm_make_request(vcpu, VMM_REQ_EVENT);
		return 0;
	default:
		return 1;
	}
}

static u64 vmm_read_cr(struct vmm_vcpu *vcpu, unsigned int cr)
{
	return cr == 0 ? vmm_get_cr0(vcpu) : cr == 4 ? vmm_get_cr4(vcpu) : vmm_lapic_get_cr8(vcpu);
}

/**
 * vmm_handle_mov_cr - MOV to or from CR0, CR4 or CR8, LMSW, SMSW, CLTS (APM vol. 3)
 * @vcpu: the vCPU
 * @insn: what exited
 */
int vmm_handle_mov_cr(struct vmm_vcpu *vcpu, const struct vmm_em_insn *insn)
{
	u64 mask = vmm_is_64bit(vcpu) ? ~0ull : U32_MAX;
	u64 value;
	int ret;

	if (vmm_x86(get_cpl)(vcpu) && insn->op != VMM_EM_OP_SMSW)
		return vmm_handle_gp(vcpu);
	switch (insn->op) {
	case VMM_EM_OP_MOV_CR:
		if (insn->dst.kind == VMM_EM_K_CR) {
			if (vmm_write_cr(vcpu, insn->dst.reg, vcpu->gpr[insn->src.reg & 15] & mask))
				return vmm_handle_gp(vcpu);
		} else {
			vcpu->gpr[insn->dst.reg & 15] = vmm_read_cr(vcpu, insn->src.reg) & mask;
		}
		break;
	case VMM_EM_OP_CLTS:
		vmm_x86(set_cr0)(vcpu, vmm_get_cr0(vcpu) & ~X86_CR0_TS);
		break;
	case VMM_EM_OP_LMSW:
		if (!vmm_read_operand(vcpu, insn, insn->src.kind ? &insn->src : &insn->dst, &value,
				      &ret))
			return ret;
		/* LMSW sets PE but never clears it */
		value = (vmm_get_cr0(vcpu) & ~0xeull) | (value & 0xf);
		if (vmm_set_cr0(vcpu, value))
			return vmm_handle_gp(vcpu);
		break;
	case VMM_EM_OP_SMSW:
		if (!vmm_write_operand(vcpu, insn, &insn->dst, vmm_get_cr0(vcpu), &ret))
			return ret;
		break;
	default:
		return vmm_exit_emulation(vcpu, VMM_INVALID_GPA);
	}
	return vmm_skip(vcpu, insn->length);
}

/**
 * vmm_handle_mov_dr - MOV to or from a debug register (APM vol. 2, 13.1.1)
 * @vcpu: the vCPU
 * @insn: what exited
 */
int vmm_handle_mov_dr(struct vmm_vcpu *vcpu, const struct vmm_em_insn *insn)
{
	bool write = insn->dst.kind == VMM_EM_K_DR;
	unsigned int dr = write ? insn->dst.reg : insn->src.reg;
	u64 mask = vmm_is_64bit(vcpu) ? ~0ull : U32_MAX;

	if (insn->op != VMM_EM_OP_MOV_DR)
		return vmm_exit_emulation(vcpu, VMM_INVALID_GPA);
	if (vmm_x86(get_cpl)(vcpu))
		return vmm_handle_gp(vcpu);
	if (dr > 7)
		return vmm_handle_ud(vcpu);
	if ((dr == 4 || dr == 5) && (vmm_get_cr4(vcpu) & X86_CR4_DE))
		return vmm_handle_ud(vcpu);
	if (vcpu->dr7 & VMM_DR7_GD) {
		vcpu->dr7 &= ~VMM_DR7_GD;
		vcpu->dr6 |= VMM_DR6_BD;
		vmm_queue_exception(vcpu, X86_TRAP_DB);
		return 1;
	}
	if (write) {
		if (vmm_set_dr(vcpu, dr, vcpu->gpr[insn->src.reg & 15] & mask))
			return vmm_handle_gp(vcpu);
	} else {
		vcpu->gpr[insn->dst.reg & 15] = vmm_get_dr(vcpu, dr) & mask;
	}
	return vmm_skip(vcpu, insn->length);
}

/**
 * vmm_handle_fault - a second-level fault
 * @vcpu: the vCPU
 * @gpa: where
 * @access: VMM_ACC_READ, WRITE or EXEC
 * @in_delivery: the processor was delivering an event: there is no instruction to emulate
 */
int vmm_handle_fault(struct vmm_vcpu *vcpu, gpa_t gpa, u32 access, bool in_delivery)
{
	int ret = VMM_FAULT_MMIO;

	if (!vmm_lapic_covers(vcpu, gpa))
		ret = vmm_mmu_fault(vcpu, gpa, access);
	trace_vmm_fault(vcpu->id, gpa, access, ret);
	if (likely(ret == VMM_FAULT_FIXED))
		return 1;
	if (ret == VMM_FAULT_MMIO)
		return in_delivery || access == VMM_ACC_EXEC ? vmm_exit_emulation(vcpu, gpa)
							     : vmm_emulate(vcpu, gpa);
	if (ret == -EINTR || ret == -EAGAIN)
		return ret == -EINTR ? ret : 1;

	vcpu->run->exit_reason = VMM_EXIT_MEMORY_FAULT;
	vcpu->run->u.memory_fault.gpa = gpa;
	vcpu->run->u.memory_fault.error = ret;
	vcpu->run->u.memory_fault.is_write = access == VMM_ACC_WRITE;
	return 0;
}
