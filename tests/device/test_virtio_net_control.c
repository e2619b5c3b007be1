// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_net_control.c - what a driver asks of its card, and what it then gets.
 */
#include "net_fixture.h"
#include "state/state.h"

#define COMMAND_AT	OUT_AT
#define DATA_AT		(OUT_AT + 0x10)
#define ACK_AT		(OUT_AT + 0x1000)
#define NO_ACK		0x77

#define CONTROL		(BIT64(VIRTIO_NET_F_CTRL_VQ) | BIT64(VIRTIO_NET_F_CTRL_RX) | \
			 BIT64(VIRTIO_NET_F_CTRL_RX_EXTRA) | DRIVER_CORE_FEATURES)

static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0, 0, 7 };
static const uint8_t other_group[6] = { 0x01, 0x00, 0x5e, 0, 0, 8 };
static const uint8_t stranger[6] = { 0x02, 0, 0, 0, 0, 9 };
static const uint8_t friend[6] = { 0x02, 0, 0, 0, 0, 10 };

static struct ring *control;

/* The answer to a command. */
static uint8_t command(uint8_t class, uint8_t number, const void *data, uint32_t len)
{
	const struct buffer buffers[] = {
		{ COMMAND_AT, 2, false }, { DATA_AT, len, false }, { ACK_AT, 1, true },
	};
	uint8_t *ack = rig_ram(&rig, ACK_AT, 1), *at = rig_ram(&rig, COMMAND_AT, 2);

	at[0] = class;
	at[1] = number;
	memcpy(rig_ram(&rig, DATA_AT, len + 1), data, len);
	*ack = NO_ACK;
	ck_assert(ring_send(control, buffers, ARRAY_LEN(buffers)));
	ring_kick(control);
	ck_assert(ring_wait(control, &elem));
	ck_assert_uint_eq(elem.len, 1);
	return *ack;
}

static uint8_t set_mode(uint8_t mode, bool on)
{
	uint8_t byte = on;

	return command(VIRTIO_NET_CTRL_RX, mode, &byte, 1);
}

static void setup_control(void)
{
	setup();
	control = &driver.rings[2];
}

/* Started, and not promiscuous. */
static void start_filtering(uint64_t more)
{
	start(CONTROL | more);
	ck_assert_uint_eq(set_mode(VIRTIO_NET_CTRL_RX_PROMISC, false), VIRTIO_NET_OK);
}

static void put_frame(const uint8_t *to, uint16_t type, uint16_t tci)
{
	uint8_t packet[HEADER_LEN + 60] = { 0 };

	memcpy(packet + HEADER_LEN, to, 6);
	put_be16(packet + HEADER_LEN + 12, type);
	put_be16(packet + HEADER_LEN + 14, tci);
	ck_assert_int_eq(send(wire, packet, sizeof(packet), 0), sizeof(packet));
}

static void put_frame_to(const uint8_t *to)
{
	put_frame(to, 0x0800, 0);
}

/* Never the same twice: the device may hold what it has not filled. */
static void offer_fresh_rooms(void)
{
	static unsigned nr_offered;

	for (unsigned i = 0; i < 8; i++) {
		const struct buffer buffer = { IN_AT + nr_offered++ % 256 * 0x100, 0x100, true };

		ck_assert(ring_send(rx, &buffer, 1));
	}
	ring_kick(rx);
}

/* How many of the frames that were put have come in. */
static unsigned nr_received(void)
{
	unsigned nr = 0;

	offer_fresh_rooms();
	rig_settle(&rig);
	while (ring_reap(rx, &elem))
		nr++;
	return nr;
}

/* Addresses. */

START_TEST(all_packets_come_in_until_the_driver_says_otherwise)
{
	start(CONTROL);

	put_frame_to(stranger);
	put_frame_to(group);

	ck_assert_uint_eq(nr_received(), 2);
}
END_TEST

START_TEST(without_promiscuity_only_what_is_for_us_comes_in)
{
	start_filtering(0);

	put_frame_to(stranger);
	put_frame_to(group);
	put_frame_to(config.mac);
	put_frame_to(broadcast);

	ck_assert_uint_eq(nr_received(), 2);
	ck_assert_uint_eq(counts(0).packets, 2);
	ck_assert_uint_eq(counts(0).drops, 0);
}
END_TEST

START_TEST(modes_do_what_they_say)
{
	static const struct {
		uint8_t mode;
		unsigned nr;		/* of a frame of each kind, those that come in */
	} modes[] = {
		{ VIRTIO_NET_CTRL_RX_PROMISC, 4 }, { VIRTIO_NET_CTRL_RX_ALLMULTI, 3 },
		{ VIRTIO_NET_CTRL_RX_ALLUNI, 3 }, { VIRTIO_NET_CTRL_RX_NOMULTI, 2 },
		{ VIRTIO_NET_CTRL_RX_NOUNI, 1 }, { VIRTIO_NET_CTRL_RX_NOBCAST, 1 },
	};

	start_filtering(0);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		ck_assert_uint_eq(set_mode(modes[i].mode, true), VIRTIO_NET_OK);
		put_frame_to(stranger);
		put_frame_to(group);
		put_frame_to(config.mac);
		put_frame_to(broadcast);
		ck_assert_uint_eq(nr_received(), modes[i].nr);
		ck_assert_uint_eq(set_mode(modes[i].mode, false), VIRTIO_NET_OK);
	}
}
END_TEST

/* Tables, as a driver writes them. */
struct tables {
	uint8_t bytes[4 + 100 * 6 + 4 + 6];
	uint32_t len;
};

static void add_table(struct tables *tables, const uint8_t *mac, uint32_t nr)
{
	put_le32(tables->bytes + tables->len, nr);
	tables->len += 4;
	for (; nr; nr--, tables->len += 6)
		memcpy(tables->bytes + tables->len, mac, 6);
}

static uint8_t set_tables(const struct tables *tables)
{
	return command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, tables->bytes,
		       tables->len);
}

START_TEST(addresses_of_the_tables_come_in)
{
	struct tables tables = { .len = 0 };

	start_filtering(0);
	add_table(&tables, friend, 2);
	add_table(&tables, group, 1);
	ck_assert_uint_eq(set_tables(&tables), VIRTIO_NET_OK);

	put_frame_to(stranger);
	put_frame_to(other_group);
	put_frame_to(friend);
	put_frame_to(group);

	ck_assert_uint_eq(nr_received(), 2);
}
END_TEST

START_TEST(table_with_more_than_there_is_room_for_is_all_addresses)
{
	struct tables tables = { .len = 0 };

	start_filtering(0);
	add_table(&tables, friend, 100);
	add_table(&tables, group, 1);
	ck_assert_uint_eq(set_tables(&tables), VIRTIO_NET_OK);

	put_frame_to(stranger);
	put_frame_to(other_group);

	ck_assert_uint_eq(nr_received(), 1);
}
END_TEST

START_TEST(table_that_is_cut_short_is_refused_and_changes_nothing)
{
	struct tables tables = { .len = 0 }, wrong = { .len = 0 };

	start_filtering(0);
	add_table(&tables, friend, 1);
	add_table(&tables, group, 1);
	ck_assert_uint_eq(set_tables(&tables), VIRTIO_NET_OK);
	add_table(&wrong, stranger, 1);
	ck_assert_uint_eq(set_tables(&wrong), VIRTIO_NET_ERR);
	put_le32(wrong.bytes, 2);
	ck_assert_uint_eq(set_tables(&wrong), VIRTIO_NET_ERR);
	put_le32(wrong.bytes, UINT32_MAX);
	ck_assert_uint_eq(set_tables(&wrong), VIRTIO_NET_ERR);
	wrong.len = 3;
	ck_assert_uint_eq(set_tables(&wrong), VIRTIO_NET_ERR);

	put_frame_to(friend);
	put_frame_to(stranger);

	ck_assert_uint_eq(nr_received(), 1);
}
END_TEST

START_TEST(address_can_be_set_and_is_the_old_one_after_a_reset)
{
	start_filtering(BIT64(VIRTIO_NET_F_CTRL_MAC_ADDR));
	ck_assert_uint_eq(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, friend, 6),
			  VIRTIO_NET_OK);

	put_frame_to(config.mac);
	put_frame_to(friend);
	ck_assert_uint_eq(nr_received(), 1);
	ck_assert_uint_eq(driver_config(&driver, 5, 1), friend[5]);

	driver_reset(&driver);
	ck_assert_uint_eq(driver_config(&driver, 5, 1), config.mac[5]);
}
END_TEST

/* To a fresh card with another address. */
static void move_to(const uint8_t *mac)
{
	const struct virtio_net_card old = config;
	struct state_writer *writer = state_writer_new("test");
	struct state_reader *reader;
	const void *bytes;
	size_t len;

	virtio_pci_pause(rig.vp);
	virtio_pci_save(rig.vp, writer);
	ck_assert_int_eq(state_writer_end(writer, &bytes, &len), 0);
	ck_assert_int_eq(state_reader_new(&reader, bytes, len, NULL), 0);
	rig_unplug(&rig);
	memcpy(config.mac, mac, 6);
	config.renewed = true;
	plug();
	ck_assert_int_eq(virtio_pci_load(rig.vp, rig.pci, reader, NULL), 0);
	virtio_pci_resume(rig.vp);
	state_reader_free(reader);
	state_writer_free(writer);
	config = old;
}

START_TEST(new_address_is_shown_at_once_and_used_after_a_reset)
{
	const struct virtio_net_card old = config;

	start_filtering(0);
	move_to(friend);
	put_frame_to(friend);
	ck_assert_uint_eq(nr_received(), 0);
	put_frame_to(old.mac);
	ck_assert_uint_eq(nr_received(), 1);
	ck_assert_uint_eq(driver_config(&driver, 5, 1), friend[5]);

	start_filtering(0);
	put_frame_to(old.mac);
	ck_assert_uint_eq(nr_received(), 0);
	put_frame_to(friend);
	ck_assert_uint_eq(nr_received(), 1);
	ck_assert_uint_eq(driver_config(&driver, 5, 1), friend[5]);
}
END_TEST

START_TEST(filter_is_kept_over_a_pause_and_gone_after_a_reset)
{
	struct virtio_dev *dev = virtio_pci_device(rig.vp);

	start_filtering(0);
	virtio_pause(dev);
	virtio_resume(dev);
	put_frame_to(stranger);
	ck_assert_uint_eq(nr_received(), 0);

	start(CONTROL);
	put_frame_to(stranger);
	ck_assert_uint_eq(nr_received(), 1);
}
END_TEST

/* VLANs. */

static uint8_t set_vlan(uint8_t number, uint16_t id)
{
	uint8_t bytes[2];

	put_le16(bytes, id);
	return command(VIRTIO_NET_CTRL_VLAN, number, bytes, sizeof(bytes));
}

START_TEST(only_vlans_that_were_asked_for_come_in)
{
	start_filtering(BIT64(VIRTIO_NET_F_CTRL_VLAN));
	ck_assert_uint_eq(set_vlan(VIRTIO_NET_CTRL_VLAN_ADD, 4095), VIRTIO_NET_OK);
	ck_assert_uint_eq(set_vlan(VIRTIO_NET_CTRL_VLAN_ADD, 12), VIRTIO_NET_OK);
	ck_assert_uint_eq(set_vlan(VIRTIO_NET_CTRL_VLAN_DEL, 12), VIRTIO_NET_OK);

	put_frame(config.mac, 0x8100, 0x3000 | 12);
	put_frame(config.mac, 0x8100, 0x3000 | 4095);
	put_frame(stranger, 0x8100, 0x3000 | 4095);
	put_frame(config.mac, 0x0800, 12);

	ck_assert_uint_eq(nr_received(), 2);
}
END_TEST

START_TEST(all_vlans_come_in_where_the_driver_does_not_choose)
{
	start_filtering(0);

	put_frame(config.mac, 0x8100, 12);

	ck_assert_uint_eq(nr_received(), 1);
}
END_TEST

START_TEST(vlan_that_cannot_be_is_refused)
{
	start_filtering(BIT64(VIRTIO_NET_F_CTRL_VLAN));

	ck_assert_uint_eq(set_vlan(VIRTIO_NET_CTRL_VLAN_ADD, 4096), VIRTIO_NET_ERR);
	ck_assert_uint_eq(set_vlan(VIRTIO_NET_CTRL_VLAN_DEL + 1, 1), VIRTIO_NET_ERR);
}
END_TEST

/* Offloads. */

static uint8_t set_offloads(uint64_t features)
{
	uint8_t bytes[8];

	put_le64(bytes, features);
	return command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
		       bytes, sizeof(bytes));
}

#define OFFLOADS	(BIT64(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |		\
			 BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(VIRTIO_NET_F_GUEST_TSO4))

START_TEST(offloads_can_be_switched_off_and_stay_so_over_a_pause)
{
	struct virtio_dev *dev = virtio_pci_device(rig.vp);

	start(CONTROL | OFFLOADS);
	ck_assert_uint_eq(set_offloads(BIT64(VIRTIO_NET_F_GUEST_CSUM)), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake_netdev_offloads(netdev), NETDEV_CSUM);

	virtio_pause(dev);
	virtio_resume(dev);
	ck_assert_uint_eq(fake_netdev_offloads(netdev), NETDEV_CSUM);

	start(CONTROL | OFFLOADS);
	ck_assert_uint_eq(fake_netdev_offloads(netdev), NETDEV_CSUM | NETDEV_TSO4);
}
END_TEST

START_TEST(offloads_that_were_not_accepted_are_refused)
{
	start(CONTROL | OFFLOADS);

	ck_assert_uint_eq(set_offloads(BIT64(VIRTIO_NET_F_GUEST_TSO6)), VIRTIO_NET_ERR);
	ck_assert_uint_eq(set_offloads(BIT64(VIRTIO_NET_F_MAC)), VIRTIO_NET_ERR);
	ck_assert_uint_eq(fake_netdev_offloads(netdev), NETDEV_CSUM | NETDEV_TSO4);
}
END_TEST

START_TEST(offloads_that_the_back_end_refuses_are_refused)
{
	start(CONTROL | OFFLOADS);
	fake_netdev_refuse_offloads(netdev, -EINVAL);

	ck_assert_uint_eq(set_offloads(0), VIRTIO_NET_ERR);
}
END_TEST

/* Announcements. */

static uint64_t status(void)
{
	return driver_config(&driver, offsetof(struct virtio_net_config, status), 2);
}

START_TEST(driver_is_asked_to_announce_until_it_has)
{
	start(CONTROL | BIT64(VIRTIO_NET_F_GUEST_ANNOUNCE));

	virtio_net_announce(virtio_pci_device(rig.vp));
	ck_assert_uint_eq(status(), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	ck_assert_uint_eq(rig_take_interrupts(&rig, driver.config_message), 1);

	ck_assert_uint_eq(command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "",
				  0), VIRTIO_NET_OK);
	ck_assert_uint_eq(status(), VIRTIO_NET_S_LINK_UP);
}
END_TEST

START_TEST(driver_that_cannot_announce_is_not_asked_to)
{
	start(CONTROL);

	virtio_net_announce(virtio_pci_device(rig.vp));

	ck_assert_uint_eq(status(), VIRTIO_NET_S_LINK_UP);
}
END_TEST

static void await_announcing(void)
{
	while (!(status() & VIRTIO_NET_S_ANNOUNCE))
		ck_assert_uint_ge(rig_wait_interrupts(&rig, driver.config_message), 1);
	ck_assert_uint_eq(status(), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
}

START_TEST(driver_is_asked_to_announce_when_the_link_is_back)
{
	start(CONTROL | BIT64(VIRTIO_NET_F_GUEST_ANNOUNCE));

	virtio_net_set_link(virtio_pci_device(rig.vp), false);
	virtio_net_set_link(virtio_pci_device(rig.vp), true);

	await_announcing();
}
END_TEST

START_TEST(driver_is_asked_to_announce_after_a_pause_that_comes_between)
{
	start(CONTROL | BIT64(VIRTIO_NET_F_GUEST_ANNOUNCE));
	virtio_net_set_link(virtio_pci_device(rig.vp), false);
	virtio_net_set_link(virtio_pci_device(rig.vp), true);

	virtio_pause(virtio_pci_device(rig.vp));
	virtio_resume(virtio_pci_device(rig.vp));

	await_announcing();
}
END_TEST

START_TEST(driver_is_not_asked_to_announce_itself_without_a_link)
{
	start(CONTROL | BIT64(VIRTIO_NET_F_GUEST_ANNOUNCE));
	virtio_net_set_link(virtio_pci_device(rig.vp), false);

	virtio_net_announce(virtio_pci_device(rig.vp));

	ck_assert_uint_eq(status(), 0);
}
END_TEST

/* Commands that are none. */

START_TEST(commands_of_features_that_were_not_accepted_are_refused)
{
	const uint8_t data[8] = { 0 };

	start(BIT64(VIRTIO_NET_F_CTRL_VQ));

	for (uint8_t class = 0; class < 8; class++)
		for (uint8_t number = 0; number < 8; number++)
			ck_assert_uint_eq(command(class, number, data, sizeof(data)),
					  VIRTIO_NET_ERR);
}
END_TEST

START_TEST(extra_modes_are_refused_without_their_feature)
{
	start(BIT64(VIRTIO_NET_F_CTRL_VQ) | BIT64(VIRTIO_NET_F_CTRL_RX));

	ck_assert_uint_eq(set_mode(VIRTIO_NET_CTRL_RX_ALLMULTI, true), VIRTIO_NET_OK);
	ck_assert_uint_eq(set_mode(VIRTIO_NET_CTRL_RX_ALLUNI, true), VIRTIO_NET_ERR);
}
END_TEST

START_TEST(modes_without_a_value_or_name_are_refused)
{
	start(CONTROL);

	ck_assert_uint_eq(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "", 0),
			  VIRTIO_NET_ERR);
	ck_assert_uint_eq(set_mode(6, true), VIRTIO_NET_ERR);
}
END_TEST

START_TEST(command_that_is_cut_short_is_a_breach)
{
	const struct buffer buffers[] = { { COMMAND_AT, 1, false }, { ACK_AT, 1, true } };

	start(CONTROL);
	ck_assert(ring_send(control, buffers, ARRAY_LEN(buffers)));
	ring_kick(control);

	ck_assert(driver_must_reset(&driver));
}
END_TEST

START_TEST(command_without_room_for_an_answer_is_a_breach)
{
	const struct buffer buffer = { COMMAND_AT, 3, false };

	start(CONTROL);
	ck_assert(ring_send(control, &buffer, 1));
	ring_kick(control);

	ck_assert(driver_must_reset(&driver));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_net_control");
	TCase *tc = tcase_create("commands");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup_control, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_test(tc, all_packets_come_in_until_the_driver_says_otherwise);
	tcase_add_test(tc, without_promiscuity_only_what_is_for_us_comes_in);
	tcase_add_test(tc, modes_do_what_they_say);
	tcase_add_test(tc, addresses_of_the_tables_come_in);
	tcase_add_test(tc, table_with_more_than_there_is_room_for_is_all_addresses);
	tcase_add_test(tc, table_that_is_cut_short_is_refused_and_changes_nothing);
	tcase_add_test(tc, address_can_be_set_and_is_the_old_one_after_a_reset);
	tcase_add_test(tc, new_address_is_shown_at_once_and_used_after_a_reset);
	tcase_add_test(tc, filter_is_kept_over_a_pause_and_gone_after_a_reset);
	tcase_add_test(tc, only_vlans_that_were_asked_for_come_in);
	tcase_add_test(tc, all_vlans_come_in_where_the_driver_does_not_choose);
	tcase_add_test(tc, vlan_that_cannot_be_is_refused);
	tcase_add_test(tc, offloads_can_be_switched_off_and_stay_so_over_a_pause);
	tcase_add_test(tc, offloads_that_were_not_accepted_are_refused);
	tcase_add_test(tc, offloads_that_the_back_end_refuses_are_refused);
	tcase_add_test(tc, driver_is_asked_to_announce_until_it_has);
	tcase_add_test(tc, driver_that_cannot_announce_is_not_asked_to);
	tcase_add_test(tc, driver_is_asked_to_announce_when_the_link_is_back);
	tcase_add_test(tc, driver_is_asked_to_announce_after_a_pause_that_comes_between);
	tcase_add_test(tc, driver_is_not_asked_to_announce_itself_without_a_link);
	tcase_add_test(tc, commands_of_features_that_were_not_accepted_are_refused);
	tcase_add_test(tc, extra_modes_are_refused_without_their_feature);
	tcase_add_test(tc, modes_without_a_value_or_name_are_refused);
	tcase_add_test(tc, command_that_is_cut_short_is_a_breach);
	tcase_add_test(tc, command_without_room_for_an_answer_is_a_breach);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
