/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h - the back end that is another process, another vmm for one, at a Unix socket.
 *
 * What they speak is in src/net/wire.h.
 */
#ifndef NET_PEER_H
#define NET_PEER_H

#include <stdbool.h>

struct err;
struct netdev;
struct netdev_lost;

struct peer_config {
	const char *id;			/* for messages */
	const char *path;		/* of the socket; NULL: nobody ever comes */
	bool listen;			/* make it, and take who connects; else connect */
	const struct netdev_lost *lost;
};

/* Main. */
int peer_open(struct netdev **ret_netdev, const struct peer_config *config, struct err *err);

#endif
