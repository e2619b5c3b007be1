// SPDX-License-Identifier: Apache-2.0
#include "base/folder.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
