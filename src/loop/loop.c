// SPDX-License-Identifier: Apache-2.0
/*
 * loop.c - the turn of the loop, and work from other threads.
 *
 * A turn is: hand all new submissions to the kernel and wait for a completion
 * or the next timer, run what completed, run what was posted, run what was
 * deferred.  Deferred work comes last so that a batch of completions ends in
 * one interrupt to the guest instead of one each.
 *
 * A completion's user_data is a pointer whose low bits say what it points to.
 */
#include "loop/loop.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SQ_ENTRIES	512
#define CQ_ENTRIES	2048

/* Completions of one turn; the rest waits for the next one. */
#define TURN_MAX	256

enum tag {
	TAG_IO,			/* struct loop_io */
	TAG_SLOT,		/* struct loop_slot */
	TAG_NONE,		/* nobody waits: a cancellation */
	TAG_MASK = 7,
};

/*
 * What the kernel knows of a watch.  It outlives the watch until the kernel's
 * last completion for it, so that a late one finds a slot and no watch.
 */
struct loop_slot {
	struct loop_watch *watch;
	struct loop_slot *next, **prev;	/* in loop->slots */
	int fd;
	unsigned events;
};

struct task_queue {
	struct loop_task *first, **end;
	unsigned nr;
};

struct loop {
	struct io_uring ring;
	pthread_t thread;		/* valid while running */
	_Atomic(int) thread_id;
	_Atomic(bool) running;
	_Atomic(bool) quit;
	bool over;			/* its thread has ended: the ring is closed to us */
	struct loop_slot *slots;

	struct task_queue deferred;	/* owner's */
	struct loop_timer *timers;	/* ascending */

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

bool loop_here(const struct loop *loop)
{
	return !loop->running || pthread_equal(loop->thread, pthread_self());
}

/* Until the loop runs for the first time the kernel takes nothing from it. */
static bool is_disabled(const struct loop *loop)
{
	return loop->ring.flags & IORING_SETUP_R_DISABLED;
}

static struct io_uring_sqe *get_sqe(struct loop *loop)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

	assert(loop_here(loop));
	while (!sqe) {
		assert(!is_disabled(loop));
		io_uring_submit(&loop->ring);
		sqe = io_uring_get_sqe(&loop->ring);
	}
	return sqe;
}

static void set_data(struct io_uring_sqe *sqe, void *ptr, enum tag tag)
{
	io_uring_sqe_set_data64(sqe, (uintptr_t)ptr | tag);
}

/* Watches. */

static void arm(struct loop *loop, struct loop_slot *slot)
{
	struct io_uring_sqe *sqe = get_sqe(loop);

	io_uring_prep_poll_multishot(sqe, slot->fd, slot->events);
	set_data(sqe, slot, TAG_SLOT);
}

int loop_watch_add(struct loop *loop, struct loop_watch *watch, int fd, unsigned events)
{
	struct loop_slot *slot = malloc(sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	*slot = (struct loop_slot){ .watch = watch, .fd = fd, .events = events };
	slot->prev = &loop->slots;
	slot->next = loop->slots;
	if (slot->next)
		slot->next->prev = &slot->next;
	loop->slots = slot;
	watch->slot = slot;
	if (!is_disabled(loop))		/* else enable() does it */
		arm(loop, slot);
	return 0;
}

static void free_slot(struct loop_slot *slot)
{
	if (slot->watch)
		slot->watch->slot = NULL;
	*slot->prev = slot->next;
	if (slot->next)
		slot->next->prev = slot->prev;
	free(slot);
}

void loop_watch_remove(struct loop *loop, struct loop_watch *watch)
{
	struct io_uring_sqe *sqe;

	if (!watch->slot)
		return;
	if (loop->over || is_disabled(loop)) {
		free_slot(watch->slot);
		return;
	}
	sqe = get_sqe(loop);
	io_uring_prep_poll_remove(sqe, (uintptr_t)watch->slot | TAG_SLOT);
	set_data(sqe, NULL, TAG_NONE);
	watch->slot->watch = NULL;
	watch->slot = NULL;
}

static void slot_done(struct loop *loop, struct loop_slot *slot, int res, bool more)
{
	if (slot->watch && res != -ECANCELED)
		slot->watch->ready(slot->watch, res < 0 ? POLLERR : (unsigned)res);
	if (more)
		return;
	if (slot->watch && res >= 0) {
		arm(loop, slot);
		return;
	}
	free_slot(slot);
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
	uint64_t now = loop->timers ? clock_ns() : 0;

	while (loop->timers && loop->timers->at <= now) {
		struct loop_timer *timer = loop->timers;

		loop_timer_clear(loop, timer);
		timer->fired(timer);
	}
}

/* I/O. */

void loop_readv(struct loop *loop, struct loop_io *io, int fd,
		const struct iovec *segs, unsigned nr, off_t at)
{
	struct io_uring_sqe *sqe = get_sqe(loop);

	io_uring_prep_readv(sqe, fd, segs, nr, (uint64_t)at);
	set_data(sqe, io, TAG_IO);
}

void loop_writev(struct loop *loop, struct loop_io *io, int fd,
		 const struct iovec *segs, unsigned nr, off_t at, int flags)
{
	struct io_uring_sqe *sqe = get_sqe(loop);

	io_uring_prep_writev2(sqe, fd, segs, nr, (uint64_t)at, flags);
	set_data(sqe, io, TAG_IO);
}

void loop_fdatasync(struct loop *loop, struct loop_io *io, int fd)
{
	struct io_uring_sqe *sqe = get_sqe(loop);

	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	set_data(sqe, io, TAG_IO);
}

void loop_fallocate(struct loop *loop, struct loop_io *io, int fd, int mode,
		    off_t at, off_t len)
{
	struct io_uring_sqe *sqe = get_sqe(loop);

	io_uring_prep_fallocate(sqe, fd, mode, at, len);
	set_data(sqe, io, TAG_IO);
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

static void complete(struct loop *loop)
{
	struct io_uring_cqe *cqe;

	for (int n = 0; n < TURN_MAX && !io_uring_peek_cqe(&loop->ring, &cqe); n++) {
		uint64_t data = cqe->user_data;
		int res = cqe->res;
		bool more = cqe->flags & IORING_CQE_F_MORE;
		void *ptr = (void *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);

		io_uring_cqe_seen(&loop->ring, cqe);
		if ((data & TAG_MASK) == TAG_IO) {
			struct loop_io *io = ptr;

			io->done(io, res);
		} else if ((data & TAG_MASK) == TAG_SLOT) {
			slot_done(loop, ptr, res, more);
		}
	}
}

/* Submit, and wait if nothing else is to be done; 0 or a negative errno. */
static int submit(struct loop *loop)
{
	struct __kernel_timespec ts = { 0 }, *timeout = NULL;
	struct io_uring_cqe *cqe;
	uint64_t wait_ns = 0;
	int r;

	if (loop->timers) {
		uint64_t now = clock_ns();

		wait_ns = loop->timers->at > now ? loop->timers->at - now : 0;
		timeout = &ts;
	}
	if (loop->deferred.first || loop->quit) {
		wait_ns = 0;
		timeout = &ts;
	}
	ts.tv_sec = (int64_t)(wait_ns / CLOCK_NS_PER_S);
	ts.tv_nsec = (int64_t)(wait_ns % CLOCK_NS_PER_S);
	r = io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1, timeout, NULL);
	if (r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY)
		return 0;
	return r < 0 ? r : 0;
}

static int turn(struct loop *loop)
{
	int r = submit(loop);

	if (r < 0)
		return r;
	complete(loop);
	run_timers(loop);
	run_posted(loop);
	run_deferred(loop);
	return 0;
}

void loop_wait(struct loop *loop, bool (*done)(void *ctx), void *ctx)
{
	assert(loop_here(loop));
	while (!done(ctx))
		if (turn(loop) < 0)
			abort();	/* the ring itself is gone: nothing can complete */
}

/* From here on the calling thread owns the loop; 0 or a negative errno. */
static int enable(struct loop *loop)
{
	loop->thread = pthread_self();
	loop->thread_id = gettid();
	if (is_disabled(loop)) {
		/* io_uring_enable_rings() is missing from the library in Debian 12. */
		if (syscall(SYS_io_uring_register, loop->ring.ring_fd,
			    IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
			return -errno;
		loop->ring.flags &= ~IORING_SETUP_R_DISABLED;
		for (struct loop_slot *slot = loop->slots; slot; slot = slot->next)
			arm(loop, slot);
	}
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
	loop->over = true;
}

/*
 * Completions run in the owner's system calls, not by interrupting it
 * (DEFER_TASKRUN, Linux 6.1); older kernels know less and do well without.
 */
static int make_ring(struct io_uring *ring)
{
	static const unsigned flags[] = {
		IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
			IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN,
		IORING_SETUP_R_DISABLED,
	};
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_LEN(flags) && r == -EINVAL; i++) {
		struct io_uring_params p = {
			.flags = flags[i] | IORING_SETUP_CQSIZE,
			.cq_entries = CQ_ENTRIES,
		};

		r = io_uring_queue_init_params(SQ_ENTRIES, ring, &p);
	}
	return r;
}

int loop_new(struct loop **ret_loop, struct err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return err_sys(err, -ENOMEM, "cannot make an event loop");
	queue_init(&loop->deferred);
	queue_init(&loop->posted);
	pthread_mutex_init(&loop->lock, NULL);

	r = make_ring(&loop->ring);
	if (r < 0) {
		err_sys(err, r, "cannot set up io_uring (vmm doctor tells more)");
		goto no_ring;
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
	io_uring_queue_exit(&loop->ring);
no_ring:
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return r;
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	io_uring_queue_exit(&loop->ring);
	while (loop->slots)
		free_slot(loop->slots);
	close(loop->wake_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return NULL;
}
