/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations that fail on purpose (Documentation/fault-injection): the nth one that this thread
 * makes in the kernel, be it of an object, of a page, or a copy from or to userland.
 */
#ifndef VMMTEST_FAIL_H
#define VMMTEST_FAIL_H

#include "vmmtest.h"

/* what the calls of t_fail_each() get */
struct t_failing {
	const char *name;
	int (*call)(void *ctx);			/* result or -errno; the faults are for this */
	void (*undo)(void *ctx, int result);	/* of a call that succeeded; may be NULL */
	bool (*same)(void *ctx);		/* as before the call that failed? may be NULL */
};

bool t_fail_possible(char *why, size_t size);
void t_fail_nth(unsigned int n);	/* 0: none */
bool t_fail_happened(void);		/* and none fails any more */
int t_fail_file(void);
bool t_fail_happened_in(int file);
unsigned int t_fail_each(const struct t_failing *f, void *ctx);
unsigned int t_fail_last(const struct t_failing *f, void *ctx, unsigned int last,
			 unsigned int step);

/* the main function of a program that is only about this */
#define VMM_FAIL_MAIN						\
	int main(int argc, char **argv)				\
	{							\
		char why[256];					\
								\
		if (t_missing(why, sizeof(why)) ||		\
		    !t_fail_possible(why, sizeof(why))) {	\
			ksft_print_header();			\
			ksft_exit_skip("%s\n", why);		\
		}						\
		t_scale_timeouts();				\
		return test_harness_run(argc, argv);		\
	}

#endif /* VMMTEST_FAIL_H */
