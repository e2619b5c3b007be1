/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serial.h - the guest's serial console, as --serial has it, and the socket of
 * 'vmm console' beside it.
 *
 * On a terminal, every key is the guest's but for Ctrl-A and the one after it.
 *
 * Main, but for the back end, which the serial port calls on vCPU threads.
 */
#ifndef CLI_SERIAL_H
#define CLI_SERIAL_H

#include "devices/uart.h"
#include "machine/vm_serial.h"

struct err;
struct loop;
struct serial;

struct serial_config {
	struct loop *loop;
	struct vm_serial to;
	struct uart *(*port)(void *ctx);	/* now; NULL when there is none */
	void (*quit)(void *ctx);		/* Ctrl-A x */
	void *ctx;
};

/* Opens what is to be opened; what config points to outlives it. */
int serial_new(struct serial **ret_serial, const struct serial_config *config,
	       struct err *err);

/* No VM comes of it: a file that was made for it is not left behind. */
void serial_undo(const struct serial *serial);

/* The loop does not turn again: a write may be under way for ever.  -> NULL */
struct serial *serial_free(struct serial *serial);

/* What the serial port is to be given. */
struct uart_backend serial_backend(struct serial *serial);

/* Be seen at a Unix socket as well. */
int serial_listen(struct serial *serial, const char *path, struct err *err);

/* Begin to read input; a terminal is ours from here on. */
int serial_start(struct serial *serial, struct err *err);

/* There is another port, after a reset. */
void serial_port_changed(struct serial *serial);

/* Wait until all output is where it should be, two seconds at most. */
void serial_drain(struct serial *serial);

/* "stdio", "pty:/dev/pts/3"; the serial's. */
const char *serial_name(const struct serial *serial);

#endif
