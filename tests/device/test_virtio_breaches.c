// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_breaches.c - drivers that break the rules of their rings.
 *
 * Whatever they do ends in a device that wants a reset and works after it.
 */
#include "devices/virtio/virtio.h"

#include "base/clock.h"
#include "echo_fixture.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define NOWHERE_AT	RIG_RAM_LEN		/* no RAM is there */

#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define INDIRECT	VRING_DESC_F_INDIRECT

/* Each breaks one rule, in a ring that has not been used. */

static void write_table(unsigned index, uint64_t at, uint32_t len, uint16_t flags,
			uint16_t next)
{
	struct vring_desc *table = rig_ram(&rig, TABLE_AT, TABLE_LEN);

	table[index] = (struct vring_desc){ at, len, flags, next };
}

static void loop_of_one(void)
{
	ring_write(ring, 0, OUT_AT, LEN, NEXT, 0);
	ring_offer(ring, 0);
}

static void loop_of_two(void)
{
	ring_write(ring, 0, OUT_AT, LEN, NEXT, 1);
	ring_write(ring, 1, OUT_AT, LEN, NEXT, 0);
	ring_offer(ring, 0);
}

static void loop_of_empty_buffers(void)
{
	ring_write(ring, 0, 0, 0, NEXT, 1);
	ring_write(ring, 1, 0, 0, NEXT, 0);
	ring_offer(ring, 0);
}

static void head_beyond_the_queue(void)
{
	ring_offer(ring, SIZE);
}

static void next_beyond_the_queue(void)
{
	ring_write(ring, 0, OUT_AT, LEN, NEXT, SIZE);
	ring_offer(ring, 0);
}

static void readable_after_writable(void)
{
	ring_write(ring, 0, IN_AT, LEN, WRITE | NEXT, 1);
	ring_write(ring, 1, OUT_AT, LEN, 0, 0);
	ring_offer(ring, 0);
}

static void buffer_outside_memory(void)
{
	ring_write(ring, 0, NOWHERE_AT, LEN, 0, 0);
	ring_offer(ring, 0);
}

static void buffer_across_the_end_of_memory(void)
{
	ring_write(ring, 0, RIG_RAM_LEN - LEN + 1, LEN, WRITE, 0);
	ring_offer(ring, 0);
}

static void buffer_across_the_end_of_addresses(void)
{
	ring_write(ring, 0, UINT64_MAX - LEN / 2, LEN, 0, 0);
	ring_offer(ring, 0);
}

static void buffer_larger_than_memory(void)
{
	ring_write(ring, 0, OUT_AT, UINT32_MAX, WRITE, 0);
	ring_offer(ring, 0);
}

static void more_available_than_the_queue_holds(void)
{
	ring_write(ring, 0, OUT_AT, LEN, 0, 0);
	ring_set_avail_idx(ring, SIZE + 1);
}

static void available_index_goes_back(void)
{
	ring_write(ring, 0, OUT_AT, LEN, 0, 0);
	ring_set_avail_idx(ring, UINT16_MAX);
}

static void table_in_a_table(void)
{
	write_table(0, TABLE_AT + 64, 16, INDIRECT, 0);
	ring_write(ring, 0, TABLE_AT, 16, INDIRECT, 0);
	ring_offer(ring, 0);
}

static void table_before_a_descriptor(void)
{
	write_table(0, OUT_AT, LEN, 0, 0);
	ring_write(ring, 0, TABLE_AT, 16, INDIRECT | NEXT, 1);
	ring_write(ring, 1, IN_AT, LEN, WRITE, 0);
	ring_offer(ring, 0);
}

static void empty_table(void)
{
	ring_write(ring, 0, TABLE_AT, 0, INDIRECT, 0);
	ring_offer(ring, 0);
}

static void table_of_half_a_descriptor(void)
{
	write_table(0, OUT_AT, LEN, 0, 0);
	ring_write(ring, 0, TABLE_AT, 24, INDIRECT, 0);
	ring_offer(ring, 0);
}

static void table_outside_memory(void)
{
	ring_write(ring, 0, NOWHERE_AT, 16, INDIRECT, 0);
	ring_offer(ring, 0);
}

static void table_at_the_end_of_addresses(void)
{
	ring_write(ring, 0, UINT64_MAX - 7, 32, INDIRECT, 0);
	ring_offer(ring, 0);
}

static void next_beyond_the_table(void)
{
	write_table(0, OUT_AT, LEN, NEXT, 2);
	ring_write(ring, 0, TABLE_AT, 32, INDIRECT, 0);
	ring_offer(ring, 0);
}

static void loop_in_a_table(void)
{
	write_table(0, OUT_AT, LEN, NEXT, 1);
	write_table(1, OUT_AT, LEN, NEXT, 0);
	ring_write(ring, 0, TABLE_AT, 32, INDIRECT, 0);
	ring_offer(ring, 0);
}

/* One turn of a loop for each of 2^28 entries would take the loop's thread seconds. */
static void loop_of_empty_buffers_in_a_huge_table(void)
{
	write_table(0, 0, 0, NEXT, 0);
	ring_write(ring, 0, TABLE_AT, UINT32_MAX - 15, INDIRECT, 0);
	ring_offer(ring, 0);
}

static void one_buffer_too_many(void)
{
	for (uint16_t i = 0; i <= VIRTIO_SEGS_MAX; i++)
		write_table(i, OUT_AT, 1, i < VIRTIO_SEGS_MAX ? NEXT : 0, (uint16_t)(i + 1));
	ring_write(ring, 0, TABLE_AT, 16 * (VIRTIO_SEGS_MAX + 1), INDIRECT, 0);
	ring_offer(ring, 0);
}

/* Counts twice, as it lies in two mappings. */
static void last_buffer_crosses_a_seam(void)
{
	for (uint16_t i = 0; i < VIRTIO_SEGS_MAX; i++)
		write_table(i, OUT_AT, 1, NEXT, (uint16_t)(i + 1));
	write_table(VIRTIO_SEGS_MAX - 1, RIG_SEAM - 1, 2, 0, 0);
	ring_write(ring, 0, TABLE_AT, 16 * VIRTIO_SEGS_MAX, INDIRECT, 0);
	ring_offer(ring, 0);
}

static void (*const breaches[])(void) = {
	loop_of_one,
	loop_of_two,
	loop_of_empty_buffers,
	head_beyond_the_queue,
	next_beyond_the_queue,
	readable_after_writable,
	buffer_outside_memory,
	buffer_across_the_end_of_memory,
	buffer_across_the_end_of_addresses,
	buffer_larger_than_memory,
	more_available_than_the_queue_holds,
	available_index_goes_back,
	table_in_a_table,
	table_before_a_descriptor,
	empty_table,
	table_of_half_a_descriptor,
	table_outside_memory,
	table_at_the_end_of_addresses,
	next_beyond_the_table,
	loop_in_a_table,
	loop_of_empty_buffers_in_a_huge_table,
	one_buffer_too_many,
	last_buffer_crosses_a_seam,
};

START_TEST(driver_that_breaks_a_rule_has_to_reset)
{
	start(DRIVER_CORE_FEATURES);

	breaches[_i]();
	ring_kick(ring);

	ck_assert(driver_must_reset(&driver));
	ck_assert_uint_eq(ring_used_idx(ring), 0);
	ck_assert_uint_eq(echo->nr_served, 0);
}
END_TEST

START_TEST(broken_device_works_after_a_reset)
{
	start(DRIVER_CORE_FEATURES);
	breaches[_i]();
	ring_kick(ring);
	ck_assert(driver_must_reset(&driver));

	start(DRIVER_CORE_FEATURES);

	assert_serves();
	ck_assert_uint_eq(driver_status(&driver), DRIVER_READY);
}
END_TEST

START_TEST(broken_device_serves_no_queue_and_interrupts_no_more)
{
	const struct buffer buffer = { IN_AT, LEN, true };

	start(0);
	loop_of_one();
	ring_kick(ring);
	ck_assert(driver_must_reset(&driver));

	ck_assert(ring_send(&driver.rings[1], &buffer, 1));
	ring_kick(&driver.rings[1]);
	ring_kick(ring);
	rig_settle(&rig);

	ck_assert_uint_eq(echo->nr_served, 0);
	ck_assert_uint_eq(rig_take_interrupts(&rig, driver.config_message), 0);
}
END_TEST

START_TEST(requests_before_the_breach_are_given_back)
{
	struct vring_used_elem elem;

	echo->delay_ns = 20 * CLOCK_NS_PER_MS;
	start(0);
	send_one();
	ring_kick(ring);
	rig_settle(&rig);
	ring_offer(ring, SIZE);
	ring_kick(ring);

	ck_assert(driver_must_reset(&driver));
	ck_assert(ring_wait(ring, &elem));
}
END_TEST

START_TEST(table_that_was_not_negotiated_is_a_breach)
{
	const struct buffer buffer = { IN_AT, LEN, true };

	start(0);

	ck_assert(ring_send_indirect(ring, TABLE_AT, &buffer, 1));
	ring_kick(ring);

	ck_assert(driver_must_reset(&driver));
}
END_TEST

START_TEST(device_that_cannot_start_has_to_be_reset)
{
	echo->start_result = -ENOMEM;
	ck_assert(!driver_start(&driver, 0, SIZE));
	ck_assert(driver_must_reset(&driver));
	echo->start_result = 0;

	driver_reset(&driver);
	ck_assert_uint_eq(echo->nr_stops, 0);

	start(0);
	assert_serves();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_breaches");
	TCase *tc = tcase_create("echo");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_loop_test(tc, driver_that_breaks_a_rule_has_to_reset, 0,
			    ARRAY_LEN(breaches));
	tcase_add_loop_test(tc, broken_device_works_after_a_reset, 0, ARRAY_LEN(breaches));
	tcase_add_test(tc, broken_device_serves_no_queue_and_interrupts_no_more);
	tcase_add_test(tc, requests_before_the_breach_are_given_back);
	tcase_add_test(tc, table_that_was_not_negotiated_is_a_breach);
	tcase_add_test(tc, device_that_cannot_start_has_to_be_reset);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
