// SPDX-License-Identifier: Apache-2.0
#include "cli/keys.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct keys keys;
static char heard[16];

static void hear(void *ctx, uint8_t key)
{
	char *end = ctx;

	end[strlen(end)] = (char)key;
}

static void setup(void)
{
	memset(heard, 0, sizeof(heard));
	keys = (struct keys){ .pressed = hear, .ctx = heard };
}

/* What is left, as a string. */
static const char *type(const char *text)
{
	static char left[64];
	size_t len;

	memcpy(left, text, strlen(text));
	len = keys_filter(&keys, (uint8_t *)left, strlen(text));
	left[len] = '\0';
	return left;
}

START_TEST(other_keys_pass)
{
	ck_assert_str_eq(type("ab\003\032\r"), "ab\003\032\r");
	ck_assert_str_eq(heard, "");
}
END_TEST

START_TEST(key_after_ctrl_a_is_ours)
{
	ck_assert_str_eq(type("a\001xb"), "ab");
	ck_assert_str_eq(heard, "x");
}
END_TEST

START_TEST(key_after_ctrl_a_may_come_later)
{
	ck_assert_str_eq(type("a\001"), "a");
	ck_assert_str_eq(type("hb"), "b");
	ck_assert_str_eq(heard, "h");
}
END_TEST

START_TEST(ctrl_a_twice_is_one_for_the_guest)
{
	ck_assert_str_eq(type("\001\001x\001\001\001x"), "\001x\001");
	ck_assert_str_eq(heard, "x");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keys");
	TCase *tc = tcase_create("keys");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, other_keys_pass);
	tcase_add_test(tc, key_after_ctrl_a_is_ours);
	tcase_add_test(tc, key_after_ctrl_a_may_come_later);
	tcase_add_test(tc, ctrl_a_twice_is_one_for_the_guest);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
