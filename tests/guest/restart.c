// SPDX-License-Identifier: Apache-2.0
/*
 * restart.c - restarts itself at once, and would for ever.  Not a test by itself:
 * tests of actions use it.
 */
#include "io.h"
#include "payload.h"

#define RESET		0x602
#define RESET_VALUE	1

void payload(void)
{
	print("READY\n");
	out8(RESET, RESET_VALUE);
	for (;;)
		__asm__ volatile("hlt");
}
