// SPDX-License-Identifier: Apache-2.0
/*
 * net_receive.c - packets go from the back end into the guest's buffers.
 *
 * How long a packet is shows only when it is read.  So there is always room for the
 * longest that may come: buffers that were taken and are not needed wait for the next
 * packet.  When the guest is short of buffers the packet is read all the same, with
 * its end into a spill, from where it follows once there are more.
 *
 * After many packets of which none was longer than the wire carries several are read at
 * once, into a buffer each, with a spill behind each for one that is longer after all.
 * Nothing else is copied here than what went into a spill.
 *
 * Only the driver knows mergeable buffers (section 5.1.6.4); for one that does not, a
 * packet has just one buffer, and one that does not fit is lost.
 */
#include "net.h"

#include "base/bits.h"
#include "base/bytes.h"

#include <string.h>

#define HEADER_NUM_BUFFERS 10	/* of struct virtio_net_hdr, section 5.1.6 */

#define WIRE_ROOM	(NET_PACKET_MORE + 1500)
#define BURST_MIN	2		/* one that does not come says that there is no more */
#define BURST_SEGS_MAX	4		/* of a buffer */
#define SMALL_IN_A_ROW	64		/* after which none is expected to be long */

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
	virtq_flush_batch(vq);
	virtq_count_packet(vq, len - NETDEV_HEADER_LEN);
}

/* Packets. */

/* The packet is lost, its buffers are not; false: enough for this turn. */
static bool drop(struct virtq *vq)
{
	virtq_count_drop(vq);
	return virtq_spend(vq);
}

/* false: nothing is to be done for now. */
static bool receive_waiting(struct net *net, struct net_rx *rx, struct virtq *vq)
{
	unsigned i = rx->first_waiting;
	uint64_t len = rx->spilt[i];
	bool go_on = true;
	struct iov room;

	if (!take_buffers(net, rx, vq, len))
		return false;
	room = room_of(rx);
	if (room.len >= len) {
		iov_write(&room, rx->in_buffers, rx->spills[i], len - rx->in_buffers);
		give(rx, vq, len);
	} else {
		if (!is_full(rx, vq))
			return false;
		go_on = drop(vq);
	}
	rx->in_buffers = 0;
	rx->first_waiting++;
	rx->nr_waiting--;
	return go_on;
}

static bool is_wanted(const struct net *net, const struct iovec *segs, unsigned nr, uint64_t len)
{
	struct iov packet = { (struct iovec *)(uintptr_t)segs, nr, len };
	uint8_t frame[NET_FILTER_FRAME_LEN] = { 0 };

	iov_read(&packet, NETDEV_HEADER_LEN, frame,
		 min_u64(len - NETDEV_HEADER_LEN, sizeof(frame)));
	return net_filter_wants(&net->filter, frame);
}

/* Is the packet one for the guest?  If not, *go_on: has the turn time for more? */
static bool is_taken(const struct net *net, struct net_rx *rx, struct virtq *vq,
		     const struct burst_packet *packet, bool *go_on)
{
	uint64_t len = (uint64_t)packet->len;

	if (packet->len < NETDEV_HEADER_LEN || net->link_down) {
		*go_on = drop(vq);
		return false;
	}
	rx->nr_small = len > WIRE_ROOM ? 0 : rx->nr_small + 1;
	if (is_wanted(net, packet->segs, packet->nr, len))
		return true;
	*go_on = virtq_spend(vq);
	return false;
}

static bool receive_one(struct net *net, struct net_rx *rx, struct virtq *vq, unsigned pair)
{
	struct burst_packet packet = { 0 };
	bool go_on = true;

	/* Without mergeable buffers, any one of them. */
	if (!take_buffers(net, rx, vq, net->mergeable ? net->rx_room : 1))
		return false;
	packet.segs = rx->segs + rx->first_seg;
	packet.nr = rx->nr_segs + 1;
	rx->segs[rx->first_seg + rx->nr_segs] = (struct iovec){ rx->spills[0],
								sizeof(rx->spills[0]) };
	packet.len = netdev_recv(net->netdev, pair, packet.segs, packet.nr);
	/* After an error there is nothing either, until the back end tells of more. */
	if (packet.len < 0)
		return false;
	if (!is_taken(net, rx, vq, &packet, &go_on))
		return go_on;
	if ((uint64_t)packet.len <= rx->room) {
		give(rx, vq, (uint64_t)packet.len);
		return true;
	}
	if (!net->mergeable)
		return drop(vq);
	rx->first_waiting = 0;
	rx->nr_waiting = 1;
	rx->spilt[0] = (uint64_t)packet.len;
	rx->in_buffers = rx->room;
	return true;
}

/* Several at once, of such as the wire carries. */

/* For each a buffer, and what does not fit into it. */
struct burst_room {
	struct burst_packet packets[BURST_MAX];
	struct iovec segs[BURST_MAX][BURST_SEGS_MAX + 1];
};

/* For how many packets there are buffers. */
static unsigned make_room(struct net_rx *rx, struct burst_room *room)
{
	const struct net_buffer *buffer = &rx->buffers[rx->first];
	const struct iovec *segs = rx->segs + rx->first_seg;
	unsigned i;

	for (i = 0; i < rx->burst && i < rx->nr; i++, buffer++) {
		if (buffer->len < WIRE_ROOM || buffer->nr_segs > BURST_SEGS_MAX)
			break;
		memcpy(room->segs[i], segs, buffer->nr_segs * sizeof(*segs));
		room->segs[i][buffer->nr_segs] = (struct iovec){ rx->spills[i],
								 sizeof(rx->spills[i]) };
		room->packets[i] = (struct burst_packet){ room->segs[i], buffer->nr_segs + 1u, 0 };
		segs += buffer->nr_segs;
	}
	return i;
}

/*
 * The packet i of a burst becomes the last of those that wait; it begins in its buffer
 * and goes on in its spill, and no spill before that is needed any more.
 */
static void spill(struct net_rx *rx, const struct burst_packet *packet, unsigned i)
{
	uint64_t len = min_u64((uint64_t)packet->len, NET_PACKET_MAX), head;
	struct iov iov = { (struct iovec *)(uintptr_t)packet->segs, packet->nr - 1, 0 };
	uint8_t *to = rx->spills[rx->nr_waiting];

	for (unsigned k = 0; k < iov.nr; k++)
		iov.len += iov.segs[k].iov_len;
	head = min_u64(iov.len, len);
	memmove(to + head, rx->spills[i], len - head);
	iov_read(&iov, 0, to, head);
	rx->spilt[rx->nr_waiting++] = len;
}

/*
 * Buffers are used in their order, so behind a packet that does not use its own the
 * others move up, by way of their spills; so does one that is too long, to use several.
 */
static bool receive_burst(struct net *net, struct net_rx *rx, struct virtq *vq, unsigned pair,
			  struct burst_room *room, unsigned nr)
{
	unsigned nr_tried = netdev_recv_burst(net->netdev, pair, room->packets, nr), nr_given = 0;
	bool go_on = nr_tried == nr;

	rx->burst = go_on ? (unsigned)min_u64(2 * nr, BURST_MAX) : BURST_MIN;
	rx->first_waiting = 0;
	for (unsigned i = 0; i < nr_tried; i++) {
		const struct burst_packet *packet = &room->packets[i];
		bool more = true;

		if (packet->len < 0)
			continue;
		if (!is_taken(net, rx, vq, packet, &more)) {
			go_on &= more;
		} else if (i == nr_given && (uint64_t)packet->len <= rx->buffers[rx->first].len) {
			give(rx, vq, (uint64_t)packet->len);
			nr_given++;
		} else {
			spill(rx, packet, i);
		}
	}
	return go_on || rx->nr_waiting;
}

static bool receive_next(struct net *net, struct net_rx *rx, struct virtq *vq, unsigned pair)
{
	struct burst_room room;
	unsigned nr;

	if (rx->nr_waiting)
		return receive_waiting(net, rx, vq);
	if (!net->mergeable || rx->nr_small < SMALL_IN_A_ROW || !netdev_recvs_bursts(net->netdev))
		return receive_one(net, rx, vq, pair);
	if (rx->burst < BURST_MIN)
		rx->burst = BURST_MIN;
	if (!take_buffers(net, rx, vq, rx->burst * WIRE_ROOM))
		return false;
	nr = make_room(rx, &room);
	return nr < BURST_MIN ? receive_one(net, rx, vq, pair) :
				receive_burst(net, rx, vq, pair, &room, nr);
}

void net_receive(struct net *net, unsigned pair)
{
	struct virtq *vq = net->dev.queues[2 * pair + NET_RX];

	while (receive_next(net, &net->rx[pair], vq, pair))
		;
}

void net_receive_stop(struct net *net, unsigned pair)
{
	struct virtq *vq = net->dev.queues[2 * pair + NET_RX];
	struct net_rx *rx = &net->rx[pair];

	for (; rx->nr_waiting; rx->nr_waiting--)
		virtq_count_drop(vq);
	virtq_unpop(vq, rx->nr);
	rx->first = rx->nr = 0;
	rx->first_seg = rx->nr_segs = 0;
	rx->room = 0;
	rx->in_buffers = 0;
}
