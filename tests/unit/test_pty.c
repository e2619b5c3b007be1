// SPDX-License-Identifier: Apache-2.0
#include "console/pty.h"

#include "console_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct pty *pty;

static void setup(void)
{
	console_setup();
	ck_assert_int_eq(pty_new(&pty, loop, hub, NULL), 0);
}

static void teardown(void)
{
	pty = pty_free(pty);
	console_teardown();
}

static int open_slave(void)
{
	int fd = open(pty_path(pty), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	turn_for_ms(5);
	return fd;
}

static const char *sees(int fd)
{
	static char text[512 * 1024];
	size_t len = 0;
	ssize_t n;

	turn_for_ms(5);
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
		len += (size_t)n;
		turn_for_ms(3);
	}
	text[len] = '\0';
	return text;
}

START_TEST(who_opens_it_sees_the_boot_and_what_follows)
{
	int fd;

	guest_prints("boot ", 5);
	turn_for_ms(3);
	fd = open_slave();
	guest_prints("login\n", 6);

	ck_assert_str_eq(sees(fd), "boot login\n");
	close(fd);
}
END_TEST

START_TEST(line_is_raw_from_the_begin)
{
	struct termios mode;
	int fd = open_slave();

	ck_assert_int_eq(tcgetattr(fd, &mode), 0);

	ck_assert_uint_eq(mode.c_lflag & (ICANON | ECHO | ISIG), 0);
	ck_assert_uint_eq(mode.c_oflag & OPOST, 0);
	close(fd);
}
END_TEST

START_TEST(keys_reach_the_guest)
{
	int fd = open_slave();

	ck_assert_int_eq(write(fd, "a\003\001\r", 4), 4);
	/* The kernel carries them over when it has the time. */
	for (int i = 0; i < 200; i++) {
		if (bus_read(ports, CONSOLE_PORT + UART_LSR, 1) & UART_LSR_DR)
			break;
		turn_for_ms(5);
	}

	ck_assert_str_eq(guest_reads(), "a\003\001\r");
	close(fd);
}
END_TEST

START_TEST(next_one_sees_all_again_and_nothing_twice)
{
	int fd = open_slave();

	guest_prints("one", 3);
	turn_for_ms(5);
	close(fd);
	turn_for_ms(5);
	guest_prints("two", 3);
	turn_for_ms(5);
	fd = open_slave();

	ck_assert_str_eq(sees(fd), "onetwo");
	close(fd);
}
END_TEST

START_TEST(guest_waits_neither_for_nobody_nor_for_one_that_sleeps)
{
	const size_t len = 100000;
	int fd;

	ck_assert_uint_eq(guest_prints(long_text(len), len), len);
	fd = open_slave();
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(guest_prints(long_text(len), len), len);
		turn_for_ms(3);
	}

	ck_assert_ptr_nonnull(strstr(sees(fd), " bytes of output are missing here]\r\n"));
	close(fd);
}
END_TEST

START_TEST(slave_need_not_be_closed_first)
{
	int fd = open_slave();

	guest_prints("the end", 7);
	hub_drain(hub);
	pty = pty_free(pty);

	/* Data is still there, and then the line is hung up. */
	ck_assert_int_le(read(fd, (char[16]){ 0 }, 16), 7);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pty");
	TCase *tc = tcase_create("pty");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, CONSOLE_SECONDS);
	tcase_add_test(tc, who_opens_it_sees_the_boot_and_what_follows);
	tcase_add_test(tc, line_is_raw_from_the_begin);
	tcase_add_test(tc, keys_reach_the_guest);
	tcase_add_test(tc, next_one_sees_all_again_and_nothing_twice);
	tcase_add_test(tc, guest_waits_neither_for_nobody_nor_for_one_that_sleeps);
	tcase_add_test(tc, slave_need_not_be_closed_first);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
