// SPDX-License-Identifier: Apache-2.0
/* What was discarded goes back to the host, and nobody waits long for that. */
#include "block/image.h"
#include "block/recorder.h"

#include "base/bits.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CLUSTER		(4 * KiB)
#define NR		1024
#define HOLES_MAX	128	/* that a flush waits for */

static struct image image;
static uint8_t bytes[CLUSTER];

/* Clusters are written in any order, each with its number. */
static void make_shuffled(void)
{
	unsigned order[NR];

	image_init(&image, "top.qcow2", 1);
	image_run(&image, "qemu-img create -f qcow2 -o cluster_size=4k top.qcow2 %u",
		  (unsigned)(NR * CLUSTER));
	image.size = NR * CLUSTER;
	image_open(&image);
	for (unsigned i = 0; i < NR; i++) {
		unsigned to = (unsigned)image_random(&image, i + 1);

		order[i] = order[to];
		order[to] = i;
	}
	for (unsigned i = 0; i < NR; i++) {
		memset(bytes, 1 + (int)order[i] % 255, CLUSTER);
		ck_assert_int_eq(image_request(&image, DISK_WRITE, order[i] * CLUSTER, bytes,
					       CLUSTER), 0);
	}
	ck_assert_int_eq(image_request(&image, DISK_FLUSH, 0, NULL, 0), 0);
}

static unsigned holes_of_flush(void)
{
	unsigned before = recorder_holes();

	ck_assert_int_eq(image_request(&image, DISK_FLUSH, 0, NULL, 0), 0);
	return recorder_holes() - before;
}

static void discard_every_other(void)
{
	for (unsigned i = 0; i < NR; i += 2)
		ck_assert_int_eq(image_request(&image, DISK_DISCARD, i * CLUSTER, NULL,
					       CLUSTER), 0);
}

static void every_other_is_left(void)
{
	for (unsigned i = 0; i < NR; i++) {
		ck_assert_int_eq(image_request(&image, DISK_READ, i * CLUSTER, bytes, CLUSTER),
				 0);
		ck_assert_uint_eq(bytes[7], i % 2 ? 1 + i % 255 : 0);
	}
}

START_TEST(clusters_that_lie_together_become_one_hole)
{
	make_shuffled();

	ck_assert_int_eq(image_request(&image, DISK_DISCARD, 0, NULL, image.size), 0);

	ck_assert_uint_le(holes_of_flush(), 4);
	ck_assert_uint_lt(disk_allocated(image.disk), 64 * KiB);
	image_close(&image);
	image_check_own(&image);
	image_fini(&image);
}
END_TEST

/* Half of them are followed by one that stays: about 256 holes. */
START_TEST(flush_waits_for_so_many_holes_and_later_ones_make_the_rest)
{
	unsigned nr_flushes = 1;

	make_shuffled();
	discard_every_other();

	ck_assert_uint_eq(holes_of_flush(), HOLES_MAX);
	while (nr_flushes < 4 && holes_of_flush())
		nr_flushes++;
	ck_assert_uint_lt(nr_flushes, 4);
	ck_assert_uint_lt(disk_allocated(image.disk), NR / 2 * CLUSTER + 64 * KiB);
	every_other_is_left();
	image_close(&image);
	image_check_own(&image);
	image_fini(&image);
}
END_TEST

START_TEST(closing_gives_back_what_no_flush_has)
{
	make_shuffled();
	ck_assert_int_eq(image_request(&image, DISK_DISCARD, 0, NULL, image.size), 0);

	image_close(&image);

	image_check_own(&image);
	image.config.read_only = true;
	image_open(&image);
	ck_assert_uint_lt(disk_allocated(image.disk), 64 * KiB);
	image_fini(&image);
}
END_TEST

#define BIG		(2 * MiB)
#define NR_BIG		32

/* A sector of each cluster is written: the others are holes. */
static void write_and_discard(void)
{
	for (unsigned i = 0; i < NR_BIG; i++)
		ck_assert_int_eq(image_request(&image, DISK_WRITE, i * BIG, bytes, 512), 0);
	ck_assert_int_eq(image_request(&image, DISK_DISCARD, 0, NULL, image.size), 0);
}

static void make_big(enum disk_cache cache)
{
	image_init(&image, "top.qcow2", 1);
	image_run(&image, "qemu-img create -f qcow2 -o cluster_size=2M top.qcow2 64M");
	image.size = NR_BIG * BIG;
	image.config.cache = cache;
	image_open(&image);
}

static uint64_t len_of_file(void)
{
	struct stat st;

	ck_assert_int_eq(stat(image.path, &st), 0);
	return (uint64_t)st.st_size;
}

START_TEST(image_whose_guest_never_flushes_does_not_grow_on_and_on)
{
	make_big(_i ? DISK_UNSAFE : DISK_WRITEBACK);

	for (unsigned i = 0; i < 12; i++)
		write_and_discard();

	ck_assert_uint_lt(len_of_file(), 3 * image.size);
	image_close(&image);
	image_check_own(&image);
	ck_assert_uint_lt(len_of_file(), 3 * image.size);
	image_fini(&image);
}
END_TEST

/*
 * A guest that discards as much as it writes, all at once and never two clusters that lie
 * together: each is a hole of its own, more of them than a write-back makes.
 */
#define NR_AREA		128
#define NR_AREAS	3
#define NR_ROUNDS	40
#define LONG		(64 * KiB)
#define WAITING_MAX	(64 * MiB)	/* before a write waits, too */

static uint8_t long_bytes[LONG];
static unsigned nr_under_way;

static void one_done(struct disk_request *request, int res)
{
	(void)request;
	ck_assert_int_eq(res, 0);
	if (!--nr_under_way)
		loop_quit(image.loop);
}

/* Cluster i of the even or odd half of an area. */
static void submit_one(struct disk_request *request, enum disk_op op, unsigned area, bool odd,
		       unsigned i)
{
	static const struct iovec seg = { long_bytes, LONG };

	*request = (struct disk_request){
		.op = op, .at = ((2 * (area % NR_AREAS) + odd) * NR_AREA + i) * LONG,
		.len = LONG, .segs = &seg, .nr_segs = op == DISK_WRITE, .done = one_done,
	};
	nr_under_way++;
	disk_submit(image.disk, request);
}

static void write_beside_discards(unsigned round)
{
	static struct disk_request requests[4 * NR_AREA];
	struct disk_request *next = requests;

	for (unsigned i = 0; i < NR_AREA; i++) {
		submit_one(next++, DISK_WRITE, round, false, i);
		submit_one(next++, DISK_WRITE, round, true, i);
	}
	for (unsigned i = 0; i < NR_AREA; i++) {
		submit_one(next++, DISK_DISCARD, round + NR_AREAS - 1, false, i);
		submit_one(next++, DISK_DISCARD, round + NR_AREAS - 2, true, i);
	}
	ck_assert_int_eq(loop_run(image.loop), 0);
}

START_TEST(image_does_not_grow_on_and_on_beside_as_many_discards)
{
	image_init(&image, "top.qcow2", 1);
	image.size = 2 * NR_AREAS * NR_AREA * LONG;
	image_run(&image, "qemu-img create -f qcow2 top.qcow2 %llu",
		  (unsigned long long)image.size);
	image_open(&image);

	for (unsigned i = 0; i < NR_ROUNDS; i++)
		write_beside_discards(i);

	ck_assert_uint_lt(len_of_file(), 2 * image.size + WAITING_MAX);
	image_close(&image);
	image_check_own(&image);
	image_fini(&image);
}
END_TEST

START_TEST(write_without_space_waits_for_what_was_discarded)
{
	make_big(DISK_WRITEBACK);
	write_and_discard();
	recorder_watch(image.path);

	recorder_fail_space();
	ck_assert_int_eq(image_request(&image, DISK_WRITE, 0, bytes, 512), 0);
	ck_assert(recorder_end_fault());
	recorder_fail_space();
	ck_assert_int_eq(image_request(&image, DISK_WRITE, 4 * BIG, bytes, 512), -ENOSPC);
	ck_assert(recorder_end_fault());
	image_close(&image);
	image_check_own(&image);
	image_fini(&image);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qcow2 discard");
	TCase *tc = tcase_create("clusters");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, clusters_that_lie_together_become_one_hole);
	tcase_add_test(tc, flush_waits_for_so_many_holes_and_later_ones_make_the_rest);
	tcase_add_test(tc, closing_gives_back_what_no_flush_has);
	tcase_add_loop_test(tc, image_whose_guest_never_flushes_does_not_grow_on_and_on, 0, 2);
	tcase_add_test(tc, image_does_not_grow_on_and_on_beside_as_many_discards);
	tcase_add_test(tc, write_without_space_waits_for_what_was_discarded);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
