// SPDX-License-Identifier: Apache-2.0
#include "fake_netdev.h"

#include "base/bits.h"
#include "loop/loop.h"
#include "net/back_end.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake {
	struct netdev netdev;
	int fd;
	struct loop_watch watch;
	int result;
	unsigned offloads;
};

static struct fake *fake_of(const struct netdev *netdev)
{
	return container_of(netdev, struct fake, netdev);
}

static void ready(struct loop_watch *watch, unsigned events)
{
	struct netdev_user *user = container_of(watch, struct fake, watch)->netdev.user;

	if (events & POLLIN)
		user->readable(user, 0);
	if (events & POLLOUT)
		user->writable(user, 0);
}

static int fake_attach(struct netdev *netdev)
{
	struct fake *fake = fake_of(netdev);

	return loop_watch_add(netdev->loop, &fake->watch, fake->fd, POLLIN | POLLOUT);
}

static void fake_detach(struct netdev *netdev)
{
	loop_watch_remove(netdev->loop, &fake_of(netdev)->watch);
}

static int fake_set_offloads(struct netdev *netdev, unsigned offloads)
{
	fake_of(netdev)->offloads = offloads;
	return fake_of(netdev)->result;
}

static ssize_t fake_send(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			 unsigned nr)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)segs, .msg_iovlen = nr };
	ssize_t len = sendmsg(fake_of(netdev)->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)pair;
	return len < 0 ? -errno : len;
}

/* What does not fit is cut off, as a tap does. */
static ssize_t fake_recv(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			 unsigned nr)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)segs, .msg_iovlen = nr };
	ssize_t len = recvmsg(fake_of(netdev)->fd, &msg, MSG_DONTWAIT);

	(void)pair;
	return len < 0 ? -errno : len;
}

static void fake_close(struct netdev *netdev)
{
	close(fake_of(netdev)->fd);
	free(fake_of(netdev));
}

static const struct back_end_ops ops = {
	.close		= fake_close,
	.attach		= fake_attach,
	.detach		= fake_detach,
	.set_offloads	= fake_set_offloads,
	.send		= fake_send,
	.recv		= fake_recv,
};

struct netdev *fake_netdev_new(unsigned can, int *ret_wire)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	int fds[2];

	if (!fake || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
		abort();
	fake->netdev = (struct netdev){
		.ops = &ops, .nr_pairs = 1, .offloads = can, .speed = FAKE_NETDEV_SPEED,
	};
	fake->fd = fds[0];
	fake->watch.ready = ready;
	*ret_wire = fds[1];
	return &fake->netdev;
}

void fake_netdev_refuse_offloads(struct netdev *netdev, int result)
{
	fake_of(netdev)->result = result;
}

unsigned fake_netdev_offloads(const struct netdev *netdev)
{
	return fake_of(netdev)->offloads;
}

void fake_netdev_set_link(struct netdev *netdev, bool up)
{
	back_end_set_link(netdev, up);
}
