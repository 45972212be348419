#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: host=bochs
#
# In Bochs (testhost/run-bochs --guest): a stock kernel with a small initramfs on hvc0, with a disk
# that it reads and writes; with VMX once with virtual-interrupt delivery, once without.
set -u
. selftests/lib/ktap.sh

out=/tmp/guest
disk=/tmp/disk

# What the guest does: reads the disk, writes another part of it.
command='echo read=$(md5sum </dev/vda | cut -c1-32); yes vmm | head -c 1048576 >/tmp.img'
command="$command; dd if=/tmp.img of=/dev/vda bs=64k seek=16 conv=fsync 2>/dev/null; echo wrote=\$?"
command="$command; echo clock=\$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"

written()
{
	dd if=$disk bs=64k skip=16 count=16 2>/dev/null | cmp - <(yes vmm | head -c 1048576)
}

# boots WHAT: six results
boots()
{
	local sum

	head -c 4194304 /dev/urandom >$disk
	sum=$(md5sum <$disk | cut -c1-32)
	"$vmmctl" run -k "$VMLINUZ" -i "$INITRD" -m 160M -c 1 --console hvc -d $disk \
		-a "loglevel=5 cryptomgr.notests GUESTCMD=\"$command\"" </dev/null >$out 2>&1
	ktap "$1: exit status of a power-off" equal 0 $? || ktap_show $out
	ktap "$1: the kernel reached its init" grep -q "^guest: up $GUEST_KVER" $out
	ktap "$1: the clock is kvm-clock" grep -q "^clock=kvm-clock" $out
	ktap "$1: it read what is on the disk" grep -q "^read=$sum" $out
	ktap "$1: it wrote" grep -q "^wrote=0" $out
	ktap "$1: the disk has what it wrote" written
}

vid=/sys/module/vmm/parameters/vmx_vid
if [ "$MACHINE" = vmx ]; then
	ktap_plan 14
	rmmod vmm_virtio vmm
	modprobe vmm vmx_vid=1 && modprobe vmm_virtio
	ktap "virtual-interrupt delivery is on" grep -qx '[Y1]' $vid
	boots "vid on"
	rmmod vmm_virtio vmm
	# shellcheck disable=SC2086
	modprobe vmm $VMM_PARAMS vmx_vid=0 && modprobe vmm_virtio
	ktap "virtual-interrupt delivery is off" grep -qx '[N0]' $vid
	boots "vid off"
else
	ktap_plan 6
	boots svm
fi
ktap_end
