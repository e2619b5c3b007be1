// SPDX-License-Identifier: Apache-2.0
#include "base/quote.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(plain_text_is_shown_as_it_is)
{
	ck_assert_str_eq(quote_of("disk \xc3\xa4.img").text, "disk \xc3\xa4.img");
}
END_TEST

START_TEST(control_characters_are_not_shown)
{
	ck_assert_str_eq(quote_of("a\nb\tc\x7f").text, "a?b?c?");
}
END_TEST

START_TEST(text_of_the_maximum_is_shown_whole)
{
	char text[QUOTE_MAX + 1] = "";

	memset(text, 'x', QUOTE_MAX);

	ck_assert_str_eq(quote_of(text).text, text);
}
END_TEST

START_TEST(longer_text_is_cut)
{
	char text[QUOTE_MAX + 2] = "";
	struct quote quote;

	memset(text, 'x', QUOTE_MAX + 1);
	quote = quote_of(text);

	ck_assert_uint_eq(strlen(quote.text), QUOTE_MAX + strlen("..."));
	ck_assert_str_eq(quote.text + QUOTE_MAX, "...");
}
END_TEST

START_TEST(cut_never_splits_a_character)
{
	char text[QUOTE_MAX + 2] = "";
	struct quote quote;

	memset(text, 'x', QUOTE_MAX - 1);
	memcpy(text + QUOTE_MAX - 1, "\xc3\xa4", 2);
	quote = quote_of(text);

	ck_assert_str_eq(quote.text + QUOTE_MAX - 1, "...");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quote");
	TCase *tc = tcase_create("text");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, plain_text_is_shown_as_it_is);
	tcase_add_test(tc, control_characters_are_not_shown);
	tcase_add_test(tc, text_of_the_maximum_is_shown_whole);
	tcase_add_test(tc, longer_text_is_cut);
	tcase_add_test(tc, cut_never_splits_a_character);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
