// SPDX-License-Identifier: Apache-2.0
#include "net.h"

#include <errno.h>

void net_transmit(struct net *net, unsigned pair)
{
	struct virtq *vq = net->dev.queues[2 * pair + NET_TX];
	struct virtio_chain chain;

	while (virtq_pop(vq, &chain) > 0) {
		ssize_t len;

		if (chain.readable.len < NETDEV_HEADER_LEN) {
			virtio_break(&net->dev, "a packet lacks its header");
			return;
		}
		len = net->link_down ? 0 : netdev_send(net->netdev, pair, chain.readable.segs,
						       chain.readable.nr);
		if (len == -EAGAIN) {
			virtq_unpop(vq, 1);
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
