#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2013
#
# guest_init.sh - /init of a guest under test.  The kernel's command line says
# what it does:
#
#	vmm.test=NAME	run /tests/NAME.sh, say what came of it, power off
#	vmm.shell	a shell on the console; power off when it ends
#
# The verdict is one line on the console, and nothing else begins like it:
#
#	guest: NAME: PASS
#	guest: NAME: FAIL why
#
# A test is sourced by a shell of its own with set -e, so a command that fails
# fails the test; it may call the functions below.

# arg NAME [DEFAULT]: the value of vmm.NAME=, else the default
arg()
{
	for word in $(cat /proc/cmdline); do
		case $word in
		"vmm.$1="*)
			echo "${word#*=}"
			return ;;
		esac
	done
	echo "$2"
}

say()
{
	echo "guest: $test: $*"
}

fail()
{
	echo "$*" > /run/reason
	exit 1
}

# load MODULE...: drivers on the virtio PCI bus
load()
{
	modprobe -a virtio_pci "$@" || fail "cannot load $*"
}

# await SECONDS COMMAND...: until it succeeds
await()
{
	tries=$(($1 * 20))
	shift
	until "$@"; do
		[ $tries -gt 0 ] || return 1
		tries=$((tries - 1))
		sleep 0.05
	done
}

# Sets $disk to the virtio disk with the serial number vmm.disk=, else the first.
find_disk()
{
	load virtio_blk
	await 5 have_disk || fail "no virtio disk $(arg disk)"
}

have_disk()
{
	for disk in /sys/block/vd*; do
		[ -e "$disk" ] || return 1
		[ "$(cat "$disk/serial")" = "$(arg disk "$(cat "$disk/serial")")" ] || continue
		disk=/dev/${disk##*/}
		return 0
	done
	return 1
}

# pattern MIB: text no two lines of which are equal
pattern()
{
	seq 1 100000000 2>/dev/null | head -c "$(($1 << 20))"
}

checksum()
{
	sha256sum "$@" | cut -d ' ' -f 1
}

run_test()
{
	if [ ! -e "/tests/$test.sh" ]; then
		say "FAIL there is no such test"
		return
	fi
	(
		set -e
		# shellcheck source=/dev/null
		. "/tests/$test.sh"
	)
	status=$?
	if [ $status -eq 0 ]; then
		say PASS
	else
		[ -e /run/reason ] || echo "a command failed with status $status" > /run/reason
		say "FAIL $(cat /run/reason)"
	fi
}

/bin/busybox mount -t proc proc /proc	# busybox finds its applets there
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
export PATH=/bin

test=$(arg test)
if [ -n "$test" ]; then
	run_test
elif grep -qw vmm.shell /proc/cmdline; then
	mkdir -p /dev/pts
	mount -t devpts devpts /dev/pts
	modprobe -a -q virtio_pci virtio_blk virtio_net virtio_rng
	busybox --install -s /bin
	setsid cttyhack sh -l
else
	echo "guest: neither vmm.test= nor vmm.shell on the command line"
fi
poweroff -f
