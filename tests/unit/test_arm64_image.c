// SPDX-License-Identifier: Apache-2.0
#include "boot/arm64_image.h"

#include "arm64_files.h"
#include "loader_fixture.h"

#include <errno.h>
#include <stdlib.h>

static struct arm64_image loaded;

static int load_image(const struct boot_file *file)
{
	return arm64_image_load(file, mem, ARM64_RAM_AT + RAM_LEN, &loaded, &err);
}

static void setup(void)
{
	load_file = load_image;
	mem = fresh_ram(ARM64_RAM_AT, RAM_LEN, &ram);
	image_arm64(&image);
	loaded = (struct arm64_image){ 0 };
}

static void assert_loads_all(void)
{
	const uint8_t *at = ram + (ARM64_KERNEL_AT - ARM64_RAM_AT);

	assert_loads();
	ck_assert_uint_eq(loaded.entry, ARM64_KERNEL_AT);
	ck_assert_uint_eq(loaded.end, ARM64_KERNEL_AT + ARM64_FILE_SIZE);
	ck_assert_mem_eq(at + 56, "ARM\x64", 4);
	ck_assert_uint_eq(at[ARM64_FILE_LEN - 1], 0x5a);
	ck_assert_uint_eq(at[ARM64_FILE_LEN], 0);
}

START_TEST(image_is_loaded)
{
	assert_loads_all();
}
END_TEST

START_TEST(packed_image_is_loaded)
{
	image_gzip(&image);

	assert_loads_all();
}
END_TEST

START_TEST(zboot_image_is_loaded)
{
	image_gzip(&image);
	image_zboot(&image, "gzip");

	assert_loads_all();
}
END_TEST

START_TEST(zboot_image_by_zstd_is_loaded)
{
	image_zstd(&image);
	image_zboot(&image, "zstd22");

	assert_loads_all();
}
END_TEST

START_TEST(image_goes_where_it_wants_from_2_mib_on)
{
	put_le64(image.bytes + 8, 0x80000);

	ck_assert_int_eq(load(), 0);

	ck_assert_uint_eq(loaded.entry, ARM64_KERNEL_AT + 0x80000);
}
END_TEST

START_TEST(file_longer_than_it_says_keeps_its_end_free)
{
	put_le64(image.bytes + 16, 0x1000);

	ck_assert_int_eq(load(), 0);

	ck_assert_uint_eq(loaded.end, ARM64_KERNEL_AT + ARM64_FILE_LEN);
}
END_TEST

START_TEST(kernel_that_does_not_tell_its_size_is_refused)
{
	put_le64(image.bytes + 16, 0);

	assert_refused(-ENOEXEC, "older than Linux 3.17");
}
END_TEST

START_TEST(wild_offset_is_refused)
{
	put_le64(image.bytes + 8, UINT64_MAX - 8);

	assert_refused(-ENOEXEC, "beyond a multiple of 2 MiB");
}
END_TEST

START_TEST(kernel_that_needs_more_memory_is_refused)
{
	put_le64(image.bytes + 16, RAM_LEN);

	assert_refused(-ENOSPC, "needs 18 MiB of memory; the VM has only 16 MiB");
}
END_TEST

START_TEST(wild_size_is_refused)
{
	put_le64(image.bytes + 16, UINT64_MAX);

	assert_refused(-ENOSPC, "give it more");
}
END_TEST

START_TEST(file_that_is_only_a_magic_is_refused)
{
	image.len = 60;

	assert_refused(-ENOEXEC, "truncated");
}
END_TEST

START_TEST(packed_file_that_is_cut_off_is_refused)
{
	image_gzip(&image);
	image.len -= 20;

	assert_refused(-EBADMSG, "cannot be unpacked");
}
END_TEST

START_TEST(packed_x86_kernel_is_named)
{
	image_begin_with(&image, 0x202, "HdrS", 4);
	image_gzip(&image);

	assert_refused(-ENOEXEC, "what is packed in it is an x86 bzImage");
}
END_TEST

START_TEST(x86_bzimage_is_named)
{
	image_begin_with(&image, 0x202, "HdrS", 4);

	assert_refused(-ENOEXEC, "is an x86 bzImage: this machine needs an arm64 kernel");
}
END_TEST

START_TEST(x86_elf_kernel_is_named)
{
	image_begin_with(&image, 0, "\x7f" "ELF", 4);
	image.bytes[18] = EM_X86_64;

	assert_refused(-ENOEXEC, "is an x86_64 kernel");
}
END_TEST

START_TEST(arm64_elf_kernel_is_refused_with_advice)
{
	image_begin_with(&image, 0, "\x7f" "ELF", 4);
	image.bytes[18] = EM_AARCH64;

	assert_refused(-ENOEXEC, "is started as an Image");
}
END_TEST

START_TEST(anything_else_is_refused)
{
	image_begin_with(&image, 0, "hello", 5);

	assert_refused(-ENOEXEC, "not an arm64 Image");
}
END_TEST

START_TEST(zboot_image_of_another_machine_is_named)
{
	image_gzip(&image);
	image_zboot(&image, "gzip");
	put_le16(image.bytes + ZBOOT_PE + 4, 0x5064);

	assert_refused(-ENOEXEC, "for another machine than arm64");
}
END_TEST

START_TEST(zboot_image_of_unknown_packing_is_named)
{
	image_zboot(&image, "lzma");

	assert_refused(-ENOEXEC, "is packed by 'lzma'");
}
END_TEST

START_TEST(zboot_payload_beyond_the_file_is_refused)
{
	image_gzip(&image);
	image_zboot(&image, "gzip");
	put_le32(image.bytes + 12, (uint32_t)image.len);

	assert_refused(-ENOEXEC, "truncated");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arm64_image");
	TCase *tc = tcase_create("kernels");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, image_is_loaded);
	tcase_add_test(tc, packed_image_is_loaded);
	tcase_add_test(tc, zboot_image_is_loaded);
	tcase_add_test(tc, zboot_image_by_zstd_is_loaded);
	tcase_add_test(tc, image_goes_where_it_wants_from_2_mib_on);
	tcase_add_test(tc, file_longer_than_it_says_keeps_its_end_free);
	tcase_add_test(tc, kernel_that_does_not_tell_its_size_is_refused);
	tcase_add_test(tc, wild_offset_is_refused);
	tcase_add_test(tc, kernel_that_needs_more_memory_is_refused);
	tcase_add_test(tc, wild_size_is_refused);
	tcase_add_test(tc, file_that_is_only_a_magic_is_refused);
	tcase_add_test(tc, packed_file_that_is_cut_off_is_refused);
	tcase_add_test(tc, packed_x86_kernel_is_named);
	tcase_add_test(tc, x86_bzimage_is_named);
	tcase_add_test(tc, x86_elf_kernel_is_named);
	tcase_add_test(tc, arm64_elf_kernel_is_refused_with_advice);
	tcase_add_test(tc, anything_else_is_refused);
	tcase_add_test(tc, zboot_image_of_another_machine_is_named);
	tcase_add_test(tc, zboot_image_of_unknown_packing_is_named);
	tcase_add_test(tc, zboot_payload_beyond_the_file_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
