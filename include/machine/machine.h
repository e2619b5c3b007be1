/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - one VM, from its configuration to its end.
 *
 * Life of a machine:
 *
 *	new --start()--> running --+--> ended --free()
 *	                  ^        |
 *	                  +-reset--+
 *
 * A reset replaces the whole board, so nothing of what the guest did before can
 * be left behind; disks, network back ends and the console stay.
 *
 * All functions belong to the main loop's thread.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "devices/uart.h"

struct err;
struct loop;
struct machine;
struct vm_config;

enum machine_end {
	MACHINE_POWEROFF,	/* the guest switched itself off, or see machine_shut_down() */
	MACHINE_DIED,		/* the guest cannot go on; the log says why */
	MACHINE_FORCED,		/* machine_force() */
};

struct machine_config {
	const struct vm_config *vm;
	struct loop *main;
	struct uart_backend console;

	/* Once, on the main loop; the machine no longer runs. */
	void (*ended)(void *ctx, enum machine_end end);
	void *ctx;
};

/* Opens everything; what the configuration points to outlives the machine. */
int machine_new(struct machine **ret_machine, const struct machine_config *config,
		struct err *err);
struct machine *machine_free(struct machine *machine);		/* -> NULL */

int machine_start(struct machine *machine, struct err *err);

/*
 * Ask the guest to shut down.  The first call presses the power button and
 * gives it the configured time; a second call, or the time's end, forces it.  A
 * guest that resets within that time has shut down, too.
 */
void machine_shut_down(struct machine *machine);

/* End it now. */
void machine_force(struct machine *machine);

/* The serial port; another one after each reset, so ask each time. */
struct uart *machine_console(struct machine *machine);

#endif
