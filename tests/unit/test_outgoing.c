// SPDX-License-Identifier: Apache-2.0
/* A source whose target says what it should not, or nothing. */
#include "outgoing_fixture.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whom the target loses, it has back. */

static void *lose_then_ask(void *arg)
{
	load();
	accept_source();
	ck_assert(await(MESSAGE_RESUME));
	say(MESSAGE_ASK, 3, 1);
	ck_assert(!await(MESSAGE_PAGES));
	accept_source();
	ck_assert(await(MESSAGE_RESUME));
	say(MESSAGE_DONE, 0, 0);
	(void)await(MESSAGE_BYE);
	return arg;
}

START_TEST(target_that_misses_nothing_cannot_ask)
{
	begin(lose_then_ask);

	run_until(MIGRATION_COMPLETED);

	ck_assert(fake_vm.moved);
	pthread_join(target, NULL);
}
END_TEST

static void *run_then_fail(void *arg)
{
	load();
	say(MESSAGE_RUNS, 0, 0);
	say(MESSAGE_FAILED, 0, 0);
	return arg;
}

START_TEST(failure_is_not_believed_of_a_target_that_has_run)
{
	begin(run_then_fail);

	run_until(MIGRATION_LOST);

	pthread_join(target, NULL);
	ck_assert_int_eq(outgoing_take_back(outgoing, &err), -EPERM);
	ck_assert(!fake_vm.running);
	ck_assert_ptr_nonnull(strstr(outgoing_info(outgoing).error, "FAILED, which cannot be"));
}
END_TEST

static void *run(void *arg)
{
	load();
	say(MESSAGE_DONE, 0, 0);
	(void)await(MESSAGE_BYE);
	return arg;
}

START_TEST(what_has_moved_is_not_taken_back)
{
	begin(run);
	run_until(MIGRATION_COMPLETED);
	pthread_join(target, NULL);

	ck_assert_int_eq(outgoing_take_back(outgoing, &err), -EPERM);

	ck_assert_ptr_nonnull(strstr(err.text, "has run elsewhere"));
	ck_assert(!fake_vm.running);
}
END_TEST

START_TEST(move_that_is_refused_leaves_what_is_known_of_the_one_before)
{
	begin(run);
	run_until(MIGRATION_COMPLETED);
	pthread_join(target, NULL);
	fake_vm.holder = (struct machine_holder *)&err;

	ck_assert_int_eq(outgoing_start(outgoing, uri, &parameters, &err), -EBUSY);

	ck_assert_int_eq(outgoing_info(outgoing).status, MIGRATION_COMPLETED);
	ck_assert_int_eq(outgoing_take_back(outgoing, &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "has run elsewhere"));
}
END_TEST

START_TEST(what_was_not_handed_over_is_not_taken_back)
{
	ck_assert_int_eq(outgoing_take_back(outgoing, &err), -EPERM);

	ck_assert_ptr_nonnull(strstr(err.text, "no migration that has lost"));
}
END_TEST

static void *load_then_fail(void *arg)
{
	load();
	say(MESSAGE_FAILED, 0, 0);
	return arg;
}

START_TEST(what_could_not_go_on_here_is_taken_back_later)
{
	fake_vm.wake_fails = -EBUSY;
	begin(load_then_fail);
	run_until(MIGRATION_FAILED);
	pthread_join(target, NULL);
	ck_assert_int_eq(outgoing_take_back(outgoing, &err), -EBUSY);
	ck_assert(!fake_vm.running);
	fake_vm.wake_fails = 0;

	ck_assert_int_eq(outgoing_take_back(outgoing, &err), 0);

	ck_assert(fake_vm.running);
}
END_TEST

/* Takes none of the memory that follows, then says what it should not. */
static void *miss_much_and_take_nothing(void *arg)
{
	load();
	say(MESSAGE_RUNS, 0, 0);
	say(MESSAGE_LOADED, 0, 0);
	return arg;
}

START_TEST(target_that_takes_nothing_holds_nobody_up)
{
	parameters.postcopy = true;
	begin(miss_much_and_take_nothing);
	ck_assert_int_eq(outgoing_postcopy(outgoing, &err), 0);

	run_until(MIGRATION_LOST);

	pthread_join(target, NULL);
}
END_TEST

static void *done_and_take_nothing(void *arg)
{
	load();
	say(MESSAGE_RUNS, 0, 0);
	say(MESSAGE_DONE, 0, 0);
	return arg;
}

START_TEST(target_that_needs_no_more_need_not_take_the_rest)
{
	parameters.postcopy = true;
	begin(done_and_take_nothing);
	ck_assert_int_eq(outgoing_postcopy(outgoing, &err), 0);

	run_until(MIGRATION_COMPLETED);

	pthread_join(target, NULL);
	ck_assert(fake_vm.moved);
}
END_TEST

/* Whoever loads the state may look into memory, too, and wait for it. */
static void *ask_then_load(void *arg)
{
	accept_source();
	ck_assert(await(MESSAGE_PLAN));
	say(MESSAGE_READY, 0, 0);
	ck_assert(await(MESSAGE_STATE));
	say(MESSAGE_ASK, 3, 1);
	ck_assert(await(MESSAGE_ZEROES));
	say(MESSAGE_LOADED, 0, 0);
	ck_assert(await(MESSAGE_GO));
	say(MESSAGE_DONE, 0, 0);
	(void)await(MESSAGE_BYE);
	return arg;
}

START_TEST(page_of_zeroes_is_sent_to_whom_it_is_missing)
{
	memset((char *)fake_vm.ram.host + 3 * PAGES_LEN, 0, PAGES_LEN);
	parameters.postcopy = true;
	begin(ask_then_load);
	ck_assert_int_eq(outgoing_postcopy(outgoing, &err), 0);

	run_until(MIGRATION_COMPLETED);

	pthread_join(target, NULL);
	ck_assert(fake_vm.moved);
}
END_TEST

/* Where it is when its VM is reset, or it is cancelled. */

static void *plan_only(void *arg)
{
	accept_source();
	(void)await(MESSAGE_PLAN);
	return arg;
}

/* Amid a message that is longer than what the socket takes. */
static void *memory_only(void *arg)
{
	struct message next;

	accept_source();
	(void)await(MESSAGE_PLAN);
	say(MESSAGE_READY, 0, 0);
	(void)await(MESSAGE_PAGES);
	(void)message_receive(channel, &next, NULL);
	return arg;
}

static void *state_only(void *arg)
{
	accept_source();
	(void)await(MESSAGE_PLAN);
	say(MESSAGE_READY, 0, 0);
	(void)await(MESSAGE_STATE);
	return arg;
}

static void *go_only(void *arg)
{
	load();
	return arg;
}

static const struct {
	void *(*target)(void *arg);
	bool may_cancel;
} phases[] = {
	{ plan_only, true }, { memory_only, true }, { state_only, true }, { go_only, false },
};

static atomic_bool reached;

static void *reach_it(void *arg)
{
	phases[*(int *)arg].target(NULL);
	reached = true;
	loop_quit(loop);
	return NULL;
}

static void reach(int phase)
{
	wanted = MIGRATION_NONE;
	ck_assert_int_eq(pthread_create(&target, NULL, reach_it, &phase), 0);
	ck_assert_msg(!outgoing_start(outgoing, uri, &parameters, &err), "%s", err.text);
	/* Run it in any case: its end may have come already, and must not be left for later. */
	do
		loop_run(loop);
	while (!reached);
	pthread_join(target, NULL);
}

START_TEST(cancel_in_any_phase_leaves_the_guest_here)
{
	reach(_i);

	ck_assert_int_eq(outgoing_cancel(outgoing, &err),
			 phases[_i].may_cancel ? 0 : -EPERM);

	if (phases[_i].may_cancel)
		run_until(MIGRATION_CANCELLED);
	ck_assert_int_eq(fake_vm.running, phases[_i].may_cancel);
}
END_TEST

START_TEST(end_of_the_vm_in_any_phase_is_its_end)
{
	reach(_i);

	fake_vm_let_go();

	ck_assert_int_eq(outgoing_info(outgoing).status, MIGRATION_FAILED);
	ck_assert_ptr_nonnull(strstr(outgoing_info(outgoing).error, "reset or has ended"));
}
END_TEST

START_TEST(end_in_any_phase_waits_for_nobody)
{
	reach(_i);

	outgoing = outgoing_free(outgoing);

	ck_assert_ptr_null(fake_vm.holder);
}
END_TEST

/* A bandwidth by which it would take an hour. */

static void *take_all(void *arg)
{
	accept_source();
	ck_assert(await(MESSAGE_PLAN));
	say(MESSAGE_READY, 0, 0);
	ck_assert(!await(MESSAGE_STATE));
	return arg;
}

static void begin_slowly(void)
{
	parameters.bandwidth = 1000;
	begin(take_all);
	while (!outgoing_info(outgoing).sent)
		poll(NULL, 0, 10);
}

START_TEST(cancel_does_not_wait_for_what_may_be_sent)
{
	begin_slowly();

	ck_assert_int_eq(outgoing_cancel(outgoing, &err), 0);

	run_until(MIGRATION_CANCELLED);
	pthread_join(target, NULL);
	ck_assert(fake_vm.running);
}
END_TEST

START_TEST(end_of_the_vm_does_not_wait_for_what_may_be_sent)
{
	begin_slowly();

	fake_vm_let_go();

	pthread_join(target, NULL);
	ck_assert_int_eq(outgoing_info(outgoing).status, MIGRATION_FAILED);
}
END_TEST

START_TEST(bandwidth_that_is_set_after_a_cancel_is_not_waited_for)
{
	begin_slowly();
	ck_assert_int_eq(outgoing_cancel(outgoing, &err), 0);
	outgoing_limit(outgoing, 1000, 0);

	run_until(MIGRATION_CANCELLED);

	pthread_join(target, NULL);
}
END_TEST

/* Last words. */

static void *fail_amid_memory(void *arg)
{
	static const char text[] = "the disk is full";
	const struct message message = { MESSAGE_FAILED, 0, 0, sizeof(text) - 1 };

	memory_only(NULL);
	(void)message_send(channel, &message, text);
	channel = channel_close(channel);
	return arg;
}

START_TEST(failure_amid_memory_is_heard)
{
	begin(fail_amid_memory);

	run_until(MIGRATION_FAILED);

	pthread_join(target, NULL);
	ck_assert_str_eq(outgoing_info(outgoing).error, "the other side: the disk is full");
	ck_assert(fake_vm.running);
}
END_TEST

static void *answer_nothing(void *arg)
{
	state_only(NULL);
	ck_assert(!await(MESSAGE_GO));
	return arg;
}

static void be_impatient(uint64_t downtime_ms)
{
	outgoing = outgoing_free(outgoing);
	whole.answer_ms = 100;
	outgoing = outgoing_new(&whole);
	parameters.downtime_ms = downtime_ms;
}

START_TEST(target_that_gives_no_answer_is_given_up)
{
	be_impatient(0);
	begin(answer_nothing);

	run_until(MIGRATION_FAILED);

	pthread_join(target, NULL);
	ck_assert_ptr_nonnull(strstr(outgoing_info(outgoing).error, "gives no answer"));
	ck_assert(fake_vm.running);
}
END_TEST

static void *answer_late(void *arg)
{
	state_only(NULL);
	poll(NULL, 0, 500);
	say(MESSAGE_LOADED, 0, 0);
	ck_assert(await(MESSAGE_GO));
	say(MESSAGE_DONE, 0, 0);
	(void)await(MESSAGE_BYE);
	return arg;
}

START_TEST(target_has_as_long_as_the_guest_may_stand_still)
{
	be_impatient(60000);
	begin(answer_late);

	run_until(MIGRATION_COMPLETED);

	pthread_join(target, NULL);
}
END_TEST

/* Resets. */

START_TEST(reset_during_set_up_changes_nothing)
{
	reach(0);

	ck_assert(fake_vm_reset());

	ck_assert_int_eq(outgoing_info(outgoing).status, MIGRATION_SETUP);
}
END_TEST

START_TEST(reset_does_not_wait_for_a_target_that_takes_nothing)
{
	reach(1);

	ck_assert(!fake_vm_reset());

	ck_assert_int_eq(outgoing_info(outgoing).status, MIGRATION_FAILED);
	ck_assert(fake_vm.running);
}
END_TEST

static uint8_t there[NR_PAGES * PAGES_LEN];

/* All that comes of it, from its first page until the state. */
static void receive_memory(void)
{
	struct message message;
	void *bytes;

	do {
		ck_assert_int_eq(message_receive(channel, &message, NULL), 0);
		ck_assert_int_eq(message_receive_bytes(channel, &message, &bytes, NULL), 0);
		if (message.type == MESSAGE_PAGES)
			memcpy(there + message.at * PAGES_LEN, bytes, message.len);
		if (message.type == MESSAGE_ZEROES)
			memset(there + message.at * PAGES_LEN, 0, message.nr * PAGES_LEN);
		free(bytes);
		if (!reached && message.type == MESSAGE_PAGES) {
			reached = true;
			loop_quit(loop);
		}
	} while (message.type != MESSAGE_STATE);
}

static void *receive_and_run(void *arg)
{
	accept_source();
	ck_assert(await(MESSAGE_PLAN));
	say(MESSAGE_READY, 0, 0);
	receive_memory();
	say(MESSAGE_LOADED, 0, 0);
	ck_assert(await(MESSAGE_GO));
	say(MESSAGE_DONE, 0, 0);
	(void)await(MESSAGE_BYE);
	return arg;
}

START_TEST(memory_of_before_a_reset_is_replaced)
{
	/* What is handed over is not reset any more. */
	fake_vm.waits = UINT_MAX;
	begin(receive_and_run);
	wanted = MIGRATION_NONE;
	/* Run it in any case: its end may have come already, and must not be left for later. */
	do
		loop_run(loop);
	while (!reached);

	ck_assert(fake_vm_reset());
	fake_vm.waits = 0;

	run_until(MIGRATION_COMPLETED);
	pthread_join(target, NULL);
	ck_assert_mem_eq(there, fake_vm.ram.host, sizeof(there));
}
END_TEST

START_TEST(guest_that_cannot_be_handed_over_yet_is_copied_on)
{
	fake_vm.waits = 3;
	begin(receive_and_run);

	while (status != MIGRATION_COMPLETED)
		loop_run(loop);

	pthread_join(target, NULL);
	ck_assert_uint_eq(fake_vm.waits, 0);
	ck_assert_uint_ge(outgoing_info(outgoing).rounds, 4);
	ck_assert_mem_eq(there, fake_vm.ram.host, sizeof(there));
}
END_TEST

START_TEST(only_a_guest_that_cannot_be_handed_over_yet_is_copied_on)
{
	fake_vm.flush_fails = -EAGAIN;
	begin(state_only);

	run_until(MIGRATION_FAILED);

	pthread_join(target, NULL);
	ck_assert_str_eq(outgoing_info(outgoing).error, "it cannot be flushed");
	ck_assert(fake_vm.running);
}
END_TEST

/* Disks. */

static atomic_uint at_disks, cancel_at;

static void disks_are_waited_for(void)
{
	ck_assert_int_ne(syscall(SYS_gettid), getpid());
	if (++at_disks == cancel_at)
		ck_assert_int_eq(outgoing_cancel(outgoing, NULL), 0);
}

/* When they are flushed, and when they are put to sleep, if it is not cancelled before. */
START_TEST(main_thread_does_not_wait_for_disks)
{
	fake_vm.at_disks = disks_are_waited_for;
	cancel_at = (unsigned)_i;
	begin(_i ? state_only : run);

	run_until(_i ? MIGRATION_CANCELLED : MIGRATION_COMPLETED);

	pthread_join(target, NULL);
	ck_assert_uint_eq(at_disks, _i == 1 ? 1 : 2);
	ck_assert_int_eq(fake_vm.running, !!_i);
	ck_assert_int_eq(fake_vm.asleep, !_i);
}
END_TEST

/* Descriptors. */

static void *lose_it(void *arg)
{
	ck_assert(await(MESSAGE_PLAN));
	say(MESSAGE_READY, 0, 0);
	ck_assert(await(MESSAGE_STATE));
	say(MESSAGE_LOADED, 0, 0);
	ck_assert(await(MESSAGE_GO));
	channel = channel_close(channel);
	return arg;
}

static void give(void)
{
	const struct channel_options none = { 0 };
	char theirs[16];
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	given = fds[0];
	snprintf(theirs, sizeof(theirs), "fd:%d", fds[1]);
	ck_assert_int_eq(channel_connect(&channel, theirs, &none, &err), 0);
	snprintf(uri, sizeof(uri), "fd:it");
}

START_TEST(descriptor_is_good_for_one_connection)
{
	give();
	begin(lose_it);
	run_until(MIGRATION_LOST);
	pthread_join(target, NULL);

	/* When it has looked for the target again. */
	while (!strstr(outgoing_info(outgoing).error, "one connection")) {
		poll(NULL, 0, 20);
		ck_assert_int_eq(outgoing_info(outgoing).status, MIGRATION_LOST);
	}
}
END_TEST

START_TEST(descriptor_stays_where_the_move_does_not_begin)
{
	struct machine_holder *other = (struct machine_holder *)&err;

	give();
	fake_vm.holder = other;

	ck_assert_int_eq(outgoing_start(outgoing, uri, &parameters, &err), -EBUSY);

	ck_assert_int_ge(given, 0);
	close(given);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("outgoing");
	TCase *tc = tcase_create("to a target that is played");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, target_that_misses_nothing_cannot_ask);
	tcase_add_test(tc, failure_is_not_believed_of_a_target_that_has_run);
	tcase_add_test(tc, what_has_moved_is_not_taken_back);
	tcase_add_test(tc, move_that_is_refused_leaves_what_is_known_of_the_one_before);
	tcase_add_test(tc, what_was_not_handed_over_is_not_taken_back);
	tcase_add_test(tc, what_could_not_go_on_here_is_taken_back_later);
	tcase_add_test(tc, target_that_takes_nothing_holds_nobody_up);
	tcase_add_test(tc, target_that_needs_no_more_need_not_take_the_rest);
	tcase_add_test(tc, page_of_zeroes_is_sent_to_whom_it_is_missing);
	tcase_add_loop_test(tc, cancel_in_any_phase_leaves_the_guest_here, 0, ARRAY_LEN(phases));
	tcase_add_loop_test(tc, end_of_the_vm_in_any_phase_is_its_end, 0, ARRAY_LEN(phases));
	tcase_add_test(tc, cancel_does_not_wait_for_what_may_be_sent);
	tcase_add_test(tc, end_of_the_vm_does_not_wait_for_what_may_be_sent);
	tcase_add_test(tc, bandwidth_that_is_set_after_a_cancel_is_not_waited_for);
	tcase_add_test(tc, failure_amid_memory_is_heard);
	tcase_add_test(tc, target_that_gives_no_answer_is_given_up);
	tcase_add_test(tc, target_has_as_long_as_the_guest_may_stand_still);
	tcase_add_test(tc, reset_during_set_up_changes_nothing);
	tcase_add_test(tc, reset_does_not_wait_for_a_target_that_takes_nothing);
	tcase_add_test(tc, memory_of_before_a_reset_is_replaced);
	tcase_add_test(tc, guest_that_cannot_be_handed_over_yet_is_copied_on);
	tcase_add_test(tc, only_a_guest_that_cannot_be_handed_over_yet_is_copied_on);
	tcase_add_loop_test(tc, end_in_any_phase_waits_for_nobody, 0, ARRAY_LEN(phases));
	tcase_add_loop_test(tc, main_thread_does_not_wait_for_disks, 0, 3);
	tcase_add_test(tc, descriptor_is_good_for_one_connection);
	tcase_add_test(tc, descriptor_stays_where_the_move_does_not_begin);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
