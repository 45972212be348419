// SPDX-License-Identifier: GPL-2.0
/*
 * State of a vCPU and of a VM: what is set is what a get shows; what no processor could hold is
 * refused, and nothing changes then.
 */
#include "harness.h"

FIXTURE(state)
{
	struct t_vm *vm;
	struct t_vcpu *v;
};

FIXTURE_SETUP(state)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
}

FIXTURE_TEARDOWN(state)
{
}

static const struct {
	uint32_t type;
	uint32_t size;
	const char *name;
} fixed[] = {
	{ VMM_STATE_REGS, sizeof(struct vmm_regs), "REGS" },
	{ VMM_STATE_SREGS, sizeof(struct vmm_sregs), "SREGS" },
	{ VMM_STATE_DEBUGREGS, sizeof(struct vmm_debugregs), "DEBUGREGS" },
	{ VMM_STATE_XCRS, sizeof(struct vmm_xcrs), "XCRS" },
	{ VMM_STATE_LAPIC, sizeof(struct vmm_lapic_state), "LAPIC" },
	{ VMM_STATE_EVENTS, sizeof(struct vmm_events), "EVENTS" },
	{ VMM_STATE_MP, sizeof(struct vmm_mp_state), "MP" },
};

/* a get tells the size, takes a buffer that is larger, and refuses one that is smaller; a set takes
 * exactly what a get gave */
TEST_F(state, sizes)
{
	uint8_t buf[8192], again[8192];
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(fixed); i++) {
		struct vmm_state s = { fixed[i].type, VMM_STATE_VERSION, 0, 0, (uintptr_t)buf };

		EXPECT_ERR(E2BIG, t_ioctl(self->v->fd, VMM_GET_STATE, &s));
		EXPECT_EQ(fixed[i].size, s.size) TH_LOG("%s", fixed[i].name);
		s.size = fixed[i].size - 1;
		EXPECT_ERR(E2BIG, t_ioctl(self->v->fd, VMM_GET_STATE, &s));
		EXPECT_EQ(fixed[i].size, s.size) TH_LOG("%s", fixed[i].name);
		memset(buf, 0xee, sizeof(buf));
		EXPECT_OK(t_get(self->v->fd, fixed[i].type, buf, fixed[i].size));
		EXPECT_EQ(0xee, buf[fixed[i].size])
		TH_LOG("%s: written beyond its size", fixed[i].name);
		EXPECT_OK(t_get(self->v->fd, fixed[i].type, buf, fixed[i].size + 64));
		EXPECT_OK(t_set(self->v->fd, fixed[i].type, buf, fixed[i].size));
		EXPECT_OK(t_get(self->v->fd, fixed[i].type, again, fixed[i].size));
		for (k = 0; k < fixed[i].size && fixed[i].type != VMM_STATE_LAPIC; k++) {
			EXPECT_EQ(buf[k], again[k]) {
				TH_LOG("%s: byte %u changed by a round trip", fixed[i].name, k);
				break;
			}
		}
		EXPECT_GT(0, t_set(self->v->fd, fixed[i].type, buf, fixed[i].size - 1))
		TH_LOG("%s: too small", fixed[i].name);
		EXPECT_GT(0, t_set(self->v->fd, fixed[i].type, buf, fixed[i].size + 1))
		TH_LOG("%s: too large", fixed[i].name);
		EXPECT_GT(0, t_set(self->v->fd, fixed[i].type, buf, 0))
		TH_LOG("%s: nothing", fixed[i].name);
		EXPECT_GT(0, t_set(self->v->fd, fixed[i].type, buf, 0xffffffff))
		TH_LOG("%s: 4 GiB", fixed[i].name);
	}
}

/* a set that must fail with EINVAL and leave everything as it was */
static void refused(struct __test_metadata *_metadata, struct t_vcpu *v, uint32_t type,
		    const void *bad, uint32_t size, const char *what)
{
	uint8_t before[8192], after[8192];
	int r;

	t_get(v->fd, type, before, size);
	r = t_set(v->fd, type, bad, size);
	EXPECT_EQ(-EINVAL, r) TH_LOG("%s: %d, wanted -EINVAL", what, r);
	t_get(v->fd, type, after, size);
	EXPECT_EQ(0, memcmp(before, after, size))
	TH_LOG("%s: something changed although it was refused", what);
	if (!r)
		t_set(v->fd, type, before, size);
}

TEST_F(state, reserved_fields)
{
	struct vmm_sregs s;
	struct vmm_debugregs d;
	struct vmm_events ev;
	struct vmm_lapic_state l;
	unsigned int i;

	t_get_sregs(self->v, &s);
	for (i = 0; i < VMM_NR_SEGS; i++) {
		s.seg[i].pad = 1;
		refused(_metadata, self->v, VMM_STATE_SREGS, &s, sizeof(s), "pad of a segment");
		s.seg[i].pad = 0;
	}
	for (i = 0; i < 3; i++) {
		s.gdt.pad[i] = 1;
		refused(_metadata, self->v, VMM_STATE_SREGS, &s, sizeof(s), "pad of GDTR");
		s.gdt.pad[i] = 0;
		s.idt.pad[i] = 1;
		refused(_metadata, self->v, VMM_STATE_SREGS, &s, sizeof(s), "pad of IDTR");
		s.idt.pad[i] = 0;
	}
	for (i = 0; i < 4; i++) {
		s.pad[i] = 1ull << 63;
		refused(_metadata, self->v, VMM_STATE_SREGS, &s, sizeof(s), "pad of SREGS");
		s.pad[i] = 0;
	}
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d)));
	for (i = 0; i < 2; i++) {
		d.pad[i] = 1;
		refused(_metadata, self->v, VMM_STATE_DEBUGREGS, &d, sizeof(d), "pad of DEBUGREGS");
		d.pad[i] = 0;
	}
	t_get_events(self->v, &ev);
	for (i = 0; i < 4; i++) {
		ev.pad[i] = 1;
		refused(_metadata, self->v, VMM_STATE_EVENTS, &ev, sizeof(ev), "pad of EVENTS");
		ev.pad[i] = 0;
	}
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_LAPIC, &l, sizeof(l)));
	for (i = 0; i < ARRAY_SIZE(l.pad); i++) {
		l.pad[i] = 1;
		refused(_metadata, self->v, VMM_STATE_LAPIC, &l, sizeof(l), "pad of LAPIC");
		l.pad[i] = 0;
	}
	for (i = 0; i < 3; i++) {
		struct vmm_xcrs x = { .xcr0 = 1 };
		struct vmm_mp_state mp = { 0 };

		x.pad[i] = 1;
		refused(_metadata, self->v, VMM_STATE_XCRS, &x, sizeof(x), "pad of XCRS");
		mp.pad[i] = 1;
		refused(_metadata, self->v, VMM_STATE_MP, &mp, sizeof(mp), "pad of MP");
	}
}

TEST_F(state, regs)
{
	struct vmm_regs r, got;
	unsigned int i;

	for (i = 0; i < 16; i++)
		r.gpr[i] = 0x0123456789abcdef * (i + 1);
	r.rip = 0x7fff12345678;
	r.rflags = 0x246;
	t_set_regs(self->v, &r);
	t_get_regs(self->v, &got);
	EXPECT_EQ(0, memcmp(&r, &got, sizeof(r)));
	/* bit 1 reads as one */
	r.rflags = 0;
	t_set_regs(self->v, &r);
	t_get_regs(self->v, &got);
	EXPECT_EQ(2, got.rflags);
}

/* the guest finds in its registers what was set */
TEST_F(state, regs_reach_the_guest)
{
	struct vmm_regs r, got;
	unsigned int i;

	t_load(self->vm, T_CODE, "\xf4", 1);
	t_set_mode(self->v, T_LONG);
	t_get_regs(self->v, &r);
	for (i = 0; i < 16; i++)
		r.gpr[i] = 0x0123456789abcdef * (i + 1);
	r.rflags = 0xcd7 & ~0x100;
	t_set_regs(self->v, &r);
	ASSERT_EQ(VMM_EXIT_HALT, t_run(self->v));
	t_get_regs(self->v, &got);
	for (i = 0; i < 16; i++)
		EXPECT_EQ(r.gpr[i], got.gpr[i]) TH_LOG("register %u", i);
	EXPECT_EQ(r.rflags, got.rflags);
	EXPECT_EQ(T_CODE + 1, got.rip);
}

TEST_F(state, sregs)
{
	enum t_mode m;

	for (m = 0; m < T_NR_MODES; m++) {
		struct vmm_sregs s, got;

		t_set_mode(self->v, m);
		t_get_sregs(self->v, &s);
		s.cr2 = 0x123456789abc;
		s.cr8 = 5;
		s.seg[VMM_SEG_FS].base = 0x12345678;
		s.seg[VMM_SEG_GS].selector = 0x1234;
		s.gdt.limit = 0x1ff;
		t_set_sregs(self->v, &s);
		t_get_sregs(self->v, &got);
		EXPECT_EQ(0, memcmp(&s, &got, sizeof(s))) TH_LOG("%s", t_mode_name[m]);
	}
}

TEST_F(state, sregs_refused)
{
	struct vmm_sregs good, s;

	t_set_mode(self->v, T_LONG);
	t_get_sregs(self->v, &good);
#define BAD(what, change)                                                          \
	do {                                                                       \
		s = good;                                                          \
		change;                                                            \
		refused(_metadata, self->v, VMM_STATE_SREGS, &s, sizeof(s), what); \
	} while (0)
	BAD("CR0.PG without PE", s.cr0 &= ~1ull);
	BAD("CR0.NW without CD", s.cr0 |= 1u << 29);
	BAD("CR0 high half", s.cr0 |= 1ull << 40);
	BAD("CR4 reserved bit", s.cr4 |= 1u << 15);
	BAD("CR4 high half", s.cr4 |= 1ull << 40);
	BAD("CR4.VMXE", s.cr4 |= 1u << 13);
	BAD("long mode without PAE", s.cr4 &= ~0x20ull);
	BAD("CR3 beyond the physical address width", s.cr3 |= 1ull << 60);
	BAD("CR8 above 15", s.cr8 = 16);
	BAD("CR8 high", s.cr8 = 1ull << 32);
	BAD("EFER reserved bit", s.efer |= 1ull << 1);
	BAD("EFER high half", s.efer |= 1ull << 50);
	BAD("EFER.LMA without LME", s.efer = 0x400);
	BAD("EFER.LME and paging without LMA", s.efer = 0x100);
	BAD("EFER.SVME", s.efer |= 1ull << 12);
	BAD("CS both L and D", s.seg[VMM_SEG_CS].db = 1);
	BAD("GDTR not canonical", s.gdt.base = 1ull << 60);
	BAD("IDTR not canonical", s.idt.base = 1ull << 60);
	BAD("FS base not canonical", s.seg[VMM_SEG_FS].base = 1ull << 60);
	BAD("GS base not canonical", s.seg[VMM_SEG_GS].base = 1ull << 60);
	BAD("TR base not canonical", s.seg[VMM_SEG_TR].base = 1ull << 60);
	BAD("segment type above 15", s.seg[VMM_SEG_DS].type = 16);
	BAD("segment DPL above 3", s.seg[VMM_SEG_DS].dpl = 4);
	BAD("segment S above 1", s.seg[VMM_SEG_DS].s = 2);
	BAD("segment P above 1", s.seg[VMM_SEG_DS].present = 2);
	BAD("segment L above 1", s.seg[VMM_SEG_CS].l = 2);
	BAD("segment unusable above 1", s.seg[VMM_SEG_DS].unusable = 2);
	BAD("APIC base reserved bit", s.apic_base |= 1);
	BAD("APIC base beyond the physical address width", s.apic_base |= 1ull << 60);
	BAD("APIC base x2APIC without enable", s.apic_base = (s.apic_base & ~0xc00ull) | 0x400);
	/* and in real mode */
	t_set_mode(self->v, T_REAL);
	t_get_sregs(self->v, &good);
	BAD("real mode with EFER.LMA", s.efer = 0x500);
	t_load(self->vm, T_CODE, "\xe6\x11\xf4", 3);
	t_set_mode(self->v, T_LONG);
	EXPECT_TRUE(t_done(self->v));
}

/* whatever is given: an answer, and no harm; the processor's refusal is an exit */
TEST_F(state, sregs_fuzz)
{
	uint64_t seed = 0x12345;
	unsigned int i, k, accepted = 0, n;

	t_short_runs(20);
	for (i = 0; i < 1000; i++) {
		struct vmm_sregs s;
		uint8_t *p = (uint8_t *)&s;
		int r;

		t_set_mode(self->v, i % T_NR_MODES);
		t_get_sregs(self->v, &s);
		n = 1 + i % 3;
		for (k = 0; k < n; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			p[(seed >> 33) % sizeof(s)] ^= 1u << (seed >> 20 & 7);
		}
		r = t_set(self->v->fd, VMM_STATE_SREGS, &s, sizeof(s));
		if (r)
			continue;
		accepted++;
		/*
		 * QEMU itself ends when a CPL 3 guest needs a task state segment that QEMU does
		 * not like. And its VMEXIT restores CR0 first: with the guest's LME, and
		 * without the guest's PAE, it leaves the host without paging.
		 */
		if (t_emulated() && (s.seg[VMM_SEG_SS].dpl || s.seg[VMM_SEG_CS].dpl ||
				     ((s.efer & 0x100) && !(s.cr4 & 0x20))))
			continue;
		t_load(self->vm, T_CODE, "\xe6\x11\xf4\xf4", 4);
		t_run(self->v);
	}
	t_short_runs(0);
	EXPECT_LT(100, accepted);
	t_set_mode(self->v, T_LONG);
	t_load(self->vm, T_CODE, "\xe6\x11\xf4\xf4", 4);
	EXPECT_TRUE(t_done(self->v));
}

TEST_F(state, debugregs)
{
	struct vmm_debugregs d = {.db = {0x1000, 0x2000, 0x3000, 0x4000},
				  .dr6 = 0xffff4ff1,
				  .dr7 = 0x455},
			     got;

	ASSERT_OK(t_set(self->v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d)));
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_DEBUGREGS, &got, sizeof(got)));
	EXPECT_EQ(0, memcmp(&d, &got, sizeof(d)));
	d.dr6 = 1ull << 32;
	refused(_metadata, self->v, VMM_STATE_DEBUGREGS, &d, sizeof(d), "DR6 high half");
	d.dr6 = 0xffff0ff0;
	d.dr7 = 1ull << 32;
	refused(_metadata, self->v, VMM_STATE_DEBUGREGS, &d, sizeof(d), "DR7 high half");
}

/* breakpoints that were set from outside work in the guest */
TEST_F(state, debugregs_work)
{
	struct vmm_debugregs d = {.db = {T_CODE + 1, T_DATA},
				  .dr6 = 0xffff0ff0,
				  .dr7 = 0xd00402}; /* execute; write of 4 bytes */
	struct vmm_regs r;

	t_load(self->vm, T_CODE, "\x90\x90\x89\x07\x90\xf4", 6); /* nop; nop; mov %eax, (%rdi) */
	t_set_mode(self->v, T_LONG);
	ASSERT_OK(t_set(self->v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d)));
	ASSERT_EQ(VMM_EXIT_HALT, t_run(self->v));
	t_get_regs(self->v, &r);
	if (t_trap_of(r.rip) < 0 && t_emulated())
		SKIP(return, "this processor does not arm the breakpoints that VMRUN loads (QEMU)");
	EXPECT_EQ(1, t_trap_of(r.rip)) TH_LOG("rip 0x%llx", r.rip);
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d)));
	if (!t_bochs_svm())
		EXPECT_EQ(1, d.dr6 & 0xf);
	EXPECT_EQ(T_CODE + 1, *(uint64_t *)t_gpa(self->vm, r.gpr[VMM_RSP], 8));

	t_set_mode(self->v, T_LONG);
	d.dr6 = 0xffff0ff0;
	d.dr7 = 0xd00408;
	ASSERT_OK(t_set(self->v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d)));
	t_get_regs(self->v, &r);
	r.gpr[VMM_RDI] = T_DATA;
	t_set_regs(self->v, &r);
	ASSERT_EQ(VMM_EXIT_HALT, t_run(self->v));
	t_get_regs(self->v, &r);
	EXPECT_EQ(1, t_trap_of(r.rip)) TH_LOG("rip 0x%llx", r.rip);
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d)));
	if (!t_bochs_svm())
		EXPECT_EQ(2, d.dr6 & 0xf);
	EXPECT_EQ(T_CODE + 4, *(uint64_t *)t_gpa(self->vm, r.gpr[VMM_RSP], 8));
}

TEST_F(state, xcrs)
{
	struct vmm_xcrs x = { .xcr0 = 3 }, got;

	if (!t_cpuid_bit(1, 0, 2, 26))
		SKIP(return, "XSAVE is not offered");
	ASSERT_OK(t_set(self->v->fd, VMM_STATE_XCRS, &x, sizeof(x)));
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_XCRS, &got, sizeof(got)));
	EXPECT_EQ(3, got.xcr0);
	x.xcr0 = 0;
	refused(_metadata, self->v, VMM_STATE_XCRS, &x, sizeof(x), "XCR0 without x87");
	x.xcr0 = 5;
	refused(_metadata, self->v, VMM_STATE_XCRS, &x, sizeof(x), "XCR0 AVX without SSE");
	x.xcr0 = 1ull << 62 | 3;
	refused(_metadata, self->v, VMM_STATE_XCRS, &x, sizeof(x), "XCR0 unknown bit");
}

TEST_F(state, xsave)
{
	uint32_t size = t_state_size(self->v->fd, VMM_GET_STATE, VMM_STATE_XSAVE), i;
	uint8_t *a = t_alloc(size + 4096, 4096), *b = t_alloc(size + 4096, 4096);
	uint64_t value;
	static const uint8_t code[] = {
		0xf2, 0x0f, 0x10, 0x04, 0x25, 0x00, 0x00, 0x01, 0x00,	/* movsd 0x10000, %xmm0 */
		0x66, 0x48, 0x0f, 0x7e, 0xcb,				/* movq %xmm1, %rbx */
		0xe6, 0x12, 0xe6, 0x11, 0xf4,
	};

	EXPECT_LE(576, size);
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_XSAVE, a, size));
	/* power-up values (SDM vol. 1, 13.6): FCW, MXCSR */
	EXPECT_EQ(0x37f, a[0] | a[1] << 8);
	EXPECT_EQ(0x1f80, *(uint32_t *)(a + 24));
	/* XMM1 from outside reaches the guest, XMM0 of the guest comes out */
	memset(a + 160 + 16, 0x77, 16);
	*(uint64_t *)(a + 512) |= 3;
	ASSERT_OK(t_set(self->v->fd, VMM_STATE_XSAVE, a, size));
	*(uint64_t *)t_gpa(self->vm, T_DATA, 8) = 0x1122334455667788;
	t_load(self->vm, T_CODE, code, sizeof(code));
	t_set_mode(self->v, T_LONG);
	ASSERT_TRUE(t_done(self->v));
	EXPECT_EQ(0x7777777777777777, self->v->report[0]);
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_XSAVE, b, size));
	memcpy(&value, b + 160, 8);
	EXPECT_EQ(0x1122334455667788, value);
	/* a round trip */
	TH_LOG("size %u, XSTATE_BV 0x%lx, XCOMP_BV 0x%lx, MXCSR 0x%x mask 0x%x", size,
	       *(uint64_t *)(b + 512), *(uint64_t *)(b + 520), *(uint32_t *)(b + 24),
	       *(uint32_t *)(b + 28));
	ASSERT_OK(t_set(self->v->fd, VMM_STATE_XSAVE, b, size));
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_XSAVE, a, size));
	for (i = 0; i < size; i++) {
		if (i >= 464 && i < 512)
			continue;	/* software's own */
		EXPECT_EQ(b[i], a[i]) {
			TH_LOG("byte %u", i);
			break;
		}
	}
	/* refused: MXCSR reserved bits, XSTATE_BV beyond what is offered, XCOMP_BV, header reserved
	 */
	memcpy(a, b, size);
	*(uint32_t *)(a + 24) = 0xffff0000;
	EXPECT_ERR(EINVAL, t_set(self->v->fd, VMM_STATE_XSAVE, a, size));
	memcpy(a, b, size);
	*(uint64_t *)(a + 512) |= 1ull << 62;
	EXPECT_ERR(EINVAL, t_set(self->v->fd, VMM_STATE_XSAVE, a, size));
	memcpy(a, b, size);
	a[512 + 16] = 1;
	EXPECT_ERR(EINVAL, t_set(self->v->fd, VMM_STATE_XSAVE, a, size));
	memcpy(a, b, size);
	*(uint64_t *)(a + 520) = 1ull << 63 | 3;
	EXPECT_ERR(EINVAL, t_set(self->v->fd, VMM_STATE_XSAVE, a, size));
	EXPECT_GT(0, t_set(self->v->fd, VMM_STATE_XSAVE, b, 100));
	EXPECT_GT(0, t_set(self->v->fd, VMM_STATE_XSAVE, b, 0));
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_XSAVE, a, size));
	memcpy(&value, a + 160, 8);
	EXPECT_EQ(0x1122334455667788, value);
}

TEST_F(state, mp)
{
	uint32_t i;

	for (i = 0; i < 4; i++) {
		t_set_mp(self->v, i);
		EXPECT_EQ(i, t_get_mp(self->v));
	}
	t_set_mp(self->v, 0);
	for (i = 4; i < 40; i += 7) {
		struct vmm_mp_state mp = { .state = i };

		refused(_metadata, self->v, VMM_STATE_MP, &mp, sizeof(mp), "unknown MP state");
	}
}

TEST_F(state, events_refused)
{
	struct vmm_events ev;
	unsigned int b;

	for (b = 12; b < 32; b++) {
		ev = (struct vmm_events){ .flags = 1u << b };
		refused(_metadata, self->v, VMM_STATE_EVENTS, &ev, sizeof(ev), "unknown flag");
	}
	ev = (struct vmm_events){ .flags = VMM_EV_EXC_PENDING, .exc_vector = 32 };
	refused(_metadata, self->v, VMM_STATE_EVENTS, &ev, sizeof(ev), "exception 32");
	ev = (struct vmm_events){ .flags = VMM_EV_EXC_PENDING, .exc_vector = 2 };
	refused(_metadata, self->v, VMM_STATE_EVENTS, &ev, sizeof(ev),
		"exception 2, which is the NMI");
	ev = (struct vmm_events){ .flags = VMM_EV_EXC_REINJECT, .exc_vector = 255 };
	refused(_metadata, self->v, VMM_STATE_EVENTS, &ev, sizeof(ev), "exception 255");
	ev = (struct vmm_events){ .flags = VMM_EV_NMI_PENDING, .nmi_pending = 3 };
	refused(_metadata, self->v, VMM_STATE_EVENTS, &ev, sizeof(ev), "three NMIs");
	ev = (struct vmm_events){ .flags = VMM_EV_SIPI_PENDING, .sipi_vector = 256 };
	refused(_metadata, self->v, VMM_STATE_EVENTS, &ev, sizeof(ev), "SIPI vector 256");
	ev = (struct vmm_events){ .flags = VMM_EV_SOFT_REINJECT, .irq_vector = 3, .insn_len = 16 };
	refused(_metadata, self->v, VMM_STATE_EVENTS, &ev, sizeof(ev), "INT of 16 bytes");
	ev = (struct vmm_events){.flags = VMM_EV_EXC_REINJECT | VMM_EV_IRQ_REINJECT,
				 .exc_vector = 6,
				 .irq_vector = 0x40};
	refused(_metadata, self->v, VMM_STATE_EVENTS, &ev, sizeof(ev), "two events in delivery");
}

/* local APIC: registers that hold values, and the timer */
TEST_F(state, lapic)
{
	struct vmm_lapic_state s, got;
	uint32_t v;

	ASSERT_OK(t_get(self->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)));
#define REG(st, off) (*(uint32_t *)((st).regs + (off)))
	EXPECT_EQ(0, REG(s, 0x20) >> 24);
	EXPECT_EQ(0x10, REG(s, 0x30) & 0xf0) TH_LOG("version 0x%x", REG(s, 0x30));
	EXPECT_LE(0x10, REG(s, 0x30) & 0xff);
	EXPECT_GE(0x1f, REG(s, 0x30) & 0xff);
	EXPECT_EQ(0xff, REG(s, 0xf0) & 0xfff) TH_LOG("SVR 0x%x", REG(s, 0xf0));
	EXPECT_EQ(0xffffffff, REG(s, 0xe0));
	EXPECT_EQ(0x10000, REG(s, 0x350)) TH_LOG("LVT0");
	EXPECT_EQ(0x10000, REG(s, 0x320)) TH_LOG("LVTT");
	REG(s, 0xf0) = 0x1ff;
	REG(s, 0x80) = 0x20;
	REG(s, 0x320) = 0x200ee;	/* periodic */
	REG(s, 0x350) = 0x8700;
	REG(s, 0x370) = 0xfe;
	REG(s, 0x3e0) = 0xb;
	REG(s, 0x380) = 0;
	REG(s, 0x210) = 0x00020000;	/* IRR: vector 0x31 */
	REG(s, 0x100 + 0x20) = 1;	/* ISR: vector 0x40 */
	REG(s, 0xd0) = 0x01000000;
	ASSERT_OK(t_set(self->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)));
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_LAPIC, &got, sizeof(got)));
	for (v = 0; v < 0x3f0; v += 16) {
		if (v == 0xa0 || v == 0xc0 || v == 0x390)
			continue;
		EXPECT_EQ(REG(s, v), REG(got, v)) TH_LOG("register 0x%x", v);
	}
	EXPECT_EQ(0x40, REG(got, 0xa0)) TH_LOG("PPR is that of the vector in service");
	/* a vector below 16 cannot be requested */
	s = got;
	REG(s, 0x200) = 1;
	v = t_set(self->v->fd, VMM_STATE_LAPIC, &s, sizeof(s));
	if (!v) {
		ASSERT_OK(t_get(self->v->fd, VMM_STATE_LAPIC, &got, sizeof(got)));
		TH_LOG("IRR bit 0 accepted: reads 0x%x", REG(got, 0x200));
	}
}

TEST_F(state, lapic_fuzz)
{
	uint64_t seed = 99;
	unsigned int i, k, accepted = 0;

	t_short_runs(20);
	for (i = 0; i < 600; i++) {
		struct vmm_lapic_state s;
		uint8_t *p = (uint8_t *)&s;

		ASSERT_OK(t_get(self->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)));
		for (k = 0; k < 1 + i % 8; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			p[(seed >> 33) % sizeof(s)] ^= 1u << (seed >> 20 & 7);
		}
		if (t_set(self->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)))
			continue;
		accepted++;
		t_load(self->vm, T_CODE, "\xe6\x11\xf4\xf4", 4);
		t_set_mode(self->v, T_LONG);
		t_run(self->v);
	}
	t_short_runs(0);
	TH_LOG("%u of 600 accepted", accepted);
}

TEST_F(state, clock)
{
	struct vmm_clock a, b, set;

	ASSERT_OK(t_vm_get(self->vm, VMM_STATE_CLOCK, &a, sizeof(a)));
	t_sleep_ms(50);
	ASSERT_OK(t_vm_get(self->vm, VMM_STATE_CLOCK, &b, sizeof(b)));
	EXPECT_LT(a.guest_ns + 49000000, b.guest_ns);
	EXPECT_LT(a.guest_tsc, b.guest_tsc);
	EXPECT_LT(a.host_boottime_ns, b.host_boottime_ns);
	EXPECT_EQ(t_cap(VMM_CAP_TSC_KHZ), b.tsc_khz);
	/* set back, and on from there */
	set = a;
	ASSERT_OK(t_vm_set(self->vm, VMM_STATE_CLOCK, &set, sizeof(set)));
	ASSERT_OK(t_vm_get(self->vm, VMM_STATE_CLOCK, &b, sizeof(b)));
	EXPECT_LE(a.guest_ns, b.guest_ns);
	EXPECT_GT(a.guest_ns + 40000000, b.guest_ns)
	TH_LOG("%llu ns after it was set", b.guest_ns - a.guest_ns);
	EXPECT_LE(a.guest_tsc, b.guest_tsc);
	set.guest_ns = 1000000000000;
	set.guest_tsc = 5000000000000;
	set.tsc_khz = 0;
	ASSERT_OK(t_vm_set(self->vm, VMM_STATE_CLOCK, &set, sizeof(set)));
	ASSERT_OK(t_vm_get(self->vm, VMM_STATE_CLOCK, &b, sizeof(b)));
	EXPECT_LE(set.guest_ns, b.guest_ns);
	EXPECT_GT(set.guest_ns + 10000000000, b.guest_ns);
	EXPECT_LE(set.guest_tsc, b.guest_tsc);
	set = b;
	set.tsc_khz = b.tsc_khz + 1000;
	EXPECT_ERR(EINVAL, t_vm_set(self->vm, VMM_STATE_CLOCK, &set, sizeof(set)));
	set = b;
	set.pad[3] = 1;
	EXPECT_ERR(EINVAL, t_vm_set(self->vm, VMM_STATE_CLOCK, &set, sizeof(set)));
}

/* MSRs: the list that makes up the state can be read and written back as a whole */
TEST_F(state, msr_list)
{
	int sys = t_open();
	uint32_t size = t_state_size(sys, VMM_GET_SUPPORTED_STATE, VMM_STATE_MSR_LIST),
		 nr = size / 4, i;
	uint32_t *list = calloc(nr, 4);
	struct vmm_msr *m = calloc(nr, sizeof(*m)), *again = calloc(nr, sizeof(*m)), one[2];
	struct vmm_state s = { VMM_STATE_MSR_LIST, VMM_STATE_VERSION, size, 0, (uintptr_t)list };
	static const uint32_t must[] = {0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102,
					0x174,	    0x175,	0x176,	    0x277,	0x10};
	unsigned int k;

	ASSERT_OK(t_ioctl(sys, VMM_GET_SUPPORTED_STATE, &s));
	for (k = 0; k < ARRAY_SIZE(must); k++) {
		bool there = false;

		for (i = 0; i < nr; i++)
			there |= list[i] == must[k];
		EXPECT_TRUE(there) TH_LOG("MSR 0x%x is not in the list", must[k]);
	}
	for (i = 0; i < nr; i++)
		m[i].index = list[i];
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_MSRS, m, nr * sizeof(*m)));
	EXPECT_OK(t_set(self->v->fd, VMM_STATE_MSRS, m, nr * sizeof(*m)));
	for (i = 0; i < nr; i++)
		again[i].index = list[i];
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_MSRS, again, nr * sizeof(*m)));
	for (i = 0; i < nr; i++)
		if (m[i].index != 0x10)
			EXPECT_EQ(m[i].data, again[i].data) TH_LOG("MSR 0x%x", m[i].index);

	/* all are checked first: a bad one at the end leaves the first alone */
	one[0] = (struct vmm_msr){ .index = 0xc0000081, .data = 0x1234 };
	one[1] = (struct vmm_msr){ .index = 0x12345678, .data = 1 };
	EXPECT_ERR(EINVAL, t_set(self->v->fd, VMM_STATE_MSRS, one, sizeof(one)));
	one[1] = (struct vmm_msr){ .index = 0xc0000082, .data = 1ull << 60 };
	EXPECT_ERR(EINVAL, t_set(self->v->fd, VMM_STATE_MSRS, one, sizeof(one)));
	one[1] = (struct vmm_msr){ .index = 0xc0000082, .pad = 1 };
	EXPECT_ERR(EINVAL, t_set(self->v->fd, VMM_STATE_MSRS, one, sizeof(one)));
	one[0].data = 0;
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_MSRS, one, sizeof(one[0])));
	EXPECT_NE(0x1234, one[0].data);
	one[0].index = 0x12345678;
	EXPECT_ERR(EINVAL, t_get(self->v->fd, VMM_STATE_MSRS, one, sizeof(one[0])));
	/* sizes: not a whole number, too many */
	EXPECT_GT(0, t_set(self->v->fd, VMM_STATE_MSRS, one, 17));
	m = calloc(VMM_MAX_STATE_MSRS + 1, sizeof(*m));
	for (i = 0; i <= VMM_MAX_STATE_MSRS; i++)
		m[i].index = 0xc0000081;
	EXPECT_OK(t_set(self->v->fd, VMM_STATE_MSRS, m, VMM_MAX_STATE_MSRS * sizeof(*m)));
	EXPECT_GT(0, t_set(self->v->fd, VMM_STATE_MSRS, m, (VMM_MAX_STATE_MSRS + 1) * sizeof(*m)));
	EXPECT_GT(0, t_get(self->v->fd, VMM_STATE_MSRS, m, (VMM_MAX_STATE_MSRS + 1) * sizeof(*m)));
}

/* a whole vCPU is moved: everything is read, written into a new VM, and the guest goes on there */
TEST_F(state, move_a_vcpu)
{
	static const uint8_t code[] = {
		0xff, 0xc3, 0xe6, 0x80,					/* 1: inc %ebx; out */
		0x81, 0xfb, 0x40, 0x00, 0x00, 0x00, 0x75, 0xf4,		/* cmp $64, %ebx; jne 1b */
		0xe6, 0x12, 0xe6, 0x11, 0xf4,
	};
	struct t_vm *to = NULL;
	struct t_vcpu *v = self->v;
	uint32_t xsize = t_state_size(v->fd, VMM_GET_STATE, VMM_STATE_XSAVE);
	uint8_t *x = t_alloc(xsize, 4096);
	unsigned int step;

	t_load(self->vm, T_CODE, code, sizeof(code));
	t_set_mode(v, T_LONG);
	for (step = 0; step < 64; step++) {
		uint8_t buf[ARRAY_SIZE(fixed)][sizeof(struct vmm_lapic_state)];
		static const uint32_t order[] = {
			1, 4, 0, 2, 3, 5, 6}; /* SREGS first: mode; LAPIC needs the APIC base */
		struct t_vm *old = v->vm;
		unsigned int i;

		ASSERT_TRUE(t_exits(v, VMM_EXIT_IO));
		t_settle(v);
		for (i = 0; i < ARRAY_SIZE(fixed); i++)
			ASSERT_OK(t_get(v->fd, fixed[i].type, buf[i], fixed[i].size));
		ASSERT_OK(t_get(v->fd, VMM_STATE_XSAVE, x, xsize));
		to = t_vm_new();
		memcpy(to->mem, old->mem, 0x100000);
		t_vcpu_free(v);
		t_vm_free(old);
		v = t_vcpu_new(to, 0);
		ASSERT_OK(t_set(v->fd, VMM_STATE_XSAVE, x, xsize));
		for (i = 0; i < ARRAY_SIZE(order); i++)
			ASSERT_OK(t_set(v->fd, fixed[order[i]].type, buf[order[i]],
					fixed[order[i]].size));
	}
	EXPECT_TRUE(t_done(v));
	EXPECT_EQ(64, v->report[0]);
}

VMM_TEST_MAIN
