// SPDX-License-Identifier: GPL-2.0
/*
 * Exceptions and interrupts of C guests.
 */
#include "guest.h"

void (*g_handler[256])(struct g_frame *f);
volatile u64 g_fixup;
volatile u64 g_error, g_cr2;
volatile int g_vector;
void (*g_ap_entry)(u64 id);

struct g_log g_log;

void g_trap(struct g_frame *f);

void g_trap(struct g_frame *f)
{
	u64 cr2;

	if (g_handler[f->vector]) {
		g_handler[f->vector](f);
		return;
	}
	if (g_fixup && f->vector < 32) {
		__asm__ __volatile__("mov %%cr2, %0" : "=r"(cr2));
		g_vector = (int)f->vector;
		g_error = f->error;
		g_cr2 = cr2;
		f->rip = g_fixup;
		g_fixup = 0;
		return;
	}
	__asm__ __volatile__("outb %%al, $" G_STR(T_PORT_TRAP) :: "D"(f) : "memory");
	for (;;)
		__asm__ __volatile__("cli; hlt");
}

void g_log_vector(struct g_frame *f)
{
	u32 n = g_log.nr;

	if (n < 256)
		g_log.vector[n] = (u32)f->vector;
	g_log.nr = n + 1;
	g_apic_write(APIC_EOI, 0);
}

void g_log_vector_x2(struct g_frame *f)
{
	u32 n = g_log.nr;

	if (n < 256)
		g_log.vector[n] = (u32)f->vector;
	g_log.nr = n + 1;
	g_wrmsr(MSR_X2(APIC_EOI), 0);
}

/* software-enables the local APIC; 0xff is the spurious vector */
void g_apic_on(void)
{
	g_apic_write(APIC_SVR, 0x1ff);
	g_apic_write(APIC_TPR, 0);
}

void g_x2apic_on(void)
{
	g_wrmsr(MSR_APIC_BASE, g_rdmsr(MSR_APIC_BASE) | APIC_BASE_EN | APIC_BASE_X2);
	g_wrmsr(MSR_X2(APIC_SVR), 0x1ff);
	g_wrmsr(MSR_X2(APIC_TPR), 0);
}

/* waits with interrupts on until the log holds n entries; the test's time limit ends a wait in vain
 */
void g_wait_log(u32 n)
{
	/* no PAUSE between STI and CLI: QEMU keeps the shadow of STI over it */
	while (g_log.nr < n)
		g_sti_nop_cli();
}
