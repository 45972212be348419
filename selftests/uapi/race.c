// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at the same time. Nothing here knows what the right answer is; the host must stay
 * whole, every call must come back, and the VM must still work (or have died of it) afterwards.
 * What is wrong shows in the kernel's log, above all on the debug kernel.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "harness.h"

#define FAR	0x80000000ull
#define PAGE	4096ull

static volatile bool stop;
static unsigned int seconds = 3;

struct world {
	struct t_vm *vm;
	struct t_vcpu *v[2];
	uint8_t *mem;		/* 64 pages at FAR */
	int ev;
	int dev;
};

static uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s * 0x2545f4914f6cdd1d >> 11;
}

/* a guest that touches pages at FAR, ports and its local APIC, for ever */
T_BLOB(busy_guest, 64,
	"sti\n"
	"1: mov $0x80000000, %edi\n"
	"mov $64, %ecx\n"
	"2: incl (%rdi); add $4096, %rdi; dec %ecx; jnz 2b\n"
	"mov %eax, 0xd0000000\n"
	"out %ax, $0x51\n"
	"mov $0xfee00030, %edi; mov (%rdi), %eax\n"
	"xor %eax, %eax; cpuid\n"
	"jmp 1b");

/* what all its interrupts, and NMIs, lead to */
T_BLOB(busy_handler, 64,
	"push %rax; mov $0xfee000b0, %eax; movl $0, (%rax); pop %rax; iretq");

static void make_world(struct world *w)
{
	const uint64_t gate[2] = { 0x9000 | (uint64_t)T_CS64 << 16 | 0x8eull << 40, 0 };
	unsigned int i;

	stop = false;
	t_kicks();
	w->vm = t_vm_new();
	w->mem = t_alloc(64 * PAGE, PAGE);
	w->ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->dev = -1;
	if (t_region(w->vm, 1, 0, FAR, 64 * PAGE, w->mem))
		t_die("no region");
	t_tables(w->vm);
	t_load(w->vm, 0x9000, busy_handler, busy_handler_end - busy_handler);
	t_load(w->vm, T_IDT64 + 2 * 16, gate, 16);
	for (i = 32; i < 256; i++)
		t_load(w->vm, T_IDT64 + i * 16, gate, 16);
	for (i = 0; i < 2; i++) {
		struct vmm_regs r;

		w->v[i] = t_vcpu_new(w->vm, i);
		t_blob(w->v[i], T_LONG, busy_guest, busy_guest_end);
		t_get_regs(w->v[i], &r);
		r.gpr[VMM_RSP] = T_DATA + 0x4000 * (i + 1);
		t_set_regs(w->v[i], &r);
		t_apic_enable(w->v[i]);
	}
}

/* runs a vCPU whatever it exits for; answers nothing */
struct runner {
	struct t_vcpu *v;
	pthread_t id;
	uint64_t runs;
};

static void *runner_main(void *arg)
{
	struct runner *r = arg;

	while (!stop) {
		int e = ioctl(r->v->fd, VMM_RUN, 0);

		r->runs++;
		if (e < 0 && errno != EINTR && errno != EAGAIN)
			sched_yield();
	}
	return NULL;
}

static void start_runners(struct world *w, struct runner r[2])
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		r[i].v = w->v[i];
		r[i].runs = 0;
		pthread_create(&r[i].id, NULL, runner_main, &r[i]);
	}
}

static void stop_runners(struct runner r[2])
{
	unsigned int i;

	stop = true;
	for (i = 0; i < 2; i++) {
		r[i].v->run->immediate_exit = 1;
		pthread_kill(r[i].id, SIGUSR1);
		pthread_join(r[i].id, NULL);
		r[i].v->run->immediate_exit = 0;
		r[i].v->unanswered = true;
	}
}

/* the VM still does what it should */
static bool still_works(struct world *w)
{
	t_region(w->vm, 1, 0, 0, 0, NULL);
	t_load(w->vm, T_CODE, "\xe6\x11\xf4", 3);
	t_settle(w->v[0]);
	t_set_mode(w->v[0], T_LONG);
	return t_done(w->v[0]);
}

static bool time_left(uint64_t start)
{
	return t_now_ns() - start < seconds * 1000000000ull;
}

TEST(slots)
{
	uint64_t start = t_now_ns(), s = 1, n = 0;
	struct runner r[2];
	struct world w;

	make_world(&w);
	start_runners(&w, r);
	for (; time_left(start); n++) {
		t_region(w.vm, 1, 0, 0, 0, NULL);
		t_region(w.vm, 2 + rnd(&s) % 4, rnd(&s) & 1, FAR + rnd(&s) % 64 * PAGE,
			 (1 + rnd(&s) % 8) * PAGE, w.mem + rnd(&s) % 32 * PAGE);
		t_region(w.vm, 2 + rnd(&s) % 4, 0, 0, 0, NULL);
		t_region(w.vm, 1, rnd(&s) & 1, FAR, 64 * PAGE, w.mem);
		if (rnd(&s) % 16 == 0)
			t_region(w.vm, 1, 0, FAR + 0x100000, 64 * PAGE, w.mem);
	}
	stop_runners(r);
	TH_LOG("%lu rounds, %lu and %lu runs", n, r[0].runs, r[1].runs);
	EXPECT_LT(0, r[0].runs);
	for (n = 1; n < 8; n++)
		t_region(w.vm, n, 0, 0, 0, NULL);
	EXPECT_TRUE(still_works(&w));
}

/* the process changes the memory behind the guest in every way there is */
TEST(memory)
{
	uint64_t start = t_now_ns(), s = 2, n = 0;
	struct runner r[2];
	struct world w;

	make_world(&w);
	start_runners(&w, r);
	for (; time_left(start); n++) {
		uint8_t *p = w.mem + rnd(&s) % 48 * PAGE;
		size_t len = (1 + rnd(&s) % 16) * PAGE;

		switch (rnd(&s) % 8) {
		case 0:
			munmap(p, len);
			break;
		case 1:
		case 2:
			mmap(p, len, PROT_READ | PROT_WRITE,
			     MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			break;
		case 3:
			mprotect(p, len, PROT_READ);
			break;
		case 4:
			mprotect(p, len, PROT_READ | PROT_WRITE);
			break;
		case 5:
			madvise(p, len, MADV_DONTNEED);
			break;
		case 6:
			madvise(p, len, 21 /* MADV_PAGEOUT */);
			break;
		case 7:
			mmap(p, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS,
			     -1, 0);
			break;
		}
	}
	stop_runners(r);
	TH_LOG("%lu changes, %lu and %lu runs", n, r[0].runs, r[1].runs);
	EXPECT_TRUE(still_works(&w));
}

TEST(fork_storm)
{
	uint64_t start = t_now_ns(), n = 0;
	struct runner r[2];
	struct world w;
	int status;

	make_world(&w);
	start_runners(&w, r);
	for (; time_left(start); n++) {
		pid_t pid = fork();

		if (!pid) {
			if (n & 1)
				memset(w.mem, 1, 64 * PAGE);
			_exit(0);
		}
		if (n % 4 == 3)
			while (waitpid(-1, &status, WNOHANG) > 0)
				;
		if (n % 16 == 15)
			while (waitpid(-1, &status, 0) > 0)
				;
	}
	while (waitpid(-1, &status, 0) > 0)
		;
	stop_runners(r);
	TH_LOG("%lu forks, %lu and %lu runs", n, r[0].runs, r[1].runs);
	EXPECT_TRUE(still_works(&w));
}

static void *interrupts_main(void *arg)
{
	struct world *w = arg;
	uint64_t s = 3;

	while (!stop) {
		struct vmm_route r[4];
		struct vmm_routes routes = { .nr = rnd(&s) % 5, .routes = (uintptr_t)r };
		struct vmm_irqfd f = {
			.fd = w->ev, .gsi = rnd(&s) % 4, .flags = rnd(&s) % 2, .resample_fd = -1};
		struct vmm_ioeventfd io = {.addr = rnd(&s) & 1 ? 0x51 : 0xd0000000,
					   .len = 1u << rnd(&s) % 3,
					   .fd = w->ev};
		uint64_t one = 1;
		unsigned int i;

		memset(r, 0, sizeof(r));
		for (i = 0; i < 4; i++) {
			r[i].gsi = i;
			r[i].type = VMM_ROUTE_MSI;
			r[i].u.msi.addr = 0xfee00000 | (rnd(&s) % 3) << 12;
			r[i].u.msi.data = 0x20 + rnd(&s) % 200 + (rnd(&s) & 1 ? 0xc000 : 0);
		}
		io.flags = (io.addr == 0x51 ? VMM_IOEVENTFD_PIO : 0) |
			   (rnd(&s) & 1 ? VMM_IOEVENTFD_DEASSIGN : 0) |
			   (rnd(&s) & 1 ? VMM_IOEVENTFD_DATAMATCH : 0);
		t_ioctl(w->vm->fd, VMM_SET_ROUTES, &routes);
		t_ioctl(w->vm->fd, VMM_IRQFD, &f);
		t_ioctl(w->vm->fd, VMM_IOEVENTFD, &io);
		if (write(w->ev, &one, 8) != 8)
			t_sleep_ms(0);
		t_irq(w->vm, rnd(&s) % 3, 0x20 + rnd(&s) % 200);
		if (rnd(&s) % 8 == 0)
			t_nmi(w->vm, rnd(&s) % 2);
		t_lint(w->vm, rnd(&s) % 2, rnd(&s) % 2, rnd(&s) % 2);
	}
	return NULL;
}

TEST(interrupts)
{
	uint64_t start = t_now_ns();
	pthread_t id[2];
	struct runner r[2];
	struct world w;

	make_world(&w);
	start_runners(&w, r);
	pthread_create(&id[0], NULL, interrupts_main, &w);
	pthread_create(&id[1], NULL, interrupts_main, &w);
	while (time_left(start))
		t_sleep_ms(10);
	stop = true;
	pthread_join(id[0], NULL);
	pthread_join(id[1], NULL);
	stop_runners(r);
	TH_LOG("%lu and %lu runs", r[0].runs, r[1].runs);
	t_lint(w.vm, 0, 0, 0);
	t_lint(w.vm, 0, 1, 0);
}

static void *state_main(void *arg)
{
	struct world *w = arg;
	static const uint32_t types[] = {
		VMM_STATE_REGS, VMM_STATE_SREGS, VMM_STATE_DEBUGREGS, VMM_STATE_XSAVE,
		VMM_STATE_XCRS, VMM_STATE_LAPIC, VMM_STATE_EVENTS,    VMM_STATE_MP,
	};
	static __thread uint8_t buf[16384];
	uint64_t s = 4;

	while (!stop) {
		struct t_vcpu *v = w->v[rnd(&s) % 2];
		struct vmm_state st = {
			.type = types[rnd(&s) % 8],
			.version = VMM_STATE_VERSION,
			.size = sizeof(buf),
			.data = (uintptr_t)buf,
		};

		if (!t_ioctl(v->fd, VMM_GET_STATE, &st) && (rnd(&s) & 1)) {
			st.flags = 0;
			t_ioctl(v->fd, VMM_SET_STATE, &st);
		}
		t_stat(v->fd, 0);
		t_stat(w->vm->fd, 0);
		pthread_testcancel();
	}
	return NULL;
}

/* state calls wait for the vCPU's mutex: each is kicked now and then */
TEST(state)
{
	uint64_t start = t_now_ns();
	struct runner r[2];
	pthread_t id;
	struct world w;
	unsigned int i;

	make_world(&w);
	start_runners(&w, r);
	pthread_create(&id, NULL, state_main, &w);
	while (time_left(start)) {
		for (i = 0; i < 2; i++)
			pthread_kill(r[i].id, SIGUSR1);
		t_sleep_ms(1);
	}
	stop = true;
	stop_runners(r);
	pthread_join(id, NULL);
}

/* vCPUs made by many threads: each id once */
static volatile int made[VMM_MAX_VCPUS];

static void *maker_main(void *arg)
{
	struct t_vm *vm = arg;
	unsigned int i;

	for (i = 0; i < VMM_MAX_VCPUS; i++) {
		struct vmm_create_vcpu c = { .id = i };

		if (t_ioctl(vm->fd, VMM_CREATE_VCPU, &c) >= 0)
			__atomic_fetch_add(&made[i], 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

TEST(create_vcpus)
{
	struct t_vm *vm = t_vm_new();
	pthread_t id[4];
	unsigned int i;

	for (i = 0; i < 4; i++)
		pthread_create(&id[i], NULL, maker_main, vm);
	for (i = 0; i < 4; i++)
		pthread_join(id[i], NULL);
	for (i = 0; i < VMM_MAX_VCPUS; i++)
		EXPECT_EQ(1, made[i]) TH_LOG("vCPU %u", i);
}

/* closes in every order, from two threads at a time */
struct closer {
	int fd[4];
	void *page;
	unsigned int order;
};

static void *closer_main(void *arg)
{
	struct closer *c = arg;
	unsigned int i;

	for (i = 0; i < 4; i++)
		if (c->fd[(i + c->order) % 4] >= 0)
			close(c->fd[(i + c->order) % 4]);
	return NULL;
}

TEST(closes)
{
	unsigned int i;

	for (i = 0; i < 200; i++) {
		struct t_vm *vm = t_vm_new_ram(1 << 20);
		struct t_vcpu *v = t_vcpu_new(vm, 0), *u = t_vcpu_bare(vm, 1);
		struct vmm_create_device cd = { .type = VMM_DEVICE_BLK };
		int dev = t_cap(VMM_CAP_VIRTIO) & (1 << VMM_DEVICE_BLK)
				  ? t_ioctl(vm->fd, VMM_CREATE_DEVICE, &cd)
				  : -1;
		struct closer a = { .fd = { vm->fd, v->fd, u->fd, dev }, .order = i };
		struct closer b = {
			.fd = {dup(vm->fd), dup(v->fd), dup(u->fd), dev >= 0 ? dup(dev) : -1},
			.order = i / 4};
		pthread_t id[2];

		pthread_create(&id[0], NULL, closer_main, &a);
		pthread_create(&id[1], NULL, closer_main, &b);
		if (i & 1)
			munmap((void *)v->run, VMM_RUN_SIZE);
		if (i & 2)
			munmap(vm->mem, vm->mem_size);
		pthread_join(id[0], NULL);
		pthread_join(id[1], NULL);
		if (!(i & 1))
			munmap((void *)v->run, VMM_RUN_SIZE);
		if (!(i & 2))
			munmap(vm->mem, vm->mem_size);
		munmap((void *)u->run, VMM_RUN_SIZE);
	}
}

/* the run page comes and goes, and is scribbled on, while its vCPU runs */
TEST(run_page)
{
	uint64_t start = t_now_ns(), s = 5;
	struct runner r[2];
	struct world w;

	make_world(&w);
	start_runners(&w, r);
	while (time_left(start)) {
		volatile uint8_t *p =
			mmap(NULL, VMM_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, w.v[0]->fd, 0);
		unsigned int i;

		if (p == MAP_FAILED)
			continue;
		/* all but pad_in, with which VMM_RUN would do nothing any more */
		for (i = 0; i < 200; i++) {
			unsigned int at = rnd(&s) % 512;

			p[at >= 1 && at < 8 ? 0 : at] = rnd(&s);
		}
		munmap((void *)p, VMM_RUN_SIZE);
	}
	stop_runners(r);
	TH_LOG("%lu and %lu runs", r[0].runs, r[1].runs);
}

/* random calls with random arguments, on files of all kinds */
static const unsigned long commands[] = {
	VMM_CREATE_VCPU,      VMM_SET_MEM_REGION, VMM_IOEVENTFD,	VMM_IRQFD,
	VMM_SET_ROUTES,	      VMM_SIGNAL_MSI,	  VMM_SET_LINT,		VMM_CREATE_DEVICE,
	VMM_GET_VM_STATE,     VMM_SET_VM_STATE,	  VMM_GET_STATE,	VMM_SET_STATE,
	VMM_GET_STATS,	      VMM_DEV_GET_INFO,	  VMM_DEV_SET_FEATURES, VMM_DEV_SET_QUEUE,
	VMM_DEV_GET_QUEUE,    VMM_DEV_SET_NOTIFY, VMM_DEV_SET_VECTOR,	VMM_DEV_SET_MSIX,
	VMM_DEV_GET_PENDING,  VMM_DEV_GET_EVENTS, VMM_DEV_START,	VMM_DEV_STOP,
	VMM_DEV_RAISE_CONFIG, VMM_BLK_SETUP,	  VMM_CONSOLE_SETUP,
};

static void *fuzz_main(void *arg)
{
	struct world *w = arg;
	static __thread uint64_t data[2048];
	uint64_t s = 0x9e3779b97f4a7c15 ^ (uintptr_t)&s;

	while (!stop) {
		const int fds[] = { w->vm->fd, w->v[0]->fd, w->v[1]->fd, w->dev };
		uint32_t a[32];
		unsigned long cmd;
		unsigned int i;
		int fd = fds[rnd(&s) % 4], r;

		for (i = 0; i < 32; i++) {
			switch (rnd(&s) % 6) {
			case 0:
				a[i] = rnd(&s);
				break;
			case 1:
				a[i] = rnd(&s) % 16;
				break;
			case 2:
				a[i] = i & 1 ? (uintptr_t)data >> 32 : (uintptr_t)data;
				break;
			case 3:
				a[i] = rnd(&s) % 1024 * 4096;
				break;
			default:
				a[i] = 0;
			}
		}
		for (i = 0; i < 64; i++)
			data[rnd(&s) % 2048] = rnd(&s) & 1 ? 0 : rnd(&s);
		cmd = commands[rnd(&s) % ARRAY_SIZE(commands)];
		r = t_ioctl(fd, cmd, _IOC_DIR(cmd) == _IOC_NONE ? NULL : a);
		if (r > 2)
			close(r);	/* a new vCPU or device */
	}
	return NULL;
}

TEST(fuzz)
{
	struct vmm_create_device cd = { .type = VMM_DEVICE_BLK };
	uint64_t start = t_now_ns();
	pthread_t id[2];
	struct runner r[2];
	struct world w;
	unsigned int i;

	make_world(&w);
	if (t_cap(VMM_CAP_VIRTIO) & (1 << VMM_DEVICE_BLK))
		w.dev = t_ioctl(w.vm->fd, VMM_CREATE_DEVICE, &cd);
	start_runners(&w, r);
	for (i = 0; i < 2; i++)
		pthread_create(&id[i], NULL, fuzz_main, &w);
	while (time_left(start)) {
		for (i = 0; i < 2; i++)
			pthread_kill(r[i].id, SIGUSR1);
		t_sleep_ms(2);
	}
	stop = true;
	stop_runners(r);
	for (i = 0; i < 2; i++)
		pthread_join(id[i], NULL);
}

/* the process ends, or becomes another, with threads in every call */
TEST(ends)
{
	unsigned int i;

	seconds = 1000;
	for (i = 0; i < 30; i++) {
		uint64_t start = t_now_ns();
		int status;
		pid_t pid = fork();

		if (!pid) {
			struct runner r[2];
			struct world w;
			pthread_t id;

			make_world(&w);
			start_runners(&w, r);
			pthread_create(&id, NULL, interrupts_main, &w);
			pthread_create(&id, NULL, state_main, &w);
			t_sleep_ms(20 + i);
			switch (i % 3) {
			case 0:
				_exit(0);
			case 1:
				kill(getpid(), SIGKILL);
				break;
			case 2:
				execl("/bin/true", "true", NULL);
			}
			_exit(99);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(i % 3 == 1 ? WIFSIGNALED(status)
				       : WIFEXITED(status) && !WEXITSTATUS(status))
		TH_LOG("status 0x%x", status);
		EXPECT_GT(60000000000ull, t_now_ns() - start);
	}
}

VMM_TEST_MAIN
