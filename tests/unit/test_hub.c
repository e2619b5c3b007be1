// SPDX-License-Identifier: Apache-2.0
#include "console_fixture.h"

#include <pthread.h>
#include <stdlib.h>

/* A reader that takes what there is, unless it sleeps. */
struct watcher {
	struct hub_reader reader;
	bool asleep, busy;
	char text[128 * 1024];
	size_t len;
	uint64_t skipped;
};

static void take_all(struct watcher *w)
{
	uint64_t skipped;
	size_t len;

	do {
		len = hub_read(hub, &w->reader, (uint8_t *)w->text + w->len, 1000, &skipped);
		w->len += len;
		w->skipped += skipped;
	} while (len);
}

static void watch_more(struct hub_reader *reader)
{
	struct watcher *w = container_of(reader, struct watcher, reader);

	if (!w->asleep)
		take_all(w);
}

static bool watch_idle(const struct hub_reader *reader)
{
	return !container_of(reader, struct watcher, reader)->busy;
}

static struct watcher one, two;

static void add(struct watcher *w, bool holds)
{
	memset(w, 0, sizeof(*w));
	w->reader = (struct hub_reader){ .more = watch_more, .idle = watch_idle, .holds = holds };
	hub_add_reader(hub, &w->reader);
}

/* One who types; what it holds goes on by itself. */
struct typist {
	struct hub_source source;
};

static struct typist ann, bob;

static void type_on(struct hub_source *source)
{
	hub_pass_on(hub, source);
}

static void types(struct typist *typist, const char *text)
{
	size_t room;
	uint8_t *at = hub_source_room(&typist->source, &room);

	ck_assert_uint_le(strlen(text), room);
	memcpy(at, text, strlen(text));
	typist->source.len += strlen(text);
	hub_pass_on(hub, &typist->source);
}

static void setup(void)
{
	console_setup();
	memset(&ann, 0, sizeof(ann));
	memset(&bob, 0, sizeof(bob));
	ann.source.go_on = bob.source.go_on = type_on;
}

static void teardown(void)
{
	hub_remove_source(hub, &ann.source);
	hub_remove_source(hub, &bob.source);
	hub_remove_reader(hub, &one.reader);
	hub_remove_reader(hub, &two.reader);
	console_teardown();
}

/* Output. */

START_TEST(output_reaches_every_reader)
{
	add(&one, true);
	add(&two, false);

	ck_assert_uint_eq(guest_prints("hello", 5), 5);
	turn_for_ms(5);

	ck_assert_str_eq(one.text, "hello");
	ck_assert_str_eq(two.text, "hello");
}
END_TEST

START_TEST(late_reader_sees_what_was_printed_before)
{
	guest_prints("early ", 6);

	add(&one, false);
	guest_prints("late", 4);
	turn_for_ms(5);

	ck_assert_str_eq(one.text, "early late");
}
END_TEST

START_TEST(late_reader_sees_what_the_ring_keeps_and_no_more)
{
	const size_t len = HUB_HISTORY + 1000;
	const char *text = long_text(len);

	ck_assert_uint_eq(guest_prints(text, len), len);
	add(&one, false);
	turn_for_ms(5);

	ck_assert_uint_eq(one.len, HUB_HISTORY);
	ck_assert_mem_eq(one.text, text + len - HUB_HISTORY, HUB_HISTORY);
	ck_assert_uint_eq(one.skipped, 0);
}
END_TEST

START_TEST(reader_that_sleeps_skips_and_is_told_how_much)
{
	const size_t len = HUB_HISTORY + 1;
	const char *text = long_text(len);

	add(&one, false);
	one.asleep = true;
	ck_assert_uint_eq(guest_prints(text, len), len);
	take_all(&one);

	ck_assert_uint_gt(one.skipped, 0);
	ck_assert_uint_eq(one.skipped + one.len, len);
	ck_assert_mem_eq(one.text, text + one.skipped, one.len);
}
END_TEST

START_TEST(reader_that_sleeps_as_long_as_the_ring_keeps_skips_nothing)
{
	add(&one, false);
	one.asleep = true;
	guest_prints(long_text(HUB_HISTORY), HUB_HISTORY);
	take_all(&one);

	ck_assert_uint_eq(one.skipped, 0);
	ck_assert_uint_eq(one.len, HUB_HISTORY);
}
END_TEST

START_TEST(holder_stops_the_guest_and_loses_nothing)
{
	const size_t len = 3 * HUB_WINDOW;
	const char *text = long_text(len);
	size_t printed;

	add(&one, true);
	one.asleep = true;
	printed = guest_prints(text, len);
	/* The byte that was refused waits in the port. */
	ck_assert_uint_eq(printed, HUB_WINDOW + 1);
	take_all(&one);
	printed += guest_prints(text + printed, len - printed);
	take_all(&one);
	printed += guest_prints(text + printed, len - printed);
	take_all(&one);

	ck_assert_uint_eq(printed, len);
	ck_assert_uint_eq(one.len, len);
	ck_assert_mem_eq(one.text, text, len);
}
END_TEST

START_TEST(reader_that_does_not_hold_never_stops_the_guest)
{
	const size_t len = HUB_HISTORY + HUB_WINDOW;

	add(&one, false);
	one.asleep = true;

	ck_assert_uint_eq(guest_prints(long_text(len), len), len);
}
END_TEST

START_TEST(sleeping_viewer_costs_the_holder_nothing)
{
	const size_t len = HUB_WINDOW / 2;

	add(&one, true);
	add(&two, false);
	two.asleep = true;
	for (int i = 0; i < 12; i++) {
		ck_assert_uint_eq(guest_prints(long_text(len), len), len);
		turn_for_ms(3);
	}

	ck_assert_uint_eq(one.len, 12 * len);
	take_all(&two);
	ck_assert_uint_eq(two.skipped + two.len, 12 * len);
}
END_TEST

START_TEST(guest_goes_on_when_the_holder_leaves)
{
	add(&one, true);
	one.asleep = true;
	guest_prints(long_text(2 * HUB_WINDOW), 2 * HUB_WINDOW);
	ck_assert_uint_eq(guest_prints("x", 1), 0);

	hub_remove_reader(hub, &one.reader);

	ck_assert_uint_eq(guest_prints("x", 1), 1);
}
END_TEST

START_TEST(holder_that_comes_late_does_not_stop_the_guest_at_once)
{
	guest_prints(long_text(HUB_HISTORY), HUB_HISTORY);
	add(&one, true);
	turn_for_ms(5);

	ck_assert_uint_eq(guest_prints("x", 1), 1);
}
END_TEST

START_TEST(drain_waits_for_what_was_printed)
{
	add(&one, true);
	add(&two, false);
	turn_for_ms(1);
	guest_prints("the end", 7);

	hub_drain(hub);

	ck_assert_str_eq(one.text, "the end");
	ck_assert_str_eq(two.text, "the end");
}
END_TEST

START_TEST(drain_gives_a_sleeping_viewer_up_soon)
{
	uint64_t begin = clock_ns();

	add(&one, false);
	one.asleep = true;
	turn_for_ms(1);
	guest_prints("the end", 7);
	hub_drain(hub);

	ck_assert_uint_lt(clock_ns() - begin, CLOCK_NS_PER_S);
}
END_TEST

START_TEST(drain_gives_a_busy_holder_up_at_last)
{
	uint64_t begin = clock_ns();

	add(&one, true);
	one.busy = true;
	turn_for_ms(1);
	hub_drain(hub);

	ck_assert_uint_ge(clock_ns() - begin, CLOCK_NS_PER_S);
}
END_TEST

/* The vCPU is another thread, as in life. */

#define NR_THREADED	100000

static void *run_guest(void *arg)
{
	const char *text = arg;
	size_t done = 0;

	while (done < NR_THREADED) {
		done += guest_prints(text + done, NR_THREADED - done);
		bus_read(ports, CONSOLE_PORT + UART_RBR, 1);
	}
	return NULL;
}

START_TEST(guest_on_its_own_thread_loses_nothing)
{
	char *text = (char *)long_text(NR_THREADED);
	pthread_t guest;

	add(&one, true);
	add(&two, false);
	types(&ann, "keys that the guest reads meanwhile");
	ck_assert_int_eq(pthread_create(&guest, NULL, run_guest, text), 0);
	while (one.len < NR_THREADED)
		turn_for_ms(1);
	pthread_join(guest, NULL);
	turn_for_ms(5);

	ck_assert_uint_eq(one.len, NR_THREADED);
	ck_assert_mem_eq(one.text, text, NR_THREADED);
	ck_assert_uint_eq(two.len + two.skipped, NR_THREADED);
}
END_TEST

/* Input. */

START_TEST(input_waits_until_the_guest_reads)
{
	types(&ann, "0123456789abcdefGHIJ");

	ck_assert_str_eq(guest_reads(), "0123456789abcdef");
	turn_for_ms(1);
	ck_assert_str_eq(guest_reads(), "GHIJ");
}
END_TEST

START_TEST(sources_take_turns)
{
	types(&ann, "aaaaaaaaaaaaaaaaAAAAAAAAAAAAAAAAaaaaaaaa");
	types(&bob, "bbbbbbbbbbbbbbbbBBBBBBBBBBBBBBBB");

	ck_assert_str_eq(guest_reads(), "aaaaaaaaaaaaaaaa");
	turn_for_ms(1);
	ck_assert_str_eq(guest_reads(), "AAAAAAAAAAAAAAAA");
	turn_for_ms(1);
	ck_assert_str_eq(guest_reads(), "bbbbbbbbbbbbbbbb");
	turn_for_ms(1);
	ck_assert_str_eq(guest_reads(), "aaaaaaaaBBBBBBBB");
	turn_for_ms(1);
	ck_assert_str_eq(guest_reads(), "BBBBBBBB");
}
END_TEST

START_TEST(key_that_fits_does_not_make_the_port_forget_who_waits)
{
	types(&ann, "0123456789abcdefGHIJ");
	bus_read(ports, CONSOLE_PORT + UART_RBR, 1);
	types(&bob, "!");

	ck_assert_str_eq(guest_reads(), "123456789abcdef!");
	turn_for_ms(1);
	ck_assert_str_eq(guest_reads(), "GHIJ");
}
END_TEST

START_TEST(one_with_nothing_to_type_does_not_make_the_port_forget_who_waits)
{
	types(&ann, "0123456789abcdefGHIJ");
	types(&bob, "");

	ck_assert_str_eq(guest_reads(), "0123456789abcdef");
	turn_for_ms(1);
	ck_assert_str_eq(guest_reads(), "GHIJ");
}
END_TEST

START_TEST(source_that_leaves_is_forgotten)
{
	types(&ann, "0123456789abcdefANN");
	types(&bob, "BOB");

	hub_remove_source(hub, &ann.source);
	guest_reads();
	turn_for_ms(1);

	ck_assert_str_eq(guest_reads(), "BOB");
}
END_TEST

START_TEST(input_goes_on_with_another_port)
{
	types(&ann, "0123456789abcdefGHIJ");
	free_uart();
	new_uart();

	hub_port_changed(hub);
	turn_for_ms(1);

	ck_assert_str_eq(guest_reads(), "GHIJ");
}
END_TEST

START_TEST(without_a_port_input_is_kept_and_output_read)
{
	add(&one, true);
	guest_prints("x", 1);
	free_uart();

	types(&ann, "for nobody");
	turn_for_ms(5);

	ck_assert_uint_eq(ann.source.len - ann.source.at, 10);
	ck_assert_str_eq(one.text, "x");
}
END_TEST

static TCase *output_tests(void)
{
	TCase *tc = tcase_create("output");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, CONSOLE_SECONDS);
	tcase_add_test(tc, output_reaches_every_reader);
	tcase_add_test(tc, late_reader_sees_what_was_printed_before);
	tcase_add_test(tc, late_reader_sees_what_the_ring_keeps_and_no_more);
	tcase_add_test(tc, reader_that_sleeps_skips_and_is_told_how_much);
	tcase_add_test(tc, reader_that_sleeps_as_long_as_the_ring_keeps_skips_nothing);
	tcase_add_test(tc, holder_stops_the_guest_and_loses_nothing);
	tcase_add_test(tc, reader_that_does_not_hold_never_stops_the_guest);
	tcase_add_test(tc, sleeping_viewer_costs_the_holder_nothing);
	tcase_add_test(tc, guest_goes_on_when_the_holder_leaves);
	tcase_add_test(tc, holder_that_comes_late_does_not_stop_the_guest_at_once);
	tcase_add_test(tc, guest_on_its_own_thread_loses_nothing);
	tcase_add_test(tc, drain_waits_for_what_was_printed);
	tcase_add_test(tc, drain_gives_a_sleeping_viewer_up_soon);
	tcase_add_test(tc, drain_gives_a_busy_holder_up_at_last);
	return tc;
}

static TCase *input_tests(void)
{
	TCase *tc = tcase_create("input");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, CONSOLE_SECONDS);
	tcase_add_test(tc, input_waits_until_the_guest_reads);
	tcase_add_test(tc, sources_take_turns);
	tcase_add_test(tc, key_that_fits_does_not_make_the_port_forget_who_waits);
	tcase_add_test(tc, one_with_nothing_to_type_does_not_make_the_port_forget_who_waits);
	tcase_add_test(tc, source_that_leaves_is_forgotten);
	tcase_add_test(tc, input_goes_on_with_another_port);
	tcase_add_test(tc, without_a_port_input_is_kept_and_output_read);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("hub");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, output_tests());
	suite_add_tcase(s, input_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
