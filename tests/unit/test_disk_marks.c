// SPDX-License-Identifier: Apache-2.0
/* The part of disk.h that tells whether a disk was written while it slept. */
#include "handover_fixture.h"

#include "block/file.h"

#include <linux/magic.h>
#include <sys/mman.h>

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

/* Memory of our own: whatever the folder is on, of this inodes are known. */
static void memory_path(char path[32], int *ret_fd)
{
	*ret_fd = memfd_create("image", 0);
	ck_assert_int_ge(*ret_fd, 0);
	ck_assert_int_eq(ftruncate(*ret_fd, SIZE), 0);
	snprintf(path, 32, "/proc/self/fd/%d", *ret_fd);
}

START_TEST(disk_is_the_same_file_whether_or_not_it_sleeps)
{
	struct disk_identity awake, asleep;
	struct disk_config c;
	struct stat st;
	char path[32];
	int fd;

	memory_path(path, &fd);
	c = (struct disk_config){ .path = path };
	ck_assert_int_eq(disk_open(&disk, &c, loop, &err), 0);
	awake = disk_identity(disk);
	must_sleep();
	asleep = disk_identity(disk);

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(awake.inode, st.st_ino);
	ck_assert_uint_eq(asleep.inode, st.st_ino);
	ck_assert_uint_eq(awake.file_system, TMPFS_MAGIC);
	ck_assert_uint_eq(asleep.file_system, TMPFS_MAGIC);
	close(fd);
}
END_TEST

/* A name may lead elsewhere by now. */
START_TEST(file_that_is_open_is_the_one_that_counts)
{
	char one[32], another[32];
	struct disk_identity open, named;
	struct file file = { .fd = -1 };
	int fds[2];

	memory_path(one, &fds[0]);
	memory_path(another, &fds[1]);
	named = file_identity(&file, another);
	file.fd = fds[0];
	open = file_identity(&file, another);

	ck_assert_uint_ne(named.inode, 0);
	ck_assert(disk_identity_differs(&open, &named));
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* A device, one that is not there, and a file system that makes numbers up. */
static const char *const unknown[] = { "/dev/null", "/nowhere/a.img", "/proc/version" };

START_TEST(what_another_host_may_see_otherwise_is_not_known)
{
	const struct file closed = { .fd = -1 };
	struct disk_identity identity = file_identity(&closed, unknown[_i]);

	ck_assert_uint_eq(identity.inode, 0);
	ck_assert_uint_eq(identity.file_system, 0);
}
END_TEST

START_TEST(only_what_is_known_of_both_tells_files_apart)
{
	const struct disk_identity one = { TMPFS_MAGIC, 7 }, another = { TMPFS_MAGIC, 8 };
	const struct disk_identity elsewhere = { NFS_SUPER_MAGIC, 8 }, nothing = { 0 };

	ck_assert(disk_identity_differs(&one, &another));
	ck_assert(!disk_identity_differs(&one, &one));
	ck_assert(!disk_identity_differs(&one, &elsewhere));
	ck_assert(!disk_identity_differs(&one, &nothing));
	ck_assert(!disk_identity_differs(&nothing, &one));
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
	tcase_add_test(tc, disk_is_the_same_file_whether_or_not_it_sleeps);
	tcase_add_test(tc, file_that_is_open_is_the_one_that_counts);
	tcase_add_loop_test(tc, what_another_host_may_see_otherwise_is_not_known, 0,
			    ARRAY_LEN(unknown));
	tcase_add_test(tc, only_what_is_known_of_both_tells_files_apart);
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
