# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# net_points: how fast the first network card is; for bench/lab-net, whose traffic.c says
# what is measured.
#
#	vmm.ip=ADDRESS/BITS	of the guest
#	vmm.peer=ADDRESS	of the host, where traffic serves port 5555
#	vmm.seconds=N		how long to measure each point

load virtio_net
await 5 [ -e /sys/class/net/eth0 ] || fail "no network card"
ip addr add "$(arg ip)" dev eth0
ip link set eth0 up
await 5 ping -c 1 -W 1 "$(arg peer)" > /dev/null || fail "no answer from $(arg peer)"
/tools/traffic "$(arg peer)" 5555 "$(arg seconds)" 2> /tmp/errors || fail "$(cat /tmp/errors)"
