# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced: what a kernel says that fails a run of a test host.

# complaints_in FILE console|output: those lines of a kernel log, after the time stamp.
# console: the test host's, all of it is the kernel's; output: CMD's, where a guest's
# log may be.  The trace that the kernel adds to an allocation's failure is none, where
# that was made to fail; nor is what it says of Bochs' topology leaves, which contradict
# each other.
complaints_in()
{
	# lockdep draws a line of equal signs, then WARNING: on a line of its own.
	tr -d '\r' <"$1" | awk -v file="$2" '
	{
		stamped = match($0, /^(<[0-9]+>)?\[ *[0-9]+\.[0-9]+\]([[:space:]]*\[ *[TC][0-9]+\])? /)
		if (!stamped && file != "console")
			next
		line = stamped ? substr($0, RLENGTH + 1) : $0
		if (line ~ /^fail[a-z]+: (vmalloc error|page allocation failure):/ ||
		    line ~ /^__kmem_cache_create_args\(vmm[a-z_]*\) failed with error -12/)
			wanted = 1
		if (line ~ /^WARNING: CPU: .* parse_legacy\+/) {
			wanted = 1
			next
		}
		if (wanted && line ~ /^Call Trace:/) {
			wanted = 0
			next
		}
		if (line ~ /^(WARNING: CPU|BUG:|Oops|INFO: (task|trying)|=+ WARNING:)/ ||
		    (rule && line ~ /^WARNING: /) ||
		    line ~ /^(UBSAN:|ODEBUG:|watchdog: BUG|BUG |rcu: INFO: .*(stall|starved))/ ||
		    line ~ /\[#[0-9]+\] / || line ~ /^unchecked MSR access error/ ||
		    (file == "console" &&
		     line ~ /^(testhost: (module-busy|module-trace|kmemleak-report|cannot)|Kernel panic|Call Trace:)/) ||
		    line ~ /^kmemleak: [0-9]+ new suspected/)
			print line
		rule = line ~ /^=+$/
	}'
}
