// SPDX-License-Identifier: Apache-2.0
#include "base/folder.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct { const char *path, *name, *joined; } joins[] = {
	{ "a.img", "b.img", "b.img" },
	{ "disks/a.img", "b.img", "disks/b.img" },
	{ "/srv/disks/a.img", "../b.img", "/srv/disks/../b.img" },
	{ "/a.img", "b.img", "/b.img" },
	{ "/srv/disks/a.img", "/b.img", "/b.img" },
};

START_TEST(name_is_seen_from_the_folder_of_the_file_that_has_it)
{
	char joined[PATH_MAX];

	ck_assert_int_eq(folder_join(joined, joins[_i].path, joins[_i].name), 0);

	ck_assert_str_eq(joined, joins[_i].joined);
}
END_TEST

START_TEST(what_is_too_long_for_a_path_is_refused)
{
	char name[PATH_MAX - 2] = "", joined[PATH_MAX];

	memset(name, 'x', sizeof(name) - 1);

	ck_assert_int_eq(folder_join(joined, "d/a", name), 0);
	ck_assert_int_eq(folder_join(joined, "dd/a", name), -ENAMETOOLONG);
}
END_TEST

/* A folder that is the current one while a test runs. */
static char here[] = "/tmp/test_folder.XXXXXX";

static void enter(void)
{
	ck_assert_ptr_nonnull(mkdtemp(here));
	ck_assert_int_eq(chdir(here), 0);
}

static void leave(void)
{
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(here);
}

START_TEST(absolute_name_leads_there_from_anywhere)
{
	char wanted[PATH_MAX], absolute[PATH_MAX];

	snprintf(wanted, sizeof(wanted), "%s/a/b", here);

	ck_assert_int_eq(folder_absolute(absolute, "a/b"), 0);
	ck_assert_str_eq(absolute, wanted);
	ck_assert_int_eq(folder_absolute(absolute, wanted), 0);
	ck_assert_str_eq(absolute, wanted);
}
END_TEST

START_TEST(relative_name_in_a_folder_that_is_gone_is_none)
{
	char absolute[PATH_MAX];

	ck_assert_int_eq(rmdir(here), 0);

	ck_assert_int_eq(folder_absolute(absolute, "a"), -ENOENT);
	ck_assert_int_eq(folder_absolute(absolute, "/a"), 0);
}
END_TEST

START_TEST(absolute_name_that_is_too_long_is_refused)
{
	char name[PATH_MAX] = "", absolute[PATH_MAX];

	memset(name, 'x', sizeof(name) - 1);

	ck_assert_int_eq(folder_absolute(absolute, name), -ENAMETOOLONG);
}
END_TEST

START_TEST(two_names_of_one_file_are_the_same)
{
	ck_assert_int_eq(symlink(".", "link"), 0);

	ck_assert(folder_is_same(here, "link"));
	ck_assert(!folder_is_same(here, "/"));
	ck_assert(!folder_is_same("none", "none"));
	ck_assert(!folder_is_same(here, "none"));
	ck_assert_int_eq(unlink("link"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("folder");
	TCase *tc = tcase_create("names");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, name_is_seen_from_the_folder_of_the_file_that_has_it, 0,
			    sizeof(joins) / sizeof(joins[0]));
	tcase_add_test(tc, what_is_too_long_for_a_path_is_refused);
	suite_add_tcase(s, tc);
	tc = tcase_create("the current folder");
	tcase_add_checked_fixture(tc, enter, leave);
	tcase_add_test(tc, absolute_name_leads_there_from_anywhere);
	tcase_add_test(tc, relative_name_in_a_folder_that_is_gone_is_none);
	tcase_add_test(tc, absolute_name_that_is_too_long_is_refused);
	tcase_add_test(tc, two_names_of_one_file_are_the_same);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
