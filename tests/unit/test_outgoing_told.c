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
	say(MESSAGE_MISSING, 0, NR_PAGES);
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

/* What is said at each status; what was said before it is in before. */

static struct migration_info before;

static uint64_t precopy(const struct migration_info *info)
{
	return info->sent - info->downtime_bytes - info->postcopy_bytes;
}

static void look(void *ctx, enum migration_status now)
{
	struct migration_info info = outgoing_info(outgoing);

	ck_assert_uint_ge(precopy(&info), precopy(&before));
	ck_assert_uint_ge(info.downtime_bytes, before.downtime_bytes);
	ck_assert_uint_ge(info.postcopy_bytes, before.postcopy_bytes);
	ck_assert_uint_ge(info.pages + info.zeroes, before.pages + before.zeroes);
	ck_assert_uint_ge(info.downtime_ns, before.downtime_ns);
	ck_assert_uint_ge(info.total_ns, info.setup_ns + info.downtime_ns);
	ck_assert_uint_le(info.remaining, info.memory);
	before = info;
	changed(ctx, now);
}

static uint64_t nr_passes;

static void count_pass(void *ctx, uint64_t nr)
{
	(void)ctx;
	ck_assert_uint_eq(nr, ++nr_passes);
	ck_assert_uint_ge(outgoing_info(outgoing).rounds, nr);
}

static void watch(void)
{
	outgoing = outgoing_free(outgoing);
	whole.changed = look;
	whole.round = count_pass;
	outgoing = outgoing_new(&whole);
}

START_TEST(no_count_goes_back_when_the_move_goes_on)
{
	watch();
	parameters.postcopy = true;
	begin(lose_and_run);
	ck_assert_int_eq(outgoing_postcopy(outgoing, &err), 0);

	run_until(MIGRATION_COMPLETED);

	pthread_join(target, NULL);
	ck_assert_uint_gt(before.postcopy_bytes, 0);
}
END_TEST

static void *take_and_run(void *arg)
{
	load();
	say(MESSAGE_DONE, 0, 0);
	(void)await(MESSAGE_BYE);
	return arg;
}

START_TEST(guest_at_rest_is_sent_once)
{
	watch();
	memset((char *)fake_vm.ram.host + 3 * PAGES_LEN, 0, 5 * PAGES_LEN);
	parameters.multifd = _i;
	parameters.streams = 1;
	begin(take_and_run);

	run_until(MIGRATION_COMPLETED);

	pthread_join(target, NULL);
	ck_assert_uint_eq(before.zeroes, 5);
	ck_assert_uint_eq(before.pages, NR_PAGES - 5);
	ck_assert_uint_eq(before.remaining, 0);
	ck_assert_uint_eq(before.rounds, nr_passes);
	ck_assert_uint_eq(before.multifd_bytes, _i ? before.sent : 0);
	ck_assert_uint_gt(before.downtime_ns, 0);
}
END_TEST

static void *take_memory(void *arg)
{
	accept_source();
	ck_assert(await(MESSAGE_PLAN));
	say(MESSAGE_READY, 0, 0);
	ck_assert(!await(MESSAGE_STATE));
	return arg;
}

START_TEST(first_round_is_told_while_it_lasts)
{
	struct migration_info info;

	parameters.bandwidth = 1000;
	begin(take_memory);
	run_until(MIGRATION_ACTIVE);

	do {
		poll(NULL, 0, 10);
		info = outgoing_info(outgoing);
	} while (!info.sent);

	ck_assert_uint_eq(info.remaining, info.memory - (info.pages + info.zeroes) * PAGES_LEN);
	ck_assert_uint_lt(info.remaining, info.memory);
	ck_assert_uint_gt(info.rate, 0);
	ck_assert_uint_gt(info.page_rate, 0);
	ck_assert_int_eq(outgoing_cancel(outgoing, &err), 0);
	run_until(MIGRATION_CANCELLED);
	pthread_join(target, NULL);
	ck_assert_uint_eq(outgoing_info(outgoing).downtime_ns, 0);
}
END_TEST

static void *load_and_fail(void *arg)
{
	accept_source();
	ck_assert(await(MESSAGE_PLAN));
	say(MESSAGE_READY, 0, 0);
	ck_assert(await(MESSAGE_STATE));
	say(MESSAGE_FAILED, 0, 0);
	return arg;
}

START_TEST(guest_that_goes_on_here_has_stood_still_until_then)
{
	uint64_t ns;

	watch();
	begin(load_and_fail);

	run_until(MIGRATION_FAILED);

	pthread_join(target, NULL);
	ns = before.downtime_ns;
	ck_assert_uint_gt(ns, 0);
	ck_assert_uint_eq(outgoing_info(outgoing).downtime_ns, ns);
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
	tcase_add_test(tc, no_count_goes_back_when_the_move_goes_on);
	tcase_add_loop_test(tc, guest_at_rest_is_sent_once, 0, 2);
	tcase_add_test(tc, first_round_is_told_while_it_lasts);
	tcase_add_test(tc, guest_that_goes_on_here_has_stood_still_until_then);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
