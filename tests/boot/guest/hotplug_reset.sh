# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# hotplug_reset: a disk that comes is there from the start after a reset, and then
# goes.  tests/boot/hotplugger.py is the other side.

load virtio_blk
if await 2 have_disk; then
	say again
	# shellcheck disable=SC2154
	await 30 [ ! -e "/sys/block/${disk##*/}" ] || fail "the disk has not gone"
	await 30 have_disk || fail "the host is not done"
else
	say ready
	await 30 have_disk || fail "no disk has come"
	say has kept
	sleep 60
	fail "no reset has come"
fi
