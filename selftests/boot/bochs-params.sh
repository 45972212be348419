#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: host=bochs
#
# In Bochs with VMX: the tests of events and interrupts with each feature that a parameter of
# the module switches off, by reloading the module; those of memory with what is on by itself only
# where the processor has an erratum.
set -u

programs=(events interrupt smp modes)
# Each of the second group needs the ones before it.
combinations=(
	"vmx_vpid=0"
	"vmx_ept_ad=0"
	"vmx_tpr_shadow=0 vmx_apic_regs=0 vmx_vid=0"
	"vmx_tpr_shadow=1 vmx_apic_regs=0 vmx_vid=0"
	"vmx_tpr_shadow=1 vmx_apic_regs=1 vmx_vid=0"
	"vmx_tpr_shadow=1 vmx_apic_regs=0 vmx_vid=1"
	"vmx_vpid=0 vmx_ept_ad=0 vmx_tpr_shadow=0"
	"vmx_nx_huge=1"
)

echo "KTAP version 1"
echo "1..${#combinations[@]}"
n=0
bad=0
for combination in "${combinations[@]}"; do
	n=$((n + 1))
	name=${combination// /,}
	run=("${programs[@]}")
	[ "$name" = vmx_nx_huge=1 ] && run=(memslots)
	echo "# Subtest: $name"
	rmmod vmm_virtio vmm
	# shellcheck disable=SC2086
	if ! { modprobe vmm $VMM_PARAMS $combination && modprobe vmm_virtio; }; then
		echo "not ok $n $name # the module does not load"
		bad=1
		continue
	fi
	if selftests/lib/run-tests --timeout 300 "${run[@]/#/build/selftests/uapi/}" |
	   sed -u 's/^/  /'; [ "${PIPESTATUS[0]}" = 0 ]; then
		echo "ok $n $name"
	else
		echo "not ok $n $name"
		bad=1
	fi
done
exit $bad
