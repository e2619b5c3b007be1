// SPDX-License-Identifier: Apache-2.0
#include "fake_netdev.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct netdev {
	int fd;
	int result;
	unsigned offloads;
};

struct netdev *fake_netdev_new(int *ret_wire)
{
	struct netdev *netdev = calloc(1, sizeof(*netdev));
	int fds[2];

	if (!netdev || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
				  fds))
		abort();
	netdev->fd = fds[0];
	*ret_wire = fds[1];
	return netdev;
}

void fake_netdev_refuse_offloads(struct netdev *netdev, int result)
{
	netdev->result = result;
}

unsigned fake_netdev_offloads(const struct netdev *netdev)
{
	return netdev->offloads;
}

struct netdev *netdev_close(struct netdev *netdev)
{
	close(netdev->fd);
	free(netdev);
	return NULL;
}

int netdev_set_offloads(struct netdev *netdev, unsigned offloads)
{
	netdev->offloads = offloads;
	return netdev->result;
}

int netdev_fd(const struct netdev *netdev)
{
	return netdev->fd;
}

ssize_t netdev_send(struct netdev *netdev, const struct iovec *segs, unsigned nr)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)segs, .msg_iovlen = nr };
	ssize_t len = sendmsg(netdev->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

	return len < 0 ? -errno : len;
}

/* What does not fit is cut off, as a tap does. */
ssize_t netdev_recv(struct netdev *netdev, const struct iovec *segs, unsigned nr)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)segs, .msg_iovlen = nr };
	ssize_t len = recvmsg(netdev->fd, &msg, MSG_DONTWAIT);

	return len < 0 ? -errno : len;
}
