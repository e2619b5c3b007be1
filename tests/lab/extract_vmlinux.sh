#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# extract_vmlinux.sh BZIMAGE > VMLINUX
#
# Takes the uncompressed ELF kernel out of an x86 bzImage.  Where it lies is
# read from the setup header of the Linux/x86 boot protocol, nothing is guessed:
#
#   0x1f1  u8   setup_sects      sectors of real-mode code after the first
#   0x202  u32  "HdrS"
#   0x206  u16  version          2.08 and later have the two fields below
#   0x248  u32  payload_offset   from the start of the protected-mode code
#   0x24c  u32  payload_length
set -euo pipefail

die() { echo "extract_vmlinux: $*" >&2; exit 1; }

[ $# -eq 1 ] || die "usage: extract_vmlinux.sh BZIMAGE > VMLINUX"
image=$1
[ -r "$image" ] || die "cannot read '$image'"

# field OFFSET WIDTH: an unsigned little-endian number of the header
field() { od -An -v -t "u$2" -j "$1" -N "$2" "$image" | tr -d ' '; }

# Reading through dd's byte units avoids both a copy and a broken pipe.
slice() { dd if="$image" iflag=skip_bytes,count_bytes bs=1M skip="$1" count="$2" status=none; }

[ "$(field 0x202 4)" = $((0x53726448)) ] ||
	die "'$image' is no bzImage: the signature HdrS is missing"
[ "$(field 0x206 2)" -ge $((0x208)) ] ||
	die "'$image' speaks a boot protocol older than 2.08, which tells no payload"

at=$((($(field 0x1f1 1) + 1) * 512 + $(field 0x248 4)))
len=$(field 0x24c 4)
[ $((at + len)) -le "$(stat -c %s "$image")" ] ||
	die "'$image' is cut off: its payload ends after the file"

# The kernel's build appends the uncompressed size in four bytes that most
# decompressors take for garbage; in gzip they are part of the format.
size_word=4
case $(slice "$at" 6 | od -An -v -tx1 | tr -d ' ') in
1f8b*)		decompress=(gzip -dc); size_word=0 ;;
fd377a585a00)	decompress=(xz -dc) ;;
28b52ffd*)	decompress=(zstd -dcq) ;;
02214c18*)	decompress=(lz4 -dcq) ;;
*)		die "'$image' has a payload compressed in a way unknown here" ;;
esac
slice "$at" $((len - size_word)) | "${decompress[@]}"
