// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_net_merge.c - packets that come in over as many buffers as they need
 * (VIRTIO_NET_F_MRG_RXBUF).
 */
#include "net_fixture.h"

#define MERGEABLE	(BIT64(VIRTIO_NET_F_MRG_RXBUF) | DRIVER_CORE_FEATURES)
#define LARGE		(MERGEABLE | BIT64(VIRTIO_NET_F_GUEST_CSUM) | \
			 BIT64(VIRTIO_NET_F_GUEST_TSO4))
#define LARGE_LEN	65562u		/* header included */
#define SMALL_ROOM	64u		/* of a buffer */

static uint8_t packet[LARGE_LEN], got[LARGE_LEN];

/* Bytes that tell where they belong. */
static void put_packet(uint32_t len, unsigned which)
{
	memset(packet, 0, HEADER_LEN);
	for (uint32_t i = HEADER_LEN; i < len; i++)
		packet[i] = (uint8_t)(i / 251 + i + which);
	ck_assert_int_eq(send(wire, packet, len, 0), len);
}

static void offer(unsigned which, uint32_t len)
{
	const struct buffer buffer = { IN_AT + (uint64_t)which * len, len, true };

	ck_assert(ring_send(rx, &buffer, 1));
}

static void offer_many(unsigned first, unsigned nr, uint32_t len)
{
	for (unsigned i = 0; i < nr; i++)
		offer(first + i, len);
	ring_kick(rx);
}

/* The packet put last is in these buffers, each of len bytes. */
static void assert_merged(uint32_t packet_len, unsigned first, unsigned nr, uint32_t len)
{
	uint32_t left = packet_len;

	for (unsigned i = 0; i < nr; i++) {
		uint32_t part = left < len ? left : len;

		ck_assert(ring_wait(rx, &elem));
		ck_assert_uint_eq(elem.len, part);
		memcpy(got + packet_len - left,
		       rig_ram(&rig, IN_AT + (uint64_t)(first + i) * len, part), part);
		left -= part;
	}
	ck_assert_uint_eq(left, 0);
	put_le16(packet + offsetof(struct virtio_net_hdr_v1, num_buffers), (uint16_t)nr);
	ck_assert_mem_eq(got, packet, packet_len);
}

START_TEST(packet_uses_as_many_buffers_as_it_needs)
{
	start(MERGEABLE);
	offer_many(0, 40, SMALL_ROOM);

	put_packet(3 * SMALL_ROOM + 1, 0);
	assert_merged(3 * SMALL_ROOM + 1, 0, 4, SMALL_ROOM);
	put_packet(SMALL_ROOM, 1);
	assert_merged(SMALL_ROOM, 4, 1, SMALL_ROOM);
	put_packet(HEADER_LEN, 2);
	assert_merged(HEADER_LEN, 5, 1, SMALL_ROOM);
	rig_settle(&rig);
	ck_assert_uint_eq(ring_used_idx(rx), 6);
}
END_TEST

START_TEST(largest_packet_comes_in_whole)
{
	start(LARGE);
	offer_many(0, 46, 1536);

	put_packet(LARGE_LEN, 0);
	assert_merged(LARGE_LEN, 0, 43, 1536);
}
END_TEST

START_TEST(buffers_of_several_pieces_are_filled_in_order)
{
	const struct buffer pieces[] = {
		{ IN_AT, 20, true }, { IN_AT + 20, 3, true }, { IN_AT + 23, 41, true },
	};

	start(MERGEABLE);
	ck_assert(ring_send(rx, pieces, ARRAY_LEN(pieces)));
	offer(1, SMALL_ROOM);
	ring_kick(rx);

	put_packet(100, 0);
	assert_merged(100, 0, 2, SMALL_ROOM);
}
END_TEST

START_TEST(packets_go_on_for_ever_in_a_small_ring)
{
	enum { ROUNDS = 3000 };

	ck_assert(driver_start(&driver, MERGEABLE, 32));
	offer_many(0, 32, SMALL_ROOM);
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned nr = i % 3 + 1;

		put_packet(nr * SMALL_ROOM, i);
		for (unsigned k = 0; k < nr; k++) {
			ck_assert(ring_wait(rx, &elem));
			ck_assert_uint_eq(elem.len, SMALL_ROOM);
			offer(0, SMALL_ROOM);
		}
		ring_notify(rx);
	}
	ck_assert_uint_eq(counts(0).packets, ROUNDS);
	ck_assert_uint_eq(counts(0).drops, 0);
}
END_TEST

/* The guest is short of buffers. */

START_TEST(packet_waits_for_as_many_buffers_as_it_needs)
{
	start(MERGEABLE);
	offer_many(0, 2, SMALL_ROOM);
	put_packet(5 * SMALL_ROOM, 0);
	rig_settle(&rig);
	ck_assert_uint_eq(ring_used_idx(rx), 0);

	offer(2, SMALL_ROOM);
	offer(3, SMALL_ROOM);
	ring_notify(rx);
	rig_settle(&rig);
	ck_assert_uint_eq(ring_used_idx(rx), 0);

	offer(4, SMALL_ROOM);
	ring_notify(rx);
	assert_merged(5 * SMALL_ROOM, 0, 5, SMALL_ROOM);
}
END_TEST

START_TEST(packet_that_no_ring_could_hold_is_lost_and_no_other)
{
	ck_assert(driver_start(&driver, LARGE, 4));
	offer_many(0, 4, SMALL_ROOM);
	put_packet(4 * SMALL_ROOM + 1, 0);

	put_packet(4 * SMALL_ROOM, 1);
	assert_merged(4 * SMALL_ROOM, 0, 4, SMALL_ROOM);
	ck_assert_uint_eq(counts(0).drops, 1);
}
END_TEST

START_TEST(small_packets_need_no_room_for_large_ones)
{
	start(LARGE);
	offer_many(0, 1, 1536);

	put_packet(700, 0);
	assert_merged(700, 0, 1, 1536);
}
END_TEST

/* Buffers that were taken and not used. */

START_TEST(pause_gives_back_what_was_not_used)
{
	struct virtio_dev *dev = virtio_pci_device(rig.vp);

	start(MERGEABLE);
	offer_many(0, 30, SMALL_ROOM);
	put_packet(SMALL_ROOM, 0);
	assert_merged(SMALL_ROOM, 0, 1, SMALL_ROOM);

	virtio_pause(dev);
	virtio_resume(dev);

	put_packet(2 * SMALL_ROOM, 1);
	assert_merged(2 * SMALL_ROOM, 1, 2, SMALL_ROOM);
}
END_TEST

START_TEST(pause_loses_a_packet_that_waits_and_no_buffer)
{
	struct virtio_dev *dev = virtio_pci_device(rig.vp);

	start(MERGEABLE);
	offer_many(0, 2, SMALL_ROOM);
	put_packet(3 * SMALL_ROOM, 0);
	rig_settle(&rig);

	virtio_pause(dev);
	virtio_resume(dev);

	put_packet(2 * SMALL_ROOM, 1);
	assert_merged(2 * SMALL_ROOM, 0, 2, SMALL_ROOM);
	ck_assert_uint_eq(counts(0).drops, 1);
}
END_TEST

START_TEST(reset_forgets_the_buffers_of_once)
{
	start(MERGEABLE);
	offer_many(0, 2, SMALL_ROOM);
	put_packet(3 * SMALL_ROOM, 0);
	rig_settle(&rig);

	start(MERGEABLE);
	memset(rig_ram(&rig, IN_AT, SMALL_ROOM), 0, SMALL_ROOM);
	offer_many(8, 1, SMALL_ROOM);
	put_packet(SMALL_ROOM, 1);

	assert_merged(SMALL_ROOM, 8, 1, SMALL_ROOM);
	ck_assert_uint_eq(*(uint8_t *)rig_ram(&rig, IN_AT + HEADER_LEN, 1), 0);
}
END_TEST

START_TEST(buffer_without_room_for_a_header_is_a_breach)
{
	start(MERGEABLE);
	offer(0, SMALL_ROOM);
	offer(9, HEADER_LEN - 1);
	ring_kick(rx);

	ck_assert(driver_must_reset(&driver));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_net_merge");
	TCase *tc = tcase_create("mergeable buffers");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_test(tc, packet_uses_as_many_buffers_as_it_needs);
	tcase_add_test(tc, largest_packet_comes_in_whole);
	tcase_add_test(tc, buffers_of_several_pieces_are_filled_in_order);
	tcase_add_test(tc, packets_go_on_for_ever_in_a_small_ring);
	tcase_add_test(tc, packet_waits_for_as_many_buffers_as_it_needs);
	tcase_add_test(tc, packet_that_no_ring_could_hold_is_lost_and_no_other);
	tcase_add_test(tc, small_packets_need_no_room_for_large_ones);
	tcase_add_test(tc, pause_gives_back_what_was_not_used);
	tcase_add_test(tc, pause_loses_a_packet_that_waits_and_no_buffer);
	tcase_add_test(tc, reset_forgets_the_buffers_of_once);
	tcase_add_test(tc, buffer_without_room_for_a_header_is_a_breach);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
