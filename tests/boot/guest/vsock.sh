# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# vsock: what the guest sends to the host comes back whole, and what the host sends to
# the guest, by many connections at once.  The host's half is tests/boot/vsock_host.py.

load vmw_vsock_virtio_transport
peer=/tools/vsock_peer

# Nobody listens there.
! $peer connect 1 < /dev/null 2> /dev/null || fail "connected to nobody"

pattern "$(arg mib 4)" > /tmp/out
$peer connect 5000 < /tmp/out > /tmp/back
[ "$(checksum /tmp/out)" = "$(checksum /tmp/back)" ] || fail "other bytes came back"

$peer echo 1234 "$(arg connections)" &
say "listening"
wait $! || fail "a connection failed"
