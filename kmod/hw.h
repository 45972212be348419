/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Virtualization on and off, per CPU.
 */
#ifndef KMOD_HW_H
#define KMOD_HW_H

#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/poll.h>
#include <linux/types.h>

DECLARE_PER_CPU(bool,
		vmm_hw_on); /* this CPU can enter guests; read and written with interrupts off */

int vmm_hw_module_init(void);
void vmm_hw_module_exit(void);
int vmm_hw_get(void);
void vmm_hw_put(void);
int vmm_hw_wait(void);
bool vmm_hw_is_down(void);
__poll_t vmm_hw_poll(struct file *file, poll_table *wait);
struct cpumask *vmm_hw_kick_mask(void);

#endif /* KMOD_HW_H */
