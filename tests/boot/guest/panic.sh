# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# panic: the kernel panics, and tells a pvpanic device if there is one.  What
# follows is the command line's panic=.

modprobe -a -q virtio_pci pvpanic_pci pvpanic_mmio || true
say "about to panic"
echo 1 > /proc/sys/kernel/sysrq
echo c > /proc/sysrq-trigger
fail "still alive after sysrq-c"
