// SPDX-License-Identifier: Apache-2.0
#include "block/disk_overlay.h"

#include "disk_fixture.h"

#include <dirent.h>

static char overlay[128];
static uint8_t bytes[SIZE], in[SIZE];

static void request_done(struct disk_request *request, int res)
{
	request->at = (uint64_t)(int64_t)res;	/* not the disk's any more */
	loop_quit(loop);
}

static int transfer(enum disk_op op, uint64_t at, void *data, size_t len)
{
	struct iovec seg = { data, len };
	struct disk_request request = {
		.op = op, .at = at, .segs = &seg, .nr_segs = 1, .len = len,
		.done = request_done,
	};

	disk_submit(disk, &request);
	ck_assert_int_eq(loop_run(loop), 0);
	return (int)(int64_t)request.at;
}

static void setup_overlay(void)
{
	setup();
	memset(bytes, 0x5a, sizeof(bytes));
	write_file("a.img", 0, bytes, SIZE);
	snprintf(overlay, sizeof(overlay), "%s/over.qcow2", folder);
}

static int open_over(const char *name, const char *where)
{
	struct disk_config c = config(name);
	bool made;
	int r = disk_overlay_open(&disk, &c, where, loop, &made, &err);

	ck_assert_msg(r || disk, "no disk");
	return r;
}

static unsigned nr_files(void)
{
	DIR *dir = opendir(folder);
	unsigned nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr - 2;	/* . and .. */
}

START_TEST(what_is_written_is_read_again_and_the_image_is_untouched)
{
	uint8_t sector[512] = { 1, 2, 3 };

	ck_assert_int_eq(open_over("a.img", overlay), 0);
	ck_assert_uint_eq(disk_size(disk), SIZE);
	ck_assert_int_eq(transfer(DISK_WRITE, 4096, sector, 512), 0);
	disk = disk_close(disk, NULL);
	ck_assert_int_eq(open_over("a.img", overlay), 0);
	ck_assert_int_eq(transfer(DISK_READ, 0, in, SIZE), 0);

	memcpy(bytes + 4096, sector, 512);
	ck_assert_mem_eq(in, bytes, SIZE);
	read_file("a.img", 0, in, SIZE);
	memset(bytes, 0x5a, SIZE);
	ck_assert_mem_eq(in, bytes, SIZE);
	ck_assert_uint_eq(nr_files(), 2);
}
END_TEST

START_TEST(temporary_overlay_is_gone_with_the_disk)
{
	uint8_t sector[512] = { 1, 2, 3 };

	ck_assert_int_eq(setenv("TMPDIR", folder, 1), 0);
	ck_assert_int_eq(open_over("a.img", DISK_OVERLAY_TEMPORARY), 0);
	ck_assert_int_eq(transfer(DISK_WRITE, 0, sector, 512), 0);
	ck_assert_int_eq(transfer(DISK_READ, 0, in, 512), 0);
	ck_assert_mem_eq(in, sector, 512);
	ck_assert_uint_eq(nr_files(), 1);
	disk = disk_close(disk, NULL);
	ck_assert_int_eq(open_over("a.img", DISK_OVERLAY_TEMPORARY), 0);

	ck_assert_int_eq(transfer(DISK_READ, 0, in, 512), 0);

	ck_assert_mem_eq(in, bytes, 512);
}
END_TEST

START_TEST(folder_without_room_for_a_temporary_overlay_is_named)
{
	ck_assert_int_eq(setenv("TMPDIR", "/nonexistent", 1), 0);

	ck_assert_int_eq(open_over("a.img", DISK_OVERLAY_TEMPORARY), -ENOENT);

	ck_assert_str_eq(err.text, "disk 'root': cannot make a temporary overlay in "
				   "'/nonexistent' (TMPDIR names another folder): "
				   "No such file or directory");
}
END_TEST

START_TEST(two_overlays_share_an_image_but_nobody_writes_it)
{
	struct disk *first;
	struct disk_config c = config("a.img");

	ck_assert_int_eq(open_over("a.img", overlay), 0);
	first = disk;
	ck_assert_int_eq(open_over("a.img", DISK_OVERLAY_TEMPORARY), 0);
	disk_close(first, NULL);

	refuses(c, -EBUSY, "in use");
}
END_TEST

START_TEST(overlay_of_another_image_is_refused)
{
	make_file("b.img", SIZE);
	ck_assert_int_eq(open_over("b.img", overlay), 0);
	disk = disk_close(disk, NULL);

	ck_assert_int_eq(open_over("a.img", overlay), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "is no overlay of"));
	ck_assert_ptr_nonnull(strstr(err.text, "b.img"));
}
END_TEST

START_TEST(file_that_is_no_overlay_is_refused_and_untouched)
{
	make_file("over.qcow2", SIZE);
	write_file("over.qcow2", 0, "precious", 8);

	ck_assert_int_eq(open_over("a.img", overlay), -EINVAL);

	read_file("over.qcow2", 0, in, 8);
	ck_assert_mem_eq(in, "precious", 8);
	ck_assert_int_eq(strncmp(err.text, "disk 'root': ", 13), 0);
}
END_TEST

START_TEST(missing_image_makes_no_overlay)
{
	ck_assert_int_eq(open_over("none.img", overlay), -ENOENT);

	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

START_TEST(overlay_in_a_missing_folder_is_an_error)
{
	ck_assert_int_eq(open_over("a.img", "/nonexistent/over.qcow2"), -ENOENT);

	ck_assert_str_eq(err.text, "disk 'root': cannot create overlay "
				   "'/nonexistent/over.qcow2': No such file or directory");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disk_overlay");
	TCase *tc = tcase_create("overlays");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup_overlay, teardown);
	tcase_add_test(tc, what_is_written_is_read_again_and_the_image_is_untouched);
	tcase_add_test(tc, temporary_overlay_is_gone_with_the_disk);
	tcase_add_test(tc, folder_without_room_for_a_temporary_overlay_is_named);
	tcase_add_test(tc, two_overlays_share_an_image_but_nobody_writes_it);
	tcase_add_test(tc, overlay_of_another_image_is_refused);
	tcase_add_test(tc, file_that_is_no_overlay_is_refused_and_untouched);
	tcase_add_test(tc, missing_image_makes_no_overlay);
	tcase_add_test(tc, overlay_in_a_missing_folder_is_an_error);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
