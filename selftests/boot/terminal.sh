#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: timeout=600 cpus=2
#
# vmmctl run on a terminal: keys reach the guest as they are, the escape key leaves and
# is told at the start, and the terminal is afterwards what it was, however it ends.
# Then without a terminal.
set -u
. selftests/lib/ktap.sh

tiny=build/selftests/boot/tiny-multiboot
scale=${TEST_TIME_SCALE:-1}
dir=$(mktemp -d)
screen=$dir/screen
mkfifo "$dir/keys"

# await TEXT [FILE]: until it stands there, and no longer than a minute
await()
{
	local n

	for ((n = 0; n < 600 * scale; n++)); do
		! grep -aq "$1" "${2:-$screen}" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}

# open WORDS [ARG]...: on a terminal of its own, the tiny guest that obeys WORDS; returns when it
# said "ready", with the keyboard at descriptor 3, vmmctl's process in $pid and the terminal's
# name in $tty.
open()
{
	local words=$1

	shift
	rm -f "$dir"/{tty,pid,before,status,after,leave}
	printf '%q ' "$vmmctl" run -k $tiny -m 16M --console serial -a "say=ready $words" "$@" \
		>"$dir/command"
	cat >"$dir/inner" <<END
stty -g >$dir/before
tty >$dir/tty
sh -c 'echo \$\$ >$dir/pid; exec $(cat "$dir/command")'
echo \$? >$dir/status
stty -g >$dir/after
while [ ! -e $dir/leave ]; do sleep 0.1; done
END
	TERM=vt100 env --default-signal=INT,QUIT script -qc "sh $dir/inner" /dev/null <"$dir/keys" >"$screen" 2>&1 &
	terminal=$!
	exec 3>"$dir/keys"
	await ready
	pid=$(cat "$dir/pid")
	tty=$(cat "$dir/tty")
}

type_keys()
{
	# shellcheck disable=SC2059
	printf "$1" >&3
}

leave()
{
	: >"$dir/leave"
	exec 3>&-
	wait $terminal
}

# closed NAME STATUS: how it ended, and that the terminal is as before
closed()
{
	await . "$dir/after"
	leave
	ktap "$1: status" equal "$2" "$(cat "$dir/status")" || ktap_show "$screen"
	ktap "$1: the terminal is as before" cmp "$dir/before" "$dir/after"
}

is_raw() { stty -F "$tty" -a | grep -q -- '-icanon' && stty -F "$tty" -a | grep -q -- '-isig'; }
is_cooked() { equal "$(cat "$dir/before")" "$(stty -F "$tty" -g)"; }

eventually()
{
	local n

	for ((n = 0; n < 100 * scale; n++)); do
		! "$@" >/dev/null || return 0
		sleep 0.1
	done
	"$@"
}

ktap_plan 49

open echo
ktap "the key that leaves is told at the start" \
	eval "grep -aB9 ready $screen | grep -q 'Ctrl-\] leaves'"
ktap "the terminal is raw" is_raw
type_keys 'hello\003\032\n'
ktap "keys reach the guest, once" await HELLO
ktap "no echo by the terminal" sh -c "! grep -q hello $screen"
ktap "Ctrl-C, Ctrl-Z and line feed are the guest's" grep -aqP 'HELLO\x03\x1a' "$screen"
type_keys q
closed "power-off" 0

open button
type_keys '\035'
closed "Ctrl-]" 0
ktap "Ctrl-] presses the power button" grep -q '^the button' "$screen"
ktap "Ctrl-] tells how to kill" grep -q 'Ctrl-\] again kills it' "$screen"

open deaf
type_keys '\035\035'
closed "Ctrl-] twice" 16

open echo --escape ^A
ktap "--escape is told at the start" grep -q 'Ctrl-A leaves' "$screen"
type_keys 'see\035'
ktap "--escape: Ctrl-] is the guest's" await "$(printf 'SEE\035')"
type_keys '\001\001'
closed "--escape" 16

open echo --escape none
ktap "--escape none: nothing is told" sh -c "! grep -q leaves $screen"
type_keys 'a\035\035b'
ktap "--escape none: the guest gets all" await "$(printf 'A\035\035B')"
type_keys q
closed "--escape none" 0

open "echo"
type_keys x
closed "panic" 12

for signal in TERM:16 INT:130 HUP:129 SEGV:139 ABRT:134; do
	open deaf --stop-deadline 0
	kill -"${signal%:*}" "$pid"
	closed "SIG${signal%:*}" "${signal#*:}"
done

# Nobody can catch that; the guard process mends the terminal a moment later.
open deaf
kill -KILL "$pid"
ktap "SIGKILL: the terminal is as before" eventually is_cooked
await . "$dir/after"
ktap "SIGKILL: status" equal 137 "$(cat "$dir/status")"
leave

open echo
kill -TSTP "$pid"
ktap "stopped: the terminal is as before" eventually is_cooked
kill -CONT "$pid"
ktap "continued: it is raw again" eventually is_raw
type_keys q
closed "continued" 0

# A reboot is the same program started anew.
open echo
type_keys r
for ((n = 0; n < 600 * scale; n++)); do
	[ "$(grep -ac '^ready' "$screen")" -lt 2 ] || break
	sleep 0.1
done
ktap "rebooted: it is raw again" eventually is_raw
type_keys 'again'
ktap "rebooted: keys reach the guest" await AGAIN
type_keys q
closed "rebooted" 0

# No terminal.
printf 'abcq' | "$vmmctl" run -k $tiny -m 16M --console serial -a "echo" >"$screen" 2>"$dir/err"
ktap "pipe: status" equal 0 $?
ktap "pipe: in and out" grep -q ABC "$screen"
ktap "pipe: no word of a key" sh -c "! grep -q leaves $dir/err"
"$vmmctl" run -k $tiny -m 16M --console serial -a "say=hello" <&- >"$screen" 2>"$dir/err"
ktap "no standard input" eval "[ $? = 0 ] && grep -q hello $screen"
"$vmmctl" run -k $tiny -m 16M --console serial -a "lines=10" </dev/null >&- 2>"$dir/err"
ktap "no standard output" equal 0 $?
"$vmmctl" run -k $tiny -m 16M --console serial -a "lines=4000" </dev/null 2>"$dir/err" | head -n 1 >"$screen"
ktap "a reader that goes away" equal 0 "${PIPESTATUS[0]}"

rm -rf "$dir"
ktap_end
