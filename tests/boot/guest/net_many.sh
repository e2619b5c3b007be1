# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC1091,SC2154
#
# net_many: a card with a queue for each of 4 processors and an MTU of 9000; streams and
# datagrams both ways, and vmm.connections= at the same time.  test_net_many is the other
# side.

nr_sent()
{
	cat /sys/class/net/eth0/statistics/tx_packets
}

. /tests/net.sh
[ "$(cat /sys/class/net/eth0/mtu)" = 9000 ] || fail "the MTU is not 9000"
[ "$(ls -d /sys/class/net/eth0/queues/rx-* | wc -l)" = 4 ] || fail "there are not 4 queues"

before=$(nr_sent)
ping -c 3 -i 0.2 -s 8900 "$peer" > /dev/null || fail "packets of 8900 bytes do not pass"
[ $(($(nr_sent) - before)) -lt 6 ] || fail "packets of 8900 bytes are cut"

for len in 1000 8900 60000; do
	/tools/net_echo udp "$peer" 7000 50 $len || fail "datagrams of $len bytes do not pass"
done
/tools/net_echo serve 7000 "$(arg connections)" &
say listening
wait $! || fail "a connection failed"
