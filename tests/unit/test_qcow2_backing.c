// SPDX-License-Identifier: Apache-2.0
/* The part of qcow2.h about backing files, and disks that grow; the images are QEMU's. */
#include "block/qcow2.h"

#include "qcow2_fixture.h"

/* Backing files. */

START_TEST(backing_file_in_the_folder_is_used)
{
	run("qemu-img create -f qcow2 base.qcow2 1M && qemu-io -c 'write -P 3 0 1M' base.qcow2");
	make_qcow2("a.qcow2", "-b base.qcow2 -F qcow2");

	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_uint_eq(byte_at(512 * KiB), 3);
}
END_TEST

START_TEST(backing_file_is_forbidden_by_the_option)
{
	struct disk_config c = config("a.qcow2");

	run("qemu-img create -f raw base.raw 1M");
	make_qcow2("a.qcow2", "-b base.raw -F raw");
	c.backing = DISK_BACKING_OFF;

	refuses(c, -EPERM, "none is allowed");
}
END_TEST

static const char *const outside[] = {
	"/etc/passwd", "../base.raw", "sub/../../base.raw", "..",
};

START_TEST(backing_file_outside_of_the_folder_needs_the_option)
{
	struct disk_config c = config("a.qcow2");

	run("qemu-img create -f raw base.raw 1M");
	make_qcow2("a.qcow2", "-b base.raw -F raw");
	run("qemu-img rebase -u -F raw -b %s a.qcow2", outside[_i]);

	refuses(c, -EPERM, "if you trust the image, allow it by backing=on");
}
END_TEST

START_TEST(backing_file_elsewhere_is_used_with_the_option)
{
	struct disk_config c = config("a.qcow2");

	run("qemu-img create -f raw base.raw 1M && "
	    "qemu-img create -f qcow2 -b $PWD/base.raw -F raw a.qcow2 && "
	    "qemu-io -f raw -c 'write -P 3 0 1M' base.raw");
	c.backing = DISK_BACKING_ON;

	ck_assert_int_eq(open_disk(c), 0);
	ck_assert_uint_eq(byte_at(0), 3);
}
END_TEST

START_TEST(backing_file_that_is_no_file_is_refused)
{
	run("qemu-img create -f raw base.raw 1M");
	make_qcow2("a.qcow2", "-b base.raw -F raw");
	run("qemu-img rebase -u -F raw -b nbd:localhost:1 a.qcow2");

	refuses(config("a.qcow2"), -ENOTSUP, "not the name of a file");
}
END_TEST

START_TEST(missing_backing_file_is_named)
{
	run("qemu-img create -f raw base.raw 1M");
	make_qcow2("a.qcow2", "-b base.raw -F raw");
	run("rm base.raw");

	refuses(config("a.qcow2"), -ENOENT, "base.raw");
}
END_TEST

START_TEST(image_is_left_alone_when_its_backing_file_is_refused)
{
	make_qcow2("b.qcow2", "");
	make_qcow2("a.qcow2", "-o lazy_refcounts=on -b b.qcow2 -F qcow2");
	patch("a.qcow2", QCOW2_AT_INCOMPATIBLE, QCOW2_INCOMPATIBLE_DIRTY, 8);
	patch("a.qcow2", QCOW2_AT_AUTOCLEAR, BIT64(5), 8);
	run("rm b.qcow2 && cp a.qcow2 before.qcow2");

	refuses(config("a.qcow2"), -ENOENT, "b.qcow2");

	run("cmp a.qcow2 before.qcow2");
}
END_TEST

START_TEST(backing_file_of_unknown_format_is_refused)
{
	run("qemu-img create -f raw base 1M");
	make_qcow2("a.qcow2", "-b base -F raw");
	run("qemu-img rebase -u -b base a.qcow2 2> /dev/null || "
	    "qemu-img rebase -u -F raw -b base a.qcow2");
	/* QEMU 7 insists on a format, so take its name away: the extension's length. */
	for (off_t at = QCOW2_HEADER_LEN_COMPRESSION; at < 1024; at += 8)
		if (look("a.qcow2", at) >> 32 == QCOW2_EXT_BACKING_FORMAT)
			patch("a.qcow2", at, 0x11111111, 4);

	refuses(config("a.qcow2"), -EINVAL, "does not say which format");
}
END_TEST

START_TEST(image_that_is_its_own_backing_file_is_refused)
{
	struct disk_config c = config("a.qcow2");

	run("qemu-img create -f qcow2 b.qcow2 1M");
	make_qcow2("a.qcow2", "-b b.qcow2 -F qcow2");
	run("qemu-img rebase -u -F qcow2 -b a.qcow2 b.qcow2");

	refuses(c, -ELOOP, "its own backing file");
	c.read_only = true;
	refuses(c, -ELOOP, "its own backing file");
}
END_TEST

START_TEST(chain_that_is_too_long_is_refused)
{
	run("qemu-img create -f qcow2 0.qcow2 1M");
	for (int i = 1; i < 66; i++)
		run("qemu-img create -f qcow2 -u -b %d.qcow2 -F qcow2 %d.qcow2 1M", i - 1, i);

	refuses(config("65.qcow2"), -ELOOP, "more than 64");
}
END_TEST

START_TEST(writer_locks_the_files_behind_its_image_against_writers)
{
	struct disk_config base = config("base.qcow2");

	run("qemu-img create -f qcow2 base.qcow2 1M");
	make_qcow2("a.qcow2", "-b base.qcow2 -F qcow2");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	base.path = in_folder("base.qcow2");

	refuses(base, -EBUSY, "in use by another");
}
END_TEST

/* Resizing. */

START_TEST(image_grows_while_it_is_used)
{
	uint8_t bytes[512] = { 4 };

	make_qcow2("a.qcow2", "");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_int_eq(disk_resize(disk, 2 * GiB, &err), 0);
	ck_assert_uint_eq(disk_size(disk), 2 * GiB);

	ck_assert_int_eq(transfer(DISK_WRITE, 2 * GiB - 512, bytes, sizeof(bytes)), 0);
	disk = disk_close(disk, &err);
	run("qemu-img check a.qcow2 && qemu-io -r -c 'read -P 4 -s 0 -l 1 2147483136 512' a.qcow2");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_uint_eq(disk_size(disk), 2 * GiB);
	ck_assert_uint_eq(byte_at(2 * GiB - 512), 4);
}
END_TEST

START_TEST(image_smaller_than_its_backing_file_does_not_grow)
{
	run("qemu-img create -f raw base.raw 2M");
	make_qcow2("a.qcow2", "-b base.raw -F raw");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);

	ck_assert_int_eq(disk_resize(disk, 2 * MiB, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "would show"));
}
END_TEST

/* Once within the counts that there are, then with a new refcount table. */
static const uint64_t sizes[] = { 40 * MiB, 1 * GiB, 8 * GiB };

static void write_ends(struct disk_config c)
{
	static uint8_t bytes[4096] __attribute__((aligned(4096)));

	ck_assert_int_eq(open_disk(c), 0);
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		memset(bytes, 1 + (int)i, sizeof(bytes));
		if (disk_resize(disk, sizes[i], &err))
			ck_abort_msg("%s", err.text);
		ck_assert_int_eq(transfer(DISK_WRITE, sizes[i] - sizeof(bytes), bytes,
					  sizeof(bytes)), 0);
	}
	disk = disk_close(disk, &err);
	ck_assert_str_eq(err.text, "");
}

static const struct {
	const char *options;
	enum disk_cache cache;
} outgrown[] = {
	{ "-o cluster_size=512", DISK_WRITEBACK },
	{ "-o cluster_size=512,compat=0.10", DISK_WRITEBACK },
	{ "-o cluster_size=4k,refcount_bits=64", DISK_DIRECT },
};

START_TEST(image_outgrows_its_l1_table_while_it_is_used)
{
	struct disk_config c = config("a.qcow2");

	make_qcow2("a.qcow2", outgrown[_i].options);
	run("qemu-io -c 'write -P 9 0 1M' a.qcow2");
	c.cache = outgrown[_i].cache;

	write_ends(c);

	run("qemu-img check a.qcow2 && qemu-io -r -c 'read -P 9 0 1M' -c 'read -P 1 41938944 4k' "
	    "-c 'read -P 2 1073737728 4k' -c 'read -P 3 8589930496 4k' a.qcow2 > out && "
	    "! grep failed out");
}
END_TEST

#define NR_SECTORS	4		/* of an L1 table: 64 tables of 64 clusters each */

static struct loop_task watch;

static void grow_while_written(struct loop_task *task)
{
	const struct qcow2 *q = disk->state;

	if (!q->writeback.l1_writing) {
		loop_defer(loop, task);
		return;
	}
	ck_assert_int_eq(disk_resize(disk, 40 * MiB, &err), 0);
}

START_TEST(l1_table_that_is_being_written_is_complete_where_it_moves_to)
{
	uint8_t bytes[512];
	struct disk_request flush = { .op = DISK_FLUSH, .done = request_done };

	run("qemu-img create -f qcow2 -o cluster_size=512 a.qcow2 8M");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	memset(bytes, 5, sizeof(bytes));
	for (unsigned i = 0; i < NR_SECTORS; i++)
		ck_assert_int_eq(transfer(DISK_WRITE, i * 2 * MiB, bytes, sizeof(bytes)), 0);

	watch.run = grow_while_written;
	loop_defer(loop, &watch);
	disk_submit(disk, &flush);
	ck_assert_int_eq(loop_run(loop), 0);
	disk = disk_close(disk, &err);

	run("qemu-img check a.qcow2");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);
	ck_assert_uint_eq(disk_size(disk), 40 * MiB);
	for (unsigned i = 0; i < NR_SECTORS; i++)
		ck_assert_uint_eq(byte_at(i * 2 * MiB), 5);
}
END_TEST

START_TEST(size_that_small_clusters_cannot_reach_is_refused)
{
	make_qcow2("a.qcow2", "-o cluster_size=512");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);

	ck_assert_int_eq(disk_resize(disk, 1 * TiB, &err), -EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, "small clusters"));
	ck_assert_uint_eq(disk_size(disk), 1 * MiB);
}
END_TEST

START_TEST(image_of_version_2_with_snapshots_does_not_grow)
{
	make_qcow2("a.qcow2", "-o compat=0.10");
	run("qemu-img snapshot -c one a.qcow2");
	ck_assert_int_eq(open_disk(config("a.qcow2")), 0);

	ck_assert_int_eq(disk_resize(disk, 2 * MiB, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "version 2 with snapshots"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("qcow2_backing");
	TCase *tc = tcase_create("images");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, backing_file_in_the_folder_is_used);
	tcase_add_test(tc, backing_file_is_forbidden_by_the_option);
	tcase_add_loop_test(tc, backing_file_outside_of_the_folder_needs_the_option, 0,
			    ARRAY_LEN(outside));
	tcase_add_test(tc, backing_file_elsewhere_is_used_with_the_option);
	tcase_add_test(tc, backing_file_that_is_no_file_is_refused);
	tcase_add_test(tc, missing_backing_file_is_named);
	tcase_add_test(tc, image_is_left_alone_when_its_backing_file_is_refused);
	tcase_add_test(tc, backing_file_of_unknown_format_is_refused);
	tcase_add_test(tc, image_that_is_its_own_backing_file_is_refused);
	tcase_add_test(tc, chain_that_is_too_long_is_refused);
	tcase_add_test(tc, writer_locks_the_files_behind_its_image_against_writers);
	tcase_add_test(tc, image_grows_while_it_is_used);
	tcase_add_test(tc, image_smaller_than_its_backing_file_does_not_grow);
	tcase_add_loop_test(tc, image_outgrows_its_l1_table_while_it_is_used, 0,
			    ARRAY_LEN(outgrown));
	tcase_add_test(tc, l1_table_that_is_being_written_is_complete_where_it_moves_to);
	tcase_add_test(tc, size_that_small_clusters_cannot_reach_is_refused);
	tcase_add_test(tc, image_of_version_2_with_snapshots_does_not_grow);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
