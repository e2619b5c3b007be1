// SPDX-License-Identifier: Apache-2.0
/*
 * clock.c - for each byte that it receives it tells the time, in nanoseconds since 1970.  At
 * 'r' it waits for the real-time clock to begin a second and tells both.  Switches off at
 * 'q'.  Not a test by itself: snapshots are tested with it.
 */
#include "clock.h"
#include "payload.h"

static void tell_second(void)
{
	print("second ");
	print_number(clock_begin_second());
	print(" ");
}

void payload(void)
{
	uint8_t byte;

	clock_open();
	print("READY\n");
	do {
		byte = await_byte();
		if (byte == 'r')
			tell_second();
		print("time ");
		print_number(clock_now());
		print("\n");
	} while (byte != 'q');
}
