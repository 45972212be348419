/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Library of the uapi tests: VMs, vCPUs and their state; start states for every mode; a run
 * loop with a time limit; and words about what happened. What a test is not about must succeed:
 * those calls end the test with a message when they do not (t_die).
 */
#ifndef VMMTEST_H
#define VMMTEST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vmm.h>
#include <linux/vmm_x86.h>
#include <linux/vmm_virtio.h>

#include "../../guests/guests.h"
#include "../../guests/layout.h"

#define T_RAM_SIZE	(32ull << 20)
#define T_MAX_REPORTS	4096
#define T_ANY		(-1)

struct t_vm;

/**
 * struct t_vcpu - a vCPU under test
 * @vm: its VM
 * @fd: file descriptor
 * @id: number
 * @run: the shared page
 * @report: what the guest said by T_PORT_REPORT and T_PORT_REPORT64 since t_reset_reports()
 * @nr_report: how many
 * @sync: value of the last T_PORT_SYNC
 * @run_on: HLT with interrupts off is no end for t_guest(): the vCPU waits for NMI or INIT
 * @unanswered: the last exit is completed by the next VMM_RUN
 */
struct t_vcpu {
	struct t_vm *vm;
	int fd;
	unsigned int id;
	volatile struct vmm_run *run;
	uint64_t report[T_MAX_REPORTS];
	unsigned int nr_report;
	uint32_t sync;
	bool run_on;
	bool unanswered;
};

/**
 * struct t_vm - a VM under test
 * @fd: file descriptor
 * @mem: guest memory from gpa 0, NULL if none
 * @mem_size: its bytes
 * @image: the test's image is in guest memory
 * @tables: the tables of mode.c are there
 */
struct t_vm {
	int fd;
	uint8_t *mem;
	uint64_t mem_size;
	bool image;
	bool tables;
};

enum t_mode { T_REAL, T_PM16, T_PM32, T_PG32, T_PAE, T_LONG, T_NR_MODES };
extern const char *const t_mode_name[T_NR_MODES];

/* how t_guest() ended */
enum t_out {
	T_DONE,		/* the guest said so */
	T_SYNC,		/* the guest came to a point, see sync */
	T_EXIT,		/* an exit that is no word of the guest's: see run */
	T_KICKED,	/* interrupted with immediate_exit set */
	T_FAILED,	/* the guest found something wrong, or VMM_RUN failed; said already */
};

/* vm.c */
void t_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void t_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int t_ioctl(int fd, unsigned long cmd, const void *arg);	/* result or -errno */
int t_check(int want, int got,
	    const char *call); /* says so when a call's result is not as wanted; gives it back */
int t_open(void);
bool t_missing(char *why, size_t size);
struct t_vm *t_vm_bare(void);
struct t_vm *t_vm_new(void);
struct t_vm *t_vm_new_ram(uint64_t size);
void t_vm_free(struct t_vm *vm);
struct t_vcpu *t_vcpu_new(struct t_vm *vm, unsigned int id);
struct t_vcpu *t_vcpu_bare(struct t_vm *vm, unsigned int id);	/* without a CPUID table */
void t_vcpu_free(struct t_vcpu *v);
int t_region(struct t_vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
	     const void *hva);
void *t_alloc(size_t size, size_t align);
void *t_gpa(struct t_vm *vm, uint64_t gpa, size_t len);

int t_get(int fd, uint32_t type, void *data, uint32_t size);
int t_set(int fd, uint32_t type, const void *data, uint32_t size);
int t_vm_get(struct t_vm *vm, uint32_t type, void *data, uint32_t size);
int t_vm_set(struct t_vm *vm, uint32_t type, const void *data, uint32_t size);
uint32_t t_state_size(int fd, unsigned long cmd,
		      uint32_t type); /* what a get with size 0 answers */
struct vmm_cpuid_entry *t_cpuid_supported(unsigned int *nr);
const struct vmm_cpuid_entry *t_cpuid_find(const struct vmm_cpuid_entry *e, unsigned int nr,
					   uint32_t leaf, uint32_t sub);
bool t_cpuid_bit(uint32_t leaf, uint32_t sub, int reg,
		 unsigned int bit); /* offered; reg 0 EAX .. 3 EDX */
void t_get_regs(struct t_vcpu *v, struct vmm_regs *regs);
void t_set_regs(struct t_vcpu *v, const struct vmm_regs *regs);
void t_get_sregs(struct t_vcpu *v, struct vmm_sregs *sregs);
void t_set_sregs(struct t_vcpu *v, const struct vmm_sregs *sregs);
void t_get_events(struct t_vcpu *v, struct vmm_events *ev);
void t_set_events(struct t_vcpu *v, const struct vmm_events *ev);
uint32_t t_get_mp(struct t_vcpu *v);
void t_set_mp(struct t_vcpu *v, uint32_t state);
int t_get_msr(struct t_vcpu *v, uint32_t index, uint64_t *data);	/* -errno */
int t_set_msr(struct t_vcpu *v, uint32_t index, uint64_t data);
uint64_t t_stat(int fd, enum vmm_stat which);
const char *t_stat_name(unsigned int which);
long t_cap(uint32_t cap);
uint64_t t_now_ns(void);
void t_sleep_ms(unsigned int ms);
bool t_vmx(void);	/* the processor has VT-x, not AMD-V */
bool t_bochs(void);	/* this machine is Bochs */
bool t_bochs_vmx(void);	/* its Intel: keeps NMIs blocked from one guest to the next */
void t_unblock_nmis(void); /* there: so that no guest before has to do with the next */
bool t_bochs_svm(void);	/* its AMD: writes no DR6 where #DB is intercepted */
bool t_emulated(
	void); /* this machine is itself a guest or an emulator: its processor may have gaps */
unsigned int t_cpus(void);	/* processors that this program may use */
void t_pin(unsigned int n);	/* the calling thread to the n-th of them, from 0 */
unsigned int t_cpu(unsigned int n); /* its number */
long t_read_long(const char *path);	/* -1 if it cannot be read */
bool t_write_file(const char *path, const char *text);

/* run.c */
extern unsigned int t_limit_s; /* seconds that one t_run() or t_guest() may take, times t_scale() */
unsigned int t_scale(void);	/* TEST_TIME_SCALE */
int t_run(struct t_vcpu *v);	/* enum vmm_exit or -errno */
enum t_out t_guest(struct t_vcpu *v);
bool t_done(struct t_vcpu *v);	/* t_guest() gave T_DONE; else says what happened */
bool t_synced(struct t_vcpu *v, uint32_t point);	/* likewise for T_SYNC at that point */
bool t_exits(struct t_vcpu *v, int exit_reason);	/* likewise for T_EXIT with that reason */
void t_reset_reports(struct t_vcpu *v);
const char *t_exit_name(int reason);
void t_describe(struct t_vcpu *v, int reason);
void t_dump(struct t_vcpu *v);
void t_settle(struct t_vcpu *v);	/* completes the last exit without entering the guest */
void t_short_runs(unsigned int ms); /* from now on a signal ends every t_run() of this thread after
				       that long; 0: no more */
void t_kicks(void);	/* makes SIGUSR1 a signal that only interrupts */

/* t_guest() in a thread of its own */
struct t_thread {
	struct t_vcpu *v;
	unsigned long id;	/* pthread_t */
	enum t_out out;
	volatile bool ended;
};
void t_spawn(struct t_thread *t, struct t_vcpu *v);
bool t_ended_within(struct t_thread *t, unsigned int ms);
void t_kick(struct t_thread *t);	/* SIGUSR1; t_kicks() first */
enum t_out t_join(struct t_thread *t);

/* interrupts, from outside */
void t_apic_enable(struct t_vcpu *v); /* as if the guest had written 0x1ff to the spurious-interrupt
					 register */
int t_msi(struct t_vm *vm, uint64_t addr, uint32_t data);
int t_irq(struct t_vm *vm, unsigned int vcpu,
	  uint8_t vector); /* fixed, edge, physical destination */
int t_nmi(struct t_vm *vm, unsigned int vcpu);
int t_lint(struct t_vm *vm, unsigned int vcpu, unsigned int pin, unsigned int level);

/* mode.c */
void t_tables(struct t_vm *vm);
void t_set_mode(struct t_vcpu *v, enum t_mode mode);
void t_pte(struct t_vm *vm, unsigned int index,
	   uint64_t pte); /* of T_WINDOW, for long mode and PAE */
void t_pte32(struct t_vm *vm, unsigned int index, uint32_t pte);
void t_load(struct t_vm *vm, uint64_t gpa, const void *bytes, size_t len);
int t_trap_of(uint64_t rip);	/* vector whose stub ended at rip, or -1 */
void t_seg_real(struct vmm_segment *s, uint16_t selector);
void t_blob(struct t_vcpu *v, enum t_mode mode, const char *start, const char *end);

/* image.c */
void t_image(struct t_vm *vm);
void t_start(struct t_vcpu *v, void (*fn)(uint64_t arg),
	     uint64_t arg); /* a C guest from its beginning */

/* the guest's copy of a variable of the test program */
#define T_G(vm, var)	(*(__typeof__(var) *)t_gpa(vm, (uint64_t)(uintptr_t)&(var), sizeof(var)))

/*
 * T_BLOB - guest code beside its test: assembled here, copied to T_CODE by t_blob(). A blob
 * refers to its own labels relative to rIP, or as T_CODE + label - name. It ends a run by HLT
 * with interrupts off.
 */
#define T_STR2(x)	#x
#define T_STR(x)	T_STR2(x)
#define T_BLOB(name, bits, code)                                                                \
	__asm__(".pushsection .rodata\n\t.globl " #name ", " #name "_end\n\t.balign 16\n" #name \
		":\n\t.code" #bits "\n\t" code "\n" #name "_end:\n\t.code64\n\t.popsection");   \
	extern const char name[], name##_end[]

/*
 * T_SPIN - a guest that spins: 1: sti; cli; jmp 1b. No interrupt comes between STI and CLI; but in
 * Bochs the host has the processor back only after RFLAGS.IF changed in the guest.
 */
#define T_SPIN		"\xfb\xfa\xeb\xfc"
#define T_SPIN_LEN	4

#endif /* VMMTEST_H */
