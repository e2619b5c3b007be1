// SPDX-License-Identifier: Apache-2.0
/* A target whose source says what it should not, or is lost. */
#include "migrate/incoming.h"

#include "base/bits.h"
#include "base/err.h"
#include "fake_vm.h"
#include "loop/loop.h"
#include "migrate/channel.h"
#include "migrate/lazy_ram.h"
#include "migrate/message.h"
#include "migrate/migration_plan.h"
#include "migrate/pages.h"
#include "state/state.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NR_PAGES	70

static struct loop *loop;
static struct incoming *incoming;
static char folder[] = "/tmp/incoming-XXXXXX", uri[64];
static struct channel *channel;		/* the source's end */
static char pages[2 * PAGES_LEN];	/* as many as are sent at once */
static int told;			/* what ended() was called with; 1: it was not */
static struct err why;
static const uint8_t session[MESSAGE_SESSION_LEN] = "of this VM";
static uint32_t nr_shown;		/* disks that the source tells of */

static bool no_threads;

/* By the linker: a sanitizer's own stays in between. */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *arg),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *arg),
			  void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *arg),
			  void *arg)
{
	return no_threads ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
}

static enum migration_status statuses[16];
static unsigned nr_statuses;

static void changed(void *ctx, enum migration_status status)
{
	(void)ctx;
	statuses[nr_statuses++] = status;
	if (status == MIGRATION_COMPLETED)
		loop_quit(loop);
}

static void ended(void *ctx, int r, const struct err *err)
{
	(void)ctx;
	told = r;
	if (r < 0)
		why = *err;
}

static void setup(void)
{
	const struct incoming_config config = {
		.machine = FAKE_VM_MACHINE, .changed = changed, .ended = ended,
	};
	struct incoming_config whole = config;

	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	whole.main = loop;
	fake_vm_open(NR_PAGES * PAGES_LEN, false);
	memset(pages, 'n', sizeof(pages));
	told = 1;
	nr_shown = 0;
	incoming = incoming_new(&whole);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(uri, sizeof(uri), "unix:%s/socket", folder);
	ck_assert_int_eq(incoming_listen(incoming, uri, &migration_defaults, NULL), 0);
}

static void teardown(void)
{
	incoming = incoming_free(incoming);
	channel = channel_close(channel);
	rmdir(folder);
	fake_vm_close();
	loop = loop_free(loop);
}

/* The source, a thread; the main thread turns its loop meanwhile. */

static void meet(void)
{
	const struct channel_options none = { 0 };
	struct err err = { 0 };

	channel = channel_close(channel);
	ck_assert_msg(!channel_connect(&channel, uri, &none, &err), "%s", err.text);
}

static void say_bytes(enum message_type type, const void *bytes, uint64_t len)
{
	const struct message message = { .type = type, .len = len };

	(void)message_send(channel, &message, bytes);
}

static void say(enum message_type type, uint64_t at, uint32_t nr)
{
	const struct message message = {
		type, nr, at, type == MESSAGE_PAGES ? nr * PAGES_LEN : 0,
	};

	(void)message_send(channel, &message, pages);
}

static void say_stream(enum message_type type, bool postcopy)
{
	struct migration_plan plan = {
		.streams = 1, .postcopy = postcopy, .nr_shown = nr_shown, .shown[0].id = "d",
	};
	struct state_writer *writer = state_writer_new(MIGRATION_PLAN_ARCH);
	const void *bytes;
	size_t len;

	memcpy(plan.session, session, sizeof(session));
	if (type == MESSAGE_PLAN)
		migration_plan_save(writer, &plan);
	ck_assert_int_eq(state_writer_end(writer, &bytes, &len), 0);
	say_bytes(type, bytes, len);
	state_writer_free(writer);
}

/* The next word; MESSAGE_NONE: nobody says anything any more. */
static enum message_type hear(struct message *ret_message)
{
	if (message_receive(channel, ret_message, NULL))
		return MESSAGE_NONE;
	if (ret_message->type == MESSAGE_FAILED) {
		struct err err = { 0 };

		(void)message_receive_failure(channel, ret_message, &err);
	}
	return ret_message->type;
}

static void hears(enum message_type type)
{
	struct message message;

	ck_assert_int_eq(hear(&message), type);
}

/* Until GO is all that it needs. */
static void load(bool postcopy)
{
	meet();
	say_stream(MESSAGE_PLAN, postcopy);
	hears(MESSAGE_READY);
	if (postcopy)
		say(MESSAGE_MISSING, 3, 2);
	say(MESSAGE_END, 0, 0);
	say_stream(MESSAGE_STATE, false);
	hears(MESSAGE_LOADED);
}

static void resume(void)
{
	meet();
	say_bytes(MESSAGE_RESUME, session, sizeof(session));
}

static void (*source)(void);
static atomic_bool over;

static void *run_source(void *arg)
{
	source();
	over = true;
	loop_quit(loop);
	return arg;
}

static void play(void (*fn)(void))
{
	pthread_t thread;

	source = fn;
	over = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, run_source, NULL), 0);
	while (!over)
		loop_run(loop);
	pthread_join(thread, NULL);
}

static void moves(void)
{
	load(false);
	say(MESSAGE_GO, 0, 0);
	hears(MESSAGE_RUNS);
	hears(MESSAGE_DONE);
}

START_TEST(guest_runs_after_go)
{
	play(moves);

	ck_assert(fake_vm.running);
	ck_assert_int_eq(told, 0);
}
END_TEST

static void plan_that_is_refused(void)
{
	meet();
	say_stream(MESSAGE_PLAN, false);
	hears(MESSAGE_FAILED);
	hears(MESSAGE_NONE);
}

static bool has_ended(void *ctx)
{
	(void)ctx;
	return told != 1;
}

START_TEST(disk_that_the_target_has_not_is_told_instead_of_ready)
{
	nr_shown = 1;

	play(plan_that_is_refused);
	loop_wait(loop, has_ended, NULL);

	ck_assert_int_eq(told, -EINVAL);
	ck_assert_str_eq(why.text, "disk 'd': this VM has none of that id");
	ck_assert_uint_eq(incoming_info(incoming).sent, 0);
}
END_TEST

/* It knows that its connection is lost; the target does not. */
static void returns_too_early(void)
{
	struct channel *old;

	load(false);
	old = channel;
	channel = NULL;
	resume();
	hears(MESSAGE_LOADED);
	say(MESSAGE_GO, 0, 0);
	hears(MESSAGE_RUNS);
	hears(MESSAGE_DONE);
	channel_close(old);
	say(MESSAGE_BYE, 0, 0);
}

START_TEST(source_that_returns_takes_the_place_of_who_is_there)
{
	play(returns_too_early);

	ck_assert(fake_vm.running);
	ck_assert_int_eq(incoming_info(incoming).status, MIGRATION_COMPLETED);
}
END_TEST

static void writes_late(void)
{
	moves();
	say(MESSAGE_PAGES, 1, 1);
	hears(MESSAGE_NONE);
	resume();
	hears(MESSAGE_DONE);
}

START_TEST(memory_of_a_guest_that_runs_is_its_own)
{
	play(writes_late);

	ck_assert(pages_zero((char *)fake_vm.ram.host + PAGES_LEN));
	ck_assert(fake_vm.running);
}
END_TEST

static void goes_early(void)
{
	meet();
	say_stream(MESSAGE_PLAN, false);
	hears(MESSAGE_READY);
	say(MESSAGE_GO, 0, 0);
	hears(MESSAGE_FAILED);
	hears(MESSAGE_NONE);
}

START_TEST(nothing_runs_before_it_is_loaded)
{
	play(goes_early);

	ck_assert(!fake_vm.running);
}
END_TEST

static void strangers_come(void)
{
	load(false);
	channel = channel_close(channel);
	meet();
	say_bytes(MESSAGE_RESUME, "of another one..", MESSAGE_SESSION_LEN);
	hears(MESSAGE_NONE);
	meet();
	say_stream(MESSAGE_PLAN, false);
	hears(MESSAGE_NONE);
	resume();
	hears(MESSAGE_LOADED);
	say(MESSAGE_GO, 0, 0);
	hears(MESSAGE_RUNS);
	hears(MESSAGE_DONE);
	say(MESSAGE_BYE, 0, 0);
}

START_TEST(stranger_is_told_nothing)
{
	play(strangers_come);

	ck_assert(fake_vm.running);
}
END_TEST

static void cannot_wake(void)
{
	load(false);
	say(MESSAGE_GO, 0, 0);
	hears(MESSAGE_FAILED);
	resume();
	hears(MESSAGE_FAILED);
	say(MESSAGE_BYE, 0, 0);
	hears(MESSAGE_NONE);
}

START_TEST(target_whose_disks_are_in_use_says_so_again)
{
	fake_vm.wake_fails = -EBUSY;

	play(cannot_wake);
	loop_wait(loop, has_ended, NULL);

	ck_assert(!fake_vm.running);
	ck_assert_int_eq(told, -EBUSY);
	ck_assert_str_eq(why.text, "its disks are in use");
}
END_TEST

static void load_only(void)
{
	load(false);
}

START_TEST(disks_have_names_before_the_source_is_told_to_go)
{
	play(load_only);

	ck_assert(fake_vm.named);
	ck_assert(!fake_vm.kept);
}
END_TEST

START_TEST(disks_are_kept_once_the_guest_runs)
{
	play(moves);

	ck_assert(fake_vm.kept);
}
END_TEST

static void cannot_load(void)
{
	meet();
	say_stream(MESSAGE_PLAN, false);
	hears(MESSAGE_READY);
	say(MESSAGE_END, 0, 0);
	say_stream(MESSAGE_STATE, false);
	hears(MESSAGE_FAILED);
	say(MESSAGE_BYE, 0, 0);
	hears(MESSAGE_NONE);
}

START_TEST(target_whose_disks_get_no_names_says_so)
{
	fake_vm.name_fails = -EEXIST;

	play(cannot_load);
	loop_wait(loop, has_ended, NULL);

	ck_assert(!fake_vm.running);
	ck_assert_str_eq(why.text, "its disks have no place");
}
END_TEST

static void plan_only(void)
{
	meet();
	say_stream(MESSAGE_PLAN, false);
	hears(MESSAGE_READY);
}

static void (*const phases[])(void) = { meet, plan_only, load_only, moves };

START_TEST(end_in_any_phase_waits_for_nobody)
{
	play(phases[_i]);

	incoming = incoming_free(incoming);

	ck_assert_ptr_null(fake_vm.holder);
}
END_TEST

/* Where memory comes later. */

static void says_bye_too_early(void)
{
	struct message message;

	load(true);
	say(MESSAGE_GO, 0, 0);
	hears(MESSAGE_RUNS);
	say(MESSAGE_BYE, 0, 0);
	hears(MESSAGE_NONE);
	resume();
	ck_assert_int_eq(hear(&message), MESSAGE_MISSING);
	ck_assert_uint_eq(message.at, 3);
	ck_assert_uint_eq(message.nr, 2);
	hears(MESSAGE_RUNS);
	say(MESSAGE_PAGES, 3, 2);
	hears(MESSAGE_DONE);
	say(MESSAGE_BYE, 0, 0);
}

START_TEST(source_that_goes_while_memory_is_missing_is_lost)
{
	play(says_bye_too_early);

	ck_assert(!memcmp((char *)fake_vm.ram.host + 3 * PAGES_LEN, pages, PAGES_LEN));
	ck_assert(fake_vm.running);
}
END_TEST

START_TEST(loss_while_memory_is_missing_is_told)
{
	const enum migration_status order[] = {
		MIGRATION_SETUP, MIGRATION_ACTIVE, MIGRATION_DEVICE, MIGRATION_POSTCOPY,
		MIGRATION_LOST, MIGRATION_RECOVERS, MIGRATION_POSTCOPY, MIGRATION_COMPLETED,
	};

	play(says_bye_too_early);
	while (nr_statuses < ARRAY_LEN(order))
		loop_run(loop);

	ck_assert_mem_eq(statuses, order, sizeof(order));
}
END_TEST

/* Nothing was missing: it is the source that does not know. */
START_TEST(loss_of_a_source_that_is_not_needed_is_not_told)
{
	play(writes_late);

	ck_assert_int_eq(incoming_info(incoming).status, MIGRATION_COMPLETED);
}
END_TEST

static void misses(void)
{
	load(true);
	say(MESSAGE_GO, 0, 0);
	hears(MESSAGE_RUNS);
}

START_TEST(guest_that_is_reset_misses_nothing)
{
	struct message message;

	play(misses);

	fake_vm_let_go();

	ck_assert_int_eq(hear(&message), MESSAGE_DONE);
	ck_assert_int_eq(incoming_info(incoming).status, MIGRATION_COMPLETED);
	ck_assert(pages_zero((char *)fake_vm.ram.host + 3 * PAGES_LEN));
}
END_TEST

START_TEST(end_while_memory_is_missing_waits_for_nobody)
{
	play(misses);

	incoming = incoming_free(incoming);

	ck_assert_ptr_null(fake_vm.holder);
}
END_TEST

/* Not every host lets everybody; what needs that is left to test_lazy_ram.c and root. */
static bool can_miss(void)
{
	const struct lazy_ram_config config = { .ram = &fake_vm.ram };
	struct lazy_ram *lazy;
	int r;

	fake_vm_open(PAGES_LEN, false);
	r = lazy_ram_new(&lazy, &config, NULL);
	if (!r)
		lazy_ram_free(lazy);
	fake_vm_close();
	return !r;
}

static TCase *make_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, setup, teardown);
	suite_add_tcase(s, tc);
	return tc;
}

START_TEST(one_that_cannot_wait_may_be_told_to_again)
{
	struct incoming *other = incoming_new(&(struct incoming_config){
		.machine = FAKE_VM_MACHINE, .main = loop, .changed = changed, .ended = ended,
	});
	char place[80];
	int again;

	snprintf(place, sizeof(place), "%s-other", uri);
	no_threads = true;
	ck_assert_int_eq(incoming_listen(other, place, &migration_defaults, &why), -EAGAIN);
	no_threads = false;
	ck_assert_ptr_null(incoming_address(other));

	again = incoming_listen(other, place, &migration_defaults, &why);

	incoming_free(other);
	ck_assert_msg(!again, "%s", why.text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("incoming");
	TCase *tc = make_case(s, "from a source that is played");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, one_that_cannot_wait_may_be_told_to_again);
	tcase_add_test(tc, guest_runs_after_go);
	tcase_add_test(tc, disk_that_the_target_has_not_is_told_instead_of_ready);
	tcase_add_test(tc, source_that_returns_takes_the_place_of_who_is_there);
	tcase_add_test(tc, memory_of_a_guest_that_runs_is_its_own);
	tcase_add_test(tc, nothing_runs_before_it_is_loaded);
	tcase_add_test(tc, stranger_is_told_nothing);
	tcase_add_test(tc, target_whose_disks_are_in_use_says_so_again);
	tcase_add_test(tc, disks_have_names_before_the_source_is_told_to_go);
	tcase_add_test(tc, disks_are_kept_once_the_guest_runs);
	tcase_add_test(tc, target_whose_disks_get_no_names_says_so);
	tcase_add_loop_test(tc, end_in_any_phase_waits_for_nobody, 0, ARRAY_LEN(phases));
	if (can_miss()) {
		tc = make_case(s, "memory comes later");
		tcase_add_test(tc, source_that_goes_while_memory_is_missing_is_lost);
		tcase_add_test(tc, loss_while_memory_is_missing_is_told);
		tcase_add_test(tc, loss_of_a_source_that_is_not_needed_is_not_told);
		tcase_add_test(tc, guest_that_is_reset_misses_nothing);
		tcase_add_test(tc, end_while_memory_is_missing_waits_for_nobody);
	}

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
