// SPDX-License-Identifier: Apache-2.0
/*
 * power_button.c - the power button is a key at a pin of the PL061, and interrupts.
 */
#include "interrupt.h"
#include "machine.h"
#include "payload.h"

#define LINE		3
#define DATA		(MACHINE_GPIO + (1 << LINE) * 4)	/* that line alone */
#define BOTH_EDGES	(MACHINE_GPIO + 0x408)
#define ENABLE		(MACHINE_GPIO + 0x410)
#define STATUS		(MACHINE_GPIO + 0x418)
#define CLEAR		(MACHINE_GPIO + 0x41c)

static volatile uint8_t seen;

static void handle(void)
{
	seen = read8(STATUS);
	write8(CLEAR, seen);
}

void payload(void)
{
	interrupt_on(MACHINE_GPIO_VECTOR, handle);
	interrupt_route_pin(MACHINE_GPIO_PIN, MACHINE_GPIO_VECTOR);
	expect_eq(read8(DATA), 0, "nothing is pressed at first");
	write8(BOTH_EDGES, 1 << LINE);
	write8(ENABLE, 1 << LINE);
	print("READY\n");
	interrupt_wait(MACHINE_GPIO_VECTOR, 1);
	expect_eq(seen, 1 << LINE, "the button was pressed");
}
