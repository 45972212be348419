# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by tests written in bash: results in KTAP.
#
#	ktap_plan 2
#	ktap "the file is there" test -e FILE
#	ktap_skip "the other" "no such device"
#	ktap_end

ktap_n=0
ktap_failed=0
# shellcheck disable=SC2034
vmmctl=${VMMCTL:-build/vmmctl/vmmctl}

ktap_plan()
{
	echo "TAP version 13"
	echo "1..$1"
}

# ktap NAME CMD...: passes where CMD does; what CMD prints is diagnostics.
ktap()
{
	local name=$1 out

	shift
	ktap_n=$((ktap_n + 1))
	if out=$("$@" 2>&1); then
		echo "ok $ktap_n $name"
		return 0
	fi
	[ -z "$out" ] || sed 's/^/# /' <<<"$out"
	echo "# failed: $*"
	echo "not ok $ktap_n $name"
	ktap_failed=1
	return 1
}

ktap_skip()
{
	ktap_n=$((ktap_n + 1))
	echo "ok $ktap_n $1 # SKIP $2"
}

ktap_end()
{
	exit $ktap_failed
}

# The output of a guest as diagnostics, without what would look like a result.
ktap_show()
{
	tr -d '\r\000' <"$1" | tail -n "${2:-60}" | sed 's/^/# /'
}

# equal WANTED GOT
equal()
{
	[ "$1" = "$2" ] || { echo "wanted '$1', got '$2'"; return 1; }
}

# within LOW HIGH GOT
within()
{
	[ "$3" -ge "$1" ] && [ "$3" -le "$2" ] || { echo "$3 is not in $1..$2"; return 1; }
}
