#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: timeout=600 cpus=2
#
# Every exit status of vmmctl run, by a guest that does what its command line says; and
# the last words of a guest, however it ends.
set -u
. selftests/lib/ktap.sh

tiny=build/selftests/boot/tiny-multiboot
scale=${TEST_TIME_SCALE:-1}
dir=$(mktemp -d)
text=$dir/out

# tiny WORDS [ARG]...: vmmctl run with the guest that obeys WORDS; what is printed goes to $text.
tiny()
{
	local words=$1

	shift
	timeout -k 5 $((60 * scale)) "$vmmctl" run -k $tiny -m 16M --console serial \
		-a "$words" "$@" </dev/null >"$text" 2>&1
}

# ends NAME STATUS WORDS [ARG]...
ends()
{
	local name=$1 want=$2

	shift 2
	tiny "$@"
	ktap "$name: $want" equal "$want" $? || ktap_show "$text"
}

# start WORDS [ARG]...: the same in the background, as $pid; returns when it said "ready".  A
# background job of a script ignores SIGINT and SIGQUIT, unless told otherwise.
start()
{
	local words=$1

	shift
	env --default-signal=INT,QUIT "$vmmctl" run -k $tiny -m 16M --console serial \
		-a "say=ready $words" "$@" </dev/null >"$text" 2>&1 &
	pid=$!
	await ready
}

# await TEXT: until it stands in $text, and no longer than a minute
await()
{
	local n

	for ((n = 0; n < 600 * scale; n++)); do
		! grep -aq "$1" "$text" || return 0
		sleep 0.1
	done
	return 1
}

# signalled NAME STATUS SIGNAL WORDS [ARG]...: the status that a shell sees
signalled()
{
	local name=$1 want=$2 signal=$3

	shift 3
	start "$@"
	kill -"$signal" $pid
	{ wait $pid; } 2>/dev/null
	ktap "$name: $want" equal "$want" $? || ktap_show "$text"
}

last_line()
{
	equal "this is line $1" "$(grep -a '^this is line' "$text" | tail -n 1)"
}

ktap_plan 45

ends "power off" 0 poweroff
ends "unknown option" 2 poweroff --frobnicate
"$vmmctl" >"$text" 2>&1
ktap "no verb: 2" equal 2 $?
"$vmmctl" frobnicate >"$text" 2>&1
ktap "unknown verb: 2" equal 2 $?
"$vmmctl" run >"$text" 2>&1
ktap "nothing to boot: 2" equal 2 $?
ktap "nothing to boot: says what is missing" grep -q 'disk (-d) or a kernel (-k)' "$text"
"$vmmctl" run --help >"$text" 2>&1
ktap "help: 0" equal 0 $?

ends "reset register, --no-reboot" 10 reboot --no-reboot
ends "8042, --no-reboot" 10 reset --no-reboot
ends "panic device" 12 panic
ends "halted for good" 12 halt
ends "halted for good, the other CPU never started" 12 halt -c 2
ktap "halted: says so" grep -q 'halted for good' "$text"
ends "triple fault" 14 triple
ktap "triple fault: says so" grep -q 'triple fault' "$text"
ends "debug exit of 0" 1 exit=0 --debug-exit 0xf4
ends "debug exit of 16" 33 exit=16 --debug-exit 0xf4
ends "debug exit of 127" 255 exit=127 --debug-exit 0xf4
ends "without --debug-exit the port is nothing" 0 exit=16
ends "no such kernel" 20 poweroff -k "$dir/none"
ends "no such disk" 20 poweroff -d "$dir/none"
ends "a port that is taken" 20 poweroff --debug-exit 0x3f8
ends "more memory than an address can name" 20 poweroff -m 63T

# One process reboots as often as the guest wants to.
rebooted()
{
	local n

	for ((n = 0; n < 600 * scale; n++)); do
		[ "$(grep -ac '^ready' "$text")" -lt 3 ] || return 0
		sleep 0.1
	done
	return 1
}
start reboot
ktap "without --no-reboot it reboots" rebooted || ktap_show "$text"
ktap "in the same process" kill -KILL $pid
wait $pid 2>/dev/null

# The power button, and what it leads to.
signalled "SIGTERM, and the guest obeys" 0 TERM button
ktap "the guest saw its button" grep -aq '^the button' "$text"
ktap "the deadline is told" grep -q 'power button; it has 30 s' "$text"
signalled "SIGTERM, and the guest does not" 16 TERM deaf --stop-deadline 1
ktap "killed: says so" grep -q 'did not power off in 1 s: killed' "$text"
start deaf
kill -TERM $pid
await 'power button'
kill -TERM $pid
wait $pid
ktap "a second SIGTERM kills: 16" equal 16 $? || ktap_show "$text"

# A signal that ends vmmctl ends it as that signal.
signalled "SIGINT" 130 INT deaf
signalled "SIGQUIT" 131 QUIT deaf
signalled "SIGHUP" 129 HUP deaf
signalled "SIGKILL" 137 KILL deaf 2>/dev/null

# Who starts it with a signal ignored does not want it to be ended by that.
nohup "$vmmctl" run -k $tiny -m 16M --console serial -a "say=ready button" </dev/null >"$text" 2>&1 &
pid=$!
await ready
kill -HUP $pid
kill -INT $pid
sleep 1
ktap "nohup: it goes on" kill -TERM $pid
wait $pid
ktap "nohup: 0" equal 0 $? || ktap_show "$text"

# Last words: all that was printed before the end is out before vmmctl is.
for how in poweroff panic halt triple "reboot --no-reboot" "exit=3 --debug-exit 0xf4"; do
	# shellcheck disable=SC2086
	set -- $how
	word=$1
	shift
	tiny "lines=200 $word" "$@"
	ktap "last words before $word" last_line 200 || ktap_show "$text" 5
done
timeout -k 5 $((120 * scale)) "$vmmctl" run -k $tiny -m 16M --console serial \
	-a "lines=6000 panic" </dev/null 2>/dev/null | { sleep 1; cat >"$text"; }
ktap "last words to a slow reader" last_line 6000 || ktap_show "$text" 5
ktap "none was lost" equal 6000 "$(grep -ac '^this is line' "$text")"

rm -rf "$dir"
ktap_end
