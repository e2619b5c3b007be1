// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_polled.c - queues that the loop looks into before it sleeps.
 *
 * The loop turns on the test's own thread, so whether it finds something there is no
 * matter of time.
 */
#include "devices/virtio/virtio.h"

#include "base/clock.h"
#include "echo_fixture.h"
#include "loop/spin.h"

#include <check.h>
#include <stdlib.h>

#define ROUNDS		(4 * SPIN_SLEEPS_MIN)	/* a kick each, and one sleep at least */

static void setup_inline(void)
{
	rig_open(&rig, RIG_INLINE);
	echo = echo_new(rig.mem, rig.loop);
	rig_plug(&rig, &echo->dev);
	ck_assert(driver_find(&driver, &rig, ECHO_TYPE));
	ring = &driver.rings[0];
}

static void kick_until_polled(void)
{
	for (unsigned i = 0; i < ROUNDS && !loop_spins(rig.loop); i++)
		assert_serves();
	ck_assert(loop_spins(rig.loop));
	/* What was asked for before that is yet to be had. */
	assert_serves();
}

static void fired(struct loop_timer *timer)
{
	(void)timer;
}

static bool has_fired(void *ctx)
{
	return !((struct loop_timer *)ctx)->set;
}

/* Longer than a loop spins. */
static void let_it_sleep(void)
{
	struct loop_timer timer = { .fired = fired };

	loop_timer_set(rig.loop, &timer, clock_ns() + 2 * SPIN_NS);
	loop_wait(rig.loop, has_fired, &timer);
}

START_TEST(requests_of_a_busy_driver_are_found_without_a_kick)
{
	struct vring_used_elem elem;
	struct virtq_counts before;

	start(DRIVER_CORE_FEATURES);
	kick_until_polled();
	before = virtio_counts(&echo->dev, 0);

	for (unsigned i = 0; i < SIZE; i++) {
		send_one();
		ck_assert(!ring_notify(ring));
		ck_assert(ring_wait(ring, &elem));
		ck_assert_uint_eq(elem.len, LEN);
	}
	ck_assert_uint_eq(virtio_counts(&echo->dev, 0).kicks, before.kicks);
}
END_TEST

START_TEST(kick_is_asked_for_before_the_loop_sleeps)
{
	start(DRIVER_CORE_FEATURES);
	kick_until_polled();

	let_it_sleep();

	ck_assert(!loop_spins(rig.loop));
	ck_assert_uint_eq(ring_avail_event(ring), ring->next_avail);
	send_one();
	ck_assert(ring_notify(ring));
}
END_TEST

START_TEST(requests_are_found_without_event_idx_too)
{
	struct vring_used_elem elem;

	start(0);
	kick_until_polled();

	send_one();

	ck_assert(ring_used_flags(ring) & VRING_USED_F_NO_NOTIFY);
	ck_assert(ring_wait(ring, &elem));
}
END_TEST

START_TEST(stopped_queue_is_not_looked_into_until_it_is_started)
{
	start(DRIVER_CORE_FEATURES);
	kick_until_polled();

	driver_reset(&driver);
	send_one();
	let_it_sleep();

	ck_assert_uint_eq(ring_used_idx(ring), ring->last_used);
	start(DRIVER_CORE_FEATURES);
	kick_until_polled();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_polled");
	TCase *tc = tcase_create("an echo device");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup_inline, teardown);
	tcase_add_test(tc, requests_of_a_busy_driver_are_found_without_a_kick);
	tcase_add_test(tc, kick_is_asked_for_before_the_loop_sleeps);
	tcase_add_test(tc, requests_are_found_without_event_idx_too);
	tcase_add_test(tc, stopped_queue_is_not_looked_into_until_it_is_started);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
