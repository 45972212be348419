// SPDX-License-Identifier: GPL-2.0
/*
 * The state that vCPUs start in: what their CPUID says, what firmware leaves in the local APIC
 * and the MTRRs, and the registers of the boot protocol.
 */
#include <errno.h>
#include <string.h>

#include "topology.h"
#include "dev/host.h"
#include "vcpu.h"

#define CR0_PE		(1ull << 0)
#define CR0_ET		(1ull << 4)
#define CR0_NE		(1ull << 5)
#define CR0_WP		(1ull << 16)
#define CR0_PG		(1ull << 31)
#define CR4_PAE		(1ull << 5)
#define EFER_LME	(1ull << 8)
#define EFER_LMA	(1ull << 10)
#define RFLAGS_FIXED	(1ull << 1)

/* segment types (APM vol. 2, 4.7 and 4.8) */
#define TYPE_LDT	2
#define TYPE_DATA	3	/* read, write, accessed */
#define TYPE_TSS_BUSY	11
#define TYPE_CODE	11	/* execute, read, accessed */

#define APIC_SPIV	0x0f0
#define APIC_LVT0	0x350
#define APIC_LVT1	0x360
#define SPIV_ENABLED	0x1ff	/* enabled, vector 0xff */
#define LVT_EXTINT	0x700
#define LVT_NMI		0x400

#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_ON_WRITE_BACK	0x806	/* enabled, fixed ranges off, default type 6 */

static struct vmm_state request(unsigned int type, const void *data, unsigned int size)
{
	return (struct vmm_state){
		.type = type,
		.version = VMM_STATE_VERSION,
		.size = size,
		.data = (uintptr_t)data,
	};
}

long state_get(const struct vcpu *v, unsigned int type, void *data, unsigned int size)
{
	struct vmm_state s = request(type, data, size);
	int ret = vmm_ioctl(v->fd, VMM_GET_STATE, &s);

	return ret < 0 ? ret : (long)s.size;
}

int state_set(const struct vcpu *v, unsigned int type, const void *data, unsigned int size)
{
	struct vmm_state s = request(type, data, size);

	return vmm_ioctl(v->fd, VMM_SET_STATE, &s);
}

long state_supported(int dev_fd, unsigned int type, void *data, unsigned int size)
{
	struct vmm_state s = request(type, data, size);
	int ret = vmm_ioctl(dev_fd, VMM_GET_SUPPORTED_STATE, &s);

	return ret < 0 ? ret : (long)s.size;
}

static int set_cpuid(struct vcpu *v, struct error *e)
{
	struct vmm_cpuid_entry table[VMM_MAX_CPUID_ENTRIES] = {};
	unsigned int nr;
	long size;
	int ret;

	size = state_supported(v->vm->dev_fd, VMM_STATE_CPUID, table, sizeof(table));
	if (size < 0)
		return error_set(e, "the kernel does not say what processor it offers: %s",
				 strerror(-size));
	nr = cpuid_topology(table, size / sizeof(table[0]), v->id, v->vm->nr_vcpus,
			    cpuid_native);
	ret = state_set(v, VMM_STATE_CPUID, table, nr * sizeof(table[0]));
	if (ret)
		return error_set(e, "the kernel refuses vCPU %u's CPUID: %s", v->id,
				 strerror(-ret));
	return 0;
}

static void put_reg(struct vmm_lapic_state *s, unsigned int reg, uint32_t value)
{
	memcpy(&s->regs[reg], &value, sizeof(value));
}

/*
 * Virtual wire mode (MP specification 1.4, 3.6.2.2): the 8259s' interrupts reach the bootstrap
 * processor until the kernel takes over.
 */
static int set_lapic(struct vcpu *v, struct error *e)
{
	struct vmm_lapic_state s;
	long ret = state_get(v, VMM_STATE_LAPIC, &s, sizeof(s));

	if (ret >= 0) {
		put_reg(&s, APIC_SPIV, SPIV_ENABLED);
		put_reg(&s, APIC_LVT0, LVT_EXTINT);
		put_reg(&s, APIC_LVT1, LVT_NMI);
		ret = state_set(v, VMM_STATE_LAPIC, &s, sizeof(s));
	}
	if (ret < 0)
		return error_set(e, "vCPU %u's local APIC: %s", v->id, strerror(-ret));
	return 0;
}

static bool has_msr(const struct vcpu *v, uint32_t index)
{
	uint32_t list[VMM_MAX_STATE_MSRS];
	long i, size = state_supported(v->vm->dev_fd, VMM_STATE_MSR_LIST, list, sizeof(list));

	for (i = 0; i < size / (long)sizeof(list[0]); i++) {
		if (list[i] == index)
			return true;
	}
	return false;
}

/* all memory write-back, on every processor alike, as firmware leaves it */
static int set_mtrr(struct vcpu *v, struct error *e)
{
	struct vmm_msr msr = { .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ON_WRITE_BACK };
	int ret;

	if (!has_msr(v, MSR_MTRR_DEF_TYPE))
		return 0;
	ret = state_set(v, VMM_STATE_MSRS, &msr, sizeof(msr));
	if (ret)
		return error_set(e, "vCPU %u's MTRRs: %s", v->id, strerror(-ret));
	return 0;
}

int vcpu_reset_state(struct vcpu *v, struct error *e)
{
	if (set_cpuid(v, e) || set_mtrr(v, e))
		return -1;
	return v->id ? 0 : set_lapic(v, e);
}

static struct vmm_segment flat(uint16_t selector, uint8_t type)
{
	return (struct vmm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.s = 1,
		.present = 1,
		.db = 1,
		.g = 1,
	};
}

static void fill_sregs(struct vmm_sregs *s, const struct boot_state *b)
{
	unsigned int i;

	for (i = VMM_SEG_ES; i <= VMM_SEG_GS; i++)
		s->seg[i] = flat(BOOT_DS, TYPE_DATA);
	s->seg[VMM_SEG_CS] = flat(BOOT_CS, TYPE_CODE);
	s->seg[VMM_SEG_TR] = (struct vmm_segment){
		.limit = 0x67, .selector = BOOT_TR, .type = TYPE_TSS_BUSY, .present = 1,
	};
	s->seg[VMM_SEG_LDTR] = (struct vmm_segment){ .type = TYPE_LDT, .present = 1 };
	s->gdt = (struct vmm_dtable){ .base = b->gdt, .limit = b->gdt_size - 1 };
	s->idt = (struct vmm_dtable){};
	s->cr2 = 0;
	s->cr3 = 0;
	s->cr4 = 0;
	s->cr8 = 0;
	s->efer = 0;
	s->cr0 = CR0_PE | CR0_ET | CR0_NE;

	if (b->mode == BOOT_LONG64) {
		s->seg[VMM_SEG_CS].l = 1;
		s->seg[VMM_SEG_CS].db = 0;
		s->cr0 |= CR0_WP | CR0_PG;
		s->cr3 = b->cr3;
		s->cr4 = CR4_PAE;
		s->efer = EFER_LME | EFER_LMA;
	}
}

int vcpu_boot_state(struct vm *vm, const struct boot_state *b, struct error *e)
{
	const struct vcpu *v = &vm->vcpus[0];
	struct vmm_regs regs = {
		.gpr[VMM_RAX] = b->rax,
		.gpr[VMM_RBX] = b->rbx,
		.gpr[VMM_RSI] = b->rsi,
		.gpr[VMM_RSP] = b->rsp,
		.rip = b->entry,
		.rflags = RFLAGS_FIXED,
	};
	struct vmm_sregs sregs;
	long ret;

	ret = state_get(v, VMM_STATE_SREGS, &sregs, sizeof(sregs));
	if (ret >= 0) {
		fill_sregs(&sregs, b);
		ret = state_set(v, VMM_STATE_SREGS, &sregs, sizeof(sregs));
	}
	if (!ret)
		ret = state_set(v, VMM_STATE_REGS, &regs, sizeof(regs));
	if (ret < 0)
		return error_set(e, "the kernel refuses the boot state of vCPU 0: %s",
				 strerror(-ret));
	return 0;
}
