// SPDX-License-Identifier: GPL-2.0
/*
 * Running a vCPU: the time limit, the guest's words, and what is printed when something else
 * happens.
 *
 * The time limit is a timer of the thread. Its signal sets immediate_exit, so that VMM_RUN
 * returns EINTR however close to the entry it comes; then the vCPU's registers can be shown.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "vmmtest.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define LIMIT_SIGNAL	(SIGRTMIN + 3)

unsigned int t_limit_s = 60;

static __thread struct t_vcpu *volatile armed;
static __thread volatile sig_atomic_t expired;
static __thread timer_t timer;
static __thread bool have_timer;
static __thread int depth;
static __thread volatile sig_atomic_t kicked;

static void time_is_up(int sig)
{
	(void)sig;
	if (!armed)
		return;
	expired = 1;
	armed->run->immediate_exit = 1;
}

unsigned int t_scale(void)
{
	const char *text = getenv("TEST_TIME_SCALE");
	int scale = text ? atoi(text) : 1;

	return scale > 0 ? scale : 1;
}

static void set_timer(unsigned int s)
{
	struct itimerspec its = { .it_value.tv_sec = s, .it_interval.tv_nsec = s ? 200000000 : 0 };

	timer_settime(timer, 0, &its, NULL);
}

static void arm(struct t_vcpu *v)
{
	struct sigaction sa = { .sa_handler = time_is_up };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = LIMIT_SIGNAL };

	if (depth++)
		return;
	if (!have_timer) {
		sigaction(LIMIT_SIGNAL, &sa, NULL);
		ev.sigev_notify_thread_id = (int)syscall(SYS_gettid);
		if (timer_create(CLOCK_MONOTONIC, &ev, &timer))
			t_die("timer_create: %s", strerror(errno));
		have_timer = true;
	}
	expired = 0;
	armed = v;
	set_timer(t_limit_s * t_scale());
}

static void disarm(void)
{
	if (--depth)
		return;
	set_timer(0);
	armed = NULL;
}

static void kick(int sig)
{
	(void)sig;
	kicked = 1;
}

void t_kicks(void)
{
	struct sigaction sa = { .sa_handler = kick };

	sigaction(SIGUSR1, &sa, NULL);
}

/* EINTR without a signal of ours is the kernel's wish to be left for a moment, and is not told */
void t_short_runs(unsigned int ms)
{
	struct sigaction sa = { .sa_handler = kick };
	struct itimerval tv = { { 0, ms * 1000 }, { 0, ms * 1000 } };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &tv, NULL);
}

int t_run(struct t_vcpu *v)
{
	int r;

	arm(v);
	kicked = 0;
	do {
		r = ioctl(v->fd, VMM_RUN, 0);
		r = r < 0 ? -errno : (int)v->run->exit_reason;
	} while (r == -EINTR && !kicked && !expired && !v->run->immediate_exit);
	v->unanswered = r == VMM_EXIT_IO || r == VMM_EXIT_MMIO || r == VMM_EXIT_INTACK;
	disarm();
	if (expired && r == -EINTR) {
		t_say("vCPU %u: the guest did not end within %u s", v->id, t_limit_s * t_scale());
		v->run->immediate_exit = 0;
		t_dump(v);
		_exit(1);
	}
	return r;
}

void t_settle(struct t_vcpu *v)
{
	unsigned int n;

	/* what crosses a page or repeats may have more to say */
	for (n = 0; v->unanswered && n < 1000; n++) {
		if (v->run->exit_reason == VMM_EXIT_INTACK)
			v->run->u.intack.vector = -1;
		v->run->immediate_exit = 1;
		t_run(v);
		v->run->immediate_exit = 0;
	}
	v->unanswered = false;
}

static void report(struct t_vcpu *v, uint64_t value)
{
	if (v->nr_report < T_MAX_REPORTS)
		v->report[v->nr_report] = value;
	v->nr_report++;
}

void t_reset_reports(struct t_vcpu *v)
{
	v->nr_report = 0;
	memset(v->report, 0, sizeof(v->report));
}

static void guest_failed(struct t_vcpu *v)
{
	struct vmm_regs regs;
	const char *text = "?";

	t_get_regs(v, &regs);
	if (regs.gpr[VMM_RSI] < v->vm->mem_size - 256)
		text = (char *)v->vm->mem + regs.gpr[VMM_RSI];
	t_say("vCPU %u: guest line %d: %.200s: got 0x%llx, wanted 0x%llx", v->id,
	      (int)regs.gpr[VMM_RDI], text, (unsigned long long)regs.gpr[VMM_RBX],
	      (unsigned long long)regs.gpr[VMM_RCX]);
}

/* the registers that guests/trap.c points us to, in the order of struct g_frame */
static void guest_trapped(struct t_vcpu *v)
{
	static const char *const name[22] = {
		"r15", "r14", "r13", "r12", "r11",    "r10",   "r9",  "r8", "rdi",    "rsi", "rbp",
		"rbx", "rdx", "rcx", "rax", "vector", "error", "rip", "cs", "rflags", "rsp", "ss",
	};
	struct vmm_sregs sregs;
	struct vmm_regs regs;
	const uint64_t *f;
	char line[1024];
	int i, n = 0;

	t_get_regs(v, &regs);
	t_get_sregs(v, &sregs);
	if (regs.gpr[VMM_RDI] > v->vm->mem_size - 256) {
		t_say("vCPU %u: unexpected exception, frame at 0x%llx", v->id,
		      (unsigned long long)regs.gpr[VMM_RDI]);
		return;
	}
	f = (const uint64_t *)(v->vm->mem + regs.gpr[VMM_RDI]);
	for (i = 0; i < 22; i++)
		n += snprintf(line + n, sizeof(line) - n, " %s=%llx", name[i],
			      (unsigned long long)f[i]);
	t_say("vCPU %u: guest took unexpected vector %llu, error 0x%llx at rip 0x%llx, cr2 0x%llx",
	      v->id, (unsigned long long)f[15], (unsigned long long)f[16],
	      (unsigned long long)f[17], (unsigned long long)sregs.cr2);
	t_say(" %s", line);
}

enum t_out t_guest(struct t_vcpu *v)
{
	enum t_out out;
	uint32_t data;
	int r;

	arm(v);
	for (;;) {
		r = t_run(v);
		if (r == -EINTR) {
			if (!v->run->immediate_exit)
				continue;
			out = T_KICKED;
			break;
		}
		if (r < 0) {
			t_say("vCPU %u: VMM_RUN: %s", v->id, strerror(-r));
			t_dump(v);
			out = T_FAILED;
			break;
		}
		if (r == VMM_EXIT_HALT && v->run_on)
			continue;
		out = T_EXIT;
		if (r != VMM_EXIT_IO || v->run->u.io.direction != VMM_IO_OUT)
			break;
		data = v->run->u.io.data;
		if (v->run->u.io.port == T_PORT_REPORT) {
			report(v, data);
		} else if (v->run->u.io.port == T_PORT_REPORT64) {
			struct vmm_regs regs;

			t_get_regs(v, &regs);
			report(v, regs.gpr[VMM_RBX]);
		} else if (v->run->u.io.port == T_PORT_DONE) {
			out = T_DONE;
			break;
		} else if (v->run->u.io.port == T_PORT_SYNC) {
			v->sync = data;
			out = T_SYNC;
			break;
		} else if (v->run->u.io.port == T_PORT_FAIL) {
			guest_failed(v);
			out = T_FAILED;
			break;
		} else if (v->run->u.io.port == T_PORT_TRAP) {
			guest_trapped(v);
			out = T_FAILED;
			break;
		} else {
			break;
		}
	}
	disarm();
	return out;
}

static void say_unwanted(struct t_vcpu *v, enum t_out out, const char *wanted)
{
	if (out == T_FAILED)
		return;
	if (out == T_DONE) {
		t_say("vCPU %u: wanted %s, the guest is done", v->id, wanted);
	} else if (out == T_SYNC) {
		t_say("vCPU %u: wanted %s, the guest is at point %u", v->id, wanted, v->sync);
	} else if (out == T_KICKED) {
		t_say("vCPU %u: wanted %s, was interrupted", v->id, wanted);
	} else {
		t_say("vCPU %u: wanted %s, got an exit:", v->id, wanted);
		t_describe(v, v->run->exit_reason);
		t_dump(v);
	}
}

bool t_done(struct t_vcpu *v)
{
	enum t_out out = t_guest(v);

	if (out != T_DONE)
		say_unwanted(v, out, "the guest's end");
	return out == T_DONE;
}

bool t_synced(struct t_vcpu *v, uint32_t point)
{
	enum t_out out = t_guest(v);
	char text[32];

	if (out == T_SYNC && v->sync == point)
		return true;
	snprintf(text, sizeof(text), "point %u", point);
	say_unwanted(v, out, text);
	return false;
}

bool t_exits(struct t_vcpu *v, int exit_reason)
{
	enum t_out out = t_guest(v);

	if (out == T_EXIT && (int)v->run->exit_reason == exit_reason)
		return true;
	say_unwanted(v, out, t_exit_name(exit_reason));
	return false;
}

const char *t_exit_name(int reason)
{
	static const char *const name[] = {
		"UNKNOWN",  "IO",   "MMIO",	    "EOI",	 "INTACK",
		"SHUTDOWN", "HALT", "MEMORY_FAULT", "EMULATION", "FAIL_ENTRY",
	};

	if (reason < 0)
		return strerrorname_np(-reason);
	return reason < (int)(sizeof(name) / sizeof(name[0])) ? name[reason] : "invalid";
}

static void hex(char *to, size_t size, const volatile uint8_t *bytes, unsigned int n)
{
	size_t at = 0;

	to[0] = 0;
	while (n-- && at + 4 < size)
		at += snprintf(to + at, size - at, " %02x", *bytes++);
}

void t_describe(struct t_vcpu *v, int reason)
{
	volatile struct vmm_run *run = v->run;
	char bytes[64];

	switch (reason) {
	case VMM_EXIT_IO:
		t_say("  exit IO: %s port 0x%x size %u data 0x%x",
		      run->u.io.direction == VMM_IO_OUT ? "out" : "in", run->u.io.port,
		      run->u.io.size, run->u.io.data);
		break;
	case VMM_EXIT_MMIO:
		hex(bytes, sizeof(bytes), run->u.mmio.data,
		    run->u.mmio.len > 8 ? 8 : run->u.mmio.len);
		t_say("  exit MMIO: %s gpa 0x%llx len %u data%s",
		      run->u.mmio.is_write ? "write" : "read", (unsigned long long)run->u.mmio.gpa,
		      run->u.mmio.len, bytes);
		break;
	case VMM_EXIT_EOI:
		t_say("  exit EOI: vector 0x%x", run->u.eoi.vector);
		break;
	case VMM_EXIT_MEMORY_FAULT:
		t_say("  exit MEMORY_FAULT: gpa 0x%llx error %d %s",
		      (unsigned long long)run->u.memory_fault.gpa, run->u.memory_fault.error,
		      run->u.memory_fault.is_write ? "write" : "read");
		break;
	case VMM_EXIT_EMULATION:
		hex(bytes, sizeof(bytes), run->u.emulation.bytes,
		    run->u.emulation.len > 15 ? 15 : run->u.emulation.len);
		t_say("  exit EMULATION: rip 0x%llx gpa 0x%llx bytes%s",
		      (unsigned long long)run->u.emulation.rip,
		      (unsigned long long)run->u.emulation.gpa, bytes);
		break;
	case VMM_EXIT_FAIL_ENTRY:
		t_say("  exit FAIL_ENTRY: hardware reason 0x%llx",
		      (unsigned long long)run->u.fail_entry.hardware_reason);
		break;
	default:
		t_say("  exit %s (%d)", t_exit_name(reason), reason);
	}
}

void t_dump(struct t_vcpu *v)
{
	static const char *const gpr[16] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
	};
	struct vmm_events ev;
	struct vmm_sregs s;
	struct vmm_regs r;
	char line[512];
	uint64_t pc;
	int i, n = 0;

	t_get_regs(v, &r);
	t_get_sregs(v, &s);
	t_get_events(v, &ev);
	t_say("  rip=%llx rflags=%llx cs=%x(base %llx l%u d%u) ss=%x cr0=%llx cr2=%llx cr3=%llx cr4=%llx efer=%llx cr8=%llx",
	      (unsigned long long)r.rip, (unsigned long long)r.rflags, s.seg[VMM_SEG_CS].selector,
	      (unsigned long long)s.seg[VMM_SEG_CS].base, s.seg[VMM_SEG_CS].l, s.seg[VMM_SEG_CS].db,
	      s.seg[VMM_SEG_SS].selector, (unsigned long long)s.cr0, (unsigned long long)s.cr2,
	      (unsigned long long)s.cr3, (unsigned long long)s.cr4, (unsigned long long)s.efer,
	      (unsigned long long)s.cr8);
	for (i = 0; i < 16; i++)
		n += snprintf(line + n, sizeof(line) - n, " %s=%llx", gpr[i],
			      (unsigned long long)r.gpr[i]);
	t_say(" %s", line);
	t_say("  events flags=%x exc=%u irq=%u nmi=%u mp=%u apic_base=%llx", ev.flags,
	      ev.exc_vector, ev.irq_vector, ev.nmi_pending, t_get_mp(v),
	      (unsigned long long)s.apic_base);
	pc = s.seg[VMM_SEG_CS].l ? r.rip : s.seg[VMM_SEG_CS].base + r.rip;
	if (v->vm->mem && pc + 16 < v->vm->mem_size) {
		hex(line, sizeof(line), v->vm->mem + pc, 16);
		t_say("  bytes at rip%s%s", line, t_trap_of(r.rip) >= 0 ? " (in a trap stub)" : "");
	}
	for (i = 0; i < (int)v->nr_report && i < 8; i++)
		t_say("  report[%d] = 0x%llx", i, (unsigned long long)v->report[i]);
}

static void *thread_main(void *arg)
{
	struct t_thread *t = arg;

	t->out = t_guest(t->v);
	if (have_timer) {
		timer_delete(timer);
		have_timer = false;
	}
	t->ended = true;
	return NULL;
}

void t_spawn(struct t_thread *t, struct t_vcpu *v)
{
	pthread_t id;
	int r;

	memset(t, 0, sizeof(*t));
	t->v = v;
	r = pthread_create(&id, NULL, thread_main, t);
	if (r)
		t_die("pthread_create: %s", strerror(r));
	t->id = id;
}

bool t_ended_within(struct t_thread *t, unsigned int ms)
{
	uint64_t until = t_now_ns() + ms * 1000000ull;

	while (!t->ended && t_now_ns() < until)
		t_sleep_ms(1);
	return t->ended;
}

void t_kick(struct t_thread *t)
{
	pthread_kill(t->id, SIGUSR1);
}

enum t_out t_join(struct t_thread *t)
{
	pthread_join(t->id, NULL);
	return t->out;
}

void t_apic_enable(struct t_vcpu *v)
{
	struct vmm_lapic_state s;
	int r = t_get(v->fd, VMM_STATE_LAPIC, &s, sizeof(s));
	uint32_t svr = 0x1ff;

	if (r)
		t_die("get of VMM_STATE_LAPIC: %s", strerror(-r));
	memcpy(s.regs + 0xf0, &svr, 4);
	r = t_set(v->fd, VMM_STATE_LAPIC, &s, sizeof(s));
	if (r)
		t_die("set of VMM_STATE_LAPIC: %s", strerror(-r));
}

int t_msi(struct t_vm *vm, uint64_t addr, uint32_t data)
{
	struct vmm_msi m = { .addr = addr, .data = data };

	return t_ioctl(vm->fd, VMM_SIGNAL_MSI, &m);
}

int t_irq(struct t_vm *vm, unsigned int vcpu, uint8_t vector)
{
	return t_msi(vm, 0xfee00000 | vcpu << 12, vector);
}

int t_nmi(struct t_vm *vm, unsigned int vcpu)
{
	return t_msi(vm, 0xfee00000 | vcpu << 12, 4 << 8);
}

int t_lint(struct t_vm *vm, unsigned int vcpu, unsigned int pin, unsigned int level)
{
	struct vmm_lint l = { .vcpu_id = vcpu, .pin = pin, .level = level };

	return t_ioctl(vm->fd, VMM_SET_LINT, &l);
}
