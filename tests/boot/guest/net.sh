# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# net: packets and streams pass both ways.  tests/lab/net_peer.sh is the other
# side.
#
#	vmm.ip=ADDRESS/BITS	of the guest
#	vmm.peer=ADDRESS	of the host
#	vmm.mib=N		how much to send each way (4)

load virtio_net
await 5 [ -e /sys/class/net/eth0 ] || fail "no network card"
peer=$(arg peer)
mib=$(arg mib 4)
ip addr add "$(arg ip)" dev eth0
ip link set eth0 up

ping -c 3 -i 0.2 -W 2 "$peer" > /tmp/ping ||
	fail "no answer from $peer: $(tail -n 2 /tmp/ping | head -n 1)"
grep -q ' 0% packet loss' /tmp/ping || fail "$(tail -n 2 /tmp/ping | head -n 1)"

pattern "$mib" > /tmp/pattern
want=$(checksum /tmp/pattern)
got=$(nc "$peer" 5001 < /tmp/pattern | cut -d ' ' -f 1)
[ "$got" = "$want" ] || fail "$mib MiB to $peer arrived as $got, not $want"
rm /tmp/pattern
got=$(nc "$peer" 5002 < /dev/null | checksum)
[ "$got" = "$want" ] || fail "$mib MiB from $peer arrived as $got, not $want"
