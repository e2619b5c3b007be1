# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC1091,SC2154
#
# hotplug_busy: a disk that is mounted and written to and a card with traffic are
# taken away, and the guest lives on.  tests/boot/hotplugger.py is the other side.

load virtio_blk virtio_net
say ready
await 30 have_disk || fail "no disk has come"
await 30 [ -e /sys/class/net/eth0 ] || fail "no card has come"
. /tests/traffic.sh
sleep 1
say busy
await 30 [ ! -e "/sys/block/${disk##*/}" ] || fail "the disk has not gone"
await 30 [ ! -e /sys/class/net/eth0 ] || fail "the card has not gone"
kill "$sender" "$writer" 2> /dev/null || true
await 30 have_disk || fail "the host is not done"
