# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC1091,SC2154
#
# lifecycle: waits for the power button with traffic of disk and network under way.

load virtio_net
find_disk
await 5 [ -e /sys/class/net/eth0 ] || fail "no network card"
. /tests/traffic.sh
sleep 1
. /tests/wait_power.sh

# As an init does: a kernel that resets its devices may not survive their users.
kill "$writer" "$sender"
killall dd nc 2> /dev/null || true
wait
