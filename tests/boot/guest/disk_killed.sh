# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# disk_killed: what fio was told is safe is there after the monitor died in mid-write.
#
#	vmm.state=BASE64	how far an earlier guest had come: see that it is all
#				there; without it, write until killed
#
# fio writes random places of the second half of the disk, each of them safe when it is
# complete, until it saves its state: that is on the console, and the time to kill.  In
# the first half other jobs go on, writing the files of a file system.

state=/local-killed-0-verify.state	# fio leaves it where it runs

fio_killed()
{
	/tools/fio --name=killed --filename="$disk" --offset=50% --size=50% --rw=randwrite \
		--bs=4k --ioengine=io_uring --iodepth=8 --direct=1 --sync=dsync \
		--verify=crc32c --eta=never --output=/tmp/out "$@" 2> /tmp/err
}

write_until_killed()
{
	/tools/mke2fs -q -F -O has_journal,extent "$disk" \
		$(($(cat "/sys/block/${disk##*/}/size") / 4))	# KiB
	mount -t ext4 "$disk" /mnt
	/tools/fio --name=files --directory=/mnt --nrfiles=8 --size=8m --rw=randwrite --bs=8k \
		--fsync=4 --time_based --runtime=1h > /dev/null 2>&1 &
	await 20 [ -e /mnt/files.0.7 ] || fail "fio made no files"
	fio_killed --do_verify=0 --trigger-timeout=2 \
		--trigger="echo guest: $test: state \$(base64 -w 0 $state)
			echo guest: $test: saved" || fail "$(cat /tmp/err)"
	wait
}

verify()
{
	mount -t ext4 "$disk" /mnt	# takes up the journal
	umount /mnt
	/tools/e2fsck -f -n "$disk" > /tmp/fsck 2>&1 ||
		fail "$(grep -v ^e2fsck /tmp/fsck | head -n 3)"
	arg state | base64 -d > $state
	fio_killed --verify_only --verify_state_load=1 || fail "$(head -n 3 /tmp/err /tmp/out)"
	say "$(grep 'issued rwts' /tmp/out)"
}

find_disk
if [ -z "$(arg state)" ]; then
	write_until_killed
else
	verify
fi
