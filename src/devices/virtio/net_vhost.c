// SPDX-License-Identifier: Apache-2.0
/*
 * net_vhost.c - the queues for packets are lent to the kernel, and taken back.
 *
 * What the card promises holds either way, but for filters, which the kernel has not:
 * a card with vhost offers none.  While the link is down the queues are served here,
 * where packets are lost.
 */
#include "net.h"

#include "base/bits.h"
#include "base/log.h"
#include "memory/guest_mem.h"
#include "net/vhost.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

static int set_up(struct net *net, struct vhost *vhost)
{
	struct vhost_region regions[GUEST_MEM_REGIONS_MAX];
	const struct guest_mem_region *ram;
	int nr = guest_mem_regions(net->dev.mem, &ram);

	for (int i = 0; i < nr; i++)
		regions[i] = (struct vhost_region){ ram[i].at, ram[i].len, ram[i].host };
	return vhost_set_up(vhost, net->dev.features, regions, (unsigned)nr);
}

static void take_back(struct net *net, unsigned queue)
{
	uint16_t next = vhost_stop(netdev_vhost(net->netdev), queue);

	virtq_take_back(net->dev.queues[queue], next);
}

/* One that the driver has not set up is nobody's. */
static int lend(struct net *net, unsigned queue)
{
	struct virtq_loan loan;
	struct vhost_ring ring;
	int r;

	if (!virtq_lend(net->dev.queues[queue], &loan))
		return 0;
	ring = (struct vhost_ring){
		.size = loan.size,
		.next_avail = loan.next_avail,
		.desc = loan.desc,
		.avail = loan.avail,
		.used = loan.used,
		.kick_fd = loan.kick_fd,
		.call_fd = loan.call_fd,
	};
	r = vhost_start(netdev_vhost(net->netdev), queue, &ring,
			netdev_fd(net->netdev, queue / 2));
	if (r < 0)
		virtq_take_back(net->dev.queues[queue], loan.next_avail);
	return r;
}

static void take_all_back(struct net *net)
{
	for (unsigned i = 0; i < net_nr_packet_queues(net); i++)
		if (virtq_is_lent(net->dev.queues[i]))
			take_back(net, i);
}

static int lend_all(struct net *net, struct vhost *vhost)
{
	int r = set_up(net, vhost);

	for (unsigned i = 0; i < net_nr_packet_queues(net) && !r; i++)
		r = lend(net, i);
	if (!r)
		r = loop_watch_add(net->dev.loop, &net->breach, vhost_breach_fd(vhost), POLLIN);
	if (r < 0)
		take_all_back(net);
	return r;
}

void net_vhost_start(struct net *net)
{
	static struct log_limit limit;
	struct vhost *vhost = netdev_vhost(net->netdev);
	eventfd_t count;
	int r;

	/* The kernel does not tell us what it writes. */
	if (!vhost || net->link_down || net->dev.broken || guest_mem_logs(net->dev.mem))
		return;
	/* What was told of an earlier driver. */
	(void)!eventfd_read(vhost_breach_fd(vhost), &count);
	for (unsigned i = 0; i < net_nr_packet_queues(net) / 2; i++)
		net_receive_stop(net, i);
	r = lend_all(net, vhost);
	if (r < 0)
		log_limited(&limit, LOG_DEBUG, "vhost-net refuses the queues: %s",
			    strerror(-r));
	else if (netdev_lend(net->netdev) < 0)
		virtio_break(&net->dev, "nobody can tell whether the link is up");
}

void net_vhost_stop(struct net *net)
{
	loop_watch_remove(net->dev.loop, &net->breach);
	take_all_back(net);
	if (netdev_take_back(net->netdev) < 0)
		virtio_break(&net->dev, "nobody can wait for packets");
}

static void breached(struct loop_watch *watch, unsigned events)
{
	struct net *net = container_of(watch, struct net, breach);

	(void)events;
	net_vhost_stop(net);
	virtio_break(&net->dev, "vhost-net cannot use a queue");
}

void net_vhost_init(struct net *net)
{
	net->breach.ready = breached;
}
