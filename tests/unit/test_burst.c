// SPDX-License-Identifier: Apache-2.0
#include "loop/burst.h"

#include "base/bits.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEN	1000
#define NR_SENT	30000

static struct burst *burst;
static int ends[2];
static uint8_t bytes[BURST_MAX][LEN];
static struct iovec segs[BURST_MAX];
static struct burst_packet packets[BURST_MAX];

static void setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	for (unsigned i = 0; i < BURST_MAX; i++) {
		memset(bytes[i], (int)i, LEN);
		segs[i] = (struct iovec){ bytes[i], LEN };
		packets[i] = (struct burst_packet){ &segs[i], 1, 0 };
	}
}

static void setup_ring(void)
{
	setup();
	burst = burst_new();
}

static void teardown(void)
{
	burst = burst_free(burst);
	close(ends[0]);
	close(ends[1]);
}

static void assert_arrived(unsigned which)
{
	uint8_t got[LEN + 1];

	ck_assert_int_eq(recv(ends[1], got, sizeof(got), 0), LEN);
	ck_assert_mem_eq(got, bytes[which], LEN);
}

START_TEST(packets_are_written_in_their_order)
{
	ck_assert_uint_eq(burst_write(burst, ends[0], packets, BURST_MAX), BURST_MAX);

	for (unsigned i = 0; i < BURST_MAX; i++) {
		ck_assert_int_eq(packets[i].len, LEN);
		assert_arrived(i);
	}
}
END_TEST

START_TEST(none_is_written_behind_one_that_failed)
{
	uint8_t byte;

	segs[2].iov_base = NULL;

	ck_assert_uint_eq(burst_write(burst, ends[0], packets, BURST_MAX), 3);

	ck_assert_int_eq(packets[2].len, -EFAULT);
	assert_arrived(0);
	assert_arrived(1);
	ck_assert_int_eq(recv(ends[1], &byte, 1, 0), -1);
}
END_TEST

START_TEST(all_are_written_whatever_becomes_of_one)
{
	segs[2].iov_base = NULL;

	burst_write_all(burst, ends[0], packets, 4);

	ck_assert_int_eq(packets[2].len, -EFAULT);
	ck_assert_int_eq(packets[3].len, LEN);
	assert_arrived(0);
	assert_arrived(1);
	assert_arrived(3);
}
END_TEST

START_TEST(as_many_are_written_as_there_is_room_for)
{
	unsigned nr_tried;
	uint8_t byte;
	int room = 1;

	ck_assert_int_eq(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);

	nr_tried = burst_write(burst, ends[0], packets, BURST_MAX);

	ck_assert_uint_gt(nr_tried, 1);
	ck_assert_uint_lt(nr_tried, BURST_MAX);
	ck_assert_int_eq(packets[nr_tried - 1].len, -EAGAIN);
	for (unsigned i = 0; i < nr_tried - 1; i++)
		assert_arrived(i);
	ck_assert_int_eq(recv(ends[1], &byte, 1, 0), -1);
}
END_TEST

START_TEST(as_many_are_read_as_there_are)
{
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(send(ends[1], "packet", i + 1, 0), i + 1);

	ck_assert_uint_eq(burst_read(burst, ends[0], packets, BURST_MAX), 3);

	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(packets[i].len, i + 1);
		ck_assert_mem_eq(bytes[i], "packet", i + 1);
	}
	ck_assert_uint_eq(burst_read(burst, ends[0], packets, BURST_MAX), 0);
}
END_TEST

static void *send_many(void *arg)
{
	struct pollfd room = { .fd = ends[1], .events = POLLOUT };

	for (unsigned i = 0; i < NR_SENT; i++) {
		ck_assert_int_eq(poll(&room, 1, -1), 1);
		ck_assert_int_eq(send(ends[1], &i, sizeof(i), 0), sizeof(i));
	}
	return arg;
}

/* Also one that comes amid a burst, when that has found nothing before. */
START_TEST(every_packet_is_read)
{
	unsigned next = 0;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, send_many, NULL), 0);
	while (next < NR_SENT) {
		unsigned nr = burst_read(burst, ends[0], packets, BURST_MAX), which;

		for (unsigned i = 0; i < nr; i++) {
			if (packets[i].len == -EAGAIN)
				continue;
			ck_assert_int_eq(packets[i].len, sizeof(which));
			memcpy(&which, bytes[i], sizeof(which));
			ck_assert_uint_eq(which, next++);
		}
	}
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(packet_may_be_in_pieces)
{
	struct iovec out[2] = { { bytes[1], 2 }, { bytes[2], 3 } };
	struct iovec in[2] = { { bytes[3], 4 }, { bytes[4], LEN } };

	packets[0] = (struct burst_packet){ out, 2, 0 };
	ck_assert_uint_eq(burst_write(burst, ends[0], packets, 2), 2);
	packets[0] = (struct burst_packet){ in, 2, 0 };
	ck_assert_uint_eq(burst_read(burst, ends[1], packets, 2), 2);

	ck_assert_int_eq(packets[0].len, 5);
	ck_assert_mem_eq(bytes[3], "\1\1\2\2", 4);
	ck_assert_mem_eq(bytes[4], "\2\4", 2);
	ck_assert_int_eq(packets[1].len, LEN);
}
END_TEST

/* As all taps before Linux 6.4. */
START_TEST(file_that_cannot_be_told_not_to_wait_is_written_all_the_same)
{
	char *names[] = { (char *)"first", (char *)"second" }, got[16] = { 0 };
	int fd = open("/proc/self/comm", O_RDWR | O_CLOEXEC);

	for (unsigned i = 0; i < 2; i++)
		segs[i] = (struct iovec){ names[i], strlen(names[i]) };

	ck_assert_uint_eq(burst_write(burst, fd, packets, 2), 2);

	ck_assert_int_eq(packets[1].len, 6);
	ck_assert_int_eq(pread(fd, got, sizeof(got) - 1, 0), 7);
	ck_assert_str_eq(got, "second\n");
	close(fd);
}
END_TEST

static TCase *tests(const char *name, void (*set_up)(void))
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set_up, teardown);
	tcase_add_test(tc, packets_are_written_in_their_order);
	tcase_add_test(tc, none_is_written_behind_one_that_failed);
	tcase_add_test(tc, all_are_written_whatever_becomes_of_one);
	tcase_add_test(tc, as_many_are_written_as_there_is_room_for);
	tcase_add_test(tc, as_many_are_read_as_there_are);
	tcase_add_test(tc, every_packet_is_read);
	tcase_add_test(tc, packet_may_be_in_pieces);
	tcase_add_test(tc, file_that_cannot_be_told_not_to_wait_is_written_all_the_same);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("burst");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, tests("by a ring, where there is one", setup_ring));
	suite_add_tcase(s, tests("one by one", setup));

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
