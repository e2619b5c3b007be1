/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - one thread's event loop.
 *
 * Everything a thread waits for is awaited in one io_uring_enter(2): guest
 * kicks and other readiness (struct loop_watch), file I/O (struct loop_io),
 * timers, and work from other threads (struct loop_task).  What callbacks
 * submit during a turn goes to the kernel together at the turn's end.  On a host
 * that forbids io_uring, epoll and a few threads do the same.
 *
 * Life of a loop:
 *
 *	new --start()--> running on its own thread --stop()--> over --free()
 *	new --run()----> running on the caller's   --quit()--> new
 *
 * A loop that is over can do no I/O: whatever uses a loop is stopped before it.
 *
 * While it is not running a loop belongs to whoever holds it (start-up and
 * tear-down have one thread); while it runs, to its thread alone.  "Owner"
 * below means that thread.  A loop waits for nobody: never loop_call() from one
 * loop to another.
 *
 * The structs are embedded in the objects that use them; the loop allocates
 * nothing per operation.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct err;
struct loop;

/* Main. */
int loop_new(struct loop **ret_loop, struct err *err);
struct loop *loop_free(struct loop *loop);	/* not while running; -> NULL */

/*
 * Run on a thread of its own, named name (at most 15 bytes).  Main.  Should the
 * ring ever fail, the process is aborted: nothing in flight would come back.
 */
int loop_start(struct loop *loop, const char *name, struct err *err);
void loop_stop(struct loop *loop);		/* returns when the thread has ended */

/* Run here until loop_quit(); 0 or the negative errno that ended it. */
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop);		/* any thread */

/*
 * What is moved from now on is moved in large pieces, and nobody waits for one in
 * particular: have other threads copy them, several at a time, even where this one could
 * do it at once.  Main.
 */
void loop_set_bulk(struct loop *loop);

/* What does its I/O: "io_uring" or "threads"; any thread. */
const char *loop_engine(const struct loop *loop);

/* The kernel's id of the thread that the loop runs on; 0 before.  Any thread. */
int loop_thread_id(const struct loop *loop);

/* Does the caller own the loop?  For assertions. */
bool loop_here(const struct loop *loop);

/* By clock_ns(): when it found what it is just serving; else, now.  Owner. */
uint64_t loop_now(const struct loop *loop);

/*
 * Work.  A task is queued at most once; queueing it again before it ran does
 * nothing.
 */
struct loop_task {
	void (*run)(struct loop_task *task);
	struct loop_task *next;
	_Atomic(bool) queued;
};

/* Run soon on the loop; any thread. */
void loop_post(struct loop *loop, struct loop_task *task);

/* Run at the end of this turn, after all completions at hand; owner. */
void loop_defer(struct loop *loop, struct loop_task *task);

/*
 * Take back what was deferred or posted and has not run yet; owner.  Then the
 * task may be freed, if nobody posts it any more.
 */
void loop_cancel(struct loop *loop, struct loop_task *task);

/*
 * Run fn on the loop and wait for it; any thread but another loop's.  Costs two
 * thread switches (tens of microseconds): for control, never for data.
 */
void loop_call(struct loop *loop, void (*fn)(void *ctx), void *ctx);

/*
 * Go on turning until done(ctx) holds; owner, from within a callback.  This is
 * how stop() waits for what is in flight: other callbacks of the loop run
 * meanwhile.
 */
void loop_wait(struct loop *loop, bool (*done)(void *ctx), void *ctx);

/*
 * Readiness of a file descriptor.  events are poll(2)'s.  Reported when it
 * arises, not while it lasts: whoever leaves input behind comes back by
 * loop_defer().  An eventfd need not be read.  A descriptor has one watch at a time;
 * one that cannot be watched is reported as POLLERR and forgotten.  Owner.
 */
struct loop_watch {
	void (*ready)(struct loop_watch *watch, unsigned events);
	struct loop_slot *slot;		/* the loop's; NULL while not watching */
};

int loop_watch_add(struct loop *loop, struct loop_watch *watch, int fd, unsigned events);

/* From here on ready() is not called, and watch may be freed. */
void loop_watch_remove(struct loop *loop, struct loop_watch *watch);

/*
 * What others write into memory without telling.  While that pays (spin.h) the loop
 * looks there before it sleeps; then loop_spins() holds, and whoever is polled need not
 * ask to be told.  Owner.
 */
struct loop_poll {
	/* Serve what has come; has any? */
	bool (*serve)(struct loop_poll *poll);

	/* The loop is about to sleep: ask to be told.  False if something has come. */
	bool (*sleep)(struct loop_poll *poll);

	struct loop_poll *next, **prev;	/* the loop's */
};

void loop_poll_add(struct loop *loop, struct loop_poll *poll);
void loop_poll_remove(struct loop *loop, struct loop_poll *poll);
bool loop_spins(const struct loop *loop);

/* Timers; owner.  at is on the clock of clock_ns(). */
struct loop_timer {
	void (*fired)(struct loop_timer *timer);
	uint64_t at;
	struct loop_timer *next;
	bool set;
};

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t at);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

/*
 * Asynchronous I/O; owner.  done() gets what the system call would have
 * returned, or a negative errno.  io, and the memory it speaks of, stay alive
 * until done(), which may start the same io again.
 */
enum loop_op { LOOP_READV, LOOP_WRITEV, LOOP_FDATASYNC, LOOP_FALLOCATE };

struct loop_io {
	void (*done)(struct loop_io *io, int res);

	/* A device has to do it, and should begin before the turn ends. */
	bool device;

	/* The loop's. */
	enum loop_op op;
	int fd, flags;
	unsigned nr_segs;
	const struct iovec *segs;
	off_t at, len;
	int result;
	struct loop_io *next;
};

void loop_readv(struct loop *loop, struct loop_io *io, int fd,
		const struct iovec *segs, unsigned nr, off_t at);

/* flags are those of pwritev2(2), e.g. RWF_DSYNC. */
void loop_writev(struct loop *loop, struct loop_io *io, int fd,
		 const struct iovec *segs, unsigned nr, off_t at, int flags);
void loop_fdatasync(struct loop *loop, struct loop_io *io, int fd);

/* mode is that of fallocate(2). */
void loop_fallocate(struct loop *loop, struct loop_io *io, int fd, int mode,
		    off_t at, off_t len);

#endif
