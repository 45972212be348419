// SPDX-License-Identifier: GPL-2.0
/*
 * The self-checks of VMM_DEBUG builds. Each test does what one of them watches. As the module is,
 * none may fire and every VMM_RUN works; with a fault planted (boot/oracles.sh does that), the check
 * that belongs to it ends the VM, and only that one.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include "harness.h"

/* kmod/debug.h */
#define PLANT_FLUSH	0x01
#define PLANT_TLB	0x02
#define PLANT_CACHE	0x04
#define PLANT_MSR	0x08
#define PLANT_LAZY	0x10

#define PARAM	"/sys/module/vmm/parameters/plant"

static bool planted(unsigned int fault)
{
	long plant = t_read_long(PARAM);

	return plant > 0 && (plant & fault);
}

/* what VMM_RUN says once the check of @fault has fired, or else @normal */
static int wanted(unsigned int fault, int normal)
{
	return planted(fault) ? -EIO : normal;
}

/* a VM that no fault was planted for works, whatever became of the others */
static void bystander_works(struct __test_metadata *_metadata)
{
	long plant = t_read_long(PARAM);
	struct t_vcpu *v;

	if (plant > 0)
		t_write_file(PARAM, "0");
	v = t_vcpu_new(t_vm_new(), 0);
	t_load(v->vm, T_CODE, "\xe6\x11\xf4", 3);
	t_set_mode(v, T_LONG);
	EXPECT_TRUE(t_done(v));
}

/* mov %ds, %ax; out %ax, $0x80; jmp back */
static struct t_vcpu *talker(void)
{
	struct t_vcpu *v = t_vcpu_new(t_vm_new(), 0);

	t_load(v->vm, T_CODE, "\x8c\xd8\xe7\x80\xeb\xfa", 6);
	t_set_mode(v, T_LONG);
	return v;
}

struct spinner {
	struct t_vcpu *v;
	volatile int ret;
};

static void *spin(void *arg)
{
	struct spinner *s = arg;

	t_pin(1);
	s->ret = t_run(s->v);
	return NULL;
}

/* a vCPU is in the guest while its memory is taken away under it */
TEST(remote_flush)
{
	struct spinner s = { .v = t_vcpu_new(t_vm_new(), 0) };
	volatile uint32_t *count = t_gpa(s.v->vm, T_DATA, 4);
	unsigned int i, stuck = 0;
	pthread_t thread;

	if (t_cpus() < 2)
		SKIP(return, "one CPU");
	t_kicks();
	t_load(s.v->vm, T_CODE, "\xff\x07\xeb\xfc", 4);	/* incl (%rdi); jmp back */
	t_set_mode(s.v, T_LONG);
	{
		struct vmm_regs r;

		t_get_regs(s.v, &r);
		r.gpr[VMM_RDI] = T_DATA;
		t_set_regs(s.v, &r);
	}
	t_pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, spin, &s));
	for (i = 0; i < 200 && stuck < 500; i++) {
		uint32_t last = *count;

		/* it has been in the guest since the last time */
		for (stuck = 0; *count == last && stuck < 500; stuck++)
			t_sleep_ms(1);
		madvise((void *)((uintptr_t)count & ~4095ul), 4096, MADV_DONTNEED);
	}
	s.v->run->immediate_exit = 1;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	EXPECT_EQ(wanted(PLANT_FLUSH, -EINTR), s.ret);
	EXPECT_EQ(planted(PLANT_FLUSH), stuck == 500);
	bystander_works(_metadata);
}

/* memory goes while the vCPU is outside: it owes a flush at the next entry */
TEST(flush_at_entry)
{
	struct t_vcpu *v = talker();
	int ret = 0;
	unsigned int i;

	t_pin(0);
	ASSERT_EQ(VMM_EXIT_IO, t_run(v));
	for (i = 0; i < 3 && ret >= 0; i++) {
		ASSERT_OK(t_region(v->vm, 0, 0, 0, 0, NULL));
		ASSERT_OK(t_region(v->vm, 0, 0, 0, v->vm->mem_size, v->vm->mem));
		ret = t_run(v);
	}
	/* the entry that the check stops is the last */
	EXPECT_EQ(wanted(PLANT_TLB, VMM_EXIT_IO), ret);
	bystander_works(_metadata);
}

/* state that is in the control block changes between two runs on one CPU */
TEST(changed_state)
{
	struct t_vcpu *v = talker();
	struct vmm_sregs s;
	unsigned int i;
	int ret = 0;

	t_pin(0);
	ASSERT_EQ(VMM_EXIT_IO, t_run(v));
	for (i = 0; i < 3 && ret >= 0; i++) {
		t_get_sregs(v, &s);
		s.seg[VMM_SEG_DS].selector ^= 4;
		t_set_sregs(v, &s);
		ret = t_run(v);
	}
	EXPECT_EQ(wanted(PLANT_CACHE, VMM_EXIT_IO), ret);
	bystander_works(_metadata);
}

/* what a CPU kept of a vCPU's control block is old once the vCPU has run on another, though no other
 * vCPU has run on the first meanwhile */
TEST(there_and_back)
{
	struct t_vcpu *v = talker();
	unsigned int i;

	if (t_cpus() < 2)
		SKIP(return, "one CPU");
	for (i = 0; i < 8; i++) {
		struct vmm_regs r;
		struct vmm_sregs s;

		t_pin(i & 1);
		t_get_sregs(v, &s);
		s.seg[VMM_SEG_DS].selector ^= 4;
		t_set_sregs(v, &s);
		ASSERT_EQ(VMM_EXIT_IO, t_run(v)) TH_LOG("move %u", i);
		t_settle(v);
		t_get_regs(v, &r);
		EXPECT_EQ(s.seg[VMM_SEG_DS].selector, r.gpr[VMM_RAX] & 0xffff) TH_LOG("move %u", i);
	}
}

/* every exit gives the host its registers back */
TEST(host_state)
{
	struct t_vcpu *v = talker();
	unsigned int i;
	int ret = 0;

	for (i = 0; i < 3 && ret >= 0; i++)
		ret = t_run(v);
	EXPECT_EQ(wanted(PLANT_MSR, VMM_EXIT_IO), ret);
	bystander_works(_metadata);
}

/* what is exchanged only when the vCPU comes to a CPU and leaves it */
TEST(lazy_host_state)
{
	struct t_vcpu *v = talker();
	unsigned int cpu, i;
	int ret = 0;

	if (t_set_msr(v, 0xc0000103, 0x1234))
		SKIP(return, "the guest has no TSC_AUX");
	t_pin(1 % t_cpus());
	for (i = 0; i < 3 && ret >= 0; i++)
		ret = t_run(v);
	EXPECT_EQ(wanted(PLANT_LAZY, VMM_EXIT_IO), ret);
	/* RDTSCP or RDPID in the vDSO */
	ASSERT_EQ(0, getcpu(&cpu, NULL));
	EXPECT_EQ(t_cpu(1 % t_cpus()), cpu);
	bystander_works(_metadata);
}

VMM_TEST_MAIN
