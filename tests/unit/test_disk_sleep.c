// SPDX-License-Identifier: Apache-2.0
/* The part of disk.h that hands a disk from one process to another; here from one struct. */
#include "handover_fixture.h"

#include "block/disk_overlay.h"
#include "block/format.h"
#include "block/qcow2.h"
#include "block/throttle.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#define NR_ROUNDS	3

/* Locks. */

START_TEST(disk_that_sleeps_is_another_s_to_open)
{
	const char *name = make_image(_i);

	open_awake(name);
	ck_assert_int_eq(open_other(name), -EBUSY);
	must_sleep();

	ck_assert_msg(!open_other(name), "%s", err.text);
}
END_TEST

START_TEST(files_behind_are_let_go_as_well)
{
	make_chain();
	open_awake("top.qcow2");
	ck_assert_int_eq(open_other("a.img"), -EBUSY);
	ck_assert_int_eq(open_other("mid.qcow2"), -EBUSY);
	must_sleep();

	other_writes("a.img", 0, 0x11);
	other_writes("mid.qcow2", 8192, 0x22);
	must_wake();

	ck_assert_int_eq(byte_at(0), 0x11);
	ck_assert_int_eq(byte_at(8192), 0x22);
	ck_assert_int_eq(open_other("mid.qcow2"), -EBUSY);
}
END_TEST

START_TEST(disk_that_another_has_stays_asleep)
{
	const char *name = make_image(_i);
	struct disk_topology topology;

	open_awake(name);
	topology = disk_topology(disk);
	must_sleep();
	ck_assert_msg(!open_other(name), "%s", err.text);

	refuses_to(disk_wake, -EBUSY, name);
	ck_assert_uint_eq(disk_topology(disk).physical, topology.physical);
	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 512), -EBUSY);

	other = disk_close(other, NULL);
	must_wake();
	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 512), 0);
	ck_assert_int_eq(open_other(name), -EBUSY);
}
END_TEST

static unsigned nr_open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

START_TEST(no_file_stays_open)
{
	struct disk_config c = config("a.vmdk");
	unsigned nr = nr_open_files();

	run("qemu-img convert -O vmdk -o subformat=twoGbMaxExtentSparse a.img a.vmdk");
	c.read_only = c.asleep = true;
	ck_assert_int_eq(disk_open(&disk, &c, loop, &err), 0);
	ck_assert_uint_eq(nr_open_files(), nr);
	must_wake();
	ck_assert_int_eq(byte_at(0), 0);
	ck_assert_uint_eq(nr_open_files(), nr + 2);
	must_sleep();

	ck_assert_uint_eq(nr_open_files(), nr);
}
END_TEST

START_TEST(readers_share_a_disk_that_wakes)
{
	struct disk_config c = config("a.img");

	c.read_only = true;
	ck_assert_int_eq(disk_open(&disk, &c, loop, &err), 0);
	must_sleep();
	ck_assert_int_eq(disk_open(&other, &c, loop, &err), 0);

	must_wake();
	ck_assert(disk_read_only(disk));
}
END_TEST

/* Content. */

START_TEST(what_was_written_is_there_for_the_next)
{
	const char *name = make_image(_i);

	open_awake(name);
	ck_assert_int_eq(fill(&disk, 0, 0x33), 0);
	must_sleep();
	ck_assert_msg(!open_other(name), "%s", err.text);

	ck_assert_int_eq(fill(&other, 4096, 0x44), 0);
	other_leaves();
	disk_expect(disk, &left);
	must_wake();

	ck_assert_int_eq(byte_at(0), 0x33);
	ck_assert_int_eq(byte_at(4096), 0x44);
}
END_TEST

START_TEST(tables_in_memory_are_read_anew)
{
	const char *name = make_image(_i);

	open_awake(name);
	ck_assert_int_eq(byte_at(65536), 0);	/* now the table says that nothing is there */
	must_sleep();
	other_writes(name, 65536, 0x55);
	disk_expect(disk, &left);
	must_wake();

	ck_assert_int_eq(byte_at(65536), 0x55);
	ck_assert_int_eq(fill(&disk, 131072, 0x66), 0);
	ck_assert_int_eq(byte_at(65536), 0x55);
}
END_TEST

START_TEST(hand_overs_leave_a_sound_image)
{
	make_qcow2("a.qcow2", "-o cluster_size=512");
	open_awake("a.qcow2");
	for (uint8_t i = 0; i < NR_ROUNDS; i++) {
		ck_assert_int_eq(fill(&disk, i * 40960, (uint8_t)(i + 1)), 0);
		must_sleep();
		other_writes("a.qcow2", i * 40960 + 8192, (uint8_t)(i + 101));
		disk_expect(disk, &left);
		must_wake();
	}
	for (uint8_t i = 0; i < NR_ROUNDS; i++) {
		ck_assert_int_eq(byte_at(i * 40960), i + 1);
		ck_assert_int_eq(byte_at(i * 40960 + 8192), i + 101);
	}
	disk = disk_close(disk, NULL);

	run("qemu-img check a.qcow2");
}
END_TEST

START_TEST(unsafe_disk_is_written_back_before_it_sleeps)
{
	struct disk_config c = writable("a.qcow2");

	make_qcow2("a.qcow2", "-o cluster_size=4k");
	c.path = in_folder("a.qcow2");
	c.cache = DISK_UNSAFE;
	ck_assert_int_eq(disk_open(&disk, &c, loop, &err), 0);
	ck_assert_int_eq(fill(&disk, 0, 0x77), 0);
	must_sleep();

	run("qemu-io -r -c 'read -P 0x77 0 4k' a.qcow2");
}
END_TEST

START_TEST(header_of_another_format_from_the_guest_is_data_when_it_wakes)
{
	open_awake("a.img");
	memcpy(bytes, "QFI\xfb", 4);
	ck_assert_int_eq(transfer(DISK_WRITE, 0, bytes, 512), 0);
	must_sleep();

	must_wake();

	ck_assert_str_eq(disk_format_name(disk), "raw");
	ck_assert_int_eq(byte_at(0), 'Q');
}
END_TEST

/* What it is like. */

START_TEST(disk_that_sleeps_still_tells_what_it_is)
{
	struct disk_topology topology;

	make_qcow2("a.qcow2", "-o cluster_size=4k");
	open_awake("a.qcow2");
	ck_assert_int_eq(fill(&disk, 0, 1), 0);
	topology = disk_topology(disk);
	must_sleep();

	ck_assert_str_eq(disk_id(disk), "root");
	ck_assert_uint_eq(disk_size(disk), 1048576);
	ck_assert_uint_eq(disk_block_size(disk), 512);
	ck_assert_uint_eq(disk_discard_unit(disk), 4096);
	ck_assert_uint_eq(disk_topology(disk).physical, topology.physical);
	ck_assert_str_eq(disk_format_name(disk), "qcow2");
	ck_assert(!disk_read_only(disk));
	ck_assert_uint_eq(disk_allocated(disk), 0);
	ck_assert_uint_eq(disk_counter(disk, DISK_WRITE).bytes, 4096);
	must_wake();
	ck_assert_uint_eq(disk_counter(disk, DISK_WRITE).bytes, 4096);
	ck_assert_uint_gt(disk_allocated(disk), 0);
}
END_TEST

START_TEST(device_s_wishes_outlast_sleep)
{
	const struct disk_use use = { .block_size = 4096, .write_through = true };

	open_awake("a.img");
	ck_assert_int_eq(disk_set_use(disk, &use, &err), 0);
	must_sleep();
	must_wake();

	ck_assert_uint_eq(disk_block_size(disk), 4096);
	ck_assert(!disk_write_cache(disk));
}
END_TEST

START_TEST(limits_outlast_sleep)
{
	struct throttle_group *group = throttle_group_new(loop, "g");

	open_awake("a.img");
	disk_set_throttle(disk, group);
	must_sleep();
	must_wake();

	ck_assert_ptr_eq(disk_throttle(disk), group);
	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 512), 0);
}
END_TEST

START_TEST(requests_of_a_disk_that_sleeps_are_refused)
{
	open_awake("a.img");
	must_sleep();

	ck_assert_int_eq(transfer(DISK_READ, 0, bytes, 512), -EBUSY);
	ck_assert_int_eq(transfer(DISK_WRITE, 0, bytes, 512), -EBUSY);
	ck_assert_int_eq(disk_resize(disk, 2 * SIZE, &err), -EBUSY);
}
END_TEST

START_TEST(disk_of_another_size_is_refused_and_sleeps_on)
{
	open_to_read("a.img");
	must_sleep();
	ck_assert_int_eq(truncate(in_folder("a.img"), 2 * SIZE), 0);

	refuses_to(disk_wake, -EINVAL, "has 524288 bytes now, and had 262144 before");
	ck_assert_uint_eq(disk_size(disk), SIZE);
	ck_assert_int_eq(open_other("a.img"), 0);
	other = disk_close(other, NULL);

	ck_assert_int_eq(truncate(in_folder("a.img"), SIZE), 0);
	must_wake();
}
END_TEST

START_TEST(qcow2_image_of_another_size_is_refused)
{
	make_qcow2("a.qcow2", "");
	open_to_read("a.qcow2");
	must_sleep();
	run("qemu-img resize a.qcow2 2M");

	refuses_to(disk_wake, -EINVAL, "has 2097152 bytes now");
	ck_assert_int_eq(open_other("a.qcow2"), 0);
}
END_TEST

/* Failures. */

START_TEST(file_without_its_name_cannot_sleep)
{
	open_awake("a.img");
	run("mv a.img b.img && truncate -s 256k a.img");

	refuses_to(disk_sleep, -ENOENT, "is not the file that is in use");
	ck_assert_int_eq(fill(&disk, 0, 1), 0);
	ck_assert_int_eq(open_other("b.img"), -EBUSY);
}
END_TEST

START_TEST(file_behind_without_its_name_cannot_sleep)
{
	make_chain();
	open_awake("top.qcow2");
	run("rm a.img");

	refuses_to(disk_sleep, -ENOENT, "a.img");
	ck_assert_int_eq(byte_at(0), 0);
}
END_TEST

START_TEST(what_cannot_be_flushed_stays_awake)
{
	open_awake("a.img");
	ck_assert_int_eq(fill(&disk, 0, 1), 0);
	disk->file.flush_error = -EIO;

	refuses_to(disk_sleep, -EIO, "cannot flush it");
	ck_assert_int_eq(byte_at(0), 1);
	ck_assert_int_eq(open_other("a.img"), -EBUSY);
}
END_TEST

START_TEST(what_cannot_be_written_back_at_the_end_is_opened_again)
{
	make_qcow2("a.qcow2", "");
	open_awake("a.qcow2");
	((struct qcow2 *)disk->state)->failed = true;

	refuses_to(disk_sleep, -EIO, "what was written last cannot be saved");
	ck_assert_int_eq(fill(&disk, 0, 1), 0);
	ck_assert_int_eq(open_other("a.qcow2"), -EBUSY);
}
END_TEST

START_TEST(missing_file_keeps_the_disk_asleep)
{
	open_awake("a.img");
	must_sleep();
	run("mv a.img b.img");

	refuses_to(disk_wake, -ENOENT, "cannot open");
	run("mv b.img a.img");
	must_wake();
}
END_TEST

START_TEST(twice_is_once)
{
	open_awake("a.img");
	must_wake();
	must_sleep();
	must_sleep();
	must_wake();
	must_wake();

	ck_assert_int_eq(byte_at(0), 0);
	ck_assert_int_eq(open_other("a.img"), -EBUSY);
}
END_TEST

/* Looking. */

START_TEST(disk_is_looked_at_while_another_has_it)
{
	const char *name = make_image(_i);
	uint64_t size;

	ck_assert_msg(!open_other(name), "%s", err.text);
	size = disk_size(other);
	open_asleep(name);

	ck_assert_uint_eq(disk_size(disk), size);
	ck_assert_uint_eq(disk_block_size(disk), 512);
	ck_assert_uint_eq(disk_discard_unit(disk), disk_discard_unit(other));
	ck_assert_str_eq(disk_format_name(disk), disk_format_name(other));
	ck_assert(!disk_read_only(disk));
	refuses_to(disk_wake, -EBUSY, name);
	ck_assert_int_eq(fill(&other, 0, 0x21), 0);
	other = disk_close(other, NULL);
	must_wake();
	ck_assert_int_eq(byte_at(0), 0x21);
	ck_assert_int_eq(fill(&disk, 0, 0x22), 0);
}
END_TEST

START_TEST(look_is_no_lock)
{
	const char *name = make_image(_i);

	open_asleep(name);

	ck_assert_msg(!open_other(name), "%s", err.text);
}
END_TEST

START_TEST(file_behind_is_looked_at_while_another_writes_it)
{
	make_chain();
	ck_assert_int_eq(open_other("a.img"), 0);
	open_asleep("top.qcow2");

	refuses_to(disk_wake, -EBUSY, "a.img");
}
END_TEST

START_TEST(look_changes_nothing)
{
	make_qcow2("a.qcow2", "");
	patch("a.qcow2", 72, 1, 8);		/* dirty: whoever opens it to write repairs it */
	patch("a.qcow2", 88, 0x80, 8);		/* a promise that we do not keep */
	run("cp a.qcow2 before.qcow2");

	open_asleep("a.qcow2");
	run("cmp a.qcow2 before.qcow2");
	must_wake();

	ck_assert_uint_eq(look("a.qcow2", 72), 0);
	ck_assert_uint_eq(look("a.qcow2", 88), 0);
}
END_TEST

START_TEST(look_sees_what_could_not_be_opened)
{
	struct disk_config c = writable("a.img");

	c.asleep = true;
	ck_assert_int_eq(chmod(c.path, 0444), 0);
	ck_assert_int_ge(seteuid(geteuid() ? geteuid() : 65534), 0);
	refuses(c, -EACCES, "add 'readonly'");
	ck_assert_int_eq(seteuid(getuid()), 0);

	c = writable("a.qcow2");
	c.asleep = true;
	make_qcow2("a.qcow2", "");
	c.path = in_folder("a.qcow2");
	patch("a.qcow2", 72, 2, 8);
	refuses(c, -EIO, "marked as damaged");
}
END_TEST

/* Overlays. */

static int open_over(const char *overlay, bool asleep)
{
	struct disk_config c = writable("a.img");
	bool made;

	c.asleep = asleep;
	return disk_overlay_open(&disk, &c, overlay, loop, &made, &err);
}

START_TEST(overlay_is_handed_over)
{
	char overlay[128];

	snprintf(overlay, sizeof(overlay), "%s/over.qcow2", folder);
	ck_assert_int_eq(open_over(overlay, false), 0);
	ck_assert_int_eq(fill(&disk, 0, 0x31), 0);
	other = disk;
	ck_assert_msg(!open_over(overlay, true), "%s", err.text);
	ck_assert_uint_eq(disk_size(disk), SIZE);
	ck_assert_int_eq(disk_sleep(other, &err), 0);

	must_wake();

	ck_assert_int_eq(byte_at(0), 0x31);
	ck_assert_int_eq(disk_wake(other, &err), -EBUSY);
}
END_TEST

START_TEST(look_makes_no_overlay)
{
	char overlay[128];

	snprintf(overlay, sizeof(overlay), "%s/over.qcow2", folder);

	ck_assert_int_eq(open_over(overlay, true), -ENOENT);
	ck_assert_int_ne(access(overlay, F_OK), 0);
}
END_TEST

START_TEST(temporary_overlay_stays_where_it_is)
{
	ck_assert_int_eq(open_over(DISK_OVERLAY_TEMPORARY, true), -ENOTSUP);
	ck_assert_int_eq(open_over(DISK_OVERLAY_TEMPORARY, false), 0);
	ck_assert_int_eq(fill(&disk, 0, 0x41), 0);

	refuses_to(disk_sleep, -ENOENT, "is not the file");
	ck_assert_int_eq(byte_at(0), 0x41);
}
END_TEST

static TCase *hand_over_tests(void)
{
	TCase *tc = make_case("handing over");
	int nr = ARRAY_LEN(images);

	tcase_add_loop_test(tc, disk_that_sleeps_is_another_s_to_open, 0, nr);
	tcase_add_test(tc, files_behind_are_let_go_as_well);
	tcase_add_loop_test(tc, disk_that_another_has_stays_asleep, 0, nr);
	tcase_add_test(tc, no_file_stays_open);
	tcase_add_test(tc, readers_share_a_disk_that_wakes);
	tcase_add_loop_test(tc, what_was_written_is_there_for_the_next, 0, nr);
	tcase_add_loop_test(tc, tables_in_memory_are_read_anew, 0, nr);
	tcase_add_test(tc, hand_overs_leave_a_sound_image);
	tcase_add_test(tc, unsafe_disk_is_written_back_before_it_sleeps);
	tcase_add_test(tc, header_of_another_format_from_the_guest_is_data_when_it_wakes);
	return tc;
}

static TCase *sleep_tests(void)
{
	TCase *tc = make_case("sleep");

	tcase_add_test(tc, disk_that_sleeps_still_tells_what_it_is);
	tcase_add_test(tc, device_s_wishes_outlast_sleep);
	tcase_add_test(tc, limits_outlast_sleep);
	tcase_add_test(tc, requests_of_a_disk_that_sleeps_are_refused);
	tcase_add_test(tc, disk_of_another_size_is_refused_and_sleeps_on);
	tcase_add_test(tc, qcow2_image_of_another_size_is_refused);
	tcase_add_test(tc, file_without_its_name_cannot_sleep);
	tcase_add_test(tc, file_behind_without_its_name_cannot_sleep);
	tcase_add_test(tc, what_cannot_be_flushed_stays_awake);
	tcase_add_test(tc, what_cannot_be_written_back_at_the_end_is_opened_again);
	tcase_add_test(tc, missing_file_keeps_the_disk_asleep);
	tcase_add_test(tc, twice_is_once);
	return tc;
}

static TCase *look_tests(void)
{
	TCase *tc = make_case("looking");
	int nr = ARRAY_LEN(images);

	tcase_add_loop_test(tc, disk_is_looked_at_while_another_has_it, 0, nr);
	tcase_add_loop_test(tc, look_is_no_lock, 0, nr);
	tcase_add_test(tc, file_behind_is_looked_at_while_another_writes_it);
	tcase_add_test(tc, look_changes_nothing);
	tcase_add_test(tc, look_sees_what_could_not_be_opened);
	tcase_add_test(tc, overlay_is_handed_over);
	tcase_add_test(tc, look_makes_no_overlay);
	tcase_add_test(tc, temporary_overlay_stays_where_it_is);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("disk_sleep");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	suite_add_tcase(s, hand_over_tests());
	suite_add_tcase(s, sleep_tests());
	suite_add_tcase(s, look_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
