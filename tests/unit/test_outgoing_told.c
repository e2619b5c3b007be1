// SPDX-License-Identifier: Apache-2.0
/* What a source tells of its move, at any moment of it. */
#include "outgoing_fixture.h"

/* What is known of it follows in the same order, however often it is lost. */
static void *lose_and_run(void *arg)
{
	load();
	say(MESSAGE_RUNS, 0, 0);
	accept_source();
	ck_assert(await(MESSAGE_RESUME));
	say(MESSAGE_RUNS, 0, 0);
	ck_assert(await(MESSAGE_END));
	say(MESSAGE_DONE, 0, 0);
	(void)await(MESSAGE_BYE);
	return arg;
}

START_TEST(lost_move_recovers_before_it_goes_on)
{
	static const enum migration_status expected[] = {
		MIGRATION_SETUP, MIGRATION_ACTIVE, MIGRATION_DEVICE, MIGRATION_POSTCOPY,
		MIGRATION_LOST, MIGRATION_RECOVERS, MIGRATION_POSTCOPY, MIGRATION_COMPLETED,
	};

	parameters.postcopy = true;
	begin(lose_and_run);
	ck_assert_int_eq(outgoing_postcopy(outgoing, &err), 0);

	run_until(MIGRATION_COMPLETED);

	pthread_join(target, NULL);
	ck_assert_mem_eq(told, expected, sizeof(expected));
	ck_assert_uint_eq(nr_told, ARRAY_LEN(expected));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("outgoing_told");
	TCase *tc = tcase_create("to a target that is played");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, lost_move_recovers_before_it_goes_on);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
