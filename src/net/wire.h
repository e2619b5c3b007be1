/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - a back end whose packets go by a stream socket.
 *
 * Each is a frame without the header of virtio, behind its length in four bytes, the
 * most significant first: what QEMU and passt speak as well.  Nothing is left to the
 * receiver of a packet.
 *
 *	no peer --accepted--> link is up --the peer is gone, or talks nonsense--> no peer
 *
 * Only one that has a door, a socket that listens, ever gets another peer.
 */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include <stdbool.h>

struct err;
struct netdev;
struct netdev_lost;

struct wire_config {
	const char *id;			/* for messages */
	const char *peer;		/* what it is, for ever */
	int fd;				/* connected, non-blocking; -1: no peer so far */
	int door;			/* listens, non-blocking; -1: none */
	const char *door_path;		/* removed at the end, if there is a door */
	bool sees_off;			/* closing waits until the peer has closed, too */
	const struct netdev_lost *lost;
};

/* On success the descriptors are the netdev's.  Main. */
int wire_new(struct netdev **ret_netdev, const struct wire_config *config,
	       struct err *err);

#endif
