// SPDX-License-Identifier: Apache-2.0
#include "loop/spin.h"

#include <check.h>
#include <stdlib.h>

static struct spin spin;

static void setup(void)
{
	spin = (struct spin)SPIN_INIT;
}

/* Until it is to be tried. */
static unsigned sleeps(void)
{
	unsigned nr = 0;

	while (!spin.on) {
		spin_slept(&spin);
		nr++;
	}
	return nr;
}

START_TEST(spinning_is_tried_after_a_few_sleeps)
{
	ck_assert_uint_eq(sleeps(), SPIN_SLEEPS_MIN);
}
END_TEST

START_TEST(it_goes_on_while_something_is_found)
{
	sleeps();

	spin_found(&spin);

	ck_assert(spin.on);
}
END_TEST

START_TEST(each_miss_puts_the_next_try_off_up_to_a_limit)
{
	unsigned last = sleeps();

	for (; last < SPIN_SLEEPS_MAX; last *= 2) {
		spin_missed(&spin);
		ck_assert_uint_eq(sleeps(), 2 * last);
	}
	spin_missed(&spin);

	ck_assert_uint_eq(sleeps(), SPIN_SLEEPS_MAX);
}
END_TEST

START_TEST(find_makes_up_for_all_misses)
{
	for (unsigned i = 0; i < 5; i++) {
		sleeps();
		spin_missed(&spin);
	}
	sleeps();
	spin_found(&spin);
	spin_missed(&spin);

	ck_assert_uint_eq(sleeps(), 2 * SPIN_SLEEPS_MIN);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("spin");
	TCase *tc = tcase_create("a loop's");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, spinning_is_tried_after_a_few_sleeps);
	tcase_add_test(tc, it_goes_on_while_something_is_found);
	tcase_add_test(tc, each_miss_puts_the_next_try_off_up_to_a_limit);
	tcase_add_test(tc, find_makes_up_for_all_misses);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
