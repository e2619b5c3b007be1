/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_fixture.h - a loop that runs on the test's own thread, and what tells of
 * its callbacks; for the tests of loop.h.
 */
#ifndef TESTS_UNIT_LOOP_FIXTURE_H
#define TESTS_UNIT_LOOP_FIXTURE_H

#include "loop/loop.h"

#include "base/bits.h"
#include "base/err.h"

#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NR_MANY		2000	/* more than the ring has room for at once */

static struct loop *loop;

/* What callbacks did, a letter each. */
static char story[64];
static size_t story_len;

static inline void tell(char letter)
{
	ck_assert_uint_lt(story_len, sizeof(story) - 1);
	story[story_len++] = letter;
}

static inline void setup(void)
{
	struct err err;

	story_len = 0;
	memset(story, 0, sizeof(story));
	ck_assert_int_eq(loop_new(&loop, &err), 0);
}

static inline void teardown(void)
{
	loop = loop_free(loop);
}

/* Run until a callback quits; Check's timeout ends a test in which none does. */
static inline void run(void)
{
	ck_assert_int_eq(loop_run(loop), 0);
}

/* Runs a few turns more, so that whatever is to come has come; then quits. */
static int turns_left;

static inline void linger_task(struct loop_task *task)
{
	if (turns_left-- > 0)
		loop_defer(loop, task);
	else
		loop_quit(loop);
}

static struct loop_task linger = { .run = linger_task };

static inline void run_some_turns(void)
{
	turns_left = 10;
	loop_defer(loop, &linger);
	run();
}

/* A task that tells its letter. */
struct teller {
	struct loop_task task;
	char letter;
};

static inline void tell_task(struct loop_task *task)
{
	tell(container_of(task, struct teller, task)->letter);
}

/* A watch that counts. */
struct watcher {
	struct loop_watch watch;
	int fd;
	int nr;			/* reports */
	unsigned events;	/* of the last */
};

static inline void count(struct loop_watch *watch, unsigned events)
{
	struct watcher *w = container_of(watch, struct watcher, watch);

	w->nr++;
	w->events = events;
}

static inline void watch_eventfd(struct watcher *w,
				 void (*ready)(struct loop_watch *, unsigned))
{
	*w = (struct watcher){ .watch.ready = ready, .fd = eventfd(0, EFD_CLOEXEC) };
	ck_assert_int_ge(w->fd, 0);
	ck_assert_int_eq(loop_watch_add(loop, &w->watch, w->fd, POLLIN), 0);
}

static inline void unwatch(struct watcher *w)
{
	loop_watch_remove(loop, &w->watch);
	close(w->fd);
}

#endif
