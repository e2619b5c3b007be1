// SPDX-License-Identifier: Apache-2.0
/*
 * poweroff.c - PSCI is there, and switches the machine off.
 */
#include "io.h"
#include "payload.h"

#define NOT_SUPPORTED	UINT64_C(0xffffffff)

void payload(void)
{
	uint64_t version = hypercall(PSCI_VERSION, 0, 0, 0);

	expect(version >= 1 << 16 && version < 2 << 16, "PSCI 1");
	expect_eq(hypercall(0x8400abcd, 0, 0, 0) & NOT_SUPPORTED, NOT_SUPPORTED,
		  "a function that does not exist");
	print("still on\n");
	hypercall(PSCI_SYSTEM_OFF, 0, 0, 0);
	print("and on\n");
}
