// SPDX-License-Identifier: Apache-2.0
/*
 * blind.c - an access to a device of which KVM cannot tell what it does ends the guest.
 */
#include "machine.h"
#include "payload.h"

void payload(void)
{
	uint64_t a, b;

	__asm__ volatile("ldp %0, %1, [%2]" : "=r"(a), "=r"(b) : "r"(MACHINE_NOBODY));
	print("still there\n");
}
