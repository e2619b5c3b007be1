# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2154
#
# At least vmm.mib= MiB of RAM, part of it above 4 GiB, and usable.

want=$(arg mib)
got=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
[ "$got" -ge "$want" ] || fail "$got MiB, not $want"
grep -q '^10*[0-9a-f]\{8\}-.* : System RAM' /proc/iomem || fail "no RAM above 4 GiB"

mount -t tmpfs -o size=64M tmp /tmp
pattern 4 > /tmp/a
[ "$(checksum /tmp/a)" = "$(pattern 4 | checksum)" ] || fail "memory does not keep what it is given"
