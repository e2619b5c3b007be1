// SPDX-License-Identifier: Apache-2.0
/*
 * Usage: test_throttle PAYLOADS
 *
 * A guest that counts (count.c), and how far it comes while it is slowed down: compared
 * with itself only.
 */
#include "machine/machine_state.h"

#include "base/clock.h"
#include "loop/loop.h"
#include "machine/machine.h"
#include "machine/vm_config.h"
#include "memory/ram.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SKIPPED		77
#define COUNTER		0x1000000	/* as count.c has it */
#define SPAN_NS		(200 * CLOCK_NS_PER_MS)

static char kernel[4096];
static struct vm_config vm;
static struct loop *loop;
static struct machine *machine;
static struct machine_holder holder;

static bool send(void *ctx, uint8_t byte)
{
	(void)ctx;
	(void)byte;
	return true;
}

static void happened(void *ctx, enum machine_event event, enum machine_cause cause)
{
	(void)ctx;
	(void)event;
	(void)cause;
}

static void let_go(struct machine_holder *ended)
{
	ck_assert_ptr_eq(ended, &holder);
}

static void ended(void *ctx, enum machine_end end)
{
	(void)ctx;
	ck_abort_msg("the guest has ended (%d)", end);
}

static void over(struct loop_timer *timer)
{
	(void)timer;
	loop_quit(loop);
}

static uint64_t counter(void)
{
	const char *ram = machine_state_ram(machine)->host;

	return *(const volatile uint64_t *)(const void *)(ram + COUNTER);
}

/* How far the guest comes in a span. */
static uint64_t run_a_span(void)
{
	struct loop_timer timer = { .fired = over };
	uint64_t before = counter();

	loop_timer_set(loop, &timer, clock_ns() + SPAN_NS);
	ck_assert_int_eq(loop_run(loop), 0);
	return counter() - before;
}

static void await_progress(void)
{
	while (!run_a_span())
		;
}

/* The same once it has come anywhere, which on a busy machine takes a while. */
static uint64_t run_a_span_awake(void)
{
	await_progress();
	return run_a_span();
}

static void setup(void)
{
	struct machine_config config = {
		.vm = &vm,
		.console.send = send,
		.happened = happened,
		.ended = ended,
	};

	ck_assert_int_eq(option_defaults(&vm_config_options, &vm), 0);
	vm.kernel = strdup(kernel);
	vm.cpus = 2;
	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	config.main = loop;
	ck_assert_int_eq(machine_new(&machine, &config, NULL), 0);
	ck_assert_int_eq(machine_start(machine, NULL), 0);
	holder.let_go = let_go;
	ck_assert_int_eq(machine_state_hold(machine, &holder, NULL), 0);
	await_progress();
}

static void teardown(void)
{
	machine_free(machine);
	loop_free(loop);
	option_fini(&vm_config_options, &vm);
}

START_TEST(throttled_guest_comes_less_far)
{
	uint64_t fast = run_a_span(), slow;

	machine_state_throttle(machine, 90);
	slow = run_a_span();

	ck_assert_uint_gt(fast, 2 * slow);
}
END_TEST

START_TEST(throttled_guest_goes_on)
{
	machine_state_throttle(machine, 90);

	await_progress();
	await_progress();
}
END_TEST

START_TEST(throttle_of_nothing_ends_it)
{
	uint64_t fast = run_a_span();

	machine_state_throttle(machine, 99);
	machine_state_throttle(machine, 0);

	ck_assert_uint_gt(4 * run_a_span_awake(), fast);
}
END_TEST

START_TEST(release_ends_it)
{
	uint64_t fast = run_a_span();

	machine_state_throttle(machine, 99);
	machine_state_release(machine, &holder);

	ck_assert_uint_gt(4 * run_a_span_awake(), fast);
}
END_TEST

START_TEST(reset_ends_it)
{
	uint64_t fast = run_a_span();

	machine_state_throttle(machine, 90);
	machine_reset(machine);
	await_progress();

	ck_assert_uint_gt(4 * run_a_span_awake(), fast);
}
END_TEST

START_TEST(pause_outlasts_the_rest)
{
	machine_state_throttle(machine, 90);
	machine_pause(machine);

	ck_assert_uint_eq(run_a_span(), 0);
	ck_assert_int_eq(machine_resume(machine, NULL), 0);
	await_progress();
}
END_TEST

START_TEST(paused_guest_stays_so_when_the_throttle_ends)
{
	machine_state_throttle(machine, 99);
	machine_pause(machine);
	machine_state_throttle(machine, 0);

	ck_assert_uint_eq(run_a_span(), 0);
}
END_TEST

START_TEST(end_waits_for_no_rest)
{
	machine_state_throttle(machine, 99);
	machine = machine_free(machine);
}
END_TEST

int main(int argc, char **argv)
{
	SRunner *runner;
	Suite *suite;
	TCase *tests;
	int failed;

	if (argc != 2)
		return EXIT_FAILURE;
	if (access("/dev/kvm", R_OK | W_OK)) {
		puts("skipped: cannot open /dev/kvm");
		return SKIPPED;
	}
	snprintf(kernel, sizeof(kernel), "%s/count.elf", argv[1]);
	suite = suite_create("throttle");
	tests = tcase_create("a guest that counts");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, throttled_guest_comes_less_far);
	tcase_add_test(tests, throttled_guest_goes_on);
	tcase_add_test(tests, throttle_of_nothing_ends_it);
	tcase_add_test(tests, release_ends_it);
	tcase_add_test(tests, reset_ends_it);
	tcase_add_test(tests, pause_outlasts_the_rest);
	tcase_add_test(tests, paused_guest_stays_so_when_the_throttle_ends);
	tcase_add_test(tests, end_waits_for_no_rest);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
