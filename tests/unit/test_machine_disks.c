// SPDX-License-Identifier: Apache-2.0
/* The part of machine_state.h about disks: several, on loops that run. */
#include "machine/machine_state.h"

#include "disk_fixture.h"

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
	}
	parts[1].device.kind = BOARD_NET;
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

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
