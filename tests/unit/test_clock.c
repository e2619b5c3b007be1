// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

START_TEST(time_goes_forward)
{
	uint64_t before = clock_ns();

	ck_assert_uint_ge(clock_ns(), before);
}
END_TEST

START_TEST(thread_that_works_takes_processor_time)
{
	uint64_t before = clock_thread_ns(gettid());

	while (clock_thread_ns(gettid()) < before + CLOCK_NS_PER_MS)
		;

	ck_assert_uint_gt(before, 0);
}
END_TEST

START_TEST(thread_that_sleeps_takes_none)
{
	uint64_t before = clock_thread_ns(gettid());

	usleep(200000);

	ck_assert_uint_lt(clock_thread_ns(gettid()) - before, 150 * CLOCK_NS_PER_MS);
}
END_TEST

START_TEST(thread_that_is_not_there_has_taken_none)
{
	ck_assert_uint_eq(clock_thread_ns(0), 0);
	ck_assert_uint_eq(clock_thread_ns(-1), 0);
	ck_assert_uint_eq(clock_thread_ns(getppid()), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("clock");
	TCase *tc = tcase_create("clocks");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, time_goes_forward);
	tcase_add_test(tc, thread_that_works_takes_processor_time);
	tcase_add_test(tc, thread_that_sleeps_takes_none);
	tcase_add_test(tc, thread_that_is_not_there_has_taken_none);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
