// SPDX-License-Identifier: Apache-2.0
/* The part of disk.h about caches, block sizes, failures, and disks that grow. */
#include "block/disk.h"

#include "disk_fixture.h"

#include "block/format.h"


static int result;

static void request_done(struct disk_request *request, int res)
{
	(void)request;
	result = res;
	loop_quit(loop);
}

static int submit(struct disk_request *request)
{
	request->done = request_done;
	disk_submit(disk, request);
	ck_assert_int_eq(loop_run(loop), 0);
	return result;
}

static int flush(void)
{
	struct disk_request request = { .op = DISK_FLUSH };

	return submit(&request);
}

/* Was it sent as a durable one? */
static bool is_made_durable(enum disk_op op, bool asked)
{
	static uint8_t bytes[512];
	struct iovec seg = { bytes, sizeof(bytes) };
	struct disk_request request = {
		.op = op, .durable = asked, .len = sizeof(bytes), .segs = &seg,
		.nr_segs = op == DISK_WRITE,
	};

	ck_assert_int_eq(submit(&request), 0);
	return request.durable;
}

static void open_cached(enum disk_cache cache)
{
	struct disk_config c = config("a.img");

	c.cache = cache;
	ck_assert_int_eq(open_disk(c), 0);
}

/* Caches. */

START_TEST(written_through_is_every_write)
{
	open_cached(DISK_WRITETHROUGH);

	ck_assert(is_made_durable(DISK_WRITE, false));
	ck_assert(is_made_durable(DISK_ZERO, false));
	ck_assert(!is_made_durable(DISK_DISCARD, false));
	ck_assert(!disk_write_cache(disk));
}
END_TEST

START_TEST(written_back_is_what_need_not_be_durable)
{
	open_cached(DISK_WRITEBACK);

	ck_assert(!is_made_durable(DISK_WRITE, false));
	ck_assert(is_made_durable(DISK_WRITE, true));
	ck_assert(disk_write_cache(disk));
}
END_TEST

START_TEST(unsafe_disk_waits_for_no_medium)
{
	open_cached(DISK_UNSAFE);
	disk->file.flush_error = -EIO;	/* what a flush would say, if it were one */

	ck_assert(!is_made_durable(DISK_WRITE, true));
	ck_assert_int_eq(flush(), 0);
}
END_TEST

START_TEST(flush_that_failed_never_succeeds_again)
{
	open_cached(DISK_WRITEBACK);
	disk->file.flush_error = -EIO;

	ck_assert_int_eq(flush(), -EIO);
	ck_assert_int_eq(flush(), -EIO);
}
END_TEST

/* Block sizes. */

START_TEST(larger_blocks_than_the_file_s_can_be_shown)
{
	struct disk_config c = config("a.img");
	struct disk_request request = { .op = DISK_ZERO, .at = 512, .len = 4096 };

	c.block_size = 4096;
	ck_assert_int_eq(open_disk(c), 0);

	ck_assert_uint_eq(disk_block_size(disk), 4096);
	ck_assert_int_eq(submit(&request), -EINVAL);
}
END_TEST

START_TEST(blocks_that_do_not_fit_are_refused)
{
	struct disk_config c = config("a.img");

	c.block_size = 3 * 512;
	refuses(c, -EINVAL, "has blocks of 512 bytes: those of 1536");
	c.block_size = 256;
	refuses(c, -EINVAL, "those of 256");
	make_file("b.img", 4096 + 512);
	c = config("b.img");
	c.block_size = 4096;
	refuses(c, -EINVAL, "4608 bytes, is no multiple of its blocks of 4096");
}
END_TEST

START_TEST(file_s_own_unit_is_the_physical_block)
{
	open_cached(DISK_WRITEBACK);

	ck_assert_uint_eq(disk_topology(disk).physical, 4096);
}
END_TEST

/* Failures. */

static struct disk_failure told;
static int nr_told;

static void failed(void *ctx, const struct disk_failure *failure)
{
	ck_assert_ptr_eq(ctx, &told);
	told = *failure;
	nr_told++;
}

static const struct {
	enum disk_on_error on;
	int error;
	enum disk_verdict verdict;
} verdicts[] = {
	{ DISK_ON_ERROR_REPORT, -EIO, DISK_REPORT },
	{ DISK_ON_ERROR_REPORT, -ENOSPC, DISK_REPORT },
	{ DISK_ON_ERROR_STOP, -EIO, DISK_STOP },
	{ DISK_ON_ERROR_IGNORE, -ENOSPC, DISK_IGNORE },
	{ DISK_ON_ERROR_ENOSPC, -ENOSPC, DISK_STOP },
	{ DISK_ON_ERROR_ENOSPC, -EDQUOT, DISK_STOP },
	{ DISK_ON_ERROR_ENOSPC, -EIO, DISK_REPORT },
};

START_TEST(failure_is_judged_by_what_the_user_wants_and_told)
{
	struct disk_config c = config("a.img");

	c.read_error = _i % 2 ? verdicts[_i / 2].on : DISK_ON_ERROR_REPORT;
	c.write_error = _i % 2 ? DISK_ON_ERROR_REPORT : verdicts[_i / 2].on;
	c.failed = failed;
	c.ctx = &told;
	nr_told = 0;
	ck_assert_int_eq(open_disk(c), 0);

	ck_assert_int_eq(disk_judge_failure(disk, _i % 2 ? DISK_READ : DISK_WRITE,
					    verdicts[_i / 2].error),
			 verdicts[_i / 2].verdict);

	ck_assert_int_eq(nr_told, 1);
	ck_assert_int_eq(told.error, verdicts[_i / 2].error);
	ck_assert_int_eq(told.verdict, verdicts[_i / 2].verdict);
}
END_TEST

START_TEST(flush_whose_data_are_lost_is_reported_not_tried_again)
{
	struct disk_config c = config("a.img");

	c.write_error = DISK_ON_ERROR_STOP;
	ck_assert_int_eq(open_disk(c), 0);
	ck_assert_int_eq(disk_judge_failure(disk, DISK_FLUSH, -EIO), DISK_STOP);

	disk->file.flush_error = -EIO;
	ck_assert_int_eq(disk_judge_failure(disk, DISK_FLUSH, -EIO), DISK_REPORT);
	ck_assert_int_eq(disk_judge_failure(disk, DISK_WRITE, -EIO), DISK_STOP);
}
END_TEST

/* What the device makes of it. */

static int set_use(struct disk_use use)
{
	return disk_set_use(disk, &use, NULL);
}

START_TEST(device_decides_how_failures_are_judged)
{
	const struct disk_use use = {
		.read_error = DISK_ON_ERROR_STOP,
		.write_error = DISK_ON_ERROR_IGNORE,
	};

	open_cached(DISK_WRITEBACK);
	ck_assert_int_eq(disk_judge_failure(disk, DISK_READ, -EIO), DISK_REPORT);

	ck_assert_int_eq(set_use(use), 0);

	ck_assert_int_eq(disk_judge_failure(disk, DISK_READ, -EIO), DISK_STOP);
	ck_assert_int_eq(disk_judge_failure(disk, DISK_WRITE, -EIO), DISK_IGNORE);
}
END_TEST

START_TEST(device_without_a_write_cache_is_written_through_and_the_next_is_not)
{
	open_cached(DISK_WRITEBACK);

	ck_assert_int_eq(set_use((struct disk_use){ .write_through = true }), 0);
	ck_assert(is_made_durable(DISK_WRITE, false));
	ck_assert(!disk_write_cache(disk));

	ck_assert_int_eq(set_use((struct disk_use){ 0 }), 0);
	ck_assert(!is_made_durable(DISK_WRITE, false));
	ck_assert(disk_write_cache(disk));
}
END_TEST

START_TEST(unsafe_disk_has_no_device_that_writes_through)
{
	const struct disk_use use = { .write_through = true, .read_error = DISK_ON_ERROR_STOP };

	open_cached(DISK_UNSAFE);

	ck_assert_int_eq(set_use(use), -EINVAL);

	ck_assert_int_eq(disk_judge_failure(disk, DISK_READ, -EIO), DISK_REPORT);
	ck_assert_int_eq(set_use((struct disk_use){ 0 }), 0);
	ck_assert_int_eq(flush(), 0);
}
END_TEST

START_TEST(device_decides_on_larger_blocks_and_the_next_has_the_file_s)
{
	open_cached(DISK_WRITEBACK);

	ck_assert_int_eq(set_use((struct disk_use){ .block_size = 4096 }), 0);
	ck_assert_uint_eq(disk_block_size(disk), 4096);
	ck_assert_int_eq(set_use((struct disk_use){ .block_size = 1536 }), -EINVAL);
	ck_assert_uint_eq(disk_block_size(disk), 4096);

	ck_assert_int_eq(set_use((struct disk_use){ 0 }), 0);
	ck_assert_uint_eq(disk_block_size(disk), 512);
}
END_TEST

/* Growth. */

static int nr_resized;

static void resized(struct disk_user *user)
{
	(void)user;
	nr_resized++;
}

static struct disk_user user = { .resized = resized };

START_TEST(file_grows_and_its_user_hears_of_it)
{
	struct disk_request request = { .op = DISK_ZERO, .at = SIZE, .len = 4096 };
	struct stat st;

	open_cached(DISK_WRITEBACK);
	disk_set_user(disk, &user);
	nr_resized = 0;
	ck_assert_int_eq(submit(&request), -EINVAL);

	ck_assert_int_eq(disk_resize(disk, 2 * SIZE, &err), 0);

	ck_assert_int_eq(nr_resized, 1);
	ck_assert_uint_eq(disk_size(disk), 2 * SIZE);
	ck_assert_int_eq(stat(in_folder("a.img"), &st), 0);
	ck_assert_int_eq(st.st_size, 2 * SIZE);
	ck_assert_int_eq(submit(&request), 0);
}
END_TEST

static void does_not_become(uint64_t size, int code, const char *says)
{
	uint64_t before = disk_size(disk);
	struct stat st;

	ck_assert_int_eq(disk_resize(disk, size, &err), code);
	ck_assert_msg(strstr(err.text, says) != NULL, "'%s' lacks '%s'", err.text, says);
	ck_assert_int_eq(strncmp(err.text, "disk 'root': ", 13), 0);
	ck_assert_uint_eq(disk_size(disk), before);
	ck_assert_int_eq(stat(in_folder("a.img"), &st), 0);
	ck_assert_uint_eq(st.st_size, before);
}

START_TEST(file_does_not_shrink_or_end_within_a_block)
{
	open_cached(DISK_WRITEBACK);

	does_not_become(SIZE - 512, -EINVAL, "shrinking would lose");
	does_not_become(SIZE + 1, -EINVAL, "no multiple of its blocks of 512");
	does_not_become(UINT64_MAX & ~UINT64_C(511), -EFBIG, "cannot make its file larger");
	ck_assert_int_eq(disk_resize(disk, SIZE, &err), 0);
}
END_TEST

START_TEST(read_only_disk_does_not_grow)
{
	struct disk_config c = config("a.img");

	c.read_only = true;
	ck_assert_int_eq(open_disk(c), 0);

	does_not_become(2 * SIZE, -EROFS, "read-only");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disk_change");
	TCase *tc = tcase_create("change");
	SRunner *sr;
	int failures;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, written_through_is_every_write);
	tcase_add_test(tc, written_back_is_what_need_not_be_durable);
	tcase_add_test(tc, unsafe_disk_waits_for_no_medium);
	tcase_add_test(tc, flush_that_failed_never_succeeds_again);
	tcase_add_test(tc, larger_blocks_than_the_file_s_can_be_shown);
	tcase_add_test(tc, blocks_that_do_not_fit_are_refused);
	tcase_add_test(tc, file_s_own_unit_is_the_physical_block);
	tcase_add_loop_test(tc, failure_is_judged_by_what_the_user_wants_and_told, 0,
			    2 * ARRAY_LEN(verdicts));
	tcase_add_test(tc, flush_whose_data_are_lost_is_reported_not_tried_again);
	tcase_add_test(tc, device_decides_how_failures_are_judged);
	tcase_add_test(tc, device_without_a_write_cache_is_written_through_and_the_next_is_not);
	tcase_add_test(tc, unsafe_disk_has_no_device_that_writes_through);
	tcase_add_test(tc, device_decides_on_larger_blocks_and_the_next_has_the_file_s);
	tcase_add_test(tc, file_grows_and_its_user_hears_of_it);
	tcase_add_test(tc, file_does_not_shrink_or_end_within_a_block);
	tcase_add_test(tc, read_only_disk_does_not_grow);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
