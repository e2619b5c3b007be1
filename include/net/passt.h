/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passt.h - the back end that is user-mode networking, by a process of passt(1).
 *
 * passt speaks to the guest as a router would, and to the world as any program of its
 * user does, so nothing takes a privilege.  It runs in the background, and ends as soon
 * as nobody holds our end of the socket: with the netdev, however that ends.  One that ends
 * before, or of whose frames none begins where it should, is lost, and started anew.
 *
 * Ports of the host are forwarded to the guest by words such as tcp:2222-:22 and
 * udp:127.0.0.1:5353-:53, with a space between two.
 */
#ifndef NET_PASST_H
#define NET_PASST_H

#include <stdint.h>

struct err;
struct netdev;
struct netdev_lost;

struct passt_config {
	const char *id;			/* for messages */
	const char *forwards;		/* or NULL */
	uint16_t mtu;			/* that the guest is told of; 0: what passt likes */
	const struct netdev_lost *lost;
};

/* -EINVAL, and what is wrong with one of them. */
int passt_check_forwards(const char *forwards, struct err *err);

/* Returns when passt serves, or has said why it cannot.  Main. */
int passt_open(struct netdev **ret_netdev, const struct passt_config *config,
	       struct err *err);

#endif
