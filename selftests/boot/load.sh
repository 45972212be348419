#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: timeout=300
#
# make load and make unload: the modules go in and out in order, and what the kernel
# refuses is told with its cause and the command that helps.
set -u
. selftests/lib/ktap.sh
PATH=$PATH:/sbin:/usr/sbin

tiny=$PWD/build/selftests/boot/tiny-multiboot
dir=$(mktemp -d)
text=$dir/text
release=$(uname -r)

says() { grep -qF -- "$1" "$text" || { echo "it does not say '$1':"; tail -n 12 "$text"; return 1; }; }
loaded() { [ -d "/sys/module/$1" ] || { echo "$1 is not loaded"; return 1; }; }
not_loaded() { [ ! -d "/sys/module/$1" ] || { echo "$1 is loaded"; return 1; }; }

# do_make TARGET: in $tree
do_make()
{
	make -C "$tree" "$1" >"$text" 2>&1
	status=$?
}

# A tree of its own, whose only module is changed by SED.
alter()
{
	tree=$dir/tree
	rm -rf "$tree"
	mkdir -p "$tree/build/modules/x"
	cp -r Makefile kmod "$tree"
	LC_ALL=C sed "$1" "$module" >"$tree/build/modules/x/vmm.ko"
}

# refused NAME TEXT...: the last one failed, nothing was loaded, and these were said
refused()
{
	local name=$1 line

	shift
	ktap "$name: fails" eval "[ $status != 0 ] && not_loaded vmm"
	for line; do
		ktap "$name: \"$line\"" says "$line"
	done
}

ktap_plan 37

tree=$PWD
do_make unload
ktap "unload: 0" equal 0 $status
ktap "unload: vmm_virtio first" equal "unloaded vmm_virtio unloaded vmm" \
	"$(grep '^unloaded' "$text" | tr '\n' ' ' | sed 's/ $//')"
ktap "unload: they are gone" eval "not_loaded vmm && not_loaded vmm_virtio"
do_make unload
ktap "unload of nothing: 0" equal 0 $status

do_make load
ktap "load: 0" equal 0 $status || ktap_show "$text"
ktap "load: both are in" eval "loaded vmm && loaded vmm_virtio"
ktap "load: shows the device" says /dev/vmm
module=$(sed -n 's,^loaded \(.*/vmm\.ko\)$,\1,p' "$text")
ktap "load: of this kernel" eval '[[ $(modinfo -F vermagic "$module") = "$release "* ]]'
do_make load
ktap "load again: 0" equal 0 $status
ktap "load again: says so" says "vmm is loaded already"

"$vmmctl" run -k "$tiny" -m 16M --console serial -a "say=ready deaf" </dev/null >"$dir/guest" 2>&1 &
guest=$!
for _ in {1..600}; do
	! grep -q ready "$dir/guest" || break
	sleep 0.1
done
do_make unload
ktap "unload under a guest fails" eval "[ $status != 0 ]"
ktap "unload under a guest: names it" says "$guest $vmmctl run"
ktap "unload under a guest: both stay" eval "loaded vmm && loaded vmm_virtio"
kill -KILL $guest
{ wait $guest; } 2>/dev/null
for _ in {1..50}; do
	[ "$(cat /sys/module/vmm/refcnt)" != 1 ] || break
	sleep 0.1
done
do_make unload
ktap "unload after it" equal 0 $status || ktap_show "$text"

alter ""
chmod 755 "$dir"
setpriv --reuid=nobody --regid=nogroup --clear-groups make -C "$tree" load >"$text" 2>&1
status=$?
refused "not root" "sudo make load"

# For another kernel; for one of the same name that was built otherwise; half a file.
other=9$(sed 's/^[0-9]//' <<<"$release")
alter "s/vermagic=$release /vermagic=$other /"
do_make load
refused "wrong vermagic" "built for $other" "(wrong vermagic)" \
	"make KDIR=/lib/modules/$release/build"
mv "/lib/modules/$release/build" "/lib/modules/$release/hidden" 2>/dev/null || {
	cp -rs "$(readlink -f "/lib/modules/$release")" "$dir/modules"
	rm "$dir/modules/build" "/lib/modules/$release"
	ln -s "$dir/modules" "/lib/modules/$release"
}
do_make load
refused "wrong vermagic, no headers" \
	"apt-get install linux-headers-$release && make KDIR=/lib/modules/$release/build"
rm -rf "$tree/build"
do_make load
refused "not built, no headers" "headers are missing" "apt-get install linux-headers-$release"
alter "s/\(vermagic=$release SMP preempt mod_unload modver\)sions /\1SIONS /"
do_make load
refused "another configuration" "does not fit the running kernel" "version magic"

# The kernel's own rules, from here on.
tree=$PWD
echo 1 >/sys/module/module/parameters/sig_enforce
do_make load
refused "unsigned, and signatures are enforced" "takes signed modules only" "sign-file sha256" \
	"mokutil --import"
mount -t securityfs none /sys/kernel/security 2>/dev/null
echo integrity >/sys/kernel/security/lockdown
do_make load
refused "unsigned, and the kernel is locked down" "The kernel is locked down" "sign-file sha256" \
	"mokutil --import"
ktap "the modules are not loaded" not_loaded vmm
rm -rf "$dir"
ktap_end
