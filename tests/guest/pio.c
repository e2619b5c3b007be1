// SPDX-License-Identifier: Apache-2.0
/*
 * pio.c - port I/O reaches a device and comes back; ports of nobody read as ones.
 */
#include "io.h"
#include "payload.h"

#define COM1_SCRATCH	0x3ff
#define NOBODY		0x2e0

void payload(void)
{
	static const uint8_t bytes[] = { 0x00, 0x5a, 0xa5, 0xff };

	for (unsigned i = 0; i < ARRAY_LEN(bytes); i++) {
		out8(COM1_SCRATCH, bytes[i]);
		expect_eq(in8(COM1_SCRATCH), bytes[i], "the scratch register keeps a byte");
	}
	out32(NOBODY, 0);
	expect_eq(in8(NOBODY), 0xff, "nobody's port reads as ones, 1 byte");
	expect_eq(in16(NOBODY), 0xffff, "nobody's port reads as ones, 2 bytes");
	expect_eq(in32(NOBODY), 0xffffffff, "nobody's port reads as ones, 4 bytes");
}
