# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2034,SC2154
#
# traffic: no test; others source it.  Writes to $disk and sends to vmm.peer= for
# ever, as processes $writer and $sender.

mke2fs "$disk" > /dev/null
mount -t ext2 "$disk" /mnt
while dd if=/dev/zero of=/mnt/zeros bs=64k count=16 conv=fsync; do sleep 0.2; done 2> /dev/null &
writer=$!
ip addr add "$(arg ip)" dev eth0
ip link set eth0 up
pattern 1 > /run/pattern
peer=$(arg peer)
while nc "$peer" 5001 < /run/pattern; do sleep 0.5; done > /dev/null 2>&1 &
sender=$!
