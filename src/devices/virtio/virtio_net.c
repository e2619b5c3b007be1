// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_net.c - the network device's configuration and life.
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
#include "net.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Configuration, section 5.1.4. */
#define CONFIG_MAC	0
#define CONFIG_STATUS	6
#define CONFIG_LEN	8
#define STATUS_LINK_UP	1

static struct net *net_of(struct virtio_dev *dev)
{
	return container_of(dev, struct net, dev);
}

static void net_kick(struct virtio_dev *dev, struct virtq *vq)
{
	unsigned index = virtq_index(vq);

	if (index % 2 == NET_RX)
		net_receive(net_of(dev), index / 2);
	else
		net_transmit(net_of(dev), index / 2);
}

static void readable(struct netdev_user *user, unsigned pair)
{
	struct net *net = container_of(user, struct net, user);

	virtq_run(net->dev.queues[2 * pair + NET_RX]);
}

static void writable(struct netdev_user *user, unsigned pair)
{
	struct net *net = container_of(user, struct net, user);

	virtq_run(net->dev.queues[2 * pair + NET_TX]);
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
	{ NETDEV_CSUM, NET_F_GUEST_CSUM, NET_F_CSUM },
	{ NETDEV_TSO4, NET_F_GUEST_TSO4, NET_F_HOST_TSO4 },
	{ NETDEV_TSO6, NET_F_GUEST_TSO6, NET_F_HOST_TSO6 },
	{ NETDEV_ECN, NET_F_GUEST_ECN, NET_F_HOST_ECN },
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

/* Without offloads no packet is longer than the wire carries. */
static void choose_buffers(struct net *net, unsigned offloads_wanted)
{
	bool large = offloads_wanted & (NETDEV_TSO4 | NETDEV_TSO6);

	net->mergeable = virtio_has(&net->dev, NET_F_MRG_RXBUF);
	net->rx_room = large ? NET_PACKET_MAX : NET_SMALL_MAX;
}

static int net_start(struct virtio_dev *dev)
{
	struct net *net = net_of(dev);
	unsigned wanted = wanted_offloads(dev);
	int r = netdev_set_offloads(net->netdev, wanted);

	if (r < 0)
		return r;
	choose_buffers(net, wanted);
	r = netdev_attach(net->netdev, dev->loop, &net->user);
	if (!r)
		update_link(net);
	return r;
}

static void net_stop(struct virtio_dev *dev)
{
	struct net *net = net_of(dev);

	netdev_detach(net->netdev);
	for (unsigned i = 0; i < netdev_nr_pairs(net->netdev); i++)
		net_receive_stop(net, i);
}

static void net_free(struct virtio_dev *dev)
{
	free(net_of(dev));
}

static const struct virtio_class net_class = {
	.name		= "virtio-net",
	.id		= 1,
	.queue_size	= NET_QUEUE_SIZE,
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
	struct link link = { net_of(dev), up };

	loop_call(dev->loop, set_link, &link);
}

int virtio_net_new(struct virtio_dev **ret_dev, struct netdev *netdev,
		   const uint8_t mac[6], struct guest_mem *mem, struct loop *loop,
		   struct err *err)
{
	uint64_t features = BIT64(NET_F_MAC) | BIT64(NET_F_STATUS) | BIT64(NET_F_MRG_RXBUF) |
			    offload_features(netdev);
	unsigned nr_pairs = netdev_nr_pairs(netdev);
	/* Most of it is touched only when a guest is short of buffers. */
	struct net *net = calloc(1, sizeof(*net) + nr_pairs * sizeof(net->rx[0]));
	uint8_t config[CONFIG_LEN] = { 0 };
	int r;

	if (!net)
		return err_sys(err, -ENOMEM, "cannot make %s", net_class.name);
	r = virtio_init(&net->dev, &net_class, 2 * nr_pairs, features, mem, loop, err);
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
