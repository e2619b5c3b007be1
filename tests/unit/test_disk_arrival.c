// SPDX-License-Identifier: Apache-2.0
#include "block/disk_arrival.h"

#include "handover_fixture.h"

#include "base/bits.h"

#include <dirent.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR_BYTES	(1 * MiB)
#define NOBODY		65534

static const char *const formats[] = { "new.img", "new.qcow2" };

/* What is in the folder, besides the image that is in it from the beginning. */
static unsigned nr_files(void)
{
	DIR *dir = opendir(folder);
	unsigned nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr - 3;
}

static void refuses_new(struct disk_config c, int code, const char *says)
{
	c.asleep = true;
	refuses(c, code, says);
	ck_assert_uint_eq(nr_files(), 0);
}

static void make(const char *name)
{
	open_asleep(name);
	ck_assert(disk_arrival_is_due(disk));
	ck_assert_msg(!disk_arrival_make(disk, NR_BYTES, &err), "%s", err.text);
	ck_assert(!disk_arrival_is_due(disk));
}

/* With some content. */
static void receive(const char *name)
{
	make(name);
	must_wake();
	ck_assert_int_eq(fill(&disk, 65536, 0x5a), 0);
}

static void must_name(void)
{
	ck_assert_msg(!disk_arrival_name(disk, &err), "%s", err.text);
}

START_TEST(image_is_there_whole_or_not_at_all)
{
	receive(formats[_i]);
	ck_assert_uint_eq(nr_files(), 0);
	must_name();
	disk_arrival_keep(disk);
	disk = disk_close(disk, NULL);
	ck_assert_uint_eq(nr_files(), 1);

	open_awake(formats[_i]);
	ck_assert_uint_eq(disk_size(disk), NR_BYTES);
	ck_assert_int_eq(byte_at(65536), 0x5a);
	ck_assert_int_eq(byte_at(0), 0);
}
END_TEST

START_TEST(unsafe_image_is_durable_when_it_has_a_name)
{
	struct disk_config c = writable("new.qcow2");

	c.asleep = true;
	c.cache = DISK_UNSAFE;
	ck_assert_int_eq(disk_open(&disk, &c, loop, &err), 0);
	ck_assert_int_eq(disk_arrival_make(disk, NR_BYTES, &err), 0);
	must_wake();
	ck_assert_int_eq(fill(&disk, 65536, 0x5a), 0);

	must_name();

	run("cp new.qcow2 copy.qcow2");
	run("qemu-io -r -c 'read -P 0x5a 64k 4k' copy.qcow2");
}
END_TEST

START_TEST(image_that_is_not_kept_goes_with_its_disk)
{
	receive(formats[_i]);
	must_name();
	ck_assert_uint_eq(nr_files(), 1);

	disk = disk_close(disk, NULL);

	ck_assert_uint_eq(nr_files(), 0);
}
END_TEST

START_TEST(image_that_is_not_kept_may_sleep_first)
{
	receive(formats[_i]);
	must_name();
	must_sleep();

	disk = disk_close(disk, NULL);

	ck_assert_uint_eq(nr_files(), 0);
}
END_TEST

START_TEST(what_has_come_in_its_place_stays)
{
	receive("new.img");
	must_name();
	ck_assert_int_eq(unlink(in_folder("new.img")), 0);
	make_file("new.img", SIZE);

	disk = disk_close(disk, NULL);

	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

/* A power cut is not to be had; to be killed comes next to it. */
START_TEST(process_that_is_killed_leaves_nothing)
{
	pid_t child = fork();
	int status;

	if (!child) {
		receive("new.qcow2");
		_exit(0);
	}

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(nr_files(), 0);
}
END_TEST

START_TEST(it_is_locked_as_any_other)
{
	receive("new.img");
	must_name();

	ck_assert_int_eq(open_other("new.img"), -EBUSY);
	must_sleep();
	ck_assert_int_eq(open_other("new.img"), 0);
}
END_TEST

/* Other things in its place. */

START_TEST(what_somebody_else_has_made_is_not_replaced)
{
	receive("new.img");
	make_file("new.img", SIZE);

	refuses_to(disk_arrival_name, -EEXIST, "somebody else has made");
	disk = disk_close(disk, NULL);

	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

START_TEST(image_that_is_made_before_it_is_needed_is_the_disk_s)
{
	open_asleep("new.img");
	make_file("new.img", SIZE);

	ck_assert_int_eq(disk_arrival_make(disk, NR_BYTES, &err), 0);
	must_wake();
	ck_assert_uint_eq(disk_size(disk), SIZE);
	must_name();
	disk = disk_close(disk, NULL);

	ck_assert_uint_eq(nr_files(), 1);
}
END_TEST

START_TEST(image_of_another_format_that_is_made_there_is_refused)
{
	open_asleep("new.img");
	make_file("new.img", NR_BYTES);
	write_file("new.img", 0, "QFI\xfb", 4);

	ck_assert_int_eq(disk_arrival_make(disk, NR_BYTES, &err), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "begins like a qcow2 image"));
}
END_TEST

START_TEST(disk_that_is_there_is_no_arrival)
{
	open_asleep("a.img");

	ck_assert(!disk_arrival_is_due(disk));
	ck_assert_int_eq(disk_arrival_make(disk, NR_BYTES, &err), 0);
	must_wake();
	must_name();
	disk = disk_close(disk, NULL);

	open_awake("a.img");
}
END_TEST

/* What cannot be. */

START_TEST(disk_that_is_due_has_nothing_and_cannot_wake)
{
	open_asleep("new.img");

	ck_assert_uint_eq(disk_size(disk), 0);
	ck_assert_uint_eq(disk_allocated(disk), 0);
	refuses_to(disk_wake, -ENOENT, "new.img");
	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 512), -EBUSY);
}
END_TEST

static const uint64_t sizes[] = { 0, 513, UINT64_MAX, BIT64(63) - 512 };

START_TEST(size_that_no_image_has_is_refused)
{
	int r;

	open_asleep("new.qcow2");

	r = disk_arrival_make(disk, sizes[_i], &err);

	ck_assert_int_lt(r, 0);
	ck_assert_int_eq(strncmp(err.text, "disk 'root': ", 13), 0);
	disk = disk_close(disk, NULL);
	ck_assert_uint_eq(nr_files(), 0);
}
END_TEST

START_TEST(blocks_that_do_not_fit_are_refused)
{
	struct disk_config c = writable("new.img");

	c.asleep = true;
	c.block_size = 4096;
	ck_assert_int_eq(disk_open(&disk, &c, loop, &err), 0);

	ck_assert_int_eq(disk_arrival_make(disk, NR_BYTES + 512, &err), -EINVAL);
}
END_TEST

START_TEST(folder_that_is_missing_is_told_at_once)
{
	refuses_new(config("none/new.img"), -ENOENT, "cannot be made: No such file or directory");
}
END_TEST

START_TEST(folder_that_nobody_may_write_is_told_at_once)
{
	uid_t uid = geteuid();

	ck_assert_int_eq(chmod(folder, 0555), 0);
	if (!uid)
		ck_assert_int_eq(seteuid(NOBODY), 0);

	refuses_new(config("new.img"), -EACCES, "cannot be made: Permission denied");

	/* So that sanitizers can have a look. */
	ck_assert_int_eq(seteuid(uid), 0);
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}
END_TEST

START_TEST(file_system_without_such_files_is_told_at_once)
{
	struct disk_config c = config("new.img");

	c.path = "/proc/new.img";
	refuses_new(c, -ENOTSUP, "make it by 'vmm disk create'");
}
END_TEST

START_TEST(format_that_is_only_read_is_refused)
{
	refuses_new(config("new.vmdk"), -ENOTSUP, "vmdk images can only be read");
}
END_TEST

START_TEST(disk_that_is_only_read_has_to_be_there)
{
	struct disk_config c = config("new.img");

	c.read_only = true;
	refuses_new(c, -ENOENT, "cannot open");
}
END_TEST

START_TEST(link_that_leads_nowhere_is_no_place)
{
	struct disk_config c = config("new.img");

	ck_assert_int_eq(symlink("nowhere", c.path), 0);
	c.asleep = true;
	refuses(c, -ENOENT, "cannot open");
}
END_TEST

START_TEST(disk_that_nobody_brings_has_to_be_there)
{
	refuses(config("new.img"), -ENOENT, "cannot open");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disk_arrival");
	TCase *tc = make_case("arrivals");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, image_is_there_whole_or_not_at_all, 0, ARRAY_LEN(formats));
	tcase_add_test(tc, unsafe_image_is_durable_when_it_has_a_name);
	tcase_add_loop_test(tc, image_that_is_not_kept_goes_with_its_disk, 0, ARRAY_LEN(formats));
	tcase_add_loop_test(tc, image_that_is_not_kept_may_sleep_first, 0, ARRAY_LEN(formats));
	tcase_add_test(tc, what_has_come_in_its_place_stays);
	tcase_add_test(tc, process_that_is_killed_leaves_nothing);
	tcase_add_test(tc, it_is_locked_as_any_other);
	tcase_add_test(tc, what_somebody_else_has_made_is_not_replaced);
	tcase_add_test(tc, image_that_is_made_before_it_is_needed_is_the_disk_s);
	tcase_add_test(tc, image_of_another_format_that_is_made_there_is_refused);
	tcase_add_test(tc, disk_that_is_there_is_no_arrival);
	suite_add_tcase(s, tc);
	tc = make_case("refusals");
	tcase_add_test(tc, disk_that_is_due_has_nothing_and_cannot_wake);
	tcase_add_loop_test(tc, size_that_no_image_has_is_refused, 0, ARRAY_LEN(sizes));
	tcase_add_test(tc, blocks_that_do_not_fit_are_refused);
	tcase_add_test(tc, folder_that_is_missing_is_told_at_once);
	tcase_add_test(tc, folder_that_nobody_may_write_is_told_at_once);
	tcase_add_test(tc, file_system_without_such_files_is_told_at_once);
	tcase_add_test(tc, format_that_is_only_read_is_refused);
	tcase_add_test(tc, disk_that_is_only_read_has_to_be_there);
	tcase_add_test(tc, link_that_leads_nowhere_is_no_place);
	tcase_add_test(tc, disk_that_nobody_brings_has_to_be_there);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
