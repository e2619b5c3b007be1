// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_pci.c - how every virtio device is reached over PCI.
 *
 * Each test runs once with each of kinds[].
 */
#include "devices/virtio/virtio_pci.h"

#include "kind_fixture.h"

#include <check.h>
#include <linux/pci_regs.h>
#include <stdlib.h>

START_TEST(kicks_are_bound_while_the_driver_is_ready)
{
	unsigned nr_queues;

	plug(_i);
	nr_queues = (unsigned)driver_get(&driver, VIRTIO_PCI_COMMON_NUMQ, 2);

	ck_assert_uint_eq(rig_nr_bound_writes(&rig), 0);
	ck_assert(driver_start(&driver, 0, RING_SIZE));
	ck_assert_uint_eq(rig_nr_bound_writes(&rig), nr_queues);
	driver_reset(&driver);
	ck_assert_uint_eq(rig_nr_bound_writes(&rig), 0);
}
END_TEST

START_TEST(bar_can_move_while_the_device_runs)
{
	start(_i);
	assert_serves();

	for (uint32_t i = 0; i < 4; i++) {
		driver_move_bar(&driver, (uint32_t)RIG_WINDOW_AT + i * 0x10000);
		assert_serves();
	}

	driver_pci_write(&driver, PCI_COMMAND, 2, 0);
	ck_assert_uint_eq(rig_nr_bound_writes(&rig), 0);
}
END_TEST

START_TEST(kick_works_where_it_cannot_be_bound)
{
	rig.refuses_writes = true;
	start(_i);

	ck_assert_uint_eq(rig_nr_bound_writes(&rig), 0);
	assert_serves();
}
END_TEST

START_TEST(kick_beyond_the_queues_is_ignored)
{
	start(_i);

	rig_write(&rig, driver.notify + DRIVER_RINGS_MAX * driver.notify_multiplier, 2, 0);
	rig_write(&rig, driver.notify + 0xffc, 4, 0);

	assert_serves();
}
END_TEST

START_TEST(pci_window_reads_registers)
{
	start(_i);

	ck_assert_uint_eq(driver_window_read(&driver, driver.common +
					     VIRTIO_PCI_COMMON_STATUS, 1), DRIVER_READY);
	ck_assert_uint_eq(driver_window_read(&driver, driver.common +
					     VIRTIO_PCI_COMMON_NUMQ, 2),
			  driver_get(&driver, VIRTIO_PCI_COMMON_NUMQ, 2));
	ck_assert_uint_eq(driver_window_read(&driver, driver.msix_table +
					     PCI_MSIX_ENTRY_DATA, 4), driver.config_message);
}
END_TEST

START_TEST(pci_window_carries_kicks_and_resets)
{
	struct vring_used_elem elem;

	start(_i);
	send_request();

	driver_window_write(&driver, the_ring()->kick_at, 2, the_ring()->index);
	ck_assert(ring_wait(the_ring(), &elem));
	driver_window_write(&driver, driver.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	ck_assert_uint_eq(driver_status(&driver), 0);
}
END_TEST

START_TEST(pci_window_that_points_nowhere_does_nothing)
{
	static const struct { uint8_t bar; uint32_t off, len; } wrong[] = {
		{ 1, 0x14, 1 }, { 255, 0x14, 1 }, { 0, 0x14, 0 }, { 0, 0x14, 3 },
		{ 0, 0x14, 8 }, { 0, 0x15, 2 }, { 0, 0x8000, 4 }, { 0, 0xfffffffc, 4 },
		{ 0, 0x7fff, 2 }, { 0, 0x14, UINT32_MAX },
	};

	start(_i);

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		unsigned cap = driver.window_cap;

		driver_pci_write(&driver, cap + VIRTIO_PCI_CAP_BAR, 1, wrong[i].bar);
		driver_pci_write(&driver, cap + VIRTIO_PCI_CAP_OFFSET, 4, wrong[i].off);
		driver_pci_write(&driver, cap + VIRTIO_PCI_CAP_LENGTH, 4, wrong[i].len);
		driver_pci_write(&driver, cap + sizeof(struct virtio_pci_cap), 4, 0);
		ck_assert_uint_eq(driver_pci_read(&driver,
						  cap + sizeof(struct virtio_pci_cap), 4), 0);
	}

	ck_assert_uint_eq(driver_status(&driver), DRIVER_READY);
	assert_serves();
}
END_TEST

/* The width of the field at off; 0 where none begins. */
static const uint8_t common_widths[VIRTIO_PCI_COMMON_Q_USEDHI + 4] = {
	[VIRTIO_PCI_COMMON_DFSELECT] = 4, [VIRTIO_PCI_COMMON_DF] = 4,
	[VIRTIO_PCI_COMMON_GFSELECT] = 4, [VIRTIO_PCI_COMMON_GF] = 4,
	[VIRTIO_PCI_COMMON_MSIX] = 2, [VIRTIO_PCI_COMMON_NUMQ] = 2,
	[VIRTIO_PCI_COMMON_STATUS] = 1, [VIRTIO_PCI_COMMON_CFGGENERATION] = 1,
	[VIRTIO_PCI_COMMON_Q_SELECT] = 2, [VIRTIO_PCI_COMMON_Q_SIZE] = 2,
	[VIRTIO_PCI_COMMON_Q_MSIX] = 2, [VIRTIO_PCI_COMMON_Q_ENABLE] = 2,
	[VIRTIO_PCI_COMMON_Q_NOFF] = 2,
	[VIRTIO_PCI_COMMON_Q_DESCLO] = 4, [VIRTIO_PCI_COMMON_Q_DESCHI] = 4,
	[VIRTIO_PCI_COMMON_Q_AVAILLO] = 4, [VIRTIO_PCI_COMMON_Q_AVAILHI] = 4,
	[VIRTIO_PCI_COMMON_Q_USEDLO] = 4, [VIRTIO_PCI_COMMON_Q_USEDHI] = 4,
};

static void read_common(uint64_t *ret_fields)
{
	for (unsigned off = 0; off < ARRAY_LEN(common_widths); off++)
		ret_fields[off] = common_widths[off] ?
				  driver_get(&driver, off, common_widths[off]) : 0;
}

START_TEST(accesses_of_a_wrong_width_read_zero_and_change_nothing)
{
	uint64_t before[ARRAY_LEN(common_widths)], after[ARRAY_LEN(common_widths)];

	start(_i);
	read_common(before);

	for (unsigned off = 0; off < ARRAY_LEN(common_widths) + 8; off++) {
		for (unsigned size = 1; size <= 8; size *= 2) {
			if (off < ARRAY_LEN(common_widths) && common_widths[off] == size)
				continue;
			ck_assert_uint_eq(driver_get(&driver, off, size), 0);
			driver_set(&driver, off, size, 0);
			driver_set(&driver, off, size, UINT64_MAX);
		}
	}

	read_common(after);
	ck_assert_mem_eq(after, before, sizeof(before));
	assert_serves();
}
END_TEST

START_TEST(read_only_registers_stay_as_they_are)
{
	static const uint8_t read_only[] = {
		VIRTIO_PCI_COMMON_DF, VIRTIO_PCI_COMMON_NUMQ,
		VIRTIO_PCI_COMMON_CFGGENERATION, VIRTIO_PCI_COMMON_Q_NOFF,
	};

	plug(_i);

	for (size_t i = 0; i < ARRAY_LEN(read_only); i++) {
		unsigned off = read_only[i], size = common_widths[off];
		uint64_t before = driver_get(&driver, off, size);

		driver_set(&driver, off, size, ~before);
		ck_assert_uint_eq(driver_get(&driver, off, size), before);
	}
}
END_TEST

START_TEST(vector_that_is_not_there_reads_back_as_none)
{
	plug(_i);

	driver_set(&driver, VIRTIO_PCI_COMMON_MSIX, 2, driver.nr_vectors);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, driver.nr_vectors);

	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_MSIX, 2),
			  VIRTIO_MSI_NO_VECTOR);
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2),
			  VIRTIO_MSI_NO_VECTOR);
}
END_TEST

START_TEST(driver_without_vectors_can_poll)
{
	struct vring_used_elem elem;
	bool reaped = false;

	start(_i);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, kind->queue);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
	send_request();
	ring_kick(the_ring());

	while (!reaped)
		reaped = ring_reap(the_ring(), &elem);

	rig_settle(&rig);
	ck_assert_uint_eq(rig_take_interrupts(&rig, the_ring()->message), 0);
}
END_TEST

START_TEST(masked_vector_is_pending_until_it_is_unmasked)
{
	unsigned vector = 1 + kinds[_i].queue;
	uint64_t control;

	start(_i);
	control = driver.msix_table + vector * UINT64_C(16) + PCI_MSIX_ENTRY_VECTOR_CTRL;
	rig_write(&rig, control, 4, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	send_request();
	ring_kick(the_ring());
	while (ring_used_idx(the_ring()) == 0)
		;
	rig_settle(&rig);

	ck_assert_uint_eq(rig_read(&rig, driver.msix_pba, 8), BIT64(vector));
	rig_write(&rig, control, 4, 0);
	ck_assert_uint_eq(rig_take_interrupts(&rig, the_ring()->message), 1);
}
END_TEST

START_TEST(configuration_ends_in_zeroes_and_cannot_be_written)
{
	plug(_i);

	for (unsigned off = 0; off < 0x100; off++) {
		uint64_t before = driver_config(&driver, off, 1);

		rig_write(&rig, driver.device + off, 1, ~before);
		ck_assert_uint_eq(driver_config(&driver, off, 1), before);
		ck_assert(off < kind->config_len || !before);
	}
}
END_TEST

START_TEST(configuration_reads_the_same_in_every_width)
{
	plug(_i);

	for (unsigned off = 0; off < kind->config_len + 8; off++) {
		uint64_t wide = driver_config(&driver, off, 8);

		for (unsigned i = 0; i < 8; i++)
			ck_assert_uint_eq(driver_config(&driver, off + i, 1),
					  wide >> 8 * i & 0xff);
		ck_assert_uint_eq(driver_config(&driver, off, 2), wide & 0xffff);
		ck_assert_uint_eq(driver_config(&driver, off, 4), wide & UINT32_MAX);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_pci");
	TCase *tc = tcase_create("every device");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_loop_test(tc, kicks_are_bound_while_the_driver_is_ready, 0, KINDS_NR);
	tcase_add_loop_test(tc, bar_can_move_while_the_device_runs, 0, KINDS_NR);
	tcase_add_loop_test(tc, kick_works_where_it_cannot_be_bound, 0, KINDS_NR);
	tcase_add_loop_test(tc, kick_beyond_the_queues_is_ignored, 0, KINDS_NR);
	tcase_add_loop_test(tc, pci_window_reads_registers, 0, KINDS_NR);
	tcase_add_loop_test(tc, pci_window_carries_kicks_and_resets, 0, KINDS_NR);
	tcase_add_loop_test(tc, pci_window_that_points_nowhere_does_nothing, 0, KINDS_NR);
	tcase_add_loop_test(tc, accesses_of_a_wrong_width_read_zero_and_change_nothing,
			    0, KINDS_NR);
	tcase_add_loop_test(tc, read_only_registers_stay_as_they_are, 0, KINDS_NR);
	tcase_add_loop_test(tc, vector_that_is_not_there_reads_back_as_none, 0, KINDS_NR);
	tcase_add_loop_test(tc, driver_without_vectors_can_poll, 0, KINDS_NR);
	tcase_add_loop_test(tc, masked_vector_is_pending_until_it_is_unmasked, 0, KINDS_NR);
	/* The first kind has no configuration. */
	tcase_add_loop_test(tc, configuration_ends_in_zeroes_and_cannot_be_written,
			    1, KINDS_NR);
	tcase_add_loop_test(tc, configuration_reads_the_same_in_every_width, 1, KINDS_NR);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
