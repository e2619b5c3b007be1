// SPDX-License-Identifier: Apache-2.0
/*
 * panic.c - says that it has panicked, so many times, and stops there, or switches itself
 * off at once.  Not a test by itself: tests of actions use it.
 */
#include "io.h"
#include "payload.h"

#define PVPANIC		0x505
#define PANICKED	1

void payload(void)
{
	print("READY\n");
	for (uint64_t left = cmdline_number("times"); left; left--)
		out8(PVPANIC, PANICKED);
	if (cmdline_number("off"))
		return;
	for (;;)
		__asm__ volatile("hlt");
}
