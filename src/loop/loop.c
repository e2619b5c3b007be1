// SPDX-License-Identifier: Apache-2.0
/*
 * loop.c - the turn of the loop, and work from other threads.
 *
 * A turn is: hand all new submissions over and wait for a completion or the next
 * timer, run what completed, run what was posted, run what was deferred.  Deferred
 * work comes last so that a batch of completions ends in one interrupt to the guest
 * instead of one each.
 */
#include "loop/loop.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "engine.h"
#include "spin.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct task_queue {
	struct loop_task *first, **end;
	unsigned nr;
};

struct loop {
	struct engine *engine;
	pthread_t thread;		/* valid while running */
	_Atomic(int) thread_id;
	_Atomic(bool) running;
	_Atomic(bool) quit;

	struct task_queue deferred;	/* owner's */
	struct loop_timer *timers;	/* ascending */
	struct loop_poll *polls;
	struct spin spin;
	bool has_submitted;		/* since the last wait */
	uint64_t now;			/* of what is being served; 0: of nothing */

	pthread_mutex_t lock;
	struct task_queue posted;	/* under lock */
	int wake_fd;			/* written when posted becomes non-empty */
	struct loop_watch wake;
};

static void queue_init(struct task_queue *q)
{
	q->first = NULL;
	q->end = &q->first;
	q->nr = 0;
}

static void queue_add(struct task_queue *q, struct loop_task *task)
{
	task->next = NULL;
	*q->end = task;
	q->end = &task->next;
	q->nr++;
}

/* Unlink the task that *p points to. */
static struct loop_task *queue_remove(struct task_queue *q, struct loop_task **p)
{
	struct loop_task *task = *p;

	*p = task->next;
	if (!*p)
		q->end = p;
	q->nr--;
	return task;
}

/* False when it is not there. */
static bool queue_take(struct task_queue *q, const struct loop_task *task)
{
	struct loop_task **p = &q->first;

	while (*p && *p != task)
		p = &(*p)->next;
	if (!*p)
		return false;
	queue_remove(q, p);
	return true;
}

static void run_task(struct loop_task *task)
{
	task->queued = false;
	task->run(task);
}

int loop_thread_id(const struct loop *loop)
{
	return loop->thread_id;
}

void loop_set_bulk(struct loop *loop)
{
	loop->engine->bulk = true;
}

const char *loop_engine(const struct loop *loop)
{
	return loop->engine->ops->name;
}

bool loop_here(const struct loop *loop)
{
	return !loop->running || pthread_equal(loop->thread, pthread_self());
}

uint64_t loop_now(const struct loop *loop)
{
	return loop->now ? loop->now : clock_ns();
}

/* Watches. */

int loop_watch_add(struct loop *loop, struct loop_watch *watch, int fd, unsigned events)
{
	assert(loop_here(loop));
	return loop->engine->ops->watch_add(loop->engine, watch, fd, events);
}

void loop_watch_remove(struct loop *loop, struct loop_watch *watch)
{
	assert(loop_here(loop));
	if (watch->slot)
		loop->engine->ops->watch_remove(loop->engine, watch);
}

/* Polls. */

void loop_poll_add(struct loop *loop, struct loop_poll *poll)
{
	assert(loop_here(loop));
	poll->prev = &loop->polls;
	poll->next = loop->polls;
	if (poll->next)
		poll->next->prev = &poll->next;
	loop->polls = poll;
}

void loop_poll_remove(struct loop *loop, struct loop_poll *poll)
{
	assert(loop_here(loop));
	*poll->prev = poll->next;
	if (poll->next)
		poll->next->prev = poll->prev;
}

bool loop_spins(const struct loop *loop)
{
	return loop->spin.on;
}

/* Timers. */

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t at)
{
	struct loop_timer **p = &loop->timers;

	assert(loop_here(loop));
	loop_timer_clear(loop, timer);
	while (*p && (*p)->at <= at)
		p = &(*p)->next;
	timer->at = at;
	timer->next = *p;
	timer->set = true;
	*p = timer;
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **p = &loop->timers;

	if (!timer->set)
		return;
	while (*p != timer)
		p = &(*p)->next;
	*p = timer->next;
	timer->set = false;
}

static void run_timers(struct loop *loop)
{
	uint64_t now = loop->now;

	while (loop->timers && loop->timers->at <= now) {
		struct loop_timer *timer = loop->timers;

		loop_timer_clear(loop, timer);
		timer->fired(timer);
	}
}

/* I/O. */

static void submit(struct loop *loop, struct loop_io *io)
{
	assert(loop_here(loop));
	loop->has_submitted = true;
	loop->engine->ops->submit(loop->engine, io);
}

void loop_readv(struct loop *loop, struct loop_io *io, int fd,
		const struct iovec *segs, unsigned nr, off_t at)
{
	io->op = LOOP_READV;
	io->fd = fd;
	io->segs = segs;
	io->nr_segs = nr;
	io->at = at;
	submit(loop, io);
}

void loop_writev(struct loop *loop, struct loop_io *io, int fd,
		 const struct iovec *segs, unsigned nr, off_t at, int flags)
{
	io->op = LOOP_WRITEV;
	io->fd = fd;
	io->segs = segs;
	io->nr_segs = nr;
	io->at = at;
	io->flags = flags;
	submit(loop, io);
}

void loop_fdatasync(struct loop *loop, struct loop_io *io, int fd)
{
	io->op = LOOP_FDATASYNC;
	io->fd = fd;
	submit(loop, io);
}

void loop_fallocate(struct loop *loop, struct loop_io *io, int fd, int mode,
		    off_t at, off_t len)
{
	io->op = LOOP_FALLOCATE;
	io->fd = fd;
	io->flags = mode;
	io->at = at;
	io->len = len;
	submit(loop, io);
}

/* Work. */

void loop_defer(struct loop *loop, struct loop_task *task)
{
	assert(loop_here(loop));
	if (!task->queued) {
		task->queued = true;
		queue_add(&loop->deferred, task);
	}
}

void loop_cancel(struct loop *loop, struct loop_task *task)
{
	bool taken;

	assert(loop_here(loop));
	taken = queue_take(&loop->deferred, task);
	if (!taken) {
		pthread_mutex_lock(&loop->lock);
		taken = queue_take(&loop->posted, task);
		pthread_mutex_unlock(&loop->lock);
	}
	if (taken)
		task->queued = false;
}

void loop_post(struct loop *loop, struct loop_task *task)
{
	bool first;

	if (atomic_exchange(&task->queued, true))
		return;
	pthread_mutex_lock(&loop->lock);
	first = !loop->posted.first;
	queue_add(&loop->posted, task);
	pthread_mutex_unlock(&loop->lock);
	if (first)
		eventfd_write(loop->wake_fd, 1);
}

struct call {
	struct loop_task task;
	void (*fn)(void *ctx);
	void *ctx;
	sem_t done;
};

static void run_call(struct loop_task *task)
{
	struct call *call = container_of(task, struct call, task);

	call->fn(call->ctx);
	sem_post(&call->done);
}

void loop_call(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
	struct call call = { .task.run = run_call, .fn = fn, .ctx = ctx };

	if (loop_here(loop)) {
		fn(ctx);
		return;
	}
	sem_init(&call.done, 0, 0);
	loop_post(loop, &call.task);
	while (sem_wait(&call.done) && errno == EINTR)
		;
	sem_destroy(&call.done);
}

/*
 * Both run what is queued now; what that adds waits for the next turn.  Tasks
 * are taken one by one, since a task may turn the loop itself (loop_wait).
 */
static void run_posted(struct loop *loop)
{
	struct loop_task *task;
	unsigned left;

	pthread_mutex_lock(&loop->lock);
	for (left = loop->posted.nr; left && loop->posted.first; left--) {
		task = queue_remove(&loop->posted, &loop->posted.first);
		pthread_mutex_unlock(&loop->lock);
		run_task(task);
		pthread_mutex_lock(&loop->lock);
	}
	/* Whoever adds to a queue that is not empty relies on us to come back. */
	if (loop->posted.first)
		eventfd_write(loop->wake_fd, 1);
	pthread_mutex_unlock(&loop->lock);
}

static void run_deferred(struct loop *loop)
{
	for (unsigned left = loop->deferred.nr; left && loop->deferred.first; left--)
		run_task(queue_remove(&loop->deferred, &loop->deferred.first));
}

/* The eventfd only ends the wait; run_posted() comes in every turn. */
static void woken(struct loop_watch *watch, unsigned events)
{
	(void)watch;
	(void)events;
}

/* The turn. */

static int begin_and_wait(struct loop *loop, const uint64_t *timeout)
{
	loop->has_submitted = false;
	return loop->engine->ops->wait(loop->engine, timeout);
}

static bool serve_polls(struct loop *loop)
{
	bool any = false;

	for (struct loop_poll *poll = loop->polls; poll; poll = poll->next)
		any |= poll->serve(poll);
	return any;
}

/* False when there is something to be served. */
static bool may_sleep(struct loop *loop)
{
	bool may = true;

	for (struct loop_poll *poll = loop->polls; poll; poll = poll->next)
		may &= poll->sleep(poll);
	return may;
}

/* Has anything come within a moment? */
static bool spin(struct loop *loop)
{
	uint64_t end;

	loop->now = clock_ns();
	end = loop->now + SPIN_NS;
	do {
		if (serve_polls(loop) || loop->engine->ops->any(loop->engine)) {
			spin_found(&loop->spin);
			return true;
		}
		loop->now = clock_ns();
	} while (loop->now < end);
	spin_missed(&loop->spin);
	return false;
}

/* Wait if nothing else is to be done; 0 or a negative errno. */
static int wait_turn(struct loop *loop)
{
	static const uint64_t no_time = 0;
	uint64_t timeout = 0;

	if (loop->deferred.first || loop->quit)
		return begin_and_wait(loop, &no_time);
	if (loop->timers) {
		uint64_t now = clock_ns();

		if (loop->timers->at <= now)
			return begin_and_wait(loop, &no_time);
		timeout = loop->timers->at - now;
	}
	if (loop->spin.on) {
		/* Much of what begins is done at once. */
		if (loop->has_submitted)
			return begin_and_wait(loop, &no_time);
		if (!loop->engine->nr_in_flight && spin(loop))
			return begin_and_wait(loop, &no_time);
		if (!may_sleep(loop))
			return begin_and_wait(loop, &no_time);
	}
	if (loop->polls && !loop->spin.on)
		spin_slept(&loop->spin);
	return begin_and_wait(loop, loop->timers ? &timeout : NULL);
}

static int turn(struct loop *loop)
{
	int r = wait_turn(loop);

	if (r < 0)
		return r;
	loop->now = clock_ns();
	loop->engine->ops->complete(loop->engine);
	run_timers(loop);
	run_posted(loop);
	run_deferred(loop);
	loop->now = 0;
	return 0;
}

void loop_wait(struct loop *loop, bool (*done)(void *ctx), void *ctx)
{
	assert(loop_here(loop));
	while (!done(ctx))
		if (turn(loop) < 0)
			abort();	/* the engine itself is gone: nothing can complete */
}

/* From here on the calling thread owns the loop; 0 or a negative errno. */
static int enable(struct loop *loop)
{
	int r;

	loop->thread = pthread_self();
	loop->thread_id = gettid();
	r = loop->engine->ops->enable(loop->engine);
	if (r < 0)
		return r;
	loop->running = true;
	return 0;
}

static int run(struct loop *loop)
{
	int r = 0;

	while (r >= 0 && !loop->quit)
		r = turn(loop);
	loop->quit = false;
	loop->running = false;
	return r;
}

int loop_run(struct loop *loop)
{
	int r = enable(loop);

	return r < 0 ? r : run(loop);
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
	eventfd_write(loop->wake_fd, 1);
}

struct starting {
	struct loop *loop;
	int enabled;		/* 0 or a negative errno */
	sem_t done;
};

static void *run_thread(void *arg)
{
	struct starting *starting = arg;
	struct loop *loop = starting->loop;
	int r = enable(loop);

	starting->enabled = r;
	sem_post(&starting->done);
	if (r < 0)
		return NULL;
	r = run(loop);
	if (r < 0) {
		/* As in loop_wait(); going on would hang whoever calls us. */
		log_error("an I/O thread failed: %s", strerror(-r));
		abort();
	}
	return NULL;
}

int loop_start(struct loop *loop, const char *name, struct err *err)
{
	struct starting starting = { .loop = loop };
	pthread_t thread;
	int r;

	sem_init(&starting.done, 0, 0);
	r = thread_start(&thread, name, run_thread, &starting);
	if (!r) {
		while (sem_wait(&starting.done) && errno == EINTR)
			;
		r = starting.enabled;
		if (r < 0)
			pthread_join(thread, NULL);
	}
	sem_destroy(&starting.done);
	if (r < 0)
		return err_sys(err, r, "cannot start I/O thread '%s'", name);
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop_quit(loop);
	pthread_join(loop->thread, NULL);
	loop->engine->over = true;
}

int loop_new(struct loop **ret_loop, struct err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return err_sys(err, -ENOMEM, "cannot make an event loop");
	loop->spin = (struct spin)SPIN_INIT;
	queue_init(&loop->deferred);
	queue_init(&loop->posted);
	pthread_mutex_init(&loop->lock, NULL);

	/* Whatever io_uring is refused for: what stands in the way of both is told. */
	r = engine_uring_new(&loop->engine);
	if (r < 0 && r != -ENOMEM)
		r = engine_threads_new(&loop->engine);
	if (r < 0) {
		err_sys(err, r, "cannot make an event loop (vmm doctor tells more)");
		goto no_engine;
	}
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0) {
		r = err_sys(err, -errno, "cannot make an eventfd");
		goto no_eventfd;
	}
	loop->wake.ready = woken;
	r = loop_watch_add(loop, &loop->wake, loop->wake_fd, POLLIN);
	if (r < 0) {
		err_sys(err, r, "cannot make an event loop");
		goto no_watch;
	}
	*ret_loop = loop;
	return 0;

no_watch:
	close(loop->wake_fd);
no_eventfd:
	loop->engine->ops->free(loop->engine);
no_engine:
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return r;
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	loop->engine->ops->free(loop->engine);
	close(loop->wake_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return NULL;
}
