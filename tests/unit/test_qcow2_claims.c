// SPDX-License-Identifier: Apache-2.0
/* The part of qcow2.h about images that are small and claim much. */
#include "block/qcow2.h"

#include "qcow2_fixture.h"

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
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
