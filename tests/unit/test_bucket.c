// SPDX-License-Identifier: Apache-2.0
#include "base/bucket.h"

#include <check.h>
#include <stdlib.h>

#define S		UINT64_C(1000000000)	/* nanoseconds */
#define MS		(S / 1000)

static struct bucket bucket;

static void setup(void)
{
	bucket = (struct bucket){ 0 };
}

static void add(uint64_t units)
{
	bucket_add(&bucket, (bucket_amount)units * BUCKET_UNIT);
}

/* How many of one unit are let through at once. */
static uint64_t burst(const struct bucket_limit *limit)
{
	uint64_t nr = 0;

	while (!bucket_wait(&bucket, limit)) {
		add(1);
		nr++;
	}
	return nr;
}

START_TEST(without_a_limit_nothing_waits)
{
	const struct bucket_limit none = { 0 };

	add(UINT64_MAX);

	ck_assert_uint_eq(bucket_wait(&bucket, &none), 0);
}
END_TEST

START_TEST(tenth_of_a_second_s_worth_is_let_through_and_one_more)
{
	const struct bucket_limit limit = { .avg = 100 };

	ck_assert_uint_eq(burst(&limit), 11);

	/* One above what the bucket holds leaks out in a hundredth of a second. */
	ck_assert_uint_eq(bucket_wait(&bucket, &limit), 10 * MS);
}
END_TEST

START_TEST(wait_is_exact_to_the_nanosecond)
{
	const struct bucket_limit limit = { .avg = 3 };

	add(1);
	ck_assert_uint_eq(bucket_wait(&bucket, &limit), 233333334);

	bucket_leak(&bucket, &limit, 233333333);
	ck_assert_uint_eq(bucket_wait(&bucket, &limit), 1);

	bucket_leak(&bucket, &limit, 1);
	ck_assert_uint_eq(bucket_wait(&bucket, &limit), 0);
}
END_TEST

START_TEST(average_holds_over_a_long_time_however_time_is_cut)
{
	const struct bucket_limit limit = { .avg = 7 };
	uint64_t nr = 0;

	for (uint64_t at = 0; at < 1000 * S; at += 999983) {
		nr += burst(&limit);
		bucket_leak(&bucket, &limit, 999983);
	}

	ck_assert_uint_eq(nr, 7 * 1000 + 1);
}
END_TEST

START_TEST(burst_lasts_as_long_as_it_may)
{
	const struct bucket_limit limit = { .avg = 10, .max = 50, .length = 1 };

	ck_assert_uint_eq(burst(&limit), 51);
	ck_assert_uint_eq(bucket_wait(&bucket, &limit), S / 10);
}
END_TEST

START_TEST(length_that_is_not_given_is_a_second)
{
	const struct bucket_limit limit = { .avg = 10, .max = 50 };

	ck_assert_uint_eq(burst(&limit), 51);
}
END_TEST

START_TEST(long_burst_goes_at_max_and_then_at_avg)
{
	const struct bucket_limit limit = { .avg = 10, .max = 50, .length = 3 };
	uint64_t nr[8];

	for (int i = 0; i < 8; i++) {
		nr[i] = 0;
		for (int k = 0; k < 100; k++) {
			nr[i] += burst(&limit);
			bucket_leak(&bucket, &limit, 10 * MS);
		}
	}

	/* It holds 150 beyond the 10 that leak each second, 40 a second fill it. */
	ck_assert_uint_eq(nr[0], 55);
	ck_assert_uint_eq(nr[1], 50);
	ck_assert_uint_eq(nr[2], 50);
	ck_assert_uint_eq(nr[6], 10);
	ck_assert_uint_eq(nr[7], 10);
}
END_TEST

START_TEST(big_request_goes_at_once_and_leaves_a_debt)
{
	const struct bucket_limit limit = { .avg = 1000 };

	add(100000);

	ck_assert_uint_eq(bucket_wait(&bucket, &limit), 99 * S + 900 * MS);
	bucket_leak(&bucket, &limit, 99 * S);
	ck_assert_uint_eq(bucket_wait(&bucket, &limit), 900 * MS);
}
END_TEST

START_TEST(idle_time_is_not_saved_up)
{
	const struct bucket_limit limit = { .avg = 100 };

	bucket_leak(&bucket, &limit, UINT64_MAX);

	ck_assert_uint_eq(burst(&limit), 11);
}
END_TEST

START_TEST(extreme_values_do_not_overflow)
{
	const struct bucket_limit slow = { .avg = 1 };
	const struct bucket_limit fast = {
		.avg = BUCKET_MAX, .max = BUCKET_MAX, .length = 1,
	};
	const struct bucket_limit drawn_out = { .avg = 1, .max = 1, .length = BUCKET_MAX };

	for (int i = 0; i < 1000; i++)
		add(UINT64_MAX);
	ck_assert_uint_eq(bucket_wait(&bucket, &slow), UINT64_MAX);
	ck_assert_uint_eq(bucket_wait(&bucket, &drawn_out), UINT64_MAX);
	ck_assert_uint_gt(bucket_wait(&bucket, &fast), 0);

	bucket_leak(&bucket, &fast, UINT64_MAX);
	ck_assert_uint_eq(bucket_wait(&bucket, &slow), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bucket");
	TCase *tc = tcase_create("arithmetic");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, without_a_limit_nothing_waits);
	tcase_add_test(tc, tenth_of_a_second_s_worth_is_let_through_and_one_more);
	tcase_add_test(tc, wait_is_exact_to_the_nanosecond);
	tcase_add_test(tc, average_holds_over_a_long_time_however_time_is_cut);
	tcase_add_test(tc, burst_lasts_as_long_as_it_may);
	tcase_add_test(tc, length_that_is_not_given_is_a_second);
	tcase_add_test(tc, long_burst_goes_at_max_and_then_at_avg);
	tcase_add_test(tc, big_request_goes_at_once_and_leaves_a_debt);
	tcase_add_test(tc, idle_time_is_not_saved_up);
	tcase_add_test(tc, extreme_values_do_not_overflow);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
