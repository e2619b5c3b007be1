/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - a VM from its configuration to its end, for the commands that start one.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "machine/machine_state.h"

struct err;
struct loop;
struct ram;
struct state_reader;
struct vm_config;

/* A VM that goes on where it was saved (machine/machine_state.h). */
struct run_saved {
	struct state_reader *state;

	/* Bring its memory back; and all has been loaded, or never will be. */
	int (*fill)(void *ctx, struct ram *ram, struct err *err);
	void (*over)(void *ctx);

	/* It has been started. */
	void (*started)(void *ctx, struct machine *machine, struct loop *main);
	void *ctx;
	struct machine_change change;
};

/*
 * Until it ends, or with vm->detach until it runs in the background; returns the exit
 * status.  Takes vm, which has been checked.  saved may be NULL.
 */
int run_go(struct vm_config *vm, const struct run_saved *saved);

#endif
