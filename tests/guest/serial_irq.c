// SPDX-License-Identifier: Apache-2.0
/*
 * serial_irq.c - the serial port interrupts through pin 4 of the I/O APIC: when
 * it can send, and when it has received.
 */
#include "interrupt.h"
#include "io.h"
#include "payload.h"

#define PIN	4
#define VECTOR	0x24

#define DATA	0x3f8
#define ENABLE	0x3f9
#define CAUSE	0x3fa
#define MODEM	0x3fc

#define RECEIVED	1
#define EMPTY		2
#define CAUSE_NONE	1
#define CAUSE_EMPTY	2
#define CAUSE_DATA	4
#define OUT2		0x08
#define LOOP		0x10

static volatile uint8_t cause, byte;

static void handle(void)
{
	cause = in8(CAUSE) & 0xf;
	if (cause == CAUSE_DATA)
		byte = in8(DATA);
}

void payload(void)
{
	interrupt_on(VECTOR, handle);
	interrupt_route_pin(PIN, VECTOR);
	out8(MODEM, OUT2);

	out8(ENABLE, EMPTY);
	interrupt_wait(VECTOR, 1);
	expect_eq(cause, CAUSE_EMPTY, "the empty transmitter interrupts");
	expect_eq(in8(CAUSE) & 0xf, CAUSE_NONE, "reading the cause withdraws it");
	out8(ENABLE, 0);

	/* In loopback the port is cut off from the interrupt, too. */
	out8(MODEM, OUT2 | LOOP);
	out8(DATA, 'x');
	out8(ENABLE, RECEIVED);
	out8(MODEM, OUT2);
	interrupt_wait(VECTOR, 2);
	out8(ENABLE, 0);
	expect_eq(cause, CAUSE_DATA, "a received byte interrupts");
	expect_eq(byte, 'x', "the byte that was sent comes back");
}
