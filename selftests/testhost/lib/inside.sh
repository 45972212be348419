# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by process 1 of a test host, which has a function say() for its log.

# What runs here, for the log of the run: kernel, CPUs, what they have of virtualization.
describe_host()
{
	local have=svm\|npt\|lbrv\|svm_lock\|nrip_save\|tsc_scale\|vmcb_clean\|flushbyasid\|decodeassists
	have="$have|pausefilter|pfthreshold|avic|x2avic|v_vmsave_vmload|vgif|v_spec_ctrl|vnmi|vmx|la57"

	echo "testhost: Linux $(uname -r), $(nproc) CPU(s): $(sed -n '/^model name/{s/.*: //p;q}' /proc/cpuinfo)"
	echo "testhost: flags: $(grep -m1 '^flags' /proc/cpuinfo | grep -owE "$have" | tr '\n' ' ')"
	sed -n '/^vmx flags/{s/^vmx flags[^:]*/testhost: vmx flags/p;q}' /proc/cpuinfo
}

# vmm's modules must go, once nobody uses them.
unload_vmm()
{
	local m n

	for m in vmm_virtio vmm; do
		[ -d /sys/module/$m ] || continue
		# The last reference of a killed process may take a moment to go.
		for n in {1..50}; do
			rmmod $m 2>/dev/null && break
			sleep 0.2
		done
		[ -d /sys/module/$m ] && say "module-busy: $m cannot be unloaded: $(rmmod $m 2>&1)"
	done
	[ -d /sys/module/vmm ] || module_traces
}

# What a module made must go with it. A link in /sys/kernel/slab stays where the kernel had merged
# the cache with another.
module_traces()
{
	local left

	left=$({
		ls -d /dev/vmm /sys/kernel/tracing/events/vmm* /sys/kernel/debug/vmm* \
			/sys/class/misc/vmm
		find /sys/kernel/slab -maxdepth 1 -name 'vmm*' -type d
		grep -w vmm /proc/misc
		grep -h '^vmm' /proc/slabinfo
		grep -h 'vmm' /sys/devices/system/cpu/hotplug/states
		grep -l '^vmm' /proc/[0-9]*/comm
	} 2>/dev/null)
	[ -z "$left" ] || say "module-traces: left of the modules: $left"
}
