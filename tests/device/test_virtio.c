// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio.c - what every virtio device must do, whatever it is for.
 *
 * Each test runs once with each of kinds[].
 */
#include "devices/virtio/virtio.h"

#include "kind_fixture.h"

#include <check.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

/* Starting. */

START_TEST(request_is_served_and_interrupts_once)
{
	struct vring_used_elem elem;

	start(_i);
	send_request();
	ring_kick(the_ring());

	ck_assert_uint_eq(rig_wait_interrupts(&rig, the_ring()->message), 1);
	ck_assert(ring_reap(the_ring(), &elem));
	ck_assert_uint_eq(elem.id, 0);
	ck_assert(!ring_reap(the_ring(), &elem));
}
END_TEST

START_TEST(features_of_the_core_are_offered)
{
	plug(_i);

	ck_assert_uint_eq(driver_offered(&driver) & DRIVER_CORE_FEATURES,
			  DRIVER_CORE_FEATURES);
}
END_TEST

START_TEST(all_that_is_offered_can_be_accepted)
{
	plug(_i);

	ck_assert(driver_start(&driver, driver_offered(&driver), RING_SIZE));

	assert_serves();
}
END_TEST

START_TEST(each_feature_that_is_not_offered_is_refused)
{
	uint64_t offered, version = BIT64(VIRTIO_F_VERSION_1);

	plug(_i);
	offered = driver_offered(&driver);

	for (unsigned bit = 0; bit < 64; bit++) {
		driver_reset(&driver);
		ck_assert_int_eq(driver_negotiate(&driver, version | BIT64(bit)),
				 offered >> bit & 1);
	}
}
END_TEST

START_TEST(driver_that_does_not_know_version_1_is_refused)
{
	plug(_i);

	ck_assert(!driver_negotiate(&driver, 0));
	ck_assert(!driver_negotiate(&driver, driver_offered(&driver) &
				    ~BIT64(VIRTIO_F_VERSION_1)));
}
END_TEST

START_TEST(features_can_be_chosen_anew_after_a_refusal)
{
	plug(_i);

	ck_assert(!driver_negotiate(&driver, UINT64_MAX));

	ck_assert(driver_negotiate(&driver, BIT64(VIRTIO_F_VERSION_1)));
}
END_TEST

START_TEST(features_are_fixed_once_they_are_agreed_on)
{
	plug(_i);
	ck_assert(driver_negotiate(&driver, BIT64(VIRTIO_F_VERSION_1)));

	driver_accept(&driver, DRIVER_CORE_FEATURES);

	driver_set(&driver, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_GF, 4), 0);
	driver_set(&driver, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_GF, 4), 1);
}
END_TEST

START_TEST(feature_words_beyond_the_second_are_empty)
{
	plug(_i);
	driver_set(&driver, VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	driver_set(&driver, VIRTIO_PCI_COMMON_GFSELECT, 4, UINT32_MAX);

	driver_set(&driver, VIRTIO_PCI_COMMON_GF, 4, UINT32_MAX);

	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_DF, 4), 0);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_GF, 4), 0);
}
END_TEST

START_TEST(driver_ok_without_features_ok_starts_nothing)
{
	plug(_i);
	driver_enable_msix(&driver);
	driver_add_ring(&driver, kind->queue, RING_SIZE);

	driver_set_status(&driver, DRIVER_READY & ~VIRTIO_CONFIG_S_FEATURES_OK);
	send_request();
	ring_kick(the_ring());
	rig_settle(&rig);

	ck_assert_uint_eq(ring_used_idx(the_ring()), 0);
	assert_serves_after_reset();
}
END_TEST

START_TEST(status_bits_stay_until_reset)
{
	start(_i);

	driver_set_status(&driver, VIRTIO_CONFIG_S_ACKNOWLEDGE);

	ck_assert_uint_eq(driver_status(&driver), DRIVER_READY);
	assert_serves();
}
END_TEST

START_TEST(driver_cannot_claim_that_the_device_needs_reset)
{
	start(_i);

	driver_set_status(&driver, DRIVER_READY | VIRTIO_CONFIG_S_NEEDS_RESET);

	ck_assert_uint_eq(driver_status(&driver), DRIVER_READY);
	assert_serves();
}
END_TEST

START_TEST(queue_set_up_is_fixed_once_enabled)
{
	plug(_i);
	ck_assert(driver_negotiate(&driver, BIT64(VIRTIO_F_VERSION_1)));
	driver_enable_msix(&driver);
	driver_add_ring(&driver, kind->queue, RING_SIZE);

	driver_set(&driver, VIRTIO_PCI_COMMON_Q_SIZE, 2, 2);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x70000);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);

	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_Q_SIZE, 2), RING_SIZE);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_Q_DESCLO, 4),
			  the_ring()->desc_at);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
}
END_TEST

START_TEST(queue_that_is_not_there_has_size_0_and_takes_nothing)
{
	plug(_i);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0xffff);

	driver_set(&driver, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);

	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2),
			  VIRTIO_MSI_NO_VECTOR);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
}
END_TEST

START_TEST(queue_that_is_not_enabled_is_left_alone)
{
	plug(_i);
	ck_assert(driver_negotiate(&driver, BIT64(VIRTIO_F_VERSION_1)));
	driver_enable_msix(&driver);
	driver_set_status(&driver, DRIVER_READY);

	for (unsigned queue = 0; queue < DRIVER_RINGS_MAX; queue++)
		rig_write(&rig, driver.notify + queue * driver.notify_multiplier, 2, queue);
	rig_settle(&rig);

	ck_assert_uint_eq(driver_status(&driver), DRIVER_READY);
	assert_serves_after_reset();
}
END_TEST

/* Rings that cannot be. */

struct misplacement {
	unsigned low_register;		/* of the ring's address */
	uint64_t at;
};

static const struct misplacement misplacements[] = {
	{ VIRTIO_PCI_COMMON_Q_DESCLO, 0x8 },			/* misaligned */
	{ VIRTIO_PCI_COMMON_Q_AVAILLO, 0x4001 },
	{ VIRTIO_PCI_COMMON_Q_USEDLO, 0x5002 },
	{ VIRTIO_PCI_COMMON_Q_DESCLO, RIG_RAM_LEN },		/* where no RAM is */
	{ VIRTIO_PCI_COMMON_Q_AVAILLO, RIG_RAM_LEN },
	{ VIRTIO_PCI_COMMON_Q_USEDLO, RIG_RAM_LEN },
	{ VIRTIO_PCI_COMMON_Q_DESCLO, RIG_RAM_LEN - 16 },	/* at the end of RAM */
	{ VIRTIO_PCI_COMMON_Q_AVAILLO, RIG_RAM_LEN - 4 },
	{ VIRTIO_PCI_COMMON_Q_USEDLO, RIG_RAM_LEN - 8 },
	{ VIRTIO_PCI_COMMON_Q_DESCLO, RIG_HIGH_AT + RIG_HIGH_LEN },
	{ VIRTIO_PCI_COMMON_Q_DESCLO, UINT64_MAX - 15 },	/* at the end of all */
	{ VIRTIO_PCI_COMMON_Q_AVAILLO, UINT64_MAX - 1 },
	{ VIRTIO_PCI_COMMON_Q_USEDLO, UINT64_MAX - 3 },
	{ VIRTIO_PCI_COMMON_Q_USEDLO, RIG_WINDOW_AT },		/* the device itself */
};

static void start_with(const struct misplacement *wrong)
{
	driver_reset(&driver);
	ck_assert(driver_negotiate(&driver, BIT64(VIRTIO_F_VERSION_1)));
	driver_enable_msix(&driver);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, kind->queue);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_SIZE, 2, RING_SIZE);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x0000);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, 0x4000);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_USEDLO, 4, 0x5000);
	driver_set(&driver, wrong->low_register, 4, (uint32_t)wrong->at);
	driver_set(&driver, wrong->low_register + 4, 4, wrong->at >> 32);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	driver_set_status(&driver, DRIVER_READY);
}

START_TEST(misplaced_ring_makes_the_device_ask_for_a_reset)
{
	plug(_i);

	for (size_t i = 0; i < ARRAY_LEN(misplacements); i++) {
		start_with(&misplacements[i]);
		ck_assert_msg(driver_must_reset(&driver), "misplacement %zu", i);
	}

	assert_serves_after_reset();
}
END_TEST

START_TEST(wrong_queue_size_makes_the_device_ask_for_a_reset)
{
	static const uint16_t sizes[] = { 0, 3, 7, 2048, 0x8000, 0xffff };

	plug(_i);

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		driver_reset(&driver);
		ck_assert(driver_negotiate(&driver, BIT64(VIRTIO_F_VERSION_1)));
		driver_enable_msix(&driver);
		driver_set(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, kind->queue);
		driver_set(&driver, VIRTIO_PCI_COMMON_Q_SIZE, 2, sizes[i]);
		driver_set(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		driver_set_status(&driver, DRIVER_READY);
		ck_assert_msg(driver_must_reset(&driver), "size %u", sizes[i]);
	}

	assert_serves_after_reset();
}
END_TEST

START_TEST(rings_in_high_memory_work)
{
	struct ring *ring;

	plug(_i);
	ck_assert(driver_negotiate(&driver, BIT64(VIRTIO_F_VERSION_1)));
	driver_enable_msix(&driver);
	driver_add_ring(&driver, kind->queue, RING_SIZE);
	driver_reset(&driver);
	ck_assert(driver_negotiate(&driver, BIT64(VIRTIO_F_VERSION_1)));
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, kind->queue);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_SIZE, 2, RING_SIZE);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1 + kind->queue);
	ring = the_ring();
	ring->desc = rig_ram(&rig, RIG_HIGH_AT, 0x1000);
	ring->avail = rig_ram(&rig, RIG_HIGH_AT + 0x1000, 0x1000);
	ring->used = rig_ram(&rig, RIG_HIGH_AT + 0x2000, 0x1000);
	for (unsigned part = 0; part < 3; part++) {
		unsigned low = VIRTIO_PCI_COMMON_Q_DESCLO + 8 * part;

		driver_set(&driver, low, 4, (uint32_t)RIG_HIGH_AT + 0x1000 * part);
		driver_set(&driver, low + 4, 4, RIG_HIGH_AT >> 32);
	}
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	driver_set_status(&driver, DRIVER_READY);

	assert_serves();
}
END_TEST

/* Reset. */

static void assert_as_new(void)
{
	ck_assert_uint_eq(driver_status(&driver), 0);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_MSIX, 2),
			  VIRTIO_MSI_NO_VECTOR);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, kind->queue);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_Q_USEDLO, 4), 0);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2),
			  VIRTIO_MSI_NO_VECTOR);
	driver_set(&driver, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_GF, 4), 0);
	ck_assert_uint_eq(rig_nr_bound_writes(&rig), 0);
}

START_TEST(reset_works_in_every_state)
{
	static const uint8_t states[] = {
		0,
		VIRTIO_CONFIG_S_ACKNOWLEDGE,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER,
		DRIVER_NEGOTIATED,
		DRIVER_READY,
		DRIVER_READY | VIRTIO_CONFIG_S_FAILED,
		0xff,
	};

	plug(_i);

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		driver_accept(&driver, DRIVER_CORE_FEATURES);
		driver_add_ring(&driver, kind->queue, RING_SIZE);
		driver_set_status(&driver, states[i]);
		driver_reset(&driver);
		assert_as_new();
		assert_serves_after_reset();
		driver_reset(&driver);
	}
}
END_TEST

START_TEST(nothing_is_written_after_a_reset_with_requests_in_flight)
{
	uint8_t before[0x2000], *rings;

	start(_i);
	for (unsigned i = 0; i < RING_SIZE / KIND_BUFFERS_MAX; i++)
		send_request();
	ring_kick(the_ring());

	driver_reset(&driver);
	assert_as_new();
	rings = rig_ram(&rig, the_ring()->avail_at, sizeof(before));
	memcpy(before, rings, sizeof(before));
	rig_settle(&rig);

	ck_assert_mem_eq(rings, before, sizeof(before));
	assert_serves_after_reset();
}
END_TEST

START_TEST(reset_takes_the_rings_back_to_their_start)
{
	start(_i);
	for (unsigned i = 0; i < 3; i++)
		assert_serves();

	ck_assert(driver_start(&driver, 0, 2 * RING_SIZE));
	assert_serves();

	ck_assert_uint_eq(ring_used_idx(the_ring()), 1);
}
END_TEST

START_TEST(many_resets_in_a_row_leave_a_working_device)
{
	plug(_i);

	for (unsigned i = 0; i < 100; i++) {
		ck_assert(driver_start(&driver, 0, RING_SIZE));
		send_request();
		ring_kick(the_ring());
	}

	assert_serves_after_reset();
}
END_TEST

START_TEST(device_can_go_while_requests_are_in_flight)
{
	start(_i);
	send_request();
	ring_kick(the_ring());

	rig_unplug(&rig);

	ck_assert(!driver_find(&driver, &rig, kind->type));
}
END_TEST

START_TEST(device_can_go_that_was_never_started)
{
	plug(_i);

	rig_unplug(&rig);

	ck_assert(!driver_find(&driver, &rig, kind->type));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio");
	TCase *tc = tcase_create("every device");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_loop_test(tc, request_is_served_and_interrupts_once, 0, KINDS_NR);
	tcase_add_loop_test(tc, features_of_the_core_are_offered, 0, KINDS_NR);
	tcase_add_loop_test(tc, all_that_is_offered_can_be_accepted, 0, KINDS_NR);
	tcase_add_loop_test(tc, each_feature_that_is_not_offered_is_refused, 0, KINDS_NR);
	tcase_add_loop_test(tc, driver_that_does_not_know_version_1_is_refused, 0, KINDS_NR);
	tcase_add_loop_test(tc, features_can_be_chosen_anew_after_a_refusal, 0, KINDS_NR);
	tcase_add_loop_test(tc, features_are_fixed_once_they_are_agreed_on, 0, KINDS_NR);
	tcase_add_loop_test(tc, feature_words_beyond_the_second_are_empty, 0, KINDS_NR);
	tcase_add_loop_test(tc, driver_ok_without_features_ok_starts_nothing, 0, KINDS_NR);
	tcase_add_loop_test(tc, status_bits_stay_until_reset, 0, KINDS_NR);
	tcase_add_loop_test(tc, driver_cannot_claim_that_the_device_needs_reset, 0, KINDS_NR);
	tcase_add_loop_test(tc, queue_set_up_is_fixed_once_enabled, 0, KINDS_NR);
	tcase_add_loop_test(tc, queue_that_is_not_there_has_size_0_and_takes_nothing,
			    0, KINDS_NR);
	tcase_add_loop_test(tc, queue_that_is_not_enabled_is_left_alone, 0, KINDS_NR);
	tcase_add_loop_test(tc, misplaced_ring_makes_the_device_ask_for_a_reset, 0, KINDS_NR);
	tcase_add_loop_test(tc, wrong_queue_size_makes_the_device_ask_for_a_reset, 0, KINDS_NR);
	tcase_add_loop_test(tc, rings_in_high_memory_work, 0, KINDS_NR);
	tcase_add_loop_test(tc, reset_works_in_every_state, 0, KINDS_NR);
	tcase_add_loop_test(tc, nothing_is_written_after_a_reset_with_requests_in_flight,
			    0, KINDS_NR);
	tcase_add_loop_test(tc, reset_takes_the_rings_back_to_their_start, 0, KINDS_NR);
	tcase_add_loop_test(tc, many_resets_in_a_row_leave_a_working_device, 0, KINDS_NR);
	tcase_add_loop_test(tc, device_can_go_while_requests_are_in_flight, 0, KINDS_NR);
	tcase_add_loop_test(tc, device_can_go_that_was_never_started, 0, KINDS_NR);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
