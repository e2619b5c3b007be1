// SPDX-License-Identifier: Apache-2.0
/* boot_load() of boot.h, from files to registers. */
#include "boot/arm64_boot.h"

#include "arm64_files.h"
#include "boot_fixture.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>

static const struct arm64_boot arm64 = { .gic = ARM64_BOOT_GICV3 };

static void setup(void)
{
	set_up(ARM64_RAM_AT);
	image_arm64(&kernel);
	config.arm64 = &arm64;
}

START_TEST(guest_starts_at_the_kernel_with_the_device_tree)
{
	assert_loads();

	ck_assert_int_eq(entry.mode, BOOT_ARM64);
	ck_assert_uint_eq(entry.ip, ARM64_KERNEL_AT);
	ck_assert_uint_eq(entry.arg, ARM64_FDT_AT);
	ck_assert_int_eq(fdt_check_header(ram + (ARM64_FDT_AT - ARM64_RAM_AT)), 0);
}
END_TEST

START_TEST(initrd_ends_where_ram_does)
{
	config.initrd = image_write(&initrd);

	assert_loads();

	ck_assert_uint_eq(ram[RAM_LEN - 8192], 0x99);
	ck_assert_uint_eq(ram[RAM_LEN - 8192 + 4999], 0x99);
	close(initrd.fd);
}
END_TEST

START_TEST(initrd_beyond_the_room_is_refused)
{
	put_le64(kernel.bytes + 16, RAM_LEN - 2 * MiB - 4096);
	config.initrd = image_write(&initrd);

	assert_refused(-ENOSPC, "give the VM more memory");
	close(initrd.fd);
}
END_TEST

START_TEST(command_line_of_full_length_is_taken)
{
	static char text[2049];

	memset(text, 'x', 2047);
	config.cmdline = text;

	ck_assert_int_eq(load(), 0);
}
END_TEST

START_TEST(command_line_too_long_is_refused)
{
	static char text[2049];

	memset(text, 'x', 2048);
	config.cmdline = text;

	assert_refused(-E2BIG, "2048 bytes; kernels take at most 2047");
}
END_TEST

START_TEST(missing_kernel_is_named)
{
	config.kernel = "/nonexistent/Image";

	ck_assert_int_eq(boot_load(mem, &config, &entry, &err), -ENOENT);

	ck_assert_ptr_nonnull(strstr(err.text, "kernel '/nonexistent/Image': cannot open"));
}
END_TEST

START_TEST(ram_without_room_for_a_kernel_is_refused)
{
	struct guest_mem *little = guest_mem_new();

	config.kernel = "/nonexistent/Image";
	ck_assert_int_eq(guest_mem_add(little, ARM64_RAM_AT, ram, 2 * MiB), 0);

	ck_assert_int_eq(boot_load(little, &config, &entry, &err), -ENOSPC);

	ck_assert_ptr_nonnull(strstr(err.text, "2048 KiB hold no kernel"));
	guest_mem_free(little);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arm64_boot");
	TCase *tc = tcase_create("boot");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, guest_starts_at_the_kernel_with_the_device_tree);
	tcase_add_test(tc, initrd_ends_where_ram_does);
	tcase_add_test(tc, initrd_beyond_the_room_is_refused);
	tcase_add_test(tc, command_line_of_full_length_is_taken);
	tcase_add_test(tc, command_line_too_long_is_refused);
	tcase_add_test(tc, missing_kernel_is_named);
	tcase_add_test(tc, ram_without_room_for_a_kernel_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
