// SPDX-License-Identifier: Apache-2.0
/* The part of machine_state.h about disks: several, on loops that run. */
#include "machine/machine_state.h"

#include "disk_fixture.h"
#include "state_round.h"

#include "loop/loop.h"
#include "machine/machine_parts.h"

#include <unistd.h>

#define NR	3

static const char *const names[NR] = { "a.img", "b.img", "c.img" };
static struct loop *loops[NR];
static struct machine_part parts[NR + 1];
static struct machine machine;

/* With a card between the disks. */
static void setup_machine(void)
{
	setup();
	make_file("b.img", SIZE);
	make_file("c.img", SIZE);
	memset(parts, 0, sizeof(parts));
	machine = (struct machine){ .parts = parts };
	for (unsigned i = 0; i < NR; i++) {
		struct machine_part *part = &parts[i + (i > 0)];
		struct disk_config c = { .id = names[i], .path = in_folder(names[i]) };

		ck_assert_int_eq(loop_new(&loops[i], &err), 0);
		ck_assert_int_eq(disk_open(&part->device.disk, &c, loops[i], &err), 0);
		ck_assert_int_eq(loop_start(loops[i], names[i], &err), 0);
		part->device.kind = BOARD_DISK;
		part->device_id = (char *)names[i];
	}
	parts[1].device.kind = BOARD_NET;
	parts[1].device_id = (char *)names[2];
	for (unsigned i = 0; i < NR; i++)
		parts[i].next = &parts[i + 1];
}

static void teardown_machine(void)
{
	for (unsigned i = 0; i < NR; i++)
		loop_stop(loops[i]);
	for (unsigned i = 0; i <= NR; i++)
		disk_close(parts[i].device.disk, NULL);
	for (unsigned i = 0; i < NR; i++)
		loop_free(loops[i]);
	state_round_forget();
	teardown();
}

/* Do the disks keep others out? */
static bool are_locked(unsigned first, unsigned nr)
{
	unsigned nr_locked = 0;

	for (unsigned i = first; i < first + nr; i++) {
		struct disk_config c = config(names[i]);
		int r = disk_open(&disk, &c, loop, &err);

		ck_assert(!r || r == -EBUSY);
		nr_locked += r == -EBUSY;
		disk = r ? NULL : disk_close(disk, NULL);
	}
	ck_assert(!nr_locked || nr_locked == nr);
	return nr_locked;
}

START_TEST(all_disks_sleep_and_wake)
{
	ck_assert(are_locked(0, NR));
	ck_assert_int_eq(machine_state_flush(&machine, &err), 0);
	ck_assert_int_eq(machine_state_sleep_disks(&machine, &err), 0);
	ck_assert(!are_locked(0, NR));
	ck_assert_int_eq(machine_state_sleep_disks(&machine, &err), 0);

	ck_assert_int_eq(machine_state_wake_disks(&machine, &err), 0);
	ck_assert(are_locked(0, NR));
	ck_assert_int_eq(machine_state_wake_disks(&machine, &err), 0);
}
END_TEST

START_TEST(one_that_cannot_wake_is_named_and_all_sleep)
{
	struct disk_config c = config("b.img");
	struct err why = { 0 };

	ck_assert_int_eq(machine_state_sleep_disks(&machine, &err), 0);
	ck_assert_int_eq(disk_open(&disk, &c, loop, &err), 0);

	ck_assert_int_eq(machine_state_wake_disks(&machine, &why), -EBUSY);

	ck_assert_int_eq(strncmp(why.text, "disk 'b.img': ", 14), 0);
	disk = disk_close(disk, NULL);
	ck_assert(!are_locked(0, NR));
	ck_assert_int_eq(machine_state_wake_disks(&machine, &err), 0);
}
END_TEST

START_TEST(first_failure_is_the_one_that_is_told)
{
	ck_assert_int_eq(machine_state_sleep_disks(&machine, &err), 0);
	ck_assert_int_eq(unlink(in_folder("b.img")), 0);
	ck_assert_int_eq(truncate(in_folder("c.img"), SIZE / 2), 0);

	ck_assert_int_eq(machine_state_wake_disks(&machine, &err), -ENOENT);
	ck_assert_int_eq(strncmp(err.text, "disk 'b.img': ", 14), 0);
	ck_assert(!are_locked(0, 1));
}
END_TEST

START_TEST(one_that_cannot_sleep_is_named_and_all_are_awake)
{
	ck_assert_int_eq(unlink(in_folder("c.img")), 0);

	ck_assert_int_eq(machine_state_sleep_disks(&machine, &err), -ENOENT);

	ck_assert_int_eq(strncmp(err.text, "disk 'c.img': ", 14), 0);
	ck_assert(are_locked(0, 2));
}
END_TEST

/* In the state of another machine. */

/* What was written was so long ago. */
static void sleep_and_save(void)
{
	const struct timespec times[2] = { { 1000, 1 }, { 1000, 1 } };

	for (unsigned i = 0; i < NR; i++)
		ck_assert_int_eq(utimensat(AT_FDCWD, in_folder(names[i]), times, 0), 0);
	ck_assert_int_eq(machine_state_sleep_disks(&machine, &err), 0);
	state_round_save(machine_parts_save_marks, &machine);
}

/* As the other machine has them, before it knows more. */
static void open_asleep(void)
{
	for (unsigned i = 0; i < NR; i++) {
		struct disk **d = &parts[i + (i > 0)].device.disk;
		struct disk_config c = { .id = names[i], .path = in_folder(names[i]) };

		c.asleep = true;
		disk_close(*d, NULL);
		ck_assert_int_eq(disk_open(d, &c, loops[i], &err), 0);
	}
}

static bool has_state(void)
{
	struct state_reader *reader = state_round_reader();
	struct state_section section;
	bool has = state_reader_section(reader, 0, &section);

	state_reader_free(reader);
	return has;
}

static void must_load(void)
{
	ck_assert_msg(!state_round_load(machine_parts_load_marks, &machine), "%s",
		      round_err.text);
}

START_TEST(disks_wake_elsewhere_as_they_were_left)
{
	sleep_and_save();
	open_asleep();

	must_load();

	ck_assert_msg(!machine_state_wake_disks(&machine, &err), "%s", err.text);
	ck_assert(are_locked(0, NR));
}
END_TEST

START_TEST(one_that_was_written_meanwhile_does_not_wake_elsewhere)
{
	sleep_and_save();
	open_asleep();
	write_file("b.img", 512, "x", 1);
	must_load();

	ck_assert_int_eq(machine_state_wake_disks(&machine, &err), -ESTALE);

	ck_assert_int_eq(strncmp(err.text, "disk 'b.img': ", 14), 0);
	ck_assert(!are_locked(0, NR));
}
END_TEST

START_TEST(one_that_was_written_meanwhile_does_not_come_back)
{
	sleep_and_save();
	write_file("c.img", 512, "x", 1);

	ck_assert_int_eq(machine_state_wake_disks(&machine, &err), -ESTALE);

	ck_assert_int_eq(strncmp(err.text, "disk 'c.img': ", 14), 0);
	ck_assert(!are_locked(0, NR));
}
END_TEST

START_TEST(all_that_woke_in_vain_come_back)
{
	struct disk_config c = config("c.img");
	struct err why = { 0 };

	sleep_and_save();
	ck_assert_int_eq(disk_open(&disk, &c, loop, &err), 0);
	ck_assert_int_eq(machine_state_wake_disks(&machine, &why), -EBUSY);
	disk = disk_close(disk, NULL);

	ck_assert_msg(!machine_state_wake_disks(&machine, &err), "%s", err.text);
}
END_TEST

START_TEST(disks_that_are_awake_leave_nothing_in_the_state)
{
	state_round_save(machine_parts_save_marks, &machine);
	ck_assert(!has_state());

	must_load();
	sleep_and_save();
	ck_assert(has_state());
}
END_TEST

START_TEST(disk_that_no_device_shows_is_not_in_the_state)
{
	parts[0].device_id = NULL;
	sleep_and_save();

	must_load();
	ck_assert_int_eq(machine_state_wake_disks(&machine, &err), 0);
}
END_TEST

START_TEST(state_of_a_disk_that_is_not_there_is_refused)
{
	sleep_and_save();
	parts[0].device_id = (char *)names[1];

	ck_assert_int_eq(state_round_load(machine_parts_load_marks, &machine), -EINVAL);
	ck_assert_str_eq(round_err.text, "state: there is no disk 'a.img'");
}
END_TEST

static TCase *mark_tests(void)
{
	TCase *tc = tcase_create("marks");

	tcase_add_checked_fixture(tc, setup_machine, teardown_machine);
	tcase_add_test(tc, disks_wake_elsewhere_as_they_were_left);
	tcase_add_test(tc, one_that_was_written_meanwhile_does_not_wake_elsewhere);
	tcase_add_test(tc, one_that_was_written_meanwhile_does_not_come_back);
	tcase_add_test(tc, all_that_woke_in_vain_come_back);
	tcase_add_test(tc, disks_that_are_awake_leave_nothing_in_the_state);
	tcase_add_test(tc, disk_that_no_device_shows_is_not_in_the_state);
	tcase_add_test(tc, state_of_a_disk_that_is_not_there_is_refused);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("machine_disks");
	TCase *tc = tcase_create("disks");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup_machine, teardown_machine);
	tcase_add_test(tc, all_disks_sleep_and_wake);
	tcase_add_test(tc, one_that_cannot_wake_is_named_and_all_sleep);
	tcase_add_test(tc, first_failure_is_the_one_that_is_told);
	tcase_add_test(tc, one_that_cannot_sleep_is_named_and_all_are_awake);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, mark_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
