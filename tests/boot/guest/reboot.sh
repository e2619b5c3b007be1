# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# reboot: the guest restarts itself once.  What tells the two boots apart is a
# marker in the first sector of the disk, which the first boot must not find.

find_disk
if [ "$(head -c 8 "$disk")" != rebooted ]; then
	printf rebooted | dd of="$disk" conv=fsync,notrunc 2> /dev/null
	say "first boot"
	reboot -f
fi
say "second boot"
