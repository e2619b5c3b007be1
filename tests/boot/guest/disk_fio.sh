# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# disk_fio: fio writes random places of several disks at once, with many requests under
# way, and finds in each place what it wrote there.
#
#	vmm.disks=LIST	their serial numbers, comma-separated; on each as many jobs as
#			the disk has queues

load virtio_blk
jobs=/tmp/jobs
cat > $jobs <<-END
	[global]
	ioengine=io_uring
	iodepth=16
	direct=1
	rw=randwrite
	bsrange=4k-64k
	size=4m
	offset_increment=4m
	verify=crc32c
END
for serial in $(arg disks | tr , ' '); do
	for disk in /sys/block/vd*; do
		[ "$(cat "$disk/serial")" != "$serial" ] || break
	done
	[ "$(cat "$disk/serial")" = "$serial" ] || fail "no disk $serial"
	queues=$(find "$disk/mq" -mindepth 1 -maxdepth 1 | wc -l)
	cat >> $jobs <<-END
		[$serial]
		filename=/dev/${disk##*/}
		numjobs=$queues
		cpus_allowed=0-$((queues - 1))
		cpus_allowed_policy=split
	END
	say "$serial has $queues queues"
done
/tools/fio --output=/tmp/out $jobs > /tmp/err 2>&1 || fail "$(head -n 3 /tmp/err)"
grep -q 'err= 0' /tmp/out || fail "$(head -n 20 /tmp/out)"
