// SPDX-License-Identifier: GPL-2.0
/*
 * One instruction at a time; see exec.h.
 */
#include "exec.h"

/*
 * To CPL 3, by LTR and IRET. The guest itself loads TR: QEMU keeps the type of an available TSS
 * when LTR makes it busy, and where it changes the stack or looks at the I/O bitmap it aborts,
 * or refuses, with the type that every other processor keeps. So the type cannot be set from
 * here. No register is changed: the selector and the frame of IRET lie in memory.
 */
#define TR_SELECTOR	0x7ff0
#define USER_FRAME	0x7fc0
T_BLOB(to_user64, 64, "andb $0xfd, 0x1035; ltrw 0x7ff0; iretq");
T_BLOB(to_user32, 32, "andb $0xfd, 0x1045; ltrw 0x7ff0; iretl");
T_BLOB(to_user16, 16, "andb $0xfd, 0x1045; ltrw 0x7ff0; iretl");

static void enter_user(struct t_vcpu *v, const struct t_exec *x, struct vmm_regs *r)
{
	const uint64_t frame64[5] = { r->rip, T_UCS64, r->rflags, r->gpr[VMM_RSP], T_UDS };
	const uint32_t frame[5] = {
		r->rip, x->mode == T_PM16 ? T_UCS16 : T_UCS32, r->rflags, r->gpr[VMM_RSP], T_UDS,
	};
	const uint16_t tr = x->mode == T_LONG ? T_TR64 : T_TR32;

	if (x->mode == T_LONG) {
		t_load(v->vm, T_CODE, to_user64, to_user64_end - to_user64);
		t_load(v->vm, USER_FRAME, frame64, sizeof(frame64));
	} else {
		if (x->mode == T_PM16)
			t_load(v->vm, T_CODE, to_user16, to_user16_end - to_user16);
		else
			t_load(v->vm, T_CODE, to_user32, to_user32_end - to_user32);
		t_load(v->vm, USER_FRAME, frame, sizeof(frame));
	}
	t_load(v->vm, TR_SELECTOR, &tr, sizeof(tr));
	r->rip = T_CODE;
	r->rflags = 2;
	r->gpr[VMM_RSP] = USER_FRAME;
}

/* data segments that IRET to CPL 3 leaves alone */
static void make_user(struct vmm_sregs *s)
{
	static const unsigned int data[] = { VMM_SEG_ES, VMM_SEG_DS, VMM_SEG_FS, VMM_SEG_GS };
	unsigned int i;

	for (i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
		struct vmm_segment *seg = &s->seg[data[i]];

		seg->dpl = 3;
		seg->selector = T_UDS;
		seg->limit = 0xffffffff;
		seg->g = 1;
		seg->db = 1;
	}
}

static bool has_error(int vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

/* what delivery pushed: error code (not in real mode), rIP */
static void read_frame(struct t_vcpu *v, struct t_exec *x)
{
	unsigned int size = x->mode == T_REAL ? 2 : x->mode == T_LONG ? 8 : 4;
	uint64_t sp = x->out.gpr[VMM_RSP];
	uint64_t word[2] = { 0 };

	if (x->mode == T_REAL || x->mode == T_PM16)
		sp &= 0xffff;
	if (sp < T_XDATA || sp > T_STACK - 2 * size)
		return;
	memcpy(&word[0], t_gpa(v->vm, sp, size), size);
	memcpy(&word[1], t_gpa(v->vm, sp + size, size), size);
	if (x->mode != T_REAL && has_error(x->vector)) {
		x->error = (uint32_t)word[0];
		x->fault_rip = word[1];
	} else {
		x->fault_rip = word[0];
	}
}

void t_exec(struct t_vcpu *v, struct t_exec *x)
{
	uint64_t at = x->at ? x->at : T_XCODE;
	uint8_t code[64];
	struct vmm_regs r;

	memset(code, 0xf4, sizeof(code));
	memcpy(code, x->bytes, x->len);
	t_load(v->vm, at, code, sizeof(code));
	t_set_mode(v, x->mode);
	if (x->cr0_set || x->cr4_set || x->user || x->data_base) {
		struct vmm_sregs s;

		t_get_sregs(v, &s);
		s.cr0 |= x->cr0_set;
		s.cr4 |= x->cr4_set;
		if (x->user)
			make_user(&s);
		if (x->data_base && x->mode != T_LONG) {
			s.seg[VMM_SEG_DS].base = s.seg[VMM_SEG_ES].base = x->data_base;
			if (x->mode == T_REAL)
				s.seg[VMM_SEG_DS].selector = s.seg[VMM_SEG_ES].selector =
					x->data_base >> 4;
		}
		t_set_sregs(v, &s);
	}
	if (x->dr7) {
		struct vmm_debugregs d = { .dr6 = 0xffff0ff0, .dr7 = x->dr7 };
		int e = t_set(v->fd, VMM_STATE_DEBUGREGS, &d, sizeof(d));

		if (e)
			t_die("set of DR7 to 0x%llx: %s", (unsigned long long)x->dr7, strerror(-e));
	}
	memcpy(r.gpr, x->gpr, sizeof(r.gpr));
	if (!r.gpr[VMM_RSP])
		r.gpr[VMM_RSP] = T_STACK;
	r.rip = at;
	r.rflags = x->rflags | 2;
	if (x->user)
		enter_user(v, x, &r);
	t_set_regs(v, &r);

	do {
		x->exit = t_run(v);
	} while (x->exit >= 0 && x->exit != VMM_EXIT_HALT && x->answer && x->answer(v, x));

	x->vector = -1;
	x->error = 0;
	x->fault_rip = 0;
	x->next = 0;
	t_get_regs(v, &x->out);
	t_get_sregs(v, &x->sout);
	if (x->exit != VMM_EXIT_HALT)
		return;
	x->vector = t_trap_of(x->out.rip);
	if (x->vector >= 0)
		read_frame(v, x);
	else
		x->next = x->out.rip - 1;
}

bool t_exec_completed(const struct t_exec *x)
{
	return x->exit == VMM_EXIT_HALT && x->vector < 0 &&
	       x->next == (x->at ? x->at : T_XCODE) + x->len;
}

const char *t_exec_text(const struct t_exec *x)
{
	static char text[256];
	unsigned int i;
	int n;

	n = snprintf(text, sizeof(text), "%s%s, bytes", t_mode_name[x->mode],
		     x->user ? " CPL 3" : "");
	for (i = 0; i < x->len; i++)
		n += snprintf(text + n, sizeof(text) - n, " %02x", x->bytes[i]);
	if (x->exit != VMM_EXIT_HALT)
		snprintf(text + n, sizeof(text) - n, ": exit %s at rip 0x%llx",
			 t_exit_name(x->exit), (unsigned long long)x->out.rip);
	else if (x->vector >= 0)
		snprintf(text + n, sizeof(text) - n, ": vector %d error 0x%x saved rip 0x%llx",
			 x->vector, x->error, (unsigned long long)x->fault_rip);
	else
		snprintf(text + n, sizeof(text) - n, ": next rip at +%lld of %u",
			 (long long)(x->next - (x->at ? x->at : T_XCODE)), x->len);
	return text;
}

static void add(struct t_prefix *p, uint8_t b)
{
	p->byte[p->len++] = b;
	p->opsize |= b == 0x66;
	p->addrsize |= b == 0x67;
	p->repne |= b == 0xf2;
	p->rep |= b == 0xf3;
	p->lock |= b == 0xf0;
}

unsigned int t_prefixes(enum t_mode mode, struct t_prefix *p)
{
	static const uint8_t legacy[] = {0x66, 0x67, 0x26, 0x2e, 0x36,
					 0x3e, 0x64, 0x65, 0xf2, 0xf3};
	static const uint8_t rex[] = { 0x40, 0x41, 0x44, 0x48, 0x4f };
	const unsigned int nr = sizeof(legacy);
	unsigned int n = 1, i, j;

	memset(p, 0, T_MAX_PREFIXES * sizeof(*p));
	for (i = 0; i < nr; i++)
		add(&p[n++], legacy[i]);
	for (i = 0; i < nr; i++) {
		add(&p[n], legacy[i]);
		add(&p[n++], legacy[(i * 3 + 1) % nr]);
	}
	for (i = 0; i < nr;
	     i++, n++) /* many of one kind, to an instruction of nearly full length */
		for (j = 0; j < 8; j++)
			add(&p[n], legacy[i]);
	for (i = 0; i < nr; i++)	/* all of them */
		add(&p[n], legacy[i]);
	n++;
	if (mode != T_LONG)
		return n;
	for (i = 0; i < sizeof(rex); i++) {
		add(&p[n], rex[i]);
		p[n++].rex = true;
		add(&p[n], legacy[(i * 2) % nr]);
		add(&p[n], rex[i]);
		p[n++].rex = true;
	}
	add(&p[n], 0x48);	/* a REX that is not the last prefix has no effect */
	add(&p[n++], 0x2e);
	add(&p[n], 0x48);
	add(&p[n++], 0x66);
	return n;
}

void t_exec_set(struct t_exec *x, const struct t_prefix *p, const uint8_t *op, unsigned int len)
{
	memcpy(x->bytes, p->byte, p->len);
	memcpy(x->bytes + p->len, op, len);
	x->len = p->len + len;
}
