#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: timeout=900 disk=debian-6.12 disk=scratch-2G mem=3072
#
# A guest's memory is ordinary memory of the process: it is there when it was touched,
# not before, and it can be swapped without the guest's noticing.
#
# A Debian guest of 1 GiB boots; then it fills files in memory and checks their sums,
# while memory.high of vmmctl's cgroup is half of what it has.
set -u
. selftests/lib/ktap.sh
PATH=$PATH:/sbin:/usr/sbin

disk=${DISKS%% *}
swap=${DISKS##* }
mib=256		# of files
dir=$(mktemp -d)
log=$dir/out
cg=/sys/fs/cgroup/vm

# Marks the output is watched for are computed by the guest's shell, for what is typed
# is echoed.
fill="mkdir /m && mount -t tmpfs -o size=90% none /m && cd /m &&
	for i in \$(seq $((mib / 16))); do head -c 16M /dev/urandom > f\$i; done &&
	sha256sum f* > sums && echo filled-\$((6 * 7)); sleep 10"
check='for i in 1 2; do sha256sum -c --quiet sums && echo right-$((40 + i)); done'

# A field of /proc/PID/status of vmmctl, in MiB.
status()
{
	awk -v key="$1:" '$1 == key { printf "%d\n", $2 / 1024 }' /proc/"$vm"/status
}

# wait_for SECONDS REGEX: in the guest's output.
wait_for()
{
	local n

	for ((n = 0; n < $1 * ${TEST_TIME_SCALE:-1} * 5; n++)); do
		! grep -aqE "$2" "$log" || return 0
		kill -0 $drive 2>/dev/null || break
		sleep 0.2
	done
	grep -aqE "$2" "$log"
}

event()
{
	awk -v key="$1" '$1 == key { print $2 }' /proc/vmstat
}

ktap_plan 12
mkswap "$swap" >/dev/null && swapon "$swap"
ktap "there is swap" equal 0 $?
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir $cg
: >"$log"
selftests/testhost/drive --timeout 600 --line 'echo booted-$((6 * 7)); sleep 10' \
	--line "$(tr '\n\t' '  ' <<<"$fill")" --line "$check" --line poweroff -- \
	sh -c "echo \$\$ >$dir/pid; echo \$\$ >$cg/cgroup.procs; exec $vmmctl run -d $disk -m 1G debian" >"$log" 2>&1 &
drive=$!
wait_for 300 '^booted-42'
ktap "the guest boots" equal 0 $? || ktap_show "$log"
vm=$(cat "$dir/pid")
rss=$(status VmRSS)
echo "# a booted guest of 1 GiB: RSS $rss MiB"
ktap "a booted guest of 1 GiB takes less than 400 MiB" within 1 399 "$rss"

wait_for 300 '^filled-42'
ktap "files are filled" equal 0 $? || ktap_show "$log"
rss=$(status VmRSS)
ktap "their memory was added" within $((mib + 64)) 1100 "$rss"
in=$(event pswpin)
echo $((rss / 2))M >$cg/memory.high
start=$SECONDS
wait_for 400 '^right-41'
ktap "the sums are right" equal 0 $? || ktap_show "$log"
wait_for 400 '^right-42'
ktap "and once more" equal 0 $? || ktap_show "$log"
in=$((($(event pswpin) - in) / 256))
swapped=$(status VmSwap)
now=$(status VmRSS)
echo "# $rss MiB, memory.high $((rss / 2)) MiB: RSS $now MiB, $swapped MiB swapped, $in MiB swapped in, $((SECONDS - start)) s"
ktap "memory.high was kept" within 1 $((rss * 6 / 10)) "$now"
ktap "the guest was swapped out" within $((rss / 4)) 2048 "$swapped"
ktap "and in again" within $((mib / 4)) 100000 "$in"
wait $drive
ktap "exit status of a power-off" equal 0 $? || ktap_show "$log"
no_failure()
{
	! grep -aE 'FAILED|WARNING|Oops|BUG' "$log"
}
ktap "nothing failed in the guest" no_failure
swapoff "$swap"
rmdir $cg
rm -rf "$dir"
ktap_end
