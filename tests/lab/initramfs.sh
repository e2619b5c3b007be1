#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# initramfs.sh OUT.cpio KERNELDIR "MODULE..." INITSCRIPT [SOURCE:TARGET...]
#
# Makes an uncompressed initramfs of static busybox, the named modules of the
# kernel in KERNELDIR (a folder made by assets.sh) with all that they depend on,
# INITSCRIPT as /init, and each SOURCE, a file or a folder, as /TARGET.  Needs
# no root.
#
# Modules are only carried: the init script loads them with modprobe.  One that
# the kernel has built in is fine; one that it lacks is an error, unless its
# name is written with a question mark before it (?i6300esb).
set -euo pipefail

die() { echo "initramfs: $*" >&2; exit 1; }

[ $# -ge 4 ] ||
	die 'usage: initramfs.sh OUT.cpio KERNELDIR "MODULE..." INITSCRIPT [SOURCE:TARGET...]'
out=$1 kernel=$2 modules=$3 init=$4
shift 4

PATH=$PATH:/usr/sbin:/sbin
[ -r "$kernel/release" ] || die "'$kernel' holds no kernel (run tests/lab/assets.sh)"
[ -r "$init" ] || die "cannot read the init script '$init'"
release=$(< "$kernel/release")
busybox=$kernel/programs/usr/bin/busybox	# of another machine
[ -e "$busybox" ] || busybox=$(command -v busybox) ||
	die "busybox is missing (package busybox-static)"

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
lib=$tree/lib/modules/$release
mkdir -p "$tree"/{bin,dev,proc,sys,run,tmp,mnt} "$lib"

# Busybox runs its own applets without links to them; scripts name the shell.
cp "$busybox" "$tree/bin/busybox"
ln -s busybox "$tree/bin/sh"
cp "$init" "$tree/init"
chmod 755 "$tree/init"
for pair in "$@"; do
	mkdir -p "$tree/$(dirname "${pair#*:}")"
	cp -r "${pair%%:*}" "$tree/${pair#*:}"
done

# add_module NAME: copy it and what it needs; fails when the kernel lacks it.
# modprobe prints "insmod PATH" lines in the order of loading, or "builtin NAME".
add_module()
{
	local plan verb path

	plan=$(modprobe -C /dev/null -d "$kernel" -S "$release" --show-depends "$1" 2>/dev/null) ||
		return
	while read -r verb path; do
		[ "$verb" = insmod ] || continue
		path=${path%% *}
		path=kernel/${path#*/kernel/}
		mkdir -p "$lib/${path%/*}"
		cp "$kernel/modules/$path" "$lib/$path"
	done <<< "$plan"
}

for module in $modules; do
	add_module "${module#\?}" || case $module in
	\?*)	;;
	*)	die "the kernel $release has no module '$module'" ;;
	esac
done

# The guest's modprobe wants the dependencies of what is here only.
while read -r line; do
	[ ! -e "$lib/${line%%:*}" ] || echo "$line"
done < "$kernel/modules/modules.dep" > "$lib/modules.dep"
cp "$kernel/modules/modules.builtin" "$lib/"

# No device nodes: /dev/console, which init is started on, lies in every kernel's
# own built-in archive, and devtmpfs brings the rest.
(
	cd "$tree"
	find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0
) > "$out"
