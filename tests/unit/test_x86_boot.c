// SPDX-License-Identifier: Apache-2.0
/* boot_load() of boot.h, from files to registers. */
#include "boot/x86_boot.h"

#include "arm64_files.h"
#include "boot/x86_layout.h"
#include "boot_fixture.h"

#include <errno.h>
#include <stdlib.h>

static void setup(void)
{
	set_up(0);
	image_bzimage(&kernel);
}

START_TEST(bzimage_starts_in_long_mode)
{
	assert_loads();

	ck_assert_int_eq(entry.mode, BOOT_LINUX64);
	ck_assert_uint_eq(entry.ip, BZIMAGE_PREF + 0x200);
	ck_assert_uint_eq(entry.arg, X86_ZERO_PAGE_AT);
	ck_assert_uint_eq(entry.page_tables, X86_PAGE_TABLES_AT);
	ck_assert_uint_eq(entry.gdt, X86_GDT_AT);
	ck_assert_uint_eq(entry.stack, X86_BOOT_STACK_AT);
	ck_assert_uint_eq(get_le64(ram + X86_GDT_AT + X86_BOOT_CS), X86_BOOT_DESC_CODE64);
	ck_assert_uint_eq(get_le64(ram + X86_GDT_AT + X86_BOOT_DS), X86_BOOT_DESC_DATA);
	ck_assert_uint_eq(get_le64(ram + X86_GDT_AT + X86_BOOT_TSS), X86_BOOT_DESC_TSS);
	ck_assert_mem_eq(ram + X86_ZERO_PAGE_AT + 0x202, "HdrS", 4);
}
END_TEST

START_TEST(elf_starts_in_protected_mode_without_page_tables)
{
	image_elf(&kernel);

	assert_loads();

	ck_assert_int_eq(entry.mode, BOOT_PVH);
	ck_assert_uint_eq(entry.ip, ELF_ENTRY);
	ck_assert_uint_eq(get_le64(ram + X86_GDT_AT + X86_BOOT_CS), X86_BOOT_DESC_CODE32);
	ck_assert_uint_eq(get_le32(ram + X86_ZERO_PAGE_AT), 0x336ec578);
	ck_assert_uint_eq(get_le64(ram + X86_PAGE_TABLES_AT), 0);
}
END_TEST

/* Follows the tables for an address as the CPU does, for 2 MiB pages. */
static uint64_t translate(uint64_t virt)
{
	uint64_t table = X86_PAGE_TABLES_AT;

	for (int shift = 39; shift >= 21; shift -= 9)
		table = get_le64(ram + table + (virt >> shift & 511) * 8) & ~UINT64_C(0xfff);
	return table + (virt & (2 * MiB - 1));
}

START_TEST(page_tables_map_4_gib_onto_themselves)
{
	assert_loads();

	ck_assert_uint_eq(translate(0), 0);
	ck_assert_uint_eq(translate(BZIMAGE_PREF + 0x234), BZIMAGE_PREF + 0x234);
	ck_assert_uint_eq(translate(3 * GiB - 1), 3 * GiB - 1);
	ck_assert_uint_eq(translate(4 * GiB - 1), 4 * GiB - 1);
	ck_assert_uint_eq(get_le64(ram + X86_PAGE_TABLES_AT) & 0xfff, 0x3);
	ck_assert_uint_eq(get_le64(ram + X86_PAGE_TABLES_AT + 0x5ff8) & 0xfff, 0x83);
}
END_TEST

START_TEST(initrd_lies_at_the_end_of_ram)
{
	const gpa_t at = RAM_LEN - 8192;

	config.initrd = image_write(&initrd);

	assert_loads();

	ck_assert_mem_eq(ram + at, initrd.bytes, initrd.len);
	ck_assert_uint_eq(get_le32(ram + X86_ZERO_PAGE_AT + 0x218), at);
	ck_assert_uint_eq(get_le32(ram + X86_ZERO_PAGE_AT + 0x21c), initrd.len);
}
END_TEST

START_TEST(initrd_lies_below_the_limit_that_the_kernel_sets)
{
	config.initrd = image_write(&initrd);
	put_le32(kernel.bytes + 0x22c, 0x7fffff);

	assert_loads();

	ck_assert_uint_eq(get_le32(ram + X86_ZERO_PAGE_AT + 0x218), 8 * MiB - 8192);
}
END_TEST

START_TEST(initrd_is_the_module_of_an_elf_kernel)
{
	config.initrd = image_write(&initrd);
	image_elf(&kernel);

	assert_loads();

	ck_assert_uint_eq(get_le32(ram + X86_ZERO_PAGE_AT + 12), 1);
	ck_assert_uint_eq(get_le64(ram + X86_ZERO_PAGE_AT + 0x40), RAM_LEN - 8192);
}
END_TEST

START_TEST(initrd_may_touch_the_kernel)
{
	config.initrd = image_write(&initrd);
	put_le32(kernel.bytes + 0x260, RAM_LEN - 8192 - BZIMAGE_PREF);

	assert_loads();
}
END_TEST

START_TEST(initrd_that_would_overlap_the_kernel_is_refused)
{
	config.initrd = image_write(&initrd);
	put_le32(kernel.bytes + 0x260, RAM_LEN - 8192 - BZIMAGE_PREF + 1);

	assert_refused(-ENOSPC, "1 MiB do not fit between 16 MiB, where the kernel ends, and "
				"16 MiB, where memory ends: give the VM more memory");
}
END_TEST

START_TEST(initrd_that_does_not_fit_below_the_kernels_limit_is_refused)
{
	config.initrd = image_write(&initrd);
	put_le32(kernel.bytes + 0x22c, BZIMAGE_PREF);

	assert_refused(-ENOSPC, "the limit that this kernel sets");
}
END_TEST

START_TEST(initrd_limit_of_zero_leaves_no_room)
{
	config.initrd = image_write(&initrd);
	put_le32(kernel.bytes + 0x22c, 0);

	assert_refused(-ENOSPC, "and 0 MiB, the limit that this kernel sets");
}
END_TEST

START_TEST(missing_initrd_is_told)
{
	config.initrd = "/nowhere/at/all";

	assert_refused(-ENOENT, "initrd '/nowhere/at/all': cannot open");
}
END_TEST

START_TEST(missing_kernel_is_told)
{
	config.kernel = "/nowhere/at/all";

	ck_assert_int_eq(boot_load(mem, &config, &entry, &err), -ENOENT);

	ck_assert_ptr_nonnull(strstr(err.text, "kernel '/nowhere/at/all': cannot open"));
}
END_TEST

START_TEST(command_line_ends_in_a_zero)
{
	memset(ram + X86_CMDLINE_AT, 0xff, 64);

	assert_loads();

	ck_assert_str_eq((char *)ram + X86_CMDLINE_AT, "console=ttyS0");
}
END_TEST

START_TEST(command_line_may_be_as_long_as_the_kernel_says)
{
	static char text[BZIMAGE_CMDLINE_MAX + 1];

	memset(text, 'x', BZIMAGE_CMDLINE_MAX);
	config.cmdline = text;

	assert_loads();
}
END_TEST

START_TEST(longer_command_line_is_refused)
{
	static char text[BZIMAGE_CMDLINE_MAX + 2];

	memset(text, 'x', BZIMAGE_CMDLINE_MAX + 1);
	config.cmdline = text;

	assert_refused(-E2BIG, "has 2048 bytes; this kernel takes at most 2047");
}
END_TEST

START_TEST(command_line_stays_in_its_place_whatever_the_kernel_says)
{
	static char text[X86_CMDLINE_MAX + 1];

	memset(text, 'x', X86_CMDLINE_MAX);
	config.cmdline = text;
	put_le32(kernel.bytes + 0x238, UINT32_MAX);

	assert_refused(-E2BIG, "takes at most 65535");
}
END_TEST

START_TEST(ram_of_one_mib_is_too_little)
{
	uint8_t *tiny;
	struct guest_mem *small = fresh_ram(0, MiB, &tiny);

	config.kernel = image_write(&kernel);

	ck_assert_int_eq(boot_load(small, &config, &entry, &err), -ENOSPC);

	ck_assert_ptr_nonnull(strstr(err.text, "memory: 1024 KiB hold no kernel"));
	guest_mem_free(small);
	munmap(tiny, MiB);
}
END_TEST

START_TEST(too_many_cpus_are_refused)
{
	config.nr_cpus = 4000;

	assert_refused(-ENOSPC, "4000 CPUs are too many");
}
END_TEST

START_TEST(file_of_no_known_kind_is_refused)
{
	image_begin_with(&kernel, 0, "hello", 5);

	assert_refused(-ENOEXEC, "not a bzImage or an ELF kernel with a PVH note");
}
END_TEST

START_TEST(file_of_one_byte_is_refused)
{
	image_begin_with(&kernel, 0, "\x7f", 1);
	kernel.len = 1;

	assert_refused(-ENOEXEC, "not a bzImage or an ELF kernel with a PVH note");
}
END_TEST

START_TEST(arm64_image_is_named)
{
	image_begin_with(&kernel, 56, "ARM\x64", 4);

	assert_refused(-ENOEXEC, "is an arm64 Image");
}
END_TEST

START_TEST(arm64_elf_kernel_is_named)
{
	image_elf(&kernel);
	elf_header(&kernel)->e_machine = EM_AARCH64;

	assert_refused(-ENOEXEC, "is an arm64 kernel: this machine needs an x86_64 kernel");
}
END_TEST

START_TEST(elf_of_a_third_machine_is_refused)
{
	image_elf(&kernel);
	elf_header(&kernel)->e_machine = EM_RISCV;

	assert_refused(-ENOEXEC, "is an ELF file for another machine than x86_64");
}
END_TEST

START_TEST(there_is_no_device_tree)
{
	ck_assert_int_eq(boot_dump_tree(mem, "dtb", &err), -ENOTSUP);

	ck_assert_ptr_nonnull(strstr(err.text, "an x86_64 guest has no device tree"));
}
END_TEST

START_TEST(zboot_image_is_named)
{
	image_begin_with(&kernel, 0, "MZ\0\0zimg", 8);

	assert_refused(-ENOEXEC, "is an EFI zboot image");
}
END_TEST

START_TEST(gzip_is_named)
{
	image_begin_with(&kernel, 0, "\x1f\x8b\x08", 3);

	assert_refused(-ENOEXEC, "is gzip-compressed: decompress it first (gzip -d)");
}
END_TEST

START_TEST(arm64_image_that_gzip_packed_is_named)
{
	image_arm64(&kernel);
	image_gzip(&kernel);

	assert_refused(-ENOEXEC, "what is packed in it is an arm64 Image: this machine needs an "
				 "x86_64 kernel");
}
END_TEST

START_TEST(arm64_image_is_found_behind_the_longest_name_of_a_file)
{
	static const uint8_t with_name[10] = { 0x1f, 0x8b, 8, 8 };
	static struct image packed;

	image_arm64(&kernel);
	image_gzip(&kernel);
	packed = kernel;
	memset(kernel.bytes, 'n', sizeof(with_name) + 255);
	memcpy(kernel.bytes, with_name, sizeof(with_name));
	kernel.bytes[sizeof(with_name) + 255] = '\0';
	memcpy(kernel.bytes + sizeof(with_name) + 256, packed.bytes + sizeof(with_name),
	       packed.len - sizeof(with_name));
	kernel.len += 256;

	assert_refused(-ENOEXEC, "what is packed in it is an arm64 Image");
}
END_TEST

START_TEST(kernel_of_this_machine_that_gzip_packed_is_to_be_unpacked)
{
	image_gzip(&kernel);

	assert_refused(-ENOEXEC, "is gzip-compressed: decompress it first (gzip -d)");
}
END_TEST

START_TEST(zstd_is_named)
{
	image_begin_with(&kernel, 0, "\x28\xb5\x2f\xfd", 4);

	assert_refused(-ENOEXEC, "is zstd-compressed");
}
END_TEST

START_TEST(xz_is_named)
{
	image_begin_with(&kernel, 0, "\xfd" "7zXZ\0", 6);

	assert_refused(-ENOEXEC, "is xz-compressed");
}
END_TEST

START_TEST(bzip2_is_named)
{
	image_begin_with(&kernel, 0, "BZh9", 4);

	assert_refused(-ENOEXEC, "is bzip2-compressed");
}
END_TEST

START_TEST(lz4_is_named)
{
	image_begin_with(&kernel, 0, "\x02\x21\x4c\x18", 4);

	assert_refused(-ENOEXEC, "is lz4-compressed");
}
END_TEST

static TCase *loads_case(void)
{
	TCase *tc = tcase_create("loads");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, bzimage_starts_in_long_mode);
	tcase_add_test(tc, elf_starts_in_protected_mode_without_page_tables);
	tcase_add_test(tc, page_tables_map_4_gib_onto_themselves);
	tcase_add_test(tc, initrd_lies_at_the_end_of_ram);
	tcase_add_test(tc, initrd_lies_below_the_limit_that_the_kernel_sets);
	tcase_add_test(tc, initrd_is_the_module_of_an_elf_kernel);
	tcase_add_test(tc, initrd_may_touch_the_kernel);
	tcase_add_test(tc, command_line_ends_in_a_zero);
	tcase_add_test(tc, command_line_may_be_as_long_as_the_kernel_says);
	return tc;
}

static TCase *refuses_case(void)
{
	TCase *tc = tcase_create("refuses");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, initrd_that_would_overlap_the_kernel_is_refused);
	tcase_add_test(tc, initrd_that_does_not_fit_below_the_kernels_limit_is_refused);
	tcase_add_test(tc, initrd_limit_of_zero_leaves_no_room);
	tcase_add_test(tc, missing_initrd_is_told);
	tcase_add_test(tc, missing_kernel_is_told);
	tcase_add_test(tc, longer_command_line_is_refused);
	tcase_add_test(tc, command_line_stays_in_its_place_whatever_the_kernel_says);
	tcase_add_test(tc, ram_of_one_mib_is_too_little);
	tcase_add_test(tc, too_many_cpus_are_refused);
	tcase_add_test(tc, file_of_no_known_kind_is_refused);
	tcase_add_test(tc, file_of_one_byte_is_refused);
	tcase_add_test(tc, arm64_image_is_named);
	tcase_add_test(tc, arm64_elf_kernel_is_named);
	tcase_add_test(tc, elf_of_a_third_machine_is_refused);
	tcase_add_test(tc, there_is_no_device_tree);
	tcase_add_test(tc, zboot_image_is_named);
	tcase_add_test(tc, gzip_is_named);
	tcase_add_test(tc, arm64_image_that_gzip_packed_is_named);
	tcase_add_test(tc, arm64_image_is_found_behind_the_longest_name_of_a_file);
	tcase_add_test(tc, kernel_of_this_machine_that_gzip_packed_is_to_be_unpacked);
	tcase_add_test(tc, zstd_is_named);
	tcase_add_test(tc, xz_is_named);
	tcase_add_test(tc, bzip2_is_named);
	tcase_add_test(tc, lz4_is_named);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("x86_boot");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, loads_case());
	suite_add_tcase(s, refuses_case());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
