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

# apt-get install of $@, waiting for locks; package lists are refreshed when they
# do not know a package.  A source of the machine that fails does not matter as long
# as the packages are found.
packages_install()
{
	local try

	for try in 1 2 3; do
		if ! apt-get install -s --no-install-recommends "$@" >/dev/null 2>&1 ||
		   [ "$try" -gt 1 ]; then
			apt-get -q update || true
		fi
		DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 \
			install -y --no-install-recommends "$@" && return
		sleep $((try * 5))
	done
	return 1
}
