// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_net_vhost.c - a card on a tap whose packets the kernel's vhost-net moves.
 */
#include "../unit/tap_fixture.h"

#include "base/bytes.h"
#include "devices/virtio/virtio.h"
#include "devices/virtio/virtio_net.h"
#include "devices/virtio/virtio_pci.h"
#include "guest_driver.h"
#include "net/vhost.h"
#include "rig.h"

#include <linux/virtio_ids.h>
#include <poll.h>

#define PAIRS		2
#define RING_SIZE	16
#define SECONDS_MAX	60
#define OUT_AT		DRIVER_FREE_AT
#define IN_AT		(DRIVER_FREE_AT + 0x1000)
#define ROOM		2048
#define COMMAND_AT	(DRIVER_FREE_AT + 0x2000)
#define ACK_AT		(DRIVER_FREE_AT + 0x3000)
#define FEATURES	(BIT64(VIRTIO_NET_F_CTRL_VQ) | BIT64(VIRTIO_NET_F_MQ) | \
			 BIT64(VIRTIO_NET_F_MRG_RXBUF) | DRIVER_CORE_FEATURES)

static const struct virtio_net_card card = { .mac = { 2, 0, 0, 0, 0, 2 } };

static struct rig rig;
static struct driver driver;
static struct virtio_dev *dev;
static int host;
static struct vring_used_elem elem;

static void setup_card(void)
{
	struct vhost *vhost = NULL;

	setup();
	make_device(MULTI_TAP, IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE);
	ck_assert_int_eq(open_pairs(&netdev, MULTI_TAP, PAIRS, true), 0);
	set_up_link(MULTI_TAP);
	host = open_host_end(MULTI_TAP);
	ck_assert_msg(!vhost_open(&vhost, PAIRS, &err), "%s", err.text);
	netdev_set_vhost(netdev, vhost);

	rig_open(&rig, RIG_THREAD);
	ck_assert_int_eq(virtio_net_new(&dev, netdev, &card, rig.mem, rig.loop, NULL), 0);
	rig_plug(&rig, dev);
	ck_assert(driver_find(&driver, &rig, VIRTIO_ID_NET));
}

static void teardown_card(void)
{
	rig_unplug(&rig);
	teardown();
	rig_close(&rig);
	close(host);
}

static void start(void)
{
	ck_assert(driver_start(&driver, FEATURES, RING_SIZE));
}

static struct ring *rx(unsigned pair)
{
	return &driver.rings[2 * pair];
}

static struct ring *tx(unsigned pair)
{
	return &driver.rings[2 * pair + 1];
}

static void send_on(unsigned pair, uint8_t byte)
{
	const struct packet p = packet(byte);
	const struct buffer buffer = { OUT_AT, sizeof(p), false };

	memcpy(rig_ram(&rig, OUT_AT, sizeof(p)), &p, sizeof(p));
	ck_assert(ring_send(tx(pair), &buffer, 1));
	ring_kick(tx(pair));
}

static bool is_at_host(int timeout_ms)
{
	struct pollfd pollfd = { .fd = host, .events = POLLIN };

	return poll(&pollfd, 1, timeout_ms) == 1;
}

static void assert_at_host(uint8_t byte)
{
	const struct packet p = packet(byte);
	struct frame frame;

	ck_assert(is_at_host(RIG_PATIENCE_MS));
	ck_assert_int_eq(recv(host, &frame, sizeof(frame), 0), sizeof(frame));
	ck_assert_mem_eq(&frame, &p.frame, sizeof(frame));
}

static void assert_sends_on(unsigned pair, uint8_t byte)
{
	send_on(pair, byte);
	ck_assert(ring_wait(tx(pair), &elem));
	assert_at_host(byte);
}

static void offer_room(void)
{
	const struct buffer buffer = { IN_AT, ROOM, true };

	ck_assert(ring_send(rx(0), &buffer, 1));
	ring_kick(rx(0));
}

static void send_from_host(uint8_t byte)
{
	const struct packet p = packet(byte);

	ck_assert_int_eq(send(host, &p.frame, sizeof(p.frame), 0), sizeof(p.frame));
}

/* A new link also brings some of the host's own frames. */
static void assert_received(uint8_t byte)
{
	const struct packet p = packet(byte);
	const struct packet *got = rig_ram(&rig, IN_AT, sizeof(p));

	ck_assert(ring_wait(rx(0), &elem));
	while (got->frame.eth.h_proto != htons(PROTOCOL)) {
		offer_room();
		ck_assert(ring_wait(rx(0), &elem));
	}
	ck_assert_uint_eq(elem.len, sizeof(p));
	ck_assert_mem_eq(&got->frame, &p.frame, sizeof(p.frame));
}

static uint8_t set_pairs(uint16_t nr)
{
	const struct buffer buffers[] = { { COMMAND_AT, 4, false }, { ACK_AT, 1, true } };
	struct ring *control = &driver.rings[2 * PAIRS];
	uint8_t *at = rig_ram(&rig, COMMAND_AT, 4);

	at[0] = VIRTIO_NET_CTRL_MQ;
	at[1] = VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET;
	put_le16(at + 2, nr);
	ck_assert(ring_send(control, buffers, ARRAY_LEN(buffers)));
	ring_kick(control);
	ck_assert(ring_wait(control, &elem));
	return *(uint8_t *)rig_ram(&rig, ACK_AT, 1);
}

START_TEST(filters_are_not_offered)
{
	ck_assert_uint_eq(driver_offered(&driver) & (BIT64(VIRTIO_NET_F_CTRL_RX) |
						     BIT64(VIRTIO_NET_F_CTRL_VLAN) |
						     BIT64(VIRTIO_NET_F_CTRL_RX_EXTRA)), 0);
}
END_TEST

START_TEST(kernel_moves_packets_both_ways)
{
	start();

	for (unsigned i = 0; i < 3 * RING_SIZE; i++) {
		offer_room();
		send_from_host((uint8_t)i);
		assert_received((uint8_t)i);
		assert_sends_on(0, (uint8_t)~i);
	}
	ck_assert(virtio_counts(dev, 0).lent);
	ck_assert_uint_eq(virtio_counts(dev, 0).packets, 0);
	ck_assert_uint_eq(virtio_counts(dev, 1).packets, 0);
}
END_TEST

START_TEST(kernel_interrupts_by_the_vector)
{
	start();

	send_on(0, 1);

	ck_assert_uint_ge(rig_wait_interrupts(&rig, tx(0)->message), 1);
}
END_TEST

START_TEST(packets_go_on_over_pauses)
{
	start();

	for (unsigned i = 0; i < 3 * RING_SIZE; i++) {
		offer_room();
		virtio_pause(dev);
		send_from_host((uint8_t)i);
		send_on(0, (uint8_t)~i);
		ck_assert_uint_eq(ring_used_idx(tx(0)), i);
		virtio_resume(dev);
		assert_received((uint8_t)i);
		ck_assert(ring_wait(tx(0), &elem));
		assert_at_host((uint8_t)~i);
	}
}
END_TEST

START_TEST(nothing_passes_without_a_cable)
{
	start();
	assert_sends_on(0, 1);

	virtio_net_set_link(dev, false);

	send_on(0, 2);
	ck_assert(ring_wait(tx(0), &elem));
	ck_assert(!virtio_counts(dev, 1).lent);
	ck_assert_uint_eq(virtio_counts(dev, 1).drops, 1);
	virtio_net_set_link(dev, true);
	ck_assert(virtio_counts(dev, 1).lent);
	assert_sends_on(0, 3);
}
END_TEST

START_TEST(pairs_are_used_as_the_driver_likes)
{
	start();

	ck_assert_uint_eq(set_pairs(2), VIRTIO_NET_OK);
	assert_sends_on(1, 1);
	assert_sends_on(0, 2);
	ck_assert_uint_eq(set_pairs(1), VIRTIO_NET_OK);
	offer_room();
	send_from_host(3);
	assert_received(3);
}
END_TEST

START_TEST(broken_queue_asks_for_a_reset_and_works_after_it)
{
	start();

	ring_offer(tx(0), RING_SIZE);
	ring_kick(tx(0));

	ck_assert(driver_must_reset(&driver));
	ck_assert(!virtio_counts(dev, 0).lent);
	driver_reset(&driver);
	rig_clear_ram(&rig);
	start();
	assert_sends_on(0, 1);
	ck_assert_uint_eq(driver_status(&driver), DRIVER_READY);
}
END_TEST

START_TEST(card_that_is_made_anew_has_vhost_again)
{
	start();
	assert_sends_on(0, 1);
	rig_unplug(&rig);

	ck_assert_int_eq(virtio_net_new(&dev, netdev, &card, rig.mem, rig.loop, NULL), 0);
	rig_plug(&rig, dev);
	ck_assert(driver_find(&driver, &rig, VIRTIO_ID_NET));
	rig_clear_ram(&rig);
	start();

	assert_sends_on(0, 2);
	ck_assert(virtio_counts(dev, 1).lent);
}
END_TEST

static bool has_vhost(void)
{
	int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "skipped: /dev/vhost-net cannot be opened\n");
		return false;
	}
	close(fd);
	return true;
}

static Suite *make_suite(void)
{
	Suite *s = suite_create("virtio_net_vhost");
	TCase *tc = tcase_create("a card on a tap");

	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_checked_fixture(tc, setup_card, teardown_card);
	tcase_add_test(tc, filters_are_not_offered);
	tcase_add_test(tc, kernel_moves_packets_both_ways);
	tcase_add_test(tc, kernel_interrupts_by_the_vector);
	tcase_add_test(tc, packets_go_on_over_pauses);
	tcase_add_test(tc, nothing_passes_without_a_cable);
	tcase_add_test(tc, pairs_are_used_as_the_driver_likes);
	tcase_add_test(tc, broken_queue_asks_for_a_reset_and_works_after_it);
	tcase_add_test(tc, card_that_is_made_anew_has_vhost_again);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr;
	int failed;

	if (!has_vhost() || !can_run())
		return SKIPPED;
	sr = srunner_create(make_suite());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
