// SPDX-License-Identifier: Apache-2.0
/* The part of qcow2.h about images that are small and claim much. */
#include "block/qcow2.h"

#include "qcow2_fixture.h"

#include "block/qcow2_check.h"

/* As far as the file is concerned it can be: what is kept of it in memory cannot. */
static const struct {
	unsigned at, width;		/* in the extension */
	uint64_t value;
} bad_bitmaps[] = {
	{ 8, 4, 65536 },
	{ 16, 8, 64 * MiB + 512 },
	{ 16, 8, 1 * GiB },
};

START_TEST(more_bitmaps_than_can_be_are_refused)
{
	uint64_t extension = QCOW2_HEADER_LEN_COMPRESSION;

	make_qcow2("a.qcow2", "");
	run("truncate -s 2G a.qcow2");
	patch("a.qcow2", extension, QCOW2_EXT_BITMAPS, 4);
	patch("a.qcow2", extension + 4, 24, 4);
	patch("a.qcow2", extension + 8, 1, 4);
	patch("a.qcow2", extension + 16, 512, 8);
	patch("a.qcow2", extension + 24, 1 * GiB, 8);
	patch("a.qcow2", extension + 32, QCOW2_EXT_END, 8);
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	disk = disk_close(disk, NULL);

	patch("a.qcow2", extension + bad_bitmaps[_i].at, bad_bitmaps[_i].value,
	      bad_bitmaps[_i].width);

	refuses(config("a.qcow2"), -EINVAL, "more than 65535 bitmaps, or 64 MiB");
}
END_TEST

/* Entry after entry of its head only; each has an L1 table of 32 MiB, all of it a hole. */
START_TEST(snapshots_that_take_too_much_memory_are_refused)
{
	unsigned nr = 1 * GiB / (32 * MiB);

	make_qcow2("a.qcow2", "");
	run("truncate -s 3G a.qcow2");
	for (unsigned i = 0; i <= nr; i++) {
		off_t at = 1 * GiB + i * QCOW2_SNAP_HEAD_LEN;

		patch("a.qcow2", at, 1 * GiB + (i + 1) * 32 * MiB, 8);
		patch("a.qcow2", at + QCOW2_SNAP_L1_SIZE, QCOW2_L1_MAX, 4);
	}
	patch("a.qcow2", QCOW2_AT_SNAPSHOTS_AT, 1 * GiB, 8);
	patch("a.qcow2", QCOW2_AT_NR_SNAPSHOTS, nr, 4);
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	disk = disk_close(disk, NULL);

	patch("a.qcow2", QCOW2_AT_NR_SNAPSHOTS, nr + 1, 4);

	refuses(config("a.qcow2"), -EFBIG, "more than 1 GiB");
}
END_TEST

/*
 * Tables that name one table over and over.  Who followed it each time would look at some
 * 10^12 entries, and whoever opens an image that was not closed waits for that.
 */
#define TABLE_AT	(256 * MiB)
#define SNAPSHOT_AT	(512 * MiB)
#define BITMAPS_AT	(512 * MiB)
#define NR_BITMAPS	50000

static void fill_table(uint64_t entry, uint64_t nr)
{
	uint8_t *table = malloc(nr * 8);

	for (uint64_t i = 0; i < nr; i++)
		put_be64(table + i * 8, entry);
	write_file("a.qcow2", TABLE_AT, table, nr * 8);
	free(table);
}

static void repeat_refcount_block(void)
{
	fill_table(look("a.qcow2", (off_t)look("a.qcow2", QCOW2_AT_REFTABLE_AT)),
		   QCOW2_REFTABLE_MAX);
	patch("a.qcow2", QCOW2_AT_REFTABLE_AT, TABLE_AT, 8);
	patch("a.qcow2", QCOW2_AT_REFTABLE_CLUSTERS, QCOW2_REFTABLE_MAX * 8 / (2 * MiB), 4);
}

static void repeat_table(void)
{
	fill_table(look("a.qcow2", (off_t)look("a.qcow2", QCOW2_AT_L1_AT)), QCOW2_L1_MAX);
	patch("a.qcow2", QCOW2_AT_L1_AT, TABLE_AT, 8);
	patch("a.qcow2", QCOW2_AT_L1_SIZE, QCOW2_L1_MAX, 4);
}

static void repeat_table_in_snapshot(void)
{
	fill_table(look("a.qcow2", (off_t)look("a.qcow2", QCOW2_AT_L1_AT)), QCOW2_L1_MAX);
	patch("a.qcow2", SNAPSHOT_AT + QCOW2_SNAP_L1_AT, TABLE_AT, 8);
	patch("a.qcow2", SNAPSHOT_AT + QCOW2_SNAP_L1_SIZE, QCOW2_L1_MAX, 4);
	patch("a.qcow2", QCOW2_AT_SNAPSHOTS_AT, SNAPSHOT_AT, 8);
	patch("a.qcow2", QCOW2_AT_NR_SNAPSHOTS, 1, 4);
}

static void repeat_bitmap(void)
{
	uint64_t extension = QCOW2_HEADER_LEN_COMPRESSION;
	uint8_t *entries = calloc(NR_BITMAPS, QCOW2_BITMAP_HEAD_LEN);

	for (unsigned i = 0; i < NR_BITMAPS; i++) {
		put_be64(entries + i * QCOW2_BITMAP_HEAD_LEN, TABLE_AT);
		put_be32(entries + i * QCOW2_BITMAP_HEAD_LEN + QCOW2_BITMAP_TABLE_SIZE,
			 32 * MiB / 8);
	}
	write_file("a.qcow2", BITMAPS_AT, entries, NR_BITMAPS * QCOW2_BITMAP_HEAD_LEN);
	free(entries);
	patch("a.qcow2", extension, QCOW2_EXT_BITMAPS, 4);
	patch("a.qcow2", extension + 4, 24, 4);
	patch("a.qcow2", extension + 8, NR_BITMAPS, 4);
	patch("a.qcow2", extension + 16, NR_BITMAPS * QCOW2_BITMAP_HEAD_LEN, 8);
	patch("a.qcow2", extension + 24, BITMAPS_AT, 8);
	patch("a.qcow2", extension + 32, QCOW2_EXT_END, 8);
}

static void (*const repetitions[])(void) = {
	repeat_refcount_block, repeat_table, repeat_table_in_snapshot, repeat_bitmap,
};

START_TEST(table_that_is_named_over_and_over_is_followed_once)
{
	struct qcow2_check check;
	int fd;

	make_qcow2("a.qcow2", "-o cluster_size=2M");
	run("qemu-io -c 'write -P 1 0 1M' a.qcow2 && truncate -s 1G a.qcow2");
	repetitions[_i]();
	fd = open(in_folder("a.qcow2"), O_RDONLY);

	ck_assert_int_eq(qcow2_check(&check, fd, "a", QCOW2_CHECK_FIX_NONE, NULL, &err), 0);

	close(fd);
	ck_assert_uint_gt(check.nr_corruptions, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qcow2 claims");
	TCase *tc = tcase_create("images");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, more_bitmaps_than_can_be_are_refused, 0,
			    (int)ARRAY_LEN(bad_bitmaps));
	tcase_add_test(tc, snapshots_that_take_too_much_memory_are_refused);
	tcase_add_loop_test(tc, table_that_is_named_over_and_over_is_followed_once, 0,
			    (int)ARRAY_LEN(repetitions));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
