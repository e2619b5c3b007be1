// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include "base/clock.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static char shown[64 * 1024];
static int file, real_stderr;

/* Standard error goes to a file that shown_text() reads. */
static void setup(void)
{
	file = memfd_create("stderr", MFD_CLOEXEC);
	ck_assert_int_ge(file, 0);
	real_stderr = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(file, STDERR_FILENO), 0);
}

static void teardown(void)
{
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(file);
}

static const char *shown_text(void)
{
	ssize_t len = pread(file, shown, sizeof(shown) - 1, 0);

	ck_assert_int_ge(len, 0);
	shown[len] = 0;
	return shown;
}

static int shown_lines(void)
{
	int nr = 0;

	for (const char *c = shown_text(); *c; c++)
		nr += *c == '\n';
	return nr;
}

/* Sleep until the clock's next whole second has just begun. */
static void await_next_second(void)
{
	uint64_t left = CLOCK_NS_PER_S - clock_ns() % CLOCK_NS_PER_S;
	struct timespec ts = { .tv_nsec = (long)left - 1, .tv_sec = 0 };

	while (nanosleep(&ts, &ts))
		;
	while (clock_ns() % CLOCK_NS_PER_S > CLOCK_NS_PER_S / 2)
		;
}

START_TEST(line_says_who_and_how_bad)
{
	log_error("disk '%s' is gone", "a");

	ck_assert_str_eq(shown_text(), "vmm: error: disk 'a' is gone\n");
}
END_TEST

START_TEST(warnings_are_shown_and_less_is_not_unless_asked_for)
{
	log_warn("w");
	log_info("i");
	log_debug("d");
	log_set_level(LOG_DEBUG);
	log_info("i");
	log_debug("d");

	ck_assert_str_eq(shown_text(),
			 "vmm: warning: w\nvmm: info: i\nvmm: debug: d\n");
}
END_TEST

START_TEST(errors_only_when_only_errors_are_asked_for)
{
	struct log_limit limit = { 0 };

	log_set_level(LOG_ERROR);
	log_warn("w");
	log_limited(&limit, LOG_WARN, "limited");
	log_error("e");

	ck_assert_str_eq(shown_text(), "vmm: error: e\n");
}
END_TEST

START_TEST(line_that_is_too_long_is_cut_and_still_a_line)
{
	char longer[4096];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	log_error("%s", longer);
	log_error("next");

	ck_assert_int_eq(shown_lines(), 2);
	ck_assert_ptr_nonnull(strstr(shown_text(), "xxx\nvmm: error: next\n"));
	ck_assert_uint_lt(strlen(shown_text()), 1100);
}
END_TEST

START_TEST(limit_lets_one_burst_through_each_second)
{
	struct log_limit limit = { 0 };

	await_next_second();
	for (int i = 0; i < 1000; i++)
		log_limited(&limit, LOG_WARN, "again %d", i);
	ck_assert_int_eq(shown_lines(), LOG_BURST);

	await_next_second();
	for (int i = 0; i < 1000; i++)
		log_limited(&limit, LOG_WARN, "again %d", i);
	ck_assert_int_eq(shown_lines(), 2 * LOG_BURST);
}
END_TEST

START_TEST(limits_do_not_share)
{
	struct log_limit a = { 0 }, b = { 0 };

	await_next_second();
	for (int i = 0; i < 1000; i++)
		log_limited(&a, LOG_WARN, "a");
	log_limited(&b, LOG_WARN, "b");

	ck_assert_ptr_nonnull(strstr(shown_text(), "vmm: warning: b\n"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log");
	TCase *tc = tcase_create("standard error");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, line_says_who_and_how_bad);
	tcase_add_test(tc, warnings_are_shown_and_less_is_not_unless_asked_for);
	tcase_add_test(tc, errors_only_when_only_errors_are_asked_for);
	tcase_add_test(tc, line_that_is_too_long_is_cut_and_still_a_line);
	tcase_add_test(tc, limit_lets_one_burst_through_each_second);
	tcase_add_test(tc, limits_do_not_share);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
