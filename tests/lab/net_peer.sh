#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# net_peer.sh MIB - the host's side of the guest test "net", until it is killed.
#
#	port 5001	answers what it is sent with its SHA-256
#	port 5002	sends MIB MiB of the pattern of guest_init.sh
set -eu

[ $# -eq 1 ] || { echo "usage: net_peer.sh MIB" >&2; exit 1; }

busybox nc -ll -p 5001 -e sha256sum &
sink=$!
busybox nc -ll -p 5002 -e sh -c "seq 1 100000000 2>/dev/null | head -c $(($1 << 20))" &
source=$!
trap 'kill $sink $source' EXIT
trap 'exit 0' INT TERM
wait
