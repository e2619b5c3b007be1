# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC1091
#
# The tests of processors, disk and network in one guest, vmm.again= times.

. /tests/cpus.sh
. /tests/net.sh
for round in $(seq "$(arg again 1)"); do
	. /tests/disk.sh
	say "round $round"
done
[ "$(cat /sys/class/net/eth0/address)" = "$(arg mac)" ] || fail "the card has another address"
