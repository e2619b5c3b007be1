// SPDX-License-Identifier: Apache-2.0
/*
 * triple_fault.c - a fault that nobody handles ends the guest.
 */
#include "payload.h"

void payload(void)
{
	static const struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t at;
	} nothing;

	__asm__ volatile("lidt %0; mov %1, %%rbx; ud2"
			 : : "m"(nothing), "r"(UINT64_C(0x1122334455667788)) : "rbx");
}
