# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# net_user: address, router and name server come by DHCP, names by the latter, 2 MiB from
# the host, and go back to it by a forwarded port; datagrams go to and fro, whichever side
# begins; then the link goes amid a transfer.  test_net_user is the other side.

load virtio_net
await 5 [ -e /sys/class/net/eth0 ] || fail "no network card"
mkdir -p /etc
cat > /tmp/lease << 'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "${router%% *}" dev "$interface"
echo "${router%% *}" > /tmp/router
for server in $dns; do
	echo "nameserver $server"
done > /etc/resolv.conf
END
chmod 755 /tmp/lease
ip link set eth0 up
udhcpc -n -q -f -t 10 -T 1 -s /tmp/lease > /tmp/udhcpc 2>&1 ||
	fail "no lease: $(tail -n 1 /tmp/udhcpc)"

peer=$(cat /tmp/router)
grep -q "^nameserver $peer\$" /etc/resolv.conf || fail "the name server is not $peer"

nslookup some.example > /tmp/name 2>&1 || true
grep -qx 'Address: 192.0.2.77' /tmp/name || fail "no address for a name: $(cat /tmp/name)"

/tools/net_echo udp "$peer" 7000 20 1200 || fail "datagrams do not pass"

wget -q -O /tmp/pattern "http://$peer:8080/pattern" || fail "nothing from $peer"
got=$(checksum /tmp/pattern)
[ "$got" = "$(pattern 2 | checksum)" ] || fail "2 MiB from $peer arrived as $got"

no_carrier()
{
	[ "$(cat /sys/class/net/eth0/carrier)" = 0 ]
}

/tools/net_echo serve 7000 0 &
nc -l -p 22 -e sh -c 'read -r _; exec cat /tmp/pattern' &
await 10 grep -qs ':0016 .* 0A ' /proc/net/tcp /proc/net/tcp6 || fail "nc does not listen"
say "listening"
wait $! || true

sleep 600 | nc "$peer" 5003 | (
	head -c 1000000 > /dev/null
	touch /tmp/busy
	cat > /dev/null
) &
await 60 [ -e /tmp/busy ] || fail "nothing comes from $peer any more"
say "busy"
await 60 no_carrier || fail "the link did not go"
