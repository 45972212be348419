// SPDX-License-Identifier: GPL-2.0
/*
 * Start states: tables in guest memory for every mode at once, and the registers that go with
 * each (APM vol. 2, 4, 5, 14).
 *
 * All interrupt tables lead to stubs that halt, four bytes for each vector: where a halted vCPU
 * stands tells what came.
 */
#include "vmmtest.h"

const char *const t_mode_name[T_NR_MODES] = { "real", "pm16", "pm32", "pg32", "pae", "long" };

#define PTE_P	1ull
#define PTE_W	2ull
#define PTE_U	4ull
#define PTE_PS	0x80ull
#define TABLE	(PTE_P | PTE_W | PTE_U)

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned int access, unsigned int flags)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
	       (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)flags << 52 |
	       (uint64_t)(base >> 24) << 56;
}

static void put(struct t_vm *vm, uint64_t gpa, uint64_t value, unsigned int len)
{
	memcpy(t_gpa(vm, gpa, len), &value, len);
}

static void gdt(struct t_vm *vm)
{
	const uint64_t g[T_GDT_ENTRIES] = {
		[T_CS64 >> 3] = descriptor(0, 0xfffff, 0x9b, 0xa),
		[T_DS >> 3] = descriptor(0, 0xfffff, 0x93, 0xc),
		[T_CS32 >> 3] = descriptor(0, 0xfffff, 0x9b, 0xc),
		[T_CS16 >> 3] = descriptor(0, 0xffff, 0x9b, 0),
		[T_DS16 >> 3] = descriptor(0, 0xffff, 0x93, 0),
		[T_TR64 >> 3] = descriptor(T_TSS64, 0x7ff, 0x8b, 0),
		[T_TR32 >> 3] = descriptor(T_TSS32, 0x7ff, 0x8b, 0),
		[T_UCS64 >> 3] = descriptor(0, 0xfffff, 0xfb, 0xa),
		[T_UDS >> 3] = descriptor(0, 0xfffff, 0xf3, 0xc),
		[T_UCS32 >> 3] = descriptor(0, 0xfffff, 0xfb, 0xc),
		[T_UCS16 >> 3] = descriptor(0, 0xffff, 0xfb, 0),
	};

	memcpy(t_gpa(vm, T_GDT, sizeof(g)), g, sizeof(g));
	memset(t_gpa(vm, T_TSS64, 0x1000), 0, 0x1000);
	memset(t_gpa(vm, T_TSS64 + 0x68, 0x798), 0xff, 0x798);	/* no ports for CPL 3 */
	memset(t_gpa(vm, T_TSS32 + 0x68, 0x798), 0xff, 0x798);
	put(vm, T_TSS64 + 4, T_STACK0, 8);
	put(vm, T_TSS64 + 0x66, 0x68, 2);
	put(vm, T_TSS32 + 4, T_STACK0, 4);
	put(vm, T_TSS32 + 8, T_DS, 4);
	put(vm, T_TSS32 + 0x66, 0x68, 2);
}

static void idts(struct t_vm *vm)
{
	unsigned int i;

	for (i = 0; i < 256; i++) {
		uint64_t stub = T_STUBS + 4 * i;
		uint64_t gate = (stub & 0xffff) | (stub >> 16) << 48 | 0x8eull << 40;

		put(vm, stub, 0xfdebf4, 4);	/* 1: hlt; jmp 1b */
		put(vm, T_IVT + 4 * i, stub, 4);
		put(vm, T_IDT16 + 8 * i, gate | (uint64_t)T_CS16 << 16, 8);
		put(vm, T_IDT32 + 8 * i, gate | (uint64_t)T_CS32 << 16, 8);
		put(vm, T_IDT64 + 16 * i, gate | (uint64_t)T_CS64 << 16, 8);
		put(vm, T_IDT64 + 16 * i + 8, 0, 8);
	}
}

static void page_tables(struct t_vm *vm)
{
	unsigned int i;

	memset(t_gpa(vm, T_PML4, 0xa000), 0, 0xa000);
	put(vm, T_PML4, T_PDPT | TABLE, 8);
	for (i = 0; i < 4; i++) {
		put(vm, T_PDPT + 8 * i, (T_PD + 0x1000 * i) | TABLE, 8);
		put(vm, T_PDPT_PAE + 8 * i, (T_PD + 0x1000 * i) | PTE_P, 8);
	}
	for (i = 0; i < 2048; i++)
		put(vm, T_PD + 8 * i, (uint64_t)i << 21 | TABLE | PTE_PS, 8);
	for (i = 0; i < 1024; i++)
		put(vm, T_PD32 + 4 * i, (uint64_t)i << 22 | TABLE | PTE_PS, 4);
	put(vm, T_PD + 8 * (T_WINDOW >> 21), T_PT | TABLE, 8);
	put(vm, T_PD32 + 4 * (T_WINDOW >> 22), T_PT32 | TABLE, 4);
}

void t_tables(struct t_vm *vm)
{
	gdt(vm);
	idts(vm);
	page_tables(vm);
	vm->tables = true;
	vm->image = false;	/* the 64-bit IDT leads to the raw stubs again */
}

void t_pte(struct t_vm *vm, unsigned int index, uint64_t pte)
{
	put(vm, T_PT + 8 * index, pte, 8);
}

void t_pte32(struct t_vm *vm, unsigned int index, uint32_t pte)
{
	put(vm, T_PT32 + 4 * index, pte, 4);
}

void t_load(struct t_vm *vm, uint64_t gpa, const void *bytes, size_t len)
{
	memcpy(t_gpa(vm, gpa, len), bytes, len);
}

int t_trap_of(uint64_t rip)
{
	/* HLT is complete: rip is behind it */
	if (rip < T_STUBS + 1 || rip >= T_STUBS + 1024 || (rip - T_STUBS) % 4 != 1)
		return -1;
	return (int)((rip - T_STUBS) / 4);
}

void t_seg_real(struct vmm_segment *s, uint16_t selector)
{
	*s = (struct vmm_segment){.base = selector * 16u,
				  .limit = 0xffff,
				  .selector = selector,
				  .type = 3,
				  .s = 1,
				  .present = 1};
}

static void seg_flat(struct vmm_segment *s, uint16_t selector, uint8_t type, uint8_t l, uint8_t db,
		     uint32_t limit)
{
	*s = (struct vmm_segment){.limit = limit,
				  .selector = selector,
				  .type = type,
				  .s = 1,
				  .present = 1,
				  .l = l,
				  .db = db,
				  .g = limit > 0xffff};
}

static void set_segments(struct vmm_sregs *s, enum t_mode mode)
{
	unsigned int i;

	for (i = VMM_SEG_ES; i <= VMM_SEG_GS; i++) {
		if (mode == T_REAL)
			t_seg_real(&s->seg[i], 0);
		else if (mode == T_PM16)
			seg_flat(&s->seg[i], T_DS16, 3, 0, 0, 0xffff);
		else
			seg_flat(&s->seg[i], T_DS, 3, 0, 1, 0xffffffff);
	}
	if (mode == T_REAL)
		s->seg[VMM_SEG_CS].type = 0xb;
	else if (mode == T_PM16)
		seg_flat(&s->seg[VMM_SEG_CS], T_CS16, 0xb, 0, 0, 0xffff);
	else if (mode == T_LONG)
		seg_flat(&s->seg[VMM_SEG_CS], T_CS64, 0xb, 1, 0, 0xffffffff);
	else
		seg_flat(&s->seg[VMM_SEG_CS], T_CS32, 0xb, 0, 1, 0xffffffff);

	s->seg[VMM_SEG_LDTR] = (struct vmm_segment){ .type = 2, .unusable = 1 };
	s->seg[VMM_SEG_TR] = (struct vmm_segment){.base = mode == T_LONG ? T_TSS64 : T_TSS32,
						  .limit = 0x67,
						  .type = 0xb,
						  .present = 1,
						  .selector = mode == T_LONG ? T_TR64 : T_TR32};
	if (mode == T_REAL) {
		s->seg[VMM_SEG_LDTR] =
			(struct vmm_segment){.limit = 0xffff, .type = 2, .present = 1};
		s->seg[VMM_SEG_TR] =
			(struct vmm_segment){.limit = 0xffff, .type = 0xb, .present = 1};
	}
}

/*
 * Bochs with VT-x keeps NMIs blocked in one guest for the next, whatever that one's state says, until
 * some guest executes IRET.
 */
void t_unblock_nmis(void)
{
	static const uint32_t frame[3] = { T_CODE + 1, T_CS32, 2 };
	struct vmm_regs r;
	struct t_vcpu *v;
	struct t_vm *vm;

	if (!t_bochs_vmx())
		return;
	vm = t_vm_new();
	v = t_vcpu_new(vm, 0);
	t_load(vm, T_CODE, "\xcf\xf4", 2);	/* iret; hlt */
	t_set_mode(v, T_PM32);
	t_get_regs(v, &r);
	r.gpr[VMM_RSP] -= sizeof(frame);
	t_set_regs(v, &r);
	t_load(vm, r.gpr[VMM_RSP], frame, sizeof(frame));
	t_run(v);
	t_get_regs(v, &r);
	if (v->run->exit_reason != VMM_EXIT_HALT || r.rip != T_CODE + 2)
		t_die("IRET did not reach HLT");
	t_vcpu_free(v);
	t_vm_free(vm);
}

/* t_set_mode - everything that a blob at T_CODE needs; the local APIC, XCR0 and MSRs but EFER stay
 */
void t_set_mode(struct t_vcpu *v, enum t_mode mode)
{
	struct vmm_regs regs = { .rip = T_CODE, .rflags = 2, .gpr[VMM_RSP] = T_STACK };
	struct vmm_events ev = { 0 };
	struct vmm_sregs s;

	t_settle(v);
	t_get_events(v, &ev);
	if (ev.flags & VMM_EV_NMI_BLOCKED)
		t_unblock_nmis();
	ev = (struct vmm_events){ 0 };
	if (!v->vm->tables)
		t_tables(v->vm);
	t_get_sregs(v, &s);
	set_segments(&s, mode);
	s.gdt = (struct vmm_dtable){ .base = T_GDT, .limit = 8 * T_GDT_ENTRIES - 1 };
	s.idt = (struct vmm_dtable){ .base = T_IVT, .limit = 0x3ff };
	s.cr0 = 0x30;		/* ET, NE */
	s.cr2 = 0;
	s.cr3 = 0;
	s.cr4 = 0x600;		/* OSFXSR, OSXMMEXCPT */
	s.cr8 = 0;
	s.efer = 0;
	memset(s.pdptr, 0, sizeof(s.pdptr));
	if (mode != T_REAL) {
		s.cr0 |= 1;
		s.idt = (struct vmm_dtable){.base = mode == T_PM16 ? T_IDT16 : T_IDT32,
					    .limit = 256 * 8 - 1};
	}
	if (mode == T_PG32) {
		s.cr0 |= 1u << 31;
		s.cr3 = T_PD32;
		s.cr4 |= 0x10;	/* PSE */
	} else if (mode == T_PAE) {
		s.cr0 |= 1u << 31;
		s.cr3 = T_PDPT_PAE;
		s.cr4 |= 0x20;
		s.efer = 0x800;	/* NXE */
	} else if (mode == T_LONG) {
		s.cr0 |= 1u << 31 | 2;	/* MP, too: C guests may use SSE */
		s.cr3 = T_PML4;
		s.cr4 |= 0x20;
		s.efer = 0xd00;	/* NXE, LMA, LME */
		s.idt = (struct vmm_dtable){ .base = T_IDT64, .limit = 256 * 16 - 1 };
	}
	t_set_sregs(v, &s);
	t_set_regs(v, &regs);
	t_set_events(v, &ev);
	t_set_mp(v, VMM_MP_RUNNING);
}

void t_blob(struct t_vcpu *v, enum t_mode mode, const char *start, const char *end)
{
	t_load(v->vm, T_CODE, start, end - start);
	t_set_mode(v, mode);
}
