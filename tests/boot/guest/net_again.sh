# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC1091,SC2154
#
# net_again: packets pass before the guest restarts, and after, datagrams both ways.  The
# disk tells which it is.

. /tests/net.sh
find_disk
if [ "$(head -c 8 "$disk")" != rebooted ]; then
	printf rebooted | dd of="$disk" conv=fsync,notrunc 2> /dev/null
	say "first boot"
	reboot -f
fi
/tools/net_echo udp "$peer" 7000 50 1400 || fail "datagrams do not pass"
/tools/net_echo serve 7000 1 &		# until the host has seen enough
say "second boot"
wait $! || fail "a connection failed"
