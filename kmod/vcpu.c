// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPU: its life, its file, and the run loop.
 *
 * VMM_RUN is one pass of:
 *
 *	answers of userland in -> [ signal? -> requests -> halted? wait -> events -> entry ...
 *	exit -> handle it ] ... -> userland
 *
 * Those who need a running vCPU's attention set a request or raise vm->tlb_gen, then look at
 * vcpu->mode; the loop sets vcpu->mode, then looks at those. A full barrier on both sides means
 * that one of the two sees the other.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hw_breakpoint.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/task_work.h>
#include <linux/vtime.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>

#include "compat.h"
#include "debug.h"
#include "device.h"
#include "hw.h"
#include "ioctl.h"
#include "stats.h"
#include "trace.h"
#include "vm.h"
#include "x86.h"
#include "x86_ops.h"

static struct kmem_cache *vmm_vcpu_cache;

/* ---- reaching a vCPU ---- */

/**
 * vmm_vcpu_kick - let a vCPU look at its requests soon: end its wait, or its stay in the guest
 * @vcpu: the vCPU
 *
 * The request must be set before. Only a vCPU in the guest costs an IPI, and only one.
 *
 * Context: any; interrupts may be off.
 */
void vmm_vcpu_kick(struct vmm_vcpu *vcpu)
{
	int me, cpu;

	/* a full barrier is in here, before the look at mode */
	if (rcuwait_wake_up(&vcpu->wait))
		vmm_vm_stat_add(vcpu->vm, VMM_STAT_WAKE, 1);

	me = get_cpu();
	if (READ_ONCE(vcpu->mode) == VMM_IN_GUEST &&
	    cmpxchg(&vcpu->mode, VMM_IN_GUEST, VMM_EXITING) == VMM_IN_GUEST) {
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu >= 0 && cpu != me && cpu_online(cpu)) {
			vmm_vm_stat_add(vcpu->vm, VMM_STAT_KICK_IPI, 1);
			smp_send_reschedule(cpu);
		}
	}
	put_cpu();
}

/**
 * vmm_vcpu_queue_nmi - an NMI for a vCPU; more than two that wait are one. Context: any.
 * @vcpu: the vCPU
 */
void vmm_vcpu_queue_nmi(struct vmm_vcpu *vcpu)
{
	atomic_inc(&vcpu->nmi_queued);
	vmm_make_request(vcpu, VMM_REQ_NMI);
	vmm_vcpu_kick(vcpu);
}

static void vmm_flush_ack(void *unused)
{
	/* the interrupt has ended the guest; the next entry sees the new generation */
}

/**
 * vmm_flush_remote - return only when no vCPU can use a second-level translation that is no
 * longer there
 * @vm: the VM
 *
 * A vCPU that is outside, or comes after this generation was raised, flushes by itself before
 * it enters.
 *
 * Context: any with interrupts on; mmu_lock may be held; does not sleep, waits for other CPUs
 * to take an interrupt.
 */
void vmm_flush_remote(struct vmm_vm *vm)
{
	/* full barrier: pairs with smp_store_mb() of vcpu->mode */
	u64 gen = atomic64_inc_return(&vm->tlb_gen);
	struct vmm_vcpu *vcpu;
	struct cpumask *mask;
	unsigned int i;
	int me, cpu;

	vmm_vm_stat_add(vm, VMM_STAT_TLB_FLUSH, 1);
	me = get_cpu();
	mask = vmm_hw_kick_mask();
	vmm_vm_for_each_vcpu(i, vcpu, vm) {
		if (READ_ONCE(vcpu->mode) == VMM_OUTSIDE_GUEST || READ_ONCE(vcpu->tlb_gen) >= gen)
			continue;
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu >= 0 && cpu != me)
			cpumask_set_cpu(cpu, mask);
	}
	if (!cpumask_empty(mask) && !vmm_planted(VMM_PLANT_FLUSH)) {
		vmm_vm_stat_add(vm, VMM_STAT_KICK_IPI, cpumask_weight(mask));
		smp_call_function_many(mask, vmm_flush_ack, NULL, true);
	}
	vmm_debug_flushed(vm, gen);
	put_cpu();
}

/* ---- on and off a physical CPU ---- */

static bool vmm_has_tsc_aux(void)
{
	return boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID);
}

/* preemption off */
static void __vmm_vcpu_load(struct vmm_vcpu *vcpu, int cpu)
{
	WRITE_ONCE(vcpu->cpu, cpu);
	vmm_debug_vcpu_load(vcpu);
	if (vmm_has_tsc_aux()) {
		rdmsrl(MSR_TSC_AUX, vcpu->host_tsc_aux);
		vcpu->loaded_tsc_aux = vcpu->host_tsc_aux;
	}
	vmm_x86(vcpu_load)(vcpu, cpu);
}

/* preemption off */
static void __vmm_vcpu_put(struct vmm_vcpu *vcpu)
{
	vmm_x86(vcpu_put)(vcpu);
	if (vcpu->loaded_tsc_aux != vcpu->host_tsc_aux && !vmm_planted(VMM_PLANT_LAZY))
		wrmsrl(MSR_TSC_AUX, vcpu->host_tsc_aux);
	vmm_debug_vcpu_put(vcpu);
	WRITE_ONCE(vcpu->cpu, -1);
}

static void vmm_sched_in(struct preempt_notifier *pn, int cpu)
{
	__vmm_vcpu_load(container_of(pn, struct vmm_vcpu, pn), cpu);
}

static void vmm_sched_out(struct preempt_notifier *pn, struct task_struct *next)
{
	__vmm_vcpu_put(container_of(pn, struct vmm_vcpu, pn));
}

static struct preempt_ops vmm_preempt_ops = {
	.sched_in = vmm_sched_in,
	.sched_out = vmm_sched_out,
};

static void vmm_vcpu_load(struct vmm_vcpu *vcpu)
{
	int cpu = get_cpu();

	preempt_notifier_register(&vcpu->pn);
	__vmm_vcpu_load(vcpu, cpu);
	put_cpu();
}

static void vmm_vcpu_put(struct vmm_vcpu *vcpu)
{
	preempt_disable();
	__vmm_vcpu_put(vcpu);
	preempt_notifier_unregister(&vcpu->pn);
	preempt_enable();
	vmm_debug_report(vcpu);
}

/* ---- requests ---- */

static int vmm_exit_shutdown(struct vmm_vcpu *vcpu)
{
	vmm_vcpu_reset(vcpu, true);
	vcpu->run->exit_reason = VMM_EXIT_SHUTDOWN;
	return 0;
}

static int vmm_exit_eoi(struct vmm_vcpu *vcpu)
{
	unsigned int vector = find_first_bit(vcpu->eoi_pending, 256);

	if (vector == 256)
		return 1;
	clear_bit(vector, vcpu->eoi_pending);
	if (!bitmap_empty(vcpu->eoi_pending, 256))
		vmm_make_request(vcpu, VMM_REQ_EOI_EXIT);
	vcpu->run->exit_reason = VMM_EXIT_EOI;
	vcpu->run->u.eoi.vector = vector;
	return 0;
}

static void vmm_take_init_sipi(struct vmm_vcpu *vcpu)
{
	int vector;

	if (vmm_lapic_take_init(vcpu)) {
		vmm_lapic_reset(vcpu, true);
		vmm_vcpu_reset(vcpu, true);
		vcpu->mp = vcpu->id ? VMM_MP_WAIT_SIPI : VMM_MP_RUNNING;
	}
	vector = vmm_lapic_take_sipi(vcpu);
	if (vector >= 0 && vcpu->mp == VMM_MP_WAIT_SIPI)
		vmm_vcpu_start_sipi(vcpu, vector);
}

/* returns as exit handlers do */
static int vmm_handle_requests(struct vmm_vcpu *vcpu)
{
	if (vmm_take_request(vcpu, VMM_REQ_TRIPLE_FAULT))
		return vmm_exit_shutdown(vcpu);
	if (vmm_take_request(vcpu, VMM_REQ_INIT_SIPI))
		vmm_take_init_sipi(vcpu);
	if (vmm_take_request(vcpu, VMM_REQ_NMI)) {
		vcpu->ev.nmi_pending =
			min(2, vcpu->ev.nmi_pending + atomic_xchg(&vcpu->nmi_queued, 0));
		vmm_make_request(vcpu, VMM_REQ_EVENT);
	}
	if (vmm_take_request(vcpu, VMM_REQ_TSC)) {
		vmm_tsc_update(vcpu);
		vmm_make_request(vcpu, VMM_REQ_CLOCK);
	}
	if (vmm_take_request(vcpu, VMM_REQ_CLOCK))
		vmm_clock_update(vcpu);
	vmm_take_request(vcpu, VMM_REQ_WAKE);
	return 1;
}

/* ---- waiting ---- */

static bool vmm_vcpu_wakes(struct vmm_vcpu *vcpu)
{
	if (READ_ONCE(vcpu->requests) & ~BIT(VMM_REQ_EVENT))
		return true;
	return vcpu->mp == VMM_MP_HALTED && vmm_events_wake(vcpu);
}

/*
 * HLT, or an application processor that waits to be started: sleep until there is something.
 * vm->srcu is let go meanwhile.
 */
static void vmm_vcpu_block(struct vmm_vcpu *vcpu, int *idx)
	__must_hold(&vcpu->vm->srcu)
{
	srcu_read_unlock(&vcpu->vm->srcu, *idx);
	prepare_to_rcuwait(&vcpu->wait);
	for (;;) {
		/* full barrier: pairs with rcuwait_wake_up() */
		set_current_state(TASK_INTERRUPTIBLE);
		if (vmm_vcpu_wakes(vcpu) || signal_pending(current))
			break;
		schedule();
	}
	finish_rcuwait(&vcpu->wait);
	*idx = srcu_read_lock(&vcpu->vm->srcu);

	if (vcpu->mp == VMM_MP_HALTED && vmm_events_wake(vcpu)) {
		vcpu->mp = VMM_MP_RUNNING;
		vmm_make_request(vcpu, VMM_REQ_EVENT);
	}
}

/* ---- entry ---- */

static void vmm_load_guest_irqoff(struct vmm_vcpu *vcpu)
{
	vmm_fpu_enter_irqoff(vcpu);
	if (unlikely(vcpu->dr7 & 0xff)) {
		set_debugreg(0, 7);
		set_debugreg(vcpu->dr[0], 0);
		set_debugreg(vcpu->dr[1], 1);
		set_debugreg(vcpu->dr[2], 2);
		set_debugreg(vcpu->dr[3], 3);
	}
	if (vmm_has_tsc_aux() && vcpu->loaded_tsc_aux != vcpu->tsc_aux) {
		wrmsrl(MSR_TSC_AUX, vcpu->tsc_aux);
		vcpu->loaded_tsc_aux = vcpu->tsc_aux;
	}
}

static void vmm_load_host_irqoff(struct vmm_vcpu *vcpu)
{
	vmm_fpu_exit_irqoff(vcpu);
	/*
	 * the exit cleared DR7; a debug exception of the host must not find the guest's DR6
	 * either
	 */
	if (unlikely((u32)vcpu->dr6 != DR6_RESERVED))
		set_debugreg(DR6_RESERVED, 6);
	if (unlikely(hw_breakpoint_active()))
		hw_breakpoint_restore();
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
}

/*
 * reasons not to enter after all; vcpu->mode says IN_GUEST already, so whoever comes now sends
 * an IPI
 */
static bool vmm_entry_denied_irqoff(struct vmm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->mode) == VMM_EXITING || READ_ONCE(vcpu->requests) ||
	       signal_pending(current) || need_resched() || !__this_cpu_read(vmm_hw_on);
}

/* Enter once, handle the exit. Returns as exit handlers do; 1 also when the entry was denied. */
static int vmm_vcpu_enter(struct vmm_vcpu *vcpu, int *idx)
	__must_hold(&vcpu->vm->srcu)
{
	struct vmm_vm *vm = vcpu->vm;
	bool off;
	u64 gen;

	srcu_read_unlock(&vm->srcu, *idx);
	preempt_disable();
	local_irq_disable();
	/* pairs with the barriers of vmm_vcpu_kick() and vmm_flush_remote() */
	smp_store_mb(vcpu->mode, VMM_IN_GUEST);

	if (unlikely(vmm_entry_denied_irqoff(vcpu))) {
		off = !__this_cpu_read(vmm_hw_on);
		/* whoever reads OUTSIDE_GUEST sees all that this stay did */
		smp_store_release(&vcpu->mode, VMM_OUTSIDE_GUEST);
		local_irq_enable();
		vmm_x86(cancel_injection)(vcpu);
		vmm_make_request(vcpu, VMM_REQ_EVENT);
		preempt_enable();
		if (unlikely(off)) {
			int ret = vmm_hw_wait();

			*idx = srcu_read_lock(&vm->srcu);
			return ret ?: 1;
		}
		cond_resched();
		*idx = srcu_read_lock(&vm->srcu);
		return 1;
	}
	gen = atomic64_read(&vm->tlb_gen);
	if (vcpu->tlb_gen != gen) {
		if (!vmm_planted(VMM_PLANT_TLB))
			vmm_x86(flush_tlb_irqoff)(vcpu);
		WRITE_ONCE(vcpu->tlb_gen, gen);
	}

	trace_vmm_entry(vcpu->id, vcpu->rip);
	vmm_debug_enter_irqoff(vcpu);
	vmm_load_guest_irqoff(vcpu);
	vtime_account_guest_enter();
	vmm_x86(enter_irqoff)(vcpu);
	vmm_load_host_irqoff(vcpu);
	vmm_debug_exit_irqoff(vcpu);
	/* as above */
	smp_store_release(&vcpu->mode, VMM_OUTSIDE_GUEST);
	vmm_x86(exit_irqoff)(vcpu);
	vmm_stat_inc(vcpu, VMM_STAT_EXITS);

	/*
	 * an interrupt that ended the guest is taken here, and its time still counted as the
	 * guest's
	 */
	local_irq_enable();
	local_irq_disable();
	vtime_account_guest_exit();
	local_irq_enable();
	preempt_enable();

	*idx = srcu_read_lock(&vm->srcu);
	trace_vmm_exit(vcpu->id, vmm_x86(exit_code)(vcpu), vcpu->rip);
	return vmm_x86(handle_exit)(vcpu);
}

/*
 * userland's answer to VMM_EXIT_INTACK: the vector of the ExtINT, as if INTA cycles had fetched
 * it
 */
static void vmm_take_intack(struct vmm_vcpu *vcpu)
{
	int vector = READ_ONCE(vcpu->run->u.intack.vector);

	vcpu->intack_wait = false;
	if (vector < 0 || vector > 255)
		return;
	vcpu->ev.irq_injected = true;
	vcpu->ev.irq_soft = false;
	vcpu->ev.irq_vector = vector;
	vmm_stat_inc(vcpu, VMM_STAT_IRQ_INJECTED);
	vmm_make_request(vcpu, VMM_REQ_EVENT);
}

static bool vmm_events_due(struct vmm_vcpu *vcpu)
{
	const struct vmm_event_queue *ev = &vcpu->ev;

	return vmm_take_request(vcpu, VMM_REQ_EVENT) || ev->exc_pending || ev->exc_injected ||
	       ev->nmi_injected || ev->irq_injected;
}

/*
 * Work of the host that only this thread can do, on its way to userland: task work, and to be
 * throttled for going over memory.high. What else TIF_NOTIFY_RESUME stands for, restartable
 * sequences above all, can wait until userland is returned to anyway.
 */
static bool vmm_host_work_pending(void)
{
	if (likely(!test_thread_flag(TIF_NOTIFY_RESUME)))
		return false;
#ifdef CONFIG_MEMCG
	if (READ_ONCE(current->memcg_nr_pages_over_high))
		return true;
#endif
	return task_work_pending(current);
}

static int vmm_run_loop(struct vmm_vcpu *vcpu, int *idx)
{
	int ret = 1;

	if (unlikely(vcpu->intack_wait))
		vmm_take_intack(vcpu);
	ret = vmm_emulate_resume(vcpu);

	while (ret == 1) {
		/* even if no entry is wanted: who saves the vCPU would lose them */
		if (vmm_take_request(vcpu, VMM_REQ_EOI_EXIT) && !vmm_exit_eoi(vcpu))
			return 0;
		if (signal_pending(current) || vmm_host_work_pending() ||
		    READ_ONCE(vcpu->run->immediate_exit))
			return -EINTR;
		if (unlikely(READ_ONCE(vcpu->vm->bugged)))
			return -EIO;
		if (READ_ONCE(vcpu->requests) & ~BIT(VMM_REQ_EVENT)) {
			ret = vmm_handle_requests(vcpu);
			if (ret != 1)
				break;
		}
		if (vcpu->mp != VMM_MP_RUNNING) {
			vmm_vcpu_block(vcpu, idx);
			continue;
		}
		if (vmm_events_due(vcpu)) {
			ret = vmm_prepare_events(vcpu);
			if (ret != 1)
				break;
		}
		ret = vmm_vcpu_enter(vcpu, idx);
	}
	return ret;
}

/* pad_in as it is now, not 0 when any of it is set */
static u64 vmm_run_pad_in(const struct vmm_run *run)
{
	BUILD_BUG_ON(offsetof(struct vmm_run, pad_in) != 1 ||
		     sizeof_field(struct vmm_run, pad_in) != 7);
	return READ_ONCE(*(const u64 *)run) >> 8;
}

static long vmm_vcpu_ioctl_run(void *obj, void *arg)
{
	struct vmm_vcpu *vcpu = obj;
	int idx, ret;

	if (*(u64 *)arg || vmm_run_pad_in(vcpu->run))
		return -EINVAL;
	vcpu->has_run = true;
	vmm_vcpu_load(vcpu);
	ret = vmm_fpu_load(vcpu);
	if (!ret) {
		idx = srcu_read_lock(&vcpu->vm->srcu);
		ret = vmm_run_loop(vcpu, &idx);
		srcu_read_unlock(&vcpu->vm->srcu, idx);
		vmm_fpu_put(vcpu);
	}
	vmm_vcpu_put(vcpu);
	vmm_stat_inc(vcpu, VMM_STAT_TO_USER);
	return ret;
}

static long vmm_vcpu_ioctl_get_state(void *obj, void *arg)
{
	struct vmm_vcpu *vcpu = obj;
	int idx, ret;

	vmm_vcpu_load(vcpu);
	idx = srcu_read_lock(&vcpu->vm->srcu);
	ret = vmm_vcpu_get_state(vcpu, arg);
	srcu_read_unlock(&vcpu->vm->srcu, idx);
	vmm_vcpu_put(vcpu);
	return ret;
}

static long vmm_vcpu_ioctl_set_state(void *obj, void *arg)
{
	struct vmm_vcpu *vcpu = obj;
	int idx, ret;

	vmm_vcpu_load(vcpu);
	idx = srcu_read_lock(&vcpu->vm->srcu);
	ret = vmm_vcpu_set_state(vcpu, arg);
	srcu_read_unlock(&vcpu->vm->srcu, idx);
	vmm_vcpu_put(vcpu);
	return ret;
}

static long vmm_vcpu_ioctl_stats(void *obj, void *arg)
{
	return vmm_vcpu_get_stats(obj, arg);
}

/* under vcpu->mutex */
static const struct vmm_ioctl vmm_vcpu_ioctls[] = {
	{ VMM_RUN,		vmm_vcpu_ioctl_run },
	{ VMM_GET_STATE,	vmm_vcpu_ioctl_get_state },
	{ VMM_SET_STATE,	vmm_vcpu_ioctl_set_state },
};

/* at any time */
static const struct vmm_ioctl vmm_vcpu_unlocked_ioctls[] = {
	{ VMM_GET_STATS,	vmm_vcpu_ioctl_stats },
};

static long vmm_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vmm_vcpu *vcpu = file->private_data;
	long ret;

	if (vmm_check_mm(vcpu->vm))
		return -EIO;
	ret = vmm_ioctl(vmm_vcpu_unlocked_ioctls, ARRAY_SIZE(vmm_vcpu_unlocked_ioctls), vcpu, cmd,
			arg);
	if (ret != -ENOTTY)
		return ret;
	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	ret = vmm_ioctl(vmm_vcpu_ioctls, ARRAY_SIZE(vmm_vcpu_ioctls), vcpu, cmd, arg);
	mutex_unlock(&vcpu->mutex);
	return ret;
}

/* ---- the shared page ---- */

static vm_fault_t vmm_run_fault(struct vm_fault *vmf)
{
	struct vmm_vcpu *vcpu = vmf->vma->vm_file->private_data;
	struct page *page = virt_to_page(vcpu->run);

	if (vmf->pgoff)
		return VM_FAULT_SIGBUS;
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct vmm_run_vm_ops = { .fault = vmm_run_fault };

static int vmm_vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vmm_vcpu *vcpu = file->private_data;

	if (vmm_check_mm(vcpu->vm))
		return -EIO;
	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != VMM_RUN_SIZE ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vmm_vma_no_expand(vma);
	vma->vm_ops = &vmm_run_vm_ops;
	return 0;
}

/* ---- life ---- */

static int vmm_vcpu_release(struct inode *inode, struct file *file)
{
	struct vmm_vcpu *vcpu = file->private_data;

	vmm_vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations vmm_vcpu_fops = {
	.owner = THIS_MODULE,
	.release = vmm_vcpu_release,
	.unlocked_ioctl = vmm_vcpu_ioctl,
	.mmap = vmm_vcpu_mmap,
	.llseek = noop_llseek,
};

/**
 * vmm_vcpu_free - free a vCPU, whole or half made. Context: process; nobody can reach it any
 * more.
 * @vcpu: the vCPU
 */
void vmm_vcpu_free(struct vmm_vcpu *vcpu)
{
	vmm_lapic_free(vcpu);
	vmm_mmu_vcpu_free(vcpu);
	vmm_x86(vcpu_free)(vcpu);
	vmm_insn_free(vcpu);
	vmm_cpuid_free(vcpu);
	vmm_fpu_free(vcpu);
	free_page((unsigned long)vcpu->run);
	kmem_cache_free(vmm_vcpu_cache, vcpu);
}

static struct vmm_vcpu *vmm_vcpu_alloc(struct vmm_vm *vm, u32 id)
{
	struct vmm_vcpu *vcpu = kmem_cache_zalloc(vmm_vcpu_cache, GFP_KERNEL_ACCOUNT);
	int ret = -ENOMEM;

	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->cpu = -1;
	vcpu->mode = VMM_OUTSIDE_GUEST;
	vmm_debug_vcpu_init(vcpu);
	vcpu->mp = id ? VMM_MP_UNINIT : VMM_MP_RUNNING;
	mutex_init(&vcpu->mutex);
	rcuwait_init(&vcpu->wait);
	preempt_notifier_init(&vcpu->pn, &vmm_preempt_ops);

	vcpu->run = (struct vmm_run *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run)
		goto err;
	ret = vmm_fpu_create(vcpu);
	if (!ret)
		ret = vmm_cpuid_create(vcpu);
	if (!ret)
		ret = vmm_insn_create(vcpu);
	if (!ret)
		ret = vmm_x86(vcpu_create)(vcpu);
	if (!ret)
		ret = vmm_lapic_create(vcpu);
	if (ret)
		goto err;
	vmm_lapic_reset(vcpu, false);
	/* its registers may be in a control block that has to be loaded */
	vmm_vcpu_load(vcpu);
	vmm_vcpu_reset(vcpu, false);
	vmm_vcpu_put(vcpu);
	return vcpu;

err:
	vmm_vcpu_free(vcpu);
	return ERR_PTR(ret);
}

/**
 * vmm_vcpu_create - VMM_CREATE_VCPU
 * @vm: the VM, its lock held
 * @arg: argument
 *
 * Context: may sleep. Return: a file descriptor; -EEXIST, -EINVAL, -ENOMEM, -EMFILE.
 */
int vmm_vcpu_create(struct vmm_vm *vm, const struct vmm_create_vcpu *arg)
{
	struct vmm_vcpu *vcpu;
	struct file *file;
	u32 id = arg->id;
	int fd;

	if (arg->flags || memchr_inv(arg->pad, 0, sizeof(arg->pad)) || id >= VMM_MAX_VCPUS)
		return -EINVAL;
	id = array_index_nospec(id, VMM_MAX_VCPUS);
	if (vm->vcpus[id])
		return -EEXIST;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	vcpu = vmm_vcpu_alloc(vm, id);
	if (IS_ERR(vcpu)) {
		put_unused_fd(fd);
		return PTR_ERR(vcpu);
	}
	file = anon_inode_getfile("vmm-vcpu", &vmm_vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		vmm_vcpu_free(vcpu);
		return PTR_ERR(file);
	}
	vmm_vm_get(vm);
	vm->nr_vcpus++;
	/* whole before it can be seen; pairs with vmm_next_vcpu() */
	smp_store_release(&vm->vcpus[id], vcpu);
	fd_install(fd, file);
	return fd;
}

/**
 * vmm_vcpu_module_init - Context: module load, after the vendor is known. Return: 0 or -ENOMEM.
 */
int vmm_vcpu_module_init(void)
{
	vmm_vcpu_cache = kmem_cache_create("vmm_vcpu", vmm_vendor->vcpu_size,
					   __alignof__(struct vmm_vcpu),
					   SLAB_ACCOUNT | VMM_SLAB_NO_MERGE, NULL);
	if (!vmm_vcpu_cache)
		return -ENOMEM;
	preempt_notifier_inc();		/* flips a static key: once, not for each VM */
	return 0;
}

void vmm_vcpu_module_exit(void)
{
	preempt_notifier_dec();
	kmem_cache_destroy(vmm_vcpu_cache);
}
