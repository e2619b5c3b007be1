// SPDX-License-Identifier: Apache-2.0
/* The requests of disk.h; what opens and closes is tested by test_disk_open.c. */
#include "disk_fixture.h"

#include "base/bits.h"
#include "lost_memory_fixture.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

static int nr_pending;

static void request_done(struct disk_request *request, int res)
{
	request->at = (uint64_t)(int64_t)res;	/* not the disk's any more */
	if (!--nr_pending)
		loop_quit(loop);
}

static int submit_and_wait(struct disk_request *request)
{
	nr_pending = 1;
	request->done = request_done;
	disk_submit(disk, request);
	ck_assert_int_eq(loop_run(loop), 0);
	return (int)(int64_t)request->at;
}

static int transfer(enum disk_op op, uint64_t at, void *bytes, size_t len, bool durable)
{
	struct iovec seg = { bytes, len };
	struct disk_request request = {
		.op = op, .at = at, .segs = &seg, .nr_segs = 1, .len = len,
		.durable = durable,
	};

	return submit_and_wait(&request);
}

static int flush(void)
{
	struct disk_request request = { .op = DISK_FLUSH };

	return submit_and_wait(&request);
}

START_TEST(written_bytes_are_in_the_file)
{
	char out[1024], in[1024];

	memset(out, 0x5a, sizeof(out));
	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(transfer(DISK_WRITE, 512, out, sizeof(out), false), 0);
	ck_assert_int_eq(flush(), 0);

	read_file("a.img", 512, in, sizeof(in));
	ck_assert_mem_eq(in, out, sizeof(in));
}
END_TEST

/* To keep it would cost each read something, and nobody asks. */
START_TEST(reads_leave_the_time_of_access_as_it_is)
{
	const struct timespec long_ago[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct stat st;
	char in[512];

	ck_assert_int_eq(utimensat(AT_FDCWD, in_folder("a.img"), long_ago, 0), 0);
	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(transfer(DISK_READ, 0, in, sizeof(in), false), 0);

	ck_assert_int_eq(stat(in_folder("a.img"), &st), 0);
	ck_assert_int_eq(st.st_atime, 1000);
}
END_TEST

START_TEST(durable_write_is_in_the_file)
{
	char out[512], in[512];

	memset(out, 0x5a, sizeof(out));
	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(transfer(DISK_WRITE, SIZE - 512, out, sizeof(out), true), 0);

	read_file("a.img", SIZE - 512, in, sizeof(in));
	ck_assert_mem_eq(in, out, sizeof(in));
}
END_TEST

/* Neither needs memory. */
static int change_space(enum disk_op op, bool unmap, uint64_t at, uint64_t len)
{
	struct disk_request request = { .op = op, .unmap = unmap, .at = at, .len = len };

	return submit_and_wait(&request);
}

static void fill_disk(void)
{
	static uint8_t bytes[SIZE];

	memset(bytes, 0x5a, sizeof(bytes));
	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(transfer(DISK_WRITE, 0, bytes, sizeof(bytes), true), 0);
}

START_TEST(discarded_space_is_the_host_s_again)
{
	uint8_t in[2];

	fill_disk();
	ck_assert_uint_gt(disk_discard_unit(disk), 0);
	ck_assert_uint_eq(disk_allocated(disk), SIZE);

	ck_assert_int_eq(change_space(DISK_DISCARD, false, SIZE / 2, SIZE / 2), 0);

	ck_assert_uint_eq(disk_allocated(disk), SIZE / 2);
	read_file("a.img", SIZE / 2 - 1, in, 2);
	ck_assert_uint_eq(in[0], 0x5a);
	ck_assert_uint_eq(in[1], 0);
}
END_TEST

START_TEST(zeroed_space_goes_only_if_it_may)
{
	uint8_t in[2];

	fill_disk();
	ck_assert_int_eq(change_space(DISK_ZERO, false, 0, SIZE / 2), 0);
	ck_assert_uint_eq(disk_allocated(disk), SIZE);
	ck_assert_int_eq(change_space(DISK_ZERO, true, 0, SIZE / 2), 0);
	ck_assert_uint_eq(disk_allocated(disk), SIZE / 2);

	read_file("a.img", SIZE / 2 - 1, in, 2);
	ck_assert_uint_eq(in[0], 0);
	ck_assert_uint_eq(in[1], 0x5a);
}
END_TEST

START_TEST(space_is_changed_within_the_disk_in_whole_blocks_only)
{
	fill_disk();

	ck_assert_int_eq(change_space(DISK_DISCARD, false, SIZE, 512), -EINVAL);
	ck_assert_int_eq(change_space(DISK_DISCARD, false, 0, 511), -EINVAL);
	ck_assert_int_eq(change_space(DISK_ZERO, false, SIZE - 512, 1024), -EINVAL);
	ck_assert_int_eq(change_space(DISK_ZERO, false, 1, 512), -EINVAL);
	ck_assert_int_eq(change_space(DISK_ZERO, false, SIZE, 0), 0);
}
END_TEST

START_TEST(request_beyond_the_end_fails_and_changes_nothing)
{
	char bytes[1024] = { 1 };
	struct stat st;

	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(transfer(DISK_WRITE, SIZE, bytes, 512, false), -EINVAL);
	ck_assert_int_eq(transfer(DISK_WRITE, SIZE - 512, bytes, 1024, false), -EINVAL);
	ck_assert_int_eq(transfer(DISK_READ, UINT64_MAX - 511, bytes, 512, false), -EINVAL);
	ck_assert_int_eq(transfer(DISK_READ, UINT64_MAX - 511, bytes, 1024, false), -EINVAL);

	ck_assert_int_eq(stat(in_folder("a.img"), &st), 0);
	ck_assert_int_eq(st.st_size, SIZE);
	read_file("a.img", SIZE - 512, bytes, 512);
	ck_assert_int_eq(bytes[0], 0);
}
END_TEST

START_TEST(request_for_parts_of_blocks_is_refused)
{
	char bytes[1024];

	ck_assert_int_eq(open_disk(config("a.img")), 0);

	ck_assert_int_eq(transfer(DISK_READ, 1, bytes, 512, false), -EINVAL);
	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 513, false), -EINVAL);
}
END_TEST

START_TEST(refused_request_ends_later_not_from_within)
{
	struct disk_request request = {
		.op = DISK_READ, .at = SIZE, .len = 512, .done = request_done,
	};

	ck_assert_int_eq(open_disk(config("a.img")), 0);
	nr_pending = 1;
	disk_submit(disk, &request);
	ck_assert_int_eq(nr_pending, 1);
	ck_assert_int_eq(loop_run(loop), 0);

	ck_assert_int_eq(nr_pending, 0);
}
END_TEST

START_TEST(request_for_nothing_succeeds)
{
	ck_assert_int_eq(open_disk(config("a.img")), 0);

	ck_assert_int_eq(transfer(DISK_READ, 0, NULL, 0, false), 0);
	ck_assert_int_eq(transfer(DISK_WRITE, SIZE, NULL, 0, true), 0);
}
END_TEST

START_TEST(read_only_disk_is_read_and_flushed_but_not_written)
{
	struct disk_config c = config("a.img");
	char bytes[512] = { 1 }, in[512];

	c.read_only = true;
	ck_assert_int_eq(open_disk(c), 0);

	ck_assert_int_eq(transfer(DISK_WRITE, 0, bytes, sizeof(bytes), false), -EROFS);
	ck_assert_int_eq(change_space(DISK_DISCARD, false, 0, 512), -EROFS);
	ck_assert_int_eq(change_space(DISK_ZERO, false, 0, 512), -EROFS);
	ck_assert_int_eq(transfer(DISK_READ, 0, in, sizeof(in), false), 0);
	ck_assert_int_eq(in[0], 0);
	ck_assert_int_eq(flush(), 0);
}
END_TEST

START_TEST(file_that_is_cut_behind_our_back_is_an_error)
{
	char bytes[4096];

	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(truncate(in_folder("a.img"), 1024), 0);

	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 4096, false), -EIO);
	ck_assert_int_eq(transfer(DISK_READ, 4096, bytes, 4096, false), -EIO);
	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 1024, false), 0);
}
END_TEST

START_TEST(write_that_the_host_refuses_reports_why)
{
	const struct rlimit limit = { 4096, 4096 };
	char bytes[4096] = { 0 };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(open_disk(config("a.img")), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);

	ck_assert_int_eq(transfer(DISK_WRITE, 4096, bytes, sizeof(bytes), false), -EFBIG);
}
END_TEST

/* Against an array that every write is also made to. */

#define NR_STEPS	1500
#define LEN_MAX		(16 * 512)
#define SLACK		64

static uint8_t model[SIZE];
static unsigned random_state;

static unsigned any_below(unsigned limit)
{
	return (unsigned)rand_r(&random_state) % limit;
}

/* Cut buf into segments of any length, empty ones too; returns how many. */
static unsigned cut(uint8_t *buf, size_t len, struct iovec segs[8])
{
	unsigned nr = 0;

	while (nr < 7) {
		size_t part = any_below((unsigned)len + 1);

		segs[nr++] = (struct iovec){ buf, part };
		buf += part;
		len -= part;
	}
	segs[nr++] = (struct iovec){ buf, len };
	return nr;
}

/* One of DISK_READ to DISK_ZERO in eighths, mostly reads and writes. */
static const enum disk_op ops[8] = {
	DISK_READ, DISK_READ, DISK_READ, DISK_WRITE, DISK_WRITE, DISK_WRITE,
	DISK_ZERO, DISK_DISCARD,
};

static void random_step(void)
{
	static uint8_t buf[LEN_MAX + SLACK];
	struct iovec segs[8];
	uint8_t *bytes = buf + any_below(SLACK);
	size_t block = disk_block_size(disk);
	size_t len = block * (1 + any_below((unsigned)(LEN_MAX / block)));
	uint64_t at = block * any_below((unsigned)((SIZE - len) / block + 1));
	struct disk_request request = {
		.op = ops[any_below(8)], .unmap = any_below(2),
		.durable = !any_below(8), .at = at, .len = len, .segs = segs,
	};

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)any_below(256);
	if (request.op == DISK_WRITE)
		memcpy(model + at, bytes, len);
	else if (request.op != DISK_READ)
		memset(model + at, 0, len);
	request.nr_segs = cut(bytes, len, segs);

	ck_assert_int_eq(submit_and_wait(&request), 0);
	if (request.op == DISK_READ)
		ck_assert_mem_eq(bytes, model + at, len);
}

static void follow_model(bool direct)
{
	struct disk_config c = config("a.img");
	static uint8_t in[SIZE];

	c.cache = direct ? DISK_DIRECT : DISK_WRITEBACK;
	random_state = 1;
	memset(model, 0, sizeof(model));
	ck_assert_int_eq(open_disk(c), 0);
	for (int i = 0; i < NR_STEPS; i++)
		random_step();
	ck_assert_int_eq(flush(), 0);

	read_file("a.img", 0, in, sizeof(in));
	ck_assert_mem_eq(in, model, sizeof(in));
}

START_TEST(random_requests_do_what_an_array_would)
{
	follow_model(false);
}
END_TEST

START_TEST(random_direct_requests_do_what_an_array_would)
{
	follow_model(true);
}
END_TEST

#define NR_MANY	256
static struct disk_request many[NR_MANY];
static struct iovec many_segs[NR_MANY];
static uint8_t many_blocks[NR_MANY][1024];

START_TEST(many_requests_may_be_in_flight)
{
	uint8_t in[1024];

	ck_assert_int_eq(open_disk(config("a.img")), 0);
	nr_pending = NR_MANY;
	for (int i = 0; i < NR_MANY; i++) {
		memset(many_blocks[i], i, 1024);
		many_segs[i] = (struct iovec){ many_blocks[i], 1024 };
		many[i] = (struct disk_request){
			.op = DISK_WRITE, .at = (uint64_t)i * 1024, .len = 1024,
			.segs = &many_segs[i], .nr_segs = 1, .done = request_done,
		};
		disk_submit(disk, &many[i]);
	}
	ck_assert_int_eq(loop_run(loop), 0);

	for (int i = 0; i < NR_MANY; i++) {
		ck_assert_int_eq((int)many[i].at, 0);
		read_file("a.img", (off_t)i * 1024, in, 1024);
		ck_assert_mem_eq(in, many_blocks[i], 1024);
	}
}
END_TEST

/* Direct I/O. */

START_TEST(memory_that_is_lost_is_not_written_through_a_buffer)
{
	struct disk_config c = config("a.img");
	uint8_t *lost = lose_memory(8192);
	uint8_t old[4096], in[4096];

	memset(old, 'o', sizeof(old));
	write_file("a.img", 0, old, sizeof(old));
	c.cache = DISK_DIRECT;
	ck_assert_int_eq(open_disk(c), 0);

	ck_assert_int_eq(transfer(DISK_WRITE, 0, lost + 1, sizeof(old), false), -EFAULT);

	read_file("a.img", 0, in, sizeof(in));
	ck_assert_mem_eq(in, old, sizeof(in));
}
END_TEST

START_TEST(direct_disk_tells_its_block_size)
{
	struct disk_config c = config("a.img");

	c.cache = DISK_DIRECT;
	ck_assert_int_eq(open_disk(c), 0);

	ck_assert_uint_ge(disk_block_size(disk), 512);
	ck_assert_uint_eq(SIZE % disk_block_size(disk), 0);
}
END_TEST

START_TEST(file_system_without_direct_io_is_refused)
{
	/* A file of 4096 bytes, for reading; sysfs has no page cache to bypass. */
	struct disk_config c = {
		.id = "root", .path = "/sys/kernel/uevent_seqnum",
		.read_only = true, .cache = DISK_DIRECT,
	};

	refuses(c, -EINVAL, "cannot be used with direct");
}
END_TEST

static TCase *request_tests(void)
{
	TCase *tc = tcase_create("requests");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, written_bytes_are_in_the_file);
	tcase_add_test(tc, reads_leave_the_time_of_access_as_it_is);
	tcase_add_test(tc, durable_write_is_in_the_file);
	tcase_add_test(tc, discarded_space_is_the_host_s_again);
	tcase_add_test(tc, zeroed_space_goes_only_if_it_may);
	tcase_add_test(tc, space_is_changed_within_the_disk_in_whole_blocks_only);
	tcase_add_test(tc, request_beyond_the_end_fails_and_changes_nothing);
	tcase_add_test(tc, request_for_parts_of_blocks_is_refused);
	tcase_add_test(tc, refused_request_ends_later_not_from_within);
	tcase_add_test(tc, request_for_nothing_succeeds);
	tcase_add_test(tc, read_only_disk_is_read_and_flushed_but_not_written);
	tcase_add_test(tc, file_that_is_cut_behind_our_back_is_an_error);
	tcase_add_test(tc, write_that_the_host_refuses_reports_why);
	tcase_add_test(tc, random_requests_do_what_an_array_would);
	tcase_add_test(tc, random_direct_requests_do_what_an_array_would);
	tcase_add_test(tc, many_requests_may_be_in_flight);
	tcase_add_test(tc, memory_that_is_lost_is_not_written_through_a_buffer);
	tcase_add_test(tc, direct_disk_tells_its_block_size);
	tcase_add_test(tc, file_system_without_direct_io_is_refused);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("disk");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, request_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
