# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2154
#
# disk_queues: each processor uses a queue of its own, all at once.
#
#	vmm.cpus=N	how many there are, and queues of the first disk
#
# Each writes its share of the first 8 MiB, whose SHA-256 is on the console.  Then the
# same with the write cache off.

find_disk
name=${disk##*/}
cpus=$(arg cpus)
share=$((8 / cpus))			# MiB
queues=$(find "/sys/block/$name/mq" -mindepth 1 -maxdepth 1 | wc -l)
[ "$queues" -eq "$cpus" ] || fail "$disk has $queues queues, not $cpus"

interrupts()
{
	sed -n "s/.* virtio0-req\.$1\$/&/p" /proc/interrupts |
		awk -v n="$cpus" '{ for (i = 2; i < 2 + n; i++) sum += $i } END { print sum + 0 }'
}

# write_all NAME: what /tmp/NAME holds, by all processors
write_all()
{
	pids=''
	for cpu in $(seq 0 $((cpus - 1))); do
		taskset -c "$cpu" dd if="/tmp/$1" of="$disk" bs=64k conv=notrunc,fsync \
			skip=$((cpu * share * 16)) seek=$((cpu * share * 16)) \
			count=$((share * 16)) 2> /dev/null &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || fail "a processor could not write"
	done
	echo 3 > /proc/sys/vm/drop_caches
	[ "$(dd if="$disk" bs=32k count=256 2> /dev/null | checksum)" = "$(checksum "/tmp/$1")" ] ||
		fail "$1 was not read back as written"
}

# cache KIND: as which the driver uses the disk
cache()
{
	echo "$1" > "/sys/block/$name/cache_type"
	[ "$(cat "/sys/block/$name/cache_type")" = "$1" ] || fail "no $1 cache"
}

head -c 8m /dev/urandom > /tmp/cached
head -c 8m /dev/urandom > /tmp/through
[ "$(cat "/sys/block/$name/cache_type")" = "write back" ] || fail "the cache is not on"
write_all cached
for queue in $(seq 0 $((cpus - 1))); do
	[ "$(interrupts "$queue")" -gt 0 ] || fail "no interrupt of queue $queue"
done
cache "write through"
write_all through
cache "write back"
say "sum $(checksum /tmp/through)"
