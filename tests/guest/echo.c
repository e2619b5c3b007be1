// SPDX-License-Identifier: Apache-2.0
/*
 * echo.c - prints the number of each byte that it receives, as "<97>", and
 * switches off at 'q'.  Not a test by itself: tests of the console use it.
 */
#include "interrupt.h"
#include "machine.h"
#include "payload.h"

#define ENABLE		1
#define RECEIVED	1
#define FIFO		2
#define FIFO_ON		1
#define MODEM		4
#define OUT2		0x08

static volatile bool quit;

static void handle(void)
{
	uint8_t byte;

	while (take_byte(&byte)) {
		print("<");
		print_number(byte);
		print(">");
		quit |= byte == 'q';
	}
}

void payload(void)
{
	interrupt_on(MACHINE_UART_VECTOR, handle);
	interrupt_route_pin(MACHINE_UART_PIN, MACHINE_UART_VECTOR);
	uart_write(FIFO, FIFO_ON);
	uart_write(MODEM, OUT2);
	print("READY\n");
	uart_write(ENABLE, RECEIVED);
	for (uint32_t times = 1; !quit; times++)
		interrupt_wait(MACHINE_UART_VECTOR, times);
}
