// SPDX-License-Identifier: Apache-2.0
#include "migrate/migration_plan.h"

#include "disk_fixture.h"
#include "fake_vm.h"
#include "state_round.h"

#include <sys/mman.h>

/* By the machine, whichever it is just then; of the first no device is made. */
static struct machine_disk shown[2];
static struct vm_disk_config shown_config;
static struct migration_plan plan;

/* Memory: of its inodes all is known, whatever the folder is on. */
static int make_image(off_t size)
{
	int fd = memfd_create("image", 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	return fd;
}

static void show(int image, bool read_only, const char *serial)
{
	char path[32];
	const struct disk_config c = { .id = "d", .path = path, .read_only = read_only };

	snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
	disk = disk_close(disk, NULL);
	ck_assert_msg(!disk_open(&disk, &c, loop, &err), "%s", err.text);
	shown_config.serial = (char *)serial;
	shown[0] = (struct machine_disk){ "unused", NULL, &shown_config, disk };
	shown[1] = (struct machine_disk){ "image", "d", &shown_config, disk };
	fake_vm.shown = shown;
	fake_vm.nr_shown = ARRAY_LEN(shown);
}

static int image;

static void setup_vm(void)
{
	setup();
	fake_vm_open(4096, true);
	image = make_image(SIZE);
	plan = (struct migration_plan){ .streams = 1 };
}

static void teardown_vm(void)
{
	state_round_forget();
	fake_vm_close();
	close(image);
	teardown();
}

static void see(bool copied)
{
	migration_plan_show(&plan, FAKE_VM_MACHINE, copied);
	ck_assert_uint_eq(plan.nr_shown, 1);
}

#define save(how, what)								\
	do {									\
		state_writer_free(round_writer);				\
		round_writer = state_writer_new("test");			\
		how(round_writer, what);					\
	} while (0)

static int load(struct migration_plan *ret_plan, struct state_reader *reader, struct err *ret_err)
{
	return migration_plan_load(reader, ret_plan, ret_err);
}

/* As it comes to the other side. */
static void send(void)
{
	struct migration_plan came = { 0 };

	save(migration_plan_save, &plan);
	ck_assert_msg(!state_round_load(load, &came), "%s", round_err.text);
	plan = came;
}

static void fits(void)
{
	ck_assert_msg(!migration_plan_check(&plan, FAKE_VM_MACHINE, &err), "%s", err.text);
}

static void does_not_fit(const char *why)
{
	ck_assert_int_eq(migration_plan_check(&plan, FAKE_VM_MACHINE, &err), -EINVAL);
	ck_assert_str_eq(err.text, why);
}

START_TEST(same_disk_fits)
{
	show(image, false, "S1");
	see(false);
	send();

	fits();
	ck_assert_uint_eq(plan.shown[0].size, SIZE);
	ck_assert_uint_ne(plan.shown[0].inode, 0);
	ck_assert_str_eq((char *)plan.shown[0].serial, "S1");
}
END_TEST

START_TEST(same_file_by_another_name_fits)
{
	int again = dup(image);

	show(image, false, NULL);
	see(false);
	send();

	show(again, false, NULL);

	fits();
	close(again);
}
END_TEST

START_TEST(other_size_is_refused)
{
	int other = make_image(2 * SIZE);

	show(image, false, NULL);
	see(false);
	send();

	show(other, false, NULL);

	does_not_fit("disk 'd': the VM has it with 262144 bytes, this one with 524288: give it the "
		     "same image; if that has grown, tell the VM by block_resize, or start this "
		     "one anew");
	close(other);
}
END_TEST

START_TEST(other_serial_is_refused)
{
	show(image, false, "S1");
	see(false);
	send();

	show(image, false, "S2");
	does_not_fit("disk 'd': the VM has it with serial 'S1', this one with 'S2': give it the "
		     "same serial=");
	show(image, false, NULL);
	does_not_fit("disk 'd': the VM has it with serial 'S1', this one with '': give it the "
		     "same serial=");
}
END_TEST

START_TEST(serial_where_there_was_none_is_refused)
{
	show(image, false, NULL);
	see(false);
	send();

	show(image, false, "S2");

	does_not_fit("disk 'd': the VM has it with serial '', this one with 'S2': give it the "
		     "same serial=");
}
END_TEST

/* A virtio disk has no room for its end. */
START_TEST(longest_serial_is_compared_to_its_end)
{
	show(image, false, "12345678901234567890");
	see(false);
	send();

	fits();
	show(image, false, "12345678901234567891");
	ck_assert_int_eq(migration_plan_check(&plan, FAKE_VM_MACHINE, &err), -EINVAL);
}
END_TEST

START_TEST(other_image_is_refused)
{
	int other = make_image(SIZE);

	show(image, false, NULL);
	see(false);
	send();

	show(other, false, NULL);

	does_not_fit("disk 'd': its image here is another file than the VM's: give it the same "
		     "one, or have the VM come by 'vmm migrate --with-disks'");
	close(other);
}
END_TEST

START_TEST(image_whose_file_is_not_known_there_fits)
{
	show(image, false, NULL);
	see(false);
	plan.shown[0].inode = 0;
	send();

	fits();
}
END_TEST

START_TEST(image_on_a_file_system_of_another_kind_fits)
{
	int other = make_image(SIZE);

	show(image, false, NULL);
	see(false);
	plan.shown[0].file_system++;
	send();

	show(other, false, NULL);

	fits();
	close(other);
}
END_TEST

START_TEST(copy_of_what_is_only_read_fits)
{
	int other = make_image(SIZE);

	show(image, true, NULL);
	see(false);
	send();

	show(other, true, NULL);

	fits();
	ck_assert_uint_eq(plan.shown[0].size, SIZE);
	close(other);
}
END_TEST

START_TEST(disk_that_is_copied_is_compared_by_its_serial)
{
	int other = make_image(2 * SIZE);

	show(image, false, "S1");
	see(true);
	send();

	show(other, false, "S1");
	fits();
	show(other, false, "S2");
	ck_assert_int_eq(migration_plan_check(&plan, FAKE_VM_MACHINE, &err), -EINVAL);
	close(other);
}
END_TEST

START_TEST(disk_that_is_only_read_is_not_copied)
{
	int other = make_image(2 * SIZE);

	show(image, true, NULL);
	see(true);
	send();

	show(other, true, NULL);

	ck_assert_int_eq(migration_plan_check(&plan, FAKE_VM_MACHINE, &err), -EINVAL);
	close(other);
}
END_TEST

/* Other releases. */

struct earlier {
	uint8_t session[MESSAGE_SESSION_LEN];
	uint32_t streams;
	bool postcopy;
	uint32_t nr_disks;
	struct migration_plan_disk disks[MESSAGE_DISKS_MAX];
};

static const struct state_field earlier_disk_fields[] = {
	{ STATE_ARRAY(struct migration_plan_disk, id) },
	{ STATE_ONE(struct migration_plan_disk, size) },
	STATE_END
};

static const struct state_field earlier_fields[] = {
	{ STATE_ARRAY(struct earlier, session) },
	{ STATE_ONE(struct earlier, streams) },
	{ STATE_ONE(struct earlier, postcopy) },
	{ STATE_STRUCT_LIST(struct earlier, disks, nr_disks, earlier_disk_fields) },
	STATE_END
};

static const struct state_table earlier_table = {
	.name = "migration", .version = 1, .fields = earlier_fields,
};

static void save_earlier(struct state_writer *writer, const struct earlier *earlier)
{
	state_save(writer, &earlier_table, 0, earlier);
}

static int load_earlier(struct earlier *earlier, struct state_reader *reader, struct err *ret_err)
{
	return state_load(reader, &earlier_table, 0, earlier, ret_err);
}

START_TEST(plan_that_does_not_tell_of_disks_fits)
{
	const struct earlier earlier = { .streams = 2 };

	save(save_earlier, &earlier);
	ck_assert_int_eq(state_round_load(load, &plan), 0);
	show(image, false, "S1");

	ck_assert_uint_eq(plan.streams, 2);
	ck_assert_uint_eq(plan.nr_shown, 0);
	fits();
}
END_TEST

START_TEST(target_that_does_not_ask_for_disks_takes_the_plan)
{
	static struct earlier earlier;

	show(image, false, "S1");
	see(false);
	save(migration_plan_save, &plan);

	ck_assert_msg(!state_round_load(load_earlier, &earlier), "%s", round_err.text);
	ck_assert_uint_eq(earlier.streams, 1);
}
END_TEST

/* Nobody has to be honest. */

START_TEST(disk_that_no_device_shows_is_none)
{
	show(image, false, NULL);
	see(false);

	fake_vm.nr_shown = 1;

	does_not_fit("disk 'd': this VM has none of that id");
}
END_TEST

START_TEST(disk_that_is_none_here_is_refused)
{
	show(image, false, NULL);
	see(false);
	memcpy(plan.shown[0].id, "e\x1b[m", sizeof("e\x1b[m"));
	send();

	does_not_fit("disk 'e?[m': this VM has none of that id");
}
END_TEST

START_TEST(serial_of_control_characters_is_not_shown)
{
	show(image, false, NULL);
	see(false);
	memcpy(plan.shown[0].serial, "\nS\x1b", sizeof("\nS\x1b"));
	send();

	does_not_fit("disk 'd': the VM has it with serial '?S?', this one with '': give it the "
		     "same serial=");
}
END_TEST

START_TEST(text_without_an_end_gets_one)
{
	show(image, false, NULL);
	see(false);
	memset(plan.shown[0].id, 'x', sizeof(plan.shown[0].id));
	memset(plan.shown[0].serial, 'y', sizeof(plan.shown[0].serial));
	send();

	ck_assert_uint_eq(strlen((char *)plan.shown[0].id), VM_CONFIG_NAME_MAX);
	ck_assert_uint_eq(strlen((char *)plan.shown[0].serial), MIGRATION_PLAN_SERIAL_MAX);
	plan.shown[0].id[0] = 'd', plan.shown[0].id[1] = 0;
	does_not_fit("disk 'd': the VM has it with serial 'yyyyyyyyyyyyyyyyyyyy', this one with "
		     "'': give it the same serial=");
}
END_TEST

START_TEST(disk_that_is_told_of_twice_is_compared_twice)
{
	show(image, false, "S1");
	see(false);
	plan.shown[plan.nr_shown++] = plan.shown[0];
	plan.shown[1].serial[1] = '2';
	send();

	ck_assert_int_eq(migration_plan_check(&plan, FAKE_VM_MACHINE, &err), -EINVAL);
}
END_TEST

/* More than there is room for, or less than all of one. */
struct crowd {
	uint8_t session[MESSAGE_SESSION_LEN];
	uint32_t streams;
	bool postcopy;
	uint32_t nr_shown;
	struct migration_plan_shown shown[MESSAGE_DISKS_MAX + 1];
};

static const struct state_field part_fields[] = {
	{ STATE_ARRAY(struct migration_plan_shown, id) },
	{ STATE_ONE(struct migration_plan_shown, size) },
	STATE_END
};

static const struct state_field crowd_fields[] = {
	{ STATE_ARRAY(struct crowd, session) },
	{ STATE_ONE(struct crowd, streams) },
	{ STATE_ONE(struct crowd, postcopy) },
	{ STATE_STRUCT_LIST(struct crowd, shown, nr_shown, part_fields), .hint = true },
	STATE_END
};

static const struct state_table crowd_table = {
	.name = "migration", .version = 1, .fields = crowd_fields,
};

static void save_crowd(struct state_writer *writer, const struct crowd *crowd)
{
	state_save(writer, &crowd_table, 0, crowd);
}

static const uint32_t wrong_numbers[] = { 1, MESSAGE_DISKS_MAX + 1 };

START_TEST(list_that_cannot_be_is_refused)
{
	static struct crowd crowd = { .streams = 1 };

	crowd.nr_shown = wrong_numbers[_i];
	save(save_crowd, &crowd);

	ck_assert_int_eq(state_round_load(load, &plan), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("migration_plan");
	TCase *tc = tcase_create("disks");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup_vm, teardown_vm);
	tcase_add_test(tc, same_disk_fits);
	tcase_add_test(tc, same_file_by_another_name_fits);
	tcase_add_test(tc, other_size_is_refused);
	tcase_add_test(tc, other_serial_is_refused);
	tcase_add_test(tc, serial_where_there_was_none_is_refused);
	tcase_add_test(tc, longest_serial_is_compared_to_its_end);
	tcase_add_test(tc, other_image_is_refused);
	tcase_add_test(tc, image_whose_file_is_not_known_there_fits);
	tcase_add_test(tc, image_on_a_file_system_of_another_kind_fits);
	tcase_add_test(tc, copy_of_what_is_only_read_fits);
	tcase_add_test(tc, disk_that_is_copied_is_compared_by_its_serial);
	tcase_add_test(tc, disk_that_is_only_read_is_not_copied);
	tcase_add_test(tc, plan_that_does_not_tell_of_disks_fits);
	tcase_add_test(tc, target_that_does_not_ask_for_disks_takes_the_plan);
	tcase_add_test(tc, disk_that_no_device_shows_is_none);
	tcase_add_test(tc, disk_that_is_none_here_is_refused);
	tcase_add_test(tc, serial_of_control_characters_is_not_shown);
	tcase_add_test(tc, text_without_an_end_gets_one);
	tcase_add_test(tc, disk_that_is_told_of_twice_is_compared_twice);
	tcase_add_loop_test(tc, list_that_cannot_be_is_refused, 0, ARRAY_LEN(wrong_numbers));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
