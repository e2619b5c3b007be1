# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2154
#
# clock: while this sleeps the monitor pauses the guest for much longer than
# that.  The guest's clocks must not show it, nor its watchdogs.

uptime_seconds()
{
	cut -d . -f 1 /proc/uptime
}

modprobe vmgenid 2> /dev/null || true	# for the test "generation"

before=$(uptime_seconds)
say "clock source $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
say sleeping
sleep 15
slept=$(($(uptime_seconds) - before))
[ $slept -lt 40 ] || fail "$slept seconds passed in a sleep of 15"
! dmesg | grep -E 'soft lockup|rcu.*stall|clocksource.*unstable' ||
	fail "the kernel noticed the pause"
