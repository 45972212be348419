// SPDX-License-Identifier: GPL-2.0
/*
 * Deliveries that are interrupted; see delivery.h.
 */
#include "delivery.h"

#define PAGE		4096ull
#define LOW_PAGES	9	/* tables, stubs, stacks and code: a region each */
#define REST		LOW_PAGES	/* slot of all other memory */
#define PORT_ARM	0x80
#define PORT_LOST	0x81
#define ARM_LEN		2	/* bytes of the OUT */

#define RFLAGS_IF	0x200ull
#define RFLAGS_IOPL3	0x3000ull

#define IN_DELIVERY \
	(VMM_EV_EXC_REINJECT | VMM_EV_IRQ_REINJECT | VMM_EV_SOFT_REINJECT | VMM_EV_NMI_REINJECT)

const char *const t_break_name[T_NR_BREAKS] = { "no region", "no memory", "cold", "read-only" };

static bool wrong(struct t_delivery *d)
{
	const struct t_event *e = d->event;

	d->wrong = true;
	t_say("%s: %s%s, pages %x %s%s, after %u exits; %s", e->name, t_mode_name[d->mode],
	      d->user ? " CPL 3" : "", d->pages, t_break_name[d->how], d->swap ? ", swapped" : "",
	      d->exits, t_exec_text(&d->x));
	return false;
}

/* ---- memory ---- */

static int set_page(struct t_vm *vm, unsigned int page, uint32_t flags, bool there)
{
	return t_region(vm, page, flags, PAGE * page, there ? PAGE : 0, vm->mem + PAGE * page);
}

static void protect(struct t_vm *vm, unsigned int page, int prot)
{
	if (mprotect(vm->mem + PAGE * page, PAGE, prot))
		t_die("mprotect: %s", strerror(errno));
}

struct t_vm *t_delivery_vm(void)
{
	struct t_vm *vm = t_vm_bare();
	unsigned int i;
	int r = 0;

	vm->mem_size = 4 << 20;
	vm->mem = t_alloc(vm->mem_size, 2 << 20);
	for (i = 0; i < LOW_PAGES && !r; i++)
		r = set_page(vm, i, 0, true);
	if (!r)
		r = t_region(vm, REST, 0, PAGE * REST, vm->mem_size - PAGE * REST,
			     vm->mem + PAGE * REST);
	if (r)
		t_die("VMM_SET_MEM_REGION: %s", strerror(-r));
	return vm;
}

unsigned int t_delivery_pages(enum t_mode mode, bool user, unsigned int *stack)
{
	unsigned int tables;

	*stack = 1u << (user ? T_STACK0 - 1 : T_STACK - 1) / PAGE;
	if (mode == T_REAL)
		return *stack | 1u << T_IVT / PAGE;
	tables = 1u << T_GDT / PAGE | 1u << (mode == T_LONG ? T_IDT64 : T_IDT32) / PAGE;
	if (user)
		tables |= 1u << (mode == T_LONG ? T_TSS64 : T_TSS32) / PAGE;
	return *stack | tables;
}

static void break_page(struct t_vm *vm, struct t_delivery *d, unsigned int page)
{
	int r = 0;

	if (d->how == T_BREAK_REGION)
		r = set_page(vm, page, 0, false);
	else if (d->how == T_BREAK_READONLY)
		r = set_page(vm, page, VMM_MEM_READONLY, true);
	else
		protect(vm, page, PROT_NONE);
	if (d->how == T_BREAK_COLD)
		protect(vm, page, PROT_READ | PROT_WRITE);
	if (r)
		t_die("VMM_SET_MEM_REGION of page %u: %s", page, strerror(-r));
}

static bool mend_page(struct t_vm *vm, struct t_delivery *d, uint64_t gpa)
{
	unsigned int page = gpa / PAGE;
	int r = 0;

	if (page >= LOW_PAGES || !(d->broken & 1u << page)) {
		t_say("an exit for 0x%llx, which was all right", (unsigned long long)gpa);
		return wrong(d);
	}
	d->broken &= ~(1u << page);
	if (d->how == T_BREAK_HOST)
		protect(vm, page, PROT_READ | PROT_WRITE);
	else
		r = set_page(vm, page, 0, true);
	if (r)
		t_die("VMM_SET_MEM_REGION of page %u: %s", page, strerror(-r));
	return true;
}

static void mend_all(struct t_vm *vm, struct t_delivery *d)
{
	unsigned int i;

	for (i = 0; i < LOW_PAGES; i++)
		if (d->broken & 1u << i)
			mend_page(vm, d, i * PAGE);
}

/* gates that CPL 3 may use, for the events that ask for one */
static void open_gates(struct t_vm *vm)
{
	static const uint8_t vector[] = { 1, 3, 4, 0x40 };
	unsigned int i;

	for (i = 0; i < sizeof(vector); i++) {
		uint8_t *gate[] = {
			t_gpa(vm, T_IDT64 + 16 * vector[i], 16),
			t_gpa(vm, T_IDT32 + 8 * vector[i], 8),
			t_gpa(vm, T_IDT16 + 8 * vector[i], 8),
		};

		gate[0][5] |= 0x60;
		gate[1][5] |= 0x60;
		gate[2][5] |= 0x60;
	}
}

/* ---- the event ---- */

/* nothing in service or requested, LINT0 in ExtINT mode */
static void reset_apic(struct t_vcpu *v)
{
	const uint32_t svr = 0x1ff, lvt0 = 0x700;
	struct vmm_lapic_state s;
	int r = t_get(v->fd, VMM_STATE_LAPIC, &s, sizeof(s));

	if (!r) {
		memset(s.regs + 0x100, 0, 0x180);
		memcpy(s.regs + 0xf0, &svr, 4);
		memcpy(s.regs + 0x350, &lvt0, 4);
		r = t_set(v->fd, VMM_STATE_LAPIC, &s, sizeof(s));
	}
	if (r)
		t_die("VMM_STATE_LAPIC: %s", strerror(-r));
}

static void arm(struct t_vcpu *v, struct t_delivery *d)
{
	const struct t_event *e = d->event;
	struct vmm_events ev = {
		.flags = VMM_EV_EXC_PENDING,
		.exc_vector = e->vector,
		.exc_error_code = e->error_code,
		.exc_payload = e->cr2,
	};
	struct vmm_regs r;
	unsigned int i;
	int err = 0;

	d->armed = true;
	t_get_regs(v, &r);
	r.rflags |= e->rflags;
	t_set_regs(v, &r);
	for (i = 0; i < LOW_PAGES; i++)
		if (d->pages & 1u << i)
			break_page(v->vm, d, i);
	if (d->how != T_BREAK_COLD)
		d->broken = d->pages;

	if (e->error && d->mode != T_REAL)
		ev.flags |= VMM_EV_EXC_ERROR_CODE;
	if (e->source == T_SRC_SET)
		t_set_events(v, &ev);
	else if (e->source == T_SRC_NMI)
		err = t_nmi(v->vm, 0);
	else if (e->source == T_SRC_IRQ)
		err = t_irq(v->vm, 0, e->vector);
	else if (e->source == T_SRC_EXTINT)
		err = t_lint(v->vm, 0, 0, 1);
	if (err < 0)
		t_die("%s: %s", e->name, strerror(-err));
}

/* what the state says of an event that is in delivery */
static bool state_right(struct t_delivery *d, const struct vmm_events *ev)
{
	const struct t_event *e = d->event;
	uint32_t flags = ev->flags & IN_DELIVERY;

	if (e->source == T_SRC_NMI)
		return flags == VMM_EV_NMI_REINJECT;
	if (e->source == T_SRC_IRQ || e->source == T_SRC_EXTINT)
		return flags == VMM_EV_IRQ_REINJECT && ev->irq_vector == e->vector;
	/* an instruction that asks for the event may just as well be executed again */
	if (e->soft && !flags)
		return true;
	if (e->soft && flags == VMM_EV_SOFT_REINJECT)
		return ev->irq_vector == e->vector && ev->insn_len == e->len;
	if (flags != VMM_EV_EXC_REINJECT || ev->exc_vector != e->vector)
		return false;
	return !(ev->flags & VMM_EV_EXC_ERROR_CODE) == (!e->error || d->mode == T_REAL);
}

/* an exit in the midst of the delivery, for the page at @gpa */
static bool interrupted(struct t_vcpu *v, struct t_delivery *d, uint64_t gpa)
{
	const struct vmm_events none = { 0 };
	struct vmm_events ev;
	struct vmm_sregs s;
	struct vmm_regs r;

	d->exits++;
	t_get_events(v, &ev);
	if (!state_right(d, &ev)) {
		t_say("events in the midst: flags 0x%x exception %u interrupt %u length %u",
		      ev.flags, ev.exc_vector, ev.irq_vector, ev.insn_len);
		return wrong(d);
	}
	if (d->swap) {
		t_get_regs(v, &r);
		t_get_sregs(v, &s);
		t_set_events(v, &none);
		t_set_sregs(v, &s);
		t_set_regs(v, &r);
		t_set_events(v, &ev);
	}
	return mend_page(v->vm, d, gpa);
}

static bool answer(struct t_vcpu *v, struct t_exec *x)
{
	struct t_delivery *d = x->opaque;

	if (!d->armed) {
		if (x->exit != VMM_EXIT_IO || v->run->u.io.port != PORT_ARM)
			return wrong(d);
		arm(v, d);
		return true;
	}
	if (x->exit == VMM_EXIT_INTACK) {
		t_lint(v->vm, 0, 0, 0);
		v->run->u.intack.vector = d->event->vector;
		return true;
	}
	if (x->exit == VMM_EXIT_EMULATION && d->how != T_BREAK_HOST)
		return interrupted(v, d, v->run->u.emulation.gpa);
	if (x->exit == VMM_EXIT_MEMORY_FAULT && d->how == T_BREAK_HOST)
		return interrupted(v, d, v->run->u.memory_fault.gpa);
	return wrong(d);
}

/* ---- what the handler finds ---- */

static unsigned int word_size(const struct t_delivery *d)
{
	return d->mode == T_REAL ? 2 : d->mode == T_LONG ? 8 : 4;
}

static bool has_error(const struct t_delivery *d)
{
	return d->event->error && d->mode != T_REAL;
}

/* rIP, CS and flags; the stack of before where that changes, and always in long mode */
static unsigned int frame_words(const struct t_delivery *d)
{
	return 3 + (d->user || d->mode == T_LONG ? 2 : 0) + has_error(d);
}

static bool frame_right(struct t_vcpu *v, struct t_delivery *d)
{
	const struct t_event *e = d->event;
	const struct t_exec *x = &d->x;
	unsigned int size = word_size(d);
	uint64_t sp = (d->user ? T_STACK0 : T_STACK) - size * frame_words(d);
	uint32_t code = e->error_code | (d->user && e->vector == 14 ? 4 : 0);
	uint64_t flags = 0;

	if (x->exit != VMM_EXIT_HALT || x->vector != e->vector)
		return false;
	if (has_error(d) && x->error != code)
		return false;
	if (x->fault_rip != T_XCODE + ARM_LEN + (e->behind ? e->len : 0))
		return false;
	if (x->out.gpr[VMM_RSP] != sp) {
		t_say("stack at 0x%llx, wanted 0x%llx",
		      (unsigned long long)x->out.gpr[VMM_RSP], (unsigned long long)sp);
		return false;
	}
	memcpy(&flags, t_gpa(v->vm, sp + size * (2 + has_error(d)), size), size);
	if ((flags ^ e->rflags) & RFLAGS_IF) {
		t_say("saved flags 0x%llx", (unsigned long long)flags);
		return false;
	}
	return !e->cr2 || x->sout.cr2 == e->cr2;
}

/* the handler's end, as if all that came was dealt with: nothing more comes */
static bool comes_once(struct t_vcpu *v, struct t_delivery *d)
{
	struct vmm_events ev;
	struct vmm_regs r;
	uint32_t blocked;
	int e;

	t_get_events(v, &ev);
	blocked = d->event->source == T_SRC_NMI ? VMM_EV_NMI_BLOCKED : 0;
	if (ev.flags != blocked) {
		t_say("events afterwards: flags 0x%x", ev.flags);
		return false;
	}
	ev.flags = 0;
	t_set_events(v, &ev);
	t_get_regs(v, &r);
	r.rip = T_XCODE + ARM_LEN + d->event->len;
	r.rflags |= RFLAGS_IF;
	t_set_regs(v, &r);
	t_set_mp(v, VMM_MP_RUNNING);	/* no longer halted */
	e = t_run(v);
	if (e == VMM_EXIT_IO && v->run->u.io.port == PORT_LOST)
		return true;
	t_get_regs(v, &r);
	t_say("then %s at 0x%llx", t_exit_name(e), (unsigned long long)r.rip);
	return false;
}

static bool counted_once(struct t_vcpu *v, const struct t_delivery *d, uint64_t irqs,
			 uint64_t nmis)
{
	bool irq = d->event->source == T_SRC_IRQ || d->event->source == T_SRC_EXTINT;

	return t_stat(v->fd, VMM_STAT_IRQ_INJECTED) == irqs + irq &&
	       t_stat(v->fd, VMM_STAT_NMI_INJECTED) == nmis + (d->event->source == T_SRC_NMI);
}

bool t_deliver(struct t_vcpu *v, struct t_delivery *d)
{
	const uint8_t arm_code[] = { 0xe6, PORT_ARM }, lost_code[] = { 0xe6, PORT_LOST };
	const struct t_event *e = d->event;
	uint64_t irqs, nmis;

	d->x = (struct t_exec){
		.mode = d->mode,
		.user = d->user,
		.rflags = d->user ? RFLAGS_IOPL3 : 0,
		.gpr[VMM_RAX] = e->rax,
		.gpr[VMM_RDI] = e->rdi,
		.answer = answer,
		.opaque = d,
	};
	memcpy(d->x.bytes, arm_code, ARM_LEN);
	memcpy(d->x.bytes + ARM_LEN, e->bytes, e->len);
	memcpy(d->x.bytes + ARM_LEN + e->len, lost_code, sizeof(lost_code));
	d->x.len = ARM_LEN + e->len + sizeof(lost_code);

	t_tables(v->vm);
	open_gates(v->vm);
	reset_apic(v);
	irqs = t_stat(v->fd, VMM_STAT_IRQ_INJECTED);
	nmis = t_stat(v->fd, VMM_STAT_NMI_INJECTED);
	t_exec(v, &d->x);
	if (d->wrong || d->broken) {
		if (!d->wrong)
			wrong(d);
		mend_all(v->vm, d);
		return false;
	}
	if (!frame_right(v, d) || !counted_once(v, d, irqs, nmis) || !comes_once(v, d))
		return wrong(d);
	return true;
}
