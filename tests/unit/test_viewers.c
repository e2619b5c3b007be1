// SPDX-License-Identifier: Apache-2.0
#include "console/viewers.h"

#include "console_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/vmm-test-XXXXXX";
static char path[64];
static struct viewers *viewers;

static int begin(struct err *err)
{
	const struct viewers_config config = { .loop = loop, .hub = hub, .path = path };

	return viewers_new(&viewers, &config, err);
}

static void setup(void)
{
	console_setup();
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/console", folder);
	ck_assert_int_eq(begin(NULL), 0);
}

static void teardown(void)
{
	viewers = viewers_free(viewers);
	ck_assert_int_eq(rmdir(folder), 0);
	console_teardown();
}

static int attach(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, sizeof(path));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	turn_for_ms(3);
	return fd;
}

/* All that has come, as a string. */
static const char *sees(int fd)
{
	static char text[512 * 1024];
	size_t len = 0;
	ssize_t n;

	turn_for_ms(3);
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
		len += (size_t)n;
		turn_for_ms(3);
	}
	text[len] = '\0';
	return text;
}

static bool has_ended(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

static void types(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	turn_for_ms(3);
}

START_TEST(two_viewers_see_the_same)
{
	int one = attach(), two;

	guest_prints("hello ", 6);
	turn_for_ms(3);
	two = attach();
	guest_prints("world", 5);

	ck_assert_str_eq(sees(one), "hello world");
	ck_assert_str_eq(sees(two), "hello world");
	close(one);
	close(two);
}
END_TEST

START_TEST(all_may_type)
{
	int one = attach(), two = attach();

	types(one, "from one ");
	types(two, "two");

	ck_assert_str_eq(guest_reads(), "from one two");
	close(one);
	close(two);
}
END_TEST

START_TEST(viewer_that_does_not_read_skips_and_is_told)
{
	const char notice[] = "\r\n[vmm: 00000 bytes of output are missing here]\r\n";
	const size_t len = HUB_HISTORY + HUB_WINDOW;
	unsigned long long missing = 0;
	int one = attach();
	const char *seen;

	/* No turn of the loop comes between, so nobody can read. */
	ck_assert_uint_eq(guest_prints(long_text(len), len), len);
	seen = sees(one);

	ck_assert_int_eq(sscanf(seen, "\r\n[vmm: %llu bytes of output are missing here]\r\n",
				&missing), 1);
	ck_assert_uint_gt(missing, 0);
	ck_assert_uint_eq(strlen(seen) + missing, len + strlen(notice));
	close(one);
}
END_TEST

START_TEST(viewer_that_leaves_in_the_middle_of_a_write_harms_nobody)
{
	int one = attach(), two = attach();

	guest_prints(long_text(60000), 60000);
	close(one);
	turn_for_ms(3);
	guest_prints("end", 3);

	ck_assert_uint_eq(strlen(sees(two)), 60003);
	close(two);
}
END_TEST

START_TEST(what_was_typed_before_leaving_is_typed)
{
	int one = attach();

	types(one, "0123456789abcdefGHIJ");
	close(one);
	turn_for_ms(3);

	ck_assert_str_eq(guest_reads(), "0123456789abcdef");
	turn_for_ms(3);
	ck_assert_str_eq(guest_reads(), "GHIJ");
}
END_TEST

START_TEST(viewer_that_will_type_no_more_still_sees)
{
	int one = attach();

	shutdown(one, SHUT_WR);
	turn_for_ms(3);
	guest_prints("hello", 5);

	ck_assert_str_eq(sees(one), "hello");
	close(one);
}
END_TEST

START_TEST(too_many_are_turned_away)
{
	int all[VIEWERS_MAX], more;

	for (unsigned i = 0; i < VIEWERS_MAX; i++)
		all[i] = attach();
	more = attach();
	guest_prints("x", 1);

	ck_assert_str_eq(sees(all[VIEWERS_MAX - 1]), "x");
	ck_assert(has_ended(more));
	close(more);
	for (unsigned i = 0; i < VIEWERS_MAX; i++)
		close(all[i]);
	turn_for_ms(5);
	more = attach();
	ck_assert_str_eq(sees(more), "x");
	close(more);
}
END_TEST

START_TEST(who_left_with_keys_that_nobody_takes_makes_room)
{
	int one;

	for (unsigned i = 0; i < VIEWERS_MAX; i++) {
		one = attach();
		types(one, "0123456789abcdefGHIJ");
		close(one);
		turn_for_ms(3);
	}
	one = attach();
	guest_prints("x", 1);

	ck_assert_str_eq(sees(one), "x");
	close(one);
}
END_TEST

START_TEST(viewers_see_the_end_after_all_output)
{
	int one = attach();

	guest_prints("the end", 7);
	hub_drain(hub);
	viewers = viewers_free(viewers);

	ck_assert_str_eq(sees(one), "the end");
	ck_assert(has_ended(one));
	close(one);
}
END_TEST

START_TEST(socket_is_for_its_owner_alone)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);

	ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(path_that_somebody_serves_is_refused)
{
	struct viewers *first = viewers;
	struct err err = { 0 };

	ck_assert_int_eq(begin(&err), -EADDRINUSE);

	ck_assert_ptr_nonnull(strstr(err.text, "console socket"));
	viewers = first;
}
END_TEST

START_TEST(socket_of_a_dead_one_is_replaced)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	viewers = viewers_free(viewers);
	memcpy(address.sun_path, path, sizeof(path));
	ck_assert_int_eq(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
	close(dead);

	ck_assert_int_eq(begin(NULL), 0);
	close(attach());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("viewers");
	TCase *tc = tcase_create("viewers");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, CONSOLE_SECONDS);
	tcase_add_test(tc, two_viewers_see_the_same);
	tcase_add_test(tc, all_may_type);
	tcase_add_test(tc, viewer_that_does_not_read_skips_and_is_told);
	tcase_add_test(tc, viewer_that_leaves_in_the_middle_of_a_write_harms_nobody);
	tcase_add_test(tc, what_was_typed_before_leaving_is_typed);
	tcase_add_test(tc, viewer_that_will_type_no_more_still_sees);
	tcase_add_test(tc, too_many_are_turned_away);
	tcase_add_test(tc, who_left_with_keys_that_nobody_takes_makes_room);
	tcase_add_test(tc, viewers_see_the_end_after_all_output);
	tcase_add_test(tc, socket_is_for_its_owner_alone);
	tcase_add_test(tc, path_that_somebody_serves_is_refused);
	tcase_add_test(tc, socket_of_a_dead_one_is_replaced);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
