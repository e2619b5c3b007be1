// SPDX-License-Identifier: Apache-2.0
/*
 * net_receive.c - packets go from the back end into the guest's buffers.
 *
 * How long a packet is shows only when it is read.  So there is always room for the
 * longest that may come: buffers that were taken and are not needed wait for the next
 * packet.  When the guest is short of buffers the packet is read all the same, with
 * its end into a spill, from where it follows once there are more.  That is the only
 * copy made here.
 *
 * Only the driver knows mergeable buffers (section 5.1.6.4); for one that does not, a
 * packet has just one buffer, and one that does not fit is lost.
 */
#include "net.h"

#include "base/bits.h"
#include "base/bytes.h"

#include <string.h>

#define HEADER_NUM_BUFFERS 10	/* of struct virtio_net_hdr, section 5.1.6 */

/* The buffers. */

static struct iov room_of(struct net_rx *rx)
{
	return (struct iov){ rx->segs + rx->first_seg, rx->nr_segs, rx->room };
}

static bool is_full(const struct net_rx *rx, const struct virtq *vq)
{
	return rx->nr == virtq_size(vq) || rx->nr_segs > NET_SEGS_MAX - VIRTIO_SEGS_MAX;
}

/* Behind those that are there, for which these may have to move to the front. */
static void add_buffer(struct net_rx *rx, const struct virtio_chain *chain)
{
	const struct iov *iov = &chain->writable;

	if (rx->first + rx->nr == NET_QUEUE_SIZE) {
		memmove(rx->buffers, rx->buffers + rx->first, rx->nr * sizeof(rx->buffers[0]));
		rx->first = 0;
	}
	if (rx->first_seg + rx->nr_segs + iov->nr > NET_SEGS_MAX) {
		memmove(rx->segs, rx->segs + rx->first_seg, rx->nr_segs * sizeof(rx->segs[0]));
		rx->first_seg = 0;
	}
	rx->buffers[rx->first + rx->nr++] = (struct net_buffer){
		chain->head, (uint16_t)iov->nr, (uint32_t)iov->len,
	};
	memcpy(rx->segs + rx->first_seg + rx->nr_segs, iov->segs, iov->nr * sizeof(*iov->segs));
	rx->nr_segs += iov->nr;
	rx->room += iov->len;
}

/* Take more, up to so much room; false: none is to be used in this turn. */
static bool take_buffers(struct net *net, struct net_rx *rx, struct virtq *vq, uint64_t room)
{
	struct virtio_chain chain;

	while (rx->room < room && !is_full(rx, vq)) {
		int r = virtq_pop(vq, &chain);

		if (r < 0)
			return false;
		/* The driver has no more, or the turn no time. */
		if (!r)
			return rx->nr && virtq_spend(vq);
		if (chain.writable.len < NETDEV_HEADER_LEN || chain.writable.len > UINT32_MAX) {
			virtio_break(&net->dev, "a receive buffer has no room for a header");
			return false;
		}
		add_buffer(rx, &chain);
	}
	return true;
}

static void use_buffer(struct net_rx *rx, struct virtq *vq, uint64_t written)
{
	const struct net_buffer *buffer = &rx->buffers[rx->first++];

	virtq_push(vq, buffer->head, (uint32_t)written);
	rx->first_seg += buffer->nr_segs;
	rx->nr_segs -= buffer->nr_segs;
	rx->room -= buffer->len;
	rx->nr--;
}

/* The packet is in the buffers whole. */
static void give(struct net_rx *rx, struct virtq *vq, uint64_t len)
{
	struct iov room = room_of(rx);
	uint64_t left = len;
	uint8_t bytes[2];
	uint16_t nr = 0;

	for (uint64_t have = 0; have < len; nr++)
		have += rx->buffers[rx->first + nr].len;
	put_le16(bytes, nr);
	iov_write(&room, HEADER_NUM_BUFFERS, bytes, sizeof(bytes));
	for (; nr; nr--) {
		uint64_t part = min_u64(left, rx->buffers[rx->first].len);

		use_buffer(rx, vq, part);
		left -= part;
	}
	virtq_count_packet(vq, len - NETDEV_HEADER_LEN);
}

/* Packets. */

/* The packet is lost, its buffers are not; false: enough for this turn. */
static bool drop(struct net_rx *rx, struct virtq *vq)
{
	rx->waiting = 0;
	virtq_count_drop(vq);
	return virtq_spend(vq);
}

/* false: nothing is to be done for now. */
static bool receive_waiting(struct net *net, struct net_rx *rx, struct virtq *vq)
{
	struct iov room;

	if (!take_buffers(net, rx, vq, rx->waiting))
		return false;
	room = room_of(rx);
	if (room.len < rx->waiting)
		return is_full(rx, vq) && drop(rx, vq);
	iov_write(&room, rx->in_buffers, rx->spill, rx->waiting - rx->in_buffers);
	give(rx, vq, rx->waiting);
	rx->waiting = 0;
	return true;
}

static bool is_wanted(const struct net *net, struct net_rx *rx, uint64_t len)
{
	struct iov packet = room_of(rx);
	uint8_t frame[NET_FILTER_FRAME_LEN] = { 0 };

	packet.nr++;
	packet.len += sizeof(rx->spill);
	iov_read(&packet, NETDEV_HEADER_LEN, frame,
		 min_u64(len - NETDEV_HEADER_LEN, sizeof(frame)));
	return net_filter_wants(&net->filter, frame);
}

static bool receive_next(struct net *net, struct net_rx *rx, struct virtq *vq, unsigned pair)
{
	ssize_t len;

	/* Without mergeable buffers, any one of them. */
	if (!take_buffers(net, rx, vq, net->mergeable ? net->rx_room : 1))
		return false;
	rx->segs[rx->first_seg + rx->nr_segs] = (struct iovec){ rx->spill, sizeof(rx->spill) };
	len = netdev_recv(net->netdev, pair, rx->segs + rx->first_seg, rx->nr_segs + 1);
	/* After an error there is nothing either, until the back end tells of more. */
	if (len < 0)
		return false;
	if (len < NETDEV_HEADER_LEN || net->link_down)
		return drop(rx, vq);
	if (!is_wanted(net, rx, (uint64_t)len))
		return virtq_spend(vq);
	if ((uint64_t)len <= rx->room) {
		give(rx, vq, (uint64_t)len);
		return true;
	}
	if (!net->mergeable)
		return drop(rx, vq);
	rx->waiting = (uint64_t)len;
	rx->in_buffers = rx->room;
	return true;
}

void net_receive(struct net *net, unsigned pair)
{
	struct virtq *vq = net->dev.queues[2 * pair + NET_RX];
	struct net_rx *rx = &net->rx[pair];

	while (rx->waiting ? receive_waiting(net, rx, vq) : receive_next(net, rx, vq, pair))
		;
}

void net_receive_stop(struct net *net, unsigned pair)
{
	struct virtq *vq = net->dev.queues[2 * pair + NET_RX];
	struct net_rx *rx = &net->rx[pair];

	if (rx->waiting)
		virtq_count_drop(vq);
	virtq_unpop(vq, rx->nr);
	rx->first = rx->nr = 0;
	rx->first_seg = rx->nr_segs = 0;
	rx->room = 0;
	rx->waiting = 0;
}
