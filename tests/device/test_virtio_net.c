// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_net.c - packets both ways, with a socket pair as the wire.
 */
#include "net_fixture.h"

#include "net/pcap.h"

#include <sys/stat.h>

/* Newer than the headers of some hosts. */
#define GUEST_USO4	54
#define GUEST_USO6	55
#define HOST_USO	56

/* Out. */

START_TEST(packet_goes_out_with_its_header)
{
	start(DRIVER_CORE_FEATURES);

	send_packet(0);
	ring_kick(tx);

	assert_on_wire(0);
	ck_assert(ring_wait(tx, &elem));
	ck_assert_uint_eq(elem.len, 0);
}
END_TEST

START_TEST(packet_may_be_scattered)
{
	const struct buffer buffers[] = {
		{ OUT_AT, 5, false }, { OUT_AT + 5, 7, false }, { OUT_AT + 12, 1, false },
		{ OUT_AT + 13, PACKET_LEN - 13, false },
	};

	start(0);
	fill(rig_ram(&rig, OUT_AT, PACKET_LEN), 4, PACKET_LEN);
	ck_assert(ring_send(tx, buffers, ARRAY_LEN(buffers)));
	ring_kick(tx);

	assert_on_wire(4);
}
END_TEST

START_TEST(packets_stay_in_order)
{
	start(DRIVER_CORE_FEATURES);

	for (unsigned i = 0; i < RING_SIZE; i++)
		send_packet(i);
	ring_kick(tx);

	for (unsigned i = 0; i < RING_SIZE; i++)
		assert_on_wire(i);
}
END_TEST

START_TEST(full_wire_holds_packets_back_and_loses_none)
{
	unsigned nr_sent = 0, nr_seen = 0;

	start(DRIVER_CORE_FEATURES);
	/* Until the wire takes no more the device gives each one back. */
	for (; ring_used_idx(tx) == nr_sent; nr_sent++) {
		ring_reap(tx, &elem);
		send_packet(nr_sent);
		ring_kick(tx);
		rig_settle(&rig);
	}
	send_packet(nr_sent++);
	ring_kick(tx);
	rig_settle(&rig);
	ck_assert_uint_eq(ring_used_idx(tx), nr_sent - 2);

	for (; nr_seen < nr_sent; nr_seen++)
		assert_on_wire(nr_seen);
	rig_settle(&rig);
	ck_assert_uint_eq(ring_used_idx(tx), nr_sent);
}
END_TEST

START_TEST(reset_while_the_wire_is_full_forgets_what_waits)
{
	unsigned nr_sent = 0;

	start(0);
	for (; ring_used_idx(tx) == nr_sent; nr_sent++) {
		ring_reap(tx, &elem);
		send_packet(nr_sent);
		ring_kick(tx);
		rig_settle(&rig);
	}
	start(0);
	for (unsigned i = 0; i + 1 < nr_sent; i++)
		assert_on_wire(i);

	send_packet(100);
	ring_kick(tx);

	assert_on_wire(100);
}
END_TEST

START_TEST(packet_that_the_wire_refuses_is_lost)
{
	start(0);
	close(wire);
	wire = dup(STDIN_FILENO);

	send_packet(0);
	ring_kick(tx);

	ck_assert(ring_wait(tx, &elem));
	ck_assert_uint_eq(driver_status(&driver), DRIVER_READY);
}
END_TEST

/* Counters. */

START_TEST(packets_are_counted_without_their_headers)
{
	struct virtq_counts in, out;

	start(DRIVER_CORE_FEATURES);
	send_packet(0);
	send_packet(1);
	ring_kick(tx);
	assert_on_wire(0);
	assert_on_wire(1);
	offer_room(0);
	ring_kick(rx);
	put_on_wire(0);
	assert_received(0);

	out = counts(1);
	in = counts(0);
	ck_assert_uint_eq(out.packets, 2);
	ck_assert_uint_eq(out.bytes, 2 * (PACKET_LEN - HEADER_LEN));
	ck_assert_uint_eq(out.kicks, 1);
	ck_assert_uint_eq(out.drops, 0);
	ck_assert_uint_eq(in.packets, 1);
	ck_assert_uint_eq(in.bytes, PACKET_LEN - HEADER_LEN);
	ck_assert_uint_eq(in.requests, 1);
}
END_TEST

START_TEST(packets_that_are_lost_are_counted_as_such)
{
	const uint8_t runt[4] = { 0 };

	start(0);
	offer_room(0);
	ring_kick(rx);
	ck_assert_int_eq(write(wire, runt, sizeof(runt)), sizeof(runt));
	put_on_wire(0);
	assert_received(0);
	close(wire);
	wire = dup(STDIN_FILENO);
	send_packet(0);
	ring_kick(tx);
	ck_assert(ring_wait(tx, &elem));

	ck_assert_uint_eq(counts(0).drops, 1);
	ck_assert_uint_eq(counts(0).packets, 1);
	ck_assert_uint_eq(counts(1).drops, 1);
	ck_assert_uint_eq(counts(1).packets, 0);
}
END_TEST

START_TEST(packets_are_dumped_both_ways_and_none_is_left_when_the_device_stops)
{
	char path[] = "/tmp/vmm-test-XXXXXX";
	struct pcap *dump;
	struct stat st;
	bool made;
	int fd = mkstemp(path);

	ck_assert_int_eq(pcap_open(&dump, path, &made, NULL), 0);
	ck_assert_int_eq(pcap_begin(dump, NULL), 0);
	unlink(path);
	netdev_set_dump(netdev, dump);
	start(0);
	send_packet(0);
	ring_kick(tx);
	assert_on_wire(0);
	offer_room(0);
	ring_kick(rx);
	put_on_wire(0);
	assert_received(0);

	virtio_pause(virtio_pci_device(rig.vp));
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 24 + 2 * (16 + PACKET_LEN - HEADER_LEN));
	close(fd);
}
END_TEST

START_TEST(packet_shorter_than_its_header_is_a_breach)
{
	const struct buffer buffer = { OUT_AT, HEADER_LEN - 1, false };

	start(0);
	ck_assert(ring_send(tx, &buffer, 1));
	ring_kick(tx);

	ck_assert(driver_must_reset(&driver));
	start(0);
	send_packet(1);
	ring_kick(tx);
	assert_on_wire(1);
}
END_TEST

/* In. */

START_TEST(packet_comes_in_with_its_header)
{
	start(DRIVER_CORE_FEATURES);
	offer_room(0);
	ring_kick(rx);
	rig_settle(&rig);

	put_on_wire(0);

	assert_received(0);
}
END_TEST

START_TEST(packet_waits_for_a_buffer)
{
	start(DRIVER_CORE_FEATURES);
	put_on_wire(0);
	put_on_wire(1);
	rig_settle(&rig);
	ck_assert_uint_eq(ring_used_idx(rx), 0);

	offer_room(0);
	ring_kick(rx);
	assert_received(0);
	offer_room(1);
	ring_notify(rx);
	assert_received(1);
}
END_TEST

START_TEST(packet_from_before_the_start_comes_in)
{
	put_on_wire(3);
	start(0);

	offer_room(3);
	ring_kick(rx);

	assert_received(3);
}
END_TEST

START_TEST(packet_may_be_received_in_pieces)
{
	const struct buffer buffers[] = {
		{ IN_AT, 6, true }, { IN_AT + 6, 5, true }, { IN_AT + 11, 1000, true },
	};

	start(0);
	ck_assert(ring_send(rx, buffers, ARRAY_LEN(buffers)));
	ring_kick(rx);
	put_on_wire(0);

	assert_received(0);
}
END_TEST

START_TEST(many_packets_come_in_though_buffers_are_few)
{
	enum { ROOMS = 4, PACKETS = 2000 };
	unsigned nr_put = 0;

	start(DRIVER_CORE_FEATURES);
	for (unsigned i = 0; i < ROOMS; i++)
		offer_room(i);
	ring_kick(rx);

	for (unsigned i = 0; i < PACKETS; i++) {
		for (; nr_put < PACKETS && nr_put < i + 2 * ROOMS; nr_put++)
			put_on_wire(nr_put);
		assert_received(i);
		offer_room(i + ROOMS);
		ring_notify(rx);
	}
}
END_TEST

START_TEST(packet_larger_than_the_buffer_is_lost_and_writes_nothing_beyond_it)
{
	const struct buffer buffer = { room_at(0), PACKET_LEN, true };
	const uint8_t longer[PACKET_LEN + 1] = { 1 }, *after;

	start(0);
	after = rig_ram(&rig, room_at(0) + PACKET_LEN, 1);
	ck_assert(ring_send(rx, &buffer, 1));
	ring_kick(rx);
	ck_assert_int_eq(send(wire, longer, sizeof(longer), 0), sizeof(longer));
	put_on_wire(0);

	assert_received(0);
	ck_assert_uint_eq(*after, 0);
	ck_assert_uint_eq(counts(0).drops, 1);
}
END_TEST

START_TEST(packet_without_a_header_is_dropped_and_its_buffer_used_again)
{
	start(0);
	offer_room(0);
	ring_kick(rx);

	ck_assert_int_eq(send(wire, "short", 5, 0), 5);
	put_on_wire(0);

	assert_received(0);
	ck_assert(!ring_reap(rx, &elem));
}
END_TEST

START_TEST(receive_buffer_smaller_than_a_header_is_a_breach)
{
	const struct buffer buffer = { IN_AT, HEADER_LEN - 1, true };

	start(0);
	ck_assert(ring_send(rx, &buffer, 1));
	ring_kick(rx);

	ck_assert(driver_must_reset(&driver));
	start(0);
	put_on_wire(0);
	offer_room(0);
	ring_kick(rx);
	assert_received(0);
}
END_TEST

/* What the device says and is told. */

START_TEST(configuration_tells_address_and_link)
{
	for (unsigned i = 0; i < sizeof(config.mac); i++)
		ck_assert_uint_eq(driver_config(&driver, i, 1), config.mac[i]);
	ck_assert_uint_eq(driver_config(&driver, offsetof(struct virtio_net_config, status),
					2), VIRTIO_NET_S_LINK_UP);
}
END_TEST

START_TEST(speed_is_that_of_the_back_end)
{
	ck_assert(driver_offered(&driver) & BIT64(VIRTIO_NET_F_SPEED_DUPLEX));
	ck_assert_uint_eq(driver_config(&driver, offsetof(struct virtio_net_config, speed), 4),
			  FAKE_NETDEV_SPEED);
	ck_assert_uint_eq(driver_config(&driver, offsetof(struct virtio_net_config, duplex),
					1), 1);
}
END_TEST

START_TEST(mtu_is_told_to_the_driver_if_there_is_one)
{
	struct driver other;

	ck_assert(!(driver_offered(&driver) & BIT64(VIRTIO_NET_F_MTU)));
	teardown();
	config.mtu = 9000;
	setup();

	ck_assert(driver_find(&other, &rig, VIRTIO_ID_NET));
	ck_assert(driver_offered(&other) & BIT64(VIRTIO_NET_F_MTU));
	ck_assert_uint_eq(driver_config(&other, offsetof(struct virtio_net_config, mtu), 2),
			  9000);
}
END_TEST

static uint64_t link_status(void)
{
	return driver_config(&driver, offsetof(struct virtio_net_config, status), 2);
}

START_TEST(link_that_changes_is_told_by_an_interrupt)
{
	start(0);

	virtio_net_set_link(virtio_pci_device(rig.vp), false);
	ck_assert_uint_eq(link_status(), 0);
	ck_assert_uint_eq(rig_take_interrupts(&rig, driver.config_message), 1);

	virtio_net_set_link(virtio_pci_device(rig.vp), true);
	ck_assert_uint_eq(link_status(), VIRTIO_NET_S_LINK_UP);
	ck_assert_uint_eq(rig_take_interrupts(&rig, driver.config_message), 1);
}
END_TEST

START_TEST(link_that_stays_as_it_is_makes_no_interrupt)
{
	start(0);

	virtio_net_set_link(virtio_pci_device(rig.vp), true);

	ck_assert_uint_eq(rig_take_interrupts(&rig, driver.config_message), 0);
}
END_TEST

START_TEST(link_that_is_down_loses_packets_both_ways)
{
	start(0);
	offer_room(0);
	ring_kick(rx);
	virtio_net_set_link(virtio_pci_device(rig.vp), false);

	put_on_wire(1);
	send_packet(1);
	ring_kick(tx);
	ck_assert(ring_wait(tx, &elem));
	rig_settle(&rig);
	virtio_net_set_link(virtio_pci_device(rig.vp), true);
	put_on_wire(0);
	send_packet(0);
	ring_kick(tx);

	assert_received(0);
	assert_on_wire(0);
}
END_TEST

static void lose_link(void *ctx)
{
	fake_netdev_set_link(ctx, false);
}

static void find_link(void *ctx)
{
	fake_netdev_set_link(ctx, true);
}

START_TEST(link_that_the_back_end_loses_is_down)
{
	start(0);

	loop_call(rig.loop, lose_link, netdev);
	ck_assert_uint_eq(link_status(), 0);
	ck_assert_uint_eq(rig_take_interrupts(&rig, driver.config_message), 1);

	loop_call(rig.loop, find_link, netdev);
	ck_assert_uint_eq(link_status(), VIRTIO_NET_S_LINK_UP);
	ck_assert_uint_eq(rig_take_interrupts(&rig, driver.config_message), 1);
}
END_TEST

START_TEST(link_that_is_lost_before_the_start_is_down)
{
	loop_call(rig.loop, lose_link, netdev);

	start(0);

	ck_assert_uint_eq(link_status(), 0);
}
END_TEST

START_TEST(cable_does_not_make_up_for_the_back_end)
{
	start(0);
	loop_call(rig.loop, lose_link, netdev);

	virtio_net_set_link(virtio_pci_device(rig.vp), false);
	virtio_net_set_link(virtio_pci_device(rig.vp), true);

	ck_assert_uint_eq(link_status(), 0);
}
END_TEST

START_TEST(link_stays_down_when_the_driver_resets)
{
	virtio_net_set_link(virtio_pci_device(rig.vp), false);

	start(0);

	ck_assert_uint_eq(link_status(), 0);
}
END_TEST

START_TEST(offloads_are_those_that_the_driver_accepted)
{
	start(BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(VIRTIO_NET_F_GUEST_TSO6));
	ck_assert_uint_eq(fake_netdev_offloads(netdev), NETDEV_CSUM | NETDEV_TSO6);

	start(BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(VIRTIO_NET_F_GUEST_TSO4) |
	      BIT64(VIRTIO_NET_F_GUEST_ECN));
	ck_assert_uint_eq(fake_netdev_offloads(netdev),
			  NETDEV_CSUM | NETDEV_TSO4 | NETDEV_ECN);

	start(0);
	ck_assert_uint_eq(fake_netdev_offloads(netdev), 0);
}
END_TEST

START_TEST(datagrams_are_left_to_a_driver_that_accepts_them)
{
	start(BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(GUEST_USO4) | BIT64(GUEST_USO6));
	ck_assert_uint_eq(fake_netdev_offloads(netdev),
			  NETDEV_CSUM | NETDEV_USO4 | NETDEV_USO6);
}
END_TEST

START_TEST(back_end_without_offloads_makes_the_device_ask_for_a_reset)
{
	fake_netdev_refuse_offloads(netdev, -EINVAL);

	ck_assert(!driver_start(&driver, 0, RING_SIZE));

	ck_assert(driver_must_reset(&driver));
	fake_netdev_refuse_offloads(netdev, 0);
	start(0);
	send_packet(0);
	ring_kick(tx);
	assert_on_wire(0);
}
END_TEST

/* A back end that can do nothing for us. */
static void setup_plain(void)
{
	setup_with(0);
}

#define OFFLOADS							\
	(BIT64(VIRTIO_NET_F_CSUM) | BIT64(VIRTIO_NET_F_GUEST_CSUM) |	\
	 BIT64(VIRTIO_NET_F_HOST_TSO4) | BIT64(VIRTIO_NET_F_GUEST_TSO4) | \
	 BIT64(VIRTIO_NET_F_HOST_TSO6) | BIT64(VIRTIO_NET_F_GUEST_TSO6) | \
	 BIT64(VIRTIO_NET_F_HOST_ECN) | BIT64(VIRTIO_NET_F_GUEST_ECN) |	\
	 BIT64(HOST_USO) | BIT64(GUEST_USO4) | BIT64(GUEST_USO6))

START_TEST(offloads_are_offered_as_the_back_end_can)
{
	ck_assert_uint_eq(driver_offered(&driver) & OFFLOADS, OFFLOADS);
}
END_TEST

START_TEST(no_offloads_are_offered_where_the_back_end_can_none)
{
	ck_assert_uint_eq(driver_offered(&driver) & OFFLOADS, 0);
}
END_TEST

static TCase *plain_tests(void)
{
	TCase *tc = tcase_create("plain back end");

	tcase_add_checked_fixture(tc, setup_plain, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_test(tc, no_offloads_are_offered_where_the_back_end_can_none);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("virtio_net");
	TCase *tc = tcase_create("socket pair");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_test(tc, packet_goes_out_with_its_header);
	tcase_add_test(tc, packet_may_be_scattered);
	tcase_add_test(tc, packets_stay_in_order);
	tcase_add_test(tc, full_wire_holds_packets_back_and_loses_none);
	tcase_add_test(tc, reset_while_the_wire_is_full_forgets_what_waits);
	tcase_add_test(tc, packet_that_the_wire_refuses_is_lost);
	tcase_add_test(tc, packets_are_counted_without_their_headers);
	tcase_add_test(tc, packets_that_are_lost_are_counted_as_such);
	tcase_add_test(tc, packets_are_dumped_both_ways_and_none_is_left_when_the_device_stops);
	tcase_add_test(tc, packet_shorter_than_its_header_is_a_breach);
	tcase_add_test(tc, packet_comes_in_with_its_header);
	tcase_add_test(tc, packet_waits_for_a_buffer);
	tcase_add_test(tc, packet_from_before_the_start_comes_in);
	tcase_add_test(tc, packet_may_be_received_in_pieces);
	tcase_add_test(tc, many_packets_come_in_though_buffers_are_few);
	tcase_add_test(tc, packet_larger_than_the_buffer_is_lost_and_writes_nothing_beyond_it);
	tcase_add_test(tc, packet_without_a_header_is_dropped_and_its_buffer_used_again);
	tcase_add_test(tc, receive_buffer_smaller_than_a_header_is_a_breach);
	tcase_add_test(tc, configuration_tells_address_and_link);
	tcase_add_test(tc, speed_is_that_of_the_back_end);
	tcase_add_test(tc, mtu_is_told_to_the_driver_if_there_is_one);
	tcase_add_test(tc, link_that_changes_is_told_by_an_interrupt);
	tcase_add_test(tc, link_that_stays_as_it_is_makes_no_interrupt);
	tcase_add_test(tc, link_that_is_down_loses_packets_both_ways);
	tcase_add_test(tc, link_that_the_back_end_loses_is_down);
	tcase_add_test(tc, link_that_is_lost_before_the_start_is_down);
	tcase_add_test(tc, cable_does_not_make_up_for_the_back_end);
	tcase_add_test(tc, link_stays_down_when_the_driver_resets);
	tcase_add_test(tc, offloads_are_offered_as_the_back_end_can);
	tcase_add_test(tc, offloads_are_those_that_the_driver_accepted);
	tcase_add_test(tc, datagrams_are_left_to_a_driver_that_accepts_them);
	tcase_add_test(tc, back_end_without_offloads_makes_the_device_ask_for_a_reset);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, plain_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
