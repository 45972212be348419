// SPDX-License-Identifier: GPL-2.0
/*
 * Virtualization on and off, per CPU: on from the first VM to the last, and never across a
 * suspend, a reboot or a crash.
 *
 *	          first VM                         PM_*_PREPARE
 *	OFF -----------------> ON (every CPU) -----------------> SUSPENDED (off on every CPU,
 *	vCPUs wait)
 *	   ^                      |  ^                                 |
 *	   +------- last VM ------+  +----------- PM_POST_* -----------+
 *
 * The transitions are made under vmm_hw_lock. CPUs that come and go meanwhile call back from
 * the hotplug core, which is serialized with us by its own lock: the callbacks take none.
 *
 * The kernel has one slot for a function that ends virtualization before a crash kernel starts, and
 * complains when it is taken or given up by the wrong one. It is KVM's from before the start of
 * KVM's module for this processor until after its end (KVM's function turns off whatever is on),
 * ours otherwise; a module notifier hands it over. KVM respects a processor that is in use as vmm
 * does: where a VM of vmm's lives, KVM 6.12's module does not load, and KVM 6.1 makes no VM.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/poll.h>
#include <linux/reboot.h>
#include <linux/sched/signal.h>
#include <linux/suspend.h>
#include <linux/wait.h>
#include <asm/reboot.h>

#include "compat.h"
#include "hw.h"
#include "x86_ops.h"

DEFINE_PER_CPU(bool, vmm_hw_on);
static DEFINE_PER_CPU(cpumask_var_t, vmm_kick_mask);

static DEFINE_MUTEX(vmm_hw_lock);
static unsigned int vmm_hw_users;		/* VMs that live [h] for writers, READ_ONCE */
static int vmm_hw_state;			/* dynamic hotplug state while vmm_hw_users, [h] */
static bool vmm_hw_suspended;			/* [h] for writers, READ_ONCE for those that wait */
static bool vmm_hw_down; /* the machine restarts: nobody enters a guest any more [h], READ_ONCE */
static bool vmm_hw_kvm;				/* KVM may use the emergency slot [h] */
static bool vmm_hw_emergency_set;		/* the emergency slot is ours [h] */
static DECLARE_WAIT_QUEUE_HEAD(vmm_hw_resumed);
static DECLARE_WAIT_QUEUE_HEAD(vmm_hw_idle);	/* for poll: the last VM is gone */

/* ---- one CPU ---- */

static int vmm_hw_enable_cpu(void)
{
	unsigned long flags;
	int ret;

	local_irq_save(flags);
	ret = __this_cpu_read(vmm_hw_on) ? 0 : vmm_x86(hardware_enable)();
	if (!ret)
		__this_cpu_write(vmm_hw_on, true);
	local_irq_restore(flags);
	return ret;
}

static void vmm_hw_disable_cpu(void *unused)
{
	unsigned long flags;

	local_irq_save(flags);
	if (__this_cpu_read(vmm_hw_on)) {
		__this_cpu_write(vmm_hw_on, false);
		vmm_x86(hardware_disable)();
	}
	local_irq_restore(flags);
}

static int vmm_hw_cpu_online(unsigned int cpu)
{
	return READ_ONCE(vmm_hw_suspended) ? 0 : vmm_hw_enable_cpu();
}

static int vmm_hw_cpu_offline(unsigned int cpu)
{
	vmm_hw_disable_cpu(NULL);
	return 0;
}

/* ---- the emergency slot ---- */

static void vmm_hw_emergency(void)
{
	vmm_vendor->emergency_disable();
}

/*
 * Is KVM there? The symbol is looked up and let go at once: vmm must not keep it loaded. It is
 * kvm.ko's; which of its two halves are loaded cannot be asked, so both are taken to be.
 */
static bool vmm_hw_kvm_loaded(void)
{
	if (!__symbol_get("kvm_get_kvm"))
		return false;
	__symbol_put("kvm_get_kvm");
	return true;
}

static void __vmm_hw_claim_emergency(void)
{
	if (vmm_hw_emergency_set || !vmm_hw_users || vmm_hw_kvm)
		return;
	cpu_emergency_register_virt_callback(vmm_hw_emergency);
	vmm_hw_emergency_set = true;
}

static void __vmm_hw_yield_emergency(void)
{
	if (!vmm_hw_emergency_set)
		return;
	cpu_emergency_unregister_virt_callback(vmm_hw_emergency);
	vmm_hw_emergency_set = false;
}

/* COMING comes before the module's own start, GOING after its end, or after a start that failed */
static int vmm_hw_module_notify(struct notifier_block *nb, unsigned long event, void *data)
{
	const struct module *mod = data;
	bool vendor = !strcmp(mod->name, "kvm_amd") || !strcmp(mod->name, "kvm_intel");

	if (!vendor && strcmp(mod->name, "kvm"))
		return NOTIFY_DONE;
	mutex_lock(&vmm_hw_lock);
	if (event == MODULE_STATE_COMING && vendor) {
		vmm_hw_kvm = true;
		__vmm_hw_yield_emergency();
	} else if (event == MODULE_STATE_GOING) {
		vmm_hw_kvm = false;
		__vmm_hw_claim_emergency();
	}
	mutex_unlock(&vmm_hw_lock);
	return NOTIFY_DONE;
}

static struct notifier_block vmm_hw_module_nb = { .notifier_call = vmm_hw_module_notify };

/* ---- suspend and reboot ---- */

static void vmm_hw_resume_cpu(void *failed)
{
	if (vmm_hw_enable_cpu())
		atomic_inc(failed);
}

static int vmm_hw_pm_notify(struct notifier_block *nb, unsigned long event, void *unused)
{
	atomic_t failed = ATOMIC_INIT(0);

	switch (event) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		mutex_lock(&vmm_hw_lock);
		WRITE_ONCE(vmm_hw_suspended, true);
		if (vmm_hw_users)
			on_each_cpu(vmm_hw_disable_cpu, NULL, 1);
		mutex_unlock(&vmm_hw_lock);
		break;
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		mutex_lock(&vmm_hw_lock);
		WRITE_ONCE(vmm_hw_suspended, false);
		if (vmm_hw_users)
			on_each_cpu(vmm_hw_resume_cpu, &failed, 1);
		mutex_unlock(&vmm_hw_lock);
		if (atomic_read(&failed))
			pr_err("vmm: %d CPUs did not come back from suspend with virtualization on: vCPUs do not run there\n",
			       atomic_read(&failed));
		wake_up_all(&vmm_hw_resumed);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block vmm_hw_pm_nb = { .notifier_call = vmm_hw_pm_notify };

static int vmm_hw_reboot_notify(struct notifier_block *nb, unsigned long event, void *unused)
{
	mutex_lock(&vmm_hw_lock);
	WRITE_ONCE(vmm_hw_down, true);
	if (vmm_hw_users)
		on_each_cpu(vmm_hw_disable_cpu, NULL, 1);
	mutex_unlock(&vmm_hw_lock);
	return NOTIFY_DONE;
}

static struct notifier_block vmm_hw_reboot_nb = { .notifier_call = vmm_hw_reboot_notify };

/* ---- users ---- */

/**
 * vmm_hw_get - a VM comes to life: virtualization is on when this returns 0
 *
 * Context: process, no lock of vmm's held. Return: 0; -EBUSY when another hypervisor, commonly
 * KVM, has a CPU.
 */
int vmm_hw_get(void)
{
	int ret = 0;

	mutex_lock(&vmm_hw_lock);
	if (vmm_hw_down) {
		ret = -ESHUTDOWN;
	} else if (!vmm_hw_users) {
		ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "virt/vmm:online", vmm_hw_cpu_online,
					vmm_hw_cpu_offline);
		if (ret >= 0) {
			vmm_hw_state = ret;
			ret = 0;
		}
	}
	if (!ret) {
		WRITE_ONCE(vmm_hw_users, vmm_hw_users + 1);
		__vmm_hw_claim_emergency();
	}
	mutex_unlock(&vmm_hw_lock);
	return ret;
}

/**
 * vmm_hw_put - a VM is gone. Context: process, may sleep, no lock of vmm's held.
 */
void vmm_hw_put(void)
{
	bool last;

	mutex_lock(&vmm_hw_lock);
	last = vmm_hw_users == 1;
	if (last) {
		cpuhp_remove_state(vmm_hw_state);
		__vmm_hw_yield_emergency();
	}
	/* who reads 0 finds the processors free */
	WRITE_ONCE(vmm_hw_users, vmm_hw_users - 1);
	mutex_unlock(&vmm_hw_lock);
	if (last)
		wake_up_all(&vmm_hw_idle);
}

/**
 * vmm_hw_poll - /dev/vmm is readable while no VM lives
 * @file: an open file
 * @wait: as for every poll
 *
 * Context: process. Return: EPOLLIN | EPOLLRDNORM, or 0.
 */
__poll_t vmm_hw_poll(struct file *file, poll_table *wait)
{
	poll_wait(file, &vmm_hw_idle, wait);
	return READ_ONCE(vmm_hw_users) ? 0 : EPOLLIN | EPOLLRDNORM;
}

/**
 * vmm_hw_wait - this CPU cannot enter guests now: wait until the host has resumed
 *
 * Context: process, may sleep. Return: 0 to try again, -EINTR, or -EIO when this CPU will not
 * come back.
 */
int vmm_hw_wait(void)
{
	int ret = wait_event_interruptible(vmm_hw_resumed,
					   !READ_ONCE(vmm_hw_suspended) && !READ_ONCE(vmm_hw_down));

	if (ret)
		return -EINTR;
	preempt_disable();
	ret = __this_cpu_read(vmm_hw_on) ? 0 : -EIO;
	preempt_enable();
	return ret;
}

/**
 * vmm_hw_is_down - the machine restarts: virtualization does not come back. Context: any.
 */
bool vmm_hw_is_down(void)
{
	return READ_ONCE(vmm_hw_down);
}

/**
 * vmm_hw_kick_mask - this CPU's scratch mask, for one that sends IPIs. Context: preemption off
 * until it is done with.
 */
struct cpumask *vmm_hw_kick_mask(void)
{
	struct cpumask *mask = this_cpu_cpumask_var_ptr(vmm_kick_mask);

	cpumask_clear(mask);
	return mask;
}

static void vmm_hw_free_masks(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		free_cpumask_var(per_cpu(vmm_kick_mask, cpu));
}

/**
 * vmm_hw_module_init - notifiers and per-CPU memory. Context: module load. Return: 0 or a
 * negative errno.
 */
int vmm_hw_module_init(void)
{
	int cpu, ret;

	for_each_possible_cpu(cpu) {
		if (!zalloc_cpumask_var_node(&per_cpu(vmm_kick_mask, cpu), GFP_KERNEL,
					     cpu_to_node(cpu))) {
			vmm_hw_free_masks();
			return -ENOMEM;
		}
	}
	ret = register_module_notifier(&vmm_hw_module_nb);
	if (ret)
		goto err_masks;
	mutex_lock(&vmm_hw_lock);
	vmm_hw_kvm |= vmm_hw_kvm_loaded();
	mutex_unlock(&vmm_hw_lock);
	ret = register_pm_notifier(&vmm_hw_pm_nb);
	if (ret)
		goto err_module;
	ret = register_reboot_notifier(&vmm_hw_reboot_nb);
	if (ret)
		goto err_pm;
	return 0;

err_pm:
	unregister_pm_notifier(&vmm_hw_pm_nb);
err_module:
	unregister_module_notifier(&vmm_hw_module_nb);
err_masks:
	vmm_hw_free_masks();
	return ret;
}

/**
 * vmm_hw_module_exit - undo it. Context: module unload; no VM lives.
 */
void vmm_hw_module_exit(void)
{
	unregister_reboot_notifier(&vmm_hw_reboot_nb);
	unregister_pm_notifier(&vmm_hw_pm_nb);
	unregister_module_notifier(&vmm_hw_module_nb);
	vmm_hw_free_masks();
}
