// SPDX-License-Identifier: Apache-2.0
/*
 * power_button.c - a shutdown asked for from outside arrives as an event of the
 * power button, by GSI 9.
 */
#include "interrupt.h"
#include "io.h"
#include "payload.h"

#define PIN		9
#define VECTOR		0x29
#define EVENTS		0x603
#define BUTTON		1

void payload(void)
{
	interrupt_route_pin(PIN, VECTOR);
	expect_eq(in8(EVENTS), 0, "nothing is pressed at first");
	print("READY\n");
	interrupt_wait(VECTOR, 1);
	expect_eq(in8(EVENTS), BUTTON, "the button was pressed");
	expect_eq(in8(EVENTS), 0, "reading clears the event");
}
