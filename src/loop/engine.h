/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - how a loop waits and does its I/O.
 *
 *	io_uring	one system call a turn for everything
 *	threads		epoll, and a few threads that block in place of the loop;
 *			for hosts that forbid io_uring
 *
 * Owner, all of it, but for new and free.
 */
#ifndef LOOP_ENGINE_H
#define LOOP_ENGINE_H

#include "loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

/* Completions of one turn; the rest waits for the next one. */
#define ENGINE_TURN_MAX	256

/* First member of an engine's own struct. */
struct engine {
	const struct engine_ops *ops;
	bool over;		/* the owner's thread has ended: no more I/O */
	bool bulk;		/* see loop_set_bulk() */
	unsigned nr_in_flight;	/* submitted, done() not called */
};

struct engine_ops {
	const char *name;

	/* The calling thread owns the engine from now on.  0 or a negative errno. */
	int (*enable)(struct engine *engine);

	/* As in loop.h; they may come before enable(), too. */
	int (*watch_add)(struct engine *engine, struct loop_watch *watch, int fd,
			 unsigned events);
	void (*watch_remove)(struct engine *engine, struct loop_watch *watch);

	/* All but result and next is filled in; io->done() is called by complete(). */
	void (*submit)(struct engine *engine, struct loop_io *io);

	/*
	 * Begin all that was submitted, and wait so many nanoseconds until something
	 * is complete; NULL: for ever.  0 or a negative errno that nothing can follow.
	 */
	int (*wait)(struct engine *engine, const uint64_t *timeout);

	/* Has something come?  As cheap as may be: it is asked all the time. */
	bool (*any)(struct engine *engine);

	/* Call what waits for what is complete. */
	void (*complete)(struct engine *engine);

	/* Nothing is in flight. */
	void (*free)(struct engine *engine);
};

/* 0 or a negative errno; -ENOMEM is our own want of memory. */
int engine_uring_new(struct engine **ret_engine);
int engine_threads_new(struct engine **ret_engine);

#endif
