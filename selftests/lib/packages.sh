# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced: the Debian packages that the project's scripts need, as
# selftests/testhost/packages lists them in groups.

packages_list=$(dirname "${BASH_SOURCE[0]}")/../testhost/packages

# Packages of the groups $@ that are not installed, on one line.
packages_missing()
{
	local group package

	for group; do
		awk -v g="$group" '$1 == g { print $2 }' "$packages_list"
	done | sort -u | while read -r package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			printf '%s ' "$package"
	done
}

# The command line by which root installs packages $@.
packages_command()
{
	echo "apt-get update && apt-get install -y --no-install-recommends $*"
}

# apt-get $@, which is tried again for ten minutes while another program holds one of apt's
# locks; who that is goes to standard error, all that apt-get says to standard output.
apt_get()
{
	local limit=$((SECONDS + 600)) output holder told rc

	output=$(mktemp)
	while :; do
		LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive apt-get -q "$@" 2>&1 | tee "$output"
		rc=${PIPESTATUS[0]}
		[ "$rc" != 0 ] && [ $SECONDS -lt $limit ] &&
			grep -qE '^E: (Could not get lock|Unable to (acquire|lock))' "$output" || break
		holder=$(sed -n 's/^E: Could not get lock .*\(held by process [^.]*\).*/, \1/p' "$output" |
			head -n 1)
		[ -n "${told:-}" ] || echo "Waiting for apt's lock$holder" >&2
		told=1
		sleep "${APT_WAIT:-3}"
	done
	rm -f "$output"
	return "$rc"
}

# apt-get install of $@; package lists are refreshed when they do not know a package.  A
# source of the machine that fails does not matter as long as the packages are found.
packages_install()
{
	local try

	for try in 1 2 3; do
		if ! apt-get install -s --no-install-recommends "$@" >/dev/null 2>&1 ||
		   [ "$try" -gt 1 ]; then
			apt_get update || true
		fi
		apt_get install -y --no-install-recommends "$@" && return
		sleep $((try * 5))
	done
	return 1
}
