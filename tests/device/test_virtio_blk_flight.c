// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_blk_flight.c - what the block device asks of its disk, seen from
 * the disk, and what happens while the disk takes its time.
 */
#include "devices/virtio/virtio_blk.h"

#include "fake_disk_rig.h"

#include <check.h>
#include <errno.h>

#define FLUSH		BIT64(VIRTIO_BLK_F_FLUSH)

START_TEST(writes_may_be_cached_when_the_driver_flushes)
{
	start(FLUSH);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_OK);

	ck_assert_uint_eq(disk_log->nr_writes, 1);
	ck_assert_uint_eq(disk_log->nr_durable, 0);
}
END_TEST

START_TEST(writes_are_durable_when_the_driver_does_not_flush)
{
	start(0);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_OK);

	ck_assert_uint_eq(disk_log->nr_durable, 1);
}
END_TEST

START_TEST(flush_reaches_the_disk)
{
	start(FLUSH);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);

	ck_assert_uint_eq(disk_log->nr_flushes, 1);
}
END_TEST

START_TEST(errors_of_the_disk_reach_the_driver)
{
	static const uint32_t types[] = {
		VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
	};

	start(FLUSH);
	disk_log->result = -ENOSPC;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		ck_assert_uint_eq(do_request(types[i], 0, 0), VIRTIO_BLK_S_IOERR);
		ck_assert_uint_eq(elem.len, 1);
	}
}
END_TEST

START_TEST(request_is_not_given_back_before_it_is_done)
{
	start(DRIVER_CORE_FEATURES);
	disk_log->hold = true;
	send_slot(0, VIRTIO_BLK_T_IN, 0);
	ring_kick(ring);
	rig_settle(&rig);

	ck_assert_uint_eq(disk_log->nr_waiting, 1);
	ck_assert_uint_eq(ring_used_idx(ring), 0);
	ck_assert_uint_eq(status_of(0), NO_STATUS);

	loop_call(rig.loop, release, NULL);
	ck_assert(ring_wait(ring, &elem));
	ck_assert_uint_eq(status_of(0), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(requests_are_given_back_as_they_finish)
{
	start(DRIVER_CORE_FEATURES);
	for (unsigned i = 0; i < 3; i++)
		send_slot(i, VIRTIO_BLK_T_IN, i);
	ring_kick(ring);

	/* The fake disk completes the last one first. */
	for (uint32_t i = 3; i > 0; i--) {
		ck_assert(ring_wait(ring, &elem));
		ck_assert_uint_eq(elem.id, i - 1);
	}
}
END_TEST

START_TEST(more_in_flight_than_the_queue_holds_is_a_breach)
{
	start(DRIVER_CORE_FEATURES);
	disk_log->hold = true;
	for (unsigned i = 0; i < RING_SIZE; i++)
		send_slot(i, VIRTIO_BLK_T_IN, i);
	ring_kick(ring);
	rig_settle(&rig);
	ck_assert_uint_eq(disk_log->nr_waiting, RING_SIZE);

	ring_offer(ring, 0);
	ring_kick(ring);
	ck_assert(driver_must_reset(&driver));
	ck_assert_uint_eq(disk_log->nr_waiting, RING_SIZE);

	loop_call(rig.loop, release, NULL);
	start(0);
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(head_offered_again_while_in_flight_is_served_again)
{
	start(DRIVER_CORE_FEATURES);
	disk_log->hold = true;
	send_slot(0, VIRTIO_BLK_T_IN, 0);
	ring_offer(ring, 0);
	ring_kick(ring);
	rig_settle(&rig);
	ck_assert_uint_eq(disk_log->nr_waiting, 2);

	loop_call(rig.loop, release, NULL);

	ck_assert(ring_wait(ring, &elem));
	ck_assert(ring_wait(ring, &elem));
}
END_TEST

static void release_soon(struct loop_timer *timer)
{
	(void)timer;
	fake_disk_release(disk);
}

static void set_timer(void *ctx)
{
	loop_timer_set(rig.loop, ctx, 0);
}

START_TEST(reset_waits_for_the_disk)
{
	struct loop_timer timer = { .fired = release_soon };

	start(DRIVER_CORE_FEATURES);
	disk_log->hold = true;
	for (unsigned i = 0; i < RING_SIZE; i++)
		send_slot(i, VIRTIO_BLK_T_IN, i);
	ring_kick(ring);
	rig_settle(&rig);
	ck_assert_uint_eq(disk_log->nr_waiting, RING_SIZE);
	loop_call(rig.loop, set_timer, &timer);

	driver_reset(&driver);

	ck_assert_uint_eq(disk_log->nr_waiting, 0);
	ck_assert_uint_eq(ring_used_idx(ring), RING_SIZE);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("fake disk");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, writes_may_be_cached_when_the_driver_flushes);
	tcase_add_test(tc, writes_are_durable_when_the_driver_does_not_flush);
	tcase_add_test(tc, flush_reaches_the_disk);
	tcase_add_test(tc, errors_of_the_disk_reach_the_driver);
	tcase_add_test(tc, request_is_not_given_back_before_it_is_done);
	tcase_add_test(tc, requests_are_given_back_as_they_finish);
	tcase_add_test(tc, more_in_flight_than_the_queue_holds_is_a_breach);
	tcase_add_test(tc, head_offered_again_while_in_flight_is_served_again);
	tcase_add_test(tc, reset_waits_for_the_disk);
	return run_suite("virtio_blk_flight", &tc, 1);
}
