/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdev.h - where a network card's packets go to and come from.
 *
 * Packets carry the header of virtio (virtio 1.2 section 5.1.6, 12 bytes) in
 * front, both ways, with checksum and segmentation left to do as negotiated.
 *
 * Opened and closed on the main thread; all else is for the owner of the card.
 */
#ifndef NET_NETDEV_H
#define NET_NETDEV_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

struct err;
struct netdev;

#define NETDEV_HEADER_LEN 12

/* What may be left to the receiver of a packet from the back end. */
#define NETDEV_CSUM	0x1
#define NETDEV_TSO4	0x2
#define NETDEV_TSO6	0x4
#define NETDEV_ECN	0x8

/* An existing tap of the host.  id is for messages and copied. */
int netdev_open_tap(struct netdev **ret_netdev, const char *id, const char *name,
		    struct err *err);

/* An open tap, inherited as this descriptor, which becomes the netdev's. */
int netdev_open_fd(struct netdev **ret_netdev, const char *id, int fd, struct err *err);

struct netdev *netdev_close(struct netdev *netdev);		/* -> NULL */

int netdev_set_offloads(struct netdev *netdev, unsigned offloads);

/* For readiness: POLLIN a packet is there, POLLOUT one can be sent. */
int netdev_fd(const struct netdev *netdev);

/* One packet, header first; the length, or -EAGAIN when it would wait. */
ssize_t netdev_send(struct netdev *netdev, const struct iovec *segs, unsigned nr);
ssize_t netdev_recv(struct netdev *netdev, const struct iovec *segs, unsigned nr);

#endif
