# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2154
#
# hotplug_busy: a disk that is mounted and written to and a card with traffic are
# taken away, and the guest lives on.  tests/boot/hotplugger.py is the other side.

load virtio_blk virtio_net
say ready
await 30 have_disk || fail "no disk has come"
await 30 [ -e /sys/class/net/eth0 ] || fail "no card has come"
mke2fs "$disk" > /dev/null
mount -t ext2 "$disk" /mnt
while dd if=/dev/zero of=/mnt/zeros bs=64k count=64 conv=fsync; do :; done 2> /dev/null &
writer=$!
ip addr add "$(arg ip)" dev eth0
ip link set eth0 up
while pattern 1 | nc "$(arg peer)" 5001; do :; done > /dev/null 2>&1 &
sender=$!
sleep 1
say busy
await 30 [ ! -e "/sys/block/${disk##*/}" ] || fail "the disk has not gone"
await 30 [ ! -e /sys/class/net/eth0 ] || fail "the card has not gone"
kill $sender $writer 2> /dev/null || true
