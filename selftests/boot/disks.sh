#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: timeout=600 mem=3072
#
# "vmmctl run -d DISK" on disks of every layout, with a tiny kernel that shows what it was
# told; and what vmmctl says of a disk or a /dev/vmm that it cannot have.
set -u
. selftests/lib/ktap.sh
PATH=$PATH:/sbin:/usr/sbin

tiny=$PWD/build/selftests/boot/tiny-pvh
vmmctl=$(realpath "$vmmctl")
scale=${TEST_TIME_SCALE:-1}
dir=$(mktemp -d)
chmod 755 "$dir"
text=$dir/text
root_uuid=564d4d00-0000-4000-8000-00000000000a
boot_uuid=564d4d00-0000-4000-8000-00000000000b

run()
{
	timeout -k 5 $((60 * scale)) "$vmmctl" run -m 16M --console serial "$@" \
		</dev/null 2>&1 | tr -d '\r' >"$text"
	status=${PIPESTATUS[0]}
}

says() { grep -qF -- "$1" "$text" || { echo "it does not say '$1':"; tail -n 5 "$text"; return 1; }; }

# booted NAME LINE: the last run ended with 0, and its kernel's command line was LINE
booted()
{
	ktap "$1: boots" equal 0 "$status" || ktap_show "$text"
	ktap "$1: command line" equal "$2" "$(sed -n 's/^command line: //p' "$text")"
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

# make_fs IMAGE UUID TREE [START]: an ext4 of 16 MiB with the files of TREE, from sector START on
make_fs()
{
	mkfs.ext4 -q -F -U "$2" -d "$3" -E "offset=$((${4:-0} * 512))" "$1" 16M >"$dir/mkfs" 2>&1 ||
		cat "$dir/mkfs"
}

# start_of IMAGE NUMBER: the first sector of a partition
start_of() { sfdisk -d "$1" | sed -n "s,^$1$2 : start= *\([0-9]*\).*,\1,p"; }

partition()
{
	truncate -s 64M "$1"
	sfdisk -q "$1"
}

mkdir -p "$dir"/{debian,root,boot,none}
mkdir -p "$dir"/{debian,root,none}/{etc,sbin} "$dir/debian/boot"
: >"$dir/debian/sbin/init"
: >"$dir/root/sbin/init"
echo old >"$dir/debian/boot/vmlinuz-6.9-amd64"
for d in debian/boot boot; do
	cp "$tiny" "$dir/$d/vmlinuz-6.10-amd64"
	echo initrd >"$dir/$d/initrd.img-6.10-amd64"
done
chmod 600 "$dir/debian/boot/vmlinuz-6.10-amd64"

ktap_plan 59

whole=$dir/whole.img
truncate -s 16M "$whole"
make_fs "$whole" $root_uuid "$dir/debian"
run -d "$whole" -a show
booted "whole disk" "root=UUID=$root_uuid rw console=ttyS0 show"
ktap "whole disk: the newest kernel and its initrd" \
	says "booting /boot/vmlinuz-6.10-amd64 with /boot/initrd.img-6.10-amd64 from the disk"
ktap "whole disk: the initrd is there" says "size 7"
run -d "$whole",ro -a show
booted "read-only" "root=UUID=$root_uuid ro console=ttyS0 show"
run -d "$whole" -a "show root=/dev/vdx console=none"
booted "root= and console= given" "show root=/dev/vdx console=none"

printf 'label: gpt\n,8M\n,40M\n' | partition "$dir/gpt.img"
make_fs "$dir/gpt.img" $root_uuid "$dir/debian" "$(start_of "$dir/gpt.img" 2)"
run -d "$dir/gpt.img" -a show
booted "GPT" "root=UUID=$root_uuid rw console=ttyS0 show"

# Its first table is lost, its backup at the end is not.
cp --sparse=always "$dir/gpt.img" "$dir/backup.img"
dd if=/dev/zero of="$dir/backup.img" bs=512 seek=1 count=33 conv=notrunc status=none
run -d "$dir/backup.img" -a show
booted "GPT, the backup" "root=UUID=$root_uuid rw console=ttyS0 show"

printf 'label: dos\n,8M\n,40M\n' | partition "$dir/mbr.img"
make_fs "$dir/mbr.img" $root_uuid "$dir/debian" "$(start_of "$dir/mbr.img" 2)"
run -d "$dir/mbr.img" -a show
booted "MBR" "root=UUID=$root_uuid rw console=ttyS0 show"

printf 'label: dos\nx1 : size=8M\nx2 : size=50M, type=E\nx5 : size=8M\nx6 : size=30M\n' |
	 partition "$dir/logical.img"
make_fs "$dir/logical.img" $root_uuid "$dir/debian" "$(start_of "$dir/logical.img" 6)"
run -d "$dir/logical.img" -a show
booted "MBR, logical" "root=UUID=$root_uuid rw console=ttyS0 show"

for label in gpt dos; do
	printf 'label: %s\n,20M\n,20M\n' $label | partition "$dir/boot-$label.img"
	make_fs "$dir/boot-$label.img" $boot_uuid "$dir/boot" "$(start_of "$dir/boot-$label.img" 1)"
	make_fs "$dir/boot-$label.img" $root_uuid "$dir/root" "$(start_of "$dir/boot-$label.img" 2)"
	run -d "$dir/boot-$label.img" -a show
	booted "/boot a partition of its own ($label)" "root=UUID=$root_uuid rw console=ttyS0 show"
done

cp --sparse=always "$whole" "$dir/a,b.img"
run -d "$dir/a,,b.img" -a show
booted "a comma in the name" "root=UUID=$root_uuid rw console=ttyS0 show"

truncate -s 16M "$dir/bare.img"
run -d "$dir/bare.img" -d "$whole" -a show
booted "the second disk has it" "root=UUID=$root_uuid rw console=ttyS0 show"
rm "$dir/debian/boot/initrd.img-6.10-amd64"
truncate -s 16M "$dir/alone.img"
make_fs "$dir/alone.img" $root_uuid "$dir/debian"
run -d "$dir/bare.img" -d "$dir/alone.img" -a show
booted "without initrd the device's name" "root=/dev/vdb rw console=ttyS0 show"
ktap "without initrd: it is told" says "no initrd beside /boot/vmlinuz-6.10-amd64"
run -d "$dir/gpt.img" -k "$tiny" -a show
booted "kernel from a file, root from the disk" "root=/dev/vda2 rw console=ttyS0 show"
run -d "$dir/gpt.img" -k "$tiny" -i README.md -a show
booted "the same with an initrd" "root=UUID=$root_uuid rw console=ttyS0 show"

truncate -s 16M "$dir/none.img"
make_fs "$dir/none.img" $root_uuid "$dir/none"
run -d "$dir/none.img"
refused "no kernel" "has no kernel in /boot" "give one by -k"
run -d "$dir/bare.img"
refused "no file system" "no ext2, ext3 or ext4" "give the kernel by -k"

# Whose it is.
"$vmmctl" run -k "$tiny" -m 16M --console serial -d "$whole" -a "say=ready deaf" \
	</dev/null >"$dir/holder" 2>&1 &
holder=$!
for ((n = 0; n < 600 * scale; n++)); do
	! grep -aq ready "$dir/holder" || break
	sleep 0.1
done
run -d "$whole"
refused "in use" "is in use by vmmctl (pid $holder)" "with ,ro everywhere"
run -d "$whole",ro
refused "in use, to be read" "is in use by vmmctl (pid $holder)"
kill -KILL $holder
{ wait $holder; } 2>/dev/null

# Without privileges: the user's own disk, and what he is told where he may not.
user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
run_as_user()
{
	timeout -k 5 $((60 * scale)) "${user[@]}" "$vmmctl" run -m 16M --console serial "$@" \
		</dev/null 2>&1 | tr -d '\r' >"$text"
	status=${PIPESTATUS[0]}
}
chown root:root /dev/vmm
chmod 600 /dev/vmm
run_as_user -d "$whole"
refused "no permission, no udev rule" "you may not open /dev/vmm" "sudo make install"
getent group kvm >/dev/null || echo "kvm:x:64123:" >>/etc/group
chgrp kvm /dev/vmm && chmod 660 /dev/vmm
run_as_user -d "$whole"
refused "no permission" "sudo usermod -aG kvm nobody"
user=(setpriv --reuid=nobody --regid=nogroup --groups=kvm)
run_as_user -d "$whole"
refused "another's disk" "you may not write it" "give it with ,ro"
run_as_user -d "$whole",ro -a show
booted "another's disk, read-only" "root=UUID=$root_uuid ro console=ttyS0 show"
chown nobody "$whole"
run_as_user -d "$whole" -a show
booted "unprivileged" "root=UUID=$root_uuid rw console=ttyS0 show"

rmmod vmm_virtio
run -d "$whole"
refused "without vmm_virtio" "sudo modprobe vmm_virtio"
rmmod vmm
run -d "$whole"
refused "without vmm" "there is no /dev/vmm: the module vmm is not loaded" "sudo make load"

rm -rf "$dir"
ktap_end
