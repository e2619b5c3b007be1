# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# net_user: address, router and name server come by DHCP, names by the latter, 2 MiB from
# the host, and go back to it by a forwarded port; datagrams go to and fro, whichever side
# begins; then passt is killed amid a transfer, and another takes its place.
# test_net_user is the other side.
#
#	vmm.patience=SECONDS	that a step may last; each is said before it begins

patience=$(arg patience)

# within CONDITION: until it holds
within()
{
	timeout "$patience" sh -c "until $1; do sleep 0.1; done"
}

# The passt of Debian 12 loses its place in the stream of frames when its socket is full:
# it sends the length of one without the frame.  So no more than fits is ever under way.
echo 4096 65536 65536 > /proc/sys/net/ipv4/tcp_rmem

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
say "asks for an address"
udhcpc -n -q -f -t 30 -T 1 -s /tmp/lease > /tmp/udhcpc 2>&1 ||
	fail "no lease: $(tail -n 1 /tmp/udhcpc)"

peer=$(cat /tmp/router)
grep -q "^nameserver $peer\$" /etc/resolv.conf || fail "the name server is not $peer"

say "asks $peer for a name"
nslookup some.example > /tmp/name 2>&1 || true
grep -qx 'Address: 192.0.2.77' /tmp/name || fail "no address for a name: $(cat /tmp/name)"

say "sends datagrams"
/tools/net_echo udp "$peer" 7000 20 1200 || fail "datagrams do not pass"

say "fetches 2 MiB"
timeout "$patience" wget -q -O /tmp/pattern "http://$peer:8080/pattern" ||
	fail "$(stat -c %s /tmp/pattern) bytes of 2 MiB came from $peer"
got=$(checksum /tmp/pattern)
[ "$got" = "$(pattern 2 | checksum)" ] || fail "2 MiB from $peer arrived as $got"

/tools/net_echo serve 7000 0 &
timeout "$patience" nc -l -p 22 -e sh -c 'read -r _ && cat /tmp/pattern && read -r _' &
await 10 grep -qs ':0016 .* 0A ' /proc/net/tcp /proc/net/tcp6 || fail "nc does not listen"
say "listening"
wait $! || fail "the host does not say that it has 2 MiB by port 22"

say "has the host send without an end"
sleep 600 | nc "$peer" 5003 | (
	head -c 1000000 > /dev/null
	touch /tmp/busy
	cat > /dev/null
) &
within '[ -e /tmp/busy ]' || fail "nothing comes from $peer any more"
say "busy"
within "timeout 5 wget -q -O /dev/null http://$peer:8080/killed" ||
	fail "nothing comes from $peer by another passt"
