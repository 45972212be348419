// SPDX-License-Identifier: GPL-2.0
/*
 * Memory regions, and what becomes of guest memory when the process behind it does something
 * with it.
 */
#include <fcntl.h>
#include <sys/wait.h>

#include "harness.h"

#define PAGE	4096ull
#define M2	(2ull << 20)
#define FAR	0x80000000ull	/* where further regions go: nothing else is there */

FIXTURE(mem)
{
	struct t_vm *vm;
	struct t_vcpu *v;
};

FIXTURE_SETUP(mem)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
	t_kicks();
	t_image(self->vm);
}

FIXTURE_TEARDOWN(mem)
{
}

static void sweep(struct t_vm *vm, uint64_t base, uint64_t count, uint64_t stride, uint64_t value)
{
	struct g_mem *m = &T_G(vm, g_mem);

	m->base = base;
	m->count = count;
	m->stride = stride;
	m->value = value;
	m->loops = 0;
	m->stop = 0;
}

static bool guest_writes(struct t_vcpu *v, uint64_t base, uint64_t count, uint64_t stride,
			 uint64_t value)
{
	sweep(v->vm, base, count, stride, value);
	t_start(v, guest_write, 0);
	return t_done(v);
}

static bool guest_reads(struct t_vcpu *v, uint64_t base, uint64_t count, uint64_t stride,
			uint64_t value)
{
	sweep(v->vm, base, count, stride, value);
	t_start(v, guest_check, 0);
	return t_done(v);
}

/* the next exit is a MEMORY_FAULT there */
static bool faults(struct t_vcpu *v, uint64_t gpa, bool write)
{
	if (!t_exits(v, VMM_EXIT_MEMORY_FAULT))
		return false;
	if ((v->run->u.memory_fault.gpa & ~(PAGE - 1)) != gpa ||
	    !!v->run->u.memory_fault.is_write != write || v->run->u.memory_fault.error >= 0) {
		t_describe(v, VMM_EXIT_MEMORY_FAULT);
		return false;
	}
	return true;
}

TEST_F(mem, bad_arguments)
{
	uint8_t *p = t_alloc(0x10000, PAGE);
	struct t_vm *vm = self->vm;
	uint64_t limit = 1ull << t_cap(VMM_CAP_GPA_BITS);

	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, FAR + 1, PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, FAR + 512, PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, FAR, PAGE + 1, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, FAR, 1, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, FAR, PAGE, p + 8));
	EXPECT_ERR(EINVAL, t_region(vm, VMM_MAX_MEM_REGIONS, 0, FAR, PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 0xffffffff, 0, FAR, PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, -PAGE, 2 * PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, FAR, -PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, PAGE, -PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, limit, PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, limit - PAGE, 2 * PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, 1ull << 62, PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, FAR, PAGE, (void *)-PAGE));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, FAR, PAGE, (void *)0xffff888000000000));
	EXPECT_ERR(EINVAL,
		   t_region(vm, 1, 0, FAR, 3 * PAGE, (void *)0xffffffffffe000)); /* 5-level hosts */
	/* nothing was registered */
	EXPECT_OK(t_region(vm, 1, 0, limit - PAGE, PAGE, p));
	EXPECT_OK(t_region(vm, VMM_MAX_MEM_REGIONS - 1, 0, FAR, PAGE, p));
}

TEST_F(mem, overlap)
{
	uint8_t *p = t_alloc(0x10000, PAGE);
	struct t_vm *vm = self->vm;
	unsigned int i;
	static const struct {
		uint64_t off, size;
	} bad[] = { { 0, 4 }, { 1, 1 }, { 3, 1 }, { 3, 4 }, { 0, 1 } };

	ASSERT_OK(t_region(vm, 1, 0, FAR, 4 * PAGE, p));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_ERR(EEXIST,
			   t_region(vm, 2, 0, FAR + bad[i].off * PAGE, bad[i].size * PAGE, p));
	EXPECT_ERR(EEXIST, t_region(vm, 2, 0, FAR - PAGE, 2 * PAGE, p));
	EXPECT_ERR(EEXIST, t_region(vm, 2, 0, FAR - PAGE, 8 * PAGE, p));
	/* neighbours touch */
	EXPECT_OK(t_region(vm, 2, 0, FAR + 4 * PAGE, PAGE, p));
	EXPECT_OK(t_region(vm, 3, 0, FAR - PAGE, PAGE, p));
	/* a move onto another one, and one onto itself */
	EXPECT_ERR(EEXIST, t_region(vm, 2, 0, FAR + 2 * PAGE, PAGE, p));
	EXPECT_OK(t_region(vm, 2, 0, FAR + 8 * PAGE, PAGE, p));
	EXPECT_OK(t_region(vm, 1, 0, FAR + 2 * PAGE, 4 * PAGE, p));
	/* the same memory at two places is allowed */
	EXPECT_OK(t_region(vm, 4, 0, FAR + 16 * PAGE, 4 * PAGE, p));
}

TEST_F(mem, size_and_hva_are_fixed)
{
	uint8_t *p = t_alloc(0x10000, PAGE);
	struct t_vm *vm = self->vm;

	ASSERT_OK(t_region(vm, 1, 0, FAR, 4 * PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, FAR, 8 * PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, FAR, 2 * PAGE, p));
	EXPECT_ERR(EINVAL, t_region(vm, 1, 0, FAR, 4 * PAGE, p + PAGE));
	EXPECT_OK(t_region(vm, 1, 0, FAR, 4 * PAGE, p)); /* nothing changes */
	EXPECT_OK(t_region(vm, 1, 0, FAR, 0, NULL));
	EXPECT_OK(t_region(vm, 1, 0, FAR, 8 * PAGE, p + PAGE));
}

TEST_F(mem, all_regions)
{
	uint8_t *p = t_alloc(VMM_MAX_MEM_REGIONS * PAGE, PAGE);
	unsigned int i, round;

	for (round = 0; round < 2; round++) {
		for (i = 1; i < VMM_MAX_MEM_REGIONS; i++)
			ASSERT_OK(t_region(self->vm, i, 0,
					   FAR + (uint64_t)((i * 37) % 128) * 2 * PAGE, PAGE,
					   p + i * PAGE));
		for (i = 1; i < VMM_MAX_MEM_REGIONS; i++)
			ASSERT_TRUE(guest_writes(self->v,
						 FAR + (uint64_t)((i * 37) % 128) * 2 * PAGE, 1, 8,
						 i * 1000));
		for (i = 1; i < VMM_MAX_MEM_REGIONS; i++)
			EXPECT_EQ(i * 1000, *(uint64_t *)(p + i * PAGE));
		for (i = 1; i < VMM_MAX_MEM_REGIONS; i++)
			ASSERT_OK(t_region(self->vm, i, 0, 0, 0, NULL));
	}
}

/* guest and process see each other's writes; neighbouring regions are one memory to the guest */
TEST_F(mem, contents)
{
	uint64_t *a = t_alloc(16 * PAGE, PAGE), *b = t_alloc(16 * PAGE, PAGE);
	unsigned int i;

	ASSERT_OK(t_region(self->vm, 1, 0, FAR, 16 * PAGE, a));
	ASSERT_OK(t_region(self->vm, 2, 0, FAR + 16 * PAGE, 16 * PAGE, b));
	EXPECT_TRUE(guest_writes(self->v, FAR, 32 * 512, 8, 5));
	for (i = 0; i < 16 * 512; i++) {
		ASSERT_EQ(5 + i, a[i]);
		ASSERT_EQ(5 + 16 * 512 + i, b[i]);
	}
	for (i = 0; i < 16 * 512; i++) {
		a[i] = 1000000 + i;
		b[i] = 1000000 + 16 * 512 + i;
	}
	EXPECT_TRUE(guest_reads(self->v, FAR, 32 * 512, 8, 1000000));
	/* words across the boundary of the two regions, whose pages are not neighbours */
	EXPECT_TRUE(guest_writes(self->v, FAR + 16 * PAGE - 4, 1, 8, 0x1122334455667788));
	EXPECT_EQ(0x55667788, a[16 * 512 - 1] >> 32);
	EXPECT_EQ(0x11223344, b[0] & 0xffffffff);
}

/* memory that was only read is zero, and can be written afterwards */
TEST_F(mem, read_then_write)
{
	uint64_t *a = t_alloc(64 * PAGE, PAGE);
	unsigned int i;

	ASSERT_OK(t_region(self->vm, 1, 0, FAR, 64 * PAGE, a));
	for (i = 0; i < 64; i++)
		ASSERT_TRUE(guest_reads(self->v, FAR + i * PAGE, 1, 8, 0));
	ASSERT_TRUE(guest_writes(self->v, FAR, 64, PAGE, 77));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(77 + i, a[i * 512]);
	ASSERT_TRUE(guest_reads(self->v, FAR, 64, PAGE, 77));
}

/* deleted while the guest writes there: the write that comes next is MMIO; the memory is the
 * process's alone */
TEST_F(mem, delete_under_a_writer)
{
	uint64_t *a = t_alloc(4 * PAGE, PAGE);
	unsigned int round;

	for (round = 0; round < 20; round++) {
		struct t_thread t;
		uint64_t seen;

		ASSERT_OK(t_region(self->vm, 1, 0, FAR, 4 * PAGE, a));
		sweep(self->vm, FAR, 4, PAGE, round << 8);
		t_start(self->v, guest_write_loop, 0);
		t_spawn(&t, self->v);
		while (T_G(self->vm, g_mem).loops < 10 && !t.ended)
			t_sleep_ms(1);
		ASSERT_OK(t_region(self->vm, 1, 0, 0, 0, NULL));
		/* from here on nobody writes */
		memset(a, 0xee, 4 * PAGE);
		t_sleep_ms(5);
		seen = a[0] & a[512] & a[1024] & a[1536];
		EXPECT_EQ(0xeeeeeeeeeeeeeeee, seen) TH_LOG("the guest wrote to a deleted region");
		ASSERT_TRUE(t_ended_within(&t, 20000));
		ASSERT_EQ(T_EXIT, t_join(&t));
		EXPECT_EQ(VMM_EXIT_MMIO, self->v->run->exit_reason)
		t_describe(self->v, self->v->run->exit_reason);
		EXPECT_EQ(FAR, self->v->run->u.mmio.gpa & ~(3 * PAGE));
		EXPECT_EQ(1, self->v->run->u.mmio.is_write);
		T_G(self->vm, g_mem).stop = 1;
	}
}

/* moved under a writer: writes never reach the old place afterwards, and come to the new */
TEST_F(mem, move_under_a_writer)
{
	uint64_t *a = t_alloc(PAGE, PAGE), *b = t_alloc(PAGE, PAGE);
	struct t_thread t;
	unsigned int i;

	/* two regions that change places (by way of a third) behind one address */
	ASSERT_OK(t_region(self->vm, 1, 0, FAR, PAGE, a));
	ASSERT_OK(t_region(self->vm, 2, 0, FAR + 0x100000, PAGE, b));
	for (i = 0; i < 50; i++) {
		bool first = i & 1;
		uint64_t *old = first ? b : a, *new = first ? a : b;

		sweep(self->vm, FAR, 1, 8, 1 + i);
		a[0] = b[0] = 0;
		t_start(self->v, guest_write_loop, 0);
		t_spawn(&t, self->v);
		while (!*(volatile uint64_t *)old && !t.ended)
			;
		ASSERT_OK(t_region(self->vm, first ? 2 : 1, 0, FAR + 0x200000, PAGE, old));
		*(volatile uint64_t *)old = 0;
		/* the guest now stands before a hole: answer what comes until the new memory is
		 * there */
		ASSERT_TRUE(t_ended_within(&t, 20000));
		ASSERT_EQ(VMM_EXIT_MMIO, self->v->run->exit_reason)
		t_describe(self->v, self->v->run->exit_reason);
		ASSERT_OK(t_region(self->vm, first ? 1 : 2, 0, FAR, PAGE, new));
		ASSERT_OK(t_region(self->vm, first ? 2 : 1, 0, FAR + 0x100000, PAGE, old));
		t_join(&t);
		t_spawn(&t, self->v);
		while (!*(volatile uint64_t *)new && !t.ended)
			;
		T_G(self->vm, g_mem).stop = 1;
		ASSERT_EQ(T_DONE, t_join(&t));
		EXPECT_EQ(1 + i, new[0]);
		EXPECT_EQ(0, old[0]) TH_LOG("round %u: written after the move", i);
	}
}

/* made read-only under a writer: no write comes after the call has returned */
TEST_F(mem, read_only_under_a_writer)
{
	uint64_t *a = t_alloc(PAGE, PAGE);
	unsigned int i;

	for (i = 0; i < 30; i++) {
		struct t_thread t;
		uint64_t seen;

		ASSERT_OK(t_region(self->vm, 1, 0, FAR, PAGE, a));
		sweep(self->vm, FAR, 1, 8, 1000 + i);
		t_start(self->v, guest_write_loop, 0);
		t_spawn(&t, self->v);
		while (T_G(self->vm, g_mem).loops < 10 && !t.ended)
			t_sleep_ms(1);
		ASSERT_OK(t_region(self->vm, 1, VMM_MEM_READONLY, FAR, PAGE, a));
		*(volatile uint64_t *)a = 0;
		t_sleep_ms(2);
		seen = *(volatile uint64_t *)a;
		EXPECT_EQ(0, seen) TH_LOG("round %u: written after it became read-only", i);
		ASSERT_TRUE(t_ended_within(&t, 20000));
		ASSERT_EQ(T_EXIT, t_join(&t));
		ASSERT_EQ(VMM_EXIT_MMIO, self->v->run->exit_reason)
		t_describe(self->v, self->v->run->exit_reason);
		T_G(self->vm, g_mem).stop = 1;
		/* reads go on; written again when it is writable again */
		*a = 55;
		ASSERT_TRUE(guest_reads(self->v, FAR, 1, 8, 55));
		ASSERT_OK(t_region(self->vm, 1, 0, FAR, PAGE, a));
		ASSERT_TRUE(guest_writes(self->v, FAR, 1, 8, 66));
		EXPECT_EQ(66, *a);
	}
}

/* unmapped under a running guest: MEMORY_FAULT with the address; mapped again, it goes on */
TEST_F(mem, munmap)
{
	uint64_t *a = t_alloc(4 * PAGE, PAGE);

	ASSERT_OK(t_region(self->vm, 1, 0, FAR, 4 * PAGE, a));
	ASSERT_TRUE(guest_writes(self->v, FAR, 4, PAGE, 5));
	ASSERT_EQ(0, munmap((uint8_t *)a + 2 * PAGE, PAGE));
	sweep(self->vm, FAR, 4, PAGE, 50);
	t_start(self->v, guest_write, 0);
	EXPECT_TRUE(faults(self->v, FAR + 2 * PAGE, true));
	EXPECT_EQ(-EFAULT, self->v->run->u.memory_fault.error);
	EXPECT_TRUE(faults(self->v, FAR + 2 * PAGE, true)) TH_LOG("a second time");
	ASSERT_NE(MAP_FAILED, mmap((uint8_t *)a + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE,
				   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	EXPECT_TRUE(t_done(self->v));
	EXPECT_EQ(52, a[1024]);
	EXPECT_EQ(53, a[1536]);
}

TEST_F(mem, munmap_under_a_writer)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		uint64_t *a = t_alloc(PAGE, PAGE);
		struct t_thread t;

		ASSERT_OK(t_region(self->vm, 1, 0, FAR, PAGE, a));
		sweep(self->vm, FAR, 1, 8, 7);
		t_start(self->v, guest_write_loop, 0);
		t_spawn(&t, self->v);
		while (T_G(self->vm, g_mem).loops < 10 && !t.ended)
			t_sleep_ms(1);
		munmap(a, PAGE);
		ASSERT_TRUE(t_ended_within(&t, 20000))
		TH_LOG("the guest still writes to unmapped memory");
		ASSERT_EQ(T_EXIT, t_join(&t));
		ASSERT_EQ(VMM_EXIT_MEMORY_FAULT, self->v->run->exit_reason)
		t_describe(self->v, self->v->run->exit_reason);
		ASSERT_OK(t_region(self->vm, 1, 0, 0, 0, NULL));
		T_G(self->vm, g_mem).stop = 1;
	}
}

TEST_F(mem, mprotect)
{
	uint64_t *a = t_alloc(4 * PAGE, PAGE);

	ASSERT_OK(t_region(self->vm, 1, 0, FAR, 4 * PAGE, a));
	ASSERT_TRUE(guest_writes(self->v, FAR, 4, PAGE, 5));
	ASSERT_EQ(0, mprotect((uint8_t *)a + PAGE, PAGE, PROT_READ));
	ASSERT_TRUE(guest_reads(self->v, FAR, 4, PAGE, 5));
	sweep(self->vm, FAR, 4, PAGE, 6);
	t_start(self->v, guest_write, 0);
	EXPECT_TRUE(faults(self->v, FAR + PAGE, true));
	ASSERT_EQ(0, mprotect((uint8_t *)a + PAGE, PAGE, PROT_NONE));
	sweep(self->vm, FAR + PAGE, 1, PAGE, 6);
	t_start(self->v, guest_check, 0);
	EXPECT_TRUE(faults(self->v, FAR + PAGE, false));
	ASSERT_EQ(0, mprotect((uint8_t *)a + PAGE, PAGE, PROT_READ | PROT_WRITE));
	ASSERT_TRUE(guest_writes(self->v, FAR, 4, PAGE, 9));
	ASSERT_TRUE(guest_reads(self->v, FAR, 4, PAGE, 9));
}

/* a file that is shorter than its mapping: SIGBUS for a process, MEMORY_FAULT for a guest */
TEST_F(mem, beyond_the_file)
{
	int fd = memfd_create("memslots", 0);
	uint64_t *a;

	ASSERT_EQ(0, ftruncate(fd, 2 * PAGE));
	a = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_OK(t_region(self->vm, 1, 0, FAR, 4 * PAGE, a));
	sweep(self->vm, FAR, 4, PAGE, 6);
	t_start(self->v, guest_write, 0);
	EXPECT_TRUE(faults(self->v, FAR + 2 * PAGE, true));
	ASSERT_EQ(0, ftruncate(fd, 4 * PAGE));
	EXPECT_TRUE(t_done(self->v));
	EXPECT_EQ(9, a[3 * 512]);
	/* cut short: what was mapped is gone for the guest as well */
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	t_start(self->v, guest_write, 0);
	EXPECT_TRUE(faults(self->v, FAR + PAGE, true));
}

/* memory without struct page behind it is refused */
TEST_F(mem, pfn_map)
{
	unsigned long start, end, vvar = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	char line[256];
	int r;

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "[vvar]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			vvar = start;
	if (!vvar)
		SKIP(return, "this kernel has no [vvar] mapping");
	r = t_region(self->vm, 1, VMM_MEM_READONLY, FAR, PAGE, (void *)vvar);
	if (r == -EOPNOTSUPP)
		return;
	ASSERT_EQ(0, r) TH_LOG("wanted EOPNOTSUPP or an exit at the access");
	sweep(self->vm, FAR, 1, 8, 0);
	t_start(self->v, guest_check, 0);
	EXPECT_TRUE(faults(self->v, FAR, false));
	EXPECT_EQ(-EOPNOTSUPP, self->v->run->u.memory_fault.error);
}

/* the run page of a vCPU as guest memory: whatever is answered, nothing breaks */
TEST_F(mem, run_page_as_memory)
{
	if (t_region(self->vm, 1, 0, FAR, PAGE, (void *)self->v->run))
		return;
	sweep(self->vm, FAR, 100, 8, ~0ull);
	t_start(self->v, guest_write, 0);
	t_guest(self->v);
	self->v->run->immediate_exit = 0;
}

/* a kernel without CONFIG_ADVISE_SYSCALLS */
static bool no_madvise(void)
{
	return madvise(NULL, 0, MADV_NORMAL) != 0;
}

/* exactly one mapping goes when one page is given back */
TEST_F(mem, one_page_one_spte)
{
	uint8_t *a = t_alloc(M2, M2);
	uint64_t before, after, i;

	if (no_madvise())
		SKIP(return, "this kernel has no madvise");
	madvise(a, M2, MADV_NOHUGEPAGE);
	ASSERT_OK(t_region(self->vm, 1, 0, FAR, M2, a));
	ASSERT_TRUE(guest_writes(self->v, FAR, 512, PAGE, 1));
	for (i = 3; i < 500; i += 97) {
		before = t_stat(self->vm->fd, VMM_STAT_SPTE_ZAPPED);
		ASSERT_EQ(0, madvise(a + i * PAGE, PAGE, MADV_DONTNEED));
		after = t_stat(self->vm->fd, VMM_STAT_SPTE_ZAPPED);
		EXPECT_EQ(before + 1, after);
		ASSERT_TRUE(guest_reads(self->v, FAR + i * PAGE, 1, 8, 0))
		TH_LOG("the guest still sees the page that was given back");
		ASSERT_TRUE(guest_reads(self->v, FAR + (i + 1) * PAGE, 1, 8, i + 2));
	}
	/* a page that is not mapped takes none */
	before = t_stat(self->vm->fd, VMM_STAT_SPTE_ZAPPED);
	ASSERT_EQ(0, madvise(t_alloc(PAGE, PAGE), PAGE, MADV_DONTNEED));
	EXPECT_EQ(before, t_stat(self->vm->fd, VMM_STAT_SPTE_ZAPPED));
}

static bool thp_on(void)
{
	char buf[128] = "";
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");

	if (!f)
		return false;
	if (!fgets(buf, sizeof(buf), f))
		buf[0] = 0;
	fclose(f);
	return !strstr(buf, "[never]");
}

/* how much of [p, p + len) is in huge pages of the host */
static uint64_t huge_bytes(void *p)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end, kb;
	bool in = false;
	char line[256];
	uint64_t sum = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in = (uintptr_t)p >= start && (uintptr_t)p < end;
		if (in && sscanf(line, "AnonHugePages: %lu kB", &kb) == 1)
			sum += kb * 1024;
	}
	if (f)
		fclose(f);
	return sum;
}

TEST_F(mem, huge_pages)
{
	uint64_t size = 64ull << 20, f2, f4, npf, huge;
	uint8_t *a = t_alloc(size, M2);

	if (!thp_on() || no_madvise())
		SKIP(return, "transparent huge pages are off, or cannot be asked for");
	madvise(a, size, MADV_HUGEPAGE);
	memset(a, 0, size);
	huge = huge_bytes(a);
	if (huge < size / 2)
		SKIP(return, "only %lu of %lu bytes are in huge pages", huge, size);
	ASSERT_OK(t_region(self->vm, 1, 0, FAR, size, a));
	t_start(self->v, guest_write, 0);
	T_G(self->vm, g_mem).count = 0;
	ASSERT_TRUE(t_done(self->v));
	f2 = t_stat(self->vm->fd, VMM_STAT_FAULT_2M);
	f4 = t_stat(self->vm->fd, VMM_STAT_FAULT_4K);
	npf = t_stat(self->vm->fd, VMM_STAT_EXIT_NPF);
	ASSERT_TRUE(guest_writes(self->v, FAR, size / PAGE, PAGE, 1));
	f2 = t_stat(self->vm->fd, VMM_STAT_FAULT_2M) - f2;
	f4 = t_stat(self->vm->fd, VMM_STAT_FAULT_4K) - f4;
	npf = t_stat(self->vm->fd, VMM_STAT_EXIT_NPF) - npf;
	TH_LOG("%lu bytes in huge pages: %lu mappings of 2M, %lu of 4K, %lu faults for %llu pages",
	       huge, f2, f4, npf, size / PAGE);
	EXPECT_LE(huge / M2, f2);
	if (huge == size)
		EXPECT_GT(size / PAGE / 256, npf);
	/* a split: one small page is given back, the rest stays what it was */
	ASSERT_EQ(0, madvise(a + 5 * M2 + 7 * PAGE, PAGE, MADV_DONTNEED));
	ASSERT_TRUE(guest_reads(self->v, FAR + 5 * M2 + 7 * PAGE, 1, 8, 0));
	ASSERT_TRUE(guest_reads(self->v, FAR + 5 * M2 + 8 * PAGE, 504, PAGE, 1 + 5 * 512 + 8));
	ASSERT_TRUE(guest_reads(self->v, FAR + 5 * M2, 7, PAGE, 1 + 5 * 512));
}

/*
 * Code and data in one huge page: where huge pages cannot be executed, the two do not take turns
 * at the page's size.
 */
T_BLOB(huge_code, 64,
	"1: incq huge_code + 0x100000(%rip); incq huge_code + 0x1800(%rip)\n"
	"dec %ecx; jnz 1b; hlt");

TEST_F(mem, code_in_huge_page)
{
	uint8_t *a = t_alloc(M2, M2);
	struct vmm_regs r;
	unsigned int i;
	uint64_t npf;

	madvise(a, M2, MADV_HUGEPAGE);
	memset(a, 0, M2);
	memcpy(a, huge_code, huge_code_end - huge_code);
	ASSERT_OK(t_region(self->vm, 1, 0, FAR, M2, a));
	npf = t_stat(self->vm->fd, VMM_STAT_EXIT_NPF);
	for (i = 1; i <= 2; i++) {
		t_set_mode(self->v, T_LONG);
		t_get_regs(self->v, &r);
		r.rip = FAR;
		r.gpr[VMM_RCX] = 1000;
		t_set_regs(self->v, &r);
		ASSERT_TRUE(t_exits(self->v, VMM_EXIT_HALT));
		EXPECT_EQ(1000 * i, *(uint64_t *)(a + 0x100000));
		EXPECT_EQ(1000 * i, *(uint64_t *)(a + 0x1800));
		/* data first, the second time */
		ASSERT_EQ(0, madvise(a + M2 - PAGE, PAGE, MADV_DONTNEED));
		ASSERT_TRUE(guest_writes(self->v, FAR + M2 / 4, 16, PAGE, 1));
	}
	EXPECT_GT(npf + 200, t_stat(self->vm->fd, VMM_STAT_EXIT_NPF));
}

/* guest and host addresses that are not congruent modulo 2 MiB: only small mappings, and the right
 * contents */
TEST_F(mem, incongruent)
{
	uint64_t size = 8ull << 20, f2;
	uint8_t *a = t_alloc(size + M2, M2);

	madvise(a, size + M2, MADV_HUGEPAGE);
	memset(a, 0, size + M2);
	ASSERT_OK(t_region(self->vm, 1, 0, FAR + PAGE, size, a));
	T_G(self->vm, g_mem).count = 0;
	t_start(self->v, guest_write, 0);
	ASSERT_TRUE(t_done(self->v));
	f2 = t_stat(self->vm->fd, VMM_STAT_FAULT_2M);
	ASSERT_TRUE(guest_writes(self->v, FAR + PAGE, size / PAGE, PAGE, 1));
	EXPECT_EQ(1, *(uint64_t *)a);
	EXPECT_EQ(size / PAGE, *(uint64_t *)(a + size - PAGE));
	EXPECT_EQ(0, *(uint64_t *)(a + size));
	/* congruent ends of a region that does not fill its huge page are not mapped as one */
	ASSERT_OK(t_region(self->vm, 2, 0, FAR + 0x10000000 + PAGE, M2 - 2 * PAGE, a + PAGE));
	ASSERT_TRUE(guest_writes(self->v, FAR + 0x10000000 + PAGE, 510, PAGE, 3));
	EXPECT_EQ(f2, t_stat(self->vm->fd, VMM_STAT_FAULT_2M));
	sweep(self->vm, FAR + 0x10000000, 1, 8, 0);
	t_start(self->v, guest_check, 0);
	EXPECT_TRUE(t_exits(self->v, VMM_EXIT_MMIO))
	TH_LOG("the page before the region was mapped");
}

TEST_F(mem, hugetlb)
{
	uint64_t size = 4ull << 20, f2;
	long had = t_read_long("/proc/sys/vm/nr_hugepages");
	uint8_t *a;

	t_write_file("/proc/sys/vm/nr_hugepages", "4");
	a = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1,
		 0);
	if (a == MAP_FAILED)
		SKIP(return, "no hugetlb pages to be had");
	ASSERT_OK(t_region(self->vm, 1, 0, FAR, size, a));
	f2 = t_stat(self->vm->fd, VMM_STAT_FAULT_2M);
	EXPECT_TRUE(guest_writes(self->v, FAR, size / PAGE, PAGE, 1));
	f2 = t_stat(self->vm->fd, VMM_STAT_FAULT_2M) - f2;
	EXPECT_LE(2, f2);
	EXPECT_EQ(3, *(uint64_t *)(a + 2 * PAGE));
	munmap(a, size);
	if (had >= 0)
		t_write_file("/proc/sys/vm/nr_hugepages", had ? "4" : "0");
}

/* fork: the child keeps what was, whoever writes first */
TEST_F(mem, fork_copy_on_write)
{
	uint64_t *a = t_alloc(16 * PAGE, PAGE);
	int pipefd[2], status;
	unsigned int round;
	char c;

	ASSERT_OK(t_region(self->vm, 1, 0, FAR, 16 * PAGE, a));
	for (round = 0; round < 10; round++) {
		pid_t pid;
		unsigned int i;

		ASSERT_TRUE(guest_writes(self->v, FAR, 16, PAGE, 100 * round));
		ASSERT_EQ(0, pipe(pipefd));
		pid = fork();
		if (!pid) {
			unsigned int bad = 0;

			if (read(pipefd[0], &c, 1) != 1)
				_exit(99);
			for (i = 0; i < 16; i++)
				bad += *(volatile uint64_t *)(a + 512 * i) != 100 * round + i;
			_exit(bad);
		}
		ASSERT_TRUE(guest_writes(self->v, FAR, 16, PAGE, 5000 + 100 * round));
		for (i = 0; i < 16; i++)
			EXPECT_EQ(5000 + 100 * round + i, a[512 * i])
			TH_LOG("the guest wrote elsewhere than the process reads");
		ASSERT_EQ(1, write(pipefd[1], "x", 1));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status)
		TH_LOG("so many of the child's pages show the guest's writes: %d",
		       WEXITSTATUS(status));
		close(pipefd[0]);
		close(pipefd[1]);
	}
}

/* fork while the guest writes all the time: the child's copy stands still */
TEST_F(mem, fork_under_a_writer)
{
	uint64_t *a = t_alloc(PAGE, PAGE);
	struct t_thread t;
	unsigned int i;
	int status;

	ASSERT_OK(t_region(self->vm, 1, 0, FAR, PAGE, a));
	/* 1: sti; cli; incq (%rdi); jmp 1b */
	t_load(self->vm, T_CODE, "\xfb\xfa\x48\xff\x07\xeb\xf9", 7);
	t_set_mode(self->v, T_LONG);
	{
		struct vmm_regs r;

		t_get_regs(self->v, &r);
		r.gpr[VMM_RDI] = FAR;
		t_set_regs(self->v, &r);
	}
	t_spawn(&t, self->v);
	while (!*(volatile uint64_t *)a && !t.ended)
		t_sleep_ms(1);
	for (i = 0; i < 30; i++) {
		pid_t pid = fork();

		if (!pid) {
			volatile uint64_t *p = a;
			uint64_t first = *p;
			unsigned int k;

			for (k = 0; k < 20; k++) {
				t_sleep_ms(1);
				if (*p != first)
					_exit(1);
			}
			_exit(first ? 0 : 2);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, WEXITSTATUS(status))
		TH_LOG("round %u: %s", i,
		       WEXITSTATUS(status) == 1 ? "the guest writes to the child's page"
						: "the child's page is empty");
	}
	self->v->run->immediate_exit = 1;
	t_kick(&t);
	t_join(&t);
}

/* contents hold while the kernel moves, splits and merges the pages behind them */
TEST_F(mem, compaction)
{
	uint64_t size = 32ull << 20;
	uint8_t *a = t_alloc(size, M2);
	struct t_thread t;
	unsigned int i;

	if (access("/proc/sys/vm/compact_memory", W_OK))
		SKIP(return, "no /proc/sys/vm/compact_memory");
	t_limit_s = 200;
	madvise(a, size, MADV_HUGEPAGE);
	ASSERT_OK(t_region(self->vm, 1, 0, FAR, size, a));
	sweep(self->vm, FAR, size / 512, 512, 0x1234567800000000);
	t_start(self->v, guest_check_loop, 0);
	t_spawn(&t, self->v);
	for (i = 0; i < 20 && !t.ended; i++) {
		t_write_file("/proc/sys/vm/compact_memory", "1");
		madvise(a, size, i & 1 ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
		madvise(a, size, 21);	/* MADV_PAGEOUT: splits, and swaps where there is swap */
		madvise(a, size, 25);	/* MADV_COLLAPSE, where it is known */
		t_sleep_ms(20);
	}
	while (!t.ended && T_G(self->vm, g_mem).loops < 2)
		t_sleep_ms(10);
	T_G(self->vm, g_mem).stop = 1;
	EXPECT_EQ(T_DONE, t_join(&t));
}

static bool has_swap(void)
{
	FILE *f = fopen("/proc/swaps", "r");
	char line[256];
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n++;
	if (f)
		fclose(f);
	return n > 1;
}

/* where there is none, swap in compressed memory, for as long as the test runs; NULL or why not */
static const char *add_swap(void)
{
	if (no_madvise())
		return "this kernel has no madvise";
	if (has_swap())
		return NULL;
	if (geteuid())
		return "no swap, and not root";
	if (!access("/sys/block/zram0", F_OK) || system("modprobe zram num_devices=1 2>/dev/null"))
		return "no swap, and no free zram";
	if (!t_write_file("/sys/block/zram0/disksize", "64M") ||
	    system("mkswap /dev/zram0 >/dev/null 2>&1 && swapon /dev/zram0 2>/dev/null")) {
		t_write_file("/sys/block/zram0/reset", "1");
		return "no swap, and swapon failed";
	}
	return NULL;
}

static void remove_swap(void)
{
	if (!access("/sys/block/zram0", F_OK) &&
	    system("swapoff /dev/zram0 2>/dev/null && modprobe -r zram 2>/dev/null"))
		t_say("zram stays");
}

/* of this process */
static uint64_t swapped_kb(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long kb = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmSwap: %lu", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

TEST_F(mem, swap)
{
	const char *why = add_swap();
	uint64_t size = 16ull << 20, out;
	uint8_t *a = t_alloc(size, M2);
	unsigned int tries = 0;

	if (why)
		SKIP(return, "%s", why);
	madvise(a, size, MADV_NOHUGEPAGE);
	ASSERT_OK(t_region(self->vm, 1, 0, FAR, size, a));
	ASSERT_TRUE(guest_writes(self->v, FAR, size / PAGE, PAGE, 0x1000));
	/* 6.1 spares what was used of late; asking for it also ends that, if the guest's use is aged */
	for (out = 0; !out && tries < 5; tries++) {
		ASSERT_EQ(0, madvise(a, size, 21 /* MADV_PAGEOUT */));
		out = swapped_kb() / 4;
	}
	TH_LOG("%lu of %llu pages are out", out, size / PAGE);
	EXPECT_LT(0, out);
	EXPECT_TRUE(guest_reads(self->v, FAR, size / PAGE, PAGE, 0x1000));
	remove_swap();
}

TEST_F(mem, same_page_merging)
{
	uint8_t *a = t_alloc(64 * PAGE, PAGE);
	long before = t_read_long("/sys/kernel/mm/ksm/pages_sharing"), i, sharing = 0;

	if (no_madvise() || before < 0 || !t_write_file("/sys/kernel/mm/ksm/run", "1"))
		SKIP(return, "this kernel has no KSM, or no madvise");
	t_write_file("/sys/kernel/mm/ksm/sleep_millisecs", "1");
	ASSERT_OK(t_region(self->vm, 1, 0, FAR, 64 * PAGE, a));
	for (i = 0; i < 64; i++)
		memset(a + i * PAGE, 0x5a, PAGE);
	ASSERT_TRUE(guest_writes(self->v, FAR + 8, 64, PAGE, 0));
	for (i = 0; i < 64; i++)
		*(uint64_t *)(a + i * PAGE + 8) = 0x77;
	ASSERT_EQ(0, madvise(a, 64 * PAGE, MADV_MERGEABLE));
	for (i = 0; i < 1000 && sharing - before < 32; i++) {
		t_sleep_ms(10);
		sharing = t_read_long("/sys/kernel/mm/ksm/pages_sharing");
	}
	TH_LOG("%ld pages merged", sharing - before);
	if (sharing - before < 32) {
		t_write_file("/sys/kernel/mm/ksm/run", "2");
		SKIP(return, "nothing was merged in 10 s");
	}
	ASSERT_TRUE(guest_writes(self->v, FAR + 8 + 5 * PAGE, 1, 8, 0x99));
	EXPECT_EQ(0x99, *(uint64_t *)(a + 5 * PAGE + 8));
	for (i = 0; i < 64; i++)
		if (i != 5)
			EXPECT_EQ(0x77, *(uint64_t *)(a + i * PAGE + 8))
			TH_LOG("page %ld: the guest wrote to a merged page", i);
	t_write_file("/sys/kernel/mm/ksm/run", "2");
}

/* the counter of the VM is its own and its vCPUs' */
TEST_F(mem, fault_counter)
{
	uint8_t *a = t_alloc(M2, M2);
	uint64_t before;

	madvise(a, M2, MADV_NOHUGEPAGE);
	ASSERT_OK(t_region(self->vm, 1, 0, FAR, M2, a));
	T_G(self->vm, g_mem).count = 0;
	t_start(self->v, guest_write, 0);
	ASSERT_TRUE(t_done(self->v));
	before = t_stat(self->vm->fd, VMM_STAT_FAULT_4K);
	ASSERT_TRUE(guest_writes(self->v, FAR, 100, PAGE, 1));
	EXPECT_LE(before + 100, t_stat(self->vm->fd, VMM_STAT_FAULT_4K));
	EXPECT_GE(before + 110, t_stat(self->vm->fd, VMM_STAT_FAULT_4K));
}

VMM_TEST_MAIN
