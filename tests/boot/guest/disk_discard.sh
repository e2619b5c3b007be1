# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# disk_discard: what the guest discards or zeroes is gone, and nothing else.
#
# From the middle of the first disk on it writes 16 MiB and discards the second
# quarter of them, zeroes the third giving it back, and discards the fourth; the
# first stays.  A file system in front of that is trimmed after its files went.

find_disk
queue=/sys/block/${disk##*/}/queue
half=$(($(cat "/sys/block/${disk##*/}/size") / 4096))	# MiB
[ "$(cat "$queue/discard_max_bytes")" -gt 0 ] || fail "$disk cannot discard"
[ "$(cat "$queue/write_zeroes_max_bytes")" -gt 0 ] || fail "$disk cannot write zeroes"

# mib FIRST COUNT: of what was written, as the disk has it now
mib()
{
	dd if="$disk" bs=64k skip=$(((half + $1) * 16)) count=$(($2 * 16)) 2> /dev/null
}

head -c 16m /dev/urandom > /tmp/raw
dd if=/tmp/raw of="$disk" bs=64k seek=$((half * 16)) conv=fsync 2> /dev/null
echo 3 > /proc/sys/vm/drop_caches
[ "$(mib 0 16 | checksum)" = "$(checksum /tmp/raw)" ] || fail "raw data is not what was written"

blkdiscard -o $(((half + 4) << 20)) -l 4194304 "$disk"
/tools/fallocate -p -o $(((half + 8) << 20)) -l 4194304 "$disk"
blkdiscard -o $(((half + 12) << 20)) -l 4194304 "$disk"
# Zeroes that keep their room, within what stays.
/tools/fallocate -z -o $(((half << 20) + 4096)) -l 8192 "$disk"
dd if=/dev/zero of=/tmp/raw bs=4k seek=1 count=2 conv=notrunc 2> /dev/null
echo 3 > /proc/sys/vm/drop_caches
zeros=$(head -c 12m /dev/zero | checksum)
[ "$(mib 4 12 | checksum)" = "$zeros" ] || fail "what was discarded does not read as zeros"
[ "$(mib 0 4 | checksum)" = "$(head -c 4m /tmp/raw | checksum)" ] || fail "other data has changed"

mke2fs "$disk" $((half * 1024)) > /dev/null
mount -t ext2 "$disk" /mnt
cp /tmp/raw /mnt/file
sync
rm /mnt/file
sync
fstrim /mnt
umount /mnt
say "raw $half 4 $(head -c 4m /tmp/raw | checksum)"
