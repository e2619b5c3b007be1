/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_fixture.h - a rig with a network card, its driver and the wire, for the tests
 * of the card.  Each includes this once.
 */
#ifndef TESTS_DEVICE_NET_FIXTURE_H
#define TESTS_DEVICE_NET_FIXTURE_H

#include "devices/virtio/virtio_net.h"

#include "base/bytes.h"
#include "devices/virtio/virtio.h"
#include "devices/virtio/virtio_pci.h"
#include "fake_netdev.h"
#include "guest_driver.h"
#include "loop/loop.h"
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

#define RING_SIZE	64
#define SECONDS_MAX	60
#define HEADER_LEN	NETDEV_HEADER_LEN
#define PACKET_LEN	200u		/* header included */
#define ROOM		2048u		/* of a receive buffer */
#define OUT_AT		DRIVER_FREE_AT
#define IN_AT		(DRIVER_FREE_AT + 0x4000)

static struct virtio_net_card config = {
	.mac = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 },
};

static struct rig rig;
static struct driver driver;
static struct netdev *netdev;
static int wire;
static struct ring *rx, *tx;
static struct vring_used_elem elem;

static inline void plug(void)
{
	struct virtio_dev *dev;

	ck_assert_int_eq(virtio_net_new(&dev, netdev, &config, rig.mem, rig.loop, NULL), 0);
	rig_plug(&rig, dev);
}

static inline void setup_with(unsigned offloads)
{
	rig_open(&rig, RIG_THREAD);
	netdev = fake_netdev_new(offloads, 1, &wire);
	plug();
	ck_assert(driver_find(&driver, &rig, VIRTIO_ID_NET));
	rx = &driver.rings[0];
	tx = &driver.rings[1];
}

static inline void setup(void)
{
	setup_with(FAKE_NETDEV_OFFLOADS);
}

static inline void teardown(void)
{
	rig_unplug(&rig);
	netdev = netdev_close(netdev);
	close(wire);
	rig_close(&rig);
}

static inline void start(uint64_t features)
{
	ck_assert(driver_start(&driver, features, RING_SIZE));
}

/* A packet that tells which one it is. */
static inline void fill(uint8_t *packet, unsigned which, size_t len)
{
	memset(packet, (int)(which + 1), len);
	memset(packet, 0, HEADER_LEN);
}

static inline void send_packet(unsigned which)
{
	uint64_t at = OUT_AT + which % RING_SIZE * PACKET_LEN;
	const struct buffer buffer = { at, PACKET_LEN, false };

	fill(rig_ram(&rig, at, PACKET_LEN), which, PACKET_LEN);
	ck_assert(ring_send(tx, &buffer, 1));
}

static inline void assert_on_wire(unsigned which)
{
	uint8_t expected[PACKET_LEN], packet[PACKET_LEN + 1];
	struct pollfd pollfd = { .fd = wire, .events = POLLIN };

	fill(expected, which, PACKET_LEN);
	ck_assert_int_eq(poll(&pollfd, 1, RIG_PATIENCE_MS), 1);
	ck_assert_int_eq(recv(wire, packet, sizeof(packet), 0), PACKET_LEN);
	ck_assert_mem_eq(packet, expected, PACKET_LEN);
}

static inline uint64_t room_at(unsigned which)
{
	return IN_AT + which % 32 * (uint64_t)ROOM;
}

static inline void offer_room(unsigned which)
{
	const struct buffer buffer = { room_at(which), ROOM, true };

	memset(rig_ram(&rig, room_at(which), ROOM), 0xff, ROOM);
	ck_assert(ring_send(rx, &buffer, 1));
}

static inline void put_on_wire(unsigned which)
{
	uint8_t packet[PACKET_LEN];

	fill(packet, which, sizeof(packet));
	ck_assert_int_eq(send(wire, packet, sizeof(packet), 0), PACKET_LEN);
}

static inline void assert_received(unsigned which)
{
	uint8_t expected[PACKET_LEN];

	fill(expected, which, PACKET_LEN);
	put_le16(expected + offsetof(struct virtio_net_hdr_v1, num_buffers), 1);
	ck_assert(ring_wait(rx, &elem));
	ck_assert_uint_eq(elem.len, PACKET_LEN);
	ck_assert_mem_eq(rig_ram(&rig, room_at(which), PACKET_LEN), expected, PACKET_LEN);
}

static inline struct virtq_counts counts(unsigned queue)
{
	return virtio_counts(virtio_pci_device(rig.vp), queue);
}

#endif
