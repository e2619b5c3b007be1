# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# net_ask: another guest, which runs net_serve, is there, and gives back what it gets.
#
#	vmm.ip=ADDRESS/BITS	of this one
#	vmm.peer=ADDRESS	of the other

load virtio_net
await 5 [ -e /sys/class/net/eth0 ] || fail "no network card"
peer=$(arg peer)
ip addr add "$(arg ip)" dev eth0
ip link set eth0 up
ping -c 3 -i 0.2 -W 5 "$peer" > /tmp/ping || fail "no answer from $peer"
/tools/net_echo udp "$peer" 7000 20 20000 || fail "datagrams do not pass"
/tools/net_echo tcp "$peer" 7000 3 2000000 || fail "streams do not pass"
