// SPDX-License-Identifier: GPL-2.0
/*
 * Leaving VMM_RUN from outside: signals, immediate_exit, SIGKILL, SIGSTOP; and vCPU threads
 * that the scheduler moves about.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <asm/ldt.h>

#include "harness.h"

T_BLOB(spin, 64, "1: sti; cli; incq 0x10000; jmp 1b");
T_BLOB(spin_quiet, 64, "1: sti; cli; jmp 1b");
T_BLOB(wait_hlt, 64, "sti; 1: hlt; jmp 1b");

FIXTURE(interrupt)
{
	struct t_vm *vm;
	struct t_vcpu *v;
};

FIXTURE_SETUP(interrupt)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	t_kicks();
}

FIXTURE_TEARDOWN(interrupt)
{
}

struct kicker {
	pthread_t target;
	unsigned int after_ms;
};

static void *kick_main(void *arg)
{
	struct kicker *k = arg;

	t_sleep_ms(k->after_ms);
	pthread_kill(k->target, SIGUSR1);
	return NULL;
}

/* VMM_RUN, interrupted by a signal after a while; the time it took, in ms */
static int run_kicked(struct t_vcpu *v, unsigned int after_ms, unsigned int *took)
{
	struct kicker k = { pthread_self(), after_ms };
	uint64_t start = t_now_ns();
	pthread_t id;
	int r;

	pthread_create(&id, NULL, kick_main, &k);
	r = t_run(v);
	*took = (t_now_ns() - start) / 1000000;
	pthread_join(id, NULL);
	return r;
}

TEST_F(interrupt, signal_ends_a_spinning_guest)
{
	unsigned int i, took;

	for (i = 0; i < 5; i++) {
		t_blob(self->v, T_LONG, spin_quiet, spin_quiet_end);
		EXPECT_EQ(-EINTR, run_kicked(self->v, 100, &took));
		EXPECT_LE(90, took);
		EXPECT_GT(5000, took);
	}
}

TEST_F(interrupt, signal_ends_a_wait)
{
	unsigned int i, took;
	struct vmm_regs r;

	t_blob(self->v, T_LONG, wait_hlt, wait_hlt_end);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(-EINTR, run_kicked(self->v, 100, &took));
		EXPECT_LE(90, took);
		EXPECT_GT(5000, took);
		EXPECT_EQ(VMM_MP_HALTED, t_get_mp(self->v));
		t_get_regs(self->v, &r);
		EXPECT_EQ(T_CODE + 2, r.rip);
	}
}

TEST_F(interrupt, signal_ends_the_wait_of_an_ap)
{
	struct t_vcpu *ap = t_vcpu_new(self->vm, 1);
	unsigned int took;

	EXPECT_EQ(-EINTR, run_kicked(ap, 100, &took));
	EXPECT_LE(90, took);
	EXPECT_EQ(VMM_MP_UNINIT, t_get_mp(ap));
}

TEST_F(interrupt, immediate_exit)
{
	volatile uint64_t *count;
	unsigned int i;

	t_blob(self->v, T_LONG, spin, spin_end);
	count = t_gpa(self->vm, T_DATA, 8);
	*count = 0;
	self->v->run->immediate_exit = 1;
	for (i = 0; i < 100; i++)
		EXPECT_EQ(-EINTR, t_run(self->v));
	EXPECT_EQ(0, *count) TH_LOG("the guest ran");
	EXPECT_EQ(1, self->v->run->immediate_exit) TH_LOG("the caller's field was changed");
	/* any value but 0 */
	self->v->run->immediate_exit = 0x80;
	EXPECT_EQ(-EINTR, t_run(self->v));
	EXPECT_EQ(0, *count);
	self->v->run->immediate_exit = 0;
	run_kicked(self->v, 50, &i);
	EXPECT_LT(0, *count);
}

/* a signal that is blocked does not end it; one that is pending when the call begins does, before
 * the guest runs */
TEST_F(interrupt, pending_signal)
{
	volatile uint64_t *count;
	sigset_t set;

	t_blob(self->v, T_LONG, spin, spin_end);
	count = t_gpa(self->vm, T_DATA, 8);
	*count = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	self->v->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, t_run(self->v));
	self->v->run->immediate_exit = 0;
	EXPECT_EQ(0, *count);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* signals in a storm lose and repeat nothing: the guest's sum over port reads is exact */
T_BLOB(summing, 64,
	"xor %ebx, %ebx; mov $20000, %ecx\n"
	"1: in $0x40, %eax; add %rax, %rbx;\n"
	"dec %ecx; jnz 1b\n"
	"out %al, $0x12; out %al, $0x11; hlt");

TEST_F(interrupt, storm)
{
	struct itimerval tv = { { 0, 300 }, { 0, 300 } }, off = { { 0, 0 }, { 0, 0 } };
	struct sigaction sa = { .sa_handler = SIG_IGN };
	uint64_t want = 0, n = 0, eintr = 0;
	int r;

	t_limit_s = 200;
	t_kicks();
	sigaction(SIGUSR1, NULL, &sa);
	sigaction(SIGALRM, &sa, NULL);
	t_blob(self->v, T_LONG, summing, summing_end);
	setitimer(ITIMER_REAL, &tv, NULL);
	for (;;) {
		r = t_run(self->v);
		if (r == -EINTR) {
			eintr++;
			continue;
		}
		ASSERT_EQ(VMM_EXIT_IO, r);
		if (self->v->run->u.io.direction == VMM_IO_OUT)
			break;
		self->v->run->u.io.data = n * 7 + 1;
		want += n * 7 + 1;
		n++;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	EXPECT_EQ(20000, n);
	{
		struct vmm_regs regs;

		t_get_regs(self->v, &regs);
		EXPECT_EQ(want, regs.gpr[VMM_RBX]);
	}
	EXPECT_LT(0, eintr);
	TH_LOG("%lu of them interrupted", eintr);
}

/* kill -9 of a process whose vCPUs spin, wait, and exit all the time: gone within seconds */
TEST(sigkill)
{
	unsigned int kind;

	for (kind = 0; kind < 4; kind++) {
		uint64_t start;
		int status;
		pid_t pid = fork();

		if (!pid) {
			struct t_vm *vm = t_vm_new();
			struct t_vcpu *v = t_vcpu_new(vm, kind == 3);

			t_kicks();
			t_limit_s = 1000;
			if (kind == 0)
				t_blob(v, T_LONG, spin_quiet, spin_quiet_end);
			else if (kind == 1)
				t_blob(v, T_LONG, wait_hlt, wait_hlt_end);
			else if (kind == 2)
				t_blob(v, T_LONG, spin, spin_end);
			for (;;)
				ioctl(v->fd, VMM_RUN, 0);
		}
		t_sleep_ms(500);
		start = t_now_ns();
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_GT(10000000000ull, t_now_ns() - start)
		TH_LOG("kind %u took %lu ms", kind, (t_now_ns() - start) / 1000000);
	}
}

/* a stopped process does not run its guest; continued, it does */
TEST(sigstop)
{
	volatile uint64_t *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t a, b;
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct t_vm *vm = t_vm_new();
		struct t_vcpu *v = t_vcpu_new(vm, 0);

		if (t_region(vm, 1, 0, 0x40000000, 4096, (void *)shared))
			_exit(2);
		/* mov $0x40000000, %edi; 1: sti; cli; incq (%rdi); jmp 1b */
		t_load(vm, T_CODE, "\xbf\x00\x00\x00\x40\xfb\xfa\x48\xff\x07\xeb\xf9", 12);
		t_set_mode(v, T_LONG);
		for (;;)
			ioctl(v->fd, VMM_RUN, 0);
	}
	t_sleep_ms(500);
	kill(pid, SIGSTOP);
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	a = *shared;
	t_sleep_ms(300);
	b = *shared;
	EXPECT_LT(0, a);
	EXPECT_EQ(a, b) TH_LOG("the guest of a stopped process runs");
	kill(pid, SIGCONT);
	t_sleep_ms(500);
	EXPECT_LT(b, *shared);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

/* a call that waits for a vCPU which is in the guest comes through once that is kicked */
static void *getter(void *arg)
{
	struct t_vcpu *v = arg;
	struct vmm_regs r;

	return (void *)(long)t_get(v->fd, VMM_STATE_REGS, &r, sizeof(r));
}

TEST_F(interrupt, state_call_waits)
{
	struct t_thread t;
	pthread_t id;
	void *result;

	t_blob(self->v, T_LONG, spin_quiet, spin_quiet_end);
	t_spawn(&t, self->v);
	t_sleep_ms(200);
	pthread_create(&id, NULL, getter, self->v);
	t_sleep_ms(200);
	EXPECT_FALSE(t.ended);
	self->v->run->immediate_exit = 1;
	t_kick(&t);
	EXPECT_EQ(T_KICKED, t_join(&t));
	pthread_join(id, &result);
	EXPECT_TRUE((long)result == 0 || (long)result == -EINTR) TH_LOG("%ld", (long)result);
}

/* two threads in one vCPU: one runs, the other waits and can be interrupted */
TEST_F(interrupt, two_threads_one_vcpu)
{
	struct t_thread a, b;
	unsigned int i;

	t_blob(self->v, T_LONG, spin_quiet, spin_quiet_end);
	t_spawn(&a, self->v);
	t_sleep_ms(100);
	t_spawn(&b, self->v);
	t_sleep_ms(200);
	self->v->run->immediate_exit = 1;
	for (i = 0; i < 100 && !(a.ended && b.ended); i++) {
		if (!a.ended)
			t_kick(&a);
		if (!b.ended)
			t_kick(&b);
		t_sleep_ms(50);
	}
	EXPECT_TRUE(a.ended);
	EXPECT_TRUE(b.ended);
}

/* a vCPU that is moved between processors all the time: memory, TSC and SSE state go with it */
T_BLOB(wanderer, 64,
	"mov $0x1234567, %eax; movd %eax, %xmm3\n"
	"xor %r8d, %r8d; mov $20000, %r10d\n"
	"1: lfence; rdtsc; shl $32, %rdx; or %rdx, %rax; cmp %r8, %rax; jb 2f\n"
	"mov %rax, %r8; incq 0x10000; cpuid\n"
	"dec %r10d; jnz 1b\n"
	"movd %xmm3, %ebx; out %al, $0x12; mov 0x10000, %rbx; out %al, $0x12; out %al, $0x11; hlt\n"
	"2: mov %r8, %rbx; out %al, $0x12; mov %rax, %rbx; out %al, $0x12; ud2");

TEST_F(interrupt, migration)
{
	unsigned int cpus = t_cpus();
	struct t_thread t;
	unsigned int n = 0;

	if (cpus < 2)
		SKIP(return, "one processor only");
	t_limit_s = 200;
	t_blob(self->v, T_LONG, wanderer, wanderer_end);
	*(uint64_t *)t_gpa(self->vm, T_DATA, 8) = 0;
	t_spawn(&t, self->v);
	while (!t.ended) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(t_cpu(n++ % cpus), &set);
		pthread_setaffinity_np(t.id, sizeof(set), &set);
		t_sleep_ms(3);
	}
	ASSERT_EQ(T_DONE, t_join(&t)) TH_LOG("TSC went back?");
	EXPECT_EQ(0x1234567, self->v->report[0]);
	EXPECT_EQ(20000, self->v->report[1]);
	EXPECT_LT(3, n);
}

/* the process's LDT has one segment, with this limit */
static int set_ldt(unsigned int limit)
{
	struct user_desc d = { .limit = limit, .seg_32bit = 1, .useable = 1 };

	return syscall(SYS_modify_ldt, 1, &d, sizeof(d)) ? -errno : 0;
}

/* the limit that this thread finds there, 0 = no such segment */
static unsigned int ldt_limit(void)
{
	unsigned int limit = 0, selector = 7;

	asm volatile("lsl %1, %0" : "+r"(limit) : "r"(selector) : "cc");
	return limit;
}

static void *ldt_main(void *arg)
{
	pthread_t target = *(pthread_t *)arg;

	t_sleep_ms(100);
	set_ldt(ldt_limit() + 1);
	t_sleep_ms(100);
	pthread_kill(target, SIGUSR1);
	return NULL;
}

/*
 * Another thread gives the process a new LDT while a vCPU runs: the old one is freed, and the
 * vCPU's thread must come back with the new one.
 */
TEST_F(interrupt, ldt_replaced)
{
	pthread_t self_id = pthread_self(), id;
	unsigned int i;

	/* a kernel that is itself a paravirtual guest may take an LDT and not load it */
	if (set_ldt(0x100) || ldt_limit() != 0x100)
		SKIP(return, "this kernel gives processes no LDT");
	t_blob(self->v, T_LONG, spin_quiet, spin_quiet_end);
	for (i = 1; i <= 5; i++) {
		ASSERT_EQ(0, pthread_create(&id, NULL, ldt_main, &self_id));
		EXPECT_EQ(-EINTR, t_run(self->v));
		ASSERT_EQ(0x100 + i, ldt_limit());
		pthread_join(id, NULL);
	}
}

static volatile bool storm_over;

static void *fpu_storm(void *arg)
{
	static __thread uint8_t fpu[512] __attribute__((aligned(16)));

	t_pin((uintptr_t)arg);
	asm volatile("fxsave %0" : "=m"(fpu));
	while (!storm_over)
		asm volatile("fxrstor %0" ::"m"(fpu));
	return NULL;
}

/*
 * A vCPU comes and goes on each processor in turn while the others restore FPU state all the time.
 * An emulator's restore writes into the state of its first processor (testhost/README.md): with a
 * vCPU there, this is the end of the host.
 */
TEST_F(interrupt, fpu_storm)
{
	unsigned int cpus = t_cpus(), i, k;
	pthread_t storm[16];

	if (cpus < 2)
		SKIP(return, "one processor only");
	if (cpus > 16)
		cpus = 16;
	/* mov %ds, %ax; out %ax, $0x80; jmp back */
	t_load(self->vm, T_CODE, "\x8c\xd8\xe7\x80\xeb\xfa", 6);
	t_set_mode(self->v, T_LONG);
	for (k = 0; k < cpus; k++) {
		storm_over = false;
		t_pin(k);
		for (i = 0; i < cpus; i++)
			if (i != k)
				ASSERT_EQ(0, pthread_create(&storm[i], NULL, fpu_storm, (void *)(uintptr_t)i));
		for (i = 0; i < 5000; i++)
			if (t_run(self->v) != VMM_EXIT_IO)
				break;
		EXPECT_EQ(5000, i);
		storm_over = true;
		for (i = 0; i < cpus; i++)
			if (i != k)
				pthread_join(storm[i], NULL);
	}
}

/* more vCPUs than processors, all spinning: each gets its share, signals reach them */
TEST_F(interrupt, overcommit)
{
	struct t_vcpu *v[4] = { self->v };
	volatile uint64_t *count = t_gpa(self->vm, T_DATA, 8 * 512);
	struct t_thread t[4];
	unsigned int i;

	t_tables(self->vm);
	for (i = 0; i < 4; i++) {
		struct vmm_regs r;

		if (i)
			v[i] = t_vcpu_new(self->vm, i);
		/* 1: sti; cli; incq (%rdi); jmp 1b */
		t_load(self->vm, T_CODE, "\xfb\xfa\x48\xff\x07\xeb\xf9", 7);
		t_set_mode(v[i], T_LONG);
		t_get_regs(v[i], &r);
		r.gpr[VMM_RDI] = T_DATA + 64 * i;
		t_set_regs(v[i], &r);
		count[8 * i] = 0;
	}
	for (i = 0; i < 4; i++)
		t_spawn(&t[i], v[i]);
	t_sleep_ms(3000);
	for (i = 0; i < 4; i++) {
		EXPECT_LT(0, count[8 * i]) TH_LOG("vCPU %u did not run", i);
		v[i]->run->immediate_exit = 1;
		t_kick(&t[i]);
		EXPECT_TRUE(t_ended_within(&t[i], 10000)) TH_LOG("vCPU %u", i);
	}
}

VMM_TEST_MAIN
