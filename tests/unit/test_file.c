// SPDX-License-Identifier: Apache-2.0
/*
 * The I/O half of file.h, over a loop that moves as little as a test wants.
 * What opens files is tested by test_disk.c.
 */
#include "block/file.h"

#include "base/bits.h"

#include <check.h>
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define BLOCK	512
#define NR_MOST	16

static uint8_t content[1024 * 1024];

/* What the next operations of the loop return: a length limit, or an error. */
static int results[NR_MOST];
static int nr_ops, nr_bad_ops;
static int last_flags;
static uint64_t demanded_align;

/* Each operation completes in the same call; what that starts is one more. */
static void serve(struct loop_io *io, const struct iovec *segs, unsigned nr, off_t at,
		  bool reading)
{
	int limit = results[nr_ops++], moved = 0;

	ck_assert_int_lt(nr_ops, NR_MOST);
	for (unsigned i = 0; i < nr && moved < limit; i++) {
		int part = (int)min_u64(segs[i].iov_len, (uint64_t)(limit - moved));

		nr_bad_ops += (uintptr_t)segs[i].iov_base % demanded_align != 0;
		nr_bad_ops += segs[i].iov_len % demanded_align != 0;
		if (reading)
			memcpy(segs[i].iov_base, content + at + moved, (size_t)part);
		else
			memcpy(content + at + moved, segs[i].iov_base, (size_t)part);
		moved += part;
	}
	io->done(io, limit > 0 ? moved : limit);
}

void loop_readv(struct loop *loop, struct loop_io *io, int fd, const struct iovec *segs,
		unsigned nr, off_t at)
{
	(void)loop;
	(void)fd;
	serve(io, segs, nr, at, true);
}

void loop_writev(struct loop *loop, struct loop_io *io, int fd, const struct iovec *segs,
		 unsigned nr, off_t at, int flags)
{
	(void)loop;
	(void)fd;
	last_flags = flags;
	serve(io, segs, nr, at, false);
}

void loop_fdatasync(struct loop *loop, struct loop_io *io, int fd)
{
	(void)loop;
	(void)fd;
	io->done(io, results[nr_ops++]);
}

static int last_mode;

void loop_fallocate(struct loop *loop, struct loop_io *io, int fd, int mode, off_t at,
		    off_t len)
{
	int result = results[nr_ops++];

	(void)loop;
	(void)fd;
	last_mode = mode;
	if (!result)
		memset(content + at, 0, (size_t)len);
	io->done(io, result);
}

static struct loop_task *deferred;

void loop_defer(struct loop *loop, struct loop_task *task)
{
	(void)loop;
	deferred = task;
}

static struct file file;
static struct file_io io;
static int nr_done, result;

/* Three segments of 3, 0, 5 and 4 blocks, each between two guard blocks. */
static _Alignas(BLOCK) uint8_t memory[16 * BLOCK];
static struct iovec segs[4];
#define LEN	(12 * BLOCK)
#define AT	(7 * BLOCK)

static uint8_t *block(int i)
{
	return memory + i * BLOCK;
}

static void io_done(struct file_io *done, int res)
{
	ck_assert_ptr_eq(done, &io);
	nr_done++;
	result = res;
}

static void setup(void)
{
	file = (struct file){ .fd = -1, .size = sizeof(content), .block_size = BLOCK };
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 7 + i / 256);
	memset(memory, 0xee, sizeof(memory));
	segs[0] = (struct iovec){ block(1), 3 * BLOCK };
	segs[1] = (struct iovec){ block(4), 0 };
	segs[2] = (struct iovec){ block(5), 5 * BLOCK };
	segs[3] = (struct iovec){ block(11), 4 * BLOCK };
	for (int i = 0; i < NR_MOST; i++)
		results[i] = INT32_MAX;
	nr_ops = nr_bad_ops = nr_done = 0;
	demanded_align = 1;
}

static void submit(enum disk_op op)
{
	io.op = op;
	io.segs = segs;
	io.nr_segs = ARRAY_LEN(segs);
	io.at = AT;
	io.len = LEN;
	io.done = io_done;
	file_submit(&file, NULL, &io);
}

/* The segments hold exactly what the file does, the guards nothing. */
static void check_memory(void)
{
	ck_assert_mem_eq(block(1), content + AT, 3 * BLOCK);
	ck_assert_mem_eq(block(5), content + AT + 3 * BLOCK, 5 * BLOCK);
	ck_assert_mem_eq(block(11), content + AT + 8 * BLOCK, 4 * BLOCK);
	ck_assert_uint_eq(block(0)[BLOCK - 1], 0xee);
	ck_assert_uint_eq(block(4)[0], 0xee);
	ck_assert_uint_eq(block(10)[0], 0xee);
	ck_assert_uint_eq(block(15)[0], 0xee);
}

START_TEST(whole_transfer_is_one_operation)
{
	submit(DISK_READ);

	ck_assert_int_eq(nr_ops, 1);
	ck_assert_int_eq(nr_done, 1);
	ck_assert_int_eq(result, 0);
	check_memory();
}
END_TEST

START_TEST(short_read_goes_on_where_it_stopped)
{
	results[0] = 100;		/* within the first segment */
	results[1] = 5;
	results[2] = 3 * BLOCK - 105;	/* to its end */
	results[3] = 5 * BLOCK + 1;	/* a byte of the last */
	submit(DISK_READ);

	ck_assert_int_eq(nr_ops, 5);
	ck_assert_int_eq(nr_done, 1);
	ck_assert_int_eq(result, 0);
	check_memory();
}
END_TEST

START_TEST(short_write_goes_on_where_it_stopped)
{
	memset(content, 0, sizeof(content));
	for (int i = 0; i < 16; i++)
		memset(block(i), i == 0 || i == 4 || i == 10 || i == 15 ? 0xee : i, BLOCK);
	results[0] = 3 * BLOCK;
	results[1] = 1;
	results[2] = BLOCK;
	submit(DISK_WRITE);

	ck_assert_int_eq(nr_ops, 5);
	ck_assert_int_eq(result, 0);
	check_memory();
	ck_assert_uint_eq(content[AT - 1], 0);
	ck_assert_uint_eq(content[AT + LEN], 0);
}
END_TEST

START_TEST(interrupted_operation_is_repeated)
{
	results[0] = -EINTR;
	results[1] = BLOCK;
	results[2] = -EAGAIN;
	submit(DISK_READ);

	ck_assert_int_eq(nr_ops, 5);
	ck_assert_int_eq(result, 0);
	check_memory();
}
END_TEST

START_TEST(error_ends_the_transfer)
{
	results[0] = BLOCK;
	results[1] = -ENOSPC;
	submit(DISK_WRITE);

	ck_assert_int_eq(nr_ops, 2);
	ck_assert_int_eq(nr_done, 1);
	ck_assert_int_eq(result, -ENOSPC);
}
END_TEST

START_TEST(end_of_file_is_an_error)
{
	results[0] = BLOCK;
	results[1] = 0;
	submit(DISK_READ);

	ck_assert_int_eq(nr_done, 1);
	ck_assert_int_eq(result, -EIO);
}
END_TEST

START_TEST(durable_write_says_so_to_the_kernel)
{
	io.durable = true;
	submit(DISK_WRITE);
	ck_assert_int_eq(last_flags, RWF_DSYNC);

	io.durable = false;
	submit(DISK_WRITE);
	ck_assert_int_eq(last_flags, 0);
}
END_TEST

START_TEST(refusal_comes_at_the_end_of_the_turn)
{
	io.done = io_done;
	file_refuse(NULL, &io, -EROFS);
	ck_assert_int_eq(nr_done, 0);

	deferred->run(deferred);
	ck_assert_int_eq(nr_done, 1);
	ck_assert_int_eq(result, -EROFS);
}
END_TEST

START_TEST(flush_passes_the_result_on)
{
	results[0] = 0;
	submit(DISK_FLUSH);
	ck_assert_int_eq(result, 0);

	results[1] = -EIO;
	submit(DISK_FLUSH);
	ck_assert_int_eq(result, -EIO);
	ck_assert_int_eq(nr_ops, 2);
}
END_TEST

/* Space: segs are not looked at. */

static void submit_space(enum disk_op op, bool unmap, uint64_t len)
{
	io = (struct file_io){
		.op = op, .unmap = unmap, .at = AT, .len = len, .done = io_done,
	};
	file_submit(&file, NULL, &io);
}

/* All of [AT, AT+len) and nothing else. */
static void check_zeros(size_t len)
{
	static const uint8_t none[sizeof(content)];

	ck_assert_mem_eq(content + AT, none, len);
	ck_assert_uint_ne(content[AT - 1], 0);
	ck_assert_uint_ne(content[AT + len + 1], 0);
}

START_TEST(discard_makes_a_hole)
{
	results[0] = 0;
	submit_space(DISK_DISCARD, false, LEN);

	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(nr_ops, 1);
	ck_assert_int_eq(last_mode, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}
END_TEST

START_TEST(discard_where_no_holes_can_be_is_asked_for_once_and_does_nothing)
{
	results[0] = -EOPNOTSUPP;
	submit_space(DISK_DISCARD, false, LEN);
	deferred->run(deferred);
	submit_space(DISK_DISCARD, false, LEN);
	deferred->run(deferred);

	ck_assert_int_eq(nr_ops, 1);
	ck_assert_int_eq(nr_done, 2);
	ck_assert_int_eq(result, 0);
}
END_TEST

START_TEST(failing_discard_tells)
{
	results[0] = -EIO;
	submit_space(DISK_DISCARD, false, LEN);

	ck_assert_int_eq(nr_done, 1);
	ck_assert_int_eq(result, -EIO);
}
END_TEST

START_TEST(zeros_keep_their_space_unless_it_may_go)
{
	results[0] = results[1] = 0;
	submit_space(DISK_ZERO, false, LEN);
	ck_assert_int_eq(last_mode, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);

	submit_space(DISK_ZERO, true, LEN);
	ck_assert_int_eq(last_mode, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	ck_assert_int_eq(nr_ops, 2);
	check_zeros(LEN);
}
END_TEST

START_TEST(zeros_that_the_file_system_cannot_make_are_written)
{
	const size_t len = 2 * 1024 * 1024 / 3 / BLOCK * BLOCK;

	results[0] = results[1] = -EOPNOTSUPP;
	results[2] = 100;		/* a short write among them */
	submit_space(DISK_ZERO, true, len);

	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(nr_done, 1);
	check_zeros(len);
}
END_TEST

START_TEST(zeros_are_written_at_once_when_it_is_known)
{
	file.no_zeroing = true;
	submit_space(DISK_ZERO, false, LEN);

	ck_assert_int_eq(nr_ops, 1);
	check_zeros(LEN);
}
END_TEST

START_TEST(durable_zeros_are_synced_before_they_are_done)
{
	results[0] = 0;
	results[1] = -EINTR;
	results[2] = -EIO;
	io = (struct file_io){
		.op = DISK_ZERO, .durable = true, .at = AT, .len = LEN, .done = io_done,
	};
	file_submit(&file, NULL, &io);

	ck_assert_int_eq(nr_ops, 3);
	ck_assert_int_eq(nr_done, 1);
	ck_assert_int_eq(result, -EIO);
}
END_TEST

START_TEST(interrupted_hole_is_made_again)
{
	results[0] = -EINTR;
	results[1] = 0;
	submit_space(DISK_DISCARD, false, LEN);

	ck_assert_int_eq(nr_ops, 2);
	ck_assert_int_eq(result, 0);
	check_zeros(LEN);
}
END_TEST

START_TEST(flush_that_failed_through_the_cache_is_remembered)
{
	results[0] = -EIO;
	submit(DISK_FLUSH);
	ck_assert_int_eq(file.flush_error, -EIO);

	file.direct = true;
	file.flush_error = 0;
	file.mem_align = BLOCK;
	results[1] = -EIO;
	submit(DISK_FLUSH);
	ck_assert_int_eq(result, -EIO);
	ck_assert_int_eq(file.flush_error, 0);
}
END_TEST

/* Direct I/O: the loop counts what the kernel would not take. */

static void setup_direct(void)
{
	setup();
	file.direct = true;
	file.mem_align = BLOCK;
	demanded_align = BLOCK;
}

START_TEST(direct_transfer_of_aligned_memory_takes_no_buffer)
{
	results[0] = 3 * BLOCK;
	submit(DISK_READ);

	ck_assert_int_eq(nr_ops, 2);
	ck_assert_int_eq(nr_bad_ops, 0);
	ck_assert_ptr_eq(io.bounce, NULL);
	check_memory();
}
END_TEST

START_TEST(direct_read_into_odd_memory_arrives)
{
	segs[0].iov_base = block(1) - 1;
	results[0] = BLOCK;
	submit(DISK_READ);

	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(nr_ops, 2);
	ck_assert_int_eq(nr_bad_ops, 0);
	ck_assert_mem_eq(block(1) - 1, content + AT, 3 * BLOCK);
	ck_assert_uint_eq(block(4)[-1], 0xee);
	ck_assert_mem_eq(block(5), content + AT + 3 * BLOCK, 5 * BLOCK);
	ck_assert_mem_eq(block(11), content + AT + 8 * BLOCK, 4 * BLOCK);
}
END_TEST

START_TEST(direct_write_from_odd_memory_arrives)
{
	segs[0].iov_base = block(1) + 1;
	memset(block(1), 0x11, 3 * BLOCK + 1);
	memset(block(11), 0x22, 4 * BLOCK);
	results[0] = BLOCK;
	submit(DISK_WRITE);

	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(nr_ops, 2);
	ck_assert_int_eq(nr_bad_ops, 0);
	ck_assert_mem_eq(content + AT, block(1) + 1, 3 * BLOCK);
	ck_assert_mem_eq(content + AT + 8 * BLOCK, block(11), 4 * BLOCK);
}
END_TEST

START_TEST(direct_transfer_of_cut_segments_arrives)
{
	segs[0].iov_len = 3 * BLOCK - 16;
	segs[1] = (struct iovec){ block(4) - 16, 16 };
	submit(DISK_READ);

	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(nr_bad_ops, 0);
	check_memory();
}
END_TEST

START_TEST(failing_transfer_through_a_buffer_changes_no_memory)
{
	segs[0].iov_base = block(1) - 1;
	results[0] = -EIO;
	submit(DISK_READ);

	ck_assert_int_eq(result, -EIO);
	ck_assert_uint_eq(block(1)[0], 0xee);
	ck_assert_ptr_null(io.bounce);
}
END_TEST

START_TEST(long_transfer_goes_through_a_small_buffer)
{
	static _Alignas(BLOCK) uint8_t odd[600 * 1024 + 1];

	io = (struct file_io){
		.op = DISK_READ,
		.segs = segs,
		.nr_segs = 1,
		.at = AT,
		.len = sizeof(odd) - 1,
		.done = io_done,
	};
	segs[0] = (struct iovec){ odd + 1, io.len };
	file_submit(&file, NULL, &io);

	ck_assert_int_eq(result, 0);
	ck_assert_int_gt(nr_ops, 1);
	ck_assert_int_eq(nr_bad_ops, 0);
	ck_assert_mem_eq(segs[0].iov_base, content + AT, io.len);
}
END_TEST

START_TEST(direct_flush_needs_no_memory)
{
	results[0] = 0;
	io = (struct file_io){ .op = DISK_FLUSH, .done = io_done };
	file_submit(&file, NULL, &io);

	ck_assert_int_eq(nr_done, 1);
	ck_assert_int_eq(result, 0);
}
END_TEST

static TCase *space_tests(void)
{
	TCase *tc = tcase_create("space");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, discard_makes_a_hole);
	tcase_add_test(tc, discard_where_no_holes_can_be_is_asked_for_once_and_does_nothing);
	tcase_add_test(tc, failing_discard_tells);
	tcase_add_test(tc, zeros_keep_their_space_unless_it_may_go);
	tcase_add_test(tc, zeros_that_the_file_system_cannot_make_are_written);
	tcase_add_test(tc, zeros_are_written_at_once_when_it_is_known);
	tcase_add_test(tc, durable_zeros_are_synced_before_they_are_done);
	tcase_add_test(tc, interrupted_hole_is_made_again);
	tcase_add_test(tc, flush_that_failed_through_the_cache_is_remembered);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("file");
	TCase *tc = tcase_create("buffered");
	TCase *direct = tcase_create("direct");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, whole_transfer_is_one_operation);
	tcase_add_test(tc, short_read_goes_on_where_it_stopped);
	tcase_add_test(tc, short_write_goes_on_where_it_stopped);
	tcase_add_test(tc, interrupted_operation_is_repeated);
	tcase_add_test(tc, error_ends_the_transfer);
	tcase_add_test(tc, end_of_file_is_an_error);
	tcase_add_test(tc, durable_write_says_so_to_the_kernel);
	tcase_add_test(tc, refusal_comes_at_the_end_of_the_turn);
	tcase_add_test(tc, flush_passes_the_result_on);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, space_tests());

	tcase_add_checked_fixture(direct, setup_direct, NULL);
	tcase_add_test(direct, direct_transfer_of_aligned_memory_takes_no_buffer);
	tcase_add_test(direct, direct_read_into_odd_memory_arrives);
	tcase_add_test(direct, direct_write_from_odd_memory_arrives);
	tcase_add_test(direct, direct_transfer_of_cut_segments_arrives);
	tcase_add_test(direct, failing_transfer_through_a_buffer_changes_no_memory);
	tcase_add_test(direct, long_transfer_goes_through_a_small_buffer);
	tcase_add_test(direct, direct_flush_needs_no_memory);
	suite_add_tcase(s, direct);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
