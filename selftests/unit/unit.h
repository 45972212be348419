/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Userland unit tests with KTAP output.
 *
 *	UNIT_TEST(parses_empty)
 *	{
 *		EXPECT_EQ(parse(""), 0);
 *		if (!have_tool)
 *			UNIT_SKIP("no tool");
 *		ASSERT(ptr);
 *	}
 *
 *	UNIT_MAIN()
 *
 * Tests run in the order of their definition, those of other files of the same program in link
 * order; exactly one file has UNIT_MAIN(). EXPECT* record a failure and go on, ASSERT* and
 * UNIT_SKIP() return from the function they stand in. Arguments name the tests to run: those whose
 * name contains one of them. Exit status: 0 passed, 1 failed, 4 all skipped.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define UNIT_PASS	0
#define UNIT_FAIL	1
#define UNIT_SKIPPED	4

struct unit_test {
	const char *name;
	void (*fn)(void);
	struct unit_test *next;
};

struct unit_state {
	struct unit_test *first;
	struct unit_test **last;
	bool failed;			/* the running test */
	unsigned int shown;		/* its diagnostics so far */
	char skip[200];			/* its reason, or "" */
};

/* A common symbol by weak linkage: one for all files of the program */
__attribute__((weak)) struct unit_state unit_state;

/* After this many lines a test's further failures are only counted */
#define UNIT_MAX_SHOWN	20

static inline void unit_register(struct unit_test *test)
{
	if (!unit_state.last)
		unit_state.last = &unit_state.first;
	*unit_state.last = test;
	unit_state.last = &test->next;
}

__attribute__((format(printf, 1, 2)))
static inline void unit_note(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

__attribute__((format(printf, 3, 4)))
static inline void unit_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	unit_state.failed = true;
	if (++unit_state.shown > UNIT_MAX_SHOWN)
		return;
	printf("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

#define UNIT_TEST(_name)							\
	static void _name(void);						\
	__attribute__((constructor)) static void _name##_register(void)		\
	{									\
		static struct unit_test test = { #_name, _name, NULL };		\
										\
		unit_register(&test);						\
	}									\
	static void _name(void)

#define UNIT_SKIP(...)								\
	do {									\
		snprintf(unit_state.skip, sizeof(unit_state.skip), __VA_ARGS__);	\
		return;								\
	} while (0)

#define FAIL(...)	unit_fail(__FILE__, __LINE__, __VA_ARGS__)

#define EXPECT(_cond)								\
	do {									\
		if (!(_cond))							\
			FAIL("not true: %s", #_cond);				\
	} while (0)

/* Integers, compared as unsigned long long */
#define EXPECT_EQ(_a, _b)							\
	do {									\
		unsigned long long unit_a = (unsigned long long)(_a);		\
		unsigned long long unit_b = (unsigned long long)(_b);		\
										\
		if (unit_a != unit_b)						\
			FAIL("%s = %#llx, want %s = %#llx", #_a, unit_a, #_b, unit_b);	\
	} while (0)

#define EXPECT_STREQ(_a, _b)							\
	do {									\
		const char *unit_a = (_a), *unit_b = (_b);			\
										\
		if (strcmp(unit_a, unit_b))					\
			FAIL("%s = \"%s\", want \"%s\"", #_a, unit_a, unit_b);	\
	} while (0)

#define EXPECT_MEMEQ(_a, _b, _len)						\
	do {									\
		if (memcmp((_a), (_b), (_len)))					\
			FAIL("%s and %s differ in %s bytes", #_a, #_b, #_len);	\
	} while (0)

#define ASSERT(_cond)								\
	do {									\
		if (!(_cond)) {							\
			FAIL("not true: %s", #_cond);				\
			return;							\
		}								\
	} while (0)

#define ASSERT_EQ(_a, _b)							\
	do {									\
		unsigned long long unit_a = (unsigned long long)(_a);		\
		unsigned long long unit_b = (unsigned long long)(_b);		\
										\
		if (unit_a != unit_b) {						\
			FAIL("%s = %#llx, want %s = %#llx", #_a, unit_a, #_b, unit_b);	\
			return;							\
		}								\
	} while (0)

static inline bool unit_selected(const struct unit_test *test, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strstr(test->name, argv[i]))
			return true;
	return argc < 2;
}

static inline int unit_main(int argc, char **argv)
{
	unsigned int n = 0, failed = 0, skipped = 0;
	struct unit_test *test;

	for (test = unit_state.first; test; test = test->next)
		n += unit_selected(test, argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..%u\n", n);

	n = 0;
	for (test = unit_state.first; test; test = test->next) {
		if (!unit_selected(test, argc, argv))
			continue;
		unit_state.failed = false;
		unit_state.shown = 0;
		unit_state.skip[0] = '\0';
		n++;
		test->fn();
		if (unit_state.shown > UNIT_MAX_SHOWN)
			unit_note("and %u more", unit_state.shown - UNIT_MAX_SHOWN);
		if (unit_state.failed) {
			failed++;
			printf("not ok %u %s\n", n, test->name);
		} else if (unit_state.skip[0]) {
			skipped++;
			printf("ok %u %s # SKIP %s\n", n, test->name, unit_state.skip);
		} else {
			printf("ok %u %s\n", n, test->name);
		}
	}
	if (failed)
		return UNIT_FAIL;
	return n && skipped == n ? UNIT_SKIPPED : UNIT_PASS;
}

#define UNIT_MAIN()								\
	int main(int argc, char **argv)						\
	{									\
		return unit_main(argc, argv);					\
	}

#endif
