// SPDX-License-Identifier: GPL-2.0
/*
 * KVM on the same processor: whoever comes second is told so, and neither harms the other.
 * Needs kvm_amd as a module that nobody uses.
 */
#include <fcntl.h>

#include "harness.h"

#define KVM_CREATE_VM	0xae01

static int module(const char *command)
{
	char line[128];

	snprintf(line, sizeof(line), "%s >/dev/null 2>&1", command);
	return system(line);
}

static bool loaded(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	return !access(path, F_OK);
}

static const char *cannot(void)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char *line = NULL;
	size_t size = 0;
	bool svm = false;

	while (f && getline(&line, &size, f) > 0)
		svm |= !strncmp(line, "flags", 5) && strstr(line, " svm");
	if (f)
		fclose(f);
	free(line);
	if (geteuid())
		return "not root";
	if (!svm)
		return "no SVM";
	if (loaded("kvm_amd") || loaded("kvm"))
		return "KVM is loaded already";
	if (module("modprobe -n kvm_amd"))
		return "there is no module kvm_amd for this kernel";
	return NULL;
}

static void unload(void)
{
	unsigned int i;

	for (i = 0; i < 50 && loaded("kvm_amd"); i++) {
		module("modprobe -r kvm_amd");
		t_sleep_ms(100);
	}
	module("modprobe -r ccp");
}

static int create_vm(void)
{
	struct vmm_create_vm arg = { 0 };
	int sys = t_open(), r = t_ioctl(sys, VMM_CREATE_VM, &arg);

	close(sys);
	return r;
}

static bool guest_runs(struct t_vcpu *v)
{
	t_load(v->vm, T_CODE, "\xe6\x11\xf4", 3);
	t_set_mode(v, T_LONG);
	return t_done(v);
}

TEST(kvm_came_first)
{
	const char *why = cannot();
	int kvm, vm, r;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, module("modprobe kvm_amd"));
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, kvm);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	ASSERT_LE(0, vm) TH_LOG("KVM: %s", strerror(errno));
	EXPECT_EQ(-EBUSY, create_vm());
	EXPECT_EQ(-EBUSY, create_vm()) TH_LOG("a second time");
	close(vm);
	close(kvm);
	unload();
	ASSERT_FALSE(loaded("kvm_amd"));
	r = create_vm();
	EXPECT_LE(0, r) TH_LOG("with KVM gone: %s", strerror(-r));
}

TEST(kvm_comes_second)
{
	const char *why = cannot();
	struct t_vcpu *v;
	int kvm, vm = -1, r;

	if (why)
		SKIP(return, "%s", why);
	v = t_vcpu_new(t_vm_new(), 0);
	ASSERT_TRUE(guest_runs(v));
	r = module("modprobe kvm_amd");
	TH_LOG("modprobe kvm_amd while a VM lives: %s", r ? "refused" : "loads");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm >= 0) {
		vm = ioctl(kvm, KVM_CREATE_VM, 0);
		EXPECT_GT(0, vm) TH_LOG("KVM made a VM on processors that are in use");
	}
	EXPECT_TRUE(guest_runs(v));
	if (vm >= 0)
		close(vm);
	if (kvm >= 0)
		close(kvm);
	EXPECT_TRUE(guest_runs(v));
	unload();
	EXPECT_TRUE(guest_runs(v));
	/* after the last VM, KVM can have the processors */
	close(v->vm->fd);
	munmap((void *)v->run, VMM_RUN_SIZE);
	close(v->fd);
	t_sleep_ms(100);
	ASSERT_EQ(0, module("modprobe kvm_amd"));
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, kvm);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	EXPECT_LE(0, vm) TH_LOG("KVM: %s", strerror(errno));
	close(vm);
	close(kvm);
	unload();
}

VMM_TEST_MAIN
