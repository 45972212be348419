/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every test program includes: the harness, with limits that suit an emulated machine, and
 * the library. Each TEST runs in a process of its own.
 */
#ifndef VMMTEST_HARNESS_H
#define VMMTEST_HARNESS_H

#include <kselftest_harness.h>

#include "vmmtest.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	240

/* the time limit of each test, on a slow kernel */
static inline void t_scale_timeouts(void)
{
	struct __fixture_metadata *f;
	struct __test_metadata *t;

	for (f = __fixture_list; f; f = f->next)
		for (t = f->tests; t; t = t->next)
			t->timeout *= t_scale();
}

/* skips the whole program, with the cause, when there is nothing to test */
#define VMM_TEST_MAIN						\
	int main(int argc, char **argv)				\
	{							\
		char why[256];					\
								\
		if (t_missing(why, sizeof(why))) {		\
			ksft_print_header();			\
			ksft_exit_skip("%s\n", why);		\
		}						\
		t_scale_timeouts();				\
		return test_harness_run(argc, argv);		\
	}

/* the call, made by t_ioctl() or the like, fails with this errno; or succeeds */
#define EXPECT_ERR(err, call)	EXPECT_EQ(-(err), t_check(-(err), (call), #call))
#define EXPECT_OK(call)		EXPECT_LE(0, t_check(0, (call), #call))
#define ASSERT_OK(call)		ASSERT_LE(0, t_check(0, (call), #call))

#endif /* VMMTEST_HARNESS_H */
