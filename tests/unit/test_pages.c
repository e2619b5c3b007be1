// SPDX-License-Identifier: Apache-2.0
#include "migrate/pages.h"

#include "base/bits.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define NR_PAGES	200

START_TEST(bitmap_has_a_bit_for_each_page)
{
	ck_assert_uint_eq(pages_words(0), 0);
	ck_assert_uint_eq(pages_words(PAGES_LEN), 1);
	ck_assert_uint_eq(pages_words(64 * PAGES_LEN), 1);
	ck_assert_uint_eq(pages_words(65 * PAGES_LEN), 2);
}
END_TEST

START_TEST(all_that_are_named_are_counted)
{
	const uint64_t bitmap[] = { 1, UINT64_MAX, UINT64_C(1) << 63 };

	ck_assert_uint_eq(pages_count(bitmap, ARRAY_LEN(bitmap)), 66);
	ck_assert_uint_eq(pages_count(bitmap, 1), 1);
}
END_TEST

/* Pages of the first run that starts at or after from. */
static const struct {
	uint64_t named_from, named_to;		/* pages, the last one excluded */
	uint64_t from, end;
	uint64_t run_from, run_to;		/* alike: there is none */
} runs[] = {
	{ 0, 1, 0, NR_PAGES, 0, 1 },
	{ 63, 65, 0, NR_PAGES, 63, 65 },	/* over the border of a word */
	{ 64, 128, 0, NR_PAGES, 64, 128 },	/* a whole word */
	{ 10, 190, 20, NR_PAGES, 20, 190 },	/* begun before */
	{ 10, 190, 20, 100, 20, 100 },		/* goes on after the end */
	{ 127, 128, 0, 127, 0, 0 },		/* just after the end */
	{ 5, 6, 6, NR_PAGES, 0, 0 },		/* just before */
	{ 199, 200, 0, NR_PAGES, 199, 200 },	/* the last */
	{ 0, 0, 0, NR_PAGES, 0, 0 },
};

START_TEST(run_is_found_wherever_it_is)
{
	uint64_t bitmap[(NR_PAGES + 63) / 64] = { 0 }, at = runs[_i].from, end = 0;
	bool expected = runs[_i].run_from != runs[_i].run_to;

	for (uint64_t page = runs[_i].named_from; page < runs[_i].named_to; page++)
		bitmap[page / 64] |= UINT64_C(1) << page % 64;

	ck_assert_int_eq(pages_next_run(bitmap, runs[_i].end, &at, &end), expected);

	ck_assert_uint_eq(at, expected ? runs[_i].run_from : runs[_i].from);
	ck_assert_uint_eq(end, runs[_i].run_to);
}
END_TEST

START_TEST(any_byte_makes_a_page_not_zero)
{
	char page[PAGES_LEN] = { 0 };

	ck_assert(pages_zero(page));
	for (unsigned i = 0; i < PAGES_LEN; i++) {
		page[i] = 1;
		ck_assert(!pages_zero(page));
		page[i] = 0;
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pages");
	TCase *tc = tcase_create("pages");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, bitmap_has_a_bit_for_each_page);
	tcase_add_test(tc, all_that_are_named_are_counted);
	tcase_add_loop_test(tc, run_is_found_wherever_it_is, 0, ARRAY_LEN(runs));
	tcase_add_test(tc, any_byte_makes_a_page_not_zero);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
