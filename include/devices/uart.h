/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uart.h - a 16550A serial port: the guest's console.
 *
 * The port has the two 16-byte FIFOs of the chip and nothing more; whoever
 * feeds and drains it (a terminal, a socket, a file) is its back end, may
 * buffer as it likes, and never waits for the guest, nor the guest for it:
 *
 *   guest -> host   send() takes a byte or refuses it.  Refused bytes stay in
 *                   the transmit FIFO, and THRE stays clear, until the back
 *                   end has room and calls uart_writable().
 *   host -> guest   uart_receive() takes what fits into the receive FIFO.  If
 *                   that was not all, drained() tells when the guest has read
 *                   it empty.
 *
 * So nothing is lost either way, as long as the guest waits for THRE before it
 * writes and does not clear a FIFO that holds bytes.
 *
 * The line takes no time: bytes arrive at once at any divisor, and a byte that
 * waits below the trigger level interrupts at once, as a receive timeout.
 *
 * The interrupt follows the pending condition as a level, gated by OUT2 as on
 * every PC, and is driven only when that changes.  Writing THR while THRE is
 * already pending is no change, so a guest that relies on one edge for each
 * byte must read IIR in between, which acknowledges.
 *
 * Handlers run on vCPU threads and all else on any thread; one mutex guards the
 * registers.
 */
#ifndef DEVICES_UART_H
#define DEVICES_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus_region;
struct err;
struct irq;
struct state_reader;
struct state_writer;
struct uart;

/* Called on vCPU threads and within the functions below; none may block. */
struct uart_backend {
	/*
	 * Take one byte; false when full, and then uart_writable() must follow.
	 * Runs with the port locked, so it must not call back into the port, and
	 * no lock that it takes may be held while calling one of the functions
	 * below.
	 */
	bool (*send)(void *ctx, uint8_t byte);

	/*
	 * The guest made room after uart_receive() had refused bytes.  Runs
	 * without the lock and may call uart_receive() itself.  NULL if there is
	 * never input.
	 */
	void (*drained)(void *ctx);
	void *ctx;
};

struct uart_config {
	uint64_t at;			/* 8 registers, one byte apart */
	struct irq *irq;		/* set with the port locked; outlives it */
	struct uart_backend backend;
};

/* NULL when memory runs out. */
struct uart *uart_new(const struct uart_config *config);
struct uart *uart_free(struct uart *uart);	/* -> NULL; off the bus */

/* For bus_add(); belongs to the device. */
struct bus_region *uart_region(struct uart *uart);

/* Bytes from the line; returns how many were taken.  Any thread. */
size_t uart_receive(struct uart *uart, const uint8_t *bytes, size_t len);

/*
 * Registers and FIFOs, as a section "uart".  Loaded once the interrupt controllers are:
 * the line is driven as it has to be.  While no vCPU runs; main.
 */
void uart_save(struct uart *uart, struct state_writer *writer);
int uart_load(struct uart *uart, struct state_reader *reader, struct err *err);

/* The back end has room again: sends what was refused.  Any thread. */
void uart_writable(struct uart *uart);

#endif
