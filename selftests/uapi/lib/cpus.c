// SPDX-License-Identifier: GPL-2.0
/*
 * The processors that a test may use: not all that are online, see testhost/README.md.
 */
#include <sched.h>

#include "vmmtest.h"

static cpu_set_t allowed;

/* before any thread is bound to one of them */
__attribute__((constructor)) static void note_allowed(void)
{
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		t_die("which processors may be used is not known");
}

unsigned int t_cpus(void)
{
	return CPU_COUNT(&allowed);
}

unsigned int t_cpu(unsigned int n)
{
	unsigned int cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && !n--)
			return cpu;
	t_die("there are only %u processors", t_cpus());
}

void t_pin(unsigned int n)
{
	unsigned int cpu = t_cpu(n);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		t_die("cannot run on CPU %u", cpu);
}
