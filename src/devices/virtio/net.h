/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h - the network device from the inside: virtio_net.c has its configuration
 * and its life, net_receive.c and net_transmit.c move packets, net_control.c does
 * what the driver asks, net_vhost.c lends queues to the kernel.
 *
 * Owner, all of it.
 */
#ifndef DEVICES_VIRTIO_NET_H
#define DEVICES_VIRTIO_NET_H

#include "devices/virtio/virtio.h"
#include "devices/virtio/virtio_net.h"
#include "net/netdev.h"
#include "net_filter.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define NET_QUEUE_SIZE	256
#define NET_SEGS_MAX	1023		/* less than readv(2) takes */

/* Queues of a pair. */
enum { NET_RX, NET_TX };

/* Feature bits, section 5.1.3. */
#define NET_F_CSUM		0
#define NET_F_GUEST_CSUM	1
#define NET_F_CTRL_GUEST_OFFLOADS 2
#define NET_F_MTU		3
#define NET_F_MAC		5
#define NET_F_GUEST_TSO4	7
#define NET_F_GUEST_TSO6	8
#define NET_F_GUEST_ECN		9
#define NET_F_HOST_TSO4		11
#define NET_F_HOST_TSO6		12
#define NET_F_HOST_ECN		13
#define NET_F_MRG_RXBUF		15
#define NET_F_STATUS		16
#define NET_F_CTRL_VQ		17
#define NET_F_CTRL_RX		18
#define NET_F_CTRL_VLAN		19
#define NET_F_CTRL_RX_EXTRA	20
#define NET_F_GUEST_ANNOUNCE	21
#define NET_F_MQ		22
#define NET_F_CTRL_MAC_ADDR	23
#define NET_F_GUEST_USO4	54
#define NET_F_GUEST_USO6	55
#define NET_F_HOST_USO		56
#define NET_F_SPEED_DUPLEX	63

/* Round what a packet carries: its header, and a frame's with a VLAN tag. */
#define NET_PACKET_MORE	(NETDEV_HEADER_LEN + 18)
#define NET_PACKET_MAX	(NET_PACKET_MORE + 65535)

/*
 * Where packets come in: buffers of the guest that were taken and have no packet
 * yet, in their order.
 */
struct net_rx {
	unsigned burst;				/* packets to be asked for at once */
	unsigned nr_small;			/* in a row, none longer than the wire carries */

	struct net_buffer {
		uint16_t head, nr_segs;
		uint32_t len;
	} buffers[NET_QUEUE_SIZE];
	unsigned first, nr;			/* of buffers */
	unsigned first_seg, nr_segs;		/* of segs */
	struct iovec segs[NET_SEGS_MAX + 1];	/* the buffers', then a spill */
	uint64_t room;				/* bytes of the buffers */

	/*
	 * Packets for which there was not enough room.  Of the first some may be in the
	 * buffers; all else is in its spill.
	 */
	unsigned first_waiting, nr_waiting;
	uint64_t in_buffers;			/* bytes that are there */
	uint64_t spilt[BURST_MAX];		/* lengths of whole packets */
	uint8_t spills[BURST_MAX][NET_PACKET_MAX];
};

struct net {
	struct virtio_dev dev;
	struct netdev *netdev;
	struct netdev_user user;
	struct virtio_net_card card;
	bool unplugged;			/* the cable, by virtio_net_set_link() */
	bool link_down;			/* what comes is lost, either way */
	bool announcing;		/* the driver is asked to say where it is */
	bool announce_due;		/* it is to be, since the link is back */
	struct loop_timer announce;
	unsigned offloads;		/* that the driver can have left to it, now */
	bool offloads_set;		/* by a command */
	struct net_filter filter;
	struct loop_watch breach;	/* while queues are lent: of vhost_breach_fd() */
	bool mergeable;			/* a packet may use several buffers */
	uint64_t rx_room;		/* wanted for a packet that is to come */
	unsigned nr_used;		/* of the pairs, by the driver */
	struct virtio_chain sending[BURST_MAX];
	struct net_rx rx[];		/* of each pair */
};

/* All that the driver knows of (section 5.1.2), two of each pair. */
unsigned net_nr_packet_queues(const struct net *net);

/* As far as it goes in this turn. */
void net_receive(struct net *net, unsigned pair);
void net_transmit(struct net *net, unsigned pair);

/* Do what is asked. */
void net_control(struct net *net, struct virtq *vq);

/* Feature bits; -EINVAL where it has not accepted all of them, or another errno. */
int net_set_offloads(struct net *net, uint64_t features);

/* -EINVAL where there are not so many pairs, or another errno. */
int net_use_pairs(struct net *net, unsigned nr);

/* virtio_class.save and load. */
void net_save(const struct virtio_dev *dev, uint32_t instance, struct state_writer *writer);
int net_load(struct virtio_dev *dev, uint32_t instance, struct state_reader *reader,
	     struct err *err);

/* In the configuration. */
void net_tell_mac(struct net *net, const uint8_t mac[6]);
const uint8_t *net_told_mac(const struct net *net);
void net_set_announcing(struct net *net, bool announcing);

/* Nothing is received any more: give back what is left of the buffers. */
void net_receive_stop(struct net *net, unsigned pair);

/*
 * Have the kernel serve the queues, where it can and the link is up; where it refuses
 * they are served here.  And take them back, if they were lent.  While it is attached.
 */
void net_vhost_init(struct net *net);
void net_vhost_start(struct net *net);
void net_vhost_stop(struct net *net);

#endif
