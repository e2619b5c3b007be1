// SPDX-License-Identifier: Apache-2.0
/*
 * serial_irq.c - the serial port interrupts through pin 4 of the I/O APIC: when
 * it can send, and when it has received.
 */
#include "interrupt.h"
#include "machine.h"
#include "payload.h"

#define DATA	0
#define ENABLE	1
#define CAUSE	2
#define MODEM	4

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
	cause = uart_read(CAUSE) & 0xf;
	if (cause == CAUSE_DATA)
		byte = uart_read(DATA);
}

void payload(void)
{
	interrupt_on(MACHINE_UART_VECTOR, handle);
	interrupt_route_pin(MACHINE_UART_PIN, MACHINE_UART_VECTOR);
	uart_write(MODEM, OUT2);

	uart_write(ENABLE, EMPTY);
	interrupt_wait(MACHINE_UART_VECTOR, 1);
	expect_eq(cause, CAUSE_EMPTY, "the empty transmitter interrupts");
	expect_eq(uart_read(CAUSE) & 0xf, CAUSE_NONE, "reading the cause withdraws it");
	uart_write(ENABLE, 0);

	/* In loopback the port is cut off from the interrupt, too. */
	uart_write(MODEM, OUT2 | LOOP);
	uart_write(DATA, 'x');
	uart_write(ENABLE, RECEIVED);
	uart_write(MODEM, OUT2);
	interrupt_wait(MACHINE_UART_VECTOR, 2);
	uart_write(ENABLE, 0);
	expect_eq(cause, CAUSE_DATA, "a received byte interrupts");
	expect_eq(byte, 'x', "the byte that was sent comes back");
}
