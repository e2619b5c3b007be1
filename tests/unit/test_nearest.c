// SPDX-License-Identifier: Apache-2.0
#include "config/nearest.h"

#include "all_kinds.h"
#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct slip {
	const char *typed, *meant;
};

static const struct slip slips[] = {
	{ "memroy", "memory" },		/* swapped */
	{ "memry", "memory" },		/* dropped */
	{ "memoory", "memory" },	/* doubled */
	{ "nemory", "memory" },		/* replaced */
	{ "mem", "memory" },		/* cut short */
	{ "memory-size", "memory" },	/* went on */
	{ "images", "image" },
	{ "cpu", "cpus" },
};

START_TEST(slip_of_the_finger_leads_to_what_was_meant)
{
	ck_assert_str_eq(nearest_key(&all_kinds_options, slips[_i].typed), slips[_i].meant);
}
END_TEST

START_TEST(word_of_a_list_is_found_as_well)
{
	static const char *const words[] = { "run", "doctor", "help" };

	ck_assert_str_eq(nearest_word(words, ARRAY_LEN(words), "docter"), "doctor");
	ck_assert_ptr_null(nearest_word(words, ARRAY_LEN(words), "walk"));
}
END_TEST

static const char *const strangers[] = {
	"", "x", "kernel", "frobnicate",
	"a-word-that-is-longer-than-any-key-can-reasonably-be",
};

START_TEST(unlike_word_leads_nowhere)
{
	ck_assert_ptr_null(nearest_key(&all_kinds_options, strangers[_i]));
}
END_TEST

START_TEST(refusal_names_the_nearest_key)
{
	struct err err;

	ck_assert_int_eq(nearest_refuse(&image_options, "--", "readnoly", &err), -EINVAL);

	ck_assert_str_eq(err.text, "'--readnoly' is unknown: did you mean '--readonly'?");
}
END_TEST

START_TEST(refusal_of_a_value_names_its_key)
{
	struct err err;

	ck_assert_int_eq(nearest_refuse(&image_options, "", "qcow2", &err), -EINVAL);

	ck_assert_str_eq(err.text, "'qcow2' is unknown: did you mean 'format=qcow2'?");
}
END_TEST

START_TEST(refusal_lists_the_keys_when_none_is_near)
{
	struct err err;

	ck_assert_int_eq(nearest_refuse(&image_options, "", "x", &err), -EINVAL);

	ck_assert_str_eq(err.text, "'x' is unknown: there are path, format, readonly, serial, "
				   "cache, mac");
}
END_TEST

START_TEST(long_list_of_keys_ends_behind_one)
{
	static const struct option rows[64] = { [0 ... 63] = { .key = "a-key" } };
	const struct option_object object = { .rows = rows, .nr_rows = ARRAY_LEN(rows) };
	struct err err;

	ck_assert_int_eq(nearest_refuse(&object, "", "x", &err), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, ", a-key, ..."));
	ck_assert_str_eq(strstr(err.text, ", ..."), ", ...");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nearest");
	TCase *tc = tcase_create("all kinds");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, slip_of_the_finger_leads_to_what_was_meant, 0,
			    ARRAY_LEN(slips));
	tcase_add_test(tc, word_of_a_list_is_found_as_well);
	tcase_add_loop_test(tc, unlike_word_leads_nowhere, 0, ARRAY_LEN(strangers));
	tcase_add_test(tc, refusal_names_the_nearest_key);
	tcase_add_test(tc, refusal_of_a_value_names_its_key);
	tcase_add_test(tc, refusal_lists_the_keys_when_none_is_near);
	tcase_add_test(tc, long_list_of_keys_ends_behind_one);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
