/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guests that compute, one of vmm's and one of KVM's, the same code in both: whoever disturbs one
 * makes its sums wrong.
 */
#ifndef VMMTEST_KVM_H
#define VMMTEST_KVM_H

#include "vmmtest.h"

#define SUM_WORDS	0x4000	/* the 64 KiB at T_DATA */

/**
 * struct t_sums - what the guest computes, computed here too
 * @acc: its register
 * @data: its memory
 * @nr: sums so far
 */
struct t_sums {
	uint32_t acc;
	uint32_t data[SUM_WORDS];
	unsigned long nr;
};

/**
 * struct t_kvm - a guest of KVM's
 * @sys: /dev/kvm
 * @vm: the VM
 * @vcpu: its vCPU
 * @mem: guest memory from gpa 0
 * @run: the shared page
 * @run_size: its bytes
 * @sums: expected
 */
struct t_kvm {
	int sys, vm, vcpu;
	uint8_t *mem;
	struct kvm_run *run;
	size_t run_size;
	struct t_sums sums;
};

/* NULL with errno set when KVM makes no VM; what fails behind that ends the test */
struct t_kvm *t_kvm_new(void);
void t_kvm_free(struct t_kvm *k);
bool t_kvm_sum(struct t_kvm *k);	/* the next sum is right; else says so */

/* the same for a guest of vmm's */
struct t_sums *t_sums_start(struct t_vcpu *v);
bool t_sums_next(struct t_vcpu *v, struct t_sums *s);

#endif /* VMMTEST_KVM_H */
