// SPDX-License-Identifier: Apache-2.0
/*
 * test_fault_qcow2.c - each allocation fails in turn while a qcow2 image is used.
 *
 * Whatever fails says so, leaves nothing behind, and leaves an image that is sound
 * and holds what it should.  Requests go on afterwards: one lost buffer is no reason
 * to stop.
 */
#include "faults.h"

#include "base/err.h"
#include "block/disk_create.h"
#include "block/disk_pack.h"
#include "block/disk_snapshot.h"
#include "block/image.h"
#include "block/qcow2_check.h"

#include "base/bits.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR		512
#define SIZE		(384 * KiB)
#define GROWN		(8 * MiB)	/* beyond what the L1 table has room for */
#define SHRUNK		(100 * KiB + SECTOR)
#define FAULTS_MAX	1000

static struct image image;
static uint8_t master[4 * MiB], bytes[SIZE];
static size_t master_len;

/* What each sector holds, or may hold instead since a request failed. */
static uint8_t sure[SIZE / SECTOR], other[SIZE / SECTOR];
static unsigned nr_failed;
static uint64_t size;

/* Found while allocations fail, when an assertion could not be told of. */
static const char *wrong;

static bool failed(int r, const struct err *err)
{
	nr_failed += r < 0;
	if (r < 0 && err && !err->text[0])
		wrong = "a failure has no reason";
	return r < 0;
}

/* Requests. */

static int result;

static void request_done(struct disk_request *request, int res)
{
	(void)request;
	result = res;
	loop_quit(image.loop);
}

static int request(enum disk_op op, uint64_t at, uint64_t len)
{
	struct iovec seg = { bytes, len };
	bool moves = op == DISK_READ || op == DISK_WRITE;
	struct disk_request request = {
		.op = op, .at = at, .len = len, .segs = moves ? &seg : NULL, .nr_segs = moves,
		.done = request_done,
	};

	disk_submit(image.disk, &request);
	if (loop_run(image.loop))
		wrong = "the loop has failed";
	return result;
}

static void store(enum disk_op op, uint64_t at, uint8_t value, uint64_t len)
{
	int r;

	memset(bytes, value, len);
	r = request(op, at, len);
	for (uint64_t i = at / SECTOR; i < (at + len) / SECTOR; i++) {
		other[i] = r < 0 ? value : 0xff;
		sure[i] = r < 0 ? sure[i] : value;
	}
	failed(r, NULL);
}

static void use(void)
{
	struct err err = { 0 };

	store(DISK_WRITE, 10 * KiB, 2, 3 * KiB);
	store(DISK_WRITE, 100 * KiB + SECTOR, 3, 40 * KiB);
	failed(request(DISK_FLUSH, 0, 0), NULL);
	store(DISK_ZERO, 96 * KiB, 0, 32 * KiB);
	store(DISK_WRITE, 200 * KiB, 4, 90 * KiB);
	if (!failed(disk_resize(image.disk, GROWN, &err), &err))
		size = GROWN;
	store(DISK_WRITE, 95 * KiB + SECTOR, 5, SECTOR);
	failed(request(DISK_READ, 0, SIZE), NULL);
	failed(request(DISK_FLUSH, 0, 0), NULL);
}

/* Cases. */

static void case_requests(void)
{
	struct err err = { 0 };

	if (failed(disk_open(&image.disk, &image.config, image.loop, &err), &err))
		return;
	use();
	image.disk = disk_close(image.disk, &err);
	if (err.code)
		wrong = err.code == -ENOMEM ? "closing needs memory" : "closing has failed";
}

static bool change(enum disk_snapshot_change what, const char *name)
{
	struct err err = { 0 };

	return !failed(disk_snapshot_change(&image.config, what, name, &err), &err);
}

static void count_one(void *ctx, const struct disk_snapshot *snapshot)
{
	(void)snapshot;
	++*(unsigned *)ctx;
}

static void case_snapshots(void)
{
	unsigned nr_expected = 1, nr = 0;
	struct err err = { 0 };

	nr_expected += change(DISK_SNAPSHOT_CREATE, "two");
	if (change(DISK_SNAPSHOT_APPLY, "one"))
		memset(sure, 1, 20 * KiB / SECTOR);
	nr_expected -= change(DISK_SNAPSHOT_DELETE, "one");
	if (!failed(disk_snapshot_list(&image.config, count_one, &nr, &err), &err) &&
	    nr != nr_expected)
		wrong = "a snapshot has come or gone";
}

static void case_shrink(void)
{
	struct err err = { 0 };

	if (failed(disk_open(&image.disk, &image.config, image.loop, &err), &err))
		return;
	if (!failed(disk_create_resize(image.disk, SHRUNK, &err), &err))
		size = SHRUNK;
	image.disk = disk_close(image.disk, NULL);
}

/* What fails once sleeps on, and wakes when it is told again. */
static void case_sleep(void)
{
	struct disk_config look = image.config;
	struct err err = { 0 };

	look.asleep = true;
	if (failed(disk_open(&image.disk, &look, image.loop, &err), &err))
		return;
	if (failed(disk_wake(image.disk, &err), &err) && disk_wake(image.disk, NULL))
		wrong = "it does not wake";
	store(DISK_WRITE, 10 * KiB, 2, 3 * KiB);
	if (!failed(disk_sleep(image.disk, &err), &err) &&
	    failed(disk_wake(image.disk, &err), &err) && disk_wake(image.disk, NULL))
		wrong = "it does not wake again";
	store(DISK_WRITE, 100 * KiB + SECTOR, 3, 40 * KiB);
	image.disk = disk_close(image.disk, NULL);
}

static void (*const cases[])(void) = {
	case_requests, case_snapshots, case_shrink, case_sleep,
};

static const char *const kinds[] = {
	"cluster_size=512", "cluster_size=16k,extended_l2=on", "cluster_size=4k",
};

/* What is left. */

static void must_be_sound(unsigned nr)
{
	struct qcow2_check check;
	struct err err = { 0 };
	int fd = open(image.path, O_RDONLY);

	if (qcow2_check(&check, fd, image.path, QCOW2_CHECK_FIX_NONE, NULL, &err))
		ck_abort_msg("allocation %u: %s", nr, err.text);
	close(fd);
	if (check.nr_corruptions)
		ck_abort_msg("allocation %u: %llu corruptions", nr,
			     (unsigned long long)check.nr_corruptions);
}

static void must_hold_all(unsigned nr)
{
	uint64_t end = min_u64(size, SIZE);

	image.size = size;
	image_open(&image);
	ck_assert_int_eq(image_request(&image, DISK_READ, 0, bytes, end), 0);
	image_close(&image);
	for (uint64_t i = 0; i < end; i++)
		if (bytes[i] != sure[i / SECTOR] && bytes[i] != other[i / SECTOR])
			ck_abort_msg("allocation %u: %#llx holds %u", nr, (unsigned long long)i,
				     bytes[i]);
}

/* As it was made: 20 KiB that a snapshot has, too, half of it written since. */
static void restore(void)
{
	int fd = open(image.path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	ck_assert_int_eq(write(fd, master, master_len), master_len);
	close(fd);
	memset(sure, 0, sizeof(sure));
	memset(sure, 1, 20 * KiB / SECTOR);
	memset(sure + 4 * KiB / SECTOR, 7, 10 * KiB / SECTOR);
	memset(other, 0xff, sizeof(other));
	size = SIZE;
	nr_failed = 0;
}

static void make_master(const char *options)
{
	int fd;

	image_init(&image, "top.qcow2", 1);
	image.config.cache_len = 1;
	image_run(&image, "qemu-img create -f qcow2 -o %s top.qcow2 %llu && "
		  "qemu-io -c 'write -P 1 0 20k' top.qcow2 && "
		  "qemu-img snapshot -c one top.qcow2 && "
		  "qemu-io -c 'write -P 7 4k 10k' top.qcow2", options,
		  (unsigned long long)SIZE);
	fd = open(image.path, O_RDONLY);
	master_len = (size_t)read(fd, master, sizeof(master));
	close(fd);
}

START_TEST(each_allocation_may_fail)
{
	void (*run)(void) = cases[_i / (int)ARRAY_LEN(kinds)];
	unsigned nr = 0;
	bool has_failed = true;

	make_master(kinds[_i % (int)ARRAY_LEN(kinds)]);
	for (; has_failed && nr < FAULTS_MAX; nr++) {
		restore();
		faults_arm(nr);
		run();
		has_failed = faults_disarm();
		ck_assert_msg(!wrong, "allocation %u: %s", nr, wrong);
		ck_assert(has_failed || !nr_failed);
		must_be_sound(nr);
		must_hold_all(nr);
	}

	ck_assert_uint_gt(nr, 10);
	ck_assert_uint_lt(nr, FAULTS_MAX);
	printf("%s: %u allocations\n", kinds[_i % (int)ARRAY_LEN(kinds)], nr - 1);
	image_fini(&image);
}
END_TEST

/* Compressing. */

static bool write_units(struct disk_pack *pack)
{
	struct disk_packer *packer = disk_packer_new(pack);
	uint64_t unit = disk_pack_unit(pack);
	int r = packer ? 0 : -ENOMEM;

	for (uint64_t at = 0; at < SIZE && !r; at += unit)
		r = disk_packer_write(packer, at, bytes + at);
	disk_packer_free(packer);
	return !failed(r, NULL);
}

static void pack_all(enum disk_compression method)
{
	const struct disk_create create = {
		.size = SIZE, .cluster_size = 4 * KiB, .compression = method,
	};
	int fd = open(image.path, O_CREAT | O_TRUNC | O_RDWR, 0644);
	struct disk_pack *pack = NULL;
	const char *format;
	struct err err = { 0 };

	if (!failed(disk_create(fd, image.path, &create, &format, &err), &err) &&
	    !failed(disk_pack_open(&pack, image.path, &err), &err) && write_units(pack))
		failed(disk_pack_finish(pack, &err), &err);
	disk_pack_close(pack);
	close(fd);
}

START_TEST(each_allocation_of_a_packer_may_fail)
{
	static uint8_t packed[SIZE];
	unsigned nr = 0;
	bool has_failed = true;

	image_init(&image, "packed.qcow2", 1);
	for (; has_failed && nr < FAULTS_MAX; nr++) {
		/* Half of it cannot become smaller. */
		for (uint64_t i = 0; i < SIZE / 2; i++)
			bytes[i] = (uint8_t)image_random(&image, 256);
		memset(bytes + SIZE / 2, 3, SIZE / 2);
		nr_failed = 0;
		faults_arm(nr);
		pack_all((enum disk_compression)_i);
		has_failed = faults_disarm();
		ck_assert_msg(!wrong, "allocation %u: %s", nr, wrong);
		/* What zstd itself lacks memory for is stored as it is. */
		ck_assert_uint_le(nr_failed, has_failed);
	}

	ck_assert_uint_gt(nr, 10);
	ck_assert_uint_lt(nr, FAULTS_MAX);
	must_be_sound(nr);
	image.size = SIZE;
	image_open(&image);
	ck_assert_int_eq(image_request(&image, DISK_READ, 0, packed, SIZE), 0);
	image_close(&image);
	ck_assert_mem_eq(packed, bytes, SIZE);
	printf("compression %d: %u allocations\n", _i, nr - 1);
	image_fini(&image);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("allocations of qcow2");
	TCase *tc = tcase_create("kinds");
	SRunner *sr;
	int failed_tests;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, each_allocation_may_fail, 0,
			    (int)(ARRAY_LEN(cases) * ARRAY_LEN(kinds)));
	tcase_add_loop_test(tc, each_allocation_of_a_packer_may_fail, DISK_COMPRESSION_ZLIB,
			    DISK_COMPRESSION_ZSTD + 1);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed_tests = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed_tests ? EXIT_FAILURE : EXIT_SUCCESS;
}
