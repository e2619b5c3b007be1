/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.h - the guest's serial console on our standard input and output.
 *
 * With a terminal: raw mode, so that every key reaches the guest, but for
 * Ctrl-A and the key after it.  The terminal is restored by terminal_free(), at
 * exit(), and on signals that kill the process.  Without one, bytes stream.
 *
 * Output goes through a ring of bounded size: a terminal that is slow, or
 * stopped, slows the guest's console and nothing else.
 *
 * Main, but for the back end, which the serial port calls on vCPU threads.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "devices/uart.h"

struct err;
struct loop;
struct terminal;

struct terminal_config {
	struct loop *loop;
	struct uart *(*port)(void *ctx);	/* now; NULL when there is none */
	void (*quit)(void *ctx);		/* Ctrl-A x */
	void *ctx;
};

int terminal_new(struct terminal **ret_terminal, const struct terminal_config *config,
		 struct err *err);

/* The loop does not turn again: a write may be under way for ever.  -> NULL */
struct terminal *terminal_free(struct terminal *terminal);

/* What the serial port is to be given. */
struct uart_backend terminal_backend(struct terminal *terminal);

/* Begin to read input. */
int terminal_start(struct terminal *terminal, struct err *err);

/* Wait until all output is written, two seconds at most. */
void terminal_drain(struct terminal *terminal);

#endif
