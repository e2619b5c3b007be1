# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC1091,SC2034,SC2154
#
# migrate_load: stress-ng finds in memory, and fio on the first disk, what they have written
# there, while the guest moves from one monitor to another.  stream.sh has its arguments.

. /tests/stream.sh
find_disk

/tools/stress-ng --vm 1 --vm-bytes 8m --vm-method all --verify --timeout 0 > /run/stressed 2>&1 &
stress=$!

half=16		# MiB
say working
rounds=0
while [ ! -e /run/over ]; do
	/tools/fio --name=load --filename="$disk" --offset=${half}m --size=4m --rw=randwrite \
		--bsrange=4k-64k --ioengine=io_uring --iodepth=16 --direct=1 --fsync=8 \
		--verify=crc32c --eta=never --output=/tmp/out 2> /tmp/err ||
		fail "$(head -n 3 /tmp/err /tmp/out)"
	grep -q 'err= 0' /tmp/out || fail "$(head -n 20 /tmp/out)"
	rounds=$((rounds + 1))
done
say "raw $half 4 $(dd if="$disk" bs=64k skip=$((half * 16)) count=64 2> /dev/null | checksum)"

# It ends by itself when it has found something.
kill "$stress" && wait "$stress" ||
	fail "stress-ng ended: $(grep -v info: /run/stressed | head -n 1)"
say "$rounds rounds"
stream_was_right
