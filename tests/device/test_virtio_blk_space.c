// SPDX-License-Identifier: Apache-2.0
/* test_virtio_blk_space.c - requests to discard and to write zeroes. */
#include "devices/virtio/virtio_blk.h"

#include "fake_disk_rig.h"

#include <check.h>
#include <string.h>

#define SPACE	(BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES))
#define UNMAP	VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP
#define RANGE_LEN	16
#define RANGES_MAX	16

static const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };

static void put_range(unsigned i, uint64_t sector, uint32_t nr, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes *range =
		data(i * UINT64_C(16), sizeof(*range));

	*range = (struct virtio_blk_discard_write_zeroes){
		.sector = sector, .num_sectors = nr, .flags = flags,
	};
}

static uint8_t do_ranges(uint32_t type, uint32_t len)
{
	const struct buffer buffers[] = {
		{ HEADERS_AT, HEADER_LEN, false },
		{ DATA_AT, len, false },
		{ STATUSES_AT, 1, true },
	};

	write_header(0, type, 0);
	return do_chain(buffers, ARRAY_LEN(buffers));
}

static uint8_t do_range(uint32_t type, uint64_t sector, uint32_t nr, uint32_t flags)
{
	put_range(0, sector, nr, flags);
	return do_ranges(type, RANGE_LEN);
}

static void fill_and_start(void)
{
	memset(bytes, 0x5a, sizeof(bytes));
	start(SPACE | BIT64(VIRTIO_BLK_F_FLUSH));
}

/* Sectors of the range are zero, their neighbours are not. */
static void check_zeroed(uint64_t sector, uint64_t nr)
{
	for (uint64_t at = (sector - 1) * SECTOR; at < (sector + nr + 1) * SECTOR; at++) {
		bool inside = at >= sector * SECTOR && at < (sector + nr) * SECTOR;

		if (bytes[at] != (inside ? 0 : 0x5a))
			ck_abort_msg("byte %u is %#x", (unsigned)at, bytes[at]);
	}
}

START_TEST(range_is_discarded)
{
	fill_and_start();

	ck_assert_uint_eq(do_range(VIRTIO_BLK_T_DISCARD, 8, 16, 0), VIRTIO_BLK_S_OK);

	ck_assert_uint_eq(elem.len, 1);
	ck_assert_uint_eq(disk_log->nr_discards, 1);
	check_zeroed(8, 16);
}
END_TEST

START_TEST(range_is_zeroed_and_its_space_goes_only_if_it_may)
{
	fill_and_start();

	ck_assert_uint_eq(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 9, 3, 0), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(disk_log->nr_unmaps, 0);
	ck_assert_uint_eq(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 9, 3, UNMAP), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(disk_log->nr_unmaps, 1);

	ck_assert_uint_eq(disk_log->nr_zeroes, 2);
	ck_assert_uint_eq(disk_log->nr_durable, 0);
	check_zeroed(9, 3);
}
END_TEST

START_TEST(zeroes_are_durable_when_the_driver_does_not_flush)
{
	start(SPACE);

	ck_assert_uint_eq(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 9, 3, 0), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(do_range(VIRTIO_BLK_T_DISCARD, 9, 3, 0), VIRTIO_BLK_S_OK);

	ck_assert_uint_eq(disk_log->nr_durable, 1);
}
END_TEST

START_TEST(all_ranges_of_a_request_are_done)
{
	fill_and_start();
	for (unsigned i = 0; i < RANGES_MAX; i++)
		put_range(i, 8 + 4 * i, 4, 0);

	ck_assert_uint_eq(do_ranges(types[_i], RANGES_MAX * RANGE_LEN), VIRTIO_BLK_S_OK);

	ck_assert_uint_eq(disk_log->nr_discards + disk_log->nr_zeroes, RANGES_MAX);
	check_zeroed(8, 4 * RANGES_MAX);
}
END_TEST

START_TEST(failure_of_a_range_ends_the_request)
{
	fill_and_start();
	put_range(0, 8, 4, 0);
	put_range(1, NR_SECTORS, 4, 0);
	put_range(2, 12, 4, 0);

	ck_assert_uint_eq(do_ranges(types[_i], 3 * RANGE_LEN), VIRTIO_BLK_S_IOERR);

	check_zeroed(8, 4);
}
END_TEST

START_TEST(ranges_that_cannot_be_are_refused)
{
	static const uint32_t lengths[] = {
		0, 1, RANGE_LEN - 1, RANGE_LEN + 8, (RANGES_MAX + 1) * RANGE_LEN,
	};

	fill_and_start();
	for (unsigned i = 0; i <= RANGES_MAX; i++)
		put_range(i, 0, 1, 0);

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
		ck_assert_uint_eq(do_ranges(types[_i], lengths[i]), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(disk_log->nr_discards + disk_log->nr_zeroes, 0);
}
END_TEST

START_TEST(ranges_beyond_the_disk_or_the_limit_are_refused)
{
	const struct {
		uint64_t sector;
		uint32_t nr;
	} ranges[] = {
		{ NR_SECTORS, 1 }, { NR_SECTORS - 1, 2 }, { UINT64_MAX, 1 },
		{ UINT64_MAX / SECTOR + 1, 1 }, { 0, UINT32_MAX }, { 0, (1U << 21) + 1 },
	};

	fill_and_start();

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		ck_assert_uint_eq(do_range(types[_i], ranges[i].sector, ranges[i].nr, 0),
				  VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(disk_log->nr_discards + disk_log->nr_zeroes, 0);
}
END_TEST

START_TEST(flags_that_mean_nothing_are_unsupported)
{
	fill_and_start();

	ck_assert_uint_eq(do_range(types[_i], 0, 1, 2), VIRTIO_BLK_S_UNSUPP);
	ck_assert_uint_eq(do_range(types[_i], 0, 1, 1U << 31), VIRTIO_BLK_S_UNSUPP);
	ck_assert_uint_eq(do_range(VIRTIO_BLK_T_DISCARD, 0, 1, UNMAP), VIRTIO_BLK_S_UNSUPP);
}
END_TEST

START_TEST(what_was_not_negotiated_is_unsupported)
{
	start(BIT64(VIRTIO_BLK_F_FLUSH));

	ck_assert_uint_eq(do_range(types[_i], 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
}
END_TEST

START_TEST(read_only_disk_offers_neither)
{
	ck_assert(!(driver_offered(&driver) & SPACE));
	start(0);

	ck_assert_uint_eq(do_range(types[_i], 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
}
END_TEST

int main(void)
{
	TCase *tcs[] = { tcase_create("writable"), tcase_create("read-only") };

	tcase_add_checked_fixture(tcs[0], setup, teardown);
	tcase_add_test(tcs[0], range_is_discarded);
	tcase_add_test(tcs[0], range_is_zeroed_and_its_space_goes_only_if_it_may);
	tcase_add_test(tcs[0], zeroes_are_durable_when_the_driver_does_not_flush);
	tcase_add_loop_test(tcs[0], all_ranges_of_a_request_are_done, 0, 2);
	tcase_add_loop_test(tcs[0], failure_of_a_range_ends_the_request, 0, 2);
	tcase_add_loop_test(tcs[0], ranges_that_cannot_be_are_refused, 0, 2);
	tcase_add_loop_test(tcs[0], ranges_beyond_the_disk_or_the_limit_are_refused, 0, 2);
	tcase_add_loop_test(tcs[0], flags_that_mean_nothing_are_unsupported, 0, 2);
	tcase_add_loop_test(tcs[0], what_was_not_negotiated_is_unsupported, 0, 2);
	tcase_add_checked_fixture(tcs[1], setup_read_only, teardown);
	tcase_add_loop_test(tcs[1], read_only_disk_offers_neither, 0, 2);
	return run_suite("virtio_blk_space", tcs, ARRAY_LEN(tcs));
}
