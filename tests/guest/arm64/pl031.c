// SPDX-License-Identifier: Apache-2.0
/*
 * pl031.c - the PL031 has the time of day, and counts.
 */
#include "machine.h"
#include "payload.h"

#define DATA	0
#define CONTROL	0xc

void payload(void)
{
	uint32_t before = read32(MACHINE_RTC + DATA), now;

	expect_eq(read32(MACHINE_RTC + CONTROL) & 1, 1, "the clock runs");
	do
		now = read32(MACHINE_RTC + DATA);
	while (now == before);
	expect_eq(now, before + 1, "it counts seconds");
	print("seconds ");
	print_number(now);
	print("\n");
}
