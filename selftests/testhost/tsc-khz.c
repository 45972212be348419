// SPDX-License-Identifier: GPL-2.0
/*
 * Prints the frequency of this machine's time stamp counter in kHz.
 *
 * QEMU's TCG hands the counter through, and a kernel in it measures it against emulated timers:
 * when the emulator is not scheduled meanwhile, by a factor too low or too high, and then its
 * clock is wrong by that factor. Here each reading is between two of the clock, which say how good
 * it is.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define INTERVAL_NS	200000000
#define TRIES		50

struct sample {
	uint64_t ns, tsc;
};

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* the one of some that took least time */
static struct sample sample(void)
{
	uint64_t best = UINT64_MAX;
	struct sample s = { 0, 0 };
	int i;

	for (i = 0; i < TRIES; i++) {
		uint64_t before = clock_ns(), tsc = __rdtsc(), after = clock_ns();

		if (after - before < best) {
			best = after - before;
			s.ns = before + best / 2;
			s.tsc = tsc;
		}
	}
	return s;
}

int main(void)
{
	const struct timespec interval = { 0, INTERVAL_NS };
	struct sample a = sample(), b;

	nanosleep(&interval, NULL);
	b = sample();
	printf("%llu\n", (unsigned long long)((b.tsc - a.tsc) * 1000000 / (b.ns - a.ns)));
	return 0;
}
