#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# guest_initrd.sh OUT.cpio [KERNELDIR [PROGRAM...]]
#
# Makes the initramfs of guests under test: guest_init.sh, the tests of
# tests/boot/guest as /tests, and the modules that they load.  KERNELDIR is a
# folder made by assets.sh, by default its "guest".  Each PROGRAM of this machine
# that busybox has no like of, a name or a path, comes along in /tools, with its
# libraries.
#
# fio is linked with 100 MiB of libraries for kinds of storage that no guest here has, and
# stress-ng with some for graphics.  In the place of such a library comes one that defines the
# functions that the program takes from it, and does nothing in them.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
assets=${VMM_ASSETS:-$here/../../.cache/assets}

[ $# -ge 1 ] || { echo "usage: guest_initrd.sh OUT.cpio [KERNELDIR [PROGRAM...]]" >&2; exit 1; }

PATH=$PATH:/usr/sbin:/sbin
stubs=$(mktemp -d)
trap 'rm -rf "$stubs"' EXIT
tools=()

# stub PROGRAM LIBRARY OUT: functions, and data of threads, are bound by name and version
stub()
{
	awk -v code="$3.c" -v map="$3.map" '
		FNR == NR { defined[$1] = 1; next }
		$7 == "UND" && split($8, name, "@") && name[1] in defined {
			form = $4 == "TLS" ? "__thread long %s;\n" : "void %s(void) {}\n"
			printf form, name[1] > code
			names[name[2]] = names[name[2]] name[1] "; "
		}
		END {
			for (version in names)
				print version " { " names[version] "};" > map
		}' <(nm -D --defined-only "$2" | sed 's/.* //; s/@.*//') \
		<(readelf -W --dyn-syms "$1")
	cc -w -shared -nostdlib "-Wl,-soname,${2##*/},--version-script=$3.map" \
		-o "$3" "$3.c"
}

# add_library PROGRAM LIBRARY
add_library()
{
	local program=${1##*/} name=${2##*/}

	case $program:$name in
	fio:ld-* | fio:libc.* | fio:libm.* | fio:libz.* | fio:libaio.* | fio:libnuma.*) ;;
	stress-ng:ld-* | stress-ng:libc.* | stress-ng:libm.* | stress-ng:libz.* | \
		stress-ng:libbsd.* | stress-ng:libmd.* | stress-ng:libgcc_s.*) ;;
	fio:* | stress-ng:*)	# What it does not name itself, others of these would have needed.
		if readelf -d "$1" | grep -qF "[$name]"; then
			stub "$1" "$2" "$stubs/$name"
			tools+=("$stubs/$name:${2#/}")
		fi
		return ;;
	esac
	tools+=("$(realpath "$2"):${2#/}")
}

for program in "${@:3}"; do
	path=$(command -v "$program") || { echo "guest_initrd: no $program here" >&2; exit 1; }
	tools+=("$(realpath "$path"):tools/${program##*/}")
	# "NAME => PATH (ADDRESS)", or the path alone of the dynamic linker; nothing if static.
	while read -r library; do
		add_library "$path" "$library"
	done < <(ldd "$path" 2>/dev/null | grep -o '/[^ ]*' | sort -u)
done

"$here/initramfs.sh" "$1" "${2:-$assets/guest}" \
	"virtio_pci virtio_blk virtio_net virtio_rng vmw_vsock_virtio_transport \
	?crc32c_generic ext4 ?evdev ?button ?gpio_keys ?msr ?pvpanic_pci ?pvpanic_mmio ?vmgenid" \
	"$here/guest_init.sh" "$here/../boot/guest:tests" "${tools[@]}"
