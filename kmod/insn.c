// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions of the guest that the host has to look at: fetched from guest memory, decoded
 * and executed by emulate*.c, whose accesses are answered here from memory, from in-kernel
 * devices, or by userland.
 *
 * An access that userland has to answer leaves VMM_RUN; the next VMM_RUN executes the
 * instruction again from its start. What it had done to devices is kept in a log, so that each
 * access is made once:
 *
 *	fetch, decode -> execute --all accesses answered--> done
 *	                  ^   | an access is userland's: VMM_EXIT_IO, VMM_EXIT_MMIO
 *	                  |   v
 *	 log the answer <- pending
 */
#include <linux/minmax.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "io/bus.h"
#include "irq/irq.h"
#include "mmu/mmu.h"
#include "x86.h"
#include "x86_ops.h"

#define VMM_INSN_LOG 8 /* device accesses of one iteration; CMPXCHG16B across a page needs most */
#define VMM_INSN_ITERATIONS \
	256 /* of a repeated instruction before the loop looks at events again */

/**
 * struct vmm_insn_log - one completed device access
 * @addr: guest physical address or port
 * @data: what was read or written
 * @len: bytes
 * @bus: enum vmm_bus
 * @write: direction
 */
struct vmm_insn_log {
	u64 addr;
	u64 data;
	u8 len;
	u8 bus;
	bool write;
};

/**
 * struct vmm_insn_state - the instruction that a vCPU is at; all [o]
 * @ctx: registers as the emulator wants them
 * @insn: decoded
 * @bytes: as fetched
 * @nr_bytes: how many
 * @gpa: of the fault that brought us here, for reports
 * @pending: userland has the access logged last
 * @retry: the guest's page table would not hold still: let the guest execute it again
 * @simple_in: it is that of a plain IN, for which nothing is executed again
 * @next_rip: of that IN
 * @nr_log: entries in @log
 * @pos: entries that this execution has used up
 * @log: see the top of this file
 */
struct vmm_insn_state {
	struct vmm_em_ctx ctx;
	struct vmm_em_insn insn;
	u8 bytes[VMM_EM_MAX_LEN];
	u8 nr_bytes;
	gpa_t gpa;
	bool pending;
	bool retry;
	bool simple_in;
	u64 next_rip;
	u8 nr_log;
	u8 pos;
	struct vmm_insn_log log[VMM_INSN_LOG];
};

int vmm_insn_create(struct vmm_vcpu *vcpu)
{
	vcpu->insn = kzalloc(sizeof(*vcpu->insn), GFP_KERNEL_ACCOUNT);
	return vcpu->insn ? 0 : -ENOMEM;
}

void vmm_insn_free(struct vmm_vcpu *vcpu)
{
	kfree(vcpu->insn);
	vcpu->insn = NULL;
}

/**
 * vmm_is_64bit - does the vCPU execute 64-bit code now? Context: the owner.
 * @vcpu: the vCPU
 */
bool vmm_is_64bit(struct vmm_vcpu *vcpu)
{
	struct vmm_segment cs;

	if (!vmm_is_long_mode(vcpu))
		return false;
	vmm_x86(get_segment)(vcpu, VMM_SEG_CS, &cs);
	return cs.l;
}

static enum vmm_em_mode vmm_insn_mode(struct vmm_vcpu *vcpu, const struct vmm_segment *cs)
{
	if (!(vmm_get_cr0(vcpu) & X86_CR0_PE))
		return VMM_EM_REAL;
	if (vcpu->rflags & X86_EFLAGS_VM)
		return VMM_EM_VM86;
	if (vmm_is_long_mode(vcpu) && cs->l)
		return VMM_EM_LONG64;
	return cs->db ? VMM_EM_PROT32 : VMM_EM_PROT16;
}

/**
 * vmm_exit_emulation - tell userland of an instruction that cannot be executed
 * @vcpu: the vCPU
 * @gpa: what it was about, or VMM_INVALID_GPA
 *
 * Return: 0.
 */
int vmm_exit_emulation(struct vmm_vcpu *vcpu, gpa_t gpa)
{
	struct vmm_run *run = vcpu->run;

	run->exit_reason = VMM_EXIT_EMULATION;
	run->u.emulation.rip = vcpu->rip;
	run->u.emulation.gpa = gpa;
	run->u.emulation.len = vcpu->insn->nr_bytes;
	memcpy(run->u.emulation.bytes, vcpu->insn->bytes, sizeof(run->u.emulation.bytes));
	run->u.emulation.pad = 0;
	vcpu->insn->nr_bytes = 0;
	return 0;
}

/* an exception that a walk of the guest's page table found */
static void vmm_insn_queue_exception(struct vmm_vcpu *vcpu, const struct vmm_exception *fault)
{
	if (fault->vector == X86_TRAP_PF)
		vmm_queue_page_fault(vcpu, fault->error, fault->payload);
	else if (fault->has_error)
		vmm_queue_exception_error(vcpu, fault->vector, fault->error);
	else
		vmm_queue_exception(vcpu, fault->vector);
}

/* an exception that emulation found */
static void vmm_insn_queue_fault(struct vmm_vcpu *vcpu, const struct vmm_em_fault *fault)
{
	vmm_insn_queue_exception(vcpu, &(struct vmm_exception) {
		.vector = fault->vector,
		.has_error = fault->has_error,
		.error = fault->error_code,
		.payload = fault->cr2,
	});
}

/*
 * Fetch up to 15 bytes at CS:RIP. Returns how many; bytes on a second page that cannot be had
 * are left out, and if the guest's page table forbids them, the exception is in *fault. 0: not
 * even the first can be had, for the reason in *fault if it has a vector.
 */
static int vmm_fetch(struct vmm_vcpu *vcpu, u64 linear, bool long64, u8 *bytes,
		     struct vmm_exception *fault)
{
	u32 access = VMM_ACC_EXEC | (vmm_x86(get_cpl)(vcpu) == 3 ? VMM_ACC_USER : 0);
	unsigned int done = 0;

	while (done < VMM_EM_MAX_LEN) {
		gva_t gva = long64 ? linear + done : (u32)(linear + done);
		unsigned int len =
			min_t(unsigned int, VMM_EM_MAX_LEN - done, PAGE_SIZE - offset_in_page(gva));
		gpa_t gpa;

		if (vmm_walk_gva(vcpu, gva, access, &gpa, fault))
			return done;
		if (vmm_guest_read(vcpu->vm, gpa, bytes + done, len))
			return done;
		done += len;
	}
	return done;
}

/* vmm_decode(); @gpa is for the report */
static bool vmm_decode_for(struct vmm_vcpu *vcpu, struct vmm_em_insn *insn, gpa_t gpa, int *ret)
{
	struct vmm_insn_state *st = vcpu->insn;
	struct vmm_exception fault = {};
	struct vmm_segment cs;
	enum vmm_em_mode mode;
	u64 linear;
	int len;

	vmm_x86(get_segment)(vcpu, VMM_SEG_CS, &cs);
	mode = vmm_insn_mode(vcpu, &cs);
	linear = mode == VMM_EM_LONG64 ? vcpu->rip : (u32)(cs.base + vcpu->rip);

	*ret = 1;
	st->nr_bytes = 0;
	len = vmm_fetch(vcpu, linear, mode == VMM_EM_LONG64, st->bytes, &fault);
	st->nr_bytes = len;
	switch (vmm_em_decode(insn, st->bytes, len, mode)) {
	case VMM_EM_OK:
		return true;
	case VMM_EM_MORE:
		/*
		 * the rest, or all of it, is on a page that the guest's own table forbids: its
		 * fault
		 */
		if (fault.vector) {
			vmm_insn_queue_exception(vcpu, &fault);
			return false;
		}
		break;
	case VMM_EM_UD:
		vmm_queue_exception(vcpu, X86_TRAP_UD);
		return false;
	case VMM_EM_TOO_LONG:
		vmm_queue_exception_error(vcpu, X86_TRAP_GP, 0);
		return false;
	default:
		break;
	}
	*ret = vmm_exit_emulation(vcpu, gpa);
	return false;
}

/**
 * vmm_decode - fetch and decode the instruction at RIP
 * @vcpu: the vCPU
 * @insn: result
 * @ret: what to return when there is none: the exception that the guest gets, or an exit
 *
 * Context: the owner, vm->srcu held for reading; may sleep. Return: true when decoded.
 */
bool vmm_decode(struct vmm_vcpu *vcpu, struct vmm_em_insn *insn, int *ret)
{
	return vmm_decode_for(vcpu, insn, VMM_INVALID_GPA, ret);
}

/* what retiring an instruction does besides its own work: shadows end, RF is cleared, TF traps */
static int vmm_insn_retire(struct vmm_vcpu *vcpu, bool step)
{
	vmm_x86(set_shadow)(vcpu, 0);
	vcpu->rflags &= ~(u64)X86_EFLAGS_RF;
	if (step) {
		vcpu->dr6 |= VMM_DR6_BS;
		vmm_queue_exception(vcpu, X86_TRAP_DB);
	}
	return 1;
}

/**
 * vmm_skip - the instruction at RIP has been carried out
 * @vcpu: the vCPU
 * @len: its length
 *
 * Context: the owner. Return: 1.
 */
int vmm_skip(struct vmm_vcpu *vcpu, unsigned int len)
{
	vcpu->rip += len;
	if (!vmm_is_64bit(vcpu))
		vcpu->rip = (u32)vcpu->rip;
	return vmm_insn_retire(vcpu, vcpu->rflags & X86_EFLAGS_TF);
}

/* ---- accesses to devices ---- */

static int vmm_device_access(struct vmm_vcpu *vcpu, struct vmm_insn_log *e)
{
	int ret;

	if (e->bus == VMM_BUS_MMIO && vmm_lapic_covers(vcpu, e->addr)) {
		vmm_lapic_mmio(vcpu, offset_in_page(e->addr), e->write, &e->data, e->len);
		return 0;
	}
	ret = e->write ? vmm_io_write(vcpu->vm, e->bus, e->addr, e->len, &e->data) :
			 vmm_io_read(vcpu->vm, e->bus, e->addr, e->len, &e->data);
	return ret;
}

static void vmm_exit_to_device(struct vmm_vcpu *vcpu, const struct vmm_insn_log *e)
{
	struct vmm_run *run = vcpu->run;

	if (e->bus == VMM_BUS_PIO) {
		run->exit_reason = VMM_EXIT_IO;
		run->u.io.port = e->addr;
		run->u.io.size = e->len;
		run->u.io.direction = e->write ? VMM_IO_OUT : VMM_IO_IN;
		run->u.io.data = e->write ? e->data : 0;
		return;
	}
	run->exit_reason = VMM_EXIT_MMIO;
	run->u.mmio.gpa = e->addr;
	run->u.mmio.len = e->len;
	run->u.mmio.is_write = e->write;
	memset(run->u.mmio.pad, 0, sizeof(run->u.mmio.pad));
	memset(run->u.mmio.data, 0, sizeof(run->u.mmio.data));
	if (e->write)
		memcpy(run->u.mmio.data, &e->data, e->len);
}

/* one access of @len <= 8 bytes, a power of two: from the log, from a device, or by userland */
static enum vmm_em_result vmm_insn_device(struct vmm_vcpu *vcpu, enum vmm_bus bus, u64 addr,
					  bool write, void *data, unsigned int len)
{
	struct vmm_insn_state *st = vcpu->insn;
	struct vmm_insn_log *e;

	if (st->pos < st->nr_log) {
		e = &st->log[st->pos];
		/* another vCPU changed page tables or code under the instruction */
		if (e->addr != addr || e->len != len || e->bus != bus || e->write != write)
			return VMM_EM_UNHANDLEABLE;
		st->pos++;
		if (!write)
			memcpy(data, &e->data, len);
		return VMM_EM_DONE;
	}
	if (st->nr_log == VMM_INSN_LOG)
		return VMM_EM_UNHANDLEABLE;

	e = &st->log[st->nr_log++];
	st->pos = st->nr_log;
	*e = (struct vmm_insn_log) { .addr = addr, .len = len, .bus = bus, .write = write };
	if (write)
		memcpy(&e->data, data, len);
	if (vmm_device_access(vcpu, e)) {
		vmm_exit_to_device(vcpu, e);
		st->pending = true;
		return VMM_EM_PENDING;
	}
	if (!write)
		memcpy(data, &e->data, len);
	return VMM_EM_DONE;
}

/* ---- the emulator's view of memory ---- */

/* a linear range on at most two pages, translated */
struct vmm_insn_range {
	gpa_t gpa[2];
	unsigned int len[2];
};

static struct vmm_vcpu *vmm_ctx_vcpu(struct vmm_em_ctx *ctx)
{
	return ctx->opaque;
}

static enum vmm_em_result vmm_insn_translate(struct vmm_em_ctx *ctx, u64 linear, unsigned int len,
					     bool write, struct vmm_insn_range *r)
{
	struct vmm_vcpu *vcpu = vmm_ctx_vcpu(ctx);
	u32 access = write || (ctx->intent & VMM_EM_ACC_WRITE) ? VMM_ACC_WRITE : VMM_ACC_READ;
	struct vmm_exception fault = {};
	unsigned int i;
	int ret;

	if (ctx->cpl == 3)
		access |= VMM_ACC_USER;
	r->len[0] = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(linear));
	r->len[1] = len - r->len[0];
	for (i = 0; i < 2 && r->len[i]; i++) {
		gva_t gva = linear + (i ? r->len[0] : 0);

		if (ctx->mode != VMM_EM_LONG64)
			gva = (u32)gva;
		ret = vmm_walk_gva(vcpu, gva, access, &r->gpa[i], &fault);
		/* -EAGAIN: the guest keeps changing its table; else that is on a device or gone */
		if (ret < 0) {
			vcpu->insn->retry = ret == -EAGAIN;
			return VMM_EM_UNHANDLEABLE;
		}
		if (ret) {
			ctx->fault = (struct vmm_em_fault) {
				.vector = fault.vector,
				.has_error = fault.has_error,
				.error_code = fault.error,
				.cr2 = fault.payload,
			};
			return VMM_EM_FAULT;
		}
	}
	return VMM_EM_DONE;
}

static bool vmm_gpa_is_ram(struct vmm_vcpu *vcpu, gpa_t gpa, bool write)
{
	const struct vmm_memslot *slot;

	if (vmm_lapic_covers(vcpu, gpa))
		return false;
	slot = vmm_gfn_to_slot(vcpu->vm, gpa >> PAGE_SHIFT);
	return slot && !(write && (slot->flags & VMM_MEM_READONLY));
}

/* @len bytes on one page */
static enum vmm_em_result vmm_insn_page(struct vmm_vcpu *vcpu, gpa_t gpa, bool write, u8 *data,
					unsigned int len)
{
	if (vmm_gpa_is_ram(vcpu, gpa, write)) {
		int ret = write ? vmm_guest_write(vcpu->vm, gpa, data, len)
				: vmm_guest_read(vcpu->vm, gpa, data, len);

		return ret ? VMM_EM_UNHANDLEABLE : VMM_EM_DONE;
	}
	while (len) {
		unsigned int part = min(8u, 1u << (fls(len) - 1));
		enum vmm_em_result res =
			vmm_insn_device(vcpu, VMM_BUS_MMIO, gpa, write, data, part);

		if (res != VMM_EM_DONE)
			return res;
		gpa += part;
		data += part;
		len -= part;
	}
	return VMM_EM_DONE;
}

static enum vmm_em_result vmm_insn_memory(struct vmm_em_ctx *ctx, u64 linear, bool write,
					  void *data, unsigned int len)
{
	struct vmm_vcpu *vcpu = vmm_ctx_vcpu(ctx);
	struct vmm_insn_range r;
	enum vmm_em_result res = vmm_insn_translate(ctx, linear, len, write, &r);

	if (res == VMM_EM_DONE)
		res = vmm_insn_page(vcpu, r.gpa[0], write, data, r.len[0]);
	if (res == VMM_EM_DONE && r.len[1])
		res = vmm_insn_page(vcpu, r.gpa[1], write, data + r.len[0], r.len[1]);
	return res;
}

static enum vmm_em_result vmm_op_read(struct vmm_em_ctx *ctx, u64 linear, void *buf,
				      unsigned int len)
{
	return vmm_insn_memory(ctx, linear, false, buf, len);
}

static enum vmm_em_result vmm_op_write(struct vmm_em_ctx *ctx, u64 linear, const void *buf,
				       unsigned int len)
{
	return vmm_insn_memory(ctx, linear, true, (void *)buf, len);
}

static enum vmm_em_result vmm_op_cmpxchg(struct vmm_em_ctx *ctx, u64 linear, const void *old,
					 const void *new, unsigned int len, bool *ok)
{
	struct vmm_vcpu *vcpu = vmm_ctx_vcpu(ctx);
	struct vmm_insn_range r;
	enum vmm_em_result res = vmm_insn_translate(ctx, linear, len, true, &r);
	u8 cur[16];
	int ret;

	if (res != VMM_EM_DONE)
		return res;
	*ok = true;
	if (r.len[1] || !vmm_gpa_is_ram(vcpu, r.gpa[0], true)) {
		/* a device, or a split lock, which is not made atomic here */
		return vmm_insn_memory(ctx, linear, true, (void *)new, len);
	}
	memcpy(cur, old, len);
	ret = vmm_guest_cmpxchg(vcpu->vm, r.gpa[0], cur, new, len);
	if (ret < 0)
		return VMM_EM_UNHANDLEABLE;
	*ok = !memcmp(cur, old, len);
	return VMM_EM_DONE;
}

static enum vmm_em_result vmm_op_probe(struct vmm_em_ctx *ctx, u64 linear, unsigned int len)
{
	struct vmm_insn_range r;

	return vmm_insn_translate(ctx, linear, len, true, &r);
}

static enum vmm_em_result vmm_op_in(struct vmm_em_ctx *ctx, u16 port, unsigned int size, u32 *val)
{
	*val = 0;
	return vmm_insn_device(vmm_ctx_vcpu(ctx), VMM_BUS_PIO, port, false, val, size);
}

static enum vmm_em_result vmm_op_out(struct vmm_em_ctx *ctx, u16 port, unsigned int size, u32 val)
{
	return vmm_insn_device(vmm_ctx_vcpu(ctx), VMM_BUS_PIO, port, true, &val, size);
}

static const struct vmm_em_ops vmm_em_ops = {
	.read = vmm_op_read,
	.write = vmm_op_write,
	.cmpxchg = vmm_op_cmpxchg,
	.probe = vmm_op_probe,
	.in = vmm_op_in,
	.out = vmm_op_out,
};

/* ---- execution ---- */

static void vmm_insn_fill(struct vmm_vcpu *vcpu, struct vmm_em_ctx *ctx)
{
	struct vmm_segment s;
	unsigned int i;

	BUILD_BUG_ON((int)VMM_NR_GPRS != VMM_EM_GPRS || (int)VMM_SEG_GS != VMM_EM_GS);
	memcpy(ctx->regs, vcpu->gpr, sizeof(ctx->regs));
	ctx->rip = vcpu->rip;
	ctx->rflags = vcpu->rflags;
	for (i = 0; i < VMM_EM_SREGS; i++) {
		vmm_x86(get_segment)(vcpu, i, &s);
		ctx->segs[i] = (struct vmm_em_seg){
			.base = s.base,
			.limit = s.limit,
			.attr = s.type | s.s << 4 | s.dpl << 5 | s.present << 7 | s.avl << 8 |
				s.l << 9 | s.db << 10 | s.g << 11,
			.selector = s.selector,
		};
		if (i == VMM_EM_CS)
			ctx->mode = vmm_insn_mode(vcpu, &s);
	}
	ctx->cpl = vmm_x86(get_cpl)(vcpu);
	ctx->va_bits = vmm_get_cr4(vcpu) & X86_CR4_LA57 ? 57 : 48;
	ctx->intent = 0;
	ctx->ops = &vmm_em_ops;
	ctx->opaque = vcpu;
}

static void vmm_insn_commit(struct vmm_vcpu *vcpu, const struct vmm_em_ctx *ctx)
{
	memcpy(vcpu->gpr, ctx->regs, sizeof(vcpu->gpr));
	vcpu->rip = ctx->rip;
	vcpu->rflags = ctx->rflags;
}

/*
 * execute st->insn until it is done, userland is needed, or a repeated one has gone on long
 * enough
 */
static int vmm_insn_execute(struct vmm_vcpu *vcpu)
{
	struct vmm_insn_state *st = vcpu->insn;
	bool step = vcpu->rflags & X86_EFLAGS_TF;
	unsigned int i;

	st->retry = false;
	vmm_insn_fill(vcpu, &st->ctx);
	for (i = 0; i < VMM_INSN_ITERATIONS; i++) {
		st->pos = 0;
		switch (vmm_em_execute(&st->ctx, &st->insn)) {
		case VMM_EM_DONE:
			st->nr_log = 0;
			vmm_insn_commit(vcpu, &st->ctx);
			return vmm_insn_retire(vcpu, step);
		case VMM_EM_AGAIN:
			st->nr_log = 0;
			vmm_insn_commit(vcpu, &st->ctx);
			/* one iteration of a repeated instruction is done, or a lost race undone */
			if (step && st->insn.rep)
				return vmm_insn_retire(vcpu, true);
			if (signal_pending(current) || need_resched())
				return 1;
			break;
		case VMM_EM_PENDING:
			return 0;
		case VMM_EM_FAULT:
			st->nr_log = 0;
			vmm_insn_queue_fault(vcpu, &st->ctx.fault);
			return 1;
		default:
			st->nr_log = 0;
			if (st->retry)
				return 1;
			return vmm_exit_emulation(vcpu, st->gpa);
		}
	}
	return 1;
}

/**
 * vmm_emulate - execute the instruction at RIP in software
 * @vcpu: the vCPU
 * @gpa: the guest physical address whose access exited, or VMM_INVALID_GPA
 *
 * Context: the owner, vm->srcu held for reading; may sleep. Return: as exit handlers do.
 */
int vmm_emulate(struct vmm_vcpu *vcpu, gpa_t gpa)
{
	struct vmm_insn_state *st = vcpu->insn;
	int ret;

	vmm_stat_inc(vcpu, VMM_STAT_EXIT_MMIO);
	st->gpa = gpa;
	st->nr_log = 0;
	st->pending = false;
	st->simple_in = false;
	if (!vmm_decode_for(vcpu, &st->insn, gpa, &ret))
		return ret;
	return vmm_insn_execute(vcpu);
}

static void vmm_pio_set_rax(struct vmm_vcpu *vcpu, u32 data, unsigned int size)
{
	u64 *rax = &vcpu->gpr[VMM_RAX];

	if (size == 4)
		*rax = data;
	else if (size == 2)
		*rax = (*rax & ~0xffffull) | (u16)data;
	else
		*rax = (*rax & ~0xffull) | (u8)data;
}

/**
 * vmm_pio - IN or OUT without string; the processor has told all about it
 * @vcpu: the vCPU
 * @port: port
 * @size: 1, 2 or 4
 * @in: direction
 * @next_rip: of the next instruction
 *
 * Context: the owner, vm->srcu held for reading. Return: as exit handlers do.
 */
int vmm_pio(struct vmm_vcpu *vcpu, u16 port, unsigned int size, bool in, u64 next_rip)
{
	struct vmm_insn_state *st = vcpu->insn;
	struct vmm_insn_log e = { .addr = port, .len = size, .bus = VMM_BUS_PIO, .write = !in };

	if (!in)
		e.data = size == 4   ? (u32)vcpu->gpr[VMM_RAX]
			 : size == 2 ? (u16)vcpu->gpr[VMM_RAX]
				     : (u8)vcpu->gpr[VMM_RAX];
	if (!vmm_device_access(vcpu, &e)) {
		if (in)
			vmm_pio_set_rax(vcpu, e.data, size);
		return vmm_skip(vcpu, next_rip - vcpu->rip);
	}
	vmm_exit_to_device(vcpu, &e);
	if (!in) {
		/* nothing comes back: the instruction is over when userland has it */
		vmm_skip(vcpu, next_rip - vcpu->rip);
		return 0;
	}
	st->log[0] = e;
	st->nr_log = 1;
	st->pending = true;
	st->simple_in = true;
	st->next_rip = next_rip;
	return 0;
}

/**
 * vmm_emulate_resume - take userland's answer to the access that VMM_RUN returned with, and
 * finish the instruction
 * @vcpu: the vCPU
 *
 * Context: the owner at the start of VMM_RUN, vm->srcu held for reading; may sleep. Return: as
 * exit handlers do.
 */
int vmm_emulate_resume(struct vmm_vcpu *vcpu)
{
	struct vmm_insn_state *st = vcpu->insn;
	struct vmm_insn_log *e;

	if (likely(!st->pending))
		return 1;
	st->pending = false;
	e = &st->log[st->nr_log - 1];
	if (!e->write) {
		if (e->bus == VMM_BUS_PIO)
			e->data = READ_ONCE(vcpu->run->u.io.data);
		else
			memcpy(&e->data, vcpu->run->u.mmio.data, e->len);
	}
	if (!st->simple_in)
		return vmm_insn_execute(vcpu);

	st->simple_in = false;
	st->nr_log = 0;
	vmm_pio_set_rax(vcpu, e->data, e->len);
	return vmm_skip(vcpu, st->next_rip - vcpu->rip);
}

/* ---- operands of instructions that are not executed by the emulator ---- */

static bool vmm_operand_address(struct vmm_vcpu *vcpu, const struct vmm_em_insn *insn, bool write,
				unsigned int size, u64 *linear, int *ret)
{
	struct vmm_insn_state *st = vcpu->insn;
	unsigned int access = write ? VMM_EM_ACC_WRITE : VMM_EM_ACC_READ;

	vmm_insn_fill(vcpu, &st->ctx);
	st->nr_log = 0;
	st->pos = 0;
	if (vmm_em_linear(&st->ctx, insn->seg, vmm_em_offset(&st->ctx, insn), size, access,
			  linear) == VMM_EM_DONE)
		return true;
	vmm_insn_queue_fault(vcpu, &st->ctx.fault);
	*ret = 1;
	return false;
}

static bool vmm_operand_memory(struct vmm_vcpu *vcpu, const struct vmm_em_insn *insn, bool write,
			       unsigned int size, u64 *value, int *ret)
{
	struct vmm_insn_state *st = vcpu->insn;
	u64 linear;

	if (!vmm_operand_address(vcpu, insn, write, size, &linear, ret))
		return false;
	switch (vmm_insn_memory(&st->ctx, linear, write, value, size)) {
	case VMM_EM_DONE:
		return true;
	case VMM_EM_FAULT:
		vmm_insn_queue_fault(vcpu, &st->ctx.fault);
		*ret = 1;
		return false;
	default:
		/* LMSW or SMSW on a device */
		st->pending = false;
		*ret = vmm_exit_emulation(vcpu, VMM_INVALID_GPA);
		return false;
	}
}

/**
 * vmm_read_operand - value of a register or memory operand
 * @vcpu: the vCPU
 * @insn: decoded instruction
 * @op: its operand
 * @value: result
 * @ret: what to return when there is none
 *
 * Context: the owner, vm->srcu held for reading; may sleep. Return: true when read.
 */
bool vmm_read_operand(struct vmm_vcpu *vcpu, const struct vmm_em_insn *insn,
		      const struct vmm_em_operand *op, u64 *value, int *ret)
{
	*value = 0;
	if (op->kind == VMM_EM_K_GPR) {
		*value = vcpu->gpr[op->reg & 15];
		return true;
	}
	return vmm_operand_memory(vcpu, insn, false,
				  min_t(unsigned int, op->size ?: 2, sizeof(*value)), value, ret);
}

/**
 * vmm_write_operand - set a register or memory operand; otherwise as vmm_read_operand()
 * @vcpu: the vCPU
 * @insn: decoded instruction
 * @op: its operand
 * @value: value, of which the operand's size is written
 * @ret: what to return when it could not be
 */
bool vmm_write_operand(struct vmm_vcpu *vcpu, const struct vmm_em_insn *insn,
		       const struct vmm_em_operand *op, u64 value, int *ret)
{
	u64 *reg = &vcpu->gpr[op->reg & 15];

	if (op->kind == VMM_EM_K_GPR) {
		if (op->size == 2)
			*reg = (*reg & ~0xffffull) | (u16)value;
		else
			*reg = op->size == 4 ? (u32)value : value;
		return true;
	}
	return vmm_operand_memory(vcpu, insn, true,
				  min_t(unsigned int, op->size ?: 2, sizeof(value)), &value, ret);
}
