# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# paravirt: of what KVM has for its guests, the kernel uses all that the x86 board promises,
# on each processor.  A processor tells KVM by a register (MSR) where it wants what; bit 0
# says that it does.

clocks=/sys/devices/system/clocksource/clocksource0
[ "$(cat $clocks/current_clocksource)" = kvm-clock ] ||
	fail "the clock is $(cat $clocks/current_clocksource)"

for flag in hypervisor x2apic tsc_deadline_timer; do
	grep -qw "^flags.*$flag" /proc/cpuinfo || fail "the processors lack $flag"
done

modprobe msr || fail "cannot load msr"
for cpu in /dev/cpu/[0-9]*; do
	for register in kvmclock=4b564d01 async_pf=4b564d02 steal_time=4b564d03 pv_eoi=4b564d04; do
		value=$(dd if="$cpu/msr" bs=8 count=1 iflag=skip_bytes \
			skip=$((0x${register#*=})) 2> /dev/null | od -An -tu1 -N1)
		[ $((${value:-0} & 1)) -eq 1 ] || fail "${cpu##*/} does not use ${register%=*}"
	done
done
