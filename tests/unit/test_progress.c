// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include "base/bits.h"
#include "base/clock.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char line[256];

static void show(uint64_t done, uint64_t total, double seconds, unsigned columns)
{
	progress_line(line, sizeof(line), "converting", done, total,
		      (uint64_t)(seconds * (double)CLOCK_NS_PER_S), columns);
}

START_TEST(bar_is_as_full_as_the_work_is_done)
{
	show(0, 100 * MiB, 0.5, 200);
	ck_assert_str_eq(line,
			 "converting   0 % [........................................]");
	show(50 * MiB, 100 * MiB, 0.5, 200);
	ck_assert_str_eq(line,
			 "converting  50 % [####################....................]");
	show(100 * MiB, 100 * MiB, 0.5, 200);
	ck_assert_str_eq(line,
			 "converting 100 % [########################################]");
}
END_TEST

START_TEST(speed_and_rest_are_told_once_they_can_be_known)
{
	show(25 * MiB, 100 * MiB, 2, 200);
	ck_assert_str_eq(line, "converting  25 % [##########..............................]"
			       "  12 MiB/s, 6 s left");
}
END_TEST

START_TEST(line_fits_the_terminal_however_small)
{
	for (unsigned columns = 1; columns < 100; columns++) {
		show(25 * MiB, 100 * MiB, 2, columns);
		ck_assert_uint_lt(strlen(line), columns);
	}
}
END_TEST

START_TEST(more_than_all_and_nothing_at_all_are_all)
{
	show(3, 2, 0, 200);
	ck_assert_ptr_nonnull(strstr(line, "100 %"));
	show(0, 0, 2, 200);
	ck_assert_ptr_nonnull(strstr(line, "100 %"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("progress");
	TCase *tc = tcase_create("line");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, bar_is_as_full_as_the_work_is_done);
	tcase_add_test(tc, speed_and_rest_are_told_once_they_can_be_known);
	tcase_add_test(tc, line_fits_the_terminal_however_small);
	tcase_add_test(tc, more_than_all_and_nothing_at_all_are_all);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
