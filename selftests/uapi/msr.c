// SPDX-License-Identifier: GPL-2.0
/*
 * Model-specific registers, as the guest finds them.
 */
#include "harness.h"

FIXTURE(msr)
{
	struct t_vm *vm;
	struct t_vcpu *v;
};

FIXTURE_SETUP(msr)
{
	self->vm = t_vm_new();
	self->v = t_vcpu_new(self->vm, 0);
}

FIXTURE_TEARDOWN(msr)
{
}

TEST_F(msr, known)
{
	t_start(self->v, guest_msr_known, 0);
	EXPECT_TRUE(t_done(self->v));
	EXPECT_EQ(0, t_stat(self->v->fd, VMM_STAT_MSR_UNKNOWN));
}

TEST_F(msr, unknown_are_counted)
{
	uint64_t before = t_stat(self->v->fd, VMM_STAT_MSR_UNKNOWN);

	t_start(self->v, guest_msr_unknown, 0);
	EXPECT_TRUE(t_done(self->v));
	EXPECT_EQ(before + 18, t_stat(self->v->fd, VMM_STAT_MSR_UNKNOWN));
	EXPECT_EQ(before + 18, t_stat(self->vm->fd, VMM_STAT_MSR_UNKNOWN));
}

TEST_F(msr, efer)
{
	t_start(self->v, guest_msr_efer, 0);
	EXPECT_TRUE(t_done(self->v));
}

TEST_F(msr, pat_mtrr)
{
	t_start(self->v, guest_msr_pat_mtrr, 0);
	EXPECT_TRUE(t_done(self->v));
}

TEST_F(msr, tsc)
{
	t_start(self->v, guest_msr_tsc, t_cpuid_bit(7, 0, 1, 1));
	EXPECT_TRUE(t_done(self->v));
}

TEST_F(msr, bases)
{
	enum t_out out;

	t_start(self->v, guest_msr_bases, 0);
	while ((out = t_guest(self->v)) == T_EXIT && self->v->run->exit_reason == VMM_EXIT_IO)
		;
	EXPECT_EQ(T_DONE, out);
}

/* the guest's MSRs are not the host's: this thread's own FS base and the host's system call entry
 * survive */
TEST_F(msr, host_is_untouched)
{
	static __thread int canary = 0x1234;

	t_start(self->v, guest_msr_known, 0);
	ASSERT_TRUE(t_done(self->v));
	EXPECT_EQ(0x1234, canary);
	EXPECT_LT(0, getpid());
}

/* what the guest wrote can be read from outside, and the reverse */
TEST_F(msr, from_outside)
{
	uint64_t v;

	t_start(self->v, guest_msr_known, 0);
	ASSERT_TRUE(t_done(self->v));
	ASSERT_OK(t_get_msr(self->v, 0xc0000082, &v));
	EXPECT_EQ(0xffffffff81000000, v);
	ASSERT_OK(t_get_msr(self->v, 0xc0000102, &v));
	EXPECT_EQ(0xffff888087654321, v);
	ASSERT_OK(t_set_msr(self->v, 0x10, 0x123456789000));
	ASSERT_OK(t_get_msr(self->v, 0x10, &v));
	EXPECT_LE(0x123456789000, v);
	EXPECT_GE(0x123456789000 + 100000000000, v);
}

VMM_TEST_MAIN
