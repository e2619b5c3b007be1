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

/*
 * netdev belongs to the same loop, outlives the device and is used by it alone.
 * Main.  Freed by virtio_free().
 */
int virtio_net_new(struct virtio_dev **ret_dev, struct netdev *netdev,
		   const uint8_t mac[6], struct guest_mem *mem, struct loop *loop,
		   struct err *err);

/*
 * Plug in the cable, as it is at first, or pull it: the driver is told, and packets
 * are lost both ways.  Any thread but a loop's.
 */
void virtio_net_set_link(struct virtio_dev *dev, bool up);

#endif
