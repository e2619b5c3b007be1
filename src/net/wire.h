/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - a back end whose packets go by a stream socket.
 *
 * Each is a frame without the header of virtio, behind its length in four bytes, the
 * most significant first: what QEMU and passt speak as well.  Nothing is left to the
 * receiver of a packet.
 *
 *	no peer --connected--> link is up --the peer is gone, or talks nonsense--> no peer
 *
 * One that has a door, a socket that listens, takes the next peer that comes by it.  One
 * that has connected to a path, or has a source of peers, does so again, after a pause that
 * grows from a tenth of a second to five while that fails or nobody stays.  Any other never
 * gets another peer.
 */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include <stdbool.h>

struct err;
struct loop;
struct netdev;
struct netdev_lost;

struct wire_source {
	/* A descriptor, connected, non-blocking, or a negative errno.  Owner; may not wait. */
	int (*start_peer)(struct wire_source *source, struct loop *loop);
	void (*detach)(struct wire_source *source);		/* from that loop; owner */
	void (*free)(struct wire_source *source);		/* main */
};

struct wire_config {
	const char *id;			/* for messages */
	const char *peer;		/* what it is, for ever */
	int fd;				/* connected, non-blocking; -1: no peer so far */
	int door;			/* listens, non-blocking; -1: none */
	const char *path;		/* of the door, which is removed at the end; without
					   one, where to connect again; NULL: nowhere */
	struct wire_source *source;	/* of further peers, or NULL */
	bool sees_off;			/* closing waits until the peer has closed, too */
	const struct netdev_lost *lost;
};

/* On success the descriptors and the source are the netdev's.  Main. */
int wire_new(struct netdev **ret_netdev, const struct wire_config *config,
	       struct err *err);

#endif
