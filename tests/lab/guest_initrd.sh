#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# guest_initrd.sh OUT.cpio [KERNELDIR [PROGRAM...]]
#
# Makes the initramfs of guests under test: guest_init.sh, the tests of
# tests/boot/guest as /tests, and the modules that they load.  KERNELDIR is a
# folder made by assets.sh, by default its "guest".  Each PROGRAM of this machine
# that busybox has no like of comes along as /tools/PROGRAM, with its libraries.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
assets=${VMM_ASSETS:-$here/../../.cache/assets}

[ $# -ge 1 ] || { echo "usage: guest_initrd.sh OUT.cpio [KERNELDIR [PROGRAM...]]" >&2; exit 1; }

PATH=$PATH:/usr/sbin:/sbin
tools=()
for program in "${@:3}"; do
	path=$(command -v "$program") || { echo "guest_initrd: no $program here" >&2; exit 1; }
	tools+=("$(realpath "$path"):tools/$program")
	# "NAME => PATH (ADDRESS)", or the path alone of the dynamic linker.
	while read -r library; do
		tools+=("$(realpath "$library"):${library#/}")
	done < <(ldd "$path" | grep -o '/[^ ]*' | sort -u)
done

exec "$here/initramfs.sh" "$1" "${2:-$assets/guest}" \
	"virtio_pci virtio_blk virtio_net virtio_rng ?evdev ?button ?pvpanic_pci ?pvpanic_mmio" \
	"$here/guest_init.sh" "$here/../boot/guest:tests" "${tools[@]}"
