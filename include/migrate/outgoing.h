/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outgoing.h - a VM on its way to another monitor.
 *
 * A thread copies memory while the guest runs, first all of it, then what was written
 * meanwhile, until the rest fits into the time for which the guest may stand still.  Then
 * the guest is handed over:
 *
 *	start() --> copied --> guest stops --> target has all --> GO --> target runs, moved
 *	               |            |
 *	               +------------+--> failed or cancelled: the guest goes on here
 *
 * Once GO is under way only the target knows who runs the guest.  Should the connection be
 * lost then, the guest stands still here, and the target is asked again and again until
 * it answers, or a person, who knows that it does not run there, takes the guest back.
 *
 * Main.
 */
#ifndef MIGRATE_OUTGOING_H
#define MIGRATE_OUTGOING_H

#include "migrate/migration.h"

struct err;
struct loop;
struct machine;
struct outgoing;

struct outgoing_config {
	struct machine *machine;
	struct loop *main;		/* runs the machine */

	/* The status is another one; a round has begun.  May be from within. */
	void (*changed)(void *ctx, enum migration_status status);
	void (*round)(void *ctx, uint64_t nr);

	/* The descriptor of fd:NAME (migrate/channel.h), or NULL. */
	int (*take_fd)(void *ctx, const char *name, struct err *err);
	void *ctx;

	/*
	 * A target that says nothing for so much longer than the guest may stand still is given
	 * up; 0: 30 s.
	 */
	unsigned answer_ms;
};

/* What config points to outlives it.  NULL when memory runs out. */
struct outgoing *outgoing_new(const struct outgoing_config *config);

/* Breaks off what is under way; the guest does not go on any more.  -> NULL */
struct outgoing *outgoing_free(struct outgoing *outgoing);

/*
 * Begin, in the background.  -EBUSY while one is under way, or the machine is held by
 * something else (machine/machine_state.h).
 */
int outgoing_start(struct outgoing *outgoing, const char *uri,
		   const struct migration_parameters *parameters, struct err *err);

/* As soon as may be; nothing is left of it but the status.  -EPERM: it is too late. */
int outgoing_cancel(struct outgoing *outgoing, struct err *err);

/* Change bandwidth and downtime of one that is under way. */
void outgoing_limit(struct outgoing *outgoing, uint64_t bandwidth, uint64_t downtime_ms);

/* Hand the guest over now; its memory follows.  -EPERM: not agreed upon, or not the time. */
int outgoing_postcopy(struct outgoing *outgoing, struct err *err);

/* While it is lost: ask at uri from now on. */
int outgoing_resume(struct outgoing *outgoing, const char *uri, struct err *err);

/*
 * While it is lost, and before the target is known to have run the guest: go on here.
 * -EPERM; -EBUSY or -ESTALE where its disks tell that somebody has, or may have, run it.
 */
int outgoing_take_back(struct outgoing *outgoing, struct err *err);

struct migration_info outgoing_info(const struct outgoing *outgoing);

#endif
