#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: timeout=300 mem=2560
#
# A guest that only halts costs next to nothing: fewer than 5 exits a second, and less
# than 10 ms of vmmctl's CPU time in 10 s.  What an idle stock guest costs is printed.
set -u
. selftests/lib/ktap.sh

dir=$(mktemp -d)
hist=/sys/kernel/tracing/events/vmm/vmm_exit
out=$dir/out

# CPU time of all threads of process $1 so far, in us.
cpu_us()
{
	cat /proc/"$1"/task/*/schedstat 2>/dev/null | awk '{ ns += $1 } END { printf "%d\n", ns / 1000 }'
}

exits()
{
	sed -n 's/^ *Hits: //p' $hist/hist
}

# start MARKER ARG...: a guest, in $vm, that has printed MARKER.
start()
{
	local marker=$1

	shift
	: >"$out"
	"$vmmctl" run "$@" </dev/null >"$out" 2>&1 &
	vm=$!
	for _ in {1..1200}; do
		! grep -aq "$marker" "$out" || return 0
		kill -0 $vm 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

# measure SECONDS: sets $us, $n to what the guest cost meanwhile.
measure()
{
	us=$(cpu_us $vm)
	n=$(exits)
	sleep "$1"
	n=$(($(exits) - n))
	us=$(($(cpu_us $vm) - us))
}

stop()
{
	kill -KILL $vm 2>/dev/null
	wait $vm 2>/dev/null
}

ktap_plan 7
echo hist:keys=vcpu >$hist/trigger
as --32 -o "$dir/idle.o" selftests/boot/idle.S &&
	ld -N --no-warn-rwx-segments -m elf_i386 -Ttext 0x100000 -o "$dir/idle" "$dir/idle.o"
ktap "the halting guest is built" equal 0 $?
start "idle guest" --console serial -k "$dir/idle" -m 64M
ktap "it runs" equal 0 $? || ktap_show "$out"
sleep 2
measure 10
echo "# halting guest: $n exits and $us us of CPU in 10 s"
ktap "it is still there" kill -0 $vm
ktap "fewer than 5 exits a second" within 0 49 "$n"
ktap "less than 10 ms of CPU time in 10 s" within 0 9999 "$us"
stop

start "^it is up" --console hvc -k "$VMLINUZ" -i "$INITRD" -m 256M \
	-a 'loglevel=4 GUESTCMD="echo it is $(echo up); sleep 1000"'
ktap "a stock guest runs" equal 0 $? || ktap_show "$out"
sleep 3
measure 10
echo "# idle stock guest: $((n / 10)) exits a second, $us us of CPU in 10 s"
ktap "an idle stock guest is idle" within 1 2000000 "$us"
stop
echo '!hist:keys=vcpu' >$hist/trigger
rm -rf "$dir"
ktap_end
