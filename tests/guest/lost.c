// SPDX-License-Identifier: Apache-2.0
/*
 * lost.c - instructions where there is no memory, which KVM cannot read, end the guest.
 */
#include "payload.h"

#define NOBODY		UINT64_C(0xd0000000)

void payload(void)
{
	__asm__ volatile("mov %0, %%rbx; jmp *%1"
			 : : "r"(UINT64_C(0x1122334455667788)), "a"(NOBODY) : "rbx");
}
