// SPDX-License-Identifier: Apache-2.0
/* The part of machine_state.h about who may hold a machine, and when it can be saved. */
#include "machine/machine_state.h"

#include "base/bits.h"
#include "base/err.h"
#include "machine/machine_parts.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_EVENT (-1) /* as machine.c has it */

static struct machine machine;
static struct machine_holder holder;
static struct err err;

static void setup(void)
{
	err = (struct err){ 0 };
	/* Nobody looks into it. */
	machine = (struct machine){ .board = (struct board *)&machine, .state = MACHINE_RUNNING,
				    .event = NO_EVENT };
}

static void refuses(int code, const char *why)
{
	ck_assert_int_eq(machine_state_hold(&machine, &holder, &err), code);
	ck_assert_ptr_null(machine.holder);
	ck_assert_msg(strstr(err.text, why) != NULL, "'%s' lacks '%s'", err.text, why);
}

static const enum machine_state owned[] = {
	MACHINE_PRELAUNCH, MACHINE_RUNNING, MACHINE_PAUSED, MACHINE_IO_ERROR,
};

START_TEST(machine_of_our_own_is_held)
{
	machine.state = owned[_i];

	ck_assert_int_eq(machine_state_hold(&machine, &holder, &err), 0);

	ck_assert_ptr_eq(machine.holder, &holder);
}
END_TEST

static const struct {
	enum machine_state state;
	const char *why;
} another[] = {
	{ MACHINE_HANDED_OVER, "may run elsewhere" },
	{ MACHINE_MOVED, "has moved, and runs elsewhere" },
};

/* It could be given away twice. */
START_TEST(machine_that_is_or_may_be_another_s_is_not_held)
{
	machine.state = another[_i].state;

	refuses(-EPERM, another[_i].why);
}
END_TEST

START_TEST(machine_that_has_not_come_yet_is_not_held)
{
	machine = (struct machine){ .state = MACHINE_INCOMING };

	refuses(-EBUSY, "has not come yet");
}
END_TEST

static const enum machine_state off[] = { MACHINE_SHUT_DOWN, MACHINE_CRASHED };

START_TEST(machine_whose_guest_is_off_is_not_held)
{
	machine.state = off[_i];

	refuses(-EPERM, "the guest has ended");
}
END_TEST

static struct machine_holder other;

/* As machine_state_release() does, for which there would have to be a loop. */
static void let_it_go(struct machine_holder *which)
{
	ck_assert_ptr_eq(which, machine.holder);
	machine.holder = NULL;
}

static void keep_it(struct machine_holder *which)
{
	ck_assert_ptr_eq(which, &other);
}

START_TEST(machine_is_held_by_the_next_where_its_holder_gives_way)
{
	other.give_way = let_it_go;
	machine.holder = &other;

	ck_assert_int_eq(machine_state_hold(&machine, &holder, &err), 0);

	ck_assert_ptr_eq(machine.holder, &holder);
}
END_TEST

static void (*const stubborn[])(struct machine_holder *which) = { NULL, keep_it };

START_TEST(machine_is_held_by_one_at_a_time)
{
	other.give_way = stubborn[_i];
	machine.holder = &other;

	ck_assert_int_eq(machine_state_hold(&machine, &holder, &err), -EBUSY);

	ck_assert_ptr_eq(machine.holder, &other);
}
END_TEST

START_TEST(nobody_gives_way_to_one_that_is_refused)
{
	other.give_way = let_it_go;
	machine.holder = &other;
	machine.state = MACHINE_HANDED_OVER;

	ck_assert_int_eq(machine_state_hold(&machine, &holder, &err), -EPERM);

	ck_assert_ptr_eq(machine.holder, &other);
}
END_TEST

static void is_not_saved(int code, const char *why)
{
	struct state_writer *none = NULL;

	ck_assert_int_eq(machine_state_save(&machine, none, &err), code);
	ck_assert_msg(strstr(err.text, why) != NULL, "'%s' lacks '%s'", err.text, why);
}

START_TEST(machine_whose_guest_is_off_is_not_saved)
{
	machine.state = off[_i];

	is_not_saved(-EPERM, "the guest has ended");
}
END_TEST

/* It has ended since the machine was held. */
START_TEST(machine_whose_guest_is_off_is_not_made_one_that_saves)
{
	machine.state = off[_i];

	ck_assert_int_eq(machine_state_begin_save(&machine, &err), -EPERM);

	ck_assert_int_eq(machine.state, off[_i]);
	ck_assert_ptr_nonnull(strstr(err.text, "the guest has ended"));
}
END_TEST

static void begin_save(void)
{
	ck_assert_int_eq(machine_state_begin_save(&machine, &err), 0);
}

static void say_nothing(void)
{
}

static void say_cont(void)
{
	ck_assert_int_eq(machine_resume(&machine, &err), 0);
}

static void say_cont_and_stop(void)
{
	say_cont();
	machine_pause(&machine);
}

static const struct {
	void (*say)(void);
	bool goes_on;
} said[] = {
	{ say_nothing, false }, { say_cont, true }, { say_cont_and_stop, false },
};

START_TEST(machine_is_what_was_said_while_it_was_saved)
{
	machine.state = MACHINE_PAUSED;
	begin_save();

	said[_i].say();

	ck_assert_int_eq(machine.state, MACHINE_SAVING);
	ck_assert_int_eq(machine.before == MACHINE_RUNNING, said[_i].goes_on);
}
END_TEST

static const enum machine_state still[] = {
	MACHINE_PRELAUNCH, MACHINE_PAUSED, MACHINE_IO_ERROR,
};

START_TEST(machine_that_stood_still_does_so_after_it_was_saved)
{
	machine.state = still[_i];
	begin_save();

	machine_state_end_save(&machine, false);

	ck_assert_int_eq(machine.state, still[_i]);
}
END_TEST

START_TEST(machine_that_is_to_stand_still_does_so_after_it_was_saved)
{
	machine.state = MACHINE_PAUSED;
	begin_save();
	say_cont();

	ck_assert(machine_state_end_save(&machine, true));

	ck_assert_int_eq(machine.state, MACHINE_PAUSED);
}
END_TEST

START_TEST(machine_that_was_stopped_while_it_was_saved_would_not_run)
{
	machine.state = MACHINE_PAUSED;
	begin_save();
	say_cont_and_stop();

	ck_assert(!machine_state_end_save(&machine, true));

	ck_assert_int_eq(machine.state, MACHINE_PAUSED);
}
END_TEST

START_TEST(machine_that_runs_is_not_saved)
{
	is_not_saved(-EBUSY, "has to be paused");
}
END_TEST

/* As vCPUs leave it, which are stopped before the main thread gets to it. */
static void ask_for_the_end(void)
{
	machine.event = BOARD_POWEROFF;
}

static void panic(void)
{
	machine.panicked = true;
}

static void eject(void)
{
	machine.ejected = 1;
}

static void refuse_to_eject(void)
{
	machine.refused = 1;
}

static void (*const acts[])(void) = { ask_for_the_end, panic, eject, refuse_to_eject };

START_TEST(what_the_guest_has_just_asked_for_is_not_lost)
{
	machine.state = MACHINE_PAUSED;
	acts[_i]();

	is_not_saved(-EAGAIN, "has just asked");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("machine_hold");
	TCase *tc = tcase_create("holding");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, machine_of_our_own_is_held, 0, ARRAY_LEN(owned));
	tcase_add_loop_test(tc, machine_that_is_or_may_be_another_s_is_not_held, 0,
			    ARRAY_LEN(another));
	tcase_add_test(tc, machine_that_has_not_come_yet_is_not_held);
	tcase_add_test(tc, machine_is_held_by_the_next_where_its_holder_gives_way);
	tcase_add_loop_test(tc, machine_is_held_by_one_at_a_time, 0, ARRAY_LEN(stubborn));
	tcase_add_test(tc, nobody_gives_way_to_one_that_is_refused);
	tcase_add_loop_test(tc, machine_whose_guest_is_off_is_not_held, 0, ARRAY_LEN(off));
	suite_add_tcase(s, tc);
	tc = tcase_create("saving");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, machine_whose_guest_is_off_is_not_saved, 0, ARRAY_LEN(off));
	tcase_add_loop_test(tc, machine_whose_guest_is_off_is_not_made_one_that_saves, 0,
			    ARRAY_LEN(off));
	tcase_add_loop_test(tc, machine_is_what_was_said_while_it_was_saved, 0, ARRAY_LEN(said));
	tcase_add_loop_test(tc, machine_that_stood_still_does_so_after_it_was_saved, 0,
			    ARRAY_LEN(still));
	tcase_add_test(tc, machine_that_is_to_stand_still_does_so_after_it_was_saved);
	tcase_add_test(tc, machine_that_was_stopped_while_it_was_saved_would_not_run);
	tcase_add_test(tc, machine_that_runs_is_not_saved);
	tcase_add_loop_test(tc, what_the_guest_has_just_asked_for_is_not_lost, 0, ARRAY_LEN(acts));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
