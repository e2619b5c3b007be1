// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_net_pairs.c - a card with several pairs of queues (VIRTIO_NET_F_MQ).
 */
#include "fake_netdev.h"
#include "base/bytes.h"
#include "devices/virtio/virtio.h"
#include "devices/virtio/virtio_net.h"
#include "devices/virtio/virtio_pci.h"
#include "guest_driver.h"
#include "rig.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS		2
#define RING_SIZE	16
#define SECONDS_MAX	60
#define LEN		100		/* of a packet, header included */
#define OUT_AT		DRIVER_FREE_AT
#define IN_AT		(DRIVER_FREE_AT + 0x1000)
#define COMMAND_AT	(DRIVER_FREE_AT + 0x2000)
#define ACK_AT		(DRIVER_FREE_AT + 0x3000)
#define MQ		(BIT64(VIRTIO_NET_F_CTRL_VQ) | BIT64(VIRTIO_NET_F_MQ) | \
			 BIT64(VIRTIO_NET_F_MRG_RXBUF) | DRIVER_CORE_FEATURES)

static const struct virtio_net_card card = { .mac = { 2, 0, 0, 0, 0, 1 } };

static struct rig rig;
static struct driver driver;
static struct netdev *netdev;
static int wires[PAIRS];
static struct vring_used_elem elem;

static void setup(void)
{
	struct virtio_dev *dev;

	rig_open(&rig, RIG_THREAD);
	netdev = fake_netdev_new(FAKE_NETDEV_OFFLOADS, PAIRS, wires);
	ck_assert_int_eq(virtio_net_new(&dev, netdev, &card, rig.mem, rig.loop, NULL), 0);
	rig_plug(&rig, dev);
	ck_assert(driver_find(&driver, &rig, VIRTIO_ID_NET));
}

static void teardown(void)
{
	rig_unplug(&rig);
	netdev = netdev_close(netdev);
	for (unsigned i = 0; i < PAIRS; i++)
		close(wires[i]);
	rig_close(&rig);
}

static void start(uint64_t features)
{
	ck_assert(driver_start(&driver, features, RING_SIZE));
}

static struct ring *rx(unsigned pair)
{
	return &driver.rings[2 * pair];
}

static struct ring *tx(unsigned pair)
{
	return &driver.rings[2 * pair + 1];
}

static uint8_t set_pairs_by(struct ring *control, uint16_t nr)
{
	const struct buffer buffers[] = { { COMMAND_AT, 4, false }, { ACK_AT, 1, true } };
	uint8_t *at = rig_ram(&rig, COMMAND_AT, 4), *ack = rig_ram(&rig, ACK_AT, 1);

	at[0] = VIRTIO_NET_CTRL_MQ;
	at[1] = VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET;
	put_le16(at + 2, nr);
	ck_assert(ring_send(control, buffers, ARRAY_LEN(buffers)));
	ring_kick(control);
	ck_assert(ring_wait(control, &elem));
	return *ack;
}

static uint8_t set_pairs(uint16_t nr)
{
	return set_pairs_by(&driver.rings[2 * PAIRS], nr);
}

static void send_on(unsigned pair)
{
	const struct buffer buffer = { OUT_AT, LEN, false };

	memset(rig_ram(&rig, OUT_AT, LEN), 0, LEN);
	ck_assert(ring_send(tx(pair), &buffer, 1));
	ring_kick(tx(pair));
}

static bool is_on_wire(unsigned pair, int timeout_ms)
{
	struct pollfd pollfd = { .fd = wires[pair], .events = POLLIN };

	return poll(&pollfd, 1, timeout_ms) == 1;
}

static void offer_room(unsigned pair)
{
	const struct buffer buffer = { IN_AT, LEN, true };

	ck_assert(ring_send(rx(pair), &buffer, 1));
	ring_kick(rx(pair));
}

static void put_on_wire(unsigned pair)
{
	const uint8_t packet[LEN] = { 0 };

	ck_assert_int_eq(send(wires[pair], packet, LEN, 0), LEN);
}

START_TEST(pairs_are_as_many_as_the_back_end_has)
{
	ck_assert(driver_offered(&driver) & BIT64(VIRTIO_NET_F_MQ));
	ck_assert_uint_eq(driver_get(&driver, VIRTIO_PCI_COMMON_NUMQ, 2), 2 * PAIRS + 1);
	ck_assert_uint_eq(driver_config(&driver, offsetof(struct virtio_net_config,
							  max_virtqueue_pairs), 2), PAIRS);
}
END_TEST

START_TEST(one_pair_is_used_until_the_driver_wants_more)
{
	start(MQ);
	ck_assert_uint_eq(fake_netdev_pairs(netdev), 1);

	ck_assert_uint_eq(set_pairs(2), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake_netdev_pairs(netdev), 2);

	ck_assert_uint_eq(set_pairs(1), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake_netdev_pairs(netdev), 1);
}
END_TEST

START_TEST(each_pair_moves_packets_both_ways)
{
	start(MQ);
	ck_assert_uint_eq(set_pairs(2), VIRTIO_NET_OK);

	for (unsigned i = 0; i < PAIRS; i++) {
		send_on(i);
		ck_assert(is_on_wire(i, RIG_PATIENCE_MS));
		offer_room(i);
		put_on_wire(i);
		ck_assert(ring_wait(rx(i), &elem));
		ck_assert_uint_eq(elem.len, LEN);
	}
}
END_TEST

START_TEST(pair_that_is_not_used_does_nothing_until_it_is)
{
	start(MQ);
	send_on(1);
	offer_room(1);
	put_on_wire(1);
	rig_settle(&rig);
	ck_assert(!is_on_wire(1, 0));
	ck_assert_uint_eq(ring_used_idx(rx(1)), 0);

	ck_assert_uint_eq(set_pairs(2), VIRTIO_NET_OK);

	ck_assert(is_on_wire(1, RIG_PATIENCE_MS));
	ck_assert(ring_wait(rx(1), &elem));
}
END_TEST

START_TEST(pairs_stay_over_a_pause_and_are_one_after_a_reset)
{
	struct virtio_dev *dev = virtio_pci_device(rig.vp);

	start(MQ);
	ck_assert_uint_eq(set_pairs(2), VIRTIO_NET_OK);

	virtio_pause(dev);
	virtio_resume(dev);
	ck_assert_uint_eq(fake_netdev_pairs(netdev), 2);

	start(MQ);
	ck_assert_uint_eq(fake_netdev_pairs(netdev), 1);
}
END_TEST

START_TEST(pairs_that_are_not_there_are_refused)
{
	start(MQ);

	ck_assert_uint_eq(set_pairs(0), VIRTIO_NET_ERR);
	ck_assert_uint_eq(set_pairs(PAIRS + 1), VIRTIO_NET_ERR);
	ck_assert_uint_eq(set_pairs(0x8000), VIRTIO_NET_ERR);
	ck_assert_uint_eq(fake_netdev_pairs(netdev), 1);
}
END_TEST

START_TEST(pairs_that_the_back_end_refuses_are_refused)
{
	start(MQ);
	fake_netdev_refuse_pairs(netdev, -EPERM);

	ck_assert_uint_eq(set_pairs(2), VIRTIO_NET_ERR);
	send_on(1);
	rig_settle(&rig);
	ck_assert(!is_on_wire(1, 0));
}
END_TEST

START_TEST(driver_of_one_pair_has_its_commands_behind_it)
{
	start(BIT64(VIRTIO_NET_F_CTRL_VQ) | DRIVER_CORE_FEATURES);

	ck_assert_uint_eq(set_pairs_by(&driver.rings[2], 1), VIRTIO_NET_ERR);
	send_on(0);
	ck_assert(is_on_wire(0, RIG_PATIENCE_MS));
	send_on(1);
	rig_settle(&rig);
	ck_assert(!is_on_wire(1, 0));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_net_pairs");
	TCase *tc = tcase_create("two pairs");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_test(tc, pairs_are_as_many_as_the_back_end_has);
	tcase_add_test(tc, one_pair_is_used_until_the_driver_wants_more);
	tcase_add_test(tc, each_pair_moves_packets_both_ways);
	tcase_add_test(tc, pair_that_is_not_used_does_nothing_until_it_is);
	tcase_add_test(tc, pairs_stay_over_a_pause_and_are_one_after_a_reset);
	tcase_add_test(tc, pairs_that_are_not_there_are_refused);
	tcase_add_test(tc, pairs_that_the_back_end_refuses_are_refused);
	tcase_add_test(tc, driver_of_one_pair_has_its_commands_behind_it);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
