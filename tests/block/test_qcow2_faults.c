// SPDX-License-Identifier: Apache-2.0
/*
 * The n-th operation on an image's file fails, for every n: requests may fail, but
 * the image is sound, and holds what succeeded before.
 */
#include "block/image.h"
#include "block/recorder.h"

#include "base/bits.h"
#include "base/err.h"
#include "block/disk_snapshot.h"
#include "block/format.h"
#include "block/qcow2_check.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE		(384 * KiB)
#define FAULTS_MAX	4000

static const struct kind {
	const char *options;
	bool lasting;
} kinds[] = {
	{ "cluster_size=512", false },
	{ "cluster_size=512", true },
	{ "cluster_size=16k,extended_l2=on", false },
	{ "cluster_size=1k,refcount_bits=64", true },
	{ "cluster_size=4k", false },
};

static struct image image;
static uint8_t bytes[SIZE];

static int write_value(uint64_t at, uint8_t value, uint64_t len)
{
	memset(bytes, value, len);
	return image_request(&image, DISK_WRITE, at, bytes, len);
}

/* Copies of shared clusters, new ones, discards, all flushed; how many failed. */
static unsigned work(void)
{
	unsigned nr_failed = 0;

	nr_failed += write_value(10 * KiB, 2, 3 * KiB) < 0;
	nr_failed += write_value(100 * KiB + 512, 3, 40 * KiB) < 0;
	nr_failed += image_request(&image, DISK_FLUSH, 0, NULL, 0) < 0;
	nr_failed += image_request(&image, DISK_DISCARD, 96 * KiB, NULL, 32 * KiB) < 0;
	nr_failed += image_request(&image, DISK_ZERO, 9 * KiB + 512, NULL, 8 * KiB) < 0;
	nr_failed += write_value(200 * KiB, 4, 90 * KiB) < 0;
	nr_failed += image_request(&image, DISK_FLUSH, 0, NULL, 0) < 0;
	nr_failed += write_value(96 * KiB, 5, 512) < 0;
	nr_failed += image_request(&image, DISK_READ, 0, bytes, SIZE) < 0;
	return nr_failed;
}

static void must_be_sound(unsigned nr)
{
	struct qcow2_check check;
	struct err err = { 0 };
	int fd = open(image.path, O_RDONLY);

	if (qcow2_check(&check, fd, image.path, QCOW2_CHECK_FIX_NONE, NULL, &err))
		ck_abort_msg("operation %u: %s", nr, err.text);
	close(fd);
	if (check.nr_corruptions)
		ck_abort_msg("operation %u: %llu corruptions", nr,
			     (unsigned long long)check.nr_corruptions);
}

/* What was there before and was not touched. */
static void must_hold_the_rest(unsigned nr)
{
	ck_assert_int_eq(image_request(&image, DISK_READ, 0, bytes, SIZE), 0);
	for (uint64_t i = 0; i < SIZE; i++)
		if ((i < 9 * KiB || (i >= 320 * KiB && i < 330 * KiB)) && bytes[i] != 1)
			ck_abort_msg("operation %u: %#llx holds %u", nr, (unsigned long long)i,
				     bytes[i]);
}

/* False when the work has fewer operations. */
static bool fails_cleanly(unsigned nr, bool lasting)
{
	struct err err = { 0 };
	bool has_failed;
	unsigned nr_failed;

	image_run(&image, "cp master.qcow2 top.qcow2");
	recorder_watch(image.path);
	image_open(&image);
	recorder_fail(nr, lasting);
	nr_failed = work();
	image.disk = disk_close(image.disk, &err);
	has_failed = recorder_end_fault();
	/* Reads of what nobody asked for, and holes, may fail unnoticed. */
	if (!has_failed && (nr_failed || err.code))
		ck_abort_msg("operation %u: something failed by itself", nr);
	must_be_sound(nr);
	image_open(&image);
	must_hold_the_rest(nr);
	image_close(&image);
	return has_failed;
}

static bool changes_fail_cleanly(unsigned nr, bool lasting)
{
	bool has_failed;
	int r;

	image_run(&image, "cp master.qcow2 top.qcow2");
	recorder_watch(image.path);
	recorder_fail(nr, lasting);
	r = disk_snapshot_change(&image.config, DISK_SNAPSHOT_CREATE, "two", NULL);
	r |= disk_snapshot_change(&image.config, DISK_SNAPSHOT_APPLY, "one", NULL);
	r |= disk_snapshot_change(&image.config, DISK_SNAPSHOT_DELETE, "one", NULL);
	has_failed = recorder_end_fault();
	ck_assert_msg(has_failed == !!r, "operation %u: %s", nr,
		      r ? "something failed by itself" : "nobody was told");
	must_be_sound(nr);
	image_open(&image);
	must_hold_the_rest(nr);
	image_close(&image);
	return has_failed;
}

static void make_master(const char *options)
{
	image_init(&image, "top.qcow2", 1);
	image.size = SIZE;
	image.config.cache_len = 1;
	image_run(&image, "qemu-img create -f qcow2 -o %s master.qcow2 %llu && "
		  "qemu-io -c 'write -P 1 0 20k' -c 'write -P 1 320k 10k' master.qcow2 && "
		  "qemu-img snapshot -c one master.qcow2", options, (unsigned long long)SIZE);
}

START_TEST(each_operation_of_changes_may_fail)
{
	unsigned nr = 0;

	make_master(kinds[_i].options);

	while (nr < FAULTS_MAX && changes_fail_cleanly(nr, kinds[_i].lasting))
		nr++;

	ck_assert_uint_gt(nr, 20);
	ck_assert_uint_lt(nr, FAULTS_MAX);
	image_fini(&image);
}
END_TEST

START_TEST(each_operation_may_fail)
{
	unsigned nr = 0;

	make_master(kinds[_i].options);

	while (nr < FAULTS_MAX && fails_cleanly(nr, kinds[_i].lasting))
		nr++;

	ck_assert_uint_gt(nr, 20);
	ck_assert_uint_lt(nr, FAULTS_MAX);
	printf("%s: up to operation %u\n", kinds[_i].options, nr);
	image_fini(&image);
}
END_TEST

#define NR_PIECES 6

/* Tables are in memory, so each operation moves one of the pieces. */
START_TEST(request_fails_whichever_of_its_pieces_does)
{
	enum disk_op op = _i ? DISK_WRITE : DISK_READ;

	image_init(&image, "top.qcow2", 1);
	image_run(&image, "qemu-img create -f qcow2 -o cluster_size=4k top.qcow2 %llu && "
		  "for at in 20 16 12 8 4 0; do qemu-io -c \"write -P 1 ${at}k 4k\" top.qcow2; "
		  "done", (unsigned long long)SIZE);
	image.size = SIZE;
	recorder_watch(image.path);
	image_open(&image);
	ck_assert_int_eq(image_request(&image, DISK_READ, 0, bytes, 512), 0);

	for (unsigned i = 0; i < NR_PIECES; i++) {
		recorder_fail(i, false);
		ck_assert_int_lt(image_request(&image, op, 0, bytes, NR_PIECES * 4 * KiB), 0);
		ck_assert(recorder_end_fault());
	}
	recorder_fail(NR_PIECES, false);
	ck_assert_int_eq(image_request(&image, op, 0, bytes, NR_PIECES * 4 * KiB), 0);
	ck_assert(!recorder_end_fault());
	image_fini(&image);
}
END_TEST

/* What makes the file grow so that a sync is needed at once. */
static int outgrow_l1(void)
{
	return disk_resize(image.disk, 8 * MiB, NULL);
}

static int outgrow_counts(void)
{
	static uint8_t many[3 * MiB];

	return image_request(&image, DISK_WRITE, 0, many, sizeof(many));
}

static const struct growth {
	int (*grow)(void);
	unsigned nr_syncs;
	const char *options;
	bool direct;		/* failed flushes are not the file's to remember */
} growths[] = {
	{ outgrow_l1, 3, "cluster_size=512", false },
	{ outgrow_counts, 1, "cluster_size=4k,refcount_bits=64", false },
	{ outgrow_counts, 1, "cluster_size=4k,refcount_bits=64", true },
};

/* The kernel tells of what it could not write once, so we must not forget it. */
START_TEST(flush_fails_after_a_sync_for_growth_has_failed)
{
	const struct growth *growth = &growths[_i];

	for (unsigned i = 0; i < growth->nr_syncs; i++) {
		image_init(&image, "top.qcow2", 1);
		image_run(&image, "qemu-img create -f qcow2 -o %s top.qcow2 4M",
			  growth->options);
		image.size = 4 * MiB;
		recorder_watch(image.path);
		image_open(&image);
		image.disk->file.direct = growth->direct;
		ck_assert_int_eq(write_value(0, 1, 4 * KiB), 0);

		recorder_fail_sync(i);
		ck_assert_int_eq(growth->grow(), -EIO);
		ck_assert(recorder_end_fault());
		ck_assert_int_eq(image_request(&image, DISK_FLUSH, 0, NULL, 0), -EIO);
		ck_assert_int_lt(write_value(0, 1, 4 * KiB), 0);
		image.disk = disk_close(image.disk, NULL);
		image_fini(&image);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qcow2 faults");
	TCase *tc = tcase_create("kinds");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, each_operation_may_fail, 0, ARRAY_LEN(kinds));
	tcase_add_loop_test(tc, each_operation_of_changes_may_fail, 0, ARRAY_LEN(kinds));
	tcase_add_loop_test(tc, request_fails_whichever_of_its_pieces_does, 0, 2);
	tcase_add_loop_test(tc, flush_fails_after_a_sync_for_growth_has_failed, 0,
			    ARRAY_LEN(growths));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
