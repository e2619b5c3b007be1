// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_net.c - carries packets between a guest and a network back end.
 *
 * Both sides put the same header in front of a packet (section 5.1.6), so a
 * packet goes by one system call from guest memory to the back end or the
 * other way, offloads included.
 *
 * A queue is served until its source is dry: the transmit queue until the
 * driver has no more or the back end is full, the receive queue until the back
 * end has no more or the driver has no buffers.  What ends the pause is a kick
 * in the one case and the back end's readiness in the other.
 */
#include "devices/virtio/virtio_net.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "devices/virtio/virtio.h"
#include "net/netdev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_SIZE	256
enum { QUEUE_RX, QUEUE_TX, NR_QUEUES };

/* Feature bits, section 5.1.3. */
#define F_CSUM		0
#define F_GUEST_CSUM	1
#define F_MAC		5
#define F_GUEST_TSO4	7
#define F_GUEST_TSO6	8
#define F_GUEST_ECN	9
#define F_HOST_TSO4	11
#define F_HOST_TSO6	12
#define F_HOST_ECN	13
#define F_STATUS	16

/* Configuration, section 5.1.4. */
#define CONFIG_MAC	0
#define CONFIG_STATUS	6
#define CONFIG_LEN	8
#define STATUS_LINK_UP	1

#define HEADER_NUM_BUFFERS 10	/* of struct virtio_net_hdr, section 5.1.6 */

struct net {
	struct virtio_dev dev;
	struct netdev *netdev;
	struct netdev_user user;
	bool unplugged;			/* the cable, by virtio_net_set_link() */
	bool link_down;			/* what comes is lost, either way */
};

static void transmit(struct net *net, struct virtq *vq)
{
	struct virtio_chain chain;

	while (virtq_pop(vq, &chain) > 0) {
		ssize_t len;

		if (chain.readable.len < NETDEV_HEADER_LEN) {
			virtio_break(&net->dev, "a packet lacks its header");
			return;
		}
		len = net->link_down ? 0 : netdev_send(net->netdev, 0, chain.readable.segs,
						       chain.readable.nr);
		if (len == -EAGAIN) {
			virtq_unpop(vq);
			return;
		}
		/* What the back end refuses otherwise is lost, as on a wire. */
		if (len < NETDEV_HEADER_LEN)
			virtq_count_drop(vq);
		else
			virtq_count_packet(vq, (size_t)len - NETDEV_HEADER_LEN);
		virtq_push(vq, chain.head, 0);
	}
}

static void receive(struct net *net, struct virtq *vq)
{
	struct virtio_chain chain;
	uint8_t one[2];

	put_le16(one, 1);
	while (virtq_pop(vq, &chain) > 0) {
		ssize_t len;

		if (chain.writable.len < NETDEV_HEADER_LEN) {
			virtio_break(&net->dev, "a receive buffer has no room for a header");
			return;
		}
		len = netdev_recv(net->netdev, 0, chain.writable.segs, chain.writable.nr);
		if (len == -EAGAIN) {
			virtq_unpop(vq);
			return;
		}
		if (net->link_down || len < NETDEV_HEADER_LEN) {
			virtq_count_drop(vq);
			virtq_unpop(vq);	/* the packet is lost, the buffer is not */
			continue;
		}
		virtq_count_packet(vq, (size_t)len - NETDEV_HEADER_LEN);
		iov_write(&chain.writable, HEADER_NUM_BUFFERS, one, sizeof(one));
		virtq_push(vq, chain.head, (uint32_t)min_u64((uint64_t)len,
							     chain.writable.len));
	}
}

static void net_kick(struct virtio_dev *dev, struct virtq *vq)
{
	struct net *net = container_of(dev, struct net, dev);

	if (virtq_index(vq) == QUEUE_RX)
		receive(net, vq);
	else
		transmit(net, vq);
}

static void readable(struct netdev_user *user, unsigned pair)
{
	struct net *net = container_of(user, struct net, user);

	virtq_run(net->dev.queues[2 * pair + QUEUE_RX]);
}

static void writable(struct netdev_user *user, unsigned pair)
{
	struct net *net = container_of(user, struct net, user);

	virtq_run(net->dev.queues[2 * pair + QUEUE_TX]);
}

/* The link, which takes a cable and something at the other end. */

static void update_link(struct net *net)
{
	bool down = net->unplugged || !netdev_link_up(net->netdev);
	uint8_t status[2];

	if (down == net->link_down)
		return;
	net->link_down = down;
	put_le16(status, down ? 0 : STATUS_LINK_UP);
	virtio_set_config(&net->dev, CONFIG_STATUS, status, sizeof(status));
}

static void link_changed(struct netdev_user *user)
{
	update_link(container_of(user, struct net, user));
}

/* Offloads, as the feature bits of either way. */
static const struct {
	unsigned offload;
	uint8_t guest, host;		/* who can receive such packets */
} offloads[] = {
	{ NETDEV_CSUM, F_GUEST_CSUM, F_CSUM },
	{ NETDEV_TSO4, F_GUEST_TSO4, F_HOST_TSO4 },
	{ NETDEV_TSO6, F_GUEST_TSO6, F_HOST_TSO6 },
	{ NETDEV_ECN, F_GUEST_ECN, F_HOST_ECN },
};

static unsigned wanted_offloads(const struct virtio_dev *dev)
{
	unsigned wanted = 0;

	for (size_t i = 0; i < ARRAY_LEN(offloads); i++)
		if (virtio_has(dev, offloads[i].guest))
			wanted |= offloads[i].offload;
	return wanted;
}

static uint64_t offload_features(const struct netdev *netdev)
{
	uint64_t features = 0;

	for (size_t i = 0; i < ARRAY_LEN(offloads); i++)
		if (netdev_offloads(netdev) & offloads[i].offload)
			features |= BIT64(offloads[i].guest) | BIT64(offloads[i].host);
	return features;
}

static int net_start(struct virtio_dev *dev)
{
	struct net *net = container_of(dev, struct net, dev);
	int r = netdev_set_offloads(net->netdev, wanted_offloads(dev));

	if (r < 0)
		return r;
	r = netdev_attach(net->netdev, dev->loop, &net->user);
	if (!r)
		update_link(net);
	return r;
}

static void net_stop(struct virtio_dev *dev)
{
	netdev_detach(container_of(dev, struct net, dev)->netdev);
}

static void net_free(struct virtio_dev *dev)
{
	free(container_of(dev, struct net, dev));
}

static const struct virtio_class net_class = {
	.name		= "virtio-net",
	.id		= 1,
	.queue_size	= QUEUE_SIZE,
	.config_size	= CONFIG_LEN,
	.start		= net_start,
	.stop		= net_stop,
	.kick		= net_kick,
	.free		= net_free,
};

struct link {
	struct net *net;
	bool up;
};

static void set_link(void *ctx)
{
	struct link *link = ctx;

	link->net->unplugged = !link->up;
	update_link(link->net);
}

void virtio_net_set_link(struct virtio_dev *dev, bool up)
{
	struct link link = { container_of(dev, struct net, dev), up };

	loop_call(dev->loop, set_link, &link);
}

int virtio_net_new(struct virtio_dev **ret_dev, struct netdev *netdev,
		   const uint8_t mac[6], struct guest_mem *mem, struct loop *loop,
		   struct err *err)
{
	uint64_t features = BIT64(F_MAC) | BIT64(F_STATUS) | offload_features(netdev);
	struct net *net = calloc(1, sizeof(*net));
	uint8_t config[CONFIG_LEN] = { 0 };
	int r;

	if (!net)
		return err_sys(err, -ENOMEM, "cannot make %s", net_class.name);
	r = virtio_init(&net->dev, &net_class, NR_QUEUES, features, mem, loop, err);
	if (r < 0) {
		free(net);
		return r;
	}
	net->netdev = netdev;
	net->user = (struct netdev_user){ readable, writable, link_changed };
	net->link_down = !netdev_link_up(netdev);
	memcpy(config + CONFIG_MAC, mac, 6);
	put_le16(config + CONFIG_STATUS, net->link_down ? 0 : STATUS_LINK_UP);
	virtio_set_config(&net->dev, 0, config, sizeof(config));
	*ret_dev = &net->dev;
	return 0;
}
