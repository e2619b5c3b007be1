// SPDX-License-Identifier: Apache-2.0
/*
 * net_control.c - what a driver asks of its card, section 5.1.6.5.
 *
 * A command is a class, a number, and data; one byte is the answer.
 */
#include "net.h"

#include "base/bits.h"
#include "base/bytes.h"

#include <errno.h>
#include <string.h>

#define COMMAND_LEN	2
#define ACK_OK		0
#define ACK_ERR		1

enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST };
enum { MAC_TABLE_SET, MAC_ADDR_SET };
enum { VLAN_ADD, VLAN_DEL };
enum { ANNOUNCE_ACK };
enum { MQ_VQ_PAIRS_SET };
enum { GUEST_OFFLOADS_SET };

static int set_rx_mode(struct net *net, uint8_t command, struct iov *data)
{
	struct net_filter *filter = &net->filter;
	bool *const modes[] = {
		[RX_PROMISC] = &filter->promisc,
		[RX_ALLMULTI] = &filter->allmulti,
		[RX_ALLUNI] = &filter->alluni,
		[RX_NOMULTI] = &filter->nomulti,
		[RX_NOUNI] = &filter->nouni,
		[RX_NOBCAST] = &filter->nobcast,
	};
	uint8_t on;

	if (command >= ARRAY_LEN(modes) || iov_read(data, 0, &on, 1))
		return -EINVAL;
	if (command > RX_ALLMULTI && !virtio_has(&net->dev, NET_F_CTRL_RX_EXTRA))
		return -EINVAL;
	*modes[command] = on;
	return 0;
}

/* A number of addresses and then these; data goes on behind them. */
static int read_table(struct net_filter_table *table, struct iov *data)
{
	uint8_t bytes[4];
	uint32_t nr;

	if (iov_read(data, 0, bytes, sizeof(bytes)))
		return -EINVAL;
	iov_drop_front(data, sizeof(bytes));
	nr = get_le32(bytes);
	if (nr > data->len / 6)
		return -EINVAL;
	*table = (struct net_filter_table){ .all = nr > NET_FILTER_MACS_MAX };
	if (!table->all) {
		table->nr = nr;
		iov_read(data, 0, table->macs, nr * sizeof(table->macs[0]));
	}
	iov_drop_front(data, nr * UINT64_C(6));
	return 0;
}

static int set_table(struct net *net, struct iov *data)
{
	struct net_filter_table unicast, multicast;
	int r = read_table(&unicast, data);

	if (!r)
		r = read_table(&multicast, data);
	if (r < 0)
		return r;
	net->filter.unicast = unicast;
	net->filter.multicast = multicast;
	return 0;
}

static int set_mac(struct net *net, uint8_t command, struct iov *data)
{
	uint8_t mac[6];

	if (command == MAC_TABLE_SET && virtio_has(&net->dev, NET_F_CTRL_RX))
		return set_table(net, data);
	if (command != MAC_ADDR_SET || !virtio_has(&net->dev, NET_F_CTRL_MAC_ADDR) ||
	    iov_read(data, 0, mac, sizeof(mac)))
		return -EINVAL;
	memcpy(net->filter.mac, mac, sizeof(mac));
	net_tell_mac(net, mac);
	return 0;
}

static int set_vlan(struct net *net, uint8_t command, struct iov *data)
{
	uint8_t bytes[2];
	uint16_t id;

	if (command > VLAN_DEL || iov_read(data, 0, bytes, sizeof(bytes)))
		return -EINVAL;
	id = get_le16(bytes);
	if (id >= NET_FILTER_VLANS)
		return -EINVAL;
	net_filter_set_vlan(&net->filter, id, command == VLAN_ADD);
	return 0;
}

static int announced(struct net *net, uint8_t command, struct iov *data)
{
	(void)data;
	if (command != ANNOUNCE_ACK)
		return -EINVAL;
	net_set_announcing(net, false);
	return 0;
}

static int set_pairs(struct net *net, uint8_t command, struct iov *data)
{
	uint8_t bytes[2];

	if (command != MQ_VQ_PAIRS_SET || iov_read(data, 0, bytes, sizeof(bytes)))
		return -EINVAL;
	return net_use_pairs(net, get_le16(bytes));
}

static int set_offloads(struct net *net, uint8_t command, struct iov *data)
{
	uint8_t bytes[8];

	if (command != GUEST_OFFLOADS_SET || iov_read(data, 0, bytes, sizeof(bytes)))
		return -EINVAL;
	return net_set_offloads(net, get_le64(bytes));
}

/* By class, with the feature without which there is none. */
static const struct {
	int (*run)(struct net *net, uint8_t command, struct iov *data);
	unsigned feature;
} classes[] = {
	{ set_rx_mode, NET_F_CTRL_RX },
	{ set_mac, NET_F_CTRL_VQ },
	{ set_vlan, NET_F_CTRL_VLAN },
	{ announced, NET_F_GUEST_ANNOUNCE },
	{ set_pairs, NET_F_MQ },
	{ set_offloads, NET_F_CTRL_GUEST_OFFLOADS },
};

static int run(struct net *net, struct iov *request)
{
	uint8_t command[COMMAND_LEN], class;

	iov_read(request, 0, command, sizeof(command));
	iov_drop_front(request, sizeof(command));
	class = command[0];
	if (class >= ARRAY_LEN(classes) || !virtio_has(&net->dev, classes[class].feature))
		return -EOPNOTSUPP;
	return classes[class].run(net, command[1], request);
}

void net_control(struct net *net, struct virtq *vq)
{
	struct virtio_chain chain;

	while (virtq_pop(vq, &chain) > 0) {
		uint8_t ack;

		if (chain.readable.len < COMMAND_LEN || !chain.writable.len) {
			virtio_break(&net->dev, "a command is cut short");
			return;
		}
		ack = run(net, &chain.readable) < 0 ? ACK_ERR : ACK_OK;
		iov_write(&chain.writable, 0, &ack, 1);
		virtq_push(vq, chain.head, 1);
	}
}
