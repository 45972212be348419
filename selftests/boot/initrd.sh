#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: kernels=6.12,6.1,debug timeout=240 mem=3584
#
# A stock kernel with a small initramfs, no disk: on hvc0 and on the serial port, with
# one CPU and with two.
set -u
. selftests/lib/ktap.sh

out=$(mktemp)

# boot NAME ARG...: a guest that tells about itself; its output goes to $out.
boot()
{
	"$vmmctl" run -k "$VMLINUZ" -i "$INITRD" -m 256M "$@" \
		-a 'loglevel=7 GUESTCMD="echo cpus=$(nproc); echo clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource); grep -c hypervisor /proc/cpuinfo; cat /proc/cmdline"' \
		</dev/null >"$out" 2>&1
}

ktap_plan 9
boot --console hvc -c 1
ktap "hvc: exit status of a power-off" equal 0 $? || ktap_show "$out"
ktap "hvc: init was reached" grep -q "^guest: up $(basename "$VMLINUZ" | sed 's/vmlinuz-//')" "$out"
ktap "hvc: the command passed" grep -q "^guest: exit 0" "$out"
ktap "hvc: one CPU" grep -q "^cpus=1" "$out"
ktap "hvc: the clock is kvm-clock" grep -q "^clock=kvm-clock" "$out"
boot --console serial -c 2
ktap "serial: exit status of a power-off" equal 0 $? || ktap_show "$out"
ktap "serial: the command passed" grep -q "^guest: exit 0" "$out"
ktap "serial: two CPUs" grep -q "^cpus=2" "$out"
ktap "no KVM module is loaded" sh -c '! grep -q ^kvm /proc/modules'
rm -f "$out"
ktap_end
