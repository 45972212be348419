// SPDX-License-Identifier: GPL-2.0
/*
 * What is made is given back: many VMs, one after the other, used in every way, and the
 * kernel's memory as before.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "harness.h"

/* sum of the kernel's own memory, in kB; page tables of guests are in SecPageTables */
static long kernel_kb(void)
{
	static const char *const names[] = {"Slab:",	   "VmallocUsed:",   "Percpu:",
					    "PageTables:", "SecPageTables:", "KernelStack:"};
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long sum = 0, kb;
	unsigned int i;

	while (f && fgets(line, sizeof(line), f))
		for (i = 0; i < ARRAY_SIZE(names); i++)
			if (!strncmp(line, names[i], strlen(names[i])) &&
			    sscanf(line + strlen(names[i]), "%ld", &kb) == 1)
				sum += kb;
	if (f)
		fclose(f);
	return sum;
}

static long refs(void)
{
	return t_read_long("/sys/module/vmm/refcnt");
}

static void use_a_vm(unsigned int n)
{
	struct t_vm *vm = t_vm_new_ram(16 << 20);
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	uint8_t *more = t_alloc(2 << 20, 2 << 20);
	struct vmm_route r = {
		.gsi = 3, .type = VMM_ROUTE_MSI, .u.msi = {.addr = 0xfee00000, .data = 0x40}};
	struct vmm_routes routes = { .nr = 1, .routes = (uintptr_t)&r };
	int ev = eventfd(0, EFD_CLOEXEC), dev = -1;
	struct vmm_irqfd irqfd = { .fd = ev, .gsi = 3, .resample_fd = -1 };
	struct vmm_ioeventfd io = { .addr = 0x510, .len = 2, .fd = ev, .flags = VMM_IOEVENTFD_PIO };
	struct vmm_create_device cd = { .type = VMM_DEVICE_BLK };

	t_region(vm, 1, 0, 0x80000000, 2 << 20, more);
	t_ioctl(vm->fd, VMM_SET_ROUTES, &routes);
	t_ioctl(vm->fd, VMM_IRQFD, &irqfd);
	t_ioctl(vm->fd, VMM_IOEVENTFD, &io);
	if (t_cap(VMM_CAP_VIRTIO) & (1 << VMM_DEVICE_BLK))
		dev = t_ioctl(vm->fd, VMM_CREATE_DEVICE, &cd);
	t_image(vm);
	T_G(vm, g_mem).base = 0x80000000;
	T_G(vm, g_mem).count = 512;
	T_G(vm, g_mem).stride = 4096;
	t_start(v, guest_write, 0);
	if (!t_done(v))
		t_die("the guest does not run");
	t_irq(vm, 0, 0x40);
	/* the files go in another order each time; some regions are unmapped before, some after */
	if (n & 1)
		close(vm->fd);
	if (n & 2)
		munmap(more, 2 << 20);
	if (n & 4 && dev >= 0)
		close(dev);
	t_vcpu_free(v);
	if (!(n & 1))
		close(vm->fd);
	if (!(n & 2))
		munmap(more, 2 << 20);
	if (!(n & 4) && dev >= 0)
		close(dev);
	munmap(vm->mem, vm->mem_size);
	free(vm);
	close(ev);
}

TEST(one_after_the_other)
{
	long before, after, refs_before = refs();
	unsigned int i;

	for (i = 0; i < 40; i++)
		use_a_vm(i);
	t_sleep_ms(300);	/* what is freed by RCU */
	before = kernel_kb();
	for (i = 0; i < 200; i++)
		use_a_vm(i);
	t_sleep_ms(300);
	after = kernel_kb();
	TH_LOG("%ld kB before, %ld kB after 200 VMs", before, after);
	/* a VM's second-level tables alone are 30 kB */
	EXPECT_GT(before + 4096, after);
	EXPECT_EQ(refs_before, refs());
}

/* many at once */
TEST(many_at_once)
{
	struct t_vm *vm[64];
	struct t_vcpu *v[64];
	unsigned int i;

	for (i = 0; i < 64; i++) {
		vm[i] = t_vm_new_ram(1 << 20);
		v[i] = t_vcpu_new(vm[i], 0);
	}
	for (i = 0; i < 64; i++) {
		t_load(vm[i], T_CODE, "\xe6\x11\xf4", 3);
		t_set_mode(v[i], T_LONG);
		EXPECT_TRUE(t_done(v[i]));
	}
	for (i = 0; i < 64; i++) {
		t_vcpu_free(v[(i * 29) % 64]);
		t_vm_free(vm[(i * 37) % 64]);
	}
}

/* processes that die with everything open */
TEST(deaths)
{
	long refs_before = refs();
	unsigned int i;

	for (i = 0; i < 40; i++) {
		int status;
		pid_t pid = fork();

		if (!pid) {
			struct t_vm *vm = t_vm_new_ram(16 << 20);
			struct t_vcpu *v = t_vcpu_new(vm, 0), *w = t_vcpu_new(vm, 1);
			struct t_thread t, u;

			t_load(vm, T_CODE, T_SPIN, T_SPIN_LEN);
			t_set_mode(v, T_LONG);
			t_spawn(&t, v);
			t_spawn(&u, w);
			t_sleep_ms(i % 7 * 3);
			if (i & 1)
				kill(getpid(), 9);
			if (i & 2)
				abort();
			_exit(0);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
	}
	for (i = 0; i < 100 && refs() != refs_before; i++)
		t_sleep_ms(50);
	EXPECT_EQ(refs_before, refs());
}

VMM_TEST_MAIN
