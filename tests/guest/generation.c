// SPDX-License-Identifier: Apache-2.0
/*
 * generation.c - for each byte that it receives it tells its generation id, and whether
 * it was told, by an interrupt, of a new one since; switches off at 'q'.  Not a test by
 * itself: snapshots are tested with it.
 */
#include "interrupt.h"
#include "io.h"
#include "payload.h"

#define ID		UINT64_C(0xff000)
#define EVENTS		0x603
#define EVENT		0x02
#define PIN		9
#define VECTOR		0x24

void payload(void)
{
	uint32_t times = 0;
	uint8_t byte;

	interrupt_route_pin(PIN, VECTOR);
	print("READY\n");
	do {
		byte = await_byte();
		print_hex(read64(ID));
		print_hex(read64(ID + 8));
		if (in8(EVENTS) & EVENT) {
			interrupt_wait(VECTOR, ++times);
			print(" new\n");
		} else {
			print(" same\n");
		}
	} while (byte != 'q');
}
