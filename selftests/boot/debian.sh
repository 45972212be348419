#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: timeout=600 cpus=2 disk=debian-6.12 mem=3072
#
# A Debian disk boots by "vmmctl run -d DISK" alone, to systemd and a root shell; what
# the guest wrote and synced is on the disk after it powered off.
set -u
. selftests/lib/ktap.sh
PATH=$PATH:/sbin:/usr/sbin

disk=${DISKS%% *}
out=$(mktemp)
dir=$(mktemp -d)

# 64 MiB in 16 files, their checksums beside them.
write='mkdir /data && cd /data && for i in $(seq 16); do head -c 4M /dev/urandom > f$i; done'
write="$write && sha256sum f* > sums && sync && echo wrote-\$?"

selftests/testhost/drive --timeout 300 --line 'uname -a' --line 'cat /etc/os-release' \
	--line 'lsblk' --line 'dmesg | grep -i hypervisor' \
	--line 'systemctl is-system-running --wait' --line 'systemctl --failed --no-legend --plain' \
	--line "$write" --line poweroff \
	-- "$vmmctl" run -d "$disk" -m 512M debian >"$out" 2>&1
rc=$?
tr -d '\r' <"$out" | sed 's/\x1b\[[?0-9;]*[a-zA-Z]//g' >"$out.txt"

ktap_plan 8
ktap "exit status of a power-off" equal 0 $rc || ktap_show "$out" 100
ktap "a Debian kernel" grep -q '^Linux vmm-guest .* Debian ' "$out.txt"
ktap "a Debian userland" grep -q '^ID=debian' "$out.txt"
ktap "the root disk is vda" grep -qE '^vda .* disk /$' "$out.txt"
ktap "the kernel names the hypervisor" grep -qiE '\] .*hypervisor detected' "$out.txt"
ktap "systemd is running" grep -q '^running' "$out.txt" || ktap_show "$out.txt"
ktap "fsck finds the disk clean" e2fsck -fn "$disk"
sums_right()
{
	local i

	debugfs -R "dump /data/sums $dir/sums" "$disk" 2>/dev/null
	for i in $(seq 16); do
		debugfs -R "dump /data/f$i $dir/f$i" "$disk" 2>/dev/null
	done
	equal 16 "$(wc -l <"$dir/sums")" && (cd "$dir" && sha256sum -c --quiet sums)
}
ktap "the checksums are right" sums_right
rm -rf "$out" "$out.txt" "$dir"
ktap_end
