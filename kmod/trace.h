/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints, group "vmm".
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vmm

#if !defined(KMOD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KMOD_TRACE_H

#include <linux/tracepoint.h>

/* the vCPU is about to execute guest code at @rip */
TRACE_EVENT(vmm_entry,
	TP_PROTO(unsigned int vcpu, u64 rip),
	TP_ARGS(vcpu, rip),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->rip = rip;
	),
	TP_printk("vcpu %u rip 0x%llx", __entry->vcpu, __entry->rip)
);

/* it left guest mode; @code is the processor's own exit code */
TRACE_EVENT(vmm_exit,
	TP_PROTO(unsigned int vcpu, u64 code, u64 rip),
	TP_ARGS(vcpu, code, rip),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu)
		__field(u64, code)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->code = code;
		__entry->rip = rip;
	),
	TP_printk("vcpu %u code 0x%llx rip 0x%llx", __entry->vcpu, __entry->code, __entry->rip)
);

/* a second-level fault; @result as vmm_mmu_fault() returned it */
TRACE_EVENT(vmm_fault,
	TP_PROTO(unsigned int vcpu, u64 gpa, u32 access, int result),
	TP_ARGS(vcpu, gpa, access, result),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu)
		__field(u64, gpa)
		__field(u32, access)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->gpa = gpa;
		__entry->access = access;
		__entry->result = result;
	),
	TP_printk("vcpu %u gpa 0x%llx access 0x%x result %d", __entry->vcpu, __entry->gpa,
		  __entry->access, __entry->result)
);

/* an event goes into the control block */
TRACE_EVENT(vmm_inject,
	TP_PROTO(unsigned int vcpu, const char *kind, u8 vector),
	TP_ARGS(vcpu, kind, vector),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu)
		__field(const char *, kind)
		__field(u8, vector)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->kind = kind;
		__entry->vector = vector;
	),
	TP_printk("vcpu %u %s vector %u", __entry->vcpu, __entry->kind, __entry->vector)
);

/* a message-signalled interrupt is delivered */
TRACE_EVENT(vmm_msi,
	TP_PROTO(u64 addr, u32 data, int taken),
	TP_ARGS(addr, data, taken),
	TP_STRUCT__entry(
		__field(u64, addr)
		__field(u32, data)
		__field(int, taken)
	),
	TP_fast_assign(
		__entry->addr = addr;
		__entry->data = data;
		__entry->taken = taken;
	),
	TP_printk("addr 0x%llx data 0x%x taken by %d", __entry->addr, __entry->data, __entry->taken)
);

#endif /* KMOD_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
