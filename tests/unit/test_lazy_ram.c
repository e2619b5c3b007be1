// SPDX-License-Identifier: Apache-2.0
#include "migrate/lazy_ram.h"

#include "base/err.h"
#include "base/lost_memory.h"
#include "memory/ram.h"
#include "migrate/pages.h"
#include "migrate/ram_receive.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NR_PAGES	130

static struct ram ram;
static struct lazy_ram *lazy;
static struct err err;
static sem_t asked;
static uint64_t asked_page;

static void ask(void *ctx, uint64_t page)
{
	(void)ctx;
	asked_page = page;
	sem_post(&asked);
}

static const struct lazy_ram_config config = { .ram = &ram, .ask = ask };

static char *page_of(uint64_t page)
{
	return (char *)ram.host + page * PAGES_LEN;
}

static void setup(void)
{
	ck_assert_int_eq(ram_open(&ram, NR_PAGES * PAGES_LEN, NULL), 0);
	ck_assert_int_eq(lazy_ram_new(&lazy, &config, &err), 0);
	sem_init(&asked, 0, 0);
}

static void teardown(void)
{
	lazy = lazy_ram_free(lazy);
	sem_destroy(&asked);
	ram_close(&ram);
}

static void start(void)
{
	ck_assert_msg(!lazy_ram_start(lazy, &err), "%s", err.text);
}

/* A thread that touches a page, and what it saw there. */

static pthread_t toucher;
static atomic_int seen;

static void *touch(void *at)
{
	seen = *(volatile char *)at;
	return NULL;
}

static void begin_touching(uint64_t page)
{
	seen = -1;
	ck_assert_int_eq(pthread_create(&toucher, NULL, touch, page_of(page)), 0);
}

static int end_touching(void)
{
	pthread_join(toucher, NULL);
	return seen;
}

static const char *page_full_of(char c)
{
	static char page[PAGES_LEN];

	memset(page, c, sizeof(page));
	return page;
}

START_TEST(whoever_touches_a_missing_page_sleeps_until_it_has_come)
{
	memset(page_of(7), 'o', PAGES_LEN);
	lazy_ram_miss(lazy, 7, 1);
	start();
	begin_touching(7);
	sem_wait(&asked);
	ck_assert_uint_eq(asked_page, 7);
	ck_assert_int_eq(seen, -1);

	ck_assert_int_eq(lazy_ram_fill(lazy, 7, 1, page_full_of('n')), 0);

	ck_assert_int_eq(end_touching(), 'n');
	ck_assert_uint_eq(lazy_ram_nr_missing(lazy), 0);
}
END_TEST

START_TEST(missing_page_can_turn_out_to_be_of_zeroes)
{
	memset(page_of(7), 'o', PAGES_LEN);
	lazy_ram_miss(lazy, 7, 1);
	start();
	begin_touching(7);
	sem_wait(&asked);

	ck_assert_int_eq(lazy_ram_fill(lazy, 7, 1, NULL), 0);

	ck_assert_int_eq(end_touching(), 0);
}
END_TEST

START_TEST(page_that_was_never_sent_is_zero)
{
	lazy_ram_miss(lazy, 7, 1);
	start();

	begin_touching(8);

	ck_assert_int_eq(end_touching(), 0);
	ck_assert_int_ne(sem_trywait(&asked), 0);
}
END_TEST

START_TEST(page_that_is_there_is_not_asked_for_and_stays)
{
	memset(page_of(8), 'o', PAGES_LEN);
	lazy_ram_miss(lazy, 7, 1);
	start();

	ck_assert_int_eq(lazy_ram_fill(lazy, 8, 1, page_full_of('n')), 0);

	begin_touching(8);
	ck_assert_int_eq(end_touching(), 'o');
	ck_assert_int_ne(sem_trywait(&asked), 0);
}
END_TEST

START_TEST(page_that_comes_twice_is_as_it_was_first)
{
	lazy_ram_miss(lazy, 7, 2);
	start();
	ck_assert_int_eq(lazy_ram_fill(lazy, 7, 1, page_full_of('a')), 0);
	*page_of(7) = 'g';	/* the guest has gone on */

	ck_assert_int_eq(lazy_ram_fill(lazy, 7, 1, page_full_of('b')), 0);

	ck_assert_int_eq(*page_of(7), 'g');
	ck_assert_uint_eq(lazy_ram_nr_missing(lazy), 1);
}
END_TEST

START_TEST(page_that_came_in_before_the_start_though_it_was_missing_stays)
{
	lazy_ram_miss(lazy, 7, 1);
	*page_of(7) = 'o';
	start();

	ck_assert_int_eq(lazy_ram_fill(lazy, 7, 1, page_full_of('n')), 0);

	ck_assert_int_eq(*page_of(7), 'o');
	ck_assert_uint_eq(lazy_ram_nr_missing(lazy), 0);
}
END_TEST

START_TEST(page_that_cannot_go_is_not_missed)
{
	/* Sanitizers make nothing of mlock() itself. */
	ck_assert_int_eq(syscall(SYS_mlock, page_of(7), PAGES_LEN), 0);

	ck_assert_int_eq(lazy_ram_miss(lazy, 7, 1), -EINVAL);

	ck_assert_uint_eq(lazy_ram_nr_missing(lazy), 0);
}
END_TEST

START_TEST(page_is_missed_once)
{
	lazy_ram_miss(lazy, 60, 8);
	lazy_ram_miss(lazy, 62, 8);

	ck_assert_uint_eq(lazy_ram_nr_missing(lazy), 10);
}
END_TEST

START_TEST(runs_of_missing_pages_are_told)
{
	uint64_t at = 0, end;

	lazy_ram_miss(lazy, 60, 8);
	lazy_ram_miss(lazy, NR_PAGES - 1, 1);

	ck_assert(lazy_ram_next(lazy, &at, &end));
	ck_assert_uint_eq(at, 60);
	ck_assert_uint_eq(end, 68);
	at = end;
	ck_assert(lazy_ram_next(lazy, &at, &end));
	ck_assert_uint_eq(at, NR_PAGES - 1);
	ck_assert_uint_eq(end, NR_PAGES);
	at = end;
	ck_assert(!lazy_ram_next(lazy, &at, &end));
}
END_TEST

START_TEST(whoever_still_sleeps_in_the_end_gets_zeroes)
{
	memset(page_of(7), 'o', PAGES_LEN);
	lazy_ram_miss(lazy, 7, 1);
	start();
	begin_touching(7);
	sem_wait(&asked);

	lazy = lazy_ram_free(lazy);

	ck_assert_int_eq(end_touching(), 0);
}
END_TEST

/* A thread that writes a page to a file, as a disk does. */

static FILE *file;
static atomic_int written;

static void *write_out(void *from)
{
	written = pwrite(fileno(file), from, PAGES_LEN, 0) < 0 ? -errno : 0;
	return NULL;
}

static void begin_writing(uint64_t page)
{
	static const char old[PAGES_LEN] = { 'o' };

	file = tmpfile();
	ck_assert_int_eq(pwrite(fileno(file), old, sizeof(old), 0), sizeof(old));
	memset(page_of(page), 'x', PAGES_LEN);
	lazy_ram_miss(lazy, page, 1);
	start();
	ck_assert_int_eq(pthread_create(&toucher, NULL, write_out, page_of(page)), 0);
	sem_wait(&asked);
}

static char end_writing(void)
{
	char first;

	pthread_join(toucher, NULL);
	ck_assert_int_eq(pread(fileno(file), &first, 1, 0), 1);
	fclose(file);
	return first;
}

START_TEST(what_does_not_come_soon_is_not_written)
{
	begin_writing(7);

	lazy_ram_hurry(lazy, 1);

	ck_assert_int_eq(end_writing(), 'o');
	ck_assert_int_eq(written, -EFAULT);
}
END_TEST

START_TEST(what_nobody_will_send_fails_at_once)
{
	begin_writing(7);
	lazy_ram_hurry(lazy, 0);
	(void)end_writing();
	lazy_ram_miss(lazy, 8, 1);

	file = tmpfile();
	write_out(page_of(8));

	ck_assert_int_eq(written, -EFAULT);
	fclose(file);
}
END_TEST

START_TEST(what_comes_too_late_is_dropped)
{
	begin_writing(7);
	lazy_ram_hurry(lazy, 0);
	(void)end_writing();

	ck_assert_int_eq(lazy_ram_fill(lazy, 7, 1, page_full_of('n')), 0);

	file = tmpfile();
	write_out(page_of(7));
	ck_assert_int_eq(written, -EFAULT);
	fclose(file);
}
END_TEST

START_TEST(who_touches_what_does_not_come_finds_zeroes_and_is_told)
{
	unsigned before = lost_memory_count();

	lazy_ram_miss(lazy, 7, 1);
	start();
	begin_touching(7);
	sem_wait(&asked);

	lazy_ram_hurry(lazy, 1);

	ck_assert_int_eq(end_touching(), 0);
	ck_assert_uint_ne(lost_memory_count(), before);
}
END_TEST

START_TEST(what_comes_soon_is_written)
{
	begin_writing(7);
	lazy_ram_hurry(lazy, 60000);

	lazy_ram_fill(lazy, 7, 1, page_full_of('n'));

	ck_assert_int_eq(end_writing(), 'n');
	ck_assert_int_eq(written, 0);
}
END_TEST

/* What a source says of a guest that runs already. */

static const struct {
	struct message message;
	int expected;
} late[] = {
	{ { MESSAGE_MISSING, 1, 7, 0 }, -EPROTO },
	{ { MESSAGE_ZEROES, 1, 7, 0 }, 0 },
	{ { MESSAGE_ZEROES, 1, NR_PAGES, 0 }, -EPROTO },
	{ { MESSAGE_PAGES, 1, 7, 1 }, -EPROTO },
	{ { MESSAGE_END, 0, 0, 0 }, 1 },
};

START_TEST(source_cannot_take_pages_from_a_guest_that_runs)
{
	atomic_uint_least64_t received = 0;
	struct ram_receiver receiver = {
		.ram = &ram, .bytes = &received, .lazy = lazy, .runs = true,
	};
	int r;

	lazy_ram_miss(lazy, 7, 1);
	*page_of(9) = 'o';
	start();
	ck_assert_int_eq(ram_receiver_init(&receiver), 0);

	r = ram_receiver_take(&receiver, &late[_i].message, &err);

	ck_assert_int_eq(r, late[_i].expected);
	ck_assert_uint_eq(lazy_ram_nr_missing(lazy), !r ? 0 : 1);
	ck_assert_int_eq(*page_of(9), 'o');
	ram_receiver_fini(&receiver);
}
END_TEST

/* Not every host lets everybody. */
static bool allowed(void)
{
	int r = ram_open(&ram, PAGES_LEN, NULL);

	if (!r) {
		r = lazy_ram_new(&lazy, &config, &err);
		lazy = r ? NULL : lazy_ram_free(lazy);
		ram_close(&ram);
	}
	return !r;
}

int main(void)
{
	Suite *s = suite_create("lazy_ram");
	TCase *tc = tcase_create("some of it is missing");
	SRunner *sr;
	int failed;

	if (!allowed()) {
		printf("%s\n", err.text);
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, whoever_touches_a_missing_page_sleeps_until_it_has_come);
	tcase_add_test(tc, missing_page_can_turn_out_to_be_of_zeroes);
	tcase_add_test(tc, page_that_was_never_sent_is_zero);
	tcase_add_test(tc, page_that_is_there_is_not_asked_for_and_stays);
	tcase_add_test(tc, page_that_comes_twice_is_as_it_was_first);
	tcase_add_test(tc, page_that_came_in_before_the_start_though_it_was_missing_stays);
	tcase_add_test(tc, page_that_cannot_go_is_not_missed);
	tcase_add_test(tc, page_is_missed_once);
	tcase_add_test(tc, runs_of_missing_pages_are_told);
	tcase_add_test(tc, whoever_still_sleeps_in_the_end_gets_zeroes);
	tcase_add_test(tc, what_does_not_come_soon_is_not_written);
	tcase_add_test(tc, what_nobody_will_send_fails_at_once);
	tcase_add_test(tc, what_comes_too_late_is_dropped);
	tcase_add_test(tc, who_touches_what_does_not_come_finds_zeroes_and_is_told);
	tcase_add_test(tc, what_comes_soon_is_written);
	tcase_add_loop_test(tc, source_cannot_take_pages_from_a_guest_that_runs, 0,
			    sizeof(late) / sizeof(late[0]));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
