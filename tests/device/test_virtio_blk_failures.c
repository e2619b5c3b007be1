// SPDX-License-Identifier: Apache-2.0
/* test_virtio_blk_failures.c - what becomes of requests that the host has failed. */
#include "devices/virtio/virtio_blk.h"

#include "devices/virtio/virtio_pci.h"
#include "fake_disk_rig.h"
#include "state/state.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#define FLUSH	BIT64(VIRTIO_BLK_F_FLUSH)
#define SPACE	(BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES))

static void fail_all(enum disk_verdict verdict)
{
	disk_log->result = -ENOSPC;
	disk_log->verdict = verdict;
}

/* One write of each of these slots, none of which comes back. */
static void send_failing_writes(unsigned nr)
{
	start(DRIVER_CORE_FEATURES | FLUSH);
	fail_all(DISK_STOP);
	for (unsigned i = 0; i < nr; i++) {
		memset(data(i * UINT64_C(512), SECTOR), 0x40 + (int)i, SECTOR);
		send_slot(i, VIRTIO_BLK_T_OUT, i);
	}
	ring_kick(ring);
	rig_settle(&rig);
	ck_assert_uint_eq(disk_log->nr_failures, nr);
	ck_assert_uint_eq(ring_used_idx(ring), 0);
}

/* The same writes, now served: each once, and its data on the disk. */
static void expect_writes(unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		ck_assert(ring_wait(ring, &elem));
		ck_assert_uint_eq(elem.len, 1);
	}
	for (unsigned i = 0; i < nr; i++) {
		ck_assert_uint_eq(status_of(i), VIRTIO_BLK_S_OK);
		ck_assert_uint_eq(bytes[i * SECTOR], 0x40 + i);
	}
	ck_assert_uint_eq(ring_used_idx(ring), nr);
}

START_TEST(failure_is_reported)
{
	start(FLUSH);
	fail_all(DISK_REPORT);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(disk_log->nr_failures, 1);
}
END_TEST

START_TEST(failure_is_ignored)
{
	start(FLUSH);
	fail_all(DISK_IGNORE);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(disk_log->nr_failures, 1);
}
END_TEST

START_TEST(fault_of_the_guest_is_no_failure)
{
	start(FLUSH);
	fail_all(DISK_STOP);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, NR_SECTORS, SECTOR), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 0, 1), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(disk_log->nr_failures, 0);
}
END_TEST

START_TEST(write_to_a_read_only_disk_is_no_failure)
{
	start(0);
	fail_all(DISK_STOP);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(disk_log->nr_failures, 0);
}
END_TEST

START_TEST(stopped_requests_are_tried_again_by_the_next_start)
{
	send_failing_writes(5);

	virtio_pci_pause(rig.vp);
	disk_log->result = 0;
	virtio_pci_resume(rig.vp);

	expect_writes(5);
}
END_TEST

/* They are neither lost nor done twice. */
START_TEST(stopped_requests_are_tried_again_by_a_device_that_was_loaded)
{
	struct state_writer *writer = state_writer_new("test");
	struct state_reader *reader;
	struct virtio_dev *dev;
	const void *stream;
	size_t len;

	send_failing_writes(5);
	virtio_pci_pause(rig.vp);
	virtio_pci_save(rig.vp, writer);
	ck_assert_int_eq(state_writer_end(writer, &stream, &len), 0);
	rig_unplug(&rig);
	disk_log->result = 0;
	ck_assert_int_eq(virtio_blk_new(&dev, disk, SERIAL, NR_QUEUES, rig.mem, NULL), 0);
	rig_plug(&rig, dev);

	ck_assert_int_eq(state_reader_new(&reader, stream, len, NULL), 0);
	ck_assert_int_eq(virtio_pci_load(rig.vp, rig.pci, reader, NULL), 0);
	virtio_pci_resume(rig.vp);

	expect_writes(5);
	state_reader_free(reader);
	state_writer_free(writer);
}
END_TEST

START_TEST(stopped_requests_are_tried_again_in_the_order_in_which_they_failed)
{
	send_failing_writes(5);

	virtio_pci_pause(rig.vp);
	virtio_pci_resume(rig.vp);
	rig_settle(&rig);

	/* Of those that came in one turn the disk fails the last one first. */
	ck_assert_uint_eq(disk_log->nr_submitted, 10);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(disk_log->at[5 + i], disk_log->done_at[i]);
}
END_TEST

START_TEST(requests_that_fail_again_wait_again)
{
	send_failing_writes(3);

	for (unsigned round = 2; round < 6; round++) {
		virtio_pci_pause(rig.vp);
		virtio_pci_resume(rig.vp);
		rig_settle(&rig);
		ck_assert_uint_eq(disk_log->nr_failures, 3 * round);
	}
	ck_assert_uint_eq(ring_used_idx(ring), 0);
}
END_TEST

START_TEST(reset_forgets_what_was_stopped)
{
	send_failing_writes(RING_SIZE);

	disk_log->result = 0;
	start(DRIVER_CORE_FEATURES | FLUSH);
	for (unsigned i = 0; i < RING_SIZE; i++)
		send_slot(i, VIRTIO_BLK_T_IN, i);
	ring_kick(ring);

	for (unsigned i = 0; i < RING_SIZE; i++)
		ck_assert(ring_wait(ring, &elem));
	ck_assert_uint_eq(disk_log->nr_writes, RING_SIZE);
	ck_assert_uint_eq(disk_log->nr_reads, RING_SIZE);
}
END_TEST

START_TEST(device_can_be_removed_with_stopped_requests)
{
	send_failing_writes(RING_SIZE);

	rig_unplug(&rig);

	ck_assert_uint_eq(disk_log->nr_waiting, 0);
}
END_TEST

START_TEST(ranges_go_on_where_they_were_stopped)
{
	struct virtio_blk_discard_write_zeroes *ranges = data(0, 2 * sizeof(*ranges));
	const struct buffer buffers[] = {
		{ HEADERS_AT, HEADER_LEN, false },
		{ DATA_AT, 2 * sizeof(*ranges), false },
		{ STATUSES_AT, 1, true },
	};

	memset(bytes, 0x5a, sizeof(bytes));
	start(FLUSH | SPACE);
	fail_all(DISK_STOP);
	ranges[0] = (struct virtio_blk_discard_write_zeroes){ .sector = 0, .num_sectors = 1 };
	ranges[1] = (struct virtio_blk_discard_write_zeroes){ .sector = 2, .num_sectors = 1 };
	write_header(0, VIRTIO_BLK_T_WRITE_ZEROES, 0);
	ck_assert(ring_send(ring, buffers, ARRAY_LEN(buffers)));
	ring_kick(ring);
	rig_settle(&rig);

	virtio_pci_pause(rig.vp);
	disk_log->result = 0;
	virtio_pci_resume(rig.vp);

	ck_assert(ring_wait(ring, &elem));
	ck_assert_uint_eq(status_of(0), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(bytes[0], 0);
	ck_assert_uint_eq(bytes[SECTOR], 0x5a);
	ck_assert_uint_eq(bytes[2 * SECTOR], 0);
}
END_TEST

int main(void)
{
	TCase *tcs[] = { tcase_create("writable"), tcase_create("read-only") };

	tcase_add_checked_fixture(tcs[0], setup, teardown);
	tcase_add_test(tcs[0], failure_is_reported);
	tcase_add_test(tcs[0], failure_is_ignored);
	tcase_add_test(tcs[0], fault_of_the_guest_is_no_failure);
	tcase_add_test(tcs[0], stopped_requests_are_tried_again_by_the_next_start);
	tcase_add_test(tcs[0], stopped_requests_are_tried_again_by_a_device_that_was_loaded);
	tcase_add_test(tcs[0],
		       stopped_requests_are_tried_again_in_the_order_in_which_they_failed);
	tcase_add_test(tcs[0], requests_that_fail_again_wait_again);
	tcase_add_test(tcs[0], reset_forgets_what_was_stopped);
	tcase_add_test(tcs[0], device_can_be_removed_with_stopped_requests);
	tcase_add_test(tcs[0], ranges_go_on_where_they_were_stopped);
	tcase_add_checked_fixture(tcs[1], setup_read_only, teardown);
	tcase_add_test(tcs[1], write_to_a_read_only_disk_is_no_failure);
	return run_suite("virtio_blk_failures", tcs, ARRAY_LEN(tcs));
}
