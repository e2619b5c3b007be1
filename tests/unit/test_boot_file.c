// SPDX-License-Identifier: Apache-2.0
#include "boot/boot_file.h"

#include "base/err.h"
#include "kernel_files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define RAM_LEN (2 * MiB)

static char dir[] = "/tmp/test_boot_file.XXXXXX";
static char fifo[sizeof(dir) + 8];
static struct image image;
static struct boot_file file;
static struct err err;

static void setup(void)
{
	image.len = 16;
	memcpy(image.bytes, "0123456789abcdef", 16);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(boot_file_open(&file, "initrd", image_write(&image), &err), 0);
}

static void teardown(void)
{
	boot_file_close(&file);
	close(image.fd);
	unlink(fifo);
	rmdir(dir);
}

START_TEST(missing_file_is_named_with_the_reason)
{
	struct boot_file missing;

	ck_assert_int_eq(boot_file_open(&missing, "kernel", "/nowhere/at/all", &err), -ENOENT);

	ck_assert_str_eq(err.text, "kernel '/nowhere/at/all': cannot open: "
				   "No such file or directory");
}
END_TEST

START_TEST(directory_is_refused)
{
	struct boot_file other;
	char text[64];

	snprintf(text, sizeof(text), "kernel '%s': is a directory", dir);

	ck_assert_int_eq(boot_file_open(&other, "kernel", dir, &err), -EISDIR);

	ck_assert_str_eq(err.text, text);
}
END_TEST

START_TEST(fifo_is_refused_and_not_waited_for)
{
	struct boot_file other;

	ck_assert_int_eq(boot_file_open(&other, "kernel", fifo, &err), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "is not a regular file"));
}
END_TEST

START_TEST(empty_file_is_refused)
{
	struct image empty = { .len = 0 };
	struct boot_file other;

	ck_assert_int_eq(boot_file_open(&other, "kernel", image_write(&empty), &err),
			 -ENODATA);

	ck_assert_ptr_nonnull(strstr(err.text, "is empty"));
	close(empty.fd);
}
END_TEST

START_TEST(read_copies_a_part)
{
	char got[4];

	ck_assert_int_eq(boot_file_read(&file, 10, got, sizeof(got), &err), 0);

	ck_assert_mem_eq(got, "abcd", 4);
}
END_TEST

START_TEST(read_to_the_very_end_is_allowed)
{
	char got[6];

	ck_assert_int_eq(boot_file_read(&file, 10, got, sizeof(got), &err), 0);

	ck_assert_mem_eq(got, "abcdef", 6);
}
END_TEST

START_TEST(read_beyond_the_end_is_a_truncated_file)
{
	char got[7];

	ck_assert_int_eq(boot_file_read(&file, 10, got, sizeof(got), &err), -ENOEXEC);

	ck_assert_ptr_nonnull(strstr(err.text, "truncated: has 16 bytes, but 0x7 bytes at 0xa"));
}
END_TEST

START_TEST(offset_beyond_the_end_is_a_truncated_file)
{
	char got[1];

	ck_assert_int_eq(boot_file_read(&file, UINT64_MAX, got, 1, &err), -ENOEXEC);
}
END_TEST

START_TEST(file_that_shrinks_meanwhile_is_told)
{
	char got[16];

	ck_assert_int_eq(ftruncate(image.fd, 8), 0);

	ck_assert_int_eq(boot_file_read(&file, 0, got, sizeof(got), &err), -EIO);

	ck_assert_ptr_nonnull(strstr(err.text, "shrank while it was read"));
}
END_TEST

START_TEST(load_shrunk_file_is_told)
{
	uint8_t *ram;
	struct guest_mem *mem = fresh_ram(0, RAM_LEN, &ram);

	ck_assert_int_eq(ftruncate(image.fd, 8), 0);

	ck_assert_int_eq(boot_file_load(&file, 0, 16, mem, 0, &err), -EIO);

	guest_mem_free(mem);
	munmap(ram, RAM_LEN);
}
END_TEST

START_TEST(load_puts_the_bytes_into_guest_memory)
{
	uint8_t *ram;
	struct guest_mem *mem = fresh_ram(0, RAM_LEN, &ram);

	ck_assert_int_eq(boot_file_load(&file, 2, 4, mem, 0x1000, &err), 0);

	ck_assert_mem_eq(ram + 0x0fff, "\0" "2345" "\0", 6);
	guest_mem_free(mem);
	munmap(ram, RAM_LEN);
}
END_TEST

START_TEST(load_fills_regions_that_touch)
{
	static uint8_t low[4096], high[4096];
	struct guest_mem *mem = guest_mem_new();

	ck_assert_int_eq(guest_mem_add(mem, 0, low, sizeof(low)), 0);
	ck_assert_int_eq(guest_mem_add(mem, 4096, high, sizeof(high)), 0);

	ck_assert_int_eq(boot_file_load(&file, 0, 16, mem, 4090, &err), 0);

	ck_assert_mem_eq(low + 4090, "012345", 6);
	ck_assert_mem_eq(high, "6789abcdef", 10);
	guest_mem_free(mem);
}
END_TEST

START_TEST(load_outside_ram_is_refused)
{
	uint8_t *ram;
	struct guest_mem *mem = fresh_ram(0, RAM_LEN, &ram);

	ck_assert_int_eq(boot_file_load(&file, 0, 16, mem, RAM_LEN - 15, &err), -EFAULT);

	ck_assert_ptr_nonnull(strstr(err.text, "0x10 bytes at 0x1ffff1 of guest memory"));
	guest_mem_free(mem);
	munmap(ram, RAM_LEN);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("boot_file");
	TCase *tc = tcase_create("16 bytes");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, missing_file_is_named_with_the_reason);
	tcase_add_test(tc, directory_is_refused);
	tcase_add_test(tc, fifo_is_refused_and_not_waited_for);
	tcase_add_test(tc, empty_file_is_refused);
	tcase_add_test(tc, read_copies_a_part);
	tcase_add_test(tc, read_to_the_very_end_is_allowed);
	tcase_add_test(tc, read_beyond_the_end_is_a_truncated_file);
	tcase_add_test(tc, offset_beyond_the_end_is_a_truncated_file);
	tcase_add_test(tc, file_that_shrinks_meanwhile_is_told);
	tcase_add_test(tc, load_shrunk_file_is_told);
	tcase_add_test(tc, load_puts_the_bytes_into_guest_memory);
	tcase_add_test(tc, load_fills_regions_that_touch);
	tcase_add_test(tc, load_outside_ram_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
