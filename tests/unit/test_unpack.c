// SPDX-License-Identifier: Apache-2.0
#include "boot/unpack.h"

#include "arm64_files.h"

#include <errno.h>
#include <stdlib.h>

#define MAX (1 * MiB)

static struct image image;
static struct unpacked out;

static void setup(void)
{
	image_arm64(&image);
	out = (struct unpacked){ 0 };
}

static void assert_unpacked(int r)
{
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(out.len, ARM64_FILE_LEN);
	ck_assert_mem_eq(out.bytes + 56, "ARM\x64", 4);
	free(out.bytes);
}

START_TEST(what_gzip_packed_is_unpacked)
{
	image_gzip(&image);

	assert_unpacked(unpack_gzip(image.bytes, image.len, MAX, &out));
}
END_TEST

START_TEST(what_zstd_packed_is_unpacked)
{
	image_zstd(&image);

	assert_unpacked(unpack_zstd(image.bytes, image.len, MAX, &out));
}
END_TEST

START_TEST(what_follows_does_not_matter)
{
	image_zstd(&image);

	assert_unpacked(unpack_zstd(image.bytes, image.len + 100, MAX, &out));
}
END_TEST

START_TEST(just_as_much_as_there_may_be_is_unpacked)
{
	image_gzip(&image);

	assert_unpacked(unpack_gzip(image.bytes, image.len, ARM64_FILE_LEN + 1, &out));
}
END_TEST

START_TEST(more_than_there_may_be_is_refused)
{
	image_gzip(&image);
	ck_assert_int_eq(unpack_gzip(image.bytes, image.len, ARM64_FILE_LEN - 1, &out), -E2BIG);

	image_arm64(&image);
	image_zstd(&image);
	ck_assert_int_eq(unpack_zstd(image.bytes, image.len, ARM64_FILE_LEN - 1, &out), -E2BIG);

	ck_assert_ptr_null(out.bytes);
}
END_TEST

START_TEST(cut_off_is_damaged)
{
	image_gzip(&image);
	ck_assert_int_eq(unpack_gzip(image.bytes, image.len - 10, MAX, &out), -EBADMSG);

	image_arm64(&image);
	image_zstd(&image);
	ck_assert_int_eq(unpack_zstd(image.bytes, image.len - 1, MAX, &out), -EBADMSG);
}
END_TEST

START_TEST(nothing_is_damaged)
{
	ck_assert_int_eq(unpack_gzip(image.bytes, 0, MAX, &out), -EBADMSG);
	ck_assert_int_eq(unpack_zstd(image.bytes, 0, MAX, &out), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("unpack");
	TCase *tc = tcase_create("unpack");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, what_gzip_packed_is_unpacked);
	tcase_add_test(tc, what_zstd_packed_is_unpacked);
	tcase_add_test(tc, what_follows_does_not_matter);
	tcase_add_test(tc, just_as_much_as_there_may_be_is_unpacked);
	tcase_add_test(tc, more_than_there_may_be_is_refused);
	tcase_add_test(tc, cut_off_is_damaged);
	tcase_add_test(tc, nothing_is_damaged);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
