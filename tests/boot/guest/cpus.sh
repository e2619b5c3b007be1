# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# cpus: vmm.cpus=N processors are online and each of them runs a process.

want=$(arg cpus 1)
have=$(grep -c '^processor' /proc/cpuinfo)
[ "$have" -eq "$want" ] || fail "$have processors are online, not $want"

for cpu in $(seq 0 $((want - 1))); do
	ran_on=$(taskset -c "$cpu" cut -d ' ' -f 39 /proc/self/stat)
	[ "$ran_on" = "$cpu" ] || fail "a process bound to processor $cpu ran on $ran_on"
done
