# SPDX-License-Identifier: GPL-2.0
# The objects of vmm.ko, by noun.
vmm-y := kmod/main.o kmod/ioctl.o kmod/hw.o kmod/device.o kmod/stats.o
vmm-y += kmod/vm.o kmod/vcpu.o kmod/event.o kmod/state.o kmod/handlers.o
vmm-y += kmod/cpuid.o kmod/msr.o kmod/fpu.o kmod/tsc.o
vmm-y += kmod/insn.o kmod/emulate_decode.o kmod/emulate_exec.o kmod/emulate_alu.o
vmm-y += kmod/task.o kmod/task_switch.o
vmm-y += kmod/memslot.o kmod/guestmem.o
vmm-y += kmod/mmu/mmu.o kmod/mmu/fault.o kmod/mmu/notifier.o kmod/mmu/walk.o kmod/mmu/gva.o
vmm-y += kmod/io/bus.o kmod/io/ioeventfd.o
vmm-y += kmod/irq/lapic.o kmod/irq/lapic_regs.o kmod/irq/lapic_state.o kmod/irq/lapic_timer.o kmod/irq/ipi.o
vmm-y += kmod/irq/lapic_page.o
vmm-y += kmod/irq/route.o kmod/irq/irqfd.o
vmm-y += kmod/svm/svm.o kmod/svm/enter.o kmod/svm/exit.o kmod/svm/event.o kmod/svm/regs.o kmod/svm/vmenter.o
vmm-y += kmod/vmx/vmx.o kmod/vmx/caps.o kmod/vmx/vmcs.o kmod/vmx/vpid.o kmod/vmx/host.o kmod/vmx/msr.o
vmm-y += kmod/vmx/enter.o kmod/vmx/exit.o kmod/vmx/check.o kmod/vmx/event.o kmod/vmx/regs.o kmod/vmx/apicv.o kmod/vmx/vmenter.o
# The self-checks of a debug build.
vmm-$(VMM_DEBUG:1=y) += kmod/debug.o kmod/svm/debug.o kmod/vmx/debug.o
