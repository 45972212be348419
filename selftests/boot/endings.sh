#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: timeout=600 mem=3072
#
# How a stock kernel ends: power-off, reboot, panic, halt.  Each has its status, and what
# the guest printed last is out before vmmctl is.
set -u
. selftests/lib/ktap.sh

scale=${TEST_TIME_SCALE:-1}
dir=$(mktemp -d)
text=$dir/text

# boot CMD [ARG]...: a guest that runs CMD
boot()
{
	local command=$1

	shift
	timeout -k 5 $((120 * scale)) "$vmmctl" run -k "$VMLINUZ" -i "$INITRD" -m 256M "$@" \
		-a "GUESTCMD=\"$command\"" </dev/null 2>&1 | tr -d '\r' >"$text"
	status=${PIPESTATUS[0]}
}

says() { grep -qF -- "$1" "$text" || { echo "it does not say '$1':"; tail -n 5 "$text"; return 1; }; }

ktap_plan 10

for console in hvc serial; do
	boot "echo last words; echo c >/proc/sysrq-trigger" --console $console
	ktap "panic on $console: 12" equal 12 "$status" || ktap_show "$text"
	ktap "panic on $console: the kernel's last words" \
		says "Kernel panic - not syncing: sysrq triggered crash"
done
ktap "panic: vmmctl says so" says "vmmctl: the guest panicked"

boot "busybox reboot -f" --no-reboot
ktap "reboot: 10" equal 10 "$status" || ktap_show "$text"
boot "echo the very last; busybox halt -f" -c 2
ktap "halt, two CPUs: 12" equal 12 "$status" || ktap_show "$text"
ktap "halt: last words" says "the very last"

# A reader that stands still holds the guest in its write, but not vmmctl.
mkfifo "$dir/out"
{ grep -aqm1 started-42; : >"$dir/started"; exec sleep 600; } <"$dir/out" &
reader=$!
"$vmmctl" run -k "$VMLINUZ" -i "$INITRD" -m 256M --console hvc --stop-deadline 1 \
	-a "GUESTCMD=\"echo started-\$((6 * 7)); seq 1000000\"" </dev/null >"$dir/out" 2>"$text" &
pid=$!
for ((n = 0; n < 1200 * scale; n++)); do
	[ ! -e "$dir/started" ] || break
	sleep 0.1
done
sleep $((5 * scale))
kill -TERM $pid
for ((n = 0; n < 300 * scale; n++)); do
	kill -0 $pid 2>/dev/null || break
	sleep 0.1
done
kill -KILL $pid 2>/dev/null
{ wait $pid; } 2>/dev/null
ktap "killed while its reader stands still: 16" equal 16 $? || ktap_show "$text"
kill $reader

boot "true"
ktap "power-off: 0" equal 0 "$status" || ktap_show "$text"
rm -rf "$dir"
ktap_end
