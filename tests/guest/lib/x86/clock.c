// SPDX-License-Identifier: Apache-2.0
/*
 * clock.c - by KVM's clock, and the CMOS one.
 */
#include "clock.h"

#include "machine.h"
#include "payload.h"

#define MSR_WALL_CLOCK	0x4b564d00
#define MSR_SYSTEM_TIME	0x4b564d01
#define ENABLE		1

#define RTC_INDEX	0x70
#define RTC_DATA	0x71
#define RTC_SECONDS	0x00

#define NS_PER_S	UINT64_C(1000000000)

/* As Documentation/virt/kvm/x86/msr.rst has them. */
static volatile struct {
	uint32_t version, seconds, nanoseconds;
} wall __attribute__((aligned(4)));

static volatile struct {
	uint32_t version, pad;
	uint64_t tsc, system_time;
	uint32_t multiplier;
	int8_t shift;
	uint8_t flags, more[2];
} system __attribute__((aligned(32)));

static uint64_t system_time(void)
{
	uint64_t time;
	uint32_t version;

	do {
		uint64_t ticks;

		version = system.version;
		ticks = machine_ticks() - system.tsc;
		ticks = system.shift < 0 ? ticks >> -system.shift : ticks << system.shift;
		time = system.system_time +
		       (uint64_t)((unsigned __int128)ticks * system.multiplier >> 32);
	} while (version & 1 || version != system.version);
	return time;
}

void clock_open(void)
{
	write_msr(MSR_WALL_CLOCK, (uint64_t)&wall);
	write_msr(MSR_SYSTEM_TIME, (uint64_t)&system | ENABLE);
	expect(wall.version && system.version, "KVM fills in its clocks");
}

uint64_t clock_now(void)
{
	return wall.seconds * NS_PER_S + wall.nanoseconds + system_time();
}

static uint8_t rtc(uint8_t index)
{
	out8(RTC_INDEX, index);
	return in8(RTC_DATA);
}

unsigned clock_begin_second(void)
{
	uint8_t before = rtc(RTC_SECONDS), bcd = before;

	while (bcd == before)
		bcd = rtc(RTC_SECONDS);
	return (bcd >> 4) * 10U + (bcd & 0xf);
}
