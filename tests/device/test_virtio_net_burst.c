// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_net_burst.c - packets that are moved many at a time.
 *
 * Those that come are read so once enough have come of which none was long.
 */
#include "net_fixture.h"

#define MERGEABLE	(BIT64(VIRTIO_NET_F_MRG_RXBUF) | DRIVER_CORE_FEATURES)
#define CALM		70		/* more than have to come before */
#define LONG_LEN	5000u		/* header included */
#define LONG_ROOMS	3

static unsigned next_room;

/* One by one, so that none is long. */
static void receive_calmly(void)
{
	start(MERGEABLE | BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(VIRTIO_NET_F_GUEST_TSO4));
	for (next_room = 0; next_room < CALM; next_room++) {
		offer_room(next_room);
		ring_kick(rx);
		put_on_wire(next_room);
		assert_received(next_room);
	}
	rig_settle(&rig);
}

static void offer_rooms(unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		offer_room(next_room + i);
	ring_kick(rx);
}

static void assert_next(void)
{
	assert_received(next_room++);
}

static void put_runt(void)
{
	ck_assert_int_eq(send(wire, "short", 5, 0), 5);
}

static void put_long(void)
{
	uint8_t packet[LONG_LEN];

	for (unsigned i = 0; i < LONG_LEN; i++)
		packet[i] = (uint8_t)(i / 13);
	memset(packet, 0, HEADER_LEN);
	ck_assert_int_eq(send(wire, packet, LONG_LEN, 0), LONG_LEN);
}

static void assert_long(void)
{
	uint8_t byte;

	for (unsigned at = 0; at < LONG_LEN; next_room++) {
		unsigned len = LONG_LEN - at < ROOM ? LONG_LEN - at : ROOM;

		ck_assert(ring_wait(rx, &elem));
		ck_assert_uint_eq(elem.len, len);
		byte = *(uint8_t *)rig_ram(&rig, room_at(next_room) + len - 1, 1);
		at += len;
		ck_assert_uint_eq(byte, (uint8_t)((at - 1) / 13));
	}
}

START_TEST(packets_that_waited_come_in_order)
{
	enum { PACKETS = 31 };

	receive_calmly();
	for (unsigned i = 0; i < PACKETS; i++)
		put_on_wire(next_room + i);
	offer_rooms(PACKETS);

	for (unsigned i = 0; i < PACKETS; i++)
		assert_next();
	ck_assert_uint_eq(counts(0).packets, CALM + PACKETS);
}
END_TEST

START_TEST(packets_that_come_amid_a_burst_move_up)
{
	receive_calmly();
	fake_netdev_come_late(netdev, 1);
	for (unsigned i = 0; i < 5; i++)
		put_on_wire(next_room + i);
	offer_rooms(10);

	for (unsigned i = 0; i < 5; i++)
		assert_next();
	ck_assert_uint_eq(counts(0).drops, 0);
}
END_TEST

START_TEST(packets_behind_one_that_is_dropped_move_up)
{
	receive_calmly();
	put_on_wire(next_room);
	put_on_wire(next_room + 1);
	put_runt();
	put_runt();
	for (unsigned i = 2; i < 6; i++)
		put_on_wire(next_room + i);
	offer_rooms(10);

	for (unsigned i = 0; i < 6; i++)
		assert_next();
	ck_assert_uint_eq(counts(0).drops, 2);
	put_on_wire(next_room);
	assert_next();
}
END_TEST

START_TEST(long_packet_among_short_ones_uses_several_buffers)
{
	receive_calmly();
	for (unsigned i = 0; i < 3; i++)
		put_on_wire(next_room + i);
	put_long();
	put_on_wire(next_room + 3 + LONG_ROOMS);
	put_long();
	put_on_wire(next_room + 4 + 2 * LONG_ROOMS);
	offer_rooms(30);

	for (unsigned i = 0; i < 3; i++)
		assert_next();
	assert_long();
	assert_next();
	assert_long();
	assert_next();
	ck_assert_uint_eq(counts(0).drops, 0);
}
END_TEST

START_TEST(what_was_read_waits_for_buffers)
{
	receive_calmly();
	put_on_wire(next_room);
	put_on_wire(next_room + 1);
	put_long();
	put_on_wire(next_room + 2 + LONG_ROOMS);
	offer_rooms(2 + LONG_ROOMS - 1);
	assert_next();
	assert_next();
	rig_settle(&rig);
	ck_assert_uint_eq(ring_used_idx(rx), rx->last_used);

	offer_room(next_room + LONG_ROOMS - 1);
	offer_room(next_room + LONG_ROOMS);
	ring_kick(rx);

	assert_long();
	assert_next();
}
END_TEST

START_TEST(pause_loses_what_was_read_and_no_buffer)
{
	receive_calmly();
	put_on_wire(next_room);
	put_runt();
	put_on_wire(next_room + 1);
	put_long();
	offer_rooms(LONG_ROOMS + 1);
	assert_next();
	assert_next();
	rig_settle(&rig);
	ck_assert_uint_eq(ring_used_idx(rx), rx->last_used);

	virtio_pause(virtio_pci_device(rig.vp));
	virtio_resume(virtio_pci_device(rig.vp));
	put_on_wire(next_room);

	assert_next();
	ck_assert_uint_eq(counts(0).drops, 2);
}
END_TEST

/* Sent packets: a driver that is awake can fill the ring again meanwhile. */
START_TEST(guest_sees_what_is_done_before_all_is)
{
	enum { BATCH = 32 };

	start(0);
	rig_settle(&rig);
	for (unsigned i = 0; i < RING_SIZE; i++)
		send_packet(i);
	ring_kick(tx);

	for (unsigned i = 0; i < RING_SIZE; i++)
		assert_on_wire(i);
	rig_settle(&rig);
	ck_assert_uint_eq(counts(1).interrupts, RING_SIZE / BATCH);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_net_burst");
	TCase *tc = tcase_create("bursts");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_test(tc, packets_that_waited_come_in_order);
	tcase_add_test(tc, packets_that_come_amid_a_burst_move_up);
	tcase_add_test(tc, packets_behind_one_that_is_dropped_move_up);
	tcase_add_test(tc, long_packet_among_short_ones_uses_several_buffers);
	tcase_add_test(tc, what_was_read_waits_for_buffers);
	tcase_add_test(tc, pause_loses_what_was_read_and_no_buffer);
	tcase_add_test(tc, guest_sees_what_is_done_before_all_is);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
