// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_net.c - the network device's configuration and life.
 *
 * Both sides put the same header in front of a packet (section 5.1.6), so a
 * packet goes from guest memory to the back end or the other way as it is, offloads
 * included, and several go by one system call.
 *
 * A queue is served until its source is dry: the transmit queue until the
 * driver has no more or the back end is full, the receive queue until the back
 * end has no more or the driver has no buffers.  What ends the pause is a kick
 * in the one case and the back end's readiness in the other.
 *
 * All this is of queues that are served here: with vhost the kernel serves them.
 */
#include "net.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Configuration, section 5.1.4. */
#define CONFIG_MAC	0
#define CONFIG_STATUS	6
#define CONFIG_PAIRS	8
#define CONFIG_MTU	10
#define CONFIG_SPEED	12
#define CONFIG_DUPLEX	16
#define CONFIG_LEN	17

#define STATUS_LINK_UP	1
#define STATUS_ANNOUNCE	2
#define DUPLEX_FULL	1

#define MTU_DEFAULT	1500

/* By then Linux sends again: it announces before it looks whether the link is up. */
#define ANNOUNCE_AFTER_NS	(CLOCK_NS_PER_S / 10)

static struct net *net_of(struct virtio_dev *dev)
{
	return container_of(dev, struct net, dev);
}

static unsigned nr_pairs(const struct net *net)
{
	return netdev_nr_pairs(net->netdev);
}

unsigned net_nr_packet_queues(const struct net *net)
{
	return virtio_has(&net->dev, NET_F_MQ) ? 2 * nr_pairs(net) : 2;
}

static void net_kick(struct virtio_dev *dev, struct virtq *vq)
{
	struct net *net = net_of(dev);
	unsigned index = virtq_index(vq);

	/* The queue for commands is behind the pairs that the driver knows of. */
	if (index == net_nr_packet_queues(net))
		net_control(net, vq);
	else if (index / 2 >= net->nr_used)
		return;
	else if (index % 2 == NET_RX)
		net_receive(net, index / 2);
	else
		net_transmit(net, index / 2);
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

int net_use_pairs(struct net *net, unsigned nr)
{
	unsigned before = net->nr_used;
	int r;

	if (!nr || nr > nr_pairs(net))
		return -EINVAL;
	r = netdev_set_pairs(net->netdev, nr);
	if (r < 0)
		return r;
	net->nr_used = nr;
	/* What has been offered to them so far nobody has looked at. */
	for (unsigned i = 2 * before; i < 2 * nr; i++)
		virtq_run(net->dev.queues[i]);
	return 0;
}

/* Configuration that changes. */

void net_tell_mac(struct net *net, const uint8_t mac[6])
{
	virtio_set_config(&net->dev, CONFIG_MAC, mac, 6);
}

const uint8_t *net_told_mac(const struct net *net)
{
	return net->dev.config + CONFIG_MAC;
}

static uint16_t status_of(const struct net *net)
{
	return (net->link_down ? 0 : STATUS_LINK_UP) | (net->announcing ? STATUS_ANNOUNCE : 0);
}

static void tell_status(struct net *net)
{
	uint8_t status[2];

	put_le16(status, status_of(net));
	virtio_set_config(&net->dev, CONFIG_STATUS, status, sizeof(status));
}

void net_set_announcing(struct net *net, bool announcing)
{
	if (net->announcing == announcing)
		return;
	net->announcing = announcing;
	tell_status(net);
}

static void announce(void *ctx)
{
	struct net *net = ctx;

	if (virtio_has(&net->dev, NET_F_GUEST_ANNOUNCE) && !net->link_down)
		net_set_announcing(net, true);
}

static void announce_now(struct loop_timer *timer)
{
	struct net *net = container_of(timer, struct net, announce);

	net->announce_due = false;
	announce(net);
}

static void announce_soon(struct net *net)
{
	struct loop *loop = net->dev.loop;

	loop_timer_set(loop, &net->announce, loop_now(loop) + ANNOUNCE_AFTER_NS);
}

/*
 * A link takes a cable and something at its other end.  When it is back, that may be
 * another, which knows nobody here.
 */
static void update_link(struct net *net)
{
	bool down = net->unplugged || !netdev_link_up(net->netdev);

	if (down == net->link_down)
		return;
	net->link_down = down;
	net->announce_due = !down;
	tell_status(net);
	if (!net->dev.running)
		return;
	if (down) {
		net_vhost_stop(net);
	} else {
		net_vhost_start(net);
		announce_soon(net);
	}
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
	{ NETDEV_USO4, NET_F_GUEST_USO4, NET_F_HOST_USO },
	{ NETDEV_USO6, NET_F_GUEST_USO6, NET_F_HOST_USO },
};

/* Without offloads no packet is longer than the wire carries. */
static void choose_buffers(struct net *net)
{
	bool large = net->offloads & (NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_USO4 | NETDEV_USO6);
	uint16_t mtu = net->card.mtu > MTU_DEFAULT ? net->card.mtu : MTU_DEFAULT;

	net->mergeable = virtio_has(&net->dev, NET_F_MRG_RXBUF);
	net->rx_room = large ? NET_PACKET_MAX : NET_PACKET_MORE + mtu;
}

static int apply_offloads(struct net *net, unsigned wanted)
{
	int r = netdev_set_offloads(net->netdev, wanted);

	if (r < 0)
		return r;
	net->offloads = wanted;
	choose_buffers(net);
	return 0;
}

/* Those of the features that a guest has for offloads. */
static unsigned offloads_of(uint64_t features)
{
	unsigned wanted = 0;

	for (size_t i = 0; i < ARRAY_LEN(offloads); i++)
		if (features & BIT64(offloads[i].guest))
			wanted |= offloads[i].offload;
	return wanted;
}

int net_set_offloads(struct net *net, uint64_t features)
{
	uint64_t may = 0;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(offloads); i++)
		may |= net->dev.features & BIT64(offloads[i].guest);
	if (features & ~may)
		return -EINVAL;
	r = apply_offloads(net, offloads_of(features));
	if (!r)
		net->offloads_set = true;
	return r;
}

static uint64_t offload_features(const struct netdev *netdev)
{
	uint64_t features = 0;

	for (size_t i = 0; i < ARRAY_LEN(offloads); i++)
		if (netdev_offloads(netdev) & offloads[i].offload)
			features |= BIT64(offloads[i].guest) | BIT64(offloads[i].host);
	return features ? features | BIT64(NET_F_CTRL_GUEST_OFFLOADS) : 0;
}

static int net_start(struct virtio_dev *dev)
{
	struct net *net = net_of(dev);
	int r = apply_offloads(net, net->offloads_set ? net->offloads :
						       offloads_of(dev->features));

	if (!r)
		r = netdev_set_pairs(net->netdev, net->nr_used);
	if (r < 0)
		return r;
	net->filter.by_vlan = virtio_has(dev, NET_F_CTRL_VLAN);
	r = netdev_attach(net->netdev, dev->loop, &net->user);
	if (r < 0)
		return r;
	update_link(net);
	net_vhost_start(net);
	if (net->announce_due)
		announce_soon(net);
	return 0;
}

static void net_reset(struct virtio_dev *dev)
{
	struct net *net = net_of(dev);

	net_filter_reset(&net->filter, net->card.mac);
	net_tell_mac(net, net->card.mac);
	net->offloads_set = false;
	net->nr_used = 1;
	net->announce_due = false;
	net_set_announcing(net, false);
}

static void net_stop(struct virtio_dev *dev)
{
	struct net *net = net_of(dev);

	loop_timer_clear(dev->loop, &net->announce);
	net_vhost_stop(net);
	netdev_detach(net->netdev);
	for (unsigned i = 0; i < nr_pairs(net); i++)
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
	.polled		= true,
	.start		= net_start,
	.stop		= net_stop,
	.kick		= net_kick,
	.reset		= net_reset,
	.save		= net_save,
	.load		= net_load,
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

void virtio_net_announce(struct virtio_dev *dev)
{
	loop_call(dev->loop, announce, net_of(dev));
}

static uint64_t features_of(const struct netdev *netdev, const struct virtio_net_card *card)
{
	uint64_t features = BIT64(NET_F_MAC) | BIT64(NET_F_MRG_RXBUF) | BIT64(NET_F_STATUS) |
			    BIT64(NET_F_CTRL_VQ) | BIT64(NET_F_GUEST_ANNOUNCE) |
			    BIT64(NET_F_CTRL_MAC_ADDR);

	/* Filters, which the kernel does not have. */
	if (!netdev_vhost(netdev))
		features |= BIT64(NET_F_CTRL_RX) | BIT64(NET_F_CTRL_VLAN) |
			    BIT64(NET_F_CTRL_RX_EXTRA);
	if (netdev_nr_pairs(netdev) > 1)
		features |= BIT64(NET_F_MQ);
	if (card->mtu)
		features |= BIT64(NET_F_MTU);
	if (netdev_speed(netdev))
		features |= BIT64(NET_F_SPEED_DUPLEX);
	return features | offload_features(netdev);
}

static void put_config(struct net *net)
{
	uint8_t config[CONFIG_LEN] = { 0 };

	memcpy(config + CONFIG_MAC, net->card.mac, 6);
	put_le16(config + CONFIG_STATUS, status_of(net));
	put_le16(config + CONFIG_PAIRS, (uint16_t)nr_pairs(net));
	put_le16(config + CONFIG_MTU, net->card.mtu);
	put_le32(config + CONFIG_SPEED, netdev_speed(net->netdev));
	config[CONFIG_DUPLEX] = DUPLEX_FULL;
	virtio_set_config(&net->dev, 0, config, sizeof(config));
}

int virtio_net_new(struct virtio_dev **ret_dev, struct netdev *netdev,
		   const struct virtio_net_card *card, struct guest_mem *mem,
		   struct loop *loop, struct err *err)
{
	unsigned nr = netdev_nr_pairs(netdev);
	/* Most of it is touched only when a guest is short of buffers. */
	struct net *net = calloc(1, sizeof(*net) + nr * sizeof(net->rx[0]));
	int r;

	if (!net)
		return err_sys(err, -ENOMEM, "cannot make %s", net_class.name);
	r = virtio_init(&net->dev, &net_class, 2 * nr + 1, features_of(netdev, card), mem,
			loop, err);
	if (r < 0) {
		free(net);
		return r;
	}
	net->netdev = netdev;
	net->user = (struct netdev_user){ readable, writable, link_changed };
	net->card = *card;
	net->link_down = !netdev_link_up(netdev);
	net->announce.fired = announce_now;
	net->nr_used = 1;
	net_filter_reset(&net->filter, card->mac);
	net_vhost_init(net);
	put_config(net);
	*ret_dev = &net->dev;
	return 0;
}
