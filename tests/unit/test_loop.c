// SPDX-License-Identifier: Apache-2.0
#include "loop/loop.h"

#include "loop_fixture.h"

#include "base/bits.h"
#include "base/clock.h"
#include "loop/spin.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Watches. */

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

/* The other end sees a close, so the loop holds the file no more. */
START_TEST(watch_that_is_removed_amid_an_event_is_gone)
{
	struct watcher w = { .watch.ready = count };
	struct pollfd other = { .events = POLLIN };
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(loop_watch_add(loop, &w.watch, ends[0], POLLIN), 0);
	run_some_turns();
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	loop_watch_remove(loop, &w.watch);
	close(ends[0]);
	run_some_turns();

	other.fd = ends[1];
	ck_assert_int_eq(poll(&other, 1, 0), 1);
	ck_assert_uint_eq(other.revents & POLLHUP, POLLHUP);
	close(ends[1]);
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

static void allow_many_descriptors(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(file_is_ready_at_once)
{
	struct watcher w = { .watch.ready = count };
	FILE *file = tmpfile();

	ck_assert_int_eq(loop_watch_add(loop, &w.watch, fileno(file), POLLIN), 0);
	run_some_turns();

	ck_assert_int_ge(w.nr, 1);
	ck_assert_uint_eq(w.events, POLLIN);
	loop_watch_remove(loop, &w.watch);
	fclose(file);
}
END_TEST

START_TEST(more_watches_than_the_ring_holds_may_be_added_before_start)
{
	static struct loop_watch many[NR_MANY];
	static int fds[NR_MANY];

	allow_many_descriptors();
	nr_reports = 0;
	for (int i = 0; i < NR_MANY; i++) {
		fds[i] = eventfd(1, EFD_CLOEXEC);
		many[i].ready = count_to_many;
		ck_assert_int_eq(loop_watch_add(loop, &many[i], fds[i], POLLIN), 0);
	}
	run();

	ck_assert_int_eq(nr_reports, NR_MANY);
	for (int i = 0; i < NR_MANY; i++) {
		loop_watch_remove(loop, &many[i]);
		close(fds[i]);
	}
}
END_TEST

/* Polls. */

struct writer {
	struct loop_poll poll;
	struct watcher *watcher;
};

static bool write_once(struct loop_poll *poll)
{
	eventfd_write(container_of(poll, struct writer, poll)->watcher->fd, 1);
	return false;
}

static bool may_sleep(struct loop_poll *poll)
{
	(void)poll;
	return true;
}

/* Until it spins, and goes on spinning. */
static void write_unless_spinning(struct loop_watch *watch, unsigned events)
{
	struct watcher *w = container_of(watch, struct watcher, watch);

	count(watch, events);
	if (w->nr == 4 * SPIN_SLEEPS_MIN)
		loop_quit(loop);
	else if (!loop_spins(loop))
		eventfd_write(w->fd, 1);
}

/* What is looked at while it spins has nothing, but makes a descriptor ready. */
START_TEST(loop_that_spins_notices_what_is_ready)
{
	struct watcher w;
	struct writer writer = { .poll = { .serve = write_once, .sleep = may_sleep },
				 .watcher = &w };

	watch_eventfd(&w, write_unless_spinning);
	loop_poll_add(loop, &writer.poll);
	eventfd_write(w.fd, 1);
	run();

	ck_assert(loop_spins(loop));
	loop_poll_remove(loop, &writer.poll);
	unwatch(&w);
}
END_TEST

/* Work. */

static void quit_task(struct loop_task *task)
{
	(void)task;
	loop_quit(loop);
}

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

START_TEST(cancelled_post_does_not_run_and_may_be_posted_again)
{
	struct teller a = { .task.run = tell_task, .letter = 'a' };
	struct teller b = { .task.run = tell_task, .letter = 'b' };

	loop_post(loop, &a.task);
	loop_post(loop, &b.task);
	loop_cancel(loop, &b.task);
	loop_cancel(loop, &a.task);
	loop_post(loop, &b.task);
	run_some_turns();

	ck_assert_str_eq(story, "b");
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

static TCase *watch_tests(void)
{
	TCase *tc = tcase_create("watches");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, input_that_was_there_before_is_reported);
	tcase_add_test(tc, every_write_to_an_unread_eventfd_is_reported);
	tcase_add_test(tc, hang_up_is_reported);
	tcase_add_test(tc, loop_that_spins_notices_what_is_ready);
	tcase_add_test(tc, watch_that_is_removed_amid_an_event_is_gone);
	tcase_add_test(tc, descriptor_that_cannot_be_watched_is_an_error_once);
	tcase_add_test(tc, removed_watch_is_not_called_for_what_had_completed_already);
	tcase_add_test(tc, removed_watch_may_be_freed_at_once);
	tcase_add_test(tc, watch_may_remove_itself_and_come_back);
	tcase_add_test(tc, removing_what_is_not_watched_does_nothing);
	tcase_add_test(tc, file_is_ready_at_once);
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
	tcase_add_test(tc, cancelled_post_does_not_run_and_may_be_posted_again);
	tcase_add_test(tc, loop_may_run_again_after_quit);
	tcase_add_test(tc, wait_runs_other_work_meanwhile);
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

int main(void)
{
	Suite *s = suite_create("loop");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, watch_tests());
	suite_add_tcase(s, work_tests());
	suite_add_tcase(s, timer_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
