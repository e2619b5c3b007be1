# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2154
#
# migrate: memory, the first disk, a TCP stream and the clocks are as they should be
# while the guest moves from one monitor to another.
#
#	vmm.ip=ADDRESS/BITS	of the guest
#	vmm.peer=ADDRESS	of the host: its port 5003 sends numbered lines, and "over" when
#				there are no more moves; port 5004 tells the time

load virtio_net
find_disk
await 5 [ -e /sys/class/net/eth0 ] || fail "no network card"
ip addr add "$(arg ip)" dev eth0
ip link set eth0 up

head -c 4m /dev/urandom > /run/kept
sum=$(checksum /run/kept)
while cp /run/kept /run/copy && cmp /run/kept /run/copy; do :; done > /run/differs 2>&1 &
copier=$!

# Leaves in /run/amiss what was amiss, and in /run/over how much it was told.
listen()
{
	lines=0 up=0
	while read -r line; do
		read -r now rest < /proc/uptime
		now=${now%.*}${now#*.}
		[ "$now" -ge "$up" ] || echo "time went from $up to $now"
		up=$now
		[ "$line" != over ] || break
		lines=$((lines + 1))
		[ "$line" = $lines ] || echo "line $lines is '$line'"
	done > /run/amiss
	[ "$line" = over ] || echo "the stream ended after $lines lines" > /run/amiss
	echo "$lines" > /run/over
}
tail -f /dev/null | nc "$(arg peer)" 5003 | listen &

half=16		# MiB
say working
rounds=0
while [ ! -e /run/over ]; do
	head -c 4m /dev/urandom > /run/raw
	dd if=/run/raw of="$disk" bs=64k seek=$((half * 16)) conv=fsync 2> /dev/null
	echo 3 > /proc/sys/vm/drop_caches
	dd if="$disk" bs=32k skip=$((half * 32)) count=128 2> /dev/null | cmp - /run/raw ||
		fail "the disk has something else than what was written"
	rounds=$((rounds + 1))
done
say "raw $half 4 $(checksum /run/raw)"

kill -0 "$copier" || fail "memory has changed: $(head -n 1 /run/differs)"
kill "$copier"
[ "$(checksum /run/kept)" = "$sum" ] || fail "memory that nobody wrote to has changed"
[ ! -s /run/amiss ] || fail "$(head -n 1 /run/amiss)"
say "$rounds rounds, $(cat /run/over) lines"

before=$(date +%s)
there=$(nc "$(arg peer)" 5004 < /dev/null)
after=$(date +%s)
[ "$there" -ge $((before - 2)) ] && [ "$there" -le $((after + 2)) ] ||
	fail "it is $before to $after here and $there there"
! dmesg | grep -E 'soft lockup|rcu.*stall|clocksource.*unstable' ||
	fail "the kernel noticed that it was moved"
