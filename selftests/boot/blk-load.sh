#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: timeout=600 cpus=2 disk=scratch-256M mem=3072
#
# Disks under load, on null_blk with 10 ms a request: of fio's 32 requests at a time the
# host sees 32, vmmctl's control threads sleep meanwhile, and a read does not wait for
# a FLUSH that takes long.  All but the first also through the page cache.
set -u
. selftests/lib/ktap.sh
PATH=$PATH:/sbin:/usr/sbin

tools=${DISKS%% *}
flush_ms=8000
dir=$(mktemp -d)
log=$dir/out

# The guest's part, with fio and what it is linked to, on a disk.
make_tools()
{
	local lib

	mkdir "$dir/m" && mount "$tools" "$dir/m" && mkdir "$dir/m/lib" || return
	cp "$(command -v fio)" "$dir/m/" || return
	for lib in $(ldd "$(command -v fio)" | grep -o '/[^ ]*'); do
		cp -L "$lib" "$dir/m/lib/" || return
	done
	cat >"$dir/m/script" <<'END'
load()
{
	echo "load-$1"
	LD_LIBRARY_PATH=/mnt/lib /mnt/lib/ld-linux-x86-64.so.2 /mnt/fio --name="$1" \
		--filename=/dev/"$2" --rw=randread --bs=4k --ioengine=libaio --iodepth=32 --direct=1 \
		--thread --time_based --runtime="$3" >/fio.out || return
	grep -E 'read: IOPS|32=' /fio.out
	echo "loaded-$1"
}
# Writes and flushes, and reads when the FLUSH is under way.
flush()
{
	(
		start=$(date +%s)
		dd if=/dev/zero of=/dev/"$2" bs=4k count=1 oflag=direct conv=fsync 2>/dev/null &&
			echo "flushed-$1 $(($(date +%s) - start))"
	) &
	sleep 2
	dd if=/dev/"$2" of=/dev/null bs=4k count=8 skip=100 iflag=direct 2>/dev/null &&
		echo "read-$1"
	wait
}
load direct vdb 40 || exit
load buffered vdc 40 || exit
flush direct vdd
flush buffered vde
END
	umount "$dir/m"
}

# slow NAME: a disk with a write cache whose flush takes $flush_ms; sets $dev.
slow()
{
	local null=/sys/kernel/config/nullb/$1

	mkdir "$null" && echo 64 >"$null/size" && echo 1 >"$null/memory_backed" &&
		echo 1 >"$null/cache_size" && echo 1 >"$null/power" || return
	dmsetup create "slow-$1" --noudevsync --noudevrules --table \
		"0 131072 delay /dev/$1 0 0 /dev/$1 0 0 /dev/$1 0 $flush_ms" || return
	dev=/dev/dm-$(dmsetup info -c --noheadings -o minor "slow-$1")
	grep -q 'write back' /sys/block/"${dev#/dev/}"/queue/write_cache
}

# Which threads of vmmctl only control: neither vCPUs nor a device's.
control_threads()
{
	grep -LE '^(vcpu|blk|console)[0-9]' /proc/"$vm"/task/*/comm | cut -d/ -f5
}

# What they have done so far: the system call that each is in, and how often it slept.
# The guest's output tells whether there was reason to do anything.
control_state()
{
	local t

	echo "output: $(tail -c 40 "$log" | tr -d '\r' | tr '\n' '/')"
	for t in $(control_threads); do
		echo "$t $(cat /proc/"$vm"/task/"$t"/comm) $(cat /proc/"$vm"/task/"$t"/syscall)" \
			"$(grep ctxt_switches /proc/"$vm"/task/"$t"/status | tr -d '\n')"
	done
}

# wait_for SECONDS REGEX: in the guest's output.
wait_for()
{
	local n

	for ((n = 0; n < $1 * ${TEST_TIME_SCALE:-1} * 5; n++)); do
		! grep -aqE "$2" "$log" || return 0
		kill -0 "$vm" 2>/dev/null || break
		sleep 0.2
	done
	grep -aqE "$2" "$log"
}

# Requests under way on the block device $1, the most that was seen in 10 s; or in 30, if it takes
# so long until there are $2. An emulator that is not alone is slower than the disk, now and then.
most_inflight()
{
	local most=0 n start=$SECONDS

	while [ $SECONDS -lt $((start + 10)) ] ||
	      { [ "$most" -lt "$2" ] && [ $SECONDS -lt $((start + 30)) ]; }; do
		read -r n _ </sys/block/"$1"/inflight
		[ "$n" -le "$most" ] || most=$n
		sleep 0.02
	done
	echo "$most"
}

quiet()
{
	equal "$before" "$after"
}

# The lines $1 and $2 are there, in this order.
in_order()
{
	local found

	found=$(grep -aoE "^($1|$2)" "$log" | tr '\n' ' ')
	equal "$1 $2 " "$found"
}

flush_seconds()
{
	sed -n "s/\r//; s/^flushed-$1 //p" "$log"
}

ktap_plan 15
make_tools
ktap "fio is ready" equal 0 $?
modprobe null_blk nr_devices=2 irqmode=2 completion_nsec=10000000 gb=1
ktap "null_blk is there" test -b /dev/nullb1
modprobe dm-delay
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
dev=
slow slow0
ktap "a disk with a slow flush" equal 0 $?
slow0=$dev
slow slow1
ktap "and another" equal 0 $?
slow1=$dev

: >"$log"
"$vmmctl" run -k "$VMLINUZ" -i "$INITRD" -m 512M -d "$tools,ro" -d /dev/nullb0,direct -d /dev/nullb1 \
	-d "$slow0,direct" -d "$slow1" \
	-a 'loglevel=4 GUESTCMD="mount -o ro -t ext4 /dev/vda /mnt && sh /mnt/script"' \
	</dev/null >"$log" 2>&1 &
vm=$!

wait_for 120 '^load-direct'
ktap "fio starts" equal 0 $? || ktap_show "$log"
sleep 3
before=$(control_state)
most=$(most_inflight nullb0 32)
after=$(control_state)
ktap "direct: the host sees 32 requests under way" equal 32 "$most"
ktap "direct: the control threads sleep" quiet
echo "# control threads: $(sed 1d <<<"$after" | awk '{ print $2 }' | tr '\n' ' ')"
wait_for 120 '^load-buffered'
sleep 3
before=$(control_state)
most=$(most_inflight nullb1 0)
after=$(control_state)
echo "# buffered: at most $most requests under way"
ktap "buffered: the control threads sleep" quiet
wait $vm
ktap "exit status of a power-off" equal 0 $? || ktap_show "$log"
ktap "the guest's script passed" grep -aq '^guest: exit 0' "$log" || ktap_show "$log"
for how in direct buffered; do
	ktap "$how: fio passed" grep -aq "^loaded-$how" "$log" || ktap_show "$log"
	ktap "$how: a read is done while a FLUSH is under way" in_order "read-$how" "flushed-$how"
done
ktap "the FLUSHes took as long as they should" eval \
	'within $((flush_ms / 1000 - 1)) 60 "$(flush_seconds direct)" &&
	 within $((flush_ms / 1000 - 1)) 60 "$(flush_seconds buffered)"'
grep -a 'IOPS' "$log" | tr -d '\r' | sed 's/^ */# /'
dmsetup remove slow-slow0
dmsetup remove slow-slow1
rmmod dm-delay null_blk 2>/dev/null
rm -rf "$dir"
ktap_end
