# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC1091,SC2154
#
# net_again: packets pass before the guest restarts, and after.  The disk tells which it is.

. /tests/net.sh
find_disk
if [ "$(head -c 8 "$disk")" != rebooted ]; then
	printf rebooted | dd of="$disk" conv=fsync,notrunc 2> /dev/null
	say "first boot"
	reboot -f
fi
say "second boot"
nc -l -p 5005 > /dev/null		# until the host has seen enough
