// SPDX-License-Identifier: GPL-2.0
/*
 * Every ioctl of /dev/vmm, of a VM and of a vCPU, with each of its allocations failing once: it
 * fails with ENOMEM (or EFAULT, for a copy), nothing is changed, nothing is lost.
 */
#include <fcntl.h>
#include <sys/eventfd.h>

#include "exec.h"
#include "fail.h"
#include "harness.h"

#define A	0x8000000ull	/* where regions come and go */
#define B	0x9000000ull
#define SIZE	0x200000ull
#define SLOT	7
#define PORT	0x510
#define GSI	3

FIXTURE(failalloc)
{
	struct t_vm *vm;
	struct t_vcpu *v;
	int sys;
	int ev[2];
	uint8_t *mem;
	unsigned int next_id;
	long refs;

	/* of the state under test */
	uint32_t type;
	void *base, *other;
	uint32_t size, other_size;
};

typedef FIXTURE_DATA(failalloc) ctx_t;

static long refs(void)
{
	return t_read_long("/sys/module/vmm/refcnt");
}

FIXTURE_SETUP(failalloc)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	t_apic_enable(self->v);
	self->sys = t_open();
	self->ev[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	self->ev[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	self->mem = t_alloc(SIZE, SIZE);
	self->next_id = 1;
	self->refs = refs();
}

FIXTURE_TEARDOWN(failalloc)
{
	/* whoever holds the module holds an object */
	EXPECT_EQ(self->refs, refs());
}

static void close_it(void *ctx, int fd)
{
	(void)ctx;
	close(fd);
}

/* ---- /dev/vmm ---- */

static int call_create_vm(void *ctx)
{
	const struct vmm_create_vm arg = { 0 };

	return t_ioctl(((ctx_t *)ctx)->sys, VMM_CREATE_VM, &arg);
}

TEST_F(failalloc, create_vm)
{
	const struct t_failing f = { "VMM_CREATE_VM", call_create_vm, close_it, NULL };

	EXPECT_LE(5, t_fail_each(&f, self));
}

static int call_supported(void *ctx)
{
	ctx_t *c = ctx;
	struct vmm_state s = {
		.type = c->type,
		.version = VMM_STATE_VERSION,
		.size = c->size,
		.data = (uintptr_t)c->base,
	};

	return t_ioctl(c->sys, VMM_GET_SUPPORTED_STATE, &s);
}

TEST_F(failalloc, supported_state)
{
	const struct t_failing f = { "VMM_GET_SUPPORTED_STATE", call_supported, NULL, NULL };
	static const uint32_t types[] = { VMM_STATE_CPUID, VMM_STATE_MSR_LIST };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		self->type = types[i];
		self->size = t_state_size(self->sys, VMM_GET_SUPPORTED_STATE, types[i]);
		self->base = calloc(1, self->size);
		EXPECT_LE(1, t_fail_each(&f, self));
	}
}

/* ---- a VM ---- */

static int call_create_vcpu(void *ctx)
{
	ctx_t *c = ctx;
	const struct vmm_create_vcpu arg = { .id = c->next_id };

	return t_ioctl(c->vm->fd, VMM_CREATE_VCPU, &arg);
}

static void next_vcpu(void *ctx, int fd)
{
	((ctx_t *)ctx)->next_id++;
	close(fd);
}

TEST_F(failalloc, create_vcpu)
{
	const struct t_failing f = { "VMM_CREATE_VCPU", call_create_vcpu, next_vcpu, NULL };

	EXPECT_LE(5, t_fail_each(&f, self));
}

static int region(ctx_t *c, uint32_t flags, uint64_t gpa, uint64_t size)
{
	return t_region(c->vm, SLOT, flags, gpa, size, c->mem);
}

static void must(int r, const char *what)
{
	if (r < 0)
		t_die("%s: %s", what, strerror(-r));
}

/* what a guest's write to that address makes: VMM_EXIT_HALT where there is memory */
static int write_to(ctx_t *c, uint64_t gpa)
{
	struct t_exec x = {
		.mode = T_PM32,
		.bytes = { 0x89, 0x07 },	/* mov %eax, (%rdi) */
		.len = 2,
		.gpr[VMM_RDI] = gpa,
	};

	t_exec(c->v, &x);
	return x.exit;
}

static int call_region_create(void *ctx)
{
	return region(ctx, 0, A, SIZE);
}

static void region_delete(void *ctx, int r)
{
	(void)r;
	must(region(ctx, 0, A, 0), "delete");
}

static bool nothing_at_a(void *ctx)
{
	return write_to(ctx, A) == VMM_EXIT_MMIO;
}

static int call_region_delete(void *ctx)
{
	return region(ctx, 0, A, 0);
}

static void region_create(void *ctx, int r)
{
	(void)r;
	must(region(ctx, 0, A, SIZE), "create");
}

static bool memory_at_a(void *ctx)
{
	return write_to(ctx, A) == VMM_EXIT_HALT && write_to(ctx, B) == VMM_EXIT_MMIO;
}

static int call_region_move(void *ctx)
{
	return region(ctx, 0, B, SIZE);
}

static void region_back(void *ctx, int r)
{
	(void)r;
	must(region(ctx, 0, A, SIZE), "move back");
}

static int call_region_readonly(void *ctx)
{
	return region(ctx, VMM_MEM_READONLY, A, SIZE);
}

TEST_F(failalloc, mem_region)
{
	const struct t_failing create = { "make a region", call_region_create, region_delete,
					  nothing_at_a };
	const struct t_failing del = { "delete it", call_region_delete, region_create,
				       memory_at_a };
	const struct t_failing move = { "move it", call_region_move, region_back, memory_at_a };
	const struct t_failing flags = { "make it read-only", call_region_readonly, region_back,
					 memory_at_a };

	EXPECT_LE(1, t_fail_each(&create, self));
	region_create(self, 0);
	EXPECT_LE(2, t_fail_each(&del, self));
	EXPECT_LE(2, t_fail_each(&move, self));
	EXPECT_LE(1, t_fail_each(&flags, self));
}

static int ioeventfd(ctx_t *c, uint32_t flags)
{
	const struct vmm_ioeventfd arg = {
		.addr = PORT, .len = 4, .fd = c->ev[0], .flags = VMM_IOEVENTFD_PIO | flags,
	};

	return t_ioctl(c->vm->fd, VMM_IOEVENTFD, &arg);
}

static int call_ioeventfd(void *ctx)
{
	return ioeventfd(ctx, 0);
}

static void ioeventfd_end(void *ctx, int r)
{
	(void)r;
	must(ioeventfd(ctx, VMM_IOEVENTFD_DEASSIGN), "ioeventfd deassign");
}

static int call_ioeventfd_end(void *ctx)
{
	return ioeventfd(ctx, VMM_IOEVENTFD_DEASSIGN);
}

static void ioeventfd_again(void *ctx, int r)
{
	(void)r;
	must(ioeventfd(ctx, 0), "ioeventfd assign");
}

/* is the port's OUT taken by the eventfd? */
static bool port_signals(void *ctx)
{
	struct t_exec x = {
		.mode = T_PM32,
		.bytes = { 0xef },		/* out %eax, %dx */
		.len = 1,
		.gpr[VMM_RDX] = PORT,
	};
	ctx_t *c = ctx;
	uint64_t n;

	t_exec(c->v, &x);
	return x.exit == VMM_EXIT_HALT && read(c->ev[0], &n, 8) == 8;
}

static bool port_exits(void *ctx)
{
	struct t_exec x = { .mode = T_PM32, .bytes = { 0xef }, .len = 1, .gpr[VMM_RDX] = PORT };

	t_exec(((ctx_t *)ctx)->v, &x);
	return x.exit == VMM_EXIT_IO;
}

TEST_F(failalloc, ioeventfd)
{
	const struct t_failing on = { "assign an ioeventfd", call_ioeventfd, ioeventfd_end,
				      port_exits };
	const struct t_failing off = { "deassign it", call_ioeventfd_end, ioeventfd_again,
				       port_signals };

	EXPECT_LE(2, t_fail_each(&on, self));
	ioeventfd_again(self, 0);
	t_fail_each(&off, self);
}

static int irqfd(ctx_t *c, uint32_t flags)
{
	const struct vmm_irqfd arg = {
		.fd = c->ev[0], .gsi = GSI, .flags = flags, .resample_fd = c->ev[1],
	};

	return t_ioctl(c->vm->fd, VMM_IRQFD, &arg);
}

static int call_irqfd(void *ctx)
{
	return irqfd(ctx, VMM_IRQFD_RESAMPLE);
}

static void irqfd_end(void *ctx, int r)
{
	(void)r;
	must(irqfd(ctx, VMM_IRQFD_DEASSIGN), "irqfd deassign");
}

static int call_irqfd_end(void *ctx)
{
	return irqfd(ctx, VMM_IRQFD_DEASSIGN);
}

static void irqfd_again(void *ctx, int r)
{
	(void)r;
	must(irqfd(ctx, VMM_IRQFD_RESAMPLE), "irqfd assign");
}

/* the vector that a signal of the eventfd brings, 0 = none */
static unsigned int signalled(ctx_t *c)
{
	const uint64_t one = 1;
	struct vmm_lapic_state s;
	unsigned int vector, found = 0;
	uint64_t n;

	if (write(c->ev[0], &one, 8) != 8)
		t_die("write to an eventfd: %s", strerror(errno));
	must(t_get(c->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)), "get of VMM_STATE_LAPIC");
	for (vector = 0; vector < 256; vector++)
		if (s.regs[0x200 + vector / 32 * 16 + vector % 32 / 8] & 1u << vector % 8)
			found = vector;
	memset(s.regs + 0x100, 0, 0x180);
	must(t_set(c->v->fd, VMM_STATE_LAPIC, &s, sizeof(s)), "set of VMM_STATE_LAPIC");
	if (read(c->ev[0], &n, 8) != 8)
		return found;
	return found ? 256 : 0;		/* an irqfd takes the count away */
}

static int set_routes(ctx_t *c, uint32_t data, unsigned int nr)
{
	struct vmm_route *route = calloc(nr, sizeof(*route));
	const struct vmm_routes arg = { .nr = nr, .routes = (uintptr_t)route };
	unsigned int i;
	int r;

	for (i = 0; i < nr; i++) {
		route[i].gsi = i;
		route[i].type = VMM_ROUTE_MSI;
		route[i].u.msi = (struct vmm_msi){ .addr = 0xfee00000, .data = data };
	}
	r = t_ioctl(c->vm->fd, VMM_SET_ROUTES, &arg);
	free(route);
	return r;
}

static bool signals_first(void *ctx)
{
	return signalled(ctx) == 0x41;
}

static bool signals_nothing(void *ctx)
{
	return signalled(ctx) == 0;
}

TEST_F(failalloc, irqfd)
{
	const struct t_failing on = { "assign an irqfd", call_irqfd, irqfd_end, signals_nothing };
	const struct t_failing off = { "deassign it", call_irqfd_end, irqfd_again,
				       signals_first };

	ASSERT_OK(set_routes(self, 0x41, GSI + 1));
	EXPECT_LE(1, t_fail_each(&on, self));
	irqfd_again(self, 0);
	t_fail_each(&off, self);
}

static int call_routes_few(void *ctx)
{
	return set_routes(ctx, 0x42, GSI + 1);
}

static int call_routes_many(void *ctx)
{
	return set_routes(ctx, 0x42, VMM_MAX_ROUTES);
}

static void first_routes(void *ctx, int r)
{
	(void)r;
	must(set_routes(ctx, 0x41, GSI + 1), "VMM_SET_ROUTES");
}

TEST_F(failalloc, routes)
{
	const struct t_failing few = { "few routes", call_routes_few, first_routes,
				       signals_first };
	const struct t_failing many = { "many routes", call_routes_many, first_routes,
					signals_first };

	first_routes(self, 0);
	irqfd_again(self, 0);
	EXPECT_LE(2, t_fail_each(&few, self));
	EXPECT_LE(1, t_fail_each(&many, self));
}

static int call_create_device(void *ctx)
{
	ctx_t *c = ctx;
	const struct vmm_create_device arg = { .type = c->type };

	return t_ioctl(c->vm->fd, VMM_CREATE_DEVICE, &arg);
}

TEST_F(failalloc, create_device)
{
	const struct t_failing f = { "VMM_CREATE_DEVICE", call_create_device, close_it, NULL };
	long types = t_cap(VMM_CAP_VIRTIO);

	if (types <= 0)
		SKIP(return, "no devices here (vmm_virtio is not loaded)");
	for (self->type = 0; self->type < 32; self->type++)
		if (types & 1 << self->type)
			EXPECT_LE(3, t_fail_each(&f, self));
}

static int call_small_things(void *ctx)
{
	ctx_t *c = ctx;
	uint64_t counters[VMM_STAT_NR];
	const struct vmm_stats stats = { .nr = VMM_STAT_NR, .counters = (uintptr_t)counters };
	const struct vmm_lint lint = { .pin = 1 };
	struct vmm_clock clock;
	int r;

	r = t_ioctl(c->sys, VMM_CHECK_CAP, (void *)VMM_CAP_VCPUS);
	if (r >= 0)
		r = t_msi(c->vm, 0xfee00000, 0x40);
	if (r >= 0)
		r = t_ioctl(c->vm->fd, VMM_SET_LINT, &lint);
	if (r >= 0)
		r = t_vm_get(c->vm, VMM_STATE_CLOCK, &clock, sizeof(clock));
	if (r >= 0)
		r = t_ioctl(c->vm->fd, VMM_GET_STATS, &stats);
	if (r >= 0)
		r = t_ioctl(c->v->fd, VMM_GET_STATS, &stats);
	return r;
}

TEST_F(failalloc, small_things)
{
	const struct t_failing f = { "small things", call_small_things, NULL, NULL };

	t_fail_each(&f, self);
}

/* ---- a vCPU ---- */

static int call_get_state(void *ctx)
{
	ctx_t *c = ctx;

	return t_get(c->v->fd, c->type, c->other, c->size);
}

static int call_set_state(void *ctx)
{
	ctx_t *c = ctx;

	return t_set(c->v->fd, c->type, c->other, c->other_size);
}

static void base_state(void *ctx, int r)
{
	ctx_t *c = ctx;

	(void)r;
	must(t_set(c->v->fd, c->type, c->base, c->size), "set of a state");
}

static bool still_base(void *ctx)
{
	ctx_t *c = ctx;
	uint8_t *now = malloc(c->size);
	bool same;

	if (c->type == VMM_STATE_MSRS)
		memcpy(now, c->base, c->size);	/* which MSRs */
	must(t_get(c->v->fd, c->type, now, c->size), "get of a state");
	same = !memcmp(now, c->base, c->size);
	free(now);
	return same;
}

/* another value of each kind of state */
static void make_other(ctx_t *c)
{
	c->other = malloc(c->size);
	c->other_size = c->size;
	memcpy(c->other, c->base, c->size);
	switch (c->type) {
	case VMM_STATE_REGS:
		((struct vmm_regs *)c->other)->gpr[VMM_RBX] ^= 0x1234;
		break;
	case VMM_STATE_SREGS:
		((struct vmm_sregs *)c->other)->cr2 ^= 0x1000;
		break;
	case VMM_STATE_DEBUGREGS:
		((struct vmm_debugregs *)c->other)->db[1] ^= 0x1000;
		break;
	case VMM_STATE_XSAVE:
		((uint8_t *)c->other)[0] ^= 0x40;	/* the x87 control word */
		break;
	case VMM_STATE_MSRS:
		((struct vmm_msr *)c->other)->data ^= 0x1000;
		break;
	case VMM_STATE_CPUID:
		c->other_size -= sizeof(struct vmm_cpuid_entry);
		break;
	case VMM_STATE_LAPIC:
		((struct vmm_lapic_state *)c->other)->regs[0x80] ^= 0x20;	/* TPR */
		break;
	case VMM_STATE_EVENTS:
		((struct vmm_events *)c->other)->flags ^= VMM_EV_NMI_BLOCKED;
		break;
	case VMM_STATE_MP:
		((struct vmm_mp_state *)c->other)->state = VMM_MP_HALTED;
		break;
	default:
		break;
	}
}

TEST_F(failalloc, vcpu_state)
{
	const struct t_failing get = { "get", call_get_state, NULL, NULL };
	const struct t_failing set = { "set", call_set_state, base_state, still_base };
	static const uint32_t types[] = {
		VMM_STATE_REGS, VMM_STATE_SREGS, VMM_STATE_DEBUGREGS, VMM_STATE_XSAVE,
		VMM_STATE_XCRS, VMM_STATE_MSRS, VMM_STATE_CPUID, VMM_STATE_LAPIC,
		VMM_STATE_EVENTS, VMM_STATE_MP,
	};
	const struct vmm_msr msr = { .index = 0xc0000083 };	/* CSTAR */
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		self->type = types[i];
		if (types[i] == VMM_STATE_MSRS)
			self->size = sizeof(msr);
		else
			self->size = t_state_size(self->v->fd, VMM_GET_STATE, types[i]);
		self->base = calloc(1, self->size);
		if (types[i] == VMM_STATE_MSRS)
			memcpy(self->base, &msr, sizeof(msr));
		ASSERT_OK(t_get(self->v->fd, types[i], self->base, self->size));
		make_other(self);
		t_say("state %u, %u bytes", types[i], self->size);
		EXPECT_LE(1, t_fail_each(&set, self));
		EXPECT_LE(1, t_fail_each(&get, self));
		free(self->base);
		free(self->other);
	}
}

static int call_mmap(void *ctx)
{
	void *p = mmap(NULL, VMM_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       ((ctx_t *)ctx)->v->fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, VMM_RUN_SIZE);
	return 0;
}

TEST_F(failalloc, mmap)
{
	const struct t_failing f = { "mmap", call_mmap, NULL, NULL };

	EXPECT_LE(1, t_fail_each(&f, self));
}

/* a guest's first touch of memory: tables of the second level, pages of the process */
static int run_once(ctx_t *c)
{
	int r = t_run(c->v);

	if (r == VMM_EXIT_MEMORY_FAULT)
		return c->v->run->u.memory_fault.error;
	return r == VMM_EXIT_IO && c->v->run->u.io.port == T_PORT_DONE ? 0 : -EPROTO;
}

static int call_run(void *ctx)
{
	return run_once(ctx);
}

/* other pages, which nobody has touched yet */
static void fresh(void *p, size_t size)
{
	if (mmap(p, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		t_die("mmap: %s", strerror(errno));
}

static void cold_guest(void *ctx, int r)
{
	static const uint8_t code[] = { 0x89, 0x07, 0xe6, T_PORT_DONE, 0xf4 };
	ctx_t *c = ctx;
	struct vmm_regs regs;

	(void)r;
	fresh(c->vm->mem, c->vm->mem_size);
	fresh(c->mem, SIZE);
	c->vm->tables = false;
	t_load(c->vm, T_CODE, code, sizeof(code));
	t_set_mode(c->v, T_LONG);
	t_get_regs(c->v, &regs);
	regs.gpr[VMM_RDI] = A;
	t_set_regs(c->v, &regs);
}

/* the fault is over: the guest goes on where it was */
static bool goes_on(void *ctx)
{
	bool well = run_once(ctx) == 0;

	cold_guest(ctx, 0);
	return well;
}

TEST_F(failalloc, run)
{
	const struct t_failing f = { "VMM_RUN", call_run, cold_guest, goes_on };

	region_create(self, 0);
	cold_guest(self, 0);
	EXPECT_LE(2, t_fail_each(&f, self));
}

/* ---- the end ---- */

/* a VM with one of everything is closed, in the order of @order */
static bool close_with_fault(ctx_t *c, unsigned int n, unsigned int order)
{
	const struct vmm_create_device cd = { .type = VMM_DEVICE_BLK };
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	struct t_exec x = { .mode = T_LONG, .bytes = { 0x90 }, .len = 1 };
	ctx_t tmp = *c;
	int fd[3];

	t_exec(v, &x);
	tmp.vm = vm;
	must(ioeventfd(&tmp, 0), "ioeventfd");
	must(irqfd(&tmp, VMM_IRQFD_RESAMPLE), "irqfd");
	fd[order % 3] = vm->fd;
	fd[(order + 1) % 3] = v->fd;
	fd[(order + 2) % 3] = t_ioctl(vm->fd, VMM_CREATE_DEVICE, &cd);
	munmap((void *)v->run, VMM_RUN_SIZE);
	t_fail_nth(n);
	close(fd[0]);
	close(fd[1]);
	close(fd[2]);
	if (!t_fail_happened())
		n = 0;
	munmap(vm->mem, vm->mem_size);
	free(v);
	free(vm);
	return n;
}

/* what is closed is gone, whatever fails meanwhile */
TEST_F(failalloc, close)
{
	unsigned int order, n;

	for (order = 0; order < 3; order++) {
		for (n = 1; close_with_fault(self, n, order); n++)
			EXPECT_EQ(self->refs, refs()) TH_LOG("order %u, fault %u", order, n);
		t_say("close, order %u: %u faults", order, n - 1);
	}
}

VMM_FAIL_MAIN
