#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: kernels=6.12,6.1 timeout=900 cpus=2 mem=3584
#
# vmmctl beside KVM: an idle KVM makes way and comes back after the last VM, however
# that ended; a KVM in use, or one that may not be touched, is named.  All guests,
# ours and KVM's, compute checksums meanwhile.
set -u
. selftests/lib/ktap.sh

# where everybody can read
work=$(mktemp -d)
chmod 755 "$work"
cp "$VMLINUZ" "$work/vmlinuz"
cp "$INITRD" "$work/initrd"
VMLINUZ=$work/vmlinuz
INITRD=$work/initrd
kvm_guest=build/selftests/uapi/kvm
module=kvm_amd
grep -qw vmx /proc/cpuinfo && module=kvm_intel
sum=$(seq 2000 | sha256sum)
modprobe kvm
# Before 6.12 KVM takes the processors with its first VM: idle, it is in nobody's way.
late=1
[ "$(cat /sys/module/kvm/parameters/enable_virt_at_load 2>/dev/null)" != Y ] || late=0

loaded() { [ -d "/sys/module/$module/holders" ]; }
gone() { ! loaded; }
# On a kernel with a late KVM the module never had to go.
out_of_the_way() { [ $late = 1 ] || gone; }

# until_true SECONDS CMD...
until_true()
{
	local end=$((SECONDS + $1 * ${TEST_TIME_SCALE:-1}))

	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "not in time: $*"; return 1; }
		sleep 0.2
	done
}

# A guest, named $1, that computes until a line comes on its console.
start_guest()
{
	local sums="while :; do seq 2000 | sha256sum | grep -q ^${sum%% *} && echo right || echo wrong; done"

	mkfifo "$work/$1.in"
	"$vmmctl" run -k "$VMLINUZ" -i "$INITRD" -m 160M \
		-a "loglevel=3 GUESTCMD=\"($sums) & read x; kill \$!\"" \
		<>"$work/$1.in" >"$work/$1.out" 2>&1 &
	pid=$!
}

rights() { grep -c '^right' "$work/$1.out"; }

# two more right sums from now on, and never a wrong one
computes()
{
	local n

	n=$(($(rights "$1") + 2))
	until_true 120 eval "[ \$(rights $1) -ge $n ]" && ! grep '^wrong' "$work/$1.out"
}

# ends the guest $1, process $2; its status in $rc
end_guest()
{
	echo >"$work/$1.in"
	wait "$2"
	rc=$?
}

ended_well() { equal 0 "$rc" && ! grep '^wrong' "$work/$1.out"; }

# a guest that ends by itself; its output in $work/short
short_guest()
{
	"$@" "$vmmctl" run -k "$VMLINUZ" -i "$INITRD" -m 160M $options \
		-a "loglevel=3 GUESTCMD=\"seq 2000 | sha256sum\"" </dev/null >"$work/short" 2>&1
	rc=$?
}
computed() { equal 0 "$rc" && grep -q "^${sum%% *}" "$work/short"; }
# vmmctl refused, KVM being late or not, with these words
refused()
{
	equal 20 "$rc" || return 1
	for words; do
		grep -q -- "$words" "$work/short" || { echo "without '$words'"; return 1; }
	done
}
show() { ktap_show "$work/$1" 15; }

options=
plan=21
[ $late = 0 ] || plan=$((plan + 1))
ktap_plan $plan
modprobe $module

short_guest env
ktap "KVM is idle: the guest computes" computed || show short
if [ $late = 0 ]; then
	ktap "vmmctl says that KVM was in the way" grep -q "KVM was in the way" "$work/short"
else
	ktap "vmmctl says nothing about KVM" sh -c "! grep KVM '$work/short'"
fi
ktap "KVM is there again" until_true 30 loaded

chmod 666 /dev/vmm
as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
short_guest "${as_nobody[@]}"
if [ $late = 0 ]; then
	ktap "an ordinary user is told the command" refused "Type: sudo modprobe -r $module$" || show short
else
	ktap "an ordinary user's guest computes" computed || show short
fi
options=--keep-kvm
short_guest env
options=
if [ $late = 0 ]; then
	ktap "--keep-kvm: told the command" refused "Type: sudo modprobe -r $module$" || show short
else
	ktap "--keep-kvm: the guest computes" computed || show short
fi
ktap "KVM was not touched" loaded

# A guest of KVM's runs.
mkfifo "$work/kvm.in"
exec {kvm_in}<>"$work/kvm.in"
"$kvm_guest" guest <"$work/kvm.in" >"$work/kvm.out" 2>&1 {kvm_in}<&- &
kvm_pid=$!
ktap "KVM's guest runs" until_true 60 grep -q running "$work/kvm.out"
short_guest env
ktap "it is named" refused "kvm (pid $kvm_pid)" || show short
short_guest "${as_nobody[@]}"
ktap "an ordinary user hears that KVM is in use" refused "in use ($module)" || show short
kill -0 $kvm_pid
exec {kvm_in}>&-
# the only writer was this shell: its standard input ends
wait $kvm_pid
ktap "all its sums were right" equal 0 $? || show kvm.out

# SIGKILL spares the keeper.
start_guest killed
ktap "a guest computes" computes killed || show killed.out
ktap "KVM is out of the way" out_of_the_way
kill -KILL $pid
wait $pid 2>/dev/null
ktap "vmmctl was killed: KVM is there again" until_true 30 loaded

# Not before the last VM.
start_guest first
first=$pid
ktap "first of two" computes first || show first.out
start_guest second
second=$pid
ktap "second of two" computes second || show second.out
modprobe $module 2>/dev/null
"$kvm_guest" guest </dev/null >"$work/kvm.out" 2>&1
ktap "KVM gets no processor meanwhile" grep -q "KVM makes no VM" "$work/kvm.out" || show kvm.out
end_guest first $first
ktap "the first ends" ended_well first || show first.out
ktap "the other computes, KVM is out of the way" \
	eval "sleep 4; computes second && out_of_the_way" || show second.out
end_guest second $second
ktap "the second ends" ended_well second || show second.out
ktap "both ended: KVM is there again" until_true 30 loaded

# A reboot is no end.
mkfifo "$work/reboot.in"
"$vmmctl" run -k "$VMLINUZ" -i "$INITRD" -m 160M -a 'loglevel=3 GUESTCMD="reboot -f"' \
	<>"$work/reboot.in" >"$work/reboot.out" 2>&1 &
pid=$!
twice() { [ "$(grep -c '^guest: up' "$work/reboot.out")" -ge 2 ]; }
until_true 120 twice
kill -KILL $pid
wait $pid 2>/dev/null
keepers() { ! pgrep -x vmmctl-kvm; }
ktap "a guest that reboots, then is killed: KVM is there again, the keepers are gone" \
	eval "twice && until_true 30 loaded && until_true 30 keepers" || show reboot.out

rmmod $module
rmmod kvm
modprobe -q -r ccp
if [ $late = 1 ]; then
	"$kvm_guest" >"$work/orders" 2>&1
	ktap "every order of loading, running and unloading" equal 0 $? || show orders
fi
rm -rf "$work"
ktap_end
