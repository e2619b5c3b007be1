// SPDX-License-Identifier: Apache-2.0
/*
 * engine_threads.c - readiness by epoll, I/O by threads that block.
 *
 * The loop queues what was submitted for its workers, who do it one by one and
 * put it into the list of what is done.  The first of that list signals an eventfd,
 * among the descriptors on which the loop sleeps.  A worker is made when work comes
 * and all are busy, up to a limit; a loop that does no I/O has none.
 *
 * Where no worker can be made at all, the loop does the work itself.
 */
#include "engine.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define WORKERS_MAX	16

struct io_queue {
	struct loop_io *first, **end;
};

/*
 * A watch as epoll has it.  It outlives the watch until the events at hand have all
 * been looked at, so that a late one finds a slot and no watch.
 */
struct loop_slot {
	struct loop_watch *watch;
	struct loop_slot *next, **prev;	/* in threads->live, or dead */
	int fd;
	bool polled;			/* else always ready: a regular file */
	unsigned fresh;			/* events that are to be reported without epoll */
};

struct threads {
	struct engine engine;
	int epoll_fd, done_fd;
	struct loop_slot *live;
	struct loop_slot *dead;		/* to be freed */
	unsigned nr_fresh;
	struct epoll_event events[ENGINE_TURN_MAX];
	int nr_events;			/* not looked at yet */
	struct io_queue ready;		/* done, and not told yet */

	pthread_mutex_t lock;		/* for all below */
	pthread_cond_t work;
	struct io_queue queue, done;
	unsigned nr_queued;		/* not taken by a worker */
	unsigned nr_workers, nr_idle;
	bool quit;
	pthread_t workers[WORKERS_MAX];
};

static struct threads *threads_of(struct engine *engine)
{
	return container_of(engine, struct threads, engine);
}

static void queue_init(struct io_queue *queue)
{
	queue->first = NULL;
	queue->end = &queue->first;
}

static void queue_add(struct io_queue *queue, struct loop_io *io)
{
	io->next = NULL;
	*queue->end = io;
	queue->end = &io->next;
}

static struct loop_io *queue_take(struct io_queue *queue)
{
	struct loop_io *io = queue->first;

	queue->first = io->next;
	if (!queue->first)
		queue->end = &queue->first;
	return io;
}

/* Watches. */

static int watch_add(struct engine *engine, struct loop_watch *watch, int fd, unsigned events)
{
	struct threads *t = threads_of(engine);
	struct loop_slot *slot = malloc(sizeof(*slot));
	struct epoll_event event = { .data.ptr = slot };

	int error = 0;

	if (!slot)
		return -ENOMEM;
	*slot = (struct loop_slot){ .watch = watch, .fd = fd };
	/* The bits of poll(2) and epoll(7) are the same. */
	event.events = events | EPOLLET;
	if (epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		error = errno;
	if (error == ENOMEM || error == ENOSPC) {
		free(slot);
		return -error;
	}
	slot->polled = !error;
	if (error) {
		slot->fresh = error == EPERM ? events : POLLERR;
		t->nr_fresh++;
	}
	slot->prev = &t->live;
	slot->next = t->live;
	if (slot->next)
		slot->next->prev = &slot->next;
	t->live = slot;
	watch->slot = slot;
	return 0;
}

static void watch_remove(struct engine *engine, struct loop_watch *watch)
{
	struct threads *t = threads_of(engine);
	struct loop_slot *slot = watch->slot;

	if (slot->polled)
		(void)epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, slot->fd, NULL);
	t->nr_fresh -= slot->fresh != 0;
	watch->slot = NULL;
	slot->watch = NULL;
	*slot->prev = slot->next;
	if (slot->next)
		slot->next->prev = slot->prev;
	slot->next = t->dead;
	t->dead = slot;
}

static void bury_dead(struct threads *t)
{
	while (t->dead) {
		struct loop_slot *slot = t->dead;

		t->dead = slot->next;
		free(slot);
	}
}

/* Work. */

static int perform(const struct loop_io *io)
{
	ssize_t r = 0;

	switch (io->op) {
	case LOOP_READV:
		r = preadv2(io->fd, io->segs, (int)io->nr_segs, io->at, 0);
		break;
	case LOOP_WRITEV:
		r = pwritev2(io->fd, io->segs, (int)io->nr_segs, io->at, io->flags);
		break;
	case LOOP_FDATASYNC:
		r = fdatasync(io->fd);
		break;
	case LOOP_FALLOCATE:
		r = fallocate(io->fd, io->flags, io->at, io->len);
		break;
	}
	return r < 0 ? -errno : (int)r;
}

/* Under lock. */
static void put_done(struct threads *t, struct loop_io *io)
{
	bool first = !t->done.first;

	queue_add(&t->done, io);
	if (first)
		eventfd_write(t->done_fd, 1);
}

/* What blocks for ever, as a pipe nobody reads may, is ended by a cancellation. */
static int perform_cancellable(const struct loop_io *io)
{
	int state, r;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	r = perform(io);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return r;
}

static void *run_worker(void *arg)
{
	struct threads *t = arg;
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&t->lock);
	while (!t->quit) {
		struct loop_io *io;

		if (!t->queue.first) {
			t->nr_idle++;
			pthread_cond_wait(&t->work, &t->lock);
			t->nr_idle--;
			continue;
		}
		io = queue_take(&t->queue);
		t->nr_queued--;
		pthread_mutex_unlock(&t->lock);
		io->result = perform_cancellable(io);
		pthread_mutex_lock(&t->lock);
		put_done(t, io);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static void submit(struct engine *engine, struct loop_io *io)
{
	struct threads *t = threads_of(engine);

	engine->nr_in_flight++;
	pthread_mutex_lock(&t->lock);
	queue_add(&t->queue, io);
	t->nr_queued++;
	if (t->nr_queued > t->nr_idle && t->nr_workers < WORKERS_MAX &&
	    !thread_start(&t->workers[t->nr_workers], "io-worker", run_worker, t))
		t->nr_workers++;
	if (t->nr_workers) {
		pthread_cond_signal(&t->work);
	} else {
		io = queue_take(&t->queue);
		t->nr_queued--;
		io->result = perform(io);
		put_done(t, io);
	}
	pthread_mutex_unlock(&t->lock);
}

/*
 * The turn.  A callback may turn the loop itself (loop_wait), and what it waits for
 * may be among what its own turn has not got to yet: so that stays where the turn
 * within finds it, which does not sleep before all of it was seen to.
 */

static int wait_turn(struct engine *engine, const uint64_t *timeout)
{
	struct threads *t = threads_of(engine);
	int ms = -1;

	/* Rounded up: a timer that is awaited must have come. */
	if (timeout)
		ms = (int)min_u64((*timeout + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS,
				  INT32_MAX);
	if (t->nr_events || t->ready.first)
		return 0;
	if (t->nr_fresh)
		ms = 0;
	t->nr_events = epoll_wait(t->epoll_fd, t->events, ENGINE_TURN_MAX, ms);
	if (t->nr_events < 0) {
		t->nr_events = 0;
		return errno == EINTR ? 0 : -errno;
	}
	return 0;
}

static void take_done(struct threads *t)
{
	pthread_mutex_lock(&t->lock);
	while (t->done.first)
		queue_add(&t->ready, queue_take(&t->done));
	pthread_mutex_unlock(&t->lock);
}

/* What cannot be watched is not, once that has been told. */
static void report(struct threads *t, struct loop_slot *slot)
{
	struct loop_watch *watch = slot->watch;
	unsigned events = slot->fresh;

	slot->fresh = 0;
	t->nr_fresh--;
	if (events == POLLERR)
		watch_remove(&t->engine, watch);
	watch->ready(watch, events);
}

static void report_fresh(struct threads *t)
{
	struct loop_slot *slot = t->live;

	while (t->nr_fresh && slot) {
		if (!slot->fresh) {
			slot = slot->next;
			continue;
		}
		report(t, slot);
		slot = t->live;		/* the callback may have changed the list */
	}
}

static void complete(struct engine *engine)
{
	struct threads *t = threads_of(engine);

	while (t->nr_events) {
		const struct epoll_event *event = &t->events[--t->nr_events];
		struct loop_slot *slot = event->data.ptr;

		if (!slot)
			take_done(t);
		else if (slot->watch)
			slot->watch->ready(slot->watch, event->events);
	}
	while (t->ready.first) {
		struct loop_io *io = queue_take(&t->ready);

		engine->nr_in_flight--;
		io->done(io, io->result);
	}
	report_fresh(t);
	bury_dead(t);
}

/* Life. */

static int enable(struct engine *engine)
{
	(void)engine;
	return 0;
}

static void stop_workers(struct threads *t)
{
	pthread_mutex_lock(&t->lock);
	t->quit = true;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	for (unsigned i = 0; i < t->nr_workers; i++) {
		pthread_cancel(t->workers[i]);
		pthread_join(t->workers[i], NULL);
	}
}

static void free_threads(struct engine *engine)
{
	struct threads *t = threads_of(engine);

	stop_workers(t);
	while (t->live)
		watch_remove(engine, t->live->watch);
	bury_dead(t);
	close(t->done_fd);
	close(t->epoll_fd);
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static bool any(struct engine *engine)
{
	struct pollfd pollfd = { .fd = threads_of(engine)->epoll_fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) > 0;
}

static const struct engine_ops ops = {
	.name		= "threads",
	.enable		= enable,
	.watch_add	= watch_add,
	.watch_remove	= watch_remove,
	.submit		= submit,
	.wait		= wait_turn,
	.any		= any,
	.complete	= complete,
	.free		= free_threads,
};

int engine_threads_new(struct engine **ret_engine)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct threads *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->engine.ops = &ops;
	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	t->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->epoll_fd < 0 || t->done_fd < 0 ||
	    epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->done_fd, &event) < 0) {
		r = -errno;
		if (t->epoll_fd >= 0)
			close(t->epoll_fd);
		if (t->done_fd >= 0)
			close(t->done_fd);
		free(t);
		return r;
	}
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->work, NULL);
	queue_init(&t->queue);
	queue_init(&t->done);
	queue_init(&t->ready);
	*ret_engine = &t->engine;
	return 0;
}
