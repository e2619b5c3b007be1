# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# rng: the kernel's hardware random source is the virtio one, and it delivers.

load virtio_rng
await 5 [ -e /dev/hwrng ] || fail "no /dev/hwrng"
current=$(cat /sys/class/misc/hw_random/rng_current)
case $current in
virtio_rng*)	;;
*)		fail "the current random source is '$current'" ;;
esac

for n in 1 2; do
	dd if=/dev/hwrng of="/tmp/$n" bs=64 count=1 iflag=fullblock 2> /dev/null
	[ "$(wc -c < "/tmp/$n")" -eq 64 ] || fail "64 bytes asked, $(wc -c < "/tmp/$n") came"
done
! cmp -s /tmp/1 /tmp/2 || fail "two reads gave the same bytes"
