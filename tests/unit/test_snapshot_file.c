// SPDX-License-Identifier: Apache-2.0
/* Folders that come to their place where the file system knows no flags of a rename. */
#include "migrate/snapshot_file.h"

#include "base/err.h"
#include "migrate/snapshot.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char here[] = "/tmp/test_snapshot_file.XXXXXX";
static struct snapshot_folder folder;
static struct err err;
static unsigned nr_renames, failing;	/* the n-th, from 1; 0: none */

/* In place of libc's. */
int renameat2(int from, const char *a, int to, const char *b, unsigned flags)
{
	(void)flags;
	if (flags) {
		errno = EINVAL;
		return -1;
	}
	return renameat(from, a, to, b);
}

int rename(const char *a, const char *b)
{
	if (++nr_renames == failing) {
		errno = EIO;
		return -1;
	}
	return renameat(AT_FDCWD, a, AT_FDCWD, b);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(here));
	ck_assert_int_eq(chdir(here), 0);
	nr_renames = failing = 0;
}

/* Fails where anything is left. */
static void teardown(void)
{
	snapshot_remove("snap");
	ck_assert_int_eq(rmdir(here), 0);
}

static void begin(bool replace, const char *content)
{
	ck_assert_int_eq(snapshot_folder_create(&folder, "snap", replace, &err), 0);
	ck_assert_int_eq(snapshot_file_write(folder.fd, SNAPSHOT_MANIFEST, content,
					     strlen(content), &err), 0);
}

static void publish(int code)
{
	ck_assert_int_eq(snapshot_folder_publish(&folder, &err), code);
	snapshot_folder_close(&folder);
}

static void expect(const char *content)
{
	char got[16] = "";
	int fd = open("snap/" SNAPSHOT_MANIFEST, O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(read(fd, got, sizeof(got) - 1), (int)strlen(content));
	ck_assert_str_eq(got, content);
	close(fd);
}

START_TEST(new_one_comes_to_its_place)
{
	begin(false, "new");

	publish(0);

	expect("new");
}
END_TEST

START_TEST(one_that_came_meanwhile_is_not_replaced)
{
	begin(false, "new");
	ck_assert_int_eq(mkdir("snap", 0700), 0);

	publish(-EEXIST);

	ck_assert_int_eq(rmdir("snap"), 0);
}
END_TEST

START_TEST(old_one_is_replaced)
{
	begin(false, "old");
	publish(0);
	begin(true, "new");

	publish(0);

	expect("new");
}
END_TEST

/* When it is put aside, and when the new one takes its place. */
static const unsigned failures[] = { 1, 2 };

START_TEST(old_one_stays_when_it_cannot_be_replaced)
{
	begin(false, "old");
	publish(0);
	begin(true, "new");
	nr_renames = 0;
	failing = failures[_i];

	publish(-EIO);

	expect("old");
}
END_TEST

START_TEST(fifo_is_no_file_of_a_snapshot)
{
	char *bytes;
	size_t len;

	ck_assert_int_eq(mkfifo(SNAPSHOT_STATE, 0600), 0);

	ck_assert_int_eq(snapshot_file_read(AT_FDCWD, SNAPSHOT_STATE, 64, &bytes, &len, &err),
			 -EFBIG);

	ck_assert_int_eq(unlink(SNAPSHOT_STATE), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("snapshot_file");
	TCase *tc = tcase_create("no flags of a rename");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, fifo_is_no_file_of_a_snapshot);
	tcase_add_test(tc, new_one_comes_to_its_place);
	tcase_add_test(tc, one_that_came_meanwhile_is_not_replaced);
	tcase_add_test(tc, old_one_is_replaced);
	tcase_add_loop_test(tc, old_one_stays_when_it_cannot_be_replaced, 0,
			    sizeof(failures) / sizeof(failures[0]));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
