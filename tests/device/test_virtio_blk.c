// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/virtio_blk.h"

#include "blk_requests.h"
#include "block/disk.h"
#include "block/throttle.h"
#include "devices/virtio/virtio_pci.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct disk *disk;
static int image;			/* the disk's file */

/* Every byte tells where it is, in a way that no sector looks like another. */
static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 31 + at / SECTOR * 7);
}

static void fill_pattern(uint8_t *bytes, size_t len, uint64_t at)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern(at + i);
}

static void open_disk(bool read_only)
{
	char path[] = "/tmp/vmm-test-XXXXXX";
	struct disk_config config = { .id = "test", .path = path, .read_only = read_only };
	uint8_t bytes[DISK_LEN];

	fill_pattern(bytes, sizeof(bytes), 0);
	image = mkstemp(path);
	ck_assert_int_ge(image, 0);
	ck_assert_int_eq(pwrite(image, bytes, sizeof(bytes), 0), DISK_LEN);

	rig_open(&rig, RIG_THREAD);
	ck_assert_int_eq(disk_open(&disk, &config, rig.loop, NULL), 0);
	unlink(path);
	open_device(disk);
}

static void setup(void)
{
	open_disk(false);
	start(DRIVER_CORE_FEATURES | BIT64(VIRTIO_BLK_F_FLUSH));
}

static void setup_read_only(void)
{
	open_disk(true);
	start(DRIVER_CORE_FEATURES | BIT64(VIRTIO_BLK_F_RO));
}

static void teardown(void)
{
	rig_unplug(&rig);
	disk = disk_close(disk, NULL);
	close(image);
	rig_close(&rig);
}

static void assert_image_is_untouched(void)
{
	uint8_t bytes[DISK_LEN], expected[DISK_LEN];

	fill_pattern(expected, DISK_LEN, 0);
	ck_assert_int_eq(pread(image, bytes, DISK_LEN, 0), DISK_LEN);
	ck_assert_mem_eq(bytes, expected, DISK_LEN);
}

static void assert_is_pattern(uint64_t off, size_t len, uint64_t at)
{
	uint8_t expected[DISK_LEN];

	fill_pattern(expected, len, at);
	ck_assert_mem_eq(data(off, len), expected, len);
}

/* Requests. */

START_TEST(read_gives_what_the_disk_holds)
{
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 3, 8 * SECTOR), VIRTIO_BLK_S_OK);

	ck_assert_uint_eq(elem.len, 8 * SECTOR + 1);
	assert_is_pattern(0, 8 * SECTOR, 3 * SECTOR);
}
END_TEST

START_TEST(write_reaches_the_image_and_nothing_beside)
{
	uint8_t bytes[4 * SECTOR];

	memset(data(0, 2 * SECTOR), 0xab, 2 * SECTOR);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 8, 2 * SECTOR), VIRTIO_BLK_S_OK);

	ck_assert_uint_eq(elem.len, 1);
	ck_assert_int_eq(pread(image, bytes, sizeof(bytes), 7 * SECTOR), sizeof(bytes));
	ck_assert_uint_eq(bytes[SECTOR - 1], pattern(8 * SECTOR - 1));
	ck_assert_mem_eq(bytes + SECTOR, data(0, 2 * SECTOR), 2 * SECTOR);
	ck_assert_uint_eq(bytes[3 * SECTOR], pattern(10 * SECTOR));
}
END_TEST

START_TEST(last_sector_can_be_read_and_written)
{
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, NR_SECTORS - 1, SECTOR),
			  VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, NR_SECTORS - 1, SECTOR),
			  VIRTIO_BLK_S_OK);

	assert_image_is_untouched();
}
END_TEST

START_TEST(flush_succeeds)
{
	const struct buffer buffers[] = {
		{ HEADERS_AT, HEADER_LEN, false }, { STATUSES_AT, 1, true },
	};

	write_header(0, VIRTIO_BLK_T_FLUSH, 0);

	ck_assert_uint_eq(do_chain(buffers, 2), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(elem.len, 1);
}
END_TEST

START_TEST(id_is_the_serial_filled_up_with_zeroes)
{
	const char id[VIRTIO_BLK_ID_BYTES] = SERIAL;

	memset(data(0, VIRTIO_BLK_ID_BYTES), 0xff, VIRTIO_BLK_ID_BYTES);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES),
			  VIRTIO_BLK_S_OK);

	ck_assert_uint_eq(elem.len, VIRTIO_BLK_ID_BYTES + 1);
	ck_assert_mem_eq(data(0, VIRTIO_BLK_ID_BYTES), id, VIRTIO_BLK_ID_BYTES);
}
END_TEST

START_TEST(id_that_does_not_fit_is_an_error)
{
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES - 1),
			  VIRTIO_BLK_S_IOERR);

	ck_assert_uint_eq(elem.len, 1);
}
END_TEST

START_TEST(unknown_types_are_unsupported)
{
	static const uint32_t types[] = {
		2, 3, 5, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, UINT32_MAX,
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		ck_assert_uint_eq(do_request(types[i], 0, SECTOR), VIRTIO_BLK_S_UNSUPP);
	assert_image_is_untouched();
}
END_TEST

START_TEST(requests_beyond_the_end_fail_and_change_nothing)
{
	static const uint64_t sectors[] = {
		NR_SECTORS - 1, NR_SECTORS, NR_SECTORS + 1, UINT64_MAX / SECTOR,
		UINT64_MAX / SECTOR + 1, UINT64_MAX / 2, UINT64_MAX,
	};

	for (size_t i = 0; i < ARRAY_LEN(sectors); i++) {
		ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, sectors[i], 2 * SECTOR),
				  VIRTIO_BLK_S_IOERR);
		ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, sectors[i], 2 * SECTOR),
				  VIRTIO_BLK_S_IOERR);
	}
	assert_image_is_untouched();
}
END_TEST

START_TEST(parts_of_sectors_are_an_error)
{
	static const uint32_t lengths[] = { 1, SECTOR - 1, SECTOR + 1, 2 * SECTOR - 4 };

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 0, lengths[i]),
				  VIRTIO_BLK_S_IOERR);
		ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 0, lengths[i]),
				  VIRTIO_BLK_S_IOERR);
	}
	assert_image_is_untouched();
}
END_TEST

START_TEST(request_of_no_bytes_succeeds)
{
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 0, 0), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 0, 0), VIRTIO_BLK_S_OK);
	assert_image_is_untouched();
}
END_TEST

START_TEST(configuration_tells_capacity_and_limits)
{
	ck_assert_uint_eq(driver_config(&driver, 0, 8), NR_SECTORS);
	ck_assert_uint_eq(driver_config(&driver,
					offsetof(struct virtio_blk_config, seg_max), 4), 128);
	ck_assert_uint_eq(driver_config(&driver,
					offsetof(struct virtio_blk_config, blk_size), 4),
			  SECTOR);
	ck_assert(!(driver_offered(&driver) & BIT64(VIRTIO_BLK_F_RO)));
}
END_TEST

/* Layouts: a driver may cut a request where it likes (section 2.7.4). */

START_TEST(header_may_be_split)
{
	const struct buffer buffers[] = {
		{ HEADERS_AT, 1, false }, { HEADERS_AT + 1, 9, false },
		{ HEADERS_AT + 10, 6, false },
		{ DATA_AT, SECTOR, true }, { STATUSES_AT, 1, true },
	};

	write_header(0, VIRTIO_BLK_T_IN, 5);

	ck_assert_uint_eq(do_chain(buffers, ARRAY_LEN(buffers)), VIRTIO_BLK_S_OK);
	assert_is_pattern(0, SECTOR, 5 * SECTOR);
}
END_TEST

START_TEST(header_may_share_a_buffer_with_the_data)
{
	const uint64_t at = DATA_AT - HEADER_LEN;
	const struct buffer buffers[] = {
		{ at, HEADER_LEN + SECTOR, false }, { STATUSES_AT, 1, true },
	};
	struct virtio_blk_outhdr *header = rig_ram(&rig, at, HEADER_LEN);
	uint8_t bytes[SECTOR];

	write_header(0, 0, 0);
	*header = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_OUT, .sector = 9 };
	memset(data(0, SECTOR), 0x77, SECTOR);

	ck_assert_uint_eq(do_chain(buffers, ARRAY_LEN(buffers)), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(pread(image, bytes, SECTOR, 9 * SECTOR), SECTOR);
	ck_assert_mem_eq(bytes, data(0, SECTOR), SECTOR);
}
END_TEST

START_TEST(status_may_share_a_buffer_with_the_data)
{
	const struct buffer buffers[] = {
		{ HEADERS_AT, HEADER_LEN, false }, { DATA_AT, SECTOR + 1, true },
	};
	uint8_t *end = data(SECTOR, 2);

	write_header(0, VIRTIO_BLK_T_IN, 5);
	end[0] = NO_STATUS, end[1] = NO_STATUS;
	do_chain(buffers, ARRAY_LEN(buffers));

	ck_assert_uint_eq(elem.len, SECTOR + 1);
	ck_assert_uint_eq(end[0], VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(end[1], NO_STATUS);
	assert_is_pattern(0, SECTOR, 5 * SECTOR);
}
END_TEST

START_TEST(data_may_be_cut_anywhere)
{
	const struct buffer buffers[] = {
		{ HEADERS_AT, HEADER_LEN, false },
		{ DATA_AT, 1, true }, { DATA_AT + 1, 510, true }, { DATA_AT + 511, 200, true },
		{ DATA_AT + 711, 313, true }, { STATUSES_AT, 1, true },
	};

	write_header(0, VIRTIO_BLK_T_IN, 6);

	ck_assert_uint_eq(do_chain(buffers, ARRAY_LEN(buffers)), VIRTIO_BLK_S_OK);
	assert_is_pattern(0, 2 * SECTOR, 6 * SECTOR);
}
END_TEST

START_TEST(data_may_cross_regions_of_memory)
{
	const struct buffer buffers[] = {
		{ HEADERS_AT, HEADER_LEN, false }, { RIG_SEAM - 100, SECTOR, true },
		{ STATUSES_AT, 1, true },
	};
	const uint8_t *before = rig_ram(&rig, RIG_SEAM - 100, 100);
	const uint8_t *after = rig_ram(&rig, RIG_SEAM, SECTOR - 100);

	write_header(0, VIRTIO_BLK_T_IN, 2);

	ck_assert_uint_eq(do_chain(buffers, ARRAY_LEN(buffers)), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(before[99], pattern(2 * SECTOR + 99));
	ck_assert_uint_eq(after[0], pattern(2 * SECTOR + 100));
	ck_assert_uint_eq(after[SECTOR - 101], pattern(3 * SECTOR - 1));
}
END_TEST

START_TEST(as_many_segments_as_promised_are_taken)
{
	enum { SEGS = 128 };
	struct buffer buffers[SEGS + 2];

	for (unsigned i = 0; i < SEGS; i++)
		buffers[1 + i] = (struct buffer){ DATA_AT + i * UINT64_C(1024), SECTOR, true };
	buffers[0] = (struct buffer){ HEADERS_AT, HEADER_LEN, false };
	buffers[SEGS + 1] = (struct buffer){ STATUSES_AT, 1, true };
	write_header(0, VIRTIO_BLK_T_IN, 0);

	ck_assert_uint_eq(do_chain(buffers, SEGS + 2), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < SEGS; i++)
		assert_is_pattern(i * UINT64_C(1024), SECTOR, i * UINT64_C(512));
}
END_TEST

START_TEST(request_without_a_whole_header_is_a_breach)
{
	const struct buffer buffers[] = {
		{ HEADERS_AT, HEADER_LEN - 1, false }, { STATUSES_AT, 1, true },
	};

	write_header(0, VIRTIO_BLK_T_FLUSH, 0);
	ck_assert(ring_send(ring, buffers, ARRAY_LEN(buffers)));
	ring_kick(ring);

	ck_assert(driver_must_reset(&driver));
	start(0);
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(request_without_a_status_byte_is_a_breach)
{
	const struct buffer buffer = { HEADERS_AT, HEADER_LEN, false };

	write_header(0, VIRTIO_BLK_T_FLUSH, 0);
	ck_assert(ring_send(ring, &buffer, 1));
	ring_kick(ring);

	ck_assert(driver_must_reset(&driver));
	start(0);
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_OK);
}
END_TEST

/* Many. */

START_TEST(whole_queue_can_be_in_flight)
{
	for (unsigned i = 0; i < RING_SIZE; i++)
		send_slot(i, VIRTIO_BLK_T_IN, i);
	ring_kick(ring);

	for (unsigned i = 0; i < RING_SIZE; i++) {
		ck_assert(ring_wait(ring, &elem));
		ck_assert_uint_eq(elem.len, SECTOR + 1);
	}
	for (unsigned i = 0; i < RING_SIZE; i++)
		ck_assert_uint_eq(status_of(i), VIRTIO_BLK_S_OK);
	assert_is_pattern(0, DISK_LEN, 0);
}
END_TEST

START_TEST(many_rounds_of_writes_all_arrive)
{
	uint8_t bytes[DISK_LEN];

	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < RING_SIZE; i++) {
			memset(data(i * UINT64_C(512), SECTOR), (int)(i + round), SECTOR);
			send_slot(i, VIRTIO_BLK_T_OUT, i);
		}
		ring_notify(ring);
		for (unsigned i = 0; i < RING_SIZE; i++)
			ck_assert(ring_wait(ring, &elem));
		ck_assert_int_eq(pread(image, bytes, DISK_LEN, 0), DISK_LEN);
		ck_assert_mem_eq(bytes, data(0, DISK_LEN), DISK_LEN);
	}
}
END_TEST

START_TEST(reset_with_the_whole_queue_in_flight)
{
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < RING_SIZE; i++)
			send_slot(i, VIRTIO_BLK_T_IN, i);
		ring_kick(ring);
		start(DRIVER_CORE_FEATURES);
	}

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 1, SECTOR), VIRTIO_BLK_S_OK);
	assert_is_pattern(0, SECTOR, SECTOR);
}
END_TEST

/* Limits that let one request through, and the next minutes later. */

static void call_limit(void *ctx)
{
	const struct throttle_limits limits = { .of[THROTTLE_BPS] = { .avg = 1 } };

	disk_set_throttle(disk, ctx);
	if (ctx)
		throttle_group_set(ctx, &limits);
}

static void limit(void)
{
	loop_call(rig.loop, call_limit, throttle_group_new(rig.loop, "g"));
}

static void send_writes(unsigned nr)
{
	memset(data(0, nr * SECTOR), 0xab, nr * SECTOR);
	for (unsigned i = 0; i < nr; i++)
		send_slot(i, VIRTIO_BLK_T_OUT, i);
	ring_kick(ring);
	ck_assert(ring_wait(ring, &elem));
}

START_TEST(reset_drops_what_limits_keep_waiting)
{
	uint8_t sector[SECTOR];

	limit();
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < RING_SIZE; i++)
			send_slot(i, VIRTIO_BLK_T_IN, i);
		ring_kick(ring);
		rig_settle(&rig);
		start(DRIVER_CORE_FEATURES);
	}
	loop_call(rig.loop, call_limit, NULL);
	limit();
	send_writes(3);
	start(DRIVER_CORE_FEATURES);
	loop_call(rig.loop, call_limit, NULL);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 4, SECTOR), VIRTIO_BLK_S_OK);
	assert_is_pattern(0, SECTOR, 4 * SECTOR);
	ck_assert_int_eq(pread(image, sector, SECTOR, 2 * SECTOR), SECTOR);
	ck_assert_uint_eq(sector[0], pattern(2 * SECTOR));
}
END_TEST

START_TEST(pause_returns_at_once_and_loses_nothing_that_limits_keep_waiting)
{
	limit();
	send_writes(3);

	virtio_pci_pause(rig.vp);
	ck_assert_uint_eq(ring_used_idx(ring), 1);
	loop_call(rig.loop, call_limit, NULL);
	virtio_pci_resume(rig.vp);

	ck_assert(ring_wait(ring, &elem));
	ck_assert(ring_wait(ring, &elem));
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(status_of(i), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(pause_lets_nothing_past_the_limits)
{
	limit();
	send_writes(3);

	for (unsigned i = 0; i < 5; i++) {
		virtio_pci_pause(rig.vp);
		virtio_pci_resume(rig.vp);
	}

	ck_assert_uint_eq(ring_used_idx(ring), 1);
}
END_TEST

START_TEST(device_goes_while_requests_wait_for_limits)
{
	limit();
	send_writes(3);

	rig_unplug(&rig);

	ck_assert_ptr_nonnull(disk_throttle(disk));
}
END_TEST

START_TEST(write_to_a_read_only_disk_fails_and_changes_nothing)
{
	ck_assert(driver_offered(&driver) & BIT64(VIRTIO_BLK_F_RO));

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_IOERR);

	assert_image_is_untouched();
	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(read_beyond_a_file_cut_short_fails)
{
	ck_assert_int_eq(ftruncate(image, 8 * SECTOR), 0);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 6, 4 * SECTOR), VIRTIO_BLK_S_IOERR);

	ck_assert_uint_eq(do_request(VIRTIO_BLK_T_IN, 6, 2 * SECTOR), VIRTIO_BLK_S_OK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_blk");
	TCase *tc = tcase_create("writable"), *read_only = tcase_create("read-only");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_test(tc, read_gives_what_the_disk_holds);
	tcase_add_test(tc, write_reaches_the_image_and_nothing_beside);
	tcase_add_test(tc, last_sector_can_be_read_and_written);
	tcase_add_test(tc, flush_succeeds);
	tcase_add_test(tc, id_is_the_serial_filled_up_with_zeroes);
	tcase_add_test(tc, id_that_does_not_fit_is_an_error);
	tcase_add_test(tc, unknown_types_are_unsupported);
	tcase_add_test(tc, requests_beyond_the_end_fail_and_change_nothing);
	tcase_add_test(tc, parts_of_sectors_are_an_error);
	tcase_add_test(tc, request_of_no_bytes_succeeds);
	tcase_add_test(tc, configuration_tells_capacity_and_limits);
	tcase_add_test(tc, header_may_be_split);
	tcase_add_test(tc, header_may_share_a_buffer_with_the_data);
	tcase_add_test(tc, status_may_share_a_buffer_with_the_data);
	tcase_add_test(tc, data_may_be_cut_anywhere);
	tcase_add_test(tc, data_may_cross_regions_of_memory);
	tcase_add_test(tc, as_many_segments_as_promised_are_taken);
	tcase_add_test(tc, request_without_a_whole_header_is_a_breach);
	tcase_add_test(tc, request_without_a_status_byte_is_a_breach);
	tcase_add_test(tc, whole_queue_can_be_in_flight);
	tcase_add_test(tc, many_rounds_of_writes_all_arrive);
	tcase_add_test(tc, reset_with_the_whole_queue_in_flight);
	tcase_add_test(tc, read_beyond_a_file_cut_short_fails);
	tcase_add_test(tc, reset_drops_what_limits_keep_waiting);
	tcase_add_test(tc, pause_returns_at_once_and_loses_nothing_that_limits_keep_waiting);
	tcase_add_test(tc, pause_lets_nothing_past_the_limits);
	tcase_add_test(tc, device_goes_while_requests_wait_for_limits);
	suite_add_tcase(s, tc);

	tcase_add_checked_fixture(read_only, setup_read_only, teardown);
	tcase_add_test(read_only, write_to_a_read_only_disk_fails_and_changes_nothing);
	suite_add_tcase(s, read_only);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
