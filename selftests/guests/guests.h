/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests see of the C guests: their first functions and the variables that both sides use.
 * A test reads and writes the guest's copy by T_G(vm, variable).
 */
#ifndef GUESTS_GUESTS_H
#define GUESTS_GUESTS_H

#include <stdint.h>

/* start.S */
extern const char g_stubs[], g_end[], g_ap_blob[], g_ap_blob_end[];

/* trap.c */
extern void (*g_ap_entry)(uint64_t id);

/* mmio_insns.S */
struct mmio_insn {
	const char *code, *end;
	const char *text;
	const char *accesses;
	uint64_t undefined;
};

extern const struct mmio_insn mmio_insns64[], mmio_insns64_end[], mmio_insns32[],
	mmio_insns32_end[], mmio_insns16[], mmio_insns16_end[];

/* mem.c: what the guest shall do with its memory */
struct g_mem {
	uint64_t base;		/* first address */
	uint64_t count;		/* of words of 8 bytes ... */
	uint64_t stride;	/* ... this far apart */
	uint64_t value;		/* word n holds value + n */
	volatile uint64_t loops;
	volatile uint32_t stop;
};
extern struct g_mem g_mem;
void guest_write(uint64_t arg);
void guest_check(uint64_t arg);
void guest_write_loop(uint64_t arg);	/* until stop; counts loops */
void guest_check_loop(uint64_t arg);	/* writes once, then checks until stop */

/* apic.c */
void guest_apic_reset_values(uint64_t arg);
void guest_apic_software_disabled(uint64_t arg);
void guest_apic_self_ipi(uint64_t arg);
void guest_apic_priority(uint64_t arg);
void guest_apic_tpr(uint64_t arg);
void guest_apic_cr8(uint64_t arg);
void guest_apic_ppr(uint64_t arg);
void guest_apic_nested(uint64_t arg);
void guest_apic_error(uint64_t arg);
void guest_apic_nmi(uint64_t arg);
void guest_apic_base_moved(uint64_t arg);
void guest_apic_disabled(uint64_t arg);
void guest_apic_idle(uint64_t arg);		/* on, handlers log; HLT until g_apic_stop */
void guest_apic_count(
	uint64_t vector); /* on; comes to point 1, then waits for g_apic_want entries in the log */
void guest_apic_lint(uint64_t lvt); /* LVT0 = arg & 0xffffffff, LVT1 = arg >> 32; idle */
void guest_apic_window(
	uint64_t arg); /* on; point 1 with interrupts off, point 2 after a moment with them on */
void guest_x2apic_regs(uint64_t id);
void guest_x2apic_faults(uint64_t arg);
void guest_x2apic_transitions(uint64_t arg);
void guest_x2apic_ipi(uint64_t arg);
extern volatile uint32_t g_apic_stop, g_apic_want;

/* timer.c; the argument of all: 1 = through x2APIC */
void guest_timer_one_shot(uint64_t arg);
void guest_timer_periodic(uint64_t arg);
void guest_timer_masked(uint64_t arg);
void guest_timer_divide(uint64_t arg);
void guest_timer_deadline(uint64_t arg);
void guest_timer_modes(uint64_t arg);
void guest_timer_hlt(uint64_t arg);
void guest_timer_short(uint64_t arg);		/* the shortest periods there are, for a while */
void guest_timer_armed(
	uint64_t arg); /* point 1 with a one-shot of about 200 ms under way, then waits for it */

/* smp.c; vCPU 0 runs guest_smp_*, the others come up at g_smp_ap */
struct g_smp {
	volatile uint32_t online, stop, go, x2, vcpus;
	volatile uint64_t counter;
	volatile uint32_t got[8];		/* interrupts taken, by APIC id */
	volatile uint32_t nmis[8];
	volatile uint32_t starts[8];
	volatile uint64_t clock_last, clock_back;
	volatile uint32_t lock;
};
extern struct g_smp g_smp;
void g_smp_ap(uint64_t id);
void guest_smp_start(uint64_t vcpus);
void guest_smp_counter(uint64_t vcpus);
void guest_smp_ipis(uint64_t vcpus);
void guest_smp_broadcast(uint64_t vcpus);
void guest_smp_logical(uint64_t vcpus);
void guest_smp_nmi(uint64_t vcpus);
void guest_smp_init(uint64_t vcpus);
void guest_smp_clock(uint64_t vcpus);

/* clock.c */
void guest_clock(
	uint64_t arg); /* reports the first and the last time read, then those of the wall clock */
void guest_clock_off(uint64_t arg);
void guest_clock_bad(uint64_t arg);
void guest_clock_loop(uint64_t arg);	/* until g_apic_stop; point 1 when the page is there */
uint64_t g_clock_read(uint32_t id);
void g_clock_on(uint32_t id);

/* msr.c and cpuid.c */
void guest_msr_known(uint64_t arg);
void guest_msr_unknown(uint64_t arg);
void guest_msr_efer(uint64_t arg);
void guest_msr_pat_mtrr(uint64_t arg);
void guest_msr_tsc(uint64_t has_adjust);
void guest_msr_bases(uint64_t arg);
void guest_cpuid_all(uint64_t nr);	/* g_cpuid_in -> g_cpuid_out */
void guest_cpuid_dynamic(uint64_t arg);
struct g_cpuid_leaf {
	uint32_t leaf, sub, r[4];
};
extern struct g_cpuid_leaf g_cpuid_leaf[512];

/* the log that most of them write; struct g_log */
extern struct g_log g_log;
struct g_log {
	volatile uint32_t nr;
	uint32_t vector[256];
};

#endif /* GUESTS_GUESTS_H */
