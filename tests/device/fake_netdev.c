// SPDX-License-Identifier: Apache-2.0
#include "fake_netdev.h"

#include "base/bits.h"
#include "loop/loop.h"
#include "net/back_end.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_pair {
	struct fake *fake;
	unsigned pair;
	int fd;
	struct loop_watch watch;
};

struct fake {
	struct netdev netdev;
	int offloads_result, pairs_result;
	unsigned offloads, pairs;
	struct burst *burst;		/* of the thread that it is attached on */
	atomic_uint late;		/* so many of the next burst find nothing */
	struct fake_pair queues[NETDEV_PAIRS_MAX];
};

static struct fake *fake_of(const struct netdev *netdev)
{
	return container_of(netdev, struct fake, netdev);
}

static void ready(struct loop_watch *watch, unsigned events)
{
	struct fake_pair *queue = container_of(watch, struct fake_pair, watch);
	struct netdev_user *user = queue->fake->netdev.user;

	if (events & POLLIN)
		user->readable(user, queue->pair);
	if (events & POLLOUT)
		user->writable(user, queue->pair);
}

static int fake_attach(struct netdev *netdev)
{
	struct fake *fake = fake_of(netdev);
	int r = 0;

	for (unsigned i = 0; i < netdev->nr_pairs && !r; i++)
		r = loop_watch_add(netdev->loop, &fake->queues[i].watch, fake->queues[i].fd,
				   POLLIN | POLLOUT);
	return r;
}

static void fake_detach(struct netdev *netdev)
{
	fake_of(netdev)->burst = burst_free(fake_of(netdev)->burst);
	for (unsigned i = 0; i < netdev->nr_pairs; i++)
		loop_watch_remove(netdev->loop, &fake_of(netdev)->queues[i].watch);
}

static int fake_set_pairs(struct netdev *netdev, unsigned nr)
{
	fake_of(netdev)->pairs = nr;
	return fake_of(netdev)->pairs_result;
}

static int fake_set_offloads(struct netdev *netdev, unsigned offloads)
{
	fake_of(netdev)->offloads = offloads;
	return fake_of(netdev)->offloads_result;
}

static ssize_t fake_send(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			 unsigned nr)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)segs, .msg_iovlen = nr };
	ssize_t len = sendmsg(fake_of(netdev)->queues[pair].fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

	return len < 0 ? -errno : len;
}

/* What does not fit is cut off, as a tap does. */
static ssize_t fake_recv(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			 unsigned nr)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)segs, .msg_iovlen = nr };
	ssize_t len = recvmsg(fake_of(netdev)->queues[pair].fd, &msg, MSG_DONTWAIT);

	return len < 0 ? -errno : len;
}

static struct burst *burst_of(struct fake *fake)
{
	if (!fake->burst)
		fake->burst = burst_new();
	return fake->burst;
}

static unsigned fake_send_burst(struct netdev *netdev, unsigned pair,
				struct burst_packet *packets, unsigned nr)
{
	if (nr > 1)
		return burst_write(burst_of(fake_of(netdev)), fake_of(netdev)->queues[pair].fd,
				   packets, nr);
	packets->len = fake_send(netdev, pair, packets->segs, packets->nr);
	return 1;
}

static unsigned fake_recv_burst(struct netdev *netdev, unsigned pair,
				struct burst_packet *packets, unsigned nr)
{
	struct fake *fake = fake_of(netdev);
	unsigned late = (unsigned)min_u64(atomic_exchange(&fake->late, 0), nr), nr_tried;

	for (unsigned i = 0; i < late; i++)
		packets[i].len = -EAGAIN;
	nr_tried = burst_read(burst_of(fake), fake->queues[pair].fd, packets + late, nr - late);
	return nr_tried ? late + nr_tried : 0;
}

static void fake_close(struct netdev *netdev)
{
	for (unsigned i = 0; i < netdev->nr_pairs; i++)
		close(fake_of(netdev)->queues[i].fd);
	free(fake_of(netdev));
}

static const struct back_end_ops ops = {
	.close		= fake_close,
	.attach		= fake_attach,
	.detach		= fake_detach,
	.set_pairs	= fake_set_pairs,
	.set_offloads	= fake_set_offloads,
	.send		= fake_send,
	.recv		= fake_recv,
	.send_burst	= fake_send_burst,
	.recv_burst	= fake_recv_burst,
};

struct netdev *fake_netdev_new(unsigned can, unsigned nr_pairs, int *ret_wires)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	int fds[2];

	if (!fake || nr_pairs > NETDEV_PAIRS_MAX)
		abort();
	fake->netdev = (struct netdev){
		.ops = &ops, .nr_pairs = nr_pairs, .offloads = can, .speed = FAKE_NETDEV_SPEED,
	};
	for (unsigned i = 0; i < nr_pairs; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
			abort();
		fake->queues[i] = (struct fake_pair){
			.fake = fake, .pair = i, .fd = fds[0], .watch.ready = ready,
		};
		ret_wires[i] = fds[1];
	}
	return &fake->netdev;
}

void fake_netdev_refuse_pairs(struct netdev *netdev, int result)
{
	fake_of(netdev)->pairs_result = result;
}

unsigned fake_netdev_pairs(const struct netdev *netdev)
{
	return fake_of(netdev)->pairs;
}

void fake_netdev_refuse_offloads(struct netdev *netdev, int result)
{
	fake_of(netdev)->offloads_result = result;
}

unsigned fake_netdev_offloads(const struct netdev *netdev)
{
	return fake_of(netdev)->offloads;
}

void fake_netdev_come_late(struct netdev *netdev, unsigned nr)
{
	atomic_store(&fake_of(netdev)->late, nr);
}

void fake_netdev_set_link(struct netdev *netdev, bool up)
{
	back_end_set_link(netdev, up);
}
