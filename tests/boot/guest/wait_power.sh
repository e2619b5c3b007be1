# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# wait_power: the guest sees the power button, of ACPI or a device tree.  The caller presses it when
# it reads "waiting".

# One kernel event of 24 bytes: time, type EV_KEY, code KEY_POWER, value pressed.
pressed='0001 0074 0001 0000'

modprobe -a -q evdev button
modprobe -q gpio_keys || true	# Arm's
for dir in /sys/class/input/event*; do
	if [ "$(cat "$dir/device/name" 2>/dev/null)" = "Power Button" ]; then
		button=/dev/input/${dir##*/}
		break
	fi
done
[ -n "$button" ] || fail "the firmware describes no power button"

exec 3< "$button"
say waiting
event=$(dd bs=24 count=1 <&3 2> /dev/null | tail -c 8 | od -An -v -tx2 | xargs)
[ "$event" = "$pressed" ] || fail "an event other than the button: $event"
say pressed
