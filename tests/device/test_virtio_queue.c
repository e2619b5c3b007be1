// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_queue.c - split rings, with the echo device behind them.
 *
 * Whatever a driver may do is served, and neither a kick nor an interrupt is
 * ever lost or sent in vain.
 */
#include "devices/virtio/virtio.h"

#include "base/clock.h"
#include "echo_fixture.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Chains that are well-formed. */

START_TEST(bytes_go_through_direct_and_indirect_chains)
{
	struct buffer buffers[] = {
		{ OUT_AT, 10, false }, { OUT_AT + 10, 100, false },
		{ IN_AT, 1, true }, { IN_AT + 1, 109, true },
	};
	struct vring_used_elem elem;
	uint8_t *out = rig_ram(&rig, OUT_AT, 110), *in = rig_ram(&rig, IN_AT, 110);

	start(DRIVER_CORE_FEATURES);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 110; i++)
			out[i] = (uint8_t)(i * 3 + round);
		memset(in, 0, 110);
		ck_assert(round ? ring_send_indirect(ring, TABLE_AT, buffers, 4) :
				  ring_send(ring, buffers, 4));
		ring_kick(ring);
		ck_assert(ring_wait(ring, &elem));
		ck_assert_uint_eq(elem.len, 110);
		ck_assert_mem_eq(in, out, 110);
	}
}
END_TEST

START_TEST(buffer_across_two_regions_is_whole)
{
	struct buffer buffers[] = { { RIG_SEAM - 5, 11, false }, { IN_AT, 11, true } };
	struct vring_used_elem elem;

	start(0);
	memcpy(rig_ram(&rig, RIG_SEAM - 5, 5), "hello", 5);
	memcpy(rig_ram(&rig, RIG_SEAM, 6), " world", 6);
	ck_assert(ring_send(ring, buffers, 2));
	ring_kick(ring);

	ck_assert(ring_wait(ring, &elem));
	ck_assert_mem_eq(rig_ram(&rig, IN_AT, 11), "hello world", 11);
}
END_TEST

START_TEST(chain_may_take_the_whole_queue)
{
	struct buffer buffers[SIZE];
	struct vring_used_elem elem;

	start(0);
	for (unsigned i = 0; i < SIZE; i++)
		buffers[i] = (struct buffer){ OUT_AT + i, 1, false };
	buffers[SIZE - 1] = (struct buffer){ IN_AT, SIZE, true };

	ck_assert(ring_send(ring, buffers, SIZE));
	ring_kick(ring);

	ck_assert(ring_wait(ring, &elem));
	ck_assert_uint_eq(elem.len, SIZE - 1);
}
END_TEST

START_TEST(table_may_hold_as_many_buffers_as_a_chain)
{
	struct buffer buffers[VIRTIO_SEGS_MAX];
	struct vring_used_elem elem;

	start(DRIVER_CORE_FEATURES);
	for (unsigned i = 0; i < VIRTIO_SEGS_MAX; i++)
		buffers[i] = (struct buffer){ OUT_AT + i, 1, false };
	buffers[VIRTIO_SEGS_MAX - 1] = (struct buffer){ IN_AT, VIRTIO_SEGS_MAX, true };

	ck_assert(ring_send_indirect(ring, TABLE_AT, buffers, VIRTIO_SEGS_MAX));
	ring_kick(ring);

	ck_assert(ring_wait(ring, &elem));
	ck_assert_uint_eq(elem.len, VIRTIO_SEGS_MAX - 1);
}
END_TEST

START_TEST(empty_buffers_are_allowed_anywhere)
{
	struct buffer buffers[] = {
		{ UINT64_MAX, 0, false }, { OUT_AT, LEN, false }, { 0, 0, false },
		{ 0, 0, true }, { IN_AT, LEN, true }, { 0, 0, true },
	};
	struct vring_used_elem elem;

	start(0);

	ck_assert(ring_send(ring, buffers, ARRAY_LEN(buffers)));
	ck_assert(ring_send(ring, buffers, 1));
	ring_kick(ring);

	ck_assert(ring_wait(ring, &elem));
	ck_assert_uint_eq(elem.len, LEN);
	ck_assert(ring_wait(ring, &elem));
	ck_assert_uint_eq(elem.len, 0);
}
END_TEST

START_TEST(head_offered_twice_is_given_back_twice)
{
	struct vring_used_elem elem;

	start(0);
	send_one();
	ring_offer(ring, 0);
	ring_kick(ring);

	for (unsigned i = 0; i < 2; i++) {
		ck_assert(ring_wait(ring, &elem));
		ck_assert_uint_eq(elem.id, 0);
	}
}
END_TEST

START_TEST(both_queues_work_at_once)
{
	const struct buffer buffer = { IN_AT, LEN, true };
	struct vring_used_elem elem;

	start(0);
	ck_assert(ring_send(&driver.rings[1], &buffer, 1));
	send_one();
	ring_kick(ring);
	ring_kick(&driver.rings[1]);

	ck_assert(ring_wait(ring, &elem));
	ck_assert(ring_wait(&driver.rings[1], &elem));
}
END_TEST

/* Interrupts. */

static void send_and_settle(unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		send_one();
	ring_kick(ring);
	rig_settle(&rig);
}

START_TEST(requests_of_one_kick_interrupt_once)
{
	start(0);
	rig_settle(&rig);	/* it looks at its queues once, unasked */

	send_and_settle(SIZE / 2);

	ck_assert_uint_eq(ring_used_idx(ring), SIZE / 2);
	ck_assert_uint_eq(rig_take_interrupts(&rig, ring->message), 1);
}
END_TEST

START_TEST(driver_that_wants_no_interrupt_gets_none)
{
	start(0);
	ring->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;

	send_and_settle(3);

	ck_assert_uint_eq(ring_used_idx(ring), 3);
	ck_assert_uint_eq(rig_take_interrupts(&rig, ring->message), 0);
}
END_TEST

START_TEST(interrupt_comes_at_the_event_and_not_before)
{
	start(BIT64(VIRTIO_F_EVENT_IDX));
	ring_set_used_event(ring, 3);

	send_and_settle(3);
	ck_assert_uint_eq(rig_take_interrupts(&rig, ring->message), 0);
	send_and_settle(1);
	ck_assert_uint_eq(rig_take_interrupts(&rig, ring->message), 1);
	send_and_settle(5);
	ck_assert_uint_eq(rig_take_interrupts(&rig, ring->message), 0);
}
END_TEST

START_TEST(event_within_a_batch_interrupts_once)
{
	start(BIT64(VIRTIO_F_EVENT_IDX));
	ring_set_used_event(ring, 2);

	send_and_settle(10);

	ck_assert_uint_eq(rig_take_interrupts(&rig, ring->message), 1);
}
END_TEST

START_TEST(flag_means_nothing_when_events_are_negotiated)
{
	start(BIT64(VIRTIO_F_EVENT_IDX));
	ring->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	ring_set_used_event(ring, 0);

	send_and_settle(1);

	ck_assert_uint_eq(rig_take_interrupts(&rig, ring->message), 1);
}
END_TEST

/* Kicks. */

START_TEST(idle_device_asks_for_the_next_kick)
{
	start(BIT64(VIRTIO_F_EVENT_IDX));

	send_and_settle(5);

	ck_assert_uint_eq(ring_avail_event(ring), 5);
	ck_assert_uint_eq(ring_used_flags(ring), 0);
}
END_TEST

START_TEST(idle_device_asks_by_flag_without_events)
{
	start(0);

	send_and_settle(5);

	ck_assert_uint_eq(ring_used_flags(ring), 0);
}
END_TEST

START_TEST(requests_that_waited_for_the_start_need_no_kick)
{
	struct vring_used_elem elem;

	driver_reset(&driver);
	ck_assert(driver_negotiate(&driver, BIT64(VIRTIO_F_VERSION_1)));
	driver_enable_msix(&driver);
	driver_add_ring(&driver, 0, SIZE);
	send_one();

	driver_set_status(&driver, DRIVER_READY);

	ck_assert(ring_wait(ring, &elem));
}
END_TEST

START_TEST(spurious_kicks_do_nothing)
{
	start(0);

	for (unsigned i = 0; i < 50; i++)
		ring_kick(ring);
	rig_settle(&rig);

	ck_assert_uint_eq(ring_used_idx(ring), 0);
	ck_assert_uint_eq(rig_take_interrupts(&rig, ring->message), 0);
	assert_serves();
}
END_TEST

/* With and without events. */
static const uint64_t modes[] = { 0, BIT64(VIRTIO_F_EVENT_IDX) };

START_TEST(indices_wrap_around)
{
	struct vring_used_elem elem;
	uint32_t nr_served = 0;

	start(modes[_i]);
	while (nr_served < 0x10000 + 3 * SIZE) {
		for (unsigned i = 0; i < SIZE / 2; i++)
			send_one();
		ring_notify(ring);
		for (unsigned i = 0; i < SIZE / 2; i++) {
			ck_assert(ring_wait(ring, &elem));
			ck_assert_uint_eq(elem.len, LEN);
		}
		nr_served += SIZE / 2;
	}

	ck_assert_uint_eq(ring_used_idx(ring), (uint16_t)nr_served);
	ck_assert_uint_eq(echo->nr_served, nr_served);
}
END_TEST

#define STRESS_REQUESTS 20000

/* Sends and reaps as it comes, kicks and sleeps only as the rules allow. */
static void *drive(void *arg)
{
	const struct buffer buffers[] = { { OUT_AT, LEN, false }, { IN_AT, LEN, true } };
	struct ring *own = arg;
	unsigned nr_sent = 0, nr_done = 0;
	struct vring_used_elem elem;

	while (nr_done < STRESS_REQUESTS) {
		unsigned batch = 1 + nr_sent * 7 % 13;

		while (batch-- && nr_sent < STRESS_REQUESTS && ring_send(own, buffers, 2))
			nr_sent++;
		ring_notify(own);
		if (!ring_wait(own, &elem))
			return own;	/* a kick or an interrupt was lost */
		nr_done++;
		while (nr_done % 5 && ring_reap(own, &elem))
			nr_done++;
	}
	return NULL;
}

START_TEST(no_kick_and_no_interrupt_is_lost)
{
	pthread_t threads[ECHO_QUEUES];

	start(modes[_i]);

	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, drive, &driver.rings[i]),
				 0);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		void *stuck;

		pthread_join(threads[i], &stuck);
		ck_assert_ptr_null(stuck);
	}

	ck_assert_uint_eq(echo->nr_served, ECHO_QUEUES * STRESS_REQUESTS);
}
END_TEST

/* Stopping. */

START_TEST(reset_waits_for_what_is_in_flight)
{
	echo->delay_ns = 10 * CLOCK_NS_PER_MS;
	start(0);
	send_and_settle(7);
	ck_assert_uint_lt(echo->nr_served, 7);

	driver_reset(&driver);

	ck_assert_uint_eq(echo->nr_served, 7);
	ck_assert_uint_eq(ring_used_idx(ring), 7);
	ck_assert_uint_eq(echo->nr_stops, 1);
}
END_TEST

static _Atomic(bool) over;

/* Another vCPU that keeps the queue full, whatever becomes of the device. */
static void *offer_for_ever(void *arg)
{
	(void)arg;
	while (!over) {
		if ((uint16_t)(ring->next_avail - ring_used_idx(ring)) < SIZE)
			ring_offer(ring, 0);
		ring_kick(ring);
	}
	return NULL;
}

START_TEST(reset_ends_though_another_vcpu_goes_on_offering)
{
	pthread_t other;

	echo->delay_ns = CLOCK_NS_PER_MS;
	over = false;
	start(0);
	ring_write(ring, 0, IN_AT, LEN, VRING_DESC_F_WRITE, 0);
	ck_assert_int_eq(pthread_create(&other, NULL, offer_for_ever, NULL), 0);
	while (echo->nr_served < 2)
		;

	driver_reset(&driver);

	over = true;
	pthread_join(other, NULL);
	echo->delay_ns = 0;
	start(0);
	assert_serves();
}
END_TEST

START_TEST(each_start_is_followed_by_one_stop)
{
	for (unsigned i = 0; i < 3; i++) {
		start(0);
		assert_serves();
		driver_reset(&driver);
		driver_reset(&driver);
	}

	ck_assert_uint_eq(echo->nr_starts, 3);
	ck_assert_uint_eq(echo->nr_stops, 3);
}
END_TEST

/* Configuration. */

static void change_config(void *ctx)
{
	(void)ctx;
	echo_set_config(echo, 0x22);
}

START_TEST(change_of_configuration_interrupts_and_counts)
{
	uint64_t before;

	start(0);
	before = driver_get(&driver, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	ck_assert_uint_eq(driver_config(&driver, 0, 4), 0x11111111);

	loop_call(rig.loop, change_config, NULL);

	ck_assert_uint_eq(rig_wait_interrupts(&rig, driver.config_message), 1);
	ck_assert_uint_eq(driver_config(&driver, 0, 4), 0x22222222);
	ck_assert_uint_ne(driver_get(&driver, VIRTIO_PCI_COMMON_CFGGENERATION, 1), before);
}
END_TEST

START_TEST(change_of_configuration_before_the_start_is_silent)
{
	driver_enable_msix(&driver);

	loop_call(rig.loop, change_config, NULL);
	rig_settle(&rig);

	ck_assert_uint_eq(rig_take_interrupts(&rig, driver.config_message), 0);
	ck_assert_uint_eq(driver_config(&driver, 0, 4), 0x22222222);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_queue");
	TCase *tc = tcase_create("echo");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_loop_test(tc, indices_wrap_around, 0, ARRAY_LEN(modes));
	tcase_add_loop_test(tc, no_kick_and_no_interrupt_is_lost, 0, ARRAY_LEN(modes));
	tcase_add_test(tc, bytes_go_through_direct_and_indirect_chains);
	tcase_add_test(tc, buffer_across_two_regions_is_whole);
	tcase_add_test(tc, chain_may_take_the_whole_queue);
	tcase_add_test(tc, table_may_hold_as_many_buffers_as_a_chain);
	tcase_add_test(tc, empty_buffers_are_allowed_anywhere);
	tcase_add_test(tc, head_offered_twice_is_given_back_twice);
	tcase_add_test(tc, both_queues_work_at_once);
	tcase_add_test(tc, requests_of_one_kick_interrupt_once);
	tcase_add_test(tc, driver_that_wants_no_interrupt_gets_none);
	tcase_add_test(tc, interrupt_comes_at_the_event_and_not_before);
	tcase_add_test(tc, event_within_a_batch_interrupts_once);
	tcase_add_test(tc, flag_means_nothing_when_events_are_negotiated);
	tcase_add_test(tc, idle_device_asks_for_the_next_kick);
	tcase_add_test(tc, idle_device_asks_by_flag_without_events);
	tcase_add_test(tc, requests_that_waited_for_the_start_need_no_kick);
	tcase_add_test(tc, spurious_kicks_do_nothing);
	tcase_add_test(tc, reset_waits_for_what_is_in_flight);
	tcase_add_test(tc, reset_ends_though_another_vcpu_goes_on_offering);
	tcase_add_test(tc, each_start_is_followed_by_one_stop);
	tcase_add_test(tc, change_of_configuration_interrupts_and_counts);
	tcase_add_test(tc, change_of_configuration_before_the_start_is_silent);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
