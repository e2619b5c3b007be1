// SPDX-License-Identifier: Apache-2.0
/*
 * rtc.c - the clock goes, and tells its time while no update is under way.  The
 * time is printed for run.py to compare with the host's.
 */
#include "io.h"
#include "payload.h"

#define INDEX		0x70
#define DATA		0x71
#define SECONDS		0x00
#define STATUS_A	0x0a
#define UPDATING	0x80
#define STATUS_B	0x0b
#define BINARY		0x04
#define HOURS_24	0x02
#define STATUS_D	0x0d
#define BATTERY		0x80

static uint8_t reg(uint8_t index)
{
	out8(INDEX, index);
	return in8(DATA);
}

static void wait_for_update(void)
{
	while (!(reg(STATUS_A) & UPDATING))
		relax();
	while (reg(STATUS_A) & UPDATING)
		relax();
}

void payload(void)
{
	/* Century to seconds. */
	static const uint8_t indices[] = { 0x32, 0x09, 0x08, 0x07, 0x04, 0x02, SECONDS };
	uint8_t time[ARRAY_LEN(indices)], before;

	expect(reg(STATUS_D) & BATTERY, "the battery is good");
	expect_eq(reg(STATUS_B) & (BINARY | HOURS_24), HOURS_24, "BCD, 24 hours");
	before = reg(SECONDS);
	wait_for_update();
	for (unsigned i = 0; i < ARRAY_LEN(indices); i++)
		time[i] = reg(indices[i]);
	expect(time[ARRAY_LEN(time) - 1] != before, "an update changes the second");

	print("time");
	for (unsigned i = 0; i < ARRAY_LEN(time); i++) {
		print(" ");
		print_number((time[i] >> 4) * 10U + (time[i] & 0xf));
	}
	print("\n");
}
