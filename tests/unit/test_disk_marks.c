// SPDX-License-Identifier: Apache-2.0
/* The part of disk.h that tells whether a disk was written while it slept. */
#include "handover_fixture.h"

#include "block/file.h"

#define STALE	"was written or replaced since by somebody else"

START_TEST(disk_that_another_has_written_is_refused_and_sleeps_on)
{
	const char *name = make_image(_i);

	open_awake(name);
	age(name);
	must_sleep();
	other_writes(name, 0, 1);

	refuses_to(disk_wake, -ESTALE, STALE);
	refuses_to(disk_wake, -ESTALE, name);
	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 512), -EBUSY);
	ck_assert_msg(!open_other(name), "%s", err.text);
}
END_TEST

START_TEST(what_is_refused_is_not_repaired_first)
{
	make_qcow2("a.qcow2", "");
	open_awake("a.qcow2");
	age("a.qcow2");
	must_sleep();
	patch("a.qcow2", 72, 1, 8);		/* dirty */

	refuses_to(disk_wake, -ESTALE, STALE);

	ck_assert_uint_eq(look("a.qcow2", 72), 1);
}
END_TEST

START_TEST(disk_that_another_has_only_opened_wakes)
{
	const char *name = make_image(_i);

	open_awake(name);
	age(name);
	must_sleep();
	ck_assert_msg(!open_other(name), "%s", err.text);
	other = disk_close(other, NULL);

	must_wake();
}
END_TEST

START_TEST(file_that_was_made_longer_is_refused)
{
	open_awake("a.img");
	must_sleep();
	ck_assert_int_eq(truncate(in_folder("a.img"), 2 * SIZE), 0);

	refuses_to(disk_wake, -ESTALE, STALE);
	ck_assert_uint_eq(disk_size(disk), SIZE);
}
END_TEST

START_TEST(file_in_its_place_is_refused)
{
	open_awake("a.img");
	must_sleep();
	run("cp -p a.img b.img && mv b.img a.img");

	refuses_to(disk_wake, -ESTALE, STALE);
}
END_TEST

START_TEST(disk_wakes_as_another_process_left_it)
{
	const char *name = make_image(_i);

	open_awake(name);
	must_sleep();
	other_writes(name, 0, 0x61);
	ck_assert(left.known);
	disk_expect(disk, &left);
	run("cp -p %s copy && mv copy %s", name, name);	/* a host has inodes of its own */

	must_wake();

	ck_assert_int_eq(byte_at(0), 0x61);
	ck_assert_int_eq(fill(&disk, 0, 0x62), 0);
	must_sleep();
	must_wake();
}
END_TEST

START_TEST(disk_does_not_wake_otherwise_than_another_process_left_it)
{
	const char *name = make_image(_i);

	open_asleep(name);
	ck_assert_msg(!open_other(name), "%s", err.text);
	age(name);
	other_leaves();
	disk_expect(disk, &left);
	other_writes(name, 0, 1);

	refuses_to(disk_wake, -ESTALE, STALE);

	disk_expect(disk, &left);
	must_wake();
}
END_TEST

START_TEST(disk_that_is_awake_has_no_mark_and_takes_none)
{
	const struct disk_mark wrong = { .size = 1, .mtime = 1, .known = true };

	open_awake("a.img");
	disk_expect(disk, &wrong);
	ck_assert(!disk_mark(disk).known);

	must_sleep();
	ck_assert(disk_mark(disk).known);
	ck_assert_uint_eq(disk_mark(disk).size, SIZE);
	must_wake();
	ck_assert(!disk_mark(disk).known);
}
END_TEST

START_TEST(what_is_only_read_or_no_file_has_no_mark)
{
	uint64_t inode = 1;

	ck_assert(!file_mark("/dev/null", &inode).known);
	ck_assert_uint_eq(inode, 0);
	open_to_read("a.img");
	must_sleep();
	ck_assert(!disk_mark(disk).known);

	other_writes("a.img", 0, 1);
	must_wake();
}
END_TEST

static TCase *mark_tests(void)
{
	TCase *tc = make_case("marks");
	int nr = ARRAY_LEN(images);

	tcase_add_loop_test(tc, disk_that_another_has_written_is_refused_and_sleeps_on, 0, nr);
	tcase_add_test(tc, what_is_refused_is_not_repaired_first);
	tcase_add_loop_test(tc, disk_that_another_has_only_opened_wakes, 0, nr);
	tcase_add_test(tc, file_that_was_made_longer_is_refused);
	tcase_add_test(tc, file_in_its_place_is_refused);
	tcase_add_loop_test(tc, disk_wakes_as_another_process_left_it, 0, nr);
	tcase_add_loop_test(tc, disk_does_not_wake_otherwise_than_another_process_left_it, 0, nr);
	tcase_add_test(tc, disk_that_is_awake_has_no_mark_and_takes_none);
	tcase_add_test(tc, what_is_only_read_or_no_file_has_no_mark);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("disk_marks");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	suite_add_tcase(s, mark_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
