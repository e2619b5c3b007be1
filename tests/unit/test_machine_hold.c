// SPDX-License-Identifier: Apache-2.0
/* The part of machine_state.h about who may hold a machine. */
#include "machine/machine_state.h"

#include "base/bits.h"
#include "base/err.h"
#include "machine/machine_parts.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct machine machine;
static struct machine_holder holder;
static struct err err;

static void setup(void)
{
	err = (struct err){ 0 };
	/* Nobody looks into it. */
	machine = (struct machine){ .board = (struct board *)&machine, .state = MACHINE_RUNNING };
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
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
