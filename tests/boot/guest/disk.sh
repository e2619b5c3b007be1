# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# disk: what is written to a disk can be read back, raw and through ext2.
#
#	vmm.disk=SERIAL	which one; else the first
#	vmm.mib=N	how much of raw data (4)
#
# The file system takes the first half of the disk.  The raw data starts the
# second half and stays there, its SHA-256 is on the console: so the caller can
# look for it in the image.

drop_caches()
{
	sync
	echo 3 > /proc/sys/vm/drop_caches
}

find_disk
load crc32c_generic ext4
mib=$(arg mib 4)
half=$(($(cat "/sys/block/${disk##*/}/size") / 4096))	# MiB
[ "$half" -ge $((mib + 4)) ] || fail "$disk is too small: $((half * 2)) MiB"

head -c "$((mib << 20))" /dev/urandom > /tmp/raw
dd if=/tmp/raw of="$disk" bs=64k seek=$((half * 16)) conv=fsync 2> /dev/null
drop_caches
# Other sizes than those written, so that requests differ.
dd if="$disk" of=/tmp/back bs=4k skip=$((half * 256)) count=$((mib * 256)) 2> /dev/null
cmp /tmp/raw /tmp/back || fail "raw data on $disk is not what was written"
say "raw $half $mib $(checksum /tmp/raw)"
rm /tmp/back

mke2fs "$disk" $((half * 1024)) > /dev/null
mount -t ext2 "$disk" /mnt
mkdir -p /mnt/a/b
pattern 1 > /mnt/a/b/pattern
for n in $(seq 20); do
	head -c "$((n * 1777))" /tmp/raw > "/mnt/a/$n"
done
before=$(cd /mnt/a && sha256sum b/pattern ./*[0-9])
umount /mnt
drop_caches
mount -t ext2 "$disk" /mnt
after=$(cd /mnt/a && sha256sum b/pattern ./*[0-9])
umount /mnt
[ "$before" = "$after" ] || fail "files on $disk are not what was written"
