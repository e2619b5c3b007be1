// SPDX-License-Identifier: Apache-2.0
#include "loop/loop.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#define NR_MANY		2000	/* more than the ring has room for at once */
#define NR_THREADS	4

static struct loop *loop;

/* What callbacks did, a letter each. */
static char story[64];
static size_t story_len;

static void tell(char letter)
{
	ck_assert_uint_lt(story_len, sizeof(story) - 1);
	story[story_len++] = letter;
}

static void setup(void)
{
	struct err err;

	story_len = 0;
	memset(story, 0, sizeof(story));
	ck_assert_int_eq(loop_new(&loop, &err), 0);
}

static void teardown(void)
{
	loop = loop_free(loop);
}

/* Run until a callback quits; Check's timeout ends a test in which none does. */
static void run(void)
{
	ck_assert_int_eq(loop_run(loop), 0);
}

/* A task that tells its letter. */
struct teller {
	struct loop_task task;
	char letter;
};

static void tell_task(struct loop_task *task)
{
	tell(container_of(task, struct teller, task)->letter);
}

static void quit_task(struct loop_task *task)
{
	(void)task;
	loop_quit(loop);
}

/* Runs a few turns more, so that whatever is to come has come; then quits. */
static int turns_left;

static void linger_task(struct loop_task *task)
{
	if (turns_left-- > 0)
		loop_defer(loop, task);
	else
		loop_quit(loop);
}

static struct loop_task linger = { .run = linger_task };

static void run_some_turns(void)
{
	turns_left = 10;
	loop_defer(loop, &linger);
	run();
}

/* Watches. */

struct watcher {
	struct loop_watch watch;
	int fd;
	int nr;			/* reports */
	unsigned events;	/* of the last */
};

static void count(struct loop_watch *watch, unsigned events)
{
	struct watcher *w = container_of(watch, struct watcher, watch);

	w->nr++;
	w->events = events;
}

static void watch_eventfd(struct watcher *w, void (*ready)(struct loop_watch *, unsigned))
{
	*w = (struct watcher){ .watch.ready = ready, .fd = eventfd(0, EFD_CLOEXEC) };
	ck_assert_int_ge(w->fd, 0);
	ck_assert_int_eq(loop_watch_add(loop, &w->watch, w->fd, POLLIN), 0);
}

static void unwatch(struct watcher *w)
{
	loop_watch_remove(loop, &w->watch);
	close(w->fd);
}

START_TEST(input_that_was_there_before_is_reported)
{
	struct watcher w;

	watch_eventfd(&w, count);
	eventfd_write(w.fd, 1);
	run_some_turns();

	ck_assert_int_eq(w.nr, 1);
	ck_assert_uint_eq(w.events, POLLIN);
	unwatch(&w);
}
END_TEST

static void write_until_three(struct loop_watch *watch, unsigned events)
{
	struct watcher *w = container_of(watch, struct watcher, watch);

	count(watch, events);
	if (w->nr == 3)
		loop_quit(loop);
	else
		eventfd_write(w->fd, 1);
}

START_TEST(every_write_to_an_unread_eventfd_is_reported)
{
	struct watcher w;

	watch_eventfd(&w, write_until_three);
	eventfd_write(w.fd, 1);
	run();

	ck_assert_int_eq(w.nr, 3);
	unwatch(&w);
}
END_TEST

START_TEST(hang_up_is_reported)
{
	struct watcher w = { .watch.ready = count };
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(loop_watch_add(loop, &w.watch, ends[0], POLLIN), 0);
	close(ends[1]);
	run_some_turns();

	ck_assert_uint_eq(w.events & POLLHUP, POLLHUP);
	loop_watch_remove(loop, &w.watch);
	close(ends[0]);
}
END_TEST

START_TEST(descriptor_that_cannot_be_watched_is_an_error_once)
{
	struct watcher w = { .watch.ready = count };

	ck_assert_int_eq(loop_watch_add(loop, &w.watch, -1, POLLIN), 0);
	run_some_turns();

	ck_assert_int_eq(w.nr, 1);
	ck_assert_uint_eq(w.events, POLLERR);
	ck_assert_ptr_null(w.watch.slot);
}
END_TEST

/* Two whose inputs arrive in the same turn. */
static struct watcher pair[2];

static void remove_other(struct loop_watch *watch, unsigned events)
{
	struct watcher *w = container_of(watch, struct watcher, watch);

	count(watch, events);
	loop_watch_remove(loop, &pair[w == &pair[0]].watch);
}

START_TEST(removed_watch_is_not_called_for_what_had_completed_already)
{
	watch_eventfd(&pair[0], remove_other);
	watch_eventfd(&pair[1], remove_other);
	eventfd_write(pair[0].fd, 1);
	eventfd_write(pair[1].fd, 1);
	run_some_turns();

	ck_assert_int_eq(pair[0].nr + pair[1].nr, 1);
	unwatch(&pair[0]);
	unwatch(&pair[1]);
}
END_TEST

START_TEST(removed_watch_may_be_freed_at_once)
{
	struct watcher *w = malloc(sizeof(*w));
	int fd;

	watch_eventfd(w, count);
	run_some_turns();
	fd = w->fd;
	eventfd_write(fd, 1);
	loop_watch_remove(loop, &w->watch);
	memset(w, 0xff, sizeof(*w));
	free(w);
	run_some_turns();

	close(fd);
}
END_TEST

static void move_to_new_slot(struct loop_watch *watch, unsigned events)
{
	struct watcher *w = container_of(watch, struct watcher, watch);

	count(watch, events);
	loop_watch_remove(loop, watch);
	if (w->nr < 3)
		ck_assert_int_eq(loop_watch_add(loop, watch, w->fd, POLLIN), 0);
}

START_TEST(watch_may_remove_itself_and_come_back)
{
	struct watcher w;

	watch_eventfd(&w, move_to_new_slot);
	eventfd_write(w.fd, 1);		/* unread: ready again for each new watch */
	run_some_turns();

	ck_assert_int_eq(w.nr, 3);
	ck_assert_ptr_null(w.watch.slot);
	close(w.fd);
}
END_TEST

START_TEST(removing_what_is_not_watched_does_nothing)
{
	struct watcher w = { .watch.ready = count };

	loop_watch_remove(loop, &w.watch);
	run_some_turns();

	ck_assert_int_eq(w.nr, 0);
}
END_TEST

static int nr_reports;

static void count_to_many(struct loop_watch *watch, unsigned events)
{
	(void)watch;
	(void)events;
	if (++nr_reports == NR_MANY)
		loop_quit(loop);
}

START_TEST(more_watches_than_the_ring_holds_may_be_added_before_start)
{
	static struct loop_watch many[NR_MANY];
	int fd = eventfd(1, EFD_CLOEXEC);

	nr_reports = 0;
	for (int i = 0; i < NR_MANY; i++) {
		many[i].ready = count_to_many;
		ck_assert_int_eq(loop_watch_add(loop, &many[i], fd, POLLIN), 0);
	}
	run();

	ck_assert_int_eq(nr_reports, NR_MANY);
	for (int i = 0; i < NR_MANY; i++)
		loop_watch_remove(loop, &many[i]);
	close(fd);
}
END_TEST

/* Work. */

START_TEST(task_that_is_queued_twice_runs_once)
{
	struct teller a = { .task.run = tell_task, .letter = 'a' };
	struct teller b = { .task.run = tell_task, .letter = 'b' };

	loop_post(loop, &a.task);
	loop_post(loop, &a.task);
	loop_defer(loop, &b.task);
	loop_defer(loop, &b.task);
	run_some_turns();

	ck_assert_str_eq(story, "ab");
}
END_TEST

static void post_again_until_three(struct loop_task *task)
{
	tell_task(task);
	if (story_len < 3)
		loop_post(loop, task);
	else
		loop_quit(loop);
}

START_TEST(task_may_post_itself)
{
	struct teller a = { .task.run = post_again_until_three, .letter = 'a' };

	loop_post(loop, &a.task);
	run();

	ck_assert_str_eq(story, "aaa");
}
END_TEST

static struct loop_task posted_late = { .run = quit_task };

static void post_late(struct loop_task *task)
{
	tell_task(task);
	loop_post(loop, &posted_late);
}

START_TEST(what_is_posted_while_others_wait_wakes_the_next_turn)
{
	struct teller a = { .task.run = post_late, .letter = 'a' };
	struct teller b = { .task.run = tell_task, .letter = 'b' };

	loop_post(loop, &a.task);
	loop_post(loop, &b.task);
	run();

	ck_assert_str_eq(story, "ab");
}
END_TEST

static struct teller at_end = { .task.run = tell_task, .letter = 'e' };

static void tell_and_defer(struct loop_watch *watch, unsigned events)
{
	(void)watch;
	(void)events;
	tell('r');
	loop_defer(loop, &at_end.task);
}

START_TEST(deferred_work_follows_all_completions_of_the_turn)
{
	watch_eventfd(&pair[0], tell_and_defer);
	watch_eventfd(&pair[1], tell_and_defer);
	eventfd_write(pair[0].fd, 1);
	eventfd_write(pair[1].fd, 1);
	run_some_turns();

	ck_assert_str_eq(story, "rre");
	unwatch(&pair[0]);
	unwatch(&pair[1]);
}
END_TEST

START_TEST(cancelled_work_does_not_run_and_leaves_the_queue_whole)
{
	struct teller a = { .task.run = tell_task, .letter = 'a' };
	struct teller b = { .task.run = tell_task, .letter = 'b' };
	struct teller c = { .task.run = tell_task, .letter = 'c' };

	loop_defer(loop, &a.task);
	loop_defer(loop, &b.task);
	loop_cancel(loop, &b.task);
	loop_cancel(loop, &b.task);
	loop_defer(loop, &c.task);
	loop_cancel(loop, &a.task);
	run_some_turns();

	ck_assert_str_eq(story, "c");
}
END_TEST

static struct loop_task many_tasks[NR_THREADS][NR_MANY];
static int nr_ran;

static void count_task(struct loop_task *task)
{
	(void)task;
	if (++nr_ran == NR_THREADS * NR_MANY)
		loop_quit(loop);
}

static void *post_many(void *arg)
{
	struct loop_task *tasks = arg;

	for (int i = 0; i < NR_MANY; i++) {
		tasks[i] = (struct loop_task){ .run = count_task };
		loop_post(loop, &tasks[i]);
	}
	return NULL;
}

START_TEST(nothing_that_threads_post_is_lost)
{
	pthread_t threads[NR_THREADS];

	nr_ran = 0;
	for (int i = 0; i < NR_THREADS; i++)
		pthread_create(&threads[i], NULL, post_many, many_tasks[i]);
	run();
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);

	ck_assert_int_eq(nr_ran, NR_THREADS * NR_MANY);
}
END_TEST

/* Calls and threads. */

struct caller {
	pthread_t ran_on;
	bool here;
	char name[16];
	int nr;
};

static void look_around(void *ctx)
{
	struct caller *c = ctx;

	c->ran_on = pthread_self();
	c->here = loop_here(loop);
	c->nr++;
	pthread_getname_np(pthread_self(), c->name, sizeof(c->name));
}

START_TEST(call_before_start_runs_here)
{
	struct caller c = { 0 };

	loop_call(loop, look_around, &c);

	ck_assert(pthread_equal(c.ran_on, pthread_self()));
	ck_assert(c.here);
}
END_TEST

START_TEST(call_runs_on_the_loops_own_thread)
{
	struct caller c = { 0 };

	ck_assert_int_eq(loop_start(loop, "io-test", NULL), 0);
	loop_call(loop, look_around, &c);

	ck_assert(!pthread_equal(c.ran_on, pthread_self()));
	ck_assert(c.here);
	ck_assert(!loop_here(loop));
	loop_stop(loop);
}
END_TEST

START_TEST(thread_bears_its_name)
{
	struct caller c = { 0 };

	ck_assert_int_eq(loop_start(loop, "io-test", NULL), 0);
	loop_call(loop, look_around, &c);

	ck_assert_str_eq(c.name, "io-test");
	loop_stop(loop);
}
END_TEST

START_TEST(call_after_stop_runs_here)
{
	struct caller c = { 0 };

	ck_assert_int_eq(loop_start(loop, "io-test", NULL), 0);
	loop_stop(loop);
	loop_call(loop, look_around, &c);

	ck_assert(pthread_equal(c.ran_on, pthread_self()));
	ck_assert(c.here);
}
END_TEST

static void *call_many(void *arg)
{
	for (int i = 0; i < 200; i++)
		loop_call(loop, look_around, arg);
	return NULL;
}

START_TEST(calls_of_several_threads_take_turns)
{
	struct caller c = { 0 };
	pthread_t threads[NR_THREADS];

	ck_assert_int_eq(loop_start(loop, "io-test", NULL), 0);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_create(&threads[i], NULL, call_many, &c);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	loop_stop(loop);

	ck_assert_int_eq(c.nr, NR_THREADS * 200);
}
END_TEST

START_TEST(watch_left_at_stop_may_be_removed_afterwards)
{
	struct watcher w;

	watch_eventfd(&w, count);
	ck_assert_int_eq(loop_start(loop, "io-test", NULL), 0);
	loop_stop(loop);
	loop_watch_remove(loop, &w.watch);

	ck_assert_ptr_null(w.watch.slot);
	close(w.fd);
}
END_TEST

START_TEST(free_lets_go_of_watches_that_are_left)
{
	struct watcher w;

	watch_eventfd(&w, count);
	ck_assert_int_eq(loop_start(loop, "io-test", NULL), 0);
	loop_stop(loop);
	loop = loop_free(loop);

	ck_assert_ptr_null(w.watch.slot);
	close(w.fd);
}
END_TEST

START_TEST(loop_that_never_ran_can_be_freed)
{
	struct watcher w, removed;

	watch_eventfd(&w, count);
	watch_eventfd(&removed, count);
	unwatch(&removed);
	loop = loop_free(loop);

	ck_assert_ptr_null(w.watch.slot);
	close(w.fd);
}
END_TEST

/* Let nr more descriptors be opened. */
static void limit_descriptors(int nr)
{
	struct rlimit limit;
	int next = dup(0);

	ck_assert_int_ge(next, 0);
	close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)(next + nr);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(new_without_a_descriptor_for_the_ring_fails)
{
	struct loop *other = NULL;
	struct err err;

	limit_descriptors(0);

	ck_assert_int_eq(loop_new(&other, &err), -EMFILE);
	ck_assert_ptr_null(other);
	ck_assert_ptr_nonnull(strstr(err.text, "io_uring"));
}
END_TEST

START_TEST(new_without_a_descriptor_for_the_eventfd_fails)
{
	struct loop *other = NULL;
	struct err err;

	limit_descriptors(1);

	ck_assert_int_eq(loop_new(&other, &err), -EMFILE);
	ck_assert_ptr_null(other);
	ck_assert_ptr_nonnull(strstr(err.text, "eventfd"));
}
END_TEST

START_TEST(loop_may_run_again_after_quit)
{
	struct teller a = { .task.run = tell_task, .letter = 'a' };

	run_some_turns();
	loop_post(loop, &a.task);
	run_some_turns();

	ck_assert_str_eq(story, "a");
}
END_TEST

static bool told_three(void *ctx)
{
	(void)ctx;
	return story_len == 3;
}

static void wait_for_three(struct loop_task *task)
{
	(void)task;
	tell('(');
	loop_wait(loop, told_three, NULL);
	tell(')');
	loop_quit(loop);
}

START_TEST(wait_runs_other_work_meanwhile)
{
	struct teller posted = { .task.run = tell_task, .letter = 'p' };
	struct teller deferred = { .task.run = tell_task, .letter = 'd' };
	struct loop_task waiting = { .run = wait_for_three };

	loop_post(loop, &waiting);
	loop_post(loop, &posted.task);
	loop_defer(loop, &deferred.task);
	run();

	ck_assert_str_eq(story, "(pd)");
}
END_TEST

/* Timers. */

struct alarm {
	struct loop_timer timer;
	char letter;
	uint64_t fired_at;
};

static void alarm_fired(struct loop_timer *timer)
{
	struct alarm *a = container_of(timer, struct alarm, timer);

	a->fired_at = clock_ns();
	tell(a->letter);
	if (a->letter == 'z')
		loop_quit(loop);
}

START_TEST(timers_fire_in_the_order_of_their_times)
{
	struct alarm a = { .timer.fired = alarm_fired, .letter = 'a' };
	struct alarm b = { .timer.fired = alarm_fired, .letter = 'b' };
	struct alarm z = { .timer.fired = alarm_fired, .letter = 'z' };
	uint64_t now = clock_ns();

	loop_timer_set(loop, &z.timer, now + 6 * CLOCK_NS_PER_MS);
	loop_timer_set(loop, &a.timer, now + 2 * CLOCK_NS_PER_MS);
	loop_timer_set(loop, &b.timer, now + 4 * CLOCK_NS_PER_MS);
	run();

	ck_assert_str_eq(story, "abz");
}
END_TEST

START_TEST(timers_of_one_time_fire_in_the_order_they_were_set)
{
	struct alarm a = { .timer.fired = alarm_fired, .letter = 'a' };
	struct alarm b = { .timer.fired = alarm_fired, .letter = 'b' };
	struct alarm z = { .timer.fired = alarm_fired, .letter = 'z' };
	uint64_t now = clock_ns();

	loop_timer_set(loop, &a.timer, now);
	loop_timer_set(loop, &b.timer, now);
	loop_timer_set(loop, &z.timer, now);
	run();

	ck_assert_str_eq(story, "abz");
}
END_TEST

START_TEST(timer_never_fires_early)
{
	struct alarm z = { .timer.fired = alarm_fired, .letter = 'z' };
	uint64_t at = clock_ns() + 5 * CLOCK_NS_PER_MS;

	loop_timer_set(loop, &z.timer, at);
	run();

	ck_assert_uint_ge(z.fired_at, at);
	ck_assert(!z.timer.set);
}
END_TEST

START_TEST(cleared_timer_does_not_fire)
{
	struct alarm a = { .timer.fired = alarm_fired, .letter = 'a' };
	struct alarm b = { .timer.fired = alarm_fired, .letter = 'b' };
	struct alarm z = { .timer.fired = alarm_fired, .letter = 'z' };
	uint64_t now = clock_ns();

	loop_timer_set(loop, &a.timer, now);
	loop_timer_set(loop, &b.timer, now + CLOCK_NS_PER_MS);
	loop_timer_set(loop, &z.timer, now + 2 * CLOCK_NS_PER_MS);
	loop_timer_clear(loop, &b.timer);
	loop_timer_clear(loop, &b.timer);
	run();

	ck_assert_str_eq(story, "az");
}
END_TEST

START_TEST(setting_a_timer_again_moves_it)
{
	struct alarm a = { .timer.fired = alarm_fired, .letter = 'a' };
	struct alarm b = { .timer.fired = alarm_fired, .letter = 'b' };
	struct alarm z = { .timer.fired = alarm_fired, .letter = 'z' };
	uint64_t now = clock_ns();

	loop_timer_set(loop, &a.timer, now);
	loop_timer_set(loop, &b.timer, now + 1);
	loop_timer_set(loop, &z.timer, now + 2 * CLOCK_NS_PER_MS);
	loop_timer_set(loop, &a.timer, now + CLOCK_NS_PER_MS);
	run();

	ck_assert_str_eq(story, "baz");
}
END_TEST

/* I/O. */

struct transfer {
	struct loop_io io;
	int res;
	bool done;
};

static int nr_pending;

static void transfer_done(struct loop_io *io, int res)
{
	struct transfer *t = container_of(io, struct transfer, io);

	ck_assert(!t->done);
	t->done = true;
	t->res = res;
	if (!--nr_pending)
		loop_quit(loop);
}

static struct transfer begin(int nr)
{
	nr_pending = nr;
	return (struct transfer){ .io.done = transfer_done };
}

static int temp_file(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(write_and_read_move_scattered_bytes)
{
	char ab[] = "ab", cde[] = "cde", first[4] = "", rest[2] = "";
	struct iovec out[] = { { ab, 2 }, { cde, 3 } };
	struct iovec in[] = { { first, 3 }, { rest, 1 } };
	struct transfer t = begin(1);
	int fd = temp_file();

	loop_writev(loop, &t.io, fd, out, 2, 10, 0);
	run();
	ck_assert_int_eq(t.res, 5);
	t = begin(1);
	loop_readv(loop, &t.io, fd, in, 2, 11);
	run();

	ck_assert_int_eq(t.res, 4);
	ck_assert_str_eq(first, "bcd");
	ck_assert_int_eq(rest[0], 'e');
	close(fd);
}
END_TEST

START_TEST(read_at_the_end_is_short)
{
	char buf[16];
	struct iovec seg = { buf, sizeof(buf) };
	struct transfer t = begin(1);
	int fd = temp_file();

	ck_assert_int_eq(write(fd, "abcd", 4), 4);
	loop_readv(loop, &t.io, fd, &seg, 1, 1);
	run();

	ck_assert_int_eq(t.res, 3);
	close(fd);
}
END_TEST

START_TEST(io_on_a_bad_descriptor_fails)
{
	char buf[16];
	struct iovec seg = { buf, sizeof(buf) };
	struct transfer r = begin(3), w = begin(3), f = begin(3);

	loop_readv(loop, &r.io, -1, &seg, 1, 0);
	loop_writev(loop, &w.io, -1, &seg, 1, 0, 0);
	loop_fdatasync(loop, &f.io, -1);
	run();

	ck_assert_int_eq(r.res, -EBADF);
	ck_assert_int_eq(w.res, -EBADF);
	ck_assert_int_eq(f.res, -EBADF);
}
END_TEST

START_TEST(durable_write_lands)
{
	char out[] = "abcd", in[4];
	struct iovec seg = { out, 4 };
	struct transfer t = begin(1);
	int fd = temp_file();

	loop_writev(loop, &t.io, fd, &seg, 1, 0, RWF_DSYNC);
	run();

	ck_assert_int_eq(t.res, 4);
	ck_assert_int_eq(pread(fd, in, 4, 0), 4);
	ck_assert_mem_eq(in, out, 4);
	close(fd);
}
END_TEST

START_TEST(flags_of_a_write_reach_the_kernel)
{
	char out[] = "abcd";
	struct iovec seg = { out, 4 };
	struct transfer t = begin(1);
	int fd = temp_file();

	loop_writev(loop, &t.io, fd, &seg, 1, 0, 1 << 30);
	run();

	ck_assert_int_eq(t.res, -EOPNOTSUPP);
	close(fd);
}
END_TEST

START_TEST(fdatasync_tells_whether_the_file_can)
{
	struct transfer file = begin(2), pipe_end = begin(2);
	int fd = temp_file(), ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	loop_fdatasync(loop, &file.io, fd);
	loop_fdatasync(loop, &pipe_end.io, ends[1]);
	run();

	ck_assert_int_eq(file.res, 0);
	ck_assert_int_eq(pipe_end.res, -EINVAL);
	close(fd);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static struct transfer many_io[NR_MANY];
static struct iovec many_segs[NR_MANY];
static uint32_t many_values[NR_MANY];

static int many_fd;

/* From within a callback: the ring has to be emptied while it is being filled. */
static void read_many(struct loop_task *task)
{
	(void)task;
	for (int i = 0; i < NR_MANY; i++)
		loop_readv(loop, &many_io[i].io, many_fd, &many_segs[i], 1, (off_t)i * 4);
}

START_TEST(more_ios_than_the_ring_holds_all_complete)
{
	struct loop_task task = { .run = read_many };

	many_fd = temp_file();
	for (uint32_t i = 0; i < NR_MANY; i++)
		ck_assert_int_eq(write(many_fd, &i, 4), 4);
	for (int i = 0; i < NR_MANY; i++) {
		many_io[i] = begin(NR_MANY);
		many_segs[i] = (struct iovec){ &many_values[i], 4 };
	}
	loop_post(loop, &task);
	run();

	for (uint32_t i = 0; i < NR_MANY; i++)
		ck_assert_uint_eq(many_values[i], i);
	close(many_fd);
}
END_TEST

static void sync_again(struct loop_io *io, int res)
{
	ck_assert_int_eq(res, 0);
	tell('s');
	if (story_len < 3)
		loop_fdatasync(loop, io, many_fd);
	else
		loop_quit(loop);
}

START_TEST(io_may_be_started_again_when_it_is_done)
{
	struct loop_io io = { .done = sync_again };

	many_fd = temp_file();
	loop_fdatasync(loop, &io, many_fd);
	run();

	ck_assert_str_eq(story, "sss");
	close(many_fd);
}
END_TEST

static TCase *watch_tests(void)
{
	TCase *tc = tcase_create("watches");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, input_that_was_there_before_is_reported);
	tcase_add_test(tc, every_write_to_an_unread_eventfd_is_reported);
	tcase_add_test(tc, hang_up_is_reported);
	tcase_add_test(tc, descriptor_that_cannot_be_watched_is_an_error_once);
	tcase_add_test(tc, removed_watch_is_not_called_for_what_had_completed_already);
	tcase_add_test(tc, removed_watch_may_be_freed_at_once);
	tcase_add_test(tc, watch_may_remove_itself_and_come_back);
	tcase_add_test(tc, removing_what_is_not_watched_does_nothing);
	tcase_add_test(tc, more_watches_than_the_ring_holds_may_be_added_before_start);
	return tc;
}

static TCase *work_tests(void)
{
	TCase *tc = tcase_create("work");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, task_that_is_queued_twice_runs_once);
	tcase_add_test(tc, task_may_post_itself);
	tcase_add_test(tc, what_is_posted_while_others_wait_wakes_the_next_turn);
	tcase_add_test(tc, deferred_work_follows_all_completions_of_the_turn);
	tcase_add_test(tc, cancelled_work_does_not_run_and_leaves_the_queue_whole);
	tcase_add_test(tc, nothing_that_threads_post_is_lost);
	tcase_add_test(tc, wait_runs_other_work_meanwhile);
	return tc;
}

static TCase *life_tests(void)
{
	TCase *tc = tcase_create("life");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, call_before_start_runs_here);
	tcase_add_test(tc, call_runs_on_the_loops_own_thread);
	tcase_add_test(tc, thread_bears_its_name);
	tcase_add_test(tc, call_after_stop_runs_here);
	tcase_add_test(tc, calls_of_several_threads_take_turns);
	tcase_add_test(tc, watch_left_at_stop_may_be_removed_afterwards);
	tcase_add_test(tc, free_lets_go_of_watches_that_are_left);
	tcase_add_test(tc, loop_that_never_ran_can_be_freed);
	tcase_add_test(tc, new_without_a_descriptor_for_the_ring_fails);
	tcase_add_test(tc, new_without_a_descriptor_for_the_eventfd_fails);
	tcase_add_test(tc, loop_may_run_again_after_quit);
	return tc;
}

static TCase *timer_tests(void)
{
	TCase *tc = tcase_create("timers");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, timers_fire_in_the_order_of_their_times);
	tcase_add_test(tc, timers_of_one_time_fire_in_the_order_they_were_set);
	tcase_add_test(tc, timer_never_fires_early);
	tcase_add_test(tc, cleared_timer_does_not_fire);
	tcase_add_test(tc, setting_a_timer_again_moves_it);
	return tc;
}

static TCase *io_tests(void)
{
	TCase *tc = tcase_create("io");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, write_and_read_move_scattered_bytes);
	tcase_add_test(tc, read_at_the_end_is_short);
	tcase_add_test(tc, io_on_a_bad_descriptor_fails);
	tcase_add_test(tc, durable_write_lands);
	tcase_add_test(tc, flags_of_a_write_reach_the_kernel);
	tcase_add_test(tc, fdatasync_tells_whether_the_file_can);
	tcase_add_test(tc, more_ios_than_the_ring_holds_all_complete);
	tcase_add_test(tc, io_may_be_started_again_when_it_is_done);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("loop");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, watch_tests());
	suite_add_tcase(s, work_tests());
	suite_add_tcase(s, life_tests());
	suite_add_tcase(s, timer_tests());
	suite_add_tcase(s, io_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
