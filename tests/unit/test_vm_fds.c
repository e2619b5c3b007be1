// SPDX-License-Identifier: Apache-2.0
#include "machine/vm_fds.h"

#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIXTEEN "2147483632:2147483633:2147483634:2147483635:2147483636:2147483637:"	\
		"2147483638:2147483639:2147483640:2147483641:2147483642:2147483643:"	\
		"2147483644:2147483645:2147483646:2147483647"

static struct vm_fds fds;
static struct err err;

static void refuse(const char *text, const char *why)
{
	fds.nr = 77;
	err = (struct err){ 0 };
	ck_assert_int_eq(vm_fds_parse(&fds, text, &err), -EINVAL);

	ck_assert_msg(strstr(err.text, why), "'%s': %s", text, err.text);
	ck_assert_uint_eq(fds.nr, 77);
}

START_TEST(one_is_a_number)
{
	ck_assert_int_eq(vm_fds_parse(&fds, "0", &err), 0);

	ck_assert_uint_eq(fds.nr, 1);
	ck_assert_int_eq(fds.fds[0], 0);
}
END_TEST

START_TEST(several_keep_their_order)
{
	ck_assert_int_eq(vm_fds_parse(&fds, "7:3:12", &err), 0);

	ck_assert_uint_eq(fds.nr, 3);
	ck_assert_int_eq(fds.fds[0], 7);
	ck_assert_int_eq(fds.fds[1], 3);
	ck_assert_int_eq(fds.fds[2], 12);
}
END_TEST

START_TEST(as_many_as_there_are_pairs_are_read_and_printed)
{
	char text[VM_FDS_TEXT_MAX];

	ck_assert_int_eq(vm_fds_parse(&fds, SIXTEEN, &err), 0);
	ck_assert_uint_eq(fds.nr, NETDEV_PAIRS_MAX);

	vm_fds_print(&fds, text);
	ck_assert_str_eq(text, SIXTEEN);
}
END_TEST

START_TEST(what_is_no_list_is_refused_whole)
{
	static const char *const bad[] = {
		"", ":", "3:", ":3", "3::4", "x", "3x", "3:x", "-1", "+3", " 3", "3: 4", "3,4",
		"2147483648", "99999999999999999999999",
	};

	refuse(bad[_i], "give descriptors by number");
	refuse(bad[_i], bad[_i]);
}
END_TEST

START_TEST(more_than_there_are_pairs_are_refused)
{
	refuse(SIXTEEN ":3", "more than 16 descriptors");
}
END_TEST

START_TEST(one_that_is_there_twice_is_refused)
{
	refuse("3:4:03", "descriptor 3 is there twice");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vm_fds");
	TCase *tc = tcase_create("vm_fds");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, one_is_a_number);
	tcase_add_test(tc, several_keep_their_order);
	tcase_add_test(tc, as_many_as_there_are_pairs_are_read_and_printed);
	tcase_add_loop_test(tc, what_is_no_list_is_refused_whole, 0, 15);
	tcase_add_test(tc, more_than_there_are_pairs_are_refused);
	tcase_add_test(tc, one_that_is_there_twice_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
