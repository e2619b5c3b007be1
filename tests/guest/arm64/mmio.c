// SPDX-License-Identifier: Apache-2.0
/*
 * mmio.c - addresses that nothing answers at read as all ones.
 */
#include "machine.h"
#include "payload.h"

void payload(void)
{
	write64(MACHINE_NOBODY, 0);
	expect_eq(read64(MACHINE_NOBODY), UINT64_MAX, "8 bytes");
	for (uint64_t at = MACHINE_NOBODY; at < MACHINE_NOBODY + 8; at++) {
		write8(at, 0);
		expect_eq(read8(at), 0xff, "a byte");
	}
	for (uint64_t at = MACHINE_NOBODY; at < MACHINE_NOBODY + 8; at += 2) {
		write16(at, 0);
		expect_eq(read16(at), 0xffff, "2 bytes");
	}
	for (uint64_t at = MACHINE_NOBODY; at < MACHINE_NOBODY + 8; at += 4) {
		write32(at, 0);
		expect_eq(read32(at), 0xffffffff, "4 bytes");
	}
}
