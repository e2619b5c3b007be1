// SPDX-License-Identifier: Apache-2.0
#include "base/iov.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "abc", nothing, "de", "fghi" */
static char a[3], b[2], c[4];
static struct iovec segs[4];
static struct iov iov;

static void setup(void)
{
	memcpy(a, "abc", sizeof(a));
	memcpy(b, "de", sizeof(b));
	memcpy(c, "fghi", sizeof(c));
	segs[0] = (struct iovec){ a, sizeof(a) };
	segs[1] = (struct iovec){ a, 0 };
	segs[2] = (struct iovec){ b, sizeof(b) };
	segs[3] = (struct iovec){ c, sizeof(c) };
	iov = iov_of(segs, 4, 9);
}

START_TEST(read_joins_segments)
{
	char got[5] = "";

	ck_assert_int_eq(iov_read(&iov, 2, got, 4), 0);

	ck_assert_str_eq(got, "cdef");
}
END_TEST

START_TEST(read_of_nothing_at_the_end_is_allowed)
{
	char got = 'x';

	ck_assert_int_eq(iov_read(&iov, 9, &got, 0), 0);

	ck_assert_int_eq(got, 'x');
}
END_TEST

START_TEST(read_past_the_end_reads_nothing)
{
	char got[3] = "xx";

	ck_assert_int_eq(iov_read(&iov, 8, got, 2), -ERANGE);

	ck_assert_str_eq(got, "xx");
}
END_TEST

START_TEST(write_spreads_over_segments)
{
	ck_assert_int_eq(iov_write(&iov, 1, "12345", 5), 0);

	ck_assert_mem_eq(a, "a12", 3);
	ck_assert_mem_eq(b, "34", 2);
	ck_assert_mem_eq(c, "5ghi", 4);
}
END_TEST

START_TEST(write_past_the_end_changes_nothing)
{
	ck_assert_int_eq(iov_write(&iov, 6, "1234", 4), -ERANGE);

	ck_assert_mem_eq(c, "fghi", 4);
}
END_TEST

START_TEST(zeros_go_to_what_was_asked_for_only)
{
	ck_assert_int_eq(iov_zero(&iov, 2, 4), 0);

	ck_assert_mem_eq(a, "ab\0", 3);
	ck_assert_mem_eq(b, "\0\0", 2);
	ck_assert_mem_eq(c, "\0ghi", 4);
}
END_TEST

START_TEST(zeros_past_the_end_change_nothing)
{
	ck_assert_int_eq(iov_zero(&iov, UINT64_MAX, 2), -ERANGE);
	ck_assert_int_eq(iov_zero(&iov, 8, UINT64_MAX), -ERANGE);

	ck_assert_mem_eq(c, "fghi", 4);
}
END_TEST

START_TEST(byte_is_sought_past_empty_segments)
{
	uint64_t off = 3;

	ck_assert_ptr_eq(iov_seek(&iov, &off), &segs[2]);

	ck_assert_uint_eq(off, 0);
}
END_TEST

START_TEST(cut_describes_a_part_by_the_same_memory)
{
	struct iovec to[4];
	struct iov part = iov_cut(&iov, 4, 3, to, 4);

	ck_assert_uint_eq(part.nr, 2);
	ck_assert_uint_eq(part.len, 3);
	ck_assert_ptr_eq(part.segs, to);
	ck_assert_ptr_eq(to[0].iov_base, b + 1);
	ck_assert_uint_eq(to[0].iov_len, 1);
	ck_assert_ptr_eq(to[1].iov_base, c);
	ck_assert_uint_eq(to[1].iov_len, 2);
}
END_TEST

START_TEST(cut_ends_where_the_segments_do)
{
	struct iovec to[2];
	struct iov part = iov_cut(&iov, 1, 8, to, 2);

	ck_assert_uint_eq(part.nr, 2);
	ck_assert_uint_eq(part.len, 2);
}
END_TEST

START_TEST(cut_of_nothing_is_nothing)
{
	struct iovec to;

	ck_assert_uint_eq(iov_cut(&iov, 9, 0, &to, 1).nr, 0);
}
END_TEST

START_TEST(dropping_at_both_ends_leaves_the_middle)
{
	char got[4] = "";

	iov_drop_front(&iov, 4);
	iov_drop_back(&iov, 2);

	ck_assert_uint_eq(iov.len, 3);
	ck_assert_uint_eq(iov.nr, 2);
	ck_assert_int_eq(iov_read(&iov, 0, got, 3), 0);
	ck_assert_str_eq(got, "efg");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("iov");
	TCase *tc = tcase_create("segments");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, read_joins_segments);
	tcase_add_test(tc, read_of_nothing_at_the_end_is_allowed);
	tcase_add_test(tc, read_past_the_end_reads_nothing);
	tcase_add_test(tc, write_spreads_over_segments);
	tcase_add_test(tc, write_past_the_end_changes_nothing);
	tcase_add_test(tc, zeros_go_to_what_was_asked_for_only);
	tcase_add_test(tc, zeros_past_the_end_change_nothing);
	tcase_add_test(tc, byte_is_sought_past_empty_segments);
	tcase_add_test(tc, cut_describes_a_part_by_the_same_memory);
	tcase_add_test(tc, cut_ends_where_the_segments_do);
	tcase_add_test(tc, cut_of_nothing_is_nothing);
	tcase_add_test(tc, dropping_at_both_ends_leaves_the_middle);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
