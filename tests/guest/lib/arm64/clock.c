// SPDX-License-Identifier: Apache-2.0
/*
 * clock.c - by the PL031, and the counter from then on.
 */
#include "clock.h"

#include "machine.h"

#define NS_PER_S	UINT64_C(1000000000)

static uint64_t opened_s, opened_ticks;

static uint32_t begin_second(void)
{
	uint32_t before = read32(MACHINE_RTC), now = before;

	while (now == before)
		now = read32(MACHINE_RTC);
	return now;
}

void clock_open(void)
{
	opened_s = begin_second();
	opened_ticks = machine_ticks();
}

uint64_t clock_now(void)
{
	uint64_t hz = read_system(cntfrq_el0), ticks = machine_ticks() - opened_ticks;

	return (opened_s + ticks / hz) * NS_PER_S + ticks % hz * NS_PER_S / hz;
}

unsigned clock_begin_second(void)
{
	return begin_second() % 60;
}
