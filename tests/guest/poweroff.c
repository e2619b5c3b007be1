// SPDX-License-Identifier: Apache-2.0
/*
 * poweroff.c - the sleep register powers off for S5 with the enable bit, and for
 * nothing less.
 */
#include "io.h"
#include "payload.h"

#define SLEEP	0x600
#define S3	(3 << 2)
#define S5	(5 << 2)
#define ENABLE	(1 << 5)

void payload(void)
{
	out8(SLEEP, S5);
	out8(SLEEP, S3 | ENABLE);
	print("still on\n");
	out8(SLEEP, S5 | ENABLE);
	/* A processor may go on for as long as the machine takes to stop it. */
	for (;;)
		__asm__ volatile("hlt");
}
