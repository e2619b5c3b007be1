# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2154
#
# hotplug_use: what is plugged in is found, works and goes again.
# tests/boot/hotplugger.py is the other side.

no_disk()
{
	[ -z "$(ls -d /sys/block/vd* 2> /dev/null)" ]
}

carrier_is()
{
	[ "$(cat /sys/class/net/eth0/carrier)" = "$1" ]
}

# The serial number of the only disk.
serial_is()
{
	[ "$(cat /sys/block/vd*/serial 2> /dev/null)" = "$1" ]
}

load virtio_blk virtio_net
no_disk || fail "there is a disk at the start"
say ready
await 30 have_disk || fail "no disk has come"
serial_is hot || fail "the disk has another serial number"
await 30 [ -e /sys/class/net/eth0 ] || fail "no card has come"
[ "$(cat /sys/class/net/eth0/address)" = 52:54:00:12:34:99 ] ||
	fail "the card has another address"
mib=$(arg mib)
half=32
head -c "$((mib << 20))" /dev/urandom > /tmp/raw
dd if=/tmp/raw of="$disk" bs=64k seek=$((half * 16)) conv=fsync 2> /dev/null
echo 3 > /proc/sys/vm/drop_caches
dd if="$disk" bs=4k skip=$((half * 256)) count=$((mib * 256)) 2> /dev/null | cmp - /tmp/raw ||
	fail "raw data on $disk is not what was written"
sum=$(checksum /tmp/raw)
say "raw $half $mib $sum"

peer=$(arg peer)
ip addr add "$(arg ip)" dev eth0
ip link set eth0 up
ping -c 2 -i 0.2 -W 5 "$peer" > /dev/null || fail "no answer from $peer"
got=$(nc "$peer" 5001 < /tmp/raw | cut -d ' ' -f 1)
[ "$got" = "$sum" ] || fail "what was sent to $peer arrived as $got, not $sum"
say used
await 30 carrier_is 0 || fail "the cable is not pulled"
! ping -c 1 -W 1 "$peer" > /dev/null || fail "packets pass without a cable"
say cable pulled
await 30 carrier_is 1 || fail "the cable is not back"
ping -c 1 -W 5 "$peer" > /dev/null || fail "no packet passes again"
say cable back
await 30 no_disk || fail "the disk has not gone"
await 30 [ ! -e /sys/class/net/eth0 ] || fail "the card has not gone"
say gone
for i in $(seq 10); do
	await 30 serial_is "round$i" || fail "the disk has not come for the ${i}th time"
	dd if="$(echo /dev/vd*)" of=/dev/null bs=64k count=16 2> /dev/null
	say "has round$i"
	await 30 no_disk || fail "the disk has not gone for the ${i}th time"
	say "lost round$i"
done
await 30 serial_is end || fail "the host is not done"
