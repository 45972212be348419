/* SPDX-License-Identifier: GPL-2.0 */
/*
 * x86 instruction decoder and emulator.
 *
 * Two users:
 *  - MMIO: a guest access missed the second-level page table. The instruction is decoded and
 *    executed here, its accesses made through struct vmm_em_ops.
 *  - Intercepts on a CPU without next-RIP or decode assists: only vmm_em_decode() is called, for
 *    length and operands.
 *
 * Nothing here allocates, sleeps or takes a lock; the caller's ops may. No kernel header but types
 * and string.h is used, so that the same files are tested in userland against the processor and
 * against another decoder.
 *
 * Manuals: APM volume 3 chapters 1-4 (general-purpose and system instructions), SDM volume 2
 * chapters 2-5.
 */
#ifndef VMM_EMULATE_H
#define VMM_EMULATE_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <stdbool.h>
#include <string.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
#endif

/** define VMM_EM_MAX_LEN - longest legal instruction in bytes; a longer one raises #GP(0) */
#define VMM_EM_MAX_LEN	15

/**
 * enum vmm_em_mode - what decides default operand and address size, and the segment rules
 * @VMM_EM_REAL: real mode: 16 bits, limits checked, exceptions without error code
 * @VMM_EM_VM86: virtual-8086 mode: as real mode, exceptions with error code
 * @VMM_EM_PROT16: protected or compatibility mode, CS.D = 0
 * @VMM_EM_PROT32: protected or compatibility mode, CS.D = 1
 * @VMM_EM_LONG64: 64-bit mode (EFER.LMA = 1, CS.L = 1)
 */
enum vmm_em_mode {
	VMM_EM_REAL,
	VMM_EM_VM86,
	VMM_EM_PROT16,
	VMM_EM_PROT32,
	VMM_EM_LONG64,
};

/**
 * enum vmm_em_result - outcome of an execution, and of each op
 * @VMM_EM_DONE: executed; registers, flags and rip are updated. From an op: the access is complete
 * @VMM_EM_AGAIN: rip has not moved and the instruction is not finished. Either one iteration of a
 *	repeated string instruction is done (rcx, rsi, rdi and flags updated), or a locked
 *	read-modify-write lost a race and changed nothing. Execute again at once, or resume the
 *	guest, which will fetch the same instruction. The replay log is void. Never from an op
 * @VMM_EM_PENDING: an access waits for userland. Nothing has changed; execute again from the start
 *	when the access is complete
 * @VMM_EM_FAULT: exception in &vmm_em_ctx.fault; registers, flags and rip are unchanged
 * @VMM_EM_UNHANDLEABLE: not implemented here; nothing has changed. The caller reports the
 *	instruction's bytes
 */
enum vmm_em_result {
	VMM_EM_DONE,
	VMM_EM_AGAIN,
	VMM_EM_PENDING,
	VMM_EM_FAULT,
	VMM_EM_UNHANDLEABLE,
};

/**
 * enum vmm_em_status - what vmm_em_decode() returns
 * @VMM_EM_OK: decoded
 * @VMM_EM_MORE: the instruction continues past the bytes given: fetch more, or raise the fetch's
 *	fault
 * @VMM_EM_UD: the processor raises #UD
 * @VMM_EM_TOO_LONG: more than %VMM_EM_MAX_LEN bytes: the processor raises #GP(0)
 * @VMM_EM_UNKNOWN: may be a legal instruction, but not one that is decoded here
 */
enum vmm_em_status {
	VMM_EM_OK = 0,
	VMM_EM_MORE = -1,
	VMM_EM_UD = -2,
	VMM_EM_TOO_LONG = -3,
	VMM_EM_UNKNOWN = -4,
};

/*
 * enum vmm_em_op - instructions, without their encodings. ADD..CMP, ROL..SAR and BT..BTC are in the
 * order of ModRM.reg in their groups. Those after the marker are decoded only: vmm_em_execute()
 * answers VMM_EM_UNHANDLEABLE.
 */
enum vmm_em_op {
	VMM_EM_OP_NONE,
	VMM_EM_OP_ADD,
	VMM_EM_OP_OR,
	VMM_EM_OP_ADC,
	VMM_EM_OP_SBB,
	VMM_EM_OP_AND,
	VMM_EM_OP_SUB,
	VMM_EM_OP_XOR,
	VMM_EM_OP_CMP,
	VMM_EM_OP_TEST,
	VMM_EM_OP_NOT,
	VMM_EM_OP_NEG,
	VMM_EM_OP_INC,
	VMM_EM_OP_DEC,
	VMM_EM_OP_ROL,
	VMM_EM_OP_ROR,
	VMM_EM_OP_RCL,
	VMM_EM_OP_RCR,
	VMM_EM_OP_SHL,
	VMM_EM_OP_SHR,
	VMM_EM_OP_SHL2,		/* second encoding of SHL; decoded as SHL */
	VMM_EM_OP_SAR,
	VMM_EM_OP_BT,
	VMM_EM_OP_BTS,
	VMM_EM_OP_BTR,
	VMM_EM_OP_BTC,
	VMM_EM_OP_MOV,		/* also MOVNTI, and to or from a segment register */
	VMM_EM_OP_MOVZX,
	VMM_EM_OP_MOVSX,	/* also MOVSXD */
	VMM_EM_OP_MOVBE,
	VMM_EM_OP_CMOV,
	VMM_EM_OP_SETCC,
	VMM_EM_OP_XCHG,
	VMM_EM_OP_XADD,
	VMM_EM_OP_CMPXCHG,
	VMM_EM_OP_CMPXCHG8B,	/* dst.size 8 or 16 */
	VMM_EM_OP_PUSH,
	VMM_EM_OP_POP,
	VMM_EM_OP_MOVS,
	VMM_EM_OP_CMPS,
	VMM_EM_OP_STOS,
	VMM_EM_OP_LODS,
	VMM_EM_OP_SCAS,
	VMM_EM_OP_INS,
	VMM_EM_OP_OUTS,
	VMM_EM_OP_IN,
	VMM_EM_OP_OUT,
	VMM_EM_OP_NOP,		/* also with a memory operand, which is not accessed */
	VMM_EM_OP_PREFETCH,
	VMM_EM_OP_CLFLUSH,	/* CLFLUSH, CLFLUSHOPT, CLWB */
	VMM_EM_OP_PAUSE,
	/* decoded only from here on */
	VMM_EM_OP_MOV_CR,
	VMM_EM_OP_MOV_DR,
	VMM_EM_OP_CPUID,
	VMM_EM_OP_RDMSR,
	VMM_EM_OP_WRMSR,
	VMM_EM_OP_RDTSC,
	VMM_EM_OP_RDTSCP,
	VMM_EM_OP_RDPMC,
	VMM_EM_OP_RDRAND,
	VMM_EM_OP_RDSEED,
	VMM_EM_OP_HLT,
	VMM_EM_OP_INVD,
	VMM_EM_OP_WBINVD,	/* also WBNOINVD, which older processors execute as WBINVD */
	VMM_EM_OP_MONITOR,
	VMM_EM_OP_MWAIT,
	VMM_EM_OP_MONITORX,
	VMM_EM_OP_MWAITX,
	VMM_EM_OP_XGETBV,
	VMM_EM_OP_XSETBV,
	VMM_EM_OP_RSM,
	VMM_EM_OP_CLTS,
	VMM_EM_OP_LMSW,
	VMM_EM_OP_SMSW,
	VMM_EM_OP_LGDT,
	VMM_EM_OP_LIDT,
	VMM_EM_OP_SGDT,
	VMM_EM_OP_SIDT,
	VMM_EM_OP_LLDT,
	VMM_EM_OP_LTR,
	VMM_EM_OP_SLDT,
	VMM_EM_OP_STR,
	VMM_EM_OP_INVLPG,
	VMM_EM_OP_INVLPGA,	/* addr_size is that of rAX */
	VMM_EM_OP_INVPCID,
	VMM_EM_OP_INVEPT,
	VMM_EM_OP_INVVPID,
	VMM_EM_OP_VMMCALL,
	VMM_EM_OP_VMRUN,
	VMM_EM_OP_VMLOAD,
	VMM_EM_OP_VMSAVE,
	VMM_EM_OP_STGI,
	VMM_EM_OP_CLGI,
	VMM_EM_OP_SKINIT,
	VMM_EM_OP_VMCALL,
	VMM_EM_OP_VMLAUNCH,
	VMM_EM_OP_VMRESUME,
	VMM_EM_OP_VMXOFF,
	VMM_EM_OP_VMXON,
	VMM_EM_OP_VMCLEAR,
	VMM_EM_OP_VMPTRLD,
	VMM_EM_OP_VMPTRST,
	VMM_EM_OP_VMREAD,
	VMM_EM_OP_VMWRITE,
	VMM_EM_OP_VMFUNC,
	VMM_EM_OP_INT,		/* vector in imm */
	VMM_EM_OP_INT3,
	VMM_EM_OP_INTO,
	VMM_EM_OP_ICEBP,
	VMM_EM_OP_IRET,
	VMM_EM_OP_JMPF,		/* far; selector in disp, offset in imm, or both in src */
	VMM_EM_OP_CALLF,
	VMM_EM_OP_PUSHF,
	VMM_EM_OP_POPF,
	VMM_EM_OP_CLAC,
	VMM_EM_OP_STAC,
	VMM_EM_OP_SWAPGS,
	VMM_EM_OP_UD,		/* UD0, UD1, UD2: the processor raises #UD by definition */
	VMM_EM_OP_COUNT,
};

/* Segment registers in the order of their encoding */
enum vmm_em_sreg {
	VMM_EM_ES,
	VMM_EM_CS,
	VMM_EM_SS,
	VMM_EM_DS,
	VMM_EM_FS,
	VMM_EM_GS,
	VMM_EM_SREGS,
};

/* General registers in the order of their encoding; r8-r15 follow */
enum vmm_em_gpr {
	VMM_EM_RAX,
	VMM_EM_RCX,
	VMM_EM_RDX,
	VMM_EM_RBX,
	VMM_EM_RSP,
	VMM_EM_RBP,
	VMM_EM_RSI,
	VMM_EM_RDI,
	VMM_EM_GPRS = 16,
	VMM_EM_RIP = 16,	/* only as base of a memory operand */
	VMM_EM_NO_REG = 0xff,
};

/* What an instruction does with memory and ports: see vmm_em_access() */
#define VMM_EM_ACC_READ		0x01
#define VMM_EM_ACC_WRITE	0x02
#define VMM_EM_ACC_STACK_READ	0x04
#define VMM_EM_ACC_STACK_WRITE	0x08
#define VMM_EM_ACC_PORT_IN	0x10
#define VMM_EM_ACC_PORT_OUT	0x20

/**
 * enum vmm_em_kind - kinds of operand
 * @VMM_EM_K_NONE: no such operand
 * @VMM_EM_K_GPR: low &vmm_em_operand.size bytes of general register &vmm_em_operand.reg
 * @VMM_EM_K_GPR_HI: bits 8-15 of general register &vmm_em_operand.reg (AH, CH, DH, BH)
 * @VMM_EM_K_MEM: the memory operand described by seg, base, index, scale and disp of struct
 *	vmm_em_insn
 * @VMM_EM_K_SI: seg:rSI of a string instruction
 * @VMM_EM_K_DI: ES:rDI of a string instruction
 * @VMM_EM_K_IMM: &vmm_em_insn.imm
 * @VMM_EM_K_SREG: segment register
 * @VMM_EM_K_CR: control register
 * @VMM_EM_K_DR: debug register
 */
enum vmm_em_kind {
	VMM_EM_K_NONE,
	VMM_EM_K_GPR,
	VMM_EM_K_GPR_HI,
	VMM_EM_K_MEM,
	VMM_EM_K_SI,
	VMM_EM_K_DI,
	VMM_EM_K_IMM,
	VMM_EM_K_SREG,
	VMM_EM_K_CR,
	VMM_EM_K_DR,
};

/**
 * struct vmm_em_operand - one operand
 * @kind: &enum vmm_em_kind
 * @reg: register number for the kinds that name one
 * @size: bytes; 0 where memory is addressed but not accessed
 */
struct vmm_em_operand {
	u8 kind;
	u8 reg;
	u8 size;
};

/**
 * struct vmm_em_insn - a decoded instruction
 * @op: &enum vmm_em_op
 * @length: bytes, 1..15
 * @mode: &enum vmm_em_mode that it was decoded for
 * @cond: condition code 0..15 of SETcc and CMOVcc
 * @op_size: operand size in bytes: 1, 2, 4, 8
 * @addr_size: address size in bytes: 2, 4, 8; also the size of rCX, rSI, rDI in string instructions
 * @lock: LOCK prefix, legal here
 * @rep: last of the prefixes 0xf2 and 0xf3, or 0. Only string instructions repeat by it
 * @modrm: ModRM byte, 0 if there is none
 * @dst: first operand. IN: the accumulator; OUT: the port (GPR DX or IMM); INS: K_DI; CMPS: K_SI
 * @src: second operand. OUT: the accumulator; IN: the port; CMPS: K_DI; PUSH: what is pushed
 * @seg: &enum vmm_em_sreg of the memory operand or of rSI, overrides applied
 * @base: &enum vmm_em_gpr, %VMM_EM_RIP or %VMM_EM_NO_REG
 * @index: &enum vmm_em_gpr or %VMM_EM_NO_REG
 * @scale: shift of the index, 0..3
 * @disp: displacement, sign-extended; the whole offset of MOV moffs
 * @imm: immediate, sign-extended to 64 bits; ports, vectors, shift counts and bit offsets are
 *	0..255
 */
struct vmm_em_insn {
	u8 op;
	u8 length;
	u8 mode;
	u8 cond;
	u8 op_size;
	u8 addr_size;
	bool lock;
	u8 rep;
	u8 modrm;
	struct vmm_em_operand dst;
	struct vmm_em_operand src;
	u8 seg;
	u8 base;
	u8 index;
	u8 scale;
	u64 disp;
	u64 imm;
};

/**
 * struct vmm_em_seg - a segment register
 * @base: linear base
 * @limit: last valid offset in bytes, granularity applied
 * @attr: as the VMCB has it: bits 0-3 type, 4 S, 5-6 DPL, 7 P, 8 AVL, 9 L, 10 D/B, 11 G. P = 0
 *	stands for unusable and for null selectors
 * @selector: as stored by MOV from the segment register
 */
struct vmm_em_seg {
	u64 base;
	u32 limit;
	u16 attr;
	u16 selector;
};

#define VMM_EM_SEG_WRITE	0x002	/* writable data; readable code */
#define VMM_EM_SEG_DOWN		0x004	/* expand-down data; conforming code */
#define VMM_EM_SEG_CODE		0x008
#define VMM_EM_SEG_PRESENT	0x080
#define VMM_EM_SEG_BIG		0x400	/* D/B */

/**
 * struct vmm_em_fault - an exception to be injected
 * @vector: 0..31
 * @has_error: an error code is pushed
 * @error_code: valid with @has_error
 * @cr2: faulting linear address, for vector 14
 */
struct vmm_em_fault {
	u8 vector;
	bool has_error;
	u32 error_code;
	u64 cr2;
};

struct vmm_em_ctx;

/**
 * struct vmm_em_ops - how an instruction reaches memory and ports
 * @read: read @len bytes (1, 2, 4, 8, 16) at linear address @linear
 * @write: write @len bytes
 * @cmpxchg: write @new if memory equals @old, atomically where the memory is RAM, and tell by @ok
 *	whether it did. On a device: write, @ok true. Used after a @read of the same bytes, by
 *	LOCKed instructions and by XCHG
 * @probe: may be NULL. Check that a later @write of @len bytes at @linear will not fault, without
 *	any effect; called before an access that may have side effects (INS, MOVS, PUSH). Returns
 *	DONE, FAULT or UNHANDLEABLE
 * @in: read a port; @size is 1, 2 or 4
 * @out: write a port
 *
 * An access may cross a page boundary and, outside 64-bit mode, wrap at 4 GiB: the caller splits
 * it. &vmm_em_ctx.intent tells READ, WRITE or both for the instruction's whole use of that address:
 * the read of a read-modify-write is checked, and its page fault reported, as a write.
 *
 * The sequence of calls of one iteration depends only on the instruction, the registers and the
 * values read. So a caller that answers PENDING can keep a log of completed accesses: it executes
 * the iteration again from the start and answers the first calls from the log. Permission for ports
 * (IOPL, I/O bitmap) is the caller's or the processor's business.
 *
 * Each returns DONE, PENDING, FAULT with &vmm_em_ctx.fault filled in, or UNHANDLEABLE.
 */
struct vmm_em_ops {
	enum vmm_em_result (*read)(struct vmm_em_ctx *ctx, u64 linear, void *buf,
				   unsigned int len);
	enum vmm_em_result (*write)(struct vmm_em_ctx *ctx, u64 linear, const void *buf,
				    unsigned int len);
	enum vmm_em_result (*cmpxchg)(struct vmm_em_ctx *ctx, u64 linear, const void *old,
				      const void *new, unsigned int len, bool *ok);
	enum vmm_em_result (*probe)(struct vmm_em_ctx *ctx, u64 linear, unsigned int len);
	enum vmm_em_result (*in)(struct vmm_em_ctx *ctx, u16 port, unsigned int size, u32 *val);
	enum vmm_em_result (*out)(struct vmm_em_ctx *ctx, u16 port, unsigned int size, u32 val);
};

/**
 * struct vmm_em_ctx - registers and surroundings of the instruction
 * @regs: general registers by &enum vmm_em_gpr; in and out
 * @rip: address (offset in CS) of the instruction; in and out
 * @rflags: in and out. RF is cleared when an instruction is done
 * @segs: by &enum vmm_em_sreg. In 64-bit mode only the bases of FS and GS are used
 * @mode: must equal the mode that the instruction was decoded for
 * @cpl: current privilege level, for the ops; not used here
 * @va_bits: width of canonical addresses: 48, or 57 with CR4.LA57; used in 64-bit mode
 * @intent: out, during an op: %VMM_EM_ACC_READ and %VMM_EM_ACC_WRITE as described at &struct
 *	vmm_em_ops
 * @fault: out, for VMM_EM_FAULT
 * @ops: callbacks
 * @opaque: the caller's
 *
 * Left to the caller: the trap of RFLAGS.TF, data breakpoints, the end of an interrupt shadow.
 */
struct vmm_em_ctx {
	u64 regs[VMM_EM_GPRS];
	u64 rip;
	u64 rflags;
	struct vmm_em_seg segs[VMM_EM_SREGS];
	u8 mode;
	u8 cpl;
	u8 va_bits;
	u8 intent;
	struct vmm_em_fault fault;
	const struct vmm_em_ops *ops;
	void *opaque;
};

/**
 * vmm_em_decode() - decode one instruction
 * @insn: filled in if VMM_EM_OK is returned, else its contents are undefined
 * @bytes: instruction bytes
 * @len: number of bytes at hand; more than %VMM_EM_MAX_LEN are not looked at
 * @mode: mode of the processor
 *
 * Needs no privilege and checks none. CPUID bits are not consulted: an instruction that the guest's
 * processor lacks is decoded, too. MOV to and from CR0 with LOCK is decoded as CR8 (APM volume 3,
 * MOV CRn). Context: any.
 *
 * Return: &enum vmm_em_status.
 */
int vmm_em_decode(struct vmm_em_insn *insn, const u8 *bytes, unsigned int len,
		  enum vmm_em_mode mode);

/**
 * vmm_em_access() - what an instruction does with memory and ports
 * @insn: decoded instruction
 *
 * READ and WRITE are about the explicit memory operand and the string operands, whether or not a
 * repeat count of zero or a false condition leaves them alone. Context: any.
 *
 * Return: VMM_EM_ACC_* bits, 0 if nothing is accessed.
 */
unsigned int vmm_em_access(const struct vmm_em_insn *insn);

/**
 * vmm_em_offset() - effective address of the memory operand
 * @ctx: registers
 * @insn: decoded instruction with a memory operand (K_MEM)
 *
 * The bit offset of BT and the increment of rSP by POP are not included. Context: any.
 *
 * Return: offset in the segment, truncated to the address size.
 */
u64 vmm_em_offset(const struct vmm_em_ctx *ctx, const struct vmm_em_insn *insn);

/**
 * vmm_em_linear() - linear address of a data access, with the checks of segmentation
 * @ctx: registers; the fault is filled in for VMM_EM_FAULT
 * @seg: &enum vmm_em_sreg
 * @offset: effective address
 * @len: bytes accessed, at least 1
 * @access: VMM_EM_ACC_READ, VMM_EM_ACC_WRITE or both; 0 allows any segment but an absent one
 * @linear: result
 *
 * 64-bit mode: bases of FS and GS only, and every byte canonical. Otherwise: present, type, limit
 * (expand-down too); real and virtual-8086 mode check the limit only. Violations are #SS(0) for SS,
 * else #GP(0) (APM volume 2, 4.12 and 5.3.1). Alignment checking (CR0.AM with RFLAGS.AC) and
 * address tagging (UAI, LAM) are ignored. Context: any.
 *
 * Return: VMM_EM_DONE or VMM_EM_FAULT.
 */
enum vmm_em_result vmm_em_linear(struct vmm_em_ctx *ctx, unsigned int seg, u64 offset,
				 unsigned int len, unsigned int access, u64 *linear);

/**
 * vmm_em_execute() - execute one instruction, or one iteration of a repeated one
 * @ctx: registers, updated for VMM_EM_DONE and VMM_EM_AGAIN only
 * @insn: decoded from the bytes at @ctx->rip
 *
 * Registers and flags are committed after the last access succeeded. Undefined flags are left as
 * AMD's family 1Ah leaves them. Context: as the ops need.
 *
 * Return: &enum vmm_em_result.
 */
enum vmm_em_result vmm_em_execute(struct vmm_em_ctx *ctx, const struct vmm_em_insn *insn);

#endif
