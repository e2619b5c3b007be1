# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# fio_points: how fast the first disk is; for bench/lab-block.
#
#	vmm.seconds=N	how long to measure each point
#
# Each of them prints "begin NAME" and "end NAME REQUESTS IOPS" as it does so.

# point NAME FIO-OPTION...
point()
{
	name=$1
	shift
	/tools/fio --name="$name" --filename="$disk" --ioengine=io_uring --direct=1 \
		--norandommap --randrepeat=0 --time_based --runtime="$(arg seconds)" \
		--eta=never --output=/tmp/out --output-format=terse --terse-version=3 \
		--exec_prerun="echo guest: begin $name | tee /dev/console" \
		--exec_postrun="echo guest: done $name | tee /dev/console" "$@" ||
		fail "$(head -n 3 /tmp/out)"
	# Fields of version 3: KiB and IOPS of reads, then of writes.
	say "end $name $(cut -d ';' -f 6,8,47,49 /tmp/out)"
}

cd /tmp || fail "no /tmp"
find_disk
point read-1 --rw=randread --bs=4k --iodepth=1
point read-32 --rw=randread --bs=4k --iodepth=32
point write-1 --rw=randwrite --bs=4k --iodepth=1
point write-32 --rw=randwrite --bs=4k --iodepth=32
point sequential --rw=read --bs=128k --iodepth=8
