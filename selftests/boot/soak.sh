#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: kernels=debug cpus=2 timeout=900 disk=scratch-256M mem=3584
#
# vmmctl is killed by SIGKILL at $TEST_N (20) random moments of a boot. Each time every
# reference on the modules goes; in the end they unload, and the test host looks for
# leaks.
set -u
. selftests/lib/ktap.sh

n=${TEST_N:-20}
longest=12	# seconds; the guest works on its disk until it is killed
disk=${DISKS%% *}
[ "$KVER" != debug ] || longest=25

# What holds the modules: users of vmm besides vmm_virtio, then users of vmm_virtio.
references()
{
	local virtio=0

	[ ! -d /sys/module/vmm_virtio ] || virtio=$(cat /sys/module/vmm_virtio/refcnt)
	echo "$(cat /sys/module/vmm/refcnt) $virtio"
}

settled()
{
	for _ in {1..50}; do
		[ "$(references)" != "$idle" ] || return 0
		sleep 0.2
	done
	echo "references on vmm and vmm_virtio: $(references), at rest: $idle"
	return 1
}

# Objects in vmm's caches.  A CPU's own slab counts as full until it is flushed.
objects()
{
	local cache

	for cache in /sys/kernel/slab/vmm*; do
		[ ! -w "$cache/shrink" ] || echo 1 >"$cache/shrink"
	done
	awk '/^vmm/ { n += $2 } END { print n + 0 }' /proc/slabinfo
}

# RCU may hold the last ones for a moment.
caches_empty()
{
	for _ in {1..50}; do
		[ "$(objects)" != 0 ] || return 0
		sleep 0.2
	done
	grep '^vmm' /proc/slabinfo
	return 1
}

idle=$(references)
seed=${TEST_SEED:-$$$(date +%S)}
RANDOM=$seed
ktap_plan $((n + 2))
echo "# TEST_SEED=$seed"
for i in $(seq "$n"); do
	"$vmmctl" run -k "$VMLINUZ" -i "$INITRD" -m 256M -c $((1 + i % 2)) ${disk:+-d "$disk"} \
		-a 'GUESTCMD="while :; do dd if=/dev/vda of=/dev/null bs=64k; done"' \
		</dev/null >/tmp/soak.out 2>&1 &
	pid=$!
	ms=$((RANDOM * longest * 1000 / 32768))
	sleep "$(printf %d.%03d $((ms / 1000)) $((ms % 1000)))"
	alive=0
	kill -KILL $pid || alive=1
	wait $pid 2>/dev/null
	ktap "killed after $ms ms" eval "[ $alive = 0 ] && settled" || ktap_show /tmp/soak.out 20
done
ktap "the caches are empty" caches_empty
unload()
{
	local m

	for m in vmm_virtio vmm; do
		[ ! -d /sys/module/$m ] || rmmod $m || return 1
	done
}
ktap "the modules unload" unload
ktap_end
