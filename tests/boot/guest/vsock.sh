# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# vsock: what the guest sends to the host comes back whole, and what the host sends to
# the guest, by many connections at once.  vmm.lost= connections end with their monitor, and
# when one has there is another at once.  The host's half is tests/boot/vsock_host.py.

load vmw_vsock_virtio_transport
peer=/tools/vsock_peer

# Nobody listens there.
! $peer connect 1 < /dev/null 2> /dev/null || fail "connected to nobody"

pattern "$(arg mib 4)" > /tmp/out
connect()
{
	$peer connect 5000 < /tmp/out > /tmp/back || fail "cannot connect"
	[ "$(checksum /tmp/out)" = "$(checksum /tmp/back)" ] || fail "other bytes came back"
}
connect

$peer echo 1234 "$(arg connections)" &
say "listening"
wait $! || fail "a connection failed"

for nr in $(seq "$(arg lost)"); do
	$peer lose 5001 > /run/lost 2>&1 &
	loser=$!
	await 30 grep -q connected /run/lost || fail "not connected: $(cat /run/lost)"
	say "connected $nr"
	wait $loser || fail "connection $nr was not reset: $(cat /run/lost)"
	connect
done
