# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# net_serve: what comes to port 7000 goes back, until 3 connections have come and gone.
#
#	vmm.ip=ADDRESS/BITS	of the guest

load virtio_net
await 5 [ -e /sys/class/net/eth0 ] || fail "no network card"
ip addr add "$(arg ip)" dev eth0
ip link set eth0 up
/tools/net_echo serve 7000 3 &
say listening
wait $! || fail "a connection failed"
