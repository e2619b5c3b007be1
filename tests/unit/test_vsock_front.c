// SPDX-License-Identifier: Apache-2.0
/* What goes through a front is tested with the device, in tests/device. */
#include "net/vsock_front.h"

#include "base/err.h"
#include "loop/loop.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATH_MAX_LEN	96	/* 107 that a socket has, less "_4294967295" */

static struct loop *loop;
static struct vsock_front *front;
static struct err err;
static char folder[] = "/tmp/vmm-test-XXXXXX", path[256];

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/sock", folder);
	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	err = (struct err){ 0 };
}

static void teardown(void)
{
	front = vsock_front_close(front);
	loop = loop_free(loop);
	ck_assert(!rmdir(folder));
}

static void make_path(size_t len)
{
	memset(path + strlen(path), 'x', len - strlen(path));
	path[len] = '\0';
}

START_TEST(longest_path_leaves_room_for_a_port)
{
	make_path(PATH_MAX_LEN);

	ck_assert_int_eq(vsock_front_open(&front, path, loop, &err), 0);

	ck_assert_int_eq(vsock_front_connect(front, UINT32_MAX), -ENOENT);
}
END_TEST

START_TEST(longer_path_is_refused)
{
	make_path(PATH_MAX_LEN + 1);

	ck_assert_int_eq(vsock_front_open(&front, path, loop, &err), -ENAMETOOLONG);

	ck_assert_ptr_nonnull(strstr(err.text, "97 bytes, and may have 96"));
}
END_TEST

START_TEST(two_cannot_have_one_path)
{
	struct vsock_front *other;

	ck_assert_int_eq(vsock_front_open(&front, path, loop, NULL), 0);

	ck_assert_int_eq(vsock_front_open(&other, path, loop, &err), -EADDRINUSE);

	ck_assert_ptr_nonnull(strstr(err.text, "another process listens there"));
}
END_TEST

START_TEST(path_is_gone_when_it_is_closed)
{
	ck_assert_int_eq(vsock_front_open(&front, path, loop, NULL), 0);
	ck_assert_int_eq(access(path, F_OK), 0);

	front = vsock_front_close(front);

	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(answer_to_somebody_who_has_gone_fails)
{
	int fds[2];

	ck_assert(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	close(fds[1]);

	ck_assert_int_eq(vsock_front_answer(fds[0], 1), -EPIPE);

	close(fds[0]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vsock_front");
	TCase *tc = tcase_create("front");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, longest_path_leaves_room_for_a_port);
	tcase_add_test(tc, longer_path_is_refused);
	tcase_add_test(tc, two_cannot_have_one_path);
	tcase_add_test(tc, path_is_gone_when_it_is_closed);
	tcase_add_test(tc, answer_to_somebody_who_has_gone_fails);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
