# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# acpi: hands the ACPI tables, as the guest sees them, to the caller in base64
# between "BEGIN NAME" and "END NAME".

for table in /sys/firmware/acpi/tables/*; do
	[ -f "$table" ] || continue
	say "BEGIN ${table##*/}"
	base64 "$table"
	say "END ${table##*/}"
done
[ -e /sys/firmware/acpi/tables/DSDT ] || fail "the guest has no DSDT"
