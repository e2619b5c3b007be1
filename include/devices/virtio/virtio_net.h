/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_net.h - network device, virtio 1.2 section 5.1.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_NET_H
#define DEVICES_VIRTIO_VIRTIO_NET_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct guest_mem;
struct loop;
struct netdev;
struct virtio_dev;

struct virtio_net_card {
	uint8_t mac[6];			/* of one card */
	bool renewed;			/* a driver that is loaded knows another mac */
	uint16_t mtu;			/* 0: the driver is not told of any */
};

/*
 * netdev belongs to the same loop, outlives the device and is used by it alone.
 * Main.  Freed by virtio_free().
 */
int virtio_net_new(struct virtio_dev **ret_dev, struct netdev *netdev,
		   const struct virtio_net_card *card, struct guest_mem *mem,
		   struct loop *loop, struct err *err);

/*
 * Plug in the cable, as it is at first, or pull it: the driver is told, and packets
 * are lost both ways.  Any thread but a loop's.
 */
void virtio_net_set_link(struct virtio_dev *dev, bool up);

/*
 * Have the driver tell the network where its addresses are now, if it knows how to.
 * Any thread but a loop's.
 */
void virtio_net_announce(struct virtio_dev *dev);

#endif
