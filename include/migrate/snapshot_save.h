/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_save.h - writes the snapshots of one machine, one at a time.
 *
 * Most of the memory is written by a thread while the guest goes on, then the guest is
 * paused for what it has changed meanwhile and for the rest of its state, and goes on as
 * it was while the thread makes all of it durable.  Only the thread waits for disks:
 *
 *	take() --> thread: memory, guest's disks --> main: pause, rest, state
 *	--> thread: guest's disks --> main: go on
 *	--> thread: checksums, fsync, rename --> main: done()
 *
 * Main.
 */
#ifndef MIGRATE_SNAPSHOT_SAVE_H
#define MIGRATE_SNAPSHOT_SAVE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct loop;
struct machine;
struct snapshotter;

struct snapshot_request {
	const char *path;		/* absolute */
	bool replace;			/* a snapshot that is there already */

	/*
	 * Only what has changed since the one before, which was taken with track; implies
	 * track itself.
	 */
	bool diff;
	bool track;			/* go on logging, so that one with diff can follow */
	bool keep_paused;		/* the guest does not go on, unless it fails */
};

struct snapshot_result {
	uint64_t pages;			/* of 4 KiB that were written */
	uint64_t paused_ns;		/* how long the guest was stopped; 0: it was so already */
	uint64_t done, total;		/* as snapshotter_progress() has them, at the end */
};

/* main runs the machine.  Both outlive it.  NULL when memory runs out. */
struct snapshotter *snapshotter_new(struct machine *machine, struct loop *main);

/* Breaks off what is under way, whose done() is called.  -> NULL */
struct snapshotter *snapshotter_free(struct snapshotter *snapshotter);

/*
 * done() is called once, also from within: r is 0 or a negative errno with the reason.
 * Strings of the request are copied.
 */
void snapshotter_take(struct snapshotter *snapshotter, const struct snapshot_request *request,
		      void (*done)(void *ctx, const struct snapshot_result *result, int r,
				   const struct err *err),
		      void *ctx);

/*
 * What is under way, if anything, is broken off: done() is told -ECANCELED, and the guest goes
 * on as it was, also if it was to stay paused and all has been written already.
 */
void snapshotter_call_off(struct snapshotter *snapshotter);

/* Bytes of what is under way, of as many: memory is written, then read.  0 and 0: nothing is. */
void snapshotter_progress(const struct snapshotter *snapshotter, uint64_t *ret_done,
			  uint64_t *ret_total);

#endif
