# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC1091
#
# The tests of processors, disk and network in one guest.

. /tests/cpus.sh
. /tests/disk.sh
. /tests/net.sh
[ "$(cat /sys/class/net/eth0/address)" = "$(arg mac)" ] || fail "the card has another address"
