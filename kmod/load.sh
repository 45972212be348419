#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# load.sh load|unload: vmm.ko and vmm_virtio.ko into or out of the running kernel,
# from build/modules/ or, if nothing is built there, those installed.  What the
# kernel refuses is told with its cause and the command that helps.
set -u

cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/sbin:/usr/sbin
release=$(uname -r)
# In the order in which they load.
modules="vmm vmm_virtio"

fail()
{
	for line; do
		echo "$line" >&2
	done
	exit 1
}

loaded() { [ -d "/sys/module/$1" ]; }

# Path of the module $1 for the running kernel, or nothing.
find_module()
{
	for dir in "build/modules/$release${VMM_DEBUG:+-debug}" build/modules/*; do
		[ -e "$dir/$1.ko" ] || continue
		case $(modinfo -F vermagic "$dir/$1.ko") in
		"$release "*) echo "$dir/$1.ko"; return ;;
		esac
	done
	modinfo -F filename -k "$release" "$1" 2>/dev/null
}

not_found()
{
	install=
	[ -e "/lib/modules/$release/build/Makefile" ] ||
		install="apt-get install linux-headers-$release && "
	set -- build/modules/*/vmm.ko
	if [ -e "$1" ]; then
		fail "The modules in build/modules/ are built for $(for m; do modinfo -F vermagic "$m" |
			cut -d' ' -f1; done | sort -u | tr '\n' ' ')" \
		     "and the running kernel is $release (wrong vermagic):" \
		     "  ${install}make KDIR=/lib/modules/$release/build"
	fi
	if [ -n "$install" ]; then
		fail "The modules are not built, and the running kernel's headers are missing:" \
		     "  ${install}make"
	fi
	fail "The modules are not built: make"
}

signed() { [ -n "$(modinfo -F signer "$1" 2>/dev/null)" ]; }

sign_help()
{
	cat >&2 <<END
Sign the modules with a key that the firmware knows, or disable Secure Boot:
  openssl req -new -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=vmm/ \\
      -keyout vmm.key -outform DER -out vmm.der
  mokutil --import vmm.der        # then reboot and confirm
  /lib/modules/$release/build/scripts/sign-file sha256 vmm.key vmm.der $1
END
	exit 1
}

# Why insmod of $1 failed, from its message $2.
explain()
{
	lockdown=$(cat /sys/kernel/security/lockdown 2>/dev/null)
	enforced=$(cat /sys/module/module/parameters/sig_enforce 2>/dev/null)
	case $lockdown in
	*"[integrity]"* | *"[confidentiality]"*)
		signed "$1" || {
			echo "The kernel is locked down ($lockdown) and $1 is not signed." >&2
			sign_help "$1"
		}
		;;
	esac
	if [ "$enforced" = Y ] && ! signed "$1"; then
		echo "The kernel takes signed modules only (module.sig_enforce) and $1 is not." >&2
		sign_help "$1"
	fi
	case $2 in
	*"ey was rejected"* | *"equired key not available"*)
		echo "The kernel does not know the key that signed $1." >&2
		sign_help "$1"
		;;
	*"nvalid module format"* | *"Exec format error"*)
		fail "$1 does not fit the running kernel $release:" \
		     "$(dmesg 2>/dev/null | grep -E 'vmm.*(version magic|disagrees|format)' | tail -n 2)" \
		     "  make clean && make KDIR=/lib/modules/$release/build"
		;;
	*"nknown symbol"*)
		fail "$1 needs symbols that the running kernel lacks:" \
		     "$(dmesg 2>/dev/null | grep 'Unknown symbol' | tail -n 3)" \
		     "  make clean && make KDIR=/lib/modules/$release/build"
		;;
	*"peration not permitted"*)
		fail "Not permitted: become root; in a container, load the modules on its host." \
		     "(kernel.modules_disabled is $(cat /proc/sys/kernel/modules_disabled 2>/dev/null))"
		;;
	esac
	fail "$2" "$(dmesg 2>/dev/null | grep 'vmm' | tail -n 3)"
}

load()
{
	for m in $modules; do
		if loaded "$m"; then
			echo "$m is loaded already"
			continue
		fi
		file=$(find_module "$m")
		if [ -z "$file" ]; then
			[ "$m" = vmm ] && not_found
			continue
		fi
		for dep in $(modinfo -F depends "$file" | tr , ' '); do
			case " $modules " in
			*" $dep "*) ;;
			*) modprobe "$dep" || fail "$file needs $dep, which cannot be loaded" ;;
			esac
		done
		message=$(insmod "$file" 2>&1) || explain "$file" "$message"
		echo "loaded $file"
	done
	[ -e /dev/vmm ] && ls -l /dev/vmm
	return 0
}

# Processes that hold /dev/vmm or what came from it, one a line.
holders()
{
	for fd in /proc/[0-9]*/fd/*; do
		case $(readlink "$fd" 2>/dev/null) in
		/dev/vmm | anon_inode:*vmm*)
			pid=${fd#/proc/}
			pid=${pid%%/*}
			echo "  $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
			;;
		esac
	done | sort -u
}

# References on the module $1, other modules' not counted.
users()
{
	refcnt=$(cat "/sys/module/$1/refcnt" 2>/dev/null || echo 0)
	set -- "/sys/module/$1/holders"/*
	[ -e "$1" ] || shift
	echo $((refcnt - $#))
}

in_use()
{
	fail "$1 cannot be unloaded: $2" "These processes use it; stop the guests first:" "$(holders)"
}

# All of them or, where one is in use, none.
unload()
{
	for m in $modules; do
		loaded "$m" && [ "$(users "$m")" -gt 0 ] && in_use "$m" "it is in use"
	done
	for m in $(echo "$modules" | tr ' ' '\n' | tac); do
		loaded "$m" || continue
		message=$(rmmod "$m" 2>&1) || in_use "$m" "$message"
		echo "unloaded $m"
	done
}

case ${1:-} in
load | unload) ;;
*) fail "usage: load.sh load|unload" ;;
esac
[ "$(id -u)" = 0 ] || fail "Modules are root's business: sudo make $1"
"$1"
