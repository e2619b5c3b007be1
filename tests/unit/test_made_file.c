// SPDX-License-Identifier: Apache-2.0
#include "base/made_file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[32], path[64], other[64];
static bool made;

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/vmm-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/file", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
}

static void teardown(void)
{
	unlink(path);
	unlink(other);
	ck_assert_int_eq(rmdir(folder), 0);
}

static int open_it(void)
{
	int fd = made_file_open(path, O_WRONLY, 0600, &made);

	if (fd >= 0)
		close(fd);
	return fd;
}

START_TEST(new_file_is_made)
{
	ck_assert_int_ge(open_it(), 0);

	ck_assert(made);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(file_that_is_there_is_not)
{
	open_it();

	ck_assert_int_ge(open_it(), 0);

	ck_assert(!made);
}
END_TEST

START_TEST(link_to_a_file_that_comes_stays)
{
	ck_assert_int_eq(symlink(other, path), 0);

	ck_assert_int_ge(open_it(), 0);

	ck_assert(!made);
	ck_assert_int_eq(access(other, F_OK), 0);
}
END_TEST

START_TEST(failure_makes_nothing)
{
	snprintf(path, sizeof(path), "%s/none/file", folder);

	ck_assert_int_eq(open_it(), -ENOENT);

	ck_assert(!made);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("made_file");
	TCase *tc = tcase_create("opened");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, new_file_is_made);
	tcase_add_test(tc, file_that_is_there_is_not);
	tcase_add_test(tc, link_to_a_file_that_comes_stays);
	tcase_add_test(tc, failure_makes_nothing);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
