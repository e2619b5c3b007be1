// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct err err;
static char longer_than_any[2 * ERR_TEXT_MAX];

static void setup(void)
{
	memset(&err, 0xff, sizeof(err));
	memset(longer_than_any, 'x', sizeof(longer_than_any) - 1);
}

START_TEST(set_records_and_returns_the_code)
{
	ck_assert_int_eq(err_set(&err, -EINVAL, "disk '%s': %d sectors", "a", 3), -EINVAL);

	ck_assert_int_eq(err.code, -EINVAL);
	ck_assert_str_eq(err.text, "disk 'a': 3 sectors");
}
END_TEST

START_TEST(sys_adds_what_the_system_calls_the_code)
{
	ck_assert_int_eq(err_sys(&err, -ENOENT, "cannot open '%s'", "a"), -ENOENT);

	ck_assert_int_eq(err.code, -ENOENT);
	ck_assert_str_eq(err.text, "cannot open 'a': No such file or directory");
}
END_TEST

START_TEST(at_puts_each_place_in_front)
{
	err_set(&err, -EIO, "it broke");

	ck_assert_int_eq(err_at(&err, -EIO, "line %d", 7), -EIO);
	ck_assert_int_eq(err_at(&err, -EIO, "file"), -EIO);

	ck_assert_str_eq(err.text, "file: line 7: it broke");
}
END_TEST

START_TEST(null_is_accepted_and_the_code_returned)
{
	ck_assert_int_eq(err_set(NULL, -EIO, "a"), -EIO);
	ck_assert_int_eq(err_sys(NULL, -EPERM, "a"), -EPERM);
	ck_assert_int_eq(err_at(NULL, -EBUSY, "a"), -EBUSY);
}
END_TEST

START_TEST(text_that_is_too_long_is_cut)
{
	err_set(&err, -EIO, "%s", longer_than_any);
	ck_assert_uint_eq(strlen(err.text), ERR_TEXT_MAX - 1);

	err_sys(&err, -EIO, "%s", longer_than_any);
	ck_assert_uint_eq(strlen(err.text), ERR_TEXT_MAX - 1);

	err_at(&err, -EIO, "%s", longer_than_any);
	ck_assert_uint_eq(strlen(err.text), ERR_TEXT_MAX - 1);
}
END_TEST

START_TEST(place_in_front_pushes_the_end_of_a_long_reason_out)
{
	err_set(&err, -EIO, "%s", longer_than_any);

	err_at(&err, -EIO, "here");

	ck_assert_uint_eq(strlen(err.text), ERR_TEXT_MAX - 1);
	ck_assert_int_eq(strncmp(err.text, "here: xxx", 9), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("err");
	TCase *tc = tcase_create("messages");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, set_records_and_returns_the_code);
	tcase_add_test(tc, sys_adds_what_the_system_calls_the_code);
	tcase_add_test(tc, at_puts_each_place_in_front);
	tcase_add_test(tc, null_is_accepted_and_the_code_returned);
	tcase_add_test(tc, text_that_is_too_long_is_cut);
	tcase_add_test(tc, place_in_front_pushes_the_end_of_a_long_reason_out);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
