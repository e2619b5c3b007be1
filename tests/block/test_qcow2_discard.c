// SPDX-License-Identifier: Apache-2.0
/* What was discarded goes back to the host, and nobody waits long for that. */
#include "block/image.h"
#include "block/recorder.h"

#include "base/bits.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
