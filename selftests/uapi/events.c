// SPDX-License-Identifier: GPL-2.0
/*
 * Events on their way into a vCPU: exceptions, interrupts, NMIs; shadows and windows; delivery
 * that is interrupted by a fault of the host.
 */
#include "exec.h"
#include "harness.h"

FIXTURE(events)
{
	struct t_vm *vm;
	struct t_vcpu *v;
};

FIXTURE_SETUP(events)
{
	t_unblock_nmis();
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	t_apic_enable(self->v);
}

FIXTURE_TEARDOWN(events)
{
}

/* where a vCPU halted: the vector whose stub it was, and what the stub found */
static int vector_of(struct t_vcpu *v, struct vmm_regs *r)
{
	t_get_regs(v, r);
	return t_trap_of(r->rip);
}

static uint64_t stack64(struct t_vcpu *v, const struct vmm_regs *r, unsigned int n)
{
	uint64_t value;

	memcpy(&value, t_gpa(v->vm, r->gpr[VMM_RSP] + 8 * n, 8), 8);
	return value;
}

/* every exception that can be injected; in real mode no error code is pushed */
TEST_F(events, exceptions)
{
	static const enum t_mode mode[] = { T_REAL, T_PM16, T_PM32, T_PAE, T_LONG };
	static const uint8_t with_error[] = { 8, 10, 11, 12, 13, 14, 17 };
	unsigned int m, vec, i;

	for (m = 0; m < ARRAY_SIZE(mode); m++) {
		for (vec = 0; vec < 20; vec++) {
			struct vmm_events ev = { .flags = VMM_EV_EXC_PENDING, .exc_vector = vec };
			unsigned int size = mode[m] == T_REAL ? 2 : mode[m] == T_LONG ? 8 : 4;
			uint64_t got[2] = { 0 }, want_error = 0;
			bool error = false;
			struct vmm_regs r;
			struct vmm_sregs s;

			if (vec == 2 || vec == 9 || vec == 15 || vec == 3 ||
			    vec == 4) /* NMI, none, none, and the traps of INT3, INTO */
				continue;
			for (i = 0; i < ARRAY_SIZE(with_error); i++)
				error |= with_error[i] == vec;
			if (mode[m] == T_REAL)
				error = false;
			t_load(self->vm, T_CODE, "\x90\x90\xf4\xf4", 4);
			t_set_mode(self->v, mode[m]);
			if (error) {
				ev.flags |= VMM_EV_EXC_ERROR_CODE;
				ev.exc_error_code = want_error = vec == 8 || vec == 17 ? 0
								 : vec == 14	       ? 6
										       : 0x50;
			}
			if (vec == 14)
				ev.exc_payload = 0x12345678;
			t_set_events(self->v, &ev);
			ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT))
			TH_LOG("%s, vector %u", t_mode_name[mode[m]], vec);
			EXPECT_EQ(vec, vector_of(self->v, &r))
			TH_LOG("%s, vector %u: rip 0x%llx", t_mode_name[mode[m]], vec, r.rip);
			memcpy(got, t_gpa(self->vm, r.gpr[VMM_RSP] & 0xffff, size), size);
			memcpy(got + 1, t_gpa(self->vm, (r.gpr[VMM_RSP] + size) & 0xffff, size),
			       size);
			EXPECT_EQ(error ? want_error : T_CODE, got[0])
			TH_LOG("%s, vector %u: error code", t_mode_name[mode[m]], vec);
			if (error)
				EXPECT_EQ(T_CODE, got[1])
				TH_LOG("%s, vector %u: saved rip", t_mode_name[mode[m]], vec);
			t_get_sregs(self->v, &s);
			if (vec == 14 && mode[m] != T_REAL)
				EXPECT_EQ(0x12345678, s.cr2) TH_LOG("%s", t_mode_name[mode[m]]);
		}
	}
}

/* a debug exception brings its bits into DR6 */
TEST_F(events, debug_payload)
{
	struct vmm_events ev = {
		.flags = VMM_EV_EXC_PENDING, .exc_vector = 1, .exc_payload = 0x4000};
	struct vmm_debugregs d = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	struct vmm_regs r;

	t_load(self->vm, T_CODE, "\x90\xf4", 2);
	t_set_mode(self->v, T_LONG);
	ASSERT_OK(t_set(self->v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d)));
	t_set_events(self->v, &ev);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	EXPECT_EQ(1, vector_of(self->v, &r));
	ASSERT_OK(t_get(self->v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d)));
	EXPECT_EQ(0x4000, d.dr6 & 0x400f) TH_LOG("DR6 0x%llx", d.dr6);
}

/* a pending exception that was not delivered yet is part of the state, and survives a round trip */
TEST_F(events, pending_round_trip)
{
	struct vmm_events ev = {.flags = VMM_EV_EXC_PENDING | VMM_EV_EXC_ERROR_CODE,
				.exc_vector = 13,
				.exc_error_code = 0x18},
			  got;
	struct vmm_regs r;

	t_load(self->vm, T_CODE, "\x90\xf4", 2);
	t_set_mode(self->v, T_LONG);
	t_set_events(self->v, &ev);
	t_get_events(self->v, &got);
	EXPECT_EQ(ev.flags, got.flags);
	EXPECT_EQ(13, got.exc_vector);
	EXPECT_EQ(0x18, got.exc_error_code);
	self->v->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, t_run(self->v));
	self->v->run->immediate_exit = 0;
	t_get_events(self->v, &got);
	EXPECT_NE(0, got.flags & (VMM_EV_EXC_PENDING | VMM_EV_EXC_REINJECT));
	EXPECT_EQ(13, got.exc_vector);
	t_set_events(self->v, &got);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	EXPECT_EQ(13, vector_of(self->v, &r));
	EXPECT_EQ(0x18, stack64(self->v, &r, 0));
}

/* an exception while one is delivered: #NP for a gate that is not present; two contributory ones:
 * #DF; a third: shutdown */
TEST_F(events, exception_in_delivery)
{
	struct vmm_events ev = { .flags = VMM_EV_EXC_PENDING, .exc_vector = 6 };
	uint8_t *gate = t_gpa(self->vm, T_IDT64, 4096);
	struct vmm_sregs s;
	struct vmm_regs r;
	unsigned int injected;

	for (injected = 0; injected < 2; injected++) {
		/* #UD, its gate not present */
		t_tables(self->vm);
		gate[6 * 16 + 5] &= 0x7f;
		t_load(self->vm, T_CODE, injected ? "\x90\xf4" : "\x0f\x0b", 2);
		t_set_mode(self->v, T_LONG);
		ev.exc_vector = 6;
		ev.flags = VMM_EV_EXC_PENDING;
		if (injected)
			t_set_events(self->v, &ev);
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
		EXPECT_EQ(11, vector_of(self->v, &r)) TH_LOG("injected %u", injected);
		/* QEMU scales the vector as the table does */
		EXPECT_TRUE((stack64(self->v, &r, 0) & ~1ull) == 6 * 8 + 2 ||
			    (stack64(self->v, &r, 0) & ~1ull) == 6 * 16 + 2)
		TH_LOG("injected %u: error code 0x%lx", injected, stack64(self->v, &r, 0));
		EXPECT_EQ(T_CODE, stack64(self->v, &r, 1)) TH_LOG("injected %u", injected);

		/* #GP, its gate not present, either: #NP on top of #GP is #DF */
		gate[13 * 16 + 5] &= 0x7f;
		t_load(self->vm, T_CODE, injected ? "\x90\xf4" : "\x0f\x00\xd8", 3); /* ltr %eax */
		t_set_mode(self->v, T_LONG);
		t_get_regs(self->v, &r);
		r.gpr[VMM_RAX] = 0xfff8;
		t_set_regs(self->v, &r);
		ev.exc_vector = 13;
		ev.flags = VMM_EV_EXC_PENDING | VMM_EV_EXC_ERROR_CODE;
		if (injected)
			t_set_events(self->v, &ev);
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
		/* QEMU forgets that an exception is under way when it was injected */
		if (!(injected && t_emulated() && vector_of(self->v, &r) == 11)) {
			EXPECT_EQ(8, vector_of(self->v, &r)) TH_LOG("injected %u", injected);
			EXPECT_EQ(0, stack64(self->v, &r, 0)) TH_LOG("injected %u", injected);
		}

		/* no gate at all */
		t_set_mode(self->v, T_LONG);
		t_get_regs(self->v, &r);
		r.gpr[VMM_RAX] = 0xfff8;
		t_set_regs(self->v, &r);
		t_get_sregs(self->v, &s);
		s.idt.limit = 0;
		t_set_sregs(self->v, &s);
		if (injected)
			t_set_events(self->v, &ev);
		EXPECT_TRUE(t_exits(self->v, VMM_EXIT_SHUTDOWN)) TH_LOG("injected %u", injected);
	}
	t_tables(self->vm);
}

/* triple fault in every mode; afterwards the vCPU can be given a new state and runs */
TEST_F(events, triple_fault)
{
	unsigned int m;

	for (m = 0; m < T_NR_MODES; m++) {
		struct vmm_sregs s;

		t_load(self->vm, T_CODE, "\x0f\x0b", 2);
		t_set_mode(self->v, m);
		t_get_sregs(self->v, &s);
		s.idt.limit = 0;
		t_set_sregs(self->v, &s);
		EXPECT_TRUE(t_exits(self->v, VMM_EXIT_SHUTDOWN)) TH_LOG("%s", t_mode_name[m]);
		t_load(self->vm, T_CODE, "\xe6\x11\xf4", 3);
		t_set_mode(self->v, m);
		EXPECT_TRUE(t_done(self->v)) TH_LOG("%s", t_mode_name[m]);
	}
}

/* an interrupt that is pending at entry: before the first instruction, or behind it in a shadow */
TEST_F(events, shadows)
{
	static const struct {
		uint32_t flags;
		uint64_t saved;
	} c[] = {{0, T_CODE}, {VMM_EV_SHADOW_STI, T_CODE + 1}, {VMM_EV_SHADOW_MOV_SS, T_CODE + 1}};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		struct vmm_events ev = { .flags = c[i].flags }, got;
		struct vmm_regs r;

		t_load(self->vm, T_CODE, "\x90\x90\x90\xf4", 4);
		t_set_mode(self->v, T_LONG);
		t_apic_enable(self->v);
		t_set_events(self->v, &ev);
		t_get_events(self->v, &got);
		/* AMD's processors know one kind of shadow */
		EXPECT_EQ(!!c[i].flags, !!(got.flags & (VMM_EV_SHADOW_STI | VMM_EV_SHADOW_MOV_SS)));
		t_get_regs(self->v, &r);
		r.rflags |= 0x200;
		t_set_regs(self->v, &r);
		ASSERT_OK(t_irq(self->vm, 0,
				0x50 + 0x10 * i)); /* each above the last, which is in service */
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
		EXPECT_EQ(0x50 + 0x10 * i, vector_of(self->v, &r))
		TH_LOG("shadow 0x%x, rip 0x%llx", c[i].flags, r.rip);
		EXPECT_EQ(c[i].saved, stack64(self->v, &r, 0)) TH_LOG("shadow 0x%x", c[i].flags);
	}
}

/* shadows that the guest makes; the instruction in the shadow is one that exits, so the hypervisor
 * has to end the shadow */
struct shadow_case {
	const char *name;
	uint8_t code[16];
	unsigned int len;
	int saved;		/* where the interrupt comes */
};

/* where the interrupt came, from the code's start; -1 = not as it should */
static int shadow_try(const struct shadow_case *c)
{
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	struct vmm_regs r;
	int e, came = -1;

	t_apic_enable(v);
	t_load(vm, T_CODE, c->code, c->len);
	t_set_mode(v, T_LONG);
	t_get_regs(v, &r);
	r.gpr[VMM_RDI] = 0xd0000000;
	t_set_regs(v, &r);
	if (t_irq(vm, 0, 0x61) >= 0) {
		do {
			e = t_run(v);
		} while (e == VMM_EXIT_IO || e == VMM_EXIT_MMIO);
		if (e == VMM_EXIT_HALT && vector_of(v, &r) == 0x61)
			came = stack64(v, &r, 0) - T_CODE;
		else
			t_describe(v, e);
	}
	t_vm_free(vm);
	return came;
}

TEST_F(events, shadow_over_exits)
{
	/*
	 * A NOP first: where the hypervisor enters the guest in a shadow of its own, QEMU takes
	 * that over, and of shadows in a row only the first counts.
	 */
	static const struct shadow_case c[] = {
		{ "sti; nop", { 0x90, 0xfb, 0x90, 0x90, 0xf4 }, 5, 3 },
		{ "sti; cpuid", { 0x90, 0xfb, 0x0f, 0xa2, 0x90, 0xf4 }, 6, 4 },
		{ "sti; in", { 0x90, 0xfb, 0xe4, 0x10, 0x90, 0xf4 }, 6, 4 },
		{ "sti; out", { 0x90, 0xfb, 0xe6, 0x80, 0x90, 0xf4 }, 6, 4 },
		{ "sti; mov %cr0, %rax", { 0x90, 0xfb, 0x0f, 0x20, 0xc0, 0x90, 0xf4 }, 7, 5 },
		{ "sti; mov to the device", { 0x90, 0xfb, 0x89, 0x07, 0x90, 0xf4 }, 6, 4 },
		{ "sti; hlt", { 0x90, 0xfb, 0xf4, 0x90, 0xf4 }, 5, 3 },
		{ "sti; sti; sti; nop", { 0x90, 0xfb, 0xfb, 0xfb, 0x90, 0xf4 }, 6, 3 },
	};
	unsigned int i, tries;
	int came;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		/* so it is when an interrupt of the host falls behind the NOP: once more, then */
		for (tries = t_emulated() ? 10 : 1; tries; tries--) {
			came = shadow_try(&c[i]);
			if (came == c[i].saved)
				break;
			/*
			 * Likewise after the exit of an instruction in the shadow: QEMU may execute
			 * one more, a NOP, before the window opens.
			 */
			if (t_emulated() && came == c[i].saved + 1)
				break;
			TH_LOG("%s: came at %d, not at %d", c[i].name, came, c[i].saved);
		}
		EXPECT_NE(0, tries) TH_LOG("%s", c[i].name);
	}
}

/* interrupts off: nothing comes until they are on, then a window exit brings it */
TEST_F(events, window)
{
	struct vmm_regs r;
	uint64_t before;

	t_load(self->vm, T_CODE, "\xe6\x80\x90\xfb\x90\x90\xf4", 7);	/* out; nop; sti; nop */
	t_set_mode(self->v, T_LONG);
	ASSERT_EQ(VMM_EXIT_IO, t_run(self->v));
	ASSERT_OK(t_irq(self->vm, 0, 0x61));
	before = t_stat(self->v->fd, VMM_STAT_IRQ_INJECTED);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	EXPECT_EQ(0x61, vector_of(self->v, &r));
	EXPECT_EQ(T_CODE + 5, stack64(self->v, &r, 0));
	EXPECT_EQ(before + 1, t_stat(self->v->fd, VMM_STAT_IRQ_INJECTED));
}

/* HLT with interrupts off exits; then only an NMI wakes the vCPU up, an interrupt does not */
TEST_F(events, halt_with_interrupts_off)
{
	struct vmm_regs r;
	struct t_thread t;

	t_load(self->vm, T_CODE, "\xf4\xe6\x11\xf4", 4);
	t_set_mode(self->v, T_LONG);
	ASSERT_EQ(VMM_EXIT_HALT, t_run(self->v));
	EXPECT_EQ(VMM_MP_HALTED, t_get_mp(self->v));
	ASSERT_OK(t_irq(self->vm, 0, 0x61));
	t_kicks();
	t_spawn(&t, self->v);
	EXPECT_FALSE(t_ended_within(&t, 300))
	TH_LOG("the vCPU did not wait: %s", t_exit_name(self->v->run->exit_reason));
	ASSERT_OK(t_nmi(self->vm, 0));
	ASSERT_TRUE(t_ended_within(&t, 10000)) TH_LOG("the NMI did not wake it up");
	EXPECT_EQ(T_EXIT, t_join(&t));
	EXPECT_EQ(VMM_EXIT_HALT, self->v->run->exit_reason);
	EXPECT_EQ(2, vector_of(self->v, &r));
	EXPECT_EQ(T_CODE + 1, stack64(self->v, &r, 0));
}

/* in a handler NMIs wait until IRET; of those that come meanwhile one stays */
T_BLOB(nmi_main, 64, "1: out %al, $0x80; jmp 1b");
T_BLOB(nmi_handler, 64, "incl 0x10000; out %al, $0x81; iretq");

TEST_F(events, nmi_blocking)
{
	uint64_t gate[2] = { 0x9000 | (uint64_t)T_CS64 << 16 | 0x8eull << 40, 0 };
	volatile uint32_t *count;
	struct vmm_events ev;
	unsigned int i;

	t_blob(self->v, T_LONG, nmi_main, nmi_main_end);
	count = t_gpa(self->vm, T_DATA, 4);
	*count = 0;
	t_load(self->vm, 0x9000, nmi_handler, nmi_handler_end - nmi_handler);
	t_load(self->vm, T_IDT64 + 2 * 16, gate, 16);

	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_IO));
	ASSERT_EQ(0x80, self->v->run->u.io.port);
	ASSERT_OK(t_nmi(self->vm, 0));
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_IO));
	ASSERT_EQ(0x81, self->v->run->u.io.port) TH_LOG("no NMI came");
	t_get_events(self->v, &ev);
	EXPECT_NE(0, ev.flags & VMM_EV_NMI_BLOCKED);
	for (i = 0; i < 5; i++)
		ASSERT_OK(t_nmi(self->vm, 0));
	/* the handler is left (the exit's OUT is complete), and entered once more */
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_IO));
	ASSERT_EQ(0x81, self->v->run->u.io.port) TH_LOG("the second NMI is lost");
	EXPECT_EQ(2, *count);
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_IO));
		if (self->v->run->u.io.port == 0x80)
			break;
	}
	EXPECT_EQ(0x80, self->v->run->u.io.port);
	EXPECT_GE(3, *count) TH_LOG("NMIs that came together were all delivered");
	t_get_events(self->v, &ev);
	EXPECT_EQ(0, ev.flags & VMM_EV_NMI_BLOCKED);
}

/* NMI blocking set and cleared from outside */
TEST_F(events, nmi_blocked_state)
{
	struct vmm_events ev = { .flags = VMM_EV_NMI_BLOCKED }, got;
	struct vmm_regs r;

	t_load(self->vm, T_CODE, "\xe6\x80\xe6\x80\xf4", 5);
	t_set_mode(self->v, T_LONG);
	t_set_events(self->v, &ev);
	ASSERT_OK(t_nmi(self->vm, 0));
	ASSERT_EQ(VMM_EXIT_IO, t_run(self->v)) TH_LOG("an NMI came in spite of blocking");
	t_get_events(self->v, &got);
	EXPECT_NE(0, got.flags & VMM_EV_NMI_BLOCKED);
	EXPECT_EQ(1, got.nmi_pending);
	EXPECT_NE(0, got.flags & VMM_EV_NMI_PENDING);
	got.flags &= ~VMM_EV_NMI_BLOCKED;
	t_settle(self->v);
	t_set_events(self->v, &got);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	EXPECT_EQ(2, vector_of(self->v, &r));
	EXPECT_EQ(T_CODE + 2, stack64(self->v, &r, 0));
}

/* an NMI that is blocked does not keep an interrupt from ending a HLT */
TEST_F(events, interrupt_beside_blocked_nmi)
{
	struct vmm_events ev = { .flags = VMM_EV_NMI_BLOCKED | VMM_EV_NMI_PENDING,
				 .nmi_pending = 1 };
	struct vmm_regs r;
	struct t_thread t;

	t_load(self->vm, T_CODE, "\xfb\xf4\xf4", 3);	/* sti; hlt; hlt */
	t_set_mode(self->v, T_LONG);
	t_set_events(self->v, &ev);
	t_kicks();
	t_spawn(&t, self->v);
	EXPECT_FALSE(t_ended_within(&t, 300))
	TH_LOG("the vCPU did not wait: %s", t_exit_name(self->v->run->exit_reason));
	ASSERT_OK(t_irq(self->vm, 0, 0x61));
	ASSERT_TRUE(t_ended_within(&t, 10000)) TH_LOG("the interrupt did not wake it up");
	EXPECT_EQ(T_EXIT, t_join(&t));
	EXPECT_EQ(VMM_EXIT_HALT, self->v->run->exit_reason);
	EXPECT_EQ(0x61, vector_of(self->v, &r));
	EXPECT_EQ(T_CODE + 2, stack64(self->v, &r, 0));
}

/* an NMI that waits for the end of a shadow comes right behind it, though nothing else makes an exit */
TEST_F(events, nmi_in_shadow)
{
	static const struct {
		uint32_t shadow;
		uint64_t rflags;
	} c[] = {
		{ VMM_EV_SHADOW_STI, 0x200 }, { VMM_EV_SHADOW_MOV_SS, 0x200 },
		{ VMM_EV_SHADOW_MOV_SS, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		struct vmm_events ev = { .flags = c[i].shadow | VMM_EV_NMI_PENDING,
					 .nmi_pending = 1 };
		struct vmm_debugregs d;
		struct vmm_regs r;

		t_load(self->vm, T_CODE, "\x90\x90\xeb\xfe", 4);	/* nop; nop; jmp . */
		t_set_mode(self->v, T_LONG);
		t_set_events(self->v, &ev);
		t_get_regs(self->v, &r);
		r.rflags |= c[i].rflags;
		t_set_regs(self->v, &r);
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT)) TH_LOG("case %u", i);
		EXPECT_EQ(2, vector_of(self->v, &r)) TH_LOG("case %u", i);
		/* QEMU may be late by an instruction where the hypervisor enters in a shadow */
		EXPECT_TRUE(stack64(self->v, &r, 0) == T_CODE + 1 ||
			    (t_emulated() && stack64(self->v, &r, 0) == T_CODE + 2))
		TH_LOG("case %u: 0x%lx", i, stack64(self->v, &r, 0));
		EXPECT_EQ(c[i].rflags, stack64(self->v, &r, 2) & 0x300) TH_LOG("case %u", i);
		ASSERT_OK(t_get(self->v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d)));
		EXPECT_EQ(0, d.dr6 & 0xe00f) TH_LOG("case %u: a step of the hypervisor's", i);
	}
}

/* an NMI that waits behind an exception comes before the handler's first instruction, and leaves no
 * trace in the flags that the exception saved */
TEST_F(events, nmi_behind_exception)
{
	struct vmm_events ev = { .flags = VMM_EV_EXC_PENDING | VMM_EV_NMI_PENDING,
				 .exc_vector = 6, .nmi_pending = 1 };
	uint64_t gate[2] = { 0x9000 | (uint64_t)T_CS64 << 16 | 0x8eull << 40, 0 };
	uint64_t frame[5];
	struct vmm_regs r;

	t_load(self->vm, T_CODE, "\x90\xf4", 2);
	t_load(self->vm, 0x9000, "\xeb\xfe", 2);	/* jmp . */
	t_set_mode(self->v, T_LONG);
	t_load(self->vm, T_IDT64 + 6 * 16, gate, 16);
	t_set_events(self->v, &ev);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	EXPECT_EQ(2, vector_of(self->v, &r));
	EXPECT_EQ(0x9000, stack64(self->v, &r, 0));
	memcpy(frame, t_gpa(self->vm, stack64(self->v, &r, 3), sizeof(frame)), sizeof(frame));
	EXPECT_EQ(T_CODE, frame[0]);
	EXPECT_EQ(0, frame[2] & 0x100) TH_LOG("a step of the hypervisor's is in the saved flags");
	t_tables(self->vm);
}

/* takes every mapping of guest memory away: the next use of each page is a fault of the host */
static void zap(struct t_vm *vm)
{
	if (t_region(vm, 0, 0, 0, 0, NULL) || t_region(vm, 0, 0, 0, vm->mem_size, vm->mem))
		t_die("cannot set the region anew");
}

/* the tables and the stack that delivery needs are not mapped by the host: the event must come all
 * the same, once */
TEST_F(events, delivery_through_faults)
{
	static const struct {
		const char *name;
		uint8_t code[8];
		unsigned int len;
		int vector;
		unsigned int saved;
		unsigned int error;	/* 1 + error code, 0 = none */
		uint32_t event;
		bool irq, nmi;
	} c[] = {
		{ "int $0x42", { 0xe6, 0x80, 0xcd, 0x42, 0xf4 }, 5, 0x42, 4, 0, 0, false, false },
		{ "int3", { 0xe6, 0x80, 0xcc, 0xf4 }, 4, 3, 3, 0, 0, false, false },
		{ "ud2", { 0xe6, 0x80, 0x0f, 0x0b }, 4, 6, 2, 0, 0, false, false },
		{ "wrmsr of no MSR", { 0xe6, 0x80, 0x0f, 0x30 }, 4, 13, 2, 1, 0, false, false },
		{ "injected #GP", { 0xe6, 0x80, 0x90, 0xf4 }, 4, 13, 2, 0x51, 13, false, false },
		{ "interrupt", { 0xe6, 0x80, 0x90, 0xf4 }, 4, 0x71, 2, 0, 0, true, false },
		{ "NMI", { 0xe6, 0x80, 0x90, 0xf4 }, 4, 2, 2, 0, 0, false, true },
	};
	unsigned int i, round;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		for (round = 0; round < 3; round++) {
			struct vmm_events ev = {.flags = VMM_EV_EXC_PENDING | VMM_EV_EXC_ERROR_CODE,
						.exc_vector = c[i].event,
						.exc_error_code = 0x50};
			int vector = c[i].vector + (c[i].irq ? 0x10 * (int)round : 0);
			struct vmm_regs r;

			t_load(self->vm, T_CODE, c[i].code, c[i].len);
			t_set_mode(self->v, T_LONG);
			t_get_regs(self->v, &r);
			r.gpr[VMM_RCX] = 0x12345678;
			r.gpr[VMM_RSP] = T_DATA + 0x8000;	/* a page of its own */
			if (c[i].irq)
				r.rflags |= 0x200;
			t_set_regs(self->v, &r);
			ASSERT_EQ(VMM_EXIT_IO, t_run(self->v)) TH_LOG("%s", c[i].name);
			t_settle(self->v);
			zap(self->vm);
			if (c[i].event)
				t_set_events(self->v, &ev);
			if (c[i].irq)
				ASSERT_OK(t_irq(self->vm, 0, vector));
			if (c[i].nmi) {
				t_unblock_nmis();
				ASSERT_OK(t_nmi(self->vm, 0));
			}
			ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT)) TH_LOG("%s", c[i].name);
			EXPECT_EQ(vector, vector_of(self->v, &r))
			TH_LOG("%s: rip 0x%llx", c[i].name, r.rip);
			EXPECT_EQ(T_DATA + 0x8000 - (c[i].error ? 48 : 40), r.gpr[VMM_RSP])
			TH_LOG("%s: delivered twice?", c[i].name);
			if (c[i].error)
				EXPECT_EQ(c[i].error - 1, stack64(self->v, &r, 0))
				TH_LOG("%s: error code", c[i].name);
			EXPECT_EQ(T_CODE + c[i].saved, stack64(self->v, &r, !!c[i].error))
			TH_LOG("%s: saved rip", c[i].name);
			t_get_events(self->v, &ev);
			EXPECT_EQ(0, ev.flags & ~VMM_EV_NMI_BLOCKED)
			TH_LOG("%s: something is left", c[i].name);
		}
	}
}

/* an exception and an interrupt at the same time: first the exception, then, in its handler,
 * nothing; then the interrupt */
TEST_F(events, exception_before_interrupt)
{
	struct vmm_events ev = { .flags = VMM_EV_EXC_PENDING, .exc_vector = 6 };
	uint64_t gate[2] = { 0x9000 | (uint64_t)T_CS64 << 16 | 0x8eull << 40, 0 };
	struct vmm_regs r;

	t_load(self->vm, T_CODE, "\x90\x90\xf4", 3);
	t_load(self->vm, 0x9000, "\xe6\x80\x48\xcf", 4);	/* out; iretq */
	t_set_mode(self->v, T_LONG);
	t_load(self->vm, T_IDT64 + 6 * 16, gate, 16);
	t_get_regs(self->v, &r);
	r.rflags |= 0x200;
	t_set_regs(self->v, &r);
	t_set_events(self->v, &ev);
	ASSERT_OK(t_irq(self->vm, 0, 0x55));
	ASSERT_EQ(VMM_EXIT_IO, t_run(self->v));
	t_get_regs(self->v, &r);
	EXPECT_EQ(0, r.rflags & 0x200);
	ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
	EXPECT_EQ(0x55, vector_of(self->v, &r));
	EXPECT_EQ(T_CODE, stack64(self->v, &r, 0));
	t_tables(self->vm);
}

/* an interrupt that was acknowledged and is in delivery, as VMM_STATE_EVENTS carries it */
TEST_F(events, reinject_from_state)
{
	static const struct {
		struct vmm_events ev;
		int vector;
		unsigned int saved;
	} c[] = {
		{ { .flags = VMM_EV_IRQ_REINJECT, .irq_vector = 0x99 }, 0x99, 0 },
		{ { .flags = VMM_EV_SOFT_REINJECT, .irq_vector = 0x80, .insn_len = 2 }, 0x80, 2 },
		{ { .flags = VMM_EV_EXC_REINJECT, .exc_vector = 6 }, 6, 0 },
		{ { .flags = VMM_EV_NMI_REINJECT }, 2, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		struct vmm_events got;
		struct vmm_regs r;

		t_load(self->vm, T_CODE, "\xcd\x80\xf4", 3);
		t_set_mode(self->v, T_LONG);
		/* an interrupt is in delivery only where interrupts were on */
		if (c[i].ev.flags & VMM_EV_IRQ_REINJECT) {
			t_get_regs(self->v, &r);
			r.rflags |= 0x200;
			t_set_regs(self->v, &r);
		}
		t_set_events(self->v, &c[i].ev);
		t_get_events(self->v, &got);
		EXPECT_EQ(c[i].ev.flags, got.flags);
		EXPECT_EQ(c[i].ev.irq_vector, got.irq_vector);
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT)) TH_LOG("case %u", i);
		EXPECT_EQ(c[i].vector, vector_of(self->v, &r)) TH_LOG("case %u", i);
		EXPECT_EQ(T_CODE + c[i].saved, stack64(self->v, &r, 0)) TH_LOG("case %u", i);
	}
}

VMM_TEST_MAIN
