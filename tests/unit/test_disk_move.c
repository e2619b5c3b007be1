// SPDX-License-Identifier: Apache-2.0
/* disk_send.h and disk_receive.h: what one sends, the other has. */
#include "channel_fixture.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "block/disk.h"
#include "loop/loop.h"
#include "migrate/disk_receive.h"
#include "migrate/disk_send.h"

#include <errno.h>
#include <fcntl.h>

/* Five pieces and a bit, of which every third block is zeroes. */
#define SIZE	(5 * MESSAGE_DISK_PIECE + 3 * DISK_LOG_BLOCK + 512)

static char paths[2][64];
static struct loop *loops[2];
static struct disk *disks[2];		/* from, to */
static struct disk_sender *from;
static struct disk_receiver *to;
static struct disk_sent sent;
static uint8_t wanted[SIZE], found[SIZE];
static pthread_t thread;
static int told;

static void open_one(int i, const void *bytes)
{
	struct disk_config config = { .id = "root", .path = paths[i], .format = "raw" };
	int fd;

	snprintf(paths[i], sizeof(paths[i]), "%s/%d", folder, i);
	fd = open(paths[i], O_CREAT | O_EXCL | O_RDWR, 0600);
	ck_assert_int_eq(pwrite(fd, bytes, SIZE, 0), SIZE);
	close(fd);
	ck_assert_int_eq(loop_new(&loops[i], &err), 0);
	ck_assert_int_eq(disk_open(&disks[i], &config, loops[i], &err), 0);
	ck_assert_int_eq(loop_start(loops[i], "io", &err), 0);
}

static int send_it(void *ctx, const struct message *message, const void *bytes, struct err *why)
{
	(void)ctx, (void)why;
	return message_send(sender, message, bytes);
}

static void setup_disks(void)
{
	const struct disk_sender_config config = { .send = send_it, .sent = &sent };

	setup();
	meet_by(2);
	for (size_t i = 0; i < SIZE; i++)
		wanted[i] = i / DISK_LOG_BLOCK % 3 ? (uint8_t)(i / 512 + 1) : 0;
	memset(found, 'x', SIZE);
	open_one(0, wanted);
	open_one(1, found);
	from = disk_sender_new(&config);
	to = disk_receiver_new();
	ck_assert_int_eq(disk_sender_add(from, disks[0]), 0);
	disk_receiver_add(to, disks[1]);
}

static void teardown_disks(void)
{
	from = disk_sender_free(from);
	to = disk_receiver_free(to);
	for (int i = 0; i < 2; i++) {
		loop_stop(loops[i]);
		disks[i] = disk_close(disks[i], NULL);
		loops[i] = loop_free(loops[i]);
		unlink(paths[i]);
	}
	teardown();
}

static void *take_all(void *arg)
{
	struct message message;
	int r;

	do {
		r = message_receive(receiver, &message, &err);
		if (!r)
			r = disk_receiver_take(to, receiver, &message, &err);
	} while (!r);
	told = r;
	return arg;
}

static void move(void)
{
	const struct message end = { .type = MESSAGE_END };

	ck_assert_int_eq(pthread_create(&thread, NULL, take_all, NULL), 0);
	ck_assert_int_eq(disk_sender_send(from, &err), 0);
	ck_assert_int_eq(message_send(sender, &end, NULL), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(told, 1);
	ck_assert_int_eq(disk_receiver_flush(to, &err), 0);
}

static void expect_moved(void)
{
	int fd = open(paths[1], O_RDONLY);

	ck_assert_int_eq(pread(fd, found, SIZE, 0), SIZE);
	close(fd);
	ck_assert(!memcmp(found, wanted, SIZE));
}

START_TEST(all_of_a_disk_arrives)
{
	ck_assert_uint_eq(disk_sender_take(from), align_up(SIZE, DISK_LOG_BLOCK));

	move();

	expect_moved();
	ck_assert_uint_eq(sent.left, 0);
	ck_assert_uint_lt(sent.bytes, SIZE);
}
END_TEST

START_TEST(what_has_not_changed_is_not_sent_again)
{
	disk_sender_take(from);
	move();
	sent.bytes = 0;

	ck_assert_uint_eq(disk_sender_take(from), 0);
	move();

	ck_assert_uint_eq(sent.bytes, 0);
}
END_TEST

static const struct {
	struct message message;
	uint64_t zeroes;
} wrong[] = {
	{ { MESSAGE_DISK, 1, 0, 512 }, 0 },
	{ { MESSAGE_DISK, UINT32_MAX, 0, 512 }, 0 },
	{ { MESSAGE_DISK, 0, 0, 0 }, 0 },
	{ { MESSAGE_DISK, 0, SIZE, 512 }, 0 },
	{ { MESSAGE_DISK, 0, SIZE - 512, 1024 }, 0 },
	{ { MESSAGE_DISK, 0, UINT64_MAX - 511, 512 }, 0 },
	{ { MESSAGE_DISK, 0, MESSAGE_DISK_PIECE - 512, 1024 }, 0 },
	{ { MESSAGE_DISK_ZEROES, 0, 0, 8 }, 0 },
	{ { MESSAGE_DISK_ZEROES, 0, 0, 8 }, MESSAGE_DISK_PIECE + 512 },
	{ { MESSAGE_DISK_ZEROES, 0, 512, 8 }, UINT64_MAX },
	{ { MESSAGE_DISK_ZEROES, 0, 0, 4 }, 512 },
};

START_TEST(what_is_no_piece_of_a_disk_is_refused)
{
	uint8_t bytes[1024] = { 0 };

	put_le64(bytes, wrong[_i].zeroes);
	ck_assert_int_eq(message_send(sender, &wrong[_i].message, bytes), 0);

	take_all(NULL);

	ck_assert_int_eq(told, -EPROTO);
}
END_TEST

START_TEST(write_that_fails_is_told)
{
	const struct message odd = { MESSAGE_DISK, 0, 1, 511 };

	ck_assert_int_eq(message_send(sender, &odd, wanted), 0);
	sender = channel_close(sender);
	take_all(NULL);

	ck_assert_int_eq(disk_receiver_flush(to, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "disk 'root': cannot write it"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disk_move");
	TCase *tc = tcase_create("from one to another");

	tcase_add_checked_fixture(tc, setup_disks, teardown_disks);
	tcase_add_test(tc, all_of_a_disk_arrives);
	tcase_add_test(tc, what_has_not_changed_is_not_sent_again);
	tcase_add_loop_test(tc, what_is_no_piece_of_a_disk_is_refused, 0, ARRAY_LEN(wrong));
	tcase_add_test(tc, write_that_fails_is_told);
	suite_add_tcase(s, tc);
	return run(s);
}
