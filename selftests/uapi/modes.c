// SPDX-License-Identifier: GPL-2.0
/*
 * Every mode of the processor: the same ideas in each, and a guest that goes through all of
 * them by itself.
 */
#include "harness.h"

/* what t_blob() runs until HLT; the vector that came, or -1 at the blob's own end */
static int run_blob(struct __test_metadata *_metadata, struct t_vcpu *v, enum t_mode mode,
		    const char *start, const char *end)
{
	struct vmm_regs regs;
	int r;

	t_blob(v, mode, start, end);
	if (!t_exits(v, VMM_EXIT_HALT)) {
		TH_LOG("mode %s", t_mode_name[mode]);
		ASSERT_TRUE(false);
	}
	t_get_regs(v, &regs);
	r = t_trap_of(regs.rip);
	if (r < 0 && (regs.rip <= T_CODE || regs.rip > T_CODE + (uint64_t)(end - start))) {
		TH_LOG("mode %s: halted at 0x%llx, outside the blob", t_mode_name[mode], regs.rip);
		t_dump(v);
		ASSERT_TRUE(false);
	}
	return r;
}

/* sum by loop, through the stack and a call; results on ports of every width */
#define SUM(ax, cx, bx)					\
	"mov $10, %" cx "\n"				\
	"xor %" ax ", %" ax "\n"			\
	"1: push %" cx "\n"				\
	"call 2f\n"					\
	"pop %" cx "\n"					\
	"loop 1b\n"					\
	"mov %" ax ", %" bx "\n"			\
	"out %eax, $0x10\n"				\
	"mov %" bx ", %" ax "\n"			\
	"out %ax, $0x10\n"				\
	"out %al, $0x10\n"				\
	"hlt\n"						\
	"2: add %" cx ", %" ax "\n"			\
	"ret\n"
T_BLOB(sum16, 16, SUM("ax", "cx", "bx"));
T_BLOB(sum32, 32, SUM("eax", "ecx", "ebx"));
T_BLOB(sum64, 64, SUM("rax", "rcx", "rbx"));

/* #DE, #BP and #UD reach their vectors; the stub halts */
T_BLOB(div16, 16, "xor %ax, %ax; xor %cx, %cx; div %cx; nop; hlt");
T_BLOB(div32, 32, "xor %eax, %eax; xor %ecx, %ecx; div %ecx; nop; hlt");
T_BLOB(ud, 32, "ud2; hlt");
T_BLOB(bp, 32, "int3; hlt");
T_BLOB(intn, 32, "int $0x42; hlt");

FIXTURE(modes)
{
	struct t_vm *vm;
	struct t_vcpu *v;
};

FIXTURE_VARIANT(modes)
{
	enum t_mode mode;
};

FIXTURE_VARIANT_ADD(modes, real) { .mode = T_REAL };
FIXTURE_VARIANT_ADD(modes, pm16) { .mode = T_PM16 };
FIXTURE_VARIANT_ADD(modes, pm32) { .mode = T_PM32 };
FIXTURE_VARIANT_ADD(modes, pg32) { .mode = T_PG32 };
FIXTURE_VARIANT_ADD(modes, pae) { .mode = T_PAE };
FIXTURE_VARIANT_ADD(modes, long64) { .mode = T_LONG };

FIXTURE_SETUP(modes)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
}

FIXTURE_TEARDOWN(modes)
{
	t_vcpu_free(self->v);
	t_vm_free(self->vm);
}

#define IS16(mode)	((mode) == T_REAL || (mode) == T_PM16)

TEST_F(modes, sum)
{
	enum t_mode m = variant->mode;
	int r;

	if (IS16(m))
		r = run_blob(_metadata, self->v, m, sum16, sum16_end);
	else if (m == T_LONG)
		r = run_blob(_metadata, self->v, m, sum64, sum64_end);
	else
		r = run_blob(_metadata, self->v, m, sum32, sum32_end);
	EXPECT_EQ(-1, r) TH_LOG("vector %d came", r);
	ASSERT_EQ(3, self->v->nr_report);
	EXPECT_EQ(55, self->v->report[0]);
	EXPECT_EQ(55, self->v->report[1]);
	EXPECT_EQ(55, self->v->report[2]);
}

TEST_F(modes, exceptions)
{
	enum t_mode m = variant->mode;
	struct vmm_regs regs;
	uint64_t want, saved = 0;

	EXPECT_EQ(0, IS16(m) ? run_blob(_metadata, self->v, m, div16, div16_end)
			     : run_blob(_metadata, self->v, m, div32, div32_end));
	/* a fault saves the address of the instruction itself */
	t_get_regs(self->v, &regs);
	memcpy(&saved, t_gpa(self->vm, regs.gpr[VMM_RSP] & 0xffff, 8),
	       m == T_REAL   ? 2
	       : m == T_LONG ? 8
			     : 4);
	want = T_CODE + 4;
	EXPECT_EQ(want, saved);

	EXPECT_EQ(6, run_blob(_metadata, self->v, m, ud, ud_end));
	EXPECT_EQ(3, run_blob(_metadata, self->v, m, bp, bp_end));
	EXPECT_EQ(0x42, run_blob(_metadata, self->v, m, intn, intn_end));
	/* software interrupts save the address behind */
	t_get_regs(self->v, &regs);
	saved = 0;
	memcpy(&saved, t_gpa(self->vm, regs.gpr[VMM_RSP] & 0xffff, 8),
	       m == T_REAL   ? 2
	       : m == T_LONG ? 8
			     : 4);
	want = T_CODE + 2;
	EXPECT_EQ(want, saved);
}

/* the registers that a run left are the ones that a get shows, and a set of them changes nothing */
TEST_F(modes, state_survives)
{
	enum t_mode m = variant->mode;
	struct vmm_sregs before, after;
	unsigned int i;

	run_blob(_metadata, self->v, m, intn, intn_end);
	t_get_sregs(self->v, &before);
	t_set_sregs(self->v, &before);
	t_get_sregs(self->v, &after);
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	EXPECT_EQ(m == T_REAL ? 0 : 1, before.cr0 & 1);
	EXPECT_EQ(m == T_LONG ? 0xd00 : m == T_PAE ? 0x800 : 0, before.efer);
	for (i = 0; i < VMM_NR_SEGS; i++)
		EXPECT_EQ(0, before.seg[i].pad);
}

/* page faults: not present, read-only under CR0.WP, no-execute, user on supervisor */
T_BLOB(pf_read, 32, "mov $0x3fc00123, %edi; mov (%edi), %eax; nop; hlt");
T_BLOB(pf_write, 32, "mov $0x3fc00ffe, %edi; mov %eax, (%edi); nop; hlt");
T_BLOB(pf_fetch, 32, "mov $0x3fc00010, %edi; jmp *%edi");

struct pf_case {
	const char *name;
	const char *start, *end;
	uint64_t pte0, pte1;
	bool wp;
	uint32_t error;
	uint32_t error_mask;
	uint64_t cr2;
};

TEST(page_faults)
{
	const struct pf_case pf[] = {
		{"read, not present", pf_read, pf_read_end, 0, 0, false, 0, ~0u, 0x3fc00123},
		{"write across, second page not present", pf_write, pf_write_end, T_DATA | 3, 0,
		 false, 2, ~0u, 0x3fc01000},
		{"write across, first page not present", pf_write, pf_write_end, 0, T_DATA | 3,
		 false, 2, ~0u, 0x3fc00ffe},
		{"write, read-only with WP", pf_write, pf_write_end, T_DATA | 1, T_DATA | 1, true,
		 3, ~0u, 0x3fc00ffe},
		{"write, read-only without WP", pf_write, pf_write_end, T_DATA | 1, T_DATA | 1,
		 false, T_ANY, 0, 0},
		{"fetch, not present", pf_fetch, pf_fetch_end, 0, 0, false, 0x10, 0x2, 0x3fc00010},
		/* P is left out: emulators report it as 0 here */
		{"fetch, no-execute", pf_fetch, pf_fetch_end, T_DATA | 3 | 1ull << 63, 0, false,
		 0x10, 0x12, 0x3fc00010},
	};
	const enum t_mode mode[] = { T_PG32, T_PAE, T_LONG };
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	unsigned int m, i;

	for (m = 0; m < ARRAY_SIZE(mode); m++) {
		for (i = 0; i < ARRAY_SIZE(pf); i++) {
			struct vmm_sregs s;
			struct vmm_regs regs;
			uint32_t error = 0;
			int vector;

			if (mode[m] == T_PG32 && pf[i].pte0 >> 63)
				continue;
			t_blob(v, mode[m], pf[i].start, pf[i].end);
			t_pte(vm, 0, pf[i].pte0);
			t_pte(vm, 1, pf[i].pte1);
			t_pte32(vm, 0, (uint32_t)pf[i].pte0);
			t_pte32(vm, 1, (uint32_t)pf[i].pte1);
			t_get_sregs(v, &s);
			if (pf[i].wp)
				s.cr0 |= 1u << 16;
			t_set_sregs(v, &s);
			ASSERT_TRUE(t_exits(v, VMM_EXIT_HALT));
			t_get_regs(v, &regs);
			t_get_sregs(v, &s);
			vector = t_trap_of(regs.rip);
			if (pf[i].error == (uint32_t)T_ANY) {
				EXPECT_EQ(-1, vector)
				TH_LOG("%s, %s: a fault came", t_mode_name[mode[m]], pf[i].name);
				continue;
			}
			EXPECT_EQ(14, vector) TH_LOG("%s, %s", t_mode_name[mode[m]], pf[i].name);
			memcpy(&error, t_gpa(vm, regs.gpr[VMM_RSP], 4), 4);
			EXPECT_EQ(pf[i].error & pf[i].error_mask, error & pf[i].error_mask)
			TH_LOG("%s, %s: error code 0x%x", t_mode_name[mode[m]], pf[i].name, error);
			EXPECT_EQ(pf[i].cr2, s.cr2)
			TH_LOG("%s, %s", t_mode_name[mode[m]], pf[i].name);
		}
	}
}

/* accessed and dirty bits of the guest's own tables are set by use */
TEST(accessed_dirty)
{
	const enum t_mode mode[] = { T_PG32, T_PAE, T_LONG };
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	unsigned int m;

	for (m = 0; m < ARRAY_SIZE(mode); m++) {
		uint64_t pte = 0;

		t_blob(v, mode[m], pf_read, pf_read_end);
		t_pte(vm, 0, T_DATA | 3);
		t_pte32(vm, 0, T_DATA | 3);
		ASSERT_TRUE(t_exits(v, VMM_EXIT_HALT));
		memcpy(&pte, t_gpa(vm, mode[m] == T_PG32 ? T_PT32 : T_PT, 8),
		       mode[m] == T_PG32 ? 4 : 8);
		EXPECT_EQ(0x20, pte & 0x60) TH_LOG("%s after a read", t_mode_name[mode[m]]);

		t_blob(v, mode[m], pf_write, pf_write_end);
		t_pte(vm, 1, (T_DATA + 0x1000) | 3);
		t_pte32(vm, 1, (T_DATA + 0x1000) | 3);
		ASSERT_TRUE(t_exits(v, VMM_EXIT_HALT));
		memcpy(&pte, t_gpa(vm, mode[m] == T_PG32 ? T_PT32 : T_PT, 8),
		       mode[m] == T_PG32 ? 4 : 8);
		EXPECT_EQ(0x60, pte & 0x60) TH_LOG("%s after a write", t_mode_name[mode[m]]);
	}
}

/*
 * From real mode through 16-bit and 32-bit protected mode, PAE paging and long mode (64-bit,
 * then compatibility), and all the way back to real mode. Each station reports its number and
 * CR0 (or EFER).
 */
__asm__(
	".pushsection .rodata\n"
	".globl journey, journey_end\n"
	".balign 16\n"
	"journey:\n"
	".code16\n"
	"	cli\n"
	"	mov $1, %al; out %al, $0x10\n"
	"	lgdtl 0x8000 + j_gdtr - journey\n"
	"	mov %cr0, %eax; or $1, %al; mov %eax, %cr0\n"
	"	ljmp $0x20, $0x8000 + j_pm16 - journey\n"
	"j_pm16:\n"
	"	mov $2, %al; out %al, $0x10\n"
	"	smsw %ax; out %ax, $0x10\n"
	"	ljmpl $0x18, $0x8000 + j_pm32 - journey\n"
	".code32\n"
	"j_pm32:\n"
	"	mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	"	mov $3, %al; out %al, $0x10\n"
	"	mov $0x28000, %eax; mov %eax, %cr3\n"		/* 32-bit paging */
	"	mov %cr4, %eax; or $0x10, %eax; mov %eax, %cr4\n"
	"	mov %cr0, %eax; bts $31, %eax; mov %eax, %cr0\n"
	"	mov $4, %al; out %al, $0x10\n"
	"	mov %cr0, %eax; btr $31, %eax; mov %eax, %cr0\n"
	"	mov %cr4, %eax; or $0x20, %eax; mov %eax, %cr4\n"	/* PAE */
	"	mov $0x26000, %eax; mov %eax, %cr3\n"
	"	mov %cr0, %eax; bts $31, %eax; mov %eax, %cr0\n"
	"	mov $5, %al; out %al, $0x10\n"
	"	mov %cr0, %eax; btr $31, %eax; mov %eax, %cr0\n"
	"	mov $0x20000, %eax; mov %eax, %cr3\n"		/* long mode */
	"	mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr\n"
	"	mov %cr0, %eax; bts $31, %eax; mov %eax, %cr0\n"
	"	mov $6, %al; out %al, $0x10\n"
	"	rdmsr; out %eax, $0x10\n"
	"	ljmp $0x08, $0x8000 + j_long - journey\n"
	".code64\n"
	"j_long:\n"
	"	mov $7, %al; out %al, $0x10\n"
	"	mov $0x123456789abcdef0, %rbx; out %al, $0x12\n"
	"	ljmp *j_back(%rip)\n"
	"j_back: .long 0x8000 + j_compat - journey; .word 0x18\n"
	".code32\n"
	"j_compat:\n"
	"	mov $8, %al; out %al, $0x10\n"
	"	mov %cr0, %eax; btr $31, %eax; mov %eax, %cr0\n"
	"	mov $0xc0000080, %ecx; rdmsr; out %eax, $0x10; and $~0x100, %eax; wrmsr\n"
	"	xor %eax, %eax; mov %eax, %cr4\n"
	"	mov $9, %al; out %al, $0x10\n"
	"	mov $0x28, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	"	ljmp $0x20, $0x8000 + j_pm16b - journey\n"
	".code16\n"
	"j_pm16b:\n"
	"	mov %cr0, %eax; and $~1, %al; mov %eax, %cr0\n"
	"	ljmp $0x800, $j_real - journey\n"
	"j_real:\n"
	"	xor %ax, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss\n"
	"	mov $10, %al; out %al, $0x10\n"
	"	mov %cs, %ax; out %ax, $0x10\n"
	"	out %al, $0x11\n"
	"	hlt\n"
	".balign 8\n"
	".skip 6\n"
	"j_gdtr: .word 103; .quad 0x1000\n"
	"journey_end:\n"
	".code64\n"
	".popsection\n");
extern const char journey[], journey_end[];

TEST(through_all_modes)
{
	static const uint64_t want[] = {
		1, 2, 0x31, 3, 4, 5, 6, 0x500, 7, 0x123456789abcdef0, 8, 0x100, 9, 10, 0x800};
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	unsigned int i;

	t_blob(v, T_REAL, journey, journey_end);
	EXPECT_TRUE(t_done(v));
	for (i = 0; i < ARRAY_SIZE(want); i++)
		EXPECT_EQ(want[i], v->report[i]) TH_LOG("report %u", i);
	EXPECT_EQ(ARRAY_SIZE(want), v->nr_report);
}

/* the state after creation is that after RESET (APM vol. 2, table 14-1) */
TEST(reset_state)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0), *ap = t_vcpu_new(vm, 1);
	struct vmm_sregs s;
	struct vmm_regs r;
	unsigned int i;

	t_get_regs(v, &r);
	t_get_sregs(v, &s);
	EXPECT_EQ(0xfff0, r.rip);
	EXPECT_EQ(2, r.rflags);
	for (i = 0; i < 16; i++)
		if (i != VMM_RDX)
			EXPECT_EQ(0, r.gpr[i]) TH_LOG("gpr %u", i);
	EXPECT_EQ(0x60000010, s.cr0);
	EXPECT_EQ(0, s.cr2);
	EXPECT_EQ(0, s.cr3);
	EXPECT_EQ(0, s.cr4);
	EXPECT_EQ(0, s.efer);
	EXPECT_EQ(0xf000, s.seg[VMM_SEG_CS].selector);
	EXPECT_EQ(0xffff0000, s.seg[VMM_SEG_CS].base);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0xffff, s.seg[i].limit) TH_LOG("segment %u", i);
	EXPECT_EQ(0xffff, s.gdt.limit);
	EXPECT_EQ(0xffff, s.idt.limit);
	EXPECT_EQ(0xfee00900, s.apic_base);
	EXPECT_EQ(VMM_MP_RUNNING, t_get_mp(v));
	t_get_sregs(ap, &s);
	EXPECT_EQ(0xfee00800, s.apic_base);
	EXPECT_EQ(VMM_MP_UNINIT, t_get_mp(ap));
}

/* the first fetch of a vCPU as created, at the end of the 4 GiB */
TEST(reset_vector)
{
	static const uint8_t code[] = {0xb8, 0x34, 0x12, 0xe7, 0x10,
				       0xea, 0x00, 0x80, 0x00, 0x00}; /* mov; out; ljmp 0:8000 */
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	uint8_t *rom = t_alloc(0x10000, 0x1000);

	memcpy(rom + 0xfff0, code, sizeof(code));
	ASSERT_OK(t_region(vm, 1, t_cap(VMM_CAP_READONLY_MEM) ? VMM_MEM_READONLY : 0, 0xffff0000,
			   0x10000, rom));
	t_load(vm, T_CODE, "\xe6\x11\xf4", 3);
	EXPECT_TRUE(t_done(v));
	EXPECT_EQ(1, v->nr_report);
	EXPECT_EQ(0x1234, v->report[0]);
}

/* virtual-8086 mode: INT goes by the protected-mode IDT to #GP where IOPL is 0; registers come and
 * go */
T_BLOB(vm86, 32,
	"andb $0xfd, 0x1045; mov $0x40, %eax; ltr %ax\n"	/* see lib/exec.c */
	"pushl $0x1000\n"		/* gs, fs, ds, es, ss, esp, eflags (VM), cs, eip */
	"pushl $0x1000\n"
	"pushl $0x1000\n"
	"pushl $0x1000\n"
	"pushl $0x1000\n"
	"pushl $0x8000\n"
	"pushl $0x20002\n"
	"pushl $0x0900\n"
	"pushl $0x0000\n"
	"iret\n");
T_BLOB(vm86_code, 16, "mov %cs, %ax; mov $0x77, %bx; int $0x21; hlt");

TEST(virtual_8086)
{
	const enum t_mode mode[] = { T_PM32, T_PG32, T_PAE };
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	struct vmm_regs regs;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mode); i++) {
		t_blob(v, mode[i], vm86, vm86_end);
		t_load(vm, 0x9000, vm86_code, vm86_code_end - vm86_code);
		ASSERT_TRUE(t_exits(v, VMM_EXIT_HALT)) TH_LOG("%s", t_mode_name[mode[i]]);
		t_get_regs(v, &regs);
		EXPECT_EQ(13, t_trap_of(regs.rip))
		TH_LOG("%s: rip 0x%llx", t_mode_name[mode[i]], regs.rip);
		EXPECT_EQ(0x900, regs.gpr[VMM_RAX] & 0xffff);
		EXPECT_EQ(0x77, regs.gpr[VMM_RBX]);
	}
}

/* SSE state goes through exits and is the vCPU's own */
T_BLOB(sse, 64,
	"mov $0x1122334455667788, %rax; movq %rax, %xmm7\n"
	"mov $0x3fe0000000000000, %rax; movq %rax, %xmm15; addsd %xmm15, %xmm15\n"
	"mov $1000, %ecx\n"
	"1: out %eax, $0x80; dec %ecx; jnz 1b\n"
	"movq %xmm7, %rbx; out %al, $0x12\n"
	"movq %xmm15, %rbx; out %al, $0x12\n"
	"out %al, $0x11; hlt");

TEST(sse_through_exits)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	unsigned int n = 0;
	enum t_out out;

	t_blob(v, T_LONG, sse, sse_end);
	while ((out = t_guest(v)) == T_EXIT) {
		ASSERT_EQ(VMM_EXIT_IO, v->run->exit_reason);
		ASSERT_EQ(0x80, v->run->u.io.port);
		__asm__ __volatile__("pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::
					     : "xmm7", "xmm15");
		n++;
	}
	EXPECT_EQ(T_DONE, out);
	EXPECT_EQ(1000, n);
	EXPECT_EQ(0x1122334455667788, v->report[0]);
	EXPECT_EQ(0x3ff0000000000000, v->report[1]);
}

VMM_TEST_MAIN
