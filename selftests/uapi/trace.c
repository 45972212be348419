// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints: each of them fires, and says what happened.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "harness.h"

#define TRACEFS		"/sys/kernel/tracing"
#define INSTANCE	TRACEFS "/instances/vmmtest"

static bool ready(void)
{
	if (access(TRACEFS "/trace", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	rmdir(INSTANCE);
	return !mkdir(INSTANCE, 0700) && !access(INSTANCE "/events/vmm/enable", F_OK);
}

/* is there a line with both? */
static bool has_line(const char *event, const char *text)
{
	FILE *f = fopen(INSTANCE "/trace", "r");
	bool found = false;
	char line[512];

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, event) && strstr(line, text);
	if (f)
		fclose(f);
	return found;
}

static void show_trace(void)
{
	FILE *f = fopen(INSTANCE "/trace", "r");
	char line[512];
	unsigned int n;

	for (n = 0; f && n < 100 && fgets(line, sizeof(line), f); n++)
		t_say("%s", line);
	if (f)
		fclose(f);
}

TEST(all_fire)
{
	static const char *const want[][2] = {
		{ "vmm_entry:", "vcpu 0 rip 0x8000" },
		{ "vmm_exit:", "vcpu 0 code 0x" },
		{ "vmm_fault:", "vcpu 0 gpa 0x40000000 access 0x" },
		{ "vmm_inject:", "vcpu 0 irq vector 32" },
		{ "vmm_inject:", "vcpu 0 nmi vector 2" },
		{ "vmm_inject:", "vcpu 0 exception vector 13" },
		{ "vmm_msi:", "addr 0xfee00000 data 0x20 taken by 1" },
		{ "vmm_msi:", "addr 0xfee3f000 data 0x20 taken by 0" },
	};
	struct t_vm *vm = t_vm_new();
	struct t_vcpu *v = t_vcpu_new(vm, 0);
	bool found, all = true;
	unsigned int i;

	if (geteuid() || !ready())
		SKIP(return, "no tracefs here, or not root");
	ASSERT_TRUE(t_write_file(INSTANCE "/events/vmm/enable", "1"));
	ASSERT_OK(t_region(vm, 5, 0, 0x40000000, 4096, t_alloc(4096, 4096)));
	t_apic_enable(v);
	/* mov al, [0x40000000]; sti; nop; IRQ 32 leads to a HLT of the stubs */
	t_load(vm, T_CODE, "\x8a\x04\x25\x00\x00\x00\x40\xfb\x90\xf4", 10);
	t_set_mode(v, T_LONG);
	EXPECT_EQ(1, t_irq(vm, 0, 32));
	EXPECT_EQ(0, t_msi(vm, 0xfee3f000, 0x20));
	EXPECT_EQ(VMM_EXIT_HALT, t_run(v));
	t_set_mode(v, T_LONG);
	t_load(vm, T_CODE, "\x90\xf4", 2);
	EXPECT_EQ(0, t_nmi(vm, 0) < 0);
	EXPECT_EQ(VMM_EXIT_HALT, t_run(v));
	/* an exception that the host injects: RDMSR of what there is not */
	t_load(vm, T_CODE, "\xb9\x00\x00\x00\x70\x0f\x32\xf4", 8);
	t_set_mode(v, T_LONG);
	EXPECT_EQ(VMM_EXIT_HALT, t_run(v));
	ASSERT_TRUE(t_write_file(INSTANCE "/events/vmm/enable", "0"));
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		found = has_line(want[i][0], want[i][1]);
		if (!found)
			t_say("there is no line with %s %s", want[i][0], want[i][1]);
		all &= found;
	}
	EXPECT_TRUE(all)
	show_trace();
	rmdir(INSTANCE);
}

VMM_TEST_MAIN
