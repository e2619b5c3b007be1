// SPDX-License-Identifier: Apache-2.0
/*
 * mmio.c - where nobody answers memory reads as ones and takes any write, at
 * each width and alignment, also across pages.
 */
#include "io.h"
#include "payload.h"

#define NOBODY	UINT64_C(0xd0000000)

void payload(void)
{
	for (uint64_t at = NOBODY; at < NOBODY + 8; at++) {
		write64(at, 0);
		write32(at, 0);
		write16(at, 0);
		write8(at, 0);
		expect_eq(read8(at), 0xff, "a byte");
		expect_eq(read16(at), 0xffff, "2 bytes");
		expect_eq(read32(at), 0xffffffff, "4 bytes");
		expect_eq(read64(at), UINT64_MAX, "8 bytes");
	}
	write64(NOBODY + 0xffb, 0);
	expect_eq(read64(NOBODY + 0xffb), UINT64_MAX, "8 bytes across a page's end");
}
