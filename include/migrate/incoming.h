/* SPDX-License-Identifier: Apache-2.0 */
/*
 * incoming.h - a VM that comes from another monitor.
 *
 *	new() --> listen() --> a source comes, the machine is prepared --> memory, state
 *	--> GO --> machine_start(), ended(0)
 *
 * Without GO the guest never runs here.  Should the connection be lost when all has been
 * loaded, the source is waited for, and told what has become of its guest.
 *
 * Main.
 */
#ifndef MIGRATE_INCOMING_H
#define MIGRATE_INCOMING_H

#include "migrate/migration.h"

struct err;
struct incoming;
struct loop;
struct machine;

struct incoming_config {
	struct machine *machine;	/* made to be incoming (machine/machine.h) */
	struct loop *main;		/* runs the machine */

	void (*changed)(void *ctx, enum migration_status status);

	/* The guest runs, or waits for its owner's word; or never will, for this reason. */
	void (*ended)(void *ctx, int r, const struct err *err);

	/* The descriptor of fd:NAME (migrate/channel.h), or NULL. */
	int (*take_fd)(void *ctx, const char *name, struct err *err);
	void *ctx;
};

/* What config points to outlives it.  NULL when memory runs out. */
struct incoming *incoming_new(const struct incoming_config *config);
struct incoming *incoming_free(struct incoming *incoming);	/* -> NULL */

/* Once.  Of the parameters, only insecure and tls count. */
int incoming_listen(struct incoming *incoming, const char *uri,
		    const struct migration_parameters *parameters, struct err *err);

/* Where it listens; NULL: it does not. */
const char *incoming_address(const struct incoming *incoming);

struct migration_info incoming_info(const struct incoming *incoming);

#endif
