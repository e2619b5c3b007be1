// SPDX-License-Identifier: Apache-2.0
/*
 * echo.c - prints the number of each byte that it receives, as "<97>", and
 * switches off at 'q'.  Not a test by itself: tests of the console use it.
 */
#include "interrupt.h"
#include "io.h"
#include "payload.h"

#define PIN		4
#define VECTOR		0x24
#define DATA		0x3f8
#define ENABLE		0x3f9
#define RECEIVED	1
#define FIFO		0x3fa
#define FIFO_ON		1
#define MODEM		0x3fc
#define OUT2		0x08
#define STATUS		0x3fd
#define READY		1

static volatile bool quit;

static void handle(void)
{
	while (in8(STATUS) & READY) {
		uint8_t byte = in8(DATA);

		print("<");
		print_number(byte);
		print(">");
		quit |= byte == 'q';
	}
}

void payload(void)
{
	interrupt_on(VECTOR, handle);
	interrupt_route_pin(PIN, VECTOR);
	out8(FIFO, FIFO_ON);
	out8(MODEM, OUT2);
	print("READY\n");
	out8(ENABLE, RECEIVED);
	for (uint32_t times = 1; !quit; times++)
		interrupt_wait(VECTOR, times);
}
