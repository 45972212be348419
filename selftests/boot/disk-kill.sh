#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: side=machine timeout=600 disk=debian-6.12
#
# The test host itself dies by SIGKILL right after a guest's sync returned: what was
# synced is on the disk.
set -u
. selftests/lib/ktap.sh
PATH=$PATH:/sbin:/usr/sbin

image=${IMAGES%% *}
name=disk-kill-$KVER
log=build/logs/$name
dir=$(mktemp -d)
write='mkdir /data && cd /data && for i in $(seq 16); do head -c 4M /dev/urandom > f$i; done'
write="$write && sha256sum f* > sums && sync && echo synced-\$((6 * 7))"

rm -rf "$log"
selftests/testhost/run --kernel "$KVER" --name "$name" --disk "$image" --mem 3072 --timeout 500 -- \
	selftests/testhost/drive --line "$write" --line 'sleep 1000' -- \
	"$vmmctl" run -d /dev/vda -m 512M >"$dir/out" 2>&1 &
run=$!
synced=1
for _ in $(seq 5000); do
	if grep -aq '^synced-42' "$dir/out"; then
		kill -KILL "$(cat "$log/qemu.pid")"
		synced=0
		break
	fi
	kill -0 $run 2>/dev/null || break
	sleep 0.1
done
wait $run

ktap_plan 4
ktap "the guest synced" equal 0 $synced || ktap_show "$dir/out"
ktap "the journal is replayed" e2fsck -E journal_only -y "$image"
ktap "fsck finds the disk clean" e2fsck -fn "$image"
sums_right()
{
	local i

	debugfs -R "dump /data/sums $dir/sums" "$image" 2>/dev/null
	for i in $(seq 16); do
		debugfs -R "dump /data/f$i $dir/f$i" "$image" 2>/dev/null
	done
	equal 16 "$(wc -l <"$dir/sums")" && (cd "$dir" && sha256sum -c --quiet sums)
}
ktap "the checksums are right" sums_right
rm -rf "$dir"
ktap_end
