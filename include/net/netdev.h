/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdev.h - where a network card's packets go to and come from.
 *
 * A back end (tap.h, ...) has one or more pairs of queues, each with a way in and a
 * way out.  Packets carry the header of virtio (virtio 1.2 section 5.1.6, 12 bytes)
 * in front, both ways, with checksum and segmentation left to do as negotiated.
 *
 *	opened --attach()--> serves a card --detach()--> opened --close()--> gone
 *
 * Opened and closed on the main thread; all else is for the owner of the card.
 */
#ifndef NET_NETDEV_H
#define NET_NETDEV_H

#include "base/bucket.h"
#include "loop/burst.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct err;
struct loop;
struct netdev;
struct pcap;
struct vhost;

#define NETDEV_HEADER_LEN 12
#define NETDEV_PAIRS_MAX 16

/* What may be left to the receiver of a packet. */
#define NETDEV_CSUM	0x1
#define NETDEV_TSO4	0x2
#define NETDEV_TSO6	0x4
#define NETDEV_ECN	0x8
#define NETDEV_USO4	0x10	/* segmentation of UDP */
#define NETDEV_USO6	0x20

/* Whoever moves the packets: what he is told while he is attached. */
struct netdev_user {
	/* A packet may be there; or room, after netdev_send() had none.  Each may be untrue. */
	void (*readable)(struct netdev_user *user, unsigned pair);
	void (*writable)(struct netdev_user *user, unsigned pair);

	/* As netdev_link_up() says now. */
	void (*link_changed)(struct netdev_user *user);
};

/* Told why the other end of a back end is lost, a part of a sentence.  Owner. */
struct netdev_lost {
	void (*tell)(void *ctx, const char *why);
	void *ctx;
};

/* Of what the card receives (rx) and sends, by the second. */
struct netdev_limits {
	struct bucket_limit rx_bytes, tx_bytes;
	struct bucket_limit rx_packets, tx_packets;
};

struct netdev *netdev_close(struct netdev *netdev);		/* -> NULL */

/* Fixed; any thread: how many pairs, and what it takes, and can leave to the card. */
unsigned netdev_nr_pairs(const struct netdev *netdev);
unsigned netdev_offloads(const struct netdev *netdev);

/* Mbit/s, 0: nobody knows. */
uint32_t netdev_speed(const struct netdev *netdev);

/* The only address whose packets come by, 6 bytes; NULL: any may. */
const uint8_t *netdev_mac(const struct netdev *netdev);

/* What passes is written there as well; it becomes the netdev's.  Main, before attach. */
void netdev_set_dump(struct netdev *netdev, struct pcap *dump);

/* The dump, if there is one, is made anew.  Main, before attach. */
int netdev_begin_dump(struct netdev *netdev, struct err *err);

/*
 * The kernel can move its packets, past limits and dump; vhost becomes the netdev's.
 * Only for a tap.  Main, before attach.
 */
void netdev_set_vhost(struct netdev *netdev, struct vhost *vhost);
struct vhost *netdev_vhost(const struct netdev *netdev);	/* NULL: it cannot */

/* What vhost_start() is to be given for this pair. */
int netdev_fd(const struct netdev *netdev, unsigned pair);

/* Without user nothing is read; what comes meanwhile waits or is lost. */
int netdev_attach(struct netdev *netdev, struct loop *loop, struct netdev_user *user);
void netdev_detach(struct netdev *netdev);

/*
 * While it is attached: the kernel has it, so nothing is read and user is told of
 * nothing but the link; until it is taken back, which does nothing where it was not lent.
 */
int netdev_lend(struct netdev *netdev);
int netdev_take_back(struct netdev *netdev);

/* -EINVAL and which of them cannot be. */
int netdev_check_limits(const struct netdev_limits *limits, struct err *err);

bool netdev_any_limit(const struct netdev_limits *limits);

/* From now on, for what waits as well, and as if nothing had passed before. */
void netdev_set_limits(struct netdev *netdev, const struct netdev_limits *limits);

/*
 * Use the first nr pairs, one at least; all are until this is called.  What has come
 * for the others is lost.  On failure some of them may be used or not.
 */
int netdev_set_pairs(struct netdev *netdev, unsigned nr);

/* Leave this much of a packet's work to the card. */
int netdev_set_offloads(struct netdev *netdev, unsigned offloads);

bool netdev_link_up(const struct netdev *netdev);

/* One packet, header first; the length, or -EAGAIN when it would wait. */
ssize_t netdev_send(struct netdev *netdev, unsigned pair, const struct iovec *segs, unsigned nr);
ssize_t netdev_recv(struct netdev *netdev, unsigned pair, const struct iovec *segs, unsigned nr);

/*
 * Several, up to BURST_MAX, as burst_write() and burst_read(); but what is sent behind one
 * that failed may be sent all the same, unless that is -EAGAIN.
 */
unsigned netdev_send_burst(struct netdev *netdev, unsigned pair, struct burst_packet *packets,
			   unsigned nr);
bool netdev_recvs_bursts(const struct netdev *netdev);
unsigned netdev_recv_burst(struct netdev *netdev, unsigned pair, struct burst_packet *packets,
			   unsigned nr);

#endif
