/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For C guests: 64-bit code without a library, run at CPL 0 with the low 4 GiB mapped to
 * themselves. They are linked into the test program; the test copies its own image to the same
 * addresses in guest memory, so that the globals that guest code uses are the copies there.
 */
#ifndef GUESTS_GUEST_H
#define GUESTS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "guests.h"
#include "layout.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v))
#define barrier()		__asm__ __volatile__("" ::: "memory")

#define G_STR2(x)	#x
#define G_STR(x)	G_STR2(x)

static inline void g_report(u32 v)
{
	__asm__ __volatile__("outl %%eax, $" G_STR(T_PORT_REPORT) :: "a"(v) : "memory");
}

static inline void g_report64(u64 v)
{
	__asm__ __volatile__("outb %%al, $" G_STR(T_PORT_REPORT64) :: "b"(v) : "memory");
}

static inline void g_sync(u32 v)
{
	__asm__ __volatile__("outl %%eax, $" G_STR(T_PORT_SYNC) :: "a"(v) : "memory");
}

static inline void g_fail(int line, const char *what, u64 got, u64 want)
{
	__asm__ __volatile__("outb %%al, $" G_STR(T_PORT_FAIL)::"D"(line), "S"(what), "b"(got),
			     "c"(want)
			     : "memory");
}

/* expectations: the guest stops at the first that fails */
#define G_EXPECT(cond)                                               \
	do {                                                         \
		if (!(cond))                                         \
			g_fail(__LINE__, __FILE__ ": " #cond, 0, 1); \
	} while (0)
#define G_EXPECT_EQ(got, want) do {								\
	u64 __got = (u64)(got), __want = (u64)(want);						\
	if (__got != __want)									\
		g_fail(__LINE__, __FILE__ ": " #got " == " #want, __got, __want);		\
} while (0)

static inline void g_done(void)
{
	__asm__ __volatile__("outb %%al, $" G_STR(T_PORT_DONE) ::: "memory");
}

static inline u64 g_rdmsr(u32 index)
{
	u32 lo, hi;

	__asm__ __volatile__("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index) : "memory");
	return lo | (u64)hi << 32;
}

static inline void g_wrmsr(u32 index, u64 v)
{
	__asm__ __volatile__("wrmsr" :: "c"(index), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static inline void g_cpuid(u32 leaf, u32 sub, u32 r[4])
{
	__asm__ __volatile__("cpuid"
			     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			     : "a"(leaf), "c"(sub));
}

static inline u64 g_rdtsc(void)
{
	u32 lo, hi;

	__asm__ __volatile__("lfence; rdtsc" : "=a"(lo), "=d"(hi) :: "memory");
	return lo | (u64)hi << 32;
}

static inline void g_cli(void) { __asm__ __volatile__("cli" ::: "memory"); }
static inline void g_sti(void) { __asm__ __volatile__("sti" ::: "memory"); }
static inline void g_hlt(void) { __asm__ __volatile__("hlt" ::: "memory"); }
static inline void g_sti_hlt(void) { __asm__ __volatile__("sti; hlt" ::: "memory"); }
static inline void g_sti_nop_cli(void) { __asm__ __volatile__("sti; nop; nop; cli" ::: "memory"); }

/*
 * g_spin - in a loop that waits with interrupts off. No interrupt of the guest's comes between STI
 * and CLI. But in Bochs one of the host's comes only after RFLAGS.IF changed in the guest.
 */
static inline void g_spin(void)
{
	__asm__ __volatile__("pushf; testl $0x200, (%%rsp); jnz 1f; sti; cli; 1: popf" ::: "memory",
			     "cc");
}

static inline void g_pause(void) { __asm__ __volatile__("pause" ::: "memory"); }

static inline void g_outb(u16 port, u8 v)
{
	__asm__ __volatile__("outb %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline void g_outw(u16 port, u16 v)
{
	__asm__ __volatile__("outw %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline void g_outl(u16 port, u32 v)
{
	__asm__ __volatile__("outl %0, %1" ::"a"(v), "Nd"(port) : "memory");
}

static inline u64 g_read_cr8(void)
{
	u64 v;

	__asm__ __volatile__("mov %%cr8, %0" : "=r"(v) :: "memory");
	return v;
}

static inline void g_write_cr8(u64 v)
{
	__asm__ __volatile__("mov %0, %%cr8" ::"r"(v) : "memory");
}

static inline u32 g_read32(u64 a) { return *(volatile u32 *)a; }
static inline void g_write32(u64 a, u32 v) { *(volatile u32 *)a = v; }

/* local APIC, xAPIC mode */
static inline u32 g_apic(u32 reg) { return g_read32(T_LAPIC + reg); }
static inline void g_apic_write(u32 reg, u32 v) { g_write32(T_LAPIC + reg, v); }

#define APIC_ID		0x020
#define APIC_VERSION	0x030
#define APIC_TPR	0x080
#define APIC_PPR	0x0a0
#define APIC_EOI	0x0b0
#define APIC_LDR	0x0d0
#define APIC_DFR	0x0e0
#define APIC_SVR	0x0f0
#define APIC_ISR	0x100
#define APIC_TMR	0x180
#define APIC_IRR	0x200
#define APIC_ESR	0x280
#define APIC_ICR	0x300
#define APIC_ICR2	0x310
#define APIC_LVTT	0x320
#define APIC_LVTTHMR	0x330
#define APIC_LVTPC	0x340
#define APIC_LVT0	0x350
#define APIC_LVT1	0x360
#define APIC_LVTERR	0x370
#define APIC_TMICT	0x380
#define APIC_TMCCT	0x390
#define APIC_TDCR	0x3e0
#define APIC_SELF_IPI	0x3f0

#define APIC_MASKED	(1u << 16)
#define APIC_PERIODIC	(1u << 17)
#define APIC_DEADLINE	(2u << 17)
#define APIC_DM_NMI	(4u << 8)
#define APIC_DM_INIT	(5u << 8)
#define APIC_DM_SIPI	(6u << 8)
#define APIC_DM_EXTINT	(7u << 8)
#define APIC_LOGICAL	(1u << 11)
#define APIC_ASSERT	(1u << 14)
#define APIC_LEVEL	(1u << 15)
#define APIC_SELF	(1u << 18)
#define APIC_ALL	(2u << 18)
#define APIC_OTHERS	(3u << 18)

#define MSR_APIC_BASE	0x1b
#define APIC_BASE_BSP	(1u << 8)
#define APIC_BASE_X2	(1u << 10)
#define APIC_BASE_EN	(1u << 11)
#define MSR_X2(reg)	(0x800 + ((reg) >> 4))
#define MSR_TSC_DEADLINE 0x6e0

/* what an exception or interrupt left on the stack, and all registers */
struct g_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

/* by vector: who takes it; NULL: g_try takes exceptions, everything else is a failure that the test
 * prints */
extern void (*g_handler[256])(struct g_frame *f);

/*
 * g_try - execute assembly that may fault Gives the vector, or -1 if none came; g_error and
 * g_cr2 tell the rest. One vCPU at a time.
 */
extern volatile u64 g_fixup;
extern volatile u64 g_error, g_cr2;
extern volatile int g_vector;
#define G_TRY(insn, ops...)                                                \
	({                                                                 \
		g_vector = -1;                                             \
		__asm__ __volatile__("movq $9f, g_fixup(%%rip)\n\t" insn   \
				     "\n9:\n\tmovq $0, g_fixup(%%rip)" ops \
				     : "memory");                          \
		g_vector;                                                  \
	})

static inline int g_try_rdmsr(u32 index, u64 *v)
{
	u32 lo = 0, hi = 0;
	int vector = G_TRY("rdmsr", : "+a"(lo), "+d"(hi) : "c"(index));

	*v = lo | (u64)hi << 32;
	return vector;
}

static inline int g_try_wrmsr(u32 index, u64 v)
{
	return G_TRY("wrmsr", :: "c"(index), "a"((u32)v), "d"((u32)(v >> 32)));
}

/* apic.c: an interrupt handler that writes down its vector and ends it */
void g_log_vector(struct g_frame *f);
void g_log_vector_x2(struct g_frame *f);
void g_apic_on(void);
void g_x2apic_on(void);
void g_wait_log(u32 n);

#endif /* GUESTS_GUEST_H */
