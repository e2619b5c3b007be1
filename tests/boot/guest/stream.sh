# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2154
#
# stream: no test; others source it.  The guest takes a TCP stream while it moves, and afterwards
# stream_was_right says whether it, and the clocks, were as they should be.
#
#	vmm.ip=ADDRESS/BITS	of the guest
#	vmm.peer=ADDRESS	of the host: its port 5003 sends numbered lines, and "over" when
#				there are no more moves; port 5004 tells the time
#
# There is /run/over once that was heard.

load virtio_net
await 5 [ -e /sys/class/net/eth0 ] || fail "no network card"
ip addr add "$(arg ip)" dev eth0
ip link set eth0 up

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

stream_was_right()
{
	[ ! -s /run/amiss ] || fail "$(head -n 1 /run/amiss)"
	say "$(cat /run/over) lines"

	before=$(date +%s)
	there=$(nc "$(arg peer)" 5004 < /dev/null)
	after=$(date +%s)
	[ "$there" -ge $((before - 2)) ] && [ "$there" -le $((after + 2)) ] ||
		fail "it is $before to $after here and $there there"
	! dmesg | grep -E 'soft lockup|rcu.*stall|clocksource.*unstable' ||
		fail "the kernel noticed that it was moved"
}
