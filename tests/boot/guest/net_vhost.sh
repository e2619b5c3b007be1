# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2154
#
# net_vhost: a card that the host's kernel serves comes, loses its cable for a while, and
# goes.  tests/boot/hotplugger.py is the other side, and pauses the VM meanwhile.

carrier_is()
{
	[ "$(cat /sys/class/net/eth0/carrier)" = "$1" ]
}

load virtio_blk virtio_net
say ready
await 30 [ -e /sys/class/net/eth0 ] || fail "no card has come"
say begins
. /tests/net.sh
say used
await 30 carrier_is 0 || fail "the cable is not pulled"
! ping -c 1 -W 1 "$peer" > /dev/null || fail "packets pass without a cable"
say cable pulled
await 30 carrier_is 1 || fail "the cable is not back"
ping -c 1 -W 5 "$peer" > /dev/null || fail "no packet passes again"
say cable back
await 30 [ ! -e /sys/class/net/eth0 ] || fail "the card has not gone"
await 30 have_disk || fail "the host is not done"
