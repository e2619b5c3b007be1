#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# guest_initrd.sh OUT.cpio [KERNELDIR]
#
# Makes the initramfs of guests under test: guest_init.sh, the tests of
# tests/boot/guest as /tests, and the modules that they load.  KERNELDIR is a
# folder made by assets.sh, by default its "guest".
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
assets=${VMM_ASSETS:-$here/../../.cache/assets}

[ $# -ge 1 ] || { echo "usage: guest_initrd.sh OUT.cpio [KERNELDIR]" >&2; exit 1; }

exec "$here/initramfs.sh" "$1" "${2:-$assets/guest}" \
	"virtio_pci virtio_blk virtio_net virtio_rng ?evdev ?button ?pvpanic_pci ?pvpanic_mmio" \
	"$here/guest_init.sh" "$here/../boot/guest:tests"
