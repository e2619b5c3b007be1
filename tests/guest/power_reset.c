// SPDX-License-Identifier: Apache-2.0
/*
 * power_reset.c - who answers the power button by a reset has shut down as well, and is
 * not started again.
 */
#include "interrupt.h"
#include "io.h"
#include "payload.h"

#define PIN		9
#define VECTOR		0x29
#define RESET		0x602
#define RESET_VALUE	1

void payload(void)
{
	interrupt_route_pin(PIN, VECTOR);
	print("READY\n");
	interrupt_wait(VECTOR, 1);
	out8(RESET, RESET_VALUE);
	for (;;)
		__asm__ volatile("hlt");
}
