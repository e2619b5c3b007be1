/* SPDX-License-Identifier: Apache-2.0 */
/*
 * back_end.h - what a back end implements; netdev.h says what of it.
 */
#ifndef NET_BACK_END_H
#define NET_BACK_END_H

#include "gate.h"
#include "net/netdev.h"

struct back_end_ops {
	void (*close)(struct netdev *netdev);

	/* Tell user from now on; user and loop are set.  And no more; may come again. */
	int (*attach)(struct netdev *netdev);
	void (*detach)(struct netdev *netdev);

	int (*set_pairs)(struct netdev *netdev, unsigned nr);
	int (*set_offloads)(struct netdev *netdev, unsigned offloads);
	ssize_t (*send)(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			unsigned nr);
	ssize_t (*recv)(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			unsigned nr);

	/* Several at once; NULL: one by one. */
	unsigned (*send_burst)(struct netdev *netdev, unsigned pair,
			       struct burst_packet *packets, unsigned nr);
	unsigned (*recv_burst)(struct netdev *netdev, unsigned pair,
			       struct burst_packet *packets, unsigned nr);

	int (*fd)(const struct netdev *netdev, unsigned pair);	/* of a tap */
};

/* First member of a back end's own struct. */
struct netdev {
	const struct back_end_ops *ops;
	unsigned nr_pairs, offloads;		/* fixed once it is open */
	uint32_t speed;				/* likewise */
	bool has_mac;				/* likewise: netdev_mac() has one to tell */
	uint8_t mac[6];
	bool link_down;
	struct loop *loop;			/* while attached */
	struct netdev_user *user;
	struct gate in, out;			/* limits */
	struct pcap *dump;			/* or NULL */
	struct vhost *vhost;			/* or NULL */
	bool lent;				/* to vhost; the link is still ours to watch */
};

/* The link has come up or gone; tells user, if there is one. */
void back_end_set_link(struct netdev *netdev, bool up);

#endif
