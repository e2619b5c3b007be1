# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# disk_killed: numbered files written and synced until the monitor is killed.
#
#	vmm.safe=N	the last one that an earlier guest said was safe; 0: make a
#			file system first
#	vmm.go=yes	go on writing, for ever
#
# Each number that is on the medium is on the console.

content()
{
	seq "$1" $(($1 + 5000))
}

# The files of all numbers that were safe are whole, and the counter no less.
check_files()
{
	for n in $(seq "$safe"); do
		content "$n" | cmp -s - "/mnt/$n" ||
			fail "file $n of $safe is not what was synced"
	done
	[ "$safe" -eq 0 ] || [ "$(sed 's/^0*//' /mnt/counter)" -ge "$safe" ] ||
		fail "the counter is at $(cat /mnt/counter), not $safe"
}

find_disk
safe=$(arg safe)
[ "$safe" -gt 0 ] || /tools/mke2fs -q -F -O has_journal,extent "$disk"
mount -t ext4 "$disk" /mnt		# takes up the journal, if there is something in it
umount /mnt
/tools/e2fsck -f -n "$disk" > /tmp/fsck 2>&1 || fail "$(grep -v ^e2fsck /tmp/fsck | head -n 3)"
mount -t ext4 "$disk" /mnt
check_files
[ "$(arg go no)" = yes ] || { umount /mnt; return; }
n=$safe
while true; do
	n=$((n + 1))
	content $n | dd of=/mnt/$n bs=16k conv=fsync 2> /dev/null
	printf '%08d\n' $n | dd of=/mnt/counter conv=notrunc,fsync 2> /dev/null
	say "safe $n"
done
