# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# wall: tells the time of day each second, for ever.

while :; do
	say "$(date +%s)"
	sleep 1
done
