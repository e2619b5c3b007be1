// SPDX-License-Identifier: Apache-2.0
/* bzImage, as x86_kernel.h promises it. */
#include "boot/x86_kernel.h"

#include "boot/x86_layout.h"
#include "loader_fixture.h"

#include <errno.h>
#include <stdlib.h>

static struct x86_kernel kernel;

static int load_kernel(const struct boot_file *file)
{
	return x86_kernel_load_bzimage(file, mem, RAM_LEN, &kernel, &err);
}

static void setup(void)
{
	load_file = load_kernel;
	mem = fresh_ram(0, RAM_LEN, &ram);
	image_bzimage(&image);
}

START_TEST(bzimage_goes_where_it_prefers_to_be)
{
	assert_loads();

	ck_assert_int_eq(kernel.mode, BOOT_LINUX64);
	ck_assert_uint_eq(kernel.entry, BZIMAGE_PREF + 0x200);
	ck_assert_uint_eq(kernel.end, BZIMAGE_PREF + BZIMAGE_INIT_SIZE);
	ck_assert_uint_eq(kernel.initrd_end, 0x80000000);
	ck_assert_uint_eq(kernel.cmdline_max, BZIMAGE_CMDLINE_MAX);
	ck_assert_mem_eq(ram + BZIMAGE_PREF, image.bytes + BZIMAGE_PAYLOAD_AT, BZIMAGE_LEN);
	ck_assert_uint_eq(ram[BZIMAGE_PREF - 1], 0);
	ck_assert_uint_eq(ram[BZIMAGE_PREF + BZIMAGE_LEN], 0);
}
END_TEST

START_TEST(no_setup_sectors_means_four)
{
	image.bytes[0x1f1] = 0;
	image.bytes[5 * 512] = 0x77;
	put_le32(image.bytes + 0x1f4, 0x30);

	assert_loads();

	ck_assert_uint_eq(ram[BZIMAGE_PREF], 0x77);
}
END_TEST

START_TEST(what_follows_the_payload_is_not_loaded)
{
	image.bytes[image.len] = 0x77;
	image.len++;

	assert_loads();

	ck_assert_uint_eq(ram[BZIMAGE_PREF + BZIMAGE_LEN], 0);
}
END_TEST

START_TEST(payload_may_end_before_its_last_16_bytes_do)
{
	image.len -= 15;

	assert_loads();

	ck_assert_uint_eq(ram[BZIMAGE_PREF + BZIMAGE_LEN - 16], 0x5a);
	ck_assert_uint_eq(ram[BZIMAGE_PREF + BZIMAGE_LEN - 15], 0);
}
END_TEST

START_TEST(init_size_smaller_than_the_payload_is_not_believed)
{
	put_le32(image.bytes + 0x260, 0);

	assert_loads();

	ck_assert_uint_eq(kernel.end, BZIMAGE_PREF + BZIMAGE_LEN);
}
END_TEST

START_TEST(relocatable_bzimage_is_kept_out_of_the_first_mib)
{
	put_le64(image.bytes + 0x258, 0x10000);
	put_le32(image.bytes + 0x230, 4 * MiB);

	assert_loads();

	ck_assert_uint_eq(kernel.entry, 4 * MiB + 0x200);
	ck_assert_uint_eq(ram[4 * MiB], 0x5a);
}
END_TEST

START_TEST(fixed_bzimage_in_the_first_mib_is_refused)
{
	put_le64(image.bytes + 0x258, 0x10000);
	image.bytes[0x234] = 0;

	assert_refused(-ENOEXEC, "cannot be moved");
}
END_TEST

START_TEST(alignment_that_is_no_power_of_two_is_refused)
{
	put_le64(image.bytes + 0x258, 0);
	put_le32(image.bytes + 0x230, 3);

	assert_refused(-ENOEXEC, "alignment of 0x3");
}
END_TEST

START_TEST(bzimage_that_needs_more_than_all_ram_is_refused)
{
	put_le32(image.bytes + 0x260, RAM_LEN - BZIMAGE_PREF + 1);

	assert_refused(-ENOSPC, "needs 15 MiB of memory from 2 MiB on; the VM has only 16 MiB");
}
END_TEST

START_TEST(bzimage_may_need_exactly_all_ram)
{
	put_le32(image.bytes + 0x260, RAM_LEN - BZIMAGE_PREF);

	assert_loads();

	ck_assert_uint_eq(kernel.end, RAM_LEN);
}
END_TEST

START_TEST(preferred_address_that_wraps_is_refused)
{
	put_le64(image.bytes + 0x258, UINT64_MAX);

	assert_refused(-ENOSPC, "give it more (--memory)");
}
END_TEST

START_TEST(bzimage_without_boot_flag_is_refused)
{
	image.bytes[0x1fe] = 0;

	assert_refused(-ENOEXEC, "no boot signature");
}
END_TEST

START_TEST(old_boot_protocol_is_refused)
{
	put_le16(image.bytes + 0x206, 0x020b);

	assert_refused(-ENOEXEC, "boot protocol 2.11 is too old");
}
END_TEST

START_TEST(bzimage_without_64_bit_entry_is_refused)
{
	put_le16(image.bytes + 0x236, 0);

	assert_refused(-ENOEXEC, "is a 32-bit kernel");
}
END_TEST

START_TEST(zimage_is_refused)
{
	image.bytes[0x211] = 0;

	assert_refused(-ENOEXEC, "is a 32-bit kernel");
}
END_TEST

START_TEST(setup_header_that_ends_too_early_is_refused)
{
	image.bytes[0x201] = 0x61;

	assert_refused(-ENOEXEC, "its setup header ends at 0x263");
}
END_TEST

START_TEST(bzimage_cut_in_its_header_is_refused)
{
	image.len = 0x280;

	assert_refused(-ENOEXEC, "truncated");
}
END_TEST

START_TEST(bzimage_cut_in_its_setup_is_refused)
{
	image.bytes[0x1f1] = 255;

	assert_refused(-ENOEXEC, "truncated");
}
END_TEST

START_TEST(bzimage_cut_in_its_payload_is_refused)
{
	image.len -= 16;

	assert_refused(-ENOEXEC, "has 5104 bytes of 5120");
}
END_TEST

START_TEST(payload_without_an_entry_is_refused)
{
	put_le32(image.bytes + 0x1f4, 0x200 / 16);

	assert_refused(-ENOEXEC, "only 512 bytes");
}
END_TEST

START_TEST(zero_page_tells_where_everything_is)
{
	const struct initrd initrd = { .at = 0xa00000, .len = 0x1234 };
	const struct x86_e820 map = {
		.nr = 2,
		.entries = { { 0, 0x9fc00, X86_E820_RAM },
			     { 0xe0000, 0x20000, X86_E820_ACPI } },
	};
	const uint8_t *zero = ram + X86_ZERO_PAGE_AT;

	assert_loads();
	ck_assert_int_eq(x86_kernel_write_zero_page(mem, &kernel, &initrd, &map), 0);

	ck_assert_mem_eq(zero + 0x202, "HdrS", 4);
	ck_assert_uint_eq(get_le32(zero + 0x260), BZIMAGE_INIT_SIZE);
	ck_assert_uint_eq(zero[0x210], 0xff);
	ck_assert_uint_eq(get_le32(zero + 0x218), 0xa00000);
	ck_assert_uint_eq(get_le32(zero + 0x21c), 0x1234);
	ck_assert_uint_eq(get_le32(zero + 0x228), X86_CMDLINE_AT);
	ck_assert_uint_eq(get_le64(zero + 0x250), 0);
	ck_assert_uint_eq(get_le64(zero + 0x070), X86_ACPI_AT);
	ck_assert_uint_eq(zero[0x1e8], 2);
	ck_assert_uint_eq(get_le64(zero + 0x2d0 + 20), 0xe0000);
	ck_assert_uint_eq(get_le64(zero + 0x2d0 + 28), 0x20000);
	ck_assert_uint_eq(get_le32(zero + 0x2d0 + 36), X86_E820_ACPI);
}
END_TEST

START_TEST(zero_page_has_nothing_beyond_the_setup_header)
{
	const struct initrd none = { 0 };
	const struct x86_e820 map = { 0 };
	const uint8_t header_end = 0x26c - 0x202;

	image.bytes[0x201] = header_end;
	image.bytes[0x26b] = 0x77;
	image.bytes[0x26c] = 0x88;

	assert_loads();
	ck_assert_int_eq(x86_kernel_write_zero_page(mem, &kernel, &none, &map), 0);

	ck_assert_uint_eq(ram[X86_ZERO_PAGE_AT + 0x26b], 0x77);
	ck_assert_uint_eq(ram[X86_ZERO_PAGE_AT + 0x26c], 0);
	ck_assert_uint_eq(ram[X86_ZERO_PAGE_AT + 0x1ef], 0);	/* the sentinel */
}
END_TEST

START_TEST(setup_header_ends_where_the_zero_page_has_other_fields)
{
	image.bytes[0x201] = 0xff;

	assert_loads();

	ck_assert_uint_eq(kernel.setup_len, X86_KERNEL_SETUP_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("x86_bzimage");
	TCase *tc = tcase_create("x86_bzimage");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, bzimage_goes_where_it_prefers_to_be);
	tcase_add_test(tc, no_setup_sectors_means_four);
	tcase_add_test(tc, what_follows_the_payload_is_not_loaded);
	tcase_add_test(tc, payload_may_end_before_its_last_16_bytes_do);
	tcase_add_test(tc, init_size_smaller_than_the_payload_is_not_believed);
	tcase_add_test(tc, relocatable_bzimage_is_kept_out_of_the_first_mib);
	tcase_add_test(tc, fixed_bzimage_in_the_first_mib_is_refused);
	tcase_add_test(tc, alignment_that_is_no_power_of_two_is_refused);
	tcase_add_test(tc, bzimage_that_needs_more_than_all_ram_is_refused);
	tcase_add_test(tc, bzimage_may_need_exactly_all_ram);
	tcase_add_test(tc, preferred_address_that_wraps_is_refused);
	tcase_add_test(tc, bzimage_without_boot_flag_is_refused);
	tcase_add_test(tc, old_boot_protocol_is_refused);
	tcase_add_test(tc, bzimage_without_64_bit_entry_is_refused);
	tcase_add_test(tc, zimage_is_refused);
	tcase_add_test(tc, setup_header_that_ends_too_early_is_refused);
	tcase_add_test(tc, bzimage_cut_in_its_header_is_refused);
	tcase_add_test(tc, bzimage_cut_in_its_setup_is_refused);
	tcase_add_test(tc, bzimage_cut_in_its_payload_is_refused);
	tcase_add_test(tc, payload_without_an_entry_is_refused);
	tcase_add_test(tc, zero_page_tells_where_everything_is);
	tcase_add_test(tc, zero_page_has_nothing_beyond_the_setup_header);
	tcase_add_test(tc, setup_header_ends_where_the_zero_page_has_other_fields);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
