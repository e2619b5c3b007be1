# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC1091,SC2034,SC2154
#
# migrate: memory, the first disk, a TCP stream and the clocks are as they should be
# while the guest moves from one monitor to another.  stream.sh has its arguments.

. /tests/stream.sh
find_disk

head -c 4m /dev/urandom > /run/kept
sum=$(checksum /run/kept)
while cp /run/kept /run/copy && cmp /run/kept /run/copy; do :; done > /run/differs 2>&1 &
copier=$!

half=16		# MiB
say working
rounds=0
while [ ! -e /run/over ]; do
	head -c 4m /dev/urandom > /run/raw
	dd if=/run/raw of="$disk" bs=64k seek=$((half * 16)) conv=fsync 2> /dev/null
	echo 3 > /proc/sys/vm/drop_caches
	dd if="$disk" bs=32k skip=$((half * 32)) count=128 2> /dev/null | cmp - /run/raw ||
		fail "the disk has something else than what was written"
	rounds=$((rounds + 1))
done
say "raw $half 4 $(checksum /run/raw)"

kill -0 "$copier" || fail "memory has changed: $(head -n 1 /run/differs)"
kill "$copier"
[ "$(checksum /run/kept)" = "$sum" ] || fail "memory that nobody wrote to has changed"
say "$rounds rounds"
stream_was_right
