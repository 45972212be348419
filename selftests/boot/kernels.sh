#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: timeout=600 mem=3072
#
# Kernels of every kind: what boots and what it is told, what does not boot and what
# vmmctl says to that.
set -u
. selftests/lib/ktap.sh

tiny=build/selftests/boot/tiny
scale=${TEST_TIME_SCALE:-1}
dir=$(mktemp -d)
text=$dir/text
release=$(basename "$VMLINUZ" | sed 's/^vmlinuz-//')

run()
{
	timeout -k 5 $((120 * scale)) "$vmmctl" run -m 16M --console serial "$@" \
		</dev/null 2>&1 | tr -d '\r' >"$text"
	status=${PIPESTATUS[0]}
}

says() { grep -qF -- "$1" "$text" || { echo "it does not say '$1':"; tail -n 5 "$text"; return 1; }; }

# told NAME TEXT...: the last run ended with 0, and printed these
told()
{
	local name=$1 line

	shift
	ktap "$name: boots" equal 0 "$status" || ktap_show "$text"
	for line; do
		ktap "$name: $line" says "$line"
	done
}

# refused NAME TEXT...: the last run ended with 20, and said these
refused()
{
	local name=$1 line

	shift
	ktap "$name: is refused" equal 20 "$status" || ktap_show "$text"
	for line; do
		ktap "$name: \"$line\"" says "$line"
	done
}

ktap_plan 67

printf abc >"$dir/mod1"
printf 'a longer one' >"$dir/mod 2"

run -k $tiny-multiboot -i "$dir/mod1" --module "$dir/mod 2,second one,, two" -a show
told "multiboot, ELF" "protocol: multiboot" "command line: $tiny-multiboot show" \
	"RAM in MiB: 16" "module: $dir/mod1 size 3" "sum: 294" "module: second one, two size 12" \
	"sum: 1130"
run -k $tiny-address -a show
told "multiboot, addresses" "protocol: multiboot" "command line: $tiny-address show"
run -k $tiny-multiboot
told "multiboot, no words at all"
run -k $tiny-pvh -i "$dir/mod1" -a show
told "ELF, PVH note" "protocol: pvh" "command line: console=ttyS0 show" "RAM in MiB: 16" \
	"size 3" "sum: 294"
run -k $tiny-bzimage -i "$dir/mod1" -a show
told "bzImage, 32-bit entry" "protocol: linux" "command line: console=ttyS0 show" \
	"RAM in MiB: 16" "module: initrd size 3" "sum: 294"
run -k <(cat $tiny-bzimage) -i <(cat "$dir/mod1") -a show
told "through a pipe" "protocol: linux" "module: initrd size 3"

# The stock kernel: as it is, with the initrd that lies beside it; and unpacked.
mkdir "$dir/boot"
cp "$VMLINUZ" "$dir/boot/vmlinuz-$release"
cp "$INITRD" "$dir/boot/initrd.img-$release"
run -k "$dir/boot/vmlinuz-$release" -m 256M -a 'GUESTCMD="cat /proc/cmdline"'
told "initrd.img-V beside vmlinuz-V" "guest: up $release" "guest: exit 0" 'console=ttyS0 GUESTCMD='

# The payload of a bzImage is a compressed vmlinux.
number() { od -An -tu4 -j "$1" -N 4 "$VMLINUZ" | tr -d ' '; }
sectors=$(od -An -tu1 -j $((0x1f1)) -N 1 "$VMLINUZ" | tr -d ' ')
tail -c +$(((sectors + 1) * 512 + $(number $((0x248))) + 1)) "$VMLINUZ" |
	head -c "$(number $((0x24c)))" >"$dir/payload"
case $(od -An -tx1 -N 4 "$dir/payload" | tr -d ' ') in
fd377a58) xz -dc <"$dir/payload" ;;
28b52ffd) zstd -dc <"$dir/payload" ;;
1f8b*) gzip -dc <"$dir/payload" ;;
esac >"$dir/vmlinux" 2>/dev/null
run -k "$dir/vmlinux" -i "$INITRD" -m 256M -a 'GUESTCMD="true"'
told "vmlinux by its PVH note" "guest: up $release" "guest: exit 0"

# What does not boot.
run -k $tiny-none
refused "ELF without note" "without PVH note or multiboot header" "CONFIG_PVH=y"
run -k "$VMLINUZ" -m 256M -i "$dir/none"
refused "no such initrd" "initrd $dir/none: No such file"
gzip -c "$dir/vmlinux" >"$dir/vmlinux.gz"
run -k "$dir/vmlinux.gz"
refused "compressed" "gzip file" "unpack it first"
run -k README.md
refused "a text" "is not a kernel that can be booted here"
run -k "$INITRD"
refused "an initrd" "is not a kernel"
run -k /bin/true
refused "a program" "without PVH note"
head -c 2M "$VMLINUZ" >"$dir/cut"
run -k "$dir/cut" -m 256M
refused "cut off" "is cut off"
: >"$dir/empty"
run -k "$dir/empty"
refused "empty" "is empty"
run -k "$dir"
refused "a directory" "is a directory"
run -k $tiny-pvh --module "$dir/mod1"
refused "a module for no multiboot kernel" "--module is for multiboot kernels" "-i"

# Memory.
run -k "$VMLINUZ" -i "$INITRD" -m 16M
refused "too little memory for the kernel" "give it more by --mem" "MiB at least"
head -c 24M /dev/zero >"$dir/big"
run -k $tiny-bzimage -i "$dir/big"
refused "too little memory for the initrd" "(24 MiB) does not fit" "give it more by --mem"
run -k $tiny-pvh -m 512G
refused "more memory than there is" "cannot be had" "Give it less by --mem"

# A kernel whose drivers are modules needs an initrd: it is told before the kernel panics.
cp "$VMLINUZ" "$dir/vmlinuz-alone"
"$vmmctl" run -k "$dir/vmlinuz-alone" -m 256M --console serial </dev/null >"$text" 2>&1 &
pid=$!
for ((n = 0; n < 600 * scale; n++)); do
	! grep -aq "Linux version" "$text" || break
	sleep 0.1
done
kill -KILL $pid
{ wait $pid; } 2>/dev/null
ktap "no initrd: it is told" says "needs one to reach its disk (-i FILE)"

rm -rf "$dir"
ktap_end
