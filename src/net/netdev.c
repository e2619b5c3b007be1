// SPDX-License-Identifier: Apache-2.0
/*
 * netdev.c - what all back ends have in common: limits, and a record of what passes.
 */
#include "back_end.h"

#include "base/bits.h"
#include "base/err.h"
#include "net/pcap.h"
#include "net/vhost.h"

#include <errno.h>
#include <stddef.h>

struct netdev *netdev_close(struct netdev *netdev)
{
	if (netdev) {
		pcap_close(netdev->dump);
		vhost_close(netdev->vhost);
		netdev->ops->close(netdev);
	}
	return NULL;
}

unsigned netdev_nr_pairs(const struct netdev *netdev)
{
	return netdev->nr_pairs;
}

unsigned netdev_offloads(const struct netdev *netdev)
{
	return netdev->offloads;
}

uint32_t netdev_speed(const struct netdev *netdev)
{
	return netdev->speed;
}

const uint8_t *netdev_mac(const struct netdev *netdev)
{
	return netdev->has_mac ? netdev->mac : NULL;
}

void netdev_set_dump(struct netdev *netdev, struct pcap *dump)
{
	netdev->dump = dump;
}

int netdev_begin_dump(struct netdev *netdev, struct err *err)
{
	return netdev->dump ? pcap_begin(netdev->dump, err) : 0;
}

void netdev_set_vhost(struct netdev *netdev, struct vhost *vhost)
{
	netdev->vhost = vhost;
}

struct vhost *netdev_vhost(const struct netdev *netdev)
{
	return netdev->vhost;
}

int netdev_fd(const struct netdev *netdev, unsigned pair)
{
	return netdev->ops->fd(netdev, pair);
}

/* Those that have waited for a limit. */

static void wake(struct netdev *netdev, struct gate *gate,
		 void (*tell)(struct netdev_user *user, unsigned pair))
{
	uint32_t waiting = gate_clear(gate, netdev->loop);

	for (unsigned i = 0; i < netdev->nr_pairs; i++)
		if (waiting & BIT32(i))
			tell(netdev->user, i);
}

static void may_receive(struct loop_timer *timer)
{
	struct netdev *netdev = container_of(timer, struct netdev, in.timer);

	wake(netdev, &netdev->in, netdev->user->readable);
}

static void may_send(struct loop_timer *timer)
{
	struct netdev *netdev = container_of(timer, struct netdev, out.timer);

	wake(netdev, &netdev->out, netdev->user->writable);
}

static int check_limit(const char *name, const struct bucket_limit *limit, struct err *err)
{
	switch (bucket_judge(limit)) {
	case BUCKET_TOO_MUCH:
		return err_set(err, -EINVAL, "%s: more than %llu", name,
			       (unsigned long long)BUCKET_MAX);
	case BUCKET_LENGTH_WITHOUT_MAX:
		return err_set(err, -EINVAL, "%s: a length needs a max", name);
	case BUCKET_LENGTH_TOO_MUCH:
		return err_set(err, -EINVAL, "%s: the length is too long for this max", name);
	case BUCKET_MAX_WITHOUT_AVG:
		return err_set(err, -EINVAL, "%s: a max needs a limit", name);
	case BUCKET_MAX_BELOW_AVG:
		return err_set(err, -EINVAL, "%s: the max is below the limit", name);
	case BUCKET_SOUND:
		return 0;
	}
	return 0;
}

int netdev_check_limits(const struct netdev_limits *limits, struct err *err)
{
	int r = check_limit("bps-rx", &limits->rx_bytes, err);

	if (!r)
		r = check_limit("bps-tx", &limits->tx_bytes, err);
	if (!r)
		r = check_limit("pps-rx", &limits->rx_packets, err);
	if (!r)
		r = check_limit("pps-tx", &limits->tx_packets, err);
	return r;
}

bool netdev_any_limit(const struct netdev_limits *limits)
{
	return limits->rx_bytes.avg || limits->tx_bytes.avg || limits->rx_packets.avg ||
	       limits->tx_packets.avg;
}

void netdev_set_limits(struct netdev *netdev, const struct netdev_limits *limits)
{
	gate_set(&netdev->in, &limits->rx_bytes, &limits->rx_packets);
	gate_set(&netdev->out, &limits->tx_bytes, &limits->tx_packets);
	if (!netdev->user)
		return;
	wake(netdev, &netdev->in, netdev->user->readable);
	wake(netdev, &netdev->out, netdev->user->writable);
}

/* While attached. */

int netdev_attach(struct netdev *netdev, struct loop *loop, struct netdev_user *user)
{
	int r;

	netdev->loop = loop;
	netdev->user = user;
	netdev->in.timer.fired = may_receive;
	netdev->out.timer.fired = may_send;
	r = netdev->ops->attach(netdev);
	if (r < 0)
		netdev->user = NULL;
	return r;
}

void netdev_detach(struct netdev *netdev)
{
	netdev->ops->detach(netdev);
	gate_clear(&netdev->in, netdev->loop);
	gate_clear(&netdev->out, netdev->loop);
	if (netdev->dump)
		pcap_flush(netdev->dump, netdev->loop);
	netdev->user = NULL;
}

static int attach_again(struct netdev *netdev, bool lent)
{
	netdev->ops->detach(netdev);
	netdev->lent = lent;
	return netdev->ops->attach(netdev);
}

int netdev_lend(struct netdev *netdev)
{
	return attach_again(netdev, true);
}

int netdev_take_back(struct netdev *netdev)
{
	return netdev->lent ? attach_again(netdev, false) : 0;
}

int netdev_set_pairs(struct netdev *netdev, unsigned nr)
{
	return netdev->ops->set_pairs(netdev, nr);
}

int netdev_set_offloads(struct netdev *netdev, unsigned offloads)
{
	return netdev->ops->set_offloads(netdev, offloads);
}

bool netdev_link_up(const struct netdev *netdev)
{
	return !netdev->link_down;
}

void back_end_set_link(struct netdev *netdev, bool up)
{
	if (netdev->link_down == !up)
		return;
	netdev->link_down = !up;
	if (netdev->user)
		netdev->user->link_changed(netdev->user);
}

static void passed(struct netdev *netdev, struct gate *gate, const struct iovec *segs,
		   ssize_t len)
{
	uint64_t frame_len = (uint64_t)len - NETDEV_HEADER_LEN;

	if (len <= NETDEV_HEADER_LEN)
		return;
	gate_count(gate, frame_len);
	if (netdev->dump)
		pcap_add(netdev->dump, netdev->loop, segs, NETDEV_HEADER_LEN, frame_len);
}

ssize_t netdev_send(struct netdev *netdev, unsigned pair, const struct iovec *segs, unsigned nr)
{
	ssize_t len;

	if (!gate_open(&netdev->out, netdev->loop, pair))
		return -EAGAIN;
	len = netdev->ops->send(netdev, pair, segs, nr);
	passed(netdev, &netdev->out, segs, len);
	return len;
}

static unsigned send_singly(struct netdev *netdev, unsigned pair, struct burst_packet *packets,
			    unsigned nr)
{
	ssize_t len = 0;
	unsigned i;

	for (i = 0; i < nr && len >= 0; i++)
		packets[i].len = len = netdev_send(netdev, pair, packets[i].segs, packets[i].nr);
	return i;
}

unsigned netdev_send_burst(struct netdev *netdev, unsigned pair, struct burst_packet *packets,
			   unsigned nr)
{
	if (!netdev->ops->send_burst || gate_is_limited(&netdev->out))
		return send_singly(netdev, pair, packets, nr);
	nr = netdev->ops->send_burst(netdev, pair, packets, nr);
	for (unsigned i = 0; i < nr; i++)
		passed(netdev, &netdev->out, packets[i].segs, packets[i].len);
	return nr;
}

ssize_t netdev_recv(struct netdev *netdev, unsigned pair, const struct iovec *segs, unsigned nr)
{
	ssize_t len;

	if (!gate_open(&netdev->in, netdev->loop, pair))
		return -EAGAIN;
	len = netdev->ops->recv(netdev, pair, segs, nr);
	passed(netdev, &netdev->in, segs, len);
	return len;
}

bool netdev_recvs_bursts(const struct netdev *netdev)
{
	return netdev->ops->recv_burst && !gate_is_limited(&netdev->in);
}

unsigned netdev_recv_burst(struct netdev *netdev, unsigned pair, struct burst_packet *packets,
			   unsigned nr)
{
	nr = netdev->ops->recv_burst(netdev, pair, packets, nr);
	for (unsigned i = 0; i < nr; i++)
		passed(netdev, &netdev->in, packets[i].segs, packets[i].len);
	return nr;
}
