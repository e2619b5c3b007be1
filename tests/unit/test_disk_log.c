// SPDX-License-Identifier: Apache-2.0
/* The part of disk.h that notes what is changed, and what is asked for beside the guest. */
#include "disk_fixture.h"

#include "block/format.h"
#include "block/throttle.h"

#define BLOCK	DISK_LOG_BLOCK
#define NR	(SIZE / BLOCK)

static uint8_t bytes[2 * BLOCK];
static uint64_t noted;
static int result;

static void request_done(struct disk_request *request, int res)
{
	(void)request;
	result = res;
	loop_quit(loop);
}

static void begin(struct disk_request *request, enum disk_op op, uint64_t at, uint64_t len)
{
	static struct iovec seg;

	seg = (struct iovec){ bytes, len };
	request->op = op;
	request->at = at;
	request->len = len;
	request->segs = &seg;
	request->nr_segs = op == DISK_READ || op == DISK_WRITE;
	request->done = request_done;
	disk_submit(disk, request);
}

static int end(void)
{
	ck_assert_int_eq(loop_run(loop), 0);
	return result;
}

static int transfer(enum disk_op op, uint64_t at, uint64_t len)
{
	struct disk_request request = { 0 };

	begin(&request, op, at, len);
	return end();
}

static void setup_logged(void)
{
	struct disk_config c;

	setup();
	c = config("a.img");
	ck_assert_int_eq(open_disk(c), 0);
	ck_assert_uint_eq(disk_log_words(disk), 1);
	noted = 0;
	disk_set_log(disk, &noted);
}

START_TEST(what_changes_the_disk_is_noted)
{
	const enum disk_op ops[] = { DISK_WRITE, DISK_ZERO, DISK_DISCARD };

	for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
		noted = 0;
		ck_assert_int_eq(transfer(ops[i], BLOCK - 512, 1024), 0);
		ck_assert_uint_eq(noted, 0x3);
		ck_assert_int_eq(transfer(ops[i], SIZE - 512, 512), 0);
		ck_assert_uint_eq(noted, 0x3 | BIT64(NR - 1));
	}
}
END_TEST

START_TEST(what_leaves_it_as_it_is_is_not)
{
	ck_assert_int_eq(transfer(DISK_READ, 0, BLOCK), 0);
	ck_assert_int_eq(transfer(DISK_FLUSH, 0, 0), 0);
	ck_assert_int_eq(transfer(DISK_WRITE, BLOCK, 0), 0);

	ck_assert_uint_eq(noted, 0);
}
END_TEST

START_TEST(write_under_way_is_noted_once_it_is_done)
{
	struct disk_request request = { 0 };

	begin(&request, DISK_WRITE, 0, 512);
	ck_assert_uint_eq(noted, 0);

	ck_assert_int_eq(end(), 0);

	ck_assert_uint_eq(noted, 1);
}
END_TEST

START_TEST(write_that_fails_is_noted)
{
	struct disk_request request = {
		.op = DISK_WRITE, .at = BLOCK, .len = 512, .disk = disk, .done = request_done,
	};

	disk_format_done(&request, -EIO);

	ck_assert_int_eq(result, -EIO);
	ck_assert_uint_eq(noted, 2);
}
END_TEST

START_TEST(refused_write_is_not)
{
	ck_assert_int_eq(transfer(DISK_WRITE, SIZE, 512), -EINVAL);
	ck_assert_int_eq(transfer(DISK_WRITE, UINT64_C(1) << 62, 512), -EINVAL);

	ck_assert_uint_eq(noted, 0);
}
END_TEST

START_TEST(nothing_is_noted_any_more)
{
	ck_assert(disk_is_logged(disk));

	disk_set_log(disk, NULL);

	ck_assert(!disk_is_logged(disk));
	ck_assert_int_eq(transfer(DISK_WRITE, 0, 512), 0);
	ck_assert_uint_eq(noted, 0);
}
END_TEST

START_TEST(disk_keeps_its_size_meanwhile)
{
	ck_assert_int_eq(disk_resize(disk, 2 * SIZE, &err), -EBUSY);
	ck_assert_ptr_nonnull(strstr(err.text, "copied"));
	disk_set_log(disk, NULL);
	ck_assert_int_eq(disk_resize(disk, 2 * SIZE, &err), 0);
}
END_TEST

START_TEST(no_limit_holds_up_what_is_not_the_guests)
{
	const struct throttle_limits one_byte = { .of[THROTTLE_BPS] = { .avg = 1 } };
	struct throttle_group *group = throttle_group_new(loop, "g");
	struct disk_request waits = { 0 }, aside = { .aside = true };

	throttle_group_set(group, &one_byte);
	disk_set_throttle(disk, group);
	ck_assert_int_eq(transfer(DISK_READ, 0, 512), 0);
	begin(&waits, DISK_READ, 0, 512);
	result = 1;

	begin(&aside, DISK_WRITE, BLOCK, 512);

	ck_assert_int_eq(end(), 0);
	ck_assert_uint_eq(noted, 2);
	ck_assert_uint_eq(disk_counter(disk, DISK_READ).nr, 1);
	ck_assert_uint_eq(disk_counter(disk, DISK_WRITE).nr, 0);
	disk_withdraw(disk);
	ck_assert_int_eq(result, -ECANCELED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disk_log");
	TCase *tc = tcase_create("a disk that is logged");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup_logged, teardown);
	tcase_add_test(tc, what_changes_the_disk_is_noted);
	tcase_add_test(tc, what_leaves_it_as_it_is_is_not);
	tcase_add_test(tc, write_under_way_is_noted_once_it_is_done);
	tcase_add_test(tc, write_that_fails_is_noted);
	tcase_add_test(tc, refused_write_is_not);
	tcase_add_test(tc, nothing_is_noted_any_more);
	tcase_add_test(tc, disk_keeps_its_size_meanwhile);
	tcase_add_test(tc, no_limit_holds_up_what_is_not_the_guests);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
