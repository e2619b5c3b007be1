// SPDX-License-Identifier: Apache-2.0
#include "memory/guest_mem.h"

#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE	0x1000
#define LOW	UINT64_C(0x10000)
#define HIGH	(LOW + PAGE)		/* touches LOW's end */
#define FAR	UINT64_C(0x100000000)	/* behind a hole */
#define END	(FAR + PAGE)
#define TOP	(UINT64_MAX - PAGE + 1)	/* the last page there is */

static uint8_t low[PAGE], high[PAGE], far[PAGE];
static struct guest_mem *mem;

static void setup(void)
{
	memset(low, 0, sizeof(low));
	memset(high, 0, sizeof(high));
	memset(far, 0, sizeof(far));
	mem = guest_mem_new();
	ck_assert_ptr_nonnull(mem);
	ck_assert_int_eq(guest_mem_add(mem, FAR, far, sizeof(far)), 0);
	ck_assert_int_eq(guest_mem_add(mem, LOW, low, sizeof(low)), 0);
	ck_assert_int_eq(guest_mem_add(mem, HIGH, high, sizeof(high)), 0);
}

static void teardown(void)
{
	mem = guest_mem_free(mem);
	ck_assert_ptr_null(mem);
}

START_TEST(regions_are_listed_in_ascending_order)
{
	const struct guest_mem_region *regions;

	ck_assert_int_eq(guest_mem_regions(mem, &regions), 3);

	ck_assert_uint_eq(regions[0].at, LOW);
	ck_assert_uint_eq(regions[1].at, HIGH);
	ck_assert_uint_eq(regions[2].at, FAR);
	ck_assert_ptr_eq(regions[2].host, far);
	ck_assert_uint_eq(regions[2].len, PAGE);
}
END_TEST

START_TEST(overlapping_region_is_refused)
{
	static uint8_t more[4 * PAGE];

	ck_assert_int_eq(guest_mem_add(mem, LOW, more, PAGE), -EEXIST);
	ck_assert_int_eq(guest_mem_add(mem, LOW + PAGE - 1, more, 1), -EEXIST);
	ck_assert_int_eq(guest_mem_add(mem, LOW - 1, more, 2), -EEXIST);
	ck_assert_int_eq(guest_mem_add(mem, LOW - PAGE, more, 4 * PAGE), -EEXIST);
	ck_assert_int_eq(guest_mem_add(mem, END - 1, more, PAGE), -EEXIST);
}
END_TEST

START_TEST(touching_region_is_accepted)
{
	static uint8_t more[PAGE];

	ck_assert_int_eq(guest_mem_add(mem, END, more, PAGE), 0);
	ck_assert_int_eq(guest_mem_add(mem, LOW - 1, more, 1), 0);
}
END_TEST

START_TEST(empty_or_wrapping_region_is_refused)
{
	ck_assert_int_eq(guest_mem_add(mem, 0, low, 0), -EINVAL);
	ck_assert_int_eq(guest_mem_add(mem, TOP, low, PAGE + 1), -EINVAL);
}
END_TEST

START_TEST(more_regions_than_there_is_room_for_are_refused)
{
	for (int i = 3; i < GUEST_MEM_REGIONS_MAX; i++)
		ck_assert_int_eq(guest_mem_add(mem, END + (gpa_t)i * PAGE, far, PAGE), 0);

	ck_assert_int_eq(guest_mem_add(mem, 0, far, PAGE), -ENOSPC);
}
END_TEST

START_TEST(read_across_regions_joins_both)
{
	uint8_t got[4];

	low[PAGE - 2] = 1, low[PAGE - 1] = 2, high[0] = 3, high[1] = 4;

	ck_assert_int_eq(guest_mem_read(mem, HIGH - 2, got, sizeof(got)), 0);

	ck_assert_mem_eq(got, ((uint8_t[]){ 1, 2, 3, 4 }), 4);
}
END_TEST

START_TEST(write_across_regions_lands_in_both)
{
	const uint8_t src[4] = { 1, 2, 3, 4 };

	ck_assert_int_eq(guest_mem_write(mem, HIGH - 1, src, sizeof(src)), 0);

	ck_assert_uint_eq(low[PAGE - 1], 1);
	ck_assert_mem_eq(high, ((uint8_t[]){ 2, 3, 4, 0 }), 4);
}
END_TEST

START_TEST(write_into_the_hole_changes_nothing)
{
	const uint8_t src[8] = { 9, 9, 9, 9, 9, 9, 9, 9 };

	ck_assert_int_eq(guest_mem_write(mem, FAR - 4, src, 8), -EFAULT);
	ck_assert_int_eq(guest_mem_write(mem, FAR - PAGE, src, 8), -EFAULT);
	ck_assert_int_eq(guest_mem_write(mem, HIGH + PAGE - 4, src, 8), -EFAULT);
	ck_assert_int_eq(guest_mem_write(mem, LOW - 4, src, 8), -EFAULT);
	ck_assert_int_eq(guest_mem_write(mem, END - 4, src, 8), -EFAULT);

	ck_assert_uint_eq(low[0] | high[PAGE - 4] | far[0] | far[PAGE - 4], 0);
}
END_TEST

START_TEST(read_of_the_hole_leaves_the_copy_untouched)
{
	uint8_t got[8] = { 7, 7, 7, 7, 7, 7, 7, 7 };

	ck_assert_int_eq(guest_mem_read(mem, END - 4, got, sizeof(got)), -EFAULT);

	ck_assert_mem_eq(got, ((uint8_t[]){ 7, 7, 7, 7, 7, 7, 7, 7 }), 8);
}
END_TEST

START_TEST(map_within_a_region_is_one_segment)
{
	struct iovec seg;

	ck_assert_int_eq(guest_mem_map(mem, LOW + 0xf00, 0x100, &seg, 1), 1);

	ck_assert_ptr_eq(seg.iov_base, low + 0xf00);
	ck_assert_uint_eq(seg.iov_len, 0x100);
}
END_TEST

START_TEST(map_across_regions_is_two_segments)
{
	struct iovec segs[2];

	ck_assert_int_eq(guest_mem_map(mem, LOW, 2 * PAGE, segs, 2), 2);

	ck_assert_ptr_eq(segs[0].iov_base, low);
	ck_assert_ptr_eq(segs[1].iov_base, high);
	ck_assert_uint_eq(segs[0].iov_len, PAGE);
	ck_assert_uint_eq(segs[1].iov_len, PAGE);
}
END_TEST

START_TEST(map_without_room_for_its_segments_is_refused)
{
	struct iovec seg;

	ck_assert_int_eq(guest_mem_map(mem, LOW, PAGE + 1, &seg, 1), -ENOBUFS);
	ck_assert_int_eq(guest_mem_map(mem, LOW, 1, &seg, 0), -ENOBUFS);
}
END_TEST

START_TEST(nothing_may_be_moved_anywhere)
{
	struct iovec seg;

	ck_assert_int_eq(guest_mem_map(mem, 0, 0, &seg, 1), 0);
	ck_assert_int_eq(guest_mem_read(mem, END, NULL, 0), 0);
	ck_assert_int_eq(guest_mem_write(mem, UINT64_MAX, NULL, 0), 0);
}
END_TEST

START_TEST(length_that_wraps_the_address_space_is_refused)
{
	static uint8_t first[PAGE], last[PAGE];
	struct iovec segs[8];
	uint8_t got[4];

	ck_assert_int_eq(guest_mem_add(mem, 0, first, PAGE), 0);
	ck_assert_int_eq(guest_mem_add(mem, TOP, last, PAGE), 0);

	ck_assert_int_eq(guest_mem_map(mem, LOW, SIZE_MAX, segs, 8), -EFAULT);
	ck_assert_int_eq(guest_mem_map(mem, TOP, PAGE + 1, segs, 8), -EFAULT);
	ck_assert_int_eq(guest_mem_read(mem, UINT64_MAX - 1, got, 4), -EFAULT);
	ck_assert_int_eq(guest_mem_read(mem, UINT64_MAX - 3, got, 4), 0);
}
END_TEST

/* The log. */

static uint64_t taken[1];

static void log_start(void)
{
	taken[0] = 0;
	ck_assert_int_eq(guest_mem_log_start(mem), 0);
}

START_TEST(nothing_is_logged_unasked)
{
	guest_mem_dirty(mem, low, 1);
	ck_assert(!guest_mem_logs(mem));

	log_start();
	guest_mem_log_take(mem, taken);

	ck_assert(guest_mem_logs(mem));
	ck_assert_uint_eq(taken[0], 0);
}
END_TEST

START_TEST(second_log_is_refused)
{
	log_start();

	ck_assert_int_eq(guest_mem_log_start(mem), -EALREADY);
}
END_TEST

START_TEST(write_is_logged_once)
{
	log_start();
	ck_assert_int_eq(guest_mem_write(mem, LOW + 5, "x", 1), 0);
	guest_mem_log_take(mem, taken);
	ck_assert_uint_eq(taken[0], 1);

	taken[0] = 0;
	guest_mem_log_take(mem, taken);

	ck_assert_uint_eq(taken[0], 0);
}
END_TEST

START_TEST(failed_write_is_not_logged)
{
	log_start();
	ck_assert_int_eq(guest_mem_write(mem, END - 1, "xy", 2), -EFAULT);
	guest_mem_log_take(mem, taken);

	ck_assert_uint_eq(taken[0], 0);
}
END_TEST

START_TEST(address_outside_is_not_logged)
{
	static uint8_t elsewhere[PAGE];

	log_start();
	guest_mem_dirty(mem, elsewhere, PAGE);
	guest_mem_log_take(mem, taken);

	ck_assert_uint_eq(taken[0], 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guest_mem");
	TCase *tc = tcase_create("three regions");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, regions_are_listed_in_ascending_order);
	tcase_add_test(tc, overlapping_region_is_refused);
	tcase_add_test(tc, touching_region_is_accepted);
	tcase_add_test(tc, empty_or_wrapping_region_is_refused);
	tcase_add_test(tc, more_regions_than_there_is_room_for_are_refused);
	tcase_add_test(tc, read_across_regions_joins_both);
	tcase_add_test(tc, write_across_regions_lands_in_both);
	tcase_add_test(tc, write_into_the_hole_changes_nothing);
	tcase_add_test(tc, read_of_the_hole_leaves_the_copy_untouched);
	tcase_add_test(tc, map_within_a_region_is_one_segment);
	tcase_add_test(tc, map_across_regions_is_two_segments);
	tcase_add_test(tc, map_without_room_for_its_segments_is_refused);
	tcase_add_test(tc, nothing_may_be_moved_anywhere);
	tcase_add_test(tc, length_that_wraps_the_address_space_is_refused);
	tcase_add_test(tc, nothing_is_logged_unasked);
	tcase_add_test(tc, second_log_is_refused);
	tcase_add_test(tc, write_is_logged_once);
	tcase_add_test(tc, failed_write_is_not_logged);
	tcase_add_test(tc, address_outside_is_not_logged);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
