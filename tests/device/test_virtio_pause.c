// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_pause.c - a device that is stopped and goes on behind its driver's back.
 */
#include "devices/virtio/virtio.h"

#include "base/clock.h"
#include "echo_fixture.h"
#include "loop/loop.h"

#include <stdlib.h>

#define NR	3

START_TEST(pause_gives_back_what_is_in_flight)
{
	echo->delay_ns = 20 * CLOCK_NS_PER_MS;
	start(DRIVER_CORE_FEATURES);
	for (unsigned i = 0; i < NR; i++)
		send_one();
	ring_kick(ring);
	rig_settle(&rig);
	ck_assert_uint_eq(ring_used_idx(ring), 0);

	virtio_pause(&echo->dev);

	ck_assert_uint_eq(ring_used_idx(ring), NR);
	ck_assert_uint_eq(echo->nr_stops, 1);
	ck_assert_uint_eq(driver_status(&driver), DRIVER_READY);
}
END_TEST

/* While the device waits for what is in flight, the loop does other work. */
static void change_while_it_stops(struct loop_task *task)
{
	const uint8_t byte = 1;

	if (echo->dev.running)
		loop_defer(rig.loop, task);
	else
		virtio_set_config(&echo->dev, 0, &byte, 1);
}

START_TEST(change_of_configuration_while_it_stops_is_told_when_it_goes_on)
{
	struct loop_task task = { .run = change_while_it_stops };

	echo->delay_ns = 20 * CLOCK_NS_PER_MS;
	start(DRIVER_CORE_FEATURES);
	send_one();
	ring_kick(ring);
	loop_post(rig.loop, &task);

	virtio_pause(&echo->dev);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_take_interrupts(&rig, driver.config_message), 0);
	virtio_resume(&echo->dev);

	ck_assert_uint_eq(rig_wait_interrupts(&rig, driver.config_message), 1);
}
END_TEST

START_TEST(request_to_a_paused_device_waits_and_is_served_afterwards)
{
	struct vring_used_elem elem;

	start(DRIVER_CORE_FEATURES);
	assert_serves();
	virtio_pause(&echo->dev);
	send_one();
	ring_kick(ring);
	rig_settle(&rig);
	ck_assert_uint_eq(ring_used_idx(ring), 1);

	virtio_resume(&echo->dev);

	ck_assert(ring_wait(ring, &elem));
	ck_assert_uint_eq(ring_used_idx(ring), 2);
	assert_serves();
}
END_TEST

START_TEST(ring_goes_on_over_many_pauses)
{
	start(DRIVER_CORE_FEATURES);

	for (unsigned i = 0; i < 2 * SIZE; i++) {
		assert_serves();
		virtio_pause(&echo->dev);
		virtio_resume(&echo->dev);
	}

	ck_assert_uint_eq(echo->nr_stops, 2 * SIZE);
	ck_assert_uint_eq(echo->nr_starts, 2 * SIZE + 1);
	ck_assert_uint_eq(ring_used_idx(ring), 2 * SIZE);
}
END_TEST

START_TEST(broken_device_stays_broken_over_a_pause)
{
	start(0);
	ring_set_avail_idx(ring, SIZE + 1);
	ring_kick(ring);
	ck_assert(driver_must_reset(&driver));

	virtio_pause(&echo->dev);
	virtio_resume(&echo->dev);

	ck_assert_uint_ne(driver_status(&driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
	ck_assert_uint_eq(echo->nr_starts, 1);
	start(0);
	assert_serves();
}
END_TEST

START_TEST(device_without_a_driver_does_not_start_after_a_pause)
{
	virtio_pause(&echo->dev);
	virtio_resume(&echo->dev);

	ck_assert_uint_eq(echo->nr_starts, 0);
	ck_assert_uint_eq(echo->nr_stops, 0);
	start(DRIVER_CORE_FEATURES);
	assert_serves();
}
END_TEST

START_TEST(device_that_cannot_go_on_asks_for_a_reset)
{
	start(0);
	virtio_pause(&echo->dev);
	echo->start_result = -1;

	virtio_resume(&echo->dev);

	ck_assert(driver_must_reset(&driver));
	echo->start_result = 0;
	start(0);
	assert_serves();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_pause");
	TCase *tc = tcase_create("a pause");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_test(tc, pause_gives_back_what_is_in_flight);
	tcase_add_test(tc, change_of_configuration_while_it_stops_is_told_when_it_goes_on);
	tcase_add_test(tc, request_to_a_paused_device_waits_and_is_served_afterwards);
	tcase_add_test(tc, ring_goes_on_over_many_pauses);
	tcase_add_test(tc, broken_device_stays_broken_over_a_pause);
	tcase_add_test(tc, device_without_a_driver_does_not_start_after_a_pause);
	tcase_add_test(tc, device_that_cannot_go_on_asks_for_a_reset);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
