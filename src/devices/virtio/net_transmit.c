// SPDX-License-Identifier: Apache-2.0
#include "net.h"

#include <errno.h>

/* -EPROTO: the device is broken, but for what was taken before. */
static int take(struct net *net, struct virtq *vq, unsigned *ret_nr)
{
	for (*ret_nr = 0; *ret_nr < BURST_MAX; (*ret_nr)++) {
		struct virtio_chain *chain = &net->sending[*ret_nr];
		int r = virtq_pop(vq, chain);

		if (r <= 0)
			return r;
		if (chain->readable.len < NETDEV_HEADER_LEN) {
			virtio_break(&net->dev, "a packet lacks its header");
			return -EPROTO;
		}
	}
	return 0;
}

/* What the back end refuses is lost, as on a wire. */
static void give_back(struct virtq *vq, const struct virtio_chain *chain, ssize_t len)
{
	if (len < NETDEV_HEADER_LEN)
		virtq_count_drop(vq);
	else
		virtq_count_packet(vq, (size_t)len - NETDEV_HEADER_LEN);
	virtq_push(vq, chain->head, 0);
	virtq_flush_batch(vq);
}

/* How many of them went; the next would have to wait. */
static unsigned send(struct net *net, struct virtq *vq, unsigned pair, unsigned nr)
{
	struct burst_packet packets[BURST_MAX];
	unsigned nr_tried = 0, i = 0;

	for (unsigned k = 0; k < nr; k++)
		packets[k] = (struct burst_packet){ net->sending[k].readable.segs,
						    net->sending[k].readable.nr, 0 };
	while (nr_tried < nr) {
		if (net->link_down)
			nr_tried = nr;
		else
			nr_tried += netdev_send_burst(net->netdev, pair, packets + i, nr - i);
		for (; i < nr_tried; i++) {
			if (packets[i].len == -EAGAIN)
				return i;
			give_back(vq, &net->sending[i], packets[i].len);
		}
	}
	return nr;
}

void net_transmit(struct net *net, unsigned pair)
{
	struct virtq *vq = net->dev.queues[2 * pair + NET_TX];
	unsigned nr, nr_sent;
	int r;

	do {
		r = take(net, vq, &nr);
		nr_sent = send(net, vq, pair, nr);
		virtq_unpop(vq, nr - nr_sent);
	} while (!r && nr && nr_sent == nr);
}
