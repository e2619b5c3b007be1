#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# cbmc.sh: prints the command that runs CBMC
#
# That of the system where it is installed.  Debian 12 has no package of it: there
# Debian 13's is unpacked into $VMM_ASSETS (default: .cache/assets of the checkout),
# with the libraries that it wants, unless that has been done.  Nothing is installed,
# and the system's package lists stay as they are.
set -euo pipefail

assets=${VMM_ASSETS:-$(cd "$(dirname "$0")/../.." && pwd)/.cache/assets}
release=trixie
packages=(cbmc minisat libc6 libgcc-s1 libstdc++6 zlib1g)

command -v cbmc && exit

root=$assets/cbmc
libraries=$root/usr/lib/$(uname -m)-linux-gnu
if [ ! -d "$root" ]; then
	mkdir -p "$assets"
	work=$(mktemp -d "$assets/cbmc.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"

	# From wherever the system has its own release from.
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
		head -n 1 > "$work/uri"
	cat > "$work/list.sources" <<-END
		Types: deb
		URIs: $(< "$work/uri")
		Suites: $release
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	END
	cat > "$work/apt.conf" <<-END
		Dir::Etc::SourceList "$work/list.sources";
		Dir::Etc::SourceParts "/dev/null";
		Dir::State::Lists "$work/lists";
		Dir::State::Status "/dev/null";
		Dir::Cache "$work";
		Acquire::Languages "none";
		APT::Sandbox::User "$(id -un)";
	END
	export APT_CONFIG=$work/apt.conf
	{
		apt-get -q update
		(cd "$work/archives" && apt-get -q download "${packages[@]}")
	} > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
	for package in "$work/archives"/*.deb; do
		dpkg-deb -x "$package" "$work/root"
	done
	# Two that do this at once unpack the same.
	mv -T "$work/root" "$root" 2> /dev/null || [ -d "$root" ]
fi
linker=$(echo "$libraries"/ld-linux-*.so.*)
echo "$linker --library-path $libraries:$root/usr/lib $root/usr/bin/cbmc"
