// SPDX-License-Identifier: Apache-2.0
/*
 * test_vhost.c - what is said of a /dev/vhost-net that cannot be used.  The boot tests
 * have one that can.
 *
 * Each test has a /dev of its own.
 */
#include "net/vhost.h"

#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SKIPPED	77
#define PATH	"/dev/vhost-net"

static struct err err;

static void setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", "/dev", "tmpfs", 0, NULL), 0);
	memset(&err, 0, sizeof(err));
}

static void make_file(mode_t mode)
{
	int fd = open(PATH, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct who = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	ck_assert_int_eq(syscall(SYS_capset, &who, none), 0);
}

static void refuses(int code, const char *says)
{
	struct vhost *none = NULL;

	ck_assert_int_eq(vhost_open(&none, 1, &err), code);
	ck_assert_ptr_null(none);
	ck_assert_msg(strstr(err.text, PATH) != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
}

START_TEST(missing_one_is_told_with_the_module_it_takes)
{
	refuses(-ENOENT, "is the module 'vhost_net' loaded?");
}
END_TEST

START_TEST(forbidden_one_is_told_as_such)
{
	make_file(0);
	drop_capabilities();

	refuses(-EACCES, "Permission denied");
}
END_TEST

START_TEST(what_is_no_vhost_is_refused)
{
	make_file(0600);

	refuses(-ENOTTY, "cannot use");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vhost");
	TCase *tc = tcase_create("no /dev/vhost-net");
	SRunner *sr;
	int failed;

	if (geteuid()) {
		fprintf(stderr, "skipped: not root: cannot make a /dev\n");
		return SKIPPED;
	}
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, missing_one_is_told_with_the_module_it_takes);
	tcase_add_test(tc, forbidden_one_is_told_as_such);
	tcase_add_test(tc, what_is_no_vhost_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
