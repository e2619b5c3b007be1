// SPDX-License-Identifier: Apache-2.0
#include "memory/ram.h"

#include "base/bits.h"
#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096

/* Is the page that holds at mapped? */
static bool is_mapped(const void *at)
{
	unsigned char resident;

	return !mincore((void *)align_down((uintptr_t)at, PAGE), PAGE, &resident);
}

START_TEST(memory_is_aligned_for_huge_pages)
{
	struct ram ram;

	ck_assert_int_eq(ram_open(&ram, 6 * MiB + PAGE, NULL), 0);

	ck_assert_uint_eq((uintptr_t)ram.host % (2 * MiB), 0);
	ck_assert_uint_eq(ram.len, 6 * MiB + PAGE);
	ram_close(&ram);
}
END_TEST

START_TEST(memory_reads_zero_and_can_be_written_to_its_ends)
{
	struct ram ram;
	uint8_t *bytes;

	ck_assert_int_eq(ram_open(&ram, 3 * MiB, NULL), 0);
	bytes = ram.host;

	ck_assert_uint_eq(bytes[0], 0);
	ck_assert_uint_eq(bytes[3 * MiB - 1], 0);
	bytes[0] = 1;
	bytes[3 * MiB - 1] = 2;
	ck_assert_uint_eq(bytes[0] + bytes[3 * MiB - 1], 3);
	ram_close(&ram);
}
END_TEST

START_TEST(close_gives_all_of_it_back_and_may_be_repeated)
{
	struct ram ram;
	char *host;

	ck_assert_int_eq(ram_open(&ram, 2 * MiB, NULL), 0);
	host = ram.host;
	ck_assert(is_mapped(host));
	ck_assert(is_mapped(host + 2 * MiB - 1));

	ram_close(&ram);
	ram_close(&ram);

	ck_assert_ptr_null(ram.host);
	ck_assert_uint_eq(ram.len, 0);
	ck_assert(!is_mapped(host));
	ck_assert(!is_mapped(host + 2 * MiB - 1));
}
END_TEST

START_TEST(memory_that_no_address_space_holds_is_refused)
{
	struct ram ram = { 0 };
	struct err err;

	ck_assert_int_eq(ram_open(&ram, align_down(UINT64_MAX, PAGE), &err), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(err.text, "address space"));
	ck_assert_int_eq(ram_open(&ram, BIT64(62), &err), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(err.text, "4398046511104 MiB"));

	ck_assert_ptr_null(ram.host);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ram");
	TCase *tc = tcase_create("mapping");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, memory_is_aligned_for_huge_pages);
	tcase_add_test(tc, memory_reads_zero_and_can_be_written_to_its_ends);
	tcase_add_test(tc, close_gives_all_of_it_back_and_may_be_repeated);
	tcase_add_test(tc, memory_that_no_address_space_holds_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
