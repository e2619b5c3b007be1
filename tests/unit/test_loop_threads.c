// SPDX-License-Identifier: Apache-2.0
/*
 * loop.h where threads meet: calls, posts, and how a loop begins and ends.
 */
#include "loop/loop.h"

#include "loop_fixture.h"

#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define NR_THREADS	4

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

START_TEST(new_without_any_descriptor_fails)
{
	struct loop *other = NULL;
	struct err err;

	limit_descriptors(0);

	ck_assert_int_eq(loop_new(&other, &err), -EMFILE);
	ck_assert_ptr_null(other);
	ck_assert_ptr_nonnull(strstr(err.text, "cannot make an event"));
}
END_TEST

START_TEST(new_without_a_second_descriptor_fails)
{
	struct loop *other = NULL;
	struct err err;

	limit_descriptors(1);

	ck_assert_int_eq(loop_new(&other, &err), -EMFILE);
	ck_assert_ptr_null(other);
	ck_assert_ptr_nonnull(strstr(err.text, "cannot make an event"));
}
END_TEST

static TCase *life_tests(void)
{
	TCase *tc = tcase_create("life");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing_that_threads_post_is_lost);
	tcase_add_test(tc, call_before_start_runs_here);
	tcase_add_test(tc, call_runs_on_the_loops_own_thread);
	tcase_add_test(tc, thread_bears_its_name);
	tcase_add_test(tc, call_after_stop_runs_here);
	tcase_add_test(tc, calls_of_several_threads_take_turns);
	tcase_add_test(tc, watch_left_at_stop_may_be_removed_afterwards);
	tcase_add_test(tc, free_lets_go_of_watches_that_are_left);
	tcase_add_test(tc, loop_that_never_ran_can_be_freed);
	tcase_add_test(tc, new_without_any_descriptor_fails);
	tcase_add_test(tc, new_without_a_second_descriptor_fails);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("loop_threads");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, life_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
