# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# disk_ro: a read-only disk says that it is, can be read, and cannot be written.
#
#	vmm.disk=SERIAL	which one; else the first

find_disk
[ "$(cat "/sys/block/${disk##*/}/ro")" = 1 ] || fail "$disk does not say that it is read-only"

dd if="$disk" of=/tmp/before bs=64k count=1 2> /dev/null
blockdev --setrw "$disk" 2> /dev/null || true
if head -c 4096 /dev/urandom | dd of="$disk" bs=4096 conv=fsync 2> /dev/null; then
	fail "a write to $disk was accepted"
fi
echo 3 > /proc/sys/vm/drop_caches
dd if="$disk" of=/tmp/after bs=64k count=1 2> /dev/null
cmp /tmp/before /tmp/after || fail "$disk has changed"
