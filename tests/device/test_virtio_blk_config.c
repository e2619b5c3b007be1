// SPDX-License-Identifier: Apache-2.0
/* test_virtio_blk_config.c - the block device's configuration, cache and queues. */
#include "devices/virtio/virtio_blk.h"

#include "devices/virtio/virtio_pci.h"
#include "fake_disk_rig.h"

#include <check.h>
#include <stddef.h>

#define FLUSH	BIT64(VIRTIO_BLK_F_FLUSH)
#define WCE	BIT64(VIRTIO_BLK_F_CONFIG_WCE)
#define MQ	BIT64(VIRTIO_BLK_F_MQ)

#define FIELD(name)							\
	driver_config(&driver, offsetof(struct virtio_blk_config, name),	\
		      sizeof(((struct virtio_blk_config *)0)->name))
#define SET_WCE(value)							\
	driver_set_config(&driver, offsetof(struct virtio_blk_config, wce), 1, value)

static bool is_written_through(void)
{
	unsigned before = disk_log->nr_durable;

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_OK);
	return disk_log->nr_durable != before;
}

START_TEST(topology_is_told_in_blocks)
{
	ck_assert_uint_eq(FIELD(blk_size), SECTOR);
	ck_assert_uint_eq(FIELD(physical_block_exp), 3);
	ck_assert_uint_eq(FIELD(alignment_offset), 3);
	ck_assert_uint_eq(FIELD(min_io_size), 16);
	ck_assert_uint_eq(FIELD(opt_io_size), 64);
	ck_assert(driver_offered(&driver) & BIT64(VIRTIO_BLK_F_TOPOLOGY));
}
END_TEST

START_TEST(limits_of_space_requests_are_told)
{
	ck_assert_uint_eq(FIELD(max_discard_sectors), 1U << 21);
	ck_assert_uint_eq(FIELD(max_discard_seg), 16);
	ck_assert_uint_eq(FIELD(discard_sector_alignment), 8);
	ck_assert_uint_eq(FIELD(max_write_zeroes_sectors), 1U << 21);
	ck_assert_uint_eq(FIELD(max_write_zeroes_seg), 16);
	ck_assert_uint_eq(FIELD(write_zeroes_may_unmap), 1);
}
END_TEST

START_TEST(driver_can_turn_the_cache_off_and_on)
{
	start(FLUSH | WCE);
	ck_assert_uint_eq(FIELD(wce), 1);
	ck_assert(!is_written_through());

	SET_WCE(0);
	ck_assert_uint_eq(FIELD(wce), 0);
	ck_assert(is_written_through());

	SET_WCE(1);
	ck_assert_uint_eq(FIELD(wce), 1);
	ck_assert(!is_written_through());
}
END_TEST

START_TEST(cache_that_was_turned_off_outlives_a_pause_but_no_reset)
{
	start(FLUSH | WCE);
	SET_WCE(0);

	virtio_pci_pause(rig.vp);
	virtio_pci_resume(rig.vp);
	ck_assert(is_written_through());

	start(FLUSH | WCE);
	ck_assert_uint_eq(FIELD(wce), 1);
	ck_assert(!is_written_through());
}
END_TEST

START_TEST(driver_that_cannot_flush_begins_without_a_cache)
{
	start(WCE);

	ck_assert_uint_eq(FIELD(wce), 0);
	ck_assert(is_written_through());
}
END_TEST

START_TEST(disk_without_a_cache_says_so)
{
	disk_log->no_cache = true;
	start(FLUSH | WCE);

	ck_assert_uint_eq(FIELD(wce), 0);
	ck_assert(is_written_through());
}
END_TEST

START_TEST(toggle_that_was_not_negotiated_changes_nothing)
{
	start(FLUSH);

	SET_WCE(0);

	ck_assert(!is_written_through());
}
END_TEST

START_TEST(rest_of_the_configuration_cannot_be_written)
{
	start(FLUSH | WCE);

	driver_set_config(&driver, 0, 8, 1);
	driver_set_config(&driver, offsetof(struct virtio_blk_config, blk_size), 4, 4096);
	driver_set_config(&driver, offsetof(struct virtio_blk_config, wce), 2, 0);
	driver_set_config(&driver, 60, 4, 0);
	driver_set_config(&driver, 0xffc, 4, 0);
	SET_WCE(2);

	ck_assert_uint_eq(FIELD(capacity), NR_SECTORS);
	ck_assert_uint_eq(FIELD(blk_size), SECTOR);
	ck_assert_uint_eq(FIELD(wce), 1);
}
END_TEST

static void shorten(void *ctx)
{
	(void)ctx;
	fake_disk_shorten(disk, DISK_LEN / 2);
}

START_TEST(driver_is_told_of_a_new_size)
{
	start(FLUSH);

	loop_call(rig.loop, shorten, NULL);

	ck_assert_uint_eq(rig_wait_interrupts(&rig, driver.config_message), 1);
	ck_assert_uint_eq(FIELD(capacity), NR_SECTORS / 2);
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, NR_SECTORS / 2, SECTOR),
			  VIRTIO_BLK_S_IOERR);
}
END_TEST

START_TEST(new_size_during_a_pause_is_told_when_it_goes_on)
{
	start(FLUSH);
	virtio_pci_pause(rig.vp);
	loop_call(rig.loop, shorten, NULL);
	ck_assert_uint_eq(rig_take_interrupts(&rig, driver.config_message), 0);

	virtio_pci_resume(rig.vp);
	ck_assert_uint_eq(rig_wait_interrupts(&rig, driver.config_message), 1);

	virtio_pci_pause(rig.vp);
	virtio_pci_resume(rig.vp);
	ck_assert_uint_eq(rig_take_interrupts(&rig, driver.config_message), 0);
}
END_TEST

START_TEST(each_queue_is_served)
{
	ck_assert_uint_eq(FIELD(num_queues), NR_QUEUES);
	start(DRIVER_CORE_FEATURES | FLUSH | MQ);

	for (unsigned i = 0; i < NR_QUEUES; i++) {
		ring = &driver.rings[i];
		ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, i, SECTOR), VIRTIO_BLK_S_OK);
	}
}
END_TEST

START_TEST(all_queues_can_be_full_at_once)
{
	start(DRIVER_CORE_FEATURES | FLUSH | MQ);
	disk_log->hold = true;
	for (unsigned q = 0; q < NR_QUEUES; q++) {
		ring = &driver.rings[q];
		for (unsigned i = 0; i < RING_SIZE; i++)
			send_slot(i, VIRTIO_BLK_T_IN, i);
		ring_kick(ring);
		rig_settle(&rig);
	}
	ck_assert_uint_eq(disk_log->nr_waiting, NR_QUEUES * RING_SIZE);

	loop_call(rig.loop, release, NULL);
	for (unsigned q = 0; q < NR_QUEUES; q++)
		for (unsigned i = 0; i < RING_SIZE; i++)
			ck_assert(ring_wait(&driver.rings[q], &elem));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("fake disk");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, topology_is_told_in_blocks);
	tcase_add_test(tc, limits_of_space_requests_are_told);
	tcase_add_test(tc, driver_can_turn_the_cache_off_and_on);
	tcase_add_test(tc, cache_that_was_turned_off_outlives_a_pause_but_no_reset);
	tcase_add_test(tc, driver_that_cannot_flush_begins_without_a_cache);
	tcase_add_test(tc, disk_without_a_cache_says_so);
	tcase_add_test(tc, toggle_that_was_not_negotiated_changes_nothing);
	tcase_add_test(tc, rest_of_the_configuration_cannot_be_written);
	tcase_add_test(tc, driver_is_told_of_a_new_size);
	tcase_add_test(tc, new_size_during_a_pause_is_told_when_it_goes_on);
	tcase_add_test(tc, each_queue_is_served);
	tcase_add_test(tc, all_queues_can_be_full_at_once);
	return run_suite("virtio_blk_config", &tc, 1);
}
