#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# assets.sh [KIND...]
#
# Fetches stock distribution kernels with the package manager and unpacks them,
# without installing anything, into $VMM_ASSETS (default: .cache/assets of the
# checkout).  KIND is host, guest, guest-next or arm64; all but the last by default, and
# only that on a machine of arm64.
#
#	host		kernel that runs as the nested lab's KVM host
#	guest		kernel of the guests in boot tests
#	guest-next	a second, newer one of those
#	arm64		kernel of arm64, both of a KVM host and of guests; on another
#			machine with programs for that host (Debian; after
#			scripts/setup --arm64)
#
# host is a folder; guest and guest-next are links to folders named for their
# version (guest-6.1, guest-6.12).  Each holds
#
#	bzImage  vmlinux  config  release  lib/modules/RELEASE/  modules -> it
#
# arm64 has Image in place of the first two.  Its programs/ are to be laid over the files
# of a machine with another processor: bash, ip, certtool, Python (of which all that is
# no program is that machine's own), and busybox for all else.
#
# Nothing is done, and nothing said, for a kernel that is already there in the
# version that the package lists name now.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
assets=${VMM_ASSETS:-$here/../../.cache/assets}

# Raise this when what is unpacked, or how, changes.
layout=4

# Parts of a big kernel package that no virtual machine can use.
useless=(
	'*/kernel/sound' '*/kernel/drivers/gpu' '*/kernel/drivers/media'
	'*/kernel/drivers/net/wireless' '*/kernel/drivers/net/ethernet'
	'*/kernel/drivers/infiniband' '*/kernel/drivers/staging'
)

# The Python of this machine: python3.11
python=$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')

# What goes to arm64/programs: PACKAGE:FILE, or PACKAGE for a library's.
arm64_programs=(
	bash:bin/bash busybox-static:bin/busybox util-linux:usr/bin/unshare iproute2:bin/ip
	gnutls-bin:usr/bin/certtool passt:usr/bin/passt
	libtinfo6 libbpf1 libelf1 libmnl0 libbsd0 libmd0 libcap2
	"$python-minimal:usr/bin/$python" "lib$python-minimal:usr/lib/$python/lib-dynload/*"
	"lib$python-stdlib:usr/lib/$python/lib-dynload/*" libexpat1
)

die() { echo "assets: $*" >&2; exit 1; }
say() { echo "assets: $*" >&2; }

# The distribution's name for the kernel of that kind: a meta-package.
meta_package()
{
	case $distribution:$1 in
	debian:host)		echo linux-image-amd64 ;;
	debian:guest)		echo linux-image-cloud-amd64 ;;
	debian:guest-next)	echo linux-image-6.12-cloud-amd64 ;;
	debian:arm64)		echo linux-image-arm64:arm64 ;;
	ubuntu:host)		echo linux-image-generic ;;
	ubuntu:guest)		echo linux-image-virtual ;;
	ubuntu:arm64)		echo linux-image-generic:arm64 ;;
	ubuntu:guest-next)	echo "linux-image-virtual-hwe-$release" ;;
	*:host | *:guest | *:guest-next | *:arm64)
		die "no kernel packages are known for '$distribution': see meta_package()" ;;
	*)			die "unknown kind '$1': host, guest, guest-next or arm64" ;;
	esac
}

# What must be unpacked for an image package; Ubuntu keeps modules apart.
packages_of()
{
	echo "$1"
	case $distribution in
	ubuntu)	echo "${1/linux-image-/linux-modules-}" ;;
	esac
}

# describe META: its version and the image package of its machine that it stands for today, which
# has a version in its name; nothing where there is no such package
describe()
{
	apt-cache --no-all-versions show "$1" 2>/dev/null | sed -nE '
		s/^Version: (.*)/\1/p
		s/^Depends: (.*, )?(linux-image-[0-9][^ ,]*).*/\2/p' | xargs |
		case $1 in
		*:*)	sed "s/ .*/&:${1#*:}/" ;;
		*)	cat ;;
		esac
}

# Whether KIND was looked at after the package lists were last fetched.
fresh()
{
	local stamp=$assets/$1/stamp

	grep -qs "^layout $layout " "$stamp" &&
		[ -z "$(find /var/lib/apt/lists -maxdepth 1 -newer "$stamp" -print -quit)" ]
}

# fetch FOLDER PACKAGE...: download and unpack into FOLDER
fetch()
{
	local to=$1 deb

	shift
	mkdir "$to/deb" "$to/root"
	# apt's own user may not write below a home directory.
	(cd "$to/deb" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$@") ||
		die "cannot download $* (are the package lists fresh? apt-get update)"
	for deb in "$to"/deb/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" |
			tar -C "$to/root" --no-same-owner -x "${useless[@]/#/--exclude=}"
	done
}

# fetch_programs FOLDER: what arm64_programs lists, to FOLDER/programs.  Some packages
# still say /bin or /lib, which have become one with those below /usr.
fetch_programs()
{
	local to=$1/programs package files name packages

	mkdir -p "$1/deb" "$to"/usr/{bin,sbin}
	mapfile -t packages < <(printf '%s\n' "${arm64_programs[@]}" | sed 's/:.*//; s/$/:arm64/')
	(cd "$1/deb" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "${packages[@]}") ||
		die "cannot download ${packages[*]}"
	for package in "${arm64_programs[@]}"; do
		files=${package#*:}
		[ "$files" != "$package" ] || files="*lib/aarch64-linux-gnu/*"
		dpkg-deb --fsys-tarfile "$1/deb/${package%:*}"_*.deb |
			tar -C "$to" --no-same-owner --wildcards \
				--transform 's,^\./\(s\?bin\|lib\)/,./usr/\1/,' -x "./$files"
	done
	for name in $(busybox --list); do
		[ ! -e "$to/usr/bin/$name" ] || continue
		ln -s /usr/bin/busybox "$to/usr/bin/$name"
		ln -s /usr/bin/busybox "$to/usr/sbin/$name"
	done
	rm -rf "$1/deb"
}

# arrange FOLDER KIND: make the layout above out of FOLDER/root
arrange()
{
	local to=$1 root=$1/root name

	name=$(basename "$root"/boot/vmlinuz-*)
	name=${name#vmlinuz-}
	mkdir "$to/lib"
	if [ -d "$root/lib/modules" ]; then
		mv "$root/lib/modules" "$to/lib/"
	else
		mv "$root/usr/lib/modules" "$to/lib/"
	fi
	ln -s "lib/modules/$name" "$to/modules"
	# kmod of a merged-/usr system looks below usr/lib.
	ln -s . "$to/usr"
	mv "$root/boot/config-$name" "$to/config"
	echo "$name" > "$to/release"
	case $2 in
	arm64)	# Ubuntu's is packed
		zcat -f < "$root/boot/vmlinuz-$name" > "$to/Image" ;;
	*)
		mv "$root/boot/vmlinuz-$name" "$to/bzImage"
		chmod 644 "$to/bzImage"		# Ubuntu's is for root only
		"$here/extract_vmlinux.sh" "$to/bzImage" > "$to/vmlinux" ;;
	esac

	# Plain modules load with any insmod, and faster.
	find "$to/lib/modules" -name '*.ko.xz' -print0 | xargs -0r xz -dq
	find "$to/lib/modules" -name '*.ko.zst' -print0 | xargs -0r zstd -dq --rm
	find "$to/lib/modules" -name '*.ko.gz' -print0 | xargs -0r gzip -dq
	depmod -b "$to" "$name"

	rm -rf "$to/deb" "$root"
}

# provide KIND: leave $assets/KIND up to date
provide()
{
	local kind=$1 meta version image folder stamp to
	local packages

	meta=$(meta_package "$kind")
	! fresh "$kind" || return 0
	read -r version image < <(describe "$meta"; echo)
	if [ -z "$image" ]; then
		[ ! -e "$assets/$kind/stamp" ] ||
			return 0	# the lists are gone, what was fetched is good
		# A distribution of today may have no newer one.
		[ "$kind" != guest-next ] ||
			{ ln -sfn "$(readlink "$assets/guest")" "$assets/$kind"; return 0; }
		die "no package $meta in the package lists (apt-get update)"
	fi
	mapfile -t packages < <(packages_of "$image")
	stamp="layout $layout $meta $version ${packages[*]}"

	folder=$kind
	[[ $kind =~ ^(host|arm64)$ ]] ||
		folder=guest-$(sed -E 's/^linux-image-([0-9]+\.[0-9]+).*/\1/' <<< "$image")
	if [ "$(cat "$assets/$folder/stamp" 2>/dev/null)" != "$stamp" ]; then
		say "fetching ${packages[*]}"
		to=$(mktemp -d "$assets/.new.XXXXXX")
		chmod 755 "$to"
		fetch "$to" "${packages[@]}"
		arrange "$to" "$kind"
		[ "$kind" != arm64 ] || [ "$(uname -m)" = aarch64 ] || fetch_programs "$to"
		echo "$stamp" > "$to/stamp"
		rm -rf "${assets:?}/$folder"
		mv "$to" "$assets/$folder"
	fi
	touch "$assets/$folder/stamp"
	[ "$folder" = "$kind" ] || ln -sfn "$folder" "$assets/$kind"
}

for tool in apt-get apt-cache dpkg-deb depmod xz zstd lz4; do
	command -v "$tool" > /dev/null || PATH=$PATH:/usr/sbin:/sbin
	command -v "$tool" > /dev/null || die "'$tool' is missing (run scripts/setup)"
done
# shellcheck source=/dev/null
distribution=$(. /etc/os-release && echo "$ID")
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${VERSION_ID:-}")

mkdir -p "$assets"
assets=$(cd "$assets" && pwd)
exec 9> "$assets/.lock"
flock 9
rm -rf "$assets"/.new.*		# of a run that was killed

kinds=(host guest guest-next)
[ "$(uname -m)" != aarch64 ] || kinds=(arm64)
[ $# -gt 0 ] || set -- "${kinds[@]}"
for kind in "$@"; do
	provide "$kind"
done
