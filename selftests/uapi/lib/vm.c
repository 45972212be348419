// SPDX-License-Identifier: GPL-2.0
/*
 * VMs, vCPUs and their state.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <time.h>

#include "vmmtest.h"

static void vsay(const char *fmt, va_list ap)
{
	char line[1024];
	int n;

	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	if (!n || line[n - 1] != '\n')
		strcpy(line + n, "\n");
	fprintf(stderr, "# %s", line);
}

void t_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
}

void t_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
	_exit(1);
}

int t_ioctl(int fd, unsigned long cmd, const void *arg)
{
	int r = ioctl(fd, cmd, arg);

	return r < 0 ? -errno : r;
}

int t_check(int want, int got, const char *call)
{
	if (want < 0 ? got != want : got < 0)
		t_say("%s: wanted %s, got %s (%d)", call, want < 0 ? strerrorname_np(-want) : "success",
		      got < 0 ? strerrorname_np(-got) : "success", got);
	return got;
}

/* t_missing - is there nothing to test? Then the cause is in @why. */
bool t_missing(char *why, size_t size)
{
	int fd = open("/dev/vmm", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return false;
	}
	snprintf(why, size, "cannot open /dev/vmm: %s%s", strerror(errno), errno == ENOENT ? " (load the module vmm)" : "");
	return true;
}

int t_open(void)
{
	int fd = open("/dev/vmm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		t_die("open /dev/vmm: %s", strerror(errno));
	return fd;
}

static void *zalloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		t_die("out of memory");
	return p;
}

/* private anonymous memory, aligned; never small enough to share a page with anything */
void *t_alloc(size_t size, size_t align)
{
	uint8_t *p = mmap(NULL, size + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *a;

	if (p == MAP_FAILED)
		t_die("mmap of %zu bytes: %s", size, strerror(errno));
	a = (uint8_t *)(((uintptr_t)p + align - 1) & ~(align - 1));
	if (a > p)
		munmap(p, a - p);
	if (a < p + align)
		munmap(a + size, p + align - a);
	return a;
}

struct t_vm *t_vm_bare(void)
{
	struct vmm_create_vm arg = { 0 };
	struct t_vm *vm = zalloc(sizeof(*vm));
	int sys = t_open();

	vm->fd = t_ioctl(sys, VMM_CREATE_VM, &arg);
	if (vm->fd < 0)
		t_die("VMM_CREATE_VM: %s", strerror(-vm->fd));
	close(sys);
	return vm;
}

struct t_vm *t_vm_new_ram(uint64_t size)
{
	struct t_vm *vm = t_vm_bare();
	int r;

	vm->mem = t_alloc(size, 2 << 20);
	vm->mem_size = size;
	r = t_region(vm, 0, 0, 0, size, vm->mem);
	if (r)
		t_die("VMM_SET_MEM_REGION of %llu bytes at 0: %s", (unsigned long long)size, strerror(-r));
	return vm;
}

struct t_vm *t_vm_new(void)
{
	return t_vm_new_ram(T_RAM_SIZE);
}

void t_vm_free(struct t_vm *vm)
{
	close(vm->fd);
	if (vm->mem)
		munmap(vm->mem, vm->mem_size);
	free(vm);
}

struct t_vcpu *t_vcpu_bare(struct t_vm *vm, unsigned int id)
{
	struct vmm_create_vcpu arg = { .id = id };
	struct t_vcpu *v = zalloc(sizeof(*v));
	void *p;

	v->vm = vm;
	v->id = id;
	v->fd = t_ioctl(vm->fd, VMM_CREATE_VCPU, &arg);
	if (v->fd < 0)
		t_die("VMM_CREATE_VCPU %u: %s", id, strerror(-v->fd));
	p = mmap(NULL, VMM_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (p == MAP_FAILED)
		t_die("mmap of vCPU %u: %s", id, strerror(errno));
	v->run = p;
	return v;
}

struct t_vcpu *t_vcpu_new(struct t_vm *vm, unsigned int id)
{
	struct t_vcpu *v = t_vcpu_bare(vm, id);
	struct vmm_cpuid_entry *e;
	unsigned int nr;
	int r;

	e = t_cpuid_supported(&nr);
	r = t_set(v->fd, VMM_STATE_CPUID, e, nr * sizeof(*e));
	if (r)
		t_die("set of the offered CPUID table (%u entries): %s", nr, strerror(-r));
	free(e);
	return v;
}

void t_vcpu_free(struct t_vcpu *v)
{
	munmap((void *)v->run, VMM_RUN_SIZE);
	close(v->fd);
	free(v);
}

int t_region(struct t_vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size, const void *hva)
{
	struct vmm_mem_region r = { .slot = slot, .flags = flags, .gpa = gpa, .size = size, .hva = (uintptr_t)hva };

	return t_ioctl(vm->fd, VMM_SET_MEM_REGION, &r);
}

void *t_gpa(struct t_vm *vm, uint64_t gpa, size_t len)
{
	if (gpa > vm->mem_size || len > vm->mem_size - gpa)
		t_die("guest address 0x%llx is not memory", (unsigned long long)gpa);
	return vm->mem + gpa;
}

static int state(int fd, unsigned long cmd, uint32_t type, const void *data, uint32_t size)
{
	struct vmm_state s = { .type = type, .version = VMM_STATE_VERSION, .size = size, .data = (uintptr_t)data };

	return t_ioctl(fd, cmd, &s);
}

int t_get(int fd, uint32_t type, void *data, uint32_t size)
{
	return state(fd, VMM_GET_STATE, type, data, size);
}

int t_set(int fd, uint32_t type, const void *data, uint32_t size)
{
	return state(fd, VMM_SET_STATE, type, data, size);
}

int t_vm_get(struct t_vm *vm, uint32_t type, void *data, uint32_t size)
{
	return state(vm->fd, VMM_GET_VM_STATE, type, data, size);
}

int t_vm_set(struct t_vm *vm, uint32_t type, const void *data, uint32_t size)
{
	return state(vm->fd, VMM_SET_VM_STATE, type, data, size);
}

uint32_t t_state_size(int fd, unsigned long cmd, uint32_t type)
{
	struct vmm_state s = { .type = type, .version = VMM_STATE_VERSION };
	int r = t_ioctl(fd, cmd, &s);

	if (r != -E2BIG)
		t_die("get of state %u with size 0: wanted -E2BIG, got %d", type, r);
	if (!s.size)
		t_die("get of state %u with size 0: E2BIG, but needs 0 bytes", type);
	return s.size;
}

struct vmm_cpuid_entry *t_cpuid_supported(unsigned int *nr)
{
	struct vmm_cpuid_entry *e;
	int sys = t_open();
	uint32_t size = t_state_size(sys, VMM_GET_SUPPORTED_STATE, VMM_STATE_CPUID);
	int r;

	if (size % sizeof(*e))
		t_die("offered CPUID table has %u bytes", size);
	e = zalloc(size);
	r = state(sys, VMM_GET_SUPPORTED_STATE, VMM_STATE_CPUID, e, size);
	if (r)
		t_die("get of the offered CPUID table: %s", strerror(-r));
	close(sys);
	*nr = size / sizeof(*e);
	return e;
}

const struct vmm_cpuid_entry *t_cpuid_find(const struct vmm_cpuid_entry *e, unsigned int nr, uint32_t leaf, uint32_t sub)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (e[i].leaf == leaf && (!(e[i].flags & VMM_CPUID_SUBLEAF) || e[i].subleaf == sub))
			return &e[i];
	return NULL;
}

bool t_cpuid_bit(uint32_t leaf, uint32_t sub, int reg, unsigned int bit)
{
	unsigned int nr;
	struct vmm_cpuid_entry *e = t_cpuid_supported(&nr);
	const struct vmm_cpuid_entry *f = t_cpuid_find(e, nr, leaf, sub);
	bool set = f && (&f->eax)[reg] & (1u << bit);

	free(e);
	return set;
}

#define STATE_PAIR(name, struct_name, type)								\
void t_get_##name(struct t_vcpu *v, struct struct_name *p)						\
{													\
	int r = t_get(v->fd, type, p, sizeof(*p));							\
													\
	if (r)												\
		t_die("vCPU %u: get of " #type ": %s", v->id, strerror(-r));				\
}													\
													\
void t_set_##name(struct t_vcpu *v, const struct struct_name *p)					\
{													\
	int r = t_set(v->fd, type, p, sizeof(*p));							\
													\
	if (r)												\
		t_die("vCPU %u: set of " #type ": %s", v->id, strerror(-r));				\
}

STATE_PAIR(regs, vmm_regs, VMM_STATE_REGS)
STATE_PAIR(sregs, vmm_sregs, VMM_STATE_SREGS)
STATE_PAIR(events, vmm_events, VMM_STATE_EVENTS)

uint32_t t_get_mp(struct t_vcpu *v)
{
	struct vmm_mp_state mp = { 0 };
	int r = t_get(v->fd, VMM_STATE_MP, &mp, sizeof(mp));

	if (r)
		t_die("vCPU %u: get of VMM_STATE_MP: %s", v->id, strerror(-r));
	return mp.state;
}

void t_set_mp(struct t_vcpu *v, uint32_t mp_state)
{
	struct vmm_mp_state mp = { .state = mp_state };
	int r = t_set(v->fd, VMM_STATE_MP, &mp, sizeof(mp));

	if (r)
		t_die("vCPU %u: set of VMM_STATE_MP to %u: %s", v->id, mp_state, strerror(-r));
}

int t_get_msr(struct t_vcpu *v, uint32_t index, uint64_t *data)
{
	struct vmm_msr m = { .index = index };
	int r = t_get(v->fd, VMM_STATE_MSRS, &m, sizeof(m));

	*data = m.data;
	return r;
}

int t_set_msr(struct t_vcpu *v, uint32_t index, uint64_t data)
{
	struct vmm_msr m = { .index = index, .data = data };

	return t_set(v->fd, VMM_STATE_MSRS, &m, sizeof(m));
}

uint64_t t_stat(int fd, enum vmm_stat which)
{
	uint64_t c[VMM_STAT_NR] = { 0 };
	struct vmm_stats s = { .nr = VMM_STAT_NR, .counters = (uintptr_t)c };
	int r = t_ioctl(fd, VMM_GET_STATS, &s);

	if (r < 0)
		t_die("VMM_GET_STATS: %s", strerror(-r));
	return c[which];
}

const char *t_stat_name(unsigned int which)
{
	static const char *const name[VMM_STAT_NR] = {
		"EXITS", "EXIT_IO", "EXIT_MMIO", "EXIT_NPF", "EXIT_HLT", "EXIT_INTR", "EXIT_WINDOW", "EXIT_CPUID", "EXIT_MSR",
		"EXIT_CR", "EXIT_HYPERCALL", "EXIT_OTHER", "TO_USER", "IRQ_INJECTED", "NMI_INJECTED", "EXC_INJECTED",
		"MSR_UNKNOWN", "FAULT_4K", "FAULT_2M", "FAULT_1G", "SPTE_ZAPPED", "TLB_FLUSH", "KICK_IPI", "WAKE", "FPU_SWAP",
		"NOTIFY", "MSI",
	};

	return which < VMM_STAT_NR ? name[which] : "?";
}

long t_cap(uint32_t cap)
{
	int sys = t_open();
	long r = t_ioctl(sys, VMM_CHECK_CAP, (void *)(uintptr_t)cap);

	close(sys);
	return r;
}

uint64_t t_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

void t_sleep_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static bool file_has(const char *path, const char *word)
{
	char line[4096];
	FILE *f = fopen(path, "re");
	bool has = false;

	while (f && !has && fgets(line, sizeof(line), f))
		has = strstr(line, word);
	if (f)
		fclose(f);
	return has;
}

bool t_vmx(void)
{
	return file_has("/proc/cpuinfo", "vmx flags");
}

bool t_bochs(void)
{
	return file_has("/sys/class/dmi/id/bios_version", "Bochs") ||
	       file_has("/sys/class/dmi/id/bios_vendor", "Bochs");
}

bool t_bochs_vmx(void)
{
	return t_bochs() && t_vmx();
}

bool t_bochs_svm(void)
{
	return t_bochs() && file_has("/proc/cpuinfo", " svm ");
}

bool t_emulated(void)
{
	uint32_t a = 1, b, c = 0, d;

	if (t_bochs())
		return true;

	__asm__ __volatile__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c & 1u << 31;
}

long t_read_long(const char *path)
{
	char buf[64];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	buf[n] = 0;
	return strtol(buf, NULL, 0);
}

bool t_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}
