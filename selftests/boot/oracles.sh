#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test: side=machine timeout=600 kernels=6.12
#
# The self-checks of a debug build fire: with a fault planted, each ends the VM whose vCPU met it,
# and no other, and fails the test host's run.
set -u
. selftests/lib/ktap.sh

program=build/selftests/uapi/oracles
cases=(
	"1 remote_flush flush"
	"2 flush_at_entry translations"
	"4 changed_state control.block"
	"8 host_state host.state:.*came.back.with.STAR"
	"16 lazy_host_state host.state:.*left.its.CPU.with.TSC_AUX"
)

# In the test host: each fault with the test that meets it.
if [ -n "${TESTHOST:-}" ]; then
	rc=0
	for c in "${cases[@]}"; do
		read -r plant name _ <<<"$c"
		echo "$plant" >/sys/module/vmm/parameters/plant
		$program -t "$name" || rc=1
		echo 0 >/sys/module/vmm/parameters/plant
	done
	exit $rc
fi

name=oracles-$KVER
out=build/logs/$name
VMM_DEBUG=1 selftests/testhost/run --kernel "$KVER" --name "$name" --cpus 2 --timeout 500 -- \
	bash selftests/boot/oracles.sh >"$out.txt" 2>&1
rc=$?

ktap_plan $((2 + 2 * ${#cases[@]}))
ktap "a check that fires fails the run" equal 126 $rc || ktap_show "$out.txt"
for c in "${cases[@]}"; do
	read -r plant test text <<<"$c"
	ktap "$test: its VM ends, another works" grep -qE "^ok 1 .*\\b$test\$" "$out.txt"
	ktap "$test: the check says so" grep -qE "^BUG: vmm self-check: $text" "$out/complaints"
done
ktap "each once" equal ${#cases[@]} "$(grep -c '^BUG: vmm self-check' "$out/complaints")"
rm -f "$out.txt"
ktap_end
