/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KVM in the way: its module for this processor is taken out while nobody uses it, and put back
 * after the last VM of vmm's.
 */
#ifndef VMMCTL_KVM_H
#define VMMCTL_KVM_H

/**
 * kvm_make_way() - take KVM's module out, if the caller may and nobody uses KVM
 *
 * A process of its own, "vmmctl-kvm", takes it out, and puts it back once no VM lives any more;
 * it outlives its parent, however that ends. Until kvm_may_return() it waits, for the caller's VM
 * is still to be made. Context: before there are threads.
 *
 * Return: a handle for kvm_may_return(); -EAGAIN: no KVM is there (any more), or it is on its way:
 * try again to create the VM; any other -errno: KVM stays.
 */
int kvm_make_way(void);

/** kvm_may_return() - the caller's VM lives, or will not; @handle is -1 or of kvm_make_way() */
void kvm_may_return(int handle);

#endif /* VMMCTL_KVM_H */
